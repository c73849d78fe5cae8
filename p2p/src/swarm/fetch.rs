//! Fetches: ours that wait for an answer, others' that wait for ours.

use std::io;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::request_response::{self, InboundRequestId, OutboundFailure, OutboundRequestId};
use tokio::sync::OwnedSemaphorePermit;

use super::Task;
use crate::codec::Request;
use crate::counters::count;
use crate::error::RequestError;
use crate::event::{Event, ResponseChannel};
use crate::peers::Kind;
use crate::score::Offence;

impl Task {
    pub(super) fn on_fetch(&mut self, event: request_response::Event<Request, Vec<u8>>) {
        use request_response::{Event as Fetch, Message};
        match event {
            Fetch::Message {
                peer,
                message:
                    Message::Request {
                        request_id,
                        request,
                        channel,
                    },
                ..
            } => {
                self.greet(peer);
                self.on_request(
                    peer,
                    request,
                    ResponseChannel {
                        channel,
                        id: request_id,
                    },
                );
            }
            Fetch::Message {
                message: Message::Response { request_id, response },
                ..
            } => {
                self.shared.counters.fetch_in.add(response.len());
                self.answer(request_id, Ok(response));
            }
            Fetch::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                let error = match error {
                    OutboundFailure::DialFailure => RequestError::NotConnected,
                    OutboundFailure::Timeout => RequestError::Timeout,
                    OutboundFailure::ConnectionClosed => RequestError::Disconnected,
                    OutboundFailure::UnsupportedProtocols => RequestError::Refused,
                    OutboundFailure::Io(error) => match error.kind() {
                        io::ErrorKind::InvalidData => {
                            self.shared.charge(&peer, Offence::Malformed);
                            count(&self.shared.counters.dropped_malformed);
                            RequestError::AnswerTooLarge
                        }
                        io::ErrorKind::UnexpectedEof => RequestError::Refused,
                        _ => RequestError::Io(error),
                    },
                };
                self.answer(request_id, Err(error));
            }
            Fetch::InboundFailure { peer, request_id, .. } | Fetch::ResponseSent { peer, request_id, .. } => {
                self.served(&peer, request_id);
            }
        }
    }

    /// A fetch above the rate or beyond what may wait is refused by dropping its channel, without a score: an
    /// honest node that catches up in haste does that.
    fn on_request(&mut self, from: PeerId, request: Request, channel: ResponseChannel) {
        let bytes = match request {
            Request::Sound(bytes) => bytes,
            Request::Malformed(error) => {
                tracing::warn!(%from, %error, "fetch refused");
                self.shared.charge(&from, Offence::Malformed);
                count(&self.shared.counters.dropped_malformed);
                return;
            }
        };
        let most = usize::try_from(self.shared.limits.requests_per_peer).unwrap_or(usize::MAX);
        let requests = self.serving.entry(from).or_default();
        let room = requests.len() < most;
        if !room
            || !self
                .shared
                .book()
                .allow(&from, Kind::Fetch, bytes.len(), Instant::now())
        {
            count(&self.shared.counters.dropped_rate);
            return;
        }
        requests.insert(channel.id, None);
        self.shared.counters.fetch_in.add(bytes.len());
        self.emit(Event::Request { from, bytes, channel });
    }

    fn served(&mut self, peer: &PeerId, id: InboundRequestId) {
        if let Some(requests) = self.serving.get_mut(peer) {
            requests.remove(&id);
        }
    }

    fn answer(&mut self, id: OutboundRequestId, result: Result<Vec<u8>, RequestError>) {
        if let Some((reply, _slot)) = self.asked.remove(&id) {
            // The asker may have stopped waiting; then nobody minds.
            let _ = reply.send(result);
        }
    }

    /// Hands an answer to its connection; its share of the budget is held until it is written.
    pub(super) fn respond(&mut self, answer: ResponseChannel, bytes: Vec<u8>, share: OwnedSemaphorePermit) {
        let waiting = self
            .serving
            .values_mut()
            .find_map(|requests| requests.get_mut(&answer.id));
        let len = bytes.len();
        let sent = self
            .swarm
            .behaviour_mut()
            .fetch
            .send_response(answer.channel, bytes)
            .is_ok();
        match waiting {
            Some(slot) if sent => {
                *slot = Some(share);
                self.shared.counters.fetch_out.add(len);
            }
            _ => count(&self.shared.counters.dropped_outgoing),
        }
    }
}
