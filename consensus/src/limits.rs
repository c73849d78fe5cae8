//! Every bound of the core, with its unit and its reason.

/// Most validators of one epoch. Certificates carry one signature a member, so this bounds every message.
pub const MAX_VALIDATORS: usize = 256;

/// Most batches that one block may name: 64 batches of 1 MiB already exceed what a second of network moves.
pub const MAX_BATCHES_PER_BLOCK: usize = 64;

/// Most bytes of all system transactions of one block together: evidence with collateral is some 20 KiB, so
/// a block carries a couple of dozen registrations and still fits into one message.
pub const MAX_SYSTEM_BYTES: usize = 512 * 1024;

/// Most system transactions in one block, whatever their size.
pub const MAX_SYSTEM_ITEMS: usize = 1024;

/// Longest path of headers, in blocks, between a proven block and the certified block that proves it.
pub const MAX_COMMIT_PATH: usize = 1024;

/// Most bytes of one encoded consensus message: a full block, its certificates and some room.
pub const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// Votes and timeouts are kept for at most this many views ahead of the current one.
pub const MAX_VIEW_AHEAD: u64 = 64;

/// A view that another validator says it is in, and that nothing proves, counts up to this far above the highest
/// view that is proven: honest ones may join each other's views for a while without a certificate.
pub const MAX_UNPROVEN_VIEWS: u64 = 64;

/// Votes and proposals are remembered for this many views behind the current one.
pub const VIEWS_KEPT: u64 = 64;

/// A certified block at most this many heights above the highest known block is fetched block by block from
/// its signers; anything farther is left to the application's sync ([`crate::Effect::Behind`]).
pub const FETCH_DEPTH: u64 = 8;

/// Most blocks held whose parent is still unknown.
pub const MAX_ORPHANS: usize = 64;

/// Blocks in the tree beyond which branches that lost are dropped, oldest first. (The certified branch is
/// never dropped; it grows only by a quorum's votes.)
pub const MAX_TREE_BLOCKS: usize = 1024;

/// Committed blocks kept in memory so that peers slightly behind can fetch them.
pub const RECENT_COMMITTED: usize = 64;

/// Signatures remembered as verified: enough for every vote and timeout of a dozen views at full size.
pub const MAX_REMEMBERED_SIGNATURES: usize = 8192;

/// Milliseconds until the application is asked again after it declined to build.
pub const BUILD_RETRY_MS: u64 = 50;
