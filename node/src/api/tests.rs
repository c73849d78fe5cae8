//! Stories about the interface, told over real sockets to a stage node.

mod client;
mod light;
mod pruned;
mod public_lane;
mod stage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tacit_consensus::Digest;
use tacit_ledger::{
    EpochRecord, LightBundle, PolicyApproval, PolicyProposal, ReceiptProof, SystemTx, TrustedState, decode,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::client::{Stream, get, get_with, post, raw};
use self::stage::{Credulous, Judged, Stage};
use super::node::Node;
use super::server::{ApiLimits, ROUTES, serve_node};
use super::types::{base64, unbase64};
use crate::forecast::{Forecast, ForecastSet, SetForecast, ValidatorForecast};
use crate::handle::{Problem, TxState};
use crate::metrics;
use crate::system_waiting::SystemState;

/// A served stage node.
struct Served {
    node: Arc<Stage>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn serve_with(node: Arc<Stage>, limits: ApiLimits) -> Served {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve_node(
        Arc::clone(&node) as Arc<dyn Node>,
        listener,
        limits,
        shutdown,
    ));
    Served {
        node,
        address,
        stop,
        server,
    }
}

/// Epoch 0 closes with block 1; block 2 has five transactions, block 3 none, block 4 one.
async fn small_chain(lag: u64) -> (Served, Vec<Digest>) {
    let node = Stage::new(lag);
    node.commit(Vec::new(), true);
    let envelopes: Vec<_> = (0..5).map(|_| node.envelope()).collect();
    let ids = envelopes.iter().map(|envelope| envelope.id()).collect();
    node.commit(envelopes, false);
    node.commit(Vec::new(), false);
    node.commit(vec![node.envelope()], false);
    (serve_with(node, ApiLimits::default()).await, ids)
}

fn blob(body: &Value, name: &str) -> Vec<u8> {
    unbase64(body[name].as_str().expect("a blob"), 64 << 20)
        .map_err(|refusal| refusal.code())
        .expect("base64")
}

#[tokio::test]
async fn every_route_answers_and_carries_the_chain_and_the_height() {
    let (served, ids) = small_chain(1).await;
    for route in ROUTES {
        let path = match *route {
            "/v1/txs" | "/v1/query" | "/v1/events" | "/v1/system" => continue,
            "/errors/{code}" => "/errors/tx.epoch_closed".to_owned(),
            "/v1/light/bundle" => "/v1/light/bundle?from=0".to_owned(),
            "/v1/policy/{version}" => {
                format!("/v1/policy/{}", served.node.genesis().policy.version)
            }
            "/v1/system/{id}" => {
                let id = Digest([0x5a; 32]);
                served.node.set_system(id, SystemState::Pending { since_ms: 7 });
                route.replace("{id}", &id.to_string())
            }
            route if route.starts_with("/v1/txs/") => route.replace("{id}", &ids[0].to_string()),
            route if route.starts_with("/v1/validators/") => route.replace("{id}", "val-2"),
            route if route.starts_with("/v1/blocks/") => route.replace("{id}", "2"),
            route => route.replace("{id}", "1"),
        };
        let reply = get(served.address, &path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let chain = served.node.chain_id().to_string();
        assert_eq!(reply.header("tacit-chain"), &chain[..16], "{path}");
        assert_eq!(reply.header("tacit-height"), "4", "{path}");
        assert!(!reply.header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn no_path_makes_it_stumble() {
    let (served, ids) = small_chain(1).await;
    let long = "9".repeat(3_000);
    let huge = "f".repeat(64);
    for (path, status, code) in [
        ("/", 404, "request.not_found"),
        ("/v1", 404, "request.not_found"),
        ("/v1/blocks/", 404, "request.not_found"),
        ("/v1/blocks/0", 404, "block.not_found"),
        ("/v1/blocks/5", 404, "block.not_found"),
        ("/v1/blocks/18446744073709551615", 404, "block.not_found"),
        ("/v1/blocks/18446744073709551616", 400, "request.malformed"),
        ("/v1/blocks/-1", 400, "request.malformed"),
        ("/v1/blocks/+1", 400, "request.malformed"),
        ("/v1/blocks/%00", 400, "request.malformed"),
        ("/v1/blocks/%ff%fe", 400, "request.malformed"),
        ("/v1/blocks/%", 400, "request.malformed"),
        ("/v1/blocks/..%2f..%2fetc", 400, "request.malformed"),
        ("/v1/blocks/LATEST", 400, "request.malformed"),
        (&format!("/v1/blocks/{huge}"), 404, "block.not_found"),
        (&format!("/v1/blocks/{long}"), 400, "request.malformed"),
        (&format!("/v1/blocks/{}", "1".repeat(64)), 404, "block.not_found"),
        (
            &format!("/v1/blocks/{}", "é".repeat(32)),
            400,
            "request.malformed",
        ),
        ("/v1/blocks?limit=0", 400, "request.malformed"),
        ("/v1/blocks?limit=201", 400, "request.malformed"),
        ("/v1/blocks?limit=-1", 400, "request.malformed"),
        ("/v1/blocks?limit=", 400, "request.malformed"),
        ("/v1/blocks?after=x", 400, "request.malformed"),
        ("/v1/blocks?limt=5", 400, "request.malformed"),
        ("/v1/blocks?limit=1&limit=2", 400, "request.malformed"),
        (
            "/v1/blocks/2/txs?after=99999999999999999999",
            400,
            "request.malformed",
        ),
        ("/v1/txs/zz", 400, "request.malformed"),
        (&format!("/v1/txs/{huge}"), 404, "tx.not_found"),
        (&format!("/v1/txs/{huge}/receipt"), 404, "tx.not_found"),
        (
            &format!("/v1/txs/{}?wait_ms=30001", ids[0]),
            400,
            "request.malformed",
        ),
        (
            &format!("/v1/txs/{}?until=forever", ids[0]),
            400,
            "request.malformed",
        ),
        ("/v1/validators/nobody", 404, "validator.not_found"),
        (&format!("/v1/validators/{huge}"), 404, "validator.not_found"),
        ("/v1/validators/val-0/history", 404, "request.not_found"),
        ("/v1/epochs/2", 404, "epoch.not_found"),
        ("/v1/epochs/-0", 400, "request.malformed"),
        ("/v1/epochs/18446744073709551615", 404, "epoch.not_found"),
        ("/v1/policy/999", 404, "policy.not_found"),
        ("/v1/policy/latest", 400, "request.malformed"),
        ("/v1/collateral?documents=maybe", 400, "request.malformed"),
        ("/v1/system/zz", 400, "request.malformed"),
        (&format!("/v1/system/{huge}"), 404, "system.not_found"),
        (
            &format!("/v1/system/{huge}?wait_ms=30001"),
            400,
            "request.malformed",
        ),
        ("/v1/system", 405, "request.method"),
        ("/v1/light/bundle", 400, "request.malformed"),
        ("/v1/light/bundle?from=2", 404, "epoch.not_found"),
        (
            "/v1/light/bundle?from=18446744073709551615",
            404,
            "epoch.not_found",
        ),
        ("/v1/events?types=all", 400, "request.malformed"),
        ("/v1/events?after=1", 400, "request.malformed"),
        ("/errors/nothing", 404, "error.not_found"),
        ("/v1/query", 405, "request.method"),
    ] {
        let reply = get(served.address, path).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{path}");
    }
    let delete = raw(
        served.address,
        "DELETE /v1/blocks/1 HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert_eq!((delete.status, delete.code().as_str()), (405, "request.method"));
}

#[tokio::test]
async fn pages_after_the_end_are_empty() {
    let (served, _) = small_chain(1).await;
    for path in [
        "/v1/blocks?after=0",
        "/v1/blocks?after=1",
        "/v1/blocks/2/txs?after=18446744073709551615",
        "/v1/blocks/3/txs",
        "/v1/validators?after=3",
        "/v1/validators?after=18446744073709551615",
        "/v1/epochs?after=0",
    ] {
        let reply = get(served.address, path).await;
        assert_eq!(reply.json(), json!({"items": [], "next": null}), "{path}");
    }
}

#[tokio::test]
async fn a_block_is_the_same_by_height_hash_and_latest() {
    let (served, ids) = small_chain(1).await;
    let by_height = get(served.address, "/v1/blocks/4").await;
    let block = by_height.json();
    let hash = block["hash"].as_str().expect("a hash");
    assert_eq!(
        get(served.address, &format!("/v1/blocks/{hash}")).await.json(),
        block
    );
    let latest = get(served.address, "/v1/blocks/latest").await;
    assert_eq!(latest.json(), block);
    assert_eq!(latest.header("cache-control"), "no-cache");
    assert!(by_height.header("cache-control").contains("immutable"));
    assert_eq!(block["tx_count"], 1);
    assert_eq!(block["signers"], "1101");
    assert_eq!(block["executed"]["height"], 3);
    assert_eq!(block["executed"]["supply"], "4000.000000");
    // View 7 of epoch 1 in a set of four.
    assert_eq!(block["proposer_name"], "val-0");
    let closing = get(served.address, "/v1/blocks/1").await.json();
    assert_eq!(closing["next_epoch"], served.node.current().digest().to_string());

    let tag = by_height.header("etag").to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let again = get_with(
            served.address,
            "/v1/blocks/4",
            &format!("If-None-Match: {known}\r\n"),
        )
        .await;
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, tag.as_str()),
            "{known}"
        );
    }
    let other = get_with(served.address, "/v1/blocks/4", "If-None-Match: \"other\"\r\n").await;
    assert_eq!(other.status, 200);
    let _ = ids;
}

#[tokio::test]
async fn lists_are_walked_without_gaps() {
    let (served, ids) = small_chain(1).await;
    for (list, field, want) in [
        ("/v1/blocks", "height", json!([4, 3, 2, 1])),
        ("/v1/epochs", "number", json!([1, 0])),
        (
            "/v1/validators",
            "name",
            json!(["val-0", "val-1", "val-2", "val-3"]),
        ),
        (
            "/v1/blocks/2/txs",
            "tx_id",
            json!(ids.iter().map(|id| id.to_string()).collect::<Vec<_>>()),
        ),
    ] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = get(served.address, &format!("{list}?limit=2{after}"))
                .await
                .json();
            let items = page["items"].as_array().expect("items");
            assert!(!items.is_empty() && items.len() <= 2, "{list}");
            seen.extend(items.iter().map(|item| item[field].clone()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(Value::from(seen), want, "{list}");
    }
}

#[tokio::test]
async fn an_envelope_is_taken_in_and_everything_else_is_refused_by_name() {
    let (served, _) = small_chain(1).await;
    let envelope = served.node.envelope();
    let bytes = base64(borsh::to_vec(&envelope).expect("encoded"));
    let body = json!({ "envelope": bytes }).to_string();
    let reply = post(
        served.address,
        "/v1/txs",
        "application/json; charset=utf-8",
        &body,
    )
    .await;
    assert_eq!(reply.status, 202);
    let expected = json!({"tx_id": envelope.id().to_string(), "epoch": 1, "expires_at_height": 10_000});
    assert_eq!(reply.json(), expected);

    let large = "A".repeat(100 * 1024);
    let huge = "A".repeat(200 * 1024);
    for (kind, body, status, code) in [
        ("text/plain", body.clone(), 400, "request.malformed"),
        ("application/json", "{".into(), 400, "request.malformed"),
        ("application/json", "[]".into(), 400, "request.malformed"),
        (
            "application/json",
            json!({"envelope": 5}).to_string(),
            400,
            "request.malformed",
        ),
        (
            "application/json",
            json!({"envelope": "*"}).to_string(),
            400,
            "request.malformed",
        ),
        (
            "application/json",
            json!({"envelope": bytes, "x": 1}).to_string(),
            400,
            "request.malformed",
        ),
        (
            "application/json",
            json!({"envelope": "AAAA"}).to_string(),
            400,
            "tx.malformed",
        ),
        (
            "application/json",
            json!({ "envelope": large }).to_string(),
            413,
            "rpc.too_large",
        ),
        (
            "application/json",
            json!({ "envelope": huge }).to_string(),
            413,
            "rpc.too_large",
        ),
    ] {
        let reply = post(served.address, "/v1/txs", kind, &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{kind} {:.60}",
            body
        );
    }
    served.node.refuse("tx.epoch_closed");
    let closed = post(served.address, "/v1/txs", "application/json", &body).await;
    assert_eq!((closed.status, closed.code().as_str()), (409, "tx.epoch_closed"));
    assert_eq!(closed.json()["retryable"], true);
    assert_eq!(closed.json()["instance"], "/v1/txs");
    served.node.refuse("mempool.full");
    let full = post(served.address, "/v1/txs", "application/json", &body).await;
    assert_eq!(
        (full.status, full.code().as_str(), full.header("retry-after")),
        (503, "mempool.full", "1")
    );
}

#[tokio::test]
async fn a_sealed_read_goes_through_unread() {
    let (served, _) = small_chain(1).await;
    let body = json!({ "sealed": base64([1, 2, 3]) }).to_string();
    let reply = post(served.address, "/v1/query", "application/json", &body).await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, json!({ "sealed": base64([3, 2, 1]) }))
    );
    served.node.refuse("query.not_a_validator");
    let reply = post(served.address, "/v1/query", "application/json", &body).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (409, "query.not_a_validator")
    );
}

#[tokio::test]
async fn a_long_poll_ends_with_the_commit_or_with_the_proof() {
    let (served, _) = small_chain(2).await;
    let (node, address) = (Arc::clone(&served.node), served.address);
    let envelope = node.envelope();
    let id = envelope.id();
    let unknown = get(address, &format!("/v1/txs/{id}?wait_ms=1")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "tx.not_found"));
    node.set_state(id, TxState::Pending);
    let pending = get(address, &format!("/v1/txs/{id}?wait_ms=1")).await.json();
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["included"], Value::Null);

    let commit = tokio::spawn(async move { get(address, &format!("/v1/txs/{id}?wait_ms=30000")).await });
    let proof =
        tokio::spawn(async move { get(address, &format!("/v1/txs/{id}?wait_ms=30000&until=receipt")).await });
    let height = node.commit(vec![envelope], false);
    let committed = commit.await.expect("answered").json();
    assert_eq!(committed["status"], "committed");
    assert_eq!(committed["included"]["height"], height);
    assert_eq!(committed["receipt_ready"], false);
    assert_eq!(committed["outcome"], "unopened");
    assert_eq!(committed["envelope"]["size_class"], 512);
    assert!(!proof.is_finished());
    node.commit(Vec::new(), false);
    node.commit(Vec::new(), false);
    let proven = proof.await.expect("answered").json();
    assert_eq!(proven["receipt_ready"], true);

    let late = node.envelope().id();
    node.set_state(late, TxState::Expired);
    let expired = get(address, &format!("/v1/txs/{late}?wait_ms=30000&until=receipt"))
        .await
        .json();
    assert_eq!(expired["status"], "expired");
}

