//! Reading the nodes' logs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, io_error};
use crate::pause::pause;

/// Last part of a log that an error shows, bytes.
const TAIL: u64 = 2_048;
/// How often a followed log is looked at.
const BEAT: Duration = Duration::from_millis(50);

/// Copies the last `lines` lines of `log` to `out`, all when absent. With `follow` it goes on with what is added,
/// until the function given says to stop.
pub(crate) fn copy(
    log: &Path,
    lines: Option<usize>,
    follow: Option<&dyn Fn() -> bool>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let fail = |e| io_error("read", log)(e);
    let mut file = File::open(log).map_err(fail)?;
    if let Some(lines) = lines {
        let at = line_start(&mut file, lines).map_err(fail)?;
        file.seek(SeekFrom::Start(at)).map_err(fail)?;
    }
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut chunk).map_err(fail)?;
        if n > 0 {
            let wrote = out.write_all(&chunk[..n]).and_then(|()| out.flush());
            wrote.map_err(io_error("copy", log))?;
            continue;
        }
        match follow {
            Some(stop) if !stop() => pause(BEAT),
            _ => return Ok(()),
        }
    }
}

/// Where the last `lines` lines begin.
fn line_start(file: &mut File, lines: usize) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let mut chunk = vec![0; 64 * 1024];
    // The newline that ends the last line begins none.
    let mut newlines = 0;
    let length = end;
    while end > 0 {
        let n = end.min(chunk.len() as u64);
        file.seek(SeekFrom::Start(end - n))?;
        let piece = &mut chunk[..n as usize];
        file.read_exact(piece)?;
        for (i, byte) in piece.iter().enumerate().rev() {
            let at = end - n + i as u64;
            if *byte == b'\n' && at + 1 < length {
                newlines += 1;
                if newlines == lines {
                    return Ok(at + 1);
                }
            }
        }
        end -= n;
    }
    Ok(0)
}

/// The end of a log, at most 2 KiB, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut end = Vec::new();
        file.take(TAIL).read_to_end(&mut end)?;
        Ok(end)
    };
    match read() {
        Ok(end) => String::from_utf8_lossy(&end).trim_end().to_string(),
        Err(e) => format!("(no log: {e})"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::OpenOptions;

    use super::*;

    fn copied(text: &str, lines: Option<usize>) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut out = Vec::new();
        copy(file.path(), lines, None, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_lines_are_the_last_lines() {
        assert_eq!(copied("a\nb\nc\n", Some(2)), "b\nc\n");
        assert_eq!(copied("a\nb\nc", Some(2)), "b\nc");
        assert_eq!(copied("a\nb\n", Some(9)), "a\nb\n");
        assert_eq!(copied("a\nb\n", Some(0)), "");
        assert_eq!(copied("a\nb\n", None), "a\nb\n");
        assert_eq!(copied("", Some(3)), "");
        let long = format!("first\n{}\nlast\n", "x".repeat(200_000));
        assert_eq!(copied(&long, Some(1)), "last\n");
        assert_eq!(copied(&long, Some(2)).len(), 200_006);
        assert_eq!(copied(&long, Some(3)), long);
    }

    #[test]
    fn what_is_added_later_is_followed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            if asked.get() == 1 {
                let mut file = OpenOptions::new().append(true).open(file.path()).unwrap();
                file.write_all(b"new\n").unwrap();
            }
            asked.get() > 2
        };
        let mut out = Vec::new();
        copy(file.path(), Some(1), Some(&stop), &mut out).unwrap();
        assert_eq!(out, b"old\nnew\n");
    }

    #[test]
    fn a_tail_is_short_and_a_missing_log_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "x".repeat(5_000)).unwrap();
        assert_eq!(tail(file.path()).len() as u64, TAIL);
        assert!(tail(Path::new("/nowhere/node.log")).contains("no log"));
    }
}
