//! Crooked leaders: their own replica runs as it should, what it sends is changed and signed again with its key.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use tacit_consensus::{Block, Digest, Message, Payload, Signer};
use tacit_ledger::{ChainLog, Contribution, EpochRecord, SHARE_BYTES, SealingSecret, SystemTx};

use tacit_tests::sim::{
    founders::{NOTHING, alice, bob, consensus_signer},
    wallet::pay,
    world::{Options, World},
};

/// Makes a block's header fit its content again and signs it as its leader would.
fn sign_again(block: &mut Block, leader: usize) {
    block.header.payload_root = block.payload.root();
    block.signature = consensus_signer(leader).sign(&block.signed_header().message().0);
}

/// Ids of the blocks that were changed.
pub(crate) type Changed = Rc<RefCell<BTreeSet<Digest>>>;

/// Changes every proposal of the first leader that `change` finds something to change for.
pub(crate) fn crooked(
    world: &mut World,
    mut change: impl FnMut(&mut Block, usize) -> bool + 'static,
) -> Changed {
    let changed = Changed::default();
    let (ids, mut who) = (changed.clone(), None);
    world.crook = Some(Box::new(move |from, to, message| match message {
        Message::Proposal(mut block) if who.is_none_or(|who| who == from) => {
            if change(&mut block, to) {
                who = Some(from);
                sign_again(&mut block, from);
                ids.borrow_mut().insert(block.id());
            }
            vec![Message::Proposal(block)]
        }
        other => vec![other],
    }));
    changed
}

fn work(world: &mut World, nonces: std::ops::Range<u64>) {
    for nonce in nonces {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        let id = world.submit((nonce % 4) as usize, &envelope).expect("accepted");
        world.run_until("it is in the chain all the same", 60_000, |world| {
            world.all_have(&id)
        });
    }
}

/// Who refused a proposal, and under which code.
fn refusals(world: &World) -> BTreeSet<&'static str> {
    let all = world.nodes.iter().flat_map(|node| &node.seen.refused_proposals);
    all.map(|(_, refused)| refused.code).collect()
}

fn assert_none_committed(world: &World, changed: &Changed) {
    let changed = changed.borrow();
    assert!(!changed.is_empty(), "the story had a crooked block");
    assert!(world.checker.chain.values().all(|id| !changed.contains(id)));
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

#[test]
fn a_leader_that_states_another_state_gets_no_votes_and_the_next_leader_goes_on() {
    for part in 0..4 {
        let mut world = World::at_epoch_1(Options::default());
        let changed = crooked(&mut world, move |block, _| {
            let executed = &mut block.header.executed;
            match part {
                0 => executed.private_root = NOTHING,
                1 => executed.public_root = NOTHING,
                2 => executed.receipts_root = NOTHING,
                _ => executed.supply += 1,
            }
            true
        });
        work(&mut world, 0..6);
        assert_none_committed(&world, &changed);
    }
}

#[test]
fn a_leader_that_leaves_the_epochs_end_out_or_ends_it_early_gets_no_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(4_000));
    let changed = crooked(&mut world, |block, _| {
        let ending = !block.payload.system.is_empty();
        block.payload.system.clear();
        block.header.next_epoch = None;
        ending
    });
    world.run_until("epoch 3 begins", 60_000, |world| world.all_in(3));
    assert_none_committed(&world, &changed);
    let mut world = World::at_epoch_1(Options::default());
    let changed = crooked(&mut world, |block, _| {
        let reason = tacit_ledger::EpochReason::Schedule;
        block.payload = Payload {
            batches: Vec::new(),
            system: vec![SystemTx::EndEpoch { reason }.encode()],
        };
        true
    });
    work(&mut world, 0..5);
    assert_none_committed(&world, &changed);
    assert_eq!(world.record().epoch, 1);
}

/// Changes the system transactions of a block.
pub(crate) fn system(block: &mut Block, mut change: impl FnMut(&mut SystemTx) -> bool) -> bool {
    let mut any = false;
    for bytes in &mut block.payload.system {
        let mut tx = SystemTx::decode(bytes).expect("an honest replica's");
        if change(&mut tx) {
            any = true;
            *bytes = tx.encode();
        }
    }
    any
}

