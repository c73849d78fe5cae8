//! What a network does to packets: chance for each packet, and the state of each link.

use tacit_consensus::Millis;

use super::fault::{Counts, Fault};
use crate::consensus_sim::Rng;

/// Rates are in hundred thousandths of packets.
const OF: u64 = 100_000;
/// Longest extra delay of a packet, in milliseconds.
const DELAYED_MS: (Millis, Millis) = (100, 4_000);
/// How long an asker's transport waits for an answer, in milliseconds.
const GIVES_UP_MS: Millis = 10_000;
/// Old direct messages that may come again.
const ARCHIVE: usize = 256;

/// What kind of packet it is, as far as faults care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Kind {
    /// Direct messages and gossip: nobody learns what became of them.
    Message,
    /// A question: its asker learns that it failed.
    Request,
    /// An answer: the same.
    Response,
    /// What no network carries: a node's own work, and what it notices of its links.
    Transport,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct Fate {
    /// After so many milliseconds; none where it is lost.
    pub(in crate::sim) after: Option<Millis>,
    /// Once more, after so many.
    pub(in crate::sim) again: Option<Millis>,
    /// A byte is changed.
    pub(in crate::sim) corrupt: bool,
    /// It is answered by something else.
    pub(in crate::sim) wrong: bool,
    /// Something old comes with it.
    pub(in crate::sim) replay: bool,
    /// Where a question or an answer is lost: when its asker learns it, in milliseconds from now.
    pub(in crate::sim) fails_after: Millis,
}

/// From one node to another.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    cut: Option<Fault>,
    clogged_until: Millis,
    slow: Option<(Fault, Millis, Millis)>,
    newest_arrival: Millis,
}

/// A direct message that may come again: sender and bytes.
type Old = (usize, Vec<u8>);

/// See the module.
pub(in crate::sim) struct Weather {
    pub(in crate::sim) counts: Counts,
    rng: Rng,
    rates: [u64; Fault::ALL.len()],
    links: Vec<Vec<Link>>,
    archive: Vec<Old>,
    heard: u64,
    /// Nodes whose answers may be wrong.
    liars: Vec<bool>,
    /// Between these nothing goes wrong any more.
    core: Vec<bool>,
}

impl Weather {
    pub(in crate::sim) fn new(seed: u64) -> Self {
        Self {
            counts: Counts::default(),
            rng: Rng::new(seed),
            rates: [0; Fault::ALL.len()],
            links: Vec::new(),
            archive: Vec::new(),
            heard: 0,
            liars: Vec::new(),
            core: Vec::new(),
        }
    }

    /// So many of a hundred thousand packets meet a fault.
    pub(in crate::sim) fn set_rate(&mut self, fault: Fault, rate: u64) {
        self.rates[fault as usize] = rate;
    }

    pub(in crate::sim) fn set_liar(&mut self, node: usize) {
        set(&mut self.liars, node);
    }

    /// From now on all is well between these.
    pub(in crate::sim) fn calm(&mut self, core: &[usize]) {
        core.iter().for_each(|node| set(&mut self.core, *node));
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        let most = from.max(to);
        if self.links.len() <= most {
            self.links.resize_with(most + 1, Vec::new);
        }
        let links = &mut self.links[from];
        if links.len() <= most {
            links.resize(most + 1, Link::default());
        }
        &mut links[to]
    }

    fn is_calm(&self, from: usize, to: usize) -> bool {
        let within = |node: usize| self.core.get(node).copied().unwrap_or(false);
        within(from) && within(to)
    }

    pub(in crate::sim) fn is_cut(&mut self, from: usize, to: usize) -> bool {
        !self.is_calm(from, to) && self.link(from, to).cut.is_some()
    }

    /// Nothing passes any more from one to the other.
    pub(in crate::sim) fn cut(&mut self, fault: Fault, from: usize, to: usize) {
        self.link(from, to).cut = Some(fault);
    }

    /// Everything passes again from one to the other; whether nothing did before.
    pub(in crate::sim) fn mend(&mut self, from: usize, to: usize) -> bool {
        self.link(from, to).cut.take().is_some()
    }

    /// What is sent is held until then.
    pub(in crate::sim) fn clog(&mut self, from: usize, to: usize, until: Millis) {
        self.link(from, to).clogged_until = until;
    }

