//! Executing blocks: nonces, fees, rollback, receipts, and that equal input gives equal state on every path.

mod state_support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use state_support::*;
use tacit_consensus::Digest;
use tacit_ledger::*;

const FEE: Amount = FEE_PER_512 as Amount;

/// Executes one envelope that must be refused before it is charged.
fn free_refusal(world: &mut World, item: (Executable, ReceiptKey)) -> FailureCode {
    let root = world.state.root();
    let receipt = world.execute(&[item]).remove(0);
    let Outcome::Failed(code) = receipt.outcome else {
        panic!("applied")
    };
    assert_eq!(world.state.root(), root);
    assert!(world.frames.last().unwrap().writes.is_empty());
    assert_eq!(receipt.fee, 0);
    assert!(!code.charged());
    code
}

#[test]
fn only_the_next_nonce_counts() {
    let mut world = World::new();
    for nonce in [1, 2, u64::MAX] {
        let item = world.envelope(1, nonce, 100, transfer(2, 1));
        assert_eq!(free_refusal(&mut world, item), FailureCode::BadNonce);
    }
    let first = world.envelope(1, 0, 100, transfer(2, 1));
    let second = world.envelope(1, 1, 100, transfer(2, 1));
    let receipts = world.execute(&[first.clone(), second]);
    assert!(receipts.iter().all(|receipt| receipt.outcome == Outcome::Applied));
    assert_eq!(
        (receipts[0].index, receipts[1].index, receipts[1].height),
        (0, 1, 4)
    );
    assert_eq!(free_refusal(&mut world, first), FailureCode::BadNonce);
    assert_eq!(world.balance(2), START + 2);
}

#[test]
fn the_charge_goes_by_bucket_and_never_above_the_offer() {
    let mut world = World::new();
    let item = world.envelope(1, 0, FEE_PER_512 - 1, transfer(2, 1));
    assert_eq!(free_refusal(&mut world, item), FailureCode::FeeTooLow);
    let item = world.envelope(1, 0, FEE_PER_512, transfer(2, 1));
    assert_eq!(world.execute(&[item])[0].fee, FEE_PER_512);
    let publishes = world.envelope(1, 1, 1000, publish(1)); // 1216 bytes of key: the 2 KiB bucket
    assert_eq!(world.execute(&[publishes])[0].fee, 4 * FEE_PER_512);
    assert_eq!(world.balance(1), START - 1 - 5 * FEE);
    assert_eq!(world.fees(), 5 * FEE);
    assert_eq!(charge(65536, FEE_PER_512), 128 * FEE_PER_512);
    assert_eq!(charge(65536, u64::MAX), u64::MAX);
}

#[test]
fn who_cannot_pay_is_not_served() {
    let mut world = World::new();
    let item = world.envelope(50, 0, 100, claim("broke"));
    assert_eq!(free_refusal(&mut world, item), FailureCode::CannotPay);
    world.applied(1, transfer(50, FEE - 1));
    let item = world.envelope(50, 0, 100, claim("broke"));
    assert_eq!(free_refusal(&mut world, item), FailureCode::CannotPay);
    world.applied(1, transfer(50, 1));
    world.applied(50, claim("broke"));
    assert_eq!(world.balance(50), 0);
}

#[test]
fn what_fails_half_way_leaves_fee_and_nonce_alone() {
    let mut world = World::new();
    let keys: Vec<_> = (1..=3).map(|n| (n, publish(n))).collect();
    world.block(&keys);
    // The third member has no key: the room, its list entries and two wrapped keys were written by then.
    let members = vec![wrapped(1), wrapped(2), wrapped(99)];
    let create = MailAction::CreateRoom {
        salt: [1; 16],
        title: vec![],
        members,
    };
    assert_eq!(world.refused(1, Action::Mail(create)), FailureCode::NoMailKey);
    assert_eq!(world.read::<Vec<RoomId>>(2, MailKey::RoomsOf(id(2))), Ok(None));
    assert_eq!(world.read(1, StateKey::Nonce(id(1))), Ok(Some(2u64)));
}

