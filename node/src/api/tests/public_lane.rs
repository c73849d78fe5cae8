//! Stories about transactions of the public lane, and about what they change: policy, validators, events.

use super::*;
use crate::handle::NextSeat;

/// An approval by the third member; what it approves does not matter here.
fn approval(served: &Served, of: u8) -> SystemTx {
    SystemTx::Approve(PolicyApproval {
        chain: served.node.chain_id(),
        proposal: Digest([of; 32]),
        member: 2,
        signature: PolicyProposal::unsigned(),
    })
}

#[tokio::test]
async fn a_system_transaction_goes_from_pending_to_committed_or_dropped() {
    let (served, _) = small_chain(1).await;
    let tx = approval(&served, 1);
    let submit = |tx: &SystemTx| json!({"tx": base64(tx.encode())}).to_string();
    let reply = post(served.address, "/v1/system", "application/json", &submit(&tx)).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    assert_eq!(
        reply.json(),
        json!({"id": tx.id().to_string(), "kind": "approve"})
    );
    let path = format!("/v1/system/{}", tx.id());
    let pending = get(served.address, &path).await.json();
    assert_eq!(
        (&pending["status"], &pending["since"], &pending["included"]),
        (
            &json!("pending"),
            &json!("1970-01-01T00:00:00.007Z"),
            &Value::Null
        )
    );
    // A long poll ends with the block that carries it.
    let waiting = tokio::spawn(async move { get(served.address, &format!("{path}?wait_ms=20000")).await });
    let height = served
        .node
        .commit_with(Vec::new(), std::slice::from_ref(&tx), false);
    let committed = waiting.await.expect("answered").json();
    assert_eq!(committed["status"], "committed");
    assert_eq!(
        (&committed["included"]["height"], &committed["included"]["index"]),
        (&json!(height), &json!(0))
    );
    let other = approval(&served, 2);
    let problem = Problem::new("gov.proposal_unknown", "it was adopted");
    served.node.set_system(other.id(), SystemState::Dropped(problem));
    let dropped = get(served.address, &format!("/v1/system/{}", other.id()))
        .await
        .json();
    assert_eq!(
        (&dropped["status"], &dropped["refusal"]),
        (
            &json!("dropped"),
            &json!({"code": "gov.proposal_unknown", "detail": "it was adopted"})
        )
    );
}

#[tokio::test]
async fn a_refused_system_transaction_names_the_rule() {
    let (served, _) = small_chain(1).await;
    let sound = json!({"tx": base64(approval(&served, 1).encode())}).to_string();
    for (body, status, code) in [
        ("{}".to_owned(), 400, "request.malformed"),
        (json!({"tx": "*"}).to_string(), 400, "request.malformed"),
        (
            json!({"tx": base64([9; 40])}).to_string(),
            400,
            "system.malformed",
        ),
        (
            json!({"tx": base64(vec![0; 128 * 1024 + 1])}).to_string(),
            413,
            "rpc.too_large",
        ),
        (
            json!({"tx": base64(vec![0; 300 * 1024])}).to_string(),
            413,
            "rpc.too_large",
        ),
    ] {
        let reply = post(served.address, "/v1/system", "application/json", &body).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (status, code),
            "{}",
            body.len()
        );
    }
    for (code, status) in [
        ("gov.below_quorum", 422),
        ("system.ending", 503),
        ("system.pool_full", 503),
        ("gov.not_a_member", 422),
    ] {
        served.node.refuse(code);
        let reply = post(served.address, "/v1/system", "application/json", &sound).await;
        assert_eq!(reply.code(), code);
        let row = tacit_ledger::codes::lookup(code).expect("a row");
        assert_eq!(reply.status, row.http, "{code}");
        assert_eq!(status >= 500, row.retryable, "{code}");
        assert_eq!(reply.json()["detail"], "as staged", "{code}");
    }
}

