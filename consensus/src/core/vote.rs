//! Votes of both phases: ours and those of others.

use super::Core;
use crate::crypto::Scheme as _;
use crate::effect::Effect;
use crate::error::Refusal;
use crate::evidence::{EquivocationProof, finalize_conflicts};
use crate::message::Message;
use crate::types::Digest;
use crate::vote::{Phase, Vote};
use crate::votes::Votes;

impl Core {
    /// R10. Collects a vote, also one that overtook its proposal or is a few views ahead.
    pub(super) fn on_vote(&mut self, from: Option<u16>, vote: Vote) -> Result<(), Refusal> {
        self.check_epoch(vote.epoch)?;
        if self.me == Some(vote.voter) {
            return Ok(());
        }
        if vote.view == 0 {
            return Err(Refusal::ViewZero);
        }
        if self.finished.is_some() {
            // R12. Who still votes has not heard that the epoch is over.
            if self.may_help(vote.voter) {
                self.check_vote(&vote)?;
                self.help(vote.voter);
            }
            return Ok(());
        }
        if !Votes::in_window(vote.view, self.view()) {
            let (view, current) = (vote.view, self.view());
            return if view > current {
                Err(Refusal::TooFarAhead { view, current })
            } else {
                Ok(())
            };
        }
        if let Some(first) = self.votes.vote(vote.phase, vote.view, vote.voter).copied() {
            return self.check_second_vote(first, vote);
        }
        let late = match vote.phase {
            Phase::Certify => vote.view <= self.high().view,
            Phase::Finalize => vote.height <= self.tree.root_height(),
        };
        if late {
            if from == Some(vote.voter) {
                // What is witnessed is told to its signer after a restart (R15): nobody else may put words there.
                self.check_vote(&vote)?;
                self.witness_vote(vote);
            }
            return Ok(());
        }
        self.check_vote(&vote)?;
        if vote.phase == Phase::Finalize {
            let conflict = self
                .votes
                .timeouts_of(vote.voter)
                .find(|timeout| finalize_conflicts(&vote, timeout))
                .copied();
            if let Some(timeout) = conflict {
                self.report(
                    vote.voter,
                    EquivocationProof::FinalizeAndTimeout {
                        finalize: vote,
                        timeout,
                    },
                );
            }
        }
        self.count_vote(vote);
        Ok(())
    }

    fn check_vote(&self, vote: &Vote) -> Result<(), Refusal> {
        let key = self
            .committee
            .key(vote.voter)
            .ok_or(Refusal::UnknownValidator(vote.voter))?;
        if self
            .scheme
            .verify(key, &vote.message(&self.chain).0, &vote.signature)
        {
            Ok(())
        } else {
            Err(Refusal::Signature(vote.voter))
        }
    }

    /// R14. The first vote counts; another one that contradicts it is evidence.
    fn check_second_vote(&mut self, first: Vote, second: Vote) -> Result<(), Refusal> {
        if (first.block, first.height) != (second.block, second.height) {
            self.check_vote(&second)?;
            self.report(second.voter, EquivocationProof::Votes { first, second });
        }
        Ok(())
    }

    /// R10. Counts a verified vote, ours included, and takes in the certificate that it completes.
    pub(super) fn count_vote(&mut self, vote: Vote) {
        self.witness_vote(vote);
        let certificate = self.votes.add(vote);
        self.notice_activity(vote.view);
        let Some(certificate) = certificate else { return };
        match certificate.phase {
            Phase::Certify => {
                if let Err(reason) = self.apply_certified(&certificate) {
                    self.out.push(Effect::Refused { from: None, reason });
                }
            }
            Phase::Finalize => self.apply_finalized(&certificate),
        }
    }

    /// R6. Our first vote.
    pub(super) fn cast_vote(&mut self, id: Digest) -> bool {
        let Some(header) = self.tree.get(&id).map(|block| block.header.clone()) else {
            return false;
        };
        let Some(safe) = self.safety.vote(id, &header) else {
            return false;
        };
        self.store_path(&id);
        let vote = safe.release(&mut self.out);
        self.out.push(Effect::Broadcast(Message::Vote(vote)));
        self.count_vote(vote);
        true
    }

    /// R7. Our finalize vote, for the highest certified block once we know it.
    pub(super) fn cast_finalize(&mut self) -> bool {
        let id = self.high().block;
        if self.finished.is_some() || !self.tree.is_above_root(&id) {
            return false;
        }
        let Some(safe) = self.safety.finalize() else {
            return false;
        };
        self.store_path(&id);
        let vote = safe.release(&mut self.out);
        self.out.push(Effect::Broadcast(Message::Vote(vote)));
        self.count_vote(vote);
        true
    }
}
