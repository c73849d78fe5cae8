//! From genesis to the first sealed transfer and its receipt.

use tacit_consensus::{Digest, Ed25519};
use tacit_ledger::{Column, Outcome, Store, TrustedState, UNIT, VerdictCache};
use tacit_node::{keyring::Keyring, proofs::light_bundle};

use tacit_tests::sim::{
    founders::{SUPPLY, alice, bob},
    vault::contains,
    wallet::pay,
    world::{Options, World},
};

#[test]
fn genesis_leads_to_an_epoch_whose_secret_everybody_holds_and_nobody_else() {
    let world = World::at_epoch_1(Options::default());
    let record = world.record();
    let public = record.sealing_key.clone().expect("a key");
    for node in &world.nodes {
        let (epoch, secret) = node.opener.clone().expect("a validator's key");
        assert_eq!((epoch, secret.public()), (1, &public), "node {}", node.index);
        let vault = node.vault.clone().expect("a vault");
        let keyring = Keyring::restore(&vault.plaintext(), Box::new(vault.clone())).expect("a keyring");
        let kept = keyring.epoch(1).expect("epoch 1").to_bytes();
        assert!(vault.holds(&kept[..]));
        let kem = node.kem.clone().expect("its seat's key");
        assert!(vault.holds(&kem.to_bytes()[..]));
        let hidden = [&kept[..], &secret.to_bytes()[..], &kem.to_bytes()[..]];
        for (column, key, value) in everything(&*node.store) {
            for secret in hidden {
                assert!(!contains(&value, secret), "{column:?} {key:?} holds a secret");
            }
        }
    }
    world.assert_calm();
}

#[test]
fn a_sealed_transfer_executes_and_its_receipt_is_proven_by_every_node_and_opens_for_its_sender_alone() {
    let mut world = World::at_epoch_1(Options::default());
    let (envelope, key) = world.seal(&alice(), 0, pay(bob().id(), 5 * UNIT));
    let (_, other_key) = world.seal(&alice(), 0, pay(bob().id(), 5 * UNIT));
    let id = world.submit(2, &envelope).expect("accepted");
    assert!(
        world.proof(0, &id).is_none(),
        "nothing is proven before it is final"
    );
    world.run_until("it is in the chain", 1_000, |world| world.all_have(&id));
    world.settle();
    let receipt = world.receipt(&id, &key);
    assert_eq!(
        (receipt.envelope, receipt.outcome, receipt.fee),
        (id, Outcome::Applied, 1_000)
    );
    assert_eq!(Some(receipt.height), world.nodes[0].included(&id));
    let sealed = world.proof(0, &id).expect("a proof").sealed;
    assert!(sealed.open(&other_key).is_err());
    assert_eq!(world.nodes[3].up().supply(), Some(SUPPLY));
    world.assert_calm();
}

#[test]
fn a_light_client_follows_any_node_from_genesis() {
    let mut world = World::at_epoch_1(Options::default());
    world.transfer(0, &alice(), 0, bob().id());
    for node in &world.nodes {
        let bundle = light_bundle(&*node.store, &world.genesis, node.height(), 0)
            .expect("a store that is whole")
            .expect("a bundle");
        assert!(bundle.complete);
        let state = TrustedState::from_genesis(&world.genesis).expect("a genesis that holds");
        let state = state
            .advance(&bundle.bundle, world.now, 60_000, &Ed25519, &mut Forgetful)
            .expect("a bundle that holds");
        assert_eq!(state.record.epoch, 1);
    }
}

/// Nothing that a client seals is readable on a disk or on the wire.
#[test]
fn a_marker_inside_an_envelope_appears_in_no_store() {
    let mut world = World::at_epoch_1(Options::default());
    let marker = "m4rk3r-of-the-story";
    let claim = tacit_ledger::Action::Names(tacit_ledger::NamesAction::Claim { name: marker.into() });
    let (envelope, key) = world.seal(&alice(), 0, claim);
    let id = world.submit(1, &envelope).expect("accepted");
    world.run_until("it is in the chain", 1_000, |world| world.all_have(&id));
    world.settle();
    assert_eq!(world.receipt(&id, &key).outcome, Outcome::Applied);
    let hidden = [marker.as_bytes(), &alice().id().0];
    for node in &world.nodes {
        for (column, key, value) in everything(&*node.store) {
            let found = hidden
                .iter()
                .any(|secret| contains(&value, secret) || contains(&key, secret));
            assert!(!found, "node {} shows it in {column:?}", node.index);
        }
    }
}

fn everything(store: &dyn Store) -> Vec<(Column, Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for column in Column::ALL {
        let entries = store.scan(column, &[], usize::MAX, false).expect("readable");
        all.extend(entries.into_iter().map(|(key, value)| (column, key, value)));
    }
    all
}

struct Forgetful;

impl VerdictCache for Forgetful {
    fn get(&self, _: &Digest) -> Option<tacit_ledger::HolderVerdict> {
        None
    }

    fn put(&mut self, _: Digest, _: tacit_ledger::HolderVerdict) {}
}
