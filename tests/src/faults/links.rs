//! Links that fail: cut between groups, cut one way, slow.

use std::time::{Duration, Instant};

use serde_json::json;
use tacit_testnet::Delay;

use super::{
    keep,
    kills::no_convictions,
    lane::{Lane, round},
};

/// What was under way when a link was cut may still arrive and commit a block.
const SETTLED: Duration = Duration::from_secs(1);

/// How a stage's figures are named where the kernel, and not the proxy, cuts the links.
fn named(lane: &Lane, stage: &str) -> String {
    match lane.network.testnet.facts().namespaces {
        true => format!("{stage}, packets lost in the kernel"),
        false => stage.to_owned(),
    }
}

/// Two and two: no block. Three and one: the three go on, the one commits nothing.
///
/// # Panics
/// When a minority commits, a majority stops, or healing does not bring them together.
pub fn partitions(lane: &mut Lane) {
    let (rate, hold) = (lane.size.rate, Duration::from_secs(lane.size.seconds));
    let ((halves, majority, caught_up), loaded) = lane.under_load(rate, |lane| {
        lane.progress(0, 2);
        lane.net().partition(&[vec![0, 1], vec![2, 3]]).expect("cut");
        wait(lane, SETTLED);
        let top = lane.top(0..4);
        wait(lane, hold);
        assert_eq!(lane.top(0..4), top, "two of four commit nothing");
        lane.net().heal().expect("whole");
        let healed = Instant::now();
        lane.until("a new block after the halves met", || lane.top(0..4) > top);
        let halves = healed.elapsed();
        lane.until("all have it", || (0..4).all(|node| lane.height(node) > Some(top)));

        lane.net().partition(&[vec![3]]).expect("cut");
        wait(lane, SETTLED);
        let (alone, top) = (lane.height(3), lane.top(0..3));
        wait(lane, hold);
        lane.until("three of four go on", || lane.top(0..3) >= top + 2);
        assert_eq!(lane.height(3), alone, "one of four commits nothing");
        let majority = lane.top(0..3) - top;
        lane.net().heal().expect("whole");
        let (healed, top) = (Instant::now(), lane.top(0..3));
        lane.until("the one catches up", || lane.height(3) >= Some(top));
        (halves, majority, healed.elapsed())
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    keep(
        &named(lane, "partition"),
        json!({
            "seconds each": lane.size.seconds,
            "blocks of two against two": 0,
            "new block after two and two met, ms": ms(halves),
            "blocks of three against one": majority,
            "the one caught up after ms": ms(caught_up),
            "load": loaded.figures(),
        }),
    );
}

/// One that is not heard, and one that hears nothing: the others go on.
///
/// # Panics
/// When they do not, or healing does not bring the one back.
pub fn one_way(lane: &mut Lane) {
    let (rate, hold) = (lane.size.rate, Duration::from_secs(lane.size.seconds));
    let ((mute, deaf), loaded) = lane.under_load(rate, |lane| {
        let cut = |lane: &mut Lane, from: &[usize], to: &[usize]| {
            let change = |links: &mut tacit_testnet::Links| {
                links.cut(4, from, to);
                Ok(())
            };
            lane.net().change_links(change).expect("cut");
            wait(lane, SETTLED);
            let top = lane.top(1..4);
            wait(lane, hold);
            lane.until("the others go on", || lane.top(1..4) >= top + 2);
            let blocks = lane.top(1..4) - top;
            lane.net().heal().expect("whole");
            let top = lane.top(1..4);
            lane.until("it catches up", || lane.height(0) >= Some(top));
            blocks
        };
        let mute = cut(lane, &[0], &[1, 2, 3]);
        let deaf = cut(lane, &[1, 2, 3], &[0]);
        (mute, deaf)
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    keep(
        &named(lane, "one way"),
        json!({
            "seconds each": lane.size.seconds,
            "blocks while one was not heard": mute,
            "blocks while one heard nothing": deaf,
            "load": loaded.figures(),
        }),
    );
}

/// All links take 200 ms, give or take 100; then they are fast again.
///
/// # Panics
/// When blocks stop.
pub fn slow_links(lane: &mut Lane) {
    let (rate, hold) = (lane.size.rate, Duration::from_secs(lane.size.seconds));
    let delay = Delay::new(Duration::from_millis(200), Duration::from_millis(100)).expect("a delay");
    let all: Vec<usize> = (0..4).collect();
    let slow = |lane: &mut Lane, delay: Delay| {
        let change = |links: &mut tacit_testnet::Links| {
            links.slow(4, &all, &all, delay);
            Ok(())
        };
        lane.net().change_links(change).expect("slow");
    };
    let ((blocks, seconds), loaded) = lane.under_load(rate, |lane| {
        slow(lane, delay);
        let (top, begun) = (lane.top(0..4), Instant::now());
        wait(lane, hold);
        lane.until("blocks come over slow links", || lane.top(0..4) >= top + 3);
        let counted = (lane.top(0..4) - top, begun.elapsed().as_secs_f64());
        slow(lane, Delay::default());
        counted
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    no_convictions(lane);
    keep(
        "slow links",
        json!({
            "latency one way ms": 200,
            "jitter ms": 100,
            "blocks per s": round(blocks as f64 / seconds),
            "load": loaded.figures(),
        }),
    );
}

fn wait(lane: &Lane, time: Duration) {
    let begun = Instant::now();
    lane.until("the fault lasts", || begun.elapsed() >= time);
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}
