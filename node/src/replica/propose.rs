//! What this validator puts into a block when it leads.

use std::{borrow::Cow, collections::BTreeSet};

use tacit_consensus::{Block, Content, Digest, Executed, Height, Millis, Payload, View};
use tacit_ledger::{Contribution, EpochRecord, PublicState, SealingPublic, SystemTx, check_shares, deal};

use super::{Refused, Replica};

/// What a block grows from, whether that is a block or the epoch's anchor.
pub(super) struct Parent {
    pub height: Height,
    pub time_ms: Millis,
    pub executed: Executed,
}

impl Replica {
    pub(super) fn parent(&self, id: &Digest) -> Option<Parent> {
        let core = self.core.as_ref()?;
        if let Some(block) = core.block(id) {
            let header = &block.header;
            return Some(Parent {
                height: header.height,
                time_ms: header.time_ms,
                executed: header.executed,
            });
        }
        let anchor = self.anchor;
        (anchor.block == *id).then_some(Parent {
            height: anchor.height,
            time_ms: anchor.time_ms,
            executed: anchor.executed,
        })
    }

    /// Blocks that are certified or final but not executed here yet, oldest first, down to `parent`.
    pub(super) fn unexecuted(&self, parent: &Digest) -> Vec<&Block> {
        let Some(core) = self.core.as_ref() else {
            return Vec::new();
        };
        // A final block that waited for a batch may have come from a peer with all that it needs.
        let waiting = self.finals.iter().map(|f| &f.block);
        let mut blocks: Vec<&Block> = waiting.filter(|b| b.header.height > self.head.height).collect();
        let above = blocks.last().map_or(self.head.height, |b| b.header.height);
        blocks.extend(
            core.chain_to(parent)
                .into_iter()
                .filter(|b| b.header.height > above),
        );
        blocks
    }

