//! One envelope's effect: nonce, fee, action, receipt.
//!
//! | step | refused as | charged |
//! |---|---|---|
//! | the envelope opens | no receipt that anybody could open; public bytes instead | no |
//! | the nonce is the account's next | `BadNonce` | no |
//! | the charge for the bucket is within the fee offered | `FeeTooLow` | no |
//! | the balance covers the charge | `CannotPay` | no |
//! | charge and nonce are written; the action runs | the module's code | yes |

use std::sync::Arc;

use tacit_consensus::Digest;

use crate::{
    account::AccountId,
    call::{Action, Call},
    receipt::{FailureCode, Outcome, Receipt, SealedReceipt},
    sealing::OpenedEnvelope,
    state::{
        context::Context,
        key::{StateKey, TokenKey},
        modules::{
            Module,
            mail::Mail,
            names::Names,
            token::{Token, credit, debit},
        },
    },
};

/// An ordered envelope as a TEE holds it.
#[derive(Clone)]
pub enum Executable {
    /// It opened, and its call is signed by its account.
    Opened(Arc<OpenedEnvelope>),
    /// It did not open; its id.
    Unopened(Digest),
}

/// The charge for an envelope of `size_class` bytes, in smallest units.
pub fn charge(size_class: u32, fee_per_512: u64) -> u64 {
    u64::from(size_class.div_ceil(512)).saturating_mul(fee_per_512)
}

/// Executes one envelope and seals its receipt.
pub(crate) fn execute(context: &mut Context<'_>, index: u32, item: &Executable) -> (Digest, SealedReceipt) {
    let envelope = match item {
        Executable::Unopened(id) => return (*id, SealedReceipt::unopened(id)),
        Executable::Opened(envelope) => envelope,
    };
    let fee = charge(envelope.size_class, context.block().fee_per_512);
    let (fee, outcome, detail) = match admit(context, &envelope.call, fee) {
        Err(code) => (0, Outcome::Failed(code), Vec::new()),
        Ok(()) => {
            let mark = context.mark();
            match act(context, &envelope.call.account, &envelope.call.action) {
                Ok(detail) => (fee, Outcome::Applied, detail),
                Err(code) => {
                    context.rollback(mark);
                    (fee, Outcome::Failed(code), Vec::new())
                }
            }
        }
    };
    let height = context.block().height;
    let receipt = Receipt {
        envelope: envelope.id,
        height,
        index,
        fee,
        outcome,
        detail,
    };
    (envelope.id, SealedReceipt::seal(envelope.receipt_key(), &receipt))
}

/// Checks nonce and fee, and settles both; nothing is written on a refusal.
fn admit(context: &mut Context<'_>, call: &Call, fee: u64) -> Result<(), FailureCode> {
    let nonce: u64 = context.get(StateKey::Nonce(call.account)).unwrap_or(0);
    if call.nonce != nonce {
        return Err(FailureCode::BadNonce);
    }
    let next = nonce.checked_add(1).ok_or(FailureCode::BadNonce)?;
    if fee > call.fee {
        return Err(FailureCode::FeeTooLow);
    }
    debit(context, &call.account, fee.into()).ok_or(FailureCode::CannotPay)?;
    credit(context, TokenKey::Fees, fee.into()).expect("the sum of all money fits: genesis was checked");
    context.put(StateKey::Nonce(call.account), &next);
    Ok(())
}

fn act(context: &mut Context<'_>, account: &AccountId, action: &Action) -> Result<Vec<u8>, FailureCode> {
    match action {
        Action::Token(action) => Token.execute(context, account, action),
        Action::Names(action) => Names.execute(context, account, action),
        Action::Mail(action) => Mail.execute(context, account, action),
    }
}
