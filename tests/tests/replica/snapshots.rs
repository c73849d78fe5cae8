//! Who has a seat and no private state takes a snapshot of it, whatever peers send instead.

use std::{cell::Cell, rc::Rc};

use tacit_consensus::{Digest, Epoch};
use tacit_ledger::{
    ChainLog, Column, Durability, EpochReason, Manifest, Outcome, SnapshotId, SnapshotKind, Store,
    WriteBatch, chunk_key,
};
use tacit_node::{
    replica::Offence,
    serving,
    wire::{FetchRequest, FetchResponse, NoSnapshot},
};

use tacit_tests::sim::{
    founders::{alice, bob, node_key},
    world::{CrookedServer, Options, World},
};

/// A state of three chunks, in epochs that end when membership changes.
fn options() -> Options {
    let mut options = Options {
        accounts: 19_000,
        ..Options::default()
    };
    options.params.epoch_ms_min = 1_000;
    options
}

/// With its seat it lost the KEM key of it: it attests again with a fresh one, and has all of it from the next epoch on.
#[test]
fn who_lost_its_seat_and_has_one_again_takes_the_state_and_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(100_000));
    world.suspend(3);
    world.transfer(0, &alice(), 0, bob().id());
    world.reinstate(3);
    world.settle();
    assert_eq!(world.nodes[3].up().supply(), None);
    let (renewal, epoch) = (world.renewal(3), world.record().epoch);
    world.carry_through(3, &renewal);
    world.run_until("the epoch after", 150_000, |world| world.record().epoch > epoch);
    world.until_it_votes(3);
    let node = &world.nodes[3];
    assert!(
        node.seen
            .chunks
            .iter()
            .all(|(id, _)| id.kind == SnapshotKind::Private)
    );
    assert!(!node.seen.chunks.is_empty());
    assert!(node.up().snapshot_progress().is_none());
    // Its vote is needed now, and its state is everybody's.
    world.crash(0);
    let receipt = world.transfer(3, &alice(), 1, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied);
    world.start(0);
    world.settle();
    assert_eq!(world.nodes[3].up().supply(), world.nodes[1].up().supply());
    world.assert_calm();
}

#[test]
fn a_fifth_joins_takes_the_state_votes_and_keeps_it_over_a_restart() {
    let (mut world, newcomer) = World::with_newcomer(options());
    world.transfer(0, &alice(), 0, bob().id());
    world.give_seat(newcomer);
    assert_eq!(world.record().reason, EpochReason::Membership);
    // The chain goes on while it fetches.
    world.transfer_among(0..4, &alice(), 1, bob().id());
    world.until_it_votes(newcomer);
    let mut asked = world.chunks_asked(newcomer);
    asked.sort_unstable();
    assert_eq!(asked, [0, 1, 2], "each chunk once");
    world.settle();
    world.transfer(newcomer, &alice(), 2, bob().id());
    // A quorum of five is four: without it nothing goes on when one more is down.
    world.crash(1);
    world.transfer(newcomer, &alice(), 3, bob().id());
    world.crash(newcomer);
    world.start(1);
    world.start(newcomer);
    world.settle();
    world.transfer(newcomer, &alice(), 4, bob().id());
    assert_eq!(world.chunks_asked(newcomer).len(), 3, "its own disk has it now");
    assert_eq!(world.nodes[newcomer].up().supply(), world.nodes[0].up().supply());
    world.assert_calm();
}

/// Checkpoints within the epoch do not push out the one that it began with.
#[test]
fn who_comes_late_in_an_epoch_still_finds_its_first_checkpoint() {
    let mut options = options();
    options.accounts = 0;
    options.params.heartbeat_ms = 100;
    let (mut world, newcomer) = World::with_newcomer(options);
    for other in 0..4 {
        world.cut.extend([(newcomer, other), (other, newcomer)]);
    }
    let registration = world.renewal(newcomer);
    world.carry_through_at(0, &registration);
    world.run_until("it has a seat", 20_000, |world| {
        world.record().validators.len() == 5
    });
    let start = world.record().start_height;
    world.run_until("a checkpoint later", 400_000, |world| world.top() > start + 1_100);
    assert_eq!(world.record().start_height, start, "the same epoch");
    let heights = [start - 1, start + 999];
    for node in &world.nodes[..4] {
        assert_eq!(
            node.log().checkpoint_height(),
            Ok(Some(heights[1])),
            "node {}",
            node.index
        );
    }
    world.heal();
    world.until_it_votes(newcomer);
    world.transfer(newcomer, &alice(), 0, bob().id());
    world.assert_calm();
}

/// What a crooked server makes of a chunk.
type Spoil = fn(Vec<u8>) -> FetchResponse;

