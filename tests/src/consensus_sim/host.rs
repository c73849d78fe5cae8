//! What a process does around its core: starting, crashing, effects, the network.

use super::options::Workload;
use super::toy;
use super::world::{CHAIN, Event, START, World};
use std::rc::Rc;
use tacit_consensus::trace::{Cause, Transition};
use tacit_consensus::{
    Anchor, Block, CommitProof, Config, Core, Digest, Effect, Executed, Held, Input, Message, Phase,
};

/// Breaches of rules that are told of one world.
const MAX_WRONG: usize = 8;

impl World {
    pub(super) fn start(&mut self, node: usize) {
        let index = self.nodes[node].index;
        if self.options.dead.contains(&index) {
            return;
        }
        let (record, committed, uncommitted) = self.nodes[node].disk();
        let anchor = Anchor {
            epoch: 1,
            block: CHAIN,
            height: 0,
            time_ms: START,
            executed: Executed::default(),
        };
        let history = self.nodes[node].history();
        let cause = self.traces(node).then(|| {
            Cause::started(
                &Config::default(),
                CHAIN,
                &self.committee,
                &anchor,
                record.as_ref(),
                committed.as_ref(),
                &uncommitted,
            )
            .recalling(&history)
        });
        let (mut core, effects) = Core::new(
            Config::default(),
            CHAIN,
            self.committee.clone(),
            Some(toy::signer(self.options.real_signatures, index)),
            self.scheme.clone(),
            anchor,
            record,
            committed,
            uncommitted,
            self.now,
        );
        core.recall(&history);
        let life = self.nodes[node].life;
        self.nodes[node].core = Some(core);
        self.carry_out(node, cause, effects);
        match self.options.workload {
            Workload::None => {}
            Workload::Bursts if self.in_faulty_phase() => self.later(1, Event::Work { node, life }),
            Workload::Steady | Workload::Bursts => self.set_work(node, true),
        }
    }

    fn crash(&mut self, node: usize) {
        self.crashes += 1;
        self.nodes[node].crash(&mut self.rng);
        let span = self.rng.between(1, 2_000);
        self.later(span, Event::Start { node });
    }

    pub(super) fn set_work(&mut self, node: usize, work: bool) {
        self.nodes[node].work = work;
        self.input(node, Input::Work(work));
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        let traces = self.traces(node);
        if let Some(core) = &mut self.nodes[node].core {
            let cause = traces.then(|| Cause::of(&input));
            let effects = core.step(self.now, input);
            self.carry_out(node, cause, effects);
        }
    }

    /// Whether the reference model follows this node: it runs, and has no twin.
    fn traces(&self, node: usize) -> bool {
        self.oracle.is_some() && self.nodes[node].index >= self.options.twins
    }

    /// Has the reference model judge what was carried out of a transition.
    fn trace(&mut self, node: usize, cause: Cause, effects: &[Effect], cut: bool) {
        if let (Some(oracle), Some(core)) = (&mut self.oracle, &self.nodes[node].core) {
            let transition = Transition::new(core, self.now, cause, effects, cut);
            oracle.judge(&transition);
            self.kept
                .iter_mut()
                .for_each(|kept| kept.push(transition.clone()));
            // The first few: what follows from them is wrong too.
            let room = MAX_WRONG.saturating_sub(self.wrong.len());
            self.wrong.extend(oracle.wrong().into_iter().take(room));
        }
    }

    /// B1: a core keeps no more than it says, whatever it is sent.
    fn check_bounds(&mut self, node: usize) {
        let Some(core) = &self.nodes[node].core else {
            return;
        };
        let (held, most) = (core.held(), Held::most(usize::from(self.options.n)));
        if !held.is_within(&most) {
            self.checker
                .violations
                .push(format!("B1: {held:?} is more than {most:?}"));
        }
    }

    /// In order; a crash loses the rest.
    fn carry_out(&mut self, node: usize, cause: Option<Cause>, effects: Vec<Effect>) {
        self.check_bounds(node);
        let chance = if self.in_faulty_phase() {
            self.options.crash
        } else {
            0
        };
        let crash = (0..effects.len()).find(|_| chance > 0 && self.rng.between(0, 9_999) < chance);
        if let Some(cause) = cause {
            let carried = effects.get(..crash.unwrap_or(effects.len())).unwrap_or_default();
            self.trace(node, cause, carried, crash.is_some());
        }
        for (at, effect) in effects.into_iter().enumerate() {
            if crash == Some(at) {
                return self.crash(node);
            }
            let life = self.nodes[node].life;
            match effect {
                Effect::StoreBlock(block) => self.nodes[node].store(block),
                Effect::Persist(record) => self.nodes[node].persist(&record),
                Effect::Broadcast(message) => self.send(node, None, message),
                Effect::Send { to, message } => self.send(node, Some(to), message),
                Effect::WakeAt(at) => {
                    let span = at.saturating_sub(self.now);
                    self.later(span, Event::Tick { node, life });
                }
                Effect::Build { view, parent } => {
                    let span = self.rng.between(0, 3);
                    self.later(
                        span,
                        Event::Build {
                            node,
                            life,
                            view,
                            parent,
                        },
                    );
                }
                Effect::Validate(block) => {
                    let span = self.rng.between(0, 5);
                    self.later(
                        span,
                        Event::Validate {
                            node,
                            life,
                            block: Box::new(block),
                        },
                    );
                }
                Effect::Commit { block, proof } => self.commit(node, block, proof),
                Effect::Behind { .. } => {
                    let span = self.rng.between(10, 100);
                    self.later(span, Event::Sync { node, life });
                }
                Effect::Equivocation(proof) => {
                    let guilty = proof.verify(&CHAIN, &self.committee, &*self.scheme).ok();
                    self.checker.blamed(&proof, guilty);
                }
                Effect::Refused { .. } => {}
            }
        }
    }

