//! The lane: which seats lie, how far the search goes, what is kept of it.

use serde_json::{Value, json};

use super::{Figures, SEATS, run};
use crate::report;

/// Searches with the liar on each of these seats; the figures of each, the seconds of a core, and what is kept.
pub fn lane(seats: &[u16], limit: u64) -> (Vec<Figures>, Value) {
    let mut rows = Vec::new();
    let mut found = Vec::new();
    for seat in seats {
        let before = report::core_time();
        let figures = run(*seat, limit);
        let seconds = (report::core_time() - before).as_secs_f64();
        let leads = match seat {
            2 => "view 1",
            3 => "view 2",
            _ => "neither view",
        };
        rows.push(json!({
            "the liar leads": leads,
            "states": figures.states,
            "moves": figures.moves,
            "states of single cores": figures.core_states,
            "steps of the core, judged": figures.core_steps,
            "states with a final block": figures.committing,
            "final blocks": figures.final_blocks,
            "complete": !figures.cut_short,
            "broken": figures.violations.len(),
            "core-seconds": (seconds * 10.0).round() / 10.0,
        }));
        found.push(figures);
    }
    let total: u64 = found.iter().map(|figures| figures.states).sum();
    (found, json!({ "states": total, "by seat of the liar": rows }))
}

/// `tacit-tests explore`
#[derive(Debug, clap::Args)]
pub struct ExploreArgs {
    /// The liar's seat; all four, one after the other, without it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..4))]
    liar: Option<u16>,
    /// Most states of one search. The largest, seat 3, has 8.4 million and takes some 2 GiB.
    #[arg(long, default_value_t = 100_000_000)]
    limit: u64,
}

impl ExploreArgs {
    /// Runs it.
    ///
    /// # Errors
    /// What was broken.
    pub fn run(self) -> Result<(), String> {
        let seats: Vec<u16> = self.liar.map_or((0..SEATS).collect(), |seat| vec![seat]);
        let (found, kept) = lane(&seats, self.limit);
        println!("{kept:#}");
        report::record("explore", kept);
        let broken: Vec<String> = found.into_iter().flat_map(|figures| figures.violations).collect();
        match broken.is_empty() {
            true => Ok(()),
            false => Err(broken.join("\n")),
        }
    }
}
