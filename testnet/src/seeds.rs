//! Everything that a development network keeps secret comes from its seed, one label a use.
//!
//! So two networks with one seed and one genesis time have byte-identical genesis files and the same wallets. And so
//! none of these keys protects anything: whoever knows the seed (42, mostly) has them all.

/// Thirty-two bytes for `label` (such as `keys of val-0`), a function of the seed and the label alone.
pub(crate) fn derive(seed: u64, label: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 development network");
    hasher.update(&seed.to_le_bytes());
    hasher.update(label.as_bytes());
    *hasher.finalize().as_bytes()
}

/// The seed of the account key of a wallet of this network.
pub(crate) fn wallet(seed: u64, name: &str) -> [u8; 32] {
    derive(seed, &format!("account of {name}"))
}

/// The seed of its mail key, to which others seal letters.
pub(crate) fn mail(seed: u64, name: &str) -> [u8; 32] {
    derive(seed, &format!("mail of {name}"))
}

/// The name of the n-th wallet that only [`crate::load`] uses.
pub(crate) fn load_wallet(n: u16) -> String {
    format!("load-{n}")
}

/// The wallet that pays for the transfer which proves readiness, so that nobody else's balance changes.
pub(crate) const PROBE: &str = "probe";

/// The account that receives it.
pub(crate) const PROBE_SINK: &str = "probe-sink";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_seed_and_label_and_nothing_else() {
        assert_eq!(derive(42, "keys of val-0"), derive(42, "keys of val-0"));
        assert_ne!(derive(42, "keys of val-0"), derive(43, "keys of val-0"));
        assert_ne!(derive(42, "keys of val-0"), derive(42, "keys of val-1"));
        assert_ne!(wallet(42, "alice"), derive(42, "alice"));
    }
}
