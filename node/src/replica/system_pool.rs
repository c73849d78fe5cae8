//! Transactions of the public lane on their way into blocks: vendors' collateral, policies and their approvals,
//! suspensions, renewals.
//!
//! What comes in was checked against the state at the head, so that a stranger can fill nothing: each entry bears
//! the signature of a vendor, a member or a validator. Those are bounded here too. Every kind has a share of its
//! own, in items and bytes, so that none crowds out another; and one author has one entry for one wish: a newer
//! one takes the place of the one before it.
//!
//! Nothing of it is stored. A restart loses what is not committed; who handed it in sees it go from pending to
//! unknown, and hands it in again.

use std::collections::BTreeMap;

use tacit_attest::Suspension;
use tacit_consensus::{Digest, Height, Millis};
use tacit_ledger::SystemTx;
use thiserror::Error;

use crate::wire::SystemGossip;

/// What one kind of transaction may hold here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    items: usize,
    bytes: usize,
}

const KIB: usize = 1024;

/// The share of a kind. Together: 256 items and 4 MiB, some ten full blocks.
fn share(kind: Kind) -> Share {
    let (items, bytes) = match kind {
        // A vendor's recovery comes with a dozen documents of at most 64 KiB.
        Kind::Collateral => (48, 1_536 * KIB),
        // One a member; a policy may name some hundred builds.
        Kind::Propose => (32, 1_024 * KIB),
        Kind::Approve => (32, 64 * KIB),
        // A suspension brings a vote a seat.
        Kind::Suspend => (48, 64 * KIB),
        // Evidence of at most 16 KiB.
        Kind::Register => (64, 1_024 * KIB),
        Kind::Leave => (16, 16 * KIB),
        // Two headers with a signature each.
        Kind::Convict => (16, 64 * KIB),
    };
    Share { items, bytes }
}

/// Kinds of ordinary transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Collateral,
    Propose,
    Approve,
    Suspend,
    Register,
    Leave,
    Convict,
}

/// One author's one wish.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    /// A vendor's document, by its bytes.
    Collateral(Digest),
    /// A member's proposal.
    Propose(u16),
    /// A member's approval of a proposal.
    Approve(u16, Digest),
    /// A seat's vote against somebody.
    Suspend(u16, Suspension),
    /// A validator's registration or newer evidence.
    Register(String),
    /// An operator's wish to leave.
    Leave(String),
    /// A proof that somebody equivocated, by its bytes.
    Convict(Digest),
}

/// Why a transaction was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SystemPoolError {
    /// Its kind holds as much as it may.
    #[error(
        "{items} transactions of kind {kind} with {bytes} bytes wait here already, which is as much as may"
    )]
    Full {
        /// The kind, as [`SystemTx::kind`] names it.
        kind: &'static str,
        /// Transactions of the kind that wait.
        items: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The author has a newer one here for the same wish.
    #[error("a newer transaction of kind {kind} by the same author waits here already")]
    Older {
        /// The kind, as [`SystemTx::kind`] names it.
        kind: &'static str,
    },
    /// Leaders make these.
    #[error("a transaction of kind {kind} is made by leaders only")]
    NotOrdinary {
        /// The kind, as [`SystemTx::kind`] names it.
        kind: &'static str,
    },
}

impl SystemPoolError {
    /// The code under which the table of codes explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "system.pool_full",
            Self::Older { .. } => "system.older",
            Self::NotOrdinary { .. } => "system.not_ordinary",
        }
    }
}

/// What came of taking one in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It waits here now. The one whose place it took, if any, is gone.
    New {
        /// The one that had the place before.
        replaced: Option<Digest>,
    },
    /// The same wish by the same author waits here already, under this id.
    Held(Digest),
}

struct Item {
    tx: SystemTx,
    bytes: Vec<u8>,
    wish: Wish,
    order: u64,
    checked: Height,
    say: Option<Say>,
}

/// When an own client's transaction is gossiped next.
#[derive(Debug, Clone, Copy)]
struct Say {
    at: Millis,
    round: u32,
}

/// The first repetition comes after this, in milliseconds: a few blocks; each one after twice the time, up to
/// [`SAY_LATEST_MS`].
const SAY_AGAIN_MS: Millis = 1_000;
/// Repetitions come at least this often, in milliseconds.
const SAY_LATEST_MS: Millis = 64_000;

