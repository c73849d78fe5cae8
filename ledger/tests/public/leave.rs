//! Leaving: who may ask for it, who goes when, and who must wait.

use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA; 4];

fn founder(n: u8) -> Applicant {
    Applicant::founder(n, Machine::new(GENOA, n))
}

/// The request of founder `n`'s operator.
fn leave(world: &World, n: u8) -> SystemTx {
    world.leave(&format!("val-{n}"), &node_key(n))
}

#[test]
fn a_validator_leaves_and_is_out_from_the_next_epoch_on() {
    let mut world = World::new(&FOUR);
    let leaves = leave(&world, 2);
    world.block(&[leaves]);
    let asked: Vec<_> = world
        .state
        .leaving()
        .map(|(name, one)| (name, one.time_ms))
        .collect();
    assert_eq!(asked, [("val-2", world.now)]);
    assert_eq!(world.names().len(), 4);
    let record = world.change_members();
    assert_eq!(dropped(&record), [("val-2", "epoch.left")]);
    assert_eq!(
        (world.names(), record.kept),
        (vec!["val-0", "val-1", "val-3"], false)
    );
    assert!(!world.state.membership_due());
}

#[test]
fn who_leaves_goes_in_the_order_of_asking_as_long_as_a_quorum_stays() {
    let mut world = World::new(&[GENOA; 8]);
    for n in [6, 1, 3, 0] {
        let leaves = leave(&world, n);
        world.block(&[leaves]);
    }
    // Of eight, six are a quorum; of six, five; of five, four; of four, three.
    let steps: [(&[&str], &[&str]); 3] = [
        (&["val-1", "val-6"], &["val-0", "val-3"]),
        (&["val-3"], &["val-0"]),
        (&["val-0"], &[]),
    ];
    for (gone, waiting) in steps {
        let record = world.change_members();
        for name in waiting {
            assert!(dropped(&record).contains(&(name, "epoch.leave_waits")));
            assert!(world.names().contains(name));
        }
        for name in gone {
            assert!(dropped(&record).contains(&(name, "epoch.left")));
            assert!(!world.names().contains(name));
        }
        assert!(!record.kept);
    }
    assert_eq!(world.names(), ["val-2", "val-4", "val-5", "val-7"]);
    assert!(!world.state.membership_due());
}

#[test]
fn of_three_nobody_leaves_until_another_has_joined() {
    let mut world = World::new(&[GENOA; 3]);
    let leaves = leave(&world, 0);
    world.block(&[leaves]);
    assert!(!world.state.membership_due(), "two are no quorum of three");
    world.wait(10 * HOUR);
    let record = world.turn();
    assert_eq!(record.reason, EpochReason::Schedule);
    assert_eq!(dropped(&record), [("val-0", "epoch.leave_waits")]);
    assert_eq!((world.names().len(), record.kept), (3, false));
    let joins = world.apply(&Applicant::new(4, Machine::new(GENOA, 4)));
    world.block(&[joins]);
    world.change_members();
    assert_eq!(world.names().len(), 4);
    let record = world.change_members();
    assert_eq!(world.names(), ["val-1", "val-2", "val-4"]);
    assert_eq!(dropped(&record), [("val-0", "epoch.left")]);
}

#[test]
fn nobody_leaves_who_would_take_another_along_by_a_share() {
    let mut world = World::with(&[GENOA, GENOA, GENOA, Kind::Td, Kind::Td, Kind::Td], |genesis| {
        genesis.policy.vendor_share_max = 50;
    });
    let leaves = leave(&world, 5);
    world.block(&[leaves]);
    assert!(!world.state.membership_due());
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), [("val-5", "epoch.leave_waits")]);
}

#[test]
fn a_seat_that_waits_renews_and_goes_on_waiting() {
    let mut world = World::new(&[GENOA; 3]);
    let leaves = leave(&world, 0);
    world.block(&[leaves]);
    world.block(&[]);
    let renewal = world.apply(&founder(0).unsigned());
    world.block(&[renewal]);
    assert_eq!(world.state.leaving().count(), 1);
    // Its operator changes its mind.
    world.block(&[]);
    let stays = world.apply(&founder(0));
    world.block(&[stays]);
    assert_eq!(world.state.leaving().count(), 0);
    world.wait(10 * HOUR);
    assert_eq!(world.turn().dropped, []);
}

