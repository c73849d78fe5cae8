//! One test a row of the list of what a wallet must verify before it seals: bend one thing, and nothing is sealed.

use base64::{Engine, engine::general_purpose::STANDARD};
use tacit_attest::Measurement;
use tacit_consensus::Digest;
use tacit_ledger::{Genesis, LightBundle, MAX_CLOCK_SKEW_MS, encode};
use tacit_wallet::{Api, Error, Home, Trust, trust::TRUST_PERIOD_MS, trust::pin, trust::pinned};

use crate::support::*;

/// The code with which a wallet refuses a bent bundle; it must not have sent anything.
fn refused(bend: impl Fn(&mut LightBundle) + Send + 'static) -> &'static str {
    let node = Node::new();
    node.bend_bundle(bend);
    let mut alice = wallet(&node, "alice", None);
    let bob = wallet(&node, "bob", None).address();
    let error = alice.transfer(&bob, 1).unwrap_err();
    assert!(node.submitted().is_empty(), "sealed in spite of {error}");
    assert!(
        tacit_ledger::codes::lookup(error.code()).is_some(),
        "{} is not in the table",
        error.code()
    );
    error.code()
}

#[test]
fn row_1_another_genesis_than_the_pinned_one() {
    let node = Node::new();
    let chain = genesis().chain_id();
    assert!(Trust::open(&Api::new(&*node), &chain, None).is_ok());
    let other = Digest([9; 32]);
    let error = Trust::open(&Api::new(&*node), &other, None).err().unwrap();
    assert!(matches!(error, Error::GenesisHash { have, pinned } if have == chain && pinned == other));
    assert_eq!(error.code(), "genesis.hash_mismatch");

    // Not one bit of it may differ, whatever the node says its hash is.
    let mut changed: Genesis = genesis().clone();
    changed.allocations[0].1 += 1;
    let bytes = STANDARD.encode(encode(&changed));
    node.bend("/v1/genesis", move |answer| {
        answer["bytes"] = bytes.clone().into()
    });
    let error = Trust::open(&Api::new(&*node), &chain, None).err().unwrap();
    assert_eq!(error.code(), "genesis.hash_mismatch");
}

#[test]
fn row_1_a_genesis_that_breaks_its_rules_is_refused_even_if_pinned() {
    let mut broken = genesis().clone();
    broken.validators[2] = founder(2, Measurement([0x22; 48]));
    let error = Trust::begin(broken.clone(), &broken.chain_id(), None)
        .err()
        .unwrap();
    assert_eq!(error.code(), "attest.measurement_unknown");
    let mut broken = genesis().clone();
    broken.validators[1] = broken.validators[0].clone();
    assert_eq!(
        Trust::begin(broken.clone(), &broken.chain_id(), None)
            .err()
            .unwrap()
            .code(),
        "genesis.invalid"
    );
}

#[test]
fn row_2_an_epoch_that_too_few_of_the_set_before_certified() {
    assert_eq!(
        refused(|bundle| bundle.links[0].proof = commit(&bundle.links[0].header, &[0, 1])),
        "proof.bad_signature"
    );
    let stolen = |bundle: &mut LightBundle| bundle.links[0].proof.certificate.signatures[0].0[9] ^= 1;
    assert_eq!(refused(stolen), "proof.bad_signature");
    assert_eq!(
        refused(|bundle| bundle.head_proof = commit(&bundle.head, &[0, 1])),
        "proof.bad_signature"
    );
    assert_eq!(
        refused(|bundle| bundle.head.chain = Digest([9; 32])),
        "proof.header"
    );
}

#[test]
fn row_2_a_stale_head_and_one_from_the_future() {
    let node = Node::new();
    let api = Api::new(&*node);
    let time = node.head().time_ms;
    let at = |now: u64| {
        trust()
            .refresh(&api, now)
            .map(|_| "ok")
            .unwrap_or_else(|error| error.code())
    };
    assert_eq!(at(time), "ok");
    assert_eq!(at(time + 60_000), "ok");
    assert_eq!(at(time + 60_001), "trust.stale_head");
    assert_eq!(at(time - MAX_CLOCK_SKEW_MS), "ok");
    assert_eq!(at(time - MAX_CLOCK_SKEW_MS - 1), "trust.clock_skew");
}

#[test]
fn row_2_an_anchor_beyond_the_trust_period() {
    let node = Node::new();
    let mut trust = trust();
    trust.refresh(&Api::new(&*node), NOW).unwrap();
    let late = node.head().time_ms + TRUST_PERIOD_MS + 1;
    assert_eq!(
        trust.refresh(&Api::new(&*node), late).unwrap_err().code(),
        "trust.anchor_expired"
    );
}

#[test]
fn row_2_a_node_that_goes_back_or_shows_another_past() {
    let node = Node::new();
    let mut trust = trust();
    trust.refresh(&Api::new(&*node), NOW).unwrap();
    let seen = node.head();
    node.bend_bundle(move |bundle| {
        bundle.head.height = seen.height - 1;
        bundle.head_proof = commit(&bundle.head, &[0, 1, 2]);
    });
    assert_eq!(
        trust.refresh(&Api::new(&*node), NOW).unwrap_err().code(),
        "trust.stale_head"
    );
    node.bend_bundle(|bundle| {
        bundle.head.payload_root = Digest([9; 32]);
        bundle.head_proof = commit(&bundle.head, &[0, 1, 2]);
    });
    assert_eq!(
        trust.refresh(&Api::new(&*node), NOW).unwrap_err().code(),
        "trust.fork"
    );
}

#[test]
fn row_3_a_witness_that_contradicts() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::new();
    let chain = genesis().chain_id();
    let mut trust = Trust::open(&Api::new(&*node), &chain, Some(Home::at(folder.path()))).unwrap();
    trust.refresh(&Api::new(&*node), NOW).unwrap();
    trust.compare(&*node).unwrap();

    // A witness that is a moment behind contradicts nothing.
    let ahead = Node::new();
    ahead.close_epoch();
    let mut further = Trust::open(&Api::new(&*ahead), &chain, None).unwrap();
    further.refresh(&Api::new(&*ahead), NOW).unwrap();
    further.compare(&*node).unwrap();

    let other = |signers: &'static [u8]| {
        let witness = Node::new();
        let mut header = node.head();
        header.payload_root = Digest([9; 32]);
        let (proof, header) = (
            STANDARD.encode(encode(&commit(&header, signers))),
            STANDARD.encode(encode(&header)),
        );
        witness.bend("/v1/blocks/", move |answer| {
            *answer = serde_json::json!({ "header": header, "proof": proof });
        });
        witness
    };
    assert_eq!(
        trust.compare(&*other(&[0, 1])).unwrap_err().code(),
        "trust.witness"
    );
    let fork = trust.compare(&*other(&[0, 1, 2])).unwrap_err();
    let Error::Fork { height, saved } = &fork else {
        panic!("{fork}")
    };
    assert_eq!((*height, fork.code()), (node.head().height, "trust.fork"));
    let evidence = std::fs::read_to_string(saved).unwrap();
    assert!(evidence.contains("\"ours\"") && evidence.contains("\"theirs\""));
}

