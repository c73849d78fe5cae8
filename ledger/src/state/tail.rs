//! The public rules for how an epoch ends: what each block may and must carry, from state alone.
//!
//! | rule | |
//! |---|---|
//! | T1 | a block follows the state: its height is the next, its epoch the current |
//! | T2 | `EndEpoch` stands first, in the first block whose time is due (epoch 0: in its first block), in no other, with the reason that made it due |
//! | T3 | from that block on no block names batches |
//! | T4 | `Contribute` stands only there, at most one a block: by the block's leader, who has a seat in the next set and has not contributed, to the next epoch, one share a seat |
//! | T5 | `CloseEpoch` stands last, exactly in the block that brings the last needed contribution |
//! | T6 | its record is the one that state and contributions give; the sealing key is any key here, and checked by those who hold the secrets |
//! | T7 | `header.next_epoch` is the record's digest, and absent in every other block |

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Epoch, Header, Height, Millis, Payload};
use thiserror::Error;

use crate::{
    dealing::{Contribution, contributions_needed, transcript},
    envelope::SUITE_XWING,
    epoch::{EpochReason, EpochRecord, ValidatorRecord},
    error::{CodecError, DealError},
    sealing::SealingPublic,
    state::public::PublicState,
    system::SystemTx,
};

/// The running end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tail {
    /// The block that ended the epoch.
    pub since: Height,
    /// Why it did.
    pub reason: EpochReason,
    /// The contributions so far, in ledger order.
    pub contributions: Vec<Contribution>,
}

/// A block that breaks a rule of the public lane: its leader's fault, and no vote for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SystemError {
    /// T1.
    #[error("block of height {have} where {expected} follows")]
    Height {
        /// The block's.
        have: Height,
        /// One above the state's.
        expected: Height,
    },
    /// T1.
    #[error("block of epoch {have} in epoch {expected}")]
    Epoch {
        /// The block's.
        have: Epoch,
        /// The state's.
        expected: Epoch,
    },
    /// A system transaction that does not decode.
    #[error("system transaction {index}: {source}")]
    Codec {
        /// Its place in the block.
        index: usize,
        /// What is wrong.
        source: CodecError,
    },
    /// T2, T4, T5: stands at the wrong place, or a second time.
    #[error("system transaction {index} is out of place")]
    Order {
        /// Its place in the block.
        index: usize,
    },
    /// T2.
    #[error("the epoch was to end by time {due_ms}, and the block of {time_ms} does not end it")]
    EndMissing {
        /// The block's time.
        time_ms: Millis,
        /// From when an end is due.
        due_ms: Millis,
    },
    /// T2.
    #[error("the epoch may end from time {due_ms}, and the block of {time_ms} ends it")]
    EndNotDue {
        /// The block's time.
        time_ms: Millis,
        /// From when an end is due.
        due_ms: Millis,
    },
    /// T2.
    #[error("the epoch is ending since height {since}")]
    EndTwice {
        /// The block that ended it.
        since: Height,
    },
    /// T2.
    #[error("the epoch ends for {have:?}, due for {expected:?}")]
    Reason {
        /// The reason given.
        have: EpochReason,
        /// The reason that made it due.
        expected: EpochReason,
    },
    /// T3.
    #[error("{have} batches in an ending epoch")]
    Batches {
        /// How many.
        have: usize,
    },
    /// T4, T5.
    #[error("system transaction {index} belongs to an epoch's end, and this epoch is not ending")]
    NotEnding {
        /// Its place in the block.
        index: usize,
    },
    /// T4.
    #[error("contribution by dealer {dealer}, the leader's seat in the next set is {seat:?}")]
    Dealer {
        /// Who the contribution says dealt it.
        dealer: u16,
        /// The leader's seat in the next set, if any.
        seat: Option<u16>,
    },
    /// T4.
    #[error("dealer {dealer} has contributed already")]
    DealtTwice {
        /// Who.
        dealer: u16,
    },
    /// T4.
    #[error("contribution to epoch {have}, the next is {expected}")]
    DealtEpoch {
        /// The contribution's.
        have: Epoch,
        /// The next one.
        expected: Epoch,
    },
    /// T4.
    #[error(transparent)]
    Shares(#[from] DealError),
    /// T5.
    #[error("the epoch closes with {have} contributions of {need}")]
    CloseEarly {
        /// Contributions including this block's.
        have: usize,
        /// Contributions needed.
        need: usize,
    },
    /// T5.
    #[error("all {need} contributions are in, and the block does not close the epoch")]
    CloseMissing {
        /// Contributions needed.
        need: usize,
    },
    /// T6.
    #[error("the next epoch's record has another {field}")]
    Record {
        /// The field that differs.
        field: &'static str,
    },
    /// T7.
    #[error("the header names next epoch {have:?}, expected {expected:?}")]
    NextEpoch {
        /// What the header says.
        have: Option<Digest>,
        /// What the payload gives.
        expected: Option<Digest>,
    },
}

