//! What the parts of one running node share: the replica's thread, the edge, the API.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, atomic::AtomicBool},
};

use tacit_attest::{Measurement, Platform};
use tacit_consensus::{Digest, Epoch, Height, Millis, PublicKey};
use tacit_ledger::{EpochRecord, Genesis, PublicState, SealingSecret, Store};
use tacit_p2p::Network;
use tokio::sync::watch;

use crate::{
    config::Role,
    forecast::Forecast,
    intake::Intake,
    metrics::Metrics,
    renewal::{self, Attempt},
    replica::{NodeKey, ProbationStatus, RolledBack, SnapshotProgress},
    status::Membership,
    system_waiting::{SystemState, SystemWaiting},
    wire::Hello,
};

/// Ids whose fate is remembered after their epoch closed.
const MAX_EXPIRED: usize = 100_000;

/// What the replica's thread publishes after each step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) height: Height,
    pub(crate) head: Digest,
    pub(crate) head_time_ms: Millis,
    pub(crate) best_known: Height,
    pub(crate) view: u64,
    pub(crate) leader: Option<u16>,
    pub(crate) timeout_ms: Millis,
    pub(crate) mempool: (u64, u64),
    pub(crate) system: (u64, u64),
    pub(crate) certified_executed: Height,
    pub(crate) turned_ms: Millis,
    pub(crate) idle_ok_until_ms: Millis,
    /// This node's seat in the epoch in force.
    pub(crate) seat: Option<u16>,
    /// Whether it runs consensus.
    pub(crate) votes: bool,
    /// Whether it holds the private state.
    pub(crate) has_state: bool,
    /// The snapshot that it is fetching.
    pub(crate) fetching: Option<SnapshotProgress>,
    /// The first height whose block it keeps.
    pub(crate) first_kept: Height,
    pub(crate) probation: Option<ProbationStatus>,
    pub(crate) rolled_back: Option<RolledBack>,
}

/// Ids taken in here that are in no committed block.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) since: BTreeMap<Digest, Millis>,
    pub(crate) expired: BTreeMap<Digest, ()>,
    order: VecDeque<Digest>,
}

impl Pending {
    pub(crate) fn expire_all(&mut self) {
        let ids: Vec<Digest> = self.since.keys().copied().collect();
        ids.into_iter().for_each(|id| self.expire(id));
    }

    pub(crate) fn expire(&mut self, id: Digest) {
        if self.since.remove(&id).is_some() && self.expired.insert(id, ()).is_none() {
            self.order.push_back(id);
            if self.order.len() > MAX_EXPIRED
                && let Some(oldest) = self.order.pop_front()
            {
                self.expired.remove(&oldest);
            }
        }
    }
}

/// What a node's parts share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) node_id: [u8; 32],
    pub(crate) genesis: Arc<Genesis>,
    pub(crate) chain: Digest,
    pub(crate) store: Arc<dyn Store + Send + Sync>,
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) head: watch::Sender<u64>,
    pub(crate) snapshot: RwLock<Snapshot>,
    pub(crate) record: RwLock<Arc<EpochRecord>>,
    pub(crate) opener: RwLock<Option<(Epoch, Arc<SealingSecret>)>>,
    /// The KEM key of this validator's seat: queries are sealed to it, and it changes with the epoch.
    pub(crate) kem: RwLock<Option<Arc<SealingSecret>>>,
    pub(crate) intake: Intake,
    pub(crate) pending: Mutex<Pending>,
    pub(crate) system: Mutex<SystemWaiting>,
    /// The public state after the newest block that changed it.
    pub(crate) public: watch::Sender<Arc<PublicState>>,
    pub(crate) gossip: crate::edge::GossipTokens,
    /// What peers said of themselves, and whether they speak the protocol version in force.
    pub(crate) met: Mutex<BTreeMap<NodeKey, (Hello, bool)>>,
    /// Validators of which two holders were noticed since this process started, and by what.
    pub(crate) conflicts: Mutex<BTreeMap<String, &'static str>>,
    pub(crate) platform: Option<Platform>,
    pub(crate) measurement: Option<Measurement>,
    /// This node's consensus key; none for an observer.
    pub(crate) consensus_key: Option<PublicKey>,
    /// Whether new envelopes are refused.
    pub(crate) draining: AtomicBool,
    /// When the operator last asked to register at once, by this node's clock.
    pub(crate) register_now: watch::Sender<Millis>,
    pub(crate) attempt: Mutex<Option<Attempt>>,
    pub(crate) forecast: watch::Sender<Arc<Forecast>>,
    pub(crate) started_ms: Millis,
    pub(crate) data: std::path::PathBuf,
}

impl Shared {
    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn system(&self) -> MutexGuard<'_, SystemWaiting> {
        self.system.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn public(&self) -> Arc<PublicState> {
        self.public.borrow().clone()
    }

    pub(crate) fn note_attempt(&self, attempt: Attempt) {
        *self.attempt.lock().unwrap_or_else(PoisonError::into_inner) = Some(attempt);
    }

    /// The last attempt to register; one that was taken in and has lost its place since is refused by that name.
    pub(crate) fn attempt(&self) -> Option<Attempt> {
        let attempt = self
            .attempt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut attempt = attempt?;
        if let Ok(id) = &attempt.result
            && let SystemState::Dropped(problem) = self.system().state(id)
        {
            attempt.result = Err(problem);
        }
        Some(attempt)
    }

    /// What the registry holds of this node's key.
    pub(crate) fn membership(&self, state: &PublicState) -> Option<Membership> {
        let held = renewal::held(state, self.consensus_key.as_ref()?)?;
        let name = &held.seat.name;
        Some(Membership {
            name: name.clone(),
            height: held.height,
            registered_ms: held.seat.registered_ms,
            registration: held.seat.registration,
            operator_key: held.registration.operator_key,
            protocol: held.registration.protocol,
            leaving: renewal::is_leaving(state, name),
            next: self.forecast.borrow().of(name).map(|own| own.next.clone()),
        })
    }

    pub(crate) fn met(&self) -> MutexGuard<'_, BTreeMap<NodeKey, (Hello, bool)>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn conflicts(&self) -> MutexGuard<'_, BTreeMap<String, &'static str>> {
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self) -> Arc<EpochRecord> {
        self.record.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn kem(&self) -> Option<Arc<SealingSecret>> {
        self.kem.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn opener(&self) -> Option<(Epoch, Arc<SealingSecret>)> {
        self.opener.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
