//! Probation: a validator's process begins without a core. It follows, asks the other seats what they saw it sign, and
//! signs nothing, nor answers private questions, before enough of them have answered and its own head is where theirs was.
//!
//! ```text
//!   open ──▶ ask every other seat ──▶ n - f - 1 answers of this epoch, none ahead of the head ──▶ record durable ──▶ core
//!              ▲        │ ahead: sync                                │
//!              └────────┘                                            └─ later epochs of this process: no questions
//! ```
//!
//! What the answers are worth is `tacit_consensus::Probation`'s to judge; the argument is in `docs/protocol.md`, under Restart.

use std::collections::BTreeMap;

use tacit_consensus::{
    Anchor, Block, CommitProof, Epoch, Found, Height, Millis, Probation, SafetyRecord, Standing, View,
};

use super::{Effect, NodeKey, Offence, Refused, Replica};
use crate::wire::{FetchRequest, FetchResponse, StandingAnswer};

/// How long before a seat is asked again that has not answered, or was behind, in milliseconds.
const ASK_AGAIN_MS: Millis = 300;
/// How long the rest is waited for once enough have answered, in milliseconds: more answers show more, and what an
/// earlier life sent last arrives meanwhile.
const GRACE_MS: Millis = 250;
/// Questions under way at once to who is not connected: the network layer bounds all fetches of a node together.
const MAX_INFLIGHT: usize = 16;

/// Whether this process may sign.
pub(super) enum Stand {
    /// It may not yet.
    Unsettled(Option<Box<Asking>>),
    /// It may. The answers proved the views up to this one of this epoch to be over when they were given.
    Settled {
        /// The epoch in which the questions were asked.
        epoch: Epoch,
        /// See above.
        proven: View,
    },
}

/// The questions of one epoch.
pub(super) struct Asking {
    probation: Probation,
    /// The heads of those who answered.
    answered: BTreeMap<u16, Height>,
    inflight: BTreeMap<u64, u16>,
    ask_at: Millis,
    enough_since: Option<Millis>,
}

/// What an operator is told of a validator on probation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbationStatus {
    /// Others whose answers count so far.
    pub answers: usize,
    /// How many are needed.
    pub needed: usize,
}

/// This process began from a disk that did not know what its validator had signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    /// The epoch.
    pub epoch: Epoch,
    /// The highest view in which the disk knew of a statement.
    pub knew: View,
    /// The highest view in which others hold one.
    pub shown: View,
    /// It signs nothing up to this view.
    pub silent_through: View,
}

impl Stand {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Settled { .. })
    }

    fn asking(&self) -> Option<&Asking> {
        match self {
            Self::Unsettled(asking) => asking.as_deref(),
            Self::Settled { .. } => None,
        }
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        match self {
            Self::Unsettled(asking) => asking.as_deref_mut(),
            Self::Settled { .. } => None,
        }
    }

    pub(super) fn next_wake(&self) -> Option<Millis> {
        let asking = self.asking()?;
        let grace = asking.enough_since.map(|since| since.saturating_add(GRACE_MS));
        Some(grace.map_or(asking.ask_at, |grace| grace.min(asking.ask_at)))
    }

    /// Whether this is a question of ours.
    pub(super) fn is(&self, request: u64) -> bool {
        self.asking()
            .is_some_and(|asking| asking.inflight.contains_key(&request))
    }

    /// An epoch has ended with a block of this view: questions about it are void. If that view was over before they were
    /// answered, an earlier life may have been in the epoch that begins, and that is asked about anew.
    pub(super) fn epoch_ended(&mut self, ended: Epoch, closing: View) {
        match *self {
            Self::Settled { epoch, proven } if epoch != ended || closing > proven => {}
            _ => *self = Self::Unsettled(None),
        }
    }
}

impl Asking {
    /// Others of this epoch that answered, and whose head this node has reached.
    fn counting(&self, head: Height) -> usize {
        self.answered.values().filter(|height| **height <= head).count()
    }
}

