//! The swarm task: drives libp2p, applies the book, and hands events to the application.
//!
//! While the application's channel is full the swarm is not polled: connections then stop reading, and the
//! slowness reaches the senders. Commands and dials go on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::request_response::{InboundRequestId, OutboundRequestId};
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{PeerId, Swarm, identify, ping};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::codec::Request;
use crate::config::Protocols;
use crate::counters::count;
use crate::direct::DirectEvent;
use crate::error::RequestError;
use crate::event::{Channel, Event, GossipToken, Topic, Verdict};
use crate::gossip::Topics;
use crate::handler::Report;
use crate::network::{Command, Shared};
use crate::peers::{Kind, PeerInfo, Step};
use crate::score::{BAN_AT, Offence};

/// How often due dials are looked for; half of the shortest wait between two.
const DIAL_TICK: Duration = Duration::from_millis(50);

/// How often the book is pruned and gossip is told our scores.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long the goodbye to connections may last.
const GOODBYE: Duration = Duration::from_millis(500);

mod fetch;

type Answer = oneshot::Sender<Result<Vec<u8>, RequestError>>;

pub(crate) struct Task {
    swarm: Swarm<Behaviour>,
    version: String,
    topics: Topics,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    /// Events that found the channel full: those of one swarm event.
    backlog: VecDeque<Event>,
    /// Fetches of ours; bounded by the slots they hold.
    asked: HashMap<OutboundRequestId, (Answer, OwnedSemaphorePermit)>,
    /// Fetches of others that wait for an answer or are being answered, by peer; bounded for each of them.
    serving: BTreeMap<PeerId, HashMap<InboundRequestId, Option<OwnedSemaphorePermit>>>,
}

