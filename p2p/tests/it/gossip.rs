//! Gossip: what is forwarded, and what is not.

use tacit_p2p::{Event, GossipToken, Offence, PeerId, Topic, Verdict};

use crate::harness::{Node, config};

async fn heard(node: &mut Node) -> (Topic, PeerId, Vec<u8>, GossipToken) {
    match node.expect(|event| matches!(event, Event::Gossip { .. })).await {
        Event::Gossip {
            topic,
            from,
            bytes,
            token,
            ..
        } => (topic, from, bytes, token),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn in_a_line_only_what_the_middle_accepts_reaches_the_end() {
    let mut a = Node::start(1, config(&[1, 2, 3], &[])).await;
    let mut b = Node::start(2, config(&[1, 2, 3], &[&a])).await;
    let mut c = Node::start(3, config(&[1, 2, 3], &[&b])).await;
    a.connected(b.peer).await;
    b.connected(a.peer).await;
    b.connected(c.peer).await;
    c.connected(b.peer).await;
    for (text, verdict) in [
        ("bad", Verdict::Reject),
        ("late", Verdict::Ignore),
        ("good", Verdict::Accept),
    ] {
        a.network.publish(Topic::Batches, text.as_bytes().to_vec());
        let (topic, from, bytes, token) = heard(&mut b).await;
        assert_eq!(
            (topic, from, bytes.as_slice()),
            (Topic::Batches, a.peer, text.as_bytes())
        );
        b.network.validate_gossip(token, verdict);
    }
    let (topic, from, bytes, _) = heard(&mut c).await;
    assert_eq!(
        (topic, from, bytes.as_slice()),
        (Topic::Batches, b.peer, b"good".as_slice())
    );
    assert!(!c.rest().iter().any(|event| matches!(event, Event::Gossip { .. })));
    let score = b
        .network
        .peers()
        .iter()
        .find(|p| p.peer == a.peer)
        .map(|p| p.score)
        .expect("connected");
    assert!(
        score < Offence::Useless.points() - Offence::Invalid.points(),
        "the rejected one is scored: {score}"
    );
}

#[tokio::test]
async fn four_validators_and_an_observer_all_hear_a_batch() {
    let registry = [1, 2, 3, 4];
    let mut nodes: Vec<Node> = Vec::new();
    for seed in [1, 2, 3, 4, 5] {
        let known: Vec<&Node> = nodes.iter().collect();
        let node = Node::start(seed, config(&registry, &known)).await;
        nodes.push(node);
    }
    let peers: Vec<PeerId> = nodes.iter().map(|node| node.peer).collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        for (other, peer) in peers.iter().enumerate() {
            if index != other {
                assert_eq!(node.connected(*peer).await, other < 4, "the fifth is an observer");
            }
        }
    }
    for topic in [Topic::Batches, Topic::Announcements] {
        nodes[0].network.publish(topic, b"payload".to_vec());
        for node in nodes.iter_mut().skip(1) {
            let (heard_topic, _, bytes, token) = heard(node).await;
            assert_eq!((heard_topic, bytes.as_slice()), (topic, b"payload".as_slice()));
            node.network.validate_gossip(token, Verdict::Accept);
        }
    }
    nodes[0].network.publish(Topic::Batches, vec![0; (1 << 20) + 1]);
    assert_eq!(
        nodes[0].network.metrics().dropped_outgoing,
        1,
        "too large to leave"
    );
    nodes[0].network.publish(Topic::Batches, vec![1; 1 << 20]);
    assert_eq!(heard(&mut nodes[4]).await.2.len(), 1 << 20);
}
