//! Every TDX and SGX case of the evidence collection, at every time that its manifest names and at both sides of each
//! bound; and the samples of `dcap-qvl`, which are always there.
//!
//! The files stand beside the workspace (or where `TACIT_EVIDENCE` says); without them each test says so.

mod quotes;

use quotes::{collection, fixtures, judge, production};
use serde_json::Value;
use tacit_attest::{
    Collateral, Facts, IntelBody, IntelFacts, Platform, Policy, Refusal, TcbStatus, Verified, verify,
};

/// The verdict in the middle of the window, by name, and what is the first to begin late and to end early.
struct Expected {
    id: &'static str,
    inside: Result<TcbStatus, &'static str>,
    before: &'static str,
    after: &'static str,
}

const fn case(id: &'static str, inside: Result<TcbStatus, &'static str>) -> Expected {
    Expected {
        id,
        inside,
        before: "attest.collateral_not_yet_valid",
        after: "attest.collateral_expired",
    }
}

/// Refused whatever the time: the guest itself says so.
const fn always(id: &'static str, code: &'static str) -> Expected {
    Expected {
        id,
        inside: Err(code),
        before: code,
        after: code,
    }
}

const EXPECTED: [Expected; 10] = [
    case("tdx-v4-phala", Ok(TcbStatus::UpToDate)),
    case("tdx-v4-gcp", Ok(TcbStatus::UpToDate)),
    case("tdx-v5-td15", Ok(TcbStatus::UpToDate)),
    case("tdx-v4-outofdate", Ok(TcbStatus::OutOfDate)),
    case("tdx-v4-debug", Ok(TcbStatus::OutOfDate)),
    always("tdx-v5-service-td", "attest.td_service_td"),
    always("tdx-v4-no-sept-ve-disable", "attest.td_sept_ve_disable"),
    case("tdx-v5-no-tcb-level", Err("attest.tcb_not_listed")),
    case(
        "sgx-v3-config-hardening",
        Ok(TcbStatus::ConfigurationAndSWHardeningNeeded),
    ),
    case("sgx-v3-sw-hardening", Ok(TcbStatus::SWHardeningNeeded)),
];

fn facts(verified: &Verified) -> &IntelFacts {
    match &verified.facts {
        Facts::Intel(facts) => facts,
        Facts::Snp(_) => panic!("not Intel's facts"),
    }
}

fn short(verdict: &Result<Verified, Refusal>) -> Result<TcbStatus, &'static str> {
    match verdict {
        Ok(verified) => Ok(facts(verified).tcb_status),
        Err(refusal) => Err(refusal.code()),
    }
}

fn bound(case: &Value, side: &str) -> u64 {
    case["window"][format!("{side}_unix")].as_u64().unwrap()
}

#[test]
fn every_case_gets_its_verdict_at_every_time() {
    for (sample, case) in collection() {
        let expected = EXPECTED.iter().find(|one| one.id == sample.id).unwrap();
        let times: Vec<u64> = case["expect"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["at_unix"].as_u64().unwrap())
            .collect();
        let [low, inside, high] = times[..] else {
            panic!("{}: three times", sample.id)
        };
        let (from, to) = (bound(&case, "from"), bound(&case, "to"));
        for (at, need) in [
            (low, Err(expected.before)),
            (from - 1, Err(expected.before)),
            (from, expected.inside),
            (inside, expected.inside),
            (to, expected.inside),
            (high, Err(expected.after)),
            (to + 1, Err(expected.after)),
        ] {
            let verdict = sample.at(at);
            assert_eq!(short(&verdict), need, "{} at {at}: {verdict:?}", sample.id);
        }
    }
}

