//! Ten million bad inputs: every target of `tests/src/fuzz` gets its share, damaged from honest ones and the same in
//! every run. None may panic, and memory stays bounded.
//!
//! `TACIT_INPUTS` is another number in all. `TACIT_INPUT=TARGET:NUMBER` runs one again, as a failure prints it, and
//! `TACIT_INPUT=TARGET` that target's share alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tacit_tests::fuzz::mutate::mutated;
use tacit_tests::fuzz::{TARGETS, Target, seeds::seeds};
use tacit_tests::report;

/// Inputs in all.
const INPUTS: u64 = 10_000_000;
/// A worker takes this share of a target at once.
const PIECES: u64 = 16;
/// The most memory that the process may have held, in MiB: seeds, simulated vendors, and the largest input many times over.
const MAX_MIB: u64 = 768;

/// The command that tries one input again.
const AGAIN: &str = "cargo test --release --locked -p tacit-tests --test inputs";

/// Input number `number` of a target.
fn input(target: &Target, honest: &[Vec<u8>], number: u64) -> Vec<u8> {
    let pick = |n: u64| &honest[(n % honest.len() as u64) as usize];
    let mut damaged = mutated(pick(number), pick(number / 7), number);
    damaged.truncate(target.len_max);
    damaged
}

fn honest(target: &Target) -> Vec<Vec<u8>> {
    let all: Vec<_> = seeds(target.name).into_iter().map(|(_, bytes)| bytes).collect();
    assert!(!all.is_empty(), "{} has no seed", target.name);
    all
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// What one target took.
#[derive(Clone, Copy, Default)]
struct Done {
    inputs: u64,
    core_us: u64,
}

#[test]
fn no_input_makes_anything_panic() {
    let asked = std::env::var("TACIT_INPUTS").ok();
    let wanted: u64 = asked.map_or(INPUTS * report::soak(), |text| {
        text.parse().expect("a number of inputs")
    });
    let one = std::env::var("TACIT_INPUT").ok();
    let (only, number) = match one.as_deref().map(|one| one.split_once(':').ok_or(one)) {
        None => (None, None),
        Some(Err(name)) => (Some(name), None),
        Some(Ok((name, number))) => (Some(name), Some(number.parse().expect("a number"))),
    };
    let chosen = |target: &&Target| only.is_none_or(|name| target.name == name);
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    assert!(!targets.is_empty(), "{only:?} is no target");
    if let Some(number) = number {
        (targets[0].run)(&input(targets[0], &honest(targets[0]), number));
        return;
    }
    let weights: u64 = TARGETS.iter().map(|target| u64::from(target.weight)).sum();
    let count = |target: &Target| (wanted * u64::from(target.weight)).div_ceil(weights);
    let prepared: Vec<(&Target, Vec<Vec<u8>>)> = targets.iter().map(|one| (*one, honest(one))).collect();
    let (next, done) = (
        AtomicUsize::new(0),
        Mutex::new(vec![Done::default(); targets.len()]),
    );
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            let (at, piece) = (piece / PIECES as usize, piece as u64 % PIECES);
            let Some((target, honest)) = prepared.get(at) else {
                return;
            };
            let count = count(target);
            let (from, to) = (count * piece / PIECES, count * (piece + 1) / PIECES);
            let before = report::core_time();
            for number in from..to {
                let input = input(target, honest, number);
                if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
                    let mut found = found.lock().expect("no worker panics while it writes");
                    found.push(format!("TACIT_INPUT={}:{number} {AGAIN}", target.name));
                    break;
                }
            }
            let mut done = done.lock().expect("no worker panics while it counts");
            done[at].inputs += to - from;
            done[at].core_us += (report::core_time() - before).as_micros() as u64;
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let found = found.into_inner().expect("all workers have ended");
    assert!(found.is_empty(), "again, by one:\n{}", found.join("\n"));
    let done = done.into_inner().expect("all workers have ended");
    let inputs: u64 = done.iter().map(|one| one.inputs).sum();
    let core_s = done.iter().map(|one| one.core_us).sum::<u64>() / 1_000_000;
    let peak = peak_mib();
    let rows: Vec<_> = targets
        .iter()
        .zip(&done)
        .map(|(target, done)| {
            println!(
                "{:<20} {:>9} inputs {:>7} core-ms",
                target.name,
                done.inputs,
                done.core_us / 1000
            );
            json!({
                "target": target.name,
                "inputs": done.inputs,
                "inputs a core-second": done.inputs * 1_000_000 / done.core_us.max(1),
            })
        })
        .collect();
    println!("{inputs} inputs, {} core-seconds, at most {peak} MiB", core_s);
    let share: u64 = targets.iter().map(|target| count(target)).sum();
    assert!(inputs >= share, "{inputs} of {share}");
    assert!(peak <= MAX_MIB, "{peak} MiB");
    report::record(
        "inputs",
        json!({
            "bad inputs": inputs,
            "panics": 0,
            "core-seconds": core_s,
            "peak memory, MiB": peak,
            "by target": rows,
        }),
    );
}
