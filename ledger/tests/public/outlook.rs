//! The outlook: until when each validator is accepted, under which rules, and what ends it.

use tacit_attest::{Family, Generation, Platform, SimulatedTcbInfo, Suspension, Tee};
use tacit_ledger::*;

use crate::world::*;

const MIXED: [Kind; 4] = [GENOA, GENOA, TURIN, Kind::Td];

fn sets(world: &World, name: &str) -> Vec<SetOutlook> {
    let outlook = world.state.outlook(world.now);
    assert_eq!(outlook.len(), world.state.registrations().count());
    let one = outlook.into_iter().find(|one| one.name == name).unwrap();
    for set in &one.sets {
        assert_eq!(set.until_ms.is_some(), set.accepted);
        assert!(
            set.code.is_empty() || codes::lookup(&set.code).is_some(),
            "{}",
            set.code
        );
        assert!(!set.cause.is_empty() && !set.update.is_empty());
    }
    one.sets
}

#[test]
fn evidence_that_nobody_renews_ends_with_its_age() {
    let mut world = World::new(&MIXED);
    world.wait(HOUR);
    let renewal = world.renewal(1, Machine::new(GENOA, 1));
    world.block(&[renewal]);
    let age = world.state.policy().evidence_age_max_ms;
    for (name, from) in [("val-0", TIME), ("val-1", world.now)] {
        let today = &sets(&world, name)[0];
        assert_eq!(today.set, RuleSet::Today { version: 1 });
        assert_eq!((today.accepted, today.until_ms), (true, Some(from + age)));
        assert_eq!(today.code, "attest.evidence_expired");
    }
    world.wait(2 * age);
    let today = &sets(&world, "val-0")[0];
    assert_eq!(
        (today.accepted, today.code.as_str()),
        (false, "attest.evidence_expired")
    );
    let outlook = world.state.outlook(world.now);
    assert_eq!(
        outlook.iter().map(|one| one.seat).collect::<Vec<_>>(),
        (0..4).map(Some).collect::<Vec<_>>()
    );
}

#[test]
fn policies_to_come_and_proposed_ones_are_looked_at() {
    let mut world = World::new(&MIXED);
    let looser = world.policy(|policy| policy.evidence_age_max_ms *= 2);
    let due = {
        world.adopt(world.proposal(0, looser));
        world.now + HOUR
    };
    let no_turin = world.policy(|policy| policy.generations.retain(|one| *one != Generation::Turin));
    let proposal = world.proposal(1, no_turin);
    let id = proposal.id();
    world.block(&[SystemTx::Propose(proposal)]);
    let age = world.state.policy().evidence_age_max_ms;
    let turin = sets(&world, "val-2");
    assert_eq!(
        turin.iter().map(|one| one.set).collect::<Vec<_>>(),
        [
            RuleSet::Today { version: 1 },
            RuleSet::Pending {
                version: 2,
                active_from_ms: due
            },
            RuleSet::Proposed {
                version: 3,
                proposal: id
            },
        ]
    );
    assert_eq!(
        turin.iter().map(|one| one.until_ms).collect::<Vec<_>>(),
        [Some(TIME + age), Some(TIME + 2 * age), None]
    );
    assert_eq!(turin[2].code, "attest.generation_not_allowed");
    assert!(sets(&world, "val-0").iter().all(|set| set.accepted));
}

#[test]
fn the_next_level_names_what_is_short() {
    let mut world = World::new(&MIXED);
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, TIME);
    info.issued_ms = TIME;
    info.evaluation = 21;
    info.levels[0].cpu_svn[0] = 9;
    world.block(&[SystemTx::Collateral(AUTHORITY.tcb_info(&info).unwrap())]);
    let td = sets(&world, "val-3");
    assert!(td[0].accepted);
    assert_eq!(td[1].set, RuleSet::NextLevel { evaluation: 21 });
    assert_eq!(
        (td[1].accepted, td[1].code.as_str()),
        (false, "attest.tcb_status_not_allowed")
    );
    assert!(
        td[1].short.iter().any(|part| (part.have, part.need) == (3, 9)),
        "{:?}",
        td[1].short
    );
    assert_eq!(sets(&world, "val-0").len(), 1);
}

#[test]
fn suspensions_and_shares_count() {
    let mut world = World::new(&MIXED);
    let target = Suspension::Family(Family::Epyc(Generation::Turin));
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
    let turin = &sets(&world, "val-2")[0];
    assert_eq!((turin.accepted, turin.code.as_str()), (false, "suspend.in_force"));

    let mut world = World::new(&MIXED);
    let proposal = world.proposal(0, world.policy(|policy| policy.vendor_share_max = 70));
    world.block(&[SystemTx::Propose(proposal)]);
    let proposed = sets(&world, "val-2").pop().unwrap();
    assert_eq!(proposed.code, "policy.vendor_share");
    assert!(sets(&world, "val-3").iter().all(|set| set.accepted));
    assert_eq!(world.state.policy().platforms[0], Platform::Simulated);
}
