//! The simulator used honestly, and kept out of every place where it must not count.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, binding, chip, dev, judge, lie};
use tacit_attest::{
    Collateral, Evidence, Generation, Measurement, NetworkClass, Platform, QuoteError, Quoter, Refusal,
    SIMULATOR_FAMILY_ID, SimulatedChip, SimulatedQuoter, SimulatorAuthority, SimulatorRoot, TrustRoots,
    verify,
};

#[test]
fn every_layout_makes_the_round_trip() {
    for generation in Generation::ALL {
        for version in [2, 3, 5] {
            let quoter = SimulatedQuoter::new(chip(generation), MEASUREMENT).with_report_version(version);
            let evidence = quoter.quote(binding().report_data()).unwrap();
            let verified = verify(
                &evidence,
                &dev(),
                &Collateral::new(),
                None,
                Some(&binding()),
                NOW_MS,
            )
            .unwrap();
            assert_eq!(verified.platform, Platform::Simulated);
            let facts = verified.facts.snp().unwrap();
            assert_eq!((facts.generation, facts.report_version), (generation, version));
            assert_eq!(verified.chip, chip(generation).chip_id());
            assert_eq!(verified.measurement, MEASUREMENT);
            match version {
                2 => assert_eq!(
                    judge(&evidence).unwrap_err().code(),
                    "attest.report_version_not_allowed"
                ),
                _ => assert_eq!(judge(&evidence), Ok(verified)),
            }
        }
    }
}

#[test]
fn the_same_seeds_make_the_same_bytes_and_files_restore_them() {
    let again = SimulatorAuthority::generate([1; 32], NOW_MS).unwrap();
    assert_eq!(again.root(), authority().root());
    let restored = SimulatorAuthority::from_bytes(&authority().to_bytes().unwrap()).unwrap();
    let chip =
        |authority: &SimulatorAuthority| authority.issue_chip([9; 32], Generation::Genoa, NOW_MS).unwrap();
    assert_eq!(chip(&restored).leaf(), chip(authority()).leaf());

    let quote = |chip| SimulatedQuoter::new(chip, MEASUREMENT).quote([7; 64]).unwrap();
    let from_file = SimulatedChip::from_bytes(&chip(authority()).to_bytes().unwrap()).unwrap();
    assert_eq!(quote(from_file), quote(chip(authority())));
}

#[test]
fn broken_key_files_are_refused() {
    let file = chip(Generation::Milan).to_bytes().unwrap();
    for bytes in [
        &file[..file.len() - 1],
        &[&file[..], &[0]].concat(),
        &[],
        &vec![0; 1 << 20],
    ] {
        assert!(matches!(
            SimulatedChip::from_bytes(bytes),
            Err(QuoteError::KeyFile { .. })
        ));
        assert!(matches!(
            SimulatorAuthority::from_bytes(bytes),
            Err(QuoteError::KeyFile { .. })
        ));
    }
}

#[test]
fn sealing_keys_follow_chip_measurement_and_context() {
    let key = |generation, measurement, context: &[u8]| {
        *SimulatedQuoter::new(chip(generation), measurement)
            .sealing_key(context)
            .unwrap()
    };
    let base = key(Generation::Genoa, MEASUREMENT, b"a");
    assert_eq!(base, key(Generation::Genoa, MEASUREMENT, b"a"));
    assert_ne!(base, key(Generation::Turin, MEASUREMENT, b"a"));
    assert_ne!(base, key(Generation::Genoa, Measurement([0x12; 48]), b"a"));
    assert_ne!(base, key(Generation::Genoa, MEASUREMENT, b"b"));
}

