//! What a command works with: the folder, the node, the pin, the password; from options, environment, or the local
//! network in `./.tacit-testnet`.

use std::{
    fs,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tacit_consensus::Digest;
use tacit_wallet::{
    Address, Api, Home, HttpTransport, Keyfile, Passphrase, Transport, Trust, Wallet, address_of,
    looks_like_address, trust,
};

use crate::{
    args::{Global, WalletOptions},
    failure::{Done, Failure},
    output::Output,
};

/// The folder of a local network, looked for in the working directory.
const TESTNET: &str = ".tacit-testnet";
/// Where a node listens when nobody says otherwise.
const DEFAULT_RPC: &str = "http://127.0.0.1:26600";
/// Longest password file that is read, in bytes.
const MAX_PASSWORD: u64 = 4096;
/// Longest `testnet.json` that is read, in bytes.
const MAX_FACTS: u64 = 256 * 1024;

/// What a wallet needs of `testnet.json`.
#[derive(Deserialize)]
struct LocalNetwork {
    genesis_hash: String,
    nodes: Vec<LocalNode>,
    wallets: Vec<LocalWallet>,
    #[serde(default)]
    password_file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct LocalNode {
    rpc: String,
}

#[derive(Deserialize)]
struct LocalWallet {
    name: String,
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) output: Output,
    local: Option<(PathBuf, LocalNetwork)>,
}

impl Context {
    pub(crate) fn new(global: Global, output: Output) -> Self {
        let local = local_network(global.home.as_deref());
        Self {
            global,
            output,
            local,
        }
    }

    /// The wallet's folder.
    pub(crate) fn home(&self) -> Done<Home> {
        if let Some(home) = &self.global.home {
            return Ok(Home::at(home));
        }
        if let Some((folder, _)) = &self.local {
            return Ok(Home::at(folder));
        }
        let user = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let user = user.ok_or_else(|| Failure::new("usage.missing", "no home folder: give --home"))?;
        Ok(Home::at(PathBuf::from(user).join(".tacit")))
    }

    /// A node's folder, which nobody guesses.
    pub(crate) fn node_home(&self) -> Done<PathBuf> {
        self.global
            .home
            .clone()
            .ok_or_else(|| Failure::new("usage.missing", "whose node? give --home DIR"))
    }

    /// The node's address.
    pub(crate) fn rpc(&self) -> String {
        let local = || {
            self.local
                .as_ref()
                .and_then(|(_, network)| network.nodes.first().map(|node| node.rpc.clone()))
        };
        self.global
            .rpc
            .clone()
            .or_else(local)
            .unwrap_or_else(|| DEFAULT_RPC.to_owned())
    }

    /// The way to the node.
    pub(crate) fn http(&self) -> Done<HttpTransport> {
        Ok(HttpTransport::new(&self.rpc(), self.global.timeout)?)
    }

    /// The way to the node, for a wallet.
    pub(crate) fn transport(&self) -> Done<Arc<dyn Transport>> {
        Ok(Arc::new(self.http()?))
    }

    /// The genesis hash to trust: the option, else what this folder has pinned, else the local network's.
    pub(crate) fn pin(&self) -> Done<Digest> {
        let kept = trust::pinned(&self.home()?)?;
        if let Some(text) = &self.global.genesis_hash {
            let given = hash(text)?;
            if let Some(kept) = kept
                && kept != given
            {
                return Err(Failure::new(
                    "home.chain_mismatch",
                    "--genesis-hash is not the one pinned in this folder",
                )
                .detail("given", given.to_string())
                .detail("pinned", kept.to_string()));
            }
            return Ok(given);
        }
        if let Some(kept) = kept {
            return Ok(kept);
        }
        match &self.local {
            Some((_, network)) => hash(&network.genesis_hash),
            None => Err(tacit_wallet::Error::NoPin.into()),
        }
    }

    /// The chain, as far as it was verified before; the loud line if it is simulated.
    pub(crate) fn trust(&self, transport: &dyn Transport) -> Done<Trust> {
        let trust = Trust::open(&Api::new(transport), &self.pin()?, Some(self.home()?))?;
        if trust.class() == tacit_attest::NetworkClass::Dev {
            self.output.simulated();
        }
        if let Some(origin) = &trust.genesis().origin {
            self.output.recovered(&origin.chain, origin.executed);
        }
        Ok(trust)
    }

    /// Opens the wallet that the options name, on the pinned chain.
    pub(crate) fn wallet(&self, options: &WalletOptions) -> Done<Wallet> {
        let name = self.wallet_name(options)?;
        let home = self.home()?;
        // Before a password is asked for.
        if !home.wallet(&name)?.exists() {
            return Err(tacit_wallet::Error::WalletMissing { name }.into());
        }
        let passphrase = self.passphrase(options, &name, false)?;
        let keyfile = Keyfile::open(&home, &name, &passphrase)?;
        let transport = self.transport()?;
        let trust = self.trust(transport.as_ref())?;
        let records = Some(home);
        let options = tacit_wallet::WalletOptions {
            patience: self.global.timeout,
            records,
            ..Default::default()
        };
        Ok(Wallet::new(&keyfile, transport, trust, options)?)
    }

    /// Opens the key file that the options name, without a chain: for what its owner signs or opens when there is none.
    pub(crate) fn keyfile(&self, options: &WalletOptions) -> Done<Keyfile> {
        let name = self.wallet_name(options)?;
        let home = self.home()?;
        if !home.wallet(&name)?.exists() {
            return Err(tacit_wallet::Error::WalletMissing { name }.into());
        }
        let passphrase = self.passphrase(options, &name, false)?;
        Ok(Keyfile::open(&home, &name, &passphrase)?)
    }

    /// Verifies the chain and shows the line; compares with the second node if one is named.
    pub(crate) fn check(&self, wallet: &mut Wallet, options: &WalletOptions) -> Done {
        let summary = wallet.check()?;
        self.witness(wallet.trust(), options)?;
        self.output.note("trust", summary.to_string());
        Ok(())
    }

    /// Compares with the second node if one is named.
    pub(crate) fn witness(&self, trust: &Trust, options: &WalletOptions) -> Done {
        if let Some(endpoint) = &options.witness {
            trust.compare(&HttpTransport::new(endpoint, self.global.timeout)?)?;
            self.output
                .note("witness", format!("{endpoint} shows the same chain"));
        }
        Ok(())
    }

    /// Which wallet: the option, else the only one, else the local network's first.
    fn wallet_name(&self, options: &WalletOptions) -> Done<String> {
        if let Some(name) = &options.wallet {
            return Ok(name.clone());
        }
        let names = self.home()?.wallet_names()?;
        let local = self
            .local
            .as_ref()
            .and_then(|(_, network)| network.wallets.first());
        match (names.as_slice(), local) {
            ([], _) => Err(Failure::new("wallet.not_found", "there is no wallet here")
                .hint("run: tacit wallet new NAME")),
            ([only], _) => Ok(only.clone()),
            (several, Some(first)) if several.contains(&first.name) => {
                let text = format!("{}  (--as NAME for another: {})", first.name, several.join(", "));
                self.output.note("wallet", text);
                Ok(first.name.clone())
            }
            (several, _) => {
                let message = format!("which wallet? there are {}", several.join(", "));
                Err(Failure::new("usage.missing", message).hint("give --as NAME"))
            }
        }
    }

    /// The password: from the file or descriptor named, else the local network's file, else the terminal.
    pub(crate) fn passphrase(&self, options: &WalletOptions, name: &str, new: bool) -> Done<Passphrase> {
        if let Some(descriptor) = options.password_fd {
            return read_password(Path::new(&format!("/dev/fd/{descriptor}")), false);
        }
        let local = self
            .local
            .as_ref()
            .and_then(|(_, network)| network.password_file.as_ref());
        if let Some(file) = options.password_file.as_ref().or(local) {
            return read_password(file, true);
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::new(
                "usage.not_interactive",
                "a password is needed and there is no terminal",
            )
            .hint("give --password-file FILE or --password-fd FD"));
        }
        let ask = |prompt: String| {
            rpassword::prompt_password(prompt)
                .map(Passphrase::new)
                .map_err(|error| Failure::new("usage.not_interactive", error))
        };
        let first = ask(format!("Password of {name}: "))?;
        if new {
            if first.is_empty() {
                return Err(Failure::usage("an empty password protects nothing"));
            }
            if !ask("The same again: ".to_owned())?.same(&first) {
                return Err(Failure::new("wallet.bad_password", "the two entries differ"));
            }
        }
        Ok(first)
    }

    /// Whom a word means: an address, `@name` on the chain, or a wallet in this folder.
    pub(crate) fn recipient(&self, wallet: &mut Wallet, text: &str) -> Done<Address> {
        if looks_like_address(text) {
            let address: Address = text.parse().map_err(Failure::from)?;
            return Ok(address.on(wallet.trust().class())?);
        }
        let address = match text.strip_prefix('@') {
            Some(name) => wallet.resolve_name(name)?,
            None => address_of(&self.home()?, text).map_err(|error| {
                Failure::from(error)
                    .hint("give an address, a wallet of this folder, or @name for a name on the chain")
            })?,
        };
        if self.output.verbose() > 0 {
            self.output.note("to", address.to_string());
        }
        Ok(address)
    }
}

