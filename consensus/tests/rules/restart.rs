//! A restart from the record contradicts nothing and repeats what may have been lost.

use crate::harness::Net;
use std::collections::BTreeMap;
use tacit_consensus::{Digest, Message, Phase, Signature};

/// Statements of one validator, kind and view that differ, and views both finalized and given up, over everything ever
/// sent.
pub(crate) fn double_signs(net: &Net) -> Vec<(usize, &'static str, u64)> {
    let mut found = Vec::new();
    for (index, node) in net.nodes.iter().enumerate() {
        let mut said: BTreeMap<(&'static str, u64), Digest> = BTreeMap::new();
        let mut timeouts: BTreeMap<u64, Signature> = BTreeMap::new();
        for message in &node.sent {
            let (kind, view, id) = match message {
                Message::Proposal(block) => ("proposal", block.header.view, block.id()),
                Message::Vote(vote) if vote.phase == Phase::Certify => ("certify", vote.view, vote.block),
                Message::Vote(vote) => ("finalize", vote.view, vote.block),
                Message::Timeout(timeout) => {
                    let first = *timeouts.entry(timeout.view).or_insert(timeout.signature);
                    if first != timeout.signature {
                        found.push((index, "timeout", timeout.view));
                    }
                    let denied = said.keys().any(|(kind, view)| {
                        *kind == "finalize" && (timeout.high.view + 1..=timeout.view).contains(view)
                    });
                    if denied {
                        found.push((index, "finalize and timeout", timeout.view));
                    }
                    continue;
                }
                _ => continue,
            };
            if *said.entry((kind, view)).or_insert(id) != id {
                found.push((index, kind, view));
            }
            if kind == "finalize" && timeouts.contains_key(&view) {
                found.push((index, "finalize and timeout", view));
            }
        }
    }
    found
}

pub(crate) fn assert_no_double_sign(net: &Net) {
    assert_eq!(double_signs(net), []);
}

#[test]
fn all_restart_at_any_moment_and_go_on() {
    for moment in 0..80 {
        let mut net = Net::new(4, 0);
        net.work(true);
        net.run(300 + moment);
        let before = net.heights()[0];
        // Everything on the way is lost with the processes.
        net.passes = Box::new(|_, _, _| false);
        for index in 0..4 {
            net.crash(index);
        }
        net.run(50);
        net.passes = Box::new(|_, _, _| true);
        for index in 0..4 {
            net.start(index);
        }
        net.work(true);
        net.run(3_000);
        assert!(
            net.heights().iter().all(|height| *height > before + 20),
            "{moment}: {:?}",
            net.heights()
        );
        net.assert_agreement();
        assert_no_double_sign(&net);
    }
}

#[test]
fn a_leader_that_restarts_sends_the_same_proposal_again() {
    let mut net = Net::new(4, 0);
    let leader = usize::from(net.core(0).leader());
    net.passes = Box::new(|_, _, _| false);
    net.work(true);
    net.crash(leader);
    net.passes = Box::new(|_, _, _| true);
    net.start(leader);
    net.work(true);
    net.run(100);
    let proposals: Vec<Digest> = net.nodes[leader]
        .sent
        .iter()
        .filter_map(|message| match message {
            Message::Proposal(block) if block.header.view == 1 => Some(block.id()),
            _ => None,
        })
        .collect();
    assert_eq!(proposals.len(), 2);
    assert_eq!(proposals[0], proposals[1]);
    assert!(net.heights()[0] > 0, "the repeated proposal was certified");
    assert_no_double_sign(&net);
}

#[test]
fn a_vote_leaves_only_after_its_record() {
    use crate::harness::{CHAIN, START, Toy, ToySigner, anchor, committee, key};
    use std::sync::Arc;
    use tacit_consensus::{Config, Core, Effect, Input};
    let net = Net::new(4, 0);
    let block = net.proposal(1, net.core(0).high().clone(), 1);
    let (mut core, _) = Core::new(
        Config::default(),
        CHAIN,
        committee(4),
        Some(Arc::new(ToySigner(key(0)))),
        Arc::new(Toy),
        anchor(),
        None,
        None,
        Vec::new(),
        START,
    );
    let message = Message::Proposal(Box::new(block.clone()));
    let effects = core.step(
        START,
        Input::Message {
            from: Some(2),
            message,
        },
    );
    assert!(matches!(&effects[..], [Effect::Validate(_), ..]), "{effects:?}");
    let refused = Input::Validated {
        block: Digest([1; 32]),
        accepted: true,
    };
    assert!(core.step(START, refused).is_empty());
    let effects = core.step(
        START,
        Input::Validated {
            block: block.id(),
            accepted: true,
        },
    );
    assert!(matches!(
        &effects[..],
        [
            Effect::StoreBlock(_),
            Effect::Persist(_),
            Effect::Broadcast(Message::Vote(_)),
            ..
        ]
    ));
}

#[test]
fn a_record_of_a_later_epoch_silences() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(200);
    // The set of an earlier epoch with the record of this one.
    net.committee.epoch = 0;
    net.crash(1);
    net.nodes[1].commits.clear();
    net.start(1);
    assert_eq!(net.core(1).me(), None);
}