    /// What is sent until then takes up to so much longer.
    pub(in crate::sim) fn slow(&mut self, fault: Fault, from: usize, to: usize, until: Millis, by: Millis) {
        self.link(from, to).slow = Some((fault, until, by));
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.rates[fault as usize];
        rate > 0 && self.rng.draw() % OF < rate && {
            self.counts.strike(fault);
            true
        }
    }

    /// What becomes of a packet that is sent now over a network of these delays.
    pub(in crate::sim) fn fate(
        &mut self,
        now: Millis,
        (from, to): (usize, usize),
        kind: Kind,
        (low, high): (Millis, Millis),
    ) -> Fate {
        let mut delay = self.rng.between(low, high);
        let mut fate = Fate {
            after: Some(delay),
            again: None,
            corrupt: false,
            wrong: false,
            replay: false,
            fails_after: 2 * delay,
        };
        if self.is_calm(from, to) || kind == Kind::Transport {
            return fate;
        }
        let link = *self.link(from, to);
        if let Some(fault) = link.cut {
            self.counts.strike(fault);
            fate.after = None;
            fate.fails_after = GIVES_UP_MS;
            return fate;
        }
        if self.strikes(Fault::Loss) {
            fate.after = None;
            return fate;
        }
        let asked = matches!(kind, Kind::Request | Kind::Response);
        if asked && self.strikes(Fault::Unanswered) {
            (fate.after, fate.fails_after) = (None, GIVES_UP_MS);
            return fate;
        }
        if let Some((fault, until, by)) = link.slow
            && now < until
        {
            self.counts.strike(fault);
            delay += self.rng.between(by / 2, by);
        }
        if self.strikes(Fault::Delay) {
            delay += self.rng.between(DELAYED_MS.0, DELAYED_MS.1);
        }
        if kind == Kind::Response && self.strikes(Fault::LateAnswer) {
            delay += self.rng.between(GIVES_UP_MS / 2, GIVES_UP_MS);
        }
        if now + delay < link.clogged_until {
            self.counts.strike(Fault::Clog);
            delay = link.clogged_until - now;
        }
        if self.strikes(Fault::Reorder) {
            // Behind whatever is under way on this link.
            delay = (link.newest_arrival.saturating_sub(now) + 1).max(delay) + self.rng.between(1, 3 * high);
        }
        let newest = &mut self.link(from, to).newest_arrival;
        *newest = (*newest).max(now + delay);
        fate.after = Some(delay);
        if kind == Kind::Message && self.strikes(Fault::Duplicate) {
            fate.again = Some(delay + self.rng.between(0, 10 * high));
        }
        fate.corrupt = self.strikes(Fault::Corrupt);
        fate.replay = kind == Kind::Message && !self.archive.is_empty() && self.strikes(Fault::Replay);
        let lies = self.liars.get(from).copied().unwrap_or(false);
        fate.wrong = kind == Kind::Response && lies && self.strikes(Fault::WrongAnswer);
        fate
    }

    /// Changes a byte.
    pub(in crate::sim) fn corrupt(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let at = usize::try_from(self.rng.draw() % bytes.len() as u64).unwrap_or(0);
            bytes[at] ^= 1 << (self.rng.draw() % 8);
        }
    }

    /// A direct message is sent: it may come again at any later time.
    pub(in crate::sim) fn overhear(&mut self, from: usize, bytes: &[u8]) {
        if self.rates[Fault::Replay as usize] == 0 {
            return;
        }
        self.heard += 1;
        // A reservoir: each message ever sent is as likely in it as any other.
        if self.archive.len() < ARCHIVE {
            self.archive.push((from, bytes.to_vec()));
        } else {
            let place = usize::try_from(self.rng.draw() % self.heard).unwrap_or(ARCHIVE);
            if let Some(old) = self.archive.get_mut(place) {
                *old = (from, bytes.to_vec());
            }
        }
    }

    /// Something old: who sent it, and what.
    pub(in crate::sim) fn old(&mut self) -> Option<Old> {
        let count = self.archive.len() as u64;
        let place = usize::try_from(self.rng.draw().checked_rem(count)?).ok()?;
        self.archive.get(place).cloned()
    }

    /// A number from 0 below `below`.
    pub(in crate::sim) fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.rng.draw() % below.max(1) as u64).unwrap_or(0)
    }
}

fn set(flags: &mut Vec<bool>, node: usize) {
    if flags.len() <= node {
        flags.resize(node + 1, false);
    }
    flags[node] = true;
}
