//! `testnet.json`: what scripts and wallets need to know about a local network.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, io_error};

/// Version of the file's form.
pub const FACTS_VERSION: u32 = 1;
/// The file's name inside the network's folder.
pub const FACTS_FILE: &str = "testnet.json";
/// Largest `testnet.json` that is read, bytes: 64 nodes and 64 wallets fill a tenth of it.
const MAX_BYTES: u64 = 256 * 1024;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Votes and holds the epoch's secret.
    Validator,
    /// Follows and serves.
    Observer,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// `val-0`, `obs-0`.
    pub name: String,
    /// What it is for.
    pub role: NodeRole,
    /// Base of its HTTP API, such as `http://127.0.0.1:26600`.
    pub rpc: String,
    /// Where its peers reach it, such as `/ip4/127.0.0.1/tcp/26601/p2p/12D3...`.
    pub p2p: String,
    /// Its folder, absolute.
    pub home: PathBuf,
    /// Its standard output and error, absolute.
    pub log: PathBuf,
    /// Its process when this file was written; ask [`crate::Testnet::status`] whether it still lives.
    pub pid: Option<u32>,
    /// The build that it runs, where that is not [`Facts::binary`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// A build that nodes run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Its binary, absolute.
    pub binary: PathBuf,
    /// Its simulated measurement, hex.
    pub measurement: String,
}

/// One wallet file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletFacts {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The encrypted file, absolute; the passphrase stands in `password` beside it.
    pub file: PathBuf,
}

/// A local network, as written to `testnet.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// [`FACTS_VERSION`].
    pub version: u32,
    /// The network's name, as its genesis says it.
    pub chain_id: String,
    /// Hash of the genesis, hex: the one value that a wallet must be told.
    pub genesis_hash: String,
    /// The genesis file, absolute.
    pub genesis: PathBuf,
    /// Always `simulated`.
    pub tee: String,
    /// How many validators, the last ones, are simulated TDX machines.
    #[serde(default)]
    pub tdx: u16,
    /// Where every key comes from.
    pub seed: u64,
    /// Genesis time, Unix milliseconds.
    pub time_ms: u64,
    /// An epoch's longest duration, milliseconds.
    pub epoch_ms: u64,
    /// Whether a sealed transaction was committed since the last start.
    pub ready: bool,
    /// The newest height seen at the last start or stop.
    pub height: u64,
    /// First port.
    pub base_port: u16,
    /// Whether the links between the nodes go through the proxy, where they can be cut and slowed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proxy: bool,
    /// Whether each node has a network namespace of its own, and a router between them drops what a cut link carries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub namespaces: bool,
    /// The nodes, validators first.
    pub nodes: Vec<NodeFacts>,
    /// The wallets.
    pub wallets: Vec<WalletFacts>,
    /// Those of them whose owners may change the policy, in the order of their places.
    #[serde(default)]
    pub members: Vec<String>,
    /// How many of these adopt a policy.
    #[serde(default)]
    pub threshold: u16,
    /// File with the passphrase of all wallets.
    pub password_file: PathBuf,
    /// Funded wallets without files: `load-0` and so on.
    pub load_accounts: u16,
    /// What the nodes run, absolute.
    pub binary: PathBuf,
    /// The binary's simulated measurement, hex, as the genesis admits it.
    pub measurement: String,
    /// The build that new nodes run, where that is not [`Facts::binary`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Build>,
}

impl Facts {
    /// Whether links can be cut.
    pub fn has_links(&self) -> bool {
        self.proxy || self.namespaces
    }

