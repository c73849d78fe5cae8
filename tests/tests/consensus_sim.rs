//! The consensus core in thousands of small worlds. A failing world prints its options; the seed in them
//! and `TACIT_SIM_SEED=<seed>` replay it alone.

use std::{collections::BTreeMap, sync::Mutex};

use serde_json::{Value, json};
use tacit_consensus::Held;
use tacit_tests::{
    consensus_sim::{Options, Report, Workload, combinations, flood, run},
    report,
    seeds::seeds,
};

fn check(options: &Options) -> Report {
    let report = run(options);
    assert!(
        report.violations.is_empty(),
        "{:#?}\nin {options:#?}",
        report.violations
    );
    report
}

/// Figures of the sweeps that ended so far.
static FIGURES: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

fn sweep(n: u16, usual: u64) {
    let (mut events, mut faults, mut crashes, mut span) = (0, 0, 0, 0);
    let (seeds, began) = (seeds(usual * report::soak()), report::core_time());
    for seed in seeds.clone() {
        let report = check(&Options::faulty(seed, n));
        events += report.events;
        faults += report.faults;
        crashes += report.crashes;
        span += report.span_ms;
    }
    let seconds = (report::core_time() - began).as_secs_f64();
    let figures = json!({
        "worlds": seeds.end - seeds.start,
        "events": events,
        "messages lost": faults,
        "crashes": crashes,
        "simulated hours": (span as f64 / 360_000.0).round() / 10.0,
        "core-seconds": (seconds * 10.0).round() / 10.0,
        "violations": 0,
    });
    println!("n = {n}: {figures}");
    let mut all = FIGURES.lock().expect("no sweep failed while it held this");
    all.insert(format!("n = {n}"), figures);
    report::record("stories", json!(*all));
}

#[test]
fn four_validators_under_every_mixture_of_faults() {
    sweep(4, 1_000);
}

#[test]
fn seven_validators_under_every_mixture_of_faults() {
    sweep(7, 200);
}

#[test]
fn progress_with_f_dead_in_every_combination_of_places() {
    for (n, f) in [(4, 1), (7, 2)] {
        for dead in combinations(n, f) {
            let report = check(&Options {
                dead: dead.clone(),
                calm_blocks: 40,
                ..Options::calm(1, n)
            });
            // A dead leader costs its view and no more: at the worst a few timeouts per round of n views.
            assert!(report.span_ms < 60_000, "{dead:?} of {n}: {} ms", report.span_ms);
        }
    }
}

#[test]
fn more_than_f_dead_commit_nothing_and_fork_nothing() {
    for dead in combinations(4, 2) {
        let options = Options {
            dead,
            calm_ms: 20_000,
            ..Options::calm(2, 4)
        };
        let report = run(&options);
        assert!(report.heights.iter().all(|height| *height == 0));
        assert!(
            report
                .violations
                .iter()
                .all(|violation| violation.starts_with("L1"))
        );
    }
}

#[test]
fn twins_fork_nothing_and_only_they_are_blamed() {
    for seed in seeds(100) {
        check(&Options {
            twins: 1,
            dead: Vec::new(),
            ..Options::faulty(seed, 4)
        });
        check(&Options {
            twins: 2,
            dead: Vec::new(),
            ..Options::faulty(seed, 7)
        });
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..20 {
        let options = Options::faulty(seed, 4);
        assert_eq!(run(&options), run(&options));
    }
    assert_ne!(
        run(&Options::faulty(1, 4)).trace,
        run(&Options::faulty(2, 4)).trace
    );
}

#[test]
fn without_work_there_are_heartbeats_and_nothing_else() {
    let options = Options {
        workload: Workload::None,
        calm_ms: 100_000,
        calm_blocks: 1_000,
        ..Options::calm(3, 4)
    };
    let report = check(&options);
    assert!(
        report.heights.iter().all(|height| (17..=20).contains(height)),
        "{:?}",
        report.heights
    );
    assert_eq!(
        report.view,
        report.heights.iter().max().copied().unwrap_or(0) + 1,
        "no view was lost"
    );
}

#[test]
fn an_epoch_ends_under_message_loss_and_crashes() {
    for seed in seeds(200) {
        let options = Options {
            close_at: Some(5),
            twins: 0,
            dead: Vec::new(),
            ..Options::faulty(seed, 4)
        };
        let report = check(&options);
        assert!(
            report.finished && report.heights.iter().all(|height| *height == 5),
            "{report:?} in {options:?}"
        );
    }
}

#[test]
fn real_signatures_change_nothing() {
    for seed in 0..5 {
        check(&Options {
            real_signatures: true,
            ..Options::faulty(seed, 4)
        });
    }
}

/// Everything that one validator can sign for any view, to one that never hears the rest.
#[test]
fn what_one_validator_sends_is_bounded() {
    let options = Options::calm(1, 4);
    let most = Held::most(4);
    // Whatever is without a bound shows in the small one already, before it takes all time and memory in the great one.
    for sent in [2_000, 200_000] {
        let held = flood(&options, 3, sent);
        println!("a flood of {sent} votes and timeouts leaves {held:?}");
        assert!(held.is_within(&most), "B1: {held:?} is more than {most:?}");
        // One voter's share of the window is all that it can fill.
        assert!(
            held.votes <= most.votes / 4 && held.timeouts <= most.timeouts / 4,
            "B1: {held:?}"
        );
    }
}
