//! The first moment of a network: keys, registrations, genesis, homes, wallets.
//!
//! ```text
//! seed ─► simulator authority ─► one chip a validator ─► registration (keys, evidence bound to the nonce)
//!      ─► nonce                                             │
//!      ─► accounts                                          ▼
//! binary ─► measurement ─► policy ───────────────────► genesis, verified ─► every home
//! ```

use std::fs::{DirBuilder, File};
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tacit_attest::{Generation, Measurement, NetworkClass, Policy, SimulatorAuthority, TrustRoots};
use tacit_ledger::{
    AccountId, AccountKey, Amount, GENESIS_VERSION, Genesis, Governance, GovernanceMember, MAX_GENESIS_BYTES,
    Params, RecoveryMember, RecoveryMembers, UNIT,
};
use tacit_node::config::{Config, KeyStore, Role};
use tacit_node::home::Home;
use tacit_node::init::{self, Identity, InitConfig, JoinConfig, Tee};

use crate::error::{Error, io_error};
use crate::facts::{FACTS_VERSION, Facts, NodeFacts, NodeRole, WalletFacts, write_whole};
use crate::options::Options;
use crate::{links, ports, purse, seeds, spaces};

/// The name in the genesis. Development networks must begin with `dev-`.
const NETWORK: &str = "dev-local";
/// Owners of the first so many named wallets may change the policy, ...
const MEMBERS: usize = 3;
/// ... so many of them together.
const THRESHOLD: usize = 2;
/// The copy of the genesis that people and wallets read, inside the network's folder.
const GENESIS_FILE: &str = "genesis.json";

/// The measurement, in hex, that the simulated platform gives to `binary`.
pub(crate) fn measure(binary: &Path) -> Result<String, Error> {
    Ok(measurement(binary)?.to_string())
}

pub(crate) fn measurement(binary: &Path) -> Result<Measurement, Error> {
    init::simulated_measurement(binary).map_err(|e| founding("measuring the binary", e))
}

/// Makes everything under `dir` except `testnet.json`; nothing is running afterwards. `dir` is absolute and empty
/// but for the lock.
pub(crate) fn found(
    dir: &Path,
    options: &Options,
    binary: &Path,
    base: u16,
    time_ms: u64,
) -> Result<Facts, Error> {
    let measurement = measurement(binary)?;
    let authority = SimulatorAuthority::generate(seeds::derive(options.seed, "simulator authority"), time_ms)
        .map_err(|e| founding("simulator authority", e))?;
    let nonce = seeds::derive(options.seed, "genesis nonce");

    let policy = Policy::dev(measurement);

    let mut nodes = Vec::with_capacity(options.nodes());
    let mut registrations = Vec::with_capacity(usize::from(options.validators));
    for i in 0..options.nodes() {
        let validator = i < usize::from(options.validators);
        let (name, role) = if validator {
            (format!("val-{i}"), NodeRole::Validator)
        } else {
            (
                format!("obs-{}", i - usize::from(options.validators)),
                NodeRole::Observer,
            )
        };
        let home = Home::at(dir.join(&name));
        let keys = seeds::derive(options.seed, &format!("keys of {name}"));
        if validator {
            let (authority, now_ms) = (&authority, time_ms);
            let chip_seed = seeds::derive(options.seed, &format!("chip of {name}"));
            let tee = if options.is_tdx(i) {
                Tee::SimulatedTdx {
                    authority,
                    chip_seed,
                    now_ms,
                    measurement,
                }
            } else {
                Tee::Simulated {
                    authority,
                    generation: options.generation(i),
                    chip_seed,
                    now_ms,
                    measurement,
                }
            };
            let seeds = Some(keys);
            let config = InitConfig {
                name: name.clone(),
                tee,
                nonce,
                policy_version: policy.version,
                seeds,
            };
            registrations.push(init::init(&home, config).map_err(|e| founding("validator", e))?);
        } else {
            init::init_observer(&home, &name, Some(keys)).map_err(|e| founding("observer", e))?;
        }
        let home = home.root().to_path_buf();
        let log = home.join("node.log");
        nodes.push(NodeFacts {
            name,
            role,
            rpc: String::new(),
            p2p: String::new(),
            home,
            log,
            pid: None,
            build: None,
        });
    }

    // Only trust domains are judged with collateral.
    let collateral = match options.tdx {
        0 => Vec::new(),
        _ => authority
            .collateral(time_ms)
            .map_err(|e| founding("the simulator's collateral", e))?,
    };
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name: NETWORK.into(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(authority.root()),
        },
        nonce,
        time_ms,
        params: Params {
            epoch_ms_max: options.epoch_ms,
            epoch_ms_min: options.epoch_ms_min.min(options.epoch_ms),
            fee_per_512: options.fee_per_512,
            ..Params::default()
        },
        policy,
        governance: governance(options)?,
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: recovery(options),
        origin: None,
        collateral,
        validators: registrations,
        allocations: allocations(options)?,
    };
    genesis.verify().map_err(|e| founding("genesis", e))?;
    for node in &nodes {
        init::install_genesis(&Home::at(&node.home), &genesis)
            .map_err(|e| founding("installing the genesis", e))?;
    }
    let path = dir.join(GENESIS_FILE);
    write_whole(&path, genesis.to_json().as_bytes(), 0o644)?;

    let mut facts = Facts {
        version: FACTS_VERSION,
        chain_id: genesis.name.clone(),
        genesis_hash: genesis.chain_id().to_string(),
        genesis: path,
        tee: "simulated".into(),
        tdx: options.tdx,
        seed: options.seed,
        time_ms,
        epoch_ms: options.epoch_ms,
        ready: false,
        height: 0,
        base_port: base,
        proxy: options.proxy,
        namespaces: options.namespaces,
        nodes,
        wallets: Vec::new(),
        members: genesis
            .governance
            .members
            .iter()
            .map(|one| one.name.clone())
            .collect(),
        threshold: genesis.governance.threshold,
        password_file: PathBuf::new(),
        load_accounts: options.load_accounts,
        binary: binary.to_path_buf(),
        measurement: measurement.to_string(),
        newest: None,
    };
    wallets(dir, options, &genesis, &mut facts)?;
    place(&mut facts, base)?;
    Ok(facts)
}

