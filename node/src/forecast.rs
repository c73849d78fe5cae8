//! Until when each validator's evidence is accepted: under today's rules, under each policy that is adopted or
//! proposed, and under the vendor's next level where its collateral is known. The ledger says it
//! (`PublicState::outlook`); here it is asked anew when the public state changes and once a minute, and interfaces,
//! metrics, readiness and this node's own warnings read the newest one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tacit_consensus::{Digest, Millis};
use tacit_ledger::{PublicState, RuleSet, SetOutlook, codes};
use tokio::sync::watch;

use crate::{
    clock,
    handle::NodeHandle,
    metrics::Metrics,
    renewal::{self, Attester},
    warnings::Warnings,
};

/// Between two forecasts at least: with a hundred validators one takes about a second of one core.
const PAUSE: Duration = Duration::from_secs(2);
/// A forecast is made at least this often.
const EVERY: Duration = Duration::from_secs(60);

/// What all validators can expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// When it was made, by this node's clock; 0 before the first.
    pub made_ms: Millis,
    /// Registered validators, by name.
    pub validators: Vec<ValidatorForecast>,
}

/// What one validator can expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorForecast {
    /// Its name.
    pub name: String,
    /// Under each set of rules, today's first.
    pub sets: Vec<SetForecast>,
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForecastSet {
    /// The policy in force.
    Today,
    /// An adopted policy whose time has not come.
    Pending {
        /// Its version.
        version: u64,
        /// From which block time on it is due.
        active_from_ms: Millis,
    },
    /// A proposal that waits for approvals.
    Proposed {
        /// The version that it would be.
        version: u64,
        /// [`tacit_ledger::PolicyProposal::id`].
        proposal: Digest,
    },
    /// The policy in force, judged by the vendor's next level.
    Next {
        /// The vendor's number of that level.
        evaluation: u32,
    },
}

impl ForecastSet {
    /// The word for it in interfaces and labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Pending { .. } => "pending",
            Self::Proposed { .. } => "proposed",
            Self::Next { .. } => "next",
        }
    }

    /// The version of its policy, where that is not the one in force.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Pending { version, .. } | Self::Proposed { version, .. } => Some(*version),
            Self::Today | Self::Next { .. } => None,
        }
    }
}

/// What one validator can expect under one set of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetForecast {
    /// Which rules.
    pub set: ForecastSet,
    /// Whether they would accept its evidence now.
    pub accepted: bool,
    /// The refusal's code; none where it is accepted.
    pub code: Option<&'static str>,
    /// Until when they accept it, in milliseconds since the Unix epoch; none where they do not.
    pub until_ms: Option<Millis>,
    /// Why they stop then, or why they refuse.
    pub cause: String,
    /// What to update; empty where nothing helps or nothing is needed.
    pub update: String,
    /// Every part of the machine that is too old for the vendor's next level, with what it has and needs.
    pub short: Vec<String>,
}

impl Forecast {
    /// One validator's.
    pub fn of(&self, name: &str) -> Option<&ValidatorForecast> {
        self.validators.iter().find(|one| one.name == name)
    }
}

impl ValidatorForecast {
    /// Under today's rules.
    pub fn today(&self) -> Option<&SetForecast> {
        self.sets.iter().find(|one| one.set == ForecastSet::Today)
    }
}

/// Forecasts for every registered validator. Takes some milliseconds a validator and set of rules: a worker's job.
pub(crate) fn make(state: &PublicState, now: Millis) -> Forecast {
    let outlooks = state.outlook(now).into_iter();
    Forecast {
        made_ms: now,
        validators: outlooks
            .map(|one| ValidatorForecast {
                name: one.name,
                sets: one.sets.into_iter().map(SetForecast::from).collect(),
            })
            .collect(),
    }
}

impl From<SetOutlook> for SetForecast {
    fn from(one: SetOutlook) -> Self {
        let code = codes::lookup(&one.code).map_or("internal", |row| row.code);
        Self {
            set: match one.set {
                RuleSet::Today { .. } => ForecastSet::Today,
                RuleSet::Pending {
                    version,
                    active_from_ms,
                } => ForecastSet::Pending {
                    version,
                    active_from_ms,
                },
                RuleSet::Proposed { version, proposal } => ForecastSet::Proposed { version, proposal },
                RuleSet::NextLevel { evaluation } => ForecastSet::Next { evaluation },
            },
            accepted: one.accepted,
            code: (!one.accepted).then_some(code),
            until_ms: one.until_ms,
            cause: one.cause,
            update: one.update,
            short: one.short.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Makes forecasts for as long as the node runs, and does what follows from this node's own: warns, and attests again.
pub(crate) async fn run(node: NodeHandle, mut attester: Option<Attester>) {
    let shared = node.shared.clone();
    let mut public: watch::Receiver<Arc<PublicState>> = shared.public.subscribe();
    let mut warnings = Warnings::default();
    loop {
        let state = public.borrow_and_update().clone();
        let head = {
            let snapshot = shared.snapshot();
            (snapshot.height, snapshot.head)
        };
        let kem = match attester.is_some() {
            true => node.next_kem().await.map_err(|problem| {
                tracing::error!(
                    code = problem.code,
                    detail = problem.detail,
                    "no KEM key for a renewal"
                );
            }),
            false => Err(()),
        };
        let metrics = shared.metrics.clone();
        let worker = tokio::task::spawn_blocking(move || {
            let now = clock::now_ms();
            let forecast = Arc::new(make(&state, now));
            measure(&state, now, &metrics);
            metrics.observe_forecast(&state, &forecast);
            let mut renewal = None;
            if let Some(attester) = attester.as_mut() {
                warn(&mut warnings, &state, attester, &forecast, now);
                renewal = kem
                    .ok()
                    .and_then(|kem| attester.renew_if_due(&state, head, &forecast, &kem, now));
            }
            (forecast, renewal, attester, warnings)
        });
        let Ok((forecast, renewal, own, said)) = worker.await else {
            tracing::error!("forecasts of evidence end: a worker failed");
            return;
        };
        (attester, warnings) = (own, said);
        shared.forecast.send_replace(forecast);
        if let Some(tx) = renewal {
            renewal::hand_in(&node, tx).await;
        }
        tokio::time::sleep(PAUSE).await;
        // An error means that the replica has stopped, and the node with it.
        if let Ok(Err(_)) = tokio::time::timeout(EVERY, public.changed()).await {
            return;
        }
    }
}

/// Judges all evidence by today's rules, to see how long that takes and what comes of it.
fn measure(state: &PublicState, now: Millis, metrics: &Metrics) {
    for registration in state.registrations() {
        let started = Instant::now();
        let verdict = registration.verify(state.trust(), state.collateral(), state.policy(), now);
        let word = verdict.as_ref().map_or_else(|error| error.code(), |_| "accepted");
        metrics.attest_verified(registration.evidence.platform, word, started.elapsed());
    }
}

fn warn(warnings: &mut Warnings, state: &PublicState, attester: &Attester, forecast: &Forecast, now: Millis) {
    let key = attester.key();
    let own = state.registrations().find(|one| one.consensus_key == key);
    let registered = own.and_then(|one| state.registered(&one.name));
    let Some((registered, own)) = registered.and_then(|one| Some((one, forecast.of(&one.seat.name)?))) else {
        return;
    };
    let age_max_ms = state.policy().evidence_age_max_ms;
    let age_end_ms = registered.seat.registered_ms.saturating_add(age_max_ms);
    for warning in warnings.news(own, age_end_ms, age_max_ms, now) {
        warning.log(now);
    }
}
