//! A network that people use loses all its keys: the sealed keyrings of all four validators are destroyed, and the chips
//! that they were sealed to with them. Two of its three recovery members bring the state back on four new machines:
//! balances, names, letters and rooms are there again, what was sealed to the lost chain stays closed, and everybody is
//! told. With real processes, by the commands of `docs/operators.md`.

#[allow(dead_code, reason = "the stories of the command line use the rest")]
#[path = "cli/command.rs"]
mod command;
#[path = "recovery/nodes.rs"]
mod nodes;

use std::{fs, path::Path};

use command::{Tacit, lossy};
use nodes::{Founder, free_ports};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::Value;
use tacit_ledger::{AccountKey, Action, Call, Envelope, TokenAction, seal_envelope};
use tacit_tests::network::Network;
use tacit_wallet::{Api, Transport};

/// Agreed between the founders of the new network.
const NONCE: &str = "7e117e117e117e117e117e117e117e117e117e117e117e117e117e117e117e11";
/// Epochs of this length, in milliseconds: several pass before the end, and what is recovered is of the newest.
const EPOCH_MS: u64 = 12_000;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer} in {value}"))
}

/// What the story's people have before the end, and must have after it.
struct Belongings {
    balances: Vec<String>,
    letters: Value,
    posts: Value,
    room: String,
    supply: String,
}

const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

fn belongings(tacit: &Tacit, rpc: &str, room: &str) -> Belongings {
    let ask = |args: &[&str]| tacit.json(&[args, &["--rpc", rpc]].concat());
    let balance = |name: &&str| text(&ask(&["wallet", "balance", "--as", name]), "/balance").to_owned();
    let inbox = ask(&["wallet", "inbox", "--as", "bob"]);
    let posts = ask(&["wallet", "room", "read", room, "--as", "bob"]);
    let block = ask(&["query", "block", "latest"]);
    Belongings {
        balances: PEOPLE.iter().map(balance).collect(),
        letters: inbox["letters"].clone(),
        posts: posts["posts"].clone(),
        room: room.to_owned(),
        supply: text(&block, "/executed/supply").to_owned(),
    }
}

/// People use the network across epochs.
fn use_it(tacit: &Tacit, rpc: &str) -> String {
    let run = |args: &[&str]| tacit.json(&[args, &["--rpc", rpc]].concat());
    run(&["wallet", "name", "claim", "heron", "--as", "alice"]);
    run(&["wallet", "send", "bob", "12.5", "--as", "alice"]);
    run(&["wallet", "send", "carol", "1.25", "--as", "bob"]);
    run(&["wallet", "msg", "bob", "the reeds are high", "--as", "alice"]);
    let made = run(&["wallet", "room", "create", "marsh", "--as", "alice"]);
    let room = text(&made, "/room").to_owned();
    run(&["wallet", "room", "invite", &room, "bob", "--as", "alice"]);
    run(&["wallet", "room", "post", &room, "who is there?", "--as", "alice"]);
    room
}

