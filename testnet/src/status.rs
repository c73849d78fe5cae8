//! What each node of a network says about itself right now.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::adversary;
use crate::facts::{NodeFacts, NodeRole};
use crate::http::Client;
use crate::process::{self, ProcessState};

/// A node that does not answer within this is called unreachable.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a node does, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It answers.
    Running,
    /// Its process was paused.
    Paused,
    /// Its process lives, its API does not answer.
    Unreachable,
    /// It has no process.
    Stopped,
    /// An adversary runs in its place.
    Adversary,
}

/// One node now. What it did not say is absent.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// Its number.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Base of its API.
    pub rpc: String,
    /// Its process.
    pub pid: Option<u32>,
    /// What it does.
    pub state: NodeState,
    /// Newest committed height.
    pub height: Option<u64>,
    /// The view it is in.
    pub view: Option<u64>,
    /// The epoch in force.
    pub epoch: Option<u64>,
    /// Connected peers.
    pub peers: Option<u64>,
}

impl NodeStatus {
    /// Whether the node answers.
    pub fn is_running(&self) -> bool {
        self.state == NodeState::Running
    }
}

/// Asks one node.
pub(crate) fn ask(index: usize, node: &NodeFacts) -> NodeStatus {
    let found = process::find(&node.home);
    let mut status = NodeStatus {
        index,
        name: node.name.clone(),
        role: node.role,
        rpc: node.rpc.clone(),
        pid: found.map(|(pid, _)| pid),
        state: NodeState::Unreachable,
        height: None,
        view: None,
        epoch: None,
        peers: None,
    };
    match found.map(|(_, state)| state) {
        None | Some(ProcessState::Stopped) => status.state = NodeState::Stopped,
        Some(ProcessState::Paused) => status.state = NodeState::Paused,
        Some(ProcessState::Running) if adversary::read_report(&node.home).is_some() => {
            status.state = NodeState::Adversary;
        }
        Some(ProcessState::Running) => {
            if let Ok(said) = Client::new(PATIENCE).json(&node.rpc, "/v1/status") {
                let said = Said::read(&said);
                status.state = NodeState::Running;
                status.height = said.height;
                status.view = said.view;
                status.epoch = said.epoch;
                status.peers = said.peers;
            }
        }
    }
    status
}

/// The figures of `/v1/status` that this crate uses.
pub(crate) struct Said {
    pub(crate) genesis_hash: Option<String>,
    pub(crate) height: Option<u64>,
    pub(crate) view: Option<u64>,
    pub(crate) epoch: Option<u64>,
    pub(crate) peers: Option<u64>,
}

impl Said {
    pub(crate) fn read(status: &Value) -> Said {
        let number = |at: &str| status.pointer(at).and_then(Value::as_u64);
        Said {
            genesis_hash: status
                .pointer("/genesis_hash")
                .and_then(Value::as_str)
                .map(String::from),
            height: number("/sync/height"),
            view: number("/consensus/view"),
            epoch: number("/epoch/number"),
            // A count, or the list of them.
            peers: number("/peers").or_else(|| {
                status
                    .pointer("/peers")
                    .and_then(Value::as_array)
                    .map(|list| list.len() as u64)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_answer_is_understood() {
        let answer = serde_json::json!({
            "genesis_hash": "9c1e", "sync": {"height": 1842}, "epoch": {"number": 12},
            "consensus": {"view": 1843}, "peers": 3
        });
        let said = Said::read(&answer);
        assert_eq!(
            (said.height, said.view, said.epoch, said.peers),
            (Some(1842), Some(1843), Some(12), Some(3))
        );
        assert_eq!(said.genesis_hash.as_deref(), Some("9c1e"));
        assert!(Said::read(&serde_json::json!([])).height.is_none());
    }

    #[test]
    fn a_node_without_a_process_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let facts = crate::facts::tests::sample(dir.path());
        let status = ask(0, &facts.nodes[0]);
        assert_eq!(
            (status.state, status.pid, status.height),
            (NodeState::Stopped, None, None)
        );
    }
}
