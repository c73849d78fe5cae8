//! Key files: age passphrase files (scrypt recipient) that hold a small TOML document.
//!
//! The format has a specification and independent decryptors, so a user is never locked in:
//! `age -d alice.age` prints the document.

use std::{io::Read, io::Write, iter};

use age::secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tacit_attest::NetworkClass;
use tacit_consensus::{Digest, hash};
use tacit_ledger::{AccountKey, Genesis, SealingSecret};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    address::Address,
    error::Error,
    home::{Home, private_folder, read_private, write_private},
};

/// Longest key file that is read, in bytes: the document is a few hundred.
const MAX_KEYFILE_BYTES: u64 = 16 * 1024;
/// Longest address file that is read, in bytes.
const MAX_ADDRESS_BYTES: u64 = 256;
/// The document's version.
const VERSION: u32 = 1;
/// scrypt work of the wallets of tests and local testnets: 2^4 rounds, so that many can be opened a second. Their
/// passphrase lies in a file beside them.
const TEST_WORK: u8 = 4;

/// A passphrase on its way to the key file; zeroized, never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase that was typed or read from a file; trailing line ends are not part of it.
    pub fn new(text: String) -> Self {
        let text = Zeroizing::new(text);
        Self(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether two entries agree.
    pub fn same(&self, other: &Passphrase) -> bool {
        self.0 == other.0
    }

    fn secret(&self) -> SecretString {
        SecretString::from(self.0.as_str().to_owned())
    }
}

/// How hard guessing the passphrase is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// About one second on this machine, as age chooses it.
    User,
    /// Almost none: for tests and local testnets.
    Test,
}

/// The seeds of one wallet.
pub struct Seeds {
    /// Seed of the account key.
    pub account: Zeroizing<[u8; 32]>,
    /// Seed of the mail key, to which others seal letters and room keys.
    pub mail: Zeroizing<[u8; 32]>,
}

impl Seeds {
    /// The account key.
    ///
    /// # Errors
    /// [`Error::Seed`] for the few seeds that are no key of the curve.
    pub fn account_key(&self) -> Result<AccountKey, Error> {
        AccountKey::from_seed(*self.account).map_err(|_| Error::Seed)
    }

    /// The key pair to which letters are sealed.
    pub fn mail_key(&self) -> SealingSecret {
        SealingSecret::derive(&self.mail)
    }

    /// The key pair to which a recovery member's shares are sealed. Not the mail key: that one is on the chain for
    /// everybody to seal to.
    pub fn recovery_key(&self) -> SealingSecret {
        let seed = Zeroizing::new(hash("recovery member key", &[&self.mail[..]]).0);
        SealingSecret::derive(&seed)
    }
}

/// An opened key file.
pub struct Keyfile {
    /// The wallet's name.
    pub name: String,
    /// The seeds.
    pub seeds: Seeds,
    /// The address that the seeds give on the chain they were made for.
    pub address: Address,
    /// The chain that it was made for, its genesis hash; [`Keyfile::FOUNDING`] when there was none yet.
    pub chain: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    seed: String,
    mail_seed: String,
    address: String,
    chain: String,
}

impl Drop for Document {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.mail_seed.zeroize();
    }
}

impl Keyfile {
    /// Stands for the chain in the key file of a founder, made before there is a genesis to name its account.
    pub const FOUNDING: Digest = Digest::ZERO;

    /// Whether these keys are for the chain that grows from `genesis`: it is the one they were made for or goes on from it,
    /// or they are a founder's and the genesis names their account. (Who founded a lost chain cannot be told from what
    /// goes on with it.)
    pub fn is_for(&self, chain: &Digest, genesis: &Genesis) -> bool {
        let account = &self.address.account;
        let named = || {
            let funded = genesis.allocations.iter().any(|(one, _)| one == account);
            funded || genesis.governance.index_of(account).is_some()
        };
        // A recovered chain goes on with the balances, names and letters of the one that was lost.
        let before = genesis.origin.iter().flat_map(tacit_ledger::Origin::chains);
        let earlier = || before.into_iter().any(|lost| *lost == self.chain);
        self.chain == *chain
            || earlier()
            || (self.chain == Self::FOUNDING && (named() || genesis.origin.is_some()))
    }