#[test]
fn two_of_three_members_bring_a_network_back_whose_validators_lost_all_keys() {
    let network = Network::up(|options| options.epoch_ms = EPOCH_MS);
    let folder = network.home.path().to_path_buf();
    let path = |file: &str| folder.join(file).to_str().expect("a path of text").to_owned();
    let old_home = network.testnet.dir().to_str().expect("a path of text").to_owned();
    let tacit = Tacit::at(&network.facts().binary, &folder).with_home(&old_home);
    let old_rpc = network.facts().nodes[0].rpc.clone();
    let old_chain = network.facts().genesis_hash.clone();

    let room = use_it(&tacit, &old_rpc);
    shares_are_checked_in_every_epoch(&tacit, &network, &old_rpc);
    let posted = [
        "wallet",
        "msg",
        "bob",
        "and the water low",
        "--as",
        "carol",
        "--rpc",
        &old_rpc,
    ];
    tacit.json(&posted);
    let old_envelope = old_envelope(&network);
    // A snapshot of everything that people have; then nothing more happens.
    let before = belongings(&tacit, &old_rpc, &room);

    // While a node runs, its home is its own.
    let founders: Vec<Founder> = free_ports(8)
        .chunks(2)
        .enumerate()
        .map(|(at, ports)| {
            let name = format!("new-{at}");
            Founder::init(&tacit, &folder, &name, NONCE, (ports[0], ports[1]))
        })
        .collect();
    let (genesis, state, root) = (path("new.json"), path("new.state"), path("authority.root.json"));
    let homes: Vec<String> = (0..4).map(|at| format!("{old_home}/val-{at}")).collect();
    let mut recover = vec![
        "genesis",
        "recover",
        "--name",
        "dev-risen",
        "--simulator-root",
        &root,
    ];
    recover.extend(["--out", &genesis, "--state", &state]);
    for founder in &founders {
        recover.extend(["--registration", &founder.registration]);
    }
    for home in &homes {
        recover.extend(["--from", home]);
    }
    tacit.refused(&recover, 9, "home.locked");

    (0..4).for_each(|node| network.testnet.kill(node).expect("killed"));
    for home in &homes {
        for file in ["keyring.sealed", "sim-chip.bin"] {
            fs::remove_file(Path::new(home).join(file)).expect("destroyed");
        }
        tacit.refused(&["node", "run", "--home", home], 9, "home.missing");
    }

    let recovered = tacit.json(&recover);
    assert_eq!(text(&recovered, "/lost_chain"), old_chain);
    assert_eq!(text(&recovered, "/supply"), before.supply);
    let new_chain = text(&recovered, "/genesis_hash").to_owned();
    assert_ne!(new_chain, old_chain);
    let height = recovered["height"].as_u64().expect("a height");
    assert!(height > 0, "{recovered}");
    let shown = tacit.json(&["genesis", "show", &genesis]);
    assert_eq!(text(&shown, "/recovered/chain"), old_chain);
    tacit.json(&["genesis", "verify", &genesis, "--genesis-hash", &new_chain]);

    let share = |name: &str| path(&format!("{name}.share.json"));
    let release = |name: &str, out: &str| {
        let verb = ["gov", "share", "release", &genesis, "--state", &state];
        [&verb[..], &["--as", name, "--out", out]].concat().join("\n")
    };
    let run_release = |name: &str, out: &str| {
        let line = release(name, out);
        tacit.json(&line.split('\n').collect::<Vec<_>>())
    };
    // Somebody who is no member has nothing to release.
    let faucet = release("faucet", &share("faucet"));
    tacit.refused(&faucet.split('\n').collect::<Vec<_>>(), 8, "recovery.not_member");
    let (alice, carol) = (share("alice"), share("carol"));
    assert_eq!(text(&run_release("alice", &alice), "/lost_chain"), old_chain);
    assert_eq!(text(&run_release("carol", &carol), "/network"), new_chain);

    wrong_shares_are_refused(&tacit, &founders, &genesis, &state, &alice, &carol);
    for founder in &founders {
        let mut install = vec!["node", "install", &genesis, "--home", &founder.home];
        install.extend(["--genesis-hash", &new_chain, "--state", &state]);
        install.extend(["--share", &carol, "--share", &alice]);
        founders
            .iter()
            .for_each(|one| install.extend(["--peer", &one.peer]));
        let installed = tacit.json(&install);
        assert_eq!(text(&installed, "/supply"), before.supply);
        assert_eq!(text(&installed, "/recovered/chain"), old_chain);
    }
    let nodes: Vec<_> = founders.iter().map(|founder| founder.start(&tacit)).collect();
    founders.iter().for_each(|founder| founder.until_ready(&tacit));

    // Wallets go on with the keys that they have, once their owners pin the new chain; not before.
    let rpc = founders[0].rpc.clone();
    let balance = ["wallet", "balance", "--as", "alice", "--rpc", &rpc];
    assert_ne!(
        tacit.run(&balance).status.code(),
        Some(0),
        "another chain is pinned"
    );
    tacit.json(&["wallet", "trust", "pin", &new_chain]);
    let after = belongings(&tacit, &rpc, &before.room);
    assert_eq!(after.balances, before.balances);
    assert_eq!(after.letters, before.letters, "letters open as they did");
    assert_eq!(after.posts, before.posts, "rooms too");
    assert_eq!(after.supply, before.supply);
    let resolved = tacit.json(&["wallet", "name", "resolve", "heron", "--rpc", &rpc, "--as", "bob"]);
    assert_eq!(text(&resolved, "/address"), network.address("alice").to_string());
    // And they are used again: money, letters, rooms.
    for args in [
        &["wallet", "send", "@heron", "1", "--as", "bob"][..],
        &["wallet", "msg", "bob", "we are back", "--as", "alice"],
        &["wallet", "room", "post", &before.room, "all of us", "--as", "bob"],
    ] {
        tacit.json(&[args, &["--rpc", &rpc]].concat());
    }
    let inbox = tacit.json(&["wallet", "inbox", "--as", "bob", "--rpc", &rpc]);
    let letters = inbox["letters"].as_array().expect("letters");
    assert_eq!(text(letters.last().expect("the newest"), "/text"), "we are back");

    everybody_is_told(&tacit, &founders, &old_chain, height);

    // The old envelope: another chain's by its name, and no key here opens it.
    let transport =
        tacit_wallet::HttpTransport::new(&rpc, std::time::Duration::from_secs(10)).expect("an address");
    match Api::new(&transport as &dyn Transport).submit(&old_envelope) {
        Err(error) => assert_eq!(error.code(), "tx.wrong_chain"),
        Ok(_) => panic!("an envelope of the lost chain was taken"),
    }

    // The shares and the old state are gone from the new homes once they lie under the new keys; a restart needs neither.
    for founder in &founders {
        network.until("the folder is gone", || {
            !Path::new(&founder.home).join("recovery").exists()
        });
    }
    drop(nodes);
    let _nodes: Vec<_> = founders.iter().map(|founder| founder.start(&tacit)).collect();
    founders.iter().for_each(|founder| founder.until_ready(&tacit));
    tacit.json(&["wallet", "send", "bob", "1", "--as", "alice", "--rpc", &rpc]);
    // The new network can be recovered in its turn.
    let check = tacit.json(&["gov", "share", "check", "--as", "bob", "--rpc", &rpc]);
    assert_eq!(check["checked"], true);
}

