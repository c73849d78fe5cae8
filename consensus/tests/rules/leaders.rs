//! R16: leaders whose newest turns came to nothing are passed over.

use crate::harness::{DELAY, Net, START};
use tacit_consensus::{Message, Status};

/// Gaps between the commits of one node, in virtual milliseconds, sorted.
fn gaps(net: &Net, node: usize) -> Vec<u64> {
    let times = &net.nodes[node].committed_at;
    let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    gaps
}

fn timeouts_sent(net: &Net, node: usize) -> usize {
    let timeouts = net.nodes[node].sent.iter();
    timeouts.filter(|one| matches!(one, Message::Timeout(_))).count()
}

#[test]
fn one_dead_of_four_costs_a_timeout_ever_more_rarely() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.crash(3);
    net.run(60_000);
    net.assert_agreement();
    let gaps = gaps(&net, 0);
    let at = |per_mille: usize| gaps[gaps.len() * per_mille / 1000];
    let (half, most, worst) = (at(500), at(990), gaps[gaps.len() - 1]);
    let rate = net.heights()[0] as f64 / 60.0;
    println!(
        "one dead of four, 10 ms delay: {rate:.1} blocks/s, gaps p50 {half}, p99 {most}, max {worst} ms"
    );
    // Two delays a block; a turn that is passed over costs two more, for its timeouts and the next proposal.
    assert_eq!(half, 2 * DELAY);
    assert!(most <= 5 * DELAY, "{most} ms");
    assert!(rate > 30.0, "{rate} blocks/s");
    assert_eq!(net.core(0).passed_over(), [3]);
}

#[test]
fn one_that_returns_is_given_a_turn_soon_and_leads_again() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.crash(3);
    net.run(5_000);
    assert_eq!(net.core(0).passed_over(), [3]);
    net.start(3);
    net.sync(3, 0);
    net.work(true);
    // At most 64 rounds of four blocks, two delays each, and what a turn that is passed over costs.
    net.run(64 * 4 * 3 * DELAY);
    assert!(net.core(0).passed_over().is_empty());
    let height = net.heights()[0];
    net.run(1_000);
    assert!(
        net.heights()[0] >= height + 1_000 / (2 * DELAY) - 2,
        "{:?}",
        net.heights()
    );
    net.assert_agreement();
}

#[test]
fn two_dead_of_seven_side_by_side_are_passed_over_and_a_third_is_not() {
    let mut net = Net::new(7, 0);
    net.work(true);
    net.crash(5);
    net.crash(6);
    net.run(60_000);
    let gaps = gaps(&net, 0);
    assert!(gaps[gaps.len() * 98 / 100] <= 8 * DELAY, "{gaps:?}");
    assert_eq!(net.core(0).passed_over(), [5, 6]);
    // Two are f: nobody is passed over for a third, and without a quorum nothing turns in circles.
    let before = timeouts_sent(&net, 0);
    net.crash(4);
    net.run(60_000);
    let repeated = timeouts_sent(&net, 0) - before;
    assert!(
        repeated <= 60_000 / 250 + 5,
        "{repeated} timeouts, one of them each least timeout"
    );
    net.assert_agreement();
}

#[test]
fn without_work_a_dead_leader_makes_nobody_busy() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.crash(3);
    net.run(5_000);
    net.work(false);
    net.run(1_000);
    let (height, sent) = (net.heights()[0], timeouts_sent(&net, 0));
    net.run(120_000);
    // A heartbeat every five seconds, and the dead leader's turn among each four of them.
    let blocks = net.heights()[0] - height;
    assert!((20..=34).contains(&blocks), "{blocks} blocks");
    assert!(timeouts_sent(&net, 0) - sent <= 10);
}

#[test]
fn after_a_restart_the_same_leaders_are_passed_over() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.crash(3);
    net.run(10_000);
    let before = net.core(1).passed_over();
    assert_eq!(before, [3]);
    net.crash(1);
    net.start(1);
    assert_eq!(net.core(1).passed_over(), before);
    let views = |net: &Net| net.core(1).status().view;
    let (view, sent) = (views(&net), timeouts_sent(&net, 1));
    net.work(true);
    net.run(2_000);
    assert!(views(&net) > view + 50, "it goes on at the same pace");
    assert!(timeouts_sent(&net, 1) > sent);
    net.assert_agreement();
}

#[test]
fn who_disagrees_costs_a_view_at_most() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(1_000);
    let height = net.heights()[0];
    // One of them believes, from a history that is not this chain's, that validator 2 never did anything.
    let leader = |view| net.committee.leader(view);
    let Status { view, .. } = net.core(0).status();
    let others: Vec<u64> = (1..view).filter(|view| leader(*view) != 2).collect();
    net.nodes[0].core.as_mut().expect("it runs").recall(&others);
    assert_eq!(net.core(0).passed_over(), [2]);
    net.run(1_000);
    assert!(
        net.heights()[0] >= height + 1_000 / (2 * DELAY) - 3,
        "{:?}",
        net.heights()
    );
    assert!(net.core(0).passed_over().is_empty());
    assert!(net.now > START);
    net.assert_agreement();
}
