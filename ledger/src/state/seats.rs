//! Who sits in the next epoch: decided once, in the block that ends the one before, at its time.
//!
//! 1. Every registered validator's evidence is judged by the policy that is due, with the collateral held: it must
//!    verify, be young enough, and not be suspended.
//! 2. Who has a seat keeps the order, others follow by name; of two on one chip the first stays.
//! 3. A vendor or family above its share loses its last seats until all shares fit.
//! 4. Newcomers are at most a third of the current seats, so that enough dealers of the next secret carry over.
//! 5. If fewer than a quorum of the current seats remain, the current set stays whole, unless the policy that comes
//!    into force was approved for that and at least one remains.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{Family, Policy, Suspension, Vendor};
use tacit_consensus::{Digest, Millis, hash};

use crate::{
    epoch::{Dropped, EpochRecord, ValidatorRecord},
    state::{
        registry::{AdoptedPolicy, Fixed, Registered, Registry},
        verdicts::{Verdict, Verdicts},
    },
};

/// What the block that ends an epoch decides about the next one.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Decision {
    /// Time of that block: `now` of every verdict.
    pub judged_ms: Millis,
    /// The next set, in the order of its seats.
    pub validators: Vec<ValidatorRecord>,
    /// The policy that comes into force.
    pub policy_version: u64,
    /// [`crate::policy_digest`] of it.
    pub policy: Digest,
    /// [`crate::collateral_digest`] of what evidence was judged with.
    pub collateral: Digest,
    /// As [`EpochRecord::kept`].
    pub kept: bool,
    /// As [`EpochRecord::dropped`].
    pub dropped: Vec<Dropped>,
}

/// A policy and what is suspended under it.
pub(crate) struct Terms<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) digest: Digest,
    /// Whether a suspension counts.
    pub(crate) reinstate: &'a [Suspension],
}

impl<'a> Terms<'a> {
    pub(crate) fn of(adopted: &'a AdoptedPolicy) -> Self {
        Self {
            policy: &adopted.policy,
            digest: adopted.digest,
            reinstate: &adopted.reinstate,
        }
    }
}

/// Everything that a decision looks at besides the terms.
pub(crate) struct Bench<'a> {
    pub(crate) fixed: &'a Fixed,
    pub(crate) registry: &'a Registry,
    pub(crate) current: &'a EpochRecord,
    pub(crate) verdicts: &'a Verdicts,
    pub(crate) now_ms: Millis,
}

/// Who is acceptable: steps 1 to 3.
pub(crate) struct Acceptable<'a> {
    /// Have a seat now, in the order of seats.
    staying: Vec<&'a Registered>,
    /// Have none, by name.
    new: Vec<&'a Registered>,
    dropped: BTreeMap<&'a str, &'static str>,
}

impl Acceptable<'_> {
    /// How many of the current seats remain.
    pub(crate) fn staying(&self) -> usize {
        self.staying.len()
    }

    /// Why a registered validator is not acceptable, if it is not: a row of [`crate::codes`].
    pub(crate) fn dropped(&self, name: &str) -> Option<&'static str> {
        self.dropped.get(name).copied()
    }
}

struct Candidate<'a> {
    registered: &'a Registered,
    seated: bool,
    vendor: Vendor,
    family: Family,
}

impl<'a> Bench<'a> {
    /// The verdict on a registration's own evidence under `terms`, suspensions and age aside.
    pub(crate) fn verdict(&self, registered: &Registered, terms: &Terms<'_>) -> Verdict {
        let parts: [&[u8]; 4] = [
            &registered.seat.registration.0,
            &terms.digest.0,
            &self.registry.collateral_digest.0,
            &self.fixed.trust_digest.0,
        ];
        self.verdicts.get(&hash("verdict", &parts), self.now_ms, || {
            let (trust, collateral) = (&self.fixed.trust, &*self.registry.collateral);
            registered
                .registration
                .verify(trust, collateral, terms.policy, self.now_ms)
        })
    }

