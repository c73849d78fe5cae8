//! What a validator says and commits: R5 to R9, and R16.

use std::collections::BTreeMap;

use tacit_consensus::{
    Digest,
    trace::{BlockFacts, Cause, Quorum, Record, Statement, Transition},
};

use super::{Kind, MANY_FAILED, Replica};
use crate::oracle::Word;

impl Replica {
    pub(super) fn say(&mut self, statement: &Statement, transition: &Transition, before: Option<&Record>) {
        match statement {
            Statement::Proposal(block) => self.say_proposal(block, transition),
            Statement::Vote {
                finalize: false,
                view,
                height,
                block,
                voter,
                ..
            } => {
                self.check(*voter == self.me, "R6: a vote in another's name");
                self.say_vote(*view, *block, transition, before);
                self.said.push(Word::Vote(*view, *block));
                self.count(false, *view, *height, *block, *voter, transition.now);
            }
            Statement::Vote {
                view, height, block, ..
            } => {
                self.say_finalize(*view, *block, before);
                self.said.push(Word::Finalize(*view, *block));
                self.count(true, *view, *height, *block, self.me, transition.now);
            }
            Statement::Timeout { view, high, .. } => {
                self.say_timeout(*view, high, transition, before);
                self.said.push(Word::Timeout(*view, high.view));
                self.count_timeout(*view, high.view, self.me, transition.now);
            }
            Statement::Help {
                certificate, timeout, ..
            } => {
                let sound =
                    self.is_quorum(certificate) && timeout.as_ref().is_none_or(|tc| self.is_given_up(tc));
                self.check(sound, "R11: help that does not hold");
            }
            Statement::Request(id) => drop(self.asked.insert(*id)),
            Statement::Response(block) => {
                let known = self.blocks.contains_key(&block.id);
                self.check(known, "R10: a block is served that was never here");
            }
        }
    }

    /// R5.
    fn say_proposal(&mut self, block: &BlockFacts, transition: &Transition) {
        let view = block.view;
        match self.proposals.get(&view) {
            Some(id) if *id == block.id => return,
            Some(_) => self.check(false, "S3: two proposals of one view"),
            None => {}
        }
        self.check(self.leader(view) == self.me, "R5: proposed without leading");
        self.check(
            view == self.view && !self.over,
            "R5: proposed in another view than its own",
        );
        let earlier = self.proposals.keys().next_back().is_none_or(|last| *last < view);
        self.check(earlier, "R5: proposed in a view before its last");
        let gave_up = self.given_up.keys().next_back().is_some_and(|last| *last >= view);
        self.check(!gave_up, "R5: proposed in a view that it had given up");
        let justify = &block.justify;
        let on_high = (justify.view, justify.height, justify.block) == self.high;
        self.check(on_high, "R5: does not extend its lock");
        let asked = matches!(transition.cause, Cause::Built { content: true, view: at, parent } if (at, parent) == (view, block.parent));
        let epilogue = self.chain(&block.parent) == Some(true);
        self.check(asked || epilogue, "R5: nobody built this");
        self.blocks.insert(block.id, block.clone());
        // Whatever lies on its disk of this view never left: it had no record.
        self.first.insert(view, block.id);
        self.accepted.insert(block.id);
        self.check(
            self.chain(&block.id).is_some(),
            "R4: a proposal that does not follow",
        );
        self.check(
            self.stored.contains(&block.id),
            "R13: a proposal left before it was stored",
        );
        let durable = transition.persisted.as_ref();
        let recorded = durable.is_some_and(|r| r.proposed > view || r.proposal == Some(block.id));
        self.check(recorded, "S3: a proposal left before its record");
        self.proposals.insert(view, block.id);
        self.newest.push((Kind::Proposal, view));
    }

    /// R6.
    fn say_vote(&mut self, view: u64, id: Digest, transition: &Transition, before: Option<&Record>) {
        match self.certified.get(&view) {
            Some(known) if *known == id => return,
            Some(_) => self.check(false, "S3: two votes in one view"),
            None => {}
        }
        self.check(
            view == self.view && !self.over,
            "R6: voted in another view than its own",
        );
        self.check(
            self.first.get(&view) == Some(&id),
            "R6: not the first proposal of the view",
        );
        let closed = self.chain(&id);
        self.check(
            closed.is_some(),
            "R6: voted for a block whose ancestors it cannot vouch for",
        );
        let parent = self.blocks.get(&id).map(|block| block.parent);
        let epilogue = parent.is_some_and(|parent| self.chain(&parent) == Some(true));
        self.check(
            epilogue || self.accepted.contains(&id),
            "R6: its application did not accept it",
        );
        let voted = before.map_or(0, |record| record.voted);
        self.check(view > voted, "R6: voted in a view before its last");
        let gave_up = before.map_or(0, |record| record.given_up);
        self.check(view > gave_up, "R6: voted in a view that it had given up");
        self.check(
            self.stored.contains(&id),
            "R13: a vote left before its block was stored",
        );
        let recorded = transition
            .persisted
            .as_ref()
            .is_some_and(|r| r.voted > view || r.vote == Some((view, id)));
        self.check(recorded, "S3: a vote left before its record");
        self.certified.insert(view, id);
        self.newest.push((Kind::Vote, view));
    }

