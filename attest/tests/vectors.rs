//! Wire formats, pinned: a change here breaks every ledger that exists.

use tacit_attest::{
    Binding, Evidence, Generation, Measurement, NetworkClass, Platform, Policy, SimulatorRoot, TrustRoots,
};

fn encoded(value: &impl borsh::BorshSerialize) -> String {
    hex::encode(borsh::to_vec(value).unwrap())
}

#[test]
fn tags() {
    let platforms = [
        Platform::SevSnp,
        Platform::Tdx,
        Platform::Sgx,
        Platform::Simulated,
        Platform::SimulatedTdx,
    ];
    assert_eq!(encoded(&platforms), "0001020304");
    assert_eq!(
        serde_json::to_string(&platforms).unwrap(),
        r#"["sev-snp","tdx","sgx","simulated","simulated-tdx"]"#
    );
    assert_eq!(
        platforms.map(|p| p.to_string()),
        ["sev-snp", "tdx", "sgx", "simulated", "simulated-tdx"]
    );
    let classes = [NetworkClass::Production, NetworkClass::Test, NetworkClass::Dev];
    assert_eq!(encoded(&classes), "000102");
    assert_eq!(
        serde_json::to_string(&classes).unwrap(),
        r#"["production","test","dev"]"#
    );
    assert_eq!(encoded(&Generation::ALL), "000102");
    assert_eq!(
        serde_json::to_string(&Generation::ALL).unwrap(),
        r#"["milan","genoa","turin"]"#
    );
}

#[test]
fn evidence() {
    let evidence = Evidence {
        platform: Platform::Simulated,
        report: vec![1, 2],
        leaf: vec![3],
    };
    assert_eq!(encoded(&evidence), "030200000001020100000003");
    assert_eq!(
        hex::encode(evidence.digest()),
        "768458f295478283b2add174804d8b0ba05bf38e341f2a8e0ceef7006f743d51"
    );
}

#[test]
fn binding() {
    let binding = Binding {
        network: [1; 32],
        consensus_key: [2; 32],
        node_key: [3; 32],
        kem_key: vec![4, 5],
        height: 6,
        block: [7; 32],
        policy_version: 8,
    };
    let ones = |byte: &str| byte.repeat(32);
    let expected = [
        ones("01"),
        ones("02"),
        ones("03"),
        "020000000405".to_owned(),
        "0600000000000000".to_owned(),
        ones("07"),
        "0800000000000000".to_owned(),
    ];
    assert_eq!(encoded(&binding), expected.concat());
    let report_data = concat!(
        "66b1b0726d78073acd1d6cb09aecd036a941ee9e85d7cede01a3e098e997e837",
        "6fe9ebbd90a15bbaa48ddddddb64255da0aabd7fc8fb9e15e5ec1fda75460fba"
    );
    assert_eq!(hex::encode(binding.report_data()), report_data);
}

#[test]
fn trust_roots() {
    let simulator = Some(SimulatorRoot {
        ark: vec![1],
        ask: vec![2, 3],
        intel_root: vec![4],
        pck_ca: vec![5, 6, 7],
    });
    assert_eq!(
        encoded(&TrustRoots {
            class: NetworkClass::Dev,
            simulator
        }),
        "02010100000001020000000203010000000403000000050607"
    );
    assert_eq!(
        encoded(&TrustRoots {
            class: NetworkClass::Production,
            simulator: None
        }),
        "0000"
    );
}

#[test]
fn policy() {
    let production = concat!(
        "0100000000000000", // version
        "020000000001",     // platforms
        "020000000102",     // generations
        "00000000",         // measurements
        // SNP: report versions, vlek, vmpl_max, require_alias_check
        "020000000300000005000000",
        "00",
        "00000000",
        "01",
        "0000000000000000", // guest_policy_required
        "0000000000000000", // guest_policy_forbidden
        "0000000000000000", // platform_info_required
        "00000000",         // guest_svn_min
        "00000000",         // id_keys
        "00000000",         // author_keys
        "00",               // require_crl
        "03000000",         // floors
        "01",
        "00",
        "000a001754",
        "01",
        "01a0af",
        "000a001b1b",
        "02",
        "00",
        "0101010451",
        // TDX: quote versions, attributes; statuses, advisories, evaluation, FMSPCs, dynamic, cached, SMT
        "0200000004000500",
        "0000000000000000",
        "0100000000",
        "00000000",
        "14000000",
        "00000000",
        "010101",
        // SGX: types, SVN; the machine again
        "0100000002",
        "0000",
        "0100000000",
        "00000000",
        "14000000",
        "00000000",
        "010101",
        "005c260500000000", // evidence_age_max_ms
        "5802000000000000", // block_age_max
        "0000000000000000", // not_before_tolerance_ms
        "6464",             // vendor_share_max, family_share_max
        "01",               // chip_unique
        "0014730f00000000"  // loosening_delay_ms
    );
    assert_eq!(encoded(&Policy::production()), production);
    let json = serde_json::to_string(&Policy::production().snp).unwrap();
    let expected = concat!(
        r#"{"report_versions":[3,5],"vlek":false,"vmpl_max":0,"require_alias_check":true,"#,
        r#""guest_policy_required":0,"guest_policy_forbidden":0,"platform_info_required":0,"guest_svn_min":0,"#,
        r#""id_keys":[],"author_keys":[],"require_crl":false,"min_tcb":["#,
        r#"{"generation":"genoa","fmc":0,"bootloader":10,"tee":0,"snp":23,"microcode":84},"#,
        r#"{"generation":"genoa","models":[160,175],"fmc":0,"bootloader":10,"tee":0,"snp":27,"microcode":27},"#,
        r#"{"generation":"turin","fmc":1,"bootloader":1,"tee":1,"snp":4,"microcode":81}]}"#
    );
    assert_eq!(json, expected);
    let dev = serde_json::to_value(Policy::dev(Measurement([0xab; 48]))).unwrap();
    assert_eq!(dev["measurements"][0]["platform"], "simulated");
    assert_eq!(dev["measurements"][0]["value"], "ab".repeat(48));
}
