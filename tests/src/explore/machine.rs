//! One validator's real core as a table of states.

use std::collections::{HashMap, VecDeque};

use tacit_consensus::{
    Anchor, Committee, Config, Content, Core, Digest, Effect, Executed, Input, Message, Payload, Phase, hash,
    trace::{Cause, Transition},
};

use super::{
    SEATS, VIEWS,
    messages::{Bits, Move, Sent, Table},
};
use crate::{consensus_sim::toy, oracle::Oracle};

pub(super) const CHAIN: Digest = Digest([0x33; 32]);
/// Longer than any timeout.
const FOREVER_MS: u64 = 100_000;

/// A core, and what it has said and done so far.
struct Moment {
    core: Core,
    now: u64,
    said: Bits,
    committed: Vec<Digest>,
    oracle: Oracle,
    /// For filters: its view, its lock's view, the last views that it gave up and finalized.
    view: u64,
    high: u64,
    given_up: u64,
    finalized: u64,
}

pub(super) struct Machine {
    pub(super) seat: u16,
    moments: Vec<Moment>,
    known: HashMap<(Digest, Bits), u32>,
    edges: HashMap<(u32, u32), Option<u32>>,
    pub(super) steps: u64,
    pub(super) wrong: Vec<String>,
}

pub(super) fn committee() -> Committee {
    Committee {
        epoch: 1,
        members: (0..SEATS).map(|seat| toy::signer(false, seat).public()).collect(),
    }
}

pub(super) fn anchor() -> Anchor {
    Anchor {
        epoch: 1,
        block: CHAIN,
        height: 0,
        time_ms: 1,
        executed: Executed::default(),
    }
}

impl Machine {
    pub(super) fn new(seat: u16, table: &mut Table) -> Self {
        let config = Config::default();
        let cause = Cause::started(&config, CHAIN, &committee(), &anchor(), None, None, &[]);
        let (core, effects) = Core::new(
            config,
            CHAIN,
            committee(),
            Some(toy::signer(false, seat)),
            toy::scheme(false),
            anchor(),
            None,
            None,
            Vec::new(),
            1,
        );
        let mut oracle = Oracle::default();
        oracle.judge(&Transition::new(&core, 1, cause, &effects, false));
        let mut machine = Self {
            seat,
            moments: Vec::new(),
            known: HashMap::new(),
            edges: HashMap::new(),
            steps: 0,
            wrong: Vec::new(),
        };
        let mut first = Moment {
            core,
            now: 1,
            said: Bits::default(),
            committed: Vec::new(),
            oracle,
            view: 1,
            high: 0,
            given_up: 0,
            finalized: 0,
        };
        machine.drive(&mut first, Input::Work(true), table);
        machine.keep(first);
        machine
    }

    pub(super) fn states(&self) -> usize {
        self.moments.len()
    }

    pub(super) fn said(&self, state: u32) -> Bits {
        self.moments[state as usize].said
    }

    /// The state that a move leads to; none if the move is idle in this state.
    pub(super) fn follow(
        &mut self,
        state: u32,
        (number, one): &(u32, Move),
        table: &mut Table,
    ) -> Option<u32> {
        if let Some(known) = self.edges.get(&(state, *number)) {
            // A quorum's messages depend on whether it has voted, and that on the state, which is the key.
            return *known;
        }
        let next = self.execute(state, one, table).filter(|next| *next != state);
        self.edges.insert((state, *number), next);
        next
    }

