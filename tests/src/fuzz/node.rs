//! Targets of what a node takes from the network and from its clients, beneath the sockets.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Message};
use tacit_ledger::{
    Batch, EpochRecord, MAX_ORDINARY_TX_BYTES, Manifest, MemoryStore, SnapshotId, SnapshotKind, codec, encode,
};
use tacit_node::wire::{
    Announcement, Direct, FetchRequest, FetchResponse, Hello, MAX_ANNOUNCEMENT_BYTES, MAX_DIRECT_BYTES,
    MAX_FETCH_REQUEST_BYTES, MAX_FETCH_RESPONSE_BYTES, NoSnapshot, RelayAccepted, RelayRefused,
    StandingAnswer, SyncBlock, SystemGossip,
};
use tacit_node::{api, config::Config, serving};

use super::attest::WORLD;
use super::consensus::NETWORK;
use super::seeds::genesis;

/// The longest frame that the targets accept: small, so that bounds are met.
const MAX_FRAME: u32 = 4_096;

static RECORD: LazyLock<EpochRecord> = LazyLock::new(|| genesis(&WORLD).record0());

/// Decodes within its bound, and sees that the value has no other encoding.
fn bounded<T: BorshSerialize + BorshDeserialize>(data: &[u8], max: usize) -> Option<T> {
    let value: T = codec::decode(data, max).ok()?;
    assert!(encode(&value) == data, "a value has two encodings");
    Some(value)
}

/// A direct message between validators, with the consensus message within.
pub fn direct(data: &[u8]) {
    if let Some(direct) = bounded::<Direct>(data, MAX_DIRECT_BYTES) {
        super::consensus::message(&direct.message);
    }
}

/// What is gossiped: an announcement, or a transaction of the public lane.
pub fn gossip(data: &[u8]) {
    bounded::<Announcement>(data, MAX_ANNOUNCEMENT_BYTES);
    if let Some(tx) = SystemGossip::decode(data) {
        assert!(tx.is_ordinary() && tx.encode().len() <= MAX_ORDINARY_TX_BYTES);
    }
}

/// A question of any peer, answered from a store.
pub fn fetch_request(data: &[u8]) {
    let Some(request) = bounded::<FetchRequest>(data, MAX_FETCH_REQUEST_BYTES) else {
        return;
    };
    let store = MemoryStore::new();
    let asker = [1; 32];
    if let Some(answer) = serving::answer(&store, &RECORD, &asker, &request) {
        assert!(encode(&answer).len() <= MAX_FETCH_RESPONSE_BYTES);
    }
    if let FetchRequest::Hello(hello) = &request {
        said(hello);
    }
}

fn said(hello: &Hello) {
    assert!(!hello.is_sound() || hello.release.len() <= 32);
    let _ = hello.speaks(0) || hello.speaks(u16::MAX);
}

/// A peer's answer to a question.
pub fn fetch_response(data: &[u8]) {
    let Some(response) = bounded::<FetchResponse>(data, MAX_FETCH_RESPONSE_BYTES) else {
        return;
    };
    match response {
        FetchResponse::Blocks(blocks) => {
            for block in blocks {
                super::sync::committed_block(&encode(&block.committed));
            }
        }
        FetchResponse::Manifest(Ok(manifest)) => super::sync::manifest(&encode(&manifest)),
        FetchResponse::Standing(answer) => {
            if let Some(standing) = answer.standing {
                super::consensus::standing(&encode(&standing));
            }
        }
        FetchResponse::Epochs(links) => {
            for link in links.iter().take(4) {
                super::sync::epoch_link(&encode(link));
            }
        }
        FetchResponse::Hello(hello) => said(&hello),
        _ => {}
    }
}

/// The body of a POST to the HTTP interface, of each of its routes.
pub fn posted(data: &[u8]) {
    for route in ["/v1/txs", "/v1/query", "/v1/system", "/v1/nothing"] {
        match api::posted(route, data) {
            Ok(bytes) => assert!(bytes.len() <= data.len()),
            Err(code) => assert!(
                tacit_ledger::codes::lookup(code).is_some(),
                "{code} is in no table"
            ),
        }
    }
}

/// A node's configuration.
pub fn config(data: &[u8]) {
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(config) = Config::parse(text)
    {
        let again = Config::parse(&config.to_text().expect("a configuration has a text"));
        assert!(again == Ok(config), "a configuration changes when it is written");
    }
}

/// Bytes on a direct stream and on a fetch stream.
pub fn frames(data: &[u8]) {
    let read = tacit_p2p::read_frames(data, MAX_FRAME);
    let total: usize = read.frames.iter().map(|(_, bytes)| bytes.len() + 5).sum();
    assert!(total <= data.len());
    assert!(
        read.frames
            .iter()
            .all(|(_, bytes)| bytes.len() <= MAX_FRAME as usize)
    );
}

/// A stranger's first bytes on a connection: nobody is anybody who has not answered.
pub fn handshake(data: &[u8]) {
    let identity = tacit_p2p::Identity::from_seed([1; 32]);
    assert!(
        tacit_p2p::handshake(&identity, data).is_none(),
        "a stranger is somebody"
    );
}

