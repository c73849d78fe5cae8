//! Targets of `tacit-consensus`: what validators send each other, and a live core that is sent anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock};

use tacit_consensus::{
    Anchor, Block, CommitProof, Committee, Config, Content, Core, Digest, Ed25519, Ed25519Signer, Effect,
    EquivocationProof, Executed, Found, Input, MAX_MESSAGE_BYTES, Message, Payload, Phase, Probation,
    PublicKey, SafetyRecord, Scheme, Signature, SignedTimeout, Signer, Standing, Statements, Vote, hash,
};

use super::attest::exact;

const N: u16 = 4;
/// When the small network starts, in milliseconds.
const START_MS: u64 = 1_790_000_000_000;
/// Blocks that it commits.
const HEIGHT: u64 = 6;
/// The view whose proposal is lost, so that there are timeouts.
const LOST_VIEW: u64 = 3;
/// Effects of one step, at most: what is committed at once is bounded by the views in the input.
const MAX_EFFECTS: usize = 256;
/// Messages that one input of `core` carries, at most.
const MAX_STEPS: usize = 96;

/// A few blocks of a network of four with real keys, and all that was said.
pub struct Network {
    /// The chain.
    pub chain: Digest,
    /// Its validators.
    pub committee: Committee,
    /// Everything sent, with its receiver.
    pub sent: Vec<(u16, Message)>,
    /// What validator 0 committed.
    pub committed: Vec<(Block, CommitProof)>,
    /// The newest record of each.
    pub records: Vec<SafetyRecord>,
    /// How each stands with the first.
    pub standings: Vec<Standing>,
    signatures: BTreeSet<[u8; 64]>,
}

fn signer(index: u16) -> Ed25519Signer {
    Ed25519Signer::from_seed([index as u8 + 1; 32])
}

fn chain() -> Digest {
    hash("fuzz chain", &[])
}

fn committee() -> Committee {
    Committee {
        epoch: 1,
        members: (0..N).map(|index| signer(index).public()).collect(),
    }
}

fn anchor() -> Anchor {
    Anchor {
        epoch: 1,
        block: chain(),
        height: 0,
        time_ms: START_MS,
        executed: Executed::default(),
    }
}

fn core(me: Arc<dyn Signer>, scheme: Arc<dyn Scheme>) -> (Core, Vec<Effect>) {
    let (config, none) = (Config::default(), Vec::new());
    let (anchor, committee) = (anchor(), committee());
    Core::new(
        config,
        chain(),
        committee,
        Some(me),
        scheme,
        anchor,
        None,
        None,
        none,
        START_MS,
    )
}

fn content(core: &Core, view: u64, parent: &Digest) -> Content {
    let after = core.block(parent).map_or(START_MS, |block| block.header.time_ms);
    let executed = core
        .block(parent)
        .map_or(Executed::default(), |block| block.header.executed);
    Content {
        time_ms: after.saturating_add(1),
        payload: Payload {
            batches: vec![hash("fuzz batch", &[&view.to_le_bytes()])],
            system: vec![vec![view as u8; 40]],
        },
        executed,
        next_epoch: None,
        commit: None,
    }
}

