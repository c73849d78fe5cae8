//! Policies by k of m members.

use tacit_attest::{AllowedMeasurement, Generation, Platform, Policy, Refusal};
use tacit_consensus::Digest;
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA; 4];
const MIXED: [Kind; 4] = [GENOA, GENOA, Kind::Td, Kind::Td];

/// A policy that admits a little less.
fn tighter(world: &World) -> Policy {
    world.policy(|policy| policy.evidence_age_max_ms -= 1)
}

/// A policy that admits another build.
fn looser(world: &World) -> Policy {
    world.policy(|policy| {
        policy.measurements.push(AllowedMeasurement {
            platform: Platform::Simulated,
            value: OTHER_BUILD,
            label: "the next release".to_owned(),
            source: "simulated".to_owned(),
            build: String::new(),
        });
    })
}

#[test]
fn two_of_three_adopt_a_policy_and_one_does_not() {
    let mut world = World::new(&FOUR);
    let proposal = world.proposal(0, tighter(&world));
    let id = proposal.id();
    world.block(&[SystemTx::Propose(proposal)]);
    let open: Vec<_> = world.state.proposals().cloned().collect();
    assert_eq!((open.len(), open[0].id), (1, id));
    assert_eq!(open[0].approvals.iter().copied().collect::<Vec<_>>(), [0]);
    assert_eq!(world.state.policies_pending().count(), 0);
    assert_eq!(world.state.end_due(world.now + 1), None);

    let approval = world.approval(2, id);
    world.block(&[approval]);
    assert_eq!(world.state.proposals().count(), 0);
    let adopted = world.state.policies_pending().next().unwrap().clone();
    let adoption = adopted.adoption.unwrap();
    assert_eq!((adoption.proposal, adoption.approvals), (id, vec![0, 2]));
    assert_eq!((adopted.active_from_ms, adoption.time_ms), (world.now, world.now));
    // Until the epoch has turned, the old one is in force.
    assert_eq!(world.state.policy().version, 1);
}

#[test]
fn what_only_admits_less_ends_the_epoch_at_once() {
    let mut world = World::new(&FOUR);
    world.adopt(world.proposal(0, tighter(&world)));
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Policy));
    assert_eq!(world.state.end_due_ms(), world.now);
    let record = world.turn();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Policy, 2));
    assert_eq!(record.policy, policy_digest(world.state.policy()));
    assert_eq!(
        (record.kept, dropped(&record), record.validators.len()),
        (false, vec![], 4)
    );
    assert_eq!(world.state.end_due(world.now + 1), None);
}

#[test]
fn what_admits_more_waits() {
    let mut world = World::new(&FOUR);
    world.adopt(world.proposal(0, looser(&world)));
    let due = world.now + HOUR;
    assert_eq!(world.state.policies_pending().next().unwrap().active_from_ms, due);
    assert_eq!(world.state.end_due_ms(), due);
    assert_eq!(world.state.end_due(due - 1), None);
    assert_eq!(world.state.end_due(due), Some(EpochReason::Policy));
    world.wait(HOUR - 1);
    let record = world.turn();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Policy, 2));
}

#[test]
fn what_changes_no_verdict_does_not_wait() {
    let mut world = World::new(&FOUR);
    let renamed = world.policy(|policy| policy.measurements[0].label = "another name".to_owned());
    world.adopt(world.proposal(0, renamed));
    assert_eq!(world.state.end_due(world.now + 1), Some(EpochReason::Policy));
}

#[test]
fn a_policy_whose_time_comes_in_a_tail_waits_for_the_next_epoch() {
    let mut world = World::with(&FOUR, |genesis| genesis.params.epoch_ms_max = HOUR);
    let start = world.state.current().start_ms;
    world.adopt(world.proposal(0, looser(&world)));
    let due = world.state.policies_pending().next().unwrap().active_from_ms;
    // The tail begins on schedule right before the policy is due, and ends after it.
    world.wait(start + HOUR - 1_000 - world.now);
    assert!(world.now + 1_000 < due && world.now + 2_000 >= due);
    let record = world.turn();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Schedule, 1));
    assert!(record.judged_ms < due && record.start_ms >= due);
    let record = world.turn();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Policy, 2));
}

