//! What a change of policy does: field by field for people, and as one word for the ledger, which lets a change
//! that only admits less take effect at once and makes every other one wait.
//!
//! The word is conservative: a change [`Change::Tightens`] only if no field admits anything that it did not admit
//! before. A field of a platform that is not admitted counts all the same. One reading is by purpose and not by
//! proof: a higher evaluation number counts as tightening, although what Intel says under it is Intel's.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt::{Display, LowerHex};
use serde::{Deserialize, Serialize};

use super::{AllowedMeasurement, IntelPolicy, Policy, SnpPolicy, TcbFloor};
use crate::evidence::{Measurement, Platform};
use crate::snp::generation::Generation;

/// What a new policy, or one field of it, admits in comparison with the old one. The borsh tags are fixed for ever.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Change {
    /// The same: only the version, the order of a list or a text for people differs.
    Same = 0,
    /// Less, and nothing else: whatever the new one admits, the old one admits too.
    Tightens = 1,
    /// Something that the old one refuses, or it cannot be told.
    Loosens = 2,
}

impl Display for Change {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Tightens => "tightens",
            Self::Loosens => "loosens",
        })
    }
}

/// One field that differs between two policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Its name as in the policy's JSON, with the entry where the field is a list of records.
    pub field: String,
    /// The old value, "none" for nothing.
    pub old: String,
    /// The new value, "none" for nothing.
    pub new: String,
    /// What this field alone does.
    pub change: Change,
}

impl Policy {
    /// What replacing `old` by `new` does to what is admitted.
    pub fn compare(old: &Self, new: &Self) -> Change {
        let changes = Self::diff(old, new)
            .into_iter()
            .map(|difference| difference.change);
        changes.max().unwrap_or(Change::Same)
    }

    /// Every field that differs, in the order of the policy.
    pub fn diff(old: &Self, new: &Self) -> Vec<Difference> {
        let mut out = Differences(Vec::new());
        // Binding to a version is the registration's affair: a new number alone admits the same machines.
        out.put("version", old.version, new.version, Change::Same);
        out.admitted("platforms", &old.platforms, &new.platforms);
        out.admitted("generations", &old.generations, &new.generations);
        out.measurements(&old.measurements, &new.measurements);
        out.snp(old, new);
        let (before, after) = (&old.tdx, &new.tdx);
        out.admitted(
            "tdx.quote_versions",
            &before.quote_versions,
            &after.quote_versions,
        );
        out.bits_allowed(
            "tdx.attributes_allowed",
            before.attributes_allowed,
            after.attributes_allowed,
        );
        out.intel("tdx.machine", &before.machine, &after.machine);
        let (before, after) = (&old.sgx, &new.sgx);
        out.admitted("sgx.types", &before.types, &after.types);
        out.floor("sgx.isv_svn_min", before.isv_svn_min, after.isv_svn_min);
        out.intel("sgx.machine", &before.machine, &after.machine);
        out.ceiling(
            "evidence_age_max_ms",
            old.evidence_age_max_ms,
            new.evidence_age_max_ms,
        );
        out.ceiling("block_age_max", old.block_age_max, new.block_age_max);
        out.ceiling(
            "not_before_tolerance_ms",
            old.not_before_tolerance_ms,
            new.not_before_tolerance_ms,
        );
        out.ceiling("vendor_share_max", old.vendor_share_max, new.vendor_share_max);
        out.ceiling("family_share_max", old.family_share_max, new.family_share_max);
        out.floor("chip_unique", old.chip_unique, new.chip_unique);
        // It admits nothing by itself, but a shorter one lets the next loosening come sooner.
        out.floor(
            "loosening_delay_ms",
            old.loosening_delay_ms,
            new.loosening_delay_ms,
        );
        out.0
    }

    /// Whether, on every generation that `new` admits, its floors are at or above those of `old`.
    fn floors_hold(old: &Self, new: &Self) -> bool {
        let join = |floors: Vec<&TcbFloor>| {
            let parts = floors
                .iter()
                .map(|floor| floor.tcb().parts().map(|(_, part)| part));
            parts.reduce(|a, b| {
                let mut highest = a;
                highest
                    .iter_mut()
                    .zip(b)
                    .for_each(|(part, other)| *part = other.max(*part));
                highest
            })
        };
        let at_or_above = |generation: Generation, model: Option<u8>| {
            let needed = join(old.floors(generation, model));
            match (needed, join(new.floors(generation, model))) {
                // Without a floor a policy refuses.
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(old), Some(new)) => old.iter().zip(&new).all(|(old, new)| new >= old),
            }
        };
        new.generations.iter().all(|&generation| {
            let models = (0..=u8::MAX).map(Some);
            models.chain([None]).all(|model| at_or_above(generation, model))
        })
    }
}

struct Differences(Vec<Difference>);

impl Differences {
    fn put(&mut self, field: &str, old: impl Display, new: impl Display, change: Change) {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new || change != Change::Same {
            self.0.push(Difference {
                field: field.to_owned(),
                old,
                new,
                change,
            });
        }
    }

    /// More entries admit more.
    fn admitted<T: PartialEq + Display>(&mut self, field: &str, old: &[T], new: &[T]) {
        let change = change(contains(old, new), contains(new, old));
        self.put(field, List(old), List(new), change);
    }

    /// More entries admit less.
    fn denied<T: PartialEq + Display>(&mut self, field: &str, old: &[T], new: &[T]) {
        let change = change(contains(new, old), contains(old, new));
        self.put(field, List(old), List(new), change);
    }

