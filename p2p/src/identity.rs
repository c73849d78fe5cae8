//! A node's libp2p identity: the Ed25519 node key that the registry binds to a validator.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multihash::Multihash;
use zeroize::Zeroize;

/// An Ed25519 key pair. It has no `Debug` that shows the secret, which is zeroized on drop.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    public: [u8; 32],
}

impl Identity {
    /// The identity of a 32-byte Ed25519 seed. The seed's copy here is zeroized.
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let secret = ed25519::SecretKey::try_from_bytes(&mut seed).expect("32 bytes are an Ed25519 seed");
        seed.zeroize();
        let pair = ed25519::Keypair::from(secret);
        Self {
            public: pair.public().to_bytes(),
            keypair: pair.into(),
        }
    }

    /// The public key: what the registry calls the node key.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The libp2p peer id of that key.
    pub fn peer_id(&self) -> PeerId {
        self.keypair.public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.peer_id())
    }
}

/// The libp2p identity of a registry's node key; `None` if the bytes are no Ed25519 public key.
pub fn peer_id_of(key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key).ok()?;
    Some(PeerId::from_public_key(&PublicKey::from(key)))
}

/// The Ed25519 node key of a peer; the inverse of [`peer_id_of`]. `None` for a peer with a key of another kind.
pub fn node_key_of(peer: &PeerId) -> Option<[u8; 32]> {
    /// The multihash code of ids that hold the whole key.
    const IDENTITY: u64 = 0;
    let id: &Multihash<64> = peer.as_ref();
    let key = (id.code() == IDENTITY)
        .then(|| PublicKey::try_decode_protobuf(id.digest()))?
        .ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_key_and_identity_name_the_same_peer() {
        let identity = Identity::from_seed([7; 32]);
        assert_eq!(peer_id_of(&identity.public()), Some(identity.peer_id()));
        assert_eq!(node_key_of(&identity.peer_id()), Some(identity.public()));
        let hashed =
            PeerId::from_multihash(Multihash::wrap(0x12, &[1; 32]).expect("short")).expect("SHA-256");
        assert_eq!(node_key_of(&hashed), None, "a hash tells no key");
        assert_ne!(Identity::from_seed([8; 32]).peer_id(), identity.peer_id());
    }

    #[test]
    fn debug_shows_the_peer_id_only() {
        let identity = Identity::from_seed([7; 32]);
        assert_eq!(
            format!("{identity:?}"),
            format!("Identity({})", identity.peer_id())
        );
    }

    #[test]
    fn bytes_that_are_no_curve_point_are_no_peer() {
        let bad = (0..=255u8).map(|b| [b; 32]).find(|key| peer_id_of(key).is_none());
        assert!(bad.is_some(), "half of all strings are no point");
    }
}
