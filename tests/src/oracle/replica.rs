//! One validator in one epoch, as the rules describe it.

mod hearing;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{
    Digest,
    trace::{BlockFacts, Cause, GivenUp, Quorum, Record, Terms, Transition},
};

use super::Word;

/// Votes and timeouts count this many views back and ahead (R10).
const WINDOW: u64 = 64;
/// Blocks that are kept while their parent is missing ("Bounds").
const MAX_LOOSE: usize = 64;
/// Failed turns after which a leader's turns are no longer counted one by one (R16).
const MANY_FAILED: u64 = 64;

/// Requests remembered; far more than are ever open at once.
const ASKED: usize = 4096;

/// What can be signed.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Proposal,
    Vote,
    Finalize,
    Timeout,
}

/// What was signed last, of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    proposed: u64,
    voted: u64,
    finalized: u64,
    given_up: u64,
    floor: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Replica {
    me: u16,
    terms: Terms,
    /// Its view, and since when it is in it.
    view: u64,
    entered: u64,
    /// The lock: view, height, block.
    high: (u64, u64, Digest),
    /// The highest timeout certificate: its view.
    tc: u64,
    /// The newest final block: height and id.
    root: (u64, Digest),
    /// The epoch's closing block is final.
    over: bool,
    finals: BTreeSet<Digest>,
    final_views: BTreeSet<u64>,
    /// From which view on `final_views` is complete.
    final_from: u64,
    /// Finalize certificates of blocks that are not final here: view, height, block.
    pending: Option<(u64, u64, Digest)>,
    votes: BTreeMap<(bool, u64), BTreeMap<u16, (u64, Digest)>>,
    timeouts: BTreeMap<u64, BTreeMap<u16, u64>>,
    blocks: BTreeMap<Digest, BlockFacts>,
    /// By view, those whose parent is missing.
    loose: BTreeSet<(u64, Digest)>,
    first: BTreeMap<u64, Digest>,
    accepted: BTreeSet<Digest>,
    asked: BTreeSet<Digest>,
    stored: BTreeSet<Digest>,
    last: Last,
    durable: Option<Record>,
    /// Everything that it ever signed, in all its lives: by view.
    proposals: BTreeMap<u64, Digest>,
    certified: BTreeMap<u64, Digest>,
    finalized: BTreeMap<u64, Digest>,
    given_up: BTreeMap<u64, u64>,
    /// What was signed in the last transition: if its record turns out to be lost, it never was.
    newest: Vec<(Kind, u64)>,
    /// The last view in which it may have signed something before its trace began.
    pub(super) untraced: u64,
    /// For the whole network's judgement.
    pub(super) said: Vec<Word>,
    pub(super) relied: Vec<(u16, Word)>,
    wrong: Vec<String>,
}

impl Replica {
    pub(super) fn new(me: u16, terms: Terms) -> Self {
        Self {
            me,
            view: 1,
            entered: 0,
            high: (0, terms.anchor_height, terms.anchor),
            tc: 0,
            root: (terms.anchor_height, terms.anchor),
            over: false,
            finals: BTreeSet::from([terms.anchor]),
            final_views: BTreeSet::new(),
            final_from: 1,
            pending: None,
            votes: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            blocks: BTreeMap::new(),
            loose: BTreeSet::new(),
            first: BTreeMap::new(),
            accepted: BTreeSet::new(),
            asked: BTreeSet::new(),
            stored: BTreeSet::new(),
            last: Last::default(),
            durable: None,
            proposals: BTreeMap::new(),
            certified: BTreeMap::new(),
            finalized: BTreeMap::new(),
            given_up: BTreeMap::new(),
            newest: Vec::new(),
            untraced: 0,
            said: Vec::new(),
            relied: Vec::new(),
            wrong: Vec::new(),
            terms,
        }
    }

    /// Follows one transition; answers what the rules do not allow in it, or miss.
    pub(super) fn judge(&mut self, transition: &Transition) -> Vec<String> {
        let before = self.durable.clone();
        if transition.cause != Cause::Lost {
            self.newest.clear();
        }
        match &transition.cause {
            Cause::Lost => {
                // Nothing of what came last left or stayed; the host starts again, from whatever is on its disk.
                self.durable = None;
                for (kind, view) in self.newest.drain(..) {
                    match kind {
                        Kind::Proposal => drop(self.proposals.remove(&view)),
                        Kind::Vote => drop(self.certified.remove(&view)),
                        Kind::Finalize => drop(self.finalized.remove(&view)),
                        Kind::Timeout => drop(self.given_up.remove(&view)),
                    }
                }
                return Vec::new();
            }
            Cause::Started { .. } => self.start(transition),
            Cause::Heard(statement) => self.hear(statement, transition),
            Cause::Validated { block, accepted } => {
                if *accepted {
                    self.accepted.insert(*block);
                }
            }
            Cause::Synced { block, proof } => self.sync(block, proof, transition.now),
            Cause::Tick | Cause::Work(_) | Cause::Built { .. } => {}
        }
        self.stored.extend(&transition.stored);
        if let Some(record) = &transition.persisted {
            self.persist(record);
        }
        let mut commits = transition.committed.iter().peekable();
        for statement in &transition.said {
            // What was final by then counts for what was said (R16).
            while let Some((height, id)) = commits.next_if(|(_, id)| self.is_final(id)) {
                self.commit(*height, *id);
            }
            self.say(statement, transition, before.as_ref());
        }
        for (height, id) in commits {
            self.commit(*height, *id);
        }
        if !transition.cut {
            self.compare(transition);
        }
        self.forget();
        std::mem::take(&mut self.wrong)
    }

