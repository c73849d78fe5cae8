//! `tacit attest measure`: from a build to the number in the policy, with everything that the number follows from.

use serde::Serialize;
use serde_json::{Value, json};
use tacit_attest::{
    AllowedMeasurement, Measurement, Platform, limits,
    measure::{Family, Inputs, MeasureError, MeasuredFile, Member, Vmm, family, tdx},
};

use crate::{
    args::MeasureArgs,
    context::Context,
    failure::{Done, Failure},
};

/// One register of a trust domain.
type Register = [u8; 48];

pub(crate) fn run(context: &Context, args: &MeasureArgs) -> Done {
    let entries = match &args.tdx_mrtd {
        Some(mrtd) => vec![trust_domain(args, mrtd)?],
        None => guests(args)?,
    };
    let mut measurements: Vec<String> = entries.iter().map(|entry| entry.value.to_string()).collect();
    measurements.sort();
    measurements.dedup();
    let value = json!({
        "measurement": match measurements.as_slice() {
            [only] => Value::from(only.clone()),
            _ => Value::Null,
        },
        "measurements": measurements,
        "policy_entries": entries,
    });
    context.output.result(&value, || {
        entries
            .iter()
            .map(|entry| format!("{}  {}  {}\n", entry.value, entry.platform, entry.build))
            .collect()
    });
    Ok(())
}

fn failed(error: MeasureError) -> Failure {
    Failure::usage(error).hint("the message says which input is wrong")
}

/// What a launch digest follows from, as it stands in a policy: an auditor finds files by their hashes.
#[derive(Serialize)]
struct Build<'a> {
    vcpus: u32,
    vcpu_type: &'a str,
    vmm: Vmm,
    guest_features: u64,
    firmware_sha256: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initrd_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmdline: Option<&'a str>,
}

/// SEV-SNP: a digest for each count and type of vCPUs.
fn guests(args: &MeasureArgs) -> Done<Vec<AllowedMeasurement>> {
    let firmware = args
        .firmware
        .clone()
        .ok_or_else(|| Failure::new("usage.missing", "of what? give --firmware or --tdx-mrtd"))?;
    let inputs = Inputs {
        firmware,
        kernel: args.kernel.clone(),
        initrd: args.initrd.clone(),
        cmdline: args.cmdline.clone(),
        // The family's own counts and types are the ones that count.
        vcpus: args.vcpus.first().copied().unwrap_or(1),
        vcpu_type: args.vcpu_type.first().cloned().unwrap_or_default(),
        guest_features: args.guest_features,
        vmm: args.vmm.parse().map_err(failed)?,
    };
    let measured = family(&inputs, &args.vcpus, &args.vcpu_type).map_err(failed)?;
    let entry = |member| entry_of(args, &measured, member);
    measured.members.iter().map(entry).collect()
}

fn entry_of(args: &MeasureArgs, family: &Family, member: &Member) -> Done<AllowedMeasurement> {
    let hash = |file: &Option<MeasuredFile>| file.as_ref().map(|file| file.sha256.clone());
    let (kernel, initrd) = (hash(&family.kernel), hash(&family.initrd));
    let build = Build {
        vcpus: member.vcpus,
        vcpu_type: &member.vcpu_type,
        vmm: family.vmm,
        guest_features: family.guest_features,
        firmware_sha256: &family.firmware.sha256,
        kernel_sha256: kernel.as_deref(),
        initrd_sha256: initrd.as_deref(),
        cmdline: family.cmdline.as_deref(),
    };
    entry(args, Platform::SevSnp, member.measurement, &build)
}

/// An entry for a policy, which bounds its texts.
fn entry(
    args: &MeasureArgs,
    platform: Platform,
    value: Measurement,
    build: &impl Serialize,
) -> Done<AllowedMeasurement> {
    let build = serde_json::to_string(build).map_err(|error| Failure::new("internal", error))?;
    for (what, have, max) in [
        ("the label", args.label.len(), limits::POLICY_TEXT_MAX),
        ("the source", args.source.len(), limits::POLICY_TEXT_MAX),
        ("the build's inputs", build.len(), limits::POLICY_BUILD_MAX),
    ] {
        if have > max {
            return Err(Failure::usage(format!(
                "{what} have {have} bytes, a policy takes {max}"
            )));
        }
    }
    Ok(AllowedMeasurement {
        platform,
        value,
        label: args.label.clone(),
        source: args.source.clone(),
        build,
    })
}

/// TDX: one digest of all registers.
fn trust_domain(args: &MeasureArgs, mrtd: &str) -> Done<AllowedMeasurement> {
    let zero = hex::encode([0; 48]);
    let text = |given: &Option<String>| given.clone().unwrap_or_else(|| zero.clone());
    let named = [
        ("mrtd", mrtd.to_owned()),
        ("rtmr0", text(&args.tdx_rtmr0)),
        ("rtmr1", text(&args.tdx_rtmr1)),
        ("rtmr2", text(&args.tdx_rtmr2)),
        ("rtmr3", text(&args.tdx_rtmr3)),
        ("mrconfigid", text(&args.tdx_mrconfigid)),
        ("mrowner", text(&args.tdx_mrowner)),
        ("mrownerconfig", text(&args.tdx_mrownerconfig)),
    ];
    let register = |(name, text): &(&str, String)| -> Done<Register> {
        let mut bytes = [0; 48];
        hex::decode_to_slice(text, &mut bytes)
            .map(|()| bytes)
            .map_err(|_| Failure::usage(format!("--tdx-{name} {text:?} is no register: 96 hex digits")))
    };
    let [mr_td, r0, r1, r2, r3, config_id, owner, owner_config] = &named;
    let rtmr = [register(r0)?, register(r1)?, register(r2)?, register(r3)?];
    let value = tdx(
        register(mr_td)?,
        rtmr,
        register(config_id)?,
        register(owner)?,
        register(owner_config)?,
    );
    // Registers of zeros go without saying.
    let build: serde_json::Map<String, Value> = named
        .iter()
        .filter(|(_, text)| *text != zero)
        .map(|(name, text)| ((*name).to_owned(), text.clone().into()))
        .collect();
    entry(args, Platform::Tdx, value, &build)
}
