//! Every wire and storage format, pinned: a change of any of these is a change of protocol.

use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Committee, Config, Core, DecodeError, Digest, Ed25519,
    Ed25519Signer, Effect, EquivocationProof, Executed, Header, Input, MAX_MESSAGE_BYTES, Message, Payload,
    Phase, PublicKey, SafetyRecord, Scheme, Signature, Signer, Signers, Standing, Statements, Timeout,
    TimeoutCertificate, TimeoutEntry, Vote, hash,
};

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn signature(byte: u8) -> Signature {
    Signature([byte; 64])
}

fn header() -> Header {
    Header {
        chain: digest(1),
        epoch: 2,
        height: 3,
        view: 4,
        parent: digest(5),
        time_ms: 6,
        payload_root: digest(7),
        executed: Executed {
            height: 1,
            public_root: digest(8),
            private_root: digest(9),
            receipts_root: digest(10),
            supply: 11,
        },
        next_epoch: Some(digest(12)),
    }
}

fn certificate(phase: Phase) -> Certificate {
    Certificate {
        epoch: 2,
        view: 3,
        height: 2,
        block: digest(5),
        phase,
        signers: Signers::new(4, [0, 1, 3]),
        signatures: vec![signature(1), signature(2), signature(3)],
    }
}

fn tc() -> TimeoutCertificate {
    let entry = |voter| TimeoutEntry {
        voter,
        high_view: 1,
        signature: signature(4),
    };
    TimeoutCertificate {
        epoch: 2,
        view: 3,
        entries: (0..3).map(entry).collect(),
    }
}

fn block() -> Block {
    Block {
        header: header(),
        payload: Payload {
            batches: vec![digest(13)],
            system: vec![vec![1, 2, 3]],
        },
        justify: certificate(Phase::Certify),
        timeout: Some(tc()),
        commit: Some(certificate(Phase::Finalize)),
        signature: signature(5),
    }
}

fn vote(phase: Phase) -> Vote {
    Vote {
        epoch: 2,
        view: 4,
        height: 3,
        block: header().id(),
        phase,
        voter: 1,
        signature: signature(6),
    }
}

fn timeout() -> Timeout {
    Timeout {
        epoch: 2,
        view: 5,
        high: certificate(Phase::Certify),
        voter: 3,
        signature: signature(7),
    }
}

fn pin(name: &str, bytes: &[u8], expected: &str) {
    let found = format!("{} {}", bytes.len(), hash("vector", &[bytes]));
    assert_eq!(found, expected, "encoding of {name} changed");
}

fn standing() -> Standing {
    Standing {
        epoch: 2,
        view: 13,
        high: certificate(Phase::Certify),
        tc: Some(tc()),
        seen: Statements {
            proposal: Some(block().signed_header()),
            certify: Some(vote(Phase::Certify)),
            finalize: Some(vote(Phase::Finalize)),
            timeout: Some(timeout().signed()),
        },
    }
}

