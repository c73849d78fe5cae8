//! What a verified chain amounts to.

use std::collections::{BTreeMap, BTreeSet};

use tacit_attest::Platform;
use tacit_consensus::{Digest, Epoch, Executed, Height, Millis};

/// Counts of what was checked, and where the chain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSummary {
    /// The network.
    pub chain: Digest,
    /// The newest block; 0 where there is none.
    pub height: Height,
    /// Its id; the chain's where there is none.
    pub head: Digest,
    /// Its time; genesis time where there is none.
    pub time_ms: Millis,
    /// The newest epoch.
    pub epoch: Epoch,
    /// The first block that is there, where earlier ones were pruned. Of what is below only the closing headers were
    /// checked, and of the public lane of what is above only its form, unless `resumed`.
    pub pruned: Option<Height>,
    /// The public state at the beginning of what is there was given and fits what headers state, so that the public lane
    /// was checked from there on.
    pub resumed: bool,
    /// Blocks checked.
    pub blocks: u64,
    /// Ends of epochs checked, by block or by link.
    pub turns: u64,
    /// Names that ever had a seat, with the kinds of machine they had it on; none are known of a pruned part.
    pub validators: BTreeMap<String, BTreeSet<Platform>>,
    /// Registrations whose evidence was verified, those of founders among them.
    pub registrations: u64,
    /// Policies that came by approval of members.
    pub policies: u64,
    /// Documents of collateral taken in, without those of genesis.
    pub collateral: u64,
    /// Votes against machines and validators, and convictions.
    pub suspensions: u64,
    /// Contributions to secrets of epochs.
    pub contributions: u64,
    /// Certificates checked, proposals' signatures aside.
    pub certificates: u64,
    /// Signatures checked, each once: those of leaders, in certificates, and under batches.
    pub signatures: u64,
    /// Batches with their authors' signatures.
    pub batches: u64,
    /// Envelopes that count.
    pub envelopes: u64,
    /// Of them, those whose receipt says that they did not open.
    pub unopened: u64,
    /// Envelopes in batches that do not count: repeated, expired, or of another epoch.
    pub idle: u64,
    /// The newest execution that a certified header states: blocks above it are final, and their receipts and roots will
    /// be certified by the blocks to come.
    pub certified: Executed,
}
