//! R15: how a validator stands with the others, asked before a restarted one signs anything.
//!
//! ```text
//!   restarted validator                    every other one
//!   -------------------   "who am I?"      ---------------
//!   record from its disk  ------------->   highest certificates; the asker's own last statements
//!                         <-------------   Standing
//!   Probation: n - f - 1 answers  --->  Covered:    the record knows all that is shown
//!                                       RolledBack: it does not; it is raised above every view that was seen
//! ```
//!
//! A disk that was set back cannot know that it was. But each statement was sent to all, and every certificate
//! names its signers. What an answer shows is checked before it counts: certificates by their quorum, the
//! asker's statements by its own key. So a liar can hide what it saw, and cannot make anything up; what
//! follows from that is argued in `docs/protocol.md`, under Restart.

use crate::block::{Anchor, Block, SignedHeader};
use crate::certificate::{Certificate, CommitProof, TimeoutCertificate};
use crate::committee::Committee;
use crate::crypto::Scheme;
use crate::error::{CertificateError, StandingError};
use crate::limits::MAX_UNPROVEN_VIEWS;
use crate::planted;
use crate::safety::SafetyRecord;
use crate::types::{Digest, Epoch, PublicKey, View};
use crate::vote::{Phase, SignedTimeout, Vote};
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one validator signed in one epoch, as far as somebody saw it: of each kind the one of the highest view.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Statements {
    /// A proposal.
    pub proposal: Option<SignedHeader>,
    /// A first vote.
    pub certify: Option<Vote>,
    /// A second vote.
    pub finalize: Option<Vote>,
    /// A view given up.
    pub timeout: Option<SignedTimeout>,
}

impl Statements {
    pub(crate) fn see_proposal(&mut self, seen: &SignedHeader) {
        let view = seen.header.view;
        if self.proposal.as_ref().is_none_or(|last| view > last.header.view) {
            self.proposal = Some(seen.clone());
        }
    }

    pub(crate) fn see_vote(&mut self, seen: Vote) {
        let last = match seen.phase {
            Phase::Certify => &mut self.certify,
            Phase::Finalize => &mut self.finalize,
        };
        if last.is_none_or(|last| seen.view > last.view) {
            *last = Some(seen);
        }
    }

    pub(crate) fn see_timeout(&mut self, seen: SignedTimeout) {
        if self.timeout.is_none_or(|last| seen.view > last.view) {
            self.timeout = Some(seen);
        }
    }

    /// What one validator signed of these certificates.
    fn see_certificates(
        &mut self,
        voter: u16,
        certificates: &[&Certificate],
        tc: Option<&TimeoutCertificate>,
    ) {
        let votes = certificates.iter().flat_map(|certificate| certificate.votes());
        votes
            .filter(|vote| vote.voter == voter)
            .for_each(|vote| self.see_vote(vote));
        let timeouts = tc.into_iter().flat_map(TimeoutCertificate::timeouts);
        timeouts
            .filter(|timeout| timeout.voter == voter)
            .for_each(|timeout| self.see_timeout(timeout));
    }

    fn see_all(&mut self, other: &Self) {
        if let Some(proposal) = &other.proposal {
            self.see_proposal(proposal);
        }
        [other.certify, other.finalize]
            .into_iter()
            .flatten()
            .for_each(|vote| self.see_vote(vote));
        if let Some(timeout) = other.timeout {
            self.see_timeout(timeout);
        }
    }

    /// The highest view of them all; 0 for none.
    pub fn view(&self) -> View {
        let proposal = self.proposal.as_ref().map(|one| one.header.view);
        let votes = [self.certify, self.finalize].map(|one| one.map(|vote| vote.view));
        let timeout = self.timeout.map(|one| one.view);
        [proposal, votes[0], votes[1], timeout]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(0)
    }
}

/// What one validator answers another that has just started.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Standing {
    /// The answerer's epoch; everything else belongs to it.
    pub epoch: Epoch,
    /// The answerer's view. Nothing proves it: see [`MAX_UNPROVEN_VIEWS`].
    pub view: View,
    /// Its highest certificate.
    pub high: Certificate,
    /// Its highest timeout certificate.
    pub tc: Option<TimeoutCertificate>,
    /// The asker's statements.
    pub seen: Statements,
}

