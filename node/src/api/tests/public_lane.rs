//! Stories about transactions of the public lane, and about what they change: policy, validators, events.

use super::*;
use tacit_consensus::PublicKey;

use crate::status::{Membership, NextSeat};

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

/// A validator that today's rules refuse, one that only ages, and one that waits for its first seat.
fn prospects() -> Forecast {
    let own = |name: &str, seat, next: NextSeat, sets| ValidatorForecast {
        name: name.into(),
        seat,
        next,
        sets,
    };
    let today = |accepted: bool, code, until_ms| SetForecast {
        set: ForecastSet::Today,
        accepted,
        code: (!accepted).then_some(code),
        ends_for: accepted.then_some(code),
        until_ms,
        cause: "the cause".into(),
        update: "the remedy".into(),
        short: Vec::new(),
    };
    let seated = NextSeat {
        seated: true,
        code: None,
    };
    let without = |code: &str| NextSeat {
        seated: false,
        code: Some(code.into()),
    };
    let ages = vec![today(true, "attest.evidence_expired", Some(9_000))];
    let refused = vec![today(false, "attest.tcb_below_floor", None)];
    Forecast {
        made_ms: 5_000,
        validators: vec![
            own("val-0", Some(0), seated.clone(), ages.clone()),
            own("val-1", Some(1), without("attest.tcb_below_floor"), refused),
            own("val-2", Some(2), without("epoch.left"), ages.clone()),
            own("val-3", Some(3), seated, ages),
            own("val-4", None, without("epoch.newcomers"), Vec::new()),
        ],
        next_kept: false,
    }
}

#[tokio::test]
async fn everybody_sees_who_will_be_out_when_and_why() {
    let (served, _) = small_chain(1).await;
    let empty = get(served.address, "/v1/forecast").await.json();
    assert_eq!((&empty["made_at"], &empty["items"]), (&Value::Null, &json!([])));
    served.node.set_forecast(prospects());
    let page = get(served.address, "/v1/forecast").await.json();
    assert_eq!((&page["seats"], &page["quorum"]), (&json!(4), &json!(3)));
    // Two of four go at once, so the set falls below its quorum with the second.
    assert_eq!(page["below_quorum_at"], "1970-01-01T00:00:05.000Z");
    let items = page["items"].as_array().expect("a list");
    let told: Vec<(&str, &Value, &Value)> = items
        .iter()
        .map(|item| {
            let name = item["name"].as_str().expect("a name");
            (name, &item["out"]["code"], &item["out"]["renews_itself"])
        })
        .collect();
    assert_eq!(
        told,
        [
            ("val-1", &json!("attest.tcb_below_floor"), &json!(false)),
            ("val-2", &json!("epoch.left"), &json!(false)),
            ("val-0", &json!("attest.evidence_expired"), &json!(true)),
            ("val-3", &json!("attest.evidence_expired"), &json!(true)),
            ("val-4", &Value::Null, &Value::Null),
        ]
    );
    assert_eq!(
        items[4]["next"],
        json!({ "seated": false, "code": "epoch.newcomers" })
    );
    let one = get(served.address, "/v1/validators/val-1").await.json();
    assert_eq!(one["out"], items[0]["out"]);
    assert_eq!(one["next"]["seated"], false);
}

#[tokio::test]
async fn a_node_says_where_it_stands_and_why_it_was_refused() {
    use crate::phase::Phase;
    use crate::renewal::{Attempt, Why};

    let (served, _) = small_chain(1).await;
    let page = get(served.address, "/v1/node").await.json();
    assert_eq!(
        (&page["phase"], &page["registered"]),
        (&json!("voting"), &Value::Null)
    );
    let refused = Attempt {
        why: Why::Join,
        at_ms: 1_763_820_191_204,
        height: 7,
        result: Err(Problem::new("renew.duplicate_chip", "val-0 is registered on it")),
    };
    served.node.set_place(Phase::Following, None, Some(refused));
    let page = get(served.address, "/v1/node").await.json();
    assert_eq!(page["phase"], "following");
    assert_eq!(
        page["attempt"],
        json!({
            "why": "join", "at": "2025-11-22T14:03:11.204Z", "at_ms": 1_763_820_191_204_u64, "height": 7,
            "accepted": false, "id": null, "code": "renew.duplicate_chip", "detail": "val-0 is registered on it",
        })
    );
    let own = Membership {
        name: "val-9".into(),
        height: 8,
        registered_ms: 0,
        registration: Digest([3; 32]),
        operator_key: PublicKey([4; 32]),
        protocol: 1,
        leaving: true,
        next: Some(NextSeat {
            seated: false,
            code: Some("epoch.left".into()),
        }),
    };
    served.node.set_place(Phase::Leaving, Some(own), None);
    let page = get(served.address, "/v1/node").await.json();
    assert_eq!(
        (&page["phase"], &page["registered"]["leaving"], &page["attempt"]),
        (&json!("leaving"), &json!(true), &Value::Null)
    );
    assert_eq!(page["registered"]["next"]["code"], "epoch.left");
    let status = get(served.address, "/v1/status").await.json();
    assert_eq!(
        (&status["node"]["phase"], &status["node"]["seat"]),
        (&json!("leaving"), &json!(0))
    );
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
