//! How the node is: for people, for probes, for Prometheus.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tacit_attest::NetworkClass;
use tacit_ledger::{Genesis, codes};
use utoipa::ToSchema;

use super::problem::{Answer, Refusal};
use super::server::Api;
use super::types::{borsh64, fresh, parameter, tagged, time};
use crate::config::Role;
use crate::metrics::CONTENT_TYPE;
use crate::status::{LIVE_LAG, Status};

/// Whether the chain's hardware is simulated: a fact of its genesis.
pub(crate) fn is_simulated(genesis: &Genesis) -> bool {
    genesis.trust.simulator.is_some()
}

/// How the node is.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusBody {
    /// The network's name.
    chain_id: String,
    /// Hash of the genesis: the network's identity.
    genesis_hash: String,
    /// Whether there is no hardware protection.
    simulated: bool,
    /// Where the chain goes on from, if it was recovered.
    recovered: Option<RecoveredBody>,
    node: NodeBody,
    tee: TeeBody,
    sync: SyncBody,
    epoch: EpochNow,
    consensus: ConsensusBody,
    identity: IdentityBody,
    /// Connected peers.
    peers: u64,
    mempool: MempoolBody,
}

/// The lost chain that a recovered one goes on from.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveredBody {
    /// Hash of its genesis.
    chain: String,
    /// Its name.
    name: String,
    /// Its newest epoch, whose shares its members released.
    epoch: u64,
    /// The height whose state was brought back.
    height: u64,
}

impl RecoveredBody {
    pub(crate) fn of(genesis: &Genesis) -> Option<Self> {
        let origin = genesis.origin.as_ref()?;
        Some(Self {
            chain: origin.chain.to_string(),
            name: origin.name.clone(),
            epoch: origin.epoch,
            height: origin.executed,
        })
    }
}

/// Who the node is.
#[derive(Serialize, ToSchema)]
pub(crate) struct NodeBody {
    /// Network key.
    id: String,
    name: String,
    /// `validator` or `observer`.
    role: &'static str,
    version: &'static str,
    /// Where it stands between following and voting, as at `/v1/node`.
    phase: &'static str,
    /// Its seat in the epoch in force.
    seat: Option<u16>,
    /// When the process started.
    started: String,
}

/// The node's hardware, as it says itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct TeeBody {
    platform: Option<String>,
    measurement: Option<String>,
    policy_version: u64,
    evidence_expires_at: Option<String>,
}

/// Where the node is in the chain.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncBody {
    /// `live` or `syncing`.
    state: &'static str,
    /// Newest committed and executed height.
    height: u64,
    /// Its block.
    head: String,
    /// Newest height a peer has shown.
    best_known: u64,
    /// The difference.
    lag: u64,
    /// Age of the newest block, in milliseconds.
    block_age_ms: u64,
    /// Newest height whose execution a committed header certifies.
    certified: u64,
    /// Lowest height whose block the node keeps: 1 where it keeps all.
    first: u64,
}

/// The epoch in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct EpochNow {
    number: u64,
    key_id: Option<String>,
    /// When it is due to end.
    ends_at: String,
    /// Whether its set was kept although too few of it were acceptable: wallets do not seal to it.
    kept: bool,
    /// The version of the protocol in it.
    protocol: u16,
}

/// Consensus, as this node sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConsensusBody {
    view: u64,
    /// Index of the view's leader.
    leader: Option<u16>,
    /// How long the node waits for the view, in milliseconds.
    timeout_ms: u64,
    validators: u32,
    quorum: u32,
}

/// What the node knows of who else holds a validator's keys, its own first.
#[derive(Serialize, ToSchema)]
pub(crate) struct IdentityBody {
    /// While this validator asks the others what they saw it sign: it neither signs nor answers private reads.
    probation: Option<ProbationBody>,
    /// Set when this process began from a disk that did not know what its validator had signed.
    rolled_back: Option<RolledBackBody>,
    /// Validators of which two holders were noticed since the process started.
    conflicts: Vec<ConflictBody>,
}

