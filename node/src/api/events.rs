//! The event stream (SSE): blocks, transactions, what the public lane changes and epochs, in the order of the chain.
//!
//! Events are made from the store, height by height, when the reader is ready for them: a slow reader costs
//! no memory and misses nothing, and any cursor resumes, on any node. Ids are `<height>-<sequence>`: 0 is the
//! block, 1 to n are its transactions, the next s those of the public lane (`policy` or `validator`), and n + s + 1
//! is the epoch that begins after it. An id names the same event whatever types are asked for.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};
use tacit_consensus::Digest;
use tacit_ledger::{CommittedBlock, SystemTx};
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::ToSchema;

use super::connection::{Peer, Serving};
use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{decimal, parameters, time};
use crate::metrics::SseClient;
use crate::replica::ordinary;

/// After a lost connection, readers wait this long.
const RETRY: Duration = Duration::from_secs(2);
/// A comment this often keeps proxies from closing a quiet stream.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// Events read at once; 256 take about 64 KiB.
const CHUNK: usize = 256;
/// Blocks looked at in one read when none gives an event.
const SCAN: usize = 256;

/// Which events, from where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    types: Option<String>,
    after: Option<String>,
}

/// A committed block.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockEvent {
    height: u64,
    hash: String,
    time: String,
    epoch: u64,
    view: u64,
    tx_count: u64,
}

/// A committed transaction.
#[derive(Serialize, ToSchema)]
pub(crate) struct TxEvent {
    tx_id: String,
    height: u64,
    index: u32,
    epoch: u64,
    size_class: u32,
}

/// A new epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct EpochEvent {
    number: u64,
    key_id: Option<String>,
    valid_from_height: u64,
    policy_version: u64,
    /// Why it begins.
    reason: &'static str,
    /// Whether the set before stayed whole because too few of it were acceptable.
    kept: bool,
    /// Names of those found wanting.
    dropped: Vec<String>,
}

/// The rules change, or are about to: a proposal, an approval, or a vendor's document.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyEvent {
    height: u64,
    /// The transaction.
    id: String,
    /// `propose`, `approve` or `collateral`.
    kind: &'static str,
    /// Who acts, by name; null for collateral, which anybody brings.
    member: Option<String>,
    /// The proposal that it is about.
    proposal: Option<String>,
    /// The version that is proposed.
    version: Option<u64>,
}

/// Something about validators: a renewal, or a vote to suspend.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValidatorEvent {
    height: u64,
    /// The transaction.
    id: String,
    /// `renew` or `suspend`.
    kind: &'static str,
    /// Who acts, by name.
    validator: String,
    /// Whom a vote is against, in words.
    target: Option<String>,
}

/// Blocks, transactions, changes of the rules and of validators, and epochs, as they are committed (server-sent events).
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "follow_events",
    params(
        ("types" = Option<String>, Query, description = "Some of `block,tx,policy,validator,epoch`; default all"),
        ("after" = Option<String>, Query, description = "`<height>-<sequence>`; default: from now on"),
        ("Last-Event-ID" = Option<String>, Header, description = "Resumes; wins over `after`")
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = ProblemBody),
        (status = 503, body = ProblemBody)
    )
)]
pub(crate) async fn events(
    State(api): State<Api>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    query: Result<Query<Wish>, QueryRejection>,
) -> Answer<Response> {
    let wish = parameters(query)?;
    let types = Types::read(wish.types.as_deref())?;
    let last = match headers.get("last-event-id") {
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| Refusal::malformed("Last-Event-ID is not text"))?,
        ),
        None => wish.after.as_deref(),
    };
    let next = match last {
        Some(text) => Cursor::read(text)?.following(),
        None => Cursor {
            height: api.height().saturating_add(1),
            sequence: 0,
        },
    };
    let reader = Reader {
        next,
        types,
        ready: Vec::new().into_iter(),
        greeted: false,
        head: api.node().head(),
        stopping: api.stopping(),
        _place: api.stream()?,
        _serving: peer.serving(),
        _counted: api.node().metrics().sse_client(),
        api,
    };
    let stream = stream::unfold(reader, async |mut reader| {
        let event = reader.event().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    let keep_alive = KeepAlive::new().interval(COMMENT_EVERY);
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    // nginx buffers streams unless told otherwise.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Which types of events a reader wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types {
    block: bool,
    tx: bool,
    policy: bool,
    validator: bool,
    epoch: bool,
}

impl Types {
    fn read(text: Option<&str>) -> Answer<Self> {
        let Some(text) = text else {
            return Ok(Self {
                block: true,
                tx: true,
                policy: true,
                validator: true,
                epoch: true,
            });
        };
        let mut types = Self {
            block: false,
            tx: false,
            policy: false,
            validator: false,
            epoch: false,
        };
        for word in text.split(',') {
            match word {
                "block" => types.block = true,
                "tx" => types.tx = true,
                "policy" => types.policy = true,
                "validator" => types.validator = true,
                "epoch" => types.epoch = true,
                _ => {
                    return Err(Refusal::malformed(
                        "types are block, tx, policy, validator and epoch",
                    ));
                }
            }
        }
        Ok(types)
    }
}

/// Position of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    height: u64,
    sequence: u64,
}

