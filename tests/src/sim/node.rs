//! One node of a world: its replica, what outlives it, and what it reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use tacit_consensus::{Digest, Epoch, Height, Millis};
use tacit_ledger::{
    Answer, ChainLog, CommittedBlock, MemoryStore, PROTOCOL_VERSION, SealingPublic, SealingSecret, SnapshotId,
};
use tacit_node::{
    replica::{GossipVerdict, History, NodeKey, Offence, Refused, Replica},
    wire::Hello,
};

use super::{clock::Clock, vault::MemoryVault};

/// What became of a replica's reports.
#[derive(Default)]
pub struct Seen {
    /// By height: when it was reported, the envelopes in it, and how many did not open.
    pub committed: BTreeMap<Height, (Millis, Vec<Digest>, u32)>,
    /// Envelopes that their epoch left behind.
    pub expired: BTreeSet<Digest>,
    /// Whom it blamed, and for what.
    pub penalties: Vec<(NodeKey, Offence)>,
    /// Seats that it saw contradict themselves.
    pub equivocations: Vec<u16>,
    /// Seats of which it heard two processes.
    pub two_holders: Vec<u16>,
    /// What peers said of themselves last, and whether they speak the protocol version in force.
    pub met: BTreeMap<NodeKey, (Hello, bool)>,
    /// What it thought of gossip, by the number of the delivery.
    pub verdicts: BTreeMap<u64, GossipVerdict>,
    /// Its word on envelopes, by the number of the question.
    pub submitted: BTreeMap<u64, Result<Digest, Refused>>,
    /// Its word on system transactions, by the number of the question.
    pub system_taken: BTreeMap<u64, Result<Digest, Refused>>,
    /// System transactions that it let go of, and why.
    pub system_dropped: BTreeMap<Digest, Refused>,
    /// Its word on private reads, by the number of the question.
    pub answered: BTreeMap<u64, Result<Box<Answer>, Refused>>,
    /// Requests for blocks and for batches that it sent.
    pub asked: (u64, u64),
    /// Chunks of snapshots that it asked for.
    pub chunks: Vec<(SnapshotId, u32)>,
    /// What it used of a benchmark's clock.
    pub spent: Duration,
    /// Heights to which it jumped.
    pub jumps: Vec<Height>,
    /// Requests for a lost secret that it sent.
    pub asked_share: u64,
    /// Proposals that it gave no vote, with their leaders' seats.
    pub refused_proposals: Vec<(u16, Refused)>,
    /// What it gave to who asked for a secret, by the number of the question.
    pub shares: BTreeMap<u64, Result<Vec<u8>, Refused>>,
    /// KEM keys that it gave for registrations, by the number of the question.
    pub kem_keys: BTreeMap<u64, Result<SealingPublic, Refused>>,
    /// Effects that came after the one that says that it cannot go on.
    pub after_halt: usize,
}

/// What a host has that copied a validator's disk at one moment.
#[derive(Clone)]
pub struct Image {
    /// The database, as far as it was synced.
    pub store: Arc<MemoryStore>,
    /// What keeps the keyring.
    pub vault: MemoryVault,
    /// The epoch that it was in.
    pub epoch: Epoch,
}

/// See the module.
pub struct Node {
    /// Its number in the world.
    pub index: usize,
    /// Whose keys it holds: its own, but for a twin.
    pub identity: usize,
    /// The protocol versions that its build speaks.
    pub protocols: RangeInclusive<u16>,
    /// Its replica, while it runs.
    pub replica: Option<Replica>,
    /// Its database.
    pub store: Arc<MemoryStore>,
    /// A validator's; observers have none.
    pub vault: Option<MemoryVault>,
    /// What its edge opens envelopes with.
    pub opener: Option<(Epoch, Arc<SealingSecret>)>,
    /// The KEM key of its seat.
    pub kem: Option<Arc<SealingSecret>>,
    /// Why it stopped by itself, if it did.
    pub halted: Option<String>,
    /// Counts its starts: answers to an earlier life are lost.
    pub life: u64,
    /// What it reported.
    pub seen: Seen,
    /// Its clock.
    pub clock: Clock,
    /// How far its clock is ahead of that, in milliseconds.
    pub ahead_ms: Millis,
    /// Until when its process is stopped; what comes waits.
    pub paused_until: Millis,
    /// The message that it sent last, which was looked at.
    pub(super) last_said: Vec<u8>,
    /// How many effects it still carries out before its process ends.
    pub(super) dies_in: Option<u32>,
    /// Whether a write that fails is the power's end.
    pub(super) cut_at_failure: bool,
    /// What it keeps of the chain.
    pub history: History,
    /// When it was last woken, and how often at that time.
    pub last_tick: Option<(Millis, u32)>,
}

