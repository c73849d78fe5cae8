//! `tacit gov`: members propose and approve policies. A proposal's id covers all that it changes, so a member signs
//! what this command has read and hashed, not what a node says about it.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tacit_attest::Policy;
use tacit_consensus::Digest;
use tacit_ledger::{MAX_ORDINARY_TX_BYTES, PolicyProposal, SystemTx, decode};
use tacit_wallet::{Api, Wallet};

use crate::{
    args::{GovNoun, GovVerb, WalletOptions},
    commands::{
        attest::policy,
        query::{render, table},
        share, suspend,
    },
    context::{Context, hash},
    failure::{Done, Failure},
    output::printable,
};

/// What people see of open proposals, before their ids.
const PROPOSALS: [(&str, &str); 6] = [
    ("version", "/version"),
    ("proposed by", "/member_name"),
    ("change", "/change"),
    ("approvals", "/approvals"),
    ("needed", "/threshold"),
    ("since", "/time"),
];
/// Fewest digits of an id that `gov show` looks for.
const SHORT_ID: usize = 4;

pub(crate) fn run(context: &Context, noun: GovNoun) -> Done {
    match noun.verb {
        GovVerb::Propose {
            file,
            reinstate,
            protocol,
            allow_below_quorum,
        } => {
            let terms = Terms {
                reinstate: &reinstate,
                protocol,
                allow_below_quorum,
            };
            propose(context, &noun.options, &file, &terms)
        }
        GovVerb::Approve { id } => approve(context, &noun.options, &id),
        GovVerb::List => list(context),
        GovVerb::Show { id } => show(context, &id),
        GovVerb::Share(verb) => share::run(context, &noun.options, verb),
    }
}

/// What a proposal says besides the policy.
struct Terms<'a> {
    reinstate: &'a [String],
    /// The newest adopted one unless it is raised.
    protocol: Option<u16>,
    allow_below_quorum: bool,
}

fn propose(context: &Context, options: &WalletOptions, file: &Path, terms: &Terms<'_>) -> Done {
    let mut policy = policy::read(file)?;
    let mut reinstate = terms
        .reinstate
        .iter()
        .map(|text| suspend::named(text))
        .collect::<Done<Vec<_>>>()?;
    // The ledger takes them in one order only.
    reinstate.sort();
    reinstate.dedup();
    let mut wallet = context.wallet(options)?;
    let transport = context.http()?;
    let api = Api::new(&transport);
    let now = api.page("/v1/policy", 0)?;
    let next = now["next_version"]
        .as_u64()
        .ok_or_else(|| Failure::new("rpc.bad_answer", "/v1/policy names no next version"))?;
    if policy.version != next {
        let text = format!("version {next} instead of the file's {}", policy.version);
        context.output.note("numbered", text);
        policy.version = next;
    }
    let protocol = terms.protocol.map_or_else(|| protocol(&now), Ok)?;
    let newest = newest(&now)?;
    context.output.progress(&policy::lines(&newest, &policy));
    let change = policy::compared(&newest, &policy);
    let proposal = wallet.propose(policy, protocol, reinstate, terms.allow_below_quorum)?;
    let id = proposal.id();
    let (_, included) = api.settle(&SystemTx::Propose(proposal), context.global.timeout)?;
    report(
        context,
        &api,
        &wallet,
        &id,
        "proposed",
        included.height,
        &change["change"],
    )
}

