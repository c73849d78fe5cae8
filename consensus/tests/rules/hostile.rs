//! What liars send, and what becomes of it.

use crate::harness::{CHAIN, Net, Toy, is_vote, key, toy_sign};
use tacit_consensus::{
    Block, CertificateError, CommitProof, Digest, EquivocationProof, EvidenceError, Fault, Header, Message,
    Phase, ProofError, Refusal, Signature, TimeoutCertificate, TimeoutEntry, Vote,
};

/// Validator 0 alone with a test that plays all others. View 1 is led by validator 2.
fn alone() -> Net {
    let mut net = Net::new(4, 0);
    net.passes = Box::new(|_, _, _| false);
    net
}

fn votes(net: &Net, phase: Phase) -> Vec<Vote> {
    let sent = net.nodes[0].sent.iter().filter(|message| is_vote(message, phase));
    sent.filter_map(|message| {
        if let Message::Vote(vote) = message {
            Some(*vote)
        } else {
            None
        }
    })
    .collect()
}

fn propose(net: &mut Net, block: &Block) {
    net.deliver(2, 0, Message::Proposal(Box::new(block.clone())));
}

fn tc(net: &Net, view: u64, highs: &[(usize, u64)]) -> TimeoutCertificate {
    let genesis = net.core(0).high().clone();
    let entries = highs.iter().map(|(voter, high_view)| {
        let high = tacit_consensus::Certificate {
            view: *high_view,
            ..genesis.clone()
        };
        let signature = net.timeout(*voter, view, high).signature;
        TimeoutEntry {
            voter: *voter as u16,
            high_view: *high_view,
            signature,
        }
    });
    TimeoutCertificate {
        epoch: 1,
        view,
        entries: entries.collect(),
    }
}

#[test]
fn only_one_vote_a_view_even_when_the_leader_signs_twice() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let (a, b) = (net.proposal(1, genesis.clone(), 1), net.proposal(1, genesis, 2));
    propose(&mut net, &a);
    propose(&mut net, &b);
    propose(&mut net, &a);
    assert_eq!(
        votes(&net, Phase::Certify)
            .iter()
            .map(|vote| vote.block)
            .collect::<Vec<_>>(),
        [a.id()]
    );
    let [proof] = &net.nodes[0].evidence[..] else {
        panic!("one proof")
    };
    assert_eq!(proof.verify(&CHAIN, &net.committee, &Toy), Ok(2));
    let other = Digest([1; 32]);
    assert_eq!(
        proof.verify(&other, &net.committee, &Toy),
        Err(EvidenceError::OtherChain)
    );
}

#[test]
fn contradicting_votes_are_evidence_and_count_once() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let (a, b) = (net.proposal(1, genesis.clone(), 1), net.proposal(1, genesis, 2));
    for block in [&a, &b, &a] {
        let vote = net.vote_for(1, &block.header, Phase::Certify);
        net.deliver(1, 0, Message::Vote(vote));
    }
    let [proof] = &net.nodes[0].evidence[..] else {
        panic!("one proof")
    };
    assert_eq!(proof.verify(&CHAIN, &net.committee, &Toy), Ok(1));
    let vote = net.vote_for(3, &b.header, Phase::Certify);
    net.deliver(3, 0, Message::Vote(vote));
    let vote = net.vote_for(2, &b.header, Phase::Certify);
    net.deliver(2, 0, Message::Vote(vote));
    assert_eq!(
        net.core(0).high().view,
        0,
        "three voters, but no three for one block"
    );
}

#[test]
fn finalizing_and_denying_it_is_evidence() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let a = net.proposal(1, genesis.clone(), 1);
    let vote = net.vote_for(3, &a.header, Phase::Finalize);
    net.deliver(3, 0, Message::Vote(vote));
    net.deliver(
        3,
        0,
        Message::Timeout(Box::new(net.timeout(3, 2, genesis.clone()))),
    );
    let [EquivocationProof::FinalizeAndTimeout { finalize, timeout }] = &net.nodes[0].evidence[..] else {
        panic!("one proof")
    };
    let proof = EquivocationProof::FinalizeAndTimeout {
        finalize: *finalize,
        timeout: *timeout,
    };
    assert_eq!(proof.verify(&CHAIN, &net.committee, &Toy), Ok(3));
    // The same two statements the other way round in time are honest: the timeout knew the certificate.
    let mut knowing = *timeout;
    knowing.high_view = 1;
    let honest = EquivocationProof::FinalizeAndTimeout {
        finalize: *finalize,
        timeout: knowing,
    };
    assert_eq!(
        honest.verify(&CHAIN, &net.committee, &Toy),
        Err(EvidenceError::NoConflict)
    );
}