/// Made once.
pub static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let mut network = Network {
        chain: chain(),
        committee: committee(),
        sent: Vec::new(),
        committed: Vec::new(),
        records: Vec::new(),
        standings: Vec::new(),
        signatures: BTreeSet::new(),
    };
    let (mut cores, mut queue) = (Vec::new(), VecDeque::new());
    let mut records = BTreeMap::new();
    for me in 0..N {
        let (core, effects) = core(Arc::new(signer(me)), Arc::new(Ed25519));
        cores.push(core);
        queue.push_back((me, Input::Work(true)));
        assert!(effects.iter().all(|effect| matches!(effect, Effect::WakeAt(_))));
    }
    let mut now = START_MS;
    while (network.committed.len() as u64) < HEIGHT {
        let Some((me, input)) = queue.pop_front() else {
            now += 2_000;
            queue.extend((0..N).map(|me| (me, Input::Tick)));
            continue;
        };
        let core = &mut cores[usize::from(me)];
        for effect in core.step(now, input) {
            match effect {
                Effect::Persist(record) => {
                    records.insert(me, record);
                }
                Effect::Broadcast(message) => {
                    let lost = matches!(&message, Message::Proposal(block) if block.header.view == LOST_VIEW);
                    for to in (0..N).filter(|to| *to != me && !lost) {
                        let input = Input::Message {
                            from: Some(me),
                            message: message.clone(),
                        };
                        queue.push_back((to, input));
                        network.sent.push((to, message.clone()));
                    }
                }
                Effect::Send { to, message } => {
                    network.sent.push((to, message.clone()));
                    let from = Some(me);
                    queue.push_back((to, Input::Message { from, message }));
                }
                Effect::Build { view, parent } => {
                    let content = Some(content(core, view, &parent));
                    let input = Input::Built {
                        view,
                        parent,
                        content,
                    };
                    queue.push_back((me, input));
                }
                Effect::Validate(block) => {
                    let block = block.id();
                    let accepted = true;
                    queue.push_back((me, Input::Validated { block, accepted }));
                }
                Effect::Commit { block, proof } if me == 0 => network.committed.push((block, proof)),
                _ => {}
            }
        }
    }
    network.records = records.into_values().collect();
    network.standings = cores.iter().map(|core| core.standing(0)).collect();
    for (_, message) in &network.sent {
        network.signatures.extend(signatures(message));
    }
    network
});

/// The signatures of a message's own sender; those of certificates are among them.
fn signatures(message: &Message) -> Vec<[u8; 64]> {
    match message {
        Message::Proposal(block) | Message::BlockResponse(block) => vec![block.signature.0],
        Message::Vote(vote) => vec![vote.signature.0],
        Message::Timeout(timeout) => vec![timeout.signature.0],
        Message::Certificate(_) | Message::BlockRequest(_) => Vec::new(),
    }
}

/// A consensus message as it travels.
pub fn message(data: &[u8]) {
    if let Ok(message) = Message::decode(data) {
        assert!(message.encode() == data, "a message has two encodings");
        assert!(data.len() <= MAX_MESSAGE_BYTES);
    }
}

/// A record as the disk gives it back.
pub fn safety_record(data: &[u8]) {
    if let Ok(record) = SafetyRecord::decode(data) {
        assert!(record.encode() == data, "a record has two encodings");
        let _ = (record.epoch(), record.signed_view());
        let me: Arc<dyn Signer> = Arc::new(Free(signer(0).public()));
        let (config, anchor) = (Config::default(), anchor());
        let (mut core, _) = Core::new(
            config,
            chain(),
            committee(),
            Some(me),
            Arc::new(Free(PublicKey([0; 32]))),
            anchor,
            Some(record),
            None,
            Vec::new(),
            START_MS,
        );
        core.step(START_MS + 60_000, Input::Tick);
    }
}

/// A proof that a block is final: only what a quorum signed convinces.
pub fn commit_proof(data: &[u8]) {
    let Some((block, proof)) = exact::<(Digest, CommitProof)>(data) else {
        return;
    };
    let network = &*NETWORK;
    if proof
        .verify(block, &network.chain, &network.committee, &Ed25519)
        .is_ok()
    {
        let known = proof
            .certificate
            .signatures
            .iter()
            .all(|one| network.signatures.contains(&one.0));
        assert!(known, "a forged certificate convinces");
    }
}

/// A proof of equivocation. Of the network's own keys only the two statements of the seeds are ever signed.
pub fn equivocation(data: &[u8]) {
    let Some(proof) = exact::<EquivocationProof>(data) else {
        return;
    };
    let network = &*NETWORK;
    let _ = proof.epoch();
    if let Ok(guilty) = proof.verify(&network.chain, &network.committee, &Ed25519) {
        assert_eq!(guilty, GUILTY, "an honest validator is blamed");
    }
}

/// How a validator stands, as another one tells it.
pub fn standing(data: &[u8]) {
    let Some(standing) = exact::<Standing>(data) else {
        return;
    };
    let _ = standing.seen.view();
    let network = &*NETWORK;
    let record = network.records[0].clone();
    for scheme in [
        Arc::new(Ed25519) as Arc<dyn Scheme>,
        Arc::new(Free(PublicKey([0; 32]))),
    ] {
        let (key, record) = (signer(0).public(), Some(record.clone()));
        let (chain, committee) = (network.chain, network.committee.clone());
        let probation = Probation::new(chain, committee, &key, scheme, &anchor(), record);
        let mut probation = probation.expect("validator 0 has a seat");
        for from in 0..=N {
            let taken = probation.answer(from, standing.clone());
            assert!(taken.is_err() || (1..N).contains(&from), "a stranger is heard");
        }
        if let Found::RolledBack {
            record,
            shown,
            silent_through,
            ..
        } = probation.find()
        {
            assert!(shown <= silent_through && record.signed_view() >= silent_through);
        }
    }
}

