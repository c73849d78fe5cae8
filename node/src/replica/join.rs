//! A validator with a seat and without the private state: it stops at the closing block, takes the state as it was there
//! from the others, compares it with what they certified, and goes on as a validator.
//!
//! Newcomers come this way, and those that lost a seat and have one again. The rules of an epoch's end see to it that the
//! closing header certifies the private state after its own block: no envelope stands between the height that it states and
//! itself.

use std::sync::Arc;

use tacit_consensus::{Digest, Executed, Header, Height, Millis};
use tacit_ledger::{
    Durability, FrameError, Manifest, PrivateState, PublicSnapshot, PublicState, SnapshotError, SnapshotId,
    SnapshotKind, StateKeys, Store, WriteBatch, block_receipts_root, chain_receipts, decrypt_checkpoint,
};

use super::{Replica, snapshot::Fetching};
use crate::NodeError;

/// How long a validator at an epoch's start waits for a secret that it has lost, in milliseconds.
const SECRET_MS: Millis = 20_000;

/// Opening a whole snapshot: up to seconds of work, done beside the replica.
pub struct LoadJob {
    pub(super) store: Arc<dyn Store + Send + Sync>,
    pub(super) manifest: Manifest,
    pub(super) open: Opening,
}

pub(super) enum Opening {
    Private(StateKeys),
    Public(Digest, Box<tacit_ledger::EpochLink>),
}

/// What a [`LoadJob`] came to.
pub struct Loaded {
    pub(super) manifest: Manifest,
    pub(super) result: Result<LoadedState, SnapshotError>,
}

pub(super) enum LoadedState {
    Private(Box<PrivateState>),
    Public(Vec<Header>, Box<PublicState>),
}

impl LoadJob {
    /// Does it. Reads the store, changes nothing.
    pub fn run(self) -> Loaded {
        let result = self.load();
        Loaded {
            manifest: self.manifest,
            result,
        }
    }

    fn load(&self) -> Result<LoadedState, SnapshotError> {
        let bytes = self.bytes()?;
        Ok(match &self.open {
            Opening::Private(keys) => {
                let opened = decrypt_checkpoint(&keys.data, self.manifest.height, &bytes);
                let state = opened.and_then(|opened| PrivateState::from_checkpoint(&opened, keys));
                LoadedState::Private(Box::new(state.map_err(SnapshotError::Sealed)?))
            }
            Opening::Public(chain, link) => {
                let (headers, state) = PublicSnapshot::open(&bytes, chain, link)?;
                LoadedState::Public(headers, Box::new(state))
            }
        })
    }

    fn bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        let log = tacit_ledger::ChainLog::new(&*self.store);
        let mut bytes = Vec::new();
        for index in 0..self.manifest.count() {
            let chunk = log.chunk(&self.manifest, index);
            let chunk = chunk.map_err(|error| SnapshotError::Store(error.to_string()))?;
            bytes.extend(chunk.ok_or(SnapshotError::Lost { index })?);
        }
        Ok(bytes)
    }
}

impl Replica {
    /// Whether blocks have to wait: a snapshot is on its way, and what follows it is executed on it.
    pub(super) fn holds_blocks(&self) -> bool {
        self.fetching.is_some() || self.jump.is_some() || self.secret_until.is_some()
    }

    /// A validator that has a seat, the epoch's keys and no private state, and stands at the epoch's start, takes a snapshot.
    pub(super) fn join(&mut self, now: Millis) {
        let at_start = self.head.height.checked_add(1) == Some(self.record.start_height);
        let wanting = self.me.is_some() && self.private.is_none() && self.record.epoch > 0;
        self.secret_until = None;
        if !wanting || self.fetching.is_some() {
            return;
        }
        let keys = self.state_keys.is_some();
        if self.lacks_secret() {
            // The others are asked for it; past the epoch's start it would be of no use any more.
            self.secret_until = at_start.then_some(now.saturating_add(SECRET_MS));
            return;
        }
        if !at_start || !keys {
            tracing::error!(
                epoch = self.record.epoch,
                keys,
                "this validator has a seat, and not the private state: it follows, does not vote, and takes the state \
                 when the next epoch begins"
            );
            return;
        }
        tracing::info!(
            epoch = self.record.epoch,
            height = self.head.height,
            "this validator has a seat: it takes a snapshot of the private state"
        );
        let id = SnapshotId {
            kind: SnapshotKind::Private,
            epoch: self.record.epoch,
        };
        self.begin_fetching(now, id, self.head.height, self.committee.f() + 1);
    }

