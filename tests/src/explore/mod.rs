//! Every run of the real core in a small world: four validators, one of them a liar, two views, every order in which
//! messages can arrive or be lost and views be given up.
//!
//! ```text
//!   honest core x 3   executed once for each of its states and inputs (`machine.rs`), then looked up
//!   soup              all that was ever sent, to be delivered to anybody at any time, or never
//!   liar              whatever it can sign, or put together from the soup (`liar.rs`): each recipient hears what
//!                     the search makes it hear
//!   state             the three cores' states; the soup follows from what each of them has said
//! ```
//! What bounds it, and why that hides nothing of two views:
//! - A core's clock moves only where its view is given up, and that may happen at any moment.
//! - Votes arrive together when they complete a quorum: fewer change nothing that anybody could see, and the search
//!   may deliver the quorum at any moment. Of several quorums for one block the least is taken: they differ in
//!   their signers only.
//! - The liar votes for every block, in both phases, reports every certificate, and proposes two blocks upon every
//!   justification it can have. It does not send what every core refuses by its form.
//! - Agreement is asked of all finalize votes together, so what is final needs to be heard by nobody. Who has finalized
//!   view 2, or given it up, has nothing left to say about it: all its states are one.
//! - Help, and asking for blocks, are left out: whatever they bring, the soup brings as well.
//! - No block is built beyond view 2, and nothing of a later view is delivered.

pub mod lane;
mod liar;
mod machine;
mod messages;

use std::collections::{BTreeSet, HashSet};

use tacit_consensus::Digest;

use self::{
    liar::Liar,
    machine::Machine,
    messages::{Bits, Table},
};

/// The last view that is explored.
const VIEWS: u64 = 2;
/// Validators.
const SEATS: u16 = 4;

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// States of the whole network.
    pub states: u64,
    /// Moves that were tried in them.
    pub moves: u64,
    /// States of single cores.
    pub core_states: u64,
    /// Steps of the real core, each judged by the reference model.
    pub core_steps: u64,
    /// Messages that differ.
    pub messages: u64,
    /// States in which some block has a finalize quorum.
    pub committing: u64,
    /// Different blocks that have one somewhere.
    pub final_blocks: u64,
    /// True when the search ended because of its limit.
    pub cut_short: bool,
    /// What was broken; a few at most.
    pub violations: Vec<String>,
}

/// Searches all states of a network whose liar sits on this seat, up to `limit` of them. In the rotation seat 2 leads
/// view 1 and seat 3 leads view 2.
pub fn run(liar: u16, limit: u64) -> Figures {
    let mut search = Search::new(liar);
    search.walk(limit);
    search.figures
}

type State = [u32; 3];

struct Search {
    table: Table,
    liar: Liar,
    machines: [Machine; 3],
    figures: Figures,
    finals: BTreeSet<Digest>,
}

impl Search {
    fn new(liar: u16) -> Self {
        let mut table = Table::default();
        let honest: Vec<u16> = (0..SEATS).filter(|seat| *seat != liar).collect();
        let machines = [0, 1, 2].map(|at| Machine::new(honest[at], &mut table));
        Self {
            liar: Liar::new(liar),
            table,
            machines,
            figures: Figures::default(),
            finals: BTreeSet::new(),
        }
    }

    fn walk(&mut self, limit: u64) {
        let mut seen: HashSet<State> = HashSet::from([[0; 3]]);
        let mut open: Vec<State> = vec![[0; 3]];
        while let Some(state) = open.pop() {
            self.figures.states += 1;
            if self.figures.states >= limit || self.figures.violations.len() >= 4 {
                self.figures.cut_short = self.figures.states >= limit;
                break;
            }
            let said = (0..3).fold(Bits::default(), |all, at| all | self.machines[at].said(state[at]));
            let soup = self.liar.soup(said, &mut self.table);
            self.look(&soup.finals);
            for at in 0..3 {
                let moves = self.table.moves(soup.sent, self.machines[at].seat);
                for one in moves.iter() {
                    let Some(next) = self.machines[at].follow(state[at], one, &mut self.table) else {
                        continue;
                    };
                    self.figures.moves += 1;
                    let mut then = state;
                    then[at] = next;
                    if seen.insert(then) {
                        open.push(then);
                    }
                }
            }
        }
        let Figures {
            core_states,
            core_steps,
            violations,
            ..
        } = &mut self.figures;
        for machine in &mut self.machines {
            *core_states += machine.states() as u64;
            *core_steps += machine.steps;
            violations.append(&mut machine.wrong);
        }
        self.figures.messages = self.table.len() as u64;
        self.figures.final_blocks = self.finals.len() as u64;
    }

    /// S1: what is final is one chain. Asked of all that was said, so that it counts whether or not anybody has heard it.
    fn look(&mut self, finals: &[(u64, Digest, Digest)]) {
        self.figures.committing += u64::from(!finals.is_empty());
        for pair in finals.windows(2) {
            if let [(low, first, _), (high, second, parent)] = pair {
                let fork = low == high || (low + 1 == *high && parent != first);
                if fork && self.figures.violations.len() < 4 {
                    let what = format!("S1: {first} and {second} are final, at heights {low} and {high}");
                    self.figures.violations.push(what);
                }
            }
        }
        self.finals.extend(finals.iter().map(|(_, id, _)| *id));
    }
}
