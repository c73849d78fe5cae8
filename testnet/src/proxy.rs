//! The process that links go through: it carries bytes between nodes, late or not at all, as the table says.
//!
//! ```text
//! node i ──dials 127.64.i.j──► proxy ──dials 127.0.0.1──► node j
//!        ── read, stamp, wait, write: link i→j ──►
//!        ◄── the other way: link j→i ──────────────
//! ```
//! It knows nothing of what it carries, so a cut is what a network without packets is to TCP: what was said waits, and
//! comes through once the link is whole, unless an end has given the connection up before. A connection is made only
//! while its link is whole both ways.
//!
//! Bounds: [`CONNECTIONS`] a link, [`QUEUED`] chunks of [`CHUNK`] bytes a direction; when they are full, nothing more is read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::{Error, io_error};
use crate::facts::Facts;
use crate::links::{Delay, Link, Links, applied, dialled};

/// Connections of one link at a time: two nodes have at most two each way, and some more that are dying.
const CONNECTIONS: usize = 32;
/// Bytes read at once.
const CHUNK: usize = 32 * 1024;
/// Chunks under way in one direction of a connection: 8 MiB, what a fast link of long delay holds.
const QUEUED: usize = 256;
/// Pause after a listener failed, as it does when there are no more file descriptors.
const LISTENER_REST: Duration = Duration::from_millis(100);

/// The links as they are to be, in a form that is quick to ask.
#[derive(Default)]
struct Table {
    cut: BTreeSet<Link>,
    slow: BTreeMap<Link, Delay>,
}

type Tables = watch::Receiver<Arc<Table>>;

/// Runs the proxy of the network whose folder `folder` is `proxy` in, until SIGTERM or SIGINT; SIGHUP has it read the
/// table and the nodes again.
///
/// # Errors
/// Files that cannot be read at the start, and addresses that cannot be listened on.
pub fn proxy(folder: &Path) -> Result<(), Error> {
    allow_many_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("start the runtime in", folder))?;
    runtime.block_on(run(folder))
}

/// Two descriptors a connection: a large network exceeds the usual soft limit.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it may not be raised, connections are refused one by one, and the log says so.
    let _ = setrlimit(Resource::Nofile, most);
}

async fn run(folder: &Path) -> Result<(), Error> {
    let fail = |e| io_error("listen for signals in", folder)(e);
    let mut reload = signal(SignalKind::hangup()).map_err(fail)?;
    let mut term = signal(SignalKind::terminate()).map_err(fail)?;
    let mut int = signal(SignalKind::interrupt()).map_err(fail)?;
    let (tables, _) = watch::channel(Arc::default());
    let mut listening = BTreeSet::new();
    let network = folder.parent().unwrap_or(folder);
    loop {
        let (facts, links) = (Facts::read(network)?, Links::read(folder)?);
        tables.send_replace(Arc::new(Table {
            cut: links.cut.iter().copied().collect(),
            slow: links.slow.iter().map(|slow| (slow.link, slow.delay)).collect(),
        }));
        for (link, port) in (0..facts.nodes.len()).flat_map(|from| dialled(&facts, from)) {
            if !listening.insert((link, port)) {
                continue;
            }
            let address = link.address().ok_or_else(|| {
                Error::Usage(format!("the proxy carries 256 nodes, not {}", facts.nodes.len()))
            })?;
            let listener = TcpListener::bind((address, port))
                .await
                .map_err(|e| io_error("listen as a link on", Path::new(&format!("{address}:{port}")))(e))?;
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            tokio::spawn(serve(link, listener, to, tables.subscribe()));
        }
        applied(folder, links.generation)?;
        tokio::select! {
            _ = reload.recv() => {}
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
        }
    }
}

