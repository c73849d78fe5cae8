//! Our core behind the same network: a thread a replica that waits for frames and ticks, and carries effects out in
//! order. As in the node, what is ordered travels apart from the proposal that names it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tacit_consensus::{
    Anchor, Block, Certificate, Committee, Config, Content, Core, Digest, Ed25519, Ed25519Signer, Effect,
    Executed, Input, Message, Payload, Signer, hash,
};

use crate::book::Book;
use crate::case::{Case, Scene};
use crate::hub::{Frame, Port};

/// Committed batches that are kept, for whoever is behind.
const BATCHES_KEPT: usize = 32;
/// Blocks that the store keeps beside the record.
const BLOCKS_KEPT: usize = 1024;
/// First byte of a frame.
const MESSAGE: u8 = 0;
const BATCH: u8 = 1;
/// The clock's origin; block times are on it.
const START_MS: u64 = 1_790_000_000_000;

fn signer(index: u16) -> Ed25519Signer {
    Ed25519Signer::from_seed([index as u8 + 1; 32])
}

/// Starts one replica in a thread of its own.
pub(crate) fn start(case: Case, port: Port<[u8]>, inbox: Receiver<Frame<[u8]>>, book: Arc<Book>) {
    std::thread::spawn(move || Replica::new(case, port, book).run(&inbox));
}

struct Replica {
    case: Case,
    core: Core,
    port: Port<[u8]>,
    book: Arc<Book>,
    started: Instant,
    /// When the core wants a tick.
    wakes: BTreeMap<u64, ()>,
    /// The disk: blocks and the newest record, as bytes.
    blocks: VecDeque<(Digest, Vec<u8>)>,
    record: Vec<u8>,
    batches: HashMap<Digest, Arc<[u8]>>,
    committed_batches: VecDeque<Digest>,
    /// Proposals that wait for a batch or for execution.
    waiting: Vec<Block>,
    executed: BTreeMap<u64, Executed>,
    /// Commits the newest executed block.
    commit: Option<Certificate>,
    /// A batch's frame; the view is written into it.
    template: Vec<u8>,
    /// The application's answers that the core has not heard yet.
    answers: VecDeque<Input>,
}

impl Replica {
    fn new(case: Case, port: Port<[u8]>, book: Arc<Book>) -> Self {
        let chain = hash("baseline chain", &[]);
        let committee = Committee {
            epoch: 1,
            members: (0..case.n).map(|index| signer(index).public()).collect(),
        };
        let anchor = Anchor {
            epoch: 1,
            block: chain,
            height: 0,
            time_ms: START_MS,
            executed: Executed::default(),
        };
        let me: Arc<dyn Signer> = Arc::new(signer(port.me()));
        let (core, effects) = Core::new(
            Config::default(),
            chain,
            committee,
            Some(me),
            Arc::new(Ed25519),
            anchor,
            None,
            None,
            Vec::new(),
            START_MS,
        );
        let mut replica = Self {
            case,
            core,
            port,
            book,
            started: Instant::now(),
            wakes: BTreeMap::new(),
            blocks: VecDeque::new(),
            record: Vec::new(),
            batches: HashMap::new(),
            committed_batches: VecDeque::new(),
            waiting: Vec::new(),
            executed: BTreeMap::new(),
            commit: None,
            template: [vec![BATCH], vec![0x5a; case.payload]].concat(),
            answers: VecDeque::new(),
        };
        replica.carry_out(effects);
        replica
    }

    fn now(&self) -> u64 {
        START_MS + self.started.elapsed().as_millis() as u64
    }

