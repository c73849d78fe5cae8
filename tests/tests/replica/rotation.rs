//! KEM keys and secrets across turns: fresh ones each epoch, renewals that never land, secrets that get lost and come back.

use std::{cell::Cell, collections::BTreeSet, rc::Rc};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use tacit_ledger::{ChainLog, Column, Durability, SealingPublic, Store, WriteBatch, seal_secret};
use tacit_node::{
    keyring::Keyring,
    replica::Offence,
    wire::{FetchResponse, RelayRefused},
};

use tacit_tests::sim::{
    founders::{alice, bob},
    has_real_signatures,
    loot::Chain,
    node::Node,
    story_seeds, vault,
    wallet::pay,
    world::{Options, World},
};

const EPOCH_MS: u64 = 10_000;

fn keyring(node: &Node) -> Keyring {
    let vault = node.vault.clone().expect("a vault");
    Keyring::restore(&vault.plaintext(), Box::new(vault)).expect("a keyring")
}

fn held(node: &Node) -> BTreeSet<SealingPublic> {
    keyring(node).kem_keys().cloned().collect()
}

fn turn(world: &mut World) {
    let next = world.record().epoch + 1;
    world.run_until("the next epoch begins everywhere", 3 * EPOCH_MS, |world| {
        world.all_in(next)
    });
    world.settle();
}

#[test]
fn each_epoch_has_fresh_kem_keys_and_nobody_keeps_older_ones() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    let mut used = BTreeSet::new();
    for epoch in 1..=6 {
        let record = world.record();
        assert_eq!(record.epoch, epoch);
        for (seat, node) in record.validators.iter().zip(&world.nodes) {
            assert!(
                used.insert(seat.kem_key.clone()),
                "epoch {epoch}: a key that had its time"
            );
            assert_eq!(held(node), BTreeSet::from([seat.kem_key.clone()]));
            assert_eq!(node.kem.as_ref().map(|kem| kem.public()), Some(&seat.kem_key));
        }
        world.rotate(0..4);
        for node in &world.nodes {
            assert_eq!(held(node).len(), 2, "the seat's, and the next");
        }
        world.transfer((epoch % 4) as usize, &alice(), epoch - 1, bob().id());
        turn(&mut world);
    }
    world.assert_calm();
}

#[test]
fn a_key_for_a_renewal_is_made_once_and_survives_a_crash_before_it_lands() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    let key = world.next_kem(2);
    assert_eq!(world.next_kem(2), key);
    world.crash(2);
    world.start(2);
    assert_eq!(world.next_kem(2), key);
    world.rotate(2..3);
    turn(&mut world);
    assert_eq!(world.record().validators[2].kem_key, key);
    assert_ne!(world.next_kem(2), key, "that one has a seat now");
    world.transfer(2, &alice(), 0, bob().id());
    world.assert_calm();
}

/// The renewal of node 2 is heard by nobody for two epochs: it keeps its seat and its old key, and the chain goes on.
#[test]
fn a_renewal_that_never_lands_costs_forgetting_and_nothing_else() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    let (mut nonce, old) = (0, world.record().validators[2].kem_key.clone());
    let waiting = world.next_kem(2);
    for _ in 0..2 {
        world.rotate([0, 1, 3]);
        turn(&mut world);
        assert_eq!(world.record().validators[2].kem_key, old);
        assert_eq!(
            held(&world.nodes[2]),
            BTreeSet::from([old.clone(), waiting.clone()])
        );
        world.transfer(2, &alice(), nonce, bob().id());
        nonce += 1;
    }
    world.rotate(0..4);
    turn(&mut world);
    assert_eq!(
        world.record().validators[2].kem_key,
        waiting,
        "the same that it made at first"
    );
    assert_eq!(held(&world.nodes[2]), BTreeSet::from([waiting]));
    world.transfer(2, &alice(), nonce, bob().id());
    world.assert_calm();
}

