//! Batches on their way into blocks: envelopes taken in here, and batches that others made.
//!
//! Bounded in bytes in all and for each author, so that no validator can fill another's memory. Selection is
//! in order of arrival, which only affects what this node proposes, never what it accepts.

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{Digest, Epoch, limits::MAX_BATCHES_PER_BLOCK};
use tacit_ledger::{
    Batch, Envelope,
    limits::{MAX_BATCH_BYTES, MAX_BATCH_ENVELOPES},
};
use thiserror::Error;

/// Envelopes of one batch together stay under this, which leaves room for the batch's own fields.
const BATCH_TARGET_BYTES: usize = 384 << 10;
/// Bytes of batches held for one author. Four full blocks' worth.
const MAX_BYTES_PER_AUTHOR: usize = 16 << 20;
/// Bytes of envelopes held that are not in a batch yet.
const MAX_OPEN_BYTES: usize = 16 << 20;
/// Batches' bytes in one block: a block's payload is fetched by laggards in one answer.
pub const MAX_BLOCK_BATCH_BYTES: usize = 3 << 20;

/// Why something was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MempoolError {
    /// This node holds as much as it may.
    #[error("this node holds {held} bytes of {limit} it may hold")]
    Full {
        /// Bytes held.
        held: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

struct Held {
    batch: Batch,
    bytes: usize,
    order: u64,
}

/// See the module.
#[derive(Default)]
pub struct Mempool {
    open: Vec<Envelope>,
    open_bytes: usize,
    batches: BTreeMap<Digest, Held>,
    by_order: BTreeMap<u64, Digest>,
    by_author: BTreeMap<u16, usize>,
    next_order: u64,
    next_sequence: u64,
}

impl Mempool {
    /// Takes in an envelope of this node's own clients.
    ///
    /// # Errors
    /// [`MempoolError::Full`]: the client may try again, or another node.
    pub fn take_in(&mut self, envelope: Envelope, bytes: usize) -> Result<(), MempoolError> {
        if self.open_bytes + bytes > MAX_OPEN_BYTES {
            return Err(MempoolError::Full {
                held: self.open_bytes,
                limit: MAX_OPEN_BYTES,
            });
        }
        self.open_bytes += bytes;
        self.open.push(envelope);
        Ok(())
    }

    /// Whether envelopes wait for a batch, and whether there are enough to make one at once.
    pub fn open(&self) -> (bool, bool) {
        let full = self.open.len() >= MAX_BATCH_ENVELOPES || self.open_bytes >= BATCH_TARGET_BYTES;
        (!self.open.is_empty(), full)
    }

    /// Whether another batch of this author has room here, whatever its size.
    pub fn has_room(&self, author: u16) -> bool {
        let held = self.by_author.get(&author).copied().unwrap_or(0);
        held + MAX_BATCH_BYTES <= MAX_BYTES_PER_AUTHOR
    }

    /// The next batch's number and envelopes; `None` when nothing waits.
    pub fn next_batch(&mut self, size_of: impl Fn(&Envelope) -> usize) -> Option<(u64, Vec<Envelope>)> {
        let mut taken = 0;
        let mut bytes = 0;
        for envelope in &self.open {
            let size = size_of(envelope);
            if taken == MAX_BATCH_ENVELOPES || (taken > 0 && bytes + size > BATCH_TARGET_BYTES) {
                break;
            }
            taken += 1;
            bytes += size;
        }
        if taken == 0 {
            return None;
        }
        self.open_bytes = self.open_bytes.saturating_sub(bytes);
        let envelopes = self.open.drain(..taken).collect();
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Some((sequence, envelopes))
    }

    /// Starts numbering batches at `sequence`, so that a restarted author does not reuse a number.
    pub fn number_from(&mut self, sequence: u64) {
        self.next_sequence = sequence;
    }

    /// Holds a verified batch; holding it already is not an error. A batch that a block waits for is held whatever
    /// its author has here already: a block names few.
    ///
    /// # Errors
    /// [`MempoolError::Full`] when its author has too many bytes here.
    pub fn insert(
        &mut self,
        digest: Digest,
        batch: Batch,
        bytes: usize,
        wanted: bool,
    ) -> Result<(), MempoolError> {
        if self.batches.contains_key(&digest) {
            return Ok(());
        }
        let held = self.by_author.entry(batch.author).or_default();
        if !wanted && *held + bytes > MAX_BYTES_PER_AUTHOR {
            return Err(MempoolError::Full {
                held: *held,
                limit: MAX_BYTES_PER_AUTHOR,
            });
        }
        *held += bytes;
        let order = self.next_order;
        self.next_order += 1;
        self.by_order.insert(order, digest);
        self.batches.insert(digest, Held { batch, bytes, order });
        Ok(())
    }

    /// A held batch.
    pub fn get(&self, digest: &Digest) -> Option<&Batch> {
        self.batches.get(digest).map(|held| &held.batch)
    }

    /// Whether any batch waits for a block.
    pub fn has_batches(&self) -> bool {
        !self.batches.is_empty()
    }

    /// Batches for a block, oldest first, without those in `taken`.
    pub fn select(&self, epoch: Epoch, taken: &BTreeSet<Digest>) -> Vec<Digest> {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        for digest in self.by_order.values() {
            let Some(held) = self.batches.get(digest) else {
                continue;
            };
            if taken.contains(digest) || held.batch.epoch != epoch {
                continue;
            }
            if chosen.len() == MAX_BATCHES_PER_BLOCK || bytes + held.bytes > MAX_BLOCK_BATCH_BYTES {
                break;
            }
            bytes += held.bytes;
            chosen.push(*digest);
        }
        chosen
    }

    /// Lets go of a batch that is in a committed block.
    pub fn remove(&mut self, digest: &Digest) {
        if let Some(held) = self.batches.remove(digest) {
            self.by_order.remove(&held.order);
            if let Some(bytes) = self.by_author.get_mut(&held.batch.author) {
                *bytes = bytes.saturating_sub(held.bytes);
            }
        }
    }

    /// Ends an epoch: everything sealed to it can no longer be ordered. Returns the ids that are let go.
    pub fn clear(&mut self) -> Vec<Digest> {
        let mut ids: Vec<Digest> = self.open.drain(..).map(|e| e.id()).collect();
        for held in std::mem::take(&mut self.batches).into_values() {
            ids.extend(held.batch.envelopes.iter().map(Envelope::id));
        }
        self.open_bytes = 0;
        self.by_order.clear();
        self.by_author.clear();
        ids
    }

    /// Envelopes and bytes held, in and out of batches.
    pub fn size(&self) -> (u64, u64) {
        let envelopes: usize = self.batches.values().map(|h| h.batch.envelopes.len()).sum();
        let bytes: usize = self.batches.values().map(|h| h.bytes).sum();
        (
            (envelopes + self.open.len()) as u64,
            (bytes + self.open_bytes) as u64,
        )
    }
}
