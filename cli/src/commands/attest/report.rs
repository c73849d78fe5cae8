//! `tacit attest verify --report`: a verdict over bare evidence, offline, at a stated moment.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use serde_json::{Value, json};
use tacit_attest::{
    Collateral, CollateralUpdate, Evidence, NetworkClass, Policy, Refusal, Step, TrustRoots, Verdict,
    Verified, describe, verify, verify_steps,
};
use tacit_ledger::codes;

use super::{
    collateral::{Document, judged},
    facts::{facts, tcb_status},
    files, policy,
};
use crate::{
    args::ReportRules,
    commands::genesis,
    context::Context,
    failure::{Done, Failure},
    output::{printable, time},
};

/// The check that collateral belongs to, as the verifier numbers them; from [`NEEDS_COLLATERAL`] on checks rest on it.
const COLLATERAL: u8 = 8;
const NEEDS_COLLATERAL: u8 = 5;
/// Exit code of "cannot verify: stale or missing data".
const STALE: u8 = 7;

/// What the command found.
struct Outcome {
    at_ms: u64,
    /// The evidence as far as its form could be told.
    evidence: Option<Evidence>,
    /// Authentic, whatever a policy says.
    authentic: Option<Verified>,
    policy_version: Option<u64>,
    refusal: Option<Refusal>,
    documents: Vec<Document>,
    steps: Vec<Step>,
}

/// Judges files, prints the verdict, and ends by the table of exit codes.
pub(crate) fn run(
    context: &Context,
    report: &Path,
    rules: &ReportRules,
    genesis: Option<&Path>,
) -> Done<ExitCode> {
    let at_ms = rules.at.ok_or_else(|| {
        Failure::new(
            "usage.missing",
            "when? give --at, such as --at 2026-03-31T22:20:07Z",
        )
    })?;
    let trust = trust(context, genesis)?;
    let policy = rules.policy.as_deref().map(policy::read).transpose()?;
    let evidence = files::evidence(context, report, &rules.leaves)?;
    let updates = files::collateral(&rules.collateral)?;
    let outcome = judge(evidence, updates, &trust, policy.as_ref(), at_ms);
    if outcome
        .evidence
        .as_ref()
        .is_some_and(|evidence| evidence.platform.is_simulated())
    {
        context.output.simulated();
    }
    context.output.result(&document(&outcome), || text(&outcome));
    let Some(refusal) = &outcome.refusal else {
        return Ok(ExitCode::SUCCESS);
    };
    let failure = Failure::new(refusal.code(), refusal);
    if !context.output.json() {
        failure.print(&context.output);
    }
    Ok(ExitCode::from(failure.exit()))
}

/// Whose roots count: those that are compiled in, and a dev genesis' simulator.
pub(crate) fn trust(context: &Context, genesis: Option<&Path>) -> Done<TrustRoots> {
    let file = genesis.map(|path| genesis::read(context, path)).transpose()?;
    Ok(file.map_or(
        TrustRoots {
            class: NetworkClass::Production,
            simulator: None,
        },
        |genesis| genesis.trust,
    ))
}

fn judge(
    evidence: Result<Evidence, Refusal>,
    updates: Result<Vec<CollateralUpdate>, Refusal>,
    trust: &TrustRoots,
    policy: Option<&Policy>,
    at_ms: u64,
) -> Outcome {
    let mut outcome = Outcome {
        at_ms,
        evidence: None,
        authentic: None,
        policy_version: policy.map(|policy| policy.version),
        refusal: None,
        documents: Vec::new(),
        steps: Vec::new(),
    };
    let evidence = match evidence {
        Ok(evidence) => evidence,
        Err(refusal) => {
            outcome.steps = vec![failed(&refusal)];
            outcome.refusal = Some(refusal);
            return outcome;
        }
    };
    let mut collateral = Collateral::new();
    let unreadable = match updates {
        Ok(updates) => {
            outcome.documents = judged(&mut collateral, updates, trust, at_ms);
            None
        }
        Err(refusal) => Some(refusal),
    };
    let stale = unreadable.or_else(|| {
        outcome
            .documents
            .iter()
            .find_map(|document| document.refusal.clone())
    });

    let authentic = verify(&evidence, trust, &collateral, None, None, at_ms);
    let (mut steps, verdict) = verify_steps(&evidence, trust, &collateral, policy, None, at_ms);
    let mut refusal = verdict.err();
    // A document that was given and does not count is the reason for whatever rests on collateral.
    if let Some(stale) = stale
        && refusal
            .as_ref()
            .is_none_or(|refusal| refusal.number() >= NEEDS_COLLATERAL)
    {
        for step in &mut steps {
            if step.number == COLLATERAL {
                *step = failed(&stale);
            } else if step.number >= NEEDS_COLLATERAL {
                step.verdict = Verdict::NotChecked;
                step.detail = "not reached".to_owned();
            }
        }
        refusal = Some(stale);
    } else {
        outcome.authentic = authentic.ok();
    }
    outcome.steps = steps;
    outcome.refusal = refusal;
    outcome.evidence = Some(evidence);
    outcome
}

