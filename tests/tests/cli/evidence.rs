//! Real evidence from files: `tacit attest verify --report` gives each case its documented verdict at both sides of
//! each bound in time, as one document, with the exit code of the table.
//!
//! What ships inside the packages `sev` and `dcap-qvl` is a fixture; the other cases are read from the evidence folder
//! beside the workspace (or where `TACIT_EVIDENCE` says), and a notice is printed where there is none.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    command::{Tacit, lossy},
    text,
};

/// Report and leaf of a Milan machine, from the package `sev`: valid to the second.
const FIXTURE: [&str; 2] = ["sev-milan.report.hex", "sev-milan.vcek.der"];
const FIXTURE_VALID: [&str; 2] = ["2023-04-03T19:23:43Z", "2030-04-03T19:23:43Z"];
const FIXTURE_INVALID: [&str; 2] = ["2023-04-03T19:23:42Z", "2030-04-03T19:23:44Z"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../attest/tests/fixtures")
}

fn fixture(name: &str) -> String {
    fixtures().join(name).to_str().expect("a path of text").to_owned()
}

/// The evidence folder with its manifest; a notice, straight to the stream, when there is none.
fn collection() -> Option<(PathBuf, Value)> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/evidence");
    let folder = std::env::var_os("TACIT_EVIDENCE").map_or(beside, PathBuf::from);
    let Ok(bytes) = fs::read(folder.join("manifest.json")) else {
        let notice = format!(
            "NOTICE: no evidence at {}: of the real cases only the fixtures were checked\n",
            folder.display()
        );
        std::io::stderr()
            .write_all(notice.as_bytes())
            .expect("stderr is open");
        return None;
    };
    Some((folder, serde_json::from_slice(&bytes).expect("a manifest")))
}

/// One verdict: the document, and how the command ended.
struct Verdict {
    document: Value,
    exit: i32,
}

fn verify(tacit: &Tacit, files: &[String], at: &str) -> Verdict {
    let mut args = vec!["attest", "verify", "--at", at, "--json"];
    args.extend(files.iter().map(String::as_str));
    let output = tacit.run(&args);
    let out = lossy(&output.stdout);
    let document: Value =
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"));
    assert_eq!(out.lines().count(), 1, "{args:?}: {out}");
    let exit = output.status.code().expect("it ends by itself");
    let refusal = &document["refusal"];
    assert_eq!(refusal.is_null(), exit == 0, "{args:?} exits {exit}: {out}");
    assert_eq!(refusal.is_null(), document["reason"].is_null(), "{out}");
    let word = match exit {
        0 => "AUTHENTIC",
        6 => "REFUSED",
        7 => "UNKNOWN",
        other => panic!("{args:?} exits {other}: {out}"),
    };
    assert_eq!(text(&document, "/verdict"), word, "{args:?}");
    Verdict { document, exit }
}

/// Arguments for a case of the manifest.
fn files(folder: &Path, case: &Value) -> Vec<String> {
    let path = |relative: &Value| {
        let relative = relative.as_str().expect("a path");
        folder.join(relative).to_str().expect("a path of text").to_owned()
    };
    let member = |name: &str| &case["files"][name]["path"];
    if member("quote").is_null() {
        vec![
            "--report".into(),
            path(member("report")),
            "--leaf".into(),
            path(member("leaf")),
        ]
    } else {
        vec![
            "--report".into(),
            path(member("quote")),
            "--collateral".into(),
            path(member("collateral")),
        ]
    }
}

