//! Money and names.

use tacit_ledger::{
    AccountId, Action, Amount, NamesAction, NamesKey, StateKey, TokenAction, TokenKey, format_amount,
    parse_amount,
};

use crate::{
    address::Address,
    error::Error,
    session::{Confirmed, Submitted, Wallet},
};

/// A proven balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// In smallest units.
    pub amount: Amount,
    /// The height at which it is proven.
    pub height: u64,
}

/// Reads a positive decimal amount.
///
/// # Errors
/// [`Error::Amount`] that says what is wrong.
pub fn amount(text: &str) -> Result<Amount, Error> {
    let refuse = |reason: String| Error::Amount {
        text: text.chars().take(64).collect(),
        reason,
    };
    match parse_amount(text) {
        Ok(0) => Err(refuse("zero moves nothing".to_owned())),
        Ok(amount) => Ok(amount),
        Err(error) => Err(refuse(error.to_string())),
    }
}

impl Wallet {
    /// The proven balance.
    ///
    /// # Errors
    /// When the chain or the node's answer does not verify.
    pub fn balance(&mut self) -> Result<Balance, Error> {
        let key = StateKey::from(TokenKey::Balance(self.account()));
        let reading = self.read(std::slice::from_ref(&key))?;
        Ok(Balance {
            amount: reading.get(key)?.unwrap_or(0),
            height: reading.height,
        })
    }

    /// Sends a transfer on its way.
    ///
    /// # Errors
    /// [`Error::Insufficient`] when the proven balance does not cover amount and fee; as [`Wallet::submit`].
    pub fn submit_transfer(&mut self, to: &Address, amount: Amount) -> Result<Submitted, Error> {
        let to = to.on(self.trust().class())?.account;
        let action = Action::Token(TokenAction::Transfer { to, amount });
        let (fee, _) = self.charge(&action)?;
        let have = self.balance()?.amount;
        let need = amount.saturating_add(fee.into());
        if have < need {
            return Err(Error::Insufficient {
                have: format_amount(have),
                need: format_amount(need),
            });
        }
        self.submit(action)
    }

    /// Transfers money and waits for the verified receipt.
    ///
    /// # Errors
    /// As [`Wallet::submit_transfer`] and [`Wallet::wait`].
    pub fn transfer(&mut self, to: &Address, amount: Amount) -> Result<Confirmed, Error> {
        let mut wish = self.submit_transfer(to, amount)?;
        self.wait(&mut wish)
    }

    /// Claims a name for this account and waits for the verified receipt.
    ///
    /// # Errors
    /// [`Error::Failed`] when it is taken or not a name.
    pub fn claim_name(&mut self, name: &str) -> Result<Confirmed, Error> {
        self.run(Action::Names(NamesAction::Claim {
            name: name.to_owned(),
        }))
    }

    /// Whose name it is, proven.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] when it is proven that nobody owns it.
    pub fn resolve_name(&mut self, name: &str) -> Result<Address, Error> {
        let key = StateKey::from(NamesKey::Owner(name.to_owned()));
        let owner: Option<AccountId> = self.read(std::slice::from_ref(&key))?.get(key)?;
        let account = owner.ok_or_else(|| Error::NameUnknown {
            name: name.to_owned(),
        })?;
        Ok(Address::new(self.trust().class(), account))
    }
}
