//! What a node says of itself.

use std::collections::BTreeMap;

use tacit_attest::{Measurement, Platform};
use tacit_consensus::{Digest, Epoch, Height, Millis, PublicKey};
use tacit_p2p::PeerInfo;

use crate::{
    config::Role,
    forecast::SetForecast,
    phase::Phase,
    renewal::Attempt,
    replica::{NodeKey, ProbationStatus, RolledBack, SnapshotProgress},
    wire::Hello,
};

/// One condition of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub value: String,
    /// What was asked for.
    pub limit: String,
    /// The code that explains a failure, where there is one.
    pub code: Option<&'static str>,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Its libp2p identity.
    pub node_id: [u8; 32],
    /// The release.
    pub version: &'static str,
    /// The committed height.
    pub height: Height,
    /// The block at that height.
    pub head_hash: Digest,
    /// Its time.
    pub head_time_ms: Millis,
    /// The highest height any peer announced.
    pub best_known: Height,
    /// The consensus view; 0 for an observer.
    pub view: u64,
    /// The view's leader.
    pub leader: Option<u16>,
    /// The view's timeout.
    pub timeout_ms: Millis,
    /// The epoch in force.
    pub epoch: Epoch,
    /// When it ends at the latest.
    pub epoch_ends_at_ms: Millis,
    /// The size of its set.
    pub validators: u32,
    /// Votes that make a certificate.
    pub quorum: u32,
    /// Connected peers.
    pub peers: Vec<PeerInfo>,
    /// What they said of themselves, and whether they speak the protocol version in force.
    pub met: BTreeMap<NodeKey, (Hello, bool)>,
    /// Envelopes waiting.
    pub mempool_txs: u64,
    /// Their bytes.
    pub mempool_bytes: u64,
    /// Transactions of the public lane waiting.
    pub system_txs: u64,
    /// Their bytes.
    pub system_bytes: u64,
    /// The TEE this node runs in, for a validator.
    pub platform: Option<Platform>,
    /// What runs in it.
    pub measurement: Option<Measurement>,
    /// When this node's evidence stops being accepted under today's policy; none for an observer, and where it is
    /// refused.
    pub evidence_expires_at_ms: Option<Millis>,
    /// What today's rules say of this node's evidence; none for an observer, and before the first forecast.
    pub evidence: Option<SetForecast>,
    /// Where this validator stands on probation; none once it may sign, and for an observer.
    pub probation: Option<ProbationStatus>,
    /// Whether this process began from a disk that had been set back.
    pub rolled_back: Option<RolledBack>,
    /// Validators of which two holders were noticed since this process started, and by what: `equivocation` or
    /// `two_holders`.
    pub identity_conflicts: Vec<(String, &'static str)>,
    /// Whether the set of the epoch in force was kept although too few of it were acceptable.
    pub set_kept: bool,
    /// The policy in force.
    pub policy_version: u64,
    /// When the process started.
    pub started_ms: Millis,
    /// When this was said.
    pub now_ms: Millis,
    /// The newest height whose execution a final header names.
    pub certified_executed: Height,
    /// When the replica's thread last came round; it does so at least once a second.
    pub turned_ms: Millis,
    /// Readiness, condition by condition.
    pub ready: Vec<Check>,
    /// Where this node stands between following and voting.
    pub phase: Phase,
    /// This node's seat in the epoch in force.
    pub seat: Option<u16>,
    /// What the registry holds of this node's key.
    pub membership: Option<Membership>,
    /// The last attempt to register or renew, since the process started.
    pub attempt: Option<Attempt>,
    /// The snapshot that it is fetching.
    pub fetching: Option<SnapshotProgress>,
    /// The first height whose block it keeps.
    pub first_kept: Height,
    /// Whether new envelopes are refused.
    pub draining: bool,
    /// Envelopes taken in here that are in no final block yet.
    pub pending: u64,
    /// The head is as new as a live chain's must be, and nobody is known to be ahead.
    pub advancing: bool,
}

/// A node that is further behind than this many blocks is syncing.
pub(crate) const LIVE_LAG: u64 = 5;

impl Status {
    /// Whether the head is the newest there is, as far as this node can tell.
    pub fn is_synced(&self) -> bool {
        self.advancing && self.best_known.saturating_sub(self.height) <= LIVE_LAG
    }
}

/// What the registry holds of a node's consensus key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The name.
    pub name: String,
    /// The block that took the registration in; 0 for a founder.
    pub height: Height,
    /// Its time, from which the evidence ages.
    pub registered_ms: Millis,
    /// [`tacit_ledger::Registration::digest`].
    pub registration: Digest,
    /// Who may re-register the name, and take it off.
    pub operator_key: PublicKey,
    /// The newest protocol that the registered build speaks.
    pub protocol: u16,
    /// Whether the operator asked to leave.
    pub leaving: bool,
    /// What becomes of it if the epoch ends soon; none before the first forecast.
    pub next: Option<NextSeat>,
}

/// What the next epoch brings a registered validator, as far as it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextSeat {
    /// Whether it has a seat then.
    pub seated: bool,
    /// Why not, or why only because the set is kept: a row of [`tacit_ledger::codes`].
    pub code: Option<String>,
}
