//! Networks of real processes for stories: one folder each, gone afterwards, and wallets on them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, UNIX_EPOCH},
};

use serde_json::Value;
use tacit_consensus::Digest;
use tacit_testnet::{Facts, Options, Testnet};
use tacit_wallet::{
    Address, Api, Home, HttpTransport, Keyfile, Passphrase, ReceiptFile, Trust, Wallet, WalletOptions,
};

/// How long anything in a story may take before it counts as stuck. Generous: two cores may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The binary `tacit` beside the running test. `make test` builds it first.
///
/// # Panics
/// When it is not there.
pub fn tacit() -> PathBuf {
    let here = std::env::current_exe().expect("a running test has a file");
    let target = here.ancestors().nth(2).expect("tests run from <profile>/deps");
    let binary = target.join("tacit");
    assert!(
        binary.exists(),
        "{} is missing: run `make build` first",
        binary.display()
    );
    binary
}

/// A network for one test.
pub struct Network {
    /// The processes.
    pub testnet: Testnet,
    /// A home for wallets and trust.
    pub home: tempfile::TempDir,
    _dir: tempfile::TempDir,
}

impl Network {
    /// Starts one, ready.
    ///
    /// # Panics
    /// When it does not get ready.
    pub fn up(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut options = Options {
            dir: dir.path().join("net"),
            binary: tacit(),
            base_port: free_base(),
            timeout: PATIENCE,
            load_accounts: 8,
            ..Options::default()
        };
        change(&mut options);
        let testnet =
            Testnet::up(&options, &mut |event| println!("{event}")).expect("the network gets ready");
        Self {
            testnet,
            home: tempfile::tempdir().expect("a temporary folder"),
            _dir: dir,
        }
    }

    /// What `testnet.json` says.
    pub fn facts(&self) -> &Facts {
        self.testnet.facts()
    }

    /// The network's own wallets, with their password and the pinned genesis hash, on node `node`.
    ///
    /// # Panics
    /// When the wallet does not open, or the chain does not verify.
    pub fn wallet(&self, name: &str, node: usize) -> Wallet {
        let (facts, keyfile) = (self.facts(), self.keyfile(name));
        let transport = self.transport(node);
        let pin = Digest::from_hex(&facts.genesis_hash).expect("a hash");
        let trust = Trust::open(&Api::new(&*transport), &pin, None).expect("the genesis is the pinned one");
        let options = WalletOptions {
            patience: PATIENCE,
            records: Some(Home::at(self.home.path())),
            ..WalletOptions::default()
        };
        Wallet::new(&keyfile, transport, trust, options).expect("the wallet is of this chain")
    }

    /// What a wallet of the network holds, for those who sign what no wallet would.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn keyfile(&self, name: &str) -> Keyfile {
        let facts = self.facts();
        let root = facts
            .wallets
            .iter()
            .find(|w| w.name == name)
            .expect("a wallet of the network");
        let home = Home::at(root.file.ancestors().nth(2).expect("HOME/wallets/NAME.age"));
        let password = std::fs::read_to_string(&facts.password_file).expect("the password's file");
        let passphrase = Passphrase::new(password.trim_end().to_owned());
        Keyfile::open(&home, name, &passphrase).expect("the wallet opens")
    }

    /// HTTP to a node.
    ///
    /// # Panics
    /// Never on a well-formed address.
    pub fn transport(&self, node: usize) -> Arc<HttpTransport> {
        let rpc = &self.facts().nodes[node].rpc;
        Arc::new(HttpTransport::new(rpc, Duration::from_secs(10)).expect("an address"))
    }

    /// The address of one of the network's wallets.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn address(&self, name: &str) -> Address {
        let facts = self.facts();
        let wallet = facts
            .wallets
            .iter()
            .find(|w| w.name == name)
            .expect("a wallet of the network");
        wallet.address.parse().expect("an address")
    }

    /// Waits until a condition holds, asking again and again: for facts about other processes there is no event
    /// to wait for.
    ///
    /// # Panics
    /// When it does not come to hold in time.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// A node's committed height, while it answers.
    pub fn height(&self, node: usize) -> Option<u64> {
        let transport = self.transport(node);
        Api::new(&*transport)
            .status()
            .ok()
            .map(|status| status.sync.height)
    }
}

/// When a block was made, Unix milliseconds, from a page about it.
///
/// # Panics
/// When the page says no time.
pub fn block_time_ms(block: &Value) -> u64 {
    let time = block["time"].as_str().expect("a time");
    let time = humantime::parse_rfc3339(time).expect("a time");
    let since = time.duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("milliseconds")
}

/// A run of ports that no other network of this test process uses.
fn free_base() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let slot = NEXT.fetch_add(1, Ordering::Relaxed);
    // The testnet itself moves on to free ports when these are taken.
    28_000 + slot * 200 + (std::process::id() % 20) as u16 * 10
}

/// Verifies a kept receipt with nothing but the genesis file.
///
/// # Panics
/// When it does not verify.
pub fn verify_offline(receipt: &str, genesis: &Path) {
    let genesis = std::fs::read_to_string(genesis).expect("the genesis file");
    let genesis = tacit_ledger::Genesis::from_json(&genesis).expect("a genesis");
    ReceiptFile::from_json(receipt)
        .expect("a receipt file")
        .verify(&genesis)
        .expect("the receipt verifies");
}
