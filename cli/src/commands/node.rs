//! `tacit node`

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tacit_ledger::{Genesis, Registration, format_amount};
use tacit_node::{
    NodeError, RunOptions,
    config::{Config, KeyStore, Role},
    home::Home,
    init::{self, Identity, InitConfig, JoinConfig},
    recovery,
    replica::History,
};
use tacit_wallet::{Bounds, Transport};

use crate::{
    args::{KeysChoice, NodeVerb, TeeChoice},
    commands::{
        genesis,
        machine::{Machine, unattested},
        membership, query, suspend,
    },
    context::{Context, hash, read_text},
    failure::{Done, Failure},
};

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
        NodeVerb::Run { history } => run_node(context, history.map(|choice| choice.0)),
        NodeVerb::Status => {
            let transport = context.http()?;
            let status = tacit_wallet::Api::new(&transport).page("/v1/status", 0)?;
            context.output.result(&status, || query::render(&status));
            Ok(())
        }
        NodeVerb::Join => membership::join(context),
        NodeVerb::Rejoin { tee, authority, leaf } => rejoin(context, tee, &authority, leaf.as_deref()),
        NodeVerb::Leave { operator_key, wait } => membership::leave(context, operator_key.as_deref(), wait),
        NodeVerb::Drain { cancel } => membership::drain(context, cancel),
        NodeVerb::Suspend(args) => suspend::run(context, &args),
        NodeVerb::Health => health(context),
    }
}

/// Runs until told to stop. Logging is the node's own business from here on.
fn run_node(context: &Context, history: Option<History>) -> Done {
    let root = context.node_home()?;
    let home = Home::at(&root);
    if home.config().exists() && !home.genesis().exists() {
        let message = format!("{} has no genesis", root.display());
        let hint = format!("run: tacit node install GENESIS --home {}", root.display());
        return Err(Failure::new("home.missing", message).hint(hint));
    }
    match tacit_node::run(RunOptions { home: root, history }) {
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
    // Who has no founder's registration joins later, by the rules of that chain.
    let path = home.registration();
    if role == Role::Validator && path.exists() {
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
        join,
        keys,
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
    let mut value =
        json!({ "name": name, "home": root, "role": if observer { "observer" } else { "validator" } });
    let mut config = if observer {
        init::init_observer(&home, &name, None)?;
        Config::new(&name, Role::Observer)
    } else {
        let machine = Machine::choose(context, tee, &authority, leaf.as_deref())?;
        let mut keys = match keys {
            KeysChoice::Sealed => KeyStore::Sealed,
            KeysChoice::Memory => KeyStore::Memory,
        };
        let identity = if join {
            let config = JoinConfig {
                name: name.clone(),
                tee: machine.tee(),
                keys,
                seeds: None,
            };
            let identity = init::join(&home, config).map_err(unattested)?;
            keys = Config::load(&home.config())?.node.keys;
            if keys == KeyStore::Memory {
                let text = "in memory alone: the node registers anew under its name at each start, and fetches the \
                            state again";
                context.output.note("keys", text);
            }
            identity
        } else {
            let nonce = nonce
                .ok_or_else(|| Failure::new("usage.missing", "a founder needs the nonce: --nonce HEX"))?;
            let config = InitConfig {
                name: name.clone(),
                tee: machine.tee(),
                nonce: nonce.0,
                policy_version: genesis.as_ref().map_or(1, |genesis| genesis.policy.version),
                seeds: None,
            };
            init::init(&home, config).map_err(unattested)?;
            value["registration"] = json!(home.registration());
            Identity::load(&home)?
        };
        membership::identity(&mut value, &identity);
        value["operator_key_file"] = json!(home.operator_key());
        if let Some(peer) = identity.node_key.and_then(|key| tacit_p2p::peer_id_of(&key.0)) {
            // Nobody can dial an address that means every address.
            let ip = if p2p.ip().is_unspecified() {
                "ADDRESS".to_owned()
            } else {
                p2p.ip().to_string()
            };
            let family = if p2p.is_ipv6() { "ip6" } else { "ip4" };
            value["peer"] = format!("/{family}/{ip}/tcp/{}/p2p/{peer}", p2p.port()).into();
        }
        let mut config = Config::new(&name, Role::Validator);
        config.node.keys = keys;
        config
    };
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

/// Fresh keys under the old name.
fn rejoin(context: &Context, tee: Option<TeeChoice>, authority: &Path, leaf: Option<&Path>) -> Done {
    let home = Home::at(context.node_home()?);
    let machine = tee
        .map(|tee| Machine::choose(context, tee, authority, leaf))
        .transpose()?;
    let identity = init::rejoin(&home, machine.as_ref().map(Machine::tee)).map_err(|error| match error {
        NodeError::Quote(_) => unattested(error),
        other => other.into(),
    })?;
    let mut value = json!({ "name": identity.name, "home": home.root() });
    membership::identity(&mut value, &identity);
    context.output.result(&value, || query::render(&value));
    context.output.note(
        "next",
        "tacit node run; it registers by itself, and votes from the next epoch on",
    );
    Ok(())
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
