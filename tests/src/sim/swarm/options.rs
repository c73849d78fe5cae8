//! What a seed makes of a run.

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::Millis;

use super::{adversary::Adversary, fault::Fault};
use crate::consensus_sim::Rng;

/// One run in so many has real signatures, and another one is run twice.
const SAMPLED: u64 = 50;

/// All of a run. Times are milliseconds of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Everything random follows from it.
    pub seed: u64,
    /// Founders: 4 or 7.
    pub validators: usize,
    /// Ed25519 for consensus, where others have a scheme that costs a hash.
    pub real_signatures: bool,
    /// Whether what is logged is looked through for planted plaintext.
    pub reads_logs: bool,
    /// Whether an observer follows.
    pub observer: bool,
    /// Length of the safety phase.
    pub rough_ms: Millis,
    /// One-way delays of a healthy link, both included.
    pub delay_ms: (Millis, Millis),
    /// Mean time between transfers; 0 for none.
    pub transfer_every_ms: Millis,
    /// Longest time of an epoch.
    pub epoch_ms: Millis,
    /// Whether validators attest again and again.
    pub renewals: bool,
    /// Whether a newcomer joins and a founder leaves.
    pub membership: bool,
    /// A leader's time before it has failed once.
    pub timeout_ms: Millis,
    /// What the first faulty validators are. There are f of them in all; those beyond this list meet what is worse than a
    /// correct node may suffer: disks that lie, clocks that are hours off.
    pub adversaries: Vec<Adversary>,
    /// Kinds of faults that are on: struck packets in a hundred thousand, or mean time between strikes.
    pub faults: BTreeMap<Fault, u64>,
}

impl Swarm {
    /// The run of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7ac1_7000);
        let validators = if rng.chance(120) { 7 } else { 4 };
        let worst = (validators - 1) / 3;
        let mut adversaries = Vec::new();
        for _ in 0..worst {
            if rng.chance(700) {
                let which = rng.between(0, Adversary::ALL.len() as u64 - 1);
                adversaries.push(Adversary::ALL[usize::try_from(which).unwrap_or(0)]);
            }
        }
        let low = rng.between(1, 40);
        let spread = [5, 20, 100][usize::try_from(rng.between(0, 2)).unwrap_or(0)];
        let short = adversaries.contains(&Adversary::InvalidShares) || rng.chance(150);
        let mut faults = BTreeMap::new();
        // Some runs are mild and some are wild.
        let share = rng.between(100, 700);
        for fault in Fault::ALL {
            let (on, size) = (rng.chance(share), rng.between(0, 999));
            if on {
                faults.insert(fault, rate(fault, size));
            }
        }
        Self {
            seed,
            validators,
            real_signatures: seed % SAMPLED == SAMPLED - 1,
            reads_logs: seed % 20 == 7,
            observer: rng.chance(200),
            rough_ms: rng.between(60_000, 1_500_000),
            delay_ms: (low, low + rng.between(1, spread)),
            transfer_every_ms: [0, 2_000, 5_000, 10_000, 30_000, 60_000]
                [usize::try_from(rng.between(0, 5)).unwrap_or(0)],
            epoch_ms: if short {
                rng.between(10_000, 60_000)
            } else {
                3_600_000
            },
            renewals: short && rng.chance(700),
            membership: validators == 4 && rng.chance(150),
            timeout_ms: [500, 1_000, 1_000, 2_000][usize::try_from(rng.between(0, 3)).unwrap_or(0)],
            adversaries,
            faults,
        }
    }

    /// Without faults of any kind: what a healthy network does in a time.
    pub fn calm(seed: u64, rough_ms: Millis, transfer_every_ms: Millis) -> Self {
        Self {
            validators: 4,
            real_signatures: false,
            reads_logs: false,
            observer: false,
            rough_ms,
            delay_ms: (5, 15),
            transfer_every_ms,
            epoch_ms: 3_600_000,
            renewals: false,
            membership: false,
            timeout_ms: 1_000,
            adversaries: Vec::new(),
            faults: BTreeMap::new(),
            ..Self::of(seed)
        }
    }

    /// Whether the seed's run is made twice, to see that it is the same.
    pub fn is_run_twice(&self) -> bool {
        self.seed.is_multiple_of(SAMPLED)
    }

    /// Whether the reference model judges every transition: where nobody lies, runs twice or forgets.
    pub fn is_judged(&self) -> bool {
        self.adversaries.is_empty() && !self.faults.keys().any(|fault| fault.is_beyond_a_correct_node())
    }

    /// Most validators that may be faulty.
    pub fn f(&self) -> usize {
        (self.validators - 1) / 3
    }

    /// The kinds that the seed switched on and this run has off, as a shrunken one does.
    pub fn switched_off(&self) -> BTreeSet<Fault> {
        let all = Self::of(self.seed).faults;
        all.into_keys()
            .filter(|fault| !self.faults.contains_key(fault))
            .collect()
    }

    /// The command that replays it, from the root of the repository.
    pub fn replay(&self) -> String {
        let of_seed = Self::of(self.seed);
        let mut command = format!("tacit-tests sim --seed {}", self.seed);
        let off: Vec<&str> = self.switched_off().into_iter().map(Fault::name).collect();
        if !off.is_empty() {
            command += &format!(" --without {}", off.join(","));
        }
        if self.rough_ms != of_seed.rough_ms {
            command += &format!(" --rough-ms {}", self.rough_ms);
        }
        if self.adversaries != of_seed.adversaries {
            let names: Vec<&str> = self.adversaries.iter().map(|one| one.name()).collect();
            command += &format!(
                " --adversaries {}",
                if names.is_empty() {
                    "none".into()
                } else {
                    names.join(",")
                }
            );
        }
        if self.transfer_every_ms != of_seed.transfer_every_ms {
            command += &format!(" --transfer-every-ms {}", self.transfer_every_ms);
        }
        if self.membership != of_seed.membership {
            command += " --no-membership";
        }
        if self.renewals != of_seed.renewals {
            command += " --no-renewals";
        }
        if self.observer != of_seed.observer {
            command += " --no-observer";
        }
        command
    }
}

/// How much of it, from a number below a thousand: most runs have little of each kind, some much.
fn rate(fault: Fault, size: u64) -> u64 {
    let steep = size * size / 1_000;
    match fault {
        Fault::Loss | Fault::Duplicate | Fault::Reorder | Fault::Delay => 200 + steep * 20,
        Fault::Unanswered | Fault::LateAnswer | Fault::WrongAnswer => 1_000 + steep * 30,
        Fault::Corrupt | Fault::Replay => 50 + steep * 5,
        Fault::CrashAll => 60_000 + size * 200,
        Fault::ImageRestored | Fault::BlockDamaged => 20_000 + size * 100,
        _ => 4_000 + size * 60,
    }
}