#[test]
fn an_ending_epoch_takes_no_ordinary_transactions() {
    let mut world = World::with(&FOUR, |genesis| genesis.params.epoch_ms_max = HOUR);
    let propose = SystemTx::Propose(world.proposal(0, tighter(&world)));
    world.wait(HOUR - 2_000);
    let time_ms = world.now + 3_000;
    assert_eq!(
        world.state.check_ordinary(&propose, time_ms),
        Err(SystemRefusal::Ending)
    );
    let reason = EpochReason::Schedule;
    let beside = [SystemTx::EndEpoch { reason }, propose.clone()];
    let refused = |error: SystemError| match error {
        SystemError::Refused { index, source } => (index, *source),
        other => panic!("{other}"),
    };
    let error = world.try_block(3_000, 0, &beside).unwrap_err();
    assert_eq!(refused(error), (1, SystemRefusal::Ending));
    world
        .try_block(3_000, 0, &[SystemTx::EndEpoch { reason }])
        .unwrap();
    assert_eq!(world.refused(propose.clone()), SystemRefusal::Ending);
    // It counts again in the next epoch.
    world.state = {
        let mut fresh = World::with(&FOUR, |genesis| genesis.params.epoch_ms_max = HOUR);
        fresh.block(&[propose]);
        fresh.state
    };
    assert_eq!(world.state.proposals().count(), 1);
}

#[test]
fn rivals_are_void_once_one_is_adopted() {
    let mut world = World::new(&FOUR);
    let (mine, rival) = (
        world.proposal(0, tighter(&world)),
        world.proposal(1, looser(&world)),
    );
    let (id, rival_id) = (mine.id(), rival.id());
    world.block(&[SystemTx::Propose(mine.clone())]);
    world.block(&[SystemTx::Propose(rival.clone())]);
    assert_eq!(world.state.proposals().count(), 2);
    let approval = world.approval(2, id);
    world.block(&[approval]);
    assert_eq!(world.state.proposals().count(), 0);
    let late = world.approval(2, rival_id);
    // Due at once: the block after is of the epoch's end.
    world.turn();
    assert_eq!(
        world.refused(late),
        SystemRefusal::ProposalUnknown { id: rival_id }
    );
    // Nobody can bring either back.
    for stale in [mine, rival] {
        assert_eq!(
            world.refused(SystemTx::Propose(stale)),
            SystemRefusal::Version { have: 2, need: 3 }
        );
    }
}

#[test]
fn a_member_replaces_an_own_proposal_and_nobody_brings_the_old_one_back() {
    let mut world = World::new(&FOUR);
    let old = world.proposal(0, looser(&world));
    world.block(&[SystemTx::Propose(old.clone())]);
    let new = world.proposal(0, tighter(&world));
    assert!(new.sequence > old.sequence);
    world.block(&[SystemTx::Propose(new.clone())]);
    assert_eq!(
        world.state.proposals().map(|open| open.id).collect::<Vec<_>>(),
        [new.id()]
    );
    assert_eq!(
        world.refused(SystemTx::Propose(old.clone())),
        SystemRefusal::Sequence {
            member: 0,
            have: old.sequence,
            open: new.sequence
        }
    );
    assert_eq!(
        world.refused(SystemTx::Propose(new.clone())),
        SystemRefusal::ProposalKnown { id: new.id() }
    );
    let late = world.approval(1, old.id());
    assert_eq!(
        world.refused(late),
        SystemRefusal::ProposalUnknown { id: old.id() }
    );
}

