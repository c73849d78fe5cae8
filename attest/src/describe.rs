//! Every field of a piece of evidence by name, without judging any: for people who look before they trust.

use crate::evidence::{Evidence, Platform};
use crate::refusal::Refusal;
use crate::snp::generation::Generation;
use crate::snp::layout::{Report, guest_policy, platform_info};
use crate::snp::leaf::{Leaf, OID_AMD};
use crate::snp::roots::LeafKind;
use crate::snp::{REPORT_VERSIONS, generation_of_cpu, sized, split_leaf};

/// Names and values of all fields, in the order of the report, then the leaf's. A leaf that does not parse
/// is one line that says so.
///
/// # Errors
/// [`Refusal::PlatformNotSupported`], or a report whose layout is unknown: wrong length, version or CPU.
pub fn describe(evidence: &Evidence) -> Result<Vec<(String, String)>, Refusal> {
    match evidence.platform {
        Platform::SevSnp | Platform::Simulated => {}
        platform @ (Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx) => {
            return Err(Refusal::PlatformNotSupported { platform });
        }
    }
    evidence.check_bounds()?;
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
    let report = Report::read(bytes, generation);
    let mut out = Fields(Vec::new());
    out.put("platform", evidence.platform);
    describe_report(&report, generation, &mut out);
    let kind = if report.signing_key() == 1 {
        LeafKind::Vlek
    } else {
        LeafKind::Vcek
    };
    match split_leaf(&evidence.leaf, kind).and_then(|(leaf, _)| Leaf::parse(leaf)) {
        Ok(leaf) => describe_leaf(&leaf, &mut out),
        Err(refusal) => out.put("leaf", refusal),
    }
    Ok(out.0)
}

struct Fields(Vec<(String, String)>);

impl Fields {
    fn put(&mut self, name: &str, value: impl ToString) {
        self.0.push((name.to_owned(), value.to_string()));
    }

    fn hex(&mut self, name: &str, value: &[u8]) {
        self.put(name, hex::encode(value));
    }
}

fn describe_report(report: &Report, generation: Generation, out: &mut Fields) {
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
    out.put("report.guest_policy", format!("{:#x}", report.guest_policy));
    for (name, bit) in [
        ("smt", guest_policy::SMT),
        ("migrate_ma", guest_policy::MIGRATE_MA),
        ("debug", guest_policy::DEBUG),
        ("single_socket", guest_policy::SINGLE_SOCKET),
        ("cxl", guest_policy::CXL),
    ] {
        out.put(
            &format!("report.guest_policy.{name}"),
            report.guest_policy & bit != 0,
        );
    }
    out.hex("report.family_id", &report.family_id);
    out.hex("report.image_id", &report.image_id);
    out.put("report.vmpl", report.vmpl);
    out.put("report.signature_algorithm", report.signature_algorithm);
    out.put("report.platform_info", format!("{:#x}", report.platform_info));
    for (name, bit) in [
        ("smt", platform_info::SMT),
        ("ecc", platform_info::ECC),
        ("alias_check_complete", platform_info::ALIAS_CHECK_COMPLETE),
    ] {
        out.put(
            &format!("report.platform_info.{name}"),
            report.platform_info & bit != 0,
        );
    }
    out.put("report.key_info", format!("{:#x}", report.key_info));
    let key = match report.signing_key() {
        0 => "vcek".to_owned(),
        1 => "vlek".to_owned(),
        other => format!("unknown ({other})"),
    };
    out.put("report.signing_key", key);
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
        out.put(
            "report.launch_mitigations",
            format!("{:#x}", report.launch_mitigations),
        );
        out.put(
            "report.current_mitigations",
            format!("{:#x}", report.current_mitigations),
        );
    }
    out.hex("report.signature.r", &report.r);
    out.hex("report.signature.s", &report.s);
}

fn describe_leaf(leaf: &Leaf, out: &mut Fields) {
    out.put("leaf.subject", leaf.subject_name());
    out.put("leaf.issuer", leaf.issuer_name());
    out.put("leaf.validity", leaf.validity());
    out.put("leaf.product", leaf.product().unwrap_or("none"));
    if let Some(provider) = leaf.provider() {
        out.put("leaf.provider", provider);
    }
    for (arc, value) in leaf.extensions() {
        out.hex(&format!("leaf.extension.{OID_AMD}{arc}"), value);
    }
}