    /// Steps 1 to 3.
    pub(crate) fn acceptable(&self, terms: &Terms<'_>) -> Acceptable<'a> {
        let registry: &'a Registry = self.registry;
        let seats: BTreeSet<&str> = self
            .current
            .validators
            .iter()
            .map(|seat| seat.name.as_str())
            .collect();
        let staying = self
            .current
            .validators
            .iter()
            .filter_map(|seat| registry.registered.get(&seat.name));
        let new = registry
            .registered
            .values()
            .filter(|one| !seats.contains(one.seat.name.as_str()));
        let in_order = staying.map(|one| (true, one)).chain(new.map(|one| (false, one)));

        let (mut candidates, mut dropped, mut chips) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (seated, registered) in in_order {
            match self.judge(registered, terms, &mut chips) {
                Ok((vendor, family)) => candidates.push(Candidate {
                    registered: registered.as_ref(),
                    seated,
                    vendor,
                    family,
                }),
                Err(code) => {
                    dropped.insert(registered.seat.name.as_str(), code);
                }
            }
        }
        let groups = |candidates: &[Candidate<'_>]| {
            let groups: Vec<_> = candidates.iter().map(|one| (one.vendor, one.family)).collect();
            first_over_share(terms.policy, groups.into_iter())
        };
        while let Some(over) = groups(&candidates) {
            let last = candidates.remove(over.index);
            dropped.insert(last.registered.seat.name.as_str(), over.code);
        }
        let (staying, new): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|one| one.seated);
        let registered = |list: Vec<Candidate<'a>>| list.into_iter().map(|one| one.registered).collect();
        Acceptable {
            staying: registered(staying),
            new: registered(new),
            dropped,
        }
    }

    /// One validator; a refusal is a row of [`crate::codes`].
    fn judge(
        &self,
        registered: &Registered,
        terms: &Terms<'_>,
        chips: &mut BTreeSet<(Vendor, tacit_attest::ChipId)>,
    ) -> Result<(Vendor, Family), &'static str> {
        let age_ms = self.now_ms.saturating_sub(registered.seat.registered_ms);
        if age_ms > terms.policy.evidence_age_max_ms {
            return Err("attest.evidence_expired");
        }
        let verified = self.verdict(registered, terms).map_err(|error| error.code())?;
        let suspended = self.registry.suspensions.keys();
        let mut suspended = suspended.filter(|target| !terms.reinstate.contains(target));
        if suspended.any(|target| target.covers(&verified)) {
            return Err("suspend.in_force");
        }
        if !chips.insert((verified.vendor(), verified.chip)) && terms.policy.chip_unique {
            return Err("policy.chip_taken");
        }
        Ok((verified.vendor(), verified.family()))
    }

    /// The whole decision, for an epoch that ends now.
    pub(crate) fn decide(&self) -> Decision {
        let due = self.registry.due(self.now_ms);
        let acceptable = self.acceptable(&Terms::of(due));
        let seats = self.current.validators.len();
        let staying = acceptable.staying.len();
        let quorum = quorum(seats);
        // The licence is for the turn that brings the policy, not for every lapse while it is in force.
        let licensed =
            due.allow_below_quorum && due.policy.version != self.current.policy_version && staying > 0;
        let kept = staying < quorum && !licensed;
        let mut dropped = acceptable.dropped;
        let validators = if kept {
            let seats = self.current.validators.iter();
            let whole = seats.filter_map(|seat| self.registry.registered.get(&seat.name));
            dropped.extend(
                acceptable
                    .new
                    .iter()
                    .map(|one| (one.seat.name.as_str(), "epoch.newcomers")),
            );
            whole.map(|one| one.seat.clone()).collect()
        } else {
            // With fewer than a quorum staying there are too few dealers for more.
            let room = if staying < quorum { 0 } else { (seats / 3).max(1) };
            let (new, waiting) = acceptable.new.split_at(room.min(acceptable.new.len()));
            dropped.extend(
                waiting
                    .iter()
                    .map(|one| (one.seat.name.as_str(), "epoch.newcomers")),
            );
            let seats = acceptable.staying.iter().chain(new);
            seats.map(|one| one.seat.clone()).collect()
        };
        Decision {
            judged_ms: self.now_ms,
            validators,
            policy_version: due.policy.version,
            policy: due.digest,
            collateral: self.registry.collateral_digest,
            kept,
            dropped: dropped
                .into_iter()
                .map(|(name, code)| Dropped {
                    name: name.to_owned(),
                    code: code.to_owned(),
                })
                .collect(),
        }
    }
}

