//! Errors of the chain's types: one enum a noun, facts instead of strings.
//!
//! Whose fault: what fails to decode, open or verify is the sender's (refuse, and score a peer); a stale or
//! contradicting light bundle is the serving node's (try another); [`GenesisError`] is the file's author's.

use tacit_attest::Refusal;
use tacit_consensus::{Digest, Epoch, Height, Millis};
use thiserror::Error;

use crate::{account::AccountId, recovery::RecoveryError};

/// Bytes that are no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CodecError {
    /// Longer than the format allows.
    #[error("{have} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes received.
        have: usize,
        /// The bound.
        max: usize,
    },
    /// Not this type.
    #[error("malformed at byte {at}")]
    Malformed {
        /// Where decoding stopped.
        at: usize,
    },
    /// More bytes than the value has.
    #[error("{extra} bytes follow the value")]
    Trailing {
        /// How many.
        extra: usize,
    },
}

/// Text that is no amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AmountError {
    /// Not digits with at most one point between them.
    #[error("not a decimal amount such as 5 or 0.25")]
    Malformed,
    /// More decimals than the token has.
    #[error("{have} decimals, the token has 6")]
    TooFine {
        /// Decimals given.
        have: usize,
    },
    /// Does not fit.
    #[error("the amount is too large")]
    TooLarge,
}

/// Bytes that are no account key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    /// Not 64 hex digits.
    #[error("an account has 64 hex digits")]
    Hex,
    /// Zero, or not below the curve order.
    #[error("the seed is no secp256k1 scalar")]
    Scalar,
}

/// An account's signature that does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SignatureError {
    /// Unknown scheme byte.
    #[error("signature scheme {have} is not known")]
    Scheme {
        /// The byte.
        have: u8,
    },
    /// The account is no point of the curve.
    #[error("the account is no public key")]
    Key,
    /// It does not verify.
    #[error("the account's signature does not hold")]
    Invalid,
}

/// An envelope that a block may not include.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum EnvelopeError {
    #[error("sealed for network {have}")]
    WrongChain { have: Digest },
    #[error("sealed for epoch {sealed}, which is over: the current one is {current}; seal it again")]
    EpochClosed { sealed: Epoch, current: Epoch },
    #[error("sealed for epoch {sealed}, which is not known: the current one is {current}")]
    EpochUnknown { sealed: Epoch, current: Epoch },
    #[error("expired at height {expiry}, the chain is at {height}")]
    Expired { expiry: Height, height: Height },
    #[error("expires at height {expiry}, at most {max} is allowed")]
    ExpiryTooFar { expiry: Height, max: Height },
    #[error("cipher suite {have} is not known")]
    Suite { have: u8 },
    #[error("sealed sessions are not supported yet")]
    Session,
    #[error("encapsulation has {have} bytes, needs {need}")]
    Encapsulation { have: usize, need: usize },
    #[error("body of {have} bytes is no size bucket")]
    Bucket { have: usize },
}

/// Something that cannot be sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum SealError {
    #[error("public key has {have} bytes, needs {need}")]
    KeyLength { have: usize, need: usize },
    #[error("the bytes are no X-Wing public key")]
    Key,
    #[error("{have} bytes do not fit, at most {max} do")]
    TooLarge { have: usize, max: usize },
}

