//! From a build to the number in the policy: the SEV-SNP launch digest of a guest, computed from its files.
//!
//! The digest covers firmware, vCPU count and type, guest features and, through the firmware's page of hashes,
//! kernel, initrd and command line (direct measured boot). It depends on the VMM, so a release has a family of
//! digests: [`family`]. [`Family`] is published beside them as JSON, and whoever has the same files gets the same.
//!
//! The arithmetic is that of `sev` (`sev::measurement::snp`), which takes paths and panics on broken firmware;
//! so each file is bounded, and the firmware checked, before it is handed over. The files must not change
//! meanwhile.
//!
//! For TDX see [`tdx`]: its registers come from the machine or from the firmware's own tools.

mod error;
mod firmware;

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sev::measurement::snp::{SnpMeasurementArgs, snp_calc_launch_digest};
use sev::measurement::vcpu_types::CpuType;
use sev::measurement::vmsa::{GuestFeatures, VMMType};
use sha2::{Digest, Sha256};

use crate::evidence::Measurement;
use crate::facts::TdFacts;
use crate::limits::POLICY_MEASUREMENTS_MAX;
pub use error::MeasureError;

/// Bytes of firmware. OVMF has 4 MiB; more than 16 MiB do not fit below 4 GiB in QEMU's machines.
pub const FIRMWARE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of a kernel.
pub const KERNEL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of an initrd; it is read into memory.
pub const INITRD_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Bytes of a command line: Linux takes 2,048 on x86.
pub const CMDLINE_BYTES_MAX: usize = 2048;
/// vCPUs of a guest: the most that KVM was ever built for.
pub const VCPUS_MAX: u32 = 4096;
/// SEV features, bit 0: the guest runs with SNP.
const SNP_ACTIVE: u64 = 1;

/// The vCPU types that are known, by QEMU's names.
pub const VCPU_TYPES: [&str; 18] = [
    "EPYC",
    "EPYC-v1",
    "EPYC-v2",
    "EPYC-IBPB",
    "EPYC-v3",
    "EPYC-v4",
    "EPYC-Rome",
    "EPYC-Rome-v1",
    "EPYC-Rome-v2",
    "EPYC-Rome-v3",
    "EPYC-Milan",
    "EPYC-Milan-v1",
    "EPYC-Milan-v2",
    "EPYC-Genoa",
    "EPYC-Genoa-v1",
    "EPYC-Turin",
    "EPYC-Turin-v1",
    "EPYC-Turin-v2",
];

/// The virtual machine monitor: each sets up its processors in its own way, which is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vmm {
    /// QEMU with KVM.
    Qemu,
    /// Amazon EC2.
    Ec2,
    /// libkrun.
    Krun,
}

impl FromStr for Vmm {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        match text {
            "qemu" => Ok(Self::Qemu),
            "ec2" => Ok(Self::Ec2),
            "krun" => Ok(Self::Krun),
            _ => Err(MeasureError::Vmm {
                have: text.chars().take(64).collect(),
            }),
        }
    }
}

impl fmt::Display for Vmm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Qemu => "qemu",
            Self::Ec2 => "ec2",
            Self::Krun => "krun",
        })
    }
}

/// What a guest is launched with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The firmware's file: OVMF built for SEV-SNP.
    pub firmware: PathBuf,
    /// The kernel's file. Without one the firmware boots what it finds, which is not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<PathBuf>,
    /// The initrd's file; only with a kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<PathBuf>,
    /// The kernel's command line; only with a kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// vCPUs, 1 to [`VCPUS_MAX`].
    pub vcpus: u32,
    /// One of [`VCPU_TYPES`], in any case.
    pub vcpu_type: String,
    /// The SEV features that the host turns on (`SEV_FEATURES` of the save area, AMD 24593 volume 2): bit 0 is
    /// SNP, bit 5 debug swap, which some host kernels add by default. 0x1 and 0x21 are what one meets.
    pub guest_features: u64,
    /// Which VMM launches it.
    pub vmm: Vmm,
}

/// A file that was measured, so that an auditor can compare it with one of another build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredFile {
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
}

/// One digest of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// vCPUs.
    pub vcpus: u32,
    /// The vCPU type, as QEMU spells it.
    pub vcpu_type: String,
    /// The launch digest.
    pub measurement: Measurement,
}

