//! Misbehaviour in points that fade.

use std::time::{Duration, Instant};

/// The score at which a peer is disconnected and banned.
pub const BAN_AT: f64 = -100.0;

/// A score loses half of its distance from zero in this time.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offence {
    /// Bytes that break a bound or do not decode. No honest node sends them. 40 points.
    Malformed,
    /// Decodes, but is wrong: a bad signature, a refuted claim. 20 points.
    Invalid,
    /// More than its rate. 2 points a message.
    Spam,
    /// Sound but of no use, or not the peer's to send; honest nodes do it around an epoch's end. 1 point.
    Useless,
}

impl Offence {
    /// The points it costs.
    pub const fn points(self) -> f64 {
        match self {
            Self::Malformed => 40.0,
            Self::Invalid => 20.0,
            Self::Spam => 2.0,
            Self::Useless => 1.0,
        }
    }
}

/// Zero or less; fades towards zero.
#[derive(Debug)]
pub(crate) struct Score {
    value: f64,
    at: Instant,
}

impl Score {
    pub(crate) fn new(now: Instant) -> Self {
        Self { value: 0.0, at: now }
    }

    /// The score now. Below a thousandth of a point it is zero.
    pub(crate) fn value(&self, now: Instant) -> f64 {
        let halvings = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        let value = self.value * (-halvings).exp2();
        if value > -0.001 { 0.0 } else { value }
    }

    /// Takes the offence's points off; returns the new score.
    pub(crate) fn charge(&mut self, offence: Offence, now: Instant) -> f64 {
        self.set(self.value(now) - offence.points(), now);
        self.value
    }

    pub(crate) fn set(&mut self, value: f64, now: Instant) {
        *self = Self { value, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_malformed_messages_are_too_many_and_two_are_not() {
        let now = Instant::now();
        let mut score = Score::new(now);
        assert!(score.charge(Offence::Malformed, now) > BAN_AT);
        assert!(score.charge(Offence::Malformed, now) > BAN_AT);
        assert!(score.charge(Offence::Malformed, now) <= BAN_AT);
    }

    #[test]
    fn scores_fade() {
        let now = Instant::now();
        let mut score = Score::new(now);
        score.charge(Offence::Malformed, now);
        assert_eq!(score.value(now + HALF_LIFE), -20.0);
        assert_eq!(score.value(now + HALF_LIFE * 100), 0.0);
    }
}