#[tokio::test]
async fn a_receipt_is_proven_once_a_header_certifies_it() {
    let (served, ids) = small_chain(3).await;
    let node = &served.node;
    // Block 4 certifies height 1: block 2 is not certified yet.
    let early = get(served.address, &format!("/v1/txs/{}/receipt", ids[0])).await;
    assert_eq!((early.status, early.code().as_str()), (202, "receipt.pending"));
    assert_eq!(early.header("retry-after"), "1");
    for _ in 0..20 {
        node.commit(Vec::new(), false);
    }
    let committee = node.current().committee();
    for (index, id) in (0u32..).zip(&ids) {
        let reply = get(served.address, &format!("/v1/txs/{id}/receipt")).await;
        assert!(reply.header("cache-control").contains("immutable"));
        let proof = ReceiptProof::decode(&blob(&reply.json(), "proof")).expect("decodes");
        assert_eq!((proof.envelope, proof.height, proof.index), (*id, 2, index));
        // Block 5 is the first that certifies height 2.
        assert_eq!((proof.header.height, proof.later.len()), (5, 0));
        let executed = proof
            .verify(&node.chain_id(), &committee, &Credulous)
            .expect("verifies");
        assert_eq!(executed.height, 2);
    }
}

#[tokio::test]
async fn a_receipt_is_proven_over_blocks_that_certify_several_heights_at_once() {
    let node = Stage::new(1);
    node.commit(Vec::new(), true);
    let id = {
        let envelope = node.envelope();
        let id = envelope.id();
        node.commit(vec![envelope], false);
        id
    };
    // Block 3 is missing its header's execution; block 4 certifies 3, and so 2 as well.
    let store = node.store().as_ref();
    node.commit(vec![node.envelope()], false);
    node.commit(Vec::new(), false);
    let log = tacit_ledger::ChainLog::new(store);
    let mut third = log.block(3).expect("read").expect("block 3");
    third.block.header.executed = log
        .block(2)
        .expect("read")
        .expect("block 2")
        .block
        .header
        .executed;
    let mut writes = tacit_ledger::WriteBatch::new();
    writes.put_block(&third);
    store
        .commit(writes, tacit_ledger::Durability::Synced)
        .expect("stored");
    let proof = crate::proofs::receipt_proof(store, 4, &id)
        .expect("made")
        .expect("certified");
    assert_eq!((proof.header.height, proof.later.len()), (4, 1));
    proof
        .verify(&node.chain_id(), &node.current().committee(), &Credulous)
        .expect("verifies");
    assert!(
        crate::proofs::receipt_proof(store, 3, &id)
            .expect("made")
            .is_none()
    );
}

