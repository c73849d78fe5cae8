//! Targets of what a node or a wallet takes from one that it does not trust when it catches up: epochs, snapshots, states.

use std::sync::LazyLock;

use tacit_consensus::{
    Certificate, CommitProof, Digest, Ed25519, Ed25519Signer, Header, Payload, Phase, PublicKey, Scheme,
    Signature, Signer, Signers, Vote,
};
use tacit_ledger::{
    CommittedBlock, Contribution, EpochLink, EpochRecord, Frame, Genesis, LightBundle, Manifest,
    PrivateState, PublicSnapshot, PublicState, SnapshotId, SnapshotKind, StateKeys, TrustedState, Verdicts,
    deal, encode,
};

use super::attest::{NOW_MS, WORLD, exact};
use super::consensus::NETWORK;
use super::seeds::{genesis, recoverable};

/// A genesis, and how its first epoch ended.
struct Chain {
    genesis: Genesis,
    trusted: TrustedState,
    bundle: LightBundle,
}

static CHAIN: LazyLock<Chain> = LazyLock::new(|| {
    let world = &*WORLD;
    let genesis = genesis(world);
    let anchor = genesis.anchor(Digest::ZERO, Digest::ZERO);
    let first = Header {
        chain: genesis.chain_id(),
        epoch: 0,
        height: 1,
        view: 1,
        parent: anchor.block,
        time_ms: NOW_MS + 1,
        payload_root: Payload::default().root(),
        executed: anchor.executed,
        next_epoch: None,
    };
    let record = EpochRecord {
        start_height: 3,
        start_ms: NOW_MS + 2,
        ..recoverable(world)
    };
    let closing = Header {
        height: 2,
        view: 2,
        parent: first.id(),
        time_ms: NOW_MS + 2,
        next_epoch: Some(record.digest()),
        ..first
    };
    let proof = finalized(&closing);
    let link = EpochLink {
        header: closing.clone(),
        proof: proof.clone(),
        record,
    };
    let bundle = LightBundle {
        links: vec![link],
        head: closing,
        head_proof: proof,
        registrations: genesis.validators.clone(),
        policy: genesis.policy.clone(),
        collateral: world.collateral.clone(),
    };
    let trusted = TrustedState::from_genesis(&genesis).expect("an honest genesis");
    Chain {
        genesis,
        trusted,
        bundle,
    }
});

/// A commit certificate by three of the founders.
fn finalized(header: &Header) -> CommitProof {
    let vote = |voter: u16| {
        let mut vote = Vote {
            epoch: header.epoch,
            view: header.view,
            height: header.height,
            block: header.id(),
            phase: Phase::Finalize,
            voter,
            signature: Signature([0; 64]),
        };
        let signer = Ed25519Signer::from_seed([voter as u8 + 1; 32]);
        vote.signature = signer.sign(&vote.message(&header.chain).0);
        vote.signature
    };
    let certificate = Certificate {
        epoch: header.epoch,
        view: header.view,
        height: header.height,
        block: header.id(),
        phase: Phase::Finalize,
        signers: Signers::new(4, 0..3),
        signatures: (0..3).map(vote).collect(),
    };
    CommitProof {
        certificate,
        path: Vec::new(),
    }
}

/// All signatures are good: what they would hide is reached.
struct Any;

impl Scheme for Any {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> bool {
        true
    }
}

/// An epoch's record, as it stands in a closing block.
pub fn epoch_record(data: &[u8]) {
    if let Ok(record) = EpochRecord::decode(data) {
        assert!(encode(&record) == data, "a record has two encodings");
        if record.check_shape().is_ok() {
            assert!(record.committee().is_well_formed());
        }
        let _ = (record.digest(), record.key_id(), record.kem_keys());
    }
}