    /// Reads the file of the network in `dir`.
    pub fn read(dir: &Path) -> Result<Facts, Error> {
        let path = dir.join(FACTS_FILE);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Absent {
                    dir: dir.to_path_buf(),
                });
            }
            Err(e) => return Err(io_error("open", &path)(e)),
        };
        let mut text = String::new();
        file.take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(io_error("read", &path))?;
        let facts: Facts = serde_json::from_str(&text).map_err(|e| Error::Facts {
            path: path.clone(),
            detail: e.to_string(),
        })?;
        if facts.version != FACTS_VERSION {
            let detail = format!("version {} is not {FACTS_VERSION}", facts.version);
            return Err(Error::Facts { path, detail });
        }
        Ok(facts)
    }

    /// Writes the file whole or not at all.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(FACTS_FILE);
        let mut text = serde_json::to_string_pretty(self).map_err(|e| Error::Facts {
            path: path.clone(),
            detail: e.to_string(),
        })?;
        text.push('\n');
        write_whole(&path, text.as_bytes(), 0o644)
    }

    /// The validators among the nodes.
    pub fn validators(&self) -> impl Iterator<Item = &NodeFacts> {
        self.nodes.iter().filter(|node| node.role == NodeRole::Validator)
    }

    /// The build that a node runs.
    pub fn build(&self, node: &NodeFacts) -> Build {
        node.build.clone().unwrap_or_else(|| Build {
            binary: self.binary.clone(),
            measurement: self.measurement.clone(),
        })
    }

    /// The build that a new node runs.
    pub fn newest_build(&self) -> Build {
        self.newest.clone().unwrap_or_else(|| Build {
            binary: self.binary.clone(),
            measurement: self.measurement.clone(),
        })
    }

    /// The index of a node by its name (`val-2`) or its number (`2`).
    pub fn index(&self, node: &str) -> Result<usize, Error> {
        self.nodes
            .iter()
            .position(|n| n.name == node)
            .or_else(|| node.parse().ok().filter(|i| *i < self.nodes.len()))
            .ok_or_else(|| Error::UnknownNode {
                node: node.into(),
                nodes: self.nodes.len(),
            })
    }
}

/// Replaces a file by writing a neighbour and renaming it, so that a reader never meets half of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&new)
        .map_err(io_error("create", &new))?;
    file.write_all(bytes).map_err(io_error("write", &new))?;
    fs::rename(&new, path).map_err(io_error("rename", &new))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A network of one stopped node under `dir`.
    pub(crate) fn sample(dir: &Path) -> Facts {
        Facts {
            version: FACTS_VERSION,
            chain_id: "dev-local".into(),
            genesis_hash: "9c".repeat(32),
            genesis: dir.join("genesis.json"),
            tee: "simulated".into(),
            tdx: 0,
            seed: 42,
            time_ms: 1,
            epoch_ms: 600_000,
            ready: false,
            height: 0,
            base_port: 26_600,
            proxy: false,
            namespaces: false,
            nodes: vec![NodeFacts {
                name: "val-0".into(),
                role: NodeRole::Validator,
                rpc: "http://127.0.0.1:1".into(),
                p2p: "/ip4/127.0.0.1/tcp/26601".into(),
                home: dir.join("val-0"),
                log: dir.join("val-0/node.log"),
                pid: None,
                build: None,
            }],
            wallets: Vec::new(),
            members: Vec::new(),
            threshold: 0,
            password_file: dir.join("wallets/password"),
            load_accounts: 0,
            binary: "/bin/true".into(),
            measurement: "6b".repeat(48),
            newest: None,
        }
    }

    #[test]
    fn facts_survive_the_disk_and_keep_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let facts = sample(dir.path());
        facts.write(dir.path()).unwrap();
        assert_eq!(Facts::read(dir.path()).unwrap(), facts);
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.path().join(FACTS_FILE)).unwrap()).unwrap();
        for key in [
            "version",
            "chain_id",
            "genesis_hash",
            "tee",
            "seed",
            "ready",
            "nodes",
            "wallets",
            "binary",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        for key in ["name", "role", "rpc", "p2p", "home", "log", "pid"] {
            assert!(json["nodes"][0].get(key).is_some(), "{key}");
        }
        assert_eq!(json["nodes"][0]["role"], "validator");
    }

    #[test]
    fn a_missing_file_a_strange_version_and_rubbish_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Facts::read(dir.path()), Err(Error::Absent { .. })));
        fs::write(dir.path().join(FACTS_FILE), "{").unwrap();
        assert!(matches!(Facts::read(dir.path()), Err(Error::Facts { .. })));
        Facts {
            version: 9,
            ..sample(dir.path())
        }
        .write(dir.path())
        .unwrap();
        assert!(matches!(Facts::read(dir.path()), Err(Error::Facts { .. })));
    }

    #[test]
    fn nodes_are_found_by_name_and_by_number() {
        let facts = sample(Path::new("/x"));
        assert_eq!(facts.index("val-0").unwrap(), 0);
        assert_eq!(facts.index("0").unwrap(), 0);
        assert!(facts.index("1").is_err());
        assert!(facts.index("val-1").is_err());
    }
}
