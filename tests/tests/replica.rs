//! Stories about the replica, over the world of `tacit_tests::sim`: a network of real ones in memory, in virtual time,
//! from one seed.

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
#[path = "replica/judged.rs"]
mod judged;
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
