//! From the network to the replica: everything is decoded within its bound here, and what needs only the store
//! is answered here.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tacit_ledger::{Batch, codec};
use tacit_p2p::{Event, GossipToken, Offence, PeerId, ResponseChannel, Topic, Verdict, node_key_of};
use tokio::sync::mpsc;

use crate::{
    handle::{NodeHandle, ToReplica},
    replica::{Input, Question, SystemSource},
    serving,
    wire::{
        Announcement, Direct, FetchRequest, FetchResponse, MAX_ANNOUNCEMENT_BYTES, MAX_BATCHES_PER_FETCH,
        MAX_DIRECT_BYTES, MAX_FETCH_REQUEST_BYTES, RelayAccepted, RelayRefused, SystemGossip,
    },
};

/// Gossip that waits for the replica's verdict; p2p itself forgets it after a few seconds.
const MAX_TOKENS: usize = 4_096;

/// Names for gossip on its way through the replica, which knows nothing of p2p.
#[derive(Default)]
pub(crate) struct GossipTokens {
    next: AtomicU64,
    held: Mutex<BTreeMap<u64, GossipToken>>,
}

impl GossipTokens {
    fn put(&self, token: GossipToken) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(number, token);
        while held.len() > MAX_TOKENS {
            held.pop_first();
        }
        number
    }

    pub(crate) fn take(&self, number: u64) -> Option<GossipToken> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&number)
    }
}

/// Passes the network's events on until either side ends.
pub(crate) async fn serve_network(node: NodeHandle, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        let input = match event {
            Event::Message { from, bytes } | Event::Control { from, bytes } => direct(&node, from, &bytes),
            Event::Gossip {
                topic: Topic::Batches,
                bytes,
                token,
                ..
            } => match codec::decode::<Batch>(&bytes, MAX_DIRECT_BYTES) {
                Ok(batch) => {
                    let token = node.shared.gossip.put(token);
                    Some(Input::Batch {
                        token,
                        batch: Box::new(batch),
                    })
                }
                Err(_) => {
                    node.shared.network.validate_gossip(token, Verdict::Reject);
                    None
                }
            },
            Event::Gossip {
                topic: Topic::System,
                bytes,
                token,
                ..
            } => match SystemGossip::decode(&bytes) {
                Some(tx) => {
                    let token = node.shared.gossip.put(token);
                    Some(Input::System {
                        source: SystemSource::Gossip { token },
                        tx: Box::new(tx),
                    })
                }
                None => {
                    node.shared.network.validate_gossip(token, Verdict::Reject);
                    None
                }
            },
            Event::Gossip {
                topic: Topic::Announcements,
                author,
                bytes,
                token,
                ..
            } => announcement(&node, author, &bytes, token),
            Event::Request { from, bytes, channel } => request(&node, from, &bytes, channel).await,
            Event::Connected { peer, .. } => node_key_of(&peer).map(Input::Connected),
            Event::Disconnected { peer, .. } => node_key_of(&peer).map(Input::Disconnected),
            Event::Listening(address) => {
                tracing::info!(%address, "listening");
                None
            }
        };
        if let Some(input) = input
            && node.replica.send(ToReplica::Input(input)).await.is_err()
        {
            return;
        }
    }
}

fn direct(node: &NodeHandle, from: PeerId, bytes: &[u8]) -> Option<Input> {
    let sender = node_key_of(&from)?;
    match codec::decode::<Direct>(bytes, MAX_DIRECT_BYTES) {
        Ok(direct) => Some(Input::Direct { from: sender, direct }),
        Err(_) => {
            node.shared.network.report(from, Offence::Malformed);
            None
        }
    }
}