impl Cursor {
    fn read(text: &str) -> Answer<Self> {
        text.split_once('-')
            .and_then(|(height, sequence)| {
                Some(Self {
                    height: decimal(height)?,
                    sequence: decimal(sequence)?,
                })
            })
            .ok_or_else(|| Refusal::malformed("a cursor is <height>-<sequence>"))
    }

    fn following(self) -> Self {
        Self {
            height: self.height,
            sequence: self.sequence.saturating_add(1),
        }
    }

    fn block_after(self) -> Self {
        Self {
            height: self.height.saturating_add(1),
            sequence: 0,
        }
    }

    fn id(self) -> String {
        format!("{}-{}", self.height, self.sequence)
    }
}

/// One open stream.
struct Reader {
    api: Api,
    /// Position of the next event that was not read from the store.
    next: Cursor,
    types: Types,
    /// Events read but not sent.
    ready: std::vec::IntoIter<Event>,
    greeted: bool,
    head: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
    _serving: Serving,
    _counted: SseClient,
}

impl Reader {
    /// The next event, as soon as there is one; `None` ends the stream.
    async fn event(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(Event::default().retry(RETRY));
        }
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            if let Some(event) = self.ready.next() {
                return Some(event);
            }
            let head = *self.head.borrow_and_update();
            if self.next.height <= head {
                let (from, types) = (self.next, self.types);
                let read = self.api.read(move |api| read_from(api, from, head, types)).await;
                // The failure is in the log; the reader comes back with its last id.
                let (events, next) = read.ok()?;
                self.ready = events.into_iter();
                self.next = next;
                continue;
            }
            tokio::select! {
                changed = self.head.changed() => changed.ok()?,
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            }
        }
    }
}

/// Up to about [`CHUNK`] events from `from` on in blocks up to `head`, and the position after them.
fn read_from(api: &Api, from: Cursor, head: u64, types: Types) -> Answer<(Vec<Event>, Cursor)> {
    let mut next = from;
    // Genesis is not a block of the log.
    if next.height == 0 {
        next = next.block_after();
    }
    let mut events = Vec::new();
    for _ in 0..SCAN {
        if next.height > head || events.len() >= CHUNK {
            break;
        }
        let Some(committed) = api.block_at(next.height)? else {
            return Err(Refusal::internal(format!("block {} is missing", next.height)));
        };
        next = events_of(api, &committed, next, types, &mut events)?;
    }
    Ok((events, next))
}

/// Adds the events of one block from `next` on, and gives the position after them.
fn events_of(
    api: &Api,
    committed: &CommittedBlock,
    mut next: Cursor,
    types: Types,
    events: &mut Vec<Event>,
) -> Answer<Cursor> {
    let header = &committed.block.header;
    let ids = api.ids_at(header.height)?;
    if next.sequence == 0 {
        if types.block {
            let body = BlockEvent {
                height: header.height,
                hash: committed.block.id().to_string(),
                time: time(header.time_ms),
                epoch: header.epoch,
                view: header.view,
                tx_count: ids.len() as u64,
            };
            events.push(event(next, "block", &body)?);
        }
        next = next.following();
    }
    if types.tx {
        let start = usize::try_from(next.sequence - 1).unwrap_or(usize::MAX);
        for id in ids.iter().skip(start) {
            if events.len() >= CHUNK {
                return Ok(next);
            }
            let tx = api
                .tx(id)?
                .ok_or_else(|| Refusal::internal(format!("transaction {id} is missing")))?;
            let body = TxEvent {
                tx_id: id.to_string(),
                height: tx.height,
                index: tx.index,
                epoch: tx.epoch,
                size_class: tx.size_class,
            };
            events.push(event(next, "tx", &body)?);
            next = next.following();
        }
    }
    let system = ordinary(&committed.block);
    let first = ids.len() as u64 + 1;
    if types.policy || types.validator {
        let skipped = usize::try_from(next.sequence.saturating_sub(first)).unwrap_or(usize::MAX);
        for (sequence, (id, tx)) in (first..).zip(&system).skip(skipped) {
            let at = Cursor {
                height: header.height,
                sequence,
            };
            if events.len() >= CHUNK {
                return Ok(at);
            }
            events.extend(system_event(api, at, types, header.epoch, id, tx)?);
            next = at.following();
        }
    }
    let last = Cursor {
        height: header.height,
        sequence: first + system.len() as u64,
    };
    if types.epoch && header.next_epoch.is_some() && next <= last {
        let record = api.known_record(header.epoch.saturating_add(1))?;
        let body = EpochEvent {
            number: record.epoch,
            key_id: record.key_id(),
            valid_from_height: record.start_height,
            policy_version: record.policy_version,
            reason: record.reason.name(),
            kept: record.kept,
            dropped: record.dropped.iter().map(|one| one.name.clone()).collect(),
        };
        events.push(event(last, "epoch", &body)?);
    }
    Ok(next.block_after())
}

