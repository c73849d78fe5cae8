//! The crook's process: a p2p peer with a validator's identity, the set that it is in, and what it does with what it hears.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tacit_consensus::{
    Committee, Digest, Ed25519Signer, Epoch, Message, Phase, PublicKey, Signature, Signer, Vote, hash,
};
use tacit_node::wire::{Direct, FetchRequest, MAX_DIRECT_BYTES, MAX_FETCH_REQUEST_BYTES};
use tacit_p2p::{Event, Identity, Limits, Network, PeerId, Topic, peer_id_of};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::leader::TwoBlocks;
use super::{Adversary, AdversaryReport, forge, report_file, seed};
use crate::error::{Error, io_error};
use crate::facts::{Facts, NodeRole, write_whole};
use crate::founding;
use crate::http::Client;
use crate::links;

/// Between two acts of those who act by themselves.
const BEAT: Duration = Duration::from_millis(10);
/// Direct messages that a spammer sends a peer at each beat: twice what a validator may send.
const SPAM: usize = 40;
/// Questions that it asks a peer at each beat.
const QUESTIONS: usize = 4;
/// Messages that a replayer says again at each beat.
const REPEATED: usize = 4;
/// Messages that a replayer remembers.
const KEPT: usize = 4_096;
/// Between two looks at who is in the set.
const LOOK: Duration = Duration::from_secs(1);
/// Longest wait for an answer of an honest node's API.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was done, counted.
#[derive(Clone, Default)]
pub(super) struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

impl Counts {
    pub(super) fn add(&self, what: &str, number: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += number;
    }

