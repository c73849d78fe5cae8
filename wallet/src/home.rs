//! The wallet's folder, `$TACIT_HOME`: where each file lives, and the modes that are insisted on.
//!
//! ```text
//! wallets/<name>.age         the keys, under a passphrase       0600 in 0700
//! wallets/<name>.address     its address, to list it unopened   0600
//! receipts/<wallet>/<id>...  what became of each transaction    0600 in 0700
//! trust/pin                  the genesis hash the user accepts  0600 in 0700
//! trust/<chain>.bin          how far the chain was verified     0600
//! ```
//! A looser mode is refused with the `chmod` that mends it; nothing is ever loosened or tightened silently.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Longest wallet name, in characters.
pub const MAX_WALLET_NAME: usize = 32;

/// The wallet's folder.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder at a path, whether or not anything is there yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where key files live.
    pub fn wallets(&self) -> PathBuf {
        self.root.join("wallets")
    }

    /// Where pins and verified progress live.
    pub fn trust(&self) -> PathBuf {
        self.root.join("trust")
    }

    /// Where one wallet's receipts live.
    pub fn receipts(&self, wallet: &str) -> PathBuf {
        self.root.join("receipts").join(wallet)
    }

    /// The key file of a wallet.
    ///
    /// # Errors
    /// [`Error::WalletName`] unless the name is 1 to [`MAX_WALLET_NAME`] of `a-z 0-9 -`: it becomes a file name.
    pub fn wallet(&self, name: &str) -> Result<PathBuf, Error> {
        check_name(name)?;
        Ok(self.wallets().join(format!("{name}.age")))
    }

    /// The names of the wallets here, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read. A missing folder has no wallets.
    pub fn wallet_names(&self) -> Result<Vec<String>, Error> {
        let folder = self.wallets();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&folder, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| Error::file(&folder, error))?.path();
            if path.extension().is_some_and(|extension| extension == "age")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && check_name(name).is_ok()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Refuses names that could leave the folder or look like an address or a flag.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_WALLET_NAME).contains(&name.len());
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits && plain && !name.starts_with('-') {
        Ok(())
    } else {
        Err(Error::WalletName {
            name: name.to_owned(),
        })
    }
}

/// Makes a folder only its owner can enter, or checks that an existing one is.
pub(crate) fn private_folder(path: &Path) -> Result<(), Error> {
    if !path.exists() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|error| Error::file(path, error))?;
    }
    check_mode(path, 0o700)
}

/// Refuses a file or folder that group or others may touch.
fn check_mode(path: &Path, want: u32) -> Result<(), Error> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let have = fs::metadata(path)
            .map_err(|error| Error::file(path, error))?
            .permissions()
            .mode()
            & 0o777;
        if have & 0o077 != 0 {
            return Err(Error::FileMode {
                path: path.to_path_buf(),
                have,
                want,
            });
        }
    }
    #[cfg(not(unix))]
    let _ = (path, want);
    Ok(())
}

/// Reads a file that must be its owner's alone and at most `max` bytes; `None` when there is none.
pub(crate) fn read_private(path: &Path, max: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(path, error)),
    };
    check_mode(path, 0o600)?;
    let mut bytes = Vec::new();
    file.take(max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::file(path, error))?;
    if bytes.len() as u64 > max {
        return Err(Error::FileTooLong {
            path: path.to_path_buf(),
            max,
        });
    }
    Ok(Some(bytes))
}

/// Writes a file so that after a crash either the old or the new content is there; mode 0600 from its first byte.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fail = |error| Error::file(path, error);
    let mut name = path.as_os_str().to_owned();
    // The process id keeps two clients that write at once from sharing a half-written file.
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary).map_err(fail)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(fail)?;
    drop(file);
    fs::rename(&temporary, path).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for name in ["alice", "a", "bob-2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "..", "a/b", "Alice", "-a", "a b", "é", &"a".repeat(33)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_looser_mode_is_refused_with_the_chmod() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write_private(&path, b"secret").unwrap();
        assert_eq!(read_private(&path, 6).unwrap().as_deref(), Some(&b"secret"[..]));
        assert!(matches!(read_private(&path, 5), Err(Error::FileTooLong { .. })));
        for mode in [0o640, 0o604, 0o620, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_private(&path, 6).unwrap_err();
            assert_eq!(error.code(), "wallet.file_mode");
            assert!(
                error.hint().contains(&format!("chmod 600 {}", path.display())),
                "{}",
                error.hint()
            );
        }
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_folder(&open).unwrap_err().hint().contains("chmod 700"));
    }
}
