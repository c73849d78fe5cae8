//! A network's folder: whose it is, what it holds, and getting it ready for the nodes to start.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, io_error};
use crate::event::Event;
use crate::facts::{Build, Facts};
use crate::options::Options;
use crate::testnet::Testnet;
use crate::{founding, ports, process};

/// Held while a command changes something. It also says that this tool made the folder, and may empty it.
const LOCK_FILE: &str = "testnet.lock";

/// The folder's facts and ports, of a network made now or earlier.
pub(crate) fn prepare(
    dir: &Path,
    options: &Options,
    binary: &Path,
    progress: &mut dyn FnMut(Event),
) -> Result<(Facts, ports::Reserved), Error> {
    let known = match Facts::read(dir) {
        Ok(facts) => Some(facts),
        Err(Error::Absent { .. }) => None,
        // An unreadable file of ours may be replaced, but only by a reset.
        Err(_) if options.reset => None,
        Err(e) => return Err(e),
    };
    if let Some(facts) = &known {
        let running = facts
            .nodes
            .iter()
            .filter(|node| process::find(&node.home).is_some())
            .count();
        if running > 0 && !options.reset {
            return Err(Error::Running {
                dir: dir.to_path_buf(),
                running,
                nodes: facts.nodes.len(),
            });
        }
    }
    let moved = |reserved: &ports::Reserved, from: u16, progress: &mut dyn FnMut(Event)| {
        if reserved.base != from {
            progress(Event::PortsMoved {
                from,
                to: reserved.base,
            });
        }
    };
    if let Some(mut facts) = known.filter(|_| !options.reset) {
        progress(Event::Resuming {
            dir: dir.to_path_buf(),
            height: facts.height,
            seed: facts.seed,
            ignored: ignored(options, &facts),
        });
        check_binary(&facts, binary)?;
        let (from, nodes) = (facts.base_port, facts.nodes.len());
        let reserved = ports::reserve(from, nodes, options.strict_ports)?;
        moved(&reserved, from, progress);
        (facts.proxy, facts.namespaces) = (options.proxy, options.namespaces);
        founding::place(&mut facts, reserved.base)?;
        return Ok((facts, reserved));
    }
    if clear(dir, options.reset)? && !options.reset {
        progress(Event::Discarded {
            dir: dir.to_path_buf(),
        });
    }
    let reserved = ports::reserve(options.base_port, options.nodes(), options.strict_ports)?;
    moved(&reserved, options.base_port, progress);
    progress(Event::Creating {
        dir: dir.to_path_buf(),
        seed: options.seed,
    });
    let facts = founding::found(
        dir,
        options,
        binary,
        reserved.base,
        options.time_ms.unwrap_or_else(now_ms),
    )?;
    Ok((facts, reserved))
}

/// Empties a folder of ours, stopping its nodes first; true when something was there.
fn clear(dir: &Path, reset: bool) -> Result<bool, Error> {
    if reset && let Ok(net) = Testnet::attach(dir) {
        net.stop_all()?;
    }
    let mut found = false;
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        if entry.file_name() == LOCK_FILE {
            continue;
        }
        found = true;
        let path = entry.path();
        let folder = entry.file_type().map_err(io_error("look at", &path))?.is_dir();
        let gone = if folder {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        gone.map_err(io_error("delete", &path))?;
    }
    Ok(found)
}

/// Takes the folder's lock. A folder without our lock file must be empty: it becomes ours. Otherwise it is somebody
/// else's, and nothing in it is ever touched.
pub(crate) fn claim(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK_FILE);
    if !path.exists() {
        let mut entries = fs::read_dir(dir).map_err(io_error("list", dir))?;
        if entries.next().is_some() {
            return Err(Error::Foreign {
                dir: dir.to_path_buf(),
            });
        }
    }
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    let file = opened.map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy {
            dir: dir.to_path_buf(),
        }),
        Err(fs::TryLockError::Error(e)) => Err(io_error("lock", &path)(e)),
    }
}

/// A genesis admits one measurement. A rebuilt binary has another, and its node could not even open its own keys.
pub(crate) fn check_binary(facts: &Facts, binary: &Path) -> Result<(), Error> {
    check_build(&Build {
        binary: binary.to_path_buf(),
        measurement: facts.measurement.clone(),
    })
}

/// The same for the build that one node runs.
pub(crate) fn check_build(build: &Build) -> Result<(), Error> {
    let have = founding::measure(&build.binary)?;
    if have == build.measurement {
        return Ok(());
    }
    Err(Error::BinaryChanged {
        binary: build.binary.clone(),
        have,
        need: build.measurement.clone(),
    })
}

/// Options that a resumed network does not follow.
fn ignored(options: &Options, facts: &Facts) -> Vec<String> {
    let validators = facts.validators().count();
    let observers = facts.nodes.len() - validators;
    let mut ignored = Vec::new();
    let mut note = |what: &str, asked: u64, has: u64| {
        if asked != has {
            ignored.push(format!("{what} {asked} (it has {has})"));
        }
    };
    note("validators", options.validators.into(), validators as u64);
    note("tdx", options.tdx.into(), facts.tdx.into());
    note("observers", options.observers.into(), observers as u64);
    note("seed", options.seed, facts.seed);
    note("epoch ms", options.epoch_ms, facts.epoch_ms);
    if let Some(time) = options.time_ms {
        note("genesis time", time, facts.time_ms);
    }
    ignored
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::sample;

    #[test]
    fn a_strangers_folder_is_never_claimed_and_two_commands_never_share_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.tex"), "years of work").unwrap();
        assert!(matches!(claim(dir.path()), Err(Error::Foreign { .. })));
        fs::remove_file(dir.path().join("thesis.tex")).unwrap();
        let held = claim(dir.path()).unwrap();
        assert!(matches!(claim(dir.path()), Err(Error::Busy { .. })));
        drop(held);
        fs::write(dir.path().join("left-over"), "").unwrap();
        let _held = claim(dir.path()).unwrap();
        assert!(clear(dir.path(), false).unwrap());
        assert!(!clear(dir.path(), false).unwrap());
        assert!(dir.path().join(LOCK_FILE).exists());
    }

    #[test]
    fn what_a_resumed_network_does_not_follow_is_named() {
        let facts = sample(Path::new("/x"));
        let same = Options {
            validators: 1,
            ..Options::default()
        };
        assert!(ignored(&same, &facts).is_empty());
        let other = Options {
            seed: 7,
            time_ms: Some(2),
            ..Options::default()
        };
        assert_eq!(
            ignored(&other, &facts),
            [
                "validators 4 (it has 1)",
                "seed 7 (it has 42)",
                "genesis time 2 (it has 1)"
            ]
        );
    }
}
