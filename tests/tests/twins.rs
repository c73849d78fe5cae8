//! A cloned validator beside three honest ones: all scenarios of three rounds, and a sample of four.
//!
//! `TACIT_SOAK=N` takes so many times as many of the scenarios of four rounds.

use tacit_tests::{
    report,
    twins::{Figures, Plan, lane},
};

/// Of the beginnings of four rounds, one in so many goes with every change.
const ONE_IN: u64 = 14;

fn check(plan: Plan) -> (Figures, f64) {
    let (figures, seconds) = lane::lane(plan);
    assert_eq!(figures.violations, Vec::<String>::new());
    assert!(figures.committing > 0 && figures.blamed > 0, "{figures:?}");
    (figures, seconds)
}

#[test]
fn no_scenario_of_three_rounds_forks() {
    let (figures, _) = check(Plan {
        rounds: 3,
        one_in: 1,
        heal_one_in: 16,
    });
    // All of them: 64 rounds in each place, up to twelve names for one scenario.
    assert!(figures.scenarios > 64 * 64 * 64 / 12, "{figures:?}");
    assert_eq!(figures.healed, figures.scenarios / 16);
}

#[test]
fn no_scenario_of_four_rounds_forks() {
    let plan = Plan {
        rounds: 4,
        one_in: (ONE_IN / report::soak()).max(1),
        heal_one_in: 512,
    };
    let (found, seconds) = check(plan);
    let kept = lane::figures(plan, &found, seconds);
    println!("{kept:#}");
    report::record("twins", kept);
}
