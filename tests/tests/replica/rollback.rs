//! Disks that were set back: whatever earlier image a validator starts from, it contradicts nothing that it signed, and
//! answers no private question before it has caught up. The checker looks at every statement of every life.

use tacit_consensus::{Committee, Digest, Statements};
use tacit_ledger::Outcome;
use tacit_node::{
    replica::Offence,
    wire::{FetchResponse, StandingAnswer},
};

use tacit_tests::sim::{
    founders::{alice, bob},
    node::Image,
    wallet::pay,
    world::{Options, World},
};

/// A world in which the images of one validator's disk are kept, with `transfers` and some epochs behind it.
fn imaged(seed: u64, of: usize, epoch_ms: u64, transfers: u64) -> World {
    let mut world = World::at_epoch_1(Options {
        seed,
        loss: 10,
        ..Options::epochs_of(epoch_ms)
    });
    world.imaged = Some(of);
    work(&mut world, transfers);
    world
}

fn work(world: &mut World, transfers: u64) {
    for nonce in 0..transfers {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        // One that its epoch leaves behind is none of this story's business.
        let _ = world.submit((nonce % 4) as usize, &envelope);
        world.run_for(150);
    }
}

/// Every story's end: it takes part, nobody is blamed, money moves.
fn goes_on(world: &mut World, index: usize) {
    world.run_until("it runs again", 20_000, |world| world.votes_again(index));
    world.run_until("it has caught up", 30_000, |world| {
        world.nodes[index].epoch() == world.record().epoch && world.nodes[index].height() + 2 >= world.top()
    });
    let known = world.checker.statements(index);
    // Work for a few views, whoever leads them.
    let (envelope, _) = world.seal(&bob(), 0, pay(alice().id(), 1));
    let _ = world.submit((index + 1) % 4, &envelope);
    world.run_until("it signs again", 30_000, |world| {
        world.checker.statements(index) > known
    });
    world.run_for(200);
    assert_eq!(world.private_word(index), Ok(()));
    world.assert_calm();
}

/// Sets the disk back, starts it while the last words of its earlier life may still be on their way, and looks on.
fn tell(mut world: World, seed: u64, index: usize, image: &Image) -> bool {
    world.set_back(index, image);
    world.run_for(seed % 40);
    world.start(index);
    goes_on(&mut world, index);
    world.nodes[index].up().rolled_back().is_some()
}

#[test]
fn no_earlier_image_of_a_disk_contradicts_what_was_signed_over_many_seeds() {
    let (mut noticed, seeds) = (0, 120);
    for seed in 0..seeds {
        let index = (seed % 4) as usize;
        let world = imaged(seed, index, 60_000, 3);
        let images = &world.images;
        let image = images[seed as usize * 5 % images.len()].clone();
        noticed += u64::from(tell(world, seed, index, &image));
    }
    assert!(noticed * 4 > seeds * 3, "noticed in {noticed} of {seeds}");
}

#[test]
fn every_earlier_image_of_one_run_contradicts_nothing() {
    let mut world = World::at_epoch_1(Options::default());
    (world.imaged, world.image_every) = (Some(2), 1);
    work(&mut world, 3);
    let images = world.images;
    assert!(images.len() > 20, "{} images", images.len());
    for (at, image) in (0..).zip(&images) {
        // The same seed gives the same run.
        let mut world = World::at_epoch_1(Options::default());
        work(&mut world, 3);
        tell(world, at, 2, image);
    }
}

#[test]
fn an_image_of_an_earlier_epoch_is_brought_to_the_present_one_and_asks_there() {
    for seed in 0..12 {
        let index = (seed % 4) as usize;
        let mut world = imaged(seed, index, 3_000, 2);
        let images = world.images.clone();
        world.run_until("two epochs later", 60_000, |world| world.all_in(3));
        let image = &images[images.len() * (seed as usize + 1) / 13];
        assert!(image.epoch < 3);
        world.set_back(index, image);
        world.run_for(100);
        world.start(index);
        world.run_until("it runs in the present epoch", 30_000, |world| {
            world.votes_again(index) && world.nodes[index].epoch() >= 3
        });
        let epoch = world.record().epoch + 1;
        world.run_until("and in the one after", 60_000, |world| world.all_in(epoch));
        world.run_until("it votes there", 30_000, |world| {
            world.checker.voted(index, epoch, "certify")
        });
        world.assert_calm();
    }
}

#[test]
fn the_newest_disk_is_no_rollback_and_votes_within_a_second() {
    for seed in 0..24 {
        let index = (seed % 4) as usize;
        let mut world = imaged(seed, index, 60_000, 2);
        world.run_for(7 * seed);
        world.crash(index);
        world.run_for(100 * (seed % 3));
        let began = world.now;
        world.start(index);
        world.run_until("it runs again", 1_000, |world| world.votes_again(index));
        assert!(world.now <= began + 1_000);
        assert_eq!(world.nodes[index].up().rolled_back(), None, "seed {seed}");
        world.assert_calm();
    }
}

