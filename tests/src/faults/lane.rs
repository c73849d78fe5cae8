//! A network for stages, the load on it, and what must hold of it afterwards.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tacit_consensus::Digest;
use tacit_testnet::{Facts, LoadKind, LoadOptions, LoadReport, Options, Percentiles, Testnet};
use tacit_wallet::{Api, HttpTransport, Transport};

use crate::{
    network::{Network, PATIENCE, block_time_ms},
    report,
};

/// One network at a time: two would share the machine, and figures would be of both.
static ALONE: Mutex<()> = Mutex::new(());

/// Transactions that each node is asked for again, at most.
const ASKED: usize = 20_000;

/// How much a run does.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Kills, at least. `TACIT_FAULTS_KILLS`.
    pub kills: usize,
    /// Transactions that are committed during the kills, at least; kills go on until then. `TACIT_FAULTS_TXS`.
    pub txs: u64,
    /// Malformed frames that are sent. `TACIT_FAULTS_FRAMES`.
    pub frames: u64,
    /// Seconds of each stage that lasts. `TACIT_FAULTS_SECONDS`.
    pub seconds: u64,
    /// Transactions a second while nodes fail; 0 for as many as the wallets can. `TACIT_FAULTS_RATE`.
    pub rate: f64,
    /// Wallets that send them. `TACIT_FAULTS_WALLETS`.
    pub wallets: u16,
}

impl Size {
    /// What CI has time for, or with `TACIT_SOAK` what a long run has; with what the environment says otherwise.
    ///
    /// # Panics
    /// On a value that is no number.
    pub fn from_env() -> Self {
        fn knob<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
            match std::env::var(format!("TACIT_FAULTS_{name}")) {
                Ok(text) => text
                    .parse()
                    .unwrap_or_else(|_| panic!("TACIT_FAULTS_{name} is no number: {text:?}")),
                Err(_) => otherwise,
            }
        }
        let usual = Self {
            kills: 20,
            txs: 200,
            frames: 100_000,
            seconds: 5,
            rate: 20.0,
            wallets: 8,
        };
        let long = Self {
            txs: 100_000,
            frames: 1_000_000,
            seconds: 30,
            rate: 0.0,
            wallets: 32,
            ..usual
        };
        let size = if report::soak() > 1 { long } else { usual };
        Self {
            kills: knob("KILLS", size.kills),
            txs: knob("TXS", size.txs),
            frames: knob("FRAMES", size.frames),
            seconds: knob("SECONDS", size.seconds),
            rate: knob("RATE", size.rate),
            wallets: knob("WALLETS", size.wallets),
        }
    }
}

impl Size {
    /// Transactions a second where flat out would measure something else, at most so many.
    pub fn gentle(&self, most: f64) -> f64 {
        match self.rate {
            0.0 => most,
            rate => rate.min(most),
        }
    }
}

/// What became of the load of a stage.
pub struct Loaded {
    /// As the load counted.
    pub report: LoadReport,
}

impl Loaded {
    /// Whatever was taken in is final, but for what a killed node took in without saying so: the wallet counts that as
    /// refused, seals the next one with the same number, and of the two one is applied.
    ///
    /// # Panics
    /// When something was lost.
    pub fn nothing_lost(&self) {
        let report = &self.report;
        assert_eq!((report.lost, report.expired), (0, 0), "{report:?}");
        assert!(report.failed <= report.refused, "{report:?}");
        assert_eq!(report.committed + report.failed, report.accepted, "{report:?}");
        assert!(report.committed > 0, "there was load: {report:?}");
    }

    /// For a stage's figures.
    pub fn figures(&self) -> Value {
        let report = &self.report;
        json!({
            "committed": report.committed,
            "lost": report.lost,
            "not taken in": report.refused,
            "commits per s": round(report.tx_per_s),
            "commit p50 ms": round(report.latency_ms.p50),
            "commit p99 ms": round(report.latency_ms.p99),
        })
    }
}