    fn check(&mut self, holds: bool, rule: &str) {
        if !holds {
            self.wrong.push(rule.into());
        }
    }

    fn faults(&self) -> usize {
        (usize::from(self.terms.n) - 1) / 3
    }

    fn quorum(&self) -> usize {
        usize::from(self.terms.n) - self.faults()
    }

    fn leader(&self, view: u64) -> u16 {
        let n = u64::from(self.terms.n);
        ((view % n + self.terms.epoch % n) % n) as u16
    }

    // --- R13, R15: starting ---

    fn start(&mut self, transition: &Transition) {
        let Cause::Started {
            record,
            committed,
            uncommitted,
            history,
            ..
        } = &transition.cause
        else {
            return;
        };
        let untraced = match (self.entered, record) {
            // It was never started before.
            (0, Some(record)) => record.voted.max(record.finalized).max(record.given_up),
            _ => self.untraced,
        };
        let kept = Self {
            untraced,
            durable: self.durable.take(),
            proposals: std::mem::take(&mut self.proposals),
            certified: std::mem::take(&mut self.certified),
            finalized: std::mem::take(&mut self.finalized),
            given_up: std::mem::take(&mut self.given_up),
            wrong: std::mem::take(&mut self.wrong),
            ..Self::new(self.me, self.terms.clone())
        };
        *self = kept;
        self.entered = transition.now;
        if let Some(durable) = self.durable.clone() {
            let covers = record.as_ref().is_some_and(|record| covers(record, &durable));
            self.check(covers, "R15: started from a record that was set back");
        }
        if let Some((block, proof)) = committed {
            self.blocks.insert(block.id, block.clone());
            self.check(
                self.is_quorum(proof) && proof.finalize,
                "R8: started from a block that is not final",
            );
            self.finals.insert(block.id);
            self.root = (block.height, block.id);
            self.over = block.closes;
            self.view = self.view.max(proof.view + 1);
            self.final_views = history.iter().copied().collect();
            self.final_from = history.first().copied().unwrap_or(block.view);
            self.final_views.insert(block.view);
        }
        if let Some(record) = record {
            self.lock(&record.high, transition.now);
            self.tc = record.timeout.as_ref().map_or(0, |tc| tc.view);
            let led = record.high.view.max(self.tc) + 1;
            let signed = record.voted.max(record.proposed).max(record.given_up);
            self.view = self.view.max(led).max(signed);
            self.persist(record);
            // What a process signed just before it was killed may be missing in its trace.
            let known = |said: &mut BTreeMap<u64, Digest>, one: Option<(u64, Digest)>| {
                one.is_none_or(|(view, id)| *said.entry(view).or_insert(id) == id)
            };
            let same = known(&mut self.certified, record.vote) && known(&mut self.finalized, record.finalize);
            let told = record.last_timeout;
            let same =
                same && told.is_none_or(|(view, high)| *self.given_up.entry(view).or_insert(high) == high);
            self.check(same, "S3: the record knows another statement than was made");
            self.said
                .extend(record.vote.map(|(view, id)| Word::Vote(view, id)));
            self.said
                .extend(record.finalize.map(|(view, id)| Word::Finalize(view, id)));
            self.said
                .extend(record.last_timeout.map(|(view, high)| Word::Timeout(view, high)));
        }
        self.entered = transition.now;
        for block in uncommitted {
            self.first.entry(block.view).or_insert(block.id);
            self.stored.insert(block.id);
            self.blocks.insert(block.id, block.clone());
        }
        if let Some(id) = record.as_ref().and_then(|record| record.proposal) {
            self.accepted.insert(id);
            if let Some(block) = self.blocks.get(&id) {
                self.proposals.entry(block.view).or_insert(id);
            }
        }
    }

