//! Who is connected, and what each says of itself.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use tacit_p2p::{Direction, node_key_of};
use utoipa::ToSchema;

use super::server::Api;
use super::types::fresh;

/// The connected peers.
#[derive(Serialize, ToSchema)]
pub(crate) struct PeersPage {
    /// The protocol version in force.
    protocol: u16,
    peers: Vec<PeerBody>,
}

/// One connected peer.
#[derive(Serialize, ToSchema)]
pub(crate) struct PeerBody {
    /// Network key.
    id: String,
    /// Its name in the set of the epoch in force; null for who has no seat.
    validator: Option<String>,
    /// Its end of the newest connection.
    address: String,
    /// `inbound` or `outbound`.
    direction: &'static str,
    /// The last round trip, in milliseconds.
    rtt_ms: Option<u32>,
    /// What it says of itself; null before it has.
    says: Option<SaysBody>,
}

/// What a peer says of its build.
#[derive(Serialize, ToSchema)]
pub(crate) struct SaysBody {
    /// The release.
    release: String,
    /// The oldest protocol version that it speaks.
    protocol_min: u16,
    /// The newest.
    protocol_max: u16,
    /// Whether it speaks the version in force; if not, it cannot follow (`peer.protocol`).
    speaks: bool,
}

/// Connected peers, with release and protocol versions.
#[utoipa::path(get, path = "/v1/peers", operation_id = "get_peers", responses((status = 200, body = PeersPage)))]
pub(crate) async fn list(State(api): State<Api>) -> Response {
    let (now, record) = (api.node().status(), api.node().current());
    let peers = now.peers.iter().filter_map(|peer| {
        let key = node_key_of(&peer.peer)?;
        let seat = record.validators.iter().find(|seat| seat.node_key.0 == key);
        let says = now.met.get(&key).map(|(hello, speaks)| SaysBody {
            release: hello.release.clone(),
            protocol_min: hello.protocol_min,
            protocol_max: hello.protocol_max,
            speaks: *speaks,
        });
        Some(PeerBody {
            id: hex::encode(key),
            validator: seat.map(|seat| seat.name.clone()),
            address: peer.address.to_string(),
            direction: match peer.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            rtt_ms: peer.rtt_ms,
            says,
        })
    });
    fresh(PeersPage {
        protocol: record.protocol,
        peers: peers.collect(),
    })
}