/// Node 3 stops before a turn that nobody else waits for, and comes back after the next: it opens its shares one turn after
/// the other, with the keys that it kept.
#[test]
fn who_slept_through_turns_follows_them_with_its_keys_one_after_the_other() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    world.crash(3);
    for nonce in 0..2 {
        let next = world.record().epoch + 1;
        world.run_until("the others go on", 6 * EPOCH_MS, |world| {
            world.record().epoch >= next
        });
        world.run_for(1_000);
        world.transfer_among(0..3, &alice(), nonce, bob().id());
    }
    world.start(3);
    world.run_until("it is back", 30_000, |world| {
        world.nodes[3].epoch() == world.record().epoch
    });
    world.settle();
    assert!(world.nodes[3].opener.is_some());
    world.transfer(3, &alice(), 2, bob().id());
    world.assert_calm();
}

#[test]
fn a_lost_secret_is_derived_again_from_the_nodes_own_chain() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    turn(&mut world);
    world.crash(1);
    let vault = world.nodes[1].vault.clone().expect("a vault");
    let whole = vault.plaintext();
    vault.tamper(vault::without_secrets(&whole));
    world.start(1);
    assert_eq!(vault.plaintext(), whole, "all of it is there again");
    assert_eq!(world.nodes[1].seen.asked_share, 0);
    world.transfer(1, &alice(), 0, bob().id());
    world.assert_calm();
}

/// Its keyring lost the secret, and its chain begins above the blocks that dealt it.
fn without_secret_and_tail(world: &mut World, index: usize) {
    world.crash(index);
    let node = &world.nodes[index];
    let vault = node.vault.as_ref().expect("a vault");
    vault.tamper(vault::without_secrets(&vault.plaintext()));
    let first = world.record().start_height;
    let log: ChainLog<'_> = node.log();
    let mut writes = WriteBatch::new();
    for committed in log.blocks_from(1, usize::MAX).expect("readable") {
        let height = committed.block.header.height;
        if height + 1 < first {
            writes.delete(Column::Blocks, height.to_be_bytes());
        }
    }
    node.store.commit(writes, Durability::Synced).expect("written");
}

#[test]
fn a_lost_secret_comes_from_another_validator_sealed_to_the_seats_attested_key() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    turn(&mut world);
    without_secret_and_tail(&mut world, 1);
    world.start(1);
    assert!(world.nodes[1].opener.is_none());
    world.run_until("it has it", 5_000, |world| world.nodes[1].opener.is_some());
    assert_eq!(world.nodes[1].seen.asked_share, 1);
    let epoch = world.record().epoch;
    assert!(keyring(&world.nodes[1]).epoch(epoch) == keyring(&world.nodes[0]).epoch(epoch));
    world.transfer(1, &alice(), 0, bob().id());
    assert!(world.checker.voted(1, epoch, "certify"), "it votes again");
    world.rotate(0..4);
    turn(&mut world);
    world.transfer(1, &alice(), 1, bob().id());
    world.assert_calm();
}

/// Found between real processes under load: blocks went on while the others were asked, and what was followed without the
/// secret had no private state.
#[test]
fn who_followed_without_the_secret_executes_what_it_missed_and_votes_in_the_same_epoch() {
    let mut world = World::at_epoch_1(Options::epochs_of(600_000));
    world.transfer(0, &alice(), 0, bob().id());
    without_secret_and_tail(&mut world, 1);
    let withheld = Rc::new(Cell::new(true));
    let closed = withheld.clone();
    world.server = Some(Box::new(move |_, response| match response {
        FetchResponse::Share(_) if closed.get() => FetchResponse::Share(Err(RelayRefused {
            code: "key.lost".into(),
            detail: String::new(),
        })),
        other => other,
    }));
    world.start(1);
    for nonce in 1..4 {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        let id = world.submit(0, &envelope).expect("accepted");
        world.run_until("it follows", 60_000, |world| world.nodes[1].has(&id));
    }
    assert!(world.nodes[1].opener.is_none());
    let epoch = world.record().epoch;
    withheld.set(false);
    world.run_until("it has it", 60_000, |world| world.nodes[1].opener.is_some());
    // Nothing is decided without it any more, and its receipts and answers are those of the others.
    world.crash(2);
    world.transfer(1, &alice(), 4, bob().id());
    world.crash(1);
    world.start(1);
    world.transfer(1, &alice(), 5, bob().id());
    assert_eq!(world.record().epoch, epoch);
}

