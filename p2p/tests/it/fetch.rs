//! Request and response.

use tacit_p2p::{Event, Limits, RequestError, ResponseChannel};

use crate::harness::{Node, config, eventually};

async fn asked(node: &mut Node) -> (Vec<u8>, ResponseChannel) {
    match node.expect(|event| matches!(event, Event::Request { .. })).await {
        Event::Request { bytes, channel, .. } => (bytes, channel),
        other => unreachable!("{other:?}"),
    }
}

/// An asker with these limits, and a server with the default ones.
async fn pair(limits: Limits) -> (Node, Node) {
    let mut server = Node::start(1, config(&[1], &[])).await;
    let mut asker = Node::start(
        2,
        tacit_p2p::Config {
            limits,
            ..config(&[1], &[&server])
        },
    )
    .await;
    server.connected(asker.peer).await;
    asker.connected(server.peer).await;
    (asker, server)
}

#[tokio::test]
async fn a_fetch_is_answered_up_to_eight_mebibytes() {
    let (asker, mut server) = pair(Limits::default()).await;
    let answer = asker.network.request(server.peer, b"block 5".to_vec());
    let serve = async {
        let (bytes, channel) = asked(&mut server).await;
        assert_eq!(bytes, b"block 5");
        server.network.respond(channel, vec![5; 8 << 20]);
    };
    let (answer, ()) = tokio::join!(answer, serve);
    assert!(answer.expect("answered") == vec![5; 8 << 20]);
    let metrics = asker.network.metrics();
    assert_eq!((metrics.fetch_out.messages, metrics.fetch_in.bytes), (1, 8 << 20));
}

#[tokio::test]
async fn no_answer_no_connection_and_no_time_are_told_apart() {
    let limits = Limits {
        request_timeout_ms: 300,
        ..Limits::default()
    };
    let (asker, mut server) = pair(limits).await;
    let peer = server.peer;
    let nobody = crate::harness::identity(9).peer_id();
    assert!(matches!(
        asker.network.request(nobody, vec![1]).await,
        Err(RequestError::NotConnected)
    ));

    let refuse = async { drop(asked(&mut server).await) };
    let (answer, ()) = tokio::join!(asker.network.request(peer, vec![2]), refuse);
    assert!(matches!(answer, Err(RequestError::Refused)), "{answer:?}");

    let keep = asked(&mut server);
    let (answer, kept) = tokio::join!(asker.network.request(peer, vec![3]), keep);
    assert!(matches!(answer, Err(RequestError::Timeout)), "{answer:?}");
    drop(kept);

    asker.network.shutdown().await;
    assert!(matches!(
        asker.network.request(peer, vec![4]).await,
        Err(RequestError::Closed)
    ));
}

#[tokio::test]
async fn requests_above_the_bound_do_not_leave_and_are_refused_where_they_arrive() {
    let (asker, server) = pair(Limits {
        fetch_request_bytes: 1 << 20,
        ..Limits::default()
    })
    .await;
    let len = (1 << 20) + 1;
    let answer = asker.network.request(server.peer, vec![0; len]).await;
    assert!(matches!(answer, Err(RequestError::TooLarge { len: l, .. }) if l == len));
    // Within the flow control's window, so that it is written although it is not read.
    let beyond = Limits::default().fetch_request_bytes as usize + 1;
    let answer = asker.network.request(server.peer, vec![0; beyond]).await;
    assert!(
        matches!(answer, Err(RequestError::Refused | RequestError::Io(_))),
        "{answer:?}"
    );
    let network = server.network.clone();
    eventually("the breach is counted", || {
        network.metrics().dropped_malformed == 1
    })
    .await;
    assert!(server.network.peers()[0].score <= -39.0);
}

#[tokio::test]
async fn an_answer_above_the_askers_bound_is_refused_and_scored() {
    let (asker, mut server) = pair(Limits {
        fetch_response_bytes: 1000,
        ..Limits::default()
    })
    .await;
    let peer = server.peer;
    let serve = async {
        let (_, channel) = asked(&mut server).await;
        server.network.respond(channel, vec![0; 1001]);
    };
    let (answer, ()) = tokio::join!(asker.network.request(peer, vec![1]), serve);
    assert!(matches!(answer, Err(RequestError::AnswerTooLarge)), "{answer:?}");
    assert!(asker.network.peers()[0].score <= -39.0);
}

#[tokio::test]
async fn more_unanswered_fetches_than_a_peer_may_have_are_refused_without_a_score() {
    let (asker, mut server) = pair(Limits::default()).await;
    let most = usize::try_from(Limits::default().requests_per_peer).expect("small");
    let mut waiting = Vec::new();
    for number in 0..most {
        let (network, peer) = (asker.network.clone(), server.peer);
        waiting.push((
            tokio::spawn(async move { network.request(peer, vec![1]).await }),
            number,
        ));
    }
    let mut channels = Vec::new();
    for _ in 0..most {
        channels.push(asked(&mut server).await.1);
    }
    let surplus = asker.network.request(server.peer, vec![2]).await;
    assert!(surplus.is_err());
    for (index, channel) in channels.into_iter().enumerate() {
        server
            .network
            .respond(channel, vec![u8::try_from(index).expect("small")]);
    }
    for (answer, _) in waiting {
        assert_eq!(answer.await.expect("no panic").expect("answered").len(), 1);
    }
    assert_eq!(server.network.peers()[0].score, 0.0);
}