#[test]
fn encodings() {
    let proof = CommitProof {
        certificate: certificate(Phase::Finalize),
        path: vec![header()],
    };
    let evidence = EquivocationProof::Votes {
        first: vote(Phase::Certify),
        second: vote(Phase::Finalize),
    };
    let proposals = EquivocationProof::Proposals {
        first: Box::new(block().signed_header()),
        second: Box::new(block().signed_header()),
    };
    let finalize = EquivocationProof::FinalizeAndTimeout {
        finalize: vote(Phase::Finalize),
        timeout: timeout().signed(),
    };
    let committee = Committee {
        epoch: 2,
        members: vec![PublicKey([1; 32]), PublicKey([2; 32])],
    };
    let anchor = Anchor {
        epoch: 2,
        block: digest(1),
        height: 9,
        time_ms: 8,
        executed: Executed::default(),
    };
    let help = Message::Certificate(Box::new((certificate(Phase::Certify), Some(tc()))));
    let encode = |value: &dyn Fn() -> borsh::io::Result<Vec<u8>>| value().expect("encodes");
    let cases = [
        (
            "header",
            encode(&|| borsh::to_vec(&header())),
            "281 79e355be48dcc1dd4d283681fc6700e53bcfdf16241f0f60178e7dc9b05eadde",
        ),
        (
            "payload",
            encode(&|| borsh::to_vec(&block().payload)),
            "47 0677e99828ed0bcbe7c58890d81f9bf06e4e160800273aea0e8d6f864059e5aa",
        ),
        (
            "block",
            encode(&|| borsh::to_vec(&block())),
            "1152 7bfffe72b0d795bcf6e549477f54719b4585d2974506181ef77596daabb550a0",
        ),
        ("standing", encode(&|| borsh::to_vec(&standing())), "?"),
        (
            "certificate",
            encode(&|| borsh::to_vec(&certificate(Phase::Finalize))),
            "258 921100c639fe1a0c903b2fbfad102685f586d3cff92378adcf3d1cf78d79a530",
        ),
        (
            "timeout certificate",
            encode(&|| borsh::to_vec(&tc())),
            "242 38162db287aca24743fdd2bdb327fcde62c21b9568da0a2e22a511dd8d4a5b32",
        ),
        (
            "commit proof",
            encode(&|| borsh::to_vec(&proof)),
            "543 64ad2f20aa0e6ac890df9c407956b3cc0a1cb061786aca6ce5c570d94938f9f1",
        ),
        (
            "committee",
            encode(&|| borsh::to_vec(&committee)),
            "76 688b13ffd918614431bc38246a4aeb74a82d88cd0fff6476472ffc38feede524",
        ),
        (
            "anchor",
            encode(&|| borsh::to_vec(&anchor)),
            "176 87b95cd31e8934587054e5e7c84756216565986662c082b8765992b077cb89dd",
        ),
        (
            "evidence, votes",
            encode(&|| borsh::to_vec(&evidence)),
            "247 21cb6bce205d440274c21fc266bacf7c6a690e47980eab9410e946f02aac6340",
        ),
        (
            "evidence, proposals",
            encode(&|| borsh::to_vec(&proposals)),
            "755 d62c0574850ce6f95a069911160ef98fd7381f5d518e399527ac7b21fda32dae",
        ),
        (
            "evidence, finalize and timeout",
            encode(&|| borsh::to_vec(&finalize)),
            "214 9fe1172411db9f3c51d92336dd3b7f50178d95bcb01281691f17f2c0464a9398",
        ),
        (
            "message, proposal",
            Message::Proposal(Box::new(block())).encode(),
            "1153 defb3c32e008e1d340eb49d4012e8eac6424c8b9b047f9f71f07f60613bc91c9",
        ),
        (
            "message, vote",
            Message::Vote(vote(Phase::Certify)).encode(),
            "124 5cf6580023d6957d527d6b80d8f88f0f5e439b61634ad87b8c97fa2700f2e8cb",
        ),
        (
            "message, timeout",
            Message::Timeout(Box::new(timeout())).encode(),
            "341 3ec1b108fba508dc13bc1f1a9e558bb2fe4621832da558230e944ecfa370fecb",
        ),
        (
            "message, certificate",
            help.encode(),
            "502 199caa658368752e3532f734a5135ac30dfe078586efd0e82e02a119b71fc081",
        ),
        (
            "message, request",
            Message::BlockRequest(digest(1)).encode(),
            "33 7b6907ab25b0a6ac6fe6f38d4c3bcf3ecab22ff19aaeff066e54eddccbb915b5",
        ),
        (
            "message, response",
            Message::BlockResponse(Box::new(block())).encode(),
            "1153 ebf1248e027659d5cfc9a3ba5f7481332f128ed5d60036ec31c39f7a457b626c",
        ),
    ];
    for (name, bytes, expected) in &cases {
        pin(name, bytes, expected);
        if name.starts_with("message") {
            let message = Message::decode(bytes).expect("decodes");
            assert_eq!(message.encode(), *bytes);
        }
    }
}

