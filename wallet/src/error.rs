//! What can go wrong in a wallet, and whose fault it is.
//!
//! Every variant has a code of [`tacit_ledger::codes`]; facts are fields. No variant carries plaintext, key bytes or
//! the content of a file.

use std::{io, path::PathBuf};

use tacit_consensus::Digest;
use tacit_ledger::{FailureCode, LightError, Receipt, codes};

use crate::client::Unreachable;

/// Everything that a wallet reports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // Ours: the folder and the key file.
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may touch what is the owner's alone.
    #[error("{} has mode {have:03o}: others may read or change it", path.display())]
    FileMode {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        have: u32,
        /// What they must be at most.
        want: u32,
    },
    /// A file is longer than anything this wallet writes.
    #[error("{} is longer than {max} bytes", path.display())]
    FileTooLong {
        /// Which.
        path: PathBuf,
        /// The bound in bytes.
        max: u64,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged", path.display())]
    KeyfileDamaged {
        /// Which.
        path: PathBuf,
    },
    /// The passphrase does not open the wallet.
    #[error("wrong password for wallet {name}")]
    WrongPassphrase {
        /// The wallet.
        name: String,
    },
    /// No wallet has this name.
    #[error("no wallet named {name}")]
    WalletMissing {
        /// The name.
        name: String,
    },
    /// The name is taken.
    #[error("a wallet named {name} exists")]
    WalletExists {
        /// The name.
        name: String,
    },
    /// Not a name for a wallet.
    #[error("{name:?} cannot name a wallet: 1 to 32 of a-z, 0-9 and -")]
    WalletName {
        /// The name.
        name: String,
    },
    /// The wallet was made for another chain.
    #[error("wallet {name} belongs to chain {wallet}, the pinned chain is {pinned}")]
    OtherChain {
        /// The wallet.
        name: String,
        /// Its chain.
        wallet: Digest,
        /// The pinned one.
        pinned: Digest,
    },
    /// The seed is not a key of the curve.
    #[error("the seed gives no key")]
    Seed,
    /// Encryption of a file failed.
    #[error("the key file could not be encrypted")]
    Encrypting,
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    Entropy,

    // The caller's.
    /// Not an address of this network.
    #[error("{text} is not an address here: {reason}")]
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not an amount.
    #[error("{text:?} is not an amount: {reason}")]
    Amount {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than one transaction holds.
    #[error("{what} is too long: {have} bytes, at most {max}")]
    TooLong {
        /// What.
        what: &'static str,
        /// Its length in bytes.
        have: usize,
        /// The bound.
        max: usize,
    },
    /// The balance does not cover it.
    #[error("balance {have} does not cover {need}")]
    Insufficient {
        /// What is there, as a decimal.
        have: String,
        /// Amount and fee, as a decimal.
        need: String,
    },
    /// Nobody owns the name.
    #[error("nobody owns the name {name}")]
    NameUnknown {
        /// The name.
        name: String,
    },
    /// The account has published no key to seal letters to.
    #[error("{account} has not published a mail key")]
    NoMailKey {
        /// The account's address.
        account: String,
    },
    /// The account may not propose or approve policies.
    #[error(
        "wallet {wallet} is no member of this network's governance ({})",
        members_listed(members)
    )]
    NotAMember {
        /// The wallet.
        wallet: String,
        /// Who is.
        members: Vec<String>,
    },
    /// The room does not exist or is not ours to see.
    #[error("no room {room} for this account")]
    RoomUnknown {
        /// The room.
        room: String,
    },

    // The node's, or the way to it.
    /// No answer.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// An answer that is not this interface.
    #[error("{endpoint}{path} answered what is not this interface: {reason}")]
    BadAnswer {
        /// The node.
        endpoint: String,
        /// What was asked.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A named refusal.
    #[error("{detail}")]
    Refused {
        /// Its code; one of the table.
        code: &'static str,
        /// The node's sentence.
        detail: String,
    },
    /// The node at the other end is not in the validator set, so it cannot answer private reads.
    #[error("{endpoint} is not a validator of epoch {epoch}: it holds no private state")]
    NotAValidator {
        /// The node.
        endpoint: String,
        /// The epoch whose set was looked at.
        epoch: u64,
    },
    /// Waiting ended first. The envelope may still be committed until its expiry height.
    #[error("transaction {id} was not final after {waited_ms} ms; it may still be until height {expires_at}")]
    WaitTimeout {
        /// The transaction.
        id: Digest,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
        /// After this height it cannot be committed any more.
        expires_at: u64,
    },
    /// Waiting for a transaction of the public lane ended first. It may still be included.
    #[error(
        "transaction {id} of the public lane was in no final block after {waited_ms} ms; it may be in a later one"
    )]
    SystemTimeout {
        /// The transaction.
        id: Digest,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// Sealing again did not help.
    #[error("epochs closed or envelopes expired {tries} times in a row")]
    Resealed {
        /// How often it was sealed.
        tries: u32,
    },

    // Verification: an attack or a bug.
    /// Nothing tells which chain is meant.
    #[error("no genesis hash is pinned")]
    NoPin,
    /// The node's genesis is another one.
    #[error("the genesis hashes to {have}, pinned is {pinned}")]
    GenesisHash {
        /// The hash of the bytes that came.
        have: Digest,
        /// The pinned one.
        pinned: Digest,
    },
    /// The genesis breaks its own rules.
    #[error("the genesis breaks its rules: {reason}")]
    GenesisInvalid {
        /// Which rule.
        reason: String,
    },
    /// The light client refused.
    #[error("{0}")]
    Light(#[from] LightError),
    /// The stored anchor is too old to move forward from.
    #[error("the last verified header is {age_ms} ms old, trusted for {max_ms} ms")]
    AnchorExpired {
        /// Its age in milliseconds.
        age_ms: u64,
        /// The trust period in milliseconds.
        max_ms: u64,
    },
    /// Two certified headers at one height.
    #[error("two certified headers at height {height}; both saved to {}", saved.display())]
    Fork {
        /// The height.
        height: u64,
        /// Where the evidence is.
        saved: PathBuf,
    },
    /// The second node shows another chain and cannot prove it.
    #[error("witness {endpoint} shows block {have} at height {height}, not {want}, without a proof")]
    Witness {
        /// The second node.
        endpoint: String,
        /// The height.
        height: u64,
        /// Its block.
        have: String,
        /// Ours.
        want: Digest,
    },
    /// The chain has no sealing key that may be used now.
    #[error("epoch {epoch} has no usable sealing key: {reason}")]
    EpochKey {
        /// The epoch.
        epoch: u64,
        /// Why.
        reason: String,
    },
    /// A proof does not hold.
    #[error("{what}: {reason}")]
    Proof {
        /// The code, `proof.*` or `epoch.*`.
        code: &'static str,
        /// What was to be proven.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// A private read was refused to this account.
    #[error("the chain does not show this to the account: {what}")]
    Denied {
        /// What was asked.
        what: String,
    },
    /// A letter or post does not open.
    #[error("{what} does not open with this wallet's key")]
    Letter {
        /// Which.
        what: String,
    },

    // The chain's word.
    /// Committed, and failed. The receipt is verified.
    #[error("transaction {} failed at height {}: {}", receipt.envelope, receipt.height, failure(*reason))]
    Failed {
        /// Why.
        reason: FailureCode,
        /// The verified receipt.
        receipt: Box<Receipt>,
    },
}

fn members_listed(members: &[String]) -> String {
    if members.is_empty() {
        return "it has none: its policy is frozen".to_owned();
    }
    format!("members: {}", members.join(", "))
}

fn failure(code: FailureCode) -> String {
    code.to_string()
}

impl Error {
    pub(crate) fn file(path: &std::path::Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn proof(code: &'static str, what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Proof {
            code,
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// The stable code of this error, one of [`codes::CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { .. } | Self::Seed | Self::Encrypting | Self::Entropy => "internal",
            Self::FileMode { .. } => "wallet.file_mode",
            Self::FileTooLong { .. } | Self::KeyfileDamaged { .. } => "wallet.corrupt",
            Self::WrongPassphrase { .. } => "wallet.bad_password",
            Self::WalletMissing { .. } => "wallet.not_found",
            Self::WalletExists { .. } => "wallet.exists",
            Self::WalletName { .. } | Self::TooLong { .. } => "usage.invalid",
            Self::OtherChain { .. } => "home.chain_mismatch",
            Self::Address { .. } => "wallet.address",
            Self::Amount { .. } => "usage.amount",
            Self::Insufficient { .. } => "wallet.insufficient",
            Self::NameUnknown { .. } => "names.unknown",
            Self::NoMailKey { .. } => "mail.no_key",
            Self::RoomUnknown { .. } => "room.not_found",
            Self::NotAMember { .. } => "gov.not_a_member",
            Self::Unreachable(_) => "rpc.unreachable",
            Self::BadAnswer { .. } => "rpc.bad_answer",
            Self::Refused { code, .. } | Self::Proof { code, .. } => code,
            Self::NotAValidator { .. } => "query.not_a_validator",
            Self::WaitTimeout { .. } | Self::SystemTimeout { .. } => "wait.timeout",
            Self::Resealed { .. } => "tx.expired",
            Self::NoPin => "trust.missing",
            Self::GenesisHash { .. } => "genesis.hash_mismatch",
            Self::GenesisInvalid { .. } => "genesis.invalid",
            Self::Light(error) => error.code(),
            Self::AnchorExpired { .. } => "trust.anchor_expired",
            Self::Fork { .. } => "trust.fork",
            Self::Witness { .. } => "trust.witness",
            Self::EpochKey { .. } => "epoch.key",
            Self::Denied { .. } => "query.denied",
            Self::Letter { .. } => "mail.letter",
            Self::Failed { .. } => "tx.failed",
        }
    }

    /// The next step for a person.
    pub fn hint(&self) -> String {
        match self {
            Self::FileMode { path, want, .. } => format!("run: chmod {want:03o} {}", path.display()),
            Self::WaitTimeout { id, .. } => format!("run: tacit wallet receipt {id}"),
            _ => codes::lookup(self.code()).map_or_else(String::new, |row| row.hint.to_owned()),
        }
    }

    /// Whether trying again later may help.
    pub fn retryable(&self) -> bool {
        codes::lookup(self.code()).is_some_and(|row| row.retryable)
    }
}
