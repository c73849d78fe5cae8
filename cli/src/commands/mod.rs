//! What each noun does.

mod attest;
mod genesis;
mod gov;
mod machine;
mod membership;
mod node;
mod query;
mod receipt;
mod room;
mod share;
mod suspend;
mod testnet;
mod testnet_life;
mod testnet_links;
mod verify;
mod wallet;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use serde_json::json;

use crate::{
    args::{Cli, Noun},
    context::Context,
    failure::{Done, Failure},
    output::Output,
};

/// Parses, runs, reports, and says how the process ends.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return unparsed(&error),
    };
    let output = Output::new(&cli.global);
    let context = Context::new(cli.global, output.clone());
    match run(&context, cli.noun) {
        Ok(code) => code,
        Err(failure) => {
            failure.print(&output);
            ExitCode::from(failure.exit())
        }
    }
}

fn run(context: &Context, noun: Noun) -> Done<ExitCode> {
    match noun {
        Noun::Wallet(noun) => wallet::run(context, noun)?,
        Noun::Query(verb) => query::run(context, verb)?,
        Noun::Attest(verb) => return attest::run(context, verb),
        Noun::Gov(noun) => gov::run(context, noun)?,
        Noun::Genesis(verb) => genesis::run(context, verb)?,
        Noun::Node(verb) => node::run(context, verb)?,
        Noun::Testnet(verb) => return testnet::run(context, verb),
        Noun::Verify(args) => verify::run(context, args)?,
        Noun::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tacit", &mut script);
            let script = String::from_utf8_lossy(&script);
            let value = json!({ "shell": shell.to_string(), "script": script });
            context.output.result(&value, || script.to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Help and versions are printed as they are; for a mistake, scripts that asked for JSON get JSON.
fn unparsed(error: &clap::Error) -> ExitCode {
    let mistake = !matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let words: Vec<String> = std::env::args().collect();
    let json = words
        .iter()
        .any(|word| matches!(word.as_str(), "--json" | "--output=json" | "-ojson"))
        || words.windows(2).any(
            |pair| matches!(pair, [flag, value] if (flag == "-o" || flag == "--output") && value == "json"),
        );
    if mistake && json {
        let text = error.render().to_string();
        let first = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        Failure::usage(first).print(&Output::unparsed(true));
    } else if error.print().is_err() {
        return ExitCode::FAILURE;
    }
    // 2 for mistakes and for a missing verb, 0 for help and version.
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
