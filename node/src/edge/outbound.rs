//! Carries out what the replica wants done.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tacit_consensus::{Digest, Millis};
use tacit_ledger::{Answer, Batch, SealingPublic, codec, open_envelope};
use tacit_p2p::{
    GossipToken, Offence as PeerOffence, ResponseChannel, Topic, Verdict, node_key_of, peer_id_of,
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    clock,
    handle::ToReplica,
    replica::{Effect, GossipVerdict, Input, NodeKey, Offence, Refused},
    shared::Shared,
    wire::{Announcement, FetchRequest, FetchResponse, MAX_FETCH_RESPONSE_BYTES, RelayRefused},
};

/// Announcements are not sent more often than this: only the newest height matters.
const ANNOUNCE_EVERY_MS: Millis = 20;
/// Peers whose word is kept before those are let go of that are connected no more.
const MAX_MET: usize = 1_024;
/// Envelopes that one worker opens before another takes over.
const OPEN_CHUNK: usize = 64;

pub(super) struct Outbound {
    shared: Arc<Shared>,
    replica: mpsc::Sender<ToReplica>,
    runtime: Handle,
    next: u64,
    submitted: BTreeMap<u64, oneshot::Sender<Result<Digest, Refused>>>,
    answered: BTreeMap<u64, oneshot::Sender<Result<Box<Answer>, Refused>>>,
    system: BTreeMap<u64, oneshot::Sender<Result<Digest, Refused>>>,
    kems: BTreeMap<u64, oneshot::Sender<Result<SealingPublic, Refused>>>,
    /// Peers that wait for what only the replica has.
    peers: BTreeMap<u64, ResponseChannel>,
    announced_ms: Millis,
    unannounced: Option<Announcement>,
    committed_ms: Millis,
}

