//! What nodes keep of the chain, and what they say of the rest.

use crate::{
    founders::{alice, bob},
    world::{Options, World},
};

#[test]
fn a_forgetful_observer_keeps_its_epochs_and_still_follows() {
    let mut world = World::at_epoch_1(Options::epochs_of(6_000));
    let observer = world.add_forgetful_observer(1);
    world.transfer(0, &alice(), 0, bob().id());
    world.run_until("epoch 5 begins", 60_000, |world| world.all_in(5));
    world.settle();
    let node = &world.nodes[observer];
    let first = node.up().first_kept();
    let start = node
        .up()
        .public()
        .record(node.epoch() - 1)
        .expect("a record")
        .start_height;
    assert_eq!(first, start - 1);
    let blocks = node.log().blocks_from(0, 10_000).expect("readable");
    assert_eq!(blocks.first().map(|one| one.block.header.height), Some(first));
    assert_eq!(node.log().first(), Ok(first));
    world.assert_calm();
}
