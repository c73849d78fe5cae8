//! Log lines: to stderr, as text or JSON, with a filter from the configuration or `TACIT_LOG`.

use std::path::Path;

use tracing_subscriber::EnvFilter;

use crate::{
    NodeError,
    config::{LogFormat, LogSection},
};

/// Installs the process's subscriber. A second call in one process changes nothing.
///
/// # Errors
/// [`NodeError::Config`] when the filter does not parse.
pub(crate) fn install(section: &LogSection, config: &Path) -> Result<(), NodeError> {
    let level = match std::env::var("TACIT_LOG") {
        Ok(filter) => filter,
        // Every validator announces the same height; gossipsub warns of each one that another was faster with.
        Err(_) => format!("{},libp2p_gossipsub=error", section.level),
    };
    let filter = EnvFilter::try_new(&level).map_err(|e| NodeError::Config {
        path: config.to_path_buf(),
        detail: format!("log level {level:?}: {e}"),
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let installed = match section.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // The only failure is that a subscriber is there already, which is what a test process wants.
    let _ = installed;
    Ok(())
}
