//! What a validator must keep secret, and the file that keeps it: one borsh record, encrypted under a key that
//! the platform derives from the chip and the measurement, rewritten whole so that an erased secret is gone
//! from the live file. (A host that saved an older copy keeps an older ciphertext; the threat model says what
//! that means.)
//!
//! ```text
//! keyring.sealed = version u8 ‖ chip [64] ‖ measurement [48] ‖ nonce [24] ‖ XChaCha20-Poly1305(sealing key, borsh(Record))
//! ```
//! Chip and measurement stand in the clear, so that an error can say which of the two differs; the registration shows
//! both to everybody anyway.
//!
//! **Lives.** A KEM key is made before the registration that names it, is *seated* once an epoch's record names it, and
//! goes in memory and in the file at the first turn whose record does not: with it die the shares on the chain that were
//! sealed to it. At most one key waits for its seat. An epoch's secret is installed before the block that begins the
//! epoch is stored, and goes when the epoch after it has begun.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use tacit_attest::{ChipId, Measurement, QuoteError, Quoter};
use tacit_consensus::Epoch;
use tacit_ledger::{EpochSecret, SealingPublic, SealingSecret};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{NodeError, home::write_private};

/// The first byte of the file.
const VERSION: u8 = 2;
const CHIP_BYTES: usize = 64;
const MEASUREMENT_BYTES: usize = 48;
const HEADER_BYTES: usize = 1 + CHIP_BYTES + MEASUREMENT_BYTES;
const NONCE_BYTES: usize = 24;
/// The context under which the platform derives the file's key; it begins the file's associated data.
const CONTEXT: &[u8] = b"tacit 2026 keyring";
/// The longest keyring file that is read: two epochs' secrets and a handful of seeds take under 1 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// The seeds of the keys by which a validator is known for as long as its registration lasts.
#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct IdentitySeeds {
    /// Ed25519, for votes, timeouts and proposals.
    pub consensus: [u8; 32],
    /// Ed25519, for the libp2p identity and batches.
    pub node: [u8; 32],
}

#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    identity: IdentitySeeds,
    kems: Vec<KemEntry>,
    epochs: Vec<EpochEntry>,
}

#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct KemEntry {
    seed: [u8; 32],
    seated: bool,
}

#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct EpochEntry {
    epoch: Epoch,
    secret: [u8; 32],
}

/// Where a keyring is kept. Saving may block; a refusal means that nothing was changed; after a restart
/// `load` gives what the last successful `save` was given; a failure is the node's own (disk or platform).
pub trait Vault: Send {
    /// Replaces what is kept, durably.
    ///
    /// # Errors
    /// When it cannot be made durable.
    fn save(&mut self, plaintext: &[u8]) -> Result<(), NodeError>;
}

/// The vault of a real node: the sealed file in its home.
pub struct SealedFile {
    path: PathBuf,
    quoter: Arc<dyn Quoter>,
    /// Version, chip and measurement of this machine, asked for once: a device may take its time.
    header: OnceLock<[u8; HEADER_BYTES]>,
}

