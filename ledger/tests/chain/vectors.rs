//! One vector a format: `name length hash`, in `vectors.txt`. A change of any byte of any encoding fails here.
//! (`TACIT_BLESS=1` writes the file anew; a reviewer then sees which formats changed.)

use tacit_attest::limits::{COLLATERAL_BYTES_MAX, LEAF_BYTES_MAX, POLICY_MEASUREMENTS_MAX};
use tacit_attest::{
    AllowedMeasurement, Collateral, CollateralUpdate, Document, Evidence, Measurement, NetworkClass,
    Platform, Policy, SignedJson, Suspension, TrustRoots,
};
use tacit_consensus::{
    Certificate, CommitProof, Digest, Ed25519Signer, EquivocationProof, Executed, Header, Phase, PublicKey,
    Signature, Signer, Signers, Vote,
};
use tacit_ledger::*;

use crate::network::{account, consensus_key, rng};

const CHAIN: Digest = Digest([0xc4; 32]);
const PINNED: &str = include_str!("vectors.txt");

fn call() -> Call {
    let action = Action::Token(TokenAction::Transfer {
        to: account(2).id(),
        amount: 5 * UNIT,
    });
    Call::sign(&CHAIN, &account(1), 3, 1_000, action, [0; 32])
}

fn header() -> Header {
    Header {
        chain: CHAIN,
        epoch: 1,
        height: 2,
        view: 3,
        parent: Digest([4; 32]),
        time_ms: 5,
        payload_root: Digest([6; 32]),
        executed: Executed {
            height: 1,
            supply: 7,
            ..Executed::default()
        },
        next_epoch: Some(Digest([8; 32])),
    }
}

fn commit() -> CommitProof {
    let certificate = Certificate {
        epoch: 1,
        view: 3,
        height: 2,
        block: header().id(),
        phase: Phase::Finalize,
        signers: Signers::new(4, [0, 1, 3]),
        signatures: vec![Signature([9; 64]); 3],
    };
    CommitProof {
        certificate,
        path: vec![header()],
    }
}

fn registration() -> Registration {
    Registration {
        name: "node-1".to_owned(),
        consensus_key: PublicKey([1; 32]),
        node_key: PublicKey([2; 32]),
        kem_key: SealingPublic(vec![3; SEALING_PUBLIC_BYTES]),
        evidence: Evidence {
            platform: Platform::Simulated,
            report: vec![4; 5],
            leaf: vec![6; 7],
        },
        network: CHAIN,
        height: 8,
        block: Digest([9; 32]),
        policy_version: 1,
        protocol: 1,
        operator_key: PublicKey([12; 32]),
        consensus_signature: Signature([10; 64]),
        node_signature: Signature([11; 64]),
        operator_signature: Some(Signature([13; 64])),
    }
}

fn dropped(name: &str) -> Dropped {
    Dropped {
        name: name.to_owned(),
        code: "attest.evidence_expired".to_owned(),
    }
}

fn record() -> EpochRecord {
    EpochRecord {
        epoch: 1,
        start_height: 2,
        start_ms: 3,
        validators: vec![ValidatorRecord::of(&registration(), 10)],
        sealing_key: Some(SealingPublic(vec![4; SEALING_PUBLIC_BYTES])),
        suite: SUITE_XWING,
        policy_version: 1,
        policy: Digest([5; 32]),
        reason: EpochReason::Schedule,
        transcript: Digest([6; 32]),
        judged_ms: 7,
        collateral: Digest([8; 32]),
        kept: true,
        dropped: vec![dropped("node-2")],
        protocol: 1,
        state_keys: vec![9; WRAPPED_STATE_KEYS_BYTES],
        recovery: None,
    }
}

fn genesis() -> Genesis {
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-vectors".to_owned(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: None,
        },
        nonce: [1; 32],
        time_ms: 2,
        params: Params::default(),
        policy: Policy::dev(Measurement([3; 48])),
        governance: governance(),
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: vec![update()],
        validators: vec![registration()],
        allocations: vec![(account(1).id(), 5 * UNIT)],
    }
}

fn governance() -> Governance {
    Governance {
        members: vec![GovernanceMember {
            name: "alice".to_owned(),
            account: account(1).id(),
        }],
        threshold: 1,
    }
}

fn update() -> CollateralUpdate {
    CollateralUpdate {
        simulated: true,
        document: Document::IntelRootCrl(vec![1, 2, 3]),
    }
}

fn leave() -> LeaveRequest {
    LeaveRequest::sign(CHAIN, &registration(), &Ed25519Signer::from_seed([2; 32]))
}

