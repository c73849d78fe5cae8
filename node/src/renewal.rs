//! A validator registers by itself, and attests again by itself: when nobody of its name is registered, when its name
//! is registered with other keys than it has now (another chip, another build), in each epoch with a fresh KEM key for the
//! shares of the next, when half of the time has passed for which its evidence counts, and when what is registered is
//! refused or soon will be, which a repaired machine can cure. Who was taken off by its operator does none of it until
//! told to.
//!
//! Fresh evidence is bound to the newest block and judged here, by today's policy, before it is handed in: a machine
//! that would be refused spends nobody's block. What came of the last attempt is there for the operator to read. Nothing
//! is kept: after a restart the question is asked anew.

use std::{fmt, sync::Arc};

use tacit_attest::{Policy, Quoter, forecast};
use tacit_consensus::{Digest, Height, Millis, PublicKey, Signer};
use tacit_ledger::{
    Operator, PROTOCOL_VERSION, PublicState, Registered, Registration, RegistrationPlace, RegistrationTerms,
    SealingPublic, SystemTx, ValidatorRecord,
};

use crate::{
    forecast::{Forecast, ForecastSet},
    handle::{NodeHandle, Problem},
    home::{Home, write_private},
    operator::OperatorKey,
};

/// Between two attempts, in milliseconds, or an eighth of the age that evidence may have, where that is less: a device or
/// a policy that refuses is not asked in a loop.
const EVERY_MS: Millis = 600_000;
/// The same for who has no place yet: somebody waits for it, and members may admit it at any moment.
const JOIN_EVERY_MS: Millis = 10_000;
/// Fresh evidence must count for so much longer than what is held, in milliseconds, to be worth a block before it is due.
const GAIN_MS: Millis = 3_600_000;
/// Evidence that is refused within this time is renewed at once, in milliseconds: two days, in which people can act
/// if that does not help.
const SOON_MS: Millis = 48 * 3_600_000;

/// Why a validator attests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody of its name is registered.
    Join,
    /// Its name is registered with other keys.
    Rejoin,
    /// Half of the time has passed for which its evidence counts.
    Aged,
    /// Its seat's KEM key is the one that is registered, or one that its keyring holds no more: the epoch is forgotten only
    /// when the next one is dealt to another.
    Forgetting,
    /// What is registered is refused, or soon will be.
    Ill,
}

impl Why {
    /// The word for it in interfaces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Rejoin => "rejoin",
            Self::Aged => "aged",
            Self::Forgetting => "forgetting",
            Self::Ill => "ill",
        }
    }

    /// Whether the operator must sign.
    fn needs_operator(self) -> bool {
        matches!(self, Self::Join | Self::Rejoin)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Join => "nobody of its name is registered",
            Self::Rejoin => "its name is registered with other keys",
            Self::Aged => "half of its time has passed",
            Self::Forgetting => "the next epoch is to be dealt to a fresh KEM key",
            Self::Ill => "what is registered is refused, or soon will be",
        })
    }
}

/// An attempt to register or to renew, and what came of it so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Why it was made.
    pub why: Why,
    /// When, by this node's clock.
    pub at_ms: Millis,
    /// The height of the block that its evidence is bound to; 0 when there is none.
    pub height: Height,
    /// The id under which it waits for a block, or why it was refused.
    pub result: Result<Digest, Problem>,
}

/// What makes a validator's evidence.
pub(crate) struct Attester {
    pub(crate) quoter: Arc<dyn Quoter>,
    pub(crate) consensus: Arc<dyn Signer>,
    pub(crate) node: Arc<dyn Signer>,
    name: String,
    home: Home,
    attempted: Option<Attempted>,
    /// Its operator brings it back: that it asked to leave counts no more.
    returning: bool,
    /// It was said that another home took the name over.
    overtaken: bool,
}

/// When the last attempt was made, and by which policy it was judged.
struct Attempted {
    at_ms: Millis,
    policy: u64,
}

/// What an attester looks at.
pub(crate) struct Scene<'a> {
    pub(crate) state: &'a PublicState,
    pub(crate) head: (Height, Digest),
    pub(crate) forecast: &'a Forecast,
    /// The KEM key that the next registration is to name.
    pub(crate) kem: &'a SealingPublic,
    pub(crate) now: Millis,
    /// The head is the newest there is, as far as this node can tell.
    pub(crate) synced: bool,
    /// The operator asked for it now.
    pub(crate) asked: bool,
}

