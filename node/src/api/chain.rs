//! What the handlers read: committed blocks, transactions and epochs, from the store, with small caches of
//! what never changes. Everything here may block on the disk and runs inside [`Api::read`] only.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tacit_consensus::Digest;
use tacit_ledger::{ChainLog, CommittedBlock, EpochRecord, TxRecord};

use super::problem::{Answer, Refusal};
use super::server::Api;
use super::types::{EnvelopeBody, HASH_DIGITS, decimal, digest};

/// Epoch records kept in memory; a record of 100 validators takes 140 KiB.
const MAX_RECORDS: usize = 16;
/// Name of the one cipher suite.
pub(crate) const SUITE: &str = "xwing-chacha20poly1305";

/// Caches of what never changes.
#[derive(Default)]
pub(crate) struct Records {
    epochs: Mutex<BTreeMap<u64, Arc<EpochRecord>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Api {
    /// Newest committed and executed height.
    pub(crate) fn height(&self) -> u64 {
        *self.node().head().borrow()
    }

    /// The store, typed.
    pub(crate) fn log(&self) -> ChainLog<'_> {
        ChainLog::new(self.node().store().as_ref())
    }

    /// The lowest height whose block this node keeps.
    pub(crate) fn first(&self) -> Answer<u64> {
        self.log().first().map_err(Refusal::internal)
    }

    /// The committed block of a height; refused by name where this node has deleted it.
    pub(crate) fn block_at(&self, height: u64) -> Answer<Option<CommittedBlock>> {
        let found = self.log().block(height).map_err(Refusal::internal)?;
        match found {
            Some(block) => Ok(Some(block)),
            None => self.kept(height).map(|()| None),
        }
    }

    /// Refuses a height that this node does not keep any more.
    pub(crate) fn kept(&self, height: u64) -> Answer<()> {
        let first = self.first()?;
        if height >= first || height == 0 {
            return Ok(());
        }
        let detail = format!("this node keeps blocks from {first} on, {height} was asked for");
        Err(Refusal::new("block.pruned", detail))
    }

    /// What to add where something is not found by an id: it may be older than what is kept.
    pub(crate) fn older_gone(&self) -> Answer<String> {
        Ok(match self.first()? {
            1 => String::new(),
            first => format!("; this node keeps nothing of blocks below {first}"),
        })
    }

    /// The block that a path names: a height, a hash, or `latest`.
    pub(crate) fn block_named(&self, name: &str) -> Answer<CommittedBlock> {
        let older = self.older_gone()?;
        let missing = || {
            let detail = format!("the newest block is {}{older}", self.height());
            Refusal::new("block.not_found", detail)
        };
        let height = match decimal(name) {
            Some(height) if name.len() < HASH_DIGITS => height,
            _ if name == "latest" => self.height(),
            _ if name.len() == HASH_DIGITS => {
                let id = digest(name)?;
                self.log()
                    .block_height(&id)
                    .map_err(Refusal::internal)?
                    .ok_or_else(missing)?
            }
            _ => {
                return Err(Refusal::malformed(
                    "a block is named by its height, its hash or `latest`",
                ));
            }
        };
        // A block is stored a moment before its execution is; until then it is not shown.
        if height > self.height() {
            return Err(missing());
        }
        self.block_at(height)?.ok_or_else(missing)
    }

    /// The record of an epoch.
    pub(crate) fn record(&self, epoch: u64) -> Answer<Option<Arc<EpochRecord>>> {
        let current = self.node().current();
        if current.epoch == epoch {
            return Ok(Some(current));
        }
        if let Some(record) = lock(&self.records().epochs).get(&epoch) {
            return Ok(Some(Arc::clone(record)));
        }
        let record = match self.log().epoch(epoch).map_err(Refusal::internal)? {
            Some(link) => Arc::new(link.record),
            None if epoch == 0 => Arc::new(self.node().genesis().record0()),
            None => return Ok(None),
        };
        let mut epochs = lock(&self.records().epochs);
        epochs.insert(epoch, Arc::clone(&record));
        if epochs.len() > MAX_RECORDS {
            epochs.pop_first();
        }
        Ok(Some(record))
    }

    /// The record of an epoch that a stored object names: its absence is this node's failure.
    pub(crate) fn known_record(&self, epoch: u64) -> Answer<Arc<EpochRecord>> {
        self.record(epoch)?
            .ok_or_else(|| Refusal::internal(format!("the record of epoch {epoch} is missing")))
    }

    /// A committed and executed transaction.
    pub(crate) fn tx(&self, id: &Digest) -> Answer<Option<TxRecord>> {
        self.log().tx(id).map_err(Refusal::internal)
    }

    /// Ids of the transactions that a block executed, in their order.
    pub(crate) fn ids_at(&self, height: u64) -> Answer<Vec<Digest>> {
        match self.log().result(height).map_err(Refusal::internal)? {
            Some(result) => Ok(result.envelopes),
            None => {
                self.kept(height)?;
                Err(Refusal::internal(format!(
                    "the result of block {height} is missing"
                )))
            }
        }
    }

    /// What is public about a committed transaction.
    pub(crate) fn envelope(&self, tx: &TxRecord) -> Answer<EnvelopeBody> {
        Ok(EnvelopeBody {
            version: 1,
            epoch: tx.epoch,
            key_id: self.known_record(tx.epoch)?.key_id(),
            suite: SUITE.to_owned(),
            size_class: tx.size_class,
            bytes: tx.bytes.len() as u64,
            expires_at_height: tx.expiry_height,
        })
    }
}
