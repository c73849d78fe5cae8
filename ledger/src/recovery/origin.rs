//! From which chain a recovered one goes on, and what proves it.
//!
//! ```text
//! old genesis ──links, each certified by the set before──► newest record ──certifies──► newest header
//!                                                            │ recovery package            │ executed: height, private root
//! state file = borsh { version, proof of all this, checkpoint, frames up to that height }
//! new genesis { origin: Origin, which names the file by its hash }
//! ```
//! The state is that after the newest height whose execution a final header states: everything of which anybody ever
//! had a proof is in it, and nothing that rests on one disk's word. A final block or two above it may be lost with the
//! chain; the origin says how many.

use std::io::Read;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use tacit_attest::NetworkClass;
use tacit_consensus::{CommitProof, Digest, Ed25519, Epoch, Header, Height};

use super::{RecoveryError, RecoveryMembers, RecoveryPackage, RecoveryScope};
use crate::{
    amount::Amount,
    codec::{decode, encode},
    dealing::StateKeys,
    epoch::EpochRecord,
    genesis::Genesis,
    light::{EpochLink, TrustedState},
    limits::MAX_NAME,
    state::{Frame, MAX_CHECKPOINT_BUCKET, PrivateState, decrypt_checkpoint, decrypt_frame},
};

/// Version of the state file.
const VERSION: u16 = 1;
/// Longest proof of an origin, in bytes: a genesis and some thousands of epochs.
pub const MAX_ORIGIN_PROOF_BYTES: usize = 256 * 1024 * 1024;
/// Longest state file, in bytes: a proof, the largest checkpoint, and 1 GiB of the frames after it.
pub const MAX_STATE_FILE_BYTES: usize = MAX_ORIGIN_PROOF_BYTES + MAX_CHECKPOINT_BUCKET + (1 << 30);
/// Most chains that a recovered one may go back to.
pub const MAX_ORIGINS: usize = 32;

/// Of which chain a recovered one goes on, and from where.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The chain that was lost.
    pub chain: Digest,
    /// Its name, for people.
    pub name: String,
    /// The chains that it went on from itself, the oldest first; at most [`MAX_ORIGINS`].
    pub before: Vec<Digest>,
    /// Its newest epoch.
    pub epoch: Epoch,
    /// Its newest block.
    pub height: Height,
    /// That block's id.
    pub block: Digest,
    /// The newest height whose execution a final header of it states: the state is the one after it.
    pub executed: Height,
    /// The private state's root after that height.
    pub private_root: Digest,
    /// The sum of all balances and fees then.
    pub supply: Amount,
    /// BLAKE3 of the state file that the new validators start from.
    pub state: Digest,
}

impl Origin {
    /// Checks what can be seen without the state file.
    ///
    /// # Errors
    /// [`RecoveryError::Origin`]: the fault of whoever wrote the genesis.
    pub fn check(&self) -> Result<(), RecoveryError> {
        let refused = |reason: &str| {
            Err(RecoveryError::Origin {
                reason: reason.to_owned(),
            })
        };
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return refused("its name is not one of a network");
        }
        if self.before.len() > MAX_ORIGINS {
            return refused("more chains stand before it than are allowed");
        }
        if self.epoch == 0 || self.executed == 0 || self.executed > self.height {
            return refused("its heights cannot be those of a chain with keys");
        }
        if self.private_root == Digest::ZERO {
            return refused("a state without keys has no root to be recovered");
        }
        Ok(())
    }

    /// Every chain whose wallets, letters and rooms go on here, the newest first.
    pub fn chains(&self) -> impl Iterator<Item = &Digest> {
        std::iter::once(&self.chain).chain(self.before.iter().rev())
    }
}

/// What shows that a chain came to a height with a state: from its genesis, by nothing but certificates.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct OriginProof {
    /// The genesis of the chain that was lost.
    pub genesis: Genesis,
    /// Every epoch's end.
    pub links: Vec<EpochLink>,
    /// Its newest header.
    pub header: Header,
    /// That the header is final.
    pub proof: CommitProof,
}

/// An origin whose proof holds.
pub struct ProvenOrigin {
    /// What a new genesis says of it, but for the file's hash, which is zero.
    pub origin: Origin,
    /// The newest record: it carries the package.
    pub record: EpochRecord,
    /// Who can open it.
    pub members: RecoveryMembers,
    /// The kind of network that it was.
    pub class: NetworkClass,
}

impl OriginProof {
    /// Follows the chain from its genesis to the newest header.
    ///
    /// # Errors
    /// [`RecoveryError::Origin`] says which step does not hold; [`RecoveryError::Nobody`] where genesis names no members,
    /// or the chain has not reached its first keys.
    pub fn verify(&self) -> Result<ProvenOrigin, RecoveryError> {
        let refused = |reason: String| RecoveryError::Origin { reason };
        let mut state =
            TrustedState::from_genesis(&self.genesis).map_err(|error| refused(error.to_string()))?;
        state
            .walk(&self.links, &self.header, &self.proof, &Ed25519)
            .map_err(|error| refused(error.to_string()))?;
        let executed = self.header.executed;
        let before = self.genesis.origin.iter().flat_map(|origin| {
            let older = origin.before.iter().copied();
            older.chain([origin.chain])
        });
        let record = state.record;
        let origin = Origin {
            chain: state.chain,
            name: state.name,
            before: before.collect(),
            epoch: record.epoch,
            height: self.header.height,
            block: self.header.id(),
            executed: executed.height,
            private_root: executed.private_root,
            supply: executed.supply,
            state: Digest::ZERO,
        };
        let proven = ProvenOrigin {
            origin,
            record,
            members: self.genesis.recovery.clone(),
            class: self.genesis.trust.class,
        };
        proven.scope().check_shape(proven.package()?)?;
        proven.origin.check()?;
        Ok(proven)
    }
}

