//! Simulated TDX machines go the whole way, and only on development networks.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, binding, dev};
use tacit_attest::{
    Collateral, Evidence, Facts, NetworkClass, Platform, Policy, Quoter, Refusal, SimulatedTdQuoter,
    TcbStatus, TrustRoots, Verified, verify, verify_steps,
};

fn collateral() -> Collateral {
    let mut held = Collateral::new();
    for update in authority().collateral(NOW_MS).unwrap() {
        held.apply(update, &dev(), NOW_MS).unwrap();
    }
    held
}

fn evidence(version: u16) -> Evidence {
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    SimulatedTdQuoter::new(machine, MEASUREMENT)
        .with_quote_version(version)
        .quote(binding().report_data())
        .unwrap()
}

fn judge(evidence: &Evidence, trust: &TrustRoots) -> Result<Verified, Refusal> {
    verify(
        evidence,
        trust,
        &collateral(),
        Some(&Policy::dev(MEASUREMENT)),
        Some(&binding()),
        NOW_MS,
    )
}

#[test]
fn quotes_of_both_versions_are_accepted() {
    for version in [4, 5] {
        let evidence = evidence(version);
        let (steps, verdict) = verify_steps(
            &evidence,
            &dev(),
            &collateral(),
            Some(&Policy::dev(MEASUREMENT)),
            Some(&binding()),
            NOW_MS,
        );
        let verified = verdict.unwrap_or_else(|refusal| panic!("version {version}: {refusal} {steps:?}"));
        assert_eq!(verified.platform, Platform::SimulatedTdx);
        let Facts::Intel(facts) = &verified.facts else {
            panic!("not Intel's facts");
        };
        assert_eq!(facts.tcb_status, TcbStatus::UpToDate);
        assert_eq!(facts.quote_version, version);
        let raw = evidence.to_quote().unwrap();
        assert_eq!(Evidence::from_quote(&raw), Ok(evidence.clone()));
        assert_eq!(Evidence::detect(&raw, None), Ok(evidence));
    }
}

#[test]
fn they_are_refused_outside_development() {
    for class in [NetworkClass::Test, NetworkClass::Production] {
        let trust = TrustRoots {
            class,
            simulator: None,
        };
        assert_eq!(
            judge(&evidence(5), &trust),
            Err(Refusal::SimulatorForbidden { class })
        );
    }
}
