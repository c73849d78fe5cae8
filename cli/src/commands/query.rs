//! `tacit query`: public pages as the node shows them. Nothing here is verified; `tacit wallet` verifies.

use std::time::Duration;

use serde_json::{Value, json};
use tacit_wallet::{Api, MAX_WAIT_MS, Until};

use crate::{
    args::QueryVerb,
    context::{Context, hash},
    failure::{Done, Failure},
    output::printable,
};

/// Longest value that is shown to people, in characters.
const MAX_SHOWN: usize = 100;
/// Pause before a node is asked again for a transaction that it does not know.
const BEAT: Duration = Duration::from_millis(200);
/// Longest value in a table, in characters: the beginning of a hash tells it from others.
const MAX_CELL: usize = 24;

/// What people see of a list: a column's title, and where its value stands in an item.
pub(crate) type Columns = [(&'static str, &'static str)];

const BLOCKS: [(&str, &str); 8] = [
    ("height", "/height"),
    ("time", "/time"),
    ("epoch", "/epoch"),
    ("view", "/view"),
    ("txs", "/tx_count"),
    ("bytes", "/bytes"),
    ("proposer", "/proposer_name"),
    ("hash", "/hash"),
];
const VALIDATORS: [(&str, &str); 7] = [
    ("name", "/name"),
    ("status", "/status"),
    ("platform", "/platform"),
    ("power", "/power"),
    ("evidence until", "/evidence/expires_at"),
    ("measurement", "/measurement"),
    ("consensus key", "/id"),
];
const EPOCHS: [(&str, &str); 7] = [
    ("epoch", "/number"),
    ("reason", "/reason"),
    ("from height", "/valid_from_height"),
    ("started", "/started"),
    ("ends", "/ends_at"),
    ("policy", "/policy_version"),
    ("key", "/key_id"),
];

pub(crate) fn run(context: &Context, verb: QueryVerb) -> Done {
    match verb {
        QueryVerb::Status => page(context, "/v1/status"),
        QueryVerb::Node => page(context, "/v1/node"),
        QueryVerb::Forecast => page(context, "/v1/forecast"),
        QueryVerb::Block { block, txs } => {
            let block = segment(&block)?;
            if !txs {
                return page(context, &format!("/v1/blocks/{block}"));
            }
            let transport = context.http()?;
            let api = Api::new(&transport);
            let mut shown = api.page(&format!("/v1/blocks/{block}"), 0)?;
            // By its hash, so that both answers are about one block.
            let id = shown["hash"].as_str().unwrap_or(block).to_owned();
            shown["txs"] = api.page(&format!("/v1/blocks/{}/txs", segment(&id)?), 0)?["items"].take();
            show(context, &shown);
            Ok(())
        }
        QueryVerb::Blocks { page: at } => rows(context, &list("/v1/blocks", at.limit, at.after), &BLOCKS),
        QueryVerb::Tx { id, wait } => transaction(context, &id, wait.as_deref()),
        QueryVerb::Receipt { id } => receipt(context, &id),
        QueryVerb::Validators => rows(context, "/v1/validators", &VALIDATORS),
        QueryVerb::Validator { id } => page(context, &format!("/v1/validators/{}", segment(&id)?)),
        QueryVerb::Epoch { epoch } => page(context, &format!("/v1/epochs/{}", segment(&epoch)?)),
        QueryVerb::Epochs { page: at } => rows(context, &list("/v1/epochs", at.limit, at.after), &EPOCHS),
        QueryVerb::Policy { version_number: None } => page(context, "/v1/policy"),
        QueryVerb::Policy {
            version_number: Some(version),
        } => page(context, &format!("/v1/policy/{version}")),
        QueryVerb::Events { types, after, limit } => events(context, &types, after.as_deref(), limit),
    }
}

fn list(path: &str, limit: u16, after: Option<u64>) -> String {
    let after = after.map_or_else(String::new, |after| format!("&after={after}"));
    format!("{path}?limit={limit}{after}")
}

/// A word that is put into a path: nothing that could lead elsewhere.
fn segment(text: &str) -> Done<&str> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain && (1..=64).contains(&text.len()) {
        Ok(text)
    } else {
        Err(Failure::usage(format!(
            "{text:?} names nothing here: letters, digits and -"
        )))
    }
}

fn page(context: &Context, path: &str) -> Done {
    let transport = context.http()?;
    show(context, &Api::new(&transport).page(path, 0)?);
    Ok(())
}

/// A list: all of it as JSON, a table for people.
fn rows(context: &Context, path: &str, columns: &Columns) -> Done {
    let transport = context.http()?;
    let list = Api::new(&transport).page(path, 0)?;
    context.output.result(&list, || {
        let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        table(columns, items)
    });
    if !context.output.json() && !list["next"].is_null() {
        context
            .output
            .note("more", format!("--after {}", word(&list["next"])));
    }
    Ok(())
}

/// Titles and one line an item, in columns as wide as they must be.
pub(crate) fn table(columns: &Columns, items: &[Value]) -> String {
    let cell = |item: &Value, pointer: &str| {
        let text = item.pointer(pointer).map_or_else(|| "-".to_owned(), word);
        if text.chars().count() > MAX_CELL {
            text.chars().take(16).chain("...".chars()).collect()
        } else {
            text
        }
    };
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let cells = |item: &Value| columns.iter().map(|(_, at)| cell(item, at)).collect();
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(items.iter().map(cells)).collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: &Vec<String>| -> String {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}  "));
        let line: String = padded.collect();
        format!("{}\n", line.trim_end())
    };
    lines.iter().map(line).collect()
}

