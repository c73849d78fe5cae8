//! Where this node stands between following and voting, and who will be out of the set, when and why.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tacit_ledger::SnapshotKind;
use utoipa::ToSchema;

use super::server::Api;
use super::types::{fresh, time};
use crate::config::Role;
use crate::forecast::{Forecast, Out, ValidatorForecast};
use crate::renewal::Attempt;
use crate::status::{Membership, Status};

/// Where this node stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodePage {
    name: String,
    /// Network key.
    id: String,
    /// `validator` or `observer`.
    role: &'static str,
    version: &'static str,
    /// Versions of the protocol.
    protocol: ProtocolBody,
    /// `following`, `registered`, `seated`, `snapshot`, `probation`, `voting`, `leaving`, `left` or `draining`.
    #[schema(example = "voting")]
    phase: &'static str,
    /// The phase in a sentence.
    meaning: &'static str,
    /// Its seat in the epoch in force.
    seat: Option<u16>,
    /// The epoch in force.
    epoch: u64,
    /// Newest committed and executed height.
    height: u64,
    /// Newest height a peer has shown.
    best_known: u64,
    /// Whether it is at the head of the chain, as far as it can tell.
    synced: bool,
    /// What the registry holds of its key; null for an observer, and for a validator that is not registered.
    registered: Option<MembershipBody>,
    /// Its last attempt to register or renew since it started.
    attempt: Option<AttemptBody>,
    /// The snapshot that it is fetching.
    snapshot: Option<SnapshotBody>,
    /// What it waits for before this process signs anything.
    probation: Option<ProbationBody>,
    /// What the others held of it that its disk did not know; null where the disk was as new as it must be.
    rolled_back: Option<RolledBackBody>,
    /// The first height whose block it keeps.
    first_kept: u64,
    /// When and why it will have no seat any more, unless somebody acts.
    out: Option<OutBody>,
    /// Whether it refuses new envelopes because it is about to be stopped.
    draining: bool,
    /// Envelopes that it took in and that are in no final block yet.
    pending: u64,
}

/// Versions of the protocol.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProtocolBody {
    /// The newest that this build speaks.
    speaks: u16,
    /// That of the epoch in force.
    in_force: u16,
    /// One that members have adopted and that is not in force yet.
    next: Option<NextProtocolBody>,
}

/// A version of the protocol that is to come.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextProtocolBody {
    /// Which.
    version: u16,
    /// From which block time on the epoch ends for it.
    active_from: String,
    /// Whether this build speaks it; one that does not stops before the first block of that epoch.
    supported: bool,
}

/// A node's place in the registry.
#[derive(Serialize, ToSchema)]
pub(crate) struct MembershipBody {
    /// The name.
    name: String,
    /// Height of the block that took it in; 0 for a founder.
    height: u64,
    /// That block's time, from which the evidence ages.
    at: String,
    /// Digest of the registration.
    registration: String,
    /// The key that answers for the name.
    operator_key: String,
    /// The newest protocol that the registered build speaks.
    protocol: u16,
    /// Whether its operator asked to leave.
    leaving: bool,
    /// What the next epoch brings it; null before the first forecast.
    next: Option<NextBody>,
}

/// What the next epoch brings a validator if the one in force ended now.
#[derive(Serialize, ToSchema)]
pub(crate) struct NextBody {
    /// Whether it has a seat then.
    pub(crate) seated: bool,
    /// Why not, or why only because the set is kept: a code of the table.
    pub(crate) code: Option<String>,
}

/// A snapshot on its way.
#[derive(Serialize, ToSchema)]
pub(crate) struct SnapshotBody {
    /// `private` for a validator's seat, `public` for a node that is far behind.
    kind: &'static str,
    /// Its epoch.
    epoch: u64,
    /// The height of the block that it was made after.
    height: u64,
    /// Chunks that are here and checked.
    have: u32,
    /// Chunks in all; 0 while enough peers have not said so.
    chunks: u32,
    /// Code of the last thing that was refused on the way.
    refused: Option<&'static str>,
}

