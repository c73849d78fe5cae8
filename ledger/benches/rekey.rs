//! What it costs to key an epoch anew, for 4 and for 100 validators: `cargo bench -p tacit-ledger --bench rekey`. The whole
//! tail is played: each of the f + 1 dealers makes its contribution, and one voter does what every voter does with each of
//! them. Times are of one core of this machine; bytes are what the ledger keeps for ever.
//!
//! Network time is not in here: the tail takes as many blocks as there are dealers, and one more to be final.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_consensus::Digest;
use tacit_ledger::*;

const CHAIN: Digest = Digest([7; 32]);
const EPOCH: u64 = 9;
const SIZES: [usize; 3] = [4, 31, 100];

/// Sums of what the tail of one set costs.
#[derive(Default)]
struct Cost {
    dealt: Duration,
    checked: Duration,
    closed: Duration,
    bytes: usize,
    largest: usize,
}

fn timed<T>(sum: &mut Duration, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    *sum += start.elapsed();
    result
}

/// One tail: dealers contribute, validator `me` checks each, and derives the next epoch's keys.
fn tail(n: usize) -> Cost {
    let kems: Vec<SealingSecret> = (0..n)
        .map(|seat| SealingSecret::derive(&[seat as u8; 32]))
        .collect();
    let publics: Vec<SealingPublic> = kems.iter().map(|kem| kem.public().clone()).collect();
    let (mut cost, mut parts) = (Cost::default(), Vec::new());
    let me = (n - 1) as u16;
    for dealer in 0..contributions_needed(n) as u16 {
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(dealer));
        let dealt = timed(&mut cost.dealt, || {
            deal(&mut rng, &CHAIN, EPOCH, dealer, &publics)
        });
        let contribution = dealt.expect("good keys");
        let bytes = SystemTx::Contribute(contribution.clone()).encode().len();
        (cost.bytes, cost.largest) = (cost.bytes + bytes, cost.largest.max(bytes));
        let share = timed(&mut cost.checked, || {
            let share = open_share(&kems[usize::from(me)], &CHAIN, &contribution, me)?;
            check_shares(&CHAIN, &contribution, &share, &publics).map(|()| share)
        });
        parts.push((contribution, share.expect("honest")));
    }
    timed(&mut cost.closed, || {
        let secret = EpochSecret::combine(&CHAIN, EPOCH, &parts);
        let keys = StateKeys {
            data: [0; 32],
            blinding: [1; 32],
        };
        EpochKeys::of(&secret, &keys.in_epoch(&secret))
    });
    cost
}

/// What renewals of all add to an epoch, in bytes of KEM keys alone: evidence comes on top, as with every renewal.
fn renewals(n: usize) -> usize {
    n * SEALING_PUBLIC_BYTES
}

fn main() {
    println!(
        "{:>10} {:>8} {:>14} {:>14} {:>14} {:>14} {:>14} {:>14}",
        "validators",
        "dealers",
        "dealer, ms",
        "voter, ms",
        "record, ms",
        "block, KiB",
        "tail, KiB",
        "KEM keys, KiB"
    );
    for n in SIZES {
        let runs: Vec<Cost> = (0..3).map(|_| tail(n)).collect();
        let best = |of: &dyn Fn(&Cost) -> Duration| {
            let fastest = runs.iter().map(of).min().unwrap_or_default();
            fastest.as_secs_f64() * 1e3
        };
        let dealers = contributions_needed(n);
        let Some(cost) = runs.first() else { continue };
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        println!(
            "{n:>10} {dealers:>8} {:>14.2} {:>14.2} {:>14.2} {:>14.1} {:>14.1} {:>14.1}",
            best(&|cost| cost.dealt) / dealers as f64,
            best(&|cost| cost.checked),
            best(&|cost| cost.closed),
            kib(cost.largest),
            kib(cost.bytes),
            kib(renewals(n)),
        );
    }
}
