//! Versions of the protocol: members raise them, builds that do not speak the new one lose their seats.

use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA; 4];

/// A proposal that changes nothing but the protocol.
fn raise(world: &World, protocol: u16) -> PolicyProposal {
    let proposal = PolicyProposal {
        protocol,
        ..world.proposal(0, world.policy(|_| ()))
    };
    proposal.sign(&member_key(0), [9; 32])
}

/// Validator `n` attests that its build speaks version 2.
fn upgrade(world: &World, n: u8) -> SystemTx {
    let upgraded = Applicant {
        protocol: 2,
        ..Applicant::founder(n, Machine::new(GENOA, n)).unsigned()
    };
    world.apply(&upgraded)
}

#[test]
fn a_new_protocol_begins_with_an_epoch_and_drops_who_does_not_speak_it() {
    let mut world = World::new(&FOUR);
    assert_eq!(world.state.current().protocol, 1);
    let upgraded: Vec<_> = (0..3).map(|n| upgrade(&world, n)).collect();
    world.block(&upgraded);
    world.adopt(raise(&world, 2));
    let pending = world.state.policies_pending().next().unwrap();
    // It waits, so that everybody hears of it in time.
    assert_eq!((pending.protocol, pending.active_from_ms), (2, world.now + HOUR));
    let outlook = world.state.outlook(world.now);
    let told = |n: usize, set: usize| (outlook[n].sets[set].accepted, outlook[n].sets[set].code.clone());
    assert!(told(3, 0).0);
    assert_eq!(told(3, 1), (false, "epoch.protocol".to_owned()));
    assert!(told(2, 1).0);
    world.wait(HOUR);
    let record = world.turn();
    assert_eq!((record.protocol, record.policy_version), (2, 2));
    assert_eq!(dropped(&record), [("val-3", "epoch.protocol")]);
    // Its build is no good any more, until it is upgraded.
    world.block(&[]);
    let old = Applicant::founder(3, Machine::new(GENOA, 3)).unsigned();
    assert_eq!(
        world.refused(world.apply(&old)),
        SystemRefusal::Protocol { have: 1, need: 2 }
    );
    let upgraded = upgrade(&world, 3);
    world.block(&[upgraded]);
    world.change_members();
    assert_eq!(world.names().len(), 4);
}

#[test]
fn a_protocol_that_too_few_speak_is_not_adopted() {
    let mut world = World::new(&FOUR);
    let upgraded: Vec<_> = (0..2).map(|n| upgrade(&world, n)).collect();
    world.block(&upgraded);
    assert_eq!(
        world.refused(SystemTx::Propose(raise(&world, 2))),
        SystemRefusal::BelowQuorum {
            acceptable: 2,
            seats: 4,
            quorum: 3
        }
    );
    assert_eq!(
        world.refused(SystemTx::Propose(raise(&world, 3))),
        SystemRefusal::NobodyLeft { seats: 4 }
    );
}

#[test]
fn versions_do_not_go_back() {
    let mut world = World::new(&FOUR);
    let upgraded: Vec<_> = (0..4).map(|n| upgrade(&world, n)).collect();
    world.block(&upgraded);
    assert_eq!(
        world.refused(SystemTx::Propose(raise(&world, 0))),
        SystemRefusal::ProtocolBack { have: 0, min: 1 }
    );
    world.adopt(raise(&world, 2));
    // Adopted, and not in force yet.
    let back = world.refused(SystemTx::Propose(raise(&world, 1)));
    assert_eq!(back, SystemRefusal::ProtocolBack { have: 1, min: 2 });
    assert_eq!(back.code(), "gov.protocol");
}

/// The members licensed a version that only two of four speak, and the two age before it comes: nobody is left who speaks
/// it, so the set stays and goes on with what it speaks.
#[test]
fn a_kept_set_goes_on_with_the_version_that_it_speaks() {
    let mut world = World::with(&FOUR, |genesis| {
        genesis.policy.evidence_age_max_ms = 30 * MINUTE;
    });
    let upgraded: Vec<_> = (0..2).map(|n| upgrade(&world, n)).collect();
    world.block(&upgraded);
    let licensed = PolicyProposal {
        allow_below_quorum: true,
        ..raise(&world, 2)
    };
    world.adopt(licensed.sign(&member_key(0), [9; 32]));
    world.wait(HOUR);
    let record = world.turn();
    assert_eq!(
        (record.kept, record.protocol, record.policy_version),
        (true, 1, 2)
    );
    assert_eq!(record.validators.len(), 4);
    // When enough of them speak it, the set is replaced and the version comes with it.
    world.block(&[]);
    let upgraded: Vec<_> = (0..4).map(|n| upgrade(&world, n)).collect();
    world.block(&upgraded);
    let record = world.turn();
    assert_eq!(
        (record.reason, record.kept, record.protocol),
        (EpochReason::Recovery, false, 2)
    );
}

#[test]
fn founders_speak_the_version_that_genesis_names() {
    let mut genesis = genesis(&FOUR);
    genesis.protocol = PROTOCOL_VERSION + 1;
    let error = genesis.verify().unwrap_err();
    assert!(
        matches!(
            error,
            GenesisError::Protocol {
                index: 0,
                have: PROTOCOL_VERSION,
                ..
            }
        ),
        "{error}"
    );
}
