//! Twins (Bano and others, 2022): two unmodified cores with one key, which is what a cloned TEE is, in every scenario
//! of a few rounds: who leads, and who hears whom.
//!
//! ```text
//!   round      1              2              3              4
//!   leader     0              2              0              1          any seat each
//!   cut     {A 1 | 2 3 B}  {A 2 3 | 1 B}     ...                       any two sides
//! ```
//! Seat 0 runs twice, as A and B; 1, 2 and 3 are honest. In a round, what is sent within a side arrives, in the
//! order in which it was sent, until nothing more is sent; then whoever is still in a view of that round or an earlier
//! one gives it up, and what follows from that arrives. What is sent across the cut is lost.
//!
//! Scenarios that differ by renaming the honest, or the two twins, are one scenario: only the least of each class is
//! run, so every one that is counted is distinct. They are run as a tree, so that scenarios share the rounds in
//! which they agree.

pub mod lane;
mod network;
mod scenario;

pub use self::scenario::{Round, Scenario};
use self::{
    network::Network,
    scenario::{Symmetry, rounds},
};

/// Which scenarios to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of each scenario.
    pub rounds: usize,
    /// Of the scenarios' beginnings (all rounds but the last), one in so many is followed to its ends.
    pub one_in: u64,
    /// Of the scenarios, one in so many is healed at its end and must commit then; 0 for none.
    pub heal_one_in: u64,
}

/// What came of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Distinct scenarios run to their end.
    pub scenarios: u64,
    /// Messages delivered; rounds that scenarios share are counted once.
    pub deliveries: u64,
    /// Scenarios in which an honest validator committed something.
    pub committing: u64,
    /// Scenarios in which the twins were found out by an honest validator.
    pub blamed: u64,
    /// Scenarios that were healed at their end, and committed.
    pub healed: u64,
    /// What was broken, with its scenario; a few at most.
    pub violations: Vec<String>,
}

/// Runs the scenarios of a plan.
pub fn run(plan: Plan) -> Figures {
    let mut walk = Walk {
        plan,
        figures: Figures::default(),
        beginnings: 0,
    };
    let root = Network::new();
    walk.descend(&root, &mut Vec::new(), &Symmetry::all());
    walk.figures
}

/// Runs one scenario alone, as a failure prints it.
pub fn replay(scenario: &Scenario) -> Vec<String> {
    let mut figures = Figures::default();
    let mut network = Network::new();
    for rounds in 1..=scenario.0.len() {
        network = network.play(scenario.0.get(..rounds).unwrap_or_default(), &mut figures);
    }
    let mut broken = network.broken();
    broken.extend(network.heal(&scenario.0, &mut figures));
    broken
}

struct Walk {
    plan: Plan,
    figures: Figures,
    beginnings: u64,
}

impl Walk {
    fn descend(&mut self, network: &Network, path: &mut Vec<Round>, symmetry: &Symmetry) {
        if path.len() == self.plan.rounds {
            return self.finish(network, path);
        }
        if path.len() + 1 == self.plan.rounds {
            self.beginnings += 1;
            if !self.beginnings.is_multiple_of(self.plan.one_in.max(1)) {
                return;
            }
        }
        for round in rounds() {
            let Some(rest) = symmetry.fixing(round) else {
                continue;
            };
            path.push(round);
            let next = network.play(path, &mut self.figures);
            self.descend(&next, path, &rest);
            path.pop();
            if self.figures.violations.len() >= 8 {
                return;
            }
        }
    }

    fn finish(&mut self, network: &Network, path: &[Round]) {
        self.figures.scenarios += 1;
        self.figures.committing += u64::from(network.has_committed());
        self.figures.blamed += u64::from(network.has_blamed());
        let mut broken = network.broken();
        let heal = self.plan.heal_one_in;
        if broken.is_empty() && heal > 0 && self.figures.scenarios.is_multiple_of(heal) {
            broken.extend(network.heal(path, &mut self.figures));
            self.figures.healed += u64::from(broken.is_empty());
        }
        let named = |what| {
            format!(
                "{what}\n  replay: tacit-tests twins --replay {}",
                Scenario(path.to_vec())
            )
        };
        self.figures.violations.extend(broken.into_iter().map(named));
    }
}
