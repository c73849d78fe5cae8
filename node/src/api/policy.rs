//! The attestation policy: by which rules evidence is judged, what is adopted and not yet in force, and what members
//! propose.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use tacit_attest::Policy;
use tacit_ledger::{AdoptedPolicy, Governance, OpenProposal, PublicState, policy_digest};
use utoipa::ToSchema;

use super::problem::{Answer, ProblemBody, Refusal};
use super::server::Api;
use super::status::is_simulated;
use super::types::{List, borsh64, decimal, fresh, parameter, tagged, time};

/// The rules by which evidence is judged.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyBody {
    /// Number of the policy.
    version: u64,
    /// `in-force`; `pending`: adopted, and its time or its epoch has not come; `past`.
    #[schema(example = "in-force")]
    status: &'static str,
    /// `real` or `simulated`.
    tee: &'static str,
    /// Its digest, as in epoch records.
    digest: String,
    /// From which block time on the epoch ends for it.
    active_from: String,
    /// How it was adopted; null for the policy of genesis.
    adoption: Option<AdoptionBody>,
    /// Suspensions that end with it, in words.
    reinstate: Vec<String>,
    /// Whether members accepted that it may leave fewer than a quorum of the seats.
    allow_below_quorum: bool,
    /// The version of the protocol that comes into force with it.
    #[schema(example = 1)]
    protocol: u16,
    /// The rules.
    policy: serde_json::Value,
    /// Borsh of the rules, base64.
    bytes: String,
}

/// How a policy was adopted.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdoptionBody {
    /// The proposal's id.
    proposal: String,
    /// Names of the members who approved.
    approvals: Vec<String>,
    /// The block with the last approval.
    height: u64,
    /// That block's time.
    time: String,
}

/// The policy in force, and what is to come.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyNowBody {
    /// The policy in force.
    #[serde(flatten)]
    in_force: PolicyBody,
    /// Adopted policies to come, the next one first.
    pending: Vec<PolicyBody>,
    /// The version that the next proposal must have.
    next_version: u64,
    /// Who may change it.
    governance: GovernanceBody,
}

/// Who changes the policy.
#[derive(Serialize, ToSchema)]
pub(crate) struct GovernanceBody {
    /// The members, numbered from 0 in this order.
    members: Vec<MemberBody>,
    /// How many of them adopt a policy; 0 where nobody can.
    threshold: u16,
}

/// One who may propose and approve.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberBody {
    /// Name.
    name: String,
    /// The account's key, hex.
    account: String,
}

/// A policy that a member proposes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProposalBody {
    /// What approvals name.
    id: String,
    /// The version that it would be.
    version: u64,
    /// The proposer's number.
    member: u16,
    /// The proposer's name.
    member_name: String,
    /// Against the newest adopted policy: `tightens` takes effect at once when it is adopted, `loosens` waits, `same`
    /// changes nothing.
    #[schema(example = "tightens")]
    change: String,
    /// What it changes, field by field.
    differences: Vec<DifferenceBody>,
    /// Names of the members who approved, the proposer among them.
    approvals: Vec<String>,
    /// Approvals that adopt it.
    threshold: u16,
    /// The block that took it in.
    height: u64,
    /// That block's time.
    time: String,
    /// Suspensions that it would end, in words.
    reinstate: Vec<String>,
    /// Whether it may leave fewer than a quorum of the seats.
    allow_below_quorum: bool,
    /// The version of the protocol that would come into force with it.
    #[schema(example = 1)]
    protocol: u16,
    /// Digest of the rules.
    digest: String,
    /// The rules.
    policy: serde_json::Value,
    /// Borsh of the rules, base64.
    bytes: String,
    /// Borsh of the signed proposal, base64: `id` is its hash, so that a member can see what an approval approves.
    proposal: String,
}

/// One field that a proposal changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct DifferenceBody {
    /// Where it stands in the rules.
    field: String,
    /// What the newest adopted policy has there.
    old: String,
    /// What is proposed.
    new: String,
    /// What this field alone does: `tightens`, `loosens` or `same`.
    change: String,
}

