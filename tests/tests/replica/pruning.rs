//! What nodes keep of the chain, what they say of the rest, and how those come up who find nobody that has it.

use std::{cell::Cell, rc::Rc};

use tacit_ledger::{Column, Manifest, Outcome, PublicSnapshot, SnapshotKind, Store};
use tacit_node::{
    replica::History,
    wire::{FetchResponse, NoSnapshot},
};

use tacit_tests::sim::{
    founders::{alice, bob},
    world::{Options, World},
};

const EPOCH_MS: u64 = 6_000;

#[test]
fn a_forgetful_observer_keeps_its_epochs_and_still_follows() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    let observer = world.add_forgetful_observer(1);
    world.transfer(0, &alice(), 0, bob().id());
    world.until_epoch(5);
    let node = &world.nodes[observer];
    let start = |epoch: u64| node.up().public().record(epoch).expect("a record").start_height;
    assert_eq!(node.up().first_kept(), start(node.epoch() - 1) - 1);
    assert_eq!(node.log().first(), Ok(node.up().first_kept()));
    assert!(node.seen.jumps.is_empty(), "it was there from the beginning");
    world.assert_same_chain(observer, 0);
    let receipt = world.transfer(1, &alice(), 1, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied, "proven by its own store too");
    world.assert_calm();
}

/// Nothing of a deleted block is left: no batch, no transaction, no receipt, no result, no way by its id.
#[test]
fn what_is_deleted_is_deleted_with_everything_that_came_with_it() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    for nonce in 0..3 {
        world.transfer(nonce as usize, &alice(), nonce, bob().id());
    }
    let renewal = world.renewal(2);
    world.carry_through(2, &renewal);
    let count = |world: &World, index: usize, column| {
        let store = &world.nodes[index].store;
        store
            .scan(column, &[], usize::MAX, false)
            .expect("readable")
            .len()
    };
    let columns = [
        Column::Blocks,
        Column::BlockIds,
        Column::Batches,
        Column::Txs,
        Column::System,
        Column::Receipts,
        Column::Results,
    ];
    assert!(columns.iter().all(|column| count(&world, 1, *column) > 0));
    world.until_epoch(5);
    world.forget([1], 1);
    let kept = (world.nodes[1].height() - world.nodes[1].up().first_kept() + 1) as usize;
    for column in columns {
        let expected = match column {
            Column::Blocks | Column::BlockIds | Column::Results => kept,
            _ => 0,
        };
        assert_eq!(count(&world, 1, column), expected, "{column:?}");
    }
    world.assert_same_chain(1, 0);
    world.transfer(1, &alice(), 3, bob().id());
    world.assert_calm();
}

#[test]
fn deleting_goes_on_after_a_crash_in_the_middle() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.until_epoch(8);
    for k in 0..6 {
        world.crash(1);
        world.nodes[1].history = History::Epochs(1.try_into().expect("one"));
        world.start(1);
        world.nodes[1].store.fail_write(k);
        let limit = world.now + 5_000;
        while world.nodes[1].halted.is_none() && world.advance(limit) {}
        world.crash(1);
        world.start(1);
        world.run_for(2_000);
        world.settle();
        assert_eq!(world.lowest(1), world.nodes[1].up().first_kept(), "write {k}");
        world.nodes[1].history = History::All;
    }
    world.assert_same_chain(1, 0);
    world.assert_calm();
}

#[test]
fn a_forgetful_node_that_comes_late_jumps_over_what_it_would_delete() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.transfer(0, &alice(), 0, bob().id());
    world.until_epoch(6);
    let (late, thorough) = (world.add_forgetful_observer(2), world.add_observer());
    world.caught_up(late);
    world.caught_up(thorough);
    let start = world.record().start_height;
    assert_eq!(world.nodes[late].seen.jumps, [start - 1]);
    assert!(
        world.nodes[thorough].seen.jumps.is_empty(),
        "who keeps all takes all"
    );
    assert!(world.nodes[late].seen.asked.0 < world.nodes[thorough].seen.asked.0 + 3);
    world.assert_same_chain(late, 0);
    assert_eq!(world.lowest(thorough), 1);
    // Over a restart, and another epoch's end, which it plays as everybody does.
    world.crash(late);
    world.start(late);
    world.transfer(1, &alice(), 1, bob().id());
    let epoch = world.record().epoch;
    world.until_epoch(epoch + 1);
    world.transfer(1, &alice(), 2, bob().id());
    world.assert_same_chain(late, 0);
    // And it hands out what it took.
    let next = world.add_forgetful_observer(1);
    for validator in 0..4 {
        world.cut.extend([(validator, next), (next, validator)]);
    }
    world.cut.extend([(thorough, next), (next, thorough)]);
    world.caught_up(next);
    assert_eq!(world.nodes[next].seen.jumps.len(), 1);
    world.assert_calm();
}

#[test]
fn who_wants_every_block_takes_a_snapshot_when_nobody_has_them() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.until_epoch(5);
    world.forget(0..4, 1);
    let first = world.nodes[0].up().first_kept();
    assert!(first > 1);
    let observer = world.add_observer();
    world.caught_up(observer);
    assert_eq!(world.nodes[observer].seen.jumps.len(), 1);
    world.assert_same_chain(observer, 0);
    world.transfer(0, &alice(), 0, bob().id());
    world.assert_calm();
}

