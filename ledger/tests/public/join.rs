//! New names and new keys: who comes in, when, and who is refused.

use tacit_attest::Suspension;
use tacit_consensus::{Digest, Signature, Signer};
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA; 4];

fn newcomer(n: u8) -> Applicant {
    Applicant::new(n, Machine::new(GENOA, n))
}

fn founder(n: u8) -> Applicant {
    Applicant::founder(n, Machine::new(GENOA, n))
}

/// The vote of founder `n`, who has its first seat still.
fn suspend(world: &World, target: Suspension, n: u8) -> SystemTx {
    let (chain, epoch) = (world.chain(), world.state.current().epoch);
    SystemTx::Suspend(SuspendVote::sign(chain, epoch, target, n.into(), &node_key(n)))
}

#[test]
fn a_new_validator_registers_and_sits_from_the_next_epoch_on() {
    let mut world = World::new(&FOUR);
    let joins = world.apply(&newcomer(4));
    world.block(&[joins]);
    assert_eq!(world.names().len(), 4);
    let registered = world.state.registered("val-4").unwrap();
    assert!(registered.chip.is_some());
    assert_eq!(registered.seat.registered_ms, world.now);
    // The epoch ends for it, but not before it has lasted its least.
    let due_ms = world.state.current().start_ms + world.genesis.params.epoch_ms_min;
    assert_eq!(world.state.end_due(due_ms - 1), None);
    assert_eq!(world.state.end_due(due_ms), Some(EpochReason::Membership));
    let record = world.change_members();
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-3", "val-4"]);
    assert_eq!(record.dropped, []);
    // It is over with that: the next epoch lasts its time.
    assert!(!world.state.membership_due());
    assert_eq!(world.state.end_due(world.now + HOUR), None);
}

#[test]
fn an_epoch_that_has_lasted_its_least_ends_in_the_next_block() {
    let mut world = World::new(&FOUR);
    world.wait(HOUR);
    let joins = world.apply(&newcomer(4));
    world.block(&[joins]);
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Membership));
    world.turn();
    assert_eq!(world.names().len(), 5);
}

#[test]
fn of_many_newcomers_a_third_comes_in_an_epoch_and_the_rest_in_the_next_ones() {
    let mut world = World::new(&FOUR);
    let joins: Vec<_> = (4..8).map(|n| world.apply(&newcomer(n))).collect();
    world.block(&joins);
    let record = world.change_members();
    assert_eq!(world.names().len(), 5);
    let waiting = [5, 6, 7].map(|n| format!("val-{n}"));
    let waiting = waiting.each_ref().map(|name| (name.as_str(), "epoch.newcomers"));
    assert_eq!(dropped(&record), waiting);
    let mut sizes = Vec::new();
    while world.state.membership_due() {
        sizes.push(world.change_members().validators.len());
    }
    assert_eq!(sizes, [6, 8]);
}

#[test]
fn a_validator_that_lost_its_seat_renews_and_need_not_wait_for_the_schedule() {
    let mut world = World::with(&FOUR, |genesis| genesis.policy.evidence_age_max_ms = 12 * HOUR);
    world.wait(9 * HOUR);
    for n in 0..3 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    world.wait(4 * HOUR);
    assert_eq!(dropped(&world.turn()), [("val-3", "attest.evidence_expired")]);
    let renewal = world.apply(&founder(3).unsigned());
    world.block(&[renewal]);
    world.change_members();
    assert_eq!(world.names().len(), 4);
}

#[test]
fn other_keys_take_the_place_of_a_seat_in_the_next_epoch() {
    let mut world = World::new(&FOUR);
    let fresh = founder(1).with_keys(11);
    let other = world.apply(&fresh);
    world.block(&[other]);
    // Until then the old keys have the seat.
    assert_eq!(
        world.state.current().validators[1].consensus_key,
        consensus_key(1).public()
    );
    // A stranger whose name comes first does not get the place.
    let stranger = Applicant {
        name: "a".to_owned(),
        ..newcomer(9)
    };
    let joins = world.apply(&stranger);
    world.block(&[joins]);
    let record = world.change_members();
    assert_eq!(world.names(), ["val-0", "val-2", "val-3", "val-1"]);
    assert_eq!(dropped(&record), [("a", "epoch.newcomers")]);
    let seat = &record.validators[3];
    assert_eq!(seat.consensus_key, fresh.consensus.public());
    assert_eq!(seat.kem_key, fresh.kem);
    assert!(world.state.membership_due(), "the stranger waits");
    world.change_members();
    assert_eq!(world.names().len(), 5);
}

