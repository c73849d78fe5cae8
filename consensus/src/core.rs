//! The state machine: dispatch here, one file an input beneath.
//!
//! Handlers only verify and note what came in; [`Core::settle`] then does whatever the new state allows, until
//! nothing more follows. So no rule depends on the order in which its conditions became true.

mod commit;
mod fetch;
mod lab;
mod proposal;
mod timeout;
mod vote;

use self::fetch::Fetch;
pub use self::lab::Held;
use crate::block::{Anchor, Block, SignedHeader};
use crate::certificate::{Certificate, CommitProof, TimeoutCertificate};
use crate::committee::Committee;
use crate::crypto::{Remembered, Scheme, Signer};
use crate::effect::{Effect, ordered};
use crate::error::{CertificateError, Refusal};
use crate::evidence::EquivocationProof;
use crate::input::Input;
use crate::limits::VIEWS_KEPT;
use crate::message::Message;
use crate::pacemaker::{Config, Entry, Pacemaker};
use crate::planted;
use crate::reputation::Reputation;
use crate::safety::{Safety, SafetyRecord};
use crate::standing::{Standing, Statements};
use crate::tree::{Tree, Verdict};
use crate::types::{Digest, Epoch, Height, Millis, View};
use crate::vote::{Phase, SignedTimeout, Vote};
use crate::votes::Votes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an operator wants to see of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The epoch.
    pub epoch: Epoch,
    /// The current view.
    pub view: View,
    /// Its leader.
    pub leader: u16,
    /// View of the highest certificate.
    pub high_view: View,
    /// Height of the highest certified block.
    pub high_height: Height,
    /// The newest committed block.
    pub committed: Digest,
    /// Its height.
    pub committed_height: Height,
    /// The present view timeout.
    pub timeout_ms: Millis,
    /// True when the epoch's closing block has committed: the core only helps others from then on.
    pub finished: bool,
}

/// Where asking the application for content stands, in the current view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Building {
    Idle,
    Asked { parent: Digest },
    Declined { until: Millis },
}

/// One validator's, or one observer's, part in the consensus of one epoch.
pub struct Core {
    config: Config,
    chain: Digest,
    committee: Committee,
    genesis: Certificate,
    scheme: Remembered,
    /// Our index; none in an observer.
    me: Option<u16>,
    /// Who leads, where it is not by rotation: see [`Core::lead_by`].
    leaders: Option<Arc<[u16]>>,
    reputation: Reputation,
    safety: Safety,
    pacemaker: Pacemaker,
    tree: Tree,
    votes: Votes,
    /// The first proposal seen in each recent view.
    proposals: BTreeMap<View, (Digest, SignedHeader)>,
    /// The highest finalize certificate whose block is not committed here yet.
    pending_commit: Option<Certificate>,
    /// Commits the closing block: the epoch is over.
    finished: Option<Certificate>,
    fetches: BTreeMap<Digest, Fetch>,
    /// When `Behind` may be emitted again.
    behind_again: Millis,
    /// Height to report as `Behind`, while we are.
    behind: Option<Height>,
    building: Building,
    /// The application's word on work.
    work: bool,
    /// When each validator was last helped.
    helped: BTreeMap<u16, Millis>,
    /// Validators already reported for equivocation.
    reported: BTreeSet<u16>,
    /// What each validator last signed, to be told to it should it forget.
    witnessed: BTreeMap<u16, Statements>,
    now: Millis,
    /// When what was said in this view is said again, should it last.
    repeat: Millis,
    /// The next tick already asked for.
    wake: Option<Millis>,
    out: Vec<Effect>,
}