impl Task {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        protocols: &Protocols,
        shared: Arc<Shared>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        Self {
            swarm,
            version: protocols.version.clone(),
            topics: Topics::of(protocols),
            shared,
            events,
            backlog: VecDeque::new(),
            asked: HashMap::new(),
            serving: BTreeMap::new(),
        }
    }

    /// Runs until the last handle or the application's receiver is gone, or `stop` is notified.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let shared = self.shared.clone();
        let events = self.events.clone();
        let mut dial = tokio::time::interval(DIAL_TICK);
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        dial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                permit = events.reserve(), if !self.backlog.is_empty() => match (permit, self.backlog.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    _ => break,
                },
                event = self.swarm.select_next_some(), if self.backlog.is_empty() => self.on_swarm(event),
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => break,
                },
                () = shared.wake.notified() => self.evict(),
                _ = dial.tick() => self.dial(),
                _ = housekeeping.tick() => self.keep_house(),
                () = shared.stop.notified() => break,
                () = events.closed() => break,
            }
        }
        // Connections that do not close in time are cut when the swarm goes.
        let _ = tokio::time::timeout(GOODBYE, self.close()).await;
        // Listeners first: `shutdown` returns when the command queue is gone.
        drop(self);
        drop(commands);
    }

    /// Closes every connection in good order, so that peers notice at once.
    async fn close(&mut self) {
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error means that it went by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        while self.swarm.network_info().num_peers() > 0 {
            self.swarm.select_next_some().await;
        }
    }

    fn emit(&mut self, event: Event) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(event);
        } else if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            self.backlog.push_back(event);
        }
    }

    /// A connection got so far. When all steps are done, both `send` and `publish` reach the peer: then the
    /// application is told, unless a message of the peer was faster.
    fn progress(&mut self, peer: PeerId, step: Step) {
        if self.shared.book().progress(&peer, step) {
            self.greet(peer);
        }
    }

    /// Tells the application of a peer that proved to be of this chain, once.
    fn greet(&mut self, peer: PeerId) {
        let (first, validator) = {
            let mut book = self.shared.book();
            (book.greet(&peer), book.is_validator(&peer))
        };
        if first {
            tracing::info!(%peer, validator, "peer connected");
            self.emit(Event::Connected { peer, validator });
        }
    }

    fn dial(&mut self) {
        let due = self.shared.book().due(Instant::now());
        for (peer, addresses) in due {
            // A fresh port: with the listener's, two nodes that dial at once would share one TCP connection in
            // which both are the initiator.
            let dial = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                .allocate_new_port()
                .build();
            if let Err(error) = self.swarm.dial(dial) {
                tracing::debug!(%peer, %error, "dial refused");
                self.shared.book().dial_failed(&peer, Instant::now());
            }
        }
    }

    fn evict(&mut self) {
        let peers = self.shared.book().take_evictions();
        for peer in peers {
            // An error means that it went by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// Forgets what has faded, lets go who never got ready, and tells gossip our scores. A peer that gossip alone
    /// finds twice as bad as a ban takes (it forges signatures, or breaks the mesh's rules without end) is banned.
    fn keep_house(&mut self) {
        let (peers, unready) = {
            let (mut book, now) = (self.shared.book(), Instant::now());
            book.prune(now);
            (book.peers(now), book.unready(now))
        };
        for peer in unready {
            tracing::info!(%peer, "peer did not get ready in time");
            // An error means that it went by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        for PeerInfo { peer, score, .. } in peers {
            let gossip = &mut self.swarm.behaviour_mut().gossip;
            gossip.set_application_score(&peer, score);
            let total = gossip.peer_score(&peer).unwrap_or(0.0);
            if total <= 2.0 * BAN_AT {
                tracing::warn!(%peer, total, "peer abuses gossip");
                self.ban(peer);
            }
        }
    }

    fn ban(&mut self, peer: PeerId) {
        if self.shared.book().ban(&peer, Instant::now()) {
            count(&self.shared.counters.bans);
        }
        self.evict();
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes, .. } => self.publish(topic, bytes),
            Command::Request {
                to,
                bytes,
                reply,
                slot,
            } => {
                if self.shared.book().is_connected(&to) {
                    self.shared.counters.fetch_out.add(bytes.len());
                    let id = self
                        .swarm
                        .behaviour_mut()
                        .fetch
                        .send_request(&to, Request::Sound(bytes));
                    self.asked.insert(id, (reply, slot));
                } else {
                    // The asker may have gone; then nobody minds.
                    let _ = reply.send(Err(RequestError::NotConnected));
                }
            }
            Command::Respond {
                channel,
                bytes,
                share,
            } => self.respond(channel, bytes, share),
            Command::Validate { token, verdict } => {
                let acceptance = match verdict {
                    Verdict::Accept => MessageAcceptance::Accept,
                    Verdict::Ignore => MessageAcceptance::Ignore,
                    Verdict::Reject => MessageAcceptance::Reject,
                };
                let gossip = &mut self.swarm.behaviour_mut().gossip;
                if !gossip.report_message_validation_result(&token.id, &token.source, acceptance) {
                    count(&self.shared.counters.dropped_outgoing);
                }
            }
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        let len = bytes.len();
        let ident = self.topics.ident(topic).clone();
        match self.swarm.behaviour_mut().gossip.publish(ident, bytes) {
            Ok(_) => self.shared.counters.gossip_out.add(len),
            // The same content was published or received already: it is on its way.
            Err(gossipsub::PublishError::Duplicate) => {}
            Err(error) => {
                count(&self.shared.counters.dropped_outgoing);
                tracing::debug!(?topic, len, %error, "publication reached nobody");
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Direct(event)) => self.on_direct(event),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Fetch(event)) => self.on_fetch(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event),
            SwarmEvent::ConnectionClosed {
                peer_id: peer,
                num_established: 0,
                cause,
                ..
            } => {
                self.serving.remove(&peer);
                if self.shared.book().farewell(&peer) {
                    tracing::info!(%peer, ?cause, "peer disconnected");
                    self.emit(Event::Disconnected { peer });
                }
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "dial failed");
                self.shared.book().dial_failed(&peer, Instant::now());
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.emit(Event::Listening(address));
            }
            SwarmEvent::ListenerClosed {
                addresses,
                reason: Err(error),
                ..
            } => {
                tracing::error!(?addresses, %error, "listener failed");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            _ => {}
        }
    }

    fn on_direct(&mut self, DirectEvent { peer, report }: DirectEvent) {
        match report {
            Report::Ready => self.progress(peer, Step::Direct),
            Report::Message(channel, bytes) => {
                self.greet(peer);
                self.on_message(peer, channel, bytes);
            }
            Report::Malformed(error) => {
                tracing::warn!(%peer, %error, "direct message refused");
                self.shared.charge(&peer, Offence::Malformed);
                count(&self.shared.counters.dropped_malformed);
            }
            Report::Unusable => {
                tracing::debug!(%peer, "no direct stream can be opened");
                // An error means that it went by itself.
                let _ = self.swarm.disconnect_peer_id(peer);
            }
        }
    }

    fn on_message(&mut self, from: PeerId, channel: Channel, bytes: Vec<u8>) {
        let (allowed, validator) = {
            let mut book = self.shared.book();
            (
                book.allow(&from, Kind::Direct, bytes.len(), Instant::now()),
                book.is_validator(&from),
            )
        };
        if !allowed {
            self.shared.charge(&from, Offence::Spam);
            count(&self.shared.counters.dropped_rate);
            return;
        }
        if channel == Channel::Consensus && !validator {
            self.shared.charge(&from, Offence::Useless);
            count(&self.shared.counters.dropped_refused);
            return;
        }
        self.shared.counters.direct_in.add(bytes.len());
        self.emit(match channel {
            Channel::Consensus => Event::Message { from, bytes },
            Channel::Control => Event::Control { from, bytes },
        });
    }

    fn drop_gossip(&mut self, id: &gossipsub::MessageId, from: &PeerId, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(id, from, acceptance);
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source: from,
                message_id: id,
                message,
            } => {
                self.greet(from);
                let Some(topic) = self.topics.of_hash(&message.topic) else {
                    return;
                };
                // Strict signing: a message without a verified author does not get here.
                let author = message.source.unwrap_or(from);
                let bytes = message.data;
                let max = self.shared.limits.gossip_bytes_on(topic);
                if u32::try_from(bytes.len()).map_or(true, |len| len > max) {
                    // Within the bound of all gossip, beyond that of this topic: every honest peer refused it too.
                    self.shared.charge(&from, Offence::Malformed);
                    count(&self.shared.counters.dropped_malformed);
                    self.drop_gossip(&id, &from, MessageAcceptance::Reject);
                    return;
                }
                let kind = Kind::Gossip(topic);
                let allowed = self.shared.book().allow(&from, kind, bytes.len(), Instant::now());
                if !allowed {
                    self.shared.charge(&from, Offence::Spam);
                    count(&self.shared.counters.dropped_rate);
                    self.drop_gossip(&id, &from, MessageAcceptance::Ignore);
                    return;
                }
                self.shared.counters.gossip_in.add(bytes.len());
                let token = GossipToken { id, source: from };
                self.emit(Event::Gossip {
                    topic,
                    from,
                    author,
                    bytes,
                    token,
                });
            }
            gossipsub::Event::SlowPeer {
                peer_id: peer,
                failed_messages,
            } => {
                tracing::debug!(%peer, ?failed_messages, "peer is slow to take gossip");
            }
            gossipsub::Event::Subscribed { peer_id: peer, topic } => {
                if let Some(topic) = self.topics.of_hash(&topic) {
                    self.progress(peer, Step::Topic(topic));
                }
            }
            // A peer of another network shows by identify; one that never gets ready is let go by `keep_house`.
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn on_identify(&mut self, event: identify::Event) {
        if let identify::Event::Received {
            peer_id: peer, info, ..
        } = event
        {
            if info.protocol_version == self.version {
                self.shared.book().learn(&peer, &info.listen_addrs);
            } else {
                tracing::warn!(%peer, theirs = %info.protocol_version.escape_debug(), "peer of another network");
                self.ban(peer);
            }
        }
    }

    fn on_ping(
        &mut self,
        ping::Event {
            peer,
            connection,
            result,
        }: ping::Event,
    ) {
        match result {
            Ok(rtt) => self.shared.book().set_rtt(&peer, rtt),
            Err(error) => {
                tracing::info!(%peer, %error, "no answer to a ping, connection closed");
                self.swarm.close_connection(connection);
            }
        }
    }
}