    /// The public state as `parent` leaves it.
    pub(super) fn public_at(&self, parent: &Digest) -> Option<Cow<'_, PublicState>> {
        let blocks = self.unexecuted(parent);
        if blocks.is_empty() {
            return Some(Cow::Borrowed(&self.public));
        }
        self.public.after(blocks).ok().map(Cow::Owned)
    }

    /// The newest execution result, which every proposal carries.
    pub(super) fn newest_executed(&self) -> Executed {
        self.executed.get(&self.head.height).copied().unwrap_or_default()
    }

    /// Builds a block's content; `None` while this node has executed less than the parent already states.
    pub(super) fn build(&mut self, now: Millis, view: View, parent_id: &Digest) -> Option<Content> {
        let parent = self.parent(parent_id)?;
        let executed = self.newest_executed();
        if executed.height < parent.executed.height || executed.height != self.head.height {
            return None;
        }
        let time_ms = now.max(parent.time_ms + 1);
        let state = self.public_at(parent_id)?;
        let (payload, next_epoch) = if state.is_ending() || state.end_due(time_ms).is_some() {
            let state = state.into_owned();
            self.build_tail(&state, time_ms, executed.height)?
        } else {
            let system = self.select_system(&state, parent_id, time_ms);
            let taken: BTreeSet<Digest> = self
                .unexecuted(parent_id)
                .iter()
                .flat_map(|b| b.payload.batches.iter().copied())
                .collect();
            let batches = self.mempool.select(self.record.epoch, &taken);
            for digest in &batches {
                if let Some(batch) = self.mempool.get(digest) {
                    self.unstored.put_batch(digest, batch);
                }
            }
            (Payload { batches, system }, None)
        };
        tracing::trace!(
            view,
            height = parent.height + 1,
            batches = payload.batches.len(),
            system = payload.system.len(),
            "block built"
        );
        let commit = self
            .head
            .certificate
            .clone()
            .filter(|c| c.epoch == self.record.epoch);
        Some(Content {
            time_ms,
            payload,
            executed,
            next_epoch,
            commit,
        })
    }

    /// The part of an epoch's end that this leader adds: the end itself, its contribution, and with the last
    /// contribution the next epoch's record. Nothing where the last contribution must wait for what `executed`, the height
    /// that the block states, does not reach yet: T4.
    fn build_tail(
        &mut self,
        state: &PublicState,
        time_ms: Millis,
        executed: Height,
    ) -> Option<(Payload, Option<Digest>)> {
        let mut system = Vec::new();
        if let Some(reason) = state.end_due(time_ms) {
            system.push(SystemTx::EndEpoch { reason });
        }
        let next = self.record.epoch + 1;
        let mut next_epoch = None;
        if let Some(seat) = self.me.and_then(|me| state.dealer(me, time_ms)).filter(|_| {
            match state.contributions_missing(time_ms) {
                0 => false,
                1 => state.may_close(executed),
                _ => true,
            }
        }) {
            let contribution = deal(
                &mut self.rng,
                &self.chain,
                next,
                seat,
                &recipients(state, time_ms),
            )
            .ok()?;
            if let Some(record) = self.closing_record(state, time_ms, &contribution) {
                next_epoch = Some(record.digest());
                system.push(SystemTx::Contribute(contribution));
                system.push(SystemTx::CloseEpoch(record));
            } else {
                system.push(SystemTx::Contribute(contribution));
            }
        }
        let system = system.iter().map(SystemTx::encode).collect();
        Some((
            Payload {
                batches: Vec::new(),
                system,
            },
            next_epoch,
        ))
    }

    /// This validator's seat in the next set, as the tail decided it or a block of `time_ms` that begins one would.
    pub(super) fn my_next_index(&self, state: &PublicState, time_ms: Millis) -> Option<u16> {
        let key = self.validator.as_ref()?.signer.public();
        state
            .next_validators(time_ms)
            .iter()
            .position(|v| v.consensus_key == key)
            .and_then(|i| u16::try_from(i).ok())
    }

    /// Opens this validator's share of a contribution and checks everybody's: a dealer that could deceive one
    /// voter with the votes of the others would cut it off from the next epoch.
    pub(super) fn check_dealt(
        &mut self,
        state: &PublicState,
        time_ms: Millis,
        me: u16,
        contribution: &Contribution,
    ) -> Result<(), Refused> {
        let recipients = recipients(state, time_ms);
        let unseated = || Refused::new("deal.shares", "this validator has no seat in the next set");
        let kem_key = recipients.get(usize::from(me)).ok_or_else(unseated)?;
        self.open_share(me, kem_key, contribution)?;
        let share = self.shares.get(&contribution.commitment).ok_or_else(unseated)?;
        check_shares(&self.chain, contribution, share, &recipients)
            .map_err(|error| Refused::new(error.code(), error.to_string()))
    }

    /// The record of the next epoch, if `own` is the last contribution that it needs. What it says of the epoch's secret is
    /// computed from this validator's own shares, and from the blinding key that it holds.
    pub(super) fn closing_record(
        &mut self,
        state: &PublicState,
        time_ms: Millis,
        own: &Contribution,
    ) -> Option<EpochRecord> {
        if state.contributions_missing(time_ms) != 1 {
            return None;
        }
        let me = self.my_next_index(state, time_ms)?;
        let mut given = state
            .tail()
            .map(|tail| tail.contributions.clone())
            .unwrap_or_default();
        given.push(own.clone());
        let kem_key = recipients(state, time_ms).get(usize::from(me))?.clone();
        let secret = self.combine(self.record.epoch + 1, me, &kem_key, &given)?;
        state.next_record(time_ms, own, &self.epoch_keys(&secret)?)
    }
}

/// Whom the next epoch's contributions are dealt to.
fn recipients(state: &PublicState, time_ms: Millis) -> Vec<SealingPublic> {
    let next = state.next_validators(time_ms);
    next.into_iter().map(|v| v.kem_key).collect()
}
