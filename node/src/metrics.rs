//! What this node measures, in the OpenMetrics text format under the prefix `tacit_`.
//!
//! Two kinds of numbers: what is read off a [`Status`] when somebody scrapes (height, peers, mempool, checks:
//! see [`Metrics::observe`]), and what the running node counts as it happens (the other methods; all are
//! lock-free or take one short lock, so any task may call them). Labels come from fixed words in the program:
//! none can hold an account, a transaction or an address, and their number is bounded. The one other label is a
//! validator's name, of which the ledger knows 128 at most.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use tacit_attest::{Collateral, CollateralKey, CollateralKind, PckAuthority, Platform, Tee};
use tacit_ledger::PublicState;

use crate::forecast::Forecast;
use crate::phase::Phase;
use crate::status::Status;

/// Media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric family, as `tacit_<name>`, without the suffixes of counters and histograms. Dashboards and
/// alerts may name these and no others.
pub const NAMES: &[&str] = &[
    "identity_conflict",
    "probation",
    "rolled_back",
    "build",
    "height",
    "best_known_height",
    "view",
    "view_changes",
    "commit_latency_seconds",
    "block_interval_seconds",
    "epoch",
    "epoch_key_expires_timestamp_seconds",
    "validators",
    "peers",
    "p2p_bytes",
    "p2p_dropped",
    "p2p_bans",
    "mempool_txs",
    "mempool_bytes",
    "tx_received",
    "tx_committed",
    "tx_open_failures",
    "api_requests",
    "api_seconds",
    "evidence_expires_timestamp_seconds",
    "tcb_ok",
    "policy_version",
    "collateral_issued_timestamp_seconds",
    "attest_verify",
    "attest_verify_seconds",
    "suspensions",
    "epoch_kept",
    "renewals",
    "system_txs",
    "system_bytes",
    "system_received",
    "system_committed",
    "fsync_seconds",
    "ready",
    "sse_clients",
    "phase",
    "seat",
    "tx_pending",
    "validator_out_timestamp_seconds",
    "quorum_lost_timestamp_seconds",
];

/// Direction of traffic.
#[derive(Clone, Copy)]
enum Direction {
    Inbound,
    Outbound,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::Inbound => "in",
            Self::Outbound => "out",
        }
    }
}

/// Why a view ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewEnd {
    /// Its block was certified.
    Certified,
    /// A quorum gave up on it.
    Timeout,
}

impl ViewEnd {
    fn label(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Timeout => "timeout",
        }
    }
}

type Label = [(&'static str, &'static str); 1];
type Labels = [(&'static str, &'static str); 2];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;
type Seconds = Gauge<f64, AtomicU64>;

/// A registered validator, by the name that the ledger bounds, and a set of rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ValidatorSet {
    validator: String,
    set: &'static str,
}

/// A registered validator that will be out, and the code of the reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ValidatorOut {
    validator: String,
    code: &'static str,
}

/// A registered validator, and how it was noticed that two hold its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Conflict {
    validator: String,
    how: &'static str,
}

