//! Stories about contributions, shares and the keys that come of them.

use super::*;
use crate::testing::{CHAIN, rng};

fn kems(n: u8) -> Vec<SealingSecret> {
    (0..n).map(|i| SealingSecret::derive(&[i + 1; 32])).collect()
}

fn publics(kems: &[SealingSecret]) -> Vec<SealingPublic> {
    kems.iter().map(|kem| kem.public().clone()).collect()
}

#[test]
fn all_recipients_derive_the_same_keys() {
    let kems = kems(4);
    let contributions: Vec<_> = [2, 0]
        .map(|dealer| deal(&mut rng(dealer), &CHAIN, 1, dealer as u16, &publics(&kems)).unwrap())
        .into();
    assert_eq!(contributions.len(), contributions_needed(4));
    let secrets: Vec<EpochSecret> = (0u16..)
        .zip(&kems)
        .map(|(me, kem)| {
            let open = |c: &Contribution| (c.clone(), open_share(kem, &CHAIN, c, me).ok().unwrap());
            EpochSecret::combine(&CHAIN, 1, &contributions.iter().map(open).collect::<Vec<_>>())
        })
        .collect();
    let first = secrets[0].sealing();
    assert!(
        secrets
            .iter()
            .all(|secret| secret.sealing().public() == first.public())
    );
    assert!(
        secrets
            .iter()
            .all(|secret| *secret == EpochSecret::from_bytes(*secrets[0].to_bytes()))
    );
    let keys = StateKeys::derive(&secrets[0]);
    assert!(StateKeys::unwrap(&secrets[3], &keys.wrap(&secrets[0])).ok() == Some(keys));
}

#[test]
fn order_epoch_network_and_every_share_move_the_secret() {
    let kems = kems(1);
    let parts: Vec<_> = (0..2u16)
        .map(|dealer| {
            let c = deal(&mut rng(u64::from(dealer)), &CHAIN, 1, dealer, &publics(&kems)).unwrap();
            let share = open_share(&kems[0], &CHAIN, &c, 0).ok().unwrap();
            (c, share)
        })
        .collect();
    let base = EpochSecret::combine(&CHAIN, 1, &parts);
    let swapped: Vec<_> = parts.iter().rev().cloned().collect();
    assert!(base != EpochSecret::combine(&CHAIN, 1, &swapped));
    assert!(base != EpochSecret::combine(&CHAIN, 2, &parts));
    assert!(base != EpochSecret::combine(&Digest([9; 32]), 1, &parts));
    assert!(base != EpochSecret::combine(&CHAIN, 1, &parts[..1]));
    let mut other = parts.clone();
    other[1].1 = Share::from_bytes([0; 32]);
    assert!(base != EpochSecret::combine(&CHAIN, 1, &other));
    let plain: Vec<_> = parts.iter().map(|(c, _)| c.clone()).collect();
    assert_ne!(transcript(&plain), transcript(&plain[..1]));
}

#[test]
fn one_bad_share_is_caught_by_its_recipient_and_by_nobody_else() {
    let kems = kems(4);
    let mut contribution = deal(&mut rng(1), &CHAIN, 1, 0, &publics(&kems)).unwrap();
    assert_eq!(contribution.check_shape(4), Ok(()));
    contribution.shares[2][SHARE_BYTES - 1] ^= 1;
    for (me, kem) in (0u16..).zip(&kems) {
        let opened = open_share(kem, &CHAIN, &contribution, me).err();
        let caught = DealError::ShareSealed { dealer: 0, me: 2 };
        assert_eq!(opened, (me == 2).then_some(caught));
    }
}

