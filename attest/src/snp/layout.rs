//! The 1,184 bytes of an SNP attestation report (AMD 56860, "ATTESTATION_REPORT"), read and written.
//!
//! Reading drops reserved bytes and writing zeroes them, so "write(read(bytes)) == bytes" holds only for
//! reports whose every unused byte is zero. Verification asks for exactly that.

use super::generation::{Generation, Tcb};
use crate::evidence::{ChipId, Measurement};

/// Bytes of a report.
pub const REPORT_LEN: usize = 1184;
/// Bytes that the signature covers, from the start.
pub(crate) const SIGNED_LEN: usize = 0x2a0;

const R_AT: usize = 0x2a0;
const S_AT: usize = 0x2e8;
pub(crate) const KEY_INFO_AT: usize = 0x48;

/// Guest policy bits (AMD 56860, "GUEST_POLICY").
pub mod guest_policy {
    /// Bit 16: the guest may run with SMT.
    pub const SMT: u64 = 1 << 16;
    /// Bit 17: reserved, must be one.
    pub const RESERVED_ONE: u64 = 1 << 17;
    /// Bit 18: a migration agent may be associated with the guest.
    pub const MIGRATE_MA: u64 = 1 << 18;
    /// Bit 19: the host may debug, that is read, the guest.
    pub const DEBUG: u64 = 1 << 19;
    /// Bit 20: only one socket.
    pub const SINGLE_SOCKET: u64 = 1 << 20;
    /// Bit 21: CXL devices and memory may be populated.
    pub const CXL: u64 = 1 << 21;
    /// Bit 22: memory must be encrypted by AES-256-XTS.
    pub const MEM_AES_256_XTS: u64 = 1 << 22;
    /// Bit 23: the machine's power meters (RAPL), a side channel, must be off.
    pub const RAPL_DISABLED: u64 = 1 << 23;
    /// Bit 24: the host must not be able to read the guest's ciphertext.
    pub const CIPHERTEXT_HIDING: u64 = 1 << 24;
    /// Bit 25: the host must not be able to move or swap the guest's pages.
    pub const PAGE_SWAP_DISABLED: u64 = 1 << 25;
    /// Bits 0 to 15: the lowest ABI version, a number and no flags.
    pub const ABI: u64 = 0xffff;
    /// Every bit that has a meaning today; the two ABI bytes included.
    pub const KNOWN: u64 = (1 << 26) - 1;
}

/// Platform info bits (AMD 56860, "PLATFORM_INFO"). Others are seen set in the field and mean nothing here.
pub mod platform_info {
    /// Bit 0: SMT is on.
    pub const SMT: u64 = 1;
    /// Bit 1: all memory is encrypted.
    pub const TSME: u64 = 1 << 1;
    /// Bit 2: the memory has ECC.
    pub const ECC: u64 = 1 << 2;
    /// Bit 3: the power meters (RAPL) are off.
    pub const RAPL_DISABLED: u64 = 1 << 3;
    /// Bit 4: the host cannot read ciphertext.
    pub const CIPHERTEXT_HIDING: u64 = 1 << 4;
    /// Bit 5: the firmware looked for aliased memory (BadRAM) and found none.
    pub const ALIAS_CHECK_COMPLETE: u64 = 1 << 5;
    /// Bit 7: trusted I/O is on.
    pub const TIO: u64 = 1 << 7;
    /// Every bit that has a meaning today.
    pub const KNOWN: u64 = SMT | TSME | ECC | RAPL_DISABLED | CIPHERTEXT_HIDING | ALIAS_CHECK_COMPLETE | TIO;
}

/// Key info bits.
pub mod key_info {
    /// Bit 1: the host withholds the signature.
    pub const MASK_CHIP_KEY: u32 = 1 << 1;
    /// Bits 2-4 say which key signed; 0 VCEK, 1 VLEK.
    pub const SIGNING_KEY_SHIFT: u32 = 2;
    /// Width of the signing key field.
    pub const SIGNING_KEY_MASK: u32 = 0b111;
    /// Every bit that has a meaning today.
    pub const KNOWN: u32 = 0b1_1111;
}

