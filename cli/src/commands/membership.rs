//! A validator's way into a running network and out of it: `tacit node join`, `rejoin`, `leave`, `drain`.
//!
//! The node itself registers; these commands tell it to, show how far it is, and end with the refusal's own code when
//! it is refused. Leaving is the operator's word, signed here with a key that the TEE does not have.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tacit_ledger::{LeaveRequest, MAX_REGISTRATION_BYTES, Registration, SystemTx, codes, decode};
use tacit_node::{
    admin,
    config::{Config, Role},
    home::Home,
    init::Identity,
    operator::OperatorKey,
};
use tacit_wallet::{Api, Error as WalletError, HttpTransport};

use crate::{
    commands::query::render,
    context::{Context, hash},
    failure::{Done, Failure},
};

/// Between two looks at a node that is on its way: there is nothing to wait on.
const BEAT: Duration = Duration::from_millis(200);
/// Longest wait for an answer on the admin socket.
const ADMIN: Duration = Duration::from_secs(5);
/// A registration that is replaced while its leave is on its way is looked up anew so many times.
const LEAVE_TRIES: usize = 3;

/// The home of a validator, and the way to its node.
struct Own {
    home: Home,
    name: String,
    transport: HttpTransport,
}

impl Own {
    fn open(context: &Context) -> Done<Self> {
        let home = Home::at(context.node_home()?);
        let missing = || {
            let message = format!("{} is no validator's home", home.root().display());
            Failure::new("home.missing", message).hint("give the --home of a validator")
        };
        if !home.config().exists() {
            return Err(missing());
        }
        let config = Config::load(&home.config())?;
        if config.node.role != Role::Validator {
            return Err(missing());
        }
        // Its own node, unless another one is named.
        let rpc = match &context.global.rpc {
            Some(rpc) => rpc.clone(),
            None => format!("http://{}", config.api.listen),
        };
        Ok(Self {
            name: config.node.name,
            transport: HttpTransport::new(&rpc, context.global.timeout)?,
            home,
        })
    }

    fn api(&self) -> Api<'_> {
        Api::new(&self.transport)
    }

    /// What the node says of itself, if it is one of this home's chain.
    fn node(&self) -> Done<Value> {
        let api = self.api();
        let chain = self.home.load_genesis()?.chain_id();
        let status = api.status()?;
        if status.genesis_hash != chain.to_string() {
            return Err(WalletError::GenesisHash {
                have: hash(&status.genesis_hash)?,
                pinned: chain,
            }
            .into());
        }
        Ok(api.page("/v1/node", 0)?)
    }
}

/// Has the node register, and follows it until it votes.
pub(crate) fn join(context: &Context) -> Done {
    let own = Own::open(context)?;
    let started = Instant::now();
    // Also says that the node runs at all.
    own.node()?;
    let asked = admin::ask(&own.home, "POST", "/join", ADMIN)?;
    let asked_ms = asked["asked_ms"].as_u64().unwrap_or(0);
    let mut steps: Vec<Value> = Vec::new();
    let mut said = String::new();
    loop {
        let now = own.api().page("/v1/node", 0)?;
        let phase = now["phase"].as_str().unwrap_or("?").to_owned();
        let line = progress(&now);
        if line != said {
            context.output.progress(&line);
            said = line;
        }
        if steps.last().is_none_or(|last| last["phase"] != phase.as_str()) {
            steps.push(json!({
                "phase": phase,
                "height": now["height"],
                "epoch": now["epoch"],
                "after_ms": millis(started.elapsed()),
            }));
        }
        if matches!(phase.as_str(), "voting" | "leaving") {
            let value = json!({
                "name": own.name,
                "phase": phase,
                "seat": now["seat"],
                "epoch": now["epoch"],
                "height": now["height"],
                "took_ms": millis(started.elapsed()),
                "steps": steps,
            });
            context.output.result(&value, || render(&value));
            return Ok(());
        }
        if let Some(failure) = refusal(&now, asked_ms) {
            return Err(failure.detail("name", own.name).detail("phase", phase));
        }
        if started.elapsed() >= context.global.timeout {
            let message = format!("{} is {phase} after {:?}", own.name, context.global.timeout);
            return Err(Failure::new("wait.timeout", message)
                .hint("the node goes on by itself; look again, or give a longer --timeout")
                .detail("phase", phase)
                .detail("next", now["registered"]["next"].clone())
                .detail("attempt", now["attempt"].clone()));
        }
        std::thread::park_timeout(BEAT);
    }
}

