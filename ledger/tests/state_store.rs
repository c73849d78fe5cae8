//! The store's contract, for every implementation; the lying one's lies; and the chain's typed records.

use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Digest, Executed, Header, Payload, Signature,
};
use tacit_ledger::*;

/// What every store must do. `open` gives the same store again after `drop`.
fn contract<S: Store>(open: impl Fn(Option<S>) -> S) {
    let store = open(None);
    let blocks = |store: &S, from: &[u8], limit, reverse| -> Vec<u8> {
        let entries = store.scan(Column::Blocks, from, limit, reverse).unwrap();
        entries.into_iter().map(|(key, _)| key[0]).collect()
    };
    assert_eq!(store.get(Column::Blocks, b"none"), Ok(None));
    assert!(blocks(&store, &[], 9, false).is_empty() && blocks(&store, &[], 9, true).is_empty());
    let mut batch = WriteBatch::new();
    for n in [5u8, 1, 3, 9, 7] {
        batch.put(Column::Blocks, [n, 0], [n]);
    }
    batch.put(Column::Frames, [4, 0], *b"elsewhere");
    batch.put(Column::Frames, *b"empty", []);
    store.commit(batch, Durability::Synced).unwrap();
    assert_eq!(store.get(Column::Blocks, &[3, 0]), Ok(Some(vec![3])));
    assert_eq!(store.get(Column::Txs, &[3, 0]), Ok(None));
    assert_eq!(store.get(Column::Frames, b"empty"), Ok(Some(vec![])));

    assert_eq!(blocks(&store, &[], 9, false), [1, 3, 5, 7, 9]);
    assert_eq!(blocks(&store, &[], 9, true), [9, 7, 5, 3, 1]);
    assert_eq!(blocks(&store, &[], 2, false), [1, 3]);
    assert_eq!(blocks(&store, &[], 2, true), [9, 7]);
    assert_eq!(blocks(&store, &[3, 0], 9, false), [3, 5, 7, 9]);
    assert_eq!(blocks(&store, &[3, 0], 9, true), [3, 1]);
    assert_eq!(blocks(&store, &[4, 0], 9, false), [5, 7, 9]);
    assert_eq!(blocks(&store, &[4, 0], 9, true), [3, 1]);
    assert_eq!(blocks(&store, &[255], 9, false), [0u8; 0]);
    assert_eq!(blocks(&store, &[255], 9, true), [9, 7, 5, 3, 1]);
    assert_eq!(blocks(&store, &[0], 9, true), [0u8; 0]);
    assert_eq!(blocks(&store, &[], 0, false), [0u8; 0]);

    // Within a batch the last write of a key counts.
    let mut batch = WriteBatch::new();
    batch.put(Column::Blocks, [1, 0], [11]);
    batch.delete(Column::Blocks, [1, 0]);
    batch.delete(Column::Blocks, [3, 0]);
    batch.put(Column::Blocks, [3, 0], [33]);
    batch.delete(Column::Blocks, *b"never there");
    store.commit(batch, Durability::Lazy).unwrap();
    assert_eq!(store.get(Column::Blocks, &[1, 0]), Ok(None));
    assert_eq!(store.get(Column::Blocks, &[3, 0]), Ok(Some(vec![33])));
    store.commit(WriteBatch::new(), Durability::Synced).unwrap();

    let store = open(Some(store));
    assert_eq!(blocks(&store, &[], 9, false), [3, 5, 7, 9]);
    assert_eq!(store.get(Column::Blocks, &[3, 0]), Ok(Some(vec![33])));

    typed_records(&store);
}

fn block(height: u64) -> Block {
    let executed = Executed::default();
    let anchor = Anchor {
        epoch: 1,
        block: Digest([1; 32]),
        height: 0,
        time_ms: 0,
        executed,
    };
    let header = Header {
        chain: Digest([1; 32]),
        epoch: 1,
        height,
        view: height,
        parent: Digest::ZERO,
        time_ms: height,
        payload_root: Payload::default().root(),
        executed,
        next_epoch: None,
    };
    let justify = Certificate::genesis(&anchor);
    let (payload, signature) = (Payload::default(), Signature([0; 64]));
    Block {
        header,
        payload,
        justify,
        timeout: None,
        commit: None,
        signature,
    }
}

fn committed(height: u64) -> CommittedBlock {
    let block = block(height);
    let proof = CommitProof {
        certificate: block.justify.clone(),
        path: Vec::new(),
    };
    CommittedBlock { block, proof }
}

