//! Defects of the public lane that a whole quorum signed: ends of epochs, shares, evidence, approvals, votes, collateral.

use tacit_attest::{Measurement, Platform, Suspension};
use tacit_consensus::{Digest, EquivocationProof, Signature};
use tacit_ledger::*;

use crate::{
    forge::{Case, Forge, case, run},
    story::{KINDS, equivocation, story},
    world::{
        self, AUTHORITY, Applicant, GENOA, Machine, OTHER_BUILD, TIME, consensus_key, member_key, node_key,
    },
};

const OTHER: Digest = Digest([0xee; 32]);

/// The record of an epoch, field by field.
fn records() -> Vec<Case> {
    let at = story().closing;
    let record = |name, change: fn(&mut EpochRecord)| {
        case(name, "chain.epoch_record", at, move |forge: &mut Forge| {
            forge.rerecord(at, change);
        })
    };
    vec![
        record("epoch", |record| record.epoch += 1),
        record("start height", |record| record.start_height += 1),
        record("start time", |record| record.start_ms += 1),
        record("order of validators", |record| record.validators.swap(0, 1)),
        record("a validator left out", |record| record.validators.truncate(3)),
        record("a validator out of nowhere", |record| {
            let mut stranger = record.validators[0].clone();
            stranger.consensus_key = tacit_consensus::PublicKey([9; 32]);
            record.validators.push(stranger);
        }),
        record("a name", |record| record.validators[2].name = "val-9".into()),
        record("a consensus key", |record| {
            record.validators[2].consensus_key = tacit_consensus::PublicKey([9; 32]);
        }),
        record("a node key", |record| {
            record.validators[2].node_key = tacit_consensus::PublicKey([9; 32]);
        }),
        record("a KEM key", |record| record.validators[2].kem_key = world::kem(9)),
        record("a registration", |record| {
            record.validators[2].registration = OTHER
        }),
        record("a time of registration", |record| {
            record.validators[2].registered_ms += 1
        }),
        record("no sealing key", |record| record.sealing_key = None),
        record("a sealing key that is none", |record| {
            record.sealing_key = Some(SealingPublic(vec![0xff; SEALING_PUBLIC_BYTES]));
        }),
        record("suite", |record| record.suite += 1),
        record("policy version", |record| record.policy_version += 1),
        record("policy", |record| record.policy = OTHER),
        record("reason", |record| record.reason = EpochReason::Recovery),
        record("transcript", |record| record.transcript = OTHER),
        record("time of judgement", |record| record.judged_ms += 1),
        record("collateral", |record| record.collateral = OTHER),
        record("kept", |record| record.kept = true),
        record("dropped", |record| {
            record.dropped.push(Dropped {
                name: "val-7".into(),
                code: "epoch.newcomers".into(),
            });
        }),
        record("protocol", |record| record.protocol += 1),
        record("no state keys", |record| record.state_keys.clear()),
        record("state keys of another size", |record| record.state_keys.push(0)),
        record("no recovery package", |record| record.recovery = None),
        record("a recovery package that is none", |record| {
            package(record).wrapped.clear();
        }),
        case(
            "the header names another record",
            "chain.epoch_record",
            at,
            move |forge: &mut Forge| {
                forge.reforge(at, |block| block.header.next_epoch = Some(OTHER));
            },
        ),
        case(
            "the header names none",
            "chain.epoch_record",
            at,
            move |forge: &mut Forge| {
                forge.reforge(at, |block| block.header.next_epoch = None);
            },
        ),
        case(
            "the record is not there",
            "chain.epoch_record",
            at,
            move |forge: &mut Forge| {
                forge.retx(at, |txs| txs.truncate(txs.len() - 1));
            },
        ),
        case(
            "the record comes with too few contributions",
            "chain.epoch_record",
            at - 1,
            move |forge: &mut Forge| {
                let record = forge.record(2);
                forge.retx(at - 1, |txs| txs.push(SystemTx::CloseEpoch(record)));
            },
        ),
    ]
}

fn package(record: &mut EpochRecord) -> &mut RecoveryPackage {
    record.recovery.as_mut().expect("genesis names members")
}

