//! `tacit verify`: receipts and whole chains, offline.

use std::{path::PathBuf, thread, time::Instant};

use serde_json::{Value, json};
use tacit_ledger::{
    AuditError, AuditSummary, Genesis, RocksStore, SignatureClaim, audit_store, first_bad, format_amount,
};

use crate::{
    args::{VerifyArgs, VerifyChain, VerifyVerb},
    commands::{genesis, receipt},
    context::Context,
    failure::{Done, Failure},
    output::time,
};

/// Fewer signatures than this are not worth a second thread.
const WORTH_A_THREAD: usize = 64;
/// How often a long check says where it is, in blocks.
const REPORT_EVERY: u64 = 50_000;

pub(crate) fn run(context: &Context, args: VerifyArgs) -> Done {
    match (args.verb, args.receipt) {
        (Some(VerifyVerb::Chain(args)), _) => chain(context, &args),
        (None, Some(args)) => receipt::verify(context, &args),
        (None, None) => Err(Failure::new("usage.missing", "what is to be verified?")
            .hint("give a receipt file, or: tacit verify chain --genesis FILE --home DIR")),
    }
}

fn chain(context: &Context, args: &VerifyChain) -> Done {
    let data = folder(context, args)?;
    // The folder proves nothing by itself: everything hangs on whose genesis this is.
    let genesis = genesis::read(context, &args.genesis)?;
    if genesis.trust.class == tacit_attest::NetworkClass::Dev {
        context.output.simulated();
    }
    if context.global.genesis_hash.is_none() {
        context.output.note(
            "note",
            "compare the genesis hash with one that you were told by someone you trust",
        );
    }
    let store = RocksStore::open_read_only(&data)
        .map_err(|error| Failure::new("chain.unreadable", format!("{}: {error}", data.display())))?;
    let begin = Instant::now();
    let mut seen = |height: u64| {
        if height.is_multiple_of(REPORT_EVERY) {
            context.output.note("checked", format!("height {height}"));
        }
    };
    let summary = audit_store(&store, &genesis, &in_parallel, &mut seen).map_err(refused)?;
    report(context, &genesis, &summary, begin.elapsed().as_secs_f64());
    Ok(())
}

/// Where the chain is stored: what was named, never a guess.
fn folder(context: &Context, args: &VerifyChain) -> Done<PathBuf> {
    let data = match (&args.data, &context.global.home) {
        (Some(data), _) => data.clone(),
        (None, Some(home)) => tacit_node::home::Home::at(home).database(),
        (None, None) => {
            return Err(Failure::new("usage.missing", "whose chain?")
                .hint("give --home DIR of a node, or --data DIR of a database"));
        }
    };
    if data.is_dir() {
        return Ok(data);
    }
    let message = format!("{} is no folder", data.display());
    Err(Failure::new("chain.empty", message))
}

fn refused(error: AuditError) -> Failure {
    let failure = Failure::new(error.code(), &error).detail("height", error.height);
    match error.defect.cause() {
        Some(cause) => failure.detail("cause", cause),
        None => failure,
    }
}

/// As [`first_bad`], on all cores.
fn in_parallel(claims: &[SignatureClaim]) -> Option<usize> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = claims.len().div_ceil(threads).max(WORTH_A_THREAD);
    if part >= claims.len() {
        return first_bad(claims);
    }
    thread::scope(|scope| {
        let parts: Vec<_> = claims
            .chunks(part)
            .map(|part| scope.spawn(move || first_bad(part)))
            .collect();
        let found = parts.into_iter().zip((0..).step_by(part)).map(|(handle, from)| {
            // A checker that died has not said yes.
            let bad = handle.join().unwrap_or(Some(0));
            bad.map(|place| from + place)
        });
        // All are joined before the first one counts.
        found.collect::<Vec<_>>().into_iter().flatten().next()
    })
}

