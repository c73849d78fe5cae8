//! Who sits in the next epoch: decided once, in the block that ends the one before, at its time.
//!
//! 1. Every registered validator is judged by the policy that is due, with the collateral held: its evidence must verify
//!    and be young enough, its build speak the protocol, and it must be neither suspended nor convicted nor have left.
//! 2. Who holds its seat keeps the order; others follow: first who comes with other keys for a seat, then by name. Of two on
//!    one chip the first stays.
//! 3. A vendor or family above its share loses its last seats until all shares fit.
//! 4. Who asked to leave goes, in the order of asking, as long as a quorum of the current seats stays and no share makes
//!    another go for it.
//! 5. Newcomers are at most a third of the current seats, so that enough dealers of the next secret carry over, and none
//!    that would be above its share of those who sit then.
//! 6. If fewer than a quorum of the current seats remain, the current set stays whole, unless the policy that comes
//!    into force was approved for that and at least one remains.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{Family, Policy, Suspension, Vendor};
use tacit_consensus::{Digest, Millis, PublicKey, hash};

use crate::{
    epoch::{Dropped, EpochRecord, ValidatorRecord},
    limits::MAX_VALIDATORS,
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
    /// As [`EpochRecord::protocol`]. A kept set goes on with the version that it speaks.
    pub protocol: u16,
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
    /// Suspensions that do not count.
    pub(crate) reinstate: &'a [Suspension],
    /// What every build must speak.
    pub(crate) protocol: u16,
}

impl<'a> Terms<'a> {
    pub(crate) fn of(adopted: &'a AdoptedPolicy) -> Self {
        Self {
            policy: &adopted.policy,
            digest: adopted.digest,
            reinstate: &adopted.reinstate,
            protocol: adopted.protocol,
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

/// Who is acceptable: steps 1 to 4.
pub(crate) struct Acceptable<'a> {
    /// Hold their seats and keep them, in the order of seats.
    staying: Vec<Candidate<'a>>,
    /// Hold none, in the order of step 2.
    new: Vec<Candidate<'a>>,
    /// How many seats leave by themselves.
    leaving: usize,
    /// Who asked to leave and must wait.
    waiting: Vec<&'a str>,
    dropped: BTreeMap<&'a str, &'static str>,
}

impl Acceptable<'_> {
    /// How many of the current seats remain, or leave only because they want to.
    pub(crate) fn staying(&self) -> usize {
        self.staying.len() + self.leaving
    }

    /// Why a registered validator is not acceptable, if it is not: a row of [`crate::codes`].
    pub(crate) fn dropped(&self, name: &str) -> Option<&'static str> {
        self.dropped.get(name).copied()
    }
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    registered: &'a Registered,
    seated: bool,
    vendor: Vendor,
    family: Family,
}

