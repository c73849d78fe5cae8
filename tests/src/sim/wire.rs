//! What travels between nodes, and the network that carries it or does not.

use std::sync::Arc;

use tacit_consensus::{Epoch, Millis};
use tacit_ledger::{OpenedEnvelope, codec};
use tacit_node::{
    replica::{Loaded, NodeKey},
    wire::{Announcement, FetchRequest, FetchResponse, MAX_FETCH_RESPONSE_BYTES},
};

use super::{
    swarm::weather::{Kind, Weather},
    world::World,
};

/// What travels.
pub(super) enum Packet {
    Connected(NodeKey),
    Disconnected(NodeKey),
    Direct(Vec<u8>),
    Batch(Vec<u8>),
    System(Vec<u8>),
    Announcement(Announcement),
    Request {
        life: u64,
        request: u64,
        what: FetchRequest,
    },
    Response {
        life: u64,
        request: u64,
        response: Option<FetchResponse>,
    },
    Loaded {
        life: u64,
        loaded: Box<Loaded>,
    },
    Opened {
        life: u64,
        epoch: Epoch,
        envelopes: Vec<Arc<OpenedEnvelope>>,
        failed: u32,
    },
}

impl Packet {
    fn kind(&self) -> Kind {
        match self {
            Self::Connected(_) | Self::Disconnected(_) | Self::Loaded { .. } | Self::Opened { .. } => {
                Kind::Transport
            }
            Self::Request { .. } => Kind::Request,
            Self::Response { .. } => Kind::Response,
            Self::Direct(_) | Self::Batch(_) | Self::System(_) | Self::Announcement(_) => Kind::Message,
        }
    }

    /// The same once more, where a network may do that.
    fn again(&self) -> Option<Self> {
        match self {
            Self::Direct(bytes) => Some(Self::Direct(bytes.clone())),
            Self::Batch(bytes) => Some(Self::Batch(bytes.clone())),
            Self::System(bytes) => Some(Self::System(bytes.clone())),
            Self::Announcement(one) => Some(Self::Announcement(*one)),
            _ => None,
        }
    }

    fn corrupt(&mut self, weather: &mut Weather) {
        match self {
            Self::Direct(bytes) | Self::Batch(bytes) | Self::System(bytes) => weather.corrupt(bytes),
            Self::Response { response, .. } => {
                if let Some(whole) = response.take() {
                    let mut bytes = borsh::to_vec(&whole).expect("encoded");
                    weather.corrupt(&mut bytes);
                    *response = codec::decode(&bytes, MAX_FETCH_RESPONSE_BYTES).ok();
                }
            }
            _ => {}
        }
    }

    /// Another answer than the one that was asked for.
    fn answer_wrongly(&mut self, how: usize) {
        let Self::Response {
            response: Some(response),
            ..
        } = self
        else {
            return;
        };
        *response = match (
            how,
            std::mem::replace(response, FetchResponse::Batches(Vec::new())),
        ) {
            (0, FetchResponse::Blocks(mut blocks)) => {
                blocks.reverse();
                FetchResponse::Blocks(blocks)
            }
            (1, FetchResponse::Blocks(mut blocks)) => {
                blocks.iter_mut().for_each(|block| block.receipts.clear());
                FetchResponse::Blocks(blocks)
            }
            (2, FetchResponse::Standing(mut answer)) => {
                answer.height += 1_000_000;
                FetchResponse::Standing(answer)
            }
            (3, _) => FetchResponse::Pruned { first: u64::MAX },
            (0 | 1, _) => FetchResponse::Blocks(Vec::new()),
            _ => FetchResponse::Epochs(Vec::new()),
        };
    }
}

pub(super) struct Delivery {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) packet: Packet,
}

impl World {
    /// What a node's end of a link notices of it: in the order in which it happens, as from any transport.
    pub(super) fn notice(&mut self, from: usize, to: usize, packet: Packet) {
        let (_, slowest) = self.options.delay_ms;
        self.queue_at(self.now + slowest, Delivery { from, to, packet });
    }

    /// A node's end of a link, unless it is cut, sees that the other is there.
    pub(super) fn connect(&mut self, from: usize, to: usize) {
        if !self.cut.contains(&(from, to)) {
            self.notice(from, to, Packet::Connected(self.key_of(from)));
        }
    }

    /// Everybody can reach everybody again, and connects.
    pub fn heal(&mut self) {
        for (from, to) in std::mem::take(&mut self.cut) {
            self.connect(from, to);
        }
    }

