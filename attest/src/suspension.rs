//! What an emergency drops: a group of machines that verified evidence names.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::evidence::{ChipId, Measurement, Platform, Vendor};
use crate::facts::Family;
use crate::verify::Verified;

/// Machines that a supermajority of validators drops at the next epoch. The borsh tags are fixed for ever.
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
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Suspension {
    /// All of a platform.
    Platform(Platform),
    /// A generation of EPYC, or a kind of Intel machine.
    Family(Family),
    /// One machine.
    Chip {
        /// In whose space of identities.
        vendor: Vendor,
        /// Which.
        chip: ChipId,
    },
    /// One build.
    Measurement {
        /// Where it runs.
        platform: Platform,
        /// Which.
        value: Measurement,
    },
}

impl Suspension {
    /// Whether a machine is among them.
    pub fn covers(&self, verified: &Verified) -> bool {
        match *self {
            Self::Platform(platform) => verified.platform == platform,
            Self::Family(family) => verified.family() == family,
            Self::Chip { vendor, chip } => verified.vendor() == vendor && verified.chip == chip,
            Self::Measurement { platform, value } => {
                verified.platform == platform && verified.measurement == value
            }
        }
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform(platform) => write!(f, "platform {platform}"),
            Self::Family(family) => write!(f, "family {family}"),
            Self::Chip { vendor, chip } => write!(f, "{vendor} chip {chip}"),
            Self::Measurement { platform, value } => write!(f, "{platform} measurement {value}"),
        }
    }
}
