//! A whole chain, from genesis to its newest block, checked offline: everything that public data can show.
//!
//! | what | is checked against | codes |
//! |---|---|---|
//! | place | network, epoch, height, parent, time | `chain.foreign` `epoch` `height` `parent` `time` |
//! | payload | its root in the header, bounds | `chain.payload` |
//! | finality | the commit certificate of the epoch's set; no two certified blocks of one height | `chain.certificate` `fork` `epilogue` |
//! | proposal | its leader's signature, the parent's certificate, timeouts, the certificate that it carries | `chain.proposer` `justify` `timeout` `carried` |
//! | batches | digest, author's signature, bounds | `chain.batch` `batch_author` |
//! | envelopes | each once, of its epoch, not expired; its receipt is there | `chain.receipt` `receipt_missing` |
//! | public lane | rules T1 to T7 and S1 to S9 on the state that the blocks before give: evidence, approvals, votes, collateral, contributions, the next epoch's record | `chain.registration` `policy` `suspension` `collateral` `share` `epoch_end` `epoch_record` `system` |
//! | execution | public and receipts root of every stated height, the supply, when the private root may change | `chain.public_root` `receipts_root` `supply` `private_root` `executed` |
//! | tables | what a node stores beside its blocks ([`audit_store`]) | `chain.result` `link` `index` `state` |
//!
//! [`Auditor`] takes blocks in their order and remembers the public state, what could still be repeated and what is not
//! yet stated: its memory does not grow with the number of blocks. The first defect ends it. A chain whose beginning was
//! pruned is followed by the links of its epochs ([`Auditor::link`]).
//!
//! What it cannot show: that the private state was executed as the rules say. That rests on the evidence of the
//! validators, which it checks, and on a quorum's signatures.

mod claims;
mod defect;
mod envelopes;
mod follow;
mod statements;
mod store;
mod summary;

use std::collections::BTreeMap;

use tacit_consensus::{Anchor, Committee, Digest, Height, Millis, View};

pub use claims::{SignatureCheck, SignatureClaim, Signed, first_bad};
pub use defect::{AuditError, Defect};
pub use store::audit_store;
pub use summary::AuditSummary;

use crate::{
    batch::Batch, chainlog::CommittedBlock, epoch::EpochRecord, genesis::Genesis, light::EpochLink,
    receipt::SealedReceipt, recovery::RecoveryMembers, state::PublicState,
};
use claims::Claims;
use envelopes::Counted;
use follow::check_follows;
use statements::Statements;

/// A block with everything public that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditBlock {
    /// The block and why it is final.
    pub committed: CommittedBlock,
    /// The batches that it names, in its order, up to the first one that is missing.
    pub batches: Vec<Batch>,
    /// The sealed receipts of the envelopes in them.
    pub receipts: BTreeMap<Digest, SealedReceipt>,
}

/// What a checked block gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The block's id.
    pub id: Digest,
    /// Its height.
    pub height: Height,
    /// The ids of its envelopes that count, in order.
    pub envelopes: Vec<Digest>,
    /// The root over their receipts.
    pub block_receipts: Digest,
    /// The root over all receipts so far, where it is known.
    pub receipts_root: Option<Digest>,
    /// The public root after it, where it is known.
    pub public_root: Option<Digest>,
}

/// The block that the next one grows from.
struct Head {
    id: Digest,
    height: Height,
    view: View,
    time_ms: Millis,
}

/// See the module.
pub struct Auditor<'a> {
    chain: Digest,
    members: RecoveryMembers,
    check: &'a SignatureCheck,
    claims: Claims,
    /// What the running epoch grows from.
    anchor: Anchor,
    head: Head,
    record: EpochRecord,
    committee: Committee,
    /// Ids of headers that were certified below a block which is still to come.
    promised: BTreeMap<Height, Digest>,
    /// None behind a pruned part.
    public: Option<PublicState>,
    counted: Counted,
    statements: Statements,
    summary: AuditSummary,
}

impl<'a> Auditor<'a> {
    /// Begins with a genesis whose origin the caller trusts; verifies all of it. `check` answers for signatures.
    pub fn new(genesis: &Genesis, check: &'a SignatureCheck) -> Result<Self, AuditError> {
        genesis.verify().map_err(|error| AuditError::new(0, error))?;
        let public = PublicState::genesis(genesis);
        let public_root = public.root(0).unwrap_or_default();
        let anchor = genesis.anchor(public_root, Digest::ZERO);
        let mut auditor = Self {
            chain: genesis.chain_id(),
            members: genesis.recovery.clone(),
            check,
            claims: Claims::new(),
            anchor,
            head: Head::of_anchor(&anchor),
            record: public.current().clone(),
            committee: public.committee(),
            promised: BTreeMap::new(),
            counted: Counted::default(),
            statements: Statements::genesis(anchor.executed),
            summary: AuditSummary {
                chain: genesis.chain_id(),
                registrations: genesis.validators.len() as u64,
                ..AuditSummary::default()
            },
            public: Some(public),
        };
        auditor.note_seats();
        Ok(auditor)
    }

