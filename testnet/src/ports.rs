//! Ports for the nodes: a free run of them, kept from other networks until the nodes have bound theirs.
//!
//! ```text
//! base      base+1    base+10   base+11   ...
//! API 0     peers 0   API 1     peers 1
//! ```
//! A port is free when a listener can be bound to it on loopback. Between that test and the node's own bind another
//! network of this machine could take it: so each block of a hundred ports has a lock file in the system's temporary
//! folder, held from the search until the nodes serve. Strangers do not know that lock; against them a node's
//! own bind fails and says so.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::Error;

/// Distance between two nodes' first ports.
pub(crate) const STRIDE: u16 = 10;
/// Ports that one lock file covers, and the step of the search.
const BLOCK: u16 = 100;

/// The API port of node `i`.
pub(crate) fn api(base: u16, i: usize) -> u16 {
    base + STRIDE * i as u16
}

/// The peer port of node `i`.
pub(crate) fn p2p(base: u16, i: usize) -> u16 {
    api(base, i) + 1
}

/// The highest port of `nodes` nodes, unless it lies beyond the last port there is.
pub(crate) fn last(base: u16, nodes: usize) -> Option<u16> {
    let span = usize::from(STRIDE)
        .checked_mul(nodes.saturating_sub(1))?
        .checked_add(1)?;
    base.checked_add(u16::try_from(span).ok()?)
}

/// The ports of one more node: those of place `i`, or of the first free place after it.
pub(crate) fn free_pair(base: u16, i: usize) -> Result<(u16, u16), Error> {
    (i..)
        .take_while(|i| last(base, i + 1).is_some())
        .find(|i| first_taken(api(base, *i), 1).is_none())
        .map(|i| (api(base, i), p2p(base, i)))
        .ok_or(Error::NoFreePorts { base, nodes: i + 1 })
}

/// A free run of ports; dropping it lets other networks of this machine look at the run again.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) base: u16,
    _locks: Vec<File>,
}

/// Finds ports for `nodes` nodes from `base` on. `strict`: there or nowhere.
pub(crate) fn reserve(base: u16, nodes: usize, strict: bool) -> Result<Reserved, Error> {
    let none = Error::NoFreePorts { base, nodes };
    let step = (STRIDE * nodes as u16).div_ceil(BLOCK) * BLOCK;
    let mut at = base;
    loop {
        let Some(last) = last(at, nodes) else {
            return Err(none);
        };
        let locks = lock_blocks(at, last);
        match (first_taken(at, nodes), locks) {
            (None, Some(locks)) => {
                return Ok(Reserved {
                    base: at,
                    _locks: locks,
                });
            }
            (taken, _) if strict => {
                return Err(Error::PortInUse {
                    port: taken.unwrap_or(at),
                });
            }
            _ => {}
        }
        let Some(next) = at.checked_add(step) else {
            return Err(none);
        };
        at = next;
    }
}

/// The first port of the run that cannot be bound.
fn first_taken(base: u16, nodes: usize) -> Option<u16> {
    let tcp = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let udp = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..nodes).find_map(|i| {
        let (api, p2p) = (api(base, i), p2p(base, i));
        if !tcp(api) {
            Some(api)
        } else if !tcp(p2p) || !udp(p2p) {
            Some(p2p)
        } else {
            None
        }
    })
}

/// The lock files of the blocks that the run touches; None when another network holds one of them. A file that
/// cannot be opened (a strange temporary folder) is done without: the lock only narrows a race.
fn lock_blocks(first: u16, last: u16) -> Option<Vec<File>> {
    let mut held = Vec::new();
    let user = rustix::process::getuid().as_raw();
    for block in first / BLOCK..=last / BLOCK {
        let path = std::env::temp_dir().join(format!("tacit-ports-{user}-{block}.lock"));
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(&path);
        let Ok(file) = opened else { continue };
        match file.try_lock() {
            Ok(()) => held.push(file),
            Err(std::fs::TryLockError::WouldBlock) => return None,
            Err(std::fs::TryLockError::Error(_)) => {}
        }
    }
    Some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_two_ports_in_every_ten() {
        assert_eq!((api(26_600, 0), p2p(26_600, 0)), (26_600, 26_601));
        assert_eq!((api(26_600, 3), p2p(26_600, 3)), (26_630, 26_631));
        assert_eq!(last(26_600, 4), Some(26_631));
        assert_eq!(last(65_534, 1), Some(65_535));
        assert_eq!(last(65_530, 2), None);
    }

    #[test]
    fn a_taken_port_moves_the_run_and_strict_refuses() {
        // Whatever else runs on this machine, the first search gives a free run and holds it.
        let first = reserve(41_000, 2, false).unwrap();
        let second = reserve(first.base, 2, false).unwrap();
        assert_ne!(first.base, second.base, "a held run is not given twice");
        assert_eq!((second.base - first.base) % BLOCK, 0);
        let base = second.base;
        drop(second);

        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, p2p(base, 1))).unwrap();
        let moved = reserve(base, 2, false).unwrap();
        assert!(moved.base > base);
        match reserve(base, 2, true) {
            Err(Error::PortInUse { port }) => assert_eq!(port, p2p(base, 1)),
            other => panic!("{other:?}"),
        }
        drop(taken);
        assert!(matches!(
            reserve(65_500, 40, false),
            Err(Error::NoFreePorts { .. })
        ));
    }
}