/// The node's last attempt, if it was refused since `asked_ms`.
fn refusal(now: &Value, asked_ms: u64) -> Option<Failure> {
    let attempt = &now["attempt"];
    if attempt["accepted"] != false || attempt["at_ms"].as_u64()? < asked_ms {
        return None;
    }
    let detail = attempt["detail"].as_str().unwrap_or_default();
    // A code that this release does not know is not passed on: scripts may rely on the table.
    let row = attempt["code"].as_str().and_then(codes::lookup);
    // The node tries again by itself.
    if row.is_some_and(|row| row.retryable) {
        return None;
    }
    Some(
        Failure::new(row.map_or("rpc.bad_answer", |row| row.code), detail)
            .hint(hint(row))
            .detail("why", attempt["why"].clone())
            .detail("height", attempt["height"].clone()),
    )
}

/// What the operator of a refused machine does next: the table speaks to those who look at somebody else's evidence.
fn hint(row: Option<&codes::Code>) -> String {
    match row {
        Some(row) if !row.code.starts_with("attest.") => row.hint.to_owned(),
        _ => "put that right on this machine, or have the members admit it; then run tacit node join again"
            .to_owned(),
    }
}

/// One line about a node that is on its way.
fn progress(now: &Value) -> String {
    let phase = now["phase"].as_str().unwrap_or("?");
    let number = |at: &str| now.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let rest = match phase {
        "following" if now["synced"] == true => format!("at height {}, registering", number("/height")),
        "following" => format!("height {} of {}", number("/height"), number("/best_known")),
        "registered" => match now.pointer("/registered/next/code").and_then(Value::as_str) {
            Some(code) => format!(
                "at height {}; the next epoch has no seat for it [{code}]",
                number("/registered/height")
            ),
            None => format!(
                "at height {}; waits for epoch {}",
                number("/registered/height"),
                number("/epoch") + 1
            ),
        },
        "snapshot" if number("/snapshot/chunks") > 0 => format!(
            "{} of {} chunks of the state of epoch {}",
            number("/snapshot/have"),
            number("/snapshot/chunks"),
            number("/snapshot/epoch")
        ),
        "probation" => format!(
            "{} of {} others have said what they saw of it",
            number("/probation/answers"),
            number("/probation/needed")
        ),
        "voting" | "leaving" => format!("seat {} of epoch {}", number("/seat"), number("/epoch")),
        _ => now["meaning"].as_str().unwrap_or_default().to_owned(),
    };
    format!("{phase:<10} {rest}")
}

/// Signs the operator's wish to leave, brings it, and waits for the epoch's end if that is asked for.
pub(crate) fn leave(context: &Context, operator_key: Option<&Path>, wait: bool) -> Done {
    let own = Own::open(context)?;
    let path = operator_key.map_or_else(|| own.home.operator_key(), Path::to_path_buf);
    let operator = OperatorKey::load(&path)?;
    let now = own.node()?;
    let (started, api) = (Instant::now(), own.api());
    let mut tries = 0;
    let (id, included) = loop {
        let held = held(&api, &own.name)?;
        if held.operator_key != operator.public() {
            let message = format!("{} does not answer for {}", path.display(), own.name);
            return Err(Failure::new("key.operator", message)
                .detail("have", operator.public().to_string())
                .detail("need", held.operator_key.to_string()));
        }
        let request = LeaveRequest::sign(own.home.load_genesis()?.chain_id(), &held, operator.signer());
        tries += 1;
        match api.settle(&SystemTx::Leave(request), context.global.timeout) {
            // Its node has attested again meanwhile, or the epoch turned.
            Err(error) if error.retryable() && tries < LEAVE_TRIES => std::thread::park_timeout(BEAT),
            other => break other?,
        }
    };
    context
        .output
        .progress(&format!("leaving    taken in at height {}", included.height));
    let mut after = api.page(&format!("/v1/validators/{}", own.name), 0)?;
    let mut said = String::new();
    while wait && !is_out(&after) {
        let line = match after.pointer("/next/code").and_then(Value::as_str) {
            Some("epoch.leave_waits") => "leaving    waits: the set would be too small without it".to_owned(),
            _ => format!("leaving    until epoch {} ends", now["epoch"]),
        };
        if line != said {
            context.output.progress(&line);
            said = line;
        }
        if started.elapsed() >= context.global.timeout {
            let message = format!(
                "{} still has its seat after {:?}",
                own.name, context.global.timeout
            );
            return Err(Failure::new("wait.timeout", message)
                .hint("the wish stands; look again with: tacit query validator NAME")
                .detail("next", after["next"].clone()));
        }
        std::thread::park_timeout(BEAT);
        after = match api.page(&format!("/v1/validators/{}", own.name), 0) {
            // Forgotten by the registry: it is out for good.
            Err(WalletError::Refused {
                code: "validator.not_found",
                ..
            }) => json!({ "status": "left" }),
            other => other?,
        };
    }
    let value = json!({
        "id": id.to_string(),
        "name": own.name,
        "height": included.height,
        "status": after["status"],
        "next": after["next"],
    });
    context.output.result(&value, || render(&value));
    Ok(())
}

