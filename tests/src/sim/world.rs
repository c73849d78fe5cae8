//! A network of replicas in one process: one clock, one queue of events, one source of chance.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_consensus::{Committee, Digest, Epoch, Height, Message, Millis};
use tacit_ledger::{EpochRecord, Genesis, OpenedEnvelope, Params, PrivateState};
use tacit_node::{
    replica::{History, Input, NodeKey, Offence, Replica, ReplicaConfig},
    wire::FetchResponse,
};

use super::{
    checker::Checker,
    founders::{self, genesis_of, node_key, parts},
    leak::Leaks,
    node::{Image, Node, Seen},
    swarm::weather::Weather,
    toy,
    vault::MemoryVault,
    wire::{Delivery, Packet},
};
use crate::{consensus_sim::Rng, oracle::Judge};

/// What a story chooses.
#[derive(Clone)]
pub struct Options {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// The network's constants.
    pub params: Params,
    /// How many found the network, up to seven.
    pub founders: usize,
    /// Whether consensus signs with Ed25519, or with hashes that cost nothing.
    pub real_signatures: bool,
    /// Accounts with a balance, beside Alice's and Bob's.
    pub accounts: u32,
    /// One-way delays, both included.
    pub delay_ms: (Millis, Millis),
    /// Messages lost, of a thousand.
    pub loss: u64,
    /// Whether the reference model judges every transition of every core. Only where nobody lies or runs twice.
    pub judged: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            founders: 4,
            real_signatures: true,
            accounts: 0,
            params: Params {
                epoch_ms_max: 3_600_000,
                ..Params::default()
            },
            delay_ms: (5, 15),
            loss: 0,
            judged: false,
        }
    }
}

impl Options {
    /// Epochs that end after so many milliseconds.
    pub fn epochs_of(ms: u64) -> Self {
        let mut options = Self::default();
        options.params.epoch_ms_max = ms;
        options
    }
}

/// What a crooked sender makes of a consensus message to one receiver: what is sent instead.
pub type Crook = Box<dyn FnMut(usize, usize, Message) -> Vec<Message>>;
/// What a crooked server makes of an answer.
pub type CrookedServer = Box<dyn FnMut(usize, FetchResponse) -> FetchResponse>;

/// A lost network's state, as the founder of this index opens it.
pub type LostState = Box<dyn Fn(usize) -> PrivateState>;

/// See the module.
pub struct World {
    /// What the story chose.
    pub options: Options,
    /// The network's genesis.
    pub genesis: Arc<Genesis>,
    /// Its digest.
    pub chain: Digest,
    /// The world's clock, in milliseconds since 1970.
    pub now: Millis,
    /// Founders first, then who came later.
    pub nodes: Vec<Node>,
    /// Looks on.
    pub checker: Checker,
    /// The reference model, where the options want it.
    pub judge: Judge,
    /// Changes what nodes say to each other.
    pub crook: Option<Crook>,
    /// Changes what nodes answer to each other.
    pub server: Option<CrookedServer>,
    /// Whose words are changed, where it is not everybody's.
    pub crooked: BTreeSet<usize>,
    /// Nodes whose batches and system transactions are not gossiped.
    pub mute: BTreeSet<usize>,
    /// Nodes that hear no batches by gossip.
    pub deaf: BTreeSet<usize>,
    /// Nodes that take requests and never answer.
    pub silent: BTreeSet<usize>,
    /// A benchmark's clock, in nanoseconds.
    pub clock: Option<fn() -> u64>,
    /// Pairs between which nothing passes, one way.
    pub cut: BTreeSet<(usize, usize)>,
    /// The validator of whose disk earlier states are kept.
    pub imaged: Option<usize>,
    /// Each how-manieth synced write's.
    pub image_every: u64,
    /// Those states, oldest first.
    pub images: Vec<Image>,
    /// The clients' chance.
    pub sealing: ChaCha20Rng,
    next_reply: u64,
    /// The newest direct messages, for replays.
    pub overheard: VecDeque<(usize, usize, Vec<u8>)>,
    /// What a recovered network's founders begin with.
    pub lost: Option<LostState>,
    /// A network that fails, and how it does.
    pub(super) weather: Option<Box<Weather>>,
    /// Looks for planted plaintext.
    pub(super) leaks: Option<Box<Leaks>>,
    /// Nodes that went down by themselves and were not looked at yet.
    pub(super) fallen: Vec<usize>,
    /// Envelopes as they were opened: all holders of an epoch's secret find the same.
    pub(super) opened: BTreeMap<(Epoch, Digest), Option<Arc<OpenedEnvelope>>>,
    /// Packets delivered and nodes woken.
    pub events: u64,
    pub(super) queue: BTreeMap<(Millis, u64), Delivery>,
    next_event: u64,
    chance: Rng,
    trace: blake3::Hasher,
}

