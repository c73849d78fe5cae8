//! Private reads: a sealed question in, a sealed answer out. The API sees neither who asks nor for what.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use tacit_ledger::MAX_SEALED_QUERY_BYTES;

use super::problem::{Answer, ProblemBody};
use super::server::Api;
use super::types::{SealedBody, base64, body, fresh, json, unbase64};

/// A sealed read, answered sealed; only validators can.
#[utoipa::path(
    post,
    path = "/v1/query",
    operation_id = "sealed_query",
    request_body = SealedBody,
    responses(
        (status = 200, body = SealedBody),
        (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody)
    )
)]
pub(crate) async fn query(
    State(api): State<Api>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answer<Response> {
    let sealed = posted(&body(&headers, bytes)?)?;
    let answer = api.node().query(sealed).await?;
    Ok(fresh(SealedBody {
        sealed: base64(answer),
    }))
}

/// The sealed query in a body.
pub(crate) fn posted(body: &[u8]) -> Answer<Vec<u8>> {
    let request: SealedBody = json(body)?;
    unbase64(&request.sealed, MAX_SEALED_QUERY_BYTES)
}
