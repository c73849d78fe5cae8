//! The command line: `tacit <noun> <verb>`. Every verb's help ends with two examples.

mod attest;
mod chain;
mod gov;
mod moment;
mod nodes;
mod wallet;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use attest::{
    AttestVerb, CollateralVerb, Evidence, MeasureArgs, PolicyVerb, QuoteArgs, ReportRules,
};
pub(crate) use chain::{
    GenesisVerb, QueryVerb, RecoverArgs, VerifyArgs, VerifyChain, VerifyReceipt, VerifyVerb,
};
pub(crate) use gov::{GovNoun, GovVerb, ShareVerb};
pub(crate) use moment::{bits, moment};
pub(crate) use nodes::{KeysChoice, LoadKind, NodeVerb, Nodes, SuspendArgs, TeeChoice, TestnetVerb, UpArgs};
pub(crate) use wallet::{ClassChoice, NameVerb, RoomVerb, TrustVerb, WalletNoun, WalletOptions, WalletVerb};

/// A BFT ledger whose operators cannot read it.
#[derive(Parser)]
#[command(
    name = "tacit",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  tacit testnet up\n  tacit wallet send bob 5 --as alice"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Options of every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of wallets, or of the node [default: ./.tacit-testnet if there is one, else ~/.tacit]
    #[arg(long, global = true, env = "TACIT_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The node to ask; nothing it says is believed without proof
    #[arg(long, global = true, env = "TACIT_RPC", value_name = "URL")]
    pub(crate) rpc: Option<String>,
    /// The genesis hash that you were told by someone you trust
    #[arg(long, global = true, env = "TACIT_GENESIS_HASH", value_name = "HEX")]
    pub(crate) genesis_hash: Option<String>,
    /// How to print results
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// The same as --output json
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on stderr but errors and SIMULATED
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Colours on stderr
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Longest wait for a node, and for a transaction to be final
    #[arg(long, global = true, default_value = "30s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
}

// The words of these lists explain themselves: a documented one would turn the help of every verb into its long form.

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// When colours are used.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Noun {
    /// Keys, money, letters, rooms, names
    Wallet(WalletNoun),
    /// Public data of the chain
    #[command(subcommand)]
    Query(QueryVerb),
    /// Evidence of the validators' machines
    #[command(subcommand)]
    Attest(AttestVerb),
    /// Members change which evidence is accepted
    Gov(GovNoun),
    /// The file that a network begins with
    #[command(subcommand)]
    Genesis(GenesisVerb),
    /// Run a node
    #[command(subcommand)]
    Node(NodeVerb),
    /// Local networks of real processes
    #[command(subcommand)]
    Testnet(TestnetVerb),
    /// Verify a receipt file, or a whole chain, offline
    #[command(
        after_help = "Examples:\n  tacit verify receipt.json --genesis genesis.json\n  \
                            tacit verify chain --genesis genesis.json --home ./val-1"
    )]
    Verify(VerifyArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  tacit completions bash > /etc/bash_completion.d/tacit\n  \
                            tacit completions zsh > ~/.zfunc/_tacit"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    /// Calls `check` with every command that has no commands below it and that people are shown, and its path.
    fn verbs(command: &clap::Command, path: &str, check: &mut dyn FnMut(&str, &clap::Command)) {
        let path = format!("{path} {}", command.get_name());
        let below: Vec<_> = command
            .get_subcommands()
            .filter(|below| below.get_name() != "help" && !below.is_hide_set())
            .collect();
        if below.is_empty() {
            check(path.trim(), command);
        }
        for command in below {
            verbs(command, &path, check);
        }
    }

    #[test]
    fn every_verb_ends_with_two_examples_of_itself_that_parse() {
        verbs(&Cli::command(), "", &mut |path, verb| {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> = help
                .lines()
                .filter(|line| line.trim_start().starts_with("tacit "))
                .collect();
            assert!(help.starts_with("Examples:"), "{path} shows no examples");
            assert_eq!(examples.len(), 2, "{path}: {help}");
            for example in examples {
                let line = example.trim();
                assert!(line.starts_with(path), "{path}: {line}");
                // Shell redirections and pipes are the shell's; quotes here only ever hold one word or sentence.
                let line = line
                    .split([' '])
                    .take_while(|word| !matches!(*word, "|" | ">"))
                    .collect::<Vec<_>>();
                let mut words: Vec<String> = Vec::new();
                let mut quoted = false;
                for word in line {
                    if quoted {
                        let last = words.last_mut().unwrap();
                        last.push(' ');
                        last.push_str(word.trim_end_matches('"'));
                    } else {
                        words.push(word.trim_matches('"').to_owned());
                    }
                    if word.matches('"').count() == 1 {
                        quoted = !quoted;
                    }
                }
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{path}: {words:?}: {error}");
                }
            }
        });
    }

    #[test]
    fn no_verb_takes_a_password_as_an_argument() {
        verbs(&Cli::command(), "", &mut |path, verb| {
            for argument in verb.get_arguments() {
                let id = argument.get_id().as_str();
                assert!(
                    !id.contains("password") || id.ends_with("_file") || id.ends_with("_fd"),
                    "{path} --{id}"
                );
            }
        });
    }
}
