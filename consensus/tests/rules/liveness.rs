//! Blocks come, in time, with whom is there.

use crate::harness::{DELAY, Net, START, is_vote};
use tacit_consensus::{Certificate, Effect, Input, Message, Phase};

#[test]
fn a_block_every_two_delays_and_final_after_three() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(3 * DELAY);
    // Proposed at 0, voted at 10, certified at 20, finalized at 30.
    assert_eq!(net.heights(), [1; 4]);
    net.run(97 * DELAY);
    assert!(
        net.heights().iter().all(|height| (48..=50).contains(height)),
        "{:?}",
        net.heights()
    );
    net.assert_agreement();
    assert!(net.nodes.iter().all(|node| node.refused.is_empty()));
}

#[test]
fn without_work_only_heartbeats() {
    let mut net = Net::new(4, 0);
    net.run(60_000);
    let heights = net.heights();
    assert!(
        heights.iter().all(|height| (10..=12).contains(height)),
        "{heights:?}"
    );
    let timeouts = net.nodes.iter().flat_map(|node| &node.sent);
    assert_eq!(
        timeouts
            .filter(|message| matches!(message, Message::Timeout(_)))
            .count(),
        0
    );
}

#[test]
fn a_crashed_leader_costs_one_timeout_and_three_of_four_go_on() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(200);
    net.crash(2);
    let before = net.heights()[0];
    net.run(2_000);
    let after = net.heights()[0];
    // Every fourth view costs one timeout of at least 250 ms, the others two delays.
    assert!(after > before + 15, "{before} -> {after}");
    net.assert_agreement();
    net.start(2);
    net.run(1_500);
    assert!(!net.nodes[2].behind.is_empty());
    net.sync(2, 0);
    net.run(3_000);
    assert!(
        net.heights().iter().all(|height| *height > after + 20),
        "{:?}",
        net.heights()
    );
    net.assert_agreement();
}

#[test]
fn a_single_validator_commits_alone() {
    let mut net = Net::new(1, 0);
    net.run(30_000);
    assert_eq!(net.heights(), [6]);
}

#[test]
fn an_observer_follows_and_signs_nothing() {
    let mut net = Net::new(4, 1);
    net.work(true);
    net.run(1_000);
    assert!(net.heights()[4] >= 45);
    let signed = |message: &Message| !matches!(message, Message::BlockRequest(_));
    assert!(!net.nodes[4].sent.iter().any(signed));
    net.assert_agreement();
}

#[test]
fn votes_that_overtake_their_proposal_count_and_the_block_is_fetched() {
    let mut net = Net::new(4, 0);
    // Validator 3 never gets a proposal, only votes.
    net.passes = Box::new(|_, to, message| !(to == 3 && matches!(message, Message::Proposal(_))));
    net.work(true);
    net.run(1_000);
    assert!(net.heights()[3] + 3 >= net.heights()[0], "{:?}", net.heights());
    assert!(
        net.nodes[3]
            .sent
            .iter()
            .any(|message| matches!(message, Message::BlockRequest(_)))
    );
    assert!(
        net.nodes[3]
            .sent
            .iter()
            .any(|message| is_vote(message, Phase::Finalize))
    );
    net.assert_agreement();
}

#[test]
fn a_block_is_asked_of_the_next_signer_when_one_does_not_answer() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|from, to, message| {
        let lost = to == 3 && matches!(message, Message::Proposal(_));
        // Only validator 2 serves blocks, and only it is deaf to nobody.
        let silent = from != 2 && to == 3 && matches!(message, Message::BlockResponse(_));
        !lost && !silent
    });
    net.input(0, Input::Work(true));
    net.work(true);
    net.run(60);
    net.work(false);
    net.run(4_000);
    assert_eq!(net.heights()[3], net.heights()[0]);
}

#[test]
fn f_plus_one_timeouts_are_joined_and_a_quorum_opens_the_view() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    net.deliver(
        1,
        0,
        Message::Timeout(Box::new(net.timeout(1, 5, genesis.clone()))),
    );
    assert_eq!(net.core(0).view(), 1, "one may be lying");
    net.deliver(2, 0, Message::Timeout(Box::new(net.timeout(2, 5, genesis))));
    let own = net.nodes[0]
        .sent
        .iter()
        .find(|message| matches!(message, Message::Timeout(_)));
    assert!(matches!(own, Some(Message::Timeout(timeout)) if timeout.view == 5));
    assert_eq!(net.core(0).view(), 6, "two others and we are a quorum");
}