    /// The height of the block that comes next.
    pub fn next_height(&self) -> Height {
        self.head.height.saturating_add(1)
    }

    /// The running epoch.
    pub fn record(&self) -> &EpochRecord {
        &self.record
    }

    /// The counts so far; what [`Self::finish`] fills in is not in them yet.
    pub fn summary(&self) -> &AuditSummary {
        &self.summary
    }

    /// The public state after the newest block; none behind a pruned part.
    pub fn public(&self) -> Option<&PublicState> {
        self.public.as_ref()
    }

    /// Follows the link to the next epoch in the place of the blocks of this one. To be called before any block, for each
    /// epoch that was pruned.
    pub fn link(&mut self, link: &EpochLink) -> Result<(), AuditError> {
        let EpochLink {
            header,
            proof,
            record,
        } = link;
        let height = header.height;
        let follow = || {
            self.check_place(header, None)?;
            if height < self.record.start_height {
                return Err(Defect::Height {
                    have: height,
                    need: self.record.start_height,
                });
            }
            self.check_commit(header, proof)?;
            check_follows(header, &self.record, record)?;
            self.check_recovery(record)
        };
        self.settled(height, follow())?;
        self.summary.certificates += 1;
        self.summary.pruned = Some(height.saturating_add(1));
        self.public = None;
        self.statements
            .skip_to(height, header.executed, header.epoch == 0);
        self.turn(header, record.clone());
        self.settle_if_full()
    }

    /// As [`Self::link`], where the closing block itself is there: what the kept blocks grow from.
    pub fn link_block(&mut self, link: &EpochLink, closing: &CommittedBlock) -> Result<(), AuditError> {
        let CommittedBlock { block, proof } = closing;
        let (height, epoch) = (link.header.height, self.record.epoch.saturating_add(1));
        let follow = || {
            if block.header != link.header {
                let what = "is of another block than the one that is kept";
                return Err(Defect::Link { epoch, what });
            }
            let (have, need) = (block.payload.root(), block.header.payload_root);
            if have != need {
                return Err(Defect::Payload { have, need });
            }
            self.check_commit(&block.header, proof)
        };
        self.settled(height, follow())?;
        self.link(link)
    }

    /// Goes on with the public lane from the state that the newest closing block left, right after it. Its root is compared
    /// with what the first header states of it.
    ///
    /// # Errors
    /// A state of another network, height or epoch.
    pub fn resume(&mut self, state: PublicState) -> Result<(), AuditError> {
        let height = self.head.height;
        if *state.chain() != self.chain {
            let (have, need) = (*state.chain(), self.chain);
            return Err(AuditError::new(height, Defect::Foreign { have, need }));
        }
        let root = state.root(height);
        let (Some(root), true) = (root, state.height() == height && *state.current() == self.record) else {
            let what = "the public state that is to follow is of another block";
            let epoch = self.record.epoch;
            return Err(AuditError::new(height, Defect::Record { epoch, what }));
        };
        self.statements.resume(height, root);
        self.public = Some(state);
        self.summary.resumed = true;
        self.note_seats();
        Ok(())
    }

    /// Checks the next block. After an error nothing more is to be asked.
    pub fn block(&mut self, block: &AuditBlock) -> Result<Audited, AuditError> {
        let height = self.next_height();
        let audited = self.follow(block);
        let audited = self.settled(height, audited)?;
        self.settle_if_full()?;
        Ok(audited)
    }

    /// Checks what was left open, and says what there was.
    pub fn finish(mut self) -> Result<AuditSummary, AuditError> {
        self.settle()?;
        self.summary.height = self.head.height;
        self.summary.head = self.head.id;
        self.summary.time_ms = self.head.time_ms;
        self.summary.epoch = self.record.epoch;
        self.summary.signatures = self.claims.checked();
        self.summary.certified = *self.statements.stated();
        Ok(self.summary)
    }

    /// A defect counts only if no signature asked about before is bad: that one came first.
    fn settled<T>(&self, height: Height, result: Result<T, Defect>) -> Result<T, AuditError> {
        result.or_else(|defect| {
            self.settle()?;
            Err(AuditError::new(height, defect))
        })
    }

    fn settle_if_full(&self) -> Result<(), AuditError> {
        if self.claims.is_full() {
            self.settle()?;
        }
        Ok(())
    }

    pub(crate) fn settle(&self) -> Result<(), AuditError> {
        self.claims
            .settle(self.check)
            .map_err(|claim| AuditError::of_claim(&claim))
    }
}

impl Head {
    fn of_anchor(anchor: &Anchor) -> Self {
        Self {
            id: anchor.block,
            height: anchor.height,
            view: 0,
            time_ms: anchor.time_ms,
        }
    }
}
