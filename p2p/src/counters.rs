//! Counters of what went in, out and nowhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// Messages and their payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages.
    pub messages: u64,
    /// Payload bytes, without framing and encryption.
    pub bytes: u64,
}

/// A reading of all counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Direct messages that were received and not dropped.
    pub direct_in: Traffic,
    /// Direct messages that were written to a stream.
    pub direct_out: Traffic,
    /// Gossip messages received for the first time and not dropped.
    pub gossip_in: Traffic,
    /// Gossip messages published here (what was forwarded for others is not counted).
    pub gossip_out: Traffic,
    /// Requests received and answers to ours.
    pub fetch_in: Traffic,
    /// Requests of ours and answers given.
    pub fetch_out: Traffic,
    /// Direct messages that a full queue, a missing connection or their length kept here.
    pub dropped_queue: u64,
    /// Received messages above their sender's rate.
    pub dropped_rate: u64,
    /// Received messages that their sender may not send: consensus from a peer outside the registry.
    pub dropped_refused: u64,
    /// Received messages that broke a bound or did not decode.
    pub dropped_malformed: u64,
    /// Publications, verdicts and answers that found no room, no listener or no asker.
    pub dropped_outgoing: u64,
    /// Bans pronounced.
    pub bans: u64,
    /// Connections that were refused: banned peer, or no room.
    pub refused_connections: u64,
    /// Peers connected now.
    pub peers: u64,
    /// Validators among them.
    pub validators: u64,
}

/// One direction of one kind.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Flow {
    pub(crate) fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes
            .fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn read(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// The live counters. They are read one by one: a snapshot is not a single instant.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) direct_in: Flow,
    pub(crate) direct_out: Flow,
    pub(crate) gossip_in: Flow,
    pub(crate) gossip_out: Flow,
    pub(crate) fetch_in: Flow,
    pub(crate) fetch_out: Flow,
    pub(crate) dropped_queue: AtomicU64,
    pub(crate) dropped_rate: AtomicU64,
    pub(crate) dropped_refused: AtomicU64,
    pub(crate) dropped_malformed: AtomicU64,
    pub(crate) dropped_outgoing: AtomicU64,
    pub(crate) bans: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn read(&self, peers: u64, validators: u64) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            direct_in: self.direct_in.read(),
            direct_out: self.direct_out.read(),
            gossip_in: self.gossip_in.read(),
            gossip_out: self.gossip_out.read(),
            fetch_in: self.fetch_in.read(),
            fetch_out: self.fetch_out.read(),
            dropped_queue: get(&self.dropped_queue),
            dropped_rate: get(&self.dropped_rate),
            dropped_refused: get(&self.dropped_refused),
            dropped_malformed: get(&self.dropped_malformed),
            dropped_outgoing: get(&self.dropped_outgoing),
            bans: get(&self.bans),
            refused_connections: get(&self.refused_connections),
            peers,
            validators,
        }
    }
}
