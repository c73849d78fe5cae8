//! The swarm: worlds of whole replicas under every mixture of faults and adversaries, one a seed.
//!
//! ```text
//! options.rs    what a seed makes of a run, and the command that replays it
//! fault.rs      every kind of fault by name        weather.rs  those that strike packets
//!                                                  disturb.rs  those that have moments of their own
//! adversary.rs  every kind of crooked validator by name
//! phases.rs     safety under faults, then a healthy core that must commit
//! inspect.rs    what must hold when it has ended   outcome.rs  what it came to, or the name of its failure
//! shrink.rs     a failing run made smaller         lane.rs     many runs, their figures
//! ```
//!
//! At most f validators of a run are suspect: adversaries, or machines whose disk, clock or host breaks more than a correct
//! node may suffer. All others meet everything else: loss, delay, cuts, kills at any event and between any two effects, power
//! cuts at any write, failing writes and syncs, full disks, pauses, clocks that are a little off.

pub mod adversary;
mod disturb;
pub mod fault;
mod inspect;
pub mod lane;
pub mod options;
pub mod outcome;
mod phases;
pub mod shrink;
pub(super) mod weather;

pub use self::phases::LIVE_WITHIN_MS;
