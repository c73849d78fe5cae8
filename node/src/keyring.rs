//! What a validator must keep secret, and the file that keeps it: one borsh record, encrypted under a key that
//! the platform derives from the chip and the measurement, rewritten whole so that an erased secret is gone
//! from the live file. (A host that saved an older copy keeps an older ciphertext; the threat model says what
//! that means.)
//!
//! ```text
//! keyring.sealed = version u8 ‖ nonce [24] ‖ XChaCha20-Poly1305(sealing key, borsh(Record))
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use tacit_attest::{QuoteError, Quoter};
use tacit_consensus::Epoch;
use tacit_ledger::{EpochSecret, SealingSecret, StateKeys};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{NodeError, home::write_private};

/// The first byte of the file.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// The context under which the platform derives the file's key, and the file's associated data.
const CONTEXT: &[u8] = b"tacit 2026 keyring";
/// The longest keyring file that is read: two epochs' secrets and the long-lived keys take under 1 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// The seeds of a validator's long-lived keys.
#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
pub struct IdentitySeeds {
    /// Ed25519, for votes, timeouts and proposals.
    pub consensus: [u8; 32],
    /// Ed25519, for the libp2p identity and batches.
    pub node: [u8; 32],
    /// X-Wing, for shares and private queries.
    pub kem: [u8; 32],
}

#[derive(BorshSerialize, BorshDeserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    identity: IdentitySeeds,
    epochs: Vec<EpochEntry>,
    state_keys: Option<Vec<u8>>,
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
}

impl SealedFile {
    /// The vault at `path`, under the key of this platform.
    pub fn new(path: PathBuf, quoter: Arc<dyn Quoter>) -> Self {
        Self { path, quoter }
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, NodeError> {
        let key = self.quoter.sealing_key(CONTEXT)?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`NodeError::SealedElsewhere`] when this chip and measurement did not seal it.
    pub fn load(&self) -> Result<Zeroizing<Vec<u8>>, NodeError> {
        let length = std::fs::metadata(&self.path)
            .map_err(|e| NodeError::file(&self.path, e))?
            .len();
        let elsewhere = || NodeError::SealedElsewhere(self.path.clone());
        if length > MAX_BYTES {
            return Err(elsewhere());
        }
        let bytes = std::fs::read(&self.path).map_err(|e| NodeError::file(&self.path, e))?;
        let (version, rest) = bytes.split_first().ok_or_else(elsewhere)?;
        if *version != VERSION {
            return Err(elsewhere());
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or_else(elsewhere)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| elsewhere())?;
        self.cipher()?
            .decrypt(
                &nonce,
                Payload {
                    msg: sealed,
                    aad: CONTEXT,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| elsewhere())
    }
}

impl Vault for SealedFile {
    fn save(&mut self, plaintext: &[u8]) -> Result<(), NodeError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|e| NodeError::Entropy(e.to_string()))?;
        let sealed = self
            .cipher()?
            .encrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: plaintext,
                    aad: CONTEXT,
                },
            )
            .map_err(|_| NodeError::Corrupt("the keyring could not be encrypted".into()))?;
        let mut bytes = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        write_private(&self.path, &bytes)
    }
}

/// A validator's secrets in memory.
pub struct Keyring {
    identity: IdentitySeeds,
    epochs: BTreeMap<Epoch, EpochSecret>,
    state_keys: Option<StateKeys>,
    vault: Box<dyn Vault>,
}

