//! `tacit attest`: who vouches for whom, and what that is worth.

mod collateral;
mod facts;
pub(crate) mod files;
mod measure;
pub(crate) mod policy;
mod quote;
mod registration;
mod report;
mod show;
mod status;

use crate::{args::AttestVerb, context::Context, failure::Done};

use std::process::ExitCode;

/// Runs a verb. A verdict that is no success ends with its exit code and is printed as a verdict, not as an error.
pub(crate) fn run(context: &Context, verb: AttestVerb) -> Done<ExitCode> {
    match verb {
        AttestVerb::Verify {
            evidence,
            alone,
            genesis,
        } => match &evidence.report {
            Some(report) => return report::run(context, report, &alone, genesis.as_deref()),
            None => registration::verify(context, &evidence, genesis.as_deref())?,
        },
        AttestVerb::Show { evidence, leaves } => match &evidence.report {
            Some(report) => show::report(context, report, &leaves)?,
            None => registration::show(context, &evidence)?,
        },
        AttestVerb::Measure(args) => measure::run(context, &args)?,
        AttestVerb::Quote(args) => quote::run(context, &args)?,
        AttestVerb::Status { validator, strict } => {
            return status::run(context, validator.as_deref(), strict);
        }
        AttestVerb::Collateral(verb) => return collateral::run(context, verb),
        AttestVerb::Policy(verb) => policy::run(context, verb)?,
    }
    Ok(ExitCode::SUCCESS)
}