/// Something that does not open. It never says what was inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// The envelope's public shape.
    #[error(transparent)]
    Shape(#[from] EnvelopeError),
    /// Longer or shorter than such a thing may be.
    #[error("{have} bytes, at most {max} are allowed")]
    TooLong {
        /// Bytes received.
        have: usize,
        /// The bound.
        max: usize,
    },
    /// Another key, another use, or tampered bytes.
    #[error("the seal does not open")]
    Seal,
    /// The length word or the zeros.
    #[error("the padding is not canonical")]
    Padding,
    /// What was inside is no value of the type.
    #[error("the content is malformed")]
    Call(#[from] CodecError),
    /// The call's signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A batch that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum BatchError {
    #[error("the batch is empty")]
    Empty,
    #[error("{have} envelopes, at most {max} are allowed")]
    TooMany { have: usize, max: usize },
    #[error("{have} bytes, at most {max} are allowed")]
    TooLarge { have: usize, max: usize },
    #[error("envelope {index} is of another network or epoch than the batch")]
    Stranger { index: usize },
    #[error("validator {author} did not sign this batch")]
    Signature { author: u16 },
}

/// A snapshot, or a part of one, that is refused. Who sent it is at fault, unless the text says otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum SnapshotError {
    #[error("manifest refused: {what}")]
    Manifest { what: &'static str },
    #[error("chunk {index} has {have} bytes, its manifest says {need}")]
    ChunkLength { index: u32, have: usize, need: usize },
    #[error("chunk {index} is not the one that its manifest names")]
    Chunk { index: u32 },
    #[error("public snapshot refused: {what}")]
    Public { what: &'static str },
    #[error("public snapshot refused: {0}")]
    Codec(#[from] CodecError),
    /// Opened with the epoch's key, and not what the validators sealed.
    #[error("private snapshot refused: {0}")]
    Sealed(#[source] crate::state::FrameError),
    #[error("the snapshot's {what} is not the one that a quorum certified for height {height}")]
    Root { what: &'static str, height: Height },
    /// This node's own store.
    #[error("the store lost chunk {index} of the snapshot")]
    Lost { index: u32 },
    /// This node's own store.
    #[error("the store failed: {0}")]
    Store(String),
}

impl SnapshotError {
    /// The row of [`crate::codes::CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Manifest { .. } => "snapshot.manifest",
            Self::ChunkLength { .. } => "snapshot.chunk_length",
            Self::Chunk { .. } => "snapshot.chunk",
            Self::Public { .. } | Self::Codec(_) => "snapshot.public",
            Self::Sealed(_) => "snapshot.sealed",
            Self::Root { .. } => "snapshot.root",
            Self::Lost { .. } | Self::Store(_) => "db.corrupt",
        }
    }
}

/// A proof that does not prove. The node that made it is at fault.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum ProofError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("the header is of network {have}")]
    Chain { have: Digest },
    #[error("the header is of epoch {have}, the committee of {need}")]
    Epoch { have: Epoch, need: Epoch },
    #[error("the header is not committed: {0}")]
    Commit(#[source] tacit_consensus::ProofError),
    #[error("receipt has {have} bytes, needs {need}")]
    ReceiptSize { have: usize, need: usize },
    #[error("list of {have}, at most {max} are allowed")]
    TooLong { have: usize, max: usize },
    #[error("path is of leaf {have}, the receipt is at {need}")]
    Index { have: u32, need: u32 },
    #[error("the header certifies execution up to height {have}, the proof is of another")]
    ExecutedHeight { have: Height },
    #[error("the Merkle path is malformed")]
    Path,
    #[error("the receipt is not under the certified receipts root")]
    ReceiptsRoot,
    #[error("tree proof of {have} siblings, at most {max} are allowed")]
    TreeDepth { have: usize, max: usize },
    #[error("the proof is of another leaf")]
    Leaf,
    #[error("the proof gives another root")]
    Root,
    #[error("the answer is not to this query")]
    Fresh,
    #[error("the answer's state differs from its header's")]
    Executed,
    #[error("the state is of height {have}, at least {need} was asked")]
    Stale { have: Height, need: Height },
    #[error("entry {index} does not answer key {index}")]
    Keys { index: usize },
}

/// A registration that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RegistrationError {
    /// Not 1 to 32 of `a-z 0-9 -`.
    #[error("a validator's name has 1 to 32 characters of a-z, 0-9 and -")]
    Name,
    /// One key for two uses.
    #[error("consensus key and node key are the same")]
    SameKey,
    /// The KEM key is none.
    #[error("KEM key: {0}")]
    KemKey(#[source] SealError),
    /// The consensus key did not sign.
    #[error("the consensus key did not sign the registration")]
    ConsensusSignature,
    /// The node key did not sign.
    #[error("the node key did not sign the registration")]
    NodeSignature,
    /// The operator key's signature is wrong.
    #[error("the operator key did not sign the registration")]
    OperatorSignature,
    /// The evidence is refused.
    #[error(transparent)]
    Evidence(#[from] Refusal),
}

impl RegistrationError {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Evidence(refusal) => refusal.code(),
            Self::Name
            | Self::SameKey
            | Self::KemKey(_)
            | Self::ConsensusSignature
            | Self::NodeSignature
            | Self::OperatorSignature => "register.signature",
        }
    }
}

/// A list of members that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum GovernanceError {
    #[error("{have} members, at most {max} are allowed")]
    Members { have: usize, max: usize },
    #[error("a threshold of {threshold} of {members} members; it is 1 to all of them, or 0 of none")]
    Threshold { threshold: u16, members: usize },
    #[error("member {index} {what}")]
    Member { index: usize, what: &'static str },
}

/// A genesis that is refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum GenesisError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("genesis.json line {line}, column {column}: not a genesis")]
    Json { line: usize, column: usize },
    #[error("version {have} is not known")]
    Version { have: u16 },
    #[error("a network's name has 3 to 32 characters of a-z, 0-9 and -")]
    Name,
    #[error("the name of a network of class {class} begins with {need:?}")]
    NamePrefix {
        class: tacit_attest::NetworkClass,
        need: &'static str,
    },
    #[error("a production network's name begins neither with dev- nor with test-")]
    NameOfProduction,
    #[error("parameter {name} is {have}, must be {min} to {max}")]
    Parameter {
        name: &'static str,
        have: u64,
        min: u64,
        max: u64,
    },
    #[error("trust roots or policy: {0}")]
    Policy(#[source] Refusal),
    #[error("{have} validators, must be 1 to {max}")]
    Validators { have: usize, max: usize },
    #[error("validator {index}: {source}")]
    Registration { index: usize, source: RegistrationError },
    #[error("validator {index}: made for another nonce, policy version or block than genesis has")]
    OtherGenesis { index: usize },
    #[error("validator {index}: its build speaks protocol versions up to {have}, genesis names {need}")]
    Protocol { index: usize, have: u16, need: u16 },
    #[error("validator {index} has the same {what} as another")]
    Duplicate { index: usize, what: &'static str },
    #[error("governance: {0}")]
    Governance(#[from] GovernanceError),
    #[error("{have} documents of collateral, at most {max} are allowed")]
    Documents { have: usize, max: usize },
    #[error("collateral {index}: {source}")]
    Collateral { index: usize, source: Refusal },
    #[error(
        "validator {index}: {group} would have more than the {max} % of the seats that the policy allows"
    )]
    Share { index: usize, group: String, max: u8 },
    #[error("{have} allocations, at most {max} are allowed")]
    Allocations { have: usize, max: usize },
    #[error("allocation to {account}: {reason}")]
    Allocation {
        account: AccountId,
        reason: &'static str,
    },
    #[error("the allocations' sum does not fit")]
    Supply,
    #[error("recovery: {0}")]
    Recovery(#[source] RecoveryError),
    #[error("a recovered chain begins with the lost one's balances, and has {have} allocations besides")]
    OriginAllocations { have: usize },
}

/// A contribution or a set of state keys that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum DealError {
    #[error("{have} recipients, must be 1 to {max}")]
    Recipients { have: usize, max: usize },
    #[error("recipient {index}: {source}")]
    Recipient { index: usize, source: SealError },
    #[error("dealer {dealer} made {have} shares, {need} are needed")]
    Shares { dealer: u16, have: usize, need: usize },
    #[error("dealer {dealer}: share {index} has {have} bytes, needs {need}")]
    ShareSize {
        dealer: u16,
        index: usize,
        have: usize,
        need: usize,
    },
    #[error("dealer {dealer} made no share for validator {me}")]
    NoShare { dealer: u16, me: u16 },
    #[error("dealer {dealer}: the share for validator {me} does not open")]
    ShareSealed { dealer: u16, me: u16 },
    #[error("dealer {dealer}: the share for validator {me} does not fit the commitment")]
    Commitment { dealer: u16, me: u16 },
    #[error("dealer {dealer}: share {index} is not made of the value that it deals to others")]
    Unequal { dealer: u16, index: usize },
    #[error("the wrapped state keys do not open under the epoch's secret")]
    StateKeys,
    #[error("the secret of epoch {epoch} is not sealed to the key of seat {me}")]
    SecretSealed { epoch: Epoch, me: u16 },
    #[error("what came as the secret of epoch {epoch} does not give the key that its record names")]
    OtherSecret { epoch: Epoch },
}

impl DealError {
    /// The stable name: a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Recipients { .. } | Self::Recipient { .. } => "deal.recipients",
            Self::Shares { .. } | Self::ShareSize { .. } | Self::NoShare { .. } => "deal.shares",
            Self::ShareSealed { .. } => "deal.share_sealed",
            Self::Commitment { .. } => "deal.commitment",
            Self::Unequal { .. } => "deal.unequal",
            Self::StateKeys => "deal.state_keys",
            Self::SecretSealed { .. } => "deal.secret_sealed",
            Self::OtherSecret { .. } => "deal.other_secret",
        }
    }
}