/// The policy in force, with those adopted and yet to come.
#[utoipa::path(get, path = "/v1/policy", operation_id = "get_policy", responses((status = 200, body = PolicyNowBody)))]
pub(crate) async fn current(State(api): State<Api>) -> Answer<Response> {
    api.read(|api| {
        let state = api.node().public();
        let governance = state.governance();
        let body = PolicyNowBody {
            in_force: describe(api, &state, state.policy_in_force())?,
            pending: state
                .policies_pending()
                .map(|policy| describe(api, &state, policy))
                .collect::<Answer<_>>()?,
            next_version: state.next_policy_version(),
            governance: GovernanceBody {
                members: governance
                    .members
                    .iter()
                    .map(|member| MemberBody {
                        name: member.name.clone(),
                        account: member.account.to_string(),
                    })
                    .collect(),
                threshold: governance.threshold,
            },
        };
        tagged(&body, false)
    })
    .await
}

/// An adopted policy by its number, as long as it is kept.
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
        let state = api.node().public();
        let in_force = state.policy_in_force();
        let policy = state
            .policies()
            .chain([in_force])
            .find(|policy| policy.policy.version == version)
            .ok_or_else(|| {
                let (held, newest) = (
                    in_force.policy.version,
                    state.next_policy_version().saturating_sub(1),
                );
                Refusal::new(
                    "policy.not_found",
                    format!(
                        "version {held} is in force, {newest} is the newest adopted; older ones are not kept"
                    ),
                )
            })?;
        tagged(&describe(api, &state, policy)?, false)
    })
    .await
}

/// Policies that members propose and that are not adopted yet.
#[utoipa::path(
    get,
    path = "/v1/policy/proposals",
    operation_id = "list_proposals",
    responses((status = 200, body = List<ProposalBody>))
)]
pub(crate) async fn proposals(State(api): State<Api>) -> Answer<Response> {
    api.read(|api| {
        let state = api.node().public();
        let items = state
            .proposals()
            .map(|open| proposal(&state, open))
            .collect::<Answer<Vec<_>>>()?;
        Ok(fresh(List { items, next: None }))
    })
    .await
}

fn describe(api: &Api, state: &PublicState, adopted: &AdoptedPolicy) -> Answer<PolicyBody> {
    let policy = &adopted.policy;
    let status = match policy.version.cmp(&state.policy().version) {
        std::cmp::Ordering::Less => "past",
        std::cmp::Ordering::Equal => "in-force",
        std::cmp::Ordering::Greater => "pending",
    };
    Ok(PolicyBody {
        version: policy.version,
        status,
        tee: if is_simulated(api.node().genesis()) {
            "simulated"
        } else {
            "real"
        },
        digest: adopted.digest.to_string(),
        active_from: time(adopted.active_from_ms),
        adoption: adopted.adoption.as_ref().map(|adoption| AdoptionBody {
            proposal: adoption.proposal.to_string(),
            approvals: names(state.governance(), adoption.approvals.iter()),
            height: adoption.height,
            time: time(adoption.time_ms),
        }),
        reinstate: adopted.reinstate.iter().map(ToString::to_string).collect(),
        allow_below_quorum: adopted.allow_below_quorum,
        protocol: adopted.protocol,
        policy: serde_json::to_value(policy).map_err(Refusal::internal)?,
        bytes: borsh64(policy)?,
    })
}

fn proposal(state: &PublicState, open: &OpenProposal) -> Answer<ProposalBody> {
    let (proposal, governance) = (&open.proposal, state.governance());
    let policy = &proposal.policy;
    let newest = state
        .policies_pending()
        .next_back()
        .unwrap_or(state.policy_in_force());
    Ok(ProposalBody {
        id: open.id.to_string(),
        version: policy.version,
        member: proposal.member,
        member_name: names(governance, [&proposal.member].into_iter()).join(""),
        change: Policy::compare(&newest.policy, policy).to_string(),
        differences: Policy::diff(&newest.policy, policy)
            .into_iter()
            .map(|one| DifferenceBody {
                field: one.field,
                old: one.old,
                new: one.new,
                change: one.change.to_string(),
            })
            .collect(),
        approvals: names(governance, open.approvals.iter()),
        threshold: governance.threshold,
        height: open.height,
        time: time(open.time_ms),
        reinstate: proposal.reinstate.iter().map(ToString::to_string).collect(),
        allow_below_quorum: proposal.allow_below_quorum,
        protocol: proposal.protocol,
        digest: policy_digest(policy).to_string(),
        policy: serde_json::to_value(policy).map_err(Refusal::internal)?,
        bytes: borsh64(policy)?,
        proposal: borsh64(proposal)?,
    })
}

fn names<'a>(governance: &Governance, members: impl Iterator<Item = &'a u16>) -> Vec<String> {
    members
        .map(|index| {
            governance
                .member(*index)
                .map_or_else(|| index.to_string(), |member| member.name.clone())
        })
        .collect()
}
