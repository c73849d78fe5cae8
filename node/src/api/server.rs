//! The server around the handlers: routes, bounds, and what every answer carries.
//!
//! ```text
//! Bounded listener ─► CORS ─► edge: id, rate, places, time ─► handler ─► blocking read of the store
//!                              └── problem+json, 304, Tacit-Chain, Tacit-Height, metrics ◄──┘
//! ```

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower_http::cors::{Any, CorsLayer};

use super::chain::Records;
use super::connection::{Bounded, Peer};
use super::node::Node;
use super::problem::{Answer, Refusal};
use super::rate::{Rate, RateLimit};
use super::{
    blocks, collateral, epochs, events, membership, openapi, peers, policy, query, status, suspensions,
    system, txs, validators,
};

/// A request that is not finished after this is answered with `rpc.timeout`: the longest wait, and time to
/// spare.
const REQUEST_TIME: Duration = Duration::from_secs(40);
/// After the signal to stop, open connections get this long to finish.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Reads of the store at once. Each may hold a few MiB.
const MAX_READERS: usize = 8;
/// Longest part of a path that is repeated in a problem, in bytes.
const INSTANCE_BYTES: usize = 256;
/// First bytes of the chain id that the header `Tacit-Chain` shows.
const CHAIN_PREFIX_BYTES: usize = 8;

const TACIT_CHAIN: HeaderName = HeaderName::from_static("tacit-chain");
const TACIT_HEIGHT: HeaderName = HeaderName::from_static("tacit-height");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the API accepts at once. Everything beyond is refused by name, never queued without bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiLimits {
    /// Requests a second that one client may make, and twice as many at once after a pause; 0 for no limit.
    /// Probes and metrics are exempt.
    pub rate_limit: u32,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one client.
    pub connections_per_client: usize,
    /// Requests being answered.
    pub in_flight: usize,
    /// Long polls among them.
    pub waiters: usize,
    /// Open event streams.
    pub streams: usize,
    /// Bytes of a request's body: the largest system transaction in base64 within its JSON.
    pub body_bytes: usize,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            rate_limit: 200,
            connections: 1_024,
            connections_per_client: 256,
            in_flight: 512,
            waiters: 256,
            streams: 128,
            body_bytes: 192 * 1024,
        }
    }
}

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

struct Shared {
    node: Arc<dyn Node>,
    limits: ApiLimits,
    rate: Option<Mutex<RateLimit>>,
    places: Arc<Semaphore>,
    waiters: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Reads of the store at once: bounds memory, and leaves the disk to the replica.
    readers: Semaphore,
    records: Records,
    stopping: watch::Receiver<bool>,
    opened: Instant,
    /// Distinguishes this run's request ids from an earlier run's.
    run: u64,
    requests: AtomicU64,
    chain_header: HeaderValue,
}

