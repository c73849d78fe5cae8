//! Commits: from a finalize certificate to final blocks, and the end of the epoch.

use super::Core;
use crate::block::Block;
use crate::certificate::{Certificate, CommitProof};
use crate::effect::Effect;
use crate::error::Refusal;
use crate::message::Message;
use crate::pacemaker::Entry;
use crate::reputation::Reputation;
use crate::types::View;

impl Core {
    /// R8. Takes in a verified certificate of the second phase. Its signers hold the view's certificate, so the
    /// view is over for us too.
    pub(super) fn apply_finalized(&mut self, certificate: &Certificate) {
        if certificate.height <= self.tree.root_height() {
            return;
        }
        if self
            .pending_commit
            .as_ref()
            .is_none_or(|pending| pending.view < certificate.view)
        {
            self.pending_commit = Some(certificate.clone());
            certificate.votes().for_each(|vote| self.witness_vote(vote));
        }
        self.enter(certificate.view.saturating_add(1), Entry::Certificate);
    }

    /// R8. Commits the certified block and its ancestors, as soon as all of them are here.
    pub(super) fn commit_pending(&mut self) -> bool {
        let root = self.tree.root_height();
        self.pending_commit = self.pending_commit.take().filter(|pending| pending.height > root);
        let known = |pending: &mut Certificate| self.tree.is_above_root(&pending.block);
        let Some(certificate) = self.pending_commit.take_if(known) else {
            return false;
        };
        self.commit(certificate);
        true
    }

    /// R12. Commits stop at a closing block: what follows it exists to commit it.
    fn commit(&mut self, certificate: Certificate) {
        let headers: Vec<_> = self
            .chain_to(&certificate.block)
            .iter()
            .map(|block| block.header.clone())
            .collect();
        let last = headers
            .iter()
            .find(|header| header.next_epoch.is_some())
            .or(headers.last());
        let Some(last) = last.map(|header| header.id()) else {
            return;
        };
        for (at, block) in self.tree.commit(&last).into_iter().enumerate() {
            let view = block.header.view;
            self.note_committed(view);
            let path = headers.iter().skip(at + 1).cloned().collect();
            let proof = CommitProof {
                certificate: certificate.clone(),
                path,
            };
            self.out.push(Effect::Commit { block, proof });
        }
        if self.tree.root_closed() {
            let help = (certificate.clone(), None);
            self.out
                .push(Effect::Broadcast(Message::Certificate(Box::new(help))));
            self.finished = Some(certificate);
        }
    }

    /// R16.
    fn note_committed(&mut self, view: View) {
        let mut reputation = self.reputation.clone();
        reputation.committed(view, |view| self.leader_of(view));
        self.reputation = reputation;
    }

    /// The application brought itself forward: the tree follows.
    pub(super) fn on_synced(&mut self, block: Block, proof: CommitProof) -> Result<(), Refusal> {
        self.check_epoch(block.header.epoch)?;
        if self.finished.is_some() || block.header.height <= self.tree.root_height() {
            return Ok(());
        }
        let id = block.id();
        proof.verify(id, &self.chain, &self.committee, &self.scheme)?;
        if self.tree.is_above_root(&id) {
            for block in self.tree.commit(&id) {
                self.note_committed(block.header.view);
            }
        } else {
            // What lies between is not known here.
            self.reputation = Reputation::new(self.committee.n(), self.committee.f(), block.header.view);
            self.tree.jump(id, block);
        }
        if self.tree.root_closed() {
            self.finished = Some(proof.certificate.clone());
        }
        self.enter(proof.certificate.view.saturating_add(1), Entry::Certificate);
        // Whoever asked for what is now below the root need not ask again.
        self.fetches.clear();
        self.behind = None;
        Ok(())
    }
}
