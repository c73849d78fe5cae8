//! What a validator hears, and what that adds up to: R1 to R4, R8 to R11.

use std::collections::BTreeSet;

use tacit_consensus::{
    Digest,
    trace::{BlockFacts, GivenUp, Quorum, Statement, Transition},
};

use super::{MAX_LOOSE, Replica, WINDOW, highest_report};
use crate::oracle::Word;

impl Replica {
    pub(super) fn hear(&mut self, statement: &Statement, transition: &Transition) {
        let now = transition.now;
        if transition.forged && !matches!(statement, Statement::Help { .. }) {
            return;
        }
        match statement {
            Statement::Proposal(block) => {
                let known = self.blocks.contains_key(&block.id) || block.height <= self.root.0;
                let wanted = self.wants(&block.id);
                let old = block.view + WINDOW < self.view
                    || (block.view < self.view && self.first.contains_key(&block.view));
                if !self.over && !known && (wanted || !old) {
                    self.take(block, wanted, now);
                }
            }
            Statement::Response(block) => {
                if !self.over && self.wants(&block.id) {
                    self.take(block, true, now);
                }
            }
            Statement::Vote {
                epoch,
                finalize,
                view,
                height,
                block,
                voter,
            } => {
                let late = match finalize {
                    false => *view <= self.high.0,
                    true => *height <= self.root.0,
                };
                let ours = *voter == self.me || *epoch != self.terms.epoch || *voter >= self.terms.n;
                let near = *view <= self.view + WINDOW && *view + WINDOW >= self.view;
                if !self.over && !ours && !late && near && *view > 0 {
                    self.count(*finalize, *view, *height, *block, *voter, now);
                }
            }
            Statement::Timeout {
                epoch,
                view,
                high,
                voter,
            } => {
                let ours = *voter == self.me || *epoch != self.terms.epoch || *voter >= self.terms.n;
                if ours || self.over || high.view >= *view {
                    return;
                }
                if high.view > self.high.0 {
                    if !self.is_quorum(high) || high.finalize {
                        return;
                    }
                    self.lock(high, now);
                }
                if *view >= self.view && *view <= self.view + WINDOW {
                    self.relied.push((*voter, Word::Timeout(*view, high.view)));
                    self.count_timeout(*view, high.view, *voter, now);
                }
            }
            Statement::Help {
                epoch,
                certificate,
                timeout,
            } => {
                if *epoch == self.terms.epoch && !self.over {
                    self.help(certificate, timeout.as_ref(), transition);
                }
            }
            Statement::Request(_) => {}
        }
    }

    fn help(&mut self, quorum: &Quorum, tc: Option<&GivenUp>, transition: &Transition) {
        let now = transition.now;
        // Where a signature in it is wrong, what came before that counts: the certificate, if it was taken.
        let taken = !transition.forged || transition.stand.high_view == quorum.view;
        if !self.is_quorum(quorum) || !taken {
            return;
        }
        match quorum.finalize {
            true => self.finalize(quorum, now),
            false => self.lock(quorum, now),
        }
        if transition.forged {
            return;
        }
        if let Some(tc) = tc.filter(|tc| tc.view >= self.view && self.is_given_up(tc))
            && highest_report(tc) <= self.high.0
        {
            self.give_up(tc, now);
        }
    }

    /// R4, the part that needs no parent.
    pub(super) fn stands_alone(&self, block: &BlockFacts) -> bool {
        let excused = match &block.timeout {
            None => block.justify.view + 1 == block.view,
            Some(tc) => {
                tc.view + 1 == block.view
                    && self.is_given_up(tc)
                    && block.justify.view < tc.view
                    && highest_report(tc) <= block.justify.view
            }
        };
        let commit = block.commit.as_ref().is_none_or(|commit| {
            commit.finalize
                && commit.view > 0
                && self.is_quorum(commit)
                && commit.height <= block.justify.height
        });
        excused
            && commit
            && block.payload_fits
            && (block.chain, block.epoch) == (self.terms.chain, self.terms.epoch)
            && !block.justify.finalize
            && self.is_quorum(&block.justify)
            && block.justify.block == block.parent
            && block.justify.height + 1 == block.height
    }