impl Api {
    pub(crate) fn new(node: Arc<dyn Node>, limits: ApiLimits, stopping: watch::Receiver<bool>) -> Self {
        let chain = node.chain_id();
        let prefix: String = chain.to_string().chars().take(2 * CHAIN_PREFIX_BYTES).collect();
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Shared {
            limits,
            rate: (limits.rate_limit > 0).then(|| {
                let burst = limits.rate_limit.saturating_mul(2);
                Mutex::new(RateLimit::new(Rate {
                    per_second: limits.rate_limit,
                    burst,
                }))
            }),
            places: semaphore(limits.in_flight),
            waiters: semaphore(limits.waiters),
            streams: semaphore(limits.streams),
            readers: Semaphore::new(MAX_READERS),
            records: Records::default(),
            stopping,
            opened: Instant::now(),
            run: node.status().started_ms,
            requests: AtomicU64::new(0),
            chain_header: HeaderValue::try_from(prefix).unwrap_or(HeaderValue::from_static("")),
            node,
        }))
    }

    pub(crate) fn node(&self) -> &dyn Node {
        self.0.node.as_ref()
    }

    pub(crate) fn records(&self) -> &Records {
        &self.0.records
    }

    /// Turns true when the server stops: long polls and streams end then.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.clone()
    }

    /// A place for one long poll.
    pub(crate) fn waiter(&self) -> Answer<OwnedSemaphorePermit> {
        place(&self.0.waiters, "long polls")
    }

    /// A place for one event stream.
    pub(crate) fn stream(&self) -> Answer<OwnedSemaphorePermit> {
        place(&self.0.streams, "event streams")
    }

    /// Runs what may block on the disk where blocking is allowed; a panic there is an internal failure of
    /// this request alone.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Self) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        // Never closed, so there is always a permit in the end; who waits too long meets the request's time.
        let _reader = self.0.readers.acquire().await.map_err(Refusal::internal)?;
        let api = self.clone();
        match tokio::task::spawn_blocking(move || job(&api)).await {
            Ok(answer) => answer,
            Err(error) => Err(Refusal::internal(error)),
        }
    }

    fn request_id(&self) -> String {
        format!(
            "{:x}-{:x}",
            self.0.run,
            self.0.requests.fetch_add(1, Ordering::Relaxed)
        )
    }

    /// A place for a request of this client, if its rate and the server's load allow.
    fn admit(&self, client: SocketAddr) -> Answer<OwnedSemaphorePermit> {
        if let Some(rate) = &self.0.rate {
            let now_ms = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            rate.take(client.ip(), now_ms).map_err(|seconds| {
                Refusal::new("rpc.rate_limited", "this client's rate is used up").after(seconds)
            })?;
        }
        place(&self.0.places, "requests")
    }
}

fn place(places: &Arc<Semaphore>, of: &str) -> Answer<OwnedSemaphorePermit> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Refusal::new("rpc.busy", format!("all places for {of} are taken")))
}

/// Every route, as it stands in metrics and in the description of the interface.
pub(crate) const ROUTES: &[&str] = &[
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/errors/{code}",
    "/v1/status",
    "/v1/genesis",
    "/v1/blocks",
    "/v1/blocks/{id}",
    "/v1/blocks/{id}/commit",
    "/v1/blocks/{id}/txs",
    "/v1/txs",
    "/v1/txs/{id}",
    "/v1/txs/{id}/receipt",
    "/v1/query",
    "/v1/node",
    "/v1/forecast",
    "/v1/peers",
    "/v1/validators",
    "/v1/validators/{id}",
    "/v1/validators/{id}/evidence",
    "/v1/epochs",
    "/v1/epochs/{id}",
    "/v1/policy",
    "/v1/policy/proposals",
    "/v1/policy/{version}",
    "/v1/collateral",
    "/v1/suspensions",
    "/v1/system",
    "/v1/system/{id}",
    "/v1/light/bundle",
    "/v1/events",
];

/// Routes that answer at any load, because those who watch the node depend on them.
fn is_probe(route: &str) -> bool {
    matches!(route, "/livez" | "/readyz" | "/metrics")
}

