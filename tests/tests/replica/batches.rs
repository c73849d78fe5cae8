//! Batches: what a crooked author can put into one, and what the chain makes of it.

use tacit_ledger::{Action, Envelope, MailAction, Outcome, SealedReceipt, SealingSecret};
use tacit_node::replica::GossipVerdict;

use tacit_tests::sim::{
    founders::{account, alice, bob, node_signer},
    wallet::pay,
    world::{Options, World},
};

#[test]
fn envelopes_that_do_not_open_are_ordered_counted_and_have_a_public_receipt() {
    let mut world = World::at_epoch_1(Options::default());
    let stranger = SealingSecret::derive(&[5; 32]);
    let bad: Vec<Envelope> = (0..3)
        .map(|nonce| {
            let action = pay(bob().id(), 1);
            world
                .seal_to(stranger.public(), 1, 500, &alice(), nonce, action)
                .0
        })
        .collect();
    let (good, key) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let all = [bad.clone(), vec![good.clone()]].concat();
    let batch = world.batch(2, 1, all);
    world.inject(2, &batch);
    world.run_until("all are in the chain", 5_000, |world| world.all_have(&good.id()));
    world.settle();
    let height = world.nodes[0].included(&good.id()).expect("included");
    for node in &world.nodes {
        assert_eq!(
            node.seen.committed[&height].2, 3,
            "counted by node {}",
            node.index
        );
    }
    for envelope in &bad {
        let id = envelope.id();
        let proof = world.proof(1, &id).expect("a proof");
        assert!(proof.sealed.is_unopened(&id));
        assert_eq!(proof.sealed, SealedReceipt::unopened(&id));
    }
    assert_eq!(world.receipt(&good.id(), &key).outcome, Outcome::Applied);
    world.transfer(0, &alice(), 1, bob().id());
    world.assert_calm();
}

/// Its batches may take so many bytes; what comes beyond is refused at the door, and never let go of once it is in.
#[test]
fn what_a_validator_took_in_is_ordered_however_much_waits() {
    let mut world = World::at_epoch_1(Options::default());
    (1..4).for_each(|node| world.kill(node));
    let letter = |to| {
        Action::Mail(MailAction::Send {
            to,
            sealed: vec![7; 60_000],
        })
    };
    let mut taken = Vec::new();
    let refused = loop {
        let nonce = taken.len() as u64;
        let (envelope, _) = world.seal(&alice(), nonce, letter(bob().id()));
        match world.submit(0, &envelope) {
            Ok(id) => taken.push(id),
            Err(refused) => break refused,
        }
        assert!(taken.len() < 2_000, "there is an end to what it holds");
        // Batches are made meanwhile.
        world.run_for(5);
    };
    assert_eq!(refused.code, "mempool.full");
    (1..4).for_each(|node| world.start(node));
    world.run_until("all that was taken in is in the chain", 120_000, |world| {
        taken.iter().all(|id| world.nodes[0].has(id))
    });
    world.assert_calm();
}

#[test]
fn an_expired_envelope_is_left_out_by_everybody() {
    let mut world = World::at_epoch_1(Options::default());
    let key = world.record().sealing_key.clone().expect("a key");
    let head = world.top();
    let (late, _) = world.seal_to(&key, 1, head, &alice(), 0, pay(bob().id(), 1));
    let (good, receipt) = world.seal(&alice(), 0, pay(bob().id(), 2));
    let batch = world.batch(1, 1, vec![late.clone(), good.clone()]);
    world.inject(1, &batch);
    world.run_until("the good one is in the chain", 5_000, |world| {
        world.all_have(&good.id())
    });
    world.settle();
    assert!(world.nodes.iter().all(|node| !node.has(&late.id())));
    assert_eq!(world.receipt(&good.id(), &receipt).outcome, Outcome::Applied);
    assert_eq!(world.receipt(&good.id(), &receipt).index, 0);
    world.assert_calm();
}

#[test]
fn one_envelope_in_many_batches_and_twice_in_one_executes_once() {
    let mut world = World::at_epoch_1(Options::default());
    let (envelope, key) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let id = envelope.id();
    for author in 0..4 {
        let batch = world.batch(author, 9, vec![envelope.clone(), envelope.clone()]);
        world.inject(author, &batch);
    }
    world.run_until("it is in the chain", 5_000, |world| world.all_have(&id));
    world.settle();
    let later = world.batch(3, 10, vec![envelope.clone()]);
    world.inject(3, &later);
    world.settle();
    let times: usize = (1..=world.top())
        .filter_map(|height| world.nodes[0].log().result(height).expect("readable"))
        .map(|result| result.envelopes.iter().filter(|other| **other == id).count())
        .sum();
    assert_eq!(times, 1);
    assert_eq!(world.receipt(&id, &key).outcome, Outcome::Applied);
    assert_eq!(
        world.transfer(0, &alice(), 1, bob().id()).outcome,
        Outcome::Applied,
        "one nonce was used"
    );
    world.assert_calm();
}