/// Two votes of one view.
fn convict() -> EquivocationProof {
    let [first, second] = [3, 4].map(|block| {
        let mut vote = Vote {
            epoch: 1,
            view: 7,
            height: 5,
            block: Digest([block; 32]),
            phase: Phase::Certify,
            voter: 2,
            signature: Signature([0; 64]),
        };
        vote.signature = Ed25519Signer::from_seed([3; 32]).sign(&vote.message(&CHAIN).0);
        vote
    });
    EquivocationProof::Votes { first, second }
}

fn proposal() -> PolicyProposal {
    PolicyProposal {
        chain: CHAIN,
        policy: genesis().policy,
        protocol: 1,
        reinstate: vec![Suspension::Platform(Platform::Simulated)],
        allow_below_quorum: true,
        sequence: 5,
        member: 0,
        signature: PolicyProposal::unsigned(),
    }
    .sign(&account(1), [0; 32])
}

fn formats() -> Vec<(&'static str, Vec<u8>)> {
    let kem = SealingSecret::derive(&[5; 32]);
    let (envelope, receipt_key) = seal_envelope(&mut rng(1), kem.public(), &CHAIN, 1, 100, &call()).unwrap();
    let session = Envelope {
        key: EnvelopeKey::Session([7; 16]),
        ..envelope.clone()
    };
    let batch = Batch::sign(
        CHAIN,
        1,
        2,
        3,
        vec![envelope.clone()],
        &consensus_key(1) as &dyn Signer,
    );
    let applied = Receipt {
        envelope: envelope.id(),
        height: 4,
        index: 5,
        fee: 1_000,
        outcome: Outcome::Applied,
        detail: vec![6; 7],
    };
    let failed = Receipt {
        outcome: Outcome::Failed(FailureCode::NameTaken),
        ..applied.clone()
    };
    let sealed = SealedReceipt::seal(&receipt_key, &applied);
    let leaves = [Digest([1; 32]), sealed.leaf(&envelope.id()), Digest([3; 32])];
    let receipt_proof = ReceiptProof {
        envelope: envelope.id(),
        sealed: sealed.clone(),
        height: 4,
        index: 1,
        path: merkle_path(&leaves, 1).unwrap(),
        previous: Digest([2; 32]),
        later: vec![Digest::ZERO],
        header: header(),
        proof: commit(),
    };
    let contribution = deal(&mut rng(2), &CHAIN, 1, 0, &[kem.public().clone()]).unwrap();
    let share = open_share(&kem, &CHAIN, &contribution, 0).ok().unwrap();
    let secret = EpochSecret::combine(&CHAIN, 1, &[(contribution.clone(), share.clone())]);
    let keys = StateKeys::derive(&secret);
    let key = StateKey::Token(TokenKey::Balance(account(1).id()));
    let answer_to = kem.public().clone();
    let question = Question {
        fresh: [1; 32],
        time_ms: 2,
        min_height: 3,
        keys: vec![key.clone()],
        answer_to,
    };
    let query = Query::sign(&CHAIN, &account(1), question, [0; 32]);
    let proven = ProvenEntry {
        key: key.clone(),
        value: Some(vec![1, 2]),
        blind: [3; 32],
        proof: vec![4, 5],
    };
    let answer = Answer {
        fresh: [1; 32],
        executed: header().executed,
        header: header(),
        proof: commit(),
        epoch: 1,
        entries: vec![AnswerEntry::Proven(proven), AnswerEntry::Denied { key }],
    };
    let link = EpochLink {
        header: header(),
        proof: commit(),
        record: record(),
    };
    let bundle = LightBundle {
        links: vec![link.clone()],
        head: header(),
        head_proof: commit(),
        registrations: vec![registration()],
        policy: genesis().policy,
        collateral: Collateral::new(),
    };
    let verdict = HolderVerdict {
        platform: Platform::Simulated,
        measurement: Measurement([1; 48]),
        chip: tacit_attest::ChipId([2; 64]),
    };
    let mut verdicts = Verdicts::default();
    verdicts.put(Digest([1; 32]), verdict.clone());
    let trusted = TrustedState {
        chain: CHAIN,
        name: "dev-vectors".to_owned(),
        record: record(),
        head: Some(header()),
        holders: vec![verdict],
        trust: genesis().trust,
        nonce: [1; 32],
    };
    let approval = PolicyApproval::sign(CHAIN, proposal().id(), 1, &account(2), [0; 32]);
    let target = Suspension::Platform(Platform::Simulated);
    let vote = SuspendVote::sign(CHAIN, 4, target, 2, &consensus_key(1) as &dyn Signer);
    vec![
        ("call", encode(&call())),
        ("envelope", encode(&envelope)),
        ("envelope.session", encode(&session)),
        ("envelope.id", envelope.id().0.to_vec()),
        ("receipt.key", receipt_key.to_bytes().to_vec()),
        (
            "seal_to",
            seal_to(&mut rng(3), kem.public(), b"info", b"aad", b"hello").unwrap(),
        ),
        ("sealing.public", kem.public().0.clone()),
        ("sealing.key_id", kem.public().key_id().into_bytes()),
        ("batch", encode(&batch)),
        ("batch.digest", batch.digest().0.to_vec()),
        ("receipt.applied", encode(&applied)),
        ("receipt.failed", encode(&failed)),
        ("receipt.sealed", sealed.0.clone()),
        ("receipt.unopened", SealedReceipt::unopened(&envelope.id()).0),
        ("receipt.leaf", leaves[1].0.to_vec()),
        ("receipts.block_root", block_receipts_root(&leaves).0.to_vec()),
        (
            "receipts.chained",
            chain_receipts(&Digest([1; 32]), &Digest([2; 32])).0.to_vec(),
        ),
        ("receipt.proof", encode(&receipt_proof)),
        ("registration", encode(&registration())),
        ("registration.message", registration().message().0.to_vec()),
        ("registration.binding", encode(&registration().binding())),
        ("registration.digest", registration().digest().0.to_vec()),
        ("genesis", encode(&genesis())),
        ("genesis.chain_id", genesis().chain_id().0.to_vec()),
        ("genesis.json", genesis().to_json().into_bytes()),
        ("epoch.record", encode(&record())),
        ("epoch.record.digest", record().digest().0.to_vec()),
        ("policy.digest", policy_digest(&genesis().policy).0.to_vec()),
        ("contribution", encode(&contribution)),
        (
            "transcript",
            transcript(std::slice::from_ref(&contribution)).0.to_vec(),
        ),
        ("share", share.to_bytes().to_vec()),
        ("epoch.secret", secret.to_bytes().to_vec()),
        ("epoch.sealing", secret.sealing().public().0.clone()),
        ("state.data", keys.data.to_vec()),
        ("state.blinding", keys.blinding.to_vec()),
        ("state.keys.wrapped", keys.wrap(&secret)),
        (
            "epoch.secret.sealed",
            seal_secret(&mut rng(3), &CHAIN, 1, 0, kem.public(), &secret).unwrap(),
        ),
        (
            "epoch.secret.sealed",
            seal_secret(&mut rng(6), &CHAIN, 1, 0, kem.public(), &secret).unwrap(),
        ),
        (
            "system.end",
            SystemTx::EndEpoch {
                reason: EpochReason::Schedule,
            }
            .encode(),
        ),
        ("system.contribute", SystemTx::Contribute(contribution).encode()),
        ("system.close", SystemTx::CloseEpoch(record()).encode()),
        ("system.collateral", SystemTx::Collateral(update()).encode()),
        ("system.propose", SystemTx::Propose(proposal()).encode()),
        ("proposal.id", proposal().id().0.to_vec()),
        ("system.approve", SystemTx::Approve(approval).encode()),
        ("approval.message", approval.message().0.to_vec()),
        ("system.suspend", SystemTx::Suspend(vote).encode()),
        ("suspend.message", vote.message().0.to_vec()),
        ("system.register", SystemTx::Register(registration()).encode()),
        ("system.id", SystemTx::Register(registration()).id().0.to_vec()),
        ("system.leave", SystemTx::Leave(leave()).encode()),
        ("leave.message", leave().message().0.to_vec()),
        ("system.convict", SystemTx::Convict(convict()).encode()),
        ("governance", encode(&governance())),
        (
            "collateral.digest",
            collateral_digest(&Collateral::new()).0.to_vec(),
        ),
        ("query", encode(&query)),
        (
            "query.sealed",
            seal_query(&mut rng(4), kem.public(), &query).unwrap(),
        ),
        ("answer", encode(&answer)),
        (
            "answer.sealed",
            seal_answer(&mut rng(5), kem.public(), &CHAIN, &answer).unwrap(),
        ),
        ("light.link", encode(&link)),
        ("light.bundle", encode(&bundle)),
        ("light.trusted", encode(&trusted)),
        ("light.verdicts", encode(&verdicts)),
    ]
}

