//! The public rules for what each block may and must carry, from state alone: how an epoch ends, and where ordinary
//! transactions stand.
//!
//! | rule | |
//! |---|---|
//! | T1 | a block follows the state: its height is the next, its epoch the current |
//! | T2 | `EndEpoch` stands first, in the first block for which an end is due, in no other, with the reason that made it due: epoch 0 ends in its first block; then the first that holds of: machines were suspended in this epoch, an adopted policy's time has come, the epoch has lasted, a kept set can be replaced, the epoch has lasted `epoch_ms_min` and somebody comes or goes |
//! | T3 | from that block on no block names batches |
//! | T4 | `Contribute` stands only there, at most one a block: by the block's leader, who has a seat in the next set and has not contributed, to the next epoch, one share a seat; the last needed one only in a block whose header states execution up to the block before `EndEpoch` or later, so that it certifies the private state with which the next epoch begins |
//! | T5 | `CloseEpoch` stands last, exactly in the block that brings the last needed contribution |
//! | T6 | its record is the one that contributions and the decision of the block with `EndEpoch` (`seats.rs`) give; sealing key and wrapped keys may be any here, and are checked by those who hold the secrets |
//! | T7 | `header.next_epoch` is the record's digest, and absent in every other block |
//! | S1 | ordinary transactions stand only in blocks of an epoch that is not ending, not beside `EndEpoch` |
//! | S2 | at most 128 of them and 384 KiB in a block, 128 KiB each, one proposal |
//! | S3 | each is valid on the state that those before it leave; `registry.rs`, `ballot.rs` and `members.rs` have S4 to S11 |

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Epoch, Header, Height, Millis, Payload};
use thiserror::Error;

use crate::{
    dealing::{Contribution, EpochKeys, WRAPPED_STATE_KEYS_BYTES, contributions_needed, transcript},
    envelope::SUITE_XWING,
    epoch::{EpochReason, EpochRecord, ValidatorRecord},
    error::{CodecError, DealError},
    limits::{MAX_ORDINARY_BYTES, MAX_ORDINARY_TX_BYTES, MAX_ORDINARY_TXS, MAX_PROPOSALS_PER_BLOCK},
    refusal::SystemRefusal,
    state::{public::PublicState, registry::Registry, seats::Decision},
    system::SystemTx,
};

