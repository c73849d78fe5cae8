//! Direct messages: both transports, order, backpressure, roles.

use tacit_p2p::{Channel, Direction, Event};

use crate::harness::{Node, QUIC, TCP, config, eventually};

async fn both_ways(transport: &str) {
    let listen = vec![transport.parse().expect("address")];
    let mut a = Node::start(
        1,
        tacit_p2p::Config {
            listen: listen.clone(),
            ..config(&[1, 2], &[])
        },
    )
    .await;
    let mut b = Node::start(
        2,
        tacit_p2p::Config {
            listen,
            ..config(&[1, 2], &[&a])
        },
    )
    .await;
    assert!(a.connected(b.peer).await, "b is in a's registry");
    assert!(b.connected(a.peer).await);
    a.network.send(b.peer, b"proposal".to_vec());
    b.network.send(a.peer, b"vote".to_vec());
    assert_eq!(b.message().await, (a.peer, b"proposal".to_vec()));
    assert_eq!(a.message().await, (b.peer, b"vote".to_vec()));

    let seen = b.network.peers();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].peer, seen[0].validator, seen[0].direction),
        (a.peer, true, Direction::Outbound)
    );
    assert_eq!(seen[0].score, 0.0);
    let network = b.network.clone();
    eventually("the first ping gives a round trip", || {
        network.peers()[0].rtt_ms.is_some()
    })
    .await;
    let metrics = b.network.metrics();
    assert_eq!((metrics.direct_in.messages, metrics.direct_in.bytes), (1, 8));
    assert_eq!((metrics.direct_out.messages, metrics.direct_out.bytes), (1, 4));
    assert_eq!((metrics.peers, metrics.validators), (1, 1));

    a.network.shutdown().await;
    b.disconnected(a.peer).await;
}

#[tokio::test]
async fn validators_talk_both_ways_over_tcp() {
    both_ways(TCP).await;
}

#[tokio::test]
async fn validators_talk_both_ways_over_quic() {
    both_ways(QUIC).await;
}

#[tokio::test]
async fn a_thousand_messages_arrive_in_order_although_nobody_drains_at_first() {
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let mut b = Node::start(2, config(&[1, 2], &[&a])).await;
    a.connected(b.peer).await;
    b.connected(a.peer).await;
    for number in 0..1000u32 {
        a.network.send(b.peer, number.to_be_bytes().to_vec());
    }
    // The events that b does not drain fill its channel; nothing is lost for that.
    let network = a.network.clone();
    eventually("all is written or waits in buffers", || {
        network.metrics().direct_out.messages == 1000
    })
    .await;
    for number in 0..1000u32 {
        assert_eq!(b.message().await.1, number.to_be_bytes());
    }
    assert_eq!(a.network.metrics().dropped_queue, 0);
    assert_eq!(b.network.metrics().dropped_rate, 0);
}

#[tokio::test]
async fn the_largest_message_passes_and_a_larger_one_does_not_leave() {
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let mut b = Node::start(2, config(&[1, 2], &[&a])).await;
    a.connected(b.peer).await;
    b.connected(a.peer).await;
    a.network.send(b.peer, vec![0; (1 << 20) + 1]);
    assert_eq!(a.network.metrics().dropped_queue, 1);
    a.network.send(b.peer, vec![9; 1 << 20]);
    assert_eq!(b.message().await.1, vec![9; 1 << 20]);
}

#[tokio::test]
async fn messages_for_a_validator_that_is_away_wait_for_it() {
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let peer = crate::harness::identity(2).peer_id();
    a.network.send(peer, b"early".to_vec());
    let mut b = Node::start(2, config(&[1, 2], &[&a])).await;
    a.connected(b.peer).await;
    assert_eq!(b.message().await, (a.peer, b"early".to_vec()));
}

#[tokio::test]
async fn an_observers_consensus_message_is_refused_and_scored_and_its_gossip_and_control_are_not() {
    // The observer believes to be a validator among equals; the validator's registry knows better.
    let mut validator = Node::start(1, config(&[1], &[])).await;
    let mut observer = Node::start(2, config(&[1, 2], &[&validator])).await;
    assert!(!validator.connected(observer.peer).await, "no validator here");
    assert!(observer.connected(validator.peer).await);
    observer.network.send(validator.peer, b"vote".to_vec());
    observer
        .network
        .send_on(Channel::Control, validator.peer, b"hello".to_vec());
    assert_eq!(validator.control().await, (observer.peer, b"hello".to_vec()));
    assert!(
        !validator
            .rest()
            .iter()
            .any(|event| matches!(event, Event::Message { .. }))
    );
    assert_eq!(validator.network.metrics().dropped_refused, 1);
    assert!(validator.network.peers()[0].score < 0.0);
    validator.network.send(observer.peer, b"vote".to_vec());
    assert_eq!(
        validator.network.metrics().dropped_queue,
        1,
        "consensus never leaves for an observer"
    );

    // Once in the registry, it is heard and its score is forgiven.
    let keys = [1, 2].map(|seed| crate::harness::identity(seed).public());
    validator.network.set_validators(keys.to_vec());
    assert_eq!(validator.network.peers()[0].score, 0.0);
    observer.network.send(validator.peer, b"vote".to_vec());
    assert_eq!(validator.message().await, (observer.peer, b"vote".to_vec()));
}
