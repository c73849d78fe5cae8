//! Validators come and go by the command line, and whoever is refused is told exactly why, can fix it, and tries again.

use std::{fs, path::Path, time::Instant};

use serde_json::{Value, json};
use tacit_tests::network::{Network, PATIENCE};

use crate::{
    Stage,
    command::{Tacit, lossy},
    operators::{Node, free_ports},
    text,
};

/// A validator that joins: its home, where it serves, its log.
struct Joiner {
    home: String,
    rpc: String,
    log: std::path::PathBuf,
}

impl Joiner {
    /// `node init --join`.
    fn init(
        tacit: &Tacit,
        folder: &Path,
        name: &str,
        authority: &str,
        genesis: &str,
        peers: &[String],
    ) -> Self {
        let home = folder.join(name).to_str().expect("text").to_owned();
        let ports = free_ports(2);
        let (api, p2p) = (
            format!("127.0.0.1:{}", ports[0]),
            format!("127.0.0.1:{}", ports[1]),
        );
        let mut words = vec![
            "node",
            "init",
            "--home",
            &home,
            "--name",
            name,
            "--join",
            "--tee",
            "simulated",
            "--authority",
            authority,
            "--genesis",
            genesis,
            "--api",
            &api,
            "--p2p",
            &p2p,
        ];
        peers.iter().for_each(|peer| words.extend(["--peer", peer]));
        let made = tacit.json(&words);
        assert_eq!(text(&made, "/role"), "validator");
        assert_eq!(text(&made, "/operator_key").len(), 64);
        tacit.refused(&words, 9, "home.exists");
        Self {
            log: folder.join(format!("{name}.log")),
            home,
            rpc: format!("http://{api}"),
        }
    }

    fn start(&self, tacit: &Tacit) -> Node {
        let node = Node::start(tacit, &self.home, &self.log);
        let start = Instant::now();
        while tacit.run(&["node", "status", "--rpc", &self.rpc]).status.code() != Some(0) {
            let said = fs::read(&self.log).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "it does not serve: {}", lossy(&said));
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
        node
    }

    fn join(&self) -> [&str; 6] {
        ["node", "join", "--home", &self.home, "--timeout", "120s"]
    }
}

/// Waits until a page of a node shows what it should.
fn until(tacit: &Tacit, what: &str, args: &[&str], holds: impl Fn(&Value) -> bool) {
    let start = Instant::now();
    loop {
        let page = tacit.json(args);
        if holds(&page) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {page}");
        std::thread::park_timeout(std::time::Duration::from_millis(200));
    }
}

