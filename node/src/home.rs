//! A node's home directory: where each file lives, and the lock that keeps a second process out.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use fs4::FileExt;
use tacit_ledger::Genesis;

use crate::NodeError;

/// The longest genesis file that is read, in bytes.
const MAX_GENESIS_BYTES: u64 = tacit_ledger::MAX_GENESIS_BYTES as u64;

/// The directory of one node.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at a path, whether or not anything is there.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Addresses, limits and verbosity.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The network's genesis.
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis.json")
    }

    /// The node's keys and secrets, encrypted under the platform's sealing key.
    pub fn keyring(&self) -> PathBuf {
        self.root.join("keyring.sealed")
    }

    /// The registration that `node init` made.
    pub fn registration(&self) -> PathBuf {
        self.root.join("registration.json")
    }

    /// The simulator's stand-in for a chip.
    pub fn simulated_chip(&self) -> PathBuf {
        self.root.join("sim-chip.bin")
    }

    /// The simulator's stand-in for an Intel machine with trust domains.
    pub fn simulated_td(&self) -> PathBuf {
        self.root.join("sim-td.bin")
    }

    /// The certificate of this machine's chip, DER, where the host supplies none: public.
    pub fn leaf(&self) -> PathBuf {
        self.root.join("leaf.der")
    }

    /// An observer's libp2p identity; a validator's is in its keyring.
    pub fn node_seed(&self) -> PathBuf {
        self.root.join("node.seed")
    }

    /// The operator's key, outside the TEE.
    pub fn operator_key(&self) -> PathBuf {
        self.root.join("operator.key")
    }

    /// Who this validator is, public: name and keys.
    pub fn identity(&self) -> PathBuf {
        self.root.join("identity.json")
    }

    /// Says that this validator has left: it does not register by itself while this file is there.
    pub fn left(&self) -> PathBuf {
        self.root.join("left")
    }

    /// The consensus key under which this home was registered last, in hex: when the name has other keys since, another home
    /// took it over, and this one does not take it back by itself.
    pub fn registered_key(&self) -> PathBuf {
        self.root.join("registered")
    }

    /// The socket through which the operator of this machine, and nobody else, talks to the running node.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("db")
    }

    /// A lost network's state and the shares that open it, while a recovered network's first epoch runs.
    pub fn recovery(&self) -> PathBuf {
        self.root.join("recovery")
    }

    /// Takes the home's lock; held until the returned file is dropped, or the process ends in any way.
    ///
    /// # Errors
    /// [`NodeError::HomeLocked`] when another process has it.
    pub fn lock(&self) -> Result<File, NodeError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| NodeError::file(&path, e))?;
        match FileExt::try_lock(&file) {
            Ok(()) => Ok(file),
            Err(_) => Err(NodeError::HomeLocked(self.root.clone())),
        }
    }

    /// Reads the genesis file.
    ///
    /// # Errors
    /// When it is missing, too long, or does not parse.
    pub fn load_genesis(&self) -> Result<Genesis, NodeError> {
        let path = self.genesis();
        let length = std::fs::metadata(&path)
            .map_err(|e| NodeError::file(&path, e))?
            .len();
        if length > MAX_GENESIS_BYTES {
            return Err(NodeError::Config {
                path,
                detail: format!("{length} bytes, at most {MAX_GENESIS_BYTES} are read"),
            });
        }
        let text = std::fs::read_to_string(&path).map_err(|e| NodeError::file(&path, e))?;
        Ok(Genesis::from_json(&text)?)
    }
}

/// Writes a file so that after a crash either the old or the new content is there, readable by the owner only.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    use std::os::unix::fs::OpenOptionsExt;
    let fail = |e| NodeError::file(path, e);
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    drop(file);
    std::fs::rename(&temporary, path).map_err(fail)?;
    if let Some(parent) = path.parent() {
        File::open(parent).and_then(|d| d.sync_all()).map_err(fail)?;
    }
    Ok(())
}
