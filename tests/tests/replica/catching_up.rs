//! Who was away, and who is new.

use tacit_ledger::Outcome;
use tacit_node::serving::sync_block;

use tacit_tests::sim::{
    founders::{alice, bob},
    world::{Options, World},
};

#[test]
fn a_validator_that_missed_several_epochs_catches_up_holds_the_key_and_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    world.transfer(0, &alice(), 0, bob().id());
    world.crash(3);
    world.run_until("epoch 5 begins without it", 120_000, |world| {
        world.record().epoch == 5
    });
    world.transfer(0, &alice(), 1, bob().id());
    world.start(3);
    world.run_until("it is in the epoch", 10_000, |world| {
        world.nodes[3].epoch() == world.record().epoch && world.nodes[3].height() + 1 >= world.top()
    });
    let epoch = world.record().epoch;
    world.run_until("it votes", 20_000, |world| {
        world.checker.voted(3, epoch, "certify")
    });
    let receipt = world.transfer(3, &alice(), 2, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied);
    world.assert_calm();
}

#[test]
fn a_validator_that_was_cut_off_catches_up_without_a_restart() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    for other in 0..3 {
        world.cut.extend([(3, other), (other, 3)]);
    }
    world.run_until("epoch 4 begins without it", 120_000, |world| {
        world.record().epoch == 4
    });
    world.transfer_among(0..3, &alice(), 0, bob().id());
    world.heal();
    world.run_until("it is in the epoch", 20_000, |world| {
        world.nodes[3].epoch() == world.record().epoch && world.nodes[3].height() + 1 >= world.top()
    });
    world.transfer(3, &alice(), 1, bob().id());
    world.assert_calm();
}

#[test]
fn a_new_observer_has_the_same_blocks_and_proves_receipts_from_its_own_store() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    world.transfer(0, &alice(), 0, bob().id());
    world.run_until("epoch 3 begins", 60_000, |world| world.all_in(3));
    world.transfer(1, &alice(), 1, bob().id());
    let observer = world.add_observer();
    world.run_until("it has caught up", 10_000, |world| {
        world.nodes[observer].height() == world.top()
    });
    let receipt = world.transfer(2, &alice(), 2, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied, "proven by the observer too");
    let (own, other) = (&world.nodes[observer], &world.nodes[0]);
    for height in 1..=own.height().min(other.height()) {
        let (own, other) = (sync_block(&*own.store, height), sync_block(&*other.store, height));
        let (own, other) = (own.expect("a block"), other.expect("a block"));
        assert_eq!(own.committed.block, other.committed.block);
        assert_eq!((own.batches, own.receipts), (other.batches, other.receipts));
    }
    assert!(own.opener.is_none());
    world.assert_calm();
}

#[test]
fn an_observer_that_crashes_goes_on_where_it_was() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    let observer = world.add_observer();
    world.run_until("it has caught up", 10_000, |world| {
        world.nodes[observer].height() == world.top()
    });
    for nonce in 0..6 {
        world.crash(observer);
        world.run_for(1_500);
        world.start(observer);
        world.run_until("it has caught up", 10_000, |world| {
            world.nodes[observer].height() == world.top()
        });
        world.transfer(nonce as usize % 4, &alice(), nonce, bob().id());
    }
    world.assert_calm();
}

#[test]
fn an_observer_of_an_observer_is_as_good() {
    let mut world = World::at_epoch_1(Options::default());
    let first = world.add_observer();
    world.run_until("it has caught up", 10_000, |world| {
        world.nodes[first].height() == world.top()
    });
    let second = world.add_observer();
    for validator in 0..4 {
        world.cut.extend([(validator, second), (second, validator)]);
    }
    let receipt = world.transfer(0, &alice(), 0, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied, "proven by both observers too");
    assert_eq!(world.nodes[second].height(), world.nodes[first].height());
    world.assert_calm();
}

/// A block is final, its batch has not come, and the chain is so far ahead that the node takes the blocks from a
/// peer instead: what waited for the batch must not stand in the way afterwards.
#[test]
fn blocks_that_waited_for_a_batch_are_forgotten_when_they_come_by_another_way() {
    let mut world = World::at_epoch_1(Options::default());
    // Batches reach node 3 with blocks only.
    world.mute.extend(0..4);
    world.server = Some(Box::new(|_, response| match response {
        tacit_node::wire::FetchResponse::Batches(_) => tacit_node::wire::FetchResponse::Batches(Vec::new()),
        other => other,
    }));
    let (envelope, _) = world.seal(&alice(), 0, tacit_tests::sim::wallet::pay(bob().id(), 1));
    let batch = world.batch(0, 7, vec![envelope.clone()]);
    let bytes = borsh::to_vec(&batch).expect("encoded");
    (0..3).for_each(|to| {
        world.take_batch(to, &bytes);
    });
    world.run_until("it came with the block", 20_000, |world| {
        world.all_have(&envelope.id())
    });
    world.server = None;
    world.crash(0);
    // Now its vote is needed.
    let receipt = world.transfer(1, &alice(), 1, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied);
}