#[test]
fn an_envelope_that_does_not_open_costs_nobody_and_stops_nothing() {
    let mut world = World::new();
    let (good, _) = world.envelope(1, 0, 100, transfer(2, 1));
    let bad = Digest([0xbd; 32]);
    let outcome = world
        .state
        .execute_block(world.context(), &[Executable::Unopened(bad), good]);
    assert_eq!(outcome.receipts[0].0, bad);
    assert!(outcome.receipts[0].1.is_unopened(&bad));
    assert_eq!(outcome.receipts[0].1.0.len(), outcome.receipts[1].1.0.len());
    assert_eq!(world.balance(2), START + 1);
}

#[test]
fn success_and_failure_look_alike_from_outside() {
    let mut world = World::new();
    world.block(&[
        (1, transfer(2, 1)),
        (2, transfer(3, Amount::MAX)),
        (3, claim("carol")),
        (4, claim("carol")),
    ]);
    assert!(
        world
            .last
            .iter()
            .all(|(_, sealed)| sealed.0.len() == SEALED_RECEIPT_BYTES)
    );
}

#[test]
fn an_empty_block_changes_no_root() {
    let mut world = World::new();
    world.applied(1, transfer(2, 1));
    let root = world.state.root();
    world.block(&[]);
    assert_eq!((world.state.root(), world.state.height()), (root, 2));
}

#[test]
fn before_the_first_keys_the_root_is_zero_and_nothing_is_read() {
    let mut state = PrivateState::genesis(None, &[(id(1), 500), (id(2), 0)]);
    assert_eq!((state.root(), state.supply()), (Digest::ZERO, 500));
    let context = BlockContext {
        chain: CHAIN,
        height: 1,
        time_ms: 1,
        fee_per_512: 1,
    };
    let outcome = state.execute_block(context, &[]);
    assert_eq!((outcome.private_root, outcome.supply), (Digest::ZERO, 500));
    let key = StateKey::from(TokenKey::Balance(id(1)));
    let gone = Err(ReadError::HeightGone {
        asked: 1,
        oldest: 1,
        newest: 1,
    });
    assert_eq!(state.read(&id(1), &key, 1), gone);
    state.install_keys(&state_keys(7), 1);
    let entry = state.read(&id(1), &key, 1).unwrap();
    verify_entry(&entry, &state.root()).unwrap();
    assert_eq!(
        state.root(),
        PrivateState::genesis(Some(&state_keys(7)), &[(id(1), 500)]).root()
    );
}

#[test]
fn frames_of_another_height_are_refused() {
    let mut world = World::new();
    world.applied(1, transfer(2, 1));
    let frame = world.frames[0].clone();
    assert_eq!(
        world.state.apply_frame(&frame).err(),
        Some(FrameError::Height { have: 1, expected: 2 })
    );
    let ahead = Frame { height: 3, ..frame };
    assert_eq!(
        world.state.apply_frame(&ahead).err(),
        Some(FrameError::Height { have: 3, expected: 2 })
    );
}

#[test]
fn checkpoints_of_other_versions_and_broken_ones_are_refused() {
    let world = World::new();
    let bytes = world.state.to_checkpoint();
    let keys = state_keys(7);
    let mut newer = bytes.to_vec();
    newer[0] = 2;
    assert_eq!(
        PrivateState::from_checkpoint(&newer, &keys).err(),
        Some(FrameError::Version { have: 2 })
    );
    let short = PrivateState::from_checkpoint(&bytes[..bytes.len() - 1], &keys).err();
    assert!(matches!(short, Some(FrameError::Codec(_))));
    let long = PrivateState::from_checkpoint(&[&bytes[..], &[0]].concat(), &keys).err();
    assert!(matches!(long, Some(FrameError::Codec(_))));
}

