//! Checks 9 to 11: does a policy admit an authentic machine?

use super::{Policy, TcbFloor};
use crate::evidence::Measurement;
use crate::facts::{Facts, SnpFacts};
use crate::planted;
use crate::refusal::Refusal;
use crate::snp::generation::Generation;
use crate::snp::layout::{guest_policy, platform_info};
use crate::snp::roots::LeafKind;
use crate::verify::{Notes, Verified};

impl Policy {
    /// Checks 9 to 11. Fails closed on a policy that was not validated: what it does not list is refused.
    pub(crate) fn judge(&self, verified: &Verified, notes: &mut Notes) -> Result<(), Refusal> {
        let (platform, measurement) = (verified.platform, verified.measurement);
        if !self.platforms.contains(&platform) {
            return Err(Refusal::PlatformNotAllowed { platform });
        }
        match &verified.facts {
            Facts::Snp(facts) => {
                self.judge_snp_machine(facts)?;
                notes.pass(9, || {
                    format!("version {}: {} admitted", self.version, verified.family())
                });
                self.judge_snp_tcb(facts)?;
                notes.pass(10, || format!("{} is at or above the floor", facts.reported_tcb));
            }
            Facts::Intel(facts) => {
                self.judge_intel_machine(facts)?;
                notes.pass(9, || {
                    format!("version {}: {} admitted", self.version, verified.family())
                });
                self.judge_intel_tcb(facts)?;
                notes.pass(10, || {
                    format!("{}, evaluation {}", facts.tcb_status, facts.evaluation)
                });
            }
        }
        let listed = self.measurements.iter();
        let allowed = listed
            .filter(|one| one.platform == platform)
            .find(|one| one.value == measurement);
        let allowed = allowed.ok_or(Refusal::MeasurementUnknown {
            platform,
            measurement,
        })?;
        notes.pass(11, || {
            format!("{measurement} is {} ({})", allowed.label, allowed.source)
        });
        Ok(())
    }

    /// The floors that a machine must meet: the one that names its CPU model, or else its generation's. A report
    /// of version 2 names no CPU, so all floors of the generation count.
    pub(super) fn floors(&self, generation: Generation, model: Option<u8>) -> Vec<&TcbFloor> {
        let of_generation = || {
            self.snp
                .min_tcb
                .iter()
                .filter(|floor| floor.generation == generation)
        };
        let Some(model) = model else {
            return of_generation().collect();
        };
        let named = of_generation().find(|floor| floor.names(generation, model));
        let floor = named.or_else(|| of_generation().find(|floor| floor.models.is_none()));
        floor.into_iter().collect()
    }

    /// Check 9 for SNP.
    fn judge_snp_machine(&self, facts: &SnpFacts) -> Result<(), Refusal> {
        let (have, generation) = (facts.report_version, facts.generation);
        if !self.snp.report_versions.contains(&have) {
            return Err(Refusal::ReportVersionNotAllowed { have });
        }
        if !self.generations.contains(&generation) {
            return Err(Refusal::GenerationNotAllowed { generation });
        }
        if facts.leaf_kind == LeafKind::Vlek && !self.snp.vlek {
            return Err(Refusal::VlekNotAllowed);
        }
        self.judge_snp_guest(facts)?;
        if self.snp.require_alias_check && facts.platform_info & platform_info::ALIAS_CHECK_COMPLETE == 0 {
            return Err(Refusal::AliasCheckIncomplete);
        }
        let have = facts.platform_info;
        let missing = self.snp.platform_info_required & !have;
        if missing != 0 {
            return Err(Refusal::PlatformInfoMissing { have, missing });
        }
        Ok(())
    }

    /// Check 10 for SNP. Committed too: above it the host could roll back; launch too: the guest started there.
    fn judge_snp_tcb(&self, facts: &SnpFacts) -> Result<(), Refusal> {
        let ([_, model, _], generation) = (facts.cpuid, facts.generation);
        let model = (facts.report_version >= 3).then_some(model);
        let floors = self.floors(generation, model);
        if floors.is_empty() {
            return Err(Refusal::TcbFloorMissing { generation });
        }
        let levels = [
            ("reported", facts.reported_tcb),
            ("launch", facts.launch_tcb),
            ("committed", facts.committed_tcb),
        ];
        for floor in floors {
            for (which, tcb) in levels {
                for ((component, have), (_, need)) in tcb.parts().into_iter().zip(floor.tcb().parts()) {
                    if have < need {
                        return Err(Refusal::TcbBelowFloor {
                            which,
                            component,
                            have,
                            need,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// The part of check 9 about what the guest's owner allowed the host.
    fn judge_snp_guest(&self, facts: &SnpFacts) -> Result<(), Refusal> {
        let have = facts.guest_policy;
        if have & guest_policy::DEBUG != 0 && !planted::has("debug_ignored") {
            return Err(Refusal::DebugAllowed);
        }
        if have & guest_policy::MIGRATE_MA != 0 {
            return Err(Refusal::MigrationAllowed);
        }
        if facts.report_id_ma != [0xff; 32] {
            return Err(Refusal::MigrationAgent);
        }
        if have & guest_policy::CXL != 0 {
            return Err(Refusal::CxlAllowed);
        }
        if have & !guest_policy::KNOWN != 0 || have & guest_policy::RESERVED_ONE == 0 {
            return Err(Refusal::GuestPolicyBits { have });
        }
        let missing = self.snp.guest_policy_required & !have;
        if missing != 0 {
            return Err(Refusal::GuestPolicyMissing { have, missing });
        }
        let forbidden = self.snp.guest_policy_forbidden & have;
        if forbidden != 0 {
            return Err(Refusal::GuestPolicyForbidden { have, forbidden });
        }
        // The host itself asks with 0xffffffff, which is above every maximum.
        if facts.vmpl > self.snp.vmpl_max {
            return Err(Refusal::VmplTooHigh {
                have: facts.vmpl,
                max: self.snp.vmpl_max,
            });
        }
        let (have, min) = (facts.guest_svn, self.snp.guest_svn_min);
        if have < min {
            return Err(Refusal::GuestSvnBelowFloor { have, min });
        }
        let keys = [
            ("ID", &self.snp.id_keys, facts.id_key_digest),
            ("author", &self.snp.author_keys, facts.author_key_digest),
        ];
        for (which, listed, digest) in keys {
            let have = Measurement(digest);
            if !listed.is_empty() && !listed.contains(&have) {
                return Err(Refusal::GuestKeyUnknown { which, have });
            }
        }
        Ok(())
    }
}