/// On the network that four founders made by hand.
pub(crate) fn a_validator_comes_and_goes(
    tacit: &Tacit,
    folder: &Path,
    authority: &str,
    (genesis, peers): (&str, &[String]),
    rpc: &str,
) {
    let eli = Joiner::init(tacit, folder, "eli", authority, genesis, peers);
    // Nobody is there yet to be told anything.
    tacit.refused(&eli.join(), 3, "rpc.unreachable");
    tacit.refused(&["node", "drain", "--home", &eli.home], 3, "admin.unreachable");
    let node = eli.start(tacit);
    let joined = tacit.json(&eli.join());
    assert_eq!(
        (text(&joined, "/phase"), &joined["seat"]),
        ("voting", &json!(4)),
        "{joined}"
    );
    let steps = joined["steps"].as_array().expect("steps");
    assert!(
        !steps.is_empty() && steps.iter().all(|step| step["height"].is_u64()),
        "{joined}"
    );
    let page = tacit.json(&["query", "validator", "eli", "--rpc", rpc]);
    assert_eq!((text(&page, "/status"), &page["index"]), ("active", &json!(4)));
    let seen = tacit.json(&["query", "forecast", "--rpc", rpc]);
    assert_eq!((&seen["seats"], &seen["quorum"]), (&json!(5), &json!(4)));

    // Who is about to stop takes nothing new, and says when it has finished.
    let drained = tacit.json(&["node", "drain", "--home", &eli.home]);
    assert_eq!(
        (&drained["draining"], &drained["pending"]),
        (&json!(true), &json!(0))
    );
    let health = tacit.run(&["node", "health", "--rpc", &eli.rpc, "--json"]);
    assert_eq!(health.status.code(), Some(3));
    assert!(
        lossy(&health.stdout).contains("node.draining"),
        "{}",
        lossy(&health.stdout)
    );
    tacit.json(&["node", "drain", "--home", &eli.home, "--cancel"]);

    // Only its operator takes it off.
    let key = format!("{}/operator.key", eli.home);
    let other = folder.join("ada/operator.key").to_str().expect("text").to_owned();
    let leave = [
        "node",
        "leave",
        "--home",
        &eli.home,
        "--rpc",
        rpc,
        "--timeout",
        "120s",
    ];
    tacit.refused(
        &[&leave[..], &["--operator-key", &other]].concat(),
        8,
        "key.operator",
    );
    tacit.refused(
        &[&leave[..], &["--operator-key", "nowhere"]].concat(),
        8,
        "key.operator",
    );
    crate::set_mode(Path::new(&key), 0o644);
    tacit.refused(&leave, 8, "key.file_mode");
    crate::set_mode(Path::new(&key), 0o600);
    let left = tacit.json(&[&leave[..], &["--wait"]].concat());
    assert_eq!(text(&left, "/status"), "left", "{left}");
    // Asked again, it is the same wish, and has been heard.
    assert_eq!(tacit.json(&leave)["id"], left["id"]);
    until(
        tacit,
        "it knows that it has left",
        &["query", "node", "--rpc", &eli.rpc],
        |page| page["phase"] == "left",
    );

    // Its operator brings it back, with other keys as well as with the same.
    tacit.refused(&["node", "rejoin", "--home", &eli.home], 9, "home.locked");
    assert_eq!(node.terminate().code(), Some(0));
    let before = fs::read(Path::new(&eli.home).join("keyring.sealed")).expect("a keyring");
    let again = tacit.json(&["node", "rejoin", "--home", &eli.home]);
    assert_ne!(text(&again, "/consensus_key"), text(&page, "/id"));
    assert_ne!(
        fs::read(Path::new(&eli.home).join("keyring.sealed")).expect("a keyring"),
        before
    );
    let node = eli.start(tacit);
    let joined = tacit.json(&eli.join());
    assert_eq!(text(&joined, "/phase"), "voting", "{joined}");
    assert_eq!(
        tacit.json(&["query", "validator", "eli", "--rpc", rpc])["id"],
        again["consensus_key"]
    );
    let left = tacit.json(&[&leave[..], &["--wait"]].concat());
    assert_eq!(text(&left, "/status"), "left", "{left}");
    assert_eq!(node.terminate().code(), Some(0));
    let missing = folder.join("obs").to_str().expect("text").to_owned();
    tacit.refused(&["node", "join", "--home", &missing], 9, "home.missing");
}

/// Every kind of refusal that a joiner can meet, each with its own code, and the way out of it.
#[test]
fn who_is_refused_is_told_why_and_can_try_again() {
    let network = Network::up(|options| {
        options.tdx = 1;
        options.load_accounts = 0;
        options.epoch_ms_min = 1_000;
    });
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::over(network, folder.path());
    let tacit = &stage.tacit;
    let facts = stage.network.facts().clone();
    let genesis = facts.genesis.to_str().expect("text").to_owned();
    let peers: Vec<String> = facts.validators().map(|node| node.p2p.clone()).collect();
    let authority = stage.path("authority.bin");
    fs::write(
        &authority,
        tacit_testnet::authority(&facts).expect("an authority"),
    )
    .expect("written");
    let init =
        |name: &str, authority: &str| Joiner::init(tacit, folder.path(), name, authority, &genesis, &peers);

    // A machine that another authority vouches for: its evidence proves nothing here.
    let foreign = init("foreign", &stage.path("foreign.bin"));
    let node = foreign.start(tacit);
    let refused = tacit.run(&[&foreign.join()[..], &["--json"]].concat());
    let said: Value = serde_json::from_slice(&refused.stdout).expect("one document");
    assert_eq!(refused.status.code(), Some(6), "{said}");
    assert!(text(&said, "/error/code").starts_with("attest."), "{said}");
    assert_eq!(text(&said, "/error/details/why"), "join");
    assert_eq!(node.terminate().code(), Some(0));

    // Somebody else's name.
    let taken = init("val-1", &authority);
    let node = taken.start(tacit);
    tacit.refused(&taken.join(), 5, "register.name_taken");
    assert_eq!(node.terminate().code(), Some(0));

    // The chip of a validator that is registered.
    let twin = init("twin", &authority);
    let chip = facts.nodes[1].home.join("sim-chip.bin");
    fs::copy(chip, Path::new(&twin.home).join("sim-chip.bin")).expect("copied");
    tacit.refused(&["node", "run", "--home", &twin.home], 8, "key.other_chip");
    tacit.json(&["node", "rejoin", "--home", &twin.home]);
    let node = twin.start(tacit);
    tacit.refused(&twin.join(), 5, "register.duplicate_chip");
    assert_eq!(node.terminate().code(), Some(0));

    // Without the operator's word nobody takes a name; with it, the same node goes in.
    let mute = init("mute", &authority);
    let (key, hidden) = (format!("{}/operator.key", mute.home), stage.path("operator.key"));
    fs::rename(&key, &hidden).expect("moved");
    let node = mute.start(tacit);
    tacit.refused(&mute.join(), 8, "key.operator");
    fs::rename(&hidden, &key).expect("moved back");
    assert_eq!(text(&tacit.json(&mute.join()), "/phase"), "voting");
    let leave = [
        "node",
        "leave",
        "--home",
        &mute.home,
        "--wait",
        "--timeout",
        "120s",
    ];
    assert_eq!(text(&tacit.json(&leave), "/status"), "left");
    assert_eq!(node.terminate().code(), Some(0));

    too_many_of_one_vendor(&stage, &init("late", &authority));
    a_build_that_nobody_admitted(&stage, folder.path(), &authority, &genesis, &peers);
}

