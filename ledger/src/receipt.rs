//! Receipts: the sealed outcome of one transaction, and the proof that a quorum agreed on it.
//!
//! ```text
//! plaintext  u16 length ‖ receipt ‖ zeros       128 bytes, whatever happened
//! sealed     ChaCha20-Poly1305, key from the envelope's HPKE context, zero nonce: 144 bytes
//! M_h        Merkle root over H("receipt leaf", id ‖ sealed) of block h; zero when it has none
//! R_h        H("receipts root", R_(h-1) ‖ M_h)  for every block: `executed.receipts_root`
//! ```
//! The zero nonce is safe because a key belongs to one envelope, which is executed once, with one outcome.

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use tacit_consensus::{CommitProof, Committee, Digest, Executed, Header, Height, Scheme, hash};
use zeroize::Zeroizing;

pub use crate::failure::FailureCode;
use crate::{
    codec::{decode, encode},
    error::{CodecError, OpenError, ProofError},
    limits::{
        MAX_RECEIPT_DETAIL, MAX_RECEIPT_LATER, MAX_RECEIPT_PROOF_BYTES, RECEIPT_PLAIN_BYTES,
        SEALED_RECEIPT_BYTES,
    },
    merkle::{MerklePath, merkle_root},
    sealing::ReceiptKey,
};

const RECEIPT_AAD: &[u8] = b"tacit 2026 receipt";

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// Done; the state changed.
    Applied,
    /// Not done; see [`FailureCode`] for what was still charged.
    Failed(FailureCode),
}

/// The outcome as its sender reads it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// The envelope's id.
    pub envelope: Digest,
    /// The block that included it.
    pub height: Height,
    /// Its position among the block's envelopes.
    pub index: u32,
    /// What was charged, in smallest units.
    pub fee: u64,
    /// Done or not.
    pub outcome: Outcome,
    /// What the module adds; at most [`MAX_RECEIPT_DETAIL`] bytes.
    pub detail: Vec<u8>,
}

/// A receipt as everybody sees it: always [`SEALED_RECEIPT_BYTES`] long.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SealedReceipt(pub Vec<u8>);

impl SealedReceipt {
    /// Seals a receipt. Deterministic: all TEEs make the same bytes. A detail beyond its bound is cut.
    pub fn seal(key: &ReceiptKey, receipt: &Receipt) -> Self {
        let mut receipt = receipt.clone();
        receipt.detail.truncate(MAX_RECEIPT_DETAIL);
        let encoded = Zeroizing::new(encode(&receipt));
        let mut plain = Zeroizing::new(Vec::with_capacity(RECEIPT_PLAIN_BYTES));
        let length = u16::try_from(encoded.len()).expect("a receipt is shorter than its padding");
        plain.extend_from_slice(&length.to_le_bytes());
        plain.extend_from_slice(&encoded);
        plain.resize(RECEIPT_PLAIN_BYTES, 0);
        let payload = Payload {
            msg: &plain,
            aad: RECEIPT_AAD,
        };
        Self(
            cipher(key)
                .encrypt(&Nonce::default(), payload)
                .expect("128 bytes can be encrypted"),
        )
    }

    /// Opens a receipt with the key that the sender kept.
    pub fn open(&self, key: &ReceiptKey) -> Result<Receipt, OpenError> {
        let payload = Payload {
            msg: &self.0,
            aad: RECEIPT_AAD,
        };
        let plain = cipher(key)
            .decrypt(&Nonce::default(), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Seal)?;
        let (length, rest) = plain.split_first_chunk::<2>().ok_or(OpenError::Padding)?;
        let (encoded, zeros) = rest
            .split_at_checked(usize::from(u16::from_le_bytes(*length)))
            .ok_or(OpenError::Padding)?;
        if zeros.iter().any(|byte| *byte != 0) {
            return Err(OpenError::Padding);
        }
        Ok(decode(encoded, RECEIPT_PLAIN_BYTES)?)
    }

