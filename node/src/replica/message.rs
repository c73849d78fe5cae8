//! What goes into the replica and what comes out of it.

use std::sync::Arc;

use tacit_consensus::{Digest, Epoch, Height, View};
use tacit_ledger::{
    Answer, Batch, Envelope, EpochRecord, OpenedEnvelope, Query, SealingPublic, SealingSecret, SystemTx,
};

use super::{LoadJob, Loaded};
use crate::wire::{Announcement, Direct, FetchRequest, FetchResponse, Hello, SystemGossip};

/// A node's libp2p identity, as its registration names it.
pub type NodeKey = [u8; 32];

/// Everything that can happen to a replica. Time comes beside it, as an argument of `step`.
pub enum Input {
    /// A moment that the replica asked for, or any other, has come.
    Tick,
    /// A peer is connected and can be asked.
    Connected(NodeKey),
    /// A peer is gone.
    Disconnected(NodeKey),
    /// A direct message.
    Direct {
        /// Who sent it.
        from: NodeKey,
        /// What it says.
        direct: Direct,
    },
    /// A gossiped batch; answered by [`Effect::GossipVerdict`] with the same token.
    Batch {
        /// The edge's name for this piece of gossip.
        token: u64,
        /// The batch, not yet verified.
        batch: Box<Batch>,
    },
    /// A gossiped announcement.
    Announced {
        /// Who forwarded it to us.
        from: NodeKey,
        /// What it says.
        announcement: Announcement,
    },
    /// The answer, or the failure, of an [`Effect::Request`].
    Fetched {
        /// The request's number.
        request: u64,
        /// Who was asked.
        from: NodeKey,
        /// What came; `None` when nothing did.
        response: Option<FetchResponse>,
    },
    /// Someone asks for batches; answered by [`Effect::Serve`].
    WantBatches {
        /// The edge's number for the question.
        reply: u64,
        /// Which ones.
        digests: Vec<Digest>,
    },
    /// A peer asks what only the replica knows; answered by [`Effect::Answer`].
    Asked {
        /// The edge's number for the question.
        reply: u64,
        /// Who asks.
        from: NodeKey,
        /// What.
        question: Question,
    },
    /// A client's envelope that the edge opened; answered by [`Effect::Submitted`].
    Submit {
        /// The edge's number for the question.
        reply: u64,
        /// The envelope.
        envelope: Box<Envelope>,
        /// The same, opened.
        opened: Arc<OpenedEnvelope>,
    },
    /// A transaction of the public lane, decoded within its bound; answered by [`Effect::SystemTaken`] or
    /// [`Effect::GossipVerdict`].
    System {
        /// Who brought it.
        source: SystemSource,
        /// The transaction, not checked yet.
        tx: Box<SystemTx>,
    },
    /// Envelopes of a batch that the edge opened, as a hint: what is missing is opened on execution.
    Opened {
        /// The epoch whose key was used.
        epoch: Epoch,
        /// The opened ones; those that do not open are left out.
        envelopes: Vec<Arc<OpenedEnvelope>>,
        /// How many did not open.
        failed: u32,
    },
    /// A private read that the edge opened and whose signature it checked.
    Query {
        /// The edge's number for the question.
        reply: u64,
        /// The query.
        query: Box<Query>,
    },
    /// What an [`Effect::Load`] came to.
    Loaded(Box<Loaded>),
    /// This validator is to attest again, and needs the KEM key for it; answered by [`Effect::KemKey`].
    WantKem {
        /// The edge's number for the question.
        reply: u64,
    },
    /// A validator has lost the secret of an epoch; answered by [`Effect::ServeShare`].
    WantShare {
        /// The edge's number for the question.
        reply: u64,
        /// Who asks.
        from: NodeKey,
        /// The epoch.
        epoch: Epoch,
    },
}

/// What a peer asks that only the replica knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// [`FetchRequest::Standing`].
    Standing,
    /// [`FetchRequest::Hello`].
    Hello(Hello),
}

/// Who brings a transaction of the public lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemSource {
    /// A client of this node, or of an observer that asks on its behalf.
    Client {
        /// The edge's number for the question.
        reply: u64,
    },
    /// A peer, by gossip.
    Gossip {
        /// The edge's name for this piece of gossip.
        token: u64,
    },
}

