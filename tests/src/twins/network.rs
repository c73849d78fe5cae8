//! Five cores and a cut.

use std::{collections::VecDeque, rc::Rc, sync::Arc};

use tacit_consensus::{
    Anchor, Committee, Config, Content, Core, Digest, Effect, Executed, Input, Message, Payload, hash,
};

use super::{
    Figures,
    scenario::{CORES, Round},
};
use crate::consensus_sim::toy;

const CHAIN: Digest = Digest([0x77; 32]);
/// Longer than any timeout.
const FOREVER_MS: u64 = 100_000;
/// No seat: nobody leads a round that is not decided yet.
const NOBODY: u16 = u16::MAX;
/// Rounds after a scenario, all of them whole, in which something must commit.
const HEALING: usize = 8;

/// A core, its own clock, and what it showed.
struct Twin {
    core: Core,
    now: u64,
    committed: Vec<Digest>,
    /// Whether it has seen the twins contradict themselves, and whether it blamed somebody else.
    blames: (bool, bool),
}

/// What is under way: to which core, from which seat.
type Post = VecDeque<(usize, u16, Rc<Message>)>;

/// All five, between two rounds.
pub(super) struct Network {
    cores: [Twin; CORES],
}

fn seat(core: usize) -> u16 {
    (core % 4) as u16
}

impl Network {
    pub(super) fn new() -> Self {
        let members = (0..4).map(|seat| toy::signer(false, seat).public()).collect();
        let committee = Committee { epoch: 1, members };
        let anchor = Anchor {
            epoch: 1,
            block: CHAIN,
            height: 0,
            time_ms: 1,
            executed: Executed::default(),
        };
        let cores = std::array::from_fn(|core| {
            let (mut one, _) = Core::new(
                Config::default(),
                CHAIN,
                committee.clone(),
                Some(toy::signer(false, seat(core))),
                toy::scheme(false),
                anchor,
                None,
                None,
                Vec::new(),
                1,
            );
            one.lead_by([NOBODY].into());
            Twin {
                core: one,
                now: 1,
                committed: Vec::new(),
                blames: (false, false),
            }
        });
        Self { cores }
    }

    /// Plays the last of these rounds; the others are behind.
    pub(super) fn play(&self, rounds: &[Round], figures: &mut Figures) -> Self {
        let mut next = Self {
            cores: std::array::from_fn(|core| self.cores[core].fork()),
        };
        let cut = rounds.last().map_or(0, |round| round.cut);
        // Who leads later is nobody's business yet, so no view beyond this round gets a block.
        let later = std::iter::repeat_n(NOBODY, 4);
        let leaders: Arc<[u16]> = rounds.iter().map(|round| round.leader).chain(later).collect();
        let round = rounds.len() as u64;
        let mut post = Post::new();
        for core in 0..CORES {
            next.cores[core].core.lead_by(Arc::clone(&leaders));
            next.step(core, Input::Work(true), cut, &mut post);
        }
        next.deliver(cut, &mut post, figures);
        for core in 0..CORES {
            if next.cores[core].core.view() <= round {
                next.cores[core].now += FOREVER_MS;
                next.step(core, Input::Tick, cut, &mut post);
            }
        }
        next.deliver(cut, &mut post, figures);
        next
    }

    fn deliver(&mut self, cut: u8, post: &mut Post, figures: &mut Figures) {
        while let Some((to, from, message)) = post.pop_front() {
            figures.deliveries += 1;
            let message = Message::clone(&message);
            let from = Some(from);
            self.step(to, Input::Message { from, message }, cut, post);
        }
    }

    fn step(&mut self, core: usize, input: Input, cut: u8, post: &mut Post) {
        let side = |core: usize| (cut >> core) & 1;
        for (to, message) in self.cores[core].step(core, input) {
            let heard = |peer: &usize| {
                *peer != core && side(*peer) == side(core) && to.is_none_or(|to| to == seat(*peer))
            };
            let peers = (0..CORES).filter(heard);
            post.extend(peers.map(|peer| (peer, seat(core), Rc::clone(&message))));
        }
    }

