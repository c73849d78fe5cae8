//! What kind of world a seed makes.

use super::rng::Rng;

/// What applications want of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Nothing ever.
    None,
    /// A block whenever possible.
    Steady,
    /// Work comes and goes, on each node at other times.
    Bursts,
}

/// All of a run. Times are in virtual milliseconds, rates in per mille.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Everything random follows from it.
    pub seed: u64,
    /// Validators.
    pub n: u16,
    /// Length of the faulty phase.
    pub faulty_ms: u64,
    /// Length of the calm phase at most; it ends earlier when enough has committed.
    pub calm_ms: u64,
    /// Blocks that every live node must commit in the calm phase.
    pub calm_blocks: u64,
    /// Message delays, least and most, in the faulty phase; the calm phase has the least to twice that.
    pub delay_ms: (u64, u64),
    /// Messages lost in the faulty phase.
    pub drop: u64,
    /// Messages delivered twice.
    pub duplicate: u64,
    /// Crashes in ten thousand effects, each before the effect is carried out.
    pub crash: u64,
    /// Mean time between network splits; 0 for none.
    pub split_ms: u64,
    /// What there is to do in the faulty phase; the calm one is steady unless this is `None`.
    pub workload: Workload,
    /// Validators that never run.
    pub dead: Vec<u16>,
    /// Validators (from index 0) that run twice with one key.
    pub twins: u16,
    /// Height whose block closes the epoch.
    pub close_at: Option<u64>,
    /// Whether the reference model judges every transition. A lane of its own does that, so that each checker is seen
    /// to find its planted bug alone.
    pub oracle: bool,
    /// Ed25519 instead of the toy scheme.
    pub real_signatures: bool,
}

impl Options {
    /// No faults at all, steady work for as long as it takes.
    pub fn calm(seed: u64, n: u16) -> Self {
        Self {
            seed,
            n,
            faulty_ms: 0,
            calm_ms: 200_000,
            calm_blocks: 10,
            delay_ms: (5, 20),
            drop: 0,
            duplicate: 0,
            crash: 0,
            split_ms: 0,
            workload: Workload::Steady,
            dead: Vec::new(),
            twins: 0,
            close_at: None,
            oracle: false,
            real_signatures: false,
        }
    }

    /// A mixture of faults that differs from seed to seed.
    pub fn faulty(seed: u64, n: u16) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let faults = (n as u64 - 1) / 3;
        let low = rng.between(1, 30);
        let spread = [10, 50, 300][rng.between(0, 2) as usize];
        // Each faulty validator is either dead or has a twin.
        let twins = if rng.chance(300) {
            rng.between(0, faults)
        } else {
            0
        };
        let dead = if rng.chance(300) {
            rng.between(0, faults - twins)
        } else {
            0
        };
        Self {
            faulty_ms: rng.between(1_000, 6_000),
            delay_ms: (low, low + rng.between(1, spread)),
            drop: if rng.chance(700) { rng.between(0, 300) } else { 0 },
            duplicate: if rng.chance(500) { rng.between(0, 300) } else { 0 },
            crash: if rng.chance(600) { rng.between(5, 200) } else { 0 },
            split_ms: if rng.chance(400) {
                rng.between(200, 2_000)
            } else {
                0
            },
            workload: if rng.chance(700) {
                Workload::Steady
            } else {
                Workload::Bursts
            },
            dead: (0..dead).map(|at| n - 1 - at as u16).collect(),
            twins: twins as u16,
            ..Self::calm(seed, n)
        }
    }
}