fn seconds(unix: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The first and last second of a case.
fn window(case: &Value) -> [u64; 2] {
    let at = |member: &str, field: &str| case[member][field].as_u64();
    let first = at("window", "from_unix").or(at("leaf_validity", "not_before_unix"));
    let last = at("window", "to_unix").or(at("leaf_validity", "not_after_unix"));
    [first.expect("a first second"), last.expect("a last second")]
}

/// What a case must get inside its window: the status of an authentic one, or the refusal's code.
fn inside(id: &str) -> Result<Option<&'static str>, &'static str> {
    match id {
        id if id.starts_with("snp-") => Ok(None),
        "tdx-v4-phala" | "tdx-v4-gcp" | "tdx-v5-td15" => Ok(Some("UpToDate")),
        "tdx-v4-outofdate" | "tdx-v4-debug" => Ok(Some("OutOfDate")),

        "tdx-v5-service-td" => Err("attest.td_service_td"),
        "tdx-v4-no-sept-ve-disable" => Err("attest.td_sept_ve_disable"),
        "tdx-v5-no-tcb-level" => Err("attest.tcb_not_listed"),
        "sgx-v3-config-hardening" => Ok(Some("ConfigurationAndSWHardeningNeeded")),
        "sgx-v3-sw-hardening" => Ok(Some("SWHardeningNeeded")),
        other => panic!("{other}: what must it get?"),
    }
}

#[test]
fn every_real_case_gets_its_documented_verdict_at_both_sides_of_each_bound() {
    let nowhere = tempfile::tempdir().expect("a folder");
    let tacit = Tacit::at(&tacit_tests::network::tacit(), nowhere.path());
    let Some((folder, manifest)) = collection() else {
        return;
    };
    let cases = manifest["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 17);
    for case in cases {
        let id = text(case, "/id");
        let files = files(&folder, case);
        let [first, last] = window(case);
        let must = inside(id);
        for at in [first, first + (last - first) / 2, last] {
            let at = seconds(at);
            let Verdict { document, exit } = verify(&tacit, &files, &at);
            match must {
                Ok(status) => {
                    assert_eq!(
                        (exit, &document["authentic"]),
                        (0, &Value::Bool(true)),
                        "{id} at {at}: {document}"
                    );
                    assert_eq!(document["tcb_status"].as_str(), status, "{id} at {at}");
                    assert_facts(id, case, &document);
                }
                Err(refusal) => {
                    assert_eq!(
                        (exit, document["refusal"].as_str()),
                        (6, Some(refusal)),
                        "{id} at {at}"
                    );
                    assert_eq!(document["authentic"], false, "{id} at {at}");
                }
            }
        }
        for at in [first - 1, last + 1] {
            let at = seconds(at);
            let Verdict { document, exit } = verify(&tacit, &files, &at);
            assert_eq!(document["authentic"], false, "{id} at {at}: {document}");
            // What the guest is, is refused whatever the time; all else is a matter of time: refresh and retry.
            let guest = matches!(must, Err(refusal) if refusal.starts_with("attest.td_"));
            let expected = if guest { 6 } else { 7 };
            assert_eq!(exit, expected, "{id} at {at}: {document}");
        }
        // And what the manifest itself lists, in its own words.
        for expect in case["expect"].as_array().expect("expectations") {
            let at = text(expect, "/at");
            let Verdict { document, .. } = verify(&tacit, &files, at);
            let verdict = text(expect, "/verdict");
            assert_eq!(
                document["authentic"],
                verdict.starts_with("authentic"),
                "{id} at {at}: {document}"
            );
            if let Some((_, status)) = verdict.split_once("TCB ")
                && verdict.starts_with("authentic")
            {
                assert_eq!(document["tcb_status"], status, "{id} at {at}");
            }
        }
    }
    for negative in manifest["negative_files"].as_array().expect("negatives") {
        let report = folder.join("snp/snp-milan-v2-azure.report.bin");
        let leaf = folder.join(text(negative, "/path"));
        let files: Vec<String> = [Path::new("--report"), &report, Path::new("--leaf"), &leaf]
            .iter()
            .map(|word| word.to_str().expect("text").to_owned())
            .collect();
        for at in ["2024-01-01T00:00:00Z", "2029-01-01T00:00:00Z"] {
            assert_eq!(verify(&tacit, &files, at).exit, 6, "{negative}");
        }
    }
}

/// The facts of the document are those of the manifest.
fn assert_facts(id: &str, case: &Value, document: &Value) {
    let facts = &document["facts"];
    let noted = &case["facts"];
    let pairs: &[(&str, &str)] = match text(case, "/platform") {
        "amd-sev-snp" => &[
            ("measurement", "measurement"),
            ("host_data", "host_data"),
            ("chip_id", "chip"),
            ("report_id", "report_id"),
            ("report_data", "report_data"),
        ],
        "intel-tdx" => &[
            ("mr_td", "mr_td"),
            ("mr_seam", "mr_seam"),
            ("report_data", "report_data"),
        ],
        _ => &[
            ("mr_enclave", "mr_enclave"),
            ("mr_signer", "mr_signer"),
            ("report_data", "report_data"),
        ],
    };
    for (theirs, ours) in pairs {
        if let Some(value) = noted[*theirs].as_str() {
            let have = facts[*ours].as_str().unwrap_or_default();
            assert!(
                have.starts_with(value) || value.starts_with(have) && !have.is_empty(),
                "{id} {ours}: {facts}"
            );
        }
    }
    if let Some(fmspc) = case["fmspc"].as_str() {
        assert_eq!(facts["fmspc"], fmspc, "{id}");
        assert_eq!(facts["evaluation"], case["tcb_evaluation_data_number"], "{id}");
    }
    assert!(
        document["fields"]
            .as_object()
            .is_some_and(|fields| fields.len() > 10),
        "{id}"
    );
    assert_eq!(
        document["platform"],
        match text(case, "/platform") {
            "amd-sev-snp" => "sev-snp",
            "intel-tdx" => "tdx",
            _ => "sgx",
        }
    );
}

#[test]
fn the_fixture_of_the_package_sev_is_judged_by_files_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let tacit = Tacit::at(&tacit_tests::network::tacit(), folder.path());
    let [report, leaf] = FIXTURE.map(fixture);
    let files = [
        "--report".to_owned(),
        report.clone(),
        "--leaf".to_owned(),
        leaf.clone(),
    ];
    for at in FIXTURE_VALID {
        let Verdict { document, exit } = verify(&tacit, &files, at);
        assert_eq!(
            (exit, &document["authentic"]),
            (0, &Value::Bool(true)),
            "{document}"
        );
        assert_eq!(text(&document, "/facts/generation"), "milan");
    }
    for at in FIXTURE_INVALID {
        assert_eq!(verify(&tacit, &files, at).exit, 7);
    }
    // The same moment in another zone.
    assert_eq!(verify(&tacit, &files, "2023-04-03T21:23:43+02:00").exit, 0);

    // People read the steps, and the verdict last.
    let words = [
        "attest",
        "verify",
        "--report",
        &report,
        "--leaf",
        &leaf,
        "--at",
        FIXTURE_VALID[0],
    ];
    let said = tacit.text(&words);
    assert!(
        said.lines().next().is_some_and(|line| line.starts_with("  0 ")),
        "{said}"
    );
    assert!(
        said.lines()
            .last()
            .is_some_and(|line| line.starts_with("verdict: AUTHENTIC at ")),
        "{said}"
    );

    // A policy has the last word, and authenticity stays what it is.
    let policy = folder.path().join("policy.json");
    fs::write(&policy, tacit.text(&["attest", "policy", "production"])).expect("written");
    let policy = policy.to_str().expect("text");
    let judged = [&words[..], &["--policy", policy, "--json"]].concat();
    let output = tacit.run(&judged);
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(output.status.code(), Some(6), "{document}");
    assert_eq!(document["authentic"], true, "{document}");
    assert_eq!(text(&document, "/refusal"), "attest.report_version_not_allowed");
    assert_eq!(document["policy_version"], 1);
    let said = lossy(&tacit.run(&[&words[..], &["--policy", policy]].concat()).stdout);
    assert!(
        said.lines()
            .last()
            .is_some_and(|line| line.starts_with("verdict: REFUSED at ")),
        "{said}"
    );

    // One bit, one byte more, one byte less.
    let good = hex::decode(fs::read(&report).expect("the fixture").trim_ascii()).expect("hex digits");
    let changed = folder.path().join("changed.bin");
    let files = [
        "--report".to_owned(),
        changed.to_str().expect("text").to_owned(),
        "--leaf".to_owned(),
        leaf,
    ];
    let mut flipped = good.clone();
    flipped[0x90] ^= 1;
    for bytes in [
        flipped,
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        vec![4; 5000],
        Vec::new(),
    ] {
        fs::write(&changed, &bytes).expect("written");
        let Verdict { document, exit } = verify(&tacit, &files, FIXTURE_VALID[0]);
        assert_eq!(
            (exit, &document["authentic"]),
            (6, &Value::Bool(false)),
            "{document}"
        );
    }

    // Without the leaf nothing can be said.
    fs::write(&changed, &good).expect("written");
    let alone = verify(&tacit, &files[..2], FIXTURE_VALID[0]);
    assert_eq!(
        (alone.exit, text(&alone.document, "/refusal")),
        (7, "attest.leaf_missing")
    );

    // Fields without a verdict.
    let shown = tacit.json(&["attest", "show", "--report", &report, "--leaf", &files[3]]);
    assert_eq!(text(&shown, "/fields/report.version"), "2");
}

/// Name of the quote, first and last second, and what it must get between them.
const QUOTES: [(&str, &str, &str, Result<&str, &str>); 3] = [
    (
        "tdx_quote",
        "2025-06-19T10:32:27Z",
        "2025-07-19T10:00:35Z",
        Ok("UpToDate"),
    ),
    (
        "sgx_quote",
        "2025-06-19T10:56:11Z",
        "2025-07-19T10:01:18Z",
        Ok("ConfigurationAndSWHardeningNeeded"),
    ),
    (
        "tdx_quote_outdated",
        "2026-02-18T10:58:51Z",
        "2026-03-20T10:41:15Z",
        Err("attest.tcb_not_listed"),
    ),
];

#[test]
fn the_fixtures_of_the_package_dcap_qvl_are_judged_by_files_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let tacit = Tacit::at(&tacit_tests::network::tacit(), folder.path());
    let moved = |at: &str, seconds: i64| {
        let unix = humantime::parse_rfc3339(at).expect("a moment");
        let unix = unix
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        crate::evidence::seconds(unix.checked_add_signed(seconds).expect("a moment"))
    };
    for (name, first, last, must) in QUOTES {
        let report = fixture(&format!("dcap-qvl/{name}"));
        let collateral = fixture(&format!("dcap-qvl/{name}_collateral.json"));
        let files = [
            "--report".to_owned(),
            report.clone(),
            "--collateral".to_owned(),
            collateral.clone(),
        ];
        for at in [first, last] {
            let Verdict { document, exit } = verify(&tacit, &files, at);
            match must {
                Ok(status) => assert_eq!(
                    (exit, document["tcb_status"].as_str()),
                    (0, Some(status)),
                    "{name} at {at}"
                ),
                Err(refusal) => assert_eq!(
                    (exit, document["refusal"].as_str()),
                    (6, Some(refusal)),
                    "{name} at {at}"
                ),
            }
        }
        for at in [moved(first, -1), moved(last, 1)] {
            let Verdict { document, exit } = verify(&tacit, &files, &at);
            assert_eq!(
                (exit, &document["authentic"]),
                (7, &Value::Bool(false)),
                "{name} at {at}: {document}"
            );
        }
        // Without what the vendor says about the machine nothing is known; with one letter of it changed, too little.
        let missing = verify(&tacit, &files[..2], first);
        assert_eq!(
            (missing.exit, text(&missing.document, "/refusal")),
            (7, "attest.collateral_missing"),
            "{name}"
        );
        let body = fs::read_to_string(&collateral).expect("the fixture");
        let changed = folder.path().join("collateral.json");
        fs::write(&changed, body.replacen("UpToDate", "UpToDato", 1)).expect("written");
        let changed = changed.to_str().expect("text");
        let files = [
            "--report".to_owned(),
            report.clone(),
            "--collateral".to_owned(),
            changed.to_owned(),
        ];
        assert_eq!(verify(&tacit, &files, first).exit, 6, "{name}");

        let checked = tacit.json(&["attest", "collateral", "check", &collateral, "--at", first]);
        assert_eq!(checked["valid"], true, "{name}");
        tacit.json(&["attest", "collateral", "show", &collateral]);
        let late = moved(last, 1);
        let late = tacit.run(&[
            "attest",
            "collateral",
            "check",
            &collateral,
            "--at",
            &late,
            "--json",
        ]);
        assert_eq!(late.status.code(), Some(7), "{name}: {}", lossy(&late.stdout));
        let shown = tacit.json(&["attest", "show", "--report", &report]);
        assert!(
            shown["fields"]
                .as_object()
                .is_some_and(|fields| fields.len() > 30),
            "{name}"
        );
    }
}