    fn persist(&mut self, record: &Record) {
        self.last = Last {
            proposed: record.proposed.max(self.last.proposed),
            voted: record.voted.max(self.last.voted),
            finalized: record.finalized.max(self.last.finalized),
            given_up: record.given_up.max(self.last.given_up),
            floor: record.floor.max(self.last.floor),
        };
        if let Some(durable) = self.durable.take() {
            self.check(covers(record, &durable), "R3: a record goes back");
        }
        self.durable = Some(record.clone());
    }

    // --- R1, R2, R3: certificates ---

    fn is_quorum(&self, quorum: &Quorum) -> bool {
        if quorum.view == 0 {
            return (quorum.height, quorum.block) == (self.terms.anchor_height, self.terms.anchor);
        }
        let signers: BTreeSet<_> = quorum.signers.iter().filter(|one| **one < self.terms.n).collect();
        signers.len() == quorum.signers.len() && signers.len() >= self.quorum()
    }

    fn is_given_up(&self, tc: &GivenUp) -> bool {
        let who: BTreeSet<_> = tc.reports.iter().map(|(voter, _)| voter).collect();
        who.len() == tc.reports.len()
            && who.len() >= self.quorum()
            && tc
                .reports
                .iter()
                .all(|(voter, high)| *voter < self.terms.n && *high < tc.view)
    }

    fn enter(&mut self, view: u64, now: u64) {
        if view > self.view {
            self.view = view;
            self.entered = now;
        }
    }

    fn rely(&mut self, quorum: &Quorum) {
        let word = match quorum.finalize {
            false => Word::Vote(quorum.view, quorum.block),
            true => Word::Finalize(quorum.view, quorum.block),
        };
        self.relied.extend(quorum.signers.iter().map(|one| (*one, word)));
    }

    fn lock(&mut self, quorum: &Quorum, now: u64) {
        let misfit = self
            .blocks
            .get(&quorum.block)
            .is_some_and(|block| (block.height, block.view) != (quorum.height, quorum.view));
        if quorum.view > self.high.0 && !misfit {
            self.rely(quorum);
            self.high = (quorum.view, quorum.height, quorum.block);
            self.enter(quorum.view + 1, now);
        }
    }

    fn give_up(&mut self, tc: &GivenUp, now: u64) {
        if tc.view > self.tc {
            let words = tc
                .reports
                .iter()
                .map(|(voter, high)| (*voter, Word::Timeout(tc.view, *high)));
            self.relied.extend(words);
            self.tc = tc.view;
            self.enter(tc.view + 1, now);
        }
    }

    fn finalize(&mut self, quorum: &Quorum, now: u64) {
        if quorum.height <= self.root.0 {
            return;
        }
        if self.pending.is_none_or(|(view, ..)| view < quorum.view) {
            self.rely(quorum);
            self.pending = Some((quorum.view, quorum.height, quorum.block));
        }
        self.enter(quorum.view + 1, now);
    }

    // --- R4: chains ---

    /// Whether the block and all its ancestors down to a final one are here and follow from each other; and whether
    /// the epoch closes in it or beneath.
    fn chain(&self, id: &Digest) -> Option<bool> {
        if *id == self.terms.anchor {
            return Some(false);
        }
        let block = self.blocks.get(id)?;
        if self.finals.contains(id) {
            return Some(block.closes);
        }
        let closed = self.chain(&block.parent)?;
        let (height, view, time_ms, executed_height, executed) = match self.blocks.get(&block.parent) {
            Some(parent) => (
                parent.height,
                parent.view,
                parent.time_ms,
                parent.executed_height,
                parent.executed,
            ),
            None => (
                self.terms.anchor_height,
                0,
                self.terms.anchor_time_ms,
                self.terms.executed_height,
                self.terms.executed,
            ),
        };
        let newer = block.executed_height > executed_height && block.executed_height <= height;
        let same = block.executed == executed;
        let epilogue = block.empty && !block.closes && same;
        let follows = self.stands_alone(block)
            && (block.justify.height, block.justify.view) == (height, view)
            && block.time_ms > time_ms
            && (newer || same)
            && (!closed || epilogue);
        follows.then_some(closed || block.closes)
    }

    /// R10. Whether a block was asked for and is still missing beneath the lock, a pending commit or an orphan.
    fn wants(&self, id: &Digest) -> bool {
        let orphan = |id: &Digest| self.blocks.get(id).filter(|_| self.chain(id).is_none());
        let orphans = self
            .blocks
            .iter()
            .filter(|(id, one)| one.height > self.root.0 && orphan(id).is_some());
        let mut tips: Vec<Digest> = orphans.map(|(_, one)| one.parent).collect();
        tips.extend(self.pending.map(|(.., id)| id));
        tips.push(self.high.2);
        let missing = tips.into_iter().map(|mut tip| {
            while let Some(above) = orphan(&tip) {
                tip = above.parent;
            }
            tip
        });
        self.asked.contains(id) && !self.blocks.contains_key(id) && missing.into_iter().any(|tip| tip == *id)
    }