impl World {
    /// The founders at genesis, started and connected.
    pub fn new(options: Options) -> Self {
        let genesis = genesis_of(options.params, options.founders, options.accounts);
        Self::of(options, genesis, None)
    }

    /// The same on another genesis, that of a recovered network with its founders' beginning.
    pub fn of(options: Options, genesis: Arc<Genesis>, lost: Option<LostState>) -> Self {
        let mut world = Self::empty(options, genesis, lost);
        (0..world.nodes.len()).for_each(|index| world.start(index));
        world
    }

    /// The founders, not started.
    pub fn empty(options: Options, genesis: Arc<Genesis>, lost: Option<LostState>) -> Self {
        let mut world = Self {
            chain: genesis.chain_id(),
            now: genesis.time_ms + 100,
            nodes: Vec::new(),
            judge: Judge::default(),
            checker: Checker::default(),
            crook: None,
            server: None,
            crooked: BTreeSet::new(),
            mute: BTreeSet::new(),
            deaf: BTreeSet::new(),
            silent: BTreeSet::new(),
            clock: None,
            cut: BTreeSet::new(),
            sealing: ChaCha20Rng::seed_from_u64(options.seed),
            next_reply: 0,
            imaged: None,
            image_every: 8,
            images: Vec::new(),
            overheard: VecDeque::new(),
            queue: BTreeMap::new(),
            next_event: 0,
            chance: Rng::new(options.seed),
            weather: None,
            leaks: None,
            fallen: Vec::new(),
            opened: BTreeMap::new(),
            events: 0,
            trace: blake3::Hasher::new(),
            lost,
            genesis,
            options,
        };
        for index in 0..world.options.founders {
            world.nodes.push(Node::new(index, Some(MemoryVault::default())));
        }
        world
    }

    /// The same, when the first epoch with a key has begun everywhere and there is nothing left to do.
    pub fn at_epoch_1(options: Options) -> Self {
        let mut world = Self::new(options);
        world.run_until("epoch 1 begins everywhere", 20_000, |world| world.all_in(1));
        world.settle();
        world
    }

    /// Adds a machine with keys of its own, which nobody has heard of and which knows nothing but genesis.
    pub fn add_validator(&mut self) -> usize {
        self.add_validator_keeping(History::All)
    }