#[test]
fn a_seat_whose_new_keys_are_not_acceptable_goes() {
    let mut world = World::new(&FOUR);
    let fresh = world.apply(&founder(1).with_keys(11));
    world.block(&[fresh]);
    // Its new machine is suspended before the epoch ends.
    let (vendor, chip) = world.state.registered("val-1").unwrap().chip.unwrap();
    let target = Suspension::Chip { vendor, chip };
    let votes = [0, 2, 3].map(|n| suspend(&world, target, n));
    world.block(&votes);
    let record = world.turn();
    assert_eq!(dropped(&record), [("val-1", "suspend.in_force")]);
    assert_eq!(world.names(), ["val-0", "val-2", "val-3"]);
}

#[test]
fn seats_do_not_get_other_keys_below_a_quorum() {
    let mut world = World::new(&FOUR);
    let first = world.apply(&founder(0).with_keys(10));
    world.block(&[first]);
    let second = founder(1).with_keys(11);
    let refused = world.refused(world.apply(&second));
    assert_eq!(
        refused,
        SystemRefusal::TooManyReplaced {
            holding: 2,
            seats: 4,
            quorum: 3
        }
    );
    assert_eq!(refused.code(), "register.quorum");
    // The first may attest again, and go back to its old keys.
    world.block(&[]);
    let again = world.apply(&founder(0).with_keys(10).unsigned());
    world.block(&[again]);
    world.block(&[]);
    let back = world.apply(&founder(0));
    world.block(&[back]);
    assert!(!world.state.membership_due(), "nothing is left to do");
    world.block(&[]);
    let second = world.apply(&second);
    world.block(&[second]);
    world.change_members();
    assert_eq!(world.names(), ["val-0", "val-2", "val-3", "val-1"]);
}

#[test]
fn a_kept_set_keeps_the_seat_whose_keys_were_replaced() {
    let mut world = World::new(&FOUR);
    world.wait(20 * HOUR);
    // All but val-3 are young; val-0 comes with other keys: two hold acceptable seats.
    let mut txs: Vec<_> = [1, 2].map(|n| world.renewal(n, Machine::new(GENOA, n))).into();
    txs.push(world.apply(&founder(0).with_keys(10)));
    assert_eq!(world.state.end_due(world.now), Some(EpochReason::Schedule));
    let record = world.turn();
    assert!(!record.kept);
    world.block(&txs);
    world.wait(10 * HOUR);
    let before = world.state.current().validators.clone();
    let record = world.turn();
    assert!(record.kept);
    assert_eq!(
        dropped(&record),
        [("val-0", "epoch.replaced"), ("val-3", "attest.evidence_expired")]
    );
    assert_eq!(record.validators[0], before[0]);
    assert_ne!(
        record.validators[1], before[1],
        "renewed evidence counts in a kept set"
    );
    let seated = &world.state.seated().registrations;
    assert!(
        seated
            .iter()
            .zip(&record.validators)
            .all(|(one, seat)| one.seat == *seat)
    );
    // Its new keys come in as soon as the set is acceptable again.
    let back = world.renewal(3, Machine::new(GENOA, 3));
    world.block(&[back]);
    let record = world.turn();
    assert_eq!((record.reason, record.kept), (EpochReason::Recovery, false));
    assert_eq!(world.names(), ["val-1", "val-2", "val-3", "val-0"]);
}

#[test]
fn names_belong_to_their_operators() {
    let mut world = World::new(&FOUR);
    let stranger = Applicant {
        name: "val-1".to_owned(),
        ..newcomer(5)
    };
    assert_eq!(
        world.refused(world.apply(&stranger)),
        SystemRefusal::NameTaken {
            name: "val-1".to_owned(),
            have: operator_key(5).public(),
            held: node_key(1).public(),
        }
    );
    // Not even the validator itself gives its name another operator.
    let moved = Applicant {
        operator: operator_key(1).into(),
        ..founder(1)
    };
    assert_eq!(world.refused(world.apply(&moved)).code(), "register.name_taken");
    // Who names the operator without its word does not get the name either.
    let (unsigned, name) = (founder(1).unsigned(), "val-1".to_owned());
    for (key, applicant) in [
        ("consensus", unsigned.clone().with_keys(11)),
        (
            "node",
            Applicant {
                node: node_key(11).into(),
                ..unsigned
            },
        ),
    ] {
        let name = name.clone();
        assert_eq!(
            world.refused(world.apply(&applicant)),
            SystemRefusal::OtherKey { name, key }
        );
    }
    let mut forged = founder(1).with_keys(11).register(&world.place());
    forged.operator_signature = Some(Signature([7; 64]));
    assert_eq!(
        world.refused(SystemTx::Register(forged)),
        SystemRefusal::Registration(RegistrationError::OperatorSignature)
    );
    let nobody = newcomer(5).unsigned();
    let operator = operator_key(5).public();
    assert_eq!(
        world.refused(world.apply(&nobody)),
        SystemRefusal::OperatorMissing {
            name: "val-5".to_owned(),
            operator
        }
    );
}

