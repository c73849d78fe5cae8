//! A wallet against a whole chain in memory: what it does, and every single thing that it refuses.

mod support;

#[path = "wallet/refusals.rs"]
mod refusals;
#[path = "wallet/stories.rs"]
mod stories;
