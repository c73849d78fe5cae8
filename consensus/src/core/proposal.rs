//! Proposals: checking and voting on those of others, building our own.

use super::{Building, Core};
use crate::block::{Block, Content, Header, Payload};
use crate::crypto::Scheme as _;
use crate::effect::Effect;
use crate::error::Refusal;
use crate::evidence::EquivocationProof;
use crate::limits::{BUILD_RETRY_MS, VIEWS_KEPT};
use crate::message::Message;
use crate::tree::{Parent, Verdict, follows};
use crate::types::{Digest, Signature, View};
use crate::vote::Phase;

impl Core {
    /// R4. Verifies a leader's block and takes in what it carries.
    pub(super) fn on_proposal(&mut self, block: Block) -> Result<(), Refusal> {
        let (id, view) = (block.id(), block.header.view);
        let known = self.tree.is_known(&id) || block.header.height <= self.tree.root_height();
        if self.finished.is_some() || known {
            return Ok(());
        }
        let wanted = self.fetches.contains_key(&id);
        let too_old = view.saturating_add(VIEWS_KEPT) < self.view();
        if !wanted && (too_old || (view < self.view() && self.proposals.contains_key(&view))) {
            return if too_old {
                Ok(())
            } else {
                self.check_second_proposal(id, &block)
            };
        }
        self.take_block(id, block, wanted)
    }

    /// Takes in a block that a leader sent, or (`wanted`) one that a certificate made us ask for.
    pub(super) fn take_block(&mut self, id: Digest, block: Block, wanted: bool) -> Result<(), Refusal> {
        let view = block.header.view;
        self.check_block(id, &block)?;
        self.witness_proposal(&block.signed_header());
        self.apply_certified(&block.justify)?;
        if let Some(tc) = &block.timeout {
            self.apply_tc(tc);
        }
        if let Some(commit) = &block.commit {
            self.apply_finalized(commit);
        }
        let second = self.check_second_proposal(id, &block);
        if second.is_err() && !wanted {
            return second;
        }
        self.proposals
            .entry(view)
            .or_insert_with(|| (id, block.signed_header()));
        if view == self.view() {
            self.pacemaker.seen(self.now);
        }
        let keep = self.high().block;
        self.tree.add(id, block, &keep).map(|_| ())
    }

    /// R14. Reports a leader that signed two blocks of one view.
    fn check_second_proposal(&mut self, id: Digest, block: &Block) -> Result<(), Refusal> {
        let view = block.header.view;
        let Some((_, first)) = self.proposals.get(&view).filter(|(first, _)| *first != id) else {
            return Ok(());
        };
        let leader = self.leader_of(view);
        if !self.reported.contains(&leader) {
            let proof = EquivocationProof::Proposals {
                first: Box::new(first.clone()),
                second: Box::new(block.signed_header()),
            };
            // The first was verified when it came in.
            if self.check_leader(id, block).is_ok() {
                self.report(leader, proof);
            }
        }
        Err(Refusal::SecondProposal(view))
    }

    /// R4. All that can be checked without the parent; cheap checks first.
    fn check_block(&self, id: Digest, block: &Block) -> Result<(), Refusal> {
        let Block { header, justify, .. } = block;
        let view = header.view;
        if header.chain != self.chain {
            return Err(Refusal::OtherChain);
        }
        self.check_epoch(header.epoch)?;
        if !block.payload.is_bounded() || block.payload.root() != header.payload_root {
            return Err(Refusal::Payload);
        }
        let excused = match &block.timeout {
            None => justify.view.checked_add(1) == Some(view),
            Some(tc) => {
                tc.view.checked_add(1) == Some(view)
                    && justify.view < tc.view
                    && tc.max_high_view() <= justify.view
            }
        };
        let attached = justify.block == header.parent && justify.height.checked_add(1) == Some(header.height);
        if !excused || !attached {
            return Err(Refusal::Unjustified(view));
        }
        if block
            .commit
            .as_ref()
            .is_some_and(|commit| commit.height > justify.height)
        {
            return Err(Refusal::Unjustified(view));
        }
        self.check_leader(id, block)?;
        self.check_certificate(justify, Phase::Certify)?;
        if let Some(tc) = &block.timeout {
            self.check_tc(tc)?;
        }
        if let Some(commit) = &block.commit {
            self.check_certificate(commit, Phase::Finalize)?;
        }
        Ok(())
    }

    fn check_leader(&self, id: Digest, block: &Block) -> Result<(), Refusal> {
        let leader = self.leader_of(block.header.view);
        let message = crate::block::proposal_message(&id, &block.parts());
        let key = self
            .committee
            .key(leader)
            .ok_or(Refusal::UnknownValidator(leader))?;
        if self.scheme.verify(key, &message.0, &block.signature) {
            Ok(())
        } else {
            Err(Refusal::Signature(leader))
        }
    }

    /// Blocks whose missing ancestor has come.
    pub(super) fn adopt_orphans(&mut self) {
        let keep = self.high().block;
        while let Some((_, outcome)) = self.tree.adopt(&keep) {
            if let Err(reason) = outcome {
                self.out.push(Effect::Refused { from: None, reason });
            }
        }
    }

