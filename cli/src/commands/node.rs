//! `tacit node`

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tacit_attest::{Platform, SimulatorAuthority};
use tacit_ledger::{Genesis, Registration, format_amount};
use tacit_node::{
    NodeError, RunOptions,
    config::{Config, Role},
    home::Home,
    init::{self, InitConfig, Tee},
    recovery,
};
use tacit_wallet::{Bounds, Transport, system_clock, system_rng};
use zeroize::Zeroizing;

use crate::{
    args::{NodeVerb, TeeChoice},
    commands::{attest::files, genesis, query, suspend},
    context::{Context, hash, read_file, read_text},
    failure::{Done, Failure},
};

/// Longest authority file that is read, in bytes: two RSA keys and two certificates.
const MAX_AUTHORITY: u64 = 64 * 1024;
/// Longest registration file that is read, in bytes.
const MAX_REGISTRATION: u64 = 256 * 1024;
/// What people see of the checks of a node that is ready.
const CHECKS: [(&str, &str); 3] = [("ready", "/name"), ("is", "/value"), ("bound", "/limit")];
/// Longest readiness answer, in bytes.
const MAX_READY: usize = 64 * 1024;

pub(crate) fn run(context: &Context, verb: NodeVerb) -> Done {
    match verb {
        NodeVerb::Init { .. } => init_node(context, verb),
        NodeVerb::Install {
            genesis,
            peers,
            state,
            shares,
        } => install(context, &genesis, peers, state.as_deref(), &shares),
        NodeVerb::Run => run_node(context),
        NodeVerb::Status => {
            let transport = context.http()?;
            let status = tacit_wallet::Api::new(&transport).page("/v1/status", 0)?;
            context.output.result(&status, || query::render(&status));
            Ok(())
        }
        NodeVerb::Suspend(args) => suspend::run(context, &args),
        NodeVerb::Health => health(context),
    }
}

/// Runs until told to stop. Logging is the node's own business from here on.
fn run_node(context: &Context) -> Done {
    let root = context.node_home()?;
    let home = Home::at(&root);
    if home.config().exists() && !home.genesis().exists() {
        let message = format!("{} has no genesis", root.display());
        let hint = format!("run: tacit node install GENESIS --home {}", root.display());
        return Err(Failure::new("home.missing", message).hint(hint));
    }
    match tacit_node::run(RunOptions { home: root }) {
        // Without its platform, the keys are as closed as on another one.
        Err(NodeError::Quote(error)) => Err(Failure::new("key.sealed_elsewhere", error)),
        Err(error) => Err(error.into()),
        Ok(()) => {
            if context.output.json() {
                context.output.document(&json!({ "stopped": true }));
            }
            Ok(())
        }
    }
}

/// Puts a genesis into a home, if it is one that this node can live by.
fn install(
    context: &Context,
    file: &Path,
    peers: Vec<String>,
    state: Option<&Path>,
    shares: &[PathBuf],
) -> Done {
    let root = context.node_home()?;
    let home = Home::at(&root);
    let genesis = genesis::read(context, file)?;
    if !home.config().exists() {
        return Err(NodeError::HomeMissing(root).into());
    }
    let mut config = Config::load(&home.config())?;
    admit(&home, config.node.role, &genesis)?;
    let recovered = match (state, &genesis.origin) {
        (Some(state), _) => Some(recovery::install(&home, &genesis, state, shares)?),
        (None, Some(origin)) if config.node.role == Role::Validator => {
            return Err(NodeError::NoLostState {
                chain: origin.chain.to_string(),
            }
            .into());
        }
        (None, _) => None,
    };
    if let Some(origin) = &genesis.origin {
        context.output.recovered(&origin.chain, origin.executed);
    }
    init::install_genesis(&home, &genesis)?;
    if !peers.is_empty() {
        config.p2p.peers = peers;
        config.save(&home.config())?;
    }
    let chain = genesis.chain_id().to_string();
    let value = json!({
        "genesis_hash": chain,
        "peers": config.p2p.peers,
        "recovered": genesis.origin.as_ref().map(genesis::origin),
        "supply": recovered.map(|installed| format_amount(installed.supply)),
    });
    context.output.result(&value, || format!("installed {chain}"));
    Ok(())
}

