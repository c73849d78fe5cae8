//! One block after the other: what each must be, given all before it.

use std::collections::{BTreeMap, BTreeSet};

use tacit_attest::Platform;
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Digest, Header, Height, Payload, Phase, Scheme,
};

use super::{AuditBlock, Audited, Auditor, Defect, Head, Signed};
use crate::{
    batch::Batch, chainlog::CommittedBlock, epoch::EpochRecord, limits::SEALED_RECEIPT_BYTES,
    receipt::block_receipts_root, recovery::RecoveryScope, registration::PROTOCOL_VERSION,
    state::SystemError, system::SystemTx,
};

impl Auditor<'_> {
    pub(super) fn follow(&mut self, block: &AuditBlock) -> Result<Audited, Defect> {
        let CommittedBlock { block: inner, proof } = &block.committed;
        let header = &inner.header;
        self.check_place(header, Some(self.next_height()))?;
        let (have, max) = (self.record.protocol, PROTOCOL_VERSION);
        if have > max {
            return Err(Defect::Protocol { have, max });
        }
        if header.parent != self.head.id {
            let (have, need) = (header.parent, self.head.id);
            return Err(Defect::Parent { have, need });
        }
        if !inner.payload.is_bounded() {
            return Err(Defect::PayloadBound);
        }
        let (have, need) = (inner.payload.root(), header.payload_root);
        if have != need {
            return Err(Defect::Payload { have, need });
        }
        self.check_commit(header, proof)?;
        self.check_promise(header, proof)?;
        self.check_proposal(inner)?;
        self.statements.check(&header.executed, self.head.height)?;
        self.check_batches(inner, &block.batches)?;

        let public_root = self.play(inner)?;
        let next = self.next_record(inner)?;
        let audited = self.count(block, public_root, next.is_some())?;
        self.head = Head {
            id: audited.id,
            height: header.height,
            view: header.view,
            time_ms: header.time_ms,
        };
        if let Some(record) = next {
            self.turn(header, record);
        }
        self.summary.blocks += 1;
        self.summary.certificates += 1;
        Ok(audited)
    }

    /// Network, epoch, height and time.
    pub(super) fn check_place(&self, header: &Header, height: Option<Height>) -> Result<(), Defect> {
        if header.chain != self.chain {
            let (have, need) = (header.chain, self.chain);
            return Err(Defect::Foreign { have, need });
        }
        if let Some(need) = height.filter(|need| *need != header.height) {
            let have = header.height;
            return Err(Defect::Height { have, need });
        }
        if header.epoch != self.record.epoch {
            let (have, need) = (header.epoch, self.record.epoch);
            return Err(Defect::Epoch { have, need });
        }
        if header.time_ms <= self.head.time_ms {
            let (have, parent) = (header.time_ms, self.head.time_ms);
            return Err(Defect::Time { have, parent });
        }
        Ok(())
    }

    /// That a quorum of the epoch's set made the header final.
    pub(super) fn check_commit(&self, header: &Header, proof: &CommitProof) -> Result<(), Defect> {
        let signed = Signed::Commit;
        let scheme = self.claims.at(header.height, signed);
        proof
            .verify(header.id(), &self.chain, &self.committee, scheme)
            .map_err(|source| {
                let what = signed.name();
                Defect::Proof { what, source }
            })?;
        let certified = proof.path.last().unwrap_or(header);
        let certificate = &proof.certificate;
        if certificate.view != certified.view || certificate.height != certified.height {
            let what = "it is of another view or height than the block that it names";
            return Err(Defect::Misfit { signed, what });
        }
        if proof
            .path
            .first()
            .is_some_and(|child| header.height.checked_add(1) != Some(child.height))
        {
            let what = "its path does not begin above the block";
            return Err(Defect::Misfit { signed, what });
        }
        if header.next_epoch.is_some() {
            proof
                .path
                .iter()
                .try_for_each(|one| check_epilogue(header, one))?;
        }
        Ok(())
    }

    /// A certificate of a later block certifies all headers on its path: they must turn out to be the chain.
    fn check_promise(&mut self, header: &Header, proof: &CommitProof) -> Result<(), Defect> {
        let theirs = header.id();
        if let Some(ours) = self
            .promised
            .remove(&header.height)
            .filter(|ours| *ours != theirs)
        {
            return Err(Defect::Fork { ours, theirs });
        }
        if header.next_epoch.is_some() {
            return Ok(()); // epilogue blocks do not become part of the chain
        }
        for later in &proof.path {
            let theirs = later.id();
            let ours = *self.promised.entry(later.height).or_insert(theirs);
            if ours != theirs {
                return Err(Defect::Fork { ours, theirs });
            }
        }
        Ok(())
    }

    /// R4: why the leader of this view could propose this block.
    fn check_proposal(&mut self, block: &Block) -> Result<(), Defect> {
        let Block {
            header,
            justify,
            timeout,
            commit,
            ..
        } = block;
        let height = header.height;
        let leader = self.committee.leader(header.view);
        let key = self.committee.key(leader).ok_or(Defect::Misfit {
            signed: Signed::Proposal,
            what: "its view has no leader",
        })?;
        let message = block.signed_header().message();
        self.claims
            .at(height, Signed::Proposal)
            .verify(key, &message.0, &block.signature);

        let misfit = |signed, what| Err(Defect::Misfit { signed, what });
        let first = self.head.height == self.anchor.height;
        if first {
            if *justify != Certificate::genesis(&self.anchor) {
                return misfit(
                    Signed::Justify,
                    "it is not that of the block that the epoch grows from",
                );
            }
        } else {
            let of_parent = (justify.block, justify.height, justify.view)
                == (self.head.id, self.head.height, self.head.view);
            if !of_parent {
                return misfit(Signed::Justify, "it certifies another block than the parent");
            }
            self.check_certificate(height, justify, Phase::Certify, Signed::Justify)?;
        }
        let Some(expected) = header.view.checked_sub(1) else {
            return misfit(Signed::Proposal, "view 0 is nobody's");
        };
        match timeout {
            None if justify.view != expected => {
                return misfit(Signed::Timeout, "views were left out, and none is there");
            }
            None => {}
            Some(tc) => {
                if tc.view != expected || justify.view >= tc.view || tc.max_high_view() > justify.view {
                    return misfit(Signed::Timeout, "it does not excuse the views that were left out");
                }
                let scheme = self.claims.at(height, Signed::Timeout);
                tc.verify(&self.chain, &self.committee, scheme)
                    .map_err(|source| Defect::Certificate {
                        signed: Signed::Timeout,
                        source,
                    })?;
                self.summary.certificates += 1;
            }
        }
        let Some(commit) = commit else { return Ok(()) };
        if commit.height > justify.height {
            return misfit(Signed::Carried, "it is not of an ancestor");
        }
        self.check_certificate(height, commit, Phase::Finalize, Signed::Carried)?;
        // The newest blocks are known by their ids: a certificate of another one is a second history.
        let known = self
            .public
            .as_ref()
            .and_then(|state| state.block_id(commit.height));
        match known.filter(|ours| **ours != commit.block) {
            Some(ours) => Err(Defect::Fork {
                ours: *ours,
                theirs: commit.block,
            }),
            None => Ok(()),
        }
    }

    fn check_certificate(
        &mut self,
        height: Height,
        certificate: &Certificate,
        phase: Phase,
        signed: Signed,
    ) -> Result<(), Defect> {
        if certificate.phase != phase {
            let what = "it is of the other phase";
            return Err(Defect::Misfit { signed, what });
        }
        let scheme = self.claims.at(height, signed);
        certificate
            .verify(&self.chain, &self.committee, scheme)
            .map_err(|source| Defect::Certificate { signed, source })?;
        self.summary.certificates += 1;
        Ok(())
    }

    fn check_batches(&mut self, block: &Block, batches: &[Batch]) -> Result<(), Defect> {
        let named = &block.payload.batches;
        if let Some(digest) = named.get(batches.len()) {
            return Err(Defect::BatchMissing { digest: *digest });
        }
        if batches.len() > named.len() {
            let (have, need) = (batches.len(), named.len());
            return Err(Defect::BatchCount { have, need });
        }
        let scheme = self.claims.at(block.header.height, Signed::Batch);
        for (index, (batch, need)) in batches.iter().zip(named).enumerate() {
            let (have, need) = (batch.digest(), *need);
            if have != need {
                return Err(Defect::BatchOther { index, have, need });
            }
            let author = self.record.validators.get(usize::from(batch.author));
            let author = author.filter(|_| batch.chain == self.chain && batch.epoch == self.record.epoch);
            let author = author.ok_or(Defect::BatchPlace {
                index,
                chain: batch.chain,
                epoch: batch.epoch,
                author: batch.author,
            })?;
            batch
                .verify_with(&author.node_key, scheme)
                .map_err(|source| Defect::Batch { index, source })?;
        }
        self.summary.batches += batches.len() as u64;
        Ok(())
    }

    /// The public lane; gives the root after the block where the state is known.
    fn play(&mut self, block: &Block) -> Result<Option<Digest>, Defect> {
        let txs = decoded(&block.payload)?;
        let root = match &mut self.public {
            Some(state) => Some(state.apply(block).map_err(|error| of_kind(error, &txs))?),
            None => None,
        };
        for tx in &txs {
            let count = match tx {
                SystemTx::Contribute(_) => &mut self.summary.contributions,
                SystemTx::Collateral(_) => &mut self.summary.collateral,
                SystemTx::Suspend(_) | SystemTx::Convict(_) => &mut self.summary.suspensions,
                SystemTx::Register(_) => &mut self.summary.registrations,
                _ => continue,
            };
            *count += 1;
        }
        if let Some(state) = &self.public {
            let adopted = state.policies().filter(|policy| {
                let adoption = policy.adoption.as_ref();
                adoption.is_some_and(|adoption| adoption.height == block.header.height)
            });
            self.summary.policies += adopted.count() as u64;
        }
        Ok(root)
    }

    /// The record of the next epoch, of a closing block.
    fn next_record(&self, block: &Block) -> Result<Option<EpochRecord>, Defect> {
        if block.header.next_epoch.is_none() {
            return Ok(None);
        }
        // With a known state it was just checked that the two are the same.
        let record = match &self.public {
            Some(state) => Some(state.current().clone()),
            None => decoded(&block.payload)?.into_iter().find_map(|tx| match tx {
                SystemTx::CloseEpoch(record) => Some(record),
                _ => None,
            }),
        };
        let epoch = self.record.epoch.saturating_add(1);
        let what = "the block names it and does not carry it";
        let record = record.ok_or(Defect::Record { epoch, what })?;
        check_follows(&block.header, &self.record, &record)?;
        self.check_recovery(&record)?;
        Ok(Some(record))
    }

    /// Envelopes and their receipts.
    fn count(
        &mut self,
        block: &AuditBlock,
        public_root: Option<Digest>,
        closes: bool,
    ) -> Result<Audited, Defect> {
        let header = &block.committed.block.header;
        let (counted, idle) = self
            .counted
            .take(&self.chain, header.epoch, header.height, &block.batches);
        let mut leaves = Vec::with_capacity(counted.len());
        let mut unopened = 0;
        for (id, _) in &counted {
            let id = *id;
            let sealed = block.receipts.get(&id).ok_or(Defect::ReceiptMissing { id })?;
            let (have, need) = (sealed.0.len(), SEALED_RECEIPT_BYTES);
            if have != need {
                return Err(Defect::ReceiptSize { id, have, need });
            }
            unopened += u64::from(sealed.is_unopened(&id));
            leaves.push(sealed.leaf(&id));
        }
        let envelopes: Vec<Digest> = counted.iter().map(|(id, _)| *id).collect();
        let block_receipts = block_receipts_root(&leaves);
        let opened = (envelopes.len() as u64).saturating_sub(unopened);
        let keys = closes && header.epoch == 0;
        self.statements
            .computed(header.height, public_root, block_receipts, opened > 0, keys);
        self.summary.envelopes += envelopes.len() as u64;
        self.summary.unopened += unopened;
        self.summary.idle += idle;
        Ok(Audited {
            id: header.id(),
            height: header.height,
            envelopes,
            block_receipts,
            receipts_root: self.statements.receipts_root(),
            public_root,
        })
    }

    /// A recovery package stands in the record exactly where genesis names members, and has their number of shares. That they
    /// open, and to what, only holders of secrets can tell.
    pub(super) fn check_recovery(&self, record: &EpochRecord) -> Result<(), Defect> {
        let epoch = record.epoch;
        let scope = RecoveryScope {
            chain: &self.chain,
            epoch,
            members: &self.members,
        };
        match &record.recovery {
            None if self.members.is_none() => Ok(()),
            None => {
                let what = "it carries no shares for the recovery members";
                Err(Defect::Record { epoch, what })
            }
            Some(package) => scope
                .check_shape(package)
                .map_err(|source| Defect::Recovery { epoch, source }),
        }
    }

    /// The next epoch grows from `closing`.
    pub(super) fn turn(&mut self, closing: &Header, record: EpochRecord) {
        self.anchor = Anchor {
            epoch: record.epoch,
            block: closing.id(),
            height: closing.height,
            time_ms: closing.time_ms,
            executed: closing.executed,
        };
        self.head = Head::of_anchor(&self.anchor);
        self.committee = record.committee();
        self.record = record;
        self.promised.clear();
        self.counted.clear();
        self.summary.turns += 1;
        self.note_seats();
    }

    /// Who sits, and on what.
    pub(super) fn note_seats(&mut self) {
        let seated = self.public.as_ref().map(|state| &state.seated().registrations);
        let mut platforms: BTreeMap<&str, Platform> = BTreeMap::new();
        for one in seated.into_iter().flatten() {
            platforms.insert(&one.registration.name, one.registration.evidence.platform);
        }
        for seat in &self.record.validators {
            let known: &mut BTreeSet<Platform> =
                self.summary.validators.entry(seat.name.clone()).or_default();
            known.extend(platforms.get(seat.name.as_str()));
        }
    }
}

