//! Defects of what makes blocks final, and of why they could be proposed.

use crate::{
    forge::{Case, Forge, case, run},
    maker::{certify, give_up, quorum, sign},
    story::story,
};
use tacit_consensus::{Certificate, CommitProof, Digest, Header, Payload, Phase, Signers};

fn flip(signature: &mut tacit_consensus::Signature) {
    signature.0[7] ^= 1;
}

/// The commit certificate of a stored block.
fn commits() -> Vec<Case> {
    let at = story().unopened + 2;
    let edit = |name, change: fn(&mut CommitProof, &Header)| {
        case(name, "chain.certificate", at, move |forge: &mut Forge| {
            forge.edit(at, |committed| {
                change(&mut committed.proof, &committed.block.header)
            });
        })
    };
    vec![
        edit("a signature", |proof, _| {
            flip(&mut proof.certificate.signatures[1])
        }),
        edit("signatures swapped", |proof, _| {
            proof.certificate.signatures.swap(0, 1)
        }),
        edit("bitmap of others", |proof, _| {
            let signers: Vec<u16> = proof.certificate.signers.iter().collect();
            let other = (0..4).find(|index| !signers.contains(index)).unwrap();
            let mut signers: Vec<u16> = signers.into_iter().skip(1).chain([other]).collect();
            signers.sort_unstable();
            proof.certificate.signers = Signers::new(4, signers);
        }),
        edit("bitmap of a larger set", |proof, _| {
            proof.certificate.signers = Signers::new(9, [0, 1, 2]);
        }),
        edit("one signer too few", |proof, _| {
            let signers: Vec<u16> = proof.certificate.signers.iter().collect();
            proof.certificate.signers = Signers::new(4, signers.into_iter().take(2));
            proof.certificate.signatures.truncate(2);
        }),
        edit("more signatures than signers", |proof, _| {
            let again = proof.certificate.signatures[0];
            proof.certificate.signatures.push(again);
        }),
        edit("nobody", |proof, _| {
            proof.certificate.signers = Signers::new(4, []);
            proof.certificate.signatures.clear();
        }),
        edit("epoch", |proof, _| proof.certificate.epoch += 1),
        edit("phase", |proof, _| proof.certificate.phase = Phase::Certify),
        edit("view", |proof, _| proof.certificate.view += 1),
        edit("view 0", |proof, _| proof.certificate.view = 0),
        edit("height", |proof, _| proof.certificate.height += 1),
        edit("block", |proof, _| proof.certificate.block = Digest([1; 32])),
        case(
            "the certificate of the block below",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                let below = forge.block(at - 1).proof;
                forge.edit(at, |committed| committed.proof = below);
            },
        ),
        case(
            "a certificate by the set of another epoch",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                let mut committee = forge.committee(2);
                committee.members.rotate_left(1);
                forge.edit(at, |committed| {
                    let header = &committed.block.header;
                    committed.proof.certificate = certify(header, &committee, Phase::Finalize, &[0, 1, 2]);
                });
            },
        ),
        case(
            "a certificate by the set of the epoch before",
            "chain.certificate",
            story().leaving,
            move |forge: &mut Forge| {
                let before = forge.committee(3);
                forge.edit(story().leaving, |committed| {
                    let header = &committed.block.header;
                    committed.proof.certificate = certify(header, &before, Phase::Finalize, &[0, 1, 2]);
                });
            },
        ),
        case(
            "a quorum of four where five sit",
            "chain.certificate",
            story().leaving,
            move |forge: &mut Forge| {
                let five = forge.committee(4);
                forge.edit(story().leaving, |committed| {
                    let header = &committed.block.header;
                    committed.proof.certificate = certify(header, &five, Phase::Finalize, &[0, 1, 2]);
                });
            },
        ),
        case(
            "a quorum that signs another height",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                let committee = forge.committee(2);
                forge.edit(at, |committed| {
                    let mut other = certify(&committed.block.header, &committee, Phase::Finalize, &[0, 1, 2]);
                    other.height += 1;
                    committed.proof.certificate = resigned(other, &forge_chain());
                });
            },
        ),
    ]
}

fn forge_chain() -> Digest {
    story().genesis.chain_id()
}