fn failed(refusal: &Refusal) -> Step {
    let name = if refusal.number() == COLLATERAL {
        "collateral"
    } else {
        "shape"
    };
    Step {
        number: refusal.number(),
        name,
        verdict: Verdict::Fail,
        detail: format!("{refusal} [{}]", refusal.code()),
    }
}

/// A verdict's three values: unknown is not the same as refused.
fn verdict(outcome: &Outcome) -> &'static str {
    match (&outcome.refusal, outcome.policy_version) {
        (None, None) => "AUTHENTIC",
        (None, Some(_)) => "ADMITTED",
        (Some(refusal), _) if codes::lookup(refusal.code()).is_some_and(|row| row.exit == STALE) => "UNKNOWN",
        (Some(_), _) => "REFUSED",
    }
}

fn document(outcome: &Outcome) -> Value {
    let evidence = outcome.evidence.as_ref();
    let fields = evidence.and_then(|evidence| describe(evidence).ok());
    json!({
        "authentic": outcome.authentic.is_some(),
        "refusal": outcome.refusal.as_ref().map(Refusal::code),
        "reason": outcome.refusal.as_ref().map(ToString::to_string),
        "verdict": verdict(outcome),
        "at": time(outcome.at_ms),
        "platform": evidence.map(|evidence| evidence.platform.to_string()),
        "policy_version": outcome.policy_version,
        "tcb_status": outcome.authentic.as_ref().and_then(tcb_status),
        "facts": outcome.authentic.as_ref().map(facts),
        "fields": fields.map(|fields| fields.into_iter().collect::<BTreeMap<_, _>>()),
        "collateral": outcome.documents,
        "steps": outcome.steps.iter().map(step_value).collect::<Vec<_>>(),
    })
}

/// One check for scripts.
pub(crate) fn step_value(step: &Step) -> Value {
    json!({
        "number": step.number,
        "name": step.name,
        "verdict": word(step.verdict),
        "detail": step.detail,
    })
}

/// One check for people.
pub(crate) fn step_line(step: &Step) -> String {
    format!(
        "{:>3} {:<27} {:<12} {}\n",
        step.number,
        step.name,
        word(step.verdict),
        printable(&step.detail)
    )
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "ok",
        Verdict::Fail => "FAILED",
        Verdict::NotChecked => "not checked",
    }
}

fn text(outcome: &Outcome) -> String {
    let mut lines: String = outcome.steps.iter().map(step_line).collect();
    let platform = outcome.evidence.as_ref().map(|evidence| evidence.platform);
    let platform = platform.map_or_else(|| "unknown platform".to_owned(), |platform| platform.to_string());
    let what = match (&outcome.refusal, &outcome.authentic) {
        (Some(refusal), _) => refusal.to_string(),
        (None, Some(verified)) => {
            let status = tcb_status(verified).map_or_else(String::new, |status| format!(", TCB {status}"));
            let version = outcome
                .policy_version
                .map_or_else(String::new, |version| format!(", by policy version {version}"));
            format!(
                "{platform}, {}{status}{version}, until {}",
                verified.family(),
                time(verified.not_after_ms)
            )
        }
        (None, None) => platform,
    };
    lines.push_str(&format!(
        "verdict: {} at {}: {}",
        verdict(outcome),
        time(outcome.at_ms),
        printable(&what)
    ));
    lines
}
