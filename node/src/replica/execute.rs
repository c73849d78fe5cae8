//! Final blocks, executed in order. A block is reported only after it and its results are durable.

use std::{collections::BTreeSet, sync::Arc};

use tacit_consensus::{Block, CommitProof, Digest, Executed, Header, Height, Millis};
use tacit_ledger::{
    Batch, BlockContext, BlockResult, CommittedBlock, Durability, Envelope, EpochLink, Executable, Manifest,
    PublicSnapshot, SealedReceipt, SnapshotId, SnapshotKind, StoreError, StoredReceipt, SystemRecord,
    TxRecord, WriteBatch, block_receipts_root, chain_receipts, encode, encrypt_checkpoint, encrypt_frame,
    open_envelope,
};

use super::{Certified, Effect, Final, Head, Refused, Replica, system::ordinary};
use crate::wire::Announcement;

/// Execution results kept in memory; older ones are read from the store.
const KEPT_RESULTS: u64 = 256;
/// A checkpoint of the private state is written at least every so many blocks.
const CHECKPOINT_EVERY: u64 = 1_000;
/// The public state changes at epochs only; a restart repeats at most so many blocks on top of the stored one.
const PUBLIC_EVERY: u64 = 128;
/// Public snapshots of the newest epochs that are kept: who fetches one is not cut off by an epoch's end.
const PUBLIC_SNAPSHOTS_KEPT: u64 = 2;
/// Superfluous frames deleted at once.
pub(super) const PRUNE_LIMIT: usize = 4_096;

/// What executing one block gave.
pub(super) struct Results {
    pub(super) executed: Executed,
    block_root: Digest,
    receipts: Vec<(Digest, SealedReceipt)>,
    unopened: Vec<Digest>,
}

impl Results {
    /// Stores the result and the receipts of a block with these envelopes.
    pub(super) fn write(&self, writes: &mut WriteBatch, envelopes: &[(Digest, Envelope)]) {
        for (index, (id, sealed)) in (0u32..).zip(&self.receipts) {
            writes.put_receipt(
                id,
                &StoredReceipt {
                    height: self.executed.height,
                    index,
                    sealed: sealed.clone(),
                },
            );
        }
        writes.put_result(&BlockResult {
            executed: self.executed,
            receipts: self.block_root,
            envelopes: envelopes.iter().map(|(id, _)| *id).collect(),
        });
    }
}

impl Replica {
    /// A block became final.
    pub(super) fn finalised(&mut self, now: Millis, block: Block, proof: CommitProof) {
        self.finals.push_back(Final { block, proof });
        self.execute_ready(now);
    }

    /// Executes final blocks as far as their batches are here.
    pub(super) fn execute_ready(&mut self, now: Millis) {
        while let Some(front) = self.finals.front().filter(|_| !self.halted) {
            if front.block.header.height <= self.head.height {
                self.finals.pop_front();
                continue;
            }
            let missing: Vec<Digest> = front
                .block
                .payload
                .batches
                .iter()
                .filter(|d| !self.has_batch(d))
                .copied()
                .collect();
            if !missing.is_empty() {
                let block = front.block.clone();
                self.fetch_batches(now, &block, missing);
                return;
            }
            let Some(Final { block, proof }) = self.finals.pop_front() else {
                return;
            };
            if let Err(reason) = self.execute(now, block, proof, None) {
                self.halt(reason);
                return;
            }
        }
    }

    /// The envelopes of a block that count: each id once in the chain, of this epoch, not expired. Anyone can
    /// repeat this from public data.
    pub(super) fn envelopes_of(&self, block: &Block) -> Result<Vec<(Digest, Envelope)>, String> {
        let batches = block.payload.batches.iter().map(|digest| {
            let held = self.batch(digest);
            held.ok_or_else(|| format!("batch {digest} of a final block is gone"))
        });
        let batches = batches.collect::<Result<Vec<Batch>, String>>()?;
        self.counting(&block.header, &batches, &mut BTreeSet::new())
    }

    /// The envelopes of these batches that count in a block with this header: `seen` are the ids of those that count in it or in
    /// blocks before it that are not stored yet.
    pub(super) fn counting(
        &self,
        header: &Header,
        batches: &[Batch],
        seen: &mut BTreeSet<Digest>,
    ) -> Result<Vec<(Digest, Envelope)>, String> {
        let mut envelopes = Vec::new();
        for envelope in batches.iter().flat_map(|batch| &batch.envelopes) {
            let id = envelope.id();
            let counts = envelope.check(&self.chain, header.epoch, header.height).is_ok()
                && self.log().tx(&id).map_err(|e| e.to_string())?.is_none()
                && seen.insert(id);
            if counts {
                envelopes.push((id, envelope.clone()));
            }
        }
        Ok(envelopes)
    }

