//! `tacit testnet` from outside.

use serde_json::Value;

use crate::{
    Stage,
    command::{Tacit, lossy},
    text,
};

pub(crate) fn networks_are_driven(stage: &Stage) {
    let tacit = &stage.tacit;
    let states = || -> Vec<String> {
        let status = tacit.json(&["testnet", "status"]);
        let nodes = status["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(|node| text(node, "/state").to_owned()).collect()
    };
    assert_eq!(states(), ["running"; 4]);
    assert_eq!(
        tacit.json(&["testnet", "kill", "3"])["nodes"],
        serde_json::json!(["val-3"])
    );
    tacit.refused(&["testnet", "kill", "3"], 9, "testnet.not_running");
    assert_eq!(states()[3], "stopped");
    tacit.json(&["wallet", "send", "bob", "1", "--as", "alice"]);
    tacit.json(&["testnet", "restart", "val-3"]);
    tacit.json(&["testnet", "pause", "2"]);
    assert_eq!(states()[2], "paused");
    tacit.json(&["testnet", "resume", "2"]);
    assert_eq!(states(), ["running"; 4]);
    let logs = tacit.json(&["testnet", "logs", "0", "--lines", "3"]);
    assert_eq!(logs["lines"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        tacit
            .text(&["testnet", "logs", "0", "--lines", "3"])
            .lines()
            .count(),
        3
    );
    // As text it would go on for ever.
    let followed = tacit.run(&["testnet", "logs", "0", "--follow", "--json"]);
    assert_eq!(followed.status.code(), Some(2), "{}", lossy(&followed.stdout));
    let load = [
        "testnet",
        "load",
        "--rate",
        "10",
        "--seconds",
        "1",
        "--wallets",
        "4",
        "--kind",
        "mixed",
    ];
    let report = tacit.json(&load);
    assert_eq!(
        (&report["committed"], &report["lost"]),
        (&Value::from(10), &Value::from(0)),
        "{report}"
    );
    // What everybody may know is found where it is.
    let leak = tacit.run(&["testnet", "leakscan", "dev-local", "--json"]);
    assert_eq!(leak.status.code(), Some(6));

    // Its links are its own only where it was asked for.
    for verb in [&["partition", "3"][..], &["heal"], &["latency", "5ms"]] {
        tacit.refused(&[&["testnet"], verb].concat(), 9, "testnet.no_proxy");
    }

    networks_live_on(stage);

    // Another one, made, stopped and resumed by the command.
    let dir = stage.path("small");
    let _down = Down(tacit, &dir);
    let up = [
        "testnet",
        "up",
        "--detach",
        "--dir",
        &dir,
        "--validators",
        "2",
        "--accounts",
        "zoe",
        "--load-accounts",
        "2",
        "--base-port",
        "27900",
        "--proxy",
        "--timeout",
        "120s",
    ];
    assert_eq!(tacit.json(&up)["ready"], true);
    assert_eq!(
        tacit.json(&["testnet", "down", "--dir", &dir])["stopped"],
        serde_json::json!(["val-0", "val-1"])
    );
    tacit.json(&up);
    assert_eq!(
        text(&tacit.json(&["wallet", "balance", "--home", &dir]), "/balance"),
        "1000.000000"
    );
    links_and_crooks(tacit, &dir);
    let nowhere = stage.path("nowhere");
    tacit.refused(
        &["testnet", "status", "--dir", &nowhere],
        9,
        "testnet.not_running",
    );
    tacit.refused(&["testnet", "up", "--dir", &stage.path("home")], 9, "home.exists");
}

/// A validator more, on another build, on an older disk, and gone again.
fn networks_live_on(stage: &Stage) {
    let tacit = &stage.tacit;
    let patience = ["--timeout", "120s"];
    let joined = tacit.json(&[&["testnet", "join"][..], &patience].concat());
    assert_eq!(text(&joined, "/joined/0/name"), "val-4");
    assert_eq!(joined["joined"][0]["seat"], 4, "{joined}");
    let next = stage.path("tacit-next");
    let mut bytes = std::fs::read(&stage.network.facts().binary).expect("the binary");
    bytes.extend_from_slice(b"another build");
    std::fs::write(&next, bytes).expect("written");
    crate::set_mode(std::path::Path::new(&next), 0o755);
    let upgrade = ["testnet", "upgrade", "4", "--build", &next];
    let upgraded = tacit.json(&[&upgrade[..], &patience].concat());
    assert_eq!(text(&upgraded, "/upgraded/0/name"), "val-4");
    assert_eq!(
        upgraded["upgraded"][0]["measurement"],
        upgraded["build"]["measurement"]
    );
    tacit.refused(&["testnet", "rollback", "val-4"], 4, "testnet.not_saved");
    tacit.refused(&["testnet", "rollback", "9", "--save"], 4, "testnet.unknown_node");
    tacit.json(&["testnet", "rollback", "4", "--save"]);
    let back = tacit.json(&["testnet", "rollback", "4"]);
    assert_eq!(text(&back, "/rolled_back/0/name"), "val-4");
    let left = tacit.json(&[&["testnet", "leave", "4"][..], &patience].concat());
    assert_eq!(text(&left, "/left/0/name"), "val-4");
    let nowhere = stage.path("nowhere");
    tacit.refused(&["testnet", "join", "--dir", &nowhere], 9, "testnet.not_running");
}

/// Links of a small network are cut, slowed and healed, and an adversary takes one validator's place.
fn links_and_crooks(tacit: &Tacit, dir: &str) {
    let net = |verb: &[&str]| tacit.json(&[&["testnet"], verb, &["--dir", dir]].concat());
    let count = |value: &Value, what: &str| value[what].as_array().map(Vec::len);
    let cut = net(&["partition", "0/val-1"]);
    assert_eq!(
        (count(&cut, "cut"), count(&cut, "slow")),
        (Some(2), Some(0)),
        "{cut}"
    );
    assert_eq!(
        cut["cut"][0],
        serde_json::json!({ "from": "val-0", "to": "val-1" })
    );
    assert_eq!(net(&["status"])["links"], cut);
    assert_eq!(
        count(&net(&["partition", "--from", "1"]), "cut"),
        Some(2),
        "it was cut already"
    );
    let said = tacit.text(&[
        "testnet", "latency", "20ms", "--jitter", "5ms", "--from", "0", "--dir", dir,
    ]);
    assert!(said.contains("val-0 to val-1 20\u{b1}5 ms"), "{said}");
    let healed = net(&["heal"]);
    assert_eq!(
        (count(&healed, "cut"), count(&healed, "slow")),
        (Some(0), Some(1)),
        "{healed}"
    );
    assert_eq!(count(&net(&["latency", "0ms"]), "slow"), Some(0));
    let refused = |verb: &[&str], exit, code| {
        tacit.refused(&[&["testnet"], verb, &["--dir", dir]].concat(), exit, code);
    };
    refused(&["partition", "0,1"], 2, "usage.invalid");
    refused(&["partition", "0/7"], 4, "testnet.unknown_node");
    refused(&["latency", "5ms", "--jitter", "6ms"], 2, "usage.invalid");
    refused(&["adversary", "7", "silent"], 4, "testnet.unknown_node");
    assert_eq!(net(&["adversary", "1", "silent"])["adversary"], "silent");
    assert_eq!(net(&["status"])["nodes"][1]["state"], "adversary");
    net(&["restart", "1"]);
    assert_eq!(net(&["status"])["nodes"][1]["state"], "running");
}

/// Takes a detached network down, also when its test fails.
struct Down<'a>(&'a Tacit, &'a str);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["testnet", "down", "--dir", self.1]);
    }
}
