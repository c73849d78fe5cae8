//! Simulated TDX machines go the whole way, and only on development networks.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, binding, dev};
use tacit_attest::limits::QUOTE_BYTES_MAX;
use tacit_attest::{
    Collateral, Document, EnclaveReport, Evidence, Facts, Fmspc, NetworkClass, Platform, Policy, Quote,
    QuoteBody, QuoteHeader, Quoter, Refusal, SIMULATED_FMSPC, SimulatedList, SimulatedPck, SimulatedTcbInfo,
    SimulatedTd, SimulatedTdQuoter, TcbStatus, Td15, Td15Extended, TdReport, Tee, TrustRoots, Verified,
    verify, verify_steps,
};
use x509_cert::der::Decode;

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

/// An honest quote of version 5 after `change`, signed by the machine, judged without a binding.
fn lie(change: impl FnOnce(&mut Quote)) -> Result<Verified, Refusal> {
    lie_of(5, change)
}

fn lie_of(version: u16, change: impl FnOnce(&mut Quote)) -> Result<Verified, Refusal> {
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    let mut quote = machine.quote(version, MEASUREMENT, binding().report_data());
    change(&mut quote);
    on_its_own(&machine.sign(&quote).unwrap())
}

/// Authenticity alone.
fn on_its_own(evidence: &Evidence) -> Result<Verified, Refusal> {
    verify(evidence, &dev(), &collateral(), None, None, NOW_MS)
}

fn td(change: impl FnOnce(&mut TdReport)) -> Result<Verified, Refusal> {
    lie(|quote| {
        let QuoteBody::Td(report) = &mut quote.body else {
            panic!("a trust domain")
        };
        change(report);
    })
}

/// A machine whose certificate says something else.
fn pck(change: impl FnOnce(&mut SimulatedPck)) -> Result<Verified, Refusal> {
    let machine = authority().issue_td_with([7; 32], NOW_MS, change).unwrap();
    let quote = machine.quote(5, MEASUREMENT, binding().report_data());
    on_its_own(&machine.sign(&quote).unwrap())
}

fn code(verdict: Result<Verified, Refusal>) -> &'static str {
    match verdict {
        Ok(_) => "accepted",
        Err(refusal) => refusal.code(),
    }
}

#[test]
fn what_no_policy_may_admit_of_a_guest_is_refused_by_name() {
    let attribute = |bit: u32| td(move |report| report.td_attributes |= 1 << bit);
    for bit in 0..64 {
        let need = match bit {
            4..=6 => "attest.td_profiled",
            17 => "attest.td_service_td",
            29 => "attest.td_migratable",
            0 | 16 | 18..=22 | 27 | 28 | 30 | 31 | 62 | 63 => "accepted",
            _ => "attest.td_attributes_reserved",
        };
        assert_eq!(code(attribute(bit)), need, "bit {bit}");
    }
    let clear = td(|report| report.td_attributes = 0);
    assert_eq!(clear, Err(Refusal::TdSeptVeDisable));
    let service = |change: fn(&mut Td15)| td(|report| change(report.td15.as_mut().unwrap()));
    assert_eq!(
        service(|td15| td15.mr_service_td[47] = 1),
        Err(Refusal::TdServiceTd)
    );
    fn extended(vm_id: u8, service: u8) -> Td15Extended {
        Td15Extended {
            vm_id,
            td_id: [1; 32],
            device_info: [2; 48],
            service: [service; 156],
        }
    }
    assert!(service(|td15| td15.extended = Some(extended(0, 0))).is_ok());
    assert_eq!(
        service(|td15| td15.extended = Some(extended(1, 0))),
        Err(Refusal::TdPartition { have: 1 })
    );
    assert_eq!(
        service(|td15| td15.extended = Some(extended(0, 1))),
        Err(Refusal::TdServiceTd)
    );
}

