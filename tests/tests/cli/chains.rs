//! `tacit verify chain` on the folders of a live network.

use std::{fs, path::Path};

use serde_json::Value;
use tacit_ledger::{ChainLog, Column, Durability, RocksStore, Store, WriteBatch, digest_key, height_key};

use crate::{NOWHERE, Stage, text};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

pub(crate) fn chains_are_verified(stage: &Stage) {
    let tacit = &stage.tacit;
    let genesis = stage.path(".tacit-testnet/genesis.json");
    let hash = stage.network.facts().genesis_hash.clone();
    let home = |name: &str| stage.path(&format!(".tacit-testnet/{name}"));
    let of = |name: &str| {
        let home = home(name);
        tacit.json(&["verify", "chain", "--genesis", &genesis, "--home", &home])
    };

    // Of a node that runs: what was there when it was looked at.
    let running = of("val-0");
    assert_eq!(running["verified"], true);
    assert_eq!(text(&running, "/genesis_hash"), hash);
    let number = |value: &Value, name: &str| {
        value[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name} in {value}"))
    };
    let blocks = number(&running, "blocks");
    assert_eq!(blocks, number(&running, "height"), "all of its history");
    assert!(number(&running, "epochs") >= 2, "{running}");
    assert!(number(&running, "policies") >= 1, "{running}");
    assert!(number(&running, "envelopes") >= 10, "{running}");
    assert!(number(&running, "signatures") > 3 * blocks, "{running}");
    assert_eq!(running["public_lane_checked"], true);
    // The founders, and one that came and went.
    assert_eq!(running["validators"].as_array().map(Vec::len), Some(5));
    assert_eq!(text(&running, "/validators/0/platforms/0"), "simulated");

    // Of one that was killed, and of a copy of its database.
    tacit.json(&["testnet", "kill", "3"]);
    let killed = of("val-3");
    assert!(number(&killed, "height") >= blocks);
    let (database, data) = (stage.cwd.join(".tacit-testnet/val-3/db"), stage.path("copy"));
    copy(&database, Path::new(&data));
    tacit.json(&["testnet", "restart", "val-3"]);
    let verify = ["verify", "chain", "--genesis", &genesis, "--data", &data];
    let copied = tacit.json(&verify);
    assert_eq!(text(&copied, "/head"), text(&killed, "/head"));
    let said = tacit.text(&verify);
    assert!(said.starts_with("ok\n") && said.contains(&hash), "{said}");

    spoilt_copies_are_refused(stage, &genesis, &data);

    let with = |args: &[&str], exit: i32, code: &str| {
        let all = [&["verify", "chain"], args].concat();
        tacit.refused(&all, exit, code)
    };
    with(
        &["--genesis", &genesis, "--data", &data, "--genesis-hash", NOWHERE],
        6,
        "genesis.hash_mismatch",
    );
    let nowhere = stage.path("nowhere");
    with(&["--genesis", &genesis, "--home", &nowhere], 4, "chain.empty");
    let nothing = stage.path("nothing");
    fs::create_dir_all(&nothing).expect("a folder");
    with(
        &["--genesis", &genesis, "--data", &nothing],
        7,
        "chain.unreadable",
    );
    with(&["--genesis", &genesis], 2, "usage.missing");
    with(&["--data", &data], 2, "usage.invalid");
    let other = stage.path("small/genesis.json");
    with(&["--genesis", &other, "--data", &data], 6, "chain.foreign");
}

/// One defect each, put into the copy and taken out again.
fn spoilt_copies_are_refused(stage: &Stage, genesis: &str, data: &str) {
    let refused = |exit: i32, code: &str| {
        let args = ["verify", "chain", "--genesis", genesis, "--data", data];
        stage.tacit.refused(&args, exit, code)
    };
    let change = |column: Column, key: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
        let store = RocksStore::open(data).expect("the copy");
        let before = store.get(column, key).expect("it reads").expect("an entry");
        let mut after = before.clone();
        change(&mut after);
        let mut writes = WriteBatch::new();
        writes.put(column, key, after);
        store.commit(writes, Durability::Synced).expect("it writes");
        before
    };
    let (height, envelope) = {
        let store = RocksStore::open(data).expect("the copy");
        let log = ChainLog::new(&store);
        let full = (1..).find_map(|height| {
            let result = log
                .result(height)
                .expect("it reads")
                .expect("a block with envelopes");
            result.envelopes.first().copied().map(|id| (height, id))
        });
        full.expect("a block with envelopes")
    };
    let block = height_key(height);

    let before = change(Column::Blocks, &block, &|bytes| {
        let last = bytes.len() - 40;
        bytes[last] ^= 1;
    });
    let error = refused(6, "chain.certificate");
    assert_eq!(error["details"]["height"], height, "{error}");
    change(Column::Blocks, &block, &|bytes| bytes.clone_from(&before));

    let receipt = digest_key(&envelope);
    let before = change(Column::Receipts, &receipt, &|bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    let error = refused(6, "chain.receipts_root");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|said| said.contains("the receipts up to it give")),
        "{error}"
    );
    change(Column::Receipts, &receipt, &|bytes| bytes.clone_from(&before));
    stage
        .tacit
        .json(&["verify", "chain", "--genesis", genesis, "--data", data]);
}
