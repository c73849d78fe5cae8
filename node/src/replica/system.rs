//! Transactions of the public lane that anyone may bring: taken in, passed on, put into blocks, let go of.
//!
//! What a block may carry is the ledger's to judge (`tacit_ledger::SystemRefusal`). Here is only what waits for a
//! block ([`SystemPool`](super::SystemPool)): checked against the state at the head when it comes, looked at again as
//! blocks pass, and checked once more, one upon the other, by the leader who proposes it.

use std::collections::BTreeSet;

use tacit_consensus::{Block, Digest, Millis};
use tacit_ledger::{PublicState, RegistrationError, SystemRefusal, SystemTx};

use super::{
    Effect, GossipVerdict, Refused, Replica, SystemSource,
    system_pool::{SystemPoolError, Taken},
};

/// Waiting transactions looked at again after each block: bounds what a full pool costs a block, and a whole pool is
/// gone through in some sixteen blocks.
const RECHECKED_PER_BLOCK: usize = 16;

impl Replica {
    /// A transaction from a client or a peer.
    pub(super) fn take_system(&mut self, now: Millis, source: SystemSource, tx: SystemTx) {
        match source {
            SystemSource::Client { reply } => {
                let result = self.bring_system(now, tx);
                self.out.push(Effect::SystemTaken { reply, result });
            }
            SystemSource::Gossip { token } => {
                let verdict = match self.admit_system(now, tx) {
                    Ok(_) => GossipVerdict::Accept,
                    Err(refusal) => refusal.verdict(),
                };
                self.out.push(Effect::GossipVerdict { token, verdict });
            }
        }
    }

    /// A transaction of a client, or of this node itself: held, and gossiped while it waits.
    pub(super) fn bring_system(&mut self, now: Millis, tx: SystemTx) -> Result<Digest, Refused> {
        match self.admit_system(now, tx) {
            Ok(Admitted::Known(id)) => Ok(id),
            Ok(Admitted::New(id)) => {
                self.system.say_again(&id, now);
                self.say_system(now);
                Ok(id)
            }
            Err(refusal) => Err(refusal.refused()),
        }
    }

    /// Gossips what this node's clients brought, at first and until it is committed: a node that was a block behind, or
    /// was not connected, hears it then.
    pub(super) fn say_system(&mut self, now: Millis) {
        let due = self.system.due(now);
        self.out.extend(due.into_iter().map(Effect::PublishSystem));
    }

    /// Holds a transaction if the next block could carry it.
    fn admit_system(&mut self, now: Millis, tx: SystemTx) -> Result<Admitted, Inadmissible> {
        let id = tx.id();
        if self.system.contains(&id) || self.log().system(&id).ok().flatten().is_some() {
            return Ok(Admitted::Known(id));
        }
        if let Some(held) = self.system.look(&tx)? {
            return Ok(Admitted::Known(held));
        }
        self.public.check_ordinary(&tx, self.next_time(now))?;
        let bytes = tx.encode();
        let (id, taken) = self.system.insert(tx, bytes, self.head.height)?;
        match taken {
            Taken::Held(held) => return Ok(Admitted::Known(held)),
            Taken::New { replaced: Some(old) } => self.out.push(Effect::SystemDropped {
                id: old,
                refused: Refused::new(
                    "system.replaced",
                    format!("{id} by the same author took its place"),
                ),
            }),
            Taken::New { replaced: None } => {}
        }
        Ok(Admitted::New(id))
    }

