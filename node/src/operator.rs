//! The operator's key: Ed25519, kept outside the TEE, because it must still be there when the TEE's own keys are not.
//!
//! It answers for one name in the registry: it signs the name's first registration, every later one with other keys
//! (another chip, another build, keys that did not survive), and the wish to leave. It opens nothing and signs no vote.
//! `operator.key` holds its 32-byte seed, readable by its owner only.

use std::{os::unix::fs::PermissionsExt, path::Path};

use tacit_consensus::{Ed25519Signer, PublicKey, Signer};
use zeroize::Zeroizing;

use crate::{NodeError, home::write_private};

/// Bytes of the file.
const SEED_BYTES: usize = 32;

/// See the module. No `Debug`: it is a secret.
pub struct OperatorKey {
    signer: Ed25519Signer,
}

impl OperatorKey {
    /// Draws a key and writes it to a new file, or takes `seed`.
    ///
    /// # Errors
    /// [`NodeError::HomeExists`] when the file is there already: whoever loses a key loses the name. Files, randomness.
    pub fn create(path: &Path, seed: Option<[u8; SEED_BYTES]>) -> Result<Self, NodeError> {
        if path.exists() {
            return Err(NodeError::HomeExists(path.to_path_buf()));
        }
        let mut bytes = Zeroizing::new(seed.unwrap_or([0; SEED_BYTES]));
        if seed.is_none() {
            getrandom::fill(&mut *bytes).map_err(|e| NodeError::Entropy(e.to_string()))?;
        }
        write_private(path, &*bytes)?;
        Ok(Self {
            signer: Ed25519Signer::from_seed(*bytes),
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`NodeError::Operator`] when it is not there or not a key; [`NodeError::FileMode`] when others may read it.
    pub fn load(path: &Path) -> Result<Self, NodeError> {
        let unusable = |detail: String| NodeError::Operator {
            path: path.to_path_buf(),
            detail,
        };
        let metadata = std::fs::metadata(path).map_err(|e| unusable(e.to_string()))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(NodeError::FileMode {
                path: path.to_path_buf(),
                have: mode,
                need: 0o600,
            });
        }
        if metadata.len() != SEED_BYTES as u64 {
            return Err(unusable(format!(
                "{} bytes, an operator's key has {SEED_BYTES}",
                metadata.len()
            )));
        }
        let bytes = Zeroizing::new(std::fs::read(path).map_err(|e| unusable(e.to_string()))?);
        let seed: [u8; SEED_BYTES] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| unusable("it changed while it was read".into()))?;
        Ok(Self {
            signer: Ed25519Signer::from_seed(seed),
        })
    }

    /// Its public half, as registrations name it.
    pub fn public(&self) -> PublicKey {
        self.signer.public()
    }

    /// What signs.
    pub fn signer(&self) -> &dyn Signer {
        &self.signer
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_comes_back_and_is_never_made_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("operator.key");
        let made = OperatorKey::create(&path, None).expect("made");
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(OperatorKey::load(&path).expect("loads").public(), made.public());
        assert!(matches!(
            OperatorKey::create(&path, None),
            Err(NodeError::HomeExists(_))
        ));
    }

    #[test]
    fn what_is_no_private_key_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("operator.key");
        let code = |path: &Path| OperatorKey::load(path).err().expect("refused").code();
        assert_eq!(code(&path), "key.operator");
        for bad in [&[][..], &[1; 31], &[1; 33]] {
            write_private(&path, bad).expect("written");
            assert_eq!(code(&path), "key.operator", "{} bytes", bad.len());
        }
        write_private(&path, &[1; 32]).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let error = OperatorKey::load(&path).err().expect("refused");
        assert_eq!(error.code(), "key.file_mode");
        assert!(error.to_string().contains("0640"), "{error}");
    }
}
