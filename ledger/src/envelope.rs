//! The envelope: what a user submits. A public header and a sealed body.
//!
//! ```text
//! chain 32 | epoch u64 | expiry u64 | suite u8 | key (tag u8, …)      = aad
//! body: u32 length, bucket + 16 bytes of ChaCha20-Poly1305 ciphertext
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Epoch, Height, hash};

use crate::{
    codec::{decode, encode},
    error::{CodecError, EnvelopeError},
    limits::{ENCAPSULATION_BYTES, MAX_BUCKET, MAX_ENVELOPE_BYTES, MAX_EXPIRY_WINDOW, MIN_BUCKET, TAG_BYTES},
    padding::is_bucket,
};

/// HPKE base mode with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305; the only suite so far.
pub const SUITE_XWING: u8 = 1;

/// How the body's key reaches the network.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum EnvelopeKey {
    /// An X-Wing encapsulation, exactly [`ENCAPSULATION_BYTES`] long.
    Encapsulated(Vec<u8>),
    /// A session's tag. Reserved: refused by name for now.
    Session([u8; 16]),
}

/// A sealed call as it travels and as it stays on the ledger.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Envelope {
    /// The network it is for.
    pub chain: Digest,
    /// The epoch whose key seals it; it can be executed in that epoch only.
    pub epoch: Epoch,
    /// The last height whose block may include it.
    pub expiry_height: Height,
    /// [`SUITE_XWING`].
    pub suite: u8,
    /// The key part.
    pub key: EnvelopeKey,
    /// The padded and sealed call.
    pub body: Vec<u8>,
}

