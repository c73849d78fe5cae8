//! One failure of every kind at least: its code, its exit code, its document.

use std::fs;

use crate::{NOWHERE, Stage, set_mode, text};

pub(crate) fn failures_say_what_and_why(stage: &Stage, sent: &str) {
    let tacit = &stage.tacit;
    // 2: used wrongly.
    tacit.refused(&["frobnicate"], 2, "usage.invalid");
    tacit.refused(&["wallet", "send", "bob"], 2, "usage.invalid");
    tacit.refused(
        &["wallet", "send", "bob", "-5", "--as", "alice"],
        2,
        "usage.amount",
    );
    tacit.refused(
        &["wallet", "send", "tacitl1qqqq", "1", "--as", "alice"],
        2,
        "wallet.address",
    );
    tacit.refused(&["query", "tx", "abc"], 2, "usage.invalid");
    tacit.refused(&["node", "run"], 2, "usage.missing");
    // 3: no answer, or not in time.
    tacit.refused(
        &["query", "status", "--rpc", "http://127.0.0.1:1"],
        3,
        "rpc.unreachable",
    );
    let away = [
        "wallet",
        "balance",
        "--as",
        "alice",
        "--rpc",
        "http://127.0.0.1:1",
    ];
    tacit.refused(&away, 3, "rpc.unreachable");
    // 4: not there.
    tacit.refused(&["query", "tx", NOWHERE], 4, "tx.not_found");
    tacit.refused(
        &[
            "query",
            "tx",
            NOWHERE,
            "--wait",
            "committed",
            "--timeout",
            "300ms",
        ],
        4,
        "tx.not_found",
    );
    tacit.refused(&["query", "block", "99999999"], 4, "block.not_found");
    tacit.refused(&["query", "epoch", "77"], 4, "epoch.not_found");
    tacit.refused(
        &["query", "policy", "--version-number", "7"],
        4,
        "policy.not_found",
    );
    tacit.refused(&["query", "validator", "val-9"], 4, "validator.not_found");
    tacit.refused(&["wallet", "balance", "--as", "nobody"], 4, "wallet.not_found");
    tacit.refused(
        &["wallet", "send", "nobody", "1", "--as", "alice"],
        4,
        "wallet.not_found",
    );
    tacit.refused(&["testnet", "kill", "9"], 4, "testnet.unknown_node");
    // 5: refused by the chain, or for its sake.
    tacit.refused(
        &["wallet", "send", "bob", "100000", "--as", "alice"],
        5,
        "wallet.insufficient",
    );
    // 6: does not verify.
    let other = ["wallet", "balance", "--as", "alice", "--genesis-hash", NOWHERE];
    tacit.refused(&other, 6, "genesis.hash_mismatch");
    // 8: others may read the wallet.
    set_mode(stage.wallet_file("carol"), 0o644);
    let error = tacit.refused(&["wallet", "balance", "--as", "carol"], 8, "wallet.file_mode");
    assert!(text(&error, "/hint").starts_with("run: chmod 600 "), "{error}");
    set_mode(stage.wallet_file("carol"), 0o600);
    tacit.json(&["wallet", "balance", "--as", "carol"]);
    // 9: taken.
    let up = ["testnet", "up", "--detach"];
    assert_eq!(tacit.refused(&up, 9, "testnet.exists")["details"]["running"], 4);
    let home = stage.path(".tacit-testnet/val-0");
    tacit.refused(&["node", "run", "--home", &home], 9, "home.locked");
    let lock = fs::OpenOptions::new()
        .append(true)
        .open(stage.path(".tacit-testnet/testnet.lock"));
    let lock = lock.expect("the lock's file");
    lock.try_lock().expect("nobody else is at work");
    tacit.refused(&up, 9, "home.locked");
    tacit.refused(&["testnet", "kill", "0"], 9, "home.locked");
    drop(lock);
    // Nothing of this changed anything.
    assert_eq!(text(&tacit.json(&["query", "tx", sent]), "/status"), "committed");
}