    /// R7.
    fn say_finalize(&mut self, view: u64, id: Digest, before: Option<&Record>) {
        match self.finalized.get(&view) {
            Some(known) if *known == id => return,
            Some(_) => self.check(false, "S3: two finalize votes in one view"),
            None => {}
        }
        self.check(
            (self.high.0, self.high.2) == (view, id),
            "R7: finalized what is not its lock",
        );
        self.check(
            self.chain(&id).is_some() && !self.over,
            "R7: finalized an unknown block",
        );
        let last = before.map_or(0, |record| record.finalized);
        self.check(view > last, "R7: finalized a view before its last");
        let gave_up = self.given_up.keys().next_back().copied().unwrap_or(0);
        let gave_up = gave_up.max(before.map_or(0, |record| record.given_up));
        self.check(
            view > gave_up,
            "R7: finalized after giving up that view or a later one",
        );
        let durable = self.durable.as_ref();
        let recorded = durable.is_some_and(|r| r.finalized > view || r.finalize == Some((view, id)));
        self.check(recorded, "S3: a finalize vote left before its record");
        self.finalized.insert(view, id);
        self.newest.push((Kind::Finalize, view));
    }

    /// R9.
    fn say_timeout(&mut self, view: u64, high: &Quorum, transition: &Transition, before: Option<&Record>) {
        match self.given_up.get(&view) {
            Some(known) if *known == high.view => return,
            Some(_) => self.check(false, "S3: two timeouts of one view"),
            None => {}
        }
        self.check(
            view == self.view && !self.over,
            "R9: gave another view up than its own",
        );
        self.check(
            high.view == self.high.0 && high.view < view,
            "R9: reports another lock than its own",
        );
        self.check(high.view >= self.last.floor, "R15: denies what it finalized");
        let last = before.map_or(0, |record| record.given_up);
        self.check(view > last, "R9: gave a view up before its last");
        let finalized = self.finalized.keys().next_back().copied().unwrap_or(0);
        let finalized = finalized.max(before.map_or(0, |record| record.finalized));
        self.check(view > finalized, "R9: gave up a view that it finalized");
        let others = self.timeouts.get(&view).map_or(0, BTreeMap::len);
        let waited = transition.now >= self.entered + self.terms.min_timeout_ms;
        let reason = others > self.faults() || waited || self.passed_over(view);
        self.check(reason, "R9: gave a view up too early");
        let recorded = transition
            .persisted
            .as_ref()
            .is_some_and(|r| r.given_up > view || r.last_timeout == Some((view, high.view)));
        self.check(recorded, "S3: a timeout left before its record");
        self.given_up.insert(view, high.view);
        self.newest.push((Kind::Timeout, view));
    }

    /// R16. Whether the view's leader is passed over, by the blocks that are final here.
    fn passed_over(&self, view: u64) -> bool {
        let Some(tip) = self.final_views.last().copied() else {
            return false;
        };
        let n = u64::from(self.terms.n);
        let failed = |leader: u16| {
            let lost = (self.final_from..=tip)
                .rev()
                .take_while(|view| *view + (MANY_FAILED + 1) * n > tip)
                .filter(|view| self.leader(*view) == leader)
                .take_while(|view| !self.final_views.contains(view));
            (lost.count() as u64).min(MANY_FAILED)
        };
        let mut worst: Vec<(u64, u16)> = (0..self.terms.n)
            .map(|leader| (failed(leader), leader))
            .filter(|(failed, _)| *failed > 0)
            .collect();
        worst.sort_by_key(|(failed, leader)| (u64::MAX - failed, *leader));
        worst.truncate(self.faults());
        let leader = self.leader(view);
        let Some((failed, _)) = worst.iter().find(|(_, one)| *one == leader) else {
            return false;
        };
        let tried = match *failed {
            MANY_FAILED => (view / n).is_multiple_of(MANY_FAILED),
            failed => failed >= 2 && failed.is_power_of_two(),
        };
        !tried && leader != self.me && !self.first.contains_key(&view)
    }

    pub(super) fn is_final(&self, id: &Digest) -> bool {
        self.pending.is_some_and(|(_, _, end)| self.descends(&end, id))
    }

    /// R8.
    pub(super) fn commit(&mut self, height: u64, id: Digest) {
        self.check(height == self.root.0 + 1, "S2: not the next height");
        let parent = self
            .blocks
            .get(&id)
            .map(|block| (block.parent, block.view, block.closes));
        let Some((parent, view, closes)) = parent else {
            self.check(false, "R8: committed a block that was never here");
            return;
        };
        self.check(parent == self.root.1, "S2: not on the block before");
        self.check(self.is_final(&id), "R8: committed without a finalize quorum");
        self.check(!self.over, "R12: committed after the end of the epoch");
        self.root = (height, id);
        self.finals.insert(id);
        self.final_views.insert(view);
        self.over = closes;
    }
}