impl<'a> Candidate<'a> {
    fn name(&self) -> &'a str {
        &self.registered.seat.name
    }
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

    /// Steps 1 to 4.
    pub(crate) fn acceptable(&self, terms: &Terms<'_>) -> Acceptable<'a> {
        let registry: &'a Registry = self.registry;
        let (mut candidates, mut dropped, mut chips) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (seated, registered) in self.in_order() {
            match self.judge(registered, seated, terms, &mut chips) {
                Ok((vendor, family)) => candidates.push(Candidate {
                    registered,
                    seated,
                    vendor,
                    family,
                }),
                Err(code) => {
                    dropped.insert(registered.seat.name.as_str(), code);
                }
            }
        }
        let mut fitting = within_shares(terms.policy, &candidates);
        let mut asked: Vec<_> = candidates
            .iter()
            .filter(|one| one.seated)
            .filter_map(|one| Some((registry.leaving.get(one.name())?.number, one.name())))
            .collect();
        asked.sort_unstable();
        let (mut leaving, mut waiting) = (0, Vec::new());
        let quorum = quorum(self.current.validators.len());
        for (_, name) in asked {
            if fitting.over.contains_key(name) {
                continue;
            }
            let without: Vec<_> = candidates
                .iter()
                .filter(|one| one.name() != name)
                .copied()
                .collect();
            let then = within_shares(terms.policy, &without);
            let stay = then.seats.iter().filter(|one| one.seated).count();
            let stayed = fitting.seats.iter().filter(|one| one.seated).count();
            if stay >= quorum && stay + 1 == stayed {
                (candidates, fitting) = (without, then);
                dropped.insert(name, "epoch.left");
                leaving += 1;
            } else {
                waiting.push(name);
            }
        }
        dropped.extend(fitting.over);
        let (staying, new) = fitting.seats.into_iter().partition(|one| one.seated);
        Acceptable {
            staying,
            new,
            leaving,
            waiting,
            dropped,
        }
    }

    /// Step 2: everybody registered, and whether it holds its seat.
    fn in_order(&self) -> impl Iterator<Item = (bool, &'a Registered)> + use<'a> {
        let registry: &'a Registry = self.registry;
        let (current, seats) = (self.current, self.current.validators.iter());
        let of_seats: Vec<_> = seats
            .filter_map(|seat| Some((registry.holds(seat), &**registry.registered.get(&seat.name)?)))
            .collect();
        let names: BTreeSet<&'a str> = current.validators.iter().map(|seat| seat.name.as_str()).collect();
        let others = registry.registered.values().map(|one| &**one);
        let others = others.filter(move |one| !names.contains(one.seat.name.as_str()));
        let (staying, replaced): (Vec<_>, Vec<_>) = of_seats.into_iter().partition(|(holds, _)| *holds);
        staying
            .into_iter()
            .chain(replaced)
            .chain(others.map(|one| (false, one)))
    }

    /// One validator; a refusal is a row of [`crate::codes`].
    fn judge(
        &self,
        registered: &Registered,
        seated: bool,
        terms: &Terms<'_>,
        chips: &mut BTreeSet<(Vendor, tacit_attest::ChipId)>,
    ) -> Result<(Vendor, Family), &'static str> {
        let seat = &registered.seat;
        if self.registry.convicted.contains_key(&seat.consensus_key) {
            return Err("epoch.convicted");
        }
        if !seated && self.registry.leaving.contains_key(&seat.name) {
            return Err("epoch.left");
        }
        if registered.registration.protocol < terms.protocol {
            return Err("epoch.protocol");
        }
        let age_ms = self.now_ms.saturating_sub(seat.registered_ms);
        if age_ms > terms.policy.evidence_age_max_ms {
            return Err("attest.evidence_expired");
        }
        let verified = self.verdict(registered, terms).map_err(|error| error.code())?;
        let suspended = self.registry.suspensions.keys();
        let mut suspended = suspended.filter(|target| !terms.reinstate.contains(target));
        if suspended.any(|target| target.covers(&verified) || target.covers_key(&seat.consensus_key.0)) {
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
        let quorum = quorum(self.current.validators.len());
        let staying = acceptable.staying();
        // The licence is for the turn that brings the policy, not for every lapse while it is in force.
        let licensed =
            due.allow_below_quorum && due.policy.version != self.current.policy_version && staying > 0;
        let kept = staying < quorum && !licensed;
        let mut dropped = acceptable.dropped;
        dropped.extend(acceptable.waiting.iter().map(|name| (*name, "epoch.leave_waits")));
        let validators = if kept {
            let waiting = acceptable.new.iter();
            dropped.extend(waiting.map(|one| (one.name(), "epoch.newcomers")));
            self.whole(&mut dropped)
        } else {
            // With fewer than a quorum staying there are too few dealers for more.
            let room = if staying < quorum {
                0
            } else {
                self.room(acceptable.staying.len())
            };
            let (seats, waiting) = admit(due, acceptable.staying, acceptable.new, room);
            dropped.extend(waiting);
            seats.iter().map(|one| one.registered.seat.clone()).collect()
        };
        Decision {
            judged_ms: self.now_ms,
            validators,
            policy_version: due.policy.version,
            policy: due.digest,
            protocol: if kept { self.current.protocol } else { due.protocol },
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

    /// Step 5: how many may come in beside `staying` seats.
    fn room(&self, staying: usize) -> usize {
        let third = (self.current.validators.len() / 3).max(1);
        third.min(MAX_VALIDATORS.saturating_sub(staying))
    }

    /// Step 6: the set as it is, each seat with its newest evidence. One whose keys were replaced stays as it was: the
    /// others know no other holder of it.
    fn whole(&self, dropped: &mut BTreeMap<&'a str, &'static str>) -> Vec<ValidatorRecord> {
        let registry: &'a Registry = self.registry;
        let seat = |seat: &'a ValidatorRecord| match registry.registered.get(&seat.name) {
            Some(one) if registry.holds(seat) => one.seat.clone(),
            _ => {
                dropped.insert(&seat.name, "epoch.replaced");
                seat.clone()
            }
        };
        let current: &'a EpochRecord = self.current;
        current.validators.iter().map(seat).collect()
    }

    /// Whether an epoch that ended now would take somebody in, or let go somebody who left, came with other keys, or was
    /// convicted.
    pub(crate) fn membership_changes(&self) -> bool {
        let decision = self.decide();
        let sits =
            |key: &PublicKey, seats: &[ValidatorRecord]| seats.iter().any(|one| one.consensus_key == *key);
        let (current, next) = (&self.current.validators, &decision.validators);
        let comes = next.iter().any(|seat| !sits(&seat.consensus_key, current));
        let asked = |seat: &ValidatorRecord| {
            !self.registry.holds(seat)
                || self.registry.leaving.contains_key(&seat.name)
                || self.registry.convicted.contains_key(&seat.consensus_key)
        };
        let mut gone = current.iter().filter(|seat| !sits(&seat.consensus_key, next));
        comes || gone.any(asked)
    }
}

/// Steps 2 and 3: candidates whose groups keep to their shares.
struct WithinShares<'a> {
    seats: Vec<Candidate<'a>>,
    over: BTreeMap<&'a str, &'static str>,
}

fn within_shares<'a>(policy: &Policy, candidates: &[Candidate<'a>]) -> WithinShares<'a> {
    let (mut seats, mut over) = (candidates.to_vec(), BTreeMap::new());
    let first = |seats: &[Candidate<'_>]| {
        let groups: Vec<_> = seats.iter().map(|one| (one.vendor, one.family)).collect();
        first_over_share(policy, groups.into_iter())
    };
    while let Some(one) = first(&seats) {
        let last = seats.remove(one.index);
        over.insert(last.name(), one.code);
    }
    WithinShares { seats, over }
}

/// Step 5: those who come in, after those who stay, and why the others do not.
fn admit<'a>(
    due: &AdoptedPolicy,
    mut seats: Vec<Candidate<'a>>,
    mut new: Vec<Candidate<'a>>,
    mut room: usize,
) -> (Vec<Candidate<'a>>, Vec<(&'a str, &'static str)>) {
    let above = |seats: &[Candidate<'a>], one: &Candidate<'a>| {
        let groups = seats.iter().chain([one]).map(|one| (one.vendor, one.family));
        let groups: Vec<_> = groups.collect();
        let over = first_over_share(&due.policy, groups.into_iter());
        // The last of a group goes first: a share that others are above is not its fault.
        over.filter(|over| over.index == seats.len())
            .map(|over| over.code)
    };
    while room > 0
        && let Some(place) = new.iter().position(|one| above(&seats, one).is_none())
    {
        seats.push(new.remove(place));
        room -= 1;
    }
    let why = |one: &Candidate<'a>| match room {
        0 => "epoch.newcomers",
        _ => above(&seats, one).unwrap_or("epoch.newcomers"),
    };
    let waiting = new.iter().map(|one| (one.name(), why(one))).collect();
    (seats, waiting)
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