/// Recovery packages that have a form, and not that of genesis' members.
fn packages() -> Vec<Case> {
    let at = story().closing;
    let row = |name, change: fn(&mut RecoveryPackage)| {
        let spoil = move |forge: &mut Forge| {
            forge.rerecord(at, |record| change(package(record)));
        };
        case(name, "chain.recovery", at, spoil).because("recovery.package_invalid")
    };
    vec![
        row("a share too few", |package| package.shares.truncate(2)),
        row("a share too many", |package| {
            let more = package.shares[0].clone();
            package.shares.push(more);
        }),
        row("a higher threshold", |package| {
            let more = package.commitments[0];
            package.commitments.push(more);
        }),
        row("a commitment that is no point", |package| {
            package.commitments[1] = [0xff; 33];
        }),
    ]
}

/// When and why epochs end.
fn ends() -> Vec<Case> {
    let story = story();
    let (ending, quiet) = (story.ending, story.unopened + 2);
    vec![
        case(
            "an end for another reason",
            "chain.epoch_end",
            ending,
            move |forge: &mut Forge| {
                forge.retx(ending, |txs| {
                    txs[0] = SystemTx::EndEpoch {
                        reason: EpochReason::Schedule,
                    };
                });
            },
        ),
        case(
            "an end that is due and does not come",
            "chain.epoch_end",
            ending,
            move |forge: &mut Forge| {
                forge.retx(ending, Vec::clear);
            },
        ),
        case(
            "an end before its time",
            "chain.epoch_end",
            quiet,
            move |forge: &mut Forge| {
                let reason = EpochReason::Schedule;
                forge.retx(quiet, |txs| txs.push(SystemTx::EndEpoch { reason }));
            },
        ),
        case(
            "an end for a policy that nobody approved",
            "chain.epoch_end",
            quiet,
            move |forge: &mut Forge| {
                let reason = EpochReason::Policy;
                forge.retx(quiet, |txs| txs.push(SystemTx::EndEpoch { reason }));
            },
        ),
        case(
            "an epoch ended twice",
            "chain.epoch_end",
            story.closing,
            move |forge: &mut Forge| {
                let reason = EpochReason::Policy;
                forge.retx(story.closing, |txs| txs.insert(0, SystemTx::EndEpoch { reason }));
            },
        ),
        case(
            "a contribution outside a tail",
            "chain.epoch_end",
            quiet,
            move |forge: &mut Forge| {
                let txs = forge.block(ending).block.payload.system;
                forge.reforge(quiet, |block| block.payload.system = vec![txs[1].clone()]);
            },
        ),
        case(
            "a batch in a tail",
            "chain.system",
            story.closing,
            move |forge: &mut Forge| {
                let named = forge.block(story.payments).block.payload.batches;
                let batch = forge.batches(story.payments).remove(0);
                // As of this epoch, so that its own form is not what is wrong.
                let author = node_key(0);
                let batch = Batch::sign(
                    batch.chain,
                    batch.epoch,
                    batch.author,
                    99,
                    batch.envelopes,
                    &author,
                );
                assert_eq!(named.len(), 1);
                forge
                    .folder
                    .put(|writes| writes.put_batch(&batch.digest(), &batch));
                forge.reforge(story.closing, |block| {
                    block.payload.batches = vec![batch.digest()]
                });
            },
        ),
        case(
            "a transaction that nobody can read",
            "chain.system",
            quiet,
            move |forge: &mut Forge| {
                forge.reforge(quiet, |block| block.payload.system = vec![vec![0xff, 1, 2]]);
            },
        ),
        case(
            "a transaction cut short",
            "chain.system",
            story.closing,
            move |forge: &mut Forge| {
                forge.reforge(story.closing, |block| {
                    let last = block.payload.system.last_mut().unwrap();
                    last.truncate(last.len() - 1);
                });
            },
        ),
        case(
            "more batches than a block may name",
            "chain.payload",
            quiet,
            move |forge: &mut Forge| {
                forge.reforge(quiet, |block| block.payload.batches = vec![OTHER; 65]);
            },
        ),
        case(
            "more public bytes than a block may have",
            "chain.payload",
            quiet,
            move |forge: &mut Forge| {
                forge.reforge(quiet, |block| block.payload.system = vec![vec![0; 300_000]; 2]);
            },
        ),
    ]
}

