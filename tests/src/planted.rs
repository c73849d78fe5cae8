//! The harness's own exam: each bug that can be planted (`tacit_consensus::planted`), run against the checker that
//! is there for it. A bug that nobody catches is a hole in the harness.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// A bug, and who must catch it.
#[derive(Debug, Clone, Copy)]
pub struct Bug {
    /// Its name, for `TACIT_PLANTED`.
    pub name: &'static str,
    /// What is wrong then.
    pub what: &'static str,
    /// The test binary that must fail.
    pub test: &'static str,
    /// Which of its tests.
    pub filter: &'static str,
    /// What it must say: the checker's own words, so that no accident passes for a catch.
    pub says: &'static str,
}

const fn bug(
    name: &'static str,
    what: &'static str,
    test: &'static str,
    filter: &'static str,
    says: &'static str,
) -> Bug {
    Bug {
        name,
        what,
        test,
        filter,
        says,
    }
}

/// All bugs that can be planted.
pub const BUGS: [Bug; 14] = [
    bug(
        "quorum_off_by_one",
        "one vote less than a quorum makes a certificate",
        "oracle",
        "",
        "R8",
    ),
    bug(
        "vote_counted_twice",
        "one voter's vote counts as two",
        "oracle",
        "",
        "R8",
    ),
    bug(
        "timeout_unchecked",
        "timeouts are counted without a look at their signatures",
        "rules",
        "hostile::forged_timeouts",
        "panicked",
    ),
    bug(
        "lock_not_restored",
        "a restart forgets the highest certificate",
        "oracle",
        "",
        "R3",
    ),
    bug(
        "finalize_after_timeout",
        "a view that was given up may still be finalized",
        "oracle",
        "",
        "R7",
    ),
    bug(
        "window_ignored",
        "votes and timeouts of any view are kept",
        "consensus_sim",
        "what_one_validator_sends_is_bounded",
        "B1",
    ),
    bug(
        "vote_before_sync",
        "a vote leaves before the record that permits it is durable",
        "replica",
        "crashes",
        "S4",
    ),
    bug(
        "damaged_record_ignored",
        "a safety record that cannot be read counts as none",
        "replica",
        "disk::",
        "panicked",
    ),
    bug(
        "restart_asks_nobody",
        "a validator votes after its start without asking a quorum",
        "replica",
        "rollback::one_that_reaches_nobody",
        "panicked",
    ),
    bug(
        "chunk_unchecked",
        "a snapshot's chunk is not compared with its digest",
        "replica",
        "snapshots",
        "panicked",
    ),
    bug(
        "plaintext_logged",
        "a log line carries what a user sealed",
        "swarm",
        "planted_plaintext_leaks_nowhere",
        "S8",
    ),
    bug(
        "stale_collateral_accepted",
        "a vendor's document counts beyond its end",
        "bad_evidence",
        "",
        "attest.collateral_expired",
    ),
    bug(
        "debug_ignored",
        "a machine that its host may debug is accepted",
        "bad_evidence",
        "",
        "debug",
    ),
    bug(
        "old_binding_accepted",
        "evidence bound to a block of long ago is accepted",
        "bad_evidence",
        "",
        "block",
    ),
];

/// How long a bug may stay unnoticed.
pub const BUDGET: Duration = Duration::from_secs(120);

/// How one bug fared.
#[derive(Debug, Clone)]
pub struct Exam {
    /// The bug.
    pub bug: Bug,
    /// Whether its checker said so, by name.
    pub caught: bool,
    /// Wall time until then.
    pub took: Duration,
    /// The last lines that were said.
    pub said: String,
}

impl Exam {
    /// As the report keeps it.
    pub fn row(&self) -> Value {
        json!({
            "bug": self.bug.name,
            "what": self.bug.what,
            "caught by": format!("{} {}", self.bug.test, self.bug.filter).trim_end(),
            "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
            "caught": if self.caught { "yes" } else { "NO" },
        })
    }
}

/// Runs one bug's checker with the bug in it. `tests` are test binaries of a build with planted bugs.
///
/// # Errors
/// When the checker's binary is not among `tests` or cannot be started.
pub fn examine(bug: Bug, tests: &[PathBuf]) -> Result<Exam, String> {
    let started = Instant::now();
    let (ok, said) = run(bug, tests, Some(bug.name))?;
    Ok(Exam {
        bug,
        caught: !ok && said.contains(bug.says),
        took: started.elapsed(),
        said: last_lines(&said),
    })
}

/// Runs the same checker of the same build without any bug: it must pass, or its failures mean nothing.
///
/// # Errors
/// When it fails, or cannot be started.
pub fn control(bug: Bug, tests: &[PathBuf]) -> Result<(), String> {
    match run(bug, tests, None)? {
        (true, _) => Ok(()),
        (false, said) => Err(format!(
            "{} {} fails without any bug:\n{}",
            bug.test,
            bug.filter,
            last_lines(&said)
        )),
    }
}

fn run(bug: Bug, tests: &[PathBuf], planted: Option<&str>) -> Result<(bool, String), String> {
    let named = |path: &&PathBuf| {
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        file.rsplit_once('-').is_some_and(|(name, _)| name == bug.test)
    };
    let path = tests.iter().find(named);
    let path: &Path = path.ok_or_else(|| format!("no test binary {} was given", bug.test))?;
    let mut command = Command::new(path);
    command
        .args([bug.filter, "--test-threads=2"])
        .env("RUST_BACKTRACE", "0");
    // Its figures are nobody's, and it is as large as usual.
    for name in ["TACIT_PLANTED", crate::report::REPORT_DIR, "TACIT_SOAK"] {
        command.env_remove(name);
    }
    command.envs(planted.map(|name| ("TACIT_PLANTED", name)));
    let out = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} does not start: {error}", path.display()))?;
    let said = [out.stdout, out.stderr].concat();
    Ok((out.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(12))
        .map(|line| line.chars().take(200).collect::<String>())
        .collect::<Vec<_>>()
        .join("\n")
}
