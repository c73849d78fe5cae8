//! A replica from its store: the last checkpoint and the frames since for the private state, the public state
//! as it was written, and the core from its safety record.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use rand_core::Rng;
use tacit_consensus::{Anchor, Block, Digest, Executed, Height, Millis};
use tacit_ledger::{
    ChainLog, Column, Durability, EvidenceVerdicts, Frame, Genesis, PrivateState, PublicState, StateKeys,
    Store, WriteBatch, decrypt_checkpoint, decrypt_frame, meta,
};

use super::{
    Certified, Effect, Head, Replica, ReplicaConfig, SystemPool, accuse::Unopened, damaged, hello::Met,
    keys::LostSecret, standing::Stand, sync::Sync,
};
use crate::{NodeError, mempool::Mempool};

/// Blocks above the head that were voted for and not committed: a few views' worth.
const MAX_PENDING: usize = 256;
/// Frames read at once.
const FRAMES: usize = 256;

impl Replica {
    /// Opens a replica at what its store last made durable, and the effects of starting it.
    ///
    /// # Errors
    /// When the store belongs to another chain, fails, or holds what this node never wrote.
    pub fn open(config: ReplicaConfig, now: Millis) -> Result<(Self, Vec<Effect>), NodeError> {
        let ReplicaConfig {
            genesis,
            store,
            scheme,
            validator,
            history,
            seed,
            protocols,
            origin: lost,
            verdicts,
            tracer,
        } = config;
        let chain = genesis.chain_id();
        check_chain(&*store, chain)?;
        let head = head(&*store, &genesis, chain)?;
        let public = restore_public(&*store, &genesis, head.height, &verdicts)?;
        let record = Arc::new(public.current().clone());
        let certified = match (&head.header, ChainLog::new(&*store).block(head.height)?) {
            (Some(header), Some(committed)) => Certified {
                executed: header.executed.height,
                header: Some((header.clone(), committed.proof)),
            },
            _ => Certified::default(),
        };
        // That of the epoch in force takes its place when the core's start is looked at.
        let anchor = genesis.anchor(Digest::ZERO, Digest::ZERO);
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut replica = Self {
            chain,
            scheme,
            protocols,
            verdicts,
            incarnation: rng.next_u64(),
            stand: Stand::Unsettled(None),
            rolled_back: None,
            met: Met::default(),
            unopened: Unopened::default(),
            rng,
            committee: record.committee(),
            record: record.clone(),
            index_of: BTreeMap::new(),
            me: None,
            core: None,
            tracer,
            anchor,
            opener: None,
            state_keys: None,
            next_keys: None,
            lost: LostSecret::default(),
            public_changed: public.height(),
            public,
            private: None,
            // A final state that no header names yet is worth a block.
            last_full: if head.height > certified.executed {
                head.height
            } else {
                0
            },
            executed: BTreeMap::new(),
            certified,
            finals: VecDeque::new(),
            shares: BTreeMap::new(),
            mempool: Mempool::default(),
            system: SystemPool::default(),
            opened: BTreeMap::new(),
            flush_at: None,
            waiting: BTreeMap::new(),
            unstored: WriteBatch::default(),
            pending: BTreeSet::new(),
            work: false,
            wake: None,
            sync: Sync::default(),
            checkpoint: 0,
            fetching: None,
            jump: None,
            looked_ahead: false,
            history,
            first: ChainLog::new(&*store).first()?,
            deleted: ChainLog::new(&*store).deleted()?,
            prune_at: None,
            secret_until: None,
            unsynced: false,
            halted: false,
            out: Vec::new(),
            head,
            validator,
            store,
            genesis,
        };
        replica.sync.doubt(replica.head.height);
        // Numbers batches by the clock, so that a restarted author does not repeat one of its batches.
        replica.mempool.number_from(now);
        // A crash may have come between the block that began this epoch and the end of the old keys.
        replica.erase_old_keys(&record)?;
        replica.install(record);
        replica.report_protocol(None);
        if replica.halted {
            // It speaks no protocol of this epoch: it says so, and touches nothing.
            let effects = replica.take_out();
            return Ok((replica, effects));
        }
        replica.load_private(lost)?;
        replica.load_results()?;
        replica.step_aside()?;
        replica.resume_core(now)?;
        replica.settle_standing(now);
        replica.find_secret(now);
        replica.join(now);
        replica.plan_pruning(now);
        replica.update_work(now);
        let effects = replica.take_out();
        Ok((replica, effects))
    }