    fn read(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The set as honest nodes say it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    epoch: Epoch,
    /// By their places.
    keys: Vec<PublicKey>,
    nodes: Vec<[u8; 32]>,
}

struct Crook {
    kind: Adversary,
    chain: Digest,
    signer: Ed25519Signer,
    network: Network,
    incarnation: u64,
    set: Set,
    /// The last view that was voted in, by epoch.
    voted: (Epoch, u64),
    two_blocks: TwoBlocks,
    heard: VecDeque<Vec<u8>>,
    counts: Counts,
    /// Numbers that need not be random, only different.
    number: u64,
}

/// See [`super::crook`].
pub(super) async fn run(kind: Adversary, facts: &Facts, i: usize) -> Result<(), Error> {
    let keys = tacit_node::init::seeded(&seed(facts, i)?);
    let node = facts.nodes.get(i).ok_or_else(|| Error::UnknownNode {
        node: i.to_string(),
        nodes: facts.nodes.len(),
    })?;
    let genesis = founding::read_genesis(facts)?;
    let (rpcs, file) = (honest(facts, i), report_file(&node.home));
    let parse = |text: String| text.parse().map_err(|e| founding::founding("an address", e));
    let (host, port) = (
        founding::host(facts.namespaces, i)?,
        links::port(&node.p2p).unwrap_or(0),
    );
    let config = tacit_p2p::Config {
        listen: vec![parse(format!("/ip4/{host}/tcp/{port}"))?],
        bootstrap: founding::peers(facts, node)
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()?,
        chain: genesis.chain_id().0,
        validators: Vec::new(),
        max_connections: 128,
        configured_only: facts.proxy,
        limits: Limits {
            // It may hear what others would refuse, and say what nobody may.
            direct_bytes: 8 << 20,
            ..Limits::default()
        },
    };
    let broken = |e: tacit_p2p::Error| founding::founding("the adversary's network", e);
    let (network, events) = tacit_p2p::start(Identity::from_seed(keys.node), config).map_err(broken)?;
    let (sets, news) = mpsc::channel(1);
    tokio::task::spawn_blocking(move || watch(&rpcs, &sets));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let crook = Crook {
        kind,
        chain: genesis.chain_id(),
        signer: Ed25519Signer::from_seed(keys.consensus),
        network,
        incarnation: u64::try_from(since.as_nanos()).unwrap_or(0),
        set: Set::default(),
        voted: (0, 0),
        two_blocks: TwoBlocks::default(),
        heard: VecDeque::new(),
        counts: Counts::default(),
        number: 0,
    };
    crook.live(events, news, file).await
}

/// The APIs of the other validators.
fn honest(facts: &Facts, i: usize) -> Vec<String> {
    let others = facts.nodes.iter().enumerate();
    others
        .filter(|(at, node)| *at != i && node.role == NodeRole::Validator)
        .map(|(_, node)| node.rpc.clone())
        .collect()
}

/// Looks who is in the set, again and again, until nobody wants to know.
fn watch(rpcs: &[String], sets: &mpsc::Sender<Set>) {
    let client = Client::new(PATIENCE);
    while !sets.is_closed() {
        if let Some(set) = rpcs.iter().find_map(|rpc| look(&client, rpc))
            && sets.blocking_send(set).is_err()
        {
            return;
        }
        crate::pause::pause(LOOK);
    }
}

fn look(client: &Client, rpc: &str) -> Option<Set> {
    let status = client.json(rpc, "/v1/status").ok()?;
    let page = client.json(rpc, "/v1/validators").ok()?;
    let seats = page["items"]
        .as_array()?
        .iter()
        .filter(|item| !item["index"].is_null());
    let key = |item: &Value, name: &str| PublicKey::from_hex(item[name].as_str()?).ok();
    let seats: Option<Vec<_>> = seats
        .map(|item| Some((key(item, "id")?, key(item, "node_id")?.0)))
        .collect();
    let (keys, nodes) = seats?.into_iter().unzip();
    Some(Set {
        epoch: status.pointer("/epoch/number")?.as_u64()?,
        keys,
        nodes,
    })
}

impl Crook {
    async fn live(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut sets: mpsc::Receiver<Set>,
        file: PathBuf,
    ) -> Result<(), Error> {
        let fail = |e| io_error("listen for signals beside", &file)(e);
        let mut term = signal(SignalKind::terminate()).map_err(fail)?;
        let mut int = signal(SignalKind::interrupt()).map_err(fail)?;
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut told = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                set = sets.recv() => if let Some(set) = set { self.is_in(set) },
                event = events.recv() => match event {
                    Some(event) => self.hear(event),
                    None => break,
                },
                _ = beat.tick() => self.act(),
                _ = told.tick() => self.tell(&file)?,
            }
        }
        self.tell(&file)?;
        self.network.shutdown().await;
        Ok(())
    }

    fn tell(&self, file: &std::path::Path) -> Result<(), Error> {
        let report = AdversaryReport {
            kind: self.kind,
            counts: self.counts.read(),
        };
        let text = serde_json::to_vec(&report).map_err(|e| founding::founding("the report", e))?;
        write_whole(file, &text, 0o644)
    }

    fn is_in(&mut self, set: Set) {
        if set != self.set {
            self.network.set_validators(set.nodes.clone());
            self.set = set;
        }
    }

    /// Its place in the set, while it has one.
    fn seat(&self) -> Option<u16> {
        let own = self.signer.public();
        let at = self.set.keys.iter().position(|key| *key == own)?;
        u16::try_from(at).ok()
    }

    fn others(&self) -> Vec<PeerId> {
        let own = self.network.local_peer();
        let all = self.set.nodes.iter().filter_map(peer_id_of);
        all.filter(|peer| *peer != own).collect()
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Message { bytes, .. } => {
                self.counts.add("heard", 1);
                match self.kind {
                    Adversary::Replay => self.remember(bytes),
                    Adversary::Equivocate => self.contradict(&bytes),
                    Adversary::Silent | Adversary::Spam | Adversary::Forge => {}
                }
            }
            Event::Request { from, bytes, channel } if self.kind == Adversary::Forge => {
                let Ok(request) =
                    tacit_ledger::codec::decode::<FetchRequest>(&bytes, MAX_FETCH_REQUEST_BYTES)
                else {
                    return;
                };
                self.number += 1;
                let (network, counts, number) = (self.network.clone(), self.counts.clone(), self.number);
                // Somebody else's answer is forged: the asker's own is not to be had.
                let others = self.others().into_iter().filter(|peer| *peer != from).collect();
                tokio::spawn(async move {
                    if let Some(forged) = forge::answer(&network, others, &request, number, &counts).await {
                        network.respond(channel, forged);
                    }
                });
            }
            Event::Gossip { token, .. } => self.network.validate_gossip(token, tacit_p2p::Verdict::Ignore),
            // A question that is not answered is answered by silence.
            Event::Request { .. }
            | Event::Control { .. }
            | Event::Connected { .. }
            | Event::Disconnected { .. }
            | Event::Listening(_) => {}
        }
    }

    fn act(&mut self) {
        match self.kind {
            Adversary::Spam => self.spam(),
            Adversary::Replay => self.repeat(),
            Adversary::Silent | Adversary::Equivocate | Adversary::Forge => {}
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn say(&self, to: PeerId, message: &Message) {
        let direct = Direct {
            epoch: self.set.epoch,
            incarnation: self.incarnation,
            message: message.encode(),
        };
        if let Ok(bytes) = borsh::to_vec(&direct) {
            self.network.send(to, bytes);
        }
    }

    // ---- spam

    fn spam(&mut self) {
        let seat = self.seat().unwrap_or(0);
        for peer in self.others() {
            for _ in 0..SPAM {
                let number = self.next();
                let noise = hash("noise", &[&number.to_le_bytes()]);
                match number % 4 {
                    // What does not decode.
                    0 => self.network.send(peer, noise.0.repeat(8)),
                    // A message that does not, in a frame that does.
                    1 => self.raw(peer, noise.0.to_vec()),
                    // A vote of a far view, signed by nobody.
                    2 => {
                        let vote = self.vote(seat, number, noise, Phase::Certify);
                        self.say(peer, &Message::Vote(vote));
                    }
                    // A block that nobody has.
                    _ => self.say(peer, &Message::BlockRequest(noise)),
                }
            }
            self.counts.add("frames", SPAM as u64);
            for _ in 0..QUESTIONS {
                let from = self.next();
                let request = FetchRequest::Blocks { from, limit: 64 };
                if let Ok(bytes) = borsh::to_vec(&request) {
                    let network = self.network.clone();
                    tokio::spawn(async move {
                        // What it answers does not matter.
                        let _ = network.request(peer, bytes).await;
                    });
                }
            }
            self.counts.add("questions", QUESTIONS as u64);
        }
        for topic in Topic::ALL {
            let noise = hash("gossip", &[&self.next().to_le_bytes()]);
            self.network.publish(topic, noise.0.to_vec());
            self.counts.add("gossip", 1);
        }
    }

    fn raw(&self, to: PeerId, message: Vec<u8>) {
        let direct = Direct {
            epoch: self.set.epoch,
            incarnation: self.incarnation,
            message,
        };
        if let Ok(bytes) = borsh::to_vec(&direct) {
            self.network.send(to, bytes);
        }
    }

    fn vote(&self, voter: u16, view: u64, block: Digest, phase: Phase) -> Vote {
        Vote {
            epoch: self.set.epoch,
            view,
            height: view,
            block,
            phase,
            voter,
            signature: Signature([0; 64]),
        }
    }

    // ---- replay

    fn remember(&mut self, bytes: Vec<u8>) {
        if bytes.len() > MAX_DIRECT_BYTES {
            return;
        }
        if self.heard.len() >= KEPT {
            self.heard.pop_front();
        }
        self.heard.push_back(bytes);
    }

    fn repeat(&mut self) {
        for peer in self.others() {
            for _ in 0..REPEATED {
                let number = self.next();
                let noise = hash("which", &[&number.to_le_bytes()]);
                let at = usize::from(noise.0[0]) << 8 | usize::from(noise.0[1]);
                let Some(bytes) = self.heard.get(at % self.heard.len().max(1)) else {
                    return;
                };
                // In its own name: the frame is its own, what is signed within is not.
                self.network.send(peer, bytes.clone());
                self.counts.add("repeated", 1);
            }
        }
    }

    // ---- equivocation

    fn contradict(&mut self, bytes: &[u8]) {
        let Some(seat) = self.seat() else { return };
        let Ok(direct) = tacit_ledger::codec::decode::<Direct>(bytes, MAX_DIRECT_BYTES) else {
            return;
        };
        if direct.epoch != self.set.epoch {
            return;
        }
        match Message::decode(&direct.message) {
            Ok(Message::Proposal(block)) => {
                let (epoch, view) = (block.header.epoch, block.header.view);
                self.two_blocks.saw(&block);
                if (epoch, view) > self.voted {
                    self.voted = (epoch, view);
                    let other = hash("a block that is not", &[&block.id().0]);
                    for phase in [Phase::Certify, Phase::Finalize] {
                        for block in [block.id(), other] {
                            let mut vote = Vote {
                                height: self.two_blocks.height(view).unwrap_or(view),
                                ..self.vote(seat, view, block, phase)
                            };
                            vote.signature = self.signer.sign(&vote.message(&self.chain).0);
                            self.to_all(&Message::Vote(vote));
                            self.counts.add("votes", 1);
                        }
                    }
                }
            }
            Ok(Message::Vote(vote)) => {
                let committee = Committee {
                    epoch: self.set.epoch,
                    members: self.set.keys.clone(),
                };
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let now = u64::try_from(since.as_millis()).unwrap_or(0);
                let made = self
                    .two_blocks
                    .heard(&committee, seat, vote, &self.chain, now, &self.signer);
                for block in made {
                    self.to_all(&Message::Proposal(Box::new(block)));
                    self.counts.add("proposals", 1);
                }
            }
            _ => {}
        }
    }

    fn to_all(&self, message: &Message) {
        for peer in self.others() {
            self.say(peer, message);
        }
    }
}
