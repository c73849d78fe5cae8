//! Data on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::args::{Color, Format, Global};

/// Where and how results are printed.
#[derive(Clone)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: u8,
    color: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        let json = global.json || global.output == Format::Json;
        Self {
            json,
            quiet: global.quiet,
            verbose: global.verbose,
            color,
        }
    }

    /// For arguments that did not parse: only what can be seen in them.
    pub(crate) fn unparsed(json: bool) -> Self {
        Self {
            json,
            quiet: false,
            verbose: 0,
            color: false,
        }
    }

    /// Whether stdout carries JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// How much more to say.
    pub(crate) fn verbose(&self) -> u8 {
        self.verbose
    }

    /// A result: one JSON document, or lines for people.
    pub(crate) fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            self.document(value);
        } else {
            let text = text();
            if !text.is_empty() {
                self.line(&text);
            }
        }
    }

    /// One JSON document on its own line.
    pub(crate) fn document(&self, value: &impl Serialize) {
        // Only strings, numbers and lists are printed: writing them cannot fail.
        self.line(&serde_json::to_string(value).unwrap_or_default());
    }

    /// Text on stdout. A reader that went away ends the command quietly, as for any filter.
    pub(crate) fn line(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
        if written.is_err() {
            std::process::exit(0);
        }
    }

    /// A labelled line on stderr for people.
    pub(crate) fn note(&self, label: &str, text: impl AsRef<str>) {
        if !self.quiet {
            self.stderr(&format!("  {label:<8} {}", text.as_ref()));
        }
    }

    /// Lines on stderr for people that carry their own labels.
    pub(crate) fn progress(&self, text: &str) {
        if !self.quiet {
            text.lines().for_each(|line| self.stderr(&format!("  {line}")));
        }
    }

    /// What must be seen each time, quiet or not.
    pub(crate) fn simulated(&self) {
        self.loud("SIMULATED TEE: this network has no hardware protection. For development only.");
    }

    /// That the chain's state was once in the hands of its recovery members; seen each time, too.
    pub(crate) fn recovered(&self, chain: &tacit_consensus::Digest, height: u64) {
        self.loud(&format!("RECOVERED from chain {chain} at height {height}."));
    }

    fn loud(&self, text: &str) {
        self.stderr(&if self.color {
            format!("  \x1b[1;31m{text}\x1b[0m")
        } else {
            format!("  {text}")
        });
    }

    /// An error's lines: label and text each, the first one the error itself.
    pub(crate) fn failure(&self, lines: &[(String, String)]) {
        for (at, (label, text)) in lines.iter().enumerate() {
            let line = match (at, self.color) {
                (0, true) => format!("\x1b[1;31m{label}\x1b[0m{text}"),
                (0, false) => format!("{label}{text}"),
                _ => format!("  {label:<10} {text}"),
            };
            self.stderr(&line);
        }
    }

    /// Nobody to tell that stderr is gone.
    fn stderr(&self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

/// A time of the chain, in milliseconds, for people and for JSON: RFC 3339 in UTC.
pub(crate) fn time(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(ms));
    time.map_or_else(
        || ms.to_string(),
        |time| humantime::format_rfc3339_millis(time).to_string(),
    )
}

/// Text that strangers wrote, fit for a terminal: control characters shown, not obeyed.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            if letter.is_control() {
                letter.escape_default().collect()
            } else {
                vec![letter]
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("grüße"), "grüße");
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_763_820_191_204), "2025-11-22T14:03:11.204Z");
    }
}