#[test]
fn statements_of_strangers_other_chains_and_other_versions_are_refused_by_name() {
    let mut world = World::new(&FOUR);
    let need = world.chain();
    let good = world.proposal(0, tighter(&world));

    let elsewhere = PolicyProposal {
        chain: Digest([9; 32]),
        ..good.clone()
    };
    let elsewhere = elsewhere.sign(&member_key(0), [9; 32]);
    assert_eq!(
        world.refused(SystemTx::Propose(elsewhere.clone())),
        SystemRefusal::OtherChain {
            have: Digest([9; 32]),
            need
        }
    );
    // The same statement with this chain written over it is signed by nobody.
    let moved = PolicyProposal {
        chain: need,
        ..elsewhere
    };
    assert!(matches!(
        world.refused(SystemTx::Propose(moved)),
        SystemRefusal::MemberSignature { member: 0, .. }
    ));
    let stranger = PolicyProposal {
        member: 3,
        ..good.clone()
    };
    assert_eq!(
        world.refused(SystemTx::Propose(stranger)),
        SystemRefusal::NotAMember { have: 3, members: 3 }
    );
    let another = good.clone().sign(&member_key(1), [9; 32]);
    assert!(matches!(
        world.refused(SystemTx::Propose(another)),
        SystemRefusal::MemberSignature { member: 0, .. }
    ));
    for version in [0, 1, 3, u64::MAX] {
        let mut policy = good.policy.clone();
        policy.version = version;
        let proposal = world.proposal(0, policy);
        assert_eq!(
            world.refused(SystemTx::Propose(proposal)),
            SystemRefusal::Version {
                have: version,
                need: 2
            }
        );
    }
    let mut nothing = good.policy.clone();
    nothing.platforms.clear();
    let nothing = world.proposal(0, nothing);
    assert!(matches!(
        world.refused(SystemTx::Propose(nothing)),
        SystemRefusal::Policy(Refusal::PolicyInvalid { .. })
    ));

    let id = good.id();
    world.block(&[SystemTx::Propose(good)]);
    let again = world.approval(0, id);
    assert_eq!(
        world.refused(again),
        SystemRefusal::ApprovedAlready { member: 0, id }
    );
    let stranger = PolicyApproval::sign(need, id, 3, &member_key(3), [9; 32]);
    assert_eq!(
        world.refused(SystemTx::Approve(stranger)),
        SystemRefusal::NotAMember { have: 3, members: 3 }
    );
    let other_chain = PolicyApproval::sign(Digest([9; 32]), id, 1, &member_key(1), [9; 32]);
    assert_eq!(
        world.refused(SystemTx::Approve(other_chain)),
        SystemRefusal::OtherChain {
            have: Digest([9; 32]),
            need
        }
    );
    let moved = PolicyApproval {
        chain: need,
        ..other_chain
    };
    assert!(matches!(
        world.refused(SystemTx::Approve(moved)),
        SystemRefusal::MemberSignature { member: 1, .. }
    ));
    let forged = PolicyApproval::sign(need, id, 1, &member_key(2), [9; 32]);
    assert!(matches!(
        world.refused(SystemTx::Approve(forged)),
        SystemRefusal::MemberSignature { member: 1, .. }
    ));
    let unknown = world.approval(1, Digest([7; 32]));
    assert_eq!(
        world.refused(unknown),
        SystemRefusal::ProposalUnknown { id: Digest([7; 32]) }
    );
}

#[test]
fn an_approval_counts_once_also_in_one_block() {
    let mut world = World::with(&FOUR, |genesis| genesis.governance.threshold = 3);
    let proposal = world.proposal(0, tighter(&world));
    let id = proposal.id();
    world.block(&[SystemTx::Propose(proposal)]);
    let approval = world.approval(1, id);
    let error = world
        .try_block(1_000, 0, &[approval.clone(), approval.clone()])
        .unwrap_err();
    let again = SystemRefusal::ApprovedAlready { member: 1, id };
    assert_eq!(
        error,
        SystemError::Refused {
            index: 1,
            source: Box::new(again.clone())
        }
    );
    // A leader takes the first and leaves the second out.
    let third = world.approval(2, id);
    let chosen = world
        .state
        .select([&approval, &approval, &third], world.now + 1_000);
    assert_eq!(chosen, [Ok(()), Err(again), Ok(())]);
    world.block(&[approval, third]);
    assert_eq!(world.state.policies_pending().count(), 1);
}