    /// Gossip: who is cut off from its author hears it from another.
    pub(super) fn gossip(&mut self, author: usize, packet: impl Fn() -> Packet) {
        let nodes = 0..self.nodes.len();
        for to in nodes.clone().filter(|to| *to != author) {
            let packet = packet();
            if matches!(packet, Packet::Batch(_)) && self.deaf.contains(&to) {
                continue;
            }
            if self.passes(author, to) {
                self.post(author, to, packet);
            } else if let Some(by) = nodes
                .clone()
                .find(|by| self.nodes[*by].is_up() && self.passes(author, *by) && self.passes(*by, to))
            {
                let from = author;
                let at = (self.now + 2 * self.options.delay_ms.1, self.number());
                self.queue.insert(at, Delivery { from, to, packet });
                self.note(&[b"relayed", &by.to_le_bytes()]);
            }
        }
    }

    fn passes(&mut self, from: usize, to: usize) -> bool {
        let weather = self.weather.as_mut();
        from != to
            && !self.cut.contains(&(from, to))
            && !weather.is_some_and(|weather| weather.is_cut(from, to))
    }

    /// Puts a packet on its way. Nothing is lost between a node and itself.
    pub(super) fn post(&mut self, from: usize, to: usize, packet: Packet) {
        if from == to {
            let at = (self.now + 1, self.number());
            self.queue.insert(at, Delivery { from, to, packet });
            return;
        }
        if let Some(weather) = self.weather.take() {
            return self.brave(weather, from, to, packet);
        }
        let (low, high) = self.options.delay_ms;
        let delay = low + self.draw() % (high - low + 1);
        let lost = self.draw() % 1_000 < self.options.loss || self.cut.contains(&(from, to));
        let packet = match (lost, packet) {
            (false, packet) => packet,
            // The asker's transport notices that no answer comes.
            (true, Packet::Response { life, request, .. }) => Packet::Response {
                life,
                request,
                response: None,
            },
            (true, Packet::Request { life, request, .. }) => {
                let at = (self.now + 2 * delay, self.number());
                let packet = Packet::Response {
                    life,
                    request,
                    response: None,
                };
                self.queue.insert(
                    at,
                    Delivery {
                        from: to,
                        to: from,
                        packet,
                    },
                );
                return;
            }
            (true, _) => return,
        };
        let at = (self.now + delay, self.number());
        self.queue.insert(at, Delivery { from, to, packet });
    }

    /// A direct message of bytes that nobody's replica made.
    pub(super) fn send_raw(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        self.note(&[b"raw", &from.to_le_bytes(), &to.to_le_bytes(), &bytes]);
        self.post(from, to, Packet::Direct(bytes));
    }

    /// Puts a packet on its way over a network that fails.
    fn brave(&mut self, mut weather: Box<Weather>, from: usize, to: usize, mut packet: Packet) {
        let fate = weather.fate(self.now, (from, to), packet.kind(), self.options.delay_ms);
        if fate.replay
            && let Some((sender, bytes)) = weather.old()
        {
            let whom = weather.below(self.nodes.len());
            if whom != sender {
                let packet = Packet::Direct(bytes);
                self.queue_at(
                    self.now + fate.fails_after,
                    Delivery {
                        from: sender,
                        to: whom,
                        packet,
                    },
                );
            }
        }
        if fate.corrupt {
            packet.corrupt(&mut weather);
        }
        if fate.wrong {
            packet.answer_wrongly(weather.below(4));
        }
        self.weather = Some(weather);
        if let Some(after) = fate.again
            && let Some(packet) = packet.again()
        {
            self.queue_at(self.now + after, Delivery { from, to, packet });
        }
        match (fate.after, packet) {
            (Some(after), packet) => self.queue_at(self.now + after, Delivery { from, to, packet }),
            (None, Packet::Response { life, request, .. }) => {
                let packet = Packet::Response {
                    life,
                    request,
                    response: None,
                };
                self.queue_at(self.now + fate.fails_after, Delivery { from, to, packet });
            }
            (None, Packet::Request { life, request, .. }) => {
                let packet = Packet::Response {
                    life,
                    request,
                    response: None,
                };
                self.queue_at(
                    self.now + fate.fails_after,
                    Delivery {
                        from: to,
                        to: from,
                        packet,
                    },
                );
            }
            (None, _) => {}
        }
    }

    pub(super) fn queue_at(&mut self, at: Millis, delivery: Delivery) {
        let place = (at, self.number());
        self.queue.insert(place, delivery);
    }
}
