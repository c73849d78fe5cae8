//! Machines that validators dropped in an emergency, and open votes to drop more.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Answer, Refusal};
use super::server::Api;
use super::types::{fresh, time};

/// Suspensions in force and votes for more.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuspensionsBody {
    /// In force until a policy reinstates them.
    items: Vec<SuspensionBody>,
    /// Votes of this epoch that are not enough yet; they do not outlive the epoch.
    votes: Vec<VotesBody>,
    /// Votes that suspend.
    quorum: u64,
}

/// Machines that get no seat.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuspensionBody {
    /// Which, as transactions name them.
    target: serde_json::Value,
    /// The same in words.
    text: String,
    /// The epoch whose validators decided it.
    epoch: u64,
    /// The block with the last vote.
    height: u64,
    /// That block's time.
    time: String,
}

/// Votes to suspend machines.
#[derive(Serialize, ToSchema)]
pub(crate) struct VotesBody {
    /// Which, as transactions name them.
    target: serde_json::Value,
    /// The same in words.
    text: String,
    /// Names of the validators who voted.
    voters: Vec<String>,
}

/// Suspensions in force, and open votes.
#[utoipa::path(
    get,
    path = "/v1/suspensions",
    operation_id = "list_suspensions",
    responses((status = 200, body = SuspensionsBody))
)]
pub(crate) async fn list(State(api): State<Api>) -> Answer<Response> {
    api.read(|api| {
        let state = api.node().public();
        let items = state.suspensions().map(|(target, since)| {
            Ok(SuspensionBody {
                target: serde_json::to_value(target).map_err(Refusal::internal)?,
                text: target.to_string(),
                epoch: since.epoch,
                height: since.height,
                time: time(since.time_ms),
            })
        });
        let seats = &state.current().validators;
        let votes = state.suspend_votes().map(|(target, voters)| {
            let name = |seat: &u16| match seats.get(usize::from(*seat)) {
                Some(seat) => seat.name.clone(),
                None => seat.to_string(),
            };
            Ok(VotesBody {
                target: serde_json::to_value(target).map_err(Refusal::internal)?,
                text: target.to_string(),
                voters: voters.iter().map(name).collect(),
            })
        });
        Ok(fresh(SuspensionsBody {
            items: items.collect::<Answer<_>>()?,
            votes: votes.collect::<Answer<_>>()?,
            quorum: state.committee().quorum() as u64,
        }))
    })
    .await
}
