//! What a policy may be; what it decides stands with the defects.

use tacit_attest::limits::{POLICY_BUILD_MAX, POLICY_TEXT_MAX};
use tacit_attest::{
    BLOCK_AGE_LIMIT, EVIDENCE_AGE_LIMIT_MS, Generation, LOOSENING_DELAY_LIMIT_MS, Measurement,
    NOT_BEFORE_TOLERANCE_LIMIT_MS, Platform, Policy, TcbFloor, TcbStatus, guest_policy, platform_info,
};

#[test]
fn the_defaults_are_valid_and_survive_their_encodings() {
    for policy in [Policy::production(), Policy::dev(Measurement([7; 48]))] {
        assert_eq!(policy.validate(), Ok(()));
        assert_eq!(
            borsh::from_slice::<Policy>(&borsh::to_vec(&policy).unwrap()).unwrap(),
            policy
        );
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
    }
    assert!(!Policy::production().generations.contains(&Generation::Milan));
}

#[test]
fn a_contradictory_policy_is_refused() {
    type Breaks = fn(&mut Policy);
    let broken: [(&str, Breaks); 46] = [
        ("platforms is empty", |p| p.platforms.clear()),
        ("simulated and real", |p| p.platforms.push(Platform::Tdx)),
        ("platforms has an entry twice", |p| {
            p.platforms.push(Platform::Simulated)
        }),
        ("platforms has 17", |p| {
            p.platforms = vec![Platform::Simulated; 17]
        }),
        ("generations is empty", |p| p.generations.clear()),
        ("generations has an entry twice", |p| {
            p.generations.push(Generation::Milan)
        }),
        ("measurements has an entry twice", |p| {
            p.measurements = vec![p.measurements[0].clone(); 2];
        }),
        ("measurements has 257", |p| {
            p.measurements = vec![p.measurements[0].clone(); 257]
        }),
        ("label of measurement", |p| {
            p.measurements[0].label = "x".repeat(POLICY_TEXT_MAX + 1)
        }),
        ("source of measurement", |p| {
            p.measurements[0].source = "x".repeat(POLICY_TEXT_MAX + 1)
        }),
        ("build of measurement", |p| {
            p.measurements[0].build = "x".repeat(POLICY_BUILD_MAX + 1)
        }),
        ("control characters", |p| {
            p.measurements[0].label = "\u{1b}[31m".to_owned()
        }),
        ("report_versions is empty", |p| p.snp.report_versions.clear()),
        ("report_versions has 4", |p| p.snp.report_versions.push(4)),
        ("report_versions has an entry twice", |p| {
            p.snp.report_versions.push(3)
        }),
        ("vmpl_max is 4", |p| p.snp.vmpl_max = 4),
        ("vlek", |p| p.snp.vlek = true),
        ("guest_policy_required has bits 0x80000", |p| {
            p.snp.guest_policy_required = guest_policy::DEBUG;
        }),
        ("guest_policy_required has bits 0x1,", |p| {
            p.snp.guest_policy_required = 1
        }),
        ("guest_policy_required has bits 0x4000000,", |p| {
            p.snp.guest_policy_required = 1 << 26
        }),
        ("guest_policy_forbidden has bits 0x20000", |p| {
            p.snp.guest_policy_forbidden = guest_policy::RESERVED_ONE;
        }),
        ("guest_policy_forbidden has bits 0x100,", |p| {
            p.snp.guest_policy_forbidden = 1 << 8
        }),
        ("which guest_policy_required asks for", |p| {
            p.snp.guest_policy_required = guest_policy::SINGLE_SOCKET;
            p.snp.guest_policy_forbidden = guest_policy::SINGLE_SOCKET | guest_policy::SMT;
        }),
        ("platform_info_required has bits 0x40", |p| {
            p.snp.platform_info_required = 1 << 6
        }),
        ("contradict each other on SMT", |p| {
            p.snp.guest_policy_forbidden = guest_policy::SMT;
            p.snp.platform_info_required = platform_info::SMT;
        }),
        ("id_keys has zero", |p| p.snp.id_keys = vec![Measurement([0; 48])]),
        ("author_keys has an entry twice", |p| {
            p.snp.author_keys = vec![Measurement([1; 48]); 2]
        }),
        ("0 floors for all models of turin", |p| p.snp.min_tcb.truncate(2)),
        ("2 floors for all models of milan", |p| {
            let again = TcbFloor {
                tee: 1,
                ..p.snp.min_tcb[0]
            };
            p.snp.min_tcb.push(again);
        }),
        ("fmc for genoa", |p| p.snp.min_tcb[1].fmc = 1),
        ("is no range", |p| p.snp.min_tcb.push(models(p, 9, 8))),
        ("models of no such generation", |p| {
            p.snp.min_tcb.push(models(p, 9, 0x10))
        }),
        ("overlaps", |p| {
            p.snp.min_tcb.extend([models(p, 0, 8), models(p, 8, 9)])
        }),
        ("quote_versions is empty", |p| p.tdx.quote_versions.clear()),
        ("quote_versions has 3", |p| p.tdx.quote_versions.push(3)),
        ("attributes_allowed has bits 0x1,", |p| {
            p.tdx.attributes_allowed = 1
        }),
        ("attributes_allowed has bits 0x20000000", |p| {
            p.tdx.attributes_allowed = 1 << 29
        }),
        ("statuses is empty", |p| p.tdx.machine.statuses.clear()),
        ("Revoked", |p| p.tdx.machine.statuses.push(TcbStatus::Revoked)),
        ("like INTEL-SA-", |p| {
            p.tdx.machine.advisories.push("INTEL-DOC-00001".to_owned())
        }),
        ("types has 3", |p| p.sgx.types.push(3)),
        ("evidence_age_max_ms", |p| {
            p.evidence_age_max_ms = EVIDENCE_AGE_LIMIT_MS + 1
        }),
        ("block_age_max", |p| p.block_age_max = BLOCK_AGE_LIMIT + 1),
        ("not_before_tolerance_ms", |p| {
            p.not_before_tolerance_ms = NOT_BEFORE_TOLERANCE_LIMIT_MS + 1;
        }),
        ("vendor_share_max is 101", |p| p.vendor_share_max = 101),
        ("family_share_max is 0", |p| p.family_share_max = 0),
    ];
    for (says, breaks) in broken {
        let mut policy = Policy::dev(Measurement([7; 48]));
        breaks(&mut policy);
        let refusal = policy.validate().expect_err(says);
        assert_eq!(refusal.code(), "attest.policy_invalid");
        assert!(refusal.to_string().contains(says), "{says}: {refusal}");
    }
}

