//! One seed, one history.

use tacit_tests::sim::{
    founders::{alice, bob},
    world::{Options, World},
};

fn history(seed: u64) -> blake3::Hash {
    let mut world = World::at_epoch_1(Options {
        seed,
        loss: 20,
        ..Options::epochs_of(6_000)
    });
    let observer = world.add_observer();
    world.crash(1);
    world.run_for(1_000);
    world.start(1);
    world.run_until("epoch 2 begins", 60_000, |world| world.all_in(2));
    world.transfer(3, &alice(), 0, bob().id());
    assert!(world.nodes[observer].height() > 0);
    world.trace()
}

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte_and_another_seed_another() {
    assert_eq!(history(5), history(5));
    assert_ne!(history(5), history(6));
}