    /// Writes a new key file and the address beside it.
    ///
    /// # Errors
    /// [`Error::WalletExists`] when the name is taken: nothing is overwritten; [`Error::FileMode`] when the folder
    /// is open to others.
    pub fn create(
        home: &Home,
        name: &str,
        seeds: Seeds,
        class: NetworkClass,
        chain: Digest,
        passphrase: &Passphrase,
        work: Work,
    ) -> Result<Self, Error> {
        let path = home.wallet(name)?;
        private_folder(&home.wallets())?;
        if path.exists() {
            return Err(Error::WalletExists {
                name: name.to_owned(),
            });
        }
        let address = Address::new(class, seeds.account_key()?.id());
        let document = Document {
            version: VERSION,
            seed: hex::encode(*seeds.account),
            mail_seed: hex::encode(*seeds.mail),
            address: address.to_string(),
            chain: chain.to_string(),
        };
        let text = Zeroizing::new(
            toml::to_string(&document).map_err(|_| Error::KeyfileDamaged { path: path.clone() })?,
        );
        write_private(&path, &encrypt(text.as_bytes(), passphrase, work)?)?;
        write_private(&path.with_extension("address"), address.to_string().as_bytes())?;
        Ok(Self {
            name: name.to_owned(),
            seeds,
            address,
            chain,
        })
    }

    /// Opens a key file.
    ///
    /// # Errors
    /// [`Error::WalletMissing`], [`Error::FileMode`], [`Error::WrongPassphrase`], or [`Error::KeyfileDamaged`] when it
    /// opens but does not hold what a key file holds, its address not fitting its seed included.
    pub fn open(home: &Home, name: &str, passphrase: &Passphrase) -> Result<Self, Error> {
        let path = home.wallet(name)?;
        let missing = || Error::WalletMissing {
            name: name.to_owned(),
        };
        if !path.exists() {
            return Err(missing());
        }
        private_folder(&home.wallets())?;
        let bytes = read_private(&path, MAX_KEYFILE_BYTES)?.ok_or_else(missing)?;
        let damaged = || Error::KeyfileDamaged { path: path.clone() };
        let plain = decrypt(&bytes, passphrase).map_err(|error| match error {
            Opening::Passphrase => Error::WrongPassphrase {
                name: name.to_owned(),
            },
            Opening::Damaged => damaged(),
        })?;
        let text = std::str::from_utf8(&plain).map_err(|_| damaged())?;
        let document: Document = toml::from_str(text).map_err(|_| damaged())?;
        if document.version != VERSION {
            return Err(damaged());
        }
        let seed = |digits: &str| {
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(digits, bytes.as_mut_slice())
                .map_err(|_| damaged())
                .map(|()| bytes)
        };
        let seeds = Seeds {
            account: seed(&document.seed)?,
            mail: seed(&document.mail_seed)?,
        };
        let address: Address = document.address.parse()?;
        if seeds.account_key()?.id() != address.account {
            return Err(damaged());
        }
        let chain = Digest::from_hex(&document.chain).map_err(|_| damaged())?;
        Ok(Self {
            name: name.to_owned(),
            seeds,
            address,
            chain,
        })
    }
}

/// The address of a wallet in this folder, without opening it. It is as trustworthy as the folder.
///
/// # Errors
/// [`Error::WalletMissing`], or [`Error::Address`] when the file was damaged.
pub fn address_of(home: &Home, name: &str) -> Result<Address, Error> {
    let path = home.wallet(name)?.with_extension("address");
    let bytes = read_private(&path, MAX_ADDRESS_BYTES)?.ok_or_else(|| Error::WalletMissing {
        name: name.to_owned(),
    })?;
    String::from_utf8_lossy(&bytes).trim().parse()
}

