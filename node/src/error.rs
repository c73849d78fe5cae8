//! Everything that can stop a node, each with the code that the table of codes explains.

use std::path::PathBuf;

use tacit_ledger::{GenesisError, StoreError};
use thiserror::Error;

/// Why a node cannot be made, started or kept running.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The home has no node in it.
    #[error("{0} holds no node: run `tacit node init` first")]
    HomeMissing(PathBuf),
    /// The home already holds a node.
    #[error("{0} already holds a node; a second identity in one home is refused")]
    HomeExists(PathBuf),
    /// Another process holds the home's lock.
    #[error("{0} is in use by another process")]
    HomeLocked(PathBuf),
    /// The database belongs to another chain than the genesis file.
    #[error("the database in this home belongs to chain {stored}, the genesis file says {genesis}")]
    ChainMismatch {
        /// The chain that the database was made for.
        stored: String,
        /// The chain of the genesis file.
        genesis: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration does not parse.
    #[error("{path}: {detail}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        detail: String,
    },
    /// The genesis does not hold.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The TEE refused.
    #[error("the platform refused: {0}")]
    Quote(#[from] tacit_attest::QuoteError),
    /// The guest is of another platform than asked for.
    #[error("this machine attests as {have}, {need} was asked for")]
    OtherPlatform {
        /// What is there.
        have: tacit_attest::Platform,
        /// What was asked for.
        need: tacit_attest::Platform,
    },
    /// The sealed keys belong to another machine.
    #[error(
        "{path} was sealed on chip {sealed}, this machine is chip {have}: bring the disk back to its machine, or give this \
         one keys of its own under the same name by `tacit node rejoin`"
    )]
    OtherChip {
        /// The keyring.
        path: PathBuf,
        /// The chip that sealed it.
        sealed: Box<tacit_attest::ChipId>,
        /// This machine's.
        have: Box<tacit_attest::ChipId>,
    },
    /// The sealed keys belong to another program.
    #[error(
        "{path} was sealed by a program of measurement {sealed}, this one has {have}: run that program, or give this one \
         keys of its own under the same name by `tacit node rejoin`"
    )]
    OtherMeasurement {
        /// The keyring.
        path: PathBuf,
        /// The program that sealed it.
        sealed: Box<tacit_attest::Measurement>,
        /// This one.
        have: Box<tacit_attest::Measurement>,
    },
    /// The sealed keys do not open, and nothing says why.
    #[error(
        "{0} does not open here: it is damaged, or of another platform or release; `tacit node rejoin` gives this node new \
         keys under its name"
    )]
    SealedElsewhere(PathBuf),
    /// The operator's key cannot be used.
    #[error("the operator's key {path}: {detail}")]
    Operator {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Others may read a file that is its owner's.
    #[error("{path} has mode {have:04o}, which lets others read it; it needs {need:04o}")]
    FileMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        have: u32,
        /// What they must be.
        need: u32,
    },
    /// The running node cannot be told anything.
    #[error("{path}: {detail}")]
    Admin {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        detail: String,
    },
    /// The database failed, or holds what this node never wrote.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// A stored record does not decode or contradicts another.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The replica refuses to go on, by name.
    #[error("{detail}")]
    Halted {
        /// The code.
        code: &'static str,
        /// The facts.
        detail: String,
    },
    /// The network could not be started.
    #[error("network: {0}")]
    Network(String),
    /// An address is taken.
    #[error("{address}: {source}")]
    Listen {
        /// The address asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A recovery that does not come about.
    #[error(transparent)]
    Recovery(#[from] tacit_ledger::RecoveryError),
    /// A founder of a recovered chain without the state that the chain begins with.
    #[error("this network goes on from chain {chain}, whose state was not installed here")]
    NoLostState {
        /// The chain that was lost.
        chain: String,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness: {0}")]
    Entropy(String),
}

impl NodeError {
    /// The code under which the table of codes explains this error.
    pub fn code(&self) -> &'static str {
        match self {
            NodeError::HomeMissing(_) => "home.missing",
            NodeError::HomeExists(_) => "home.exists",
            NodeError::HomeLocked(_) => "home.locked",
            NodeError::ChainMismatch { .. } => "home.chain_mismatch",
            NodeError::Config { .. } => "config.invalid",
            NodeError::Recovery(error) => error.code(),
            NodeError::NoLostState { .. } => "recovery.state_missing",
            NodeError::Genesis(_) => "genesis.invalid",
            NodeError::OtherChip { .. } => "key.other_chip",
            NodeError::OtherMeasurement { .. } => "key.other_measurement",
            NodeError::SealedElsewhere(_) => "key.sealed_elsewhere",
            NodeError::Operator { .. } => "key.operator",
            NodeError::FileMode { .. } => "key.file_mode",
            NodeError::Admin { .. } => "admin.unreachable",
            NodeError::Store(error) => error.code(),
            NodeError::Corrupt(_) => "db.corrupt",
            NodeError::Halted { code, .. } => code,
            NodeError::Listen { .. } => "port.in_use",
            NodeError::Quote(_) | NodeError::OtherPlatform { .. } => "quote.failed",
            NodeError::File { source, .. } if is_full(source) => "disk.full",
            NodeError::File { .. } | NodeError::Network(_) | NodeError::Entropy(_) => "internal",
        }
    }

    pub(crate) fn file(path: &std::path::Path, source: std::io::Error) -> Self {
        NodeError::File {
            path: path.to_path_buf(),
            source,
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_full_disk_is_called_so_whatever_file_it_is() {
        let code = |kind: ErrorKind| NodeError::file("keyring".as_ref(), Error::from(kind)).code();
        assert_eq!(code(ErrorKind::StorageFull), "disk.full");
        assert_eq!(code(ErrorKind::QuotaExceeded), "disk.full");
        assert_eq!(code(ErrorKind::PermissionDenied), "internal");
    }
}