#[tokio::test]
async fn events_resume_at_any_cursor_and_keep_their_ids() {
    let (served, _) = small_chain(1).await;
    let all = [
        "1-0", "1-1", "2-0", "2-1", "2-2", "2-3", "2-4", "2-5", "3-0", "4-0", "4-1",
    ];
    for (path, headers, want) in [
        ("/v1/events?after=0-0", "", &all[..]),
        ("/v1/events?after=1-1", "", &all[2..]),
        ("/v1/events?after=2-3", "", &all[6..]),
        ("/v1/events?after=2-99", "", &all[8..]),
        ("/v1/events?after=0-0", "Last-Event-ID: 2-3\r\n", &all[6..]),
    ] {
        let mut stream = Stream::open(served.address, path, headers).await;
        assert!(stream.until("id: 4-1\n").await);
        assert_eq!(stream.ids(), want, "{path} {headers}");
        assert!(stream.until("retry: 2000").await);
    }
    let mut epochs = Stream::open(served.address, "/v1/events?types=epoch&after=0-0", "").await;
    assert!(epochs.until("\"number\":1").await);
    assert_eq!(epochs.ids(), ["1-1"]);
    let mut blocks = Stream::open(served.address, "/v1/events?types=block&after=2-0", "").await;
    assert!(blocks.until("id: 4-0\n").await);
    assert_eq!(blocks.ids(), ["3-0", "4-0"]);
}