/// Encrypts a document to a passphrase.
fn encrypt(plain: &[u8], passphrase: &Passphrase, work: Work) -> Result<Vec<u8>, Error> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.secret());
    if work == Work::Test {
        recipient.set_work_factor(TEST_WORK);
    }
    let encryptor =
        age::Encryptor::with_recipients(iter::once(&recipient as _)).map_err(|_| Error::Encrypting)?;
    let mut out = Vec::new();
    let mut writer = encryptor.wrap_output(&mut out).map_err(|_| Error::Encrypting)?;
    writer.write_all(plain).map_err(|_| Error::Encrypting)?;
    writer.finish().map_err(|_| Error::Encrypting)?;
    Ok(out)
}

enum Opening {
    Passphrase,
    Damaged,
}

/// Decrypts a passphrase file.
fn decrypt(bytes: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, Opening> {
    let decryptor = age::Decryptor::new(bytes).map_err(|_| Opening::Damaged)?;
    if !decryptor.is_scrypt() {
        return Err(Opening::Damaged);
    }
    let identity = age::scrypt::Identity::new(passphrase.secret());
    let reader = decryptor
        .decrypt(iter::once(&identity as _))
        .map_err(|error| match error {
            age::DecryptError::KeyDecryptionFailed
            | age::DecryptError::DecryptionFailed
            | age::DecryptError::NoMatchingKeys => Opening::Passphrase,
            _ => Opening::Damaged,
        })?;
    let mut plain = Zeroizing::new(Vec::with_capacity(1024));
    reader
        .take(MAX_KEYFILE_BYTES)
        .read_to_end(&mut plain)
        .map_err(|_| Opening::Damaged)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    fn make(home: &Home, name: &str) -> Result<Keyfile, Error> {
        let seeds = Seeds {
            account: Zeroizing::new([7; 32]),
            mail: Zeroizing::new([8; 32]),
        };
        Keyfile::create(
            home,
            name,
            seeds,
            NetworkClass::Dev,
            Digest([9; 32]),
            &pass("right\n"),
            Work::Test,
        )
    }

    #[test]
    fn a_wallet_comes_back_with_its_passphrase_only() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let made = make(&home, "alice").unwrap();
        assert_eq!(home.wallet_names().unwrap(), ["alice"]);
        assert_eq!(address_of(&home, "alice").unwrap(), made.address);

        let opened = Keyfile::open(&home, "alice", &pass("right")).unwrap();
        assert_eq!(*opened.seeds.account, [7; 32]);
        assert_eq!(*opened.seeds.mail, [8; 32]);
        assert_eq!((opened.address, opened.chain), (made.address, Digest([9; 32])));

        let wrong = |text: &str| Keyfile::open(&home, "alice", &pass(text)).err().unwrap().code();
        assert_eq!(wrong("wrong"), "wallet.bad_password");
        assert_eq!(wrong(""), "wallet.bad_password");
        assert_eq!(make(&home, "alice").err().unwrap().code(), "wallet.exists");
        assert_eq!(
            Keyfile::open(&home, "bob", &pass("right")).err().unwrap().code(),
            "wallet.not_found"
        );
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_from_the_start_and_looser_ones_are_refused() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        make(&home, "alice").unwrap();
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = home.wallet("alice").unwrap();
        assert_eq!(mode(&home.wallets()), 0o700);
        assert_eq!(mode(&file), 0o600);

        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            Keyfile::open(&home, "alice", &pass("right"))
                .err()
                .unwrap()
                .code(),
            "wallet.file_mode"
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(home.wallets(), fs::Permissions::from_mode(0o750)).unwrap();
        assert_eq!(
            Keyfile::open(&home, "alice", &pass("right"))
                .err()
                .unwrap()
                .code(),
            "wallet.file_mode"
        );
    }

    #[test]
    fn neither_seed_nor_passphrase_lies_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        make(&home, "alice").unwrap();
        let bytes = std::fs::read(home.wallet("alice").unwrap()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("age-encryption.org/v1\n-> scrypt "));
        assert!(!text.contains(&hex::encode([7; 32])) && !text.contains("right"));
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        make(&home, "alice").unwrap();
        let path = home.wallet("alice").unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        write_private(&path, &bytes).unwrap();
        assert!(matches!(
            Keyfile::open(&home, "alice", &pass("right")),
            Err(Error::KeyfileDamaged { .. })
        ));
    }
}
