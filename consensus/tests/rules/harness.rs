//! Four cores in one thread: virtual time, every message takes ten milliseconds unless a test drops it.

use std::collections::BTreeMap;
use std::sync::Arc;
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Committee, Config, Content, Core, Digest, Effect, Executed,
    Header, Input, Message, Millis, Payload, Phase, PublicKey, Refusal, SafetyRecord, Scheme, Signature,
    SignedHeader, SignedTimeout, Signer, Signers, Timeout, Vote, hash,
};

pub(crate) const DELAY: Millis = 10;
pub(crate) const START: Millis = 1_000_000;
pub(crate) const CHAIN: Digest = Digest([0xcc; 32]);

/// A scheme that anybody can forge: tests play the liars with it.
pub(crate) struct Toy;

pub(crate) fn toy_sign(key: &PublicKey, message: &[u8]) -> Signature {
    let half = hash("toy", &[&key.0, message]).0;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&half);
    Signature(signature)
}

impl Scheme for Toy {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        toy_sign(key, message) == *signature
    }
}

pub(crate) struct ToySigner(pub PublicKey);

impl Signer for ToySigner {
    fn public(&self) -> PublicKey {
        self.0
    }
    fn sign(&self, message: &[u8]) -> Signature {
        toy_sign(&self.0, message)
    }
}

pub(crate) fn key(index: usize) -> PublicKey {
    PublicKey(hash("toy key", &[&index.to_le_bytes()]).0)
}

pub(crate) fn committee(n: usize) -> Committee {
    Committee {
        epoch: 1,
        members: (0..n).map(key).collect(),
    }
}

pub(crate) fn anchor() -> Anchor {
    Anchor {
        epoch: 1,
        block: CHAIN,
        height: 0,
        time_ms: START,
        executed: Executed::default(),
    }
}

/// What was on a node's disk at one moment.
#[derive(Clone, Default)]
pub(crate) struct Image {
    pub(crate) record: Option<SafetyRecord>,
    pub(crate) stored: BTreeMap<Digest, Block>,
    pub(crate) commits: usize,
}

/// What one node has on disk and what it showed to its host.
pub(crate) struct Node {
    /// Every earlier state of its disk, oldest first, where the story keeps them.
    pub(crate) images: Vec<Image>,
    pub(crate) core: Option<Core>,
    pub(crate) record: Option<SafetyRecord>,
    pub(crate) stored: BTreeMap<Digest, Block>,
    pub(crate) commits: Vec<(Block, CommitProof)>,
    /// When each of them was committed, while it ran.
    pub(crate) committed_at: Vec<Millis>,
    pub(crate) sent: Vec<Message>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) evidence: Vec<tacit_consensus::EquivocationProof>,
    pub(crate) behind: Vec<u64>,
    pub(crate) validates: Vec<Digest>,
    signs: bool,
}

pub(crate) enum Event {
    Message { from: u16, to: u16, message: Message },
    Wake(u16),
}

type Filter = Box<dyn FnMut(u16, u16, &Message) -> bool>;

pub(crate) struct Net {
    pub(crate) now: Millis,
    pub(crate) committee: Committee,
    pub(crate) nodes: Vec<Node>,
    /// True for messages that get through.
    pub(crate) passes: Filter,
    /// Set by a test: this height closes the epoch.
    pub(crate) close_at: Option<u64>,
    /// Whether applications accept blocks.
    pub(crate) accept: bool,
    /// Wake-ups so far, of all nodes.
    pub(crate) woken: u64,
    /// The node whose disk's every state is kept.
    pub(crate) imaged: Option<usize>,
    events: BTreeMap<(Millis, u64), Event>,
    count: u64,
    n: usize,
}

impl Net {
    /// `n` validators and, after them, `observers`.
    pub(crate) fn new(n: usize, observers: usize) -> Self {
        let node = |signs| Node {
            images: Vec::new(),
            core: None,
            record: None,
            stored: BTreeMap::new(),
            commits: Vec::new(),
            committed_at: Vec::new(),
            sent: Vec::new(),
            refused: Vec::new(),
            evidence: Vec::new(),
            behind: Vec::new(),
            validates: Vec::new(),
            signs,
        };
        let mut net = Self {
            now: START,
            committee: committee(n),
            nodes: (0..n + observers).map(|index| node(index < n)).collect(),
            passes: Box::new(|_, _, _| true),
            close_at: None,
            accept: true,
            woken: 0,
            imaged: None,
            events: BTreeMap::new(),
            count: 0,
            n,
        };
        for index in 0..n + observers {
            net.start(index);
        }
        net
    }