/// A certificate that the same signers sign as it stands.
fn resigned(certificate: Certificate, chain: &Digest) -> Certificate {
    let vote = tacit_consensus::Vote {
        epoch: certificate.epoch,
        view: certificate.view,
        height: certificate.height,
        block: certificate.block,
        phase: certificate.phase,
        voter: 0,
        signature: certificate.signatures[0],
    };
    let message = vote.message(chain);
    let sign = |n| tacit_consensus::Signer::sign(&crate::world::consensus_key(n), &message.0);
    let signatures = certificate.signers.iter().map(|n| sign(n as u8)).collect();
    Certificate {
        signatures,
        ..certificate
    }
}

/// Proofs by way of later headers.
fn paths() -> Vec<Case> {
    let story = story();
    let with_path = |from: u64| {
        let mut heights = from..story.head;
        heights
            .find(|height| {
                let committed = story.folder.block(*height);
                !committed.proof.path.is_empty() && committed.block.header.next_epoch.is_none()
            })
            .expect("a block that its child proves")
    };
    let at = with_path(story.payments);
    // Epoch 1 was closed by way of an epilogue.
    let closing = story.closing;
    let epilogue = move |name, change: fn(&mut Header)| {
        case(name, "chain.epilogue", closing, move |forge: &mut Forge| {
            let mut header = forge.block(closing).proof.path[0].clone();
            change(&mut header);
            let certificate = forge.finalize(&header).certificate;
            let committee = forge.committee(1);
            let certificate = certify(
                &header,
                &committee,
                Phase::Finalize,
                &quorum(&committee, certificate.view),
            );
            let path = vec![header];
            forge.edit(closing, |committed| {
                committed.proof = CommitProof { certificate, path }
            });
        })
    };
    vec![
        case(
            "a path that leads from another block",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                forge.edit(at, |committed| committed.proof.path[0].parent = Digest([1; 32]));
            },
        ),
        case(
            "a path to another block",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                forge.edit(at, |committed| committed.proof.path[0].time_ms += 1);
            },
        ),
        case(
            "a path of another network",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                forge.edit(at, |committed| committed.proof.path[0].chain = Digest([1; 32]));
            },
        ),
        case(
            "a path of another epoch",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                forge.edit(at, |committed| committed.proof.path[0].epoch += 1);
            },
        ),
        case(
            "a path left out",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                forge.edit(at, |committed| committed.proof.path.clear());
            },
        ),
        case(
            "a child that is not the next block",
            "chain.fork",
            at + 1,
            move |forge: &mut Forge| {
                let mut child = forge.block(at).proof.path[0].clone();
                child.time_ms += 1;
                let certificate = forge.finalize(&child).certificate;
                let path = vec![child];
                forge.edit(at, |committed| {
                    committed.proof = CommitProof { certificate, path }
                });
            },
        ),
        case(
            "a child two heights above",
            "chain.certificate",
            at,
            move |forge: &mut Forge| {
                let mut child = forge.block(at).proof.path[0].clone();
                child.height += 1;
                let certificate = forge.finalize(&child).certificate;
                let path = vec![child];
                forge.edit(at, |committed| {
                    committed.proof = CommitProof { certificate, path }
                });
            },
        ),
        epilogue("an epilogue with content", |header| {
            header.payload_root = Digest([1; 32])
        }),
        epilogue("an epilogue that states more", |header| {
            header.executed.height += 1
        }),
        epilogue("an epilogue that closes again", |header| {
            header.next_epoch = Some(Digest([1; 32]))
        }),
        case(
            "an epilogue nobody signed",
            "chain.certificate",
            closing,
            move |forge: &mut Forge| {
                forge.edit(closing, |committed| {
                    flip(&mut committed.proof.certificate.signatures[0])
                });
            },
        ),
    ]
}

