//! One record for each transition of a core: what came in, what was made durable, what was said, and where the
//! core stood afterwards. For checkers that know the protocol and not this code.
//!
//! ```text
//!   Input ----> Cause ---------\
//!   Vec<Effect> --------------- Transition ----> a checker, or a line of a file
//!   Core, afterwards ----------/
//! ```
//! The host makes them, since only it knows which effects it carried out before a crash; a host that does not
//! trace does none of this. Everything is plain data in terms of `docs/protocol.md`: signatures are left out
//! (a checker that sees the traces of all honest validators knows what each of them said), as are payloads.

use crate::block::{Anchor, Block};
use crate::certificate::{Certificate, CommitProof, TimeoutCertificate};
use crate::committee::Committee;
use crate::core::Core;
use crate::effect::Effect;
use crate::error::{CertificateError, Refusal};
use crate::evidence::EquivocationProof;
use crate::input::Input;
use crate::message::Message;
use crate::pacemaker::Config;
use crate::safety::SafetyRecord;
use crate::types::{Digest, Epoch, Height, Millis, View};
use crate::vote::{Phase, Vote};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Takes transitions in, in their order. Must not block for long: it is called within a step of the host.
pub trait Tracer: Send {
    /// One more.
    fn note(&mut self, transition: Transition);
}