impl Core {
    /// Starts, or restarts, the core of one epoch.
    ///
    /// `now` and all later times are on the clock that block times are on. `signer` may be absent or not be a
    /// member: the core then follows without signing. `record` is the newest durable one: one of an earlier
    /// epoch is ignored, one of a later epoch silences the signer. `committed` is the newest committed block of
    /// this epoch, `uncommitted` the stored blocks above it in any order: both were verified before they
    /// were stored and are trusted.
    #[allow(clippy::too_many_arguments)] // One call a process and epoch; a struct would only rename the list.
    pub fn new(
        config: Config,
        chain: Digest,
        committee: Committee,
        signer: Option<Arc<dyn Signer>>,
        scheme: Arc<dyn Scheme>,
        anchor: Anchor,
        record: Option<SafetyRecord>,
        committed: Option<(Block, CommitProof)>,
        uncommitted: Vec<Block>,
        now: Millis,
    ) -> (Core, Vec<Effect>) {
        let genesis = Certificate::genesis(&anchor);
        let signer = signer.filter(|_| {
            record
                .as_ref()
                .is_none_or(|record| record.epoch() <= committee.epoch)
        });
        let signer = signer.and_then(|signer| Some((committee.index_of(&signer.public())?, signer)));
        let record = record
            .filter(|record| record.epoch() == committee.epoch)
            .unwrap_or_else(|| SafetyRecord::fresh(genesis.clone()));
        let record = match planted::has("lock_not_restored") {
            true => record.without_lock(genesis.clone()),
            false => record,
        };
        let me = signer.as_ref().map(|(me, _)| *me);
        let safety = Safety::new(chain, record, signer);

        let mut tree = Tree::new(&anchor);
        let mut view = safety.resume_view();
        let mut finished = None;
        let mut tip = 0;
        if let Some((block, proof)) = committed.filter(|(block, _)| block.header.epoch == committee.epoch) {
            view = view.max(proof.certificate.view.saturating_add(1));
            tip = block.header.view;
            tree.jump(block.id(), block);
            finished = tree.root_closed().then_some(proof.certificate);
        }
        let mut core = Core {
            config,
            chain,
            votes: Votes::new(committee.n(), committee.quorum()),
            leaders: None,
            reputation: Reputation::new(committee.n(), committee.f(), tip),
            committee,
            genesis,
            scheme: Remembered::new(scheme),
            me,
            safety,
            pacemaker: Pacemaker::new(config, view, now),
            tree,
            proposals: BTreeMap::new(),
            pending_commit: None,
            finished,
            fetches: BTreeMap::new(),
            behind_again: 0,
            behind: None,
            building: Building::Idle,
            work: false,
            helped: BTreeMap::new(),
            reported: BTreeSet::new(),
            witnessed: BTreeMap::new(),
            now,
            repeat: now.saturating_add(config.base_timeout_ms),
            wake: None,
            out: Vec::new(),
        };
        core.witness_known();
        core.restore(uncommitted);
        core.settle();
        let effects = ordered(std::mem::take(&mut core.out));
        (core, effects)
    }

    /// Takes one event, answers what to do. Time never runs backwards here, whatever `now` says.
    pub fn step(&mut self, now: Millis, input: Input) -> Vec<Effect> {
        self.now = self.now.max(now);
        let (from, outcome) = match input {
            Input::Message { from, message } => (from, self.on_message(from, message)),
            Input::Tick => (None, Ok(())),
            Input::Work(work) => (None, self.on_work(work)),
            Input::Built {
                view,
                parent,
                content,
            } => (None, self.on_built(view, parent, content)),
            Input::Validated { block, accepted } => (None, self.on_validated(&block, accepted)),
            Input::Synced { block, proof } => (None, self.on_synced(*block, proof)),
        };
        if let Err(reason) = outcome {
            self.out.push(Effect::Refused { from, reason });
        }
        self.settle();
        ordered(std::mem::take(&mut self.out))
    }

    /// The current view.
    pub fn view(&self) -> View {
        self.pacemaker.view()
    }

    /// The highest certificate known: the lock.
    pub fn high(&self) -> &Certificate {
        self.safety.high()
    }

    /// Leader of the current view.
    pub fn leader(&self) -> u16 {
        self.leader_of(self.view())
    }

    /// Leader of any view.
    fn leader_of(&self, view: View) -> u16 {
        match &self.leaders {
            None => self.committee.leader(view),
            Some(listed) => {
                let turn = view.saturating_sub(1) % listed.len().max(1) as u64;
                listed.get(turn as usize).copied().unwrap_or(0)
            }
        }
    }

    /// R16. How many of the newest committed blocks of an epoch decide whom a core passes over.
    pub fn memory(committee: &Committee) -> u64 {
        Reputation::memory(committee.n())
    }

    /// R16. The views of the newest committed blocks of this epoch, oldest first, up to the one that the core was
    /// started from: for a host that restarts. One that does not tell them passes nobody over until it has seen
    /// failures itself.
    pub fn recall(&mut self, views: &[View]) {
        let before = views.first().copied().unwrap_or(self.reputation.facts().0);
        let mut reputation = Reputation::new(self.committee.n(), self.committee.f(), before);
        for view in views {
            reputation.committed(*view, |view| self.leader_of(view));
        }
        self.reputation = reputation;
    }

    /// R16. Leaders whose newest turns failed, at most f: most of their turns are given up at once.
    pub fn passed_over(&self) -> Vec<u16> {
        self.reputation.worst().collect()
    }

    /// The validator set.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Our index in it, if we sign.
    pub fn me(&self) -> Option<u16> {
        self.me
    }

    /// Figures for the operator.
    pub fn status(&self) -> Status {
        Status {
            epoch: self.committee.epoch,
            view: self.view(),
            leader: self.leader(),
            high_view: self.high().view,
            high_height: self.high().height,
            committed: self.tree.root(),
            committed_height: self.tree.root_height(),
            timeout_ms: self.pacemaker.timeout(),
            finished: self.finished.is_some(),
        }
    }