    /// Agreement of the honest, and no honest validator blamed.
    pub(super) fn broken(&self) -> Vec<String> {
        let honest = &self.cores[1..4];
        let longest = honest.iter().map(|one| one.committed.len()).max().unwrap_or(0);
        let mut broken = Vec::new();
        for height in 0..longest {
            let mut ids: Vec<_> = honest
                .iter()
                .filter_map(|one| one.committed.get(height))
                .collect();
            ids.dedup();
            if ids.len() > 1 {
                broken.push(format!("S1: at height {} both of {ids:?} are final", height + 1));
            }
        }
        if honest.iter().any(|one| one.blames.1) {
            broken.push("S11: an honest validator is blamed".into());
        }
        broken
    }

    pub(super) fn has_committed(&self) -> bool {
        self.cores[1..4].iter().any(|one| !one.committed.is_empty())
    }

    pub(super) fn has_blamed(&self) -> bool {
        self.cores[1..4].iter().any(|one| one.blames.0)
    }

    /// The cut ends: the honest must commit in the rounds that follow, and still agree.
    pub(super) fn heal(&self, path: &[Round], figures: &mut Figures) -> Vec<String> {
        let before = self.cores[1..4]
            .iter()
            .map(|one| one.committed.len())
            .max()
            .unwrap_or(0);
        let mut rounds = path.to_vec();
        let mut next = Self {
            cores: std::array::from_fn(|core| self.cores[core].fork()),
        };
        for round in 0..HEALING {
            rounds.push(Round {
                leader: (round % 3) as u16 + 1,
                cut: 0,
            });
            next = next.play(&rounds, figures);
        }
        let mut broken = next.broken();
        if next.cores[1..4].iter().any(|one| one.committed.len() <= before) {
            let heights: Vec<usize> = next.cores.iter().map(|one| one.committed.len()).collect();
            broken.push(format!(
                "L1: {heights:?} blocks after the cut was healed at {before}"
            ));
        }
        broken
    }
}

impl Twin {
    fn fork(&self) -> Self {
        Self {
            core: self.core.fork(),
            now: self.now,
            committed: self.committed.clone(),
            blames: self.blames,
        }
    }

    /// Takes an input in and answers what is sent; the application is at once.
    fn step(&mut self, index: usize, input: Input) -> Vec<(Option<u16>, Rc<Message>)> {
        let mut said = Vec::new();
        let mut queue = VecDeque::from([input]);
        while let Some(input) = queue.pop_front() {
            for effect in self.core.step(self.now, input) {
                match effect {
                    Effect::Broadcast(message) => said.push((None, Rc::new(message))),
                    Effect::Send { to, message } => said.push((Some(to), Rc::new(message))),
                    Effect::Build { view, parent } => queue.push_back(Input::Built {
                        view,
                        parent,
                        content: Some(build(&self.core, &parent, index, view)),
                    }),
                    Effect::Validate(block) => queue.push_back(Input::Validated {
                        block: block.id(),
                        accepted: true,
                    }),
                    Effect::Commit { block, .. } => self.committed.push(block.id()),
                    Effect::Equivocation(proof) => self.blame(&proof),
                    _ => {}
                }
            }
        }
        said
    }

    fn blame(&mut self, proof: &tacit_consensus::EquivocationProof) {
        use tacit_consensus::EquivocationProof as Proof;
        let guilty = match proof {
            Proof::Votes { first, .. } => first.voter,
            Proof::FinalizeAndTimeout { finalize, .. } => finalize.voter,
            // Only a twin leads twice; its signature was checked by the core.
            Proof::Proposals { .. } => 0,
        };
        match guilty {
            0 => self.blames.0 = true,
            _ => self.blames.1 = true,
        }
    }
}

/// The twins' blocks differ: each puts its own number in.
fn build(core: &Core, parent: &Digest, index: usize, view: u64) -> Content {
    let before = core.block(parent).map(|block| &block.header);
    Content {
        time_ms: before.map_or(1, |header| header.time_ms) + 1,
        payload: Payload {
            batches: vec![hash("twins", &[&[index as u8], &view.to_le_bytes()])],
            system: Vec::new(),
        },
        executed: before.map_or(Executed::default(), |header| header.executed),
        next_epoch: None,
        commit: None,
    }
}