    /// Executes one final block and makes everything that follows from it durable. `synced` are the receipts
    /// that came with a fetched block: an observer cannot compute them.
    ///
    /// An error means that this node can no longer follow the chain it helped to make: it must stop.
    pub(super) fn execute(
        &mut self,
        now: Millis,
        block: Block,
        proof: CommitProof,
        synced: Option<Vec<SealedReceipt>>,
    ) -> Result<(), Refused> {
        // A node that follows syncs a run of fetched blocks as a whole, before anything that they lead to leaves.
        let follows = synced.is_some() && self.core.is_none() && block.header.next_epoch.is_none();
        let durability = match follows {
            true => Durability::Lazy,
            false => Durability::Synced,
        };
        let height = block.header.height;
        self.standing_note(&block, &proof);
        self.compare(&block)?;
        let envelopes = self.envelopes_of(&block)?;
        let contributions = self.public_contributions_with(&block);
        let announced = self.public.next_protocol();
        let public_root = self.public.apply(&block).map_err(|e| e.to_string())?;
        self.report_protocol(announced);
        let record = block
            .header
            .next_epoch
            .is_some()
            .then(|| self.public.current().clone());
        if let Some(record) = &record {
            self.derive_next_secret(record, &contributions)?;
        }
        let mut writes = std::mem::take(&mut self.unstored);
        let results = match self.private.is_some() {
            true => {
                let before = self.newest_executed().receipts_root;
                self.execute_private(&block, &envelopes, (public_root, before), &mut writes)?
            }
            false => self.follow(&block, &envelopes, public_root, synced.unwrap_or_default()),
        };
        self.write_block(&mut writes, &block, &proof, &envelopes, &results)?;
        let system: Vec<Digest> = ordinary(&block).into_iter().map(|(id, _)| id).collect();
        for (index, id) in (0u32..).zip(&system) {
            writes.put_system(id, &SystemRecord { height, index });
        }
        self.store.commit(writes, durability)?;
        self.unsynced = durability == Durability::Lazy;

        // A checkpoint replaces what is before it once a final header proves it: recovery begins with a state that is
        // proven. That of an epoch's end is (T4), and what stands before it opens with no key any more.
        let proven = self.certified.executed + 1..=block.header.executed.height;
        let closes = block.header.next_epoch.is_some();
        if (closes && self.checkpoint == height) || proven.contains(&self.checkpoint) {
            // What an epoch began with stays while it lasts: newcomers take it.
            let kept = match closes {
                true => None,
                false => self.first_height().checked_sub(1),
            };
            self.prune(self.checkpoint, kept)?;
        }
        self.executed.insert(height, results.executed);
        self.executed = self.executed.split_off(&height.saturating_sub(KEPT_RESULTS));
        if !envelopes.is_empty() {
            self.last_full = height;
        }
        self.certified = Certified {
            executed: block.header.executed.height,
            header: Some((block.header.clone(), proof.clone())),
        };
        for digest in &block.payload.batches {
            self.mempool.remove(digest);
        }
        self.head = Head {
            id: block.id(),
            height,
            time_ms: block.header.time_ms,
            certificate: Some(proof.certificate.clone()),
            header: Some(block.header.clone()),
        };
        if !block.payload.system.is_empty() {
            self.public_changed = height;
        }
        self.settle_system(now, &system);
        let ids = envelopes.iter().map(|(id, _)| *id).collect();
        self.out.push(Effect::Committed {
            height,
            envelopes: ids,
            unopened: u32::try_from(results.unopened.len()).unwrap_or(u32::MAX),
            system,
        });
        if self.me.is_some() {
            self.out.push(Effect::Announce(Announcement {
                chain: self.chain,
                height,
                block: self.head.id,
            }));
        }
        if !block.payload.system.is_empty() {
            self.note_conviction();
        }
        self.note_unopened(now, &block, &results.unopened);
        if let Some(record) = record {
            self.begin_epoch(now, Arc::new(record))?;
        }
        Ok(())
    }

