//! `tacit testnet join`, `upgrade`, `leave`, `rollback`: a local network's life after its first day.

use std::{path::Path, time::Instant};

use serde_json::json;
use tacit_testnet::{Error, Event, Testnet};

use crate::{args::Nodes, context::Context, output::Output};

/// What a network says while it works.
fn tell(output: &Output) -> impl FnMut(Event) + '_ {
    |event| match event {
        Event::Simulated => output.simulated(),
        event => output.progress(&event.to_string()),
    }
}

/// Adds validators, one after the other.
pub(crate) fn join(context: &Context, count: u16, dir: &Path) -> Result<(), Error> {
    let mut net = Testnet::attach(dir)?;
    let mut joined = Vec::new();
    for _ in 0..count {
        joined.push(net.join(context.global.timeout, &mut tell(&context.output))?);
    }
    context.output.result(&json!({ "joined": joined }), || {
        let lines = joined
            .iter()
            .map(|one| format!("{} votes after {:.1} s  {}\n", one.name, one.seconds, one.rpc));
        lines.collect()
    });
    Ok(())
}

/// Moves validators to another build, one after the other.
pub(crate) fn upgrade(
    context: &Context,
    nodes: &[String],
    build: &Path,
    drop_old: bool,
    dir: &Path,
) -> Result<(), Error> {
    let mut net = Testnet::attach(dir)?;
    let indices = indices(&net, nodes)?;
    let (started, patience) = (Instant::now(), context.global.timeout);
    let mut tell = tell(&context.output);
    let build = net.admit(build, patience, &mut tell)?;
    let mut upgraded = Vec::new();
    for index in indices {
        upgraded.push(net.upgrade(index, &build, patience, &mut tell)?);
    }
    let dropped = match drop_old {
        true => net.drop_old_builds(patience)?,
        false => None,
    };
    let value = json!({
        "build": build,
        "upgraded": upgraded,
        "dropped_by_policy": dropped,
        "seconds": started.elapsed().as_secs_f64(),
    });
    context.output.result(&value, || {
        let mut lines: Vec<String> = upgraded
            .iter()
            .map(|one| format!("{} votes on the new build after {:.1} s", one.name, one.seconds))
            .collect();
        lines.extend(dropped.map(|version| format!("policy {version} drops the old build")));
        lines.join("\n")
    });
    Ok(())
}

/// Takes validators off the network and stops them.
pub(crate) fn leave(context: &Context, nodes: &Nodes) -> Result<(), Error> {
    let net = Testnet::attach(&nodes.dir.dir)?;
    let mut left = Vec::new();
    for index in indices(&net, &nodes.nodes)? {
        left.push(net.leave(index, context.global.timeout, &mut tell(&context.output))?);
        net.halt(index)?;
    }
    context.output.result(&json!({ "left": left }), || {
        left.iter()
            .map(|one| format!("{} has no seat any more, and is stopped\n", one.name))
            .collect()
    });
    Ok(())
}

/// Saves homes, or puts saved ones back.
pub(crate) fn rollback(context: &Context, nodes: &[String], save: bool, dir: &Path) -> Result<(), Error> {
    let net = Testnet::attach(dir)?;
    let indices = indices(&net, nodes)?;
    if save {
        let mut saved = Vec::new();
        for index in indices {
            let pid = net.save_home(index)?;
            saved.push(json!({ "name": net.facts().nodes[index].name, "pid": pid }));
        }
        context.output.result(&json!({ "saved": saved }), || {
            format!(
                "saved {} homes; put them back with: tacit testnet rollback",
                saved.len()
            )
        });
        return Ok(());
    }
    let mut back = Vec::new();
    for index in indices {
        back.push(net.rollback(index)?);
    }
    context.output.result(&json!({ "rolled_back": back }), || {
        back.iter()
            .map(|one| format!("{} runs on its older home\n", one.name))
            .collect()
    });
    Ok(())
}

/// All names are looked up before the first node is touched.
fn indices(net: &Testnet, nodes: &[String]) -> Result<Vec<usize>, Error> {
    nodes.iter().map(|node| net.facts().index(node)).collect()
}
