//! A local network: made or resumed, driven, stopped.
//!
//! ```text
//! DIR/testnet.lock    held while a command changes something; says that this tool made the folder
//! DIR/testnet.json    the facts, written last: a folder without it holds an unfinished network
//! DIR/genesis.json    DIR/wallets/{NAME.age, password}
//! DIR/val-0/          home of a node, with node.log and node.pid
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Serialize;

use crate::error::{Error, io_error};
use crate::event::Event;
use crate::facts::{FACTS_FILE, Facts, NodeFacts, write_whole};
use crate::http::Client;
use crate::interrupt::Interrupt;
use crate::options::Options;
use crate::pause::pause;
use crate::prepare::{check_build, claim, prepare};
use crate::process::{self, ProcessState};
use crate::status::{self, NodeStatus, Said};
use crate::{adversary, links, log, ports, purse, spaces};

/// How often a condition of another process is looked at: there is nothing to wait on.
pub(crate) const BEAT: Duration = Duration::from_millis(25);
/// A node that was asked to stop gets this long to write what it must.
const GRACE: Duration = Duration::from_secs(10);
/// A killed process is gone within this, whatever it did.
const GONE: Duration = Duration::from_secs(5);
/// A restarted node serves within this: it may have frames to replay.
pub(crate) const RESTART: Duration = Duration::from_secs(60);

/// The proxy's place among the children, where nodes have their numbers.
const PROXY: usize = usize::MAX;

/// How a foreground network ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A signal told this process to stop. The nodes still run; call [`Testnet::down`].
    Interrupted,
    /// Another command took the network down.
    TakenDown,
}

/// How the nodes stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stopped {
    /// These ended by themselves when asked.
    pub stopped: Vec<String>,
    /// These had to be killed.
    pub killed: Vec<String>,
    /// These were not running.
    pub idle: Vec<String>,
}

/// A local network of real processes.
///
/// Made by [`Testnet::up`] without [`Options::detach`], it stops its nodes when dropped; attached, it leaves them be.
pub struct Testnet {
    pub(crate) dir: PathBuf,
    pub(crate) facts: Facts,
    children: Mutex<BTreeMap<usize, Child>>,
    stop_on_drop: bool,
    pub(crate) interrupt: Interrupt,
}

impl Testnet {
    /// Makes or resumes the network and returns once a sealed transfer was committed and its receipt verified.
    /// On any error, and on an interrupt, what was started is stopped again; what was made is kept.
    pub fn up(options: &Options, progress: &mut dyn FnMut(Event)) -> Result<Testnet, Error> {
        let start = Instant::now();
        progress(Event::Simulated);
        options.check()?;
        let interrupt = if options.stop_on_interrupt {
            Interrupt::listen()?
        } else {
            Interrupt::never()
        };
        let binary = fs::canonicalize(&options.binary).map_err(io_error("find", &options.binary))?;
        fs::create_dir_all(&options.dir).map_err(io_error("create", &options.dir))?;
        let dir = fs::canonicalize(&options.dir).map_err(io_error("find", &options.dir))?;
        let _lock = claim(&dir)?;

        let (mut facts, reserved) = prepare(&dir, options, &binary, progress)?;
        facts.binary = binary;
        facts.ready = false;
        facts.write(&dir)?;
        let mut net = Testnet {
            dir,
            facts,
            children: Mutex::default(),
            // Until it is ready, whatever goes wrong stops what was started.
            stop_on_drop: true,
            interrupt,
        };
        let deadline = start + options.timeout;
        if net.facts.namespaces {
            spaces::make(net.facts.nodes.len())?;
        }
        if net.facts.has_links() {
            net.begin_links(options.delay)?;
        }
        for i in 0..net.facts.nodes.len() {
            let pid = net.start(i)?;
            if let Some(node) = net.facts.nodes.get_mut(i) {
                node.pid = Some(pid);
            }
            progress(Event::Started {
                name: net.node(i)?.name.clone(),
                pid,
            });
        }
        net.facts.write(&net.dir)?;
        for i in 0..net.facts.nodes.len() {
            net.await_serving(i, deadline, options.timeout)?;
            let node = net.node(i)?;
            let p2p_port = ports::p2p(net.facts.base_port, i);
            progress(Event::NodeReady {
                name: node.name.clone(),
                rpc: node.rpc.clone(),
                p2p_port,
            });
        }
        drop(reserved);
        let names = net
            .facts
            .wallets
            .iter()
            .map(|wallet| wallet.name.clone())
            .collect();
        progress(Event::Wallets {
            names,
            password_file: net.facts.password_file.clone(),
        });
        if !net.facts.members.is_empty() {
            progress(Event::Members {
                names: net.facts.members.clone(),
                threshold: net.facts.threshold,
            });
        }
        progress(Event::Facts {
            path: net.dir.join(FACTS_FILE),
        });

        net.await_key(deadline, options.timeout)?;
        let left = deadline.saturating_duration_since(Instant::now()).max(BEAT);
        let height = purse::prove_ready(&net.facts, left, &net.interrupt)?;
        net.interrupt.check()?;
        net.facts.ready = true;
        net.facts.height = height;
        net.facts.write(&net.dir)?;
        if let Some(path) = &options.ready_file {
            write_whole(
                path,
                net.dir.join(FACTS_FILE).as_os_str().as_encoded_bytes(),
                0o644,
            )?;
        }
        progress(Event::Ready {
            after: start.elapsed(),
            height,
        });
        net.stop_on_drop = !options.detach;
        Ok(net)
    }