/// What every closing header and its record must satisfy by themselves, as a light client checks it.
pub(super) fn check_follows(
    closing: &Header,
    current: &EpochRecord,
    next: &EpochRecord,
) -> Result<(), Defect> {
    let epoch = current.epoch.saturating_add(1);
    let wrong = |what| Err(Defect::Record { epoch, what });
    if closing.next_epoch != Some(next.digest()) {
        return wrong("the closing header names another one");
    }
    if next.epoch != epoch {
        return wrong("it is of another epoch");
    }
    if closing.height.checked_add(1) != Some(next.start_height) {
        return wrong("it begins at another height");
    }
    if closing.time_ms != next.start_ms {
        return wrong("it begins at another time");
    }
    next.check_shape().map_err(|what| Defect::RecordShape { what })
}

/// R12: what follows a closing block in its epoch orders nothing and states nothing new.
fn check_epilogue(closing: &Header, header: &Header) -> Result<(), Defect> {
    let wrong = |what| Err(Defect::Epilogue { what });
    if header.payload_root != Payload::default().root() {
        return wrong("it has a payload");
    }
    if header.executed != closing.executed {
        return wrong("it states another execution");
    }
    if header.next_epoch.is_some() {
        return wrong("it closes the epoch again");
    }
    Ok(())
}

fn decoded(payload: &Payload) -> Result<Vec<SystemTx>, Defect> {
    let decode = |(index, bytes): (usize, &Vec<u8>)| {
        SystemTx::decode(bytes).map_err(|source| Defect::Unreadable { index, source })
    };
    payload.system.iter().enumerate().map(decode).collect()
}

/// Names the kind of the transaction that broke a rule.
fn of_kind(error: SystemError, txs: &[SystemTx]) -> Defect {
    let kind = match &error {
        SystemError::Refused { index, .. } => txs.get(*index).map(SystemTx::kind),
        _ => None,
    };
    match kind {
        Some(kind) => Defect::Ordinary { kind, source: error },
        None => Defect::System(error),
    }
}
