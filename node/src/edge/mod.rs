//! The asynchronous edge: it moves bytes and time to and from the replica, and decides nothing.
//!
//! ```text
//!   p2p events ──▶ inbound.rs ──▶ channel ──▶ replica thread (driver.rs) ──▶ outbound.rs ──▶ p2p
//!   HTTP       ──▶ handle.rs  ──▶    │                                   └─▶ watch, metrics, answers
//!   opening of envelopes and reading of old blocks: blocking threads
//! ```

mod driver;
mod inbound;
mod outbound;
mod timed_store;

pub(crate) use self::{
    driver::spawn_replica,
    inbound::{GossipTokens, serve_network},
    timed_store::TimedStore,
};
