//! Envelopes on their way in: from this node's clients, and in batches that others made.

use std::sync::Arc;

use tacit_consensus::{Digest, Epoch, Millis, planted};
use tacit_ledger::{Batch, Envelope, OpenedEnvelope, encode};

use super::{BATCH_DELAY_MS, Effect, GossipVerdict, MAX_OPENED, Refused, Replica};

impl Replica {
    /// A client's envelope. The edge has opened it, so it is well formed and signed; balance and nonce are
    /// not looked at, because the answer would tell the host about private state.
    pub(super) fn submit(
        &mut self,
        now: Millis,
        reply: u64,
        envelope: Envelope,
        opened: Arc<OpenedEnvelope>,
    ) {
        let result = self.admit(now, envelope, opened);
        self.out.push(Effect::Submitted { reply, result });
    }

    fn admit(
        &mut self,
        now: Millis,
        envelope: Envelope,
        opened: Arc<OpenedEnvelope>,
    ) -> Result<Digest, Refused> {
        if self.me.is_none() {
            return Err(Refused::new(
                "node.no_epoch_key",
                "this node is not in the current set",
            ));
        }
        envelope
            .check(&self.chain, self.record.epoch, self.head.height)
            .map_err(|e| Refused::new(e.code(), e.to_string()))?;
        if self.public.is_ending() {
            return Err(Refused::new(
                "tx.epoch_closed",
                format!(
                    "epoch {} is closing; its successor's key is being made",
                    self.record.epoch
                ),
            ));
        }
        let id = envelope.id();
        if self.opened.contains_key(&id) || self.log().tx(&id)?.is_some() {
            return Ok(id);
        }
        let bytes = encode(&envelope).len();
        self.mempool
            .take_in(envelope, bytes)
            .map_err(|e| Refused::new("mempool.full", e.to_string()))?;
        self.keep_opened(opened);
        let (_, full) = self.mempool.open();
        if full {
            self.flush(now);
        } else {
            self.flush_at.get_or_insert(now + BATCH_DELAY_MS);
        }
        Ok(id)
    }

    /// Makes batches of what waits, and publishes them. What was taken in is not let go of: while blocks are slower than
    /// clients, it waits until there is room for another batch, and clients are refused once too much of it waits.
    pub(super) fn flush(&mut self, now: Millis) {
        self.flush_at = None;
        let (Some(author), Some(parts)) = (self.me, self.validator.as_ref()) else {
            return;
        };
        let signer = parts.node_signer.clone();
        while self.mempool.has_room(author)
            && let Some((sequence, envelopes)) = self.mempool.next_batch(|envelope| encode(envelope).len())
        {
            let batch = Batch::sign(
                self.chain,
                self.record.epoch,
                author,
                sequence,
                envelopes,
                &*signer,
            );
            let bytes = encode(&batch).len();
            if let Err(error) = self.mempool.insert(batch.digest(), batch.clone(), bytes, false) {
                tracing::warn!(%error, "own batch dropped");
                continue;
            }
            self.out.push(Effect::PublishBatch(Box::new(batch)));
        }
        if self.mempool.open().0 {
            self.flush_at = Some(now + BATCH_DELAY_MS);
        }
        self.update_work(now);
    }

    /// A gossiped batch: verified before it is forwarded.
    pub(super) fn gossiped_batch(&mut self, now: Millis, token: u64, batch: Batch) {
        let verdict = self.take_batch(now, batch, false);
        self.out.push(Effect::GossipVerdict { token, verdict });
    }

    /// Holds a batch if it is one of this epoch, signed by its author. `wanted` batches were asked for by
    /// digest because a block names them.
    pub(super) fn take_batch(&mut self, now: Millis, batch: Batch, wanted: bool) -> GossipVerdict {
        if batch.chain != self.chain {
            return GossipVerdict::Reject;
        }
        if batch.epoch != self.record.epoch {
            return GossipVerdict::Ignore;
        }
        let digest = batch.digest();
        if self.mempool.get(&digest).is_some() {
            return GossipVerdict::Accept;
        }
        let Some(author) = self.record.validators.get(usize::from(batch.author)) else {
            return GossipVerdict::Reject;
        };
        if batch.verify(&author.node_key).is_err() {
            return GossipVerdict::Reject;
        }
        // A batch that is already in the chain arrives late: it wants no block any more.
        if !wanted && self.has_batch(&digest) {
            return GossipVerdict::Ignore;
        }
        let bytes = encode(&batch).len();
        if self.mempool.insert(digest, batch.clone(), bytes, wanted).is_err() {
            return GossipVerdict::Ignore;
        }
        if self.opener.is_some() {
            self.out.push(Effect::Open(Box::new(batch)));
        }
        self.retry(now);
        GossipVerdict::Accept
    }

    /// Opened envelopes from the edge: kept for execution if they are of this epoch.
    pub(super) fn note_opened(&mut self, epoch: Epoch, envelopes: Vec<Arc<OpenedEnvelope>>) {
        if epoch == self.record.epoch {
            envelopes.into_iter().for_each(|opened| self.keep_opened(opened));
        }
    }

    fn keep_opened(&mut self, opened: Arc<OpenedEnvelope>) {
        if planted::has("plaintext_logged") {
            tracing::info!(call = ?borsh::to_vec(&opened.call), "opened");
        }
        if self.opened.len() < MAX_OPENED {
            self.opened.insert(opened.id, opened);
        }
    }
}
