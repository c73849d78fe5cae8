//! What a node keeps: `history`. Blocks of older epochs, with their batches, transactions, receipts and results, are
//! deleted some at a time; epochs stay for ever, so that the chain remains verifiable from genesis.
//!
//! First the lowest kept height is written, then what is below it is deleted: a node says that it has pruned a block before
//! the block is gone, never after.

use std::num::NonZeroU64;

use tacit_consensus::{Epoch, Height, Millis};
use tacit_ledger::{Column, CommittedBlock, Durability, StoreError, WriteBatch, digest_key, height_key};

use super::{Replica, system::ordinary};

/// Blocks deleted in one step.
const BLOCKS_PER_STEP: usize = 16;
/// After so many deletions a step ends, whatever is left of [`BLOCKS_PER_STEP`].
const DELETIONS_PER_STEP: usize = 8_192;
/// How long between two steps.
const STEP_EVERY_MS: Millis = 20;

/// How much of the chain a node keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// Every block.
    #[default]
    All,
    /// The blocks of the epoch in force, and of so many before it.
    Epochs(NonZeroU64),
}

impl History {
    /// How many closed epochs are kept; `None` for all.
    pub fn epochs(self) -> Option<Epoch> {
        match self {
            Self::All => None,
            Self::Epochs(epochs) => Some(epochs.get()),
        }
    }
}

impl Replica {
    pub(super) fn keeps_all(&self) -> bool {
        self.history == History::All
    }

    /// The lowest height whose block this node keeps.
    pub fn first_kept(&self) -> Height {
        self.first
    }

    /// After an epoch began, or at a start: what may go.
    pub(super) fn plan_pruning(&mut self, now: Millis) {
        if let Some(kept) = self.history.epochs() {
            let oldest = self.record.epoch.saturating_sub(kept);
            // The block that closed the epoch before is what the oldest one grows from.
            let start = self.public.record(oldest).map_or(0, |record| record.start_height);
            let first = start.saturating_sub(1).max(1);
            if first > self.first {
                let mut writes = WriteBatch::new();
                writes.put_first(first);
                self.write(writes, Durability::Lazy);
                self.first = first;
                tracing::info!(first, "blocks below this height are deleted");
            }
        }
        self.prune_at = (self.deleted < self.first).then_some(now);
    }

    /// Deletes some of what is below the lowest kept height.
    pub(super) fn prune_history(&mut self, now: Millis) {
        match self.deletions() {
            Ok((writes, next)) => {
                self.write(writes, Durability::Lazy);
                self.deleted = next;
                self.prune_at = (next < self.first).then_some(now + STEP_EVERY_MS);
            }
            Err(error) => self.halt(error),
        }
    }

    /// The next deletions, and the lowest height that is not deleted after them.
    fn deletions(&self) -> Result<(WriteBatch, Height), StoreError> {
        let mut writes = WriteBatch::new();
        let mut next = self.first;
        let blocks = self.log().blocks_from(self.deleted, BLOCKS_PER_STEP)?;
        let full = blocks.len() == BLOCKS_PER_STEP;
        for committed in blocks {
            let height = committed.block.header.height;
            if height >= self.first || writes.ops.len() >= DELETIONS_PER_STEP {
                next = height.min(self.first);
                break;
            }
            self.delete_block(&mut writes, &committed)?;
            if full {
                next = height + 1;
            }
        }
        writes.put_deleted(next);
        Ok((writes, next))
    }

    /// A block and everything that came with it. What another block has too is not this one's to delete.
    fn delete_block(&self, writes: &mut WriteBatch, committed: &CommittedBlock) -> Result<(), StoreError> {
        let log = self.log();
        let (id, height) = (committed.block.id(), committed.block.header.height);
        if let Some(result) = log.result(height)? {
            for id in &result.envelopes {
                writes.delete(Column::Txs, digest_key(id));
                writes.delete(Column::Receipts, digest_key(id));
            }
        }
        for digest in &committed.block.payload.batches {
            writes.delete_batch(digest);
        }
        for (id, _) in ordinary(&committed.block) {
            let stands = log.system(&id)?.is_some_and(|record| record.height == height);
            if stands {
                writes.delete(Column::System, digest_key(&id));
            }
        }
        writes.delete(Column::Results, height_key(height));
        writes.delete(Column::BlockIds, digest_key(&id));
        writes.delete(Column::Blocks, height_key(height));
        Ok(())
    }
}