/// The digests of a release with everything that they follow from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// The firmware.
    pub firmware: MeasuredFile,
    /// The kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<MeasuredFile>,
    /// The initrd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initrd: Option<MeasuredFile>,
    /// The kernel's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// The SEV features.
    pub guest_features: u64,
    /// The VMM.
    pub vmm: Vmm,
    /// The digests, by vCPU count and then type, as asked for.
    pub members: Vec<Member>,
}

impl Family {
    /// The digests without repetition, in order: types of one CPU model measure the same.
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all: Vec<_> = self.members.iter().map(|member| member.measurement).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The launch digest of one guest.
///
/// # Errors
/// The inputs are incomplete, contradict each other, or a file cannot be read or is not what it is given as.
pub fn snp(inputs: &Inputs) -> Result<Measurement, MeasureError> {
    let checked = check(inputs)?;
    let vcpu = vcpu(&checked, inputs, inputs.vcpus, &inputs.vcpu_type)?;
    calculate(inputs, inputs.vcpus, vcpu)
}

/// The launch digests of a release for each of the `vcpus` with each of the `vcpu_types`; the two of `inputs`
/// itself do not count. At most [`POLICY_MEASUREMENTS_MAX`] digests.
///
/// # Errors
/// As [`snp`], or the family is empty or larger than a policy can name.
pub fn family(inputs: &Inputs, vcpus: &[u32], vcpu_types: &[String]) -> Result<Family, MeasureError> {
    let have = vcpus.len().saturating_mul(vcpu_types.len());
    if have == 0 || have > POLICY_MEASUREMENTS_MAX {
        return Err(MeasureError::FamilySize {
            have,
            max: POLICY_MEASUREMENTS_MAX,
        });
    }
    let checked = check(inputs)?;
    // Only the CPU's signature is measured, and a large initrd is read each time.
    let mut known = BTreeMap::new();
    let mut members = Vec::with_capacity(have);
    for &count in vcpus {
        for name in vcpu_types {
            let vcpu = vcpu(&checked, inputs, count, name)?;
            let measurement = match known.get(&(count, vcpu.sig())) {
                Some(measurement) => *measurement,
                None => {
                    let measurement = calculate(inputs, count, vcpu)?;
                    known.insert((count, vcpu.sig()), measurement);
                    measurement
                }
            };
            members.push(Member {
                vcpus: count,
                vcpu_type: vcpu.to_string(),
                measurement,
            });
        }
    }
    Ok(Family {
        firmware: checked.firmware,
        kernel: checked.kernel,
        initrd: checked.initrd,
        cmdline: inputs.cmdline.clone(),
        guest_features: inputs.guest_features,
        vmm: inputs.vmm,
        members,
    })
}

/// The measurement of a trust domain from its eight registers: [`Measurement::of_td`], for whoever has the
/// registers and no quote.
///
/// MRTD alone says only what the firmware was: kernel, initrd and command line are in RTMR 1 and 2, which the
/// firmware extends, and the host chooses the last three at launch. A policy that names this digest names all.
pub fn tdx(
    mr_td: [u8; 48],
    rtmr: [[u8; 48]; 4],
    mr_config_id: [u8; 48],
    mr_owner: [u8; 48],
    mr_owner_config: [u8; 48],
) -> Measurement {
    Measurement::of_td(&TdFacts {
        tee_tcb_svn: [0; 16],
        tee_tcb_svn2: None,
        attributes: 0,
        xfam: 0,
        mr_seam: [0; 48],
        mr_td,
        mr_config_id,
        mr_owner,
        mr_owner_config,
        rtmr,
    })
}

/// Inputs that `sev` can be handed.
struct Checked {
    firmware: MeasuredFile,
    kernel: Option<MeasuredFile>,
    initrd: Option<MeasuredFile>,
    starts_processors: bool,
}

fn check(inputs: &Inputs) -> Result<Checked, MeasureError> {
    if inputs.guest_features & SNP_ACTIVE == 0 {
        return Err(MeasureError::GuestFeatures {
            have: inputs.guest_features,
        });
    }
    if inputs.kernel.is_none() {
        // `sev` would ignore them in silence.
        for (what, given) in [
            ("an initrd", inputs.initrd.is_some()),
            ("a command line", inputs.cmdline.is_some()),
        ] {
            if given {
                return Err(MeasureError::WithoutKernel { what });
            }
        }
    }
    if let Some(cmdline) = &inputs.cmdline {
        check_cmdline(cmdline)?;
    }
    let mut image = Vec::new();
    let path = &inputs.firmware;
    let firmware = read(path, "firmware", FIRMWARE_BYTES_MAX, |bytes| {
        image.extend_from_slice(bytes)
    })?;
    let shape = firmware::check(&image).map_err(|reason| MeasureError::Firmware {
        path: path.clone(),
        reason,
    })?;
    if inputs.kernel.is_some() && !shape.kernel_hashes {
        return Err(MeasureError::NoKernelHashes { path: path.clone() });
    }
    let hashed = |path: &Option<PathBuf>, role, max| {
        path.as_deref()
            .map(|path| read(path, role, max, |_| ()))
            .transpose()
    };
    Ok(Checked {
        firmware,
        kernel: hashed(&inputs.kernel, "kernel", KERNEL_BYTES_MAX)?,
        initrd: hashed(&inputs.initrd, "initrd", INITRD_BYTES_MAX)?,
        starts_processors: shape.starts_processors,
    })
}

/// `sev` trims the command line and VMMs do not, so one that differs by that has two digests.
fn check_cmdline(cmdline: &str) -> Result<(), MeasureError> {
    let reason = if cmdline.len() > CMDLINE_BYTES_MAX {
        "has more than 2,048 bytes"
    } else if cmdline.trim() != cmdline {
        "begins or ends with white space"
    } else if cmdline.contains('\0') {
        "has a NUL in it"
    } else {
        return Ok(());
    };
    Err(MeasureError::Cmdline { reason })
}

fn vcpu(checked: &Checked, inputs: &Inputs, count: u32, name: &str) -> Result<CpuType, MeasureError> {
    if count == 0 || count > VCPUS_MAX {
        return Err(MeasureError::VcpuCount {
            have: count,
            max: VCPUS_MAX,
        });
    }
    if count > 1 && !checked.starts_processors {
        return Err(MeasureError::OneProcessor {
            path: inputs.firmware.clone(),
        });
    }
    CpuType::try_from(name).map_err(|_| MeasureError::VcpuType {
        have: name.chars().take(64).collect(),
    })
}

/// Size and hash of a file of at most `max` bytes, each piece handed to `take`. The size is known before anything
/// is read, and a file that grows meanwhile is refused.
fn read(
    path: &Path,
    role: &'static str,
    max: u64,
    mut take: impl FnMut(&[u8]),
) -> Result<MeasuredFile, MeasureError> {
    let failed = |source| MeasureError::File {
        path: path.to_path_buf(),
        source,
    };
    let too_large = |have| MeasureError::TooLarge {
        path: path.to_path_buf(),
        role,
        have,
        max,
    };
    // A pipe or device has no size, and opening one may wait for ever.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(MeasureError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    if metadata.len() > max {
        return Err(too_large(metadata.len()));
    }
    let mut file = File::open(path).map_err(failed)?.take(max + 1);
    let mut hasher = Sha256::new();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            break;
        };
        bytes += piece.len() as u64;
        if bytes > max {
            return Err(too_large(bytes));
        }
        hasher.update(piece);
        take(piece);
    }
    Ok(MeasuredFile {
        bytes,
        sha256: hex::encode(hasher.finalize()),
    })
}

fn calculate(inputs: &Inputs, vcpus: u32, vcpu_type: CpuType) -> Result<Measurement, MeasureError> {
    let unusable = |detail| MeasureError::Calculation { detail };
    let digest = snp_calc_launch_digest(SnpMeasurementArgs {
        vcpus,
        vcpu_type,
        ovmf_file: inputs.firmware.clone(),
        guest_features: GuestFeatures(inputs.guest_features),
        kernel_file: inputs.kernel.clone(),
        initrd_file: inputs.initrd.clone(),
        append: inputs.cmdline.as_deref(),
        ovmf_hash_str: None,
        vmm_type: Some(match inputs.vmm {
            Vmm::Qemu => VMMType::QEMU,
            Vmm::Ec2 => VMMType::EC2,
            Vmm::Krun => VMMType::KRUN,
        }),
    })
    .map_err(|error| unusable(error.to_string()))?;
    digest
        .get_hex_ld()
        .parse()
        .map_err(|_| unusable("its digest is not 48 bytes".to_owned()))
}