#[test]
fn headers_of_other_formats_are_refused_by_name() {
    let header = |change: fn(&mut QuoteHeader)| code(lie(|quote| change(&mut quote.header)));
    assert_eq!(header(|header| header.version = 2), "attest.quote_version");
    assert_eq!(header(|header| header.version = 6), "attest.quote_version");
    assert_eq!(header(|header| header.version = 3), "attest.quote_tee");
    assert_eq!(header(|header| header.tee_type = 0), "attest.quote_tee");
    assert_eq!(header(|header| header.key_type = 3), "attest.quote_key_type");
    assert_eq!(header(|header| header.qe_vendor[0] ^= 1), "attest.qe_vendor");
    assert_eq!(header(|header| header.reserved[3] = 1), "attest.quote_reserved");
    // Nothing checks the QE's name for the machine.
    assert_eq!(header(|header| header.user_data[0] = 1), "accepted");
}

#[test]
fn every_signature_and_commitment_counts() {
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    let honest = machine
        .sign(&machine.quote(5, MEASUREMENT, binding().report_data()))
        .unwrap();
    let after = |change: &dyn Fn(&mut Quote)| {
        let mut quote = Quote::parse(&honest.report).unwrap();
        change(&mut quote);
        on_its_own(&Evidence {
            report: quote.to_bytes(),
            ..honest.clone()
        })
    };
    assert!(after(&|_| ()).is_ok());
    assert_eq!(
        after(&|quote| quote.signature[0] ^= 1),
        Err(Refusal::QuoteSignature)
    );
    assert_eq!(
        after(&|quote| quote.attestation_key[0] ^= 1),
        Err(Refusal::QuoteSignature)
    );
    assert_eq!(
        after(&|quote| quote.qe_data[0] ^= 1),
        Err(Refusal::AttestationKey)
    );
    assert_eq!(
        after(&|quote| quote.qe_signature[0] ^= 1),
        Err(Refusal::QeReportSignature)
    );
    assert_eq!(
        lie(|quote| quote.qe_report.report_data[63] = 1),
        Err(Refusal::AttestationKey)
    );
    assert_eq!(
        code(lie(|quote| quote.qe_report.config[0] = 1)),
        "attest.quote_reserved"
    );
    assert_eq!(
        code(after(&|quote| quote.certificates = b"x".to_vec())),
        "attest.certification_chain"
    );
}

#[test]
fn the_quoting_enclave_is_the_one_that_intel_names() {
    let enclave = |change: fn(&mut EnclaveReport)| code(lie(|quote| change(&mut quote.qe_report)));
    assert_eq!(enclave(|qe| qe.mr_signer[0] ^= 1), "attest.qe_mismatch");
    assert_eq!(enclave(|qe| qe.isv_prod_id = 1), "attest.qe_mismatch");
    assert_eq!(enclave(|qe| qe.misc_select = 1), "attest.qe_mismatch");
    assert_eq!(enclave(|qe| qe.attributes[0] |= 2), "attest.qe_mismatch");
    assert_eq!(enclave(|qe| qe.isv_svn = 1), "attest.tcb_not_listed");
    assert_eq!(enclave(|qe| qe.isv_svn = 9), "accepted");
}

#[test]
fn a_tdx_module_is_the_one_that_intel_names_and_not_too_old() {
    assert_eq!(
        code(td(|report| report.mr_signer_seam[0] = 1)),
        "attest.tdx_module_mismatch"
    );
    assert_eq!(
        code(td(|report| report.seam_attributes[0] = 1)),
        "attest.tdx_module_mismatch"
    );
    assert_eq!(
        code(td(|report| report.tee_tcb_svn[1] = 7)),
        "attest.tdx_module_unknown"
    );
    assert_eq!(
        code(td(|report| report.tee_tcb_svn[0] = 2)),
        "attest.tcb_not_listed"
    );
    assert_eq!(
        code(td(|report| report.tee_tcb_svn[2] = 1)),
        "attest.tcb_not_listed"
    );
    let status = |change: fn(&mut TdReport)| {
        let verified = td(change).unwrap();
        let facts = verified.facts.intel().unwrap().clone();
        (facts.tcb_status, facts.advisories.len(), facts.shortfalls.0.len())
    };
    let old = |report: &mut TdReport| {
        report.tee_tcb_svn[0] = 4;
        report.td15.as_mut().unwrap().tee_tcb_svn2[0] = 4;
    };
    assert_eq!(status(old), (TcbStatus::OutOfDate, 1, 1));
    // Launched under an old module that was updated since.
    assert_eq!(
        status(|report| report.tee_tcb_svn[0] = 4),
        (TcbStatus::TDRelaunchAdvised, 1, 1)
    );
    // The other way round, which no honest machine goes: the present counts.
    assert_eq!(
        status(|report| report.td15.as_mut().unwrap().tee_tcb_svn2[0] = 4),
        (TcbStatus::OutOfDate, 1, 1)
    );
    assert_eq!(status(|_| ()), (TcbStatus::UpToDate, 0, 0));
}

