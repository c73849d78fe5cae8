//! The links between nodes: which are cut and how slow they are, and the proxy process, or the kernel, that makes them so.
//!
//! ```text
//! DIR/proxy/links.json   what the links are to be like, with a number that grows
//! DIR/proxy/applied      the number that the proxy follows
//! DIR/proxy/proxy.log    what it said; node.pid beside it, as in a node's home
//! ```
//! Numbers of nodes are places in `testnet.json`. A link has a direction: what its first node says to its second one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{Error, io_error};
use crate::facts::{Facts, NodeRole, write_whole};
use crate::pause::pause;
use crate::prepare::claim;
use crate::testnet::Testnet;
use crate::{process, spaces};

/// Longest delay of a link, milliseconds: beyond it no handshake ends.
pub const MAX_DELAY_MS: u64 = 60_000;
/// A changed table is in force within this, unless the machine is drowning.
const APPLIED: Duration = Duration::from_secs(20);
/// Between two looks at that.
const BEAT: Duration = Duration::from_millis(5);
/// Links have loopback addresses of their own, `127.64.FROM.TO`, on the port of the node that is reached.
const LINK_NET: [u8; 2] = [127, 64];

/// One direction between two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// Who speaks.
    pub from: usize,
    /// Who is spoken to.
    pub to: usize,
}

impl Link {
    /// The other direction.
    #[must_use]
    pub fn back(self) -> Link {
        Link {
            from: self.to,
            to: self.from,
        }
    }

    /// Where the proxy listens for dials over this link; none beyond 256 nodes.
    pub(crate) fn address(self) -> Option<Ipv4Addr> {
        let [a, b] = LINK_NET;
        let octet = |node: usize| u8::try_from(node).ok();
        Some(Ipv4Addr::new(a, b, octet(self.from)?, octet(self.to)?))
    }
}

/// How long what is said takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// Milliseconds, in the mean.
    pub ms: u64,
    /// Up to so many more or fewer, evenly spread. Order is kept.
    pub jitter_ms: u64,
}

impl Delay {
    /// # Errors
    /// [`Error::Usage`] beyond [`MAX_DELAY_MS`], and where the jitter exceeds the delay.
    pub fn new(delay: Duration, jitter: Duration) -> Result<Delay, Error> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let made = Delay {
            ms: ms(delay),
            jitter_ms: ms(jitter),
        };
        if made.ms > MAX_DELAY_MS {
            return Err(Error::Usage(format!(
                "a latency of {} ms: at most {MAX_DELAY_MS}",
                made.ms
            )));
        }
        if made.jitter_ms > made.ms {
            return Err(Error::Usage(format!(
                "a jitter of {} ms about a latency of {} ms",
                made.jitter_ms, made.ms
            )));
        }
        Ok(made)
    }
}

/// A slow link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Which one.
    #[serde(flatten)]
    pub link: Link,
    /// How slow.
    #[serde(flatten)]
    pub delay: Delay,
}

/// What the links are like. Those that are not named are whole and fast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// Grows with each change.
    pub generation: u64,
    /// What these say does not arrive. It is kept, as by a network that drops packets, and arrives once the link is whole.
    pub cut: Vec<Link>,
    /// What these say arrives late.
    pub slow: Vec<Slow>,
}

impl Links {
    /// Cuts all links between nodes of different groups, and no others. Nodes in no group form one more.
    ///
    /// # Errors
    /// [`Error::Usage`] when a node is in two groups, or all are in one.
    pub fn part(&mut self, nodes: usize, groups: &[Vec<usize>]) -> Result<(), Error> {
        let mut group_of = BTreeMap::new();
        for (number, group) in groups.iter().enumerate() {
            for node in group {
                if group_of.insert(*node, number).is_some() {
                    return Err(Error::Usage(format!("node {node} is named twice")));
                }
            }
        }
        let group = |node: usize| group_of.get(&node);
        self.cut = pairs(nodes)
            .filter(|link| group(link.from) != group(link.to))
            .collect();
        match self.cut.is_empty() {
            true => Err(Error::Usage("a partition has two sides".into())),
            false => Ok(()),
        }
    }

    /// Cuts what some nodes say to others, one way, beside what is cut already.
    pub fn cut(&mut self, nodes: usize, from: &[usize], to: &[usize]) {
        let all: BTreeSet<Link> = pairs(nodes)
            .filter(|link| from.contains(&link.from) && to.contains(&link.to))
            .chain(self.cut.iter().copied())
            .collect();
        self.cut = all.into_iter().collect();
    }