    /// A connected block above the committed root, the root itself (unless it is the anchor), or a recently
    /// committed one.
    pub fn block(&self, id: &Digest) -> Option<&Block> {
        self.tree.get(id)
    }

    /// The blocks above the committed root up to and including `id`, oldest first; empty when `id` is not there.
    pub fn chain_to(&self, id: &Digest) -> Vec<&Block> {
        self.tree
            .path(id)
            .iter()
            .filter_map(|id| self.tree.get(id))
            .collect()
    }

    /// R15. What this core can tell a validator that has just started.
    pub fn standing(&self, asker: u16) -> Standing {
        Standing {
            epoch: self.committee.epoch,
            view: self.view(),
            high: self.high().clone(),
            tc: self.safety.tc().cloned(),
            seen: self.witnessed.get(&asker).cloned().unwrap_or_default(),
        }
    }

    fn on_message(&mut self, from: Option<u16>, message: Message) -> Result<(), Refusal> {
        match message {
            Message::Proposal(block) => self.on_proposal(*block),
            Message::Vote(vote) => self.on_vote(from, vote),
            Message::Timeout(timeout) => self.on_timeout(from, *timeout),
            Message::Certificate(help) => self.on_help(help.0, help.1),
            Message::BlockRequest(id) => {
                self.on_block_request(from, &id);
                Ok(())
            }
            Message::BlockResponse(block) => self.on_block_response(*block),
        }
    }

    fn on_work(&mut self, work: bool) -> Result<(), Refusal> {
        self.work = work;
        if work && matches!(self.building, Building::Declined { .. }) {
            self.building = Building::Idle;
        }
        Ok(())
    }

    /// Does all that the state allows, then plans what only time can bring.
    fn settle(&mut self) {
        loop {
            self.adopt_orphans();
            self.note_work();
            self.note_leader();
            // Each answers whether it changed anything that an earlier one may depend on.
            let again = self.commit_pending()
                || self.cast_finalize()
                || self.consider_proposal()
                || self.expire_view()
                || self.ask_build();
            if !again {
                break;
            }
        }
        self.chase();
        self.say_again();
        self.plan_wake();
    }

    /// R12. An epoch that is ending is work: its closing block needs descendants that commit it.
    fn note_work(&mut self) {
        let ending = self
            .tree
            .as_parent(&self.high().block)
            .is_some_and(|parent| parent.closed);
        let work = self.finished.is_none() && (self.work || ending);
        self.pacemaker.set_work(work, self.now);
    }

    /// R16. The turn of a leader that keeps failing is not waited for, unless it is our own or its block is here.
    fn note_leader(&mut self) {
        let (view, leader) = (self.view(), self.leader());
        let pass = self.me != Some(leader)
            && !self.proposals.contains_key(&view)
            && self.reputation.passes_over(leader, view);
        self.pacemaker.pass_over(pass);
    }

    /// R2. Opens a later view.
    fn enter(&mut self, view: View, entry: Entry) {
        if view <= self.view() {
            return;
        }
        self.pacemaker.enter(view, entry, self.now);
        self.votes.prune(view);
        self.proposals = self.proposals.split_off(&view.saturating_sub(VIEWS_KEPT));
        self.building = Building::Idle;
        self.repeat = self.now.saturating_add(self.config.base_timeout_ms.max(1));
        self.notice_activity(view);
    }

    /// The others are active in the view when an honest one voted in it.
    fn notice_activity(&mut self, view: View) {
        if view == self.view() && self.votes.voters(view) > self.committee.f() {
            self.pacemaker.seen(self.now);
        }
    }

    /// R1. A certificate counts only when verified, or when it is the anchor's.
    fn check_certificate(&self, certificate: &Certificate, phase: Phase) -> Result<(), Refusal> {
        if certificate.phase != phase {
            return Err(CertificateError::Phase.into());
        }
        if *certificate == self.genesis {
            return Ok(());
        }
        Ok(certificate.verify(&self.chain, &self.committee, &self.scheme)?)
    }

    fn check_tc(&self, tc: &TimeoutCertificate) -> Result<(), Refusal> {
        Ok(tc.verify(&self.chain, &self.committee, &self.scheme)?)
    }

    /// R2, R3. Takes in a verified certificate of the first phase.
    fn apply_certified(&mut self, certificate: &Certificate) -> Result<(), Refusal> {
        let known = self.tree.as_parent(&certificate.block);
        if known.is_some_and(|known| (known.height, known.view) != (certificate.height, certificate.view)) {
            return Err(Refusal::Misfit(certificate.block));
        }
        if self.safety.raise_high(certificate) {
            certificate.votes().for_each(|vote| self.witness_vote(vote));
            self.enter(certificate.view.saturating_add(1), Entry::Certificate);
        }
        Ok(())
    }

