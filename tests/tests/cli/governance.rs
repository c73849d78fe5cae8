//! Members change the policy of a live network, and validators suspend machines, by the command line alone: two of
//! three members agree, the epoch ends for it, and wallets follow without being told.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tacit_tests::network::Network;

use crate::{
    NOWHERE, Stage,
    command::{Tacit, lossy},
    text,
};

/// The policy in force, changed and written to a file.
fn changed(stage: &Stage, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut policy = stage.tacit.json(&["attest", "policy", "show"]);
    change(&mut policy);
    let path = stage.path(name);
    fs::write(&path, policy.to_string()).expect("written");
    path
}

fn epoch(tacit: &Tacit) -> u64 {
    tacit.json(&["query", "epoch"])["number"]
        .as_u64()
        .expect("a number")
}

/// The verbs of `gov`, and of `attest` that ask a chain; each failure by its name.
pub(crate) fn members_change_the_policy(stage: &Stage) {
    let tacit = &stage.tacit;
    let listed = tacit.json(&["gov", "list"]);
    let names: Vec<&str> = listed["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| text(member, "/name"))
        .collect();
    assert_eq!(
        (names.as_slice(), &listed["threshold"]),
        (&["alice", "bob", "carol"][..], &json!(2))
    );
    assert_eq!(
        (&listed["in_force"]["version"], &listed["next_version"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(listed["proposals"], json!([]));

    // Half the age: less is admitted, so it waits for nothing.
    let shorter = changed(stage, "shorter.json", |policy| {
        let age = policy["evidence_age_max_ms"].as_u64().expect("an age");
        policy["evidence_age_max_ms"] = (age / 2).into();
    });
    tacit.json(&["attest", "policy", "check", &shorter]);
    let difference = tacit.json(&["attest", "policy", "diff", "1", &shorter]);
    assert_eq!(text(&difference, "/change"), "tightens");
    assert_eq!(text(&difference, "/fields/0/field"), "evidence_age_max_ms");
    let back = tacit.json(&["attest", "policy", "diff", &shorter, "1"]);
    assert_eq!(text(&back, "/change"), "loosens");
    tacit.json(&["attest", "policy", "show", "--version", "1"]);
    tacit.json(&["attest", "policy", "production"]);

    // Who may not, and what nobody may.
    tacit.refused(
        &["gov", "propose", &shorter, "--as", "faucet"],
        5,
        "gov.not_a_member",
    );
    tacit.refused(
        &["gov", "approve", NOWHERE, "--as", "bob"],
        5,
        "gov.proposal_unknown",
    );
    tacit.refused(&["gov", "approve", "abcd", "--as", "bob"], 2, "usage.invalid");
    tacit.refused(&["gov", "show", NOWHERE], 5, "gov.proposal_unknown");
    let nobody = changed(stage, "nobody.json", |policy| policy["measurements"] = json!([]));
    let foreign = changed(stage, "foreign.json", |policy| {
        for entry in policy["measurements"].as_array_mut().expect("measurements") {
            entry["value"] = "ab".repeat(48).into();
        }
    });
    for (file, below) in [(&foreign, false), (&foreign, true)] {
        let mut words = vec!["gov", "propose", file.as_str(), "--as", "alice"];
        if below {
            words.push("--allow-below-quorum");
        }
        tacit.refused(&words, 5, "gov.nobody_left");
    }
    fs::remove_file(nobody).expect("it is not needed");

    let before = epoch(tacit);
    let proposed = tacit.json(&["gov", "propose", &shorter, "--as", "alice"]);
    let id = text(&proposed, "/id").to_owned();
    assert_eq!(
        (&proposed["version"], &proposed["adopted"]),
        (&json!(2), &json!(false))
    );
    let shown = tacit.json(&["gov", "show", &id[..8]]);
    assert_eq!(
        (text(&shown, "/id"), &shown["approvals"]),
        (id.as_str(), &json!(["alice"]))
    );
    assert_eq!(text(&shown, "/differences/0/field"), "version");
    tacit.refused(
        &["gov", "approve", &id, "--as", "alice"],
        5,
        "gov.approved_already",
    );
    let people = tacit.text(&["gov", "list"]);
    assert!(people.contains(&id) && people.contains("tightens"), "{people}");

    let approved = tacit.json(&["gov", "approve", &id, "--as", "bob"]);
    assert_eq!(
        (&approved["adopted"], &approved["version"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(approved["approvals"], json!(["alice", "bob"]));
    stage.network.until("the epoch ends for the policy", || {
        tacit.json(&["query", "policy"])["version"] == 2
    });
    let record = tacit.json(&["query", "epoch"]);
    assert!(record["number"].as_u64() > Some(before), "{record}");
    assert_eq!(
        (text(&record, "/reason"), &record["kept"]),
        ("policy", &json!(false))
    );
    let now = tacit.json(&["gov", "show", &id[..8]]);
    assert_eq!((text(&now, "/status"), &now["version"]), ("in-force", &json!(2)));
    tacit.refused(
        &["gov", "approve", &id, "--as", "carol"],
        5,
        "gov.proposal_unknown",
    );

    // Nobody told the wallet; it verifies the new set under the new policy.
    let sent = tacit.json(&["wallet", "send", "bob", "1", "--as", "carol"]);
    assert_eq!(text(&sent, "/outcome"), "applied");
    assert_eq!(
        tacit.json(&["attest", "verify", "--validator", "val-1"])["verdict"],
        "TRUSTED"
    );

    validators_have_prospects(stage);
    machines_are_suspended(stage);
}

/// `tacit attest status`, `collateral`: what is known of the time to come.
fn validators_have_prospects(stage: &Stage) {
    let tacit = &stage.tacit;
    let status = tacit.json(&["attest", "status"]);
    assert_eq!(status["accepted"], true);
    let validators = status["validators"].as_array().expect("validators");
    assert_eq!(validators.len(), 4);
    for validator in validators {
        assert_eq!(text(validator, "/outlook/0/set"), "today", "{validator}");
        assert!(text(validator, "/outlook/0/until").ends_with('Z'), "{validator}");
    }
    let one = tacit.json(&["attest", "status", "--validator", "val-2", "--strict"]);
    assert_eq!(one["validators"].as_array().map(Vec::len), Some(1));
    tacit.refused(
        &["attest", "status", "--validator", "val-9"],
        4,
        "validator.not_found",
    );
    assert!(tacit.text(&["attest", "status"]).contains("accepted until "));
    tacit.json(&["attest", "collateral", "show"]);
}

/// One vote is none; it stands until the epoch ends.
fn machines_are_suspended(stage: &Stage) {
    let tacit = &stage.tacit;
    let home = stage.path(".tacit-testnet/val-0");
    let build = "cd".repeat(48);
    let vote = [
        "node",
        "suspend",
        "--home",
        &home,
        "--platform",
        "simulated",
        "--measurement",
        &build,
    ];
    let voted = tacit.json(&vote);
    assert_eq!(
        (&voted["suspended"], &voted["voters"]),
        (&json!(false), &json!(["val-0"]))
    );
    // The same vote is the same transaction, which is final already.
    assert_eq!(tacit.json(&vote)["id"], voted["id"]);
    tacit.refused(&["node", "suspend", "--home", &home], 2, "usage.invalid");
    let family = ["node", "suspend", "--home", &home, "--family", "rome"];
    tacit.refused(&family, 2, "usage.invalid");
    let nowhere = ["node", "suspend", "--home", "nowhere", "--family", "milan"];
    tacit.refused(&nowhere, 9, "home.missing");
    for name in ["val-1", "val-2"] {
        let home = stage.path(&format!(".tacit-testnet/{name}"));
        let vote = [
            "node",
            "suspend",
            "--home",
            &home,
            "--platform",
            "simulated",
            "--measurement",
            &build,
        ];
        let voted = tacit.json(&vote);
        assert_eq!(voted["suspended"], name == "val-2", "{voted}");
    }
    let sent = tacit.json(&["wallet", "send", "carol", "1", "--as", "bob"]);
    assert_eq!(text(&sent, "/outcome"), "applied");
}

/// Files alone: what a build measures, what collateral says.
pub(crate) fn builds_are_measured_and_collateral_is_read(stage: &Stage) {
    let tacit = &stage.tacit;
    let mrtd = "11".repeat(48);
    let td = tacit.json(&["attest", "measure", "--tdx-mrtd", &mrtd, "--label", "release"]);
    assert_eq!(text(&td, "/measurement").len(), 96);
    assert_eq!(text(&td, "/policy_entries/0/platform"), "tdx");
    let other = tacit.json(&[
        "attest",
        "measure",
        "--tdx-mrtd",
        &mrtd,
        "--tdx-rtmr1",
        &"22".repeat(48),
    ]);
    assert_ne!(td["measurement"], other["measurement"]);
    tacit.refused(&["attest", "measure", "--tdx-mrtd", "11"], 2, "usage.invalid");
    tacit.refused(
        &["attest", "measure", "--firmware", "nowhere"],
        2,
        "usage.invalid",
    );
    tacit.refused(&["attest", "measure"], 2, "usage.invalid");

    let quote = ["attest", "quote", "--bind", "9c", "--out", "q.bin"];
    if Path::new("/sys/kernel/config/tsm/report").exists() || Path::new("/dev/sev-guest").exists() {
        tacit.json(&quote);
    } else {
        tacit.refused(&quote, 3, "quote.failed");
        // There is no such machine here to succeed on.
        tacit.count(&["attest", "quote"]);
    }
    tacit.refused(
        &["attest", "quote", "--bind", "xyz", "--out", "q.bin"],
        2,
        "usage.invalid",
    );
    tacit.refused(
        &["attest", "quote", "--report-data", "9c", "--out", "q.bin"],
        2,
        "usage.invalid",
    );
}

/// One machine of four is Intel's: a policy without its platform drops it, and everybody is told before.
#[test]
fn a_pending_policy_drops_a_validator_that_was_warned() {
    let network = Network::up(|options| {
        options.tdx = 1;
        options.load_accounts = 0;
    });
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::over(network, folder.path());
    let tacit = &stage.tacit;

    // The trust domain is a validator like the others.
    let verified = tacit.json(&["attest", "verify", "--validator", "val-3"]);
    assert_eq!(text(&verified, "/verdict"), "TRUSTED");
    let shown = tacit.json(&["attest", "show", "--validator", "val-3"]);
    assert_eq!(text(&shown, "/platform"), "simulated-tdx");
    let held = tacit.json(&["attest", "collateral", "show"]);
    assert!(
        held["items"].as_array().is_some_and(|items| items.len() >= 4),
        "{held}"
    );

    let without = changed(&stage, "without.json", |policy| {
        policy["platforms"] = json!(["simulated"]);
        let entries = policy["measurements"].as_array_mut().expect("measurements");
        entries.retain(|entry| entry["platform"] == "simulated");
    });
    let proposed = tacit.json(&["gov", "propose", &without, "--as", "carol"]);
    let id = text(&proposed, "/id").to_owned();
    // Three of four remain: a quorum. What is proposed is shown, and fails nothing yet. Nodes look again whenever the
    // chain moved, so it may take them a moment.
    let mut seen = Value::Null;
    stage.network.until("the outlook knows the proposal", || {
        let status = tacit.json(&["attest", "status", "--validator", "val-3", "--strict"]);
        let sets = status["validators"][0]["outlook"]
            .as_array()
            .expect("an outlook")
            .clone();
        let proposed = sets.into_iter().find(|set| set["set"] == "proposed");
        seen = proposed.unwrap_or_default();
        !seen.is_null()
    });
    assert_eq!(
        (&seen["accepted"], &seen["policy_version"]),
        (&json!(false), &json!(2)),
        "{seen}"
    );
    assert_eq!(
        (text(&seen, "/code"), text(&seen, "/proposal")),
        ("attest.platform_not_allowed", id.as_str())
    );

    let approved = tacit.json(&["gov", "approve", &id, "--as", "alice"]);
    assert_eq!(approved["adopted"], true);
    stage.network.until("the epoch ends without val-3", || {
        tacit.json(&["query", "validator", "val-3"])["status"] == "dropped"
    });
    let record = tacit.json(&["query", "epoch"]);
    assert_eq!(text(&record, "/reason"), "policy");
    assert_eq!(text(&record, "/dropped/0/name"), "val-3");
    assert_eq!(text(&record, "/dropped/0/code"), "attest.platform_not_allowed");
    let sent = tacit.json(&["wallet", "send", "bob", "1", "--as", "alice"]);
    assert_eq!(text(&sent, "/outcome"), "applied");

    // The other way loosens: it waits for its delay, which on a local network is none.
    let all = changed(&stage, "all.json", |policy| {
        policy["platforms"] = json!(["simulated", "simulated-tdx"])
    });
    let difference = tacit.json(&["attest", "policy", "diff", "2", &all]);
    assert_eq!(text(&difference, "/change"), "loosens");
    stage.network.until("the outlook knows that it is refused", || {
        tacit
            .run(&["attest", "status", "--validator", "val-3"])
            .status
            .code()
            == Some(6)
    });
    let said = tacit.run(&["attest", "status", "--validator", "val-3"]);
    assert!(
        lossy(&said.stdout).contains("REFUSED [attest.platform_not_allowed]"),
        "{}",
        lossy(&said.stdout)
    );
}
