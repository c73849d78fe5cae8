//! The page that a folder of figures makes.

use std::{fmt::Write as _, fs, io, path::Path};

use serde_json::{Map, Value};

/// A lane as the page introduces it.
struct Lane {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    command: &'static str,
}

const LANES: [Lane; 9] = [
    Lane {
        name: "swarm",
        title: "Whole replicas under every fault",
        about: "Consensus, ledger, mempool and keys of real replicas in one thread and virtual time, from a seed: \
                first under faults and adversaries, when nothing may fork, leak or be lost, then with a healthy core, \
                which must commit again.",
        command: "cargo test --release --locked -p tacit-tests --test swarm",
    },
    Lane {
        name: "stories",
        title: "The bare core in small worlds",
        about: "The consensus core alone, with an application that only counts: more worlds a second than whole \
                replicas allow.",
        command: "cargo test --release --locked -p tacit-tests --test consensus_sim",
    },
    Lane {
        name: "twins",
        title: "Twins",
        about: "Two unmodified replicas with one identity, as a cloned TEE would be: leaders, cuts and rounds \
                enumerated, equal ones by symmetry left out.",
        command: "cargo test --release --locked -p tacit-tests --test twins",
    },
    Lane {
        name: "explore",
        title: "Every state",
        about: "The real core at n = 4, f = 1 for two views, every order of events within stated bounds.",
        command: "cargo test --release --locked -p tacit-tests --test explore",
    },
    Lane {
        name: "oracle",
        title: "The reference model",
        about: "A small model, written from docs/protocol.md and sharing no code with the core, judges each \
                transition of traces.",
        command: "cargo test --release --locked -p tacit-tests --test oracle",
    },
    Lane {
        name: "inputs",
        title: "Bad inputs",
        about: "Mutated and malformed bytes for every decoder and every entry point of the network: refused, never a \
                panic, never more memory than stated.",
        command: "cargo test --release --locked -p tacit-tests --test inputs",
    },
    Lane {
        name: "processes",
        title: "Real processes",
        about: "Networks of the shipped binary on this machine, under load, killed, paused, cut, slowed, filled, set \
                back and flooded.",
        command: "cargo test --release --locked -p tacit-tests --test faults",
    },
    Lane {
        name: "planted",
        title: "Planted bugs",
        about: "The harness's own exam: bugs compiled in under `--cfg tacit_planted` and chosen at run time. Each must \
                be caught by the checker that exists for it.",
        command: "scripts/planted",
    },
    Lane {
        name: "baseline",
        title: "Beside hotstuff_rs",
        about: "The published crate and our core under the same payloads, in one run.",
        command: "cargo bench --locked -p tacit-tests --bench baseline",
    },
];

/// The page of the figures in `dir`. Lanes that did not run are said to be missing.
///
/// # Errors
/// When a file of figures cannot be read or is not what [`super::record`] writes.
pub fn page(dir: &Path) -> io::Result<String> {
    let mut page = String::from(include_str!("head.md"));
    for lane in &LANES {
        let path = dir.join(format!("{}.json", lane.name));
        let document: Option<Value> = match fs::read_to_string(&path) {
            Ok(text) => Some(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let soak = document
            .as_ref()
            .and_then(|document| document.get("soak")?.as_u64());
        let larger = soak.filter(|times| *times > 1);
        let larger = larger.map_or(String::new(), |times| format!("TACIT_SOAK={times} "));
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n    {larger}{}\n\n",
            lane.title, lane.about, lane.command
        );
        let Some(document) = document else {
            page.push_str("Not run for this page.\n");
            continue;
        };
        let said = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or("unknown");
        let _ = writeln!(
            page,
            "Commit {}; {}; load {} at the end.\n",
            said("commit"),
            said("machine"),
            said("load")
        );
        match document.get("figures") {
            Some(Value::Object(figures)) => tables(&mut page, figures),
            _ => return Err(io::Error::other(format!("{}: no figures", path.display()))),
        }
    }
    page.push('\n');
    page.push_str(include_str!("track.md"));
    Ok(page)
}

/// The plain figures as one table, and one more for each that has parts.
fn tables(page: &mut String, figures: &Map<String, Value>) {
    let plain = |value: &Value| !matches!(value, Value::Object(_)) && !is_rows(value);
    if figures.values().any(plain) {
        page.push_str("| | |\n|---|---|\n");
        for (name, value) in figures.iter().filter(|(_, value)| plain(value)) {
            let _ = writeln!(page, "| {name} | {} |", cell(value));
        }
    }
    for (name, value) in figures {
        match value {
            Value::Object(parts) => {
                let _ = write!(page, "\n| {name} | |\n|---|---|\n");
                for (part, value) in parts {
                    let _ = writeln!(page, "| {part} | {} |", cell(value));
                }
            }
            Value::Array(rows) if is_rows(value) => rows_of(page, name, rows),
            _ => {}
        }
    }
}

fn is_rows(value: &Value) -> bool {
    matches!(value, Value::Array(rows) if !rows.is_empty() && rows.iter().all(Value::is_object))
}

/// Objects of the same keys, one a row.
fn rows_of(page: &mut String, name: &str, rows: &[Value]) {
    let Some(first) = rows.first().and_then(Value::as_object) else {
        return;
    };
    let columns: Vec<&String> = first.keys().collect();
    let heads: Vec<&str> = columns.iter().map(|column| column.as_str()).collect();
    let _ = write!(
        page,
        "\n{name}:\n\n| {} |\n|{}\n",
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    for row in rows {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| row.get(*column).map_or_else(String::new, cell))
            .collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

/// A figure as people read it: thousands apart, three digits behind the point at most.
fn cell(value: &Value) -> String {
    match value {
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => thousands(whole),
            (None, Some(real)) if real.abs() >= 100.0 => format!("{real:.0}"),
            (None, Some(real)) => format!("{real:.2}"),
            (None, None) => number.to_string(),
        },
        Value::String(text) => text.replace('|', "\\|"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn thousands(whole: u64) -> String {
    let digits = whole.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_become_tables_and_missing_lanes_are_said_to_be_missing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let document = json!({
            "commit": "abc", "machine": "2 cores", "load": "0.1", "soak": 20,
            "figures": {
                "worlds": 1_234_567, "hours": 2.5,
                "faults": { "loss": 10 },
                "bugs": [{ "name": "quorum | one", "seconds": 1 }],
            },
        });
        fs::write(dir.path().join("swarm.json"), document.to_string()).expect("written");
        let page = page(dir.path()).expect("a page");
        for line in [
            "    TACIT_SOAK=20 cargo test --release --locked -p tacit-tests --test swarm",
            "Commit abc; 2 cores; load 0.1 at the end.",
            "| worlds | 1,234,567 |",
            "| hours | 2.50 |",
            "| loss | 10 |",
            "| quorum \\| one | 1 |",
        ] {
            assert!(page.contains(line), "{line} in\n{page}");
        }
        assert_eq!(page.matches("Not run for this page.").count(), LANES.len() - 1);
    }

    #[test]
    fn a_file_that_is_not_figures_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("twins.json"), "{}").expect("written");
        assert!(page(dir.path()).is_err());
    }
}
