//! The public state: who is registered, the epochs and their keys, the policy, and the running end of an epoch.
//!
//! Everybody executes it, observers too. It is small and kept whole: it goes to disk as one value. Its root is
//! that of an authenticated map from the entries below to their digests.

use std::{collections::BTreeMap, sync::Arc};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::Policy;
use tacit_consensus::{Block, Committee, Digest, Epoch, Height, hash};

use crate::{
    codec::{decode, encode},
    epoch::{EpochRecord, policy_digest},
    error::CodecError,
    genesis::{Genesis, Params},
    registration::Registration,
    state::{
        history::KEEP_VERSIONS,
        tail::{Step, SystemError, Tail},
        tree::{AuthenticatedMap, LeafWrite},
    },
};

/// Largest encoded public state, in bytes: decades of daily epochs of 4 validators, or a year of 128.
pub const MAX_PUBLIC_STATE_BYTES: usize = 256 * 1024 * 1024;

/// The public state after one height. Cloning it shares registrations and records.
#[derive(Clone)]
pub struct PublicState {
    chain: Digest,
    params: Params,
    policy: Arc<Policy>,
    registrations: BTreeMap<String, Arc<Registration>>,
    records: BTreeMap<Epoch, Arc<EpochRecord>>,
    current: Arc<EpochRecord>,
    tail: Option<Arc<Tail>>,
    height: Height,
    map: AuthenticatedMap,
}

/// An entry under the public root; its leaf is the digest named here.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PublicEntry {
    /// A registered validator by name: [`Registration::digest`].
    Registration(String),
    /// An epoch: [`EpochRecord::digest`].
    Epoch(Epoch),
    /// The policy in force: [`policy_digest`].
    Policy,
    /// The running end of an epoch, absent otherwise: `H("tail", borsh)`.
    Tail,
}

impl PublicEntry {
    /// Where the entry stands in the tree.
    pub fn tree_key(&self) -> [u8; 32] {
        hash("public key", &[&encode(self)]).0
    }
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Stored {
    version: u8,
    chain: Digest,
    params: Params,
    policy: Policy,
    registrations: Vec<Registration>,
    records: Vec<EpochRecord>,
    tail: Option<Tail>,
    height: Height,
}

const STORED_VERSION: u8 = 1;

impl PublicState {
    /// The state at height 0. The genesis was checked before.
    pub fn genesis(genesis: &Genesis) -> Self {
        let stored = Stored {
            version: STORED_VERSION,
            chain: genesis.chain_id(),
            params: genesis.params,
            policy: genesis.policy.clone(),
            registrations: genesis.validators.clone(),
            records: Vec::new(),
            tail: None,
            height: 0,
        };
        Self::build(stored, genesis.record0())
    }

    /// Applies a committed block's system transactions, after checking them, and gives the root. On an error the
    /// state is as before: a quorum certified what the rules forbid, or this is another network's block; halt.
    pub fn apply(&mut self, block: &Block) -> Result<Digest, SystemError> {
        let (header, leader) = (&block.header, self.committee().leader(block.header.view));
        let Step {
            begin,
            contribution,
            close,
        } = self.judge(header, &block.payload, leader)?;
        self.height = header.height;
        if let Some(reason) = begin {
            self.tail = Some(Arc::new(Tail {
                since: header.height,
                reason,
                contributions: Vec::new(),
            }));
        }
        if let (Some(tail), Some(contribution)) = (&mut self.tail, contribution) {
            Arc::make_mut(tail).contributions.push(contribution);
        }
        let changed = begin.is_some() || !block.payload.system.is_empty();
        let mut writes: Vec<LeafWrite> = Vec::new();
        if let Some(record) = close {
            writes.push((PublicEntry::Epoch(record.epoch).tree_key(), Some(record.digest())));
            self.current = Arc::new(record);
            self.records.insert(self.current.epoch, self.current.clone());
            self.tail = None;
        }
        if changed {
            writes.push((PublicEntry::Tail.tree_key(), self.tail_leaf()));
        }
        let root = self.map.apply(header.height, &writes);
        self.map.prune((header.height + 1).saturating_sub(KEEP_VERSIONS));
        Ok(root)
    }

