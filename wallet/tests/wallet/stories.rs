//! What a wallet does, end to end.

use base64::{Engine, engine::general_purpose::STANDARD};
use tacit_attest::NetworkClass;
use tacit_consensus::Digest;
use tacit_ledger::{FailureCode, Outcome, ReceiptProof, UNIT, encode};
use tacit_wallet::{Address, Error, Home, ReceiptFile};

use crate::support::*;

#[test]
fn money_moves_and_both_sides_see_proof() {
    let node = Node::new();
    let (mut alice, mut bob) = (wallet(&node, "alice", None), wallet(&node, "bob", None));
    assert_eq!(alice.balance().unwrap().amount, 1_000 * UNIT);
    let done = alice.transfer(&bob.address(), 5 * UNIT).unwrap();
    assert_eq!(done.receipt.outcome, Outcome::Applied);
    let fee = u128::from(done.receipt.fee);
    assert!(fee > 0);
    assert_eq!(alice.balance().unwrap().amount, 995 * UNIT - fee);
    assert_eq!(bob.balance().unwrap().amount, 1_005 * UNIT);
    // What left the wallet is one envelope that says a size class and nothing else.
    let sent = node.submitted();
    assert_eq!((sent.len(), sent[0].size_class()), (1, 512));
}

#[test]
fn what_cannot_work_is_said_before_anything_is_sealed() {
    let node = Node::new();
    let mut alice = wallet(&node, "alice", None);
    let bob = wallet(&node, "bob", None).address();
    assert_eq!(
        alice.transfer(&bob, 1_000 * UNIT).unwrap_err().code(),
        "wallet.insufficient"
    );
    let elsewhere = Address::new(NetworkClass::Production, bob.account);
    assert_eq!(
        alice.transfer(&elsewhere, 1).unwrap_err().code(),
        "wallet.address"
    );
    assert_eq!(
        alice.send_message(&bob, "hello").unwrap_err().code(),
        "mail.no_key"
    );
    assert_eq!(alice.resolve_name("nobody").unwrap_err().code(), "names.unknown");
    assert!(node.submitted().is_empty());
}

#[test]
fn a_refusal_by_the_chain_comes_with_its_verified_receipt() {
    let node = Node::new();
    let (mut alice, mut bob) = (wallet(&node, "alice", None), wallet(&node, "bob", None));
    alice.claim_name("treasury").unwrap();
    let error = bob.claim_name("treasury").unwrap_err();
    let Error::Failed { reason, receipt } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (*reason, receipt.outcome),
        (FailureCode::NameTaken, Outcome::Failed(FailureCode::NameTaken))
    );
    assert_eq!(error.code(), "tx.failed");
    assert_eq!(bob.resolve_name("treasury").unwrap(), alice.address());
}

