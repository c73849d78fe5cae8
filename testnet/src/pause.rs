//! Waiting between two looks at another process. Its files, ports and exit give no event to wait for, so they are
//! looked at again and again, up to a deadline that the caller states.

use std::time::Duration;

/// Waits once.
#[expect(
    clippy::disallowed_methods,
    reason = "another process gives no event to wait for; every caller has a deadline"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
