//! Our core beside `hotstuff_rs` 0.4.0: `cargo bench -p tacit-tests --bench baseline`. All replicas of a network run in one
//! process, over the same links in memory, with the same payloads and the same clock; each measurement has a process of
//! its own. Figures of different machines and loads do not compare, those of one run do.
//!
//! Arguments name the tables to make (all otherwise): `throughput`, `delay`, `crash`, `idle`. `BASELINE_SECONDS` is the length
//! of a window (5), `BASELINE_RUNS` how often each line of `throughput` is measured, the engines in turn (3; the run with
//! the median of blocks is shown), `BASELINE_ENGINES` which engines (`0,1,2`: ours, theirs, theirs made to sleep).
#![allow(
    clippy::disallowed_methods,
    reason = "a window lasts as long as it is said to; nothing is awaited by sleeping"
)]

mod book;
mod case;
mod hotstuff;
mod hub;
mod tacit;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use book::{Book, Commit, peak_memory, percentile, processor_time};
use case::{Case, Engine, Scene};

/// Before a window opens.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long commits are watched after a crash.
const AFTER_CRASH: Duration = Duration::from_secs(30);
/// First argument of the process that runs one case.
const CASE: &str = "--case";

const BLOCKS: &str = "blocks/s";
const P50: &str = "commit p50, ms";
const P99: &str = "commit p99, ms";
const CPU: &str = "CPU ms a block and replica";
const IDLE_CPU: &str = "CPU ms a second and replica";
const CORES: &str = "cores used";
const FIRST_GAP: &str = "first gap, ms";
const WORST_GAP: &str = "worst gap, ms";
const BEFORE: &str = "blocks/s before";
const MEMORY: &str = "peak MiB";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == CASE) {
        let case = Case::from_arguments(&arguments[1..]).expect("a case");
        println!("{}", Value::Object(run(case)));
        // Threads of an engine that cannot be stopped in time end with the process.
        std::process::exit(0);
    }
    // Cargo itself passes `--bench`.
    let wanted = |table: &str| {
        let mut named = arguments.iter().filter(|word| !word.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|word| word == table)
    };
    let mut figures = Map::new();
    for (name, title, make) in [
        (
            "throughput",
            "Blocks as fast as they come, links without delay",
            throughput as fn() -> Vec<Value>,
        ),
        ("delay", "Commit latency against the links' delay", delays),
        ("crash", "One of four crashes, view timeout 1 s", crashes),
        ("idle", "Nothing to order", idle),
    ] {
        if wanted(name) {
            println!("\n{title}");
            figures.insert(title.to_owned(), Value::Array(make()));
        }
    }
    tacit_tests::report::record("baseline", Value::Object(figures));
}

fn engines() -> Vec<Engine> {
    let named = std::env::var("BASELINE_ENGINES").unwrap_or_else(|_| "0,1,2".to_owned());
    let named = named
        .split(',')
        .filter_map(|at| Engine::ALL.get(at.trim().parse::<usize>().ok()?));
    named.copied().collect()
}

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A network of `n` with empty blocks and links without delay.
fn case(engine: Engine, scene: Scene, n: u16) -> Case {
    Case {
        engine,
        scene,
        n,
        payload: 0,
        delay: Duration::ZERO,
        window: Duration::from_secs_f64(setting("BASELINE_SECONDS", 5.0)),
    }
}

/// Measures one line for each engine in turn, so many times, so that a busy moment meets all; keeps the runs with the
/// median.
fn lines(columns: &[&str], times: usize, of: impl Fn(Engine) -> Case) -> Vec<Value> {
    let engines = engines();
    let mut runs: Vec<Vec<Map<String, Value>>> = vec![Vec::new(); engines.len()];
    for _ in 0..times {
        for (runs, engine) in runs.iter_mut().zip(&engines) {
            runs.push(measured(of(*engine)));
        }
    }
    let blocks = |run: &Map<String, Value>| run.get(BLOCKS).and_then(Value::as_f64).unwrap_or(0.0);
    let median = |mut runs: Vec<Map<String, Value>>| {
        runs.sort_by(|a, b| blocks(a).total_cmp(&blocks(b)));
        runs.swap_remove(runs.len() / 2)
    };
    let shown = runs.into_iter().map(median).map(|figures| show(figures, columns));
    shown.collect()
}

/// Prints a line and answers the columns of the record.
fn show(mut figures: Map<String, Value>, columns: &[&str]) -> Value {
    let given = ["engine", "n", "payload, bytes", "link delay, ms"];
    let known = |name: &String| given.contains(&name.as_str()) || columns.contains(&name.as_str());
    figures.retain(|name, _| known(name));
    let cell = |name: &&str| match &figures[*name] {
        Value::Number(number) => format!("{name} {:.2}", number.as_f64().unwrap_or(0.0)),
        Value::String(text) => format!("{text:<22}"),
        _ => format!("{name} -"),
    };
    let line: Vec<String> = given.iter().chain(columns).map(cell).collect();
    println!("{}", line.join(" | "));
    Value::Object(figures)
}