#[test]
fn an_epoch_that_closes_first_means_sealing_again_and_paying_once() {
    let node = Node::new();
    let (mut alice, bob) = (wallet(&node, "alice", None), wallet(&node, "bob", None));
    alice.check().unwrap();
    node.close_epoch_at_submit();
    let done = alice.transfer(&bob.address(), UNIT).unwrap();
    let sent = node.submitted();
    assert_eq!(
        sent.iter().map(|envelope| envelope.epoch).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_ne!(sent[0].body, sent[1].body);
    assert_eq!(done.receipt.envelope, sent[1].id());
    assert_eq!(
        alice.balance().unwrap().amount,
        999 * UNIT - u128::from(done.receipt.fee)
    );
}

#[test]
fn a_wallet_that_was_away_for_epochs_catches_up() {
    let node = Node::new();
    let mut alice = wallet(&node, "alice", None);
    alice.check().unwrap();
    for _ in 0..3 {
        node.close_epoch();
    }
    let mut late = wallet(&node, "bob", None);
    assert_eq!(late.check().unwrap().epoch, 4);
    assert_eq!(alice.balance().unwrap().amount, 1_000 * UNIT);
}

#[test]
fn letters_reach_their_reader_and_nobody_else() {
    let node = Node::new();
    let (mut alice, mut bob) = (wallet(&node, "alice", None), wallet(&node, "bob", None));
    assert!(bob.prepare_mail().unwrap().is_some());
    assert!(bob.prepare_mail().unwrap().is_none());
    alice
        .send_message(&bob.address(), "the meeting is at nine")
        .unwrap();
    alice.send_message(&bob.address(), "did you get it?").unwrap();
    let inbox = bob.inbox(0, 100).unwrap();
    let texts: Vec<_> = inbox
        .iter()
        .map(|letter| letter.text.as_deref().unwrap())
        .collect();
    assert_eq!(texts, ["the meeting is at nine", "did you get it?"]);
    assert!(inbox.iter().all(|letter| letter.from == alice.address()));
    assert_eq!(bob.inbox(1, 100).unwrap().len(), 1);
    assert!(bob.inbox(2, 100).unwrap().is_empty());
    assert!(alice.inbox(0, 100).unwrap().is_empty());
}

#[test]
fn rooms_keep_strangers_out_and_a_new_key_shuts_the_removed_one_out() {
    let node = Node::new();
    let [mut alice, mut bob, mut carol] = ["alice", "bob", "carol"].map(|name| wallet(&node, name, None));
    for one in [&mut bob, &mut carol] {
        one.prepare_mail().unwrap();
    }
    let (room, _) = alice.create_room("plans", &[bob.address()]).unwrap();
    alice.post(&room, "nine?").unwrap();
    bob.post(&room, "nine it is").unwrap();
    assert_eq!(
        carol.read_room(&room, 0, 10).unwrap_err().code(),
        "room.not_found"
    );

    alice.invite(&room, &carol.address()).unwrap();
    carol.post(&room, "hello").unwrap();
    let seen = carol.read_room(&room, 0, 10).unwrap();
    assert_eq!(
        seen.iter()
            .map(|post| post.text.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["hello"]
    );
    let rooms = carol.rooms().unwrap();
    assert_eq!(
        (rooms.len(), rooms[0].title.as_deref(), rooms[0].members.len()),
        (1, Some("plans"), 3)
    );

    alice.remove(&room, &bob.address()).unwrap();
    alice.post(&room, "without bob").unwrap();
    assert_eq!(bob.read_room(&room, 0, 10).unwrap_err().code(), "room.not_found");
    let texts = |posts: Vec<tacit_wallet::PostView>| {
        posts
            .into_iter()
            .map(|post| post.text.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(carol.read_room(&room, 0, 10).unwrap()),
        ["hello", "without bob"]
    );
    assert_eq!(
        texts(alice.read_room(&room, 0, 10).unwrap()),
        ["nine?", "nine it is", "hello", "without bob"]
    );
    assert_eq!(alice.rooms().unwrap()[0].generation, 1);
    assert_eq!(alice.find_room(&room.to_string()[..6]).unwrap(), room);
    carol.leave(&room).unwrap();
    assert!(carol.rooms().unwrap().is_empty());
}

#[test]
fn a_lying_node_is_caught_on_receipts_and_on_reads() {
    let node = Node::new();
    let mut alice = wallet(&node, "alice", None);
    let bob = wallet(&node, "bob", None).address();
    node.bend("/v1/txs/", |answer| {
        if let Some(text) = answer["proof"].as_str() {
            let mut proof = ReceiptProof::decode(&STANDARD.decode(text).unwrap()).unwrap();
            proof.sealed.0[7] ^= 1;
            answer["proof"] = STANDARD.encode(encode(&proof)).into();
        }
    });
    assert_eq!(alice.transfer(&bob, UNIT).unwrap_err().code(), "proof.receipt");

    let node = Node::new();
    let mut alice = wallet(&node, "alice", None);
    node.bend("/v1/query", |answer| {
        let mut sealed = STANDARD.decode(answer["sealed"].as_str().unwrap()).unwrap();
        sealed[2_000] ^= 1;
        answer["sealed"] = STANDARD.encode(sealed).into();
    });
    assert_eq!(alice.balance().unwrap_err().code(), "proof.state");

    let node = Node::new();
    node.bend("/v1/status", |answer| {
        answer["node"]["id"] = "00".repeat(32).into()
    });
    assert_eq!(
        wallet(&node, "alice", None).balance().unwrap_err().code(),
        "query.not_a_validator"
    );
}

#[test]
fn receipts_are_kept_and_convince_others_with_the_genesis_alone() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let node = Node::new();
    let mut alice = wallet(&node, "alice", Some(&home));
    let bob = wallet(&node, "bob", None).address();
    let id = alice.transfer(&bob, UNIT).unwrap().receipt.envelope;
    assert!(home.receipts("alice").join(format!("{id}.json")).exists());

    // Later, and in another epoch, from what was kept.
    node.close_epoch();
    let mut alice = wallet(&node, "alice", Some(&home));
    assert_eq!(alice.receipt(&id).unwrap().receipt.outcome, Outcome::Applied);
    assert_eq!(
        wallet(&node, "bob", Some(&home)).receipt(&id).unwrap_err().code(),
        "query.denied"
    );

    let sealed = ReceiptFile::from_json(&alice.receipt_file(&id, false).unwrap().to_json()).unwrap();
    let proven = sealed.verify(genesis()).unwrap();
    assert_eq!(
        (proven.tx_id, proven.signers, proven.receipt.is_none()),
        (id, (3, 4), true)
    );
    assert!(sealed.outcome.is_none());
    let open = alice.receipt_file(&id, true).unwrap();
    assert_eq!(
        open.verify(genesis()).unwrap().receipt.unwrap().outcome,
        Outcome::Applied
    );

    // Any one change is refused.
    let refused = |change: &dyn Fn(&mut ReceiptFile)| {
        let mut file = open.clone();
        change(&mut file);
        file.verify(genesis()).unwrap_err().code()
    };
    assert_eq!(
        refused(&|file| file.tx_id = Digest([9; 32]).to_string()),
        "proof.receipt"
    );
    assert_eq!(
        refused(&|file| file.outcome.as_mut().unwrap().result = "failed".to_owned()),
        "proof.receipt"
    );
    assert_eq!(
        refused(&|file| file.receipt_key = Some("00".repeat(32))),
        "proof.receipt"
    );
    assert_eq!(
        refused(&|file| file.chain = Digest([9; 32]).to_string()),
        "genesis.hash_mismatch"
    );
    assert_eq!(refused(&|file| file.epochs.clear()), "epoch.key");
    let mut other = genesis().clone();
    other.time_ms += 1;
    assert_eq!(open.verify(&other).unwrap_err().code(), "genesis.hash_mismatch");
}
