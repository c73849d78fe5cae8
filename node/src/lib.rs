//! A Tacit node: the synchronous [`replica`] (consensus, execution, mempool, keys) and the asynchronous edge that
//! moves bytes and time to and from it, with the HTTP API beside it.
//!
//! Protocol decisions are made in the replica only. A host that runs this process supplies addresses, limits and
//! verbosity through [`config`]; what is accepted is decided by genesis and the ledger.

pub mod admin;
pub mod api;
pub mod clock;
pub mod config;
mod edge;
mod error;
pub mod forecast;
pub mod handle;
pub mod home;
pub mod init;
mod intake;
pub mod keyring;
mod logging;
pub mod mempool;
pub mod metrics;
pub mod operator;
pub mod phase;
pub mod proofs;
mod readiness;
pub mod recovery;
mod renewal;
pub mod replica;
mod runtime;
pub mod serving;
mod shared;
pub mod status;
pub mod system_waiting;
mod trace_file;
mod warnings;
pub mod wire;

/// Whether bugs are planted in this build.
#[doc(hidden)]
pub const PLANTED: bool = tacit_consensus::planted::BUILT || tacit_attest::planted::BUILT;

pub use self::{
    error::NodeError,
    runtime::{RunOptions, run},
};