/// Only validators announce: their claims are counted, so that no single one misleads.
fn announcement(node: &NodeHandle, author: PeerId, bytes: &[u8], token: GossipToken) -> Option<Input> {
    let network = &node.shared.network;
    let known = node_key_of(&author).filter(|key| {
        let record = node.shared.record();
        record.validators.iter().any(|v| v.node_key.0 == *key)
    });
    match (
        known,
        codec::decode::<Announcement>(bytes, MAX_ANNOUNCEMENT_BYTES),
    ) {
        (Some(from), Ok(announcement)) if announcement.chain == node.shared.chain => {
            network.validate_gossip(token, Verdict::Accept);
            Some(Input::Announced { from, announcement })
        }
        // This node may be behind the epoch in which the author joined.
        (None, Ok(_)) => {
            network.validate_gossip(token, Verdict::Ignore);
            None
        }
        _ => {
            network.validate_gossip(token, Verdict::Reject);
            None
        }
    }
}

/// What the store alone answers and what is relayed are served by workers; batches may be in the replica's memory only.
async fn request(node: &NodeHandle, from: PeerId, bytes: &[u8], channel: ResponseChannel) -> Option<Input> {
    match codec::decode::<FetchRequest>(bytes, MAX_FETCH_REQUEST_BYTES) {
        Ok(
            what @ (FetchRequest::Blocks { .. }
            | FetchRequest::Epochs { .. }
            | FetchRequest::Manifest(_)
            | FetchRequest::Chunk { .. }),
        ) => {
            let asker = node_key_of(&from)?;
            let (store, network) = (node.shared.store.clone(), node.shared.network.clone());
            let record = node.shared.record();
            tokio::task::spawn_blocking(move || {
                let answer = serving::answer(&*store, &record, &asker, &what);
                if let Some(Ok(bytes)) = answer.map(|answer| borsh::to_vec(&answer)) {
                    network.respond(channel, bytes);
                }
            });
        }
        Ok(FetchRequest::Batches(digests)) if digests.len() <= MAX_BATCHES_PER_FETCH => {
            // The replica has stopped if this fails; the peer asks another.
            let _ = node.replica.send(ToReplica::WantBatches(digests, channel)).await;
        }
        Ok(FetchRequest::Share { epoch }) => {
            if let Some(asker) = node_key_of(&from) {
                let _ = node
                    .replica
                    .send(ToReplica::WantShare(asker, epoch, channel))
                    .await;
            }
        }
        Ok(FetchRequest::Standing) => ask(node, &from, Question::Standing, channel).await,
        Ok(FetchRequest::Hello(hello)) => ask(node, &from, Question::Hello(hello), channel).await,
        Ok(FetchRequest::Submit(envelope)) => {
            let node = node.clone();
            tokio::spawn(async move {
                let result = match node.submit(envelope).await {
                    Ok(accepted) => Ok(RelayAccepted {
                        id: accepted.tx_id,
                        epoch: accepted.epoch,
                        expiry_height: accepted.expires_at_height,
                    }),
                    Err(problem) => Err(RelayRefused {
                        code: problem.code.to_owned(),
                        detail: problem.detail,
                    }),
                };
                if let Ok(bytes) = borsh::to_vec(&FetchResponse::Submitted(result)) {
                    node.shared.network.respond(channel, bytes);
                }
            });
        }
        Ok(FetchRequest::System(tx)) => {
            let node = node.clone();
            tokio::spawn(async move {
                // An observer does not pass on what another observer passed on.
                let result = match node.take_system(tx).await {
                    Ok(accepted) => Ok(accepted.id),
                    Err(problem) => Err(RelayRefused {
                        code: problem.code.to_owned(),
                        detail: problem.detail,
                    }),
                };
                if let Ok(bytes) = borsh::to_vec(&FetchResponse::SystemTaken(result)) {
                    node.shared.network.respond(channel, bytes);
                }
            });
        }
        Ok(FetchRequest::Batches(_)) | Err(_) => node.shared.network.report(from, Offence::Malformed),
    }
    None
}

async fn ask(node: &NodeHandle, from: &PeerId, question: Question, channel: ResponseChannel) {
    if let Some(asker) = node_key_of(from) {
        // The replica has stopped if this fails; the peer asks again, or another.
        let _ = node.replica.send(ToReplica::Ask(asker, question, channel)).await;
    }
}