    pub(crate) fn start(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let signer: Option<Arc<dyn Signer>> = node.signs.then(|| Arc::new(ToySigner(key(index))) as _);
        let committed = node.commits.last().cloned();
        let height = committed.as_ref().map_or(0, |(block, _)| block.header.height);
        let uncommitted = node
            .stored
            .values()
            .filter(|block| block.header.height > height)
            .cloned()
            .collect();
        let history: Vec<u64> = node.commits.iter().map(|(block, _)| block.header.view).collect();
        let (mut core, effects) = Core::new(
            Config::default(),
            CHAIN,
            self.committee.clone(),
            signer,
            Arc::new(Toy),
            anchor(),
            node.record.clone(),
            committed,
            uncommitted,
            self.now,
        );
        core.recall(&history);
        node.core = Some(core);
        self.carry_out(index, effects);
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.nodes[index].core = None;
    }

    pub(crate) fn core(&self, index: usize) -> &Core {
        self.nodes[index].core.as_ref().expect("node runs")
    }

    pub(crate) fn work(&mut self, work: bool) {
        for index in 0..self.nodes.len() {
            self.input(index, Input::Work(work));
        }
    }

    pub(crate) fn input(&mut self, index: usize, input: Input) {
        if let Some(core) = &mut self.nodes[index].core {
            let effects = core.step(self.now, input);
            self.carry_out(index, effects);
        }
    }

    pub(crate) fn deliver(&mut self, from: u16, to: usize, message: Message) {
        let bytes = message.encode();
        let message = Message::decode(&bytes).expect("own messages decode");
        self.input(
            to,
            Input::Message {
                from: Some(from),
                message,
            },
        );
    }

    /// What the application does when it is behind: copies the committed blocks of another node.
    pub(crate) fn sync(&mut self, index: usize, from: usize) {
        self.nodes[index].commits = self.nodes[from].commits.clone();
        let (block, proof) = self.nodes[from]
            .commits
            .last()
            .cloned()
            .expect("something is committed");
        self.input(
            index,
            Input::Synced {
                block: Box::new(block),
                proof,
            },
        );
    }

