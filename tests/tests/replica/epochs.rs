//! Epochs that end: a new key each, the old one gone, nothing ordered that was sealed to it.

use std::collections::BTreeSet;

use tacit_ledger::{SealingPublic, SystemTx};
use tacit_node::{keyring::Keyring, proofs::light_bundle};

use tacit_tests::sim::{
    founders::{alice, bob},
    node::Node,
    wallet::pay,
    world::{Options, World},
};

/// The newest epoch's secret as a node's vault has it.
fn secret(node: &Node, epoch: u64) -> Option<[u8; 32]> {
    let vault = node.vault.clone()?;
    let keyring = Keyring::restore(&vault.plaintext(), Box::new(vault)).expect("a keyring");
    keyring.epoch(epoch).map(|secret| *secret.to_bytes())
}

#[test]
fn epochs_turn_on_the_timer_with_a_new_key_each_and_the_old_secrets_erased() {
    let mut world = World::at_epoch_1(Options::epochs_of(10_000));
    let (mut secrets, mut keys) = (Vec::new(), BTreeSet::<SealingPublic>::new());
    for epoch in 1..=5 {
        world.run_until("the next epoch begins", 12_000, |world| world.all_in(epoch));
        world.settle();
        assert_eq!(world.record().epoch, epoch);
        assert!(
            keys.insert(world.record().sealing_key.clone().expect("a key")),
            "a new key"
        );
        secrets.push(secret(&world.nodes[0], epoch).expect("the epoch's secret"));
        for node in &world.nodes {
            let vault = node.vault.as_ref().expect("a vault");
            let (now, old) = secrets.split_last().expect("one at least");
            assert!(vault.holds(now), "node {}", node.index);
            assert!(
                old.iter().all(|old| !vault.holds(old)),
                "node {} keeps a secret",
                node.index
            );
        }
    }
    world.assert_calm();
}

/// A light client asks while an epoch ends: the head was looked at before, the holders after. It is led to the later epoch, not
/// to one epoch with another's holders.
#[test]
fn a_bundle_that_is_read_across_a_turn_leads_to_the_later_epoch() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    world.rotate(0..4);
    world.run_until("the next epoch begins", 12_000, |world| world.all_in(2));
    world.settle();
    let record = world.record();
    let before = record.start_height - 2;
    let node = &world.nodes[0];
    let read = light_bundle(&*node.store, &world.genesis, before, 0)
        .expect("readable")
        .expect("a bundle");
    let links = read.bundle.links;
    assert_eq!(links.last().map(|link| link.record.epoch), Some(record.epoch));
    let held: Vec<SealingPublic> = read
        .bundle
        .registrations
        .iter()
        .map(|one| one.kem_key.clone())
        .collect();
    let seated: Vec<SealingPublic> = record
        .validators
        .iter()
        .map(|seat| seat.kem_key.clone())
        .collect();
    assert_eq!(held, seated);
}

#[test]
fn money_and_nonces_outlive_epochs() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    for epoch in 1..=4 {
        world.run_until("the next epoch begins", 12_000, |world| world.all_in(epoch));
        let nonce = epoch - 1;
        let receipt = world.transfer((epoch % 4) as usize, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, tacit_ledger::Outcome::Applied, "nonce {nonce}");
    }
    world.assert_calm();
}

/// T4: a newcomer's snapshot is checked against the closing header. Waiting for it costs an ordinary turn no block.
#[test]
fn a_busy_epochs_last_header_certifies_the_state_that_the_next_begins_with() {
    for seed in 0..2 {
        let mut world = World::at_epoch_1(Options {
            seed,
            ..Options::epochs_of(2_000)
        });
        let mut nonce = 0;
        while !world.all_in(5) {
            let node = (nonce % 4) as usize;
            let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
            let Ok(id) = world.submit(node, &envelope) else {
                world.run_for(5);
                continue;
            };
            world.run_until("final, or its epoch is over", 5_000, |world| {
                world.all_have(&id) || world.nodes[node].seen.expired.contains(&id)
            });
            // One that its epoch left behind is paid again in the next.
            nonce += u64::from(world.nodes[0].has(&id));
        }
        world.settle();
        let log = world.nodes[0].log();
        for epoch in 2..=5 {
            let link = log.epoch(epoch).expect("readable").expect("an epoch");
            let header = &link.header;
            let own = log.result(header.height).expect("readable").expect("a result");
            assert_eq!(header.executed.private_root, own.executed.private_root);
            let begins = |height| {
                let system = &world.nodes[0].block(height).block.payload.system;
                system
                    .first()
                    .is_some_and(|bytes| matches!(SystemTx::decode(bytes), Ok(SystemTx::EndEpoch { .. })))
            };
            assert!(begins(header.height - 1), "epoch {epoch} began after two blocks");
        }
        assert!(nonce > 60, "{nonce} transfers");
        world.assert_calm();
    }
}

