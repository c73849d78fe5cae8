//! One node process: its home's lock, its store, its replica, its network, its API, and a clean stop.

use std::{path::PathBuf, sync::Arc};

use tacit_consensus::{Ed25519, Ed25519Signer, Signer, trace::Tracer};
use tacit_ledger::{EvidenceVerdicts, PROTOCOL_VERSION, RocksStore, Store};
use tacit_p2p::{Identity, Multiaddr};
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use crate::{
    NodeError, admin,
    api::{ApiLimits, serve},
    clock,
    config::{Config, KeyStore, NodeSection, Role},
    edge::{GossipTokens, TimedStore, serve_network, spawn_replica},
    forecast,
    handle::{NodeHandle, ToReplica},
    home::Home,
    init,
    intake::Intake,
    keyring, logging,
    metrics::Metrics,
    recovery,
    renewal::Attester,
    replica::{History, Refused, Replica, ReplicaConfig, ValidatorParts},
    shared::{Pending, Shared, Snapshot},
    trace_file::TraceFile,
};

/// Inputs that wait for the replica before those who bring them are held up.
const INPUTS: usize = 8_192;

/// How a node is started.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Its home.
    pub home: PathBuf,
    /// What it keeps, where it is not what the configuration says.
    pub history: Option<History>,
}

/// Runs a node until SIGTERM or SIGINT, or until it cannot go on safely.
///
/// # Errors
/// By name, before anything is written or sent where possible.
pub fn run(options: RunOptions) -> Result<(), NodeError> {
    let home = Home::at(&options.home);
    if !home.config().exists() {
        return Err(NodeError::HomeMissing(options.home));
    }
    let config = Config::load(&home.config())?;
    logging::install(&config.log, &home.config())?;
    let _lock = home.lock()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .max_blocking_threads(8)
        .build()
        .map_err(|e| NodeError::Network(format!("the runtime: {e}")))?;
    runtime.block_on(serve_node(&home, config, options.history))
}

/// What a node is, read from its home.
struct Parts {
    validator: Option<ValidatorParts>,
    identity: Identity,
    node_id: [u8; 32],
    quoter: Option<Arc<dyn tacit_attest::Quoter>>,
}

fn parts(home: &Home, node: &NodeSection) -> Result<Parts, NodeError> {
    let NodeSection { name, role, keys } = node;
    if *role == Role::Observer {
        let path = home.node_seed();
        let bytes = Zeroizing::new(std::fs::read(&path).map_err(|e| NodeError::file(&path, e))?);
        let seed: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| NodeError::Corrupt(format!("{} does not hold 32 bytes", path.display())))?;
        let identity = Identity::from_seed(seed);
        return Ok(Parts {
            validator: None,
            node_id: identity.public(),
            identity,
            quoter: None,
        });
    }
    let (quoter, keyring) = match keys {
        KeyStore::Sealed => {
            if !home.keyring().exists() {
                return Err(NodeError::HomeMissing(home.root().to_path_buf()));
            }
            let (quoter, _) = init::platform(home)?;
            let keyring = keyring::open(&home.keyring(), quoter.clone())?;
            (quoter, keyring)
        }
        KeyStore::Memory => {
            let (quoter, _) = init::platform(home)?;
            let keyring = init::volatile(home, name)?;
            tracing::warn!(
                "this node's keys live in memory: it registers anew under its name, and takes a seat with them"
            );
            (quoter, keyring)
        }
    };
    let signer: Arc<dyn Signer> = Arc::new(Ed25519Signer::from_seed(keyring.identity().consensus));
    let node_signer: Arc<dyn Signer> = Arc::new(Ed25519Signer::from_seed(keyring.identity().node));
    let identity = Identity::from_seed(keyring.identity().node);
    let node_id = identity.public();
    let validator = Some(ValidatorParts {
        keyring,
        signer,
        node_signer,
    });
    Ok(Parts {
        validator,
        identity,
        node_id,
        quoter: Some(quoter),
    })
}

/// The file that the configuration wants the core's transitions in.
fn trace(home: &Home, config: &Config) -> Result<Option<Box<dyn Tracer>>, NodeError> {
    let Some(path) = &config.consensus.trace else {
        return Ok(None);
    };
    tracing::warn!(file = %path.display(), "every transition of consensus is written down: this is for tests");
    Ok(Some(Box::new(TraceFile::open(&home.root().join(path))?)))
}