    /// The private state from the disk, where this validator can have it: one that has lost its seat let go of it, and one
    /// that has lost the epoch's secret cannot open it.
    fn load_private(&mut self, lost: Option<PrivateState>) -> Result<(), NodeError> {
        let keys = self.state_keys.as_ref();
        // One of an earlier epoch is sealed under keys that are gone.
        let start = self.record.start_height;
        let of_epoch = |checkpoint: Option<Height>| checkpoint.is_some_and(|height| height + 1 >= start);
        let held = match (self.me, self.record.sealing_key.is_some()) {
            (None, _) => false,
            (Some(_), false) => true,
            (Some(_), true) => keys.is_some() && of_epoch(self.log().checkpoint_height()?),
        };
        if held {
            let (private, checkpoint) =
                restore_private(&*self.store, &self.genesis, keys, self.head.height, lost)?;
            (self.private, self.checkpoint) = (Some(private), checkpoint);
            self.execute_followed()?;
        }
        Ok(())
    }

    /// The epoch's secret is here again: what is on the disk opens, and what was followed without it is executed.
    pub(super) fn restore_state(&mut self, now: Millis) -> Result<(), NodeError> {
        if self.private.is_some() {
            return Ok(());
        }
        if let Err(error) = self.load_private(None).and_then(|()| self.load_results()) {
            tracing::warn!(%error, "the private state on this disk does not reach the head");
            (self.private, self.checkpoint) = (None, 0);
        }
        match self.private.is_some() {
            true => self.resume_core(now),
            false => {
                self.join(now);
                Ok(())
            }
        }
    }

    fn load_results(&mut self) -> Result<(), NodeError> {
        let executed = match self.head.height {
            0 => self.genesis_executed(),
            height => {
                self.log()
                    .result(height)?
                    .ok_or_else(|| damaged("the head has no execution result"))?
                    .executed
            }
        };
        self.executed.insert(self.head.height, executed);
        if let Some(private) = &self.private
            && (private.root() != executed.private_root || private.supply() != executed.supply)
        {
            return Err(damaged(
                "the private state does not have the root that was recorded for it",
            ));
        }
        Ok(())
    }

    /// The state that genesis itself describes.
    pub(super) fn genesis_executed(&self) -> Executed {
        let public = PublicState::genesis_with(&self.genesis, self.verdicts.clone());
        Executed {
            height: 0,
            public_root: public.root(0).unwrap_or_default(),
            supply: self.genesis.supply(),
            ..Executed::default()
        }
    }

    pub(super) fn resume_core(&mut self, now: Millis) -> Result<(), NodeError> {
        let start = self.first_height();
        let anchor = match start.checked_sub(1) {
            None | Some(0) => self.genesis_anchor(),
            Some(height) => {
                let closing = self
                    .log()
                    .block(height)?
                    .ok_or_else(|| damaged("the block that closed the last epoch is missing"))?
                    .block;
                Anchor {
                    epoch: self.record.epoch,
                    block: closing.id(),
                    height,
                    time_ms: closing.header.time_ms,
                    executed: closing.header.executed,
                }
            }
        };
        let safety = self.log().safety()?.filter(|s| s.epoch() == self.record.epoch);
        let committed = match self.head.height >= start && self.head.height > 0 {
            true => self.log().block(self.head.height)?.map(|c| (c.block, c.proof)),
            false => None,
        };
        let stored = self.log().pending(MAX_PENDING)?;
        self.pending = stored
            .iter()
            .map(|block| (block.header.height, block.id()))
            .collect();
        let current =
            |block: &Block| block.header.epoch == self.record.epoch && block.header.height > self.head.height;
        let pending = stored.into_iter().filter(current).collect();
        self.start_core(now, anchor, safety, committed, pending);
        Ok(())
    }
}

