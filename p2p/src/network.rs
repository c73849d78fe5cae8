//! The application's handle.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::config::{Config, Protocols, validator_peers};
use crate::counters::{Counters, Metrics, count};
use crate::error::{Error, RequestError};
use crate::event::{Channel, Event, GossipToken, ResponseChannel, Topic, Verdict};
use crate::frame::Frame;
use crate::identity::{Identity, peer_id_of};
use crate::limits::{COMMANDS, EVENTS, Limits, OUTGOING_KIB, REQUESTS, VALIDATORS};
use crate::peers::{Book, PeerInfo};
use crate::score::Offence;
use crate::{behaviour, swarm};

/// How long after its own timeout a fetch is given up here, if the swarm task is kept from saying so because the
/// application does not drain its events.
const GRACE: Duration = Duration::from_secs(2);

/// A command to the swarm task. Those with payload hold their share of the budget until they are done.
pub(crate) enum Command {
    Publish {
        topic: Topic,
        bytes: Vec<u8>,
        _share: OwnedSemaphorePermit,
    },
    Request {
        to: PeerId,
        bytes: Vec<u8>,
        reply: oneshot::Sender<Result<Vec<u8>, RequestError>>,
        slot: OwnedSemaphorePermit,
    },
    Respond {
        channel: ResponseChannel,
        bytes: Vec<u8>,
        share: OwnedSemaphorePermit,
    },
    Validate {
        token: GossipToken,
        verdict: Verdict,
    },
}

/// What the handle and the swarm task both see.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    /// The book has evictions for the swarm task.
    pub(crate) wake: Notify,
    pub(crate) stop: Notify,
    book: Mutex<Book>,
}

impl Shared {
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Charges an offence, and names it in the log.
    pub(crate) fn charge(&self, peer: &PeerId, offence: Offence) {
        let banned = self.book().charge(peer, offence, Instant::now());
        if banned {
            count(&self.counters.bans);
            tracing::warn!(%peer, ?offence, "peer banned");
            self.wake.notify_one();
        } else {
            tracing::debug!(%peer, ?offence, "offence");
        }
    }
}

/// A running network. Cheap to clone; the network ends with its last handle, or when the receiver of events goes.
#[derive(Clone)]
pub struct Network {
    me: PeerId,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    outgoing: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

/// Starts a node's network on the current tokio runtime. Listening addresses arrive as [`Event::Listening`].
///
/// # Errors
/// Configuration that makes no sense, an address that cannot be listened on, or no runtime.
pub fn start(identity: Identity, config: Config) -> Result<(Network, mpsc::Receiver<Event>), Error> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    config.limits.check()?;
    let now = Instant::now();
    let me = identity.peer_id();
    let mut book = Book::new(me, config.limits, config.max_connections);
    book.configured_only = config.configured_only;
    book.set_validators(validator_peers(&config.validators)?, now);
    for (peer, address) in config.bootstrap_peers()? {
        book.add_fixed(peer, address, now);
    }
    let shared = Arc::new(Shared {
        limits: config.limits,
        counters: Arc::default(),
        wake: Notify::new(),
        stop: Notify::new(),
        book: Mutex::new(book),
    });
    let protocols = Protocols::of(&config.chain);
    let mut swarm = behaviour::swarm(&identity, &protocols, config.needs_dns(), shared.clone())?;
    for address in &config.listen {
        let listening = swarm.listen_on(address.clone());
        listening.map_err(|e| Error::Listen {
            address: address.clone(),
            reason: e.to_string(),
        })?;
    }
    let (commands, command_queue) = mpsc::channel(COMMANDS);
    let (events, event_queue) = mpsc::channel(EVENTS);
    runtime.spawn(swarm::Task::new(swarm, &protocols, shared.clone(), events).run(command_queue));
    let outgoing = Arc::new(Semaphore::new(OUTGOING_KIB));
    let requests = Arc::new(Semaphore::new(REQUESTS));
    Ok((
        Network {
            me,
            shared,
            commands,
            outgoing,
            requests,
        },
        event_queue,
    ))
}

impl Network {
    /// This node's own peer id.
    pub fn local_peer(&self) -> PeerId {
        self.me
    }

    /// Sends on [`Channel::Consensus`] to a validator. See [`Network::send_on`].
    pub fn send(&self, to: PeerId, bytes: impl Into<Arc<[u8]>>) {
        self.send_on(Channel::Consensus, to, bytes);
    }

    /// Queues a direct message; never blocks. Best effort: dropped and counted if the peer is neither connected
    /// nor a validator, if it is no validator and the channel is for them, if it exceeds `direct_bytes`, or if
    /// newer messages fill the queue before it leaves. To broadcast, share one `Arc`.
    pub fn send_on(&self, channel: Channel, to: PeerId, bytes: impl Into<Arc<[u8]>>) {
        let bytes = bytes.into();
        let max = self.shared.limits.direct_bytes;
        if u32::try_from(bytes.len()).map_or(true, |len| len > max) {
            count(&self.shared.counters.dropped_queue);
            tracing::error!(%to, len = bytes.len(), max, "direct message exceeds the bound, dropped");
            return;
        }
        let queue = {
            let book = self.shared.book();
            let allowed = channel == Channel::Control || book.is_validator(&to);
            book.queue(&to).filter(|_| allowed)
        };
        let dropped = queue.map_or(1, |queue| queue.push(Frame { channel, bytes }));
        self.shared
            .counters
            .dropped_queue
            .fetch_add(dropped, Ordering::Relaxed);
    }