#[test]
fn a_network_without_members_keeps_its_policy() {
    let mut world = World::with(&FOUR, |genesis| genesis.governance = Governance::none());
    let proposal = world.proposal(0, tighter(&world));
    let approval = world.approval(1, proposal.id());
    assert_eq!(world.refused(SystemTx::Propose(proposal)), SystemRefusal::Frozen);
    assert_eq!(world.refused(approval), SystemRefusal::Frozen);
}

#[test]
fn one_member_may_be_enough() {
    let mut world = World::with(&FOUR, |genesis| genesis.governance.threshold = 1);
    let proposal = world.proposal(2, tighter(&world));
    world.block(&[SystemTx::Propose(proposal)]);
    assert_eq!(world.turn().policy_version, 2);
}

#[test]
fn a_change_that_leaves_no_quorum_must_be_approved_as_such() {
    let mut world = World::new(&MIXED);
    let only_td = |world: &World| world.policy(|policy| policy.platforms = vec![Platform::SimulatedTdx]);
    let proposal = world.proposal(0, only_td(&world));
    assert_eq!(
        world.refused(SystemTx::Propose(proposal.clone())),
        SystemRefusal::BelowQuorum {
            acceptable: 2,
            seats: 4,
            quorum: 3
        }
    );
    let licensed = PolicyProposal {
        allow_below_quorum: true,
        ..proposal
    };
    world.adopt(licensed.sign(&member_key(0), [9; 32]));
    let record = world.turn();
    assert_eq!((record.kept, world.names()), (false, vec!["val-2", "val-3"]));
    let code = "attest.platform_not_allowed";
    assert_eq!(dropped(&record), [("val-0", code), ("val-1", code)]);

    // A policy for which nobody remains is refused however it is approved.
    let nobody = PolicyProposal {
        allow_below_quorum: true,
        ..world.proposal(0, world.policy(|policy| policy.platforms = vec![Platform::Sgx]))
    };
    assert_eq!(
        world.refused(SystemTx::Propose(nobody.sign(&member_key(0), [9; 32]))),
        SystemRefusal::NobodyLeft { seats: 2 }
    );
}

