//! Which envelopes of a block count: each once in the chain, of its epoch, not expired.

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{Digest, Epoch, Height};

use crate::{batch::Batch, envelope::Envelope};

/// The envelopes that counted and could come again: an envelope is good in one epoch, and until it expires, which is at
/// most [`crate::MAX_EXPIRY_WINDOW`] heights away. Who is past that is forgotten.
#[derive(Default)]
pub(super) struct Counted {
    ids: BTreeSet<Digest>,
    expiring: BTreeMap<Height, Vec<Digest>>,
}

impl Counted {
    /// Those of a block's batches that count, in order, and how many do not.
    pub(super) fn take<'a>(
        &mut self,
        chain: &Digest,
        epoch: Epoch,
        height: Height,
        batches: &'a [Batch],
    ) -> (Vec<(Digest, &'a Envelope)>, u64) {
        while let Some(oldest) = self.expiring.first_entry()
            && *oldest.key() < height
        {
            for id in oldest.remove() {
                self.ids.remove(&id);
            }
        }
        let (mut counted, mut idle) = (Vec::new(), 0);
        for envelope in batches.iter().flat_map(|batch| &batch.envelopes) {
            let id = envelope.id();
            if envelope.check(chain, epoch, height).is_err() || !self.ids.insert(id) {
                idle += 1;
                continue;
            }
            self.expiring.entry(envelope.expiry_height).or_default().push(id);
            counted.push((id, envelope));
        }
        (counted, idle)
    }

    /// No envelope outlives its epoch.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
