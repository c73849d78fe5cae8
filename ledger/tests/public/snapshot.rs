//! Public snapshots: what a newcomer opens is what everybody has, and nothing else opens.

use tacit_attest::{Platform, Suspension};
use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::world::*;

/// An epoch that begins with some of everything in its state, and the snapshot of it.
fn scene() -> (World, Vec<u8>) {
    let mut world = World::new(&[GENOA; 5]);
    let looser = world.policy(|policy| policy.block_age_max += 1);
    let proposal = world.proposal(0, looser);
    world.block(&[SystemTx::Propose(proposal)]);
    let renewal = world.renewal(2, Machine::new(GENOA, 2));
    world.block(&[renewal]);
    let vote = SuspendVote::sign(
        world.chain(),
        1,
        Suspension::Platform(Platform::Tdx),
        0,
        &node_key(0),
    );
    world.block(&[SystemTx::Suspend(vote)]);
    let applicant = Applicant::new(7, Machine::new(GENOA, 7));
    let register = world.apply(&applicant);
    world.block(&[register]);
    world.change_members();
    let bytes = snapshot(&world);
    (world, bytes)
}

fn snapshot(world: &World) -> Vec<u8> {
    let count = PublicSnapshot::headers_at(world.state.height()) as usize;
    let headers = world.headers[world.headers.len() - count..].to_vec();
    PublicSnapshot::new(headers, &world.state).to_bytes()
}

fn open(world: &World, bytes: &[u8]) -> Result<PublicState, SnapshotError> {
    let link = world.links.last().expect("an epoch's end");
    PublicSnapshot::open(bytes, &world.chain(), link).map(|(_, state)| state)
}

fn root(state: &PublicState) -> Digest {
    state.root(state.height()).expect("the newest root")
}

#[test]
fn what_is_opened_is_the_state_and_goes_on_like_it() {
    let (mut world, bytes) = scene();
    let mut state = open(&world, &bytes).expect("it opens");
    assert_eq!(root(&state), root(&world.state));
    assert_eq!(state.to_bytes(), world.state.to_bytes());
    let block = world.draft(1_000, 0, &[]);
    let root = state.apply(&block).expect("it follows");
    assert_eq!(world.state.apply(&block), Ok(root));
}

#[test]
fn a_chain_longer_than_what_states_remember_has_the_newest_headers_only() {
    let mut world = World::new(&[GENOA; 4]);
    world.compared = false;
    while world.state.height() < RECENT_BLOCKS + 50 {
        world.block(&[]);
    }
    world.wait(world.genesis.params.epoch_ms_max);
    world.turn();
    let bytes = snapshot(&world);
    let state = open(&world, &bytes).expect("it opens");
    assert_eq!(state.to_bytes(), world.state.to_bytes());
    // One header fewer, one more.
    let count = PublicSnapshot::headers_at(world.state.height()) as usize;
    for count in [count - 1, count + 1] {
        let headers = world.headers[world.headers.len() - count..].to_vec();
        let bytes = PublicSnapshot::new(headers, &world.state).to_bytes();
        assert_eq!(
            open(&world, &bytes).map(drop).unwrap_err().code(),
            "snapshot.public"
        );
    }
}

/// A liar hashes what it likes: the first header claims the last height that there is, and the second names it.
#[test]
fn a_header_of_the_last_height_leads_nowhere() {
    let (world, _) = scene();
    let count = PublicSnapshot::headers_at(world.state.height()) as usize;
    let mut headers = world.headers[world.headers.len() - count..].to_vec();
    headers[0].height = u64::MAX;
    headers[1].parent = headers[0].id();
    let bytes = PublicSnapshot::new(headers, &world.state).to_bytes();
    assert_eq!(
        open(&world, &bytes).map(drop).unwrap_err().code(),
        "snapshot.public"
    );
}

/// One byte changed anywhere: it does not open, or its root is another one, which no certified header states.
#[test]
fn a_byte_changed_anywhere_is_noticed_before_or_by_the_root() {
    let (world, bytes) = scene();
    let (mut refused, mut other_root) = (0, 0);
    for place in (0..bytes.len()).step_by(bytes.len() / 1_500) {
        let mut bent = bytes.clone();
        bent[place] ^= 1 << (place % 8);
        match open(&world, &bent) {
            Err(error) => {
                assert_eq!(error.code(), "snapshot.public", "byte {place}");
                refused += 1;
            }
            Ok(state) => {
                assert_ne!(
                    root(&state),
                    root(&world.state),
                    "byte {place} is covered by nothing"
                );
                other_root += 1;
            }
        }
    }
    assert!(
        refused > 100 && other_root > 100,
        "{refused} refused, {other_root} by the root"
    );
}

#[test]
fn snapshots_of_another_epoch_cut_off_or_with_more_behind_them_are_refused() {
    let (mut world, bytes) = scene();
    let cut = &bytes[..bytes.len() - 1];
    let more = [&bytes[..], &[0]].concat();
    for bad in [cut, &more, &[], &[1; 64]] {
        assert_eq!(open(&world, bad).map(drop).unwrap_err().code(), "snapshot.public");
    }
    let mut version = bytes.clone();
    version[0] = 2;
    assert_eq!(
        open(&world, &version).map(drop).unwrap_err().code(),
        "snapshot.public"
    );
    world.wait(world.genesis.params.epoch_ms_max);
    world.turn();
    assert_eq!(
        open(&world, &bytes).map(drop).unwrap_err().code(),
        "snapshot.public"
    );
}

#[test]
fn a_manifest_admits_its_own_chunks_and_no_others() {
    let snapshot: Vec<u8> = (0..2 * CHECKPOINT_CHUNK + 77).map(|n| (n % 251) as u8).collect();
    let id = SnapshotId {
        kind: SnapshotKind::Private,
        epoch: 3,
    };
    let manifest = Manifest::of(id, 90, &snapshot);
    assert_eq!(manifest.check(id, 90), Ok(()));
    assert_eq!(
        (manifest.count(), manifest.chunk_bytes(2), manifest.chunk_bytes(3)),
        (3, 77, 0)
    );
    let chunks: Vec<&[u8]> = snapshot.chunks(CHECKPOINT_CHUNK).collect();
    for (index, chunk) in (0u32..).zip(&chunks) {
        assert_eq!(manifest.check_chunk(index, chunk), Ok(()));
        let longer = [chunk, &[0u8][..]].concat();
        for bad in [&chunk[1..], &longer, &[]] {
            let error = manifest.check_chunk(index, bad).unwrap_err();
            assert_eq!(error.code(), "snapshot.chunk_length");
        }
    }
    assert_eq!(
        manifest.check_chunk(0, chunks[1]),
        Err(SnapshotError::Chunk { index: 0 })
    );
    assert!(manifest.check_chunk(3, &[]).is_err() && manifest.check_chunk(u32::MAX, &[]).is_err());
    let changes: [fn(&mut Manifest); 7] = [
        |manifest| manifest.bytes = 0,
        |manifest| manifest.bytes = u64::MAX,
        |manifest| manifest.chunks.clear(),
        |manifest| manifest.chunks.push(Digest::ZERO),
        |manifest| manifest.height = 91,
        |manifest| manifest.id.epoch = 4,
        |manifest| manifest.id.kind = SnapshotKind::Public,
    ];
    for change in changes {
        let mut bent = manifest.clone();
        change(&mut bent);
        assert_eq!(bent.check(id, 90).unwrap_err().code(), "snapshot.manifest");
    }
}