impl ProvenOrigin {
    /// Whose package it is.
    pub fn scope(&self) -> RecoveryScope<'_> {
        RecoveryScope {
            chain: &self.origin.chain,
            epoch: self.origin.epoch,
            members: &self.members,
        }
    }

    /// The package of the newest epoch.
    ///
    /// # Errors
    /// [`RecoveryError::Nobody`] where there is none.
    pub fn package(&self) -> Result<&RecoveryPackage, RecoveryError> {
        self.record.recovery.as_ref().ok_or(RecoveryError::Nobody)
    }
}

/// The file that carries a lost chain's sealed state to the validators that go on with it. Nothing in it is secret but
/// to whoever holds the state keys.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateFile {
    version: u16,
    /// What proves it.
    pub proof: OriginProof,
    /// A sealed checkpoint and its height.
    pub checkpoint: (Height, Vec<u8>),
    /// The sealed frames after it, in order, up to the height whose execution is proven.
    pub frames: Vec<(Height, Vec<u8>)>,
}

impl StateFile {
    /// A file of this release's version.
    pub fn new(proof: OriginProof, checkpoint: (Height, Vec<u8>), frames: Vec<(Height, Vec<u8>)>) -> Self {
        Self {
            version: VERSION,
            proof,
            checkpoint,
            frames,
        }
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a file of at most [`MAX_STATE_FILE_BYTES`].
    ///
    /// # Errors
    /// [`RecoveryError::State`] when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecoveryError> {
        let refused = |reason: String| RecoveryError::State { reason };
        let file: Self = decode(bytes, MAX_STATE_FILE_BYTES)
            .map_err(|error| refused(format!("it does not decode: {error}")))?;
        match file.version {
            VERSION => Ok(file),
            other => Err(refused(format!(
                "its version is {other}, this release reads {VERSION}"
            ))),
        }
    }

    /// How genesis names a file.
    pub fn digest(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// Reads the proof at the head of a file, and hashes all of it: for a member, who cannot open the rest.
    ///
    /// # Errors
    /// [`RecoveryError::State`] when it cannot be read, is too long, or is none.
    pub fn read_proof(file: impl Read) -> Result<(OriginProof, Digest), RecoveryError> {
        let refused = |reason: String| RecoveryError::State { reason };
        let mut file = Hashing {
            inner: file.take(MAX_STATE_FILE_BYTES as u64 + 1),
            hasher: blake3::Hasher::new(),
            read: 0,
        };
        let version = u16::deserialize_reader(&mut file).map_err(|error| refused(error.to_string()))?;
        if version != VERSION {
            return Err(refused(format!(
                "its version is {version}, this release reads {VERSION}"
            )));
        }
        let proof = OriginProof::deserialize_reader(&mut (&mut file).take(MAX_ORIGIN_PROOF_BYTES as u64))
            .map_err(|error| refused(format!("its proof does not decode: {error}")))?;
        std::io::copy(&mut file, &mut std::io::sink()).map_err(|error| refused(error.to_string()))?;
        if file.read > MAX_STATE_FILE_BYTES as u64 {
            return Err(refused(format!("it is longer than {MAX_STATE_FILE_BYTES} bytes")));
        }
        Ok((proof, Digest(*file.hasher.finalize().as_bytes())))
    }

    /// The private state, opened with what the members' shares gave, if it is the one that `origin` states.
    ///
    /// # Errors
    /// [`RecoveryError::State`] when a part does not open or follow, or the state has another root or supply than
    /// a final header of the lost chain states.
    pub fn open(&self, keys: &StateKeys, origin: &Origin) -> Result<PrivateState, RecoveryError> {
        let refused = |reason: String| RecoveryError::State { reason };
        let (height, sealed) = &self.checkpoint;
        let bytes = decrypt_checkpoint(&keys.data, *height, sealed)
            .map_err(|error| refused(format!("checkpoint {height}: {error}")))?;
        let mut state = PrivateState::from_checkpoint(&bytes, keys)
            .map_err(|error| refused(format!("checkpoint {height}: {error}")))?;
        for (height, sealed) in &self.frames {
            let wrong = |error: &dyn std::fmt::Display| refused(format!("frame {height}: {error}"));
            let bytes = decrypt_frame(&keys.data, *height, sealed).map_err(|error| wrong(&error))?;
            let frame = Frame::from_bytes(&bytes).map_err(|error| wrong(&error))?;
            state.apply_frame(&frame).map_err(|error| wrong(&error))?;
        }
        // A checkpoint of the end of an epoch stands above the height that is proven; nothing is executed in between, so
        // that its root must be the same.
        if state.height() < origin.executed {
            return Err(refused(format!(
                "it ends at height {}, height {} is proven",
                state.height(),
                origin.executed
            )));
        }
        let (root, supply) = (state.root(), state.supply());
        if root != origin.private_root || supply != origin.supply {
            return Err(refused(format!(
                "its root is {root} and its supply {supply}, the lost chain certified {} and {}",
                origin.private_root, origin.supply
            )));
        }
        Ok(state)
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
    read: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.hasher.update(into.get(..count).unwrap_or_default());
        self.read = self.read.saturating_add(count as u64);
        Ok(count)
    }
}