async fn serve_node(home: &Home, config: Config, history: Option<History>) -> Result<(), NodeError> {
    let started_ms = clock::now_ms();
    let genesis = Arc::new(home.load_genesis()?);
    genesis.verify()?;
    let chain = genesis.chain_id();
    let Parts {
        validator,
        identity,
        node_id,
        quoter,
    } = parts(home, &config.node)?;
    let metrics = Arc::new(Metrics::new(
        env!("CARGO_PKG_VERSION"),
        option_env!("TACIT_COMMIT").unwrap_or("unknown"),
    ));
    let database = RocksStore::open(home.database())?;
    let store: Arc<dyn Store + Send + Sync> = Arc::new(TimedStore::new(database, metrics.clone()));

    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| NodeError::Entropy(e.to_string()))?;
    let consensus_key = validator.as_ref().map(|v| v.signer.public());
    let attester = match (&validator, &quoter) {
        (Some(parts), Some(quoter)) => Some(Attester::new(
            quoter.clone(),
            parts.signer.clone(),
            parts.node_signer.clone(),
            config.node.name.clone(),
            home.clone(),
        )),
        _ => None,
    };
    let origin = match &validator {
        Some(parts) => recovery::load(home, &genesis, &*store, &parts.keyring)?,
        None => None,
    };
    let replica_config = ReplicaConfig {
        genesis: genesis.clone(),
        store: store.clone(),
        scheme: Arc::new(Ed25519),
        validator,
        history: history.unwrap_or(config.storage.history.0),
        seed,
        protocols: PROTOCOL_VERSION..=PROTOCOL_VERSION,
        origin,
        verdicts: EvidenceVerdicts::default(),
        tracer: trace(home, &config)?,
    };
    let (replica, first) = Replica::open(replica_config, clock::now_ms())?;

    let record = replica.record().clone();
    let listener = tokio::net::TcpListener::bind(config.api.listen)
        .await
        .map_err(|source| NodeError::Listen {
            address: config.api.listen.to_string(),
            source,
        })?;
    let (network, events) = tacit_p2p::start(
        identity,
        tacit_p2p::Config {
            listen: listen_addresses(&config),
            bootstrap: bootstrap(home, &config)?,
            chain: chain.0,
            validators: record.validators.iter().map(|v| v.node_key.0).collect(),
            max_connections: config.p2p.max_connections,
            configured_only: config.p2p.configured_only,
            limits: tacit_p2p::Limits::default(),
        },
    )
    .map_err(|e| NodeError::Network(e.to_string()))?;

    let (head, _) = watch::channel(replica.head().height);
    let shared = Arc::new(Shared {
        name: config.node.name.clone(),
        role: config.node.role,
        node_id,
        genesis: genesis.clone(),
        chain,
        store,
        network: network.clone(),
        metrics,
        head,
        snapshot: std::sync::RwLock::new(Snapshot::default()),
        record: std::sync::RwLock::new(record),
        opener: std::sync::RwLock::new(replica.opener().map(|secret| (replica.record().epoch, secret))),
        // Set with the first effects of the replica.
        kem: std::sync::RwLock::new(None),
        intake: Intake::new(),
        pending: std::sync::Mutex::new(Pending::default()),
        system: std::sync::Mutex::default(),
        public: watch::Sender::new(Arc::new(replica.public().clone())),
        gossip: GossipTokens::default(),
        met: std::sync::Mutex::default(),
        conflicts: std::sync::Mutex::default(),
        platform: quoter.as_ref().map(|q| q.platform()),
        measurement: quoter.as_ref().and_then(|q| q.measurement()),
        consensus_key,
        draining: std::sync::atomic::AtomicBool::new(false),
        register_now: watch::Sender::new(0),
        attempt: std::sync::Mutex::default(),
        forecast: watch::Sender::new(Arc::default()),
        started_ms,
        data: home.root().to_path_buf(),
    });
    greet(&shared, &config, replica.head().height);

    let (inputs, input_queue) = mpsc::channel(INPUTS);
    let node = NodeHandle {
        shared: shared.clone(),
        replica: inputs.clone(),
    };
    let replica_thread = spawn_replica(replica, first, shared.clone(), inputs.clone(), input_queue)?;
    let (stopped, mut replica_ended) = mpsc::channel::<Result<(), Refused>>(1);
    tokio::task::spawn_blocking(move || {
        let result = replica_thread
            .join()
            .unwrap_or_else(|_| Err(Refused::new("internal", "the replica panicked")));
        let _ = stopped.blocking_send(result);
    });
    let mut feed = tokio::spawn(serve_network(node.clone(), events));
    let cleared = tokio::spawn(forget_recovery(home.clone(), shared.public.subscribe()));
    let forecasts = tokio::spawn(forecast::run(node.clone(), attester));
    let (stop_api, api_stop) = watch::channel(false);
    let admin = tokio::spawn(admin::serve(node.clone(), home.clone(), api_stop.clone()));
    let limits = ApiLimits {
        rate_limit: config.api.rate_limit,
        ..ApiLimits::default()
    };
    let api = tokio::spawn(serve(node, listener, limits, async move {
        let mut stop = api_stop;
        // An error means that the sender is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }));

    let over = first_end(wait_for_signal(), replica_ended.recv(), &mut feed).await;
    let _ = stop_api.send(true);
    let outcome = match over {
        Over::Replica(outcome) => outcome,
        Over::Told(signal) => {
            tracing::info!(signal, "stopping");
            let _ = inputs.send(ToReplica::Stop).await;
            replica_ended.recv().await.unwrap_or(Ok(()))
        }
        Over::Network => {
            let _ = inputs.send(ToReplica::Stop).await;
            let outcome = replica_ended.recv().await.unwrap_or(Ok(()));
            outcome.and(Err(Refused::new("internal", "the network's task has ended")))
        }
    };
    network.shutdown().await;
    feed.abort();
    forecasts.abort();
    cleared.abort();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), api).await;
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), admin).await;
    match outcome {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(())
        }
        Err(Refused { code, detail }) => {
            tracing::error!(code, detail, "this node cannot go on");
            Err(match code {
                "db.corrupt" => NodeError::Corrupt(detail),
                code => NodeError::Halted { code, detail },
            })
        }
    }
}

