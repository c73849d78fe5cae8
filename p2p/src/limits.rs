//! The bounds on what a peer may make this node hold or do, each with its unit and reason.

use std::time::Duration;

use crate::error::Error;
use crate::event::Topic;

/// How long a peer that is no validator stays banned, in milliseconds.
pub const BAN_MS: u64 = 60_000;

/// Seconds of its rate that a peer may use at once after a quiet time.
pub(crate) const BURST_S: u32 = 2;

/// Connections a peer may hold: two, so that two nodes that dial each other at once both succeed. A third one
/// closes the oldest, which is most likely dead without having said so.
pub(crate) const CONNECTIONS_PER_PEER: usize = 2;

/// Handshakes in progress, inbound; a handshake costs CPU and a socket, and lasts 5 s at most.
pub(crate) const PENDING_INBOUND: u32 = 64;

/// A handshake that takes longer is given up.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);

/// Dials in progress.
pub(crate) const PENDING_OUTBOUND: u32 = 128;

/// Streams a TCP connection may have open: direct, gossip, ping, identify and fetches both ways.
pub(crate) const STREAMS_PER_CONNECTION: usize = 64;

/// Events that wait for the application; each holds one message of at most `gossip_bytes` or `direct_bytes`.
pub(crate) const EVENTS: usize = 128;

/// Commands that wait for the swarm task.
pub(crate) const COMMANDS: usize = 1024;

/// Payload of our own publications and answers that may wait, in KiB: 64 MiB.
pub(crate) const OUTGOING_KIB: usize = 64 * 1024;

/// Fetches of our own in progress; times `fetch_response_bytes`, what they may hold: 256 MiB.
pub(crate) const REQUESTS: usize = 32;

/// Validators that the registry may name.
pub(crate) const VALIDATORS: usize = 1024;

/// What a peer may send, per second; twice that at once after a quiet time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Messages a second.
    pub messages: u32,
    /// Payload bytes a second.
    pub bytes: u32,
}

/// A peer's rates by kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Direct messages.
    pub direct: Rate,
    /// Gossip messages first received from the peer (repeats are dropped before they count), but those on
    /// [`Topic::System`](crate::Topic::System).
    pub gossip: Rate,
    /// The same on [`Topic::System`](crate::Topic::System): a rate of its own, so that a flood there costs the peer
    /// none of its batches, and none of this node's time beyond it.
    pub system: Rate,
    /// Fetch requests.
    pub fetch: Rate,
}

/// Bounds on messages, queues and rates. The defaults fit networks of 4 to 100 validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload of a direct message, bytes. A proposal with its certificates and registrations stays far below.
    pub direct_bytes: u32,
    /// Payload of a gossip message, bytes: one batch.
    pub gossip_bytes: u32,
    /// Payload of a gossip message on [`Topic::System`](crate::Topic::System), bytes: vendor collateral is the largest.
    pub system_bytes: u32,
    /// Payload of a fetch request, bytes: a list of digests, a range, or what an observer relays.
    pub fetch_request_bytes: u32,
    /// Payload of a fetch answer, bytes: a run of blocks or a part of a snapshot.
    pub fetch_response_bytes: u32,
    /// Direct messages that wait for one peer; the oldest is dropped when another comes.
    pub queue_messages: u32,
    /// Their payload in bytes; at least `direct_bytes`.
    pub queue_bytes: u32,
    /// Fetch requests of one peer that may wait for the application's answer.
    pub requests_per_peer: u32,
    /// What a validator may send.
    pub validator: Rates,
    /// What any other peer may send.
    pub observer: Rates,
    /// How long a peer that is no validator stays banned, milliseconds.
    pub ban_ms: u64,
    /// How long a validator stays banned, milliseconds; short, since liveness needs its votes.
    pub validator_ban_ms: u64,
    /// How long a fetch may last, milliseconds.
    pub request_timeout_ms: u64,
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;

impl Default for Limits {
    fn default() -> Self {
        Self {
            direct_bytes: MIB,
            gossip_bytes: MIB,
            system_bytes: 132 * KIB,
            fetch_request_bytes: 160 * KIB,
            fetch_response_bytes: 8 * MIB,
            queue_messages: 1024,
            queue_bytes: 8 * MIB,
            requests_per_peer: 16,
            validator: Rates {
                direct: Rate {
                    messages: 2000,
                    bytes: 32 * MIB,
                },
                gossip: Rate {
                    messages: 1000,
                    bytes: 32 * MIB,
                },
                // Each costs its receiver up to some milliseconds of signature checks.
                system: Rate {
                    messages: 50,
                    bytes: 2 * MIB,
                },
                fetch: Rate {
                    messages: 200,
                    bytes: 4 * MIB,
                },
            },
            observer: Rates {
                direct: Rate {
                    messages: 20,
                    bytes: MIB,
                },
                // Observers relay what validators publish, so this cannot be as tight as the rest.
                gossip: Rate {
                    messages: 500,
                    bytes: 16 * MIB,
                },
                system: Rate {
                    messages: 10,
                    bytes: MIB / 2,
                },
                fetch: Rate {
                    messages: 50,
                    bytes: MIB,
                },
            },
            ban_ms: BAN_MS,
            validator_ban_ms: 5_000,
            request_timeout_ms: 10_000,
        }
    }
}

impl Limits {
    /// Payload of a gossip message on a topic, bytes.
    pub(crate) fn gossip_bytes_on(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Batches | Topic::Announcements => self.gossip_bytes,
            Topic::System => self.system_bytes,
        }
    }

    /// Refuses limits under which nothing could pass, or with which memory would not be bounded.
    pub(crate) fn check(&self) -> Result<(), Error> {
        const MOST: u32 = 64 * MIB;
        let sizes = [
            ("direct_bytes", self.direct_bytes),
            ("gossip_bytes", self.gossip_bytes),
            ("system_bytes", self.system_bytes),
            ("fetch_request_bytes", self.fetch_request_bytes),
            ("fetch_response_bytes", self.fetch_response_bytes),
        ];
        for (what, value) in sizes {
            if value == 0 || value > MOST {
                return Err(Error::Limits {
                    what,
                    value: value.into(),
                    bound: "1 byte to 64 MiB",
                });
            }
        }
        if self.queue_bytes < self.direct_bytes {
            let value = self.queue_bytes.into();
            return Err(Error::Limits {
                what: "queue_bytes",
                value,
                bound: "at least direct_bytes",
            });
        }
        for (what, value) in [
            ("queue_messages", u64::from(self.queue_messages)),
            ("requests_per_peer", u64::from(self.requests_per_peer)),
            ("request_timeout_ms", self.request_timeout_ms),
        ] {
            if value == 0 {
                return Err(Error::Limits {
                    what,
                    value,
                    bound: "at least 1",
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound() {
        assert!(Limits::default().check().is_ok());
    }

    #[test]
    fn contradictions_are_named() {
        let limits = Limits {
            queue_bytes: 10,
            ..Limits::default()
        };
        assert!(matches!(
            limits.check(),
            Err(Error::Limits {
                what: "queue_bytes",
                value: 10,
                ..
            })
        ));
        let limits = Limits {
            fetch_response_bytes: u32::MAX,
            ..Limits::default()
        };
        assert!(matches!(
            limits.check(),
            Err(Error::Limits {
                what: "fetch_response_bytes",
                ..
            })
        ));
    }
}
