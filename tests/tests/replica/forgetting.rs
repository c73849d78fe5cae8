//! What is forgotten: thieves with every disk, the whole chain and the platforms' sealing keys, before and after an epoch has
//! closed; and what a validator that is left out cannot learn.

use tacit_attest::Suspension;
use tacit_ledger::{LeaveRequest, SystemTx, UNIT};

use tacit_tests::sim::{
    founders::{alice, bob, node_signer},
    loot::Chain,
    wallet::pay,
    world::{Options, World},
};

/// An epoch lasts so long in these stories, in milliseconds.
const EPOCH_MS: u64 = 20_000;

/// What the sealing keys of all platforms open now.
fn keyrings(world: &World) -> Vec<Vec<u8>> {
    world
        .nodes
        .iter()
        .filter_map(|node| Some(node.vault.as_ref()?.plaintext()))
        .collect()
}

/// Some envelopes, in the newest epoch, final everywhere.
fn work(world: &mut World, nonces: std::ops::Range<u64>) {
    for nonce in nonces {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), UNIT));
        let id = world.submit((nonce % 4) as usize, &envelope).expect("accepted");
        world.run_until("it is final", 20_000, |world| world.all_have(&id));
    }
}

fn turn(world: &mut World) {
    let next = world.record().epoch + 1;
    world.run_until("the next epoch begins everywhere", 2 * EPOCH_MS, |world| {
        world.all_in(next)
    });
    world.settle();
}

#[test]
fn after_an_epoch_has_closed_no_disk_and_no_sealing_key_opens_its_envelopes_and_before_they_do() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    let mut before = Vec::new();
    for epoch in 1..=4 {
        work(&mut world, 2 * (epoch - 1)..2 * epoch);
        // The control: the same thief, a moment earlier.
        let chain = Chain::of(&*world.nodes[0].store);
        assert_eq!(chain.opened(&keyrings(&world), epoch), (2, 2), "epoch {epoch}");
        for node in &world.nodes {
            let (open, all) = chain.states(&keyrings(&world), &*node.store);
            assert!(open == all && all > 2, "{open} of {all} states on disk");
        }
        before.extend(keyrings(&world));
        turn(&mut world);
        let chain = Chain::of(&*world.nodes[0].store);
        for old in 1..=epoch {
            assert_eq!(
                chain.opened(&keyrings(&world), old),
                (0, 2),
                "epoch {old} in {}",
                epoch + 1
            );
        }
        // A host that keeps old disks needs the sealing key of its platform, and no more.
        assert_eq!(
            chain.opened(&before, epoch),
            (2, 2),
            "the thief can open what was not erased"
        );
        world.rotate(0..4);
    }
    world.assert_calm();
}

/// Why KEM keys are renewed: erasing the epoch's secret alone forgets nothing. One validator is enough to remember.
#[test]
fn an_epoch_is_remembered_for_as_long_as_one_validator_keeps_its_kem_key() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..3);
    work(&mut world, 0..2);
    turn(&mut world);
    let chain = Chain::of(&*world.nodes[0].store);
    assert_eq!(
        chain.opened(&keyrings(&world)[..3], 1),
        (0, 2),
        "the others have forgotten"
    );
    assert_eq!(chain.opened(&keyrings(&world), 1), (2, 2));
    // It renews at last: two turns late.
    world.rotate(0..4);
    turn(&mut world);
    assert_eq!(
        Chain::of(&*world.nodes[0].store).opened(&keyrings(&world), 1),
        (0, 2)
    );
    world.assert_calm();
}

