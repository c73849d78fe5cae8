//! Giving views up, and helping those who are behind.

use super::Core;
use crate::certificate::{Certificate, TimeoutCertificate};
use crate::crypto::Scheme as _;
use crate::effect::Effect;
use crate::error::{CertificateError, Refusal};
use crate::evidence::{EquivocationProof, finalize_conflicts};
use crate::message::Message;
use crate::pacemaker::Entry;
use crate::planted;
use crate::types::View;
use crate::vote::{Phase, SignedTimeout, Timeout};
use crate::votes::Votes;

impl Core {
    /// R9, R11. Collects a timeout of this or a later view; helps the sender of an earlier one.
    pub(super) fn on_timeout(&mut self, from: Option<u16>, timeout: Timeout) -> Result<(), Refusal> {
        self.check_epoch(timeout.epoch)?;
        let signed = timeout.signed();
        let SignedTimeout {
            view,
            high_view,
            voter,
            ..
        } = signed;
        if self.me == Some(voter) {
            return Ok(());
        }
        if view == 0 {
            return Err(Refusal::ViewZero);
        }
        if high_view >= view {
            return Err(CertificateError::HighView { view, high_view }.into());
        }
        let news = high_view > self.high().view && self.finished.is_none();
        let behind = view < self.view() || self.finished.is_some();
        let repeated = self.votes.timeout(view, voter).is_some();
        if !news && (repeated || behind) && !(behind && self.may_help(voter)) {
            if from == Some(voter) {
                self.check_timeout(&signed)?;
                self.witness_timeout(signed);
            }
            return Ok(());
        }
        self.check_timeout(&signed)?;
        self.witness_timeout(signed);
        if news {
            // R11. A certificate that we lack is taken in before the timeout counts, so that every timeout
            // certificate made here can be answered with our own highest certificate. One that does not exceed
            // ours need not be looked at.
            self.check_certificate(&timeout.high, Phase::Certify)?;
            self.apply_certified(&timeout.high)?;
        }
        self.check_against_finalizes(&signed);
        let current = self.view();
        if view < current || self.finished.is_some() {
            self.help(voter);
            return Ok(());
        }
        if !Votes::in_window(view, current) {
            return Err(Refusal::TooFarAhead { view, current });
        }
        self.count_timeout(signed);
        Ok(())
    }

    fn check_timeout(&self, timeout: &SignedTimeout) -> Result<(), Refusal> {
        let key = self
            .committee
            .key(timeout.voter)
            .ok_or(Refusal::UnknownValidator(timeout.voter))?;
        let holds = || {
            self.scheme
                .verify(key, &timeout.message(&self.chain).0, &timeout.signature)
        };
        if planted::has("timeout_unchecked") || holds() {
            Ok(())
        } else {
            Err(Refusal::Signature(timeout.voter))
        }
    }

    /// R14. A timeout that denies what its sender finalized.
    fn check_against_finalizes(&mut self, timeout: &SignedTimeout) {
        let voter = timeout.voter;
        let conflict = self
            .votes
            .finalizes_of(voter)
            .find(|finalize| finalize_conflicts(finalize, timeout))
            .copied();
        if let Some(finalize) = conflict {
            self.report(
                voter,
                EquivocationProof::FinalizeAndTimeout {
                    finalize,
                    timeout: *timeout,
                },
            );
        }
    }

    /// R9. Counts a verified timeout of the current or a later view, ours included.
    fn count_timeout(&mut self, timeout: SignedTimeout) {
        let view = timeout.view;
        let count = self.votes.add_timeout(timeout);
        if let Some(tc) = self.votes.timeout_certificate(self.committee.epoch, view) {
            self.apply_tc(&tc);
        } else if count > self.committee.f() && self.safety.timeout_view() < view && self.me.is_some() {
            // An honest validator gave this view up: join it.
            self.enter(view, Entry::Join);
            self.cast_timeout(view);
        }
    }

