//! The seam to storage: ordered keys in columns, atomic batches, and two degrees of durability.
//!
//! - **Blocks**: every call may wait for the disk.
//! - **A refusal** ([`StoreError::Failed`]) leaves it open whether the batch is there. The node halts: it must
//!   not sign or answer on the strength of what may be lost.
//! - **After a restart** what was synced is there, and everything committed before it; of what was committed
//!   later, a prefix.
//! - **Fault**: the disk's, or the host's, who may also keep old copies. Nothing here tells an old disk from a
//!   new one; consensus asks its peers.

use thiserror::Error;

use crate::{columns::Column, error::CodecError};

/// How much of a commit must survive a power cut when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// This batch and every one before it.
    Synced,
    /// Nothing yet: a crash may lose it, but never reorder it.
    Lazy,
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// The column.
    pub column: Column,
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// Writes that happen together or not at all, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// The writes.
    pub ops: Vec<Op>,
}

impl WriteBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn put(&mut self, column: Column, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op {
            column,
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Adds a deletion; of a key that is not there, it does nothing.
    pub fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        self.ops.push(Op {
            column,
            key: key.into(),
            value: None,
        });
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Ordered, durable storage. Shared between the replica, which writes, and readers on other threads.
pub trait Store: Send + Sync {
    /// The value at `key`.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` entries from `from` on, inclusive: upwards, or downwards with `reverse`. An empty `from`
    /// means the first key, or with `reverse` the last.
    fn scan(
        &self,
        column: Column,
        from: &[u8],
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<Entry>, StoreError>;

    /// Writes a batch as a whole.
    fn commit(&self, batch: WriteBatch, durability: Durability) -> Result<(), StoreError>;
}

/// What storage cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The engine refused or failed. Halt: whether the write is there is unknown.
    #[error("storage failed to {operation}: {detail}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// What the engine said.
        detail: String,
    },
    /// There is no room for a write. Halt, as above; with room again, nothing needs repair.
    #[error("the disk is full: {0}")]
    Full(String),
    /// A stored value is not what belongs there. Halt: the disk or the program is broken.
    #[error("column {column:?} holds a value that does not decode: {source}")]
    Corrupt {
        /// Where.
        column: Column,
        /// Why.
        source: CodecError,
    },
    /// A stored block is not the one whose place this is. Halt, as above.
    #[error("block {height} is stored in the place of block {place}")]
    Misplaced {
        /// Whose place it is.
        place: u64,
        /// What its header says.
        height: u64,
    },
    /// A stored value is missing where another one says it is. Halt, as above.
    #[error("column {column:?} lacks an entry that another one names")]
    Missing {
        /// Where.
        column: Column,
    },
}

impl StoreError {
    /// The row of [`crate::codes::CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full(_) => "disk.full",
            Self::Failed { .. } | Self::Corrupt { .. } | Self::Misplaced { .. } | Self::Missing { .. } => {
                "db.corrupt"
            }
        }
    }
}