    /// A quorum has signed what a header states of earlier execution: what this node found must be the same.
    fn compare(&mut self, block: &Block) -> Result<(), String> {
        let stated = block.header.executed;
        let Some(own) = self.executed_at(stated.height) else {
            return Ok(());
        };
        if self.private.is_none() {
            // An observer executes the public part only, and takes the rest from the quorum.
            if own.public_root != stated.public_root {
                return Err(format!(
                    "public state at {}: own {own:?}, certified {stated:?}",
                    stated.height
                ));
            }
            self.executed.insert(stated.height, stated);
            if own.receipts_root != stated.receipts_root {
                self.chain_receipts_again(stated)?;
            }
            return Ok(());
        }
        if own != stated {
            return Err(format!(
                "state at {} has diverged: own {own:?}, certified {stated:?}",
                stated.height
            ));
        }
        Ok(())
    }

    /// Receipts that came to this node were not those that a quorum states: what rests on them is computed from there again.
    /// Their own block's proofs fail, as they must.
    fn chain_receipts_again(&mut self, stated: Executed) -> Result<(), String> {
        tracing::warn!(
            height = stated.height,
            "receipts that a peer gave are not those of the chain: they cannot be proven from this node"
        );
        let mut root = stated.receipts_root;
        for height in stated.height + 1..=self.head.height {
            let result = self.log().result(height).map_err(|e| e.to_string())?;
            let result = result.ok_or_else(|| format!("the result at {height} is gone"))?;
            root = chain_receipts(&root, &result.receipts);
            if let Some(executed) = self.executed.get_mut(&height) {
                executed.receipts_root = root;
            }
        }
        Ok(())
    }

    /// A validator's execution: opened envelopes change the private state and give sealed receipts. The roots are that of the
    /// public state after the block, and that of the receipts before it.
    pub(super) fn execute_private(
        &mut self,
        block: &Block,
        envelopes: &[(Digest, Envelope)],
        (public_root, previous): (Digest, Digest),
        writes: &mut WriteBatch,
    ) -> Result<Results, String> {
        let header = &block.header;
        let mut unopened = Vec::new();
        let mut executables = Vec::with_capacity(envelopes.len());
        for (id, envelope) in envelopes {
            let opened = self.opened.remove(id).or_else(|| {
                let secret = self.opener.as_ref()?;
                open_envelope(secret, envelope).ok().map(Arc::new)
            });
            executables.push(match opened {
                Some(opened) => Executable::Opened(opened),
                None => {
                    unopened.push(*id);
                    Executable::Unopened(*id)
                }
            });
        }
        let context = BlockContext {
            chain: self.chain,
            height: header.height,
            time_ms: header.time_ms,
            fee_per_512: self.genesis.params.fee_per_512,
        };
        let private = self.private.as_mut().ok_or("this node executes nothing")?;
        let mut outcome = private.execute_block(context, &executables);
        if header.next_epoch.is_some() {
            // The state goes on under the next epoch's key, in the write that closes this one: nothing that is kept under
            // the old key is needed once it is durable. Who cannot follow into the epoch lets go of the state.
            if let Some(keys) = &self.next_keys {
                if self.record.sealing_key.is_none() {
                    private.install_keys(keys, header.height);
                    outcome.private_root = private.root();
                }
                let sealed = encrypt_checkpoint(&keys.data, header.height, &private.to_checkpoint());
                let sealed = sealed.map_err(|e| e.to_string())?;
                writes.put_checkpoint(header.height, &sealed);
                self.checkpoint = header.height;
                self.offer_private(writes, header.height, &sealed)?;
            }
        } else if let Some(keys) = &self.state_keys {
            let frame = encrypt_frame(&keys.data, header.height, &outcome.frame.to_bytes());
            writes.put_frame(header.height, frame.map_err(|e| e.to_string())?);
            if header.height - self.checkpoint >= CHECKPOINT_EVERY {
                let sealed = encrypt_checkpoint(&keys.data, header.height, &private.to_checkpoint());
                writes.put_checkpoint(header.height, &sealed.map_err(|e| e.to_string())?);
                self.checkpoint = header.height;
            }
        }
        let leaves: Vec<Digest> = outcome
            .receipts
            .iter()
            .map(|(id, sealed)| sealed.leaf(id))
            .collect();
        let block_root = block_receipts_root(&leaves);
        let executed = Executed {
            height: header.height,
            public_root,
            private_root: outcome.private_root,
            receipts_root: chain_receipts(&previous, &block_root),
            supply: outcome.supply,
        };
        Ok(Results {
            executed,
            block_root,
            receipts: outcome.receipts,
            unopened,
        })
    }

