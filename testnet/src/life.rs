//! A network's life after its first day: validators join and leave, move to another build, and are set back to an older
//! copy of their disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tacit_attest::Measurement;
use tacit_ledger::{LeaveRequest, MAX_REGISTRATION_BYTES, Registration, SystemTx, codes, decode};
use tacit_node::admin;
use tacit_node::home::Home;
use tacit_node::operator::OperatorKey;
use tacit_wallet::{Api, HttpTransport};

use crate::error::{Error, io_error};
use crate::event::Event;
use crate::facts::{Build, NodeFacts, NodeRole};
use crate::founding;
use crate::http::Client;
use crate::members;
use crate::pause::pause;
use crate::ports;
use crate::prepare::claim;
use crate::spaces;
use crate::status::NodeState;
use crate::testnet::{RESTART, Testnet};

/// Between two looks at a node.
const BEAT: Duration = Duration::from_millis(100);
/// Longest time for one HTTP exchange, and for one word on an admin socket.
const EXCHANGE: Duration = Duration::from_secs(10);
/// A node that is to be stopped for an upgrade gets this long to see what it took in become final.
const DRAIN: Duration = Duration::from_secs(30);
/// A leave whose registration was replaced on the way is signed anew so many times.
const LEAVE_TRIES: usize = 4;
/// Where saved copies of homes are kept, inside the network's folder.
const SAVED: &str = "saved";

/// A validator that joined.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Joined {
    /// Its name.
    pub name: String,
    /// Base of its API.
    pub rpc: String,
    /// Its process.
    pub pid: u32,
    /// Its seat when it first voted.
    pub seat: Option<u64>,
    /// The epoch that took it in.
    pub epoch: Option<u64>,
    /// The height when it was first seen voting.
    pub height: Option<u64>,
    /// From its process's start to that, seconds.
    pub seconds: f64,
}

/// A validator that left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Left {
    /// Its name.
    pub name: String,
    /// The block that took in its operator's wish.
    pub height: u64,
    /// From there to its last seat's end, seconds.
    pub seconds: f64,
}

/// A validator that runs another build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Upgraded {
    /// Its name.
    pub name: String,
    /// The build's measurement, hex.
    pub measurement: String,
    /// Its process.
    pub pid: u32,
    /// The epoch in which it votes again.
    pub epoch: Option<u64>,
    /// From its process's stop to its first vote, seconds.
    pub seconds: f64,
}

/// A node whose home is an older one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RolledBack {
    /// Its name.
    pub name: String,
    /// The height that it had when it was stopped, as far as it said.
    pub had: Option<u64>,
    /// Its new process.
    pub pid: u32,
}

