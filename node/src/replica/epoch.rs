//! From one epoch to the next.

use std::sync::Arc;

use tacit_consensus::{
    Anchor, Block, Config as CoreConfig, Core, Height, Millis,
    trace::{Cause, Transition},
};
use tacit_ledger::{Contribution, Dropped, EpochRecord, Genesis, SystemTx, ValidatorRecord};

use super::{Effect, Replica, accuse::Unopened};
use crate::NodeError;

/// Most committed blocks that are read for who is passed over, and at once.
const MAX_RECALLED: u64 = 1024;
const RECALLED_AT_ONCE: usize = 64;

/// A validator that had an epoch so long, in milliseconds, and kept its KEM key, is worth a word.
const KEM_PATIENCE_MS: Millis = 60_000;

impl Replica {
    /// Whether the running epoch has lasted its time, or ends for what members or validators decided.
    pub(super) fn epoch_due(&self, now: Millis) -> bool {
        self.core.is_some() && self.public.end_due(now).is_some()
    }

    /// When the running epoch will be due to end, as far as the state tells; `None` once that wants a block.
    pub(super) fn epoch_due_at(&self) -> Option<Millis> {
        (self.core.is_some() && !self.work).then(|| self.public.end_due_ms())
    }

    /// The contributions of the running tail, with those in `block`.
    pub(super) fn public_contributions_with(&self, block: &Block) -> Vec<Contribution> {
        let mut given = self
            .public
            .tail()
            .map(|tail| tail.contributions.clone())
            .unwrap_or_default();
        for bytes in &block.payload.system {
            if let Ok(SystemTx::Contribute(contribution)) = SystemTx::decode(bytes) {
                given.push(contribution);
            }
        }
        given
    }

    /// Puts an epoch in force. Its predecessor's blocks are executed and durable, so its keys are erased.
    pub(super) fn begin_epoch(&mut self, now: Millis, record: Arc<EpochRecord>) -> Result<(), NodeError> {
        let expired = self.mempool.clear();
        self.opened.clear();
        self.waiting.clear();
        self.finals.clear();
        self.forget_wanted();
        self.flush_at = None;
        self.last_full = self.head.height;
        self.erase_old_keys(&record)?;
        if !expired.is_empty() {
            self.out.push(Effect::Expired(expired));
        }
        tracing::info!(
            epoch = record.epoch,
            from_height = record.start_height,
            key = record.key_id().unwrap_or_default(),
            reason = record.reason.name(),
            policy = record.policy_version,
            simulated = self.genesis.trust.simulator.is_some(),
            "epoch begins"
        );
        let anchor = self.anchor_at_head(record.epoch);
        let closing = self.head.header.as_ref();
        if let Some((ended, view)) = closing.map(|header| (header.epoch, header.view)) {
            self.stand.epoch_ended(ended, view);
        }
        self.met.forget_holders();
        self.unopened = Unopened::default();
        self.install(record);
        self.judge_peers();
        self.step_aside()?;
        self.start_core(now, anchor, None, None, Vec::new());
        self.find_secret(now);
        self.join(now);
        self.plan_pruning(now);
        Ok(())
    }

    /// A validator without a seat, or without the epoch's secret, cannot open what is sealed from now on: it follows like
    /// an observer, and lets go of a private state that it could not keep up, in memory and, without a seat, on disk.
    pub(super) fn step_aside(&mut self) -> Result<(), NodeError> {
        let blind = self.record.sealing_key.is_some() && self.state_keys.is_none();
        if self.validator.is_none() || (self.me.is_some() && !blind) {
            return Ok(());
        }
        let left = |dropped: &Dropped| {
            let held = self.public.registration(&dropped.name);
            let own = self.validator.as_ref().map(|parts| parts.signer.public());
            dropped.code == "epoch.left" && own.is_some() && held.map(|one| one.consensus_key) == own
        };
        if self.private.is_some() && self.record.dropped.iter().any(left) {
            tracing::info!(
                epoch = self.record.epoch,
                "this validator has left: it holds no private state any more"
            );
        } else if self.private.is_some() {
            tracing::error!(
                epoch = self.record.epoch,
                seat = self.me,
                "this validator cannot open what is sealed to the epoch: it follows, and holds no private state any more"
            );
        }
        (self.private, self.checkpoint) = (None, 0);
        match self.me {
            Some(_) => Ok(()),
            None => self.delete_private_state(self.head.height),
        }
    }