#[test]
fn every_format_is_what_it_was() {
    let lines: Vec<String> = formats()
        .into_iter()
        .map(|(name, bytes)| format!("{name} {} {}", bytes.len(), blake3::hash(&bytes)))
        .collect();
    if std::env::var_os("TACIT_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chain/vectors.txt");
        std::fs::write(path, lines.join("\n") + "\n").expect("vectors.txt is writable");
        return;
    }
    for (line, pinned) in lines.iter().zip(PINNED.lines()) {
        assert_eq!(line, pinned);
    }
    assert_eq!(lines.len(), PINNED.lines().count());
}

#[test]
fn what_decodes_refuses_a_trailing_byte_and_every_cut() {
    fn strict<T: borsh::BorshDeserialize + borsh::BorshSerialize>(value: &T, max: usize) {
        let bytes = encode(value);
        assert!(decode::<T>(&bytes, max).is_ok_and(|back| encode(&back) == bytes));
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(
            decode::<T>(&longer, max),
            Err(CodecError::Trailing { extra: 1 })
        ));
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 97) {
            assert!(decode::<T>(&bytes[..cut], max).is_err(), "cut at {cut}");
        }
    }
    strict(&call(), MAX_CALL_BYTES);
    strict(&registration(), MAX_REGISTRATION_BYTES);
    strict(&record(), MAX_EPOCH_RECORD_BYTES);
    strict(&genesis(), MAX_GENESIS_BYTES);
    strict(&SystemTx::CloseEpoch(record()), MAX_SYSTEM_TX_BYTES);
    let approval = PolicyApproval::sign(CHAIN, Digest([1; 32]), 1, &account(2), [0; 32]);
    let target = Suspension::Platform(Platform::Simulated);
    let vote = SuspendVote::sign(CHAIN, 4, target, 2, &consensus_key(1) as &dyn Signer);
    for tx in [
        SystemTx::Collateral(update()),
        SystemTx::Propose(proposal()),
        SystemTx::Approve(approval),
        SystemTx::Suspend(vote),
        SystemTx::Register(registration()),
        SystemTx::Leave(leave()),
        SystemTx::Convict(convict()),
    ] {
        assert!(tx.is_ordinary() && SystemTx::decode_ordinary(&tx.encode()).as_ref() == Ok(&tx));
        strict(&tx, MAX_ORDINARY_TX_BYTES);
    }
    assert!(SystemTx::decode(&[10]).is_err(), "an unknown tag");
}

