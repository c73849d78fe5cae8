//! What this network's members do: they hold the first wallets, and adopt policies with them.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tacit_attest::{Measurement, Policy};
use tacit_ledger::{MAX_ORDINARY_TX_BYTES, SystemTx, decode};
use tacit_wallet::{Api, HttpTransport};

use crate::error::Error;
use crate::facts::Facts;
use crate::founding;
use crate::interrupt::Interrupt;
use crate::pause::pause;
use crate::purse;

/// Between two looks at the policy in force.
const BEAT: Duration = Duration::from_millis(100);
/// Longest time for one HTTP exchange.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Has members adopt the newest policy with a change, and waits until it is in force; gives its version.
///
/// # Errors
/// The chain's refusal by its code; [`Error::NotReady`] when it is not in force in time.
pub(crate) fn adopt(
    facts: &Facts,
    rpc: &str,
    change: impl FnOnce(&mut Policy),
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<u64, Error> {
    let end = Instant::now() + patience;
    let genesis = founding::read_genesis(facts)?;
    let transport = HttpTransport::new(rpc, EXCHANGE).map_err(|e| refused("members", e.into()))?;
    let api = Api::new(&transport);
    let page = |name: &str| api.page("/v1/policy", 0).map_err(|e| refused(name, e));
    let now = page("members")?;
    let (mut policy, protocol) = (newest(&now)?, protocol(&now)?);
    policy.version += 1;
    let version = policy.version;
    change(&mut policy);
    let threshold = usize::from(genesis.governance.threshold.max(1));
    let mut proposal = None;
    for member in genesis.governance.members.iter().take(threshold) {
        let name = &member.name;
        let mut wallet = purse::member(facts, &genesis, name, rpc)?;
        let tx = match &proposal {
            None => {
                let made = wallet
                    .propose(policy.clone(), protocol, Vec::new(), false)
                    .map_err(|e| refused(name, e))?;
                proposal = Some(made.clone());
                SystemTx::Propose(made)
            }
            Some(open) => SystemTx::Approve(wallet.approve(open).map_err(|e| refused(name, e))?),
        };
        let left = end.saturating_duration_since(Instant::now());
        settle(&api, &tx, left, interrupt).map_err(|e| refused(name, e))?;
    }
    loop {
        interrupt.check()?;
        if page("members")?["version"].as_u64() >= Some(version) {
            return Ok(version);
        }
        if Instant::now() >= end {
            return Err(Error::NotReady {
                after: patience,
                waiting_for: format!("policy version {version} is not in force"),
            });
        }
        pause(BEAT);
    }
}

/// Brings a transaction; an epoch that ends meanwhile only delays it.
fn settle(
    api: &Api<'_>,
    tx: &SystemTx,
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<(), tacit_wallet::Error> {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match api.settle(tx, left) {
            Ok(_) => return Ok(()),
            Err(error)
                if error.code() == "system.ending" && Instant::now() < end && interrupt.check().is_ok() =>
            {
                pause(BEAT);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether the policy in force admits a build.
pub(crate) fn admits(rpc: &str, measurement: Measurement) -> Result<bool, Error> {
    let policy = policy(rpc)?;
    Ok(policy.measurements.iter().any(|entry| entry.value == measurement))
}

/// Whether the policy in force admits a build that is not `needed`.
pub(crate) fn admits_more(rpc: &str, needed: impl Fn(&Measurement) -> bool) -> Result<bool, Error> {
    Ok(policy(rpc)?
        .measurements
        .iter()
        .any(|entry| !needed(&entry.value)))
}

/// The policy in force.
fn policy(rpc: &str) -> Result<Policy, Error> {
    let transport = HttpTransport::new(rpc, EXCHANGE).map_err(|e| refused("members", e.into()))?;
    let page = Api::new(&transport)
        .page("/v1/policy", 0)
        .map_err(|e| refused("members", e))?;
    in_force(&page)
}

/// The newest adopted policy: what a proposal changes.
fn newest(page: &Value) -> Result<Policy, Error> {
    let pending = page["pending"].as_array().and_then(|pending| pending.last());
    in_force(pending.unwrap_or(page))
}

/// The version of the protocol that the newest adopted policy brings.
fn protocol(page: &Value) -> Result<u16, Error> {
    let pending = page["pending"].as_array().and_then(|pending| pending.last());
    let version = pending.unwrap_or(page)["protocol"].as_u64();
    version
        .and_then(|version| u16::try_from(version).ok())
        .ok_or_else(|| Error::Api {
            url: "/v1/policy".into(),
            detail: "it names no protocol version".into(),
        })
}

fn in_force(page: &Value) -> Result<Policy, Error> {
    let bytes = page["bytes"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    decode(&bytes, MAX_ORDINARY_TX_BYTES).map_err(|error| Error::Api {
        url: "/v1/policy".into(),
        detail: error.to_string(),
    })
}

/// The entries that admit a build, as the network's first policy has them for the first one.
pub(crate) fn entries(measurement: Measurement) -> Vec<tacit_attest::AllowedMeasurement> {
    Policy::dev(measurement).measurements
}

fn refused(name: &str, error: tacit_wallet::Error) -> Error {
    Error::Refused {
        name: name.to_owned(),
        code: error.code(),
        detail: error.to_string(),
    }
}
