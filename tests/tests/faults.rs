//! Real processes under faults and load, at the size that CI has time for; `TACIT_FAULTS_*` makes it larger. What each
//! stage does and asserts stands in `tacit_tests::faults`.

use tacit_tests::faults::{self, Lane};

/// Processes that stop and come back, in every way.
#[test]
fn what_was_committed_outlives_every_stop() {
    // Over TCP alone: a peer that was killed is missed at once then, and after four seconds over QUIC.
    let lane = &mut Lane::up(|options| options.proxy = true);
    faults::kills(lane);
    faults::judged(lane, |lane| {
        faults::pause(lane);
        faults::all_restart(lane);
    });
    faults::full_disk(lane);
    faults::set_back(lane);
}

/// Links that are cut and slow, and peers that break the rules.
#[test]
fn a_network_outlives_its_links_and_its_crooks() {
    let lane = &mut Lane::up(|options| options.proxy = true);
    faults::partitions(lane);
    faults::one_way(lane);
    faults::slow_links(lane);
    faults::frames(lane);
    faults::adversaries(lane);
}

/// The same cuts in the kernel, where packets are lost under TCP and QUIC.
#[test]
fn a_network_outlives_packets_that_are_lost() {
    if let Err(why) = tacit_testnet::can_have_namespaces() {
        println!("NOT RUN: {why}");
        return;
    }
    let lane = &mut Lane::up(|options| options.namespaces = true);
    faults::partitions(lane);
    faults::one_way(lane);
}

/// More work than it can do.
#[test]
fn a_flood_is_refused_and_the_network_goes_on() {
    faults::flood(&mut Lane::up(|options| {
        options.load_accounts = faults::FLOOD_ACCOUNTS
    }));
}

/// Answers that are forged, while others depend on them.
#[test]
fn a_liar_misleads_neither_newcomer_nor_whoever_lost_its_secret() {
    faults::forged_answers(&mut Lane::up(|options| options.proxy = true));
}
