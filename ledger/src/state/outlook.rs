//! Until when each validator is accepted: under today's rules, under every policy that is adopted or proposed, and
//! under the vendor's next level where its documents are held. For operators, who must act before it ends.
//!
//! Costs several checks of evidence a validator and set: ask once in a while, not once a request.

use tacit_attest::{Forecast, Shortfall, forecast, next_level};
use tacit_consensus::{Digest, Millis};

use crate::{
    codes,
    epoch::policy_digest,
    state::{
        public::PublicState,
        registry::Registered,
        seats::{Acceptable, Terms},
    },
};

/// What becomes of one validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Its name.
    pub name: String,
    /// Its seat in the current set, if it has one.
    pub seat: Option<u16>,
    /// Time of the block that registered it; its evidence ages from then on.
    pub registered_ms: Millis,
    /// Today's first, then by version, then the next level.
    pub sets: Vec<SetOutlook>,
}

/// What becomes of it under one set of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOutlook {
    /// Which rules.
    pub set: RuleSet,
    /// Whether the next epoch would seat it if it were decided now.
    pub accepted: bool,
    /// The last moment at which its evidence is accepted, Unix milliseconds; none where it is refused already.
    pub until_ms: Option<Millis>,
    /// What ends it, or has: a row of [`codes`]; empty where nothing that is known does.
    pub code: String,
    /// The same in a sentence.
    pub cause: String,
    /// What to update or do so that it does not.
    pub update: String,
    /// Every part of the machine that is too old for the vendor's next level.
    pub short: Vec<Shortfall>,
}

/// A set of rules that an outlook is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSet {
    /// The policy in force.
    Today {
        /// Its version.
        version: u64,
    },
    /// An adopted policy that is not in force yet.
    Pending {
        /// Its version.
        version: u64,
        /// From which block time on it is due.
        active_from_ms: Millis,
    },
    /// A proposed policy.
    Proposed {
        /// Its version.
        version: u64,
        /// The proposal.
        proposal: Digest,
    },
    /// The policy in force, with the vendor's next level in place of the present one.
    NextLevel {
        /// The vendor's number of it.
        evaluation: u32,
    },
}

impl PublicState {
    /// The outlook at `now_ms` of every registered validator, by name.
    pub fn outlook(&self, now_ms: Millis) -> Vec<Outlook> {
        let registry = &self.registry;
        let today = RuleSet::Today {
            version: self.policy().version,
        };
        let mut sets = vec![(today, Terms::of(&registry.in_force))];
        sets.extend(self.policies_pending().map(|policy| {
            let set = RuleSet::Pending {
                version: policy.policy.version,
                active_from_ms: policy.active_from_ms,
            };
            (set, Terms::of(policy))
        }));
        sets.extend(self.proposals().map(|open| {
            let policy = &open.proposal.policy;
            let set = RuleSet::Proposed {
                version: policy.version,
                proposal: open.id,
            };
            let terms = Terms {
                policy,
                digest: policy_digest(policy),
                reinstate: &open.proposal.reinstate,
                protocol: open.proposal.protocol,
            };
            (set, terms)
        }));
        let scene = self.scene(now_ms);
        let bench = registry.bench(&scene);
        let sets: Vec<_> = sets
            .into_iter()
            .map(|(set, terms)| (set, bench.acceptable(&terms), terms))
            .collect();
        let of = |one: &Registered| {
            let mut own: Vec<_> = sets
                .iter()
                .map(|(set, acceptable, terms)| self.under(one, *set, acceptable, terms, now_ms))
                .collect();
            own.extend(self.at_next_level(one, now_ms));
            let seat = self
                .current()
                .validators
                .iter()
                .position(|seat| seat.name == one.seat.name);
            Outlook {
                name: one.seat.name.clone(),
                seat: seat.and_then(|seat| u16::try_from(seat).ok()),
                registered_ms: one.seat.registered_ms,
                sets: own,
            }
        };
        registry.registered.values().map(|one| of(one)).collect()
    }

    fn under(
        &self,
        one: &Registered,
        set: RuleSet,
        acceptable: &Acceptable<'_>,
        terms: &Terms<'_>,
        now_ms: Millis,
    ) -> SetOutlook {
        let evidence = &one.registration.evidence;
        let forecast = forecast(evidence, self.trust(), self.collateral(), terms.policy, now_ms)
            .with_age(one.seat.registered_ms, terms.policy);
        let dropped = acceptable.dropped(&one.seat.name);
        SetOutlook::new(set, forecast, dropped, Vec::new(), now_ms)
    }

    fn at_next_level(&self, one: &Registered, now_ms: Millis) -> Option<SetOutlook> {
        let (evidence, policy) = (&one.registration.evidence, self.policy());
        let next = next_level(evidence, self.trust(), self.collateral(), policy, now_ms)?;
        let set = RuleSet::NextLevel {
            evaluation: next.evaluation,
        };
        let forecast = next.forecast.with_age(one.seat.registered_ms, policy);
        Some(SetOutlook::new(set, forecast, None, next.short, now_ms))
    }
}

impl SetOutlook {
    /// `dropped`: why the next epoch would not seat it, for what a forecast does not know: age that has passed,
    /// suspensions, chips and shares.
    fn new(
        set: RuleSet,
        forecast: Forecast,
        dropped: Option<&str>,
        short: Vec<Shortfall>,
        now_ms: Millis,
    ) -> Self {
        let refused = forecast.verdict.is_err() || forecast.until_ms.is_none_or(|until| until < now_ms);
        let row = dropped.filter(|_| !refused).and_then(codes::lookup);
        match row {
            Some(row) => Self {
                set,
                accepted: false,
                until_ms: None,
                code: row.code.to_owned(),
                cause: row.title.to_owned(),
                update: row.hint.to_owned(),
                short,
            },
            None => Self {
                set,
                accepted: !refused,
                until_ms: forecast.until_ms.filter(|_| !refused),
                code: forecast.code.to_owned(),
                cause: forecast.cause,
                update: forecast.update,
                short,
            },
        }
    }
}