/// A hash as people write it.
pub(crate) fn hash(text: &str) -> Done<Digest> {
    Digest::from_hex(text.trim())
        .map_err(|_| Failure::usage(format!("{text:?} is not a hash: 64 hex digits")))
}

/// A file of at most so many bytes.
pub(crate) fn read_file(path: &Path, max: u64) -> Done<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file(path, error))?;
    if bytes.len() as u64 > max {
        return Err(
            Failure::usage(format!("{}: longer than {max} bytes", path.display())).hint("check the path"),
        );
    }
    Ok(bytes)
}

/// A file that the user named and that does not open.
fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display())).hint("check the path")
}

/// A text file of at most so many bytes.
pub(crate) fn read_text(path: &Path, max: u64) -> Done<String> {
    String::from_utf8(read_file(path, max)?).map_err(|_| Failure::file(path, "not text"))
}

/// The first line of a password file, which must be its owner's alone.
fn read_password(path: &Path, private: bool) -> Done<Passphrase> {
    use std::os::unix::fs::PermissionsExt;
    if private {
        let mode = fs::metadata(path)
            .map_err(|error| unreadable(path, error))?
            .permissions()
            .mode()
            & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_path_buf();
            return Err(tacit_wallet::Error::FileMode {
                path,
                have: mode,
                want: 0o600,
            }
            .into());
        }
    }
    let text = zeroize::Zeroizing::new(read_text(path, MAX_PASSWORD)?);
    Ok(Passphrase::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

/// The local network of `--home`, or of the working directory when no home is given.
fn local_network(home: Option<&Path>) -> Option<(PathBuf, LocalNetwork)> {
    let folder = home.map_or_else(|| PathBuf::from(TESTNET), Path::to_path_buf);
    let bytes = read_file(&folder.join("testnet.json"), MAX_FACTS).ok()?;
    Some((folder, serde_json::from_slice(&bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_password_is_the_first_line_of_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pass");
        fs::write(&path, "secret \r\nsecond\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read_password(&path, true).err().unwrap().code, "wallet.file_mode");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(
            read_password(&path, true)
                .unwrap()
                .same(&Passphrase::new("secret ".to_owned()))
        );
    }

    #[test]
    fn a_local_network_is_found_and_rubbish_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(local_network(Some(folder.path())).is_none());
        fs::write(folder.path().join("testnet.json"), "{").unwrap();
        assert!(local_network(Some(folder.path())).is_none());
        let facts =
            r#"{"genesis_hash":"9c","nodes":[{"rpc":"http://x"}],"wallets":[{"name":"alice"}],"more":1}"#;
        fs::write(folder.path().join("testnet.json"), facts).unwrap();
        assert_eq!(
            local_network(Some(folder.path())).unwrap().1.wallets[0].name,
            "alice"
        );
    }

    #[test]
    fn hashes_have_64_digits() {
        assert!(hash(&"9c".repeat(32)).is_ok());
        assert_eq!(hash("9c1e2ab4").err().unwrap().code, "usage.invalid");
    }
}
