//! `tacit testnet`: thin calls into the testnet crate.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Value, json};
use tacit_testnet::{
    Delay, Ended, Error, Hit, LeakReport, LoadOptions, LoadReport, NodeStatus, Options, Testnet, Word,
};

use crate::{
    args::{LoadKind, TestnetVerb, UpArgs},
    commands::{testnet_life, testnet_links},
    context::Context,
    failure::{Done, Failure, INTERRUPTED},
};

/// Runs a verb; what the user interrupted ends with 130 and says nothing more.
pub(crate) fn run(context: &Context, verb: TestnetVerb) -> Done<ExitCode> {
    match act(context, verb) {
        Ok(code) => Ok(code),
        Err(Ending::Interrupted) => Ok(ExitCode::from(INTERRUPTED)),
        Err(Ending::Failed(failure)) => Err(failure),
    }
}

/// How a verb can end before its time.
enum Ending {
    Interrupted,
    Failed(Failure),
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        if error.is_interrupt() {
            Self::Interrupted
        } else {
            Self::Failed(error.into())
        }
    }
}

fn act(context: &Context, verb: TestnetVerb) -> Result<ExitCode, Ending> {
    match verb {
        TestnetVerb::Up(args) => return up(context, args),
        TestnetVerb::Down(dir) => {
            let stopped = Testnet::attach(&dir.dir)?.down()?;
            context.output.result(&stopped, || {
                let names = |label: &str, names: &[String]| match names {
                    [] => String::new(),
                    names => format!("{label} {}\n", names.join(" ")),
                };
                format!(
                    "{}{}{}state is kept in {}",
                    names("stopped", &stopped.stopped),
                    names("killed", &stopped.killed),
                    names("were not running:", &stopped.idle),
                    dir.dir.display()
                )
            });
        }
        TestnetVerb::Status(dir) => {
            let net = Testnet::attach(&dir.dir)?;
            let nodes = net.status();
            let facts = net.facts();
            let mut value =
                json!({ "chain_id": facts.chain_id, "genesis_hash": facts.genesis_hash, "nodes": nodes });
            let links = match facts.has_links() {
                true => Some(net.links()?),
                false => None,
            };
            if let Some(links) = &links {
                value["links"] = testnet_links::value(facts, links);
            }
            context.output.result(&value, || {
                let mut lines: String = nodes.iter().map(status_line).collect();
                lines.extend(links.iter().map(|links| testnet_links::lines(facts, links)));
                lines
            });
        }
        TestnetVerb::Kill(nodes) => each(context, &nodes.dir.dir, &nodes.nodes, "killed", Testnet::kill)?,
        TestnetVerb::Restart(nodes) => {
            each(context, &nodes.dir.dir, &nodes.nodes, "restarted", |net, i| {
                net.restart(i).map(|_| ())
            })?;
        }
        TestnetVerb::Pause(nodes) => each(context, &nodes.dir.dir, &nodes.nodes, "paused", Testnet::pause)?,
        TestnetVerb::Resume(nodes) => {
            each(context, &nodes.dir.dir, &nodes.nodes, "resumed", Testnet::resume)?
        }
        TestnetVerb::Join { count, dir } => testnet_life::join(context, count, &dir.dir)?,
        TestnetVerb::Upgrade {
            nodes,
            build,
            drop_old,
            dir,
        } => testnet_life::upgrade(context, &nodes, &build, drop_old, &dir.dir)?,
        TestnetVerb::Leave(nodes) => testnet_life::leave(context, &nodes)?,
        TestnetVerb::Rollback { nodes, save, dir } => {
            testnet_life::rollback(context, &nodes, save, &dir.dir)?;
        }
        TestnetVerb::Partition {
            groups,
            from,
            to,
            dir,
        } => testnet_links::partition(
            context,
            groups.as_deref(),
            from.as_deref(),
            to.as_deref(),
            &dir.dir,
        )?,
        TestnetVerb::Heal(dir) => testnet_links::heal(context, &dir.dir)?,
        TestnetVerb::Latency {
            delay,
            jitter,
            from,
            to,
            dir,
        } => testnet_links::latency(
            context,
            Delay::new(delay, jitter)?,
            from.as_deref(),
            to.as_deref(),
            &dir.dir,
        )?,
        TestnetVerb::Adversary { node, kind, dir } => {
            testnet_links::adversary(context, &node, kind.into(), &dir.dir)?;
        }
        TestnetVerb::Crook { kind, home } => tacit_testnet::crook(kind.into(), &home)?,
        TestnetVerb::Proxy { folder } => tacit_testnet::proxy(&folder)?,
        TestnetVerb::Logs {
            node,
            lines,
            follow,
            dir,
        } => {
            let net = Testnet::attach(&dir.dir)?;
            let node = net.facts().index(&node)?;
            if !context.output.json() {
                net.logs(node, lines, follow, &mut Reader)?;
            } else if follow {
                let message = "a log that is followed is no one JSON document";
                return Err(Ending::Failed(Failure::new("usage.conflict", message)));
            } else {
                let mut text = Vec::new();
                net.logs(node, lines, false, &mut text)?;
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                let name = &net.facts().nodes[node].name;
                context.output.document(&json!({ "node": name, "lines": lines }));
            }
        }
        TestnetVerb::Load {
            rate,
            seconds,
            wallets,
            kind,
            dir,
        } => {
            let kind = match kind {
                LoadKind::Transfer => tacit_testnet::LoadKind::Transfer,
                LoadKind::Message => tacit_testnet::LoadKind::Message,
                LoadKind::Mixed => tacit_testnet::LoadKind::Mixed,
            };
            let net = Testnet::attach(&dir.dir)?;
            context.output.simulated();
            let options = LoadOptions {
                rate,
                seconds,
                wallets,
                kind,
                patience: context.global.timeout,
            };
            let report = tacit_testnet::load(net.facts(), &options)?;
            context.output.result(&report, || load_lines(&report));
        }
        TestnetVerb::Leakscan { words, captures, dir } => {
            let words: Vec<Word> = words.iter().map(|word| Word::text(word.clone(), word)).collect();
            let report = tacit_testnet::leakscan(&dir.dir, &words, &captures)?;
            return leaks(context, &report);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn up(context: &Context, args: UpArgs) -> Result<ExitCode, Ending> {
    let options = Options {
        dir: args.dir.dir,
        validators: args.validators,
        tdx: args.tdx,
        observers: args.observers,
        base_port: args.base_port,
        strict_ports: args.strict_ports,
        proxy: args.proxy || !args.latency.is_zero(),
        namespaces: args.namespaces,
        delay: Delay::new(args.latency, args.jitter)?,
        seed: args.seed,
        epoch_ms: u64::try_from(args.epoch.as_millis()).unwrap_or(u64::MAX),
        accounts: args.accounts,
        load_accounts: args.load_accounts,
        reset: args.reset,
        timeout: context.global.timeout.max(std::time::Duration::from_secs(60)),
        ready_file: args.ready_file,
        detach: args.detach,
        stop_on_interrupt: true,
        ..Options::default()
    };
    let output = &context.output;
    let net = Testnet::up(&options, &mut |event| match event {
        tacit_testnet::Event::Simulated => output.simulated(),
        event => output.progress(&event.to_string()),
    })?;
    output.result(net.facts(), || {
        format!("{}", net.dir().join(tacit_testnet::FACTS_FILE).display())
    });
    if args.detach {
        return Ok(ExitCode::SUCCESS);
    }
    output.progress("Ctrl-C stops, state is kept");
    match net.wait_until_interrupted()? {
        Ended::TakenDown => Ok(ExitCode::SUCCESS),
        Ended::Interrupted => {
            net.down()?;
            Err(Ending::Interrupted)
        }
    }
}

fn each(
    context: &Context,
    dir: &std::path::Path,
    nodes: &[String],
    word: &str,
    act: impl Fn(&Testnet, usize) -> Result<(), Error>,
) -> Result<(), Ending> {
    let net = Testnet::attach(dir)?;
    // All names are looked up before the first node is touched.
    let indices = nodes
        .iter()
        .map(|node| net.facts().index(node))
        .collect::<Result<Vec<_>, _>>()?;
    for index in &indices {
        act(&net, *index)?;
    }
    let names: Vec<String> = indices
        .iter()
        .map(|index| net.facts().nodes[*index].name.clone())
        .collect();
    context
        .output
        .result(&json!({ "done": word, "nodes": names }), || {
            format!("{word} {}", names.join(" "))
        });
    Ok(())
}

fn status_line(node: &NodeStatus) -> String {
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let state = format!("{:?}", node.state).to_lowercase();
    format!(
        "{:<8} {state:<12} height {:<8} view {:<8} epoch {:<4} peers {:<3} {}\n",
        node.name,
        number(node.height),
        number(node.view),
        number(node.epoch),
        number(node.peers),
        node.rpc
    )
}

/// Stdout, for as long as somebody reads it; a reader that went away ends the command quietly, as for any filter.
struct Reader;

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn load_lines(report: &LoadReport) -> String {
    let LoadReport {
        due,
        skipped,
        sent,
        accepted,
        refused,
        ..
    } = report;
    let latency = &report.latency_ms;
    let mut lines = vec![
        format!(
            "sent       {sent} of {due} due, {skipped} skipped, by {} wallets",
            report.wallets
        ),
        format!("accepted   {accepted}, refused {refused}"),
        format!(
            "committed  {}, failed {}, expired {}, lost {}",
            report.committed, report.failed, report.expired, report.lost
        ),
        format!(
            "rate       {:.1} tx/s over {:.1} s",
            report.tx_per_s, report.seconds
        ),
        format!(
            "latency    p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, max {:.0} ms (from sealing to verified receipt)",
            latency.p50, latency.p90, latency.p99, latency.max
        ),
    ];
    lines.extend(
        report
            .errors
            .iter()
            .map(|(code, count)| format!("error      {code}: {count}")),
    );
    lines.join("\n")
}

/// An encoding by the name that JSON has for it; the offset of base64 is of no use to people.
fn encoding(hit: &Hit) -> String {
    match serde_json::to_value(hit.encoding) {
        Ok(Value::String(name)) => name,
        Ok(Value::Object(one)) => one.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

fn leaks(context: &Context, report: &LeakReport) -> Result<ExitCode, Ending> {
    let text = || {
        let control = if report.control.passed() {
            "found (scanner works)"
        } else {
            "NOT FOUND: this scan proves nothing"
        };
        let total = report.total();
        let places: Vec<String> = report
            .searched
            .iter()
            .map(|one| format!("{} {}", one.what, one.places))
            .collect();
        let mut lines = vec![
            format!("control   plaintext probe planted in a scratch copy in every encoding: {control}"),
            format!(
                "searched  {}: {} files, {} bytes",
                places.join(", "),
                total.files,
                total.bytes
            ),
            format!("found     {} occurrences", report.occurrences),
        ];
        for hit in &report.hits {
            let place = hit
                .offset
                .map_or_else(|| "name".to_owned(), |offset| format!("offset {offset}"));
            lines.push(format!(
                "leak      {} as {} in {} ({place})",
                hit.word,
                encoding(hit),
                hit.file.display()
            ));
        }
        lines.extend(report.not_searched.iter().map(|what| format!("omitted   {what}")));
        lines.join("\n")
    };
    let Some(code) = report.code() else {
        context.output.result(report, text);
        return Ok(ExitCode::SUCCESS);
    };
    if !context.output.json() {
        context.output.line(&text());
    }
    let value = serde_json::to_value(report).unwrap_or_default();
    let failure = Failure::new(code, format!("{} occurrences", report.occurrences));
    Err(Ending::Failed(if context.output.json() {
        failure.detail("report", value)
    } else {
        failure
    }))
}
