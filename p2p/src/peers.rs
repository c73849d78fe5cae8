//! The peer book: who is connected, who is a validator, who misbehaved, whom to dial.
//!
//! Shared between the application's handle and the swarm task; every method takes the time and is short. A peer
//! is remembered while it is connected, in the registry or in the configuration, and beyond that only while its
//! score has not faded, at most [`STRANGERS`] of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use crate::dial::{Dial, dialable, is_loopback};
use crate::event::Topic;
use crate::limits::{CONNECTIONS_PER_PEER, HANDSHAKE, Limits, Rates};
use crate::queue::Queue;
use crate::rate::Bucket;
use crate::score::{BAN_AT, Offence, Score};

/// Peers remembered for their misbehaviour alone.
const STRANGERS: usize = 1024;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The peer dialled us.
    Inbound,
    /// We dialled the peer.
    Outbound,
}

/// What is known of a connected peer.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Its identity.
    pub peer: PeerId,
    /// Whether it is in the registry.
    pub validator: bool,
    /// Its end of the newest connection.
    pub address: Multiaddr,
    /// Where it may be dialled again: at most eight addresses, of validators and configured peers only.
    pub known_addresses: Vec<Multiaddr>,
    /// The last round trip in milliseconds, rounded up; `None` before the first ping.
    pub rtt_ms: Option<u32>,
    /// Who opened the newest connection.
    pub direction: Direction,
    /// Zero or less; at [`BAN_AT`] it is banned.
    pub score: f64,
}

/// A kind of message with a rate of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Direct,
    Gossip(Topic),
    Fetch,
}

/// What has to happen before a connection serves all purposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The direct stream was negotiated.
    Direct,
    /// The peer subscribed to a topic.
    Topic(Topic),
}

const STEPS: usize = 1 + Topic::ALL.len();

/// How long a connection may take for these steps; a peer that only occupies a place is let go.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Why a connection is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("banned for another {0:?}")]
    Banned(Duration),
    #[error("no room: {0} connections")]
    Full(usize),
    #[error("that is this node itself")]
    Own,
    #[error("it was connected, and has come anew: the old connection is dropped first")]
    Anew,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) address: Multiaddr,
    pub(crate) direction: Direction,
    pub(crate) since: Instant,
}

#[derive(Debug)]
struct Peer {
    queue: Arc<Queue>,
    /// Oldest first.
    connections: Vec<Connection>,
    steps: BTreeSet<Step>,
    /// Whether the application was told of it.
    announced: bool,
    rtt_ms: Option<u32>,
    score: Score,
    banned_until: Option<Instant>,
    direct: Bucket,
    gossip: Bucket,
    system: Bucket,
    fetch: Bucket,
    dial: Dial,
}

impl Peer {
    fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            queue: Arc::new(Queue::new(limits)),
            connections: Vec::new(),
            steps: BTreeSet::new(),
            announced: false,
            rtt_ms: None,
            score: Score::new(now),
            banned_until: None,
            direct: Bucket::full(now),
            gossip: Bucket::full(now),
            system: Bucket::full(now),
            fetch: Bucket::full(now),
            dial: Dial::new(now),
        }
    }

    fn banned(&self, now: Instant) -> Option<Duration> {
        self.banned_until
            .map(|until| until.saturating_duration_since(now))
            .filter(|left| !left.is_zero())
    }
}

#[derive(Debug)]
pub(crate) struct Book {
    me: PeerId,
    limits: Limits,
    max_connections: usize,
    /// Addresses of the configuration alone are dialled.
    pub(crate) configured_only: bool,
    validators: BTreeSet<PeerId>,
    peers: BTreeMap<PeerId, Peer>,
    /// Peers that the swarm task has to disconnect.
    evictions: BTreeSet<PeerId>,
}