/// A restarted validator asks the others what they saw of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProbationBody {
    /// Others whose answers count so far.
    answers: u64,
    /// How many are needed.
    needed: u64,
}

/// A disk that was set back.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolledBackBody {
    epoch: u64,
    /// The highest view in which the disk knew of a statement of this validator.
    knew: u64,
    /// The highest view in which others hold one.
    shown: u64,
    /// It signs nothing up to this view.
    silent_through: u64,
}

/// An attempt to register or renew.
#[derive(Serialize, ToSchema)]
pub(crate) struct AttemptBody {
    /// `join`, `rejoin`, `aged`, `ill`, or `forgetting`.
    why: &'static str,
    /// When.
    at: String,
    /// The same, in milliseconds since the Unix epoch, by this node's clock.
    at_ms: u64,
    /// Height of the block that the evidence is bound to.
    height: u64,
    /// Whether it was taken in, to wait for a block.
    accepted: bool,
    /// The id under which it waits or is committed; null where it was refused.
    id: Option<String>,
    /// Code of the refusal.
    code: Option<&'static str>,
    /// What is there and what was needed.
    detail: Option<String>,
}

/// When and why a validator will have no seat any more, unless somebody acts.
#[derive(Serialize, ToSchema)]
pub(crate) struct OutBody {
    /// From then on the turn of an epoch leaves it out.
    pub(crate) at: String,
    /// By which rules: `today`, `pending`, or `membership` for what does not follow from evidence.
    #[schema(example = "pending")]
    pub(crate) rules: &'static str,
    /// A code of the table.
    pub(crate) code: &'static str,
    /// The same in a sentence.
    pub(crate) cause: String,
    /// What to do.
    pub(crate) update: String,
    /// Whether its node prevents it by itself as long as it runs.
    pub(crate) renews_itself: bool,
}

/// Who will be out of the set.
#[derive(Serialize, ToSchema)]
pub(crate) struct ForecastPage {
    /// When it was made, by this node's clock; null before the first.
    made_at: Option<String>,
    /// The epoch in force.
    epoch: u64,
    /// Seats of the epoch in force.
    seats: u64,
    /// How many of them must stay acceptable.
    quorum: u64,
    /// Whether the set would be kept whole if the epoch ended now, because too few of it are acceptable.
    next_kept: bool,
    /// From when on fewer than a quorum of today's seats are acceptable, unless somebody acts.
    below_quorum_at: Option<String>,
    /// Every registered validator.
    items: Vec<ProspectBody>,
}

/// What one registered validator can expect.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProspectBody {
    name: String,
    /// Its seat in the epoch in force.
    seat: Option<u16>,
    /// What the next epoch brings it if this one ended now.
    next: NextBody,
    /// When and why it will have no seat any more; null where nothing that is known ends it.
    out: Option<OutBody>,
}

impl From<Out> for OutBody {
    fn from(out: Out) -> Self {
        Self {
            at: time(out.from_ms),
            rules: out.rules,
            code: out.code,
            renews_itself: out.renews_itself(),
            cause: out.cause,
            update: out.update,
        }
    }
}

/// What one validator can expect, for a page about it.
pub(crate) fn prospects(forecast: &Forecast, own: &ValidatorForecast) -> (NextBody, Option<OutBody>) {
    let next = NextBody {
        seated: own.next.seated,
        code: own.next.code.clone(),
    };
    (next, own.out(forecast.made_ms).map(OutBody::from))
}

