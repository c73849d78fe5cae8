//! One node's process: started in a group of its own, found again by its pid file, told things by signals.
//!
//! A pid file may name a process that died long ago, whose number now belongs to a stranger. So before any signal
//! the process is pinned by a pidfd and its command line must name the node's home; then that very process gets
//! the signal, whatever happens to the number meanwhile. Linux only (`/proc`, pidfd).

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{Error, io_error};
use crate::facts::write_whole;

/// A started program's arguments can be read within this: microseconds, unless the machine is drowning.
const VISIBLE: Duration = Duration::from_secs(5);

/// What a node's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It runs.
    Running,
    /// It was stopped by a signal and keeps its sockets, silently.
    Paused,
    /// There is none.
    Stopped,
}

/// Where the pid of the node in `home` is kept.
pub(crate) fn pid_file(home: &Path) -> PathBuf {
    home.join("node.pid")
}

/// A program, in the network namespace that `within` enters, or in this one.
fn program(within: Option<Command>, binary: &Path) -> Command {
    match within {
        Some(mut command) => {
            command.arg(binary);
            command
        }
        None => Command::new(binary),
    }
}

/// Starts `binary node run --home HOME` with its output appended to `log`, and records its pid. The process has its
/// own group, so that Ctrl-C in a terminal reaches the command alone, and no terminal to read from.
pub(crate) fn spawn(within: Option<Command>, binary: &Path, home: &Path, log: &Path) -> Result<Child, Error> {
    let mut command = program(within, binary);
    command.args(["node", "run", "--home"]).arg(home);
    start(command, home, log)
}

/// Starts `binary testnet proxy FOLDER`, the proxy of a network's links, as [`spawn`] does a node.
pub(crate) fn spawn_proxy(binary: &Path, folder: &Path, log: &Path) -> Result<Child, Error> {
    let mut command = Command::new(binary);
    command.args(["testnet", "proxy"]).arg(folder);
    start(command, folder, log)
}

/// Starts `binary testnet crook KIND HOME`, an adversary in a validator's place, as [`spawn`] does the node.
pub(crate) fn spawn_crook(
    within: Option<Command>,
    binary: &Path,
    home: &Path,
    log: &Path,
    kind: crate::Adversary,
) -> Result<Child, Error> {
    let mut command = program(within, binary);
    command.args(["testnet", "crook", kind.name()]).arg(home);
    start(command, home, log)
}

fn start(mut command: Command, home: &Path, log: &Path) -> Result<Child, Error> {
    let binary = PathBuf::from(command.get_program());
    let out = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .map_err(io_error("open", log))?;
    let err = out.try_clone().map_err(io_error("open", log))?;
    // What steers a user's own commands must not steer the nodes.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"TACIT_")) {
        command.env_remove(name);
    }
    let mut child = command
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(io_error("start", &binary))?;
    if let Err(error) = write_whole(&pid_file(home), child.id().to_string().as_bytes(), 0o644) {
        // A node that nobody could find again must not stay behind.
        let _ = child.kill();
        let _ = child.wait();
        return Err(error);
    }
    // The system lets us go on a moment before the new program's arguments can be read; who looked for the node in
    // that moment would not find it.
    let end = Instant::now() + VISIBLE;
    while !is_ours(child.id(), home) && matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
        thread::yield_now();
    }
    Ok(child)
}

/// The process of the node in `home`, if it lives and is really that node's.
pub(crate) fn find(home: &Path) -> Option<(u32, ProcessState)> {
    let pid = recorded(home)?;
    let state = state_of(pid);
    (state != ProcessState::Stopped && is_ours(pid, home)).then_some((pid, state))
}

/// Sends `signal` to the node in `home`; false when it does not run.
pub(crate) fn signal(home: &Path, signal: Signal) -> io::Result<bool> {
    let Some((number, _)) = find(home) else {
        return Ok(false);
    };
    let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) else {
        return Ok(false);
    };
    let pinned = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    if !is_ours(number, home) {
        return Ok(false);
    }
    match pidfd_send_signal(&pinned, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Forgets a process that is gone.
pub(crate) fn forget(home: &Path) {
    let _ = fs::remove_file(pid_file(home));
}

fn recorded(home: &Path) -> Option<u32> {
    let text = fs::read_to_string(pid_file(home)).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

/// Whether one argument of the process is the node's home: equal, not a prefix, since `val-1` begins `val-10`.
fn is_ours(pid: u32, home: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    line.split(|byte| *byte == 0)
        .any(|argument| OsStr::from_bytes(argument) == home.as_os_str())
}

/// The process's state by `/proc/PID/stat` (proc(5)): the letter after the last closing bracket of the name.
fn state_of(pid: u32) -> ProcessState {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return ProcessState::Stopped;
    };
    let letter = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    match letter {
        None | Some('Z' | 'X' | 'x') => ProcessState::Stopped,
        Some('T' | 't') => ProcessState::Paused,
        Some(_) => ProcessState::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for a node: a process that waits, with `argument` on its command line.
    fn stand_in(home: &Path, argument: &Path) -> Child {
        fs::create_dir_all(home).unwrap();
        let mut command = Command::new("/bin/sh");
        // The `:` after it keeps the shell, and so its arguments, alive.
        command.args(["-c", "sleep 60; :", "node"]).arg(argument);
        start(command, home, &home.join("node.log")).unwrap()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}");
            thread::yield_now();
        }
    }

    #[test]
    fn a_node_is_found_paused_resumed_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("val-0");
        let mut child = stand_in(&home, &home);
        until("found", || {
            find(&home) == Some((child.id(), ProcessState::Running))
        });
        assert!(signal(&home, Signal::STOP).unwrap());
        until("paused", || {
            find(&home).is_some_and(|(_, state)| state == ProcessState::Paused)
        });
        assert!(signal(&home, Signal::CONT).unwrap());
        until("resumed", || {
            find(&home).is_some_and(|(_, state)| state == ProcessState::Running)
        });
        assert!(signal(&home, Signal::KILL).unwrap());
        until("gone, although nobody has waited for it yet", || {
            find(&home).is_none()
        });
        child.wait().unwrap();
        assert!(!signal(&home, Signal::TERM).unwrap());
    }

    #[test]
    fn a_stranger_with_the_recorded_pid_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (home, longer) = (dir.path().join("val-1"), dir.path().join("val-10"));
        fs::create_dir_all(&home).unwrap();
        let mut stranger = stand_in(&longer, &longer);
        until("the other is up", || find(&longer).is_some());
        fs::write(pid_file(&home), stranger.id().to_string()).unwrap();
        assert_eq!(find(&home), None);
        assert!(!signal(&home, Signal::KILL).unwrap());
        assert!(find(&longer).is_some());
        for rubbish in ["", "1", "-5", "x", "99999999999999999999"] {
            fs::write(pid_file(&home), rubbish).unwrap();
            assert_eq!(find(&home), None, "{rubbish:?}");
        }
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn the_node_has_a_group_of_its_own_and_no_steering_variables() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("val-0");
        let mut child = stand_in(&home, &home);
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let group = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(2)
            .unwrap()
            .to_string();
        assert_eq!(group, child.id().to_string());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
