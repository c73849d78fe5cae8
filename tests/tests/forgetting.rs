//! Thieves at a network of real processes: they copy whole homes, are given the sealing keys of all platforms, and open what
//! they can. While an epoch runs, that is everything sealed to it; once the next one has begun, nothing. And a disk that is
//! carried to another machine, or started by another program, says which of the two it is.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tacit_attest::{Measurement, SimulatedChip, SimulatedQuoter};
use tacit_consensus::Epoch;
use tacit_ledger::{ChainLog, EpochRecord, RocksStore};
use tacit_node::keyring::SealedFile;
use tacit_tests::{network::Network, sim::loot::Chain};
use tacit_wallet::{Api, Transport};

/// Long enough for every validator to renew its KEM key within an epoch, in milliseconds.
const EPOCH_MS: u64 = 15_000;

/// Copies of the homes of all validators, of one moment.
struct Copies {
    folder: tempfile::TempDir,
    nodes: usize,
    measurement: Measurement,
}

impl Copies {
    /// Stops all validators by force, copies their homes, and starts them again.
    fn take(network: &Network) -> Self {
        let facts = network.facts();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let nodes = facts.validators().count();
        (0..nodes).for_each(|node| network.testnet.kill(node).expect("a validator is killed"));
        for (index, node) in facts.validators().enumerate() {
            copy(&node.home, &folder.path().join(index.to_string()));
        }
        for node in 0..nodes {
            network.testnet.restart(node).expect("a validator starts again");
        }
        let mut measurement = [0; 48];
        hex::decode_to_slice(&facts.measurement, &mut measurement).expect("a measurement");
        Self {
            folder,
            nodes,
            measurement: Measurement(measurement),
        }
    }

    fn home(&self, node: usize) -> PathBuf {
        self.folder.path().join(node.to_string())
    }

    /// What the sealing keys of the platforms open.
    fn keyrings(&self) -> Vec<Vec<u8>> {
        let open = |node| {
            let fuses = fs::read(self.home(node).join("sim-chip.bin")).expect("the chip's fuses");
            let chip = SimulatedChip::from_bytes(&fuses).expect("a chip");
            let quoter = Arc::new(SimulatedQuoter::new(chip, self.measurement));
            let sealed = SealedFile::new(self.home(node).join("keyring.sealed"), quoter);
            sealed.load().expect("a keyring that opens").to_vec()
        };
        (0..self.nodes).map(open).collect()
    }

    fn database(&self, node: usize) -> RocksStore {
        RocksStore::open_read_only(self.home(node).join("db")).expect("a database")
    }

    /// Whether these bytes stand anywhere in the copies, in the clear.
    fn show(&self, secret: &[u8]) -> bool {
        let mut files = vec![self.folder.path().to_path_buf()];
        while let Some(path) = files.pop() {
            if path.is_dir() {
                files.extend(entries(&path));
            } else if fs::read(&path)
                .expect("readable")
                .windows(secret.len())
                .any(|window| window == secret)
            {
                return true;
            }
        }
        false
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in entries(from) {
        let name = path.file_name().expect("a name");
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            // A socket is nothing to steal.
            false if !path.is_file() => {}
            false => {
                fs::copy(&path, to.join(name)).expect("copied");
            }
        }
    }
}

fn epoch(network: &Network) -> Epoch {
    let transport = network.transport(0);
    let page = Api::new(&*transport as &dyn Transport).page("/v1/epochs/current", 0);
    page.ok().and_then(|page| page["number"].as_u64()).unwrap_or(0)
}

/// Whether nobody's KEM key in `record` is one of `before`.
fn rotated(before: &EpochRecord, record: &EpochRecord) -> bool {
    let keys: BTreeSet<_> = before.kem_keys().into_iter().collect();
    record.kem_keys().iter().all(|key| !keys.contains(key))
}

