//! What can go wrong with the state, and whose fault it is.

use tacit_consensus::Height;
use thiserror::Error;

use crate::error::CodecError;

/// Why a private entry was not read: the asker's fault, or the asker is late.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The asker may not read this entry. An entry that does not exist is denied alike.
    #[error("the account may not read this entry")]
    Denied,
    /// The height is not executed yet, or no longer kept, or has no private root.
    #[error("height {asked} cannot be read: {oldest} to {newest} can")]
    HeightGone {
        /// What was asked.
        asked: Height,
        /// The oldest height that can be read.
        oldest: Height,
        /// The newest one.
        newest: Height,
    },
}

/// Why a frame or checkpoint from the disk or a peer was not taken: whoever kept it changed it, or it is another one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The content does not fit the largest bucket: ours, the state outgrew its bound.
    #[error("{have} bytes do not fit the largest bucket of {max}")]
    TooLarge {
        /// Content, in bytes.
        have: usize,
        /// Largest bucket, in bytes.
        max: usize,
    },
    /// Not a length that sealing makes.
    #[error("{have} bytes are no sealed bucket")]
    Length {
        /// Bytes found.
        have: usize,
    },
    /// Does not open: another key, kind or height, or changed.
    #[error("does not open: another key, kind or height, or it was changed")]
    Seal,
    /// Opens, and its padding is not zero.
    #[error("padding is not zero")]
    Padding,
    /// Opens, and is not what this version writes.
    #[error("not a frame or checkpoint of this version: {0}")]
    Codec(#[from] CodecError),
    /// A checkpoint of a version that this program does not know.
    #[error("checkpoint version {have} is unknown")]
    Version {
        /// The version found.
        have: u8,
    },
    /// A frame that does not follow the state.
    #[error("frame of height {have} where {expected} follows")]
    Height {
        /// The frame's height.
        have: Height,
        /// One above the state's.
        expected: Height,
    },
    /// An entry of a checkpoint that no private state has: whoever sealed it made it up.
    #[error("entry {index} of the checkpoint is none of a private state")]
    Entry {
        /// Its place, from 0.
        index: usize,
    },
    /// The balances of a checkpoint do not add up.
    #[error("balances of the checkpoint overflow")]
    Supply,
}
