//! Connections that cannot be held open for nothing.
//!
//! A listener that accepts at most so many connections, in all and from one client, and wraps each in time
//! bounds: between requests (and while a request's head trickles in) a connection lives [`QUIET`]; while it
//! answers, its peer must take some bytes every [`STALL`]. Without these, a thousand silent sockets would
//! close the API.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::rate::network_of;

/// How long a connection may go without a complete request.
const QUIET: Duration = Duration::from_secs(30);
/// How long a peer may take no byte of an answer.
const STALL: Duration = Duration::from_secs(30);
/// Pause after a failed accept (mostly: no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// A listener that bounds its connections.
pub(crate) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    clients: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    per_client: usize,
    quiet: Duration,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener, connections: usize, per_client: usize) -> Self {
        let places = Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            listener,
            places,
            clients: Arc::default(),
            per_client: per_client.max(1),
            quiet: QUIET,
        }
    }

    /// A seat for one more connection of this client, unless it has all it may have.
    fn seat(&self, client: IpAddr, place: OwnedSemaphorePermit) -> Option<Seat> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let held = clients.entry(client).or_insert(0);
        if *held >= self.per_client {
            return None;
        }
        *held += 1;
        Some(Seat {
            client,
            clients: Arc::clone(&self.clients),
            _place: place,
        })
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // The semaphore is never closed; were it, an unbounded accept would be the worse answer.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(seat) = self.seat(network_of(address.ip()), place) else {
                continue; // dropping the stream closes it
            };
            if stream.set_nodelay(true).is_err() {
                continue; // the peer is gone already
            }
            return (Connection::new(stream, seat, self.quiet), address);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection's share of the bounds, given back when dropped.
struct Seat {
    client: IpAddr,
    clients: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = clients.get_mut(&self.client) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

/// Who is at the other end, and whether it is being served: what handlers get to know about a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    activity: Arc<Activity>,
}

impl Peer {
    /// Keeps the connection from counting as quiet for as long as the value lives.
    pub(crate) fn serving(&self) -> Serving {
        self.activity.serving.fetch_add(1, Ordering::AcqRel);
        Serving(Arc::clone(&self.activity))
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self {
            address: *stream.remote_addr(),
            activity: Arc::clone(&stream.io().activity),
        }
    }
}

/// A request or a stream in progress.
#[derive(Debug)]
pub(crate) struct Serving(Arc<Activity>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.quiet_since_ms.store(self.0.now_ms(), Ordering::Release);
        self.0.serving.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Debug)]
struct Activity {
    opened: Instant,
    /// How long the connection may be quiet.
    quiet: Duration,
    serving: AtomicU32,
    /// Milliseconds after `opened`.
    quiet_since_ms: AtomicU64,
}

impl Activity {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When the connection will have been quiet for too long, as things stand.
    fn deadline(&self) -> Instant {
        if self.serving.load(Ordering::Acquire) > 0 {
            return Instant::now() + self.quiet;
        }
        self.opened + Duration::from_millis(self.quiet_since_ms.load(Ordering::Acquire)) + self.quiet
    }
}

/// A stream that ends itself when it is quiet or stalls for too long.
pub(crate) struct Connection {
    stream: TcpStream,
    activity: Arc<Activity>,
    quiet: Pin<Box<Sleep>>,
    stall: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Connection {
    fn new(stream: TcpStream, seat: Seat, quiet: Duration) -> Self {
        let opened = Instant::now();
        let activity = Arc::new(Activity {
            opened,
            quiet,
            serving: AtomicU32::new(0),
            quiet_since_ms: AtomicU64::new(0),
        });
        let quiet = Box::pin(tokio::time::sleep_until(activity.deadline()));
        Self {
            stream,
            activity,
            quiet,
            stall: None,
            _seat: seat,
        }
    }

    /// Ready once the connection has been quiet for too long; registers the task to look again otherwise.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.quiet.as_mut().poll(cx).is_ready() {
            let deadline = self.activity.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            self.quiet.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Turns a write that waits for too long into an error.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stall = None;
            return outcome;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // First the clock: bytes that trickle in do not buy time.
        if self.poll_quiet(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair(listener: &mut Bounded) -> (TcpStream, Connection) {
        let address = listener.local_addr().expect("address");
        let (client, (server, _)) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.expect("connected"), server)
    }

    async fn bounded(connections: usize, per_client: usize) -> Bounded {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("port");
        Bounded::new(listener, connections, per_client)
    }

    #[tokio::test]
    async fn a_client_gets_its_share_and_a_place_comes_back() {
        let mut listener = bounded(8, 1).await;
        let (_first, server) = pair(&mut listener).await;
        let address = listener.local_addr().expect("address");
        let mut second = TcpStream::connect(address).await.expect("connected");
        // The second is accepted and closed; the accept loop goes on waiting.
        let mut byte = [0; 1];
        tokio::select! {
            _ = listener.accept() => panic!("a second connection got a seat"),
            read = second.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_))),
        }
        drop(server);
        let (_third, _server) = pair(&mut listener).await;
    }

    #[tokio::test]
    async fn trickling_bytes_do_not_keep_a_connection() {
        let mut listener = bounded(8, 8).await;
        listener.quiet = Duration::from_millis(50);
        let (mut client, mut server) = pair(&mut listener).await;
        let opened = Instant::now();
        let mut byte = [0; 1];
        let end = loop {
            client.write_all(b"G").await.expect("sent");
            if let Err(end) = server.read_exact(&mut byte).await {
                break end;
            }
        };
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert!(opened.elapsed() >= Duration::from_millis(49));
    }

    #[tokio::test]
    async fn a_connection_that_is_served_is_not_quiet() {
        let mut listener = bounded(8, 8).await;
        listener.quiet = Duration::from_millis(50);
        let (_client, mut server) = pair(&mut listener).await;
        let address = listener.local_addr().expect("address");
        let peer = Peer {
            address,
            activity: Arc::clone(&server.activity),
        };
        let serving = peer.serving();
        let mut byte = [0; 1];
        let waited = tokio::time::timeout(Duration::from_millis(200), server.read(&mut byte)).await;
        assert!(waited.is_err(), "a served connection ended");
        drop(serving);
        let end = server.read(&mut byte).await.expect_err("nothing more comes");
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
    }
}
