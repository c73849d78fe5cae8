//! Rooms: posts sealed under a key that only the members hold, a fresh one whenever somebody is shut out.

use std::collections::BTreeMap;

use tacit_ledger::{AccountId, Action, MailAction, MailKey, Post, Room, RoomId, StateKey, room_id};

use crate::{
    address::Address,
    entropy,
    error::Error,
    letter::{
        Place, RoomSecret, open_post, open_room_secret, open_title, seal_post, seal_title, wrap_room_secret,
    },
    session::{Confirmed, Wallet},
};

/// A room as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Its id.
    pub id: RoomId,
    /// Its title; `None` when it does not open with this wallet's key.
    pub title: Option<String>,
    /// Who invites and removes.
    pub owner: Address,
    /// Everybody in it, the owner first.
    pub members: Vec<Address>,
    /// How many posts it has.
    pub posts: u64,
    /// Generation of its key: how often somebody was shut out.
    pub generation: u32,
}

/// A post as a member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostView {
    /// Its number in the room, from 0.
    pub number: u64,
    /// Who wrote it, by the chain's word.
    pub from: Address,
    /// Height of its block.
    pub height: u64,
    /// Time of its block, in milliseconds.
    pub time_ms: u64,
    /// The text; `None` when it does not open with this wallet's keys.
    pub text: Option<String>,
}