impl Replica {
    /// Where this validator stands on probation; `None` once it may sign, and for one that has nothing to sign.
    pub fn probation(&self) -> Option<ProbationStatus> {
        let asking = self.stand.asking()?;
        Some(ProbationStatus {
            answers: asking.counting(self.head.height),
            needed: asking.probation.needed(),
        })
    }

    /// Whether this process began from a disk that had been set back.
    pub fn rolled_back(&self) -> Option<RolledBack> {
        self.rolled_back
    }

    /// Begins to ask, in the epoch of `anchor`, with what the disk holds.
    pub(super) fn begin_probation(
        &mut self,
        now: Millis,
        anchor: &Anchor,
        record: Option<SafetyRecord>,
        committed: Option<&(Block, CommitProof)>,
        uncommitted: &[Block],
    ) {
        let Some(key) = self.validator.as_ref().map(|parts| parts.signer.public()) else {
            return;
        };
        let (committee, scheme) = (self.committee.clone(), self.scheme.clone());
        let Some(mut probation) = Probation::new(self.chain, committee, &key, scheme, anchor, record) else {
            return;
        };
        if let Some((block, proof)) = committed {
            probation.note(block, Some(proof));
        }
        uncommitted.iter().for_each(|block| probation.note(block, None));
        if probation.needed() > 0 {
            tracing::info!(
                epoch = self.record.epoch,
                height = self.head.height,
                needed = probation.needed(),
                "this validator has just started: it asks the others what they saw it sign"
            );
        }
        self.stand = Stand::Unsettled(Some(Box::new(Asking {
            probation,
            answered: BTreeMap::new(),
            inflight: BTreeMap::new(),
            ask_at: now,
            enough_since: None,
        })));
        self.ask_standing(now);
    }

    /// Asks the seats that have neither answered nor are being asked; of those that are not connected only some, as a question to
    /// them may wait long for its failure.
    fn ask_standing(&mut self, now: Millis) {
        let Some(asking) = self.stand.asking_mut() else {
            return;
        };
        asking.ask_at = now.saturating_add(ASK_AGAIN_MS);
        let me = asking.probation.me();
        for (seat, validator) in (0u16..).zip(&self.record.validators) {
            let known =
                asking.answered.contains_key(&seat) || asking.inflight.values().any(|one| *one == seat);
            if seat == me || known || asking.inflight.len() >= MAX_INFLIGHT {
                continue;
            }
            let request = self.sync.number();
            asking.inflight.insert(request, seat);
            self.out.push(Effect::Request {
                request,
                to: validator.node_key.0,
                what: FetchRequest::Standing,
            });
        }
    }

    /// A peer is connected: it is asked at once.
    pub(super) fn standing_on_connect(&mut self, now: Millis, peer: &NodeKey) {
        if self.index_of.contains_key(peer) {
            self.ask_standing(now);
        }
    }

    pub(super) fn standing_tick(&mut self, now: Millis) {
        if self.stand.asking().is_some_and(|asking| asking.ask_at <= now) {
            self.ask_standing(now);
        }
    }

    /// The answer to [`FetchRequest::Standing`].
    pub(super) fn took_standing(
        &mut self,
        now: Millis,
        request: u64,
        from: NodeKey,
        response: Option<FetchResponse>,
    ) {
        let head = self.head.height;
        let Some(asking) = self.stand.asking_mut() else {
            return;
        };
        let Some(seat) = asking.inflight.remove(&request) else {
            return;
        };
        let StandingAnswer {
            epoch,
            height,
            standing,
        } = match response {
            Some(FetchResponse::Standing(answer)) => *answer,
            Some(_) => return self.blame(from),
            None => return,
        };
        if epoch == self.record.epoch {
            let Some(standing) = standing else {
                return self.blame(from);
            };
            if let Err(error) = asking.probation.answer(seat, standing) {
                tracing::warn!(seat, %error, code = "standing.refused", "a validator's answer to a start is refused");
                return self.blame(from);
            }
            asking.answered.insert(seat, height);
        }
        if epoch > self.record.epoch || height > head {
            self.sync_hint(now, from, height.max(head.saturating_add(1)));
        }
    }

