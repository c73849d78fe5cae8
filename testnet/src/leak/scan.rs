//! Searching files for many needles at once, without reading a file whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::encoding::{Encoding, Word, needles};
use crate::error::{Error, io_error};

/// Bytes read at once. Needles across the border are found: the end of each piece is looked at again.
pub(crate) const CHUNK: usize = 256 * 1024;
/// Hits that are listed; all are counted.
pub(crate) const MAX_HITS: usize = 100;

/// Where a word was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// The word's label.
    pub word: String,
    /// The form it was in.
    pub encoding: Encoding,
    /// The file.
    pub file: PathBuf,
    /// Distance from the file's begin, bytes; absent when the file's name holds it.
    pub offset: Option<u64>,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Files that were deleted by a running node before they could be read.
    pub vanished: u64,
}

/// Needles of all words, indexed by their first two bytes.
pub(crate) struct Scanner {
    needles: Vec<(usize, Encoding, Vec<u8>)>,
    starts: Vec<Vec<u16>>,
    labels: Vec<String>,
    longest: usize,
}

/// What a scan has found so far.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) hits: Vec<Hit>,
    pub(crate) total: u64,
    /// Word and form of every needle that was met at least once.
    pub(crate) met: BTreeSet<(usize, Encoding)>,
}

impl Scanner {
    pub(crate) fn new(words: &[Word]) -> Scanner {
        let mut scanner = Scanner {
            needles: Vec::new(),
            starts: vec![Vec::new(); 1 << 16],
            labels: words.iter().map(|word| word.label().to_string()).collect(),
            longest: 0,
        };
        for (i, word) in words.iter().enumerate() {
            for (encoding, needle) in needles(word) {
                scanner.longest = scanner.longest.max(needle.len());
                scanner.starts[start(needle[0], needle[1])].push(scanner.needles.len() as u16);
                scanner.needles.push((i, encoding, needle));
            }
        }
        scanner
    }

    /// The needles' words and forms.
    pub(crate) fn forms(&self) -> impl Iterator<Item = (usize, Encoding, &[u8])> {
        self.needles
            .iter()
            .map(|(word, encoding, needle)| (*word, *encoding, needle.as_slice()))
    }

    /// Every file under `root` (or `root` itself), names too. Links are not followed, and what is neither file nor
    /// folder (a socket) has no contents to search. `skip` leaves a folder or file out.
    pub(crate) fn tree(
        &self,
        root: &Path,
        skip: &dyn Fn(&Path) -> bool,
        findings: &mut Findings,
    ) -> Result<Extent, Error> {
        let mut extent = Extent::default();
        let mut todo = vec![root.to_path_buf()];
        while let Some(path) = todo.pop() {
            if skip(&path) {
                continue;
            }
            let kind = match fs::symlink_metadata(&path) {
                Ok(meta) => meta.file_type(),
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    extent.vanished += 1;
                    continue;
                }
                Err(e) => return Err(io_error("look at", &path)(e)),
            };
            if let Some(name) = path.file_name() {
                self.bytes(name.as_bytes(), &path, None, 0, findings);
            }
            if kind.is_dir() {
                match fs::read_dir(&path) {
                    Ok(entries) => {
                        for entry in entries {
                            todo.push(entry.map_err(io_error("list", &path))?.path());
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::NotFound => extent.vanished += 1,
                    Err(e) => return Err(io_error("list", &path)(e)),
                }
            } else if kind.is_file() {
                match File::open(&path) {
                    Ok(file) => {
                        extent.files += 1;
                        extent.bytes += self
                            .stream(file, &path, findings)
                            .map_err(io_error("read", &path))?;
                    }
                    Err(e) if e.kind() == ErrorKind::NotFound => extent.vanished += 1,
                    Err(e) => return Err(io_error("open", &path)(e)),
                }
            }
        }
        Ok(extent)
    }

    /// Searches a stream piece by piece; gives its length.
    fn stream(&self, mut from: impl Read, path: &Path, findings: &mut Findings) -> std::io::Result<u64> {
        let keep = self.longest.saturating_sub(1);
        let mut window = vec![0; keep + CHUNK];
        let (mut held, mut base) = (0, 0u64);
        loop {
            let n = match from.read(&mut window[held..]) {
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if n == 0 {
                return Ok(base + held as u64);
            }
            // A needle that ends within what was held has been counted.
            self.bytes(&window[..held + n], path, Some(base), held, findings);
            let end = held + n;
            let left = end.min(keep);
            window.copy_within(end - left..end, 0);
            base += (end - left) as u64;
            held = left;
        }
    }

    /// Searches `hay` for needles that end after `seen`.
    fn bytes(&self, hay: &[u8], path: &Path, base: Option<u64>, seen: usize, findings: &mut Findings) {
        for (at, pair) in hay.windows(2).enumerate() {
            let candidates = &self.starts[start(pair[0], pair[1])];
            if candidates.is_empty() {
                continue;
            }
            for number in candidates {
                let (word, encoding, needle) = &self.needles[usize::from(*number)];
                if at + needle.len() <= seen || !hay[at..].starts_with(needle) {
                    continue;
                }
                findings.total += 1;
                findings.met.insert((*word, *encoding));
                if findings.hits.len() < MAX_HITS {
                    findings.hits.push(Hit {
                        word: self.labels[*word].clone(),
                        encoding: *encoding,
                        file: path.to_path_buf(),
                        offset: base.map(|base| base + at as u64),
                    });
                }
            }
        }
    }
}

fn start(first: u8, second: u8) -> usize {
    usize::from(u16::from_be_bytes([first, second]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a given size, to move the borders.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(self.0.len()).min(to.len());
            to[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn a_word_is_found_once_wherever_the_pieces_are_cut() {
        let scanner = Scanner::new(&[Word::text("w", "the meeting is at nine")]);
        let mut hay = vec![b'.'; 200];
        hay.extend_from_slice(b"the meeting is at nine");
        hay.extend_from_slice(&[b'.'; 60]);
        for piece in 1..60 {
            let mut findings = Findings::default();
            let length = scanner
                .stream(Drip(&hay, piece), Path::new("f"), &mut findings)
                .unwrap();
            assert_eq!(length, hay.len() as u64);
            assert_eq!(findings.total, 1, "pieces of {piece}");
            assert_eq!(findings.hits[0].offset, Some(200), "pieces of {piece}");
        }
    }

    #[test]
    fn folders_names_and_links_are_handled() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("f"), "xx secret-word xx").unwrap();
        fs::write(deep.join("secret-word.txt"), "").unwrap();
        fs::write(dir.path().join("skipped"), "secret-word").unwrap();
        std::os::unix::fs::symlink("/dev/zero", deep.join("endless")).unwrap();
        let scanner = Scanner::new(&[Word::text("w", "secret-word")]);
        let mut findings = Findings::default();
        let skip = |path: &Path| path.ends_with("skipped");
        let extent = scanner.tree(dir.path(), &skip, &mut findings).unwrap();
        assert_eq!((extent.files, extent.bytes, extent.vanished), (2, 17, 0));
        assert_eq!(findings.total, 2);
        assert!(findings.hits.iter().any(|hit| hit.offset == Some(3)));
        assert!(findings.hits.iter().any(|hit| hit.offset.is_none()));
    }
}
