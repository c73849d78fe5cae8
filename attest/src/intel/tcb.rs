//! Check 5: which level of Intel's TCB info does a machine reach, what does Intel call it, and what is it short of?
//!
//! The rules are those of Intel's "Get TCB Info" interface and of its Quote Verification Library
//! (`convergeTcbStatuses`, `checkForRelaunch`), with two tightenings: a level that is revoked refuses whatever else holds,
//! and a domain counts as out of date when its machine is so now, even where it was not at launch.

use super::documents::{Component, QeIdentity, SvnLevel, TcbInfo, TcbLevel, TdxModuleIdentity, hex_field};
use super::pck::Pck;
use super::quote::{EnclaveReport, QuoteBody, TdReport};
use crate::collateral::CollateralKey;
use crate::facts::{Shortfall, Shortfalls, TcbStatus};
use crate::refusal::Refusal;

/// What the documents say of a machine.
pub(crate) struct Level {
    /// Converged over platform, TDX module, quoting enclave and, from TDX 1.5 on, the present and the launch.
    pub(crate) status: TcbStatus,
    /// The same as Intel's library reports it.
    pub(crate) library_status: TcbStatus,
    /// Of the launch and of the quoting enclave, each once: what Intel's library reports.
    pub(crate) advisories: Vec<String>,
    /// Of the present, where it differs from the launch, each once and none of the above.
    pub(crate) later_advisories: Vec<String>,
    /// Below the nearest level that is not out of date.
    pub(crate) shortfalls: Shortfalls,
}

/// A TCB info and a QE identity with their names.
pub(crate) struct Documents<'a> {
    pub(crate) info: &'a TcbInfo,
    pub(crate) info_key: CollateralKey,
    pub(crate) identity: &'a QeIdentity,
    pub(crate) identity_key: CollateralKey,
}

/// The security versions of a machine.
struct Machine<'a> {
    cpu_svn: &'a [u8; 16],
    pce_svn: u16,
    /// The TDX module's; `None` for SGX.
    tdx_svn: Option<&'a [u8; 16]>,
}

/// Status and advisories of one matched level.
struct Matched {
    status: TcbStatus,
    advisories: Vec<String>,
}

/// Judges a machine whose signatures hold.
pub(crate) fn judge(
    pck: &Pck,
    body: &QuoteBody,
    qe: &EnclaveReport,
    documents: &Documents<'_>,
) -> Result<Level, Refusal> {
    let td = match body {
        QuoteBody::Enclave(_) => None,
        QuoteBody::Td(report) => Some(report),
    };
    let machine = Machine {
        cpu_svn: &pck.cpu_svn,
        pce_svn: pck.pce_svn,
        tdx_svn: td.map(|report| &report.tee_tcb_svn),
    };
    let launch = platform(&machine, documents)?;
    if let Some(report) = td {
        check_module(report, documents)?;
    }
    let present_machine = td.and_then(|report| report.td15.as_ref()).map(|td15| Machine {
        tdx_svn: Some(&td15.tee_tcb_svn2),
        ..machine
    });
    let present = present_machine
        .as_ref()
        .map(|machine| platform(machine, documents))
        .transpose()?;

    let enclave = quoting_enclave(qe, documents)?;
    let mut status = converge(launch.status, enclave.status);
    let mut advisories = launch.advisories;
    add(&mut advisories, &enclave.advisories);
    let mut library_status = status;
    let mut later_advisories = Vec::new();
    if let Some(present) = present {
        let now = converge(present.status, enclave.status);
        if now == TcbStatus::Revoked {
            return Err(revoked(documents));
        }
        library_status = relaunch(status, now);
        status = if is_old(now) && !is_old(status) {
            now
        } else {
            library_status
        };
        add(&mut later_advisories, &present.advisories);
        later_advisories.retain(|id| !advisories.contains(id));
    }
    if status == TcbStatus::Revoked {
        return Err(revoked(documents));
    }
    let lacks = |machine: &Machine<'_>| machine.short_of_current(documents.info, qe, documents.identity);
    let mut shortfalls = lacks(&machine);
    if let (true, Some(present)) = (shortfalls.0.is_empty(), &present_machine) {
        shortfalls = lacks(present);
    }
    Ok(Level {
        status,
        library_status,
        advisories,
        later_advisories,
        shortfalls,
    })
}

fn revoked(documents: &Documents<'_>) -> Refusal {
    Refusal::TcbRevoked {
        document: documents.info_key,
    }
}

