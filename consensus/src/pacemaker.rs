//! When a view has lasted too long.
//!
//! ```text
//!  enter            armed                         deadline          + timeout       + timeout
//!    |---- idle -----|--------- timeout ------------|-- retransmit ----|-- retransmit --|
//! ```
//! A view's clock runs from the moment it is *armed*: there is work, the view was entered by a timeout
//! certificate, or the others are seen to be active in it. An idle view is only given up after the heartbeat
//! that its leader owes. The timeout follows the views' measured durations and doubles while views fail.

use crate::types::{Millis, View};

/// Timing, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Timeout before anything was measured, and the most that measuring may raise it to.
    pub base_timeout_ms: u64,
    /// The least that measuring may lower it to.
    pub min_timeout_ms: u64,
    /// The most that failing views may double it to.
    pub max_timeout_ms: u64,
    /// Without work, a leader proposes an empty block this long after it entered its view.
    pub heartbeat_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_timeout_ms: 1000,
            min_timeout_ms: 250,
            max_timeout_ms: 30_000,
            heartbeat_ms: 5000,
        }
    }
}

/// What opened a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The start of the epoch, or a restart.
    Start,
    /// A certificate of the view before, of either phase.
    Certificate,
    /// A timeout certificate of the view before.
    TimeoutCertificate,
    /// f + 1 timeouts of this view.
    Join,
}

/// Share of a new measurement in the mean, and multiple of the mean that makes the timeout.
const MEAN_WEIGHT: u64 = 8;
/// Added to the timeout, for schedulers and disks that hiccup.
const SLACK_MS: u64 = 50;

#[derive(Clone)]
pub(crate) struct Pacemaker {
    config: Config,
    view: View,
    entered: Millis,
    entry: Entry,
    /// Since when there is work, whatever the view.
    work_since: Option<Millis>,
    /// Since when others are seen active in this view.
    seen_since: Option<Millis>,
    /// Next repetition of our own timeout, once sent.
    retransmit: Option<Millis>,
    /// R16. This view's leader need not be waited for.
    passed_over: bool,
    /// R16. This view was given up for that reason.
    hasty: bool,
    /// Views that failed in a row, without those that were given up for their leader's name alone.
    failures: u32,
    /// Eight times the running mean of the durations of views under work.
    mean_times_8: Option<u64>,
}

impl Pacemaker {
    pub(crate) fn new(config: Config, view: View, now: Millis) -> Self {
        Self {
            config,
            view,
            entered: now,
            entry: Entry::Start,
            work_since: None,
            seen_since: None,
            retransmit: None,
            passed_over: false,
            hasty: false,
            failures: 0,
            mean_times_8: None,
        }
    }

    pub(crate) fn view(&self) -> View {
        self.view
    }

    /// R2. Opens a view; the caller makes sure that it is a later one.
    pub(crate) fn enter(&mut self, view: View, entry: Entry, now: Millis) {
        match entry {
            Entry::Certificate => {
                // Only a view that we went through from its start says how long views take.
                if view == self.view + 1
                    && let Some(armed) = self.armed()
                {
                    let took = now.saturating_sub(armed);
                    let mean = self.mean_times_8.unwrap_or(took.saturating_mul(MEAN_WEIGHT));
                    self.mean_times_8 = Some((mean - mean / MEAN_WEIGHT).saturating_add(took));
                }
                self.failures = 0;
            }
            // A leader that was not waited for says nothing about the network.
            Entry::TimeoutCertificate if self.hasty && view == self.view + 1 => {}
            Entry::TimeoutCertificate => self.failures = self.failures.saturating_add(1),
            Entry::Start | Entry::Join => {}
        }
        self.view = view;
        self.entered = now;
        self.entry = entry;
        self.seen_since = None;
        self.retransmit = None;
        self.passed_over = false;
        self.hasty = false;
    }