#[test]
fn what_no_verdict_can_rest_on_is_a_mistake_of_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let tacit = Tacit::at(&tacit_tests::network::tacit(), folder.path());
    let [report, leaf] = FIXTURE.map(fixture);
    let at = FIXTURE_VALID[0];
    let verify = |more: &[&str], exit: i32, code: &str| {
        let words = [&["attest", "verify", "--report", &report][..], more].concat();
        tacit.refused(&words, exit, code)
    };
    verify(&["--leaf", &leaf], 2, "usage.invalid");
    verify(&["--leaf", &leaf, "--at", "yesterday"], 2, "usage.invalid");
    verify(&["--leaf", "nowhere", "--at", at], 2, "usage.invalid");
    verify(&["--leaf", &report, "--at", at], 2, "usage.invalid");
    verify(
        &["--leaf", &leaf, "--at", at, "--collateral", &report],
        2,
        "usage.invalid",
    );
    verify(
        &["--leaf", &leaf, "--at", at, "--policy", &report],
        2,
        "config.invalid",
    );
    verify(
        &["--leaf", &leaf, "--at", at, "--genesis", &report],
        6,
        "genesis.invalid",
    );
    verify(&["--validator", "val-0", "--at", at], 2, "usage.invalid");
    // The other verbs of files, and those that ask a node that is not there.
    let nobody = ["--rpc", "http://127.0.0.1:1"];
    for (words, exit, code) in [
        (&["attest", "show", "--report", "nowhere"][..], 2, "usage.invalid"),
        (&["attest", "show", "--report", &report], 7, "attest.leaf_missing"),
        (&["attest", "collateral", "show", &report], 2, "usage.invalid"),
        (
            &["attest", "collateral", "check", &report, "--at", at],
            2,
            "usage.invalid",
        ),
        (&["attest", "collateral", "push", &report], 2, "usage.invalid"),
        (&["attest", "policy", "check", &report], 2, "config.invalid"),
        (
            &["attest", "policy", "diff", "production", "nowhere"],
            2,
            "usage.invalid",
        ),
        (
            &["attest", "policy", "show", nobody[0], nobody[1]],
            3,
            "rpc.unreachable",
        ),
        (
            &["attest", "collateral", "show", nobody[0], nobody[1]],
            3,
            "rpc.unreachable",
        ),
        (&["attest", "status", nobody[0], nobody[1]], 3, "rpc.unreachable"),
        (&["gov", "list", nobody[0], nobody[1]], 3, "rpc.unreachable"),
        (
            &["gov", "show", "5f0c", nobody[0], nobody[1]],
            3,
            "rpc.unreachable",
        ),
        (
            &["gov", "propose", "nowhere", "--as", "alice"],
            2,
            "usage.invalid",
        ),
        (&["gov", "approve", "5f0c", "--as", "alice"], 2, "usage.invalid"),
    ] {
        tacit.refused(words, exit, code);
    }
    // A file without an end is not read to its end.
    tacit.refused(
        &["attest", "verify", "--report", "/dev/zero", "--at", at],
        2,
        "usage.invalid",
    );
}
