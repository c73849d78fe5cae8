//! A disk that was set back: what the others saw is asked for first, and nothing is signed that could contradict it.

use crate::harness::{CHAIN, DELAY, Image, Net, START, Toy, anchor, committee, key};
use crate::restart::{assert_no_double_sign, double_signs};
use std::sync::Arc;
use tacit_consensus::{
    Certificate, CertificateError, Digest, Found, Message, Phase, Probation, Refusal, Signature, Standing,
    StandingError, Statements, TimeoutCertificate, TimeoutEntry, Vote,
};

impl Net {
    /// The question of a node that has just started, with what its disk holds.
    fn probation(&self, index: usize) -> Probation {
        let node = &self.nodes[index];
        let mut probation = Probation::new(
            CHAIN,
            self.committee.clone(),
            &key(index),
            Arc::new(Toy),
            &anchor(),
            node.record.clone(),
        )
        .expect("a member");
        for (block, proof) in &node.commits {
            probation.note(block, Some(proof));
        }
        probation
    }

    /// The answer of a running node, or of one that has not yet begun again.
    fn standing(&self, index: usize, asker: usize) -> Standing {
        let node = &self.nodes[index];
        let asker = asker as u16;
        match &node.core {
            Some(core) => core.standing(asker),
            None => {
                let committed = node.commits.last().map(|(_, proof)| &proof.certificate);
                Standing::at_rest(&anchor(), node.record.as_ref(), committed, asker)
            }
        }
    }

    /// Asks these others, and begins with what they come to.
    fn ask_and_start(&mut self, index: usize, others: &[usize]) -> Found {
        let mut probation = self.probation(index);
        for other in others {
            let standing = self.standing(*other, index);
            probation.answer(*other as u16, standing).expect("honest");
        }
        let found = probation.find();
        self.nodes[index].record = Some(found.record().clone());
        self.start(index);
        self.work(true);
        found
    }

    /// Syncs with the one that is furthest, if that is further.
    fn catch_up(&mut self, index: usize) {
        let furthest = (0..4).max_by_key(|other| self.nodes[*other].commits.len());
        let furthest = furthest.expect("four");
        if self.nodes[furthest].commits.len() > self.nodes[index].commits.len() {
            self.sync(index, furthest);
        }
    }

    fn restore(&mut self, index: usize, image: &Image) {
        self.crash(index);
        let node = &mut self.nodes[index];
        node.record = image.record.clone();
        node.stored = image.stored.clone();
        node.commits.truncate(image.commits);
    }
}

fn rolled_back(found: &Found) -> bool {
    matches!(found, Found::RolledBack { .. })
}

/// A run of which the node's disk images were kept, with views that fail in between.
fn imaged(index: usize, seed: u64) -> Net {
    let mut net = Net::new(4, 0);
    net.imaged = Some(index);
    net.work(true);
    let mut chance = seed;
    net.passes = Box::new(move |_, _, _| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (chance >> 33) % 100 >= 12
    });
    net.run(2_500);
    net
}

#[test]
fn no_earlier_image_of_a_disk_ever_contradicts_what_was_signed() {
    let (mut images, mut found_out) = (0, 0);
    for seed in 0..3 {
        let index = 1 + seed as usize;
        let count = imaged(index, seed).nodes[index].images.len();
        // Each image needs a run of its own; the same seed gives the same one.
        for at in (0..count).step_by(2) {
            let mut net = imaged(index, seed);
            let image = net.nodes[index].images[at].clone();
            net.passes = Box::new(|_, _, _| true);
            net.restore(index, &image);
            // The last words of the earlier life arrive.
            net.run(2 * DELAY);
            let before = net.heights()[0];
            let others: Vec<usize> = (0..4).filter(|other| *other != index).collect();
            let found = net.ask_and_start(index, &others);
            found_out += usize::from(rolled_back(&found));
            net.catch_up(index);
            net.run(4_000);
            assert_no_double_sign(&net);
            net.assert_agreement();
            assert!(net.heights()[0] > before + 20, "the others go on");
            assert!(
                net.nodes.iter().all(|node| node.evidence.is_empty()),
                "seed {seed} image {at}: somebody is blamed"
            );
            images += 1;
        }
    }
    assert!(images > 80 && found_out + 15 > images, "{found_out} of {images}");
}

