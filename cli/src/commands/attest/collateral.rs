//! `tacit attest collateral`: vendors' signed documents, in files and on the chain.

use std::{collections::BTreeMap, path::Path, process::ExitCode};

use serde::Serialize;
use serde_json::{Value, json};
use tacit_attest::{
    Collateral, CollateralUpdate, Document as Statement, PckAuthority, Refusal, TrustRoots, describe_update,
};
use tacit_ledger::SystemTx;
use tacit_wallet::Api;

use super::{files, report, show::lines};
use crate::{
    args::CollateralVerb,
    commands::query::table,
    context::Context,
    failure::{Done, Failure},
    output::{printable, time},
};

/// What people see of documents that were brought.
const PUSHED: [(&str, &str); 4] = [
    ("document", "/document"),
    ("verdict", "/verdict"),
    ("height", "/height"),
    ("reason", "/reason"),
];

/// A document and what became of it.
#[derive(Serialize)]
pub(crate) struct Document {
    document: String,
    verdict: &'static str,
    refusal_code: Option<&'static str>,
    reason: Option<String>,
    issued: Option<String>,
    next_update: Option<String>,
    evaluation: Option<u32>,
    #[serde(skip)]
    pub(crate) refusal: Option<Refusal>,
}

pub(crate) fn run(context: &Context, verb: CollateralVerb) -> Done<ExitCode> {
    match verb {
        CollateralVerb::Show { file: Some(file) } => show(context, &file)?,
        CollateralVerb::Show { file: None } => held(context)?,
        CollateralVerb::Check { file, at, genesis } => {
            return check(context, &file, at, genesis.as_deref());
        }
        CollateralVerb::Push { file } => push(context, &file)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes documents in, one after the other, and says of each what became of it.
pub(crate) fn judged(
    collateral: &mut Collateral,
    updates: Vec<CollateralUpdate>,
    trust: &TrustRoots,
    at_ms: u64,
) -> Vec<Document> {
    updates
        .into_iter()
        .map(|update| {
            let named = kind(&update);
            match collateral.apply(update, trust, at_ms) {
                Ok(key) => {
                    let info = collateral.info(&key);
                    Document {
                        document: key.to_string(),
                        verdict: "ok",
                        refusal_code: None,
                        reason: None,
                        issued: info.map(|info| time(info.issued_ms)),
                        next_update: info.map(|info| time(info.next_update_ms)),
                        evaluation: info.and_then(|info| info.evaluation),
                        refusal: None,
                    }
                }
                Err(refusal) => Document {
                    document: named,
                    verdict: "FAILED",
                    refusal_code: Some(refusal.code()),
                    reason: Some(refusal.to_string()),
                    issued: None,
                    next_update: None,
                    evaluation: None,
                    refusal: Some(refusal),
                },
            }
        })
        .collect()
}

fn check(context: &Context, file: &Path, at_ms: u64, genesis: Option<&Path>) -> Done<ExitCode> {
    let trust = report::trust(context, genesis)?;
    let updates = files::documents(file)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let documents = judged(&mut Collateral::new(), updates, &trust, at_ms);
    let refused = documents.iter().find_map(|document| document.refusal.as_ref());
    let value = json!({
        "valid": refused.is_none(),
        "refusal": refused.map(Refusal::code),
        "at": time(at_ms),
        "documents": documents,
    });
    context.output.result(&value, || listed(&documents));
    let Some(refusal) = refused else {
        return Ok(ExitCode::SUCCESS);
    };
    let failure = Failure::new(refusal.code(), refusal);
    if !context.output.json() {
        failure.print(&context.output);
    }
    Ok(ExitCode::from(failure.exit()))
}

/// A document a line, and under it why it does not count.
fn listed(documents: &[Document]) -> String {
    let line = |document: &Document| {
        let until = document.next_update.as_deref().unwrap_or("-");
        let reason = document.reason.as_ref().map_or_else(String::new, |reason| {
            format!(
                "        {} [{}]\n",
                printable(reason),
                document.refusal_code.unwrap_or_default()
            )
        });
        format!("{:<7} {until}  {}\n{reason}", document.verdict, document.document)
    };
    documents.iter().map(line).collect()
}

/// Every field of each document, judging nothing.
fn show(context: &Context, file: &Path) -> Done {
    let updates = files::documents(file)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let described: Vec<_> = updates
        .iter()
        .map(|update| (kind(update), describe_update(update)))
        .collect();
    let documents: Vec<Value> = described
        .iter()
        .map(|(kind, fields)| {
            json!({
                "document": kind,
                "fields": fields.iter().cloned().collect::<BTreeMap<_, _>>(),
            })
        })
        .collect();
    context.output.result(&json!({ "documents": documents }), || {
        described
            .iter()
            .map(|(kind, fields)| format!("{kind}\n{}\n", lines(fields)))
            .collect()
    });
    Ok(())
}

/// What the chain holds, as the node shows it.
fn held(context: &Context) -> Done {
    let transport = context.http()?;
    let page = Api::new(&transport).page("/v1/collateral", 0)?;
    context.output.result(&page, || {
        let word = |item: &Value, key: &str| item[key].as_str().map(printable).unwrap_or_default();
        let items = page["items"].as_array().into_iter().flatten();
        let line = |item: &Value| {
            let state = if item["expired"] == true {
                "EXPIRED"
            } else {
                "until"
            };
            format!(
                "{:<7} {}  {}\n",
                state,
                word(item, "next_update"),
                word(item, "text")
            )
        };
        items.map(line).collect()
    });
    Ok(())
}

/// Brings documents onto the chain, each in a transaction of its own. One that is held already is no failure: somebody
/// else was faster.
fn push(context: &Context, file: &Path) -> Done {
    let updates = files::documents(file)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let transport = context.http()?;
    let api = Api::new(&transport);
    let mut items = Vec::new();
    for update in updates {
        let document = kind(&update);
        match api.settle(&SystemTx::Collateral(update), context.global.timeout) {
            Ok((id, included)) => items.push(json!({
                "document": document,
                "id": id.to_string(),
                "height": included.height,
                "verdict": "taken",
            })),
            Err(tacit_wallet::Error::Refused {
                code: "attest.collateral_not_newer",
                detail,
            }) => items.push(json!({ "document": document, "verdict": "held", "reason": detail })),
            Err(error) => {
                // What came before it stays on the chain: scripts see how far it came.
                return Err(Failure::from(error)
                    .detail("document", document)
                    .detail("done", items));
            }
        }
    }
    let value = json!({ "documents": items });
    context.output.result(&value, || table(&PUSHED, &items));
    Ok(())
}

/// What a document says it is, before anybody looked at it.
fn kind(update: &CollateralUpdate) -> String {
    let simulated = if update.simulated { "simulated " } else { "" };
    let what = match &update.document {
        Statement::TcbInfo(_) => "TCB info".to_owned(),
        Statement::QeIdentity(_) => "QE identity".to_owned(),
        Statement::IntelRootCrl(_) => "Intel root CRL".to_owned(),
        Statement::IntelPckCrl { authority, .. } => match authority {
            PckAuthority::Platform => "Intel platform CRL".to_owned(),
            PckAuthority::Processor => "Intel processor CRL".to_owned(),
        },
        Statement::AmdCrl { generation, .. } => format!("AMD {generation} CRL"),
    };
    format!("{simulated}{what}")
}
