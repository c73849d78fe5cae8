//! What a newcomer takes instead of history: the state at an epoch's start, in chunks that are checked as they arrive.
//!
//! ```text
//! private   the checkpoint of the closing block, sealed under the epoch's data key      for who has a seat
//! public    headers of the newest blocks ‖ the public state after the closing block     for everybody
//!
//! manifest  which of the two, epoch, height, length, H("snapshot chunk", chunk) of each 1 MiB
//! ```
//! Both are functions of the chain alone, so every node that has one has the same bytes. A manifest proves nothing by
//! itself: it tells which chunk of which peer is wrong. What the chunks are together is compared with what a quorum
//! certified: the private root and the supply in the closing header, the public root in the first header that states
//! it, and the ids of recent blocks with the chain of headers that ends in the closing one.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Epoch, Header, Height, hash};

use crate::{
    chainlog::CHECKPOINT_CHUNK,
    codec::{decode, encode},
    error::SnapshotError,
    light::EpochLink,
    limits::RECENT_BLOCKS,
    state::{MAX_CHECKPOINT_BUCKET, MAX_PUBLIC_STATE_BYTES, PublicState},
};

/// Version byte of a public snapshot.
const PUBLIC_VERSION: u8 = 1;
/// Largest encoded header, in bytes, with room: it has a fixed number of fields.
const MAX_HEADER_BYTES: usize = 512;
/// Largest public snapshot, in bytes.
pub const MAX_PUBLIC_SNAPSHOT_BYTES: usize =
    MAX_PUBLIC_STATE_BYTES + RECENT_BLOCKS as usize * MAX_HEADER_BYTES + 64;
/// Largest private snapshot, in bytes: the largest sealed checkpoint.
pub const MAX_PRIVATE_SNAPSHOT_BYTES: usize = MAX_CHECKPOINT_BUCKET + 28;
/// Largest encoded manifest, in bytes: a digest for each chunk of the largest snapshot.
pub const MAX_MANIFEST_BYTES: usize = 64 + 32 * (MAX_PRIVATE_SNAPSHOT_BYTES / CHECKPOINT_CHUNK + 1);

/// Which state a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum SnapshotKind {
    /// The private state, sealed under the epoch's data key.
    Private,
    /// The public state, with the headers of recent blocks.
    Public,
}

impl SnapshotKind {
    /// The largest snapshot of this kind, in bytes.
    pub fn max_bytes(self) -> usize {
        match self {
            Self::Private => MAX_PRIVATE_SNAPSHOT_BYTES,
            Self::Public => MAX_PUBLIC_SNAPSHOT_BYTES,
        }
    }

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

/// Names a snapshot: the state after the block that closed the epoch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct SnapshotId {
    /// Which state.
    pub kind: SnapshotKind,
    /// The epoch that begins with it.
    pub epoch: Epoch,
}

/// What a snapshot consists of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// Which snapshot.
    pub id: SnapshotId,
    /// The height of the closing block.
    pub height: Height,
    /// Its length in bytes.
    pub bytes: u64,
    /// The digest of each chunk of [`CHECKPOINT_CHUNK`] bytes; the last may be shorter.
    pub chunks: Vec<Digest>,
}

impl Manifest {
    /// Describes a whole snapshot.
    pub fn of(id: SnapshotId, height: Height, snapshot: &[u8]) -> Self {
        Self {
            id,
            height,
            bytes: snapshot.len() as u64,
            chunks: snapshot.chunks(CHECKPOINT_CHUNK).map(chunk_digest).collect(),
        }
    }

    /// Checks what came from a peer: that it is about this snapshot, within the bound, with one digest a chunk.
    ///
    /// # Errors
    /// [`SnapshotError::Manifest`]: no honest node sends it.
    pub fn check(&self, id: SnapshotId, height: Height) -> Result<(), SnapshotError> {
        let max = id.kind.max_bytes() as u64;
        let what = if self.id != id || self.height != height {
            "it is about another snapshot"
        } else if self.bytes == 0 || self.bytes > max {
            "its length is out of bounds"
        } else if self.chunks.len() as u64 != self.bytes.div_ceil(CHECKPOINT_CHUNK as u64) {
            "it has not one digest for each chunk"
        } else {
            return Ok(());
        };
        Err(SnapshotError::Manifest { what })
    }

    /// Names the manifest: equal for equal bytes of a snapshot.
    pub fn digest(&self) -> Digest {
        hash("snapshot manifest", &[&encode(self)])
    }

