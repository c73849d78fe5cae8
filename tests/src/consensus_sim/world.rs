//! The event loop and the two phases of a run.

use super::checker::Checker;
use super::node::Node;
use super::options::{Options, Workload};
use super::rng::Rng;
use super::toy;
use crate::oracle::Oracle;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tacit_consensus::trace::Transition;
use tacit_consensus::{Block, Committee, Core, Digest, Input, Message, PublicKey, Scheme};

pub(super) const CHAIN: Digest = Digest([0xcc; 32]);
/// Virtual time at which every run begins.
pub(super) const START: u64 = 1_000_000;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Hash of everything that happened, in order.
    pub trace: Digest,
    /// Committed height of each validator.
    pub heights: Vec<u64>,
    /// The highest view reached.
    pub view: u64,
    /// True when every live node saw the epoch end.
    pub finished: bool,
    /// Events handled.
    pub events: u64,
    /// Messages lost and splits.
    pub faults: u64,
    /// Crashes, each between two effects.
    pub crashes: u64,
    /// Messages handed to the network, one a recipient.
    pub sent: u64,
    /// Transitions that the reference model judged.
    pub judged: u64,
    /// Virtual milliseconds.
    pub span_ms: u64,
    /// Broken invariants; empty when all is well.
    pub violations: Vec<String>,
}

pub(super) enum Event {
    Deliver {
        node: usize,
        from: u16,
        message: Rc<Message>,
    },
    Tick {
        node: usize,
        life: u32,
    },
    Build {
        node: usize,
        life: u32,
        view: u64,
        parent: Digest,
    },
    Validate {
        node: usize,
        life: u32,
        block: Box<Block>,
    },
    Sync {
        node: usize,
        life: u32,
    },
    Start {
        node: usize,
    },
    Work {
        node: usize,
        life: u32,
    },
    Split,
}

pub(super) struct World {
    pub(super) options: Options,
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) committee: Committee,
    pub(super) scheme: Arc<dyn Scheme>,
    pub(super) checker: Checker,
    pub(super) oracle: Option<Oracle>,
    /// What the reference model found.
    pub(super) wrong: Vec<String>,
    /// Every transition, where somebody wants them.
    pub(super) kept: Option<Vec<Transition>>,
    pub(super) queue: BTreeMap<(u64, u64), Event>,
    pub(super) count: u64,
    /// Side of each physical node; messages stay on one side.
    pub(super) sides: Vec<u64>,
    pub(super) trace: blake3::Hasher,
    pub(super) events: u64,
    pub(super) faults: u64,
    pub(super) crashes: u64,
    pub(super) sent: u64,
}

/// Runs one world to its end.
pub fn run(options: &Options) -> Report {
    let mut world = World::new(options.clone());
    world.faulty_phase();
    world.calm_phase();
    world.report()
}

/// The same, with the traces of all validators without a twin.
pub fn run_traced(options: &Options) -> (Report, Vec<Transition>) {
    let mut world = World::new(options.clone());
    world.kept = Some(Vec::new());
    world.faulty_phase();
    world.calm_phase();
    let kept = world.kept.take().unwrap_or_default();
    (world.report(), kept)
}

impl World {
    fn new(options: Options) -> Self {
        let real = options.real_signatures;
        let members: Vec<PublicKey> = (0..options.n)
            .map(|index| toy::signer(real, index).public())
            .collect();
        let honest = (0..options.n).map(|index| index >= options.twins).collect();
        let nodes: Vec<Node> = (0..options.n).chain(0..options.twins).map(Node::new).collect();
        Self {
            rng: Rng::new(options.seed),
            now: START,
            committee: Committee { epoch: 1, members },
            scheme: toy::scheme(real),
            checker: Checker::new(honest),
            oracle: options.oracle.then(Oracle::default),
            wrong: Vec::new(),
            kept: None,
            queue: BTreeMap::new(),
            count: 0,
            sides: vec![0; nodes.len()],
            nodes,
            trace: blake3::Hasher::new(),
            events: 0,
            faults: 0,
            crashes: 0,
            sent: 0,
            options,
        }
    }

    pub(super) fn in_faulty_phase(&self) -> bool {
        self.now < START + self.options.faulty_ms
    }

