//! The modules of the private state machine, and the trait that they share.
//!
//! A module is stateless: everything that it knows stands in the state under keys of its own. It may refuse at
//! any point of an action; the journal takes back what it wrote. It must not panic on what a call says.

pub mod mail;
pub mod names;
pub mod token;

use crate::{
    account::AccountId,
    receipt::FailureCode,
    state::{
        context::{Context, View},
        key::StateKey,
    },
};

/// One part of the private state machine.
pub trait Module {
    /// What a call can ask of it.
    type Action;
    /// The entries that it keeps.
    type Key: Into<StateKey>;

    /// Does `action` for `account`, whose signature, nonce and fee are settled.
    ///
    /// Gives what the receipt adds, at most [`MAX_RECEIPT_DETAIL`](crate::MAX_RECEIPT_DETAIL) bytes. A refusal
    /// is the sender's fault, costs the fee, and changes nothing else.
    fn execute(
        &self,
        context: &mut Context<'_>,
        account: &AccountId,
        action: &Self::Action,
    ) -> Result<Vec<u8>, FailureCode>;

    /// Whether `asker` may learn what stands at `key`, and whether anything does.
    fn may_read(&self, view: &View<'_>, asker: &AccountId, key: &Self::Key) -> bool;
}
