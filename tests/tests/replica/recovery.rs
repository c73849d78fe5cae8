//! A network that loses every secret, and the one that goes on with its state.

use std::sync::Arc;

use tacit_consensus::{Digest, Height};
use tacit_ledger::{
    EpochRecord, Genesis, Outcome, PrivateState, RecoveryError, RecoveryMember, RecoveryMembers,
    RecoveryScope, ReleasedShare, SealingPublic, SealingSecret, StateFile, SystemTx, UNIT, open_envelope,
};
use tacit_node::recovery::{Gathered, gather_from, reconstruct};

use crate::leaders::{crooked, system};
use tacit_tests::sim::{
    founders::{SUPPLY, alice, bob, first_kem_secret, genesis},
    node::Node,
    wallet::pay,
    world::{Options, World},
};

/// What a crooked leader makes of a record.
type Forgery = fn(&mut EpochRecord);

const NAMES: [&str; 3] = ["ada", "ben", "cem"];
const THRESHOLD: u16 = 2;

fn member(n: usize) -> SealingSecret {
    SealingSecret::derive(&[150 + u8::try_from(n).expect("few members"); 32])
}

fn members() -> RecoveryMembers {
    let member = |(n, name): (usize, &&str)| RecoveryMember {
        name: (*name).to_owned(),
        key: member(n).public().clone(),
    };
    RecoveryMembers {
        members: NAMES.iter().enumerate().map(member).collect(),
        threshold: THRESHOLD,
    }
}

/// The genesis of a network that can be recovered.
fn recoverable(options: &Options) -> Arc<Genesis> {
    let mut genesis = Genesis::clone(&genesis(options.params));
    genesis.recovery = members();
    genesis.verify().expect("a genesis that holds");
    Arc::new(genesis)
}

