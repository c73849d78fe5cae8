//! Suspensions by a quorum of validators.

use tacit_attest::{Family, Generation, Platform, Suspension, Vendor};
use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::world::*;

const FIVE: [Kind; 5] = [GENOA, GENOA, GENOA, GENOA, TURIN];
const TURINS: Suspension = Suspension::Family(Family::Epyc(Generation::Turin));

/// The vote of the seat that validator `n` has in the first epochs.
fn vote(world: &World, target: Suspension, n: u8) -> SystemTx {
    let epoch = world.state.current().epoch;
    SystemTx::Suspend(SuspendVote::sign(
        world.chain(),
        epoch,
        target,
        n.into(),
        &node_key(n),
    ))
}

/// Votes of validators 0, 1, … in one block.
fn votes(world: &mut World, target: Suspension, n: u8) {
    let all: Vec<_> = (0..n).map(|n| vote(world, target, n)).collect();
    world.block(&all);
}

#[test]
fn a_quorum_suspends_and_one_vote_less_does_not() {
    let mut world = World::new(&FIVE);
    // n = 5, f = 1: four votes.
    votes(&mut world, TURINS, 3);
    assert_eq!(world.state.suspensions().count(), 0);
    let voted: Vec<_> = world
        .state
        .suspend_votes()
        .map(|(target, seats)| (*target, seats.len()))
        .collect();
    assert_eq!(voted, [(TURINS, 3)]);
    assert_eq!(world.state.end_due(world.now + 1), None);

    let last = vote(&world, TURINS, 3);
    world.block(&[last]);
    assert_eq!(world.state.suspend_votes().count(), 0);
    let (target, since) = world.state.suspensions().next().unwrap();
    assert_eq!((*target, since.epoch, since.time_ms), (TURINS, 1, world.now));
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Suspension));
    assert_eq!(world.state.end_due_ms(), 0);
    let record = world.turn();
    assert_eq!(record.reason, EpochReason::Suspension);
    assert_eq!(dropped(&record), [("val-4", "suspend.in_force")]);
    assert_eq!(world.names().len(), 4);
    // It is over with that: the next epoch lasts its time.
    assert_eq!(world.state.end_due(world.now + 1), None);
}

#[test]
fn chips_builds_and_platforms_can_be_suspended() {
    let world = World::new(&[GENOA, GENOA, GENOA, Kind::Td]);
    let (vendor, chip) = world.state.registered("val-2").unwrap().chip.unwrap();
    assert_eq!(vendor, Vendor::Amd);
    let td = world.state.policy().measurements[1].clone();
    assert_eq!(td.platform, Platform::SimulatedTdx);
    let build = Suspension::Measurement {
        platform: td.platform,
        value: td.value,
    };
    for (target, name) in [
        (Suspension::Chip { vendor, chip }, "val-2"),
        (build, "val-3"),
        (Suspension::Platform(Platform::SimulatedTdx), "val-3"),
    ] {
        let mut world = World::new(&[GENOA, GENOA, GENOA, Kind::Td]);
        votes(&mut world, target, 3);
        assert_eq!(dropped(&world.turn()), [(name, "suspend.in_force")]);
    }
    // The same id in another vendor's space is another machine.
    let mut world = World::new(&[GENOA, GENOA, GENOA, Kind::Td]);
    let vendor = Vendor::Intel;
    votes(&mut world, Suspension::Chip { vendor, chip }, 3);
    assert_eq!(dropped(&world.turn()), []);
}

#[test]
fn votes_are_signed_by_their_seat_for_their_chain_and_epoch_and_count_once() {
    let mut world = World::new(&FIVE);
    let (chain, epoch) = (world.chain(), world.state.current().epoch);
    let other = Digest([9; 32]);
    let of = |chain, epoch, seat, key| {
        SystemTx::Suspend(SuspendVote::sign(chain, epoch, TURINS, seat, &node_key(key)))
    };
    assert_eq!(
        world.refused(of(other, epoch, 0, 0)),
        SystemRefusal::OtherChain {
            have: other,
            need: chain
        }
    );
    for have in [0, 2] {
        assert_eq!(
            world.refused(of(chain, have, 0, 0)),
            SystemRefusal::VoteEpoch { have, need: 1 }
        );
    }
    assert_eq!(
        world.refused(of(chain, epoch, 5, 0)),
        SystemRefusal::VoteSeat { have: 5, seats: 5 }
    );
    assert_eq!(
        world.refused(of(chain, epoch, 1, 0)),
        SystemRefusal::VoteSignature { validator: 1 }
    );
    // A vote with its target changed is signed by nobody.
    let SystemTx::Suspend(mut bent) = of(chain, epoch, 0, 0) else {
        unreachable!()
    };
    bent.target = Suspension::Platform(Platform::Simulated);
    assert_eq!(
        world.refused(SystemTx::Suspend(bent)),
        SystemRefusal::VoteSignature { validator: 0 }
    );
    let good = vote(&world, TURINS, 0);
    world.block(std::slice::from_ref(&good));
    assert_eq!(
        world.refused(good.clone()),
        SystemRefusal::VotedAlready {
            validator: 0,
            target: TURINS
        }
    );
    let rest: Vec<_> = (1..4).map(|n| vote(&world, TURINS, n)).collect();
    world.block(&rest);
    world.turn();
    // Replayed in the next epoch, and voted anew.
    assert_eq!(world.refused(good), SystemRefusal::VoteEpoch { have: 1, need: 2 });
    let again = vote(&world, TURINS, 0);
    assert_eq!(world.refused(again), SystemRefusal::Suspended { target: TURINS });
}

