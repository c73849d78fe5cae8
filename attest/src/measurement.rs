//! One measurement for a TDX guest, from the registers of its report. Pure, and the same on every target.

use sha2::{Digest, Sha384};

use crate::evidence::Measurement;

/// Bytes of one register: SHA-384.
pub const REGISTER_LEN: usize = 48;
/// What the digest begins with, so that no other SHA-384 of ours means the same.
const TDX_DOMAIN: &[u8] = b"tacit 2026 tdx measurement";

/// The measurement of a TD: SHA-384 over the ASCII domain "tacit 2026 tdx measurement" and the eight registers,
/// 48 bytes each, in the order of the arguments.
///
/// MRTD alone says only what the firmware was: kernel, initrd and command line are in RTMR 1 and 2, which the
/// firmware extends, and the host chooses the three others at launch. A policy that names this digest names all.
pub fn tdx(
    mrtd: &[u8; REGISTER_LEN],
    rtmr: &[[u8; REGISTER_LEN]; 4],
    mr_config_id: &[u8; REGISTER_LEN],
    mr_owner: &[u8; REGISTER_LEN],
    mr_owner_config: &[u8; REGISTER_LEN],
) -> Measurement {
    let mut hasher = Sha384::new();
    hasher.update(TDX_DOMAIN);
    hasher.update(mrtd);
    for register in rtmr {
        hasher.update(register);
    }
    hasher.update(mr_config_id);
    hasher.update(mr_owner);
    hasher.update(mr_owner_config);
    Measurement(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(first: u8) -> [u8; 48] {
        core::array::from_fn(|at| first.wrapping_add(at as u8))
    }

    #[test]
    fn the_digest_is_pinned() {
        // sha384("tacit 2026 tdx measurement" + eight runs of 48 consecutive bytes from 16, 32, .. 128).
        let pinned = "3718621c39009c83f0e40955d46b49360f16fdedcdbd8e963e0294a03a01864c4a692617618b990bd8e568467f40eca4";
        let measured = tdx(
            &numbered(16),
            &[numbered(32), numbered(48), numbered(64), numbered(80)],
            &numbered(96),
            &numbered(112),
            &numbered(128),
        );
        assert_eq!(measured.to_string(), pinned);
    }

    #[test]
    fn every_register_counts_and_so_does_its_place() {
        let base = [[0; 48]; 8];
        let digest = |r: &[[u8; 48]; 8]| tdx(&r[0], &[r[1], r[2], r[3], r[4]], &r[5], &r[6], &r[7]);
        let mut seen = vec![digest(&base)];
        for at in 0..8 {
            let mut changed = base;
            changed[at][47] = 1;
            seen.push(digest(&changed));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 9);
    }
}
