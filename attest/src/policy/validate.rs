//! Whether a policy makes sense by itself, before anything is judged by it.
//!
//! Refused is what is above a bound, contradicts itself, cannot mean anything, or admits nothing although it
//! lists a platform. That no measurement is listed is no mistake: members add theirs after the founding.

use super::{
    BLOCK_AGE_LIMIT, EVIDENCE_AGE_LIMIT_MS, IntelPolicy, LOOSENING_DELAY_LIMIT_MS,
    NOT_BEFORE_TOLERANCE_LIMIT_MS, Policy, SnpPolicy,
};
use crate::evidence::{Measurement, Platform};
use crate::facts::TcbStatus;
use crate::limits::{POLICY_BUILD_MAX, POLICY_KINDS_MAX, POLICY_MEASUREMENTS_MAX, POLICY_TEXT_MAX};
use crate::refusal::Refusal;
use crate::snp::REPORT_VERSIONS;
use crate::snp::generation::Generation;
use crate::snp::layout::{guest_policy, platform_info};

/// The lowest privilege level that exists.
const VMPL_LIMIT: u32 = 3;
/// Formats of quotes about trust domains.
const QUOTE_VERSIONS: [u16; 2] = [4, 5];
/// Standard, scalable, scalable with integrity.
const SGX_TYPES: [u8; 3] = [0, 1, 2];
/// TD attributes that leave a guest closed to its host, by bit: ICSSD, LASS, SEPT_VE_DISABLE, PKS, KL, TPA,
/// PERFMON (Intel 348551). Debug, profiling, migration and service TDs are refused whatever a policy says.
const TD_ATTRIBUTES_SAFE: u64 = 1 << 16 | 1 << 27 | 1 << 28 | 1 << 30 | 1 << 31 | 1 << 62 | 1 << 63;
/// Bits of the guest policy that verification refuses by itself.
const GUEST_POLICY_REFUSED: u64 = guest_policy::DEBUG | guest_policy::MIGRATE_MA | guest_policy::CXL;

type Checked = Result<(), String>;

impl Policy {
    /// Refuses a policy that is above a bound, contradicts itself or could admit nothing by mistake. For
    /// every policy that enters by JSON, which has no bounds of its own, and before the ledger adopts one.
    ///
    /// # Errors
    /// [`Refusal::PolicyInvalid`] with the field and what is wrong with it.
    pub fn validate(&self) -> Result<(), Refusal> {
        let checks = self.check_platforms();
        checks
            .and_then(|()| self.check_measurements())
            .and_then(|()| self.check_snp())
            .and_then(|()| self.check_floors())
            .and_then(|()| self.check_tdx())
            .and_then(|()| self.check_sgx())
            .and_then(|()| self.check_network())
            .map_err(|reason| Refusal::PolicyInvalid { reason })
    }

    fn admits(&self, platforms: &[Platform]) -> bool {
        self.platforms.iter().any(|platform| platforms.contains(platform))
    }

    fn check_platforms(&self) -> Checked {
        check_list("platforms", &self.platforms, POLICY_KINDS_MAX)?;
        needed("platforms", &self.platforms, true)?;
        let simulated = self.platforms.iter().filter(|platform| platform.is_simulated());
        match simulated.count() {
            0 => Ok(()),
            some if some == self.platforms.len() => Ok(()),
            _ => Err("platforms has simulated and real ones, which never meet in one network".to_owned()),
        }
    }

    fn check_measurements(&self) -> Checked {
        let max = POLICY_MEASUREMENTS_MAX;
        let keys: Vec<_> = self.measurements.iter().map(|m| (m.platform, m.value)).collect();
        check_list("measurements", &keys, max)?;
        for allowed in &self.measurements {
            for (name, text, max) in [
                ("label", &allowed.label, POLICY_TEXT_MAX),
                ("source", &allowed.source, POLICY_TEXT_MAX),
                ("build", &allowed.build, POLICY_BUILD_MAX),
            ] {
                check_text(&format!("{name} of measurement {}", allowed.value), text, max)?;
            }
        }
        Ok(())
    }

