//! Letters to accounts, and rooms with members.
//!
//! Contents arrive sealed to their readers' own keys and stay so: no TEE ever reads them. What the TEEs add is
//! that nobody outside learns who writes to whom, and that order and membership are enforced.
//!
//! A room has a key, known to its members, and the key a generation. Removing a member moves the generation on
//! and brings the new key wrapped for everyone who stays; from then on only posts of the new generation are
//! taken, and the removed one reads nothing of the room any more. A newcomer reads posts from the block that
//! let it in, not older ones. Leaving does not change the key: the owner can remove to do that.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Height, Millis};

use crate::{
    account::AccountId,
    receipt::FailureCode,
    sealing::SealingPublic,
    state::{
        context::{Context, View},
        key::{MailKey, RoomId, room_id},
        modules::Module,
    },
};

/// Largest sealed letter or post, in bytes.
pub const MAX_LETTER_BYTES: usize = 16 * 1024;
/// Largest sealed room title, in bytes.
pub const MAX_TITLE_BYTES: usize = 256;
/// Largest wrapped room key, in bytes: an X-Wing encapsulation, a key and a tag need 1168.
pub const MAX_WRAPPED_KEY_BYTES: usize = 1280;
/// Most members of a room, the owner included: their wrapped keys must fit the largest envelope together, or
/// nobody could be removed.
pub const MAX_ROOM_MEMBERS: usize = 48;
/// Most rooms of one account: the list is one entry of the state, and others can make it longer.
pub const MAX_ROOMS_PER_ACCOUNT: usize = 256;

/// A room key wrapped for one account.
pub type WrappedKey = (AccountId, Vec<u8>);

/// What a call can ask of the mail module.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum MailAction {
    /// Publishes (or replaces) the key to which others seal for the caller.
    PublishKey {
        /// The key.
        key: SealingPublic,
    },
    /// Puts a letter into an account's mailbox. The receipt says its number (`u64` LE).
    Send {
        /// Whose mailbox; it must have published a key.
        to: AccountId,
        /// The letter, sealed to that key; 1 to [`MAX_LETTER_BYTES`].
        sealed: Vec<u8>,
    },
    /// Makes a room that the caller owns. The receipt says its id.
    CreateRoom {
        /// Makes the id unique: see [`room_id`].
        salt: [u8; 16],
        /// The title, sealed with the room's key; at most [`MAX_TITLE_BYTES`].
        title: Vec<u8>,
        /// The members and the room's key wrapped for each. The owner is a member, listed or not.
        members: Vec<WrappedKey>,
    },
    /// Lets one more account in; only by the owner.
    Invite {
        /// The room.
        room: RoomId,
        /// Who comes in; it must have published a key.
        account: AccountId,
        /// The room's present key, wrapped for it.
        wrapped: Vec<u8>,
    },
    /// Shuts one member out and changes the room's key; only by the owner.
    Remove {
        /// The room.
        room: RoomId,
        /// Who goes.
        account: AccountId,
        /// The new key, wrapped for each member who stays; for the owner it may be left out.
        rekey: Vec<WrappedKey>,
    },
    /// Leaves a room; not for its owner.
    Leave {
        /// The room.
        room: RoomId,
    },
    /// Posts to a room. The receipt says the post's number (`u64` LE).
    Post {
        /// The room.
        room: RoomId,
        /// The generation of the key it is sealed with: the room's present one.
        generation: u32,
        /// The post, sealed with the room's key; 1 to [`MAX_LETTER_BYTES`].
        sealed: Vec<u8>,
    },
}

/// A letter in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Letter {
    /// Who sent it: the account that signed the call.
    pub from: AccountId,
    /// The block that brought it.
    pub height: Height,
    /// That block's time.
    pub time_ms: Millis,
    /// The sealed content.
    pub sealed: Vec<u8>,
}

/// A post in a room.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Post {
    /// Who posted it.
    pub from: AccountId,
    /// The block that brought it.
    pub height: Height,
    /// That block's time.
    pub time_ms: Millis,
    /// The generation of the key it is sealed with.
    pub generation: u32,
    /// The sealed content.
    pub sealed: Vec<u8>,
}

/// A member of a room.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Member {
    /// Who.
    pub account: AccountId,
    /// The block that let it in; it reads posts from here on.
    pub joined_height: Height,
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Room {
    /// Who invites and removes; always a member.
    pub owner: AccountId,
    /// The members in the order of joining, the owner first.
    pub members: Vec<Member>,
    /// The present generation of the room's key, from 0.
    pub generation: u32,
    /// Number of posts so far: the next post's number.
    pub head: u64,
    /// The sealed title.
    pub title: Vec<u8>,
}

impl Room {
    /// The membership of an account.
    pub fn member(&self, account: &AccountId) -> Option<&Member> {
        self.members.iter().find(|member| member.account == *account)
    }
}

