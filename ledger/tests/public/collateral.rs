//! Collateral on the ledger: anybody brings it, it only moves forward, and it decides whom the next epoch seats.

use tacit_attest::{CollateralUpdate, Refusal, SimulatedList, SimulatedQeIdentity, SimulatedTcbInfo, Tee};
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA, GENOA, GENOA, Kind::Td];

/// A TCB info of the level that genesis holds, as of `issued_ms`.
fn tcb_info(issued_ms: u64, change: impl FnOnce(&mut SimulatedTcbInfo)) -> CollateralUpdate {
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, TIME);
    info.issued_ms = issued_ms;
    change(&mut info);
    AUTHORITY.tcb_info(&info).unwrap()
}

fn bring(update: CollateralUpdate) -> SystemTx {
    SystemTx::Collateral(update)
}

#[test]
fn a_newer_document_replaces_the_older_one_and_never_the_other_way() {
    let mut world = World::new(&FOUR);
    let before = collateral_digest(world.state.collateral());
    let newer = tcb_info(TIME, |_| ());
    world.block(&[bring(newer.clone())]);
    assert_ne!(collateral_digest(world.state.collateral()), before);
    for stale in [newer, tcb_info(TIME - 1_000, |_| ())] {
        let refusal = world.refused(bring(stale));
        assert!(matches!(
            refusal,
            SystemRefusal::Collateral(Refusal::CollateralNotNewer { .. })
        ));
        assert_eq!(refusal.code(), "attest.collateral_not_newer");
    }
    let future = world.now + 10_000;
    let refusal = world.refused(bring(tcb_info(future, |_| ())));
    assert_eq!(refusal.code(), "attest.collateral_not_yet_valid");
    let lower = world.refused(bring(tcb_info(TIME + 1_000, |info| info.evaluation = 19)));
    assert_eq!(lower.code(), "attest.collateral_rolled_back");
}

#[test]
fn what_the_vendor_did_not_sign_is_refused() {
    let mut world = World::new(&FOUR);
    let other = tacit_attest::SimulatorAuthority::generate([2; 32], TIME).unwrap();
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, TIME);
    info.issued_ms = TIME;
    let stranger = world.refused(bring(other.tcb_info(&info).unwrap()));
    assert_eq!(stranger.code(), "attest.collateral_signer");
    let mut real = tcb_info(TIME, |_| ());
    real.simulated = false;
    assert!(world.refused(bring(real)).code().starts_with("attest."));
}

#[test]
fn the_set_that_runs_keeps_the_collateral_it_was_judged_with() {
    let mut world = World::new(&FOUR);
    let judged = world.state.current().collateral;
    world.block(&[bring(tcb_info(TIME, |_| ()))]);
    assert_eq!(collateral_digest(&world.state.seated().collateral), judged);
    assert_ne!(collateral_digest(world.state.collateral()), judged);
    world.wait(10 * HOUR);
    let record = world.turn();
    assert_ne!(record.collateral, judged);
    assert_eq!(record.collateral, collateral_digest(world.state.collateral()));
    assert_eq!(
        collateral_digest(&world.state.seated().collateral),
        record.collateral
    );
}

#[test]
fn a_level_that_calls_a_machine_out_of_date_costs_its_seat() {
    let mut world = World::new(&FOUR);
    // Intel says more of the level that is asked for.
    let raised = tcb_info(TIME, |info| {
        for level in &mut info.levels[..1] {
            level.cpu_svn[0] = 9;
        }
    });
    world.block(&[bring(raised)]);
    world.wait(10 * HOUR);
    assert_eq!(
        dropped(&world.turn()),
        [("val-3", "attest.tcb_status_not_allowed")]
    );
}

#[test]
fn the_next_level_waits_until_members_ask_for_it() {
    let mut world = World::new(&FOUR);
    let next = tcb_info(TIME, |info| {
        info.evaluation = 21;
        info.levels[0].cpu_svn[0] = 9;
    });
    let mut identity = SimulatedQeIdentity::new(Tee::Tdx, TIME);
    identity.evaluation = 21;
    world.block(&[bring(next), bring(AUTHORITY.qe_identity(&identity).unwrap())]);
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), []);
    let policy = world.policy(|policy| policy.tdx.machine.evaluation_min = 21);
    world.adopt(world.proposal(0, policy));
    let record = world.turn();
    assert_eq!(record.reason, EpochReason::Policy);
    assert_eq!(dropped(&record), [("val-3", "attest.tcb_status_not_allowed")]);
}

