//! More transactions than the network can order: what it takes in it commits, the rest it refuses, and it commits on.

use std::time::Instant;

use serde_json::json;
use tacit_testnet::{Facts, FloodOptions, FloodReport};

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

/// Wallets of each of the two floods.
const WALLETS: u16 = 16;

/// Measures what the network commits when as much is sent as is answered, then offers four times as much. Both are sealed
/// beforehand, so that sealing takes no time from the nodes, which share the machine.
///
/// # Panics
/// When commits break down, what was taken in is lost, a node falls, or the network does not go on afterwards.
pub fn flood(lane: &mut Lane) {
    let seconds = lane.size.seconds as f64;
    let facts = lane.network.facts().clone();
    // Enough for the time, whatever the machine can.
    let base = run(lane, &facts, 0, 400 * lane.size.seconds, 0.0);
    let rate = TIMES * base.per_s;
    let under = run(lane, &facts, WALLETS, (rate * seconds) as u64, rate);
    let mut alice = lane.network.wallet("alice", 0);
    let to = lane.network.address("bob");
    let mut sent = alice.submit_transfer(&to, 1).expect("it is taken in");
    alice.wait(&mut sent).expect("a wallet gets through again");
    let kept = under.per_s / base.per_s;
    assert!(
        kept >= LEAST,
        "{} commits a second of {}",
        under.per_s,
        base.per_s
    );
    for node in 0..4 {
        assert_eq!(lane.in_log(node, "panicked at"), 0, "node {node}");
    }
    let rss = lane.peak_rss_mib();
    assert!(rss <= RSS_CAP_MIB, "a node took {rss} MiB");
    lane.agree(&[0, 1, 2, 3]);
    keep(
        "flood",
        json!({
            "commits per s, as fast as answered": round(base.per_s),
            "offered per s in the flood": round(rate),
            "sent per s": round(under.report.sent as f64 / under.report.seconds),
            "taken in": under.report.accepted,
            "committed of these": under.committed,
            "refused": under.report.refused,
            "refusals by code": under.report.errors,
            "commits per s in the flood": round(under.per_s),
            "part of the commits that is left": round(kept * 100.0) / 100.0,
            "peak RSS MiB": rss,
            "RSS cap MiB": RSS_CAP_MIB,
        }),
    );
}

/// What became of one flood.
struct Ran {
    report: FloodReport,
    committed: u64,
    per_s: f64,
}

/// Sends so many transactions of fresh accounts, and waits until all that were taken in are committed.
fn run(lane: &Lane, facts: &Facts, first: u16, count: u64, rate: f64) -> Ran {
    let options = FloodOptions {
        first,
        wallets: WALLETS,
        count,
        rate,
    };
    let flood = tacit_testnet::seal_flood(facts, options).expect("sealed");
    let committed = || lane.metric(0, "tacit_tx_committed_total");
    let (before, begun) = (committed(), Instant::now());
    let report = flood.send();
    lane.say(format!("{report:?}"));
    lane.until("all that was taken in is committed", || {
        committed() >= before + report.accepted
    });
    let committed = committed() - before;
    Ran {
        per_s: committed as f64 / begun.elapsed().as_secs_f64(),
        report,
        committed,
    }
}