impl SealedFile {
    /// The vault at `path`, under the key of this platform.
    pub fn new(path: PathBuf, quoter: Arc<dyn Quoter>) -> Self {
        Self {
            path,
            quoter,
            header: OnceLock::new(),
        }
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, NodeError> {
        let key = self.quoter.sealing_key(CONTEXT)?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }

    /// What a file that is sealed here begins with. Zeros stand for what the platform does not tell.
    fn header(&self) -> &[u8; HEADER_BYTES] {
        self.header.get_or_init(|| {
            let chip = self.quoter.chip().unwrap_or(ChipId([0; CHIP_BYTES]));
            let measurement = self.quoter.measurement();
            let measurement = measurement.unwrap_or(Measurement([0; MEASUREMENT_BYTES]));
            let bytes = [VERSION].into_iter().chain(chip.0).chain(measurement.0);
            let mut header = [0; HEADER_BYTES];
            header.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
            header
        })
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`NodeError::OtherChip`] and [`NodeError::OtherMeasurement`] where another machine or another program sealed it;
    /// [`NodeError::SealedElsewhere`] where it does not open although neither differs, as far as this platform tells.
    pub fn load(&self) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        let length = std::fs::metadata(&self.path)
            .map_err(|e| NodeError::file(&self.path, e))?
            .len();
        let elsewhere = || NodeError::SealedElsewhere(self.path.clone());
        if length > MAX_BYTES {
            return Err(elsewhere());
        }
        let bytes = std::fs::read(&self.path).map_err(|e| NodeError::file(&self.path, e))?;
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(elsewhere)?;
        if header.first() != Some(&VERSION) {
            return Err(elsewhere());
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(elsewhere)?;
        let payload = Payload {
            msg: sealed,
            aad: &[CONTEXT, header].concat(),
        };
        let opened = self.cipher()?.decrypt(&XNonce::from(*nonce), payload);
        opened
            .map(Zeroizing::new)
            .map_err(|_| self.difference(header).unwrap_or_else(elsewhere))
    }

    /// What a file that begins with `header` was sealed by, where this is something else.
    fn difference(&self, header: &[u8; HEADER_BYTES]) -> Option<NodeError> {
        let parts = |header: &[u8; HEADER_BYTES]| {
            let rest = header.split_first().map_or(&[][..], |(_, rest)| rest);
            let (chip, rest) = rest.split_first_chunk::<CHIP_BYTES>()?;
            let measurement = rest.first_chunk::<MEASUREMENT_BYTES>()?;
            Some((ChipId(*chip), Measurement(*measurement)))
        };
        let ((sealed_chip, sealed), (own_chip, own)) = (parts(header)?, parts(self.header())?);
        let told = |bytes: &[u8]| bytes.iter().any(|byte| *byte != 0);
        let path = self.path.clone();
        if sealed_chip != own_chip && told(&sealed_chip.0) && told(&own_chip.0) {
            return Some(NodeError::OtherChip {
                path,
                sealed: Box::new(sealed_chip),
                have: Box::new(own_chip),
            });
        }
        (sealed != own && told(&sealed.0) && told(&own.0)).then(|| NodeError::OtherMeasurement {
            path,
            sealed: Box::new(sealed),
            have: Box::new(own),
        })
    }
}

impl Vault for SealedFile {
    fn save(&mut self, plaintext: &[u8]) -> Result<(), NodeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|e| NodeError::Entropy(e.to_string()))?;
        let header = self.header();
        let payload = Payload {
            msg: plaintext,
            aad: &[CONTEXT, header].concat(),
        };
        let sealed = self
            .cipher()?
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| NodeError::Corrupt("the keyring could not be encrypted".into()))?;
        write_private(&self.path, &[&header[..], &nonce, &sealed].concat())
    }
}

/// A KEM key and whether a record has named it.
struct Kem {
    secret: SealingSecret,
    seated: bool,
}

/// A validator's secrets in memory.
pub struct Keyring {
    identity: IdentitySeeds,
    kems: Vec<Kem>,
    epochs: BTreeMap<Epoch, EpochSecret>,
    vault: Box<dyn Vault>,
}

impl Keyring {
    /// A new keyring with the seeds of its identity and of its first KEM key, saved at once.
    ///
    /// # Errors
    /// When the vault cannot save it.
    pub fn create(identity: IdentitySeeds, kem: &[u8; 32], vault: Box<dyn Vault>) -> Result<Self, NodeError> {
        let mut keyring = Self {
            identity,
            kems: vec![Kem {
                secret: SealingSecret::derive(kem),
                seated: false,
            }],
            epochs: BTreeMap::new(),
            vault,
        };
        keyring.save()?;
        Ok(keyring)
    }

    /// A keyring from what its vault kept.
    ///
    /// # Errors
    /// When the record does not decode.
    pub fn restore(plaintext: &[u8], vault: Box<dyn Vault>) -> Result<Self, NodeError> {
        let damaged = |_| NodeError::Corrupt("keyring: does not decode".into());
        let record = Record::try_from_slice(plaintext).map_err(damaged)?;
        let kem = |entry: &KemEntry| Kem {
            secret: SealingSecret::derive(&entry.seed),
            seated: entry.seated,
        };
        let epoch = |entry: &EpochEntry| (entry.epoch, EpochSecret::from_bytes(entry.secret));
        Ok(Self {
            identity: IdentitySeeds {
                consensus: record.identity.consensus,
                node: record.identity.node,
            },
            kems: record.kems.iter().map(kem).collect(),
            epochs: record.epochs.iter().map(epoch).collect(),
            vault,
        })
    }

    /// The seeds of the keys by which this validator is known.
    pub fn identity(&self) -> &IdentitySeeds {
        &self.identity
    }

    /// The secret half of a KEM key, if this keyring holds it.
    pub fn kem(&self, key: &SealingPublic) -> Option<&SealingSecret> {
        self.kems
            .iter()
            .map(|kem| &kem.secret)
            .find(|secret| secret.public() == key)
    }

