//! Letters: sealed to their reader inside an envelope that is sealed to the network.

use tacit_ledger::{AccountId, Action, Letter, MailAction, MailKey, SealingPublic, StateKey, TokenKey};

use crate::{
    address::Address,
    error::Error,
    letter::{Parties, open_letter, seal_letter},
    session::{Confirmed, Submitted, Wallet},
};

/// A letter as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its number in the mailbox, from 0.
    pub number: u64,
    /// Who sent it: the chain checked the signature.
    pub from: Address,
    /// Height of its block.
    pub height: u64,
    /// Time of its block, in milliseconds.
    pub time_ms: u64,
    /// The text; `None` when it does not open with this wallet's key.
    pub text: Option<String>,
}

impl Wallet {
    /// Publishes this wallet's mail key if the chain does not have it yet and the account can pay for that; without
    /// it nobody can write to this account. Gives the receipt if it had to, and `None` if nothing was to do.
    ///
    /// # Errors
    /// As [`Wallet::submit`] and [`Wallet::wait`].
    pub fn prepare_mail(&mut self) -> Result<Option<Confirmed>, Error> {
        let key = StateKey::from(MailKey::SealingKey(self.account()));
        let balance = StateKey::from(TokenKey::Balance(self.account()));
        let reading = self.read(&[key.clone(), balance.clone()])?;
        let published: Option<SealingPublic> = reading.get(key)?;
        if published.as_ref() == Some(self.mail.public()) {
            return Ok(None);
        }
        let action = Action::Mail(MailAction::PublishKey {
            key: self.mail.public().clone(),
        });
        let (fee, _) = self.charge(&action)?;
        if reading.get::<u128>(balance)?.unwrap_or(0) < u128::from(fee) {
            return Ok(None);
        }
        self.run(action).map(Some)
    }

    /// The mail keys of accounts, proven, in their order.
    pub(crate) fn mail_keys(&mut self, accounts: &[AccountId]) -> Result<Vec<SealingPublic>, Error> {
        let keys: Vec<StateKey> = accounts
            .iter()
            .map(|account| MailKey::SealingKey(*account).into())
            .collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let reading = self.read(&keys)?;
        let class = self.trust().class();
        let key_of = |(account, key): (&AccountId, StateKey)| {
            let missing = || Error::NoMailKey {
                account: Address::new(class, *account).to_string(),
            };
            reading.get::<SealingPublic>(key)?.ok_or_else(missing)
        };
        accounts.iter().zip(keys).map(key_of).collect()
    }

    /// Sends a letter on its way.
    ///
    /// # Errors
    /// [`Error::NoMailKey`] when the reader has published none; as [`Wallet::submit`].
    pub fn submit_message(&mut self, to: &Address, text: &str) -> Result<Submitted, Error> {
        let to = to.on(self.trust().class())?.account;
        let reader = self.mail_keys(&[to])?.remove(0);
        let (chain, from) = (self.chain(), self.account());
        let parties = Parties {
            chain: &chain,
            from: &from,
            to: &to,
        };
        let sealed = seal_letter(&mut self.rng, &reader, &parties, text)?;
        self.submit(Action::Mail(MailAction::Send { to, sealed }))
    }

    /// Sends a letter and waits for the verified receipt.
    ///
    /// # Errors
    /// As [`Wallet::submit_message`] and [`Wallet::wait`].
    pub fn send_message(&mut self, to: &Address, text: &str) -> Result<Confirmed, Error> {
        let mut wish = self.submit_message(to, text)?;
        self.wait(&mut wish)
    }

    /// The letters from number `after` on, oldest first, at most `limit` of them, each proven.
    ///
    /// # Errors
    /// When the chain or the node's answer does not verify. A letter that does not open is no error: it has no text.
    pub fn inbox(&mut self, after: u64, limit: u64) -> Result<Vec<Received>, Error> {
        let me = self.account();
        let key = StateKey::from(MailKey::Head(me));
        let head: u64 = self.read(std::slice::from_ref(&key))?.get(key)?.unwrap_or(0);
        let numbers: Vec<u64> = (after..head.min(after.saturating_add(limit))).collect();
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<StateKey> = numbers
            .iter()
            .map(|number| MailKey::Letter(me, *number).into())
            .collect();
        let reading = self.read(&keys)?;
        let (chains, class) = (self.trust().chains(), self.trust().class());
        let mut letters = Vec::with_capacity(numbers.len());
        for (number, key) in numbers.into_iter().zip(keys) {
            let Some(letter) = reading.get::<Letter>(key)? else {
                continue;
            };
            let parties = |chain| Parties {
                chain,
                from: &letter.from,
                to: &me,
            };
            let opened = |chain| open_letter(&self.mail, &parties(chain), &letter.sealed);
            letters.push(Received {
                number,
                from: Address::new(class, letter.from),
                height: letter.height,
                time_ms: letter.time_ms,
                text: chains.iter().find_map(opened),
            });
        }
        Ok(letters)
    }
}
