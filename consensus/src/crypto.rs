//! Signatures behind two small traits: the real scheme here, a toy one in the simulator.
//!
//! Neither may block. A `false` from [`Scheme::verify`] is the sender's fault. Both are stateless, so a restart
//! changes nothing; a [`Signer`] is only ever called by the safety rules.

use crate::limits::MAX_REMEMBERED_SIGNATURES;
use crate::types::{Digest, PublicKey, Signature, hash};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Verifies signatures.
pub trait Scheme: Send + Sync {
    /// True when `signature` is `key`'s on `message`. Never panics, whatever the bytes.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// Signs for one validator.
pub trait Signer: Send + Sync {
    /// The key that others verify with.
    fn public(&self) -> PublicKey;
    /// Signs; deterministic, as RFC 8032 is.
    fn sign(&self, message: &[u8]) -> Signature;
}

/// Ed25519 with strict verification: no small-order keys, no malleable signatures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ed25519;

impl Scheme for Ed25519 {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&key.0) else {
            return false;
        };
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .is_ok()
    }
}

/// An Ed25519 secret key. Erased when dropped, has no `Debug` and cannot be copied.
pub struct Ed25519Signer(SigningKey);

impl Ed25519Signer {
    /// The key of a 32-byte seed; the seed is erased here, the caller erases its own copy.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(SigningKey::from_bytes(&seed))
    }
}

impl Signer for Ed25519Signer {
    fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

/// Remembers which signatures were good, because each vote returns in several certificates.
#[derive(Clone)]
pub(crate) struct Remembered {
    inner: Arc<dyn Scheme>,
    // A lock only because `Scheme` is `Sync`; the core is single-threaded, so it is never contended.
    // A fork shares it: what was good once is good for both.
    good: Arc<Mutex<Good>>,
}

#[derive(Default)]
struct Good {
    set: BTreeSet<Digest>,
    order: VecDeque<Digest>,
}

impl Remembered {
    pub(crate) fn new(inner: Arc<dyn Scheme>) -> Self {
        Self {
            inner,
            good: Arc::default(),
        }
    }
}

impl Scheme for Remembered {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let name = hash("verified", &[&key.0, message, &signature.0]);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.set.contains(&name) {
            return true;
        }
        if !self.inner.verify(key, message, signature) {
            return false;
        }
        if good.order.len() >= MAX_REMEMBERED_SIGNATURES
            && let Some(oldest) = good.order.pop_front()
        {
            good.set.remove(&oldest);
        }
        good.set.insert(name);
        good.order.push_back(name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ed25519_accepts_its_own_and_nothing_else() {
        let signer = Ed25519Signer::from_seed([7; 32]);
        let good = signer.sign(b"message");
        let scheme = Remembered::new(Arc::new(Ed25519));
        for _ in 0..2 {
            assert!(scheme.verify(&signer.public(), b"message", &good));
            assert!(!scheme.verify(&signer.public(), b"massage", &good));
        }
        assert!(!scheme.verify(&PublicKey([255; 32]), b"message", &good));
        assert!(!scheme.verify(&signer.public(), b"message", &Signature([255; 64])));
    }
}