fn router(api: Api) -> Router {
    let body_bytes = api.0.limits.body_bytes;
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([HeaderName::from_static("last-event-id"), header::IF_NONE_MATCH])
        .expose_headers([
            TACIT_CHAIN,
            TACIT_HEIGHT,
            REQUEST_ID,
            header::ETAG,
            header::RETRY_AFTER,
        ]);
    Router::new()
        .route("/livez", get(status::livez))
        .route("/readyz", get(status::readyz))
        .route("/metrics", get(status::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/errors/{code}", get(status::error_code))
        .route("/v1/status", get(status::status))
        .route("/v1/genesis", get(status::genesis))
        .route("/v1/blocks", get(blocks::list))
        .route("/v1/blocks/{id}", get(blocks::one))
        .route("/v1/blocks/{id}/commit", get(blocks::commit))
        .route("/v1/blocks/{id}/txs", get(blocks::txs))
        .route("/v1/txs", post(txs::submit))
        .route("/v1/txs/{id}", get(txs::one))
        .route("/v1/txs/{id}/receipt", get(txs::receipt))
        .route("/v1/query", post(query::query))
        .route("/v1/node", get(membership::node))
        .route("/v1/forecast", get(membership::forecast))
        .route("/v1/peers", get(peers::list))
        .route("/v1/validators", get(validators::list))
        .route("/v1/validators/{id}", get(validators::one))
        .route("/v1/validators/{id}/evidence", get(validators::evidence))
        .route("/v1/epochs", get(epochs::list))
        .route("/v1/epochs/{id}", get(epochs::one))
        .route("/v1/policy", get(policy::current))
        .route("/v1/policy/proposals", get(policy::proposals))
        .route("/v1/policy/{version}", get(policy::version))
        .route("/v1/collateral", get(collateral::list))
        .route("/v1/suspensions", get(suspensions::list))
        .route("/v1/system", post(system::submit))
        .route("/v1/system/{id}", get(system::one))
        .route("/v1/light/bundle", get(super::light::bundle))
        .route("/v1/events", get(events::events))
        .fallback(async || Refusal::new("request.not_found", "no such path"))
        .method_not_allowed_fallback(async || Refusal::new("request.method", "the path has other methods"))
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(middleware::from_fn_with_state(api.clone(), edge))
        .layer(cors)
        .with_state(api)
}

/// Admits a request, bounds its time, and finishes its answer.
async fn edge(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let _serving = peer.serving();
    let started = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .and_then(|path| ROUTES.iter().find(|route| **route == path.as_str()))
        .copied()
        .unwrap_or("unmatched");
    let instance: String = request.uri().path().chars().take(INSTANCE_BYTES).collect();
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let admitted = if is_probe(route) {
        Ok(None)
    } else {
        api.admit(peer.address).map(Some)
    };
    let response = match admitted {
        Err(refusal) => refusal.into_response(),
        Ok(_place) => match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::new("rpc.timeout", "the request took too long").into_response(),
        },
    };
    let request_id = api.request_id();
    let mut response = match response.extensions().get::<Refusal>() {
        Some(refusal) => {
            tracing::debug!(route, request_id, code = refusal.code(), "request refused");
            refusal.render(&instance, &request_id)
        }
        None => not_modified(known.as_ref(), response),
    };
    let headers = response.headers_mut();
    headers.insert(TACIT_CHAIN, api.0.chain_header.clone());
    headers.insert(TACIT_HEIGHT, HeaderValue::from(api.height()));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(value) = HeaderValue::try_from(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    api.node()
        .metrics()
        .api_request(route, response.status().as_u16(), started.elapsed());
    response
}

/// An answer that the client already has is not sent again.
fn not_modified(known: Option<&HeaderValue>, response: Response) -> Response {
    let Some((tag, known)) = response.headers().get(header::ETAG).zip(known) else {
        return response;
    };
    let same = known.to_str().is_ok_and(|list| {
        list.split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    if !same {
        return response;
    }
    let kept: HeaderMap = [header::ETAG, header::CACHE_CONTROL]
        .into_iter()
        .filter_map(|name| response.headers().get(&name).cloned().map(|value| (name, value)))
        .collect();
    (StatusCode::NOT_MODIFIED, kept).into_response()
}

/// Serves `node` on `listener` until `shutdown`, then lets open requests finish for a few seconds.
pub(crate) async fn serve_node(
    node: Arc<dyn Node>,
    listener: TcpListener,
    limits: ApiLimits,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let app = router(Api::new(node, limits, stopping.clone()));
    let listener = Bounded::new(listener, limits.connections, limits.connections_per_client);
    let mut late = stopping;
    let signal = async move {
        shutdown.await;
        stop.send_replace(true);
    };
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(signal)
        .into_future();
    let deadline = async move {
        // An error means that the signal was sent and its sender dropped: the same as the signal.
        let _ = late.wait_for(|stopping| *stopping).await;
        tokio::time::sleep(STOP_TIME).await;
    };
    tokio::select! {
        ended = server => ended,
        () = deadline => Ok(()),
    }
}
