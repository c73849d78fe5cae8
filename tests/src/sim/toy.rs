//! Consensus signatures that cost a hash, behind the core's own seam, so that most runs spend their time on the protocol.
//! Public keys are those of the real keys, so genesis and evidence are the same in both kinds of world. Whoever has a public
//! key can forge: adversaries here sign with their own key only.

use std::sync::Arc;

use tacit_consensus::{Ed25519, Ed25519Signer, PublicKey, Scheme, Signature, Signer};

/// The toy scheme: BLAKE3 of key and message.
#[derive(Debug, Clone, Copy)]
pub struct Toy;

fn toy_sign(key: &PublicKey, message: &[u8]) -> Signature {
    let mut signature = [0; 64];
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(message);
    hasher.finalize_xof().fill(&mut signature);
    Signature(signature)
}

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

/// What checks consensus signatures in a world of either kind.
pub fn scheme(real: bool) -> Arc<dyn Scheme> {
    match real {
        true => Arc::new(Ed25519),
        false => Arc::new(Toy),
    }
}

/// What signs for consensus with this key in a world of either kind.
pub fn signer(real: bool, key: Ed25519Signer) -> Arc<dyn Signer> {
    match real {
        true => Arc::new(key),
        false => Arc::new(ToySigner(key.public())),
    }
}