#[test]
fn unfit_proposals_are_refused_by_name() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let good = net.proposal(1, genesis, 1);
    let refuse = |net: &mut Net, change: &dyn Fn(&mut Block), resign: bool| {
        let mut block = good.clone();
        change(&mut block);
        let block = if resign { net.sign_block(block) } else { block };
        propose(net, &block);
        let reason = net.nodes[0].refused.pop().expect("refused");
        assert_eq!(
            reason.fault() == Fault::Sender,
            !matches!(reason, Refusal::LaterEpoch(_))
        );
        reason
    };
    let net = &mut net;
    assert_eq!(
        refuse(net, &|b| b.header.chain = Digest([1; 32]), true),
        Refusal::OtherChain
    );
    assert_eq!(refuse(net, &|b| b.header.epoch = 2, true), Refusal::LaterEpoch(2));
    assert_eq!(
        refuse(net, &|b| b.header.height = u64::MAX, true),
        Refusal::Unjustified(1)
    );
    assert_eq!(
        refuse(net, &|b| b.header.view = u64::MAX, true),
        Refusal::Unjustified(u64::MAX)
    );
    assert_eq!(
        refuse(net, &|b| b.header.parent = Digest([1; 32]), true),
        Refusal::Unjustified(1)
    );
    assert_eq!(
        refuse(net, &|b| b.header.time_ms += 1, false),
        Refusal::Signature(2)
    );
    assert_eq!(
        refuse(net, &|b| b.payload.batches.clear(), true),
        Refusal::Payload
    );
    assert_eq!(
        refuse(net, &|b| b.justify.signatures.push(Signature([0; 64])), true),
        Refusal::Certificate(CertificateError::NotAnchor)
    );
    assert!(votes(net, Phase::Certify).is_empty());
    propose(net, &good);
    assert_eq!(votes(net, Phase::Certify).len(), 1);
}

#[test]
fn time_and_executed_must_follow_from_the_parent() {
    for (change, expected) in [
        (
            (|header| header.time_ms = 1_000_000) as fn(&mut Header),
            Refusal::Time,
        ),
        (|header| header.executed.height = 1, Refusal::Executed(1)),
        (|header| header.executed.supply = 1, Refusal::Executed(0)),
    ] {
        let mut net = alone();
        let mut block = net.proposal(1, net.core(0).high().clone(), 1);
        change(&mut block.header);
        let block = net.sign_block(block);
        propose(&mut net, &block);
        assert_eq!(net.nodes[0].refused, [expected]);
        assert!(votes(&net, Phase::Certify).is_empty());
    }
}

#[test]
fn a_timeout_certificate_excuses_only_what_reaches_its_highest_report() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let a = net.proposal(1, genesis.clone(), 1);
    let qc = net.certificate(&a.header, Phase::Certify, &[1, 2, 3]);
    let excuse = tc(&net, 2, &[(1, 1), (2, 0), (3, 0)]);
    let mut stale = net.proposal(3, genesis, 3);
    stale.timeout = Some(excuse.clone());
    let stale = net.sign_block(stale);
    propose(&mut net, &stale);
    assert_eq!(net.nodes[0].refused, [Refusal::Unjustified(3)]);
    let mut fit = net.proposal(3, qc, 3);
    fit.timeout = Some(excuse);
    let fit = net.sign_block(fit);
    propose(&mut net, &fit);
    assert_eq!(net.core(0).view(), 3);
    assert!(
        votes(&net, Phase::Certify).is_empty(),
        "the parent is not known yet"
    );
    net.deliver(1, 0, Message::BlockResponse(Box::new(a)));
    assert_eq!(votes(&net, Phase::Certify)[0].block, fit.id());
}

#[test]
fn a_help_whose_timeout_certificate_nobody_could_follow_is_refused() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    // Three liars' worth of reports of a certificate that does not exist.
    let lie = tc(&net, 5, &[(1, 4), (2, 0), (3, 0)]);
    net.deliver(1, 0, Message::Certificate(Box::new((genesis.clone(), Some(lie)))));
    assert_eq!(net.nodes[0].refused, [Refusal::Unjustified(5)]);
    let old = tc(&net, 5, &[(1, 0), (2, 0), (3, 0)]);
    net.deliver(
        1,
        0,
        Message::Certificate(Box::new((genesis.clone(), Some(old.clone())))),
    );
    assert_eq!(net.core(0).view(), 6);
    // An older one changes nothing.
    let older = tc(&net, 3, &[(1, 0), (2, 0), (3, 0)]);
    net.deliver(1, 0, Message::Certificate(Box::new((genesis, Some(older)))));
    assert_eq!(net.core(0).view(), 6);
}

