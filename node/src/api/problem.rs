//! Refusals as `application/problem+json` (RFC 9457).
//!
//! Handlers answer with a [`Refusal`]; it travels as a response extension to the edge of the server, where
//! the path and the request's id are known, and is written there. Details carry facts, never contents of
//! requests.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tacit_ledger::codes::{self, Code};
use utoipa::ToSchema;

use crate::handle::Problem;

/// What a handler answers with when it refuses.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
}

/// The result of a handler.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after_s: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new("request.malformed", detail)
    }

    /// A failure of this node: the cause goes to its log, the caller learns only that it happened.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request could not be answered");
        Self::new(
            "internal",
            "this node could not read or write what the request needs",
        )
    }

    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    fn row(&self) -> &'static Code {
        static UNKNOWN: Code = Code {
            code: "internal",
            exit: 1,
            http: 500,
            title: "Unexpected failure",
            hint: "report it with the request id and the log around it",
            retryable: false,
        };
        codes::lookup(self.code).unwrap_or(&UNKNOWN)
    }

    /// The answer for a request of `instance` that got the id `request_id`.
    pub(crate) fn render(&self, instance: &str, request_id: &str) -> Response {
        let row = self.row();
        let status = status_of(row);
        let body = ProblemBody {
            kind: format!("/errors/{}", row.code),
            title: row.title,
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            code: row.code,
            hint: row.hint,
            retryable: row.retryable,
            request_id,
        };
        let mut response = match serde_json::to_vec(&body) {
            Ok(bytes) => Response::new(Body::from(bytes)),
            Err(_) => Response::new(Body::empty()),
        };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let waits = matches!(status.as_u16(), 202 | 429 | 503);
        if let Some(seconds) = self.retry_after_s.or(waits.then_some(1)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::new(problem.code, problem.detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = status_of(self.row()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn status_of(row: &Code) -> StatusCode {
    StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A refusal or failure (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Path of the code's description.
    #[serde(rename = "type")]
    kind: String,
    /// One phrase about the code.
    title: &'a str,
    /// The HTTP status again.
    status: u16,
    /// What happened in this case.
    detail: &'a str,
    /// The path that was asked.
    instance: &'a str,
    /// Stable word to branch on.
    code: &'a str,
    /// The next step.
    hint: &'a str,
    /// Whether the same wish may succeed later.
    retryable: bool,
    /// To be found again in the node's log.
    request_id: &'a str,
}
