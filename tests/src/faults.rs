//! Real processes under faults: killed, paused, cut off, slowed, starved of disk, set back, flooded, lied to; under load, with
//! nothing lost.
//!
//! ```text
//!   a stage ──breaks──► a network of real processes ◄──load── wallets, each following to a verified receipt
//!      │ figures                     │ chains, receipts, logs
//!      ▼                             ▼
//!   TACIT_REPORT_DIR/processes.json  agree, hold all that was committed, at every node
//! ```
//! `tests/faults.rs` runs the stages at the size that CI has time for. [`Size::from_env`] says what makes them larger.
//! No stage judges how fast this machine is, but for bounds within which anything alive answers; how fast it was is
//! recorded.

mod disk;
mod flood;
mod forged;
mod frames;
mod judged;
mod kills;
mod lane;
mod links;
mod raw;

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

pub use self::{
    disk::full_disk,
    flood::{FLOOD_ACCOUNTS, flood},
    forged::{adversaries, forged_answers},
    frames::frames,
    judged::judged,
    kills::{all_restart, kills, pause, set_back},
    lane::{Lane, Loaded, Size},
    links::{one_way, partitions, slow_links},
};

/// Figures of the stages that ran so far in this process.
static FIGURES: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

/// Keeps the figures of a stage, and with them those of all stages before.
pub(crate) fn keep(stage: &str, figures: Value) {
    println!("{stage}: {figures}");
    let mut all = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    all.insert(stage.to_owned(), figures);
    crate::report::record("processes", serde_json::json!(*all));
}
