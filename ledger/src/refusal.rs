//! Why an ordinary system transaction is refused: by the pool that is to hold it, and by every validator in a block,
//! where it is the leader's fault to have included it.
//!
//! The sender is at fault in all but [`SystemRefusal::Ending`] and the bounds that others filled. What to do next is the
//! hint of the code's row in [`crate::codes`].

use tacit_attest::{Refusal, Suspension};
use tacit_consensus::{Digest, Epoch, EvidenceError, Height, PublicKey};
use thiserror::Error;

use crate::error::{RegistrationError, SignatureError};

/// A refused ordinary system transaction; S1 to S11 are the rules of `docs/protocol.md`. [`Self::code`] is the stable
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
    #[error("protocol version {have} is proposed, {min} is adopted already")]
    ProtocolBack { have: u16, min: u16 },
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

    // S8: registrations.
    #[error("the name {name:?} belongs to operator {held}, this registration names {have}")]
    NameTaken {
        name: String,
        have: PublicKey,
        held: PublicKey,
    },
    #[error("the name {name:?} is new, and its operator {operator} has not signed the registration")]
    OperatorMissing { name: String, operator: PublicKey },
    #[error(
        "validator {name:?} is registered with another {key} key; only its operator's signature changes it"
    )]
    OtherKey { name: String, key: &'static str },
    #[error("validator {name:?} has left; only its operator's signature brings it back")]
    Left { name: String },
    #[error("the {key} key belongs to validator {other:?} already")]
    KeyTaken { key: &'static str, other: String },
    #[error("validator {key} was convicted of signing two statements that no honest one signs both")]
    KeyConvicted { key: PublicKey },
    #[error(
        "{holding} of the {seats} seats would keep their keys until the epoch ends, a quorum is {quorum}"
    )]
    TooManyReplaced {
        holding: usize,
        seats: usize,
        quorum: usize,
    },
    #[error("{max} names are registered already")]
    RegistryFull { max: usize },
    #[error("the build speaks protocol versions up to {have}, {need} is in force")]
    Protocol { have: u16, need: u16 },
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
    #[error("suspended: {target}")]
    MachineSuspended { target: Suspension },
    #[error("validator {other:?} is registered on the same chip")]
    DuplicateChip { other: String },

    // S10: leaving.
    #[error("no validator {name:?} is registered")]
    UnknownName { name: String },
    #[error("the request names registration {have} of validator {name:?}, {held} is held")]
    OtherRegistration {
        name: String,
        have: Digest,
        held: Digest,
    },
    #[error("validator {name:?} has asked to leave already")]
    LeavingAlready { name: String },
    #[error("the operator's key {operator} did not sign the request")]
    LeaveSignature { operator: PublicKey },

    // S11: convictions.
    #[error("the proof is of epoch {have}, of which this chain has none; the current one is {current}")]
    ProofEpoch { have: Epoch, current: Epoch },
    #[error("the proof proves nothing: {0}")]
    Proof(#[source] EvidenceError),
    #[error("nobody is registered with the key {key} any more")]
    ConvictStranger { key: PublicKey },
    #[error("validator {key} is convicted already")]
    ConvictedAlready { key: PublicKey },
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
            Self::ProtocolBack { .. } => "gov.protocol",
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
            Self::NameTaken { .. } => "register.name_taken",
            Self::OperatorMissing { .. } => "register.operator",
            Self::OtherKey { .. } => "register.other_key",
            Self::Left { .. } => "register.left",
            Self::KeyTaken { .. } => "register.key_taken",
            Self::KeyConvicted { .. } => "register.convicted",
            Self::TooManyReplaced { .. } => "register.quorum",
            Self::RegistryFull { .. } => "register.full",
            Self::Protocol { .. } => "register.protocol",
            Self::OtherNetwork { .. } => "register.other_chain",
            Self::PolicyVersion { .. } => "register.policy_version",
            Self::BlockAhead { .. } => "register.block_ahead",
            Self::BlockOld { .. } => "register.block_old",
            Self::OtherBlock { .. } => "register.other_block",
            Self::NotNewer { .. } => "register.not_newer",
            Self::Registration(_) => "register.signature",
            Self::MachineSuspended { .. } => "register.suspended",
            Self::DuplicateChip { .. } => "register.duplicate_chip",
            Self::UnknownName { .. } => "leave.unknown_name",
            Self::OtherRegistration { .. } => "leave.other_registration",
            Self::LeavingAlready { .. } => "leave.known",
            Self::LeaveSignature { .. } => "leave.signature",
            Self::ProofEpoch { .. } => "convict.epoch",
            Self::Proof(_) => "convict.proof",
            Self::ConvictStranger { .. } => "convict.stranger",
            Self::ConvictedAlready { .. } => "convict.known",
        }
    }
}
