//! The public lane: policies that members change, while leaders lie, gossip is lost and strangers throw things.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use tacit_attest::Platform;
use tacit_consensus::{Digest, EquivocationProof, Message, Signer};
use tacit_ledger::{EpochReason, PolicyProposal, RegistrationPlace, SystemTx};
use tacit_node::{replica::GossipVerdict, wire::SystemGossip};

use crate::membership::contradiction;
use tacit_tests::sim::{
    founders::{LOOSENING_DELAY_MS, alice, bob, consensus_signer, first_kem, member, renewal},
    world::{Options, World},
};

/// A change that only admits less.
fn stricter(proposal: &mut PolicyProposal) {
    proposal.policy.block_age_max -= 1;
}

/// A change that admits more.
fn looser(proposal: &mut PolicyProposal) {
    proposal.policy.block_age_max += 1;
}

#[test]
fn two_of_three_members_tighten_the_policy_and_the_epoch_turns_at_once() {
    let mut world = World::at_epoch_1(Options::default());
    let observer = world.add_observer();
    let proposal = world.propose(0, stricter);
    let policy = proposal.policy.clone();
    let id = proposal.id();
    world.carry_through(0, &SystemTx::Propose(proposal));
    assert_eq!(world.record().epoch, 1, "one of three is not enough");
    let approval = world.approve(1, id);
    world.carry_through(2, &approval);
    world.run_until("epoch 2 begins", 10_000, |world| world.all_in(2));
    let record = world.record();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Policy, 2));
    assert_eq!(record.validators.len(), 4);
    assert!(!record.kept && record.dropped.is_empty());
    world.settle();
    for node in &world.nodes {
        assert_eq!(*node.up().public().policy(), policy, "node {}", node.index);
        assert_eq!(world.waiting(node.index), 0, "node {}", node.index);
    }
    let root = |index: usize| {
        let replica = world.nodes[index].up();
        replica.public().root(replica.head().height)
    };
    assert_eq!(
        root(observer),
        root(0),
        "an observer's public state is everybody's"
    );
    world.transfer(0, &alice(), 0, bob().id());
    world.assert_calm();
}

/// The chain is idle in the meantime: it wakes by itself when the policy's time comes.
#[test]
fn a_policy_that_admits_more_waits_its_delay_and_then_ends_the_epoch_of_an_idle_chain() {
    let mut world = World::at_epoch_1(Options::default());
    let proposal = world.propose(0, looser);
    let id = proposal.id();
    world.carry_through(0, &SystemTx::Propose(proposal));
    let approval = world.approve(2, id);
    world.carry_through(1, &approval);
    let active_ms = {
        let mut pending = world.public().policies_pending();
        pending.next().expect("adopted").active_from_ms
    };
    world.settle();
    assert!(active_ms >= world.now + LOOSENING_DELAY_MS - 10_000);
    world.run_for(active_ms - world.now - 1);
    assert_eq!(world.record().epoch, 1, "not before its time");
    assert_eq!(world.record().policy_version, 1);
    world.run_until("epoch 2 begins", 5_000, |world| world.all_in(2));
    let record = world.record();
    assert_eq!((record.reason, record.policy_version), (EpochReason::Policy, 2));
    assert!(record.start_ms >= active_ms);
    world.settle();
    world.assert_calm();
}

#[test]
fn a_transaction_that_only_one_validator_heard_of_gets_into_a_block_all_the_same() {
    for holder in 0..4 {
        let mut world = World::at_epoch_1(Options::default());
        world.mute.extend(0..4);
        let proposal = SystemTx::Propose(world.propose(1, stricter));
        world.carry_through(holder, &proposal);
        world.settle();
        world.assert_calm();
    }
}

#[test]
fn what_a_restart_loses_can_be_handed_in_again_and_what_is_committed_is_known_for_ever() {
    let mut world = World::at_epoch_1(Options::default());
    // Alone, it gets nothing into a block.
    for other in 0..3 {
        world.cut.extend([(3, other), (other, 3)]);
    }
    let proposal = SystemTx::Propose(world.propose(0, stricter));
    let id = world.hand_in(3, &proposal).expect("accepted");
    assert_eq!(world.waiting(3), 1);
    world.crash(3);
    world.start(3);
    assert_eq!(world.waiting(3), 0, "a restart loses what was not committed");
    world.heal();
    world.run_for(3_000);
    assert!(!world.all_have_system(&id));
    world.carry_through(3, &proposal);
    world.settle();
    let top = world.top();
    world.crash(3);
    world.start(3);
    assert_eq!(
        world.hand_in(3, &proposal),
        Ok(id),
        "known, and not proposed again"
    );
    world.run_for(3_000);
    assert_eq!(world.waiting(3), 0);
    for height in top + 1..=world.nodes[0].height() {
        let payload = world.nodes[0].block(height).block.payload;
        assert!(
            payload.is_empty(),
            "nothing wanted block {height} but the heartbeat"
        );
    }
    world.assert_calm();
}

