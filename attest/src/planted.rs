//! Bugs planted on purpose, so that the harness can be examined: each checker must find the one that is there for it.
//!
//! They exist only where the crate is built under `--cfg tacit_planted` (see `build.rs`), and then the variable
//! `TACIT_PLANTED` chooses one a process. Anywhere else [`has`] is a constant `false`, and nothing of them is left.

/// Whether this build has bugs in it. The binary `tacit` refuses to be built so.
pub const BUILT: bool = cfg!(tacit_planted);

/// Whether this process runs with the bug of that name.
#[cfg(tacit_planted)]
pub fn has(bug: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("TACIT_PLANTED").ok());
    chosen.as_deref() == Some(bug)
}

/// Whether this process runs with the bug of that name: it does not.
#[cfg(not(tacit_planted))]
pub const fn has(_bug: &str) -> bool {
    false
}