    /// An observer's execution: the public part, and the receipts as they came.
    fn follow(
        &self,
        block: &Block,
        envelopes: &[(Digest, Envelope)],
        public_root: Digest,
        synced: Vec<SealedReceipt>,
    ) -> Results {
        let receipts: Vec<(Digest, SealedReceipt)> =
            envelopes.iter().map(|(id, _)| *id).zip(synced).collect();
        let leaves: Vec<Digest> = receipts.iter().map(|(id, sealed)| sealed.leaf(id)).collect();
        let block_root = block_receipts_root(&leaves);
        let executed = Executed {
            height: block.header.height,
            public_root,
            receipts_root: chain_receipts(&self.newest_executed().receipts_root, &block_root),
            ..Executed::default()
        };
        Results {
            executed,
            block_root,
            receipts,
            unopened: Vec::new(),
        }
    }

    /// A checkpoint of an epoch's start is what newcomers take; the one before it is sealed under keys that are gone.
    fn offer_private(&self, writes: &mut WriteBatch, height: Height, sealed: &[u8]) -> Result<(), String> {
        let kind = SnapshotKind::Private;
        let epoch = self.record.epoch + 1;
        let before = self.log().manifest(SnapshotId {
            kind,
            epoch: epoch - 1,
        });
        if let Some(before) = before.map_err(|e| e.to_string())? {
            writes.delete_snapshot(&before);
        }
        writes.put_manifest(&Manifest::of(SnapshotId { kind, epoch }, height, sealed));
        Ok(())
    }

    /// What fresh nodes begin an epoch with. The one before it stays for those who are fetching it.
    fn offer_public(&self, writes: &mut WriteBatch, closing: &Header) -> Result<(), StoreError> {
        let (kind, epoch) = (SnapshotKind::Public, self.public.current().epoch);
        let older = closing
            .height
            .saturating_sub(PublicSnapshot::headers_at(closing.height) - 1);
        let before = usize::try_from(closing.height - older).unwrap_or(usize::MAX);
        let mut headers = self.log().headers_from(older, before)?;
        headers.push(closing.clone());
        let snapshot = PublicSnapshot::new(headers, &self.public).to_bytes();
        writes.put_public_snapshot(epoch, closing.height, &snapshot);
        let old = epoch.checked_sub(PUBLIC_SNAPSHOTS_KEPT);
        if let Some(old) = old.map(|epoch| self.log().manifest(SnapshotId { kind, epoch })) {
            old?.iter().for_each(|old| writes.delete_snapshot(old));
        }
        Ok(())
    }

    fn write_block(
        &mut self,
        writes: &mut WriteBatch,
        block: &Block,
        proof: &CommitProof,
        envelopes: &[(Digest, Envelope)],
        results: &Results,
    ) -> Result<(), StoreError> {
        let height = block.header.height;
        writes.put_block(&CommittedBlock {
            block: block.clone(),
            proof: proof.clone(),
        });
        for digest in &block.payload.batches {
            if let Some(batch) = self.mempool.get(digest) {
                writes.put_batch(digest, batch);
            }
        }
        for (index, (id, envelope)) in (0u32..).zip(envelopes) {
            writes.put_tx(&TxRecord {
                id: *id,
                height,
                index,
                epoch: envelope.epoch,
                size_class: envelope.size_class(),
                expiry_height: envelope.expiry_height,
                bytes: encode(envelope),
            });
        }
        results.write(writes, envelopes);
        if !block.payload.system.is_empty() || height.is_multiple_of(PUBLIC_EVERY) {
            writes.put_public(&self.public);
        }
        if block.header.next_epoch.is_some() {
            let record = self.public.current().clone();
            writes.put_epoch(&EpochLink {
                header: block.header.clone(),
                proof: proof.clone(),
                record,
            });
            self.offer_public(writes, &block.header)?;
        }
        // What stood beside this block, or below it, has lost.
        let above = self.pending.split_off(&(height + 1, Digest::ZERO));
        for (height, id) in std::mem::replace(&mut self.pending, above) {
            writes.delete_pending(height, &id);
        }
        Ok(())
    }

    /// Deletes frames and checkpoints that the newest checkpoint, durable by now, makes superfluous.
    fn prune(&self, checkpoint: Height, kept: Option<Height>) -> Result<(), StoreError> {
        let old = self.log().prune_below(checkpoint, kept, PRUNE_LIMIT)?;
        if old.is_empty() {
            Ok(())
        } else {
            self.store.commit(old, Durability::Lazy)
        }
    }
}