/// Otherwise a dealer could deceive one validator with the votes of all others, and cut it off.
#[test]
fn one_bad_share_is_caught_by_everybody_who_makes_the_shares_again() {
    let kems = kems(4);
    let good = deal(&mut rng(1), &CHAIN, 1, 0, &publics(&kems)).unwrap();
    let check = |contribution: &Contribution, me: u16| {
        let share = open_share(&kems[usize::from(me)], &CHAIN, contribution, me)
            .ok()
            .unwrap();
        check_shares(&CHAIN, contribution, &share, &publics(&kems))
    };
    assert!((0..4).all(|me| check(&good, me) == Ok(())));
    let mut bent = good.clone();
    bent.shares[2][SHARE_BYTES - 1] ^= 1;
    // The right value, sealed with other randomness: it opens, but nobody else can know that.
    let mut other = good.clone();
    let (info, aad) = (share_info(&CHAIN, 1, 0, 2), good.commitment.0);
    let share = open_share(&kems[0], &CHAIN, &good, 0).ok().unwrap();
    other.shares[2] = seal_to(&mut rng(5), kems[2].public(), &info, &aad, &share.to_bytes()[..]).unwrap();
    let caught = Err(DealError::Unequal { dealer: 0, index: 2 });
    for me in [0, 1, 3] {
        assert_eq!(check(&bent, me), caught);
        assert_eq!(check(&other, me), caught);
    }
    assert_eq!(check(&other, 2), caught);
}

/// A dealer that gives one recipient another value than it committed to.
#[test]
fn a_value_that_does_not_fit_the_commitment_is_caught() {
    let kems = kems(4);
    let mut contribution = deal(&mut rng(1), &CHAIN, 1, 0, &publics(&kems)).unwrap();
    let info = share_info(&CHAIN, 1, 0, 3);
    let lie = seal_to(
        &mut rng(2),
        kems[3].public(),
        &info,
        &contribution.commitment.0,
        &[7; 32],
    )
    .unwrap();
    contribution.shares[3] = lie;
    assert_eq!(open_share(&kems[2], &CHAIN, &contribution, 2).err(), None);
    let caught = DealError::Commitment { dealer: 0, me: 3 };
    assert_eq!(open_share(&kems[3], &CHAIN, &contribution, 3).err(), Some(caught));
    let short = seal_to(
        &mut rng(2),
        kems[1].public(),
        &share_info(&CHAIN, 1, 0, 1),
        &[0; 32],
        &[7; 31],
    )
    .unwrap();
    contribution.shares[1] = short;
    let caught = DealError::ShareSize {
        dealer: 0,
        index: 1,
        have: SHARE_BYTES - 1,
        need: SHARE_BYTES,
    };
    assert_eq!(open_share(&kems[1], &CHAIN, &contribution, 1).err(), Some(caught));
    assert_eq!(contribution.check_shape(4), Err(caught));
}

#[test]
fn a_contribution_cannot_be_moved_to_another_commitment_network_epoch_dealer_or_seat() {
    let kems = kems(2);
    let good = deal(&mut rng(1), &CHAIN, 1, 0, &publics(&kems)).unwrap();
    let refused = |contribution: Contribution, chain: &Digest, me: u16| {
        matches!(
            open_share(&kems[usize::from(me)], chain, &contribution, me).err(),
            Some(DealError::ShareSealed { .. })
        )
    };
    assert!(refused(
        Contribution {
            commitment: Digest([3; 32]),
            ..good.clone()
        },
        &CHAIN,
        0
    ));
    assert!(refused(
        Contribution {
            epoch: 2,
            ..good.clone()
        },
        &CHAIN,
        0
    ));
    assert!(refused(
        Contribution {
            dealer: 1,
            ..good.clone()
        },
        &CHAIN,
        0
    ));
    assert!(refused(good.clone(), &Digest([9; 32]), 0));
    let swapped = good.shares.iter().rev().cloned().collect();
    assert!(refused(
        Contribution {
            shares: swapped,
            ..good.clone()
        },
        &CHAIN,
        1
    ));
    let missing = DealError::NoShare { dealer: 0, me: 2 };
    assert_eq!(open_share(&kems[0], &CHAIN, &good, 2).err(), Some(missing));
    assert_eq!(
        good.check_shape(3),
        Err(DealError::Shares {
            dealer: 0,
            have: 2,
            need: 3
        })
    );
}

