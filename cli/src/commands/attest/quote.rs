//! `tacit attest quote`: evidence of the machine that this runs on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;
use tacit_attest::{Platform, pick};

use super::files;
use crate::{
    args::QuoteArgs,
    commands::query::render,
    context::Context,
    failure::{Done, Failure},
};

/// What a report can vouch for, in bytes.
const REPORT_DATA: usize = 64;

pub(crate) fn run(context: &Context, args: &QuoteArgs) -> Done {
    let report_data = report_data(args)?;
    let leaf = args.leaf.as_deref().map(files::leaf).transpose()?;
    let failed = |error: tacit_attest::QuoteError| Failure::new("quote.failed", error);
    let machine = pick(leaf).map_err(failed)?;
    let evidence = machine.quote(report_data).map_err(failed)?;
    let mut value = json!({
        "platform": evidence.platform.to_string(),
        "report_data": hex::encode(report_data),
        "file": args.out,
    });
    if evidence.platform == Platform::SevSnp {
        let beside = beside(&args.out);
        write(&args.out, &evidence.report)?;
        write(&beside, &evidence.leaf)?;
        value["leaf"] = json!(beside);
    } else {
        // A quote carries its certificates, as other verifiers want it.
        let quote = evidence
            .to_quote()
            .map_err(|refusal| Failure::new(refusal.code(), refusal))?;
        write(&args.out, &quote)?;
    }
    context.output.result(&value, || render(&value));
    Ok(())
}

fn report_data(args: &QuoteArgs) -> Done<[u8; REPORT_DATA]> {
    let (text, least) = match (&args.report_data, &args.bind) {
        (Some(text), _) => (text, REPORT_DATA),
        (None, Some(text)) => (text, 1),
        (None, None) => return Err(Failure::new("usage.missing", "vouch for what? give --bind HEX")),
    };
    let bytes = hex::decode(text.trim()).unwrap_or_default();
    let mut data = [0; REPORT_DATA];
    match data.get_mut(..bytes.len()) {
        Some(head) if bytes.len() >= least => head.copy_from_slice(&bytes),
        _ => {
            let need = if least == REPORT_DATA {
                REPORT_DATA.to_string()
            } else {
                format!("{least} to {REPORT_DATA}")
            };
            let message = format!("{text:?} is not {need} bytes in hex");
            return Err(Failure::usage(message));
        }
    }
    Ok(data)
}

/// `FILE.leaf.der`.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_os_string();
    name.push(".leaf.der");
    PathBuf::from(name)
}

fn write(path: &Path, bytes: &[u8]) -> Done {
    fs::write(path, bytes).map_err(|error| Failure::file(path, error))
}
