//! Every k of n that fits in a small network, every way to come short of it, and one defect at a time.

use super::*;
use crate::dealing::EpochSecret;

const CHAIN: Digest = Digest([7; 32]);
const OTHER: Digest = Digest([8; 32]);
const EPOCH: Epoch = 5;

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn keys(n: u8) -> Vec<SealingSecret> {
    (0..n).map(|i| SealingSecret::derive(&[i + 1; 32])).collect()
}

fn members(keys: &[SealingSecret], threshold: u16) -> RecoveryMembers {
    let names = ["alice", "bob", "carol", "dave", "erin", "frank"];
    let members = names.iter().zip(keys).map(|(name, key)| RecoveryMember {
        name: (*name).to_owned(),
        key: key.public().clone(),
    });
    RecoveryMembers {
        members: members.collect(),
        threshold,
    }
}

fn secret(byte: u8) -> EpochSecret {
    EpochSecret::from_bytes([byte; 32])
}

fn state_keys() -> StateKeys {
    StateKeys::derive(&secret(9))
}

struct Case {
    keys: Vec<SealingSecret>,
    members: RecoveryMembers,
    package: RecoveryPackage,
}

impl Case {
    fn new(n: u8, threshold: u16) -> Self {
        let keys = keys(n);
        let members = members(&keys, threshold);
        members.check().unwrap();
        let package = scope(&members)
            .package(&secret(1), &state_keys())
            .unwrap()
            .unwrap();
        Self {
            keys,
            members,
            package,
        }
    }

    fn scope(&self) -> RecoveryScope<'_> {
        scope(&self.members)
    }

    fn shares(&self) -> Vec<RecoveryShare> {
        self.keys
            .iter()
            .map(|key| self.scope().open(&self.package, key).ok().unwrap())
            .collect()
    }

    fn refusal(&self, shares: &[RecoveryShare]) -> RecoveryError {
        self.scope().combine(&self.package, shares).err().unwrap()
    }
}

fn scope(members: &RecoveryMembers) -> RecoveryScope<'_> {
    RecoveryScope {
        chain: &CHAIN,
        epoch: EPOCH,
        members,
    }
}

fn chosen(shares: &[RecoveryShare], bits: u32) -> Vec<RecoveryShare> {
    let picked = shares.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0);
    picked.map(|(_, share)| share.clone()).collect()
}