#[test]
fn a_call_sealed_twice_executes_once_and_fails_by_its_nonce() {
    let mut world = World::at_epoch_1(Options::default());
    let (first, key_1) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let (second, key_2) = world.seal(&alice(), 0, pay(bob().id(), 1));
    for (node, envelope) in [(0, &first), (3, &second)] {
        world.submit(node, envelope).expect("accepted");
    }
    world.run_until("both are in the chain", 5_000, |world| {
        world.all_have(&first.id()) && world.all_have(&second.id())
    });
    world.settle();
    let outcomes = [
        world.receipt(&first.id(), &key_1),
        world.receipt(&second.id(), &key_2),
    ];
    let applied = outcomes
        .iter()
        .filter(|one| one.outcome == Outcome::Applied)
        .count();
    assert_eq!(applied, 1);
    world.assert_calm();
}

#[test]
fn batches_that_break_a_rule_are_rejected_and_those_of_another_epoch_ignored() {
    let mut world = World::at_epoch_1(Options::default());
    let key = world.record().sealing_key.clone().expect("a key");
    let (good, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let (other_epoch, _) = world.seal_to(&key, 7, 500, &alice(), 0, pay(bob().id(), 1));
    let sound = world.batch(1, 1, vec![good.clone()]);
    let mut unsigned = sound.clone();
    unsigned.signature.0[9] ^= 1;
    let mut stranger = sound.clone();
    stranger.author = 77;
    let mut other_chain = sound.clone();
    other_chain.chain = tacit_tests::sim::founders::NOTHING;
    let mut taken = sound.clone();
    taken.author = 2;
    let mixed = world.batch(1, 2, vec![good.clone(), other_epoch.clone()]);
    let empty = world.batch(1, 3, Vec::new());
    let many = world.batch(1, 4, vec![good.clone(); 257]);
    let later = tacit_ledger::Batch::sign(world.chain, 7, 1, 5, vec![other_epoch], &node_signer(1));
    for (batch, expected) in [
        (unsigned, GossipVerdict::Reject),
        (stranger, GossipVerdict::Reject),
        (other_chain, GossipVerdict::Reject),
        (taken, GossipVerdict::Reject),
        (mixed, GossipVerdict::Reject),
        (empty, GossipVerdict::Reject),
        (later, GossipVerdict::Ignore),
        (sound.clone(), GossipVerdict::Accept),
        (sound, GossipVerdict::Accept),
    ] {
        let bytes = borsh::to_vec(&batch).expect("encoded");
        let token = world.take_batch(0, &bytes).expect("decoded");
        assert_eq!(
            world.nodes[0].seen.verdicts[&token],
            expected,
            "{} envelopes",
            batch.envelopes.len()
        );
    }
    let bytes = borsh::to_vec(&many).expect("encoded");
    if let Some(token) = world.take_batch(0, &bytes) {
        assert_eq!(world.nodes[0].seen.verdicts[&token], GossipVerdict::Reject);
    }
    world.settle();
    assert!(world.all_have(&good.id()));
    world.assert_calm();
}

#[test]
fn a_batch_that_comes_again_when_it_is_in_the_chain_is_ignored() {
    let mut world = World::at_epoch_1(Options::default());
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 1));
    let batch = world.batch(1, 1, vec![envelope]);
    world.inject(1, &batch);
    world.settle();
    let (blocks, bytes) = (world.top(), borsh::to_vec(&batch).expect("encoded"));
    let token = world.take_batch(2, &bytes).expect("decoded");
    assert_eq!(world.nodes[2].seen.verdicts[&token], GossipVerdict::Ignore);
    world.run_for(2_000);
    assert_eq!(world.top(), blocks, "no block for it");
}

/// A leader names a batch that nobody else has: the others fetch it and vote, in the same view.
#[test]
fn a_batch_that_only_its_author_has_is_fetched_when_a_block_names_it() {
    for author in 0..4 {
        let mut world = World::at_epoch_1(Options::default());
        world.mute.insert(author);
        let (envelope, key) = world.seal(&alice(), 0, pay(bob().id(), 1));
        let id = world.submit(author, &envelope).expect("accepted");
        world.run_until("it is in the chain", 20_000, |world| world.all_have(&id));
        world.settle();
        assert_eq!(world.receipt(&id, &key).outcome, Outcome::Applied);
        let asked = world.nodes.iter().filter(|node| node.seen.asked.1 > 0).count();
        assert_eq!(asked, 3, "the others asked for it");
        let height = world.nodes[0].included(&id).expect("included");
        let (header, before) = (
            world.nodes[0].block(height).block.header,
            world.nodes[0].block(height - 1).block.header,
        );
        assert!(
            header.view <= before.view + 4,
            "views {} to {}",
            before.view,
            header.view
        );
        world.assert_calm();
    }
}

/// Nobody can spend, or even learn of, what is not theirs; failures are as private as successes.
#[test]
fn a_call_that_fails_has_a_receipt_that_looks_like_any_other() {
    let mut world = World::at_epoch_1(Options::default());
    let poor = account(9);
    let (envelope, key) = world.seal(&poor, 0, pay(bob().id(), 1));
    let id = world
        .submit(0, &envelope)
        .expect("accepted: balances are not looked at");
    world.run_until("it is in the chain", 5_000, |world| world.all_have(&id));
    world.settle();
    let receipt = world.receipt(&id, &key);
    assert!(matches!(receipt.outcome, Outcome::Failed(_)));
    let good = world.transfer(1, &alice(), 0, bob().id());
    let (one, other) = (world.proof(0, &id), world.proof(0, &good.envelope));
    let size = |proof: Option<tacit_ledger::ReceiptProof>| proof.expect("a proof").sealed.0.len();
    assert_eq!(size(one), size(other));
}