    /// The KEM keys that this keyring holds: that of its seat, and one that waits for a seat.
    pub fn kem_keys(&self) -> impl Iterator<Item = &SealingPublic> {
        self.kems.iter().map(|kem| kem.secret.public())
    }

    /// The KEM key that the next registration is to name: one to which no share was ever sealed. It is the one that
    /// waits for its seat, or made from `seed` and durable before this returns. One at a time: a registration may reach a
    /// block long after it was made, and its key must still be here then.
    ///
    /// # Errors
    /// When the vault cannot save a new one.
    pub fn next_kem(&mut self, seed: &[u8; 32]) -> Result<SealingPublic, NodeError> {
        if let Some(waiting) = self.kems.iter().find(|kem| !kem.seated) {
            return Ok(waiting.secret.public().clone());
        }
        let secret = SealingSecret::derive(seed);
        let public = secret.public().clone();
        let seated = false;
        self.kems.push(Kem { secret, seated });
        if let Err(error) = self.save() {
            self.kems.pop(); // nobody may seal to what a restart would forget
            return Err(error);
        }
        Ok(public)
    }

    /// An epoch's secret, if this validator holds it.
    pub fn epoch(&self, epoch: Epoch) -> Option<&EpochSecret> {
        self.epochs.get(&epoch)
    }

    /// Adds the secret of an epoch, durably.
    ///
    /// # Errors
    /// When the vault cannot save it.
    pub fn install(&mut self, epoch: Epoch, secret: EpochSecret) -> Result<(), NodeError> {
        self.epochs.insert(epoch, secret);
        self.save()
    }

    /// `epoch` is in force, and its record gives this validator a seat with the KEM key `seat`, or none. Erases, in memory
    /// and in the vault, the secrets of all epochs before it and every KEM key that had a seat and has none now: as marked
    /// here, or as `had_seat` knows from the chain, where this keyring is an old copy. Saves nothing where nothing changes,
    /// and erases nothing while the chain is an old copy and has to catch up with the keyring.
    ///
    /// # Errors
    /// When the vault cannot save what is left.
    pub fn turn(
        &mut self,
        epoch: Epoch,
        seat: Option<&SealingPublic>,
        had_seat: impl Fn(&SealingPublic) -> bool,
    ) -> Result<(), NodeError> {
        if self
            .epochs
            .keys()
            .next_back()
            .is_some_and(|newest| *newest > epoch)
        {
            return Ok(());
        }
        let kept = self.epochs.split_off(&epoch);
        let mut changed = !std::mem::replace(&mut self.epochs, kept).is_empty();
        for kem in &mut self.kems {
            let key = kem.secret.public();
            let seated = kem.seated || seat == Some(key) || had_seat(key);
            changed |= seated != kem.seated;
            kem.seated = seated;
        }
        let held = self.kems.len();
        self.kems
            .retain(|kem| !kem.seated || seat == Some(kem.secret.public()));
        match changed || self.kems.len() != held {
            true => self.save(),
            false => Ok(()),
        }
    }

    fn save(&mut self) -> Result<(), NodeError> {
        let record = Record {
            identity: IdentitySeeds {
                consensus: self.identity.consensus,
                node: self.identity.node,
            },
            kems: self
                .kems
                .iter()
                .map(|kem| KemEntry {
                    seed: *kem.secret.to_bytes(),
                    seated: kem.seated,
                })
                .collect(),
            epochs: self
                .epochs
                .iter()
                .map(|(epoch, secret)| EpochEntry {
                    epoch: *epoch,
                    secret: *secret.to_bytes(),
                })
                .collect(),
        };
        // Room for all of it: a buffer that grows leaves what it held behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize));
        record
            .serialize(&mut *plaintext)
            .map_err(|e| NodeError::Corrupt(format!("keyring: {e}")))?;
        self.vault.save(&plaintext)
    }
}

/// Whether the platform can seal a keyring at all: Linux offers TDX guests no key of their own.
///
/// # Errors
/// When it should, and fails.
pub fn seals(quoter: &dyn Quoter) -> Result<bool, NodeError> {
    match quoter.sealing_key(CONTEXT) {
        Ok(_) => Ok(true),
        Err(QuoteError::NoSealingKey { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Opens the sealed keyring at `path`.
///
/// # Errors
/// See [`SealedFile::load`] and [`Keyring::restore`].
pub fn open(path: &Path, quoter: Arc<dyn Quoter>) -> Result<Keyring, NodeError> {
    let file = SealedFile::new(path.to_path_buf(), quoter);
    let plaintext = file.load()?;
    Keyring::restore(&plaintext, Box::new(file))
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