/// Whatever a crooked validator gives instead: it is blamed, another is asked, and no wrong secret is ever kept.
#[test]
fn a_wrong_secret_is_refused_by_name_and_another_validator_asked() {
    for lie in 0..4 {
        let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
        world.rotate(0..4);
        turn(&mut world);
        without_secret_and_tail(&mut world, 1);
        let (record, chain) = (world.record(), world.chain);
        let other = tacit_ledger::EpochSecret::from_bytes([7; 32]);
        world.server = Some(Box::new(move |server, response| match response {
            FetchResponse::Share(Ok(mut sealed)) if server == 0 => match lie {
                0 => {
                    sealed[1_130] ^= 1;
                    FetchResponse::Share(Ok(sealed))
                }
                1 => FetchResponse::Share(Ok(sealed[1..].to_vec())),
                2 => {
                    let mut rng = ChaCha20Rng::from_seed([1; 32]);
                    let key = &record.validators[1].kem_key;
                    let sealed = seal_secret(&mut rng, &chain, record.epoch, 1, key, &other);
                    FetchResponse::Share(Ok(sealed.expect("sealed")))
                }
                _ => FetchResponse::Batches(Vec::new()),
            },
            honest => honest,
        }));
        world.start(1);
        world.run_until("it has it", 10_000, |world| world.nodes[1].opener.is_some());
        assert_eq!(world.blamed(0), [Offence::Invalid], "lie {lie}");
        assert_eq!(world.nodes[1].seen.asked_share, 2);
        let epoch = world.record().epoch;
        assert!(keyring(&world.nodes[1]).epoch(epoch) == keyring(&world.nodes[2]).epoch(epoch));
        world.server = None;
        world.transfer(1, &alice(), 0, bob().id());
    }
}

#[test]
fn an_observer_and_a_stranger_get_no_secret() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    let observer = world.add_observer();
    world.run_for(500);
    let mut ask = |from: usize, epoch: u64| {
        let reply = world.reply();
        let from = tacit_tests::sim::founders::node_key(from);
        world.input(0, tacit_node::replica::Input::WantShare { reply, from, epoch });
        let answers = &mut world.nodes[0].seen.shares;
        answers.remove(&reply).expect("an answer in the same step")
    };
    let code = |answer: Result<Vec<u8>, tacit_node::replica::Refused>| answer.expect_err("refused").code;
    assert_eq!(code(ask(observer, 1)), "epoch.no_seat");
    assert_eq!(code(ask(1, 0)), "epoch.not_in_force");
    assert_eq!(code(ask(1, 2)), "epoch.not_in_force");
    assert!(ask(1, 1).is_ok());
}

/// Secret and KEM key are gone, as after a disk that was set back past a renewal: it stays as a follower, stops nobody, and
/// gets its share of the next epoch once it has registered with a key that it holds.
#[test]
fn who_lost_its_kem_key_follows_and_is_dealt_to_again_after_its_next_renewal() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    world.crash(1);
    let vault = world.nodes[1].vault.clone().expect("a vault");
    vault.tamper(vault::without_kems(&vault.plaintext()));
    world.start(1);
    world.run_until("epoch 2 begins everywhere", 3 * EPOCH_MS, |world| world.all_in(2));
    assert!(world.nodes[1].halted.is_none() && world.nodes[1].opener.is_none());
    assert_eq!(
        world.nodes[1].up().me(),
        Some(1),
        "it has a seat, and nothing to sit with"
    );
    world.rotate(0..4);
    turn(&mut world);
    assert_eq!(world.record().epoch, 3);
    assert!(world.nodes[1].opener.is_some(), "it was dealt to");
    assert_eq!(
        world.record().validators[1].kem_key,
        *world.nodes[1].kem.as_ref().expect("held").public()
    );
    world.transfer_among(2..4, &alice(), 0, bob().id());
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