impl Book {
    pub(crate) fn new(me: PeerId, limits: Limits, max_connections: u32) -> Self {
        let max_connections = usize::try_from(max_connections).unwrap_or(usize::MAX);
        Self {
            me,
            limits,
            max_connections,
            configured_only: false,
            validators: BTreeSet::new(),
            peers: BTreeMap::new(),
            evictions: BTreeSet::new(),
        }
    }

    pub(crate) fn is_validator(&self, peer: &PeerId) -> bool {
        self.validators.contains(peer)
    }

    pub(crate) fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|p| !p.connections.is_empty())
    }

    /// The queue of a peer that is connected or a validator.
    pub(crate) fn queue(&self, peer: &PeerId) -> Option<Arc<Queue>> {
        let known = self.peers.get(peer)?;
        (self.is_validator(peer) || !known.connections.is_empty()).then(|| known.queue.clone())
    }

    /// Whether a handshaken connection that a peer opened may stay, as [`Book::admit`].
    ///
    /// Nobody dials whom it is connected to, but for two that dial each other at once, and that is over after the time that a
    /// handshake may take. So a peer that dials later has lost what we hold for a connection: its process was killed, and over
    /// QUIC nobody said so. All that is old goes first, and then it is let in as one that comes for the first time: who shares
    /// a connection's state with a dead one, hears half of what is said to it.
    pub(crate) fn admit_dialler(&mut self, peer: PeerId, now: Instant) -> Result<Arc<Queue>, Refusal> {
        let newest = self.peers.get(&peer).and_then(|entry| entry.connections.last());
        if newest.is_some_and(|held| now.saturating_duration_since(held.since) > HANDSHAKE) {
            self.evictions.insert(peer);
            return Err(Refusal::Anew);
        }
        self.admit(peer, now)
    }

    /// Whether a handshaken connection may stay; gives the queue that its writer takes from.
    pub(crate) fn admit(&mut self, peer: PeerId, now: Instant) -> Result<Arc<Queue>, Refusal> {
        if peer == self.me {
            return Err(Refusal::Own);
        }
        if let Some(left) = self.peers.get(&peer).and_then(|p| p.banned(now)) {
            return Err(Refusal::Banned(left));
        }
        let (total, others) = self.connections();
        let room = if self.is_validator(&peer) {
            total < self.max_connections
        } else {
            total < self.max_connections && others < self.room_for_others()
        };
        // A peer's own third connection replaces its oldest, so it needs no room.
        let replaces = self
            .peers
            .get(&peer)
            .is_some_and(|p| p.connections.len() == CONNECTIONS_PER_PEER);
        if !room && !replaces {
            return Err(Refusal::Full(total));
        }
        Ok(self.entry(peer, now).queue.clone())
    }

    /// Notes a connection; gives the one to close if the peer has too many.
    pub(crate) fn opened(
        &mut self,
        peer: PeerId,
        connection: Connection,
        now: Instant,
    ) -> Option<ConnectionId> {
        let entry = self.entry(peer, now);
        entry.dial.connected(entry.connections.is_empty(), now);
        entry.connections.push(connection);
        let surplus = entry.connections.len() > CONNECTIONS_PER_PEER;
        surplus
            .then(|| entry.connections.first().map(|oldest| oldest.id))
            .flatten()
    }

    pub(crate) fn closed(&mut self, peer: PeerId, connection: ConnectionId, now: Instant) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.connections.retain(|known| known.id != connection);
            if entry.connections.is_empty() {
                entry.rtt_ms = None;
                entry.steps.clear();
                entry.dial.lost(now);
            }
        }
    }

    /// Notes a step; true when all are done.
    pub(crate) fn progress(&mut self, peer: &PeerId, step: Step) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else {
            return false;
        };
        entry.steps.insert(step);
        entry.steps.len() == STEPS
    }

    /// The peer proved to be of this chain. True the first time: then the application is to be told.
    pub(crate) fn greet(&mut self, peer: &PeerId) -> bool {
        match self.peers.get_mut(peer) {
            Some(entry) if !entry.connections.is_empty() => !std::mem::replace(&mut entry.announced, true),
            _ => false,
        }
    }

    /// The last connection closed. True if the application knows the peer: then it is to be told.
    pub(crate) fn farewell(&mut self, peer: &PeerId) -> bool {
        self.peers
            .get_mut(peer)
            .is_some_and(|entry| std::mem::replace(&mut entry.announced, false))
    }

    pub(crate) fn set_rtt(&mut self, peer: &PeerId, rtt: Duration) {
        if let Some(entry) = self.peers.get_mut(peer) {
            let ms = rtt.as_micros().div_ceil(1000);
            entry.rtt_ms = Some(u32::try_from(ms).unwrap_or(u32::MAX));
        }
    }

    /// Whether a message is within its sender's rate.
    pub(crate) fn allow(&mut self, peer: &PeerId, kind: Kind, len: usize, now: Instant) -> bool {
        let rates: Rates = if self.is_validator(peer) {
            self.limits.validator
        } else {
            self.limits.observer
        };
        let limits = self.limits;
        let Some(entry) = self.peers.get_mut(peer) else {
            return false;
        };
        match kind {
            Kind::Direct => entry.direct.take(rates.direct, limits.direct_bytes, len, now),
            Kind::Gossip(Topic::System) => entry.system.take(rates.system, limits.system_bytes, len, now),
            Kind::Gossip(_) => entry.gossip.take(rates.gossip, limits.gossip_bytes, len, now),
            Kind::Fetch => entry
                .fetch
                .take(rates.fetch, limits.fetch_request_bytes, len, now),
        }
    }

    /// Charges an offence; true if that gets the peer banned.
    pub(crate) fn charge(&mut self, peer: &PeerId, offence: Offence, now: Instant) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else {
            return false;
        };
        if entry.banned(now).is_some() || entry.score.charge(offence, now) > BAN_AT {
            return false;
        }
        self.ban(peer, now)
    }

    /// Bans a peer and has it disconnected; false if it is banned already. Afterwards it starts half way to the
    /// next ban.
    pub(crate) fn ban(&mut self, peer: &PeerId, now: Instant) -> bool {
        let ms = if self.is_validator(peer) {
            self.limits.validator_ban_ms
        } else {
            self.limits.ban_ms
        };
        let Some(entry) = self.peers.get_mut(peer) else {
            return false;
        };
        if entry.banned(now).is_some() {
            return false;
        }
        entry.banned_until = Some(now + Duration::from_millis(ms));
        entry.score.set(BAN_AT / 2.0, now);
        self.evictions.insert(*peer);
        true
    }

    /// The peers to disconnect now.
    pub(crate) fn take_evictions(&mut self) -> BTreeSet<PeerId> {
        std::mem::take(&mut self.evictions)
    }

    /// Replaces the registry. Who joins it starts afresh: a node that was behind may have scored it for
    /// consensus messages that were right.
    pub(crate) fn set_validators(&mut self, mut validators: BTreeSet<PeerId>, now: Instant) {
        validators.remove(&self.me);
        let joined: Vec<PeerId> = validators.difference(&self.validators).copied().collect();
        self.validators = validators;
        for peer in joined {
            let entry = self.entry(peer, now);
            entry.banned_until = None;
            entry.score = Score::new(now);
            self.evictions.remove(&peer);
        }
        let surplus = self.connections().1.saturating_sub(self.room_for_others());
        let others = self
            .peers
            .iter()
            .filter(|(peer, _)| !self.validators.contains(peer));
        let connected = others.filter(|(_, entry)| !entry.connections.is_empty());
        self.evictions
            .extend(connected.map(|(peer, _)| *peer).take(surplus));
    }

    /// A peer of the configuration, to be kept connected.
    pub(crate) fn add_fixed(&mut self, peer: PeerId, address: Multiaddr, now: Instant) {
        if peer != self.me {
            self.entry(peer, now).dial.fix(address);
        }
    }

    /// Addresses that a connected peer says it listens on; kept if it is a validator.
    pub(crate) fn learn(&mut self, peer: &PeerId, addresses: &[Multiaddr]) {
        if self.configured_only || !self.is_validator(peer) {
            return;
        }
        if let Some(entry) = self.peers.get_mut(peer) {
            let near = entry
                .connections
                .iter()
                .all(|connection| is_loopback(&connection.address));
            entry.dial.learn(
                addresses
                    .iter()
                    .filter_map(|address| dialable(address, peer, near)),
            );
        }
    }

    /// An address that the application knows; kept if the peer is a validator.
    pub(crate) fn hint(&mut self, peer: &PeerId, address: &Multiaddr, now: Instant) {
        if self.configured_only {
            return;
        }
        if let Some(address) = dialable(address, peer, true).filter(|_| self.is_validator(peer)) {
            self.entry(*peer, now).dial.hint(address, now);
        }
    }

    /// Whom to dial now, and where; each dial counts as begun.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let validators = &self.validators;
        let absent = self.peers.iter_mut().filter(|(peer, entry)| {
            entry.connections.is_empty()
                && entry.banned(now).is_none()
                && (entry.dial.is_fixed() || validators.contains(peer))
        });
        absent
            .filter_map(|(peer, entry)| Some((*peer, entry.dial.begin(now)?)))
            .collect()
    }

    pub(crate) fn dial_failed(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.dial.failed(now);
        }
    }

    /// Connected peers that did not do all steps in [`READY_WITHIN`], nor said anything.
    pub(crate) fn unready(&self, now: Instant) -> Vec<PeerId> {
        let late = |entry: &Peer| {
            let waited = now.saturating_duration_since(entry.dial.since());
            !entry.announced && !entry.connections.is_empty() && waited > READY_WITHIN
        };
        self.peers
            .iter()
            .filter(|(_, entry)| late(entry))
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// Forgets who need not be remembered; beyond [`STRANGERS`] those with the mildest scores.
    pub(crate) fn prune(&mut self, now: Instant) {
        let mut strangers = Vec::new();
        for (peer, entry) in &self.peers {
            if entry.connections.is_empty() && !entry.dial.is_fixed() && !self.validators.contains(peer) {
                strangers.push((entry.score.value(now), *peer));
            }
        }
        strangers.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (position, (score, peer)) in strangers.into_iter().enumerate() {
            if position >= STRANGERS || score == 0.0 {
                self.peers.remove(&peer);
            }
        }
    }

    /// The connected peers that the application knows of.
    pub(crate) fn peers(&self, now: Instant) -> Vec<PeerInfo> {
        let announced = self.peers.iter().filter(|(_, entry)| entry.announced);
        announced
            .filter_map(|(peer, entry)| {
                let newest = entry.connections.last()?;
                Some(PeerInfo {
                    peer: *peer,
                    validator: self.is_validator(peer),
                    address: newest.address.clone(),
                    known_addresses: entry.dial.addresses().to_vec(),
                    rtt_ms: entry.rtt_ms,
                    direction: newest.direction,
                    score: entry.score.value(now),
                })
            })
            .collect()
    }

    fn entry(&mut self, peer: PeerId, now: Instant) -> &mut Peer {
        self.peers
            .entry(peer)
            .or_insert_with(|| Peer::new(&self.limits, now))
    }

    /// All connections, and those of peers that are no validators.
    fn connections(&self) -> (usize, usize) {
        self.peers.iter().fold((0, 0), |(total, others), (peer, entry)| {
            let count = entry.connections.len();
            (
                total + count,
                others + if self.validators.contains(peer) { 0 } else { count },
            )
        })
    }

    /// What is not kept free for validators.
    fn room_for_others(&self) -> usize {
        let kept = self.validators.len() * CONNECTIONS_PER_PEER;
        self.max_connections - kept.min(self.max_connections / 4 * 3)
    }
}

#[cfg(test)]
mod tests;
