//! `tacit genesis`

mod recover;

use std::{fs, path::Path};

use serde_json::{Value, json};
use tacit_attest::{
    Collateral, CollateralUpdate, IntelBody, Measurement, NetworkClass, Policy, Refusal, SimulatorRoot,
    TrustRoots, Verified,
};
use tacit_consensus::Digest;
use tacit_ledger::{
    AccountId, Amount, GENESIS_VERSION, Genesis, Governance, GovernanceMember, MAX_GENESIS_BYTES,
    MIN_RECOVERY_THRESHOLD, Origin, Params, RecoveryMember, RecoveryMembers, Registration, format_amount,
    parse_amount,
};
use tacit_wallet::{Address, system_clock};

use crate::{
    args::GenesisVerb,
    commands::{
        attest::{files, policy},
        share,
    },
    context::{Context, hash, read_text},
    failure::{Done, Failure},
    output::time,
};

/// Longest registration, policy or root file that is read, in bytes.
const MAX_PART: u64 = 256 * 1024;

pub(crate) fn run(context: &Context, verb: GenesisVerb) -> Done {
    match verb {
        GenesisVerb::Create { .. } => create(context, verb),
        GenesisVerb::Recover(args) => recover::run(context, args),
        GenesisVerb::Verify { file } => verify(context, &file),
        GenesisVerb::Show { file } => show(context, &file),
        GenesisVerb::Hash { file } => {
            let hash = read(context, &file)?.chain_id().to_string();
            context
                .output
                .result(&json!({ "genesis_hash": hash }), || hash.clone());
            Ok(())
        }
    }
}

/// Reads a genesis; when a hash is given, it must be that one's.
pub(crate) fn read(context: &Context, file: &Path) -> Done<Genesis> {
    let text = read_text(file, MAX_GENESIS_BYTES as u64)?;
    let genesis = Genesis::from_json(&text).map_err(|error| {
        Failure::new("genesis.invalid", format!("{}: {error}", file.display()))
            .hint("give a file that tacit genesis create wrote")
    })?;
    if let Some(given) = &context.global.genesis_hash {
        let (have, pinned) = (genesis.chain_id(), hash(given)?);
        if have != pinned {
            return Err(tacit_wallet::Error::GenesisHash { have, pinned }.into());
        }
    }
    Ok(genesis)
}

fn json_file<T: serde::de::DeserializeOwned>(path: &Path) -> Done<T> {
    serde_json::from_str(&read_text(path, MAX_PART)?)
        .map_err(|error| Failure::new("config.invalid", format!("{}: {error}", path.display())))
}

fn invalid(error: impl std::fmt::Display) -> Failure {
    Failure::new("genesis.invalid", error)
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn create(context: &Context, verb: GenesisVerb) -> Done {
    let GenesisVerb::Create {
        name,
        registrations,
        policy,
        simulator_root,
        allocations,
        members,
        threshold,
        recovery_members,
        recovery_threshold,
        collateral,
        epoch,
        epoch_min,
        time_ms,
        out,
    } = verb
    else {
        return Ok(());
    };
    if out.exists() {
        return Err(
            Failure::new("home.exists", format!("{} exists", out.display())).hint("choose another --out")
        );
    }
    let validators = registrations
        .iter()
        .map(|path| json_file(path))
        .collect::<Done<Vec<Registration>>>()?;
    let first = validators
        .first()
        .ok_or_else(|| Failure::new("usage.missing", "no registration"))?;
    let class = if name.starts_with("dev-") {
        NetworkClass::Dev
    } else if name.starts_with("test-") {
        NetworkClass::Test
    } else {
        NetworkClass::Production
    };
    let simulator = simulator_root
        .as_deref()
        .map(json_file::<SimulatorRoot>)
        .transpose()?;
    let trust = TrustRoots { class, simulator };
    let time_ms = time_ms.unwrap_or_else(system_clock);
    let documents =
        files::collateral(&collateral)?.map_err(|refusal| Failure::new(refusal.code(), refusal))?;
    let policy = match policy {
        Some(path) => policy::read(&path)?,
        None if class == NetworkClass::Dev => dev_policy(&validators, &trust, &documents, time_ms)?,
        None => {
            return Err(Failure::new(
                "usage.missing",
                "which evidence is accepted? give --policy FILE",
            ));
        }
    };
    let params = Params {
        epoch_ms_max: millis(epoch),
        epoch_ms_min: millis(epoch_min.min(epoch)),
        ..Params::default()
    };
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name,
        trust,
        nonce: first.network.0,
        time_ms,
        params,
        policy,
        governance: governance(&members, threshold, class)?,
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: recovery(&recovery_members, recovery_threshold)?,
        origin: None,
        collateral: documents,
        allocations: allocations
            .iter()
            .map(|text| allocation(text, class))
            .collect::<Done<Vec<_>>>()?,
        validators,
    };
    genesis.verify().map_err(invalid)?;
    fs::write(&out, genesis.to_json()).map_err(|error| Failure::file(&out, error))?;
    warn(context, &genesis);
    let chain = genesis.chain_id().to_string();
    context
        .output
        .result(&json!({ "genesis_hash": chain, "file": out }), || chain.clone());
    Ok(())
}