    /// The waiting transactions that a block of `time_ms` on `state` may carry, oldest first, each on what the ones
    /// before it leave. One that does not fit in now waits on: `state` is not final.
    pub(super) fn select_system(
        &self,
        state: &PublicState,
        parent: &Digest,
        time_ms: Millis,
    ) -> Vec<Vec<u8>> {
        if self.system.is_empty() {
            return Vec::new();
        }
        let taken: BTreeSet<Digest> = self
            .unexecuted(parent)
            .into_iter()
            .flat_map(|block| ordinary(block).into_iter().map(|(id, _)| id))
            .collect();
        let (candidates, encoded): (Vec<&SystemTx>, Vec<&[u8]>) = self
            .system
            .in_order()
            .filter(|(id, ..)| !taken.contains(id))
            .map(|(_, tx, encoded)| (tx, encoded))
            .unzip();
        let verdicts = state.select(candidates, time_ms);
        let good = verdicts
            .iter()
            .zip(encoded)
            .filter(|(verdict, _)| verdict.is_ok());
        good.map(|(_, encoded)| encoded.to_vec()).collect()
    }

    /// A block is final: what it carries waits no longer, and some of the rest is looked at again.
    pub(super) fn settle_system(&mut self, now: Millis, committed: &[Digest]) {
        for id in committed {
            self.system.remove(id);
        }
        let (height, time_ms) = (self.head.height, self.next_time(now));
        for id in self.system.stale(height, RECHECKED_PER_BLOCK) {
            let Some(tx) = self.system.get(&id) else { continue };
            match self.public.check_ordinary(tx, time_ms) {
                // While an epoch ends nothing is let in, and nothing is wrong with what waits.
                Ok(()) | Err(SystemRefusal::Ending) => self.system.confirm(&id, height),
                Err(refusal) => {
                    self.system.remove(&id);
                    self.out.push(Effect::SystemDropped {
                        id,
                        refused: Refused::new(refusal.code(), refusal.to_string()),
                    });
                }
            }
        }
    }

    /// The time of a block that would be made now.
    fn next_time(&self, now: Millis) -> Millis {
        now.max(self.head.time_ms.saturating_add(1))
    }
}

/// The ordinary transactions of a block, in order.
pub(crate) fn ordinary(block: &Block) -> Vec<(Digest, SystemTx)> {
    block
        .payload
        .system
        .iter()
        .filter_map(|bytes| SystemTx::decode_ordinary(bytes).ok())
        .filter(SystemTx::is_ordinary)
        .map(|tx| (tx.id(), tx))
        .collect()
}

/// A transaction that waits here now, or needs not.
enum Admitted {
    /// It is committed, or the same wish waits already, under this id: another signature under the same words is the
    /// same wish.
    Known(Digest),
    /// It is news.
    New(Digest),
}

/// Why a transaction does not wait here.
enum Inadmissible {
    Ledger(SystemRefusal),
    Pool(SystemPoolError),
}

impl Inadmissible {
    fn refused(self) -> Refused {
        match self {
            Self::Ledger(refusal) => Refused::new(refusal.code(), refusal.to_string()),
            Self::Pool(error) => Refused::new(error.code(), error.to_string()),
        }
    }

    /// What no state would admit is its sender's fault; the rest may be right a block earlier or later, or elsewhere.
    fn verdict(&self) -> GossipVerdict {
        use SystemRefusal as R;
        match self {
            Self::Ledger(
                R::NotOrdinary { .. }
                | R::TooLarge { .. }
                | R::OtherChain { .. }
                | R::OtherNetwork { .. }
                | R::NotAMember { .. }
                | R::MemberSignature { .. }
                | R::VoteSignature { .. }
                | R::LeaveSignature { .. }
                | R::Proof(_),
            )
            | Self::Pool(SystemPoolError::NotOrdinary { .. }) => GossipVerdict::Reject,
            // Evidence is judged by policy and collateral, which move on; signatures are not.
            Self::Ledger(R::Registration(error)) if !matches!(error, RegistrationError::Evidence(_)) => {
                GossipVerdict::Reject
            }
            Self::Ledger(_) | Self::Pool(_) => GossipVerdict::Ignore,
        }
    }
}

impl From<SystemRefusal> for Inadmissible {
    fn from(refusal: SystemRefusal) -> Self {
        Self::Ledger(refusal)
    }
}

impl From<SystemPoolError> for Inadmissible {
    fn from(error: SystemPoolError) -> Self {
        Self::Pool(error)
    }
}