    fn check_snp(&self) -> Checked {
        let admitted = self.admits(&[Platform::SevSnp, Platform::Simulated]);
        let snp = &self.snp;
        check_list("generations", &self.generations, POLICY_KINDS_MAX)?;
        needed("generations", &self.generations, admitted)?;
        check_list("snp.report_versions", &snp.report_versions, POLICY_KINDS_MAX)?;
        needed("snp.report_versions", &snp.report_versions, admitted)?;
        check_known("snp.report_versions", &snp.report_versions, &REPORT_VERSIONS)?;
        check_list("snp.min_tcb", &snp.min_tcb, POLICY_KINDS_MAX)?;
        if snp.vmpl_max > VMPL_LIMIT {
            return Err(format!(
                "snp.vmpl_max is {}, at most {VMPL_LIMIT} exists",
                snp.vmpl_max
            ));
        }
        if snp.vlek && self.chip_unique {
            return Err("snp.vlek admits keys that prove no chip, so chip_unique cannot hold".to_owned());
        }
        check_keys("snp.id_keys", &snp.id_keys)?;
        check_keys("snp.author_keys", &snp.author_keys)?;
        snp.check_bits()
    }

    /// Each admitted generation has one floor for all models; floors for some models do not overlap.
    fn check_floors(&self) -> Checked {
        for generation in &self.generations {
            let floors = self.snp.min_tcb.iter();
            let general = floors.filter(|floor| floor.generation == *generation && floor.models.is_none());
            match general.count() {
                1 => {}
                have => {
                    return Err(format!(
                        "snp.min_tcb has {have} floors for all models of {generation}, must have one"
                    ));
                }
            }
        }
        for floor in &self.snp.min_tcb {
            let generation = floor.generation;
            if floor.fmc != 0 && generation != Generation::Turin {
                return Err(format!(
                    "snp.min_tcb names an fmc for {generation}, which has none"
                ));
            }
            let Some((from, to)) = floor.models else { continue };
            let range = format!("snp.min_tcb for models {from:#x} to {to:#x} of {generation}");
            if from > to {
                return Err(format!("{range} is no range"));
            }
            if (from..=to).any(|model| !generation.has_model(model)) {
                return Err(format!("{range} names models of no such generation"));
            }
            let names = |model| {
                self.snp
                    .min_tcb
                    .iter()
                    .filter(move |f| f.names(generation, model))
                    .count()
            };
            if (from..=to).any(|model| names(model) != 1) {
                return Err(format!("{range} overlaps another floor"));
            }
        }
        Ok(())
    }

    fn check_tdx(&self) -> Checked {
        let admitted = self.admits(&[Platform::Tdx, Platform::SimulatedTdx]);
        let versions = &self.tdx.quote_versions;
        check_list("tdx.quote_versions", versions, POLICY_KINDS_MAX)?;
        needed("tdx.quote_versions", versions, admitted)?;
        check_known("tdx.quote_versions", versions, &QUOTE_VERSIONS)?;
        let unsafe_bits = self.tdx.attributes_allowed & !TD_ATTRIBUTES_SAFE;
        if unsafe_bits != 0 {
            return Err(format!(
                "tdx.attributes_allowed has bits {unsafe_bits:#x}, which are refused whatever a policy says"
            ));
        }
        self.tdx.machine.check("tdx.machine", admitted)
    }

    fn check_sgx(&self) -> Checked {
        let admitted = self.admits(&[Platform::Sgx]);
        check_list("sgx.types", &self.sgx.types, POLICY_KINDS_MAX)?;
        needed("sgx.types", &self.sgx.types, admitted)?;
        check_known("sgx.types", &self.sgx.types, &SGX_TYPES)?;
        self.sgx.machine.check("sgx.machine", admitted)
    }

    fn check_network(&self) -> Checked {
        let bounds = [
            (
                "evidence_age_max_ms",
                self.evidence_age_max_ms,
                1,
                EVIDENCE_AGE_LIMIT_MS,
            ),
            ("block_age_max", self.block_age_max, 1, BLOCK_AGE_LIMIT),
            (
                "not_before_tolerance_ms",
                self.not_before_tolerance_ms,
                0,
                NOT_BEFORE_TOLERANCE_LIMIT_MS,
            ),
            ("vendor_share_max", self.vendor_share_max.into(), 1, 100),
            ("family_share_max", self.family_share_max.into(), 1, 100),
            (
                "loosening_delay_ms",
                self.loosening_delay_ms,
                0,
                LOOSENING_DELAY_LIMIT_MS,
            ),
        ];
        for (name, have, min, max) in bounds {
            if have < min || have > max {
                return Err(format!("{name} is {have}, must be from {min} to {max}"));
            }
        }
        Ok(())
    }
}