fn models(policy: &Policy, from: u8, to: u8) -> TcbFloor {
    TcbFloor {
        models: Some((from, to)),
        ..policy.snp.min_tcb[0]
    }
}

#[test]
fn what_no_admitted_platform_needs_may_be_empty() {
    let mut intel_only = Policy::production();
    intel_only.platforms = vec![Platform::Tdx];
    intel_only.generations.clear();
    intel_only.snp.report_versions.clear();
    intel_only.snp.min_tcb.clear();
    assert_eq!(intel_only.validate(), Ok(()));
    let mut amd_only = Policy::production();
    amd_only.platforms = vec![Platform::SevSnp];
    amd_only.tdx.quote_versions.clear();
    amd_only.tdx.machine.statuses.clear();
    amd_only.sgx.types.clear();
    assert_eq!(amd_only.validate(), Ok(()));
    let mut edges = Policy::production();
    edges.evidence_age_max_ms = 1;
    edges.block_age_max = BLOCK_AGE_LIMIT;
    edges.not_before_tolerance_ms = NOT_BEFORE_TOLERANCE_LIMIT_MS;
    (edges.vendor_share_max, edges.family_share_max) = (1, 100);
    edges.loosening_delay_ms = LOOSENING_DELAY_LIMIT_MS;
    edges.snp.guest_policy_required = guest_policy::CIPHERTEXT_HIDING;
    edges.snp.guest_policy_forbidden = guest_policy::SMT;
    edges.snp.platform_info_required = platform_info::ECC;
    edges.tdx.attributes_allowed = 1 << 63 | 1 << 30;
    (edges.snp.vlek, edges.chip_unique) = (true, false);
    edges.sgx.machine.advisories = vec!["INTEL-SA-00615".to_owned()];
    assert_eq!(edges.validate(), Ok(()));
}

#[test]
fn unknown_fields_are_refused() {
    let text = serde_json::to_string(&Policy::production()).unwrap();
    let extended = text.replacen("\"version\":1", "\"version\":1,\"allow_debug\":true", 1);
    assert!(serde_json::from_str::<Policy>(&extended).is_err());
}

#[test]
fn lengths_are_bounded_before_allocation() {
    let mut bytes = 1u64.to_le_bytes().to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    assert!(borsh::from_slice::<Policy>(&bytes).is_err());
}
