//! Local networks of real processes: made from a seed, started, driven, broken, put under load, searched for leaks.
//!
//! ```text
//!             Testnet::up / attach                  load            leakscan
//!                    │                                │                 │
//!   founding ── seed, genesis, homes, wallets      purses of         homes, logs,
//!   ports ───── a free run, reserved               the wallet        API answers
//!   process ─── spawn, pid file, signals           crate, sealing    with a positive
//!   status ──── what nodes say                     for real          control
//!   links ───── the proxy: cuts, delays
//!   spaces ──── network namespaces: cuts in the kernel
//!   adversary ─ raw peers with a validator's keys
//! ```
//!
//! Promise: every node is one process of the one binary, as an operator would run it, on loopback; "ready" means
//! that a sealed transfer was committed and its receipt verified by the wallet crate; what is stopped keeps its state; only
//! processes whose command line names a node's home are ever signalled, and only folders that this tool made are
//! ever emptied.
//!
//! Limits: Linux (`/proc`, pidfd). The TEE is simulated, so nothing here protects memory, and all keys come from a small
//! seed. The proxy cuts and slows links with TCP's view of it: nothing is lost, reordered or corrupted within a connection. In
//! namespaces packets are lost, and nothing is slow. Deliberately absent: test assertions; containers.

mod adversary;
mod error;
mod event;
mod facts;
mod flood;
mod founding;
mod http;
mod interrupt;
mod leak;
mod life;
mod links;
mod load;
mod log;
mod members;
mod options;
mod pause;
mod ports;
mod prepare;
mod process;
mod proxy;
mod purse;
mod seeds;
mod spaces;
mod stats;
mod status;
mod testnet;

pub use adversary::{Adversary, AdversaryReport, crook};
pub use error::Error;
pub use event::Event;
pub use facts::{Build, FACTS_FILE, FACTS_VERSION, Facts, NodeFacts, NodeRole, WalletFacts};
pub use flood::{Flood, FloodOptions, FloodReport, seal_flood};
pub use founding::authority_file as authority;
pub use leak::{
    Captured, Control, Encoding, Extent, Hit, LeakReport, MAX_WORD, MAX_WORDS, MIN_WORD, Searched, Word,
    leakscan,
};
pub use life::{Joined, Left, RolledBack, Upgraded};
pub use links::{Delay, Link, Links, MAX_DELAY_MS, Slow};
pub use load::{LoadKind, LoadOptions, LoadReport, MAX_RATE, MAX_SECONDS, MAX_WALLETS, load, load_until};
pub use options::{DEFAULT_BASE_PORT, DEFAULT_DIR, MAX_ACCOUNTS, MAX_LOAD_ACCOUNTS, MAX_NODES, Options};
pub use process::ProcessState;
pub use proxy::proxy;
pub use spaces::can_have_namespaces;
pub use stats::Percentiles;
pub use status::{NodeState, NodeStatus};
pub use testnet::{Ended, Stopped, Testnet};
