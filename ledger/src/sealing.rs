//! Sealing: RFC 9180 HPKE in base mode with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305.
//!
//! One key pair type serves envelopes (the epoch's key), shares and queries (a validator's attested KEM key)
//! and mail (an account's published key); `info` separates the uses. The sender is authenticated inside, by
//! the call's signature, never by HPKE.
//!
//! Departure from the RFC: none. The private key is kept as the 32-byte input of `DeriveKeyPair`.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::XWing, setup_receiver, setup_sender_with_rng,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use tacit_consensus::{Digest, Epoch, Height, hash};
use zeroize::Zeroizing;

use crate::{
    call::Call,
    codec::{decode, encode},
    envelope::{Envelope, EnvelopeKey, SUITE_XWING},
    error::{OpenError, SealError},
    json::hex_vec,
    limits::{ENCAPSULATION_BYTES, MAX_BUCKET, MAX_CALL_BYTES, MIN_BUCKET, SEALING_PUBLIC_BYTES},
    padding::{pad, unpad},
};

type PublicKey = <XWing as hpke::Kem>::PublicKey;
type PrivateKey = <XWing as hpke::Kem>::PrivateKey;
type EncappedKey = <XWing as hpke::Kem>::EncappedKey;

const ENVELOPE_INFO: &[u8] = b"tacit 2026 envelope";
const RECEIPT_EXPORT: &[u8] = b"tacit 2026 receipt";

/// An X-Wing public key, [`SEALING_PUBLIC_BYTES`] long. Any bytes decode; use refuses what is no key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealingPublic(#[serde(with = "hex_vec")] pub Vec<u8>);

impl SealingPublic {
    /// Checks that the bytes are a key that can be sealed to.
    pub fn check(&self) -> Result<(), SealError> {
        self.parse().map(|_| ())
    }

    /// A short name for people: the first 8 bytes of the key's hash, in hex.
    pub fn key_id(&self) -> String {
        let digest = hash("sealing key", &[&self.0]);
        hex::encode(digest.0.first_chunk::<8>().expect("a digest has 32 bytes"))
    }

    fn parse(&self) -> Result<PublicKey, SealError> {
        if self.0.len() != SEALING_PUBLIC_BYTES {
            return Err(SealError::KeyLength {
                have: self.0.len(),
                need: SEALING_PUBLIC_BYTES,
            });
        }
        PublicKey::from_bytes(&self.0).map_err(|_| SealError::Key)
    }
}

impl fmt::Debug for SealingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublic({})", self.key_id())
    }
}

/// The secret half. It zeroizes itself and has no `Debug`.
#[derive(Clone)]
pub struct SealingSecret {
    ikm: Zeroizing<[u8; 32]>,
    private: PrivateKey,
    public: SealingPublic,
}

impl SealingSecret {
    /// The key pair of 32 secret bytes, by HPKE's `DeriveKeyPair`.
    pub fn derive(ikm: &[u8; 32]) -> Self {
        let (private, public) = XWing::derive_keypair(ikm);
        Self {
            ikm: Zeroizing::new(*ikm),
            private,
            public: SealingPublic(public.to_bytes().to_vec()),
        }
    }

    /// What others seal to.
    pub fn public(&self) -> &SealingPublic {
        &self.public
    }

    /// The 32 bytes that [`Self::derive`] takes, for the sealed keyring.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.ikm.clone()
    }
}

/// The key of one envelope's receipt, exported from its HPKE context: sender and TEEs alone know it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceiptKey(Zeroizing<[u8; 32]>);