async fn serve(link: Link, listener: TcpListener, to: SocketAddr, tables: Tables) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((near, _)) => {
                let tables = tables.clone();
                tokio::spawn(async move {
                    carry(link, near, to, tables).await;
                    drop(slot);
                });
            }
            Err(error) => {
                eprintln!("link {} to {}: {error}", link.from, link.to);
                sleep(LISTENER_REST).await;
            }
        }
    }
}

/// Both directions of one connection, until both are over.
async fn carry(link: Link, mut near: TcpStream, to: SocketAddr, mut tables: Tables) {
    let Some(said) = await_whole(link, &mut near, &mut tables).await else {
        return;
    };
    let Ok(far) = TcpStream::connect(to).await else {
        return;
    };
    // The nodes gather small writes themselves.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // How many ends have nothing more to say.
    let (ended, _) = watch::channel(0_u8);
    let there = Direction {
        link,
        tables: tables.clone(),
        ended: &ended,
    };
    let back = Direction {
        link: link.back(),
        tables,
        ended: &ended,
    };
    tokio::join!(
        there.pump(said, near_read, far_write),
        back.pump(Vec::new(), far_read, near_write)
    );
}

/// Waits until the link is whole both ways; gives what the dialler said meanwhile, or nothing when it has given up.
async fn await_whole(link: Link, near: &mut TcpStream, tables: &mut Tables) -> Option<Vec<u8>> {
    let whole = |table: &Arc<Table>| !table.cut.contains(&link) && !table.cut.contains(&link.back());
    let mut said = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let room = said.len() < CHUNK;
        tokio::select! {
            biased;
            _ = tables.wait_for(whole) => return Some(said),
            read = near.read(&mut buffer), if room => match read {
                Ok(0) | Err(_) => return None,
                Ok(length) => said.extend_from_slice(buffer.get(..length).unwrap_or_default()),
            },
        }
    }
}

/// One direction of a connection.
struct Direction<'a> {
    link: Link,
    tables: Tables,
    ended: &'a watch::Sender<u8>,
}

impl Direction<'_> {
    /// Reads and writes, with a bounded queue between them.
    async fn pump(&self, said: Vec<u8>, from: OwnedReadHalf, to: OwnedWriteHalf) {
        let (queue, chunks) = mpsc::channel(QUEUED);
        tokio::join!(self.read(said, from, queue), self.write(to, chunks));
    }

    /// Reads and stamps until there is nothing more.
    async fn read(&self, said: Vec<u8>, mut from: OwnedReadHalf, queue: mpsc::Sender<(Instant, Vec<u8>)>) {
        let mut noise = Noise::new(self.link);
        let mut last = Instant::now();
        let mut buffer = vec![0; CHUNK];
        let mut chunk = said;
        loop {
            if !chunk.is_empty() {
                let delay = self.tables.borrow().slow.get(&self.link).copied();
                let at = delay.map_or(last, |delay| Instant::now() + noise.of(delay));
                // TCP keeps its order, however long one segment takes.
                last = last.max(at);
                if queue.send((last, chunk)).await.is_err() {
                    break;
                }
            }
            chunk = match from.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => buffer.get(..length).unwrap_or_default().to_vec(),
            };
        }
        self.ended.send_modify(|ends| *ends += 1);
    }

    /// Writes each chunk at its time, while the link is whole.
    async fn write(&self, mut to: OwnedWriteHalf, mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>) {
        while let Some((at, chunk)) = chunks.recv().await {
            sleep_until(at).await;
            if !self.passes().await || to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        // An end that is cut off does not learn that the other one has gone.
        if self.passes().await {
            // It may have gone too.
            let _ = to.shutdown().await;
        }
    }

    /// Waits until the link is whole; false when both ends have gone before.
    async fn passes(&self) -> bool {
        let (mut tables, mut ends) = (self.tables.clone(), self.ended.subscribe());
        tokio::select! {
            biased;
            _ = tables.wait_for(|table| !table.cut.contains(&self.link)) => true,
            _ = ends.wait_for(|ends| *ends == 2) => false,
        }
    }
}

