//! Every bound of what travels or is stored, in bytes unless the name says otherwise, with its reason.
//!
//! A decoder checks the bound before it allocates; a checker refuses by name what is beyond it.

/// Most validators in one set: certificates carry one signature a signer, and DESIGN aims at 100.
pub const MAX_VALIDATORS: usize = 128;

/// X-Wing public key: ML-KEM-768 (1184) and X25519 (32).
pub const SEALING_PUBLIC_BYTES: usize = 1216;
/// X-Wing encapsulation: ML-KEM-768 ciphertext (1088) and X25519 point (32).
pub const ENCAPSULATION_BYTES: usize = 1120;
/// Poly1305 tag.
pub const TAG_BYTES: usize = 16;

/// Smallest padded plaintext of an envelope: a transfer fits.
pub const MIN_BUCKET: usize = 512;
/// Largest padded plaintext of an envelope.
pub const MAX_BUCKET: usize = 64 * 1024;
/// Largest encoded call: a length word and the call fill the largest bucket.
pub const MAX_CALL_BYTES: usize = MAX_BUCKET - 4;
/// Chain, epoch, expiry, suite, key tag, encapsulation length and bytes: what stands before an envelope's body.
pub const ENVELOPE_HEADER_BYTES: usize = 32 + 8 + 8 + 1 + 1 + 4 + ENCAPSULATION_BYTES;
/// Largest encoded envelope.
pub const MAX_ENVELOPE_BYTES: usize = ENVELOPE_HEADER_BYTES + 4 + MAX_BUCKET + TAG_BYTES;
/// Furthest expiry ahead of the including block, in heights: bounds how long ids must be remembered.
pub const MAX_EXPIRY_WINDOW: u64 = 20_000;
/// What wallets ask for when the user names nothing, in heights.
pub const DEFAULT_EXPIRY: u64 = 10_000;

/// Largest encoded batch: fits a gossip message of 1 MiB with room, and several fit a block interval.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;
/// Most envelopes in one batch.
pub const MAX_BATCH_ENVELOPES: usize = 256;

/// Most bytes a module may say about a success (a name, a mailbox position).
pub const MAX_RECEIPT_DETAIL: usize = 64;
/// Every receipt's plaintext is padded to this, so that success and failure look alike.
pub const RECEIPT_PLAIN_BYTES: usize = 128;
/// Constant size of a sealed receipt.
pub const SEALED_RECEIPT_BYTES: usize = RECEIPT_PLAIN_BYTES + TAG_BYTES;
/// Most blocks between a receipt's block and the header that certifies it, in one proof.
pub const MAX_RECEIPT_LATER: usize = 1024;
/// Largest encoded receipt proof: a certificate with its path, and the block roots in between.
pub const MAX_RECEIPT_PROOF_BYTES: usize = 1024 * 1024;
/// Deepest Merkle path: 2^32 leaves.
pub const MAX_MERKLE_DEPTH: usize = 32;

/// Longest validator or network name, in characters (all ASCII).
pub const MAX_NAME: usize = 32;
/// Largest encoded registration: a report of 8 KiB, a leaf of 4 KiB, keys and signatures.
pub const MAX_REGISTRATION_BYTES: usize = 16 * 1024;
/// Most names in the registry, with a seat or without: each costs a check of evidence when an epoch ends.
pub const MAX_REGISTERED: usize = 512;
/// Most consensus keys remembered as convicted; the oldest that nobody is registered with gives way.
pub const MAX_CONVICTED: usize = 1024;
/// Most members who govern: each may have one proposal open, which stays in the state.
pub const MAX_MEMBERS: usize = 32;
/// Most suspensions that one proposal may end.
pub const MAX_REINSTATED: usize = 64;
/// Most suspensions in force.
pub const MAX_SUSPENSIONS: usize = 256;
/// Most targets that one validator may have voted to suspend in an epoch without the others following.
pub const MAX_SUSPEND_VOTES: usize = 8;
/// Adopted policies kept whole: the one in force, those to come, and the newest before it.
pub const MAX_POLICIES_KEPT: usize = 16;
/// Ids of recent blocks that the public state knows, in heights: what evidence of a renewal may be bound to.
pub const RECENT_BLOCKS: u64 = 4096;
/// Largest encoded or written genesis.
pub const MAX_GENESIS_BYTES: usize = 8 * 1024 * 1024;
/// Most initial balances in a genesis.
pub const MAX_ALLOCATIONS: usize = 10_000;
/// Largest encoded epoch record: [`MAX_VALIDATORS`] members with a KEM key each, [`MAX_REGISTERED`] names without a seat.
pub const MAX_EPOCH_RECORD_BYTES: usize = 256 * 1024;
/// Largest encoded system transaction: an epoch record is the largest.
pub const MAX_SYSTEM_TX_BYTES: usize = MAX_EPOCH_RECORD_BYTES + 16;
/// Largest encoded ordinary system transaction: collateral of 64 KiB with its signer, or a policy of some hundred builds.
pub const MAX_ORDINARY_TX_BYTES: usize = 128 * 1024;
/// Most ordinary system transactions in one block: each may cost a check of evidence.
pub const MAX_ORDINARY_TXS: usize = 128;
/// Most proposals in one block: each is tried on every seat.
pub const MAX_PROPOSALS_PER_BLOCK: usize = 1;
/// Most bytes of all ordinary system transactions of one block: leaves room for the rest of a block of
/// [`tacit_consensus::MAX_SYSTEM_BYTES`].
pub const MAX_ORDINARY_BYTES: usize = 384 * 1024;

/// A dealer's share for one validator: an encapsulation and 32 sealed bytes.
pub const SHARE_BYTES: usize = ENCAPSULATION_BYTES + 32 + TAG_BYTES;
/// Largest encoded contribution: one share a validator.
pub const MAX_CONTRIBUTION_BYTES: usize = 256 * 1024;

/// Most recovery members: with a set of [`MAX_VALIDATORS`], an epoch record still fits [`MAX_EPOCH_RECORD_BYTES`].
pub const MAX_RECOVERY_MEMBERS: usize = 32;

/// Most keys in one private query.
pub const MAX_QUERY_KEYS: usize = 64;
/// Smallest padded query.
pub const MIN_QUERY_BUCKET: usize = 2 * 1024;
/// Largest padded query: 64 keys and an answer key fit many times over.
pub const MAX_QUERY_BUCKET: usize = 32 * 1024;
/// Largest sealed query as it travels.
pub const MAX_SEALED_QUERY_BYTES: usize = ENCAPSULATION_BYTES + MAX_QUERY_BUCKET + TAG_BYTES;
/// Smallest padded answer.
pub const MIN_ANSWER_BUCKET: usize = 4 * 1024;
/// Largest padded answer: 64 letters of 16 KiB with their proofs.
pub const MAX_ANSWER_BUCKET: usize = 4 * 1024 * 1024;
/// Largest sealed answer as it travels.
pub const MAX_SEALED_ANSWER_BYTES: usize = ENCAPSULATION_BYTES + MAX_ANSWER_BUCKET + TAG_BYTES;

/// Largest encoded light bundle.
pub const MAX_LIGHT_BUNDLE_BYTES: usize = 16 * 1024 * 1024;
/// Most epochs in one light bundle; who is further behind asks again.
pub const MAX_EPOCH_LINKS: usize = 4096;
/// How far ahead of a wallet's clock the newest header may be, in milliseconds.
pub const MAX_CLOCK_SKEW_MS: u64 = 10_000;
