//! What an outsider gets from a node by asking: every public page, saved whole for the scan.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, io_error};
use crate::facts::NodeFacts;
use crate::http::Client;

/// Answers kept from one node: a chain of some thousand blocks; what is left out is said in the report.
const MAX_PAGES: usize = 6_000;
/// A node that answers slower than this is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was asked of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Captured {
    /// The node.
    pub node: String,
    /// Answers saved.
    pub pages: u64,
    /// Whether the chain was longer than what one capture takes.
    pub truncated: bool,
    /// Why the node could not be asked to the end, if so.
    pub failed: Option<String>,
}

/// The pages that do not depend on the chain's length.
const FIXED: [&str; 13] = [
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/v1/status",
    "/v1/genesis",
    "/v1/policy",
    "/v1/epochs/current",
    "/v1/blocks/latest",
    "/v1/light/bundle?from=0",
    "/v1/validators",
    // Answers to what is not there quote what was asked and may quote more.
    "/v1/txs/0000000000000000000000000000000000000000000000000000000000000000",
    "/no-such-page",
];

/// Saves every public page of one node under `folder`. A node that does not answer is no error: it is in the report.
pub(crate) fn capture(node: &NodeFacts, folder: &Path) -> Result<Captured, Error> {
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let mut visit = Visit {
        client: Client::new(PATIENCE),
        base: node.rpc.clone(),
        folder,
        seen: BTreeSet::new(),
        report: Captured {
            node: node.name.clone(),
            ..Captured::default()
        },
    };
    match visit.all() {
        Ok(()) => {}
        Err(e @ Error::Api { .. }) => visit.report.failed = Some(e.to_string()),
        Err(e) => return Err(e),
    }
    Ok(visit.report)
}

struct Visit<'a> {
    client: Client,
    base: String,
    folder: &'a Path,
    seen: BTreeSet<String>,
    report: Captured,
}

impl Visit<'_> {
    fn all(&mut self) -> Result<(), Error> {
        for path in FIXED {
            self.page(path)?;
        }
        for validator in self.list("/v1/validators")? {
            for key in ["name", "id", "consensus_key"] {
                if let Some(key) = validator
                    .get(key)
                    .and_then(Value::as_str)
                    .filter(|key| plain(key))
                {
                    self.page(&format!("/v1/validators/{key}"))?;
                    self.page(&format!("/v1/validators/{key}/evidence"))?;
                }
            }
        }
        for epoch in self.list("/v1/epochs")? {
            if let Some(number) = epoch.get("number").and_then(Value::as_u64) {
                self.page(&format!("/v1/epochs/{number}"))?;
            }
        }
        for block in self.list("/v1/blocks")? {
            let Some(height) = block.get("height").and_then(Value::as_u64) else {
                continue;
            };
            self.page(&format!("/v1/blocks/{height}"))?;
            self.page(&format!("/v1/blocks/{height}/commit"))?;
            for tx in self.list(&format!("/v1/blocks/{height}/txs"))? {
                let id = tx.get("tx_id").or_else(|| tx.get("id")).and_then(Value::as_str);
                if let Some(id) = id.filter(|id| plain(id)) {
                    self.page(&format!("/v1/txs/{id}"))?;
                    self.page(&format!("/v1/txs/{id}/receipt"))?;
                }
            }
        }
        Ok(())
    }

    /// All items of a cursor list, saving its pages.
    fn list(&mut self, path: &str) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        let mut at = format!("{path}?limit=200");
        while let Some(body) = self.page(&at)? {
            let Ok(mut page) = serde_json::from_slice::<Value>(&body) else {
                break;
            };
            if let Some(found) = page.get_mut("items").and_then(Value::as_array_mut) {
                items.append(found);
            }
            let next = match page.get("next") {
                Some(Value::String(cursor)) if plain(cursor) => cursor.clone(),
                Some(Value::Number(cursor)) => cursor.to_string(),
                _ => break,
            };
            at = format!("{path}?limit=200&after={next}");
        }
        Ok(items)
    }

    /// Saves one answer, head and body; gives the body, unless it was asked before or the capture is full.
    fn page(&mut self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        if self.seen.len() >= MAX_PAGES {
            self.report.truncated = true;
            return Ok(None);
        }
        if !self.seen.insert(path.to_string()) {
            return Ok(None);
        }
        let answer = self.client.get(&self.base, path)?;
        let file = self.folder.join(format!("{:06}.http", self.seen.len()));
        let mut bytes = format!("GET {path}\n{}\n", answer.head).into_bytes();
        bytes.extend_from_slice(&answer.body);
        fs::write(&file, bytes).map_err(io_error("write", &file))?;
        self.report.pages += 1;
        Ok(Some(answer.body))
    }
}

/// Whether a node's word may stand in a path as it is.
fn plain(word: &str) -> bool {
    (1..=128).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A node with one block in which there is one transaction; `stop` ends it.
    fn scripted(listener: TcpListener) {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).is_ok_and(|n| n > 2) {
                header.clear();
            }
            let path = line.split(' ').nth(1).unwrap();
            let body = match path {
                "/v1/blocks?limit=200" => r#"{"items":[{"height":2}],"next":"2"}"#,
                "/v1/blocks?limit=200&after=2" => r#"{"items":[{"height":1}],"next":null}"#,
                "/v1/blocks/2/txs?limit=200" => r#"{"items":[{"tx_id":"ab12"}],"next":null}"#,
                "/v1/txs/ab12" => "the transaction",
                "/stop" => return,
                _ => r#"{"items":[],"next":null}"#,
            };
            let head = "HTTP/1.1 200 OK\r\nX-Told: in-a-header\r\nConnection: close\r\nContent-Length";
            write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
        }
    }

    #[test]
    fn every_page_down_to_the_transactions_is_saved_with_its_headers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || scripted(listener));
        let dir = tempfile::tempdir().unwrap();
        let mut node = crate::facts::tests::sample(dir.path()).nodes.remove(0);
        node.rpc = base.clone();
        let folder = dir.path().join("capture");
        let report = capture(&node, &folder).unwrap();
        let _ = Client::new(PATIENCE).get(&base, "/stop");
        server.join().unwrap();

        assert_eq!(report.failed, None);
        assert!(!report.truncated);
        let saved: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| String::from_utf8(fs::read(entry.unwrap().path()).unwrap()).unwrap())
            .collect();
        assert_eq!(saved.len() as u64, report.pages);
        for path in FIXED
            .into_iter()
            .chain(["/v1/blocks/1/commit", "/v1/txs/ab12/receipt"])
        {
            assert!(
                saved
                    .iter()
                    .any(|text| text.starts_with(&format!("GET {path}\n"))),
                "{path}"
            );
        }
        assert!(saved.iter().any(|text| text.ends_with("the transaction")));
        assert!(saved.iter().all(|text| text.contains("in-a-header")));
    }

    #[test]
    fn a_silent_node_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut node = crate::facts::tests::sample(dir.path()).nodes.remove(0);
        node.rpc = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let report = capture(&node, &dir.path().join("capture")).unwrap();
        assert!(report.failed.is_some());
        assert_eq!(report.pages, 0);
    }
}
