//! Why nothing was measured.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::VCPU_TYPES;

/// Why nothing was measured: the inputs are at fault.
#[derive(Debug, Error)]
#[allow(
    missing_docs,
    reason = "each variant's message says what it means, each field is named there"
)]
pub enum MeasureError {
    #[error("cannot read {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} has {have} bytes, a {role} may have {max}: is it the right file?", path.display())]
    TooLarge {
        path: PathBuf,
        role: &'static str,
        have: u64,
        max: u64,
    },
    #[error("firmware {} is unusable, {reason}: give OVMF built for SEV-SNP", path.display())]
    Firmware { path: PathBuf, reason: &'static str },
    #[error(
        "firmware {} has no page for the kernel's hashes, so kernel, initrd and command line would go unmeasured: \
         use OVMF's AmdSev build, or measure without a kernel", path.display()
    )]
    NoKernelHashes { path: PathBuf },
    #[error("firmware {} cannot start a second vCPU: its reset block is empty", path.display())]
    OneProcessor { path: PathBuf },
    #[error("{what} is given without a kernel: it is not measured then, leave it out or give the kernel")]
    WithoutKernel { what: &'static str },
    #[error("the command line {reason}: write it exactly as the VMM passes it")]
    Cmdline { reason: &'static str },
    #[error("vCPU type {have:?} is unknown, must be one of {}", VCPU_TYPES.join(", "))]
    VcpuType { have: String },
    #[error("{have} vCPUs cannot be measured, must be 1 to {max}")]
    VcpuCount { have: u32, max: u32 },
    #[error("VMM {have:?} is unknown, must be qemu, ec2 or krun")]
    Vmm { have: String },
    #[error("guest features {have:#x} lack bit 0, SNP: such a guest has no SNP report")]
    GuestFeatures { have: u64 },
    #[error(
        "a family of {have} digests is above {max}, as many as a policy may name: publish fewer combinations"
    )]
    FamilySize { have: usize, max: usize },
    #[error("`sev` cannot measure this: {detail}")]
    Calculation { detail: String },
}