impl Envelope {
    /// Decodes one envelope of at most [`MAX_ENVELOPE_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_ENVELOPE_BYTES)
    }

    /// The transaction's id: a hash of the whole.
    pub fn id(&self) -> Digest {
        hash("envelope", &[&encode(self)])
    }

    /// What the seal authenticates besides the body: the encoding of everything before it.
    pub fn aad(&self) -> Vec<u8> {
        encode(&(&self.chain, self.epoch, self.expiry_height, self.suite, &self.key))
    }

    /// The padded plaintext's size in bytes, by which fees go; 0 when the body has no bucket's length (then
    /// [`Self::check`] refuses it).
    pub fn size_class(&self) -> u32 {
        let bucket = self.body.len().saturating_sub(TAG_BYTES);
        if is_bucket(bucket, MIN_BUCKET, MAX_BUCKET) {
            bucket as u32
        } else {
            0
        }
    }

    /// Checks the public header for inclusion in a block of `epoch` at `height` (when admitting: the next one).
    pub fn check(&self, chain: &Digest, epoch: Epoch, height: Height) -> Result<(), EnvelopeError> {
        if self.chain != *chain {
            return Err(EnvelopeError::WrongChain { have: self.chain });
        }
        if self.epoch < epoch {
            return Err(EnvelopeError::EpochClosed {
                sealed: self.epoch,
                current: epoch,
            });
        }
        if self.epoch > epoch {
            return Err(EnvelopeError::EpochUnknown {
                sealed: self.epoch,
                current: epoch,
            });
        }
        if self.expiry_height < height {
            return Err(EnvelopeError::Expired {
                expiry: self.expiry_height,
                height,
            });
        }
        let max = height.saturating_add(MAX_EXPIRY_WINDOW);
        if self.expiry_height > max {
            return Err(EnvelopeError::ExpiryTooFar {
                expiry: self.expiry_height,
                max,
            });
        }
        self.check_shape().map(|_| ())
    }

    /// Checks suite, key and body length, and gives the encapsulation.
    pub(crate) fn check_shape(&self) -> Result<&[u8], EnvelopeError> {
        if self.suite != SUITE_XWING {
            return Err(EnvelopeError::Suite { have: self.suite });
        }
        let encapsulation = match &self.key {
            EnvelopeKey::Encapsulated(bytes) => bytes,
            EnvelopeKey::Session(_) => return Err(EnvelopeError::Session),
        };
        if encapsulation.len() != ENCAPSULATION_BYTES {
            return Err(EnvelopeError::Encapsulation {
                have: encapsulation.len(),
                need: ENCAPSULATION_BYTES,
            });
        }
        if self.size_class() == 0 {
            return Err(EnvelopeError::Bucket {
                have: self.body.len(),
            });
        }
        Ok(encapsulation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CHAIN;

    fn sample() -> Envelope {
        Envelope {
            chain: CHAIN,
            epoch: 3,
            expiry_height: 150,
            suite: SUITE_XWING,
            key: EnvelopeKey::Encapsulated(vec![1; ENCAPSULATION_BYTES]),
            body: vec![2; 512 + TAG_BYTES],
        }
    }

    #[test]
    fn every_refusal_has_its_name() {
        let check = |envelope: Envelope| envelope.check(&CHAIN, 3, 100);
        assert_eq!(check(sample()), Ok(()));
        assert_eq!(
            check(Envelope {
                expiry_height: 100,
                ..sample()
            }),
            Ok(())
        );
        let chain = Digest([9; 32]);
        assert_eq!(
            check(Envelope { chain, ..sample() }),
            Err(EnvelopeError::WrongChain { have: chain })
        );
        let closed = EnvelopeError::EpochClosed {
            sealed: 2,
            current: 3,
        };
        assert_eq!(check(Envelope { epoch: 2, ..sample() }), Err(closed));
        let unknown = EnvelopeError::EpochUnknown {
            sealed: 4,
            current: 3,
        };
        assert_eq!(check(Envelope { epoch: 4, ..sample() }), Err(unknown));
        let expired = EnvelopeError::Expired {
            expiry: 99,
            height: 100,
        };
        assert_eq!(
            check(Envelope {
                expiry_height: 99,
                ..sample()
            }),
            Err(expired)
        );
        let far = EnvelopeError::ExpiryTooFar {
            expiry: 20_101,
            max: 20_100,
        };
        assert_eq!(
            check(Envelope {
                expiry_height: 20_101,
                ..sample()
            }),
            Err(far)
        );
        assert_eq!(
            check(Envelope {
                expiry_height: 20_100,
                ..sample()
            }),
            Ok(())
        );
        assert_eq!(
            check(Envelope { suite: 2, ..sample() }),
            Err(EnvelopeError::Suite { have: 2 })
        );
        let session = EnvelopeKey::Session([0; 16]);
        assert_eq!(
            check(Envelope {
                key: session,
                ..sample()
            }),
            Err(EnvelopeError::Session)
        );
        let short = EnvelopeKey::Encapsulated(vec![0; 1119]);
        let encapsulation = EnvelopeError::Encapsulation {
            have: 1119,
            need: 1120,
        };
        assert_eq!(
            check(Envelope {
                key: short,
                ..sample()
            }),
            Err(encapsulation)
        );
        for body in [0, 16, 511 + 16, 256 + 16, 768 + 16, 131_072 + 16] {
            let refused = Err(EnvelopeError::Bucket { have: body });
            assert_eq!(
                check(Envelope {
                    body: vec![0; body],
                    ..sample()
                }),
                refused
            );
        }
    }

    #[test]
    fn aad_is_the_encoding_before_the_body() {
        let envelope = sample();
        let (whole, aad) = (encode(&envelope), envelope.aad());
        assert_eq!(&whole[..aad.len()], &aad[..]);
        assert_eq!(whole.len() - aad.len(), 4 + envelope.body.len());
        assert_eq!(aad.len(), crate::limits::ENVELOPE_HEADER_BYTES);
    }

    #[test]
    fn the_largest_envelope_is_as_large_as_the_limit_says() {
        let largest = Envelope {
            body: vec![0; MAX_BUCKET + TAG_BYTES],
            ..sample()
        };
        let bytes = encode(&largest);
        assert_eq!(bytes.len(), MAX_ENVELOPE_BYTES);
        assert_eq!(Envelope::decode(&bytes), Ok(largest));
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(
            Envelope::decode(&longer),
            Err(CodecError::TooLong { .. })
        ));
    }

    #[test]
    fn the_id_covers_everything() {
        let id = sample().id();
        assert_ne!(
            id,
            Envelope {
                expiry_height: 151,
                ..sample()
            }
            .id()
        );
        assert_ne!(
            id,
            Envelope {
                body: vec![3; 528],
                ..sample()
            }
            .id()
        );
    }
}
