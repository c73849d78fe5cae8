//! Where a node stands on its way into the set of validators, through it, and out of it again.
//!
//! ```text
//! following ─► registered ─► seated ─► snapshot ─► voting ─► leaving ─► left
//!                                └──────► probation ──┘   └─► draining, then it is stopped
//! ```
//!
//! `following` and `left` also hold for what has no seat and wants none. `registered` waits for an epoch to take it in;
//! one that the last decision left out is told why beside the phase.

/// What a node does now. One word; the first that applies of those in [`Phase::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Follows the chain; an observer, or a validator that is not registered yet.
    Following,
    /// In the registry, without a seat in the epoch in force.
    Registered,
    /// Has a seat, and does not vote yet.
    Seated,
    /// Has a seat, and fetches the private state from the other seats.
    Snapshot,
    /// Has a seat, and asks the others what they saw of it before this process signs anything.
    Probation,
    /// Votes.
    Voting,
    /// Votes until its epoch ends, and will have no seat in the next one.
    Leaving,
    /// Was taken off the network by its operator.
    Left,
    /// Takes no new envelopes, because it is about to be stopped.
    Draining,
}

/// What a phase follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Has a seat in the epoch in force.
    pub(crate) seated: bool,
    /// Runs consensus.
    pub(crate) votes: bool,
    /// Holds the private state.
    pub(crate) has_state: bool,
    /// Waits for what others saw of it.
    pub(crate) probation: bool,
    /// The registry has its consensus key.
    pub(crate) registered: bool,
    /// Its operator asked to leave.
    pub(crate) leaving: bool,
    /// Its operator took it off, and it does not come back by itself.
    pub(crate) left: bool,
    /// It takes no new envelopes.
    pub(crate) draining: bool,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Phase; 9] = [
        Phase::Following,
        Phase::Registered,
        Phase::Seated,
        Phase::Snapshot,
        Phase::Probation,
        Phase::Voting,
        Phase::Leaving,
        Phase::Left,
        Phase::Draining,
    ];

    /// The word for it in interfaces and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Following => "following",
            Self::Registered => "registered",
            Self::Seated => "seated",
            Self::Snapshot => "snapshot",
            Self::Probation => "probation",
            Self::Voting => "voting",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Draining => "draining",
        }
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Following => "it follows the chain and has no place in the registry",
            Self::Registered => "it is registered and waits for a seat in the next epoch",
            Self::Seated => "it has a seat and does not vote yet",
            Self::Snapshot => "it has a seat and fetches the private state from the others",
            Self::Probation => "it has a seat and asks the others what they saw of it before it signs",
            Self::Voting => "it votes",
            Self::Leaving => "it votes until the epoch ends and has no seat after it",
            Self::Left => "its operator took it off the network",
            Self::Draining => "it takes no new envelopes because it is about to be stopped",
        }
    }

    /// The phase that holds.
    pub(crate) fn of(standing: &Standing) -> Self {
        let Standing {
            seated,
            votes,
            has_state,
            probation,
            registered,
            leaving,
            left,
            draining,
        } = *standing;
        match () {
            () if draining => Self::Draining,
            () if seated && leaving => Self::Leaving,
            () if seated && votes => Self::Voting,
            () if seated && !has_state => Self::Snapshot,
            () if seated && probation => Self::Probation,
            () if seated => Self::Seated,
            () if left || leaving => Self::Left,
            () if registered => Self::Registered,
            () => Self::Following,
        }
    }

    /// Whether a validator in this phase does what it is there for.
    pub fn is_serving(self) -> bool {
        matches!(self, Self::Voting | Self::Leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_comes_in_and_goes_out_in_this_order() {
        let mut now = Standing::default();
        let mut seen = vec![Phase::of(&now)];
        let mut then = |change: fn(&mut Standing)| {
            change(&mut now);
            seen.push(Phase::of(&now));
        };
        then(|now| now.registered = true);
        then(|now| now.seated = true);
        then(|now| (now.has_state, now.probation) = (true, true));
        then(|now| now.probation = false);
        then(|now| now.votes = true);
        then(|now| now.leaving = true);
        then(|now| (now.seated, now.votes) = (false, false));
        then(|now| (now.registered, now.leaving, now.left) = (false, false, true));
        then(|now| now.draining = true);
        assert_eq!(
            seen,
            [
                Phase::Following,
                Phase::Registered,
                Phase::Snapshot,
                Phase::Probation,
                Phase::Seated,
                Phase::Voting,
                Phase::Leaving,
                Phase::Left,
                Phase::Left,
                Phase::Draining
            ]
        );
    }

    #[test]
    fn each_phase_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<&str> = Phase::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(words.len(), Phase::ALL.len());
    }
}
