//! What was found broken in `hotstuff_rs` 0.4.0 (docs/adr/0019), each as a regression test of our core. Where a story or
//! a lane elsewhere says more of it, the comment names that.

#[allow(dead_code)] // The stories beside this file use the rest.
#[path = "rules/harness.rs"]
mod harness;

use harness::{CHAIN, DELAY, Net, START, ToySigner, committee, key};
use std::sync::Arc;
use tacit_consensus::{
    Certificate, Config, Core, Effect, Input, MAX_COMMIT_PATH, Message, Phase, TimeoutCertificate,
    TimeoutEntry, limits,
};

/// A certificate of a view, by everybody, for the block of `net` in it.
fn certified(net: &Net, view: u64, justify: Certificate) -> Certificate {
    let block = net.proposal(view, justify, view as u8);
    net.certificate(&block.header, Phase::Certify, &[0, 1, 2])
}

/// Defect 1: Its lock moved backwards when an old certificate was shown again, and one liar of four made two honest commit
/// different blocks. (Also `rules/hostile.rs`, the twins lane and the explorer.)
#[test]
fn replayed_certificates_do_not_move_the_lock_back() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    let old = certified(&net, 1, genesis.clone());
    let new = certified(&net, 2, old.clone());
    for (certificate, lock) in [(&old, 1), (&new, 2), (&old, 2), (&genesis, 2)] {
        let help = Message::Certificate(Box::new((certificate.clone(), None)));
        net.deliver(3, 0, help);
        assert_eq!(net.core(0).high().view, lock);
    }
    // In every message that carries one: a timeout, and a block of a view before the lock's.
    let timeout = net.timeout(3, 3, old.clone());
    net.deliver(3, 0, Message::Timeout(Box::new(timeout)));
    let stale = net.proposal(2, old, 9);
    net.deliver(net.committee.leader(2), 0, Message::Proposal(Box::new(stale)));
    assert_eq!(net.core(0).high().view, 2);
}

/// Defect 2: It needed four live leaders in a row: with one of four crashed it committed nothing. (Also the same for n = 7 in
/// `consensus_sim`, under faults, and `rules/leaders.rs`.)
#[test]
fn f_crashed_in_every_position_and_blocks_commit() {
    for (n, dead) in [
        (4, vec![vec![0], vec![1], vec![2], vec![3]]),
        (7, vec![vec![0, 1], vec![2, 5], vec![5, 6]]),
    ] {
        for dead in dead {
            let mut net = Net::new(n, 0);
            dead.iter().for_each(|index| net.crash(*index));
            net.work(true);
            net.run(10_000);
            net.assert_agreement();
            let heights = net.heights();
            assert!(
                heights.iter().all(|height| *height > 100),
                "{dead:?} of {n}: {heights:?}"
            );
        }
    }
}

/// Defect 3: Its timers added up within an epoch of views: one proposal 100 ms late stalled it for 58 s.
#[test]
fn one_late_proposal_costs_its_delay_and_no_more() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(1_000);
    let view = net.core(0).view() + 1;
    let late =
        move |message: &Message| matches!(message, Message::Proposal(block) if block.header.view == view);
    net.passes = Box::new(move |_, _, message| !late(message));
    net.run(100);
    let leader = net.committee.leader(view);
    let mut sent = net.nodes[usize::from(leader)].sent.iter();
    let proposal = sent.rfind(|sent| late(sent)).cloned().expect("it led");
    net.passes = Box::new(|_, _, _| true);
    for to in (0..4).filter(|to| *to != usize::from(leader)) {
        net.deliver(leader, to, proposal.clone());
    }
    net.run(4 * DELAY);
    assert!(net.core(0).view() > view, "the late block is certified");
    assert_eq!(
        net.nodes[0]
            .sent
            .iter()
            .filter(|sent| matches!(sent, Message::Timeout(_)))
            .count(),
        0
    );
    let before = net.heights()[0];
    net.run(2_000);
    let blocks = net.heights()[0] - before;
    assert!(
        blocks * 2 * DELAY > 1_900,
        "{blocks} blocks in 2 s, each takes {}",
        2 * DELAY
    );
    assert!(net.core(0).status().timeout_ms <= 1_000);
    net.assert_agreement();
}

/// Defect 4: Its sync never delivered a block's data, so that a replica which missed one proposal stayed out for ever.
#[test]
fn a_missed_proposal_is_fetched_and_voted_upon_next_time() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(500);
    let mut missed = 0;
    net.passes = Box::new(move |_, to, message| {
        let miss = to == 3 && missed == 0 && matches!(message, Message::Proposal(_));
        missed += u32::from(miss);
        !miss
    });
    net.run(500);
    let heights = net.heights();
    assert!(heights[0] - heights[3] <= 1, "{heights:?}");
    assert!(net.nodes[3].behind.is_empty(), "it fetched the block itself");
    let asked = net.nodes[3].sent.iter();
    assert_eq!(
        asked
            .filter(|sent| matches!(sent, Message::BlockRequest(_)))
            .count(),
        1
    );
    net.assert_agreement();
}

