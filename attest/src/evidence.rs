//! What a machine shows: a report signed by its hardware and the certificate of the key that signed it.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::limits::{self, LEAF_BYTES_MAX, REPORT_BYTES_MAX, hex_array};
use crate::refusal::Refusal;

/// Where evidence comes from. The borsh tags are fixed for ever.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Platform {
    /// AMD SEV-SNP.
    SevSnp = 0,
    /// Intel TDX. Its place is kept; evidence is refused as [`Refusal::PlatformNotSupported`].
    Tdx = 1,
    /// Intel SGX. Its place is kept; evidence is refused as [`Refusal::PlatformNotSupported`].
    Sgx = 2,
    /// The SNP format signed by a throw-away root; only on a network of class `dev`. Proves nothing.
    Simulated = 3,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::Sgx => "sgx",
            Self::Simulated => "simulated",
        })
    }
}

/// Evidence as it travels in a registration. Decoding refuses fields above their bounds before allocating.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Which verifier and which roots apply.
    pub platform: Platform,
    /// The report, at most [`REPORT_BYTES_MAX`] bytes; 1,184 for SNP and the simulator.
    #[borsh(deserialize_with = "limits::read_report")]
    #[serde(with = "limits::hexed")]
    pub report: Vec<u8>,
    /// DER of the certificate of the signing key, at most [`LEAF_BYTES_MAX`] bytes. A VCEK stands alone.
    /// A VLEK is followed by the DER of the AMD intermediate (ASVK) that signed it: this crate pins the
    /// three ASVKs by SHA-256 and carries none, see [`crate::Refusal::VlekNotSupported`].
    #[borsh(deserialize_with = "limits::read_leaf")]
    #[serde(with = "limits::hexed")]
    pub leaf: Vec<u8>,
}

impl Evidence {
    /// BLAKE3 of the encoding, to name these bytes in a log or a file. **Not an identity**: an ECDSA
    /// signature `(r, s)` has the twin `(r, n − s)` and a chip has many valid certificates, so different
    /// bytes can prove the same thing. Uniqueness and replay keys are the chip id and the bound keys.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 evidence");
        hasher.update(&[self.platform as u8]);
        for field in [&self.report, &self.leaf] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        hasher.finalize().into()
    }

    /// The bounds again, for evidence that was not decoded but built.
    pub(crate) fn check_bounds(&self) -> Result<(), Refusal> {
        for (what, have, max) in [
            ("report", self.report.len(), REPORT_BYTES_MAX),
            ("leaf", self.leaf.len(), LEAF_BYTES_MAX),
        ] {
            if have > max {
                return Err(Refusal::EvidenceTooLong { what, have, max });
            }
        }
        Ok(())
    }
}

/// The launch measurement: what code the machine started with (SNP: SHA-384 launch digest).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Measurement(pub [u8; 48]);

hex_array!(Measurement, 48);

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The chip's own identity, 64 bytes; on Turin the first 8 and zeros. All zero when the host masks it,
/// which only a VLEK may do. "One chip, one validator" compares these, together with the platform.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct ChipId(pub [u8; 64]);

hex_array!(ChipId, 64);

impl ChipId {
    /// Whether the host withholds the identity.
    pub fn is_masked(&self) -> bool {
        self.0 == [0; 64]
    }
}

impl fmt::Display for ChipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