/// What was made, or why nothing was.
pub(crate) struct Made {
    why: Why,
    at_ms: Millis,
    height: Height,
    result: Result<SystemTx, Problem>,
}

impl Attester {
    pub(crate) fn new(
        quoter: Arc<dyn Quoter>,
        consensus: Arc<dyn Signer>,
        node: Arc<dyn Signer>,
        name: String,
        home: Home,
    ) -> Self {
        Self {
            quoter,
            consensus,
            node,
            name,
            home,
            attempted: None,
            returning: false,
            overtaken: false,
        }
    }

    /// This validator's consensus key.
    pub(crate) fn key(&self) -> PublicKey {
        self.consensus.public()
    }

    /// The last attempt met a refusal that passes by itself: the next one need not wait.
    pub(crate) fn try_again(&mut self) {
        self.attempted = None;
    }

    /// Whether this validator waits for a place, so that it is worth looking again soon.
    pub(crate) fn waits(&self, state: &PublicState) -> bool {
        held(state, &self.key()).is_none() && !self.home.left().exists()
    }

    /// Attests if it is time to. Blocks on the device: a worker's job.
    pub(crate) fn attend(&mut self, scene: &Scene<'_>) -> Option<Made> {
        let Scene { state, head, now, .. } = *scene;
        let why = self.why(scene)?;
        let most = match why {
            Why::Join | Why::Rejoin => JOIN_EVERY_MS,
            // Once an epoch, however short: what is missed is remembered for one more.
            Why::Forgetting => EVERY_MS.min(state.params().epoch_ms_max / 8),
            Why::Aged | Why::Ill => EVERY_MS,
        };
        let pause = most.min(state.policy().evidence_age_max_ms / 8);
        let policy = state.policy().version;
        let waited = self
            .attempted
            .as_ref()
            .is_none_or(|last| now >= last.at_ms.saturating_add(pause) || last.policy != policy);
        if !(waited || scene.asked) || !scene.synced || head.0 == 0 || state.is_ending() {
            return None;
        }
        let registered = state.registered(&self.name);
        // A registration must be bound to a later block than the one that it replaces.
        if registered.is_some_and(|held| head.0 <= held.registration.height) {
            return None;
        }
        self.attempted = Some(Attempted { at_ms: now, policy });
        let result = match self.make(scene, why) {
            Ok(fresh)
                if why == Why::Ill
                    && registered.is_some_and(|held| !cures(state, &fresh, &held.registration, now)) =>
            {
                tracing::debug!(%why, "fresh evidence would not count for longer");
                return None;
            }
            Ok(registration) => {
                tracing::info!(%why, height = head.0, "attesting");
                Ok(SystemTx::Register(registration))
            }
            Err(problem) => {
                tracing::warn!(
                    %why,
                    code = problem.code,
                    detail = problem.detail,
                    "evidence of this machine is of no use"
                );
                Err(problem)
            }
        };
        Some(Made {
            why,
            at_ms: now,
            height: head.0,
            result,
        })
    }

    /// Why this validator should attest now, if it should.
    fn why(&mut self, scene: &Scene<'_>) -> Option<Why> {
        let state = scene.state;
        let held = held(state, &self.key());
        if held.is_some_and(|held| is_leaving(state, &held.seat.name)) {
            if scene.asked {
                self.returning = true;
                return Some(Why::Join);
            }
            if !self.returning {
                self.stay_out();
            }
            return None;
        }
        self.returning = false;
        if held.is_some() {
            self.note_registered();
        }
        if self.home.left().exists() {
            return None;
        }
        match held {
            Some(held) => due(state, &held.seat, scene.kem, scene.forecast, scene.now),
            // Two homes under one name would take it from each other for ever.
            None if state.registered(&self.name).is_some() && self.was_registered() && !scene.asked => {
                if !std::mem::replace(&mut self.overtaken, true) {
                    tracing::error!(
                        name = self.name,
                        "this validator's name has other keys now: another home took it over. Stop one of the two; tacit \
                         node join takes the name back"
                    );
                }
                None
            }
            None if state.registered(&self.name).is_some() => Some(Why::Rejoin),
            None => Some(Why::Join),
        }
    }

