//! A network's whole life with real processes, under wallets' load from the first to the last moment: four validators; a
//! fifth joins; one renews; one is evicted by a raised floor, and everybody knew before; all move to another build, and
//! the old one is dropped; one disk is set back; and in the end four others hold every seat. No transaction is lost, the
//! supply holds, and the chain verifies from genesis to tip.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;
use tacit_consensus::Digest;
use tacit_ledger::{PolicyApproval, SystemTx};
use tacit_testnet::{Event, Facts, LoadKind, LoadOptions, LoadReport, Testnet};
use tacit_tests::network::{Network, PATIENCE, tacit};
use tacit_wallet::{Api, Error, HttpTransport, Transport};

/// Longest wait for one step of a validator's way: an epoch's end, a snapshot, a vote, on a machine that may be busy.
const STEP: Duration = Duration::from_secs(180);
/// The name that only Milan machines' floors concern.
const EVICTED: usize = 3;

/// The story's clock and voice.
struct Story {
    network: Network,
    started: Instant,
}

impl Story {
    fn say(&self, what: impl AsRef<str>) {
        println!(
            "{:7.1} s  {}",
            self.started.elapsed().as_secs_f32(),
            what.as_ref()
        );
    }

    fn tell(started: Instant) -> impl FnMut(Event) {
        move |event| println!("{:7.1} s    {event}", started.elapsed().as_secs_f32())
    }

    fn net(&mut self) -> &mut Testnet {
        &mut self.network.testnet
    }

    /// A page of a node, which must answer.
    fn page(&self, node: usize, path: &str) -> Value {
        let transport = self.network.transport(node);
        Api::new(&*transport as &dyn Transport)
            .page(path, 0)
            .unwrap_or_else(|error| panic!("node {node}, {path}: {error}"))
    }

    fn validator(&self, node: usize, name: &str) -> Value {
        self.page(node, &format!("/v1/validators/{name}"))
    }

    /// Names of those who have seats, as a node says.
    fn seats(&self, node: usize) -> Vec<String> {
        let page = self.page(node, "/v1/validators");
        let items = page["items"].as_array().expect("a list").iter();
        let seated = items.filter(|item| !item["index"].is_null());
        let mut names: Vec<String> = seated.map(|item| text(item, "name").to_owned()).collect();
        names.sort();
        names
    }

    /// The longest time between two blocks from a height on, by their own clocks; under load it is a pause.
    fn longest_pause_ms(&self, node: usize, from: u64) -> u128 {
        let to = self.network.height(node).expect("the node answers");
        let time = |height: u64| {
            let block = self.page(node, &format!("/v1/blocks/{height}"));
            humantime::parse_rfc3339(text(&block, "time")).expect("a time")
        };
        let times: Vec<SystemTime> = (from..=to).map(time).collect();
        let pauses = times
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).expect("time grows"));
        pauses.max().expect("two blocks").as_millis()
    }

    fn supply(&self, node: usize) -> String {
        let page = self.page(node, "/v1/blocks/latest");
        text(&page["executed"], "supply").to_owned()
    }

    fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        self.network.until(what, holds);
    }

    /// Votes by now.
    fn votes(&self, node: usize) -> bool {
        self.page(node, "/v1/node")["phase"] == "voting"
    }

    fn join(&mut self) -> String {
        let tell = &mut Self::tell(self.started);
        let joined = self.net().join(STEP, tell).expect("a validator joins");
        self.say(format!(
            "{} votes, {:.1} s after its start",
            joined.name, joined.seconds
        ));
        joined.name
    }

    fn leave(&mut self, node: usize) {
        let tell = &mut Self::tell(self.started);
        let left = self.net().leave(node, STEP, tell).expect("a validator leaves");
        self.net().halt(node).expect("it is stopped");
        self.say(format!(
            "{} is out, {:.1} s after it asked",
            left.name, left.seconds
        ));
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Another build: the same program, of which the simulated platform measures other bytes.
fn second_build(folder: &Path) -> PathBuf {
    let path = folder.join("tacit-next");
    let mut bytes = fs::read(tacit()).expect("the binary");
    bytes.extend_from_slice(b"another build");
    fs::write(&path, bytes).expect("written");
    let mode = fs::metadata(tacit()).expect("the binary").permissions();
    fs::set_permissions(&path, mode).expect("it may be run");
    path
}

/// Wallets that send for as long as the story lasts, each following its transaction to a verified receipt. They move to
/// another validator when theirs is silent.
fn load(dir: &Path, stop: &AtomicBool) -> Vec<LoadReport> {
    let options = LoadOptions {
        rate: 10.0,
        seconds: 5,
        wallets: 6,
        kind: LoadKind::Transfer,
        patience: PATIENCE,
    };
    let mut reports = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let facts = Facts::read(dir).expect("the network's facts");
        reports.push(tacit_testnet::load(&facts, &options).expect("load"));
    }
    reports
}