fn add(advisories: &mut Vec<String>, more: &[String]) {
    for id in more {
        if !advisories.contains(id) {
            advisories.push(id.clone());
        }
    }
}

/// The highest level that the machine reaches, converged with that of its TDX module.
fn platform(machine: &Machine<'_>, documents: &Documents<'_>) -> Result<Matched, Refusal> {
    let levels = &documents.info.tcb_levels;
    let level = levels
        .iter()
        .find(|level| machine.short_of(level).is_empty())
        .ok_or_else(|| Refusal::TcbNotListed {
            document: documents.info_key,
            shortfalls: Shortfalls(
                levels
                    .last()
                    .map(|level| machine.short_of(level))
                    .unwrap_or_default(),
            ),
        })?;
    if !in_tcb_info(level.tcb_status) {
        return Err(unknown_status(documents.info_key));
    }
    let mut matched = Matched {
        status: level.tcb_status,
        advisories: level.advisory_ids.clone(),
    };
    let Some((identity, svn)) = module(machine, documents)? else {
        return Ok(matched);
    };
    let lowest = identity.tcb_levels.last();
    let level = identity
        .tcb_levels
        .iter()
        .find(|level| level.tcb.isvsvn <= svn)
        .ok_or_else(|| Refusal::TcbNotListed {
            document: documents.info_key,
            shortfalls: Shortfalls(
                lowest
                    .map(|level| module_shortfall(svn, level))
                    .into_iter()
                    .collect(),
            ),
        })?;
    if !in_module(level.tcb_status) {
        return Err(unknown_status(documents.info_key));
    }
    matched.status = converge(matched.status, level.tcb_status);
    add(&mut matched.advisories, &level.advisory_ids);
    Ok(matched)
}

/// The identity of the module's major version and its security version; `None` for the version before there were
/// identities, which the TCB info's own components judge.
fn module<'a>(
    machine: &Machine<'_>,
    documents: &Documents<'a>,
) -> Result<Option<(&'a TdxModuleIdentity, u16)>, Refusal> {
    let Some([svn, version @ 1..=u8::MAX, ..]) = machine.tdx_svn else {
        return Ok(None);
    };
    identity_of(documents.info, *version)
        .map(|identity| Some((identity, u16::from(*svn))))
        .ok_or(Refusal::TdxModuleUnknown {
            document: documents.info_key,
            version: *version,
        })
}

fn identity_of(info: &TcbInfo, version: u8) -> Option<&TdxModuleIdentity> {
    let id = format!("TDX_{version:02X}");
    info.tdx_module_identities
        .iter()
        .find(|identity| identity.id.eq_ignore_ascii_case(&id))
}

/// The module is the one that Intel names: its signer, and its attributes bit by bit.
fn check_module(report: &TdReport, documents: &Documents<'_>) -> Result<(), Refusal> {
    let document = documents.info_key;
    let unreadable = |reason| Refusal::CollateralEncoding {
        what: "TCB info",
        reason,
    };
    let [_, version, ..] = report.tee_tcb_svn;
    let (signer, attributes, mask) = if version == 0 {
        let module = documents.info.tdx_module.as_ref();
        let module = module.ok_or(unreadable("lacks the TDX module"))?;
        (&module.mrsigner, &module.attributes, &module.attributes_mask)
    } else {
        let identity = identity_of(documents.info, version);
        let identity = identity.ok_or(Refusal::TdxModuleUnknown { document, version })?;
        (
            &identity.mrsigner,
            &identity.attributes,
            &identity.attributes_mask,
        )
    };
    let mismatch = |field| Err(Refusal::TdxModuleMismatch { document, field });
    if hex_field::<48>(signer).map_err(unreadable)? != report.mr_signer_seam {
        return mismatch("signer");
    }
    let need = u64::from_le_bytes(hex_field(attributes).map_err(unreadable)?);
    let mask = u64::from_le_bytes(hex_field(mask).map_err(unreadable)?);
    let have = u64::from_le_bytes(report.seam_attributes);
    // Bits that the mask leaves out have no meaning and are zero.
    if have & mask != need & mask || have & !mask != 0 {
        return mismatch("attributes");
    }
    Ok(())
}