/// See the module.
#[derive(Default)]
pub struct SystemPool {
    items: BTreeMap<Digest, Item>,
    by_wish: BTreeMap<Wish, Digest>,
    by_order: BTreeMap<u64, Digest>,
    held: BTreeMap<Kind, Share>,
    next_order: u64,
}

impl SystemPool {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Transactions and bytes that wait.
    pub fn size(&self) -> (u64, u64) {
        let bytes: usize = self.held.values().map(|held| held.bytes).sum();
        (self.items.len() as u64, bytes as u64)
    }

    /// Whether a transaction waits.
    pub fn contains(&self, id: &Digest) -> bool {
        self.items.contains_key(id)
    }

    /// The entry that a transaction would find in its place, if the same wish waits here already; `None` when it is
    /// news. Cheap: to be asked before signatures are checked.
    ///
    /// # Errors
    /// As [`Self::insert`], as far as that depends on the kind and the place alone.
    pub fn look(&self, tx: &SystemTx) -> Result<Option<Digest>, SystemPoolError> {
        let (kind, wish) = place(tx)?;
        if let Some(id) = self.by_wish.get(&wish)
            && let Some(item) = self.items.get(id)
        {
            return match tx_newer(tx, &item.tx) {
                Some(true) => Ok(None),
                Some(false) => Err(SystemPoolError::Older { kind: tx.kind() }),
                None => Ok(Some(*id)),
            };
        }
        let (held, share) = (self.held(kind), share(kind));
        if held.items >= share.items || held.bytes >= share.bytes {
            return Err(full(tx, held));
        }
        Ok(None)
    }

    /// Takes in a transaction that was checked against the state at `height`. `bytes` is its encoding.
    ///
    /// # Errors
    /// [`SystemPoolError`]: nobody is to blame; it may be handed in again, here or elsewhere.
    pub fn insert(
        &mut self,
        tx: SystemTx,
        bytes: Vec<u8>,
        height: Height,
    ) -> Result<(Digest, Taken), SystemPoolError> {
        let (kind, wish) = place(&tx)?;
        let id = tx.id();
        if let Some(held) = self.look(&tx)? {
            return Ok((id, Taken::Held(held)));
        }
        let replaced = self.by_wish.get(&wish).copied();
        let freed =
            replaced
                .and_then(|id| self.items.get(&id))
                .map_or(Share { items: 0, bytes: 0 }, |item| Share {
                    items: 1,
                    bytes: item.bytes.len(),
                });
        let (held, share) = (self.held(kind), share(kind));
        let fits =
            held.items - freed.items < share.items && held.bytes - freed.bytes + bytes.len() <= share.bytes;
        if !fits {
            return Err(full(&tx, held));
        }
        if let Some(old) = &replaced {
            self.remove(old);
        }
        let held = self.held.entry(kind).or_insert(Share { items: 0, bytes: 0 });
        held.items += 1;
        held.bytes += bytes.len();
        let order = self.next_order;
        self.next_order += 1;
        self.by_order.insert(order, id);
        self.by_wish.insert(wish.clone(), id);
        self.items.insert(
            id,
            Item {
                tx,
                bytes,
                wish,
                order,
                checked: height,
                say: None,
            },
        );
        Ok((id, Taken::New { replaced }))
    }

    /// A client of this node brought it: it is to be gossiped now, and again for as long as it waits.
    pub fn say_again(&mut self, id: &Digest, now: Millis) {
        if let Some(item) = self.items.get_mut(id) {
            item.say = Some(Say { at: now, round: 0 });
        }
    }

    /// What is to be gossiped by now, oldest first.
    pub fn due(&mut self, now: Millis) -> Vec<SystemGossip> {
        let mut due = Vec::new();
        for id in self.by_order.values() {
            let Some(item) = self.items.get_mut(id) else {
                continue;
            };
            let Some(say) = item.say.as_mut().filter(|say| say.at <= now) else {
                continue;
            };
            due.push(SystemGossip {
                round: say.round,
                tx: item.bytes.clone(),
            });
            let wait = SAY_AGAIN_MS.saturating_mul(1 << say.round.min(16));
            say.at = now.saturating_add(wait.min(SAY_LATEST_MS));
            say.round = say.round.saturating_add(1);
        }
        due
    }