/// Contributions to the next secret.
fn shares() -> Vec<Case> {
    let story = story();
    let (one, two) = (story.ending, story.closing);
    let deal = |name, at, change: fn(&mut Contribution)| {
        case(name, "chain.share", at, move |forge: &mut Forge| {
            forge.redeal(at, change)
        })
    };
    vec![
        deal("a share too few", one, |dealt| dealt.shares.truncate(3)),
        deal("a share too many", one, |dealt| {
            dealt.shares.push(vec![0; SHARE_BYTES])
        }),
        deal("a share cut short", one, |dealt| dealt.shares[2].truncate(100)),
        deal("a share with more behind it", one, |dealt| {
            dealt.shares[2].push(0)
        }),
        deal("no shares", one, |dealt| dealt.shares.clear()),
        deal("to another epoch", one, |dealt| dealt.epoch += 1),
        deal("in the name of another dealer", one, |dealt| {
            dealt.dealer = (dealt.dealer + 1) % 4
        }),
        deal("of a seat that there is not", one, |dealt| dealt.dealer = 9),
        case(
            "the same dealer twice",
            "chain.share",
            two,
            move |forge: &mut Forge| {
                let first = forge.block(one).block;
                let leader = forge.committee(1).leader(first.header.view);
                forge.redeal(two, |dealt| dealt.dealer = leader);
            },
        ),
        case(
            "a commitment to another value",
            "chain.epoch_record",
            two,
            move |forge: &mut Forge| {
                forge.redeal(two, |dealt| dealt.commitment = OTHER);
            },
        ),
        case(
            "a share to somebody else",
            "chain.epoch_record",
            two,
            move |forge: &mut Forge| {
                forge.redeal(two, |dealt| dealt.shares.swap(0, 1));
            },
        ),
    ]
}

/// Where the registration of a validator stands.
fn place(forge: &Forge, height: u64) -> RegistrationPlace {
    RegistrationPlace {
        network: forge.story.genesis.chain_id(),
        height,
        block: forge.block(height).block.id(),
        policy_version: 1,
    }
}

fn signed_again(n: u8, mut registration: Registration) -> Registration {
    let message = registration.message();
    let (consensus, node) = (consensus_key(n), node_key(n));
    registration.consensus_signature = tacit_consensus::Signer::sign(&consensus, &message.0);
    registration.node_signature = tacit_consensus::Signer::sign(&node, &message.0);
    registration.operator_signature = Some(tacit_consensus::Signer::sign(&node, &message.0));
    registration
}

/// Renewals of validator 1, one block above that of validator 0.
fn registrations() -> Vec<Case> {
    let at = story().renewal + 1;
    let register = |name, cause, change: fn(&Forge, Registration) -> Registration| {
        let spoil = move |forge: &mut Forge| {
            let bytes = forge.block(at).block.payload.system.remove(0);
            let Ok(SystemTx::Register(held)) = SystemTx::decode(&bytes) else {
                panic!("a renewal stands here");
            };
            let other = change(forge, held);
            forge.retx(at, |txs| *txs = vec![SystemTx::Register(other)]);
        };
        case(name, "chain.registration", at, spoil).because(cause)
    };
    vec![
        register("a bit of the report", "attest.report_signature", |_, mut held| {
            held.evidence.report[0x150] ^= 1;
            signed_again(1, held)
        }),
        register(
            "a bit of the report, nobody's signature",
            "register.signature",
            |_, mut held| {
                held.evidence.report[0x150] ^= 1;
                held
            },
        ),
        register(
            "a byte of the leaf certificate",
            "attest.leaf_signature",
            |_, mut held| {
                let leaf = held.evidence.leaf.len();
                held.evidence.leaf[leaf - 9] ^= 1;
                signed_again(1, held)
            },
        ),
        register(
            "the report of another validator",
            "attest.report_data",
            |forge, mut held| {
                let bytes = forge.block(at_of(0)).block.payload.system.remove(0);
                let Ok(SystemTx::Register(other)) = SystemTx::decode(&bytes) else {
                    panic!("a renewal stands here");
                };
                held.evidence = other.evidence;
                signed_again(1, held)
            },
        ),
        register("another program", "attest.measurement_unknown", |forge, held| {
            let machine = Machine {
                build: OTHER_BUILD,
                ..Machine::new(KINDS[1], 1)
            };
            let _ = held;
            world::register(1, machine, &place(forge, at_of(0)))
        }),
        register(
            "a program nobody approved",
            "attest.measurement_unknown",
            |forge, _| {
                let machine = Machine {
                    build: Measurement([0x99; 48]),
                    ..Machine::new(KINDS[1], 1)
                };
                world::register(1, machine, &place(forge, at_of(0)))
            },
        ),
        register(
            "the chip of another validator",
            "register.duplicate_chip",
            |forge, _| world::register(1, Machine::new(KINDS[0], 0), &place(forge, at_of(0))),
        ),
        register("for another network", "register.other_chain", |forge, _| {
            let network = OTHER;
            world::register(
                1,
                Machine::new(KINDS[1], 1),
                &RegistrationPlace {
                    network,
                    ..place(forge, at_of(0))
                },
            )
        }),
        register(
            "bound to a block of another history",
            "register.other_block",
            |forge, _| {
                let block = OTHER;
                world::register(
                    1,
                    Machine::new(KINDS[1], 1),
                    &RegistrationPlace {
                        block,
                        ..place(forge, at_of(0))
                    },
                )
            },
        ),
        register(
            "bound to a block that is still to come",
            "register.block_ahead",
            |forge, _| world::register(1, Machine::new(KINDS[1], 1), &place(forge, at_of(0) + 3)),
        ),
        register(
            "under a policy that is still to come",
            "register.policy_version",
            |forge, _| {
                let policy_version = 7;
                let place = RegistrationPlace {
                    policy_version,
                    ..place(forge, at_of(0))
                };
                world::register(1, Machine::new(KINDS[1], 1), &place)
            },
        ),
        case(
            "the renewal of the block below again",
            "chain.registration",
            at,
            move |forge: &mut Forge| {
                let again = forge.block(at - 1).block.payload.system;
                forge.reforge(at, |block| block.payload.system = again);
            },
        )
        .because("register.not_newer"),
        case(
            "a founder's registration again",
            "chain.registration",
            at,
            move |forge: &mut Forge| {
                let founder = forge.genesis.validators[1].clone();
                forge.retx(at, |txs| *txs = vec![SystemTx::Register(founder)]);
            },
        )
        .because("register.other_chain"),
    ]
}

