//! Targets of `tacit-ledger`.

use tacit_ledger::{Genesis, Registration, RegistrationPlace, SystemTx};

use super::attest::{NOW_MS, WORLD};

/// A registration: keys, place and evidence, judged as the ledger would.
pub fn registration(data: &[u8]) {
    let Ok(registration) = Registration::decode(data) else {
        return;
    };
    let again = borsh::to_vec(&registration).expect("what was decoded encodes");
    assert!(again == data, "a registration has two encodings");
    let place: RegistrationPlace = registration.place();
    assert_eq!(place.height, registration.height);
    let _ = (
        registration.digest(),
        registration.message(),
        registration.binding(),
    );
    let _ = NOW_MS;
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
    let _ = &*WORLD;
}
