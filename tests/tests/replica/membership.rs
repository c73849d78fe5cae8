//! Joining, leaving, convictions and protocol versions, in a network that goes on meanwhile.

use tacit_consensus::{Digest, EquivocationProof, Phase, Signature, Signer, Vote};
use tacit_ledger::{EpochReason, Outcome, PROTOCOL_VERSION, SystemTx};

use tacit_tests::sim::{
    founders::{alice, bob, consensus_signer},
    world::{Options, World},
};

fn world() -> World {
    let mut options = Options::default();
    options.params.epoch_ms_min = 1_000;
    World::at_epoch_1(options)
}

/// Two votes of validator `n`, whose seat has its number, for one view of the epoch in force.
pub(crate) fn contradiction(world: &World, n: u16) -> (Vote, Vote) {
    let vote = |block: u8| {
        let mut vote = Vote {
            epoch: world.record().epoch,
            view: 3,
            height: 3,
            block: Digest([block; 32]),
            phase: Phase::Certify,
            voter: n,
            signature: Signature([0; 64]),
        };
        vote.signature = consensus_signer(n.into()).sign(&vote.message(&world.chain).0);
        vote
    };
    (vote(1), vote(2))
}

#[test]
fn a_fifth_validator_joins_takes_the_state_and_votes_while_others_pay() {
    let mut world = world();
    let new = world.add_validator();
    world.follows(new);
    assert!(world.nodes[new].up().me().is_none());
    world.transfer(0, &alice(), 0, bob().id());
    let joins = world.register(new, PROTOCOL_VERSION);
    world.carry_through(new, &joins);
    world.turn(2);
    assert_eq!(world.record().reason, EpochReason::Membership);
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-3", "val-4"]);
    for nonce in 1..4 {
        let receipt = world.transfer((nonce % 4) as usize, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
    }
    world.run_until("it votes", 30_000, |world| world.votes(new));
    // Its vote is needed: without two of five nothing is final, with one down it is.
    world.crash(1);
    let receipt = world.transfer(new, &alice(), 4, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied);
    world.start(1);
    world.settle();
    assert_eq!(world.nodes[new].up().supply(), world.nodes[0].up().supply());
    world.assert_calm();
}

#[test]
fn a_registration_that_is_refused_is_put_right_and_tried_again() {
    let mut world = world();
    let new = world.add_validator();
    world.follows(new);
    let SystemTx::Register(good) = world.register(new, PROTOCOL_VERSION) else {
        unreachable!("a registration")
    };
    let mut twin = good.clone();
    twin.name = "val-1".to_owned();
    let refused = world.hand_in(new, &SystemTx::Register(twin)).expect_err("taken");
    assert_eq!(refused.code, "register.name_taken");
    let mut nobody = good.clone();
    nobody.operator_signature = None;
    let refused = world
        .hand_in(0, &SystemTx::Register(nobody))
        .expect_err("unsigned");
    assert_eq!(refused.code, "register.operator");
    world.carry_through(new, &SystemTx::Register(good));
    world.turn(2);
    world.run_until("it votes", 30_000, |world| world.votes(new));
    world.assert_calm();
}

#[test]
fn four_others_carry_the_network_in_the_end_and_nothing_is_lost() {
    let mut world = world();
    let mut nonce = 0;
    let new: Vec<usize> = (0..4).map(|_| world.add_validator()).collect();
    for index in &new {
        world.follows(*index);
        let joins = world.register(*index, PROTOCOL_VERSION);
        world.hand_in(*index, &joins).expect("accepted");
    }
    let mut pay = |world: &mut World, at: usize| {
        let receipt = world.transfer(at, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
        nonce += 1;
    };
    world.run_until("all eight have seats", 120_000, |world| {
        world.record().validators.len() == 8
    });
    pay(&mut world, 0);
    world.run_until("the new ones vote", 60_000, |world| {
        (4..8).all(|index| world.votes(index))
    });
    for index in [2, 0, 3, 1] {
        let leaves = world.leave(index);
        world.hand_in(index, &leaves).expect("accepted");
    }
    world.run_until("the founders have gone", 120_000, |world| {
        world.record().validators.len() == 4
    });
    let mut names = world.names();
    names.sort();
    assert_eq!(names, ["val-4", "val-5", "val-6", "val-7"]);
    assert!(!world.record().kept);
    (0..4).for_each(|index| world.crash(index));
    for at in new {
        pay(&mut world, at);
    }
    let supply = world.nodes[4].up().supply();
    assert_eq!(supply, Some(tacit_tests::sim::founders::SUPPLY));
    assert!((5..8).all(|index| world.nodes[index].up().supply() == supply));
}

#[test]
fn who_has_left_follows_and_holds_nothing_of_the_next_epoch() {
    let mut world = world();
    let leaves = world.leave(2);
    world.carry_through(0, &leaves);
    world.turn(2);
    assert_eq!(world.names(), ["val-0", "val-1", "val-3"]);
    assert_eq!(world.dropped(), [("val-2".to_owned(), "epoch.left".to_owned())]);
    world.transfer(0, &alice(), 0, bob().id());
    world.settle();
    let gone = world.nodes[2].up();
    assert!(gone.opener().is_none() && gone.supply().is_none() && gone.me().is_none());
    assert_eq!(gone.head().height, world.top());
    // Its node does not come back by itself.
    let renewal = world.renewal(2);
    let SystemTx::Register(mut unsigned) = renewal else {
        unreachable!("a registration")
    };
    unsigned.operator_signature = None;
    let refused = world.hand_in(2, &SystemTx::Register(unsigned)).expect_err("left");
    assert_eq!(refused.code, "register.left");
    let back = world.renewal(2);
    world.carry_through(2, &back);
    world.turn(3);
    world.run_until("it votes", 30_000, |world| world.votes(2));
    world.assert_calm();
}

#[test]
fn a_proof_that_anybody_brings_puts_an_equivocator_out() {
    let mut world = world();
    let observer = world.add_observer();
    world.follows(observer);
    let (first, second) = contradiction(&world, 1);
    let proof = SystemTx::Convict(EquivocationProof::Votes { first, second });
    world.carry_through(3, &proof);
    world.turn(2);
    assert_eq!(
        world.dropped(),
        [("val-1".to_owned(), "epoch.convicted".to_owned())]
    );
    world.settle();
    world.transfer(0, &alice(), 0, bob().id());
    let again = world.renewal(1);
    let refused = world.hand_in(1, &again).expect_err("barred");
    assert_eq!(refused.code, "register.convicted");
}

#[test]
fn a_new_protocol_stops_old_builds_by_name_before_its_first_block_and_nobody_else() {
    let mut world = world();
    let observer = world.add_observer();
    world.follows(observer);
    // One after the other starts a build that speaks the next version, too, and attests that it does.
    for index in 0..3 {
        world.crash(index);
        world.nodes[index].protocols = 1..=2;
        world.start(index);
        world.run_until("it takes part again", 30_000, |world| {
            world.nodes[index].up().view().is_some()
        });
        let upgraded = world.register(index, 2);
        world.carry_through(index, &upgraded);
    }
    let proposal = world.propose(0, |proposal| proposal.protocol = 2);
    let id = proposal.id();
    world.carry_through(0, &SystemTx::Propose(proposal));
    let approval = world.approve(1, id);
    world.carry_through(1, &approval);
    let next = world.public().next_protocol().map(|(version, _)| version);
    assert_eq!((next, world.record().protocol), (Some(2), 1));
    let epoch = world.record().epoch;
    world.run_until("the protocol is in force", 200_000, |world| {
        world.nodes[0].epoch() == epoch + 1
    });
    assert_eq!(world.record().protocol, 2);
    assert_eq!(
        world.dropped(),
        [("val-3".to_owned(), "epoch.protocol".to_owned())]
    );
    let starts = world.record().start_height;
    world.run_until("the old builds have stopped", 10_000, |world| {
        [3, observer]
            .iter()
            .all(|index| world.nodes[*index].halted.is_some())
    });
    for index in [3, observer] {
        let node = &world.nodes[index];
        let said = node.halted.as_deref().expect("stopped");
        assert!(said.starts_with("protocol.unsupported"), "{said}");
        let head = node.log().head().expect("readable").expect("a block");
        assert_eq!(
            head.block.header.height + 1,
            starts,
            "not one block of the new epoch"
        );
    }
    for nonce in 0..4 {
        let receipt = world.transfer((nonce % 3) as usize, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
    }
    // The old build does not start any more; the new one goes on from where it stopped.
    world.start(3);
    let said = world.nodes[3].halted.clone().expect("it stops at once");
    assert!(said.starts_with("protocol.unsupported"), "{said}");
    world.nodes[3].protocols = 1..=2;
    world.start(3);
    world.follows(3);
    let upgraded = world.register(3, 2);
    world.carry_through(3, &upgraded);
    world.run_until("it votes again", 60_000, |world| world.votes(3));
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-3"]);
}