#[test]
fn one_that_reaches_nobody_neither_signs_nor_answers_and_says_why() {
    let mut world = imaged(5, 2, 60_000, 3);
    let image = world.images[world.images.len() / 2].clone();
    world.set_back(2, &image);
    world.run_for(100);
    for other in [0, 1, 3] {
        world.cut.extend([(2, other), (other, 2)]);
    }
    let known = world.checker.statements(2);
    world.start(2);
    world.run_for(30_000);
    assert_eq!(world.private_word(2), Err("node.probation"));
    let status = world.nodes[2].up().probation().expect("on probation");
    assert_eq!((status.answers, status.needed), (0, 2));
    assert_eq!(world.checker.statements(2), known, "it signs nothing");
    // One other is not enough.
    for (from, to) in [(2, 0), (0, 2)] {
        world.cut.remove(&(from, to));
    }
    world.run_for(10_000);
    assert_eq!(world.private_word(2), Err("node.probation"));
    assert_eq!(
        world.nodes[2].up().probation().map(|status| status.answers),
        Some(1)
    );
    assert_eq!(world.checker.statements(2), known);
    world.heal();
    goes_on(&mut world, 2);
    assert!(world.nodes[2].up().rolled_back().is_some());
}

/// Two of four are out: the chain waits for the one that is only down, and nothing is contradicted meanwhile.
#[test]
fn set_back_while_another_is_down_it_waits_for_that_one() {
    for seed in 0..8 {
        let (index, down) = ((seed % 4) as usize, ((seed + 1) % 4) as usize);
        let mut world = imaged(seed, index, 60_000, 2);
        world.crash(down);
        let alive = (0..4).find(|one| *one != index && *one != down).expect("two");
        let (envelope, _) = world.seal(&alice(), 2, pay(bob().id(), 1));
        world.submit(alive, &envelope).expect("accepted");
        world.run_for(3_000);
        let image = world.images[world.images.len() / 3].clone();
        world.set_back(index, &image);
        world.run_for(100);
        world.start(index);
        world.run_for(5_000);
        assert!(world.votes_again(index), "two others suffice to know");
        assert!(world.nodes[index].up().rolled_back().is_some());
        world.start(down);
        goes_on(&mut world, index);
    }
}

#[test]
fn the_whole_network_restarts_within_five_seconds() {
    for seed in 0..24 {
        let mut world = imaged(seed, 0, 60_000, 2);
        world.run_for(11 * seed);
        (0..4).for_each(|index| world.crash(index));
        world.run_for(300);
        let began = world.now;
        (0..4).for_each(|index| world.start(index));
        let before = world.top();
        world.run_until("everybody signs again", 2_000, |world| {
            (0..4).all(|index| world.votes_again(index))
        });
        let (envelope, _) = world.seal(&bob(), 0, pay(alice().id(), 1));
        let id = world.submit(1, &envelope).expect("accepted");
        world.run_until("a new block", 5_000, |world| world.all_have(&id));
        assert!(world.now <= began + 5_000 && world.top() > before);
        let noticed = world
            .nodes
            .iter()
            .filter(|node| node.up().rolled_back().is_some());
        assert_eq!(noticed.count(), 0, "seed {seed}");
        world.assert_calm();
    }
}

/// What the others hold in memory is gone with their processes; certificates are not.
#[test]
fn one_is_set_back_while_the_whole_network_restarts() {
    for seed in 0..24 {
        let index = (seed % 4) as usize;
        let mut world = imaged(seed, index, 60_000, 3);
        let image = world.images[world.images.len() / 2].clone();
        world.set_back(index, &image);
        (0..4)
            .filter(|other| *other != index)
            .for_each(|other| world.crash(other));
        world.run_for(300);
        (0..4).for_each(|index| world.start(index));
        goes_on(&mut world, index);
    }
}

/// A liar's answers: what it changes in them.
type Lie = fn(&mut StandingAnswer);

const LIES: [(&str, Lie); 8] = [
    ("hides all", |answer| hide(answer)),
    ("claims a view that nobody can reach", |answer| {
        if let Some(standing) = &mut answer.standing {
            standing.view = u64::MAX;
        }
    }),
    ("claims a height that nobody has", |answer| {
        answer.height = u64::MAX
    }),
    ("claims an epoch that nobody is in", |answer| {
        answer.epoch = u64::MAX
    }),
    ("claims an epoch that is over", |answer| answer.epoch = 0),
    ("denies the seat", |answer| answer.standing = None),
    ("shows a vote for another block", |answer| {
        if let Some(vote) = answer.standing.as_mut().and_then(|one| one.seen.certify.as_mut()) {
            vote.block = Digest([7; 32]);
            vote.view += 50;
        }
    }),
    ("shows a certificate of its own making", |answer| {
        if let Some(standing) = &mut answer.standing {
            standing.high.view += 40;
        }
    }),
];

