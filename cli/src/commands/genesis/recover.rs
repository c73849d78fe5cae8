//! `tacit genesis recover`: from the disks of a network whose validators have all lost their keys to the genesis of one
//! that goes on with its state. Nothing secret is touched: the state stays sealed until the new founders' TEEs hold
//! enough members' shares.

use std::fs;

use serde_json::json;
use tacit_attest::{SimulatorRoot, TrustRoots};
use tacit_ledger::{
    GENESIS_VERSION, Genesis, Origin, PROTOCOL_VERSION, Registration, StateFile, format_amount,
};
use tacit_node::{
    home::Home,
    recovery::{Gathered, gather},
};
use tacit_wallet::system_clock;

use super::{invalid, json_file, recovery, warn};
use crate::{
    args::RecoverArgs,
    commands::attest::{files, policy},
    context::Context,
    failure::{Done, Failure},
};

pub(crate) fn run(context: &Context, args: RecoverArgs) -> Done {
    for path in [&args.out, &args.state] {
        if path.exists() {
            let message = format!("{} exists", path.display());
            return Err(Failure::new("home.exists", message).hint("choose another --out or --state"));
        }
    }
    let founders = args
        .registrations
        .iter()
        .map(|path| json_file(path))
        .collect::<Done<Vec<Registration>>>()?;
    let first = founders
        .first()
        .ok_or_else(|| Failure::new("usage.missing", "no registration"))?;
    let Gathered {
        file,
        proven,
        unproven,
        policy: in_force,
    } = newest(context, &args)?;
    let lost = &file.proof.genesis;
    let simulator = args
        .simulator_root
        .as_deref()
        .map(json_file::<SimulatorRoot>)
        .transpose()?;
    let trust = TrustRoots {
        class: lost.trust.class,
        simulator: simulator.or_else(|| lost.trust.simulator.clone()),
    };
    let mut accepted = match &args.policy {
        Some(path) => policy::read(path)?,
        None => in_force,
    };
    accepted.version = first.policy_version;
    let members = match args.recovery_members.is_empty() {
        true => lost.recovery.clone(),
        false => recovery(&args.recovery_members, args.recovery_threshold)?,
    };
    let collateral =
        files::collateral(&args.collateral)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let bytes = file.to_bytes();
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name: args.name.clone().unwrap_or_else(|| lost.name.clone()),
        trust,
        nonce: first.network.0,
        time_ms: args.time_ms.unwrap_or_else(system_clock),
        params: lost.params,
        policy: accepted,
        governance: lost.governance.clone(),
        protocol: PROTOCOL_VERSION,
        recovery: members,
        origin: Some(Origin {
            state: StateFile::digest(&bytes),
            ..proven.origin.clone()
        }),
        collateral,
        validators: founders,
        allocations: Vec::new(),
    };
    genesis.verify().map_err(invalid)?;
    fs::write(&args.state, &bytes).map_err(|error| Failure::file(&args.state, error))?;
    fs::write(&args.out, genesis.to_json()).map_err(|error| Failure::file(&args.out, error))?;
    warn(context, &genesis);
    let origin = &proven.origin;
    if unproven > 0 {
        context.output.note(
            "warning",
            format!("{unproven} transactions in the last blocks were never proven executed: they are not brought back"),
        );
    }
    let chain = genesis.chain_id().to_string();
    let value = json!({
        "genesis_hash": chain,
        "file": args.out,
        "state": args.state,
        "state_bytes": bytes.len(),
        "lost_chain": origin.chain.to_string(),
        "epoch": origin.epoch,
        "height": origin.executed,
        "supply": format_amount(origin.supply),
        "unproven": unproven,
        "threshold": proven.members.threshold,
        "members": proven.members.members.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
    });
    context.output.result(&value, || {
        let names: Vec<&str> = proven.members.members.iter().map(|one| one.name.as_str()).collect();
        format!(
            "{chain}\ngoes on from {} at height {}\nwrote {} and {}\nnext: {} of {} run tacit gov share release {} --state {}",
            origin.chain,
            origin.executed,
            args.out.display(),
            args.state.display(),
            proven.members.threshold,
            names.join(", "),
            args.out.display(),
            args.state.display(),
        )
    });
    Ok(())
}

/// The home that proves the newest state. One that holds none is named, and stops nothing while another does.
fn newest(context: &Context, args: &RecoverArgs) -> Done<Gathered> {
    let mut best: Option<Gathered> = None;
    let mut refused = None;
    for folder in &args.from {
        match gather(&Home::at(folder)) {
            Ok(found) => {
                let height = found.proven.origin.executed;
                let text = format!("{}: proven to height {height}", folder.display());
                context.output.note("read", text);
                let lost = best.as_ref().map(|best| best.proven.origin.chain);
                if lost.is_some_and(|lost| lost != found.proven.origin.chain) {
                    return Err(Failure::usage("the homes are of different networks"));
                }
                if best
                    .as_ref()
                    .is_none_or(|best| best.proven.origin.executed < height)
                {
                    best = Some(found);
                }
            }
            Err(error) => {
                context
                    .output
                    .note("refused", format!("{}: {error}", folder.display()));
                refused = Some(Failure::from(error));
            }
        }
    }
    best.ok_or_else(|| refused.unwrap_or_else(|| Failure::new("usage.missing", "no home: give --from DIR")))
}
