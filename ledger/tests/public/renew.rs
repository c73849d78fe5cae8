//! Renewals: a registered validator attests again, with its keys.

use tacit_attest::{Platform, Refusal};
use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA, GENOA, TURIN, Kind::Td];

/// Few blocks, so that old ones can be made.
fn world() -> World {
    World::with(&FOUR, |genesis| genesis.policy.block_age_max = 5)
}

fn renew(n: u8, machine: Machine, place: &RegistrationPlace) -> SystemTx {
    SystemTx::Register(register(n, machine, place))
}

#[test]
fn evidence_is_renewed_and_its_age_begins_anew() {
    let mut world = world();
    world.wait(HOUR);
    for (n, kind) in (0u8..).zip(FOUR) {
        let renewal = world.renewal(n, Machine::new(kind, n));
        world.block(std::slice::from_ref(&renewal));
        let SystemTx::Register(registration) = renewal else {
            unreachable!()
        };
        let held = world.state.registered(&format!("val-{n}")).unwrap();
        assert_eq!(held.registration, registration);
        assert_eq!(
            (held.height, held.seat.registered_ms),
            (world.state.height(), world.now)
        );
    }
    // The set of the running epoch is judged by what it was seated with.
    let seated = world.state.seated();
    assert!(seated.registrations.iter().all(|one| one.height == 0));
    let seats = &world.state.current().validators;
    assert!(
        seats
            .iter()
            .zip(&seated.registrations)
            .all(|(seat, one)| one.seat == *seat)
    );
    world.wait(10 * HOUR);
    let record = world.turn();
    assert!(
        record
            .validators
            .iter()
            .all(|seat| seat.registered_ms > TIME + HOUR)
    );
    assert!(
        world
            .state
            .seated()
            .registrations
            .iter()
            .all(|one| one.height > 0)
    );
}

#[test]
fn a_validator_may_move_to_another_machine() {
    let mut world = world();
    let renewal = world.renewal(0, Machine::new(Kind::Td, 9));
    world.block(&[renewal]);
    let evidence = &world.state.registration("val-0").unwrap().evidence;
    assert_eq!(evidence.platform, Platform::SimulatedTdx);
}

#[test]
fn a_validator_renews_without_its_operator_and_with_a_fresh_kem_key() {
    let mut world = world();
    let renewal = Applicant {
        kem: kem(9),
        ..Applicant::founder(0, Machine::new(GENOA, 0)).unsigned()
    };
    let renewal = world.apply(&renewal);
    world.block(&[renewal]);
    assert_eq!(world.state.registered("val-0").unwrap().seat.kem_key, kem(9));
    assert!(!world.state.membership_due(), "nobody comes or goes");
    // The seat of this epoch keeps the key that its shares are sealed to.
    assert_eq!(world.state.current().validators[0].kem_key, kem(0));
    world.wait(10 * HOUR);
    assert_eq!(world.turn().validators[0].kem_key, kem(9));
}

#[test]
fn signatures_cover_evidence_and_name() {
    let mut world = world();
    let place = world.place();
    let good = register(0, Machine::new(GENOA, 0), &place);
    // Anybody's bytes under a validator's keys: the signatures do not hold.
    let exchanged = Registration {
        evidence: register(1, Machine::new(GENOA, 1), &place).evidence,
        ..good.clone()
    };
    assert_eq!(
        world.refused(SystemTx::Register(exchanged)),
        SystemRefusal::Registration(RegistrationError::ConsensusSignature)
    );
    // Nobody gives a validator another's KEM key either.
    let given = Registration {
        kem_key: kem(9),
        ..good.clone()
    };
    assert_eq!(
        world.refused(SystemTx::Register(given)),
        SystemRefusal::Registration(RegistrationError::ConsensusSignature)
    );
    let node = Registration {
        node_signature: good.consensus_signature,
        ..good.clone()
    };
    assert_eq!(
        world.refused(SystemTx::Register(node)),
        SystemRefusal::Registration(RegistrationError::NodeSignature)
    );
    let renamed = Registration {
        name: "val-9".to_owned(),
        kem_key: kem(9),
        consensus_key: tacit_consensus::PublicKey([7; 32]),
        node_key: tacit_consensus::PublicKey([8; 32]),
        ..good
    };
    let refusal = world.refused(SystemTx::Register(renamed));
    assert_eq!(refusal.code(), "register.signature");
}

