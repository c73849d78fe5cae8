//! A call: what one account asks the private state machine to do.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, hash};

use crate::{
    account::{AccountId, AccountKey, AccountSignature},
    codec::encode,
    error::SignatureError,
    state::{MailAction, NamesAction, TokenAction},
};

/// What a call does: one variant a module. The tags are fixed; new modules are added at the end.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Balances and transfers.
    Token(TokenAction),
    /// Human names.
    Names(NamesAction),
    /// Messages and rooms.
    Mail(MailAction),
}

/// A signed request by one account. It exists in the clear only in wallets and TEEs.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Call {
    /// Who asks and pays.
    pub account: AccountId,
    /// The account's next nonce; from 0, without gaps.
    pub nonce: u64,
    /// The most the sender accepts to pay, in smallest units; the charge goes by bucket.
    pub fee: u64,
    /// What to do.
    pub action: Action,
    /// Over chain, account, nonce, fee and action.
    pub signature: AccountSignature,
}

impl Call {
    /// Makes and signs a call for the network `chain`. `aux` is fresh randomness for BIP-340.
    pub fn sign(
        chain: &Digest,
        key: &AccountKey,
        nonce: u64,
        fee: u64,
        action: Action,
        aux: [u8; 32],
    ) -> Self {
        let account = key.id();
        let message = signed_message(chain, &account, nonce, fee, &action);
        Self {
            account,
            nonce,
            fee,
            signature: key.sign(&message.0, aux),
            action,
        }
    }

    /// Checks the account's signature for the network `chain`.
    pub fn verify(&self, chain: &Digest) -> Result<(), SignatureError> {
        let message = signed_message(chain, &self.account, self.nonce, self.fee, &self.action);
        self.signature.verify(&self.account, &message.0)
    }
}

fn signed_message(chain: &Digest, account: &AccountId, nonce: u64, fee: u64, action: &Action) -> Digest {
    hash("call", &[&chain.0, &encode(&(account, nonce, fee, action))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{CHAIN, account, transfer};

    #[test]
    fn every_field_is_signed() {
        let good = Call::sign(&CHAIN, &account(1), 4, 10, transfer(2, 5), [0; 32]);
        assert_eq!(good.verify(&CHAIN), Ok(()));
        let refused = |call: Call| call.verify(&CHAIN) == Err(SignatureError::Invalid);
        assert!(refused(Call {
            nonce: 5,
            ..good.clone()
        }));
        assert!(refused(Call {
            fee: 11,
            ..good.clone()
        }));
        assert!(refused(Call {
            account: account(3).id(),
            ..good.clone()
        }));
        assert!(refused(Call {
            action: transfer(2, 6),
            ..good.clone()
        }));
        assert_eq!(good.verify(&Digest([9; 32])), Err(SignatureError::Invalid));
    }
}