/// Each member checks its share in whatever epoch there is; somebody else has none.
fn shares_are_checked_in_every_epoch(tacit: &Tacit, network: &Network, rpc: &str) {
    let mut seen = std::collections::BTreeSet::new();
    network.until("three epochs", || {
        for name in PEOPLE {
            let check = tacit.json(&["gov", "share", "check", "--as", name, "--rpc", rpc]);
            assert_eq!(
                (&check["checked"], text(&check, "/member")),
                (&Value::Bool(true), name)
            );
            seen.insert(check["epoch"].as_u64());
        }
        seen.len() >= 3
    });
    let shown = tacit.json(&["gov", "share", "show", "--as", "carol", "--rpc", rpc]);
    assert_eq!(
        (&shown["threshold"], text(&shown, "/own")),
        (&Value::from(2), "carol")
    );
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(3));
    let nobody = ["gov", "share", "check", "--as", "faucet", "--rpc", rpc];
    tacit.refused(&nobody, 8, "recovery.not_member");
}

/// An envelope that somebody sealed to the lost chain's epoch in force.
fn old_envelope(network: &Network) -> Envelope {
    let mut wallet = network.wallet("faucet", 1);
    wallet.check().expect("the chain verifies");
    let chain = wallet.chain();
    let (epoch, key) = wallet.trust().state().sealing_key().expect("an epoch with a key");
    let stranger = AccountKey::from_seed([9; 32]).expect("a key");
    let action = Action::Token(TokenAction::Transfer {
        to: network.address("bob").account,
        amount: 1,
    });
    let call = Call::sign(&chain, &stranger, 0, 1_000, action, [3; 32]);
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let (envelope, _) = seal_envelope(&mut rng, key, &chain, epoch, 10_000, &call).expect("sealed");
    envelope
}

