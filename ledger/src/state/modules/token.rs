//! Balances and transfers.
//!
//! An account without an entry has nothing; a balance that reaches zero loses its entry. Together with the
//! collected fees the balances always sum up to what genesis gave out.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    account::AccountId,
    amount::Amount,
    receipt::FailureCode,
    state::{
        context::{Context, View},
        key::TokenKey,
        modules::Module,
    },
};

/// What a call can ask of the token module.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum TokenAction {
    /// Moves an amount from the caller to another account.
    Transfer {
        /// Who gets it.
        to: AccountId,
        /// How much, in smallest units; above zero.
        amount: Amount,
    },
}

/// The token module.
#[derive(Clone, Copy, Debug)]
pub struct Token;

impl Module for Token {
    type Action = TokenAction;
    type Key = TokenKey;

    fn execute(
        &self,
        context: &mut Context<'_>,
        account: &AccountId,
        action: &TokenAction,
    ) -> Result<Vec<u8>, FailureCode> {
        let TokenAction::Transfer { to, amount } = action;
        if *amount == 0 {
            return Err(FailureCode::ZeroAmount);
        }
        if to == account {
            return Err(FailureCode::SelfTransfer);
        }
        debit(context, account, *amount).ok_or(FailureCode::InsufficientBalance)?;
        credit(context, TokenKey::Balance(*to), *amount).ok_or(FailureCode::Overflow)?;
        Ok(Vec::new())
    }

    fn may_read(&self, _: &View<'_>, asker: &AccountId, key: &TokenKey) -> bool {
        match key {
            TokenKey::Balance(account) => account == asker,
            TokenKey::Fees => true, // buckets are public, and so is what they cost
        }
    }
}

/// Takes `amount` from `account`; `None`, and nothing written, when it has less.
pub(crate) fn debit(context: &mut Context<'_>, account: &AccountId, amount: Amount) -> Option<()> {
    let key = TokenKey::Balance(*account);
    let balance: Amount = context.get(key.clone()).unwrap_or(0);
    match balance.checked_sub(amount)? {
        0 => context.remove(key),
        left => context.put(key, &left),
    }
    Some(())
}

/// Adds `amount` to an entry; `None`, and nothing written, when the sum does not fit.
pub(crate) fn credit(context: &mut Context<'_>, key: TokenKey, amount: Amount) -> Option<()> {
    let sum = context
        .get::<Amount>(key.clone())
        .unwrap_or(0)
        .checked_add(amount)?;
    if sum > 0 {
        context.put(key, &sum);
    }
    Some(())
}