/// Refuses a genesis that does not seat this validator, or that would replace the one its database grew from.
fn admit(home: &Home, role: Role, genesis: &Genesis) -> Done {
    if role == Role::Validator {
        let path = home.registration();
        let own: Registration = serde_json::from_str(&read_text(&path, MAX_REGISTRATION)?)
            .map_err(|error| Failure::new("config.invalid", format!("{}: {error}", path.display())))?;
        let seated = |seat: &Registration| seat.consensus_key == own.consensus_key;
        if !genesis.validators.iter().any(seated) {
            let message = format!("{} is not among the validators of this genesis", own.name);
            return Err(Failure::new("home.chain_mismatch", message)
                .hint("is it the genesis that this node's registration went into?")
                .detail("genesis_hash", genesis.chain_id().to_string())
                .detail("consensus_key", own.consensus_key.to_string()));
        }
    }
    if home.database().exists() && home.genesis().exists() {
        let (old, new) = (home.load_genesis()?.chain_id(), genesis.chain_id());
        if old != new {
            let message = format!("{} holds the database of another chain", home.root().display());
            return Err(Failure::new("home.chain_mismatch", message)
                .detail("installed", old.to_string())
                .detail("given", new.to_string()));
        }
    }
    Ok(())
}

fn init_node(context: &Context, verb: NodeVerb) -> Done {
    let NodeVerb::Init {
        name,
        tee,
        leaf,
        nonce,
        observer,
        authority,
        genesis,
        api,
        p2p,
        peers,
    } = verb
    else {
        return Ok(());
    };
    let root = context.node_home()?;
    let home = Home::at(&root);
    // Everything that can be wrong with the arguments, before anything is made.
    let genesis = genesis.map(|file| genesis::read(context, &file)).transpose()?;
    let nonce = nonce.as_deref().map(hash).transpose()?;
    let role = if observer { Role::Observer } else { Role::Validator };
    let mut value =
        json!({ "name": name, "home": root, "role": if observer { "observer" } else { "validator" } });
    if observer {
        init::init_observer(&home, &name, None)?;
    } else {
        let nonce =
            nonce.ok_or_else(|| Failure::new("usage.missing", "a founder needs the nonce: --nonce HEX"))?;
        let policy_version = genesis.as_ref().map_or(1, |genesis| genesis.policy.version);
        let make = |tee: Tee<'_>| {
            let config = InitConfig {
                name: name.clone(),
                tee,
                nonce: nonce.0,
                policy_version,
                seeds: None,
            };
            init::init(&home, config)
        };
        let leaf = leaf.as_deref().map(files::leaf).transpose()?;
        let machine = |platform| {
            make(Tee::Machine { platform, leaf }).map_err(|error| match error {
                NodeError::Quote(error) => Failure::usage(error)
                    .hint("run this inside the guest; for a dev network give --tee simulated"),
                other => other.into(),
            })
        };
        let registration = match tee {
            TeeChoice::Guest => machine(None)?,
            TeeChoice::SevSnp => machine(Some(Platform::SevSnp))?,
            TeeChoice::Tdx => machine(Some(Platform::Tdx))?,
            TeeChoice::Simulated | TeeChoice::SimulatedTdx => {
                context.output.simulated();
                let authority = &simulator(context, &authority)?;
                let program = std::env::current_exe().map_err(|error| Failure::new("internal", error))?;
                let measurement = init::simulated_measurement(&program)?;
                let (chip_seed, now_ms) = (*random()?, system_clock());
                make(if tee == TeeChoice::Simulated {
                    Tee::Simulated {
                        authority,
                        chip_seed,
                        now_ms,
                        measurement,
                    }
                } else {
                    Tee::SimulatedTdx {
                        authority,
                        chip_seed,
                        now_ms,
                        measurement,
                    }
                })?
            }
        };
        value["consensus_key"] = registration.consensus_key.to_string().into();
        value["node_key"] = registration.node_key.to_string().into();
        value["registration"] = json!(home.registration());
        if let Some(peer) = tacit_p2p::peer_id_of(&registration.node_key.0) {
            // Nobody can dial an address that means every address.
            let ip = if p2p.ip().is_unspecified() {
                "ADDRESS".to_owned()
            } else {
                p2p.ip().to_string()
            };
            let family = if p2p.is_ipv6() { "ip6" } else { "ip4" };
            value["peer"] = format!("/{family}/{ip}/tcp/{}/p2p/{peer}", p2p.port()).into();
        }
    }
    let mut config = Config::new(&name, role);
    config.api.listen = api;
    config.p2p.listen = p2p;
    config.p2p.peers = peers;
    config.save(&home.config())?;
    if let Some(genesis) = &genesis {
        init::install_genesis(&home, genesis)?;
    }
    context.output.result(&value, || query::render(&value));
    Ok(())
}

