//! Checks 9 and 10 for Intel's machines.

use super::{IntelPolicy, Policy};
use crate::facts::{IntelBody, IntelFacts, TcbStatus, Tee};
use crate::intel::attributes::{enclave, flags, td};
use crate::planted;
use crate::refusal::Refusal;

/// Entries that say where to read about a level, not what is wrong with it.
const INFORMATIVE: &str = "INTEL-DOC";

impl Policy {
    /// What is common to all of Intel's, for one TEE.
    pub(crate) fn intel(&self, tee: Tee) -> &IntelPolicy {
        match tee {
            Tee::Sgx => &self.sgx.machine,
            Tee::Tdx => &self.tdx.machine,
        }
    }

    /// Check 9.
    pub(super) fn judge_intel_machine(&self, facts: &IntelFacts) -> Result<(), Refusal> {
        match &facts.body {
            IntelBody::Td(body) => {
                if body.attributes & td::DEBUG != 0 && !planted::has("debug_ignored") {
                    return Err(Refusal::TdDebug);
                }
                let have = facts.quote_version;
                if !self.tdx.quote_versions.contains(&have) {
                    return Err(Refusal::QuoteVersionNotAllowed { have });
                }
                let have = body.attributes & !(td::SEPT_VE_DISABLE | self.tdx.attributes_allowed);
                if have != 0 {
                    return Err(Refusal::TdAttributesNotAllowed { have });
                }
            }
            IntelBody::Enclave(body) => {
                let have = flags(&body.attributes);
                if have & (enclave::PROVISION_KEY | enclave::EINITTOKEN_KEY) != 0 {
                    return Err(Refusal::EnclaveKeyAccess { have });
                }
                if !self.sgx.types.contains(&facts.sgx_type) {
                    return Err(Refusal::SgxTypeNotAllowed { have: facts.sgx_type });
                }
            }
        }
        let machine = self.intel(facts.tee);
        if machine.fmspc_denied.contains(&facts.fmspc) {
            return Err(Refusal::FmspcDenied { fmspc: facts.fmspc });
        }
        // A leaf that does not say is taken at its worst.
        for (what, admitted, flag) in [
            (
                "is one to which packages may be added",
                machine.dynamic_platform,
                facts.dynamic_platform,
            ),
            (
                "has root keys that Intel keeps",
                machine.cached_keys,
                facts.cached_keys,
            ),
            ("has hyperthreading on", machine.smt, facts.smt),
        ] {
            if !admitted && flag != Some(false) {
                return Err(Refusal::MachineNotAllowed { what });
            }
        }
        Ok(())
    }

    /// Check 10.
    pub(super) fn judge_intel_tcb(&self, facts: &IntelFacts) -> Result<(), Refusal> {
        let machine = self.intel(facts.tee);
        let (have, need) = (facts.evaluation, machine.evaluation_min);
        if have < need {
            return Err(Refusal::EvaluationTooLow { have, need });
        }
        let status = facts.tcb_status;
        if status == TcbStatus::Revoked || !machine.statuses.contains(&status) {
            return Err(Refusal::TcbStatusNotAllowed {
                status,
                shortfalls: facts.shortfalls.clone(),
            });
        }
        for id in &facts.advisories {
            if !id.starts_with(INFORMATIVE) && !machine.advisories.contains(id) {
                return Err(Refusal::AdvisoryOpen { id: id.clone() });
            }
        }
        if let IntelBody::Enclave(body) = &facts.body {
            let (have, need) = (body.isv_svn, self.sgx.isv_svn_min);
            if have < need {
                return Err(Refusal::IsvSvnTooLow { have, need });
            }
        }
        Ok(())
    }
}
