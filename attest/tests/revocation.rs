//! AMD's revocation lists: what a held one does to evidence, and which bytes are one at all.

mod common;
mod simulated;

use common::production;
use simulated::{MEASUREMENT, NOW_MS, authority, dev, lie};
use tacit_attest::{
    Collateral, CollateralKey, CollateralKind, CollateralUpdate, Document, Evidence, Generation, Platform,
    Policy, Refusal, SimulatedList, SimulatorAuthority, Verdict, Verified, verify, verify_steps,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const END_MS: u64 = NOW_MS + 30 * DAY_MS;

/// Collateral as a ledger would store it, without the checks of its door; `None` where it does not even decode.
fn stored(simulated: bool, generation: Generation, list: Vec<u8>) -> Option<Collateral> {
    let kind = CollateralKind::AmdCrl(generation);
    let document = Document::AmdCrl { generation, list };
    let all = vec![(
        CollateralKey { simulated, kind },
        CollateralUpdate { simulated, document },
    )];
    borsh::from_slice(&borsh::to_vec(&all).unwrap()).ok()
}

fn holding(simulated: bool, generation: Generation, list: Vec<u8>) -> Collateral {
    stored(simulated, generation, list).expect("a list that decodes")
}

fn list(revoked: &[&[u8]]) -> Vec<u8> {
    signed(authority(), NOW_MS - DAY_MS, revoked)
}

fn signed(authority: &SimulatorAuthority, issued_ms: u64, revoked: &[&[u8]]) -> Vec<u8> {
    let list = SimulatedList {
        issued_ms,
        next_update_ms: END_MS,
        number: 7,
        revoked: revoked.iter().map(|serial| serial.to_vec()).collect(),
    };
    match authority.amd_list(Generation::Turin, &list).unwrap().document {
        Document::AmdCrl { list, .. } => list,
        other => panic!("{other:?}"),
    }
}

fn judge(held: &Collateral, now_ms: u64) -> Result<Verified, Refusal> {
    verify(&lie(|_| {}), &dev(), held, None, None, now_ms)
}

fn code(held: &Collateral, now_ms: u64) -> &'static str {
    judge(held, now_ms).expect_err("the list refuses").code()
}

#[test]
fn a_list_in_force_that_names_nobody_passes_and_bounds_the_verdict() {
    let held = holding(true, Generation::Turin, list(&[]));
    let verified = judge(&held, NOW_MS).unwrap();
    assert_eq!(verified.not_after_ms, END_MS);
    assert!(judge(&held, END_MS + 999).is_ok(), "bounds are whole seconds");
    let without = judge(&Collateral::new(), NOW_MS).unwrap();
    assert!(without.not_after_ms > END_MS);
    let steps = |held: &Collateral| {
        let (steps, _) = verify_steps(&lie(|_| {}), &dev(), held, None, None, NOW_MS);
        (steps[8].verdict, steps[8].detail.clone())
    };
    let says = |verdict, detail: &str| (verdict, detail.to_owned());
    let passed = "simulated AMD turin CRL number 7 names neither intermediate nor root";
    assert_eq!(steps(&held), says(Verdict::Pass, passed));
    let skipped = "no simulated AMD turin CRL is held, and none is required";
    assert_eq!(steps(&Collateral::new()), says(Verdict::NotChecked, skipped));
}

#[test]
fn a_held_list_must_be_in_force() {
    let held = holding(true, Generation::Turin, list(&[]));
    assert_eq!(code(&held, END_MS + 1000), "attest.collateral_expired");
    let future = signed(authority(), NOW_MS + 1000, &[]);
    let held = holding(true, Generation::Turin, future);
    assert_eq!(code(&held, NOW_MS), "attest.collateral_not_yet_valid");
    assert!(judge(&held, NOW_MS + 1000).is_ok());
}

