//! One process with its disk.

use super::application::Application;
use super::rng::Rng;
use std::collections::BTreeMap;
use tacit_consensus::{Block, CommitProof, Core, Digest, SafetyRecord};

/// More committed blocks than decide who is passed over, at the sizes of committees that are simulated.
const MEMORY: usize = 512;

/// A write that is not synced yet.
enum Write {
    Block(Box<Block>),
    Commit,
}

pub(super) struct Node {
    /// Index of the validator that it is; twins share one.
    pub(super) index: u16,
    pub(super) core: Option<Core>,
    /// Counts starts, so that events for an earlier life are recognised.
    pub(super) life: u32,
    pub(super) work: bool,
    /// Memory and disk alike, cut back in a crash.
    pub(super) application: Application,
    record: Option<Vec<u8>>,
    blocks: BTreeMap<Digest, Block>,
    unsynced: Vec<Write>,
}

impl Node {
    pub(super) fn new(index: u16) -> Self {
        Self {
            index,
            core: None,
            life: 0,
            work: false,
            application: Application::default(),
            record: None,
            blocks: BTreeMap::new(),
            unsynced: Vec::new(),
        }
    }

    pub(super) fn store(&mut self, block: Block) {
        self.unsynced.push(Write::Block(Box::new(block)));
    }

    pub(super) fn commit(&mut self, block: Block, proof: CommitProof) {
        self.application.commit(block, proof);
        self.unsynced.push(Write::Commit);
    }

    /// Syncs everything written so far, and the record with it.
    pub(super) fn persist(&mut self, record: &SafetyRecord) {
        self.record = Some(record.encode());
        let writes = std::mem::take(&mut self.unsynced);
        self.keep(writes);
        let height = self.application.height();
        self.blocks.retain(|_, block| block.header.height > height);
    }

    /// Loses memory and all but a prefix of what was not synced.
    pub(super) fn crash(&mut self, rng: &mut Rng) {
        self.core = None;
        self.life += 1;
        self.work = false;
        self.application.waiting.clear();
        let mut writes = std::mem::take(&mut self.unsynced);
        let kept = rng.between(0, writes.len() as u64) as usize;
        let lost = writes
            .split_off(kept)
            .iter()
            .filter(|write| matches!(write, Write::Commit))
            .count();
        let height = self.application.chain.len() - lost;
        self.application.truncate(height);
        self.keep(writes);
    }

    fn keep(&mut self, writes: Vec<Write>) {
        for write in writes {
            if let Write::Block(block) = write {
                self.blocks.insert(block.id(), *block);
            }
        }
    }

    /// Views of the newest committed blocks, as many as can matter.
    pub(super) fn history(&self) -> Vec<u64> {
        let chain = &self.application.chain;
        let from = chain.len().saturating_sub(MEMORY);
        chain
            .iter()
            .skip(from)
            .map(|(block, _)| block.header.view)
            .collect()
    }

    /// What a restart finds: the record, the newest committed block, and the blocks above it.
    pub(super) fn disk(&self) -> (Option<SafetyRecord>, Option<(Block, CommitProof)>, Vec<Block>) {
        let record = self
            .record
            .as_deref()
            .map(|bytes| SafetyRecord::decode(bytes).expect("own record reads"));
        let height = self.application.height();
        let above = self
            .blocks
            .values()
            .filter(|block| block.header.height > height)
            .cloned()
            .collect();
        (record, self.application.chain.last().cloned(), above)
    }
}