/// The quoting enclave is the one that Intel names, and its level.
fn quoting_enclave(qe: &EnclaveReport, documents: &Documents<'_>) -> Result<Matched, Refusal> {
    let document = documents.identity_key;
    let identity = documents.identity;
    let unreadable = |reason| Refusal::CollateralEncoding {
        what: "QE identity",
        reason,
    };
    let mismatch = |field| Err(Refusal::QeMismatch { document, field });
    if hex_field::<32>(&identity.mrsigner).map_err(unreadable)? != qe.mr_signer {
        return mismatch("signer");
    }
    if identity.isvprodid != qe.isv_prod_id {
        return mismatch("product number");
    }
    let need = u32::from_le_bytes(hex_field(&identity.miscselect).map_err(unreadable)?);
    let mask = u32::from_le_bytes(hex_field(&identity.miscselect_mask).map_err(unreadable)?);
    if qe.misc_select & mask != need & mask {
        return mismatch("MISCSELECT");
    }
    let need = u128::from_le_bytes(hex_field(&identity.attributes).map_err(unreadable)?);
    let mask = u128::from_le_bytes(hex_field(&identity.attributes_mask).map_err(unreadable)?);
    if u128::from_le_bytes(qe.attributes) & mask != need & mask {
        return mismatch("attributes");
    }
    let level = identity
        .tcb_levels
        .iter()
        .find(|level| level.tcb.isvsvn <= qe.isv_svn);
    let level = level.ok_or_else(|| Refusal::TcbNotListed {
        document,
        shortfalls: Shortfalls(
            identity
                .tcb_levels
                .last()
                .map(|level| enclave_shortfall(qe, level))
                .into_iter()
                .collect(),
        ),
    })?;
    if !in_identity(level.tcb_status) {
        return Err(unknown_status(document));
    }
    Ok(Matched {
        status: level.tcb_status,
        advisories: level.advisory_ids.clone(),
    })
}

impl Machine<'_> {
    /// The components of a level that the machine does not reach. Where the module has an identity of its own, that
    /// judges components 0 and 1 of the module.
    fn short_of(&self, level: &TcbLevel) -> Vec<Shortfall> {
        let tcb = &level.tcb;
        let mut short = compare("SGX", self.cpu_svn, &tcb.sgxtcbcomponents, 0);
        if self.pce_svn < tcb.pcesvn {
            short.push(Shortfall {
                component: "provisioning certification enclave (PCE)".to_owned(),
                have: self.pce_svn,
                need: tcb.pcesvn,
                update: "OS/VMM".to_owned(),
            });
        }
        if let (Some(svn), Some(components)) = (self.tdx_svn, &tcb.tdxtcbcomponents) {
            let [_, version, ..] = svn;
            short.extend(compare("TDX", svn, components, if *version > 0 { 2 } else { 0 }));
        }
        short
    }

    /// What is below the nearest level that Intel does not call out of date: platform, module, quoting enclave.
    fn short_of_current(&self, info: &TcbInfo, qe: &EnclaveReport, identity: &QeIdentity) -> Shortfalls {
        let current = |status| !is_old(status);
        let levels = info.tcb_levels.iter().rev();
        let mut short = levels
            .filter(|level| current(level.tcb_status))
            .map(|level| self.short_of(level))
            .min_by_key(Vec::len)
            .unwrap_or_default();
        if let Some([svn, version @ 1..=u8::MAX, ..]) = self.tdx_svn {
            let lowest = identity_of(info, *version).and_then(|identity| {
                identity
                    .tcb_levels
                    .iter()
                    .rev()
                    .find(|level| current(level.tcb_status))
            });
            let svn = u16::from(*svn);
            short.extend(
                lowest
                    .filter(|level| svn < level.tcb.isvsvn)
                    .map(|level| module_shortfall(svn, level)),
            );
        }
        let lowest = identity
            .tcb_levels
            .iter()
            .rev()
            .find(|level| current(level.tcb_status));
        short.extend(
            lowest
                .filter(|level| qe.isv_svn < level.tcb.isvsvn)
                .map(|level| enclave_shortfall(qe, level)),
        );
        Shortfalls(short)
    }
}

fn module_shortfall(have: u16, level: &SvnLevel) -> Shortfall {
    Shortfall {
        component: "TDX module".to_owned(),
        have,
        need: level.tcb.isvsvn,
        update: "TDX module".to_owned(),
    }
}

fn enclave_shortfall(qe: &EnclaveReport, level: &SvnLevel) -> Shortfall {
    Shortfall {
        component: "quoting enclave".to_owned(),
        have: qe.isv_svn,
        need: level.tcb.isvsvn,
        update: "OS/VMM".to_owned(),
    }
}