/// A private query that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum QueryError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the query is for network {have}")]
    Chain { have: Digest },
    #[error("{have} keys, must be 1 to {max}")]
    Keys { have: usize, max: usize },
    #[error("asked at {time_ms}, the clock says {now_ms}, at most {max_skew_ms} ms apart are allowed")]
    Time {
        time_ms: Millis,
        now_ms: Millis,
        max_skew_ms: Millis,
    },
    #[error("the answer's key: {0}")]
    AnswerKey(#[source] SealError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// A light bundle that is refused. [`Self::code`] is the stable name for scripts.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum LightError {
    #[error("genesis hashes to {have}, {pinned} was pinned")]
    GenesisHash { have: Digest, pinned: Digest },
    #[error("genesis: {0}")]
    Genesis(#[source] GenesisError),
    #[error("{have} epochs in one bundle, at most {max} are allowed")]
    TooManyLinks { have: usize, max: usize },
    #[error("end of epoch {epoch}: {source}")]
    Link { epoch: Epoch, source: ProofError },
    #[error("end of epoch {epoch}: the record is not the one that was certified")]
    Record { epoch: Epoch },
    #[error("epoch {epoch}: the certified record is ill-formed: {what}")]
    RecordShape { epoch: Epoch, what: &'static str },
    #[error("newest header: {0}")]
    Head(#[source] ProofError),
    #[error("newest header is at height {have}, height {trusted} was seen before")]
    HeadBackwards { have: Height, trusted: Height },
    #[error("two committed blocks at height {height}: {ours} and {theirs}; keep both, this is a fork")]
    Fork {
        height: Height,
        ours: Digest,
        theirs: Digest,
    },
    #[error("newest header is {age_ms} ms old, at most {max_ms} ms are allowed")]
    HeadStale { age_ms: Millis, max_ms: Millis },
    #[error("newest header is {ahead_ms} ms ahead of this clock, at most {max_ms} ms are allowed")]
    HeadFromFuture { ahead_ms: Millis, max_ms: Millis },
    #[error("the newest header ends epoch {epoch}, the next one is missing from the bundle")]
    EpochOver { epoch: Epoch },
    #[error("the policy is not the one that epoch {epoch} was made under")]
    Policy { epoch: Epoch },
    #[error("the collateral is not what epoch {epoch} was judged with")]
    Collateral { epoch: Epoch },
    #[error(
        "validator {index}: evidence of {age_ms} ms when the set was decided, the policy allows {max_ms} ms"
    )]
    Aged {
        index: usize,
        age_ms: Millis,
        max_ms: Millis,
    },
    #[error(
        "the set of epoch {epoch} was kept although {dropped} of its validators should have none: too few were left \
         for a quorum"
    )]
    Kept { epoch: Epoch, dropped: usize },
    #[error("{have} registrations for {need} validators")]
    Registrations { have: usize, need: usize },
    #[error("validator {index}: the registration is not the one on the ledger")]
    OtherRegistration { index: usize },
    #[error("validator {index}: {source}")]
    Holder { index: usize, source: RegistrationError },
    #[error("validator {index} runs on the same chip as another")]
    SameChip { index: usize },
    #[error("epoch {epoch} has no sealing key yet")]
    NoSealingKey { epoch: Epoch },
}

