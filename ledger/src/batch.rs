//! A batch: the envelopes that one validator took in, signed by its node key, gossiped apart from proposals.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Ed25519, Epoch, PublicKey, Scheme, Signature, Signer, hash};

use crate::{
    codec::{decode, encode},
    envelope::Envelope,
    error::{BatchError, CodecError},
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENVELOPES},
};

/// Envelopes of one epoch by one author, who answers for their opening.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Batch {
    /// The network.
    pub chain: Digest,
    /// The epoch in which the author is a validator and the envelopes can be executed.
    pub epoch: Epoch,
    /// The author's index in that epoch's set.
    pub author: u16,
    /// The author's own counter within the epoch.
    pub sequence: u64,
    /// At least one, at most [`MAX_BATCH_ENVELOPES`].
    pub envelopes: Vec<Envelope>,
    /// By the author's node key over [`Self::digest`].
    pub signature: Signature,
}

impl Batch {
    /// Makes and signs a batch. The caller keeps it within the limits; [`Self::verify`] refuses it otherwise.
    pub fn sign(
        chain: Digest,
        epoch: Epoch,
        author: u16,
        sequence: u64,
        envelopes: Vec<Envelope>,
        signer: &dyn Signer,
    ) -> Self {
        let mut batch = Self {
            chain,
            epoch,
            author,
            sequence,
            envelopes,
            signature: Signature([0; 64]),
        };
        batch.signature = signer.sign(&batch.digest().0);
        batch
    }

    /// Decodes one batch of at most [`MAX_BATCH_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_BATCH_BYTES)
    }

    /// What blocks name: a hash of all but the signature.
    pub fn digest(&self) -> Digest {
        hash(
            "batch",
            &[&encode(&(
                &self.chain,
                self.epoch,
                self.author,
                self.sequence,
                &self.envelopes,
            ))],
        )
    }

    /// Checks the bounds, that the envelopes belong to the batch's network and epoch, and the author's signature.
    /// Whose key stands at `author` is the caller's knowledge.
    pub fn verify(&self, node_key: &PublicKey) -> Result<(), BatchError> {
        self.verify_with(node_key, &Ed25519)
    }

    /// The same, with the signature put to `scheme`.
    pub fn verify_with(&self, node_key: &PublicKey, scheme: &dyn Scheme) -> Result<(), BatchError> {
        if self.envelopes.is_empty() {
            return Err(BatchError::Empty);
        }
        if self.envelopes.len() > MAX_BATCH_ENVELOPES {
            return Err(BatchError::TooMany {
                have: self.envelopes.len(),
                max: MAX_BATCH_ENVELOPES,
            });
        }
        let bytes = encode(self).len();
        if bytes > MAX_BATCH_BYTES {
            return Err(BatchError::TooLarge {
                have: bytes,
                max: MAX_BATCH_BYTES,
            });
        }
        let stranger = |envelope: &Envelope| envelope.chain != self.chain || envelope.epoch != self.epoch;
        if let Some(index) = self.envelopes.iter().position(stranger) {
            return Err(BatchError::Stranger { index });
        }
        if !scheme.verify(node_key, &self.digest().0, &self.signature) {
            return Err(BatchError::Signature { author: self.author });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::{EnvelopeKey, SUITE_XWING},
        limits::{ENCAPSULATION_BYTES, MAX_BUCKET, TAG_BYTES},
        testing::{CHAIN, signer},
    };

    fn envelope(body: usize) -> Envelope {
        let key = EnvelopeKey::Encapsulated(vec![1; ENCAPSULATION_BYTES]);
        let body = vec![0; body + TAG_BYTES];
        Envelope {
            chain: CHAIN,
            epoch: 3,
            expiry_height: 9,
            suite: SUITE_XWING,
            key,
            body,
        }
    }

    fn batch(envelopes: Vec<Envelope>) -> Batch {
        Batch::sign(CHAIN, 3, 1, 7, envelopes, &signer(1))
    }

    #[test]
    fn every_field_is_signed_and_the_author_alone_can_sign() {
        let good = batch(vec![envelope(512)]);
        let key = signer(1).public();
        assert_eq!(good.verify(&key), Ok(()));
        let refused = Err(BatchError::Signature { author: 1 });
        assert_eq!(good.verify(&signer(2).public()), refused);
        assert_eq!(
            Batch {
                sequence: 8,
                ..good.clone()
            }
            .verify(&key),
            refused
        );
        let author = Batch {
            author: 2,
            ..good.clone()
        };
        assert_eq!(author.verify(&key), Err(BatchError::Signature { author: 2 }));
        let mut swapped = good.clone();
        swapped.envelopes[0].body[5] ^= 1;
        assert_eq!(swapped.verify(&key), refused);
        let mut signature = good.clone();
        signature.signature.0[3] ^= 1;
        assert_eq!(signature.verify(&key), refused);
        assert_eq!(
            signature.digest(),
            good.digest(),
            "the signature is no part of the identity"
        );
    }

    #[test]
    fn bounds_and_strangers_are_refused_by_name() {
        let key = signer(1).public();
        assert_eq!(batch(vec![]).verify(&key), Err(BatchError::Empty));
        let many = batch(vec![envelope(0); MAX_BATCH_ENVELOPES + 1]);
        assert_eq!(
            many.verify(&key),
            Err(BatchError::TooMany { have: 257, max: 256 })
        );
        let large = batch(vec![envelope(MAX_BUCKET); 8]);
        assert!(matches!(large.verify(&key), Err(BatchError::TooLarge { .. })));
        assert!(matches!(
            Batch::decode(&encode(&large)),
            Err(CodecError::TooLong { .. })
        ));
        let chain = Envelope {
            chain: Digest([9; 32]),
            ..envelope(512)
        };
        assert_eq!(
            batch(vec![envelope(512), chain]).verify(&key),
            Err(BatchError::Stranger { index: 1 })
        );
        let epoch = Envelope {
            epoch: 4,
            ..envelope(512)
        };
        assert_eq!(
            batch(vec![epoch]).verify(&key),
            Err(BatchError::Stranger { index: 0 })
        );
    }
}