/// The node's measurements; shared by reference, every method takes `&self`.
pub struct Metrics {
    registry: Registry,
    height: Gauge,
    best_known: Gauge,
    view: Gauge,
    epoch: Gauge,
    epoch_ends: Seconds,
    validators: Gauge,
    peers: Family<Label, Gauge>,
    mempool_txs: Gauge,
    mempool_bytes: Gauge,
    evidence_expires: Family<ValidatorSet, Seconds>,
    tcb_ok: Family<ValidatorSet, Gauge>,
    policy_version: Gauge,
    collateral_issued: Family<Label, Seconds>,
    attest_verify: Family<Label, Counter>,
    attest_verify_seconds: Histograms,
    suspensions: Gauge,
    epoch_kept: Gauge,
    renewals: Family<Label, Counter>,
    system_txs: Gauge,
    system_bytes: Gauge,
    system_received: Family<Label, Counter>,
    identity_conflict: Family<Conflict, Counter>,
    probation: Gauge,
    rolled_back: Gauge,
    system_committed: Counter,
    ready: Family<Label, Gauge>,
    view_changes: Family<Label, Counter>,
    commit_latency: Histogram,
    block_interval: Histogram,
    tx_received: Family<Label, Counter>,
    tx_committed: Counter,
    tx_open_failures: Family<Label, Counter>,
    p2p_bytes: Family<Labels, Counter>,
    p2p_dropped: Family<Label, Counter>,
    p2p_bans: Counter,
    fsync: Histogram,
    api_requests: Family<Labels, Counter>,
    api_seconds: Histograms,
    sse_clients: Gauge,
    phase: Family<Label, Gauge>,
    seat: Gauge,
    tx_pending: Gauge,
    validator_out: Family<ValidatorOut, Seconds>,
    quorum_lost: Seconds,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// An empty set of measurements for a program of this `version` and source `commit`.
    pub fn new(version: &'static str, commit: &'static str) -> Self {
        let mut registry = Registry::with_prefix("tacit");
        let build = Info::new([("version", version), ("commit", commit)]);
        registry.register("build", "Version and source of the program", build);
        let mut metrics = Self {
            registry: Registry::default(),
            height: Gauge::default(),
            best_known: Gauge::default(),
            view: Gauge::default(),
            epoch: Gauge::default(),
            epoch_ends: Seconds::default(),
            validators: Gauge::default(),
            peers: Family::default(),
            mempool_txs: Gauge::default(),
            mempool_bytes: Gauge::default(),
            evidence_expires: Family::default(),
            tcb_ok: Family::default(),
            policy_version: Gauge::default(),
            collateral_issued: Family::default(),
            attest_verify: Family::default(),
            attest_verify_seconds: Histograms::new_with_constructor(short as fn() -> Histogram),
            suspensions: Gauge::default(),
            epoch_kept: Gauge::default(),
            renewals: Family::default(),
            system_txs: Gauge::default(),
            system_bytes: Gauge::default(),
            system_received: Family::default(),
            identity_conflict: Family::default(),
            probation: Gauge::default(),
            rolled_back: Gauge::default(),
            system_committed: Counter::default(),
            ready: Family::default(),
            view_changes: Family::default(),
            commit_latency: latency(),
            block_interval: latency(),
            tx_received: Family::default(),
            tx_committed: Counter::default(),
            tx_open_failures: Family::default(),
            p2p_bytes: Family::default(),
            p2p_dropped: Family::default(),
            p2p_bans: Counter::default(),
            fsync: short(),
            api_requests: Family::default(),
            api_seconds: Histograms::new_with_constructor(short as fn() -> Histogram),
            sse_clients: Gauge::default(),
            phase: Family::default(),
            seat: Gauge::default(),
            tx_pending: Gauge::default(),
            validator_out: Family::default(),
            quorum_lost: Seconds::default(),
        };
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register(&self, r: &mut Registry) {
        r.register(
            "height",
            "Newest committed and executed height",
            self.height.clone(),
        );
        r.register(
            "best_known_height",
            "Newest height a peer has shown",
            self.best_known.clone(),
        );
        r.register("view", "Consensus view", self.view.clone());
        r.register("view_changes", "Views left, by reason", self.view_changes.clone());
        r.register(
            "commit_latency_seconds",
            "From submission to execution, for transactions submitted at this node",
            self.commit_latency.clone(),
        );
        r.register(
            "block_interval_seconds",
            "Between committed blocks",
            self.block_interval.clone(),
        );
        r.register("epoch", "Epoch in force", self.epoch.clone());
        r.register(
            "epoch_key_expires_timestamp_seconds",
            "When the epoch key is due to be replaced",
            self.epoch_ends.clone(),
        );
        r.register(
            "validators",
            "Validators of the epoch in force",
            self.validators.clone(),
        );
        r.register("peers", "Connected peers, by who dialled", self.peers.clone());
        r.register("p2p_bytes", "Bytes exchanged with peers", self.p2p_bytes.clone());
        r.register(
            "p2p_dropped",
            "Messages dropped at the network layer, by reason",
            self.p2p_dropped.clone(),
        );
        r.register("p2p_bans", "Peers banned", self.p2p_bans.clone());
        r.register(
            "mempool_txs",
            "Sealed transactions waiting",
            self.mempool_txs.clone(),
        );
        r.register(
            "mempool_bytes",
            "Bytes of sealed transactions waiting",
            self.mempool_bytes.clone(),
        );
        r.register(
            "tx_received",
            "Sealed transactions submitted here, by result",
            self.tx_received.clone(),
        );
        r.register(
            "tx_committed",
            "Sealed transactions in committed blocks",
            self.tx_committed.clone(),
        );
        r.register(
            "tx_open_failures",
            "Committed envelopes that did not open, by reason",
            self.tx_open_failures.clone(),
        );
        r.register("api_requests", "Answered requests", self.api_requests.clone());
        r.register("api_seconds", "Time to answer requests", self.api_seconds.clone());
        r.register(
            "evidence_expires_timestamp_seconds",
            "Until when a validator's evidence is accepted, by set of rules; 0 where it is refused",
            self.evidence_expires.clone(),
        );
        r.register(
            "tcb_ok",
            "Whether a validator's evidence is accepted, by set of rules",
            self.tcb_ok.clone(),
        );
        r.register(
            "collateral_issued_timestamp_seconds",
            "When the oldest of the documents in use was issued, by source",
            self.collateral_issued.clone(),
        );
        r.register(
            "attest_verify",
            "Evidence judged by today's rules, by verdict",
            self.attest_verify.clone(),
        );
        r.register(
            "attest_verify_seconds",
            "Time to judge evidence",
            self.attest_verify_seconds.clone(),
        );
        r.register(
            "suspensions",
            "Groups of machines that are suspended",
            self.suspensions.clone(),
        );
        r.register(
            "epoch_kept",
            "Whether the epoch's set was kept although too few of it were acceptable",
            self.epoch_kept.clone(),
        );
        r.register(
            "renewals",
            "Fresh evidence handed in by this node, by result",
            self.renewals.clone(),
        );
        r.register(
            "system_txs",
            "System transactions waiting",
            self.system_txs.clone(),
        );
        r.register(
            "system_bytes",
            "Bytes of system transactions waiting",
            self.system_bytes.clone(),
        );
        r.register(
            "system_received",
            "System transactions submitted here, by result",
            self.system_received.clone(),
        );
        r.register(
            "system_committed",
            "System transactions in committed blocks",
            self.system_committed.clone(),
        );
        r.register(
            "policy_version",
            "Attestation policy in force",
            self.policy_version.clone(),
        );
        r.register("fsync_seconds", "Time of synchronised writes", self.fsync.clone());
        r.register(
            "identity_conflict",
            "Signs that two processes hold the keys of one validator, by how it showed",
            self.identity_conflict.clone(),
        );
        r.register(
            "probation",
            "1 while this validator asks the others how it stands",
            self.probation.clone(),
        );
        r.register(
            "rolled_back",
            "1 when this process began from a disk that had been set back",
            self.rolled_back.clone(),
        );
        r.register("ready", "Checks of /readyz, 1 when they pass", self.ready.clone());
        r.register("sse_clients", "Open event streams", self.sse_clients.clone());
        r.register(
            "phase",
            "Where this node stands, 1 for the phase that holds",
            self.phase.clone(),
        );
        r.register(
            "seat",
            "This node's seat in the epoch in force; -1 without one",
            self.seat.clone(),
        );
        r.register(
            "tx_pending",
            "Sealed transactions submitted here that are in no final block",
            self.tx_pending.clone(),
        );
        r.register(
            "validator_out_timestamp_seconds",
            "From when on a validator will have no seat unless somebody acts, by reason",
            self.validator_out.clone(),
        );
        r.register(
            "quorum_lost_timestamp_seconds",
            "From when on too few of the set are acceptable unless somebody acts; 0 where nothing known leads there",
            self.quorum_lost.clone(),
        );
    }

    /// Takes over what a snapshot of the node says; called at each scrape.
    pub fn observe(&self, status: &Status) {
        self.height.set(signed(status.height));
        self.best_known.set(signed(status.best_known.max(status.height)));
        self.view.set(signed(status.view));
        self.epoch.set(signed(status.epoch));
        self.epoch_ends.set(seconds(status.epoch_ends_at_ms));
        self.validators.set(i64::from(status.validators));
        self.mempool_txs.set(signed(status.mempool_txs));
        self.mempool_bytes.set(signed(status.mempool_bytes));
        self.policy_version.set(signed(status.policy_version));
        self.epoch_kept.set(i64::from(status.set_kept));
        self.probation.set(i64::from(status.probation.is_some()));
        self.rolled_back.set(i64::from(status.rolled_back.is_some()));
        self.system_txs.set(signed(status.system_txs));
        self.system_bytes.set(signed(status.system_bytes));
        let role = |validator: bool| if validator { "validator" } else { "observer" };
        for validator in [true, false] {
            let count = status
                .peers
                .iter()
                .filter(|peer| peer.validator == validator)
                .count();
            self.peers
                .get_or_create(&[("role", role(validator))])
                .set(signed(count as u64));
        }
        for phase in Phase::ALL {
            self.phase
                .get_or_create(&[("phase", phase.name())])
                .set(i64::from(phase == status.phase));
        }
        self.seat.set(status.seat.map_or(-1, i64::from));
        self.tx_pending.set(signed(status.pending));
        for check in &status.ready {
            self.ready
                .get_or_create(&[("check", check.name)])
                .set(i64::from(check.ok));
        }
    }

    /// Takes over a forecast, and what the public state says of collateral and suspensions. Of several pending policies
    /// the one that refuses first counts; proposals do not.
    pub(crate) fn observe_forecast(&self, state: &PublicState, forecast: &Forecast) {
        // Who or what is gone must not stay.
        self.evidence_expires.clear();
        self.tcb_ok.clear();
        self.collateral_issued.clear();
        for validator in &forecast.validators {
            for set in ["today", "pending", "next"] {
                let sets = validator.sets.iter().filter(|one| one.set.name() == set);
                let worst = sets.min_by_key(|one| (one.accepted, one.until_ms.unwrap_or(0)));
                let Some(worst) = worst else { continue };
                let labels = ValidatorSet {
                    validator: validator.name.clone(),
                    set,
                };
                let until = worst.until_ms.filter(|_| worst.accepted).map_or(0.0, seconds);
                self.evidence_expires.get_or_create(&labels).set(until);
                self.tcb_ok.get_or_create(&labels).set(i64::from(worst.accepted));
            }
        }
        self.validator_out.clear();
        for validator in &forecast.validators {
            let Some(out) = validator.out(forecast.made_ms) else {
                continue;
            };
            let labels = ValidatorOut {
                validator: validator.name.clone(),
                code: out.code,
            };
            self.validator_out
                .get_or_create(&labels)
                .set(seconds(out.from_ms));
        }
        self.quorum_lost
            .set(forecast.below_quorum_from_ms().map_or(0.0, seconds));
        for (source, issued_ms) in oldest_in_use(state.collateral()) {
            let labels = [("source", source)];
            self.collateral_issued
                .get_or_create(&labels)
                .set(seconds(issued_ms));
        }
        self.suspensions.set(signed(state.suspensions().count() as u64));
    }

    /// Evidence of a platform was judged; `verdict` is `accepted` or the code that refused it.
    pub(crate) fn attest_verified(&self, platform: Platform, verdict: &'static str, elapsed: Duration) {
        self.attest_verify.get_or_create(&[("verdict", verdict)]).inc();
        self.attest_verify_seconds
            .get_or_create(&[("platform", platform_word(platform))])
            .observe(elapsed.as_secs_f64());
    }

    /// This node attested again; `result` is `accepted` or the code that refused it.
    pub(crate) fn renewed(&self, result: &'static str) {
        self.renewals.get_or_create(&[("result", result)]).inc();
    }

    /// Two holders of a validator's identity were noticed; `how` is `equivocation` or `two_holders`.
    pub(crate) fn identity_conflict(&self, validator: &str, how: &'static str) {
        let labels = Conflict {
            validator: validator.to_owned(),
            how,
        };
        self.identity_conflict.get_or_create(&labels).inc();
    }

    /// A system transaction was submitted; `result` is `accepted` or the error code that refused it.
    pub(crate) fn system_received(&self, result: &'static str) {
        self.system_received.get_or_create(&[("result", result)]).inc();
    }

    /// A block with `txs` ordinary system transactions was committed.
    pub(crate) fn system_committed(&self, txs: u64) {
        self.system_committed.inc_by(txs);
    }

    /// A sealed transaction was submitted; `result` is `accepted` or the error code that refused it.
    pub fn tx_received(&self, result: &'static str) {
        self.tx_received.get_or_create(&[("result", result)]).inc();
    }

    /// A block was committed: `since_previous` is the difference of the two blocks' times, `txs` its
    /// transactions.
    pub fn block_committed(&self, since_previous: Duration, txs: u64) {
        self.block_interval.observe(since_previous.as_secs_f64());
        self.tx_committed.inc_by(txs);
    }

    /// A transaction that was submitted at this node was executed `elapsed` later.
    pub fn commit_latency(&self, elapsed: Duration) {
        self.commit_latency.observe(elapsed.as_secs_f64());
    }

    /// A committed envelope did not open; `reason` is a fixed word.
    pub fn tx_open_failed(&self, reason: &'static str) {
        self.tx_open_failures.get_or_create(&[("reason", reason)]).inc();
    }

    /// The replica left a view.
    pub fn view_changed(&self, reason: ViewEnd) {
        self.view_changes
            .get_or_create(&[("reason", reason.label())])
            .inc();
    }

    /// A synchronised write took this long.
    pub fn fsync(&self, elapsed: Duration) {
        self.fsync.observe(elapsed.as_secs_f64());
    }

    /// Takes over the network layer's running totals; called at each scrape. Totals never go back: a smaller
    /// one is ignored.
    pub fn observe_network(&self, totals: &tacit_p2p::Metrics) {
        for (direction, kind, traffic) in [
            (Direction::Inbound, "direct", totals.direct_in),
            (Direction::Outbound, "direct", totals.direct_out),
            (Direction::Inbound, "gossip", totals.gossip_in),
            (Direction::Outbound, "gossip", totals.gossip_out),
            (Direction::Inbound, "fetch", totals.fetch_in),
            (Direction::Outbound, "fetch", totals.fetch_out),
        ] {
            let labels = [("direction", direction.label()), ("kind", kind)];
            raise(&self.p2p_bytes.get_or_create(&labels), traffic.bytes);
        }
        for (reason, total) in [
            ("queue", totals.dropped_queue),
            ("rate", totals.dropped_rate),
            ("refused", totals.dropped_refused),
            ("malformed", totals.dropped_malformed),
            ("outgoing", totals.dropped_outgoing),
        ] {
            raise(&self.p2p_dropped.get_or_create(&[("reason", reason)]), total);
        }
        raise(&self.p2p_bans, totals.bans);
    }

    /// The API answered a request of `route` (a pattern, never a path) with `status`.
    pub(crate) fn api_request(&self, route: &'static str, status: u16, elapsed: Duration) {
        let labels = [("route", route), ("status", status_word(status))];
        self.api_requests.get_or_create(&labels).inc();
        self.api_seconds
            .get_or_create(&[("route", route)])
            .observe(elapsed.as_secs_f64());
    }

    /// Counts an open event stream for as long as the value lives.
    pub(crate) fn sse_client(self: &Arc<Self>) -> SseClient {
        self.sse_clients.inc();
        SseClient(Arc::clone(self))
    }

    /// The OpenMetrics text of all measurements.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; an encoder's refusal would show as a page without `# EOF`.
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics could not be encoded");
        }
        text
    }
}