    fn commit(&mut self, node: usize, block: Block, proof: CommitProof) {
        let index = self.nodes[node].index;
        let before = self.nodes[node].application.height();
        self.checker.committed(index, before, &block);
        self.record(b"commit", index, block.header.height, &block.id());
        // Proofs hold for everybody; one in sixteen is looked at, because it costs a quorum of signatures.
        if block.header.height.is_multiple_of(16)
            && let Err(error) = proof.verify(block.id(), &CHAIN, &self.committee, &*self.scheme)
        {
            self.checker
                .violations
                .push(format!("S12: commit of {index} is not proven: {error}"));
        }
        self.nodes[node].commit(block, proof);
        let life = self.nodes[node].life;
        for (_, block) in std::mem::take(&mut self.nodes[node].application.waiting) {
            self.later(
                0,
                Event::Validate {
                    node,
                    life,
                    block: Box::new(block),
                },
            );
        }
    }

    /// The application's own sync: copies the longest chain of a running peer, and checks its end.
    pub(super) fn sync(&mut self, node: usize) {
        let own = self.nodes[node].application.chain.len();
        let best = self.nodes.iter().filter(|peer| peer.core.is_some());
        let best = best.max_by_key(|peer| peer.application.chain.len());
        let missed: Vec<_> = best.map_or(Vec::new(), |peer| {
            peer.application.chain.iter().skip(own).cloned().collect()
        });
        let Some((block, proof)) = missed.last().cloned() else {
            return;
        };
        for (block, proof) in missed {
            self.commit(node, block, proof);
        }
        self.input(
            node,
            Input::Synced {
                block: Box::new(block),
                proof,
            },
        );
    }

    /// To one validator, all its twins included, or to everybody else.
    fn send(&mut self, node: usize, to: Option<u16>, message: Message) {
        let index = self.nodes[node].index;
        self.checker.sent(index, &message);
        let (kind, at, id): (&[u8], u64, Digest) = match &message {
            Message::Proposal(block) => (b"proposal", block.header.view, block.id()),
            Message::Vote(vote) if vote.phase == Phase::Certify => (b"vote", vote.view, vote.block),
            Message::Vote(vote) => (b"finalize", vote.view, vote.block),
            Message::Timeout(timeout) => (b"timeout", timeout.view, timeout.high.block),
            Message::Certificate(help) => (b"help", help.0.view, help.0.block),
            Message::BlockRequest(id) => (b"request", 0, *id),
            Message::BlockResponse(block) => (b"response", block.header.view, block.id()),
        };
        self.record(kind, index, at, &id);
        let message = Rc::new(message);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            if to.is_none_or(|to| self.nodes[peer].index == to) {
                self.post(node, peer, &message);
            }
        }
    }

    fn post(&mut self, node: usize, peer: usize, message: &Rc<Message>) {
        self.sent += 1;
        let faulty = self.in_faulty_phase();
        let lost = faulty && (self.sides[node] != self.sides[peer] || self.rng.chance(self.options.drop));
        if lost {
            self.faults += 1;
            return;
        }
        let copies = if faulty && self.rng.chance(self.options.duplicate) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let (low, high) = self.options.delay_ms;
            let span = self.rng.between(low, if faulty { high } else { 2 * low });
            let from = self.nodes[node].index;
            self.later(
                span,
                Event::Deliver {
                    node: peer,
                    from,
                    message: Rc::clone(message),
                },
            );
        }
    }

    pub(super) fn later(&mut self, span: u64, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + span, self.count), event);
    }

    fn record(&mut self, kind: &[u8], index: u16, at: u64, id: &Digest) {
        self.trace.update(kind);
        self.trace.update(&index.to_le_bytes());
        self.trace.update(&self.now.to_le_bytes());
        self.trace.update(&at.to_le_bytes());
        self.trace.update(&id.0);
    }
}