fn show(context: &Context, value: &Value) {
    context.output.result(value, || render(value));
}

fn transaction(context: &Context, id: &str, wait: Option<&str>) -> Done {
    let id = hash(id)?;
    let transport = context.http()?;
    let api = Api::new(&transport);
    if let Some(state) = wait {
        let until = if state == "receipt" {
            Until::Receipt
        } else {
            Until::Committed
        };
        let patience = u64::try_from(context.global.timeout.as_millis()).unwrap_or(u64::MAX);
        let started = std::time::Instant::now();
        loop {
            let waited = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let left = patience.saturating_sub(waited);
            let answer = match api.transaction(&id, left.min(MAX_WAIT_MS), until) {
                // Sent elsewhere, it appears here once it is committed; the node does not wait for what it never saw.
                Err(tacit_wallet::Error::Refused {
                    code: "tx.not_found", ..
                }) if left > 0 => {
                    beat(Duration::from_millis(left).min(BEAT));
                    continue;
                }
                other => other?,
            };
            let there = answer.status == "committed" && (until == Until::Committed || answer.receipt_ready);
            if there {
                break;
            }
            if answer.status == "expired" {
                return Err(Failure::new(
                    "tx.expired",
                    format!("transaction {id} expired before it was committed"),
                ));
            }
            if left == 0 {
                return Err(Failure::new(
                    "wait.timeout",
                    format!("transaction {id} is not {state} after {waited} ms"),
                ));
            }
        }
    }
    show(context, &api.page(&format!("/v1/txs/{id}"), 0)?);
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a node offers nothing to wait on for a transaction that it has not seen"
)]
fn beat(time: Duration) {
    std::thread::sleep(time);
}

fn receipt(context: &Context, id: &str) -> Done {
    let id = hash(id)?;
    let transport = context.http()?;
    let api = Api::new(&transport);
    if api.receipt(&id)?.is_none() {
        return Err(Failure::new(
            "receipt.pending",
            format!("no certified header covers transaction {id} yet"),
        ));
    }
    show(context, &api.page(&format!("/v1/txs/{id}/receipt"), 0)?);
    Ok(())
}

/// Server-sent events as JSON, one a line: `{"id","event","data"}`.
fn events(context: &Context, types: &str, after: Option<&str>, limit: Option<u64>) -> Done {
    for one in types.split(',') {
        segment(one)?;
    }
    let after = after
        .map(segment)
        .transpose()?
        .map_or_else(String::new, |after| format!("&after={after}"));
    let transport = context.http()?;
    let (mut id, mut event, mut data) = (String::new(), String::new(), String::new());
    let mut seen = 0;
    transport.follow(&format!("/v1/events?types={types}{after}"), &mut |line| {
        if let Some((field, value)) = line.split_once(':') {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut id),
                "event" => value.clone_into(&mut event),
                "data" => data.push_str(value),
                _ => {}
            }
        } else if line.is_empty() && !data.is_empty() {
            let parsed: Value = serde_json::from_str(&data).unwrap_or_else(|_| data.clone().into());
            context
                .output
                .document(&json!({ "id": id, "event": event, "data": parsed }));
            data.clear();
            seen += 1;
            return limit.is_none_or(|limit| seen < limit);
        }
        true
    })?;
    Ok(())
}

/// A JSON page for people: one `name value` a line, lists as blocks.
pub(crate) fn render(value: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let width = lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    lines
        .into_iter()
        .map(|(name, text)| format!("{name:<width$}  {text}\n"))
        .collect()
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    let below = |key: &str| {
        if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}.{key}")
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| flatten(&below(key), value, lines)),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| flatten(&below(&at.to_string()), item, lines));
        }
        Value::Array(items) => {
            let words: Vec<String> = items.iter().map(word).collect();
            lines.push((name.to_owned(), words.join(" ")));
        }
        other => lines.push((name.to_owned(), word(other))),
    }
}

fn word(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    };
    if text.chars().count() > MAX_SHOWN {
        text.chars().take(MAX_SHOWN).chain("...".chars()).collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_become_lines_that_line_up() {
        let page = json!({ "a": 1, "list": [{ "b": "x" }, { "b": null }], "words": ["p", "q"], "c": { "long": "y".repeat(200) } });
        let text = render(&page);
        assert!(
            text.contains("list.0.b  x\n")
                && text.contains("list.1.b  -\n")
                && text.contains("words     p q\n")
        );
        assert!(text.lines().all(|line| line.len() < 130), "{text}");
    }

    #[test]
    fn lists_become_tables_and_hashes_their_beginnings() {
        let items = [
            json!({ "height": 7, "hash": "ab".repeat(32) }),
            json!({ "height": 12_345 }),
        ];
        let text = table(&[("height", "/height"), ("hash", "/hash")], &items);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            ["height  hash", "7       abababababababab...", "12345   -"]
        );
    }

    #[test]
    fn words_do_not_lead_out_of_their_path() {
        assert!(segment("val-2").is_ok());
        for bad in ["", "../x", "a/b", "a?b", "a b", "%2e", &"a".repeat(65)] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