/// Gives every node its ports and peers: in the facts and in each node's `config.toml`.
pub(crate) fn place(facts: &mut Facts, base: u16) -> Result<(), Error> {
    facts.base_port = base;
    let namespaces = facts.namespaces;
    for (i, node) in facts.nodes.iter_mut().enumerate() {
        let host = host(namespaces, i)?;
        node.rpc = format!("http://{host}:{}", ports::api(base, i));
        node.p2p = match node.role {
            NodeRole::Validator => address(&node.home, host, ports::p2p(base, i))?,
            // Observers are never dialled: they dial the validators.
            NodeRole::Observer => format!("/ip4/{host}/tcp/{}", ports::p2p(base, i)),
        };
    }
    for (i, node) in facts.nodes.iter().enumerate() {
        configure(facts, node, ports::api(base, i), ports::p2p(base, i))?;
    }
    Ok(())
}

/// Where a node listens.
pub(crate) fn host(namespaces: bool, i: usize) -> Result<Ipv4Addr, Error> {
    spaces::host(namespaces, i).ok_or_else(|| Error::Usage(format!("no address for node {i}")))
}

fn node_role(role: NodeRole) -> Role {
    match role {
        NodeRole::Validator => Role::Validator,
        NodeRole::Observer => Role::Observer,
    }
}

/// Every funded account: the named ones, those for load, and the one that proves readiness. In the order of their
/// ids, which says nothing about who is who.
fn allocations(options: &Options) -> Result<Vec<(AccountId, Amount)>, Error> {
    let amount = Amount::from(options.balance) * UNIT;
    let load = (0..options.load_accounts).map(seeds::load_wallet);
    let names = options
        .accounts
        .iter()
        .cloned()
        .chain(load)
        .chain([seeds::PROBE.to_string()]);
    let mut all = Vec::new();
    for name in names {
        all.push((account(options.seed, &name)?.id(), amount));
    }
    all.sort();
    Ok(all)
}