/// Everything that a replica wants done, in order. What must be durable already is.
pub enum Effect {
    /// Send to one validator.
    Send {
        /// The receiver.
        to: NodeKey,
        /// The message.
        direct: Direct,
    },
    /// Gossip a batch of our own.
    PublishBatch(Box<Batch>),
    /// Gossip a transaction of the public lane that a client brought.
    PublishSystem(SystemGossip),
    /// Gossip our committed height.
    Announce(Announcement),
    /// Ask one peer.
    Request {
        /// The number under which the answer comes back.
        request: u64,
        /// Whom to ask.
        to: NodeKey,
        /// What.
        what: FetchRequest,
    },
    /// The verdict on gossip.
    GossipVerdict {
        /// The edge's name for it.
        token: u64,
        /// What becomes of it.
        verdict: GossipVerdict,
    },
    /// The answer to [`Input::WantBatches`].
    Serve {
        /// The question's number.
        reply: u64,
        /// What we hold of it.
        batches: Vec<Batch>,
    },
    /// Please open these in parallel and come back with [`Input::Opened`].
    Open(Box<Batch>),
    /// The answer to [`Input::Submit`].
    Submitted {
        /// The question's number.
        reply: u64,
        /// Accepted, or the code and facts of the refusal.
        result: Result<Digest, Refused>,
    },
    /// The answer to [`Input::System`] from a client.
    SystemTaken {
        /// The question's number.
        reply: u64,
        /// The id under which it waits or is committed, or the code and facts of the refusal.
        result: Result<Digest, Refused>,
    },
    /// A transaction of the public lane that waited here does so no longer, and is not committed.
    SystemDropped {
        /// Its id.
        id: Digest,
        /// Why.
        refused: Refused,
    },
    /// The answer to [`Input::Query`].
    Answered {
        /// The question's number.
        reply: u64,
        /// The answer, or the code and facts of the refusal.
        result: Result<Box<Answer>, Refused>,
    },
    /// The answer to [`Input::WantKem`].
    KemKey {
        /// The question's number.
        reply: u64,
        /// A key to which no share was ever sealed, durable in the keyring; or why there is none.
        result: Result<SealingPublic, Refused>,
    },
    /// The answer to [`Input::WantShare`].
    ServeShare {
        /// The question's number.
        reply: u64,
        /// The secret, sealed to the attested key of the asker's seat, or the refusal.
        result: Result<Vec<u8>, Refused>,
    },
    /// A new epoch is in force.
    Epoch {
        /// Its record.
        record: Arc<EpochRecord>,
        /// The secret that opens its envelopes, when this node holds it.
        opener: Option<Arc<SealingSecret>>,
        /// The KEM key of this validator's seat, to which queries are sealed, when this node holds it.
        kem: Option<Arc<SealingSecret>>,
    },
    /// The secret of the epoch in force was lost, and is here again.
    Opener {
        /// The epoch.
        epoch: Epoch,
        /// The secret that opens its envelopes.
        opener: Arc<SealingSecret>,
    },
    /// A proposal gets no vote of this node.
    ProposalRefused {
        /// Its leader's index in the set.
        leader: u16,
        /// Its height.
        height: Height,
        /// Its view.
        view: View,
        /// Why.
        refused: Refused,
    },
    /// A block is final, executed and durable.
    Committed {
        /// Its height.
        height: Height,
        /// Ids of the envelopes in it.
        envelopes: Vec<Digest>,
        /// How many of them did not open.
        unopened: u32,
        /// Ids of the ordinary system transactions in it.
        system: Vec<Digest>,
    },
    /// Please run this beside the replica and come back with [`Input::Loaded`].
    Load(Box<LoadJob>),
    /// A public snapshot was taken: this height is the head now, and what is below it is not here.
    Jumped {
        /// The head.
        height: Height,
    },
    /// Envelopes that this node let go of: their epoch has closed.
    Expired(Vec<Digest>),
    /// A peer misbehaved.
    Penalise {
        /// Who.
        peer: NodeKey,
        /// How, for the log and the score.
        offence: Offence,
    },
    /// The answer to [`Input::Asked`].
    Answer {
        /// The question's number.
        reply: u64,
        /// The answer.
        response: Box<FetchResponse>,
    },
    /// A validator provably signed two contradicting messages. The proof is on its way into a block.
    Equivocation {
        /// Its index in the epoch's committee.
        validator: u16,
    },
    /// Two processes were heard with the identity of one validator, at the same time.
    TwoHolders {
        /// Its index in the epoch's committee.
        validator: u16,
    },
    /// A peer told who it is.
    Met {
        /// Who.
        peer: NodeKey,
        /// What it said.
        hello: Hello,
        /// Whether it speaks the protocol version in force.
        speaks: bool,
    },
    /// The replica cannot go on safely; the node must stop.
    Halt(Refused),
}

/// What becomes of a piece of gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GossipVerdict {
    /// Forward it.
    Accept,
    /// Do not forward it; nobody is to blame.
    Ignore,
    /// Do not forward it; its sender should have known better.
    Reject,
}

/// How a peer misbehaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// Bytes that do not decode.
    Malformed,
    /// Signatures, certificates or content that do not check.
    Invalid,
}

/// A refusal under a code of the table of codes, with facts that contain nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: &'static str,
    /// The facts.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
