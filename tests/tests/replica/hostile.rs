//! What anybody may throw at a replica: a named offence for who threw it, no panic, nothing changed.

use tacit_consensus::{CommitProof, Message, Phase, Signature, Vote};
use tacit_ledger::SealedReceipt;
use tacit_node::{
    replica::{Input, Offence},
    wire::{Announcement, Direct, FetchResponse, SyncBlock},
};

use tacit_tests::sim::{
    founders::{NOTHING, alice, bob, node_key},
    wallet::pay,
    world::{Options, World},
};

/// A replica's head, view and mempool: what garbage must not change.
fn state(world: &World, index: usize) -> impl PartialEq + std::fmt::Debug + use<> {
    let replica = world.nodes[index].up();
    let (head, view) = (replica.head(), replica.view());
    (
        head.id,
        head.height,
        view,
        replica.mempool_size(),
        replica.record().epoch,
    )
}

#[test]
fn bytes_that_do_not_decode_are_named_and_change_nothing() {
    let mut world = World::at_epoch_1(Options::default());
    let before = state(&world, 0);
    let sound = world.overheard.back().expect("a message").2.clone();
    let mut trailing = sound.clone();
    trailing.push(0);
    let long = vec![7; 2 << 20];
    let of = |message: Vec<u8>| {
        let direct = Direct {
            epoch: 1,
            incarnation: 0,
            message,
        };
        borsh::to_vec(&direct).expect("encoded")
    };
    let mut throw: Vec<Vec<u8>> = vec![Vec::new(), vec![0xff; 64], trailing, long, of(vec![9; 500])];
    throw.extend((1..sound.len()).step_by(7).map(|cut| sound[..cut].to_vec()));
    // A length that would be allocated: a list of four thousand million.
    throw.push(of([vec![0], vec![0xff; 300]].concat()));
    let count = throw.len();
    for bytes in throw {
        world.take_direct(1, 0, &bytes);
    }
    assert_eq!(world.blamed(1), vec![Offence::Malformed; count]);
    assert_eq!(state(&world, 0), before);
    world.transfer(0, &alice(), 0, bob().id());
}

#[test]
fn every_cut_and_every_flipped_byte_of_real_messages_is_survived() {
    let mut world = World::at_epoch_1(Options::default());
    world.transfer(0, &alice(), 0, bob().id());
    let heard: Vec<_> = world.overheard.iter().cloned().collect();
    for (from, to, bytes) in heard.iter().step_by(11) {
        for at in (0..bytes.len()).step_by(13) {
            let mut bent = bytes.clone();
            bent[at] ^= 0x41;
            world.take_direct(*from, *to, &bent);
        }
    }
    world.run_for(1_000);
    world.transfer(1, &alice(), 1, bob().id());
    assert!(world.nodes.iter().all(|node| node.halted.is_none()));
}

#[test]
fn replayed_messages_change_nothing_and_blame_nobody() {
    let mut world = World::at_epoch_1(Options::epochs_of(5_000));
    world.transfer(0, &alice(), 0, bob().id());
    world.run_until("epoch 2 begins", 20_000, |world| world.all_in(2));
    world.settle();
    let heard: Vec<_> = world.overheard.iter().cloned().collect();
    for _ in 0..3 {
        for (from, to, bytes) in &heard {
            world.take_direct(*from, *to, bytes);
        }
    }
    world.transfer(1, &alice(), 1, bob().id());
    world.assert_calm();
}

#[test]
fn what_is_not_signed_by_a_validator_is_named() {
    let mut world = World::at_epoch_1(Options::default());
    let before = state(&world, 0);
    let vote = Vote {
        epoch: 1,
        view: world.nodes[0].up().view().expect("a core").0,
        height: world.top() + 1,
        block: NOTHING,
        phase: Phase::Certify,
        voter: 1,
        signature: Signature([3; 64]),
    };
    let message = Message::Vote(vote).encode();
    let direct = Direct {
        epoch: 1,
        incarnation: 0,
        message,
    };
    let from = node_key(1);
    world.input(
        0,
        Input::Direct {
            from,
            direct: direct.clone(),
        },
    );
    assert_eq!(world.blamed(1), [Offence::Invalid]);
    // From a node that is no validator, whatever it says.
    let observer = world.add_observer();
    let from = node_key(observer);
    world.input(0, Input::Direct { from, direct });
    assert_eq!(world.blamed(observer), [Offence::Invalid]);
    assert_eq!(state(&world, 0), before);
    world.transfer(0, &alice(), 0, bob().id());
}

