//! What a thief makes of keyrings that the platform's sealing key has opened, and of a chain: every epoch's secret that can
//! be had from them, by any way there is. Nothing is assumed of a keyring's format: each 32 bytes in it may be a key.

use std::collections::BTreeMap;

use tacit_consensus::{Digest, Epoch};
use tacit_ledger::{
    ChainLog, Contribution, Envelope, EpochRecord, EpochSecret, SealingPublic, SealingSecret, Share,
    StateKeys, Store, SystemTx, decrypt_checkpoint, decrypt_frame, open_envelope, open_share,
};

/// A chain as anybody has it.
pub struct Chain {
    /// Its chain id.
    pub id: Digest,
    /// Every epoch's record.
    pub records: BTreeMap<Epoch, EpochRecord>,
    /// What was dealt to each epoch.
    pub contributions: BTreeMap<Epoch, Vec<Contribution>>,
    /// By id: a batch may stand in the chain twice.
    pub envelopes: BTreeMap<Epoch, BTreeMap<Digest, Envelope>>,
}

impl Chain {
    /// The chain in a node's database.
    pub fn of(store: &dyn Store) -> Self {
        let log = ChainLog::new(store);
        let links = log.epochs_from(0, usize::MAX).expect("readable");
        let records = links.into_iter().map(|link| (link.record.epoch, link.record));
        let first = log.newest_blocks(None, 1).expect("readable");
        let mut chain = Self {
            id: first.first().expect("a block").block.header.chain,
            records: records.collect(),
            contributions: BTreeMap::new(),
            envelopes: BTreeMap::new(),
        };
        for committed in log.blocks_from(1, usize::MAX).expect("readable") {
            for bytes in &committed.block.payload.system {
                if let SystemTx::Contribute(one) = SystemTx::decode(bytes).expect("a final block's") {
                    chain.contributions.entry(one.epoch).or_default().push(one);
                }
            }
            let batches = committed.block.payload.batches.iter();
            for batch in batches.map(|digest| log.batch(digest).expect("readable").expect("named")) {
                for envelope in batch.envelopes {
                    let of_epoch = chain.envelopes.entry(envelope.epoch).or_default();
                    of_epoch.insert(envelope.id(), envelope);
                }
            }
        }
        chain
    }

    /// The secrets of all epochs that these bytes lead to.
    pub fn secrets(&self, plaintexts: &[Vec<u8>]) -> BTreeMap<Epoch, EpochSecret> {
        let windows = plaintexts.iter().flat_map(|bytes| bytes.windows(32));
        let candidates: std::collections::BTreeSet<[u8; 32]> = windows
            .map(|window| window.try_into().expect("32 bytes"))
            .collect();
        let mut found = BTreeMap::new();
        for candidate in candidates {
            let as_kem = SealingSecret::derive(&candidate);
            let as_secret = EpochSecret::from_bytes(candidate);
            let sealing = as_secret.sealing();
            for (epoch, record) in &self.records {
                if record.sealing_key.as_ref() == Some(sealing.public()) {
                    found.insert(*epoch, as_secret.clone());
                }
                let seat =
                    |key: &SealingPublic| record.validators.iter().position(|seat| seat.kem_key == *key);
                let dealt = seat(as_kem.public()).and_then(|me| self.combine(*epoch, me, &as_kem));
                if let Some(secret) = dealt {
                    found.insert(*epoch, secret);
                }
            }
        }
        found
    }

    /// A seat's shares on the ledger, opened and combined.
    fn combine(&self, epoch: Epoch, me: usize, kem: &SealingSecret) -> Option<EpochSecret> {
        let chain = &self.id;
        let me = u16::try_from(me).ok()?;
        let opened: Option<Vec<(Contribution, Share)>> = self
            .contributions
            .get(&epoch)?
            .iter()
            .map(|one| Some((one.clone(), open_share(kem, chain, one, me).ok()?)))
            .collect();
        Some(EpochSecret::combine(chain, epoch, &opened?))
    }

    /// How many of an epoch's envelopes open with what these bytes lead to, and how many there are.
    pub fn opened(&self, plaintexts: &[Vec<u8>], epoch: Epoch) -> (usize, usize) {
        let envelopes = &self.envelopes[&epoch];
        let Some(secret) = self.secrets(plaintexts).remove(&epoch) else {
            return (0, envelopes.len());
        };
        let sealing = secret.sealing();
        let open = |one: &&Envelope| open_envelope(&sealing, one).is_ok();
        (envelopes.values().filter(open).count(), envelopes.len())
    }

    /// Whether the frames and checkpoints on a disk open with what these bytes lead to: how many do, and how many there are.
    pub fn states(&self, plaintexts: &[Vec<u8>], store: &dyn Store) -> (usize, usize) {
        let log = ChainLog::new(store);
        let frames = log.frames_from(0, usize::MAX).expect("readable");
        let checkpoint = log.checkpoint().expect("readable");
        let total = frames.len() + usize::from(checkpoint.is_some());
        let secrets = self.secrets(plaintexts);
        let keys: Vec<StateKeys> = secrets
            .iter()
            .filter_map(|(epoch, secret)| StateKeys::unwrap(secret, &self.records[epoch].state_keys).ok())
            .collect();
        let frame = |(height, sealed): &&(u64, Vec<u8>)| {
            keys.iter()
                .any(|keys| decrypt_frame(&keys.data, *height, sealed).is_ok())
        };
        let whole = checkpoint.iter().filter(|(height, sealed)| {
            keys.iter()
                .any(|keys| decrypt_checkpoint(&keys.data, *height, sealed).is_ok())
        });
        (frames.iter().filter(frame).count() + whole.count(), total)
    }
}