/// Sets a disk back to one of its images, asks as `asks` says, and looks on for a while.
fn set_back(seed: u64, asks: bool) -> (Net, bool) {
    let index = (seed % 4) as usize;
    let mut net = imaged(index, seed);
    let images = &net.nodes[index].images;
    let image = images[(seed as usize * 7) % images.len()].clone();
    net.passes = Box::new(|_, _, _| true);
    net.restore(index, &image);
    net.run(2 * DELAY);
    let others: Vec<usize> = (0..4).filter(|other| *other != index).collect();
    let found = if asks {
        rolled_back(&net.ask_and_start(index, &others))
    } else {
        net.start(index);
        net.work(true);
        false
    };
    // Some hear nothing at first: their views expire.
    if seed % 2 == 1 {
        net.passes = Box::new(move |_, to, _| usize::from(to) != index);
        net.run(2_500);
        net.passes = Box::new(|_, _, _| true);
    }
    net.catch_up(index);
    net.run(2_000);
    net.assert_agreement();
    (net, found)
}

#[test]
fn over_hundreds_of_seeds_nothing_is_contradicted_and_the_chain_goes_on() {
    let (mut noticed, seeds) = (0, 200);
    for seed in 0..seeds {
        let (net, found) = set_back(seed, true);
        noticed += u64::from(found);
        assert_eq!(double_signs(&net), [], "seed {seed}");
        assert!(
            net.nodes.iter().all(|node| node.evidence.is_empty()),
            "seed {seed}"
        );
    }
    assert!(noticed * 10 > seeds * 8, "{noticed} of {seeds}");
}

/// The same worlds where it does not ask: the story above can fail.
#[test]
fn one_that_does_not_ask_contradicts_itself() {
    let found = (0..40).filter(|seed| !double_signs(&set_back(*seed, false).0).is_empty());
    assert!(found.count() > 5);
}

#[test]
fn the_newest_image_is_no_rollback_whoever_answers_and_it_votes_at_once() {
    for moment in 0..40 {
        for others in [[0, 2].as_slice(), &[0, 3], &[2, 3], &[0, 2, 3]] {
            let mut net = Net::new(4, 0);
            net.work(true);
            net.run(400 + moment);
            net.crash(1);
            net.run(2 * DELAY);
            let found = net.ask_and_start(1, others);
            assert!(!rolled_back(&found), "at {moment}");
            let sent = net.nodes[1].sent.len();
            net.run(1_000);
            assert!(net.nodes[1].sent.len() > sent + 20, "it signs at {moment}");
            assert_no_double_sign(&net);
            net.assert_agreement();
        }
    }
}

#[test]
fn all_begin_again_from_what_their_records_say_of_each_other() {
    for moment in 0..40 {
        let mut net = Net::new(4, 0);
        net.work(true);
        net.run(300 + moment);
        let before = net.heights()[0];
        net.passes = Box::new(|_, _, _| false);
        (0..4).for_each(|index| net.crash(index));
        net.run(50);
        net.passes = Box::new(|_, _, _| true);
        for index in 0..4 {
            // Two of the others suffice, and they may themselves be at the same point.
            let others: Vec<usize> = (1..3).map(|ahead| (index + ahead) % 4).collect();
            assert!(!rolled_back(&net.ask_and_start(index, &others)));
        }
        net.run(5_000);
        assert!(net.heights().iter().all(|height| *height > before + 20));
        net.assert_agreement();
        assert_no_double_sign(&net);
    }
}

/// It stays silent in what it may have seen; two of four alone make no view pass, so all wait for the third.
#[test]
fn set_back_while_another_is_down_it_waits_for_it_and_contradicts_nothing() {
    let mut net = Net::new(4, 0);
    net.imaged = Some(1);
    net.work(true);
    net.run(600);
    net.crash(3);
    net.run(2_000);
    let image = net.nodes[1].images[net.nodes[1].images.len() / 2].clone();
    net.restore(1, &image);
    net.run(2 * DELAY);
    let before = net.heights()[0];
    let sent = net.nodes[1].sent.len();
    assert!(rolled_back(&net.ask_and_start(1, &[0, 2])));
    net.run(3_000);
    assert!(net.heights()[0] <= before + 2, "two alone commit nothing new");
    let signed = |net: &Net| {
        let new = &net.nodes[1].sent[sent..];
        let signs = |message: &&tacit_consensus::Message| {
            matches!(
                message,
                tacit_consensus::Message::Vote(_)
                    | tacit_consensus::Message::Timeout(_)
                    | tacit_consensus::Message::Proposal(_)
            )
        };
        new.iter().filter(signs).count()
    };
    assert_eq!(signed(&net), 0);
    assert!(!rolled_back(&net.ask_and_start(3, &[0, 1, 2])));
    for behind in [1, 3] {
        net.catch_up(behind);
    }
    net.run(20_000);
    assert!(net.heights()[0] > before + 20, "{:?}", net.heights());
    assert!(signed(&net) > 0, "it takes part again");
    assert_no_double_sign(&net);
    net.assert_agreement();
}