#[tokio::test]
async fn events_arrive_as_blocks_are_committed_and_end_with_the_server() {
    let (served, _) = small_chain(1).await;
    let mut stream = Stream::open(served.address, "/v1/events", "").await;
    assert!(stream.until("retry: 2000").await);
    served.node.commit(vec![served.node.envelope()], true);
    assert!(stream.until("id: 5-2\n").await);
    assert_eq!(stream.ids(), ["5-0", "5-1", "5-2"]);
    assert!(
        get(served.address, "/metrics")
            .await
            .text()
            .contains("tacit_sse_clients 1")
    );
    served.stop.send(()).expect("running");
    assert!(stream.ends().await);
    served.server.await.expect("joined").expect("served");
}

#[tokio::test]
async fn a_long_poll_ends_with_the_server() {
    let (served, _) = small_chain(1).await;
    let (address, id) = (served.address, served.node.envelope().id());
    served.node.set_state(id, TxState::Pending);
    // The stream shows that the server took connections made before it.
    let poll = tokio::spawn(async move { get(address, &format!("/v1/txs/{id}?wait_ms=30000")).await });
    let mut stream = Stream::open(address, "/v1/events", "").await;
    assert!(stream.until("retry: 2000").await);
    served.stop.send(()).expect("running");
    let finished = tokio::time::timeout(Duration::from_secs(20), served.server).await;
    finished.expect("in time").expect("joined").expect("served");
    assert_eq!(poll.await.expect("answered").json()["status"], "pending");
}

