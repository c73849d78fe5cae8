use std::sync::{LazyLock, Mutex};

use tacit_attest::{Generation, SimulatedQuoter, SimulatorAuthority};

use super::*;

const NOW: u64 = 1_700_000_000_000;
static AUTHORITY: LazyLock<SimulatorAuthority> =
    LazyLock::new(|| SimulatorAuthority::generate([1; 32], NOW).expect("made"));

fn quoter(chip: u8, measurement: u8) -> Arc<dyn Quoter> {
    let chip = AUTHORITY
        .issue_chip([chip; 32], Generation::Genoa, NOW)
        .expect("issued");
    Arc::new(SimulatedQuoter::new(chip, Measurement([measurement; 48])))
}

fn seeds() -> IdentitySeeds {
    IdentitySeeds {
        consensus: [1; 32],
        node: [2; 32],
    }
}

/// A keyring in a file on chip 1 with measurement 1; its first KEM seed is 3.
fn in_file() -> (tempfile::TempDir, PathBuf, Keyring) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keyring.sealed");
    let vault = SealedFile::new(path.clone(), quoter(1, 1));
    let keyring = Keyring::create(seeds(), &[3; 32], Box::new(vault)).expect("created");
    (folder, path, keyring)
}

fn public(seed: u8) -> SealingPublic {
    SealingSecret::derive(&[seed; 32]).public().clone()
}

/// What is kept, under the seal.
fn plain(path: &Path) -> Vec<u8> {
    let file = SealedFile::new(path.to_path_buf(), quoter(1, 1));
    file.load().expect("opens").to_vec()
}

fn holds(bytes: &[u8], seed: u8) -> bool {
    bytes.windows(32).any(|window| window == [seed; 32])
}

#[test]
fn it_opens_on_its_own_chip_and_measurement_only_and_the_error_says_which_differs() {
    let (_folder, path, mut keyring) = in_file();
    keyring
        .install(1, EpochSecret::from_bytes([9; 32]))
        .expect("installed");
    let opened = open(&path, quoter(1, 1)).expect("opens");
    assert!(opened.kem(&public(3)).is_some());
    assert!(opened.epoch(1) == Some(&EpochSecret::from_bytes([9; 32])));
    let refused = |chip, measurement| {
        let error = open(&path, quoter(chip, measurement)).err().expect("refused");
        assert!(error.to_string().contains("tacit node rejoin"), "{error}");
        error.code()
    };
    assert_eq!(refused(2, 1), "key.other_chip");
    assert_eq!(refused(1, 2), "key.other_measurement");
    assert_eq!(refused(2, 2), "key.other_chip");
    let sealed = std::fs::read(&path).expect("read");
    assert!([1, 2, 3, 9].into_iter().all(|secret| !holds(&sealed, secret)));
}

/// The names in the clear cannot be changed without the seal noticing.
#[test]
fn a_file_that_claims_another_chip_or_measurement_than_sealed_it_does_not_open() {
    let (_folder, path, _) = in_file();
    let good = std::fs::read(&path).expect("read");
    for at in [1, 70] {
        let mut bent = good.clone();
        bent[at] ^= 1;
        std::fs::write(&path, bent).expect("written");
        assert!(open(&path, quoter(1, 1)).is_err(), "byte {at}");
    }
}

#[test]
fn an_erased_secret_is_gone_from_memory_and_file() {
    let (_folder, path, mut keyring) = in_file();
    for (epoch, secret) in [(1, 8), (2, 9)] {
        keyring
            .install(epoch, EpochSecret::from_bytes([secret; 32]))
            .expect("installed");
    }
    keyring.turn(2, Some(&public(3)), |_| false).expect("erased");
    assert!(keyring.epoch(1).is_none() && keyring.epoch(2).is_some());
    let opened = open(&path, quoter(1, 1)).expect("opens");
    assert!(opened.epoch(1).is_none() && opened.epoch(2).is_some());
    assert!(!holds(&plain(&path), 8), "the old secret is still there");
}

