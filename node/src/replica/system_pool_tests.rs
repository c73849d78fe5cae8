use tacit_attest::Platform;
use tacit_consensus::Signature;
use tacit_ledger::{PolicyApproval, PolicyProposal, SuspendVote};

use super::*;

/// An approval by a member of the proposal whose id is `of` repeated.
fn approval(member: u16, of: u8) -> SystemTx {
    SystemTx::Approve(PolicyApproval {
        chain: Digest([1; 32]),
        proposal: Digest([of; 32]),
        member,
        signature: PolicyProposal::unsigned(),
    })
}

fn vote(validator: u16, epoch: u64) -> SystemTx {
    SystemTx::Suspend(SuspendVote {
        chain: Digest([1; 32]),
        epoch,
        target: Suspension::Platform(Platform::Sgx),
        validator,
        signature: Signature([0; 64]),
    })
}

fn hold(pool: &mut SystemPool, tx: SystemTx, height: Height) -> Result<(Digest, Taken), SystemPoolError> {
    let bytes = tx.encode();
    pool.insert(tx, bytes, height)
}

#[test]
fn a_full_kind_takes_no_more_and_leaves_the_others_their_room() {
    let mut pool = SystemPool::default();
    let most = share(Kind::Approve).items;
    for n in 0..most {
        let n = u8::try_from(n).expect("few");
        assert!(hold(&mut pool, approval(0, n), 1).is_ok());
    }
    let refused = hold(&mut pool, approval(1, 0), 1).expect_err("full");
    assert!(
        matches!(refused, SystemPoolError::Full { kind: "approve", items, .. } if items == most),
        "{refused}"
    );
    assert_eq!(refused.code(), "system.pool_full");
    assert!(matches!(
        pool.look(&approval(1, 0)),
        Err(SystemPoolError::Full { .. })
    ));
    assert!(
        hold(&mut pool, vote(0, 1), 1).is_ok(),
        "another kind has its own room"
    );
    pool.remove(&approval(0, 0).id());
    assert!(hold(&mut pool, approval(1, 0), 1).is_ok(), "what left made room");
    assert_eq!(pool.size().0, most as u64 + 1);
}

#[test]
fn bytes_are_bounded_too() {
    let mut pool = SystemPool::default();
    let most = share(Kind::Approve).bytes;
    assert!(pool.insert(approval(0, 1), vec![0; most - 1], 1).is_ok());
    assert!(pool.insert(approval(0, 2), vec![0; 2], 1).is_err());
    assert!(pool.insert(approval(0, 3), vec![0; 1], 1).is_ok());
    assert_eq!(pool.size(), (2, most as u64));
}

#[test]
fn all_shares_together_are_what_the_documents_say() {
    let kinds = [
        Kind::Collateral,
        Kind::Propose,
        Kind::Approve,
        Kind::Suspend,
        Kind::Register,
        Kind::Leave,
        Kind::Convict,
    ];
    let items: usize = kinds.iter().map(|kind| share(*kind).items).sum();
    let bytes: usize = kinds.iter().map(|kind| share(*kind).bytes).sum();
    assert_eq!(items, 256);
    assert!(bytes <= 4 << 20, "{bytes}");
}

#[test]
fn one_wish_has_one_place_and_only_a_newer_one_takes_it() {
    let mut pool = SystemPool::default();
    let (first, _) = hold(&mut pool, vote(3, 5), 1).expect("held");
    assert_eq!(
        hold(&mut pool, vote(3, 5), 1).expect("known").1,
        Taken::Held(first)
    );
    let older = hold(&mut pool, vote(3, 4), 1).expect_err("older");
    assert_eq!(older.code(), "system.older");
    let (newer, taken) = hold(&mut pool, vote(3, 6), 1).expect("newer");
    assert_eq!(
        taken,
        Taken::New {
            replaced: Some(first)
        }
    );
    assert!(!pool.contains(&first) && pool.contains(&newer));
    assert_eq!(pool.size(), (1, vote(3, 6).encode().len() as u64));
    assert!(
        hold(&mut pool, vote(4, 6), 1).is_ok(),
        "another seat's is another wish"
    );
}

#[test]
fn the_order_is_that_of_arrival_and_the_least_recently_checked_come_first() {
    let mut pool = SystemPool::default();
    let ids: Vec<Digest> = [(0, 7), (1, 5), (2, 6)]
        .into_iter()
        .map(|(member, height)| hold(&mut pool, approval(member, 9), height).expect("held").0)
        .collect();
    let order: Vec<Digest> = pool.in_order().map(|(id, ..)| id).collect();
    assert_eq!(order, ids);
    assert_eq!(pool.stale(7, 10), [ids[1], ids[2]]);
    assert_eq!(pool.stale(8, 2), [ids[1], ids[2]]);
    pool.confirm(&ids[1], 8);
    assert_eq!(pool.stale(8, 2), [ids[2], ids[0]]);
}

#[test]
fn what_leaders_make_is_not_held() {
    let mut pool = SystemPool::default();
    let end = SystemTx::EndEpoch {
        reason: tacit_ledger::EpochReason::Schedule,
    };
    assert_eq!(
        hold(&mut pool, end, 1).expect_err("not ordinary").code(),
        "system.not_ordinary"
    );
    assert!(pool.is_empty());
}

#[test]
fn what_a_client_brought_is_said_again_ever_more_rarely_until_it_leaves() {
    let mut pool = SystemPool::default();
    let (heard, _) = hold(&mut pool, approval(0, 1), 1).expect("held");
    assert_eq!(
        (pool.due(0).len(), pool.next_wake()),
        (0, None),
        "it came by gossip"
    );
    let (own, _) = hold(&mut pool, approval(1, 1), 1).expect("held");
    pool.say_again(&own, 100);
    let mut said = Vec::new();
    let mut now = 100;
    while now < 300_000 {
        for gossip in pool.due(now) {
            assert_eq!(
                SystemGossip::decode(&borsh::to_vec(&gossip).expect("encoded")),
                Some(approval(1, 1))
            );
            said.push((gossip.round, now));
        }
        assert!(pool.due(now).is_empty(), "once at a time");
        now = pool.next_wake().expect("it waits");
    }
    let times: Vec<Millis> = said.iter().map(|(_, at)| at - 100).collect();
    assert_eq!(
        times,
        [
            0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 127_000, 191_000, 255_000
        ]
    );
    assert!(said.iter().map(|(round, _)| *round).eq(0..10));
    pool.remove(&own);
    assert_eq!(pool.next_wake(), None);
    assert!(pool.contains(&heard));
}
