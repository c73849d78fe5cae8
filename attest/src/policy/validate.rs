//! Whether a policy makes sense by itself, before anything is judged by it.

use super::{EVIDENCE_AGE_LIMIT_MS, Policy, TcbFloor};
use crate::limits::{POLICY_KINDS_MAX, POLICY_MEASUREMENTS_MAX, POLICY_TEXT_MAX};
use crate::refusal::Refusal;
use crate::snp::REPORT_VERSIONS;
use crate::snp::generation::Generation;

/// The lowest privilege level that exists.
const VMPL_LIMIT: u32 = 3;

impl Policy {
    /// Refuses a policy that is above a bound, contradicts itself or could admit nothing by mistake. For
    /// every policy that enters by JSON, which has no bounds of its own, and before the ledger adopts one.
    pub fn validate(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::PolicyInvalid { reason });
        let lists = [
            ("platforms", self.platforms.len(), POLICY_KINDS_MAX),
            ("generations", self.generations.len(), POLICY_KINDS_MAX),
            (
                "report_versions",
                self.snp.report_versions.len(),
                POLICY_KINDS_MAX,
            ),
            ("min_tcb", self.snp.min_tcb.len(), POLICY_KINDS_MAX),
            ("measurements", self.measurements.len(), POLICY_MEASUREMENTS_MAX),
        ];
        for (name, have, max) in lists {
            if have > max {
                return refuse(format!("{name} has {have} entries, at most {max} are allowed"));
            }
        }
        if self.platforms.is_empty() || self.snp.report_versions.is_empty() || self.generations.is_empty() {
            return refuse("platforms, generations and report_versions must not be empty".to_owned());
        }
        if let Some(version) = self
            .snp
            .report_versions
            .iter()
            .find(|v| !REPORT_VERSIONS.contains(v))
        {
            return refuse(format!("report version {version} is unknown"));
        }
        if has_twice(&self.platforms) || has_twice(&self.generations) || has_twice(&self.snp.report_versions)
        {
            return refuse("a list has an entry twice".to_owned());
        }
        if self.platforms.iter().any(|p| p.is_simulated()) && !self.platforms.iter().all(|p| p.is_simulated())
        {
            return refuse("platforms mixes real and simulated ones".to_owned());
        }
        self.validate_floors()?;
        let keys: Vec<_> = self.measurements.iter().map(|m| (m.platform, m.value)).collect();
        if has_twice(&keys) {
            return refuse("a measurement is listed twice".to_owned());
        }
        for allowed in &self.measurements {
            if allowed.label.len() > POLICY_TEXT_MAX || allowed.source.len() > POLICY_TEXT_MAX {
                return refuse(format!(
                    "a measurement's text is longer than {POLICY_TEXT_MAX} bytes"
                ));
            }
        }
        if self.snp.vmpl_max > VMPL_LIMIT {
            return refuse(format!(
                "vmpl_max is {}, at most {VMPL_LIMIT} exists",
                self.snp.vmpl_max
            ));
        }
        if self.evidence_age_max_ms == 0 || self.evidence_age_max_ms > EVIDENCE_AGE_LIMIT_MS {
            return refuse(format!(
                "evidence_age_max_ms must be from 1 to {EVIDENCE_AGE_LIMIT_MS}"
            ));
        }
        Ok(())
    }

    /// Each admitted generation has one floor for all models; floors for some models do not overlap.
    fn validate_floors(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::PolicyInvalid { reason });
        for generation in &self.generations {
            let general = |floor: &&TcbFloor| floor.generation == *generation && floor.models.is_none();
            let floors = self.snp.min_tcb.iter().filter(general).count();
            if floors != 1 {
                return refuse(format!(
                    "generation {generation} has {floors} general TCB floors, must have one"
                ));
            }
        }
        for floor in &self.snp.min_tcb {
            let generation = floor.generation;
            if floor.fmc != 0 && generation != Generation::Turin {
                return refuse(format!("generation {generation} has no fmc"));
            }
            let Some((from, to)) = floor.models else { continue };
            let named = |model| {
                self.snp
                    .min_tcb
                    .iter()
                    .filter(|f| f.names(generation, model))
                    .count()
            };
            if from > to || (from..=to).any(|model| named(model) != 1) {
                return refuse(format!(
                    "models {from} to {to} of {generation} are no range or overlap"
                ));
            }
        }
        Ok(())
    }
}

fn has_twice<T: PartialEq>(list: &[T]) -> bool {
    list.iter()
        .enumerate()
        .any(|(i, entry)| list.iter().skip(i + 1).any(|other| other == entry))
}
