//! One identity held twice, batches full of garbage, builds that do not fit: noticed, named, and out where that is due.

use tacit_ledger::{Envelope, SealingSecret};

use tacit_node::{
    replica::{Input, Question},
    wire::Hello,
};

use tacit_tests::sim::{
    founders::{alice, bob, node_key},
    wallet::pay,
    world::{Options, World},
};

#[test]
fn a_twin_beside_the_original_is_convicted_and_both_are_out_after_the_turn() {
    for seed in 0..6 {
        let cloned = (seed % 4) as usize;
        let mut options = Options {
            seed,
            ..Options::default()
        };
        options.params.epoch_ms_min = 3_000;
        let mut world = World::at_epoch_1(options);
        let name = format!("val-{cloned}");
        let guilty = world.seat(&name);
        let twin = world.add_twin(cloned);
        let honest: Vec<usize> = (0..4).filter(|index| *index != cloned).collect();
        let mut rounds = 0;
        while world.record().epoch == 1 {
            world.load(&[0, 1, 2, 3, twin], 5);
            rounds += 1;
            assert!(rounds < 400, "seed {seed}: nobody is convicted");
        }
        world.run_until("the next epoch begins everywhere", 30_000, |world| {
            world.all_in(2)
        });
        let record = world.record();
        let names: Vec<&str> = record.validators.iter().map(|seat| seat.name.as_str()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(!names.contains(&name.as_str()), "{names:?}");
        let dropped: Vec<(&str, &str)> = record
            .dropped
            .iter()
            .map(|one| (one.name.as_str(), one.code.as_str()))
            .collect();
        assert_eq!(dropped, [(name.as_str(), "epoch.convicted")]);
        for index in [cloned, twin] {
            let replica = world.nodes[index].up();
            assert_eq!((replica.me(), replica.opener().is_none()), (None, true));
        }
        for index in honest {
            let seen = &world.nodes[index].seen;
            assert!(
                seen.equivocations.iter().all(|seat| *seat == guilty),
                "seed {seed}"
            );
            assert!(seen.two_holders.iter().all(|seat| *seat == guilty), "seed {seed}");
            assert!(world.blamed(index).is_empty(), "seed {seed}: {index} is blamed");
            assert_eq!(world.nodes[index].halted, None);
        }
        // The three go on, and the convicted key is not taken back.
        let (envelope, _) = world.seal(&bob(), 0, pay(alice().id(), 1));
        let at = (0..4).find(|index| *index != cloned).expect("one");
        world.submit(at, &envelope).expect("accepted");
        world.run_until("final", 20_000, |world| world.all_have(&envelope.id()));
    }
}

#[test]
fn two_live_processes_of_one_identity_are_noticed_by_all_others() {
    let mut world = World::at_epoch_1(Options::default());
    let guilty = world.seat("val-1");
    let twin = world.add_twin(1);
    for _ in 0..60 {
        world.load(&[0, 2, 3], 5);
    }
    for index in [0, 2, 3] {
        let seen = &world.nodes[index].seen;
        assert_eq!(seen.two_holders, [guilty], "node {index}: once, and of that one");
    }
    assert!(world.nodes[twin].up().probation().is_none(), "it got its answers");
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

/// A restart is one process after another, however often.
#[test]
fn a_validator_that_restarts_again_and_again_is_not_two() {
    let mut world = World::at_epoch_1(Options::default());
    for _ in 0..12 {
        world.crash(1);
        world.run_for(50);
        world.start(1);
        world.load(&[0, 2, 3], 20);
    }
    world.assert_calm();
}

/// Envelopes that nobody can open, for as many batches as given.
fn garbage(world: &mut World, author: usize, batches: u64, each: u64) {
    let stranger = SealingSecret::derive(&[5; 32]);
    let epoch = world.record().epoch;
    for number in 0..batches {
        let bad: Vec<Envelope> = (0..each)
            .map(|nonce| {
                let (action, expiry) = (pay(bob().id(), 1), world.top() + 500);
                world
                    .seal_to(stranger.public(), epoch, expiry, &alice(), nonce, action)
                    .0
            })
            .collect();
        let last = bad.last().expect("one").id();
        let batch = world.batch(author, 1_000 + number, bad);
        world.inject(author, &batch);
        world.run_until("it is in the chain", 10_000, |world| world.all_have(&last));
    }
}

#[test]
fn who_fills_batches_with_envelopes_that_do_not_open_is_voted_out_by_all_others() {
    let mut world = World::at_epoch_1(Options::default());
    for nonce in 0..20 {
        // Honest authors batch as much, and all of it opens.
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        world.submit((nonce % 2) as usize, &envelope).expect("accepted");
    }
    garbage(&mut world, 2, 3, 5);
    world.run_for(2_000);
    assert_eq!(world.public().suspend_votes().count(), 0, "fifteen are borne");
    garbage(&mut world, 2, 1, 1);
    world.run_until("it is out", 30_000, |world| world.all_in(2));
    let record = world.record();
    let dropped: Vec<(&str, &str)> = record
        .dropped
        .iter()
        .map(|one| (one.name.as_str(), one.code.as_str()))
        .collect();
    assert_eq!(dropped, [("val-2", "suspend.in_force")]);
    assert_eq!(record.validators.len(), 3);
    assert_eq!(world.nodes[2].up().me(), None);
    // Nobody else was voted against, and the three go on.
    let suspended: Vec<_> = world.public().suspensions().collect();
    assert_eq!(suspended.len(), 1);
    let (envelope, _) = world.seal(&bob(), 0, pay(alice().id(), 1));
    world.submit(0, &envelope).expect("accepted");
    world.run_until("final", 20_000, |world| world.all_have(&envelope.id()));
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

/// An envelope counts against who brought it first; and what is borne in one epoch is forgotten in the next.
#[test]
fn a_few_that_do_not_open_cost_nobody_the_seat() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    for epoch in 1..4 {
        world.run_until("the epoch begins", 20_000, |world| world.all_in(epoch));
        garbage(&mut world, 3, 2, 6);
    }
    world.run_until("one more", 20_000, |world| world.all_in(4));
    assert_eq!(world.record().validators.len(), 4);
    world.assert_calm();
}

#[test]
fn nodes_tell_each_other_release_and_protocol_and_both_sides_see_what_does_not_fit() {
    let mut world = World::at_epoch_1(Options::default());
    let observer = world.add_observer();
    world.run_for(500);
    // A node of such a build stops by itself before it says anything, so this one is only heard.
    let hello = Hello {
        release: env!("CARGO_PKG_VERSION").into(),
        protocol_min: 7,
        protocol_max: 9,
        incarnation: 1,
    };
    for to in 0..3 {
        let (reply, from) = (world.reply(), node_key(observer));
        let question = Question::Hello(hello.clone());
        world.input(
            to,
            Input::Asked {
                reply,
                from,
                question,
            },
        );
    }
    world.crash(3);
    world.run_for(50); // what it said before is not on its way any more
    world.nodes[3].protocols = 1..=2;
    world.start(3);
    world.run_for(1_000);
    for index in 0..3 {
        let met = &world.nodes[index].seen.met;
        let (hello, speaks) = &met[&node_key(observer)];
        assert_eq!((hello.protocol_min, hello.protocol_max, *speaks), (7, 9, false));
        assert_eq!(hello.release, env!("CARGO_PKG_VERSION"));
        let (newer, speaks) = &met[&node_key(3)];
        assert_eq!((newer.protocol_max, *speaks), (2, true));
    }
    let met = &world.nodes[observer].seen.met;
    assert!(
        (0..3).all(|index| met[&node_key(index)].1),
        "they speak what is in force"
    );
    world.transfer(0, &alice(), 0, bob().id());
    assert_eq!(world.nodes[0].halted, None);
}
