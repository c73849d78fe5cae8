//! Which seeds a lane or a story runs.

use std::ops::Range;

/// So many as are usual, as many as `TACIT_SIM_SEEDS` says, or the one of `TACIT_SIM_SEED`.
///
/// # Panics
/// When what they say is no number.
pub fn seeds(usual: u64) -> Range<u64> {
    match number("TACIT_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TACIT_SIM_SEEDS").unwrap_or(usual),
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
