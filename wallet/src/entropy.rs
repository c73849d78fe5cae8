//! Randomness and time of a client. Libraries below take both as arguments; this is where they come from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use zeroize::Zeroizing;

use crate::error::Error;

/// A generator seeded by the operating system.
///
/// # Errors
/// [`Error::Entropy`] when the system gives none: then nothing may be sealed or made.
pub fn system_rng() -> Result<ChaCha20Rng, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| Error::Entropy)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}

/// So many random bytes.
pub(crate) fn bytes<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Where a wallet reads the time, in milliseconds since 1970.
pub type Clock = fn() -> u64;

/// The machine's clock.
pub fn system_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

/// Waits a moment before a node is asked again.
#[expect(
    clippy::disallowed_methods,
    reason = "a remote node offers no event to wait on besides its own long poll"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
