//! How long judging evidence takes, by platform: `make bench`. Prints the median of many runs, the fastest and the
//! slowest, and the ratio to the first line. Time comes from the machine it runs on; ratios travel better.
//!
//! Genuine evidence is read from the collection beside the workspace (or where `TACIT_EVIDENCE` says). Where it is
//! absent, the table says so and has the simulated machines and the fixtures alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tacit_attest::{Collateral, Evidence, NetworkClass, Platform, TrustRoots, verify};
use tacit_tests::bad_evidence::{Attempt, Table, Workshop};

/// Runs a line.
const RUNS: usize = 200;
/// Runs before the clock starts.
const WARM_UP: usize = 10;

/// One line of the table.
struct Line {
    name: String,
    times: Vec<Duration>,
}

fn measure(name: &str, mut run: impl FnMut()) -> Line {
    (0..WARM_UP).for_each(|_| run());
    let timed = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    let mut times: Vec<_> = (0..RUNS).map(timed).collect();
    times.sort();
    let name = name.to_owned();
    Line { name, times }
}

fn folder() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/evidence");
    std::env::var_os("TACIT_EVIDENCE").map_or(beside, PathBuf::from)
}

fn production() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Production,
        simulator: None,
    }
}

/// A time at which a case of the manifest is authentic, in milliseconds.
fn inside(case: &Value) -> Option<u64> {
    let mut times = case["expect"].as_array()?.iter();
    let time = times.find(|time| {
        time["verdict"]
            .as_str()
            .is_some_and(|v| v.starts_with("authentic"))
    })?;
    Some(time["at_unix"].as_u64()? * 1000)
}

fn read(path: &Value) -> Option<Vec<u8>> {
    std::fs::read(folder().join(path.as_str()?)).ok()
}

fn snp(case: &Value) -> Option<Evidence> {
    let mut leaf = read(&case["files"]["leaf"]["path"])?;
    if case["leaf_kind"] == "VLEK" {
        leaf.extend(read(&case["intermediate"])?);
    }
    Some(Evidence {
        platform: Platform::SevSnp,
        report: read(&case["files"]["report"]["path"])?,
        leaf,
    })
}

fn genuine(lines: &mut Vec<Line>) {
    let Some(manifest) = std::fs::read(folder().join("manifest.json")).ok() else {
        println!(
            "NOTICE: no evidence at {}: no genuine machines below",
            folder().display()
        );
        return;
    };
    let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
    for case in manifest["cases"].as_array().into_iter().flatten() {
        let (Some(id), Some(now_ms)) = (case["id"].as_str(), inside(case)) else {
            continue;
        };
        if case["platform"] == "amd-sev-snp" {
            let evidence = snp(case).expect("the manifest's files");
            lines.push(time(id, &evidence, &Collateral::new(), now_ms));
        }
    }
}

/// The time of a verdict that must be "authentic".
fn time(name: &str, evidence: &Evidence, collateral: &Collateral, now_ms: u64) -> Line {
    let trust = production();
    measure(name, || {
        verify(evidence, &trust, collateral, None, None, now_ms).expect("authentic evidence");
    })
}

fn simulated(lines: &mut Vec<Line>) {
    for honest in Table::all(&Workshop::new()).honest {
        if !matches!(honest.attempt, Attempt::Verify(_)) {
            continue;
        }
        lines.push(measure(&format!("simulated {}", honest.name), || {
            honest.attempt.run().expect("honest evidence");
        }));
    }
}

fn main() {
    let mut lines = Vec::new();
    genuine(&mut lines);
    simulated(&mut lines);
    let median = |line: &Line| line.times[line.times.len() / 2].as_secs_f64();
    let first = lines.first().map_or(1.0, median);
    println!(
        "{:44} {:>10} {:>10} {:>10} {:>6}",
        "verification, microseconds", "median", "fastest", "slowest", "ratio"
    );
    for line in &lines {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let (fastest, slowest) = (us(line.times[0]), us(line.times[line.times.len() - 1]));
        let (median, ratio) = (median(line) * 1e6, median(line) / first);
        println!(
            "{:44} {median:>10.0} {fastest:>10.0} {slowest:>10.0} {ratio:>6.2}",
            line.name
        );
    }
    println!("{RUNS} runs a line, one thread, release build with assertions and overflow checks on");
}
