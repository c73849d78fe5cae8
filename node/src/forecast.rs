//! Until when each validator's evidence is accepted: under today's rules, under each policy that is adopted or
//! proposed, and under the vendor's next level where its collateral is known. The ledger says it
//! (`PublicState::outlook`); here it is asked anew when the public state changes and once a minute, and interfaces,
//! metrics, readiness and this node's own warnings read the newest one. With it goes what the next epoch's set would be if
//! it were decided now, and so who is out next, when, and for what reason.

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
    renewal::{self, Attester, Scene},
    status::NextSeat,
    warnings::Warnings,
};

/// Between two forecasts at least: with a hundred validators one takes about a second of one core.
const PAUSE: Duration = Duration::from_secs(2);
/// A forecast is made at least this often.
const EVERY: Duration = Duration::from_secs(60);
/// A validator without a place looks again this often: blocks that it needs change no public state.
const WAITING: Duration = Duration::from_secs(2);

/// What all validators can expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// When it was made, by this node's clock; 0 before the first.
    pub made_ms: Millis,
    /// Registered validators, by name.
    pub validators: Vec<ValidatorForecast>,
    /// Whether the set would be kept whole if the epoch ended now, because too few of it are acceptable.
    pub next_kept: bool,
}

/// What one validator can expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorForecast {
    /// Its name.
    pub name: String,
    /// Its seat in the epoch in force.
    pub seat: Option<u16>,
    /// What the next epoch brings it if this one ended now.
    pub next: NextSeat,
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
    /// The code of what will end it; none where it is refused already, or nothing known ends it.
    pub ends_for: Option<&'static str>,
    /// Until when they accept it, in milliseconds since the Unix epoch; none where they do not.
    pub until_ms: Option<Millis>,
    /// Why they stop then, or why they refuse.
    pub cause: String,
    /// What to update; empty where nothing helps or nothing is needed.
    pub update: String,
    /// Every part of the machine that is too old for the vendor's next level, with what it has and needs.
    pub short: Vec<String>,
}

impl SetForecast {
    fn out(&self, now: Millis) -> Option<Out> {
        let from_ms = match self.set {
            ForecastSet::Today => now,
            ForecastSet::Pending { active_from_ms, .. } => active_from_ms.max(now),
            // What is only proposed, or only the vendor's, may never bind.
            ForecastSet::Proposed { .. } | ForecastSet::Next { .. } => return None,
        };
        let ends_ms = match self.accepted {
            true => self.until_ms?.saturating_add(1),
            false => from_ms,
        };
        Some(Out {
            from_ms: ends_ms.max(from_ms),
            rules: self.set.name(),
            code: self.code.or(self.ends_for).unwrap_or("internal"),
            cause: self.cause.clone(),
            update: self.update.clone(),
        })
    }
}

impl Forecast {
    /// One validator's.
    pub fn of(&self, name: &str) -> Option<&ValidatorForecast> {
        self.validators.iter().find(|one| one.name == name)
    }
}

/// When and why a validator will have no seat any more, unless somebody acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    /// From when on, in milliseconds since the Unix epoch: the turn of an epoch after it is the end.
    pub from_ms: Millis,
    /// By which rules: [`ForecastSet::name`], or `membership` for what does not follow from evidence.
    pub rules: &'static str,
    /// A row of [`codes`].
    pub code: &'static str,
    /// The same in a sentence.
    pub cause: String,
    /// What to do; empty where nothing helps.
    pub update: String,
}

impl Out {
    /// Whether the validator's node prevents it by itself, as long as it runs: evidence that only ages is renewed.
    pub fn renews_itself(&self) -> bool {
        self.code == "attest.evidence_expired"
    }
}

impl Forecast {
    /// From when on fewer than a quorum of today's seats are acceptable, if nobody acts: the set is kept then.
    pub fn below_quorum_from_ms(&self) -> Option<Millis> {
        let seats = self.validators.iter().filter(|one| one.seat.is_some());
        let seats: Vec<_> = seats.map(|one| one.out(self.made_ms)).collect();
        let quorum = seats.len() - seats.len().saturating_sub(1) / 3;
        let mut ends: Vec<Millis> = seats
            .iter()
            .flatten()
            .filter(|out| !out.renews_itself())
            .map(|out| out.from_ms)
            .collect();
        ends.sort_unstable();
        // The one whose going leaves less than a quorum.
        ends.get(seats.len().saturating_sub(quorum)).copied()
    }
}