/// A newcomer, one who goes, and one who is convicted.
fn members() -> Vec<Case> {
    let (joining, leaving, convicting) = (story().joining, story().leaving, story().convicting);
    let join = |name, cause, change: fn(&mut Applicant)| {
        let spoil = move |forge: &mut Forge| {
            let mut applicant = Applicant::new(4, Machine::new(GENOA, 4));
            change(&mut applicant);
            let place = RegistrationPlace {
                policy_version: 2,
                ..place(forge, joining - 1)
            };
            let other = SystemTx::Register(applicant.register(&place));
            forge.retx(joining, |txs| *txs = vec![other]);
        };
        case(name, "chain.registration", joining, spoil).because(cause)
    };
    let leave = |name, cause, change: fn(&Forge, &mut LeaveRequest)| {
        let spoil = move |forge: &mut Forge| {
            let bytes = forge.block(leaving).block.payload.system.remove(0);
            let Ok(SystemTx::Leave(mut request)) = SystemTx::decode(&bytes) else {
                panic!("a request stands here");
            };
            change(forge, &mut request);
            forge.retx(leaving, |txs| *txs = vec![SystemTx::Leave(request)]);
        };
        case(name, "chain.registration", leaving, spoil).because(cause)
    };
    let convict = |name, cause, epoch: u64, voter: u16, n: u8| {
        let spoil = move |forge: &mut Forge| {
            let proof = equivocation(&forge.story.genesis.chain_id(), epoch, voter, n);
            forge.retx(convicting, |txs| *txs = vec![SystemTx::Convict(proof)]);
        };
        case(name, "chain.suspension", convicting, spoil).because(cause)
    };
    vec![
        join(
            "a newcomer whose operator did not sign",
            "register.operator",
            |one| one.signed = false,
        ),
        join(
            "a newcomer with a name that is taken",
            "register.name_taken",
            |one| {
                one.name = "val-0".into();
            },
        ),
        join("a newcomer with another one's key", "register.key_taken", |one| {
            one.consensus = consensus_key(0).into();
        }),
        join(
            "a newcomer on another one's chip",
            "register.duplicate_chip",
            |one| {
                one.machine = Machine::new(GENOA, 0);
            },
        ),
        join(
            "a newcomer with another program",
            "attest.measurement_unknown",
            |one| {
                one.machine.build = OTHER_BUILD;
            },
        ),
        join("a newcomer that speaks no protocol", "register.protocol", |one| {
            one.protocol = 0
        }),
        leave(
            "a request that its operator did not sign",
            "leave.signature",
            |_, request| {
                request.signature = Signature([1; 64]);
            },
        ),
        leave(
            "a request for another network",
            "gov.other_chain",
            |_, request| request.chain = OTHER,
        ),
        leave(
            "a request for what is not held any more",
            "leave.other_registration",
            |forge, request| {
                request.registration = forge.genesis.validators[1].digest();
            },
        ),
        leave("a request for nobody", "leave.unknown_name", |_, request| {
            request.name = "val-9".into()
        }),
        case(
            "a request to leave twice",
            "chain.registration",
            leaving,
            move |forge: &mut Forge| {
                forge.retx(leaving, |txs| txs.push(txs[0].clone()));
            },
        )
        .because("leave.known"),
        convict("a conviction by votes of somebody else", "convict.proof", 5, 1, 3),
        convict(
            "a conviction of a seat that there is not",
            "convict.proof",
            5,
            9,
            2,
        ),
        convict("a conviction of an epoch to come", "convict.epoch", 9, 1, 2),
        case(
            "a conviction twice",
            "chain.suspension",
            convicting,
            move |forge: &mut Forge| {
                forge.retx(convicting, |txs| txs.push(txs[0].clone()));
            },
        )
        .because("convict.known"),
        case(
            "a conviction for two votes that agree",
            "chain.suspension",
            convicting,
            move |forge: &mut Forge| {
                let chain = forge.story.genesis.chain_id();
                let EquivocationProof::Votes { first, .. } = equivocation(&chain, 5, 1, 2) else {
                    panic!("two votes");
                };
                let proof = EquivocationProof::Votes { first, second: first };
                forge.retx(convicting, |txs| *txs = vec![SystemTx::Convict(proof)]);
            },
        )
        .because("convict.proof"),
    ]
}

