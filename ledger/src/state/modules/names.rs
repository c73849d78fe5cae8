//! Human names for accounts: first come, first served, one name an account, readable by every account.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::AccountId,
    receipt::FailureCode,
    state::{
        context::{Context, View},
        key::NamesKey,
        modules::Module,
    },
};

/// Shortest name, in characters: shorter ones are too few to go round.
pub const MIN_ACCOUNT_NAME: usize = 3;
/// Longest name, in characters.
pub const MAX_ACCOUNT_NAME: usize = 32;

/// What a call can ask of the names module.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum NamesAction {
    /// Takes a free name for the caller, who has none yet.
    Claim {
        /// [`MIN_ACCOUNT_NAME`] to [`MAX_ACCOUNT_NAME`] characters of `a-z`, `0-9` and, within, `-`.
        name: String,
    },
    /// Gives the caller's name back.
    Release {
        /// The name that the caller holds.
        name: String,
    },
}

/// Whether a name may be claimed.
pub fn is_account_name(name: &str) -> bool {
    (MIN_ACCOUNT_NAME..=MAX_ACCOUNT_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The names module.
#[derive(Clone, Copy, Debug)]
pub struct Names;

impl Module for Names {
    type Action = NamesAction;
    type Key = NamesKey;

    fn execute(
        &self,
        context: &mut Context<'_>,
        account: &AccountId,
        action: &NamesAction,
    ) -> Result<Vec<u8>, FailureCode> {
        let (NamesAction::Claim { name } | NamesAction::Release { name }) = action;
        if !is_account_name(name) {
            return Err(FailureCode::NameInvalid);
        }
        let owner: Option<AccountId> = context.get(NamesKey::Owner(name.clone()));
        match (action, owner) {
            (NamesAction::Claim { .. }, Some(owner)) if owner != *account => Err(FailureCode::NameTaken),
            (NamesAction::Claim { .. }, _) if context.get::<String>(NamesKey::NameOf(*account)).is_some() => {
                Err(FailureCode::AlreadyNamed)
            }
            (NamesAction::Claim { .. }, _) => {
                context.put(NamesKey::Owner(name.clone()), account);
                context.put(NamesKey::NameOf(*account), name);
                Ok(Vec::new())
            }
            (NamesAction::Release { .. }, None) => Err(FailureCode::NoSuchName),
            (NamesAction::Release { .. }, Some(owner)) if owner != *account => Err(FailureCode::NotOwner),
            (NamesAction::Release { .. }, Some(_)) => {
                context.remove(NamesKey::Owner(name.clone()));
                context.remove(NamesKey::NameOf(*account));
                Ok(Vec::new())
            }
        }
    }

    fn may_read(&self, _: &View<'_>, _: &AccountId, _: &NamesKey) -> bool {
        true
    }
}
