//! Every SNP case of the evidence collection, at every time that its manifest names.
//!
//! The files stand beside the workspace (or where `TACIT_EVIDENCE` says); without them each test says so.

mod common;

use common::{accepted_flips, authentic, cases, manifest, production, read, twin};
use tacit_attest::{
    AllowedMeasurement, Collateral, Evidence, Generation, Platform, Policy, TcbFloor, pins, verify,
};

#[test]
fn every_case_gets_the_manifest_verdict_at_every_time() {
    for case in cases() {
        for (at, ok) in &case.expect {
            match authentic(&case.evidence, *at) {
                Ok(verified) => {
                    assert!(ok, "{} is accepted at {at}", case.id);
                    assert_eq!(
                        verified.facts.snp().unwrap().generation.name(),
                        case.generation,
                        "{}",
                        case.id
                    );
                    assert_eq!(verified.measurement.to_string(), case.measurement, "{}", case.id);
                }
                Err(refusal) => assert!(!ok, "{} is refused at {at}: {refusal}", case.id),
            }
        }
    }
}

#[test]
fn files_that_the_manifest_calls_negative_are_refused() {
    let Some(manifest) = manifest() else { return };
    let cases = cases();
    let report = &cases
        .iter()
        .find(|case| case.id == "snp-milan-v2-azure")
        .unwrap()
        .evidence;
    for file in manifest["negative_files"].as_array().unwrap() {
        let evidence = Evidence {
            leaf: read(&file["path"]),
            ..report.clone()
        };
        for case in &cases {
            for (at, _) in &case.expect {
                assert!(authentic(&evidence, *at).is_err(), "{} at {at}", file["path"]);
            }
        }
    }
}

#[test]
fn the_pins_are_those_of_the_collection() {
    let Some(manifest) = manifest() else { return };
    for generation in Generation::ALL {
        let pins = pins(generation);
        for (kind, pin) in [("ark", pins.ark), ("ask", pins.ask), ("asvk", pins.asvk)] {
            let path = format!("snp/roots/{}-{kind}.der", generation.name().to_lowercase());
            let roots = manifest["snp_roots"].as_array().unwrap();
            let root = roots.iter().find(|root| root["path"] == path).unwrap();
            assert_eq!(root["sha256"], hex::encode(pin), "{path}");
        }
    }
}

#[test]
fn no_bit_of_any_report_is_malleable() {
    for case in cases() {
        assert_eq!(
            accepted_flips(&case.evidence, case.inside, |e| &mut e.report),
            Vec::<usize>::new(),
            "{}",
            case.id
        );
    }
}

#[test]
fn no_bit_of_any_leaf_is_malleable() {
    for case in cases() {
        assert_eq!(
            accepted_flips(&case.evidence, case.inside, |e| &mut e.leaf),
            Vec::<usize>::new(),
            "{}",
            case.id
        );
    }
}

#[test]
fn every_signature_has_an_equally_valid_twin() {
    for case in cases() {
        let twin = twin(&case.evidence);
        assert_ne!(twin, case.evidence);
        assert_eq!(
            authentic(&twin, case.inside),
            authentic(&case.evidence, case.inside),
            "{}",
            case.id
        );
    }
}

#[test]
fn a_report_goes_with_no_other_leaf() {
    let cases = cases();
    for report in &cases {
        for leaf in cases.iter().filter(|leaf| leaf.id != report.id) {
            let pair = Evidence {
                leaf: leaf.evidence.leaf.clone(),
                ..report.evidence.clone()
            };
            let refusal = authentic(&pair, leaf.inside).expect_err("a wrong pair is refused");
            assert!(
                refusal.number() < 7,
                "{} with {}'s leaf: {refusal}",
                report.id,
                leaf.id
            );
        }
    }
}

#[test]
fn the_production_policy_admits_patched_genoa_and_turin_once_their_code_is_listed() {
    for case in cases() {
        let mut policy = Policy::production();
        let judge = |policy: &Policy| {
            verify(
                &case.evidence,
                &production(),
                &Collateral::new(),
                Some(policy),
                None,
                case.inside * 1000,
            )
        };
        let code = judge(&policy).expect_err("no measurement is listed").code();
        let expected = match case.id.as_str() {
            "snp-milan-v2-debug" | "snp-milan-v2-azure" => "attest.report_version_not_allowed",
            "snp-milan-v3-vlek-aws" | "snp-milan-v3-azure" => "attest.generation_not_allowed",
            _ => "attest.measurement_unknown",
        };
        assert_eq!(code, expected, "{}", case.id);
        policy.measurements.push(AllowedMeasurement {
            platform: Platform::SevSnp,
            value: case.measurement.parse().unwrap(),
            label: case.id.clone(),
            source: "test".to_owned(),
            build: String::new(),
        });
        assert_eq!(
            judge(&policy).is_ok(),
            expected == "attest.measurement_unknown",
            "{}",
            case.id
        );
    }
}

#[test]
fn debug_guests_and_vleks_are_refused_even_where_milan_is_admitted() {
    for case in cases() {
        let mut policy = Policy::production();
        policy.generations.push(Generation::Milan);
        policy.snp.report_versions.push(2);
        policy.snp.min_tcb.push(TcbFloor {
            generation: Generation::Milan,
            models: None,
            fmc: 0,
            bootloader: 0,
            tee: 0,
            snp: 0,
            microcode: 0,
        });
        let refusal = verify(
            &case.evidence,
            &production(),
            &Collateral::new(),
            Some(&policy),
            None,
            case.inside * 1000,
        );
        let expected = match case.id.as_str() {
            "snp-milan-v2-debug" => "attest.debug_allowed",
            "snp-milan-v2-azure" => "attest.alias_check_incomplete",
            "snp-milan-v3-vlek-aws" => "attest.vlek_not_allowed",
            _ => "attest.measurement_unknown",
        };
        assert_eq!(refusal.unwrap_err().code(), expected, "{}", case.id);
    }
}
