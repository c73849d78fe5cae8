//! Whether this validator votes for a block: what `consensus` cannot judge because it knows neither the
//! ledger's rules nor what is executed.

use tacit_consensus::{Block, Digest, Executed, Height, Input as CoreInput, Millis};
use tacit_ledger::{EpochRecord, SystemError, SystemTx, encode};

use super::{Effect, MAX_WAITING, Refused, Replica, Waiting};
use crate::mempool::MAX_BLOCK_BATCH_BYTES;

/// What comes of looking at a proposal.
enum Judgement {
    Accept,
    Reject(Refused),
    /// Something is missing that may still come: batches, or our own execution.
    Wait,
}

impl Replica {
    /// Judges a proposal now or, if something is missing, as soon as it is there.
    pub(super) fn validate(&mut self, now: Millis, block: Block) -> Option<CoreInput> {
        let id = block.id();
        if block.header.height <= self.head.height {
            // It came, or was looked at again, after that height was final here.
            self.waiting.remove(&id);
            return Some(CoreInput::Validated {
                block: id,
                accepted: false,
            });
        }
        let accepted = match self.judge(now, &block) {
            Judgement::Accept => true,
            Judgement::Reject(refused) => {
                let (height, view) = (block.header.height, block.header.view);
                self.out.push(Effect::ProposalRefused {
                    leader: self.committee.leader(view),
                    height,
                    view,
                    refused,
                });
                false
            }
            Judgement::Wait => {
                self.forget_stale();
                if self.waiting.len() < MAX_WAITING {
                    self.waiting.insert(id, Waiting { block });
                }
                return None;
            }
        };
        self.waiting.remove(&id);
        Some(CoreInput::Validated { block: id, accepted })
    }

    /// Looks again at what waits, and at final blocks whose batches were missing.
    pub(super) fn retry(&mut self, now: Millis) {
        self.execute_ready(now);
        if self.halted {
            return;
        }
        let waiting: Vec<_> = self.waiting.keys().copied().collect();
        for id in waiting {
            let Some(Waiting { block }) = self.waiting.remove(&id) else {
                continue;
            };
            if let Some(input) = self.validate(now, block) {
                self.core_step(now, input);
            }
        }
    }

    fn forget_stale(&mut self) {
        let view = self.core.as_ref().map_or(0, |core| core.view());
        self.waiting
            .retain(|_, waiting| waiting.block.header.view + 1 >= view);
    }

    fn judge(&mut self, now: Millis, block: &Block) -> Judgement {
        let header = &block.header;
        let limit = now + self.genesis.params.max_clock_ahead_ms;
        if header.time_ms > limit {
            let detail = format!("its time {} is ahead of {limit}", header.time_ms);
            return Judgement::Reject(Refused::new("proposal.clock", detail));
        }
        if header.executed.height > self.head.height {
            return Judgement::Wait;
        }
        match self.executed_at(header.executed.height) {
            Some(own) if own == header.executed => {}
            own => {
                let detail = format!(
                    "it states {:?}, this node executed {own:?}: one of the two has diverged",
                    header.executed
                );
                return Judgement::Reject(Refused::new("proposal.executed", detail));
            }
        }
        match self.judge_system(block) {
            Judgement::Accept => self.judge_batches(now, block),
            other => other,
        }
    }

    /// Our own execution result at a height.
    pub(super) fn executed_at(&self, height: Height) -> Option<Executed> {
        self.executed
            .get(&height)
            .copied()
            .or_else(|| self.log().result(height).ok().flatten().map(|r| r.executed))
    }

