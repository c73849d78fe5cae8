//! What a wallet needs to move its trust from an epoch that it knows to now.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{BundleBody, borsh64, fresh, parameters};
use crate::proofs;

/// From where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    from: u64,
}

/// Links from an epoch to now, at most 256 a call, the newest certified header, evidence of every holder.
#[utoipa::path(
    get,
    path = "/v1/light/bundle",
    operation_id = "get_light_bundle",
    params(("from" = u64, Query, description = "The newest epoch that the wallet trusts")),
    responses((status = 200, body = BundleBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn bundle(
    State(api): State<Api>,
    query: Result<Query<From>, QueryRejection>,
) -> Answer<Response> {
    let From { from } = parameters(query)?;
    api.read(move |api| {
        let head = api.height();
        if head == 0 {
            return Err(Refusal::new("node.syncing", "no block is committed here yet"));
        }
        let made = proofs::light_bundle(api.node().store().as_ref(), api.node().genesis(), head, from)
            .map_err(Refusal::internal)?
            .ok_or_else(|| {
                Refusal::new(
                    "epoch.not_found",
                    format!("the epoch in force is {}", api.node().current().epoch),
                )
            })?;
        Ok(fresh(BundleBody {
            bundle: borsh64(&made.bundle)?,
            complete: made.complete,
        }))
    })
    .await
}
