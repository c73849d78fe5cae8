//! Malformed and oversized frames, from strangers who take a new identity whenever theirs is banned.

use std::{io::Write, net::TcpStream, sync::Arc, time::Duration};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;
use tacit_consensus::Digest;
use tokio::sync::Semaphore;

use super::{
    keep,
    lane::{Lane, round},
    raw,
};

/// Frames on one stream: a node reads about three before it bans whoever wrote them.
const FRAMES: u64 = 256;
/// Strangers at a time.
const AT_ONCE: usize = 8;
/// One connection in so many does not even greet: it writes noise onto the bare socket.
const BARE: u64 = 8;
/// The most memory that a node may have taken, MiB: what it takes without attack, with room.
const RSS_CAP_MIB: u64 = 768;

/// Sends `size.frames` frames of every wrong kind to all nodes, under load.
///
/// # Panics
/// When a node falls, blocks stop, memory is not bounded, or something is lost.
pub fn frames(lane: &mut Lane) {
    let (rate, total) = (lane.size.rate, lane.size.frames);
    let pids = |lane: &Lane| -> Vec<Option<u32>> {
        let status = lane.network.testnet.status();
        status.iter().map(|node| node.pid).collect()
    };
    let before = pids(lane);
    let ((sent, strangers, blocks, seconds), loaded) = lane.under_load(rate, |lane| {
        let from = lane.top(0..4);
        let begun = std::time::Instant::now();
        let (sent, strangers) = attack(lane, total);
        let seconds = begun.elapsed().as_secs_f64();
        let blocks = lane.top(0..4) - from;
        lane.progress(0, 2);
        (sent, strangers, blocks, seconds)
    });
    loaded.nothing_lost();
    lane.agree(&[0, 1, 2, 3]);
    assert_eq!(pids(lane), before, "every node is the process that it was");
    for node in 0..4 {
        assert_eq!(lane.in_log(node, "panicked at"), 0, "node {node}");
    }
    let rss = lane.peak_rss_mib();
    assert!(rss <= RSS_CAP_MIB, "a node took {rss} MiB");
    assert!(blocks > 0, "blocks go on under malformed frames");
    let counted = |name: &str| -> u64 { (0..4).map(|node| lane.metric(node, name)).sum() };
    let bans = counted("tacit_p2p_bans_total");
    assert!(bans > 0, "somebody was banned for it");
    keep(
        "malformed frames",
        json!({
            "frames": sent,
            "identities": strangers,
            "bans": bans,
            "frames counted as malformed": counted("tacit_p2p_dropped_total{reason=\"malformed\"}"),
            "blocks meanwhile": blocks,
            "seconds": round(seconds),
            "peak RSS MiB": rss,
            "RSS cap MiB": RSS_CAP_MIB,
            "load": loaded.figures(),
        }),
    );
}

/// Gives how many frames were written, and by how many strangers.
fn attack(lane: &Lane, total: u64) -> (u64, u64) {
    let facts = lane.network.facts();
    let chain = Digest::from_hex(&facts.genesis_hash).expect("a hash");
    let chain8 = hex::encode(&chain.0[..4]);
    let nodes: Vec<String> = facts.validators().map(|node| node.p2p.clone()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let rounds = total.div_ceil(FRAMES);
    runtime.block_on(async {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut tasks = Vec::new();
        for stranger in 0..rounds {
            let slot = slots.clone().acquire_owned().await.expect("open");
            let (mut rng, node) = (
                ChaCha20Rng::seed_from_u64(stranger),
                nodes[stranger as usize % nodes.len()].clone(),
            );
            let what = ["direct", "direct", "direct", "fetch"][stranger as usize % 4];
            let (protocol, bytes) = (format!("/tacit/{chain8}/{what}/1"), burst(&mut rng, what));
            tasks.push(tokio::spawn(async move {
                let _slot = slot;
                if stranger % BARE == BARE - 1 {
                    return bare(&node, bytes).await;
                }
                let address = node.parse().expect("an address");
                raw::write(address, &protocol, bytes).await
            }));
        }
        let mut reached = 0;
        for task in tasks {
            reached += u64::from(task.await.expect("no panic"));
        }
        (reached * FRAMES, rounds)
    })
}

/// Frames of all wrong kinds: content that is noise, kinds that do not exist, lengths beyond every bound, lengths that
/// promise more than comes.
fn burst(rng: &mut ChaCha20Rng, what: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut noise = |bytes: &mut Vec<u8>, length: usize| {
        let from = bytes.len();
        bytes.resize(from + length, 0);
        rng.fill_bytes(&mut bytes[from..]);
    };
    // What ends a stream stands last, and another thing on each.
    for frame in 0..FRAMES - 1 {
        let length = [0, 1, 31, 64, 100, 1_000][frame as usize % 6];
        if what == "direct" {
            bytes.push(u8::try_from(frame % 2).expect("a bit"));
        }
        bytes.extend((length as u32).to_be_bytes());
        noise(&mut bytes, length);
    }
    let mut last = [0; 1];
    noise(&mut bytes, 1);
    last.copy_from_slice(&bytes[bytes.len() - 1..]);
    match last[0] % 3 {
        // A channel that does not exist.
        0 => bytes.extend([0x77, 0, 0, 0, 0]),
        // A length bomb.
        1 => bytes.extend([0, 0xff, 0xff, 0xff, 0xff]),
        // A promise of 1 MiB that is not kept.
        _ => bytes.extend([0, 0, 0x10, 0, 0, 1, 2, 3]),
    }
    bytes
}

/// The same bytes onto a bare socket.
async fn bare(node: &str, bytes: Vec<u8>) -> bool {
    let port = node.split("/tcp/").nth(1).and_then(|rest| rest.split('/').next());
    let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) else {
        return false;
    };
    let write = move || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        socket.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
        // It may close before it has read everything.
        let _ = socket.write_all(&bytes);
        Some(())
    };
    tokio::task::spawn_blocking(write).await.is_ok_and(|done| done.is_some())
}
