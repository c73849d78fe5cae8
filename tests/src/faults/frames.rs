//! Malformed and oversized frames, from strangers who take a new identity whenever theirs is banned.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

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
/// Strangers, at most, for each that would do if all their frames went.
const MOST_STRANGERS: u64 = 20;
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
    let written = Arc::new(AtomicU64::new(0));
    let most = MOST_STRANGERS * total.div_ceil(FRAMES);
    runtime.block_on(async {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut stranger = 0;
        while written.load(Ordering::Relaxed) < total {
            assert!(stranger < most, "strangers get nothing onto the wire any more");
            let slot = slots.clone().acquire_owned().await.expect("open");
            let node = nodes[stranger as usize % nodes.len()].clone();
            let what = ["direct", "direct", "fetch"][stranger as usize % 3];
            let protocol = format!("/tacit/{chain8}/{what}/1");
            let frames = burst(&mut ChaCha20Rng::seed_from_u64(stranger), what);
            let bare = stranger % BARE == BARE - 1;
            let written = written.clone();
            tokio::spawn(async move {
                let went = match bare {
                    true => onto_socket(&node, frames).await,
                    false => raw::write(node.parse().expect("an address"), &protocol, frames).await,
                };
                written.fetch_add(went, Ordering::Relaxed);
                drop(slot);
            });
            stranger += 1;
        }
        // Those that are still at it.
        let all = u32::try_from(AT_ONCE).expect("few");
        let _done = slots.acquire_many(all).await.expect("open");
        (written.load(Ordering::Relaxed), stranger)
    })
}

/// Frames of all wrong kinds: content that is noise, kinds that do not exist, lengths beyond every bound, lengths that
/// promise more than comes.
fn burst(rng: &mut ChaCha20Rng, what: &str) -> Vec<Vec<u8>> {
    // What ends a stream stands last, and another thing on each.
    let mut frames: Vec<Vec<u8>> = (1..FRAMES)
        .map(|frame| {
            let length = [0_u32, 1, 31, 64, 100, 1_000][frame as usize % 6];
            let mut bytes = Vec::new();
            if what == "direct" {
                bytes.push(u8::try_from(frame % 2).expect("a bit"));
            }
            bytes.extend(length.to_be_bytes());
            let from = bytes.len();
            bytes.resize(from + length as usize, 0);
            rng.fill_bytes(&mut bytes[from..]);
            bytes
        })
        .collect();
    frames.push(match rng.next_u32() % 3 {
        // A channel that does not exist.
        0 => vec![0x77, 0, 0, 0, 0],
        // A length bomb.
        1 => vec![0, 0xff, 0xff, 0xff, 0xff],
        // A promise of 1 MiB that is not kept.
        _ => vec![0, 0, 0x10, 0, 0, 1, 2, 3],
    });
    frames
}

/// The same onto a bare socket, without a greeting.
async fn onto_socket(node: &str, frames: Vec<Vec<u8>>) -> u64 {
    let port = node.split("/tcp/").nth(1).and_then(|rest| rest.split('/').next());
    let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) else {
        return 0;
    };
    let write = move || {
        let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else {
            return 0;
        };
        let _ = socket.set_write_timeout(Some(Duration::from_secs(5)));
        // It may close before it has been sent everything.
        let went = frames.iter().take_while(|frame| socket.write_all(frame).is_ok());
        went.count() as u64
    };
    tokio::task::spawn_blocking(write).await.unwrap_or(0)
}