    /// R6. Asks the application about the current view's proposal, and votes when it accepts. R12: nobody
    /// is asked about epilogue blocks, they are empty.
    pub(super) fn consider_proposal(&mut self) -> bool {
        let view = self.view();
        let Some((id, signed)) = self.proposals.get(&view) else {
            return false;
        };
        if self.finished.is_some() || !self.safety.may_vote(view) {
            return false;
        }
        let (id, parent) = (*id, signed.header.parent);
        match self.tree.verdict(&id) {
            Some(Verdict::Unasked) if self.tree.as_parent(&parent).is_some_and(|parent| parent.closed) => {
                self.tree.set_verdict(&id, Verdict::Accepted);
                true
            }
            Some(Verdict::Unasked) => {
                self.tree.set_verdict(&id, Verdict::Asked);
                self.out.extend(self.tree.get(&id).cloned().map(Effect::Validate));
                false
            }
            Some(Verdict::Accepted) => self.cast_vote(id),
            Some(Verdict::Asked | Verdict::Refused) | None => false,
        }
    }

    pub(super) fn on_validated(&mut self, block: &Digest, accepted: bool) -> Result<(), Refusal> {
        if self.tree.verdict(block) == Some(Verdict::Asked) {
            self.tree.set_verdict(
                block,
                if accepted {
                    Verdict::Accepted
                } else {
                    Verdict::Refused
                },
            );
        }
        Ok(())
    }

    /// R5. As leader: proposes the epilogue at once, asks the application for anything else.
    pub(super) fn ask_build(&mut self) -> bool {
        let Some((view, parent)) = self.may_lead() else {
            return false;
        };
        let high = self.high().block;
        if parent.closed {
            let content = Content {
                time_ms: self.now.max(parent.time_ms.saturating_add(1)),
                payload: Payload::default(),
                executed: parent.executed,
                next_epoch: None,
                commit: None,
            };
            let proposed = self.propose(view, &parent, content).is_ok();
            return proposed && !self.safety.may_propose(view);
        }
        let due = self.pacemaker.has_work() || self.now >= self.pacemaker.heartbeat_due();
        let waiting = match self.building {
            Building::Idle => false,
            Building::Asked { parent } => parent == high,
            Building::Declined { until } => self.now < until,
        };
        if due && !waiting {
            self.building = Building::Asked { parent: high };
            self.out.push(Effect::Build { view, parent: high });
        }
        false
    }

    /// The current view and the parent to extend, when it is ours to propose and we can justify it.
    fn may_lead(&self) -> Option<(View, Parent)> {
        let view = self.view();
        let ours = self.finished.is_none() && self.me == Some(self.leader()) && self.safety.may_propose(view);
        let high = self.high();
        let direct = high.view.saturating_add(1) == view;
        let excused = self
            .safety
            .tc()
            .is_some_and(|tc| tc.view.saturating_add(1) == view);
        let parent = self.tree.as_parent(&high.block)?;
        (ours && (direct || excused)).then_some((view, parent))
    }

    pub(super) fn on_built(
        &mut self,
        view: View,
        parent: Digest,
        content: Option<Content>,
    ) -> Result<(), Refusal> {
        if view != self.view() || self.building != (Building::Asked { parent }) || parent != self.high().block
        {
            return Ok(());
        }
        self.building = Building::Declined {
            until: self.now.saturating_add(BUILD_RETRY_MS),
        };
        let (Some(content), Some((view, parent))) = (content, self.may_lead()) else {
            return Ok(());
        };
        self.propose(view, &parent, content)
            .map_err(|reason| Refusal::OwnContent(Box::new(reason)))
    }

    /// R5. Signs, stores and sends our proposal, after the same checks that the others will make.
    fn propose(&mut self, view: View, parent: &Parent, content: Content) -> Result<(), Refusal> {
        let justify = self.high().clone();
        let direct = justify.view.saturating_add(1) == view;
        let header = Header {
            chain: self.chain,
            epoch: self.committee.epoch,
            height: justify.height.saturating_add(1),
            view,
            parent: justify.block,
            time_ms: content.time_ms,
            payload_root: content.payload.root(),
            executed: content.executed,
            next_epoch: content.next_epoch,
        };
        let block = Block {
            header,
            payload: content.payload,
            justify,
            timeout: if direct { None } else { self.safety.tc().cloned() },
            commit: content.commit,
            signature: Signature([0; 64]),
        };
        if !block.payload.is_bounded() {
            return Err(Refusal::Payload);
        }
        follows(parent, &block)?;
        if let Some(commit) = &block.commit {
            if commit.height > block.justify.height {
                return Err(Refusal::Unjustified(view));
            }
            self.check_certificate(commit, Phase::Finalize)?;
        }
        let Some(safe) = self.safety.propose(block) else {
            return Ok(());
        };
        let block = safe.release(&mut self.out);
        let (id, keep) = (block.id(), block.header.parent);
        self.proposals.insert(view, (id, block.signed_header()));
        self.tree.add(id, block.clone(), &keep)?;
        self.tree.set_verdict(&id, Verdict::Accepted);
        self.store_path(&id);
        self.pacemaker.seen(self.now);
        self.out
            .push(Effect::Broadcast(Message::Proposal(Box::new(block))));
        Ok(())
    }

    /// A block that we sign for must survive a restart, and so must what it stands on.
    pub(super) fn store_path(&mut self, id: &Digest) {
        self.out
            .extend(self.tree.take_unstored(id).into_iter().map(Effect::StoreBlock));
    }
}