#[test]
fn evidence_is_bound_to_a_recent_block_of_this_chain() {
    let mut world = world();
    for _ in 0..6 {
        world.block(&[]);
    }
    let place = world.place();
    let machine = Machine::new(GENOA, 0);
    let elsewhere = RegistrationPlace {
        network: Digest([9; 32]),
        ..place
    };
    assert_eq!(
        world.refused(renew(0, machine, &elsewhere)),
        SystemRefusal::OtherNetwork {
            have: Digest([9; 32]),
            need: world.chain()
        }
    );
    // A founder's evidence, brought again.
    let founder = world.state.registration("val-0").unwrap().clone();
    let founder_nonce = founder.network;
    assert_eq!(
        world.refused(SystemTx::Register(founder)),
        SystemRefusal::OtherNetwork {
            have: founder_nonce,
            need: world.chain()
        }
    );
    let ahead = RegistrationPlace {
        height: place.height + 1,
        ..place
    };
    assert_eq!(
        world.refused(renew(0, machine, &ahead)),
        SystemRefusal::BlockAhead {
            have: place.height + 1,
            newest: place.height
        }
    );
    let foreign = RegistrationPlace {
        block: Digest([9; 32]),
        ..place
    };
    assert_eq!(
        world.refused(renew(0, machine, &foreign)),
        SystemRefusal::OtherBlock {
            height: place.height,
            have: Digest([9; 32])
        }
    );
    let shifted = RegistrationPlace {
        height: place.height - 1,
        ..place
    };
    assert!(matches!(
        world.refused(renew(0, machine, &shifted)),
        SystemRefusal::OtherBlock { .. }
    ));
    // The oldest that counts is five below the block that includes it.
    let at = |world: &World, height| RegistrationPlace {
        height,
        block: *world.state.block_id(height).unwrap(),
        ..place
    };
    let next = world.state.height() + 1;
    let old = at(&world, next - 6);
    assert_eq!(
        world.refused(renew(0, machine, &old)),
        SystemRefusal::BlockOld {
            have: next - 6,
            oldest: next - 5
        }
    );
    let oldest = renew(0, machine, &at(&world, next - 5));
    world.block(&[oldest]);
}

#[test]
fn a_renewal_does_not_count_twice_nor_an_older_one_after_it() {
    let mut world = world();
    world.block(&[]);
    let place = world.place();
    let machine = Machine::new(GENOA, 0);
    let older = RegistrationPlace {
        height: place.height - 1,
        block: *world.state.block_id(place.height - 1).unwrap(),
        ..place
    };
    let (older, renewal) = (renew(0, machine, &older), renew(0, machine, &place));
    world.block(std::slice::from_ref(&renewal));
    let held = place.height;
    assert_eq!(
        world.refused(renewal),
        SystemRefusal::NotNewer { have: held, held }
    );
    assert_eq!(
        world.refused(older),
        SystemRefusal::NotNewer { have: held - 1, held }
    );
}

#[test]
fn evidence_is_bound_to_a_policy_that_is_in_force_or_to_come() {
    let mut world = world();
    let machine = Machine::new(GENOA, 0);
    let version = |world: &World, policy_version| RegistrationPlace {
        policy_version,
        ..world.place()
    };
    let refused = |world: &mut World, version: RegistrationPlace| world.refused(renew(0, machine, &version));
    let (have, min, max) = (2, 1, 1);
    let place = version(&world, have);
    assert_eq!(
        refused(&mut world, place),
        SystemRefusal::PolicyVersion { have, min, max }
    );
    // Adopted and waiting: both count.
    let looser = world.policy(|policy| policy.evidence_age_max_ms += 1);
    world.adopt(world.proposal(0, looser));
    for version in [1, 2] {
        let renewal = renew(
            0,
            machine,
            &RegistrationPlace {
                policy_version: version,
                ..world.place()
            },
        );
        world.block(&[renewal]);
    }
    world.wait(HOUR);
    world.turn();
    let (have, min, max) = (1, 2, 2);
    let place = version(&world, have);
    assert_eq!(
        refused(&mut world, place),
        SystemRefusal::PolicyVersion { have, min, max }
    );
}

#[test]
fn one_chip_holds_one_seat() {
    let mut world = world();
    let taken = world.renewal(0, Machine::new(GENOA, 1));
    assert_eq!(
        world.refused(taken),
        SystemRefusal::DuplicateChip {
            other: "val-1".to_owned()
        }
    );
    // Two renewals in one block for one free machine: the second comes too late.
    let (one, other) = (
        world.renewal(0, Machine::new(GENOA, 9)),
        world.renewal(1, Machine::new(GENOA, 9)),
    );
    let chosen = world.state.select([&one, &other], world.now + 1_000);
    let duplicate = SystemRefusal::DuplicateChip {
        other: "val-0".to_owned(),
    };
    assert_eq!(chosen, [Ok(()), Err(duplicate)]);
    // A machine that its validator left is free.
    let free = world.renewal(1, Machine::new(GENOA, 0));
    world.block(&[one, free]);
    // Where the policy allows it, chips are shared.
    let mut world = World::with(&FOUR, |genesis| genesis.policy.chip_unique = false);
    let shared = world.renewal(0, Machine::new(GENOA, 1));
    world.block(&[shared]);
}

#[test]
fn refused_evidence_is_named() {
    let mut world = world();
    let build = OTHER_BUILD;
    let unknown = world.renewal(
        0,
        Machine {
            build,
            ..Machine::new(GENOA, 0)
        },
    );
    let refusal = world.refused(unknown);
    assert!(matches!(
        refusal,
        SystemRefusal::Registration(RegistrationError::Evidence(Refusal::MeasurementUnknown { .. }))
    ));
    assert_eq!(refusal.code(), "attest.measurement_unknown");
}