/// What a block that keeps the rules changes.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) begin: Option<EpochReason>,
    pub(crate) contribution: Option<Contribution>,
    pub(crate) close: Option<EpochRecord>,
}

impl PublicState {
    /// Checks a block that follows this state against T1 to T7, as far as no secret is needed. `leader` is the
    /// proposer's index in the current set. Pure: the state of an uncommitted parent is [`Self::after`].
    pub fn check_system(&self, header: &Header, payload: &Payload, leader: u16) -> Result<(), SystemError> {
        self.judge(header, payload, leader).map(drop)
    }

    /// Why a block of `time_ms` that follows this state must end the epoch, if it must.
    pub fn end_due(&self, time_ms: Millis) -> Option<EpochReason> {
        let due = self.tail().is_none() && (self.current().epoch == 0 || time_ms >= self.due_ms());
        due.then(|| {
            if self.current().epoch == 0 {
                EpochReason::Genesis
            } else {
                EpochReason::Schedule
            }
        })
    }

    /// The seats of the next epoch: who is registered; who stays keeps the order, newcomers follow by name.
    pub fn next_validators(&self) -> Vec<ValidatorRecord> {
        let current = &self.current().validators;
        let staying = current.iter().filter_map(|seat| self.registration(&seat.name));
        let new = self
            .registrations()
            .filter(|one| current.iter().all(|seat| seat.name != one.name));
        staying.chain(new).map(ValidatorRecord::of).collect()
    }

    /// The seat in the next set from which the leader of a block in the tail still has to contribute.
    pub fn dealer(&self, leader: u16) -> Option<u16> {
        let seat = self.next_seat(leader)?;
        self.tail()
            .is_none_or(|tail| tail.contributions.iter().all(|one| one.dealer != seat))
            .then_some(seat)
    }

    /// Contributions that still lack before the epoch can close.
    pub fn contributions_missing(&self) -> usize {
        let have = self.tail().map_or(0, |tail| tail.contributions.len());
        contributions_needed(self.next_validators().len()).saturating_sub(have)
    }

    /// The next epoch's record, if the block that follows this state at `time_ms` brings `own` and that is the
    /// last contribution needed.
    pub fn next_record(
        &self,
        time_ms: Millis,
        own: &Contribution,
        sealing_key: &SealingPublic,
    ) -> Option<EpochRecord> {
        let reason = self.tail().map(|tail| tail.reason).or(self.end_due(time_ms))?;
        let before = self.tail().map_or(&[][..], |tail| &tail.contributions);
        let all = [before, std::slice::from_ref(own)].concat();
        (self.contributions_missing() == 1).then(|| self.following(time_ms, reason, &all, sealing_key))
    }

    pub(crate) fn judge(&self, header: &Header, payload: &Payload, leader: u16) -> Result<Step, SystemError> {
        let (expected, current) = (self.height() + 1, self.current());
        if header.height != expected {
            return Err(SystemError::Height {
                have: header.height,
                expected,
            });
        }
        if header.epoch != current.epoch {
            return Err(SystemError::Epoch {
                have: header.epoch,
                expected: current.epoch,
            });
        }
        let step = self.sort(payload)?;
        self.judge_end(header.time_ms, step.begin)?;
        if (self.tail().is_some() || step.begin.is_some()) && !payload.batches.is_empty() {
            return Err(SystemError::Batches {
                have: payload.batches.len(),
            });
        }
        if let Some(contribution) = &step.contribution {
            self.judge_contribution(contribution, leader)?;
        }
        self.judge_close(header, &step)?;
        let expected = step.close.as_ref().map(EpochRecord::digest);
        if header.next_epoch != expected {
            return Err(SystemError::NextEpoch {
                have: header.next_epoch,
                expected,
            });
        }
        Ok(step)
    }

    /// Decodes the block's transactions into their places.
    fn sort(&self, payload: &Payload) -> Result<Step, SystemError> {
        let mut step = Step::default();
        for (index, bytes) in payload.system.iter().enumerate() {
            let ending = self.tail().is_some() || step.begin.is_some();
            match SystemTx::decode(bytes).map_err(|source| SystemError::Codec { index, source })? {
                SystemTx::EndEpoch { reason } if index == 0 => step.begin = Some(reason),
                SystemTx::Contribute(_) | SystemTx::CloseEpoch(_) if !ending => {
                    return Err(SystemError::NotEnding { index });
                }
                SystemTx::Contribute(one) if step.contribution.is_none() && step.close.is_none() => {
                    step.contribution = Some(one);
                }
                SystemTx::CloseEpoch(record) if step.close.is_none() => step.close = Some(record),
                _ => return Err(SystemError::Order { index }),
            }
        }
        Ok(step)
    }