/// A validator with something to hide shows nothing, or an old view: the others' word is enough.
#[test]
fn one_who_hides_what_it_saw_changes_nothing() {
    let mut net = imaged(1, 7);
    let images = net.nodes[1].images.clone();
    let image = &images[images.len() / 3];
    net.passes = Box::new(|_, _, _| true);
    net.restore(1, image);
    net.run(2 * DELAY);
    let mut probation = net.probation(1);
    let nothing = Standing::at_rest(&anchor(), None, None, 1);
    probation.answer(0, nothing).expect("it may know nothing");
    probation.answer(2, net.standing(2, 1)).expect("honest");
    probation.answer(3, net.standing(3, 1)).expect("honest");
    let Found::RolledBack {
        shown,
        silent_through,
        knew,
        ..
    } = probation.find()
    else {
        panic!("two show it")
    };
    assert!(shown > knew);
    assert!(silent_through > net.core(2).view().max(net.core(3).view()));
}

#[test]
fn a_view_that_nothing_proves_counts_only_so_far() {
    let mut net = imaged(1, 7);
    let image = net.nodes[1].images[20].clone();
    net.restore(1, &image);
    let mut probation = net.probation(1);
    let honest = net.standing(2, 1);
    let reached = honest.high.view.max(honest.view);
    let mut liar = honest.clone();
    liar.view = u64::MAX;
    probation.answer(2, honest).expect("honest");
    probation.answer(3, liar).expect("nothing to check");
    let Found::RolledBack { silent_through, .. } = probation.find() else {
        panic!("both show it")
    };
    assert!(silent_through <= reached + 66, "{silent_through} {reached}");
}

#[test]
fn a_view_alone_is_no_rollback() {
    let net = Net::new(4, 0);
    let mut probation = net.probation(1);
    for other in [0, 2, 3] {
        let mut standing = net.standing(other, 1);
        standing.view = 1_000;
        probation
            .answer(other as u16, standing)
            .expect("nothing to check");
    }
    assert!(!rolled_back(&probation.find()));
}

#[test]
fn what_cannot_be_true_is_refused_by_name() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(500);
    let sound = net.standing(2, 1);
    let mut probation = net.probation(1);
    let mut refused = |from: u16, change: &dyn Fn(&mut Standing)| {
        let mut standing = sound.clone();
        change(&mut standing);
        probation.answer(from, standing).expect_err("refused")
    };
    for stranger in [1, 4, u16::MAX] {
        assert_eq!(refused(stranger, &|_| {}), StandingError::Stranger(stranger));
    }
    let epoch = StandingError::Epoch { got: 2, expected: 1 };
    assert_eq!(refused(2, &|standing| standing.epoch = 2), epoch);
    let later = |standing: &mut Standing| standing.high.view += 1;
    assert!(matches!(
        refused(2, &later),
        StandingError::Certificate(CertificateError::Signature { .. })
    ));
    let phase = |standing: &mut Standing| standing.high.phase = Phase::Finalize;
    assert_eq!(refused(2, &phase), CertificateError::Phase.into());
    // A vote of ours about another block, one of somebody else, one in the wrong place.
    let mut other = sound.seen.certify.expect("we voted");
    other.block = CHAIN;
    let view = other.view;
    let bend = |vote| move |standing: &mut Standing| standing.seen.certify = Some(vote);
    assert_eq!(refused(2, &bend(other)), StandingError::NotOurs(view));
    let finalize = sound.seen.finalize.expect("we finalized");
    assert_eq!(refused(2, &bend(finalize)), StandingError::NotOurs(finalize.view));
    let foreign = net.standing(2, 3).seen;
    let view = foreign.certify.expect("it voted").view;
    let swap = move |standing: &mut Standing| standing.seen = foreign.clone();
    assert!(matches!(refused(2, &swap), StandingError::NotOurs(_)), "{view}");
    // A block that another leader signed, and a timeout that nobody did.
    let block = net.proposal(9, sound.high.clone(), 1).signed_header();
    let led = |standing: &mut Standing| standing.seen.proposal = Some(block.clone());
    assert_eq!(refused(2, &led), StandingError::NotOurs(9));
    let mut timeout = net.timeout(1, 70, sound.high.clone()).signed();
    timeout.view = 71;
    let denies = |standing: &mut Standing| standing.seen.timeout = Some(timeout);
    assert_eq!(refused(2, &denies), StandingError::NotOurs(71));
    // A timeout certificate that reports what the answer does not bring.
    let entries = (0..3)
        .map(|voter| {
            let mut high = sound.high.clone();
            high.view += 3;
            let timeout = net.timeout(voter, 90, high).signed();
            TimeoutEntry {
                voter: timeout.voter,
                high_view: timeout.high_view,
                signature: timeout.signature,
            }
        })
        .collect();
    let tc = TimeoutCertificate {
        epoch: 1,
        view: 90,
        entries,
    };
    let unfounded = |standing: &mut Standing| standing.tc = Some(tc.clone());
    assert!(matches!(
        refused(2, &unfounded),
        StandingError::Unjustified { view: 90, .. }
    ));
    let few = |standing: &mut Standing| {
        let entries = tc.entries.iter().take(2).copied().collect();
        standing.tc = Some(TimeoutCertificate {
            entries,
            ..tc.clone()
        });
    };
    assert!(matches!(
        refused(2, &few),
        StandingError::Certificate(CertificateError::NoQuorum { .. })
    ));
    assert_eq!(probation.answer(2, sound.clone()), Ok(()));
    assert!(matches!(probation.find(), Found::Covered(_)));
}

