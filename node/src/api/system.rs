//! Transactions of the public lane: collateral, policies and approvals, suspensions, renewals.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tacit_consensus::Digest;
use tacit_ledger::MAX_ORDINARY_TX_BYTES;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{IncludedBody, body, digest, fresh, json, parameter, parameters, time, unbase64};
use crate::system_waiting::SystemState;

/// Longest wait of a long poll, in milliseconds: within the time of a request, and of most proxies.
const MAX_WAIT_MS: u64 = 30_000;

/// A transaction of the public lane to submit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemSubmitBody {
    /// Borsh of the transaction, base64.
    tx: String,
}

/// A transaction of the public lane was taken in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemAcceptedBody {
    /// The id to ask for.
    id: String,
    /// `collateral`, `propose`, `approve`, `suspend` or `renew`.
    #[schema(example = "propose")]
    kind: &'static str,
}

/// What became of a transaction of the public lane.
#[derive(Serialize, ToSchema)]
pub(crate) struct SystemBody {
    /// Its id.
    id: String,
    /// `pending`: waits in memory, and is unknown again if every node that holds it restarts. `committed`: in a final
    /// block, and in force as that kind of transaction is. `dropped`: the state has moved on, see `refusal`.
    #[schema(example = "committed")]
    status: &'static str,
    /// When this node took it in; null unless it is pending.
    since: Option<String>,
    /// Where it stands; null until it is committed.
    included: Option<IncludedBody>,
    /// Why it was dropped; null unless it was.
    refusal: Option<RefusalBody>,
}

/// A refusal by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusalBody {
    /// Stable word to branch on.
    pub(crate) code: String,
    /// What is there and what was needed.
    pub(crate) detail: String,
}

/// Submits a transaction of the public lane. Nobody need be trusted to bring one: what counts is who signed it.
#[utoipa::path(
    post,
    path = "/v1/system",
    operation_id = "submit_system",
    request_body = SystemSubmitBody,
    responses(
        (status = 202, body = SystemAcceptedBody),
        (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody),
        (status = 503, body = ProblemBody)
    )
)]
pub(crate) async fn submit(
    State(api): State<Api>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let tx = posted(&body(&headers, bytes)?)?;
    let accepted = api.node().submit_system(tx).await?;
    let body = SystemAcceptedBody {
        id: accepted.id.to_string(),
        kind: accepted.kind,
    };
    Ok((StatusCode::ACCEPTED, fresh(body)).into_response())
}

/// The transaction in a body.
pub(crate) fn posted(body: &[u8]) -> Answer<Vec<u8>> {
    let request: SystemSubmitBody = json(body)?;
    unbase64(&request.tx, MAX_ORDINARY_TX_BYTES)
}

/// Whether to wait.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    wait_ms: Option<u64>,
}

/// What became of a transaction of the public lane; with `wait_ms`, as soon as it waits no longer.
#[utoipa::path(
    get,
    path = "/v1/system/{id}",
    operation_id = "get_system",
    params(
        ("id" = String, Path, description = "The id that its submission answered with"),
        ("wait_ms" = Option<u64>, Query, description = "0 to 30000: how long to wait")
    ),
    responses((status = 200, body = SystemBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn one(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Wait>, QueryRejection>,
) -> Answer<Response> {
    let id = digest(&parameter(path)?)?;
    let wait_ms = parameters(query)?.wait_ms.unwrap_or(0);
    if wait_ms > MAX_WAIT_MS {
        return Err(Refusal::malformed(format!("wait_ms must be 0 to {MAX_WAIT_MS}")));
    }
    // Subscribed before the first look, so that no block falls between look and wait.
    let mut head = api.node().head();
    let mut stopping = api.stopping();
    head.mark_unchanged();
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let _place = if wait_ms > 0 { Some(api.waiter()?) } else { None };
    loop {
        let found = api.read(move |api| state(api, &id)).await?;
        let waits = found.as_ref().is_none_or(|found| found.status == "pending");
        if waits && Instant::now() < deadline {
            let woken = tokio::select! {
                changed = head.changed() => changed.is_ok(),
                _ = stopping.wait_for(|stopping| *stopping) => false,
                () = tokio::time::sleep_until(deadline) => false,
            };
            if woken {
                continue;
            }
        }
        return found
            .map(fresh)
            .ok_or_else(|| Refusal::new("system.not_found", "neither committed nor waiting here"));
    }
}

fn state(api: &Api, id: &Digest) -> Answer<Option<SystemBody>> {
    if let Some(included) = included(api, id)? {
        return Ok(Some(included));
    }
    let body = |status| SystemBody {
        id: id.to_string(),
        status,
        since: None,
        included: None,
        refusal: None,
    };
    Ok(match api.node().system_state(id) {
        SystemState::Pending { since_ms } => Some(SystemBody {
            since: Some(time(since_ms)),
            ..body("pending")
        }),
        SystemState::Dropped(problem) => Some(SystemBody {
            refusal: Some(RefusalBody {
                code: problem.code.to_owned(),
                detail: problem.detail,
            }),
            ..body("dropped")
        }),
        // It may have been committed since the first look.
        SystemState::Unknown => included(api, id)?,
    })
}

fn included(api: &Api, id: &Digest) -> Answer<Option<SystemBody>> {
    let Some(record) = api.log().system(id).map_err(Refusal::internal)? else {
        return Ok(None);
    };
    let block = api
        .block_at(record.height)?
        .ok_or_else(|| Refusal::internal(format!("block {} is missing", record.height)))?;
    Ok(Some(SystemBody {
        id: id.to_string(),
        status: "committed",
        since: None,
        included: Some(IncludedBody {
            height: record.height,
            index: record.index,
            time: time(block.block.header.time_ms),
        }),
        refusal: None,
    }))
}