/// The mail module.
#[derive(Clone, Copy, Debug)]
pub struct Mail;

impl Module for Mail {
    type Action = MailAction;
    type Key = MailKey;

    fn execute(
        &self,
        context: &mut Context<'_>,
        account: &AccountId,
        action: &MailAction,
    ) -> Result<Vec<u8>, FailureCode> {
        match action {
            MailAction::PublishKey { key } => {
                key.check().map_err(|_| FailureCode::InvalidKey)?;
                context.put(MailKey::SealingKey(*account), key);
                Ok(Vec::new())
            }
            MailAction::Send { to, sealed } => send(context, account, to, sealed),
            MailAction::CreateRoom { salt, title, members } => create(context, account, salt, title, members),
            MailAction::Invite {
                room,
                account: guest,
                wrapped,
            } => invite(context, account, room, guest, wrapped),
            MailAction::Remove {
                room,
                account: gone,
                rekey,
            } => remove(context, account, room, gone, rekey),
            MailAction::Leave { room } => leave(context, account, room),
            MailAction::Post {
                room,
                generation,
                sealed,
            } => post(context, account, room, *generation, sealed),
        }
    }

    fn may_read(&self, view: &View<'_>, asker: &AccountId, key: &MailKey) -> bool {
        let membership = |room: &RoomId| {
            view.get::<Room>(MailKey::Room(*room))
                .and_then(|room| room.member(asker).cloned())
        };
        match key {
            MailKey::SealingKey(_) => true,
            MailKey::Head(account)
            | MailKey::Letter(account, _)
            | MailKey::RoomsOf(account)
            | MailKey::RoomKey(_, _, account) => account == asker,
            MailKey::Room(room) => membership(room).is_some(),
            MailKey::Post(room, _) => membership(room).is_some_and(|member| {
                view.get::<Post>(key.clone())
                    .is_none_or(|post| post.height >= member.joined_height)
            }),
        }
    }
}

fn send(
    context: &mut Context<'_>,
    from: &AccountId,
    to: &AccountId,
    sealed: &[u8],
) -> Result<Vec<u8>, FailureCode> {
    content(sealed, MAX_LETTER_BYTES)?;
    reachable(context, to)?;
    let number: u64 = context.get(MailKey::Head(*to)).unwrap_or(0);
    let next = number.checked_add(1).ok_or(FailureCode::Overflow)?;
    let block = *context.block();
    let letter = Letter {
        from: *from,
        height: block.height,
        time_ms: block.time_ms,
        sealed: sealed.to_vec(),
    };
    context.put(MailKey::Letter(*to, number), &letter);
    context.put(MailKey::Head(*to), &next);
    Ok(number.to_le_bytes().to_vec())
}

fn create(
    context: &mut Context<'_>,
    owner: &AccountId,
    salt: &[u8; 16],
    title: &[u8],
    members: &[WrappedKey],
) -> Result<Vec<u8>, FailureCode> {
    if title.len() > MAX_TITLE_BYTES {
        return Err(FailureCode::TooLarge);
    }
    let id = room_id(owner, salt);
    if context.get::<Room>(MailKey::Room(id)).is_some() {
        return Err(FailureCode::RoomExists);
    }
    let mut room = Room {
        owner: *owner,
        members: Vec::new(),
        generation: 0,
        head: 0,
        title: title.to_vec(),
    };
    admit(context, &id, &mut room, owner)?;
    for (account, wrapped) in members {
        if account != owner {
            reachable(context, account)?;
            admit(context, &id, &mut room, account)?;
        }
        wrap(context, &id, 0, account, wrapped)?;
    }
    if members.iter().filter(|(account, _)| account == owner).count() > 1 {
        return Err(FailureCode::AlreadyMember);
    }
    context.put(MailKey::Room(id), &room);
    Ok(id.0.to_vec())
}

fn invite(
    context: &mut Context<'_>,
    owner: &AccountId,
    id: &RoomId,
    guest: &AccountId,
    wrapped: &[u8],
) -> Result<Vec<u8>, FailureCode> {
    let mut room = owned(context, owner, id)?;
    reachable(context, guest)?;
    admit(context, id, &mut room, guest)?;
    wrap(context, id, room.generation, guest, wrapped)?;
    context.put(MailKey::Room(*id), &room);
    Ok(Vec::new())
}

fn remove(
    context: &mut Context<'_>,
    owner: &AccountId,
    id: &RoomId,
    gone: &AccountId,
    rekey: &[WrappedKey],
) -> Result<Vec<u8>, FailureCode> {
    let mut room = owned(context, owner, id)?;
    dismiss(context, id, &mut room, gone)?;
    room.generation = room.generation.checked_add(1).ok_or(FailureCode::Overflow)?;
    let mut due: Vec<AccountId> = room.members.iter().map(|member| member.account).collect();
    for (account, wrapped) in rekey {
        let place = due
            .iter()
            .position(|one| one == account)
            .ok_or(FailureCode::MembersMismatch)?;
        due.swap_remove(place);
        wrap(context, id, room.generation, account, wrapped)?;
    }
    if due.iter().any(|account| account != owner) {
        return Err(FailureCode::MembersMismatch);
    }
    context.put(MailKey::Room(*id), &room);
    Ok(Vec::new())
}

