//! What the public lane costs a network of 100 validators: `cargo bench -p tacit-ledger --bench public`. Prints the
//! median of some runs and the ratio to one check of evidence; times are the machine's, ratios travel better.
//!
//! *cold*: no verdict is remembered, as for whoever sees a block's renewals for the first time. *warm*: as for a block
//! whose renewals came by gossip before, and for the second look at any block, when it is applied.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::time::{Duration, Instant};

use tacit_ledger::*;

#[path = "../tests/public/world.rs"]
#[allow(dead_code)]
mod world;

use world::{GENOA, Kind, Machine, World};

const VALIDATORS: u8 = 100;
const RUNS: usize = 5;

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<_> = (0..RUNS).map(|_| run()).collect();
    times.sort();
    times.get(RUNS / 2).copied().unwrap_or_default()
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// As a node has it that remembers nothing.
fn cold(world: &World) -> PublicState {
    PublicState::from_bytes(&world.state.to_bytes()).expect("what was stored")
}

fn lines(name: &str, kind: Kind) {
    let kinds = vec![kind; usize::from(VALIDATORS)];
    let mut world = World::new(&kinds);
    world.wait(1_000);
    let renewals: Vec<_> = (0..VALIDATORS)
        .map(|n| world.renewal(n, Machine::new(kind, n)))
        .collect();
    let time_ms = world.now + 1_000;

    let one = median(|| {
        let state = cold(&world);
        timed(|| state.check_ordinary(&renewals[0], time_ms).expect("good"))
    });
    let line = |what: &str, time: Duration| {
        let ratio = time.as_secs_f64() / one.as_secs_f64();
        println!(
            "{name:>14}  {what:<44} {:>10.3} ms {ratio:>8.1}",
            time.as_secs_f64() * 1e3
        );
    };
    line("one renewal, cold", one);

    let chosen: Vec<_> = world.state.select(&renewals, time_ms);
    let fit = chosen.iter().filter(|one| one.is_ok()).count();
    let included: Vec<_> = renewals.iter().take(fit).cloned().collect();
    let block = world.draft(1_000, 0, &included);
    let check = |state: &PublicState| {
        let checked = state.check_system(&block.header, &block.payload, 0);
        checked.expect("a good block");
    };
    line(
        &format!("block of {fit} renewals, cold"),
        median(|| {
            let state = cold(&world);
            timed(|| check(&state))
        }),
    );
    line(
        &format!("block of {fit} renewals, warm"),
        median(|| timed(|| check(&world.state))),
    );
    line(
        &format!("block of {fit} renewals applied, warm"),
        median(|| {
            let mut state = world.state.clone();
            timed(|| assert!(state.apply(&block).is_ok()))
        }),
    );
    line(
        "block without any",
        median(|| {
            let empty = world.draft(1_000, 0, &[]);
            timed(|| {
                world
                    .state
                    .check_system(&empty.header, &empty.payload, 0)
                    .expect("a good block")
            })
        }),
    );
    line(
        "next set of 100 decided, cold",
        median(|| {
            let state = cold(&world);
            timed(|| drop(state.decision(time_ms)))
        }),
    );
    let mut later = time_ms;
    line(
        "next set of 100 decided, warm",
        median(|| {
            later += 1;
            timed(|| drop(world.state.decision(later)))
        }),
    );
    let mut tightened = 0;
    line(
        "proposal tried on 100 seats",
        median(|| {
            // Another policy each time, so that no verdict on it is known.
            tightened += 1;
            let policy = world.policy(|policy| policy.evidence_age_max_ms -= tightened);
            let proposal = SystemTx::Propose(world.proposal(0, policy));
            timed(|| world.state.check_ordinary(&proposal, time_ms).expect("good"))
        }),
    );
}

fn main() {
    println!(
        "{:>14}  {:<44} {:>13} {:>8}",
        "validators", "what", "median", "ratio"
    );
    lines("100 SNP", GENOA);
    lines("100 TDX", Kind::Td);
}
