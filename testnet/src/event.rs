//! What `up` tells while it works, in the words that the command prints.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A step of [`crate::Testnet::up`]; its `Display` is one line for a person.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Always first.
    Simulated,
    /// A new network is made in the folder.
    Creating {
        /// The folder.
        dir: PathBuf,
        /// Source of all keys.
        seed: u64,
    },
    /// The folder held a network that had never been finished; it was thrown away.
    Discarded {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder held a network; it goes on.
    Resuming {
        /// The folder.
        dir: PathBuf,
        /// The newest height seen when it last ran.
        height: u64,
        /// Source of all keys.
        seed: u64,
        /// Options that differ from the network's and do not count, such as `validators 4 (it has 7)`.
        ignored: Vec<String>,
    },
    /// The ports asked for were taken.
    PortsMoved {
        /// First port asked for.
        from: u16,
        /// First port used.
        to: u16,
    },
    /// A node's process was started.
    Started {
        /// The node.
        name: String,
        /// Its process.
        pid: u32,
    },
    /// A node serves its API.
    NodeReady {
        /// The node.
        name: String,
        /// Base of its API.
        rpc: String,
        /// Port for its peers.
        p2p_port: u16,
    },
    /// The wallets.
    Wallets {
        /// Their names.
        names: Vec<String>,
        /// File with the passphrase of all of them.
        password_file: PathBuf,
    },
    /// Who changes the policy.
    Members {
        /// Their wallets' names.
        names: Vec<String>,
        /// How many of them adopt a policy.
        threshold: u16,
    },
    /// Where the facts stand.
    Facts {
        /// `testnet.json`.
        path: PathBuf,
    },
    /// A node on its way in or out has come to another point.
    Step {
        /// The node.
        name: String,
        /// Where it is, or what was done.
        what: String,
    },
    /// A sealed transfer was committed, its receipt verified.
    Ready {
        /// Since the start of `up`.
        after: Duration,
        /// The height that the transfer is in.
        height: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Simulated => {
                write!(
                    f,
                    "SIMULATED TEE: this network has no hardware protection. For development only."
                )
            }
            Event::Creating { dir, seed } => write!(f, "making {} (seed {seed})", dir.display()),
            Event::Discarded { dir } => {
                write!(f, "{} held an unfinished network, thrown away", dir.display())
            }
            Event::Resuming {
                dir,
                height,
                seed,
                ignored,
            } => {
                write!(
                    f,
                    "resuming {} (height {height}, seed {seed}); --reset starts over",
                    dir.display()
                )?;
                if !ignored.is_empty() {
                    write!(f, "\nignored   {}", ignored.join(", "))?;
                }
                Ok(())
            }
            Event::PortsMoved { from, to } => write!(f, "ports     {from} and up are taken, using {to}"),
            Event::Started { name, pid } => write!(f, "{name:<9} started  pid {pid}"),
            Event::NodeReady { name, rpc, p2p_port } => write!(f, "{name:<9} ready  {rpc}   p2p {p2p_port}"),
            Event::Wallets { names, password_file } => write!(
                f,
                "wallets   {}   (dev seeds, never reuse; passphrase in {})",
                names.join(" "),
                password_file.display()
            ),
            Event::Members { names, threshold } => {
                write!(
                    f,
                    "members   {}   (tacit gov: {threshold} of them change the policy)",
                    names.join(" ")
                )
            }
            Event::Facts { path } => write!(f, "facts     {}", path.display()),
            Event::Step { name, what } => write!(f, "{name:<9} {what}"),
            Event::Ready { after, height } => write!(
                f,
                "ready in {:.1} s: a sealed transaction committed at height {height}",
                after.as_secs_f64()
            ),
        }
    }
}
