//! Headers, payloads, blocks, and the anchor that an epoch grows from.

use crate::certificate::{Certificate, TimeoutCertificate};
use crate::limits::{MAX_BATCHES_PER_BLOCK, MAX_SYSTEM_BYTES, MAX_SYSTEM_ITEMS};
use crate::types::{Digest, Epoch, Executed, Height, Millis, Signature, View, encode, hash};
use borsh::{BorshDeserialize, BorshSerialize};

/// What a quorum certifies. Its hash names the block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// The chain id: hash of the genesis file.
    pub chain: Digest,
    /// The epoch whose validators certify this block.
    pub epoch: Epoch,
    /// The parent's height plus one.
    pub height: Height,
    /// The view in which it was proposed.
    pub view: View,
    /// The parent's id.
    pub parent: Digest,
    /// The leader's clock, strictly later than the parent's.
    pub time_ms: Millis,
    /// [`Payload::root`].
    pub payload_root: Digest,
    /// The newest executed state that this block certifies.
    pub executed: Executed,
    /// Set in a closing block only: commitment to the next epoch.
    pub next_epoch: Option<Digest>,
}

impl Header {
    /// The block's id.
    pub fn id(&self) -> Digest {
        hash("block", &[&encode(self)])
    }
}

/// What a block orders: digests of batches that travel apart, and system transactions in full.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Payload {
    /// At most [`MAX_BATCHES_PER_BLOCK`] batch digests, in order of execution.
    pub batches: Vec<Digest>,
    /// Encoded system transactions, at most [`MAX_SYSTEM_BYTES`] together.
    pub system: Vec<Vec<u8>>,
}

impl Payload {
    /// Commitment to the whole payload.
    pub fn root(&self) -> Digest {
        hash("payload", &[&encode(self)])
    }

    /// True when nothing is ordered.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.system.is_empty()
    }

    /// True when within the limits that every validator enforces.
    pub fn is_bounded(&self) -> bool {
        self.batches.len() <= MAX_BATCHES_PER_BLOCK
            && self.system.len() <= MAX_SYSTEM_ITEMS
            && self.system.iter().map(Vec::len).sum::<usize>() <= MAX_SYSTEM_BYTES
    }
}

/// A proposal: the header and payload, why it may be proposed, and the leader's signature on all of it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// What is certified.
    pub header: Header,
    /// What is ordered.
    pub payload: Payload,
    /// The parent's certificate.
    pub justify: Certificate,
    /// Why the parent's view is not the one before, if it is not.
    pub timeout: Option<TimeoutCertificate>,
    /// A finalize certificate of an ancestor, so that voters can execute it and compare `executed`.
    pub commit: Option<Certificate>,
    /// By the leader of `header.view`.
    pub signature: Signature,
}

impl Block {
    /// The header's id.
    pub fn id(&self) -> Digest {
        self.header.id()
    }

    /// Hash of what the id does not cover but the leader signs.
    pub fn parts(&self) -> Digest {
        hash(
            "proposal parts",
            &[
                &encode(&self.justify),
                &encode(&self.timeout),
                &encode(&self.commit),
            ],
        )
    }

    /// The header with the leader's signature, small enough for evidence.
    pub fn signed_header(&self) -> SignedHeader {
        SignedHeader {
            header: self.header.clone(),
            parts: self.parts(),
            signature: self.signature,
        }
    }
}

/// A header as its leader signed it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// [`Block::parts`].
    pub parts: Digest,
    /// By the leader, on [`SignedHeader::message`].
    pub signature: Signature,
}

impl SignedHeader {
    /// The bytes that the leader signs.
    pub fn message(&self) -> Digest {
        proposal_message(&self.header.id(), &self.parts)
    }
}

/// The bytes that a leader signs for a proposal. The id covers chain, epoch and view.
pub(crate) fn proposal_message(id: &Digest, parts: &Digest) -> Digest {
    hash("proposal", &[&id.0, &parts.0])
}

/// What an epoch grows from: the closing block of the epoch before, or genesis (`block` is the chain id then,
/// and `height` is 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Anchor {
    /// The epoch that begins here.
    pub epoch: Epoch,
    /// Id of the anchoring block.
    pub block: Digest,
    /// Its height.
    pub height: Height,
    /// Its time; the epoch's first block is later.
    pub time_ms: Millis,
    /// The newest executed state that it certified.
    pub executed: Executed,
}

/// What the application contributes to a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The leader's clock; must be later than the parent's time.
    pub time_ms: Millis,
    /// What to order.
    pub payload: Payload,
    /// The newest executed state.
    pub executed: Executed,
    /// Set to close the epoch with this block.
    pub next_epoch: Option<Digest>,
    /// Certificate that committed the block of `executed`, for voters that have not seen it.
    pub commit: Option<Certificate>,
}