    fn judge_end(&self, time_ms: Millis, begin: Option<EpochReason>) -> Result<(), SystemError> {
        let due_ms = self.due_ms();
        match (self.tail(), self.end_due(time_ms), begin) {
            (Some(tail), _, Some(_)) => Err(SystemError::EndTwice { since: tail.since }),
            (None, Some(_), None) => Err(SystemError::EndMissing { time_ms, due_ms }),
            (None, None, Some(_)) => Err(SystemError::EndNotDue { time_ms, due_ms }),
            (None, Some(expected), Some(have)) if have != expected => {
                Err(SystemError::Reason { have, expected })
            }
            _ => Ok(()),
        }
    }

    fn judge_contribution(&self, contribution: &Contribution, leader: u16) -> Result<(), SystemError> {
        let expected = self.current().epoch + 1;
        if contribution.epoch != expected {
            return Err(SystemError::DealtEpoch {
                have: contribution.epoch,
                expected,
            });
        }
        let (dealer, seat) = (contribution.dealer, self.next_seat(leader));
        if seat != Some(dealer) {
            return Err(SystemError::Dealer { dealer, seat });
        }
        if self.dealer(leader).is_none() {
            return Err(SystemError::DealtTwice { dealer });
        }
        Ok(contribution.check_shape(self.next_validators().len())?)
    }

    fn judge_close(&self, header: &Header, step: &Step) -> Result<(), SystemError> {
        let need = contributions_needed(self.next_validators().len());
        let before = self.tail().map_or(&[][..], |tail| &tail.contributions);
        let have = before.len() + usize::from(step.contribution.is_some());
        let record = match &step.close {
            None if have >= need => return Err(SystemError::CloseMissing { need }),
            None => return Ok(()),
            Some(_) if have < need => return Err(SystemError::CloseEarly { have, need }),
            Some(record) => record,
        };
        let all: Vec<Contribution> = before.iter().chain(&step.contribution).cloned().collect();
        let reason = self
            .tail()
            .map(|tail| tail.reason)
            .or(step.begin)
            .unwrap_or(EpochReason::Schedule);
        let sealing_key = record
            .sealing_key
            .clone()
            .ok_or(SystemError::Record { field: "sealing key" })?;
        sealing_key
            .check()
            .map_err(|_| SystemError::Record { field: "sealing key" })?;
        match difference(
            record,
            &self.following(header.time_ms, reason, &all, &sealing_key),
        ) {
            Some(field) => Err(SystemError::Record { field }),
            None => Ok(()),
        }
    }

    /// The record of the epoch that begins after the block of `time_ms` that follows this state.
    fn following(
        &self,
        time_ms: Millis,
        reason: EpochReason,
        contributions: &[Contribution],
        sealing_key: &SealingPublic,
    ) -> EpochRecord {
        let current = self.current();
        EpochRecord {
            epoch: current.epoch + 1,
            start_height: self.height() + 2,
            start_ms: time_ms,
            validators: self.next_validators(),
            sealing_key: Some(sealing_key.clone()),
            suite: SUITE_XWING,
            policy_version: current.policy_version,
            policy: current.policy,
            reason,
            transcript: transcript(contributions),
        }
    }

    fn next_seat(&self, leader: u16) -> Option<u16> {
        let key = self.current().validators.get(usize::from(leader))?.consensus_key;
        let seat = self
            .next_validators()
            .iter()
            .position(|seat| seat.consensus_key == key)?;
        u16::try_from(seat).ok()
    }

    /// From when on a block ends the epoch.
    fn due_ms(&self) -> Millis {
        match self.current().epoch {
            0 => 0,
            _ => self.current().start_ms.saturating_add(self.params().epoch_ms_max),
        }
    }
}

/// The first field in which two records differ.
fn difference(have: &EpochRecord, expected: &EpochRecord) -> Option<&'static str> {
    let checks = [
        ("epoch", have.epoch == expected.epoch),
        ("start height", have.start_height == expected.start_height),
        ("start time", have.start_ms == expected.start_ms),
        ("validators", have.validators == expected.validators),
        ("suite", have.suite == expected.suite),
        ("policy version", have.policy_version == expected.policy_version),
        ("policy", have.policy == expected.policy),
        ("reason", have.reason == expected.reason),
        ("transcript", have.transcript == expected.transcript),
    ];
    let named = checks
        .into_iter()
        .find(|(_, equal)| !equal)
        .map(|(field, _)| field);
    named.or((have != expected).then_some("content"))
}
