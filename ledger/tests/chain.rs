//! Stories about what the chain says: genesis, light client, receipts, private queries, and the pinned formats.

#[path = "chain/network.rs"]
mod network;

#[path = "chain/genesis.rs"]
mod genesis;
#[path = "chain/light.rs"]
mod light;
#[path = "chain/query.rs"]
mod query;
#[path = "chain/receipt.rs"]
mod receipt;
#[path = "chain/vectors.rs"]
mod vectors;
