//! Disks that fail: the replica stops by name, says nothing more, and comes back with all that it ever said.

use std::{cell::Cell, rc::Rc};

use tacit_ledger::{Column, Durability, Store as _, StoreError, WriteBatch};
use tacit_node::{NodeError, wire::FetchResponse};
use tacit_tests::sim::{
    founders::{alice, bob},
    wallet::pay,
    world::{Options, World},
};

#[derive(Clone, Copy, Debug)]
enum Fault {
    Write,
    Sync,
}

/// A validator whose `k`-th write or sync from some moment on fails, in a story of two epochs with work in both.
fn fails_at(fault: Fault, k: u64) -> bool {
    let mut world = World::at_epoch_1(Options {
        seed: k,
        ..Options::epochs_of(3_000)
    });
    let store = world.nodes[2].store.clone();
    match fault {
        Fault::Write => store.fail_write(k),
        Fault::Sync => store.fail_sync(k),
    }
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    world.submit(0, &envelope).expect("accepted");
    let limit = world.now + 12_000;
    while world.nodes[2].halted.is_none() && world.advance(limit) {}
    let Some(reason) = world.nodes[2].halted.clone() else {
        return false;
    };
    assert!(reason.starts_with("db.corrupt: storage failed to"), "{reason}");
    assert_eq!(
        world.nodes[2].seen.after_halt, 0,
        "{fault:?} {k}: it says more after it stopped"
    );
    world.crash(2);
    world.run_for(500);
    world.start(2);
    world.run_until("all are together again", 20_000, |world| {
        world
            .nodes
            .iter()
            .all(|node| node.epoch() >= 2 && node.height() + 1 >= world.top())
    });
    let nonce = u64::from(world.all_have(&envelope.id()));
    world.transfer(2, &alice(), nonce, bob().id());
    world.assert_calm();
    true
}

#[test]
fn a_write_that_fails_stops_the_replica_wherever_it_is() {
    let failed = (0..36).filter(|k| fails_at(Fault::Write, *k)).count();
    assert_eq!(failed, 36, "the story has so many writes");
}

#[test]
fn a_sync_that_fails_stops_the_replica_wherever_it_is() {
    let failed = (0..36).filter(|k| fails_at(Fault::Sync, *k)).count();
    assert_eq!(failed, 36, "the story has so many syncs");
}

/// A node's own disk is no peer's fault.
#[test]
fn a_disk_that_fails_while_catching_up_blames_nobody() {
    for k in 0..12 {
        let mut world = World::at_epoch_1(Options::default());
        let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
        world.crash(3);
        let id = world.submit(0, &envelope).expect("accepted");
        world.run_until("final without it", 20_000, |world| world.all_have(&id));
        world.run_for(20_000);
        world.start(3);
        world.nodes[3].store.fail_write(k);
        world.run_until("it stops", 30_000, |world| world.nodes[3].halted.is_some());
        assert!(world.nodes[3].seen.penalties.is_empty(), "write {k}");
        assert_eq!(world.nodes[3].seen.after_halt, 0, "write {k}");
        world.crash(3);
        world.start(3);
        world.transfer(3, &alice(), 1, bob().id());
        world.assert_calm();
    }
}

#[test]
fn a_vault_that_cannot_save_the_next_secret_stops_the_replica_before_the_epoch_is_stored() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    world.nodes[1].vault.as_ref().expect("a vault").fail_save(0);
    world.run_until("it stops", 20_000, |world| world.nodes[1].halted.is_some());
    let said = world.nodes[1].halted.clone().expect("stopped");
    assert!(said.starts_with("disk.full"), "{said}");
    assert!(world.nodes[1].log().epoch(2).expect("readable").is_none());
    assert_eq!(world.nodes[1].seen.after_halt, 0);
    world.crash(1);
    world.start(1);
    world.run_until("epoch 2 begins everywhere", 20_000, |world| world.all_in(2));
    world.transfer(1, &alice(), 0, bob().id());
    world.assert_calm();
}

#[test]
fn a_full_disk_is_named_and_with_room_again_the_node_goes_on() {
    let mut world = World::at_epoch_1(Options::default());
    world.nodes[2].store.set_full(true);
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    world.submit(0, &envelope).expect("accepted");
    world.run_until("it stops", 20_000, |world| world.nodes[2].halted.is_some());
    let said = world.nodes[2].halted.clone().expect("stopped");
    assert!(said.starts_with("disk.full"), "{said}");
    world.crash(2);
    world.nodes[2].store.set_full(false);
    world.start(2);
    world.transfer(2, &alice(), 1, bob().id());
    world.assert_calm();
}