/// Nothing is installed but with enough good shares.
fn wrong_shares_are_refused(
    tacit: &Tacit,
    founders: &[Founder],
    genesis: &str,
    state: &str,
    alice: &str,
    carol: &str,
) {
    let home = &founders[0].home;
    let install = |shares: &[&str]| {
        let mut args = vec!["node", "install", genesis, "--home", home, "--state", state];
        shares.iter().for_each(|share| args.extend(["--share", share]));
        args.join("\n")
    };
    let refused = |shares: &[&str], exit: i32, code: &str| {
        let line = install(shares);
        let error = tacit.refused(&line.split('\n').collect::<Vec<_>>(), exit, code);
        assert!(
            !Path::new(home).join("genesis.json").exists(),
            "{code}: nothing is installed"
        );
        assert!(
            !Path::new(home).join("recovery").exists(),
            "{code}: nothing is installed"
        );
        error
    };
    tacit.refused(
        &["node", "install", genesis, "--home", home],
        9,
        "recovery.state_missing",
    );
    let few = refused(&[alice], 5, "recovery.too_few");
    let said = text(&few, "/message");
    assert!(
        said.contains("alice") && said.contains('2'),
        "who has what, and what is needed: {said}"
    );
    refused(&[alice, alice], 6, "recovery.share_repeated");
    let bent = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut share: Value =
            serde_json::from_str(&fs::read_to_string(carol).expect("a share")).expect("JSON");
        change(&mut share);
        let file = format!("{carol}.{name}");
        fs::write(&file, share.to_string()).expect("written");
        file
    };
    let flipped = bent("flipped", &|share| {
        let sealed = text(share, "/sealed/0").to_owned();
        let last = if sealed.ends_with('0') { '1' } else { '0' };
        share["sealed"][0] = format!("{}{last}", &sealed[..sealed.len() - 1]).into();
    });
    refused(&[alice, &flipped], 8, "recovery.share_sealed");
    let swapped = bent("swapped", &|share| {
        share["sealed"].as_array_mut().expect("shares").swap(0, 1)
    });
    refused(&[alice, &swapped], 8, "recovery.share_sealed");
    let older = bent("older", &|share| share["epoch"] = 1.into());
    let named = refused(&[alice, &older], 6, "recovery.share_foreign");
    assert!(text(&named, "/message").contains("carol"), "{named}");
    let elsewhere = bent("elsewhere", &|share| share["network"] = "ab".repeat(32).into());
    refused(&[alice, &elsewhere], 6, "recovery.share_foreign");
    let cut = bent("cut", &|share| {
        drop(share.as_object_mut().expect("a share").remove("sealed"))
    });
    refused(&[alice, &cut], 6, "recovery.share_damaged");
    // Another state than the one that genesis names: a byte in its last frame.
    let other = format!("{state}.other");
    let mut bytes = fs::read(state).expect("the state");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&other, bytes).expect("written");
    let line = install(&[alice, carol]).replace(&format!("--state\n{state}"), &format!("--state\n{other}"));
    tacit.refused(&line.split('\n').collect::<Vec<_>>(), 6, "recovery.state_invalid");
}

/// The mark: in the node's log and status, in what anybody queries, and in every wallet.
fn everybody_is_told(tacit: &Tacit, founders: &[Founder], old_chain: &str, height: u64) {
    for founder in founders {
        assert!(founder.said().contains("RECOVERED"), "{}", founder.said());
        for verb in [["query", "status"], ["node", "status"]] {
            let status = tacit.json(&[&verb[..], &["--rpc", &founder.rpc]].concat());
            assert_eq!(text(&status, "/recovered/chain"), old_chain);
            assert_eq!(status["recovered"]["height"], height);
        }
    }
    let rpc = &founders[1].rpc;
    let shown = tacit.json(&["wallet", "trust", "show", "--rpc", rpc]);
    assert_eq!(text(&shown, "/recovered/chain"), old_chain);
    let checked = tacit.json(&["wallet", "trust", "check", "--rpc", rpc]);
    let summary = text(&checked, "/summary");
    let mark = format!("RECOVERED from {} at height {height}", &old_chain[..8]);
    assert!(summary.contains(&mark), "{summary}");
    // Loud, quiet or not.
    let output = tacit.run(&["wallet", "balance", "--as", "bob", "--rpc", rpc, "--quiet"]);
    let said = lossy(&output.stderr);
    assert!(
        said.contains(&format!("RECOVERED from chain {old_chain} at height {height}")),
        "{said}"
    );
}
