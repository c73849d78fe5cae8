//! EPYC generations: which CPUs they are, and how each draws its TCB version.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

/// An EPYC generation with SEV-SNP. The borsh tags are fixed for ever.
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
pub enum Generation {
    /// Third generation. Its root seed can be extracted by software (arXiv 2605.12990): evidence still
    /// verifies, but a production policy leaves it out.
    Milan = 0,
    /// Fourth generation: Genoa, Bergamo and Siena share one root.
    Genoa = 1,
    /// Fifth generation.
    Turin = 2,
}

impl Generation {
    /// Every generation that has pinned roots.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name that AMD's certificates use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The generation of a combined CPUID family and model, `None` for every other CPU. An own table: the
    /// `sev` crate knows a generation (Venice) for which its next conversion panics.
    pub fn from_cpuid(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0f) => Some(Self::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Self::Genoa),
            (0x1a, 0x00..=0x11) => Some(Self::Turin),
            _ => None,
        }
    }

    /// Whether some CPU of this generation has this combined model.
    pub(crate) fn has_model(self, model: u8) -> bool {
        [0x19, 0x1a]
            .into_iter()
            .any(|family| Self::from_cpuid(family, model) == Some(self))
    }

    /// Bytes of the hardware id in a VCEK of this generation.
    pub(crate) fn hardware_id_len(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milan => "milan",
            Self::Genoa => "genoa",
            Self::Turin => "turin",
        })
    }
}

/// Security version numbers of a machine's firmware parts. Compared part by part, never as one number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Tcb {
    /// Firmware of the FMC; Turin only, 0 elsewhere.
    #[serde(default)]
    pub fmc: u8,
    /// Boot loader of the security processor.
    pub bootloader: u8,
    /// Operating system of the security processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Lowest microcode patch level of all cores.
    pub microcode: u8,
}

impl Tcb {
    /// The parts by name, in the order in which refusals look at them.
    pub fn parts(&self) -> [(&'static str, u8); 5] {
        [
            ("fmc", self.fmc),
            ("bootloader", self.bootloader),
            ("tee", self.tee),
            ("snp", self.snp),
            ("microcode", self.microcode),
        ]
    }

    /// Reads the eight bytes of a report, reserved bytes ignored (the layout's re-encoding refuses them).
    ///
    /// ```text
    /// Milan, Genoa   bl  tee  -    -    -  -  snp  uc
    /// Turin          fmc bl   tee  snp  -  -  -    uc
    /// ```
    pub(crate) fn from_bytes(bytes: [u8; 8], generation: Generation) -> Self {
        match generation {
            Generation::Milan | Generation::Genoa => {
                let [bootloader, tee, _, _, _, _, snp, microcode] = bytes;
                Self {
                    fmc: 0,
                    bootloader,
                    tee,
                    snp,
                    microcode,
                }
            }
            Generation::Turin => {
                let [fmc, bootloader, tee, snp, _, _, _, microcode] = bytes;
                Self {
                    fmc,
                    bootloader,
                    tee,
                    snp,
                    microcode,
                }
            }
        }
    }

    /// Writes the eight bytes, reserved bytes zero.
    pub(crate) fn to_bytes(self, generation: Generation) -> [u8; 8] {
        match generation {
            Generation::Milan | Generation::Genoa => {
                [self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode]
            }
            Generation::Turin => [
                self.fmc,
                self.bootloader,
                self.tee,
                self.snp,
                0,
                0,
                0,
                self.microcode,
            ],
        }
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fmc {} bootloader {} tee {} snp {} microcode {}",
            self.fmc, self.bootloader, self.tee, self.snp, self.microcode
        )
    }
}