fn random() -> Done<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand_core::Rng::fill_bytes(&mut system_rng()?, bytes.as_mut_slice());
    Ok(bytes)
}

/// The throw-away authority of a dev network, made at first use, with its root and its collateral beside it for
/// `genesis create`.
fn simulator(context: &Context, path: &Path) -> Done<SimulatorAuthority> {
    let failed = |error: tacit_attest::QuoteError| Failure::new("internal", error);
    if path.exists() {
        let bytes = Zeroizing::new(read_file(path, MAX_AUTHORITY)?);
        return SimulatorAuthority::from_bytes(&bytes).map_err(failed);
    }
    let authority = SimulatorAuthority::generate(*random()?, system_clock()).map_err(failed)?;
    write_private(path, &authority.to_bytes().map_err(failed)?)?;
    let documents = authority.collateral(system_clock()).map_err(failed)?;
    let root = path.with_extension("root.json");
    let collateral = path.with_extension("collateral.json");
    write_json(&root, &authority.root())?;
    write_json(&collateral, &documents)?;
    let text = format!(
        "{}; give {} to tacit genesis create, and {} where a machine is simulated TDX",
        path.display(),
        root.display(),
        collateral.display()
    );
    context.output.note("made", text);
    Ok(authority)
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Done {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new("internal", error))?;
    fs::write(path, text).map_err(|error| Failure::file(path, error))
}

fn write_private(path: &Path, bytes: &[u8]) -> Done {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| Failure::file(path, error))
}

/// Ready or not, with each check's name.
fn health(context: &Context) -> Done {
    let transport = context.http()?;
    let bounds = Bounds {
        max_bytes: MAX_READY,
        patience: std::time::Duration::ZERO,
    };
    let response = transport.get("/readyz", bounds)?;
    let page: Value = serde_json::from_slice(&response.body).map_err(|_| {
        Failure::new(
            "rpc.bad_answer",
            format!("/readyz answered status {}", response.status),
        )
    })?;
    if response.status == 200 {
        context.output.result(&page, || {
            let checks = page["checks"].as_array().map_or(&[][..], Vec::as_slice);
            query::table(&CHECKS, checks)
        });
        return Ok(());
    }
    let failed = |check: &&Value| check["ok"] == false;
    let checks: Vec<&Value> = page["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(failed)
        .collect();
    let word = |check: &Value, key: &str| check[key].as_str().unwrap_or("?").to_owned();
    let names: Vec<String> = checks.iter().map(|check| word(check, "name")).collect();
    let message = format!("{} is not ready: {}", context.rpc(), names.join(", "));
    let failure = Failure::new("node.syncing", message).hint("wait, or see: tacit node status");
    if context.output.json() {
        return Err(failure.detail("checks", page["checks"].clone()));
    }
    Err(checks.into_iter().fold(failure, |failure, check| {
        let text = format!("{}, bound {}", word(check, "value"), word(check, "limit"));
        failure.detail(&word(check, "name"), text)
    }))
}
