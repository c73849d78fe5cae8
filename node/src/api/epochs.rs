//! Epochs: keys, their windows and their holders.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use tacit_ledger::EpochRecord;

use super::chain::SUITE;
use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{
    DroppedBody, EpochBody, List, Page, base64, borsh64, decimal, fresh, parameter, parameters, tagged, time,
};

/// Epochs, newest first; the cursor is a number.
#[utoipa::path(
    get,
    path = "/v1/epochs",
    operation_id = "list_epochs",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, default 30"),
        ("after" = Option<String>, Query, description = "`next` of the page before")
    ),
    responses((status = 200, body = List<EpochBody>), (status = 400, body = ProblemBody))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    query: Result<Query<Page>, QueryRejection>,
) -> Answer<Response> {
    let page = parameters(query)?;
    let (limit, after) = (page.limit()?, page.after()?);
    api.read(move |api| {
        let current = api.node().current().epoch;
        let mut next = match after {
            None => Some(current),
            Some(after) => after.checked_sub(1).map(|number| number.min(current)),
        };
        let mut items = Vec::new();
        while let Some(number) = next.filter(|_| items.len() < limit) {
            let Some(record) = api.record(number)? else {
                next = None;
                break;
            };
            items.push(describe(api, &record)?);
            next = number.checked_sub(1);
        }
        let next = next
            .and(items.last())
            .map(|last: &EpochBody| last.number.to_string());
        Ok(fresh(List { items, next }))
    })
    .await
}

/// One epoch, by number or `current`.
#[utoipa::path(
    get,
    path = "/v1/epochs/{id}",
    operation_id = "get_epoch",
    params(("id" = String, Path, description = "Number or `current`")),
    responses((status = 200, body = EpochBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn one(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let name = parameter(path)?;
    api.read(move |api| {
        let current = api.node().current();
        let record = match decimal(&name) {
            _ if name == "current" => current.clone(),
            Some(number) if number <= current.epoch => {
                api.record(number)?.ok_or_else(|| missing(&current))?
            }
            Some(_) => return Err(missing(&current)),
            None => return Err(Refusal::malformed("an epoch is named by its number or `current`")),
        };
        // The end of the epoch in force is not known yet.
        tagged(
            &describe(api, &record)?,
            record.epoch < current.epoch && name != "current",
        )
    })
    .await
}

fn missing(current: &EpochRecord) -> Refusal {
    Refusal::new(
        "epoch.not_found",
        format!("the epoch in force is {}", current.epoch),
    )
}

fn describe(api: &Api, record: &EpochRecord) -> Answer<EpochBody> {
    let current = api.node().current().epoch;
    let following = match record.epoch.checked_add(1).filter(|next| *next <= current) {
        Some(next) => api.record(next)?,
        None => None,
    };
    let due = record
        .start_ms
        .saturating_add(api.node().genesis().params.epoch_ms_max);
    Ok(EpochBody {
        number: record.epoch,
        key_id: record.key_id(),
        suite: SUITE.to_owned(),
        public_key: record.sealing_key.as_ref().map(|key| base64(&key.0)),
        valid_from_height: record.start_height,
        started: time(record.start_ms),
        ends_at: time(following.map_or(due, |next| next.start_ms)),
        holders: record
            .validators
            .iter()
            .map(|holder| holder.consensus_key.to_string())
            .collect(),
        reason: record.reason.name(),
        policy_version: record.policy_version,
        judged_at: time(record.judged_ms),
        collateral: record.collateral.to_string(),
        kept: record.kept,
        dropped: record
            .dropped
            .iter()
            .map(|one| DroppedBody {
                name: one.name.clone(),
                code: one.code.clone(),
            })
            .collect(),
        record: borsh64(record)?,
    })
}
