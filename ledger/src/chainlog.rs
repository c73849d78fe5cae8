//! What a node stores of the chain, typed: writers on [`WriteBatch`], readers on [`ChainLog`].

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{
    Block, CommitProof, Digest, Epoch, Executed, Header, Height, MAX_MESSAGE_BYTES, SafetyRecord, planted,
};

use crate::{
    batch::Batch,
    codec::{decode, encode},
    columns::{
        Column, PUBLIC_KEY, SAFETY_KEY, chunk_key, digest_key, epoch_key, height_key, key_height, meta,
        pending_key, snapshot_chunk_key, snapshot_key,
    },
    light::EpochLink,
    limits::{MAX_BATCH_BYTES, MAX_ENVELOPE_BYTES, MAX_SYSTEM_TX_BYTES, RECENT_BLOCKS},
    receipt::SealedReceipt,
    snapshot::{MAX_MANIFEST_BYTES, Manifest, SnapshotId, SnapshotKind},
    state::PublicState,
    store::{Store, StoreError, WriteBatch},
};

/// Largest stored block with its proof, in bytes: the block is one message, the proof's path up to 1024
/// headers.
pub const MAX_COMMITTED_BLOCK_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// Largest stored result of a block, in bytes: an id for each of 64 batches' 256 envelopes, and some room.
pub const MAX_RESULT_BYTES: usize = 1024 * 1024;
/// Largest stored epoch link, in bytes: a record, and a closing header with its proof.
pub const MAX_EPOCH_LINK_BYTES: usize = MAX_SYSTEM_TX_BYTES + MAX_MESSAGE_BYTES;
/// Bytes of a checkpoint in one stored value.
pub const CHECKPOINT_CHUNK: usize = 1024 * 1024;

/// A committed block and what proves that it is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommittedBlock {
    /// The block.
    pub block: Block,
    /// The commit certificate, and the headers down to the block that it certifies.
    pub proof: CommitProof,
}

/// An envelope in a committed block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TxRecord {
    /// Its id.
    pub id: Digest,
    /// The block.
    pub height: Height,
    /// Its place among the block's envelopes.
    pub index: u32,
    /// The epoch to which it was sealed.
    pub epoch: Epoch,
    /// Its bucket, in bytes.
    pub size_class: u32,
    /// The last height at which it might have been included.
    pub expiry_height: Height,
    /// The envelope as it arrived.
    pub bytes: Vec<u8>,
}

/// Where an ordinary system transaction stands; the block has the transaction itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SystemRecord {
    /// The block.
    pub height: Height,
    /// Its place among the block's ordinary system transactions.
    pub index: u32,
}

/// A sealed receipt and where its transaction stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StoredReceipt {
    /// The block.
    pub height: Height,
    /// The place among the block's envelopes.
    pub index: u32,
    /// The receipt.
    pub sealed: SealedReceipt,
}

/// What executing one block gave.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockResult {
    /// The state after it.
    pub executed: Executed,
    /// `M_h`: the root over its receipts.
    pub receipts: Digest,
    /// The ids of its envelopes in order: with their receipts, the leaves under `receipts`.
    pub envelopes: Vec<Digest>,
}

impl WriteBatch {
    /// Stores a committed block, finds it by id too, and drops it from the pending ones. Its header stays among the newest
    /// [`RECENT_BLOCKS`].
    pub fn put_block(&mut self, committed: &CommittedBlock) {
        let (id, height) = (committed.block.id(), committed.block.header.height);
        self.put(Column::Blocks, height_key(height), encode(committed));
        self.put(Column::BlockIds, digest_key(&id), height.to_le_bytes());
        self.delete(Column::Pending, pending_key(height, &id));
        self.put_header(&committed.block.header);
        if let Some(old) = height.checked_sub(RECENT_BLOCKS) {
            self.delete(Column::Headers, height_key(old));
        }
    }

    /// Stores a recent header.
    pub fn put_header(&mut self, header: &Header) {
        self.put(Column::Headers, height_key(header.height), encode(header));
    }

    /// Stores a block that may be voted for.
    pub fn put_pending(&mut self, block: &Block) {
        self.put(
            Column::Pending,
            pending_key(block.header.height, &block.id()),
            encode(block),
        );
    }

    /// Drops a pending block, one that lost.
    pub fn delete_pending(&mut self, height: Height, id: &Digest) {
        self.delete(Column::Pending, pending_key(height, id));
    }

    /// Stores the safety record. To be committed synced before a signature leaves.
    pub fn put_safety(&mut self, record: &SafetyRecord) {
        self.put(Column::Safety, SAFETY_KEY, encode(record));
    }

