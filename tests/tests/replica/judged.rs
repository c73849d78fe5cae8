//! The reference model over whole replicas: every transition of every core in these stories keeps the rules.

use tacit_tests::sim::{
    founders::{alice, bob},
    wallet::pay,
    world::{Options, World},
};

fn judged(seed: u64, options: Options) -> World {
    World::at_epoch_1(Options {
        seed,
        judged: true,
        ..options
    })
}

fn assert_sound(world: &World) {
    let (transitions, wrong) = world.judge.verdict();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(transitions > 200, "{transitions} transitions");
}

#[test]
fn power_cuts_at_any_moment_keep_every_rule() {
    for moment in 0..10 {
        let mut world = judged(moment, Options::default());
        for (nonce, index) in [3, 1, 0].into_iter().enumerate() {
            let (envelope, _) = world.seal(&alice(), nonce as u64, pay(bob().id(), 1));
            let id = world.submit((index + 1) % 4, &envelope).expect("accepted");
            world.run_for(4 * moment + 1);
            world.crash(index);
            world.run_until("final without it", 20_000, |world| world.all_have(&id));
            world.start(index);
            world.run_until("it has caught up", 20_000, |world| world.all_have(&id));
        }
        (0..4).for_each(|index| world.crash(index));
        (0..4).for_each(|index| world.start(index));
        world.run_for(3_000);
        world.assert_calm();
        assert_sound(&world);
    }
}

#[test]
fn turns_of_epochs_with_loss_and_a_dead_leader_keep_every_rule() {
    let mut world = judged(7, Options::epochs_of(4_000));
    world.run_until("epoch 3 begins", 60_000, |world| world.all_in(3));
    world.kill(2);
    world.run_for(10_000);
    world.start(2);
    world.run_until("it is in the epoch of the others", 60_000, |world| {
        let epoch = world.record().epoch;
        epoch >= 5 && world.all_in(epoch)
    });
    assert_sound(&world);
}