/// Two of four serve chunks so; their manifests are right.
fn chunks_spoilt(spoil: Spoil) -> (World, usize) {
    let (mut world, newcomer) = World::with_newcomer(options());
    let crook: CrookedServer = Box::new(move |server, response| match response {
        FetchResponse::Chunk(Ok(chunk)) if server < 2 => spoil(chunk),
        other => other,
    });
    world.server = Some(crook);
    world.give_seat(newcomer);
    world.until_it_votes(newcomer);
    world.transfer(newcomer, &alice(), 0, bob().id());
    for honest in [2, 3, newcomer] {
        assert_eq!(world.blamed(honest), [], "node {honest} is honest");
    }
    (world, newcomer)
}

#[test]
fn chunks_that_are_not_what_their_manifest_names_are_refused_and_had_from_others() {
    let spoils: [(&str, Spoil); 5] = [
        ("another byte", |mut chunk| {
            if let Some(byte) = chunk.last_mut() {
                *byte ^= 1;
            }
            FetchResponse::Chunk(Ok(chunk))
        }),
        ("too long", |mut chunk| {
            chunk.push(0);
            FetchResponse::Chunk(Ok(chunk))
        }),
        ("much too long", |chunk| FetchResponse::Chunk(Ok(chunk.repeat(3)))),
        ("cut off", |mut chunk| {
            chunk.pop();
            FetchResponse::Chunk(Ok(chunk))
        }),
        ("another answer", |_| FetchResponse::Blocks(Vec::new())),
    ];
    for (what, spoil) in spoils {
        let (world, _) = chunks_spoilt(spoil);
        let blamed: Vec<Offence> = [0, 1].into_iter().flat_map(|crook| world.blamed(crook)).collect();
        assert!(!blamed.is_empty(), "{what}: it is noticed");
        assert!(
            blamed.iter().all(|offence| *offence == Offence::Invalid),
            "{what}"
        );
    }
}

#[test]
fn a_chunk_that_is_another_chunk_is_refused_and_had_from_others() {
    let (mut world, newcomer) = World::with_newcomer(options());
    let (mut first, mut answers): (Option<Vec<u8>>, u32) = (None, 0);
    let crook: CrookedServer = Box::new(move |_, response| match response {
        // The same one for each of the first questions, whoever is asked.
        FetchResponse::Chunk(Ok(chunk)) if answers < 4 => {
            answers += 1;
            let again = first.get_or_insert(chunk).clone();
            FetchResponse::Chunk(Ok(again))
        }
        other => other,
    });
    world.server = Some(crook);
    world.give_seat(newcomer);
    world.until_it_votes(newcomer);
    assert!((0..4).any(|crook| world.blamed(crook).contains(&Offence::Invalid)));
    world.transfer(newcomer, &alice(), 0, bob().id());
}

/// A server that has nothing is no liar: it may have turned to the next epoch in between.
#[test]
fn chunks_that_are_missing_are_had_from_others_and_nobody_is_blamed() {
    let (mut world, _) = chunks_spoilt(|_| FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest: None })));
    world.server = None;
    world.settle();
    world.assert_calm();
}

/// What a crooked server makes of a manifest, and whether no honest node could have sent it.
type Forge = fn(Manifest) -> Manifest;

#[test]
fn manifests_that_lie_are_outvoted_and_those_that_nobody_could_mean_are_blamed() {
    let forges: [(&str, bool, Forge); 7] = [
        ("other chunks", false, |mut manifest| {
            manifest.chunks.reverse();
            manifest
        }),
        ("a shorter state", false, |mut manifest| {
            manifest.bytes -= 1;
            manifest
        }),
        ("no bytes", true, |mut manifest| {
            (manifest.bytes, manifest.chunks) = (0, Vec::new());
            manifest
        }),
        ("more than any state has", true, |mut manifest| {
            manifest.bytes = u64::MAX;
            manifest
        }),
        ("too few digests", true, |mut manifest| {
            manifest.chunks.pop();
            manifest
        }),
        ("another height", true, |mut manifest| {
            manifest.height += 1;
            manifest
        }),
        ("another epoch", true, |mut manifest| {
            manifest.id.epoch += 1;
            manifest
        }),
    ];
    for (what, blamed, forge) in forges {
        let mut options = options();
        options.accounts = 0;
        let (mut world, newcomer) = World::with_newcomer(options);
        world.server = Some(Box::new(move |server, response| match response {
            FetchResponse::Manifest(Ok(manifest)) if server == 0 => {
                FetchResponse::Manifest(Ok(forge(manifest)))
            }
            other => other,
        }));
        world.give_seat(newcomer);
        world.until_it_votes(newcomer);
        assert_eq!(!world.blamed(0).is_empty(), blamed, "{what}");
        world.server = None;
        world.transfer(newcomer, &alice(), 0, bob().id());
    }
}