fn hide(answer: &mut StandingAnswer) {
    if let Some(standing) = &mut answer.standing {
        standing.seen = Statements::default();
        standing.tc = None;
        standing.view = 0;
    }
}

#[test]
fn whatever_one_of_four_answers_the_others_word_is_enough() {
    for (seed, (what, lie)) in (0..).zip(LIES) {
        for restored in [true, false] {
            let (index, liar) = (1, 2 + (seed % 2) as usize);
            let mut world = imaged(seed, index, 60_000, 3);
            let image = world.images[world.images.len() / 2].clone();
            if restored {
                world.set_back(index, &image);
            } else {
                world.crash(index);
            }
            world.run_for(100);
            world.server = Some(Box::new(move |server, response| match response {
                FetchResponse::Standing(mut answer) if server == liar => {
                    lie(&mut answer);
                    FetchResponse::Standing(answer)
                }
                other => other,
            }));
            world.start(index);
            world.run_until("it runs again", 20_000, |world| world.votes_again(index));
            let noticed = world.nodes[index].up().rolled_back();
            assert_eq!(noticed.is_some(), restored, "{what}");
            let view = world.nodes[0].up().view().map_or(0, |view| view.0);
            let silent = noticed.map_or(0, |found| found.silent_through);
            assert!(
                silent <= view + 70,
                "{what}: {silent} where the others are in {view}"
            );
            // What can be proven to be a lie is held against the liar, and against nobody else.
            let key = world.key_of(liar);
            let blamed = std::mem::take(&mut world.nodes[index].seen.penalties);
            assert!(blamed.iter().all(|(peer, _)| *peer == key), "{what}");
            let provable = ["shows", "denies"].iter().any(|word| what.starts_with(word));
            assert_eq!(!blamed.is_empty(), provable, "{what}: {blamed:?}");
            assert!(blamed.iter().all(|(_, offence)| *offence == Offence::Invalid));
            world.server = None;
            let receipt = world.transfer(index, &bob(), 0, alice().id());
            assert_eq!(receipt.outcome, Outcome::Applied, "{what}");
            world.assert_calm();
        }
    }
}

/// What a peer that answers with something else gets for it.
#[test]
fn an_answer_of_another_kind_is_held_against_its_sender_and_another_is_asked() {
    let mut world = imaged(3, 1, 60_000, 1);
    // Every answer arrives, the odd one among the first.
    world.options.loss = 0;
    world.crash(1);
    world.run_for(100);
    world.server = Some(Box::new(|server, response| match response {
        FetchResponse::Standing(_) if server == 3 => FetchResponse::Blocks(Vec::new()),
        other => other,
    }));
    world.start(1);
    world.run_until("it runs again", 5_000, |world| world.votes_again(1));
    assert!(!world.blamed(3).is_empty());
    assert!(world.blamed(0).is_empty() && world.blamed(2).is_empty());
}

/// Restarts and rollbacks all over the place, one at a time: the chain goes on, and no life contradicts another.
#[test]
fn a_rotating_rollback_stops_neither_epochs_nor_transfers() {
    for seed in 0..3 {
        let mut world = World::at_epoch_1(Options {
            seed,
            ..Options::epochs_of(6_000)
        });
        for round in 0..16_u64 {
            let index = ((round + seed) % 4) as usize;
            world.images.clear();
            world.imaged = Some(index);
            world.run_for(1_200);
            let image = world.images.get(world.images.len() / 2).cloned();
            match image {
                Some(image) if round % 2 == 0 => world.set_back(index, &image),
                _ => world.crash(index),
            }
            world.run_for(200);
            world.start(index);
            world.run_until("it runs again", 30_000, |world| world.votes_again(index));
        }
        world.run_until("everybody is together again", 60_000, |world| {
            world
                .nodes
                .iter()
                .all(|node| node.epoch() == world.record().epoch)
        });
        assert!(world.record().epoch >= 3, "epoch {}", world.record().epoch);
        world.transfer(0, &alice(), 0, bob().id());
        world.assert_calm();
    }
}

/// The bound that the argument rests on, for every size of set.
#[test]
fn answers_and_any_quorum_share_more_than_the_faulty_others() {
    for n in 2..=128_usize {
        let members = (0..n)
            .map(|i| tacit_consensus::PublicKey([i as u8; 32]))
            .collect();
        let committee = Committee { epoch: 1, members };
        let (others, answers) = (n - 1, committee.quorum() - 1);
        let shared = 2 * answers - others.min(2 * answers);
        // The validator that was set back is one of the f.
        let faulty_others = committee.f().saturating_sub(1);
        assert!(
            shared > faulty_others || committee.f() == 0 && shared == others,
            "n = {n}"
        );
    }
}
