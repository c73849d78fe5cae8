//! Validators that are not honest, at real processes: each adversary in turn under load; and one whose answers are forged,
//! while a newcomer and a node without its secret depend on answers.

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Map, json};
use tacit_attest::{Measurement, SimulatedChip, SimulatedQuoter};
use tacit_ledger::{ChainLog, Column, Durability, RocksStore, Store, WriteBatch};
use tacit_node::keyring::{SealedFile, Vault};
use tacit_testnet::{Adversary, Delay};

use super::{
    keep,
    kills::no_convictions,
    lane::{Lane, round},
};

/// The seat that is not honest.
const CROOK: usize = 3;
/// The seat whose answers are forged. Of those who described a snapshot, newcomers ask the one with the lowest key for its
/// parts first, and that is this one.
const LIAR: usize = 1;
/// The seat that is asked for a lost secret before that one.
const FIRST: usize = 0;
/// The seat that loses what it knows.
const VICTIM: usize = 2;
/// Longest wait for a newcomer's way into the set.
const STEP: Duration = Duration::from_secs(120);

/// Each adversary takes a validator's place for a while, under load; the one that contradicts itself is out for good.
///
/// # Panics
/// When the others stop, blame somebody honest, or keep the equivocator.
pub fn adversaries(lane: &mut Lane) {
    let mut figures = Map::new();
    for kind in [
        Adversary::Silent,
        Adversary::Replay,
        Adversary::Spam,
        Adversary::Equivocate,
    ] {
        let (rate, blocks) = (lane.size.rate, lane.size.seconds);
        let (counts, loaded) = lane.under_load(rate, |lane| {
            lane.net().adversary(CROOK, kind).expect("it takes its place");
            lane.progress(0, 2 * blocks);
            if kind == Adversary::Equivocate {
                lane.until("it is out", || {
                    let page = lane.try_page(0, "/v1/validators").unwrap_or_default();
                    let items = page["items"].as_array().cloned().unwrap_or_default();
                    items.iter().filter(|item| !item["index"].is_null()).count() == 3
                });
            }
            lane.until("it has done what it does", || {
                let report = lane.network.testnet.adversary_report(CROOK);
                report.is_some_and(|report| report.counts.values().sum::<u64>() > 10)
            });
            let report = lane.network.testnet.adversary_report(CROOK);
            lane.net().restart(CROOK).expect("the validator comes back");
            report.expect("an adversary").counts
        });
        loaded.nothing_lost();
        if kind == Adversary::Equivocate {
            let page = lane.page(0, "/v1/validators/val-3");
            assert_eq!(page["dropped_for"], "epoch.convicted", "{page}");
            for node in ["val-0", "val-1", "val-2"] {
                let page = lane.page(0, &format!("/v1/validators/{node}"));
                assert_eq!(page["status"], "active", "nobody honest is blamed: {page}");
            }
        } else {
            lane.until("it votes again", || lane.votes(CROOK));
            no_convictions(lane);
        }
        lane.agree(&[0, 1, 2, CROOK]);
        for node in 0..4 {
            assert_eq!(
                lane.in_log(node, "panicked at"),
                0,
                "node {node} under {}",
                kind.name()
            );
        }
        figures.insert(
            kind.name().into(),
            json!({ "did": counts, "load": loaded.figures() }),
        );
    }
    keep("adversaries", figures.into());
}

/// One validator answers every question with a forgery, while newcomers join by snapshot and another one has lost the epoch's
/// secret and the blocks that dealt it. The network's links go through the proxy.
///
/// # Panics
/// When one of them is misled or does not get there, or no forgery was tried on them.
pub fn forged_answers(lane: &mut Lane) {
    let rate = lane.size.gentle(10.0);
    let (joined, loaded) = lane.under_load(rate, |lane| {
        lane.net()
            .adversary(LIAR, Adversary::Forge)
            .expect("it takes its place");
        lane.progress(0, 2);
        let mut joined = 0.0_f64;
        for tries in 0.. {
            assert!(tries < 3, "the liar is asked for a part of a snapshot");
            joined = joined.max(join(lane));
            if told(lane, LIAR).contains_key("chunks") {
                break;
            }
        }
        joined
    });
    loaded.nothing_lost();
    let (counts, back) = lost_secret(lane);
    lane.until("it votes again", || lane.votes(LIAR));
    let nodes: Vec<usize> = (0..lane.nodes()).collect();
    lane.agree(&nodes);
    no_convictions(lane);
    keep(
        "forged answers",
        json!({
            "forged": counts,
            "a new validator voted after s": round(joined),
            "without its secret, at work again after ms": round(back.as_secs_f64() * 1e3),
            "load": loaded.figures(),
        }),
    );
}

