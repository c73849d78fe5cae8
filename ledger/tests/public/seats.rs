//! Who sits in the next epoch.

use tacit_attest::{Platform, Suspension};
use tacit_ledger::*;

use crate::world::*;

/// Adopts a policy, and gives the record of the epoch that it brings.
fn under(world: &mut World, change: impl FnOnce(&mut tacit_attest::Policy)) -> EpochRecord {
    let policy = world.policy(change);
    let delay = world.state.policy().loosening_delay_ms;
    world.adopt(world.proposal(0, policy));
    if world.state.end_due(world.now + 1_000).is_none() {
        world.wait(delay);
    }
    world.turn()
}

#[test]
fn a_vendor_above_its_share_loses_its_last_seats() {
    let mut world = World::new(&[GENOA, TURIN, GENOA, GENOA, Kind::Td]);
    let record = under(&mut world, |policy| policy.vendor_share_max = 75);
    // 4 of 5 are 80 %; 3 of 4 are 75 %.
    assert_eq!(dropped(&record), [("val-3", "policy.vendor_share")]);
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-4"]);
}

#[test]
fn a_family_above_its_share_loses_its_last_seats() {
    let mut world = World::new(&[GENOA, TURIN, GENOA, GENOA, Kind::Td]);
    let record = under(&mut world, |policy| policy.family_share_max = 50);
    assert_eq!(dropped(&record), [("val-3", "policy.family_share")]);
}

#[test]
fn shares_that_nobody_fits_into_leave_the_policy_unadopted() {
    let mut world = World::new(&[GENOA, GENOA, GENOA, Kind::Td]);
    // 50 % would leave one of each.
    let policy = world.policy(|policy| policy.vendor_share_max = 50);
    let proposal = world.proposal(0, policy);
    assert_eq!(
        world.refused(SystemTx::Propose(proposal)),
        SystemRefusal::BelowQuorum {
            acceptable: 2,
            seats: 4,
            quorum: 3
        }
    );
}

