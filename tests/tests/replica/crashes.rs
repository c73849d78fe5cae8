//! Power cuts: what was not synced is gone, what was reported is not.

use tacit_ledger::Outcome;

use tacit_tests::sim::{
    founders::{alice, bob},
    wallet::pay,
    world::{Options, World},
};

#[test]
fn a_validator_that_crashes_at_any_moment_comes_back_and_votes() {
    for moment in 0..30 {
        let mut world = World::at_epoch_1(Options {
            seed: moment,
            ..Options::default()
        });
        let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
        let id = world.submit(0, &envelope).expect("accepted");
        world.run_for(3 * moment);
        world.crash(3);
        world.run_until("final without it", 20_000, |world| world.all_have(&id));
        world.start(3);
        world.run_until("it has caught up", 20_000, |world| world.all_have(&id));
        let receipt = world.transfer(3, &alice(), 1, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
        world.assert_calm();
    }
}

#[test]
fn all_four_at_once_come_back_with_all_that_was_reported() {
    for moment in 0..30 {
        let mut world = World::at_epoch_1(Options {
            seed: 100 + moment,
            ..Options::default()
        });
        let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
        let id = world.submit(1, &envelope).expect("accepted");
        world.run_for(3 * moment);
        let reported: Vec<_> = world.nodes.iter().map(|node| node.seen.committed.len()).collect();
        (0..4).for_each(|index| world.crash(index));
        world.run_for(500);
        (0..4).for_each(|index| world.start(index));
        for (node, reported) in world.nodes.iter().zip(reported) {
            assert!(node.height() >= reported as u64, "node {}", node.index);
        }
        world.run_for(3_000);
        let nonce = u64::from(world.all_have(&id));
        let receipt = world.transfer(2, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied, "after a cut at {moment}");
        world.assert_calm();
    }
}

#[test]
fn all_four_at_once_at_any_moment_of_an_epochs_end_begin_the_next_one() {
    for moment in 0..40 {
        let mut world = World::at_epoch_1(Options {
            seed: 200 + moment,
            ..Options::epochs_of(8_000)
        });
        let ends = world.record().start_ms + 8_000;
        world.run_for(ends - world.now + 4 * moment);
        (0..4).for_each(|index| world.crash(index));
        (0..4).for_each(|index| world.start(index));
        world.run_until("epoch 2 begins", 30_000, |world| world.all_in(2));
        let receipt = world.transfer((moment % 4) as usize, &alice(), 0, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied, "after a cut at {moment}");
        world.assert_calm();
    }
}

#[test]
fn all_four_at_once_at_any_moment_of_epoch_0_still_make_the_first_key() {
    for moment in 0..20 {
        let mut world = World::new(Options {
            seed: 300 + moment,
            ..Options::default()
        });
        world.run_for(7 * moment);
        (0..4).for_each(|index| world.crash(index));
        (0..4).for_each(|index| world.start(index));
        world.run_until("epoch 1 begins", 30_000, |world| world.all_in(1));
        let receipt = world.transfer(0, &alice(), 0, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied, "after a cut at {moment}");
        world.assert_calm();
    }
}

/// The next secret is durable, the block that closes the epoch is not: for one validator, for two, for all.
#[test]
fn a_cut_between_the_keyring_and_the_closing_block_loses_nothing() {
    for (who, ends) in [
        (vec![1], 8_000),
        (vec![0, 2], 8_000),
        (vec![0, 1, 2, 3], 8_000),
        (vec![0, 1, 2, 3], 0),
    ] {
        let options = Options::epochs_of(8_000);
        let mut world = if ends == 0 {
            World::new(options)
        } else {
            World::at_epoch_1(options)
        };
        let next = world.record().epoch + 1;
        for index in &who {
            let node = &world.nodes[*index];
            let vault = node.vault.as_ref().expect("a vault");
            vault.cut_after_save(0, node.store.clone());
        }
        let cut = who.clone();
        world.run_until("the cuts", 30_000, |world| {
            cut.iter().all(|index| world.nodes[*index].halted.is_some())
        });
        for index in &who {
            let node = &world.nodes[*index];
            assert!(
                node.halted
                    .as_deref()
                    .is_some_and(|why| why.starts_with("db.corrupt: storage failed to")),
                "{:?}",
                node.halted
            );
            world.crash(*index);
        }
        who.iter().for_each(|index| world.start(*index));
        world.run_until("the next epoch begins", 30_000, |world| world.all_in(next));
        let receipt = world.transfer(who[0], &alice(), 0, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
        world.assert_calm();
    }
}

/// The closing block is durable, the vault still has the old secret: a restart erases it.
#[test]
fn an_old_secret_that_could_not_be_erased_stops_the_node_and_is_erased_when_it_starts() {
    let mut world = World::at_epoch_1(Options::epochs_of(8_000));
    let vault = world.nodes[2].vault.clone().expect("a vault");
    let before = vault.plaintext();
    vault.fail_save(1);
    world.run_until("it stops", 20_000, |world| world.nodes[2].halted.is_some());
    assert!(vault.plaintext().len() > before.len(), "both secrets are there");
    world.crash(2);
    world.start(2);
    assert_eq!(vault.plaintext().len(), before.len(), "one secret is there");
    assert_eq!(world.nodes[2].epoch(), 2);
    world.transfer(2, &alice(), 0, bob().id());
    world.assert_calm();
}

#[test]
fn a_store_of_another_chain_is_refused() {
    let mut world = World::new(Options::epochs_of(8_000));
    world.run_for(500);
    world.crash(0);
    world.genesis = tacit_tests::sim::founders::genesis(tacit_ledger::Params::default());
    let refused = world.try_start(0);
    assert!(matches!(
        refused,
        Err(tacit_node::NodeError::ChainMismatch { .. })
    ));
}

/// Nodes that crash and come back all the time, several epochs long; the checker looks at every step.
#[test]
fn a_rotating_crash_every_second_stops_neither_epochs_nor_transfers() {
    for seed in 0..4 {
        let mut world = World::at_epoch_1(Options {
            seed,
            ..Options::epochs_of(7_000)
        });
        for round in 0..40_u64 {
            let index = ((round + seed) % 4) as usize;
            world.crash(index);
            world.run_for(700);
            world.start(index);
            world.run_for(300);
        }
        world.run_until("everybody is together again", 60_000, |world| {
            world
                .nodes
                .iter()
                .all(|node| node.epoch() == world.record().epoch)
        });
        assert!(world.record().epoch >= 4, "epoch {}", world.record().epoch);
        world.transfer(0, &alice(), 0, bob().id());
        world.assert_calm();
    }
}