    /// As [`Self::admitted`], but an empty list asks for nothing and so admits all.
    fn one_of<T: PartialEq + Display>(&mut self, field: &str, old: &[T], new: &[T]) {
        let within =
            |outer: &[T], inner: &[T]| outer.is_empty() || !inner.is_empty() && contains(outer, inner);
        self.put(
            field,
            List(old),
            List(new),
            change(within(old, new), within(new, old)),
        );
    }

    /// Greater values admit less; so does a demand that is on.
    fn floor<T: PartialOrd + Display>(&mut self, field: &str, old: T, new: T) {
        let change = change(new >= old, old >= new);
        self.put(field, old, new, change);
    }

    /// Greater values admit more; so does a permission that is on.
    fn ceiling<T: PartialOrd + Display>(&mut self, field: &str, old: T, new: T) {
        let change = change(new <= old, old <= new);
        self.put(field, old, new, change);
    }

    /// More bits admit less.
    fn bits_demanded(&mut self, field: &str, old: u64, new: u64) {
        let change = change(old & !new == 0, new & !old == 0);
        self.put(field, Bits(old), Bits(new), change);
    }

    /// More bits admit more.
    fn bits_allowed(&mut self, field: &str, old: u64, new: u64) {
        let change = change(new & !old == 0, old & !new == 0);
        self.put(field, Bits(old), Bits(new), change);
    }

    fn measurements(&mut self, old: &[AllowedMeasurement], new: &[AllowedMeasurement]) {
        let find = |list: &[AllowedMeasurement], key: (Platform, Measurement)| {
            let mut texts = list.iter().filter(|one| (one.platform, one.value) == key);
            texts.next().map(|one| {
                format!("{} ({}) {}", one.label, one.source, one.build)
                    .trim_end()
                    .to_owned()
            })
        };
        let keys = |list: &[AllowedMeasurement]| -> Vec<_> {
            list.iter().map(|one| (one.platform, one.value)).collect()
        };
        let mut all = keys(old);
        all.extend(keys(new));
        all.sort_unstable();
        all.dedup();
        for key in all {
            let (before, after) = (find(old, key), find(new, key));
            let change = match (&before, &after) {
                (None, _) => Change::Loosens,
                (Some(_), None) => Change::Tightens,
                (Some(_), Some(_)) => Change::Same,
            };
            let field = format!("measurements[{} {}]", key.0, key.1);
            self.put(&field, Maybe(before), Maybe(after), change);
        }
    }

    fn snp(&mut self, old: &Policy, new: &Policy) {
        let (before, after): (&SnpPolicy, &SnpPolicy) = (&old.snp, &new.snp);
        self.admitted(
            "snp.report_versions",
            &before.report_versions,
            &after.report_versions,
        );
        self.ceiling("snp.vlek", before.vlek, after.vlek);
        self.ceiling("snp.vmpl_max", before.vmpl_max, after.vmpl_max);
        self.floor(
            "snp.require_alias_check",
            before.require_alias_check,
            after.require_alias_check,
        );
        for (field, before, after) in [
            (
                "required",
                before.guest_policy_required,
                after.guest_policy_required,
            ),
            (
                "forbidden",
                before.guest_policy_forbidden,
                after.guest_policy_forbidden,
            ),
        ] {
            self.bits_demanded(&format!("snp.guest_policy_{field}"), before, after);
        }
        self.bits_demanded(
            "snp.platform_info_required",
            before.platform_info_required,
            after.platform_info_required,
        );
        self.floor("snp.guest_svn_min", before.guest_svn_min, after.guest_svn_min);
        self.one_of("snp.id_keys", &before.id_keys, &after.id_keys);
        self.one_of("snp.author_keys", &before.author_keys, &after.author_keys);
        self.floor("snp.require_crl", before.require_crl, after.require_crl);
        let change = change(Policy::floors_hold(old, new), Policy::floors_hold(new, old));
        self.put("snp.min_tcb", List(&before.min_tcb), List(&after.min_tcb), change);
    }

    fn intel(&mut self, name: &str, old: &IntelPolicy, new: &IntelPolicy) {
        let field = |field: &str| format!("{name}.{field}");
        self.admitted(&field("statuses"), &old.statuses, &new.statuses);
        self.admitted(&field("advisories"), &old.advisories, &new.advisories);
        self.floor(&field("evaluation_min"), old.evaluation_min, new.evaluation_min);
        self.denied(&field("fmspc_denied"), &old.fmspc_denied, &new.fmspc_denied);
        self.ceiling(
            &field("dynamic_platform"),
            old.dynamic_platform,
            new.dynamic_platform,
        );
        self.ceiling(&field("cached_keys"), old.cached_keys, new.cached_keys);
        self.ceiling(&field("smt"), old.smt, new.smt);
    }
}

fn change(no_more: bool, no_less: bool) -> Change {
    match (no_more, no_less) {
        (true, true) => Change::Same,
        (true, false) => Change::Tightens,
        (false, _) => Change::Loosens,
    }
}

fn contains<T: PartialEq>(outer: &[T], inner: &[T]) -> bool {
    inner.iter().all(|entry| outer.contains(entry))
}

struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Some((first, rest)) = self.0.split_first() else {
            return f.write_str("none");
        };
        write!(f, "{first}")?;
        rest.iter().try_for_each(|entry| write!(f, ", {entry}"))
    }
}

struct Bits<T>(T);

impl<T: LowerHex> Display for Bits<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

struct Maybe(Option<String>);

impl Display for Maybe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("none"))
    }
}

impl Display for TcbFloor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.generation)?;
        if let Some((from, to)) = self.models {
            write!(f, " models {from:#x} to {to:#x}")?;
        }
        write!(f, ": {}", self.tcb())
    }
}