/// A validator that everybody may sign for: what signatures would hide is reached.
struct Free(PublicKey);

impl Scheme for Free {
    fn verify(&self, _: &PublicKey, _: &[u8], signature: &Signature) -> bool {
        signature.0[0] != 0xff
    }
}

impl Signer for Free {
    fn public(&self) -> PublicKey {
        self.0
    }

    fn sign(&self, message: &[u8]) -> Signature {
        let mut signature = [1; 64];
        for (to, from) in signature.iter_mut().skip(1).zip(message) {
            *to = *from;
        }
        Signature(signature)
    }
}

/// A core that is sent anything, by validators who sign anything: it keeps its own rules. An input is a list of length
/// (u16, little endian) and message; length 0 is a tick, 400 ms later.
pub fn live_core(data: &[u8]) {
    let me: Arc<dyn Signer> = Arc::new(Free(signer(0).public()));
    let (mut core, _) = core(me, Arc::new(Free(PublicKey([0; 32]))));
    let mut said = Said::default();
    let mut now = START_MS;
    let mut answers = VecDeque::from([Input::Work(true)]);
    let mut rest = data;
    for _ in 0..MAX_STEPS {
        while let Some(input) = answers.pop_front() {
            said.step(&mut core, now, input, &mut answers);
        }
        let Some((length, after)) = rest.split_first_chunk::<2>() else {
            return;
        };
        let length = usize::from(u16::from_le_bytes(*length));
        if length == 0 {
            now += 400;
            answers.push_back(Input::Tick);
            rest = after;
            continue;
        }
        let (bytes, after) = after.split_at(after.len().min(length));
        rest = after;
        if let Ok(message) = Message::decode(bytes) {
            let from = bytes.last().map(|byte| u16::from(byte % 5));
            answers.push_back(Input::Message { from, message });
        }
    }
}

/// What the core said: it never contradicts itself, whatever the others do.
#[derive(Default)]
struct Said {
    certified: BTreeMap<u64, Digest>,
    finalized: BTreeMap<u64, Digest>,
    given_up: BTreeMap<u64, u64>,
    proposed: BTreeMap<u64, Digest>,
    height: u64,
}

impl Said {
    fn step(&mut self, core: &mut Core, now: u64, input: Input, answers: &mut VecDeque<Input>) {
        let effects = core.step(now, input);
        assert!(effects.len() <= MAX_EFFECTS, "{} effects", effects.len());
        for effect in effects {
            match effect {
                Effect::Broadcast(Message::Vote(vote)) => self.voted(&vote),
                Effect::Broadcast(Message::Timeout(timeout)) => self.gave_up(&timeout.signed()),
                Effect::Broadcast(Message::Proposal(block)) => {
                    let id = block.id();
                    let before = self.proposed.insert(block.header.view, id);
                    assert!(
                        before.is_none_or(|before| before == id),
                        "two proposals of a view"
                    );
                }
                Effect::Build { view, parent } => {
                    let content = Some(content(core, view, &parent));
                    answers.push_back(Input::Built {
                        view,
                        parent,
                        content,
                    });
                }
                Effect::Validate(block) => {
                    let block = block.id();
                    let accepted = true;
                    answers.push_back(Input::Validated { block, accepted });
                }
                Effect::Commit { block, .. } => {
                    assert!(
                        block.header.height > self.height,
                        "heights are committed in order"
                    );
                    self.height = block.header.height;
                }
                Effect::Persist(record) => {
                    let bytes = record.encode();
                    assert!(SafetyRecord::decode(&bytes).as_ref() == Ok(&record));
                }
                _ => {}
            }
        }
    }

    fn voted(&mut self, vote: &Vote) {
        let votes = match vote.phase {
            Phase::Certify => &mut self.certified,
            Phase::Finalize => {
                let denied = self
                    .given_up
                    .range(vote.view..)
                    .any(|(_, high)| *high < vote.view);
                assert!(!denied, "finalized what a timeout denied");
                &mut self.finalized
            }
        };
        let before = votes.insert(vote.view, vote.block);
        assert!(
            before.is_none_or(|before| before == vote.block),
            "two votes of a view"
        );
    }