    /// How many chunks there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    /// The length of a chunk in bytes; 0 for one that there is not.
    pub fn chunk_bytes(&self, index: u32) -> usize {
        let from = u64::from(index).saturating_mul(CHECKPOINT_CHUNK as u64);
        let left = self.bytes.saturating_sub(from);
        left.min(CHECKPOINT_CHUNK as u64) as usize
    }

    /// Checks a chunk from a peer or from the disk.
    ///
    /// # Errors
    /// [`SnapshotError::ChunkLength`], [`SnapshotError::Chunk`].
    pub fn check_chunk(&self, index: u32, chunk: &[u8]) -> Result<(), SnapshotError> {
        let need = self.chunk_bytes(index);
        if chunk.len() != need {
            let have = chunk.len();
            return Err(SnapshotError::ChunkLength { index, have, need });
        }
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        if self.chunks.get(place) != Some(&chunk_digest(chunk)) {
            return Err(SnapshotError::Chunk { index });
        }
        Ok(())
    }
}

fn chunk_digest(chunk: &[u8]) -> Digest {
    hash("snapshot chunk", &[chunk])
}

/// The state that everybody executes, at an epoch's start.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct PublicSnapshot {
    version: u8,
    /// Up to the closing header: as many as the state knows ids of, but the genesis has none.
    headers: Vec<Header>,
    /// As [`PublicState::to_bytes`] writes it.
    state: Vec<u8>,
}

impl PublicSnapshot {
    /// A snapshot of `state`, whose newest headers these are, the closing one last.
    pub fn new(headers: Vec<Header>, state: &PublicState) -> Self {
        Self {
            version: PUBLIC_VERSION,
            headers,
            state: state.to_bytes(),
        }
    }

    /// The snapshot as it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// The headers, oldest first.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// How many headers the snapshot of a closing block at `height` has.
    pub fn headers_at(height: Height) -> u64 {
        height.min(RECENT_BLOCKS)
    }

    /// Opens what came from a peer, and checks everything that the chain of epochs proves: the headers lead to the closing
    /// one, the ids that the state knows are theirs, and its epoch is the one that the link leads to. What is left is the
    /// root, which the caller compares with the first certified header that states it.
    ///
    /// # Errors
    /// [`SnapshotError::Public`] and [`SnapshotError::Codec`]: no honest node sends it.
    pub fn open(
        bytes: &[u8],
        chain: &Digest,
        link: &EpochLink,
    ) -> Result<(Vec<Header>, PublicState), SnapshotError> {
        let refused = |what| Err(SnapshotError::Public { what });
        let snapshot: Self = decode(bytes, MAX_PUBLIC_SNAPSHOT_BYTES)?;
        let (headers, height) = (snapshot.headers, link.header.height);
        if snapshot.version != PUBLIC_VERSION {
            return refused("its version is unknown");
        }
        if headers.len() as u64 != Self::headers_at(height) || headers.last() != Some(&link.header) {
            return refused(
                "its headers do not end in the closing one, or are not as many as they should be",
            );
        }
        let mut ids = Vec::with_capacity(headers.len());
        let mut parent: Option<(Height, Digest)> = None;
        for header in &headers {
            let id = header.id();
            let follows = |(height, id): (Height, _)| {
                header.parent == id && height.checked_add(1) == Some(header.height)
            };
            if parent.is_some_and(|parent| !follows(parent)) {
                return refused("its headers do not follow one another");
            }
            parent = Some((header.height, id));
            ids.push((header.height, id));
        }
        let state = PublicState::from_bytes(&snapshot.state)?;
        if state.chain() != chain || state.height() != height || *state.current() != link.record {
            return refused("its state is not the one after the closing block");
        }
        if ids.iter().any(|(height, id)| state.block_id(*height) != Some(id)) {
            return refused("the blocks that its state remembers are not those of its headers");
        }
        let before = ids.first().and_then(|(height, _)| height.checked_sub(1));
        let oldest = before.and_then(|height| state.block_id(height));
        let none_older = match before {
            Some(0) if height < RECENT_BLOCKS => oldest == Some(chain),
            _ => oldest.is_none(),
        };
        if !none_older || state.is_ending() {
            return refused("its state remembers what a state after a closing block does not");
        }
        let in_force = state.policy_in_force();
        if !state.policies().any(|adopted| adopted == in_force) {
            return refused("its policy in force is none of its adopted ones");
        }
        // One encoding only: what roots do not cover cannot differ.
        if state.to_bytes() != snapshot.state {
            return refused("its state is not encoded as this release does it");
        }
        Ok((headers, state))
    }
}