#[test]
fn votes_do_not_outlive_their_epoch() {
    let mut world = World::with(&FIVE, |genesis| genesis.params.epoch_ms_max = HOUR);
    votes(&mut world, TURINS, 3);
    world.wait(HOUR);
    world.turn();
    assert_eq!(world.state.suspend_votes().count(), 0);
    let last = vote(&world, TURINS, 3);
    world.block(&[last]);
    assert_eq!(world.state.suspensions().count(), 0);
}

#[test]
fn one_validator_cannot_fill_the_state_with_votes() {
    let mut world = World::new(&FIVE);
    let target = |n: u8| Suspension::Chip {
        vendor: Vendor::Amd,
        chip: tacit_attest::ChipId([n; 64]),
    };
    for n in 0..MAX_SUSPEND_VOTES as u8 {
        let vote = vote(&world, target(n), 0);
        world.block(&[vote]);
    }
    let more = vote(&world, target(99), 0);
    assert_eq!(
        world.refused(more),
        SystemRefusal::TooManyVotes {
            validator: 0,
            max: MAX_SUSPEND_VOTES
        }
    );
    let others = vote(&world, target(99), 1);
    world.block(&[others]);
}

#[test]
fn members_reinstate_after_the_delay() {
    let mut world = World::new(&FIVE);
    let unknown = PolicyProposal {
        reinstate: vec![TURINS],
        ..world.proposal(0, world.policy(|_| ()))
    };
    assert_eq!(
        world.refused(SystemTx::Propose(unknown.sign(&member_key(0), [9; 32]))),
        SystemRefusal::NotSuspended { target: TURINS }
    );
    votes(&mut world, TURINS, 4);
    world.turn();
    let twice = PolicyProposal {
        reinstate: vec![TURINS, TURINS],
        ..world.proposal(0, world.policy(|_| ()))
    };
    assert_eq!(
        world.refused(SystemTx::Propose(twice.sign(&member_key(0), [9; 32]))),
        SystemRefusal::Reinstate {
            have: 2,
            max: MAX_REINSTATED
        }
    );
    let proposal = PolicyProposal {
        reinstate: vec![TURINS],
        ..world.proposal(0, world.policy(|_| ()))
    };
    world.adopt(proposal.sign(&member_key(0), [9; 32]));
    // The same policy, and yet it admits more.
    assert_eq!(world.state.end_due(world.now + 1), None);
    assert_eq!(world.state.suspensions().count(), 1);
    world.wait(HOUR);
    let record = world.turn();
    assert_eq!((record.reason, dropped(&record)), (EpochReason::Policy, vec![]));
    assert_eq!(world.names().last(), Some(&"val-4"));
    assert_eq!(world.state.suspensions().count(), 0);
}

#[test]
fn who_is_suspended_renews_on_another_machine_only() {
    let mut world = World::new(&FIVE);
    votes(&mut world, TURINS, 4);
    world.turn();
    let same = world.renewal(4, Machine::new(TURIN, 4));
    assert_eq!(
        world.refused(same),
        SystemRefusal::MachineSuspended { target: TURINS }
    );
    let moved = world.renewal(4, Machine::new(GENOA, 9));
    world.block(&[moved]);
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), []);
    assert_eq!(world.names().len(), 5);
}

#[test]
fn a_suspension_that_leaves_no_quorum_keeps_the_set_and_says_so() {
    let mut world = World::new(&FIVE);
    votes(&mut world, Suspension::Family(Family::Epyc(Generation::Genoa)), 4);
    let record = world.turn();
    assert!(record.kept);
    assert_eq!((record.validators.len(), record.dropped.len()), (5, 4));
}