#[test]
fn the_simulator_counts_on_no_network_but_dev() {
    let evidence = lie(|_| {});
    for class in [NetworkClass::Production, NetworkClass::Test] {
        for simulator in [None, Some(authority().root())] {
            let named = simulator.is_some();
            let trust = TrustRoots { class, simulator };
            // The first gate: such a genesis is no genesis.
            assert_eq!(trust.validate().is_err(), named);
            // The second: verification refuses whatever the first one said.
            let refusal = verify(&evidence, &trust, &Collateral::new(), None, None, NOW_MS).unwrap_err();
            assert_eq!(refusal, Refusal::SimulatorForbidden { class });
        }
    }
    let none = TrustRoots {
        class: NetworkClass::Dev,
        simulator: None,
    };
    assert_eq!(
        verify(&evidence, &none, &Collateral::new(), None, None, NOW_MS),
        Err(Refusal::SimulatorRootMissing)
    );
}

#[test]
fn simulated_evidence_never_passes_for_amds() {
    let relabelled = |evidence: Evidence| {
        let evidence = Evidence {
            platform: Platform::SevSnp,
            ..evidence
        };
        verify(&evidence, &dev(), &Collateral::new(), None, None, NOW_MS)
            .unwrap_err()
            .code()
    };
    assert_eq!(relabelled(lie(|_| {})), "attest.simulator_mark");
    // Its product names and its issuer give it away without the mark as well.
    assert_eq!(
        relabelled(lie(|r| r.family_id = [0; 16])),
        "attest.leaf_extensions"
    );
}

#[test]
fn amd_evidence_never_passes_for_simulated() {
    let mut evidence = Evidence {
        platform: Platform::Simulated,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    };
    let code = |evidence: &Evidence| {
        verify(evidence, &dev(), &Collateral::new(), None, None, NOW_MS)
            .unwrap_err()
            .code()
    };
    assert_eq!(code(&evidence), "attest.simulator_mark");
    evidence.report[0x10..0x20].copy_from_slice(&SIMULATOR_FAMILY_ID);
    assert_eq!(code(&evidence), "attest.leaf_extensions");
}

#[test]
fn another_simulators_root_is_another_world() {
    let other = SimulatorAuthority::generate([2; 32], NOW_MS).unwrap();
    let trust = TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(other.root()),
    };
    assert_eq!(trust.validate(), Ok(()));
    assert_eq!(
        verify(&lie(|_| {}), &trust, &Collateral::new(), None, None, NOW_MS),
        Err(Refusal::LeafSignature)
    );

    let (ours, theirs) = (authority().root(), other.root());
    let leaf = chip(Generation::Turin).leaf().to_vec();
    let ours_with = |change: &dyn Fn(&mut SimulatorRoot)| {
        let mut root = ours.clone();
        change(&mut root);
        root
    };
    for root in [
        ours_with(&|root| root.ark = theirs.ark.clone()),
        ours_with(&|root| root.ask = leaf.clone()),
        ours_with(&|root| root.ark.clear()),
        ours_with(&|root| root.ark.push(0)),
        ours_with(&|root| root.ark = vec![0; 5000]),
        ours_with(&|root| root.intel_root = theirs.intel_root.clone()),
        ours_with(&|root| root.intel_root = root.pck_ca.clone()),
        ours_with(&|root| root.pck_ca = theirs.pck_ca.clone()),
        ours_with(&|root| root.pck_ca.clear()),
        ours_with(&|root| root.pck_ca.push(0)),
        ours_with(&|root| root.pck_ca = vec![0; 5000]),
    ] {
        let trust = TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(root),
        };
        assert_eq!(
            trust.validate().unwrap_err().code(),
            "attest.simulator_root_invalid"
        );
        assert_eq!(
            verify(&lie(|_| {}), &trust, &Collateral::new(), None, None, NOW_MS)
                .unwrap_err()
                .code(),
            "attest.simulator_root_invalid"
        );
    }
}

#[test]
fn trust_roots_round_trip() {
    let trust = dev();
    assert_eq!(
        borsh::from_slice::<TrustRoots>(&borsh::to_vec(&trust).unwrap()).unwrap(),
        trust
    );
    let json = serde_json::to_string(&trust).unwrap();
    assert_eq!(serde_json::from_str::<TrustRoots>(&json).unwrap(), trust);
    let real = TrustRoots {
        class: NetworkClass::Production,
        simulator: None,
    };
    assert_eq!(serde_json::to_string(&real).unwrap(), r#"{"class":"production"}"#);
}