/// A validator has lost the epoch's secret, and the liar is asked for it. Without load: what is committed while it has no secret
/// it could not execute, and with the liar it would be one too many. Gives what was forged, and how long it took.
fn lost_secret(lane: &mut Lane) -> (BTreeMap<String, u64>, Duration) {
    // The seats are asked in their order, and the first one is out of its reach; it may still be late for the second.
    let mut begun = Instant::now();
    for tries in 0.. {
        assert!(tries < 8, "the liar is asked for the secret");
        let cut = |links: &mut tacit_testnet::Links| {
            links.cut(4, &[FIRST], &[VICTIM]);
            links.cut(4, &[VICTIM], &[FIRST]);
            Ok(())
        };
        quiet(lane);
        lane.net().change_links(cut).expect("cut");
        lose_secret(lane, VICTIM);
        begun = Instant::now();
        let asked = told(lane, LIAR).contains_key("shares");
        lane.net().heal().expect("whole");
        lane.until("it votes", || lane.votes(VICTIM));
        if asked {
            break;
        }
    }
    // What is sealed to the epoch opens there again.
    let mut alice = lane.network.wallet("alice", VICTIM);
    let to = lane.network.address("bob");
    let mut sent = None;
    lane.until("it takes in what it can open", || {
        sent = alice.submit_transfer(&to, 1).ok();
        sent.is_some()
    });
    let back = begun.elapsed();
    alice.wait(&mut sent.expect("sent")).expect("it is final");
    let counts = told(lane, LIAR);
    lane.net().restart(LIAR).expect("the validator comes back");
    (counts, back)
}

/// Waits until no block has come for a while: none is under way that could become final behind the victim's back. While it is
/// down none can: with the liar there is no quorum.
fn quiet(lane: &Lane) {
    let heights = || [VICTIM, FIRST, 3].map(|node| lane.height(node));
    let (mut last, mut since) = (heights(), Instant::now());
    lane.until("no block comes", || {
        let now = heights();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        now.iter().all(|height| *height == now[0]) && since.elapsed() >= Duration::from_millis(1_500)
    });
}

/// A validator joins; the liar's word reaches it first. Gives how long it took, in seconds.
fn join(lane: &mut Lane) -> f64 {
    let new = lane.nodes();
    let honest: Vec<usize> = (0..new).filter(|node| *node != LIAR).collect();
    let delay = Delay::new(Duration::from_millis(300), Duration::ZERO).expect("a delay");
    let slow = |delay: Delay| {
        let honest = honest.clone();
        move |links: &mut tacit_testnet::Links| {
            links.slow(new + 1, &honest, &[new], delay);
            Ok(())
        }
    };
    lane.net().change_links(slow(delay)).expect("slow");
    let joined = lane.net().join(STEP, &mut |event| println!("{event}"));
    let joined = joined.expect("it joins");
    lane.net().change_links(slow(Delay::default())).expect("fast");
    joined.seconds
}

/// What the adversary in a node's place has done by now.
fn told(lane: &Lane, node: usize) -> BTreeMap<String, u64> {
    wait_for_report(lane);
    let report = lane.network.testnet.adversary_report(node);
    report.map(|report| report.counts).unwrap_or_default()
}

/// The adversary tells what it did once a second.
fn wait_for_report(lane: &Lane) {
    let begun = Instant::now();
    lane.until("it has told", || begun.elapsed() >= Duration::from_millis(1_500));
}

/// What a host can do to a stopped validator: its keyring has no secret of an epoch, and the blocks from before the epoch
/// are gone.
fn lose_secret(lane: &mut Lane, node: usize) {
    lane.net().kill(node).expect("it is killed");
    let home = lane.home(node).to_path_buf();
    let mut measurement = [0; 48];
    hex::decode_to_slice(&lane.network.facts().measurement, &mut measurement).expect("a measurement");
    let chip =
        SimulatedChip::from_bytes(&fs::read(home.join("sim-chip.bin")).expect("the chip")).expect("a chip");
    let quoter = Arc::new(SimulatedQuoter::new(chip, Measurement(measurement)));
    let mut sealed = SealedFile::new(home.join("keyring.sealed"), quoter);
    let held = sealed.load().expect("it opens").to_vec();
    sealed.save(&without_secrets(&held)).expect("saved");
    let store = RocksStore::open(home.join("db")).expect("its database");
    let first = {
        let log = ChainLog::new(&store);
        let public = log.public().expect("readable").expect("a public state");
        public.current().start_height
    };
    let mut writes = WriteBatch::new();
    for height in 1..first.saturating_sub(1) {
        writes.delete(Column::Blocks, height.to_be_bytes());
    }
    store.commit(writes, Durability::Synced).expect("written");
    drop(store);
    lane.net().restart(node).expect("it starts again");
}

/// A keyring's record (identity, list of KEM seeds with a flag each, list of epochs' secrets) without the last list.
fn without_secrets(record: &[u8]) -> Vec<u8> {
    let count = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().expect("four bytes")) as usize;
    let epochs = 64 + 4 + 33 * count(64);
    assert_eq!(
        record.len(),
        epochs + 4 + 40 * count(epochs),
        "another format than this"
    );
    [&record[..epochs], &[0; 4]].concat()
}