/// Changes the record of the next epoch in a closing block.
fn record(block: &mut Block, change: impl Fn(&mut EpochRecord)) -> bool {
    let mut digest = None;
    let any = system(block, |tx| match tx {
        SystemTx::CloseEpoch(record) => {
            change(record);
            digest = Some(record.digest());
            true
        }
        _ => false,
    });
    if any {
        block.header.next_epoch = digest;
    }
    any
}

/// Each is what a leader may say of the next epoch's secret although it does not follow, and what voters call it.
#[test]
fn a_leader_that_says_of_the_next_epochs_keys_what_nobody_dealt_gets_no_votes() {
    type Lie = fn(&mut EpochRecord);
    let lies: [(&str, Lie); 6] = [
        ("deal.record", |record| {
            record.sealing_key = Some(SealingSecret::derive(&[6; 32]).public().clone());
        }),
        ("deal.state_keys", |record| record.state_keys[0] ^= 1),
        ("deal.state_keys", |record| record.state_keys.fill(0)),
        ("deal.record", |record| record.state_keys.clear()),
        ("deal.record", |record| record.state_keys.push(0)),
        ("deal.record", |record| {
            record.transcript = NOTHING;
        }),
    ];
    for (code, lie) in lies {
        let mut world = World::at_epoch_1(Options::epochs_of(4_000));
        let changed = crooked(&mut world, move |block, _| record(block, lie));
        world.run_until("epoch 3 begins", 60_000, |world| world.all_in(3));
        assert_none_committed(&world, &changed);
        assert_eq!(refusals(&world), BTreeSet::from([code]));
        work(&mut world, 0..1);
    }
}

/// Each is a package of shares that a dealer may forge, and what voters call it.
#[test]
fn a_leader_that_forges_its_package_of_shares_gets_no_votes_and_is_named() {
    type Forgery = fn(&mut Contribution);
    let forgeries: [(&str, Forgery); 9] = [
        // The recipients themselves see that theirs does not open.
        ("deal.share_sealed", |one| {
            one.shares.iter_mut().for_each(|share| share[1_130] ^= 1);
        }),
        ("deal.share_sealed", |one| one.shares.rotate_left(1)),
        ("deal.share_sealed", |one| one.commitment = NOTHING),
        ("deal.shares", |one| {
            one.shares.pop();
        }),
        ("deal.shares", |one| {
            one.shares.push(vec![0; SHARE_BYTES]);
        }),
        ("deal.shares", |one| one.shares.clear()),
        ("deal.shares", |one| {
            one.shares[1].pop();
        }),
        ("proposal.rules", |one| one.epoch += 1),
        ("proposal.rules", |one| one.dealer = (one.dealer + 1) % 4),
    ];
    for (code, forge) in forgeries {
        let mut world = World::at_epoch_1(Options::epochs_of(4_000));
        let changed = crooked(&mut world, move |block, _| {
            block.header.next_epoch.is_none()
                && system(block, |tx| match tx {
                    SystemTx::Contribute(one) => {
                        forge(one);
                        true
                    }
                    _ => false,
                })
        });
        world.run_until("epoch 3 begins", 60_000, |world| world.all_in(3));
        assert_none_committed(&world, &changed);
        assert_eq!(refusals(&world), BTreeSet::from([code]));
        work(&mut world, 0..1);
    }
}

/// What another dealer, or the same one in an earlier epoch, dealt honestly is no contribution of this leader's.
#[test]
fn a_leader_that_repeats_anothers_package_gets_no_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(4_000));
    let mut seen: Vec<Contribution> = Vec::new();
    let changed = crooked(&mut world, move |block, _| {
        if block.header.next_epoch.is_some() {
            return false;
        }
        system(block, |tx| match tx {
            SystemTx::Contribute(one) => {
                let repeated = seen.iter().find(|old| old.epoch != one.epoch).cloned();
                seen.push(one.clone());
                let Some(old) = repeated else { return false };
                (one.commitment, one.shares) = (old.commitment, old.shares);
                true
            }
            _ => false,
        })
    });
    world.run_until("epoch 4 begins", 60_000, |world| world.all_in(4));
    assert_none_committed(&world, &changed);
    assert_eq!(refusals(&world), BTreeSet::from(["deal.share_sealed"]));
    work(&mut world, 0..1);
}

