//! What the network tells the application, and the handles it answers with.

use libp2p::{Multiaddr, PeerId, gossipsub, request_response};

/// A gossip topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Batches of envelopes.
    Batches,
    /// New certified headers and the like, for observers too.
    Announcements,
    /// Transactions of the public lane on their way into a block: few, and shorter than a batch.
    System,
}

impl Topic {
    /// Every topic, in the order of this enum.
    pub const ALL: [Self; 3] = [Self::Batches, Self::Announcements, Self::System];
}

/// The purpose of a direct message; its first byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Proposals, votes, timeouts: to and from validators only.
    Consensus,
    /// Anything else, from any peer, under its rate.
    Control,
}

/// What the application thinks of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Sound: forward it.
    Accept,
    /// Not forwarded, and nobody's fault: late, already known, not decidable now.
    Ignore,
    /// Not forwarded; whoever passed it on is scored with [`crate::Offence::Invalid`].
    Reject,
}

/// Names one gossip message that waits for its verdict. Without one within 5 s it is forgotten, not forwarded.
#[derive(Debug)]
pub struct GossipToken {
    pub(crate) id: gossipsub::MessageId,
    pub(crate) source: PeerId,
}

/// Where to put the answer to a fetch. Dropped, it tells the peer that there is none.
#[derive(Debug)]
pub struct ResponseChannel {
    pub(crate) channel: request_response::ResponseChannel<Vec<u8>>,
    pub(crate) id: request_response::InboundRequestId,
}

/// Something that happened. `Connected` comes before anything else from a peer; what was on its way may still come
/// just after `Disconnected`.
#[derive(Debug)]
pub enum Event {
    /// A direct message on [`Channel::Consensus`]; its sender is in the registry.
    Message {
        /// The authenticated sender.
        from: PeerId,
        /// At most `direct_bytes`.
        bytes: Vec<u8>,
    },
    /// A direct message on [`Channel::Control`].
    Control {
        /// The authenticated sender, validator or not.
        from: PeerId,
        /// At most `direct_bytes`.
        bytes: Vec<u8>,
    },
    /// A gossip message, signed by its author, to be judged with [`crate::Network::validate_gossip`].
    Gossip {
        /// Its topic.
        topic: Topic,
        /// The peer that passed it on, not necessarily the author.
        from: PeerId,
        /// Who signed it first; others may have published the same bytes.
        author: PeerId,
        /// At most `gossip_bytes`, on [`Topic::System`] at most `system_bytes`.
        bytes: Vec<u8>,
        /// Names it in the verdict.
        token: GossipToken,
    },
    /// A fetch, to be answered with [`crate::Network::respond`].
    Request {
        /// The authenticated asker.
        from: PeerId,
        /// At most `fetch_request_bytes`.
        bytes: Vec<u8>,
        /// Where the answer goes.
        channel: ResponseChannel,
    },
    /// A peer of this chain is connected, its streams are open and it subscribed to all topics: what is sent or
    /// published from now on reaches it.
    Connected {
        /// Who.
        peer: PeerId,
        /// Whether it is in the registry now.
        validator: bool,
    },
    /// Its last connection closed.
    Disconnected {
        /// Who.
        peer: PeerId,
    },
    /// An address this node listens on, without `/p2p/…`.
    Listening(Multiaddr),
}
