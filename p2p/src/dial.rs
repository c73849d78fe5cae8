//! When to dial a peer again, and where.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::config::split_peer;

/// The first wait after a connection closed or a dial failed.
pub(crate) const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A connection that lasted this long proves the peer well: the wait starts small again.
const STABLE: Duration = Duration::from_secs(10);

/// Addresses kept for one peer.
const ADDRESSES: usize = 8;

/// One peer's addresses and backoff. There is no jitter: when both sides dial at once both succeed.
#[derive(Debug)]
pub(crate) struct Dial {
    /// The first `fixed` come from the configuration and stay; the rest was learnt.
    addresses: Vec<Multiaddr>,
    fixed: usize,
    wait: Duration,
    next: Instant,
    since: Instant,
    dialling: bool,
}

impl Dial {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            addresses: Vec::new(),
            fixed: 0,
            wait: FIRST_WAIT,
            next: now,
            since: now,
            dialling: false,
        }
    }

    /// What is known, configured addresses first.
    pub(crate) fn addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// Since when the peer is connected without a break.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Adds an address of the configuration.
    pub(crate) fn fix(&mut self, address: Multiaddr) {
        if self.fixed < ADDRESSES
            && !self
                .addresses
                .iter()
                .take(self.fixed)
                .any(|known| *known == address)
        {
            self.addresses.insert(self.fixed, address);
            self.fixed += 1;
            self.addresses.truncate(ADDRESSES);
        }
    }

    /// Whether the configuration named this peer.
    pub(crate) fn is_fixed(&self) -> bool {
        self.fixed > 0
    }

    /// Replaces what was learnt before.
    pub(crate) fn learn(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        self.addresses.truncate(self.fixed);
        for address in addresses {
            if self.addresses.len() >= ADDRESSES {
                break;
            }
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }

    /// Puts one more learnt address behind the others, and tries soon.
    pub(crate) fn hint(&mut self, address: Multiaddr, now: Instant) {
        if self.addresses.len() < ADDRESSES && !self.addresses.contains(&address) {
            self.addresses.push(address);
            self.next = self.next.min(now);
        }
    }

    /// The addresses to dial, if it is time; the dial counts as begun.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Vec<Multiaddr>> {
        if self.dialling || self.addresses.is_empty() || now < self.next {
            return None;
        }
        self.dialling = true;
        Some(self.addresses.clone())
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.dialling = false;
        self.back_off(now);
    }

    /// A connection was made, by whichever side.
    pub(crate) fn connected(&mut self, first: bool, now: Instant) {
        self.dialling = false;
        if first {
            self.since = now;
        }
    }

    /// The last connection closed.
    pub(crate) fn lost(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= STABLE {
            self.wait = FIRST_WAIT;
        }
        self.back_off(now);
    }

    fn back_off(&mut self, now: Instant) {
        self.next = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }
}

/// An address that `peer` says it listens on, in the form to dial, if it is one: IP or DNS with TCP or QUIC. A
/// loopback address is believed only from a peer that is itself on loopback.
pub(crate) fn dialable(address: &Multiaddr, peer: &PeerId, over_loopback: bool) -> Option<Multiaddr> {
    let address = match split_peer(address) {
        Some((named, rest)) if named == *peer => rest,
        Some(_) => return None,
        None => address.clone(),
    };
    let mut parts = address.iter();
    match parts.next()? {
        Protocol::Ip4(ip) if acceptable(ip.into(), over_loopback) => {}
        Protocol::Ip6(ip) if acceptable(ip.into(), over_loopback) => {}
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) => {}
        _ => return None,
    }
    match (parts.next()?, parts.next(), parts.next()) {
        (Protocol::Tcp(port), None, None) if port != 0 => Some(address),
        (Protocol::Udp(port), Some(Protocol::QuicV1), None) if port != 0 => Some(address),
        _ => None,
    }
}

fn acceptable(ip: IpAddr, over_loopback: bool) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && (over_loopback || !ip.is_loopback())
}

/// Whether the address is on this machine.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("an address")
    }

    #[test]
    fn waits_double_up_to_the_cap_and_start_again_after_a_stable_connection() {
        let mut now = Instant::now();
        let mut dial = Dial::new(now);
        dial.fix(address("/ip4/127.0.0.1/tcp/1"));
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert!(dial.begin(now).is_some());
            assert!(dial.begin(now).is_none(), "one dial at a time");
            dial.failed(now);
            waits.push((dial.next - now).as_millis());
            now = dial.next;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        dial.connected(true, now);
        dial.lost(now + STABLE);
        assert_eq!(dial.next, now + STABLE + FIRST_WAIT);
    }

    #[test]
    fn configured_addresses_stay_and_learnt_ones_are_bounded() {
        let mut dial = Dial::new(Instant::now());
        dial.fix(address("/ip4/10.0.0.1/tcp/1"));
        dial.learn((1..100).map(|port| address(&format!("/ip4/10.0.0.2/tcp/{port}"))));
        assert_eq!(dial.addresses.len(), ADDRESSES);
        dial.learn([]);
        assert_eq!(dial.addresses, [address("/ip4/10.0.0.1/tcp/1")]);
    }

    #[test]
    fn odd_addresses_are_not_dialled() {
        let peer = PeerId::random();
        let ok = |text: &str, loopback| dialable(&address(text), &peer, loopback).is_some();
        assert!(ok("/ip4/10.0.0.1/tcp/1", false));
        assert!(ok("/ip6/2001:db8::1/udp/1/quic-v1", false));
        assert!(ok("/dns4/node.example/tcp/1", false));
        assert!(ok(&format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}"), false));
        assert!(ok("/ip4/127.0.0.1/tcp/1", true));
        assert!(!ok("/ip4/127.0.0.1/tcp/1", false));
        assert!(!ok("/ip4/0.0.0.0/tcp/1", true));
        assert!(!ok("/ip4/10.0.0.1/tcp/0", false));
        assert!(!ok("/ip4/10.0.0.1/udp/1", false));
        assert!(!ok(
            &format!("/ip4/10.0.0.1/tcp/1/p2p/{}", PeerId::random()),
            false
        ));
    }
}