    fn gave_up(&mut self, timeout: &SignedTimeout) {
        let denied = self
            .finalized
            .range(..=timeout.view)
            .any(|(view, _)| *view > timeout.high_view);
        assert!(!denied, "a timeout denies what was finalized");
        let before = self.given_up.insert(timeout.view, timeout.high_view);
        assert!(
            before.is_none_or(|before| before == timeout.high_view),
            "two timeouts of a view"
        );
    }
}

/// Who signs twice in the seeds.
const GUILTY: u16 = 3;

fn proofs() -> Vec<EquivocationProof> {
    let network = &*NETWORK;
    let vote = |block: [u8; 32], phase| {
        let mut vote = Vote {
            epoch: 1,
            view: 9,
            height: 5,
            block: Digest(block),
            phase,
            voter: GUILTY,
            signature: Signature([0; 64]),
        };
        vote.signature = signer(GUILTY).sign(&vote.message(&network.chain).0);
        vote
    };
    let mut timeout = SignedTimeout {
        epoch: 1,
        view: 10,
        high_view: 2,
        voter: GUILTY,
        signature: Signature([0; 64]),
    };
    timeout.signature = signer(GUILTY).sign(&timeout.message(&network.chain).0);
    let led = network.committed.iter().map(|(block, _)| block);
    let led = led
        .filter(|block| network.committee.leader(block.header.view) == GUILTY)
        .map(Block::signed_header);
    let proposals = led.take(1).map(|first| {
        let mut second = first.clone();
        second.header.time_ms += 1;
        second.signature = signer(GUILTY).sign(&second.message().0);
        EquivocationProof::Proposals {
            first: Box::new(first),
            second: Box::new(second),
        }
    });
    let others = [
        EquivocationProof::Votes {
            first: vote([1; 32], Phase::Certify),
            second: vote([2; 32], Phase::Certify),
        },
        EquivocationProof::FinalizeAndTimeout {
            finalize: vote([1; 32], Phase::Finalize),
            timeout,
        },
    ];
    proposals.chain(others).collect()
}

/// Seeds of this file's targets.
pub(super) fn seeds(target: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let network = &*NETWORK;
    let named = |list: Vec<Vec<u8>>| {
        let named = list.into_iter().enumerate();
        named
            .map(|(at, bytes)| (format!("{at:03}"), bytes))
            .collect::<Vec<_>>()
    };
    Some(match target {
        "message" => {
            let mut all: Vec<Vec<u8>> = network.sent.iter().map(|(_, message)| message.encode()).collect();
            let (first, _) = &network.committed[0];
            all.push(Message::BlockRequest(first.id()).encode());
            all.push(Message::BlockResponse(Box::new(first.clone())).encode());
            let help = (first.justify.clone(), None);
            all.push(Message::Certificate(Box::new(help)).encode());
            all.sort();
            all.dedup();
            named(all)
        }
        "live_core" => {
            let transcript = |to: u16| {
                let mut bytes = Vec::new();
                for (_, message) in network.sent.iter().filter(|(receiver, _)| *receiver == to) {
                    let message = message.encode();
                    bytes.extend((message.len() as u16).to_le_bytes());
                    bytes.extend(message);
                }
                bytes
            };
            named((0..N).map(transcript).collect())
        }
        "safety_record" => named(network.records.iter().map(SafetyRecord::encode).collect()),
        "commit_proof" => {
            let pairs = network
                .committed
                .iter()
                .map(|(block, proof)| borsh::to_vec(&(block.id(), proof)).expect("a proof encodes"));
            named(pairs.collect())
        }
        "equivocation" => {
            let all = proofs();
            named(
                all.iter()
                    .map(|proof| borsh::to_vec(proof).expect("a proof encodes"))
                    .collect(),
            )
        }
        "standing" => {
            let mut all = network.standings.clone();
            let nothing = Standing {
                seen: Statements::default(),
                ..all[0].clone()
            };
            all.push(nothing);
            named(
                all.iter()
                    .map(|one| borsh::to_vec(one).expect("a standing encodes"))
                    .collect(),
            )
        }
        _ => return None,
    })
}