impl EnvelopeError {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongChain { .. } => "tx.wrong_chain",
            Self::EpochClosed { .. } => "tx.epoch_closed",
            Self::EpochUnknown { .. } => "tx.epoch_unknown",
            Self::Expired { .. } => "tx.expired",
            Self::ExpiryTooFar { .. } => "tx.expiry_too_far",
            Self::Suite { .. } => "tx.suite",
            Self::Session => "tx.session_unsupported",
            Self::Encapsulation { .. } => "tx.malformed",
            Self::Bucket { .. } => "tx.bucket",
        }
    }
}

impl OpenError {
    /// The stable name for an envelope that does not open, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape(shape) => shape.code(),
            Self::Signature(_) => "tx.bad_signature",
            Self::TooLong { .. } | Self::Seal | Self::Padding | Self::Call(_) => "tx.not_openable",
        }
    }
}

impl ProofError {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Commit(_) => "proof.bad_signature",
            Self::Chain { .. } | Self::Epoch { .. } | Self::Executed => "proof.header",
            Self::ReceiptSize { .. }
            | Self::TooLong { .. }
            | Self::Index { .. }
            | Self::ExecutedHeight { .. }
            | Self::Path
            | Self::ReceiptsRoot => "proof.receipt",
            Self::Codec(_) | Self::TreeDepth { .. } | Self::Leaf | Self::Root => "proof.state",
            Self::Fresh | Self::Keys { .. } => "rpc.bad_answer",
            Self::Stale { .. } => "trust.stale_head",
        }
    }
}

