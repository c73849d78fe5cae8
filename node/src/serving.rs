//! What a node's store alone answers to peers who catch up: blocks, epochs, snapshots. Read by worker threads, beside the
//! replica; every answer ends near [`FETCH_ANSWER_TARGET_BYTES`].
//!
//! What cannot be read ends an answer: the asker turns to another peer, and this node's own use of the same bytes halts
//! it by name.

use tacit_consensus::{Epoch, Height};
use tacit_ledger::{ChainLog, EpochLink, EpochRecord, Manifest, SnapshotId, SnapshotKind, Store};

use crate::{
    replica::NodeKey,
    wire::{
        FETCH_ANSWER_TARGET_BYTES, FetchRequest, FetchResponse, MAX_BLOCKS_PER_FETCH, MAX_LINKS_PER_FETCH,
        NoSnapshot, SyncBlock,
    },
};

/// The answer to `asker`, where the store alone gives it; `record` is that of the epoch in force here.
pub fn answer(
    store: &dyn Store,
    record: &EpochRecord,
    asker: &NodeKey,
    request: &FetchRequest,
) -> Option<FetchResponse> {
    let log = ChainLog::new(store);
    let admit = |id: &SnapshotId| match id.kind {
        SnapshotKind::Public => Ok(()),
        SnapshotKind::Private if record.validators.iter().any(|seat| seat.node_key.0 == *asker) => Ok(()),
        SnapshotKind::Private => Err(NoSnapshot::NoSeat),
    };
    Some(match request {
        FetchRequest::Blocks { from, limit } => {
            let first = log.first().ok()?;
            if *from < first {
                FetchResponse::Pruned { first }
            } else {
                FetchResponse::Blocks(blocks(store, *from, (*limit).min(MAX_BLOCKS_PER_FETCH)))
            }
        }
        FetchRequest::Epochs { from } => FetchResponse::Epochs(epochs(log, *from)),
        FetchRequest::Manifest(id) => FetchResponse::Manifest(admit(id).and_then(|()| manifest(log, *id))),
        FetchRequest::Chunk { snapshot, index } => {
            let chunk = || {
                let manifest = manifest(log, *snapshot)?;
                let held = log.chunk(&manifest, *index).ok().flatten();
                held.filter(|_| *index < manifest.count())
                    .ok_or(NoSnapshot::NotHeld {
                        newest: Some(snapshot.epoch),
                    })
            };
            FetchResponse::Chunk(admit(snapshot).and_then(|()| chunk()))
        }
        FetchRequest::Batches(_)
        | FetchRequest::Submit(_)
        | FetchRequest::System(_)
        | FetchRequest::Share { .. }
        | FetchRequest::Standing
        | FetchRequest::Hello(_) => return None,
    })
}

fn manifest(log: ChainLog<'_>, id: SnapshotId) -> Result<Manifest, NoSnapshot> {
    let held = log.manifest(id).ok().flatten();
    held.ok_or_else(|| NoSnapshot::NotHeld {
        newest: log.newest_snapshot(id.kind).ok().flatten(),
    })
}

/// Epochs from one on, until there are no more or the answer is long enough.
fn epochs(log: ChainLog<'_>, from: Epoch) -> Vec<EpochLink> {
    let mut bytes = 0;
    let links = (from.max(1)..=Epoch::MAX).map_while(|epoch| log.epoch(epoch).ok().flatten());
    let fits = links.take_while(|link| {
        let first = bytes == 0;
        bytes += borsh::object_length(link).unwrap_or(FETCH_ANSWER_TARGET_BYTES);
        first || bytes <= FETCH_ANSWER_TARGET_BYTES
    });
    fits.take(MAX_LINKS_PER_FETCH).collect()
}

/// Committed blocks from a height on, until there are no more or the answer is long enough.
fn blocks(store: &dyn Store, from: Height, limit: u16) -> Vec<SyncBlock> {
    let mut answer = Vec::new();
    let mut bytes = 0;
    for height in (from..=Height::MAX).take(usize::from(limit)) {
        let Some(block) = sync_block(store, height) else {
            break;
        };
        bytes += borsh::object_length(&block).unwrap_or(FETCH_ANSWER_TARGET_BYTES);
        if bytes > FETCH_ANSWER_TARGET_BYTES && !answer.is_empty() {
            break;
        }
        answer.push(block);
    }
    answer
}

/// A committed block with all that goes with it; `None` while one part is missing.
pub fn sync_block(store: &dyn Store, height: Height) -> Option<SyncBlock> {
    let log = ChainLog::new(store);
    let committed = log.block(height).ok().flatten()?;
    let mut batches = Vec::new();
    for digest in &committed.block.payload.batches {
        batches.push(log.batch(digest).ok().flatten()?);
    }
    let mut receipts = Vec::new();
    for id in log.result(height).ok().flatten()?.envelopes {
        // An observer that has not got this receipt yet has none of the later ones to give either.
        let Some(stored) = log.receipt(&id).ok().flatten() else {
            break;
        };
        receipts.push(stored.sealed);
    }
    Some(SyncBlock {
        committed,
        batches,
        receipts,
    })
}
