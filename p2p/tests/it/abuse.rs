//! Peers that break bounds, flood, or belong elsewhere.

use tacit_p2p::{Channel, Config, Event, Limits, Offence, Rate, Rates, RequestError};

use crate::harness::{Node, config, eventually};

#[tokio::test]
async fn an_oversized_direct_message_is_refused_and_scored_and_the_third_one_bans_for_a_while() {
    let lenient = Limits {
        direct_bytes: 4 << 20,
        ..Limits::default()
    };
    let brief = Limits {
        validator_ban_ms: 200,
        ..Limits::default()
    };
    let mut victim = Node::start(
        1,
        Config {
            limits: brief,
            ..config(&[1, 2], &[])
        },
    )
    .await;
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
    for round in 1..=2u64 {
        attacker.network.send(victim.peer, vec![0; 2 << 20]);
        attacker.network.send(victim.peer, b"sound".to_vec());
        assert_eq!(victim.message().await.1, b"sound", "the stream is opened anew");
        assert_eq!(victim.network.metrics().dropped_malformed, round);
        assert_eq!(victim.network.metrics().direct_in.messages, round);
        assert!(victim.network.peers()[0].score < -39.0 * round as f64);
    }
    attacker.network.send(victim.peer, vec![0; 2 << 20]);
    victim.disconnected(attacker.peer).await;
    attacker.disconnected(victim.peer).await;
    assert_eq!(victim.network.metrics().bans, 1);
    // The attacker keeps dialling, and is let in when the ban is over.
    assert!(victim.connected(attacker.peer).await);
    attacker.connected(victim.peer).await;
    assert!(
        victim.network.metrics().refused_connections > 0,
        "it dialled meanwhile"
    );
    // That it was turned away before is forgotten when it goes: the victim serves others as ever.
    attacker.network.shutdown().await;
    victim.disconnected(attacker.peer).await;
    let mut friend = Node::start(3, config(&[1, 2, 3], &[&victim])).await;
    friend.connected(victim.peer).await;
    victim.connected(friend.peer).await;
    friend
        .network
        .send_on(Channel::Control, victim.peer, b"still there".to_vec());
    assert_eq!(victim.control().await.1, b"still there");
}

#[tokio::test]
async fn a_flood_above_the_rate_is_dropped_and_ends_in_a_ban() {
    let tight = Rate {
        messages: 5,
        bytes: 1 << 20,
    };
    let observer = Rates {
        direct: tight,
        ..Limits::default().observer
    };
    let limits = Limits {
        observer,
        ..Limits::default()
    };
    let mut victim = Node::start(
        1,
        Config {
            limits,
            ..config(&[1], &[])
        },
    )
    .await;
    let mut flooder = Node::start(2, config(&[1], &[&victim])).await;
    victim.connected(flooder.peer).await;
    flooder.connected(victim.peer).await;
    for number in 0..500u32 {
        flooder
            .network
            .send_on(Channel::Control, victim.peer, number.to_be_bytes().to_vec());
    }
    victim.disconnected(flooder.peer).await;
    let metrics = victim.network.metrics();
    let passed = victim
        .rest()
        .iter()
        .filter(|event| matches!(event, Event::Control { .. }))
        .count();
    assert!(
        (10..60).contains(&passed),
        "the burst and what the rate added: {passed}"
    );
    assert!(metrics.dropped_rate >= 50, "{metrics:?}");
    assert_eq!(metrics.bans, 1);
    flooder.disconnected(victim.peer).await;
    let answer = flooder.network.request(victim.peer, vec![1]).await;
    assert!(
        matches!(
            answer,
            Err(RequestError::NotConnected | RequestError::Disconnected)
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn reported_offences_add_up_to_a_ban() {
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let mut b = Node::start(2, config(&[1, 2], &[&a])).await;
    a.connected(b.peer).await;
    b.connected(a.peer).await;
    (0..5).for_each(|_| a.network.report(b.peer, Offence::Invalid));
    assert_eq!(a.network.metrics().bans, 0, "they fade from the first on");
    a.network.report(b.peer, Offence::Invalid);
    assert_eq!(a.network.metrics().bans, 1);
    a.disconnected(b.peer).await;
    b.disconnected(a.peer).await;
    let network = a.network.clone();
    eventually("the banned peer is refused at the door", || {
        network.metrics().refused_connections > 0
    })
    .await;
    assert_eq!(
        b.network.metrics().bans,
        0,
        "the banned one holds nothing against the other"
    );
}

#[tokio::test]
async fn a_peer_of_another_chain_exchanges_nothing() {
    let mut a = Node::start(1, config(&[1, 2, 3], &[])).await;
    let mut stranger = Node::start(
        2,
        Config {
            chain: [8; 32],
            ..config(&[1, 2, 3], &[&a])
        },
    )
    .await;
    stranger.network.send(a.peer, b"vote".to_vec());
    let (here, there) = (a.network.clone(), stranger.network.clone());
    eventually("one notices", || here.metrics().bans + there.metrics().bans > 0).await;
    // A node of the same chain gets through meanwhile.
    let mut friend = Node::start(3, config(&[1, 2, 3], &[&a])).await;
    assert!(a.connected(friend.peer).await);
    friend.connected(a.peer).await;
    friend.network.send(a.peer, b"vote".to_vec());
    assert_eq!(a.message().await, (friend.peer, b"vote".to_vec()));
    assert!(stranger.network.request(a.peer, vec![1]).await.is_err());
    for (node, other) in [(&mut a, stranger.peer), (&mut stranger, friend.peer)] {
        let metrics = node.network.metrics();
        assert!(
            !node.network.peers().iter().any(|info| info.peer == other),
            "{metrics:?}"
        );
    }
    assert_eq!(a.network.metrics().direct_in.messages, 1, "the friend's");
    assert!(
        !stranger
            .rest()
            .iter()
            .any(|event| matches!(event, Event::Connected { .. }))
    );
}

#[tokio::test]
async fn observers_do_not_take_the_validators_room() {
    // Four connections, of which three quarters are kept for validators.
    let mut hub = Node::start(
        1,
        Config {
            max_connections: 4,
            ..config(&[1, 2, 3], &[])
        },
    )
    .await;
    let mut first = Node::start(4, config(&[1, 2, 3], &[&hub])).await;
    first.connected(hub.peer).await;
    let mut second = Node::start(5, config(&[1, 2, 3], &[&hub])).await;
    let network = hub.network.clone();
    eventually("the second observer is refused", || {
        network.metrics().refused_connections > 0
    })
    .await;
    let mut validator = Node::start(2, config(&[1, 2, 3], &[&hub])).await;
    validator.connected(hub.peer).await;
    assert!(hub.connected(validator.peer).await);
    assert!(!hub.network.peers().iter().any(|info| info.peer == second.peer));
    assert_eq!(
        second.network.metrics().bans,
        0,
        "to be refused is no offence of the one who refuses"
    );

    // When the first observer leaves, the second gets its place.
    first.network.shutdown().await;
    second.connected(hub.peer).await;
}