#[test]
fn the_largest_of_each_kind_fits_its_bound() {
    let seats = vec![
        ValidatorRecord {
            name: "x".repeat(MAX_NAME),
            ..ValidatorRecord::of(&registration(), 10)
        };
        MAX_VALIDATORS
    ];
    let largest = EpochRecord {
        validators: seats,
        dropped: vec![
            Dropped {
                name: "x".repeat(MAX_NAME),
                code: "x".repeat(40),
            };
            MAX_REGISTERED
        ],
        recovery: Some(RecoveryPackage {
            commitments: vec![[0; 33]; MAX_RECOVERY_MEMBERS],
            check: Digest::ZERO,
            shares: vec![vec![0; RECOVERY_SHARE_BYTES]; MAX_RECOVERY_MEMBERS],
            wrapped: vec![0; 256],
        }),
        ..record()
    };
    let bytes = SystemTx::CloseEpoch(largest).encode();
    assert!(SystemTx::decode(&bytes).is_ok());
    let shares = vec![vec![0; SHARE_BYTES]; MAX_VALIDATORS];
    let contribution = Contribution {
        epoch: 1,
        dealer: 0,
        commitment: Digest::ZERO,
        shares,
    };
    assert!(SystemTx::decode(&SystemTx::Contribute(contribution).encode()).is_ok());
    let signed = SignedJson {
        body: "x".repeat(COLLATERAL_BYTES_MAX),
        signature: vec![0; 64],
        signer: vec![0; LEAF_BYTES_MAX],
    };
    let collateral = CollateralUpdate {
        simulated: false,
        document: Document::TcbInfo(signed),
    };
    let bytes = SystemTx::Collateral(collateral).encode();
    assert!(SystemTx::decode_ordinary(&bytes).is_ok());
    // 256 builds that say of themselves what is usual, and all that can be reinstated.
    let mut largest = proposal();
    let build = AllowedMeasurement {
        label: "x".repeat(64),
        source: "x".repeat(64),
        build: "x".repeat(256),
        ..genesis().policy.measurements[0].clone()
    };
    largest.policy.measurements = vec![build; POLICY_MEASUREMENTS_MAX];
    largest.reinstate = vec![Suspension::Platform(Platform::Simulated); MAX_REINSTATED];
    assert!(SystemTx::decode_ordinary(&SystemTx::Propose(largest).encode()).is_ok());
    let mut registration = registration();
    registration.evidence.report = vec![0; 8 * 1024];
    registration.evidence.leaf = vec![0; 4 * 1024];
    registration.name = "x".repeat(MAX_NAME);
    assert!(Registration::decode(&encode(&registration)).is_ok());
    let genesis = Genesis {
        validators: vec![registration; MAX_VALIDATORS],
        allocations: vec![(account(1).id(), Amount::MAX); MAX_ALLOCATIONS],
        ..genesis()
    };
    let bytes = encode(&genesis);
    assert!(Genesis::decode(&bytes).is_ok());
}