#[test]
fn the_facts_are_those_of_the_manifest() {
    for (sample, case) in collection() {
        let expected = EXPECTED.iter().find(|one| one.id == sample.id).unwrap();
        if expected.inside.is_err() {
            continue;
        }
        let verified = sample.at(sample.inside).unwrap();
        let (manifest, facts) = (&case["facts"], facts(&verified));
        assert_eq!(
            facts.quote_version,
            manifest["quote_version"].as_u64().unwrap() as u16
        );
        assert_eq!(facts.fmspc.to_string(), case["fmspc"], "{}", sample.id);
        assert_eq!(u64::from(facts.evaluation), case["tcb_evaluation_data_number"]);
        assert_eq!(hex::encode(verified.report_data), manifest["report_data"]);
        // Where the manifest's own verifier refused by default, it lists no advisories.
        if sample.id != "tdx-v4-debug" {
            let listed = case["advisory_ids"].as_array().into_iter().flatten();
            let need: Vec<&str> = listed.map(|id| id.as_str().unwrap()).collect();
            assert_eq!(facts.advisories, need, "{}", sample.id);
        }
        assert_eq!(verified.not_after_ms, bound(&case, "to") * 1000, "{}", sample.id);
        match &facts.body {
            IntelBody::Td(td) => {
                assert_eq!(verified.platform, Platform::Tdx);
                assert_eq!(hex::encode(td.mr_td), manifest["mr_td"]);
                assert_eq!(hex::encode(td.mr_seam), manifest["mr_seam"]);
                assert_eq!(hex::encode(td.tee_tcb_svn), manifest["tee_tcb_svn"]);
                for (i, register) in td.rtmr.iter().enumerate() {
                    assert_eq!(hex::encode(register), manifest[format!("rtmr{i}")]);
                }
                let flags = [facts.dynamic_platform, facts.cached_keys, facts.smt];
                let cached = ["tdx-v4-phala", "tdx-v5-td15", "tdx-v4-debug"].contains(&sample.id.as_str());
                assert_eq!(flags[0], Some(true), "{}", sample.id);
                assert_eq!(flags[1], Some(cached), "{}", sample.id);
                assert_eq!(flags[2], Some(true), "{}", sample.id);
            }
            IntelBody::Enclave(enclave) => {
                assert_eq!(verified.platform, Platform::Sgx);
                assert_eq!(hex::encode(enclave.mr_enclave), manifest["mr_enclave"]);
                assert_eq!(hex::encode(enclave.mr_signer), manifest["mr_signer"]);
                assert_eq!(hex::encode(enclave.attributes), manifest["attributes"]);
            }
        }
    }
}

#[test]
fn a_refused_level_names_the_component_that_is_short() {
    let sample = quotes::fixture("tdx_quote_outdated");
    let refusal = sample.at(sample.inside).unwrap_err();
    let Refusal::TcbNotListed { shortfalls, .. } = &refusal else {
        panic!("{refusal}")
    };
    let [short] = &shortfalls.0[..] else {
        panic!("{shortfalls}")
    };
    assert_eq!((short.have, short.need), (3, 5));
    assert_eq!(short.component, "SGX component 8 (SEAMLDR ACM)");
    assert_eq!(short.update, "OS/VMM");
}

#[test]
fn the_samples_that_ship_with_dcap_qvl_get_their_verdicts() {
    let verdicts: Vec<_> = fixtures()
        .iter()
        .map(|sample| short(&sample.at(sample.inside)))
        .collect();
    assert_eq!(
        verdicts,
        [
            Ok(TcbStatus::ConfigurationAndSWHardeningNeeded),
            Ok(TcbStatus::UpToDate),
            Err("attest.tcb_not_listed"),
            Ok(TcbStatus::UpToDate),
        ]
    );
}

#[test]
fn bounds_are_inclusive_to_the_second_at_both_ends() {
    // The PCK list is the first to end, the QE identity the last to begin.
    let sample = quotes::fixture("tdx_quote");
    let (from, to) = (1_750_329_147, 1_752_919_235);
    for at in [from, to] {
        assert_eq!(short(&sample.at(at)), Ok(TcbStatus::UpToDate), "{at}");
    }
    assert_eq!(
        short(&sample.at(from - 1)),
        Err("attest.collateral_not_yet_valid")
    );
    assert_eq!(short(&sample.at(to + 1)), Err("attest.collateral_expired"));
    assert_eq!(sample.at(from).unwrap().not_after_ms, to * 1000);
}

#[test]
fn a_policy_tolerates_an_early_beginning_only_as_far_as_it_says() {
    let sample = quotes::fixture("tdx_quote");
    let mut policy = Policy::production();
    policy.tdx.machine.evaluation_min = 17;
    policy.not_before_tolerance_ms = 2000;
    let at = |seconds: u64| {
        let held = sample.collateral();
        let evidence = sample.evidence();
        verify(
            &evidence,
            &production(),
            &held,
            Some(&policy),
            None,
            seconds * 1000,
        )
        .unwrap_err()
        .code()
    };
    // The measurement is nobody's of this project: the refusal of check 11 says that all before it passed.
    assert_eq!(at(1_750_329_147), "attest.measurement_unknown");
    assert_eq!(at(1_750_329_145), "attest.measurement_unknown");
    assert_eq!(at(1_750_329_144), "attest.collateral_not_yet_valid");
    assert_eq!(at(1_752_919_236), "attest.collateral_expired");
}

#[test]
fn production_policy_says_what_is_wrong_with_each_real_machine() {
    for (id, evaluation, need) in [
        ("tdx_quote", 17, "attest.measurement_unknown"),
        ("tdx_quote", 20, "attest.evaluation_too_low"),
        ("tdx_quote_td15ex", 20, "attest.measurement_unknown"),
        ("sgx_quote", 17, "attest.platform_not_allowed"),
    ] {
        let sample = quotes::fixture(id);
        let mut policy = Policy::production();
        policy.tdx.machine.evaluation_min = evaluation;
        let verdict = verify(
            &sample.evidence(),
            &production(),
            &sample.collateral(),
            Some(&policy),
            None,
            sample.inside * 1000,
        );
        assert_eq!(verdict.unwrap_err().code(), need, "{id}");
    }
}