fn approve(context: &Context, options: &WalletOptions, id: &str) -> Done {
    let id = hash(id).map_err(|failure| failure.hint("tacit gov list --json shows whole ids"))?;
    let mut wallet = context.wallet(options)?;
    let transport = context.http()?;
    let api = Api::new(&transport);
    let item = open(&api)?
        .into_iter()
        .find(|item| item["id"] == id.to_string())
        .ok_or_else(|| unknown(&id.to_string()))?;
    let proposal = proposal(&item, &wallet.chain(), &id)?;
    let now = api.page("/v1/policy", 0)?;
    let newest = newest(&now)?;
    context.output.progress(&policy::lines(&newest, &proposal.policy));
    if !proposal.reinstate.is_empty() {
        let targets: Vec<String> = proposal.reinstate.iter().map(ToString::to_string).collect();
        context.output.note("reinstates", targets.join(", "));
    }
    if proposal.protocol != protocol(&now)? {
        context.output.note("protocol", proposal.protocol.to_string());
    }
    if proposal.allow_below_quorum {
        context.output.note(
            "warning",
            "it may leave fewer than a quorum of today's validators",
        );
    }
    let approval = wallet.approve(&proposal)?;
    let (_, included) = api.settle(&SystemTx::Approve(approval), context.global.timeout)?;
    let change = policy::compared(&newest, &proposal.policy);
    report(
        context,
        &api,
        &wallet,
        &id,
        "approved",
        included.height,
        &change["change"],
    )
}

/// Where a proposal stands after a member's word: still open, or adopted and in force from when on.
fn report(
    context: &Context,
    api: &Api<'_>,
    wallet: &Wallet,
    id: &Digest,
    done: &str,
    height: u64,
    change: &Value,
) -> Done {
    let item = open(api)?.into_iter().find(|item| item["id"] == id.to_string());
    let now = api.page("/v1/policy", 0)?;
    let adopted = adopted(&now, &id.to_string());
    let value = json!({
        "done": done,
        "id": id.to_string(),
        "member": wallet.name(),
        "height": height,
        "change": change,
        "adopted": adopted.is_some(),
        "version": item.as_ref().or(adopted).map(|page| page["version"].clone()),
        "approvals": item.as_ref().map_or_else(
            || adopted.map_or(Value::Null, |page| page["adoption"]["approvals"].clone()),
            |item| item["approvals"].clone(),
        ),
        "threshold": now["governance"]["threshold"],
        "active_from": adopted.map(|page| page["active_from"].clone()),
    });
    context.output.result(&value, || render(&value));
    Ok(())
}

