//! What a replica that has halted sees of its store: everything, and it changes nothing any more. A step goes on to its end
//! after the write that failed; whatever it would still store would rest on what is not there.

use std::sync::Arc;

use tacit_ledger::{Column, Durability, Entry, Store, StoreError, WriteBatch};

/// See the module.
pub(super) struct Stopped(pub(super) Arc<dyn Store + Send + Sync>);

impl Store for Stopped {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(column, key)
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Entry>, StoreError> {
        self.0.scan(column, from, limit, reverse)
    }

    fn commit(&self, _: WriteBatch, _: Durability) -> Result<(), StoreError> {
        Err(StoreError::Failed {
            operation: "write",
            detail: "this replica has halted".into(),
        })
    }
}