/// How far the questions are.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProbationBody {
    /// Others whose answers count.
    answers: u64,
    /// How many are needed.
    needed: u64,
}

/// What was found when the process started.
#[derive(Serialize, ToSchema)]
pub(crate) struct RolledBackBody {
    epoch: u64,
    /// The highest view in which the disk knew of a statement.
    knew_view: u64,
    /// The highest view in which others hold one.
    shown_view: u64,
    /// Nothing is signed up to this view.
    silent_through_view: u64,
}

/// Two holders of one identity.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConflictBody {
    /// The validator's name.
    validator: String,
    /// `equivocation` or `two_holders`.
    by: &'static str,
}

fn identity(status: &Status) -> IdentityBody {
    IdentityBody {
        probation: status.probation.map(|now| ProbationBody {
            answers: now.answers as u64,
            needed: now.needed as u64,
        }),
        rolled_back: status.rolled_back.map(|found| RolledBackBody {
            epoch: found.epoch,
            knew_view: found.knew,
            shown_view: found.shown,
            silent_through_view: found.silent_through,
        }),
        conflicts: status
            .identity_conflicts
            .iter()
            .map(|(validator, by)| ConflictBody {
                validator: validator.clone(),
                by,
            })
            .collect(),
    }
}

/// What waits to be ordered.
#[derive(Serialize, ToSchema)]
pub(crate) struct MempoolBody {
    txs: u64,
    bytes: u64,
}

/// How the node is: sync, epoch, consensus, hardware.
#[utoipa::path(get, path = "/v1/status", operation_id = "get_status", responses((status = 200, body = StatusBody)))]
pub(crate) async fn status(State(api): State<Api>) -> Response {
    let (node, now) = (api.node(), api.node().status());
    let (genesis, record) = (node.genesis(), node.current());
    let best_known = now.best_known.max(now.height);
    let lag = best_known - now.height;
    fresh(StatusBody {
        chain_id: genesis.name.clone(),
        genesis_hash: node.chain_id().to_string(),
        simulated: is_simulated(genesis),
        recovered: RecoveredBody::of(genesis),
        node: NodeBody {
            id: hex::encode(now.node_id),
            name: now.name.clone(),
            role: role(&now),
            version: now.version,
            phase: now.phase.name(),
            seat: now.seat,
            started: time(now.started_ms),
        },
        tee: TeeBody {
            platform: now.platform.map(|platform| platform.to_string()),
            measurement: now.measurement.map(|measurement| measurement.to_string()),
            policy_version: now.policy_version,
            evidence_expires_at: now.evidence_expires_at_ms.map(time),
        },
        sync: SyncBody {
            state: if lag > LIVE_LAG { "syncing" } else { "live" },
            height: now.height,
            head: now.head_hash.to_string(),
            best_known,
            lag,
            block_age_ms: now.now_ms.saturating_sub(now.head_time_ms),
            certified: now.certified_executed,
            first: now.first_kept,
        },
        epoch: EpochNow {
            number: now.epoch,
            key_id: record.key_id(),
            ends_at: time(now.epoch_ends_at_ms),
            kept: now.set_kept,
            protocol: record.protocol,
        },
        consensus: ConsensusBody {
            view: now.view,
            leader: now.leader,
            timeout_ms: now.timeout_ms,
            validators: now.validators,
            quorum: now.quorum,
        },
        identity: identity(&now),
        peers: now.peers.len() as u64,
        mempool: MempoolBody {
            txs: now.mempool_txs,
            bytes: now.mempool_bytes,
        },
    })
}

fn role(status: &Status) -> &'static str {
    match status.role {
        Role::Validator => "validator",
        Role::Observer => "observer",
    }
}

/// The replica's thread comes round once a second; ten times that means that it hangs.
const MAX_TURN_MS: u64 = 10_000;

/// Whether the node turns.
#[derive(Serialize, ToSchema)]
pub(crate) struct LiveBody {
    live: bool,
}