#[test]
fn a_revoked_intermediate_takes_its_leaves_along() {
    // All certificates of the simulator have serial number 0.
    let lists: [(&[&[u8]], bool); 4] = [
        (&[&[0]], true),
        (&[&[5], &[0]], true),
        (&[&[5]], false),
        (&[&[1, 0]], false),
    ];
    for (revoked, refused) in lists {
        let held = holding(true, Generation::Turin, list(revoked));
        match judge(&held, NOW_MS) {
            Err(refusal) => assert!(
                refused && refusal.code() == "attest.certificate_revoked",
                "{refusal}"
            ),
            Ok(_) => assert!(!refused, "{revoked:?}"),
        }
    }
}

#[test]
fn a_policy_can_require_a_list_of_the_evidences_generation() {
    let mut policy = Policy::dev(MEASUREMENT);
    policy.snp.require_crl = true;
    let judge =
        |held: &Collateral| verify(&lie(|_| {}), &dev(), held, Some(&policy), None, NOW_MS).map(|_| ());
    assert_eq!(judge(&holding(true, Generation::Turin, list(&[]))), Ok(()));
    // Another generation's list, a real one's place: neither is looked at.
    for (simulated, generation) in [(true, Generation::Genoa), (false, Generation::Turin)] {
        let refusal = judge(&holding(simulated, generation, list(&[&[0]]))).unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.number()),
            ("attest.collateral_missing", 8)
        );
    }
}

#[test]
fn no_byte_of_a_list_is_malleable() {
    let take_in = |list: Vec<u8>| {
        let (simulated, generation) = (true, Generation::Turin);
        let document = Document::AmdCrl { generation, list };
        let update = CollateralUpdate { simulated, document };
        Collateral::new().apply(update, &dev(), NOW_MS)
    };
    let honest = list(&[&[3]]);
    assert!(take_in(honest.clone()).is_ok());
    assert!(judge(&holding(true, Generation::Turin, honest.clone()), NOW_MS).is_ok());
    let mut decoded = 0;
    for byte in 0..honest.len() {
        let mut changed = honest.clone();
        changed[byte] ^= 1 << (byte % 8);
        let refusal = take_in(changed.clone()).expect_err("a changed list");
        assert_eq!(refusal.number(), 8, "byte {byte}");
        // Past the door, too: whoever verifies need not be who took it in.
        if let Some(held) = stored(true, Generation::Turin, changed).filter(|_| byte % 4 == 0) {
            let refusal = judge(&held, NOW_MS).expect_err("a changed list");
            assert_eq!(refusal.number(), 8, "byte {byte}");
            decoded += 1;
        }
    }
    assert!(decoded > 60, "a changed signature still decodes: {decoded}");
    let cut = (0..honest.len()).step_by(10).map(|len| honest[..len].to_vec());
    for list in cut.chain([[&honest[..], &[0]].concat()]) {
        if let Some(held) = stored(true, Generation::Turin, list.clone()) {
            assert_eq!(code(&held, NOW_MS), "attest.collateral_encoding");
        }
        assert_eq!(take_in(list).unwrap_err().code(), "attest.collateral_encoding");
    }
}

#[test]
fn only_the_generations_own_root_revokes() {
    let other = SimulatorAuthority::generate([2; 32], NOW_MS).unwrap();
    let foreign = signed(&other, NOW_MS - DAY_MS, &[&[0]]);
    let held = holding(true, Generation::Turin, foreign);
    assert_eq!(code(&held, NOW_MS), "attest.collateral_signature");
    // A simulated list in the place of AMD's.
    let milan = Evidence {
        platform: Platform::SevSnp,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    };
    let held = holding(false, Generation::Milan, list(&[]));
    let refusal = verify(&milan, &production(), &held, None, None, NOW_MS).unwrap_err();
    assert_eq!(refusal.code(), "attest.collateral_signature");
}

#[test]
fn the_same_arguments_make_the_same_list() {
    assert_eq!(list(&[&[1], &[2]]), list(&[&[1], &[2]]));
    assert_ne!(list(&[&[1], &[2]]), list(&[&[1]]));
}