/// To one decimal: more is noise.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Percentiles in milliseconds, for a stage's figures.
pub(crate) fn percentiles(samples: &[Duration]) -> Value {
    let of = Percentiles::of(samples);
    json!({ "p50 ms": round(of.p50), "p99 ms": round(of.p99), "max ms": round(of.max), "samples": samples.len() })
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A network under test, and what it counts.
pub struct Lane {
    /// Its processes.
    pub network: Network,
    /// How much is done.
    pub size: Size,
    started: Instant,
    /// Everything that was ever committed, as wallets verified it.
    committed: Vec<Digest>,
    _alone: MutexGuard<'static, ()>,
}

impl Lane {
    /// Starts four validators with wallets for load.
    ///
    /// # Panics
    /// When they do not get ready.
    pub fn up(change: impl FnOnce(&mut Options)) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let size = Size::from_env();
        let network = Network::up(|options| {
            options.load_accounts = size.wallets.max(32);
            change(options);
        });
        Self {
            network,
            size,
            started: Instant::now(),
            committed: Vec::new(),
            _alone: alone,
        }
    }

    /// A line of the story, with the time.
    pub fn say(&self, what: impl AsRef<str>) {
        let seconds = self.started.elapsed().as_secs_f32();
        println!("{seconds:7.1} s  {}", what.as_ref());
    }

    /// The processes.
    pub fn net(&mut self) -> &mut Testnet {
        &mut self.network.testnet
    }

    /// Nodes.
    pub fn nodes(&self) -> usize {
        self.network.facts().nodes.len()
    }

    /// A page of a node, if it answers.
    pub fn try_page(&self, node: usize, path: &str) -> Option<Value> {
        let rpc = &self.network.facts().nodes[node].rpc;
        let transport = HttpTransport::new(rpc, Duration::from_secs(10)).ok()?;
        Api::new(&transport as &dyn Transport).page(path, 0).ok()
    }

    /// A page of a node that must answer.
    ///
    /// # Panics
    /// When it does not.
    pub fn page(&self, node: usize, path: &str) -> Value {
        self.try_page(node, path)
            .unwrap_or_else(|| panic!("node {node} does not answer {path}"))
    }

    /// A node's height, while it answers.
    pub fn height(&self, node: usize) -> Option<u64> {
        self.network.height(node)
    }

    /// The greatest height among nodes that answer.
    pub fn top(&self, nodes: impl IntoIterator<Item = usize>) -> u64 {
        let heights = nodes.into_iter().filter_map(|node| self.height(node));
        heights.max().unwrap_or(0)
    }

    /// Whether a node votes by now.
    pub fn votes(&self, node: usize) -> bool {
        self.try_page(node, "/v1/node")
            .is_some_and(|page| page["phase"] == "voting")
    }

    /// Whether each of the first four nodes is connected to the three others.
    pub fn is_whole(&self) -> bool {
        (0..4).all(|node| {
            self.try_page(node, "/v1/status")
                .is_some_and(|page| page["peers"].as_u64() >= Some(3))
        })
    }

    /// Waits for a fact about processes.
    ///
    /// # Panics
    /// When it does not come to hold.
    pub fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        self.network.until(what, holds);
    }

    /// Waits until a node has committed so many blocks more than now; tells how long that took.
    pub fn progress(&self, node: usize, blocks: u64) -> Duration {
        let started = Instant::now();
        let from = self.height(node).unwrap_or(0);
        self.until("new blocks are committed", || {
            self.height(node) >= Some(from + blocks)
        });
        started.elapsed()
    }

    /// Tells a story while wallets send, each following its transaction to a verified receipt, moving on to another
    /// validator when theirs is silent.
    ///
    /// # Panics
    /// As the story does; when the load cannot be put on.
    pub fn under_load<T>(&mut self, rate: f64, story: impl FnOnce(&mut Self) -> T) -> (T, Loaded) {
        let options = LoadOptions {
            rate,
            seconds: tacit_testnet::MAX_SECONDS,
            wallets: self.size.wallets,
            kind: LoadKind::Transfer,
            patience: PATIENCE,
        };
        let (stop, dir) = (AtomicBool::new(false), self.network.testnet.dir().to_path_buf());
        let (told, report) = thread::scope(|scope| {
            let loading = scope.spawn(|| {
                let facts = Facts::read(&dir).expect("the network's facts");
                tacit_testnet::load_until(&facts, &options, &stop).expect("load")
            });
            // A story that fails must not leave the load running for ever.
            let told = catch_unwind(AssertUnwindSafe(|| story(self)));
            stop.store(true, Ordering::Relaxed);
            let report = loading.join().expect("the load ends");
            (told, report)
        });
        match told {
            Ok(told) => {
                self.committed.extend(&report.ids);
                (told, Loaded { report })
            }
            Err(panic) => {
                println!("{report:?}");
                for node in 0..self.nodes() {
                    self.print_log(node);
                }
                resume_unwind(panic);
            }
        }
    }

    /// The last lines of a node's log, where a story failed.
    pub fn print_log(&self, node: usize) {
        let mut log = Vec::new();
        if self.network.testnet.logs(node, Some(25), false, &mut log).is_ok() {
            println!("---- node {node}\n{}", String::from_utf8_lossy(&log));
        }
    }

    /// How often a text stands in a node's log.
    pub fn in_log(&self, node: usize, text: &str) -> usize {
        let log = &self.network.facts().nodes[node].log;
        std::fs::read_to_string(log)
            .unwrap_or_default()
            .matches(text)
            .count()
    }

    /// These nodes have one chain, as far as they have come, and go on.
    ///
    /// # Panics
    /// When they differ, or stay behind.
    pub fn agree(&self, nodes: &[usize]) {
        let top = self.top(nodes.iter().copied());
        let hash = |node: usize, height: u64| {
            let block = self.page(node, &format!("/v1/blocks/{height}"));
            block["hash"].as_str().expect("a hash").to_owned()
        };
        let first = *nodes.first().expect("a node");
        self.until("it has caught up", || self.height(first) >= Some(top));
        let of_first = hash(first, top);
        for node in nodes {
            self.until("it has caught up", || self.height(*node) >= Some(top));
            assert_eq!(hash(*node, top), of_first, "block {top} of node {node}");
        }
    }

    /// Every transaction that a wallet was ever told of as committed is so at these nodes, at one height; of more than
    /// [`ASKED`], so many of them, evenly. Gives how many were asked for.
    ///
    /// # Panics
    /// When one is not.
    pub fn all_there(&self, nodes: &[usize]) -> usize {
        let mut heights = BTreeMap::new();
        let step = self.committed.len().div_ceil(ASKED).max(1);
        for node in nodes {
            for id in self.committed.iter().step_by(step) {
                let page = self.page(*node, &format!("/v1/txs/{id}"));
                assert_eq!(page["status"], "committed", "{id} at node {node}");
                let height = page["included"]["height"].as_u64().expect("a height");
                let known = *heights.entry(*id).or_insert(height);
                assert_eq!(height, known, "{id} at node {node}");
            }
        }
        heights.len()
    }

    /// Times of committed blocks from a height on, Unix milliseconds, by their leaders' clocks, as one node has them.
    pub fn block_times(&self, node: usize, from: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.page(node, &format!("/v1/blocks?limit=200{after}"));
            for item in page["items"].as_array().expect("blocks") {
                if item["height"].as_u64() < Some(from) {
                    times.reverse();
                    return times;
                }
                times.push(block_time_ms(item));
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => {
                    times.reverse();
                    return times;
                }
            }
        }
    }

    /// The sum of a node's samples whose name, or name with labels, this is.
    ///
    /// # Panics
    /// When the node does not answer.
    pub fn metric(&self, node: usize, name: &str) -> u64 {
        let rpc = &self.network.facts().nodes[node].rpc;
        let address = rpc.trim_start_matches("http://");
        let text = get(address, "/metrics").expect("metrics");
        let values = text.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let plain = sample.split('{').next()?;
            (sample == name || plain == name).then(|| value.parse::<f64>().ok())?
        });
        values.sum::<f64>() as u64
    }

    /// The largest resident memory of the running nodes so far, MiB: what the kernel noted (`VmHWM`, proc(5)).
    pub fn peak_rss_mib(&self) -> u64 {
        let status = self.network.testnet.status();
        let peaks = status.iter().filter_map(|node| peak_kib(node.pid?));
        peaks.max().unwrap_or(0) / 1024
    }

    /// A node's home.
    pub fn home(&self, node: usize) -> &Path {
        &self.network.facts().nodes[node].home
    }
}

/// One plain page.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