#[test]
fn a_machine_is_judged_by_what_its_certificate_says() {
    assert_eq!(code(pck(|_| ())), "accepted");
    assert_eq!(
        code(pck(|pck| pck.fmspc = Fmspc([9; 6]))),
        "attest.collateral_missing"
    );
    assert_eq!(code(pck(|pck| pck.cpu_svn[0] = 1)), "attest.tcb_not_listed");
    assert_eq!(code(pck(|pck| pck.pce_svn = 12)), "attest.tcb_not_listed");
    assert_eq!(code(pck(|pck| pck.sgx_type = 3)), "attest.leaf_extensions");
    let verified = pck(|pck| pck.cpu_svn[0] = 2).unwrap();
    assert_eq!(verified.facts.intel().unwrap().tcb_status, TcbStatus::OutOfDate);
}

#[test]
fn the_policy_bites() {
    let judge = |change: &dyn Fn(&mut Policy), pck: fn(&mut SimulatedPck), attributes: u64| {
        let machine = authority().issue_td_with([7; 32], NOW_MS, pck).unwrap();
        let mut quote = machine.quote(4, MEASUREMENT, binding().report_data());
        if let QuoteBody::Td(report) = &mut quote.body {
            report.td_attributes |= attributes;
        }
        let mut policy = Policy::dev(MEASUREMENT);
        change(&mut policy);
        let evidence = machine.sign(&quote).unwrap();
        code(verify(
            &evidence,
            &dev(),
            &collateral(),
            Some(&policy),
            Some(&binding()),
            NOW_MS,
        ))
    };
    let honest: fn(&mut SimulatedPck) = |_| ();
    assert_eq!(judge(&|_| (), honest, 0), "accepted");
    assert_eq!(
        judge(&|policy| policy.platforms.clear(), honest, 0),
        "attest.platform_not_allowed"
    );
    assert_eq!(
        judge(&|policy| policy.tdx.quote_versions = vec![5], honest, 0),
        "attest.quote_version_not_allowed"
    );
    let debug = tacit_attest::td_attributes::DEBUG;
    assert_eq!(judge(&|_| (), honest, debug), "attest.td_debug");
    let tolerant = |policy: &mut Policy| policy.tdx.attributes_allowed = u64::MAX;
    assert_eq!(judge(&tolerant, honest, debug), "attest.td_debug");
    let pks = tacit_attest::td_attributes::PKS;
    assert_eq!(judge(&|_| (), honest, pks), "attest.td_attributes_not_allowed");
    assert_eq!(
        judge(&|policy| policy.tdx.attributes_allowed = pks, honest, pks),
        "accepted"
    );
    assert_eq!(
        judge(
            &|policy| policy.tdx.machine.fmspc_denied = vec![SIMULATED_FMSPC],
            honest,
            0
        ),
        "attest.fmspc_denied"
    );
    let strict: [fn(&mut Policy); 3] = [
        |policy| policy.tdx.machine.dynamic_platform = false,
        |policy| policy.tdx.machine.cached_keys = false,
        |policy| policy.tdx.machine.smt = false,
    ];
    let modest: [fn(&mut SimulatedPck); 3] = [
        |pck| pck.dynamic_platform = false,
        |pck| pck.cached_keys = false,
        |pck| pck.smt = false,
    ];
    for (policy, pck) in strict.into_iter().zip(modest) {
        assert_eq!(judge(&policy, honest, 0), "attest.machine_not_allowed");
        assert_eq!(judge(&policy, pck, 0), "accepted");
    }
    let old: fn(&mut SimulatedPck) = |pck| pck.cpu_svn[0] = 2;
    assert_eq!(judge(&|_| (), old, 0), "attest.tcb_status_not_allowed");
    let lax = |policy: &mut Policy| policy.tdx.machine.statuses.push(TcbStatus::OutOfDate);
    assert_eq!(judge(&lax, old, 0), "attest.advisory_open");
    let laxer = |policy: &mut Policy| {
        lax(policy);
        policy.tdx.machine.advisories.push("INTEL-SA-00000".to_owned());
    };
    assert_eq!(judge(&laxer, old, 0), "accepted");
    assert_eq!(
        judge(&|policy| policy.tdx.machine.evaluation_min = 21, honest, 0),
        "attest.evaluation_too_low"
    );
    assert_eq!(
        judge(&|policy| policy.measurements.clear(), honest, 0),
        "attest.measurement_unknown"
    );
}

