//! Longer runs of the lanes, replays of their failures, and the page of what they found.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use tacit_tests::{
    explore::lane::ExploreArgs, oracle, planted, report, sim::swarm::lane::SimArgs, twins::lane::TwinsArgs,
};

#[derive(Parser)]
#[command(name = "tacit-tests", about = "Runs and replays the lanes that examine Tacit")]
struct Args {
    #[command(subcommand)]
    lane: Lane,
}

#[derive(Subcommand)]
enum Lane {
    /// Networks of whole replicas in virtual time, under every mixture of faults and adversaries.
    Sim(SimArgs),
    /// Scenarios of a cloned validator: who leads, and who hears whom.
    Twins(TwinsArgs),
    /// All states of four validators, one of them a liar, for two views.
    Explore(ExploreArgs),
    /// Judges traces of real processes by the reference model: all files of one network, one a validator.
    Oracle {
        /// What `[consensus] trace` named in their configurations.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Prints the page of a folder of figures.
    Report {
        /// Where the lanes kept them: `TACIT_REPORT_DIR` of those runs.
        dir: PathBuf,
    },
    /// Runs each planted bug against the checker that is there for it; needs a build with `TACIT_PLANT=1`.
    Planted {
        /// Only bugs of these names.
        #[arg(long)]
        only: Vec<String>,
        /// The test binaries of that build.
        tests: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().lane {
        Lane::Sim(args) => args.run(),
        Lane::Twins(args) => args.run(),
        Lane::Explore(args) => args.run(),
        Lane::Oracle { files } => judge(&files),
        Lane::Report { dir } => report::page(&dir)
            .map(|page| print!("{page}"))
            .map_err(|error| error.to_string()),
        Lane::Planted { only, tests } => examine(&only, &tests),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Judges all files together.
fn judge(files: &[PathBuf]) -> Result<(), String> {
    let (transitions, wrong) = oracle::judge_files(files)?;
    println!("{transitions} transitions judged, {} breaches", wrong.len());
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

fn examine(only: &[String], tests: &[PathBuf]) -> Result<(), String> {
    if !tacit_consensus::planted::BUILT {
        return Err("no bug is planted in this build: scripts/planted makes one".into());
    }
    let chosen = |bug: &&planted::Bug| only.is_empty() || only.iter().any(|name| name == bug.name);
    let bugs: Vec<planted::Bug> = planted::BUGS.iter().filter(chosen).copied().collect();
    let (mut missed, mut rows) = (Vec::new(), Vec::<Value>::new());
    let mut sound = std::collections::BTreeSet::new();
    for bug in bugs {
        if sound.insert((bug.test, bug.filter)) {
            planted::control(bug, tests)?;
        }
        let exam = planted::examine(bug, tests)?;
        let verdict = if exam.caught { "caught" } else { "MISSED" };
        println!(
            "{verdict:7} {:6.1} s  {}: {}",
            exam.took.as_secs_f64(),
            bug.name,
            bug.what
        );
        if !exam.caught || exam.took > planted::BUDGET {
            println!("{}", exam.said);
            missed.push(bug.name);
        }
        rows.push(exam.row());
    }
    report::record(
        "planted",
        json!({ "bugs": rows.len(), "missed": missed.len(), "exam": rows }),
    );
    match missed.is_empty() {
        true => Ok(()),
        false => Err(format!("not caught in time: {}", missed.join(", "))),
    }
}