#[test]
fn who_has_left_comes_back_by_its_operators_word_alone() {
    let mut world = World::new(&FOUR);
    world.block(&[]);
    // Signed by its operator before it left, and not brought until afterwards.
    let kept_back = world.apply(&founder(2));
    let leaves = leave(&world, 2);
    world.block(std::slice::from_ref(&leaves));
    world.change_members();
    world.block(&[]);
    let renewal = world.apply(&founder(2).unsigned());
    let name = || "val-2".to_owned();
    assert_eq!(world.refused(renewal), SystemRefusal::Left { name: name() });
    assert_eq!(world.refused(kept_back).code(), "register.not_newer");
    assert_eq!(
        world.refused(leaves),
        SystemRefusal::LeavingAlready { name: name() }
    );
    // Its machine is free for another name meanwhile.
    let heir = Applicant {
        machine: Machine::new(GENOA, 2),
        ..Applicant::new(7, Machine::new(GENOA, 7))
    };
    let joins = world.apply(&heir);
    let (chosen, time_ms) = (world.state.select([&joins], world.now + 1_000), world.now);
    assert_eq!((chosen, time_ms), (vec![Ok(())], world.now));
    let back = world.apply(&founder(2));
    world.block(&[back]);
    assert_eq!(
        world.refused(joins),
        SystemRefusal::DuplicateChip { other: name() }
    );
    world.change_members();
    assert_eq!(world.names(), ["val-0", "val-1", "val-3", "val-2"]);
}

#[test]
fn a_candidate_that_has_no_seat_yet_withdraws() {
    let mut world = World::new(&FOUR);
    let joins: Vec<_> = [4, 5]
        .map(|n| world.apply(&Applicant::new(n, Machine::new(GENOA, n))))
        .into();
    world.block(&joins);
    let withdraws = world.leave("val-4", &operator_key(4));
    world.block(&[withdraws]);
    let record = world.change_members();
    assert_eq!(world.names().last(), Some(&"val-5"));
    assert_eq!(dropped(&record), [("val-4", "epoch.left")]);
}

#[test]
fn requests_are_the_operators_and_for_one_registration_of_one_chain() {
    let mut world = World::new(&FOUR);
    let joins = world.apply(&Applicant::new(4, Machine::new(GENOA, 4)));
    world.block(&[joins]);
    let held = world.state.registration("val-4").unwrap().clone();
    let (chain, operator) = (world.chain(), operator_key(4));
    let elsewhere = Digest([9; 32]);
    assert_eq!(
        world.refused(SystemTx::Leave(LeaveRequest::sign(elsewhere, &held, &operator))),
        SystemRefusal::OtherChain {
            have: elsewhere,
            need: chain
        }
    );
    // Signed for another chain, and said to be for this one.
    let moved = LeaveRequest {
        chain,
        ..LeaveRequest::sign(elsewhere, &held, &operator)
    };
    let signature = SystemRefusal::LeaveSignature {
        operator: held.operator_key,
    };
    assert_eq!(world.refused(SystemTx::Leave(moved)), signature);
    // Neither the machine's own key nor another operator takes it off the network.
    for signer in [node_key(4), consensus_key(4), operator_key(5)] {
        let request = LeaveRequest::sign(chain, &held, &signer);
        assert_eq!(world.refused(SystemTx::Leave(request)), signature);
    }
    let mut unknown = held.clone();
    unknown.name = "val-9".to_owned();
    assert_eq!(
        world.refused(SystemTx::Leave(LeaveRequest::sign(chain, &unknown, &operator))),
        SystemRefusal::UnknownName {
            name: "val-9".to_owned()
        }
    );
    // A renewal makes an older request void.
    let request = LeaveRequest::sign(chain, &held, &operator);
    world.block(&[]);
    let renewal = world.apply(&Applicant::new(4, Machine::new(GENOA, 4)).unsigned());
    world.block(&[renewal]);
    let newer = world.state.registration("val-4").unwrap().digest();
    assert_eq!(
        world.refused(SystemTx::Leave(request)),
        SystemRefusal::OtherRegistration {
            name: "val-4".to_owned(),
            have: held.digest(),
            held: newer
        }
    );
    let fresh = world.leave("val-4", &operator);
    world.block(&[fresh]);
}