/// More than f lie alike, which a manifest cannot show: the contents do. Nothing is entered on, and when they stop lying
/// the newcomer has its state.
#[test]
fn a_state_that_more_than_f_forge_alike_does_not_open_and_is_named() {
    let mut options = options();
    options.accounts = 0;
    let (mut world, newcomer) = World::with_newcomer(options);
    let forged = vec![7u8; 4096 + 28];
    let lying = Rc::new(Cell::new(true));
    let lies = lying.clone();
    world.server = Some(Box::new(move |server, response| match response {
        FetchResponse::Manifest(Ok(manifest)) if server < 3 && lies.get() => {
            FetchResponse::Manifest(Ok(Manifest::of(manifest.id, manifest.height, &forged)))
        }
        FetchResponse::Chunk(Ok(_)) if server < 3 && lies.get() => FetchResponse::Chunk(Ok(forged.clone())),
        other => other,
    }));
    world.give_seat(newcomer);
    world.run_until("it does not open", 30_000, |world| {
        world.refused(newcomer) == Some("snapshot.sealed")
    });
    world.run_for(5_000);
    assert_eq!(world.nodes[newcomer].up().supply(), None, "nothing is entered on");
    assert!(!world.votes(newcomer));
    assert!((0..3).any(|liar| !world.blamed(liar).is_empty()));
    assert_eq!(world.blamed(3), []);
    lying.set(false);
    world.until_it_votes(newcomer);
    world.transfer(newcomer, &alice(), 0, bob().id());
}

#[test]
fn peers_that_stop_answering_are_left_for_others_and_come_back() {
    let (mut world, newcomer) = World::with_newcomer(options());
    // A newcomer needs the word of three others before it signs; the fourth never answers, and for a while nobody does.
    world.give_seat(newcomer);
    world.run_until("it fetches", 10_000, |world| {
        world.nodes[newcomer].up().snapshot_progress().is_some()
    });
    world.silent.extend(0..4);
    world.run_for(12_000);
    assert_eq!(world.refused(newcomer), Some("snapshot.silent"));
    world.silent = [0].into();
    world.until_it_votes(newcomer);
    world.silent.clear();
    world.transfer(newcomer, &alice(), 0, bob().id());
    world.assert_calm();
}

#[test]
fn a_newcomer_that_nobody_answers_waits_and_says_so() {
    let (mut world, newcomer) = World::with_newcomer(options());
    let registration = world.renewal(newcomer);
    world.carry_through(newcomer, &registration);
    world.server = Some(Box::new(|_, response| match response {
        FetchResponse::Chunk(_) => FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest: None })),
        other => other,
    }));
    world.run_until("it fetches", 30_000, |world| world.refused(newcomer).is_some());
    world.run_for(30_000);
    assert_eq!(world.refused(newcomer), Some("snapshot.not_held"));
    let chunks = world.nodes[newcomer]
        .up()
        .snapshot_progress()
        .map(|progress| progress.chunks);
    assert_eq!(chunks, Some(3));
    assert_eq!(
        world.nodes[newcomer].height() + 1,
        world.record().start_height,
        "it stands at the start"
    );
    world.server = None;
    world.until_it_votes(newcomer);
    world.settle();
    world.assert_calm();
}

/// A newcomer of which every part of a fetch is interrupted once: power goes at each write in turn.
#[test]
fn a_newcomer_that_crashes_anywhere_on_the_way_joins_after_its_restart() {
    for k in 0..8 {
        let mut options = options();
        options.seed = k;
        let (mut world, newcomer) = World::with_newcomer(options);
        let registration = world.renewal(newcomer);
        world.carry_through(newcomer, &registration);
        world.run_until("it fetches", 30_000, |world| {
            world.nodes[newcomer].up().snapshot_progress().is_some()
        });
        world.nodes[newcomer].store.fail_write(k);
        let limit = world.now + 3_000;
        while world.nodes[newcomer].halted.is_none() && world.advance(limit) {}
        assert!(world.nodes[newcomer].halted.is_some(), "write {k} comes");
        world.crash(newcomer);
        world.run_for(300);
        world.start(newcomer);
        world.until_it_votes(newcomer);
        world.transfer(newcomer, &alice(), 0, bob().id());
        world.assert_calm();
    }
}