/// Jitter: even noise is enough here, and what it is does not matter (Steele and others' SplitMix64).
struct Noise(u64);

impl Noise {
    fn new(link: Link) -> Noise {
        Noise((link.from as u64) << 32 | link.to as u64)
    }

    fn of(&mut self, delay: Delay) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let spread = 2 * delay.jitter_ms * 1_000 + 1;
        let micros = (delay.ms * 1_000).saturating_sub(delay.jitter_ms * 1_000) + z % spread;
        Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { from: 0, to: 1 };

    fn table(cut: &[Link], slow_ms: u64) -> Arc<Table> {
        let delay = Delay {
            ms: slow_ms,
            jitter_ms: 0,
        };
        Arc::new(Table {
            cut: cut.iter().copied().collect(),
            slow: [(LINK, delay)].into(),
        })
    }

    /// A node that says back what it hears, a link to it, and the end of somebody who dialled over that.
    async fn dialled(first: Arc<Table>) -> (watch::Sender<Arc<Table>>, TcpStream) {
        let local = (Ipv4Addr::LOCALHOST, 0);
        let (node, listener) = (
            TcpListener::bind(local).await.unwrap(),
            TcpListener::bind(local).await.unwrap(),
        );
        let (to, link) = (node.local_addr().unwrap(), listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = node.accept().await.unwrap();
            let (mut from, mut to) = socket.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
        let (tables, watched) = watch::channel(first);
        tokio::spawn(serve(LINK, listener, to, watched));
        (tables, TcpStream::connect(link).await.unwrap())
    }

    async fn heard(socket: &mut TcpStream, length: usize, within: Duration) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let read = tokio::time::timeout(within, socket.read_exact(&mut bytes)).await;
        read.ok()?.ok()?;
        Some(bytes)
    }

    const SOON: Duration = Duration::from_secs(20);
    const NOT_YET: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn what_is_said_over_a_cut_link_arrives_when_it_is_whole() {
        for cut in [LINK, LINK.back()] {
            let (tables, mut socket) = dialled(table(&[], 0)).await;
            socket.write_all(b"one").await.unwrap();
            assert_eq!(heard(&mut socket, 3, SOON).await.unwrap(), b"one");
            tables.send_replace(table(&[cut], 0));
            socket.write_all(b"two").await.unwrap();
            assert_eq!(heard(&mut socket, 3, NOT_YET).await, None);
            tables.send_replace(table(&[], 0));
            assert_eq!(heard(&mut socket, 3, SOON).await.unwrap(), b"two");
        }
    }

    #[tokio::test]
    async fn a_connection_begins_when_its_link_is_whole_both_ways() {
        let (tables, mut first) = dialled(table(&[LINK.back()], 0)).await;
        first.write_all(b"early").await.unwrap();
        assert_eq!(heard(&mut first, 5, NOT_YET).await, None);
        tables.send_replace(table(&[], 0));
        assert_eq!(heard(&mut first, 5, SOON).await.unwrap(), b"early");
    }

    #[tokio::test]
    async fn a_slow_link_delays_and_keeps_the_order() {
        let (tables, mut socket) = dialled(table(&[], 0)).await;
        tables.send_replace(table(&[], 150));
        let begun = Instant::now();
        socket.write_all(b"a").await.unwrap();
        socket.write_all(b"b").await.unwrap();
        assert_eq!(heard(&mut socket, 2, SOON).await.unwrap(), b"ab");
        assert!(begun.elapsed() >= Duration::from_millis(150));
        let mut noise = Noise::new(LINK);
        let delay = Delay {
            ms: 200,
            jitter_ms: 100,
        };
        let drawn: Vec<u128> = (0..1_000).map(|_| noise.of(delay).as_millis()).collect();
        assert!(drawn.iter().all(|ms| (100..=300).contains(ms)));
        assert!(drawn.iter().any(|ms| *ms < 120) && drawn.iter().any(|ms| *ms > 280));
    }
}