#[tokio::test]
async fn the_policy_comes_with_its_members_and_empty_lists_are_lists() {
    let (served, _) = small_chain(1).await;
    let policy = get(served.address, "/v1/policy").await.json();
    assert_eq!(
        (&policy["version"], &policy["status"]),
        (&json!(1), &json!("in-force"))
    );
    assert_eq!(
        (&policy["adoption"], &policy["pending"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(policy["next_version"], 2);
    assert_eq!(policy["governance"]["threshold"], 2);
    assert_eq!(policy["governance"]["members"][1]["name"], "member-1");
    let one = get(served.address, "/v1/policy/1").await.json();
    assert_eq!(
        (&one["policy"], &one["digest"]),
        (&policy["policy"], &policy["digest"])
    );
    let proposals = get(served.address, "/v1/policy/proposals").await.json();
    assert_eq!(proposals, json!({"items": [], "next": null}));
    let suspensions = get(served.address, "/v1/suspensions").await.json();
    assert_eq!(suspensions, json!({"items": [], "votes": [], "quorum": 3}));
    let collateral = get(served.address, "/v1/collateral?documents=true").await.json();
    assert_eq!(collateral["items"], json!([]));
    assert_eq!(collateral["digest"].as_str().map(str::len), Some(64));
}

#[tokio::test]
async fn a_validator_comes_with_its_outlook() {
    let (served, _) = small_chain(1).await;
    let before = get(served.address, "/v1/validators/val-1").await.json();
    assert_eq!(
        (&before["outlook"], &before["status"]),
        (&json!([]), &json!("active"))
    );
    served.node.set_forecast(Forecast {
        made_ms: 5,
        validators: vec![ValidatorForecast {
            name: "val-1".into(),
            seat: Some(1),
            next: NextSeat {
                seated: true,
                code: None,
            },
            sets: vec![
                SetForecast {
                    set: ForecastSet::Today,
                    accepted: true,
                    code: None,
                    ends_for: Some("attest.leaf_expired"),
                    until_ms: Some(1_763_820_191_204),
                    cause: "the leaf certificate ends".into(),
                    update: "fetch it again".into(),
                    short: Vec::new(),
                },
                SetForecast {
                    set: ForecastSet::Next { evaluation: 21 },
                    accepted: false,
                    code: Some("attest.tcb_status"),
                    ends_for: None,
                    until_ms: None,
                    cause: "out of date".into(),
                    update: "the TDX module".into(),
                    short: vec!["TDX module has 5, needs 7".into()],
                },
            ],
        }],
        next_kept: false,
    });
    let after = get(served.address, "/v1/validators/val-1").await.json();
    assert_eq!(after["evidence"]["expires_at"], "2025-11-22T14:03:11.204Z");
    let (today, next) = (&after["outlook"][0], &after["outlook"][1]);
    assert_eq!(
        (&today["set"], &today["accepted"]),
        (&json!("today"), &json!(true))
    );
    assert_eq!(
        (&next["set"], &next["evaluation"], &next["code"], &next["until"]),
        (
            &json!("next"),
            &json!(21),
            &json!("attest.tcb_status"),
            &Value::Null
        )
    );
    assert_eq!(next["short"], json!(["TDX module has 5, needs 7"]));
    let list = get(served.address, "/v1/validators").await.json();
    assert_eq!(list["items"][1], after);
}

#[tokio::test]
async fn changes_of_the_rules_are_events_with_ids_of_their_own() {
    let (served, _) = small_chain(1).await;
    let envelope = served.node.envelope();
    let txs = [approval(&served, 1), approval(&served, 2)];
    let height = served.node.commit_with(vec![envelope], &txs, false);
    served.node.commit(Vec::new(), false);
    let end = format!("id: {}-0\n", height + 1);
    let mut all = Stream::open(served.address, &format!("/v1/events?after={}-99", height - 1), "").await;
    assert!(all.until(&end).await);
    let ids: Vec<String> = [0, 1, 2, 3].map(|n| format!("{height}-{n}")).into();
    assert_eq!(all.ids()[..4], ids);
    let path = format!("/v1/events?types=policy,block&after={height}-2");
    let mut some = Stream::open(served.address, &path, "").await;
    assert!(some.until(&end).await);
    assert_eq!(some.ids(), [format!("{height}-3"), format!("{}-0", height + 1)]);
    assert!(some.until("event: policy").await);
    assert!(some.until("\"kind\":\"approve\",\"member\":\"member-2\"").await);
    assert!(some.until(&Digest([2; 32]).to_string()).await);
}
