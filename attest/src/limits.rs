//! Every bound on bytes that come from others, and the readers that enforce them before allocating.

use borsh::BorshDeserialize;
use borsh::io::{Error, ErrorKind, Read, Result};
use serde::{Deserialize, Deserializer, Serializer, de};

/// Bytes of one report. An SNP report has 1,184; a TDX quote with its certificates stays under 6 KiB.
pub const REPORT_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a quote as a machine hands it out, with certificates and padding: what the kernel's interface can carry.
pub const QUOTE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the leaf field. A VCEK has about 1,350; a VLEK with its intermediate about 3,000.
pub const LEAF_BYTES_MAX: usize = 4 * 1024;
/// Bytes of one root or intermediate certificate of a simulator. AMD's have under 1,700.
pub const ROOT_BYTES_MAX: usize = 4 * 1024;
/// Platforms, generations and report versions in a policy: more than exist.
pub const POLICY_KINDS_MAX: usize = 16;
/// Allowed measurements in a policy: a release is a family of digests (vCPU counts, CPU types), and two
/// releases overlap.
pub const POLICY_MEASUREMENTS_MAX: usize = 256;
/// Bytes of one label or source text in a policy.
pub const POLICY_TEXT_MAX: usize = 256;
/// Bytes of a text that says from what a build can be reproduced.
pub const POLICY_BUILD_MAX: usize = 1024;
/// Bytes of one document of collateral. Intel's TCB infos have 3 to 12 KiB, its lists of revoked machines under
/// 4 KiB; a list grows by some 40 bytes a machine.
pub const COLLATERAL_BYTES_MAX: usize = 64 * 1024;
/// Documents held at a time: a few kinds of machines, two TCB levels each.
pub const COLLATERAL_ITEMS_MAX: usize = 64;
/// Bytes of an encoded key file of the simulator: two RSA-2048 keys in PKCS#8 and two certificates.
pub const SIMULATOR_FILE_MAX: usize = 32 * 1024;

pub(crate) fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, message)
}

/// Reads a borsh byte string of at most `max` bytes.
pub(crate) fn read_bytes<R: Read>(reader: &mut R, max: usize) -> Result<Vec<u8>> {
    let len = read_len(reader, max)?;
    let mut bytes = vec![0; len];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads a borsh list of at most `max` elements.
pub(crate) fn read_list<T: BorshDeserialize, R: Read>(reader: &mut R, max: usize) -> Result<Vec<T>> {
    let len = read_len(reader, max)?;
    (0..len).map(|_| T::deserialize_reader(reader)).collect()
}

/// Reads a borsh UTF-8 string of at most [`POLICY_TEXT_MAX`] bytes.
pub(crate) fn read_text<R: Read>(reader: &mut R) -> Result<String> {
    String::from_utf8(read_bytes(reader, POLICY_TEXT_MAX)?).map_err(|_| invalid("text is not UTF-8"))
}

pub(crate) fn read_report<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    read_bytes(reader, REPORT_BYTES_MAX)
}

pub(crate) fn read_leaf<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    read_bytes(reader, LEAF_BYTES_MAX)
}

pub(crate) fn read_build<R: Read>(reader: &mut R) -> Result<String> {
    String::from_utf8(read_bytes(reader, POLICY_BUILD_MAX)?).map_err(|_| invalid("text is not UTF-8"))
}

pub(crate) fn read_collateral_text<R: Read>(reader: &mut R) -> Result<String> {
    String::from_utf8(read_bytes(reader, COLLATERAL_BYTES_MAX)?).map_err(|_| invalid("text is not UTF-8"))
}

pub(crate) fn read_crl<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    read_bytes(reader, COLLATERAL_BYTES_MAX)
}

/// An ECDSA P-256 signature is `r` and `s`, 32 bytes each.
pub(crate) fn read_signature<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    read_bytes(reader, 64)
}

pub(crate) fn read_root<R: Read>(reader: &mut R) -> Result<Vec<u8>> {
    read_bytes(reader, ROOT_BYTES_MAX)
}

/// Reads a list of at most [`POLICY_KINDS_MAX`] texts of at most [`POLICY_TEXT_MAX`] bytes.
pub(crate) fn read_texts<R: Read>(reader: &mut R) -> Result<Vec<String>> {
    let len = read_len(reader, POLICY_KINDS_MAX)?;
    (0..len).map(|_| read_text(reader)).collect()
}

pub(crate) fn read_kinds<T: BorshDeserialize, R: Read>(reader: &mut R) -> Result<Vec<T>> {
    read_list(reader, POLICY_KINDS_MAX)
}

pub(crate) fn read_measurements<T: BorshDeserialize, R: Read>(reader: &mut R) -> Result<Vec<T>> {
    read_list(reader, POLICY_MEASUREMENTS_MAX)
}

fn read_len<R: Read>(reader: &mut R, max: usize) -> Result<usize> {
    let len = usize::try_from(u32::deserialize_reader(reader)?).map_err(|_| invalid("length too large"))?;
    if len > max {
        Err(invalid("length above its bound"))
    } else {
        Ok(len)
    }
}

/// Serde for byte strings as lower-case hex, no longer than the largest bound of this crate.
pub(crate) mod hexed {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> core::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> core::result::Result<Vec<u8>, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        if text.len() > 2 * COLLATERAL_BYTES_MAX {
            return Err(de::Error::custom("hex string above its bound"));
        }
        hex::decode(&text).map_err(de::Error::custom)
    }
}

/// Implements hex `Display`, `Debug` and serde for a tuple struct over a byte array.
macro_rules! hex_array {
    ($name:ident, $len:literal) => {
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl core::str::FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_array;
