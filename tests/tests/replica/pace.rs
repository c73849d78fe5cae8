//! How fast, and how quiet.

use tacit_tests::sim::{
    founders::{alice, bob},
    wallet::pay,
    world::{Options, World},
};

#[test]
fn without_work_there_is_a_block_a_heartbeat_and_no_other() {
    let mut world = World::at_epoch_1(Options::default());
    let (before, heartbeat) = (world.top(), world.genesis.params.heartbeat_ms);
    world.run_for(20 * heartbeat);
    let blocks = world.top() - before;
    assert!((18..=20).contains(&blocks), "{blocks} blocks in 20 heartbeats");
    for height in before + 1..=world.top() {
        assert!(world.nodes[0].block(height).block.payload.is_empty());
    }
    let views = world.nodes[0].up().view().expect("a core").0;
    assert!(views <= world.top() + 2, "no view was given up: {views} views");
    world.assert_calm();
}

/// Batch, proposal, votes, finalize votes: four delays after the few milliseconds that a batch waits.
#[test]
fn a_transfer_is_final_everywhere_five_network_delays_after_it_is_handed_in() {
    for node in 0..4 {
        let options = Options {
            delay_ms: (20, 20),
            ..Options::default()
        };
        let mut world = World::at_epoch_1(options);
        let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
        let handed_in = world.now;
        let id = world.submit(node, &envelope).expect("accepted");
        world.run_until("final", 1_000, |world| world.all_have(&id));
        let took = world.now - handed_in;
        assert!(took <= 4 + 5 * 20, "{took} ms from node {node}");
        world.assert_calm();
    }
}

/// Each commit of a busy chain takes the delays of one block, whoever leads.
#[test]
fn under_steady_work_no_view_is_given_up() {
    let mut world = World::at_epoch_1(Options::default());
    let (views, start) = (world.nodes[0].up().view().expect("a core").0, world.top());
    for nonce in 0..40 {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        world.submit((nonce % 4) as usize, &envelope).expect("accepted");
        world.run_for(25);
    }
    world.settle();
    let (views, blocks) = (
        world.nodes[0].up().view().expect("a core").0 - views,
        world.top() - start,
    );
    assert!(views <= blocks + 1, "{views} views for {blocks} blocks");
    assert!(blocks >= 15, "{blocks} blocks in a second");
    world.assert_calm();
}

/// Loss costs views, never safety; the checker looks at every step.
#[test]
fn with_one_message_in_twenty_lost_the_chain_goes_on() {
    for seed in 0..6 {
        let mut world = World::new(Options {
            seed,
            loss: 50,
            ..Options::epochs_of(6_000)
        });
        world.run_until("epoch 2 begins everywhere", 120_000, |world| world.all_in(2));
        let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
        let id = world.submit(1, &envelope).expect("accepted");
        world.run_until("it is in the chain or its epoch is over", 120_000, |world| {
            world.all_have(&id) || world.nodes[1].seen.expired.contains(&id)
        });
        world.assert_calm();
    }
}

#[test]
fn one_validator_that_is_down_costs_time_only() {
    for down in 0..4 {
        let mut world = World::at_epoch_1(Options::default());
        world.crash(down);
        let at = (down + 1) % 4;
        for nonce in 0..5 {
            let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
            let id = world.submit(at, &envelope).expect("accepted");
            world.run_until("final without it", 20_000, |world| world.all_have(&id));
        }
        world.assert_calm();
    }
}

#[test]
fn two_validators_that_are_down_stop_the_chain_until_one_is_back() {
    let mut world = World::at_epoch_1(Options::default());
    world.crash(1);
    world.crash(2);
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let id = world.submit(0, &envelope).expect("accepted");
    world.run_for(60_000);
    assert!(!world.nodes[0].has(&id), "two of four are no quorum");
    world.start(1);
    world.run_until("final with three", 60_000, |world| world.all_have(&id));
    world.assert_calm();
}