/// A report's fields. Public so that the simulator can be told to lie; [`crate::verify()`] reads its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Format version; 2, 3 and 5 are known here.
    pub version: u32,
    /// Security version of the guest, given at launch.
    pub guest_svn: u32,
    /// What the guest's owner allowed, see [`guest_policy`].
    pub guest_policy: u64,
    /// Given at launch. The simulator marks its reports here.
    pub family_id: [u8; 16],
    /// Given at launch.
    pub image_id: [u8; 16],
    /// Privilege level that asked for the report; 0 is the highest.
    pub vmpl: u32,
    /// 1 is ECDSA P-384 with SHA-384.
    pub signature_algorithm: u32,
    /// TCB running now.
    pub current_tcb: Tcb,
    /// State of the machine, see [`platform_info`].
    pub platform_info: u64,
    /// How the report is signed, see [`key_info`].
    pub key_info: u32,
    /// The guest's own 64 bytes.
    pub report_data: [u8; 64],
    /// Launch digest.
    pub measurement: Measurement,
    /// The host's own 32 bytes, given at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the ID block, or zero.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified the ID key, or zero.
    pub author_key_digest: [u8; 48],
    /// Identity of this guest's run.
    pub report_id: [u8; 32],
    /// Identity of its migration agent; all ones when it has none.
    pub report_id_ma: [u8; 32],
    /// TCB that derived the signing key: what the leaf certificate is bound to.
    pub reported_tcb: Tcb,
    /// CPUID family, model and stepping; from version 3 on, zero before.
    pub cpuid: [u8; 3],
    /// The chip.
    pub chip_id: ChipId,
    /// TCB below which the machine cannot be rolled back.
    pub committed_tcb: Tcb,
    /// Firmware running now: build, minor, major.
    pub current_firmware: [u8; 3],
    /// Firmware below which the machine cannot be rolled back: build, minor, major.
    pub committed_firmware: [u8; 3],
    /// TCB at the guest's launch.
    pub launch_tcb: Tcb,
    /// Mitigations at launch; from version 5 on, zero before.
    pub launch_mitigations: u64,
    /// Mitigations now; from version 5 on, zero before.
    pub current_mitigations: u64,
    /// ECDSA `r`, little-endian.
    pub r: [u8; 48],
    /// ECDSA `s`, little-endian.
    pub s: [u8; 48],
}

fn field<const AT: usize, const N: usize>(bytes: &[u8; REPORT_LEN]) -> [u8; N] {
    const { assert!(AT + N <= REPORT_LEN) };
    let mut out = [0; N];
    out.copy_from_slice(&bytes[AT..AT + N]);
    out
}

fn put<const AT: usize, const N: usize>(bytes: &mut [u8; REPORT_LEN], value: [u8; N]) {
    const { assert!(AT + N <= REPORT_LEN) };
    bytes[AT..AT + N].copy_from_slice(&value);
}

impl Report {
    /// The version, which decides what the rest means.
    pub(crate) fn version_of(bytes: &[u8; REPORT_LEN]) -> u32 {
        u32::from_le_bytes(field::<0, 4>(bytes))
    }

    /// The chip id, which hints at the generation of a version 2 report.
    pub(crate) fn chip_id_of(bytes: &[u8; REPORT_LEN]) -> ChipId {
        ChipId(field::<0x1a0, 64>(bytes))
    }

    /// The CPUID bytes of a report of version 3 or later.
    pub(crate) fn cpuid_of(bytes: &[u8; REPORT_LEN]) -> [u8; 3] {
        field::<0x188, 3>(bytes)
    }

