//! What a machine shows: a report signed by its hardware and the certificate of the key that signed it.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha384};

use crate::facts::TdFacts;
use crate::intel::pck::Pck;
use crate::limits::{self, LEAF_BYTES_MAX, REPORT_BYTES_MAX, hex_array};
use crate::refusal::Refusal;
use crate::snp::{layout::Report, sized};

/// Stands before the registers of a trust domain where they are hashed into one measurement.
const TD_MEASUREMENT_DOMAIN: &[u8] = b"tacit 2026 tdx measurement";

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
    /// Intel TDX.
    Tdx = 1,
    /// Intel SGX.
    Sgx = 2,
    /// The SNP format signed by a throw-away root; only on a network of class `dev`. Proves nothing.
    Simulated = 3,
    /// The TDX format signed by a throw-away root; only on a network of class `dev`. Proves nothing.
    SimulatedTdx = 4,
}

/// Whose hardware vouches, which is what a vendor cap counts. A simulated machine counts as the vendor that it
/// plays: real and simulated machines never meet in one network.
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
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Vendor {
    /// AMD.
    Amd = 0,
    /// Intel: TDX and SGX share one space of chip identities.
    Intel = 1,
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Amd => "amd",
            Self::Intel => "intel",
        })
    }
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 5] = [
        Self::SevSnp,
        Self::Tdx,
        Self::Sgx,
        Self::Simulated,
        Self::SimulatedTdx,
    ];

    /// Whose hardware it is, or plays.
    pub fn vendor(self) -> Vendor {
        match self {
            Self::SevSnp | Self::Simulated => Vendor::Amd,
            Self::Tdx | Self::Sgx | Self::SimulatedTdx => Vendor::Intel,
        }
    }

    /// Whether no hardware stands behind it.
    pub fn is_simulated(self) -> bool {
        matches!(self, Self::Simulated | Self::SimulatedTdx)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::Sgx => "sgx",
            Self::Simulated => "simulated",
            Self::SimulatedTdx => "simulated-tdx",
        })
    }
}

/// Evidence as it travels in a registration. Decoding refuses fields above their bounds before allocating.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Which verifier and which roots apply.
    pub platform: Platform,
    /// The report, at most [`REPORT_BYTES_MAX`] bytes: of SNP its 1,184; of TDX and SGX the quote without its
    /// certificates and with nothing after it, see [`Evidence::from_quote`].
    #[borsh(deserialize_with = "limits::read_report")]
    #[serde(with = "limits::hexed")]
    pub report: Vec<u8>,
    /// DER of the certificate of the signing key, at most [`LEAF_BYTES_MAX`] bytes. A VCEK stands alone.
    /// A VLEK is followed by the DER of the AMD intermediate (ASVK) that signed it: this crate pins the
    /// three ASVKs by SHA-256 and carries none, see [`crate::Refusal::VlekNotSupported`]. Of TDX and SGX the
    /// machine's certificate (PCK); Intel's authorities are pinned.
    #[borsh(deserialize_with = "limits::read_leaf")]
    #[serde(with = "limits::hexed")]
    pub leaf: Vec<u8>,
}

impl Evidence {
    /// SNP evidence whose key a cloud provider loaded: the DER of the VLEK and of the AMD intermediate (ASVK)
    /// that signed it travel together, because no package ships the latter. Says nothing about either.
    pub fn from_vlek(report: &[u8], leaf: &[u8], asvk: &[u8]) -> Self {
        Self {
            platform: Platform::SevSnp,
            report: report.to_vec(),
            leaf: [leaf, asvk].concat(),
        }
    }

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

    /// The chip that it names, without judging anything: a machine's word about itself. None where it names none, or
    /// cannot be read.
    pub fn claimed_chip(&self) -> Option<ChipId> {
        self.check_bounds().ok()?;
        let chip = match self.platform {
            Platform::SevSnp | Platform::Simulated => Report::chip_id_of(sized(&self.report).ok()?),
            Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx => Pck::parse(&self.leaf).ok()?.chip_id(),
        };
        (!chip.is_masked()).then_some(chip)
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

/// What code the machine started with, 48 bytes for every platform.
///
/// | platform | value |
/// |---|---|
/// | SNP | the SHA-384 launch digest of the report |
/// | TDX | SHA-384 over "tacit 2026 tdx measurement", MRTD, RTMR0 to RTMR3, MRCONFIGID, MROWNER, MROWNERCONFIG |
/// | SGX | MRENCLAVE, then 16 zero bytes |
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Measurement(pub [u8; 48]);

hex_array!(Measurement, 48);

impl Measurement {
    /// The measurement of a trust domain: one value for all of its registers, so that a policy lists builds and
    /// not tuples.
    pub fn of_td(td: &TdFacts) -> Self {
        let mut hasher = Sha384::new_with_prefix(TD_MEASUREMENT_DOMAIN);
        hasher.update(td.mr_td);
        td.rtmr.iter().for_each(|register| hasher.update(register));
        for register in [&td.mr_config_id, &td.mr_owner, &td.mr_owner_config] {
            hasher.update(register);
        }
        Self(hasher.finalize().into())
    }

    /// The measurement of an enclave.
    pub fn of_enclave(mr_enclave: &[u8; 32]) -> Self {
        let mut value = [0; 48];
        let (head, _) = value.split_at_mut(32);
        head.copy_from_slice(mr_enclave);
        Self(value)
    }
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The chip's own identity, 64 bytes; shorter ones are followed by zeros. "One chip, one validator" compares
/// these, together with the [`Vendor`].
///
/// - AMD: the 64 bytes of the report, on Turin 8. All zero when the host masks it, which only a VLEK may do.
/// - Intel: the PPID (16 bytes) and, on platforms of several packages, the platform instance id (16 bytes).
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
