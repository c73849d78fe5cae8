//! Registered validators, the evidence behind each, and until when it counts.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use tacit_consensus::PublicKey;
use tacit_ledger::{PublicState, Registration, ValidatorRecord};

use super::membership;
use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{
    BoundBody, EvidenceBody, EvidenceBytes, EvidenceSummary, HASH_DIGITS, List, OutlookBody, Page,
    ValidatorBody, base64, borsh64, fresh, parameter, parameters, time,
};
use crate::forecast::{ForecastSet, SetForecast};

/// The validators of the epoch in force, in the order of `signers`, then those that are registered and have no seat;
/// the cursor is an index.
#[utoipa::path(
    get,
    path = "/v1/validators",
    operation_id = "list_validators",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, default 200"),
        ("after" = Option<String>, Query, description = "`next` of the page before")
    ),
    responses((status = 200, body = List<ValidatorBody>), (status = 400, body = ProblemBody))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    query: Result<Query<Page>, QueryRejection>,
) -> Answer<Response> {
    let page = parameters(query)?;
    let (limit, after) = (page.limit_or(super::types::MAX_LIMIT)?, page.after()?);
    api.read(move |api| {
        let state = api.node().public();
        let all = listed(api, &state);
        let start = after.map_or(0, |after| {
            usize::try_from(after.saturating_add(1)).unwrap_or(usize::MAX)
        });
        let page = all.iter().skip(start).take(limit);
        let items = page
            .map(|one| describe(api, &state, one))
            .collect::<Answer<Vec<_>>>()?;
        let end = start.saturating_add(items.len());
        let next = (end < all.len() && !items.is_empty()).then(|| end.saturating_sub(1).to_string());
        Ok(fresh(List { items, next }))
    })
    .await
}