    fn descends(&self, id: &Digest, from: &Digest) -> bool {
        let mut at = *id;
        loop {
            if at == *from {
                return true;
            }
            match self.blocks.get(&at) {
                Some(block) => at = block.parent,
                None => return false,
            }
        }
    }

    /// What the rules demand, beyond what they allow.
    fn compare(&mut self, transition: &Transition) {
        let stand = &transition.stand;
        let view = format!(
            "R2: it is in view {}, the rules lead to {}",
            stand.view, self.view
        );
        self.check(stand.view == self.view, &view);
        let lock = (stand.high_view, stand.high) == (self.high.0, self.high.2);
        self.check(
            lock,
            &format!("R3: its lock is of view {}, not {}", stand.high_view, self.high.0),
        );
        let root = (stand.committed_height, stand.committed) == self.root;
        self.check(root, "R8: it says that another block is its newest final one");
        if let Some(record) = &transition.persisted {
            let vote = record
                .vote
                .is_none_or(|(view, _)| self.certified.contains_key(&view));
            self.check(vote, "R6: a vote was recorded and never sent");
            let finalize = record
                .finalize
                .is_none_or(|(view, _)| self.finalized.contains_key(&view));
            self.check(finalize, "R7: a finalize vote was recorded and never sent");
            let timeout = record
                .last_timeout
                .is_none_or(|(view, _)| self.given_up.contains_key(&view));
            self.check(timeout, "R9: a timeout was recorded and never sent");
        }
        if self.over {
            return;
        }
        let above = |id: &Digest| self.chain(id).is_some() && self.descends(id, &self.root.1);
        let due = self
            .pending
            .filter(|(_, height, id)| *height > self.root.0 && above(id));
        let (view, _, id) = self.high;
        let known = id != self.root.1 && above(&id);
        self.check(due.is_none(), "R8: a block that is final was not committed");
        let free = view > self.last.finalized && view > self.last.given_up;
        self.check(!(known && free), "R7: a certified block was not finalized");
        let joined = self.timeouts.get(&self.view).map_or(0, BTreeMap::len) > self.faults();
        let free = self.view > self.last.finalized && self.view > self.last.given_up;
        let may = free && self.high.0 >= self.last.floor && self.high.0 < self.view;
        self.check(
            !(joined && may),
            "R9: f + 1 gave its view up, and it did not join",
        );
    }

    /// Keeps a long trace in memory: what is far behind decides nothing any more.
    fn forget(&mut self) {
        if !self.view.is_multiple_of(WINDOW) {
            return;
        }
        let oldest = self.view.saturating_sub(2 * WINDOW);
        self.votes.retain(|(_, view), _| *view >= oldest);
        self.timeouts = self.timeouts.split_off(&oldest);
        let root = self.root.0;
        self.blocks
            .retain(|_, block| block.view >= oldest || block.height + WINDOW >= root);
        let blocks = &self.blocks;
        let anchor = self.terms.anchor;
        self.finals.retain(|id| blocks.contains_key(id) || *id == anchor);
        if self.asked.len() > ASKED {
            self.asked.clear();
        }
        for known in [&mut self.accepted, &mut self.stored] {
            known.retain(|id| blocks.contains_key(id));
        }
        let oldest = self
            .view
            .saturating_sub((MANY_FAILED + 2) * u64::from(self.terms.n).max(WINDOW));
        if self.final_from < oldest {
            self.final_views = self.final_views.split_off(&oldest);
            self.final_from = oldest;
        }
    }
}

fn highest_report(tc: &GivenUp) -> u64 {
    tc.reports.iter().map(|(_, high)| *high).max().unwrap_or(0)
}

/// Whether a record knows of everything that an earlier one knew.
fn covers(record: &Record, earlier: &Record) -> bool {
    let same = |view: u64, before: u64, now: Option<Digest>, then: Option<Digest>| {
        view > before || (view == before && (now.is_none() || now == then))
    };
    let id = |vote: Option<(u64, Digest)>| vote.map(|(_, id)| id);
    record.proposed >= earlier.proposed
        && same(record.voted, earlier.voted, id(record.vote), id(earlier.vote))
        && same(
            record.finalized,
            earlier.finalized,
            id(record.finalize),
            id(earlier.finalize),
        )
        && record.given_up >= earlier.given_up
        && record.floor >= earlier.floor
        && record.high.view >= earlier.high.view
        && record.timeout.as_ref().map_or(0, |tc| tc.view) >= earlier.timeout.as_ref().map_or(0, |tc| tc.view)
}
