//! What can go wrong with a local network, and whose move it is.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failure of the testnet tool. [`Error::code`] names it in the project's table of codes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller asked for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The folder holds things that this tool did not make; it is neither reused nor deleted.
    #[error("{} is not empty and holds no testnet: choose another --dir", .dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// The network in the folder runs already.
    #[error("the network in {} is running already ({running} of {nodes} nodes); stop it first: tacit testnet down", .dir.display())]
    Running {
        /// The folder.
        dir: PathBuf,
        /// How many nodes run.
        running: usize,
        /// How many nodes the network has.
        nodes: usize,
    },
    /// Another command is changing this network right now.
    #[error("another command is at work on {}", .dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no network in the folder.
    #[error("no network in {}: start one with: tacit testnet up", .dir.display())]
    Absent {
        /// The folder.
        dir: PathBuf,
    },
    /// The network has no such node.
    #[error("no node {node} in a network of {nodes}")]
    UnknownNode {
        /// What was asked for, by name or number.
        node: String,
        /// How many nodes there are.
        nodes: usize,
    },
    /// The node is not running.
    #[error("{name} is not running")]
    NotRunning {
        /// The node.
        name: String,
    },
    /// The links of the network do not go through its proxy.
    #[error("the links of the network in {} do not go through a proxy: stop it, then: tacit testnet up --proxy", .dir.display())]
    NoProxy {
        /// The folder.
        dir: PathBuf,
    },
    /// Nodes cannot have network namespaces of their own here.
    #[error("no network namespaces: {detail}")]
    NoNamespaces {
        /// Why not.
        detail: String,
    },
    /// The binary is not the one whose measurement the genesis admits.
    #[error(
        "{} is not the binary that this network was made with: the genesis admits that one alone", .binary.display()
    )]
    BinaryChanged {
        /// The binary.
        binary: PathBuf,
        /// Its measurement now, hex.
        have: String,
        /// The measurement in the genesis policy, hex.
        need: String,
    },
    /// A port is taken and ports were asked to be strict.
    #[error("port {port} is in use; another --base-port, or leave out --strict-ports")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// No run of free ports above the base.
    #[error("no {nodes} free pairs of ports from {base} up")]
    NoFreePorts {
        /// Where the search began.
        base: u16,
        /// How many nodes need ports.
        nodes: usize,
    },
    /// A node's process ended while it was awaited.
    #[error("{name} exited while starting; end of {}:\n{tail}", .log.display())]
    Exited {
        /// The node.
        name: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The network did not get ready in time.
    #[error("not ready after {} s: {waiting_for}", .after.as_secs())]
    NotReady {
        /// How long it was given.
        after: Duration,
        /// What was missing.
        waiting_for: String,
    },
    /// A process did not do what it was told.
    #[error("{name} (pid {pid}) {what}")]
    Process {
        /// The node.
        name: String,
        /// Its process.
        pid: u32,
        /// What went wrong.
        what: String,
    },
    /// Genesis or a home could not be made.
    #[error("making the network: {what}: {detail}")]
    Founding {
        /// The step.
        what: &'static str,
        /// The reason that the node or ledger crate gave.
        detail: String,
    },
    /// A wallet refused; its own code is kept.
    #[error("wallet {wallet}: {detail}")]
    Wallet {
        /// The wallet.
        wallet: String,
        /// Code of the table.
        code: &'static str,
        /// The reason.
        detail: String,
    },
    /// A node's API did not answer, or answered something else than was asked.
    #[error("{url}: {detail}")]
    Api {
        /// What was asked.
        url: String,
        /// What came.
        detail: String,
    },
    /// `testnet.json` cannot be read.
    #[error("{}: {detail}", .path.display())]
    Facts {
        /// The file.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
    /// A file or folder could not be used.
    #[error("{what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A node's wish was refused by the chain; its own code is kept.
    #[error("{name}: {detail}")]
    Refused {
        /// The node.
        name: String,
        /// Code of the table.
        code: &'static str,
        /// The reason.
        detail: String,
    },
    /// A node's command failed.
    #[error("{name}: {command} ended with {code}: {said}")]
    Command {
        /// The node.
        name: String,
        /// The words of the command.
        command: String,
        /// How it ended.
        code: String,
        /// What it said.
        said: String,
    },
    /// No copy of the node's home was saved.
    #[error("no copy of the home of {name} was saved")]
    NotSaved {
        /// The node.
        name: String,
    },
    /// SIGINT or SIGTERM arrived; what had been started was stopped.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The name in the project's table of codes (exit status, hint).
    pub fn code(&self) -> &'static str {
        match self {
            Error::Usage(_) => "usage.invalid",
            Error::Foreign { .. } => "home.exists",
            Error::Running { .. } | Error::BinaryChanged { .. } => "testnet.exists",
            Error::Busy { .. } => "home.locked",
            Error::Absent { .. } | Error::NotRunning { .. } => "testnet.not_running",
            Error::NoProxy { .. } => "testnet.no_proxy",
            Error::NoNamespaces { .. } => "testnet.no_namespaces",
            Error::UnknownNode { .. } => "testnet.unknown_node",
            Error::PortInUse { .. } | Error::NoFreePorts { .. } => "port.in_use",
            Error::Exited { .. } | Error::NotReady { .. } => "testnet.not_ready",
            Error::Founding { .. } => "genesis.invalid",
            Error::Wallet { code, .. } | Error::Refused { code, .. } => code,
            Error::NotSaved { .. } => "testnet.not_saved",
            Error::Api { .. } => "rpc.unreachable",
            Error::Facts { .. } => "config.invalid",
            Error::Process { .. } | Error::Command { .. } | Error::Io { .. } | Error::Interrupted => {
                "internal"
            }
        }
    }

    /// Whether the user stopped it; a command then ends with status 130 instead of the code's.
    pub fn is_interrupt(&self) -> bool {
        matches!(self, Error::Interrupted)
    }
}

/// Adds what was tried and on which path to an I/O error.
pub(crate) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { what, path, source }
}