#[test]
fn a_revoked_level_is_refused_whatever_the_policy() {
    let mut held = Collateral::new();
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
    info.levels[0].status = TcbStatus::Revoked;
    for update in authority().collateral(NOW_MS).unwrap() {
        let update = match update.document {
            Document::TcbInfo(_) => authority().tcb_info(&info).unwrap(),
            _ => update,
        };
        held.apply(update, &dev(), NOW_MS).unwrap();
    }
    let verdict = verify(&evidence(5), &dev(), &held, None, None, NOW_MS);
    assert_eq!(code(verdict), "attest.tcb_revoked");
}

#[test]
fn who_is_on_a_list_does_not_count() {
    let serial = |der: &[u8]| {
        let certificate = x509_cert::Certificate::from_der(der).unwrap();
        certificate.tbs_certificate.serial_number.as_bytes().to_vec()
    };
    let with = |root: &[Vec<u8>], machines: &[Vec<u8>]| {
        let list = |revoked: &[Vec<u8>]| SimulatedList {
            revoked: revoked.to_vec(),
            ..SimulatedList::new(NOW_MS)
        };
        let mut held = Collateral::new();
        for update in authority().collateral(NOW_MS).unwrap() {
            let update = match update.document {
                Document::IntelRootCrl(_) => authority().intel_root_list(&list(root)).unwrap(),
                Document::IntelPckCrl { .. } => authority().pck_list(&list(machines)).unwrap(),
                _ => update,
            };
            held.apply(update, &dev(), NOW_MS).unwrap();
        }
        match verify(&evidence(5), &dev(), &held, None, None, NOW_MS) {
            Ok(_) => "accepted",
            Err(Refusal::CertificateRevoked { which, .. }) => which,
            Err(refusal) => refusal.code(),
        }
    };
    let leaf = serial(&evidence(5).leaf);
    let authority_serial = serial(&authority().root().pck_ca);
    let signer = match &authority().collateral(NOW_MS).unwrap()[2].document {
        Document::TcbInfo(signed) => serial(&signed.signer),
        _ => panic!("the TCB info is third"),
    };
    assert_eq!(with(&[], &[vec![0x7f; 16]]), "accepted");
    assert_eq!(with(&[], &[vec![0x7f; 16], leaf.clone()]), "leaf");
    assert_eq!(with(&[authority_serial], &[]), "intermediate");
    assert_eq!(with(&[signer], &[]), "signer's");
    assert_eq!(
        with(&[leaf], &[]),
        "accepted",
        "a root lists authorities, not machines"
    );
}

