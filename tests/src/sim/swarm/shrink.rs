//! A failing run made smaller: kinds of faults are switched off one after the other, the adversaries, the observer and the
//! transfers left out, the safety phase shortened, as long as it fails under the same name.

use super::{
    options::Swarm,
    outcome::{Failure, run},
};

/// The smallest run found within `budget` runs, its failure, and how many runs that took.
pub fn shrink(failing: &Swarm, failure: &Failure, budget: usize) -> (Swarm, Failure, usize) {
    let (mut best, mut known, mut tried) = (failing.clone(), failure.clone(), 0);
    loop {
        let mut smaller = false;
        for candidate in candidates(&best) {
            if tried == budget {
                return (best, known, tried);
            }
            tried += 1;
            if let Err(found) = run(&candidate)
                && found.name == known.name
            {
                (best, known, smaller) = (candidate, found, true);
                break;
            }
        }
        if !smaller {
            return (best, known, tried);
        }
    }
}

/// Runs that are smaller by one thing each, the largest savings first.
fn candidates(of: &Swarm) -> Vec<Swarm> {
    let mut all = Vec::new();
    for part in [4, 2] {
        if of.rough_ms > 2_000 {
            all.push(Swarm {
                rough_ms: of.rough_ms / part,
                ..of.clone()
            });
        }
    }
    // Half of the kinds at once, then each.
    let kinds: Vec<_> = of.faults.keys().copied().collect();
    if kinds.len() > 3 {
        for half in [&kinds[..kinds.len() / 2], &kinds[kinds.len() / 2..]] {
            let mut less = of.clone();
            less.faults.retain(|fault, _| !half.contains(fault));
            all.push(less);
        }
    }
    if !of.adversaries.is_empty() {
        all.push(Swarm {
            adversaries: Vec::new(),
            ..of.clone()
        });
    }
    for kind in kinds {
        let mut less = of.clone();
        less.faults.remove(&kind);
        all.push(less);
    }
    if of.membership {
        all.push(Swarm {
            membership: false,
            ..of.clone()
        });
    }
    if of.renewals {
        all.push(Swarm {
            renewals: false,
            ..of.clone()
        });
    }
    if of.observer {
        all.push(Swarm {
            observer: false,
            ..of.clone()
        });
    }
    if of.transfer_every_ms > 0 {
        all.push(Swarm {
            transfer_every_ms: 0,
            ..of.clone()
        });
    }
    all
}
