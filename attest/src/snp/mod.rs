//! SEV-SNP evidence: is it authentic? Checks 1 to 8 of the list; policy and binding come after.
//!
//! The `sev` crate does the cryptography and nothing else. Alone it is no verifier: it checks its own
//! re-encoding of a report instead of the bytes, ignores time, TCB extensions, hardware id and key kind,
//! and one of its conversions panics on a CPUID that the prover chooses. So everything it is handed has
//! passed the checks of this module first.

pub(crate) mod generation;
pub(crate) mod layout;
pub(crate) mod leaf;
mod revocation;
pub(crate) mod roots;

use sev::certs::snp::Verifiable;
use sev::firmware::guest::AttestationReport;
use sev::parser::ByteParser;

use crate::collateral::select::Clock;
use crate::evidence::{Evidence, Platform};
use crate::facts::{Facts, SnpFacts};
use crate::refusal::Refusal;
use crate::verify::{Authentic, Notes, Rules};
use generation::Generation;
use layout::{KEY_INFO_AT, REPORT_LEN, Report, key_info};
use leaf::Leaf;
use roots::{Issuer, LeafKind, Roots};

/// The family id of every simulated report, so that nobody takes one for real by its look either.
pub const SIMULATOR_FAMILY_ID: [u8; 16] = *b"TACIT-SIMULATOR!";
/// Report versions that this code knows the layout of. 4 was never seen; above 5 nothing is known.
pub const REPORT_VERSIONS: [u32; 3] = [2, 3, 5];
/// ECDSA P-384 with SHA-384.
const SIGNATURE_ALGORITHM: u32 = 1;
const SIGNED_BY_VCEK: u32 = 0;
const SIGNED_BY_VLEK: u32 = 1;

