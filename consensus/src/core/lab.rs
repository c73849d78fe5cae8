//! What those need who examine a core: checkers of its bounds, twins and explorers of the state space. A node uses none
//! of it.

use super::{Building, Core};
use crate::limits::{MAX_ORPHANS, MAX_TREE_BLOCKS, MAX_VIEW_AHEAD, RECENT_COMMITTED, VIEWS_KEPT};
use crate::types::{Digest, encode, hash};
use std::sync::Arc;

/// How much a core keeps of what others send, in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Held {
    /// Votes of both phases.
    pub votes: usize,
    /// Timeouts.
    pub timeouts: usize,
    /// Proposals remembered.
    pub proposals: usize,
    /// Blocks above the committed root.
    pub blocks: usize,
    /// Blocks whose parent is missing.
    pub orphans: usize,
    /// Committed blocks kept to serve.
    pub recent: usize,
    /// Blocks asked for.
    pub fetches: usize,
    /// Validators of which something is remembered: statements, help, faults.
    pub validators: usize,
}

impl Held {
    /// The most that a core of `n` validators keeps, whatever they send (the certified branch aside, see
    /// `docs/protocol.md`, Bounds).
    pub fn most(n: usize) -> Self {
        let views = (VIEWS_KEPT + MAX_VIEW_AHEAD + 1) as usize;
        Self {
            votes: 2 * n * views,
            timeouts: n * views,
            proposals: VIEWS_KEPT as usize + 1,
            blocks: MAX_TREE_BLOCKS,
            orphans: MAX_ORPHANS,
            recent: RECENT_COMMITTED,
            fetches: MAX_ORPHANS + 2,
            validators: n,
        }
    }

    /// Whether none of it is more.
    pub fn is_within(&self, most: &Self) -> bool {
        self.votes <= most.votes
            && self.timeouts <= most.timeouts
            && self.proposals <= most.proposals
            && self.blocks <= most.blocks
            && self.orphans <= most.orphans
            && self.recent <= most.recent
            && self.fetches <= most.fetches
            && self.validators <= most.validators
    }
}

impl Core {
    /// What is kept now.
    pub fn held(&self) -> Held {
        let (votes, timeouts) = self.votes.sizes();
        let (blocks, orphans, recent) = self.tree.sizes();
        Held {
            votes,
            timeouts,
            proposals: self.proposals.len(),
            blocks,
            orphans,
            recent,
            fetches: self.fetches.len(),
            validators: self
                .witnessed
                .len()
                .max(self.helped.len())
                .max(self.reported.len()),
        }
    }

    /// The same core a second time. Only one of the two may ever speak on a network: together they would sign
    /// what contradicts itself.
    pub fn fork(&self) -> Self {
        Self {
            config: self.config,
            chain: self.chain,
            committee: self.committee.clone(),
            genesis: self.genesis.clone(),
            scheme: self.scheme.clone(),
            me: self.me,
            leaders: self.leaders.clone(),
            reputation: self.reputation.clone(),
            safety: self.safety.clone(),
            pacemaker: self.pacemaker.clone(),
            tree: self.tree.clone(),
            votes: self.votes.clone(),
            proposals: self.proposals.clone(),
            pending_commit: self.pending_commit.clone(),
            finished: self.finished.clone(),
            fetches: self.fetches.clone(),
            behind_again: self.behind_again,
            behind: self.behind,
            building: self.building,
            work: self.work,
            helped: self.helped.clone(),
            reported: self.reported.clone(),
            witnessed: self.witnessed.clone(),
            now: self.now,
            repeat: self.repeat,
            wake: self.wake,
            out: Vec::new(),
        }
    }

    /// Lets these validators lead, in turn from view 1 on, instead of the rotation. Every core of a network
    /// needs the same list, before its first input. Evidence against a leader only verifies under the rotation.
    pub fn lead_by(&mut self, leaders: Arc<[u16]>) {
        self.leaders = (!leaders.is_empty()).then_some(leaders);
    }

    /// A hash of what decides what this core can say, without its clocks: not how long a view has lasted or may last,
    /// when somebody was helped or a block asked for; nor what only evidence and [`Core::standing`] would tell. Two cores of one
    /// validator with equal outlines, given the same inputs and time enough before each, propose, vote, give up
    /// and commit the same.
    pub fn outline(&self) -> Digest {
        let proposals: Vec<_> = self
            .proposals
            .iter()
            .map(|(view, (id, _))| (*view, *id))
            .collect();
        let building = match self.building {
            Building::Idle => (0u8, Digest::ZERO),
            Building::Asked { parent } => (1, parent),
            Building::Declined { .. } => (2, Digest::ZERO),
        };
        hash(
            "core outline",
            &[
                &encode(&(self.view(), self.safety.record())),
                &encode(
                    &self
                        .votes
                        .open(self.high().view, self.tree.root_height(), self.view()),
                ),
                &encode(&self.tree.facts()),
                &encode(&(proposals, &self.pending_commit, &self.finished)),
                &encode(&(building, self.work)),
                &encode(&self.reputation.facts()),
            ],
        )
    }
}