/// The chain's records over any store.
fn typed_records(store: &dyn Store) {
    for column in Column::ALL {
        let mut batch = WriteBatch::new();
        for (key, _) in store.scan(column, &[], usize::MAX, false).unwrap() {
            batch.delete(column, key);
        }
        store.commit(batch, Durability::Lazy).unwrap();
    }
    let log = ChainLog::new(store);
    assert_eq!(
        (log.head(), log.newest_result(), log.checkpoint()),
        (Ok(None), Ok(None), Ok(None))
    );
    let mut batch = WriteBatch::new();
    batch.put_pending(&block(300));
    batch.put_pending(&block(255));
    store.commit(batch, Durability::Synced).unwrap();
    assert_eq!(log.pending(9), Ok(vec![block(255), block(300)]));
    let mut batch = WriteBatch::new();
    for height in [255, 256, 300] {
        batch.put_block(&committed(height));
        let executed = Executed {
            height,
            ..Executed::default()
        };
        let envelopes = vec![Digest([height as u8; 32])];
        batch.put_result(&BlockResult {
            executed,
            receipts: Digest::ZERO,
            envelopes,
        });
        batch.put_frame(height, vec![height as u8; 3]);
    }
    let id = Digest([7; 32]);
    let tx = TxRecord {
        id,
        height: 255,
        index: 2,
        epoch: 1,
        size_class: 512,
        expiry_height: 900,
        bytes: vec![1; 9],
    };
    let receipt = StoredReceipt {
        height: 255,
        index: 2,
        sealed: SealedReceipt::unopened(&id),
    };
    batch.put_tx(&tx);
    batch.put_receipt(&id, &receipt);
    store.commit(batch, Durability::Synced).unwrap();
    assert_eq!(log.pending(9), Ok(vec![]));
    assert_eq!(log.head(), Ok(Some(committed(300))));
    assert_eq!(log.block(256), Ok(Some(committed(256))));
    assert_eq!(log.block(257), Ok(None));
    assert_eq!(log.block_height(&block(300).id()), Ok(Some(300)));
    assert_eq!(log.blocks_from(256, 9), Ok(vec![committed(256), committed(300)]));
    assert_eq!(
        log.newest_blocks(Some(299), 9),
        Ok(vec![committed(256), committed(255)])
    );
    assert_eq!(log.newest_blocks(None, 1), Ok(vec![committed(300)]));
    assert_eq!(log.newest_result().unwrap().unwrap().executed.height, 300);
    assert_eq!((log.tx(&id), log.receipt(&id)), (Ok(Some(tx)), Ok(Some(receipt))));
    assert_eq!(
        log.frames_from(256, 9),
        Ok(vec![(256, vec![0; 3]), (300, vec![44; 3])])
    );

    let sealed: Vec<u8> = (0..2 * CHECKPOINT_CHUNK + 5).map(|n| n as u8).collect();
    let mut batch = WriteBatch::new();
    batch.put_checkpoint(200, &sealed[..10]);
    batch.put_checkpoint(256, &sealed);
    store.commit(batch, Durability::Synced).unwrap();
    assert!(log.checkpoint() == Ok(Some((256, sealed.clone()))));
    let prune = log.prune_below(256, None, 9).unwrap();
    assert_eq!(prune.ops.len(), 2 + 2);
    store.commit(prune, Durability::Synced).unwrap();
    assert_eq!(log.frames_from(0, 9), Ok(vec![(300, vec![44; 3])]));
    assert!(log.checkpoint() == Ok(Some((256, sealed))));
    assert!(log.prune_below(256, None, 9).unwrap().is_empty());

    let mut batch = WriteBatch::new();
    batch.put(Column::Blocks, height_key(1), [1, 2, 3]);
    store.commit(batch, Durability::Lazy).unwrap();
    assert!(matches!(
        log.block(1),
        Err(StoreError::Corrupt {
            column: Column::Blocks,
            ..
        })
    ));
    let mut batch = WriteBatch::new();
    batch.delete(Column::Checkpoints, chunk_key(256, 1));
    store.commit(batch, Durability::Lazy).unwrap();
    assert_eq!(
        log.checkpoint(),
        Err(StoreError::Missing {
            column: Column::Checkpoints
        })
    );
}

#[test]
fn the_memory_store_keeps_the_contract() {
    contract(|store: Option<MemoryStore>| {
        let store = store.unwrap_or_default();
        store.crash(); // after a synced commit, nothing is lost
        store
    });
}