#[test]
fn a_kem_key_goes_with_its_seat_and_the_next_one_waits() {
    let (_folder, path, mut keyring) = in_file();
    assert_eq!(
        keyring.next_kem(&[4; 32]).expect("held"),
        public(3),
        "it waits itself"
    );
    keyring.turn(1, Some(&public(3)), |_| false).expect("saved");
    assert_eq!(keyring.next_kem(&[4; 32]).expect("made"), public(4));
    assert_eq!(
        keyring.next_kem(&[5; 32]).expect("held"),
        public(4),
        "one at a time"
    );
    // The renewal has not landed: the seat is the old key's, and both stay.
    keyring
        .turn(2, Some(&public(3)), |_| false)
        .expect("nothing to erase");
    assert_eq!(keyring.kem_keys().count(), 2);
    // It has.
    keyring.turn(3, Some(&public(4)), |_| false).expect("erased");
    assert!(keyring.kem(&public(3)).is_none() && keyring.kem(&public(4)).is_some());
    assert!(!holds(&plain(&path), 3) && holds(&plain(&path), 4));
    assert_eq!(keyring.next_kem(&[6; 32]).expect("made"), public(6));
    // The seat is lost: its key goes, and what waits for the next one stays.
    keyring.turn(4, None, |_| false).expect("erased");
    let opened = open(&path, quoter(1, 1)).expect("opens");
    let held: Vec<_> = opened.kem_keys().cloned().collect();
    assert_eq!(held, [public(6)]);
    assert!(!holds(&plain(&path), 4));
}

/// An old copy of the file in a chain that has gone on: what had its time elsewhere is not used again.
#[test]
fn a_key_that_the_chain_has_seated_before_is_erased_although_this_keyring_does_not_know() {
    let (_folder, path, mut keyring) = in_file();
    keyring.turn(1, Some(&public(3)), |_| false).expect("saved");
    assert_eq!(keyring.next_kem(&[4; 32]).expect("made"), public(4));
    keyring
        .turn(5, Some(&public(7)), |key| *key == public(4))
        .expect("erased");
    assert_eq!(open(&path, quoter(1, 1)).expect("opens").kem_keys().count(), 0);
    assert_eq!(keyring.next_kem(&[8; 32]).expect("made"), public(8));
}

/// An old copy of the database: its blocks are made final again, and the newer keys must still be there then.
#[test]
fn a_keyring_that_is_ahead_of_its_chain_erases_nothing_until_the_chain_has_caught_up() {
    let (_folder, path, mut keyring) = in_file();
    keyring.turn(4, Some(&public(3)), |_| false).expect("saved");
    keyring
        .install(5, EpochSecret::from_bytes([9; 32]))
        .expect("installed");
    keyring.turn(2, None, |_| true).expect("nothing to do");
    let opened = open(&path, quoter(1, 1)).expect("opens");
    assert!(opened.kem(&public(3)).is_some() && opened.epoch(5).is_some());
    keyring.turn(5, None, |_| false).expect("erased");
    assert!(keyring.kem(&public(3)).is_none() && keyring.epoch(5).is_some());
}

/// A vault that fails when told to.
struct Failing(Arc<Mutex<bool>>);

impl Vault for Failing {
    fn save(&mut self, _: &[u8]) -> Result<(), NodeError> {
        match *self.0.lock().expect("one thread") {
            true => Err(NodeError::Corrupt("told to fail".into())),
            false => Ok(()),
        }
    }
}

#[test]
fn a_kem_key_that_could_not_be_saved_is_never_given_out() {
    let fails = Arc::new(Mutex::new(false));
    let vault = Failing(fails.clone());
    let mut keyring = Keyring::create(seeds(), &[3; 32], Box::new(vault)).expect("created");
    keyring.turn(1, Some(&public(3)), |_| false).expect("saved");
    *fails.lock().expect("one thread") = true;
    assert!(keyring.next_kem(&[4; 32]).is_err());
    *fails.lock().expect("one thread") = false;
    assert!(keyring.kem(&public(4)).is_none());
    assert_eq!(keyring.next_kem(&[5; 32]).expect("made"), public(5));
}

#[test]
fn a_damaged_file_is_refused_whatever_is_wrong_with_it() {
    let (_folder, path, _) = in_file();
    let good = std::fs::read(&path).expect("read");
    let mut flipped = good.clone();
    flipped[HEADER_BYTES + 40] ^= 1;
    let version = [&[9], &good[1..]].concat();
    let long = vec![1; MAX_BYTES as usize + 1];
    for bad in [
        &[][..],
        &good[..10],
        &good[..HEADER_BYTES + 3],
        &good[..good.len() - 1],
        &flipped,
        &version,
        &long,
    ] {
        std::fs::write(&path, bad).expect("written");
        let refused = open(&path, quoter(1, 1)).err().expect("refused");
        assert_eq!(refused.code(), "key.sealed_elsewhere");
    }
}
