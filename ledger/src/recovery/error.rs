//! What can be wrong with members, packages and shares.

use tacit_consensus::{Digest, Epoch};
use thiserror::Error;

/// Recovery members, a package or a share that is refused. [`Self::code`] is the stable name for scripts.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum RecoveryError {
    #[error("{have} recovery members, at most {max} are allowed")]
    Members { have: usize, max: usize },
    #[error("a threshold of {threshold} among {members} recovery members: it must be {min} to all of them")]
    Threshold {
        threshold: u16,
        min: u16,
        members: usize,
    },
    #[error("recovery member {index} {what}")]
    Member { index: usize, what: &'static str },
    #[error("the recovery package is damaged: {part}")]
    Package { part: &'static str },
    #[error("this key is not a recovery member's")]
    NotMember,
    #[error("the share of {name} does not open with the key that it was sealed to")]
    Sealed { name: String },
    #[error("the share of {name} is wrong: it does not fit the commitments on the ledger")]
    Commitment { name: String },
    #[error(
        "the share of {name} is of epoch {epoch} of network {chain}; epoch {need_epoch} of {need_chain} is to be recovered"
    )]
    Foreign {
        name: String,
        chain: Digest,
        epoch: Epoch,
        need_chain: Digest,
        need_epoch: Epoch,
    },
    #[error("the share of {name} is given twice")]
    Repeated { name: String },
    #[error("{have} shares ({}), {need} are needed", names.join(", "))]
    TooFew {
        have: usize,
        need: usize,
        names: Vec<String>,
    },
    #[error("the shares give another secret than the one that was shared: at least one of them is forged")]
    Secret,
    #[error("the share of {name} was released to network {have}, this node founds {need}")]
    OtherNetwork {
        name: String,
        have: Digest,
        need: Digest,
    },
    #[error("the share of {name} was not released to this node")]
    NotReleased { name: String },
    #[error("the released share: {reason}")]
    Released { reason: String },
    #[error(
        "there is nothing to recover from: the network names no recovery members, or has not begun its first epoch with keys"
    )]
    Nobody,
    #[error("the chain that was lost: {reason}")]
    Origin { reason: String },
    #[error("the state file: {reason}")]
    State { reason: String },
    #[error("the state file hashes to {have}, the new genesis goes on from {need}")]
    OtherState { have: Digest, need: Digest },
}

impl RecoveryError {
    /// The row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Members { .. } | Self::Threshold { .. } | Self::Member { .. } => "genesis.invalid",
            Self::Package { .. } => "recovery.package_invalid",
            Self::NotMember => "recovery.not_member",
            Self::Sealed { .. } => "recovery.share_sealed",
            Self::Commitment { .. } | Self::Secret => "recovery.share_wrong",
            Self::Foreign { .. } | Self::OtherNetwork { .. } => "recovery.share_foreign",
            Self::Repeated { .. } => "recovery.share_repeated",
            Self::TooFew { .. } => "recovery.too_few",
            Self::NotReleased { .. } => "recovery.share_sealed",
            Self::Released { .. } => "recovery.share_damaged",
            Self::Nobody => "recovery.none",
            Self::Origin { .. } => "recovery.origin_invalid",
            Self::State { .. } | Self::OtherState { .. } => "recovery.state_invalid",
        }
    }
}
