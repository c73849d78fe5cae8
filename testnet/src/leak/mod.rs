//! Searching everything that a host operator can see for words that must stay sealed.
//!
//! ```text
//! searched      node homes with all their files, logs, every public API answer of the live nodes, given captures
//! not searched  the clients' wallets (they may know the word), the memory of processes
//! ```
//! Limits: contents that were compressed or encrypted hide a word from a scan; so does a form that is not in
//! [`Encoding`]. Nodes store without compression, so what is written in the clear is met.

mod capture;
mod control;
mod encoding;
mod scan;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

pub use capture::Captured;
pub use control::Control;
pub use encoding::{Encoding, MAX_WORD, MIN_WORD, Word};
pub use scan::{Extent, Hit};

use crate::error::{Error, io_error};
use crate::facts::Facts;
use crate::process::{self, ProcessState};
use scan::{Findings, Scanner};

/// Words in one scan, at most.
pub const MAX_WORDS: usize = 64;

/// One kind of place and how much of it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Searched {
    /// `disks`, `logs`, `http`, `captures`.
    pub what: &'static str,
    /// How many of them: nodes, logs, nodes asked, files given.
    pub places: u64,
    /// Files and bytes.
    #[serde(flatten)]
    pub extent: Extent,
}

/// What a scan did and found.
#[derive(Clone, Debug, Serialize)]
pub struct LeakReport {
    /// Words searched for, by their labels.
    pub words: Vec<String>,
    /// Forms searched for.
    pub encodings: Vec<Encoding>,
    /// Whether the scanner finds what was planted.
    pub control: Control,
    /// What was searched.
    pub searched: Vec<Searched>,
    /// What the live nodes were asked.
    pub captured: Vec<Captured>,
    /// Occurrences, all of them.
    pub occurrences: u64,
    /// The first hundred.
    pub hits: Vec<Hit>,
    /// What this scan says nothing about.
    pub not_searched: Vec<String>,
}

impl LeakReport {
    /// None when the scanner works and found nothing, else the code to end with: `leak.control_missing` (the scan proves
    /// nothing), `leak.found`.
    pub fn code(&self) -> Option<&'static str> {
        if self.occurrences > 0 {
            Some("leak.found")
        } else if !self.control.passed() {
            Some("leak.control_missing")
        } else {
            None
        }
    }

    /// Files and bytes in all.
    pub fn total(&self) -> Extent {
        self.searched.iter().fold(Extent::default(), |sum, one| Extent {
            files: sum.files + one.extent.files,
            bytes: sum.bytes + one.extent.bytes,
            vanished: sum.vanished + one.extent.vanished,
        })
    }
}

/// Searches the network in `dir`, running or not, and `captures` (files or folders, such as packet dumps) for `words`.
pub fn leakscan(dir: &Path, words: &[Word], captures: &[PathBuf]) -> Result<LeakReport, Error> {
    if words.is_empty() || words.len() > MAX_WORDS {
        return Err(Error::Usage(format!(
            "1 to {MAX_WORDS} words, not {}",
            words.len()
        )));
    }
    if let Some(word) = words.iter().find(|word| !word.fits()) {
        let what = format!(
            "{}: a word has {MIN_WORD} to {MAX_WORD} bytes; shorter ones occur by chance",
            word.label()
        );
        return Err(Error::Usage(what));
    }
    let dir = fs::canonicalize(dir).map_err(|_| Error::Absent {
        dir: dir.to_path_buf(),
    })?;
    let facts = Facts::read(&dir)?;
    let scratch = Scratch::new(&dir)?;
    let report = scan(&facts, &scratch.0, words, captures);
    scratch.delete()?;
    report
}

fn scan(facts: &Facts, scratch: &Path, words: &[Word], captures: &[PathBuf]) -> Result<LeakReport, Error> {
    // Before anything is planted, so that scratch never meets a running node's eyes: it lies outside their homes.
    let saved = scratch.join("http");
    let mut captured = Vec::new();
    for node in &facts.nodes {
        if matches!(process::find(&node.home), Some((_, ProcessState::Running))) {
            captured.push(capture::capture(node, &saved.join(&node.name))?);
        }
    }

    let scanner = Scanner::new(words);
    let mut findings = Findings::default();
    let mut searched = Vec::new();
    let mut look = |what, paths: &[PathBuf], skip: &dyn Fn(&Path) -> bool| -> Result<(), Error> {
        let mut extent = Extent::default();
        for path in paths {
            let one = scanner.tree(path, skip, &mut findings)?;
            extent.files += one.files;
            extent.bytes += one.bytes;
            extent.vanished += one.vanished;
        }
        let places = if what == "http" {
            captured.len()
        } else {
            paths.len()
        } as u64;
        searched.push(Searched { what, places, extent });
        Ok(())
    };
    let homes: Vec<PathBuf> = facts.nodes.iter().map(|node| node.home.clone()).collect();
    let logs: Vec<PathBuf> = facts
        .nodes
        .iter()
        .map(|node| node.log.clone())
        .filter(|log| log.exists())
        .collect();
    let asked: Vec<PathBuf> = if captured.is_empty() {
        Vec::new()
    } else {
        vec![saved.clone()]
    };
    for path in captures {
        if !path.exists() {
            return Err(Error::Usage(format!("no capture {}", path.display())));
        }
    }
    let is_log = |path: &Path| logs.iter().any(|log| log == path);
    look("disks", &homes, &is_log)?;
    look("logs", &logs, &|_| false)?;
    look("http", &asked, &|_| false)?;
    look("captures", captures, &|_| false)?;

    let disk = homes.iter().find_map(|home| largest(home, &is_log));
    let http = asked.iter().find_map(|folder| largest(folder, &|_| false));
    let capture = captures.iter().find_map(|path| largest(path, &|_| false));
    let mut places = vec![
        ("disks", disk.as_deref()),
        ("logs", logs.first().map(PathBuf::as_path)),
    ];
    if http.is_some() {
        places.push(("http", http.as_deref()));
    }
    if capture.is_some() {
        places.push(("captures", capture.as_deref()));
    }
    let control = control::run(scratch, words, &scanner, &places)?;

    let mut not_searched = vec![
        "process memory: not protected on a simulated TEE".to_string(),
        "the clients' wallets".to_string(),
    ];
    if captured.is_empty() {
        not_searched.push("API answers: no node is running".into());
    }
    for one in &captured {
        if one.truncated {
            not_searched.push(format!("the oldest blocks in the API answers of {}", one.node));
        }
        if let Some(why) = &one.failed {
            not_searched.push(format!("some API answers of {}: {why}", one.node));
        }
    }
    Ok(LeakReport {
        words: words.iter().map(|word| word.label().to_string()).collect(),
        encodings: Encoding::ALL.to_vec(),
        control,
        searched,
        captured,
        occurrences: findings.total,
        hits: findings.hits,
        not_searched,
    })
}