#[test]
fn recipients_are_bounded_and_must_be_keys() {
    let none = deal(&mut rng(1), &CHAIN, 1, 0, &[]).err();
    assert_eq!(
        none,
        Some(DealError::Recipients {
            have: 0,
            max: MAX_VALIDATORS
        })
    );
    let bad = deal(&mut rng(1), &CHAIN, 1, 0, &[SealingPublic(vec![1; 3])]).err();
    assert!(matches!(bad, Some(DealError::Recipient { index: 0, .. })));
}

#[test]
fn wrapped_state_keys_open_under_their_epoch_alone() {
    let (one, two) = (EpochSecret::from_bytes([1; 32]), EpochSecret::from_bytes([2; 32]));
    let first = StateKeys::derive(&one);
    assert!(first.data != first.blinding);
    let second = first.in_epoch(&two);
    assert_eq!(second.blinding, first.blinding, "it outlives epochs");
    assert_ne!(second.data, first.data, "it does not");
    let wrapped = second.wrap(&two);
    assert_eq!(wrapped.len(), WRAPPED_STATE_KEYS_BYTES);
    assert_eq!(
        wrapped,
        first.wrap(&two),
        "whoever holds the blinding key makes the same"
    );
    assert!(StateKeys::unwrap(&two, &wrapped).ok() == Some(second));
    assert_eq!(
        StateKeys::unwrap(&one, &wrapped).err(),
        Some(DealError::StateKeys)
    );
    for at in 0..wrapped.len() {
        let mut bent = wrapped.clone();
        bent[at] ^= 1;
        assert_eq!(StateKeys::unwrap(&two, &bent).err(), Some(DealError::StateKeys));
    }
    assert_eq!(
        StateKeys::unwrap(&two, &wrapped[1..]).err(),
        Some(DealError::StateKeys)
    );
    assert!(StateKeys::from_bytes(&first.to_bytes()[..]).ok() == Some(first));
    assert!(StateKeys::from_bytes(&[0; 63]).is_err());
}

#[test]
fn a_lost_secret_comes_back_to_its_seat_alone_and_is_never_another() {
    let kems = kems(2);
    let secret = EpochSecret::from_bytes([5; 32]);
    let sealing = secret.sealing();
    let seal = |epoch, to: u16, secret: &EpochSecret| {
        let key = kems[usize::from(to)].public();
        seal_secret(&mut rng(1), &CHAIN, epoch, to, key, secret).unwrap()
    };
    let open = |chain: &Digest, epoch, me: u16, bytes: &[u8]| {
        let kem = &kems[usize::from(me)];
        open_secret(kem, chain, epoch, me, sealing.public(), bytes).map(|opened| opened == secret)
    };
    let sealed = seal(3, 1, &secret);
    assert_eq!(open(&CHAIN, 3, 1, &sealed), Ok(true));
    let not_sealed = |epoch, me| Err(DealError::SecretSealed { epoch, me });
    assert_eq!(open(&CHAIN, 3, 0, &sealed), not_sealed(3, 0));
    assert_eq!(open(&CHAIN, 4, 1, &sealed), not_sealed(4, 1));
    assert_eq!(open(&Digest([9; 32]), 3, 1, &sealed), not_sealed(3, 1));
    assert_eq!(open(&CHAIN, 3, 1, &sealed[1..]), not_sealed(3, 1));
    assert_eq!(open(&CHAIN, 3, 1, &[]), not_sealed(3, 1));
    let mut bent = sealed.clone();
    bent[1_130] ^= 1;
    assert_eq!(open(&CHAIN, 3, 1, &bent), not_sealed(3, 1));
    let lie = seal(3, 1, &EpochSecret::from_bytes([6; 32]));
    assert_eq!(open(&CHAIN, 3, 1, &lie), Err(DealError::OtherSecret { epoch: 3 }));
}

#[test]
fn f_plus_one_contributions_are_needed() {
    assert_eq!(
        [1, 3, 4, 6, 7, 100].map(contributions_needed),
        [1, 1, 2, 2, 3, 34]
    );
}
