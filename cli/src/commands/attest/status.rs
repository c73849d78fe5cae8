//! `tacit attest status`: until when each validator's evidence is accepted, as the node forecasts it.

use std::process::ExitCode;

use serde_json::{Value, json};
use tacit_ledger::codes;
use tacit_wallet::Api;

use crate::{
    context::Context,
    failure::{Done, Failure},
    output::printable,
};

/// Exit code of a refusal whose code this release does not know.
const REFUSED: u8 = 6;

/// Prints the forecast. It fails when a validator is refused today; strictly, also when a policy that is adopted, or
/// the vendor's next level, would refuse one.
pub(crate) fn run(context: &Context, name: Option<&str>, strict: bool) -> Done<ExitCode> {
    let transport = context.http()?;
    let api = Api::new(&transport);
    let page = api.page("/v1/validators", 0)?;
    let items = page["items"]
        .as_array()
        .ok_or_else(|| Failure::new("rpc.bad_answer", "/v1/validators is no list"))?;
    let chosen: Vec<&Value> = items
        .iter()
        .filter(|item| name.is_none_or(|name| item["name"] == name || item["id"] == name))
        .collect();
    if chosen.is_empty() {
        let message = format!("{:?} is not registered", name.unwrap_or_default());
        return Err(Failure::new("validator.not_found", message));
    }
    if chosen
        .iter()
        .all(|item| item["outlook"].as_array().is_none_or(Vec::is_empty))
    {
        return Err(
            Failure::new("rpc.bad_answer", "this node makes no forecast").hint("ask a node of this release")
        );
    }
    let refused: Vec<&Value> = chosen
        .iter()
        .flat_map(|item| sets(item))
        .filter(|set| set["accepted"] == false && counts(set, strict))
        .collect();
    let value = json!({
        "accepted": refused.is_empty(),
        "strict": strict,
        "validators": chosen.iter().map(|item| shown(item)).collect::<Vec<_>>(),
    });
    context
        .output
        .result(&value, || chosen.iter().map(|item| text(item)).collect());
    Ok(refused.first().map_or(ExitCode::SUCCESS, |set| {
        let row = set["code"].as_str().and_then(codes::lookup);
        ExitCode::from(row.map_or(REFUSED, |row| row.exit))
    }))
}

/// A validator's prospects, today's rules first.
fn sets(item: &Value) -> &[Value] {
    item["outlook"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a refusal under these rules is a failure. What is only proposed may never come.
fn counts(set: &Value, strict: bool) -> bool {
    match set["set"].as_str() {
        Some("today") => true,
        Some("pending" | "next") => strict,
        _ => false,
    }
}

fn shown(item: &Value) -> Value {
    json!({
        "name": item["name"],
        "status": item["status"],
        "platform": item["platform"],
        "measurement": item["measurement"],
        "evidence": item["evidence"],
        "outlook": item["outlook"],
    })
}

fn text(item: &Value) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), printable);
    let evidence = &item["evidence"];
    let mut lines = vec![
        word(&item["name"]),
        format!("  {:<22} {}", "platform", word(&item["platform"])),
        format!("  {:<22} {}", "measurement", word(&item["measurement"])),
        format!(
            "  {:<22} recorded at {}, under policy version {}",
            "evidence", evidence["recorded_at_height"], evidence["policy_version"]
        ),
    ];
    for set in sets(item) {
        let under = match set["set"].as_str() {
            Some("today") => "today".to_owned(),
            Some("next") => format!("vendor's level {}", set["evaluation"]),
            kind => format!("policy {} ({})", set["policy_version"], kind.unwrap_or("?")),
        };
        let verdict = if set["accepted"] == true {
            format!("accepted until {}", word(&set["until"]))
        } else {
            format!("REFUSED [{}]", word(&set["code"]))
        };
        lines.push(format!("  {under:<22} {verdict}"));
        for (label, key) in [("", "cause"), ("-> ", "update")] {
            let said = word(&set[key]);
            if !matches!(said.as_str(), "" | "-") {
                lines.push(format!("  {:<22}   {label}{said}", ""));
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_decided_fails_and_the_future_only_strictly() {
        let set = |name: &str| json!({ "set": name });
        for (name, lenient, strict) in [
            ("today", true, true),
            ("pending", false, true),
            ("next", false, true),
            ("proposed", false, false),
        ] {
            assert_eq!(
                (counts(&set(name), false), counts(&set(name), true)),
                (lenient, strict),
                "{name}"
            );
        }
    }

    #[test]
    fn people_read_absolute_times_causes_and_remedies() {
        let item = json!({
            "name": "val-2",
            "platform": "simulated-tdx",
            "measurement": "6b1f",
            "evidence": { "recorded_at_height": 12, "policy_version": 1 },
            "outlook": [
                { "set": "today", "accepted": true, "until": "2026-11-29T10:00:00Z", "cause": "age", "update": "" },
                { "set": "pending", "policy_version": 2, "accepted": false, "code": "attest.tcb_below_floor",
                  "cause": "microcode has 1,\u{1b}[2J needs 4", "update": "the BIOS" },
            ],
        });
        let said = text(&item);
        assert!(
            said.contains("today                  accepted until 2026-11-29T10:00:00Z\n"),
            "{said}"
        );
        assert!(
            said.contains("policy 2 (pending)     REFUSED [attest.tcb_below_floor]\n"),
            "{said}"
        );
        assert!(said.contains("-> the BIOS") && !said.contains('\u{1b}'), "{said}");
    }
}
