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

use crate::vault::MemoryVault;

/// What became of a replica's reports.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) committed: BTreeMap<Height, (Millis, Vec<Digest>, u32)>,
    pub(crate) expired: BTreeSet<Digest>,
    pub(crate) penalties: Vec<(NodeKey, Offence)>,
    pub(crate) equivocations: Vec<u16>,
    pub(crate) two_holders: Vec<u16>,
    /// What peers said of themselves last, and whether they speak the protocol version in force.
    pub(crate) met: BTreeMap<NodeKey, (Hello, bool)>,
    pub(crate) verdicts: BTreeMap<u64, GossipVerdict>,
    pub(crate) submitted: BTreeMap<u64, Result<Digest, Refused>>,
    pub(crate) system_taken: BTreeMap<u64, Result<Digest, Refused>>,
    pub(crate) system_dropped: BTreeMap<Digest, Refused>,
    pub(crate) answered: BTreeMap<u64, Result<Box<Answer>, Refused>>,
    /// Requests for blocks and for batches that it sent.
    pub(crate) asked: (u64, u64),
    /// Chunks of snapshots that it asked for.
    pub(crate) chunks: Vec<(SnapshotId, u32)>,
    /// What it used of a benchmark's clock.
    pub(crate) spent: Duration,
    /// Heights to which it jumped.
    pub(crate) jumps: Vec<Height>,
    /// Requests for a lost secret that it sent.
    pub(crate) asked_share: u64,
    /// Proposals that it gave no vote, with their leaders' seats.
    pub(crate) refused_proposals: Vec<(u16, Refused)>,
    /// What it gave to who asked for a secret, by the number of the question.
    pub(crate) shares: BTreeMap<u64, Result<Vec<u8>, Refused>>,
    pub(crate) kem_keys: BTreeMap<u64, Result<SealingPublic, Refused>>,
    /// Effects that came after the one that says that it cannot go on.
    pub(crate) after_halt: usize,
}

/// What a host has that copied a validator's disk at one moment.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) vault: MemoryVault,
    pub(crate) epoch: Epoch,
}

pub(crate) struct Node {
    pub(crate) index: usize,
    /// Whose keys it holds: its own, but for a twin.
    pub(crate) identity: usize,
    /// The protocol versions that its build speaks.
    pub(crate) protocols: RangeInclusive<u16>,
    pub(crate) replica: Option<Replica>,
    pub(crate) store: Arc<MemoryStore>,
    /// A validator's; observers have none.
    pub(crate) vault: Option<MemoryVault>,
    pub(crate) opener: Option<(Epoch, Arc<SealingSecret>)>,
    /// The KEM key of its seat.
    pub(crate) kem: Option<Arc<SealingSecret>>,
    pub(crate) halted: Option<String>,
    /// Counts its starts: answers to an earlier life are lost.
    pub(crate) life: u64,
    pub(crate) seen: Seen,
    /// A clock that is wrong by so much, ahead.
    pub(crate) ahead_ms: Millis,
    /// What it keeps of the chain.
    pub(crate) history: History,
    pub(crate) last_tick: Option<(Millis, u32)>,
}

impl Node {
    pub(crate) fn new(index: usize, vault: Option<MemoryVault>) -> Self {
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
            ahead_ms: 0,
            history: History::All,
            last_tick: None,
        }
    }

    /// A copy of its disk as it is now.
    pub(crate) fn image(&self) -> Image {
        Image {
            store: Arc::new(self.store.image()),
            vault: self.vault.as_ref().map(MemoryVault::image).expect("a validator"),
            epoch: self.epoch(),
        }
    }

    /// That copy in the disk's place.
    pub(crate) fn restore(&mut self, image: &Image) {
        self.store = Arc::new(image.store.image());
        self.vault = Some(image.vault.image());
    }

    pub(crate) fn log(&self) -> ChainLog<'_> {
        ChainLog::new(&*self.store)
    }

    pub(crate) fn up(&self) -> &Replica {
        self.replica.as_ref().expect("a running replica")
    }

    /// Whether its replica runs.
    pub(crate) fn is_up(&self) -> bool {
        self.replica.is_some()
    }

    pub(crate) fn height(&self) -> Height {
        self.replica.as_ref().map_or(0, |replica| replica.head().height)
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.replica.as_ref().map_or(0, |replica| replica.record().epoch)
    }

    /// Whether the newest block holds nothing that a later one would have to prove.
    pub(crate) fn is_proven(&self) -> bool {
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

    pub(crate) fn block(&self, height: Height) -> CommittedBlock {
        self.log().block(height).expect("readable").expect("a block")
    }

    pub(crate) fn has(&self, id: &Digest) -> bool {
        self.log().tx(id).expect("readable").is_some()
    }

    /// Where an envelope was included.
    pub(crate) fn included(&self, id: &Digest) -> Option<Height> {
        self.log().tx(id).expect("readable").map(|tx| tx.height)
    }
}