/// The event of a transaction of the public lane, if its type is asked for.
fn system_event(
    api: &Api,
    at: Cursor,
    types: Types,
    epoch: u64,
    id: &Digest,
    tx: &SystemTx,
) -> Answer<Option<Event>> {
    let member = |index: u16| {
        let members = &api.node().genesis().governance;
        Some(
            members
                .member(index)
                .map_or_else(|| index.to_string(), |one| one.name.clone()),
        )
    };
    let policy = PolicyEvent {
        height: at.height,
        id: id.to_string(),
        kind: tx.kind(),
        member: None,
        proposal: None,
        version: None,
    };
    let policy = match tx {
        SystemTx::Collateral(_) => Some(policy),
        SystemTx::Propose(proposal) => Some(PolicyEvent {
            member: member(proposal.member),
            proposal: Some(proposal.id().to_string()),
            version: Some(proposal.policy.version),
            ..policy
        }),
        SystemTx::Approve(approval) => Some(PolicyEvent {
            member: member(approval.member),
            proposal: Some(approval.proposal.to_string()),
            ..policy
        }),
        _ => None,
    };
    if let Some(body) = policy {
        return if types.policy {
            event(at, "policy", &body).map(Some)
        } else {
            Ok(None)
        };
    }
    let (validator, target) = match tx {
        SystemTx::Register(registration) => (registration.name.clone(), None),
        SystemTx::Suspend(vote) => {
            let record = api.known_record(epoch)?;
            let seat = record.validators.get(usize::from(vote.validator));
            let name = seat.map_or_else(|| vote.validator.to_string(), |seat| seat.name.clone());
            (name, Some(vote.target.to_string()))
        }
        _ => return Ok(None),
    };
    if !types.validator {
        return Ok(None);
    }
    let body = ValidatorEvent {
        height: at.height,
        id: id.to_string(),
        kind: tx.kind(),
        validator,
        target,
    };
    event(at, "validator", &body).map(Some)
}

fn event<T: Serialize>(at: Cursor, name: &str, body: &T) -> Answer<Event> {
    Event::default()
        .id(at.id())
        .event(name)
        .json_data(body)
        .map_err(Refusal::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_strictly_and_never_overflow() {
        let read = |text| Cursor::read(text).ok();
        assert_eq!(
            read("1842-0"),
            Some(Cursor {
                height: 1842,
                sequence: 0
            })
        );
        for bad in [
            "",
            "5",
            "-",
            "5-",
            "-5",
            "5-x",
            "+5-0",
            "5-0-0",
            "99999999999999999999-0",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        let end = Cursor {
            height: u64::MAX,
            sequence: u64::MAX,
        };
        assert_eq!(
            end.following().block_after(),
            Cursor {
                height: u64::MAX,
                sequence: 0
            }
        );
    }

    #[test]
    fn types_are_named_exactly() {
        assert_eq!(
            Types::read(Some("block,epoch")).ok(),
            Some(Types {
                block: true,
                tx: false,
                policy: false,
                validator: false,
                epoch: true
            })
        );
        assert_eq!(
            Types::read(None).ok(),
            Some(Types {
                block: true,
                tx: true,
                policy: true,
                validator: true,
                epoch: true
            })
        );
        assert_eq!(Types::read(Some("")).ok(), None);
        assert_eq!(Types::read(Some("block,")).ok(), None);
        assert_eq!(Types::read(Some("blocks")).ok(), None);
    }
}
