//! Reading: proofs of what is and what is not there, at the newest and at older heights, and what they hide.

mod state_support;

use state_support::*;
use tacit_consensus::Digest;
use tacit_ledger::*;

#[test]
fn every_change_to_an_entry_is_refused() {
    let mut world = World::new();
    for n in 10..60 {
        world.applied(1, transfer(n, 7));
    }
    let (root, height) = (world.state.root(), world.state.height());
    let present = world
        .state
        .read(&id(10), &TokenKey::Balance(id(10)).into(), height)
        .unwrap();
    let absent = world
        .state
        .read(&id(10), &MailKey::Head(id(10)).into(), height)
        .unwrap();
    let nameless = world
        .state
        .read(&id(10), &NamesKey::Owner("nobody".into()).into(), height)
        .unwrap();
    for entry in [&present, &absent, &nameless] {
        verify_entry(entry, &root).unwrap();
        let refused = |entry: ProvenEntry| verify_entry(&entry, &root).is_err();
        assert!(verify_entry(entry, &Digest::ZERO).is_err());
        assert!(refused(ProvenEntry {
            key: TokenKey::Balance(id(11)).into(),
            ..entry.clone()
        }));
        assert!(refused(ProvenEntry {
            value: Some(vec![0; 16]),
            ..entry.clone()
        }));
        for bit in 0..256 {
            let mut blind = entry.blind;
            blind[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(ProvenEntry {
                blind,
                ..entry.clone()
            }));
        }
        for bit in 0..entry.proof.len() * 8 {
            let mut proof = entry.proof.clone();
            proof[bit / 8] ^= 1 << (bit % 8);
            assert!(
                refused(ProvenEntry {
                    proof,
                    ..entry.clone()
                }),
                "bit {bit}"
            );
        }
        assert!(refused(ProvenEntry {
            proof: Vec::new(),
            ..entry.clone()
        }));
        assert!(refused(ProvenEntry {
            proof: vec![0; MAX_TREE_PROOF_BYTES + 1],
            ..entry.clone()
        }));
    }
    let value = present.value.clone().unwrap();
    for bit in 0..value.len() * 8 {
        let mut value = value.clone();
        value[bit / 8] ^= 1 << (bit % 8);
        assert!(
            verify_entry(
                &ProvenEntry {
                    value: Some(value),
                    ..present.clone()
                },
                &root
            )
            .is_err()
        );
    }
    // Something there cannot be denied with the proof of something absent, nor the reverse.
    assert!(
        verify_entry(
            &ProvenEntry {
                value: None,
                blind: [0; 32],
                ..present.clone()
            },
            &root
        )
        .is_err()
    );
    assert!(
        verify_entry(
            &ProvenEntry {
                key: present.key.clone(),
                ..absent.clone()
            },
            &root
        )
        .is_err()
    );
    assert!(
        verify_entry(
            &ProvenEntry {
                key: absent.key,
                ..present
            },
            &root
        )
        .is_err()
    );
}

#[test]
fn the_last_heights_read_as_they_were_and_older_ones_are_gone() {
    let mut world = World::new();
    let mut roots = vec![world.state.root()];
    for _ in 0..300 {
        world.applied(1, transfer(2, 1));
        roots.push(world.state.root());
    }
    let newest = world.state.height();
    assert_eq!(world.state.oldest(), newest - KEEP_VERSIONS + 1);
    let key = StateKey::from(TokenKey::Balance(id(2)));
    for height in world.state.oldest()..=newest {
        let entry = world.state.read(&id(2), &key, height).unwrap();
        verify_entry(&entry, &roots[height as usize]).unwrap();
        assert!(verify_entry(&entry, &roots[height as usize - 1]).is_err());
        assert_eq!(entry.value, Some(encode(&(START + Amount::from(height)))));
    }
    for asked in [0, newest - KEEP_VERSIONS, newest + 1, u64::MAX] {
        let gone = ReadError::HeightGone {
            asked,
            oldest: world.state.oldest(),
            newest,
        };
        assert_eq!(world.state.read(&id(2), &key, asked), Err(gone));
    }
}

