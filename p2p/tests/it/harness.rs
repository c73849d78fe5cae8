//! A node with its events, and ways to wait for them.

use std::collections::VecDeque;
use std::time::Duration;

use tacit_p2p::{Config, Event, Identity, Limits, Multiaddr, Network, PeerId, start};
use tokio::sync::mpsc;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) peer: PeerId,
    /// Where it listens, with its peer id.
    pub(crate) address: Multiaddr,
    events: mpsc::Receiver<Event>,
    /// Events that came while another was waited for.
    kept: VecDeque<Event>,
}

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed([seed; 32])
}

/// A configuration on TCP, with the validators of these seeds.
pub(crate) fn config(validators: &[u8], bootstrap: &[&Node]) -> Config {
    Config {
        listen: vec![TCP.parse().expect("address")],
        bootstrap: bootstrap.iter().map(|node| node.address.clone()).collect(),
        chain: [7; 32],
        validators: validators.iter().map(|seed| identity(*seed).public()).collect(),
        max_connections: 50,
        configured_only: false,
        limits: Limits::default(),
    }
}

impl Node {
    /// Starts a node and waits until it listens.
    pub(crate) async fn start(seed: u8, config: Config) -> Self {
        let (network, events) = start(identity(seed), config).expect("it starts");
        let peer = network.local_peer();
        let (address, kept) = (Multiaddr::empty(), VecDeque::new());
        let mut node = Self {
            network,
            peer,
            address,
            events,
            kept,
        };
        if let Event::Listening(address) = node.expect(|event| matches!(event, Event::Listening(_))).await {
            node.address = address.with_p2p(peer).expect("it names nobody else");
        }
        node
    }

    /// The first event that `wanted` recognises; the others are kept for later, in order.
    pub(crate) async fn expect(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        if let Some(position) = self.kept.iter().position(&wanted) {
            return self.kept.remove(position).expect("found there");
        }
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("the network runs");
                if wanted(&event) {
                    return event;
                }
                self.kept.push_back(event);
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .expect("the event comes in time")
    }

    /// Waits for a connection; whether the peer is a validator here.
    pub(crate) async fn connected(&mut self, to: PeerId) -> bool {
        let wanted = |event: &Event| matches!(event, Event::Connected { peer, .. } if *peer == to);
        matches!(
            self.expect(wanted).await,
            Event::Connected { validator: true, .. }
        )
    }

    pub(crate) async fn disconnected(&mut self, from: PeerId) {
        self.expect(|event| matches!(event, Event::Disconnected { peer } if *peer == from))
            .await;
    }

    /// The next direct consensus message.
    pub(crate) async fn message(&mut self) -> (PeerId, Vec<u8>) {
        match self.expect(|event| matches!(event, Event::Message { .. })).await {
            Event::Message { from, bytes } => (from, bytes),
            other => unreachable!("{other:?}"),
        }
    }

    /// The next direct control message.
    pub(crate) async fn control(&mut self) -> (PeerId, Vec<u8>) {
        match self.expect(|event| matches!(event, Event::Control { .. })).await {
            Event::Control { from, bytes } => (from, bytes),
            other => unreachable!("{other:?}"),
        }
    }

    /// What has arrived and was not waited for.
    pub(crate) fn rest(&mut self) -> Vec<Event> {
        let mut rest: Vec<Event> = self.kept.drain(..).collect();
        while let Ok(event) = self.events.try_recv() {
            rest.push(event);
        }
        rest
    }
}

/// Waits for a state that no event tells of.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    socket.local_addr().expect("bound").port()
}