/// Checks 1 to 8.
pub(crate) fn authenticate(
    evidence: &Evidence,
    roots: &Roots<'_>,
    rules: &Rules<'_>,
    notes: &mut Notes,
) -> Result<Authentic, Refusal> {
    // 1. Shape. The rest of check 1 needs the generation and follows below.
    let bytes = sized(&evidence.report)?;

    // 2. Header.
    let version = check_header(bytes, roots)?;
    let kind = leaf_kind(bytes, roots)?;
    notes.pass(2, || {
        format!("version {version}, ECDSA P-384, signed by a {}", kind_name(kind))
    });

    // 3. Generation. From version 3 on the report names its CPU; version 2 belongs to whom the leaf says.
    let claimed = if version >= 3 {
        Some(generation_of_cpu(bytes)?)
    } else {
        None
    };
    let (leaf_der, asvk) = split_leaf(&evidence.leaf, kind)?;
    let leaf = Leaf::parse(leaf_der)?;
    let signed = generation_of_leaf(&leaf, roots)?;
    let generation = claimed.unwrap_or(signed);
    if generation != signed {
        return Err(Refusal::GenerationMismatch {
            report: generation,
            leaf: signed,
        });
    }

    // 1 again: every byte that has no meaning for this version and generation is zero.
    let report = Report::read(bytes, generation);
    let canonical = report.to_bytes(generation);
    if let Some(offset) = bytes.iter().zip(&canonical).position(|(have, need)| have != need) {
        return Err(Refusal::ReservedNotZero { offset });
    }
    if report.key_info & !key_info::KNOWN != 0 {
        return Err(Refusal::ReservedNotZero { offset: KEY_INFO_AT });
    }
    let decoded = AttestationReport::from_bytes(bytes).map_err(|_| Refusal::NotCanonical)?;
    if decoded.to_bytes().map_err(|_| Refusal::NotCanonical)? != *bytes {
        return Err(Refusal::NotCanonical);
    }
    notes.pass(1, || format!("{REPORT_LEN} bytes, every unused byte zero"));
    notes.pass(3, || generation.name().to_owned());

    // 4. Leaf certificate.
    let issuer = roots.issuer(generation, kind, asvk)?;
    leaf.check_issuer(&issuer, roots.leaf_name(kind))?;
    leaf.check_extensions(generation, kind)?;
    let clock = Clock {
        now_ms: rules.now_ms,
        tolerance_ms: rules.policy.map_or(0, |policy| policy.not_before_tolerance_ms),
    };
    leaf.check_time(&issuer, clock)?;
    notes.pass(4, || {
        format!(
            "{} issued by {}, valid {}",
            leaf.subject_name(),
            leaf.issuer_name(),
            leaf.validity()
        )
    });

    // 5. The key was derived from the TCB that the report claims: old firmware cannot claim a newer one.
    let tcb = leaf.tcb(generation).ok_or(Refusal::LeafExtensions {
        reason: "no TCB".to_owned(),
    })?;
    for ((component, have), (_, need)) in report.reported_tcb.parts().into_iter().zip(tcb.parts()) {
        if have != need {
            return Err(Refusal::LeafTcb {
                component,
                have,
                need,
            });
        }
    }
    notes.pass(5, || tcb.to_string());

    // 6. The key belongs to the chip that the report names.
    check_chip(&report, &leaf, generation, kind)?;
    notes.pass(6, || match kind {
        LeafKind::Vcek => format!("chip {}", report.chip_id),
        LeafKind::Vlek => format!("no chip, provider {}", leaf.provider().unwrap_or_default()),
    });

    // 7. Signatures.
    check_signatures(&issuer, &leaf, &decoded)?;
    notes.pass(7, || "report, leaf, intermediate and root".to_owned());

    // 8. Revocation.
    let ends = [
        leaf.not_after().saturating_mul(1000),
        issuer.not_after_ms(),
        revocation::check(&issuer, generation, evidence.platform, rules, clock, notes)?,
    ];

    Ok(Authentic {
        measurement: report.measurement,
        chip: report.chip_id,
        report_data: report.report_data,
        not_after_ms: ends.into_iter().fold(u64::MAX, u64::min),
        facts: Facts::Snp(SnpFacts {
            generation,
            report_version: report.version,
            leaf_kind: kind,
            guest_policy: report.guest_policy,
            platform_info: report.platform_info,
            vmpl: report.vmpl,
            guest_svn: report.guest_svn,
            cpuid: report.cpuid,
            reported_tcb: report.reported_tcb,
            current_tcb: report.current_tcb,
            committed_tcb: report.committed_tcb,
            launch_tcb: report.launch_tcb,
            report_id: report.report_id,
            report_id_ma: report.report_id_ma,
            host_data: report.host_data,
            id_key_digest: report.id_key_digest,
            author_key_digest: report.author_key_digest,
        }),
    })
}

/// Check 1: the length, exactly.
pub(crate) fn sized(report: &[u8]) -> Result<&[u8; REPORT_LEN], Refusal> {
    report.try_into().map_err(|_| Refusal::ReportLength {
        have: report.len(),
        need: REPORT_LEN,
    })
}

/// Check 2, all but the signing key.
fn check_header(bytes: &[u8; REPORT_LEN], roots: &Roots<'_>) -> Result<u32, Refusal> {
    let version = Report::version_of(bytes);
    if !REPORT_VERSIONS.contains(&version) {
        return Err(Refusal::ReportVersion { have: version });
    }
    // Of the fields read here none depends on the generation.
    let header = Report::read(bytes, Generation::Genoa);
    if header.signature_algorithm != SIGNATURE_ALGORITHM {
        return Err(Refusal::SignatureAlgorithm {
            have: header.signature_algorithm,
        });
    }
    if header.key_info & key_info::MASK_CHIP_KEY != 0 {
        return Err(Refusal::ChipKeyMasked);
    }
    if (header.family_id == SIMULATOR_FAMILY_ID) != roots.is_simulator() {
        let platform = if roots.is_simulator() {
            Platform::Simulated
        } else {
            Platform::SevSnp
        };
        return Err(Refusal::SimulatorMark { platform });
    }
    Ok(version)
}

