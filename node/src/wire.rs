//! What nodes say to one another, above `p2p` and below the ledger's types. Everything is borsh, bounded by
//! `p2p` before it is decoded here, and refused when bytes trail.
//!
//! | carried by | type | who may send it |
//! |---|---|---|
//! | direct stream | [`Direct`] | validators, to validators |
//! | gossip `batches` | [`tacit_ledger::Batch`] | validators; observers forward |
//! | gossip `announcements` | [`Announcement`] | any node |
//! | gossip `system` | [`SystemGossip`] | any node; who holds it forwards |
//! | fetch | [`FetchRequest`] / [`FetchResponse`] | any node, any node answers |

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Epoch, Height, Standing};
use tacit_ledger::{
    Batch, CommittedBlock, EpochLink, MAX_ORDINARY_TX_BYTES, Manifest, SealedReceipt, SnapshotId, SystemTx,
    codec,
};

/// The most blocks one fetch asks for; a server may answer with fewer, by size.
pub const MAX_BLOCKS_PER_FETCH: u16 = 64;
/// The most batches one fetch asks for.
pub const MAX_BATCHES_PER_FETCH: usize = 64;
/// The most epochs one fetch answers with: each costs its asker a quorum of signatures to check.
pub const MAX_LINKS_PER_FETCH: usize = 64;
/// A server stops adding to an answer once it is this long, so that one answer stays well below p2p's bound.
pub const FETCH_ANSWER_TARGET_BYTES: usize = 4 << 20;
/// The longest direct message: p2p's own bound, repeated for the decoder.
pub const MAX_DIRECT_BYTES: usize = 1 << 20;
/// The longest announcement.
pub const MAX_ANNOUNCEMENT_BYTES: usize = 128;
/// The longest gossip of a system transaction: round, length, transaction.
pub const MAX_SYSTEM_GOSSIP_BYTES: usize = MAX_ORDINARY_TX_BYTES + 8;
/// The longest name of a release, in bytes.
pub const MAX_RELEASE_BYTES: usize = 32;
/// The longest fetch request: a relayed system transaction is the largest.
pub const MAX_FETCH_REQUEST_BYTES: usize = 160 << 10;
/// The longest fetch answer.
pub const MAX_FETCH_RESPONSE_BYTES: usize = 8 << 20;

/// A direct message between two validators of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Direct {
    /// The sender's epoch: a receiver that is behind learns it from here without decoding the rest.
    pub epoch: Epoch,
    /// A random number of the sending process: two of one identity that speak at the same time are two holders of
    /// its keys.
    pub incarnation: u64,
    /// An encoded [`tacit_consensus::Message`].
    pub message: Vec<u8>,
}

/// "I have committed this": how observers and laggards learn that there is more to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Announcement {
    /// The chain it is about.
    pub chain: Digest,
    /// The sender's committed height.
    pub height: Height,
    /// The block at that height; makes equal announcements one gossip message.
    pub block: Digest,
}

/// An ordinary system transaction on its way to all.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SystemGossip {
    /// Counts from 0 how often it was said: the network layer drops what it has seen lately, and a node that was a block
    /// behind at first must hear it again.
    pub round: u32,
    /// An encoded [`tacit_ledger::SystemTx`].
    pub tx: Vec<u8>,
}

impl SystemGossip {
    /// Decodes it with the transaction; `None` where either is not what it should be, which no honest node sends.
    pub fn decode(bytes: &[u8]) -> Option<SystemTx> {
        let gossip: Self = codec::decode(bytes, MAX_SYSTEM_GOSSIP_BYTES).ok()?;
        SystemTx::decode_ordinary(&gossip.tx)
            .ok()
            .filter(SystemTx::is_ordinary)
    }
}