impl Testnet {
    /// Adds a validator, and returns once it votes.
    ///
    /// # Errors
    /// [`Error::Refused`] with the reason when it is refused; its home is kept, and its node goes on trying.
    pub fn join(&mut self, patience: Duration, progress: &mut dyn FnMut(Event)) -> Result<Joined, Error> {
        let (i, started) = self.add_joiner(progress)?;
        let said = self.await_voting(i, started, patience, progress)?;
        let node = self.node(i)?;
        Ok(Joined {
            name: node.name.clone(),
            rpc: node.rpc.clone(),
            pid: node.pid.unwrap_or(0),
            seat: said["seat"].as_u64(),
            epoch: said["epoch"].as_u64(),
            height: said["height"].as_u64(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Makes and starts a validator that will join; gives its number, and when its process began.
    ///
    /// # Errors
    /// Files, ports, and a process that does not start.
    pub fn add_joiner(&mut self, progress: &mut dyn FnMut(Event)) -> Result<(usize, Instant), Error> {
        let _lock = claim(&self.dir)?;
        let i = self.facts.nodes.len();
        let taken = |name: &str| self.facts.nodes.iter().any(|node| node.name == name);
        let name = (i..)
            .map(|k| format!("val-{k}"))
            .find(|name| !taken(name))
            .unwrap_or_default();
        let build = self.facts.newest_build();
        let home = self.dir.join(&name);
        founding::join(&self.facts, &name, &home, parse(&build)?)?;
        let (api, p2p) = ports::free_pair(self.facts.base_port, i)?;
        let host = founding::host(self.facts.namespaces, i)?;
        let mut node = NodeFacts {
            name: name.clone(),
            role: NodeRole::Validator,
            rpc: format!("http://{host}:{api}"),
            p2p: founding::address(&home, host, p2p)?,
            log: home.join("node.log"),
            home,
            pid: None,
            build: (build.binary != self.facts.binary).then_some(build),
        };
        founding::configure(&self.facts, &node, api, p2p)?;
        self.facts.nodes.push(node.clone());
        self.facts.write(&self.dir)?;
        self.tell_proxy()?;
        if self.facts.namespaces {
            spaces::add(i)?;
        }
        let started = Instant::now();
        let pid = self.start(i)?;
        node.pid = Some(pid);
        self.keep(i, node)?;
        progress(Event::Started { name, pid });
        self.await_serving(i, Instant::now() + RESTART, RESTART)?;
        Ok((i, started))
    }

    /// Waits until a node votes, telling each point that it comes to; gives what it says of itself then.
    ///
    /// # Errors
    /// [`Error::Refused`] when its registration is refused; [`Error::NotReady`] when it does not vote in time.
    pub fn await_voting(
        &self,
        i: usize,
        since: Instant,
        patience: Duration,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Value, Error> {
        let node = self.node(i)?;
        let client = Client::new(EXCHANGE);
        let mut seen = String::new();
        loop {
            self.interrupt.check()?;
            self.check_alive(i)?;
            let said = client.json(&node.rpc, "/v1/node").unwrap_or_default();
            let phase = said["phase"].as_str().unwrap_or("starting").to_owned();
            if phase != seen {
                let what = format!("{phase:<10} epoch {} height {}", said["epoch"], said["height"]);
                progress(Event::Step {
                    name: node.name.clone(),
                    what,
                });
                seen.clone_from(&phase);
            }
            if phase == "voting" {
                return Ok(said);
            }
            let row = said["attempt"]["code"].as_str().and_then(codes::lookup);
            if said["attempt"]["accepted"] == false && !row.is_some_and(|row| row.retryable) {
                return Err(Error::Refused {
                    name: node.name.clone(),
                    code: row.map_or("internal", |row| row.code),
                    detail: said["attempt"]["detail"].as_str().unwrap_or_default().to_owned(),
                });
            }
            if since.elapsed() >= patience {
                return Err(Error::NotReady {
                    after: patience,
                    waiting_for: format!("{} does not vote: it is {seen}", node.name),
                });
            }
            pause(BEAT);
        }
    }

    /// Takes a validator off the network by its operator's word, and returns once it has no seat. Its process goes on.
    ///
    /// # Errors
    /// The chain's refusal by its code; [`Error::NotReady`] when it still has its seat after `patience`.
    pub fn leave(
        &self,
        i: usize,
        patience: Duration,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Left, Error> {
        let node = self.node(i)?;
        let refused = |error: tacit_wallet::Error| Error::Refused {
            name: node.name.clone(),
            code: error.code(),
            detail: error.to_string(),
        };
        let operator =
            OperatorKey::load(&Home::at(&node.home).operator_key()).map_err(|error| Error::Refused {
                name: node.name.clone(),
                code: error.code(),
                detail: error.to_string(),
            })?;
        let chain = founding::read_genesis(&self.facts)?.chain_id();
        let rpc = self.serving(Some(i))?;
        let transport = HttpTransport::new(&rpc, EXCHANGE).map_err(|e| refused(e.into()))?;
        let api = Api::new(&transport);
        let started = Instant::now();
        let mut tries = 0;
        let included = loop {
            let held = held(&api, &node.name).map_err(refused)?;
            let request = LeaveRequest::sign(chain, &held, operator.signer());
            tries += 1;
            match api.settle(&SystemTx::Leave(request), patience) {
                Ok((_, included)) => break included,
                // Its node has attested again meanwhile, or the epoch turned.
                Err(error) if error.retryable() && tries < LEAVE_TRIES => pause(BEAT),
                Err(error) => return Err(refused(error)),
            }
        };
        progress(Event::Step {
            name: node.name.clone(),
            what: format!("leaving    taken in at height {}", included.height),
        });
        loop {
            self.interrupt.check()?;
            let out = match api.page(&format!("/v1/validators/{}", node.name), 0) {
                Ok(page) => !matches!(page["status"].as_str(), Some("active" | "leaving")),
                Err(error) if error.code() == "validator.not_found" => true,
                Err(error) => return Err(refused(error)),
            };
            if out {
                return Ok(Left {
                    name: node.name.clone(),
                    height: included.height,
                    seconds: started.elapsed().as_secs_f64(),
                });
            }
            if started.elapsed() >= patience {
                return Err(Error::NotReady {
                    after: patience,
                    waiting_for: format!("{} still has its seat", node.name),
                });
            }
            pause(BEAT);
        }
    }

    /// Stops a node for good: it is not expected to come back.
    ///
    /// # Errors
    /// A process that does not end.
    pub fn halt(&self, i: usize) -> Result<(), Error> {
        let _lock = claim(&self.dir)?;
        self.stop(i)?;
        self.record()
    }

    /// Has the members admit a build, where they have not.
    ///
    /// # Errors
    /// A binary that cannot be read; the chain's refusal by its code.
    pub fn admit(
        &mut self,
        binary: &Path,
        patience: Duration,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Build, Error> {
        let binary = fs::canonicalize(binary).map_err(io_error("find", binary))?;
        let measurement = founding::measurement(&binary)?;
        let rpc = self.serving(None)?;
        if !members::admits(&rpc, measurement)? {
            let add =
                |policy: &mut tacit_attest::Policy| policy.measurements.extend(members::entries(measurement));
            let version = members::adopt(&self.facts, &rpc, add, patience, &self.interrupt)?;
            progress(Event::Step {
                name: "members".into(),
                what: format!("admit {measurement} by policy {version}"),
            });
        }
        let build = Build {
            binary,
            measurement: measurement.to_string(),
        };
        let _lock = claim(&self.dir)?;
        self.facts.newest = Some(build.clone());
        self.facts.write(&self.dir)?;
        Ok(build)
    }

    /// Moves one validator to a build that is admitted: drains and stops it, gives it fresh keys under its name, starts
    /// it, and returns once it votes.
    ///
    /// # Errors
    /// As [`Testnet::await_voting`]; [`Error::Command`] when the build refuses the home.
    pub fn upgrade(
        &mut self,
        i: usize,
        build: &Build,
        patience: Duration,
        progress: &mut dyn FnMut(Event),
    ) -> Result<Upgraded, Error> {
        let started = {
            let _lock = claim(&self.dir)?;
            let mut node = self.node(i)?.clone();
            self.drain(i);
            let started = Instant::now();
            self.stop(i)?;
            rejoin(&node, build)?;
            node.build = Some(build.clone());
            let (_, p2p) = node.p2p.split_once("/tcp/").unwrap_or_default();
            let p2p = p2p
                .split('/')
                .next()
                .and_then(|port| port.parse().ok())
                .unwrap_or(0);
            node.p2p = founding::address(&node.home, founding::host(self.facts.namespaces, i)?, p2p)?;
            self.keep(i, node.clone())?;
            let pid = self.start(i)?;
            node.pid = Some(pid);
            self.keep(i, node)?;
            self.await_serving(i, Instant::now() + RESTART, RESTART)?;
            started
        };
        let said = self.await_voting(i, started, patience, progress)?;
        let node = self.node(i)?;
        Ok(Upgraded {
            name: node.name.clone(),
            measurement: build.measurement.clone(),
            pid: node.pid.unwrap_or(0),
            epoch: said["epoch"].as_u64(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Has the members drop every build that no running validator has; gives the version of the policy, or none where there is
    /// nothing to drop.
    ///
    /// # Errors
    /// The chain's refusal by its code.
    pub fn drop_old_builds(&self, patience: Duration) -> Result<Option<u64>, Error> {
        let mut entries = Vec::new();
        let running = |node: &&NodeFacts| crate::process::find(&node.home).is_some();
        for node in self.facts.validators().filter(running) {
            for entry in members::entries(parse(&self.facts.build(node))?) {
                if !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
        }
        let rpc = self.serving(None)?;
        let needed = |value: &Measurement| entries.iter().any(|entry| entry.value == *value);
        if !members::admits_more(&rpc, needed)? {
            return Ok(None);
        }
        let keep =
            |policy: &mut tacit_attest::Policy| policy.measurements.retain(|entry| needed(&entry.value));
        members::adopt(&self.facts, &rpc, keep, patience, &self.interrupt).map(Some)
    }

    /// Stops a node, copies its home, and starts it again: what [`Testnet::rollback`] puts back.
    ///
    /// # Errors
    /// Files, and a process that does not stop or start.
    pub fn save_home(&self, i: usize) -> Result<u32, Error> {
        let _lock = claim(&self.dir)?;
        let node = self.node(i)?;
        let saved = self.saved(node);
        self.stop(i)?;
        let made = fs::remove_dir_all(&saved)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(io_error("delete", &saved)(error)),
            })
            .and_then(|()| copy(&node.home, &saved));
        let pid = self.start(i)?;
        self.record()?;
        made?;
        self.await_serving(i, Instant::now() + RESTART, RESTART)?;
        Ok(pid)
    }

    /// Kills a node, puts the saved copy in its home's place, and starts it: a host that sets a disk back.
    ///
    /// # Errors
    /// [`Error::NotSaved`] without a copy; files, and a process that does not start.
    pub fn rollback(&self, i: usize) -> Result<RolledBack, Error> {
        let _lock = claim(&self.dir)?;
        let node = self.node(i)?;
        let saved = self.saved(node);
        if !saved.exists() {
            return Err(Error::NotSaved {
                name: node.name.clone(),
            });
        }
        let status = self.status().into_iter().nth(i);
        let had = status.and_then(|status| status.height);
        self.stop(i)?;
        fs::remove_dir_all(&node.home).map_err(io_error("delete", &node.home))?;
        copy(&saved, &node.home)?;
        let pid = self.start(i)?;
        self.record()?;
        self.await_serving(i, Instant::now() + RESTART, RESTART)?;
        Ok(RolledBack {
            name: node.name.clone(),
            had,
            pid,
        })
    }

    fn saved(&self, node: &NodeFacts) -> PathBuf {
        self.dir.join(SAVED).join(&node.name)
    }

    /// The API of a validator that answers, of another than `not` where there is one.
    fn serving(&self, not: Option<usize>) -> Result<String, Error> {
        let status = self.status();
        let running = |skip: Option<usize>| {
            status
                .iter()
                .find(|one| {
                    one.role == NodeRole::Validator
                        && one.state == NodeState::Running
                        && Some(one.index) != skip
                })
                .map(|one| one.rpc.clone())
        };
        running(not)
            .or_else(|| running(None))
            .ok_or_else(|| Error::NotRunning {
                name: "every validator".into(),
            })
    }

    /// Has a node take nothing new, and waits a while until what it took in is final. One that does not answer is
    /// stopped as it is: its batches are with the others.
    fn drain(&self, i: usize) {
        let Ok(node) = self.node(i) else { return };
        let home = Home::at(&node.home);
        let end = Instant::now() + DRAIN;
        let mut now = admin::ask(&home, "POST", "/drain", EXCHANGE);
        while now.as_ref().is_ok_and(|said| said["pending"] != 0) && Instant::now() < end {
            pause(BEAT);
            now = admin::ask(&home, "GET", "/status", EXCHANGE);
        }
    }

    /// Writes down what is known of a node now, and tells the other nodes' files where it is.
    fn keep(&mut self, i: usize, node: NodeFacts) -> Result<(), Error> {
        if let Some(place) = self.facts.nodes.get_mut(i) {
            *place = node;
        }
        for other in &self.facts.nodes {
            let port = |address: &str, after: &str| {
                let (_, rest) = address.rsplit_once(after)?;
                rest.split('/').next()?.parse::<u16>().ok()
            };
            let (api, p2p) = (port(&other.rpc, ":"), port(&other.p2p, "/tcp/"));
            if let (Some(api), Some(p2p)) = (api, p2p) {
                founding::configure(&self.facts, other, api, p2p)?;
            }
        }
        self.facts.write(&self.dir)
    }
}

/// Gives a home fresh keys, sealed to a build, by that build itself.
fn rejoin(node: &NodeFacts, build: &Build) -> Result<(), Error> {
    let mut command = Command::new(&build.binary);
    command.args(["node", "rejoin", "--home"]).arg(&node.home);
    let output = command
        .stdin(Stdio::null())
        .env_remove("TACIT_HOME")
        .output()
        .map_err(io_error("start", &build.binary))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Command {
        name: node.name.clone(),
        command: "tacit node rejoin".into(),
        code: output.status.to_string(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// What the registry holds of a name.
fn held(api: &Api<'_>, name: &str) -> Result<Registration, tacit_wallet::Error> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let path = format!("/v1/validators/{name}/evidence");
    let page = api.page(&path, 0)?;
    let bytes = page["registration"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    decode(&bytes, MAX_REGISTRATION_BYTES).map_err(|error| tacit_wallet::Error::BadAnswer {
        endpoint: api.endpoint().to_owned(),
        path,
        reason: error.to_string(),
    })
}

fn parse(build: &Build) -> Result<Measurement, Error> {
    build
        .measurement
        .parse()
        .map_err(|_| founding::founding("the build", format!("{:?} is no measurement", build.measurement)))
}

/// Copies a folder with everything in it but sockets, and with the modes of its files.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(io_error("create", to))?;
    let mode = fs::metadata(from)
        .map_err(io_error("look at", from))?
        .permissions();
    fs::set_permissions(to, mode).map_err(io_error("set the mode of", to))?;
    for entry in fs::read_dir(from).map_err(io_error("list", from))? {
        let entry = entry.map_err(io_error("list", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(io_error("look at", &path))?;
        if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map_err(io_error("copy", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_home_is_copied_whole_with_its_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("db/deep")).unwrap();
        fs::write(from.join("db/deep/one"), "1").unwrap();
        fs::write(from.join("key"), "secret").unwrap();
        fs::set_permissions(from.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(from.join("admin.sock")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("db/deep/one")).unwrap(), b"1");
        let mode = fs::metadata(to.join("key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!to.join("admin.sock").exists());
    }
}
