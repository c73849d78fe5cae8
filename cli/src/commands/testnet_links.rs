//! `tacit testnet partition`, `heal`, `latency`, `adversary`: links and validators that fail.

use std::path::Path;

use serde_json::{Value, json};
use tacit_testnet::{Adversary, Delay, Error, Facts, Links, Testnet};

use crate::context::Context;

/// Cuts links: between groups, or one way.
pub(crate) fn partition(
    context: &Context,
    groups: Option<&str>,
    from: Option<&str>,
    to: Option<&str>,
    dir: &Path,
) -> Result<(), Error> {
    let net = Testnet::attach(dir)?;
    let facts = net.facts();
    let links = match groups {
        Some(groups) => net.partition(&facts.groups(groups)?)?,
        None => {
            let (from, to) = (some(facts, from)?, some(facts, to)?);
            net.change_links(|links| {
                links.cut(facts.nodes.len(), &from, &to);
                Ok(())
            })?
        }
    };
    say(context, facts, &links);
    Ok(())
}

/// Makes all links whole.
pub(crate) fn heal(context: &Context, dir: &Path) -> Result<(), Error> {
    let net = Testnet::attach(dir)?;
    let links = net.heal()?;
    say(context, net.facts(), &links);
    Ok(())
}

/// Makes links slow, or fast again.
pub(crate) fn latency(
    context: &Context,
    delay: Delay,
    from: Option<&str>,
    to: Option<&str>,
    dir: &Path,
) -> Result<(), Error> {
    let net = Testnet::attach(dir)?;
    let facts = net.facts();
    let (from, to) = (some(facts, from)?, some(facts, to)?);
    let links = net.change_links(|links| {
        links.slow(facts.nodes.len(), &from, &to, delay);
        Ok(())
    })?;
    say(context, facts, &links);
    Ok(())
}

/// Has an adversary take a validator's place.
pub(crate) fn adversary(context: &Context, node: &str, kind: Adversary, dir: &Path) -> Result<(), Error> {
    let net = Testnet::attach(dir)?;
    let index = net.facts().index(node)?;
    let pid = net.adversary(index, kind)?;
    let name = &net.facts().nodes[index].name;
    let value = json!({ "name": name, "adversary": kind, "pid": pid });
    context.output.result(&value, || {
        format!(
            "{name} is {} now, pid {pid}; the validator comes back with: tacit testnet restart {index}",
            kind.name()
        )
    });
    Ok(())
}

/// Those that are named, or all.
fn some(facts: &Facts, nodes: Option<&str>) -> Result<Vec<usize>, Error> {
    match nodes {
        Some(nodes) => facts.indices(nodes),
        None => Ok((0..facts.nodes.len()).collect()),
    }
}

fn say(context: &Context, facts: &Facts, links: &Links) {
    context
        .output
        .result(&value(facts, links), || lines(facts, links));
}

fn name(facts: &Facts, node: usize) -> &str {
    facts.nodes.get(node).map_or("?", |node| node.name.as_str())
}

/// The links by their nodes' names.
pub(crate) fn value(facts: &Facts, links: &Links) -> Value {
    let cut = links
        .cut
        .iter()
        .map(|link| json!({ "from": name(facts, link.from), "to": name(facts, link.to) }));
    let slow = links.slow.iter().map(|slow| {
        json!({
            "from": name(facts, slow.link.from),
            "to": name(facts, slow.link.to),
            "ms": slow.delay.ms,
            "jitter_ms": slow.delay.jitter_ms,
        })
    });
    json!({ "cut": cut.collect::<Vec<_>>(), "slow": slow.collect::<Vec<_>>() })
}

/// A line for each node that is not heard everywhere at once.
pub(crate) fn lines(facts: &Facts, links: &Links) -> String {
    let mut lines = String::new();
    for (from, node) in facts.nodes.iter().enumerate() {
        let cut = links.cut.iter().filter(|link| link.from == from);
        let cut: Vec<_> = cut.map(|link| name(facts, link.to)).collect();
        if !cut.is_empty() {
            lines += &format!("cut      {} to {}\n", node.name, cut.join(" "));
        }
        let slow = links.slow.iter().filter(|slow| slow.link.from == from);
        let slow: Vec<_> = slow
            .map(|slow| {
                let jitter = match slow.delay.jitter_ms {
                    0 => String::new(),
                    ms => format!("\u{b1}{ms}"),
                };
                format!("{} {}{jitter} ms", name(facts, slow.link.to), slow.delay.ms)
            })
            .collect();
        if !slow.is_empty() {
            lines += &format!("slow     {} to {}\n", node.name, slow.join(", "));
        }
    }
    match lines.is_empty() {
        true => "links    all whole and fast\n".into(),
        false => lines,
    }
}
