//! Check 2, the part about the guest: what makes a quote no statement about a guest of its own. Every bit is known to be
//! harmless, or refuses. A debugged trust domain is left to check 9, as with SNP: its quote is authentic, and no policy
//! admits it.

use super::quote::{EnclaveReport, QuoteBody, TdReport};
use crate::refusal::Refusal;

/// Attribute bits of a trust domain (Intel TDX Module ABI, 348551-008, table 3.23).
pub mod td {
    /// The host may read and write the domain.
    pub const DEBUG: u64 = 1;
    /// The host may profile the domain: bits 4 to 6.
    pub const PROFILING: u64 = 0x70;
    /// Defence against single-stepping by counting instructions.
    pub const ICSSD: u64 = 1 << 16;
    /// The report carries a hash of bound service domains.
    pub const SERVTD_EXT: u64 = 1 << 17;
    /// Linear address space separation.
    pub const LASS: u64 = 1 << 27;
    /// Accesses to pages that the host withholds stop the domain instead of being handed to it.
    pub const SEPT_VE_DISABLE: u64 = 1 << 28;
    /// The domain may be migrated.
    pub const MIGRATABLE: u64 = 1 << 29;
    /// Protection keys of the supervisor.
    pub const PKS: u64 = 1 << 30;
    /// Key Locker.
    pub const KL: u64 = 1 << 31;
    /// Provisioning agent of TDX Connect.
    pub const TPA: u64 = 1 << 62;
    /// Performance counters.
    pub const PERFMON: u64 = 1 << 63;
    /// Bits 18 to 22: defined by TDX 1.5, without a name here.
    pub const OTHER: u64 = 0x1f << 18;
    /// Every bit with a meaning that does not refuse by itself.
    pub const KNOWN: u64 = ICSSD | OTHER | LASS | SEPT_VE_DISABLE | PKS | KL | TPA | PERFMON;
}

/// Attribute bits of an enclave (Intel SDM, volume 3D, 38.7.1).
pub mod enclave {
    /// The enclave is initialised.
    pub const INIT: u64 = 1;
    /// The host may read and write the enclave.
    pub const DEBUG: u64 = 1 << 1;
    /// 64-bit mode.
    pub const MODE64: u64 = 1 << 2;
    /// The enclave may derive the provisioning key.
    pub const PROVISION_KEY: u64 = 1 << 4;
    /// The enclave may derive the key that launches enclaves.
    pub const EINITTOKEN_KEY: u64 = 1 << 5;
    /// Control-flow enforcement.
    pub const CET: u64 = 1 << 6;
    /// Key separation and sharing.
    pub const KSS: u64 = 1 << 7;
    /// Asynchronous exit notification.
    pub const AEX_NOTIFY: u64 = 1 << 10;
    /// Every bit with a meaning that does not refuse by itself.
    pub const KNOWN: u64 = INIT | MODE64 | PROVISION_KEY | EINITTOKEN_KEY | CET | KSS | AEX_NOTIFY;
}

/// Bits of MISCSELECT that only say what the CPU stores of exceptions: EXINFO, CPINFO.
const MISC_SELECT_KNOWN: u32 = 3;

/// The first half of an enclave's attributes, as one number; the second is XFRM.
pub(crate) fn flags(attributes: &[u8; 16]) -> u64 {
    let mut low = [0; 8];
    for (slot, byte) in low.iter_mut().zip(attributes) {
        *slot = *byte;
    }
    u64::from_le_bytes(low)
}

pub(crate) fn check(body: &QuoteBody) -> Result<(), Refusal> {
    match body {
        QuoteBody::Td(report) => check_td(report),
        QuoteBody::Enclave(report) => check_enclave(report),
    }
}

fn check_td(report: &TdReport) -> Result<(), Refusal> {
    let have = report.td_attributes;
    if have & td::PROFILING != 0 {
        return Err(Refusal::TdProfiled);
    }
    if have & td::MIGRATABLE != 0 {
        return Err(Refusal::TdMigratable);
    }
    if have & td::SERVTD_EXT != 0 {
        return Err(Refusal::TdServiceTd);
    }
    if have & !(td::KNOWN | td::DEBUG) != 0 {
        return Err(Refusal::TdAttributesReserved { have });
    }
    if let Some(td15) = &report.td15 {
        if td15.mr_service_td != [0; 48] {
            return Err(Refusal::TdServiceTd);
        }
        if let Some(extended) = &td15.extended {
            if extended.vm_id != 0 {
                return Err(Refusal::TdPartition { have: extended.vm_id });
            }
            if extended.service.iter().any(|byte| *byte != 0) {
                return Err(Refusal::TdServiceTd);
            }
        }
    }
    if have & td::SEPT_VE_DISABLE == 0 {
        return Err(Refusal::TdSeptVeDisable);
    }
    Ok(())
}

/// The measurement of an enclave is MRENCLAVE alone, so what KSS adds to its identity must be zero.
fn check_enclave(report: &EnclaveReport) -> Result<(), Refusal> {
    let have = flags(&report.attributes);
    if have & enclave::DEBUG != 0 {
        return Err(Refusal::EnclaveDebug);
    }
    if have & !enclave::KNOWN != 0 || have & enclave::INIT == 0 {
        return Err(Refusal::EnclaveAttributes { have });
    }
    if report.misc_select & !MISC_SELECT_KNOWN != 0 {
        return Err(Refusal::QuoteReserved {
            what: "the unknown part of the enclave's MISCSELECT",
        });
    }
    check_unused(report, "an unused byte of the enclave's report")
}

/// Check 1 of a report of an enclave: what this code knows no use for is zero.
pub(crate) fn check_unused(report: &EnclaveReport, what: &'static str) -> Result<(), Refusal> {
    let unused = [
        &report.extended[..],
        &report.reserved2,
        &report.config,
        &report.family,
    ];
    if unused.iter().any(|field| field.iter().any(|byte| *byte != 0)) {
        return Err(Refusal::QuoteReserved { what });
    }
    Ok(())
}
