//! Proofs for those who trust no node, put together from what the store holds.
//!
//! ```text
//! receipt   sealed receipt ─path─► M_h ─R_(h-1), M_(h+1)..M_k─► R_k = executed.receipts_root of a committed header
//! bundle    record e ─closing header, certificate─► record e+1 ─ ... ─► record of now ─► newest header
//! ```
//! Nothing here is judged again: it was when it was stored, and the reader judges for itself.

use std::ops::ControlFlow;

use tacit_attest::Collateral;
use tacit_consensus::{Digest, Height};
use tacit_ledger::{
    ChainLog, CommittedBlock, EpochLink, Genesis, LightBundle, MAX_RECEIPT_LATER, PublicState, ReceiptProof,
    Store, StoreError, merkle_path,
};
use thiserror::Error;

/// Most epochs that one bundle leads over; who is further behind asks again.
pub const MAX_LINKS: u64 = 256;
/// A bundle gets no further link once its links have this many bytes; far below the decoder's bound, because
/// registrations follow.
const LINK_BYTES: usize = 4 << 20;
/// Epochs that may end while a bundle is read.
const MAX_TURNS: usize = 4;

/// Why a proof could not be made: always this node's own failure.
#[derive(Debug, Error)]
pub enum ProofError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that must be stored is not.
    #[error("the store lacks {what} {name}")]
    Missing {
        /// The kind of thing.
        what: &'static str,
        /// Its height, number or digest.
        name: String,
    },
    /// No header certifies the height within the length that a proof may have.
    #[error("height {certified} is the first certified one from {height} on: too far for a proof")]
    TooFar {
        /// Height to be proven.
        height: Height,
        /// First height from there on that a header certifies.
        certified: Height,
    },
    /// A record could not be encoded.
    #[error("encoding: {0}")]
    Encode(#[from] std::io::Error),
}

fn missing(what: &'static str, name: impl ToString) -> ProofError {
    ProofError::Missing {
        what,
        name: name.to_string(),
    }
}

fn committed(log: ChainLog<'_>, height: Height) -> Result<CommittedBlock, ProofError> {
    log.block(height)?.ok_or_else(|| missing("block", height))
}

/// Newest height whose execution the header of a committed block up to `head` certifies; 0 before any does.
///
/// # Errors
/// The store's.
pub fn certified_height(store: &dyn Store, head: Height) -> Result<Height, ProofError> {
    Ok(ChainLog::new(store)
        .block(head)?
        .map_or(0, |newest| newest.block.header.executed.height))
}

/// The proof of a committed transaction's receipt; `None` while no committed header up to `head` certifies
/// its block's execution, and for an id that is not committed.
///
/// # Errors
/// The store's, and [`ProofError::Missing`] when it contradicts itself.
pub fn receipt_proof(
    store: &dyn Store,
    head: Height,
    id: &Digest,
) -> Result<Option<ReceiptProof>, ProofError> {
    let log = ChainLog::new(store);
    let Some(receipt) = log.receipt(id)? else {
        return Ok(None);
    };
    let height = receipt.height;
    let Some(CommittedBlock {
        block: certifying,
        proof,
    }) = first_certifying(log, height, head)?
    else {
        return Ok(None);
    };
    let certified = certifying.header.executed.height;
    if certified - height > MAX_RECEIPT_LATER as u64 {
        return Err(ProofError::TooFar { height, certified });
    }
    let result = |height: Height| log.result(height)?.ok_or_else(|| missing("result", height));
    let leaf = |id: &Digest| match log.receipt(id)? {
        Some(receipt) => Ok(receipt.sealed.leaf(id)),
        None => Err(missing("receipt", id)),
    };
    let leaves = result(height)?
        .envelopes
        .iter()
        .map(leaf)
        .collect::<Result<Vec<Digest>, ProofError>>()?;
    let previous = match height.saturating_sub(1) {
        0 => Digest::ZERO,
        before => result(before)?.executed.receipts_root,
    };
    let later = (height + 1..=certified)
        .map(|height| Ok(result(height)?.receipts))
        .collect::<Result<Vec<Digest>, ProofError>>()?;
    Ok(Some(ReceiptProof {
        envelope: *id,
        sealed: receipt.sealed,
        height,
        index: receipt.index,
        path: merkle_path(&leaves, receipt.index).ok_or_else(|| missing("transaction", id))?,
        previous,
        later,
        header: certifying.header,
        proof,
    }))
}