#[test]
fn a_real_domain_that_may_be_debugged_is_authentic_and_admitted_by_no_policy() {
    let Some((sample, _)) = collection().into_iter().find(|(one, _)| one.id == "tdx-v4-debug") else {
        return;
    };
    assert_eq!(short(&sample.at(sample.inside)), Ok(TcbStatus::OutOfDate));
    let mut policy = Policy::production();
    policy.tdx.attributes_allowed = u64::MAX;
    policy.tdx.machine.evaluation_min = 17;
    let verdict = verify(
        &sample.evidence(),
        &production(),
        &sample.collateral(),
        Some(&policy),
        None,
        sample.inside * 1000,
    );
    assert_eq!(verdict.unwrap_err(), Refusal::TdDebug);
}

#[test]
fn sgx_is_judged_by_its_own_part_of_the_policy() {
    let sample = quotes::fixture("sgx_quote");
    let mut policy = Policy::production();
    policy.platforms.push(Platform::Sgx);
    policy.sgx.machine.evaluation_min = 17;
    let judge = |policy: &Policy| {
        verify(
            &sample.evidence(),
            &production(),
            &sample.collateral(),
            Some(policy),
            None,
            sample.inside * 1000,
        )
        .unwrap_err()
    };
    assert_eq!(judge(&policy), Refusal::SgxTypeNotAllowed { have: 0 });
    policy.sgx.types = vec![0];
    let Refusal::TcbStatusNotAllowed { status, .. } = judge(&policy) else {
        panic!("the status is refused")
    };
    assert_eq!(status, TcbStatus::ConfigurationAndSWHardeningNeeded);
    policy.sgx.machine.statuses = vec![status];
    let id = "INTEL-SA-00289".to_owned();
    assert_eq!(judge(&policy), Refusal::AdvisoryOpen { id });
    policy.sgx.machine.advisories = vec!["INTEL-SA-00289".to_owned(), "INTEL-SA-00615".to_owned()];
    policy.sgx.isv_svn_min = 1;
    assert_eq!(judge(&policy), Refusal::IsvSvnTooLow { have: 0, need: 1 });
    policy.sgx.isv_svn_min = 0;
    // A leaf of the processor authority does not say whether hyperthreading is on.
    policy.sgx.machine.smt = false;
    assert_eq!(judge(&policy).code(), "attest.machine_not_allowed");
    policy.sgx.machine.smt = true;
    assert_eq!(judge(&policy).code(), "attest.measurement_unknown");
}

/// A quote of one case with the leaf of another: each document for itself is genuine.
#[test]
fn parts_of_two_machines_do_not_add_up() {
    let all = fixtures();
    for quote in &all {
        for leaf in all.iter().filter(|leaf| leaf.id != quote.id) {
            let mut evidence = quote.evidence();
            evidence.leaf = leaf.evidence().leaf;
            let verdict = judge(&evidence, &quote.collateral(), quote.inside);
            let code = verdict.unwrap_err().code();
            let times = ["attest.leaf_not_yet_valid", "attest.leaf_expired"];
            assert!(
                code == "attest.qe_report_signature" || times.contains(&code),
                "{} with the leaf of {}: {code}",
                quote.id,
                leaf.id
            );
        }
    }
}

#[test]
fn collateral_of_other_machines_and_other_tees_does_not_count() {
    let (sgx, tdx) = (quotes::fixture("sgx_quote"), quotes::fixture("tdx_quote"));
    // Both were in force on 2025-07-04.
    assert_eq!(
        judge(&tdx.evidence(), &sgx.collateral(), tdx.inside)
            .unwrap_err()
            .code(),
        "attest.collateral_missing"
    );
    // Each document in turn is missing, all others are there.
    let updates = Collateral::from_qvl_json(&tdx.json).unwrap();
    for left_out in 0..updates.len() {
        let mut held = sgx.collateral();
        for (i, update) in updates.iter().enumerate() {
            if i != left_out {
                // The root list is held already.
                let taken = held.apply(update.clone(), &production(), tdx.inside * 1000);
                assert!(taken.is_ok() || i == 0, "{taken:?}");
            }
        }
        let verdict = judge(&tdx.evidence(), &held, tdx.inside);
        if left_out == 0 {
            assert!(verdict.is_ok(), "the root list is common to both");
        } else {
            assert_eq!(
                verdict.unwrap_err().code(),
                "attest.collateral_missing",
                "{left_out}"
            );
        }
    }
}
