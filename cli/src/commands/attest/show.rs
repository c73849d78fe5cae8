//! `tacit attest show --report`: every field, judging nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::json;
use tacit_attest::{Evidence, Platform, REPORT_LEN, describe, describe_quote};

use super::files;
use crate::{
    context::Context,
    failure::{Done, Failure},
    output::printable,
};

/// Evidence from files; of a quote that is none in its only form, what can be read of it.
pub(crate) fn report(context: &Context, report: &Path, leaves: &[PathBuf]) -> Done {
    let refusal = match files::evidence(context, report, leaves)? {
        Ok(evidence) => return fields(context, None, &evidence),
        Err(refusal) => refusal,
    };
    let raw = files::report(report)?;
    if raw.len() == REPORT_LEN {
        return Err(Failure::new(refusal.code(), refusal));
    }
    context
        .output
        .note("note", format!("{refusal} [{}]", refusal.code()));
    let fields = describe_quote(&raw);
    print(context, None, None, &fields);
    Ok(())
}

/// All fields of a piece of evidence, in the order of its bytes.
pub(crate) fn fields(context: &Context, name: Option<&str>, evidence: &Evidence) -> Done {
    let fields = describe(evidence).map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    print(context, name, Some(evidence.platform), &fields);
    Ok(())
}

fn print(context: &Context, name: Option<&str>, platform: Option<Platform>, fields: &[(String, String)]) {
    let value = json!({
        "name": name,
        "platform": platform.map(|platform| platform.to_string()),
        "fields": fields.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    context.output.result(&value, || lines(fields));
}

/// Names and values, one a line, lined up.
pub(crate) fn lines(fields: &[(String, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}\n", printable(value)))
        .collect()
}