impl Node {
    /// A machine with an empty disk, a validator's where it has a vault.
    pub fn new(index: usize, vault: Option<MemoryVault>) -> Self {
        Self {
            index,
            identity: index,
            protocols: PROTOCOL_VERSION..=PROTOCOL_VERSION,
            replica: None,
            store: Arc::new(MemoryStore::new()),
            vault,
            opener: None,
            kem: None,
            halted: None,
            life: 0,
            seen: Seen::default(),
            clock: Clock::default(),
            ahead_ms: 0,
            paused_until: 0,
            last_said: Vec::new(),
            dies_in: None,
            cut_at_failure: false,
            history: History::All,
            last_tick: None,
        }
    }

    /// What its clock shows.
    pub fn time(&self, now: Millis) -> Millis {
        self.clock.read(now) + self.ahead_ms
    }

    /// When it wants to be woken next, in the world's time.
    pub(super) fn wakes(&self, now: Millis) -> Option<Millis> {
        let at = self.replica.as_ref()?.next_wake()?;
        let at = self.clock.when(at.saturating_sub(self.ahead_ms), now)?;
        Some(at.max(self.paused_until))
    }

    /// A copy of its disk as it is now.
    pub fn image(&self) -> Image {
        Image {
            store: Arc::new(self.store.image()),
            vault: self.vault.as_ref().map(MemoryVault::image).expect("a validator"),
            epoch: self.epoch(),
        }
    }

    /// That copy in the disk's place.
    pub fn restore(&mut self, image: &Image) {
        self.store = Arc::new(image.store.image());
        self.vault = Some(image.vault.image());
    }

    /// The chain in its store.
    pub fn log(&self) -> ChainLog<'_> {
        ChainLog::new(&*self.store)
    }

    /// Its replica.
    ///
    /// # Panics
    ///
    /// When it is down.
    pub fn up(&self) -> &Replica {
        self.replica.as_ref().expect("a running replica")
    }

    /// Whether its replica runs.
    pub fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    /// Its newest final block; 0 while it is down.
    pub fn height(&self) -> Height {
        self.replica.as_ref().map_or(0, |replica| replica.head().height)
    }

    /// The epoch that it is in; 0 while it is down.
    pub fn epoch(&self) -> Epoch {
        self.replica.as_ref().map_or(0, |replica| replica.record().epoch)
    }

    /// Whether the newest block holds nothing that a later one would have to prove.
    pub fn is_proven(&self) -> bool {
        let Some(replica) = &self.replica else { return true };
        let head = replica.head();
        let empty = self
            .log()
            .result(head.height)
            .expect("readable")
            .is_some_and(|result| result.envelopes.is_empty());
        let began = head
            .header
            .as_ref()
            .is_some_and(|header| header.epoch == replica.record().epoch);
        empty && began && replica.certified_executed() + 1 >= head.height
    }

    /// A final block of its store.
    pub fn block(&self, height: Height) -> CommittedBlock {
        self.log().block(height).expect("readable").expect("a block")
    }

    /// Whether an envelope is in its chain.
    pub fn has(&self, id: &Digest) -> bool {
        self.log().tx(id).expect("readable").is_some()
    }

    /// Where an envelope was included.
    pub fn included(&self, id: &Digest) -> Option<Height> {
        self.log().tx(id).expect("readable").map(|tx| tx.height)
    }
}