    /// Stores a batch under its digest.
    pub fn put_batch(&mut self, digest: &Digest, batch: &Batch) {
        self.put(Column::Batches, digest_key(digest), encode(batch));
    }

    /// Drops a batch that no block named in time.
    pub fn delete_batch(&mut self, digest: &Digest) {
        self.delete(Column::Batches, digest_key(digest));
    }

    /// Stores an included envelope.
    pub fn put_tx(&mut self, record: &TxRecord) {
        self.put(Column::Txs, digest_key(&record.id), encode(record));
    }

    /// Stores where an ordinary system transaction stands.
    pub fn put_system(&mut self, id: &Digest, record: &SystemRecord) {
        self.put(Column::System, digest_key(id), encode(record));
    }

    /// Stores a receipt.
    pub fn put_receipt(&mut self, envelope: &Digest, receipt: &StoredReceipt) {
        self.put(Column::Receipts, digest_key(envelope), encode(receipt));
    }

    /// Stores what executing a block gave.
    pub fn put_result(&mut self, result: &BlockResult) {
        self.put(
            Column::Results,
            height_key(result.executed.height),
            encode(result),
        );
    }

    /// Stores how an epoch came to be, under the number of the epoch that the link leads to.
    pub fn put_epoch(&mut self, link: &EpochLink) {
        self.put(Column::Epochs, epoch_key(link.record.epoch), encode(link));
    }

    /// Stores the public state.
    pub fn put_public(&mut self, state: &PublicState) {
        self.put(Column::Public, PUBLIC_KEY, state.to_bytes());
    }

    /// Stores a sealed frame.
    pub fn put_frame(&mut self, height: Height, sealed: Vec<u8>) {
        self.put(Column::Frames, height_key(height), sealed);
    }

    /// Stores a sealed checkpoint, in chunks.
    pub fn put_checkpoint(&mut self, height: Height, sealed: &[u8]) {
        let chunks = (0u32..).zip(sealed.chunks(CHECKPOINT_CHUNK));
        for (index, chunk) in chunks.clone() {
            self.put(Column::Checkpoints, chunk_key(height, index), chunk);
        }
        let count = u32::try_from(chunks.count()).expect("a checkpoint is bounded");
        self.put(Column::Checkpoints, height_key(height), count.to_le_bytes());
    }

    /// Stores a public snapshot, in chunks, and says what it consists of.
    pub fn put_public_snapshot(&mut self, epoch: Epoch, height: Height, snapshot: &[u8]) -> Manifest {
        let kind = SnapshotKind::Public;
        let manifest = Manifest::of(SnapshotId { kind, epoch }, height, snapshot);
        for (index, chunk) in (0u32..).zip(snapshot.chunks(CHECKPOINT_CHUNK)) {
            self.put_chunk(&manifest, index, chunk);
        }
        self.put_manifest(&manifest);
        manifest
    }

    /// Stores one chunk of a snapshot: of a private one where checkpoints are.
    pub fn put_chunk(&mut self, manifest: &Manifest, index: u32, chunk: &[u8]) {
        let (column, key) = chunk_place(manifest, index);
        self.put(column, key, chunk);
    }

    /// Says that a snapshot is whole and can be served.
    pub fn put_manifest(&mut self, manifest: &Manifest) {
        self.put(Column::Snapshots, snapshot_key(manifest.id), encode(manifest));
    }

    /// A snapshot that was fetched is whole: a private one is this node's checkpoint from now on.
    pub fn complete_snapshot(&mut self, manifest: &Manifest) {
        if manifest.id.kind == SnapshotKind::Private {
            let count = manifest.count().to_le_bytes();
            self.put(Column::Checkpoints, height_key(manifest.height), count);
        }
        self.put_manifest(manifest);
        self.delete(Column::Meta, meta::FETCHING);
    }

    /// Which snapshot is being fetched: a restart goes on with it.
    pub fn put_fetching(&mut self, manifest: &Manifest) {
        self.put(Column::Meta, meta::FETCHING, encode(manifest));
    }

    /// Drops the manifest of a snapshot, and with a public one its chunks: those of a private one are a checkpoint's.
    pub fn delete_snapshot(&mut self, manifest: &Manifest) {
        self.delete(Column::Snapshots, snapshot_key(manifest.id));
        if manifest.id.kind == SnapshotKind::Public {
            self.delete_chunks(manifest);
        }
    }

    /// Drops what was fetched so far of a snapshot that is given up.
    pub fn abandon_snapshot(&mut self, manifest: &Manifest) {
        self.delete(Column::Meta, meta::FETCHING);
        self.delete_chunks(manifest);
    }