    fn take(&mut self, block: &BlockFacts, wanted: bool, now: u64) {
        if !self.stands_alone(block) {
            return;
        }
        self.lock(&block.justify, now);
        if let Some(tc) = &block.timeout {
            self.give_up(tc, now);
        }
        if let Some(commit) = &block.commit {
            self.finalize(commit, now);
        }
        let first = self.first.get(&block.view).is_none_or(|first| *first == block.id);
        if first || wanted {
            self.first.entry(block.view).or_insert(block.id);
            self.blocks.insert(block.id, block.clone());
            if self.chain(&block.parent).is_none() {
                self.keep_loose(block);
            }
        }
    }

    /// Of blocks whose parent is missing, those of the highest views are kept.
    fn keep_loose(&mut self, block: &BlockFacts) {
        let mut loose = std::mem::take(&mut self.loose);
        loose.insert((block.view, block.id));
        loose.retain(|(_, id)| {
            let parent = self.blocks.get(id).map(|block| block.parent);
            parent.is_some_and(|parent| self.chain(&parent).is_none())
        });
        while loose.len() > MAX_LOOSE {
            if let Some((_, id)) = loose.pop_first() {
                self.blocks.remove(&id);
            }
        }
        self.loose = loose;
    }

    pub(super) fn sync(&mut self, block: &BlockFacts, proof: &Quorum, now: u64) {
        if self.over || block.height <= self.root.0 || block.epoch != self.terms.epoch {
            return;
        }
        // The path between the two is not in the trace, so only the quorum itself is looked at.
        self.check(
            proof.finalize && self.is_quorum(proof),
            "R8: synced to a block that is not final",
        );
        self.rely(proof);
        let below = self.descends(&block.id, &self.root.1);
        if !below {
            (self.final_views, self.final_from) = (BTreeSet::new(), block.view);
        }
        let mut id = block.id;
        self.blocks.insert(block.id, block.clone());
        while let Some(one) = self.blocks.get(&id).filter(|_| id != self.root.1) {
            self.final_views.insert(one.view);
            self.finals.insert(id);
            id = one.parent;
            if !below {
                break;
            }
        }
        self.root = (block.height, block.id);
        self.over = block.closes;
        self.asked.clear();
        self.enter(proof.view + 1, now);
    }

    pub(super) fn count(
        &mut self,
        finalize: bool,
        view: u64,
        height: u64,
        block: Digest,
        voter: u16,
        now: u64,
    ) {
        let word = match finalize {
            false => Word::Vote(view, block),
            true => Word::Finalize(view, block),
        };
        let votes = self.votes.entry((finalize, view)).or_default();
        if votes.contains_key(&voter) {
            return;
        }
        votes.insert(voter, (height, block));
        let alike = votes.iter().filter(|(_, vote)| **vote == (height, block));
        let signers: Vec<u16> = alike.map(|(voter, _)| *voter).collect();
        self.relied.push((voter, word));
        if signers.len() < self.quorum() {
            return;
        }
        let quorum = Quorum {
            view,
            height,
            block,
            finalize,
            signers,
        };
        match finalize {
            false => self.lock(&quorum, now),
            true => self.finalize(&quorum, now),
        }
    }

    pub(super) fn count_timeout(&mut self, view: u64, high: u64, voter: u16, now: u64) {
        let timeouts = self.timeouts.entry(view).or_default();
        timeouts.entry(voter).or_insert(high);
        let reports: Vec<(u16, u64)> = timeouts.iter().map(|(voter, high)| (*voter, *high)).collect();
        if reports.len() >= self.quorum() {
            self.give_up(&GivenUp { view, reports }, now);
        } else if reports.len() > self.faults() && self.last.given_up < view {
            self.enter(view, now);
        }
    }
}