#[test]
fn keys_belong_to_one_validator() {
    let mut world = World::new(&FOUR);
    let joins = world.apply(&newcomer(4));
    world.block(&[joins]);
    let taken = |key, other: &str| SystemRefusal::KeyTaken {
        key,
        other: other.to_owned(),
    };
    let new = newcomer(5);
    // Of a seat, and of one who has none yet.
    for (n, other) in [(2, "val-2"), (4, "val-4")] {
        let consensus = Applicant {
            consensus: consensus_key(n).into(),
            ..new.clone()
        };
        assert_eq!(world.refused(world.apply(&consensus)), taken("consensus", other));
        let node = Applicant {
            node: node_key(n).into(),
            ..new.clone()
        };
        assert_eq!(world.refused(world.apply(&node)), taken("node", other));
        let crossed = Applicant {
            consensus: node_key(n).into(),
            ..new.clone()
        };
        assert_eq!(world.refused(world.apply(&crossed)), taken("consensus", other));
        let kem = Applicant {
            kem: kem(n),
            ..new.clone()
        };
        assert_eq!(world.refused(world.apply(&kem)), taken("KEM", other));
    }
    // The keys of a seat stay taken while it sits, although its name has others.
    let fresh = world.apply(&founder(2).with_keys(12));
    world.block(&[fresh]);
    let heir = Applicant {
        consensus: consensus_key(2).into(),
        ..new.clone()
    };
    assert_eq!(world.refused(world.apply(&heir)), taken("consensus", "val-2"));
    world.change_members();
    world.block(&[]);
    let heir = world.apply(&heir);
    world.block(&[heir]);
}

#[test]
fn evidence_of_newcomers_is_bound_to_their_keys_and_to_this_chain() {
    let mut world = World::with(&FOUR, |genesis| genesis.policy.block_age_max = 5);
    (0..8).for_each(|_| world.block(&[]));
    let new = newcomer(4);
    let good = new.register(&world.place());
    // Another's evidence.
    let mut replayed = good.clone();
    replayed.evidence = newcomer(5).register(&world.place()).evidence;
    let message = replayed.message();
    replayed.consensus_signature = new.consensus.sign(&message.0);
    replayed.node_signature = new.node.sign(&message.0);
    replayed.operator_signature = Some(new.operator.sign(&message.0));
    assert_eq!(
        world.refused(SystemTx::Register(replayed)).code(),
        "attest.report_data"
    );
    let place = world.place();
    let bound = |change: &dyn Fn(&mut RegistrationPlace)| {
        let mut place = place;
        change(&mut place);
        SystemTx::Register(new.register(&place))
    };
    let old = *world.state.block_id(place.height - 5).unwrap();
    for (tx, code) in [
        (
            bound(&|place| place.network = Digest([9; 32])),
            "register.other_chain",
        ),
        (
            bound(&|place| place.block = Digest([9; 32])),
            "register.other_block",
        ),
        (bound(&|place| place.height += 1), "register.block_ahead"),
        (
            bound(&|place| (place.height, place.block) = (place.height - 5, old)),
            "register.block_old",
        ),
        (
            bound(&|place| place.policy_version += 1),
            "register.policy_version",
        ),
    ] {
        assert_eq!(world.refused(tx).code(), code);
    }
    let unknown = Applicant {
        machine: Machine {
            build: OTHER_BUILD,
            ..new.machine
        },
        ..new.clone()
    };
    assert_eq!(
        world.refused(world.apply(&unknown)).code(),
        "attest.measurement_unknown"
    );
    // Who was refused puts it right and tries again.
    world.block(&[SystemTx::Register(good)]);
    world.change_members();
    assert_eq!(world.names().len(), 5);
}

