//! `tacit attest policy`: policies as files, and those of a chain as the node shows them.

use std::{path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tacit_attest::{Change, Policy};
use tacit_ledger::{decode, policy_digest};
use tacit_wallet::Api;

use crate::{
    args::PolicyVerb,
    context::{Context, read_text},
    failure::{Done, Failure},
};

/// Longest policy that is read, in bytes: 256 measurements, each with 1.5 KiB of texts.
const MAX_POLICY: u64 = 1024 * 1024;

pub(crate) fn run(context: &Context, verb: PolicyVerb) -> Done {
    match verb {
        PolicyVerb::Show { version_number } => {
            let policy = of_chain(context, version_number)?;
            print(context, &policy);
            Ok(())
        }
        PolicyVerb::Production => {
            print(context, &Policy::production());
            Ok(())
        }
        PolicyVerb::Check { file } => {
            let policy = read(&file)?;
            let digest = policy_digest(&policy).to_string();
            let value = json!({
                "valid": true,
                "version": policy.version,
                "digest": digest,
                "measurements": policy.measurements.len(),
            });
            context
                .output
                .result(&value, || format!("ok: version {}\n{digest}", policy.version));
            Ok(())
        }
        PolicyVerb::Diff { from, to } => {
            let (from, to) = (named(context, &from)?, named(context, &to)?);
            context.output.result(&compared(&from, &to), || lines(&from, &to));
            Ok(())
        }
    }
}

/// A usable policy from a JSON file.
pub(crate) fn read(path: &Path) -> Done<Policy> {
    let policy: Policy = serde_json::from_str(&read_text(path, MAX_POLICY)?)
        .map_err(|error| Failure::new("config.invalid", format!("{}: {error}", path.display())))?;
    policy
        .validate()
        .map_err(|refusal| Failure::new(refusal.code(), format!("{}: {refusal}", path.display())))?;
    Ok(policy)
}

/// A policy of the chain, as the node shows it. Nothing here is verified; wallets verify the one in force.
fn of_chain(context: &Context, version: Option<u64>) -> Done<Policy> {
    let transport = context.http()?;
    let path = version.map_or_else(
        || "/v1/policy".to_owned(),
        |number| format!("/v1/policy/{number}"),
    );
    let page = Api::new(&transport).page(&path, 0)?;
    let bytes = page["bytes"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    let bound = usize::try_from(MAX_POLICY).unwrap_or(usize::MAX);
    decode(&bytes, bound)
        .map_err(|error| Failure::new("rpc.bad_answer", format!("{path}: the policy: {error}")))
}

/// What a word of `policy diff` means: a version of the chain, the default, or a file.
fn named(context: &Context, word: &str) -> Done<Policy> {
    if let Ok(version) = word.parse() {
        return of_chain(context, Some(version));
    }
    match word {
        "production" => Ok(Policy::production()),
        path => read(Path::new(path)),
    }
}

/// The JSON that `gov propose` and `genesis create` take; for people over several lines.
fn print(context: &Context, policy: &Policy) {
    context.output.result(policy, || {
        serde_json::to_string_pretty(policy).unwrap_or_default()
    });
}

/// What changes, field by field, and in which direction.
pub(crate) fn compared(from: &Policy, to: &Policy) -> Value {
    let change = Policy::compare(from, to);
    let delay_ms = if change == Change::Loosens {
        from.loosening_delay_ms
    } else {
        0
    };
    json!({
        "from_version": from.version,
        "to_version": to.version,
        "change": change,
        "delay_ms": delay_ms,
        "fields": Policy::diff(from, to),
    })
}

/// A comparison for people.
pub(crate) fn lines(from: &Policy, to: &Policy) -> String {
    let mut text: String = Policy::diff(from, to)
        .into_iter()
        .map(|one| {
            format!(
                "{:<9} {}: {} -> {}\n",
                one.change.to_string(),
                one.field,
                one.old,
                one.new
            )
        })
        .collect();
    let change = Policy::compare(from, to);
    text.push_str(&match change {
        Change::Same => "in all: the same machines are admitted".to_owned(),
        Change::Tightens => "in all: tightens, in force from the next epoch once it is approved".to_owned(),
        Change::Loosens => {
            let delay = Duration::from_millis(from.loosening_delay_ms);
            format!(
                "in all: loosens, in force {} after its approval",
                humantime::format_duration(delay)
            )
        }
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_fields_and_direction() {
        let old = Policy::production();
        let mut new = old.clone();
        new.version = 2;
        new.snp.vlek = true;
        let value = compared(&old, &new);
        assert_eq!(
            (&value["change"], &value["delay_ms"]),
            (&json!("loosens"), &json!(old.loosening_delay_ms))
        );
        let fields: Vec<_> = value["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["field"])
            .collect();
        assert_eq!(fields, ["version", "snp.vlek"]);
        let text = lines(&old, &new);
        assert!(
            text.contains("loosens   snp.vlek: false -> true\n") && text.contains("3days after"),
            "{text}"
        );
        assert_eq!(compared(&old, &old)["change"], "same");
    }

    #[test]
    fn a_policy_survives_its_file_and_a_broken_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        let policy = Policy::production();
        std::fs::write(&path, serde_json::to_string_pretty(&policy).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), policy);
        let mut broken = policy;
        broken.snp.min_tcb.clear();
        std::fs::write(&path, serde_json::to_string(&broken).unwrap()).unwrap();
        assert_eq!(read(&path).err().unwrap().code, "attest.policy_invalid");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).err().unwrap().code, "config.invalid");
    }
}