    /// The network in `dir`, running or not.
    pub fn attach(dir: &Path) -> Result<Testnet, Error> {
        let absent = |_| Error::Absent {
            dir: dir.to_path_buf(),
        };
        let dir = fs::canonicalize(dir).map_err(absent)?;
        let facts = Facts::read(&dir)?;
        Ok(Testnet {
            dir,
            facts,
            children: Mutex::default(),
            stop_on_drop: false,
            interrupt: Interrupt::never(),
        })
    }

    /// What the network is made of. The pids are those of the last start; [`Testnet::status`] knows who lives.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The network's folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Asks every node at once.
    pub fn status(&self) -> Vec<NodeStatus> {
        self.reap();
        thread::scope(|scope| {
            let asked: Vec<_> = self
                .facts
                .nodes
                .iter()
                .enumerate()
                .map(|(i, node)| scope.spawn(move || status::ask(i, node)))
                .collect();
            asked.into_iter().filter_map(|one| one.join().ok()).collect()
        })
    }

    /// Stops all nodes: SIGTERM, and after ten seconds SIGKILL. State is kept.
    pub fn down(&self) -> Result<Stopped, Error> {
        let _lock = claim(&self.dir)?;
        self.stop_all()
    }

    /// Kills one node with SIGKILL, as a power cut would, and returns once it is gone.
    pub fn kill(&self, i: usize) -> Result<(), Error> {
        let _lock = claim(&self.dir)?;
        self.tell(i, Signal::KILL)?;
        self.await_gone(i, GONE)
    }

    /// Stops one node if it runs (SIGTERM, then SIGKILL), starts it, and returns its new pid once it serves.
    pub fn restart(&self, i: usize) -> Result<u32, Error> {
        let _lock = claim(&self.dir)?;
        check_build(&self.facts.build(self.node(i)?))?;
        self.stop(i)?;
        let pid = self.start(i)?;
        self.record()?;
        self.await_serving(i, Instant::now() + RESTART, RESTART)?;
        Ok(pid)
    }

    /// Starts one node that does not run, and returns its pid at once.
    pub fn launch(&self, i: usize) -> Result<u32, Error> {
        let _lock = claim(&self.dir)?;
        check_build(&self.facts.build(self.node(i)?))?;
        let pid = self.start(i)?;
        self.record()?;
        Ok(pid)
    }

    /// Waits until a started node serves.
    pub fn await_node(&self, i: usize) -> Result<(), Error> {
        self.await_serving(i, Instant::now() + RESTART, RESTART)
    }

    /// Freezes one node (SIGSTOP): its sockets stay open and silent.
    pub fn pause(&self, i: usize) -> Result<(), Error> {
        self.tell(i, Signal::STOP)?;
        self.await_state(i, ProcessState::Paused)
    }

    /// Lets a paused node go on (SIGCONT).
    pub fn resume(&self, i: usize) -> Result<(), Error> {
        self.tell(i, Signal::CONT)?;
        self.await_state(i, ProcessState::Running)
    }