    /// Gossips to all; never blocks. Best effort: dropped and counted if it exceeds the topic's bound, or if more
    /// than 64 MiB of our own payload waits already.
    pub fn publish(&self, topic: Topic, bytes: Vec<u8>) {
        let max = self.shared.limits.gossip_bytes_on(topic);
        let fits = u32::try_from(bytes.len()).is_ok_and(|len| len <= max);
        match self.share(bytes.len()).filter(|_| fits) {
            Some(_share) => self.command(Command::Publish { topic, bytes, _share }),
            None => {
                count(&self.shared.counters.dropped_outgoing);
                tracing::warn!(?topic, len = bytes.len(), max, "publication dropped");
            }
        }
    }

    /// Asks a connected peer and waits for its answer. At most 32 are under way, further ones wait their turn.
    ///
    /// # Errors
    /// No connection, no answer within `request_timeout_ms`, refusal, or a broken bound.
    pub async fn request(&self, to: PeerId, bytes: Vec<u8>) -> Result<Vec<u8>, RequestError> {
        let max = self.shared.limits.fetch_request_bytes;
        if u32::try_from(bytes.len()).map_or(true, |len| len > max) {
            return Err(RequestError::TooLarge {
                len: bytes.len(),
                max,
            });
        }
        let slot = self
            .requests
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| RequestError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let patience = Duration::from_millis(self.shared.limits.request_timeout_ms) + GRACE;
        let asked = async {
            let command = Command::Request {
                to,
                bytes,
                reply,
                slot,
            };
            self.commands
                .send(command)
                .await
                .map_err(|_| RequestError::Closed)?;
            answer.await.unwrap_or(Err(RequestError::Closed))
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or(Err(RequestError::Timeout))
    }

    /// Answers a fetch; never blocks. An answer above `fetch_response_bytes`, or above the 64 MiB of payload that
    /// may wait, is dropped: the peer then learns that there is none.
    pub fn respond(&self, channel: ResponseChannel, bytes: Vec<u8>) {
        let max = self.shared.limits.fetch_response_bytes;
        let fits = u32::try_from(bytes.len()).is_ok_and(|len| len <= max);
        match self.share(bytes.len()).filter(|_| fits) {
            Some(share) => self.command(Command::Respond {
                channel,
                bytes,
                share,
            }),
            None => {
                count(&self.shared.counters.dropped_outgoing);
                tracing::warn!(len = bytes.len(), max, "answer dropped");
            }
        }
    }

    /// Gives the verdict on a gossip message; only [`Verdict::Accept`] forwards it.
    pub fn validate_gossip(&self, token: GossipToken, verdict: Verdict) {
        if verdict == Verdict::Reject {
            self.shared.charge(&token.source, Offence::Invalid);
        }
        self.command(Command::Validate { token, verdict });
    }

    /// Replaces the registry, at once. Peers that join it are pardoned; those that leave become observers. A key
    /// that is none is left out, and so are those beyond 1024; the ledger admits neither.
    pub fn set_validators(&self, keys: Vec<[u8; 32]>) {
        let peers: BTreeSet<PeerId> = keys.iter().take(VALIDATORS).filter_map(peer_id_of).collect();
        if peers.len() < keys.len() {
            tracing::error!(
                keys = keys.len(),
                usable = peers.len(),
                "registry with unusable keys"
            );
        }
        self.shared.book().set_validators(peers, Instant::now());
        self.shared.wake.notify_one();
    }

    /// Tells where a validator may be dialled, in addition to what it says itself; ignored for other peers and
    /// for addresses that are not IP or DNS with TCP or QUIC, and where only configured ones are dialled.
    pub fn add_address(&self, peer: PeerId, address: &Multiaddr) {
        self.shared.book().hint(&peer, address, Instant::now());
    }

    /// Charges a peer for what the application found. At [`crate::BAN_AT`] it is disconnected and banned.
    pub fn report(&self, peer: PeerId, offence: Offence) {
        self.shared.charge(&peer, offence);
    }

    /// The connected peers, in the order of their ids.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.shared.book().peers(Instant::now())
    }

    /// A reading of the counters.
    pub fn metrics(&self) -> Metrics {
        let peers = self.peers();
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let validators = peers.iter().filter(|peer| peer.validator).count();
        self.shared.counters.read(size(peers.len()), size(validators))
    }

    /// Closes all connections and listeners, and waits until that is done.
    pub async fn shutdown(&self) {
        self.shared.stop.notify_one();
        self.commands.closed().await;
    }

    /// A share of the budget of outgoing payload, in KiB.
    fn share(&self, len: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(len / 1024 + 1).ok()?;
        self.outgoing.clone().try_acquire_many_owned(kib).ok()
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            count(&self.shared.counters.dropped_outgoing);
            tracing::warn!("command dropped: the network is busy or shut down");
        }
    }
}