/// For a dev network: what the first founder runs, which its evidence shows.
fn dev_policy(
    validators: &[Registration],
    trust: &TrustRoots,
    documents: &[CollateralUpdate],
    time_ms: u64,
) -> Done<Policy> {
    let first = validators
        .first()
        .ok_or_else(|| Failure::new("usage.missing", "no registration"))?;
    let refused = |refusal: Refusal| Failure::new(refusal.code(), refusal);
    let mut collateral = Collateral::new();
    for document in documents {
        collateral
            .apply(document.clone(), trust, time_ms)
            .map_err(refused)?;
    }
    let seen =
        tacit_attest::verify(&first.evidence, trust, &collateral, None, None, time_ms).map_err(refused)?;
    let mut policy = Policy::dev(build_of(&seen));
    policy.version = first.policy_version;
    Ok(policy)
}

/// The build that a simulated machine runs: of a trust domain, its own register.
fn build_of(seen: &Verified) -> Measurement {
    match seen.facts.intel().map(|facts| &facts.body) {
        Some(IntelBody::Td(td)) => Measurement(td.mr_td),
        _ => seen.measurement,
    }
}

/// Recovery members by name and key; more than half of them, and two at least, bring the state back unless the founders
/// say otherwise.
fn recovery(members: &[String], threshold: Option<u16>) -> Done<RecoveryMembers> {
    let members = members
        .iter()
        .map(|text| {
            let (name, key) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("{text:?}: a recovery member is NAME=PUBKEY")))?;
            Ok(RecoveryMember {
                name: name.to_owned(),
                key: share::member_key(key)?,
            })
        })
        .collect::<Done<Vec<_>>>()?;
    if members.is_empty() {
        return Ok(RecoveryMembers::none());
    }
    let majority = u16::try_from(members.len() / 2 + 1).unwrap_or(u16::MAX);
    Ok(RecoveryMembers {
        members,
        threshold: threshold.unwrap_or(majority.max(MIN_RECOVERY_THRESHOLD)),
    })
}

/// Members by name and account; a majority of them adopts unless the founders say otherwise.
fn governance(members: &[String], threshold: Option<u16>, class: NetworkClass) -> Done<Governance> {
    let members = members
        .iter()
        .map(|text| {
            let (name, address) = text
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("{text:?}: a member is NAME=ADDRESS")))?;
            let address: Address = address.parse().map_err(Failure::from)?;
            Ok(GovernanceMember {
                name: name.to_owned(),
                account: address.on(class)?.account,
            })
        })
        .collect::<Done<Vec<_>>>()?;
    let majority = if members.is_empty() {
        0
    } else {
        members.len() / 2 + 1
    };
    Ok(Governance {
        threshold: threshold.unwrap_or_else(|| u16::try_from(majority).unwrap_or(u16::MAX)),
        members,
    })
}