/// Evidence is judged at block time alone: verdicts that were remembered end when a document does.
#[test]
fn documents_that_nobody_renews_cost_the_seats_that_need_them() {
    let end = TIME + 15 * HOUR;
    let mut world = World::with(&FOUR, |genesis| {
        genesis.policy.evidence_age_max_ms = 7 * 24 * HOUR;
        genesis.collateral[2] = tcb_info(TIME - 1_000, |info| info.next_update_ms = end);
    });
    world.wait(TIME + 14 * HOUR + 59 * MINUTE + 30_000 - world.now);
    let record = world.turn();
    assert!(record.judged_ms < end);
    assert_eq!(dropped(&record), []);
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), [("val-3", "attest.collateral_expired")]);
    // Anybody brings the next one, and the seat comes back.
    let time = world.now / 1_000 * 1_000;
    let next = tcb_info(time, |info| info.next_update_ms = time + 30 * 24 * HOUR);
    world.block(&[bring(next)]);
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), []);
}

#[test]
fn a_kept_set_recovers_with_its_collateral() {
    let end = TIME + 5 * HOUR;
    let mut world = World::with(&[Kind::Td; 4], |genesis| {
        genesis.collateral[2] = tcb_info(TIME - 1_000, |info| info.next_update_ms = end);
    });
    world.wait(10 * HOUR);
    assert!(world.turn().kept);
    let time = world.now / 1_000 * 1_000;
    world.block(&[bring(tcb_info(time, |info| {
        info.next_update_ms = time + 24 * HOUR
    }))]);
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Recovery));
    assert!(!world.turn().kept);
}

#[test]
fn a_revoked_machine_loses_its_seat_and_does_not_renew() {
    let mut world = World::new(&FOUR);
    let td = AUTHORITY.issue_td([3; 32], TIME).unwrap();
    let serial = serial_of(td.leaf());
    let mut list = SimulatedList::new(TIME);
    list.issued_ms = TIME;
    list.number = 2;
    list.revoked = vec![serial];
    world.block(&[bring(AUTHORITY.pck_list(&list).unwrap())]);
    let renewal = world.renewal(3, Machine::new(Kind::Td, 3));
    assert_eq!(world.refused(renewal).code(), "attest.certificate_revoked");
    world.wait(10 * HOUR);
    assert_eq!(dropped(&world.turn()), [("val-3", "attest.certificate_revoked")]);
}

/// The serial number of a certificate: the first integer after its version.
fn serial_of(leaf: &[u8]) -> Vec<u8> {
    // Certificate, its content, version 3, then the serial: all with lengths as the simulator writes them.
    let marker = [0xa0, 0x03, 0x02, 0x01, 0x02, 0x02];
    let at = leaf
        .windows(marker.len())
        .position(|window| window == marker)
        .unwrap()
        + marker.len();
    leaf[at + 1..at + 1 + usize::from(leaf[at])].to_vec()
}

#[test]
fn a_genesis_without_the_collateral_that_its_founders_need_does_not_hold() {
    let mut bare = genesis(&FOUR);
    bare.collateral.clear();
    let GenesisError::Registration { index: 3, source } = bare.verify().unwrap_err() else {
        panic!("the trust domain cannot be judged");
    };
    assert_eq!(source.code(), "attest.collateral_missing");
    let mut twice = genesis(&FOUR);
    let again = twice.collateral[0].clone();
    twice.collateral.push(again);
    assert!(matches!(
        twice.verify(),
        Err(GenesisError::Collateral {
            index: 4,
            source: Refusal::CollateralNotNewer { .. }
        })
    ));
    let json = genesis(&FOUR).to_json();
    let back = Genesis::from_json(&json).unwrap();
    assert_eq!(back.chain_id(), genesis(&FOUR).chain_id());
    let another = {
        let mut genesis = genesis(&FOUR);
        genesis.governance.threshold = 3;
        genesis
    };
    assert_ne!(another.chain_id(), back.chain_id());
}