/// Whether a validator's page shows it without a seat.
fn is_out(page: &Value) -> bool {
    !matches!(page["status"].as_str(), Some("active" | "leaving"))
}

/// What the registry holds of a name.
fn held(api: &Api<'_>, name: &str) -> Done<Registration> {
    let page = api.page(&format!("/v1/validators/{name}/evidence"), 0)?;
    let bad = |what: &str| {
        Failure::new(
            "rpc.bad_answer",
            format!("/v1/validators/{name}/evidence: {what}"),
        )
    };
    let text = page["registration"]
        .as_str()
        .ok_or_else(|| bad("no registration"))?;
    let bytes = STANDARD.decode(text).map_err(|_| bad("not base64"))?;
    decode(&bytes, MAX_REGISTRATION_BYTES).map_err(|_| bad("no registration"))
}

/// Has the node take nothing new, and waits until what it took in is final.
pub(crate) fn drain(context: &Context, cancel: bool) -> Done {
    let own = Own::open(context)?;
    if cancel {
        let now = admin::ask(&own.home, "POST", "/resume", ADMIN)?;
        context
            .output
            .result(&now, || format!("{} takes envelopes again", own.name));
        return Ok(());
    }
    let started = Instant::now();
    let mut now = admin::ask(&own.home, "POST", "/drain", ADMIN)?;
    let mut said = None;
    while now["pending"] != 0 {
        if said != now["pending"].as_u64() {
            said = now["pending"].as_u64();
            context.output.progress(&format!(
                "draining   {} envelopes are in no final block yet",
                now["pending"]
            ));
        }
        if started.elapsed() >= context.global.timeout {
            let message = format!("{} envelopes are in no final block yet", now["pending"]);
            return Err(Failure::new("wait.timeout", message)
                .hint("the node goes on draining; ask again, or give a longer --timeout")
                .detail("pending", now["pending"].clone()));
        }
        std::thread::park_timeout(BEAT);
        now = admin::ask(&own.home, "GET", "/status", ADMIN)?;
    }
    let value = json!({
        "name": own.name,
        "draining": now["draining"],
        "pending": now["pending"],
        "took_ms": millis(started.elapsed()),
    });
    context
        .output
        .result(&value, || format!("{} is drained: stop it now", own.name));
    Ok(())
}

/// A validator's public identity, as commands print it.
pub(crate) fn identity(value: &mut Value, identity: &Identity) {
    let key = |key: &Option<_>| {
        key.as_ref()
            .map(|key: &tacit_consensus::PublicKey| key.to_string())
    };
    value["consensus_key"] = json!(key(&identity.consensus_key));
    value["node_key"] = json!(key(&identity.node_key));
    value["operator_key"] = json!(identity.operator_key.to_string());
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_this_request_ends_it() {
        let page = |at_ms: u64, accepted: bool, code: &str| {
            json!({ "attempt": { "why": "join", "at_ms": at_ms, "accepted": accepted, "code": code,
                                  "detail": "the measurement is not admitted", "height": 9 } })
        };
        assert!(
            refusal(&page(4, false, "attest.measurement_unknown"), 5).is_none(),
            "an older one"
        );
        assert!(refusal(&page(6, true, ""), 5).is_none());
        assert!(
            refusal(&page(6, false, "system.ending"), 5).is_none(),
            "it passes"
        );
        assert!(refusal(&json!({ "attempt": null }), 5).is_none());
        let known = refusal(&page(5, false, "attest.measurement_unknown"), 5).unwrap();
        assert_eq!((known.code, known.exit()), ("attest.measurement_unknown", 6));
        assert_eq!(
            refusal(&page(5, false, "attest.no_such"), 5).unwrap().code,
            "rpc.bad_answer"
        );
    }

    #[test]
    fn people_see_what_is_waited_for() {
        let said = |value: Value| progress(&value);
        assert_eq!(
            said(json!({ "phase": "following", "height": 12, "best_known": 900, "synced": false })),
            "following  height 12 of 900"
        );
        let waits = json!({ "phase": "registered", "epoch": 4,
                            "registered": { "height": 77, "next": { "code": "epoch.newcomers" } } });
        assert!(said(waits).contains("[epoch.newcomers]"));
        assert_eq!(
            said(json!({ "phase": "voting", "seat": 3, "epoch": 5 })),
            "voting     seat 3 of epoch 5"
        );
    }
}