    /// The secret did not come in time: this validator follows to the next epoch.
    pub(super) fn join_tick(&mut self, now: Millis) {
        if self.secret_until.is_some_and(|until| until <= now) {
            self.secret_until = None;
            tracing::error!(
                epoch = self.record.epoch,
                code = "key.lost",
                "nobody gave this validator the epoch's secret in time: it follows to the next epoch"
            );
            self.sync_now(now);
        }
    }

    pub(super) fn private_job(&self, manifest: &Manifest) -> Option<LoadJob> {
        Some(LoadJob {
            store: self.store.clone(),
            manifest: manifest.clone(),
            open: Opening::Private(self.state_keys.clone()?),
        })
    }

    /// Enough validators are in a later epoch: this one cannot be joined any more.
    pub(super) fn snapshot_gone(&mut self, now: Millis, id: SnapshotId) {
        match id.kind {
            SnapshotKind::Private => {
                tracing::warn!(
                    epoch = id.epoch,
                    code = "snapshot.gone",
                    "the epoch is over elsewhere: this validator follows to the next one"
                );
                self.sync_now(now);
            }
            SnapshotKind::Public => self.jump_again(now),
        }
    }

    /// What came of loading a snapshot.
    pub(super) fn loaded(&mut self, now: Millis, loaded: Loaded) {
        let wanted = |fetching: &Fetching| {
            fetching.id == loaded.manifest.id && fetching.height == loaded.manifest.height
        };
        if !self.fetching.as_ref().is_some_and(wanted) {
            return;
        }
        let entered = match loaded.result {
            Ok(LoadedState::Private(state)) => self.enter(now, &loaded.manifest, *state),
            Ok(LoadedState::Public(headers, state)) => {
                self.jump_loaded(now, loaded.manifest, headers, *state);
                return;
            }
            Err(error) => Err(Enter::Refused(error)),
        };
        match entered {
            Ok(()) => {}
            Err(Enter::Refused(error)) => {
                self.refuse_snapshot(now, &error);
                self.fetch_on(now);
            }
            Err(Enter::Failed(error)) => self.halt(error),
        }
    }

    /// The private state is here: compared, made durable, and the core started on it.
    fn enter(&mut self, now: Millis, manifest: &Manifest, state: PrivateState) -> Result<(), Enter> {
        let height = manifest.height;
        let closing = self.head.header.clone().filter(|header| header.height == height);
        let closing = closing.ok_or_else(|| Enter::Failed(super::damaged("the closing block is missing")))?;
        let stated = closing.executed;
        let differs = |what| Err(Enter::Refused(SnapshotError::Root { what, height }));
        if state.height() != height {
            return Err(Enter::Refused(SnapshotError::Sealed(FrameError::Height {
                have: state.height(),
                expected: height,
            })));
        }
        if state.supply() != stated.supply {
            return differs("supply");
        }
        // Epoch 0 has no tree yet: its closing block makes it, and the first block of epoch 1 states the root.
        if stated.private_root != Digest::ZERO && state.root() != stated.private_root {
            return differs("private root");
        }
        let mut writes = WriteBatch::new();
        writes.complete_snapshot(manifest);
        for at in stated.height..=height {
            let Some(mut result) = self.log().result(at)? else {
                continue;
            };
            result.executed = self.closing_executed(&stated, at, state.root());
            self.executed.insert(at, result.executed);
            writes.put_result(&result);
        }
        self.store.commit(writes, Durability::Synced)?;
        self.fetching = None;
        self.private = Some(state);
        self.checkpoint = height;
        tracing::info!(
            epoch = self.record.epoch,
            height,
            "the private state is here: this validator votes"
        );
        self.resume_core(now)?;
        self.sync_now(now);
        Ok(())
    }

    /// The execution result of a block of a tail, `at`, from what its closing header states of an earlier one: nothing but the
    /// public state changes in between.
    pub(super) fn closing_executed(&self, stated: &Executed, at: Height, private_root: Digest) -> Executed {
        if at == stated.height {
            return *stated;
        }
        let nothing = block_receipts_root(&[]);
        let receipts_root =
            (stated.height..at).fold(stated.receipts_root, |root, _| chain_receipts(&root, &nothing));
        let known = self.executed_at(at).map(|own| own.public_root);
        Executed {
            height: at,
            public_root: known.or_else(|| self.public.root(at)).unwrap_or_default(),
            private_root,
            receipts_root,
            supply: stated.supply,
        }
    }
}

/// Why a state that came was not entered on.
enum Enter {
    /// It is not what was certified.
    Refused(SnapshotError),
    /// This node failed.
    Failed(NodeError),
}

impl From<NodeError> for Enter {
    fn from(error: NodeError) -> Self {
        Self::Failed(error)
    }
}

impl From<tacit_ledger::StoreError> for Enter {
    fn from(error: tacit_ledger::StoreError) -> Self {
        Self::Failed(error.into())
    }
}