/// The members: the owners of the first wallets, or of what wallets there are.
fn governance(options: &Options) -> Result<Governance, Error> {
    let members = options
        .accounts
        .iter()
        .take(MEMBERS)
        .map(|name| {
            Ok(GovernanceMember {
                name: name.clone(),
                account: account(options.seed, name)?.id(),
            })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Governance {
        threshold: u16::try_from(members.len().min(THRESHOLD)).unwrap_or(0),
        members,
    })
}

/// The members of the governance hold the shares of the state too, as far as there are two of them.
fn recovery(options: &Options) -> RecoveryMembers {
    let members: Vec<RecoveryMember> = options
        .accounts
        .iter()
        .take(MEMBERS)
        .map(|name| RecoveryMember {
            name: name.clone(),
            key: purse::secrets(options.seed, name).recovery_key().public().clone(),
        })
        .collect();
    if members.len() < THRESHOLD {
        return RecoveryMembers::none();
    }
    RecoveryMembers {
        members,
        threshold: u16::try_from(THRESHOLD).unwrap_or(u16::MAX),
    }
}

/// The key of one of this network's accounts.
pub(crate) fn account(seed: u64, name: &str) -> Result<AccountKey, Error> {
    AccountKey::from_seed(seeds::wallet(seed, name)).map_err(|e| founding("account key", e))
}

/// Writes the wallet files and their passphrase.
fn wallets(dir: &Path, options: &Options, genesis: &Genesis, facts: &mut Facts) -> Result<(), Error> {
    let folder = dir.join("wallets");
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(&folder)
        .map_err(io_error("create", &folder))?;
    let password = format!(
        "dev-{}",
        hex::encode(&seeds::derive(options.seed, "wallet passphrase")[..8])
    );
    facts.password_file = folder.join("password");
    write_whole(&facts.password_file, format!("{password}\n").as_bytes(), 0o600)?;
    for name in &options.accounts {
        let (address, file) = purse::write_file(dir, name, options.seed, genesis, &password)?;
        facts.wallets.push(WalletFacts {
            name: name.clone(),
            address,
            file,
        });
    }
    Ok(())
}

/// The genesis of a network.
pub(crate) fn read_genesis(facts: &Facts) -> Result<Genesis, Error> {
    let text = read_text(&facts.genesis)?;
    Genesis::from_json(&text).map_err(|e| founding("reading the genesis", e))
}

/// The identity under which a validator's peers know it.
pub(crate) fn node_key(home: &Path) -> Result<[u8; 32], Error> {
    let identity = Identity::load(&Home::at(home)).map_err(|e| founding("reading an identity", e))?;
    let key = identity
        .node_key
        .ok_or_else(|| founding("the node's identity", "its keys live in memory"))?;
    Ok(key.0)
}

/// Where a validator's peers reach it.
pub(crate) fn address(home: &Path, host: Ipv4Addr, p2p: u16) -> Result<String, Error> {
    let peer = tacit_p2p::peer_id_of(&node_key(home)?)
        .ok_or_else(|| founding("the node's identity", "its key is none"))?;
    Ok(format!("/ip4/{host}/tcp/{p2p}/p2p/{peer}"))
}

/// A validator's configuration: its ports, and every other validator as a peer.
pub(crate) fn configure(facts: &Facts, node: &NodeFacts, api: u16, p2p: u16) -> Result<(), Error> {
    let host = host(facts.namespaces, place_of(facts, node))?;
    let home = Home::at(&node.home);
    let held = match home.config().exists() {
        true => Some(Config::load(&home.config()).map_err(|e| founding("reading config.toml", e))?),
        false => None,
    };
    let mut config = held
        .clone()
        .unwrap_or_else(|| Config::new(&node.name, node_role(node.role)));
    config.p2p.listen = (host, p2p).into();
    config.p2p.peers = peers(facts, node);
    config.p2p.configured_only = facts.proxy;
    config.api.listen = (host, api).into();
    // Load comes from one address here; a limit by address would measure itself.
    config.api.rate_limit = 0;
    if held.as_ref() == Some(&config) {
        return Ok(());
    }
    config
        .save(&home.config())
        .map_err(|e| founding("writing config.toml", e))
}

/// A node's number: the next one where it is not in the facts yet.
fn place_of(facts: &Facts, node: &NodeFacts) -> usize {
    let place = facts.nodes.iter().position(|other| other.name == node.name);
    place.unwrap_or(facts.nodes.len())
}

/// Where a node dials the validators: directly, or through the proxy.
pub(crate) fn peers(facts: &Facts, node: &NodeFacts) -> Vec<String> {
    let from = place_of(facts, node);
    let others = facts.nodes.iter().enumerate();
    others
        .filter(|(_, other)| other.role == NodeRole::Validator && other.name != node.name)
        .map(|(to, other)| {
            let address = links::Link { from, to }.address().filter(|_| facts.proxy);
            match address {
                Some(address) => other.p2p.replacen("127.0.0.1", &address.to_string(), 1),
                None => other.p2p.clone(),
            }
        })
        .collect()
}

/// The authority that issues this network's simulated machines.
pub(crate) fn authority(facts: &Facts) -> Result<SimulatorAuthority, Error> {
    SimulatorAuthority::generate(seeds::derive(facts.seed, "simulator authority"), facts.time_ms)
        .map_err(|e| founding("simulator authority", e))
}

/// The file of that authority, for machines that are made outside of this tool. It protects nothing: it follows from the
/// network's seed.
///
/// # Errors
/// In practice none.
pub fn authority_file(facts: &Facts) -> Result<Vec<u8>, Error> {
    let bytes = authority(facts)?.to_bytes();
    bytes
        .map(|bytes| bytes.to_vec())
        .map_err(|e| founding("simulator authority", e))
}

/// Makes a validator that joins later: its home with the genesis, its keys sealed to a build.
pub(crate) fn join(facts: &Facts, name: &str, home: &Path, measurement: Measurement) -> Result<(), Error> {
    let authority = authority(facts)?;
    let home = Home::at(home);
    let config = JoinConfig {
        name: name.to_owned(),
        tee: Tee::Simulated {
            authority: &authority,
            generation: Generation::Genoa,
            chip_seed: seeds::derive(facts.seed, &format!("chip of {name}")),
            now_ms: facts.time_ms,
            measurement,
        },
        keys: KeyStore::Sealed,
        seeds: Some(seeds::derive(facts.seed, &format!("keys of {name}"))),
    };
    init::join(&home, config).map_err(|e| founding("a validator that joins", e))?;
    init::install_genesis(&home, &read_genesis(facts)?).map_err(|e| founding("installing the genesis", e))
}

/// Reads a file that is no longer than the longest genesis.
fn read_text(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(io_error("open", path))?;
    file.take(MAX_GENESIS_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(io_error("read", path))?;
    Ok(text)
}

pub(crate) fn founding(what: &'static str, detail: impl std::fmt::Display) -> Error {
    Error::Founding {
        what,
        detail: detail.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_seed_and_time_make_one_network_and_another_binary_makes_another() {
        let programs = tempfile::tempdir().unwrap();
        let program = |text: &str| {
            let path = programs.path().join(text);
            fs::write(&path, text).unwrap();
            path
        };
        let options = Options {
            validators: 2,
            observers: 1,
            load_accounts: 2,
            ..Options::default()
        };
        let make = |program: &Path, base| {
            let dir = tempfile::tempdir().unwrap();
            let facts = found(dir.path(), &options, program, base, 1_790_000_000_000).unwrap();
            (fs::read(&facts.genesis).unwrap(), facts, dir)
        };
        let (one, other) = (program("one"), program("other"));
        let (genesis, facts, dir) = make(&one, 26_600);
        let (again, same, _dir) = make(&one, 27_600);
        assert_eq!(genesis, again, "byte-identical");
        assert_eq!(facts.genesis_hash, same.genesis_hash);
        assert_eq!(facts.wallets[0].address, same.wallets[0].address);
        assert_ne!(facts.genesis_hash, make(&other, 26_600).1.genesis_hash);

        assert_eq!(
            read_genesis(&facts).unwrap().chain_id().to_string(),
            facts.genesis_hash
        );
        let names: Vec<_> = facts.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["val-0", "val-1", "obs-0"]);
        for (i, node) in facts.nodes.iter().enumerate() {
            let home = Home::at(&node.home);
            let config = Config::load(&home.config()).unwrap();
            assert_eq!(config.api.listen.port(), ports::api(26_600, i));
            assert_eq!(
                config.p2p.peers.len(),
                if node.role == NodeRole::Validator { 1 } else { 2 }
            );
            assert_eq!(
                home.load_genesis().unwrap().chain_id().to_string(),
                facts.genesis_hash
            );
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&dir.path().join("wallets")), mode(&facts.password_file)),
            (0o700, 0o600)
        );
        assert!(facts.wallets.iter().all(|wallet| wallet.file.exists()));
    }
}
