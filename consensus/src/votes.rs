//! Votes and timeouts collected until they make a quorum. Everything here was verified before it came in.

use crate::certificate::{Certificate, Signers, TimeoutCertificate, TimeoutEntry};
use crate::limits::{MAX_VIEW_AHEAD, VIEWS_KEPT};
use crate::planted;
use crate::types::{Epoch, Height, View};
use crate::vote::{Phase, SignedTimeout, Vote};
use borsh::BorshSerialize;
use std::collections::BTreeMap;

type ByView<T> = BTreeMap<View, BTreeMap<u16, T>>;

/// One vote a voter, phase and view; one timeout a voter and view; views within a window around the current.
#[derive(Clone)]
pub(crate) struct Votes {
    n: usize,
    quorum: usize,
    certify: ByView<Vote>,
    finalize: ByView<Vote>,
    timeouts: ByView<SignedTimeout>,
}

impl Votes {
    pub(crate) fn new(n: usize, quorum: usize) -> Self {
        Self {
            n,
            quorum,
            certify: BTreeMap::new(),
            finalize: BTreeMap::new(),
            timeouts: BTreeMap::new(),
        }
    }

    /// True for views that are collected while `current` is.
    pub(crate) fn in_window(view: View, current: View) -> bool {
        planted::has("window_ignored")
            || view <= current.saturating_add(MAX_VIEW_AHEAD) && view.saturating_add(VIEWS_KEPT) >= current
    }

    pub(crate) fn vote(&self, phase: Phase, view: View, voter: u16) -> Option<&Vote> {
        self.phase(phase).get(&view)?.get(&voter)
    }

    pub(crate) fn timeout(&self, view: View, voter: u16) -> Option<&SignedTimeout> {
        self.timeouts.get(&view)?.get(&voter)
    }

    /// All timeouts of one voter.
    pub(crate) fn timeouts_of(&self, voter: u16) -> impl Iterator<Item = &SignedTimeout> {
        self.timeouts
            .values()
            .filter_map(move |timeouts| timeouts.get(&voter))
    }

    /// All finalize votes of one voter.
    pub(crate) fn finalizes_of(&self, voter: u16) -> impl Iterator<Item = &Vote> {
        self.finalize.values().filter_map(move |votes| votes.get(&voter))
    }

    /// Keeps the first vote of a voter, phase and view; answers the certificate that it completes, if any.
    pub(crate) fn add(&mut self, vote: Vote) -> Option<Certificate> {
        let votes = match vote.phase {
            Phase::Certify => &mut self.certify,
            Phase::Finalize => &mut self.finalize,
        };
        let votes = votes.entry(vote.view).or_default();
        if votes.contains_key(&vote.voter) {
            return None;
        }
        votes.insert(vote.voter, vote);
        let alike: Vec<&Vote> = votes
            .values()
            .filter(|other| (other.block, other.height) == (vote.block, vote.height))
            .collect();
        let twice = usize::from(planted::has("vote_counted_twice"));
        if alike.len() + twice < self.quorum {
            return None;
        }
        Some(Certificate {
            epoch: vote.epoch,
            view: vote.view,
            height: vote.height,
            block: vote.block,
            phase: vote.phase,
            signers: Signers::new(self.n, alike.iter().map(|vote| vote.voter)),
            signatures: alike.iter().map(|vote| vote.signature).collect(),
        })
    }

    /// Number of distinct voters seen in a view's first phase.
    pub(crate) fn voters(&self, view: View) -> usize {
        self.certify.get(&view).map_or(0, BTreeMap::len)
    }

    /// Keeps the first timeout of a voter and view; answers how many the view has.
    pub(crate) fn add_timeout(&mut self, timeout: SignedTimeout) -> usize {
        let timeouts = self.timeouts.entry(timeout.view).or_default();
        timeouts.entry(timeout.voter).or_insert(timeout);
        timeouts.len()
    }

    /// The certificate of a view's timeouts, if they are a quorum.
    pub(crate) fn timeout_certificate(&self, epoch: Epoch, view: View) -> Option<TimeoutCertificate> {
        let timeouts = self
            .timeouts
            .get(&view)
            .filter(|timeouts| timeouts.len() >= self.quorum)?;
        let entries = timeouts
            .values()
            .map(|timeout| TimeoutEntry {
                voter: timeout.voter,
                high_view: timeout.high_view,
                signature: timeout.signature,
            })
            .collect();
        Some(TimeoutCertificate { epoch, view, entries })
    }

    /// How many votes and timeouts are held.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let votes = self.certify.values().chain(self.finalize.values());
        let timeouts = self.timeouts.values().map(BTreeMap::len).sum();
        (votes.map(BTreeMap::len).sum(), timeouts)
    }

    /// What can still become a certificate that is news: for comparing two cores.
    pub(crate) fn open(&self, high: View, root: Height, view: View) -> impl BorshSerialize + '_ {
        let certify = self.certify.range(high.saturating_add(1)..);
        let finalize = self.finalize.values().flat_map(BTreeMap::values);
        let finalize = finalize.filter(|vote| vote.height > root);
        let timeouts = self.timeouts.range(view..);
        (
            certify.collect::<Vec<_>>(),
            finalize.collect::<Vec<_>>(),
            timeouts.collect::<Vec<_>>(),
        )
    }

    /// Drops what has left the window.
    pub(crate) fn prune(&mut self, current: View) {
        let oldest = current.saturating_sub(VIEWS_KEPT);
        for votes in [&mut self.certify, &mut self.finalize] {
            *votes = votes.split_off(&oldest);
        }
        self.timeouts = self.timeouts.split_off(&oldest);
    }

    fn phase(&self, phase: Phase) -> &ByView<Vote> {
        match phase {
            Phase::Certify => &self.certify,
            Phase::Finalize => &self.finalize,
        }
    }
}