/// The binary over what a stopped node left behind: offline, from genesis to tip.
fn verify_chain(network: &Network, node: usize) -> Value {
    let facts = network.facts();
    let home = &facts.nodes[node].home;
    let output = Command::new(tacit())
        .args(["verify", "chain", "--json", "--genesis"])
        .arg(&facts.genesis)
        .arg("--home")
        .arg(home)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (code, err) = (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(code, Some(0), "tacit verify chain: {said}{err}");
    serde_json::from_str(&said).expect("one document")
}

#[test]
fn every_seat_changes_hands_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let next = second_build(folder.path());
    let network = Network::up(|options| {
        options.milan = 1;
        options.epoch_ms = 60_000;
        options.epoch_ms_min = 2_000;
        options.load_accounts = 6;
    });
    let mut story = Story {
        network,
        started: Instant::now(),
    };
    let minted = story.supply(0);
    let (stop, dir) = (AtomicBool::new(false), story.network.testnet.dir().to_path_buf());
    let reports = thread::scope(|scope| {
        let loading = scope.spawn(|| load(&dir, &stop));
        // A story that fails must not leave the load running for ever.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(&mut story, &next)));
        stop.store(true, Ordering::Relaxed);
        let reports = loading.join().expect("the load ends");
        if let Err(panic) = told {
            println!("{reports:?}");
            std::panic::resume_unwind(panic);
        }
        reports
    });

    // Whatever was taken in is final.
    let sum = |of: fn(&LoadReport) -> u64| reports.iter().map(of).sum::<u64>();
    let (accepted, committed) = (sum(|one| one.accepted), sum(|one| one.committed));
    story.say(format!(
        "{committed} of {accepted} transactions are final, {} were not taken in",
        sum(|one| one.refused)
    ));
    assert_eq!(
        (sum(|one| one.lost), sum(|one| one.failed), sum(|one| one.expired)),
        (0, 0, 0),
        "{reports:?}"
    );
    assert_eq!(committed, accepted);
    assert!(committed > 200, "the network was under load: {reports:?}");

    // Four others hold the seats, and have the same chain and the same money.
    let last: Vec<usize> = (4..8).collect();
    assert_eq!(story.seats(4), ["val-4", "val-5", "val-6", "val-7"]);
    let head = story.network.height(4).expect("node 4 answers");
    let hash = |node: usize| text(&story.page(node, &format!("/v1/blocks/{head}")), "hash").to_owned();
    for node in &last {
        story.until("the node has caught up", || {
            story.network.height(*node) >= Some(head)
        });
        assert_eq!(hash(*node), hash(4), "block {head} of node {node}");
        assert_eq!(story.supply(*node), minted, "supply at node {node}");
    }
    let mut alice = story.network.wallet("alice", 5);
    assert!(alice.balance().expect("a private read at a newcomer").amount > 0);

    let stopped = story.network.testnet.down().expect("it stops");
    assert_eq!(stopped.killed, [""; 0], "every node ends when asked");
    let begun = Instant::now();
    let summary = verify_chain(&story.network, 4);
    story.say(format!(
        "the chain verifies in {:.1} s: {summary}",
        begun.elapsed().as_secs_f32()
    ));
}

fn tell(story: &mut Story, next: &Path) {
    let founded = story.validator(1, "val-0");
    a_fifth_joins(story);
    one_renews(story, &founded);
    one_is_evicted_after_a_forecast(story);
    all_move_to_another_build(story, next);
    one_disk_is_set_back(story);
    four_others_take_over(story);
}

fn a_fifth_joins(story: &mut Story) {
    assert_eq!(story.join(), "val-4");
    assert_eq!(story.seats(0), ["val-0", "val-1", "val-2", "val-3", "val-4"]);
    let record = story.page(0, "/v1/epochs/current");
    assert_eq!(text(&record, "reason"), "membership", "{record}");
}

/// Each validator by itself, in each epoch, with another KEM key.
fn one_renews(story: &mut Story, before: &Value) {
    story.until("val-0 attests again", || {
        let now = story.validator(1, "val-0");
        now["evidence"]["recorded_at_height"].as_u64() > before["evidence"]["recorded_at_height"].as_u64()
    });
    let now = story.validator(1, "val-0");
    assert_ne!(now["evidence"]["digest"], before["evidence"]["digest"]);
    story.say(format!(
        "val-0 attested again by itself at height {}",
        now["evidence"]["recorded_at_height"]
    ));
}