    /// R9. Our own timeout of the current view, first or again.
    pub(super) fn expire_view(&mut self) -> bool {
        if self.me.is_none() || self.finished.is_some() || self.now < self.pacemaker.deadline() {
            return false;
        }
        let view = self.view();
        if self.safety.timeout_view() == view {
            self.pacemaker.timed_out(self.now);
            let (_, _, timeout) = self.safety.last_statements();
            self.out
                .extend(timeout.map(|timeout| Effect::Broadcast(Message::Timeout(Box::new(timeout)))));
            return false;
        }
        self.cast_timeout(view)
    }

    /// R9. Whether failed views have made this one's timeout longer than a network that works would ever need.
    pub(super) fn waits_long(&self) -> bool {
        let open = self.me.is_some() && self.finished.is_none() && self.safety.timeout_view() < self.view();
        open && self.pacemaker.timeout() > self.config.base_timeout_ms
    }

    /// R9. In such a view, says again what was said, so that the view ends when the network is back, and not when it
    /// expires.
    pub(super) fn say_again(&mut self) {
        if !self.waits_long() || self.now < self.repeat {
            return;
        }
        self.repeat = self.now.saturating_add(self.config.base_timeout_ms.max(1));
        let view = self.view();
        let (proposal, votes, _) = self.safety.last_statements();
        let proposal = proposal
            .and_then(|id| self.tree.get(&id))
            .filter(|block| block.header.view == view);
        let proposal = proposal.map(|block| Message::Proposal(Box::new(block.clone())));
        let recent = votes
            .into_iter()
            .filter(|vote| vote.view.saturating_add(1) >= view);
        let votes = recent.map(Message::Vote);
        let again: Vec<Effect> = proposal.into_iter().chain(votes).map(Effect::Broadcast).collect();
        self.out.extend(again);
    }

    fn cast_timeout(&mut self, view: View) -> bool {
        // Sent or refused by the rules, this view's clock starts again.
        self.pacemaker.timed_out(self.now);
        let Some(safe) = self.safety.timeout(view) else {
            return false;
        };
        let timeout = safe.release(&mut self.out);
        let signed = timeout.signed();
        self.out
            .push(Effect::Broadcast(Message::Timeout(Box::new(timeout))));
        self.count_timeout(signed);
        true
    }

    /// R11. Help: certificates that bring us to the sender's view.
    pub(super) fn on_help(
        &mut self,
        certificate: Certificate,
        tc: Option<TimeoutCertificate>,
    ) -> Result<(), Refusal> {
        if self.finished.is_some() {
            return Ok(());
        }
        self.check_epoch(certificate.epoch)?;
        match certificate.phase {
            Phase::Certify => {
                if certificate.view > self.high().view {
                    self.check_certificate(&certificate, Phase::Certify)?;
                    self.apply_certified(&certificate)?;
                }
            }
            Phase::Finalize => {
                if certificate.height > self.tree.root_height() {
                    self.check_certificate(&certificate, Phase::Finalize)?;
                    self.apply_finalized(&certificate);
                }
            }
        }
        if let Some(tc) = tc.filter(|tc| tc.view >= self.view()) {
            self.check_tc(&tc)?;
            if tc.max_high_view() > self.high().view {
                return Err(Refusal::Unjustified(tc.view));
            }
            self.apply_tc(&tc);
        }
        Ok(())
    }

    /// R11. Whether a validator may be helped again already.
    pub(super) fn may_help(&self, validator: u16) -> bool {
        let patience = self.pacemaker.patience();
        self.helped
            .get(&validator)
            .is_none_or(|last| self.now >= last.saturating_add(patience))
    }

    /// R11, R12. Sends a validator that is behind what brings it to our view, or to the end of the epoch.
    pub(super) fn help(&mut self, validator: u16) {
        if !self.may_help(validator) {
            return;
        }
        self.helped.insert(validator, self.now);
        let help = match &self.finished {
            Some(commit) => (commit.clone(), None),
            None => {
                let high = self.high().clone();
                let tc = self.safety.tc().filter(|tc| tc.view > high.view).cloned();
                (high, tc)
            }
        };
        let message = Message::Certificate(Box::new(help));
        self.out.push(Effect::Send {
            to: validator,
            message,
        });
    }
}
