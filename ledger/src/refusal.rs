//! Why an ordinary system transaction is refused: by the pool that is to hold it, and by every validator in a block,
//! where it is the leader's fault to have included it.
//!
//! The sender is at fault in all but [`SystemRefusal::Ending`] and the bounds that others filled. What to do next is the
//! hint of the code's row in [`crate::codes`].

use tacit_attest::{Refusal, Suspension};
use tacit_consensus::{Digest, Epoch, Height};
use thiserror::Error;

use crate::error::{RegistrationError, SignatureError};

/// A refused ordinary system transaction; S1 to S9 are the rules of `docs/protocol.md`. [`Self::code`] is the stable
/// name for scripts.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum SystemRefusal {
    // S1, S2: any of them.
    #[error("a {kind} transaction is made by leaders alone")]
    NotOrdinary { kind: &'static str },
    #[error("the epoch is ending; bring it again in the next one, a few seconds from now")]
    Ending,
    #[error("{have} bytes, at most {max} are allowed")]
    TooLarge { have: usize, max: usize },
    #[error(
        "the block is full: it holds {max} such transactions, {max_bytes} bytes, {proposals} of them a proposal"
    )]
    BlockFull {
        max: usize,
        max_bytes: usize,
        proposals: usize,
    },

    // S4: collateral. S5: also a policy that contradicts itself.
    #[error("{0}")]
    Collateral(#[source] Refusal),
    #[error("{0}")]
    Policy(#[source] Refusal),

    // S5, S6: proposals and approvals.
    #[error("genesis names no members: the policy of this network does not change")]
    Frozen,
    #[error("signed for network {have}, this is {need}")]
    OtherChain { have: Digest, need: Digest },
    #[error("there is no member {have}: the {members} members are numbered from 0")]
    NotAMember { have: u16, members: usize },
    #[error("policy version {have} is proposed, the next one is {need}")]
    Version { have: u64, need: u64 },
    #[error("member {member}: {source}")]
    MemberSignature { member: u16, source: SignatureError },
    #[error("proposal {id} is open already")]
    ProposalKnown { id: Digest },
    #[error("member {member} has a proposal of sequence {open} open, this one has {have}")]
    Sequence { member: u16, have: u64, open: u64 },
    #[error("{have} suspensions to end, at most {max}, each once and in ascending order")]
    Reinstate { have: usize, max: usize },
    #[error("{target} is to be reinstated, and is not suspended")]
    NotSuspended { target: Suspension },
    #[error("{acceptable} of the {seats} seats would remain acceptable, a quorum is {quorum}")]
    BelowQuorum {
        acceptable: usize,
        seats: usize,
        quorum: usize,
    },
    #[error("none of the {seats} seats would remain acceptable")]
    NobodyLeft { seats: usize },
    #[error("{max} adopted policies wait for their time already")]
    PoliciesPending { max: usize },
    #[error("no proposal {id} is open: it was adopted, replaced or made void, or never came")]
    ProposalUnknown { id: Digest },
    #[error("member {member} has approved proposal {id} already")]
    ApprovedAlready { member: u16, id: Digest },

    // S7: suspensions.
    #[error("the vote is of epoch {have}, the current one is {need}")]
    VoteEpoch { have: Epoch, need: Epoch },
    #[error("there is no seat {have}: the {seats} seats are numbered from 0")]
    VoteSeat { have: u16, seats: usize },
    #[error("the node key of seat {validator} did not sign the vote")]
    VoteSignature { validator: u16 },
    #[error("{target} is suspended already")]
    Suspended { target: Suspension },
    #[error("seat {validator} has voted to suspend {target} already")]
    VotedAlready { validator: u16, target: Suspension },
    #[error("seat {validator} has {max} votes open in this epoch already")]
    TooManyVotes { validator: u16, max: usize },
    #[error("{max} suspensions are in force already")]
    TooManySuspensions { max: usize },

    // S8: renewals.
    #[error("no validator {name:?} is registered; joining a running network is not possible yet")]
    UnknownName { name: String },
    #[error("validator {name:?} is registered with another {key} key")]
    OtherKey { name: String, key: &'static str },
    #[error("the evidence is bound to network {have}, this is {need}")]
    OtherNetwork { have: Digest, need: Digest },
    #[error("the evidence is bound to policy version {have}, must be {min} to {max}")]
    PolicyVersion { have: u64, min: u64, max: u64 },
    #[error("the evidence is bound to height {have}, the newest block is {newest}")]
    BlockAhead { have: Height, newest: Height },
    #[error("the evidence is bound to height {have}, {oldest} is the oldest that counts now")]
    BlockOld { have: Height, oldest: Height },
    #[error("the evidence is bound to block {have}, height {height} has another")]
    OtherBlock { height: Height, have: Digest },
    #[error("the evidence is bound to height {have}, what is registered to height {held}")]
    NotNewer { have: Height, held: Height },
    #[error("{0}")]
    Registration(#[source] RegistrationError),
    #[error("the machine is suspended: {target}")]
    MachineSuspended { target: Suspension },
    #[error("validator {other:?} is registered on the same chip")]
    DuplicateChip { other: String },
}

impl SystemRefusal {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOrdinary { .. } => "system.not_ordinary",
            Self::Ending => "system.ending",
            Self::TooLarge { .. } => "system.too_large",
            Self::BlockFull { .. } => "system.block_full",
            Self::Collateral(refusal)
            | Self::Policy(refusal)
            | Self::Registration(RegistrationError::Evidence(refusal)) => refusal.code(),
            Self::Frozen => "gov.frozen",
            Self::OtherChain { .. } => "gov.other_chain",
            Self::NotAMember { .. } => "gov.not_a_member",
            Self::Version { .. } => "gov.version",
            Self::MemberSignature { .. } => "gov.signature",
            Self::ProposalKnown { .. } => "gov.proposal_known",
            Self::Sequence { .. } => "gov.sequence",
            Self::Reinstate { .. } => "gov.reinstate",
            Self::NotSuspended { .. } => "gov.not_suspended",
            Self::BelowQuorum { .. } => "gov.below_quorum",
            Self::NobodyLeft { .. } => "gov.nobody_left",
            Self::PoliciesPending { .. } => "gov.policies_pending",
            Self::ProposalUnknown { .. } => "gov.proposal_unknown",
            Self::ApprovedAlready { .. } => "gov.approved_already",
            Self::VoteEpoch { .. } => "suspend.epoch",
            Self::VoteSeat { .. } => "suspend.seat",
            Self::VoteSignature { .. } => "suspend.signature",
            Self::Suspended { .. } => "suspend.in_force",
            Self::VotedAlready { .. } => "suspend.voted_already",
            Self::TooManyVotes { .. } => "suspend.too_many_votes",
            Self::TooManySuspensions { .. } => "suspend.full",
            Self::UnknownName { .. } => "renew.unknown_name",
            Self::OtherKey { .. } => "renew.other_key",
            Self::OtherNetwork { .. } => "renew.other_chain",
            Self::PolicyVersion { .. } => "renew.policy_version",
            Self::BlockAhead { .. } => "renew.block_ahead",
            Self::BlockOld { .. } => "renew.block_old",
            Self::OtherBlock { .. } => "renew.other_block",
            Self::NotNewer { .. } => "renew.not_newer",
            Self::Registration(_) => "renew.signature",
            Self::MachineSuspended { .. } => "renew.suspended",
            Self::DuplicateChip { .. } => "renew.duplicate_chip",
        }
    }
}
