//! A node's folder: its blocks, and what it stores beside them.

use std::collections::{BTreeMap, VecDeque};

use tacit_consensus::{Digest, Executed, Height, hash};

use super::{AuditBlock, AuditError, AuditSummary, Audited, Auditor, Defect, SignatureCheck};
use crate::{
    batch::Batch,
    chainlog::{BlockResult, ChainLog, CommittedBlock, StoredReceipt, TxRecord},
    codec::encode,
    columns::{Column, PUBLIC_KEY, meta},
    genesis::Genesis,
    light::EpochLink,
    snapshot::{PublicSnapshot, SnapshotId, SnapshotKind},
    store::{Store, StoreError},
    system::SystemTx,
};

/// Blocks read at once: at most 32 MiB.
const READ: usize = 16;

/// Checks a whole store against a genesis whose origin the caller trusts. `check` answers for signatures; `seen` hears of
/// each block that was followed.
///
/// # Errors
/// The first defect. What cannot be read at all is one too.
pub fn audit_store(
    store: &dyn Store,
    genesis: &Genesis,
    check: &SignatureCheck,
    seen: &mut dyn FnMut(Height),
) -> Result<AuditSummary, AuditError> {
    let mut reader = Reader {
        log: ChainLog::new(store),
        store,
        auditor: Auditor::new(genesis, check)?,
        unstated: VecDeque::new(),
        state: None,
    };
    reader.check_meta(genesis)?;
    reader.load_state()?;
    reader.begin()?;
    reader.blocks(seen)?;
    reader.check_newest()?;
    reader.check_state_reached()?;
    reader.auditor.finish()
}

struct Reader<'a> {
    log: ChainLog<'a>,
    store: &'a dyn Store,
    auditor: Auditor<'a>,
    /// Stored results that no header has stated yet, with what the blocks give.
    unstated: VecDeque<(BlockResult, Audited)>,
    /// Height and hash of the stored public state, until that height is reached.
    state: Option<(Height, Digest)>,
}

