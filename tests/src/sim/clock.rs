//! A node's own clock, which may be wrong, run fast or slow, jump and stand still.

use tacit_consensus::Millis;

/// A clock that shows `shown` at the world's time `since`, and goes on at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    since: Millis,
    shown: Millis,
    per_mille: u64,
}

impl Default for Clock {
    /// One that is right.
    fn default() -> Self {
        Self {
            since: 0,
            shown: 0,
            per_mille: 1_000,
        }
    }
}

impl Clock {
    /// What it shows when the world's time is `now`.
    pub fn read(&self, now: Millis) -> Millis {
        let passed = u128::from(now.saturating_sub(self.since)) * u128::from(self.per_mille) / 1_000;
        self.shown
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first time of the world, not before `now`, at which it shows `at` or more; none where it stands still before it.
    pub fn when(&self, at: Millis, now: Millis) -> Option<Millis> {
        if self.read(now) >= at {
            return Some(now);
        }
        let missing = u128::from(at.saturating_sub(self.shown));
        let passed = (missing * 1_000).div_ceil(u128::from(self.per_mille).checked_sub(1)? + 1);
        Some(self.since.saturating_add(u64::try_from(passed).ok()?).max(now))
    }

    /// From `now` on it runs at this rate, in thousandths of the true one; 0 stops it.
    pub fn run(&mut self, now: Millis, per_mille: u64) {
        (self.shown, self.since, self.per_mille) = (self.read(now), now, per_mille);
    }

    /// It jumps by so much, in milliseconds.
    pub fn step(&mut self, now: Millis, by: i64) {
        let shown = self.read(now);
        (self.shown, self.since) = (shown.saturating_add_signed(by), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_the_inverse_of_read_at_every_rate() {
        for per_mille in [1, 500, 999, 1_000, 1_001, 2_000] {
            let mut clock = Clock::default();
            clock.run(10_000, per_mille);
            clock.step(10_000, -3_000);
            for at in [1, 7_000, 7_001, 8_234, 123_456] {
                let when = clock.when(at, 10_500).expect("it runs");
                assert!(clock.read(when) >= at);
                assert!(when == 10_500 || clock.read(when - 1) < at, "{per_mille} {at}");
            }
        }
        let mut stopped = Clock::default();
        stopped.run(5, 0);
        assert_eq!((stopped.read(99), stopped.when(6, 99)), (5, None));
        assert_eq!(stopped.when(5, 99), Some(99));
    }
}
