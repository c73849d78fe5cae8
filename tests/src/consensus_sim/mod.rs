//! The consensus core in a world that is one seed: virtual time, one event queue, a network and disks that
//! lose things, and a checker that restates the invariants without asking the core.
//!
//! ```text
//!  Options --> World --(events)--> Core ... Core      each with an Application and a Disk
//!                 \--(everything sent and committed)--> Checker
//! ```
//! A run has a faulty phase and then a calm one, in which blocks must commit again. A crash keeps what was
//! synced and a random prefix of what was not, and may fall between any two effects of a step.
//! Deliberately absent: lying validators other than twins (two cores with one key), several epochs.

mod application;
mod checker;
mod flood;
mod host;
mod node;
mod options;
mod rng;
pub(crate) mod toy;
mod world;

pub use self::flood::flood;
pub use self::options::{Options, Workload};
pub use self::rng::Rng;
pub use self::world::{Report, run, run_traced};

/// All ways to choose `k` of `0..n`, each ascending.
pub fn combinations(n: u16, k: usize) -> Vec<Vec<u16>> {
    let mut found = vec![Vec::new()];
    for _ in 0..k {
        found = found
            .into_iter()
            .flat_map(|chosen: Vec<u16>| {
                let from = chosen.last().map_or(0, |last| last + 1);
                (from..n).map(move |next| chosen.iter().copied().chain([next]).collect())
            })
            .collect();
    }
    found
}
