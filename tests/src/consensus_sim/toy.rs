//! Signatures that cost nothing. Twins aside nobody lies here, so that they can be forged does not matter.

use std::sync::Arc;
use tacit_consensus::{Ed25519, Ed25519Signer, PublicKey, Scheme, Signature, Signer};

/// The public key with some of the message, mixed: as deterministic as Ed25519.
fn toy_sign(key: &PublicKey, message: &[u8]) -> Signature {
    let mut signature = [0; 64];
    for (at, byte) in signature.iter_mut().enumerate() {
        let from_key = key.0.get(at % 32).copied().unwrap_or(0);
        *byte = from_key ^ message.get(at).copied().unwrap_or(at as u8);
    }
    Signature(signature)
}

struct Toy;

impl Scheme for Toy {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        toy_sign(key, message) == *signature
    }
}

struct ToySigner(PublicKey);

impl Signer for ToySigner {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        toy_sign(&self.0, message)
    }
}

pub(crate) fn scheme(real: bool) -> Arc<dyn Scheme> {
    if real { Arc::new(Ed25519) } else { Arc::new(Toy) }
}

pub(crate) fn signer(real: bool, index: u16) -> Arc<dyn Signer> {
    let seed = [index as u8 + 1; 32];
    if real {
        Arc::new(Ed25519Signer::from_seed(seed))
    } else {
        Arc::new(ToySigner(PublicKey(seed)))
    }
}
