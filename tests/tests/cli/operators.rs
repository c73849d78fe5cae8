//! Four founders make a network with their own hands: the path of `docs/operators.md`.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use serde_json::Value;
use tacit_tests::network::PATIENCE;

use crate::{
    command::{Tacit, lossy},
    membership, recovery, text,
};

/// Agreed between the founders.
const NONCE: &str = "5d0f3c1e5d0f3c1e5d0f3c1e5d0f3c1e5d0f3c1e5d0f3c1e5d0f3c1e5d0f3c1e";
const NAMES: [&str; 4] = ["ada", "ben", "cem", "dia"];

/// A node's process, killed with its test.
pub(crate) struct Node(Child);

impl Node {
    pub(crate) fn start(tacit: &Tacit, home: &str, log: &Path) -> Self {
        let log = File::create(log).expect("a log file");
        let mut command = tacit.command(&["node", "run", "--home", home, "--json"]);
        Self(
            command
                .stdout(log.try_clone().expect("a handle"))
                .stderr(log)
                .spawn()
                .expect("the node starts"),
        )
    }

    /// SIGTERM, as a service manager sends it.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill {}", self.0.id()))
            .status();
        assert!(sent.expect("a shell").success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the node does not stop");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// So many ports that nobody uses now.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let held: Vec<TcpListener> = (0..count).map(bind).collect();
    held.iter()
        .map(|one| one.local_addr().expect("bound").port())
        .collect()
}

/// Another process gives no event to wait for: it is asked again and again.
fn until_ready(tacit: &Tacit, rpc: &str, log: &Path) {
    let start = Instant::now();
    while tacit.run(&["node", "health", "--rpc", rpc]).status.code() != Some(0) {
        let said = fs::read(log).unwrap_or_default();
        assert!(start.elapsed() < PATIENCE, "not ready: {}", lossy(&said));
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

pub(crate) fn a_network_is_founded_by_hand(tacit: &Tacit, cwd: &Path) {
    let folder = cwd.join("operators");
    fs::create_dir(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).to_str().expect("text").to_owned();
    let ports = free_ports(8);
    let authority = path("authority.bin");
    let mut peers = Vec::new();
    for (name, ports) in NAMES.iter().zip(ports.chunks(2)) {
        let (home, api, p2p) = (
            path(name),
            format!("127.0.0.1:{}", ports[0]),
            format!("127.0.0.1:{}", ports[1]),
        );
        let init = [
            "node",
            "init",
            "--home",
            &home,
            "--name",
            name,
            "--tee",
            "simulated",
            "--authority",
            &authority,
            "--nonce",
            NONCE,
            "--api",
            &api,
            "--p2p",
            &p2p,
        ];
        peers.push(text(&tacit.json(&init), "/peer").to_owned());
        tacit.refused(&init, 9, "home.exists");
        tacit.refused(&["node", "run", "--home", &home], 9, "home.missing");
    }

    // Members have accounts before there is a chain.
    let (members, password) = (path("members"), path("password"));
    fs::write(&password, "known to one\n").expect("written");
    crate::set_mode(Path::new(&password), 0o600);
    let new = [
        "wallet",
        "new",
        "eve",
        "--founding",
        "dev",
        "--test-work",
        "--home",
        &members,
        "--password-file",
        &password,
    ];
    let made = tacit.json(&new);
    assert_eq!(made["chain"], Value::Null);
    let member = format!("eve={}", text(&made, "/address"));

    // Two who can bring the state back give a key each before there is a genesis.
    let holders = recovery::holders(tacit, &members, &password);

    let genesis = path("genesis.json");
    let registrations: Vec<String> = NAMES
        .iter()
        .map(|name| path(&format!("{name}/registration.json")))
        .collect();
    let root = path("authority.root.json");
    let mut create = vec![
        "genesis",
        "create",
        "--name",
        "dev-hands",
        "--simulator-root",
        &root,
        "--member",
        &member,
        "--epoch-min",
        "1s",
        "--out",
        &genesis,
    ];
    registrations
        .iter()
        .for_each(|file| create.extend(["--registration", file]));
    holders
        .iter()
        .for_each(|holder| create.extend(["--recovery-member", holder]));
    let hash = text(&tacit.json(&create), "/genesis_hash").to_owned();
    tacit.refused(&create, 9, "home.exists");
    let agreed = ["genesis", "verify", &genesis, "--genesis-hash", &hash];
    assert_eq!(
        tacit.json(&agreed)["validators"].as_array().map(Vec::len),
        Some(4)
    );

    // Each founder checks the hash that was agreed, and that the genesis is one with a seat for them.
    let first = path(NAMES[0]);
    let wrong = "bb".repeat(32);
    let other = cwd
        .join(".tacit-testnet/genesis.json")
        .to_str()
        .expect("text")
        .to_owned();
    let install = [
        "node",
        "install",
        &genesis,
        "--home",
        &first,
        "--genesis-hash",
        &wrong,
    ];
    tacit.refused(&install, 6, "genesis.hash_mismatch");
    tacit.refused(
        &["node", "install", &other, "--home", &first],
        9,
        "home.chain_mismatch",
    );
    for name in NAMES {
        let home = path(name);
        let mut install = vec![
            "node",
            "install",
            &genesis,
            "--home",
            &home,
            "--genesis-hash",
            &hash,
        ];
        peers.iter().for_each(|peer| install.extend(["--peer", peer]));
        tacit.json(&install);
    }

    let log = |name: &str| folder.join(format!("{name}.log"));
    let mut nodes: Vec<Node> = NAMES
        .iter()
        .map(|name| Node::start(tacit, &path(name), &log(name)))
        .collect();
    let rpc = format!("http://127.0.0.1:{}", ports[0]);
    until_ready(tacit, &rpc, &log(NAMES[0]));
    let status = tacit.json(&["query", "status", "--rpc", &rpc]);
    assert_eq!(
        (text(&status, "/genesis_hash"), &status["epoch"]["number"]),
        (hash.as_str(), &Value::from(1))
    );
    tacit.refused(&["node", "run", "--home", &first], 9, "home.locked");

    // The only member changes the policy alone, in the chain's own time.
    let policy = path("policy.json");
    let mut changed = tacit.json(&["attest", "policy", "show", "--rpc", &rpc]);
    changed["block_age_max"] = 500.into();
    fs::write(&policy, changed.to_string()).expect("written");
    let as_eve = [
        "--as",
        "eve",
        "--home",
        &members,
        "--password-file",
        &password,
        "--rpc",
        &rpc,
    ];
    let propose = [
        &["gov", "propose", &policy][..],
        &as_eve,
        &["--genesis-hash", &hash],
    ]
    .concat();
    let proposed = tacit.json(&propose);
    assert_eq!(
        (&proposed["adopted"], &proposed["threshold"]),
        (&Value::Bool(true), &Value::from(1))
    );
    // Anybody brings what the vendor signed, here the simulator; twice is no failure.
    let collateral = path("authority.collateral.json");
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let check = ["attest", "collateral", "check", &collateral, "--at", &now];
    let checked = tacit.json(&[&check[..], &["--genesis", &genesis]].concat());
    assert_eq!(checked["documents"].as_array().map(Vec::len), Some(4));
    // Without the dev genesis nobody vouches for a simulator.
    assert_eq!(tacit.run(&check).status.code(), Some(6));
    let push = ["attest", "collateral", "push", &collateral, "--rpc", &rpc];
    let pushed = tacit.json(&push);
    let documents = pushed["documents"].as_array().expect("documents");
    assert_eq!(documents.len(), 4);
    assert!(documents.iter().all(|one| one["verdict"] == "taken"), "{pushed}");
    // Once more, it is the same transactions, which are final already.
    assert_eq!(tacit.json(&push), pushed);

    let pinned = [&as_eve[..], &["--genesis-hash", &hash]].concat();
    recovery::shares_are_shown_and_checked(tacit, &pinned);

    // An observer needs no TEE and no seat.
    let observer = path("obs");
    tacit.json(&[
        "node",
        "init",
        "--home",
        &observer,
        "--name",
        "obs",
        "--observer",
        "--genesis",
        &genesis,
    ]);

    let genesis_and_peers = (genesis.as_str(), peers.as_slice());
    membership::a_validator_comes_and_goes(tacit, &folder, &authority, genesis_and_peers, &rpc);

    // SIGTERM is a request, answered with success.
    let last = nodes.pop().expect("four nodes");
    let ended = last.terminate();
    let said = fs::read_to_string(log(NAMES[3])).expect("a log");
    assert_eq!(ended.code(), Some(0), "{said}");
    assert!(said.contains("{\"stopped\":true}"), "{said}");
    tacit.count(&["node", "run"]);

    // The keyring opens on its own chip alone: neither beside another one, nor without any.
    let (home, moved) = (path(NAMES[3]), path("moved"));
    fs::create_dir(&moved).expect("a folder");
    for file in [
        "config.toml",
        "genesis.json",
        "keyring.sealed",
        "registration.json",
    ] {
        fs::copy(Path::new(&home).join(file), Path::new(&moved).join(file)).expect("copied");
    }
    tacit.refused(&["node", "run", "--home", &moved], 8, "key.sealed_elsewhere");
    let chip = Path::new(&first).join("sim-chip.bin");
    fs::copy(chip, Path::new(&moved).join("sim-chip.bin")).expect("copied");
    tacit.refused(&["node", "run", "--home", &moved], 8, "key.other_chip");

    // A database never meets the genesis of another chain.
    fs::copy(&other, Path::new(&home).join("genesis.json")).expect("copied");
    tacit.refused(&["node", "run", "--home", &home], 9, "home.chain_mismatch");
    tacit.refused(
        &["node", "install", &genesis, "--home", &home],
        9,
        "home.chain_mismatch",
    );
    fs::copy(&genesis, Path::new(&home).join("genesis.json")).expect("copied");
    let again = Node::start(tacit, &home, &log(NAMES[3]));
    until_ready(tacit, &format!("http://127.0.0.1:{}", ports[6]), &log(NAMES[3]));
    nodes.push(again);
    for node in nodes {
        assert_eq!(node.terminate().code(), Some(0));
    }
    let lost = recovery::Lost {
        folder: &folder,
        homes: NAMES.map(path),
        members: &members,
        password: &password,
        chain: &hash,
    };
    recovery::the_state_is_brought_into_another_network(tacit, &lost);
}
