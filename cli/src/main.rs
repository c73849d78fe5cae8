//! The one binary. Logic lives in the libraries; this reads arguments, calls them and prints.

mod args;
mod commands;
mod context;
mod failure;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main()
}