/// The largest file under `root`: the one most like what the scan has to cope with.
fn largest(root: &Path, skip: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut best: Option<(u64, PathBuf)> = None;
    let mut todo = vec![root.to_path_buf()];
    while let Some(path) = todo.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        if meta.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path()),
            );
        } else if meta.is_file() && !skip(&path) && best.as_ref().is_none_or(|(size, _)| *size < meta.len()) {
            best = Some((meta.len(), path));
        }
    }
    best.map(|(_, path)| path)
}

/// A folder beside the nodes' homes, never within one, that is gone again however the scan ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(dir: &Path) -> Result<Scratch, Error> {
        let path = dir.join(format!(".leakscan-{}", std::process::id()));
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io_error("delete", &path)(e)),
            _ => {}
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(io_error("create", &path))?;
        Ok(Scratch(path))
    }

    fn delete(self) -> Result<(), Error> {
        fs::remove_dir_all(&self.0).map_err(io_error("delete", &self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "the meeting is at nine";

    /// A stopped network of one node with a home, a log and a wallet that knows the secret.
    fn network(dir: &Path) -> PathBuf {
        let facts = crate::facts::tests::sample(dir);
        let home = facts.nodes[0].home.clone();
        fs::create_dir_all(home.join("db")).unwrap();
        fs::create_dir_all(dir.join("wallets")).unwrap();
        fs::write(home.join("db/000001.sst"), [7; 5_000]).unwrap();
        fs::write(home.join("node.log"), "committed 1846 txs=1\n").unwrap();
        fs::write(dir.join("wallets/sent.json"), SECRET).unwrap();
        facts.write(dir).unwrap();
        home
    }

    #[test]
    fn a_clean_network_passes_with_a_control_that_found_everything() {
        let dir = tempfile::tempdir().unwrap();
        network(dir.path());
        let report = leakscan(dir.path(), &[Word::text("the message", SECRET)], &[]).unwrap();
        assert_eq!(report.code(), None, "{report:?}");
        assert_eq!((report.occurrences, report.control.planted), (0, 22));
        assert_eq!((report.total().files, report.total().bytes), (2, 5_021));
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(
            left.iter()
                .all(|name| !name.to_string_lossy().contains("leakscan")),
            "{left:?}"
        );
        let json = serde_json::to_string(&report).unwrap();
        assert!(!json.contains(SECRET));
        assert!(json.contains("not_searched"));
    }

    #[test]
    fn a_leak_is_found_on_disk_in_a_log_and_in_a_capture() {
        let dir = tempfile::tempdir().unwrap();
        let home = network(dir.path());
        fs::write(home.join("db/000002.log"), hex::encode(SECRET)).unwrap();
        fs::write(home.join("node.log"), format!("error: {SECRET}")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let capture = elsewhere.path().join("p2p.pcap");
        fs::write(
            &capture,
            SECRET
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
        )
        .unwrap();
        let report = leakscan(dir.path(), &[Word::text("the message", SECRET)], &[capture]).unwrap();
        assert_eq!(report.code(), Some("leak.found"));
        let mut found: Vec<Encoding> = report.hits.iter().map(|hit| hit.encoding).collect();
        found.sort();
        assert_eq!(found, [Encoding::Raw, Encoding::HexLower, Encoding::Utf16Le]);
        assert_eq!(report.occurrences, 3);
    }

    #[test]
    fn what_would_prove_nothing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let word = Word::text("w", SECRET);
        assert!(matches!(
            leakscan(dir.path(), std::slice::from_ref(&word), &[]),
            Err(Error::Absent { .. })
        ));
        network(dir.path());
        assert!(matches!(leakscan(dir.path(), &[], &[]), Err(Error::Usage(_))));
        assert!(matches!(
            leakscan(dir.path(), &[Word::text("w", "nine")], &[]),
            Err(Error::Usage(_))
        ));
        let nowhere = [dir.path().join("nowhere")];
        assert!(matches!(
            leakscan(dir.path(), &[word], &nowhere),
            Err(Error::Usage(_))
        ));
    }
}
