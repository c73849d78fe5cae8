//! What a policy may be; what it decides stands with the defects.

use tacit_attest::limits::POLICY_TEXT_MAX;
use tacit_attest::{EVIDENCE_AGE_LIMIT_MS, Generation, Measurement, Platform, Policy, TcbFloor};

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
    let base = || Policy::dev(Measurement([7; 48]));
    let mut broken = vec![base(); 12];
    broken[0].platforms.clear();
    broken[1].platforms.push(Platform::Tdx);
    broken[2].platforms.push(Platform::Simulated);
    broken[3].snp.min_tcb.pop();
    broken[4].snp.report_versions.push(4);
    broken[5].snp.vmpl_max = 4;
    broken[6].evidence_age_max_ms = EVIDENCE_AGE_LIMIT_MS + 1;
    broken[7].measurements = vec![base().measurements[0].clone(); 2];
    broken[8].measurements[0].label = "x".repeat(POLICY_TEXT_MAX + 1);
    let milan = base().snp.min_tcb[0];
    broken[9].snp.min_tcb.push(milan);
    broken[10].snp.min_tcb.push(TcbFloor {
        models: Some((9, 8)),
        ..milan
    });
    broken[11].snp.min_tcb.extend(
        [TcbFloor {
            models: Some((0, 8)),
            ..milan
        }; 2],
    );
    for (i, policy) in broken.iter().enumerate() {
        assert_eq!(
            policy.validate().unwrap_err().code(),
            "attest.policy_invalid",
            "{i}"
        );
    }
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