    /// When something is to be gossiped next.
    pub fn next_wake(&self) -> Option<Millis> {
        let says = self.items.values().filter_map(|item| item.say);
        says.map(|say| say.at).min()
    }

    /// What waits, oldest first, with its encoding.
    pub fn in_order(&self) -> impl Iterator<Item = (Digest, &SystemTx, &[u8])> {
        self.by_order.values().filter_map(|id| {
            let item = self.items.get(id)?;
            Some((*id, &item.tx, item.bytes.as_slice()))
        })
    }

    /// Up to `most` of those that were not checked against the state at `height` or later, the least recently
    /// checked first.
    pub fn stale(&self, height: Height, most: usize) -> Vec<Digest> {
        let mut stale: Vec<(Height, u64, Digest)> = self
            .items
            .iter()
            .filter(|(_, item)| item.checked < height)
            .map(|(id, item)| (item.checked, item.order, *id))
            .collect();
        stale.sort_unstable();
        stale.truncate(most);
        stale.into_iter().map(|(_, _, id)| id).collect()
    }

    /// A transaction that waits.
    pub fn get(&self, id: &Digest) -> Option<&SystemTx> {
        self.items.get(id).map(|item| &item.tx)
    }

    /// It holds on the state at `height` still.
    pub fn confirm(&mut self, id: &Digest, height: Height) {
        if let Some(item) = self.items.get_mut(id) {
            item.checked = height;
        }
    }

    /// Lets go of a transaction: committed, or no longer valid.
    pub fn remove(&mut self, id: &Digest) {
        let Some(item) = self.items.remove(id) else {
            return;
        };
        self.by_order.remove(&item.order);
        self.by_wish.remove(&item.wish);
        if let Ok((kind, _)) = place(&item.tx)
            && let Some(held) = self.held.get_mut(&kind)
        {
            held.items = held.items.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(item.bytes.len());
        }
    }

    fn held(&self, kind: Kind) -> Share {
        self.held
            .get(&kind)
            .copied()
            .unwrap_or(Share { items: 0, bytes: 0 })
    }
}

fn full(tx: &SystemTx, held: Share) -> SystemPoolError {
    SystemPoolError::Full {
        kind: tx.kind(),
        items: held.items,
        bytes: held.bytes,
    }
}

fn place(tx: &SystemTx) -> Result<(Kind, Wish), SystemPoolError> {
    Ok(match tx {
        SystemTx::Collateral(_) => (Kind::Collateral, Wish::Collateral(tx.id())),
        SystemTx::Propose(proposal) => (Kind::Propose, Wish::Propose(proposal.member)),
        SystemTx::Approve(approval) => (Kind::Approve, Wish::Approve(approval.member, approval.proposal)),
        SystemTx::Suspend(vote) => (Kind::Suspend, Wish::Suspend(vote.validator, vote.target)),
        SystemTx::Register(registration) => (Kind::Register, Wish::Register(registration.name.clone())),
        SystemTx::Leave(request) => (Kind::Leave, Wish::Leave(request.name.clone())),
        SystemTx::Convict(_) => (Kind::Convict, Wish::Convict(tx.id())),
        SystemTx::EndEpoch { .. } | SystemTx::Contribute(_) | SystemTx::CloseEpoch(_) => {
            return Err(SystemPoolError::NotOrdinary { kind: tx.kind() });
        }
    })
}

/// Whether `new` takes the place of `old`, which is of the same wish; `None` when it says nothing new.
fn tx_newer(new: &SystemTx, old: &SystemTx) -> Option<bool> {
    let order = match (new, old) {
        (SystemTx::Propose(new), SystemTx::Propose(old)) => new.sequence.cmp(&old.sequence),
        (SystemTx::Register(new), SystemTx::Register(old)) => {
            (new.height, new.policy_version).cmp(&(old.height, old.policy_version))
        }
        (SystemTx::Suspend(new), SystemTx::Suspend(old)) => new.epoch.cmp(&old.epoch),
        _ => std::cmp::Ordering::Equal,
    };
    match order {
        std::cmp::Ordering::Greater => Some(true),
        std::cmp::Ordering::Less => Some(false),
        std::cmp::Ordering::Equal => None,
    }
}

#[cfg(test)]
#[path = "system_pool_tests.rs"]
mod tests;
