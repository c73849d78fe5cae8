//! Stories about bundles for light clients.

use super::*;

/// A light client that has read the genesis of a stage.
fn light_client(node: &Stage) -> TrustedState {
    let genesis = node.genesis();
    TrustedState {
        chain: node.chain_id(),
        name: genesis.name.clone(),
        record: genesis.record0(),
        head: None,
        holders: Vec::new(),
        trust: genesis.trust.clone(),
        nonce: genesis.nonce,
    }
}

/// A bundle from an epoch on, and whether it reaches to now.
async fn bundle(served: &Served, from: u64) -> (LightBundle, bool) {
    let body = get(served.address, &format!("/v1/light/bundle?from={from}"))
        .await
        .json();
    let bundle = LightBundle::decode(&blob(&body, "bundle")).expect("decodes");
    (bundle, body["complete"].as_bool().expect("a flag"))
}

fn advance(client: &TrustedState, bundle: &LightBundle) -> TrustedState {
    let now = bundle.head.time_ms;
    client
        .advance(bundle, now, 1_000, &Credulous, &mut Judged)
        .expect("follows")
}

async fn follow(served: &Served, client: &TrustedState) -> (TrustedState, bool) {
    let (bundle, complete) = bundle(served, client.record.epoch).await;
    (advance(client, &bundle), complete)
}

#[tokio::test]
async fn a_light_client_follows_to_now() {
    let (served, _) = small_chain(1).await;
    let (now, complete) = follow(&served, &light_client(&served.node)).await;
    assert!(complete);
    assert_eq!((now.record.epoch, now.height()), (1, 4));
    served.node.commit(Vec::new(), true);
    // The epoch is over and the next has no block yet.
    let (now, complete) = follow(&served, &now).await;
    assert!(complete);
    assert_eq!((now.record.epoch, now.height()), (2, 5));
    let (same, _) = follow(&served, &now).await;
    assert_eq!(same, now);
    let body = get(served.address, "/v1/epochs/current").await.json();
    let record: EpochRecord = decode(&blob(&body, "record"), 1 << 20).expect("decodes");
    assert_eq!(record, now.record);
}

#[tokio::test]
async fn a_light_client_far_behind_comes_in_several_bundles() {
    let node = Stage::new(1);
    for _ in 0..300 {
        node.commit(Vec::new(), true);
    }
    node.commit(Vec::new(), false);
    let served = serve_with(node, ApiLimits::default()).await;
    let (half, complete) = bundle(&served, 0).await;
    assert!(!complete);
    assert_eq!(half.links.last().map(|link| link.record.epoch), Some(256));
    assert!(half.registrations.is_empty(), "it leads on and judges nobody");
    let (mut rest, complete) = bundle(&served, 256).await;
    assert!(complete);
    rest.links.splice(..0, half.links);
    let now = advance(&light_client(&served.node), &rest);
    assert_eq!((now.record.epoch, now.height()), (300, 301));
}

#[tokio::test]
async fn before_the_first_block_a_light_client_is_asked_to_wait() {
    let served = serve_with(Stage::new(1), ApiLimits::default()).await;
    let reply = get(served.address, "/v1/light/bundle?from=0").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "node.syncing"));
    assert_eq!(get(served.address, "/v1/blocks").await.json()["items"], json!([]));
    assert_eq!(
        get(served.address, "/v1/blocks/latest").await.code(),
        "block.not_found"
    );
}