/// 200 while the process answers and the replica's thread comes round, else 503: restart it.
#[utoipa::path(get, path = "/livez", responses((status = 200, body = LiveBody), (status = 503, body = LiveBody)))]
pub(crate) async fn livez(State(api): State<Api>) -> Response {
    let now = api.node().status();
    let live = now.now_ms.saturating_sub(now.turned_ms) <= MAX_TURN_MS;
    let status = if live {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, fresh(LiveBody { live })).into_response()
}

/// Whether the node should get traffic.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyBody {
    ready: bool,
    checks: Vec<CheckBody>,
}

/// One condition of being ready.
#[derive(Serialize, ToSchema)]
pub(crate) struct CheckBody {
    name: &'static str,
    ok: bool,
    /// What was found.
    value: String,
    /// What is needed.
    limit: String,
    /// Code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

/// 200 when every check passes, else 503; the checks say why.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)))]
pub(crate) async fn readyz(State(api): State<Api>) -> Response {
    let now = api.node().status();
    let checks: Vec<CheckBody> = now
        .ready
        .iter()
        .map(|check| CheckBody {
            name: check.name,
            ok: check.ok,
            value: check.value.clone(),
            limit: check.limit.clone(),
            code: check.code,
        })
        .collect();
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, fresh(ReadyBody { ready, checks })).into_response()
}

/// Measurements in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(api): State<Api>) -> Response {
    let metrics = api.node().scrape();
    (
        [
            (header::CONTENT_TYPE, CONTENT_TYPE),
            (header::CACHE_CONTROL, "no-store"),
        ],
        metrics.encode(),
    )
        .into_response()
}

/// What an error code means.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    code: &'static str,
    title: &'static str,
    /// The next step.
    hint: &'static str,
    /// Exit code of a command that ends with it.
    exit: u8,
    /// HTTP status; 0 where no node answers with it.
    http: u16,
    retryable: bool,
}

/// What an error code means; the `type` of problems points here.
#[utoipa::path(
    get,
    path = "/errors/{code}",
    operation_id = "get_error_code",
    params(("code" = String, Path, description = "An error code")),
    responses((status = 200, body = ErrorBody), (status = 404, body = super::problem::ProblemBody))
)]
pub(crate) async fn error_code(path: Result<Path<String>, PathRejection>) -> Answer<Response> {
    let row = codes::lookup(&parameter(path)?)
        .ok_or_else(|| Refusal::new("error.not_found", "the table of codes does not have it"))?;
    let body = ErrorBody {
        code: row.code,
        title: row.title,
        hint: row.hint,
        exit: row.exit,
        http: row.http,
        retryable: row.retryable,
    };
    tagged(&body, false)
}

/// The genesis: what the network is.
#[derive(Serialize, ToSchema)]
pub(crate) struct GenesisBody {
    /// Hash of `bytes`: the network's identity.
    hash: String,
    /// Borsh of the genesis, base64.
    bytes: String,
    name: String,
    /// `production`, `test` or `dev`.
    class: &'static str,
    /// Whether there is no hardware protection.
    simulated: bool,
    /// Where the chain goes on from, if it was recovered.
    recovered: Option<RecoveredBody>,
}

/// The canonical genesis and its hash.
#[utoipa::path(get, path = "/v1/genesis", operation_id = "get_genesis", responses((status = 200, body = GenesisBody)))]
pub(crate) async fn genesis(State(api): State<Api>) -> Answer<Response> {
    api.read(|api| {
        let genesis = api.node().genesis();
        let body = GenesisBody {
            hash: api.node().chain_id().to_string(),
            bytes: borsh64(genesis.as_ref())?,
            name: genesis.name.clone(),
            class: match genesis.trust.class {
                NetworkClass::Production => "production",
                NetworkClass::Test => "test",
                NetworkClass::Dev => "dev",
            },
            simulated: is_simulated(genesis),
            recovered: RecoveredBody::of(genesis),
        };
        tagged(&body, true)
    })
    .await
}
