//! The small values everything else is made of: digests, keys, signatures and counters.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// Number of a validator set's term; grows by one with each set.
pub type Epoch = u64;
/// Distance from genesis in blocks; genesis has height 0.
pub type Height = u64;
/// A leader's turn within an epoch; the first is 1, and 0 stands for the anchor.
pub type View = u64;
/// Milliseconds since the Unix epoch, or a span of milliseconds.
pub type Millis = u64;

/// A fixed-size byte string was not the hex it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} bytes as lower-case hex")]
pub struct HexError {
    /// Bytes that the type holds.
    pub expected: usize,
}

macro_rules! hex_bytes {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Reads exactly the right number of bytes as hex.
            pub fn from_hex(text: &str) -> Result<Self, HexError> {
                let mut bytes = [0u8; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| HexError { expected: $len })?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = HexError;
            fn from_str(text: &str) -> Result<Self, HexError> {
                Self::from_hex(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as Deserialize>::deserialize(deserializer)?;
                Self::from_hex(&text).map_err(D::Error::custom)
            }
        }
    };
}

hex_bytes!(
    /// A BLAKE3 hash; names blocks, batches, roots and chains.
    Digest,
    32
);
hex_bytes!(
    /// An Ed25519 public key (RFC 8032), the identity of a validator.
    PublicKey,
    32
);
hex_bytes!(
    /// An Ed25519 signature (RFC 8032).
    Signature,
    64
);

impl Digest {
    /// Thirty-two zero bytes: "nothing yet".
    pub const ZERO: Self = Self([0; 32]);
}

impl Default for Digest {
    fn default() -> Self {
        Self::ZERO
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// BLAKE3 in `derive_key` mode with the context "tacit 2026 `domain`". Each part is preceded by its length
/// (u64, little endian), so that no two lists of parts give the same input.
pub fn hash(domain: &str, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(&format!("tacit 2026 {domain}"));
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// The borsh encoding of a value. Writing to memory does not fail for the types of this crate.
pub(crate) fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("borsh into a vector cannot fail for bounded types")
}

/// Outcome of execution that a block's header repeats: the state after the block of `height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Executed {
    /// The executed block's height.
    pub height: Height,
    /// Root of the public registry's map.
    pub public_root: Digest,
    /// Root of the private state's map, blinded.
    pub private_root: Digest,
    /// Root of the receipts so far.
    pub receipts_root: Digest,
    /// Sum of all private balances and collected fees, in the token's smallest unit.
    pub supply: u128,
}

impl Executed {
    /// The hash of all of it.
    pub fn digest(&self) -> Digest {
        hash("executed", &[&encode(self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_other_lengths() {
        let digest = hash("test", &[b"a"]);
        assert_eq!(Digest::from_hex(&digest.to_string()), Ok(digest));
        assert_eq!(Digest::from_hex("00"), Err(HexError { expected: 32 }));
        assert!(PublicKey::from_hex(&"zz".repeat(32)).is_err());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(hash("test", &[b"ab", b"c"]), hash("test", &[b"a", b"bc"]));
        assert_ne!(hash("test", &[b"a"]), hash("other", &[b"a"]));
    }
}