/// Three of four are AMD's. A fourth of five would be more than members allow: registered, and without a seat.
fn too_many_of_one_vendor(stage: &Stage, late: &Joiner) {
    let tacit = &stage.tacit;
    let adopt = |name: &str, share: u64| {
        let mut policy = tacit.json(&["attest", "policy", "show"]);
        policy["vendor_share_max"] = share.into();
        let path = stage.path(name);
        fs::write(&path, policy.to_string()).expect("written");
        let proposed = tacit.json(&["gov", "propose", &path, "--as", "alice"]);
        tacit.json(&["gov", "approve", text(&proposed, "/id"), "--as", "bob"]);
        let version = proposed["version"].clone();
        until(tacit, "the policy is in force", &["query", "policy"], |page| {
            page["version"] == version
        });
    };
    adopt("few.json", 79);
    let node = late.start(tacit);
    let words = ["node", "join", "--home", &late.home, "--timeout", "20s"];
    let waits = tacit.refused(&words, 3, "wait.timeout");
    assert_eq!(
        (text(&waits, "/details/phase"), text(&waits, "/details/next/code")),
        ("registered", "policy.vendor_share"),
        "{waits}"
    );
    adopt("all.json", 100);
    assert_eq!(text(&tacit.json(&late.join()), "/phase"), "voting");
    assert_eq!(node.terminate().code(), Some(0));
}

/// Another build measures otherwise. Once members admit it, the node that was refused goes in as it is.
fn a_build_that_nobody_admitted(
    stage: &Stage,
    folder: &Path,
    authority: &str,
    genesis: &str,
    peers: &[String],
) {
    let other = folder.join("tacit-other");
    let mut bytes = fs::read(&stage.network.facts().binary).expect("the binary");
    bytes.extend_from_slice(b"another build");
    fs::write(&other, bytes).expect("written");
    crate::set_mode(&other, 0o755);
    let tacit = &stage.tacit;
    let built = Tacit::at(&other, folder).with_home(stage.network.testnet.dir().to_str().expect("text"));
    let new = Joiner::init(&built, folder, "new", authority, genesis, peers);
    let node = new.start(&built);
    built.refused(&new.join(), 6, "attest.measurement_unknown");
    // A home that one build sealed is closed to the other.
    tacit.refused(&["node", "run", "--home", &new.home], 9, "home.locked");

    let mut policy = tacit.json(&["attest", "policy", "show"]);
    let own = tacit.json(&["query", "node", "--rpc", &new.rpc]);
    assert_eq!(text(&own, "/phase"), "following");
    let status = tacit.json(&["node", "status", "--rpc", &new.rpc]);
    let entries = policy["measurements"].as_array_mut().expect("entries");
    let mut entry = entries
        .iter()
        .find(|one| one["platform"] == "simulated")
        .expect("an entry")
        .clone();
    entry["value"] = status["tee"]["measurement"].clone();
    entries.push(entry);
    let path = stage.path("admit.json");
    fs::write(&path, policy.to_string()).expect("written");
    let proposed = tacit.json(&["gov", "propose", &path, "--as", "carol"]);
    tacit.json(&["gov", "approve", text(&proposed, "/id"), "--as", "alice"]);
    let version = proposed["version"].clone();
    until(tacit, "the policy is in force", &["query", "policy"], |page| {
        page["version"] == version
    });
    assert_eq!(text(&built.json(&new.join()), "/phase"), "voting");
    assert_eq!(node.terminate().code(), Some(0));
    tacit.refused(&["node", "run", "--home", &new.home], 8, "key.other_measurement");
}
