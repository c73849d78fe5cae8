//! Many runs: their figures, and for the first that fails everything that is needed to find out why.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};
use tacit_consensus::Millis;

use super::{
    adversary::Adversary,
    fault::{Counts, Fault},
    options::Swarm,
    outcome::{Outcome, run},
    shrink::shrink,
};
use crate::report;

/// Runs that are spent on making a failing one smaller.
const SHRINKING: usize = 60;

/// What many runs came to.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Runs.
    pub worlds: u64,
    /// Runs that were made twice and were the same.
    pub twice: u64,
    /// Runs with real signatures.
    pub real_signatures: u64,
    /// Packets delivered and nodes woken.
    pub events: u64,
    /// Simulated time, in milliseconds.
    pub simulated_ms: Millis,
    /// Final blocks.
    pub blocks: u64,
    /// Epochs that began, beyond the first two.
    pub epochs: u64,
    /// Transfers that a node took in.
    pub transfers: u64,
    /// Statements of validators whose disk was set back that contradict what nobody could show them.
    pub contradicted: u64,
    /// Transitions of cores that the reference model judged.
    pub judged: u64,
    /// Bytes looked through for planted plaintext.
    pub scanned: u64,
    /// Faults by kind.
    pub faults: Counts,
    /// Runs with each adversary, and what it did in them.
    pub adversaries: BTreeMap<Adversary, (u64, u64)>,
    /// How long healthy cores took, sorted when asked for.
    recovered_ms: Vec<Millis>,
}

impl Totals {
    /// Takes a run in.
    pub fn add(&mut self, options: &Swarm, outcome: &Outcome) {
        self.worlds += 1;
        self.twice += u64::from(options.is_run_twice());
        self.real_signatures += u64::from(options.real_signatures);
        self.events += outcome.events;
        self.simulated_ms += outcome.simulated_ms;
        self.blocks += outcome.height;
        self.epochs += outcome.epoch.saturating_sub(1);
        self.transfers += outcome.transfers;
        self.contradicted += outcome.contradicted;
        self.judged += outcome.judged;
        self.scanned += outcome.scanned;
        self.faults.add(&outcome.faults);
        for (kind, acts) in &outcome.adversaries {
            let (runs, all) = self.adversaries.entry(*kind).or_default();
            (*runs, *all) = (*runs + 1, *all + acts);
        }
        self.recovered_ms.push(outcome.recovered_ms);
    }

    /// Takes those of other runs in.
    pub fn merge(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.twice += other.twice;
        self.real_signatures += other.real_signatures;
        self.events += other.events;
        self.simulated_ms += other.simulated_ms;
        self.blocks += other.blocks;
        self.epochs += other.epochs;
        self.transfers += other.transfers;
        self.contradicted += other.contradicted;
        self.judged += other.judged;
        self.scanned += other.scanned;
        self.faults.add(&other.faults);
        for (kind, (runs, acts)) in other.adversaries {
            let (all_runs, all_acts) = self.adversaries.entry(kind).or_default();
            (*all_runs, *all_acts) = (*all_runs + runs, *all_acts + acts);
        }
        self.recovered_ms.extend(other.recovered_ms);
    }

    /// Simulated hours.
    pub fn hours(&self) -> f64 {
        self.simulated_ms as f64 / 3_600_000.0
    }

    /// The share of healthy cores, in hundredths, that were as quick as this or quicker; in milliseconds.
    pub fn recovered_ms(&self, hundredths: usize) -> Millis {
        let mut sorted = self.recovered_ms.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or(0)
    }

    /// For a report.
    pub fn figures(&self, core_seconds: f64) -> Value {
        let faults: BTreeMap<&str, u64> = self
            .faults
            .iter()
            .map(|(fault, count)| (fault.name(), count))
            .collect();
        let adversaries: BTreeMap<&str, Value> = self
            .adversaries
            .iter()
            .map(|(kind, (runs, acts))| (kind.name(), json!({ "worlds": runs, "acts": acts })))
            .collect();
        json!({
            "worlds": self.worlds,
            "run_twice": self.twice,
            "real_signatures": self.real_signatures,
            "events": self.events,
            "simulated_hours": self.hours(),
            "core_seconds_of_worlds": core_seconds,
            "simulated_seconds_per_core_second": self.simulated_ms as f64 / 1_000.0 / core_seconds.max(0.001),
            "blocks": self.blocks,
            "epochs": self.epochs,
            "transfers": self.transfers,
            "faults": self.faults.total(),
            "fault_kinds": faults.len(),
            "faults_by_kind": faults,
            "adversaries": adversaries,
            "contradicted_after_a_set_back": self.contradicted,
            "transitions_judged": self.judged,
            "bytes_scanned": self.scanned,
            "core_committed_again_ms": {
                "p50": self.recovered_ms(50),
                "p99": self.recovered_ms(99),
                "max": self.recovered_ms(100),
                "limit": super::LIVE_WITHIN_MS,
            },
        })
    }
}

