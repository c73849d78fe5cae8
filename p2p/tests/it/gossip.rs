//! Gossip: what is forwarded, and what is not.

use tacit_p2p::{Config, Event, GossipToken, Limits, Offence, PeerId, Rate, Rates, Topic, Verdict};

use crate::harness::{Node, config, eventually};

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
    for topic in Topic::ALL {
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

#[tokio::test]
async fn a_system_message_beyond_its_bound_is_neither_sent_nor_taken() {
    let lenient = Limits {
        system_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut victim = Node::start(1, config(&[1, 2], &[])).await;
    let mut attacker = Node::start(
        2,
        Config {
            limits: lenient,
            ..config(&[1, 2], &[&victim])
        },
    )
    .await;
    victim.connected(attacker.peer).await;
    attacker.connected(victim.peer).await;
    let bound = Limits::default().system_bytes as usize;
    victim.network.publish(Topic::System, vec![0; bound + 1]);
    assert_eq!(victim.network.metrics().dropped_outgoing, 1, "too large to leave");

    attacker.network.publish(Topic::System, vec![1; bound + 1]);
    attacker.network.publish(Topic::System, vec![2; bound]);
    let (topic, _, bytes, token) = heard(&mut victim).await;
    assert_eq!(
        (topic, bytes.len(), bytes[0]),
        (Topic::System, bound, 2),
        "the bound itself passes, what is beyond it does not"
    );
    victim.network.validate_gossip(token, Verdict::Accept);
    assert_eq!(victim.network.metrics().dropped_malformed, 1);
    let score = victim.network.peers()[0].score;
    assert!(
        score < Offence::Useless.points() - Offence::Malformed.points(),
        "scored: {score}"
    );
    attacker.network.publish(Topic::Batches, vec![3; bound + 1]);
    assert_eq!(
        heard(&mut victim).await.2.len(),
        bound + 1,
        "a batch may be longer"
    );
}

#[tokio::test]
async fn a_flood_of_system_messages_is_dropped_and_costs_batches_nothing() {
    let tight = Rate {
        messages: 2,
        bytes: 1 << 20,
    };
    let limits = Limits {
        validator: Rates {
            system: tight,
            ..Limits::default().validator
        },
        ..Limits::default()
    };
    let mut victim = Node::start(
        1,
        Config {
            limits,
            ..config(&[1, 2], &[])
        },
    )
    .await;
    let mut flooder = Node::start(2, config(&[1, 2], &[&victim])).await;
    victim.connected(flooder.peer).await;
    flooder.connected(victim.peer).await;
    // The burst of four and eight beyond it: short of a ban.
    (0..12u8).for_each(|number| flooder.network.publish(Topic::System, vec![number]));
    let network = victim.network.clone();
    eventually("all have come", || {
        let metrics = network.metrics();
        metrics.gossip_in.messages + metrics.dropped_rate == 12
    })
    .await;
    let metrics = victim.network.metrics();
    assert!((4..8).contains(&metrics.gossip_in.messages), "{metrics:?}");
    assert_eq!(metrics.bans, 0);
    (0..12u8).for_each(|number| flooder.network.publish(Topic::Batches, vec![number]));
    for _ in 0..12 {
        victim
            .expect(|event| {
                matches!(
                    event,
                    Event::Gossip {
                        topic: Topic::Batches,
                        ..
                    }
                )
            })
            .await;
    }
}