#[cfg(feature = "rocksdb-store")]
#[test]
fn the_disk_store_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    contract(|store: Option<RocksStore>| {
        drop(store);
        RocksStore::open(home.path().join("db")).unwrap()
    });
}

#[cfg(feature = "rocksdb-store")]
#[test]
fn one_directory_is_opened_once() {
    let home = tempfile::tempdir().unwrap();
    let _held = RocksStore::open(home.path()).unwrap();
    let second = RocksStore::open(home.path()).err();
    assert!(matches!(
        second,
        Some(StoreError::Failed {
            operation: "open",
            ..
        })
    ));
}

fn put(store: &MemoryStore, n: u8, durability: Durability) -> Result<(), StoreError> {
    let mut batch = WriteBatch::new();
    batch.put(Column::Meta, [n], [n]);
    batch.put(Column::Meta, *b"last", [n]);
    store.commit(batch, durability)
}

fn keys(store: &MemoryStore) -> Vec<u8> {
    let entries = store.scan(Column::Meta, &[], 99, false).unwrap();
    entries
        .into_iter()
        .filter(|(key, _)| key.len() == 1)
        .map(|(key, _)| key[0])
        .collect()
}

fn last(store: &MemoryStore) -> Option<Vec<u8>> {
    store.get(Column::Meta, b"last").unwrap()
}

#[test]
fn a_crash_loses_what_was_not_synced_and_nothing_else() {
    let store = MemoryStore::new();
    put(&store, 1, Durability::Lazy).unwrap();
    put(&store, 2, Durability::Synced).unwrap();
    put(&store, 3, Durability::Lazy).unwrap();
    put(&store, 4, Durability::Lazy).unwrap();
    assert_eq!((keys(&store), store.unsynced()), (vec![1, 2, 3, 4], 2));
    store.crash();
    assert_eq!((keys(&store), last(&store)), (vec![1, 2], Some(vec![2])));
    store.crash();
    assert_eq!(keys(&store), [1, 2]);
}

#[test]
fn a_crash_may_keep_a_prefix_of_what_was_not_synced() {
    let store = MemoryStore::new();
    for n in 1..5 {
        put(&store, n, Durability::Lazy).unwrap();
    }
    store.crash_keeping(2);
    assert_eq!((keys(&store), last(&store)), (vec![1, 2], Some(vec![2])));
    store.crash();
    assert_eq!(keys(&store), [1, 2], "what survived one crash is on the disk");
}

#[test]
fn a_failed_write_writes_nothing_and_a_failed_sync_is_lost_in_a_crash() {
    let store = MemoryStore::new();
    store.fail_write(1);
    put(&store, 1, Durability::Synced).unwrap();
    let failed = put(&store, 2, Durability::Synced);
    assert!(matches!(
        failed,
        Err(StoreError::Failed {
            operation: "write",
            ..
        })
    ));
    assert_eq!((keys(&store), last(&store)), (vec![1], Some(vec![1])));
    store.fail_sync(0);
    put(&store, 3, Durability::Lazy).unwrap();
    let failed = put(&store, 4, Durability::Synced);
    assert!(matches!(
        failed,
        Err(StoreError::Failed {
            operation: "sync",
            ..
        })
    ));
    assert_eq!(keys(&store), [1, 3, 4]);
    store.crash();
    assert_eq!(keys(&store), [1]);
    put(&store, 5, Durability::Synced).unwrap();
    store.crash();
    assert_eq!((keys(&store), store.counts()), (vec![1, 5], (5, 3)));
}

