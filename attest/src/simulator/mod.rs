//! Hardware for those who have none: reports in the SNP format, signed under a throw-away root.
//!
//! A simulated chip proves nothing: whoever holds its file can claim any measurement. That is the point in
//! a test and a catastrophe elsewhere, so it is marked four times over: its own platform tag, its own root
//! that only a genesis of class `dev` may name, `SIM-` and "SIMULATOR - NOT HARDWARE" in every
//! certificate, and a family id in every report. Verification takes the same path as for AMD's.

pub(crate) mod authority;
pub(crate) mod chip;
pub(crate) mod documents;
pub(crate) mod intel;
pub(crate) mod quoter;
pub(crate) mod td;

use borsh::BorshDeserialize;

use crate::limits::SIMULATOR_FILE_MAX;
use crate::quote_error::QuoteError;

/// Decodes a key file, bounded, trailing bytes refused.
fn decode_file<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, QuoteError> {
    if bytes.len() > SIMULATOR_FILE_MAX {
        return Err(QuoteError::KeyFile { reason: "too long" });
    }
    borsh::from_slice(bytes).map_err(|_| QuoteError::KeyFile {
        reason: "does not decode",
    })
}

/// A seed for one purpose, so that no two keys share random bytes.
fn subseed(seed: &[u8; 32], purpose: &[u8]) -> zeroize::Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 simulator seed");
    hasher.update(seed);
    hasher.update(purpose);
    let mut out = zeroize::Zeroizing::new([0; 32]);
    hasher.finalize_xof().fill(out.as_mut());
    out
}