impl LightError {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::GenesisHash { .. } => "genesis.hash_mismatch",
            Self::Genesis(GenesisError::Registration {
                source: RegistrationError::Evidence(refusal),
                ..
            })
            | Self::Holder {
                source: RegistrationError::Evidence(refusal),
                ..
            } => refusal.code(),
            Self::Genesis(_) => "genesis.invalid",
            Self::Link { source, .. } | Self::Head(source) => source.code(),
            Self::TooManyLinks { .. } => "proof.header",
            Self::Record { .. } | Self::RecordShape { .. } => "epoch.record",
            Self::HeadBackwards { .. } | Self::HeadStale { .. } | Self::EpochOver { .. } => {
                "trust.stale_head"
            }
            Self::Fork { .. } => "trust.fork",
            Self::HeadFromFuture { .. } => "trust.clock_skew",
            Self::Policy { .. } => "proof.policy",
            Self::Collateral { .. } => "proof.collateral",
            Self::Aged { .. } => "attest.evidence_expired",
            Self::Kept { .. } => "epoch.kept",
            Self::Registrations { .. }
            | Self::OtherRegistration { .. }
            | Self::Holder { .. }
            | Self::SameChip { .. } => "epoch.holder",
            Self::NoSealingKey { .. } => "epoch.key",
        }
    }
}
