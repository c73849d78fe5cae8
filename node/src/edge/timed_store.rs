//! A store that reports how long its synced writes take: the figure that bounds how fast a validator can vote.

use std::{sync::Arc, time::Instant};

use tacit_ledger::{Column, Durability, Entry, Store, StoreError, WriteBatch};

use crate::metrics::Metrics;

/// See the module.
pub(crate) struct TimedStore<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S: Store> TimedStore<S> {
    /// Times the writes of `inner`.
    pub(crate) fn new(inner: S, metrics: Arc<Metrics>) -> Self {
        Self { inner, metrics }
    }
}

impl<S: Store> Store for TimedStore<S> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(column, key)
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.scan(column, from, limit, reverse)
    }

    fn commit(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError> {
        let started = Instant::now();
        let result = self.inner.commit(batch, durability);
        if durability == Durability::Synced {
            self.metrics.fsync(started.elapsed());
        }
        result
    }
}
