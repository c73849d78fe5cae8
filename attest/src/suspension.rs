//! What an emergency drops: a group of machines that verified evidence names, or one validator by its key.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::evidence::{ChipId, Measurement, Platform, Vendor};
use crate::facts::Family;
use crate::verify::Verified;

/// What a supermajority of validators drops at the next epoch. The borsh tags are fixed for ever.
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
    /// One validator, whatever it runs on: it breaks the rules although its evidence holds.
    Validator {
        /// Its consensus key, Ed25519.
        #[serde(with = "key")]
        key: [u8; 32],
    },
}

impl Suspension {
    /// Whether a machine is among them. Evidence names no validator: [`Self::covers_key`] is for these.
    pub fn covers(&self, verified: &Verified) -> bool {
        match *self {
            Self::Validator { .. } => false,
            Self::Platform(platform) => verified.platform == platform,
            Self::Family(family) => verified.family() == family,
            Self::Chip { vendor, chip } => verified.vendor() == vendor && verified.chip == chip,
            Self::Measurement { platform, value } => {
                verified.platform == platform && verified.measurement == value
            }
        }
    }

    /// Whether it drops the validator with this consensus key, whatever the evidence.
    pub fn covers_key(&self, consensus_key: &[u8; 32]) -> bool {
        matches!(self, Self::Validator { key } if key == consensus_key)
    }
}

/// A key as 64 hex digits.
mod key {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(key))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(de::Error::custom)?;
        Ok(key)
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform(platform) => write!(f, "platform {platform}"),
            Self::Family(family) => write!(f, "family {family}"),
            Self::Chip { vendor, chip } => write!(f, "{vendor} chip {chip}"),
            Self::Measurement { platform, value } => write!(f, "{platform} measurement {value}"),
            Self::Validator { key } => write!(f, "validator {}", hex::encode(key)),
        }
    }
}