impl ValidatorForecast {
    /// When and why it will have no seat any more, unless somebody acts: the earliest of what today's rules, adopted
    /// policies and its operator's own wish bring. None for who has no seat, and where nothing known ends it.
    pub fn out(&self, now: Millis) -> Option<Out> {
        self.seat?;
        let decided = self.next.code.as_deref().map(|code| {
            let row = codes::lookup(code);
            Out {
                from_ms: now,
                rules: "membership",
                code: row.map_or("internal", |row| row.code),
                cause: row.map_or(code, |row| row.title).to_owned(),
                update: row.map_or("", |row| row.hint).to_owned(),
            }
        });
        let by_rules = self.sets.iter().filter_map(|set| set.out(now));
        // What evidence says is more exact than the code of the decision that follows from it.
        by_rules.chain(decided).min_by_key(|out| out.from_ms)
    }

    /// Under today's rules.
    pub fn today(&self) -> Option<&SetForecast> {
        self.sets.iter().find(|one| one.set == ForecastSet::Today)
    }
}

/// Forecasts for every registered validator. Takes some milliseconds a validator and set of rules: a worker's job.
pub(crate) fn make(state: &PublicState, now: Millis) -> Forecast {
    let outlooks = state.outlook(now).into_iter();
    let decision = state.decision(now);
    let next = |name: &str| NextSeat {
        seated: decision.validators.iter().any(|seat| seat.name == name),
        code: decision
            .dropped
            .iter()
            .find(|dropped| dropped.name == name)
            .map(|dropped| dropped.code.clone()),
    };
    Forecast {
        made_ms: now,
        validators: outlooks
            .map(|one| ValidatorForecast {
                next: next(&one.name),
                name: one.name,
                seat: one.seat,
                sets: one.sets.into_iter().map(SetForecast::from).collect(),
            })
            .collect(),
        next_kept: decision.kept,
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
            ends_for: (one.accepted && !one.code.is_empty()).then_some(code),
            until_ms: one.until_ms,
            cause: one.cause,
            update: one.update,
            short: one.short.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Makes forecasts for as long as the node runs, and does what follows from this node's own: warns, registers, and attests
/// again.
pub(crate) async fn run(node: NodeHandle, mut attester: Option<Attester>) {
    let shared = node.shared.clone();
    let mut public: watch::Receiver<Arc<PublicState>> = shared.public.subscribe();
    let mut asked = shared.register_now.subscribe();
    let mut warnings = Warnings::default();
    // Whoever asked up to then has been served.
    let mut served_ms = 0;
    loop {
        let state = public.borrow_and_update().clone();
        let asked_ms = *asked.borrow_and_update();
        let status = node.status();
        let kem = match attester.is_some() {
            true => node.next_kem().await.map_err(|problem| {
                tracing::error!(
                    code = problem.code,
                    detail = problem.detail,
                    "no KEM key for a registration"
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
            let (mut made, mut waits) = (None, false);
            if let Some(attester) = attester.as_mut() {
                warn(&mut warnings, &state, attester, &forecast, now);
                waits = attester.waits(&state);
                made = kem.ok().and_then(|kem| {
                    attester.attend(&Scene {
                        state: &state,
                        head: (status.height, status.head_hash),
                        forecast: &forecast,
                        kem: &kem,
                        now,
                        synced: status.is_synced(),
                        asked: asked_ms > served_ms,
                    })
                });
            }
            (forecast, made, waits, attester, warnings)
        });
        let Ok((forecast, made, waits, own, said)) = worker.await else {
            tracing::error!("forecasts of evidence end: a worker failed");
            return;
        };
        (attester, warnings) = (own, said);
        shared.forecast.send_replace(forecast);
        if let Some(made) = made {
            match (renewal::hand_in(&node, made).await, attester.as_mut()) {
                (true, Some(attester)) => attester.try_again(),
                _ => served_ms = asked_ms,
            }
        }
        let longest = if waits { WAITING } else { EVERY };
        let next = async {
            tokio::time::sleep(PAUSE).await;
            tokio::time::timeout(longest, public.changed()).await
        };
        tokio::select! {
            changed = next => {
                // An error means that the replica has stopped, and the node with it.
                if let Ok(Err(_)) = changed {
                    return;
                }
            }
            // The sender lives as long as this node's handle, which we hold.
            _ = asked.changed() => {}
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
