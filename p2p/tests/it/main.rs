//! Real nodes on loopback, port 0; every wait is for an event or a state, bounded by `harness::PATIENCE`.

mod abuse;
mod direct;
mod fetch;
mod gossip;
mod harness;
mod reconnect;
