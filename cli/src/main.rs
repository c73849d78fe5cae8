//! The one binary. Logic lives in the libraries; this reads arguments, calls them and prints.

mod args;
mod commands;
mod context;
mod failure;
mod output;

use std::process::ExitCode;

// A build with planted bugs examines the test harness; it is no node.
const _: () = assert!(
    !tacit_node::PLANTED,
    "unset TACIT_PLANT: `tacit` is not built with planted bugs"
);

fn main() -> ExitCode {
    commands::main()
}
