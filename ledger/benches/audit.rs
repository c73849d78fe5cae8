//! What it takes to verify a year: `cargo bench -p tacit-ledger --bench audit`. A chain of four validators with 365 epochs
//! of an hour, in each of which every validator renews its evidence and somebody pays, from a folder on disk. One simulated
//! machine is an Intel one, with a collateral that is brought again before it ends.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    thread,
    time::{Duration, Instant},
};

use tacit_ledger::*;

#[path = "../tests/audit/maker.rs"]
#[allow(dead_code)]
mod maker;
#[path = "../tests/public/world.rs"]
#[allow(dead_code)]
mod world;

use maker::{Maker, genesis};
use world::{AUTHORITY, GENOA, HOUR, Kind, Machine, TURIN};

const EPOCHS: u64 = 365;
/// Blocks with nothing in them, an epoch: an idle network makes one each heartbeat, and each costs the same.
const IDLE: u64 = 10;
const DAY: u64 = 24 * HOUR;

/// As the command line does it.
fn on_all_cores(claims: &[SignatureClaim]) -> Option<usize> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = claims.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = claims
            .chunks(part)
            .map(|part| scope.spawn(move || first_bad(part)))
            .collect();
        let mut from = 0;
        let mut first = None;
        for handle in parts {
            let bad = handle.join().expect("a checker");
            first = first.or(bad.map(|place| from + place));
            from += part;
        }
        first
    })
}

fn year(kinds: &[Kind]) -> (Genesis, maker::Folder) {
    let mut maker = Maker::new(genesis(kinds, HOUR));
    (maker.gaps, maker.late) = (50, 20);
    maker.turn();
    let mut brought = maker.now;
    for _ in 1..EPOCHS {
        if maker.now > brought + DAY && kinds.contains(&Kind::Td) {
            brought = maker.now;
            let whole = brought - brought % 1_000;
            let documents = AUTHORITY.collateral(whole).expect("collateral");
            let fresh: Vec<SystemTx> = documents.into_iter().map(SystemTx::Collateral).collect();
            let good = maker.state.select(&fresh, maker.now + 1_000);
            let fresh: Vec<SystemTx> = fresh
                .into_iter()
                .zip(good)
                .filter_map(|(tx, good)| good.is_ok().then_some(tx))
                .collect();
            maker.block(Vec::new(), &fresh);
        }
        for (n, kind) in (0u8..).zip(kinds) {
            let renewal = maker.renewal(n, Machine::new(*kind, n));
            maker.block(Vec::new(), &[renewal]);
        }
        let payments = vec![maker.payment(5), maker.payment(7)];
        let batch = maker.batch(0, payments);
        maker.block(vec![batch], &[]);
        (0..IDLE).for_each(|_| maker.block(Vec::new(), &[]));
        maker.now += HOUR;
        maker.turn();
    }
    maker.done()
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = run();
    (value, start.elapsed())
}

fn main() {
    for (name, kinds) in [
        ("all simulated SEV-SNP", [GENOA, TURIN, GENOA, TURIN]),
        ("one simulated TDX", [GENOA, TURIN, GENOA, Kind::Td]),
    ] {
        let ((genesis, chain), made) = timed(|| year(&kinds));
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: usize = chain
            .0
            .iter()
            .map(|((_, key), value)| key.len() + value.len())
            .sum();
        chain.store_into(&RocksStore::open(folder.path()).expect("a store"));
        drop(chain);
        println!(
            "{name}: {} MB, made in {:.1} s",
            bytes / 1_000_000,
            made.as_secs_f64()
        );
        for (how, check) in [
            ("on one core", &first_bad as &SignatureCheck),
            ("on all cores", &on_all_cores),
        ] {
            let store = RocksStore::open_read_only(folder.path()).expect("a store");
            let (summary, took) = timed(|| audit_store(&store, &genesis, check, &mut |_| {}));
            let summary = summary.unwrap_or_else(|error| panic!("{error} [{}]", error.code()));
            assert_eq!(summary.epoch, EPOCHS);
            println!(
                "  {how:<13} {:>7.2} s: {} blocks, {} epochs, {} registrations, {} certificates, {} signatures, {} envelopes",
                took.as_secs_f64(),
                summary.blocks,
                summary.turns,
                summary.registrations,
                summary.certificates,
                summary.signatures,
                summary.envelopes,
            );
        }
    }
}