/// Check 2: which key the report says signed it. The simulator has no VLEK.
fn leaf_kind(bytes: &[u8; REPORT_LEN], roots: &Roots<'_>) -> Result<LeafKind, Refusal> {
    match Report::read(bytes, Generation::Genoa).signing_key() {
        SIGNED_BY_VCEK => Ok(LeafKind::Vcek),
        SIGNED_BY_VLEK if !roots.is_simulator() => Ok(LeafKind::Vlek),
        have => Err(Refusal::SigningKeyKind { have }),
    }
}

fn kind_name(kind: LeafKind) -> &'static str {
    match kind {
        LeafKind::Vcek => "VCEK",
        LeafKind::Vlek => "VLEK",
    }
}

/// Check 3: the CPU that the report names.
pub(crate) fn generation_of_cpu(bytes: &[u8; REPORT_LEN]) -> Result<Generation, Refusal> {
    let [family, model, _] = Report::cpuid_of(bytes);
    Generation::from_cpuid(family, model).ok_or(Refusal::CpuUnknown { family, model })
}

/// Check 3: the generation of the leaf, by its product name. AMD's issuer must be of the same generation;
/// that its signature verifies is check 7.
fn generation_of_leaf(leaf: &Leaf, roots: &Roots<'_>) -> Result<Generation, Refusal> {
    let product = leaf.product().ok_or(Refusal::LeafExtensions {
        reason: format!("{}2 is not a product name", leaf::OID_AMD),
    })?;
    roots
        .generation_of_product(product)
        .ok_or_else(|| Refusal::LeafExtensions {
            reason: format!("product {product:?} is unknown"),
        })
}

/// A VCEK stands alone. A VLEK is one DER value, followed by its intermediate.
pub(crate) fn split_leaf(leaf: &[u8], kind: LeafKind) -> Result<(&[u8], &[u8]), Refusal> {
    match (kind, leaf) {
        (LeafKind::Vcek, _) => Ok((leaf, &[])),
        (LeafKind::Vlek, [0x30, 0x82, high, low, ..]) => leaf
            .split_at_checked(4 + usize::from(u16::from_be_bytes([*high, *low])))
            .ok_or(Refusal::LeafEncoding { reason: "is cut off" }),
        (LeafKind::Vlek, _) => Err(Refusal::LeafEncoding {
            reason: "is not one DER certificate",
        }),
    }
}

/// Check 6. On Turin the id is eight bytes and the report's field is filled with zeros.
fn check_chip(report: &Report, leaf: &Leaf, generation: Generation, kind: LeafKind) -> Result<(), Refusal> {
    if kind == LeafKind::Vlek {
        return Ok(());
    }
    if report.chip_id.is_masked() {
        return Err(Refusal::ChipIdMasked);
    }
    let (id, fill) = report.chip_id.0.split_at(generation.hardware_id_len());
    if leaf.hardware_id() != Some(id) || fill.iter().any(|byte| *byte != 0) {
        return Err(Refusal::ChipIdMismatch);
    }
    Ok(())
}

/// Check 7, from the report up: what a forger changes most is found first. `decoded` encodes to the very
/// bytes of the evidence: check 1 made sure of it.
fn check_signatures(issuer: &Issuer, leaf: &Leaf, decoded: &AttestationReport) -> Result<(), Refusal> {
    let vek = leaf.to_sev();
    (&vek, decoded).verify().map_err(|_| Refusal::ReportSignature)?;
    (&issuer.chain.ask, &vek)
        .verify()
        .map_err(|_| Refusal::LeafSignature)?;
    issuer
        .chain
        .verify()
        .map(|_| ())
        .map_err(|_| Refusal::RootSignature)
}

/// Whether a report carries the simulator's mark; for those who must guess what they hold.
pub(crate) fn is_marked_simulated(report: &[u8]) -> bool {
    sized(report).is_ok_and(|bytes| Report::read(bytes, Generation::Genoa).family_id == SIMULATOR_FAMILY_ID)
}
