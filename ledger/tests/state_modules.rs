//! The rules of the modules, one by one: token, names, letters, rooms.

mod state_support;

use state_support::*;
use tacit_ledger::*;

const FEE: Amount = FEE_PER_512 as Amount;

fn mail(action: MailAction) -> Action {
    Action::Mail(action)
}

fn letter(to: u8, bytes: usize) -> Action {
    mail(MailAction::Send {
        to: id(to),
        sealed: vec![5; bytes],
    })
}

#[test]
fn a_transfer_moves_exactly_its_amount() {
    let mut world = World::new();
    world.applied(1, transfer(2, 300));
    assert_eq!(world.balance(1), START - 300 - FEE);
    assert_eq!(world.balance(2), START + 300);
    assert_eq!(world.fees(), FEE);
    world.applied(1, transfer(99, 1));
    assert_eq!(world.balance(99), 1);
}

#[test]
fn a_transfer_beyond_the_balance_is_refused_to_the_last_unit() {
    let mut world = World::new();
    let all = START - 2 * FEE;
    assert_eq!(
        world.refused(1, transfer(2, START - FEE + 1)),
        FailureCode::InsufficientBalance
    );
    world.applied(1, transfer(2, all));
    assert_eq!(world.balance(1), 0);
    // The entry itself is gone, and its absence is proven.
    assert_eq!(world.read::<Amount>(1, TokenKey::Balance(id(1))), Ok(None));
}

#[test]
fn transfers_of_nothing_and_to_oneself_are_refused() {
    let mut world = World::new();
    assert_eq!(world.refused(1, transfer(2, 0)), FailureCode::ZeroAmount);
    assert_eq!(world.refused(1, transfer(1, 5)), FailureCode::SelfTransfer);
    assert_eq!(
        world.refused(1, transfer(2, Amount::MAX)),
        FailureCode::InsufficientBalance
    );
}

#[test]
fn a_name_goes_to_who_comes_first_until_it_is_released() {
    let mut world = World::new();
    world.applied(1, claim("alice"));
    assert_eq!(world.refused(2, claim("alice")), FailureCode::NameTaken);
    assert_eq!(world.refused(1, claim("alice")), FailureCode::AlreadyNamed);
    assert_eq!(world.refused(1, claim("alice-too")), FailureCode::AlreadyNamed);
    assert_eq!(world.refused(2, release("alice")), FailureCode::NotOwner);
    assert_eq!(world.refused(2, release("nobody")), FailureCode::NoSuchName);
    assert_eq!(world.read(3, NamesKey::Owner("alice".into())), Ok(Some(id(1))));
    assert_eq!(
        world.read(3, NamesKey::NameOf(id(1))),
        Ok(Some("alice".to_owned()))
    );
    world.applied(1, release("alice"));
    assert_eq!(
        world.read::<AccountId>(3, NamesKey::Owner("alice".into())),
        Ok(None)
    );
    assert_eq!(world.read::<String>(3, NamesKey::NameOf(id(1))), Ok(None));
    world.applied(2, claim("alice"));
}

#[test]
fn names_keep_to_their_alphabet_and_length() {
    let mut world = World::new();
    let long = "a".repeat(33);
    for name in [
        "", "ab", &long, "Alice", "al ice", "al_ice", "älice", "-alice", "alice-", "al\0ce",
    ] {
        assert_eq!(
            world.refused(1, claim(name)),
            FailureCode::NameInvalid,
            "{name:?}"
        );
        assert_eq!(
            world.refused(1, release(name)),
            FailureCode::NameInvalid,
            "{name:?}"
        );
    }
    world.applied(1, claim("a-0"));
    world.applied(2, claim(&"z".repeat(32)));
}

