//! More transactions than the network can order: what it takes in it commits, the rest it refuses, and it commits on.

use std::time::Instant;

use serde_json::json;
use tacit_testnet::{Facts, LoadKind, LoadOptions};

use super::{
    keep,
    lane::{Lane, round},
};

/// How many times what the network commits is offered.
const TIMES: f64 = 4.0;
/// What is left of the commits under the flood must be at least this; the aim is 0.7, but wallets, flood and nodes share one
/// machine, so what is judged is that the flood does not stop it.
const LEAST: f64 = 0.3;
/// The most memory that a node may have taken, MiB.
const RSS_CAP_MIB: u64 = 1_024;

/// Measures what the network commits when wallets send as fast as they are answered, then offers four times as much.
///
/// # Panics
/// When commits break down, a node falls, or the network does not go on afterwards.
pub fn flood(lane: &mut Lane) {
    let seconds = lane.size.seconds.max(5);
    let facts = lane.network.facts().clone();
    let options = |rate: f64| LoadOptions {
        rate,
        seconds,
        wallets: 16,
        kind: LoadKind::Transfer,
        ..LoadOptions::default()
    };
    let (base, accepted) = {
        let counted = committed_while(lane, || {
            let report = tacit_testnet::flood(&facts, &options(0.0)).expect("a load");
            lane.say(format!("as fast as they are answered: {report:?}"));
            report.accepted
        });
        (counted.0, counted.1)
    };
    settle(lane, &facts);
    let rate = (TIMES * base).max(20.0);
    let (under, report) = committed_while(lane, || {
        tacit_testnet::flood(&facts, &options(rate)).expect("a flood")
    });
    lane.say(format!("flood: {report:?}"));
    settle(lane, &facts);
    let kept = under / base.max(0.1);
    assert!(kept >= LEAST, "{under} commits a second of {base}");
    for node in 0..4 {
        assert!(lane.height(node).is_some(), "node {node} answers");
        assert_eq!(lane.in_log(node, "panicked at"), 0, "node {node}");
    }
    let rss = lane.peak_rss_mib();
    assert!(rss <= RSS_CAP_MIB, "a node took {rss} MiB");
    lane.agree(&[0, 1, 2, 3]);
    keep(
        "flood",
        json!({
            "seconds each": seconds,
            "commits per s without": round(base),
            "taken in without": accepted,
            "offered per s": round(rate),
            "sent per s": round(report.sent_per_s),
            "taken in": report.accepted,
            "refused": report.refused,
            "refusals by code": report.errors,
            "commits per s under it": round(under),
            "part of the commits that is left": round(kept * 100.0) / 100.0,
            "peak RSS MiB": rss,
            "RSS cap MiB": RSS_CAP_MIB,
        }),
    );
}

/// Transactions that one node commits a second while something is done, and what that gave.
fn committed_while<T>(lane: &Lane, act: impl FnOnce() -> T) -> (f64, T) {
    let count = || lane.metric(0, "tacit_tx_committed_total");
    let (before, begun) = (count(), Instant::now());
    let done = act();
    let (after, seconds) = (count(), begun.elapsed().as_secs_f64());
    ((after - before) as f64 / seconds, done)
}

/// What was taken in is committed, and a wallet gets through again.
fn settle(lane: &Lane, facts: &Facts) {
    lane.until("what was taken in is committed", || {
        (0..4).all(|node| {
            lane.try_page(node, "/v1/status")
                .is_some_and(|page| page["mempool"]["txs"] == 0)
        })
    });
    let few = LoadOptions {
        rate: 2.0,
        seconds: 1,
        wallets: 2,
        ..LoadOptions::default()
    };
    let report = tacit_testnet::load(facts, &few).expect("a load");
    assert_eq!((report.committed, report.lost), (2, 0), "{report:?}");
}
