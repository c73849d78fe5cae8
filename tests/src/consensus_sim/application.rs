//! A trivial application: its state is a hash of the blocks so far.

use std::collections::BTreeMap;
use tacit_consensus::{Block, CommitProof, Content, Core, Digest, Executed, Payload, hash};

/// Committed blocks, what executing them gave, and proposals that wait for more of them.
#[derive(Default)]
pub(super) struct Application {
    pub(super) chain: Vec<(Block, CommitProof)>,
    executed: Vec<Executed>,
    pub(super) waiting: BTreeMap<Digest, Block>,
}

impl Application {
    pub(super) fn height(&self) -> u64 {
        self.chain.len() as u64
    }

    /// Executes the next block.
    pub(super) fn commit(&mut self, block: Block, proof: CommitProof) {
        let before = self.executed.last().copied().unwrap_or_default();
        self.executed.push(Executed {
            height: block.header.height,
            public_root: hash("toy state", &[&before.public_root.0, &block.id().0]),
            ..before
        });
        self.chain.push((block, proof));
    }

    /// Loses the newest blocks.
    pub(super) fn truncate(&mut self, height: usize) {
        self.chain.truncate(height);
        self.executed.truncate(height);
    }

    /// Whether to vote for a block; none while what it says about the state cannot be judged yet.
    pub(super) fn judge(&self, block: &Block) -> Option<bool> {
        let claimed = block.header.executed;
        match claimed.height {
            0 => Some(claimed == Executed::default()),
            height => self.executed.get(height as usize - 1).map(|own| *own == claimed),
        }
    }

    /// Content upon `parent`. `tag` makes the batches of different leaders differ.
    pub(super) fn build(
        &self,
        core: &Core,
        parent: &Digest,
        now: u64,
        tag: u64,
        close_at: Option<u64>,
    ) -> Content {
        let parent = core.block(parent).map(|block| &block.header);
        let height = parent.map_or(0, |header| header.height) + 1;
        let certified = parent.map_or(Executed::default(), |header| header.executed);
        // Not ahead of the parent: what is committed here may be a sibling's future.
        let newest = self
            .executed
            .last()
            .filter(|own| own.height > certified.height && own.height < height);
        let commit = newest
            .and(self.chain.last())
            .map(|(_, proof)| proof.certificate.clone());
        Content {
            time_ms: parent.map_or(0, |header| header.time_ms + 1).max(now),
            payload: Payload {
                batches: vec![hash("toy batch", &[&tag.to_le_bytes(), &height.to_le_bytes()])],
                system: Vec::new(),
            },
            executed: newest.copied().unwrap_or(certified),
            next_epoch: (close_at == Some(height)).then_some(Digest([0xee; 32])),
            commit: commit.filter(|commit| commit.height < height),
        }
    }
}
