//! A validator attests again by itself: in each epoch, with a fresh KEM key for the shares of the next; when half of the
//! time has passed for which its evidence counts; and when what is registered is refused or soon will be, which a
//! repaired machine can cure.
//!
//! Fresh evidence is bound to the newest block and judged here, by today's policy, before it is handed in: a machine
//! that would be refused spends nobody's block. Nothing is kept: after a restart the question is asked anew.

use std::{fmt, sync::Arc};

use tacit_attest::{Policy, Quoter, forecast};
use tacit_consensus::{Millis, PublicKey, Signer};
use tacit_ledger::{
    Operator, PROTOCOL_VERSION, PublicState, Registration, RegistrationPlace, RegistrationTerms,
    SealingPublic, SystemTx, ValidatorRecord,
};

use crate::{
    forecast::{Forecast, ForecastSet},
    handle::{NodeHandle, Problem},
};

/// Between two attempts, in milliseconds, or an eighth of the age that evidence may have, where that is less: a device or
/// a policy that refuses is not asked in a loop.
const EVERY_MS: Millis = 600_000;
/// Fresh evidence must count for so much longer than what is held, in milliseconds, to be worth a block before it is due.
const GAIN_MS: Millis = 3_600_000;
/// Evidence that is refused within this time is renewed at once, in milliseconds: two days, in which people can act
/// if that does not help.
const SOON_MS: Millis = 48 * 3_600_000;

/// Why a validator attests again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Half of the time has passed for which its evidence counts.
    Aged,
    /// Its seat's KEM key is the one that is registered, or one that its keyring holds no more: the epoch is forgotten only
    /// when the next one is dealt to another.
    Forgetting,
    /// What is registered is refused, or soon will be.
    Ill,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aged => "half of its time has passed",
            Self::Forgetting => "the next epoch is to be dealt to a fresh KEM key",
            Self::Ill => "what is registered is refused, or soon will be",
        })
    }
}

/// What makes a validator's evidence.
pub(crate) struct Attester {
    pub(crate) quoter: Arc<dyn Quoter>,
    pub(crate) consensus: Arc<dyn Signer>,
    pub(crate) node: Arc<dyn Signer>,
    attempted_ms: Option<Millis>,
}

impl Attester {
    pub(crate) fn new(quoter: Arc<dyn Quoter>, consensus: Arc<dyn Signer>, node: Arc<dyn Signer>) -> Self {
        Self {
            quoter,
            consensus,
            node,
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
        kem: &SealingPublic,
        now: Millis,
    ) -> Option<SystemTx> {
        let held = held(state, &self.key())?;
        let why = due(state, &held.seat, kem, forecast, now)?;
        let age_ms = state.policy().evidence_age_max_ms;
        let pause = match why {
            Why::Forgetting => EVERY_MS.min(age_ms / 8).min(state.params().epoch_ms_max / 8),
            Why::Aged | Why::Ill => EVERY_MS.min(age_ms / 8),
        };
        if self.attempted_ms.is_some_and(|at| now < at.saturating_add(pause)) {
            return None;
        }
        // A registration must be bound to a later block than the one that it replaces.
        if head.0 <= held.registration.height || state.is_ending() {
            return None;
        }
        self.attempted_ms = Some(now);
        match self.make(state, &held.registration, kem, head, now) {
            Ok(fresh) if why == Why::Ill && !cures(state, &fresh, &held.registration, now) => {
                tracing::debug!(%why, "fresh evidence would not count for longer");
                None
            }
            Ok(registration) => {
                tracing::info!(%why, height = head.0, "attesting again");
                Some(SystemTx::Register(registration))
            }
            Err(problem) => {
                tracing::warn!(
                    %why,
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
        held: &Registration,
        kem: &SealingPublic,
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
        let terms = RegistrationTerms {
            name: &held.name,
            operator: Operator::Named(held.operator_key),
            protocol: PROTOCOL_VERSION,
        };
        let made = Registration::make_for(&terms, consensus, node, kem, &place, &*self.quoter)
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
    seat: &ValidatorRecord,
    kem: &SealingPublic,
    forecast: &Forecast,
    now: Millis,
) -> Option<Why> {
    let registered_ms = seat.registered_ms;
    let age_max_ms = state.policy().evidence_age_max_ms;
    if now >= registered_ms.saturating_add(age_max_ms / 2) {
        return Some(Why::Aged);
    }
    // What is registered was dealt to already, unless it is the key that the keyring would name next. Epoch 0 ends with its
    // first block.
    if seat.kem_key != *kem && state.current().epoch > 0 {
        return Some(Why::Forgetting);
    }
    // Ageing is no illness: asked for it, a healthy machine would make evidence again and again for nothing.
    let aged_ms = registered_ms.saturating_add(age_max_ms);
    let own = forecast.of(&seat.name)?;
    let ill = own.sets.iter().any(|set| {
        let counts = matches!(set.set, ForecastSet::Today | ForecastSet::Pending { .. });
        let ends = set
            .until_ms
            .is_some_and(|until| until < aged_ms && until <= now.saturating_add(SOON_MS));
        counts && (!set.accepted || ends)
    });
    ill.then_some(Why::Ill)
}

/// Whether fresh evidence would be accepted, or for longer, where what is held is not: after an update of the machine it
/// would, while an old certificate or missing collateral stays what it is.
fn cures(state: &PublicState, fresh: &Registration, held: &Registration, now: Millis) -> bool {
    let until = |registration: &Registration, policy: &Policy| {
        let (trust, collateral) = (state.trust(), state.collateral());
        let forecast = forecast(&registration.evidence, trust, collateral, policy, now);
        match forecast.verdict {
            Ok(()) => forecast.until_ms.unwrap_or(Millis::MAX),
            Err(_) => 0,
        }
    };
    let pending = state.policies_pending().map(|adopted| &adopted.policy);
    let mut policies = std::iter::once(state.policy()).chain(pending);
    policies.any(|policy| until(fresh, policy) > until(held, policy).saturating_add(GAIN_MS))
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