fn leave(context: &mut Context<'_>, account: &AccountId, id: &RoomId) -> Result<Vec<u8>, FailureCode> {
    let mut room = joined(context, account, id)?;
    dismiss(context, id, &mut room, account)?;
    context.put(MailKey::Room(*id), &room);
    Ok(Vec::new())
}

fn post(
    context: &mut Context<'_>,
    from: &AccountId,
    id: &RoomId,
    generation: u32,
    sealed: &[u8],
) -> Result<Vec<u8>, FailureCode> {
    content(sealed, MAX_LETTER_BYTES)?;
    let mut room = joined(context, from, id)?;
    if generation != room.generation {
        return Err(FailureCode::StaleGeneration);
    }
    let number = room.head;
    room.head = number.checked_add(1).ok_or(FailureCode::Overflow)?;
    let block = *context.block();
    let (height, time_ms) = (block.height, block.time_ms);
    context.put(
        MailKey::Post(*id, number),
        &Post {
            from: *from,
            height,
            time_ms,
            generation,
            sealed: sealed.to_vec(),
        },
    );
    context.put(MailKey::Room(*id), &room);
    Ok(number.to_le_bytes().to_vec())
}

/// The room, if `account` is a member. Ids are salted: who can name a room was told of it.
fn joined(context: &Context<'_>, account: &AccountId, id: &RoomId) -> Result<Room, FailureCode> {
    let room: Room = context.get(MailKey::Room(*id)).ok_or(FailureCode::NoSuchRoom)?;
    if room.member(account).is_some() {
        Ok(room)
    } else {
        Err(FailureCode::NotMember)
    }
}

/// The room, if `account` owns it.
fn owned(context: &Context<'_>, account: &AccountId, id: &RoomId) -> Result<Room, FailureCode> {
    let room = joined(context, account, id)?;
    if room.owner == *account {
        Ok(room)
    } else {
        Err(FailureCode::NotOwner)
    }
}

/// Adds a member to the room and the room to its list.
fn admit(
    context: &mut Context<'_>,
    id: &RoomId,
    room: &mut Room,
    account: &AccountId,
) -> Result<(), FailureCode> {
    if room.member(account).is_some() {
        return Err(FailureCode::AlreadyMember);
    }
    let mut rooms: Vec<RoomId> = context.get(MailKey::RoomsOf(*account)).unwrap_or_default();
    if room.members.len() >= MAX_ROOM_MEMBERS || rooms.len() >= MAX_ROOMS_PER_ACCOUNT {
        return Err(FailureCode::RoomFull);
    }
    rooms.push(*id);
    context.put(MailKey::RoomsOf(*account), &rooms);
    room.members.push(Member {
        account: *account,
        joined_height: context.block().height,
    });
    Ok(())
}

/// Takes a member out of the room and the room off its list.
fn dismiss(
    context: &mut Context<'_>,
    id: &RoomId,
    room: &mut Room,
    account: &AccountId,
) -> Result<(), FailureCode> {
    if room.member(account).is_none() {
        return Err(FailureCode::NotMember);
    }
    if room.owner == *account {
        return Err(FailureCode::OwnerCannotLeave);
    }
    room.members.retain(|member| member.account != *account);
    let mut rooms: Vec<RoomId> = context.get(MailKey::RoomsOf(*account)).unwrap_or_default();
    rooms.retain(|room| room != id);
    if rooms.is_empty() {
        context.remove(MailKey::RoomsOf(*account));
    } else {
        context.put(MailKey::RoomsOf(*account), &rooms);
    }
    Ok(())
}

/// Stores the room's key as wrapped for one member.
fn wrap(
    context: &mut Context<'_>,
    id: &RoomId,
    generation: u32,
    account: &AccountId,
    wrapped: &[u8],
) -> Result<(), FailureCode> {
    content(wrapped, MAX_WRAPPED_KEY_BYTES)?;
    context.put(MailKey::RoomKey(*id, generation, *account), &wrapped.to_vec());
    Ok(())
}

/// Refuses to write to an account that could not open it.
fn reachable(context: &Context<'_>, account: &AccountId) -> Result<(), FailureCode> {
    match context.get::<SealingPublic>(MailKey::SealingKey(*account)) {
        Some(_) => Ok(()),
        None => Err(FailureCode::NoMailKey),
    }
}

fn content(bytes: &[u8], max: usize) -> Result<(), FailureCode> {
    match bytes.len() {
        0 => Err(FailureCode::Empty),
        length if length > max => Err(FailureCode::TooLarge),
        _ => Ok(()),
    }
}
