//! The lane: how many scenarios, what is kept of them, and one scenario again.

use serde_json::{Value, json};

use super::{Figures, Plan, Scenario, replay, run};
use crate::report;

/// Runs a plan; its figures, and the seconds of a core that it took.
pub fn lane(plan: Plan) -> (Figures, f64) {
    let before = report::core_time();
    let figures = run(plan);
    (figures, (report::core_time() - before).as_secs_f64())
}

/// What is kept of a run.
pub fn figures(plan: Plan, found: &Figures, seconds: f64) -> Value {
    let rate = found.scenarios as f64 / seconds.max(0.001) * 60.0;
    json!({
        "rounds": plan.rounds,
        "distinct scenarios": found.scenarios,
        "a minute on one core": rate.round() as u64,
        "messages delivered": found.deliveries,
        "scenarios that committed": found.committing,
        "scenarios whose twins were proven guilty": found.blamed,
        "scenarios healed, which then committed": found.healed,
        "broken": found.violations.len(),
        "core-seconds": (seconds * 10.0).round() / 10.0,
    })
}

/// `tacit-tests twins`
#[derive(Debug, clap::Args)]
pub struct TwinsArgs {
    /// Rounds of each scenario, up to 8.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=8))]
    rounds: u64,
    /// Of the beginnings, one in so many is followed to its ends: 1 for all.
    #[arg(long, default_value_t = 1)]
    one_in: u64,
    /// Of the scenarios, one in so many is healed at its end and must commit: 0 for none.
    #[arg(long, default_value_t = 64)]
    heal_one_in: u64,
    /// One scenario alone, as a failure names it.
    #[arg(long)]
    replay: Option<Scenario>,
}

impl TwinsArgs {
    /// Runs it.
    ///
    /// # Errors
    /// What was broken, with the scenarios.
    pub fn run(self) -> Result<(), String> {
        let broken = match &self.replay {
            Some(scenario) => replay(scenario),
            None => {
                let plan = Plan {
                    rounds: self.rounds as usize,
                    one_in: self.one_in,
                    heal_one_in: self.heal_one_in,
                };
                let (found, seconds) = lane(plan);
                let kept = figures(plan, &found, seconds);
                println!("{kept:#}");
                report::record("twins", kept);
                found.violations
            }
        };
        match broken.is_empty() {
            true => Ok(()),
            false => Err(broken.join("\n")),
        }
    }
}