#[tokio::test]
async fn loads_are_bounded_by_name_and_probes_answer_through_them() {
    let limits = ApiLimits {
        rate_limit: 1,
        streams: 1,
        ..ApiLimits::default()
    };
    let node = Stage::new(1);
    node.commit(Vec::new(), true);
    let served = serve_with(node, limits).await;
    let mut stream = Stream::open(served.address, "/v1/events?after=0-0", "").await;
    assert!(stream.until("id: 1-0\n").await);
    let second = get(served.address, "/v1/events").await;
    assert_eq!((second.status, second.code().as_str()), (503, "rpc.busy"));
    let mut limited = None;
    for _ in 0..20 {
        let reply = get(served.address, "/v1/status").await;
        if reply.status == 429 {
            limited = Some(reply);
            break;
        }
    }
    let limited = limited.expect("twenty requests in less than twenty seconds are too many");
    assert_eq!(
        (limited.code().as_str(), limited.header("retry-after")),
        ("rpc.rate_limited", "1")
    );
    for probe in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(served.address, probe).await.status, 200, "{probe}");
    }
}

#[tokio::test]
async fn readiness_says_which_check_fails() {
    let (served, _) = small_chain(1).await;
    served.node.fail_check();
    let reply = get(served.address, "/readyz").await;
    assert_eq!(reply.status, 503);
    let want = json!({"ready": false, "checks": [
        {"name": "lag", "ok": false, "value": "0", "limit": "5", "code": "node.syncing"}]});
    assert_eq!(reply.json(), want);
    assert_eq!(get(served.address, "/livez").await.status, 200);
}