/// Who cannot read what it has signed does not know what it may sign.
#[test]
fn a_damaged_safety_record_is_not_taken_for_none() {
    let mut world = World::at_epoch_1(Options::default());
    world.crash(1);
    let mut writes = WriteBatch::new();
    writes.put(Column::Safety, b"record", vec![7; 9]);
    let store = world.nodes[1].store.clone();
    store.commit(writes, Durability::Synced).expect("written");
    let refused = world
        .try_start(1)
        .expect_err("it starts on a record that it cannot read");
    assert!(matches!(refused, NodeError::Store(_)), "{refused}");
}

/// Found by the swarm (seed 234): a start went on from the height that the damaged header said, and read the same blocks for
/// ever.
#[test]
fn a_block_that_says_another_height_than_its_place_is_named_and_not_read_for_ever() {
    let mut world = World::at_epoch_1(Options::default());
    for nonce in 0..3 {
        world.transfer(0, &alice(), nonce, bob().id());
    }
    world.crash(1);
    let log = world.nodes[1].log();
    let head = log.head().expect("readable").expect("blocks").block.header.height;
    for (place, height) in [(head - 1, head + 9), (head - 1, 1), (head, 1), (head, head + 9)] {
        let kept = world.nodes[1].store.clone();
        world.nodes[1].store = std::sync::Arc::new(kept.image());
        let mut damaged = world.nodes[1]
            .log()
            .block(place)
            .expect("readable")
            .expect("there");
        damaged.block.header.height = height;
        let mut writes = WriteBatch::new();
        let value = borsh::to_vec(&damaged).expect("encoded");
        writes.put(Column::Blocks, place.to_be_bytes(), value);
        let store = &world.nodes[1].store;
        store.commit(writes, Durability::Synced).expect("written");
        let refused = world
            .try_start(1)
            .expect_err("it starts on a block that it cannot place");
        let expected = StoreError::Misplaced { place, height };
        assert!(
            matches!(&refused, NodeError::Store(found) if *found == expected),
            "{refused}"
        );
        assert_eq!(refused.code(), "db.corrupt");
        world.nodes[1].store = kept;
    }
    world.start(1);
    world.transfer(1, &alice(), 3, bob().id());
    world.assert_calm();
}

/// Found by the swarm (seeds 46 and 1021): final blocks had waited for their batches, which came in one answer; the first could
/// not be stored, the replica halted and, before the step was over, stored the second all the same.
#[test]
fn nothing_is_stored_after_the_write_that_failed_however_long_the_step_goes_on() {
    for (fault, k) in [Fault::Write, Fault::Sync]
        .into_iter()
        .flat_map(|fault| (0..6).map(move |k| (fault, k)))
    {
        let mut world = World::at_epoch_1(Options {
            seed: k,
            ..Options::default()
        });
        let withheld = Rc::new(Cell::new(true));
        let closed = withheld.clone();
        world.deaf.insert(3);
        world.server = Some(Box::new(move |_, response| match response {
            FetchResponse::Batches(_) if closed.get() => FetchResponse::Batches(Vec::new()),
            other => other,
        }));
        for nonce in 0..3 {
            let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
            let id = world.submit(0, &envelope).expect("accepted");
            world.run_until("final at the others", 60_000, |world| {
                world.nodes[..3].iter().all(|node| node.has(&id))
            });
        }
        let store = world.nodes[3].store.clone();
        match fault {
            Fault::Write => store.fail_write(k),
            Fault::Sync => store.fail_sync(k),
        }
        withheld.set(false);
        world.run_until("it stops", 60_000, |world| world.nodes[3].halted.is_some());
        world.kill(3);
        world.deaf.clear();
        world.run_for(500);
        // Its blocks have no hole, and its state is everybody's.
        world.start(3);
        world.transfer(0, &alice(), 3, bob().id());
        for height in 1..=world.nodes[3].height() {
            assert_eq!(
                world.nodes[3].block(height).block,
                world.nodes[0].block(height).block,
                "{fault:?} {k}"
            );
        }
        // Its vote is needed now.
        world.crash(1);
        world.transfer(0, &alice(), 4, bob().id());
    }
}
