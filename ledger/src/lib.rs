//! What the chain is: canonical types and codec, sealing, the public registry and the private state
//! machine, authenticated state, receipts and light-client proofs, and the store.
//!
//! ```text
//!  wallet side                      chain side                        storage side
//!  account, call ──seal──► envelope ──► batch ──► block               store: Store (memory, rocks)
//!        ▲                               │ open, execute              columns, chainlog
//!        └──────── receipt ◄─────────────┤
//!  query ◄──sealed answer── state::private (blinded map, journal, frames)
//!  light ◄── genesis, epoch, registration ── state::public (registry, epochs, policy)
//! ```
//!
//! Promise: everything here is a pure function of its arguments. Time and randomness are arguments; the one
//! exception is the RocksDB store. Every decoder is bounded before it allocates, refuses trailing bytes and
//! never panics on what others sent. Formats are written down in `docs/wire.md` and `docs/storage.md` and
//! pinned by vectors.
//!
//! Deliberately absent: sockets, async, clocks, ambient randomness; sealed sessions (the tag is reserved and
//! refused by name).

pub mod account;
pub mod amount;
pub mod audit;
pub mod batch;
pub mod call;
pub mod codec;
pub mod codes;
pub mod dealing;
pub mod envelope;
pub mod epoch;
pub mod error;
mod failure;
pub mod genesis;
pub mod governance;
mod json;
pub mod light;
pub mod limits;
pub mod merkle;
mod padding;
pub mod query;
pub mod receipt;
pub mod recovery;
pub mod refusal;
pub mod registration;
pub mod sealing;
pub mod system;
#[cfg(test)]
mod testing;

pub mod chainlog;
pub mod columns;
pub mod memory;
#[cfg(feature = "rocksdb-store")]
pub mod rocks;
pub mod snapshot;
pub mod state;
pub mod store;

pub use account::*;
pub use amount::*;
pub use audit::*;
pub use batch::*;
pub use call::*;
pub use codec::*;
pub use dealing::*;
pub use envelope::*;
pub use epoch::*;
pub use error::*;
pub use genesis::*;
pub use governance::*;
pub use light::*;
pub use limits::*;
pub use merkle::*;
pub use query::*;
pub use receipt::*;
pub use recovery::*;
pub use refusal::*;
pub use registration::*;
pub use sealing::*;
pub use system::*;

pub use chainlog::*;
pub use columns::*;
pub use memory::*;
#[cfg(feature = "rocksdb-store")]
pub use rocks::*;
pub use snapshot::*;
pub use state::*;
pub use store::*;