/// Why a node ends.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// A signal of this name told it to.
    Told(&'static str),
    /// Its replica did.
    Replica(Result<(), Refused>),
    /// Nothing comes from its network any more, though its replica goes on: it is better started anew.
    Network,
}

/// What ends first. A replica that ends takes the feed from the network with it, so its word counts for a while longer.
async fn first_end(
    signal: impl Future<Output = &'static str>,
    replica: impl Future<Output = Option<Result<(), Refused>>>,
    feed: impl Future,
) -> Over {
    const LAST_WORD: std::time::Duration = std::time::Duration::from_secs(1);
    let said = |outcome: Option<_>| Over::Replica(outcome.unwrap_or(Ok(())));
    tokio::pin!(signal, replica);
    tokio::select! {
        biased;
        signal = &mut signal => Over::Told(signal),
        outcome = &mut replica => said(outcome),
        _ = feed => tokio::select! {
            biased;
            signal = signal => Over::Told(signal),
            outcome = replica => said(outcome),
            () = tokio::time::sleep(LAST_WORD) => Over::Network,
        },
    }
}

/// Deletes a recovered network's beginning once its first epoch has ended.
async fn forget_recovery(home: Home, mut public: watch::Receiver<Arc<tacit_ledger::PublicState>>) {
    // An error means that the node stops.
    if public.wait_for(|state| state.current().epoch > 0).await.is_ok()
        && let Err(error) = recovery::forget(&home)
    {
        tracing::error!(%error, "the recovered state's folder could not be deleted: delete it");
    }
}

/// The first lines of a log say what runs, where, and how far it can be trusted.
fn greet(shared: &Shared, config: &Config, height: u64) {
    if let Some(origin) = &shared.genesis.origin {
        tracing::warn!(
            chain = %origin.chain,
            height = origin.executed,
            "RECOVERED: this network goes on from another one's state, which its recovery members opened"
        );
    }
    if shared.genesis.trust.simulator.is_some() {
        tracing::warn!("SIMULATED TEE: this network has no hardware protection; for development only");
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        network = shared.genesis.name,
        chain = %shared.chain,
        name = shared.name,
        role = ?shared.role,
        platform = shared.platform.map(|p| p.to_string()),
        home = %shared.data.display(),
        api = %config.api.listen,
        p2p = %config.p2p.listen,
        height,
        "tacit starts"
    );
}

fn listen_addresses(config: &Config) -> Vec<Multiaddr> {
    let (ip, port) = (config.p2p.listen.ip(), config.p2p.listen.port());
    let family = if ip.is_ipv4() { "ip4" } else { "ip6" };
    [
        format!("/{family}/{ip}/tcp/{port}"),
        format!("/{family}/{ip}/udp/{port}/quic-v1"),
    ]
    .iter()
    .filter_map(|text| text.parse().ok())
    .collect()
}

fn bootstrap(home: &Home, config: &Config) -> Result<Vec<Multiaddr>, NodeError> {
    let parse = |text: &String| {
        text.parse().map_err(|e| NodeError::Config {
            path: home.config(),
            detail: format!("p2p.peers: {text:?}: {e}"),
        })
    };
    config.p2p.peers.iter().map(parse).collect()
}

async fn wait_for_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        std::future::pending::<()>().await;
        return "never";
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_node_ends_with_its_network_and_says_what_its_replica_says() {
        let over = first_end(pending(), pending(), ready(())).await;
        assert_eq!(over, Over::Network, "a network that ended is no reason to go on");
        let halted = Err(Refused::new("db.corrupt", "a block"));
        let late = async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            Some(halted.clone())
        };
        let over = first_end(pending(), late, ready(())).await;
        assert_eq!(over, Over::Replica(halted), "its replica was the reason");
        let over = first_end(ready("SIGTERM"), pending(), ready(())).await;
        assert_eq!(over, Over::Told("SIGTERM"));
        assert_eq!(
            first_end(pending(), ready(Some(Ok(()))), pending::<()>()).await,
            Over::Replica(Ok(()))
        );
    }
}