#[test]
fn one_who_was_cut_off_is_helped_into_the_present_view() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.passes = Box::new(|from, to, _| from != 3 && to != 3);
    net.run(10_000);
    assert!(net.core(3).view() < net.core(0).view());
    net.passes = Box::new(|_, _, _| true);
    net.work(false);
    // It repeats its timeout, is answered with certificates, and fetches or reports what it lacks.
    net.run(30_000);
    assert!(net.core(3).view() + 1 >= net.core(0).view());
    assert!(
        !net.nodes[3].behind.is_empty(),
        "hundreds of blocks are the application's to sync"
    );
    let (block, proof) = net.nodes[0].commits.last().cloned().unwrap();
    let height = block.header.height;
    net.input(
        3,
        Input::Synced {
            block: Box::new(block.clone()),
            proof: proof.clone(),
        },
    );
    assert_eq!(net.core(3).status().committed_height, height);
    let missed = net.nodes[0].commits.clone();
    net.nodes[3].commits = missed;
    net.work(true);
    net.run(2_000);
    assert!(net.heights()[3] > height + 10);
    net.assert_agreement();
}

#[test]
fn the_leader_asks_again_when_the_application_cannot_build_yet() {
    let mut net = Net::new(4, 0);
    let leader = net.core(0).leader();
    let core = net.nodes[usize::from(leader)].core.as_mut().unwrap();
    let asked = |effects: &[Effect]| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Build { .. }))
    };
    let parent = core.high().block;
    assert!(asked(&core.step(START, Input::Work(true))));
    assert!(
        !asked(&core.step(START + 1, Input::Work(true))),
        "still waiting for the answer"
    );
    let answer = Input::Built {
        view: 1,
        parent,
        content: None,
    };
    assert!(!asked(&core.step(START + 1, answer.clone())));
    assert!(asked(&core.step(START + 2, Input::Work(true))));
    core.step(START + 2, answer);
    assert!(asked(&core.step(START + 100, Input::Tick)));
}

#[test]
fn progress_after_total_loss() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(500);
    net.passes = Box::new(|_, _, _| false);
    net.run(100_000);
    let before = net.heights()[0];
    net.passes = Box::new(|_, _, _| true);
    // At most one maximal timeout until all repeat themselves, and a few views.
    net.run(70_000);
    assert!(
        net.heights().iter().all(|height| *height > before + 100),
        "{:?}",
        net.heights()
    );
    net.assert_agreement();
}

#[test]
fn a_far_certificate_is_reported_once_in_a_while() {
    let mut net = Net::new(4, 0);
    let genesis = net.core(0).high().clone();
    let mut high: Certificate = genesis;
    for view in 1..=20 {
        let block = net.proposal(view, high, 1);
        high = net.certificate(&block.header, Phase::Certify, &[1, 2, 3]);
    }
    let help = Message::Certificate(Box::new((high, None)));
    net.passes = Box::new(|_, _, _| false);
    net.deliver(1, 0, help.clone());
    net.deliver(1, 0, help);
    assert_eq!(net.nodes[0].behind, [20]);
    assert_eq!(net.core(0).view(), 21);
    net.run(1_100);
    assert_eq!(net.nodes[0].behind, [20, 20]);
}

#[test]
fn long_back_off_ends_when_the_network_is_back() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(500);
    // Votes and proposals are lost, timeouts pass: views fail one after the other, each twice as long.
    net.passes = Box::new(|_, _, message| matches!(message, Message::Timeout(_)));
    net.run(120_000);
    let waits = net.core(0).status().timeout_ms;
    assert!(waits >= 16_000, "{waits} ms");
    // In the middle of such a view.
    let view = net.core(0).view();
    while net.core(0).view() == view {
        net.run(100);
    }
    net.run(2_000);
    let (height, view) = (net.heights()[0], net.core(0).view());
    net.passes = Box::new(|_, _, _| true);
    // What was said is said again within a base timeout, a second; then two delays a block.
    net.run(1_500);
    assert!(
        net.core(0).view() > view,
        "the view is over long before its timeout"
    );
    assert!(net.heights()[0] >= height + 10, "{height} -> {:?}", net.heights());
    assert!(net.core(0).status().timeout_ms <= 1_000);
    net.assert_agreement();
}