    /// Makes what some nodes say to others slow; without delay, fast.
    pub fn slow(&mut self, nodes: usize, from: &[usize], to: &[usize], delay: Delay) {
        let meant = |link: &Link| from.contains(&link.from) && to.contains(&link.to);
        self.slow.retain(|slow| !meant(&slow.link));
        if delay != Delay::default() {
            let slow = pairs(nodes).filter(meant).map(|link| Slow { link, delay });
            self.slow.extend(slow);
        }
    }

    pub(crate) fn read(folder: &Path) -> Result<Links, Error> {
        let path = folder.join("links.json");
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        serde_json::from_slice(&text).map_err(|e| Error::Facts {
            path,
            detail: e.to_string(),
        })
    }

    fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join("links.json");
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::Facts {
            path: path.clone(),
            detail: e.to_string(),
        })?;
        write_whole(&path, &text, 0o644)
    }
}

/// Every link of so many nodes.
fn pairs(nodes: usize) -> impl Iterator<Item = Link> {
    (0..nodes).flat_map(move |from| {
        let others = (0..nodes).filter(move |to| *to != from);
        others.map(move |to| Link { from, to })
    })
}

impl Facts {
    /// Groups of nodes by name or number: `0,1/2,3`.
    ///
    /// # Errors
    /// [`Error::UnknownNode`].
    pub fn groups(&self, text: &str) -> Result<Vec<Vec<usize>>, Error> {
        text.split('/').map(|group| self.indices(group)).collect()
    }

    /// Nodes by name or number: `0,val-2`.
    ///
    /// # Errors
    /// [`Error::UnknownNode`].
    pub fn indices(&self, text: &str) -> Result<Vec<usize>, Error> {
        text.split(',').map(|node| self.index(node.trim())).collect()
    }
}

/// The proxy's folder.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("proxy")
}

fn applied_file(folder: &Path) -> PathBuf {
    folder.join("applied")
}

/// Says that the proxy follows a table.
pub(crate) fn applied(folder: &Path, generation: u64) -> Result<(), Error> {
    write_whole(&applied_file(folder), generation.to_string().as_bytes(), 0o644)
}

/// Links from a node to validators: the addresses that it is to dial.
pub(crate) fn dialled(facts: &Facts, from: usize) -> impl Iterator<Item = (Link, u16)> + '_ {
    let to = facts.nodes.iter().enumerate();
    to.filter(move |(to, node)| *to != from && node.role == NodeRole::Validator)
        .filter_map(move |(to, node)| Some((Link { from, to }, port(&node.p2p)?)))
}

/// The port of `/ip4/127.0.0.1/tcp/PORT/...`.
pub(crate) fn port(p2p: &str) -> Option<u16> {
    let (_, rest) = p2p.split_once("/tcp/")?;
    rest.split('/').next()?.parse().ok()
}

impl Testnet {
    /// What the links are like now.
    ///
    /// # Errors
    /// [`Error::NoProxy`] where they neither go through the proxy nor between namespaces.
    pub fn links(&self) -> Result<Links, Error> {
        match self.facts.has_links() {
            true => Links::read(&folder(&self.dir)),
            false => Err(Error::NoProxy {
                dir: self.dir.clone(),
            }),
        }
    }

    /// Changes the links of the running network, and returns once they are as changed.
    ///
    /// # Errors
    /// As [`Testnet::links`]; what `change` refuses; slow links between namespaces.
    pub fn change_links(&self, change: impl FnOnce(&mut Links) -> Result<(), Error>) -> Result<Links, Error> {
        let _lock = claim(&self.dir)?;
        let before = self.links()?;
        let mut links = before.clone();
        change(&mut links)?;
        match self.facts.namespaces {
            true => self.follow_in_kernel(&before, &mut links)?,
            false => self.follow(&mut links)?,
        }
        Ok(links)
    }

    /// Cuts every link between nodes of different groups; heals all others. Nodes in no group form one more.
    ///
    /// # Errors
    /// As [`Testnet::change_links`].
    pub fn partition(&self, groups: &[Vec<usize>]) -> Result<Links, Error> {
        self.change_links(|links| links.part(self.facts.nodes.len(), groups))
    }

    /// Makes all links whole; slow ones stay slow.
    ///
    /// # Errors
    /// As [`Testnet::change_links`].
    pub fn heal(&self) -> Result<Links, Error> {
        self.change_links(|links| {
            links.cut.clear();
            Ok(())
        })
    }