/// Why the leader could propose the block.
fn proposals() -> Vec<Case> {
    let story = story();
    let at = story.unopened + 2;
    let first = story.closing + 1;
    let skipped = (story.payments..story.head)
        .find(|height| story.folder.block(*height).block.timeout.is_some())
        .expect("a view that was given up");
    let edit = |name, code, at, change: fn(&mut tacit_consensus::Block)| {
        case(name, code, at, move |forge: &mut Forge| {
            forge.edit(at, |committed| change(&mut committed.block));
        })
    };
    let reforge = |name, code, at, change: fn(&mut tacit_consensus::Block)| {
        case(name, code, at, move |forge: &mut Forge| forge.reforge(at, change))
    };
    vec![
        edit("the leader's signature", "chain.proposer", at, |block| {
            flip(&mut block.signature)
        }),
        edit(
            "parts that the leader did not sign",
            "chain.proposer",
            at,
            |block| block.commit = None,
        ),
        case(
            "another validator in the leader's place",
            "chain.proposer",
            at,
            move |forge: &mut Forge| {
                let mut committee = forge.committee(2);
                committee.members.rotate_left(1);
                forge.edit(at, |committed| sign(&mut committed.block, &committee));
            },
        ),
        reforge(
            "the parent's certificate: a signature",
            "chain.justify",
            at,
            |block| {
                flip(&mut block.justify.signatures[0]);
            },
        ),
        reforge(
            "the parent's certificate: no quorum",
            "chain.justify",
            at,
            |block| {
                block.justify.signers = Signers::new(4, [0]);
                block.justify.signatures.truncate(1);
            },
        ),
        reforge(
            "the parent's certificate: of another block",
            "chain.justify",
            at,
            |block| {
                block.justify.block = Digest([1; 32]);
            },
        ),
        reforge("the parent's certificate: phase", "chain.justify", at, |block| {
            block.justify.phase = Phase::Finalize;
        }),
        reforge("the parent's certificate: epoch", "chain.justify", at, |block| {
            block.justify.epoch += 1
        }),
        reforge("the parent's certificate: view", "chain.justify", at, |block| {
            block.justify.view -= 1
        }),
        reforge(
            "the anchor's certificate: height",
            "chain.justify",
            first,
            |block| {
                block.justify.height -= 1;
            },
        ),
        reforge(
            "the anchor's certificate: made by hand",
            "chain.justify",
            first,
            |block| {
                block.justify.signers = Signers::new(4, [0, 1, 2]);
            },
        ),
        reforge("timeouts left out", "chain.timeout", skipped, |block| {
            block.timeout = None
        }),
        reforge("timeouts: no quorum", "chain.timeout", skipped, |block| {
            block.timeout.as_mut().unwrap().entries.truncate(2);
        }),
        reforge("timeouts: a signature", "chain.timeout", skipped, |block| {
            flip(&mut block.timeout.as_mut().unwrap().entries[1].signature);
        }),
        reforge(
            "timeouts: one validator twice",
            "chain.timeout",
            skipped,
            |block| {
                let entries = &mut block.timeout.as_mut().unwrap().entries;
                entries[1] = entries[0];
            },
        ),
        reforge("timeouts: of another view", "chain.timeout", skipped, |block| {
            block.timeout.as_mut().unwrap().view -= 1;
        }),
        case(
            "timeouts that know of a higher certificate",
            "chain.timeout",
            skipped,
            move |forge: &mut Forge| {
                let committee = forge.committee(forge.block(skipped).block.header.epoch);
                let chain = forge.story.genesis.chain_id();
                forge.reforge(skipped, |block| {
                    // The view left out was not certified, and they say that one above the parent's was.
                    block.header.view += 1;
                    let (view, high) = (block.header.view - 1, block.justify.view + 1);
                    block.timeout = Some(give_up(&chain, &committee, view, high));
                });
            },
        ),
        reforge("carried: a signature", "chain.carried", at, |block| {
            flip(&mut block.commit.as_mut().unwrap().signatures[0]);
        }),
        reforge("carried: phase", "chain.carried", at, |block| {
            block.commit = Some(block.justify.clone());
        }),
        reforge("carried: above the parent", "chain.carried", at, |block| {
            block.commit.as_mut().unwrap().height += 1;
        }),
        case(
            "carried: of a block that is not in the chain",
            "chain.fork",
            at,
            move |forge: &mut Forge| {
                let mut other = forge.block(at - 1).block.header;
                other.payload_root = Payload::default().root();
                other.time_ms += 1;
                let certificate = forge.finalize(&other).certificate;
                forge.reforge(at, |block| block.commit = Some(certificate));
            },
        ),
    ]
}

#[test]
fn every_part_of_a_commit_certificate_counts() {
    run(commits());
}

#[test]
fn proofs_by_later_headers_lead_to_the_chain() {
    run(paths());
}

#[test]
fn proposals_stand_on_what_their_leaders_signed() {
    run(proposals());
}