    /// What stands in the place of a receipt for an envelope that did not open: public bytes of the same size
    /// that anybody can compute, so nobody is accused in secret.
    pub fn unopened(id: &Digest) -> Self {
        let mut bytes = vec![0; SEALED_RECEIPT_BYTES];
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 unopened receipt");
        hasher.update(&id.0);
        hasher.finalize_xof().fill(&mut bytes);
        Self(bytes)
    }

    /// Whether these are the bytes for an envelope that did not open.
    pub fn is_unopened(&self, id: &Digest) -> bool {
        *self == Self::unopened(id)
    }

    /// The leaf under the block's receipts root.
    pub fn leaf(&self, id: &Digest) -> Digest {
        hash("receipt leaf", &[&id.0, &self.0])
    }
}

fn cipher(key: &ReceiptKey) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.bytes().into())
}

/// `M_h` over a block's receipts leaves, in execution order; [`Digest::ZERO`] for none.
pub fn block_receipts_root(leaves: &[Digest]) -> Digest {
    merkle_root(leaves)
}

/// `R_h` from `R_(h-1)` and `M_h`.
pub fn chain_receipts(prev: &Digest, block_root: &Digest) -> Digest {
    hash("receipts root", &[&prev.0, &block_root.0])
}

/// Proof that a quorum agreed on one sealed receipt.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ReceiptProof {
    /// The envelope's id.
    pub envelope: Digest,
    /// Its sealed receipt.
    pub sealed: SealedReceipt,
    /// The block that included it.
    pub height: Height,
    /// Its position in the block.
    pub index: u32,
    /// From the receipt's leaf to `M_h`.
    pub path: MerklePath,
    /// `R_(h-1)`.
    pub previous: Digest,
    /// `M_(h+1)` to `M_k`; at most [`MAX_RECEIPT_LATER`].
    pub later: Vec<Digest>,
    /// A committed header whose `executed.height` is k.
    pub header: Header,
    /// That the header is committed.
    pub proof: CommitProof,
}

impl ReceiptProof {
    /// Decodes one proof of at most [`MAX_RECEIPT_PROOF_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_RECEIPT_PROOF_BYTES)
    }

    /// Checks the proof with the committee of the header's epoch, and gives what that header certifies. The
    /// caller compares `envelope` with the id it submitted.
    pub fn verify(
        &self,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<Executed, ProofError> {
        if self.sealed.0.len() != SEALED_RECEIPT_BYTES {
            return Err(ProofError::ReceiptSize {
                have: self.sealed.0.len(),
                need: SEALED_RECEIPT_BYTES,
            });
        }
        if self.later.len() > MAX_RECEIPT_LATER {
            return Err(ProofError::TooLong {
                have: self.later.len(),
                max: MAX_RECEIPT_LATER,
            });
        }
        if self.path.index != self.index {
            return Err(ProofError::Index {
                have: self.path.index,
                need: self.index,
            });
        }
        let need = self.height.checked_add(self.later.len() as u64);
        if need != Some(self.header.executed.height) {
            return Err(ProofError::ExecutedHeight {
                have: self.header.executed.height,
            });
        }
        let block = self
            .path
            .root(&self.sealed.leaf(&self.envelope))
            .ok_or(ProofError::Path)?;
        let first = chain_receipts(&self.previous, &block);
        let root = self
            .later
            .iter()
            .fold(first, |root, later| chain_receipts(&root, later));
        if root != self.header.executed.receipts_root {
            return Err(ProofError::ReceiptsRoot);
        }
        check_header(&self.header, &self.proof, chain, committee, scheme)?;
        Ok(self.header.executed)
    }
}

/// Checks that `header` belongs to the network and the committee's epoch and is committed.
pub(crate) fn check_header(
    header: &Header,
    proof: &CommitProof,
    chain: &Digest,
    committee: &Committee,
    scheme: &dyn Scheme,
) -> Result<(), ProofError> {
    if header.chain != *chain {
        return Err(ProofError::Chain { have: header.chain });
    }
    if header.epoch != committee.epoch {
        return Err(ProofError::Epoch {
            have: header.epoch,
            need: committee.epoch,
        });
    }
    proof
        .verify(header.id(), chain, committee, scheme)
        .map_err(ProofError::Commit)
}