/// A step of the chain of epochs.
pub fn epoch_link(data: &[u8]) {
    if let Some(link) = exact::<EpochLink>(data) {
        let (chain, before) = (CHAIN.genesis.chain_id(), CHAIN.genesis.record0());
        if link.check(&chain, &before, &Ed25519).is_ok() {
            let honest = &CHAIN.bundle.links[0];
            assert!(link.header == honest.header && link.record == honest.record);
        }
        let _ = link.check(&chain, &before, &Any);
    }
}

/// What a node hands to a wallet: refused, or the honest chain's; by a wallet that believes any signature, no panic.
pub fn light_bundle(data: &[u8]) {
    let Ok(bundle) = LightBundle::decode(data) else {
        return;
    };
    assert!(encode(&bundle) == data, "a bundle has two encodings");
    let mut cache = Verdicts::default();
    let trusted = &CHAIN.trusted;
    if let Ok(next) = trusted.advance(&bundle, NOW_MS, 60_000, &Ed25519, &mut cache) {
        assert!(
            next.record == CHAIN.bundle.links[0].record,
            "a wallet follows a forged chain"
        );
    }
    let _ = trusted.advance(&bundle, NOW_MS, 60_000, &Any, &mut cache);
}

/// A dealer's contribution to the next secret.
pub fn contribution(data: &[u8]) {
    if let Ok(contribution) = Contribution::decode(data) {
        assert!(encode(&contribution) == data, "a contribution has two encodings");
        let shaped = contribution.check_shape(contribution.shares.len());
        assert!(shaped.is_err() || contribution.shares.len() <= tacit_ledger::MAX_VALIDATORS);
    }
}

/// What a snapshot is said to consist of.
pub fn manifest(data: &[u8]) {
    if let Some(manifest) = exact::<Manifest>(data) {
        let _ = manifest.digest();
        let sound = manifest.check(manifest.id, manifest.height).is_ok();
        if sound {
            assert!(manifest.bytes <= manifest.id.kind.max_bytes() as u64);
            let sum: u64 = (0..manifest.count())
                .map(|index| manifest.chunk_bytes(index) as u64)
                .sum();
            assert_eq!(sum, manifest.bytes, "chunks are not the whole");
        }
        for index in [0, manifest.count().wrapping_sub(1), manifest.count(), u32::MAX] {
            let _ = manifest.check_chunk(index, data);
        }
    }
}

/// A public snapshot as a newcomer opens it. The headers are linked again first, as a liar would link them.
pub fn public_snapshot(data: &[u8]) {
    let (chain, link) = (CHAIN.genesis.chain_id(), &CHAIN.bundle.links[0]);
    let _ = PublicSnapshot::open(data, &chain, link);
    let Ok((version, mut headers, state)) = borsh::from_slice::<(u8, Vec<Header>, Vec<u8>)>(data) else {
        return;
    };
    let mut parent: Option<Digest> = None;
    for header in headers.iter_mut().take(64) {
        if let Some(parent) = parent {
            header.parent = parent;
        }
        parent = Some(header.id());
    }
    if let Some(last) = headers.last() {
        let link = EpochLink {
            header: last.clone(),
            ..link.clone()
        };
        let _ = PublicSnapshot::open(&encode(&(version, headers, state)), &chain, &link);
    }
}

/// The public state as a newcomer takes it over: its encoding is its own, and what it derives does not panic.
pub fn public_state(data: &[u8]) {
    if let Ok(state) = PublicState::from_bytes(data) {
        let again = PublicState::from_bytes(&state.to_bytes());
        let again = again.expect("what a state writes is read again");
        assert_eq!(again.root(again.height()), state.root(state.height()));
        let _ = (state.committee(), state.end_due(NOW_MS), state.outlook(NOW_MS));
    }
}

/// A private state that somebody with the key sealed: a newcomer refuses what is none.
pub fn checkpoint(data: &[u8]) {
    let keys = StateKeys {
        data: [7; 32],
        blinding: [8; 32],
    };
    if let Ok(state) = PrivateState::from_checkpoint(data, &keys) {
        let again = PrivateState::from_checkpoint(&state.to_checkpoint(), &keys).ok();
        let again = again.expect("what a state writes is read again");
        assert_eq!((again.root(), again.supply()), (state.root(), state.supply()));
    }
}

