//! One defect at a time, made with the simulator, each with its named refusal.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, binding, chip, dev, judge, lie};
use tacit_attest::{
    Collateral, Evidence, Generation, Measurement, Platform, Policy, Refusal, Tcb, TcbFloor, Verdict,
    guest_policy, key_info, platform_info, verify, verify_steps,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[test]
fn each_defect_has_its_refusal() {
    let above = |tcb: Tcb| Tcb {
        microcode: tcb.microcode + 1,
        ..tcb
    };
    let defects: [(&str, u8, Evidence); 25] = [
        ("attest.report_version", 2, lie(|r| r.version = 99)),
        ("attest.report_version", 2, lie(|r| r.version = 4)),
        (
            "attest.signature_algorithm",
            2,
            lie(|r| r.signature_algorithm = 2),
        ),
        (
            "attest.chip_key_masked",
            2,
            lie(|r| r.key_info |= key_info::MASK_CHIP_KEY),
        ),
        (
            "attest.signing_key_kind",
            2,
            lie(|r| r.key_info |= 1 << key_info::SIGNING_KEY_SHIFT),
        ),
        (
            "attest.signing_key_kind",
            2,
            lie(|r| r.key_info |= 7 << key_info::SIGNING_KEY_SHIFT),
        ),
        ("attest.simulator_mark", 2, lie(|r| r.family_id = [0; 16])),
        ("attest.reserved_not_zero", 1, lie(|r| r.key_info |= 1 << 5)),
        // Venice: `sev` panics when it looks for its roots.
        ("attest.cpu_unknown", 3, lie(|r| r.cpuid = [0x1a, 0x50, 0])),
        ("attest.cpu_unknown", 3, lie(|r| r.cpuid = [0, 0, 0])),
        (
            "attest.generation_mismatch",
            3,
            lie(|r| r.cpuid = [0x19, 0x11, 1]),
        ),
        (
            "attest.leaf_tcb",
            5,
            lie(|r| r.reported_tcb = above(r.reported_tcb)),
        ),
        ("attest.chip_id_masked", 6, lie(|r| r.chip_id.0 = [0; 64])),
        ("attest.chip_id_mismatch", 6, lie(|r| r.chip_id.0[0] ^= 1)),
        ("attest.chip_id_mismatch", 6, lie(|r| r.chip_id.0[63] = 1)),
        (
            "attest.debug_allowed",
            9,
            lie(|r| r.guest_policy |= guest_policy::DEBUG),
        ),
        (
            "attest.migration_allowed",
            9,
            lie(|r| r.guest_policy |= guest_policy::MIGRATE_MA),
        ),
        ("attest.migration_agent", 9, lie(|r| r.report_id_ma = [0; 32])),
        (
            "attest.cxl_allowed",
            9,
            lie(|r| r.guest_policy |= guest_policy::CXL),
        ),
        ("attest.guest_policy_bits", 9, lie(|r| r.guest_policy |= 1 << 40)),
        (
            "attest.guest_policy_bits",
            9,
            lie(|r| r.guest_policy &= !guest_policy::RESERVED_ONE),
        ),
        ("attest.vmpl_too_high", 9, lie(|r| r.vmpl = 1)),
        (
            "attest.alias_check_incomplete",
            9,
            lie(|r| r.platform_info &= !platform_info::ALIAS_CHECK_COMPLETE),
        ),
        (
            "attest.measurement_unknown",
            11,
            lie(|r| r.measurement = Measurement([0x12; 48])),
        ),
        ("attest.report_data", 12, lie(|r| r.report_data[63] ^= 1)),
    ];
    assert!(judge(&lie(|_| {})).is_ok(), "the report without a defect");
    for (i, (code, number, evidence)) in defects.iter().enumerate() {
        let refusal = judge(evidence).expect_err(code);
        assert_eq!(
            (refusal.code(), refusal.number()),
            (*code, *number),
            "defect {i}: {refusal}"
        );
        assert!(matches!(refusal.to_string().as_str(), text if !text.is_empty()));
        let (policy, binding) = (Policy::dev(MEASUREMENT), binding());
        let held = Collateral::new();
        let (steps, outcome) = verify_steps(evidence, &dev(), &held, Some(&policy), Some(&binding), NOW_MS);
        assert_eq!(outcome, Err(refusal), "both entry points agree");
        let failed: Vec<_> = steps
            .iter()
            .filter(|step| step.verdict == Verdict::Fail)
            .collect();
        assert_eq!(failed.len(), 1, "defect {i}");
        assert_eq!(failed[0].number, *number);
        assert!(failed[0].detail.contains(code), "{}", failed[0].detail);
    }
}

#[test]
fn wrong_encodings_and_certificates_are_refused() {
    let honest = || lie(|_| {});
    let other = authority()
        .issue_chip([77; 32], Generation::Turin, NOW_MS)
        .unwrap();
    let changed = |change: fn(&mut Evidence)| {
        let mut evidence = honest();
        change(&mut evidence);
        evidence
    };
    for (code, evidence) in [
        ("attest.report_length", changed(|e| e.report.push(0))),
        ("attest.report_length", changed(|e| e.report.truncate(1183))),
        ("attest.reserved_not_zero", changed(|e| e.report[1183] = 1)),
        ("attest.reserved_not_zero", changed(|e| e.report[0x3d] = 1)),
        ("attest.report_signature", changed(|e| e.report[0x90] ^= 1)),
        ("attest.leaf_encoding", changed(|e| e.leaf.push(0))),
        ("attest.leaf_encoding", changed(|e| e.leaf.truncate(100))),
        (
            "attest.leaf_signature",
            changed(|e| *e.leaf.last_mut().unwrap() ^= 1),
        ),
        (
            "attest.chip_id_mismatch",
            Evidence {
                leaf: other.leaf().to_vec(),
                ..honest()
            },
        ),
        (
            "attest.generation_mismatch",
            Evidence {
                leaf: chip(Generation::Genoa).leaf().to_vec(),
                ..honest()
            },
        ),
    ] {
        let refusal = judge(&evidence).expect_err(code);
        assert_eq!(refusal.code(), code, "{refusal}");
    }
}

#[test]
fn certificates_count_only_in_their_time() {
    let leaf_end = judge(&lie(|_| {})).unwrap().not_after_ms;
    let at = |now_ms| {
        verify(&lie(|_| {}), &dev(), &Collateral::new(), None, None, now_ms).map_err(|refusal| refusal.code())
    };
    assert!(at(NOW_MS - DAY_MS).is_ok());
    assert_eq!(at(NOW_MS - DAY_MS - 1), Err("attest.leaf_not_yet_valid"));
    assert!(at(leaf_end + 999).is_ok(), "bounds are whole seconds");
    assert_eq!(at(leaf_end + 1000), Err("attest.leaf_expired"));
    assert_eq!(at(u64::MAX), Err("attest.leaf_expired"));
    assert_eq!(at(0), Err("attest.leaf_not_yet_valid"));
}

#[test]
fn floors_hold_for_reported_launch_and_committed_tcb() {
    let mut policy = Policy::dev(MEASUREMENT);
    let floor = policy
        .snp
        .min_tcb
        .iter_mut()
        .find(|f| f.generation == Generation::Turin)
        .unwrap();
    (floor.fmc, floor.bootloader, floor.tee, floor.snp, floor.microcode) = (1, 1, 1, 4, 81);
    let judge = |evidence: &Evidence, policy: &Policy| {
        verify(evidence, &dev(), &Collateral::new(), Some(policy), None, NOW_MS).map(|_| ())
    };
    assert_eq!(judge(&lie(|_| {}), &policy), Ok(()));
    for (which, evidence) in [
        ("launch", lie(|r| r.launch_tcb.snp = 3)),
        ("committed", lie(|r| r.committed_tcb.snp = 3)),
    ] {
        let expected = Refusal::TcbBelowFloor {
            which,
            component: "snp",
            have: 3,
            need: 4,
        };
        assert_eq!(judge(&evidence, &policy), Err(expected));
    }
    let mut raised = policy.clone();
    raised
        .snp
        .min_tcb
        .iter_mut()
        .for_each(|floor| floor.microcode = 82);
    let expected = Refusal::TcbBelowFloor {
        which: "reported",
        component: "microcode",
        have: 81,
        need: 82,
    };
    assert_eq!(judge(&lie(|_| {}), &raised), Err(expected));
    policy.snp.min_tcb.clear();
    let expected = Refusal::TcbFloorMissing {
        generation: Generation::Turin,
    };
    assert_eq!(judge(&lie(|_| {}), &policy), Err(expected));
}

#[test]
fn a_floor_for_a_cpu_model_goes_before_the_general_one() {
    let chip = chip(Generation::Genoa);
    let quote = |model: u8| {
        let mut report = chip.report(3, MEASUREMENT, [0; 64]);
        report.cpuid = [0x19, model, 0];
        chip.sign(&report).unwrap()
    };
    let mut policy = Policy::dev(MEASUREMENT);
    let genoa = *policy
        .snp
        .min_tcb
        .iter()
        .find(|f| f.generation == Generation::Genoa)
        .unwrap();
    policy.snp.min_tcb.push(TcbFloor {
        models: Some((0xa0, 0xaf)),
        microcode: 85,
        ..genoa
    });
    assert_eq!(policy.validate(), Ok(()));
    let judge = |model| {
        verify(
            &quote(model),
            &dev(),
            &Collateral::new(),
            Some(&policy),
            None,
            NOW_MS,
        )
        .map(|_| ())
    };
    assert_eq!(judge(0x11), Ok(()));
    let expected = Refusal::TcbBelowFloor {
        which: "reported",
        component: "microcode",
        have: 84,
        need: 85,
    };
    assert_eq!(judge(0xa0), Err(expected));
}

#[test]
fn each_demand_on_a_guest_has_its_refusal() {
    type Demand = fn(&mut Policy);
    let demands: [(&str, Demand); 7] = [
        ("attest.guest_policy_missing", |p| {
            p.snp.guest_policy_required = guest_policy::CIPHERTEXT_HIDING;
        }),
        ("attest.guest_policy_forbidden", |p| {
            p.snp.guest_policy_forbidden = guest_policy::SMT;
        }),
        ("attest.platform_info_missing", |p| {
            p.snp.platform_info_required = platform_info::TSME;
        }),
        ("attest.guest_svn_below_floor", |p| p.snp.guest_svn_min = 8),
        ("attest.guest_key_unknown", |p| {
            p.snp.id_keys = vec![Measurement([9; 48])]
        }),
        ("attest.guest_key_unknown", |p| {
            p.snp.author_keys = vec![Measurement([9; 48])]
        }),
        ("attest.collateral_missing", |p| p.snp.require_crl = true),
    ];
    let evidence = lie(|report| {
        report.guest_svn = 7;
        report.id_key_digest = [5; 48];
        report.author_key_digest = [6; 48];
    });
    let judge = |policy: &Policy| verify(&evidence, &dev(), &Collateral::new(), Some(policy), None, NOW_MS);
    for (code, demand) in demands {
        let mut policy = Policy::dev(MEASUREMENT);
        demand(&mut policy);
        assert_eq!(policy.validate(), Ok(()));
        assert_eq!(judge(&policy).expect_err(code).code(), code);
    }
    let mut met = Policy::dev(MEASUREMENT);
    met.snp.guest_policy_required = guest_policy::SMT;
    met.snp.guest_policy_forbidden = guest_policy::SINGLE_SOCKET;
    met.snp.platform_info_required = platform_info::ECC;
    met.snp.guest_svn_min = 7;
    met.snp.id_keys = vec![Measurement([9; 48]), Measurement([5; 48])];
    met.snp.author_keys = vec![Measurement([6; 48])];
    assert!(judge(&met).is_ok());
}

#[test]
fn a_certificate_may_begin_late_by_the_policys_tolerance() {
    // A leaf that AMD signs ten days from now.
    let later = NOW_MS + 10 * DAY_MS;
    let chip = authority().issue_chip([5; 32], Generation::Turin, later).unwrap();
    let evidence = chip.sign(&chip.report(5, MEASUREMENT, [0; 64])).unwrap();
    let from = later - DAY_MS;
    let at = |policy: Option<&Policy>, now_ms| {
        verify(&evidence, &dev(), &Collateral::new(), policy, None, now_ms).map_err(|refusal| refusal.code())
    };
    let mut policy = Policy::dev(MEASUREMENT);
    assert_eq!(at(Some(&policy), from - 1), Err("attest.leaf_not_yet_valid"));
    policy.not_before_tolerance_ms = 60_000;
    assert!(at(Some(&policy), from - 60_000).is_ok());
    assert_eq!(at(Some(&policy), from - 60_001), Err("attest.leaf_not_yet_valid"));
    assert_eq!(
        at(None, from - 1),
        Err("attest.leaf_not_yet_valid"),
        "only a policy tolerates"
    );
}

#[test]
fn policy_lists_decide_platform_and_generation() {
    let evidence = lie(|_| {});
    let code = |policy: &Policy| {
        verify(&evidence, &dev(), &Collateral::new(), Some(policy), None, NOW_MS)
            .unwrap_err()
            .code()
    };
    let mut policy = Policy::dev(MEASUREMENT);
    policy.generations = vec![Generation::Genoa];
    assert_eq!(code(&policy), "attest.generation_not_allowed");
    policy.platforms = vec![Platform::SevSnp];
    assert_eq!(code(&policy), "attest.platform_not_allowed");
    let mut hardware_only = Policy::dev(MEASUREMENT);
    hardware_only.measurements[0].platform = Platform::SevSnp;
    assert_eq!(code(&hardware_only), "attest.measurement_unknown");
}

#[test]
fn no_byte_of_simulated_evidence_is_malleable() {
    let honest = lie(|_| {});
    for offset in 0..honest.report.len() + honest.leaf.len() {
        let mut evidence = honest.clone();
        match offset.checked_sub(honest.report.len()) {
            None => evidence.report[offset] ^= 1 << (offset % 8),
            Some(offset) => evidence.leaf[offset] ^= 1 << (offset % 8),
        }
        assert!(
            verify(&evidence, &dev(), &Collateral::new(), None, None, NOW_MS).is_err(),
            "byte {offset}"
        );
    }
}
