//! What can go wrong, and whose fault it is.

use std::io;

use libp2p::Multiaddr;

/// Why the network could not be started. All of these are ours: configuration or machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A bootstrap address does not end in `/p2p/<peer id>`, so the peer behind it could not be authenticated.
    #[error("bootstrap address {0} names no peer: it must end in /p2p/<peer id>")]
    BootstrapWithoutPeer(Multiaddr),
    /// A key in the registry is no Ed25519 public key.
    #[error("validator key {index} of the registry is not an Ed25519 public key")]
    ValidatorKey {
        /// Position in the list that was given.
        index: usize,
    },
    /// Two limits contradict each other.
    #[error("limits: {what} is {value}, it must be {bound}")]
    Limits {
        /// The limit's name.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        bound: &'static str,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address of the configuration.
        address: Multiaddr,
        /// The transport's words.
        reason: String,
    },
    /// The TCP, Noise or DNS transport could not be set up.
    #[error("transport: {0}")]
    Transport(String),
    /// The gossip layer refused its parameters.
    #[error("gossip: {0}")]
    Gossip(String),
    /// `start` was called outside a tokio runtime.
    #[error("no tokio runtime is running")]
    NoRuntime,
}

/// Why a fetch brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No connection to that peer; ask another. Nothing was sent.
    #[error("the peer is not connected")]
    NotConnected,
    /// No answer in time; ask another.
    #[error("no answer in time")]
    Timeout,
    /// The peer closed the stream without an answer: it is busy, or does not want to.
    #[error("the peer gave no answer")]
    Refused,
    /// The peer went away before it answered.
    #[error("the connection closed before the answer")]
    Disconnected,
    /// Our own request exceeds the bound. Ours to fix.
    #[error("a request of {len} bytes exceeds the bound of {max}")]
    TooLarge {
        /// Length of the request in bytes.
        len: usize,
        /// The bound in bytes.
        max: u32,
    },
    /// The answer exceeds the bound; the peer was scored for it.
    #[error("the answer exceeds its bound")]
    AnswerTooLarge,
    /// The stream broke.
    #[error("stream: {0}")]
    Io(io::Error),
    /// This network was shut down.
    #[error("the network is shut down")]
    Closed,
}