#[test]
fn stolen_homes_open_the_running_epoch_and_none_that_is_over() {
    let network = Network::up(|options| options.epoch_ms = EPOCH_MS);
    let mut alice = network.wallet("alice", 0);
    let bob = network.address("bob");
    // An epoch may end between its transfers and the theft: then the next one is robbed.
    let (before, newest) = loop {
        for _ in 0..3 {
            alice.transfer(&bob, 1_000).expect("a transfer is confirmed");
        }
        let copies = Copies::take(&network);
        let chain = Chain::of(&copies.database(0));
        let (newest, _) = chain.envelopes.last_key_value().expect("an epoch with envelopes");
        if chain
            .records
            .last_key_value()
            .is_some_and(|(epoch, _)| epoch == newest)
        {
            break (copies, *newest);
        }
    };
    // The epoch after the one in which the copies were taken, and one more: renewals may have been cut off by the kill.
    network.until("epochs go by", || epoch(&network) >= newest + 3);
    alice.transfer(&bob, 1_000).expect("a transfer is confirmed");
    let after = Copies::take(&network);

    let store = after.database(0);
    let chain = Chain::of(&store);
    let links = ChainLog::new(&store)
        .epochs_from(1, usize::MAX)
        .expect("readable");
    // Every validator had renewed its key by then, without being told.
    let forgotten = links
        .windows(2)
        .filter(|pair| rotated(&pair[0].record, &pair[1].record))
        .map(|pair| pair[0].record.epoch)
        .max()
        .expect("an epoch after which all keys had changed");
    assert!(
        forgotten >= newest,
        "epoch {newest} is not forgotten: up to {forgotten}"
    );
    let (then, later) = (before.keyrings(), after.keyrings());

    let (open, all) = chain.opened(&then, newest);
    assert!(
        open == all && all > 0,
        "the control: {open} of {all} open with the keyrings of that epoch"
    );
    for old in chain.envelopes.keys().copied().filter(|old| *old <= forgotten) {
        let (open, all) = chain.opened(&later, old);
        assert_eq!(open, 0, "{open} of {all} envelopes of epoch {old} open later");
    }
    // What was erased, and what never was to be readable, is in no file: neither in the keyrings nor in what databases
    // leave behind.
    for (epoch, secret) in chain.secrets(&then) {
        assert!(
            !after.show(&secret.to_bytes()[..]),
            "the secret of epoch {epoch} is on a disk"
        );
        assert!(!before.show(&secret.to_bytes()[..]), "it was in the clear");
    }
    for node in 0..4 {
        let (open, all) = chain.states(&then, &after.database(node));
        assert_eq!(
            open, 0,
            "{open} of {all} frames and checkpoints of node {node} open with old keys"
        );
        let (open, all) = chain.states(&later, &after.database(node));
        assert!(
            open == all && all > 0,
            "the control: {open} of {all} open with the new ones"
        );
    }

    moved_disks_say_so(&network, &after);
}

/// A home in another machine, and one that another program starts: what the command says, and that it goes no further.
fn moved_disks_say_so(network: &Network, copies: &Copies) {
    let run = |binary: &Path, home: &Path| {
        let output = Command::new(binary)
            .args(["node", "run", "--home"])
            .arg(home)
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(8), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("tacit node rejoin"), "{said}");
        said
    };
    let binary = &network.facts().binary;
    let upgraded = copies.folder.path().join("tacit-next");
    let mut program = fs::read(binary).expect("the program");
    program.extend_from_slice(b"another build");
    fs::write(&upgraded, program).expect("written");
    let mode = fs::metadata(binary).expect("the program").permissions();
    fs::set_permissions(&upgraded, mode).expect("executable");
    let said = run(&upgraded, &copies.home(2));
    assert!(said.contains("key.other_measurement"), "{said}");

    fs::copy(
        copies.home(1).join("sim-chip.bin"),
        copies.home(0).join("sim-chip.bin"),
    )
    .expect("copied");
    let said = run(binary, &copies.home(0));
    assert!(said.contains("key.other_chip"), "{said}");
}
