//! The configuration file of a node: addresses, limits and verbosity, never anything that decides what is
//! accepted. What affects trust lives in genesis and ledger policy, because a host supplies this file.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{NodeError, home::write_private, replica::History};

/// The version of the file format that this release writes.
pub const CONFIG_VERSION: u32 = 1;
/// The longest configuration file that is read.
const MAX_CONFIG_BYTES: u64 = 64 << 10;

/// `config.toml` of a node's home. Every key has a default; unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of the format.
    pub config_version: u32,
    /// Who this node is.
    pub node: NodeSection,
    /// The peer-to-peer network.
    #[serde(default)]
    pub p2p: P2pSection,
    /// The HTTP API.
    #[serde(default)]
    pub api: ApiSection,
    /// The database.
    #[serde(default)]
    pub storage: StorageSection,
    /// Logging.
    #[serde(default)]
    pub log: LogSection,
    /// Consensus.
    #[serde(default, skip_serializing_if = "ConsensusSection::is_default")]
    pub consensus: ConsensusSection,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// The node's name, as its registration gives it.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where a validator's keys live between two starts.
    #[serde(default, skip_serializing_if = "KeyStore::is_default")]
    pub keys: KeyStore,
}

/// Where a validator's keys live between two starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStore {
    /// On disk, sealed to chip and measurement; in memory where the platform derives no sealing key.
    #[default]
    Sealed,
    /// In memory alone: after each start the node registers anew.
    Memory,
}

impl KeyStore {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Votes, and holds the epoch's secret inside a TEE.
    Validator,
    /// Follows and serves public data; holds no secret.
    Observer,
}

/// `[p2p]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct P2pSection {
    /// Where to listen, TCP and QUIC on the same port number.
    pub listen: SocketAddr,
    /// Multiaddresses of peers to dial, each ending in `/p2p/<peer id>`.
    pub peers: Vec<String>,
    /// Dial peers only at these addresses, and not where they say that they listen: for a node whose links must go
    /// through a tunnel or a proxy.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub configured_only: bool,
    /// The most connections held at once.
    pub max_connections: u32,
}

impl Default for P2pSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 26601)),
            peers: Vec::new(),
            configured_only: false,
            max_connections: 128,
        }
    }
}

/// `[api]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    /// Where the HTTP API listens.
    pub listen: SocketAddr,
    /// Requests a second that one client address may make; 0 means no limit.
    pub rate_limit: u32,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 26600)),
            rate_limit: 200,
        }
    }
}

/// `[storage]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSection {
    /// What the node keeps: every block, or those of the epoch in force and of so many before it.
    pub history: HistoryChoice,
}

/// `all`, or a number of epochs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "HistoryText", into = "HistoryText")]
pub struct HistoryChoice(pub History);

/// As it stands in the file: `history = "all"` or `history = 30`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum HistoryText {
    Epochs(u64),
    Word(String),
}

impl FromStr for HistoryChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let epochs = || text.parse::<NonZeroU64>().ok().map(History::Epochs);
        let history = match text {
            "all" => Some(History::All),
            _ => epochs(),
        };
        history
            .map(Self)
            .ok_or_else(|| format!("history is \"all\" or a number of epochs from 1 on, not {text:?}"))
    }
}

impl TryFrom<HistoryText> for HistoryChoice {
    type Error = String;

    fn try_from(text: HistoryText) -> Result<Self, String> {
        match text {
            HistoryText::Epochs(epochs) => epochs.to_string().parse(),
            HistoryText::Word(word) => word.parse(),
        }
    }
}

