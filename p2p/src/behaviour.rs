//! The libp2p behaviours of a node, and its swarm.

use std::sync::Arc;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Swarm, SwarmBuilder, identify, noise, ping, tcp, yamux};

use crate::codec::FetchCodec;
use crate::config::Protocols;
use crate::direct;
use crate::error::Error;
use crate::gossip::{self, Gossip};
use crate::identity::Identity;
use crate::limits::{HANDSHAKE, Limits, PENDING_INBOUND, PENDING_OUTBOUND, STREAMS_PER_CONNECTION};
use crate::network::Shared;

/// A connection that answers no ping for this long is closed.
const PING: Duration = Duration::from_secs(5);

/// Streams under negotiation on one connection.
const NEGOTIATING: usize = 32;

/// Received messages that wait for the swarm task, by connection; more make the connection wait.
const UNREAD: usize = 4;

/// What a QUIC peer may send ahead of what is read, by stream and by connection, in bytes.
const QUIC_STREAM_WINDOW: u32 = 4 << 20;
const QUIC_CONNECTION_WINDOW: u32 = 16 << 20;

/// QUIC has no end of stream for a process that was killed: silence has to tell, and so it is broken every second.
const QUIC_KEEP_ALIVE: Duration = Duration::from_secs(1);
const QUIC_SILENCE_MS: u32 = 4_000;

/// Behaviours are asked in this order whether a connection may stay, and those asked already are not told when a later one
/// denies it: gossip and fetch would count it for ever. So whoever denies stands before whoever counts.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pending: connection_limits::Behaviour,
    pub(crate) direct: direct::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) gossip: Gossip,
    pub(crate) fetch: request_response::Behaviour<FetchCodec>,
}

impl Behaviour {
    fn new(identity: &Identity, protocols: &Protocols, shared: Arc<Shared>) -> Result<Self, Error> {
        let limits = shared.limits;
        let pending = ConnectionLimits::default()
            .with_max_pending_incoming(Some(PENDING_INBOUND))
            .with_max_pending_outgoing(Some(PENDING_OUTBOUND));
        let identify = identify::Config::new(protocols.version.clone(), identity.keypair().public())
            .with_agent_version(concat!("tacit/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0);
        Ok(Self {
            pending: connection_limits::Behaviour::new(pending),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING).with_timeout(PING)),
            gossip: gossip::behaviour(identity, protocols, &limits)?,
            fetch: fetch(protocols, &limits),
            direct: direct::Behaviour::new(protocols.direct.clone(), shared),
        })
    }
}

fn fetch(protocols: &Protocols, limits: &Limits) -> request_response::Behaviour<FetchCodec> {
    let codec = FetchCodec {
        request_bytes: limits.fetch_request_bytes,
        response_bytes: limits.fetch_response_bytes,
    };
    let streams = usize::try_from(limits.requests_per_peer)
        .unwrap_or(usize::MAX)
        .min(STREAMS_PER_CONNECTION / 2);
    let config = request_response::Config::default()
        .with_request_timeout(Duration::from_millis(limits.request_timeout_ms))
        .with_max_concurrent_streams(streams);
    request_response::Behaviour::with_codec(codec, [(protocols.fetch.clone(), ProtocolSupport::Full)], config)
}

/// The swarm, over TCP with Noise and Yamux, and QUIC. The system's DNS configuration is read only if an address
/// needs it: an enclave may have none.
pub(crate) fn swarm(
    identity: &Identity,
    protocols: &Protocols,
    dns: bool,
    shared: Arc<Shared>,
) -> Result<Swarm<Behaviour>, Error> {
    let behaviour = Behaviour::new(identity, protocols, shared)?;
    let transport = |error: &dyn std::fmt::Display| Error::Transport(error.to_string());
    let mux = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_PER_CONNECTION);
        config
    };
    let builder = SwarmBuilder::with_existing_identity(identity.keypair().clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, mux)
        .map_err(|error| transport(&error))?
        .with_quic_config(|mut config| {
            config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION as u32;
            config.keep_alive_interval = QUIC_KEEP_ALIVE;
            config.max_idle_timeout = QUIC_SILENCE_MS;
            config.max_stream_data = QUIC_STREAM_WINDOW;
            config.max_connection_data = QUIC_CONNECTION_WINDOW;
            config
        });
    let tune = |config: libp2p::swarm::Config| {
        config
            .with_max_negotiating_inbound_streams(NEGOTIATING)
            .with_per_connection_event_buffer_size(UNREAD)
    };
    if dns {
        let builder = builder.with_dns().map_err(|error| transport(&error))?;
        let Ok(builder) = builder.with_behaviour(|_| behaviour);
        Ok(builder
            .with_swarm_config(tune)
            .with_connection_timeout(HANDSHAKE)
            .build())
    } else {
        let Ok(builder) = builder.with_behaviour(|_| behaviour);
        Ok(builder
            .with_swarm_config(tune)
            .with_connection_timeout(HANDSHAKE)
            .build())
    }
}