/// Runs one seed's world, twice where its seed says so.
///
/// # Errors
///
/// All that is needed to find out why it failed: its name, the options, the shrunken run and the commands that replay both.
pub fn check(options: &Swarm) -> Result<Outcome, String> {
    match run(options) {
        Ok(outcome) => {
            if options.is_run_twice() {
                let again = run(options);
                if again.as_ref() != Ok(&outcome) {
                    return Err(format!(
                        "D1: not the same twice: {outcome:#?}\n{again:#?}\nin {options:#?}"
                    ));
                }
            }
            Ok(outcome)
        }
        Err(failure) => {
            let (small, found, tried) = shrink(options, &failure, SHRINKING);
            let mut text = format!("{}\n{}\n", failure.name, failure.detail);
            let _ = writeln!(text, "in {options:#?}\nreplay: {}", options.replay());
            let _ = writeln!(
                text,
                "shrunk in {tried} runs to {small:#?}\n{}\nreplay: {}",
                found.detail,
                small.replay()
            );
            Err(text)
        }
    }
}

/// What `tacit-tests sim` is asked for.
#[derive(Debug, clap::Args)]
pub struct SimArgs {
    /// One seed, whose outcome is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds, from `--from` on.
    #[arg(long, default_value_t = 100, conflicts_with = "seed")]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Kinds of faults that are switched off.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Adversaries in place of the seed's, or `none`.
    #[arg(long, value_delimiter = ',')]
    adversaries: Vec<String>,
    /// Another length of the safety phase, in milliseconds.
    #[arg(long)]
    rough_ms: Option<Millis>,
    /// Another mean time between transfers, in milliseconds.
    #[arg(long)]
    transfer_every_ms: Option<Millis>,
    /// Nobody follows.
    #[arg(long)]
    no_observer: bool,
    /// Nobody joins or leaves.
    #[arg(long)]
    no_membership: bool,
    /// Nobody attests again.
    #[arg(long)]
    no_renewals: bool,
    /// No faults at all: what a healthy network costs.
    #[arg(long)]
    calm: bool,
    /// Prints what the nodes of a single run log, from debugging on.
    #[arg(long, requires = "seed")]
    log: bool,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
}

impl SimArgs {
    fn options(&self, seed: u64) -> Result<Swarm, String> {
        let mut options = Swarm::of(seed);
        if self.calm {
            options = Swarm::calm(seed, options.rough_ms, options.transfer_every_ms);
        }
        options.faults.retain(|fault, _| !self.without.contains(fault));
        match self.adversaries.as_slice() {
            [] => {}
            [none] if none == "none" => options.adversaries.clear(),
            names => {
                let named = names.iter().map(|name| name.parse());
                options.adversaries = named.collect::<Result<_, _>>()?;
            }
        }
        options.rough_ms = self.rough_ms.unwrap_or(options.rough_ms);
        options.transfer_every_ms = self.transfer_every_ms.unwrap_or(options.transfer_every_ms);
        options.observer &= !self.no_observer;
        options.membership &= !self.no_membership;
        options.renewals &= !self.no_renewals;
        Ok(options)
    }

    /// Does what is asked for.
    ///
    /// # Errors
    ///
    /// What [`check`] says of the first run that fails, or how many did.
    pub fn run(&self) -> Result<(), String> {
        if let Some(seed) = self.seed {
            let options = self.options(seed)?;
            println!("{options:#?}");
            if self.log {
                let shown = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
                shown.without_time().with_ansi(false).init();
            }
            let began = report::core_time();
            let outcome = run(&options).map_err(|failure| format!("{}\n{}", failure.name, failure.detail))?;
            println!(
                "{outcome:#?}\n{:.2} core-seconds",
                (report::core_time() - began).as_secs_f64()
            );
            return Ok(());
        }
        let (mut totals, mut failed, began) = (Totals::default(), 0, report::core_time());
        for seed in self.from..self.from + self.seeds {
            let options = self.options(seed)?;
            match check(&options) {
                Ok(outcome) => totals.add(&options, &outcome),
                Err(text) if self.keep_going => {
                    failed += 1;
                    println!("seed {seed}: {text}");
                }
                Err(text) => return Err(format!("seed {seed}: {text}")),
            }
        }
        println!(
            "{:#}",
            totals.figures((report::core_time() - began).as_secs_f64())
        );
        match failed {
            0 => Ok(()),
            _ => Err(format!("{failed} of {} runs failed", self.seeds)),
        }
    }
}