impl Reader<'_> {
    fn check_meta(&self, genesis: &Genesis) -> Result<(), AuditError> {
        let wrong = |defect| Err(AuditError::new(0, defect));
        let get = |key| {
            self.store
                .get(Column::Meta, key)
                .map_err(|error| AuditError::new(0, error))
        };
        let need = meta::FORMAT_VERSION;
        if let Some(format) = get(meta::FORMAT)?.filter(|format| *format != need.to_le_bytes()) {
            let have = hex::encode(format);
            return wrong(Defect::Format { have, need });
        }
        let need = genesis.chain_id();
        match get(meta::CHAIN)? {
            Some(chain) if chain != need.0 => {
                let have = <[u8; 32]>::try_from(chain).map_or(Digest::ZERO, Digest);
                wrong(Defect::Foreign { have, need })
            }
            _ => Ok(()),
        }
    }

    /// Follows links over what was pruned, as far as the store says that it was.
    fn begin(&mut self) -> Result<(), AuditError> {
        let at = |error: StoreError| AuditError::new(0, error);
        let lowest = self.log.blocks_from(0, 1).map_err(at)?;
        let links = self.log.epochs_from(0, 1).map_err(at)?;
        if lowest.is_empty() && links.is_empty() {
            return Err(AuditError::new(0, Defect::Empty));
        }
        let first = self.log.first().map_err(at)?;
        while self.auditor.next_height() < first {
            let epoch = self.auditor.record().epoch.saturating_add(1);
            let link = self.log.epoch(epoch).map_err(at)?;
            let Some(link) = link.filter(|link| link.header.height <= first) else {
                return Err(self.missing(Some(first)));
            };
            // A pruned node keeps the block that its oldest epoch grows from.
            match self.log.block(link.header.height) {
                Ok(Some(closing)) if link.header.height == first => {
                    self.auditor.link_block(&link, &closing)?;
                }
                Ok(_) => self.auditor.link(&link)?,
                Err(error) => return Err(self.defect_at(link.header.height, error)),
            }
            self.resume(&link)?;
        }
        Ok(())
    }

    /// Takes the public state after a closing block from the snapshot that is kept for newcomers, if it is there and the
    /// state is not known.
    fn resume(&mut self, link: &EpochLink) -> Result<(), AuditError> {
        if self.auditor.public().is_some() {
            return Ok(());
        }
        let (height, epoch) = (link.header.height, link.record.epoch);
        let at = |error: StoreError| AuditError::new(height, error);
        let kind = SnapshotKind::Public;
        let Some(manifest) = self.log.manifest(SnapshotId { kind, epoch }).map_err(at)? else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        for index in 0..manifest.count() {
            let chunk = self.log.chunk(&manifest, index).map_err(at)?;
            let Some(chunk) = chunk else { return Ok(()) };
            bytes.extend(chunk);
        }
        let (_, state) = PublicSnapshot::open(&bytes, &self.auditor.summary().chain, link)
            .map_err(|source| self.defect_at(height, Defect::Snapshot { epoch, source }))?;
        self.auditor.resume(state)
    }

    fn missing(&self, next: Option<Height>) -> AuditError {
        self.defect(Defect::BlockMissing { next })
    }

    /// A defect at the next height; a bad signature below comes first.
    fn defect(&self, defect: impl Into<Defect>) -> AuditError {
        self.defect_at(self.auditor.next_height(), defect)
    }

    fn defect_at(&self, height: Height, defect: impl Into<Defect>) -> AuditError {
        match self.auditor.settle() {
            Ok(()) => AuditError::new(height, defect),
            Err(earlier) => earlier,
        }
    }

    fn blocks(&mut self, seen: &mut dyn FnMut(Height)) -> Result<(), AuditError> {
        loop {
            let height = self.auditor.next_height();
            let read = self.log.blocks_from(height, READ);
            let blocks = match read {
                Ok(blocks) => blocks,
                // One of these cannot be read; those before it can be followed.
                Err(_) => {
                    let one = self.log.blocks_from(height, 1);
                    one.map_err(|error| self.defect(error))?
                }
            };
            if blocks.is_empty() {
                return self.nothing_above(height);
            }
            for committed in blocks {
                self.block(committed)?;
                seen(self.auditor.next_height().saturating_sub(1));
            }
        }
    }

    /// A block that is missing at the end shows only where something else was stored with it.
    fn nothing_above(&self, height: Height) -> Result<(), AuditError> {
        let result = self.log.result(height).map_err(|error| self.defect(error))?;
        match result {
            Some(_) => Err(self.missing(None)),
            None => Ok(()),
        }
    }

    fn block(&mut self, committed: CommittedBlock) -> Result<(), AuditError> {
        let height = self.auditor.next_height();
        let stored = self.log.block(height).map_err(|error| self.defect(error))?;
        if stored.is_none() {
            return Err(self.missing(Some(committed.block.header.height)));
        }
        let (batches, receipts) = self.load(&committed)?;
        let block = AuditBlock {
            receipts: receipts
                .iter()
                .map(|(id, stored)| (*id, stored.sealed.clone()))
                .collect(),
            committed,
            batches,
        };
        let audited = self.auditor.block(&block)?;
        let checked = self.check_tables(height, &block, &receipts, &audited);
        checked.map_err(|defect| self.defect_at(height, defect))?;
        if block.committed.block.header.next_epoch.is_some() {
            self.resume(&self.link_of(&block))?;
        }
        self.check_state()
    }

    /// The batches that a block names as far as they are there, and the receipts of what is in them.
    #[allow(clippy::type_complexity, reason = "said in the line above")]
    fn load(
        &self,
        committed: &CommittedBlock,
    ) -> Result<(Vec<Batch>, BTreeMap<Digest, StoredReceipt>), AuditError> {
        let mut batches = Vec::new();
        let mut receipts = BTreeMap::new();
        let payload = &committed.block.payload;
        let named = payload.batches.iter().filter(|_| payload.is_bounded());
        for digest in named {
            let batch = self.log.batch(digest).map_err(|error| self.defect(error))?;
            let Some(batch) = batch else { break };
            for envelope in &batch.envelopes {
                let id = envelope.id();
                let receipt = self.log.receipt(&id).map_err(|error| self.defect(error))?;
                receipts.extend(receipt.map(|receipt| (id, receipt)));
            }
            batches.push(batch);
        }
        Ok((batches, receipts))
    }

    /// What a node stores beside a block must lead to it, and say what it gives.
    fn check_tables(
        &mut self,
        height: Height,
        block: &AuditBlock,
        receipts: &BTreeMap<Digest, StoredReceipt>,
        audited: &Audited,
    ) -> Result<(), Defect> {
        let inner = &block.committed.block;
        let index = |column: Column, what| {
            let column = column.name();
            Err(Defect::Index { column, what })
        };
        if self.log.block_height(&audited.id)? != Some(height) {
            return index(Column::BlockIds, "height");
        }
        let envelopes: BTreeMap<Digest, _> = block
            .batches
            .iter()
            .flat_map(|batch| &batch.envelopes)
            .map(|envelope| (envelope.id(), envelope))
            .collect();
        for (place, id) in (0u32..).zip(&audited.envelopes) {
            let stands = |receipt: &&StoredReceipt| (receipt.height, receipt.index) == (height, place);
            if receipts.get(id).filter(stands).is_none() {
                return index(Column::Receipts, "envelopes");
            }
            let expected = envelopes.get(id).map(|envelope| TxRecord {
                id: *id,
                height,
                index: place,
                epoch: envelope.epoch,
                size_class: envelope.size_class(),
                expiry_height: envelope.expiry_height,
                bytes: encode(*envelope),
            });
            if self.log.tx(id)? != expected {
                return index(Column::Txs, "envelopes");
            }
        }
        let ordinary = inner
            .payload
            .system
            .iter()
            .filter_map(|bytes| SystemTx::decode(bytes).ok())
            .filter(SystemTx::is_ordinary);
        for (place, tx) in (0u32..).zip(ordinary) {
            let stored = self.log.system(&tx.id())?;
            if stored.is_none_or(|stored| (stored.height, stored.index) != (height, place)) {
                return index(Column::System, "transactions of the public lane");
            }
        }
        let result = self.log.result(height)?.ok_or(Defect::ResultMissing)?;
        self.unstated.push_back((result, audited.clone()));
        self.check_results(&inner.header.executed)?;
        self.check_link(block)
    }

    /// Compares stored results, once a header states what is right: what differs until then may as well be what the result
    /// was computed from.
    fn check_results(&mut self, stated: &Executed) -> Result<(), Defect> {
        while let Some((result, audited)) = self
            .unstated
            .pop_front_if(|(_, audited)| audited.height <= stated.height)
        {
            check_result(&result, &audited)?;
            let have = &result.executed;
            // A node without the private state stores none.
            let follower = have.private_root == Digest::ZERO && have.supply == 0;
            if audited.height != stated.height || follower {
                continue;
            }
            if have.private_root != stated.private_root {
                let what = "private root than a later header states";
                return Err(Defect::Result { what });
            }
            if have.supply != stated.supply {
                let what = "supply than a later header states";
                return Err(Defect::Result { what });
            }
        }
        Ok(())
    }

    /// How the epoch came to be that a closing block has just begun.
    fn link_of(&self, closing: &AuditBlock) -> EpochLink {
        EpochLink {
            header: closing.committed.block.header.clone(),
            proof: closing.committed.proof.clone(),
            record: self.auditor.record().clone(),
        }
    }

    fn check_link(&self, block: &AuditBlock) -> Result<(), Defect> {
        if block.committed.block.header.next_epoch.is_none() {
            return Ok(());
        }
        let expected = self.link_of(block);
        let epoch = expected.record.epoch;
        match self.log.epoch(epoch)? {
            None => {
                let what = "is missing";
                Err(Defect::Link { epoch, what })
            }
            Some(link) if link != expected => {
                let what = "is not what the closing block gives";
                Err(Defect::Link { epoch, what })
            }
            Some(_) => Ok(()),
        }
    }

    /// What no header states yet.
    fn check_newest(&self) -> Result<(), AuditError> {
        let check = |(result, audited): &(BlockResult, Audited)| check_result(result, audited);
        let checked = self.unstated.iter().try_for_each(check);
        checked.map_err(|defect| self.defect_at(self.auditor.next_height().saturating_sub(1), defect))
    }

    /// Notes the state from which a node goes on.
    fn load_state(&mut self) -> Result<(), AuditError> {
        let at = |error: StoreError| AuditError::new(0, error);
        let bytes = self.store.get(Column::Public, PUBLIC_KEY).map_err(at)?;
        // One that cannot be read is damaged, and not only another one.
        let state = self.log.public().map_err(at)?;
        self.state = bytes
            .zip(state)
            .map(|(bytes, state)| (state.height(), state_hash(&bytes)));
        Ok(())
    }

    /// It must be that of the blocks, to the byte.
    fn check_state(&mut self) -> Result<(), AuditError> {
        let height = self.auditor.next_height().saturating_sub(1);
        let Some((at, have)) = self.state.take_if(|(at, _)| *at == height) else {
            return Ok(());
        };
        let Some(own) = self.auditor.public() else {
            return Ok(());
        };
        let need = state_hash(&own.to_bytes());
        match have == need {
            true => Ok(()),
            false => Err(self.defect_at(height, Defect::State { at, have, need })),
        }
    }

    fn check_state_reached(&self) -> Result<(), AuditError> {
        let head = self.auditor.next_height().saturating_sub(1);
        match self.state {
            Some((at, _)) if at > head => Err(self.defect_at(head, Defect::StateAhead { at })),
            _ => Ok(()),
        }
    }
}

fn state_hash(bytes: &[u8]) -> Digest {
    hash("stored state", &[bytes])
}

/// A stored result against what its block gives.
fn check_result(result: &BlockResult, audited: &Audited) -> Result<(), Defect> {
    let executed = &result.executed;
    let differs = |known: Option<Digest>, stored: Digest| known.is_some_and(|known| known != stored);
    let checks = [
        ("height", executed.height != audited.height),
        ("public root", differs(audited.public_root, executed.public_root)),
        (
            "receipts root",
            differs(audited.receipts_root, executed.receipts_root),
        ),
        ("root of its receipts", result.receipts != audited.block_receipts),
        ("list of envelopes", result.envelopes != audited.envelopes),
    ];
    match checks.into_iter().find(|(_, wrong)| *wrong) {
        Some((what, _)) => Err(Defect::Result { what }),
        None => Ok(()),
    }
}
