//! Recovery by hand: the commands of members and founders, each as a script uses it. Whether people have everything back
//! is the story of `recovery.rs` beside this folder.

use std::path::Path;

use serde_json::Value;

use crate::{command::Tacit, text};

/// Agreed between the new founders.
const NONCE: &str = "0ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff10ff1";
const HOLDERS: [&str; 2] = ["eve", "fay"];

/// Options with which a member opens its wallet.
fn as_member<'a>(name: &'a str, members: &'a str, password: &'a str) -> [&'a str; 6] {
    ["--as", name, "--home", members, "--password-file", password]
}

/// What each member gives for the genesis: its name and the file of its key.
pub(crate) fn holders(tacit: &Tacit, members: &str, password: &str) -> Vec<String> {
    let fay = as_member("fay", members, password);
    let new = ["wallet", "new", "fay", "--founding", "dev", "--test-work"];
    tacit.json(&[&new[..], &fay[2..]].concat());
    let give = |name: &&str| {
        let options = as_member(name, members, password);
        let file = format!("{members}/{name}.key");
        let shown = tacit.json(&[&["gov", "share", "key"][..], &options].concat());
        let key = tacit.json(&[&["gov", "share", "key", "--out", &file][..], &options].concat());
        assert_eq!(shown["recovery_key"], key["recovery_key"]);
        assert_eq!(text(&key, "/recovery_key").len(), 2 * 1216);
        format!("{name}={file}")
    };
    HOLDERS.iter().map(give).collect()
}

/// On the running network; `as_eve` are the options with which eve opens her wallet, its node and its pin.
pub(crate) fn shares_are_shown_and_checked(tacit: &Tacit, as_eve: &[&str]) {
    let shown = tacit.json(&[&["gov", "share", "show"][..], as_eve].concat());
    assert_eq!(
        (text(&shown, "/own"), &shown["threshold"]),
        ("eve", &Value::from(2))
    );
    let names: Vec<&str> = (0..2).map(|at| text(&shown["members"][at], "/name")).collect();
    assert_eq!(names, HOLDERS);
    let checked = tacit.json(&[&["gov", "share", "check"][..], as_eve].concat());
    assert_eq!(
        (&checked["checked"], &checked["number"]),
        (&Value::Bool(true), &Value::from(1))
    );
}

/// A network that is to be lost.
pub(crate) struct Lost<'a> {
    pub(crate) folder: &'a Path,
    /// Its validators' homes.
    pub(crate) homes: [String; 4],
    pub(crate) members: &'a str,
    pub(crate) password: &'a str,
    pub(crate) chain: &'a str,
}

/// One new founder is enough to see what each command says.
pub(crate) fn the_state_is_brought_into_another_network(tacit: &Tacit, lost: &Lost<'_>) {
    let path = |name: &str| lost.folder.join(name).to_str().expect("text").to_owned();
    let (home, authority) = (path("gil"), path("authority.bin"));
    let init = [
        "node",
        "init",
        "--name",
        "gil",
        "--tee",
        "simulated",
        "--nonce",
        NONCE,
    ];
    tacit.json(&[&init[..], &["--home", &home, "--authority", &authority]].concat());
    let (genesis, state, registration) = (
        path("risen.json"),
        path("risen.state"),
        format!("{home}/registration.json"),
    );
    let mut recover = vec![
        "genesis",
        "recover",
        "--registration",
        &registration,
        "--name",
        "dev-risen",
    ];
    recover.extend(["--out", &genesis, "--state", &state]);
    let from: Vec<&str> = lost
        .homes
        .iter()
        .flat_map(|home| ["--from", home.as_str()])
        .collect();
    let nothing = [&recover[..], &["--from", &home]].concat();
    tacit.refused(&nothing, 9, "home.missing");
    let recovered = tacit.json(&[&recover[..], &from].concat());
    assert_eq!(
        (text(&recovered, "/lost_chain"), &recovered["threshold"]),
        (lost.chain, &Value::from(2))
    );
    let hash = text(&recovered, "/genesis_hash");
    tacit.refused(&[&recover[..], &from].concat(), 9, "home.exists");

    let files = HOLDERS.map(|name| path(&format!("{name}.share.json")));
    for (name, file) in HOLDERS.iter().zip(&files) {
        let options = as_member(name, lost.members, lost.password);
        let release = [
            "gov", "share", "release", &genesis, "--state", &state, "--out", file,
        ];
        let pinned = ["--genesis-hash", hash];
        let released = tacit.json(&[&release[..], &options, &pinned].concat());
        assert_eq!(
            (text(&released, "/network"), text(&released, "/member")),
            (hash, *name)
        );
    }
    let install = ["node", "install", &genesis, "--home", &home, "--state", &state];
    let one = [&install[..], &["--share", &files[0]]].concat();
    tacit.refused(&one, 5, "recovery.too_few");
    let both = [&one[..], &["--share", &files[1]]].concat();
    let installed = tacit.json(&both);
    assert_eq!(text(&installed, "/recovered/chain"), lost.chain);
    assert_eq!(installed["supply"], recovered["supply"]);
}