/// A statement that only a certificate in a final block keeps is found there.
#[test]
fn final_blocks_tell_it_what_everybody_else_forgot() {
    let mut net = imaged(2, 3);
    let commits = net.nodes[2].commits.clone();
    let image = net.nodes[2].images[10].clone();
    net.restore(2, &image);
    let mut probation = net.probation(2);
    for other in [0, 1, 3] {
        let nothing = Standing::at_rest(&anchor(), None, None, 2);
        probation.answer(other, nothing).expect("all have forgotten");
    }
    assert!(!rolled_back(&probation.find()));
    for (block, proof) in &commits {
        probation.note(block, Some(proof));
    }
    assert!(rolled_back(&probation.find()));
}

/// It once finalized what it does not hold any more: no timeout of its denies that.
#[test]
fn a_raised_record_gives_no_view_up_below_what_it_finalized() {
    let net = Net::new(4, 0);
    let blank = net.core(0).high().clone();
    let block = net.proposal(1, blank, 1);
    let finalize = net.vote_for(1, &block.header, Phase::Finalize);
    let mut standing = net.standing(2, 1);
    standing.seen = Statements {
        finalize: Some(finalize),
        ..Statements::default()
    };
    let mut probation = net.probation(1);
    probation.answer(2, standing).expect("our own word");
    probation.answer(3, net.standing(3, 1)).expect("honest");
    let found = probation.find();
    let Found::RolledBack { silent_through, .. } = &found else {
        panic!("it knew of nothing")
    };
    assert!(*silent_through >= 2);
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    net.crash(1);
    net.nodes[1].record = Some(found.record().clone());
    net.start(1);
    net.work(true);
    net.now = START;
    // Others give up one view after the other without ever having seen the certificate of view 1.
    for view in 1..12 {
        for voter in [0, 2, 3] {
            let timeout = net.timeout(voter, view, net.core(0).high().clone());
            net.deliver(
                voter as u16,
                1,
                tacit_consensus::Message::Timeout(Box::new(timeout)),
            );
        }
    }
    net.run(40_000);
    assert!(net.core(1).view() > *silent_through);
    let denies = |message: &tacit_consensus::Message| matches!(message, tacit_consensus::Message::Timeout(_));
    assert!(!net.nodes[1].sent.iter().any(denies));
    assert_eq!(committee(4).quorum(), 3);
}

/// Whoever speaks over a validator's connection without its key makes nobody witness what it never signed: its next start
/// would refuse such an answer, and wait.
#[test]
fn late_statements_are_witnessed_by_their_signature_only() {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|from, to, _| (from, to) != (1, 2));
    net.work(true);
    net.run(500);
    let (view, before) = (net.core(2).view(), net.standing(2, 1));
    let high = net.core(2).high().clone();
    let forged = Signature([9; 64]);
    for phase in [Phase::Certify, Phase::Finalize] {
        let vote = Vote {
            epoch: 1,
            view: high.view,
            height: 1,
            block: Digest([9; 32]),
            phase,
            voter: 1,
            signature: forged,
        };
        net.deliver(1, 2, Message::Vote(vote));
    }
    let mut timeout = net.timeout(1, view - 1, Certificate::genesis(&anchor()));
    timeout.signature = forged;
    // The first is answered with help and so looked at in any case, the second need not be.
    net.deliver(1, 2, Message::Timeout(Box::new(timeout.clone())));
    net.deliver(1, 2, Message::Timeout(Box::new(timeout)));
    assert_eq!(net.standing(2, 1).seen, before.seen);
    assert_eq!(net.nodes[2].refused, vec![Refusal::Signature(1); 4]);
}