/// Seeds of this file's targets.
pub(super) fn seeds(target: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let network = &*NETWORK;
    let hello = Hello {
        release: "0.1.0".into(),
        protocol_min: 1,
        protocol_max: 2,
        incarnation: 7,
    };
    let snapshot = SnapshotId {
        kind: SnapshotKind::Public,
        epoch: 1,
    };
    let list: Vec<Vec<u8>> = match target {
        "direct" => {
            let kinds = network.sent.iter().map(|(_, message)| message);
            let direct = |message: &Message| {
                encode(&Direct {
                    epoch: 1,
                    incarnation: 7,
                    message: message.encode(),
                })
            };
            kinds.step_by(5).map(direct).collect()
        }
        "gossip" => {
            let announcement = Announcement {
                chain: network.chain,
                height: 4,
                block: network.committed[3].0.id(),
            };
            let txs = super::seeds::seeds("system_transaction").into_iter();
            let gossip = txs.map(|(_, tx)| encode(&SystemGossip { round: 1, tx }));
            [encode(&announcement)].into_iter().chain(gossip).collect()
        }
        "fetch_request" => [
            FetchRequest::Blocks { from: 1, limit: 64 },
            FetchRequest::Batches(vec![Digest([1; 32]); 3]),
            FetchRequest::Submit(vec![7; 200]),
            FetchRequest::System(vec![7; 200]),
            FetchRequest::Epochs { from: 1 },
            FetchRequest::Manifest(snapshot),
            FetchRequest::Chunk { snapshot, index: 0 },
            FetchRequest::Share { epoch: 1 },
            FetchRequest::Standing,
            FetchRequest::Hello(hello),
        ]
        .iter()
        .map(encode)
        .collect(),
        "fetch_response" => responses(hello, snapshot),
        "posted" => {
            let body = |name: &str, bytes: &[u8]| {
                let text = STANDARD.encode(bytes);
                format!("{{\"{name}\":\"{text}\"}}").into_bytes()
            };
            let of = |target: &str| super::seeds::seeds(target).swap_remove(0).1;
            vec![
                body("envelope", &of("envelope")),
                body("sealed", &of("sealed_query")),
                body("tx", &of("system_transaction")),
                b"{}".to_vec(),
            ]
        }
        "config" => {
            let config = Config::new("val-1", tacit_node::config::Role::Validator);
            vec![config.to_text().expect("a configuration has a text").into_bytes()]
        }
        "handshake" => {
            // A Noise message: its length, an ephemeral key, a payload.
            let key = tacit_p2p::Identity::from_seed([2; 32]).public();
            let hello = |payload: usize| {
                let mut message = ((32 + payload) as u16).to_be_bytes().to_vec();
                message.extend_from_slice(&key);
                message.resize(message.len() + payload, 7);
                message
            };
            vec![hello(0), hello(64), [hello(0), hello(64)].concat()]
        }
        "frames" => {
            let mut stream = Vec::new();
            for (at, (_, message)) in network.sent.iter().step_by(9).enumerate() {
                let bytes = message.encode();
                stream.push((at % 2) as u8);
                stream.extend((bytes.len() as u32).to_be_bytes());
                stream.extend(bytes);
            }
            vec![stream]
        }
        _ => return None,
    };
    let named = list.into_iter().enumerate();
    Some(named.map(|(at, bytes)| (format!("{at:03}"), bytes)).collect())
}

fn responses(hello: Hello, snapshot: SnapshotId) -> Vec<Vec<u8>> {
    let network = &*NETWORK;
    let (block, proof) = network.committed[2].clone();
    let first = |target: &str| super::seeds::seeds(target).swap_remove(0).1;
    let batch: Batch = borsh::from_slice(&first("batch")).expect("an honest batch");
    let refused = RelayRefused {
        code: "rpc.too_large".into(),
        detail: "facts".into(),
    };
    let block = SyncBlock {
        committed: tacit_ledger::CommittedBlock { block, proof },
        batches: vec![batch.clone()],
        receipts: vec![tacit_ledger::SealedReceipt(vec![7; 144])],
    };
    let accepted = RelayAccepted {
        id: Digest([1; 32]),
        epoch: 1,
        expiry_height: 100,
    };
    let standing = StandingAnswer {
        epoch: 1,
        height: 6,
        standing: Some(network.standings[1].clone()),
    };
    let link = borsh::from_slice(&first("epoch_link")).expect("an honest link");
    let manifest = Manifest::of(snapshot, 2, &[7; 300]);
    let newest = Some(1);
    [
        FetchResponse::Blocks(vec![block]),
        FetchResponse::Batches(vec![batch]),
        FetchResponse::Submitted(Ok(accepted)),
        FetchResponse::Submitted(Err(refused.clone())),
        FetchResponse::SystemTaken(Ok(Digest([2; 32]))),
        FetchResponse::Pruned { first: 9 },
        FetchResponse::Epochs(vec![link]),
        FetchResponse::Manifest(Ok(manifest)),
        FetchResponse::Chunk(Err(NoSnapshot::NotHeld { newest })),
        FetchResponse::Chunk(Ok(vec![7; 300])),
        FetchResponse::Share(Err(refused)),
        FetchResponse::Standing(Box::new(standing)),
        FetchResponse::Hello(hello),
    ]
    .iter()
    .map(encode)
    .collect()
}
