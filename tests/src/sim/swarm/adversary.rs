//! Adversaries by name. Each is a real replica whose wiring is crooked: what it says is changed and signed again with its own
//! key, so that all else is as in life.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    str::FromStr,
    sync::Arc,
};

use tacit_consensus::{
    Block, Certificate, Digest, Message, Payload, Phase, Signature, Signer, Timeout, View, Vote,
};
use tacit_ledger::SystemTx;

use crate::consensus_sim::Rng;

/// Certificates that it remembers.
const REMEMBERED: usize = 64;
/// Messages that a spammer adds to each of its own.
const SPAM: u64 = 6;

/// What a validator may be that is not honest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Adversary {
    /// Proposes two blocks to two halves of the others, and votes for both.
    EquivocatingLeader,
    /// Proposes and gives up views, and never votes.
    VoteWithholder,
    /// Says nothing.
    Silent,
    /// Sends statements of far views, unknown blocks and nonsense.
    Spammer,
    /// Reports and spreads certificates that are long superseded.
    StaleCertificates,
    /// Finalizes what it did not see certified, gives up what it finalized, and builds on blocks below its lock.
    LockIgnorer,
    /// Names batches that it gives to nobody, or to too few.
    BatchWithholder,
    /// Fills batches with envelopes that do not open.
    GarbageBatches,
    /// Deals shares of the next epoch's secret that do not open.
    InvalidShares,
    /// Runs twice with one identity: a cloned TEE.
    Twin,
    /// Comes back with an earlier disk, again and again.
    RolledBackDisk,
    /// Answers questions with what was not asked.
    LyingServer,
}

impl Adversary {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::EquivocatingLeader,
        Self::VoteWithholder,
        Self::Silent,
        Self::Spammer,
        Self::StaleCertificates,
        Self::LockIgnorer,
        Self::BatchWithholder,
        Self::GarbageBatches,
        Self::InvalidShares,
        Self::Twin,
        Self::RolledBackDisk,
        Self::LyingServer,
    ];

    /// Its name on a command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::EquivocatingLeader => "equivocating-leader",
            Self::VoteWithholder => "vote-withholder",
            Self::Silent => "silent",
            Self::Spammer => "spammer",
            Self::StaleCertificates => "stale-certificates",
            Self::LockIgnorer => "lock-ignorer",
            Self::BatchWithholder => "batch-withholder",
            Self::GarbageBatches => "garbage-batches",
            Self::InvalidShares => "invalid-shares",
            Self::Twin => "twin",
            Self::RolledBackDisk => "rolled-back-disk",
            Self::LyingServer => "lying-server",
        }
    }
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Adversary {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| format!("no adversary is called {name}"))
    }
}

/// The wiring of one of them: what it makes of what its replica says.
pub(super) struct Rogue {
    kind: Adversary,
    chain: Digest,
    signer: Arc<dyn Signer>,
    rng: Rng,
    /// Certificates that it has held, oldest first.
    certificates: VecDeque<Certificate>,
    /// Its own proposals, oldest first.
    proposals: VecDeque<Block>,
    /// By view: the id of its block and that of the other one.
    others: BTreeMap<View, (Digest, Box<Block>)>,
    /// How often it did what it does.
    pub(super) acts: u64,
}

impl Rogue {
    pub(super) fn new(kind: Adversary, chain: Digest, signer: Arc<dyn Signer>, seed: u64) -> Self {
        Self {
            kind,
            chain,
            signer,
            rng: Rng::new(seed),
            certificates: VecDeque::new(),
            proposals: VecDeque::new(),
            others: BTreeMap::new(),
            acts: 0,
        }
    }

    pub(super) fn is(&self, kind: Adversary) -> bool {
        self.kind == kind
    }

    /// What is sent to `to` in a message's place.
    pub(super) fn rewrite(&mut self, to: usize, message: Message) -> Vec<Message> {
        self.remember(&message);
        match self.kind {
            Adversary::EquivocatingLeader => self.equivocate(to, message),
            Adversary::VoteWithholder if matches!(message, Message::Vote(_)) => self.withhold(),
            Adversary::Silent => self.withhold(),
            Adversary::Spammer => self.spam(message),
            Adversary::StaleCertificates => self.go_stale(message),
            Adversary::LockIgnorer => self.ignore_lock(message),
            Adversary::InvalidShares => self.deal_badly(message),
            _ => vec![message],
        }
    }