/// The block of validator `n`'s renewal.
fn at_of(n: u64) -> u64 {
    story().renewal + n
}

/// Members' wishes.
fn policies() -> Vec<Case> {
    let (proposed, approved) = (story().proposal, story().proposal + 1);
    let propose = |name, cause, change: fn(PolicyProposal) -> PolicyProposal| {
        let spoil = move |forge: &mut Forge| {
            forge.retx(proposed, |txs| {
                let Some(SystemTx::Propose(proposal)) = txs.pop() else {
                    panic!("a proposal stands here");
                };
                txs.push(SystemTx::Propose(change(proposal)));
            });
        };
        case(name, "chain.policy", proposed, spoil).because(cause)
    };
    let approve = |name, cause, change: fn(PolicyApproval) -> PolicyApproval| {
        let spoil = move |forge: &mut Forge| {
            forge.retx(approved, |txs| {
                let Some(SystemTx::Approve(approval)) = txs.pop() else {
                    panic!("an approval stands here");
                };
                txs.push(SystemTx::Approve(change(approval)));
            });
        };
        case(name, "chain.policy", approved, spoil).because(cause)
    };
    vec![
        propose(
            "a proposal that its member did not sign",
            "gov.signature",
            |mut proposal| {
                proposal.policy.evidence_age_max_ms += 1;
                proposal
            },
        ),
        propose("a proposal of nobody", "gov.not_a_member", |mut proposal| {
            proposal.member = 9;
            proposal
        }),
        propose(
            "a proposal for another network",
            "gov.other_chain",
            |mut proposal| {
                proposal.chain = OTHER;
                proposal.sign(&member_key(0), [9; 32])
            },
        ),
        propose("a version left out", "gov.version", |mut proposal| {
            proposal.policy.version += 1;
            proposal.sign(&member_key(0), [9; 32])
        }),
        propose(
            "a policy under which most must go",
            "gov.below_quorum",
            |mut proposal| {
                proposal.policy.measurements[0].value = OTHER_BUILD;
                proposal.sign(&member_key(0), [9; 32])
            },
        ),
        approve(
            "an approval that its member did not sign",
            "gov.signature",
            |mut approval| {
                approval.member = 2;
                approval
            },
        ),
        approve(
            "an approval of somebody who has given it",
            "gov.approved_already",
            |approval| PolicyApproval::sign(approval.chain, approval.proposal, 0, &member_key(0), [9; 32]),
        ),
        approve("an approval for another network", "gov.other_chain", |approval| {
            PolicyApproval::sign(OTHER, approval.proposal, 1, &member_key(1), [9; 32])
        }),
        approve(
            "an approval of what nobody proposed",
            "gov.proposal_unknown",
            |approval| PolicyApproval::sign(approval.chain, OTHER, 1, &member_key(1), [9; 32]),
        ),
        approve("an approval of nobody", "gov.not_a_member", |approval| {
            PolicyApproval::sign(approval.chain, approval.proposal, 7, &member_key(1), [9; 32])
        }),
        case(
            "an approval again, after it counted",
            "chain.policy",
            story().unopened + 2,
            move |forge: &mut Forge| {
                let again = forge.block(approved).block.payload.system;
                forge.reforge(story().unopened + 2, |block| block.payload.system = again);
            },
        )
        .because("gov.proposal_unknown"),
        case(
            "a proposal again, after it counted",
            "chain.policy",
            story().unopened + 2,
            move |forge: &mut Forge| {
                let again = forge.block(proposed).block.payload.system;
                forge.reforge(story().unopened + 2, |block| block.payload.system = again);
            },
        )
        .because("gov.version"),
        case(
            "a policy in force without its last approval",
            "chain.epoch_end",
            approved,
            move |forge: &mut Forge| {
                let reason = EpochReason::Policy;
                forge.retx(approved, |txs| *txs = vec![SystemTx::EndEpoch { reason }]);
            },
        ),
    ]
}

