//! The HTTP interface of a node: plain GETs that work in a browser and with curl, two POSTs, one event
//! stream.
//!
//! Promise: everything served is public data of the ledger or sealed bytes; nothing here can open them. Every
//! answer is bounded in size and time, every refusal names a code of `docs/errors.md`, and no input makes it
//! panic. A reader need not believe any of it: certificates, proofs and evidence are served in full, and
//! wallets check them.
//!
//! Conventions: hashes in lower-case hex, blobs in standard base64, amounts as decimal strings, times as RFC
//! 3339 in UTC with milliseconds; lists are `{"items": [...], "next": cursor or null}`; immutable objects
//! have an `ETag`; every answer has `Tacit-Chain` and `Tacit-Height`. The description is at `/openapi.json`
//! and in `docs/openapi.json`.
//!
//! Deliberately absent: TLS (put a proxy before it), accounts and tokens (there is nothing to protect),
//! writes other than submitting sealed bytes, totals in lists, WebSockets.

mod blocks;
mod chain;
mod collateral;
mod connection;
mod epochs;
mod events;
mod light;
mod membership;
mod node;
mod openapi;
mod peers;
mod policy;
mod problem;
mod query;
mod rate;
mod server;
mod status;
mod suspensions;
mod system;
#[cfg(test)]
mod tests;
mod txs;
mod types;
mod validators;

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::handle::NodeHandle;

pub use openapi::document;
pub use server::ApiLimits;
pub(crate) use types::time;

/// What the body of a POST to `route` carries, bounded and out of its JSON and base64. Handlers do just this before
/// anything else; here it can be had without a socket, so that any input can be tried.
///
/// # Errors
/// The code of the refusal; `request.not_found` for a route that takes no POST.
pub fn posted(route: &str, body: &[u8]) -> Result<Vec<u8>, &'static str> {
    let answer = match route {
        "/v1/txs" => txs::posted(body),
        "/v1/query" => query::posted(body),
        "/v1/system" => system::posted(body),
        _ => return Err("request.not_found"),
    };
    answer.map_err(|refusal| refusal.code())
}

/// Serves the interface on `listener` until `shutdown` completes; then event streams and long polls end at
/// once and other requests get five seconds.
///
/// # Errors
/// Those of the listener; refused and broken connections are not errors.
pub async fn serve(
    handle: NodeHandle,
    listener: TcpListener,
    limits: ApiLimits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    server::serve_node(Arc::new(handle), listener, limits, shutdown).await
}
