//! What the whole-system tests share: the deterministic consensus simulator and the making of networks of real
//! processes. Nothing depends on this crate.

pub mod bad_evidence;
pub mod consensus_sim;
pub mod explore;
pub mod faults;
pub mod fuzz;
pub mod network;
pub mod oracle;
pub mod planted;
pub mod report;
pub mod seeds;
pub mod sim;
pub mod twins;
