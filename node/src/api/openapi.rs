//! The description of the interface, at `/openapi.json` and in `docs/openapi.json`.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::problem::{Answer, Refusal};
use super::{
    blocks, collateral, epochs, events, light, membership, peers, policy, problem, query, status,
    suspensions, system, txs, validators,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tacit node",
        description = "Public data of the ledger, sealed writes, sealed reads. Hashes are lower-case hex, blobs \
                       standard base64, amounts decimal strings, times RFC 3339 in UTC with milliseconds. Unknown \
                       fields of answers must be ignored.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        status::livez,
        status::readyz,
        status::metrics,
        openapi,
        status::error_code,
        status::status,
        status::genesis,
        blocks::list,
        blocks::one,
        blocks::commit,
        blocks::txs,
        txs::submit,
        txs::one,
        txs::receipt,
        query::query,
        membership::node,
        membership::forecast,
        peers::list,
        validators::list,
        validators::one,
        validators::evidence,
        epochs::list,
        epochs::one,
        policy::current,
        policy::version,
        policy::proposals,
        collateral::list,
        suspensions::list,
        system::submit,
        system::one,
        light::bundle,
        events::events,
    ),
    components(schemas(
        problem::ProblemBody,
        events::BlockEvent,
        events::TxEvent,
        events::EpochEvent,
        events::PolicyEvent,
        events::ValidatorEvent
    ))
)]
struct Description;

/// The description of the interface as pretty JSON, ending with a newline.
///
/// # Errors
/// None in practice: the description is fixed when the program is built.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Description::openapi())?;
    text.push('\n');
    Ok(text)
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn openapi() -> Answer<Response> {
    let text = document().map_err(Refusal::internal)?;
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        text,
    )
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::server::ROUTES;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description = Description::openapi();
        let mut described: Vec<&str> = description.paths.paths.keys().map(String::as_str).collect();
        let mut routes = ROUTES.to_vec();
        described.sort_unstable();
        routes.sort_unstable();
        assert_eq!(described, routes);
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let text = document().expect("the description is JSON");
        let mut names: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("\"operationId\""))
            .collect();
        names.sort_unstable();
        assert_eq!(names.len(), ROUTES.len());
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn the_committed_description_is_this_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let text = document().expect("the description is JSON");
        if std::env::var_os("TACIT_BLESS").is_some() {
            std::fs::write(&path, &text).expect("docs/openapi.json is writable");
        }
        let committed = std::fs::read_to_string(&path).expect("docs/openapi.json exists");
        assert!(
            committed == text,
            "docs/openapi.json is out of date: run with TACIT_BLESS=1"
        );
    }
}
