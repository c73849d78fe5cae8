//! R16: which leaders are passed over, because their newest turns came to nothing.
//!
//! ```text
//!   views      1   2   3   4 | 5   6   7   8 | 9  10  11  12 |
//!   leader     A   B   C   D | A   B   C   D | A   B   C   D |
//!   committed  x   x   x     | x   x   x     | x   x   x     |     D has failed 3 times in a row
//! ```
//! A committed block shows in which view it was proposed; every view below the newest one that has no committed
//! block is a turn that its leader failed. So whoever has committed the same blocks counts the same, after a restart
//! too. It is a hint: it moves the moment at which a view is given up, and no rule of safety asks for it. Two
//! validators that have not committed the same blocks yet may differ in it, at the cost of a view.

use crate::types::View;
use std::collections::{BTreeMap, BTreeSet};

/// Failed turns beyond which they are no longer counted: memory and work stay bounded, and a leader is tried
/// again every so many turns for ever.
const MANY: u32 = 64;

/// Failed turns in a row, and what follows from them. At most one small entry a validator.
#[derive(Debug, Clone)]
pub(crate) struct Reputation {
    n: u64,
    f: usize,
    /// View of the newest committed block; 0 for none.
    tip: View,
    failed: BTreeMap<u16, u32>,
    /// The worst, at most f.
    worst: BTreeSet<u16>,
}

impl Reputation {
    /// Nothing is known against anybody from the view after `tip` on.
    pub(crate) fn new(n: usize, f: usize, tip: View) -> Self {
        Self {
            n: n.max(1) as u64,
            f,
            tip,
            failed: BTreeMap::new(),
            worst: BTreeSet::new(),
        }
    }

    /// How many of the newest committed views decide everything: what a restart should recall.
    pub(crate) fn memory(n: usize) -> u64 {
        (n as u64).saturating_mul(u64::from(MANY) + 1)
    }

    /// The next committed block is of this view.
    pub(crate) fn committed(&mut self, view: View, leader: impl Fn(View) -> u16) {
        if view <= self.tip {
            return;
        }
        // In a gap longer than that, everybody has failed as often as is counted.
        let memory = self.n.saturating_mul(u64::from(MANY) + 1);
        let first = self.tip.saturating_add(1).max(view.saturating_sub(memory));
        for lost in first..view {
            let failed = self.failed.entry(leader(lost)).or_default();
            *failed = (*failed + 1).min(MANY);
        }
        self.failed.remove(&leader(view));
        self.tip = view;
        let mut worst: Vec<(u32, u16)> = self
            .failed
            .iter()
            .map(|(leader, failed)| (*failed, *leader))
            .collect();
        worst.sort_by_key(|(failed, leader)| (std::cmp::Reverse(*failed), *leader));
        self.worst = worst.into_iter().take(self.f).map(|(_, leader)| leader).collect();
    }

    /// Whether this leader's turn is given up at once in this view. After 2, 4, 8, 16 and 32 failed turns it gets
    /// a whole one again, then every 64th.
    pub(crate) fn passes_over(&self, leader: u16, view: View) -> bool {
        let failed = self.failed.get(&leader).copied().unwrap_or(0);
        let tried = if failed >= MANY {
            (view / self.n).is_multiple_of(u64::from(MANY))
        } else {
            failed >= 2 && failed.is_power_of_two()
        };
        self.worst.contains(&leader) && !tried
    }

    /// Those with the most failed turns in a row, at most f.
    pub(crate) fn worst(&self) -> impl Iterator<Item = u16> + '_ {
        self.worst.iter().copied()
    }

    /// All that decides, for comparing two cores.
    pub(crate) fn facts(&self) -> (View, &BTreeMap<u16, u32>) {
        (self.tip, &self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(view: View) -> u16 {
        (view % 4) as u16
    }

    fn of(views: impl IntoIterator<Item = View>) -> Reputation {
        let mut reputation = Reputation::new(4, 1, 0);
        views
            .into_iter()
            .for_each(|view| reputation.committed(view, leader));
        reputation
    }

    #[test]
    fn a_dead_leader_is_tried_ever_more_rarely_and_one_that_returns_is_trusted_at_once() {
        let mut reputation = of([]);
        let mut tried = Vec::new();
        for turn in 0..200u64 {
            let view = 4 * turn + 3;
            if !reputation.passes_over(3, view) {
                tried.push(turn);
            }
            [view - 2, view - 1, view + 1]
                .into_iter()
                .for_each(|view| reputation.committed(view, leader));
        }
        assert_eq!(tried, [0, 2, 4, 8, 16, 32, 64, 128, 192]);
        assert!((0..3).all(|other| !reputation.passes_over(other, 804 + u64::from(other))));
        (801..804).for_each(|view| reputation.committed(view, leader));
        assert!((0..4).all(|any| !reputation.passes_over(any, 808)));
    }

    #[test]
    fn never_more_than_f_are_passed_over_and_the_worst_come_first() {
        let reputation = of([4, 5, 8]);
        assert_eq!(reputation.worst().collect::<Vec<_>>(), [2]);
        assert_eq!(reputation.facts().1.values().copied().collect::<Vec<_>>(), [2, 2]);
        // An absurd gap costs no more than a short one.
        let reputation = of([1, u64::MAX]);
        assert_eq!(reputation.facts().1.len(), 3);
    }

    #[test]
    fn what_is_recalled_is_what_was_known() {
        let views: Vec<View> = (1..2_000)
            .filter(|view| view % 4 != 2 && view % 28 != 5)
            .collect();
        let known = of(views.iter().copied());
        let memory = Reputation::memory(4) as usize;
        let newest = views.len() - memory;
        let mut recalled = Reputation::new(4, 1, views[newest]);
        views[newest..]
            .iter()
            .for_each(|view| recalled.committed(*view, leader));
        assert_eq!(known.facts(), recalled.facts());
    }
}
