//! A chip that is a file: what real silicon burns into fuses lies here in the open.

use borsh::{BorshDeserialize, BorshSerialize};
use p384::SecretKey;
use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey};
use p384::elliptic_curve::generic_array::GenericArray;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::{Zeroize, Zeroizing};

use super::{decode_file, subseed};
use crate::evidence::{ChipId, Evidence, Measurement, Platform};
use crate::limits;
use crate::quote_error::QuoteError;
use crate::quoter::sealing_key;
use crate::snp::SIMULATOR_FAMILY_ID;
use crate::snp::generation::{Generation, Tcb};
use crate::snp::layout::{Report, SIGNED_LEN, guest_policy, platform_info};

/// Candidate scalars tried for a key; each fails with a chance of 2^-190.
const KEY_TRIES: u8 = 8;

/// A simulated chip, the "fuse file". No `Debug`: it is all secrets.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct SimulatedChip {
    pub(super) generation: Generation,
    pub(super) chip_id: ChipId,
    pub(super) tcb: Tcb,
    /// P-384 scalar of the VCEK, big-endian.
    key: [u8; 48],
    fuse_secret: [u8; 32],
    #[borsh(deserialize_with = "limits::read_leaf")]
    pub(super) leaf: Vec<u8>,
}

impl Drop for SimulatedChip {
    fn drop(&mut self) {
        self.key.zeroize();
        self.fuse_secret.zeroize();
    }
}

impl SimulatedChip {
    /// A chip without a certificate yet. Its TCB is that of real patched machines of early 2026.
    pub(super) fn from_seed(seed: [u8; 32], generation: Generation) -> Result<Self, QuoteError> {
        let seed = Zeroizing::new(seed);
        let mut id = [0; 64];
        let (used, _) = id.split_at_mut(generation.hardware_id_len());
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 simulated chip id");
        hasher.update(&*seed);
        hasher.finalize_xof().fill(used);
        let tcb = match generation {
            Generation::Milan => Tcb {
                fmc: 0,
                bootloader: 4,
                tee: 0,
                snp: 24,
                microcode: 219,
            },
            Generation::Genoa => Tcb {
                fmc: 0,
                bootloader: 10,
                tee: 0,
                snp: 23,
                microcode: 84,
            },
            Generation::Turin => Tcb {
                fmc: 1,
                bootloader: 1,
                tee: 1,
                snp: 4,
                microcode: 81,
            },
        };
        Ok(Self {
            generation,
            chip_id: ChipId(id),
            tcb,
            key: scalar(&seed)?,
            fuse_secret: *subseed(&seed, b"fuse"),
            leaf: Vec::new(),
        })
    }

    /// The generation it plays.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Its identity.
    pub fn chip_id(&self) -> ChipId {
        self.chip_id
    }

    /// DER of its certificate.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// The secret fuse file.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, QuoteError> {
        borsh::to_vec(self)
            .map(Zeroizing::new)
            .map_err(|_| QuoteError::Simulator { what: "a key file" })
    }

    /// Reads a fuse file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QuoteError> {
        let chip: Self = decode_file(bytes)?;
        chip.signing_key()?;
        Ok(chip)
    }

    /// The report that an honest machine would make, unsigned. Tests change it before [`Self::sign`].
    pub fn report(&self, version: u32, measurement: Measurement, report_data: [u8; 64]) -> Report {
        // Chosen inside the generation's range; real steppings.
        let cpuid = match self.generation {
            Generation::Milan => [0x19, 0x01, 1],
            Generation::Genoa => [0x19, 0x11, 1],
            Generation::Turin => [0x1a, 0x02, 1],
        };
        let mut report_id = blake3::Hasher::new_derive_key("tacit 2026 simulated report id");
        report_id.update(&self.fuse_secret).update(&measurement.0);
        Report {
            version,
            guest_svn: 0,
            guest_policy: guest_policy::RESERVED_ONE | guest_policy::SMT,
            family_id: SIMULATOR_FAMILY_ID,
            image_id: [0; 16],
            vmpl: 0,
            signature_algorithm: 1,
            current_tcb: self.tcb,
            platform_info: platform_info::SMT | platform_info::ECC | platform_info::ALIAS_CHECK_COMPLETE,
            key_info: 0,
            report_data,
            measurement,
            host_data: [0; 32],
            id_key_digest: [0; 48],
            author_key_digest: [0; 48],
            report_id: report_id.finalize().into(),
            report_id_ma: [0xff; 32],
            reported_tcb: self.tcb,
            cpuid: if version >= 3 { cpuid } else { [0; 3] },
            chip_id: self.chip_id,
            committed_tcb: self.tcb,
            current_firmware: [0, 55, 1],
            committed_firmware: [0, 55, 1],
            launch_tcb: self.tcb,
            launch_mitigations: 0,
            current_mitigations: 0,
            r: [0; 48],
            s: [0; 48],
        }
    }

    /// Signs whatever it is given, by deterministic ECDSA (RFC 6979), as evidence.
    pub fn sign(&self, report: &Report) -> Result<Evidence, QuoteError> {
        let mut report = report.clone();
        let bytes = report.to_bytes(self.generation);
        let (signed, _) = bytes.split_at(SIGNED_LEN);
        let signature: Signature = self
            .signing_key()?
            .try_sign(signed)
            .map_err(|_| QuoteError::Simulator { what: "a signature" })?;
        let (r, s) = signature.split_bytes();
        (report.r, report.s) = (r.into(), s.into());
        // Reports are little-endian throughout.
        report.r.reverse();
        report.s.reverse();
        Ok(Evidence {
            platform: Platform::Simulated,
            report: report.to_bytes(self.generation).to_vec(),
            leaf: self.leaf.clone(),
        })
    }

    /// A key that depends on the fuses, the claimed measurement and the context.
    pub(super) fn sealing_key(&self, measurement: Measurement, context: &[u8]) -> Zeroizing<[u8; 32]> {
        let root = subseed(&self.fuse_secret, &measurement.0);
        sealing_key(&root, context)
    }

    pub(super) fn public_key(&self) -> Result<SubjectPublicKeyInfoOwned, QuoteError> {
        SubjectPublicKeyInfoOwned::from_key(*self.signing_key()?.verifying_key())
            .map_err(|_| QuoteError::Simulator { what: "a public key" })
    }

    fn signing_key(&self) -> Result<SigningKey, QuoteError> {
        SigningKey::from_bytes(GenericArray::from_slice(&self.key)).map_err(|_| QuoteError::KeyFile {
            reason: "not a P-384 key",
        })
    }
}

fn scalar(seed: &[u8; 32]) -> Result<[u8; 48], QuoteError> {
    for attempt in 0..KEY_TRIES {
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 simulated vcek");
        hasher.update(seed).update(&[attempt]);
        let mut candidate = Zeroizing::new([0; 48]);
        hasher.finalize_xof().fill(candidate.as_mut());
        if SecretKey::from_slice(candidate.as_ref()).is_ok() {
            return Ok(*candidate);
        }
    }
    Err(QuoteError::Simulator { what: "a P-384 key" })
}
