//! Validators that are not honest: raw peers of this network's p2p, under the name and with the keys of one of its
//! validators, in whose place they run.
//!
//! ```text
//! Testnet::adversary ── stops val-3 ── starts `tacit testnet crook` with val-3's home, ports and keys
//!                                         │ counts, once a second
//!                                         ▼
//!                                   HOME/adversary.json
//! ```
//! They are no nodes: no code of a node is crooked, and nothing here reads what a node keeps. The keys follow from the
//! network's seed, as all keys of a development network do, so there is nobody else whose keys this could use.
//!
//! A crook that is a whole replica with crooked wiring (a lock ignorer, a withholder of batches, a dealer of invalid shares)
//! is the simulator's, in the crate `tests`.

mod forge;
mod leader;
mod peer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::{Error, io_error};
use crate::facts::{Facts, NodeRole};
use crate::prepare::claim;
use crate::testnet::Testnet;
use crate::{founding, process, seeds};

/// How a validator is not honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adversary {
    /// It is there, and says nothing: no votes, no blocks, no answers.
    Silent,
    /// It sends everybody more than it may, of every kind: noise, statements that are not signed, questions.
    Spam,
    /// It keeps what it hears and says it again, later, to everybody: stale certificates, votes of others, old blocks.
    Replay,
    /// It votes twice in each view, and as a leader proposes two blocks.
    Equivocate,
    /// It answers questions with forged blocks, epochs, batches, snapshot chunks, shares and standings.
    Forge,
}

impl Adversary {
    /// All of them.
    pub const ALL: [Adversary; 5] = [
        Adversary::Silent,
        Adversary::Spam,
        Adversary::Replay,
        Adversary::Equivocate,
        Adversary::Forge,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Adversary::Silent => "silent",
            Adversary::Spam => "spam",
            Adversary::Replay => "replay",
            Adversary::Equivocate => "equivocate",
            Adversary::Forge => "forge",
        }
    }
}

impl std::str::FromStr for Adversary {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Adversary::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| Error::Usage(format!("no adversary is called {text:?}")))
    }
}

/// What an adversary has done, as far as it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdversaryReport {
    /// Which one it is.
    pub kind: Adversary,
    /// How often it did what, by what it did: `votes`, `frames`, `chunks` and so on.
    pub counts: BTreeMap<String, u64>,
}

/// Where an adversary says what it has done.
pub(crate) fn report_file(home: &Path) -> PathBuf {
    home.join("adversary.json")
}

/// What runs in a home besides a node.
pub(crate) fn read_report(home: &Path) -> Option<AdversaryReport> {
    let bytes = fs::read(report_file(home)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Runs an adversary in the place of the validator whose home is `home`, until SIGTERM or SIGINT.
///
/// # Errors
/// A home that is none of this network's, keys that do not follow from the seed, ports that are taken.
pub fn crook(kind: Adversary, home: &Path) -> Result<(), Error> {
    let dir = home.parent().unwrap_or(home);
    let facts = Facts::read(dir)?;
    let i = facts.nodes.iter().position(|node| node.home == home);
    let i = i.ok_or_else(|| Error::UnknownNode {
        node: home.display().to_string(),
        nodes: facts.nodes.len(),
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(io_error("start the runtime in", home))?;
    runtime.block_on(peer::run(kind, &facts, i))
}

/// The seed of a validator's keys, where they follow from the network's.
pub(crate) fn seed(facts: &Facts, i: usize) -> Result<[u8; 32], Error> {
    let nodes = facts.nodes.len();
    let node = facts.nodes.get(i).ok_or_else(|| Error::UnknownNode {
        node: i.to_string(),
        nodes,
    })?;
    if node.role != NodeRole::Validator {
        return Err(Error::Usage(format!("{} is no validator", node.name)));
    }
    let seed = seeds::derive(facts.seed, &format!("keys of {}", node.name));
    let keys = tacit_node::init::seeded(&seed);
    let own = tacit_p2p::Identity::from_seed(keys.node).public();
    if founding::node_key(&node.home)? != own {
        return Err(Error::Usage(format!(
            "the keys of {} were made anew, and nobody else has them",
            node.name
        )));
    }
    Ok(seed)
}

impl Testnet {
    /// Stops a validator and has an adversary take its place and keys; gives its process. [`Testnet::restart`] brings the
    /// validator back.
    ///
    /// # Errors
    /// [`Error::Usage`] for a node that is no validator, or whose keys do not follow from the network's seed.
    pub fn adversary(&self, i: usize, kind: Adversary) -> Result<u32, Error> {
        let _lock = claim(&self.dir)?;
        seed(&self.facts, i)?;
        self.stop(i)?;
        let node = self.node(i)?;
        // What an earlier one said.
        let _ = fs::remove_file(report_file(&node.home));
        let child = process::spawn_crook(
            self.within(i),
            &self.facts.build(node).binary,
            &node.home,
            &node.log,
            kind,
        )?;
        let pid = child.id();
        self.keep_child(i, child);
        self.record()?;
        let end = Instant::now() + crate::testnet::RESTART;
        while read_report(&node.home).is_none_or(|report| report.kind != kind) {
            self.check_alive(i)?;
            if Instant::now() >= end {
                return Err(Error::NotReady {
                    after: crate::testnet::RESTART,
                    waiting_for: format!("the adversary in the place of {}", node.name),
                });
            }
            crate::pause::pause(crate::testnet::BEAT);
        }
        Ok(pid)
    }

    /// What the adversary in the place of a validator has done; `None` where there is none.
    pub fn adversary_report(&self, i: usize) -> Option<AdversaryReport> {
        read_report(&self.facts.nodes.get(i)?.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_name_that_is_read_again() {
        for one in Adversary::ALL {
            assert_eq!(one.name().parse::<Adversary>().unwrap(), one);
            assert_eq!(serde_json::to_value(one).unwrap(), one.name());
        }
        assert!("honest".parse::<Adversary>().is_err());
    }
}
