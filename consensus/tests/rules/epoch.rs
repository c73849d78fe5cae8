//! How an epoch ends.

use crate::harness::{DELAY, Net};
use tacit_consensus::{Input, Message, Phase};

#[test]
fn the_closing_block_is_the_last_one_committed_and_then_all_is_quiet() {
    let mut net = Net::new(4, 1);
    net.close_at = Some(5);
    net.work(true);
    net.run(1_000);
    assert_eq!(net.heights(), [5; 5]);
    assert!((0..5).all(|index| net.core(index).status().finished));
    let sent: Vec<usize> = net.nodes.iter().map(|node| node.sent.len()).collect();
    net.run(60_000);
    assert_eq!(
        sent,
        net.nodes.iter().map(|node| node.sent.len()).collect::<Vec<_>>()
    );
    net.assert_agreement();
}

#[test]
fn empty_blocks_commit_a_closing_block_whose_finalize_votes_were_lost() {
    let mut net = Net::new(4, 0);
    net.close_at = Some(2);
    // No finalize vote for the first three blocks gets through.
    net.passes = Box::new(
        |_, _, message| !matches!(message, Message::Vote(v) if v.phase == Phase::Finalize && v.height < 4),
    );
    net.work(true);
    net.run(20 * DELAY);
    net.work(false);
    net.run(1_000);
    assert_eq!(net.heights(), [2; 4]);
    let (block, proof) = net.nodes[0].commits.last().unwrap();
    assert!(block.header.next_epoch.is_some());
    assert_eq!(proof.path.len(), 2, "through two epilogue blocks");
    let epilogue = net.nodes[0].validates.len();
    assert!(
        epilogue <= 2,
        "the application is not asked about epilogue blocks"
    );
}

#[test]
fn one_who_missed_the_end_is_helped_to_it() {
    let mut net = Net::new(4, 0);
    net.close_at = Some(3);
    net.passes = Box::new(|from, to, _| from != 3 && to != 3);
    net.work(true);
    net.run(3_000);
    assert_eq!(net.heights(), [3, 3, 3, 0]);
    net.passes = Box::new(|_, _, _| true);
    net.run(40_000);
    assert_eq!(net.heights(), [3; 4]);
    assert!(net.core(3).status().finished);
}

#[test]
fn a_core_restarted_after_the_end_still_helps() {
    let mut net = Net::new(4, 0);
    net.close_at = Some(3);
    net.passes = Box::new(|from, to, _| from != 3 && to != 3);
    net.work(true);
    net.run(3_000);
    for index in 0..3 {
        net.crash(index);
        net.start(index);
        assert!(net.core(index).status().finished);
    }
    net.passes = Box::new(|_, _, _| true);
    net.input(3, Input::Work(true));
    net.run(40_000);
    assert!(net.core(3).status().finished || !net.nodes[3].behind.is_empty());
}

#[test]
fn a_full_block_after_a_closing_block_is_refused() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let mut closing = net.proposal(1, net.core(0).high().clone(), 1);
    closing.header.next_epoch = Some(tacit_consensus::Digest([1; 32]));
    let closing = net.sign_block(closing);
    net.deliver(2, 0, Message::Proposal(Box::new(closing.clone())));
    let qc = net.certificate(&closing.header, Phase::Certify, &[1, 2, 3]);
    let full = net.proposal(2, qc, 2);
    net.deliver(3, 0, Message::Proposal(Box::new(full)));
    assert_eq!(net.nodes[0].refused, [tacit_consensus::Refusal::NotEpilogue]);
}
