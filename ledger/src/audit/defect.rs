//! What can be wrong with a chain.

use tacit_consensus::{CertificateError, Digest, Epoch, Height, Millis, ProofError, PublicKey};
use thiserror::Error;

use crate::{
    amount::Amount,
    audit::claims::{SignatureClaim, Signed},
    error::{BatchError, CodecError, GenesisError, SnapshotError},
    recovery::RecoveryError,
    state::SystemError,
    store::StoreError,
};

/// The first thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("height {height}: {defect}")]
pub struct AuditError {
    /// The block; 0 for genesis and for the folder itself. Of a pruned part, the closing block that a link names.
    pub height: Height,
    /// What.
    pub defect: Box<Defect>,
}

impl AuditError {
    pub(super) fn new(height: Height, defect: impl Into<Defect>) -> Self {
        Self {
            height,
            defect: Box::new(defect.into()),
        }
    }

    pub(super) fn of_claim(claim: &SignatureClaim) -> Self {
        let defect = Defect::Signature {
            signed: claim.signed,
            key: claim.key,
        };
        Self::new(claim.height, defect)
    }

    /// [`Defect::code`].
    pub fn code(&self) -> &'static str {
        self.defect.code()
    }
}

/// One defect. [`Self::code`] is the stable name; the sentence says what there is and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "each field is named in the message")]
pub enum Defect {
    // Where the data comes from.
    #[error("genesis does not hold: {0}")]
    Genesis(#[from] GenesisError),
    #[error("of network {have}, this genesis is {need}")]
    Foreign { have: Digest, need: Digest },
    #[error("no block and no epoch is stored")]
    Empty,
    #[error("the formats in this folder are of version {have}, this program reads {need}")]
    Format { have: String, need: u32 },
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the block is missing; the next one that is stored is {next:?}")]
    BlockMissing { next: Option<Height> },

    // A block and its place.
    #[error("of epoch {have}, expected {need}")]
    Epoch { have: Epoch, need: Epoch },
    #[error("made by version {have} of the protocol, this program speaks up to {max}")]
    Protocol { have: u16, max: u16 },
    #[error("says that its height is {have}, expected {need}")]
    Height { have: Height, need: Height },
    #[error("names parent {have}, the block below is {need}")]
    Parent { have: Digest, need: Digest },
    #[error("its time {have} is not later than its parent's {parent}")]
    Time { have: Millis, parent: Millis },
    #[error("the payload is over a bound")]
    PayloadBound,
    #[error("the payload hashes to {have}, the header names {need}")]
    Payload { have: Digest, need: Digest },

    // Why it is final.
    #[error("{what}: {source}")]
    Proof { what: &'static str, source: ProofError },
    #[error("{}: {source}", signed.name())]
    Certificate {
        signed: Signed,
        source: CertificateError,
    },
    #[error("{} does not fit the block: {what}", signed.name())]
    Misfit { signed: Signed, what: &'static str },
    #[error("{} is not signed by {key}", signed.name())]
    Signature { signed: Signed, key: PublicKey },
    #[error("a block after the closing one is not an epilogue: {what}")]
    Epilogue { what: &'static str },
    #[error("two blocks are certified here: {ours} and {theirs}")]
    Fork { ours: Digest, theirs: Digest },

    // What it states of execution.
    #[error("states the execution of height {have}, expected {min} to {max}")]
    ExecutedHeight { have: Height, min: Height, max: Height },
    #[error("states another execution of height {at} than its parent")]
    ExecutedTwice { at: Height },
    #[error("states public root {have} of height {at}, the blocks up to it give {need}")]
    PublicRoot { at: Height, have: Digest, need: Digest },
    #[error("states receipts root {have} of height {at}, the receipts up to it give {need}")]
    ReceiptsRoot { at: Height, have: Digest, need: Digest },
    #[error("states private root {have} of height {at}: {why}")]
    PrivateRoot {
        at: Height,
        have: Digest,
        why: &'static str,
    },
    #[error(
        "states a supply of {have} at height {at}, genesis gave out {need}, and none is made or destroyed"
    )]
    Supply { at: Height, have: Amount, need: Amount },

    // What it orders.
    #[error("{0}")]
    System(#[source] SystemError),
    #[error("{kind}: {source}")]
    Ordinary {
        /// [`crate::SystemTx::kind`].
        kind: &'static str,
        source: SystemError,
    },
    #[error("batch {digest}, which it names, is missing")]
    BatchMissing { digest: Digest },
    #[error("batch {index} is {have}, it names {need}")]
    BatchOther {
        index: usize,
        have: Digest,
        need: Digest,
    },
    #[error("{have} batches for the {need} that it names")]
    BatchCount { have: usize, need: usize },
    #[error(
        "batch {index} is of network {chain}, epoch {epoch}, author {author}: there is no such author here"
    )]
    BatchPlace {
        index: usize,
        chain: Digest,
        epoch: Epoch,
        author: u16,
    },
    #[error("batch {index}: {source}")]
    Batch { index: usize, source: BatchError },
    #[error("the receipt of envelope {id} is missing")]
    ReceiptMissing { id: Digest },
    #[error("the receipt of envelope {id} has {have} bytes, expected {need}")]
    ReceiptSize { id: Digest, have: usize, need: usize },

    // How one epoch leads to the next.
    #[error("the next epoch's record has an impossible {what}")]
    RecordShape { what: &'static str },
    #[error("the record of epoch {epoch} does not follow: {what}")]
    Record { epoch: Epoch, what: &'static str },
    #[error("the recovery package of epoch {epoch}: {source}")]
    Recovery { epoch: Epoch, source: RecoveryError },
    #[error("system transaction {index} cannot be read: {source}")]
    Unreadable { index: usize, source: CodecError },

    // What a node keeps beside its blocks.
    #[error("the stored result of the block has another {what}")]
    Result { what: &'static str },
    #[error("the stored result of the block is missing")]
    ResultMissing,
    #[error("the stored link to epoch {epoch} {what}")]
    Link { epoch: Epoch, what: &'static str },
    #[error("column {column} does not lead to the block's {what}")]
    Index {
        column: &'static str,
        what: &'static str,
    },
    #[error("the stored public state of height {at} hashes to {have}, that of the blocks up to it to {need}")]
    State { at: Height, have: Digest, need: Digest },
    #[error("the stored public snapshot cannot be the state with which epoch {epoch} begins: {source}")]
    Snapshot { epoch: Epoch, source: SnapshotError },
    #[error("the stored public state is of height {at}, where there is no block yet")]
    StateAhead { at: Height },
}

impl Defect {
    /// The stable name, a row of [`crate::codes`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Genesis(_) => "genesis.invalid",
            Self::Foreign { .. } => "chain.foreign",
            Self::Empty => "chain.empty",
            Self::Format { .. } => "chain.format",
            Self::Store(StoreError::Failed { .. } | StoreError::Full(_)) => "chain.unreadable",
            Self::Height { .. } | Self::Store(StoreError::Misplaced { .. }) => "chain.height",
            Self::Store(_) => "chain.damaged",
            Self::BlockMissing { .. } => "chain.block_missing",
            Self::Epoch { .. } => "chain.epoch",
            Self::Protocol { .. } => "protocol.unsupported",
            Self::Parent { .. } => "chain.parent",
            Self::Time { .. } => "chain.time",
            Self::PayloadBound | Self::Payload { .. } => "chain.payload",
            Self::Proof { .. } => "chain.certificate",
            Self::Certificate { signed, .. }
            | Self::Misfit { signed, .. }
            | Self::Signature { signed, .. } => match signed {
                Signed::Proposal => "chain.proposer",
                Signed::Justify => "chain.justify",
                Signed::Timeout => "chain.timeout",
                Signed::Carried => "chain.carried",
                Signed::Commit => "chain.certificate",
                Signed::Batch => "chain.batch_author",
            },
            Self::Epilogue { .. } => "chain.epilogue",
            Self::Fork { .. } => "chain.fork",
            Self::ExecutedHeight { .. } | Self::ExecutedTwice { .. } => "chain.executed",
            Self::PublicRoot { .. } => "chain.public_root",
            Self::ReceiptsRoot { .. } => "chain.receipts_root",
            Self::PrivateRoot { .. } => "chain.private_root",
            Self::Supply { .. } => "chain.supply",
            Self::System(error) => of_system(error),
            Self::Ordinary { kind, .. } => of_kind(kind),
            Self::BatchMissing { .. } => "chain.batch_missing",
            Self::BatchOther { .. }
            | Self::BatchCount { .. }
            | Self::BatchPlace { .. }
            | Self::Batch { .. } => "chain.batch",
            Self::ReceiptMissing { .. } => "chain.receipt_missing",
            Self::ReceiptSize { .. } => "chain.receipt",
            Self::RecordShape { .. } | Self::Record { .. } => "chain.epoch_record",
            Self::Recovery { .. } => "chain.recovery",
            Self::Unreadable { .. } => "chain.system",
            Self::Result { .. } | Self::ResultMissing => "chain.result",
            Self::Link { .. } => "chain.link",
            Self::Index { .. } => "chain.index",
            Self::State { .. } | Self::StateAhead { .. } | Self::Snapshot { .. } => "chain.state",
        }
    }

    /// The code of the rule of the ledger that was broken, where that rule has one: why evidence, an approval or a vote
    /// is not accepted.
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Ordinary {
                source: SystemError::Refused { source, .. },
                ..
            } => Some(source.code()),
            Self::Recovery { source, .. } => Some(source.code()),
            _ => None,
        }
    }
}

/// Names what ends an epoch apart from the rest of the public lane.
fn of_system(error: &SystemError) -> &'static str {
    match error {
        SystemError::EndMissing { .. }
        | SystemError::EndNotDue { .. }
        | SystemError::EndTwice { .. }
        | SystemError::Reason { .. }
        | SystemError::NotEnding { .. } => "chain.epoch_end",
        SystemError::Dealer { .. }
        | SystemError::DealtTwice { .. }
        | SystemError::DealtEpoch { .. }
        | SystemError::DealtEarly { .. }
        | SystemError::Shares(_) => "chain.share",
        SystemError::CloseEarly { .. }
        | SystemError::CloseMissing { .. }
        | SystemError::Record { .. }
        | SystemError::NextEpoch { .. } => "chain.epoch_record",
        _ => "chain.system",
    }
}

fn of_kind(kind: &str) -> &'static str {
    match kind {
        "register" | "leave" => "chain.registration",
        "propose" | "approve" => "chain.policy",
        "suspend" | "convict" => "chain.suspension",
        "collateral" => "chain.collateral",
        _ => "chain.system",
    }
}
