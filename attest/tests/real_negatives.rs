//! Real SNP evidence with one thing wrong, each with its named refusal: the list in the evidence collection's README.
//! That every single bit counts stands beside the verdicts, in `real_evidence.rs`.

mod common;

use common::{Case, authentic, cases};
use tacit_attest::{Evidence, LeafKind, Platform};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

fn case(id: &str) -> Option<Case> {
    cases().into_iter().find(|case| case.id == id)
}

fn code(evidence: &Evidence, at: u64) -> &'static str {
    authentic(evidence, at).expect_err("something is wrong").code()
}

/// The end of the first DER value.
fn first_len(der: &[u8]) -> usize {
    4 + usize::from(u16::from_be_bytes([der[2], der[3]]))
}

#[test]
fn a_second_outside_its_certificate_nothing_counts() {
    for case in cases() {
        let (from, to) = case.validity;
        for at in [from, to] {
            assert!(authentic(&case.evidence, at).is_ok(), "{} at {at}", case.id);
        }
        assert_eq!(code(&case.evidence, from - 1), "attest.leaf_not_yet_valid");
        assert_eq!(code(&case.evidence, to + 1), "attest.leaf_expired");
        assert_eq!(code(&case.evidence, 0), "attest.leaf_not_yet_valid");
    }
}

#[test]
fn what_no_signature_covers_has_one_value() {
    for case in cases() {
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut evidence = case.evidence.clone();
            change(&mut evidence.report);
            code(&evidence, case.inside)
        };
        let mut unused = vec![0x2a0 + 48, 0x2a0 + 71, 0x2e8 + 48, 0x2e8 + 71, 0x330, 1183];
        // Reserved bytes of the four TCBs lie inside what is signed, and `sev` drops them.
        let reserved = if case.generation == "Turin" {
            [4, 5, 6, 6]
        } else {
            [2, 3, 4, 5]
        };
        for tcb in [0x38, 0x180, 0x1e0, 0x1f0] {
            unused.extend(reserved.map(|at| tcb + at));
        }
        for at in unused {
            assert_eq!(
                with(&|report| report[at] = 1),
                "attest.reserved_not_zero",
                "{at:#x}"
            );
        }
        assert_eq!(with(&|report| report.push(0)), "attest.report_length");
        assert_eq!(with(&|report| report.truncate(1183)), "attest.report_length");
    }
}

#[test]
fn a_leaf_has_one_encoding() {
    for case in cases() {
        let der = &case.evidence.leaf;
        let (leaf, asvk) = der.split_at(first_len(der));
        let with = |leaf: &[u8]| {
            let leaf = [leaf, asvk].concat();
            code(
                &Evidence {
                    leaf,
                    ..case.evidence.clone()
                },
                case.inside,
            )
        };
        // Another outer algorithm: RSA with SHA-384 in the old padding, whose OID has the same length.
        let mut parsed = Certificate::from_der(leaf).unwrap();
        parsed.signature_algorithm.oid = "1.2.840.113549.1.1.12".parse().unwrap();
        assert_eq!(with(&parsed.to_der().unwrap()), "attest.leaf_encoding");
        // The same algorithm, its parameters left to their defaults, which are others.
        let mut parsed = Certificate::from_der(leaf).unwrap();
        parsed.signature_algorithm.parameters = None;
        assert_eq!(with(&parsed.to_der().unwrap()), "attest.leaf_encoding");
        // Unused bits in the signature's BIT STRING, before its 512 bytes.
        let unused = leaf.len() - 513;
        assert_eq!(leaf[unused], 0);
        for bits in [1, 7, 8] {
            let mut changed = leaf.to_vec();
            changed[unused] = bits;
            assert_eq!(with(&changed), "attest.leaf_encoding", "{bits} unused bits");
        }
        // A VLEK's trailing bytes would be its intermediate's.
        let trailing = with(&[leaf, &[0]].concat());
        assert!(["attest.leaf_encoding", "attest.vlek_not_supported"].contains(&trailing));
    }
}