#[test]
fn letters_arrive_in_order_for_their_recipient_alone() {
    let mut world = World::new();
    assert_eq!(world.refused(1, letter(2, 10)), FailureCode::NoMailKey);
    world.applied(2, publish(2));
    assert_eq!(world.read(1, MailKey::SealingKey(id(2))), Ok(Some(mail_key(2))));
    assert_eq!(world.applied(1, letter(2, 10)), 0u64.to_le_bytes());
    assert_eq!(world.applied(3, letter(2, 20)), 1u64.to_le_bytes());
    assert_eq!(world.read(2, MailKey::Head(id(2))), Ok(Some(2u64)));
    let first: Letter = world.read(2, MailKey::Letter(id(2), 0)).unwrap().unwrap();
    assert_eq!((first.from, first.height, first.time_ms), (id(1), 3, 3000));
    let second: Letter = world.read(2, MailKey::Letter(id(2), 1)).unwrap().unwrap();
    assert_eq!((second.from, second.sealed.len()), (id(3), 20));
    assert_eq!(world.read::<Letter>(2, MailKey::Letter(id(2), 2)), Ok(None));
    for key in [
        MailKey::Head(id(2)),
        MailKey::Letter(id(2), 0),
        MailKey::Letter(id(2), 7),
        MailKey::RoomsOf(id(2)),
    ] {
        assert_eq!(
            world.state.read(&id(1), &key.into(), world.state.height()),
            Err(ReadError::Denied)
        );
    }
}

#[test]
fn letters_keep_to_their_bounds() {
    let mut world = World::new();
    world.applied(2, publish(2));
    assert_eq!(world.refused(1, letter(2, 0)), FailureCode::Empty);
    assert_eq!(
        world.refused(1, letter(2, MAX_LETTER_BYTES + 1)),
        FailureCode::TooLarge
    );
    world.applied(1, letter(2, MAX_LETTER_BYTES));
    let no_key = mail(MailAction::PublishKey {
        key: SealingPublic(vec![1; 1215]),
    });
    assert_eq!(world.refused(1, no_key), FailureCode::InvalidKey);
}

/// Accounts 1 to 5 have keys; 1 owns a room with 2 in it.
fn room() -> (World, RoomId) {
    let mut world = World::new();
    let keys: Vec<_> = (1..=5).map(|n| (n, publish(n))).collect();
    assert!(
        world
            .block(&keys)
            .iter()
            .all(|receipt| receipt.outcome == Outcome::Applied)
    );
    let members = vec![wrapped(1), wrapped(2)];
    let detail = world.applied(
        1,
        mail(MailAction::CreateRoom {
            salt: [3; 16],
            title: vec![8; 20],
            members,
        }),
    );
    let id = room_id(&id(1), &[3; 16]);
    assert_eq!(detail, id.0);
    (world, id)
}

fn invite(room: RoomId, who: u8) -> Action {
    mail(MailAction::Invite {
        room,
        account: id(who),
        wrapped: vec![who; 64],
    })
}

fn remove(room: RoomId, who: u8, rekey: &[u8]) -> Action {
    let rekey = rekey.iter().map(|n| wrapped(*n)).collect();
    mail(MailAction::Remove {
        room,
        account: id(who),
        rekey,
    })
}

#[test]
fn a_room_is_its_members_alone() {
    let (mut world, room) = room();
    let found = world.room(2, room).unwrap().unwrap();
    assert_eq!((found.owner, found.generation, found.head), (id(1), 0, 0));
    assert_eq!(
        found.members.iter().map(|m| m.account).collect::<Vec<_>>(),
        [id(1), id(2)]
    );
    assert_eq!(
        world.read(2, MailKey::RoomKey(room, 0, id(2))),
        Ok(Some(vec![2u8; 64]))
    );
    assert_eq!(world.read(2, MailKey::RoomsOf(id(2))), Ok(Some(vec![room])));
    assert_eq!(
        world.read::<Vec<u8>>(1, MailKey::RoomKey(room, 0, id(2))),
        Err(ReadError::Denied)
    );
    assert_eq!(world.room(3, room), Err(ReadError::Denied));
    assert_eq!(world.applied(2, post(room, 0, b"hello")), 0u64.to_le_bytes());
    let said: Post = world.read(1, MailKey::Post(room, 0)).unwrap().unwrap();
    assert_eq!(
        (said.from, said.generation, said.sealed),
        (id(2), 0, b"hello".to_vec())
    );
    assert_eq!(
        world.read::<Post>(3, MailKey::Post(room, 0)),
        Err(ReadError::Denied)
    );
    assert_eq!(world.refused(3, post(room, 0, b"hello")), FailureCode::NotMember);
    assert_eq!(
        world.refused(1, post(tacit_consensus::Digest::ZERO, 0, b"x")),
        FailureCode::NoSuchRoom
    );
    assert_eq!(
        world.refused(1, post(room, 1, b"x")),
        FailureCode::StaleGeneration
    );
    assert_eq!(world.refused(1, post(room, 0, b"")), FailureCode::Empty);
    assert_eq!(
        world.refused(1, post(room, 0, &vec![0; MAX_LETTER_BYTES + 1])),
        FailureCode::TooLarge
    );
    // A room that does not exist is denied as one of others is.
    assert_eq!(
        world.room(1, tacit_consensus::Digest::ZERO),
        Err(ReadError::Denied)
    );
}