/// The first committed block up to `head` that certifies the execution of `height` or a later one. Headers
/// never certify less than their parents, so halving finds it.
fn first_certifying(
    log: ChainLog<'_>,
    height: Height,
    head: Height,
) -> Result<Option<CommittedBlock>, ProofError> {
    if head <= height || committed(log, head)?.block.header.executed.height < height {
        return Ok(None);
    }
    let (mut low, mut high) = (height, head); // low certifies less than height, high enough
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if committed(log, middle)?.block.header.executed.height >= height {
            high = middle;
        } else {
            low = middle;
        }
    }
    committed(log, high).map(Some)
}

/// A bundle, and whether it reaches the newest block.
#[derive(Debug)]
pub struct Bundle {
    /// For the light client.
    pub bundle: LightBundle,
    /// False when it stops before the newest block: the light client follows it, then asks from where it is.
    pub complete: bool,
}

/// What leads a light client that trusts epoch `from` to the newest committed block up to `head`, in as many
/// epochs as one bundle may have; `None` when there is no such epoch, or no block yet.
///
/// # Errors
/// The store's, and [`ProofError::Missing`] when it contradicts itself.
pub fn light_bundle(
    store: &dyn Store,
    genesis: &Genesis,
    mut head: Height,
    from: u64,
) -> Result<Option<Bundle>, ProofError> {
    for _ in 0..MAX_TURNS {
        match bundle_at(store, genesis, head, from)? {
            ControlFlow::Break(bundle) => return Ok(bundle),
            ControlFlow::Continue(later) => head = later,
        }
    }
    Err(missing("public state of the epoch at height", head))
}

/// One try: a bundle, or none; or, where an epoch ended between two reads, the height that is the head by now.
fn bundle_at(
    store: &dyn Store,
    genesis: &Genesis,
    head: Height,
    from: u64,
) -> Result<ControlFlow<Option<Bundle>, Height>, ProofError> {
    let log = ChainLog::new(store);
    let Some(newest) = log.block(head)? else {
        return Ok(ControlFlow::Break(None));
    };
    // A closing block's successor epoch is in force as soon as it is committed.
    let header = &newest.block.header;
    let current = header.epoch + u64::from(header.next_epoch.is_some());
    if from > current {
        return Ok(ControlFlow::Break(None));
    }
    let mut links: Vec<EpochLink> = Vec::new();
    let mut bytes = 0;
    for epoch in from + 1..=current {
        if links.len() as u64 >= MAX_LINKS || bytes >= LINK_BYTES {
            break;
        }
        let link = log.epoch(epoch)?.ok_or_else(|| missing("epoch", epoch))?;
        bytes += borsh::object_length(&link)?;
        links.push(link);
    }
    let reached = from + links.len() as u64;
    let complete = reached == current;
    let (head, head_proof) = match links.last() {
        Some(last) if !complete => (last.header.clone(), last.proof.clone()),
        _ => (newest.block.header, newest.proof),
    };
    // A bundle that stops early leads on and judges nobody: the holders come with the last one.
    let mut bundle = LightBundle {
        links,
        head,
        head_proof,
        registrations: Vec::new(),
        policy: genesis.policy.clone(),
        collateral: Collateral::new(),
    };
    if complete {
        // Before the first epoch's end nothing is stored.
        let state = log.public()?.unwrap_or_else(|| PublicState::genesis(genesis));
        if state.current().epoch > current {
            let newest = log.head()?.ok_or_else(|| missing("block of epoch", current))?;
            return Ok(ControlFlow::Continue(newest.block.header.height));
        }
        let seated = state.seated();
        let registrations = seated.registrations.iter();
        bundle.registrations = registrations.map(|one| one.registration.clone()).collect();
        bundle.policy = state.policy().clone();
        bundle.collateral = Collateral::clone(&seated.collateral);
    }
    Ok(ControlFlow::Break(Some(Bundle { bundle, complete })))
}