#[test]
fn a_genesis_keeps_to_its_shares() {
    let mut genesis = genesis(&[GENOA, GENOA, GENOA, Kind::Td]);
    genesis.policy.vendor_share_max = 75;
    genesis.verify().unwrap();
    genesis.policy.vendor_share_max = 74;
    let error = genesis.verify().unwrap_err();
    assert!(
        matches!(
            error,
            GenesisError::Share {
                index: 2,
                max: 74,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn of_two_on_one_chip_the_first_stays() {
    let mut world = World::with(&[GENOA; 4], |genesis| genesis.policy.chip_unique = false);
    let shared = world.renewal(3, Machine::new(GENOA, 1));
    world.block(&[shared]);
    let record = under(&mut world, |policy| policy.chip_unique = true);
    assert_eq!(dropped(&record), [("val-3", "policy.chip_taken")]);
}

#[test]
fn evidence_that_is_too_old_loses_its_seat_and_gets_it_back() {
    let mut world = World::with(&[GENOA; 4], |genesis| {
        genesis.policy.evidence_age_max_ms = 12 * HOUR;
    });
    // Exactly at the bound all count; three renew in time.
    world.wait(9 * HOUR);
    for n in 0..3 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    world.wait(HOUR);
    assert_eq!(world.turn().dropped, []);
    world.wait(10 * HOUR);
    let record = world.turn();
    assert_eq!(dropped(&record), [("val-3", "attest.evidence_expired")]);
    assert_eq!(world.names(), ["val-0", "val-1", "val-2"]);
    let renewal = world.renewal(3, Machine::new(GENOA, 3));
    world.block(&[renewal]);
    for n in 0..3 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    world.wait(10 * HOUR);
    assert_eq!(world.turn().dropped, []);
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-3"]);
}

#[test]
fn the_age_bound_is_inclusive() {
    let age = 20 * HOUR;
    let mut world = World::with(&[GENOA; 4], |genesis| {
        genesis.policy.evidence_age_max_ms = age;
        genesis.params.epoch_ms_max = age - 10_000;
    });
    world.wait(TIME + age - 1_000 - world.now);
    let record = world.turn();
    assert_eq!((record.judged_ms, record.kept), (TIME + age, false));

    let mut world = World::with(&[GENOA; 4], |genesis| {
        genesis.policy.evidence_age_max_ms = age;
        genesis.params.epoch_ms_max = age - 10_000;
    });
    world.wait(TIME + age - 999 - world.now);
    let record = world.turn();
    assert_eq!((record.judged_ms, record.kept), (TIME + age + 1, true));
}

#[test]
fn a_set_below_a_quorum_stays_whole_until_enough_are_acceptable_again() {
    let mut world = World::new(&[GENOA; 4]);
    // A network that was switched off for two days.
    world.wait(48 * HOUR);
    let record = world.turn();
    assert!(record.kept);
    assert_eq!((record.validators.len(), record.dropped.len()), (4, 4));
    for n in 0..2 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
        assert_eq!(world.state.end_due(world.now + 1), None);
    }
    let renewal = world.renewal(3, Machine::new(GENOA, 3));
    world.block(&[renewal]);
    // It does not wait for the epoch to last.
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Recovery));
    let record = world.turn();
    assert_eq!((record.reason, record.kept), (EpochReason::Recovery, false));
    assert_eq!(dropped(&record), [("val-2", "attest.evidence_expired")]);
    assert_eq!(world.state.end_due(world.now + 1), None);
    // The last one comes back when the epoch ends.
    let renewal = world.renewal(2, Machine::new(GENOA, 2));
    world.block(&[renewal]);
    assert_eq!(world.state.end_due(world.now + 1), None);
    world.wait(10 * HOUR);
    world.turn();
    assert_eq!(world.names(), ["val-0", "val-1", "val-3", "val-2"]);
}

#[test]
fn an_epoch_takes_in_a_third_at_most() {
    let mut world = World::new(&[GENOA, Kind::Td, Kind::Td, Kind::Td, Kind::Td, Kind::Td, Kind::Td]);
    // Six of seven fall out, as approved.
    let only_snp = world.policy(|policy| policy.platforms = vec![Platform::Simulated]);
    let licensed = PolicyProposal {
        allow_below_quorum: true,
        ..world.proposal(0, only_snp)
    };
    world.adopt(licensed.sign(&member_key(0), [9; 32]));
    world.turn();
    assert_eq!(world.names(), ["val-0"]);
    let back = world.policy(|policy| policy.platforms = vec![Platform::Simulated, Platform::SimulatedTdx]);
    world.adopt(world.proposal(0, back));
    world.wait(HOUR);
    let mut sizes = vec![world.turn().validators.len()];
    let waiting = dropped(world.state.current());
    assert!(
        waiting.iter().all(|(_, code)| *code == "epoch.newcomers"),
        "{waiting:?}"
    );
    while world.names().len() < 7 {
        for n in 0u8..7 {
            let kind = if n == 0 { GENOA } else { Kind::Td };
            let renewal = world.renewal(n, Machine::new(kind, n));
            world.block(&[renewal]);
        }
        world.wait(10 * HOUR);
        // The turn finds a dealer for every contribution that it needs.
        sizes.push(world.turn().validators.len());
    }
    assert_eq!(sizes, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn the_set_is_decided_once() {
    let mut world = World::with(&[GENOA; 4], |genesis| {
        genesis.policy.evidence_age_max_ms = 10 * HOUR + 2_000;
    });
    // In the block that ends the epoch all are young enough, in the one that closes it none is.
    world.wait(TIME + 10 * HOUR + 1_000 - world.now);
    let record = world.turn();
    assert!(record.judged_ms <= TIME + 10 * HOUR + 2_000);
    assert!(record.start_ms > TIME + 10 * HOUR + 2_000);
    assert_eq!((record.kept, record.dropped.len()), (false, 0));
}

#[test]
fn a_suspension_and_a_policy_at_once_are_one_turn() {
    let mut world = World::new(&[GENOA, GENOA, GENOA, GENOA, TURIN]);
    let target = Suspension::Family(tacit_attest::Family::Epyc(tacit_attest::Generation::Turin));
    let votes = (0u8..4).map(|n| {
        let (epoch, seat) = (world.state.current().epoch, n.into());
        SystemTx::Suspend(SuspendVote::sign(
            world.chain(),
            epoch,
            target,
            seat,
            &node_key(n),
        ))
    });
    let mut txs: Vec<_> = votes.collect();
    let proposal = world.proposal(0, world.policy(|policy| policy.evidence_age_max_ms -= 1));
    txs.push(world.approval(1, proposal.id()));
    txs.insert(0, SystemTx::Propose(proposal));
    world.block(&txs);
    let record = world.turn();
    assert_eq!(
        (record.reason, record.policy_version),
        (EpochReason::Suspension, 2)
    );
    assert_eq!(world.state.end_due(world.now + 1), None);
}
