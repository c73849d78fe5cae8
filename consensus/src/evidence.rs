//! Proof that one validator signed two statements that no honest one signs both.

use crate::block::SignedHeader;
use crate::committee::Committee;
use crate::crypto::Scheme;
use crate::error::EvidenceError;
use crate::types::{Digest, Epoch};
use crate::vote::{Phase, SignedTimeout, Vote};
use borsh::{BorshDeserialize, BorshSerialize};

/// Two conflicting statements of one validator. Verifiable by anyone who knows the epoch's committee.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EquivocationProof {
    /// Two blocks proposed in one view.
    Proposals {
        /// The one seen first.
        first: Box<SignedHeader>,
        /// The other.
        second: Box<SignedHeader>,
    },
    /// Votes of one phase for two blocks of one view.
    Votes {
        /// The one counted.
        first: Vote,
        /// The other.
        second: Vote,
    },
    /// A finalize vote, and a timeout of that view or a later one which denies knowing the certificate that
    /// the finalize vote was given on.
    FinalizeAndTimeout {
        /// The vote.
        finalize: Vote,
        /// The timeout.
        timeout: SignedTimeout,
    },
}

/// True when no honest validator signs both (rules R7 and R9).
pub(crate) fn finalize_conflicts(finalize: &Vote, timeout: &SignedTimeout) -> bool {
    finalize.phase == Phase::Finalize && timeout.view >= finalize.view && timeout.high_view < finalize.view
}

impl EquivocationProof {
    /// The epoch in which it happened.
    pub fn epoch(&self) -> Epoch {
        match self {
            Self::Proposals { first, .. } => first.header.epoch,
            Self::Votes { first, .. } => first.epoch,
            Self::FinalizeAndTimeout { finalize, .. } => finalize.epoch,
        }
    }

    /// Checks the proof and answers the guilty validator's index.
    pub fn verify(
        &self,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<u16, EvidenceError> {
        let (voter, signed) = match self {
            Self::Proposals { first, second } => {
                for header in [&first.header, &second.header] {
                    if header.chain != *chain || header.epoch != committee.epoch {
                        return Err(EvidenceError::OtherChain);
                    }
                }
                if first.header.view != second.header.view || first.header == second.header {
                    return Err(EvidenceError::NoConflict);
                }
                let leader = committee.leader(first.header.view);
                (
                    leader,
                    [
                        (first.message(), first.signature),
                        (second.message(), second.signature),
                    ],
                )
            }
            Self::Votes { first, second } => {
                if first.epoch != committee.epoch || second.epoch != committee.epoch {
                    return Err(EvidenceError::OtherChain);
                }
                if first.voter != second.voter {
                    return Err(EvidenceError::OtherValidator);
                }
                let same = (first.block, first.height) == (second.block, second.height);
                if first.view != second.view || first.phase != second.phase || same {
                    return Err(EvidenceError::NoConflict);
                }
                let signed = [
                    (first.message(chain), first.signature),
                    (second.message(chain), second.signature),
                ];
                (first.voter, signed)
            }
            Self::FinalizeAndTimeout { finalize, timeout } => {
                if finalize.epoch != committee.epoch || timeout.epoch != committee.epoch {
                    return Err(EvidenceError::OtherChain);
                }
                if finalize.voter != timeout.voter {
                    return Err(EvidenceError::OtherValidator);
                }
                if !finalize_conflicts(finalize, timeout) {
                    return Err(EvidenceError::NoConflict);
                }
                let signed = [
                    (finalize.message(chain), finalize.signature),
                    (timeout.message(chain), timeout.signature),
                ];
                (finalize.voter, signed)
            }
        };
        let key = committee.key(voter).ok_or(EvidenceError::OtherValidator)?;
        if signed
            .iter()
            .all(|(message, signature)| scheme.verify(key, &message.0, signature))
        {
            Ok(voter)
        } else {
            Err(EvidenceError::Signature)
        }
    }
}