impl Keyring {
    /// A new keyring with fresh identity seeds, saved at once.
    ///
    /// # Errors
    /// When the vault cannot save it.
    pub fn create(identity: IdentitySeeds, vault: Box<dyn Vault>) -> Result<Self, NodeError> {
        let mut keyring = Self {
            identity,
            epochs: BTreeMap::new(),
            state_keys: None,
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
        let damaged = |what: &str| NodeError::Corrupt(format!("keyring: {what}"));
        let mut record = Record::try_from_slice(plaintext).map_err(|_| damaged("does not decode"))?;
        let mut epochs = BTreeMap::new();
        for entry in &record.epochs {
            epochs.insert(entry.epoch, EpochSecret::from_bytes(entry.secret));
        }
        let state_keys = match &record.state_keys {
            Some(bytes) => Some(StateKeys::from_bytes(bytes).map_err(|_| damaged("the state keys"))?),
            None => None,
        };
        let identity = IdentitySeeds {
            consensus: record.identity.consensus,
            node: record.identity.node,
            kem: record.identity.kem,
        };
        record.zeroize();
        Ok(Self {
            identity,
            epochs,
            state_keys,
            vault,
        })
    }

    /// The seeds of the long-lived keys.
    pub fn identity(&self) -> &IdentitySeeds {
        &self.identity
    }

    /// The key to which shares and queries for this validator are sealed.
    pub fn kem(&self) -> SealingSecret {
        SealingSecret::derive(&self.identity.kem)
    }

    /// An epoch's secret, if this validator holds it.
    pub fn epoch(&self, epoch: Epoch) -> Option<&EpochSecret> {
        self.epochs.get(&epoch)
    }

    /// The keys of the private state, once the first epoch with a secret has begun.
    pub fn state_keys(&self) -> Option<&StateKeys> {
        self.state_keys.as_ref()
    }

    /// Adds the secret of an epoch, durably. The first one also gives the state keys.
    ///
    /// # Errors
    /// When the vault cannot save it.
    pub fn install(&mut self, epoch: Epoch, secret: EpochSecret) -> Result<(), NodeError> {
        if self.state_keys.is_none() {
            self.state_keys = Some(StateKeys::derive(&secret));
        }
        self.epochs.insert(epoch, secret);
        self.save()
    }

    /// Erases the secrets of all epochs before `epoch`, in memory and in the vault.
    ///
    /// # Errors
    /// When the vault cannot save what is left.
    pub fn erase_before(&mut self, epoch: Epoch) -> Result<(), NodeError> {
        let kept = self.epochs.split_off(&epoch);
        let erased = std::mem::replace(&mut self.epochs, kept);
        if erased.is_empty() {
            return Ok(());
        }
        self.save()
    }

    fn save(&mut self) -> Result<(), NodeError> {
        let record = Record {
            identity: IdentitySeeds {
                consensus: self.identity.consensus,
                node: self.identity.node,
                kem: self.identity.kem,
            },
            epochs: self
                .epochs
                .iter()
                .map(|(epoch, secret)| EpochEntry {
                    epoch: *epoch,
                    secret: *secret.to_bytes(),
                })
                .collect(),
            state_keys: self.state_keys.as_ref().map(|keys| keys.to_bytes().to_vec()),
        };
        let plaintext =
            Zeroizing::new(borsh::to_vec(&record).map_err(|e| NodeError::Corrupt(format!("keyring: {e}")))?);
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
mod tests {
    use std::sync::OnceLock;

    use tacit_attest::{Generation, Measurement, SimulatedQuoter, SimulatorAuthority};

    use super::*;

    fn quoter(chip: u8, measurement: u8) -> Arc<dyn Quoter> {
        static AUTHORITY: OnceLock<SimulatorAuthority> = OnceLock::new();
        let authority =
            AUTHORITY.get_or_init(|| SimulatorAuthority::generate([1; 32], 1_700_000_000_000).expect("made"));
        let chip = authority
            .issue_chip([chip; 32], Generation::Genoa, 1_700_000_000_000)
            .expect("issued");
        Arc::new(SimulatedQuoter::new(chip, Measurement([measurement; 48])))
    }

    fn seeds() -> IdentitySeeds {
        IdentitySeeds {
            consensus: [1; 32],
            node: [2; 32],
            kem: [3; 32],
        }
    }

    #[test]
    fn it_opens_on_its_own_chip_and_measurement_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring.sealed");
        let vault = SealedFile::new(path.clone(), quoter(1, 1));
        let mut keyring = Keyring::create(seeds(), Box::new(vault)).expect("created");
        keyring
            .install(1, EpochSecret::from_bytes([9; 32]))
            .expect("installed");
        let opened = open(&path, quoter(1, 1)).expect("opens");
        assert_eq!(opened.identity().kem, [3; 32]);
        assert!(opened.epoch(1) == Some(&EpochSecret::from_bytes([9; 32])));
        for other in [quoter(2, 1), quoter(1, 2)] {
            assert!(matches!(open(&path, other), Err(NodeError::SealedElsewhere(_))));
        }
        let sealed = std::fs::read(&path).expect("read");
        for secret in [[1u8; 32], [2; 32], [3; 32], [9; 32]] {
            assert!(
                !sealed.windows(32).any(|window| window == secret),
                "a secret is in the clear"
            );
        }
    }

    #[test]
    fn an_erased_secret_is_gone_and_the_state_keys_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring.sealed");
        let vault = SealedFile::new(path.clone(), quoter(1, 1));
        let mut keyring = Keyring::create(seeds(), Box::new(vault)).expect("created");
        keyring
            .install(1, EpochSecret::from_bytes([8; 32]))
            .expect("installed");
        let state = keyring
            .state_keys()
            .expect("made with the first secret")
            .to_bytes();
        keyring
            .install(2, EpochSecret::from_bytes([9; 32]))
            .expect("installed");
        keyring.erase_before(2).expect("erased");
        let opened = open(&path, quoter(1, 1)).expect("opens");
        assert!(opened.epoch(1).is_none() && opened.epoch(2).is_some());
        assert_eq!(opened.state_keys().expect("kept").to_bytes(), state);
        let plain = SealedFile::new(path, quoter(1, 1)).load().expect("opens");
        assert!(
            !plain.windows(32).any(|window| window == [8; 32]),
            "the old secret is still there"
        );
    }

    #[test]
    fn a_damaged_file_is_refused_whatever_is_wrong_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keyring.sealed");
        let vault = SealedFile::new(path.clone(), quoter(1, 1));
        Keyring::create(seeds(), Box::new(vault)).expect("created");
        let good = std::fs::read(&path).expect("read");
        let mut flipped = good.clone();
        flipped[40] ^= 1;
        let version = [&[9], &good[1..]].concat();
        let long = vec![1; MAX_BYTES as usize + 1];
        for bad in [
            &[][..],
            &good[..10],
            &good[..good.len() - 1],
            &flipped,
            &version,
            &long,
        ] {
            std::fs::write(&path, bad).expect("written");
            assert!(matches!(
                open(&path, quoter(1, 1)),
                Err(NodeError::SealedElsewhere(_))
            ));
        }
    }
}
