//! Accounts: secp256k1 keys with BIP-340 Schnorr signatures, one scheme byte before each signature.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use k256::schnorr::{Signature as Bip340, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::{
    error::{KeyError, SignatureError},
    json::hex32,
};

/// Scheme byte of BIP-340 Schnorr over secp256k1; the only one so far.
pub const SCHEME_BIP340: u8 = 1;

/// An account: the x coordinate of its public key (BIP-340, 32 bytes big endian). Any 32 bytes decode; those
/// that are no point simply verify nothing.
#[derive(
    Clone,
    Copy,
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
#[serde(transparent)]
pub struct AccountId(#[serde(with = "hex32")] pub [u8; 32]);

impl AccountId {
    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::Hex)?;
        Ok(Self(bytes))
    }

    /// Whether the bytes are a point that somebody could sign for.
    pub fn is_valid(&self) -> bool {
        VerifyingKey::from_slice(&self.0).is_ok()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An account's secret key. It zeroizes itself and has no `Debug`.
#[derive(Clone)]
pub struct AccountKey(SigningKey);

impl AccountKey {
    /// Takes 32 secret bytes as the scalar (big endian). Zero and values from the curve order up are refused:
    /// 1 in 2^128 of random seeds.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, KeyError> {
        let seed = zeroize::Zeroizing::new(seed);
        SigningKey::from_slice(&seed[..])
            .map(Self)
            .map_err(|_| KeyError::Scalar)
    }

    /// The account that this key signs for.
    pub fn id(&self) -> AccountId {
        AccountId(self.0.verifying_key().to_bytes().into())
    }

    /// Signs `message` by BIP-340. `aux` is fresh randomness; a repeated or zero `aux` weakens only the
    /// protection against side channels.
    ///
    /// # Panics
    /// When the derived nonce is zero, which nobody has the time to find.
    pub fn sign(&self, message: &[u8], aux: [u8; 32]) -> AccountSignature {
        let signature = self
            .0
            .sign_raw(message, &aux)
            .expect("a BIP-340 nonce is not zero");
        AccountSignature {
            scheme: SCHEME_BIP340,
            bytes: signature.to_bytes(),
        }
    }
}

/// A signature by an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AccountSignature {
    /// [`SCHEME_BIP340`].
    pub scheme: u8,
    /// `r ‖ s`, as in BIP-340.
    pub bytes: [u8; 64],
}

impl AccountSignature {
    /// Checks that `account` signed `message`.
    pub fn verify(&self, account: &AccountId, message: &[u8]) -> Result<(), SignatureError> {
        if self.scheme != SCHEME_BIP340 {
            return Err(SignatureError::Scheme { have: self.scheme });
        }
        let key = VerifyingKey::from_slice(&account.0).map_err(|_| SignatureError::Key)?;
        let signature = Bip340::from_bytes(&self.bytes).map_err(|_| SignatureError::Invalid)?;
        key.verify_raw(message, &signature)
            .map_err(|_| SignatureError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector 0 of BIP-340: secret key 3, zero auxiliary randomness, zero message.
    #[test]
    fn bip340_vector_0() {
        let mut seed = [0; 32];
        seed[31] = 3;
        let key = AccountKey::from_seed(seed).unwrap();
        assert_eq!(
            key.id().to_string(),
            "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9"
        );
        let signature = key.sign(&[0; 32], [0; 32]);
        assert_eq!(
            hex::encode(signature.bytes),
            "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215\
             25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0"
        );
        assert_eq!(signature.verify(&key.id(), &[0; 32]), Ok(()));
    }

    #[test]
    fn a_signature_holds_for_one_account_one_message_one_scheme() {
        let key = AccountKey::from_seed([7; 32]).unwrap();
        let other = AccountKey::from_seed([8; 32]).unwrap().id();
        let good = key.sign(b"message", [1; 32]);
        assert_eq!(good.verify(&key.id(), b"message"), Ok(()));
        assert_eq!(good.verify(&key.id(), b"massage"), Err(SignatureError::Invalid));
        assert_eq!(good.verify(&other, b"message"), Err(SignatureError::Invalid));
        assert_eq!(
            good.verify(&AccountId([255; 32]), b"message"),
            Err(SignatureError::Key)
        );
        let scheme = AccountSignature { scheme: 2, ..good };
        assert_eq!(
            scheme.verify(&key.id(), b"message"),
            Err(SignatureError::Scheme { have: 2 })
        );
        for byte in 0..64 {
            let mut bent = good;
            bent.bytes[byte] ^= 1;
            assert_eq!(
                bent.verify(&key.id(), b"message"),
                Err(SignatureError::Invalid),
                "byte {byte}"
            );
        }
    }

    #[test]
    fn seeds_outside_the_curve_order_are_refused() {
        assert!(matches!(AccountKey::from_seed([0; 32]), Err(KeyError::Scalar)));
        assert!(matches!(AccountKey::from_seed([255; 32]), Err(KeyError::Scalar)));
    }

    #[test]
    fn ids_read_and_write_as_hex() {
        let id = AccountKey::from_seed([9; 32]).unwrap().id();
        assert!(id.is_valid() && !AccountId([255; 32]).is_valid());
        assert_eq!(AccountId::from_hex(&id.to_string()), Ok(id));
        assert_eq!(AccountId::from_hex("00"), Err(KeyError::Hex));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<AccountId>(&json).unwrap(), id);
    }
}
