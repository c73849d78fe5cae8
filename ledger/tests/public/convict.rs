//! Proofs that a validator signed two statements that no honest one signs both, and validators suspended by their key.

use tacit_attest::Suspension;
use tacit_consensus::{
    Digest, EquivocationProof, EvidenceError, Phase, Signature, SignedTimeout, Signer, Vote,
};
use tacit_ledger::*;

use crate::world::*;

const FOUR: [Kind; 4] = [GENOA; 4];

/// A vote of the key of number `n` in a seat.
fn vote(world: &World, n: u8, voter: u16, block: u8) -> Vote {
    let mut vote = Vote {
        epoch: world.state.current().epoch,
        view: 7,
        height: 5,
        block: Digest([block; 32]),
        phase: Phase::Certify,
        voter,
        signature: Signature([0; 64]),
    };
    vote.signature = consensus_key(n).sign(&vote.message(&world.chain()).0);
    vote
}

/// Founder `n` votes for two blocks of one view.
fn proof(world: &World, n: u8) -> EquivocationProof {
    EquivocationProof::Votes {
        first: vote(world, n, n.into(), 1),
        second: vote(world, n, n.into(), 2),
    }
}

fn convict(world: &World, n: u8) -> SystemTx {
    SystemTx::Convict(proof(world, n))
}

#[test]
fn who_equivocates_is_out_from_the_next_epoch_on_and_its_key_for_ever() {
    let mut world = World::new(&FOUR);
    let (key, proven) = (consensus_key(2).public(), convict(&world, 2));
    world.block(std::slice::from_ref(&proven));
    let barred: Vec<_> = world
        .state
        .convicted()
        .map(|(key, one)| (*key, one.epoch))
        .collect();
    assert_eq!(barred, [(key, 1)]);
    assert_eq!(
        world.refused(proven),
        SystemRefusal::ConvictedAlready { key },
        "another proof of the same"
    );
    let record = world.change_members();
    assert_eq!(dropped(&record), [("val-2", "epoch.convicted")]);
    assert_eq!(world.names(), ["val-0", "val-1", "val-3"]);
    assert!(!world.state.membership_due());
    world.block(&[]);
    // Under its own name and under another.
    let own = Applicant::founder(2, Machine::new(GENOA, 2));
    let barred = SystemRefusal::KeyConvicted { key };
    assert_eq!(world.refused(world.apply(&own)), barred);
    let renamed = Applicant {
        name: "val-7".to_owned(),
        ..own.clone()
    };
    assert_eq!(world.refused(world.apply(&renamed)), barred);
    // With other keys its operator brings it back.
    let fresh = world.apply(&own.with_keys(12));
    world.block(&[fresh]);
    world.change_members();
    assert_eq!(world.names(), ["val-0", "val-1", "val-3", "val-2"]);
}

#[test]
fn nobody_may_give_up_a_view_that_it_finalized() {
    let mut world = World::new(&FOUR);
    let mut finalize = vote(&world, 1, 1, 1);
    finalize.phase = Phase::Finalize;
    finalize.signature = consensus_key(1).sign(&finalize.message(&world.chain()).0);
    let mut timeout = SignedTimeout {
        epoch: 1,
        view: 9,
        high_view: 6,
        voter: 1,
        signature: Signature([0; 64]),
    };
    timeout.signature = consensus_key(1).sign(&timeout.message(&world.chain()).0);
    let proven = SystemTx::Convict(EquivocationProof::FinalizeAndTimeout { finalize, timeout });
    world.block(&[proven]);
    assert_eq!(dropped(&world.change_members()), [("val-1", "epoch.convicted")]);
}

/// Nothing can be proven while an epoch ends: what was signed then counts afterwards.
#[test]
fn a_proof_of_an_earlier_epoch_counts_as_long_as_the_key_is_registered() {
    let mut world = World::new(&[GENOA; 5]);
    let seated = convict(&world, 0);
    let leaves = world.leave("val-3", &node_key(3));
    world.block(&[leaves]);
    world.change_members();
    world.block(&[seated]);
    assert_eq!(dropped(&world.change_members())[0], ("val-0", "epoch.convicted"));
    // Who has left long ago is not even known any more.
    let mut purged = World::with(&FOUR, |genesis| {
        genesis.policy.evidence_age_max_ms = 11 * HOUR;
        genesis.policy.block_age_max = 5;
    });
    let gone = convict(&purged, 3);
    let leaves = purged.leave("val-3", &node_key(3));
    purged.block(&[leaves]);
    purged.change_members();
    (0..5).for_each(|_| purged.block(&[]));
    for _ in 0..3 {
        let renewals: Vec<_> = (0..3)
            .map(|n| purged.renewal(n, Machine::new(GENOA, n)))
            .collect();
        purged.block(&renewals);
        purged.wait(10 * HOUR);
        purged.turn();
    }
    assert_eq!(purged.state.leaving().count(), 0);
    let key = consensus_key(3).public();
    assert_eq!(purged.refused(gone), SystemRefusal::ConvictStranger { key });
}