#[test]
fn an_envelope_sealed_to_the_closed_epoch_is_refused_by_name() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let (_, old) = world.nodes[0].opener.clone().expect("a key");
    world.run_until("epoch 2 begins", 12_000, |world| world.all_in(2));
    // The edge may have opened it a moment before the epoch turned.
    let refused = world.submit_opened_with(0, &envelope, &old).expect_err("refused");
    assert_eq!(refused.code, "tx.epoch_closed");
    let early = world.batch(1, 1, vec![envelope]);
    world.inject(1, &early);
    world.run_for(500);
    assert!(world.nodes.iter().all(|node| node.up().mempool_size() == (0, 0)));
    world.assert_calm();
}

#[test]
fn an_envelope_sealed_to_an_epoch_that_has_not_begun_is_refused_by_name() {
    let mut world = World::at_epoch_1(Options::default());
    let (_, secret) = world.nodes[0].opener.clone().expect("a key");
    let (envelope, _) = world.seal_to(secret.public(), 2, 100, &alice(), 0, pay(bob().id(), 1));
    let refused = world
        .submit_opened_with(0, &envelope, &secret)
        .expect_err("refused");
    assert_eq!(refused.code, "tx.epoch_unknown");
}

#[test]
fn what_waits_when_its_epoch_closes_is_reported_expired_and_not_ordered() {
    let mut world = World::at_epoch_1(Options::epochs_of(10_000));
    let due = world.record().start_ms + 10_000;
    world.run_for(due - world.now - 3);
    // Handed in so late that the block that would take it must already end the epoch.
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let id = world.submit(0, &envelope).expect("accepted");
    world.run_until("epoch 2 begins", 12_000, |world| world.all_in(2));
    assert!(world.nodes[0].seen.expired.contains(&id));
    assert!(world.nodes.iter().all(|node| !node.has(&id)));
    world.settle();
    assert!(world.nodes.iter().all(|node| node.up().mempool_size() == (0, 0)));
    world.assert_calm();
}

#[test]
fn nothing_is_taken_in_while_the_next_key_is_being_made() {
    let mut world = World::at_epoch_1(Options::epochs_of(10_000));
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let (mut during, ends) = (0, world.record().start_ms + 10_000);
    world.run_for(ends - world.now);
    while !world.all_in(2) {
        assert!(world.now < ends + 20_000, "epoch 2 does not begin");
        let limit = world.now + 1_000;
        assert!(world.advance(limit));
        let public = |node: &Node| node.log().public().expect("readable");
        let ending = public(&world.nodes[0]).is_some_and(|state| state.is_ending());
        if ending && world.nodes[0].epoch() == 1 {
            let refused = world.submit(0, &envelope).expect_err("refused");
            assert_eq!(refused.code, "tx.epoch_closed");
            during += 1;
        }
    }
    assert!(during > 0, "the story saw the end of the epoch");
}

#[test]
fn epochs_turn_while_one_validator_is_down() {
    for down in 0..4 {
        let mut world = World::at_epoch_1(Options::epochs_of(5_000));
        world.crash(down);
        world.run_until("epoch 3 begins", 60_000, |world| world.record().epoch == 3);
        world.settle();
        world.assert_calm();
    }
}

/// Clocks that differ by less than genesis allows end no epoch twice and stop nothing.
#[test]
fn clocks_a_second_apart_change_nothing() {
    let mut world = World::at_epoch_1(Options::epochs_of(8_000));
    world.nodes[2].ahead_ms = 1_000;
    for epoch in 2..=4 {
        world.run_until("the next epoch begins", 20_000, |world| world.all_in(epoch));
    }
    let receipt = world.transfer(2, &alice(), 0, bob().id());
    assert_eq!(receipt.outcome, tacit_ledger::Outcome::Applied);
    world.assert_calm();
}