#[test]
fn a_restored_state_reads_from_its_checkpoint_on() {
    let mut world = World::new();
    for _ in 0..5 {
        world.applied(1, transfer(2, 1));
    }
    let mut restored = PrivateState::from_checkpoint(&world.state.to_checkpoint(), &state_keys(7)).unwrap();
    assert_eq!((restored.oldest(), restored.height()), (5, 5));
    world.applied(1, transfer(2, 1));
    let root = restored.apply_frame(&world.frames[5]).unwrap();
    assert_eq!(root, world.state.root());
    let key = StateKey::from(TokenKey::Balance(id(2)));
    assert_eq!(
        restored.read(&id(2), &key, 5).unwrap(),
        world.state.read(&id(2), &key, 5).unwrap()
    );
    assert!(restored.read(&id(2), &key, 4).is_err());
}

#[test]
fn leaves_are_blinded_by_a_key_that_changes_every_one() {
    let (one, other) = (World::with_keys(&state_keys(7)), World::with_keys(&state_keys(8)));
    assert_ne!(one.state.root(), other.state.root());
    let key = StateKey::from(TokenKey::Balance(id(1)));
    let (a, b) = (
        one.state.read(&id(1), &key, 0).unwrap(),
        other.state.read(&id(1), &key, 0).unwrap(),
    );
    assert_eq!(a.value, b.value);
    assert_ne!(a.blind, b.blind);
    // Who guesses the value and leaves out the blind, or takes another's, has not got the leaf.
    assert!(
        verify_entry(
            &ProvenEntry {
                blind: [0; 32],
                ..a.clone()
            },
            &one.state.root()
        )
        .is_err()
    );
    assert!(
        verify_entry(
            &ProvenEntry {
                blind: b.blind,
                ..a.clone()
            },
            &one.state.root()
        )
        .is_err()
    );
}

#[test]
fn a_blind_tells_nothing_of_other_values_under_its_key_or_equal_values_elsewhere() {
    let mut world = World::new();
    let blind = |world: &World, n: u8| {
        world
            .state
            .read(&id(n), &TokenKey::Balance(id(n)).into(), world.state.height())
            .unwrap()
            .blind
    };
    assert_ne!(blind(&world, 2), blind(&world, 3));
    let before = blind(&world, 2);
    world.applied(1, transfer(2, 1));
    assert_ne!(blind(&world, 2), before);
}

#[test]
fn proofs_do_not_name_the_keys_of_neighbours() {
    let mut world = World::new();
    for n in 10..80 {
        world.applied(1, transfer(n, 20));
        world.applied(n, claim(&format!("name-{n}")));
    }
    let height = world.state.height();
    let everything: Vec<[u8; 32]> = (1..80)
        .flat_map(|n| {
            let name = NamesKey::Owner(format!("name-{n}"));
            [
                TokenKey::Balance(id(n)).into(),
                StateKey::Nonce(id(n)),
                NamesKey::NameOf(id(n)).into(),
                name.into(),
            ]
        })
        .map(|key: StateKey| key.tree_key())
        .collect();
    for n in 10..80 {
        let own = StateKey::from(TokenKey::Balance(id(n)));
        let proof = world.state.read(&id(n), &own, height).unwrap().proof;
        let named = everything
            .iter()
            .filter(|key| proof.windows(32).any(|window| window == *key));
        assert_eq!(named.collect::<Vec<_>>(), [&own.tree_key()]);
        // Absence may name one leaf: of the scope that the asker asked about.
        let absent = StateKey::from(MailKey::Head(id(n)));
        let proof = world.state.read(&id(n), &absent, height).unwrap().proof;
        let named = everything
            .iter()
            .filter(|key| proof.windows(32).any(|window| window == *key));
        assert!(named.into_iter().all(|key| key[..8] == absent.tree_key()[..8]));
    }
}