#[test]
fn signed_bytes() {
    let pins = [
        (
            "block id",
            header().id(),
            "c341c4219d6e8519b51150852cba6bf042c3d1dc7986cc7ffc2834510f50b0e8",
        ),
        (
            "payload root",
            block().payload.root(),
            "be8172a29ba46595859a33300288e445908103f3a59480f0694d98cb49679fd2",
        ),
        (
            "proposal",
            block().signed_header().message(),
            "8e6b31a4353cc81be77a9f18053618c80a1d5b603b78bd6c0e4f78dd3a1b7c60",
        ),
        (
            "first vote",
            vote(Phase::Certify).message(&digest(1)),
            "2e63282ee3619e97ca3674f9b6a8cee708a2b9c15291ed632475c588a1903676",
        ),
        (
            "finalize vote",
            vote(Phase::Finalize).message(&digest(1)),
            "6422e68371444c7dc9430d53a197932a0ad68d37c63849e27fdb7f58d77eb183",
        ),
        (
            "timeout",
            timeout().signed().message(&digest(1)),
            "9e695e5964e452311ae912e2eb03391a6fc0c86cda225b3308512e033c00821b",
        ),
    ];
    for (name, found, expected) in pins {
        assert_eq!(found.to_string(), expected, "signed bytes of {name} changed");
    }
}

/// The record is storage: a node must read what an earlier version wrote.
#[test]
fn safety_record() {
    use std::sync::Arc;
    let signer = Arc::new(Ed25519Signer::from_seed([1; 32]));
    let key = signer.public();
    let anchor = Anchor {
        epoch: 1,
        block: digest(1),
        height: 0,
        time_ms: 0,
        executed: Executed::default(),
    };
    let committee = Committee {
        epoch: 1,
        members: vec![key],
    };
    let scheme: Arc<dyn Scheme> = Arc::new(Ed25519);
    let signer: Option<Arc<dyn Signer>> = Some(signer);
    let (mut core, _) = Core::new(
        Config::default(),
        digest(1),
        committee,
        signer,
        scheme,
        anchor,
        None,
        None,
        Vec::new(),
        10,
    );
    core.step(10, Input::Work(true));
    let content = tacit_consensus::Content {
        time_ms: 11,
        payload: Payload::default(),
        executed: Executed::default(),
        next_epoch: None,
        commit: None,
    };
    let effects = core.step(
        11,
        Input::Built {
            view: 1,
            parent: digest(1),
            content: Some(content),
        },
    );
    let record = effects.iter().find_map(|effect| match effect {
        Effect::Persist(record) => Some(record.clone()),
        _ => None,
    });
    let record = record.expect("something was signed");
    assert_eq!(SafetyRecord::decode(&record.encode()).as_ref(), Ok(&record));
    assert_eq!(record.signed_view(), 1);
    pin(
        "safety record",
        &record.encode(),
        "462 193832b1d24702fe30f8ec172a5bc08875e4fcb11f10b944c347a4045416f281",
    );
}

#[test]
fn what_is_not_a_message_is_refused_by_name() {
    let bytes = Message::Proposal(Box::new(block())).encode();
    for cut in 0..bytes.len() {
        assert_eq!(Message::decode(&bytes[..cut]), Err(DecodeError::Malformed));
    }
    let mut trailing = bytes.clone();
    trailing.push(0);
    assert_eq!(Message::decode(&trailing), Err(DecodeError::Malformed));
    for at in 0..bytes.len() {
        // A changed byte decodes to something else or not at all, and never panics.
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        if let Ok(message) = Message::decode(&changed) {
            assert_eq!(message.encode(), changed);
        }
    }
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    let expected = DecodeError::TooLong {
        got: MAX_MESSAGE_BYTES + 1,
        max: MAX_MESSAGE_BYTES,
    };
    assert_eq!(Message::decode(&long), Err(expected));
    let mut full = block();
    full.payload.batches = vec![digest(1); 65];
    assert_eq!(
        Message::decode(&Message::Proposal(Box::new(full)).encode()),
        Err(DecodeError::OverBound)
    );
    let mut full = block();
    full.justify.signatures = vec![signature(1); 257];
    assert_eq!(
        Message::decode(&Message::Proposal(Box::new(full)).encode()),
        Err(DecodeError::OverBound)
    );
}