#[test]
fn a_set_that_convictions_would_leave_too_small_is_kept() {
    let mut world = World::new(&FOUR);
    let proven = [1, 2].map(|n| convict(&world, n));
    world.block(&proven);
    assert!(!world.state.membership_due(), "nothing would change");
    world.wait(10 * HOUR);
    let record = world.turn();
    assert!(record.kept);
    assert_eq!(
        dropped(&record),
        [("val-1", "epoch.convicted"), ("val-2", "epoch.convicted")]
    );
    assert_eq!(world.names().len(), 4);
}

#[test]
fn what_proves_nothing_is_refused_by_name() {
    let mut world = World::new(&FOUR);
    let good = proof(&world, 2);
    let EquivocationProof::Votes { first, second } = good.clone() else {
        unreachable!()
    };
    let refused = |world: &mut World, first: Vote, second: Vote| {
        world.refused(SystemTx::Convict(EquivocationProof::Votes { first, second }))
    };
    let conflict = refused(&mut world, first, first);
    assert_eq!(conflict, SystemRefusal::Proof(EvidenceError::NoConflict));
    assert_eq!(conflict.code(), "convict.proof");
    // Two validators' votes are nobody's fault.
    let other = vote(&world, 1, 1, 2);
    assert_eq!(
        refused(&mut world, first, other),
        SystemRefusal::Proof(EvidenceError::OtherValidator)
    );
    // Signed by another, or for another chain.
    let framed = vote(&world, 1, 2, 2);
    assert_eq!(
        refused(&mut world, first, framed),
        SystemRefusal::Proof(EvidenceError::Signature)
    );
    let mut foreign = second;
    foreign.signature = consensus_key(2).sign(&foreign.message(&Digest([9; 32])).0);
    assert_eq!(
        refused(&mut world, first, foreign),
        SystemRefusal::Proof(EvidenceError::Signature)
    );
    // The seats of another epoch may be others'.
    let moved = |mut vote: Vote, epoch| {
        vote.epoch = epoch;
        vote
    };
    assert_eq!(
        refused(&mut world, moved(first, 2), moved(second, 2)),
        SystemRefusal::ProofEpoch { have: 2, current: 1 }
    );
    assert_eq!(
        refused(&mut world, moved(first, 0), moved(second, 0)),
        SystemRefusal::Proof(EvidenceError::Signature)
    );
    world.block(&[SystemTx::Convict(good)]);
}

#[test]
fn a_quorum_suspends_a_validator_whatever_its_machine_attests() {
    let mut world = World::new(&FOUR);
    let key = consensus_key(3).public();
    let target = Suspension::Validator { key: key.0 };
    let votes: Vec<_> = (0..3u8)
        .map(|n| {
            let epoch = world.state.current().epoch;
            SystemTx::Suspend(SuspendVote::sign(
                world.chain(),
                epoch,
                target,
                n.into(),
                &node_key(n),
            ))
        })
        .collect();
    world.block(&votes);
    let record = world.turn();
    assert_eq!(record.reason, EpochReason::Suspension);
    assert_eq!(dropped(&record), [("val-3", "suspend.in_force")]);
    world.block(&[]);
    // Neither newer evidence, nor another machine, nor other keys under its name lift it.
    let own = Applicant::founder(3, Machine::new(GENOA, 3));
    let elsewhere = Applicant {
        machine: Machine::new(GENOA, 13),
        ..own.clone()
    };
    for applicant in [own.clone(), elsewhere, own.clone().with_keys(13)] {
        assert_eq!(
            world.refused(world.apply(&applicant)),
            SystemRefusal::MachineSuspended { target }
        );
    }
    // Members do.
    let proposal = PolicyProposal {
        reinstate: vec![target],
        ..world.proposal(0, world.policy(|_| ()))
    };
    world.adopt(proposal.sign(&member_key(0), [9; 32]));
    world.wait(HOUR);
    let record = world.turn();
    assert_eq!((record.reason, record.dropped.len()), (EpochReason::Policy, 0));
    assert_eq!(world.names().len(), 4);
    // Its JSON is what commands and interfaces read and write.
    let json = serde_json::to_string(&target).unwrap();
    assert_eq!(json, format!("{{\"validator\":{{\"key\":\"{key}\"}}}}"));
    assert_eq!(serde_json::from_str::<Suspension>(&json).unwrap(), target);
}
