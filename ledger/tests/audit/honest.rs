//! Chains that keep to the rules pass, and are counted right.

use tacit_attest::Platform;
use tacit_ledger::*;

use crate::story::story;

#[test]
fn an_honest_chain_of_several_epochs_passes() {
    let story = story();
    let mut seen = Vec::new();
    let store = story.folder.store();
    let summary = audit_store(&store, &story.genesis, &first_bad, &mut |height| {
        seen.push(height)
    });
    let summary = summary.unwrap_or_else(|error| panic!("{error} [{}]", error.code()));
    assert_eq!(seen, (1..=story.head).collect::<Vec<_>>());
    assert_eq!(summary.chain, story.genesis.chain_id());
    assert_eq!((summary.blocks, summary.height), (story.head, story.head));
    assert_eq!((summary.turns, summary.epoch), (3, 3));
    assert_eq!((summary.pruned, summary.resumed), (None, false));
    let platforms = |name: &str| summary.validators[name].iter().copied().collect::<Vec<_>>();
    assert_eq!(summary.validators.len(), 4);
    assert_eq!(platforms("val-0"), [Platform::Simulated]);
    assert_eq!(platforms("val-3"), [Platform::SimulatedTdx]);
    assert_eq!(summary.registrations, 8, "four founders and four renewals");
    assert_eq!((summary.policies, summary.contributions), (1, 6));
    assert_eq!((summary.batches, summary.envelopes), (7, 9));
    assert_eq!((summary.unopened, summary.idle), (1, 1));
    assert_eq!(summary.certified.height, story.head - 1);
    assert_eq!(summary.certified.supply, 1_500 * UNIT);
}

#[test]
fn a_chain_that_just_began_passes_too() {
    let story = story();
    // What a node has stored before its first block.
    let meta = |key: &[u8]| story.folder.0[&(Column::Meta, key.to_vec())].clone();
    let store = MemoryStore::new();
    let mut writes = WriteBatch::new();
    writes.put(Column::Meta, meta::CHAIN, meta(meta::CHAIN));
    store.commit(writes, Durability::Synced).unwrap();
    let error = audit_store(&store, &story.genesis, &first_bad, &mut |_| {}).unwrap_err();
    assert_eq!((error.code(), error.height), ("chain.empty", 0));
}

#[test]
fn the_chain_is_the_same_from_a_folder_on_disk_that_is_only_read() {
    let story = story();
    let folder = tempfile::tempdir().unwrap();
    let store = RocksStore::open(folder.path()).unwrap();
    story.folder.store_into(&store);
    let from_memory = story.folder.audit(&story.genesis).unwrap();
    // While its writer has it open, and after.
    for _ in 0..2 {
        let reader = RocksStore::open_read_only(folder.path()).unwrap();
        let summary = audit_store(&reader, &story.genesis, &first_bad, &mut |_| {}).unwrap();
        assert_eq!(summary, from_memory);
        let mut writes = WriteBatch::new();
        writes.put(Column::Meta, b"x", b"y");
        assert!(
            reader.commit(writes, Durability::Synced).is_err(),
            "it is only read"
        );
    }
    drop(store);
    let reader = RocksStore::open_read_only(folder.path()).unwrap();
    assert_eq!(
        audit_store(&reader, &story.genesis, &first_bad, &mut |_| {}),
        Ok(from_memory)
    );
    let nothing = tempfile::tempdir().unwrap();
    assert!(RocksStore::open_read_only(nothing.path()).is_err());
    assert_eq!(
        std::fs::read_dir(nothing.path()).unwrap().count(),
        0,
        "nothing is made"
    );
}

/// What a node with the last epochs alone has.
fn pruned(below: u64) -> crate::maker::Folder {
    let mut folder = story().folder.clone();
    folder.0.retain(|(column, key), _| {
        let by_height = matches!(column, Column::Blocks | Column::Results);
        !by_height || key_height(key).is_some_and(|height| height >= below)
    });
    folder
}

#[test]
fn a_pruned_chain_is_followed_by_its_epochs_and_says_so() {
    let story = story();
    let first = story.closing + 1;
    let summary = pruned(first).audit(&story.genesis).unwrap();
    assert_eq!((summary.pruned, summary.resumed), (Some(first), false));
    assert_eq!((summary.turns, summary.epoch), (3, 3));
    assert_eq!(summary.blocks, story.head - story.closing);
    assert_eq!(summary.validators.len(), 4);
    let whole = story.folder.audit(&story.genesis).unwrap();
    assert_eq!((summary.head, summary.certified), (whole.head, whole.certified));
    // A beginning that is no epoch's is a gap.
    let error = pruned(first + 1).audit(&story.genesis).unwrap_err();
    assert_eq!((error.code(), error.height), ("chain.block_missing", first));
}

#[test]
fn where_the_public_state_is_known_a_pruned_chain_is_checked_from_there() {
    let story = story();
    let store = story.folder.store();
    let log = ChainLog::new(&store);
    let mut state = PublicState::genesis(&story.genesis);
    let mut auditor = Auditor::new(&story.genesis, &first_bad).unwrap();
    for height in 1..=story.closing {
        state.apply(&log.block(height).unwrap().unwrap().block).unwrap();
    }
    for epoch in 1..=2 {
        auditor.link(&log.epoch(epoch).unwrap().unwrap()).unwrap();
    }
    assert_eq!(auditor.next_height(), story.closing + 1);
    let mut other = PublicState::genesis(&story.genesis);
    other.apply(&log.block(1).unwrap().unwrap().block).unwrap();
    assert_eq!(auditor.resume(other).unwrap_err().code(), "chain.epoch_record");
    auditor.resume(state).unwrap();
    for height in story.closing + 1..=story.head {
        let committed = log.block(height).unwrap().unwrap();
        let batches: Vec<Batch> = committed
            .block
            .payload
            .batches
            .iter()
            .map(|digest| log.batch(digest).unwrap().unwrap())
            .collect();
        let envelopes = batches.iter().flat_map(|batch| &batch.envelopes);
        let receipts = envelopes
            .map(|envelope| {
                (
                    envelope.id(),
                    log.receipt(&envelope.id()).unwrap().unwrap().sealed,
                )
            })
            .collect();
        let audited = auditor.block(&AuditBlock {
            committed,
            batches,
            receipts,
        });
        assert!(audited.unwrap().public_root.is_some());
    }
    let summary = auditor.finish().unwrap();
    assert!(summary.resumed);
    assert_eq!(summary.validators["val-3"].len(), 1, "platforms are known again");
}
