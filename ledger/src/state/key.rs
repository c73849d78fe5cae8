//! Keys of the private state, their bytes, and where each stands in the tree.
//!
//! ```text
//! bytes     = borsh of StateKey
//! tree key  = H("private scope", scope)[..8] ‖ H("private key", bytes)[..24]
//! ```
//! The scope is who may ask: an account, a room, or everybody. Keys of one scope stand side by side, so that a
//! proof of absence, which may name the one leaf nearest to it, names a leaf that its asker may read anyway;
//! only at the border of a scope that holds a single entry can it be another's (`docs/storage.md`).

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, hash};

use crate::{account::AccountId, codec::encode};

/// A room's identity: the hash of its first owner and a salt of the owner's choice.
pub type RoomId = Digest;

/// The id of the room that `owner` creates with `salt`.
pub fn room_id(owner: &AccountId, salt: &[u8; 16]) -> RoomId {
    hash("room", &[&owner.0, salt])
}

/// One entry of the private state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum StateKey {
    /// Next nonce of an account: `u64`; absent is 0.
    Nonce(AccountId),
    /// An entry of the token module.
    Token(TokenKey),
    /// An entry of the names module.
    Names(NamesKey),
    /// An entry of the mail module.
    Mail(MailKey),
}

/// Entries of the token module; values are [`Amount`](crate::Amount)s, absent is 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum TokenKey {
    /// What an account has.
    Balance(AccountId),
    /// What was collected in fees.
    Fees,
}

/// Entries of the names module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum NamesKey {
    /// Who holds a name: [`AccountId`].
    Owner(String),
    /// The name that an account holds: `String`.
    NameOf(AccountId),
}

/// Entries of the mail module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum MailKey {
    /// To what others seal for an account: [`SealingPublic`](crate::SealingPublic).
    SealingKey(AccountId),
    /// Number of letters that an account ever got: `u64`; absent is 0.
    Head(AccountId),
    /// A letter by its number, from 0: [`Letter`](crate::Letter).
    Letter(AccountId, u64),
    /// A room: [`Room`](crate::Room).
    Room(RoomId),
    /// A room's key of one generation, wrapped for one member: `Vec<u8>`.
    RoomKey(RoomId, u32, AccountId),
    /// A post by its number, from 0: [`Post`](crate::Post).
    Post(RoomId, u64),
    /// The rooms of an account, in the order of joining: `Vec<RoomId>`.
    RoomsOf(AccountId),
}

impl StateKey {
    /// The bytes under which the entry is kept.
    pub fn bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Where the entry stands in the tree.
    pub fn tree_key(&self) -> [u8; 32] {
        let scope = match self.scope() {
            Scope::Everybody => hash("private scope", &[]),
            Scope::Account(account) => hash("private scope", &[b"account", &account.0]),
            Scope::Room(room) => hash("private scope", &[b"room", &room.0]),
        };
        let mut place = hash("private key", &[&self.bytes()]).0;
        let (front, _) = place.split_at_mut(8);
        front.copy_from_slice(&scope.0[..8]);
        place
    }

    fn scope(&self) -> Scope<'_> {
        match self {
            Self::Nonce(account)
            | Self::Token(TokenKey::Balance(account))
            | Self::Mail(
                MailKey::Head(account)
                | MailKey::Letter(account, _)
                | MailKey::RoomKey(_, _, account)
                | MailKey::RoomsOf(account),
            ) => Scope::Account(account),
            Self::Mail(MailKey::Room(room) | MailKey::Post(room, _)) => Scope::Room(room),
            Self::Token(TokenKey::Fees) | Self::Names(_) | Self::Mail(MailKey::SealingKey(_)) => {
                Scope::Everybody
            }
        }
    }
}

/// Who may ask for an entry, as far as the key alone tells.
enum Scope<'a> {
    Everybody,
    Account(&'a AccountId),
    Room(&'a RoomId),
}

impl From<TokenKey> for StateKey {
    fn from(key: TokenKey) -> Self {
        Self::Token(key)
    }
}

impl From<NamesKey> for StateKey {
    fn from(key: NamesKey) -> Self {
        Self::Names(key)
    }
}

impl From<MailKey> for StateKey {
    fn from(key: MailKey) -> Self {
        Self::Mail(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_one_account_stand_together() {
        let (a, b) = (AccountId([1; 32]), AccountId([2; 32]));
        let place = |key: StateKey| key.tree_key();
        let balance = place(TokenKey::Balance(a).into());
        let letter = place(MailKey::Letter(a, 4).into());
        assert_eq!(balance[..8], letter[..8]);
        assert_ne!(balance[8..], letter[8..]);
        assert_ne!(balance[..8], place(TokenKey::Balance(b).into())[..8]);
        assert_ne!(balance[..8], place(NamesKey::NameOf(a).into())[..8]);
    }
}