    /// R16. Whether this view's leader need not be waited for. While views fail everybody gets the whole time: it is
    /// not the leaders then, or not those that we think.
    pub(crate) fn pass_over(&mut self, pass: bool) {
        self.passed_over = pass && self.failures == 0;
    }

    /// There is work, or no longer.
    pub(crate) fn set_work(&mut self, work: bool, now: Millis) {
        self.work_since = work.then(|| self.work_since.unwrap_or(now));
    }

    /// Whether the application, or an epoch that is ending, wants a block.
    pub(crate) fn has_work(&self) -> bool {
        self.work_since.is_some()
    }

    /// Others are active in this view.
    pub(crate) fn seen(&mut self, now: Millis) {
        self.seen_since.get_or_insert(now);
    }

    /// Our timeout of this view was sent, or sent again.
    pub(crate) fn timed_out(&mut self, now: Millis) {
        self.hasty |= self.retransmit.is_none() && self.passed_over;
        self.retransmit = Some(now.saturating_add(self.timeout()));
    }

    /// The present timeout.
    pub(crate) fn timeout(&self) -> Millis {
        let Config {
            base_timeout_ms: base,
            min_timeout_ms: min,
            max_timeout_ms: max,
            ..
        } = self.config;
        let calm = self
            .mean_times_8
            .map_or(base, |mean| mean.saturating_add(SLACK_MS).max(min).min(base));
        let doubled = calm.saturating_mul(1u64.checked_shl(self.failures.min(32)).unwrap_or(u64::MAX));
        doubled.min(max.max(calm)).max(1)
    }

    /// When to send our timeout of this view, first or again.
    pub(crate) fn deadline(&self) -> Millis {
        if let Some(at) = self.retransmit {
            return at;
        }
        let armed = self.armed();
        if let Some(armed) = armed.filter(|_| self.passed_over) {
            return armed;
        }
        let since = armed.unwrap_or(self.heartbeat_due());
        since.min(self.heartbeat_due()).saturating_add(self.timeout())
    }

    /// When the leader owes a block even without work.
    pub(crate) fn heartbeat_due(&self) -> Millis {
        match self.entry {
            Entry::TimeoutCertificate => self.entered,
            _ => self.entered.saturating_add(self.config.heartbeat_ms),
        }
    }

    /// How often something unanswered is asked again.
    pub(crate) fn patience(&self) -> Millis {
        self.config.min_timeout_ms.max(1)
    }

    fn armed(&self) -> Option<Millis> {
        let by_entry = (self.entry == Entry::TimeoutCertificate).then_some(self.entered);
        let since = |at: Option<Millis>| at.map(|at| at.max(self.entered));
        [by_entry, since(self.work_since), since(self.seen_since)]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_view_waits_for_the_heartbeat_and_work_starts_the_clock() {
        let mut pacemaker = Pacemaker::new(Config::default(), 1, 100);
        assert_eq!(pacemaker.deadline(), 100 + 5000 + 1000);
        pacemaker.set_work(true, 700);
        pacemaker.set_work(true, 900);
        assert_eq!(pacemaker.deadline(), 1700);
        pacemaker.set_work(false, 900);
        assert_eq!(pacemaker.deadline(), 6100);
    }

    #[test]
    fn the_timeout_follows_the_views_and_doubles_while_they_fail() {
        let mut pacemaker = Pacemaker::new(Config::default(), 1, 0);
        pacemaker.set_work(true, 0);
        for view in 2..40 {
            pacemaker.enter(view, Entry::Certificate, (view - 1) * 100);
        }
        assert_eq!(pacemaker.timeout(), 850);
        for (failures, expected) in [
            (1, 1700),
            (2, 3400),
            (3, 6800),
            (4, 13_600),
            (5, 27_200),
            (6, 30_000),
        ] {
            pacemaker.enter(40 + failures, Entry::TimeoutCertificate, 10_000);
            assert_eq!(pacemaker.timeout(), expected);
        }
        pacemaker.enter(50, Entry::Certificate, 10_001);
        assert_eq!(pacemaker.timeout(), 850);
    }
}