/// It has a seat all the time, and nobody keeps what it missed: a public snapshot, its secret from a peer, the private one.
#[test]
fn a_validator_that_was_away_for_longer_than_anybody_keeps_comes_back_and_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(20_000));
    world.transfer(0, &alice(), 0, bob().id());
    world.crash(3);
    world.run_until("epochs later", 400_000, |world| world.record().epoch >= 5);
    world.forget(0..3, 1);
    world.transfer_among(0..3, &alice(), 1, bob().id());
    world.start(3);
    world.run_until("it votes", 60_000, |world| {
        world.checker.voted(3, world.record().epoch, "certify")
    });
    assert_eq!(world.nodes[3].seen.jumps.len(), 1);
    world.transfer(3, &alice(), 2, bob().id());
    assert_eq!(world.nodes[3].up().supply(), world.nodes[0].up().supply());
    world.assert_calm();
}

/// A machine that was never there: public snapshot, registration, private snapshot, votes; and it keeps little.
#[test]
fn a_fresh_machine_joins_over_snapshots_alone() {
    let mut options = Options::epochs_of(60_000);
    options.params.epoch_ms_min = 1_000;
    let mut world = World::at_epoch_1(options);
    world.transfer(0, &alice(), 0, bob().id());
    world.run_until("epochs later", 400_000, |world| world.record().epoch >= 5);
    world.settle();
    world.forget(0..4, 1);
    let newcomer = world.add_validator();
    world.caught_up(newcomer);
    let registration = world.renewal(newcomer);
    world.carry_through(newcomer, &registration);
    world.run_until("it votes", 60_000, |world| {
        world.checker.voted(newcomer, world.record().epoch, "certify")
    });
    let kinds = world.nodes[newcomer].seen.chunks.iter().map(|(id, _)| id.kind);
    assert!(kinds.eq([SnapshotKind::Public, SnapshotKind::Private]));
    world.transfer(newcomer, &alice(), 1, bob().id());
    world.assert_calm();
}

#[test]
fn who_says_that_it_pruned_what_it_has_is_penalised() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    // The first answers with blocks in them, whoever is asked.
    let lies = Rc::new(Cell::new(0));
    let told = lies.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Blocks(blocks) if told.get() < 2 && !blocks.is_empty() => {
            told.set(told.get() + 1);
            FetchResponse::Pruned { first: 1 }
        }
        other => other,
    }));
    let observer = world.add_observer();
    world.until_epoch(3);
    world.caught_up(observer);
    assert_eq!(lies.get(), 2);
    let blamed: usize = (0..4).map(|liar| world.blamed(liar).len()).sum();
    assert_eq!(blamed, 2);
    assert!(world.nodes[observer].seen.jumps.is_empty());
}

/// One peer alone says that all is pruned: the others are asked, and nobody jumps.
#[test]
fn a_single_peer_without_blocks_makes_nobody_jump() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.until_epoch(5);
    world.forget([0], 1);
    let observer = world.add_observer();
    world.caught_up(observer);
    assert!(world.nodes[observer].seen.jumps.is_empty());
    assert_eq!(world.lowest(observer), 1);
    world.assert_calm();
}

/// Found by the swarm (seed 801): the only peers at hand said that they had deleted blocks of an epoch which is not over; the node
/// looked for a snapshot of a later one, for ever.
#[test]
fn who_is_told_that_running_blocks_are_deleted_finds_out_and_goes_on() {
    let mut world = World::at_epoch_1(Options::default());
    world.crash(3);
    world.transfer(0, &alice(), 0, bob().id());
    let lying = Rc::new(Cell::new(true));
    let lies = lying.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Blocks(_) if lies.get() => FetchResponse::Pruned { first: u64::MAX },
        other => other,
    }));
    world.start(3);
    world.run_for(3_000);
    assert!(world.nodes[3].height() < world.top());
    lying.set(false);
    world.caught_up(3);
    assert!(world.nodes[3].seen.jumps.is_empty());
    world.crash(1);
    world.transfer(0, &alice(), 1, bob().id());
}

/// What one peer makes of what a jump asks for, whether it is blamed for it, and the refusal that names it.
type Crook = Box<dyn Fn(FetchResponse) -> FetchResponse>;

fn jump_past(crook: Crook) -> (World, usize, Rc<Cell<u32>>) {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.transfer(0, &alice(), 0, bob().id());
    world.until_epoch(5);
    let lies = Rc::new(Cell::new(0));
    let told = lies.clone();
    // Every peer but one lies: it is met sooner or later.
    world.server = Some(Box::new(move |server, response| {
        if server == 3 {
            return response;
        }
        let answer = crook(response.clone());
        told.set(told.get() + u32::from(answer != response));
        answer
    }));
    let late = world.add_forgetful_observer(1);
    world.caught_up(late);
    (world, late, lies)
}

