//! The command line on a live network, as people and scripts use it: one JSON document on stdout for every verb,
//! the error document and the exit code for every kind of failure, and nothing but data on stdout.

#[path = "cli/chains.rs"]
mod chains;
#[path = "cli/command.rs"]
mod command;
#[path = "cli/evidence.rs"]
mod evidence;
#[path = "cli/failures.rs"]
mod failures;
#[path = "cli/governance.rs"]
mod governance;
#[path = "cli/membership.rs"]
mod membership;
#[path = "cli/networks.rs"]
mod networks;
#[path = "cli/operators.rs"]
mod operators;
#[path = "cli/passwords.rs"]
mod passwords;
#[path = "cli/recovery.rs"]
mod recovery;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use command::{Tacit, lossy};
use serde_json::Value;
use tacit_tests::network::{Network, tacit};

/// A hash that is nobody's.
const NOWHERE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A live network in `.tacit-testnet` of the working directory, as a user has it after `tacit testnet up`.
struct Stage {
    network: Network,
    tacit: Tacit,
    cwd: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let built = tacit();
        let network = Network::up(|options| {
            // A copy: the network admits this very build, whatever is built meanwhile.
            let folder = options.dir.parent().expect("a folder above").to_path_buf();
            options.binary = folder.join("tacit");
            fs::copy(&built, &options.binary).expect("the binary is copied");
            options.dir = folder.join(".tacit-testnet");
        });
        let cwd = network
            .testnet
            .dir()
            .parent()
            .expect("a folder above")
            .to_path_buf();
        let tacit = Tacit::at(&cwd.join("tacit"), &cwd);
        Self { network, tacit, cwd }
    }

    /// The command line on another network, from a folder of its own.
    fn over(network: Network, cwd: &Path) -> Self {
        let home = network.testnet.dir().to_str().expect("a path of text").to_owned();
        let tacit = Tacit::at(&network.facts().binary, cwd).with_home(&home);
        Self {
            network,
            tacit,
            cwd: cwd.to_path_buf(),
        }
    }

    fn rpc(&self, node: usize) -> &str {
        &self.network.facts().nodes[node].rpc
    }

    fn path(&self, name: &str) -> String {
        self.cwd.join(name).to_str().expect("a path of text").to_owned()
    }

    fn wallet_file(&self, name: &str) -> &Path {
        let wallets = &self.network.facts().wallets;
        &wallets
            .iter()
            .find(|wallet| wallet.name == name)
            .expect("a wallet")
            .file
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

#[test]
fn every_verb_gives_one_document_and_every_failure_its_code() {
    let stage = Stage::new();
    let sent = wallets_work_at_once(&stage);
    names_and_rooms_have_members(&stage);
    receipts_convince_offline(&stage, &sent);
    public_pages_are_documents(&stage, &sent);
    evidence_and_genesis_are_checked(&stage);
    passwords::own_wallets_keep_their_password(&stage);
    governance::builds_are_measured_and_collateral_is_read(&stage);
    governance::members_change_the_policy(&stage);
    failures::failures_say_what_and_why(&stage, &sent);
    networks::networks_are_driven(&stage);
    chains::chains_are_verified(&stage);
    operators::a_network_is_founded_by_hand(&stage.tacit, &stage.cwd);
    stage.tacit.json(&["completions", "fish"]);
    for verb in stage.tacit.verbs() {
        assert!(stage.tacit.was_tried(&verb), "{verb} was never tried with --json");
    }
}

/// Right after `testnet up`, without any further preparation. Gives the id of a transfer of alice's.
fn wallets_work_at_once(stage: &Stage) -> String {
    let tacit = &stage.tacit;
    let letter = "the kingfisher is back";
    tacit.json(&["wallet", "msg", "bob", letter, "--as", "alice"]);
    let inbox = tacit.json(&["wallet", "inbox", "--as", "bob"]);
    assert_eq!(text(&inbox, "/letters/0/text"), letter);
    assert_eq!(text(&inbox, "/letters/0/from_name"), "alice");
    assert_eq!(
        tacit.json(&["wallet", "inbox", "--as", "carol"])["letters"],
        Value::Array(Vec::new())
    );

    let sent = tacit.json(&["wallet", "send", "bob", "5", "--as", "alice"]);
    assert_eq!(
        (text(&sent, "/outcome"), &sent["verified"]),
        ("applied", &Value::Bool(true))
    );
    for (name, balance) in [("alice", "995.000000"), ("bob", "1005.000000")] {
        assert_eq!(
            text(&tacit.json(&["wallet", "balance", "--as", name]), "/balance"),
            balance
        );
        assert_eq!(
            tacit.text(&["wallet", "balance", "--as", name]),
            format!("{balance}\n")
        );
    }
    let simulated = tacit.run(&["wallet", "balance", "--as", "bob", "--quiet"]);
    assert!(lossy(&simulated.stderr).contains("SIMULATED"), "quiet or not");
    assert_eq!(
        tacit.json(&["wallet", "list"])["wallets"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    tacit.json(&["wallet", "trust", "show"]);
    let witness = stage.rpc(1);
    let checked = tacit.json(&["wallet", "trust", "check", "--witness", witness, "-v"]);
    assert!(text(&checked, "/summary").contains("4/4 evidence ok"));
    text(&sent, "/tx_id").to_owned()
}

fn names_and_rooms_have_members(stage: &Stage) {
    let tacit = &stage.tacit;
    tacit.json(&["wallet", "name", "claim", "heron", "--as", "carol"]);
    let resolved = tacit.json(&["wallet", "name", "resolve", "heron", "--as", "bob"]);
    assert_eq!(
        text(&resolved, "/address"),
        stage.network.address("carol").to_string()
    );
    tacit.refused(
        &["wallet", "name", "resolve", "nobody", "--as", "bob"],
        4,
        "names.unknown",
    );
    tacit.refused(
        &["wallet", "send", "@nobody", "1", "--as", "bob"],
        4,
        "names.unknown",
    );

    let made = tacit.json(&["wallet", "room", "create", "plans", "bob", "--as", "alice"]);
    let room = text(&made, "/room");
    let short = &room[..8];
    tacit.json(&["wallet", "room", "post", short, "before carol", "--as", "bob"]);
    tacit.refused(
        &["wallet", "room", "read", short, "--as", "carol"],
        4,
        "room.not_found",
    );
    tacit.json(&["wallet", "room", "invite", short, "@heron", "--as", "alice"]);
    tacit.json(&["wallet", "room", "post", short, "welcome", "--as", "bob"]);
    let texts = |name: &str| -> Vec<String> {
        let read = tacit.json(&["wallet", "room", "read", short, "--as", name]);
        let posts = read["posts"].as_array().expect("posts").clone();
        posts.iter().map(|post| text(post, "/text").to_owned()).collect()
    };
    assert_eq!(texts("alice"), ["before carol", "welcome"]);
    assert_eq!(
        texts("carol"),
        ["welcome"],
        "what was said before she came stays closed to her"
    );
    let rooms = tacit.json(&["wallet", "room", "list", "--as", "carol"]);
    assert_eq!(text(&rooms, "/rooms/0/title"), "plans");

    tacit.json(&["wallet", "room", "remove", short, "bob", "--as", "alice"]);
    tacit.json(&["wallet", "room", "post", short, "without bob", "--as", "carol"]);
    assert_eq!(texts("alice"), ["before carol", "welcome", "without bob"]);
    tacit.refused(
        &["wallet", "room", "read", room, "--as", "bob"],
        4,
        "room.not_found",
    );
    tacit.refused(
        &["wallet", "room", "post", room, "me too", "--as", "bob"],
        4,
        "room.not_found",
    );
    let failed = tacit.refused(
        &["wallet", "room", "leave", short, "--as", "alice"],
        5,
        "tx.failed",
    );
    assert_eq!(text(&failed, "/details/reason"), "owner_cannot_leave");
    tacit.json(&["wallet", "room", "leave", short, "--as", "carol"]);
}

fn receipts_convince_offline(stage: &Stage, sent: &str) {
    let tacit = &stage.tacit;
    let (file, genesis) = (
        stage.path("receipt.json"),
        stage.path(".tacit-testnet/genesis.json"),
    );
    let receipt = tacit.json(&["wallet", "receipt", sent, "--as", "alice"]);
    assert_eq!(text(&receipt, "/outcome/result"), "applied");
    // It was sealed by alice; to bob it is as closed as to everybody.
    tacit.refused(&["wallet", "receipt", sent, "--as", "bob"], 5, "query.denied");
    tacit.json(&["wallet", "receipt", sent, "--as", "alice", "--out", &file]);
    let sealed = tacit.json(&["verify", &file, "--genesis", &genesis]);
    assert_eq!(
        (text(&sealed, "/tx_id"), &sealed["outcome"]),
        (sent, &Value::Null)
    );
    tacit.json(&[
        "wallet",
        "receipt",
        sent,
        "--as",
        "alice",
        "--out",
        &file,
        "--disclose",
    ]);
    let open = tacit.json(&["verify", &file, "--genesis", &genesis]);
    assert_eq!(text(&open, "/outcome/result"), "applied");

    let good: Value = serde_json::from_slice(&fs::read(&file).expect("a receipt")).expect("JSON");
    let bad = stage.path("tampered.json");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut tampered = good.clone();
        change(&mut tampered);
        assert_ne!(tampered, good);
        fs::write(&bad, tampered.to_string()).expect("written");
        tacit.refused(&["verify", &bad, "--genesis", &genesis], 6, "proof.receipt");
    };
    refused(&|file| file["outcome"]["fee"] = "7.000000".into());
    refused(&|file| file["tx_id"] = NOWHERE.into());
    refused(&|file| {
        let mut proof = text(file, "/proof").to_owned();
        let flipped = if proof.as_bytes()[100] == b'A' { "B" } else { "A" };
        proof.replace_range(100..101, flipped);
        file["proof"] = proof.into();
    });
    fs::write(&bad, "not a receipt").expect("written");
    tacit.refused(&["verify", &bad, "--genesis", &genesis], 6, "proof.receipt");
    let pinned = ["verify", &file, "--genesis", &genesis, "--genesis-hash", NOWHERE];
    tacit.refused(&pinned, 6, "genesis.hash_mismatch");
}

fn public_pages_are_documents(stage: &Stage, sent: &str) {
    let tacit = &stage.tacit;
    let status = tacit.json(&["query", "status"]);
    assert_eq!(text(&status, "/genesis_hash"), stage.network.facts().genesis_hash);
    assert_eq!(status["simulated"], true);
    let tx = tacit.json(&["query", "tx", sent, "--wait", "receipt"]);
    assert_eq!(
        (text(&tx, "/status"), text(&tx, "/outcome")),
        ("committed", "sealed")
    );
    let height = tx["included"]["height"].to_string();
    let block = tacit.json(&["query", "block", &height, "--txs"]);
    let ids = block["txs"].as_array().expect("envelopes");
    assert!(
        ids.iter().any(|tx| tx["tx_id"] == sent || tx["id"] == sent),
        "{block}"
    );
    tacit.json(&["query", "receipt", sent]);
    let blocks = tacit.json(&["query", "blocks", "--limit", "2"]);
    assert_eq!(blocks["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        tacit.text(&["query", "blocks", "--limit", "2"]).lines().count(),
        3,
        "a table"
    );
    assert_eq!(tacit.text(&["query", "validators"]).lines().count(), 5, "a table");
    assert_eq!(
        tacit.json(&["query", "validators"])["items"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    tacit.json(&["query", "validator", "val-2"]);
    tacit.json(&["query", "epoch"]);
    tacit.json(&["query", "epochs", "--limit", "1"]);
    tacit.json(&["query", "policy"]);
    tacit.json(&["query", "policy", "--version-number", "1"]);
    // A stream is one document a line; one event, one line.
    let event = tacit.json(&[
        "query", "events", "--types", "block", "--after", "1-0", "--limit", "1",
    ]);
    assert_eq!(
        (text(&event, "/event"), &event["data"]["height"]),
        ("block", &Value::from(2))
    );
    tacit.json(&["node", "status"]);
    assert_eq!(
        tacit.json(&["node", "health", "--rpc", stage.rpc(2)])["ready"],
        true
    );
}

fn evidence_and_genesis_are_checked(stage: &Stage) {
    let tacit = &stage.tacit;
    let genesis = stage.path(".tacit-testnet/genesis.json");
    let hash = stage.network.facts().genesis_hash.as_str();
    assert_eq!(
        text(&tacit.json(&["genesis", "hash", &genesis]), "/genesis_hash"),
        hash
    );
    assert_eq!(
        tacit.json(&["genesis", "verify", &genesis, "--genesis-hash", hash])["verified"],
        true
    );
    assert_eq!(text(&tacit.json(&["genesis", "show", &genesis]), "/class"), "dev");
    tacit.refused(
        &["genesis", "verify", &genesis, "--genesis-hash", NOWHERE],
        6,
        "genesis.hash_mismatch",
    );
    let other = stage.path(".tacit-testnet/testnet.json");
    tacit.refused(&["genesis", "verify", &other], 6, "genesis.invalid");

    let verified = tacit.json(&["attest", "verify", "--validator", "val-2"]);
    assert_eq!(text(&verified, "/verdict"), "TRUSTED");
    let registration = stage.path(".tacit-testnet/val-1/registration.json");
    let offline = ["attest", "verify", "--file", &registration, "--genesis", &genesis];
    assert_eq!(text(&tacit.json(&offline), "/verdict"), "TRUSTED");
    tacit.json(&["attest", "show", "--file", &registration]);
    tacit.json(&["attest", "show", "--validator", "val-0"]);

    // One letter of the report, and it is somebody else's.
    let mut changed: Value = serde_json::from_slice(&fs::read(&registration).expect("it")).expect("JSON");
    changed["name"] = "val-x".into();
    let file = stage.path("registration.json");
    fs::write(&file, changed.to_string()).expect("written");
    let refused = tacit.run(&[
        "attest",
        "verify",
        "--file",
        &file,
        "--genesis",
        &genesis,
        "--json",
    ]);
    assert_eq!(refused.status.code(), Some(6), "{}", lossy(&refused.stdout));
}

#[test]
fn help_ends_with_two_examples_and_shells_get_completions() {
    let folder = tempfile::tempdir().expect("a folder");
    let tacit = Tacit::at(&tacit(), folder.path());
    let verbs = tacit.verbs();
    assert!(verbs.len() > 40, "{verbs:?}");
    for verb in &verbs {
        let args: Vec<&str> = verb.split(' ').chain(["--help"]).collect();
        let help = tacit.text(&args);
        let last: Vec<&str> = help.trim_end().lines().rev().take(3).collect();
        assert!(last.len() == 3 && last[2] == "Examples:", "{verb}: {help}");
        let own = |line: &&str| line.starts_with(&format!("  tacit {verb}"));
        assert!(last[..2].iter().all(own), "{verb}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = tacit.text(&["completions", shell]);
        assert!(
            script.contains("leakscan") && script.contains("genesis-hash"),
            "{shell}"
        );
    }
    let script = tacit.json(&["completions", "bash"]);
    assert_eq!(
        text(&script, "/script").trim_end(),
        tacit.text(&["completions", "bash"]).trim_end()
    );
    assert!(tacit.text(&["--version"]).starts_with("tacit "));
    let nothing = tacit.run(&[]);
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(2), 0));
}