/// What a block wrote, as the disk gives it back.
pub fn private_frame(data: &[u8]) {
    if let Ok(frame) = Frame::from_bytes(data) {
        assert!(frame.to_bytes()[..] == *data, "a frame has two encodings");
    }
}

/// A committed block as peers hand it over, judged by the set of its epoch.
pub fn committed_block(data: &[u8]) {
    if let Some(committed) = exact::<CommittedBlock>(data) {
        let network = &*NETWORK;
        let (id, proof) = (committed.block.id(), &committed.proof);
        if proof
            .verify(id, &network.chain, &network.committee, &Ed25519)
            .is_ok()
        {
            let known = network.committed.iter().any(|(block, _)| block.id() == id);
            assert!(known, "a forged block is final");
        }
        let _ = committed.block.payload.is_bounded() && committed.block.payload.root() == Digest::ZERO;
    }
}

/// Seeds of this file's targets.
pub(super) fn seeds(target: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let chain = &*CHAIN;
    let link = &chain.bundle.links[0];
    let list: Vec<Vec<u8>> = match target {
        "epoch_record" => vec![encode(&link.record), encode(&chain.genesis.record0())],
        "epoch_link" => vec![encode(link)],
        "light_bundle" => {
            let empty = LightBundle {
                links: Vec::new(),
                ..chain.bundle.clone()
            };
            vec![encode(&chain.bundle), encode(&empty)]
        }
        "contribution" => {
            let keys = chain.genesis.record0().kem_keys();
            let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(1);
            let dealt = deal(&mut rng, &chain.genesis.chain_id(), 1, 0, &keys);
            vec![encode(&dealt.expect("a contribution"))]
        }
        "manifest" => {
            let id = |kind| SnapshotId { kind, epoch: 1 };
            let of = |kind, bytes: usize| Manifest::of(id(kind), 2, &vec![7; bytes]);
            vec![
                encode(&of(SnapshotKind::Public, 300)),
                encode(&of(SnapshotKind::Private, 3 << 20)),
            ]
        }
        "public_snapshot" => {
            let state = PublicState::genesis(&chain.genesis);
            let closing = &link.header;
            let first = Header {
                height: 1,
                view: 1,
                parent: chain.genesis.chain_id(),
                time_ms: NOW_MS + 1,
                next_epoch: None,
                ..closing.clone()
            };
            let headers = vec![first, closing.clone()];
            // The state is long; without it damage meets the headers.
            let headers_alone = encode(&(1u8, &headers, Vec::<u8>::new()));
            vec![PublicSnapshot::new(headers, &state).to_bytes(), headers_alone]
        }
        "public_state" => vec![PublicState::genesis(&chain.genesis).to_bytes()],
        "checkpoint" => {
            let account = |n| {
                tacit_ledger::AccountKey::from_seed([n; 32])
                    .expect("an account")
                    .id()
            };
            let allocations: Vec<_> = (1..=3).map(|n| (account(n), 1_000)).collect();
            vec![PrivateState::genesis(None, &allocations).to_checkpoint().to_vec()]
        }
        "private_frame" => {
            let frame = Frame {
                height: 4,
                writes: vec![(vec![1; 33], Some(vec![2; 16])), (vec![3; 33], None)],
            };
            vec![frame.to_bytes().to_vec()]
        }
        "committed_block" => {
            let of = |(block, proof): &(tacit_consensus::Block, CommitProof)| {
                encode(&CommittedBlock {
                    block: block.clone(),
                    proof: proof.clone(),
                })
            };
            NETWORK.committed.iter().map(of).collect()
        }
        _ => return None,
    };
    let named = list.into_iter().enumerate();
    Some(named.map(|(at, bytes)| (format!("{at:03}"), bytes)).collect())
}
