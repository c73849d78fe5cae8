//! Genuine AMD evidence out of the `sev` package: these tests need no file from elsewhere.

mod common;

use common::{accepted_flips, authentic, production, twin};
use tacit_attest::{Collateral, Evidence, Generation, NetworkClass, Platform, Policy, TrustRoots, Verdict};
use tacit_attest::{describe, verify, verify_steps};

const NOT_BEFORE: u64 = 1_680_549_823;
const NOT_AFTER: u64 = 1_901_474_623;
const INSIDE: u64 = 1_790_000_000;

fn milan() -> Evidence {
    Evidence {
        platform: Platform::SevSnp,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    }
}

#[test]
fn it_is_authentic_within_its_inclusive_bounds_only() {
    let evidence = milan();
    for at in [NOT_BEFORE, INSIDE, NOT_AFTER] {
        let verified = authentic(&evidence, at).unwrap();
        let facts = verified.facts.snp().unwrap();
        assert_eq!((facts.generation, facts.report_version), (Generation::Milan, 2));
        let tcb = facts.reported_tcb;
        assert_eq!((tcb.bootloader, tcb.snp, tcb.microcode), (3, 8, 115));
        assert_eq!(verified.not_after_ms, NOT_AFTER * 1000);
    }
    assert_eq!(
        authentic(&evidence, NOT_BEFORE - 1).unwrap_err().code(),
        "attest.leaf_not_yet_valid"
    );
    assert_eq!(
        authentic(&evidence, NOT_AFTER + 1).unwrap_err().code(),
        "attest.leaf_expired"
    );
}

#[test]
fn the_production_policy_refuses_its_version() {
    let refusal = verify(
        &milan(),
        &production(),
        &Collateral::new(),
        Some(&Policy::production()),
        None,
        INSIDE * 1000,
    );
    assert_eq!(refusal.unwrap_err().code(), "attest.report_version_not_allowed");
}

#[test]
fn no_bit_of_it_is_malleable() {
    assert_eq!(
        accepted_flips(&milan(), INSIDE, |e| &mut e.report),
        Vec::<usize>::new()
    );
    assert_eq!(
        accepted_flips(&milan(), INSIDE, |e| &mut e.leaf),
        Vec::<usize>::new()
    );
}

#[test]
fn its_signature_has_an_equally_valid_twin_so_bytes_are_no_identity() {
    let (evidence, twin) = (milan(), twin(&milan()));
    assert_ne!(evidence.digest(), twin.digest());
    assert_eq!(authentic(&evidence, INSIDE), authentic(&twin, INSIDE));
}

#[test]
fn lengths_are_exact() {
    type Change = fn(&mut Evidence);
    let changes: [(&str, Change); 6] = [
        ("attest.report_length", |e| e.report.push(0)),
        ("attest.report_length", |e| e.report.truncate(1183)),
        ("attest.report_length", |e| e.report.clear()),
        ("attest.leaf_encoding", |e| e.leaf.push(0)),
        ("attest.leaf_encoding", |e| e.leaf.truncate(1359)),
        ("attest.evidence_too_long", |e| e.leaf = vec![0; 4097]),
    ];
    for (code, change) in changes {
        let mut evidence = milan();
        change(&mut evidence);
        assert_eq!(authentic(&evidence, INSIDE).unwrap_err().code(), code);
    }
}

#[test]
fn it_is_refused_under_any_other_platform_tag() {
    for (platform, code) in [
        (Platform::Tdx, "attest.quote_version"),
        (Platform::Sgx, "attest.quote_version"),
        (Platform::Simulated, "attest.simulator_forbidden"),
    ] {
        let evidence = Evidence { platform, ..milan() };
        assert_eq!(authentic(&evidence, INSIDE).unwrap_err().code(), code);
    }
    let dev = TrustRoots {
        class: NetworkClass::Dev,
        simulator: None,
    };
    let evidence = Evidence {
        platform: Platform::Simulated,
        ..milan()
    };
    let refusal = verify(&evidence, &dev, &Collateral::new(), None, None, INSIDE * 1000).unwrap_err();
    assert_eq!(refusal.code(), "attest.simulator_root_missing");
}

#[test]
fn steps_tell_the_same_verdict() {
    let verdicts = |at: u64| -> Vec<Verdict> {
        verify_steps(&milan(), &production(), &Collateral::new(), None, None, at * 1000)
            .0
            .iter()
            .map(|step| step.verdict)
            .collect()
    };
    use Verdict::{Fail, NotChecked, Pass};
    let expected = |passed: usize, failed: usize| {
        let rest = 13 - passed - failed;
        [vec![Pass; passed], vec![Fail; failed], vec![NotChecked; rest]].concat()
    };
    // No revocation list is held, no policy and no binding is given.
    assert_eq!(verdicts(INSIDE), expected(8, 0));
    assert_eq!(verdicts(NOT_AFTER + 1), expected(4, 1));
}

#[test]
fn encodings_round_trip_and_are_bounded() {
    let evidence = milan();
    let bytes = borsh::to_vec(&evidence).unwrap();
    assert_eq!(borsh::from_slice::<Evidence>(&bytes).unwrap(), evidence);
    let json = serde_json::to_string(&evidence).unwrap();
    assert!(
        json.starts_with(r#"{"platform":"sev-snp","report":"02000000"#),
        "{}",
        &json[..60]
    );
    assert_eq!(serde_json::from_str::<Evidence>(&json).unwrap(), evidence);

    let mut long = bytes.clone();
    long.push(0);
    assert!(borsh::from_slice::<Evidence>(&long).is_err());
    let mut huge = vec![0];
    huge.extend(u32::MAX.to_le_bytes());
    assert!(borsh::from_slice::<Evidence>(&huge).is_err());
    let mut unknown = bytes;
    unknown[0] = 5;
    assert!(borsh::from_slice::<Evidence>(&unknown).is_err());
}

#[test]
fn describe_shows_fields_without_judging() {
    let mut evidence = milan();
    evidence.report[0x90] ^= 0xff;
    let fields = describe(&evidence).unwrap();
    let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(value("report.version"), Some("2"));
    assert_eq!(
        value("leaf.issuer"),
        Some("CN=SEV-Milan,O=Advanced Micro Devices,ST=CA,L=Santa Clara,C=US,OU=Engineering")
    );
    assert_eq!(
        value("leaf.validity"),
        Some("2023-04-03T19:23:43Z to 2030-04-03T19:23:43Z")
    );
    evidence.leaf.clear();
    assert!(
        describe(&evidence)
            .unwrap()
            .iter()
            .any(|(name, _)| name == "leaf")
    );
}