    /// Copies the last `lines` lines of a node's log to `out` (all when absent). With `follow` it goes on with what
    /// is added, until `out` fails or the process is interrupted.
    pub fn logs(
        &self,
        i: usize,
        lines: Option<usize>,
        follow: bool,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let interrupted = || self.interrupt.check().is_err();
        log::copy(&self.node(i)?.log, lines, follow.then_some(&interrupted), out)
    }

    /// Blocks until SIGINT, SIGTERM or SIGHUP, or until another command took the network down.
    pub fn wait_until_interrupted(&self) -> Result<Ended, Error> {
        let interrupt = Interrupt::listen()?;
        loop {
            if interrupt.check().is_err() {
                return Ok(Ended::Interrupted);
            }
            self.reap();
            let gone = self
                .facts
                .nodes
                .iter()
                .all(|node| process::find(&node.home).is_none());
            if gone && Facts::read(&self.dir).map_or(true, |facts| !facts.ready) {
                return Ok(Ended::TakenDown);
            }
            pause(4 * BEAT);
        }
    }

    pub(crate) fn node(&self, i: usize) -> Result<&NodeFacts, Error> {
        let nodes = self.facts.nodes.len();
        self.facts.nodes.get(i).ok_or_else(|| Error::UnknownNode {
            node: i.to_string(),
            nodes,
        })
    }

