//! Every stored key, in one place.
//!
//! | column | key | value | written |
//! |---|---|---|---|
//! | `meta` | one of [`meta`] | see there | rarely |
//! | `safety` | `record` | consensus `SafetyRecord` | synced before a signature leaves |
//! | `blocks` | height | [`CommittedBlock`](crate::CommittedBlock) | on commit |
//! | `block_ids` | block id | height | on commit |
//! | `pending` | height ‖ block id | `Block` | with the safety record of the vote for it |
//! | `batches` | batch digest | [`Batch`](crate::Batch) | when it arrives |
//! | `txs` | envelope id | [`TxRecord`](crate::TxRecord) | on commit |
//! | `system` | system transaction id | [`SystemRecord`](crate::SystemRecord) | on commit |
//! | `receipts` | envelope id | [`StoredReceipt`](crate::StoredReceipt) | on execution |
//! | `results` | height | [`BlockResult`](crate::BlockResult) | on execution |
//! | `epochs` | epoch | [`EpochLink`](crate::EpochLink): how the epoch came to be | on closing |
//! | `public` | `state` | [`PublicState`](crate::PublicState) | on execution |
//! | `frames` | height | sealed frame | on execution |
//! | `checkpoints` | height; height ‖ chunk | chunk count; sealed bytes | now and then; chunks of a snapshot as they come |
//! | `headers` | height | `Header`: the newest ones, as many as the public state knows ids of | on commit |
//! | `snapshots` | kind ‖ epoch; kind ‖ epoch ‖ chunk | [`Manifest`](crate::Manifest); bytes of a public snapshot | on closing |
//!
//! Heights and epochs are u64, chunks u32, big endian: the order of keys is the order of numbers.

use tacit_consensus::{Digest, Epoch, Height};

use crate::snapshot::{SnapshotId, SnapshotKind};

/// A kind of record; a column family on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Facts about the store and its node.
    Meta,
    /// The safety record.
    Safety,
    /// Committed blocks by height.
    Blocks,
    /// Heights of committed blocks by id.
    BlockIds,
    /// Blocks voted for and not yet committed.
    Pending,
    /// Batches by digest.
    Batches,
    /// Envelopes in committed blocks by id.
    Txs,
    /// Ordinary system transactions in committed blocks by id.
    System,
    /// Sealed receipts by envelope id.
    Receipts,
    /// What executing each block gave.
    Results,
    /// How each epoch came to be.
    Epochs,
    /// The public state.
    Public,
    /// Sealed frames of the private state.
    Frames,
    /// Sealed checkpoints of the private state.
    Checkpoints,
    /// Headers of the newest blocks: a snapshot needs them, and a node that keeps little history has no blocks for them.
    Headers,
    /// What this node can hand to newcomers.
    Snapshots,
}

impl Column {
    /// All columns.
    pub const ALL: [Self; 16] = [
        Self::Meta,
        Self::Safety,
        Self::Blocks,
        Self::BlockIds,
        Self::Pending,
        Self::Batches,
        Self::Txs,
        Self::System,
        Self::Receipts,
        Self::Results,
        Self::Epochs,
        Self::Public,
        Self::Frames,
        Self::Checkpoints,
        Self::Headers,
        Self::Snapshots,
    ];

    /// The name of its column family.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Safety => "safety",
            Self::Blocks => "blocks",
            Self::BlockIds => "block_ids",
            Self::Pending => "pending",
            Self::Batches => "batches",
            Self::Txs => "txs",
            Self::System => "system",
            Self::Receipts => "receipts",
            Self::Results => "results",
            Self::Epochs => "epochs",
            Self::Public => "public",
            Self::Frames => "frames",
            Self::Checkpoints => "checkpoints",
            Self::Headers => "headers",
            Self::Snapshots => "snapshots",
        }
    }
}

/// Keys of [`Column::Meta`].
pub mod meta {
    /// Version of the formats in this store: u32 LE.
    pub const FORMAT: &[u8] = b"format";
    /// What [`FORMAT`] says in a store of this release.
    pub const FORMAT_VERSION: u32 = 3;
    /// The network: 32 bytes of chain id.
    pub const CHAIN: &[u8] = b"chain";
    /// The lowest height whose block this node keeps: u64 LE; absent where it keeps all.
    pub const FIRST: &[u8] = b"first";
    /// The lowest height whose block is not deleted yet, below [`FIRST`]: u64 LE.
    pub const DELETED: &[u8] = b"deleted";
    /// The [`Manifest`](crate::Manifest) of the snapshot that is being fetched.
    pub const FETCHING: &[u8] = b"fetching";
}

/// The one key of [`Column::Safety`].
pub const SAFETY_KEY: &[u8] = b"record";
/// The one key of [`Column::Public`].
pub const PUBLIC_KEY: &[u8] = b"state";

/// Key of a height, in [`Column::Blocks`], [`Column::Results`], [`Column::Frames`], [`Column::Checkpoints`] and
/// [`Column::Headers`].
pub fn height_key(height: Height) -> [u8; 8] {
    height.to_be_bytes()
}

/// The height that a key begins with.
pub fn key_height(key: &[u8]) -> Option<Height> {
    key.first_chunk::<8>().map(|bytes| Height::from_be_bytes(*bytes))
}

/// Key of an epoch, in [`Column::Epochs`].
pub fn epoch_key(epoch: Epoch) -> [u8; 8] {
    epoch.to_be_bytes()
}

/// Key of an id or digest, in [`Column::BlockIds`], [`Column::Batches`], [`Column::Txs`],
/// [`Column::System`] and [`Column::Receipts`].
pub fn digest_key(digest: &Digest) -> [u8; 32] {
    digest.0
}

/// Key of an uncommitted block, in [`Column::Pending`].
pub fn pending_key(height: Height, id: &Digest) -> Vec<u8> {
    [&height.to_be_bytes()[..], &id.0].concat()
}

/// Key of a chunk of a checkpoint, in [`Column::Checkpoints`].
pub fn chunk_key(height: Height, chunk: u32) -> Vec<u8> {
    [&height.to_be_bytes()[..], &chunk.to_be_bytes()].concat()
}

/// Key of a snapshot's manifest, in [`Column::Snapshots`].
pub fn snapshot_key(id: SnapshotId) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = match id.kind {
        SnapshotKind::Private => 0,
        SnapshotKind::Public => 1,
    };
    key[1..].copy_from_slice(&id.epoch.to_be_bytes());
    key
}

/// Key of a chunk of a public snapshot, in [`Column::Snapshots`].
pub fn snapshot_chunk_key(id: SnapshotId, chunk: u32) -> Vec<u8> {
    [&snapshot_key(id)[..], &chunk.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_distinct_and_complete() {
        let names: std::collections::BTreeSet<_> = Column::ALL.iter().map(|column| column.name()).collect();
        assert_eq!(names.len(), Column::ALL.len());
        assert!(Column::ALL.is_sorted());
    }

    #[test]
    fn keys_order_as_numbers_do() {
        assert!(height_key(255) < height_key(256));
        assert!(pending_key(255, &Digest([9; 32])) < pending_key(256, &Digest([0; 32])));
        assert!(height_key(7)[..] < chunk_key(7, 0)[..]);
        assert!(chunk_key(7, u32::MAX)[..] < height_key(8)[..]);
        assert_eq!(key_height(&pending_key(77, &Digest::ZERO)), Some(77));
        assert_eq!(key_height(&[1, 2]), None);
    }
}