/// Its host puts an old keyring back beside the newest database: keys that had their time are erased again, and the node is
/// dealt to once it has registered with one that had not.
#[test]
fn a_keyring_that_was_set_back_gives_up_keys_that_had_their_time() {
    let mut world = World::at_epoch_1(Options::epochs_of(EPOCH_MS));
    world.rotate(0..4);
    let vault = world.nodes[1].vault.clone().expect("a vault");
    let old = vault.plaintext();
    for _ in 0..2 {
        turn(&mut world);
        world.rotate(0..4);
    }
    world.crash(1);
    vault.tamper(old);
    assert_eq!(held(&world.nodes[1]).len(), 2);
    world.start(1);
    assert!(
        held(&world.nodes[1]).is_empty(),
        "both had a seat in the meantime"
    );
    let fresh = world.next_kem(1);
    assert!(
        world
            .public()
            .records()
            .all(|record| !record.kem_keys().contains(&fresh))
    );
    world.run_until("epoch 4 begins everywhere", 3 * EPOCH_MS, |world| world.all_in(4));
    world.rotate(0..4);
    turn(&mut world);
    assert_eq!(world.record().validators[1].kem_key, fresh);
    assert!(world.nodes[1].opener.is_some(), "it was dealt to");
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

/// A renewal, unless the node is down, its vault fails, or the epoch ends just now: then it goes without.
fn try_renewal(world: &mut World, index: usize) {
    if !world.nodes[index].is_up() {
        return;
    }
    if let Some(renewal) = world.try_renewal(index) {
        let _ = world.hand_in(index, &renewal);
    }
}

/// Crashes, failing vaults, lost secrets and lost messages, while some renew and some do not: epochs turn, transfers go on,
/// and once everybody has renewed, all keyrings together lead to the epoch in force and to no other.
#[test]
fn whatever_happens_epochs_turn_and_closed_ones_stay_closed() {
    for seed in story_seeds() {
        let mut world = World::at_epoch_1(Options {
            seed,
            loss: 10,
            real_signatures: has_real_signatures(seed),
            ..Options::epochs_of(6_000)
        });
        let mut chance = ChaCha20Rng::seed_from_u64(seed);
        for _ in 0..14 {
            let index = (chance.next_u32() % 4) as usize;
            let vault = world.nodes[index].vault.clone().expect("a vault");
            match chance.next_u32() % 5 {
                0 => world.crash(index),
                1 => vault.fail_save(u64::from(chance.next_u32() % 3)),
                2 => {
                    world.crash(index);
                    vault.tamper(vault::without_secrets(&vault.plaintext()));
                }
                _ => try_renewal(&mut world, index),
            }
            world.run_for(u64::from(chance.next_u32() % 2_000));
            if world.nodes[index].replica.is_none() {
                world.crash(index);
                if world.try_start(index).is_err() {
                    // Its vault failed in the start itself: it says so, and is started again once that is mended.
                    vault.mend();
                    world.start(index);
                }
            }
            world.run_for(1_500);
        }
        for index in 0..4 {
            world.nodes[index].vault.as_ref().expect("a vault").mend();
            if world.nodes[index].replica.is_none() {
                world.crash(index);
                world.start(index);
            }
        }
        let together =
            |world: &World| world.all_in(world.record().epoch) && world.nodes.iter().all(Node::is_up);
        world.run_until("everybody is together again", 60_000, together);
        world.transfer(0, &alice(), 0, bob().id());
        for _ in 0..2 {
            let next = world.record().epoch + 1;
            (0..4).for_each(|index| try_renewal(&mut world, index));
            world.run_until("the next epoch begins", 60_000, |world| {
                world.record().epoch >= next
            });
            world.run_for(1_500);
            for index in 0..4 {
                if world.nodes[index].replica.is_none() {
                    world.crash(index);
                    world.start(index);
                }
            }
            world.run_until("everybody is together again", 60_000, together);
        }
        let keyrings: Vec<_> = world
            .nodes
            .iter()
            .map(|node| node.vault.as_ref().expect("a vault").plaintext())
            .collect();
        let open = Chain::of(&*world.nodes[0].store).secrets(&keyrings);
        let now = world.record().epoch;
        assert_eq!(open.keys().copied().collect::<Vec<_>>(), [now], "seed {seed}");
        world.transfer(1, &alice(), 1, bob().id());
        assert!(world.nodes.iter().all(|node| node.seen.equivocations.is_empty()));
    }
}