#[test]
fn bad_certificates_are_refused_by_name() {
    let mut net = alone();
    let a = net.proposal(1, net.core(0).high().clone(), 1);
    let good = net.certificate(&a.header, Phase::Certify, &[1, 2, 3]);
    let few = net.certificate(&a.header, Phase::Certify, &[1, 2]);
    let mut zero = good.clone();
    zero.view = 0;
    let mut forged = good.clone();
    forged.signatures[1] = toy_sign(&key(9), b"");
    let mut short = good.clone();
    short.signatures.pop();
    let committee = &net.committee;
    let check = |certificate: &tacit_consensus::Certificate| certificate.verify(&CHAIN, committee, &Toy);
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&few), Err(CertificateError::NoQuorum { got: 2, quorum: 3 }));
    assert_eq!(check(&zero), Err(CertificateError::NotAnchor));
    assert_eq!(check(&forged), Err(CertificateError::Signature { voter: 2 }));
    assert!(matches!(
        check(&short),
        Err(CertificateError::Signers {
            signers: 3,
            signatures: 2,
            ..
        })
    ));
    for bad in [few, forged, short] {
        net.deliver(1, 0, Message::Certificate(Box::new((bad, None))));
    }
    assert_eq!(net.nodes[0].refused.len(), 3);
    assert_eq!(net.core(0).view(), 1);
    net.deliver(1, 0, Message::Certificate(Box::new((good, None))));
    assert_eq!(net.core(0).view(), 2);
}

#[test]
fn whoever_gave_a_later_view_up_does_not_finalize_an_earlier_one() {
    let mut net = alone();
    let genesis = net.core(0).high().clone();
    let a = net.proposal(1, genesis.clone(), 1);
    propose(&mut net, &a);
    for voter in [1, 3] {
        net.deliver(
            voter,
            0,
            Message::Timeout(Box::new(net.timeout(voter.into(), 2, genesis.clone()))),
        );
    }
    // It joined the timeout of view 2 without the certificate of view 1, which comes now.
    let qc = net.certificate(&a.header, Phase::Certify, &[1, 2, 3]);
    net.deliver(1, 0, Message::Certificate(Box::new((qc, None))));
    assert_eq!(net.core(0).high().view, 1);
    assert!(votes(&net, Phase::Finalize).is_empty());
}

#[test]
fn forged_timeouts_are_refused_by_name_and_nobody_joins_them() {
    let mut net = alone();
    let high = net.core(0).high().clone();
    for voter in [1, 2, 3] {
        // Signed by somebody else.
        let mut forged = net.timeout(0, 1, high.clone());
        forged.voter = voter;
        net.deliver(voter, 0, Message::Timeout(Box::new(forged)));
    }
    assert_eq!(net.nodes[0].refused, [1, 2, 3].map(Refusal::Signature));
    let gave_up = |message: &Message| matches!(message, Message::Timeout(_));
    assert!(!net.nodes[0].sent.iter().any(gave_up));
    assert_eq!(net.core(0).status().view, 1);
}

#[test]
fn far_views_unknown_voters_and_echoes_leave_no_trace() {
    let mut net = alone();
    let mut block = net.proposal(1, net.core(0).high().clone(), 1);
    block.header.view = 1 << 40;
    let vote = net.vote_for(1, &block.header, Phase::Certify);
    net.deliver(1, 0, Message::Vote(vote));
    block.header.view = 1;
    let mut unknown = net.vote_for(1, &block.header, Phase::Certify);
    unknown.voter = 77;
    net.deliver(1, 0, Message::Vote(unknown));
    let own = net.vote_for(0, &block.header, Phase::Certify);
    net.deliver(1, 0, Message::Vote(own));
    let mut zero = vote;
    zero.view = 0;
    net.deliver(1, 0, Message::Vote(zero));
    let expected = [
        Refusal::TooFarAhead {
            view: 1 << 40,
            current: 1,
        },
        Refusal::UnknownValidator(77),
        Refusal::ViewZero,
    ];
    assert_eq!(net.nodes[0].refused, expected);
    // A block nobody asked for.
    net.deliver(
        1,
        0,
        Message::BlockResponse(Box::new(net.proposal(1, net.core(0).high().clone(), 1))),
    );
    assert!(net.core(0).block(&block.id()).is_none());
}

#[test]
fn a_commit_proof_proves_its_block_and_no_other() {
    let mut net = Net::new(4, 0);
    net.work(true);
    net.run(300);
    let commits = &net.nodes[0].commits;
    let (first, last) = (&commits[0].0, &commits[5]);
    let path: Vec<Header> = commits[1..=5]
        .iter()
        .map(|(block, _)| block.header.clone())
        .collect();
    let certificate = last.1.certificate.clone();
    assert!(last.1.path.is_empty());
    let proof = CommitProof { certificate, path };
    let verify = |proof: &CommitProof, id| proof.verify(id, &CHAIN, &net.committee, &Toy);
    assert_eq!(verify(&proof, first.id()), Ok(()));
    assert_eq!(verify(&proof, commits[1].0.id()), Err(ProofError::Broken(0)));
    let mut gap = proof.clone();
    gap.path.remove(2);
    assert_eq!(verify(&gap, first.id()), Err(ProofError::Broken(2)));
    let mut cut = proof.clone();
    cut.path.pop();
    assert!(matches!(
        verify(&cut, first.id()),
        Err(ProofError::OtherBlock { .. })
    ));
    let mut long = proof;
    long.path = vec![first.header.clone(); 1025];
    assert_eq!(verify(&long, first.id()), Err(ProofError::TooLong(1025)));
}
