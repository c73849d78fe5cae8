//! Messages by number, sets of them, and what can be delivered of a set.

use std::{collections::HashMap, ops::BitOr, rc::Rc};

use tacit_consensus::{Digest, Message, Phase, Vote};

use super::VIEWS;

/// Most messages that differ.
const MESSAGES: usize = 64 * WORDS;
const WORDS: usize = 8;

/// Votes that make a certificate.
pub(super) const QUORUM: usize = 3;

/// A set of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    pub(super) fn insert(&mut self, message: u32) {
        let at = message as usize;
        assert!(
            at < MESSAGES,
            "more than {MESSAGES} messages differ: widen the set"
        );
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub(super) fn has(&self, message: u32) -> bool {
        self.0
            .get(message as usize / 64)
            .is_some_and(|word| word >> (message % 64) & 1 == 1)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> {
        (0..MESSAGES as u32).filter(move |at| self.has(*at))
    }
}

impl BitOr for Bits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }
}

/// A message to all, and who sent it.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) from: u16,
    pub(super) message: Message,
}

/// What a core can be made to do next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Move {
    /// Its view has lasted too long.
    Patience,
    /// One message.
    Hear(u32),
    /// Votes of others that are a quorum with its own vote, if it said that, or without.
    Votes {
        phase: Phase,
        view: u64,
        height: u64,
        own: Option<u32>,
        with_own: Option<Vec<u32>>,
        alone: Option<Vec<u32>>,
    },
    /// Timeouts of a view.
    Timeouts { view: u64, all: Vec<u32> },
    /// One timeout, for the certificate in it.
    Report { high: u64, message: u32 },
}

/// What may be done in a state by one validator, and to which message it leads.
type Moves = Rc<Vec<(u32, Move)>>;

/// All messages.
#[derive(Default)]
pub(super) struct Table {
    sent: Vec<Sent>,
    known: HashMap<(u16, Digest), u32>,
    moves: HashMap<(Bits, u16), Moves>,
    numbers: HashMap<Move, u32>,
}

/// Votes of one phase for one block: the view, height, and who voted, by which message.
type Ballots = HashMap<(Phase, u64, u64, Digest), Vec<(u16, u32)>>;

impl Table {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn get(&self, message: u32) -> &Sent {
        &self.sent[message as usize]
    }

    pub(super) fn number(&mut self, sent: Sent) -> u32 {
        let name = Digest(*blake3::hash(&sent.message.encode()).as_bytes());
        let next = self.sent.len() as u32;
        let key = (sent.from, name);
        *self.known.entry(key).or_insert_with(|| {
            self.sent.push(sent);
            next
        })
    }

    /// All votes in a set.
    pub(super) fn ballots(&self, soup: Bits) -> Ballots {
        let mut ballots = Ballots::new();
        for at in soup.iter().take_while(|at| (*at as usize) < self.sent.len()) {
            if let Message::Vote(Vote {
                phase,
                view,
                height,
                block,
                voter,
                ..
            }) = &self.get(at).message
            {
                let votes = ballots.entry((*phase, *view, *height, *block)).or_default();
                votes.push((*voter, at));
            }
        }
        ballots
    }

    /// The blocks that have a finalize quorum in a set: height, id and parent.
    pub(super) fn finals(&self, soup: Bits) -> Vec<(u64, Digest, Digest)> {
        let ballots = self.ballots(soup);
        let quorums = ballots
            .iter()
            .filter(|((phase, ..), votes)| *phase == Phase::Finalize && votes.len() >= QUORUM);
        let parent = |id: &Digest| {
            let mut blocks = self.sent.iter().filter_map(|sent| match &sent.message {
                Message::Proposal(block) if block.id() == *id => Some(block.header.parent),
                _ => None,
            });
            blocks.next_back().unwrap_or_default()
        };
        let mut finals: Vec<_> = quorums
            .map(|((_, _, height, id), _)| (*height, *id, parent(id)))
            .collect();
        finals.sort_unstable();
        finals
    }

    /// Everything that this validator could be made to do, given all that was sent.
    pub(super) fn moves(&mut self, soup: Bits, me: u16) -> Rc<Vec<(u32, Move)>> {
        if let Some(known) = self.moves.get(&(soup, me)) {
            return Rc::clone(known);
        }
        let mut moves = vec![Move::Patience];
        let mut timeouts: HashMap<u64, Vec<(u16, u64, u32)>> = HashMap::new();
        for at in soup.iter().take_while(|at| (*at as usize) < self.sent.len()) {
            let sent = self.get(at);
            if sent.from == me {
                continue;
            }
            match &sent.message {
                Message::Timeout(timeout) if timeout.view <= VIEWS => {
                    let high = timeout.high.view;
                    moves.push(Move::Report { high, message: at });
                    timeouts
                        .entry(timeout.view)
                        .or_default()
                        .push((sent.from, high, at));
                }
                Message::Proposal(block) if block.header.view <= VIEWS => moves.push(Move::Hear(at)),
                // Votes are heard as quorums, below.
                _ => {}
            }
        }
        for ((phase, view, height, _), votes) in self.ballots(soup) {
            let own = votes.iter().find(|(voter, _)| *voter == me).map(|(_, at)| *at);
            let others: Vec<u32> = votes
                .iter()
                .filter(|(voter, _)| *voter != me)
                .map(|(_, at)| *at)
                .collect();
            let least = |count: usize| others.get(..count).map(<[u32]>::to_vec);
            // What commits in the last view moves nobody within them.
            let last = if phase == Phase::Finalize {
                VIEWS - 1
            } else {
                VIEWS
            };
            if view <= last && others.len() >= 2 {
                moves.push(Move::Votes {
                    phase,
                    view,
                    height,
                    own,
                    with_own: least(2),
                    alone: least(3),
                });
            }
        }
        for (view, mut given) in timeouts {
            given.sort_unstable();
            let mut least: HashMap<(usize, u64), Vec<u32>> = HashMap::new();
            for (at, one) in given.iter().enumerate() {
                for (bt, two) in given
                    .iter()
                    .enumerate()
                    .skip(at + 1)
                    .filter(|(_, two)| two.0 != one.0)
                {
                    let high = one.1.max(two.1);
                    least.entry((2, high)).or_insert_with(|| vec![one.2, two.2]);
                    for three in given.iter().skip(bt + 1).filter(|three| three.0 != two.0) {
                        let all = || vec![one.2, two.2, three.2];
                        least.entry((3, high.max(three.1))).or_insert_with(all);
                    }
                }
            }
            moves.extend(least.into_values().map(|all| Move::Timeouts { view, all }));
        }
        // By name, so that a search is the same each time.
        moves.sort_by_cached_key(|one| format!("{one:?}"));
        let numbered = moves.into_iter().map(|one| {
            let next = self.numbers.len() as u32;
            (*self.numbers.entry(one.clone()).or_insert(next), one)
        });
        let numbered = Rc::new(numbered.collect::<Vec<_>>());
        self.moves.insert((soup, me), Rc::clone(&numbered));
        numbered
    }
}