#[test]
fn a_forged_announcement_of_a_great_height_is_forgotten_when_nobody_has_it() {
    let mut world = World::at_epoch_1(Options::default());
    let announcement = Announcement {
        chain: world.chain,
        height: u64::MAX,
        block: NOTHING,
    };
    for from in 1..4 {
        let from = node_key(from);
        world.input(0, Input::Announced { from, announcement });
    }
    let other_chain = Announcement {
        chain: NOTHING,
        ..announcement
    };
    world.input(
        0,
        Input::Announced {
            from: node_key(1),
            announcement: other_chain,
        },
    );
    world.run_for(10_000);
    let replica = world.nodes[0].up();
    assert!(
        replica.best_known() <= world.top(),
        "believed: {}",
        replica.best_known()
    );
    let asked = world.nodes[0].seen.asked.0;
    world.run_for(10_000);
    assert_eq!(world.nodes[0].seen.asked.0, asked, "it asks no more");
    world.assert_calm();
}

#[test]
fn a_direct_message_from_a_far_epoch_costs_a_question_and_no_more() {
    let mut world = World::at_epoch_1(Options::default());
    // As the process that node 1 really is: another one would be a second holder of its identity.
    let heard = world.overheard.iter().find(|(from, ..)| *from == 1);
    let heard: Direct = borsh::from_slice(&heard.expect("it has spoken").2).expect("a message");
    let incarnation = heard.incarnation;
    for _ in 0..50 {
        let direct = Direct {
            epoch: u64::MAX,
            incarnation,
            message: vec![1; 100],
        };
        world.input(
            0,
            Input::Direct {
                from: node_key(1),
                direct,
            },
        );
    }
    world.run_for(5_000);
    assert!(world.nodes[0].seen.asked.0 < 60);
    world.transfer(0, &alice(), 0, bob().id());
    world.assert_calm();
}

type Forge = fn(&mut Vec<SyncBlock>);

/// What a crooked server can do to blocks that are asked for.
const FORGERIES: &[(&str, Forge)] = &[
    ("a block of another height", |blocks| blocks.reverse()),
    ("no signatures", |blocks| {
        for block in blocks {
            block.committed.proof.certificate.signatures.clear();
        }
    }),
    ("another's proof", |blocks| {
        let proofs: Vec<CommitProof> = blocks.iter().map(|block| block.committed.proof.clone()).collect();
        for (block, proof) in blocks.iter_mut().rev().zip(proofs) {
            block.committed.proof = proof;
        }
    }),
    ("a changed payload", |blocks| {
        blocks
            .iter_mut()
            .for_each(|block| block.committed.block.payload.batches.push(NOTHING));
    }),
    ("a changed header", |blocks| {
        blocks
            .iter_mut()
            .for_each(|block| block.committed.block.header.time_ms += 1);
    }),
    ("missing batches", |blocks| {
        blocks.iter_mut().for_each(|block| block.batches.clear())
    }),
    ("changed batches", |blocks| {
        blocks
            .iter_mut()
            .flat_map(|block| &mut block.batches)
            .for_each(|batch| batch.sequence += 1);
    }),
];

#[test]
fn forged_blocks_are_refused_their_server_is_named_and_another_is_asked() {
    for (what, forge) in FORGERIES {
        for validator in [true, false] {
            let mut world = World::at_epoch_1(Options::default());
            if validator {
                world.crash(3);
            }
            for nonce in 0..3 {
                world.transfer(0, &alice(), nonce, bob().id());
            }
            world.server = Some(Box::new(move |server, response| match response {
                FetchResponse::Blocks(mut blocks) if server == 0 => {
                    forge(&mut blocks);
                    FetchResponse::Blocks(blocks)
                }
                other => other,
            }));
            // Its first question goes to the crooked one: it hears of no other.
            let index = if validator { 3 } else { 4 };
            world.cut.extend([(1, index), (2, index)]);
            if validator {
                world.start(3);
            } else {
                world.cut.insert((3, index));
                world.add_observer();
            }
            world.run_until(what, 30_000, |world| world.blamed(0).contains(&Offence::Invalid));
            world.heal();
            world.run_until("it has caught up with the help of others", 60_000, |world| {
                world.nodes[index].height() == world.top()
            });
            world.transfer(1, &alice(), 3, bob().id());
            assert!(world.nodes.iter().all(|node| node.halted.is_none()), "{what}");
            for honest in (0..4).filter(|index| *index != 0) {
                assert_eq!(world.blamed(honest), [], "{what}: nobody else is blamed");
            }
        }
    }
}

