//! Stories about a node that has deleted its older blocks, and says so.

use tacit_ledger::{ChainLog, Column, Durability, WriteBatch, digest_key, height_key};

use super::*;

/// Blocks 1 and 2 are gone, with the five transactions of block 2.
fn forget(served: &Served, ids: &[Digest]) {
    let store = served.node.store();
    let log = ChainLog::new(store.as_ref());
    let mut writes = WriteBatch::new();
    writes.put_first(3);
    for height in 1..=2 {
        let block = log.block(height).expect("readable").expect("a block").block;
        writes.delete(Column::BlockIds, digest_key(&block.id()));
        writes.delete(Column::Blocks, height_key(height));
        writes.delete(Column::Results, height_key(height));
    }
    for id in ids {
        writes.delete(Column::Txs, digest_key(id));
        writes.delete(Column::Receipts, digest_key(id));
    }
    store.commit(writes, Durability::Synced).expect("deleted");
}

#[tokio::test]
async fn what_is_deleted_is_gone_by_name_and_what_is_kept_is_served() {
    let (served, ids) = small_chain(1).await;
    let old = get(served.address, "/v1/blocks/2").await.json()["hash"]
        .as_str()
        .expect("a hash")
        .to_owned();
    let in_old: Vec<Digest> = ids.iter().take(5).copied().collect();
    forget(&served, &in_old);
    for path in [
        "/v1/blocks/1",
        "/v1/blocks/2",
        "/v1/blocks/2/commit",
        "/v1/blocks/1/txs",
    ] {
        let reply = get(served.address, path).await;
        let body = reply.json();
        assert_eq!(
            (reply.status, body["code"].as_str()),
            (410, Some("block.pruned")),
            "{path}"
        );
        let detail = body["detail"].as_str().expect("a detail");
        assert!(detail.contains("from 3 on"), "{path}: {detail}");
    }
    // By a hash or an id nobody can tell what was deleted from what never was: the answer says what is kept.
    for (path, code) in [
        (format!("/v1/blocks/{old}"), "block.not_found"),
        (format!("/v1/txs/{}", in_old[0]), "tx.not_found"),
        (format!("/v1/txs/{}/receipt", in_old[0]), "tx.not_found"),
    ] {
        let body = get(served.address, &path).await.json();
        assert_eq!(body["code"].as_str(), Some(code), "{path}");
        let detail = body["detail"].as_str().expect("a detail");
        assert!(detail.contains("below 3"), "{path}: {detail}");
    }
    for path in ["/v1/blocks/0", "/v1/blocks/5"] {
        let body = get(served.address, path).await.json();
        assert_eq!(body["code"].as_str(), Some("block.not_found"), "{path}");
    }
    let list = get(served.address, "/v1/blocks?limit=200").await.json();
    let heights: Vec<u64> = list["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|block| block["height"].as_u64())
        .collect();
    assert_eq!(heights, [4, 3]);
    assert!(list["next"].is_null(), "there is nothing below");
    assert_eq!(get(served.address, "/v1/blocks/3").await.status, 200);
    let kept = get(served.address, "/v1/blocks/4/txs").await.json();
    let id = kept["items"][0]["tx_id"]
        .as_str()
        .expect("an envelope")
        .to_owned();
    assert_eq!(get(served.address, &format!("/v1/txs/{id}")).await.status, 200);
}
