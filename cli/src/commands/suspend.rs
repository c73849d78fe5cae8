//! `tacit node suspend`: a validator's vote to drop a group of machines at once, signed with the key of its node.

use serde_json::{Value, json};
use tacit_attest::{Platform, Suspension, Vendor};
use tacit_consensus::{Ed25519Signer, PublicKey, Signer};
use tacit_ledger::{SuspendVote, SystemTx};
use tacit_node::{config::Config, home::Home, init, keyring};
use tacit_wallet::{Api, HttpTransport};

use crate::{
    args::SuspendArgs,
    commands::query::render,
    context::Context,
    failure::{Done, Failure},
};

pub(crate) fn run(context: &Context, args: &SuspendArgs) -> Done {
    let target = target(args)?;
    let home = Home::at(context.node_home()?);
    if !home.keyring().exists() {
        let message = format!("{} is no validator's home", home.root().display());
        return Err(
            Failure::new("home.missing", message).hint("give the --home of a validator of this network")
        );
    }
    let chain = home.load_genesis()?.chain_id();
    // The running node keeps its home's lock; its keyring can be read beside it.
    let (quoter, _) = init::platform(&home)?;
    let keyring = keyring::open(&home.keyring(), quoter)?;
    let node = Ed25519Signer::from_seed(keyring.identity().node);
    drop(keyring);

    // Its own node, unless another one is named.
    let rpc = match &context.global.rpc {
        Some(rpc) => rpc.clone(),
        None => format!("http://{}", Config::load(&home.config())?.api.listen),
    };
    let transport = HttpTransport::new(&rpc, context.global.timeout)?;
    let api = Api::new(&transport);
    let status = api.status()?;
    if status.genesis_hash != chain.to_string() {
        return Err(tacit_wallet::Error::GenesisHash {
            have: crate::context::hash(&status.genesis_hash)?,
            pinned: chain,
        }
        .into());
    }
    let own = node.public().to_string();
    let (epoch, seat) = seat(&api, &own)?;
    let vote = SuspendVote::sign(chain, epoch, target, seat, &node);
    let (id, included) = api.settle(&SystemTx::Suspend(vote), context.global.timeout)?;

    let now = api.page("/v1/suspensions", 0)?;
    let found = |list: &str| -> Option<Value> {
        let items = now[list].as_array()?;
        items
            .iter()
            .find(|item| item["text"] == target.to_string())
            .cloned()
    };
    let suspended = found("items").is_some();
    let value = json!({
        "id": id.to_string(),
        "target": target.to_string(),
        "epoch": epoch,
        "seat": seat,
        "height": included.height,
        "suspended": suspended,
        "voters": found("votes").map(|votes| votes["voters"].clone()),
        "quorum": now["quorum"],
    });
    context.output.result(&value, || render(&value));
    Ok(())
}

/// The epoch in force and this node's seat in it.
fn seat(api: &Api<'_>, own: &str) -> Done<(u64, u16)> {
    let epoch = api.page("/v1/epochs/current", 0)?;
    let seats = api.page("/v1/validators", 0)?;
    let number = epoch["number"]
        .as_u64()
        .ok_or_else(|| Failure::new("rpc.bad_answer", "/v1/epochs/current has no number"))?;
    let seat = seats["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["node_id"] == own)
        .and_then(|item| item["index"].as_u64())
        .and_then(|index| u16::try_from(index).ok());
    seat.map(|seat| (number, seat)).ok_or_else(|| {
        Failure::new(
            "validator.not_found",
            format!("this node has no seat in epoch {number}"),
        )
        .hint("only validators of the epoch in force may vote")
    })
}

/// Whom the options name; the parser sees to it that they name one group.
fn target(args: &SuspendArgs) -> Done<Suspension> {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    if let Some(key) = &args.validator {
        return named(&format!("validator={key}"));
    }
    named(&match (&args.chip, &args.family, &args.measurement) {
        (Some(chip), _, _) => format!("chip={}:{chip}", word(&args.vendor)),
        (None, Some(family), _) => format!("family={family}"),
        (None, None, Some(value)) => format!("measurement={}:{value}", word(&args.platform)),
        (None, None, None) => format!("platform={}", word(&args.platform)),
    })
}

/// A group of machines in one word: `platform=P`, `family=NAME`, `chip=VENDOR:HEX`, `measurement=P:HEX`; or one
/// validator by its consensus key: `validator=HEX`.
pub(crate) fn named(text: &str) -> Done<Suspension> {
    let wrong = |what: &str, text: &str| Failure::usage(format!("{text:?} is no {what}"));
    let platform = |text: &str| -> Done<Platform> {
        Platform::ALL
            .into_iter()
            .find(|platform| platform.to_string() == text)
            .ok_or_else(|| wrong("platform", text))
    };
    let (kind, value) = text.split_once('=').unwrap_or((text, ""));
    let (space, of) = value.split_once(':').unwrap_or(("", value));
    match kind {
        "platform" => platform(value).map(Suspension::Platform),
        "family" => {
            let family = |value: Value| serde_json::from_value(value).map(Suspension::Family).ok();
            family(json!({ "epyc": value }))
                .or_else(|| family(json!({ "intel": value })))
                .ok_or_else(|| {
                    wrong(
                        "family: milan, genoa, turin, or the 12 hex digits of an FMSPC",
                        value,
                    )
                })
        }
        "chip" => {
            let vendor = match space {
                "amd" => Vendor::Amd,
                "intel" => Vendor::Intel,
                other => return Err(wrong("vendor: amd or intel", other)),
            };
            let chip = of.parse().map_err(|_| wrong("chip: 128 hex digits", of))?;
            Ok(Suspension::Chip { vendor, chip })
        }
        "measurement" => Ok(Suspension::Measurement {
            platform: platform(space)?,
            value: of.parse().map_err(|_| wrong("measurement: 96 hex digits", of))?,
        }),
        "validator" => {
            let key = PublicKey::from_hex(of).map_err(|_| wrong("consensus key: 64 hex digits", of))?;
            Ok(Suspension::Validator { key: key.0 })
        }
        _ => Err(wrong(
            "target: platform=, family=, chip=, measurement= or validator=",
            text,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(chip: Option<&str>, family: Option<&str>, measurement: Option<&str>) -> SuspendArgs {
        let own = |text: Option<&str>| text.map(ToOwned::to_owned);
        SuspendArgs {
            chip: own(chip),
            vendor: own(chip.map(|_| "amd")),
            family: own(family),
            measurement: own(measurement),
            platform: Some("sev-snp".to_owned()),
            validator: None,
        }
    }

    #[test]
    fn targets_are_named_as_reports_name_them() {
        let said = |args: SuspendArgs| target(&args).unwrap().to_string();
        let (chip, build) = ("ab".repeat(64), "cd".repeat(48));
        assert_eq!(said(args(Some(&chip), None, None)), format!("amd chip {chip}"));
        assert_eq!(said(args(None, Some("milan"), None)), "family milan");
        assert!(said(args(None, Some("00806f050000"), None)).ends_with("fmspc 00806f050000"));
        assert_eq!(
            said(args(None, None, Some(&build))),
            format!("sev-snp measurement {build}")
        );
        assert_eq!(said(args(None, None, None)), "platform sev-snp");
        for bad in [
            args(Some("ab"), None, None),
            args(None, Some("rome"), None),
            args(None, None, Some("cd")),
        ] {
            assert_eq!(target(&bad).err().unwrap().code, "usage.invalid");
        }
    }
}