    fn judge_system(&mut self, block: &Block) -> Judgement {
        let header = &block.header;
        let Some(state) = self.public_at(&header.parent) else {
            return Judgement::Wait;
        };
        let leader = self.committee.leader(header.view);
        if let Err(error) = state.check_system(header, &block.payload, leader) {
            return Judgement::Reject(Refused::new(code_of(&error), error.to_string()));
        }
        let ending = state.is_ending() || state.end_due(header.time_ms).is_some();
        if block.payload.system.is_empty() || !ending {
            return Judgement::Accept;
        }
        let state = state.into_owned();
        let Some(me) = self.my_next_index(&state, header.time_ms) else {
            return Judgement::Accept;
        };
        let mut dealt = None;
        for bytes in &block.payload.system {
            match SystemTx::decode(bytes) {
                // Judged by check_system; no ordinary one stands in an epoch's end.
                Ok(SystemTx::EndEpoch { .. }) => {}
                Ok(SystemTx::Contribute(contribution)) => {
                    if let Err(refused) = self.check_dealt(&state, header.time_ms, me, &contribution) {
                        return Judgement::Reject(refused);
                    }
                    dealt = Some(contribution);
                }
                Ok(SystemTx::CloseEpoch(record)) => {
                    let expected = dealt
                        .as_ref()
                        .and_then(|own| self.closing_record(&state, header.time_ms, own));
                    if let Some(refused) = record_refused(&record, expected.as_ref()) {
                        return Judgement::Reject(refused);
                    }
                }
                Ok(_) => {}
                Err(error) => return Judgement::Reject(Refused::new("proposal.rules", error.to_string())),
            }
        }
        Judgement::Accept
    }

    /// Every batch must be here, and be stored with the vote, so that what commits can be executed.
    fn judge_batches(&mut self, now: Millis, block: &Block) -> Judgement {
        let missing: Vec<_> = block
            .payload
            .batches
            .iter()
            .filter(|d| !self.has_batch(d))
            .copied()
            .collect();
        if !missing.is_empty() {
            self.fetch_batches(now, block, missing);
            return Judgement::Wait;
        }
        // What is stored may be of an earlier epoch: its author may have no seat now, and nothing in it can count.
        let epoch = block.header.epoch;
        let stored = |digest: &&Digest| self.mempool.get(digest).is_none();
        let mut stored = block.payload.batches.iter().filter(stored);
        let earlier = stored.find(|digest| {
            let batch = self.log().batch(digest).ok().flatten();
            batch.is_some_and(|batch| batch.epoch != epoch)
        });
        if let Some(digest) = earlier {
            let detail = format!("it names batch {digest}, which is not of epoch {epoch}");
            return Judgement::Reject(Refused::new("proposal.batches", detail));
        }
        let mut bytes = 0;
        for digest in &block.payload.batches {
            let Some(batch) = self.mempool.get(digest) else {
                continue;
            };
            bytes += encode(batch).len();
            self.unstored.put_batch(digest, batch);
        }
        if bytes > MAX_BLOCK_BATCH_BYTES {
            let detail = format!("its batches are {bytes} bytes, at most {MAX_BLOCK_BATCH_BYTES}");
            return Judgement::Reject(Refused::new("proposal.batches", detail));
        }
        Judgement::Accept
    }
}

/// Why a block with this record of the next epoch gets no vote, where `expected` is what the shares give.
fn record_refused(record: &EpochRecord, expected: Option<&EpochRecord>) -> Option<Refused> {
    let refused = |code, what: &str| Some(Refused::new(code, what.to_owned()));
    match expected {
        Some(expected) if expected == record => None,
        None => refused(
            "deal.record",
            "an epoch record that this node cannot compute from the shares",
        ),
        Some(expected) if expected.sealing_key != record.sealing_key => {
            refused("deal.record", "its sealing key does not follow from the shares")
        }
        Some(expected) if expected.state_keys != record.state_keys => {
            refused("deal.state_keys", "it wraps other keys than those of the state")
        }
        Some(expected) if expected.recovery != record.recovery => refused(
            "deal.recovery",
            "its recovery package does not follow from the shares and the members",
        ),
        Some(_) => refused(
            "deal.record",
            "its epoch record does not follow from shares and decision",
        ),
    }
}

/// The row of the table of codes for a broken rule of the public lane.
fn code_of(error: &SystemError) -> &'static str {
    match error {
        SystemError::Refused { source, .. } => source.code(),
        SystemError::Shares(error) => error.code(),
        SystemError::Record { .. } => "deal.record",
        _ => "proposal.rules",
    }
}
