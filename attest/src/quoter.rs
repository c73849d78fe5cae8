//! The seam to the machine: who makes evidence, and who holds a key that only this code on this chip has.

use zeroize::Zeroizing;

use crate::evidence::{ChipId, Evidence, Measurement, Platform};
use crate::quote_error::QuoteError;

/// A machine that can attest. Implementations: [`crate::TsmDevice`] for SEV-SNP and TDX by the kernel's common
/// interface, [`crate::SnpDevice`] for SEV-SNP without it, and [`crate::SimulatedQuoter`], which lies on purpose.
///
/// Blocking: the device may take tens of milliseconds, and its host may throttle it to seconds; call from a
/// thread that may wait. Restart: quotes need nothing kept, and the sealing key comes back the same for the
/// same code on the same chip. Fault: every error is this machine's or its host's, never a peer's.
pub trait Quoter: Send + Sync {
    /// What kind of evidence [`Quoter::quote`] makes.
    fn platform(&self) -> Platform;

    /// A report over `report_data` with its leaf certificate. The caller verifies it like anyone's: a host
    /// may hand out a wrong certificate.
    fn quote(&self, report_data: [u8; 64]) -> Result<Evidence, QuoteError>;

    /// A key that depends on the chip, the measurement and `context`, and on nothing else. A host can keep
    /// old sealed blobs for ever, so nothing that must be deletable may rest on it.
    fn sealing_key(&self, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError>;

    /// What this machine was launched with; `None` when it cannot be asked.
    fn measurement(&self) -> Option<Measurement>;

    /// The chip that it runs on, as its own evidence names it; `None` when it cannot be asked, or its host withholds the
    /// identity.
    fn chip(&self) -> Option<ChipId> {
        self.quote([0; 64]).ok()?.claimed_chip()
    }
}

/// One key per context from a key that hardware derived.
pub(crate) fn sealing_key(root: &[u8; 32], context: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 sealing key");
    hasher.update(root);
    hasher.update(context);
    let mut key = Zeroizing::new([0; 32]);
    hasher.finalize_xof().fill(key.as_mut());
    key
}