/// Receipts are the one thing in a fetched block that no observer can compute.
#[test]
fn an_observer_that_is_given_too_few_receipts_refuses_them_and_asks_another() {
    let mut world = World::at_epoch_1(Options::default());
    for nonce in 0..3 {
        world.transfer(0, &alice(), nonce, bob().id());
    }
    world.server = Some(Box::new(|server, response| match response {
        FetchResponse::Blocks(mut blocks) if server == 0 => {
            blocks.iter_mut().for_each(|block| block.receipts.clear());
            FetchResponse::Blocks(blocks)
        }
        other => other,
    }));
    let observer = 4;
    world.cut.extend([(1, observer), (2, observer), (3, observer)]);
    world.add_observer();
    world.run_until("it is named", 30_000, |world| {
        world.blamed(0).contains(&Offence::Invalid)
    });
    world.heal();
    world.run_until("it has caught up", 60_000, |world| {
        world.nodes[observer].height() == world.top()
    });
    world.transfer(1, &alice(), 3, bob().id());
}

/// Found by the swarm, whose network changed a byte of one: an observer kept what it was given, passed it on, and could never
/// prove a receipt again.
#[test]
fn an_observer_that_is_given_other_receipts_refuses_them_and_keeps_those_that_a_final_header_states() {
    let mut world = World::at_epoch_1(Options::default());
    let mut ids = Vec::new();
    for nonce in 0..3 {
        let (envelope, _) = world.seal(&alice(), nonce, pay(bob().id(), 1));
        ids.push(world.submit(0, &envelope).expect("accepted"));
        world.run_until("final", 10_000, |world| world.all_have(&envelope.id()));
    }
    world.settle();
    world.server = Some(Box::new(|server, response| match response {
        FetchResponse::Blocks(mut blocks) if server == 0 => {
            for receipt in blocks.iter_mut().flat_map(|block| &mut block.receipts) {
                *receipt = SealedReceipt::unopened(&NOTHING);
            }
            FetchResponse::Blocks(blocks)
        }
        other => other,
    }));
    let observer = 4;
    world.cut.extend([(1, observer), (2, observer), (3, observer)]);
    world.add_observer();
    world.run_until("it is named", 30_000, |world| {
        world.blamed(0).contains(&Offence::Invalid)
    });
    world.heal();
    world.run_until("it has caught up", 60_000, |world| {
        world.nodes[observer].height() == world.top()
    });
    for nonce in 3..6 {
        world.transfer(1, &alice(), nonce, bob().id());
    }
    for id in ids {
        let own = world.proof(observer, &id).expect("a proof");
        assert_eq!(own.sealed, world.proof(1, &id).expect("a proof").sealed);
    }
    assert!((1..4).all(|honest| world.blamed(honest).is_empty()));
}

#[test]
fn an_answer_of_the_wrong_kind_is_named_and_one_that_nobody_asked_for_ignored() {
    let mut world = World::at_epoch_1(Options::default());
    let before = state(&world, 0);
    for (request, response) in [
        (u64::MAX, FetchResponse::Batches(Vec::new())),
        (u64::MAX, FetchResponse::Blocks(Vec::new())),
        (0, FetchResponse::Blocks(Vec::new())),
    ] {
        let (from, response) = (node_key(2), Some(response));
        world.input(
            0,
            Input::Fetched {
                request,
                from,
                response,
            },
        );
    }
    assert_eq!(state(&world, 0), before);
    assert!(
        world.blamed(2).is_empty(),
        "it may have been asked for a moment ago"
    );
    world.server = Some(Box::new(|server, response| match response {
        FetchResponse::Blocks(_) if server == 2 => FetchResponse::SystemTaken(Ok(NOTHING)),
        honest => honest,
    }));
    world.add_observer();
    world.run_until("it is named", 30_000, |world| !world.blamed(2).is_empty());
    assert!(world.blamed(2).iter().all(|offence| *offence == Offence::Invalid));
    world.transfer(0, &alice(), 0, bob().id());
}