#[test]
fn simulated_and_real_never_stand_for_each_other() {
    let simulated = evidence(5);
    let as_real = Evidence {
        platform: Platform::Tdx,
        ..simulated.clone()
    };
    let platform = Platform::Tdx;
    assert_eq!(on_its_own(&as_real), Err(Refusal::SimulatorMark { platform }));
    // Without the mark it has the platform of a real one, and a leaf that Intel's authority did not issue.
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    let mut quote = machine.quote(5, MEASUREMENT, binding().report_data());
    if let QuoteBody::Td(report) = &mut quote.body {
        report.mr_owner_config = [0; 48];
    }
    let unmarked = machine.sign(&quote).unwrap();
    let platform = Platform::SimulatedTdx;
    assert_eq!(on_its_own(&unmarked), Err(Refusal::SimulatorMark { platform }));
    let relabelled = Evidence {
        platform: Platform::Tdx,
        ..unmarked
    };
    assert_eq!(code(on_its_own(&relabelled)), "attest.leaf_issuer");
    let as_enclave = Evidence {
        platform: Platform::Sgx,
        ..simulated.clone()
    };
    assert_eq!(code(on_its_own(&as_enclave)), "attest.simulator_mark");
    let as_snp = Evidence {
        platform: Platform::Simulated,
        ..simulated
    };
    assert_eq!(code(on_its_own(&as_snp)), "attest.report_length");
}

#[test]
fn what_hardware_gives_has_one_form() {
    let raw = evidence(5).to_quote().unwrap();
    assert!(Evidence::from_quote(&raw).is_ok());
    let padded = [&raw[..], &[0; 70]].concat();
    assert_eq!(Evidence::from_quote(&padded), Ok(evidence(5)));
    let refused = |bytes: &[u8]| Evidence::from_quote(bytes).unwrap_err().code();
    assert_eq!(refused(&[&raw[..], &[0, 1]].concat()), "attest.quote_trailing");
    assert_eq!(refused(&vec![0; QUOTE_BYTES_MAX + 1]), "attest.evidence_too_long");
    assert_eq!(refused(&[]), "attest.quote_truncated");
    for len in 0..raw.len() {
        let cut = Evidence::from_quote(&raw[..len]).unwrap_err();
        assert_eq!(cut.code(), "attest.quote_truncated", "{len}");
    }
    // The same certificate in longer lines.
    let mut quote = Quote::parse(&raw).unwrap();
    let text = String::from_utf8(quote.certificates.clone()).unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let (head, tail) = text[begin.len()..].split_at(64);
    quote.certificates = format!("{begin}{head}{}", &tail[1..]).into_bytes();
    assert_eq!(refused(&quote.to_bytes()), "attest.certification_chain");
    for more in ["\n", " ", "x", "\0\0"] {
        quote.certificates = format!("{text}{more}").into_bytes();
        assert_eq!(
            refused(&quote.to_bytes()),
            "attest.certification_chain",
            "{more:?}"
        );
    }
    quote.certificates = format!("{text}\0").into_bytes();
    assert_eq!(Evidence::from_quote(&quote.to_bytes()), Ok(evidence(5)));
    quote.certificates.clear();
    assert_eq!(refused(&quote.to_bytes()), "attest.certification_chain");
    // SNP reports need their leaf, quotes carry theirs.
    assert_eq!(Evidence::detect(&[0; 1184], None), Err(Refusal::LeafMissing));
    assert_eq!(Evidence::detect(&raw, Some(&[])), Err(Refusal::LeafUnwanted));
}

#[test]
fn a_machine_and_its_sealing_key_come_back_from_their_file() {
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    let again = SimulatedTd::from_bytes(&machine.to_bytes().unwrap()).unwrap();
    assert_eq!(again.chip_id(), machine.chip_id());
    let (one, other) = (
        SimulatedTdQuoter::new(machine, MEASUREMENT),
        SimulatedTdQuoter::new(again, MEASUREMENT),
    );
    assert_eq!(*one.sealing_key(b"a").unwrap(), *other.sealing_key(b"a").unwrap());
    assert_ne!(*one.sealing_key(b"a").unwrap(), *other.sealing_key(b"b").unwrap());
    assert_eq!(one.quote([3; 64]).unwrap(), other.quote([3; 64]).unwrap());
    assert!(SimulatedTd::from_bytes(&[0; 100]).is_err());
    let verified = on_its_own(&one.quote([3; 64]).unwrap()).unwrap();
    assert_eq!(Some(verified.measurement), one.measurement());
    let another = authority().issue_td([8; 32], NOW_MS).unwrap();
    assert_ne!(another.chip_id(), verified.chip);
}