/// A world in epoch `epoch`, in which alice has paid bob `payments` units.
fn used(options: Options, epoch: u64, payments: u64) -> World {
    let genesis = recoverable(&options);
    let mut world = World::of(options, genesis, None);
    world.run_until("the epoch begins", 60_000, |world| world.all_in(epoch));
    world.settle();
    for nonce in 0..payments {
        let receipt = world.transfer((nonce % 4) as usize, &alice(), nonce, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
    }
    world
}

fn gathered(node: &Node, genesis: &Genesis) -> Gathered {
    gather_from(&*node.store, genesis).expect("a chain that proves itself")
}

/// The genesis that goes on with a lost network's state.
fn next(lost: &Gathered) -> Arc<Genesis> {
    let mut origin = lost.proven.origin.clone();
    origin.state = StateFile::digest(&lost.file.to_bytes());
    let mut genesis = lost.file.proof.genesis.clone();
    genesis.allocations = Vec::new();
    genesis.time_ms += 24 * 3_600_000;
    genesis.origin = Some(origin);
    genesis.verify().expect("a genesis that holds");
    Arc::new(genesis)
}

/// A member's share, released to the founders of `genesis`.
fn released(lost: &Gathered, genesis: &Genesis, n: usize) -> ReleasedShare {
    let package = lost.proven.package().expect("a package");
    let share = lost.proven.scope().open(package, &member(n)).expect("its share");
    let founders: Vec<SealingPublic> = genesis.validators.iter().map(|one| one.kem_key.clone()).collect();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::from_seed([n as u8; 32]);
    share
        .release(&mut rng, &genesis.chain_id(), &founders)
        .expect("released")
}

fn open(
    lost: &Gathered,
    genesis: &Genesis,
    shares: &[ReleasedShare],
    seat: u16,
) -> Result<PrivateState, RecoveryError> {
    let origin = genesis.origin.as_ref().expect("an origin");
    let kem = first_kem_secret(usize::from(seat));
    reconstruct(genesis, origin, &lost.file.to_bytes(), shares, seat, &kem)
}

#[test]
fn every_epochs_record_deals_each_member_a_share_and_none_other_opens_it() {
    let world = used(Options::epochs_of(4_000), 3, 0);
    let log = world.nodes[0].log();
    for epoch in 1..=3 {
        let record = log.epoch(epoch).expect("readable").expect("an epoch").record;
        let scope = RecoveryScope {
            chain: &world.chain,
            epoch,
            members: &world.genesis.recovery,
        };
        let package = record.recovery.as_ref().expect("a package");
        let shares: Vec<_> = (0..NAMES.len())
            .map(|n| scope.open(package, &member(n)).expect("opens and fits"))
            .collect();
        let keys = scope.combine(package, &shares[1..]).expect("two are enough");
        // What comes of it opens the state of this epoch: the newest, in the end.
        if epoch == world.record().epoch {
            let (height, sealed) = log.checkpoint().expect("readable").expect("a checkpoint");
            assert!(tacit_ledger::decrypt_checkpoint(&keys.data, height, &sealed).is_ok());
        }
    }
    world.assert_calm();
}

#[test]
fn a_network_without_members_has_no_packages() {
    let world = World::at_epoch_1(Options::default());
    assert_eq!(world.record().recovery, None);
    match gather_from(&*world.nodes[0].store, &world.genesis) {
        Err(error) => assert_eq!(error.code(), "recovery.none"),
        Ok(_) => panic!("there is nothing to recover from"),
    }
}

/// Who could put a package of its own into a record could make the members' shares worthless, or learn the state.
#[test]
fn a_leader_that_forges_the_package_gets_no_votes_and_is_refused_by_name() {
    let forgeries: [(&str, Forgery); 5] = [
        ("none at all", |record| record.recovery = None),
        ("a share of another", |record| {
            let package = record.recovery.as_mut().expect("a package");
            package.shares.swap(0, 1);
        }),
        ("a flipped bit in a share", |record| {
            let package = record.recovery.as_mut().expect("a package");
            package.shares[2][1150] ^= 1;
        }),
        ("keys under another secret", |record| {
            let package = record.recovery.as_mut().expect("a package");
            package.wrapped[3] ^= 1;
        }),
        ("commitments in another order", |record| {
            let package = record.recovery.as_mut().expect("a package");
            package.commitments.swap(0, 1);
        }),
    ];
    for (what, forge) in forgeries {
        let mut world = used(Options::epochs_of(4_000), 1, 0);
        let changed = crooked(&mut world, move |block, _| {
            let forged = system(block, |tx| match tx {
                SystemTx::CloseEpoch(record) => {
                    forge(record);
                    true
                }
                _ => false,
            });
            if forged {
                let closing = block
                    .payload
                    .system
                    .iter()
                    .find_map(|bytes| match SystemTx::decode(bytes) {
                        Ok(SystemTx::CloseEpoch(record)) => Some(record.digest()),
                        _ => None,
                    });
                block.header.next_epoch = closing;
            }
            forged
        });
        world.run_until("the next leader closes the epoch", 60_000, |world| {
            world.all_in(2)
        });
        world.crook = None;
        world.settle();
        assert!(
            !changed.borrow().is_empty(),
            "{what}: the story had a crooked block"
        );
        let named = |node: &Node| {
            let mut refused = node.seen.refused_proposals.iter();
            refused.any(|(_, refused)| refused.code == "deal.recovery")
        };
        assert!(world.nodes.iter().any(named), "{what}: nobody named it");
        let record = world.record();
        let scope = RecoveryScope {
            chain: &world.chain,
            epoch: record.epoch,
            members: &world.genesis.recovery,
        };
        let package = record.recovery.as_ref().expect("an honest package");
        assert!(scope.open(package, &member(2)).is_ok(), "{what}");
    }
}

#[test]
fn enough_members_bring_the_state_back_on_new_nodes_and_what_was_sealed_stays_closed() {
    for epoch in [1, 3] {
        let mut old = used(Options::epochs_of(8_000), epoch, 5);
        let (sealed, _) = old.seal(&alice(), 5, pay(bob().id(), 7));
        let (lost_chain, lost_epoch) = (old.chain, old.record().epoch);
        let best = old.nodes.iter().map(|node| gathered(node, &old.genesis));
        let lost = best
            .max_by_key(|one| one.proven.origin.executed)
            .expect("four homes");
        assert_eq!(lost.unproven, 0, "all is proven");
        let genesis = next(&lost);
        let shares = [0, 2].map(|n| released(&lost, &genesis, n));
        // Every founder finds the same state by itself; the keys in it are the old network's and go with it.
        let (from, founding) = (lost.file.clone(), genesis.clone());
        let state = move |index: usize| {
            let gathered = &from;
            let origin = founding.origin.as_ref().expect("an origin");
            let seat = u16::try_from(index).expect("few nodes");
            let kem = first_kem_secret(index);
            let opened = reconstruct(&founding, origin, &gathered.to_bytes(), &shares, seat, &kem);
            opened.expect("the state opens")
        };
        let mut new = World::of(old.options.clone(), genesis, Some(Box::new(state)));
        drop(old);
        new.run_until("the first epoch with keys begins", 60_000, |world| {
            world.all_in(1)
        });
        new.settle();
        assert_ne!(new.chain, lost_chain);
        assert_eq!(new.genesis.supply(), SUPPLY);
        for node in &new.nodes {
            assert_eq!(node.up().supply(), Some(SUPPLY), "node {}", node.index);
        }
        // Nonces go on, so nothing signed before counts twice, and balances are what they were: five were paid.
        let early = new.transfer(0, &alice(), 5, bob().id());
        assert_eq!(early.outcome, Outcome::Applied);
        let charge = u128::from(new.genesis.params.fee_per_512);
        let all = 500 * UNIT + 6 - charge;
        let (envelope, key) = new.seal(&bob(), 0, pay(alice().id(), all));
        let id = new.submit(1, &envelope).expect("accepted");
        new.run_until("it is in the chain", 30_000, |world| world.all_have(&id));
        new.settle();
        assert_eq!(
            new.receipt(&id, &key).outcome,
            Outcome::Applied,
            "bob has all that he was paid"
        );

        // What was sealed to the lost chain's epoch opens with nothing that is here now.
        assert!(sealed.check(&new.chain, 1, 1).is_err(), "it is another chain's");
        for node in &new.nodes {
            let (_, opener) = node.opener.clone().expect("a key");
            assert!(open_envelope(&opener, &sealed).is_err());
        }
        let package = lost.proven.package().expect("a package");
        let opened: Vec<_> = (0..NAMES.len())
            .map(|n| lost.proven.scope().open(package, &member(n)).expect("opens"))
            .collect();
        let keys = lost
            .proven
            .scope()
            .combine(package, &opened)
            .expect("all members");
        for secret in [keys.data, keys.blinding] {
            let as_epoch = tacit_ledger::EpochSecret::from_bytes(secret).sealing();
            assert!(open_envelope(&as_epoch, &sealed).is_err());
            assert!(open_envelope(&SealingSecret::derive(&secret), &sealed).is_err());
        }
        assert_eq!(lost.proven.origin.epoch, lost_epoch);
        new.assert_calm();
    }
}

#[test]
fn a_recovered_network_restarts_in_its_first_epoch_and_after_it() {
    let old = used(Options::default(), 1, 2);
    let lost = gathered(&old.nodes[1], &old.genesis);
    let genesis = next(&lost);
    let shares = [1, 2].map(|n| released(&lost, &genesis, n));
    let (founding, bytes) = (genesis.clone(), lost.file.to_bytes());
    let state = move |index: usize| {
        let origin = founding.origin.as_ref().expect("an origin");
        let seat = u16::try_from(index).expect("few nodes");
        let opened = reconstruct(&founding, origin, &bytes, &shares, seat, &first_kem_secret(index));
        opened.expect("the state opens")
    };
    let mut new = World::of(old.options.clone(), genesis, Some(Box::new(state)));
    // Each of them loses its power before the first key is there, and again when it is.
    for index in 0..4 {
        new.crash(index);
        new.start(index);
        new.run_for(20);
    }
    new.run_until("the first epoch with keys begins", 60_000, |world| {
        world.all_in(1)
    });
    new.settle();
    new.lost = None; // it lies under the new keys
    for index in 0..4 {
        new.crash(index);
        new.start(index);
    }
    new.run_for(5_000);
    assert_eq!(new.transfer(0, &alice(), 2, bob().id()).outcome, Outcome::Applied);
    new.assert_calm();
}

#[test]
fn a_founder_without_the_state_does_not_start() {
    let old = used(Options::default(), 1, 0);
    let lost = gathered(&old.nodes[0], &old.genesis);
    let mut new = World::empty(old.options.clone(), next(&lost), None);
    let error = new.try_start(0).expect_err("it has no state to begin with");
    assert_eq!(error.code(), "recovery.state_missing");
}

#[test]
fn too_few_wrong_and_foreign_shares_are_refused_by_name() {
    let old = used(Options::epochs_of(8_000), 2, 1);
    let lost = gathered(&old.nodes[0], &old.genesis);
    let genesis = next(&lost);
    let shares = [0, 1, 2].map(|n| released(&lost, &genesis, n));
    let code = |shares: &[ReleasedShare]| open(&lost, &genesis, shares, 0).err().map(|error| error.code());
    assert_eq!(code(&shares), None);
    assert_eq!(code(&shares[..2]), None);
    assert_eq!(code(&[]), Some("recovery.too_few"));
    assert_eq!(code(&shares[..1]), Some("recovery.too_few"));
    match open(&lost, &genesis, &shares[1..2], 0) {
        Err(RecoveryError::TooFew { have, need, names }) => {
            assert_eq!((have, need, names), (1, 2, vec!["ben".to_owned()]));
        }
        _ => panic!("one is not enough"),
    }
    let twice = [shares[1].clone(), shares[1].clone()];
    assert_eq!(code(&twice), Some("recovery.share_repeated"));
    // For another founder.
    let mut others = shares.clone();
    others[0].sealed.swap(0, 1);
    assert_eq!(code(&others), Some("recovery.share_sealed"));
    // To another network.
    let mut elsewhere = Genesis::clone(&genesis);
    elsewhere.time_ms += 1;
    let elsewhere = released(&lost, &elsewhere, 1);
    assert_eq!(
        code(&[shares[0].clone(), elsewhere]),
        Some("recovery.share_foreign")
    );
    // Of an epoch before: a member that kept an old share, and one that hides that.
    let log = old.nodes[0].log();
    let before = log.epoch(1).expect("readable").expect("an epoch").record;
    let scope = RecoveryScope {
        epoch: 1,
        ..lost.proven.scope()
    };
    let share = scope.open(before.recovery.as_ref().expect("a package"), &member(1));
    let founders: Vec<SealingPublic> = genesis.validators.iter().map(|one| one.kem_key.clone()).collect();
    let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::from_seed([9; 32]);
    let stale = share
        .expect("its share of epoch 1")
        .release(&mut rng, &genesis.chain_id(), &founders)
        .expect("released");
    assert_eq!(code(&[shares[0].clone(), stale]), Some("recovery.share_foreign"));
}

#[test]
fn a_state_that_the_lost_chain_did_not_certify_is_refused_by_name() {
    let old = used(Options::default(), 1, 3);
    let lost = gathered(&old.nodes[0], &old.genesis);
    let code = |change: &dyn Fn(&mut Gathered)| {
        let mut changed = gathered(&old.nodes[0], &old.genesis);
        change(&mut changed);
        let genesis = next(&changed);
        let shares = [0, 1].map(|n| released(&lost, &genesis, n));
        open(&changed, &genesis, &shares, 0)
            .err()
            .map(|error| error.code())
    };
    assert_eq!(code(&|_| {}), None);
    let state = Some("recovery.state_invalid");
    let flip = |bytes: &mut Vec<u8>| bytes[100] ^= 1;
    assert_eq!(code(&|lost| flip(&mut lost.file.checkpoint.1)), state);
    assert_eq!(code(&|lost| lost.file.checkpoint.0 += 1), state);
    assert_eq!(code(&|lost| drop(lost.file.frames.pop())), state);
    assert_eq!(code(&|lost| drop(lost.file.frames.remove(0))), state);
    assert_eq!(code(&|lost| lost.file.frames.swap(0, 1)), state);
    let origin = Some("recovery.origin_invalid");
    assert_eq!(code(&|lost| lost.file.proof.header.executed.supply += 1), origin);
    assert_eq!(code(&|lost| lost.file.proof.links.clear()), origin);
    let forged = |lost: &mut Gathered| {
        let record = &mut lost.file.proof.links[0].record;
        record.recovery.as_mut().expect("a package").check = Digest([1; 32]);
    };
    assert_eq!(code(&forged), origin);
    // What genesis says of the lost chain must be what its headers say.
    let lie: fn(&mut Gathered) = |lost| lost.proven.origin.supply += 1;
    assert_eq!(code(&lie), origin);
    let lie: fn(&mut Gathered) = |lost| lost.proven.origin.private_root = Digest([3; 32]);
    assert_eq!(code(&lie), origin);

    // Another file than the one that genesis names.
    let genesis = next(&lost);
    let shares = [0, 1].map(|n| released(&lost, &genesis, n));
    let mut other = gathered(&old.nodes[0], &old.genesis);
    other.file.frames.pop();
    assert_eq!(
        open(&other, &genesis, &shares, 0).err().map(|error| error.code()),
        state
    );
}

/// A validator that stopped in the middle of anything leaves a home from which the state can be had, up to what is proven.
#[test]
fn a_network_that_dies_under_load_is_recovered_to_what_was_proven() {
    for seed in 0..6 {
        let options = Options {
            seed,
            ..Options::epochs_of(3_000)
        };
        let mut old = used(options, 1, 0);
        let mut nonce = 0;
        for _ in 0..40 + seed * 7 {
            let (envelope, _) = old.seal(&alice(), nonce, pay(bob().id(), 1));
            if old.submit((nonce % 4) as usize, &envelope).is_ok() {
                nonce += 1;
            }
            old.run_for(40);
        }
        let mut proven: Vec<(Height, Digest)> = Vec::new();
        for index in 0..4 {
            old.crash(index);
            let lost = gathered(&old.nodes[index], &old.genesis);
            let genesis = next(&lost);
            let shares = [0, 1].map(|n| released(&lost, &genesis, n));
            let state = open(&lost, &genesis, &shares, 2);
            let origin = &lost.proven.origin;
            assert!(origin.height - origin.executed <= 3, "seed {seed}: {origin:?}");
            match state {
                Ok(state) => assert_eq!(state.supply(), SUPPLY, "seed {seed}"),
                Err(error) => panic!("seed {seed}, node {index}: {error}"),
            }
            proven.push((origin.executed, origin.private_root));
        }
        // Homes that prove the same height prove the same state.
        proven.sort();
        assert!(
            proven
                .windows(2)
                .all(|pair| pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1)
        );
    }
}

/// A checkpoint that no header proves yet must not have replaced the frames from which the proven state follows.
#[test]
fn a_network_that_dies_right_after_a_checkpoint_is_recovered_too() {
    let mut options = Options::default();
    options.params.epoch_ms_max = 24 * 3_600_000;
    let mut old = used(options, 1, 1);
    let begun = old.record().start_height - 1;
    let next_checkpoint = begun + 1_000;
    old.run_until("many heartbeats", 6_000_000, |world| {
        world.top() + 5 >= next_checkpoint
    });
    let mut nonce = 1;
    while old.nodes[0].height() < next_checkpoint {
        let (envelope, _) = old.seal(&alice(), nonce, pay(bob().id(), 1));
        nonce += u64::from(old.submit(0, &envelope).is_ok());
        let height = old.nodes[0].height();
        old.run_until("the next block", 10_000, |world| world.nodes[0].height() > height);
    }
    let node = &old.nodes[0];
    assert_eq!(node.log().checkpoint_height(), Ok(Some(next_checkpoint)));
    let own = |height| {
        node.log()
            .result(height)
            .expect("readable")
            .expect("executed")
            .executed
    };
    let lost = gathered(node, &old.genesis);
    let origin = &lost.proven.origin;
    assert!(origin.executed < next_checkpoint && origin.height >= next_checkpoint);
    assert_ne!(
        own(next_checkpoint).private_root,
        origin.private_root,
        "it was in use"
    );
    let genesis = next(&lost);
    let shares = [0, 1].map(|n| released(&lost, &genesis, n));
    let state = open(&lost, &genesis, &shares, 3).expect("the state opens");
    assert_eq!(
        (state.height(), state.root()),
        (origin.executed, origin.private_root)
    );
    // Once it is proven, what stands before it goes.
    let head = old.top();
    old.run_until("it is proven", 60_000, |world| {
        world
            .nodes
            .iter()
            .all(|node| node.up().certified_executed() >= head)
    });
    let first = old.nodes[0].log().frames_from(0, 1).expect("readable");
    assert!(first.iter().all(|(height, _)| *height > next_checkpoint));
}