fn report(context: &Context, genesis: &Genesis, summary: &AuditSummary, seconds: f64) {
    let validators: Vec<Value> = summary
        .validators
        .iter()
        .map(|(name, platforms)| {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            json!({ "name": name, "platforms": platforms })
        })
        .collect();
    let supply = format_amount(summary.certified.supply);
    let value = json!({
        "verified": true,
        "genesis_hash": summary.chain.to_string(),
        "name": genesis.name,
        "height": summary.height,
        "head": summary.head.to_string(),
        "time": time(summary.time_ms),
        "epoch": summary.epoch,
        "pruned_below": summary.pruned,
        "public_lane_checked": summary.pruned.is_none() || summary.resumed,
        "blocks": summary.blocks,
        "epochs": summary.turns,
        "validators": validators,
        "registrations": summary.registrations,
        "policies": summary.policies,
        "collateral": summary.collateral,
        "suspensions": summary.suspensions,
        "contributions": summary.contributions,
        "certificates": summary.certificates,
        "signatures": summary.signatures,
        "batches": summary.batches,
        "envelopes": summary.envelopes,
        "envelopes_unopened": summary.unopened,
        "envelopes_idle": summary.idle,
        "certified_height": summary.certified.height,
        "supply": supply,
        "public_root": summary.certified.public_root.to_string(),
        "private_root": summary.certified.private_root.to_string(),
        "receipts_root": summary.certified.receipts_root.to_string(),
        "seconds": (seconds * 1000.0).round() / 1000.0,
    });
    if let Some(first) = summary.pruned {
        let lane = match summary.resumed {
            true => "the public lane was checked from there on",
            false => "of the public lane only the form could be checked",
        };
        context.output.note(
            "pruned",
            format!(
                "blocks below {first} are not kept: their epochs were followed by their closing headers, {lane}; \
                 to check everything, use a node with all of its history"
            ),
        );
    }
    context.output.result(&value, || text(summary, &supply, seconds));
}

fn text(summary: &AuditSummary, supply: &str, seconds: f64) -> String {
    let validators: Vec<String> = summary
        .validators
        .iter()
        .map(|(name, platforms)| {
            let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
            match platforms.is_empty() {
                true => name.clone(),
                false => format!("{name} ({})", platforms.join(", ")),
            }
        })
        .collect();
    let certified = &summary.certified;
    let lines = [
        ("genesis", summary.chain.to_string()),
        (
            "head",
            format!(
                "height {}, {}, block {}",
                summary.height,
                time(summary.time_ms),
                summary.head
            ),
        ),
        ("blocks", summary.blocks.to_string()),
        (
            "epochs",
            format!("{} ended, epoch {} runs", summary.turns, summary.epoch),
        ),
        ("validators", validators.join(", ")),
        (
            "evidence",
            format!("{} registrations verified", summary.registrations),
        ),
        (
            "changes",
            format!(
                "{} policies, {} documents of collateral, {} votes to suspend and convictions",
                summary.policies, summary.collateral, summary.suspensions
            ),
        ),
        (
            "signatures",
            format!(
                "{} in {} certificates, proposals and {} batches",
                summary.signatures, summary.certificates, summary.batches
            ),
        ),
        (
            "envelopes",
            format!(
                "{} counted once each, {} of them did not open; {} more did not count",
                summary.envelopes, summary.unopened, summary.idle
            ),
        ),
        ("supply", format!("{supply}, as of height {}", certified.height)),
        ("seconds", format!("{seconds:.1}")),
    ];
    let lines = lines.iter().map(|(label, text)| format!("{label:<11}{text}"));
    std::iter::once("ok".to_owned())
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use tacit_consensus::{Digest, Ed25519Signer, Signer};
    use tacit_ledger::Signed;

    use super::*;

    #[test]
    fn many_threads_find_the_same_signature_as_one() {
        let signer = Ed25519Signer::from_seed([3; 32]);
        let claim = |number: u64| {
            let message = Digest([number as u8; 32]).0.to_vec();
            SignatureClaim {
                key: signer.public(),
                signature: signer.sign(&message),
                message,
                height: number,
                signed: Signed::Commit,
            }
        };
        let good: Vec<SignatureClaim> = (0..300).map(claim).collect();
        assert_eq!(in_parallel(&good), None);
        assert_eq!(in_parallel(&[]), None);
        for bad in [vec![0], vec![299], vec![150, 151], vec![290, 7, 120]] {
            let mut claims = good.clone();
            for place in &bad {
                claims[*place].signature.0[1] ^= 1;
            }
            assert_eq!(in_parallel(&claims), bad.iter().min().copied());
            assert_eq!(in_parallel(&claims), first_bad(&claims));
        }
    }
}