/// The dealer votes for its own block, so that two deceived voters would make a quorum with it: they must see
/// that the third cannot open its share.
#[test]
fn a_leader_that_deals_a_bad_share_to_one_cannot_cast_that_one_out() {
    let mut world = World::at_epoch_1(Options::epochs_of(4_000));
    let (mut dealer, mut swapped, victim_of) =
        (None, std::collections::BTreeMap::new(), |d: usize| (d + 1) % 4);
    let changed = Changed::default();
    let (ids, chain) = (changed.clone(), world.chain);
    world.crook = Some(Box::new(move |from, _, message| match message {
        Message::Proposal(mut block) if dealer.is_none_or(|dealer| dealer == from) => {
            let original = block.id();
            let any = block.header.next_epoch.is_none()
                && system(&mut block, |tx| match tx {
                    SystemTx::Contribute(one) => {
                        one.shares[victim_of(from)][1_130] ^= 1;
                        true
                    }
                    _ => false,
                });
            if any {
                dealer = Some(from);
                sign_again(&mut block, from);
                swapped.insert(original, block.id());
                ids.borrow_mut().insert(block.id());
            }
            vec![Message::Proposal(block)]
        }
        Message::Vote(mut vote) => {
            if let Some(id) = swapped.get(&vote.block).filter(|_| dealer == Some(from)) {
                vote.block = *id;
                vote.signature = consensus_signer(from).sign(&vote.message(&chain).0);
            }
            vec![Message::Vote(vote)]
        }
        other => vec![other],
    }));
    world.run_until("epoch 3 begins", 60_000, |world| world.record().epoch >= 3);
    assert_none_committed(&world, &changed);
    assert_eq!(
        refusals(&world),
        BTreeSet::from(["deal.share_sealed", "deal.unequal"])
    );
    world.run_until("it begins everywhere", 20_000, |world| world.all_in(3));
}

#[test]
fn a_leader_that_names_a_batch_that_nobody_has_costs_its_own_view_only() {
    let mut world = World::at_epoch_1(Options::default());
    let changed = crooked(&mut world, |block, _| {
        block.payload.batches.push(NOTHING);
        true
    });
    work(&mut world, 0..6);
    assert_none_committed(&world, &changed);
}

#[test]
fn a_leader_whose_clock_is_far_ahead_gets_no_votes() {
    let mut world = World::at_epoch_1(Options::default());
    let ahead = world.genesis.params.max_clock_ahead_ms + 500;
    let changed = crooked(&mut world, move |block, _| {
        block.header.time_ms += ahead;
        true
    });
    work(&mut world, 0..6);
    assert_none_committed(&world, &changed);
}

#[test]
fn a_leader_that_sends_two_blocks_is_named_by_who_saw_both_and_the_chain_does_not_fork() {
    let mut world = World::at_epoch_1(Options::default());
    let who = 2;
    world.crook = Some(Box::new(move |from, _, message| match message {
        Message::Proposal(block) if from == who => {
            let mut other = block.clone();
            other.header.time_ms += 1;
            sign_again(&mut other, from);
            vec![Message::Proposal(block), Message::Proposal(other)]
        }
        other => vec![other],
    }));
    work(&mut world, 0..6);
    for node in world.nodes.iter().filter(|node| node.index != who) {
        assert_eq!(node.seen.equivocations, [2], "node {}", node.index);
    }
}

#[test]
fn a_leader_that_names_a_batch_of_an_earlier_epoch_gets_no_votes() {
    let mut world = World::at_epoch_1(Options::epochs_of(20_000));
    work(&mut world, 0..1);
    let store = world.nodes[0].store.clone();
    let committed = ChainLog::new(&*store).blocks_from(1, 64).expect("blocks");
    let named = committed.iter().flat_map(|one| &one.block.payload.batches);
    let old = *named.last().expect("a batch in the chain");
    world.run_until("epoch 2 begins", 60_000, |world| world.all_in(2));
    let changed = crooked(&mut world, move |block, _| {
        let quiet = block.payload.system.is_empty() && block.header.next_epoch.is_none();
        if quiet {
            block.payload.batches.push(old);
        }
        quiet
    });
    let epoch = world.record().epoch;
    world.run_until("the next epoch begins all the same", 60_000, |world| {
        world.all_in(epoch + 1)
    });
    assert_none_committed(&world, &changed);
    assert!(refusals(&world).contains("proposal.batches"));
}
