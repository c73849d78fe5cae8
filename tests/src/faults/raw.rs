//! Raw peers: strangers with a new identity each time, who open the streams that nodes speak on and write onto them
//! whatever they like, below everything that `tacit_p2p` would refuse to send.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, StreamProtocol, Swarm, SwarmBuilder, noise,
    request_response::{self, ProtocolSupport},
    swarm::{
        SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
    tcp, yamux,
};

/// A connection that has come to nothing by then is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes frames onto a stream, counts those that went, and reads what the other side writes, for as long as it does.
#[derive(Clone, Default)]
pub(super) struct Raw {
    written: Arc<AtomicU64>,
}

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<Vec<u8>>;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<Vec<u8>>>
    where
        T: AsyncRead + Unpin + Send,
    {
        drain(io).await;
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        drain(io).await;
        Ok(())
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frames: Vec<Vec<u8>>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        for frame in frames {
            io.write_all(&frame).await?;
            io.flush().await?;
            self.written.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

async fn drain<T: AsyncRead + Unpin>(io: &mut T) {
    let mut buffer = [0; 4_096];
    while io.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
}

/// Connects as a new stranger and writes frames onto one stream of `protocol`, until all are written or the node has had
/// enough; gives how many went.
pub(super) async fn write(node: Multiaddr, protocol: &str, frames: Vec<Vec<u8>>) -> u64 {
    let raw = Raw::default();
    let written = raw.written.clone();
    let attempt = async {
        let mut swarm = stranger(protocol, raw)?;
        let Some(libp2p::multiaddr::Protocol::P2p(peer)) = node.iter().last() else {
            return None;
        };
        let dial = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![node.clone()])
            .build();
        swarm.dial(dial).ok()?;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    swarm.behaviour_mut().send_request(&peer_id, frames.clone());
                }
                // Answered, closed, refused: it was read as far as the node cared to.
                SwarmEvent::Behaviour(request_response::Event::OutboundFailure { .. })
                | SwarmEvent::Behaviour(request_response::Event::Message { .. })
                | SwarmEvent::ConnectionClosed { .. } => return Some(()),
                SwarmEvent::OutgoingConnectionError { .. } => return None,
                _ => {}
            }
        }
    };
    // Late, refused or done: what counts is what went.
    let _ = tokio::time::timeout(PATIENCE, attempt).await;
    written.load(Ordering::Relaxed)
}

fn stranger(protocol: &str, raw: Raw) -> Option<Swarm<request_response::Behaviour<Raw>>> {
    let protocol = StreamProtocol::try_from_owned(protocol.to_owned()).ok()?;
    let config = request_response::Config::default().with_request_timeout(PATIENCE);
    let builder = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .ok()?;
    let behaviour = request_response::Behaviour::with_codec(raw, [(protocol, ProtocolSupport::Full)], config);
    let Ok(builder) = builder.with_behaviour(|_| behaviour);
    Some(builder.build())
}
