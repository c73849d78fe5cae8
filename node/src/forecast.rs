//! Until when each validator's evidence is accepted: under today's rules, under each policy that is adopted or
//! proposed, and under the vendor's next level where its collateral is known. Made anew when the public state changes
//! and once a minute; interfaces, metrics, readiness and this node's own warnings read the newest one.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tacit_consensus::{Digest, Millis, PublicKey};
use tacit_ledger::PublicState;

use crate::{
    api::time,
    clock,
    handle::NodeHandle,
    metrics::Metrics,
    renewal::{self, Attester},
};

/// A forecast is made at least this often.
const EVERY: Duration = Duration::from_secs(60);


/// What all validators can expect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// When it was made, by this node's clock; 0 before the first.
    pub made_ms: Millis,
    /// Registered validators, by name.
    pub validators: Vec<ValidatorForecast>,
}

/// What one validator can expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorForecast {
    /// Its name.
    pub name: String,
    /// Under each set of rules, today's first.
    pub sets: Vec<SetForecast>,
}

/// A set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForecastSet {
    /// The policy in force.
    Today,
    /// An adopted policy whose time has not come.
    Pending {
        /// Its version.
        version: u64,
    },
    /// A proposal that waits for approvals.
    Proposed {
        /// The version that it would be.
        version: u64,
        /// [`tacit_ledger::PolicyProposal::id`].
        proposal: Digest,
    },
    /// The policy in force, judged by the vendor's next level.
    Next,
}

impl ForecastSet {
    /// The word for it in interfaces and labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Pending { .. } => "pending",
            Self::Proposed { .. } => "proposed",
            Self::Next => "next",
        }
    }

    /// The version of its policy, where that is not the one in force.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Pending { version } | Self::Proposed { version, .. } => Some(*version),
            Self::Today | Self::Next => None,
        }
    }
}

/// What one validator can expect under one set of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetForecast {
    /// Which rules.
    pub set: ForecastSet,
    /// Whether they would accept its evidence now.
    pub accepted: bool,
    /// The refusal's code; none where it is accepted.
    pub code: Option<&'static str>,
    /// Until when they accept it, in milliseconds since the Unix epoch; none where they do not.
    pub until_ms: Option<Millis>,
    /// Why they stop then, or why they refuse.
    pub cause: String,
    /// What to update; empty where nothing helps or nothing is needed.
    pub update: String,
}

impl Forecast {
    /// One validator's.
    pub fn of(&self, name: &str) -> Option<&ValidatorForecast> {
        self.validators.iter().find(|one| one.name == name)
    }
}

impl ValidatorForecast {
    /// Under today's rules.
    pub fn today(&self) -> Option<&SetForecast> {
        self.sets.iter().find(|one| one.set == ForecastSet::Today)
    }
}