/// Where this node stands: its phase, its place in the registry, what came of its last attempt to register.
#[utoipa::path(get, path = "/v1/node", operation_id = "get_node", responses((status = 200, body = NodePage)))]
pub(crate) async fn node(State(api): State<Api>) -> Response {
    let (node, now) = (api.node(), api.node().status());
    let forecast = node.forecast();
    let own = now.membership.as_ref().and_then(|own| forecast.of(&own.name));
    fresh(NodePage {
        id: hex::encode(now.node_id),
        role: match now.role {
            Role::Validator => "validator",
            Role::Observer => "observer",
        },
        version: now.version,
        protocol: ProtocolBody {
            speaks: tacit_ledger::PROTOCOL_VERSION,
            in_force: node.current().protocol,
            next: node
                .public()
                .next_protocol()
                .map(|(version, from_ms)| NextProtocolBody {
                    version,
                    active_from: time(from_ms),
                    supported: version <= tacit_ledger::PROTOCOL_VERSION,
                }),
        },
        phase: now.phase.name(),
        meaning: now.phase.meaning(),
        seat: now.seat,
        epoch: now.epoch,
        height: now.height,
        best_known: now.best_known.max(now.height),
        synced: now.is_synced(),
        registered: now.membership.as_ref().map(membership),
        attempt: now.attempt.as_ref().map(attempt),
        snapshot: now.fetching.as_ref().map(|fetching| SnapshotBody {
            kind: match fetching.id.kind {
                SnapshotKind::Private => "private",
                SnapshotKind::Public => "public",
            },
            epoch: fetching.id.epoch,
            height: fetching.height,
            have: fetching.have,
            chunks: fetching.chunks,
            refused: fetching.refused.as_ref().map(|refused| refused.code),
        }),
        probation: now.probation.as_ref().map(|probation| ProbationBody {
            answers: probation.answers as u64,
            needed: probation.needed as u64,
        }),
        rolled_back: now.rolled_back.as_ref().map(|back| RolledBackBody {
            epoch: back.epoch,
            knew: back.knew,
            shown: back.shown,
            silent_through: back.silent_through,
        }),
        first_kept: now.first_kept,
        out: own.and_then(|own| own.out(forecast.made_ms)).map(OutBody::from),
        draining: now.draining,
        pending: now.pending,
        name: now.name.clone(),
    })
}

fn membership(own: &Membership) -> MembershipBody {
    MembershipBody {
        name: own.name.clone(),
        height: own.height,
        at: time(own.registered_ms),
        registration: own.registration.to_string(),
        operator_key: own.operator_key.to_string(),
        protocol: own.protocol,
        leaving: own.leaving,
        next: own.next.as_ref().map(|next| NextBody {
            seated: next.seated,
            code: next.code.clone(),
        }),
    }
}

fn attempt(last: &Attempt) -> AttemptBody {
    let problem = last.result.as_ref().err();
    AttemptBody {
        why: last.why.name(),
        at: time(last.at_ms),
        at_ms: last.at_ms,
        height: last.height,
        accepted: problem.is_none(),
        id: last.result.as_ref().ok().map(ToString::to_string),
        code: problem.map(|problem| problem.code),
        detail: problem.map(|problem| problem.detail.clone()),
    }
}

/// Who will be out of the set, when and why: by today's rules, by adopted policies, and by what operators asked for.
#[utoipa::path(
    get,
    path = "/v1/forecast",
    operation_id = "get_forecast",
    responses((status = 200, body = ForecastPage))
)]
pub(crate) async fn forecast(State(api): State<Api>) -> Response {
    let (forecast, status) = (api.node().forecast(), api.node().status());
    fresh(page(&forecast, &status))
}

fn page(forecast: &Forecast, status: &Status) -> ForecastPage {
    let mut items: Vec<(u64, ProspectBody)> = forecast
        .validators
        .iter()
        .map(|one| {
            let (next, out) = prospects(forecast, one);
            let from_ms = one.out(forecast.made_ms).map_or(u64::MAX, |out| out.from_ms);
            let item = ProspectBody {
                name: one.name.clone(),
                seat: one.seat,
                next,
                out,
            };
            (from_ms, item)
        })
        .collect();
    // Who is out first stands first.
    items.sort_by_key(|(from_ms, _)| *from_ms);
    ForecastPage {
        made_at: (forecast.made_ms > 0).then(|| time(forecast.made_ms)),
        epoch: status.epoch,
        seats: u64::from(status.validators),
        quorum: u64::from(status.quorum),
        next_kept: forecast.next_kept,
        below_quorum_at: forecast.below_quorum_from_ms().map(time),
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}
