//! More transactions than the network can order: what it takes in it commits, the rest it refuses, and it commits on.

use std::time::{Duration, Instant};

use serde_json::json;
use tacit_testnet::{FloodOptions, FloodReport};

use super::{
    keep,
    lane::{Lane, round},
};

/// How many times what the network commits the flood aims at. Fourfold is to arrive: on a full machine some of it comes late.
const TIMES: f64 = 6.0;
/// What must be left of the commits under the flood, or it has stopped them. The aim is 0.7, and what is reached is recorded: a
/// machine that is busy with something else in one of the two runs is no fault.
const LEAST: f64 = 0.3;
/// The most memory that a node may have taken, MiB.
const RSS_CAP_MIB: u64 = 1_024;

/// Wallets that find out what the network commits: one request of each is open at a time.
const WALLETS: u16 = 32;
/// Wallets of the flood: so many that nodes cannot slow it down by answering late.
const FLOODERS: u16 = 960;

/// Accounts that both need.
pub const FLOOD_ACCOUNTS: u16 = WALLETS + FLOODERS;

/// Measures what the network commits when as much is sent as is answered, then offers many times as much. Both are sealed
/// beforehand, so that sealing takes no time from the nodes, which share the machine.
///
/// # Panics
/// When commits break down, what was taken in is lost, a node falls, or the network does not go on afterwards.
pub fn flood(lane: &mut Lane) {
    let time = Duration::from_secs(lane.size.seconds.max(8));
    let options = FloodOptions {
        first: 0,
        wallets: WALLETS,
        // Enough for the time, whatever the machine can.
        count: 600 * time.as_secs(),
        time,
        rate: 0.0,
    };
    let base = run(lane, options);
    let rate = TIMES * base.per_s;
    let under = run(
        lane,
        FloodOptions {
            first: WALLETS,
            wallets: FLOODERS,
            rate,
            ..options
        },
    );
    let mut alice = lane.network.wallet("alice", 0);
    let to = lane.network.address("bob");
    let mut transfer = alice.submit_transfer(&to, 1).expect("it is taken in");
    alice.wait(&mut transfer).expect("a wallet gets through again");
    let sent = under.report.sent as f64 / under.report.seconds;
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
            "sent per s in the flood": round(sent),
            "requests open at once": FLOODERS,
            "taken in": under.report.accepted,
            "committed of these": under.committed,
            "refused": under.report.refused,
            "refusals by code": under.report.errors,
            "commits per s in the flood": round(under.per_s),
            "times the commits that were sent": round(sent / base.per_s),
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

/// Sends transactions of fresh accounts for a time, counts what is committed in it, and waits until all that was taken in is.
fn run(lane: &Lane, options: FloodOptions) -> Ran {
    let flood = tacit_testnet::seal_flood(lane.network.facts(), options).expect("sealed");
    let committed = || lane.metric(0, "tacit_tx_committed_total");
    let (before, begun) = (committed(), Instant::now());
    let report = flood.send().expect("it is sent");
    let per_s = (committed() - before) as f64 / begun.elapsed().as_secs_f64();
    lane.say(format!("{per_s:.0} commits a second: {report:?}"));
    lane.until("all that was taken in is committed", || {
        committed() >= before + report.accepted
    });
    Ran {
        per_s,
        committed: committed() - before,
        report,
    }
}
