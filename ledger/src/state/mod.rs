//! The state of the chain: private, which TEEs alone know, and public, which everybody does.
//!
//! ```text
//! private   execute ─► context (journal) ─► modules {token, names, mail}
//!              │
//!              └► history (values, undo) ─► tree (blinded leaves) ─► private_root, proofs
//!                    │
//!                    └► frame, checkpoint ─► sealed, on disk
//! public    ordinary transactions ─► registry: registrations, policies, suspensions, collateral ─┐
//!           end of an epoch (tail) ─► decision ─► records ───────────────────────────────────────┴► tree ─► public_root
//! ```

mod ballot;
pub mod context;
pub mod error;
pub mod execute;
pub mod frame;
pub mod history;
pub mod key;
mod members;
pub mod modules;
pub mod outlook;
pub mod private;
pub mod public;
pub mod registry;
pub mod seats;
pub mod stored;
pub mod tail;
pub mod tree;
mod verdicts;

pub use context::{BlockContext, Context, Mark, View};
pub use error::{FrameError, ReadError};
pub use execute::{Executable, charge};
pub use frame::*;
pub use history::KEEP_VERSIONS;
pub use key::*;
pub use modules::{Module, mail::*, names::*, token::*};
pub use outlook::*;
pub use private::{BlockOutcome, PrivateState, verify_entry};
pub use public::*;
pub use registry::{AdoptedPolicy, Adoption, Convicted, Leaving, OpenProposal, Registered, Suspended};
pub use seats::Decision;
pub use stored::MAX_PUBLIC_STATE_BYTES;
pub use tail::*;
pub use tree::{AuthenticatedMap, LeafWrite, MAX_TREE_DEPTH, MAX_TREE_PROOF_BYTES, verify_membership};
pub use verdicts::Verdicts as EvidenceVerdicts;