/// The running end of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tail {
    /// The block that ended the epoch.
    pub since: Height,
    /// Why it did.
    pub reason: EpochReason,
    /// Who sits in the next epoch, under which policy.
    pub decision: Decision,
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
    /// T4: the header does not certify the private state with which the next epoch would begin.
    #[error("the last contribution stands in a block that states execution at {have}, {need} is needed")]
    DealtEarly {
        /// The height whose execution the header states.
        have: Height,
        /// The height before the block that ended the epoch.
        need: Height,
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
    /// S1 to S11.
    #[error("system transaction {index}: {source} [{}]", source.code())]
    Refused {
        /// Its place in the block.
        index: usize,
        /// Why.
        source: Box<SystemRefusal>,
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
    pub(crate) begin: Option<(EpochReason, Arc<Decision>)>,
    pub(crate) contribution: Option<Contribution>,
    pub(crate) close: Option<EpochRecord>,
    /// What the block's ordinary transactions lead to, if it has any.
    pub(crate) registry: Option<Registry>,
}

/// A block's transactions in their places.
#[derive(Default)]
struct Sorted {
    begin: Option<EpochReason>,
    contribution: Option<Contribution>,
    close: Option<EpochRecord>,
    ordinary: Vec<(usize, SystemTx)>,
}

/// How much room a block has left for ordinary transactions: S2.
#[derive(Default)]
struct Room {
    txs: usize,
    bytes: usize,
    proposals: usize,
}

impl Room {
    /// Takes one in, of `bytes` encoded bytes.
    fn take(&mut self, tx: &SystemTx, bytes: usize) -> Result<(), SystemRefusal> {
        if bytes > MAX_ORDINARY_TX_BYTES {
            return Err(SystemRefusal::TooLarge {
                have: bytes,
                max: MAX_ORDINARY_TX_BYTES,
            });
        }
        let proposals = self.proposals + usize::from(matches!(tx, SystemTx::Propose(_)));
        let full = self.txs >= MAX_ORDINARY_TXS
            || self.bytes + bytes > MAX_ORDINARY_BYTES
            || proposals > MAX_PROPOSALS_PER_BLOCK;
        if full {
            return Err(SystemRefusal::BlockFull {
                max: MAX_ORDINARY_TXS,
                max_bytes: MAX_ORDINARY_BYTES,
                proposals: MAX_PROPOSALS_PER_BLOCK,
            });
        }
        *self = Self {
            txs: self.txs + 1,
            bytes: self.bytes + bytes,
            proposals,
        };
        Ok(())
    }
}

impl PublicState {
    /// Checks a block that follows this state against T1 to T7 and S1 to S11, as far as no secret is needed. `leader` is
    /// the proposer's index in the current set. Pure: the state of an uncommitted parent is [`Self::after`].
    pub fn check_system(&self, header: &Header, payload: &Payload, leader: u16) -> Result<(), SystemError> {
        self.judge(header, payload, leader).map(drop)
    }

    /// Whether a block that follows this state at `time_ms` may carry `tx`, an ordinary transaction: for a pool, by its
    /// head. A tail refuses all, and they count again after it.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check_ordinary(&self, tx: &SystemTx, time_ms: Millis) -> Result<(), SystemRefusal> {
        self.select([tx], time_ms).pop().unwrap_or(Ok(()))
    }

    /// Tries ordinary transactions one after the other, each on the state that the good ones before it leave, and says
    /// of each whether a block that follows this state at `time_ms` may carry it. Those that may, in this order, are
    /// what a leader includes.
    pub fn select<'a>(
        &self,
        candidates: impl IntoIterator<Item = &'a SystemTx>,
        time_ms: Millis,
    ) -> Vec<Result<(), SystemRefusal>> {
        let ending = self.is_ending() || self.end_due(time_ms).is_some();
        let (mut registry, scene, mut room) = (self.registry.clone(), self.scene(time_ms), Room::default());
        let try_one = |tx: &SystemTx| {
            if !tx.is_ordinary() {
                return Err(SystemRefusal::NotOrdinary { kind: tx.kind() });
            }
            if ending {
                return Err(SystemRefusal::Ending);
            }
            let mut left = Room { ..room };
            left.take(tx, tx.encode().len())?;
            registry.play(tx, &scene)?;
            room = left;
            Ok(())
        };
        candidates.into_iter().map(try_one).collect()
    }

    /// Why a block of `time_ms` that follows this state must end the epoch, if it must.
    pub fn end_due(&self, time_ms: Millis) -> Option<EpochReason> {
        if self.is_ending() {
            return None;
        }
        let epoch = self.current().epoch;
        let registry = &self.registry;
        let reasons = [
            (EpochReason::Genesis, epoch == 0),
            (
                EpochReason::Suspension,
                registry.suspensions.values().any(|since| since.epoch == epoch),
            ),
            (
                EpochReason::Policy,
                registry.due(time_ms).policy.version != self.current().policy_version,
            ),
            (EpochReason::Schedule, time_ms >= self.scheduled_ms()),
            (EpochReason::Recovery, registry.recovery),
            (
                EpochReason::Membership,
                registry.membership && time_ms >= self.membership_ms(),
            ),
        ];
        reasons
            .into_iter()
            .find_map(|(reason, due)| due.then_some(reason))
    }

    /// From which block time on the epoch is due to end, as far as this state knows; 0 where it is due already.
    pub fn end_due_ms(&self) -> Millis {
        if self.end_due(0).is_some() {
            return 0;
        }
        let policies = self.policies_pending().map(|policy| policy.active_from_ms);
        let membership = self.registry.membership.then(|| self.membership_ms());
        policies.chain(membership).fold(self.scheduled_ms(), Millis::min)
    }

    /// The seats of the next epoch, if the block that follows this state at `time_ms` is of its end.
    pub fn next_validators(&self, time_ms: Millis) -> Vec<ValidatorRecord> {
        self.decision(time_ms).validators.clone()
    }

    /// The seat in the next set from which the leader of a block of `time_ms` in the tail still has to contribute.
    pub fn dealer(&self, leader: u16, time_ms: Millis) -> Option<u16> {
        let seat = self.next_seat(leader, &self.decision(time_ms))?;
        self.tail()
            .is_none_or(|tail| tail.contributions.iter().all(|one| one.dealer != seat))
            .then_some(seat)
    }

    /// Contributions that still lack before the epoch can close, with a block of `time_ms` next.
    pub fn contributions_missing(&self, time_ms: Millis) -> usize {
        let have = self.tail().map_or(0, |tail| tail.contributions.len());
        contributions_needed(self.decision(time_ms).validators.len()).saturating_sub(have)
    }

    /// T4: whether a block that follows this state and states execution at height `executed` may bring the last needed
    /// contribution. No block of a tail changes the private state, so that header certifies it as of the closing block.
    pub fn may_close(&self, executed: Height) -> bool {
        executed >= self.last_full()
    }

    /// The newest height that may have changed the private state, if the next block is of the tail.
    fn last_full(&self) -> Height {
        self.tail()
            .map_or(self.height(), |tail| tail.since.saturating_sub(1))
    }

    /// The next epoch's record, if the block that follows this state at `time_ms` brings `own` and that is the
    /// last contribution needed.
    pub fn next_record(&self, time_ms: Millis, own: &Contribution, keys: &EpochKeys) -> Option<EpochRecord> {
        let reason = self.tail().map(|tail| tail.reason).or(self.end_due(time_ms))?;
        let before = self.tail().map_or(&[][..], |tail| &tail.contributions);
        let all = [before, std::slice::from_ref(own)].concat();
        let decision = self.decision(time_ms);
        (self.contributions_missing(time_ms) == 1)
            .then(|| self.following(time_ms, reason, &decision, &all, keys))
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
        let sorted = self.sort(payload)?;
        self.judge_end(header.time_ms, sorted.begin)?;
        let ending = self.tail().is_some() || sorted.begin.is_some();
        if ending && !payload.batches.is_empty() {
            return Err(SystemError::Batches {
                have: payload.batches.len(),
            });
        }
        let mut step = Step {
            begin: None,
            contribution: sorted.contribution,
            close: sorted.close,
            registry: self.judge_ordinary(header.time_ms, ending, payload, &sorted.ordinary)?,
        };
        if ending {
            let decision = self.decision(header.time_ms);
            if let Some(contribution) = &step.contribution {
                self.judge_contribution(contribution, header, leader, &decision)?;
            }
            self.judge_close(header, &step, sorted.begin, &decision)?;
            step.begin = sorted.begin.map(|reason| (reason, decision));
        }
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
    fn sort(&self, payload: &Payload) -> Result<Sorted, SystemError> {
        let mut step = Sorted::default();
        for (index, bytes) in payload.system.iter().enumerate() {
            let ending = self.tail().is_some() || step.begin.is_some();
            match SystemTx::decode(bytes).map_err(|source| SystemError::Codec { index, source })? {
                tx if tx.is_ordinary() => step.ordinary.push((index, tx)),
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

    /// S1 to S3: what the ordinary transactions lead to.
    fn judge_ordinary(
        &self,
        time_ms: Millis,
        ending: bool,
        payload: &Payload,
        ordinary: &[(usize, SystemTx)],
    ) -> Result<Option<Registry>, SystemError> {
        if ordinary.is_empty() {
            return Ok(None);
        }
        let (mut registry, scene, mut room) = (self.registry.clone(), self.scene(time_ms), Room::default());
        for (index, tx) in ordinary {
            let bytes = payload.system.get(*index).map_or(0, Vec::len);
            let played = match ending {
                true => Err(SystemRefusal::Ending),
                false => room.take(tx, bytes).and_then(|()| registry.play(tx, &scene)),
            };
            played.map_err(|source| SystemError::Refused {
                index: *index,
                source: Box::new(source),
            })?;
        }
        registry.recovery = self.current().kept && !registry.bench(&scene).decide().kept;
        let members = |(_, tx): &(usize, SystemTx)| {
            matches!(
                tx,
                SystemTx::Register(_) | SystemTx::Leave(_) | SystemTx::Convict(_)
            )
        };
        if ordinary.iter().any(members) {
            registry.membership = registry.bench(&scene).membership_changes();
        }
        Ok(Some(registry))
    }

    fn judge_end(&self, time_ms: Millis, begin: Option<EpochReason>) -> Result<(), SystemError> {
        let due_ms = self.end_due_ms();
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

    fn judge_contribution(
        &self,
        contribution: &Contribution,
        header: &Header,
        leader: u16,
        decision: &Decision,
    ) -> Result<(), SystemError> {
        let expected = self.current().epoch + 1;
        if contribution.epoch != expected {
            return Err(SystemError::DealtEpoch {
                have: contribution.epoch,
                expected,
            });
        }
        let (dealer, seat) = (contribution.dealer, self.next_seat(leader, decision));
        if seat != Some(dealer) {
            return Err(SystemError::Dealer { dealer, seat });
        }
        let dealt = |tail: &Tail| tail.contributions.iter().any(|one| one.dealer == dealer);
        if self.tail().is_some_and(dealt) {
            return Err(SystemError::DealtTwice { dealer });
        }
        let (have, need) = (header.executed.height, self.last_full());
        if self.contributions_missing(header.time_ms) <= 1 && have < need {
            return Err(SystemError::DealtEarly { have, need });
        }
        Ok(contribution.check_shape(decision.validators.len())?)
    }

    fn judge_close(
        &self,
        header: &Header,
        step: &Step,
        begin: Option<EpochReason>,
        decision: &Decision,
    ) -> Result<(), SystemError> {
        let need = contributions_needed(decision.validators.len());
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
            .or(begin)
            .unwrap_or(EpochReason::Schedule);
        let sealing_key = record
            .sealing_key
            .clone()
            .ok_or(SystemError::Record { field: "sealing key" })?;
        sealing_key
            .check()
            .map_err(|_| SystemError::Record { field: "sealing key" })?;
        if record.state_keys.len() != WRAPPED_STATE_KEYS_BYTES {
            return Err(SystemError::Record { field: "state keys" });
        }
        if record.recovery.as_ref().is_some_and(|one| !one.is_well_formed()) {
            return Err(SystemError::Record {
                field: "recovery package",
            });
        }
        let keys = EpochKeys {
            sealing_key,
            state_keys: record.state_keys.clone(),
            recovery: record.recovery.clone(),
        };
        match difference(
            record,
            &self.following(header.time_ms, reason, decision, &all, &keys),
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
        decision: &Decision,
        contributions: &[Contribution],
        keys: &EpochKeys,
    ) -> EpochRecord {
        EpochRecord {
            epoch: self.current().epoch + 1,
            start_height: self.height() + 2,
            start_ms: time_ms,
            validators: decision.validators.clone(),
            sealing_key: Some(keys.sealing_key.clone()),
            suite: SUITE_XWING,
            policy_version: decision.policy_version,
            policy: decision.policy,
            reason,
            transcript: transcript(contributions),
            judged_ms: decision.judged_ms,
            collateral: decision.collateral,
            kept: decision.kept,
            dropped: decision.dropped.clone(),
            protocol: decision.protocol,
            state_keys: keys.state_keys.clone(),
            recovery: keys.recovery.clone(),
        }
    }

    fn next_seat(&self, leader: u16, decision: &Decision) -> Option<u16> {
        let key = self.current().validators.get(usize::from(leader))?.consensus_key;
        let seat = decision
            .validators
            .iter()
            .position(|seat| seat.consensus_key == key)?;
        u16::try_from(seat).ok()
    }

    /// From when on a block ends the epoch because somebody comes or goes.
    fn membership_ms(&self) -> Millis {
        self.current().start_ms.saturating_add(self.params().epoch_ms_min)
    }

    /// From when on a block ends the epoch because it has lasted.
    fn scheduled_ms(&self) -> Millis {
        self.current().start_ms.saturating_add(self.params().epoch_ms_max)
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
        ("protocol", have.protocol == expected.protocol),
        ("reason", have.reason == expected.reason),
        ("transcript", have.transcript == expected.transcript),
        ("time of judgement", have.judged_ms == expected.judged_ms),
        ("collateral", have.collateral == expected.collateral),
        ("kept", have.kept == expected.kept),
        ("dropped validators", have.dropped == expected.dropped),
    ];
    let named = checks
        .into_iter()
        .find(|(_, equal)| !equal)
        .map(|(field, _)| field);
    named.or((have != expected).then_some("content"))
}
