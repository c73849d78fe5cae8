//! Token buckets: how much a peer may still send now.

use std::time::Instant;

use crate::limits::{BURST_S, Rate};

/// Tokens for messages and for bytes. A message takes from both or from neither.
#[derive(Debug)]
pub(crate) struct Bucket {
    messages: f64,
    bytes: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket; the first `take` cuts it to the rate's burst.
    pub(crate) fn full(now: Instant) -> Self {
        Self {
            messages: f64::INFINITY,
            bytes: f64::INFINITY,
            at: now,
        }
    }

    /// Takes one message of `len` bytes; false if it exceeds the rate. The burst is two seconds' worth, and at
    /// least `largest`, the bound of one message, which could never pass otherwise.
    pub(crate) fn take(&mut self, rate: Rate, largest: u32, len: usize, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        let messages = f64::from(rate.messages);
        let bytes = f64::from(rate.bytes);
        let burst = f64::from(BURST_S);
        self.messages = (self.messages + elapsed * messages).min(messages * burst);
        self.bytes = (self.bytes + elapsed * bytes).min((bytes * burst).max(f64::from(largest)));
        // A length is at most 64 MiB here, exact in an f64.
        let len = len as f64;
        if self.messages < 1.0 || self.bytes < len {
            return false;
        }
        self.messages -= 1.0;
        self.bytes -= len;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const RATE: Rate = Rate {
        messages: 10,
        bytes: 1000,
    };

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let now = Instant::now();
        let mut bucket = Bucket::full(now);
        assert_eq!((0..100).filter(|_| bucket.take(RATE, 100, 0, now)).count(), 20);
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| bucket.take(RATE, 100, 0, later)).count(), 10);
    }

    #[test]
    fn bytes_are_bounded_too_and_a_refusal_costs_nothing() {
        let now = Instant::now();
        let mut bucket = Bucket::full(now);
        assert!(bucket.take(RATE, 100, 1900, now));
        assert!(!bucket.take(RATE, 100, 101, now));
        assert!(bucket.take(RATE, 100, 100, now));
    }

    #[test]
    fn the_largest_message_passes_a_slow_rate() {
        let now = Instant::now();
        assert!(Bucket::full(now).take(RATE, 5000, 5000, now));
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut bucket = Bucket::full(now);
        while bucket.take(RATE, 100, 0, now) {}
        assert!(!bucket.take(RATE, 100, 0, now - Duration::from_secs(5)));
    }
}
