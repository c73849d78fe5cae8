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
        } else {
            let raw = read(&case["files"]["quote"]["path"]).expect("the manifest's files");
            let json = read(&case["files"]["collateral"]["path"]).expect("the manifest's files");
            lines.extend(intel(id, &raw, &json, now_ms));
        }
    }
}

/// Genuine quotes that ship with the source.
fn samples(lines: &mut Vec<Line>) {
    const FILES: [(&str, &[u8], &[u8], u64); 3] = [
        (
            "sample sgx v3",
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/sgx_quote"),
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/sgx_quote_collateral.json"),
            1_751_624_924_000,
        ),
        (
            "sample tdx v4",
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/tdx_quote"),
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/tdx_quote_collateral.json"),
            1_751_624_191_000,
        ),
        (
            "sample tdx v5",
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/tdx_quote_td15ex"),
            include_bytes!("../../attest/tests/fixtures/dcap-qvl/tdx_quote_td15ex_collateral.json"),
            1_792_454_400_000,
        ),
    ];
    for (name, raw, json, now_ms) in FILES {
        lines.extend(intel(name, raw, json, now_ms));
    }
}

/// A quote by the documents beside it; and what it takes to make it evidence, and to take the documents in.
fn intel(name: &str, raw: &[u8], json: &[u8], now_ms: u64) -> Vec<Line> {
    let evidence = Evidence::from_quote(raw).expect("a genuine quote");
    let text = core::str::from_utf8(json).expect("text");
    let held = || {
        let mut held = Collateral::new();
        for update in Collateral::from_qvl_json(text).expect("a collateral file") {
            held.apply(update, &production(), now_ms)
                .expect("a genuine document");
        }
        held
    };
    // Authentic and refused all the same: a domain that its host may debug.
    if let Err(refusal) = verify(&evidence, &production(), &held(), None, None, now_ms) {
        println!("not measured: {name}: {refusal}");
        return Vec::new();
    }
    let mut lines = vec![time(name, &evidence, &held(), now_ms)];
    if name.starts_with("sample") {
        lines.push(measure("  from the machine's bytes to evidence", || {
            Evidence::from_quote(raw).expect("a genuine quote");
        }));
        lines.push(measure("  its four documents, taken in", || drop(held())));
    }
    lines
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
        // The genuine ones have lines of their own.
        if !matches!(honest.attempt, Attempt::Verify(_)) || honest.name.starts_with("real") {
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
    samples(&mut lines);
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
