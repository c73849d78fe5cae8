//! Stories about the replica: a network of real ones in memory, in virtual time, from one seed.
//!
//! ```text
//! node.rs     a node: its replica, what outlives it, what it reported
//! world.rs    the network: clock, queue of events, delay, loss, cuts, a crooked sender
//! members.rs  members and validators: what they sign for the public lane
//! loot.rs     a thief: what keyrings and the chain lead to
//! carry.rs    effects carried out as the node's edge does
//! checker.rs  what must hold at every step of every story: one chain, one state, nothing signed twice
//! ```

#[path = "replica/carry.rs"]
mod carry;
#[path = "replica/checker.rs"]
mod checker;
#[path = "replica/founders.rs"]
mod founders;
#[path = "replica/loot.rs"]
mod loot;
#[path = "replica/members.rs"]
mod members;
#[path = "replica/node.rs"]
mod node;
#[path = "replica/vault.rs"]
mod vault;
#[path = "replica/wallet.rs"]
mod wallet;
#[path = "replica/world.rs"]
mod world;

#[path = "replica/batches.rs"]
mod batches;
#[path = "replica/catching_up.rs"]
mod catching_up;
#[path = "replica/clones.rs"]
mod clones;
#[path = "replica/crashes.rs"]
mod crashes;
#[path = "replica/disk.rs"]
mod disk;
#[path = "replica/dropped.rs"]
mod dropped;
#[path = "replica/epochs.rs"]
mod epochs;
#[path = "replica/first_epoch.rs"]
mod first_epoch;
#[path = "replica/forgetting.rs"]
mod forgetting;
#[path = "replica/hostile.rs"]
mod hostile;
#[path = "replica/leaders.rs"]
mod leaders;
#[path = "replica/life.rs"]
mod life;
#[path = "replica/membership.rs"]
mod membership;
#[path = "replica/pace.rs"]
mod pace;
#[path = "replica/pruning.rs"]
mod pruning;
#[path = "replica/reading.rs"]
mod reading;
#[path = "replica/recovery.rs"]
mod recovery;
#[path = "replica/rollback.rs"]
mod rollback;
#[path = "replica/rotation.rs"]
mod rotation;
#[path = "replica/snapshots.rs"]
mod snapshots;
#[path = "replica/system.rs"]
mod system;
#[path = "replica/trace.rs"]
mod trace;