fn one_is_evicted_after_a_forecast(story: &mut Story) {
    let name = format!("val-{EVICTED}");
    let facts = story.network.facts().clone();
    let (mut alice, mut bob) = (story.network.wallet("alice", 0), story.network.wallet("bob", 1));
    let rpc = &facts.nodes[0].rpc;
    let transport = HttpTransport::new(rpc, Duration::from_secs(10)).expect("an address");
    let api = Api::new(&transport);
    let now = story.page(0, "/v1/policy");
    let mut policy: tacit_attest::Policy =
        serde_json::from_value(now["policy"].clone()).expect("the policy in force");
    policy.version = now["next_version"].as_u64().expect("a number");
    let mut raised = 0;
    for floor in &mut policy.snp.min_tcb {
        if floor.generation == tacit_attest::Generation::Milan {
            floor.microcode = u8::MAX;
            raised += 1;
        }
    }
    assert!(raised > 0, "there is a floor for Milan");
    let protocol = u16::try_from(now["protocol"].as_u64().expect("a number")).expect("a version");
    let proposal = alice
        .propose(policy, protocol, Vec::new(), false)
        .expect("alice is a member");
    api.settle(&SystemTx::Propose(proposal.clone()), STEP)
        .expect("the proposal is taken in");
    for node in 0..5 {
        story.until("every node forecasts it", || {
            let page = story.validator(node, &name);
            let sets = page["outlook"].as_array().expect("an outlook");
            let mut proposed = sets.iter().filter(|set| set["set"] == "proposed");
            proposed.any(|set| set["code"] == "attest.tcb_below_floor")
        });
    }
    story.say(format!("every node forecasts that {name} will be out"));
    let approval = bob.approve(&proposal).expect("bob is a member");
    let key = story.network.keyfile("bob").seeds.account_key().expect("a key");
    // Signed for another chain, and that signature under this chain's name.
    let elsewhere = PolicyApproval::sign(Digest([7; 32]), proposal.id(), approval.member, &key, [7; 32]);
    let claimed = PolicyApproval {
        chain: approval.chain,
        ..elsewhere
    };
    for (foreign, code) in [(elsewhere, "gov.other_chain"), (claimed, "gov.signature")] {
        let refused = api.settle(&SystemTx::Approve(foreign), STEP);
        assert!(
            matches!(&refused, Err(Error::Refused { code: said, .. }) if *said == code),
            "{code}: {refused:?}"
        );
    }
    let approve = SystemTx::Approve(approval);
    let adopted = api.settle(&approve, STEP).expect("the policy is adopted");
    let again = api.settle(&approve, STEP).expect("it is known");
    assert_eq!(
        again, adopted,
        "a replay is the same transaction, in the same block"
    );
    story.until("the epoch ends without it", || !story.seats(0).contains(&name));
    let page = story.validator(0, &name);
    assert_eq!(
        (text(&page, "status"), text(&page, "dropped_for")),
        ("dropped", "attest.tcb_below_floor")
    );
    story.until("it says so of itself", || {
        let own = story.page(EVICTED, "/v1/node");
        own["phase"] == "registered" && own["registered"]["next"]["code"] == "attest.tcb_below_floor"
    });
    story.net().halt(EVICTED).expect("it is stopped");
    story.say(format!("{name} is out"));
}

fn all_move_to_another_build(story: &mut Story, next: &Path) {
    let old = text(&story.page(0, "/v1/status")["tee"], "measurement").to_owned();
    let started = story.started;
    let build = story
        .net()
        .admit(next, STEP, &mut Story::tell(started))
        .expect("members admit it");
    assert_ne!(build.measurement, old, "two builds differ in measurement");
    let from = story.network.height(1).expect("node 1 answers");
    for node in [0, 1, 2, 4] {
        let upgraded = story
            .net()
            .upgrade(node, &build, STEP, &mut Story::tell(started))
            .expect("a validator moves to the new build");
        story.say(format!(
            "{} votes on the new build after {:.1} s",
            upgraded.name, upgraded.seconds
        ));
    }
    story.say(format!(
        "the longest pause between two blocks meanwhile was {} ms",
        story.longest_pause_ms(1, from)
    ));
    let version = story
        .net()
        .drop_old_builds(STEP)
        .expect("members drop the old one");
    assert!(version.is_some(), "there was an old one");
    let (node, seats) = (1, ["val-0", "val-1", "val-2", "val-4"]);
    assert_eq!(story.seats(node), seats);
    for name in seats {
        assert_eq!(
            text(&story.validator(node, name), "measurement"),
            build.measurement
        );
    }
    let policy = story.page(node, "/v1/policy").to_string();
    assert!(!policy.contains(&old), "the old build is dropped");
    story.say("the old build is dropped");
}

/// The node remembers less than it signed; the others tell it, and it neither votes twice nor stays out.
fn one_disk_is_set_back(story: &mut Story) {
    story.net().save_home(0).expect("a copy of its home");
    story.until("it votes again", || story.votes(0));
    let saved = story.network.height(0).expect("node 0 answers");
    story.until("the chain goes on", || story.network.height(0) > Some(saved + 20));
    story.net().rollback(0).expect("its older home is put back");
    story.until("it votes again", || story.votes(0));
    for node in [1, 2, 4] {
        let page = story.page(node, "/v1/forecast");
        let items = page["items"].as_array().expect("a list");
        let convicted = items.iter().any(|item| item["next"]["code"] == "epoch.convicted");
        assert!(!convicted, "nobody signed twice: {page}");
    }
    story.say("val-0 votes again after its disk was set back");
}

fn four_others_take_over(story: &mut Story) {
    for name in ["val-5", "val-6", "val-7"] {
        assert_eq!(story.join(), name);
    }
    for node in [0, 1, 2] {
        story.leave(node);
    }
    story.until("four others hold the seats", || {
        story.seats(4) == ["val-4", "val-5", "val-6", "val-7"]
    });
}