    fn run(mut self, inbox: &Receiver<Frame<[u8]>>) {
        if self.case.scene != Scene::Idle {
            self.step(Input::Work(true));
        }
        loop {
            let next = self.wakes.first_key_value().map(|(at, ())| *at);
            let at = next.map_or(u64::MAX, |at| at.saturating_sub(START_MS));
            let wait = Duration::from_millis(at.min(3_600_000)).saturating_sub(self.started.elapsed());
            match inbox.recv_timeout(wait) {
                Ok(frame) => self.receive(&frame),
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.now();
                    self.wakes = self.wakes.split_off(&(now + 1));
                    self.step(Input::Tick);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn receive(&mut self, frame: &Frame<[u8]>) {
        let (kind, bytes) = frame.body.split_first().expect("frames have a kind");
        if *kind == BATCH {
            let name = Digest(*blake3::hash(bytes).as_bytes());
            self.batches.insert(name, frame.body.clone());
            self.judge_waiting();
            if let Some(input) = self.answers.pop_front() {
                self.step(input);
            }
        } else {
            let message = Message::decode(bytes).expect("replicas send what decodes");
            let from = Some(frame.from);
            self.step(Input::Message { from, message });
        }
    }

    /// Takes an input, and then what the application answered to it.
    fn step(&mut self, input: Input) {
        self.answers.push_back(input);
        while let Some(input) = self.answers.pop_front() {
            let effects = self.core.step(self.now(), input);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::StoreBlock(block) => self.store(&block),
                Effect::Persist(record) => self.record = record.encode(),
                Effect::Broadcast(message) => self.port.broadcast(&frame(MESSAGE, &message.encode())),
                Effect::Send { to, message } => self.port.send(to, &frame(MESSAGE, &message.encode())),
                Effect::WakeAt(at) => {
                    self.wakes.insert(at, ());
                }
                Effect::Build { view, parent } => self.build(view, parent),
                Effect::Validate(block) => {
                    self.waiting.push(block);
                    self.judge_waiting();
                }
                Effect::Commit { block, proof } => self.commit(&block, proof.certificate),
                Effect::Behind { .. } | Effect::Refused { .. } => {}
                Effect::Equivocation(_) => unreachable!("nobody here is faulty"),
            }
        }
    }

    fn store(&mut self, block: &Block) {
        let bytes = borsh::to_vec(block).expect("a block encodes");
        self.blocks.push_back((block.id(), bytes));
        if self.blocks.len() > BLOCKS_KEPT {
            self.blocks.pop_front();
        }
    }

    fn build(&mut self, view: u64, parent: Digest) {
        let asked = Instant::now();
        let header = self.core.block(&parent).map(|block| &block.header);
        let height = header.map_or(0, |header| header.height) + 1;
        let certified = header.map_or(Executed::default(), |header| header.executed);
        let after = header.map_or(START_MS, |header| header.time_ms) + 1;
        let newest = self.executed.last_key_value().map(|(_, own)| *own);
        let newest = newest.filter(|own| own.height > certified.height && own.height < height);
        let commit = newest.and(self.commit.clone());
        let batches = if self.case.payload == 0 {
            Vec::new()
        } else {
            self.template[1..9].copy_from_slice(&view.to_le_bytes());
            let bytes: Arc<[u8]> = Arc::from(&self.template[..]);
            let name = Digest(*blake3::hash(&bytes[1..]).as_bytes());
            self.port.broadcast(&bytes);
            self.batches.insert(name, bytes);
            vec![name]
        };
        let content = Content {
            time_ms: after.max(self.now()),
            payload: Payload {
                batches,
                system: Vec::new(),
            },
            executed: newest.unwrap_or(certified),
            next_epoch: None,
            commit: commit.filter(|commit| commit.height < height),
        };
        self.book.made(name(view), asked);
        self.answers.push_back(Input::Built {
            view,
            parent,
            content: Some(content),
        });
    }

    /// Judges each proposal whose batches are here and whose claim about the state can be compared.
    fn judge_waiting(&mut self) {
        let mut judged = Vec::new();
        self.waiting.retain(|block| {
            let claimed = block.header.executed;
            let held = block
                .payload
                .batches
                .iter()
                .all(|batch| self.batches.contains_key(batch));
            let own = match claimed.height {
                0 => Some(claimed == Executed::default()),
                height => self.executed.get(&height).map(|own| *own == claimed),
            };
            match own.filter(|_| held) {
                Some(accepted) => judged.push((block.id(), accepted)),
                None => return true,
            }
            false
        });
        let answers = judged
            .into_iter()
            .map(|(block, accepted)| Input::Validated { block, accepted });
        self.answers.extend(answers);
    }

    fn commit(&mut self, block: &Block, certificate: Certificate) {
        self.book.committed(self.port.me(), &name(block.header.view));
        let before = self.executed.last_key_value().map(|(_, own)| *own);
        let before = before.unwrap_or_default();
        let executed = Executed {
            height: block.header.height,
            public_root: hash("baseline state", &[&before.public_root.0, &block.id().0]),
            ..before
        };
        self.executed.insert(executed.height, executed);
        if self.executed.len() > BLOCKS_KEPT {
            self.executed.pop_first();
        }
        self.commit = Some(certificate);
        self.committed_batches.extend(&block.payload.batches);
        while self.committed_batches.len() > BATCHES_KEPT {
            if let Some(batch) = self.committed_batches.pop_front() {
                self.batches.remove(&batch);
            }
        }
        let view = self.core.view();
        self.waiting.retain(|block| block.header.view >= view);
        self.judge_waiting();
    }
}

/// One view has one block here, as nobody is faulty.
fn name(view: u64) -> [u8; 32] {
    hash("baseline block", &[&view.to_le_bytes()]).0
}

fn frame(kind: u8, bytes: &[u8]) -> Arc<[u8]> {
    let mut frame = Vec::with_capacity(1 + bytes.len());
    frame.push(kind);
    frame.extend_from_slice(bytes);
    frame.into()
}
