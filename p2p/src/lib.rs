//! Authenticated peers and bounded messages between them. Payloads are opaque bytes: this crate holds no ledger
//! type and no key that opens anything.
//!
//! ```text
//!  application                     this crate                                         wire
//!  -----------      ------------------------------------------------      -------------------------
//!  send      ---->  per-peer queue ----> writer in the connection ----->  /tacit/<chain8>/direct/1
//!  publish   --+                                                          /tacit/<chain8>/gossip/1
//!  request   --+->  commands ---> swarm task <--- connection tasks <--->  /tacit/<chain8>/fetch/1
//!  respond   --+                   |      ^
//!  events   <---- bounded channel -+      |  admission, rates, scores, dialling
//!  peers    <----------------------- peer book
//! ```
//!
//! # Promise
//! - A message's `from` is the libp2p identity that the Noise (TCP) or TLS (QUIC) handshake proved; a validator
//!   is a peer whose Ed25519 node key is in the registry given by [`Network::set_validators`].
//! - [`Network::send`]: one long-lived ordered stream a peer and direction, so that a message costs one network
//!   delay and no negotiation. Best effort: a full queue drops its oldest message, a broken connection loses what
//!   was in flight, and messages for a validator that is away wait in its queue. Order may break over a reconnect.
//! - [`Network::publish`]: signed gossip. Nothing is forwarded before [`Network::validate_gossip`] accepts it.
//! - [`Network::request`]: one question, one answer, with a timeout.
//! - Validators and bootstrap peers are dialled again for as long as they are away, after 100 ms at first and
//!   never less often than every 5 s.
//! - Networks never mix: protocol names carry the chain, and a peer of another chain is let go.
//!
//! # Limits
//! - Lengths are checked before memory is taken ([`Limits`]), and buffers grow with the bytes that arrive.
//! - Every peer has token buckets for messages and bytes of each kind; validators' are wide, others' tight. What
//!   exceeds them is dropped and counted.
//! - Direct messages to one peer wait in at most `queue_bytes`; a broadcast from one `Arc` is held once. What peers
//!   send and nobody has taken yet is at most 128 events and five a connection.
//! - An application that does not drain its events stops the reading of sockets, so memory stays bounded and the
//!   slowness reaches the senders. For that reason never await [`Network::request`] in the task that drains.
//! - Connections are bounded in all and by peer; a share is kept free for validators.
//! - Misbehaviour is scored ([`Offence`]), scores fade, and a peer at the threshold is cut off for a while.
//!
//! # Deliberately absent
//! Peer discovery by DHT (validators are in the registry, addresses come from the configuration, from
//! [`Network::add_address`] and from validators themselves), NAT traversal, relays, bans by IP address (validators
//! may share one), and delivery guarantees: consensus repeats what matters.
//!
//! # Whose fault
//! Errors of [`start`] are ours (configuration, port in use). [`RequestError`] says whether the peer refused, was
//! late, or broke a bound; the last is scored here already.

mod behaviour;
mod codec;
mod config;
mod counters;
mod dial;
mod direct;
mod error;
mod event;
mod frame;
mod gossip;
mod handler;
mod handshake;
mod identity;
mod limits;
mod network;
mod peers;
mod queue;
mod rate;
mod score;
mod swarm;

pub use config::Config;
pub use counters::{Metrics, Traffic};
pub use error::{Error, RequestError};
pub use event::{Channel, Event, GossipToken, ResponseChannel, Topic, Verdict};
pub use frame::{Frames, read_frames};
pub use handshake::handshake;
pub use identity::{Identity, node_key_of, peer_id_of};
pub use libp2p::{Multiaddr, PeerId};
pub use limits::{BAN_MS, Limits, Rate, Rates};
pub use network::{Network, start};
pub use peers::{Direction, PeerInfo};
pub use score::{BAN_AT, Offence};
