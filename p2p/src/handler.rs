//! One connection's direct stream: one long-lived stream out, one in.
//!
//! The outgoing stream is opened with the connection, so that no message waits for its negotiation, and is opened
//! again if it breaks. A second incoming stream replaces the first. Reading waits while the swarm task is busy:
//! the slowness reaches the sender through flow control.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::io::BufWriter;
use futures::stream::{self, BoxStream};
use futures::{AsyncWriteExt, FutureExt, StreamExt};
use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, ConnectionId, Stream, SubstreamProtocol};

use crate::counters::Counters;
use crate::event::Channel;
use crate::frame::{FrameError, read_frame, write_frame};
use crate::queue::Queue;

/// Times the outgoing stream may break or fail to open before the connection counts as unusable.
const REOPENINGS: u32 = 8;

/// Small frames are gathered up to this before they go to the multiplexer.
const WRITE_BUFFER: usize = 16 * 1024;

/// What a connection reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// Either direction was negotiated: the peer is of this chain.
    Ready,
    /// A direct message.
    Message(Channel, Vec<u8>),
    /// The peer broke the format; its stream is closed.
    Malformed(FrameError),
    /// No stream can be opened, however often tried: the peer does not speak our protocol, or is on its way out.
    Unusable,
}

enum Writer {
    Closed,
    Opening,
    Open(BoxFuture<'static, io::Result<Infallible>>),
    Refused,
}

/// The messages of one incoming stream; it ends with the first error.
type Reader = BoxStream<'static, Result<(Channel, Vec<u8>), FrameError>>;

pub(crate) struct Handler {
    protocol: StreamProtocol,
    connection: ConnectionId,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    max: u32,
    writer: Writer,
    broken: u32,
    reader: Option<Reader>,
    reports: VecDeque<Report>,
}

impl Handler {
    pub(crate) fn new(
        protocol: StreamProtocol,
        connection: ConnectionId,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
        max: u32,
    ) -> Self {
        Self {
            protocol,
            connection,
            queue,
            counters,
            max,
            writer: Writer::Closed,
            broken: 0,
            reader: None,
            reports: VecDeque::new(),
        }
    }

    fn upgrade(&self) -> SubstreamProtocol<ReadyUpgrade<StreamProtocol>> {
        SubstreamProtocol::new(ReadyUpgrade::new(self.protocol.clone()), ())
    }

    /// The outgoing stream is gone: open another, or give up.
    fn writer_broke(&mut self, error: &dyn std::fmt::Display) {
        self.queue.release(self.connection);
        self.broken += 1;
        tracing::debug!(connection = %self.connection, broken = self.broken, %error, "direct stream broke");
        if self.broken > REOPENINGS {
            self.writer = Writer::Refused;
            self.reports.push_back(Report::Unusable);
        } else {
            self.writer = Writer::Closed;
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        self.queue.release(self.connection);
    }
}

/// Writes what the queue gives until the stream breaks; flushes whenever the queue is empty.
async fn write_all(
    io: Stream,
    connection: ConnectionId,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
) -> io::Result<Infallible> {
    let mut io = BufWriter::with_capacity(WRITE_BUFFER, io);
    loop {
        let frame = poll_fn(|cx| queue.poll_take(connection, cx)).await;
        write_frame(&mut io, &frame).await?;
        counters.direct_out.add(frame.bytes.len());
        if queue.is_empty() {
            io.flush().await?;
        }
    }
}

fn read_all(io: Stream, max: u32) -> Reader {
    stream::try_unfold(io, move |mut io| async move {
        Ok(read_frame(&mut io, max).await?.map(|message| (message, io)))
    })
    .boxed()
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Report;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        self.upgrade()
    }

    fn connection_keep_alive(&self) -> bool {
        !matches!(self.writer, Writer::Refused)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Report>> {
        if let Writer::Open(writer) = &mut self.writer
            && let Poll::Ready(result) = writer.poll_unpin(cx)
        {
            match result {
                Ok(never) => match never {},
                Err(error) => self.writer_broke(&error),
            }
        }
        if matches!(self.writer, Writer::Closed) {
            self.writer = Writer::Opening;
            let protocol = self.upgrade();
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if let Some(reader) = &mut self.reader
            && let Poll::Ready(next) = reader.poll_next_unpin(cx)
        {
            let report = match next {
                Some(Ok((channel, bytes))) => Some(Report::Message(channel, bytes)),
                Some(Err(error)) if error.is_malformed() => Some(Report::Malformed(error)),
                Some(Err(_)) | None => None,
            };
            if !matches!(report, Some(Report::Message(..))) {
                self.reader = None;
            }
            if let Some(report) = report {
                return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: io, .. }) => {
                self.reader = Some(read_all(io, self.max));
                self.reports.push_back(Report::Ready);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol: io, .. }) => {
                self.queue.claim(self.connection);
                let (queue, counters) = (self.queue.clone(), self.counters.clone());
                self.writer = Writer::Open(write_all(io, self.connection, queue, counters).boxed());
                self.reports.push_back(Report::Ready);
            }
            // A negotiation fails alike for a peer without the protocol and for one that closes the connection just
            // then, so this proves nothing against the peer; identify will.
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => self.writer_broke(&error),
            _ => {}
        }
    }
}