impl From<HistoryChoice> for HistoryText {
    fn from(choice: HistoryChoice) -> Self {
        match choice.0 {
            History::All => Self::Word("all".into()),
            History::Epochs(epochs) => Self::Epochs(epochs.get()),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// A tracing filter, `info` by default.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[consensus]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsensusSection {
    /// A file, relative to the home, that takes a line for each transition of the core. For tests: it is not
    /// bounded, and nothing reads it but `tacit-tests oracle`.
    pub trace: Option<PathBuf>,
}

impl ConsensusSection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Config {
    /// A configuration with the defaults.
    pub fn new(name: &str, role: Role) -> Self {
        Self {
            config_version: CONFIG_VERSION,
            node: NodeSection {
                name: name.into(),
                role,
                keys: KeyStore::default(),
            },
            p2p: P2pSection::default(),
            api: ApiSection::default(),
            storage: StorageSection::default(),
            log: LogSection::default(),
            consensus: ConsensusSection::default(),
        }
    }

    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be read, [`NodeError::Config`] with the line when it does not parse.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        let length = std::fs::metadata(path)
            .map_err(|e| NodeError::file(path, e))?
            .len();
        let invalid = |detail: String| NodeError::Config {
            path: path.to_path_buf(),
            detail,
        };
        if length > MAX_CONFIG_BYTES {
            return Err(invalid(format!(
                "{length} bytes, at most {MAX_CONFIG_BYTES} are read"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|e| NodeError::file(path, e))?;
        Self::parse(&text).map_err(invalid)
    }

    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Config = toml::from_str(text).map_err(|e| e.to_string())?;
        if config.config_version != CONFIG_VERSION {
            return Err(format!(
                "config_version {} is not known to this release, which reads {CONFIG_VERSION}",
                config.config_version
            ));
        }
        Ok(config)
    }

    /// The text of its file.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn to_text(&self) -> Result<String, String> {
        toml::to_string_pretty(self).map_err(|e| e.to_string())
    }

    /// Writes the file whole or not at all: a node that starts meanwhile reads the old one or the new one.
    ///
    /// # Errors
    /// [`NodeError::File`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), NodeError> {
        let text = self.to_text().map_err(|detail| NodeError::Config {
            path: path.to_path_buf(),
            detail,
        })?;
        write_private(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &[u8]) -> Result<Config, NodeError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).expect("written");
        Config::load(&path)
    }

    #[test]
    fn what_is_saved_loads_and_every_section_may_be_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        let config = Config::new("val-0", Role::Validator);
        config.save(&path).expect("saved");
        assert_eq!(Config::load(&path).expect("loads"), config);
        let mut few = config.clone();
        few.storage.history = "30".parse().expect("a number of epochs");
        few.save(&path).expect("saved");
        assert_eq!(Config::load(&path).expect("loads"), few);
        let short = b"config_version = 1\n[node]\nname = \"val-0\"\nrole = \"validator\"\n";
        assert_eq!(load(short).expect("loads"), config);
    }

    #[test]
    fn a_bad_file_is_refused_by_name_with_the_reason() {
        let node = "[node]\nname = \"v\"\nrole = \"validator\"\n";
        let cases = [
            (format!("config_version = 2\n{node}"), "config_version 2"),
            (
                format!("config_version = 1\n{node}[api]\nlisten_on = \"x\"\n"),
                "listen_on",
            ),
            (
                format!("config_version = 1\n{node}[api]\nlisten = \"nowhere\"\n"),
                "listen",
            ),
            (
                format!("config_version = 1\n{node}[storage]\nhistory = 0\n"),
                "history is",
            ),
            (
                format!("config_version = 1\n{node}[storage]\nhistory = \"some\"\n"),
                "history is",
            ),
            ("\0\u{1}garbage".into(), "TOML parse error"),
            ("config_version = 1\n".into(), "node"),
            (" ".repeat(MAX_CONFIG_BYTES as usize + 1), "at most"),
        ];
        for (text, reason) in cases {
            let error = load(text.as_bytes()).expect_err("refused");
            assert_eq!(error.code(), "config.invalid");
            assert!(error.to_string().contains(reason), "{error}");
        }
        assert!(
            matches!(load(b"\xff\xfe"), Err(NodeError::File { .. })),
            "not text at all"
        );
    }
}
