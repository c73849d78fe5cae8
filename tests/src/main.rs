//! `tacit-tests`: the longer runs of the lanes, and replays of single ones.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tacit_tests::sim::swarm::lane::SimArgs;

/// Longer runs of the lanes of tests, and replays of single ones.
#[derive(Parser)]
#[command(name = "tacit-tests", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Networks of whole replicas in virtual time, under every mixture of faults and adversaries.
    Sim(SimArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Sim(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
