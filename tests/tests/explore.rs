//! All states of the real core in a network of four for two views, one of the four a liar.
//!
//! With the liar on seat 3, the leader of view 2, there are 8.4 million states: with every change only a part of them
//! is seen, and the figures say so. `TACIT_SOAK=N` sees so many times as many: 8 is all.

use tacit_tests::{explore::lane, report};

/// States that go with every change.
const STATES: u64 = 1_100_000;

#[test]
fn no_order_of_messages_and_no_lie_forks_two_views() {
    let (found, kept) = lane::lane(&[0, 1, 2, 3], STATES * report::soak());
    println!("{kept:#}");
    for figures in &found {
        assert_eq!(figures.violations, Vec::<String>::new());
        assert!(figures.committing > 0, "{figures:?}");
    }
    // With the liar on another seat than the leader's of view 2, these are all states.
    assert!(found.iter().take(3).all(|figures| !figures.cut_short));
    report::record("explore", kept);
}
