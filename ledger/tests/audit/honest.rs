//! Chains that keep to the rules pass, and are counted right.

use tacit_attest::Platform;
use tacit_ledger::*;

use crate::{
    maker::{Folder, Maker, genesis},
    story::{KINDS, story},
    world::{Applicant, HOUR, Machine},
};

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
    assert_eq!((summary.turns, summary.epoch), (6, 6));
    assert_eq!((summary.pruned, summary.resumed), (None, false));
    let platforms = |name: &str| summary.validators[name].iter().copied().collect::<Vec<_>>();
    assert_eq!(summary.validators.len(), 5);
    assert_eq!(platforms("val-0"), [Platform::Simulated]);
    assert_eq!(platforms("val-3"), [Platform::SimulatedTdx]);
    assert_eq!(
        summary.registrations, 9,
        "four founders, four renewals, one newcomer"
    );
    assert_eq!(summary.suspensions, 1, "a conviction");
    assert_eq!((summary.policies, summary.contributions), (1, 11));
    assert_eq!((summary.batches, summary.envelopes), (7, 9));
    assert_eq!((summary.unopened, summary.idle), (1, 1));
    assert_eq!(summary.certified.height, story.head - 1);
    assert_eq!(summary.certified.supply, 1_500 * UNIT);
}

#[test]
fn a_folder_without_a_chain_is_named() {
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

/// The public state after a block.
fn state_at(height: u64) -> PublicState {
    let mut state = PublicState::genesis(&story().genesis);
    for height in 1..=height {
        state.apply(&story().folder.block(height).block).unwrap();
    }
    state
}

/// What a node keeps of a closing block for newcomers.
fn offer(folder: &mut Folder, closing: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let state = state_at(closing);
    let headers = (1..=closing).map(|height| story().folder.block(height).block.header);
    let snapshot = PublicSnapshot::new(headers.collect(), &state);
    let mut bytes = snapshot.to_bytes();
    change(&mut bytes);
    let epoch = state.current().epoch;
    folder.put(|writes| drop(writes.put_public_snapshot(epoch, closing, &bytes)));
}

#[test]
fn a_pruned_chain_is_followed_by_its_epochs_and_says_so() {
    let story = story();
    let mut folder = story.folder.clone();
    folder.prune(story.closing);
    let summary = folder.audit(&story.genesis).unwrap();
    assert_eq!(
        (summary.pruned, summary.resumed),
        (Some(story.closing + 1), false)
    );
    assert_eq!((summary.turns, summary.epoch), (6, 6));
    assert_eq!(summary.blocks, story.head - story.closing);
    assert_eq!(summary.validators.len(), 5);
    let whole = story.folder.audit(&story.genesis).unwrap();
    assert_eq!((summary.head, summary.certified), (whole.head, whole.certified));
}

#[test]
fn blocks_that_are_deleted_bit_by_bit_are_not_missed() {
    let story = story();
    let mut folder = story.folder.clone();
    folder.prune(story.repeated);
    // Said first, done later.
    folder.put(|writes| writes.put_first(story.closing));
    let summary = folder.audit(&story.genesis).unwrap();
    assert_eq!(summary.blocks, story.head - story.closing);
}

#[test]
fn where_the_public_state_is_kept_a_pruned_chain_is_checked_from_there() {
    let story = story();
    for (kept, lane) in [(story.closing, "five"), (story.second_closing, "four")] {
        let mut folder = story.folder.clone();
        folder.prune(story.closing);
        offer(&mut folder, kept, |_| ());
        let summary = folder
            .audit(&story.genesis)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(summary.resumed, "from {kept}");
        assert_eq!(summary.pruned, Some(story.closing + 1));
        assert_eq!(
            summary.validators["val-3"].len(),
            1,
            "platforms are known again, of {lane} epochs"
        );
    }
}

#[test]
fn a_kept_public_state_that_is_another_one_is_refused() {
    let story = story();
    let audit = |change: fn(&mut Vec<u8>)| {
        let mut folder = story.folder.clone();
        folder.prune(story.closing);
        offer(&mut folder, story.closing, change);
        let error = folder.audit(&story.genesis).unwrap_err();
        (error.code(), error.height)
    };
    assert_eq!(
        audit(|bytes| bytes.truncate(5_000)),
        ("chain.state", story.closing)
    );
    assert_eq!(
        audit(|bytes| *bytes.last_mut().unwrap() ^= 1),
        ("chain.state", story.closing)
    );
    // Everything in it fits the chain of epochs, and the network's constants are others.
    let longer = |bytes: &mut Vec<u8>| {
        let length = story_genesis_epoch();
        let place = bytes
            .windows(8)
            .position(|part| part == length)
            .expect("parameters");
        bytes[place] ^= 1;
    };
    assert_eq!(audit(longer), ("chain.public_root", story.closing + 1));
}

/// The longest epoch as it is encoded.
fn story_genesis_epoch() -> [u8; 8] {
    story().genesis.params.epoch_ms_max.to_le_bytes()
}

#[test]
fn a_protocol_that_this_program_does_not_speak_is_named() {
    let mut genesis = genesis(&KINDS, HOUR);
    let next = PROTOCOL_VERSION + 1;
    let place = RegistrationPlace::founder(genesis.nonce, genesis.policy.version);
    let founder = |(n, kind)| Applicant {
        protocol: next,
        ..Applicant::founder(n, Machine::new(kind, n))
    };
    genesis.protocol = next;
    genesis.validators = (0u8..)
        .zip(KINDS)
        .map(|one| founder(one).register(&place))
        .collect();
    genesis.verify().unwrap();
    let mut maker = Maker::new(genesis);
    maker.turn();
    let (genesis, folder) = maker.done();
    let error = folder.audit(&genesis).unwrap_err();
    assert_eq!((error.code(), error.height), ("protocol.unsupported", 1));
}
