//! Networks of whole replicas under every mixture of faults and adversaries. A run that fails prints its options, a smaller one
//! that fails alike, and the commands that replay both.
//!
//! `TACIT_SIM_SEED=N` runs one seed, `TACIT_SIM_SEEDS=N` so many; `TACIT_SOAK=N` so many times as many.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    process::Command,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tacit_tests::{
    report,
    seeds::seeds,
    sim::swarm::{
        adversary::Adversary,
        fault::Fault,
        lane::{Totals, check},
        options::Swarm,
        outcome::run,
    },
};

/// Runs of the lane that goes with every change.
const WORLDS: u64 = 1_150;
/// Threads; each runs whole worlds of its own.
const THREADS: u64 = 2;

/// A world that takes so long goes round in circles: seconds are usual.
const STUCK: Duration = Duration::from_secs(1_200);

/// Runs all seeds; the totals, and the core-seconds that the threads used. Names a world that does not end, and ends with it.
fn sweep(seeds: Range<u64>) -> (Totals, f64) {
    let next = AtomicU64::new(seeds.start);
    let (began, begins) = mpsc::channel();
    let work = |began: mpsc::Sender<(u64, u64)>, thread: u64| {
        let (mut totals, start) = (Totals::default(), report::core_time());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return (totals, (report::core_time() - start).as_secs_f64());
            }
            began.send((thread, seed)).expect("somebody listens");
            let options = Swarm::of(seed);
            match check(&options) {
                Ok(outcome) => totals.add(&options, &outcome),
                Err(text) => {
                    next.store(seeds.end, Ordering::Relaxed);
                    panic!("seed {seed}: {text}");
                }
            }
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| (thread, began.clone()))
            .map(|(thread, began)| scope.spawn(move || work(began, thread)))
            .collect();
        drop(began);
        watch(&begins);
        let mut all = (Totals::default(), 0.0);
        for thread in threads {
            let (totals, seconds) = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all.0.merge(totals);
            all.1 += seconds;
        }
        all
    })
}

/// Returns when nobody begins a world any more.
fn watch(begins: &mpsc::Receiver<(u64, u64)>) {
    let mut running: BTreeMap<u64, (u64, Instant)> = BTreeMap::new();
    loop {
        match begins.recv_timeout(STUCK / 10) {
            Ok((thread, seed)) => drop(running.insert(thread, (seed, Instant::now()))),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let mut running = running.values();
        if let Some((seed, since)) = running.find(|(_, since)| since.elapsed() > STUCK) {
            // A thread cannot be ended from outside.
            eprintln!("seed {seed}: no end in {:?}", since.elapsed());
            std::process::exit(101);
        }
    }
}

/// Simulated seconds for each core-second in a healthy network of four with a transfer every so many milliseconds.
fn pace(simulated_ms: u64, transfer_every_ms: u64) -> f64 {
    let calm = Swarm::calm(0, simulated_ms, transfer_every_ms);
    let began = report::core_time();
    let outcome = run(&calm).unwrap_or_else(|failure| panic!("{failure:?}"));
    outcome.simulated_ms as f64 / 1_000.0 / (report::core_time() - began).as_secs_f64()
}

#[test]
fn no_mixture_of_faults_and_adversaries_breaks_a_promise_and_a_healthy_core_goes_on() {
    let (totals, seconds) = sweep(seeds(WORLDS * report::soak()));
    let mut figures = totals.figures(seconds);
    // What makes the keys of all networks of a process is no world's time.
    figures["simulated_seconds_per_core_second_idle"] = json!(pace(1_000_000, 0).round());
    figures["simulated_seconds_per_core_second_at_1_transfer_a_second"] = json!(pace(200_000, 1_000).round());
    println!("{figures:#}");
    report::record("swarm", figures);
}

/// A kind whose count stays zero would be a name without a fault.
#[test]
fn each_kind_of_fault_strikes_and_alone_breaks_nothing() {
    for fault in Fault::ALL {
        let rate = match fault.strikes_packets() {
            true => 5_000,
            false => 3_000,
        };
        let mut struck = 0;
        for seed in 0..8 {
            let options = Swarm {
                faults: BTreeMap::from([(fault, rate)]),
                rough_ms: 60_000,
                transfer_every_ms: 500,
                epoch_ms: 10_000,
                ..Swarm::calm(seed, 0, 0)
            };
            let outcome = check(&options).unwrap_or_else(|text| panic!("{fault}: {text}"));
            struck += outcome.faults.of(fault);
            if struck > 0 {
                break;
            }
        }
        assert!(struck > 0, "{fault} never strikes");
    }
}

#[test]
fn each_adversary_acts_and_alone_breaks_nothing() {
    for adversary in Adversary::ALL {
        for (seed, real_signatures) in [(1, false), (2, true)] {
            let options = Swarm {
                adversaries: vec![adversary],
                real_signatures,
                transfer_every_ms: 500,
                epoch_ms: 15_000,
                ..Swarm::calm(seed, 60_000, 0)
            };
            let outcome = check(&options).unwrap_or_else(|text| panic!("{adversary}: {text}"));
            assert!(outcome.adversaries[&adversary] > 0, "{adversary} does nothing");
            assert!(
                outcome.height > 20,
                "{adversary} stops the chain at {}",
                outcome.height
            );
        }
    }
}

/// S8: whoever looks at packets, disks, keyrings, errors and logs of all levels finds nothing of what users sealed.
#[test]
fn planted_plaintext_leaks_nowhere() {
    let mut scanned = 0;
    for seed in 0..4 {
        let options = Swarm {
            reads_logs: true,
            transfer_every_ms: 300,
            rough_ms: 30_000,
            ..Swarm::of(seed)
        };
        let outcome = check(&options).unwrap_or_else(|text| panic!("{text}"));
        assert!(outcome.transfers > 0, "seed {seed} plants nothing");
        scanned += outcome.scanned;
    }
    println!("{scanned} bytes looked through");
}

/// D1, between processes: nothing of one machine's memory decides what happens in a world.
#[test]
fn the_same_seed_is_the_same_world_in_two_processes() {
    let trace = |seed: u64| {
        let seed = seed.to_string();
        let out = Command::new(env!("CARGO_BIN_EXE_tacit-tests"))
            .args(["sim", "--seed", &seed, "--rough-ms", "30000"])
            .output()
            .expect("tacit-tests starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let trace = said.lines().find(|line| line.trim_start().starts_with("trace:"));
        trace.expect("a trace").to_owned()
    };
    let traces: BTreeSet<String> = (20..23)
        .map(|seed| {
            let first = trace(seed);
            assert_eq!(first, trace(seed), "seed {seed}");
            first
        })
        .collect();
    assert_eq!(traces.len(), 3, "other seeds are other worlds");
}
