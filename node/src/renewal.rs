//! A validator attests again by itself: when half of the time has passed for which its evidence counts, and when what
//! is registered is refused or soon will be, which a repaired machine can cure.
//!
//! Fresh evidence is bound to the newest block and judged here, by today's policy, before it is handed in: a machine
//! that would be refused spends nobody's block. Nothing is kept: after a restart the question is asked anew.

use std::sync::Arc;

use tacit_attest::Quoter;
use tacit_consensus::{Millis, PublicKey, Signer};
use tacit_ledger::{PublicState, Registration, RegistrationPlace, SealingPublic, SystemTx};

use crate::{
    forecast::{Forecast, ForecastSet},
    handle::{NodeHandle, Problem},
};

/// Between two attempts, in milliseconds: a device or a policy that refuses is not asked in a loop.
const EVERY_MS: Millis = 600_000;
/// Evidence that is refused within this time is renewed at once, in milliseconds: two days, in which people can act
/// if that does not help.
const SOON_MS: Millis = 48 * 3_600_000;

/// What makes a validator's evidence.
pub(crate) struct Attester {
    pub(crate) quoter: Arc<dyn Quoter>,
    pub(crate) consensus: Arc<dyn Signer>,
    pub(crate) node: Arc<dyn Signer>,
    pub(crate) kem: SealingPublic,
    attempted_ms: Option<Millis>,
}

impl Attester {
    pub(crate) fn new(
        quoter: Arc<dyn Quoter>,
        consensus: Arc<dyn Signer>,
        node: Arc<dyn Signer>,
        kem: SealingPublic,
    ) -> Self {
        Self {
            quoter,
            consensus,
            node,
            kem,
            attempted_ms: None,
        }
    }

    /// This validator's consensus key.
    pub(crate) fn key(&self) -> PublicKey {
        self.consensus.public()
    }

    /// Renews if it is time to. Blocks on the device: a worker's job.
    pub(crate) fn renew_if_due(
        &mut self,
        state: &PublicState,
        head: (u64, tacit_consensus::Digest),
        forecast: &Forecast,
        now: Millis,
    ) -> Option<SystemTx> {
        let held = held(state, &self.key())?;
        let waited = self
            .attempted_ms
            .is_none_or(|at| now >= at.saturating_add(EVERY_MS));
        let why = due(state, held.seat.registered_ms, &held.seat.name, forecast, now).filter(|_| waited)?;
        // A registration must be bound to a later block than the one that it replaces.
        if head.0 <= held.registration.height || state.is_ending() {
            return None;
        }
        self.attempted_ms = Some(now);
        match self.make(state, &held.seat.name, head, now) {
            Ok(registration) => {
                tracing::info!(why, height = head.0, "attesting again");
                Some(SystemTx::Renew(registration))
            }
            Err(problem) => {
                tracing::warn!(
                    why,
                    code = problem.code,
                    detail = problem.detail,
                    "fresh evidence of this machine is of no use"
                );
                None
            }
        }
    }

    fn make(
        &self,
        state: &PublicState,
        name: &str,
        (height, block): (u64, tacit_consensus::Digest),
        now: Millis,
    ) -> Result<Registration, Problem> {
        let place = RegistrationPlace {
            network: *state.chain(),
            height,
            block,
            policy_version: state.policy().version,
        };
        let (consensus, node) = (&*self.consensus, &*self.node);
        let made = Registration::make(name, consensus, node, &self.kem, &place, &*self.quoter)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        made.verify(state.trust(), state.collateral(), state.policy(), now)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        Ok(made)
    }
}

fn held<'a>(state: &'a PublicState, key: &PublicKey) -> Option<&'a tacit_ledger::Registered> {
    let name = state
        .registrations()
        .find(|one| one.consensus_key == *key)
        .map(|one| one.name.as_str())?;
    state.registered(name)
}

/// Why this validator should attest again now, if it should.
fn due(
    state: &PublicState,
    registered_ms: Millis,
    name: &str,
    forecast: &Forecast,
    now: Millis,
) -> Option<&'static str> {
    let half = state.policy().evidence_age_max_ms / 2;
    if now >= registered_ms.saturating_add(half) {
        return Some("half of its time has passed");
    }
    let own = forecast.of(name)?;
    let ill = own.sets.iter().any(|set| {
        let counts = matches!(set.set, ForecastSet::Today | ForecastSet::Pending { .. });
        let ends = set
            .until_ms
            .is_some_and(|until| until <= now.saturating_add(SOON_MS));
        counts && (!set.accepted || ends)
    });
    // Fresh evidence differs from what is held only once the machine has been started again, or has aged.
    ill.then_some("what is registered is refused, or soon will be")
}

/// Hands in what [`Attester::renew_if_due`] made.
pub(crate) async fn hand_in(node: &NodeHandle, tx: SystemTx) {
    let result = node.submit_system(tx.encode()).await;
    let word = result
        .as_ref()
        .map_or_else(|problem| problem.code, |_| "accepted");
    node.shared.metrics.renewed(word);
    match result {
        Ok(accepted) => tracing::info!(id = %accepted.id, "the renewal waits for a block"),
        Err(problem) => {
            tracing::warn!(
                code = problem.code,
                detail = problem.detail,
                "the renewal was refused"
            );
        }
    }
}
