//! Private reads: proven against a final header, for who may read, from no state that is not final.

use std::collections::BTreeMap;

use borsh::BorshDeserialize;
use tacit_consensus::Ed25519;
use tacit_ledger::{Amount, Answer, AnswerEntry, Query, StateKey, UNIT};

use tacit_tests::sim::{
    founders::{account, alice, bob},
    wallet::{ask, balance, pay},
    world::{Options, World},
};

fn values(world: &World, query: &Query, answer: &Answer) -> BTreeMap<StateKey, Option<Vec<u8>>> {
    let committee = world.committee(answer.header.epoch);
    answer
        .verify(query, &world.chain, &committee, &Ed25519)
        .unwrap_or_else(|error| panic!("an answer that does not verify: {error}"))
}

fn amount(value: Option<&Option<Vec<u8>>>) -> Amount {
    let bytes = value.expect("an entry").as_ref().expect("a value");
    Amount::try_from_slice(bytes).expect("an amount")
}

#[test]
fn every_validator_proves_to_an_account_what_it_has() {
    let mut world = World::at_epoch_1(Options::default());
    let (envelope, _) = world.seal(&alice(), 0, pay(bob().id(), 5 * UNIT));
    let id = world.submit(0, &envelope).expect("accepted");
    world.run_until("final", 1_000, |world| world.all_have(&id));
    world.settle();
    let height = world.nodes[0].included(&id).expect("included");
    for node in 0..4 {
        let (query, answer) = ask(&mut world, node, &bob(), height, vec![balance(&bob())]);
        let found = values(&world, &query, &answer.expect("answered"));
        assert_eq!(amount(found.get(&balance(&bob()))), 505 * UNIT);
        let (query, answer) = ask(&mut world, node, &alice(), height, vec![balance(&alice())]);
        let found = values(&world, &query, &answer.expect("answered"));
        assert_eq!(
            amount(found.get(&balance(&alice()))),
            995 * UNIT - 1_000,
            "less the charge"
        );
    }
}

#[test]
fn what_an_account_does_not_have_is_proven_absent() {
    let mut world = World::at_epoch_1(Options::default());
    let nobody = account(9);
    let (query, answer) = ask(
        &mut world,
        1,
        &nobody,
        0,
        vec![balance(&nobody), StateKey::Nonce(nobody.id())],
    );
    let found = values(&world, &query, &answer.expect("answered"));
    assert_eq!(found.values().flatten().count(), 0);
    assert_eq!(found.len(), 2);
}

#[test]
fn what_is_anothers_is_denied_and_said_so_beside_what_is_ones_own() {
    let mut world = World::at_epoch_1(Options::default());
    let keys = vec![balance(&alice()), balance(&bob())];
    let (query, answer) = ask(&mut world, 2, &bob(), 0, keys);
    let answer = answer.expect("answered");
    assert_eq!(
        answer.entries[0],
        AnswerEntry::Denied {
            key: balance(&alice())
        }
    );
    assert_eq!(
        amount(values(&world, &query, &answer).get(&balance(&bob()))),
        500 * UNIT
    );
}

#[test]
fn a_height_that_no_final_header_proves_yet_is_refused_by_name() {
    let mut world = World::at_epoch_1(Options::default());
    let ahead = world.nodes[0].up().certified_executed() + 1;
    let (_, answer) = ask(&mut world, 0, &bob(), ahead, vec![balance(&bob())]);
    assert_eq!(answer.expect_err("refused").code, "query.ahead");
    let (_, answer) = ask(&mut world, 0, &bob(), ahead - 1, vec![balance(&bob())]);
    assert!(answer.is_ok());
}

#[test]
fn an_answer_with_a_value_changed_does_not_verify() {
    let mut world = World::at_epoch_1(Options::default());
    let (query, answer) = ask(&mut world, 0, &bob(), 0, vec![balance(&bob())]);
    let mut answer = *answer.expect("answered");
    let committee = world.committee(answer.header.epoch);
    let AnswerEntry::Proven(entry) = &mut answer.entries[0] else {
        panic!("one's own balance is proven")
    };
    entry.value.as_mut().expect("a value")[0] ^= 1;
    assert!(answer.verify(&query, &world.chain, &committee, &Ed25519).is_err());
}

#[test]
fn an_observer_and_a_validator_without_a_key_answer_by_name() {
    let mut world = World::new(Options::default());
    let (_, answer) = ask(&mut world, 0, &bob(), 0, vec![balance(&bob())]);
    assert_eq!(answer.expect_err("refused").code, "node.probation");
    let observer = world.add_observer();
    world.run_until("epoch 1 begins", 20_000, |world| world.all_in(1));
    let (_, answer) = ask(&mut world, observer, &bob(), 0, vec![balance(&bob())]);
    assert_eq!(answer.expect_err("refused").code, "query.not_a_validator");
}

#[test]
fn reads_go_on_after_a_restart_and_across_epochs() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    for epoch in 2..=3 {
        world.run_until("the next epoch begins", 20_000, |world| world.all_in(epoch));
        (0..4).for_each(|index| world.crash(index));
        (0..4).for_each(|index| world.start(index));
        world.settle();
        for node in 0..4 {
            let (query, answer) = ask(&mut world, node, &bob(), 0, vec![balance(&bob())]);
            let found = values(&world, &query, &answer.expect("answered"));
            assert_eq!(amount(found.get(&balance(&bob()))), 500 * UNIT);
        }
    }
}