/// Binds a new store to its chain; refuses one of another.
fn check_chain(store: &dyn Store, chain: Digest) -> Result<(), NodeError> {
    let format = meta::FORMAT_VERSION.to_le_bytes();
    if let Some(stored) = store
        .get(Column::Meta, meta::FORMAT)?
        .filter(|stored| *stored != format)
    {
        return Err(damaged(&format!(
            "its format is {stored:02x?}, this release reads {format:02x?}"
        )));
    }
    match store.get(Column::Meta, meta::CHAIN)? {
        Some(stored) if stored == chain.0 => Ok(()),
        Some(stored) => Err(NodeError::ChainMismatch {
            stored: stored.iter().map(|byte| format!("{byte:02x}")).collect(),
            genesis: chain.to_string(),
        }),
        None => {
            let mut writes = WriteBatch::new();
            writes.put(Column::Meta, meta::CHAIN, chain.0);
            writes.put(Column::Meta, meta::FORMAT, format);
            Ok(store.commit(writes, Durability::Synced)?)
        }
    }
}

fn head(store: &dyn Store, genesis: &Genesis, chain: Digest) -> Result<Head, NodeError> {
    let Some(committed) = ChainLog::new(store).head()? else {
        return Ok(Head {
            header: None,
            id: chain,
            height: 0,
            time_ms: genesis.time_ms,
            certificate: None,
        });
    };
    let header = committed.block.header.clone();
    Ok(Head {
        id: committed.block.id(),
        height: header.height,
        time_ms: header.time_ms,
        certificate: Some(committed.proof.certificate),
        header: Some(header),
    })
}

/// The public state at `head`: the stored one and the blocks since.
fn restore_public(
    store: &dyn Store,
    genesis: &Genesis,
    head: Height,
    verdicts: &EvidenceVerdicts,
) -> Result<PublicState, NodeError> {
    let log = ChainLog::new(store);
    let mut public = match log.public()? {
        Some(stored) => stored,
        None => PublicState::genesis_with(genesis, verdicts.clone()),
    };
    public.remember_with(verdicts.clone());
    while public.height() < head {
        let blocks = log.blocks_from(public.height() + 1, FRAMES)?;
        if blocks.is_empty() {
            return Err(damaged("a block below the head is missing"));
        }
        for committed in blocks.iter().take_while(|c| c.block.header.height <= head) {
            public
                .apply(&committed.block)
                .map_err(|e| damaged(&format!("public state: {e}")))?;
        }
    }
    Ok(public)
}

/// The private state at `head`, or as far as there are frames, and the height of the checkpoint that it came from.
fn restore_private(
    store: &dyn Store,
    genesis: &Genesis,
    keys: Option<&StateKeys>,
    head: Height,
    lost: Option<PrivateState>,
) -> Result<(PrivateState, Height), NodeError> {
    let log = ChainLog::new(store);
    let Some((checkpoint, sealed)) = log.checkpoint()? else {
        // The closing block of epoch 0 writes the first checkpoint: before it nothing is executed.
        let mut state = match (&genesis.origin, lost) {
            (None, _) => PrivateState::genesis(None, &genesis.allocations),
            (Some(_), Some(lost)) => lost.begin_anew(),
            (Some(origin), None) => {
                let chain = origin.chain.to_string();
                return Err(NodeError::NoLostState { chain });
            }
        };
        for height in 1..=head {
            let nothing = Frame {
                height,
                writes: Vec::new(),
            };
            state
                .apply_frame(&nothing)
                .map_err(|e| damaged(&format!("frame {height}: {e}")))?;
        }
        return Ok((state, 0));
    };
    let keys = keys.ok_or_else(|| damaged("there is a checkpoint, and no key for it"))?;
    let wrong = |what: &str, height: Height, error: &dyn std::fmt::Display| {
        damaged(&format!("{what} {height}: {error}"))
    };
    let bytes = decrypt_checkpoint(&keys.data, checkpoint, &sealed)
        .map_err(|e| wrong("checkpoint", checkpoint, &e))?;
    let mut state =
        PrivateState::from_checkpoint(&bytes, keys).map_err(|e| wrong("checkpoint", checkpoint, &e))?;
    while state.height() < head {
        let frames = log.frames_from(state.height() + 1, FRAMES)?;
        if frames.is_empty() {
            break;
        }
        for (height, sealed) in frames {
            let bytes = decrypt_frame(&keys.data, height, &sealed).map_err(|e| wrong("frame", height, &e))?;
            let frame = Frame::from_bytes(&bytes).map_err(|e| wrong("frame", height, &e))?;
            state
                .apply_frame(&frame)
                .map_err(|e| wrong("frame", height, &e))?;
        }
    }
    Ok((state, checkpoint))
}
