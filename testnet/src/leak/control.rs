//! The positive control: a scan that cannot find a planted word proves nothing.
//!
//! For each kind of place that is searched, one real file is copied to scratch, and every word is planted in every
//! form into that copy: in the middle, and once across the border of two reads. The same scanner must find them all.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::encoding::{Encoding, Word, plant};
use super::scan::{CHUNK, Findings, Scanner};
use crate::error::{Error, io_error};

/// Of the file that is copied, at most this much, bytes.
const SAMPLE: u64 = 64 * 1024;

/// Whether the scanner works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Control {
    /// Words planted: one for each kind of place, word and form.
    pub planted: u64,
    /// Of these, found.
    pub found: u64,
    /// What was missed.
    pub missing: Vec<String>,
}

impl Control {
    /// Whether something was planted and all of it was found.
    pub fn passed(&self) -> bool {
        self.planted > 0 && self.found == self.planted && self.missing.is_empty()
    }
}

/// Plants and searches. `places` are the kinds of places with a file of each to copy, if there is one.
pub(crate) fn run(
    scratch: &Path,
    words: &[Word],
    scanner: &Scanner,
    places: &[(&'static str, Option<&Path>)],
) -> Result<Control, Error> {
    let mut control = Control::default();
    for (place, sample) in places {
        let sample = match sample {
            Some(path) => head(path)?,
            None => Vec::new(),
        };
        for (number, word) in words.iter().enumerate() {
            for encoding in Encoding::ALL {
                let Some(planted) = plant(word, encoding) else {
                    continue;
                };
                control.planted += 1;
                let folder = scratch.join("control");
                fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
                let found = [half(&sample), border(&planted)].into_iter().all(|at| {
                    let file = folder.join("copy");
                    let mut copy = sample.clone();
                    copy.resize(copy.len().max(at), b'\n');
                    copy.splice(at..at, planted.iter().copied());
                    if fs::write(&file, &copy).is_err() {
                        return false;
                    }
                    met(scanner, &folder, number, encoding, &planted)
                });
                fs::remove_dir_all(&folder).map_err(io_error("delete", &folder))?;
                if found {
                    control.found += 1;
                } else {
                    control
                        .missing
                        .push(format!("{} as {encoding:?} in {place}", word.label()));
                }
            }
        }
    }
    Ok(control)
}

/// Whether the scan of the folder meets this word in a form that the planted bytes contain.
fn met(scanner: &Scanner, folder: &Path, word: usize, encoding: Encoding, planted: &[u8]) -> bool {
    let mut findings = Findings::default();
    if scanner.tree(folder, &|_| false, &mut findings).is_err() {
        return false;
    }
    // One needle may stand for two forms that write this word alike.
    findings.met.contains(&(word, encoding))
        || scanner.forms().any(|(w, form, needle)| {
            w == word && contains(planted, needle) && findings.met.contains(&(word, form))
        })
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

fn half(sample: &[u8]) -> usize {
    sample.len() / 2
}

/// Where a word starts that the scanner's first read cuts in two.
fn border(planted: &[u8]) -> usize {
    CHUNK - planted.len() / 2
}

fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file
            .take(SAMPLE)
            .read_to_end(&mut bytes)
            .map_err(io_error("read", path))?,
        // A running node may have deleted it since it was chosen; the control works without a sample too.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
        Err(e) => return Err(io_error("open", path)(e)),
    };
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_working_scanner_passes_and_one_with_a_lost_needle_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let sample = dir.path().join("sample");
        fs::write(&sample, vec![0x5a; 10_000]).unwrap();
        let words = [
            Word::text("the text", "the meeting is at nine"),
            Word::bytes("the key", &[0xfb; 32]),
        ];
        let places: [(&str, Option<&Path>); 2] = [("homes", Some(&sample)), ("logs", None)];
        let control = run(dir.path(), &words, &Scanner::new(&words), &places).unwrap();
        assert!(control.passed(), "{control:?}");
        // Eleven forms of the text, nine of the key, which is no text; in two places.
        assert_eq!(control.planted, 2 * (11 + 9));
        assert!(!dir.path().join("control").exists());

        let deaf = Scanner::new(&words[..1]);
        let control = run(dir.path(), &words, &deaf, &places).unwrap();
        assert!(!control.passed());
        assert_eq!(control.missing.len(), 18);
        assert!(control.missing[0].starts_with("the key as Raw in homes"));
    }

    #[test]
    fn nothing_planted_is_no_pass() {
        assert!(!Control::default().passed());
    }
}