#[test]
fn a_room_is_created_once_and_well_formed() {
    let (mut world, _) = room();
    let create = |salt: u8, title: usize, members: Vec<(AccountId, Vec<u8>)>| {
        mail(MailAction::CreateRoom {
            salt: [salt; 16],
            title: vec![0; title],
            members,
        })
    };
    assert_eq!(world.refused(1, create(3, 1, vec![])), FailureCode::RoomExists);
    assert_eq!(
        world.refused(1, create(4, MAX_TITLE_BYTES + 1, vec![])),
        FailureCode::TooLarge
    );
    assert_eq!(
        world.refused(1, create(4, 1, vec![wrapped(2), wrapped(2)])),
        FailureCode::AlreadyMember
    );
    assert_eq!(
        world.refused(1, create(4, 1, vec![wrapped(1), wrapped(1)])),
        FailureCode::AlreadyMember
    );
    assert_eq!(
        world.refused(1, create(4, 1, vec![wrapped(77)])),
        FailureCode::NoMailKey
    );
    assert_eq!(
        world.refused(1, create(4, 1, vec![(id(2), vec![])])),
        FailureCode::Empty
    );
    let large = vec![0; MAX_WRAPPED_KEY_BYTES + 1];
    assert_eq!(
        world.refused(1, create(4, 1, vec![(id(2), large)])),
        FailureCode::TooLarge
    );
    world.applied(1, create(4, 0, vec![]));
    let own = room_id(&id(1), &[4; 16]);
    assert_eq!(world.room(1, own).unwrap().unwrap().members.len(), 1);
    // The same salt by another owner is another room.
    world.applied(2, create(4, 0, vec![]));
}

