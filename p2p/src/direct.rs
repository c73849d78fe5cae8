//! The behaviour behind direct messages, which also stands at the door: it admits connections by the peer book
//! and keeps the book's list of them exact.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use crate::counters::count;
use crate::handler::{Handler, Report};
use crate::network::Shared;
use crate::peers::{Connection, Direction, Refusal};

/// A connection's report with its peer.
#[derive(Debug)]
pub(crate) struct DirectEvent {
    pub(crate) peer: PeerId,
    pub(crate) report: Report,
}

pub(crate) struct Behaviour {
    protocol: StreamProtocol,
    shared: Arc<Shared>,
    /// Bounded by what the swarm takes out before it hands in the next handler event.
    events: VecDeque<ToSwarm<DirectEvent, THandlerInEvent<Self>>>,
}

impl Behaviour {
    pub(crate) fn new(protocol: StreamProtocol, shared: Arc<Shared>) -> Self {
        Self {
            protocol,
            shared,
            events: VecDeque::new(),
        }
    }

    fn admit(
        &self,
        peer: PeerId,
        connection: ConnectionId,
        direction: Direction,
    ) -> Result<Handler, ConnectionDenied> {
        let (mut book, now) = (self.shared.book(), Instant::now());
        let admitted = match direction {
            Direction::Inbound => book.admit_dialler(peer, now),
            Direction::Outbound => book.admit(peer, now),
        };
        drop(book);
        let queue = admitted.map_err(|refusal| {
            if matches!(refusal, Refusal::Anew) {
                self.shared.wake.notify_one();
            }
            count(&self.shared.counters.refused_connections);
            tracing::debug!(%peer, %refusal, "connection refused");
            ConnectionDenied::new(refusal)
        })?;
        let max = self.shared.limits.direct_bytes;
        Ok(Handler::new(
            self.protocol.clone(),
            connection,
            queue,
            self.shared.counters.clone(),
            max,
        ))
    }

    fn opened(&mut self, event: &ConnectionEstablished<'_>) {
        let direction = match event.endpoint {
            ConnectedPoint::Dialer { .. } => Direction::Outbound,
            ConnectedPoint::Listener { .. } => Direction::Inbound,
        };
        let address = event.endpoint.get_remote_address().clone();
        let connection = Connection {
            id: event.connection_id,
            address,
            direction,
            since: Instant::now(),
        };
        if let Some(oldest) = self
            .shared
            .book()
            .opened(event.peer_id, connection, Instant::now())
        {
            self.events.push_back(ToSwarm::CloseConnection {
                peer_id: event.peer_id,
                connection: CloseConnection::One(oldest),
            });
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = DirectEvent;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection, Direction::Inbound)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(peer, connection, Direction::Outbound)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(event) => self.opened(&event),
            FromSwarm::ConnectionClosed(ConnectionClosed {
                peer_id,
                connection_id,
                ..
            }) => {
                self.shared.book().closed(peer_id, connection_id, Instant::now());
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, report: THandlerOutEvent<Self>) {
        self.events
            .push_back(ToSwarm::GenerateEvent(DirectEvent { peer, report }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<DirectEvent, THandlerInEvent<Self>>> {
        // The swarm polls after every event it hands in, so no waker is needed.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}
