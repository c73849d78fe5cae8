//! Checks 9 to 11: does a policy admit an authentic machine?

use super::{Policy, TcbFloor};
use crate::facts::{Facts, SnpFacts};
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

    /// The floor for a CPU: the one that names its model, or the generation's.
    fn floor(&self, generation: Generation, model: u8) -> Option<&TcbFloor> {
        let floors = &self.snp.min_tcb;
        let general = |floor: &&TcbFloor| floor.generation == generation && floor.models.is_none();
        floors
            .iter()
            .find(|floor| floor.names(generation, model))
            .or_else(|| floors.iter().find(general))
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
        Ok(())
    }

    /// Check 10 for SNP. Committed too: above it the host could roll back; launch too: the guest started there.
    fn judge_snp_tcb(&self, facts: &SnpFacts) -> Result<(), Refusal> {
        let ([_, model, _], generation) = (facts.cpuid, facts.generation);
        let floor = self
            .floor(generation, model)
            .ok_or(Refusal::TcbFloorMissing { generation })?;
        let levels = [
            ("reported", facts.reported_tcb),
            ("launch", facts.launch_tcb),
            ("committed", facts.committed_tcb),
        ];
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
        Ok(())
    }

    /// The part of check 9 about what the guest's owner allowed the host.
    fn judge_snp_guest(&self, facts: &SnpFacts) -> Result<(), Refusal> {
        let have = facts.guest_policy;
        if have & guest_policy::DEBUG != 0 {
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
        // The host itself asks with 0xffffffff, which is above every maximum.
        if facts.vmpl > self.snp.vmpl_max {
            return Err(Refusal::VmplTooHigh {
                have: facts.vmpl,
                max: self.snp.vmpl_max,
            });
        }
        Ok(())
    }
}