    /// Begins with whole links of a delay, and starts the proxy that they go through, if they do.
    pub(crate) fn begin_links(&self, delay: Delay) -> Result<(), Error> {
        let folder = folder(&self.dir);
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let mut links = Links::default();
        let all: Vec<usize> = (0..self.facts.nodes.len()).collect();
        links.slow(all.len(), &all, &all, delay);
        match self.facts.namespaces {
            true => links.write(&folder),
            false => self.follow(&mut links),
        }
    }

    fn follow_in_kernel(&self, before: &Links, links: &mut Links) -> Result<(), Error> {
        if !links.slow.is_empty() {
            let what = "between namespaces nothing is slow: stop it, then: tacit testnet up --proxy";
            return Err(Error::Usage(what.into()));
        }
        links.generation += 1;
        spaces::apply(before, links)?;
        links.write(&folder(&self.dir))
    }

    /// Has the proxy look at the nodes and links again.
    pub(crate) fn tell_proxy(&self) -> Result<(), Error> {
        match self.facts.proxy {
            true => self.follow(&mut self.links()?),
            false => Ok(()),
        }
    }

    /// Starts the proxy where it does not run, and waits until it follows the table.
    fn follow(&self, links: &mut Links) -> Result<(), Error> {
        let folder = folder(&self.dir);
        let applied = applied_file(&folder);
        links.generation += 1;
        links.write(&folder)?;
        let told = process::signal(&folder, Signal::HUP).map_err(io_error("signal the proxy of", &folder))?;
        let log = folder.join("proxy.log");
        if !told {
            let _ = fs::remove_file(&applied);
            let child = process::spawn_proxy(&self.facts.binary, &folder, &log)?;
            self.adopt(child);
        }
        let end = Instant::now() + APPLIED;
        loop {
            let seen = fs::read_to_string(&applied)
                .ok()
                .and_then(|text| text.parse().ok());
            if seen == Some(links.generation) {
                return Ok(());
            }
            self.reap();
            if process::find(&folder).is_none() {
                return Err(Error::Exited {
                    name: "the proxy".into(),
                    tail: crate::log::tail(&log),
                    log,
                });
            }
            if Instant::now() >= end {
                return Err(Error::NotReady {
                    after: APPLIED,
                    waiting_for: "the proxy does not follow".into(),
                });
            }
            pause(BEAT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: usize, to: usize) -> Link {
        Link { from, to }
    }

    #[test]
    fn groups_hear_their_own_and_the_unnamed_are_one_more() {
        let mut links = Links::default();
        links.part(4, &[vec![0, 1], vec![2, 3]]).unwrap();
        assert_eq!(links.cut.len(), 8);
        assert!(links.cut.contains(&link(0, 2)) && links.cut.contains(&link(2, 0)));
        assert!(!links.cut.contains(&link(0, 1)));
        links.part(4, &[vec![3]]).unwrap();
        assert_eq!(links.cut.len(), 6, "what was cut before is whole again");
        assert!(!links.cut.contains(&link(1, 2)));
        assert!(links.part(4, &[vec![0], vec![0, 1]]).is_err());
        assert!(links.part(4, &[vec![0, 1, 2, 3]]).is_err());
    }

    #[test]
    fn one_way_cuts_add_up_and_delays_replace_each_other() {
        let mut links = Links::default();
        links.cut(4, &[0], &[1, 2]);
        links.cut(4, &[0], &[0, 2, 3]);
        assert_eq!(links.cut, [link(0, 1), link(0, 2), link(0, 3)]);
        let delay = |ms| Delay::new(Duration::from_millis(ms), Duration::ZERO).unwrap();
        links.slow(3, &[0, 1, 2], &[0, 1, 2], delay(200));
        links.slow(3, &[0], &[1], delay(50));
        assert_eq!(links.slow.len(), 6);
        links.slow(3, &[0, 1, 2], &[0, 1, 2], delay(0));
        assert!(links.slow.is_empty());
        assert!(Delay::new(Duration::from_millis(10), Duration::from_millis(11)).is_err());
        assert!(Delay::new(Duration::from_secs(61), Duration::ZERO).is_err());
    }

    #[test]
    fn each_link_has_an_address_of_its_own() {
        assert_eq!(link(0, 3).address(), Some(Ipv4Addr::new(127, 64, 0, 3)));
        assert_eq!(link(0, 256).address(), None);
        assert_eq!(port("/ip4/127.0.0.1/tcp/26601/p2p/12D3"), Some(26_601));
        assert_eq!(port("/ip4/127.0.0.1/udp/26601"), None);
    }
}
