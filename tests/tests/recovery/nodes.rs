//! Nodes that operators make by hand, in real processes.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use tacit_tests::network::PATIENCE;

use crate::command::{Tacit, lossy};

/// A founder of a network: a home with keys and a registration, and where it listens.
pub(crate) struct Founder {
    pub(crate) home: String,
    pub(crate) registration: String,
    pub(crate) peer: String,
    pub(crate) rpc: String,
    log: PathBuf,
}

impl Founder {
    /// `node init` on a machine of its own.
    pub(crate) fn init(tacit: &Tacit, folder: &Path, name: &str, nonce: &str, ports: (u16, u16)) -> Self {
        let path = |file: &str| folder.join(file).to_str().expect("a path of text").to_owned();
        let (home, authority) = (path(name), path("authority.bin"));
        let (api, p2p) = (format!("127.0.0.1:{}", ports.0), format!("127.0.0.1:{}", ports.1));
        let made = tacit.json(&[
            "node",
            "init",
            "--home",
            &home,
            "--name",
            name,
            "--tee",
            "simulated",
            "--authority",
            &authority,
            "--nonce",
            nonce,
            "--api",
            &api,
            "--p2p",
            &p2p,
        ]);
        Self {
            registration: format!("{home}/registration.json"),
            peer: made["peer"].as_str().expect("where it is dialled").to_owned(),
            rpc: format!("http://{api}"),
            log: folder.join(format!("{name}.log")),
            home,
        }
    }

    /// `node run`.
    pub(crate) fn start(&self, tacit: &Tacit) -> Node {
        let log = File::create(&self.log).expect("a log file");
        let mut command = tacit.command(&["node", "run", "--home", &self.home]);
        let out = log.try_clone().expect("a handle");
        Node(command.stdout(out).stderr(log).spawn().expect("the node starts"))
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        lossy(&fs::read(&self.log).unwrap_or_default())
    }

    /// Another process gives no event to wait for: it is asked again and again.
    pub(crate) fn until_ready(&self, tacit: &Tacit) {
        let start = Instant::now();
        while tacit.run(&["node", "health", "--rpc", &self.rpc]).status.code() != Some(0) {
            assert!(start.elapsed() < PATIENCE, "not ready: {}", self.said());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

/// A node's process, killed with its test.
pub(crate) struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// So many ports that nobody uses now.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let held: Vec<TcpListener> = (0..count).map(bind).collect();
    held.iter()
        .map(|one| one.local_addr().expect("bound").port())
        .collect()
}
