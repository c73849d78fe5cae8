//! What a node is told about its network.

use std::collections::BTreeSet;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, StreamProtocol};

use crate::error::Error;
use crate::identity::peer_id_of;
use crate::limits::{Limits, VALIDATORS};

/// Addresses, chain, registry and bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen: `/ip4/…/tcp/…` and `/ip4/…/udp/…/quic-v1`; port 0 takes any free one. May be empty.
    pub listen: Vec<Multiaddr>,
    /// Peers to dial and to keep dialling, each ending in `/p2p/<peer id>`. This node's own is skipped.
    pub bootstrap: Vec<Multiaddr>,
    /// The chain's identity (genesis hash). Protocol names carry its first eight hexadecimal digits.
    pub chain: [u8; 32],
    /// Node keys of the current validators; at most 1024.
    pub validators: Vec<[u8; 32]>,
    /// Connections in all. Two a validator, but at most three quarters of these, are kept free for validators.
    pub max_connections: u32,
    /// Dial validators only where `bootstrap` says, and not where they say themselves that they listen.
    pub configured_only: bool,
    /// Bounds on messages and peers.
    pub limits: Limits,
}

impl Config {
    /// The bootstrap peers with their addresses.
    pub(crate) fn bootstrap_peers(&self) -> Result<Vec<(PeerId, Multiaddr)>, Error> {
        self.bootstrap
            .iter()
            .map(|address| split_peer(address).ok_or_else(|| Error::BootstrapWithoutPeer(address.clone())))
            .collect()
    }

    /// Whether an address names a host instead of an IP address.
    pub(crate) fn needs_dns(&self) -> bool {
        self.bootstrap.iter().any(|address| {
            address.iter().any(|p| {
                matches!(
                    p,
                    Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)
                )
            })
        })
    }
}

/// The peers of node keys; refuses what is no key, and more than 1024.
pub(crate) fn validator_peers(keys: &[[u8; 32]]) -> Result<BTreeSet<PeerId>, Error> {
    if keys.len() > VALIDATORS {
        let value = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        return Err(Error::Limits {
            what: "validators",
            value,
            bound: "at most 1024",
        });
    }
    let peers = keys.iter().enumerate();
    peers
        .map(|(index, key)| peer_id_of(key).ok_or(Error::ValidatorKey { index }))
        .collect()
}

/// Takes `/p2p/<peer id>` off the end of an address.
pub(crate) fn split_peer(address: &Multiaddr) -> Option<(PeerId, Multiaddr)> {
    let mut rest = address.clone();
    match rest.pop() {
        Some(Protocol::P2p(peer)) if !rest.is_empty() => Some((peer, rest)),
        _ => None,
    }
}

/// The chain's protocol names.
#[derive(Clone, Debug)]
pub(crate) struct Protocols {
    /// `/tacit/<chain8>/1`: what identify announces.
    pub(crate) version: String,
    pub(crate) direct: StreamProtocol,
    pub(crate) fetch: StreamProtocol,
    pub(crate) gossip: String,
    pub(crate) batches: String,
    pub(crate) announcements: String,
    pub(crate) system: String,
}

impl Protocols {
    pub(crate) fn of(chain: &[u8; 32]) -> Self {
        let chain8: String = chain.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let name = |what: &str| format!("/tacit/{chain8}/{what}/1");
        let stream = |what: &str| StreamProtocol::try_from_owned(name(what)).expect("it starts with a slash");
        Self {
            version: format!("/tacit/{chain8}/1"),
            direct: stream("direct"),
            fetch: stream("fetch"),
            gossip: name("gossip"),
            batches: name("batches"),
            announcements: name("announcements"),
            system: name("system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_chain() {
        let mut chain = [0; 32];
        chain[..4].copy_from_slice(&[0xde, 0xad, 0x00, 0x0f]);
        let names = Protocols::of(&chain);
        assert_eq!(names.direct.as_ref(), "/tacit/dead000f/direct/1");
        assert_eq!(names.fetch.as_ref(), "/tacit/dead000f/fetch/1");
        assert_eq!(names.version, "/tacit/dead000f/1");
    }

    #[test]
    fn a_bootstrap_address_must_name_its_peer() {
        let config = Config {
            listen: vec![],
            bootstrap: vec!["/ip4/127.0.0.1/tcp/1".parse().expect("address")],
            chain: [0; 32],
            validators: vec![],
            configured_only: false,
            max_connections: 10,
            limits: Limits::default(),
        };
        assert!(matches!(
            config.bootstrap_peers(),
            Err(Error::BootstrapWithoutPeer(_))
        ));
    }
}