macro_rules! facts {
    ($(#[$meta:meta])* $kind:ident $name:ident $body:tt) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
        #[allow(clippy::large_enum_variant)] // Made one at a time, where somebody traces.
        pub $kind $name $body
    };
}

facts! {
    /// A certificate of either phase.
    struct Quorum {
        /// The block's view; 0 for the anchor alone.
        pub view: View,
        /// Its height.
        pub height: Height,
        /// Its id.
        pub block: Digest,
        /// False: of first votes. True: of finalize votes.
        pub finalize: bool,
        /// Who signed.
        pub signers: Vec<u16>,
    }
}

facts! {
    /// A timeout certificate.
    struct GivenUp {
        /// The view given up.
        pub view: View,
        /// Who gave it up, and the view of the highest certificate that each reports.
        pub reports: Vec<(u16, View)>,
    }
}

facts! {
    /// A block without its payload.
    struct BlockFacts {
        /// Its id.
        pub id: Digest,
        /// The chain that it names.
        pub chain: Digest,
        /// Its epoch.
        pub epoch: Epoch,
        /// Its parent's id.
        pub parent: Digest,
        /// Its height.
        pub height: Height,
        /// Its view.
        pub view: View,
        /// Its time.
        pub time_ms: Millis,
        /// Height of the executed state that it states.
        pub executed_height: Height,
        /// The hash of that whole statement.
        pub executed: Digest,
        /// Whether it closes the epoch.
        pub closes: bool,
        /// Whether its payload is empty.
        pub empty: bool,
        /// Whether its payload is the one that its header names.
        pub payload_fits: bool,
        /// The parent's certificate.
        pub justify: Quorum,
        /// Why its parent's view is not the one before.
        pub timeout: Option<GivenUp>,
        /// The finalize certificate that it carries.
        pub commit: Option<Quorum>,
    }
}

facts! {
    /// A consensus message.
    enum Statement {
        /// A leader's block.
        Proposal(BlockFacts),
        /// A vote.
        Vote {
            /// The epoch.
            epoch: Epoch,
            /// False: the first vote. True: the second.
            finalize: bool,
            /// The view.
            view: View,
            /// The block's height.
            height: Height,
            /// The block.
            block: Digest,
            /// Who voted.
            voter: u16,
        },
        /// A view given up.
        Timeout {
            /// The epoch.
            epoch: Epoch,
            /// The view.
            view: View,
            /// The sender's highest certificate.
            high: Quorum,
            /// The sender.
            voter: u16,
        },
        /// Help for one who is behind.
        Help {
            /// The epoch.
            epoch: Epoch,
            /// The sender's highest certificate, or the commit certificate that ended the epoch.
            certificate: Quorum,
            /// Its highest timeout certificate.
            timeout: Option<GivenUp>,
        },
        /// A block is asked for.
        Request(Digest),
        /// The answer.
        Response(BlockFacts),
    }
}

facts! {
    /// A safety record. View 0 stands for "none yet".
    struct Record {
        /// The views last proposed in, voted in, finalized and given up.
        pub proposed: View,
        /// See `proposed`.
        pub voted: View,
        /// See `proposed`.
        pub finalized: View,
        /// See `proposed`.
        pub given_up: View,
        /// No timeout may report less.
        pub floor: View,
        /// The lock.
        pub high: Quorum,
        /// The highest timeout certificate.
        pub timeout: Option<GivenUp>,
        /// The last proposal.
        pub proposal: Option<Digest>,
        /// The last first vote.
        pub vote: Option<(View, Digest)>,
        /// The last finalize vote.
        pub finalize: Option<(View, Digest)>,
        /// The last timeout, with the view of the certificate that it reports.
        pub last_timeout: Option<(View, View)>,
    }
}

facts! {
    /// What an epoch is run by.
    struct Terms {
        /// The chain.
        pub chain: Digest,
        /// The epoch.
        pub epoch: Epoch,
        /// Number of validators.
        pub n: u16,
        /// The block that the epoch grows from.
        pub anchor: Digest,
        /// Its height.
        pub anchor_height: Height,
        /// Its time.
        pub anchor_time_ms: Millis,
        /// Height of the executed state that it states.
        pub executed_height: Height,
        /// The hash of that statement.
        pub executed: Digest,
        /// The least that a view's timeout may be, milliseconds.
        pub min_timeout_ms: Millis,
    }
}

facts! {
    /// What moved a core.
    enum Cause {
        /// It started.
        Started {
            /// The epoch's terms.
            terms: Terms,
            /// The record that it started from, if it is of this epoch.
            record: Option<Record>,
            /// The newest committed block of this epoch, and what proves it final.
            committed: Option<(BlockFacts, Quorum)>,
            /// The stored blocks above.
            uncommitted: Vec<BlockFacts>,
            /// Views of the committed blocks that it was told of, oldest first.
            history: Vec<View>,
        },
        /// A message came.
        Heard(Statement),
        /// Time went on.
        Tick,
        /// There is work, or no longer.
        Work(bool),
        /// The application answered with content, or declined.
        Built {
            /// The view asked for.
            view: View,
            /// The parent asked for.
            parent: Digest,
            /// Whether there was content.
            content: bool,
        },
        /// The application judged a block.
        Validated {
            /// The block.
            block: Digest,
            /// How.
            accepted: bool,
        },
        /// The application brought itself forward.
        Synced {
            /// The newest applied block.
            block: BlockFacts,
            /// What proves it final.
            proof: Quorum,
        },
        /// The host could not make the newest record durable and stopped: nothing of that transition left.
        Lost,
    }
}

facts! {
    /// Where a core stands after a transition.
    struct Stand {
        /// The view.
        pub view: View,
        /// View of the lock.
        pub high_view: View,
        /// The certified block.
        pub high: Digest,
        /// The newest committed block.
        pub committed: Digest,
        /// Its height.
        pub committed_height: Height,
    }
}

facts! {
    /// One transition.
    struct Transition {
        /// The validator; none in an observer.
        pub me: Option<u16>,
        /// The epoch, in which that is its number.
        pub epoch: Epoch,
        /// When, on this validator's clock.
        pub now: Millis,
        /// What moved it.
        pub cause: Cause,
        /// Blocks stored with the record.
        pub stored: Vec<Digest>,
        /// What was made durable before anything was said.
        pub persisted: Option<Record>,
        /// What was said then, in order; to one validator or to all.
        pub said: Vec<Statement>,
        /// Heights and ids that became final.
        pub committed: Vec<(Height, Digest)>,
        /// Validators for whose fault there is a proof.
        pub blamed: Vec<u16>,
        /// Whether the input, or a part of it, was refused for what a trace does not tell: a wrong signature, or a certificate
        /// of another epoch or with another number of signatures than signers.
        pub forged: bool,
        /// Other refusals, in words.
        pub refused: Vec<String>,
        /// True where a crash came before all effects were carried out: what is listed here is what was.
        pub cut: bool,
        /// Where it stands then.
        pub stand: Stand,
    }
}

impl From<&Certificate> for Quorum {
    fn from(certificate: &Certificate) -> Self {
        Self {
            view: certificate.view,
            height: certificate.height,
            block: certificate.block,
            finalize: certificate.phase == Phase::Finalize,
            signers: certificate.signers.iter().collect(),
        }
    }
}

impl From<&TimeoutCertificate> for GivenUp {
    fn from(tc: &TimeoutCertificate) -> Self {
        let reports = tc.entries.iter().map(|entry| (entry.voter, entry.high_view));
        Self {
            view: tc.view,
            reports: reports.collect(),
        }
    }
}

impl From<&Block> for BlockFacts {
    fn from(block: &Block) -> Self {
        let header = &block.header;
        Self {
            id: block.id(),
            chain: header.chain,
            epoch: header.epoch,
            parent: header.parent,
            height: header.height,
            view: header.view,
            time_ms: header.time_ms,
            executed_height: header.executed.height,
            executed: header.executed.digest(),
            closes: header.next_epoch.is_some(),
            empty: block.payload.is_empty(),
            payload_fits: block.payload.root() == header.payload_root,
            justify: (&block.justify).into(),
            timeout: block.timeout.as_ref().map(Into::into),
            commit: block.commit.as_ref().map(Into::into),
        }
    }
}

impl From<&Vote> for Statement {
    fn from(vote: &Vote) -> Self {
        Self::Vote {
            epoch: vote.epoch,
            finalize: vote.phase == Phase::Finalize,
            view: vote.view,
            height: vote.height,
            block: vote.block,
            voter: vote.voter,
        }
    }
}

impl From<&Message> for Statement {
    fn from(message: &Message) -> Self {
        match message {
            Message::Proposal(block) => Self::Proposal((&**block).into()),
            Message::Vote(vote) => vote.into(),
            Message::Timeout(timeout) => Self::Timeout {
                epoch: timeout.epoch,
                view: timeout.view,
                high: (&timeout.high).into(),
                voter: timeout.voter,
            },
            Message::Certificate(help) => Self::Help {
                epoch: help.0.epoch,
                certificate: (&help.0).into(),
                timeout: help.1.as_ref().map(Into::into),
            },
            Message::BlockRequest(id) => Self::Request(*id),
            Message::BlockResponse(block) => Self::Response((&**block).into()),
        }
    }
}

impl From<&SafetyRecord> for Record {
    fn from(record: &SafetyRecord) -> Self {
        record.facts()
    }
}

impl Cause {
    /// What [`Core::step`] is about to be given.
    pub fn of(input: &Input) -> Self {
        match input {
            Input::Message { message, .. } => Self::Heard(message.into()),
            Input::Tick => Self::Tick,
            Input::Work(work) => Self::Work(*work),
            Input::Built {
                view,
                parent,
                content,
            } => Self::Built {
                view: *view,
                parent: *parent,
                content: content.is_some(),
            },
            Input::Validated { block, accepted } => Self::Validated {
                block: *block,
                accepted: *accepted,
            },
            Input::Synced { block, proof } => Self::Synced {
                block: (&**block).into(),
                proof: (&proof.certificate).into(),
            },
        }
    }

    /// What [`Core::new`] is about to be given.
    pub fn started(
        config: &Config,
        chain: Digest,
        committee: &Committee,
        anchor: &Anchor,
        record: Option<&SafetyRecord>,
        committed: Option<&(Block, CommitProof)>,
        uncommitted: &[Block],
    ) -> Self {
        let current = |block: &Block| block.header.epoch == committee.epoch;
        Self::Started {
            terms: Terms {
                chain,
                epoch: committee.epoch,
                n: u16::try_from(committee.n()).unwrap_or(u16::MAX),
                anchor: anchor.block,
                anchor_height: anchor.height,
                anchor_time_ms: anchor.time_ms,
                executed_height: anchor.executed.height,
                executed: anchor.executed.digest(),
                min_timeout_ms: config.min_timeout_ms,
            },
            record: record
                .filter(|record| record.epoch() == committee.epoch)
                .map(Into::into),
            committed: committed
                .filter(|(block, _)| current(block))
                .map(|(block, proof)| (block.into(), (&proof.certificate).into())),
            uncommitted: uncommitted
                .iter()
                .filter(|block| current(block))
                .map(Into::into)
                .collect(),
            history: Vec::new(),
        }
    }

    /// And what [`Core::recall`] is told after it.
    pub fn recalling(mut self, views: &[View]) -> Self {
        if let Self::Started { history, .. } = &mut self {
            *history = views.to_vec();
        }
        self
    }
}

impl Transition {
    /// The transition that `cause` was, in a core that now is `core`, as far as the host carried it out: `effects`
    /// are those, and `cut` says that there were more.
    pub fn new(core: &Core, now: Millis, cause: Cause, effects: &[Effect], cut: bool) -> Self {
        let status = core.status();
        let mut transition = Self {
            me: core.me(),
            epoch: status.epoch,
            now,
            cause,
            stored: Vec::new(),
            persisted: None,
            said: Vec::new(),
            committed: Vec::new(),
            blamed: Vec::new(),
            forged: false,
            refused: Vec::new(),
            cut,
            stand: Stand {
                view: status.view,
                high_view: status.high_view,
                high: core.high().block,
                committed: status.committed,
                committed_height: status.committed_height,
            },
        };
        for effect in effects {
            transition.carry(core, effect);
        }
        transition
    }

    /// The host of `core` could not make its newest record durable.
    pub fn lost(core: &Core, now: Millis) -> Self {
        Self::new(core, now, Cause::Lost, &[], false)
    }

    fn carry(&mut self, core: &Core, effect: &Effect) {
        match effect {
            Effect::StoreBlock(block) => self.stored.push(block.id()),
            Effect::Persist(record) => self.persisted = Some(record.into()),
            Effect::Broadcast(message) | Effect::Send { message, .. } => self.said.push(message.into()),
            Effect::Commit { block, .. } => self.committed.push((block.header.height, block.id())),
            Effect::Equivocation(proof) => self.blamed.push(match proof {
                EquivocationProof::Proposals { first, .. } => core.committee().leader(first.header.view),
                EquivocationProof::Votes { first, .. } => first.voter,
                EquivocationProof::FinalizeAndTimeout { finalize, .. } => finalize.voter,
            }),
            Effect::Refused { reason, .. } => {
                self.forged |= matches!(
                    reason,
                    Refusal::Signature(_)
                        | Refusal::Certificate(
                            CertificateError::Signature { .. }
                                | CertificateError::Epoch { .. }
                                | CertificateError::Signers { .. }
                        )
                );
                self.refused.push(reason.to_string());
            }
            Effect::WakeAt(_) | Effect::Build { .. } | Effect::Validate(_) | Effect::Behind { .. } => {}
        }
    }
}