/// Runs a case in a process of its own, so that nothing of an earlier one is left, and answers its figures.
fn measured(case: Case) -> Map<String, Value> {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .arg(CASE)
        .args(case.arguments())
        .stderr(Stdio::piped())
        .output()
        .expect("the case starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("{:?} ended with {}: {said}", case.arguments(), output.status)
    })
}

fn throughput() -> Vec<Value> {
    let columns = [BLOCKS, P50, P99, CPU, CORES, MEMORY];
    let runs = setting("BASELINE_RUNS", 3).max(1);
    let mut all = Vec::new();
    for n in [4, 7] {
        for payload in [0, 100_000, 1_000_000] {
            all.extend(lines(&columns, runs, |engine| Case {
                payload,
                ..case(engine, Scene::Full, n)
            }));
        }
    }
    all
}

fn delays() -> Vec<Value> {
    let mut all = Vec::new();
    for delay in [5, 20, 50, 100].map(Duration::from_millis) {
        all.extend(lines(&[BLOCKS, P50, P99], 1, |engine| Case {
            delay,
            ..case(engine, Scene::Full, 4)
        }));
    }
    all
}

fn crashes() -> Vec<Value> {
    lines(&[BEFORE, FIRST_GAP, WORST_GAP, BLOCKS], 1, |engine| Case {
        window: AFTER_CRASH,
        ..case(engine, Scene::Crash, 4)
    })
}

fn idle() -> Vec<Value> {
    lines(&[IDLE_CPU, BLOCKS], 1, |engine| Case {
        window: Duration::from_secs(10),
        ..case(engine, Scene::Idle, 4)
    })
}

/// One network, from its start to the end of its window.
fn run(case: Case) -> Map<String, Value> {
    let book = Arc::new(Book::new(case.n));
    let mut kept = Vec::new();
    let scissors = match case.engine {
        Engine::Tacit => {
            let (ends, scissors) = hub::network(case.n, case.delay);
            ends.into_iter()
                .for_each(|(port, inbox)| tacit::start(case, port, inbox, book.clone()));
            scissors
        }
        Engine::HotStuff | Engine::HotStuffSleeping => {
            let (ends, scissors) = hub::network(case.n, case.delay);
            for (port, inbox) in ends {
                kept.push(hotstuff::start(case, port, inbox, book.clone()));
            }
            scissors
        }
    };
    let started = Instant::now();
    std::thread::sleep(WARM_UP);
    let from = Instant::now();
    let processor = processor_time();
    let crashed = (case.scene == Scene::Crash).then_some(0);
    crashed.into_iter().for_each(|replica| scissors.cut(replica));
    std::thread::sleep(case.window);
    let (to, processor) = (Instant::now(), processor_time() - processor);
    // Dropping these waits for views to end.
    std::mem::forget(kept);

    let alive: Vec<u16> = (0..case.n).filter(|replica| Some(*replica) != crashed).collect();
    let lists: Vec<Vec<Commit>> = alive
        .iter()
        .map(|replica| book.within(*replica, from, to))
        .collect();
    let mut counts: Vec<usize> = lists.iter().map(Vec::len).collect();
    counts.sort_unstable();
    let blocks = counts[counts.len() / 2];
    let seconds = (to - from).as_secs_f64();
    let latencies = || lists.iter().flatten().map(|commit| commit.latency).collect();
    let per_replica = processor.as_secs_f64() * 1000.0 / f64::from(case.n);
    let gaps = gaps(&lists[0], from, to);
    let before = book.within(alive[0], started, from).len() as f64;
    let mut figures = case.columns();
    for (name, value) in [
        (BLOCKS, json!(blocks as f64 / seconds)),
        (P50, json!(percentile(latencies(), 0.5))),
        (P99, json!(percentile(latencies(), 0.99))),
        (CPU, json!((blocks > 0).then(|| per_replica / blocks as f64))),
        (IDLE_CPU, json!(per_replica / seconds)),
        (CORES, json!(processor.as_secs_f64() / seconds)),
        (MEMORY, json!(peak_memory())),
        (BEFORE, json!(before / (from - started).as_secs_f64())),
        (FIRST_GAP, json!(gaps.first())),
        (WORST_GAP, json!(gaps.iter().copied().fold(0.0, f64::max))),
    ] {
        figures.insert(name.to_owned(), value);
    }
    figures
}

/// The stretches without a commit, in milliseconds: the first begins with the window, the last ends with it.
fn gaps(commits: &[Commit], from: Instant, to: Instant) -> Vec<f64> {
    let mut last = from;
    let times = commits.iter().map(|commit| commit.at).chain([to]);
    let gap = |at: Instant| {
        let gap = (at - last).as_secs_f64() * 1000.0;
        last = at;
        gap
    };
    times.map(gap).collect()
}
