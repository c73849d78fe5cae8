//! A vault in memory that shows what it keeps and fails where it is told to.

use std::{
    io::{Error, ErrorKind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tacit_ledger::MemoryStore;
use tacit_node::{NodeError, keyring::Vault};

#[derive(Default)]
struct Inner {
    plaintext: Vec<u8>,
    /// What every save was given: what a host that keeps old disks has.
    history: Vec<Vec<u8>>,
    saves: u64,
    fail_save: Option<u64>,
    cut: Option<(u64, Arc<MemoryStore>)>,
}

/// See the module. Copies are the same vault.
#[derive(Clone, Default)]
pub struct MemoryVault(Arc<Mutex<Inner>>);

impl MemoryVault {
    /// What the newest save was given.
    pub fn plaintext(&self) -> Vec<u8> {
        self.lock().plaintext.clone()
    }

    /// What every save so far was given, oldest first.
    pub fn history(&self) -> Vec<Vec<u8>> {
        self.lock().history.clone()
    }

    /// Somebody changes what is kept, behind the keyring's back.
    pub fn tamper(&self, plaintext: Vec<u8>) {
        self.lock().plaintext = plaintext;
    }

    /// A vault of its own with what this one keeps.
    pub fn image(&self) -> Self {
        let copy = Self::default();
        copy.lock().plaintext = self.plaintext();
        copy
    }

    /// Whether these bytes are anywhere in it.
    pub fn holds(&self, secret: &[u8]) -> bool {
        contains(&self.lock().plaintext, secret)
    }

    /// The `k`-th save from now, from 0, fails and changes nothing.
    pub fn fail_save(&self, k: u64) {
        let mut inner = self.lock();
        inner.fail_save = Some(inner.saves + k);
    }

    /// No save fails any more, and none is the power's end.
    pub fn mend(&self) {
        let mut inner = self.lock();
        (inner.fail_save, inner.cut) = (None, None);
    }

    /// Right after the `k`-th save from now, from 0, the power goes: the store takes no further write.
    pub fn cut_after_save(&self, k: u64, store: Arc<MemoryStore>) {
        let mut inner = self.lock();
        inner.cut = Some((inner.saves + k, store));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for MemoryVault {
    fn save(&mut self, plaintext: &[u8]) -> Result<(), NodeError> {
        let mut inner = self.lock();
        let save = inner.saves;
        inner.saves += 1;
        if inner.fail_save == Some(save) {
            inner.fail_save = None;
            return Err(NodeError::File {
                path: "vault".into(),
                source: Error::new(ErrorKind::StorageFull, "the vault was told to fail"),
            });
        }
        inner.plaintext = plaintext.to_vec();
        inner.history.push(plaintext.to_vec());
        if let Some((_, store)) = inner.cut.take_if(|(at, _)| *at == save) {
            store.fail_write(0);
        }
        Ok(())
    }
}

/// A keyring's record: identity, list of (KEM seed, flag), list of (epoch, secret).
fn lists(record: &[u8]) -> (usize, usize) {
    let count = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes")) as usize;
    let epochs = 64 + 4 + 33 * count(64);
    assert_eq!(
        record.len(),
        epochs + 4 + 40 * count(epochs),
        "another format than this"
    );
    (64, epochs)
}

/// The same keyring when it has lost the secrets of epochs.
pub fn without_secrets(record: &[u8]) -> Vec<u8> {
    let (_, epochs) = lists(record);
    [&record[..epochs], &[0; 4]].concat()
}

/// The same keyring when it has lost its KEM keys.
pub fn without_kems(record: &[u8]) -> Vec<u8> {
    let (kems, epochs) = lists(record);
    [&record[..kems], &[0; 4], &record[epochs..]].concat()
}

/// Whether `needle` is somewhere in `hay`.
pub fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}