#[tokio::test]
async fn metrics_count_routes_and_never_paths() {
    let (served, ids) = small_chain(1).await;
    get(served.address, &format!("/v1/txs/{}", ids[0])).await;
    get(served.address, "/v1/blocks/77").await;
    get(served.address, "/what/is/this").await;
    let reply = get(served.address, "/metrics").await;
    assert_eq!(reply.header("content-type"), metrics::CONTENT_TYPE);
    let text = reply.text();
    for line in [
        "tacit_height 4",
        "tacit_api_requests_total{route=\"/v1/txs/{id}\",status=\"200\"} 1",
        "tacit_api_requests_total{route=\"/v1/blocks/{id}\",status=\"404\"} 1",
        "tacit_api_requests_total{route=\"unmatched\",status=\"404\"} 1",
        "tacit_ready{check=\"lag\"} 1",
        "tacit_build_info{version=\"0.0.0\",commit=\"none\"} 1",
    ] {
        assert!(text.lines().any(|has| has == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("what") && !text.contains(&ids[0].to_string()));
}

#[tokio::test]
async fn browsers_may_read_and_not_write() {
    let (served, _) = small_chain(1).await;
    let read = get_with(served.address, "/v1/status", "Origin: http://elsewhere\r\n").await;
    assert_eq!(read.header("access-control-allow-origin"), "*");
    let refused = get_with(served.address, "/v1/blocks/99", "Origin: http://elsewhere\r\n").await;
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    let preflight = raw(
        served.address,
        "OPTIONS /v1/txs HTTP/1.1\r\nHost: n\r\nConnection: close\r\nOrigin: http://elsewhere\r\n\
         Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
    )
    .await;
    assert!(!preflight.header("access-control-allow-methods").contains("POST"));
}
