//! What the core asks of the host.

use crate::block::Block;
use crate::certificate::CommitProof;
use crate::error::Refusal;
use crate::evidence::EquivocationProof;
use crate::message::Message;
use crate::safety::SafetyRecord;
use crate::types::{Digest, Height, Millis, View};

/// One request, to be carried out in order. A step emits at most one `Persist`, after its `StoreBlock`s and
/// before anything else, so one synced write a step is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Must be durable together with the `Persist` that follows it in the same step. After a restart the stored
    /// blocks above the newest committed one return to [`crate::Core::new`].
    StoreBlock(Block),
    /// Must be durable before any later effect of this or any later step is carried out. If that fails the host
    /// must stop: nothing may leave any more.
    Persist(SafetyRecord),
    /// Send to every other validator (the core has already counted its own).
    Broadcast(Message),
    /// Send to one validator.
    Send {
        /// Its index.
        to: u16,
        /// The message.
        message: Message,
    },
    /// Give [`crate::Input::Tick`] at this time. Adds to earlier requests; they need not be cancelled.
    WakeAt(Millis),
    /// We lead: say what to propose. Answer with [`crate::Input::Built`].
    Build {
        /// The view that we lead.
        view: View,
        /// The block to extend, see [`crate::Core::block`] and [`crate::Core::chain_to`].
        parent: Digest,
    },
    /// Say whether this proposal of the current view deserves our vote. At most once a block, and only when all
    /// its ancestors down to the committed root are known. Answer with [`crate::Input::Validated`].
    Validate(Block),
    /// The block is final. In height order, each height once (heights taken in by `Synced` are skipped).
    Commit {
        /// The block.
        block: Block,
        /// Convinces anybody who trusts the committee.
        proof: CommitProof,
    },
    /// Others have certified a block so far ahead, or a block so unobtainable, that the application should
    /// sync committed blocks up to at least this height if it can. Repeated, at most once a base timeout.
    Behind {
        /// Height of the block that is missing.
        height: Height,
    },
    /// A validator signed two conflicting statements.
    Equivocation(EquivocationProof),
    /// An input was not acted upon.
    Refused {
        /// As given with the message; none when it did not come straight from a peer.
        from: Option<u16>,
        /// Why, and by [`Refusal::fault`] whose fault.
        reason: Refusal,
    },
}

/// Moves the blocks to store to the front and, right after them, the last record: it contains all earlier ones
/// of the same step, so nothing leaves before what allows it is durable.
pub(crate) fn ordered(effects: Vec<Effect>) -> Vec<Effect> {
    let (mut stores, rest): (Vec<_>, Vec<_>) = effects
        .into_iter()
        .partition(|effect| matches!(effect, Effect::StoreBlock(_)));
    let (mut records, rest): (Vec<_>, Vec<_>) = rest
        .into_iter()
        .partition(|effect| matches!(effect, Effect::Persist(_)));
    stores.extend(records.pop());
    stores.extend(rest);
    stores
}