    fn delete_chunks(&mut self, manifest: &Manifest) {
        for index in 0..manifest.count() {
            let (column, key) = chunk_place(manifest, index);
            self.delete(column, key);
        }
    }

    /// Says from which height on blocks are kept.
    pub fn put_first(&mut self, height: Height) {
        self.put(Column::Meta, meta::FIRST, height.to_le_bytes());
    }

    /// Says up to where, exclusively, blocks are deleted.
    pub fn put_deleted(&mut self, height: Height) {
        self.put(Column::Meta, meta::DELETED, height.to_le_bytes());
    }
}

/// Where a chunk of a snapshot stands.
fn chunk_place(manifest: &Manifest, index: u32) -> (Column, Vec<u8>) {
    match manifest.id.kind {
        SnapshotKind::Private => (Column::Checkpoints, chunk_key(manifest.height, index)),
        SnapshotKind::Public => (Column::Snapshots, snapshot_chunk_key(manifest.id, index)),
    }
}

/// Typed reads of a store.
#[derive(Clone, Copy)]
pub struct ChainLog<'a> {
    store: &'a dyn Store,
}

impl<'a> ChainLog<'a> {
    /// Reads `store`.
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store }
    }

    /// The committed block at `height`.
    pub fn block(&self, height: Height) -> Result<Option<CommittedBlock>, StoreError> {
        let key = height_key(height);
        let value = self.store.get(Column::Blocks, &key)?;
        value.map(|value| stored_block(&key, &value)).transpose()
    }

    /// The height of a committed block.
    pub fn block_height(&self, id: &Digest) -> Result<Option<Height>, StoreError> {
        self.read(Column::BlockIds, &digest_key(id), 8)
    }

    /// The newest committed block.
    pub fn head(&self) -> Result<Option<CommittedBlock>, StoreError> {
        Ok(self.newest_blocks(None, 1)?.pop())
    }

    /// At most `limit` committed blocks downwards from `from`, or from the newest.
    pub fn newest_blocks(
        &self,
        from: Option<Height>,
        limit: usize,
    ) -> Result<Vec<CommittedBlock>, StoreError> {
        let from = from.map(height_key);
        let entries = self.store.scan(
            Column::Blocks,
            from.as_ref().map_or(&[], |key| &key[..]),
            limit,
            true,
        )?;
        entries
            .iter()
            .map(|(key, value)| stored_block(key, value))
            .collect()
    }

    /// At most `limit` committed blocks upwards from `from`.
    pub fn blocks_from(&self, from: Height, limit: usize) -> Result<Vec<CommittedBlock>, StoreError> {
        let entries = self.store.scan(Column::Blocks, &height_key(from), limit, false)?;
        entries
            .iter()
            .map(|(key, value)| stored_block(key, value))
            .collect()
    }

    /// At most `limit` pending blocks, lowest first.
    pub fn pending(&self, limit: usize) -> Result<Vec<Block>, StoreError> {
        let entries = self.store.scan(Column::Pending, &[], limit, false)?;
        entries
            .iter()
            .map(|(_, value)| read(Column::Pending, value, MAX_MESSAGE_BYTES))
            .collect()
    }

    /// The safety record.
    pub fn safety(&self) -> Result<Option<SafetyRecord>, StoreError> {
        let record = self.read(Column::Safety, SAFETY_KEY, tacit_consensus::MAX_RECORD_BYTES);
        if planted::has("damaged_record_ignored") && record.is_err() {
            return Ok(None);
        }
        record
    }

    /// A batch by its digest.
    pub fn batch(&self, digest: &Digest) -> Result<Option<Batch>, StoreError> {
        self.read(Column::Batches, &digest_key(digest), MAX_BATCH_BYTES)
    }

    /// An included envelope by its id.
    pub fn tx(&self, id: &Digest) -> Result<Option<TxRecord>, StoreError> {
        self.read(Column::Txs, &digest_key(id), MAX_ENVELOPE_BYTES + 128)
    }

    /// Where an ordinary system transaction stands, by its id.
    pub fn system(&self, id: &Digest) -> Result<Option<SystemRecord>, StoreError> {
        self.read(Column::System, &digest_key(id), 16)
    }

    /// A receipt by its envelope's id.
    pub fn receipt(&self, envelope: &Digest) -> Result<Option<StoredReceipt>, StoreError> {
        self.read(Column::Receipts, &digest_key(envelope), 1024)
    }

    /// What executing the block at `height` gave.
    pub fn result(&self, height: Height) -> Result<Option<BlockResult>, StoreError> {
        self.read(Column::Results, &height_key(height), MAX_RESULT_BYTES)
    }

    /// What executing the newest executed block gave.
    pub fn newest_result(&self) -> Result<Option<BlockResult>, StoreError> {
        let newest = self.store.scan(Column::Results, &[], 1, true)?.pop();
        newest
            .map(|(_, value)| read(Column::Results, &value, MAX_RESULT_BYTES))
            .transpose()
    }

    /// How `epoch` came to be; none for epoch 0.
    pub fn epoch(&self, epoch: Epoch) -> Result<Option<EpochLink>, StoreError> {
        self.read(Column::Epochs, &epoch_key(epoch), MAX_EPOCH_LINK_BYTES)
    }

    /// At most `limit` links upwards, from the one that leads to `epoch` on.
    pub fn epochs_from(&self, epoch: Epoch, limit: usize) -> Result<Vec<EpochLink>, StoreError> {
        let entries = self.store.scan(Column::Epochs, &epoch_key(epoch), limit, false)?;
        entries
            .iter()
            .map(|(_, value)| read(Column::Epochs, value, MAX_EPOCH_LINK_BYTES))
            .collect()
    }

    /// The public state.
    pub fn public(&self) -> Result<Option<PublicState>, StoreError> {
        let bytes = self.store.get(Column::Public, PUBLIC_KEY)?;
        let state = bytes.map(|bytes| PublicState::from_bytes(&bytes)).transpose();
        state.map_err(|source| StoreError::Corrupt {
            column: Column::Public,
            source,
        })
    }

    /// At most `limit` sealed frames upwards from `from`, with their heights.
    pub fn frames_from(&self, from: Height, limit: usize) -> Result<Vec<(Height, Vec<u8>)>, StoreError> {
        let entries = self.store.scan(Column::Frames, &height_key(from), limit, false)?;
        entries
            .into_iter()
            .map(|(key, value)| Ok((height_of(Column::Frames, &key)?, value)))
            .collect()
    }

    /// The height of the newest sealed checkpoint that is whole: above it may stand parts of a snapshot.
    pub fn checkpoint_height(&self) -> Result<Option<Height>, StoreError> {
        Ok(self.newest_checkpoint(Height::MAX)?.map(|(height, _)| height))
    }

    /// The newest sealed checkpoint that is whole, with its height.
    pub fn checkpoint(&self) -> Result<Option<(Height, Vec<u8>)>, StoreError> {
        self.checkpoint_up_to(Height::MAX)
    }

    /// The newest sealed checkpoint that is whole and not above `height`, with its height.
    pub fn checkpoint_up_to(&self, height: Height) -> Result<Option<(Height, Vec<u8>)>, StoreError> {
        let column = Column::Checkpoints;
        let Some((height, count)) = self.newest_checkpoint(height)? else {
            return Ok(None);
        };
        let mut sealed = Vec::new();
        for index in 0..count {
            let chunk = self.store.get(column, &chunk_key(height, index))?;
            sealed.extend(chunk.ok_or(StoreError::Missing { column })?);
        }
        Ok(Some((height, sealed)))
    }

    fn newest_checkpoint(&self, up_to: Height) -> Result<Option<(Height, u32)>, StoreError> {
        let column = Column::Checkpoints;
        let mut from = chunk_key(up_to, u32::MAX);
        loop {
            let Some((key, _)) = self.store.scan(column, &from, 1, true)?.pop() else {
                return Ok(None);
            };
            let height = height_of(column, &key)?;
            if let Some(count) = self.read(column, &height_key(height), 4)? {
                return Ok(Some((height, count)));
            }
            // The last key before this height's.
            let Some(below) = height.checked_sub(1) else {
                return Ok(None);
            };
            from = chunk_key(below, u32::MAX);
        }
    }

    /// Deletions of every frame up to `height` and every checkpoint before it but that of `keep`: what a checkpoint of
    /// `height` makes superfluous. At most `limit` entries of each and one checkpoint more; call again while the batch
    /// comes back full.
    pub fn prune_below(
        &self,
        height: Height,
        keep: Option<Height>,
        limit: usize,
    ) -> Result<WriteBatch, StoreError> {
        let mut batch = WriteBatch::new();
        let mut from = Vec::new();
        for _ in 0..limit {
            let Some((key, _)) = self.store.scan(Column::Frames, &from, 1, false)?.pop() else {
                break;
            };
            if height_of(Column::Frames, &key)? > height {
                break;
            }
            from = [&key[..], &[0]].concat();
            batch.delete(Column::Frames, key);
        }
        let column = Column::Checkpoints;
        let (mut from, mut left) = (Vec::new(), limit);
        while left > 0 {
            let Some((key, value)) = self.store.scan(column, &from, 1, false)?.pop() else {
                break;
            };
            let at = height_of(column, &key)?;
            if at >= height {
                break;
            }
            from = height_key(at.saturating_add(1)).to_vec();
            if keep == Some(at) {
                continue;
            }
            if key.len() == height_key(at).len() {
                // Chunks are large: their keys follow from the count without reading them.
                let count: u32 = read(column, &value, 4)?;
                for index in 0..count {
                    batch.delete(column, chunk_key(at, index));
                }
                left = left.saturating_sub(count as usize);
            } else {
                from = [&key[..], &[0]].concat();
            }
            batch.delete(column, key);
            left = left.saturating_sub(1);
        }
        Ok(batch)
    }

    /// At most `limit` headers upwards from `from`; only the newest are kept.
    pub fn headers_from(&self, from: Height, limit: usize) -> Result<Vec<Header>, StoreError> {
        let column = Column::Headers;
        let entries = self.store.scan(column, &height_key(from), limit, false)?;
        entries
            .iter()
            .map(|(_, value)| read(column, value, 1024))
            .collect()
    }

    /// The lowest height whose block this node keeps.
    pub fn first(&self) -> Result<Height, StoreError> {
        Ok(self.read(Column::Meta, meta::FIRST, 8)?.unwrap_or(1))
    }

    /// The lowest height whose block is not deleted yet.
    pub fn deleted(&self) -> Result<Height, StoreError> {
        Ok(self.read(Column::Meta, meta::DELETED, 8)?.unwrap_or(1))
    }

    /// What a whole snapshot consists of.
    pub fn manifest(&self, id: SnapshotId) -> Result<Option<Manifest>, StoreError> {
        self.read(Column::Snapshots, &snapshot_key(id), MAX_MANIFEST_BYTES)
    }

    /// The newest epoch of which this node has a whole snapshot of one kind.
    pub fn newest_snapshot(&self, kind: SnapshotKind) -> Result<Option<Epoch>, StoreError> {
        let column = Column::Snapshots;
        let mut from = snapshot_chunk_key(
            SnapshotId {
                kind,
                epoch: Epoch::MAX,
            },
            u32::MAX,
        );
        loop {
            let Some((key, _)) = self.store.scan(column, &from, 1, true)?.pop() else {
                return Ok(None);
            };
            let epoch = match key.split_first() {
                Some((first, rest)) if from.first() == Some(first) => rest.first_chunk::<8>(),
                _ => return Ok(None),
            };
            let epoch = Epoch::from_be_bytes(*epoch.ok_or(StoreError::Missing { column })?);
            if self.manifest(SnapshotId { kind, epoch })?.is_some() {
                return Ok(Some(epoch));
            }
            // Chunks of one that is still being fetched.
            let Some(below) = epoch.checked_sub(1) else {
                return Ok(None);
            };
            from = snapshot_chunk_key(SnapshotId { kind, epoch: below }, u32::MAX);
        }
    }

    /// One chunk of a snapshot.
    pub fn chunk(&self, manifest: &Manifest, index: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let (column, key) = chunk_place(manifest, index);
        self.store.get(column, &key)
    }

    /// The snapshot that was being fetched.
    pub fn fetching(&self) -> Result<Option<Manifest>, StoreError> {
        self.read(Column::Meta, meta::FETCHING, MAX_MANIFEST_BYTES)
    }

    fn read<T: BorshDeserialize>(
        &self,
        column: Column,
        key: &[u8],
        max: usize,
    ) -> Result<Option<T>, StoreError> {
        self.store
            .get(column, key)?
            .map(|bytes| read(column, &bytes, max))
            .transpose()
    }
}

fn read<T: BorshDeserialize>(column: Column, bytes: &[u8], max: usize) -> Result<T, StoreError> {
    decode(bytes, max).map_err(|source| StoreError::Corrupt { column, source })
}

/// A damaged disk may hold another height than the key says: whoever goes on from that height would go round in circles.
fn stored_block(key: &[u8], value: &[u8]) -> Result<CommittedBlock, StoreError> {
    let committed: CommittedBlock = read(Column::Blocks, value, MAX_COMMITTED_BLOCK_BYTES)?;
    let (place, height) = (height_of(Column::Blocks, key)?, committed.block.header.height);
    match place == height {
        true => Ok(committed),
        false => Err(StoreError::Misplaced { place, height }),
    }
}

fn height_of(column: Column, key: &[u8]) -> Result<Height, StoreError> {
    key_height(key).ok_or(StoreError::Missing { column })
}