#[test]
fn only_the_owner_invites_and_a_newcomer_reads_from_then_on() {
    let (mut world, room) = room();
    world.applied(1, post(room, 0, b"before"));
    assert_eq!(world.refused(2, invite(room, 3)), FailureCode::NotOwner);
    assert_eq!(world.refused(3, invite(room, 3)), FailureCode::NotMember);
    assert_eq!(world.refused(1, invite(room, 2)), FailureCode::AlreadyMember);
    assert_eq!(world.refused(1, invite(room, 77)), FailureCode::NoMailKey);
    world.applied(1, invite(room, 3));
    world.applied(2, post(room, 0, b"after"));
    assert_eq!(
        world.read::<Post>(3, MailKey::Post(room, 0)),
        Err(ReadError::Denied)
    );
    assert!(world.read::<Post>(3, MailKey::Post(room, 1)).unwrap().is_some());
    assert_eq!(world.read::<Post>(3, MailKey::Post(room, 2)), Ok(None));
    world.applied(3, post(room, 0, b"me too"));
    // Nor does the newcomer read the room as it was before.
    let height = world.state.height() - 3;
    assert_eq!(
        world.read_at::<Room>(3, MailKey::Room(room), height),
        Err(ReadError::Denied)
    );
    assert!(
        world
            .read_at::<Room>(2, MailKey::Room(room), height)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_removed_member_reads_and_writes_no_more_and_the_key_moves_on() {
    let (mut world, room) = room();
    world.applied(1, invite(room, 3));
    world.applied(1, post(room, 0, b"old"));
    let height = world.state.height();
    assert_eq!(world.refused(2, remove(room, 3, &[])), FailureCode::NotOwner);
    assert_eq!(world.refused(1, remove(room, 4, &[2, 3])), FailureCode::NotMember);
    assert_eq!(
        world.refused(1, remove(room, 1, &[2, 3])),
        FailureCode::OwnerCannotLeave
    );
    assert_eq!(
        world.refused(1, remove(room, 2, &[])),
        FailureCode::MembersMismatch
    );
    assert_eq!(
        world.refused(1, remove(room, 2, &[3, 2])),
        FailureCode::MembersMismatch
    );
    assert_eq!(
        world.refused(1, remove(room, 2, &[3, 3])),
        FailureCode::MembersMismatch
    );
    world.applied(1, remove(room, 2, &[1, 3]));
    assert_eq!(world.room(3, room).unwrap().unwrap().generation, 1);
    assert_eq!(
        world.read(3, MailKey::RoomKey(room, 1, id(3))),
        Ok(Some(vec![3u8; 64]))
    );
    assert_eq!(
        world.refused(3, post(room, 0, b"late")),
        FailureCode::StaleGeneration
    );
    world.applied(3, post(room, 1, b"new"));
    assert_eq!(world.refused(2, post(room, 1, b"out")), FailureCode::NotMember);
    for number in 0..3 {
        assert_eq!(
            world.read::<Post>(2, MailKey::Post(room, number)),
            Err(ReadError::Denied)
        );
    }
    // Not by asking for a height at which it still was a member either.
    assert_eq!(
        world.read_at::<Post>(2, MailKey::Post(room, 0), height),
        Err(ReadError::Denied)
    );
    assert_eq!(world.read::<Vec<RoomId>>(2, MailKey::RoomsOf(id(2))), Ok(None));
    // Its own old keys stay its own; there is none of the new generation.
    assert!(
        world
            .read::<Vec<u8>>(2, MailKey::RoomKey(room, 0, id(2)))
            .unwrap()
            .is_some()
    );
    assert_eq!(
        world.read::<Vec<u8>>(2, MailKey::RoomKey(room, 1, id(2))),
        Ok(None)
    );
    // Who comes back reads from then on.
    world.applied(1, invite(room, 2));
    assert_eq!(
        world.read::<Post>(2, MailKey::Post(room, 1)),
        Err(ReadError::Denied)
    );
}

#[test]
fn members_leave_and_the_owner_stays() {
    let (mut world, room) = room();
    let leave = || mail(MailAction::Leave { room });
    assert_eq!(world.refused(3, leave()), FailureCode::NotMember);
    assert_eq!(world.refused(1, leave()), FailureCode::OwnerCannotLeave);
    world.applied(2, leave());
    assert_eq!(world.refused(2, leave()), FailureCode::NotMember);
    assert_eq!(world.room(2, room), Err(ReadError::Denied));
    assert_eq!(world.room(1, room).unwrap().unwrap().members.len(), 1);
}

#[test]
fn a_full_room_can_still_remove_somebody() {
    let (mut world, room) = room();
    let others: Vec<u8> = (10..10 + (MAX_ROOM_MEMBERS as u8 - 2)).collect();
    for n in &others {
        world.applied(1, transfer(*n, 1000));
        world.applied(*n, publish(*n));
        world.applied(1, invite(room, *n));
    }
    assert_eq!(world.refused(1, invite(room, 3)), FailureCode::RoomFull);
    let rekey: Vec<_> = others.iter().map(|n| (id(*n), vec![0; 1168])).collect();
    world.applied(
        1,
        mail(MailAction::Remove {
            room,
            account: id(2),
            rekey,
        }),
    );
    world.applied(1, invite(room, 3));
}

#[test]
fn balances_and_nonces_are_their_owners_alone() {
    let mut world = World::new();
    world.applied(1, transfer(2, 5));
    assert_eq!(world.read(1, StateKey::Nonce(id(1))), Ok(Some(1u64)));
    assert_eq!(
        world.read::<u64>(2, StateKey::Nonce(id(1))),
        Err(ReadError::Denied)
    );
    assert_eq!(
        world.read::<Amount>(2, TokenKey::Balance(id(1))),
        Err(ReadError::Denied)
    );
    // Denied alike whether there is something or not.
    assert_eq!(
        world.read::<Amount>(2, TokenKey::Balance(id(200))),
        Err(ReadError::Denied)
    );
    assert!(world.read::<Amount>(2, TokenKey::Fees).unwrap().is_some());
}