impl SnpPolicy {
    /// Bits that are asked for have a meaning, can be had, and are not asked for and forbidden at once.
    fn check_bits(&self) -> Checked {
        let (required, forbidden) = (self.guest_policy_required, self.guest_policy_forbidden);
        let flags = guest_policy::KNOWN & !guest_policy::ABI;
        let rules = [
            (
                "snp.guest_policy_required",
                required & !flags,
                "which are no known flags",
            ),
            (
                "snp.guest_policy_required",
                required & GUEST_POLICY_REFUSED,
                "which are refused whatever a policy says",
            ),
            (
                "snp.guest_policy_forbidden",
                forbidden & !flags,
                "which are no known flags",
            ),
            (
                "snp.guest_policy_forbidden",
                forbidden & guest_policy::RESERVED_ONE,
                "which every guest must set",
            ),
            (
                "snp.guest_policy_forbidden",
                forbidden & required,
                "which guest_policy_required asks for",
            ),
            (
                "snp.platform_info_required",
                self.platform_info_required & !platform_info::KNOWN,
                "which have no known meaning",
            ),
        ];
        for (name, bits, why) in rules {
            if bits != 0 {
                return Err(format!("{name} has bits {bits:#x}, {why}"));
            }
        }
        // The firmware launches no guest that forbids SMT on a machine that has it on.
        if forbidden & guest_policy::SMT != 0 && self.platform_info_required & platform_info::SMT != 0 {
            return Err(
                "snp.guest_policy_forbidden and platform_info_required contradict each other on SMT"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

impl IntelPolicy {
    fn check(&self, name: &str, admitted: bool) -> Checked {
        let field = |field: &str| format!("{name}.{field}");
        check_list(&field("statuses"), &self.statuses, POLICY_KINDS_MAX)?;
        needed(&field("statuses"), &self.statuses, admitted)?;
        if self.statuses.contains(&TcbStatus::Revoked) {
            return Err(format!("{name}.statuses has Revoked, which is never admitted"));
        }
        check_list(&field("advisories"), &self.advisories, POLICY_KINDS_MAX)?;
        for advisory in &self.advisories {
            check_text(&field("advisories"), advisory, POLICY_TEXT_MAX)?;
            let number = advisory.strip_prefix("INTEL-SA-").unwrap_or_default();
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!(
                    "{name}.advisories has {advisory:?}, must be like INTEL-SA-00615"
                ));
            }
        }
        check_list(&field("fmspc_denied"), &self.fmspc_denied, POLICY_KINDS_MAX)
    }
}

fn check_list<T: PartialEq>(name: &str, list: &[T], max: usize) -> Checked {
    if list.len() > max {
        return Err(format!(
            "{name} has {} entries, at most {max} are allowed",
            list.len()
        ));
    }
    let twice = |(i, entry)| list.iter().skip(i + 1).any(|other| other == entry);
    if list.iter().enumerate().any(twice) {
        return Err(format!("{name} has an entry twice"));
    }
    Ok(())
}

/// A list without which an admitted platform has no machine.
fn needed<T>(name: &str, list: &[T], admitted: bool) -> Checked {
    if admitted && list.is_empty() {
        return Err(format!(
            "{name} is empty, so nothing of an admitted platform could pass"
        ));
    }
    Ok(())
}

fn check_known<T: PartialEq + core::fmt::Display>(name: &str, list: &[T], known: &[T]) -> Checked {
    match list.iter().find(|entry| !known.contains(entry)) {
        Some(entry) => Err(format!("{name} has {entry}, which is unknown")),
        None => Ok(()),
    }
}

/// Texts reach terminals: no control characters.
fn check_text(name: &str, text: &str, max: usize) -> Checked {
    if text.len() > max {
        return Err(format!(
            "{name} has {} bytes, at most {max} are allowed",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{name} has control characters"));
    }
    Ok(())
}

/// A guest without an ID block has zero here, which is nobody's key.
fn check_keys(name: &str, keys: &[Measurement]) -> Checked {
    check_list(name, keys, POLICY_KINDS_MAX)?;
    if keys.contains(&Measurement([0; 48])) {
        return Err(format!("{name} has zero, which stands for no key"));
    }
    Ok(())
}