/// Components are numbered from 1, as Intel's certificates and documents do.
fn compare(kind: &str, have: &[u8; 16], need: &[Component; 16], skip: usize) -> Vec<Shortfall> {
    let pairs = (1..).zip(have.iter().zip(need)).skip(skip);
    let short = pairs.filter(|(_, (have, need))| **have < need.svn);
    short
        .map(|(number, (have, need)): (u8, _)| Shortfall {
            component: match need.kind.as_str() {
                "" => format!("{kind} component {number}"),
                name => format!("{kind} component {number} ({name})"),
            },
            have: u16::from(*have),
            need: u16::from(need.svn),
            update: need.category.clone(),
        })
        .collect()
}

fn unknown_status(document: CollateralKey) -> Refusal {
    let what = match document.kind {
        crate::collateral::CollateralKind::QeIdentity { .. } => "QE identity",
        _ => "TCB info",
    };
    Refusal::CollateralEncoding {
        what,
        reason: "has a status that does not belong there",
    }
}

/// The statuses that Intel's library takes from each structure.
fn in_tcb_info(status: TcbStatus) -> bool {
    !matches!(
        status,
        TcbStatus::TDRelaunchAdvised | TcbStatus::TDRelaunchAdvisedConfigurationNeeded
    )
}

fn in_module(status: TcbStatus) -> bool {
    matches!(
        status,
        TcbStatus::UpToDate | TcbStatus::OutOfDate | TcbStatus::Revoked
    )
}

fn in_identity(status: TcbStatus) -> bool {
    in_module(status)
        || matches!(
            status,
            TcbStatus::ConfigurationNeeded | TcbStatus::OutOfDateConfigurationNeeded
        )
}

/// A platform's status with that of its module or quoting enclave: only an old or revoked one counts.
fn converge(platform: TcbStatus, part: TcbStatus) -> TcbStatus {
    use TcbStatus::*;
    match (part, platform) {
        (Revoked, _) => Revoked,
        (OutOfDate, UpToDate | SWHardeningNeeded) => OutOfDate,
        (OutOfDate, ConfigurationNeeded | ConfigurationAndSWHardeningNeeded) => OutOfDateConfigurationNeeded,
        _ => platform,
    }
}

fn is_old(status: TcbStatus) -> bool {
    matches!(
        status,
        TcbStatus::OutOfDate | TcbStatus::OutOfDateConfigurationNeeded | TcbStatus::Revoked
    )
}

/// A domain that was launched under old firmware which has been updated underneath it should be launched again.
fn relaunch(launch: TcbStatus, present: TcbStatus) -> TcbStatus {
    use TcbStatus::*;
    let misconfigured = |status| {
        matches!(
            status,
            ConfigurationNeeded | OutOfDateConfigurationNeeded | ConfigurationAndSWHardeningNeeded
        )
    };
    if launch == Revoked || !is_old(launch) || is_old(present) {
        launch
    } else if misconfigured(launch) || misconfigured(present) {
        TDRelaunchAdvisedConfigurationNeeded
    } else {
        TDRelaunchAdvised
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TcbStatus::*;

    #[test]
    fn an_old_part_makes_a_platform_old_and_a_revoked_one_revokes_it() {
        assert_eq!(converge(UpToDate, OutOfDate), OutOfDate);
        assert_eq!(converge(SWHardeningNeeded, OutOfDate), OutOfDate);
        assert_eq!(
            converge(ConfigurationNeeded, OutOfDate),
            OutOfDateConfigurationNeeded
        );
        assert_eq!(converge(UpToDate, Revoked), Revoked);
        assert_eq!(converge(UpToDate, ConfigurationNeeded), UpToDate);
        assert_eq!(converge(OutOfDate, UpToDate), OutOfDate);
    }

    #[test]
    fn an_update_underneath_a_running_domain_asks_for_a_relaunch() {
        assert_eq!(relaunch(OutOfDate, UpToDate), TDRelaunchAdvised);
        assert_eq!(
            relaunch(OutOfDate, ConfigurationNeeded),
            TDRelaunchAdvisedConfigurationNeeded
        );
        assert_eq!(relaunch(OutOfDate, OutOfDate), OutOfDate);
        assert_eq!(relaunch(UpToDate, UpToDate), UpToDate);
        assert_eq!(relaunch(UpToDate, OutOfDate), UpToDate);
        assert_eq!(relaunch(Revoked, UpToDate), Revoked);
    }
}