    /// What everybody should know about how a set came to be.
    fn report_set(&self) {
        let record = &self.record;
        let before = record.epoch.checked_sub(1).filter(|epoch| *epoch > 0);
        if let Some(before) = before.and_then(|epoch| self.public.record(epoch)) {
            let same =
                |seat: &&ValidatorRecord| before.validators.iter().any(|old| old.kem_key == seat.kem_key);
            // In so short an epoch nobody is late.
            let lasted_ms = record.start_ms.saturating_sub(before.start_ms);
            let late = record.validators.iter().filter(|_| lasted_ms >= KEM_PATIENCE_MS);
            for seat in late.filter(same) {
                tracing::warn!(
                    epoch = record.epoch,
                    validator = seat.name,
                    "a validator has not renewed its KEM key: while it keeps it, epoch {} is not forgotten",
                    before.epoch
                );
            }
        }
        for Dropped { name, code } in &record.dropped {
            let epoch = record.epoch;
            match code.as_str() {
                // Its operator wanted it so, and it stays so for as long as the registry remembers.
                "epoch.left" => tracing::debug!(epoch, validator = name, "a validator has left"),
                "epoch.newcomers" => {
                    tracing::info!(epoch, validator = name, code, "a validator waits for a seat")
                }
                _ => {
                    let kept = record.kept;
                    tracing::warn!(
                        epoch,
                        validator = name,
                        code,
                        kept,
                        "a validator was found wanting"
                    );
                }
            }
        }
        if record.kept {
            tracing::error!(
                epoch = record.epoch,
                code = "epoch.kept",
                "fewer than a quorum of the set are acceptable, so it stays whole; wallets do not seal to this epoch. \
                 Renew the evidence of those named above, or have members change the policy"
            );
        }
    }

    /// Everything that follows from a record alone.
    pub(super) fn install(&mut self, record: Arc<EpochRecord>) {
        self.check_protocol(&record);
        self.committee = record.committee();
        self.index_of = record
            .validators
            .iter()
            .enumerate()
            .filter_map(|(i, v)| Some((v.node_key.0, u16::try_from(i).ok()?)))
            .collect();
        let parts = self.validator.as_ref();
        self.me = parts.and_then(|v| self.committee.index_of(&v.signer.public()));
        let seat = self.me.and_then(|me| record.validators.get(usize::from(me)));
        let kem = seat.and_then(|seat| parts?.keyring.kem(&seat.kem_key)).cloned();
        self.record = record.clone();
        self.load_epoch_keys();
        self.report_set();
        self.out.push(Effect::Epoch {
            record,
            opener: self.opener.clone(),
            kem: kem.map(Arc::new),
        });
    }

    pub(super) fn start_core(
        &mut self,
        now: Millis,
        anchor: Anchor,
        record: Option<tacit_consensus::SafetyRecord>,
        committed: Option<(Block, tacit_consensus::CommitProof)>,
        uncommitted: Vec<Block>,
    ) {
        self.anchor = anchor;
        self.core = None;
        self.wake = None;
        self.work = false;
        if self.halted {
            return;
        }
        // Without the private state it cannot tell which blocks are right.
        let (Some(parts), Some(_), true) = (self.validator.as_ref(), self.me, self.private.is_some()) else {
            return;
        };
        if !self.stand.is_settled() {
            self.begin_probation(now, &anchor, record, committed.as_ref(), &uncommitted);
            return;
        }
        let history = match &committed {
            Some((newest, _)) => self.committed_views(newest.header.height),
            None => Vec::new(),
        };
        let cause = self.tracer.as_ref().map(|_| {
            let started = Cause::started(
                &core_config(&self.genesis),
                self.chain,
                &self.committee,
                &anchor,
                record.as_ref(),
                committed.as_ref(),
                &uncommitted,
            );
            started.recalling(&history)
        });
        let (mut core, effects) = Core::new(
            core_config(&self.genesis),
            self.chain,
            self.committee.clone(),
            Some(parts.signer.clone()),
            self.scheme.clone(),
            anchor,
            record,
            committed,
            uncommitted,
            now,
        );
        core.recall(&history);
        if let (Some(tracer), Some(cause)) = (&mut self.tracer, cause) {
            tracer.note(Transition::new(&core, now, cause, &effects, false));
        }
        self.core = Some(core);
        self.carry(now, effects);
    }

    /// Views of this epoch's newest committed blocks up to a height, oldest first: what the core goes by when it passes
    /// leaders over. It is a hint, so blocks that are not here any more are left out.
    fn committed_views(&self, newest: Height) -> Vec<u64> {
        let memory = Core::memory(&self.committee).min(MAX_RECALLED);
        let first = newest
            .saturating_sub(memory - 1)
            .max(self.first_height())
            .max(self.first);
        let (mut views, mut at) = (Vec::new(), first);
        while at <= newest {
            let blocks = self.log().blocks_from(at, RECALLED_AT_ONCE).unwrap_or_default();
            let Some(last) = blocks.last() else { break };
            at = last.block.header.height + 1;
            let headers = blocks.iter().map(|committed| &committed.block.header);
            views.extend(
                headers
                    .filter(|header| header.height <= newest)
                    .map(|header| header.view),
            );
        }
        views
    }

    fn anchor_at_head(&self, epoch: u64) -> Anchor {
        Anchor {
            epoch,
            block: self.head.id,
            height: self.head.height,
            time_ms: self.head.time_ms,
            executed: self
                .head
                .header
                .as_ref()
                .map_or_else(Default::default, |h| h.executed),
        }
    }

    /// What block 1 grows from.
    pub(super) fn genesis_anchor(&self) -> Anchor {
        let executed = self.genesis_executed();
        self.genesis.anchor(executed.public_root, executed.private_root)
    }

    /// The first height of the epoch in force.
    pub(super) fn first_height(&self) -> Height {
        self.record.start_height
    }
}

fn core_config(genesis: &Genesis) -> CoreConfig {
    CoreConfig {
        base_timeout_ms: genesis.params.base_timeout_ms,
        heartbeat_ms: genesis.params.heartbeat_ms,
        ..CoreConfig::default()
    }
}