/// One validator, by consensus key or name.
#[utoipa::path(
    get,
    path = "/v1/validators/{id}",
    operation_id = "get_validator",
    params(("id" = String, Path, description = "Consensus key or name")),
    responses((status = 200, body = ValidatorBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn one(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let name = parameter(path)?;
    api.read(move |api| {
        let one = find(api, &name)?;
        Ok(fresh(describe(api, &api.node().public(), &one)?))
    })
    .await
}

/// A validator's newest evidence, whole, and what it must be bound to.
#[utoipa::path(
    get,
    path = "/v1/validators/{id}/evidence",
    operation_id = "get_evidence",
    params(("id" = String, Path, description = "Consensus key or name")),
    responses((status = 200, body = EvidenceBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn evidence(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let name = parameter(path)?;
    api.read(move |api| {
        let name = find(api, &name)?.name;
        let state = api.node().public();
        let registration = state
            .registration(&name)
            .ok_or_else(|| Refusal::internal(format!("the registration of {name} is missing")))?;
        let (evidence, binding) = (&registration.evidence, registration.binding());
        Ok(fresh(EvidenceBody {
            registration: borsh64(registration)?,
            evidence: EvidenceBytes {
                platform: evidence.platform.to_string(),
                report: base64(&evidence.report),
                leaf: base64(&evidence.leaf),
            },
            bound: BoundBody {
                network: hex::encode(binding.network),
                consensus_key: hex::encode(binding.consensus_key),
                node_key: hex::encode(binding.node_key),
                kem_key: base64(&binding.kem_key),
                height: binding.height,
                block: hex::encode(binding.block),
                policy_version: binding.policy_version,
            },
            report_data: hex::encode(binding.report_data()),
        }))
    })
    .await
}

/// A validator as interfaces list it: those of the epoch in force in the order of `signers`, then by name those that
/// are registered and have no seat.
struct Listed {
    name: String,
    seat: Option<(usize, ValidatorRecord)>,
}

fn listed(api: &Api, state: &PublicState) -> Vec<Listed> {
    let record = api.node().current();
    let seats = record.validators.iter().cloned().enumerate();
    let mut all: Vec<Listed> = seats
        .map(|(index, seat)| Listed {
            name: seat.name.clone(),
            seat: Some((index, seat)),
        })
        .collect();
    let without = state.registrations().map(|one| &one.name);
    let without = without.filter(|name| record.validators.iter().all(|seat| seat.name != **name));
    all.extend(without.map(|name| Listed {
        name: name.clone(),
        seat: None,
    }));
    all
}

/// The validator that a path names. Names are shorter than keys, so neither hides the other.
fn find(api: &Api, name: &str) -> Answer<Listed> {
    let state = api.node().public();
    let key = if name.len() == HASH_DIGITS {
        PublicKey::from_hex(name).ok()
    } else {
        None
    };
    let is_meant = |one: &Listed| match (&key, &one.seat) {
        (Some(key), Some((_, seat))) => seat.consensus_key == *key,
        (Some(key), None) => state
            .registration(&one.name)
            .is_some_and(|registration| registration.consensus_key == *key),
        (None, _) => one.name == name,
    };
    listed(api, &state).into_iter().find(is_meant).ok_or_else(|| {
        Refusal::new(
            "validator.not_found",
            "no validator of that name or key is registered",
        )
    })
}

fn describe(api: &Api, state: &PublicState, one: &Listed) -> Answer<ValidatorBody> {
    let registered = state.registered(&one.name);
    let seat = match (&one.seat, registered) {
        (Some((_, seat)), _) => seat,
        (None, Some(registered)) => &registered.seat,
        (None, None) => return Err(Refusal::internal(format!("{} is not registered", one.name))),
    };
    let record = api.node().current();
    let dropped = record.dropped.iter().find(|dropped| dropped.name == one.name);
    let forecast = api.node().forecast();
    let outlook: Vec<OutlookBody> = forecast
        .of(&one.name)
        .map_or_else(Vec::new, |own| own.sets.iter().map(outlook).collect());
    let (next, out) = match forecast.of(&one.name) {
        Some(own) => {
            let (next, out) = membership::prospects(&forecast, own);
            (Some(next), out)
        }
        None => (None, None),
    };
    let today = forecast.of(&one.name).and_then(|own| own.today().cloned());
    Ok(ValidatorBody {
        id: seat.consensus_key.to_string(),
        name: seat.name.clone(),
        index: one
            .seat
            .as_ref()
            .map(|(index, _)| u32::try_from(*index).unwrap_or(u32::MAX)),
        node_id: seat.node_key.to_string(),
        status: match (
            one.seat.is_some(),
            crate::renewal::is_leaving(state, &one.name),
            dropped,
        ) {
            (true, false, _) => "active",
            (true, true, _) => "leaving",
            (false, true, _) => "left",
            // There was no room, which says nothing about it; or it came after the decision.
            (false, false, Some(dropped)) if dropped.code != "epoch.newcomers" => "dropped",
            (false, false, _) => "registered",
        },
        power: u32::from(one.seat.is_some()),
        dropped_for: dropped.map(|dropped| dropped.code.clone()),
        platform: registered.map(|one| one.registration.evidence.platform.to_string()),
        measurement: registered.and_then(|one| measurement(&one.registration)),
        kem_key: base64(&seat.kem_key.0),
        registration: seat.registration.to_string(),
        evidence: registered.map(|registered| EvidenceSummary {
            digest: hex::encode(registered.registration.evidence.digest()),
            recorded_at_height: registered.height,
            recorded_at: time(registered.seat.registered_ms),
            expires_at: today.and_then(|today| today.until_ms).map(time),
            policy_version: registered.registration.policy_version,
            chip: registered.chip.map(|(vendor, chip)| format!("{vendor} {chip}")),
        }),
        operator_key: registered.map(|one| one.registration.operator_key.to_string()),
        protocol: registered.map(|one| one.registration.protocol),
        next,
        out,
        outlook,
    })
}

fn outlook(forecast: &SetForecast) -> OutlookBody {
    let (proposal, evaluation) = match forecast.set {
        ForecastSet::Proposed { proposal, .. } => (Some(proposal.to_string()), None),
        ForecastSet::Next { evaluation } => (None, Some(evaluation)),
        ForecastSet::Today | ForecastSet::Pending { .. } => (None, None),
    };
    OutlookBody {
        set: forecast.set.name(),
        policy_version: forecast.set.version(),
        active_from: match forecast.set {
            ForecastSet::Pending { active_from_ms, .. } => Some(time(active_from_ms)),
            _ => None,
        },
        proposal,
        evaluation,
        accepted: forecast.accepted,
        until: forecast.until_ms.map(time),
        code: forecast.code,
        cause: forecast.cause.clone(),
        update: forecast.update.clone(),
        short: forecast.short.clone(),
    }
}

/// What the evidence says the program is.
fn measurement(registration: &Registration) -> Option<String> {
    let fields = tacit_attest::describe(&registration.evidence).ok()?;
    fields
        .into_iter()
        .find(|(name, _)| name == "report.measurement" || name == "quote.measurement")
        .map(|(_, value)| value)
}