fn target() -> Suspension {
    Suspension::Measurement {
        platform: Platform::Simulated,
        value: OTHER_BUILD,
    }
}

/// Votes of validators, and vendors' documents.
fn others() -> Vec<Case> {
    let at = story().unopened + 2;
    let vote = |name, cause, change: fn(&mut SuspendVote)| {
        let spoil = move |forge: &mut Forge| {
            let chain = forge.story.genesis.chain_id();
            let mut vote = SuspendVote::sign(chain, 2, target(), 1, &node_key(1));
            change(&mut vote);
            forge.retx(at, |txs| *txs = vec![SystemTx::Suspend(vote)]);
        };
        case(name, "chain.suspension", at, spoil).because(cause)
    };
    vec![
        vote(
            "a vote that its validator did not sign",
            "suspend.signature",
            |vote| vote.validator = 2,
        ),
        vote("a vote with another signature", "suspend.signature", |vote| {
            vote.signature = Signature([1; 64])
        }),
        vote("a vote of a seat that there is not", "suspend.seat", |vote| {
            vote.validator = 9
        }),
        vote("a vote of an earlier epoch", "suspend.epoch", |vote| {
            vote.epoch = 1
        }),
        vote("a vote for another network", "gov.other_chain", |vote| {
            vote.chain = OTHER
        }),
        case(
            "a vote twice",
            "chain.suspension",
            at,
            move |forge: &mut Forge| {
                let chain = forge.story.genesis.chain_id();
                let vote = SystemTx::Suspend(SuspendVote::sign(chain, 2, target(), 1, &node_key(1)));
                forge.retx(at, |txs| *txs = vec![vote.clone(), vote]);
            },
        )
        .because("suspend.voted_already"),
        case(
            "collateral that is held already",
            "chain.collateral",
            at,
            move |forge: &mut Forge| {
                let held = forge.genesis.collateral[0].clone();
                forge.retx(at, |txs| *txs = vec![SystemTx::Collateral(held)]);
            },
        )
        .because("attest.collateral_not_newer"),
        case(
            "collateral that its vendor did not sign",
            "chain.collateral",
            at,
            move |forge: &mut Forge| {
                let other = tacit_attest::SimulatorAuthority::generate([2; 32], TIME).unwrap();
                let stranger = other.collateral(TIME + 60_000).unwrap().remove(0);
                assert_ne!(other.root(), AUTHORITY.root());
                forge.retx(at, |txs| *txs = vec![SystemTx::Collateral(stranger)]);
            },
        )
        .because("attest.collateral_signature"),
    ]
}

#[test]
fn every_field_of_an_epochs_record_follows_from_the_chain() {
    run(records());
}

#[test]
fn recovery_packages_are_those_of_the_members() {
    run(packages());
}

#[test]
fn epochs_end_when_and_as_they_must() {
    run(ends());
}

#[test]
fn forged_contributions_are_named() {
    run(shares());
}

#[test]
fn evidence_is_verified_again() {
    run(registrations());
}

#[test]
fn who_comes_goes_and_is_convicted_is_judged_again() {
    run(members());
}

#[test]
fn policies_change_by_enough_approvals_of_members_alone() {
    run(policies());
}

#[test]
fn votes_and_collateral_are_verified_again() {
    run(others());
}
