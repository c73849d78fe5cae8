//! The store that lies: it keeps everything in memory, forgets at [`MemoryStore::crash`] what was not synced,
//! and fails where it is told to.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    columns::Column,
    store::{Durability, Entry, Op, Store, StoreError, WriteBatch},
};

/// A store in memory, for tests and simulations, that crashes as a disk does.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    columns: BTreeMap<Column, BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What undoes each commit that is not synced, oldest first.
    unsynced: Vec<Vec<Op>>,
    fail_write: Option<u64>,
    fail_sync: Option<u64>,
    full: bool,
    writes: u64,
    syncs: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A power cut: everything committed since the last synced commit is gone.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// A power cut after which the first `keep` commits since the last synced one happen to be there.
    pub fn crash_keeping(&self, keep: usize) {
        let mut inner = self.lock();
        while inner.unsynced.len() > keep {
            inner.undo();
        }
        inner.unsynced.clear();
        (inner.fail_write, inner.fail_sync) = (None, None);
    }

    /// A power cut after which those commits since the last synced one are there that `keep` says, by their number from 0. A
    /// log that is read up to its first hole never does this: it is worse than the store's contract.
    pub fn crash_keeping_where(&self, mut keep: impl FnMut(usize) -> bool) {
        let mut inner = self.lock();
        let mut redo = Vec::new();
        while !inner.unsynced.is_empty() {
            redo.push(inner.undo());
        }
        for (_, ops) in redo.into_iter().rev().enumerate().filter(|(at, _)| keep(*at)) {
            for op in ops.into_iter().rev() {
                inner.set(op.column, op.key, op.value);
            }
        }
        (inner.fail_write, inner.fail_sync) = (None, None);
    }

    /// The process ends and the machine goes on: what was written is there, if not synced. Nothing fails any more.
    pub fn killed(&self) {
        let mut inner = self.lock();
        (inner.fail_write, inner.fail_sync) = (None, None);
    }

    /// The store is opened again: as RocksDB does, it makes durable what it finds before anybody reads it.
    pub fn reopened(&self) {
        self.lock().unsynced.clear();
    }

    /// While the disk is full every commit that writes something fails and writes nothing.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// The `k`-th commit from now, from 0, fails and writes nothing.
    pub fn fail_write(&self, k: u64) {
        let mut inner = self.lock();
        inner.fail_write = Some(inner.writes + k);
    }

    /// The `k`-th synced commit from now, from 0, fails: written, readable, and lost in a crash.
    pub fn fail_sync(&self, k: u64) {
        let mut inner = self.lock();
        inner.fail_sync = Some(inner.syncs + k);
    }

    /// A copy of what is synced, as somebody makes it who copies the disk.
    pub fn image(&self) -> Self {
        let inner = self.lock();
        let mut copy = Inner {
            columns: inner.columns.clone(),
            unsynced: inner.unsynced.clone(),
            ..Inner::default()
        };
        while !copy.unsynced.is_empty() {
            copy.undo();
        }
        Self {
            inner: Mutex::new(copy),
        }
    }

    /// Commits that a crash would lose.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Commits so far, and how many of them synced.
    pub fn counts(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.writes, inner.syncs)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A batch is applied without a point at which it could panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn set(&mut self, column: Column, key: Vec<u8>, value: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let entries = self.columns.entry(column).or_default();
        match value {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        }
    }

    /// Undoes the newest commit that is not synced; what would do it again, last write first.
    fn undo(&mut self) -> Vec<Op> {
        let mut redo = Vec::new();
        for op in self.unsynced.pop().into_iter().flatten().rev() {
            let value = self.set(op.column, op.key.clone(), op.value);
            redo.push(Op { value, ..op });
        }
        redo
    }
}

impl Store for MemoryStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .lock()
            .columns
            .get(&column)
            .and_then(|entries| entries.get(key).cloned()))
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Entry>, StoreError> {
        let inner = self.lock();
        let Some(entries) = inner.columns.get(&column) else {
            return Ok(Vec::new());
        };
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match (reverse, from.is_empty()) {
            (false, _) => {
                let range = entries.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
                range.take(limit).map(copy).collect()
            }
            (true, true) => entries.iter().rev().take(limit).map(copy).collect(),
            (true, false) => {
                let range = entries.range::<[u8], _>((Bound::Unbounded, Bound::Included(from)));
                range.rev().take(limit).map(copy).collect()
            }
        })
    }

    fn commit(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let write = inner.writes;
        inner.writes += 1;
        if inner.full && !batch.ops.is_empty() {
            return Err(StoreError::Full("told to be".into()));
        }
        if inner.fail_write == Some(write) {
            return Err(StoreError::Failed {
                operation: "write",
                detail: "told to fail".into(),
            });
        }
        let mut undo = Vec::with_capacity(batch.ops.len());
        for op in batch.ops {
            let value = inner.set(op.column, op.key.clone(), op.value);
            undo.push(Op { value, ..op });
        }
        inner.unsynced.push(undo);
        if durability == Durability::Synced {
            let sync = inner.syncs;
            inner.syncs += 1;
            if inner.fail_sync == Some(sync) {
                return Err(StoreError::Failed {
                    operation: "sync",
                    detail: "told to fail".into(),
                });
            }
            inner.unsynced.clear();
        }
        Ok(())
    }
}
