//! The public lane: system transactions, readable by all, executed by observers too.
//!
//! This version has those that end an epoch and key the next. Registering, leaving, policy changes and
//! equivocation proofs come at the end of the enum, so that the tags below stay.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    codec::{decode, encode},
    dealing::Contribution,
    epoch::{EpochReason, EpochRecord},
    error::CodecError,
    limits::MAX_SYSTEM_TX_BYTES,
};

/// One system transaction. The rules for its place in a block are the public state's.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum SystemTx {
    /// The epoch ends: no envelopes from this block on, contributions follow.
    EndEpoch {
        /// Why.
        reason: EpochReason,
    },
    /// A dealer's part of the next secret.
    Contribute(Contribution),
    /// The last needed contribution is in: the next epoch, whole.
    CloseEpoch(EpochRecord),
}

impl SystemTx {
    /// The bytes as `Payload::system` holds them.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes one transaction of at most [`MAX_SYSTEM_TX_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_SYSTEM_TX_BYTES)
    }
}
