//! The attestation policy: by which rules evidence is judged.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use tacit_ledger::policy_digest;

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::status::is_simulated;
use super::types::{PolicyBody, borsh64, decimal, parameter, tagged};

/// The policy in force.
#[utoipa::path(get, path = "/v1/policy", operation_id = "get_policy", responses((status = 200, body = PolicyBody)))]
pub(crate) async fn current(State(api): State<Api>) -> Answer<Response> {
    api.read(|api| tagged(&describe(api)?, false)).await
}

/// A policy by its number.
#[utoipa::path(
    get,
    path = "/v1/policy/{version}",
    operation_id = "get_policy_version",
    params(("version" = u64, Path, description = "Number of the policy")),
    responses((status = 200, body = PolicyBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn version(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Answer<Response> {
    let version =
        decimal(&parameter(path)?).ok_or_else(|| Refusal::malformed("a policy is named by its number"))?;
    api.read(move |api| {
        let policy = describe(api)?;
        if policy.version != version {
            return Err(Refusal::new(
                "policy.not_found",
                format!("version {} is in force", policy.version),
            ));
        }
        tagged(&policy, true)
    })
    .await
}

/// Genesis sets the policy; no transaction changes it yet.
fn describe(api: &Api) -> Answer<PolicyBody> {
    let genesis = api.node().genesis();
    let policy = &genesis.policy;
    Ok(PolicyBody {
        version: policy.version,
        tee: if is_simulated(genesis) {
            "simulated"
        } else {
            "real"
        },
        digest: policy_digest(policy).to_string(),
        policy: serde_json::to_value(policy).map_err(Refusal::internal)?,
        bytes: borsh64(policy)?,
    })
}