    /// The state that uncommitted blocks above this one lead to, oldest first.
    pub fn after<'a>(&self, blocks: impl IntoIterator<Item = &'a Block>) -> Result<Self, SystemError> {
        let mut state = self.clone();
        blocks
            .into_iter()
            .try_for_each(|block| state.apply(block).map(drop))?;
        Ok(state)
    }

    /// The root after `height`, one of the newest [`KEEP_VERSIONS`].
    pub fn root(&self, height: Height) -> Option<Digest> {
        if height > self.height {
            None
        } else {
            self.map.root(height)
        }
    }

    /// Proves an entry, or its absence, under [`Self::root`] of `height`; check it with
    /// [`verify_membership`](crate::verify_membership).
    pub fn prove(&self, height: Height, entry: &PublicEntry) -> Option<Vec<u8>> {
        if height > self.height {
            None
        } else {
            self.map.prove(height, entry.tree_key())
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Digest {
        &self.chain
    }

    /// The chain's constants.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The newest applied height.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The current epoch.
    pub fn current(&self) -> &EpochRecord {
        &self.current
    }

    /// The current set as consensus sees it.
    pub fn committee(&self) -> Committee {
        self.current.committee()
    }

    /// An epoch by its number.
    pub fn record(&self, epoch: Epoch) -> Option<&EpochRecord> {
        self.records.get(&epoch).map(AsRef::as_ref)
    }

    /// All epochs, the first one first.
    pub fn records(&self) -> impl Iterator<Item = &EpochRecord> {
        self.records.values().map(AsRef::as_ref)
    }

    /// A registered validator by name.
    pub fn registration(&self, name: &str) -> Option<&Registration> {
        self.registrations.get(name).map(AsRef::as_ref)
    }

    /// All registered validators by name.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values().map(AsRef::as_ref)
    }

    /// The running end of the epoch: since when, why, and the contributions so far.
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_deref()
    }

    /// Whether the epoch is ending.
    pub fn is_ending(&self) -> bool {
        self.tail.is_some()
    }

    /// The whole state, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(&Stored {
            version: STORED_VERSION,
            chain: self.chain,
            params: self.params,
            policy: Policy::clone(&self.policy),
            registrations: self.registrations().cloned().collect(),
            records: self.records().cloned().collect(),
            tail: self.tail().cloned(),
            height: self.height,
        })
    }

    /// Back from stored bytes. Roots of older heights are gone.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut stored: Stored = decode(bytes, MAX_PUBLIC_STATE_BYTES)?;
        let newest = stored.records.pop().filter(|_| stored.version == STORED_VERSION);
        newest
            .map(|newest| Self::build(stored, newest))
            .ok_or(CodecError::Malformed { at: 0 })
    }

    fn build(stored: Stored, newest: EpochRecord) -> Self {
        let current = Arc::new(newest);
        let older = stored
            .records
            .into_iter()
            .map(|record| (record.epoch, Arc::new(record)));
        let named = stored
            .registrations
            .into_iter()
            .map(|one| (one.name.clone(), Arc::new(one)));
        let mut state = Self {
            chain: stored.chain,
            params: stored.params,
            policy: Arc::new(stored.policy),
            registrations: named.collect(),
            records: older.chain([(current.epoch, current.clone())]).collect(),
            current,
            tail: stored.tail.map(Arc::new),
            height: stored.height,
            map: AuthenticatedMap::new(),
        };
        let leaves = state.leaves();
        state.map.apply(state.height, &leaves);
        state
    }

    fn leaves(&self) -> Vec<LeafWrite> {
        let registrations = self.registrations().map(|one| {
            (
                PublicEntry::Registration(one.name.clone()).tree_key(),
                Some(one.digest()),
            )
        });
        let records = self
            .records()
            .map(|record| (PublicEntry::Epoch(record.epoch).tree_key(), Some(record.digest())));
        let policy = (PublicEntry::Policy.tree_key(), Some(policy_digest(&self.policy)));
        let tail = (PublicEntry::Tail.tree_key(), self.tail_leaf());
        registrations.chain(records).chain([policy, tail]).collect()
    }

    fn tail_leaf(&self) -> Option<Digest> {
        self.tail().map(|tail| hash("tail", &[&encode(tail)]))
    }
}