impl Wallet {
    /// Makes a room with these members besides this account, and waits for the verified receipt.
    ///
    /// # Errors
    /// [`Error::NoMailKey`] naming the first member without one.
    pub fn create_room(&mut self, title: &str, members: &[Address]) -> Result<(RoomId, Confirmed), Error> {
        let me = self.account();
        let salt: [u8; 16] = entropy::bytes(&mut self.rng);
        let id = room_id(&me, &salt);
        let secret = RoomSecret::fresh(&mut self.rng);
        let mut accounts = vec![me];
        for member in members {
            let account = member.on(self.trust().class())?.account;
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        let title = seal_title(&mut self.rng, &secret, &id, title)?;
        let members = self.wrap_for(&id, 0, &accounts, &secret)?;
        let confirmed = self.run(Action::Mail(MailAction::CreateRoom { salt, title, members }))?;
        Ok((id, confirmed))
    }

    /// Lets somebody in. Posts from before stay closed to it, titles do not.
    ///
    /// # Errors
    /// [`Error::Failed`] unless this account owns the room.
    pub fn invite(&mut self, id: &RoomId, guest: &Address) -> Result<Confirmed, Error> {
        let account = guest.on(self.trust().class())?.account;
        let room = self.room(id)?;
        let secret = self.room_secret(id, room.generation)?;
        let mut wrapped = self.wrap_for(id, room.generation, &[account], &secret)?;
        let (_, wrapped) = wrapped.remove(0);
        self.run(Action::Mail(MailAction::Invite {
            room: *id,
            account,
            wrapped,
        }))
    }

    /// Shuts somebody out and gives everybody who stays a fresh key.
    ///
    /// # Errors
    /// [`Error::Failed`] unless this account owns the room.
    pub fn remove(&mut self, id: &RoomId, member: &Address) -> Result<Confirmed, Error> {
        let account = member.on(self.trust().class())?.account;
        let room = self.room(id)?;
        let old = self.room_secret(id, room.generation)?;
        let next = old.next(&mut self.rng);
        let generation = room.generation.saturating_add(1);
        let staying: Vec<AccountId> = room
            .members
            .iter()
            .map(|member| member.account)
            .filter(|one| *one != account)
            .collect();
        let rekey = self.wrap_for(id, generation, &staying, &next)?;
        self.run(Action::Mail(MailAction::Remove {
            room: *id,
            account,
            rekey,
        }))
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`Error::Failed`] for its owner, who cannot.
    pub fn leave(&mut self, id: &RoomId) -> Result<Confirmed, Error> {
        self.run(Action::Mail(MailAction::Leave { room: *id }))
    }

    /// Posts to a room.
    ///
    /// # Errors
    /// [`Error::Failed`] with `stale_generation` when the key changed in between: post again.
    pub fn post(&mut self, id: &RoomId, text: &str) -> Result<Confirmed, Error> {
        let generation = self.room(id)?.generation;
        let secret = self.room_secret(id, generation)?;
        let me = self.account();
        let place = Place {
            room: id,
            generation,
            account: &me,
        };
        let sealed = seal_post(&mut self.rng, &secret, place, text)?;
        self.run(Action::Mail(MailAction::Post {
            room: *id,
            generation,
            sealed,
        }))
    }

    /// The posts from number `after` on, oldest first, at most `limit` of them, each proven. Posts from before this
    /// account came in are left out: the chain does not show them.
    ///
    /// # Errors
    /// [`Error::RoomUnknown`] when there is no such room for this account.
    pub fn read_room(&mut self, id: &RoomId, after: u64, limit: u64) -> Result<Vec<PostView>, Error> {
        let room = self.room(id)?;
        let numbers: Vec<u64> = (after..room.head.min(after.saturating_add(limit))).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<StateKey> = numbers
            .iter()
            .map(|number| MailKey::Post(*id, *number).into())
            .collect();
        let reading = self.read(&keys)?;
        let mut posts: Vec<(u64, Post)> = Vec::with_capacity(numbers.len());
        for (number, key) in numbers.into_iter().zip(keys) {
            if !reading.denied(&key)
                && let Some(post) = reading.get::<Post>(key)?
            {
                posts.push((number, post));
            }
        }
        let secrets = self.room_secrets(id, posts.iter().map(|(_, post)| post.generation).collect())?;
        let class = self.trust().class();
        let view = |(number, post): (u64, Post)| {
            let place = Place {
                room: id,
                generation: post.generation,
                account: &post.from,
            };
            let text = secrets
                .get(&post.generation)
                .and_then(|secret| open_post(secret, place, &post.sealed));
            let from = Address::new(class, post.from);
            PostView {
                number,
                from,
                height: post.height,
                time_ms: post.time_ms,
                text,
            }
        };
        Ok(posts.into_iter().map(view).collect())
    }

    /// This account's rooms, in the order of joining.
    ///
    /// # Errors
    /// When the chain or the node's answer does not verify.
    pub fn rooms(&mut self) -> Result<Vec<RoomView>, Error> {
        let key = StateKey::from(MailKey::RoomsOf(self.account()));
        let ids: Vec<RoomId> = self
            .read(std::slice::from_ref(&key))?
            .get(key)?
            .unwrap_or_default();
        ids.into_iter().map(|id| self.view_room(id)).collect()
    }

    fn view_room(&mut self, id: RoomId) -> Result<RoomView, Error> {
        let room = self.room(&id)?;
        let secret = self.room_secret(&id, room.generation).ok();
        let class = self.trust().class();
        Ok(RoomView {
            id,
            title: secret.and_then(|secret| open_title(&secret, &id, &room.title)),
            owner: Address::new(class, room.owner),
            members: room
                .members
                .iter()
                .map(|member| Address::new(class, member.account))
                .collect(),
            posts: room.head,
            generation: room.generation,
        })
    }

    /// A room of this account by its id or the beginning of it.
    ///
    /// # Errors
    /// [`Error::RoomUnknown`] when none or several begin so.
    pub fn find_room(&mut self, text: &str) -> Result<RoomId, Error> {
        let key = StateKey::from(MailKey::RoomsOf(self.account()));
        let ids: Vec<RoomId> = self
            .read(std::slice::from_ref(&key))?
            .get(key)?
            .unwrap_or_default();
        let wanted = text.to_ascii_lowercase();
        let mut fitting = ids
            .into_iter()
            .filter(|id| !wanted.is_empty() && id.to_string().starts_with(&wanted));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id),
            _ => Err(Error::RoomUnknown {
                room: text.chars().take(64).collect(),
            }),
        }
    }

    fn room(&mut self, id: &RoomId) -> Result<Room, Error> {
        let key = StateKey::from(MailKey::Room(*id));
        let unknown = || Error::RoomUnknown { room: id.to_string() };
        let reading = self.read(std::slice::from_ref(&key))?;
        if reading.denied(&key) {
            return Err(unknown());
        }
        reading.get(key)?.ok_or_else(unknown)
    }

    fn room_secret(&mut self, id: &RoomId, generation: u32) -> Result<RoomSecret, Error> {
        let missing = || Error::Letter {
            what: format!("the key of room {id}, generation {generation},"),
        };
        self.room_secrets(id, vec![generation])?
            .remove(&generation)
            .ok_or_else(missing)
    }

    /// The room's secrets of these generations, as far as this account has them.
    fn room_secrets(
        &mut self,
        id: &RoomId,
        mut generations: Vec<u32>,
    ) -> Result<BTreeMap<u32, RoomSecret>, Error> {
        generations.sort_unstable();
        generations.dedup();
        let me = self.account();
        let keys: Vec<StateKey> = generations
            .iter()
            .map(|generation| MailKey::RoomKey(*id, *generation, me).into())
            .collect();
        let mut secrets = BTreeMap::new();
        if keys.is_empty() {
            return Ok(secrets);
        }
        let reading = self.read(&keys)?;
        let chains = self.trust().chains();
        for (generation, key) in generations.into_iter().zip(keys) {
            let place = Place {
                room: id,
                generation,
                account: &me,
            };
            if let Some(wrapped) = reading.get::<Vec<u8>>(key)?
                && let Some(secret) = chains
                    .iter()
                    .find_map(|chain| open_room_secret(&self.mail, chain, place, &wrapped))
            {
                secrets.insert(generation, secret);
            }
        }
        Ok(secrets)
    }

    fn wrap_for(
        &mut self,
        id: &RoomId,
        generation: u32,
        accounts: &[AccountId],
        secret: &RoomSecret,
    ) -> Result<Vec<(AccountId, Vec<u8>)>, Error> {
        let me = self.account();
        let others: Vec<AccountId> = accounts
            .iter()
            .copied()
            .filter(|account| *account != me)
            .collect();
        let keys: BTreeMap<AccountId, _> = others.iter().copied().zip(self.mail_keys(&others)?).collect();
        let chain = self.chain();
        let mut wrapped = Vec::with_capacity(accounts.len());
        for account in accounts {
            let place = Place {
                room: id,
                generation,
                account,
            };
            // This wallet's own key need not be on the chain for it to read its own room.
            let key = keys.get(account).unwrap_or(self.mail.public());
            wrapped.push((
                *account,
                wrap_room_secret(&mut self.rng, key, &chain, place, secret)?,
            ));
        }
        Ok(wrapped)
    }
}
