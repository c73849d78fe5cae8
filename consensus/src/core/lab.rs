//! What those need who try out many runs of one core: twins and explorers of the state space. A node uses none
//! of it.

use super::{Building, Core};
use crate::types::{Digest, encode, hash};
use std::sync::Arc;

impl Core {
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
