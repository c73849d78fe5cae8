//! Planted plaintext (S8): transfers go to accounts that begin with a marker, and no byte that leaves a TEE may show it.
//! Looked at are all packets, what stores keep, what logs and errors say; for the marker's bytes, their hexadecimal digits and
//! their numbers as `Debug` prints them.

use memchr::memmem::Finder;
use tacit_ledger::{AccountId, Column, MemoryStore, Store};

/// Bytes of a marker: long enough that chance does not make it.
const MARKER: usize = 12;

/// See the module.
pub struct Leaks {
    marker: [u8; MARKER],
    needles: Vec<Finder<'static>>,
    planted: u64,
    scanned: u64,
    found: Vec<String>,
}

impl Leaks {
    /// Looks for the marker of a seed.
    pub fn new(seed: u64) -> Self {
        let mut marker = [0; MARKER];
        let hash = blake3::hash(&[b"marker".as_slice(), &seed.to_le_bytes()].concat());
        marker.copy_from_slice(&hash.as_bytes()[..MARKER]);
        let debug = format!("{marker:?}");
        let forms = [
            marker.to_vec(),
            hex::encode(marker).into_bytes(),
            debug.trim_matches(['[', ']']).as_bytes().to_vec(),
        ];
        Self {
            marker,
            needles: forms.iter().map(|form| Finder::new(form).into_owned()).collect(),
            planted: 0,
            scanned: 0,
            found: Vec::new(),
        }
    }

    /// An account that shows the marker.
    pub fn account(&mut self) -> AccountId {
        self.planted += 1;
        let mut id = [0; 32];
        id[..MARKER].copy_from_slice(&self.marker);
        id[MARKER..MARKER + 8].copy_from_slice(&self.planted.to_le_bytes());
        AccountId(id)
    }

    /// Looks at bytes.
    pub fn scan(&mut self, what: &str, bytes: &[u8]) {
        self.scanned += bytes.len() as u64;
        if self.needles.iter().any(|needle| needle.find(bytes).is_some()) {
            self.found.push(format!("{what} of {} bytes", bytes.len()));
        }
    }

    /// Looks at all that a store keeps.
    pub fn scan_store(&mut self, what: &str, store: &MemoryStore) {
        for column in Column::ALL {
            for (key, value) in store.scan(column, &[], usize::MAX, false).expect("readable") {
                self.scan(what, &key);
                self.scan(what, &value);
            }
        }
    }

    /// Bytes looked at.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// How many accounts were planted.
    pub fn planted(&self) -> u64 {
        self.planted
    }

    /// Where the marker was.
    pub fn found(&self) -> &[String] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_in_each_of_its_forms_and_nowhere_else() {
        let mut leaks = Leaks::new(3);
        let id = leaks.account();
        leaks.scan("another", &Leaks::new(4).account().0);
        assert!(leaks.found().is_empty());
        let said = [
            id.0.to_vec(),
            id.to_string().into_bytes(),
            format!("{:?}", id.0).into_bytes(),
        ];
        for bytes in said {
            leaks.scan("said", &[b"before ".as_slice(), &bytes, b" after"].concat());
        }
        assert_eq!(leaks.found().len(), 3);
    }
}