/// What a newcomer fetches stands where checkpoints do, and is none before it is whole.
#[test]
fn a_snapshot_is_a_checkpoint_once_it_is_whole_and_not_before() {
    let store = MemoryStore::new();
    let log = ChainLog::new(&store);
    let commit = |change: &dyn Fn(&mut WriteBatch)| {
        let mut batch = WriteBatch::new();
        change(&mut batch);
        store.commit(batch, Durability::Lazy).unwrap();
    };
    let sealed: Vec<u8> = (0..CHECKPOINT_CHUNK + 9).map(|n| n as u8).collect();
    let id = SnapshotId {
        kind: SnapshotKind::Private,
        epoch: 7,
    };
    let manifest = Manifest::of(id, 500, &sealed);
    commit(&|batch| batch.put_checkpoint(400, &sealed[..5]));
    commit(&|batch| {
        batch.put_fetching(&manifest);
        batch.put_chunk(&manifest, 1, &sealed[CHECKPOINT_CHUNK..]);
    });
    assert_eq!(log.fetching(), Ok(Some(manifest.clone())));
    assert_eq!(log.checkpoint_height(), Ok(Some(400)), "the newest whole one");
    assert_eq!(log.checkpoint().unwrap().unwrap().1, sealed[..5]);
    assert_eq!(
        (log.manifest(id), log.newest_snapshot(id.kind)),
        (Ok(None), Ok(None))
    );
    assert_eq!(log.chunk(&manifest, 0), Ok(None));

    commit(&|batch| batch.put_chunk(&manifest, 0, &sealed[..CHECKPOINT_CHUNK]));
    commit(&|batch| batch.complete_snapshot(&manifest));
    assert_eq!(log.fetching(), Ok(None));
    assert_eq!(log.checkpoint_height(), Ok(Some(500)));
    assert!(log.checkpoint() == Ok(Some((500, sealed.clone()))));
    assert_eq!(log.manifest(id), Ok(Some(manifest.clone())));
    assert_eq!(log.newest_snapshot(id.kind), Ok(Some(7)));
    assert_eq!(log.newest_snapshot(SnapshotKind::Public), Ok(None));

    // A later checkpoint prunes what is between, and neither itself nor the one that is kept.
    commit(&|batch| {
        batch.put_checkpoint(600, &sealed);
        batch.put_checkpoint(700, &sealed[..3]);
    });
    let prune = log.prune_below(700, Some(500), 99).unwrap();
    store.commit(prune, Durability::Lazy).unwrap();
    assert!(log.prune_below(700, Some(500), 99).unwrap().is_empty());
    assert_eq!(log.checkpoint_height(), Ok(Some(700)));
    assert!(log.chunk(&manifest, 0) == Ok(Some(sealed[..CHECKPOINT_CHUNK].to_vec())));
    let left = store.scan(Column::Checkpoints, &[], 99, false).unwrap();
    assert_eq!(left.len(), 3 + 2);

    // What is given up leaves nothing, and a partial one is pruned like a whole one.
    let next = Manifest::of(SnapshotId { epoch: 8, ..id }, 800, &sealed);
    commit(&|batch| {
        batch.put_fetching(&next);
        batch.put_chunk(&next, 0, &sealed[..CHECKPOINT_CHUNK]);
    });
    commit(&|batch| batch.abandon_snapshot(&next));
    assert_eq!((log.fetching(), log.chunk(&next, 0)), (Ok(None), Ok(None)));
    commit(&|batch| batch.put_chunk(&next, 1, &sealed[CHECKPOINT_CHUNK..]));
    let prune = log.prune_below(900, None, 99).unwrap();
    store.commit(prune, Durability::Lazy).unwrap();
    assert!(
        store
            .scan(Column::Checkpoints, &[], 99, false)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn public_snapshots_and_recent_headers_come_back_as_they_were_stored() {
    let store = MemoryStore::new();
    let log = ChainLog::new(&store);
    let bytes: Vec<u8> = (0..2 * CHECKPOINT_CHUNK + 1).map(|n| (n % 13) as u8).collect();
    let mut batch = WriteBatch::new();
    let manifest = batch.put_public_snapshot(4, 77, &bytes);
    store.commit(batch, Durability::Lazy).unwrap();
    assert_eq!(log.manifest(manifest.id), Ok(Some(manifest.clone())));
    let chunks: Vec<u8> = (0..manifest.count())
        .flat_map(|index| log.chunk(&manifest, index).unwrap().unwrap())
        .collect();
    assert!(chunks == bytes);
    let mut batch = WriteBatch::new();
    batch.delete_snapshot(&manifest);
    store.commit(batch, Durability::Lazy).unwrap();
    assert!(store.scan(Column::Snapshots, &[], 9, false).unwrap().is_empty());

    for height in [1, 2, 3, RECENT_BLOCKS + 2] {
        let mut batch = WriteBatch::new();
        batch.put_block(&committed(height));
        store.commit(batch, Durability::Lazy).unwrap();
    }
    let headers = log.headers_from(0, 9).unwrap();
    let heights: Vec<u64> = headers.iter().map(|header| header.height).collect();
    assert_eq!(
        heights,
        [1, 3, RECENT_BLOCKS + 2],
        "the one that fell out of the window is gone"
    );
    assert_eq!((log.first(), log.deleted()), (Ok(1), Ok(1)));
    let mut batch = WriteBatch::new();
    batch.put_first(9);
    batch.put_deleted(5);
    store.commit(batch, Durability::Lazy).unwrap();
    assert_eq!((log.first(), log.deleted()), (Ok(9), Ok(5)));
}
