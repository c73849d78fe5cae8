//! A running node, as its HTTP API and its tests see it.

use std::sync::{Arc, atomic::Ordering};

use tacit_consensus::{Digest, Epoch, Height, Millis};
use tacit_ledger::{
    Envelope, EpochRecord, Genesis, OpenError, OpenedEnvelope, PublicState, Query, QueryError, SealingPublic,
    Store, SystemTx,
    limits::{MAX_ENVELOPE_BYTES, MAX_ORDINARY_TX_BYTES},
    open_query, seal_answer,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    config::Role,
    forecast::{Forecast, ValidatorForecast},
    home::Home,
    metrics::Metrics,
    phase::{Phase, Standing},
    replica::{Input, NodeKey, Question, Refused},
    shared::Shared,
    status::Status,
    system_waiting::SystemState,
    wire::{FetchRequest, FetchResponse, MAX_FETCH_RESPONSE_BYTES, RelayRefused},
};

/// A private query must be younger than this by the node's clock, in milliseconds.
const MAX_QUERY_AGE_MS: Millis = 60_000;

/// What the replica's thread is asked to do.
pub(crate) enum ToReplica {
    /// Something happened.
    Input(Input),
    /// A client's envelope, opened by the edge.
    Submit(
        Box<Envelope>,
        Arc<OpenedEnvelope>,
        oneshot::Sender<Result<Digest, Refused>>,
    ),
    /// A client's transaction of the public lane, decoded.
    System(Box<SystemTx>, oneshot::Sender<Result<Digest, Refused>>),
    /// A private read, opened by the edge.
    Query(
        Box<Query>,
        oneshot::Sender<Result<Box<tacit_ledger::Answer>, Refused>>,
    ),
    /// This validator is to attest again: the KEM key for it.
    WantKem(oneshot::Sender<Result<SealingPublic, Refused>>),
    /// A peer has lost the secret of an epoch.
    WantShare(NodeKey, Epoch, tacit_p2p::ResponseChannel),
    /// A peer asks what only the replica knows.
    Ask(NodeKey, Question, tacit_p2p::ResponseChannel),
    /// A peer asks for batches.
    WantBatches(Vec<Digest>, tacit_p2p::ResponseChannel),
    /// End after what was taken in is done.
    Stop,
}

/// A refusal by the node: a code of the table of codes, and facts that contain nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: &'static str,
    /// The facts.
    pub detail: String,
}

impl Problem {
    /// A problem under a code of the table.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl Problem {
    /// Whether the same may be taken later, without anybody's doing.
    pub(crate) fn passes(&self) -> bool {
        tacit_ledger::codes::lookup(self.code).is_some_and(|row| row.retryable)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Problem {
            code: refused.code,
            detail: refused.detail,
        }
    }
}

/// An envelope was taken in. It is final only when a block that names it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The envelope's id.
    pub tx_id: Digest,
    /// The epoch it is sealed to.
    pub epoch: Epoch,
    /// The height after which it can no longer be ordered.
    pub expires_at_height: Height,
}

/// A transaction of the public lane was taken in. It counts only when a block that carries it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemAccepted {
    /// The id under which it waits, or is committed.
    pub id: Digest,
    /// Its kind, as [`SystemTx::kind`] names it.
    pub kind: &'static str,
}

/// What this node knows of an envelope that is in no committed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxState {
    /// Taken in here, not committed yet.
    Pending,
    /// Taken in here, and its epoch closed before it was ordered.
    Expired,
    /// Never seen here.
    Unknown,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct NodeHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) replica: mpsc::Sender<ToReplica>,
}

impl NodeHandle {
    /// Committed data.
    pub fn store(&self) -> &Arc<dyn Store + Send + Sync> {
        &self.shared.store
    }

    /// The network's genesis.
    pub fn genesis(&self) -> &Arc<Genesis> {
        &self.shared.genesis
    }

    /// The chain's id: the genesis hash.
    pub fn chain_id(&self) -> Digest {
        self.shared.chain
    }

    /// The committed, executed, durable height; changes wake its holders.
    pub fn head(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }

    /// The record of the epoch in force.
    pub fn current(&self) -> Arc<EpochRecord> {
        self.shared.record()
    }