#[test]
fn every_choice_of_enough_members_gives_the_keys_and_every_smaller_one_a_named_refusal() {
    for n in 2..=6u8 {
        for threshold in 2..=u16::from(n) {
            let case = Case::new(n, threshold);
            let shares = case.shares();
            for bits in 0..1u32 << n {
                let given = chosen(&shares, bits);
                let result = case.scope().combine(&case.package, &given);
                if given.len() >= usize::from(threshold) {
                    assert!(
                        result.ok().unwrap() == state_keys(),
                        "{threshold} of {n}, {bits:b}"
                    );
                } else {
                    let names = given
                        .iter()
                        .map(|share| case.members.name(share.member()))
                        .collect();
                    let (have, need) = (given.len(), usize::from(threshold));
                    assert_eq!(
                        result.err(),
                        Some(RecoveryError::TooFew { have, need, names }),
                        "{threshold} of {n}, {bits:b}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_order_of_the_shares_does_not_matter() {
    let case = Case::new(4, 3);
    let mut shares = case.shares();
    for _ in 0..4 {
        shares.rotate_left(1);
        assert!(case.scope().combine(&case.package, &shares[..3]).ok().unwrap() == state_keys());
    }
}

#[test]
fn everybody_who_has_the_secret_makes_the_same_package() {
    let case = Case::new(3, 2);
    let again = case.scope().package(&secret(1), &state_keys()).unwrap();
    assert_eq!(again.as_ref(), Some(&case.package));
    assert_eq!(case.scope().check_shape(&case.package), Ok(()));

    // Each thing that it depends on gives another polynomial: no two packages share a secret.
    let checks = |scope: RecoveryScope<'_>, byte| {
        scope
            .package(&secret(byte), &state_keys())
            .unwrap()
            .unwrap()
            .check
    };
    let base = checks(case.scope(), 1);
    assert_ne!(base, checks(case.scope(), 2));
    assert_ne!(
        base,
        checks(
            RecoveryScope {
                epoch: 6,
                ..case.scope()
            },
            1
        )
    );
    let chain = &OTHER;
    assert_ne!(
        base,
        checks(
            RecoveryScope {
                chain,
                ..case.scope()
            },
            1
        )
    );
    for (n, threshold) in [(3, 3), (4, 2)] {
        let other = members(&keys(n), threshold);
        assert_ne!(base, checks(scope(&other), 1));
    }
}

#[test]
fn a_network_without_members_has_no_package() {
    let none = RecoveryMembers::none();
    assert_eq!(none.check(), Ok(()));
    assert!(none.is_none());
    assert_eq!(scope(&none).package(&secret(1), &state_keys()), Ok(None));
    let case = Case::new(3, 2);
    let wrong = RecoveryError::Package {
        part: "number of commitments",
    };
    assert_eq!(scope(&none).check_shape(&case.package), Err(wrong));
}

#[test]
fn a_share_opens_for_its_member_alone() {
    let case = Case::new(3, 2);
    let stranger = SealingSecret::derive(&[99; 32]);
    assert_eq!(
        case.scope().open(&case.package, &stranger).err(),
        Some(RecoveryError::NotMember)
    );
    // Exchanged shares: sealed to another member.
    let mut exchanged = case.package.clone();
    exchanged.shares.swap(0, 1);
    let sealed = |name: &str| RecoveryError::Sealed {
        name: name.to_owned(),
    };
    assert_eq!(
        case.scope().open(&exchanged, &case.keys[0]).err(),
        Some(sealed("alice"))
    );
    assert_eq!(
        case.scope().open(&exchanged, &case.keys[1]).err(),
        Some(sealed("bob"))
    );
    assert!(case.scope().open(&exchanged, &case.keys[2]).is_ok());
}

#[test]
fn a_bit_changed_anywhere_in_a_package_is_found_by_a_member_or_when_shares_are_combined() {
    let case = Case::new(3, 2);
    let honest = encode(&case.package);
    let shares = case.shares();
    // Every byte outside the sealed shares, and some in them.
    let start = 4 + 2 * POINT_BYTES + 32;
    let end = start + 4 + 3 * (4 + RECOVERY_SHARE_BYTES);
    for at in (0..honest.len()).filter(|at| *at < start || *at >= end || at.is_multiple_of(97)) {
        let mut bent = honest.clone();
        bent[at] ^= 1;
        let Ok(package) = crate::codec::decode::<RecoveryPackage>(&bent, 64 * 1024) else {
            continue;
        };
        let opened = case.keys.iter().map(|key| case.scope().open(&package, key).err());
        let by_members = opened.flatten().count();
        let combined = case.scope().combine(&package, &shares[..2]);
        let harmless = combined.as_ref().is_ok_and(|keys| *keys == state_keys());
        assert!(by_members > 0 || combined.is_err(), "byte {at}");
        assert!(combined.is_err() || harmless, "byte {at}: another secret");
    }
}

#[test]
fn a_share_changed_in_any_bit_is_named() {
    let case = Case::new(3, 2);
    let shares = case.shares();
    for bit in 0..512 {
        let mut bytes = shares[1].pair.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Some(pair) = Pair::from_bytes(&bytes[..]) else {
            continue; // not below the order: it does not even decode
        };
        let mut wrong = shares[1].clone();
        wrong.pair = pair;
        let named = RecoveryError::Commitment {
            name: "bob".to_owned(),
        };
        assert_eq!(case.scope().check(&case.package, &wrong), Err(named.clone()));
        assert_eq!(case.refusal(&[shares[0].clone(), wrong]), named);
    }
    assert!(Pair::from_bytes(&[255; 64]).is_none() && Pair::from_bytes(&[0; 63]).is_none());
}

#[test]
fn a_share_under_another_number_is_wrong() {
    let case = Case::new(4, 2);
    let mut shares = case.shares();
    shares[0].member = 2;
    let named = RecoveryError::Commitment {
        name: "carol".to_owned(),
    };
    assert_eq!(case.refusal(&shares[..2]), named);
    shares[0].member = 9;
    assert_eq!(case.refusal(&shares[..2]), RecoveryError::NotMember);
}

#[test]
fn a_repeated_share_counts_once_and_is_named() {
    let case = Case::new(4, 3);
    let shares = case.shares();
    let named = RecoveryError::Repeated {
        name: "bob".to_owned(),
    };
    let given = [shares[0].clone(), shares[1].clone(), shares[1].clone()];
    assert_eq!(case.refusal(&given), named);
    // Even where there would be enough without it.
    let given = [&shares[..], &shares[1..2]].concat();
    assert_eq!(case.refusal(&given), named);
}

#[test]
fn shares_of_another_epoch_network_or_circle_are_foreign_or_wrong() {
    let case = Case::new(3, 2);
    let shares = case.shares();
    let foreign = |chain, epoch| RecoveryError::Foreign {
        name: "bob".to_owned(),
        chain,
        epoch,
        need_chain: CHAIN,
        need_epoch: EPOCH,
    };
    let other = RecoveryScope {
        epoch: 4,
        ..case.scope()
    };
    let package = other.package(&secret(1), &state_keys()).unwrap().unwrap();
    let old = other.open(&package, &case.keys[1]).ok().unwrap();
    assert_eq!(case.refusal(&[shares[0].clone(), old.clone()]), foreign(CHAIN, 4));
    // One that lies about its epoch does not fit the commitments.
    let mut lying = old;
    lying.epoch = EPOCH;
    let wrong = RecoveryError::Commitment {
        name: "bob".to_owned(),
    };
    assert_eq!(case.refusal(&[shares[0].clone(), lying]), wrong);

    let chain = &OTHER;
    let other = RecoveryScope {
        chain,
        ..case.scope()
    };
    let package = other.package(&secret(1), &state_keys()).unwrap().unwrap();
    let theirs = other.open(&package, &case.keys[1]).ok().unwrap();
    assert_eq!(case.refusal(&[shares[0].clone(), theirs]), foreign(OTHER, EPOCH));

    // Of the same epoch, and of a package that was never voted for: made from another secret.
    let forged = case.scope().package(&secret(2), &state_keys()).unwrap().unwrap();
    let forged = case.scope().open(&forged, &case.keys[1]).ok().unwrap();
    assert_eq!(case.refusal(&[shares[0].clone(), forged]), wrong);
}

/// Who can take discrete logarithms can make shares that fit the commitments and give another secret. The check
/// finds that out: nothing is opened with it.
#[test]
fn another_secret_is_never_used_even_if_every_share_fits_the_commitments() {
    let case = Case::new(3, 2);
    let mut package = case.package.clone();
    package.check = Digest([1; 32]);
    let shares = case.shares();
    assert_eq!(
        case.scope().combine(&package, &shares[..2]).err(),
        Some(RecoveryError::Secret)
    );
}

#[test]
fn an_ill_formed_package_is_named_by_its_part() {
    let case = Case::new(3, 2);
    let refused = |change: &dyn Fn(&mut RecoveryPackage)| {
        let mut package = case.package.clone();
        change(&mut package);
        match case.scope().check_shape(&package) {
            Err(RecoveryError::Package { part }) => part,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&|p| p.commitments.truncate(1)), "number of commitments");
    assert_eq!(
        refused(&|p| p.commitments.push([2; POINT_BYTES])),
        "number of commitments"
    );
    assert_eq!(refused(&|p| p.commitments[0] = [255; POINT_BYTES]), "commitments");
    assert_eq!(refused(&|p| p.commitments[1] = [0; POINT_BYTES]), "commitments");
    assert_eq!(refused(&|p| p.shares.truncate(2)), "number of shares");
    assert_eq!(refused(&|p| p.shares.push(Vec::new())), "number of shares");
    assert_eq!(refused(&|p| p.shares[2].push(0)), "size of a share");
    assert_eq!(refused(&|p| p.wrapped.clear()), "size of the wrapped keys");
    assert_eq!(refused(&|p| p.wrapped.push(0)), "size of the wrapped keys");
}

#[test]
fn members_are_checked_by_name_key_and_threshold() {
    let keys = keys(3);
    let what = |change: &dyn Fn(&mut RecoveryMembers)| {
        let mut list = members(&keys, 2);
        change(&mut list);
        list.check().err()
    };
    assert_eq!(what(&|_| {}), None);
    let threshold = |threshold, members| {
        Some(RecoveryError::Threshold {
            threshold,
            min: 2,
            members,
        })
    };
    assert_eq!(what(&|list| list.threshold = 0), threshold(0, 3));
    assert_eq!(what(&|list| list.threshold = 1), threshold(1, 3));
    assert_eq!(what(&|list| list.threshold = 4), threshold(4, 3));
    assert_eq!(what(&|list| list.members.clear()), threshold(2, 0));
    let member = |index, what| Some(RecoveryError::Member { index, what });
    assert_eq!(
        what(&|list| list.members[1].name = "alice".into()),
        member(1, "has the name of another")
    );
    assert_eq!(
        what(&|list| list.members[2].key = list.members[0].key.clone()),
        member(2, "has the key of another")
    );
    assert_eq!(
        what(&|list| list.members[0].key = SealingPublic(vec![1])),
        member(0, "has a key that cannot be sealed to")
    );
    assert_eq!(
        what(&|list| list.members[0].name = "Alice".into()),
        member(0, "has a name that is not 1 to 32 characters of a-z, 0-9 and -")
    );
    let many =
        |list: &mut RecoveryMembers| list.members = vec![list.members[0].clone(); MAX_RECOVERY_MEMBERS + 1];
    let have = MAX_RECOVERY_MEMBERS + 1;
    let max = MAX_RECOVERY_MEMBERS;
    assert_eq!(what(&many), Some(RecoveryError::Members { have, max }));
}

#[test]
fn a_released_share_opens_for_the_founders_of_its_network_alone() {
    let case = Case::new(3, 2);
    let shares = case.shares();
    let founders: Vec<SealingSecret> = (0..4).map(|i| SealingSecret::derive(&[50 + i; 32])).collect();
    let publics: Vec<SealingPublic> = founders.iter().map(|one| one.public().clone()).collect();
    let released: Vec<ReleasedShare> = shares
        .iter()
        .map(|share| share.release(&mut rng(3), &OTHER, &publics).unwrap())
        .collect();
    let open = |share: &ReleasedShare, network: &Digest, seat: u16, kem: usize| {
        share.open(&case.scope(), &case.package, network, seat, &founders[kem])
    };
    for seat in 0..4u16 {
        let mine: Vec<RecoveryShare> = released
            .iter()
            .map(|share| open(share, &OTHER, seat, usize::from(seat)).ok().unwrap())
            .collect();
        assert!(case.scope().combine(&case.package, &mine[1..]).ok().unwrap() == state_keys());
    }
    let bob = || "bob".to_owned();
    let not_released = Some(RecoveryError::NotReleased { name: bob() });
    assert_eq!(open(&released[1], &OTHER, 1, 2).err(), not_released);
    assert_eq!(open(&released[1], &OTHER, 9, 2).err(), not_released);
    assert_eq!(
        open(&released[1], &CHAIN, 1, 1).err(),
        Some(RecoveryError::OtherNetwork {
            name: bob(),
            have: OTHER,
            need: CHAIN
        })
    );
    let changed = |change: &dyn Fn(&mut ReleasedShare)| {
        let mut share = released[1].clone();
        change(&mut share);
        open(&share, &OTHER, 1, 1).err().unwrap().code()
    };
    assert_eq!(changed(&|share| share.epoch = 4), "recovery.share_foreign");
    assert_eq!(changed(&|share| share.chain = OTHER), "recovery.share_foreign");
    assert_eq!(changed(&|share| share.member = 0), "recovery.share_sealed");
    assert_eq!(changed(&|share| share.member = 7), "recovery.not_member");
    assert_eq!(
        changed(&|share| share.sealed[1][1130] ^= 1),
        "recovery.share_sealed"
    );
    assert_eq!(changed(&|share| share.sealed.clear()), "recovery.share_sealed");
    // A member that releases what it never opened: the seal is good, the share is not.
    let mut lie = shares[1].clone();
    lie.pair = shares[0].pair.clone();
    let lie = lie.release(&mut rng(4), &OTHER, &publics).unwrap();
    assert_eq!(
        open(&lie, &OTHER, 1, 1).err(),
        Some(RecoveryError::Commitment { name: bob() })
    );
}

#[test]
fn the_file_of_a_released_share_is_bounded_and_strict() {
    let case = Case::new(2, 2);
    let founder = SealingSecret::derive(&[50; 32]);
    let share = case.shares()[0]
        .release(&mut rng(3), &OTHER, &[founder.public().clone()])
        .unwrap();
    let text = share.to_json();
    assert_eq!(ReleasedShare::from_json(&text), Ok(share.clone()));
    let code = |text: &str| ReleasedShare::from_json(text).err().unwrap().code();
    assert_eq!(code(""), "recovery.share_damaged");
    assert_eq!(
        code(&text.replace("\"version\": 1", "\"version\": 2")),
        "recovery.share_damaged"
    );
    assert_eq!(
        code(&text.replace("\"epoch\"", "\"epich\"")),
        "recovery.share_damaged"
    );
    assert_eq!(
        code(&" ".repeat(MAX_RELEASED_SHARE_BYTES + 1)),
        "recovery.share_damaged"
    );
    for founders in [vec![], vec![SealingPublic(vec![0; 3])]] {
        let refused = case.shares()[0].release(&mut rng(3), &OTHER, &founders);
        assert_eq!(refused.err().unwrap().code(), "recovery.share_damaged");
    }
}