impl Standing {
    /// The answer of one that runs no core in this epoch: what its record (of this epoch) and the commit certificate
    /// of its newest block tell.
    pub fn at_rest(
        anchor: &Anchor,
        record: Option<&SafetyRecord>,
        committed: Option<&Certificate>,
        asker: u16,
    ) -> Self {
        let fresh = SafetyRecord::fresh(Certificate::genesis(anchor));
        let record = record
            .filter(|record| record.epoch() == anchor.epoch)
            .unwrap_or(&fresh);
        let committed = committed.filter(|certificate| certificate.epoch == anchor.epoch);
        let mut seen = Statements::default();
        let certificates: Vec<&Certificate> = committed.into_iter().chain([record.high()]).collect();
        seen.see_certificates(asker, &certificates, record.tc());
        Self {
            epoch: anchor.epoch,
            view: record.resume_view(),
            high: record.high().clone(),
            tc: record.tc().cloned(),
            seen,
        }
    }

    /// The highest view that its certificates prove to be over.
    fn proven(&self) -> View {
        self.high.view.max(self.tc.as_ref().map_or(0, |tc| tc.view))
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The record knows every statement of ours that was shown.
    Covered(SafetyRecord),
    /// It does not: the disk was set back, or another process signs with our keys. The record is raised.
    RolledBack {
        /// To be made durable before anything is signed.
        record: SafetyRecord,
        /// The highest view in which the disk knew of a statement.
        knew: View,
        /// The highest view in which we are shown to have signed.
        shown: View,
        /// Nothing is signed up to this view.
        silent_through: View,
    },
}

impl Found {
    /// The record to go on with.
    pub fn record(&self) -> &SafetyRecord {
        match self {
            Self::Covered(record) | Self::RolledBack { record, .. } => record,
        }
    }
}

/// A validator that has started in an epoch and may not sign yet.
pub struct Probation {
    chain: Digest,
    committee: Committee,
    scheme: Arc<dyn Scheme>,
    genesis: Certificate,
    me: u16,
    record: SafetyRecord,
    own: Statements,
    /// The highest view that final blocks and their proofs show to be over.
    over: View,
    answers: BTreeMap<u16, Standing>,
}

impl Probation {
    /// With the newest durable record, if it is of this epoch. `None` when the key has no seat in the committee.
    pub fn new(
        chain: Digest,
        committee: Committee,
        key: &PublicKey,
        scheme: Arc<dyn Scheme>,
        anchor: &Anchor,
        record: Option<SafetyRecord>,
    ) -> Option<Self> {
        let me = committee.index_of(key)?;
        let genesis = Certificate::genesis(anchor);
        let record = record
            .filter(|record| record.epoch() == committee.epoch)
            .unwrap_or_else(|| SafetyRecord::fresh(genesis.clone()));
        Some(Self {
            chain,
            committee,
            scheme,
            genesis,
            me,
            record,
            own: Statements::default(),
            over: 0,
            answers: BTreeMap::new(),
        })
    }

    /// The asker's seat.
    pub fn me(&self) -> u16 {
        self.me
    }

    /// How many others must answer: with us, a quorum.
    pub fn needed(&self) -> usize {
        if planted::has("restart_asks_nobody") {
            return 0;
        }
        self.committee.quorum().saturating_sub(1)
    }

    /// How many others there are.
    pub fn others(&self) -> usize {
        self.committee.n().saturating_sub(1)
    }

    /// Takes in an answer; a later one of the same validator takes its place.
    ///
    /// # Errors
    /// [`StandingError`]: no honest validator answers so.
    pub fn answer(&mut self, from: u16, standing: Standing) -> Result<(), StandingError> {
        if from == self.me || self.committee.key(from).is_none() {
            return Err(StandingError::Stranger(from));
        }
        if standing.epoch != self.committee.epoch {
            return Err(StandingError::Epoch {
                got: standing.epoch,
                expected: self.committee.epoch,
            });
        }
        self.check_certificates(&standing)?;
        self.check_ours(&standing.seen)?;
        self.answers.insert(from, standing);
        Ok(())
    }