/// Changes every proposal of the first leader who has one to change, and signs it again.
fn lying(
    world: &mut World,
    mut change: impl FnMut(&mut Vec<Vec<u8>>) -> bool + 'static,
) -> Rc<RefCell<BTreeSet<Digest>>> {
    let changed = Rc::<RefCell<BTreeSet<Digest>>>::default();
    let (ids, mut who) = (changed.clone(), None);
    world.crook = Some(Box::new(move |from, _, message| match message {
        Message::Proposal(mut block) if who.is_none_or(|who| who == from) => {
            if change(&mut block.payload.system) {
                who = Some(from);
                block.header.payload_root = block.payload.root();
                block.signature = consensus_signer(from).sign(&block.signed_header().message().0);
                ids.borrow_mut().insert(block.id());
            }
            vec![Message::Proposal(block)]
        }
        other => vec![other],
    }));
    changed
}

#[test]
fn a_leader_that_puts_an_invalid_transaction_into_a_block_gets_no_votes() {
    type Lie = fn(&World) -> SystemTx;
    let lies: [(&str, Lie); 8] = [
        ("a version that is not the next", |world| {
            SystemTx::Propose(world.propose(0, |proposal| proposal.policy.version += 1))
        }),
        ("a member's signature under other words", |world| {
            let mut proposal = world.propose(0, stricter);
            proposal.sequence += 1;
            SystemTx::Propose(proposal)
        }),
        ("an approval of nothing", |world| {
            world.approve(1, Digest([4; 32]))
        }),
        ("another chain's", |world| {
            SystemTx::Propose(world.propose(0, |proposal| proposal.chain = Digest([5; 32])))
        }),
        ("a vote by who has no such seat", |world| {
            let SystemTx::Suspend(mut vote) =
                world.vote(1, tacit_attest::Suspension::Platform(Platform::Tdx))
            else {
                unreachable!("a vote")
            };
            vote.validator = 2;
            SystemTx::Suspend(vote)
        }),
        ("a leave request that its operator did not sign", |world| {
            let SystemTx::Leave(mut request) = world.leave(2) else {
                unreachable!("a request")
            };
            request.signature.0[0] ^= 1;
            SystemTx::Leave(request)
        }),
        ("one vote twice as a proof", |world| {
            let vote = contradiction(world, 2).0;
            SystemTx::Convict(EquivocationProof::Votes {
                first: vote,
                second: vote,
            })
        }),
        ("founders' evidence as a renewal", |world| {
            SystemTx::Register(world.genesis.validators[0].clone())
        }),
    ];
    for (what, lie) in lies {
        let mut world = World::at_epoch_1(Options::default());
        let bytes = lie(&world).encode();
        let changed = lying(&mut world, move |system| {
            system.push(bytes.clone());
            true
        });
        for nonce in 0..5 {
            world.transfer((nonce % 4) as usize, &alice(), nonce, bob().id());
        }
        let changed = changed.borrow();
        assert!(!changed.is_empty(), "{what}: the story had a crooked block");
        let committed = || world.checker.chain.values();
        assert!(committed().all(|id| !changed.contains(id)), "{what}");
        assert!(world.nodes.iter().all(|node| node.halted.is_none()), "{what}");
    }
}

#[test]
fn a_leader_that_repeats_a_transaction_within_a_block_gets_no_votes() {
    let mut world = World::at_epoch_1(Options::default());
    let changed = lying(&mut world, |system| {
        let first = system.first().cloned();
        let ordinary = first.filter(|bytes| SystemTx::decode(bytes).is_ok_and(|tx| tx.is_ordinary()));
        let found = ordinary.is_some();
        system.extend(ordinary);
        found
    });
    for index in 0..3 {
        let vote = world.vote(index, tacit_attest::Suspension::Platform(Platform::Sgx));
        // Not enough to suspend anybody: two of four.
        if index < 2 {
            world.carry_through(index, &vote);
        }
        world.settle();
    }
    let proposal = SystemTx::Propose(world.propose(0, stricter));
    world.carry_through(2, &proposal);
    let changed = changed.borrow();
    assert!(!changed.is_empty(), "the story had a crooked block");
    assert!(world.checker.chain.values().all(|id| !changed.contains(id)));
}

