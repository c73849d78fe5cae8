//! What the lanes found, kept as files and made into `docs/reliability.md`.
//!
//! A lane calls [`record`] at its end. Where `TACIT_REPORT_DIR` names a folder, its figures go there as
//! `LANE.json`, with the commit, the machine and its load; [`page()`] makes one page of such a folder.

mod page;

use std::{fs, io, path::PathBuf, process::Command, time::Duration};

use serde_json::{Value, json};

pub use self::page::page;

/// The folder that takes the lanes' figures.
pub const REPORT_DIR: &str = "TACIT_REPORT_DIR";

/// Keeps a lane's figures, if somebody asked for that: an object whose keys say what is counted, with units. An
/// object or an array of objects within becomes a table of its own.
///
/// # Panics
/// When the folder that was asked for cannot be written: figures that silently vanish are worse than none.
pub fn record(lane: &str, figures: Value) {
    let Some(dir) = std::env::var_os(REPORT_DIR).map(PathBuf::from) else {
        return;
    };
    let document = json!({
        "lane": lane,
        "soak": soak(),
        "commit": commit(),
        "machine": machine(),
        "load": load(),
        "figures": figures,
    });
    let write = || -> io::Result<()> {
        fs::create_dir_all(&dir)?;
        let text = serde_json::to_string_pretty(&document)?;
        fs::write(dir.join(format!("{lane}.json")), text + "\n")
    };
    write().unwrap_or_else(|error| {
        panic!(
            "the figures of {lane} cannot be kept in {}: {error}",
            dir.display()
        )
    });
}

/// By how much `make soak` multiplies what a lane does; 1 for what runs with every change.
pub fn soak() -> u64 {
    let asked = std::env::var("TACIT_SOAK").ok();
    asked.and_then(|value| value.parse().ok()).unwrap_or(1).max(1)
}

/// Processor time that the calling thread has used: what a busy machine does not change. Zero where the system
/// does not tell (it is Linux that does).
pub fn core_time() -> Duration {
    fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or(Duration::ZERO, Duration::from_nanos)
}

/// The commit that is built, with `+` where files differ from it.
fn commit() -> String {
    let git = |args: &[&str]| {
        let out = Command::new("git").args(args).output().ok()?;
        out.status
            .success()
            .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
    };
    match (
        git(&["rev-parse", "--short=12", "HEAD"]),
        git(&["status", "--porcelain"]),
    ) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => commit + "+",
        (None, _) => "unknown".into(),
    }
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |line: &str| {
        Some(
            line.strip_prefix("model name")?
                .split_once(':')?
                .1
                .trim()
                .to_owned(),
        )
    };
    let model = info.lines().find_map(field);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", model.as_deref().unwrap_or("unknown"))
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").into()
}