    fn children(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn start(&self, i: usize) -> Result<u32, Error> {
        let node = self.node(i)?;
        if self.facts.proxy && process::find(&links::folder(&self.dir)).is_none() {
            self.tell_proxy()?;
        }
        // What an adversary said here is over.
        let _ = fs::remove_file(adversary::report_file(&node.home));
        let child = process::spawn(
            self.within(i),
            &self.facts.build(node).binary,
            &node.home,
            &node.log,
        )?;
        let pid = child.id();
        self.children().insert(i, child);
        Ok(pid)
    }

    /// What enters the node's network namespace, where it has one.
    pub(crate) fn within(&self, i: usize) -> Option<Command> {
        self.facts.namespaces.then(|| spaces::enter(i))
    }

    /// Keeps the proxy among the children, so that it is collected when it ends.
    pub(crate) fn adopt(&self, proxy: Child) {
        self.children().insert(PROXY, proxy);
    }

    /// The same for what runs in a node's place.
    pub(crate) fn keep_child(&self, i: usize, child: Child) {
        self.children().insert(i, child);
    }

    /// Collects children that ended, so that they are not left as zombies.
    pub(crate) fn reap(&self) {
        self.children()
            .retain(|_, child| !matches!(child.try_wait(), Ok(Some(_))));
    }

    fn tell(&self, i: usize, signal: Signal) -> Result<(), Error> {
        let node = self.node(i)?;
        if process::signal(&node.home, signal).map_err(io_error("signal the process of", &node.home))? {
            Ok(())
        } else {
            Err(Error::NotRunning {
                name: node.name.clone(),
            })
        }
    }

    fn await_gone(&self, i: usize, patience: Duration) -> Result<(), Error> {
        let node = self.node(i)?;
        self.await_ended(&node.name, &node.home, patience)
    }

    fn await_ended(&self, name: &str, home: &Path, patience: Duration) -> Result<(), Error> {
        let end = Instant::now() + patience;
        loop {
            self.reap();
            let Some((pid, _)) = process::find(home) else {
                process::forget(home);
                return Ok(());
            };
            if Instant::now() >= end {
                let what = format!("did not end within {} s", patience.as_secs());
                let name = name.to_owned();
                return Err(Error::Process { name, pid, what });
            }
            pause(BEAT);
        }
    }

    /// The proxy holds nothing that a kill could cost.
    fn stop_proxy(&self) -> Result<(), Error> {
        let folder = links::folder(&self.dir);
        process::signal(&folder, Signal::KILL).map_err(io_error("signal the proxy of", &folder))?;
        self.await_ended("the proxy", &folder, GONE)
    }

    fn await_state(&self, i: usize, wanted: ProcessState) -> Result<(), Error> {
        let node = self.node(i)?;
        let end = Instant::now() + GONE;
        loop {
            match process::find(&node.home) {
                None => {
                    return Err(Error::NotRunning {
                        name: node.name.clone(),
                    });
                }
                Some((_, state)) if state == wanted => return Ok(()),
                Some((pid, state)) if Instant::now() >= end => {
                    let what = format!("is {state:?} and not {wanted:?}");
                    return Err(Error::Process {
                        name: node.name.clone(),
                        pid,
                        what,
                    });
                }
                Some(_) => pause(BEAT),
            }
        }
    }

    /// Stops one node; true when it had to be killed, None when it did not run.
    pub(crate) fn stop(&self, i: usize) -> Result<Option<bool>, Error> {
        match self.tell(i, Signal::TERM) {
            Ok(()) => {}
            Err(Error::NotRunning { .. }) => {
                process::forget(&self.node(i)?.home);
                return Ok(None);
            }
            Err(e) => return Err(e),
        }
        self.finish(i).map(Some)
    }

    /// Waits for a node that was told to end; true when it had to be killed.
    fn finish(&self, i: usize) -> Result<bool, Error> {
        // A paused process sees the signal only when it goes on.
        let _ = self.tell(i, Signal::CONT);
        if self.await_gone(i, GRACE).is_ok() {
            return Ok(false);
        }
        match self.tell(i, Signal::KILL) {
            Ok(()) | Err(Error::NotRunning { .. }) => {}
            Err(e) => return Err(e),
        }
        self.await_gone(i, GONE).map(|()| true)
    }

    pub(crate) fn stop_all(&self) -> Result<Stopped, Error> {
        let heights = self.status().into_iter().filter_map(|node| node.height);
        let height = heights.max();
        let mut told = Vec::new();
        let mut stopped = Stopped::default();
        for (i, node) in self.facts.nodes.iter().enumerate() {
            match self.tell(i, Signal::TERM) {
                Ok(()) => told.push(i),
                Err(Error::NotRunning { .. }) => {
                    process::forget(&node.home);
                    stopped.idle.push(node.name.clone());
                }
                Err(e) => return Err(e),
            }
        }
        for i in told {
            let name = self.node(i)?.name.clone();
            if self.finish(i)? {
                stopped.killed.push(name)
            } else {
                stopped.stopped.push(name)
            }
        }
        self.stop_proxy()?;
        // Where no node of its own ran, they may be another network's by now.
        if self.facts.namespaces && stopped.idle.len() < self.facts.nodes.len() {
            spaces::remove()?;
        }
        // The folder may be gone by now; then there is nothing to record.
        if let Ok(mut facts) = Facts::read(&self.dir) {
            facts.ready = false;
            facts.height = height.unwrap_or(0).max(facts.height);
            facts.nodes.iter_mut().for_each(|node| node.pid = None);
            facts.write(&self.dir)?;
        }
        Ok(stopped)
    }

    /// Writes the pids as they are now.
    pub(crate) fn record(&self) -> Result<(), Error> {
        let mut facts = Facts::read(&self.dir)?;
        for node in &mut facts.nodes {
            node.pid = process::find(&node.home).map(|(pid, _)| pid);
        }
        facts.write(&self.dir)
    }

    /// Waits until a node answers for this very network.
    pub(crate) fn await_serving(&self, i: usize, deadline: Instant, after: Duration) -> Result<(), Error> {
        let node = self.node(i)?;
        let client = Client::new(Duration::from_secs(2));
        loop {
            self.interrupt.check()?;
            match client
                .json(&node.rpc, "/v1/status")
                .map(|answer| Said::read(&answer))
            {
                Ok(said) if said.genesis_hash.as_deref() == Some(&self.facts.genesis_hash) => return Ok(()),
                Ok(said) => {
                    let have = said.genesis_hash.unwrap_or_default();
                    let detail = format!("another network answers here: genesis {have:?}");
                    return Err(Error::Api {
                        url: node.rpc.clone(),
                        detail,
                    });
                }
                Err(_) => {}
            }
            self.check_alive(i)?;
            if Instant::now() >= deadline {
                return Err(Error::NotReady {
                    after,
                    waiting_for: format!("{} does not answer", node.name),
                });
            }
            pause(BEAT);
        }
    }

    /// Waits until some node is in an epoch that has a sealing key: every epoch but the first.
    fn await_key(&self, deadline: Instant, after: Duration) -> Result<(), Error> {
        loop {
            self.interrupt.check()?;
            let status = self.status();
            if status
                .iter()
                .all(|node| node.epoch.is_some_and(|epoch| epoch > 0))
            {
                return Ok(());
            }
            for i in 0..self.facts.nodes.len() {
                self.check_alive(i)?;
            }
            if Instant::now() >= deadline {
                let seen = status.iter().map(|n| {
                    let number = |n: Option<u64>| n.map_or("?".into(), |n| n.to_string());
                    let (epoch, height, view) = (number(n.epoch), number(n.height), number(n.view));
                    format!(
                        "{} epoch {epoch} height {height} view {view} peers {}",
                        n.name,
                        number(n.peers)
                    )
                });
                let seen: Vec<_> = seen.collect();
                let waiting_for = format!("no sealing key at every node yet ({})", seen.join("; "));
                return Err(Error::NotReady { after, waiting_for });
            }
            pause(BEAT);
        }
    }

    /// Err, with the end of its log, when a node's process is gone.
    pub(crate) fn check_alive(&self, i: usize) -> Result<(), Error> {
        let node = self.node(i)?;
        self.reap();
        if process::find(&node.home).is_some() {
            return Ok(());
        }
        Err(Error::Exited {
            name: node.name.clone(),
            log: node.log.clone(),
            tail: log::tail(&node.log),
        })
    }
}

impl Drop for Testnet {
    fn drop(&mut self) {
        if self.stop_on_drop {
            // Without the lock: `up` may still hold it, and there is nobody to report to.
            let _ = self.stop_all();
        } else {
            // Detached: the nodes become the system's to reap once this process ends.
            self.reap();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::facts::tests::sample;
    use crate::status::NodeState;

    /// A network of one node that does nothing but live, until it is told to end.
    fn network(dir: &Path) -> Testnet {
        let node = dir.join("node.sh");
        claim(dir).unwrap();
        fs::write(&node, "#!/bin/sh\nwhile :; do sleep 0.05; done\n").unwrap();
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
        let facts = Facts {
            binary: node,
            ready: true,
            ..sample(dir)
        };
        fs::create_dir_all(&facts.nodes[0].home).unwrap();
        facts.write(dir).unwrap();
        Testnet::attach(dir).unwrap()
    }

    #[test]
    fn a_node_is_paused_resumed_killed_and_taken_down_by_another_command() {
        let folder = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(folder.path()).unwrap();
        let net = network(&dir);
        assert!(matches!(net.kill(0), Err(Error::NotRunning { .. })));
        net.start(0).unwrap();
        net.await_state(0, ProcessState::Running).unwrap();
        assert_eq!(net.status()[0].state, NodeState::Unreachable);

        let other = Testnet::attach(&dir).unwrap();
        other.pause(0).unwrap();
        assert_eq!(net.status()[0].state, NodeState::Paused);
        other.resume(0).unwrap();
        other.kill(0).unwrap();
        assert_eq!(net.status()[0].state, NodeState::Stopped);
        assert!(matches!(net.check_alive(0), Err(Error::Exited { .. })));

        net.start(0).unwrap();
        net.await_state(0, ProcessState::Running).unwrap();
        other.pause(0).unwrap();
        let stopped = other.down().unwrap();
        assert_eq!(stopped.stopped, ["val-0"], "a paused node can be stopped too");
        assert_eq!(other.down().unwrap().idle, ["val-0"]);
        assert!(!Facts::read(&dir).unwrap().ready);
        assert_eq!(net.wait_until_interrupted().unwrap(), Ended::TakenDown);
        fs::write(&net.facts.nodes[0].log, "one\ntwo\n").unwrap();
        let mut out = Vec::new();
        net.logs(0, Some(1), false, &mut out).unwrap();
        assert_eq!(out, b"two\n");
        assert!(matches!(
            net.logs(1, None, false, &mut out),
            Err(Error::UnknownNode { .. })
        ));
    }

    #[test]
    fn a_network_that_is_not_detached_stops_when_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(folder.path()).unwrap();
        let mut net = network(&dir);
        net.start(0).unwrap();
        net.await_state(0, ProcessState::Running).unwrap();
        net.stop_on_drop = true;
        let home = net.facts.nodes[0].home.clone();
        drop(net);
        assert_eq!(process::find(&home), None);
    }
}