/// Defect 5: It dropped votes that overtook their proposal. (Also `rules/liveness.rs`.)
#[test]
fn votes_that_come_before_their_proposal_count() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    let block = net.proposal(1, genesis, 1);
    for voter in [1, 2, 3] {
        let vote = net.vote_for(voter, &block.header, Phase::Certify);
        net.deliver(voter as u16, 0, Message::Vote(vote));
    }
    assert_eq!(net.core(0).high().view, 1);
    for voter in [1, 2, 3] {
        let vote = net.vote_for(voter, &block.header, Phase::Finalize);
        net.deliver(voter as u16, 0, Message::Vote(vote));
    }
    assert!(net.nodes[0].commits.is_empty());
    net.deliver(1, 0, Message::BlockResponse(Box::new(block)));
    assert_eq!(net.nodes[0].commits.len(), 1);
}

/// Defect 6: An older timeout certificate made an honest node panic.
#[test]
fn an_old_timeout_certificate_changes_nothing() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    let given_up = |net: &Net, view: u64| {
        let entry = |voter| TimeoutEntry {
            voter: voter as u16,
            high_view: 0,
            signature: net.timeout(voter, view, genesis.clone()).signature,
        };
        let entries = (1..4).map(entry).collect();
        TimeoutCertificate {
            epoch: 1,
            view,
            entries,
        }
    };
    for (view, then) in [(5, 6), (2, 6), (1, 6), (5, 6)] {
        let help = (genesis.clone(), Some(given_up(&net, view)));
        net.deliver(3, 0, Message::Certificate(Box::new(help)));
        assert_eq!(net.core(0).view(), then);
    }
    let timeout = net.timeout(2, 2, genesis);
    net.deliver(2, 0, Message::Timeout(Box::new(timeout)));
    assert_eq!(net.core(0).view(), 6);
}

/// Defect 7: A proposal of an absurd height halted all.
#[test]
fn absurd_heights_and_views_are_refused() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    for height in [0, 2, u64::MAX - 1, u64::MAX] {
        let mut block = net.proposal(1, genesis.clone(), 1);
        block.header.height = height;
        let block = net.sign_block(block);
        net.deliver(net.committee.leader(1), 0, Message::Proposal(Box::new(block)));
    }
    for view in [2, u64::MAX - 1, u64::MAX] {
        let block = net.proposal(view, genesis.clone(), 1);
        net.deliver(net.committee.leader(view), 0, Message::Proposal(Box::new(block)));
        let mut vote = net.vote_for(3, &net.proposal(1, genesis.clone(), 1).header, Phase::Certify);
        (vote.view, vote.height) = (view, u64::MAX);
        vote.signature = harness::toy_sign(&key(3), &vote.message(&CHAIN).0);
        net.deliver(3, 0, Message::Vote(vote));
        let timeout = net.timeout(3, view, genesis.clone());
        net.deliver(3, 0, Message::Timeout(Box::new(timeout)));
    }
    assert_eq!((net.core(0).view(), net.heights()[0]), (1, 0));
    net.passes = Box::new(|_, _, _| true);
    net.work(true);
    net.run(1_000);
    assert!(
        net.heights().iter().all(|height| *height > 20),
        "{:?}",
        net.heights()
    );
}

/// Defect 8: One sync request could ask for the whole chain and abort the server. Here a request names one block, and what is
/// kept to answer is bounded. (What the node serves of its store: `node/src/serving.rs`, and the inputs lane.)
#[test]
fn a_request_asks_for_one_block_of_a_bounded_memory() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(4_000);
    let ids: Vec<_> = net.nodes[0].commits.iter().map(|(block, _)| block.id()).collect();
    assert!(ids.len() > limits::RECENT_COMMITTED + 50);
    net.passes = Box::new(|_, _, _| false);
    let before = net.nodes[0].sent.len();
    for id in &ids {
        net.deliver(3, 0, Message::BlockRequest(*id));
    }
    let served = net.nodes[0].sent.iter().skip(before);
    let served = served.filter(|sent| matches!(sent, Message::BlockResponse(_)));
    assert_eq!(served.count(), limits::RECENT_COMMITTED);
    // A proof leads over so many headers at most, however far back the proven block is.
    let longest = net.nodes[0]
        .commits
        .iter()
        .map(|(_, proof)| proof.path.len())
        .max();
    assert!(longest.is_some_and(|longest| longest <= MAX_COMMIT_PATH));
}