#[test]
fn the_licence_is_for_the_turn_that_brings_the_policy() {
    let mut world = World::with(&MIXED, |genesis| genesis.params.epoch_ms_max = HOUR);
    let policy = world.policy(|policy| policy.evidence_age_max_ms = 4 * HOUR);
    let licensed = PolicyProposal {
        allow_below_quorum: true,
        ..world.proposal(0, policy)
    };
    world.adopt(licensed.sign(&member_key(0), [9; 32]));
    assert_eq!(world.turn().validators.len(), 4);
    // Later two of four let their evidence grow old: that was not approved.
    world.wait(30 * MINUTE);
    for n in [0, 1] {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    let mut record = world.state.current().clone();
    while !record.kept {
        assert_eq!(record.validators.len(), 4);
        assert!(world.now < TIME + 5 * HOUR, "they are too old by now");
        world.wait(world.state.end_due_ms() - world.now - 1_000);
        record = world.turn();
    }
    let code = "attest.evidence_expired";
    assert_eq!(dropped(&record), [("val-2", code), ("val-3", code)]);
    assert_eq!(record.validators.len(), 4);
}

#[test]
fn the_deciding_approval_looks_again() {
    let mut world = World::new(&FOUR);
    let proposal = world.proposal(0, world.policy(|policy| policy.evidence_age_max_ms = HOUR));
    let id = proposal.id();
    world.block(&[SystemTx::Propose(proposal)]);
    world.wait(HOUR);
    let approval = world.approval(1, id);
    assert_eq!(
        world.refused(approval.clone()),
        SystemRefusal::NobodyLeft { seats: 4 }
    );
    for n in 0..2 {
        let renewal = world.renewal(n, Machine::new(GENOA, n));
        world.block(&[renewal]);
    }
    assert_eq!(
        world.refused(approval.clone()),
        SystemRefusal::BelowQuorum {
            acceptable: 2,
            seats: 4,
            quorum: 3
        }
    );
    let renewal = world.renewal(2, Machine::new(GENOA, 2));
    world.block(&[renewal, approval]);
    let record = world.turn();
    assert_eq!(dropped(&record), [("val-3", "attest.evidence_expired")]);
}

#[test]
fn a_tightening_overtakes_a_loosening_that_waits() {
    let mut world = World::new(&FOUR);
    world.adopt(world.proposal(0, looser(&world)));
    assert_eq!(world.state.policies_pending().count(), 1);
    // Version 3 is version 1 again: nothing changes, so it does not wait, and version 2 never comes.
    let back = world.policy(|_| ());
    world.adopt(world.proposal(0, back));
    let pending: Vec<u64> = world
        .state
        .policies_pending()
        .map(|one| one.policy.version)
        .collect();
    assert_eq!(pending, [3]);
    assert_eq!(world.turn().policy_version, 3);
    world.wait(2 * HOUR);
    assert_eq!(world.state.end_due(world.now + 1), None);
    let kept: Vec<u64> = world.state.policies().map(|one| one.policy.version).collect();
    assert_eq!(kept, [1, 3]);
}

#[test]
fn a_raised_floor_drops_who_is_below_it() {
    let mut world = World::new(&[GENOA, GENOA, GENOA, TURIN]);
    let policy = world.policy(|policy| {
        let turin = policy.snp.min_tcb.iter_mut();
        for floor in turin.filter(|floor| floor.generation == Generation::Turin) {
            floor.microcode = 255;
        }
    });
    world.adopt(world.proposal(0, policy));
    let record = world.turn();
    assert_eq!(dropped(&record), [("val-3", "attest.tcb_below_floor")]);
    assert_eq!(world.names(), ["val-0", "val-1", "val-2"]);
}

#[test]
fn a_block_has_room_for_one_proposal() {
    let mut world = World::new(&FOUR);
    let (one, other) = (
        world.proposal(0, tighter(&world)),
        world.proposal(1, tighter(&world)),
    );
    let both = [SystemTx::Propose(one), SystemTx::Propose(other)];
    let error = world.try_block(1_000, 0, &both).unwrap_err();
    assert!(matches!(
        error,
        SystemError::Refused { index: 1, source } if matches!(*source, SystemRefusal::BlockFull { .. })
    ));
    world.block(&both[..1]);
    world.block(&both[1..]);
    assert_eq!(world.state.proposals().count(), 2);
}

#[test]
fn leaders_alone_end_epochs() {
    let world = World::new(&FOUR);
    let reason = EpochReason::Schedule;
    assert_eq!(
        world
            .state
            .check_ordinary(&SystemTx::EndEpoch { reason }, world.now + 1),
        Err(SystemRefusal::NotOrdinary { kind: "end-epoch" })
    );
}

#[test]
fn a_genesis_names_members_well() {
    let refused = |change: &dyn Fn(&mut Governance)| {
        let mut genesis = genesis(&[GENOA]);
        change(&mut genesis.governance);
        genesis.verify().unwrap_err()
    };
    let threshold =
        |threshold, members| GenesisError::Governance(GovernanceError::Threshold { threshold, members });
    assert_eq!(refused(&|one| one.threshold = 0), threshold(0, 3));
    assert_eq!(refused(&|one| one.threshold = 4), threshold(4, 3));
    assert_eq!(refused(&|one| one.members.clear()), threshold(2, 0));
    let member = |index| move |error: GenesisError| matches!(error, GenesisError::Governance(GovernanceError::Member { index: have, .. }) if have == index);
    assert!(member(1)(
        refused(&|one| one.members[1].name = "alice".to_owned())
    ));
    assert!(member(0)(
        refused(&|one| one.members[0].name = "Alice".to_owned())
    ));
    assert!(member(2)(refused(
        &|one| one.members[2].account = one.members[0].account
    )));
    assert!(member(2)(refused(
        &|one| one.members[2].account = AccountId([255; 32])
    )));
    assert!(matches!(
        refused(&|one| one.members = vec![one.members[0].clone(); MAX_MEMBERS + 1]),
        GenesisError::Governance(GovernanceError::Members { .. })
    ));
}
