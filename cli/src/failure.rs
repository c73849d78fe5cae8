//! How a command ends when it does not succeed: a code of the table, a sentence, the next step.

use std::{fmt::Display, path::Path};

use serde_json::{Map, Value, json};
use tacit_ledger::codes;

use crate::output::Output;

/// Exit code of an interrupted command.
pub(crate) const INTERRUPTED: u8 = 130;

/// A command's end that is no success.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    message: String,
    hint: Option<String>,
    /// Boxed, so that a success carries no room for it.
    details: Box<Map<String, Value>>,
}

/// What commands give.
pub(crate) type Done<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with a code of the table.
    pub(crate) fn new(code: &'static str, message: impl Display) -> Self {
        Self {
            code,
            message: message.to_string(),
            hint: None,
            details: Box::default(),
        }
    }

    /// Used wrongly.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new("usage.invalid", message)
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: impl Display) -> Self {
        Self::new("internal", format!("{}: {error}", path.display()))
    }

    /// Another next step than the table's.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A fact for scripts, shown to people too.
    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    fn next(&self) -> String {
        let of_table = || codes::lookup(self.code).map(|row| row.hint.to_owned());
        self.hint.clone().or_else(of_table).unwrap_or_default()
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        codes::lookup(self.code).map_or(1, |row| row.exit)
    }

    /// Text to stderr, or one JSON document to stdout.
    pub(crate) fn print(&self, output: &Output) {
        if output.json() {
            let error = json!({
                "code": self.code,
                "message": self.message,
                "hint": self.next(),
                "details": self.details,
                "docs": format!("errors#{}", self.code),
            });
            output.document(&json!({ "error": error }));
            return;
        }
        let mut lines = vec![(
            String::from("error"),
            format!("[{}]: {}", self.code, self.message),
        )];
        for (name, value) in self.details.iter() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            lines.push((name.clone(), text));
        }
        lines.push((String::from("next"), self.next()));
        output.failure(&lines);
    }
}

impl From<tacit_wallet::Error> for Failure {
    fn from(error: tacit_wallet::Error) -> Self {
        let failure = Self::new(error.code(), &error).hint(error.hint());
        match &error {
            tacit_wallet::Error::Failed { reason, receipt } => failure
                .detail("reason", reason.name())
                .detail("tx_id", receipt.envelope.to_string())
                .detail("height", receipt.height),
            tacit_wallet::Error::WaitTimeout { id, expires_at, .. } => failure
                .detail("tx_id", id.to_string())
                .detail("expires_at_height", *expires_at),
            tacit_wallet::Error::GenesisHash { have, pinned } => failure
                .detail("have", have.to_string())
                .detail("pinned", pinned.to_string()),
            _ => failure,
        }
    }
}

impl From<tacit_wallet::Unreachable> for Failure {
    fn from(error: tacit_wallet::Unreachable) -> Self {
        Self::from(tacit_wallet::Error::from(error))
    }
}

impl From<tacit_ledger::RecoveryError> for Failure {
    fn from(error: tacit_ledger::RecoveryError) -> Self {
        Self::new(error.code(), &error)
    }
}

impl From<tacit_node::NodeError> for Failure {
    fn from(error: tacit_node::NodeError) -> Self {
        Self::new(error.code(), &error)
    }
}

impl From<tacit_testnet::Error> for Failure {
    fn from(error: tacit_testnet::Error) -> Self {
        let failure = Self::new(error.code(), &error);
        match &error {
            tacit_testnet::Error::Running { running, nodes, .. } => failure
                .hint("tacit testnet status shows it; tacit testnet down stops it; up --reset starts over")
                .detail("running", *running)
                .detail("nodes", *nodes),
            tacit_testnet::Error::BinaryChanged { have, need, .. } => failure
                .detail("measurement", have.clone())
                .detail("admitted", need.clone()),
            tacit_testnet::Error::NotRunning { name } => {
                failure.hint(format!("run: tacit testnet restart {name}"))
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_come_from_the_table() {
        for (code, exit) in [
            ("usage.invalid", 2),
            ("proof.receipt", 6),
            ("wallet.bad_password", 8),
        ] {
            assert_eq!(Failure::new(code, "x").exit(), exit);
        }
        assert_eq!(
            Failure::new("usage.invalid", "x").next(),
            codes::lookup("usage.invalid").unwrap().hint
        );
        assert_eq!(Failure::usage("x").hint("y").next(), "y");
    }
}
