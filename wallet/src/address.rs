//! Addresses: what a person gives to another to be paid or written to.
//!
//! ```text
//! tacit1 | tacitt1 | tacitl1   production, test, dev (local)
//! payload                      version byte 1, then the 32-byte account id; bech32m (BIP-350)
//! ```
//! The account's sealing key (X-Wing, 1216 bytes) does not fit an address; it is read from the account's private
//! record with a proof, so nobody has to believe a node about it.

use std::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use tacit_attest::NetworkClass;
use tacit_ledger::AccountId;

use crate::error::Error;

/// The only payload version so far.
const VERSION: u8 = 1;
/// Longest text that is looked at, in bytes: today's longest address has 73.
const MAX_TEXT: usize = 90;

/// An account on a kind of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The kind of network it is for; a dev address is never paid on a production chain.
    pub class: NetworkClass,
    /// The account.
    pub account: AccountId,
}

impl Address {
    /// The address of an account on a kind of network.
    pub fn new(class: NetworkClass, account: AccountId) -> Self {
        Self { class, account }
    }

    /// The same address, if it is for this kind of network.
    ///
    /// # Errors
    /// [`Error::Address`] naming both prefixes.
    pub fn on(self, class: NetworkClass) -> Result<Self, Error> {
        if self.class == class {
            return Ok(self);
        }
        let reason = format!(
            "it starts with {}1, this network's start with {}1",
            prefix(self.class),
            prefix(class)
        );
        Err(Error::Address {
            text: self.to_string(),
            reason,
        })
    }
}

/// The human-readable part for a kind of network.
fn prefix(class: NetworkClass) -> &'static str {
    match class {
        NetworkClass::Production => "tacit",
        NetworkClass::Test => "tacitt",
        NetworkClass::Dev => "tacitl",
    }
}

/// Whether a text is meant as an address, right or mistyped, rather than as a name.
pub fn looks_like_address(text: &str) -> bool {
    ["tacit1", "tacitt1", "tacitl1"]
        .iter()
        .any(|start| text.to_ascii_lowercase().starts_with(start))
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut payload = [VERSION; 33];
        payload[1..].copy_from_slice(&self.account.0);
        let text = Hrp::parse(prefix(self.class))
            .ok()
            .and_then(|part| bech32::encode::<Bech32m>(part, &payload).ok())
            .ok_or(fmt::Error)?;
        out.write_str(&text)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Address {
            text: text.chars().take(MAX_TEXT).collect(),
            reason: reason.into(),
        };
        if text.len() > MAX_TEXT {
            return Err(refuse("it is too long"));
        }
        let parsed = CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| refuse("its checksum does not fit: a character is wrong, missing or too many"))?;
        let class = [NetworkClass::Production, NetworkClass::Test, NetworkClass::Dev]
            .into_iter()
            .find(|class| parsed.hrp().to_string().eq_ignore_ascii_case(prefix(*class)))
            .ok_or_else(|| refuse("it is for something else than Tacit"))?;
        let payload: Vec<u8> = parsed.byte_iter().collect();
        let (version, account) = payload.split_first().ok_or_else(|| refuse("it is empty"))?;
        if *version != VERSION {
            return Err(refuse("its version is newer than this wallet"));
        }
        let account: [u8; 32] = account.try_into().map_err(|_| refuse("its length is wrong"))?;
        let address = Self {
            class,
            account: AccountId(account),
        };
        // Bits of padding that carry something would give one account several spellings.
        if !address.to_string().eq_ignore_ascii_case(text) {
            return Err(refuse("its padding is not zero"));
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [NetworkClass; 3] = [NetworkClass::Production, NetworkClass::Test, NetworkClass::Dev];

    #[test]
    fn every_class_reads_what_it_writes() {
        for class in CLASSES {
            let address = Address::new(class, AccountId([0xab; 32]));
            let text = address.to_string();
            assert!(text.starts_with(&format!("{}1", prefix(class))) && looks_like_address(&text));
            assert_eq!(text.parse::<Address>().unwrap(), address);
            assert_eq!(text.to_ascii_uppercase().parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn every_single_typo_is_caught() {
        let text = Address::new(NetworkClass::Dev, AccountId([5; 32])).to_string();
        for place in 0..text.len() {
            for letter in "qpzry9x8gf2tvdw0s3jn54khce6mua7l1bio".chars() {
                let mut typo = text.clone();
                typo.replace_range(place..=place, &letter.to_string());
                if typo != text {
                    assert!(typo.parse::<Address>().is_err(), "{typo}");
                }
            }
            let mut shorter = text.clone();
            shorter.remove(place);
            assert!(shorter.parse::<Address>().is_err(), "{shorter}");
        }
        // Two neighbours swapped, the typo that people make most.
        for place in 0..text.len() - 1 {
            let mut letters: Vec<char> = text.chars().collect();
            letters.swap(place, place + 1);
            let swapped: String = letters.into_iter().collect();
            if swapped != text {
                assert!(swapped.parse::<Address>().is_err(), "{swapped}");
            }
        }
    }

    #[test]
    fn other_prefixes_versions_and_checksums_are_refused() {
        let encode = |part: &str, payload: &[u8]| {
            bech32::encode::<Bech32m>(Hrp::parse(part).unwrap(), payload).unwrap()
        };
        let mut payload = [1; 33];
        assert!(encode("tacit", &payload).parse::<Address>().is_ok());
        assert!(encode("bc", &payload).parse::<Address>().is_err());
        assert!(encode("tacit", &payload[..32]).parse::<Address>().is_err());
        assert!(encode("tacit", &[]).parse::<Address>().is_err());
        let old = bech32::encode::<bech32::Bech32>(Hrp::parse("tacit").unwrap(), &payload).unwrap();
        assert!(old.parse::<Address>().is_err());
        payload[0] = 2;
        assert!(encode("tacit", &payload).parse::<Address>().is_err());
        assert!("x".repeat(1000).parse::<Address>().is_err());
    }

    #[test]
    fn a_dev_address_is_not_paid_elsewhere() {
        let address = Address::new(NetworkClass::Dev, AccountId([1; 32]));
        assert!(address.on(NetworkClass::Dev).is_ok());
        assert_eq!(
            address.on(NetworkClass::Production).unwrap_err().code(),
            "wallet.address"
        );
    }
}