    pub(crate) fn run(&mut self, span: Millis) {
        let end = self.now + span;
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end) {
            self.now = entry.key().0;
            match entry.remove() {
                Event::Message { from, to, message } => self.deliver(from, usize::from(to), message),
                Event::Wake(node) => {
                    self.woken += 1;
                    self.input(usize::from(node), Input::Tick);
                }
            }
        }
        self.now = end;
    }

    fn carry_out(&mut self, index: usize, effects: Vec<Effect>) {
        for effect in effects {
            let node = &mut self.nodes[index];
            match effect {
                Effect::StoreBlock(block) => drop(node.stored.insert(block.id(), block)),
                Effect::Persist(record) => {
                    let record = SafetyRecord::decode(&record.encode()).expect("own record decodes");
                    if self.imaged == Some(index) {
                        node.images.push(Image {
                            record: node.record.clone(),
                            stored: node.stored.clone(),
                            commits: node.commits.len(),
                        });
                    }
                    node.record = Some(record);
                }
                Effect::Broadcast(message) => {
                    node.sent.push(message.clone());
                    for to in (0..self.nodes.len()).filter(|to| *to != index) {
                        self.post(index, to, message.clone());
                    }
                }
                Effect::Send { to, message } => {
                    node.sent.push(message.clone());
                    self.post(index, usize::from(to), message);
                }
                Effect::WakeAt(at) => self.schedule(at, Event::Wake(index as u16)),
                Effect::Build { view, parent } => {
                    let content = self.build(index, &parent);
                    self.input(
                        index,
                        Input::Built {
                            view,
                            parent,
                            content: Some(content),
                        },
                    );
                }
                Effect::Validate(block) => {
                    node.validates.push(block.id());
                    let input = Input::Validated {
                        block: block.id(),
                        accepted: self.accept,
                    };
                    self.input(index, input);
                }
                Effect::Commit { block, proof } => {
                    proof
                        .verify(block.id(), &CHAIN, &self.committee, &Toy)
                        .expect("commit is proven");
                    let last = node.commits.last().map_or(0, |(block, _)| block.header.height);
                    assert_eq!(block.header.height, last + 1, "each height once, in order");
                    node.commits.push((block, proof));
                    node.committed_at.push(self.now);
                }
                Effect::Behind { height } => node.behind.push(height),
                Effect::Equivocation(proof) => node.evidence.push(proof),
                Effect::Refused { reason, .. } => node.refused.push(reason),
            }
        }
    }

    fn build(&self, index: usize, parent: &Digest) -> Content {
        let core = self.core(index);
        let (height, time, executed) = core.block(parent).map_or((0, START, Executed::default()), |b| {
            (b.header.height, b.header.time_ms, b.header.executed)
        });
        let newest = self.nodes[index].commits.last();
        let newest = newest.filter(|(block, _)| block.header.height > executed.height);
        Content {
            time_ms: self.now.max(time + 1),
            payload: Payload {
                batches: vec![hash("batch", &[&height.to_le_bytes()])],
                system: Vec::new(),
            },
            executed: newest.map_or(executed, |(block, _)| executed_at(&block.header)),
            next_epoch: (self.close_at == Some(height + 1)).then_some(Digest([0xee; 32])),
            commit: newest.map(|(_, proof)| proof.certificate.clone()),
        }
    }

    fn post(&mut self, from: usize, to: usize, message: Message) {
        if (self.passes)(from as u16, to as u16, &message) {
            let (from, to) = (from as u16, to as u16);
            self.schedule(self.now + DELAY, Event::Message { from, to, message });
        }
    }

    fn schedule(&mut self, at: Millis, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// Heights committed by each running node.
    pub(crate) fn heights(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|node| node.core.is_some());
        running
            .map(|node| node.commits.last().map_or(0, |(block, _)| block.header.height))
            .collect()
    }

    /// No two nodes committed different blocks.
    pub(crate) fn assert_agreement(&self) {
        let mut chain: BTreeMap<u64, Digest> = BTreeMap::new();
        for (block, _) in self.nodes.iter().flat_map(|node| &node.commits) {
            let id = *chain.entry(block.header.height).or_insert(block.id());
            assert_eq!(id, block.id(), "fork at height {}", block.header.height);
        }
    }

    // --- statements that a liar could sign ---

    pub(crate) fn vote_for(&self, voter: usize, header: &Header, phase: Phase) -> Vote {
        let mut vote = Vote {
            epoch: header.epoch,
            view: header.view,
            height: header.height,
            block: header.id(),
            phase,
            voter: voter as u16,
            signature: Signature([0; 64]),
        };
        vote.signature = toy_sign(&key(voter), &vote.message(&CHAIN).0);
        vote
    }

    pub(crate) fn certificate(&self, header: &Header, phase: Phase, voters: &[usize]) -> Certificate {
        let votes: Vec<Vote> = voters
            .iter()
            .map(|voter| self.vote_for(*voter, header, phase))
            .collect();
        Certificate {
            epoch: header.epoch,
            view: header.view,
            height: header.height,
            block: header.id(),
            phase,
            signers: Signers::new(self.n, votes.iter().map(|vote| vote.voter)),
            signatures: votes.iter().map(|vote| vote.signature).collect(),
        }
    }

    pub(crate) fn timeout(&self, voter: usize, view: u64, high: Certificate) -> Timeout {
        let blank = Signature([0; 64]);
        let mut timeout = Timeout {
            epoch: 1,
            view,
            high,
            voter: voter as u16,
            signature: blank,
        };
        let signed: SignedTimeout = timeout.signed();
        timeout.signature = toy_sign(&key(voter), &signed.message(&CHAIN).0);
        timeout
    }

    /// A block of the view's leader upon `justify`; `tag` tells blocks of one view apart.
    pub(crate) fn proposal(&self, view: u64, justify: Certificate, tag: u8) -> Block {
        let payload = Payload {
            batches: vec![Digest([tag; 32])],
            system: Vec::new(),
        };
        let header = Header {
            chain: CHAIN,
            epoch: 1,
            height: justify.height + 1,
            view,
            parent: justify.block,
            time_ms: START.saturating_add(view),
            payload_root: payload.root(),
            executed: Executed::default(),
            next_epoch: None,
        };
        let blank = Signature([0; 64]);
        self.sign_block(Block {
            header,
            payload,
            justify,
            timeout: None,
            commit: None,
            signature: blank,
        })
    }

    pub(crate) fn sign_block(&self, mut block: Block) -> Block {
        let signed: SignedHeader = block.signed_header();
        let leader = usize::from(self.committee.leader(block.header.view));
        block.signature = toy_sign(&key(leader), &signed.message().0);
        block
    }
}

pub(crate) fn executed_at(header: &Header) -> Executed {
    Executed {
        height: header.height,
        public_root: header.id(),
        ..Executed::default()
    }
}

pub(crate) fn is_vote(message: &Message, wanted: Phase) -> bool {
    matches!(message, Message::Vote(vote) if vote.phase == wanted)
}