/// A question to one peer.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FetchRequest {
    /// Committed blocks from a height on.
    Blocks {
        /// The first height wanted.
        from: Height,
        /// At most so many (bounded by [`MAX_BLOCKS_PER_FETCH`]).
        limit: u16,
    },
    /// Batches by digest.
    Batches(Vec<Digest>),
    /// An envelope that an observer took in and passes to a validator; the answer is the validator's verdict.
    Submit(Vec<u8>),
    /// An encoded transaction of the public lane that an observer passes to a validator; the answer is the validator's
    /// verdict.
    System(Vec<u8>),
    /// How epochs came to be, from the one that leads to this epoch on.
    Epochs {
        /// The first epoch wanted; at least 1, since genesis is the beginning of epoch 0.
        from: Epoch,
    },
    /// What a snapshot consists of.
    Manifest(SnapshotId),
    /// One chunk of a snapshot.
    Chunk {
        /// Which snapshot.
        snapshot: SnapshotId,
        /// The chunk's place, from 0.
        index: u32,
    },
    /// The secret of the epoch in force, for a validator that has lost it: sealed to the attested key of its seat.
    Share {
        /// The epoch.
        epoch: Epoch,
    },
    /// How the asker stands: what the other one holds of its signed statements, and how far the chain has come.
    Standing,
    /// Who the asker is. The answer is the same of the other.
    Hello(Hello),
}

/// The answer to a [`FetchRequest`].
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FetchResponse {
    /// Consecutive committed blocks, starting with the height asked for; empty when the server has none.
    Blocks(Vec<SyncBlock>),
    /// Those of the batches asked for that the server holds.
    Batches(Vec<Batch>),
    /// The verdict on a relayed envelope: accepted, or the code and detail of the refusal.
    Submitted(Result<RelayAccepted, RelayRefused>),
    /// The verdict on a relayed system transaction: the id under which it waits, or the refusal.
    SystemTaken(Result<Digest, RelayRefused>),
    /// The blocks asked for are older than what the server keeps.
    Pruned {
        /// The lowest height that it keeps.
        first: Height,
    },
    /// Consecutive epochs, starting with the one asked for; empty when it has not begun at the server.
    Epochs(Vec<EpochLink>),
    /// What the snapshot consists of.
    Manifest(Result<Manifest, NoSnapshot>),
    /// The chunk's bytes.
    Chunk(Result<Vec<u8>, NoSnapshot>),
    /// What [`tacit_ledger::seal_secret`] made for the asker, or why it gets none.
    Share(Result<Vec<u8>, RelayRefused>),
    /// How the asker stands.
    Standing(Box<StandingAnswer>),
    /// Who the answerer is.
    Hello(Hello),
}

/// How a validator that has just started stands, as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StandingAnswer {
    /// The answerer's epoch.
    pub epoch: Epoch,
    /// The height that is final at the answerer.
    pub height: Height,
    /// What it knows of the asker; `None` where the asker has no seat in its epoch.
    pub standing: Option<Standing>,
}

/// What nodes tell each other when they connect.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// The release, at most [`MAX_RELEASE_BYTES`].
    pub release: String,
    /// The oldest protocol version that it speaks.
    pub protocol_min: u16,
    /// The newest.
    pub protocol_max: u16,
    /// As in [`Direct`].
    pub incarnation: u64,
}

impl Hello {
    /// Whether its bounds hold: a printable release name, versions in order.
    pub fn is_sound(&self) -> bool {
        let printable = self.release.bytes().all(|byte| byte.is_ascii_graphic());
        (1..=MAX_RELEASE_BYTES).contains(&self.release.len())
            && printable
            && self.protocol_min <= self.protocol_max
    }

    /// Whether it speaks a version.
    pub fn speaks(&self, protocol: u16) -> bool {
        (self.protocol_min..=self.protocol_max).contains(&protocol)
    }
}

/// Why a server does not give a snapshot, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum NoSnapshot {
    /// It does not have it, or no longer.
    NotHeld {
        /// The newest epoch of which it has a snapshot of this kind.
        newest: Option<Epoch>,
    },
    /// Private snapshots go to those who have a seat in the epoch that the server is in.
    NoSeat,
}

/// A relayed envelope was accepted.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RelayAccepted {
    /// The envelope's id.
    pub id: Digest,
    /// The epoch it is sealed to.
    pub epoch: Epoch,
    /// The height after which it can no longer be ordered.
    pub expiry_height: Height,
}

/// What was relayed was refused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RelayRefused {
    /// The refusal's code, from the table of codes.
    pub code: String,
    /// Facts about it; never plaintext.
    pub detail: String,
}

/// A committed block with everything public that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SyncBlock {
    /// The block and the proof that it is final.
    pub committed: CommittedBlock,
    /// The batches that it names, in its order.
    pub batches: Vec<Batch>,
    /// The sealed receipts of its envelopes, in order: observers cannot compute them.
    pub receipts: Vec<SealedReceipt>,
}