#[test]
fn row_4_another_policy_than_the_certified_one() {
    assert_eq!(refused(|bundle| bundle.policy.version += 1), "proof.policy");
    let lax = |bundle: &mut LightBundle| bundle.policy.measurements[0].value = Measurement([0x22; 48]);
    assert_eq!(refused(lax), "proof.policy");
}

#[test]
fn row_5_one_holder_without_accepted_evidence_is_enough() {
    assert_eq!(
        refused(|bundle| bundle.registrations[3] = founder(3, Measurement([0x22; 48]))),
        "epoch.holder"
    );
    assert_eq!(
        refused(|bundle| bundle.registrations[3].evidence.report[0x90] ^= 1),
        "epoch.holder"
    );
    assert_eq!(
        refused(|bundle| bundle.registrations[3] = bundle.registrations[0].clone()),
        "epoch.holder"
    );
    let missing = |bundle: &mut LightBundle| {
        bundle.registrations.pop();
    };
    assert_eq!(refused(missing), "epoch.holder");
}

#[test]
fn row_6_another_sealing_key_than_the_certified_one() {
    let swapped = |bundle: &mut LightBundle| {
        let mut own = tacit_ledger::SealingSecret::derive(&[66; 32]).public().clone();
        std::mem::swap(bundle.links[0].record.sealing_key.as_mut().unwrap(), &mut own);
    };
    assert_eq!(refused(swapped), "epoch.record");
    assert_eq!(
        refused(|bundle| bundle.links[0].record.validators.swap(0, 1)),
        "epoch.record"
    );
}

#[test]
fn row_6_no_key_yet_and_an_epoch_that_should_have_ended() {
    let node = Node::new();
    assert_eq!(trust().sealing_key(NOW).unwrap_err().code(), "epoch.key");
    let mut trust = trust();
    trust.refresh(&Api::new(&*node), NOW).unwrap();
    assert_eq!(trust.sealing_key(NOW).unwrap().0, 1);
    let ends = trust.state().record.start_ms + genesis().params.epoch_ms_max;
    assert!(trust.sealing_key(ends).is_ok());
    assert_eq!(trust.sealing_key(ends + 60_001).unwrap_err().code(), "epoch.key");
}

#[test]
fn what_was_verified_is_kept_and_a_pin_forgets_it() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let node = Node::new();
    let chain = genesis().chain_id();
    assert_eq!(pinned(&home).unwrap(), None);
    pin(&home, &chain).unwrap();
    assert_eq!(pinned(&home).unwrap(), Some(chain));

    let mut trust = Trust::open(&Api::new(&*node), &chain, Some(home.clone())).unwrap();
    let summary = trust.refresh(&Api::new(&*node), NOW).unwrap();
    assert!(summary.simulated() && (summary.epoch, summary.holders) == (1, 4));
    let line = summary.to_string();
    let expected = format!(
        "genesis {} pinned | headers to 5 (55 s old) | 4/4 evidence ok | epoch 1 key ok",
        &chain.to_string()[..8]
    );
    assert_eq!(line, expected);

    // The next start asks nobody for a genesis.
    node.bend("/v1/genesis", |answer| *answer = serde_json::json!({}));
    let kept = Trust::open(&Api::new(&*node), &chain, Some(home.clone())).unwrap();
    assert_eq!(kept.state(), trust.state());
    pin(&home, &chain).unwrap();
    assert!(Trust::open(&Api::new(&*node), &chain, Some(home)).is_err());
}
