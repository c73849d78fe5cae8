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

    /// A hash of all that decides what this core does next. Two cores of one validator with equal fingerprints do
    /// the same for ever, given the same inputs.
    pub fn fingerprint(&self) -> Digest {
        let proposals: Vec<_> = self
            .proposals
            .iter()
            .map(|(view, (id, _))| (*view, *id))
            .collect();
        let building = match self.building {
            Building::Idle => (0u8, Digest::ZERO, 0),
            Building::Asked { parent } => (1, parent, 0),
            Building::Declined { until } => (2, Digest::ZERO, until),
        };
        let marks = (self.behind_again, self.behind, self.work, self.now, self.wake);
        let fetches: Vec<_> = self
            .fetches
            .iter()
            .map(|(id, fetch)| (*id, fetch.facts()))
            .collect();
        hash(
            "core fingerprint",
            &[
                &encode(self.safety.record()),
                &encode(&self.pacemaker),
                &encode(&self.votes),
                &encode(&self.tree.facts()),
                &encode(&(proposals, &self.pending_commit, &self.finished)),
                &encode(&(fetches, building, marks)),
                &encode(&(&self.helped, &self.reported, &self.witnessed)),
                &encode(&self.reputation.facts()),
            ],
        )
    }
}