/// A process that is killed loses nothing of what it fetched, and fetches anew what its disk has spoilt.
#[test]
fn a_restart_goes_on_with_the_chunks_that_are_here_and_whole() {
    for spoil in [false, true] {
        let (mut world, newcomer) = World::with_newcomer(options());
        let given = Rc::new(Cell::new(0));
        let counted = given.clone();
        world.server = Some(Box::new(move |_, response| match response {
            FetchResponse::Chunk(Ok(chunk)) if counted.get() < 2 => {
                counted.set(counted.get() + 1);
                FetchResponse::Chunk(Ok(chunk))
            }
            FetchResponse::Chunk(_) => FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest: None })),
            other => other,
        }));
        world.give_seat(newcomer);
        world.run_until("two of three are here", 30_000, |world| {
            let progress = world.nodes[newcomer].up().snapshot_progress();
            progress.is_some_and(|progress| progress.have == 2)
        });
        let store = world.nodes[newcomer].store.clone();
        let manifest = ChainLog::new(&*store)
            .fetching()
            .expect("readable")
            .expect("a fetch");
        let here: Vec<u32> = (0..3)
            .filter(|index| {
                ChainLog::new(&*store)
                    .chunk(&manifest, *index)
                    .expect("readable")
                    .is_some()
            })
            .collect();
        assert_eq!(here.len(), 2);
        store.crash_keeping(usize::MAX);
        world.crash(newcomer);
        if spoil {
            let mut writes = WriteBatch::new();
            writes.put(
                Column::Checkpoints,
                chunk_key(manifest.height, here[0]),
                [1, 2, 3],
            );
            store.commit(writes, Durability::Synced).expect("written");
        }
        world.server = None;
        world.nodes[newcomer].seen.chunks.clear();
        world.start(newcomer);
        world.until_it_votes(newcomer);
        let mut asked = world.chunks_asked(newcomer);
        asked.sort_unstable();
        let mut wanted: Vec<u32> = (0..3)
            .filter(|index| !here[usize::from(spoil)..].contains(index))
            .collect();
        wanted.sort_unstable();
        assert_eq!(asked, wanted);
        world.transfer(newcomer, &alice(), 0, bob().id());
        world.assert_calm();
    }
}

/// The epoch ends before a newcomer has its state: it follows, and takes that of the next.
#[test]
fn an_epoch_that_ends_too_early_for_a_newcomer_is_followed_and_the_next_one_joined() {
    let mut options = options();
    options.params.epoch_ms_max = 10_000;
    let (mut world, newcomer) = World::with_newcomer(options);
    let withheld = Rc::new(Cell::new(true));
    let withhold = withheld.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Chunk(_) if withhold.get() => {
            FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest: None }))
        }
        other => other,
    }));
    world.give_seat(newcomer);
    let epoch = world.record().epoch;
    world.run_until("the epoch is over elsewhere", 60_000, |world| {
        world.record().epoch > epoch
    });
    assert_eq!(world.nodes[newcomer].epoch(), epoch);
    withheld.set(false);
    world.until_it_votes(newcomer);
    assert!(world.record().epoch > epoch);
    let kinds: Vec<SnapshotId> = world.nodes[newcomer]
        .seen
        .chunks
        .iter()
        .map(|(id, _)| *id)
        .collect();
    assert!(kinds.iter().any(|id| id.epoch == epoch) && kinds.iter().any(|id| id.epoch > epoch));
    assert!(!world.checker.voted(newcomer, epoch, "certify"));
    world.server = None;
    world.transfer(newcomer, &alice(), 0, bob().id());
    world.assert_calm();
}

#[test]
fn a_private_snapshot_is_given_to_seats_only_and_older_ones_are_gone() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    let stranger = node_key(7);
    let ask = |world: &World, asker: &[u8; 32], epoch: Epoch| {
        let (store, record) = (&world.nodes[0].store, world.nodes[0].up().record());
        let kind = SnapshotKind::Private;
        let request = FetchRequest::Manifest(SnapshotId { kind, epoch });
        serving::answer(&**store, record, asker, &request).expect("an answer")
    };
    assert_eq!(
        ask(&world, &stranger, 1),
        FetchResponse::Manifest(Err(NoSnapshot::NoSeat))
    );
    let first = ask(&world, &node_key(1), 1);
    assert!(matches!(first, FetchResponse::Manifest(Ok(_))));
    let others = |index: usize| {
        let log = world.nodes[index].log();
        let id = SnapshotId {
            kind: SnapshotKind::Private,
            epoch: 1,
        };
        log.manifest(id)
            .expect("readable")
            .map(|manifest| manifest.digest())
    };
    let digests: Vec<Option<Digest>> = (0..4).map(others).collect();
    assert!(digests[0].is_some() && digests.iter().all(|digest| *digest == digests[0]));
    world.run_until("epoch 3 begins", 30_000, |world| world.all_in(3));
    let gone = FetchResponse::Manifest(Err(NoSnapshot::NotHeld { newest: Some(3) }));
    assert_eq!(ask(&world, &node_key(1), 1), gone);
    world.assert_calm();
}
