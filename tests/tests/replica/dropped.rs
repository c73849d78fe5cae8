//! Who loses its seat, when, and when nobody may.

use tacit_attest::{Platform, Suspension};
use tacit_ledger::{EpochReason, SystemTx};

use tacit_tests::sim::{
    founders::{alice, bob},
    world::{Options, World},
};

/// The chip of a validator, as everybody's state names it.
fn chip(world: &World, index: usize) -> Suspension {
    let registered = world
        .public()
        .registered(&format!("val-{index}"))
        .expect("registered");
    let (vendor, chip) = registered.chip.expect("a verified founder");
    Suspension::Chip { vendor, chip }
}

#[test]
fn three_of_four_validators_suspend_the_fourth_and_the_epoch_ends_at_once() {
    let mut world = World::at_epoch_1(Options::default());
    let observer = world.add_observer();
    let target = chip(&world, 3);
    for index in 0..3 {
        assert_eq!(world.record().epoch, 1, "{index} of four is not enough");
        let vote = world.vote(index, target);
        world.carry_through(index, &vote);
    }
    world.run_until("epoch 2 begins", 10_000, |world| world.all_in(2));
    let record = world.record();
    assert_eq!(record.reason, EpochReason::Suspension);
    let names: Vec<&str> = record.validators.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["val-0", "val-1", "val-2"]);
    let dropped: Vec<(&str, &str)> = record
        .dropped
        .iter()
        .map(|one| (one.name.as_str(), one.code.as_str()))
        .collect();
    assert_eq!(dropped, [("val-3", "suspend.in_force")]);
    assert!(!record.kept);
    world.settle();
    assert_eq!(world.nodes[3].up().me(), None);
    assert!(
        world.nodes[3].up().opener().is_none(),
        "it does not hold the new key"
    );
    for node in [3, observer] {
        assert_eq!(world.nodes[node].epoch(), 2, "node {node} follows");
        let suspended = world.nodes[node].up().public().suspensions().next();
        assert_eq!(suspended.map(|(target, _)| *target), Some(target));
    }
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

/// Votes against everybody would leave nobody to go on: the set stays whole and says so.
#[test]
fn a_suspension_of_everybody_keeps_the_set_and_the_record_says_so() {
    let mut world = World::at_epoch_1(Options::default());
    for index in 0..3 {
        let vote = world.vote(index, Suspension::Platform(Platform::Simulated));
        world.carry_through(index, &vote);
    }
    world.run_until("epoch 2 begins", 10_000, |world| world.all_in(2));
    let record = world.record();
    assert!(record.kept);
    assert_eq!(record.validators.len(), 4);
    assert_eq!(record.dropped.len(), 4);
    assert!(record.dropped.iter().all(|one| one.code == "suspend.in_force"));
    world.settle();
    world.transfer(0, &alice(), 0, bob().id());
    world.assert_calm();
    // Members reinstate, and an ordinary set begins.
    let proposal = world.propose(0, |proposal| {
        proposal.reinstate = vec![Suspension::Platform(Platform::Simulated)];
        proposal.policy.loosening_delay_ms = 0;
    });
    let id = proposal.id();
    world.carry_through(0, &SystemTx::Propose(proposal));
    let approval = world.approve(1, id);
    world.carry_through(1, &approval);
    world.run_until("epoch 3 begins", 120_000, |world| world.all_in(3));
    let record = world.record();
    assert_eq!((record.kept, record.reason), (false, EpochReason::Policy));
    assert!(record.dropped.is_empty());
    world.settle();
}

#[test]
fn votes_do_not_outlive_their_epoch() {
    let mut world = World::at_epoch_1(Options::epochs_of(8_000));
    let target = Suspension::Platform(Platform::Tdx);
    for index in 0..2 {
        let vote = world.vote(index, target);
        world.carry_through(index, &vote);
    }
    let late = world.vote(2, target);
    world.run_until("epoch 2 begins", 20_000, |world| world.all_in(2));
    assert_eq!(world.public().suspend_votes().count(), 0);
    assert_eq!(
        world.hand_in(2, &late).expect_err("of epoch 1").code,
        "suspend.epoch"
    );
    world.settle();
    assert_eq!(world.public().suspensions().count(), 0);
    world.assert_calm();
}