    /// Adds an observer that knows nothing but genesis.
    pub fn add_observer(&mut self) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node::new(index, None));
        self.start(index);
        index
    }

    /// Adds an observer that keeps the blocks of so many closed epochs only.
    pub fn add_forgetful_observer(&mut self, epochs: u64) -> usize {
        let index = self.nodes.len();
        let mut node = Node::new(index, None);
        node.history = History::Epochs(epochs.try_into().expect("an epoch at least"));
        self.nodes.push(node);
        self.start(index);
        index
    }

    /// Such a machine, which keeps so much of the chain.
    pub fn add_validator_keeping(&mut self, history: History) -> usize {
        let index = self.nodes.len();
        let mut node = Node::new(index, Some(MemoryVault::default()));
        node.history = history;
        self.nodes.push(node);
        self.start(index);
        index
    }

    /// Opens a node's replica on what its store and vault kept.
    pub fn start(&mut self, index: usize) {
        let opened = self.try_start(index);
        opened.unwrap_or_else(|error| panic!("node {index} does not start: {error}"));
    }

    /// The same, where it may fail by a name.
    ///
    /// # Errors
    ///
    /// Those of [`Replica::open`].
    pub fn try_start(&mut self, index: usize) -> Result<(), tacit_node::NodeError> {
        let now = self.now;
        let real = self.options.real_signatures;
        let node = &mut self.nodes[index];
        node.life += 1;
        (node.dies_in, node.paused_until) = (None, 0);
        node.store.reopened();
        node.last_said.clear();
        node.halted = None;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.options.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&(index as u64).to_le_bytes());
        seed[16..24].copy_from_slice(&node.life.to_le_bytes());
        let config = ReplicaConfig {
            genesis: self.genesis.clone(),
            store: node.store.clone(),
            scheme: toy::scheme(real),
            validator: node.vault.as_ref().map(|vault| parts(node.identity, vault, real)),
            history: node.history,
            seed,
            protocols: node.protocols.clone(),
            origin: self.lost.as_ref().map(|lost| lost(index)),
            verdicts: founders::VERDICTS.clone(),
            tracer: self.options.judged.then(|| Box::new(self.judge.clone()) as _),
        };
        let (replica, effects) = Replica::open(config, node.time(now))?;
        self.checker.restarted(index, replica.head().height);
        let (height, executes) = (replica.head().height, replica.supply().is_some());
        node.replica = Some(replica);
        self.check_kept(index, height, executes);
        self.carry(index, effects);
        for other in 0..self.nodes.len() {
            let apart = self.nodes[other].identity != self.nodes[index].identity;
            if apart && self.nodes[other].replica.is_some() {
                self.connect(other, index);
                self.connect(index, other);
            }
        }
        Ok(())
    }

    /// Power off, and everything that was not synced is gone.
    pub fn crash(&mut self, index: usize) {
        self.nodes[index].store.crash();
        self.go_down(index);
    }

    /// Its process ends; the machine goes on, so what was written stays.
    pub fn kill(&mut self, index: usize) {
        self.nodes[index].store.killed();
        self.go_down(index);
    }

    pub(super) fn go_down(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.replica = None;
        node.opener = None;
        node.paused_until = 0;
        // Its sockets close: what it was asked and has not answered will not be answered.
        for (asker, life, request) in self.checker.unanswered(index) {
            let response = None;
            let packet = Packet::Response {
                life,
                request,
                response,
            };
            self.post(index, asker, packet);
        }
        for other in (0..self.nodes.len()).filter(|other| *other != index) {
            if !self.cut.contains(&(index, other)) {
                self.notice(index, other, Packet::Disconnected(self.key_of(index)));
            }
        }
    }

    /// One input to one replica, and what follows from it.
    pub fn input(&mut self, index: usize, input: Input) {
        let node = &mut self.nodes[index];
        let Some(replica) = node.replica.as_mut() else {
            return;
        };
        let ms = self.now.saturating_sub(self.genesis.time_ms);
        let _span = tracing::error_span!("node", index, ms).entered();
        let syncs = node.store.counts().1;
        let began = self.clock.map(|clock| clock());
        let effects = replica.step(node.clock.read(self.now) + node.ahead_ms, input);
        let now = node.store.counts().1;
        if self.imaged == Some(index) && now > syncs && now.is_multiple_of(self.image_every) {
            self.images.push(node.image());
        }
        self.spent(index, began);
        self.carry(index, effects);
    }

    /// Counts what a benchmark's clock says that a node has used.
    pub(super) fn spent(&mut self, index: usize, began: Option<u64>) {
        if let (Some(clock), Some(began)) = (self.clock, began) {
            let took = clock().saturating_sub(began);
            self.nodes[index].seen.spent += std::time::Duration::from_nanos(took);
        }
    }

    /// The next event up to `limit`; false when there is none and the clock stands at `limit`.
    pub fn advance(&mut self, limit: Millis) -> bool {
        let event = self.queue.keys().next().map(|(at, _)| *at);
        let wake = self
            .nodes
            .iter()
            .filter_map(|node| Some((node.wakes(self.now)?, node.index)))
            .min();
        let next = [event, wake.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(at) = next.filter(|at| *at <= limit) else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(at);
        self.events += 1;
        if event == Some(at) {
            if let Some((_, delivery)) = self.queue.pop_first() {
                let paused_until = self.nodes[delivery.to].paused_until;
                if paused_until > self.now {
                    self.queue_at(paused_until, delivery);
                } else {
                    let (from, to) = (delivery.from.to_le_bytes(), delivery.to.to_le_bytes());
                    self.note(&[b"deliver", &from, &to]);
                    self.deliver(delivery);
                }
            }
        } else if let Some((_, index)) = wake {
            self.tick(index);
        }
        true
    }

    fn tick(&mut self, index: usize) {
        let now = self.now;
        let last = &mut self.nodes[index].last_tick;
        let times = last
            .filter(|(at, _)| *at == now)
            .map_or(0, |(_, times)| times + 1);
        assert!(
            times < 20,
            "node {index} spins: it asks for a tick that it has just had"
        );
        *last = Some((now, times));
        self.note(&[b"tick", &index.to_le_bytes()]);
        self.input(index, Input::Tick);
    }

    /// Runs for so many milliseconds.
    pub fn run_for(&mut self, ms: Millis) {
        let limit = self.now + ms;
        while self.advance(limit) {}
    }

    /// Runs until something holds, which must be within `ms`.
    pub fn run_until(&mut self, what: &str, ms: Millis, done: impl Fn(&Self) -> bool) {
        let limit = self.now + ms;
        while !done(self) {
            assert!(
                self.advance(limit),
                "not within {ms} ms: {what}\n{}",
                self.picture()
            );
        }
    }

    /// Runs until every state is proven by a final header everywhere, and for a moment longer.
    pub fn settle(&mut self) {
        self.run_until("all is proven", 60_000, |world| {
            let mut up = world.nodes.iter().filter_map(|node| node.replica.as_ref());
            let head = world.nodes.iter().map(Node::height).max();
            up.all(|replica| Some(replica.head().height) == head && replica.mempool_size().0 == 0)
                && world.nodes.iter().all(Node::is_proven)
        });
        self.run_for(50);
    }

    /// Whether all nodes run and are in this epoch or a later one.
    pub fn all_in(&self, epoch: Epoch) -> bool {
        self.nodes.iter().all(|node| node.epoch() >= epoch)
    }

    /// Whether an envelope is in everybody's chain.
    pub fn all_have(&self, id: &Digest) -> bool {
        let mut up = self.nodes.iter().filter(|node| node.replica.is_some());
        up.all(|node| node.has(id))
    }

    /// The highest final block of all that run.
    pub fn top(&self) -> Height {
        self.nodes.iter().map(Node::height).max().unwrap_or(0)
    }

    /// The newest epoch's record that any node knows.
    pub fn record(&self) -> Arc<EpochRecord> {
        let up = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        up.map(|replica| replica.record().clone())
            .max_by_key(|record| record.epoch)
            .expect("a running node")
    }

    /// The set of an epoch, as any node's store has it.
    pub fn committee(&self, epoch: Epoch) -> Committee {
        let found = self
            .nodes
            .iter()
            .find_map(|node| node.log().epoch(epoch).expect("readable"));
        found.map_or_else(|| self.genesis.committee0(), |link| link.record.committee())
    }

    /// The nodes with this identity: one, or a validator and its twins, or none where its machine has other keys by now.
    pub fn holders(&self, key: &NodeKey) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|index| self.key_of(*index) == *key)
            .collect()
    }

    /// A node's name in the network.
    pub fn key_of(&self, index: usize) -> NodeKey {
        node_key(self.nodes[index].identity)
    }

    /// A second process of a validator, on a copy of its disk, started.
    pub fn add_twin(&mut self, of: usize) -> usize {
        let index = self.nodes.len();
        let mut twin = Node::new(index, self.nodes[of].vault.as_ref().map(MemoryVault::image));
        twin.identity = self.nodes[of].identity;
        twin.store = Arc::new(self.nodes[of].store.image());
        let height = self.nodes[of].log().head().expect("readable");
        let height = height.map_or(0, |head| head.block.header.height);
        self.nodes.push(twin);
        self.checker.restarted(index, height);
        self.start(index);
        index
    }

    /// No honest node was blamed by another, nothing looked like fraud, nobody stopped.
    pub fn assert_calm(&self) {
        for node in &self.nodes {
            let Seen {
                penalties,
                equivocations,
                two_holders,
                ..
            } = &node.seen;
            assert!(penalties.is_empty(), "node {} blames {penalties:?}", node.index);
            assert!(equivocations.is_empty(), "node {} sees fraud", node.index);
            assert!(two_holders.is_empty(), "node {} sees two of one", node.index);
            assert_eq!(node.halted, None, "node {} stopped", node.index);
        }
    }

    /// Whether any node penalised `whom`, and for what.
    pub fn blamed(&self, whom: usize) -> Vec<Offence> {
        let key = node_key(whom);
        self.nodes
            .iter()
            .flat_map(|node| &node.seen.penalties)
            .filter(|(peer, _)| *peer == key)
            .map(|(_, offence)| *offence)
            .collect()
    }

    /// A number for a question that was not asked before.
    pub fn reply(&mut self) -> u64 {
        self.next_reply += 1;
        self.next_reply
    }

    pub(super) fn note(&mut self, parts: &[&[u8]]) {
        self.trace.update(&self.now.to_le_bytes());
        for part in parts {
            self.trace.update(&part.len().to_le_bytes());
            self.trace.update(part);
        }
        if let Some(leaks) = &mut self.leaks {
            parts.iter().for_each(|part| leaks.scan("a packet", part));
        }
    }

    /// A hash of everything that happened.
    pub fn trace(&self) -> blake3::Hash {
        self.trace.finalize()
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.chance.draw()
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next_event += 1;
        self.next_event
    }

    /// Where everybody is.
    pub fn picture(&self) -> String {
        let mut lines = format!("at {} ms", self.now - founders::TIME);
        for node in &self.nodes {
            let state = node.replica.as_ref().map(|replica| {
                let (head, record) = (replica.head(), replica.record());
                let view = replica.view();
                let mempool = replica.mempool_size();
                format!(
                    "epoch {} height {} view {view:?} certified {} mempool {mempool:?}",
                    record.epoch,
                    head.height,
                    replica.certified_executed()
                )
            });
            lines += &format!("\nnode {}: {state:?} halted {:?}", node.index, node.halted);
        }
        lines
    }
}