    /// R2, R3. Takes in a verified timeout certificate; the caller made sure that our highest certificate
    /// reaches what it reports, so that we can always propose after it.
    fn apply_tc(&mut self, tc: &TimeoutCertificate) {
        if self.safety.raise_tc(tc) {
            tc.timeouts().for_each(|timeout| self.witness_timeout(timeout));
            self.enter(tc.view.saturating_add(1), Entry::TimeoutCertificate);
        }
    }

    fn check_epoch(&self, epoch: Epoch) -> Result<(), Refusal> {
        match epoch.cmp(&self.committee.epoch) {
            std::cmp::Ordering::Less => Err(Refusal::EarlierEpoch(epoch)),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(Refusal::LaterEpoch(epoch)),
        }
    }

    /// R14. Reports a validator once.
    fn report(&mut self, validator: u16, proof: EquivocationProof) {
        if self.reported.insert(validator) {
            self.out.push(Effect::Equivocation(proof));
        }
    }

    /// R15. Remembers what a validator signed. Verified, or handed over by its signer, who alone it is for.
    fn witness_vote(&mut self, vote: Vote) {
        self.witnessed.entry(vote.voter).or_default().see_vote(vote);
    }

    fn witness_timeout(&mut self, timeout: SignedTimeout) {
        self.witnessed
            .entry(timeout.voter)
            .or_default()
            .see_timeout(timeout);
    }

    fn witness_proposal(&mut self, proposal: &SignedHeader) {
        let leader = self.leader_of(proposal.header.view);
        self.witnessed.entry(leader).or_default().see_proposal(proposal);
    }

    /// R15. What the record's own certificates show.
    fn witness_known(&mut self) {
        let votes: Vec<Vote> = self.high().votes().collect();
        votes.into_iter().for_each(|vote| self.witness_vote(vote));
        let timeouts: Vec<SignedTimeout> = self
            .safety
            .tc()
            .into_iter()
            .flat_map(TimeoutCertificate::timeouts)
            .collect();
        timeouts
            .into_iter()
            .for_each(|timeout| self.witness_timeout(timeout));
    }

    /// R13. After a restart: what was stored returns to the tree, what was signed is sent again.
    fn restore(&mut self, mut uncommitted: Vec<Block>) {
        uncommitted.sort_by_key(|block| (block.header.height, block.header.view));
        for block in uncommitted {
            let (id, view, signed) = (block.id(), block.header.view, block.signed_header());
            if block.header.epoch == self.committee.epoch && self.tree.add(id, block, &Digest::ZERO).is_ok() {
                self.tree.set_stored(&id);
                self.proposals.entry(view).or_insert((id, signed));
            }
        }
        if self.finished.is_some() || self.me.is_none() {
            return;
        }
        let (proposal, votes, timeout) = self.safety.last_statements();
        if let Some(id) = proposal
            && let Some(block) = self
                .tree
                .get(&id)
                .filter(|_| self.tree.is_above_root(&id))
                .cloned()
        {
            self.tree.set_verdict(&id, Verdict::Accepted);
            self.out
                .push(Effect::Broadcast(Message::Proposal(Box::new(block))));
        }
        for vote in votes {
            if Votes::in_window(vote.view, self.view()) && vote.height > self.tree.root_height() {
                self.out.push(Effect::Broadcast(Message::Vote(vote)));
                self.count_vote(vote);
            }
        }
        if let Some(timeout) = timeout.filter(|timeout| timeout.view == self.view()) {
            self.votes.add_timeout(timeout.signed());
            self.pacemaker.timed_out(self.now);
            self.out
                .push(Effect::Broadcast(Message::Timeout(Box::new(timeout))));
        }
    }

    /// Asks for a tick at the next moment at which time alone changes something.
    fn plan_wake(&mut self) {
        let mut next = self.fetches.values().map(|fetch| fetch.again).min();
        let mut consider = |at: Millis| next = Some(next.map_or(at, |next| next.min(at)));
        if self.behind.is_some() {
            consider(self.behind_again);
        }
        if self.me.is_some() && self.finished.is_none() {
            consider(self.pacemaker.deadline());
            if self.waits_long() {
                consider(self.repeat);
            }
            if self.me == Some(self.leader()) && self.safety.may_propose(self.view()) {
                match self.building {
                    Building::Declined { until } => consider(until),
                    Building::Idle => consider(self.pacemaker.heartbeat_due()),
                    Building::Asked { .. } => {}
                }
            }
        }
        let Some(next) = next.map(|next| next.max(self.now.saturating_add(1))) else {
            return;
        };
        if self.wake.is_none_or(|wake| wake <= self.now || next < wake) {
            self.wake = Some(next);
            self.out.push(Effect::WakeAt(next));
        }
    }
}