#[test]
fn lies_about_epochs_blocks_and_public_state_cost_time_and_nothing_else() {
    let spoilt = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let crooks: [(&str, Crook); 6] = [
        (
            "a record that no closing header names",
            Box::new(|response| match response {
                FetchResponse::Epochs(mut links) if !links.is_empty() => {
                    links[0].record.start_ms += 1;
                    FetchResponse::Epochs(links)
                }
                other => other,
            }),
        ),
        (
            "epochs that are left out",
            Box::new(|response| match response {
                FetchResponse::Epochs(mut links) if links.len() > 1 => {
                    links.remove(0);
                    FetchResponse::Epochs(links)
                }
                other => other,
            }),
        ),
        (
            "another closing block",
            Box::new(|response| match response {
                FetchResponse::Blocks(mut blocks) if blocks.len() > 1 => {
                    blocks.remove(0);
                    FetchResponse::Blocks(blocks)
                }
                other => other,
            }),
        ),
        (
            "a block that is changed",
            Box::new(|response| match response {
                FetchResponse::Blocks(mut blocks) if blocks.len() > 1 => {
                    blocks[1].committed.block.header.executed.public_root.0[0] ^= 1;
                    FetchResponse::Blocks(blocks)
                }
                other => other,
            }),
        ),
        (
            "a chunk that is changed",
            Box::new(move |response| match response {
                FetchResponse::Chunk(Ok(chunk)) => FetchResponse::Chunk(Ok(spoilt(&chunk))),
                other => other,
            }),
        ),
        (
            "another answer",
            Box::new(|response| match response {
                FetchResponse::Epochs(_) => FetchResponse::Batches(Vec::new()),
                other => other,
            }),
        ),
    ];
    for (what, crook) in crooks {
        let (mut world, late, lies) = jump_past(crook);
        assert_eq!(world.nodes[late].seen.jumps.len(), 1, "{what}");
        world.assert_same_chain(late, 3);
        assert!(world.blamed(3).is_empty(), "{what}");
        if lies.get() > 0 {
            assert!((0..3).any(|crook| !world.blamed(crook).is_empty()), "{what}");
        }
        world.server = None;
        world.settle();
        world.transfer(1, &alice(), 1, bob().id());
    }
}

/// A snapshot that hangs together and is not the chain's: what its manifest says, its chunks are, and it decodes.
#[test]
fn a_public_snapshot_that_is_not_the_chains_is_refused_by_name() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.until_epoch(5);
    // Of the headers, one is changed: their ids are no longer those that the state remembers.
    let whole = {
        let log = world.nodes[0].log();
        let epoch = log
            .newest_snapshot(SnapshotKind::Public)
            .expect("readable")
            .expect("one");
        let kind = SnapshotKind::Public;
        let id = tacit_ledger::SnapshotId { kind, epoch };
        let manifest = log.manifest(id).expect("readable").expect("one");
        assert_eq!(manifest.count(), 1, "a small network's");
        log.chunk(&manifest, 0).expect("readable").expect("a chunk")
    };
    let snapshot: PublicSnapshot = borsh::from_slice(&whole).expect("decodes");
    assert_eq!(
        snapshot.headers().len() as u64,
        PublicSnapshot::headers_at(world.record().start_height - 1)
    );
    let mut forged = whole.clone();
    // Version, count, then the oldest header: chain, epoch, height, view.
    forged[1 + 4 + 32 + 8 + 8] ^= 1;
    let lying = Rc::new(Cell::new(true));
    let lies = lying.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Manifest(Ok(manifest)) if lies.get() => {
            FetchResponse::Manifest(Ok(Manifest::of(manifest.id, manifest.height, &forged)))
        }
        FetchResponse::Chunk(Ok(_)) if lies.get() => FetchResponse::Chunk(Ok(forged.clone())),
        other => other,
    }));
    let late = world.add_forgetful_observer(1);
    world.run_until("it is refused", 30_000, |world| {
        let progress = world.nodes[late].up().snapshot_progress();
        progress.is_some_and(|progress| progress.refused.is_some_and(|why| why.code == "snapshot.public"))
    });
    assert_eq!(world.nodes[late].height(), 0);
    assert!((0..4).any(|liar| !world.blamed(liar).is_empty()));
    lying.set(false);
    world.caught_up(late);
    assert_eq!(world.nodes[late].seen.jumps.len(), 1);
}

/// The snapshot that is being fetched is held by nobody any more: the newest one is taken.
#[test]
fn a_jump_that_is_overtaken_by_epochs_takes_a_later_snapshot() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.until_epoch(4);
    let withheld = Rc::new(Cell::new(true));
    let withhold = withheld.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Chunk(Ok(_)) if withhold.get() => {
            FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest: None }))
        }
        other => other,
    }));
    let late = world.add_forgetful_observer(1);
    let epoch = world.record().epoch;
    world.run_until("epochs pass", 20 * EPOCH_MS, |world| {
        world.record().epoch >= epoch + 4
    });
    assert_eq!(world.nodes[late].height(), 0);
    withheld.set(false);
    world.caught_up(late);
    assert_eq!(world.nodes[late].seen.jumps.len(), 1);
    world.assert_same_chain(late, 0);
    world.assert_calm();
}
