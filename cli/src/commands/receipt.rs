//! `tacit verify FILE`: a receipt, offline.

use serde_json::json;
use tacit_wallet::{MAX_RECEIPT_FILE_BYTES, OutcomeText, ReceiptFile};

use crate::{
    args::VerifyReceipt,
    commands::genesis,
    context::{Context, read_text},
    failure::{Done, Failure},
};

pub(crate) fn verify(context: &Context, args: &VerifyReceipt) -> Done {
    // The file proves nothing by itself: everything hangs on whose genesis this is.
    let genesis = genesis::read(context, &args.genesis)?;
    let text = read_text(&args.file, MAX_RECEIPT_FILE_BYTES)?;
    // No node is at fault here.
    let refused = |error: tacit_wallet::Error| {
        Failure::from(error).hint("the file was changed, or belongs to another network: do not rely on it")
    };
    let file = ReceiptFile::from_json(&text).map_err(refused)?;
    let proven = file.verify(&genesis).map_err(refused)?;
    if genesis.trust.class == tacit_attest::NetworkClass::Dev {
        context.output.simulated();
    }
    let (signers, of) = proven.signers;
    let outcome = proven.receipt.as_ref().map(OutcomeText::from);
    let value = json!({
        "verified": true,
        "genesis_hash": genesis.chain_id().to_string(),
        "tx_id": proven.tx_id.to_string(),
        "height": proven.height,
        "index": proven.index,
        "certified_at": proven.certified_at,
        "signers": signers,
        "validators": of,
        "outcome": outcome,
    });
    context.output.result(&value, || {
        let text = match &outcome {
            None => "sealed (the file does not disclose its key)".to_owned(),
            Some(OutcomeText { result, reason: None, fee, .. }) => format!("{result}, fee {fee}"),
            Some(OutcomeText { result, reason: Some(reason), fee, .. }) => format!("{result}: {reason}, fee {fee}"),
        };
        format!(
            "ok\ngenesis    {}\ntx         {}\nincluded   height {}, index {}\ncertified  header {}, {signers} of {of} validators\noutcome    {text}",
            genesis.chain_id(),
            proven.tx_id,
            proven.height,
            proven.index,
            proven.certified_at,
        )
    });
    Ok(())
}