fn list(context: &Context) -> Done {
    let transport = context.http()?;
    let api = Api::new(&transport);
    let now = api.page("/v1/policy", 0)?;
    let proposals = open(&api)?;
    let suspensions = api.page("/v1/suspensions", 0)?;
    let short = |page: &Value| {
        json!({
            "version": page["version"],
            "status": page["status"],
            "active_from": page["active_from"],
            "proposal": page["adoption"]["proposal"],
            "approvals": page["adoption"]["approvals"],
        })
    };
    let pending: Vec<Value> = now["pending"]
        .as_array()
        .into_iter()
        .flatten()
        .map(short)
        .collect();
    let value = json!({
        "members": now["governance"]["members"],
        "threshold": now["governance"]["threshold"],
        "in_force": short(&now),
        "pending": pending,
        "next_version": now["next_version"],
        "proposals": proposals,
        "suspensions": suspensions["items"],
        "votes": suspensions["votes"],
    });
    context.output.result(&value, || {
        let names: Vec<&str> = now["governance"]["members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|member| member["name"].as_str())
            .collect();
        let head = json!({
            "members": names,
            "threshold": now["governance"]["threshold"],
            "in_force": now["version"],
            "pending": pending,
        });
        let mut text = render(&head);
        for (label, list) in [("suspended", "items"), ("votes for", "votes")] {
            for one in suspensions[list].as_array().into_iter().flatten() {
                let voters = one["voters"].as_array().map_or(0, Vec::len);
                let what = one["text"].as_str().map(printable).unwrap_or_default();
                let votes = if voters > 0 {
                    format!(": {voters} of {}", suspensions["quorum"])
                } else {
                    String::new()
                };
                text.push_str(&format!("{label}  {what}{votes}\n"));
            }
        }
        if proposals.is_empty() {
            text.push_str("no proposal is open");
            return text;
        }
        let rows: Vec<Value> = proposals
            .iter()
            .map(|item| {
                let names = item["approvals"].as_array().into_iter().flatten();
                let names: Vec<&str> = names.filter_map(Value::as_str).collect();
                let mut row = item.clone();
                row["approvals"] = names.join(" ").into();
                row
            })
            .collect();
        text.push_str(&table(&PROPOSALS, &rows));
        // Whole ids: they are what members approve.
        for item in &proposals {
            let word = |name: &str| item[name].as_str().unwrap_or("?").to_owned();
            text.push_str(&format!("version {}  {}\n", item["version"], word("id")));
        }
        text
    });
    Ok(())
}

fn show(context: &Context, id: &str) -> Done {
    let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits || !(SHORT_ID..=64).contains(&id.len()) {
        let message = format!("{id:?} is no id: {SHORT_ID} to 64 hex digits");
        return Err(Failure::usage(message));
    }
    let transport = context.http()?;
    let api = Api::new(&transport);
    let fits = |id_of: &Value| id_of.as_str().is_some_and(|whole| whole.starts_with(id));
    let mut found: Vec<Value> = open(&api)?.into_iter().filter(|item| fits(&item["id"])).collect();
    let now = api.page("/v1/policy", 0)?;
    let pages = std::iter::once(&now).chain(now["pending"].as_array().into_iter().flatten());
    found.extend(pages.filter(|page| fits(&page["adoption"]["proposal"])).cloned());
    match found.as_slice() {
        [] => Err(unknown(id)),
        [one] => {
            context.output.result(one, || {
                let mut shown = one.clone();
                // People read what changes; all of the rules are in the JSON.
                for long in ["policy", "bytes", "proposal", "pending", "governance"] {
                    shown.as_object_mut().map(|members| members.remove(long));
                }
                render(&shown)
            });
            Ok(())
        }
        several => {
            Err(Failure::usage(format!("{} ids begin with {id:?}", several.len()))
                .hint("give more digits of it"))
        }
    }
}

fn unknown(id: &str) -> Failure {
    Failure::new(
        "gov.proposal_unknown",
        format!("no proposal {id}: it was replaced or made void, or never came"),
    )
    .hint("tacit gov list shows those that are open")
}

/// The proposals that are open, as the node shows them.
fn open(api: &Api<'_>) -> Done<Vec<Value>> {
    let mut page = api.page("/v1/policy/proposals", 0)?;
    match page["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Err(Failure::new("rpc.bad_answer", "/v1/policy/proposals is no list")),
    }
}

/// The proposal behind an id, which its hash proves.
fn proposal(item: &Value, chain: &Digest, id: &Digest) -> Done<PolicyProposal> {
    let bytes = item["proposal"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    let proposal: PolicyProposal = decode(&bytes, MAX_ORDINARY_TX_BYTES)
        .map_err(|error| Failure::new("rpc.bad_answer", format!("the proposal: {error}")))?;
    if proposal.chain != *chain || proposal.id() != *id {
        return Err(Failure::new(
            "proof.policy",
            format!("the node shows another proposal under the id {id}"),
        ));
    }
    Ok(proposal)
}

/// The protocol of the newest adopted policy.
fn protocol(now: &Value) -> Done<u16> {
    let pending = now["pending"].as_array().and_then(|pending| pending.last());
    pending.unwrap_or(now)["protocol"]
        .as_u64()
        .and_then(|version| u16::try_from(version).ok())
        .ok_or_else(|| Failure::new("rpc.bad_answer", "/v1/policy names no protocol version"))
}

/// The newest adopted policy: what a proposal changes.
fn newest(now: &Value) -> Done<Policy> {
    let pending = now["pending"].as_array().and_then(|pending| pending.last());
    let bytes = pending.unwrap_or(now)["bytes"]
        .as_str()
        .and_then(|text| STANDARD.decode(text).ok())
        .unwrap_or_default();
    decode(&bytes, MAX_ORDINARY_TX_BYTES)
        .map_err(|error| Failure::new("rpc.bad_answer", format!("the policy: {error}")))
}

/// The adopted policy that came from a proposal.
fn adopted<'a>(now: &'a Value, id: &str) -> Option<&'a Value> {
    let pending = now["pending"].as_array().into_iter().flatten();
    std::iter::once(now)
        .chain(pending)
        .find(|page| page["adoption"]["proposal"] == id)
}
