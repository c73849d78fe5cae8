//! Parameters of the gossip layer.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, IdentityTransform, Message, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode, Version,
    WhitelistSubscriptionFilter,
};

use crate::config::Protocols;
use crate::error::Error;
use crate::event::Topic;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::score::BAN_AT;

/// Only our three topics can be subscribed to, so that a peer cannot fill memory with names.
pub(crate) type Gossip = gossipsub::Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Meshes are mended at this interval.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Heartbeats for which a message is kept: 5 s, for verdicts and for peers that ask for it.
const KEPT: usize = 25;

/// Heartbeats of messages that are told to peers outside the mesh: 2 s.
const TOLD: usize = 10;

/// Signature, author, topic, lengths around a payload.
const ENVELOPE: usize = 1024;

/// The topics of a chain.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub(crate) batches: IdentTopic,
    pub(crate) announcements: IdentTopic,
    pub(crate) system: IdentTopic,
}

impl Topics {
    pub(crate) fn of(protocols: &Protocols) -> Self {
        Self {
            batches: IdentTopic::new(protocols.batches.clone()),
            announcements: IdentTopic::new(protocols.announcements.clone()),
            system: IdentTopic::new(protocols.system.clone()),
        }
    }

    pub(crate) fn ident(&self, topic: Topic) -> &IdentTopic {
        match topic {
            Topic::Batches => &self.batches,
            Topic::Announcements => &self.announcements,
            Topic::System => &self.system,
        }
    }

    pub(crate) fn of_hash(&self, hash: &TopicHash) -> Option<Topic> {
        Topic::ALL
            .into_iter()
            .find(|topic| self.ident(*topic).hash() == *hash)
    }
}

/// A message is its topic and content, whoever signed it: the same batch from two authors travels once.
fn message_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 gossip message id");
    hasher.update(message.topic.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(&message.data);
    MessageId::new(hasher.finalize().as_bytes())
}

/// The gossip behaviour, subscribed to all topics.
pub(crate) fn behaviour(
    identity: &Identity,
    protocols: &Protocols,
    limits: &Limits,
) -> Result<Gossip, Error> {
    let topics = Topics::of(protocols);
    let payload = usize::try_from(limits.gossip_bytes.max(limits.system_bytes)).unwrap_or(usize::MAX);
    let config = ConfigBuilder::default()
        .protocol_id(protocols.gossip.clone(), Version::V1_1)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(payload.saturating_add(ENVELOPE))
        .heartbeat_initial_delay(Duration::from_millis(50))
        .heartbeat_interval(HEARTBEAT)
        .history_length(KEPT)
        .history_gossip(TOLD)
        // Up to seven validators form a full mesh; a hundred are reached in three hops.
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .flood_publish(true)
        .prune_backoff(Duration::from_secs(5))
        .unsubscribe_backoff(Duration::from_secs(1))
        .graft_flood_threshold(Duration::from_secs(1))
        // Messages wait for a slow peer no longer than a view is likely to last, and not too many.
        .connection_handler_queue_len(256)
        .max_publish_messages(256)
        .build()
        .map_err(|error| Error::Gossip(error.to_string()))?;
    let known: HashSet<TopicHash> = Topic::ALL
        .into_iter()
        .map(|topic| topics.ident(topic).hash())
        .collect();
    let mut gossip = Gossip::new_with_subscription_filter(
        MessageAuthenticity::Signed(identity.keypair().clone()),
        config,
        WhitelistSubscriptionFilter(known.clone()),
    )
    .map_err(|error| Error::Gossip(error.to_owned()))?;
    gossip
        .with_peer_score(score_params(known), thresholds())
        .map_err(Error::Gossip)?;
    for topic in Topic::ALL {
        gossip
            .subscribe(topics.ident(topic))
            .map_err(|error| Error::Gossip(error.to_string()))?;
    }
    Ok(gossip)
}

/// Our own score enters as it is; gossip adds penalties for invalid messages and for breaking its protocol. Idle
/// meshes are normal (no transactions, no batches), so nothing is expected of a peer. Validators may share an
/// address, so that is no offence, and neither is a slow line.
fn score_params(topics: HashSet<TopicHash>) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.9,
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -5.0,
        invalid_message_deliveries_decay: 0.97,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics
            .into_iter()
            .map(|hash| (hash, topic.clone()))
            .collect::<HashMap<_, _>>(),
        topic_score_cap: 20.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -0.2,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.9,
        slow_peer_weight: 0.0,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: BAN_AT / 2.0,
        publish_threshold: BAN_AT * 0.8,
        graylist_threshold: BAN_AT,
        ..PeerScoreThresholds::default()
    }
}