/// Defect 9: A vote left before its record was written, so that a crash between the two signed two blocks in one view. (Also
/// `rules/restart.rs`, and each crash of `consensus_sim`, which may fall between any two effects.)
#[test]
fn no_crash_between_vote_and_record_makes_two_votes() {
    for kept in 0..6 {
        let signer = || Some(Arc::new(ToySigner(key(0))) as Arc<dyn tacit_consensus::Signer>);
        let start = |record, stored| {
            Core::new(
                Config::default(),
                CHAIN,
                committee(4),
                signer(),
                Arc::new(harness::Toy),
                harness::anchor(),
                record,
                None,
                stored,
                START,
            )
        };
        let (mut core, _) = start(None, Vec::new());
        let mut net = Net::new(4, 0);
        net.passes = Box::new(|_, _, _| false);
        let genesis = core.high().clone();
        let (first, second) = (net.proposal(1, genesis.clone(), 1), net.proposal(1, genesis, 2));
        let vote_for = |core: &mut Core, block: &tacit_consensus::Block| {
            let message = Message::Proposal(Box::new(block.clone()));
            let mut effects = core.step(START, Input::Message { from: None, message });
            let (block, accepted) = (block.id(), true);
            effects.extend(core.step(START, Input::Validated { block, accepted }));
            effects.retain(|effect| !matches!(effect, Effect::WakeAt(_) | Effect::Validate(_)));
            effects
        };
        // The host is killed after so many effects: what it carried out is on its disk, or has left.
        let (mut record, mut stored, mut left) = (None, Vec::new(), Vec::new());
        for effect in vote_for(&mut core, &first).into_iter().take(kept) {
            match effect {
                Effect::StoreBlock(block) => stored.push(block),
                Effect::Persist(one) => record = Some(one),
                Effect::Broadcast(Message::Vote(vote)) => left.push(vote),
                _ => {}
            }
        }
        let (mut again, effects) = start(record, stored);
        let effects = effects.into_iter().chain(vote_for(&mut again, &second));
        left.extend(effects.filter_map(|effect| match effect {
            Effect::Broadcast(Message::Vote(vote)) => Some(vote),
            _ => None,
        }));
        left.dedup();
        assert!(left.len() <= 1, "killed after {kept} effects: {left:?}");
    }
}

/// Defect 10: It dropped notices of commits, so that applications missed blocks. The harness asserts of every commit that it is
/// the next height; here all are seen by an observer too.
#[test]
fn each_height_is_reported_once_and_none_is_left_out() {
    let mut net = Net::new(4, 1);
    net.work(true);
    let mut count = 0u32;
    net.passes = Box::new(move |_, _, _| {
        count += 1;
        !count.is_multiple_of(11)
    });
    net.run(20_000);
    net.passes = Box::new(|_, _, _| true);
    net.run(2_000);
    for node in &net.nodes {
        let heights: Vec<u64> = node
            .commits
            .iter()
            .map(|(block, _)| block.header.height)
            .collect();
        assert!(heights.len() > 100, "{}", heights.len());
        assert_eq!(heights, (1..=heights.len() as u64).collect::<Vec<_>>());
    }
    net.assert_agreement();
}

/// Defect 11: Two threads a replica spun for ever, and there was no idle mode. Here an idle core is woken a few times a
/// heartbeat, and asks for nothing in between.
#[test]
fn an_idle_core_is_woken_a_few_times_a_minute() {
    let mut net = Net::new(4, 0);
    net.run(10_000);
    let (woken, sent) = (
        net.woken,
        net.nodes.iter().map(|node| node.sent.len()).sum::<usize>(),
    );
    net.run(60_000);
    let woken = net.woken - woken;
    // Twelve heartbeats; each view plans two moments a core, its heartbeat and its timeout.
    assert!(woken <= 4 * 12 * 4, "{woken} wake-ups of four cores in a minute");
    let sent = net.nodes.iter().map(|node| node.sent.len()).sum::<usize>() - sent;
    // A proposal, four first and four finalize votes a block.
    assert!(sent <= 13 * 9, "{sent} messages in a minute");
}

/// Defect 12: Proposals were unsigned. (Also `rules/hostile.rs`.)
#[test]
fn a_proposal_that_its_leader_did_not_sign_is_refused() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    let genesis = net.core(0).high().clone();
    let mut block = net.proposal(1, genesis, 1);
    block.header.time_ms += 1;
    net.deliver(3, 0, Message::Proposal(Box::new(block)));
    assert!(net.nodes[0].validates.is_empty());
    assert!(matches!(
        net.nodes[0].refused.as_slice(),
        [tacit_consensus::Refusal::Signature(leader)] if *leader == net.committee.leader(1)
    ));
}

/// Defect 13: Seven network delays to a commit. Three here.
#[test]
fn a_block_is_final_three_delays_after_it_was_proposed() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(2 * DELAY);
    assert_eq!(net.heights(), [0; 4]);
    net.run(DELAY);
    assert_eq!(net.heights(), [1; 4]);
}
