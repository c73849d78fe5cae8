//! `tacit attest show --report`: every field, judging nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::json;
use tacit_attest::{Evidence, describe};

use super::files;
use crate::{
    context::Context,
    failure::{Done, Failure},
    output::printable,
};

/// Evidence from files.
pub(crate) fn report(context: &Context, report: &Path, leaves: &[PathBuf]) -> Done {
    let evidence =
        files::evidence(context, report, leaves)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    fields(context, None, &evidence)
}

/// All fields of a piece of evidence, in the order of its bytes.
pub(crate) fn fields(context: &Context, name: Option<&str>, evidence: &Evidence) -> Done {
    let fields = describe(evidence).map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let value = json!({
        "name": name,
        "platform": evidence.platform.to_string(),
        "fields": fields.iter().cloned().collect::<BTreeMap<_, _>>(),
    });
    context.output.result(&value, || lines(&fields));
    Ok(())
}

/// Names and values, one a line, lined up.
pub(crate) fn lines(fields: &[(String, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    fields
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}\n", printable(value)))
        .collect()
}
