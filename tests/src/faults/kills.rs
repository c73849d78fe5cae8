//! Processes that stop: killed one after the other, paused, all killed at once, started from an older disk.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    keep,
    lane::{Lane, now_ms, percentiles, round},
};

/// Blocks that the others must commit without a killed one before it is started again.
const WITHOUT: u64 = 2;

/// Kills one node after the other under load, at least `size.kills` times, and until `size.txs` transactions are final.
///
/// # Panics
/// When something is lost, the others stop, or a killed one does not come back.
pub fn kills(lane: &mut Lane) {
    let (rate, kills, txs) = (lane.size.rate, lane.size.kills, lane.size.txs);
    let from = lane.top(0..4).max(1);
    let ((restarts, whole, windows), loaded) = lane.under_load(rate, |lane| {
        let mut restarts = Vec::new();
        let (mut windows, mut whole) = (Vec::new(), Vec::new());
        let mut round = 0;
        while round < kills || committed_since(lane, from) < txs {
            let victim = round % 4;
            let others: Vec<usize> = (0..4).filter(|node| *node != victim).collect();
            // The longest of those who will wait for it: an earlier fault may still count with some.
            let patience = others
                .iter()
                .map(|node| timeout_ms(lane, *node))
                .max()
                .unwrap_or(0);
            let killed_at = now_ms();
            lane.net().kill(victim).expect("it is killed");
            let top = lane.top(others.iter().copied());
            lane.until("the others go on", || {
                lane.top(others.iter().copied()) >= top + WITHOUT
            });
            windows.push((killed_at, now_ms(), patience));
            let started = Instant::now();
            lane.net().restart(victim).expect("it starts again");
            lane.until("it votes again", || lane.votes(victim));
            restarts.push(started.elapsed());
            // One fault at a time: the next one waits until everybody is connected again.
            lane.until("all are connected", || lane.is_whole());
            whole.push(started.elapsed());
            round += 1;
        }
        (restarts, whole, windows)
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    let asked = lane.all_there(&[0, 1, 2, 3]);
    let (gaps, in_timeouts) = gaps(&lane.block_times(0, from), &windows);
    let mut sorted = in_timeouts.clone();
    sorted.sort_by(f64::total_cmp);
    let rank = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().map_or(0.0, round)
    };
    lane.say(format!(
        "{} kills; {} transactions final, each of them at each node",
        windows.len(),
        loaded.report.committed
    ));
    keep(
        "kills",
        json!({
            "kill -9": windows.len(),
            "load": loaded.figures(),
            "committed ones asked for again at each node": asked,
            "restart to voting": percentiles(&restarts),
            "restart to connected with all": percentiles(&whole),
            "gap after a kill": percentiles(&gaps),
            "gap after a kill, p50 view timeouts": rank(50),
            "gap after a kill, p99 view timeouts": rank(99),
            "peak RSS MiB": lane.peak_rss_mib(),
        }),
    );
}

/// Transactions in the blocks above a height, as some node that answers has them.
fn committed_since(lane: &Lane, from: u64) -> u64 {
    let Some(node) = (0..4).find(|node| lane.height(*node).is_some()) else {
        return 0;
    };
    let Some(page) = lane.try_page(node, "/v1/blocks?limit=200") else {
        return 0;
    };
    let sum = |page: &Value| {
        let items = page["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let above = items.iter().filter(|item| item["height"].as_u64() > Some(from));
        above.filter_map(|item| item["tx_count"].as_u64()).sum::<u64>()
    };
    let mut total = sum(&page);
    let mut next = page["next"].as_str().map(str::to_owned);
    while let Some(after) = next {
        if after.parse::<u64>().is_ok_and(|height| height <= from) {
            break;
        }
        let Some(page) = lane.try_page(node, &format!("/v1/blocks?limit=200&after={after}")) else {
            break;
        };
        total += sum(&page);
        next = page["next"].as_str().map(str::to_owned);
    }
    total
}

/// How long a node waits for a view now.
fn timeout_ms(lane: &Lane, node: usize) -> u64 {
    let said = lane.page(node, "/v1/status")["consensus"]["timeout_ms"].as_u64();
    said.filter(|ms| *ms > 0).unwrap_or(1_000)
}

/// For each kill the longest pause between two blocks that began before or at it or after, and ended within its window;
/// also in view timeouts as they were then.
fn gaps(times: &[u64], windows: &[(u64, u64, u64)]) -> (Vec<Duration>, Vec<f64>) {
    let mut gaps = Vec::new();
    let mut in_timeouts = Vec::new();
    for (killed, ended, timeout) in windows {
        let within = times
            .windows(2)
            .filter(|pair| pair[1] > *killed && pair[0] <= *ended)
            .map(|pair| pair[1] - pair[0]);
        if let Some(longest) = within.max() {
            gaps.push(Duration::from_millis(longest));
            in_timeouts.push(longest as f64 / *timeout as f64);
        }
    }
    (gaps, in_timeouts)
}

/// Freezes a node for 15 s under load: it wakes up with an old clock and old messages.
///
/// # Panics
/// When the others stop, or it does not vote again.
pub fn pause(lane: &mut Lane) {
    const PAUSE: Duration = Duration::from_secs(15);
    let rate = lane.size.rate;
    let ((blocks, back), loaded) = lane.under_load(rate, |lane| {
        lane.progress(0, 2);
        lane.net().pause(3).expect("it is paused");
        let (from, begun) = (lane.top(0..3), Instant::now());
        lane.until("the pause lasts", || begun.elapsed() >= PAUSE);
        let blocks = lane.top(0..3) - from;
        let resumed = Instant::now();
        lane.net().resume(3).expect("it goes on");
        let top = lane.top(0..3);
        lane.until("it has caught up and votes", || {
            lane.height(3) >= Some(top) && lane.votes(3)
        });
        (blocks, resumed.elapsed())
    });
    assert!(blocks >= 5, "three of four go on: {blocks} blocks in {PAUSE:?}");
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    keep(
        "pause",
        json!({
            "paused s": PAUSE.as_secs(),
            "blocks meanwhile": blocks,
            "caught up after ms": round(back.as_secs_f64() * 1e3),
            "load": loaded.figures(),
        }),
    );
}

/// Nobody was found to have signed twice.
pub(super) fn no_convictions(lane: &Lane) {
    for node in 0..4 {
        let Some(page) = lane.try_page(node, "/v1/forecast") else {
            continue;
        };
        let items = page["items"].as_array().expect("a list");
        let convicted = items.iter().any(|item| item["next"]["code"] == "epoch.convicted");
        assert!(!convicted, "nobody signed twice: {page}");
    }
}

/// Kills all nodes at once under load, and starts them again.
///
/// # Panics
/// When something that was final is not, or no new block comes.
pub fn all_restart(lane: &mut Lane) {
    let rate = lane.size.rate;
    let (waits, loaded) = lane.under_load(rate, |lane| {
        lane.progress(0, 5);
        let net = lane.net();
        for node in 0..4 {
            net.kill(node).expect("it is killed");
        }
        let began = Instant::now();
        for node in 0..4 {
            net.launch(node).expect("it starts");
        }
        for node in 0..4 {
            net.await_node(node).expect("it serves");
        }
        let serving = began.elapsed();
        let top = lane.top(0..4);
        lane.until("a new block", || lane.top(0..4) > top);
        let first = began.elapsed();
        for node in 0..4 {
            lane.until("each votes", || lane.votes(node));
        }
        (serving, first, began.elapsed())
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    let asked = lane.all_there(&[0, 1, 2, 3]);
    no_convictions(lane);
    let ms = |time: Duration| round(time.as_secs_f64() * 1e3);
    keep(
        "all restart",
        json!({
            "kill -9 of all four": 1,
            "serving after ms": ms(waits.0),
            "new block after ms": ms(waits.1),
            "all vote after ms": ms(waits.2),
            "committed ones asked for again at each node": asked,
            "load": loaded.figures(),
        }),
    );
}

/// Starts a node from an older copy of its disk: it asks what it signed, stays silent where it may have signed already, and
/// votes again.
///
/// # Panics
/// When it is convicted, or does not vote again.
pub fn set_back(lane: &mut Lane) {
    let rate = lane.size.rate;
    let (waited, loaded) = lane.under_load(rate, |lane| {
        lane.net().save_home(0).expect("a copy of its home");
        lane.until("it votes again", || lane.votes(0));
        let saved = lane.height(0).expect("it answers");
        lane.until("the chain goes on", || lane.height(0) > Some(saved + 10));
        let began = Instant::now();
        lane.net().rollback(0).expect("its older home is put back");
        lane.until("it votes again", || lane.votes(0));
        began.elapsed()
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    assert!(
        lane.in_log(0, "safety.rolled_back") > 0,
        "it has noticed that its disk was set back"
    );
    keep(
        "disk set back",
        json!({ "votes again after ms": round(waited.as_secs_f64() * 1e3), "load": loaded.figures() }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_the_longest_pause_that_touches_its_window() {
        let times = [100, 200, 900, 1_000, 5_000];
        let (gaps, in_timeouts) = gaps(&times, &[(250, 950, 350), (6_000, 7_000, 1)]);
        assert_eq!(gaps, [Duration::from_millis(700)]);
        assert_eq!(in_timeouts, [2.0]);
    }
}
