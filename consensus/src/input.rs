//! What the host tells the core.

use crate::block::{Block, Content};
use crate::certificate::CommitProof;
use crate::message::Message;
use crate::types::{Digest, View};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // Taken by value once and never queued here.
pub enum Input {
    /// A message arrived.
    Message {
        /// Index of the validator at the other end of the connection; none if it is not one. Only used to
        /// answer block requests and in [`crate::Effect::Refused`]: what counts is signed.
        from: Option<u16>,
        /// Decoded by [`Message::decode`].
        message: Message,
    },
    /// A time asked for by [`crate::Effect::WakeAt`] has come. Spurious ticks do no harm.
    Tick,
    /// The application has, or no longer has, something that wants a block.
    Work(bool),
    /// Answer to [`crate::Effect::Build`].
    Built {
        /// The view asked for.
        view: View,
        /// The parent asked for.
        parent: Digest,
        /// None: cannot build yet. Asked again on `Work(true)`, or a little later.
        content: Option<Content>,
    },
    /// Answer to [`crate::Effect::Validate`], at any later time.
    Validated {
        /// The block.
        block: Digest,
        /// Whether the application stands behind it.
        accepted: bool,
    },
    /// The application synced by itself: it has verified and applied all committed blocks up to this one.
    Synced {
        /// The newest applied block, of this epoch.
        block: Box<Block>,
        /// Its proof.
        proof: CommitProof,
    },
}