#[test]
fn a_key_kind_goes_with_its_own_leaf() {
    for case in cases() {
        let kind = |evidence: &Evidence| evidence.report[0x48] >> 2 & 7;
        let mut swapped = case.evidence.clone();
        swapped.report[0x48] ^= 1 << 2;
        let (had, has) = (kind(&case.evidence), kind(&swapped));
        let expected = match (had, has) {
            // A VCEK stands alone, so nothing can follow as its intermediate.
            (0, 1) => "attest.vlek_not_supported",
            // A VLEK's intermediate is trailing bytes where a VCEK is claimed.
            (1, 0) => "attest.leaf_encoding",
            other => panic!("{other:?}"),
        };
        assert_eq!(code(&swapped, case.inside), expected, "{}", case.id);
        if had == 1 {
            let alone = first_len(&swapped.leaf);
            swapped.leaf.truncate(alone);
            assert_eq!(code(&swapped, case.inside), "attest.leaf_issuer");
        }
    }
}

#[test]
fn generations_do_not_mix() {
    let (Some(milan), Some(genoa), Some(turin)) = (
        case("snp-milan-v3-azure"),
        case("snp-genoa-v3-azure"),
        case("snp-turin-v5"),
    ) else {
        return;
    };
    let with_leaf = |report: &Case, leaf: &Case| {
        let leaf = leaf.evidence.leaf.clone();
        code(
            &Evidence {
                leaf,
                ..report.evidence.clone()
            },
            report.inside,
        )
    };
    for (report, leaf) in [
        (&milan, &genoa),
        (&genoa, &milan),
        (&turin, &genoa),
        (&genoa, &turin),
    ] {
        assert_eq!(with_leaf(report, leaf), "attest.generation_mismatch");
    }
    // Milan's leaf under Genoa's intermediate: it says so itself, and then nobody pinned has signed it.
    let mut renamed = milan.evidence.clone();
    let issuer = renamed
        .leaf
        .windows(9)
        .position(|text| text == b"SEV-Milan")
        .unwrap();
    renamed.leaf[issuer..issuer + 9].copy_from_slice(b"SEV-Genoa");
    assert_eq!(code(&renamed, milan.inside), "attest.leaf_issuer");
    // Turin's TCB in the order of Milan's: fmc, bootloader, tee and snp where others have nothing.
    let mut reordered = turin.evidence.clone();
    for tcb in [0x38, 0x180, 0x1e0, 0x1f0] {
        let [_, bootloader, tee, snp, _, _, _, microcode] =
            reordered.report[tcb..tcb + 8].try_into().unwrap();
        reordered.report[tcb..tcb + 8].copy_from_slice(&[bootloader, tee, 0, 0, 0, 0, snp, microcode]);
    }
    assert_eq!(code(&reordered, turin.inside), "attest.reserved_not_zero");
    // Turin's CPU on a Milan report.
    let mut relabelled = milan.evidence.clone();
    relabelled.report[0x188] = 0x1a;
    assert_eq!(code(&relabelled, milan.inside), "attest.generation_mismatch");
}

#[test]
fn a_vlek_needs_exactly_its_own_intermediate() {
    let Some(vlek) = case("snp-milan-v3-vlek-aws") else {
        return;
    };
    let leaf = &vlek.evidence.leaf[..first_len(&vlek.evidence.leaf)];
    let root = |name: &str| std::fs::read(common::folder().join("snp/roots").join(name)).unwrap();
    let with = |asvk: &[u8]| Evidence::from_vlek(&vlek.evidence.report, leaf, asvk);
    let asvk = root("milan-asvk.der");
    let verified = authentic(&with(&asvk), vlek.inside).unwrap();
    assert_eq!(verified.platform, Platform::SevSnp);
    assert_eq!(verified.facts.snp().unwrap().leaf_kind, LeafKind::Vlek);
    assert!(verified.chip.is_masked(), "a VLEK proves no chip");
    assert_eq!(verified.not_after_ms, vlek.validity.1 * 1000);
    let others = [
        Vec::new(),
        root("milan-ask.der"),
        root("genoa-asvk.der"),
        [&asvk[..], &[0]].concat(),
        asvk[..asvk.len() - 1].to_vec(),
    ];
    for other in others {
        let refusal = authentic(&with(&other), vlek.inside).unwrap_err();
        assert_eq!(refusal.code(), "attest.vlek_not_supported");
        let says = refusal.to_string();
        assert!(says.contains("add AMD's ASVK certificate for milan"), "{says}");
        assert!(
            says.contains("c5e081f59b7efab1fe2f8b505e159704e72f29cab7ef7cf628a05a42439082f5"),
            "{says}"
        );
    }
}
