//! Sealed transactions: submitting, following, proving.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tacit_consensus::Digest;
use tacit_ledger::MAX_ENVELOPE_BYTES;
use tokio::time::Instant;

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{
    AcceptedBody, IncludedBody, ReceiptBody, SubmitBody, TxBody, body, borsh64, digest, fresh, json,
    parameter, parameters, tagged, time, unbase64,
};
use crate::handle::TxState;
use crate::proofs;

/// Longest wait of a long poll, in milliseconds: within the time of a request, and of most proxies.
const MAX_WAIT_MS: u64 = 30_000;

/// Submits a sealed envelope.
#[utoipa::path(
    post,
    path = "/v1/txs",
    operation_id = "submit_tx",
    request_body = SubmitBody,
    responses(
        (status = 202, body = AcceptedBody),
        (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)
    )
)]
pub(crate) async fn submit(
    State(api): State<Api>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let envelope = posted(&body(&headers, bytes)?)?;
    let accepted = api.node().submit(envelope).await?;
    let body = AcceptedBody {
        tx_id: accepted.tx_id.to_string(),
        epoch: accepted.epoch,
        expires_at_height: accepted.expires_at_height,
    };
    Ok((StatusCode::ACCEPTED, fresh(body)).into_response())
}

/// The envelope in a body.
pub(crate) fn posted(body: &[u8]) -> Answer<Vec<u8>> {
    let request: SubmitBody = json(body)?;
    unbase64(&request.envelope, MAX_ENVELOPE_BYTES)
}

/// What to wait for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Until {
    /// The transaction is committed and executed.
    #[default]
    Committed,
    /// Its receipt can be proven.
    Receipt,
}

/// Whether and for what to wait.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    wait_ms: Option<u64>,
    #[serde(default)]
    until: Until,
}

/// A transaction's state; with `wait_ms`, as soon as it is committed (or, `until=receipt`, provable).
#[utoipa::path(
    get,
    path = "/v1/txs/{id}",
    operation_id = "get_tx",
    params(
        ("id" = String, Path, description = "The envelope's hash"),
        ("wait_ms" = Option<u64>, Query, description = "0 to 30000: how long to wait"),
        ("until" = Option<String>, Query, description = "`committed` (default) or `receipt`")
    ),
    responses((status = 200, body = TxBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn one(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<Wait>, QueryRejection>,
) -> Answer<Response> {
    let id = digest(&parameter(path)?)?;
    let Wait { wait_ms, until } = parameters(query)?;
    let wait_ms = wait_ms.unwrap_or(0);
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
        let done = found.as_ref().is_some_and(|tx| match until {
            Until::Committed => tx.status != "pending",
            Until::Receipt => tx.receipt_ready || tx.status == "expired",
        });
        if !done && Instant::now() < deadline {
            let woken = tokio::select! {
                changed = head.changed() => changed.is_ok(),
                _ = stopping.wait_for(|stopping| *stopping) => false,
                () = tokio::time::sleep_until(deadline) => false,
            };
            if woken {
                continue;
            }
        }
        return match found {
            Some(found) => Ok(fresh(found)),
            None => Err(Refusal::new("tx.not_found", api.read(not_here).await?)),
        };
    }
}

/// Why nothing is known of a transaction.
fn not_here(api: &Api) -> Answer<String> {
    Ok(format!("neither committed nor waiting here{}", api.older_gone()?))
}

/// What this node knows about a transaction.
fn state(api: &Api, id: &Digest) -> Answer<Option<TxBody>> {
    let Some(tx) = api.tx(id)? else {
        let waiting = |status| TxBody {
            tx_id: id.to_string(),
            status,
            envelope: None,
            included: None,
            receipt_ready: false,
            outcome: None,
        };
        return Ok(match api.node().tx_state(id) {
            TxState::Pending => Some(waiting("pending")),
            TxState::Expired => Some(waiting("expired")),
            // It may have been committed since the first look.
            TxState::Unknown if api.tx(id)?.is_some() => Some(waiting("pending")),
            TxState::Unknown => None,
        });
    };
    let store = api.node().store().as_ref();
    let block = api
        .block_at(tx.height)?
        .ok_or_else(|| Refusal::internal(format!("block {} is missing", tx.height)))?;
    let unopened = api
        .log()
        .receipt(id)
        .map_err(Refusal::internal)?
        .is_some_and(|receipt| receipt.sealed.is_unopened(id));
    Ok(Some(TxBody {
        tx_id: id.to_string(),
        status: "committed",
        envelope: Some(api.envelope(&tx)?),
        included: Some(IncludedBody {
            height: tx.height,
            index: tx.index,
            time: time(block.block.header.time_ms),
        }),
        receipt_ready: proofs::certified_height(store, api.height()).map_err(Refusal::internal)? >= tx.height,
        outcome: Some(if unopened { "unopened" } else { "sealed" }),
    }))
}

/// The sealed receipt and the proof that the chain agreed on it; 202 while no block certifies it yet.
#[utoipa::path(
    get,
    path = "/v1/txs/{id}/receipt",
    operation_id = "get_receipt",
    params(("id" = String, Path, description = "The envelope's hash")),
    responses(
        (status = 200, body = ReceiptBody),
        (status = 202, body = ProblemBody, description = "Not provable yet: see Retry-After"),
        (status = 404, body = ProblemBody)
    )
)]
pub(crate) async fn receipt(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let id = digest(&parameter(path)?)?;
    api.read(move |api| {
        let Some(tx) = api.tx(&id)? else {
            return Err(match api.node().tx_state(&id) {
                TxState::Pending => Refusal::new("receipt.pending", "the transaction is not committed yet"),
                TxState::Expired => Refusal::new("tx.expired", "it was never committed"),
                TxState::Unknown => Refusal::new("tx.not_found", not_here(api)?),
            });
        };
        let proof = proofs::receipt_proof(api.node().store().as_ref(), api.height(), &id)
            .or_else(|error| {
                // It may have been deleted while it was read.
                api.kept(tx.height)?;
                Err(Refusal::internal(error))
            })?
            .ok_or_else(|| {
                Refusal::new(
                    "receipt.pending",
                    format!("no block certifies height {} yet", tx.height),
                )
            })?;
        let body = ReceiptBody {
            tx_id: id.to_string(),
            height: tx.height,
            proof: borsh64(&proof)?,
        };
        tagged(&body, true)
    })
    .await
}
