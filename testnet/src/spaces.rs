//! Nodes in network namespaces of their own, and a router between them that drops what a cut link carries: packets are lost as
//! on a real network, under TCP and QUIC alike, and neither end is told.
//!
//! ```text
//! host 198.18.255.1 ──── .2 router 198.18.0.1 ──── 198.18.0.2 node 0
//!                                  198.18.1.1 ──── 198.18.1.2 node 1
//! ```
//! A link is cut by a rule of the router: what comes in from the one node for the other's address goes nowhere. Needs root
//! and `ip` of iproute2. Addresses are of 198.18.0.0/15, which RFC 2544 sets aside for tests. A machine has room for one such
//! network: names and addresses are always the same, so that what a killed run left behind is found and removed by the next.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::Error;
use crate::links::{Link, Links};

/// The tool that makes them.
const IP: &str = "ip";
/// Names of namespaces begin so.
const PREFIX: &str = "tacit-space-";
/// The router's namespace.
const ROUTER: &str = "tacit-space-router";
/// The host's end of its wire to the router.
const WIRE: &str = "tacit-space";
/// The router's rules for links that are cut come before the main table.
const PRIORITY: u16 = 100;

/// Where a node is reached: on loopback, or in its namespace. None beyond 255 nodes.
pub(crate) fn host(namespaces: bool, node: usize) -> Option<Ipv4Addr> {
    match namespaces {
        true => Some(Ipv4Addr::new(
            198,
            18,
            u8::try_from(node).ok().filter(|node| *node < 255)?,
            2,
        )),
        false => Some(Ipv4Addr::LOCALHOST),
    }
}

/// The command that runs in a node's namespace what is added to it.
pub(crate) fn enter(node: usize) -> Command {
    let mut command = Command::new(IP);
    command.args(["netns", "exec", &space(node)]);
    command
}

fn space(node: usize) -> String {
    format!("{PREFIX}{node}")
}

/// Whether nodes can have namespaces of their own on this machine.
///
/// # Errors
/// [`Error::NoNamespaces`] says why not.
pub fn can_have_namespaces() -> Result<(), Error> {
    if !rustix::process::getuid().is_root() {
        return Err(refused("only root makes network namespaces"));
    }
    let name = format!("tacit-try-{}", std::process::id());
    ip(None, &format!("netns add {name}\nnetns del {name}\n"))
}

/// Makes the router and a namespace for each of so many nodes. What an earlier run left behind goes first.
pub(crate) fn make(nodes: usize) -> Result<(), Error> {
    can_have_namespaces()?;
    remove()?;
    ip(
        None,
        &format!(
            "netns add {ROUTER}\n\
             link add {WIRE} type veth peer name host netns {ROUTER}\n\
             address add 198.18.255.1/30 dev {WIRE}\n\
             link set {WIRE} up\n\
             route add 198.18.0.0/16 via 198.18.255.2\n"
        ),
    )?;
    ip(
        Some(ROUTER),
        "address add 198.18.255.2/30 dev host\nlink set host up\nlink set lo up\n",
    )?;
    let forward = [
        "netns",
        "exec",
        ROUTER,
        "sh",
        "-c",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
    ];
    done(&run(&forward, "")?)?;
    (0..nodes).try_for_each(add)
}

/// A namespace for one more node.
pub(crate) fn add(node: usize) -> Result<(), Error> {
    let space = space(node);
    ip(None, &format!("netns add {space}\n"))?;
    ip(
        Some(ROUTER),
        &format!(
            "link add n{node} type veth peer name eth0 netns {space}\n\
             address add 198.18.{node}.1/30 dev n{node}\n\
             link set n{node} up\n"
        ),
    )?;
    ip(
        Some(&space),
        &format!(
            "address add 198.18.{node}.2/30 dev eth0\n\
             link set eth0 up\n\
             link set lo up\n\
             route add default via 198.18.{node}.1\n"
        ),
    )
}

/// Cuts the links of a table that were whole in the one before, and makes whole those that it does not name any more.
pub(crate) fn apply(before: &Links, now: &Links) -> Result<(), Error> {
    let rule = |what: &str, link: &Link| {
        let Link { from, to } = link;
        format!("rule {what} priority {PRIORITY} iif n{from} to 198.18.{to}.2 blackhole\n")
    };
    let healed = before.cut.iter().filter(|link| !now.cut.contains(link));
    let cut = now.cut.iter().filter(|link| !before.cut.contains(link));
    let rules: String = healed
        .map(|link| rule("del", link))
        .chain(cut.map(|link| rule("add", link)))
        .collect();
    ip(Some(ROUTER), &rules)
}

/// Removes them, with all that is in them; none are no error.
pub(crate) fn remove() -> Result<(), Error> {
    let listed = run(&["netns", "list"], "")?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(PREFIX)) {
        let living = run(&["netns", "pids", name], "")?;
        if !living.stdout.is_empty() {
            let pids = String::from_utf8_lossy(&living.stdout).replace('\n', " ");
            return Err(refused(&format!(
                "another network has them: processes {pids}in {name}"
            )));
        }
        ip(None, &format!("netns del {name}\n"))?;
    }
    // It goes with the router's end, in its own time.
    if Path::new("/sys/class/net").join(WIRE).exists() {
        run(&["link", "del", WIRE], "")?;
    }
    Ok(())
}

/// Lines for `ip`, in a namespace or on the host: all, or an error.
fn ip(space: Option<&str>, lines: &str) -> Result<(), Error> {
    let arguments: Vec<&str> = match space {
        Some(space) => vec!["-n", space, "-batch", "-"],
        None => vec!["-batch", "-"],
    };
    done(&run(&arguments, lines)?)
}

fn run(arguments: &[&str], lines: &str) -> Result<Output, Error> {
    let failed = |error: std::io::Error| refused(&format!("{IP} {}: {error}", arguments.join(" ")));
    let mut child = Command::new(IP)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes()).map_err(failed)?;
    }
    child.wait_with_output().map_err(failed)
}

fn done(output: &Output) -> Result<(), Error> {
    match output.status.success() {
        true => Ok(()),
        false => Err(refused(String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn refused(detail: &str) -> Error {
    Error::NoNamespaces {
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_an_address_of_its_own_and_none_has_the_hosts() {
        assert_eq!(host(false, 300), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(host(true, 0), Some(Ipv4Addr::new(198, 18, 0, 2)));
        assert_eq!(host(true, 254), Some(Ipv4Addr::new(198, 18, 254, 2)));
        assert_eq!(host(true, 255), None);
    }
}