    fn execute(&mut self, state: u32, one: &Move, table: &mut Table) -> Option<u32> {
        let moment = &self.moments[state as usize];
        if moment.is_done() {
            return None;
        }
        let messages: Vec<u32> = match one {
            Move::Patience => {
                if moment.view > VIEWS || moment.given_up >= moment.view {
                    return None;
                }
                let mut next = moment.fork();
                next.now += FOREVER_MS;
                self.drive(&mut next, Input::Tick, table);
                return Some(self.keep(next));
            }
            Move::Hear(message) => vec![*message],
            Move::Report { high, message } => (*high > moment.high).then(|| vec![*message])?,
            Move::Timeouts { view, all } => (*view >= moment.view).then(|| all.clone())?,
            Move::Votes {
                phase,
                view,
                height,
                own,
                with_own,
                alone,
            } => {
                let late = match phase {
                    Phase::Certify => *view <= moment.high,
                    Phase::Finalize => *height as usize <= moment.committed.len(),
                };
                let voted = own.is_some_and(|own| moment.said.has(own));
                let votes = if voted { with_own } else { alone };
                votes.clone().filter(|_| !late)?
            }
        };
        let mut next = moment.fork();
        for message in messages {
            let Sent { from, message, .. } = table.get(message).clone();
            let from = Some(from);
            self.drive(&mut next, Input::Message { from, message }, table);
        }
        Some(self.keep(next))
    }

    /// Steps the core; the application is at once.
    fn drive(&mut self, moment: &mut Moment, input: Input, table: &mut Table) {
        let mut queue = VecDeque::from([input]);
        while let Some(input) = queue.pop_front() {
            self.steps += 1;
            let cause = Cause::of(&input);
            let effects = moment.core.step(moment.now, input);
            let transition = Transition::new(&moment.core, moment.now, cause, &effects, false);
            moment.oracle.judge(&transition);
            // A few: what follows from them is wrong too.
            let room = 4usize.saturating_sub(self.wrong.len());
            self.wrong.extend(moment.oracle.wrong().into_iter().take(room));
            for effect in effects {
                let message = match effect {
                    Effect::Broadcast(message) => message,
                    Effect::Build { view, parent } => {
                        let content = (view <= VIEWS).then(|| build(&moment.core, &parent, view));
                        queue.push_back(Input::Built {
                            view,
                            parent,
                            content,
                        });
                        continue;
                    }
                    Effect::Validate(block) => {
                        let block = block.id();
                        queue.push_back(Input::Validated {
                            block,
                            accepted: true,
                        });
                        continue;
                    }
                    Effect::Commit { block, .. } => {
                        moment.committed.push(block.id());
                        continue;
                    }
                    _ => continue,
                };
                match &message {
                    Message::Timeout(timeout) => moment.given_up = timeout.view,
                    Message::Vote(vote) if vote.phase == Phase::Finalize => moment.finalized = vote.view,
                    _ => {}
                }
                let from = self.seat;
                moment.said.insert(table.number(Sent { from, message }));
            }
        }
        (moment.view, moment.high) = (moment.core.view(), moment.core.high().view);
    }

    fn keep(&mut self, moment: Moment) -> u32 {
        let next = self.moments.len() as u32;
        let outline = match moment.is_done() {
            true => Digest::ZERO,
            false => moment.core.outline(),
        };
        let key = (outline, moment.said);
        let kept = *self.known.entry(key).or_insert(next);
        if kept == next {
            self.moments.push(moment);
        }
        kept
    }
}

impl Moment {
    /// Whether it has nothing left to say of the views that are explored: rules R5, R6, R7 and R9 forbid all of it
    /// to who has finalized the last of them or given it up.
    fn is_done(&self) -> bool {
        self.given_up.max(self.finalized) >= VIEWS
    }

    fn fork(&self) -> Self {
        Self {
            core: self.core.fork(),
            now: self.now,
            said: self.said,
            committed: self.committed.clone(),
            oracle: self.oracle.clone(),
            ..*self
        }
    }
}

fn build(core: &Core, parent: &Digest, view: u64) -> Content {
    let before = core.block(parent).map(|block| &block.header);
    Content {
        time_ms: before.map_or(1, |header| header.time_ms) + 1,
        payload: Payload {
            batches: vec![hash("explored", &[&view.to_le_bytes()])],
            system: Vec::new(),
        },
        executed: Executed::default(),
        next_epoch: None,
        commit: None,
    }
}
