//! An SNP report of version 2, 3 or 5 (AMD 56860), then the certificates that came with it.

use super::certificate;
use super::fields::{Fields, bits};
use crate::evidence::Evidence;
use crate::refusal::Refusal;
use crate::snp::generation::Generation;
use crate::snp::layout::Report;
use crate::snp::roots::LeafKind;
use crate::snp::{REPORT_VERSIONS, generation_of_cpu, sized, split_leaf};

const GUEST_POLICY: [(u32, &str); 10] = [
    (16, "smt"),
    (17, "reserved_one"),
    (18, "migrate_ma"),
    (19, "debug"),
    (20, "single_socket"),
    (21, "cxl"),
    (22, "mem_aes_256_xts"),
    (23, "rapl_disabled"),
    (24, "ciphertext_hiding"),
    (25, "page_swap_disabled"),
];
const PLATFORM_INFO: [(u32, &str); 7] = [
    (0, "smt"),
    (1, "tsme"),
    (2, "ecc"),
    (3, "rapl_disabled"),
    (4, "ciphertext_hiding"),
    (5, "alias_check_complete"),
    (7, "tio"),
];
const KEY_INFO: [(u32, &str); 2] = [(0, "author_key"), (1, "mask_chip_key")];

pub(super) fn evidence(evidence: &Evidence, out: &mut Fields) -> Result<(), Refusal> {
    let bytes = sized(&evidence.report)?;
    let version = Report::version_of(bytes);
    if !REPORT_VERSIONS.contains(&version) {
        return Err(Refusal::ReportVersion { have: version });
    }
    // A version 2 report names no CPU: only Turin fills its chip id with zeros from the ninth byte on. The
    // two other layouts are alike.
    let generation = if version >= 3 {
        generation_of_cpu(bytes)?
    } else if Report::chip_id_of(bytes).0.iter().skip(8).all(|byte| *byte == 0) {
        Generation::Turin
    } else {
        Generation::Milan
    };
    let parsed = Report::read(bytes, generation);
    report(&parsed, generation, out);
    let canonical = parsed.to_bytes(generation);
    for (offset, (have, _)) in bytes
        .iter()
        .zip(&canonical)
        .enumerate()
        .filter(|(_, (have, zero))| have != zero)
    {
        out.put(&format!("report.unused[{offset:#x}]"), format!("{have:#04x}"));
    }
    let kind = if parsed.signing_key() == 1 {
        LeafKind::Vlek
    } else {
        LeafKind::Vcek
    };
    match split_leaf(&evidence.leaf, kind) {
        Ok((leaf, asvk)) => {
            certificate::certificate("leaf", leaf, out);
            if kind == LeafKind::Vlek {
                certificate::certificate("intermediate", asvk, out);
            }
        }
        Err(refusal) => out.put("leaf", refusal),
    }
    Ok(())
}

fn report(report: &Report, generation: Generation, out: &mut Fields) {
    header(report, generation, out);
    out.hex("report.report_data", &report.report_data);
    out.put("report.measurement", report.measurement);
    out.hex("report.host_data", &report.host_data);
    out.hex("report.id_key_digest", &report.id_key_digest);
    out.hex("report.author_key_digest", &report.author_key_digest);
    out.hex("report.report_id", &report.report_id);
    out.hex("report.report_id_ma", &report.report_id_ma);
    out.put("report.chip_id", report.chip_id);
    out.put("report.reported_tcb", report.reported_tcb);
    out.put("report.current_tcb", report.current_tcb);
    out.put("report.committed_tcb", report.committed_tcb);
    out.put("report.launch_tcb", report.launch_tcb);
    for (name, [build, minor, major]) in [
        ("report.current_firmware", report.current_firmware),
        ("report.committed_firmware", report.committed_firmware),
    ] {
        out.put(name, format!("{major}.{minor}.{build}"));
    }
    if report.version >= 5 {
        for (name, value) in [
            ("report.launch_mitigations", report.launch_mitigations),
            ("report.current_mitigations", report.current_mitigations),
        ] {
            out.put(name, format!("{value:#x}"));
        }
    }
    out.hex("report.signature.r", &report.r);
    out.hex("report.signature.s", &report.s);
}

fn header(report: &Report, generation: Generation, out: &mut Fields) {
    out.put("report.version", report.version);
    match report.version {
        2 => out.put(
            "report.generation",
            format!("{generation} layout (version 2 names no CPU)"),
        ),
        _ => {
            let [family, model, stepping] = report.cpuid;
            out.put("report.generation", generation);
            out.put(
                "report.cpuid",
                format!("family {family:#x} model {model:#x} stepping {stepping}"),
            );
        }
    }
    out.put("report.guest_svn", report.guest_svn);
    let policy = report.guest_policy;
    out.put("report.guest_policy", format!("{policy:#x}"));
    out.put(
        "report.guest_policy.abi",
        format!("{}.{}", policy >> 8 & 0xff, policy & 0xff),
    );
    bits("report.guest_policy", policy, &GUEST_POLICY, out);
    out.hex("report.family_id", &report.family_id);
    out.hex("report.image_id", &report.image_id);
    out.put("report.vmpl", report.vmpl);
    out.put("report.signature_algorithm", report.signature_algorithm);
    out.put("report.platform_info", format!("{:#x}", report.platform_info));
    bits("report.platform_info", report.platform_info, &PLATFORM_INFO, out);
    out.put("report.key_info", format!("{:#x}", report.key_info));
    bits("report.key_info", report.key_info.into(), &KEY_INFO, out);
    let key = match report.signing_key() {
        0 => "vcek".to_owned(),
        1 => "vlek".to_owned(),
        7 => "none".to_owned(),
        other => format!("unknown ({other})"),
    };
    out.put("report.signing_key", key);
}