    /// Counters and gauges.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.shared.metrics.clone()
    }

    /// What this node knows of an envelope that the store does not have.
    pub fn tx_state(&self, id: &Digest) -> TxState {
        let pending = self.shared.pending();
        if pending.since.contains_key(id) {
            TxState::Pending
        } else if pending.expired.contains_key(id) {
            TxState::Expired
        } else {
            TxState::Unknown
        }
    }

    /// What this node says of itself, now.
    pub fn status(&self) -> Arc<Status> {
        let shared = &self.shared;
        let snapshot = shared.snapshot();
        let record = shared.record();
        let peers = shared.network.peers();
        let now_ms = crate::clock::now_ms();
        let committee = record.committee();
        let forecast = self.forecast();
        let membership = shared.membership(&shared.public());
        let own = membership.as_ref().and_then(|own| forecast.of(&own.name));
        let evidence = own.and_then(ValidatorForecast::today).cloned();
        let draining = shared.draining.load(Ordering::Relaxed);
        let left = shared.role == Role::Validator && Home::at(&shared.data).left().exists();
        let standing = Standing {
            seated: snapshot.seat.is_some(),
            votes: snapshot.votes,
            has_state: snapshot.has_state,
            probation: snapshot.probation.is_some(),
            registered: membership.is_some(),
            leaving: membership.as_ref().is_some_and(|own| own.leaving),
            left,
            draining,
        };
        let mut status = Status {
            name: shared.name.clone(),
            role: shared.role,
            node_id: shared.node_id,
            version: env!("CARGO_PKG_VERSION"),
            height: snapshot.height,
            head_hash: snapshot.head,
            head_time_ms: snapshot.head_time_ms,
            best_known: snapshot.best_known,
            view: snapshot.view,
            leader: snapshot.leader,
            timeout_ms: snapshot.timeout_ms,
            epoch: record.epoch,
            epoch_ends_at_ms: record.start_ms + shared.genesis.params.epoch_ms_max,
            validators: committee.n() as u32,
            quorum: committee.quorum() as u32,
            met: shared.met().clone(),
            peers,
            mempool_txs: snapshot.mempool.0,
            mempool_bytes: snapshot.mempool.1,
            system_txs: snapshot.system.0,
            system_bytes: snapshot.system.1,
            platform: shared.platform,
            measurement: shared.measurement,
            evidence_expires_at_ms: evidence.as_ref().and_then(|own| own.until_ms),
            evidence,
            set_kept: record.kept,
            probation: snapshot.probation,
            rolled_back: snapshot.rolled_back,
            identity_conflicts: shared.conflicts().clone().into_iter().collect(),
            policy_version: record.policy_version,
            started_ms: shared.started_ms,
            now_ms,
            certified_executed: snapshot.certified_executed,
            turned_ms: snapshot.turned_ms,
            ready: Vec::new(),
            phase: Phase::of(&standing),
            seat: snapshot.seat,
            membership,
            attempt: shared.attempt(),
            fetching: snapshot.fetching.clone(),
            first_kept: snapshot.first_kept,
            draining,
            pending: shared.pending().since.len() as u64,
            advancing: now_ms.saturating_sub(snapshot.head_time_ms) <= snapshot.idle_ok_until_ms,
        };
        status.ready = crate::readiness::checks(&status, &snapshot, &shared.data);
        Arc::new(status)
    }

    /// Takes in a sealed envelope: a validator opens it first, an observer passes it to a validator.
    ///
    /// # Errors
    /// A refusal by name; nothing was taken in.
    pub async fn submit(&self, bytes: Vec<u8>) -> Result<Accepted, Problem> {
        let result = self.take_in(bytes).await;
        self.shared
            .metrics
            .tx_received(result.as_ref().map_or_else(|p| p.code, |_| "accepted"));
        result
    }

    async fn take_in(&self, bytes: Vec<u8>) -> Result<Accepted, Problem> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            let detail = format!(
                "{} bytes, an envelope has at most {MAX_ENVELOPE_BYTES}",
                bytes.len()
            );
            return Err(Problem::new("tx.malformed", detail));
        }
        let envelope = Envelope::decode(&bytes).map_err(|e| Problem::new("tx.malformed", e.to_string()))?;
        let (epoch, height) = (self.shared.record().epoch, self.shared.snapshot().height);
        envelope
            .check(&self.shared.chain, epoch, height)
            .map_err(|e| Problem::new(e.code(), e.to_string()))?;
        if self.shared.draining.load(Ordering::Relaxed) {
            let detail = "this node is about to be stopped, and takes no new envelopes";
            return Err(Problem::new("node.draining", detail));
        }
        // A validator without a seat holds no more than an observer.
        if self.shared.snapshot().seat.is_none() && epoch > 0 {
            return self.relay(bytes).await;
        }
        let (key_epoch, secret) = self
            .shared
            .opener()
            .ok_or_else(|| Problem::new("node.no_epoch_key", "this node does not hold the epoch's secret"))?;
        if key_epoch != envelope.epoch {
            let detail = format!(
                "sealed to epoch {}, the current one is {key_epoch}",
                envelope.epoch
            );
            return Err(Problem::new("tx.epoch_closed", detail));
        }
        let accepted = Accepted {
            tx_id: envelope.id(),
            epoch: envelope.epoch,
            expires_at_height: envelope.expiry_height,
        };
        let (envelope, opened) = self.shared.intake.open(secret, envelope).await?;
        let opened = opened.map_err(|error| {
            self.shared.metrics.tx_open_failed(error.code());
            Problem::new(error.code(), error.to_string())
        })?;
        self.shared
            .pending()
            .since
            .insert(accepted.tx_id, crate::clock::now_ms());
        let (answer, answered) = oneshot::channel();
        let sent = self
            .replica
            .send(ToReplica::Submit(Box::new(envelope), Arc::new(opened), answer))
            .await;
        let result = match sent {
            Ok(()) => answered.await.map_err(|_| stopping())?,
            Err(_) => return Err(stopping()),
        };
        if result.is_err() {
            self.shared.pending().since.remove(&accepted.tx_id);
        }
        result?;
        Ok(accepted)
    }

    /// The public state after the newest block that changed it.
    pub fn public(&self) -> Arc<PublicState> {
        self.shared.public()
    }

    /// Takes new envelopes, or refuses them from now on; those taken in before go their way.
    pub fn drain(&self, draining: bool) {
        self.shared.draining.store(draining, Ordering::Relaxed);
    }

    /// Registers as soon as that is due, whatever was tried before.
    pub fn register_now(&self) {
        self.shared.register_now.send_replace(crate::clock::now_ms());
    }

    /// The newest forecast; empty until the first is made.
    pub fn forecast(&self) -> Arc<Forecast> {
        self.shared.forecast.borrow().clone()
    }

    /// What this node knows of a transaction of the public lane that the store does not have.
    pub fn system_state(&self, id: &Digest) -> SystemState {
        self.shared.system().state(id)
    }

    /// Takes in an encoded transaction of the public lane: checked against the state at the head, passed on to the
    /// others, and put into a block. An observer asks a validator, whose verdict counts.
    ///
    /// It waits in memory only: if every node that holds it restarts before it is committed, it is unknown again.
    ///
    /// # Errors
    /// A refusal by name; nothing was taken in.
    pub async fn submit_system(&self, bytes: Vec<u8>) -> Result<SystemAccepted, Problem> {
        let result = match self.shared.role {
            Role::Validator => self.take_system(bytes).await,
            Role::Observer => self.relay_system(bytes).await,
        };
        let verdict = result.as_ref().map_or_else(|p| p.code, |_| "accepted");
        self.shared.metrics.system_received(verdict);
        result
    }

    /// Hands a transaction of the public lane to this node's own replica.
    pub(crate) async fn take_system(&self, bytes: Vec<u8>) -> Result<SystemAccepted, Problem> {
        let tx = decode_system(&bytes)?;
        let kind = tx.kind();
        let (answer, answered) = oneshot::channel();
        self.replica
            .send(ToReplica::System(Box::new(tx), answer))
            .await
            .map_err(|_| stopping())?;
        let id = answered.await.map_err(|_| stopping())??;
        Ok(SystemAccepted { id, kind })
    }

    /// An observer's way in: each connected validator is asked in turn until one answers.
    async fn relay_system(&self, bytes: Vec<u8>) -> Result<SystemAccepted, Problem> {
        let kind = decode_system(&bytes)?.kind();
        let request = borsh::to_vec(&FetchRequest::System(bytes))
            .map_err(|e| Problem::new("internal", e.to_string()))?;
        for peer in self.shared.network.peers().into_iter().filter(|p| p.validator) {
            let Ok(bytes) = self.shared.network.request(peer.peer, request.clone()).await else {
                continue;
            };
            let answer = tacit_ledger::codec::decode::<FetchResponse>(&bytes, MAX_FETCH_RESPONSE_BYTES);
            let Ok(FetchResponse::SystemTaken(result)) = answer else {
                continue;
            };
            let id = result.map_err(relayed)?;
            self.shared.system().wait_for(id, crate::clock::now_ms());
            return Ok(SystemAccepted { id, kind });
        }
        Err(Problem::new(
            "node.syncing",
            "no validator is connected to pass the transaction to",
        ))
    }

    /// An observer's way in: each connected validator is asked in turn until one answers.
    async fn relay(&self, envelope: Vec<u8>) -> Result<Accepted, Problem> {
        let request = borsh::to_vec(&FetchRequest::Submit(envelope))
            .map_err(|e| Problem::new("internal", e.to_string()))?;
        for peer in self.shared.network.peers().into_iter().filter(|p| p.validator) {
            let Ok(bytes) = self.shared.network.request(peer.peer, request.clone()).await else {
                continue;
            };
            let answer = tacit_ledger::codec::decode::<FetchResponse>(&bytes, MAX_FETCH_RESPONSE_BYTES);
            let Ok(FetchResponse::Submitted(result)) = answer else {
                continue;
            };
            return match result {
                Ok(accepted) => {
                    self.shared
                        .pending()
                        .since
                        .insert(accepted.id, crate::clock::now_ms());
                    Ok(Accepted {
                        tx_id: accepted.id,
                        epoch: accepted.epoch,
                        expires_at_height: accepted.expiry_height,
                    })
                }
                Err(refused) => Err(relayed(refused)),
            };
        }
        Err(Problem::new(
            "node.syncing",
            "no validator is connected to pass the envelope to",
        ))
    }

    /// The KEM key that this validator's next registration is to name, durable in its keyring.
    ///
    /// # Errors
    /// When the node is stopping, or its keyring cannot be saved.
    pub(crate) async fn next_kem(&self) -> Result<SealingPublic, Problem> {
        let (answer, answered) = oneshot::channel();
        self.replica
            .send(ToReplica::WantKem(answer))
            .await
            .map_err(|_| stopping())?;
        Ok(answered.await.map_err(|_| stopping())??)
    }

    /// Answers a sealed private read.
    ///
    /// # Errors
    /// A refusal by name. It says nothing of the private state.
    pub async fn query(&self, sealed: Vec<u8>) -> Result<Vec<u8>, Problem> {
        let kem = self
            .shared
            .kem()
            .ok_or_else(|| Problem::new("query.not_a_validator", "this node holds no private state"))?;
        let chain = self.shared.chain;
        let now = crate::clock::now_ms();
        let query = blocking(move || {
            let query = open_query(&kem, &chain, &sealed).map_err(|error| {
                // Nothing tells which key it is sealed to: most likely that of an epoch that is over.
                let code = match error {
                    OpenError::Seal => "query.key_changed",
                    _ => "query.malformed",
                };
                Problem::new(code, error.to_string())
            })?;
            match query.verify(&chain, now, MAX_QUERY_AGE_MS) {
                Ok(()) => Ok(query),
                Err(e @ QueryError::Time { .. }) => Err(Problem::new("query.stale", e.to_string())),
                Err(e) => Err(Problem::new("query.malformed", e.to_string())),
            }
        })
        .await??;
        let answer_to = query.answer_to.clone();
        let (answer, answered) = oneshot::channel();
        self.replica
            .send(ToReplica::Query(Box::new(query), answer))
            .await
            .map_err(|_| stopping())?;
        let answer = answered.await.map_err(|_| stopping())??;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| Problem::new("internal", e.to_string()))?;
        blocking(move || {
            use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
            seal_answer(&mut ChaCha20Rng::from_seed(seed), &answer_to, &chain, &answer)
        })
        .await?
        .map_err(|e| Problem::new("query.malformed", e.to_string()))
    }
}

/// A validator's refusal, as an observer passes it back: codes are this release's own.
fn relayed(refused: RelayRefused) -> Problem {
    let code = tacit_ledger::codes::lookup(&refused.code).map_or("internal", |c| c.code);
    Problem::new(code, refused.detail)
}

fn decode_system(bytes: &[u8]) -> Result<SystemTx, Problem> {
    if bytes.len() > MAX_ORDINARY_TX_BYTES {
        let detail = format!(
            "{} bytes, a system transaction has at most {MAX_ORDINARY_TX_BYTES}",
            bytes.len()
        );
        return Err(Problem::new("system.too_large", detail));
    }
    SystemTx::decode_ordinary(bytes).map_err(|e| Problem::new("system.malformed", e.to_string()))
}

fn stopping() -> Problem {
    Problem::new("node.syncing", "the node is stopping")
}

/// Work that takes milliseconds of processor time leaves the threads that serve sockets.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::new("internal", "a worker failed"))
}