    /// Looks for our own statements in a block of this epoch that is final, or that we stored when we voted for it,
    /// and in its proof. Both were verified before; signatures that are not ours do not count.
    pub fn note(&mut self, block: &Block, proof: Option<&CommitProof>) {
        if block.header.epoch != self.committee.epoch {
            return;
        }
        let mut seen = Statements::default();
        let certificates = [Some(&block.justify), block.commit.as_ref()];
        let proof = proof.map(|proof| &proof.certificate);
        let certificates: Vec<&Certificate> = certificates
            .into_iter()
            .chain([proof])
            .flatten()
            .filter(|certificate| certificate.epoch == self.committee.epoch)
            .collect();
        let views = certificates.iter().map(|certificate| certificate.view);
        self.over = views.max().unwrap_or(0).max(self.over);
        seen.see_certificates(self.me, &certificates, block.timeout.as_ref());
        if self.committee.leader(block.header.view) == self.me {
            seen.see_proposal(&block.signed_header());
        }
        if self.check_ours(&seen).is_ok() {
            self.own.see_all(&seen);
        }
    }

    /// The highest view that is proven to be over, by the answers so far.
    pub fn proven(&self) -> View {
        let answers = self.answers.values().map(Standing::proven).max();
        answers.unwrap_or(0)
    }

    /// What the answers so far come to. The caller makes sure that there are enough.
    pub fn find(&self) -> Found {
        let mut shown = self.own.clone();
        let mut record = self.record.clone();
        for answer in self.answers.values() {
            shown.see_all(&answer.seen);
            record.learn(&answer.high, answer.tc.as_ref());
        }
        let every = self.answers.values().map(|answer| &answer.seen);
        if every.chain([&self.own]).all(|seen| self.record.covers(seen)) {
            if record.high().view > self.record.high().view {
                let over = record.high().view;
                record.leave_to_others(over);
            }
            return Found::Covered(record);
        }
        let reached = record
            .resume_view()
            .max(shown.view())
            .max(self.over.saturating_add(1));
        let claimed = self.answers.values().map(|answer| answer.view).max();
        let claimed = claimed
            .unwrap_or(0)
            .min(reached.saturating_add(MAX_UNPROVEN_VIEWS));
        let silent_through = reached.max(claimed).saturating_add(1);
        let finalized = shown.finalize.map_or(0, |vote| vote.view);
        record.raise(silent_through, finalized);
        Found::RolledBack {
            record,
            knew: self.record.signed_view(),
            shown: shown.view(),
            silent_through,
        }
    }

    fn check_certificates(&self, standing: &Standing) -> Result<(), StandingError> {
        let Standing { high, tc, .. } = standing;
        if high.phase != Phase::Certify {
            return Err(CertificateError::Phase.into());
        }
        if *high != self.genesis {
            high.verify(&self.chain, &self.committee, &*self.scheme)?;
        }
        let Some(tc) = tc else { return Ok(()) };
        tc.verify(&self.chain, &self.committee, &*self.scheme)?;
        if tc.max_high_view() > high.view {
            return Err(StandingError::Unjustified {
                view: tc.view,
                reported: tc.max_high_view(),
                high: high.view,
            });
        }
        Ok(())
    }

    /// Only what our key signed, in this epoch and in the place where it stands.
    fn check_ours(&self, seen: &Statements) -> Result<(), StandingError> {
        let signed = |view: View, message: &Digest, signature| {
            let key = self.committee.key(self.me);
            let ours = key.is_some_and(|key| self.scheme.verify(key, &message.0, signature));
            if ours {
                Ok(())
            } else {
                Err(StandingError::NotOurs(view))
            }
        };
        let fits = |view: View, fits: bool| {
            if fits {
                Ok(())
            } else {
                Err(StandingError::NotOurs(view))
            }
        };
        if let Some(proposal) = &seen.proposal {
            let header = &proposal.header;
            let place = header.chain == self.chain && header.epoch == self.committee.epoch;
            let led = self.committee.leader(header.view) == self.me;
            fits(header.view, place && led)?;
            signed(header.view, &proposal.message(), &proposal.signature)?;
        }
        for (vote, phase) in [(&seen.certify, Phase::Certify), (&seen.finalize, Phase::Finalize)] {
            let Some(vote) = vote else { continue };
            let place = vote.epoch == self.committee.epoch && vote.phase == phase && vote.voter == self.me;
            fits(vote.view, place)?;
            signed(vote.view, &vote.message(&self.chain), &vote.signature)?;
        }
        if let Some(timeout) = &seen.timeout {
            let place = timeout.epoch == self.committee.epoch && timeout.voter == self.me;
            fits(timeout.view, place)?;
            signed(timeout.view, &timeout.message(&self.chain), &timeout.signature)?;
        }
        Ok(())
    }
}
