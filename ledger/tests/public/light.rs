//! A light client follows a real public state: over policies, simulated trust domains, renewals, kept sets.

use tacit_attest::{Collateral, Platform, SimulatedTcbInfo, Suspension, Tee};
use tacit_consensus::Ed25519;
use tacit_ledger::*;

use crate::world::*;

const MIXED: [Kind; 4] = [GENOA, TURIN, GENOA, Kind::Td];

/// What a node hands out to whoever knows `epoch`.
fn bundle(world: &World, epoch: u64) -> LightBundle {
    let head = world.head.clone().unwrap();
    let seated = world.state.seated();
    let set = match head.next_epoch {
        // The closing block is certified by the set before.
        Some(_) => &world.state.record(head.epoch).unwrap().validators,
        None => &world.state.current().validators,
    };
    LightBundle {
        links: world
            .links
            .iter()
            .filter(|link| link.record.epoch > epoch)
            .cloned()
            .collect(),
        head_proof: commit(&head, set),
        head,
        registrations: seated
            .registrations
            .iter()
            .map(|one| one.registration.clone())
            .collect(),
        policy: world.state.policy().clone(),
        collateral: Collateral::clone(&seated.collateral),
    }
}

fn advance(world: &World, from: &TrustedState, bundle: &LightBundle) -> Result<TrustedState, LightError> {
    assert_eq!(LightBundle::decode(&encode(bundle)).as_ref(), Ok(bundle));
    let followed = from.advance(bundle, world.now, HOUR, &Ed25519, &mut Verdicts::default());
    if let Err(error) = &followed {
        assert!(
            codes::lookup(error.code()).is_some(),
            "{} has no row",
            error.code()
        );
    }
    followed
}

fn follow(world: &World, from: &TrustedState) -> Result<TrustedState, LightError> {
    advance(world, from, &bundle(world, from.record.epoch))
}

fn start(world: &World) -> TrustedState {
    TrustedState::from_genesis(&world.genesis).unwrap()
}

#[test]
fn it_judges_simulated_trust_domains_with_the_collateral_of_the_record() {
    let mut world = World::new(&MIXED);
    let state = follow(&world, &start(&world)).unwrap();
    let platforms: Vec<_> = state.holders.iter().map(|holder| holder.platform).collect();
    assert_eq!(platforms[2..], [Platform::Simulated, Platform::SimulatedTdx]);
    assert_eq!(state.sealing_key().unwrap().0, 1);

    // Newer collateral on the ledger is not what this set was judged with.
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, TIME);
    info.issued_ms = TIME;
    world.block(&[SystemTx::Collateral(AUTHORITY.tcb_info(&info).unwrap())]);
    assert_eq!(follow(&world, &start(&world)).map(|state| state.height()), Ok(3));
    let mut other = bundle(&world, 0);
    other.collateral = world.state.collateral().clone();
    let refused = advance(&world, &start(&world), &other).unwrap_err();
    assert_eq!(
        (refused.code(), refused),
        ("proof.collateral", LightError::Collateral { epoch: 1 })
    );
    other.collateral = Collateral::new();
    assert_eq!(
        advance(&world, &start(&world), &other),
        Err(LightError::Collateral { epoch: 1 })
    );
    world.wait(10 * HOUR);
    world.turn();
    assert_eq!(follow(&world, &state).map(|state| state.record.epoch), Ok(2));
}

#[test]
fn it_follows_over_a_change_of_policy_and_renewals() {
    let mut world = World::new(&MIXED);
    let first = follow(&world, &start(&world)).unwrap();
    let renewal = world.renewal(1, Machine::new(GENOA, 7));
    world.block(&[renewal]);
    let policy = world.policy(|policy| {
        policy
            .generations
            .retain(|one| *one != tacit_attest::Generation::Turin)
    });
    world.adopt(world.proposal(0, policy));
    let record = world.turn();
    assert_eq!((record.policy_version, record.dropped.len()), (2, 0));
    for from in [start(&world), first.clone()] {
        let state = follow(&world, &from).unwrap();
        assert_eq!((state.record.epoch, state.record.policy_version), (2, 2));
        assert_ne!(state.holders[1].chip, first.holders[1].chip);
    }
    // The policy before is not the one that was certified, nor is the registration before.
    let mut old = bundle(&world, 1);
    old.policy = world.genesis.policy.clone();
    assert_eq!(
        advance(&world, &first, &old),
        Err(LightError::Policy { epoch: 2 })
    );
    let mut old = bundle(&world, 1);
    old.registrations[1] = world.genesis.validators[1].clone();
    assert_eq!(
        advance(&world, &first, &old),
        Err(LightError::OtherRegistration { index: 1 })
    );
}

#[test]
fn it_refuses_a_kept_set() {
    // All too old.
    let mut world = World::new(&MIXED);
    let state = follow(&world, &start(&world)).unwrap();
    world.wait(48 * HOUR);
    world.turn();
    let refused = follow(&world, &state).unwrap_err();
    assert!(matches!(refused, LightError::Aged { index: 0, .. }), "{refused}");
    assert_eq!(refused.code(), "attest.evidence_expired");
    // It follows again once the set has recovered.
    for n in 0..4u8 {
        let renewal = world.renewal(n, Machine::new(MIXED[usize::from(n)], n));
        world.block(&[renewal]);
        if world.state.end_due(world.now + 1).is_some() {
            break;
        }
    }
    world.turn();
    assert_eq!(follow(&world, &state).map(|state| state.record.epoch), Ok(3));

    // Suspended, although its evidence verifies.
    let mut world = World::new(&MIXED);
    let target = Suspension::Platform(Platform::Simulated);
    let votes: Vec<_> = (0u8..3)
        .map(|n| {
            SystemTx::Suspend(SuspendVote::sign(
                world.chain(),
                1,
                target,
                n.into(),
                &node_key(n),
            ))
        })
        .collect();
    world.block(&votes);
    assert!(world.turn().kept);
    let refused = follow(&world, &start(&world)).unwrap_err();
    assert_eq!(
        (refused.code(), refused),
        ("epoch.kept", LightError::Kept { epoch: 2, dropped: 3 })
    );
}

#[test]
fn it_follows_over_a_kept_epoch_to_a_good_one() {
    let mut world = World::new(&[GENOA; 4]);
    world.wait(48 * HOUR);
    world.turn();
    for n in 0..3 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    world.turn();
    let state = follow(&world, &start(&world)).unwrap();
    assert_eq!((state.record.epoch, state.holders.len()), (3, 3));
}

#[test]
fn it_judges_at_the_time_of_the_decision() {
    // The document ends after the set was decided, and before the light client asks.
    let end = TIME + 15 * HOUR;
    let mut world = World::with(&MIXED, |genesis| {
        let mut info = SimulatedTcbInfo::new(Tee::Tdx, TIME);
        info.next_update_ms = end;
        genesis.collateral[2] = AUTHORITY.tcb_info(&info).unwrap();
    });
    world.wait(10 * HOUR);
    world.turn();
    world.wait(6 * HOUR);
    world.block(&[]);
    assert!(world.now > end);
    let state = follow(&world, &start(&world)).unwrap();
    assert_eq!(state.holders.len(), 4);
    // At the next turn it counts.
    world.wait(5 * HOUR);
    world.turn();
    assert_eq!(world.names().len(), 3);
    assert_eq!(follow(&world, &state).map(|state| state.holders.len()), Ok(3));
}
