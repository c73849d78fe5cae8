//! Where a password is, and where it is not.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use crate::{NOWHERE, Stage, command::lossy, set_mode, text};

/// A password that occurs nowhere by chance.
const PASSWORD: &str = "corvid-lantern-7719-umbrella";

/// A wallet in a folder of its own, far from the network's; and where its password is not.
pub(crate) fn own_wallets_keep_their_password(stage: &Stage) {
    let tacit = &stage.tacit;
    let (home, password) = (stage.path("home"), stage.path("password"));
    let hash = stage.network.facts().genesis_hash.as_str();
    fs::write(&password, format!("{PASSWORD}\n")).expect("written");
    let unlock = [
        "--home",
        &home,
        "--rpc",
        stage.rpc(0),
        "--password-file",
        &password,
    ];
    let json = |args: &[&str]| tacit.json(&[args, &unlock].concat());
    let refused = |args: &[&str], exit, code| tacit.refused(&[args, &unlock].concat(), exit, code);

    refused(&["wallet", "new", "dora"], 7, "trust.missing");
    json(&["wallet", "trust", "pin", NOWHERE]);
    refused(&["wallet", "new", "dora"], 6, "genesis.hash_mismatch");
    json(&["wallet", "trust", "pin", hash]);
    // Others could read the password.
    set_mode(Path::new(&password), 0o644);
    refused(&["wallet", "new", "dora", "--test-work"], 8, "wallet.file_mode");
    set_mode(Path::new(&password), 0o600);
    json(&["wallet", "new", "dora", "--test-work"]);
    refused(&["wallet", "new", "dora", "--test-work"], 9, "wallet.exists");
    assert_eq!(text(&json(&["wallet", "balance"]), "/balance"), "0.000000");

    // Without a terminal and without a file there is nobody to ask.
    let asked = ["wallet", "balance", "--home", &home, "--rpc", stage.rpc(0)];
    tacit.refused(&asked, 2, "usage.not_interactive");
    let wrong = stage.path("wrong");
    fs::write(&wrong, "guess\n").expect("written");
    set_mode(Path::new(&wrong), 0o600);
    let guess = [&asked[..], &["--password-file", &wrong]].concat();
    tacit.refused(&guess, 8, "wallet.bad_password");
    let missing = [&asked[..], &["--password-file", "nowhere"]].concat();
    tacit.refused(&missing, 2, "usage.invalid");

    // While it runs, for everybody who looks at the process; and in what it says at its most talkative.
    let mut following = tacit.command(&[&["wallet", "inbox", "--follow", "-vv"][..], &unlock].concat());
    let child = following
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut child = Stopped(child);
    let process = PathBuf::from(format!("/proc/{}", child.0.id()));
    stage.network.until("the binary runs", || {
        fs::read(process.join("cmdline")).is_ok_and(|line| lossy(&line).contains("--follow"))
    });
    for file in ["cmdline", "environ"] {
        let seen = fs::read(process.join(file)).expect("a process that runs");
        assert!(!seen.is_empty() && !lossy(&seen).contains(PASSWORD), "{file}");
    }
    child.0.kill().expect("it is stopped");
    let mut said = String::new();
    for stream in [
        child
            .0
            .stdout
            .take()
            .map(|s| Box::new(s) as Box<dyn std::io::Read>),
        child
            .0
            .stderr
            .take()
            .map(|s| Box::new(s) as Box<dyn std::io::Read>),
    ] {
        let mut stream = stream.expect("piped");
        stream.read_to_string(&mut said).expect("text");
    }
    assert!(!said.contains(PASSWORD), "{said}");
    let scanned = tacit.json(&["testnet", "leakscan", PASSWORD, "the kingfisher is back"]);
    assert_eq!(scanned["occurrences"], 0);
    for entry in walk(Path::new(&home)) {
        let bytes = fs::read(&entry).expect("a file");
        assert!(!lossy(&bytes).contains(PASSWORD), "{}", entry.display());
    }
}

/// A child that does not outlive its test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