#[test]
fn refusals_have_names_and_nothing_refused_waits_or_wants_a_block() {
    let mut world = World::at_epoch_1(Options::default());
    let top = world.top();
    let cases = [
        (
            SystemTx::Propose(world.propose(0, |proposal| proposal.policy.version = 9)),
            "gov.version",
            GossipVerdict::Ignore,
        ),
        (
            SystemTx::Propose(world.propose(0, |proposal| proposal.chain = Digest([5; 32]))),
            "gov.other_chain",
            GossipVerdict::Reject,
        ),
        (
            {
                let mut proposal = world.propose(0, stricter);
                proposal.sequence += 1;
                SystemTx::Propose(proposal)
            },
            "gov.signature",
            GossipVerdict::Reject,
        ),
        (
            world.approve(1, Digest([4; 32])),
            "gov.proposal_unknown",
            GossipVerdict::Ignore,
        ),
        (
            {
                let SystemTx::Leave(mut request) = world.leave(2) else {
                    unreachable!("a request")
                };
                request.signature.0[0] ^= 1;
                SystemTx::Leave(request)
            },
            "leave.signature",
            GossipVerdict::Reject,
        ),
        (
            {
                let SystemTx::Leave(mut request) = world.leave(2) else {
                    unreachable!("a request")
                };
                request.registration = Digest([5; 32]);
                SystemTx::Leave(request)
            },
            "leave.other_registration",
            GossipVerdict::Ignore,
        ),
        (
            {
                let (first, mut second) = contradiction(&world, 2);
                second.signature.0[0] ^= 1;
                SystemTx::Convict(EquivocationProof::Votes { first, second })
            },
            "convict.proof",
            GossipVerdict::Reject,
        ),
        (
            SystemTx::EndEpoch {
                reason: EpochReason::Schedule,
            },
            "system.not_ordinary",
            GossipVerdict::Reject,
        ),
    ];
    for (tx, code, verdict) in cases {
        let refused = world.hand_in(0, &tx).expect_err(code);
        assert_eq!(refused.code, code, "{}", refused.detail);
        assert!(
            tacit_ledger::codes::lookup(code).is_some(),
            "{code} is in the table"
        );
        let gossip = SystemGossip {
            round: 0,
            tx: tx.encode(),
        };
        match world.take_system(1, &borsh::to_vec(&gossip).expect("encoded")) {
            Some(token) => assert_eq!(world.nodes[1].seen.verdicts[&token], verdict, "{code}"),
            None => assert_eq!(
                code, "system.not_ordinary",
                "refused before it reaches the replica"
            ),
        }
    }
    world.run_for(3_000);
    assert!((0..4).all(|index| world.waiting(index) == 0));
    assert_eq!(world.top(), top, "no block was made of it");
    world.assert_calm();
}

#[test]
fn one_member_has_one_place_however_often_it_proposes() {
    let mut world = World::at_epoch_1(Options::default());
    // Nothing gets into a block while the others do not answer.
    for other in 0..3 {
        world.cut.extend([(3, other), (other, 3)]);
    }
    let sequence = world.now;
    let mut ids = Vec::new();
    for n in 0..200 {
        let tx = SystemTx::Propose(world.propose(0, |proposal| {
            stricter(proposal);
            proposal.sequence = sequence + n;
        }));
        ids.push(world.hand_in(3, &tx).expect("newer than the one before"));
        assert_eq!(world.waiting(3), 1, "it takes the place of the one before");
    }
    let older = SystemTx::Propose(world.propose(0, |proposal| {
        stricter(proposal);
        proposal.sequence = sequence;
    }));
    assert_eq!(world.hand_in(3, &older).expect_err("older").code, "system.older");
    let (last, replaced) = ids.split_last().expect("many");
    let dropped = &world.nodes[3].seen.system_dropped;
    assert!(replaced.iter().all(|id| dropped[id].code == "system.replaced"));
    assert!(!dropped.contains_key(last));
    // Another member's place is its own.
    let other = SystemTx::Propose(world.propose(1, stricter));
    world.hand_in(3, &other).expect("accepted");
    assert_eq!(world.waiting(3), 2);
    // The same wish under another signature is the same wish.
    let again = {
        let mut proposal = world.propose(1, stricter);
        proposal = proposal.sign(&member(1), [77; 32]);
        SystemTx::Propose(proposal)
    };
    assert_eq!(world.hand_in(3, &again), Ok(other.id()));
    assert_eq!(world.waiting(3), 2);
    world.heal();
    world.run_until("both are in the chain", 30_000, |world| {
        world.all_have_system(last) && world.all_have_system(&other.id())
    });
    world.settle();
}