    /// Reads the fields as a machine of `generation` writes them.
    pub(crate) fn read(bytes: &[u8; REPORT_LEN], generation: Generation) -> Self {
        let version = Self::version_of(bytes);
        let tcb = |raw| Tcb::from_bytes(raw, generation);
        let from_v5 = |raw| if version >= 5 { u64::from_le_bytes(raw) } else { 0 };
        Self {
            version,
            guest_svn: u32::from_le_bytes(field::<0x04, 4>(bytes)),
            guest_policy: u64::from_le_bytes(field::<0x08, 8>(bytes)),
            family_id: field::<0x10, 16>(bytes),
            image_id: field::<0x20, 16>(bytes),
            vmpl: u32::from_le_bytes(field::<0x30, 4>(bytes)),
            signature_algorithm: u32::from_le_bytes(field::<0x34, 4>(bytes)),
            current_tcb: tcb(field::<0x38, 8>(bytes)),
            platform_info: u64::from_le_bytes(field::<0x40, 8>(bytes)),
            key_info: u32::from_le_bytes(field::<KEY_INFO_AT, 4>(bytes)),
            report_data: field::<0x50, 64>(bytes),
            measurement: Measurement(field::<0x90, 48>(bytes)),
            host_data: field::<0xc0, 32>(bytes),
            id_key_digest: field::<0xe0, 48>(bytes),
            author_key_digest: field::<0x110, 48>(bytes),
            report_id: field::<0x140, 32>(bytes),
            report_id_ma: field::<0x160, 32>(bytes),
            reported_tcb: tcb(field::<0x180, 8>(bytes)),
            cpuid: if version >= 3 {
                Self::cpuid_of(bytes)
            } else {
                [0; 3]
            },
            chip_id: Self::chip_id_of(bytes),
            committed_tcb: tcb(field::<0x1e0, 8>(bytes)),
            current_firmware: field::<0x1e8, 3>(bytes),
            committed_firmware: field::<0x1ec, 3>(bytes),
            launch_tcb: tcb(field::<0x1f0, 8>(bytes)),
            launch_mitigations: from_v5(field::<0x1f8, 8>(bytes)),
            current_mitigations: from_v5(field::<0x200, 8>(bytes)),
            r: field::<R_AT, 48>(bytes),
            s: field::<S_AT, 48>(bytes),
        }
    }

    /// Writes the fields, every unused byte zero.
    pub fn to_bytes(&self, generation: Generation) -> [u8; REPORT_LEN] {
        let mut out = [0; REPORT_LEN];
        put::<0x00, 4>(&mut out, self.version.to_le_bytes());
        put::<0x04, 4>(&mut out, self.guest_svn.to_le_bytes());
        put::<0x08, 8>(&mut out, self.guest_policy.to_le_bytes());
        put::<0x10, 16>(&mut out, self.family_id);
        put::<0x20, 16>(&mut out, self.image_id);
        put::<0x30, 4>(&mut out, self.vmpl.to_le_bytes());
        put::<0x34, 4>(&mut out, self.signature_algorithm.to_le_bytes());
        put::<0x38, 8>(&mut out, self.current_tcb.to_bytes(generation));
        put::<0x40, 8>(&mut out, self.platform_info.to_le_bytes());
        put::<KEY_INFO_AT, 4>(&mut out, self.key_info.to_le_bytes());
        put::<0x50, 64>(&mut out, self.report_data);
        put::<0x90, 48>(&mut out, self.measurement.0);
        put::<0xc0, 32>(&mut out, self.host_data);
        put::<0xe0, 48>(&mut out, self.id_key_digest);
        put::<0x110, 48>(&mut out, self.author_key_digest);
        put::<0x140, 32>(&mut out, self.report_id);
        put::<0x160, 32>(&mut out, self.report_id_ma);
        put::<0x180, 8>(&mut out, self.reported_tcb.to_bytes(generation));
        if self.version >= 3 {
            put::<0x188, 3>(&mut out, self.cpuid);
        }
        put::<0x1a0, 64>(&mut out, self.chip_id.0);
        put::<0x1e0, 8>(&mut out, self.committed_tcb.to_bytes(generation));
        put::<0x1e8, 3>(&mut out, self.current_firmware);
        put::<0x1ec, 3>(&mut out, self.committed_firmware);
        put::<0x1f0, 8>(&mut out, self.launch_tcb.to_bytes(generation));
        if self.version >= 5 {
            put::<0x1f8, 8>(&mut out, self.launch_mitigations.to_le_bytes());
            put::<0x200, 8>(&mut out, self.current_mitigations.to_le_bytes());
        }
        put::<R_AT, 48>(&mut out, self.r);
        put::<S_AT, 48>(&mut out, self.s);
        out
    }

    /// Which key the report says signed it: 0 VCEK, 1 VLEK, 7 none.
    pub fn signing_key(&self) -> u32 {
        (self.key_info >> key_info::SIGNING_KEY_SHIFT) & key_info::SIGNING_KEY_MASK
    }
}
