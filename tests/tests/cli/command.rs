//! The binary as scripts use it: what it prints where, and how it ends.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The binary in a working directory, with an environment of its own.
pub(crate) struct Tacit {
    binary: PathBuf,
    cwd: PathBuf,
    /// `TACIT_HOME` of its environment.
    home: Option<String>,
    /// The words of every command that succeeded with `--json`.
    succeeded: RefCell<BTreeSet<String>>,
}

impl Tacit {
    pub(crate) fn at(binary: &Path, cwd: &Path) -> Self {
        Self {
            binary: binary.to_path_buf(),
            cwd: cwd.to_path_buf(),
            home: None,
            succeeded: RefCell::default(),
        }
    }

    /// The same with a home folder other than that of the working directory.
    pub(crate) fn with_home(mut self, home: &str) -> Self {
        self.home = Some(home.to_owned());
        self
    }

    /// A command that is not started yet; nothing of the caller's shell changes what it means.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(&self.cwd).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TACIT_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", &self.cwd);
        if let Some(home) = &self.home {
            command.env("TACIT_HOME", home);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// Text of a command that succeeds; everything it says to people besides is on stderr.
    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            lossy(&output.stderr)
        );
        lossy(&output.stdout)
    }

    /// The one JSON document of a command that succeeds.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&with_json(args));
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {out}{err}");
        self.count(args);
        document(args, &out)
    }

    /// Counts a command that succeeded with `--json` in another way than by [`Tacit::json`].
    pub(crate) fn count(&self, args: &[&str]) {
        self.succeeded.borrow_mut().insert(args.join(" "));
    }

    /// The error document of a command that must fail with this exit code and this code of the table; as text, the
    /// same error is on stderr and stdout has nothing.
    pub(crate) fn refused(&self, args: &[&str], exit: i32, code: &str) -> Value {
        let output = self.run(&with_json(args));
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(exit), "{args:?}: {out}{err}");
        let document = document(args, &out);
        let error = &document["error"];
        assert_eq!(error["code"], code, "{args:?}: {out}");
        assert_eq!(error["docs"], format!("errors#{code}"), "{args:?}");
        for member in ["message", "hint"] {
            let text = error[member].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{args:?} has no {member}: {out}");
        }
        assert!(error["details"].is_object(), "{args:?}: {out}");
        assert_eq!(
            document.as_object().map(serde_json::Map::len),
            Some(1),
            "{args:?}"
        );

        let output = self.run(args);
        let (out, err) = (lossy(&output.stdout), lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(exit), "{args:?} as text: {err}");
        // The command line's own mistakes are told in the words of the parser.
        if !err.starts_with("error: ") {
            assert!(err.contains(&format!("error[{code}]: ")), "{args:?}: {err}");
            assert!(err.contains("\n  next  "), "{args:?}: {err}");
        }
        assert_eq!(out, "", "{args:?} prints no data when it fails");
        error.clone()
    }

    /// All verbs, such as `wallet room create`, as the help lists them.
    pub(crate) fn verbs(&self) -> Vec<String> {
        let mut open = vec![String::new()];
        let mut verbs = Vec::new();
        while let Some(path) = open.pop() {
            let mut args: Vec<&str> = path.split_whitespace().collect();
            args.push("--help");
            let help = self.text(&args);
            let below: Vec<&str> = help
                .lines()
                .skip_while(|line| *line != "Commands:")
                .skip(1)
                .take_while(|line| !line.is_empty())
                .filter_map(|line| line.split_whitespace().next())
                .filter(|name| *name != "help")
                .collect();
            if below.is_empty() {
                verbs.push(path.clone());
            }
            open.extend(
                below
                    .iter()
                    .map(|name| format!("{path} {name}").trim().to_owned()),
            );
        }
        verbs
    }

    /// Whether a verb succeeded with `--json` at least once.
    pub(crate) fn was_tried(&self, verb: &str) -> bool {
        let succeeded = self.succeeded.borrow();
        let mut tried = succeeded.iter();
        tried.any(|args| args == verb || args.starts_with(&format!("{verb} ")))
    }
}

fn with_json<'a>(args: &[&'a str]) -> Vec<&'a str> {
    args.iter().copied().chain(["--json"]).collect()
}

/// Stdout as one document on one line, and nothing else.
fn document(args: &[&str], stdout: &str) -> Value {
    let line = stdout.strip_suffix('\n').unwrap_or_default();
    assert!(
        !line.contains('\n'),
        "{args:?} prints more than one line: {stdout}"
    );
    let value: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{args:?}: {error}: {stdout}"));
    assert!(value.is_object(), "{args:?}: {stdout}");
    value
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