impl Outbound {
    pub(super) fn new(shared: Arc<Shared>, replica: mpsc::Sender<ToReplica>, runtime: Handle) -> Self {
        Self {
            shared,
            replica,
            runtime,
            next: 0,
            submitted: BTreeMap::new(),
            answered: BTreeMap::new(),
            system: BTreeMap::new(),
            kems: BTreeMap::new(),
            peers: BTreeMap::new(),
            announced_ms: 0,
            unannounced: None,
            committed_ms: clock::now_ms(),
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn expect_submitted(&mut self, answer: oneshot::Sender<Result<Digest, Refused>>) -> u64 {
        let number = self.number();
        self.submitted.insert(number, answer);
        number
    }

    pub(super) fn expect_answered(&mut self, answer: oneshot::Sender<Result<Box<Answer>, Refused>>) -> u64 {
        let number = self.number();
        self.answered.insert(number, answer);
        number
    }

    pub(super) fn expect_system(&mut self, answer: oneshot::Sender<Result<Digest, Refused>>) -> u64 {
        let number = self.number();
        self.system.insert(number, answer);
        number
    }

    pub(super) fn expect_kem(&mut self, answer: oneshot::Sender<Result<SealingPublic, Refused>>) -> u64 {
        let number = self.number();
        self.kems.insert(number, answer);
        number
    }

    pub(super) fn expect_answer(&mut self, channel: ResponseChannel) -> u64 {
        let number = self.number();
        self.peers.insert(number, channel);
        number
    }

    fn answer(&mut self, reply: u64, response: &FetchResponse) {
        if let (Some(channel), Ok(bytes)) = (self.peers.remove(&reply), borsh::to_vec(response)) {
            self.shared.network.respond(channel, bytes);
        }
    }

    /// Carries out effects in their order; an error means that the node must stop.
    pub(super) fn carry(&mut self, effects: Vec<Effect>) -> Result<(), Refused> {
        for effect in effects {
            self.one(effect)?;
        }
        self.announce(clock::now_ms());
        Ok(())
    }

    fn one(&mut self, effect: Effect) -> Result<(), Refused> {
        let network = &self.shared.network;
        match effect {
            Effect::Send { to, direct } => {
                if let (Some(peer), Ok(bytes)) = (peer_id_of(&to), borsh::to_vec(&direct)) {
                    network.send(peer, bytes);
                }
            }
            Effect::PublishBatch(batch) => {
                if let Ok(bytes) = borsh::to_vec(&batch) {
                    network.publish(Topic::Batches, bytes);
                }
            }
            Effect::PublishSystem(gossip) => {
                if let Ok(bytes) = borsh::to_vec(&gossip) {
                    network.publish(Topic::System, bytes);
                }
            }
            Effect::Announce(announcement) => self.unannounced = Some(announcement),
            Effect::Request { request, to, what } => self.request(request, to, &what),
            Effect::GossipVerdict { token, verdict } => self.verdict(token, verdict),
            Effect::Serve { reply, batches } => {
                self.answer(reply, &FetchResponse::Batches(batches));
            }
            Effect::ServeShare { reply, result } => {
                let result = result.map_err(|refused| RelayRefused {
                    code: refused.code.to_owned(),
                    detail: refused.detail,
                });
                self.answer(reply, &FetchResponse::Share(result));
            }
            Effect::Answer { reply, response } => self.answer(reply, &response),
            Effect::KemKey { reply, result } => {
                if let Some(answer) = self.kems.remove(&reply) {
                    let _ = answer.send(result);
                }
            }
            Effect::Open(batch) => self.open(*batch),
            Effect::Submitted { reply, result } => {
                if let Some(answer) = self.submitted.remove(&reply) {
                    // A client that went away wants no answer.
                    let _ = answer.send(result);
                }
            }
            Effect::SystemTaken { reply, result } => {
                if let Ok(id) = &result {
                    self.shared.system().wait_for(*id, clock::now_ms());
                }
                if let Some(answer) = self.system.remove(&reply) {
                    // A client that went away wants no answer.
                    let _ = answer.send(result);
                }
            }
            Effect::SystemDropped { id, refused } => {
                tracing::info!(%id, code = refused.code, detail = refused.detail, "a system transaction was dropped");
                self.shared.system().let_go(id, refused.into());
            }
            Effect::Answered { reply, result } => {
                if let Some(answer) = self.answered.remove(&reply) {
                    let _ = answer.send(result);
                }
            }
            Effect::Epoch { record, opener, kem } => {
                // Nothing sealed to an earlier epoch can be ordered any more, whoever holds it.
                self.shared.pending().expire_all();
                network.set_validators(record.validators.iter().map(|v| v.node_key.0).collect());
                let epoch = record.epoch;
                *self
                    .shared
                    .record
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = record;
                *self
                    .shared
                    .opener
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) =
                    opener.map(|secret| (epoch, secret));
                *self
                    .shared
                    .kem
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = kem;
            }
            Effect::Opener { epoch, opener } => {
                *self
                    .shared
                    .opener
                    .write()
                    .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((epoch, opener));
            }
            Effect::ProposalRefused {
                leader,
                height,
                view,
                refused,
            } => {
                let record = self.shared.record();
                let name = record
                    .validators
                    .get(usize::from(leader))
                    .map(|seat| seat.name.as_str());
                tracing::warn!(
                    height,
                    view,
                    leader,
                    name,
                    code = refused.code,
                    detail = refused.detail,
                    "proposal refused"
                );
            }
            Effect::Committed {
                height,
                envelopes,
                unopened,
                system,
            } => {
                self.shared.system().committed(&system);
                self.shared.metrics.system_committed(system.len() as u64);
                self.committed(height, &envelopes, unopened);
            }
            Effect::Load(job) => {
                let replica = self.replica.clone();
                self.runtime.spawn_blocking(move || {
                    let input = Input::Loaded(Box::new(job.run()));
                    // The replica has stopped if this fails, and wants no answer.
                    let _ = replica.blocking_send(ToReplica::Input(input));
                });
            }
            Effect::Jumped { height } => {
                self.shared.head.send_replace(height);
            }
            Effect::Expired(ids) => {
                let mut pending = self.shared.pending();
                ids.into_iter().for_each(|id| pending.expire(id));
            }
            Effect::Penalise { peer, offence } => {
                if let Some(peer) = peer_id_of(&peer) {
                    let offence = match offence {
                        Offence::Malformed => PeerOffence::Malformed,
                        Offence::Invalid => PeerOffence::Invalid,
                    };
                    network.report(peer, offence);
                }
            }
            Effect::Equivocation { validator } => {
                let name = self.conflict(validator, "equivocation");
                tracing::error!(
                    validator,
                    name,
                    code = "identity.equivocation",
                    "a validator signed two contradicting messages: another process holds its keys, or its disk was set back \
                     and nobody could tell it. The proof goes to the chain, and it is out from the next epoch"
                );
            }
            Effect::TwoHolders { validator } => {
                let name = self.conflict(validator, "two_holders");
                tracing::error!(
                    validator,
                    name,
                    code = "identity.two_holders",
                    "two processes speak with the keys of one validator: stop one of them before they contradict each other"
                );
            }
            Effect::Met { peer, hello, speaks } => {
                let mut met = self.shared.met();
                if met.len() >= MAX_MET {
                    let connected: std::collections::BTreeSet<NodeKey> = network
                        .peers()
                        .iter()
                        .filter_map(|one| node_key_of(&one.peer))
                        .collect();
                    met.retain(|key, _| connected.contains(key));
                }
                met.insert(peer, (hello, speaks));
            }
            Effect::Halt(reason) => return Err(reason),
        }
        Ok(())
    }

    /// Notes that two hold the identity of a validator; its name.
    fn conflict(&self, validator: u16, how: &'static str) -> String {
        let record = self.shared.record();
        let name = record
            .validators
            .get(usize::from(validator))
            .map_or("?", |v| v.name.as_str());
        self.shared.metrics.identity_conflict(name, how);
        self.shared.conflicts().insert(name.to_owned(), how);
        name.to_owned()
    }

    /// When an announcement that was held back is due.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        self.unannounced.map(|_| self.announced_ms + ANNOUNCE_EVERY_MS)
    }

