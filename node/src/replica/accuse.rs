//! What a validator brings against another by itself: proofs of equivocation, and votes against whoever fills batches
//! with envelopes that do not open.

use std::collections::{BTreeMap, BTreeSet};

use tacit_attest::Suspension;
use tacit_consensus::{Block, Digest, EquivocationProof, Millis};
use tacit_ledger::{SuspendVote, SystemTx};

use super::{Effect, Replica};

/// Envelopes of one author that did not open, in one epoch, from which on a validator votes against it. An honest one opens
/// every envelope before it puts it into a batch, so one would be a fault; some are allowed for the turn of an epoch's key.
const MAX_UNOPENED: u32 = 16;

/// Envelopes that did not open, by who put them into a batch, in the epoch in force.
#[derive(Default)]
pub(super) struct Unopened {
    counts: BTreeMap<u16, u32>,
    voted: BTreeSet<u16>,
    /// Whether it was said that this validator itself was convicted.
    own_said: bool,
}

impl Replica {
    /// A validator signed what no honest one signs: everybody is to know. Its next seat is the ledger's to take.
    pub(super) fn convict(&mut self, now: Millis, proof: EquivocationProof) {
        let Ok(validator) = proof.verify(&self.chain, &self.committee, &*self.scheme) else {
            return;
        };
        self.out.push(Effect::Equivocation { validator });
        if let Err(refused) = self.bring_system(now, SystemTx::Convict(proof)) {
            tracing::info!(
                validator,
                code = refused.code,
                detail = refused.detail,
                "a proof of equivocation is not taken in"
            );
        }
    }

    /// A block with system transactions was executed: this validator may have been convicted in it.
    pub(super) fn note_conviction(&mut self) {
        let Some(key) = self.validator.as_ref().map(|parts| parts.signer.public()) else {
            return;
        };
        let convicted = self.public.convicted().any(|(convicted, _)| *convicted == key);
        if convicted && !std::mem::replace(&mut self.unopened.own_said, true) {
            tracing::error!(
                epoch = self.record.epoch,
                code = "identity.equivocation",
                "this validator was convicted: two contradicting statements by its key are on the chain. Another process \
                 holds its keys, or its disk was set back where nobody could tell it. It is out from the next epoch; stop all \
                 processes of it, find out how, then come back with new keys: tacit node rejoin"
            );
        }
    }

    /// A block was executed in which these envelopes did not open.
    pub(super) fn note_unopened(&mut self, now: Millis, block: &Block, unopened: &[Digest]) {
        // Without the epoch's secret nothing opens, whoever batched it.
        if unopened.is_empty() || self.opener.is_none() || block.header.epoch != self.record.epoch {
            return;
        }
        let mut left: BTreeSet<&Digest> = unopened.iter().collect();
        for digest in &block.payload.batches {
            let Some(batch) = self.batch(digest) else { continue };
            // An envelope counts where it stood first.
            let count = batch
                .envelopes
                .iter()
                .filter(|envelope| left.remove(&envelope.id()))
                .count();
            let of = self.unopened.counts.entry(batch.author).or_default();
            *of = of.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        }
        let guilty: Vec<u16> = self
            .unopened
            .counts
            .iter()
            .filter(|(author, count)| **count >= MAX_UNOPENED && !self.unopened.voted.contains(author))
            .map(|(author, _)| *author)
            .collect();
        for author in guilty {
            self.vote_against(now, author);
        }
    }

    fn vote_against(&mut self, now: Millis, author: u16) {
        let (Some(me), Some(parts)) = (self.me, self.validator.as_ref()) else {
            return;
        };
        let Some(seat) = self.record.validators.get(usize::from(author)) else {
            return;
        };
        if author == me {
            return;
        }
        let (name, key) = (seat.name.clone(), seat.consensus_key.0);
        let target = Suspension::Validator { key };
        let signer = parts.node_signer.clone();
        let vote = SuspendVote::sign(self.chain, self.record.epoch, target, me, &*signer);
        match self.bring_system(now, SystemTx::Suspend(vote)) {
            Ok(_) => {
                self.unopened.voted.insert(author);
                tracing::warn!(
                    epoch = self.record.epoch,
                    validator = name,
                    code = "suspend.unopened",
                    most = MAX_UNOPENED,
                    "a validator fills its batches with envelopes that do not open: this node votes against it"
                );
            }
            Err(refused) => tracing::info!(
                validator = name,
                code = refused.code,
                detail = refused.detail,
                "a vote against a validator whose envelopes do not open is not taken in"
            ),
        }
    }
}
