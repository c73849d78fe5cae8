//! What became of the transactions of the public lane that this node took in: waiting, or dropped and why. What is
//! committed is in the store.

use std::collections::{BTreeMap, VecDeque};

use tacit_consensus::{Digest, Millis};

use crate::handle::Problem;

/// Ids remembered of each sort; the oldest are forgotten.
const MAX_REMEMBERED: usize = 4_096;

/// What this node knows of a transaction of the public lane that is in no committed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemState {
    /// Taken in, not committed yet.
    Pending {
        /// When it was taken in, by this node's clock.
        since_ms: Millis,
    },
    /// Taken in, and let go of because the state has moved on.
    Dropped(Problem),
    /// Never seen here, or forgotten by a restart.
    Unknown,
}

/// See the module.
#[derive(Default)]
pub(crate) struct SystemWaiting {
    waiting: Remembered<Millis>,
    dropped: Remembered<Problem>,
}

impl SystemWaiting {
    /// It waits from now on.
    pub(crate) fn wait_for(&mut self, id: Digest, now: Millis) {
        self.dropped.forget(&id);
        self.waiting.keep(id, now);
    }

    /// It waits no longer.
    pub(crate) fn let_go(&mut self, id: Digest, problem: Problem) {
        self.waiting.forget(&id);
        self.dropped.keep(id, problem);
    }

    /// They are in a committed block.
    pub(crate) fn committed(&mut self, ids: &[Digest]) {
        for id in ids {
            self.waiting.forget(id);
            self.dropped.forget(id);
        }
    }

    /// What is known of one.
    pub(crate) fn state(&self, id: &Digest) -> SystemState {
        if let Some(problem) = self.dropped.get(id) {
            SystemState::Dropped(problem.clone())
        } else if let Some(since_ms) = self.waiting.get(id) {
            SystemState::Pending { since_ms: *since_ms }
        } else {
            SystemState::Unknown
        }
    }
}

/// A map that forgets its oldest entries.
struct Remembered<T> {
    entries: BTreeMap<Digest, (u64, T)>,
    order: VecDeque<(u64, Digest)>,
    next: u64,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            next: 0,
        }
    }
}

impl<T> Remembered<T> {
    fn keep(&mut self, id: Digest, value: T) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(id, (number, value));
        self.order.push_back((number, id));
        while self.order.len() > MAX_REMEMBERED {
            if let Some((number, oldest)) = self.order.pop_front()
                && self.entries.get(&oldest).is_some_and(|entry| entry.0 == number)
            {
                self.entries.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, id: &Digest) {
        // Its place in the order stays and names nothing: it falls off in its turn.
        self.entries.remove(id);
    }

    fn get(&self, id: &Digest) -> Option<&T> {
        self.entries.get(id).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> Digest {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
        Digest(bytes)
    }

    #[test]
    fn each_goes_from_pending_to_its_end() {
        let mut system = SystemWaiting::default();
        assert_eq!(system.state(&id(1)), SystemState::Unknown);
        system.wait_for(id(1), 7);
        assert_eq!(system.state(&id(1)), SystemState::Pending { since_ms: 7 });
        let problem = Problem::new("gov.version", "version 3 is in force");
        system.let_go(id(1), problem.clone());
        assert_eq!(system.state(&id(1)), SystemState::Dropped(problem));
        system.wait_for(id(1), 9);
        assert_eq!(system.state(&id(1)), SystemState::Pending { since_ms: 9 });
        system.committed(&[id(1)]);
        assert_eq!(system.state(&id(1)), SystemState::Unknown, "the store knows it");
    }

    #[test]
    fn the_oldest_are_forgotten_and_one_that_came_again_is_not_the_oldest() {
        let mut system = SystemWaiting::default();
        system.wait_for(id(0), 0);
        system.wait_for(id(1), 0);
        system.wait_for(id(0), 1);
        (2..MAX_REMEMBERED + 1).for_each(|n| system.wait_for(id(n), 2));
        assert_eq!(system.state(&id(1)), SystemState::Unknown);
        assert_eq!(system.state(&id(0)), SystemState::Pending { since_ms: 1 });
        assert!(system.waiting.order.len() <= MAX_REMEMBERED);
    }
}