#[test]
fn what_the_state_has_overtaken_is_let_go_of_by_name_and_the_chain_rests() {
    let mut world = World::at_epoch_1(Options::default());
    // Bob's proposal of version 2 waits at node 3, which hears of nothing, while the others adopt Alice's.
    world.mute.insert(3);
    for other in 0..3 {
        world.cut.extend([(3, other), (other, 3)]);
    }
    let bobs = SystemTx::Propose(world.propose(1, looser));
    let id = world.hand_in(3, &bobs).expect("valid so far");
    let alices = world.propose(0, looser);
    let (proposal, approvals) = (alices.id(), alices);
    let first = world.hand_in(0, &SystemTx::Propose(approvals)).expect("accepted");
    let among = |world: &World, id: &Digest| {
        world.nodes[..3]
            .iter()
            .all(|node| node.log().system(id).expect("readable").is_some())
    };
    world.run_until("the three have it", 60_000, |world| among(world, &first));
    let approval = world.approve(2, proposal);
    let second = world.hand_in(1, &approval).expect("accepted");
    world.run_until("the three have adopted it", 60_000, |world| among(world, &second));
    world.heal();
    world.run_until("node 3 has let go", 60_000, |world| world.waiting(3) == 0);
    let refused = &world.nodes[3].seen.system_dropped[&id];
    assert_eq!(refused.code, "gov.version", "{}", refused.detail);
    world.settle();
    let top = world.top();
    world.run_for(3_000);
    assert_eq!(world.top(), top, "nothing wants a block");
}

#[test]
fn a_validator_attests_again_and_the_next_epoch_seats_it_by_the_new_evidence() {
    let mut world = World::at_epoch_1(Options::epochs_of(20_000));
    let head = world.nodes[0].up().head();
    let place = RegistrationPlace {
        network: world.chain,
        height: head.height,
        block: head.id,
        policy_version: 1,
    };
    let renewed = renewal(2, &first_kem(2), &place);
    let digest = renewed.digest();
    assert_ne!(world.record().validators[2].registration, digest);
    world.carry_through(3, &SystemTx::Register(renewed.clone()));
    for node in &world.nodes {
        let held = node.up().public().registration("val-2").expect("registered");
        assert_eq!(held.digest(), digest, "node {}", node.index);
    }
    // Once more with nothing newer in it.
    let again = SystemTx::Register(renewal(2, &first_kem(2), &place));
    match world.hand_in(1, &again) {
        Ok(id) => assert_eq!(id, SystemTx::Register(renewed).id(), "the very same bytes"),
        Err(refused) => assert_eq!(refused.code, "register.not_newer"),
    }
    let elsewhere = RegistrationPlace {
        block: Digest([3; 32]),
        ..place
    };
    let lie = SystemTx::Register(renewal(1, &first_kem(1), &elsewhere));
    assert_eq!(
        world.hand_in(1, &lie).expect_err("no such block").code,
        "register.other_block"
    );
    world.run_until("epoch 2 begins", 30_000, |world| world.all_in(2));
    let record = world.record();
    assert_eq!(record.validators[2].registration, digest);
    assert!(!record.kept && record.dropped.is_empty());
    world.settle();
    world.assert_calm();
}

/// An approval may overtake the block with the proposal that it is about.
#[test]
fn what_comes_a_moment_too_early_is_heard_again() {
    let mut world = World::at_epoch_1(Options::default());
    let proposal = world.propose(0, stricter);
    let id = proposal.id();
    let tx = SystemTx::Propose(proposal);
    let first = world.hand_in(0, &tx).expect("accepted");
    let has = |world: &World, index: usize| {
        let log = world.nodes[index].log();
        log.system(&first).expect("readable").is_some()
    };
    world.run_until("one node has it", 30_000, |world| {
        (0..4).any(|index| has(world, index))
    });
    let ahead: Vec<usize> = (0..4).filter(|index| has(&world, *index)).collect();
    assert_eq!(ahead.len(), 1, "the others are a moment behind");
    let approval = world.approve(1, id);
    let second = world.hand_in(ahead[0], &approval).expect("accepted");
    let sent = world.now;
    world.run_until("it is in the chain", 10_000, |world| {
        world.all_have_system(&second)
    });
    let took = world.now - sent;
    assert!(took < 4_000, "it did not wait for the turn of the one: {took}");
    world.run_until("epoch 2 begins", 10_000, |world| world.all_in(2));
    world.settle();
    world.assert_calm();
}