    /// Whether the registry had this very key under its name before.
    fn was_registered(&self) -> bool {
        let kept = std::fs::read_to_string(self.home.registered_key());
        kept.is_ok_and(|kept| kept.trim() == self.key().to_string())
    }

    fn note_registered(&mut self) {
        self.overtaken = false;
        if !self.was_registered()
            && let Err(error) = write_private(&self.home.registered_key(), self.key().to_string().as_bytes())
        {
            tracing::error!(%error, "it is not remembered that this validator was registered");
        }
    }

    /// Remembers over restarts, and when the registry has forgotten the name, that the operator took it off.
    fn stay_out(&self) {
        let path = self.home.left();
        if path.exists() {
            return;
        }
        match write_private(
            &path,
            b"taken off by its operator; tacit node join brings it back\n",
        ) {
            Ok(()) => tracing::info!(
                name = self.name,
                "the operator takes this validator off the network"
            ),
            Err(error) => tracing::error!(%error, "it is not remembered that this validator leaves"),
        }
    }

    fn make(&self, scene: &Scene<'_>, why: Why) -> Result<Registration, Problem> {
        let Scene { state, now, kem, .. } = *scene;
        let (height, block) = scene.head;
        let place = RegistrationPlace {
            network: *state.chain(),
            height,
            block,
            policy_version: state.policy().version,
        };
        let name = held(state, &self.key()).map_or(self.name.as_str(), |held| &held.seat.name);
        let signs = match why.needs_operator() {
            true => Some(OperatorKey::load(&self.home.operator_key()).map_err(refused)?),
            false => None,
        };
        let operator = match (&signs, state.registered(name)) {
            (Some(key), _) => Operator::Signs(key.signer()),
            (None, Some(held)) => Operator::Named(held.registration.operator_key),
            (None, None) => return Err(Problem::new("internal", "a renewal of what is not registered")),
        };
        let terms = RegistrationTerms {
            name,
            operator,
            protocol: PROTOCOL_VERSION,
        };
        let (consensus, node) = (&*self.consensus, &*self.node);
        let made = Registration::make_for(&terms, consensus, node, kem, &place, &*self.quoter)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        made.verify(state.trust(), state.collateral(), state.policy(), now)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        Ok(made)
    }
}

fn refused(error: crate::NodeError) -> Problem {
    Problem::new(error.code(), error.to_string())
}

/// The registration that holds a consensus key.
pub(crate) fn held<'a>(state: &'a PublicState, key: &PublicKey) -> Option<&'a Registered> {
    let name = state
        .registrations()
        .find(|one| one.consensus_key == *key)
        .map(|one| one.name.as_str())?;
    state.registered(name)
}

/// Whether the operator of a name asked to leave.
pub(crate) fn is_leaving(state: &PublicState, name: &str) -> bool {
    state.leaving().any(|(leaving, _)| leaving == name)
}

/// Why a registered validator should attest again now, if it should.
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

/// Hands in what [`Attester::attend`] made, and notes what came of it. True when it was refused for what passes by itself.
pub(crate) async fn hand_in(node: &NodeHandle, made: Made) -> bool {
    let Made {
        why,
        at_ms,
        height,
        result,
    } = made;
    let result = match result {
        Ok(tx) => {
            let result = node.submit_system(tx.encode()).await.map(|accepted| accepted.id);
            let word = result
                .as_ref()
                .map_or_else(|problem| problem.code, |_| "accepted");
            node.shared.metrics.renewed(word);
            result
        }
        Err(problem) => Err(problem),
    };
    match &result {
        Ok(id) => tracing::info!(%id, %why, "the registration waits for a block"),
        Err(problem) => {
            tracing::warn!(
                %why,
                code = problem.code,
                detail = problem.detail,
                "the registration was refused"
            );
        }
    }
    let passes = result.as_ref().is_err_and(Problem::passes);
    node.shared.note_attempt(Attempt {
        why,
        at_ms,
        height,
        result,
    });
    passes
}