/// Power cuts between any two steps of a turn, at one validator and at all of them, end with the same: nothing opens.
#[test]
fn a_cut_anywhere_in_a_turn_leaves_nothing_behind_that_opens_the_epoch() {
    for (who, step) in [(0..1, 0), (0..1, 1), (0..1, 2), (0..4, 0), (0..4, 1), (0..4, 2)] {
        let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
        world.rotate(0..4);
        work(&mut world, 0..2);
        for node in &world.nodes[who.clone()] {
            let vault = node.vault.as_ref().expect("a vault");
            match step {
                0 => vault.fail_save(0),                          // the next secret is not kept
                1 => vault.cut_after_save(0, node.store.clone()), // it is, the closing block is not stored
                _ => vault.fail_save(1),                          // it is, the old keys are not erased
            }
        }
        let cut = who.clone();
        world.run_until("the cuts", 2 * EPOCH_MS, |world| {
            world.nodes[cut.clone()].iter().all(|node| node.halted.is_some())
        });
        if step == 2 {
            let chain = Chain::of(&*world.nodes[who.start].store);
            assert_eq!(chain.opened(&keyrings(&world), 1), (2, 2), "not erased yet");
        }
        who.clone().for_each(|index| world.crash(index));
        who.clone().for_each(|index| world.start(index));
        world.run_until("epoch 2 begins everywhere", 2 * EPOCH_MS, |world| world.all_in(2));
        assert_eq!(
            Chain::of(&*world.nodes[0].store).opened(&keyrings(&world), 1),
            (0, 2),
            "cut at step {step}"
        );
        world.rotate(0..4);
        world.transfer(who.start, &alice(), 2, bob().id());
        turn(&mut world);
        world.transfer(who.start, &alice(), 3, bob().id());
        world.assert_calm();
    }
}

/// All that a machine ever kept, the whole chain, and everybody's disks.
#[test]
fn a_suspended_validator_learns_nothing_of_the_next_epoch() {
    learns_nothing_more(|world| {
        let registered = world.public().registered("val-3").expect("registered");
        let (vendor, chip) = registered.chip.expect("a verified founder");
        for index in 0..3 {
            let vote = world.vote(index, Suspension::Chip { vendor, chip });
            world.carry_through(index, &vote);
        }
    });
}

#[test]
fn a_validator_that_leaves_learns_nothing_of_the_next_epoch() {
    learns_nothing_more(|world| {
        let held = world.public().registration("val-3").expect("registered").clone();
        let leave = LeaveRequest::sign(world.chain, &held, &node_signer(3));
        world.carry_through(3, &SystemTx::Leave(leave));
    });
}

fn learns_nothing_more(goes: impl FnOnce(&mut World)) {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS * 10));
    world.rotate(0..4);
    work(&mut world, 0..2);
    goes(&mut world);
    world.run_until("epoch 2 begins", 120_000, |world| world.all_in(2));
    let seats: Vec<_> = world
        .record()
        .validators
        .iter()
        .map(|seat| seat.name.clone())
        .collect();
    assert_eq!(seats, ["val-0", "val-1", "val-2"]);
    for nonce in 2..4 {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), UNIT));
        let id = world.submit(0, &envelope).expect("accepted");
        world.run_until("it is final", 20_000, |world| world.all_have(&id));
    }
    let all_it_ever_kept = world.nodes[3].vault.as_ref().expect("a vault").history();
    let chain = Chain::of(&*world.nodes[0].store);
    assert_eq!(
        chain.opened(&all_it_ever_kept, 1),
        (2, 2),
        "the control: it held epoch 1"
    );
    assert_eq!(chain.opened(&all_it_ever_kept, 2), (0, 2));
    let (open, all) = chain.states(&all_it_ever_kept, &*world.nodes[0].store);
    assert!(open == 0 && all > 2, "{open} of {all} states of epoch 2");
    let staying = world.nodes[0].vault.as_ref().expect("a vault").history();
    assert_eq!(
        chain.opened(&staying, 2),
        (2, 2),
        "the control: who stays holds epoch 2"
    );
    assert_eq!(chain.states(&staying, &*world.nodes[0].store).0, all);
    // What it keeps itself opens nothing any more.
    assert_eq!(
        chain.opened(&[world.nodes[3].vault.as_ref().expect("a vault").plaintext()], 1),
        (0, 2)
    );
    assert_eq!(
        chain.states(&staying, &*world.nodes[3].store).1,
        0,
        "it holds no state"
    );
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}
