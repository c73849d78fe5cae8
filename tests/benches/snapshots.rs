//! What snapshots cost: `cargo bench -p tacit-tests --bench snapshots`.
//!
//! 1. Throughput of each step of a private snapshot of 100,000 accounts, in MB of sealed bytes a second of one core.
//! 2. A joiner from an empty store to its first vote, in a network of four with 10,000 blocks and 100,000 accounts, while
//!    transfers go on: once following all blocks, once over a public snapshot. Whole replicas in one process; what is
//!    counted is processor time, the joiner's own and everybody's, not the delays of a network or the syncs of a disk.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use tacit_ledger::{
    EpochSecret, Manifest, Params, PrivateState, SnapshotId, SnapshotKind, StateKeys, decrypt_checkpoint,
    encrypt_checkpoint,
};
use tacit_node::replica::History;
use tacit_tests::sim::founders::{alice, bob, genesis_of};
use tacit_tests::sim::wallet::pay;
use tacit_tests::sim::world::{Options, World};

const ACCOUNTS: u32 = 100_000;
const BLOCKS: u64 = 10_000;
const RUNS: usize = 3;

fn main() {
    throughput();
    for history in [None, Some(2)] {
        joiner(history);
    }
}

/// The fastest of some runs, and what it made.
fn best<T>(mut run: impl FnMut() -> T) -> (T, Duration) {
    let runs = (0..RUNS).map(|_| {
        let start = Instant::now();
        let made = run();
        (made, start.elapsed())
    });
    runs.min_by_key(|(_, took)| *took).expect("some runs")
}

fn throughput() {
    let genesis = genesis_of(Params::default(), 4, ACCOUNTS);
    let keys = StateKeys::derive(&EpochSecret::from_bytes([7; 32]));
    let state = PrivateState::genesis(Some(&keys), &genesis.allocations);
    let (plain, made) = best(|| state.to_checkpoint());
    let (sealed, sealing) = best(|| encrypt_checkpoint(&keys.data, 9, &plain).expect("sealed"));
    let id = SnapshotId {
        kind: SnapshotKind::Private,
        epoch: 1,
    };
    let (manifest, describing) = best(|| Manifest::of(id, 9, &sealed));
    let ((), verifying) = best(|| {
        for (index, chunk) in (0u32..).zip(sealed.chunks(tacit_ledger::CHECKPOINT_CHUNK)) {
            manifest.check_chunk(index, chunk).expect("its own chunk");
        }
    });
    let (opened, opening) = best(|| decrypt_checkpoint(&keys.data, 9, &sealed).expect("opened"));
    let (again, loading) = best(|| PrivateState::from_checkpoint(&opened, &keys).expect("loaded"));
    assert_eq!(again.root(), state.root());
    let bytes = sealed.len() as f64 / 1e6;
    println!(
        "private snapshot of {ACCOUNTS} accounts: {:.1} MB of state, {bytes:.1} MB sealed, {} chunks",
        plain.len() as f64 / 1e6,
        manifest.count()
    );
    let line = |what: &str, took: Duration| {
        let (ms, rate) = (took.as_secs_f64() * 1e3, bytes / took.as_secs_f64());
        println!("  {what:<34} {ms:>9.1} ms {rate:>9.0} MB/s");
    };
    line("make", made);
    line("seal", sealing);
    line("describe (digest of each chunk)", describing);
    line("verify chunks as they arrive", verifying);
    line("open", opening);
    line("load (values, tree, root)", loading);
    let all = [made, sealing, describing].iter().sum();
    line("a validator at an epoch's end", all);
    line("a newcomer", [verifying, opening, loading].iter().sum());
}

fn joiner(history: Option<u64>) {
    let mut options = Options {
        accounts: ACCOUNTS,
        ..Options::default()
    };
    options.params.heartbeat_ms = 100;
    options.params.epoch_ms_min = 1_000;
    options.params.epoch_ms_max = 100_000;
    let mut world = World::at_epoch_1(options);
    let start = Instant::now();
    let (mut nonce, mut transfers) = (0, 0u64);
    let mut submit = |world: &mut World| {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        if let Ok(id) = world.submit(0, &envelope) {
            let limit = world.now + 2_000;
            while !world.nodes[0].has(&id) && world.advance(limit) {}
            if world.nodes[0].has(&id) {
                nonce += 1;
                transfers += 1;
            }
        }
    };
    while world.top() < BLOCKS {
        world.run_for(2_000);
        submit(&mut world);
    }
    let (blocks, epoch, built) = (world.top(), world.record().epoch, start.elapsed());
    let before = transfers_before(&world);
    world.clock = Some(nanoseconds);
    let start = Instant::now();
    let began = world.now;
    let joiner = world.add_validator_keeping(history.map_or(History::All, |epochs| {
        History::Epochs(epochs.try_into().expect("an epoch at least"))
    }));
    while world.nodes[joiner].height() < world.top() {
        world.run_for(100);
    }
    let followed = world.nodes[joiner].seen.spent;
    let registration = world.renewal(joiner);
    world.carry_through_at(joiner, &registration);
    while !world.checker.voted(joiner, world.record().epoch, "certify") {
        submit(&mut world);
        world.run_for(10);
    }
    let (all, own) = (start.elapsed(), world.nodes[joiner].seen.spent);
    let s = |took: Duration| took.as_secs_f64();
    println!(
        "joiner, {} ({blocks} blocks, {ACCOUNTS} accounts, {epoch} epochs, {before} envelopes; made in {:.0} s)",
        history.map_or("keeping all".into(), |epochs| format!("keeping {epochs} epochs")),
        s(built)
    );
    println!(
        "  up to the newest block             {:>9.2} core-seconds of its own",
        s(followed)
    );
    println!(
        "  from the empty store to its vote   {:>9.2} core-seconds of its own",
        s(own)
    );
    println!(
        "  all five replicas in that time     {:>9.2} core-seconds",
        s(all)
    );
    println!(
        "  by the network's clock             {:>9.2} s",
        (world.now - began) as f64 / 1e3
    );
    println!(
        "  heights taken by snapshot          {:?}",
        world.nodes[joiner].seen.jumps
    );
}

fn transfers_before(world: &World) -> usize {
    let committed = world.nodes[0].seen.committed.values();
    committed.map(|(_, envelopes, _)| envelopes.len()).sum()
}

/// A clock for the harness, in nanoseconds.
fn nanoseconds() -> u64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
