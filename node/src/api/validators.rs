//! Validators of the epoch in force, and the evidence behind each.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use tacit_consensus::PublicKey;
use tacit_ledger::{Registration, ValidatorRecord};

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::types::{
    BoundBody, EvidenceBody, EvidenceBytes, EvidenceSummary, HASH_DIGITS, List, Page, ValidatorBody, base64,
    borsh64, fresh, parameter, parameters, time,
};

/// The validators of the epoch in force, in the order of `signers`; the cursor is an index.
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
        let record = api.node().current();
        let start = after.map_or(0, |after| {
            usize::try_from(after.saturating_add(1)).unwrap_or(usize::MAX)
        });
        let mut items = Vec::new();
        for (index, validator) in record.validators.iter().enumerate().skip(start).take(limit) {
            items.push(describe(api, index, validator)?);
        }
        let more = start.saturating_add(items.len()) < record.validators.len();
        let next = items.last().filter(|_| more).map(|last| last.index.to_string());
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
        let (index, validator) = find(api, &name)?;
        Ok(fresh(describe(api, index, &validator)?))
    })
    .await
}

/// A validator's evidence, whole, and what it must be bound to.
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
        let (_, validator) = find(api, &name)?;
        let registration = api.registration(&validator.registration).ok_or_else(|| {
            Refusal::internal(format!("registration {} is missing", validator.registration))
        })?;
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

/// The validator that a path names, with its index. Names are shorter than keys, so neither hides the other.
fn find(api: &Api, name: &str) -> Answer<(usize, ValidatorRecord)> {
    let record = api.node().current();
    let key = if name.len() == HASH_DIGITS {
        PublicKey::from_hex(name).ok()
    } else {
        None
    };
    record
        .validators
        .iter()
        .enumerate()
        .find(|(_, validator)| match &key {
            Some(key) => validator.consensus_key == *key,
            None => validator.name == name,
        })
        .map(|(index, validator)| (index, validator.clone()))
        .ok_or_else(|| Refusal::new("validator.not_found", "not in the epoch in force"))
}

fn describe(api: &Api, index: usize, validator: &ValidatorRecord) -> Answer<ValidatorBody> {
    let registration = api.registration(&validator.registration);
    Ok(ValidatorBody {
        id: validator.consensus_key.to_string(),
        name: validator.name.clone(),
        index: u32::try_from(index).unwrap_or(u32::MAX),
        node_id: validator.node_key.to_string(),
        status: "active",
        power: 1,
        platform: registration.map(|registration| registration.evidence.platform.to_string()),
        measurement: registration.and_then(measurement),
        kem_key: base64(&validator.kem_key.0),
        registration: validator.registration.to_string(),
        evidence: match registration {
            Some(registration) => Some(EvidenceSummary {
                digest: hex::encode(registration.evidence.digest()),
                recorded_at_height: registration.height,
                expires_at: expiry(api, registration)?,
                policy_version: registration.policy_version,
            }),
            None => None,
        },
    })
}

/// What the evidence says the program is.
fn measurement(registration: &Registration) -> Option<String> {
    let fields = tacit_attest::describe(&registration.evidence).ok()?;
    fields
        .into_iter()
        .find(|(name, _)| name == "report.measurement")
        .map(|(_, value)| value)
}

/// When evidence of this registration's age is too old: counted from the block that it is bound to.
fn expiry(api: &Api, registration: &Registration) -> Answer<Option<String>> {
    let genesis = api.node().genesis();
    let made_ms = match registration.height {
        0 => Some(genesis.time_ms),
        height => api
            .block_at(height)?
            .map(|committed| committed.block.header.time_ms),
    };
    Ok(made_ms.map(|ms| time(ms.saturating_add(genesis.policy.evidence_age_max_ms))))
}