#[test]
fn one_chip_is_one_validator_under_whatever_name() {
    let mut world = World::new(&FOUR);
    let twin = Applicant {
        machine: Machine::new(GENOA, 2),
        ..newcomer(4)
    };
    assert_eq!(
        world.refused(world.apply(&twin)),
        SystemRefusal::DuplicateChip {
            other: "val-2".to_owned()
        }
    );
}

/// A vendor above its share is no fault of the evidence: it waits until others join, and everybody is told.
#[test]
fn too_many_of_one_vendor_wait_until_others_have_joined() {
    let mut world = World::with(&[GENOA, GENOA, Kind::Td, Kind::Td], |genesis| {
        genesis.policy.vendor_share_max = 60;
    });
    let amd: Vec<_> = [4, 5].map(|n| world.apply(&newcomer(n))).into();
    world.block(&amd);
    // 3 of 5 are 60 %, 4 of 6 are more.
    let record = world.change_members();
    assert_eq!(world.names().last(), Some(&"val-4"));
    assert_eq!(dropped(&record), [("val-5", "policy.vendor_share")]);
    assert!(!world.state.membership_due(), "nobody comes in by waiting");
    let outlook = world.state.outlook(world.now);
    let own = outlook.iter().find(|one| one.name == "val-5").unwrap();
    assert!(!own.sets[0].accepted);
    assert_eq!(own.sets[0].code, "policy.vendor_share");
    world.block(&[]);
    let intel = world.apply(&Applicant::new(6, Machine::new(Kind::Td, 6)));
    world.block(&[intel]);
    // Both would fit together; one comes in an epoch, and not the one that would break the share.
    let record = world.change_members();
    assert_eq!(world.names().last(), Some(&"val-6"));
    assert_eq!(dropped(&record), [("val-5", "epoch.newcomers")]);
    world.change_members();
    assert_eq!(world.names().len(), 7);
}

#[test]
fn the_registry_is_bounded_and_lets_go_of_who_is_long_gone() {
    let mut world = World::with(&FOUR, |genesis| {
        genesis.policy.chip_unique = false;
        genesis.policy.evidence_age_max_ms = 12 * HOUR;
        genesis.policy.block_age_max = 100;
    });
    world.compared = false;
    let signer = |n: u16, kind: u8| {
        let seed: [u8; 32] = [&n.to_le_bytes()[..], &[0xa0 + kind; 30]]
            .concat()
            .try_into()
            .unwrap();
        tacit_consensus::Ed25519Signer::from_seed(seed)
    };
    let stranger = |n: u16| Applicant {
        name: format!("s-{n}"),
        consensus: signer(n, 1).into(),
        node: signer(n, 2).into(),
        operator: signer(n, 3).into(),
        kem: SealingSecret::derive(signer(n, 4).public().0[..].try_into().unwrap())
            .public()
            .clone(),
        ..newcomer(50)
    };
    let room = MAX_REGISTERED as u16 - 4;
    for first in (0..room).step_by(32) {
        let joins: Vec<_> = (first..room.min(first + 32))
            .map(|n| world.apply(&stranger(n)))
            .collect();
        world.block(&joins);
    }
    assert_eq!(world.state.registrations().count(), MAX_REGISTERED);
    let refused = world.refused(world.apply(&stranger(room)));
    assert_eq!(refused, SystemRefusal::RegistryFull { max: MAX_REGISTERED });
    assert_eq!(refused.code(), "register.full");
    // Who is registered may renew.
    let renewal = world.renewal(0, Machine::new(GENOA, 0));
    world.block(&[renewal]);
    // Their machine is suspended: nobody of them gets a seat.
    let (vendor, chip) = world.state.registered("s-0").unwrap().chip.unwrap();
    let target = Suspension::Chip { vendor, chip };
    let votes: Vec<_> = (0..3).map(|n| suspend(&world, target, n)).collect();
    world.block(&votes);
    let record = world.turn();
    assert_eq!(record.validators.len(), 4);
    assert_eq!(record.dropped.len(), MAX_REGISTERED - 4);
    record.check_shape().unwrap();
    // A day and some blocks later nobody of them has attested again.
    (0..100).for_each(|_| world.block(&[]));
    for left in [MAX_REGISTERED, MAX_REGISTERED, 4] {
        let renewals: Vec<_> = (0..4).map(|n| world.renewal(n, Machine::new(GENOA, n))).collect();
        world.block(&renewals);
        world.wait(10 * HOUR);
        world.turn();
        assert_eq!(world.state.registrations().count(), left);
    }
    assert_eq!(world.names(), ["val-0", "val-1", "val-2", "val-3"]);
}