fn allocation(text: &str, class: NetworkClass) -> Done<(AccountId, Amount)> {
    let (address, amount) = text
        .split_once('=')
        .ok_or_else(|| Failure::usage(format!("{text:?}: an allocation is ADDRESS=AMOUNT")))?;
    let address: Address = address.parse().map_err(Failure::from)?;
    let amount =
        parse_amount(amount).map_err(|error| Failure::new("usage.amount", format!("{amount:?}: {error}")))?;
    Ok((address.on(class)?.account, amount))
}

fn warn(context: &Context, genesis: &Genesis) {
    if genesis.trust.class == NetworkClass::Dev {
        context.output.simulated();
    }
    if genesis.faults_tolerated() == 0 {
        context
            .output
            .note("warning", "fewer than 4 validators: not one may fail");
    }
    let recovery = &genesis.recovery;
    if usize::from(recovery.threshold) * 2 <= recovery.members.len() && !recovery.is_none() {
        context.output.note(
            "warning",
            format!(
                "{} of {} recovery members read the whole state together: take more than half",
                recovery.threshold,
                recovery.members.len()
            ),
        );
    }
    if let Some(origin) = &genesis.origin {
        context.output.recovered(&origin.chain, origin.executed);
    }
}

fn verify(context: &Context, file: &Path) -> Done {
    let genesis = read(context, file)?;
    let verdicts = genesis.verify().map_err(invalid)?;
    warn(context, &genesis);
    let chain = genesis.chain_id();
    if context.global.genesis_hash.is_none() {
        context.output.note(
            "note",
            "compare the hash with one that you were told by someone you trust",
        );
    }
    let holders: Vec<Value> = genesis
        .validators
        .iter()
        .zip(&verdicts)
        .map(|(registration, verdict)| {
            json!({
                "name": registration.name,
                "platform": verdict.platform.to_string(),
                "measurement": verdict.measurement.to_string(),
                "chip": verdict.chip.to_string(),
            })
        })
        .collect();
    let value = json!({
        "verified": true,
        "genesis_hash": chain.to_string(),
        "validators": holders,
        "recovered": genesis.origin.as_ref().map(origin),
    });
    context.output.result(&value, || {
        format!(
            "ok: {} validators, evidence of each accepted at genesis time\n{chain}",
            genesis.validators.len()
        )
    });
    Ok(())
}

/// Where a recovered chain goes on from.
pub(crate) fn origin(origin: &Origin) -> Value {
    json!({
        "chain": origin.chain.to_string(),
        "name": origin.name,
        "before": origin.before.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "epoch": origin.epoch,
        "height": origin.executed,
        "private_root": origin.private_root.to_string(),
        "state": origin.state.to_string(),
    })
}

fn show(context: &Context, file: &Path) -> Done {
    let genesis = read(context, file)?;
    let chain: Digest = genesis.chain_id();
    let value = json!({
        "genesis_hash": chain.to_string(),
        "name": genesis.name,
        "class": genesis.trust.class.to_string(),
        "time": time(genesis.time_ms),
        "supply": format_amount(genesis.supply()),
        "validators": genesis.validators.iter().map(|validator| validator.name.clone()).collect::<Vec<_>>(),
        "faults_tolerated": genesis.faults_tolerated(),
        "accounts": genesis.allocations.len(),
        "epoch_ms_max": genesis.params.epoch_ms_max,
        "epoch_ms_min": genesis.params.epoch_ms_min,
        "heartbeat_ms": genesis.params.heartbeat_ms,
        "fee_per_512": genesis.params.fee_per_512,
        "policy_version": genesis.policy.version,
        "members": genesis.governance.members.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        "threshold": genesis.governance.threshold,
        "recovery_members": genesis.recovery.members.iter().map(|one| one.name.clone()).collect::<Vec<_>>(),
        "recovery_threshold": genesis.recovery.threshold,
        "recovered": genesis.origin.as_ref().map(origin),
        "collateral": genesis.collateral.len(),
        "measurements": genesis.policy.measurements.iter().map(|one| one.value.to_string()).collect::<Vec<_>>(),
    });
    context
        .output
        .result(&value, || crate::commands::query::render(&value));
    Ok(())
}