/// One open event stream.
#[derive(Debug)]
pub(crate) struct SseClient(Arc<Metrics>);

impl Drop for SseClient {
    fn drop(&mut self) {
        self.0.sse_clients.dec();
    }
}

/// Sets a counter that counts along with another one.
fn raise(counter: &Counter, total: u64) {
    counter.inner().fetch_max(total, Ordering::Relaxed);
}

/// 5 ms to 82 s: a commit takes tens of milliseconds at best, an outage a minute.
fn latency() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ])
}

/// 100 µs to 30 s: synchronised writes and requests, long polls included.
fn short() -> Histogram {
    Histogram::new([
        0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
    ])
}

/// By source, the issue of the document that a verdict would use and that is oldest: of each kind of machine the newest
/// counts.
fn oldest_in_use(collateral: &Collateral) -> BTreeMap<&'static str, u64> {
    let mut newest: BTreeMap<(CollateralKey, &'static str), u64> = BTreeMap::new();
    for (key, _) in collateral.documents() {
        let Some(info) = collateral.info(key) else {
            continue;
        };
        let (source, kind) = match key.kind {
            CollateralKind::TcbInfo { tee, fmspc, .. } => {
                let evaluation = 0;
                let kind = CollateralKind::TcbInfo {
                    tee,
                    fmspc,
                    evaluation,
                };
                (
                    if tee == Tee::Tdx {
                        "tdx_tcb_info"
                    } else {
                        "sgx_tcb_info"
                    },
                    kind,
                )
            }
            CollateralKind::QeIdentity { tee, .. } => {
                let kind = CollateralKind::QeIdentity { tee, evaluation: 0 };
                (
                    if tee == Tee::Tdx {
                        "tdx_qe_identity"
                    } else {
                        "sgx_qe_identity"
                    },
                    kind,
                )
            }
            kind @ CollateralKind::IntelRootCrl => ("intel_root_crl", kind),
            kind @ CollateralKind::IntelPckCrl(PckAuthority::Processor) => ("intel_processor_crl", kind),
            kind @ CollateralKind::IntelPckCrl(PckAuthority::Platform) => ("intel_platform_crl", kind),
            kind @ CollateralKind::AmdCrl(_) => ("amd_crl", kind),
        };
        let place = CollateralKey { kind, ..*key };
        let issued = newest.entry((place, source)).or_default();
        *issued = info.issued_ms.max(*issued);
    }
    let mut oldest = BTreeMap::new();
    for ((_, source), issued_ms) in newest {
        let entry = oldest.entry(source).or_insert(issued_ms);
        *entry = issued_ms.min(*entry);
    }
    oldest
}

fn platform_word(platform: Platform) -> &'static str {
    match platform {
        Platform::SevSnp => "sev-snp",
        Platform::Tdx => "tdx",
        Platform::Sgx => "sgx",
        Platform::Simulated => "simulated",
        Platform::SimulatedTdx => "simulated-tdx",
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

/// The statuses that this API answers with, as words for a label.
fn status_word(status: u16) -> &'static str {
    match status {
        200 => "200",
        202 => "202",
        204 => "204",
        304 => "304",
        400 => "400",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        413 => "413",
        422 => "422",
        429 => "429",
        500 => "500",
        503 => "503",
        504 => "504",
        _ => "other",
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