impl ReceiptKey {
    /// For the wallet's own sealed storage.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Back from the wallet's own storage.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An envelope that opened to a well-formed call with a good signature. Only [`open_envelope`] makes one, and it
/// has no `Debug`.
#[derive(Clone)]
pub struct OpenedEnvelope {
    /// The envelope's id.
    pub id: Digest,
    /// What it asks for.
    pub call: Call,
    /// Padded plaintext size in bytes.
    pub size_class: u32,
    receipt_key: ReceiptKey,
}

impl OpenedEnvelope {
    /// The key under which the receipt is sealed.
    pub fn receipt_key(&self) -> &ReceiptKey {
        &self.receipt_key
    }
}

/// Seals a call for one epoch of one network. The caller has checked the epoch's key (see [`crate::light`]).
pub fn seal_envelope(
    rng: &mut impl CryptoRng,
    to: &SealingPublic,
    chain: &Digest,
    epoch: Epoch,
    expiry_height: Height,
    call: &Call,
) -> Result<(Envelope, ReceiptKey), SealError> {
    let encoded = Zeroizing::new(encode(call));
    let too_large = SealError::TooLarge {
        have: encoded.len(),
        max: MAX_CALL_BYTES,
    };
    let padded = pad(&encoded, MIN_BUCKET, MAX_BUCKET).ok_or(too_large)?;
    let info = envelope_info(chain, epoch);
    let (encapsulated, mut context) = setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
        &OpModeS::Base,
        &to.parse()?,
        &info,
        rng,
    )
    .map_err(|_| SealError::Key)?;
    let key = EnvelopeKey::Encapsulated(encapsulated.to_bytes().to_vec());
    let mut envelope = Envelope {
        chain: *chain,
        epoch,
        expiry_height,
        suite: SUITE_XWING,
        key,
        body: Vec::new(),
    };
    envelope.body = context
        .seal(&padded, &envelope.aad())
        .map_err(|_| SealError::Key)?;
    let mut receipt_key = Zeroizing::new([0; 32]);
    context
        .export(RECEIPT_EXPORT, &mut receipt_key[..])
        .map_err(|_| SealError::Key)?;
    Ok((envelope, ReceiptKey(receipt_key)))
}

/// Opens an envelope: shape, seal, padding, call, signature, in this order. Pure; whether it may be executed now
/// is [`Envelope::check`]'s and the state machine's business.
pub fn open_envelope(secret: &SealingSecret, envelope: &Envelope) -> Result<OpenedEnvelope, OpenError> {
    let encapsulation = envelope.check_shape()?;
    let info = envelope_info(&envelope.chain, envelope.epoch);
    let mut context = receiver(secret, encapsulation, &info)?;
    let plain = context
        .open(&envelope.body, &envelope.aad())
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Seal)?;
    let call: Call = decode(unpad(&plain).ok_or(OpenError::Padding)?, MAX_CALL_BYTES)?;
    call.verify(&envelope.chain)?;
    let mut receipt_key = Zeroizing::new([0; 32]);
    context
        .export(RECEIPT_EXPORT, &mut receipt_key[..])
        .map_err(|_| OpenError::Seal)?;
    Ok(OpenedEnvelope {
        id: envelope.id(),
        call,
        size_class: envelope.size_class(),
        receipt_key: ReceiptKey(receipt_key),
    })
}

/// Seals `plaintext` to a key: `encapsulation ‖ ciphertext`, [`ENCAPSULATION_BYTES`] + 16 bytes longer than the
/// plaintext. `info` names the use and its parties; `aad` is authenticated and not carried.
pub fn seal_to(
    rng: &mut impl CryptoRng,
    to: &SealingPublic,
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, SealError> {
    let (encapsulated, mut context) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&OpModeS::Base, &to.parse()?, info, rng)
            .map_err(|_| SealError::Key)?;
    let mut sealed = encapsulated.to_bytes().to_vec();
    sealed.extend_from_slice(&context.seal(plaintext, aad).map_err(|_| SealError::Key)?);
    Ok(sealed)
}

/// Opens what [`seal_to`] made with the same `info` and `aad`. The caller has bounded `bytes`.
pub fn open_from(
    secret: &SealingSecret,
    info: &[u8],
    aad: &[u8],
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (encapsulation, sealed) = bytes
        .split_at_checked(ENCAPSULATION_BYTES)
        .ok_or(OpenError::Seal)?;
    let mut context = receiver(secret, encapsulation, info)?;
    context
        .open(sealed, aad)
        .map(Zeroizing::new)
        .map_err(|_| OpenError::Seal)
}

type Receiver = hpke::aead::AeadCtxR<ChaCha20Poly1305, HkdfSha256, XWing>;

fn receiver(secret: &SealingSecret, encapsulation: &[u8], info: &[u8]) -> Result<Receiver, OpenError> {
    let encapsulated = EncappedKey::from_bytes(encapsulation).map_err(|_| OpenError::Seal)?;
    setup_receiver(&OpModeR::Base, &secret.private, &encapsulated, info).map_err(|_| OpenError::Seal)
}

fn envelope_info(chain: &Digest, epoch: Epoch) -> Vec<u8> {
    [ENVELOPE_INFO, &chain.0, &epoch.to_le_bytes()].concat()
}

#[cfg(test)]
#[path = "sealing_tests.rs"]
mod tests;
