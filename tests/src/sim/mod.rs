//! Networks of whole replicas in one process, in virtual time, from one seed.
//!
//! ```text
//! node.rs     a node: its replica, what outlives it, what it reported
//! world.rs    the network: clock, queue of events, delay, loss, cuts, a crooked sender
//! carry.rs    effects carried out as the node's edge does
//! checker.rs  what must hold at every step of every run: one chain, one state, nothing signed twice
//! founders.rs keys, evidence and genesis; vault.rs where a keyring is kept
//! wallet.rs   clients; members.rs members and validators: what they sign for the public lane
//! verbs.rs    what stories make happen: turns, newcomers, suspensions, disks that are set back
//! loot.rs     a thief: what keyrings and the chain lead to
//! clock.rs    a node's clock; toy.rs signatures that cost a hash; leak.rs planted plaintext
//! swarm/      runs under every mixture of faults and adversaries, one a seed
//! ```

pub mod carry;
pub mod checker;
pub mod clock;
pub mod founders;
pub mod leak;
pub mod loot;
pub mod members;
pub mod node;
pub mod swarm;
pub mod toy;
pub mod vault;
pub mod verbs;
pub mod wallet;
mod wire;
pub mod world;

use crate::seeds::seeds;

/// Seeds of a story that is told over and over: three, where nothing else is asked for ([`seeds`]). Each is printed as its turn
/// comes.
pub fn story_seeds() -> impl Iterator<Item = u64> {
    seeds(3).inspect(|seed| println!("seed {seed}"))
}

/// Whether such a story has real signatures for consensus: the first ones, and every fiftieth where there are many.
pub fn has_real_signatures(seed: u64) -> bool {
    seed < 3 || seed.is_multiple_of(50)
}
