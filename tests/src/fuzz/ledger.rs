//! Targets of `tacit-ledger`.

use tacit_ledger::{Genesis, Registration, ReleasedShare, StateFile, SystemTx};

use super::attest::{NOW_MS, WORLD};

/// A registration: keys, place and evidence, judged as the ledger would.
pub fn registration(data: &[u8]) {
    let Ok(registration) = Registration::decode(data) else {
        return;
    };
    let again = borsh::to_vec(&registration).expect("what was decoded encodes");
    assert!(again == data, "a registration has two encodings");
    let world = &*WORLD;
    let verdict = registration.verify(&world.trust, &world.collateral, &world.policy, NOW_MS);
    assert!(verdict.is_err() || registration.evidence.platform.is_simulated());
    let _ = (registration.digest(), registration.message());
}

/// A system transaction of any kind.
pub fn system_transaction(data: &[u8]) {
    if let Ok(transaction) = SystemTx::decode(data) {
        assert!(
            transaction.encode() == data,
            "a system transaction has two encodings"
        );
    }
}

/// A genesis, by both of its encodings.
pub fn genesis(data: &[u8]) {
    if let Ok(genesis) = Genesis::decode(data) {
        let again = borsh::to_vec(&genesis).expect("what was decoded encodes");
        assert!(again == data, "a genesis has two encodings");
        check(&genesis);
    }
    if let Ok(genesis) = core::str::from_utf8(data).map(Genesis::from_json)
        && let Ok(genesis) = genesis
    {
        let again = Genesis::from_json(&genesis.to_json()).expect("its own JSON form is read again");
        assert_eq!(again.chain_id(), genesis.chain_id());
        check(&genesis);
    }
}

fn check(genesis: &Genesis) {
    let _ = (genesis.verify(), genesis.chain_id(), genesis.supply());
}

/// A recovery member's share, as a founder is given it.
pub fn released_share(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(share) = ReleasedShare::from_json(text)
    {
        let again = ReleasedShare::from_json(&share.to_json());
        assert!(again == Ok(share), "a released share changes when it is written");
    }
}

/// A lost network's state, read whole as a founder reads it and its proof alone as a member does.
pub fn state_file(data: &[u8]) {
    let proof = StateFile::read_proof(data);
    if let Ok(file) = StateFile::from_bytes(data) {
        assert!(file.to_bytes() == data, "a state file has two encodings");
        let (proof, digest) = proof.expect("its proof stands at its head");
        assert!(proof == file.proof && digest == StateFile::digest(data));
        // Nobody signed a header here.
        assert!(proof.verify().is_err());
    }
}