    fn faulty_phase(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
        }
        if self.options.split_ms > 0 {
            self.later(self.options.split_ms, Event::Split);
        }
        self.run_until(START + self.options.faulty_ms, u64::MAX);
    }

    /// All faults stop; whoever is down and not dead starts; enough must commit.
    fn calm_phase(&mut self) {
        self.sides.fill(0);
        for node in 0..self.nodes.len() {
            if self.nodes[node].core.is_none() {
                self.start(node);
            }
            self.set_work(node, self.options.workload != Workload::None);
        }
        let highest = self
            .nodes
            .iter()
            .map(|node| node.application.height())
            .max()
            .unwrap_or(0);
        let goal = match self.options.close_at {
            Some(height) => height,
            None => highest + self.options.calm_blocks,
        };
        self.run_until(self.now + self.options.calm_ms, goal);
        let reached = self.live().all(|node| node.application.height() >= goal);
        if self.options.workload != Workload::None && !reached {
            let heights: Vec<u64> = self.nodes.iter().map(|node| node.application.height()).collect();
            self.checker
                .violations
                .push(format!("L1: {heights:?} instead of {goal} after the calm phase"));
        }
    }

    /// Handles events until the time, or until all live nodes have committed `goal`.
    fn run_until(&mut self, end: u64, goal: u64) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 < end) {
            self.now = entry.key().0;
            let event = entry.remove();
            self.events += 1;
            self.handle(event);
            if !self.checker.violations.is_empty()
                || (goal != u64::MAX && self.live().all(|node| node.application.height() >= goal))
            {
                return;
            }
        }
        self.now = end;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver { node, from, message } => {
                let message = Message::clone(&message);
                self.input(
                    node,
                    Input::Message {
                        from: Some(from),
                        message,
                    },
                );
            }
            Event::Tick { node, life } if self.nodes[node].life == life => self.input(node, Input::Tick),
            Event::Build {
                node,
                life,
                view,
                parent,
            } if self.nodes[node].life == life => {
                let Node {
                    core: Some(core),
                    application,
                    ..
                } = &self.nodes[node]
                else {
                    return;
                };
                let close_at = self.options.close_at;
                let tag = node as u64 + (self.now << 8);
                let content = application.build(core, &parent, self.now, tag, close_at);
                // Now and then an application is not ready.
                let content = (!self.rng.chance(20)).then_some(content);
                self.input(
                    node,
                    Input::Built {
                        view,
                        parent,
                        content,
                    },
                );
            }
            Event::Validate { node, life, block } if self.nodes[node].life == life => {
                let application = &mut self.nodes[node].application;
                match application.judge(&block) {
                    Some(accepted) => {
                        self.input(
                            node,
                            Input::Validated {
                                block: block.id(),
                                accepted,
                            },
                        );
                    }
                    None => drop(application.waiting.insert(block.id(), *block)),
                }
            }
            Event::Sync { node, life } if self.nodes[node].life == life => self.sync(node),
            Event::Start { node } if self.nodes[node].core.is_none() => self.start(node),
            Event::Work { node, life } if self.nodes[node].life == life && self.in_faulty_phase() => {
                let work = !self.nodes[node].work;
                self.set_work(node, work);
                let span = self.rng.between(50, 1_500);
                self.later(span, Event::Work { node, life });
            }
            Event::Split if self.in_faulty_phase() => {
                let whole = self.rng.chance(500);
                for node in 0..self.nodes.len() {
                    self.sides[node] = if whole { 0 } else { self.rng.between(0, 1) };
                }
                self.faults += 1;
                let span = self.rng.between(1, 2 * self.options.split_ms);
                self.later(span, Event::Split);
            }
            // For an earlier life, or of a phase that is over.
            _ => {}
        }
    }

    /// Honest validators that are meant to run.
    fn live(&self) -> impl Iterator<Item = &Node> {
        let options = &self.options;
        self.nodes
            .iter()
            .filter(|node| node.index >= options.twins && !options.dead.contains(&node.index))
    }

    fn report(mut self) -> Report {
        let oracle = self.oracle.take().unwrap_or_default();
        let judged = oracle.transitions();
        self.wrong.extend(oracle.finish());
        self.checker.violations.append(&mut self.wrong);
        let status = |node: &Node| node.core.as_ref().map(Core::status);
        let finished = self
            .live()
            .all(|node| status(node).is_some_and(|status| status.finished));
        Report {
            trace: Digest(*self.trace.finalize().as_bytes()),
            heights: self.nodes.iter().map(|node| node.application.height()).collect(),
            view: self
                .nodes
                .iter()
                .filter_map(status)
                .map(|status| status.view)
                .max()
                .unwrap_or(0),
            finished,
            events: self.events,
            faults: self.faults,
            crashes: self.crashes,
            sent: self.sent,
            judged,
            span_ms: self.now - START,
            violations: self.checker.violations,
        }
    }
}