/// Whoever has the key can seal anything. What is opened is read before its root is compared.
#[test]
fn checkpoints_with_what_no_state_has_are_refused() {
    let keys = state_keys(7);
    let money = StateKey::from(TokenKey::Balance(id(1))).bytes();
    let nonce = StateKey::Nonce(id(1)).bytes();
    let of = |entries: &[(&[u8], &[u8])]| {
        let values: BTreeMap<Vec<u8>, Vec<u8>> = entries
            .iter()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        let bytes = borsh::to_vec(&(1u8, 4u64, values)).expect("it encodes");
        PrivateState::from_checkpoint(&bytes, &keys)
    };
    let amount = 7u128.to_le_bytes();
    assert_eq!(of(&[(&money, &amount)]).ok().unwrap().supply(), 7);
    for made_up in [
        (&money[..], &amount[..15]),
        (&money[..money.len() - 1], &amount[..]),
        (&[9; 33][..], &[][..]),
        (&[][..], &[][..]),
    ] {
        assert!(matches!(
            of(&[made_up]).err(),
            Some(FrameError::Entry { index: 0 })
        ));
        // An honest entry before it or behind it does not hide it.
        assert!(matches!(
            of(&[(&nonce, &[0; 8]), made_up]).err(),
            Some(FrameError::Entry { .. })
        ));
    }
}

/// A random action of a random account; many are refused, which is the point.
fn any_call() -> impl Strategy<Value = (u8, Action)> {
    let room = |owner: u8| room_id(&id(owner), &[1; 16]);
    let action = prop_oneof![
        4 => (1u8..9, 0u128..500_000).prop_map(|(to, amount)| transfer(to, amount)),
        1 => (1u8..9, any::<u128>()).prop_map(|(to, amount)| transfer(to, amount)),
        2 => "[a-c-]{2,4}".prop_map(|name| claim(&name)),
        1 => "[a-c-]{2,4}".prop_map(|name| release(&name)),
        1 => (1u8..7).prop_map(publish),
        1 => (1u8..7, 0usize..40).prop_map(|(to, n)| Action::Mail(MailAction::Send { to: id(to), sealed: vec![0; n] })),
        1 => prop::collection::vec(1u8..7, 0..4).prop_map(|members| Action::Mail(MailAction::CreateRoom {
            salt: [1; 16], title: vec![], members: members.into_iter().map(wrapped).collect() })),
        1 => (1u8..7, 1u8..7).prop_map(move |(owner, who)| Action::Mail(MailAction::Invite {
            room: room(owner), account: id(who), wrapped: vec![1] })),
        1 => (1u8..7, 1u8..7, prop::collection::vec(1u8..7, 0..3)).prop_map(move |(owner, who, rekey)| {
            let rekey = rekey.into_iter().map(wrapped).collect();
            Action::Mail(MailAction::Remove { room: room(owner), account: id(who), rekey })
        }),
        1 => (1u8..7, 0u32..2).prop_map(move |(owner, generation)| post(room(owner), generation, b"post")),
        1 => (1u8..7).prop_map(move |owner| Action::Mail(MailAction::Leave { room: room(owner) })),
    ];
    (1u8..9, action)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Money is neither made nor lost; the same input gives the same roots, receipts and frames; and a checkpoint
    /// with the frames after it gives the state that executing gave.
    #[test]
    fn every_path_leads_to_the_same_state(
        blocks in prop::collection::vec(prop::collection::vec(any_call(), 0..6), 1..8),
        pause in 0usize..8,
    ) {
        let (mut world, mut twin) = (World::new(), World::new());
        let mut checkpoint = (0, world.state.to_checkpoint());
        for (index, calls) in blocks.iter().enumerate() {
            if index == pause {
                checkpoint = (index, world.state.to_checkpoint());
            }
            world.block(calls);
            twin.block(calls);
            prop_assert_eq!(world.state.root(), twin.state.root());
            prop_assert!(world.last == twin.last && world.frames == twin.frames);
            prop_assert_eq!(world.state.supply(), 5 * START);
            prop_assert_eq!(world.state.audit_supply(), Some(5 * START));
        }
        let mut restored = PrivateState::from_checkpoint(&checkpoint.1, &state_keys(7)).unwrap();
        for frame in &world.frames[checkpoint.0..] {
            // Through the seal, as from disk.
            let sealed = encrypt_frame(&[1; 32], frame.height, &frame.to_bytes()).unwrap();
            let opened = decrypt_frame(&[1; 32], frame.height, &sealed).unwrap();
            restored.apply_frame(&Frame::from_bytes(&opened).unwrap()).unwrap();
        }
        prop_assert_eq!(restored.root(), world.state.root());
        prop_assert_eq!(restored.supply(), world.state.supply());
        prop_assert!(restored.to_checkpoint() == world.state.to_checkpoint());
    }
}