    /// Publishes the newest announcement, if it is due. One that is not stays, so that the last of a run of blocks
    /// is never the one that nobody hears of.
    fn announce(&mut self, now: Millis) {
        if now < self.announced_ms + ANNOUNCE_EVERY_MS {
            return;
        }
        if let Some(bytes) = self
            .unannounced
            .take()
            .and_then(|newest| borsh::to_vec(&newest).ok())
        {
            self.announced_ms = now;
            self.shared.network.publish(Topic::Announcements, bytes);
        }
    }

    fn request(&self, request: u64, to: NodeKey, what: &FetchRequest) {
        let (Some(peer), Ok(bytes)) = (peer_id_of(&to), borsh::to_vec(what)) else {
            return;
        };
        let (network, replica) = (self.shared.network.clone(), self.replica.clone());
        self.runtime.spawn(async move {
            let response = match network.request(peer, bytes).await {
                Ok(bytes) => match codec::decode::<FetchResponse>(&bytes, MAX_FETCH_RESPONSE_BYTES) {
                    Ok(response) => Some(response),
                    Err(_) => {
                        network.report(peer, PeerOffence::Malformed);
                        None
                    }
                },
                Err(error) => {
                    tracing::debug!(%peer, %error, "fetch failed");
                    None
                }
            };
            let input = Input::Fetched {
                request,
                from: to,
                response,
            };
            // The replica has stopped if this fails, and wants no answer.
            let _ = replica.send(ToReplica::Input(input)).await;
        });
    }

    fn verdict(&self, token: u64, verdict: GossipVerdict) {
        let token: Option<GossipToken> = self.shared.gossip.take(token);
        let Some(token) = token else { return };
        let verdict = match verdict {
            GossipVerdict::Accept => Verdict::Accept,
            GossipVerdict::Ignore => Verdict::Ignore,
            GossipVerdict::Reject => Verdict::Reject,
        };
        self.shared.network.validate_gossip(token, verdict);
    }

    /// Opens a batch's envelopes on worker threads, off the path of consensus.
    fn open(&self, batch: Batch) {
        let Some((epoch, secret)) = self.shared.opener().filter(|(epoch, _)| *epoch == batch.epoch) else {
            return;
        };
        let mut envelopes = batch.envelopes.into_iter().peekable();
        while envelopes.peek().is_some() {
            let chunk: Vec<_> = envelopes.by_ref().take(OPEN_CHUNK).collect();
            let (secret, replica, metrics) =
                (secret.clone(), self.replica.clone(), self.shared.metrics.clone());
            self.runtime.spawn_blocking(move || {
                let mut opened = Vec::with_capacity(chunk.len());
                let mut failed = 0;
                for envelope in &chunk {
                    match open_envelope(&secret, envelope) {
                        Ok(one) => opened.push(Arc::new(one)),
                        Err(error) => {
                            metrics.tx_open_failed(error.code());
                            failed += 1;
                        }
                    }
                }
                let input = Input::Opened {
                    epoch,
                    envelopes: opened,
                    failed,
                };
                let _ = replica.blocking_send(ToReplica::Input(input));
            });
        }
    }

    fn committed(&mut self, height: u64, envelopes: &[Digest], unopened: u32) {
        let now = clock::now_ms();
        let metrics = &self.shared.metrics;
        metrics.block_committed(
            Duration::from_millis(now.saturating_sub(self.committed_ms)),
            envelopes.len() as u64,
        );
        self.committed_ms = now;
        {
            let mut pending = self.shared.pending();
            for id in envelopes {
                if let Some(since) = pending.since.remove(id) {
                    metrics.commit_latency(Duration::from_millis(now.saturating_sub(since)));
                }
            }
        }
        if unopened > 0 {
            tracing::warn!(height, unopened, "a final block holds envelopes that do not open");
        }
        self.shared.head.send_replace(height);
    }
}