    fn withhold(&mut self) -> Vec<Message> {
        self.acts += 1;
        Vec::new()
    }

    fn remember(&mut self, message: &Message) {
        let held = match message {
            Message::Proposal(block) => {
                if self
                    .proposals
                    .back()
                    .is_none_or(|newest| newest.id() != block.id())
                {
                    self.proposals.push_back(Block::clone(block));
                    if self.proposals.len() > REMEMBERED {
                        self.proposals.pop_front();
                    }
                }
                &block.justify
            }
            Message::Timeout(timeout) => &timeout.high,
            Message::Certificate(help) => &help.0,
            _ => return,
        };
        let newer = |newest: &Certificate| newest.epoch != held.epoch || newest.view < held.view;
        if held.view > 0 && self.certificates.back().is_none_or(newer) {
            self.certificates.push_back(held.clone());
            if self.certificates.len() > REMEMBERED {
                self.certificates.pop_front();
            }
        }
    }

    fn sign_block(&self, block: &mut Block) {
        block.header.payload_root = block.payload.root();
        block.signature = self.signer.sign(&block.signed_header().message().0);
    }

    fn sign_vote(&self, mut vote: Vote) -> Message {
        vote.signature = self.signer.sign(&vote.message(&self.chain).0);
        Message::Vote(vote)
    }

    fn sign_timeout(&self, mut timeout: Timeout) -> Message {
        timeout.signature = self.signer.sign(&timeout.signed().message(&self.chain).0);
        Message::Timeout(Box::new(timeout))
    }

    /// The other block of a view goes to those whose bit is set in a number of that view; a few get both.
    fn equivocate(&mut self, to: usize, message: Message) -> Vec<Message> {
        let mask = |view: View| Rng::new(view ^ 0x7777).draw();
        match message {
            Message::Proposal(block) => {
                let view = block.header.view;
                if self.others.get(&view).is_none_or(|(own, _)| *own != block.id()) {
                    let mut other = block.clone();
                    other.header.time_ms += 1;
                    self.sign_block(&mut other);
                    self.others.insert(view, (block.id(), other));
                    self.acts += 1;
                }
                while self.others.len() > REMEMBERED {
                    self.others.pop_first();
                }
                let other = self.others.get(&view).map(|(_, other)| other.clone());
                match (mask(view) >> (2 * to)) % 4 {
                    0 => vec![Message::Proposal(block)],
                    1 => other.into_iter().map(Message::Proposal).collect(),
                    2 => other.into_iter().chain([block]).map(Message::Proposal).collect(),
                    _ => Some(block)
                        .into_iter()
                        .chain(other)
                        .map(Message::Proposal)
                        .collect(),
                }
            }
            Message::Vote(vote) => {
                let other = self.others.get(&vote.view).filter(|(own, _)| *own == vote.block);
                let other = other.map(|(_, other)| Vote {
                    block: other.id(),
                    ..vote
                });
                let both = other.map(|other| self.sign_vote(other));
                [Message::Vote(vote)].into_iter().chain(both).collect()
            }
            other => vec![other],
        }
    }

    fn old_certificate(&mut self) -> Option<Certificate> {
        let count = self.certificates.len() as u64;
        let place = usize::try_from(self.rng.draw().checked_rem(count)?).ok()?;
        self.certificates.get(place).cloned()
    }

    fn go_stale(&mut self, message: Message) -> Vec<Message> {
        let Some(old) = self.old_certificate() else {
            return vec![message];
        };
        self.acts += 1;
        let help = Message::Certificate(Box::new((old.clone(), None)));
        let changed = match message {
            Message::Timeout(mut timeout) if old.epoch == timeout.epoch => {
                timeout.high = old;
                self.sign_timeout(*timeout)
            }
            Message::Proposal(mut block) if old.epoch == block.header.epoch && self.rng.chance(500) => {
                block.justify = old;
                self.sign_block(&mut block);
                Message::Proposal(block)
            }
            Message::Certificate(mut help) => {
                help.0 = old;
                Message::Certificate(help)
            }
            other => other,
        };
        vec![changed, help]
    }

