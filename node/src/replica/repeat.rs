//! Blocks that this validator followed without the epoch's secret, executed once the secret is here: the private state
//! reaches the head, and the validator votes again in the same epoch.

use tacit_consensus::{Digest, Executed, Height};
use tacit_ledger::{BlockResult, Durability, Envelope, MAX_ENVELOPE_BYTES, WriteBatch, decode};

use super::Replica;
use crate::NodeError;

impl Replica {
    /// Executes the stored blocks above the private state, up to the head, and stores what following them left out: frames,
    /// roots and own receipts. What headers state of these blocks is compared with what is found.
    ///
    /// # Errors
    /// When the store fails or lacks what the blocks hold (it was pruned), or when the result is not what was certified.
    pub(super) fn execute_followed(&mut self) -> Result<(), NodeError> {
        let Some(reached) = self.private.as_ref().map(|state| state.height()) else {
            return Ok(());
        };
        if reached < self.head.height {
            tracing::info!(
                from = reached + 1,
                to = self.head.height,
                "blocks that were followed without the epoch's secret are executed"
            );
        }
        for height in reached + 1..=self.head.height {
            let stated = self.execute_stored(height)?;
            let found = self.log().result(stated.height)?;
            if stated.height > reached && found.is_none_or(|found| found.executed != stated) {
                return Err(super::damaged(
                    "blocks executed again do not lead to the state that was certified",
                ));
            }
        }
        Ok(())
    }

    /// Executes a stored block of the epoch in force, and stores what was found. Gives what its header states of an earlier one.
    fn execute_stored(&mut self, height: Height) -> Result<Executed, NodeError> {
        let missing = |what: &str| super::damaged(&format!("{what} of block {height} is not on this disk"));
        let block = self
            .log()
            .block(height)?
            .ok_or_else(|| missing("the content"))?
            .block;
        let stored = self.log().result(height)?.ok_or_else(|| missing("the result"))?;
        let before = self.log().result(height - 1)?;
        let before = before
            .ok_or_else(|| missing("what precedes the result"))?
            .executed;
        let envelopes = self.stored_envelopes(&stored)?;
        let mut writes = WriteBatch::new();
        let results = self
            .execute_private(
                &block,
                &envelopes,
                (stored.executed.public_root, before.receipts_root),
                &mut writes,
            )
            .map_err(|error| super::damaged(&error))?;
        results.write(&mut writes, &envelopes);
        self.store.commit(writes, Durability::Lazy)?;
        self.unsynced = true;
        if let Some(known) = self.executed.get_mut(&height) {
            *known = results.executed;
        }
        Ok(block.header.executed)
    }

    /// The envelopes that counted in a stored block.
    fn stored_envelopes(&self, stored: &BlockResult) -> Result<Vec<(Digest, Envelope)>, NodeError> {
        let envelope = |id: &Digest| {
            let tx = self.log().tx(id)?;
            let tx = tx.ok_or_else(|| super::damaged(&format!("envelope {id} is not on this disk")))?;
            let envelope = decode(&tx.bytes, MAX_ENVELOPE_BYTES)
                .map_err(|error| super::damaged(&format!("envelope {id}: {error}")))?;
            Ok((*id, envelope))
        };
        stored.envelopes.iter().map(envelope).collect()
    }
}
