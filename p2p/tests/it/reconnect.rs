//! Lost and found.

use tacit_p2p::{Config, Multiaddr};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Node, config, eventually, free_port, identity};

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A node in a runtime of its own, so that it can be killed: its tasks stop where they are, its sockets close.
async fn in_own_runtime(seed: u8, config: Config) -> (Runtime, Node) {
    let runtime = runtime();
    let node = runtime.spawn(Node::start(seed, config)).await.expect("it starts");
    (runtime, node)
}

async fn killed_and_restarted(listen: &str) {
    let listen: Vec<Multiaddr> = vec![listen.parse().expect("address")];
    let (first_life, mut b) = in_own_runtime(
        2,
        Config {
            listen: listen.clone(),
            ..config(&[1, 2], &[])
        },
    )
    .await;
    let mut a = Node::start(
        1,
        Config {
            listen,
            ..config(&[1, 2], &[&b])
        },
    )
    .await;
    a.connected(b.peer).await;
    b.connected(a.peer).await;
    let mut same_port = b.address.clone();
    same_port.pop();
    first_life.shutdown_background();
    a.disconnected(b.peer).await;
    drop(b);

    // It comes back knowing nobody: a has to dial.
    let (second_life, mut b) = in_own_runtime(
        2,
        Config {
            listen: vec![same_port],
            ..config(&[1, 2], &[])
        },
    )
    .await;
    assert!(a.connected(b.peer).await);
    b.connected(a.peer).await;
    a.network.send(b.peer, b"again".to_vec());
    assert_eq!(b.message().await, (a.peer, b"again".to_vec()));
    second_life.shutdown_background();
}

#[tokio::test]
async fn a_killed_peer_is_dialled_again_over_tcp() {
    killed_and_restarted("/ip4/127.0.0.1/tcp/0").await;
}

#[tokio::test]
async fn a_killed_peer_is_dialled_again_over_quic() {
    killed_and_restarted("/ip4/127.0.0.1/udp/0/quic-v1").await;
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_end_up_connected() {
    for _ in 0..5 {
        let ports = [free_port(), free_port()];
        let address = |index: usize| -> Multiaddr {
            format!("/ip4/127.0.0.1/tcp/{}", ports[index])
                .parse()
                .expect("address")
        };
        let towards =
            |index: usize, seed: u8| vec![address(index).with_p2p(identity(seed).peer_id()).expect("plain")];
        let one = Config {
            listen: vec![address(0)],
            bootstrap: towards(1, 2),
            ..config(&[1, 2], &[])
        };
        let two = Config {
            listen: vec![address(1)],
            bootstrap: towards(0, 1),
            ..config(&[1, 2], &[])
        };
        let (mut a, mut b) = tokio::join!(Node::start(1, one), Node::start(2, two));
        a.connected(b.peer).await;
        b.connected(a.peer).await;
        for _ in 0..10 {
            a.network.send(b.peer, b"ping".to_vec());
            assert_eq!(b.message().await.1, b"ping");
            b.network.send(a.peer, b"pong".to_vec());
            assert_eq!(a.message().await.1, b"pong");
        }
        tokio::join!(a.network.shutdown(), b.network.shutdown());
    }
}

#[tokio::test]
async fn an_address_learnt_from_a_validator_serves_to_dial_it_again() {
    // Only b is told of a; a learns from identify where b listens.
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let (first_life, b) = in_own_runtime(2, config(&[1, 2], &[&a])).await;
    a.connected(b.peer).await;
    let mut same_port = b.address.clone();
    same_port.pop();
    let network = a.network.clone();
    eventually("a learns the address", || {
        network.peers()[0].known_addresses == [same_port.clone()]
    })
    .await;
    first_life.shutdown_background();
    a.disconnected(b.peer).await;
    drop(b);
    let (second_life, b) = in_own_runtime(
        2,
        Config {
            listen: vec![same_port],
            ..config(&[1, 2], &[])
        },
    )
    .await;
    assert!(a.connected(b.peer).await);
    second_life.shutdown_background();
}

#[tokio::test]
async fn an_address_from_the_application_is_dialled_for_validators_only() {
    let mut a = Node::start(1, config(&[1, 2], &[])).await;
    let mut validator = Node::start(2, config(&[1, 2], &[])).await;
    let observer = Node::start(3, config(&[1, 2], &[])).await;
    a.network.add_address(observer.peer, &observer.address);
    a.network.add_address(validator.peer, &validator.address);
    assert!(a.connected(validator.peer).await);
    assert!(validator.connected(a.peer).await);
    assert_eq!(a.network.peers().len(), 1);
}