    fn blame(&mut self, peer: NodeKey) {
        self.out.push(Effect::Penalise {
            peer,
            offence: Offence::Invalid,
        });
    }

    /// A final block came while this validator is on probation: it may hold statements of its own.
    pub(super) fn standing_note(&mut self, block: &Block, proof: &CommitProof) {
        if let Some(asking) = self.stand.asking_mut() {
            asking.probation.note(block, Some(proof));
        }
    }

    /// Ends the probation, once enough others have answered, all have or the rest had its time.
    pub(super) fn settle_standing(&mut self, now: Millis) {
        let head = self.head.height;
        let Some(asking) = self.stand.asking_mut() else {
            return;
        };
        let counting = asking.counting(head);
        if counting < asking.probation.needed() {
            asking.enough_since = None;
            return;
        }
        let since = *asking.enough_since.get_or_insert(now);
        if counting < asking.probation.others() && now < since.saturating_add(GRACE_MS) {
            return;
        }
        let (found, proven) = (asking.probation.find(), asking.probation.proven());
        self.report_found(&found);
        self.unstored.put_safety(found.record());
        if !self.make_durable(now) {
            return;
        }
        self.stand = Stand::Settled {
            epoch: self.record.epoch,
            proven,
        };
        if let Err(error) = self.resume_core(now) {
            self.halt(error);
        }
    }

    fn report_found(&mut self, found: &Found) {
        let epoch = self.record.epoch;
        match *found {
            Found::Covered(_) => {
                tracing::info!(
                    epoch,
                    "the others saw nothing signed that this disk does not know: it goes on"
                );
            }
            Found::RolledBack {
                knew,
                shown,
                silent_through,
                ..
            } => {
                self.rolled_back = Some(RolledBack {
                    epoch,
                    knew,
                    shown,
                    silent_through,
                });
                tracing::error!(
                    epoch,
                    code = "safety.rolled_back",
                    knew,
                    shown,
                    silent_through,
                    "others hold statements of this validator that its disk does not know: the disk was set back, or \
                     another process signs with its keys. It signs nothing up to the view named, then goes on. Find out \
                     who restored the disk; never run two processes with one identity"
                );
            }
        }
    }

    /// What this node tells a peer that has just started.
    pub(super) fn tell_standing(&self, from: &NodeKey) -> StandingAnswer {
        let seat = self.index_of.get(from).copied();
        let standing = seat.map(|seat| match &self.core {
            Some(core) => core.standing(seat),
            None => self.standing_at_rest(seat),
        });
        StandingAnswer {
            epoch: self.record.epoch,
            height: self.head.height,
            standing,
        }
    }

    /// Without a core: what the record on the disk and the head tell.
    fn standing_at_rest(&self, seat: u16) -> Standing {
        let record = self.log().safety().ok().flatten();
        let committed = self.head.certificate.as_ref();
        Standing::at_rest(&self.anchor, record.as_ref(), committed, seat)
    }

    /// Why this node answers no private question yet, if it does not.
    pub(super) fn unsettled(&self) -> Result<(), Refused> {
        match (&self.stand, self.me) {
            (Stand::Unsettled(asking), Some(_)) => {
                let (answers, needed) = asking
                    .as_ref()
                    .map_or((0, self.committee.quorum().saturating_sub(1)), |asking| {
                        (asking.counting(self.head.height), asking.probation.needed())
                    });
                Err(Refused::new(
                    "node.probation",
                    format!(
                        "this validator has just started; {answers} of {needed} others have told it how far the chain is"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}