    fn ignore_lock(&mut self, message: Message) -> Vec<Message> {
        match message {
            Message::Vote(vote) if vote.phase == Phase::Certify => {
                self.acts += 1;
                let finalize = self.sign_vote(Vote {
                    phase: Phase::Finalize,
                    ..vote
                });
                let mut said = vec![Message::Vote(vote), finalize];
                if let Some(high) = self
                    .certificates
                    .front()
                    .cloned()
                    .filter(|high| high.epoch == vote.epoch)
                {
                    said.push(self.sign_timeout(Timeout {
                        epoch: vote.epoch,
                        view: vote.view,
                        high,
                        voter: vote.voter,
                        signature: Signature([0; 64]),
                    }));
                }
                said
            }
            Message::Timeout(mut timeout) => {
                self.acts += 1;
                if let Some(old) = self.certificates.front().filter(|old| old.epoch == timeout.epoch) {
                    timeout.high = old.clone();
                }
                vec![self.sign_timeout(*timeout)]
            }
            Message::Proposal(block) => {
                let old = self.proposals.iter().find(|old| {
                    old.header.epoch == block.header.epoch && old.header.view < block.header.view
                });
                let Some(old) = old.cloned().filter(|_| self.rng.chance(700)) else {
                    return vec![Message::Proposal(block)];
                };
                self.acts += 1;
                let mut below = block.clone();
                (below.header.parent, below.header.height) = (old.header.parent, old.header.height);
                (below.header.executed, below.header.next_epoch) = (old.header.executed, None);
                (below.justify, below.commit) = (old.justify, old.commit);
                below.payload = Payload::default();
                self.sign_block(&mut below);
                vec![Message::Proposal(below)]
            }
            other => vec![other],
        }
    }

    fn spam(&mut self, message: Message) -> Vec<Message> {
        self.acts += 1;
        let mut said = Vec::new();
        for _ in 0..SPAM {
            let far = match self.rng.between(0, 3) {
                0 => 1,
                1 => self.rng.between(1, 80),
                2 => self.rng.between(1, 1 << 40),
                _ => u64::MAX / 2,
            };
            let mut junk = [0; 32];
            junk.chunks_mut(8)
                .for_each(|part| part.copy_from_slice(&self.rng.draw().to_le_bytes()));
            let junk = Digest(junk);
            let extra = match (&message, self.rng.between(0, 3)) {
                (Message::Vote(vote), 0 | 1) => self.sign_vote(Vote {
                    view: vote.view.saturating_add(far),
                    height: vote.height.saturating_add(far),
                    block: junk,
                    ..*vote
                }),
                (Message::Timeout(timeout), 0 | 1) => self.sign_timeout(Timeout {
                    view: timeout.view.saturating_add(far),
                    ..Timeout::clone(timeout)
                }),
                (Message::Proposal(block), 0 | 1) => {
                    let mut orphan = block.clone();
                    orphan.header.parent = junk;
                    orphan.header.height = orphan.header.height.saturating_add(far);
                    self.sign_block(&mut orphan);
                    Message::BlockResponse(orphan)
                }
                (_, 2) => match self.proposals.front().cloned() {
                    Some(old) => Message::BlockResponse(Box::new(old)),
                    None => Message::BlockRequest(junk),
                },
                _ => Message::BlockRequest(junk),
            };
            said.push(extra);
        }
        said.push(message);
        said
    }

    fn deal_badly(&mut self, message: Message) -> Vec<Message> {
        let Message::Proposal(mut block) = message else {
            return vec![message];
        };
        let whom = usize::try_from(block.header.view % 4).unwrap_or(0);
        let mut any = false;
        // A closing block's record follows from what was dealt: changing both would take everybody's shares.
        if block.header.next_epoch.is_none() {
            for bytes in &mut block.payload.system {
                if let Ok(SystemTx::Contribute(mut one)) = SystemTx::decode(bytes) {
                    let count = one.shares.len().max(1);
                    if let Some(byte) = one
                        .shares
                        .get_mut(whom % count)
                        .and_then(|share| share.last_mut())
                    {
                        *byte ^= 1;
                        any = true;
                    }
                    *bytes = SystemTx::Contribute(one).encode();
                }
            }
        }
        if any {
            self.acts += 1;
            self.sign_block(&mut block);
        }
        vec![Message::Proposal(block)]
    }
}
