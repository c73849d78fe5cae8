//! Versions of the protocol: a build stops by name before the first block of an epoch whose version it does not speak,
//! and says so as soon as members have adopted one.

use tacit_ledger::EpochRecord;

use super::{Refused, Replica};

impl Replica {
    /// Stops this node where its build does not know the rules by which the epoch's blocks are made and judged.
    pub(super) fn check_protocol(&mut self, record: &EpochRecord) {
        let (need, speaks) = (record.protocol, &self.protocols);
        if speaks.contains(&need) {
            return;
        }
        let detail = format!(
            "epoch {} has protocol version {need} from height {} on, this release speaks {} to {}; start a release that \
             speaks it, on this same home",
            record.epoch,
            record.start_height,
            speaks.start(),
            speaks.end(),
        );
        self.halt(Refused::new("protocol.unsupported", detail));
    }

    /// Says that an adopted protocol version is beyond this build, when a block has brought that to be: `before` is what
    /// was to come before it.
    pub(super) fn report_protocol(&self, before: Option<(u16, u64)>) {
        let next = self.public.next_protocol();
        let Some((version, active_from_ms)) = next.filter(|_| next != before) else {
            return;
        };
        if self.protocols.contains(&version) {
            tracing::info!(version, active_from_ms, "members have adopted a protocol version");
            return;
        }
        tracing::error!(
            version,
            active_from_ms,
            speaks_up_to = self.protocols.end(),
            code = "protocol.unsupported",
            "members have adopted a protocol version that this release does not speak: it stops when the version comes into \
             force. Start a newer release before"
        );
    }
}
