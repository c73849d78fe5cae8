//! Vendors' signed documents that the ledger holds: TCB levels, identities of quoting enclaves, revocation lists.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Answer, Refusal};
use super::server::Api;
use super::types::{borsh64, parameters, tagged, time};

/// All collateral held.
#[derive(Serialize, ToSchema)]
pub(crate) struct CollateralBody {
    /// Digest of all of it, as epoch records name it.
    digest: String,
    /// The documents.
    items: Vec<DocumentBody>,
}

/// A vendor's document.
#[derive(Serialize, ToSchema)]
pub(crate) struct DocumentBody {
    /// Its place, as refusals name it.
    key: serde_json::Value,
    /// The same in words.
    text: String,
    /// Whether the simulator's root signed it instead of a vendor's.
    simulated: bool,
    /// When the vendor issued it.
    issued: String,
    /// Until when the vendor says that it counts.
    next_update: String,
    /// Whether that moment has passed by this node's clock.
    expired: bool,
    /// Intel's number of the level; null for lists.
    evaluation: Option<u32>,
    /// A revocation list's own number; null for other documents.
    number: Option<u64>,
    /// Borsh of the update that brings it, base64: what `POST /v1/system` takes elsewhere. Null unless asked for.
    update: Option<String>,
}

/// What to show.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    #[serde(default)]
    documents: bool,
}

/// The collateral held; with `documents=true`, with the documents themselves.
#[utoipa::path(
    get,
    path = "/v1/collateral",
    operation_id = "list_collateral",
    params(("documents" = Option<bool>, Query, description = "Whether to add the documents themselves")),
    responses((status = 200, body = CollateralBody))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    query: Result<Query<Wish>, QueryRejection>,
) -> Answer<Response> {
    let Wish { documents } = parameters(query)?;
    api.read(move |api| {
        let (state, now_ms) = (api.node().public(), api.node().status().now_ms);
        let collateral = state.collateral();
        let items = collateral.documents().map(|(key, update)| {
            let info = collateral
                .info(key)
                .ok_or_else(|| Refusal::internal(format!("{key} has no dates")))?;
            Ok(DocumentBody {
                key: serde_json::to_value(key).map_err(Refusal::internal)?,
                text: key.to_string(),
                simulated: key.simulated,
                issued: time(info.issued_ms),
                next_update: time(info.next_update_ms),
                expired: info.next_update_ms < now_ms,
                evaluation: info.evaluation,
                number: info.number,
                update: documents.then(|| borsh64(update)).transpose()?,
            })
        });
        let body = CollateralBody {
            digest: hex::encode(collateral.digest()),
            items: items.collect::<Answer<_>>()?,
        };
        tagged(&body, false)
    })
    .await
}
