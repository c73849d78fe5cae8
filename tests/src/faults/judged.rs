//! The reference model over real processes: all four validators write their traces while stages go on.

use std::path::PathBuf;

use serde_json::json;

use super::{keep, lane::Lane};
use crate::oracle::judge_files;

const SECTION: &str = "\n[consensus]\ntrace = \"trace.jsonl\"\n";

/// Runs stages with traces, and judges every transition of all processes by `docs/protocol.md`.
///
/// # Panics
/// As the stages do; when a rule was broken.
pub fn judged(lane: &mut Lane, stages: impl FnOnce(&mut Lane)) {
    configured(lane, |config| config.push_str(SECTION));
    stages(lane);
    let files: Vec<PathBuf> = (0..4).map(|node| lane.home(node).join("trace.jsonl")).collect();
    configured(lane, |config| *config = config.replace(SECTION, ""));
    let (transitions, wrong) = judge_files(&files).expect("they are traces");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(transitions > 200, "{transitions} transitions");
    keep(
        "judged",
        json!({ "traces of processes": files.len(), "transitions judged": transitions, "rejected": wrong.len() }),
    );
}

/// Kills all validators, and starts them with another configuration.
fn configured(lane: &mut Lane, change: impl Fn(&mut String)) {
    for node in 0..4 {
        lane.net().kill(node).expect("it is killed");
    }
    for node in 0..4 {
        let path = lane.home(node).join("config.toml");
        let mut config = std::fs::read_to_string(&path).expect("its configuration");
        change(&mut config);
        std::fs::write(&path, config).expect("written");
        lane.net().launch(node).expect("it starts");
    }
    for node in 0..4 {
        lane.net().await_node(node).expect("it serves");
    }
    lane.until("all vote", || (0..4).all(|node| lane.votes(node)));
    lane.until("all are connected", || lane.is_whole());
}
