//! The public lane: system transactions, readable by all, executed by observers too.
//!
//! The first three end an epoch and key the next; leaders make them (rules T1 to T7). The others are *ordinary*:
//! anyone may bring them, and they stand in blocks of an epoch that is not ending (rules S1 to S11).
//! New kinds follow at the end of the enum, so that the tags below stay.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::CollateralUpdate;
use tacit_consensus::{Digest, EquivocationProof, hash};

use crate::{
    codec::{decode, encode},
    dealing::Contribution,
    epoch::{EpochReason, EpochRecord},
    error::CodecError,
    governance::{PolicyApproval, PolicyProposal, SuspendVote},
    limits::{MAX_ORDINARY_TX_BYTES, MAX_SYSTEM_TX_BYTES},
    registration::{LeaveRequest, Registration},
};

/// One system transaction. The rules for its place in a block are the public state's.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[allow(
    clippy::large_enum_variant,
    reason = "short-lived, and a box would hide what is on the wire"
)]
pub enum SystemTx {
    /// The epoch ends: no envelopes from this block on, contributions follow.
    EndEpoch {
        /// Why.
        reason: EpochReason,
    },
    /// A dealer's part of the next secret.
    Contribute(Contribution),
    /// The last needed contribution is in: the next epoch, whole.
    CloseEpoch(EpochRecord),
    /// A vendor's newer statement. Nobody signs for bringing it: the vendor signed it.
    Collateral(CollateralUpdate),
    /// A member proposes a policy.
    Propose(PolicyProposal),
    /// A member approves a proposal.
    Approve(PolicyApproval),
    /// A validator votes to drop a group of machines.
    Suspend(SuspendVote),
    /// A validator joins, attests again, or comes with other keys.
    Register(Registration),
    /// An operator takes its validator off the network.
    Leave(LeaveRequest),
    /// A validator signed two statements that no honest one signs both.
    Convict(EquivocationProof),
}

impl SystemTx {
    /// The bytes as `Payload::system` holds them.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes one transaction of at most [`MAX_SYSTEM_TX_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_SYSTEM_TX_BYTES)
    }

    /// Decodes what anyone may bring, at most [`MAX_ORDINARY_TX_BYTES`]. Whether it is ordinary is
    /// [`Self::is_ordinary`].
    pub fn decode_ordinary(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_ORDINARY_TX_BYTES)
    }

    /// Whether anyone may bring it; the others are leaders' alone.
    pub fn is_ordinary(&self) -> bool {
        !matches!(
            self,
            Self::EndEpoch { .. } | Self::Contribute(_) | Self::CloseEpoch(_)
        )
    }

    /// Names these bytes, for pools and users; two encodings of one wish (another signature) have two ids.
    pub fn id(&self) -> Digest {
        hash("system transaction", &[&encode(self)])
    }

    /// The kind, as interfaces name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::EndEpoch { .. } => "end-epoch",
            Self::Contribute(_) => "contribute",
            Self::CloseEpoch(_) => "close-epoch",
            Self::Collateral(_) => "collateral",
            Self::Propose(_) => "propose",
            Self::Approve(_) => "approve",
            Self::Suspend(_) => "suspend",
            Self::Register(_) => "register",
            Self::Leave(_) => "leave",
            Self::Convict(_) => "convict",
        }
    }
}