/// How many of `seats` decide: n - f, as [`tacit_consensus::Committee::quorum`].
pub(crate) fn quorum(seats: usize) -> usize {
    seats - seats.saturating_sub(1) / 3
}

/// A seat that a share has no room for.
pub(crate) struct OverShare {
    /// Its place in the list.
    pub(crate) index: usize,
    /// Of which group.
    pub(crate) group: String,
    /// Percent allowed.
    pub(crate) max: u8,
    /// A row of [`crate::codes`].
    pub(crate) code: &'static str,
}

/// The last seat of a list that belongs to a vendor or family above its share, if one is.
pub(crate) fn first_over_share(
    policy: &Policy,
    seats: impl DoubleEndedIterator<Item = (Vendor, Family)> + ExactSizeIterator + Clone,
) -> Option<OverShare> {
    let total = seats.len();
    let (mut vendors, mut families) = (BTreeMap::new(), BTreeMap::new());
    for (vendor, family) in seats.clone() {
        *vendors.entry(vendor).or_insert(0usize) += 1;
        *families.entry(family).or_insert(0usize) += 1;
    }
    let over =
        |count: Option<&usize>, max: u8| count.is_some_and(|count| count * 100 > usize::from(max) * total);
    let mut backwards = seats.enumerate().rev();
    backwards.find_map(|(index, (vendor, family))| {
        if over(vendors.get(&vendor), policy.vendor_share_max) {
            Some(OverShare {
                index,
                group: format!("vendor {vendor}"),
                max: policy.vendor_share_max,
                code: "policy.vendor_share",
            })
        } else if over(families.get(&family), policy.family_share_max) {
            Some(OverShare {
                index,
                group: format!("family {family}"),
                max: policy.family_share_max,
                code: "policy.family_share",
            })
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use tacit_attest::{Fmspc, Generation, Measurement};
    use tacit_consensus::{Committee, PublicKey};

    use super::*;

    const AMD: (Vendor, Family) = (Vendor::Amd, Family::Epyc(Generation::Genoa));
    const TURIN: (Vendor, Family) = (Vendor::Amd, Family::Epyc(Generation::Turin));
    const INTEL: (Vendor, Family) = (Vendor::Intel, Family::Intel(Fmspc([1; 6])));

    #[test]
    fn a_quorum_here_is_a_quorum_of_consensus() {
        for n in 1..=crate::limits::MAX_VALIDATORS {
            let members = (0..n).map(|i| PublicKey([i as u8; 32])).collect();
            assert_eq!(quorum(n), Committee { epoch: 1, members }.quorum(), "n = {n}");
        }
    }

    #[test]
    fn shares_are_exact_and_the_last_of_a_group_goes() {
        let mut policy = Policy::dev(Measurement([1; 48]));
        let over = |policy: &Policy, seats: &[(Vendor, Family)]| {
            let over = first_over_share(policy, seats.iter().copied());
            over.map(|over| (over.index, over.code))
        };
        let seats = [AMD, TURIN, INTEL];
        assert_eq!(over(&policy, &[]), None);
        policy.vendor_share_max = 67;
        assert_eq!(over(&policy, &seats), None, "two of three are 66.7 %");
        policy.vendor_share_max = 66;
        assert_eq!(over(&policy, &seats), Some((1, "policy.vendor_share")));
        policy.vendor_share_max = 100;
        policy.family_share_max = 33;
        assert_eq!(over(&policy, &seats), Some((2, "policy.family_share")));
        policy.family_share_max = 34;
        assert_eq!(over(&policy, &seats), None);
        // A single vendor can never keep to a share below all.
        policy.vendor_share_max = 99;
        assert_eq!(over(&policy, &[INTEL]), Some((0, "policy.vendor_share")));
    }
}
