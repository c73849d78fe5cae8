//! Descriptions: complete, true to the bytes, and never a panic.

mod common;

use common::folder;
use serde_json::Value;
use tacit_attest::{
    CollateralUpdate, Document, Evidence, PckAuthority, Platform, SignedJson, describe, describe_certificate,
    describe_quote, describe_update,
};

fn value<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let found = fields.iter().find(|(field, _)| field == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.as_str()
}

fn unique(fields: &[(String, String)]) {
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
}

fn milan() -> Evidence {
    Evidence {
        platform: Platform::SevSnp,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    }
}

/// Quotes of the collection, with what the manifest says of each.
fn quotes() -> Vec<(Vec<u8>, Value)> {
    let Some(manifest) = common::manifest() else {
        return Vec::new();
    };
    let all = manifest["cases"].as_array().unwrap().clone();
    let intel = all.into_iter().filter(|case| case["platform"] != "amd-sev-snp");
    intel
        .map(|case| (common::read(&case["files"]["quote"]["path"]), case))
        .collect()
}

#[test]
fn no_byte_of_a_report_is_left_out() {
    let base = describe(&milan()).unwrap();
    unique(&base);
    for at in 0..1184 {
        let mut changed = milan();
        changed.report[at] ^= 1;
        // Of an unknown version there is nothing to show.
        match describe(&changed) {
            Ok(fields) => assert_ne!(fields, base, "byte {at:#x}"),
            Err(refusal) => assert!(at < 4, "{refusal}"),
        }
    }
}

#[test]
fn a_leaf_is_taken_apart() {
    let fields = describe(&milan()).unwrap();
    for (name, expected) in [
        ("leaf.product", "Milan-B0"),
        ("leaf.tcb.bootloader", "3"),
        ("leaf.tcb.snp", "8"),
        ("leaf.tcb.microcode", "115"),
        ("leaf.public_key.algorithm", "EC on P-384"),
        ("leaf.signature.algorithm", "RSA-PSS"),
        ("report.signing_key", "vcek"),
        ("report.guest_policy.debug", "false"),
    ] {
        assert_eq!(value(&fields, name), expected);
    }
    assert_eq!(
        value(&fields, "leaf.hardware_id"),
        value(&fields, "report.chip_id")
    );
    unique(&describe_certificate(&milan().leaf));
}

#[test]
fn no_byte_of_a_quote_is_left_out() {
    for (quote, case) in quotes() {
        let base = describe_quote(&quote);
        unique(&base);
        for at in (0..quote.len()).step_by(5) {
            let mut changed = quote.clone();
            changed[at] ^= 1;
            assert_ne!(describe_quote(&changed), base, "{} byte {at:#x}", case["id"]);
        }
    }
}

#[test]
fn a_quotes_fields_are_those_of_the_manifest() {
    let cases = quotes();
    for (quote, case) in &cases {
        let fields = describe_quote(quote);
        let facts = case["facts"].as_object().unwrap();
        let of = if case["platform"] == "intel-sgx" {
            "enclave"
        } else {
            "td"
        };
        let mut compared = 0;
        for (name, fact) in facts {
            let Some(text) = fact.as_str().filter(|text| text.len() >= 32) else {
                continue;
            };
            let name = if name == "attributes" {
                continue;
            } else {
                format!("{of}.{name}")
            };
            assert_eq!(value(&fields, &name), text, "{} {name}", case["id"]);
            compared += 1;
        }
        assert!(compared >= 4, "{}: {compared} facts", case["id"]);
        let leaf = describe_quote(quote);
        assert_eq!(value(&leaf, "certificate0.sgx.fmspc").len(), 12);
        assert_eq!(value(&leaf, "certificate0.sgx.ppid").len(), 32);
        assert!(!value(&leaf, "certificate0.sgx.tcb.component16").is_empty());
        assert!(value(&leaf, "certificate2.subject").contains("Intel SGX Root CA"));
    }
    assert!(cases.is_empty() || cases.len() == 10);
}

#[test]
fn collateral_is_shown_level_by_level() {
    let Some(_) = common::manifest() else { return };
    let path = folder().join("tdx/tdx-v5-td15.collateral.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| hex::decode(text(name)).unwrap();
    let signed = |name: &str| SignedJson {
        body: text(name),
        signature: bytes(&format!("{name}_signature")),
        signer: Vec::new(),
    };
    let show = |document| {
        let fields = describe_update(&CollateralUpdate {
            simulated: false,
            document,
        });
        unique(&fields);
        fields
    };
    let info = show(Document::TcbInfo(signed("tcb_info")));
    assert_eq!(value(&info, "tcb_info.tcbEvaluationDataNumber"), "18");
    assert_eq!(value(&info, "tcb_info.fmspc").to_lowercase(), "90c06f000000");
    assert!(!value(&info, "tcb_info.tcbLevels[0].tcbStatus").is_empty());
    let components = value(&info, "tcb_info.tcbLevels[0].tcb.sgxtcbcomponents");
    assert!(components.matches(',').count() >= 15, "{components}");
    let identity = show(Document::QeIdentity(signed("qe_identity")));
    assert_eq!(value(&identity, "qe_identity.id"), "TD_QE");
    let root = show(Document::IntelRootCrl(bytes("root_ca_crl")));
    assert!(value(&root, "crl.issuer").contains("Intel SGX Root CA"));
    let pck = show(Document::IntelPckCrl {
        authority: PckAuthority::Platform,
        list: bytes("pck_crl"),
    });
    assert!(value(&pck, "crl.next_update").ends_with('Z'));
}

#[test]
fn hostile_bytes_are_described_too() {
    let evidence = milan();
    for len in 0..evidence.leaf.len() {
        describe_certificate(&evidence.leaf[..len]);
    }
    for (quote, _) in quotes() {
        for len in (0..quote.len()).step_by(7) {
            let fields = describe_quote(&quote[..len]);
            assert!(!fields.is_empty());
        }
    }
    for seed in 0u64..3000 {
        let mut noise = vec![0; 1200];
        blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof()
            .fill(&mut noise);
        describe_certificate(&noise);
        // A known header, so that bodies are read; then lengths that lie.
        noise[..8].copy_from_slice(
            &[
                [3, 0, 2, 0, 0, 0, 0, 0],
                [4, 0, 2, 0, 0x81, 0, 0, 0],
                [5, 0, 2, 0, 0x81, 0, 0, 0],
            ][(seed % 3) as usize],
        );
        if seed % 3 == 2 {
            noise[48] = (seed / 3 % 6) as u8;
            noise[49] = 0;
        }
        describe_quote(&noise);
        for document in [
            Document::IntelRootCrl(noise.clone()),
            Document::TcbInfo(SignedJson {
                body: String::from_utf8_lossy(&noise).into_owned(),
                signature: noise.clone(),
                signer: noise.clone(),
            }),
        ] {
            describe_update(&CollateralUpdate {
                simulated: false,
                document,
            });
        }
    }
    let nested = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let keys = format!(
        "{}1{}",
        format!("{{\"{}\":", "k".repeat(500)).repeat(100),
        "}".repeat(100)
    );
    for body in [nested, keys] {
        let document = Document::TcbInfo(SignedJson {
            body,
            signature: Vec::new(),
            signer: Vec::new(),
        });
        let fields = describe_update(&CollateralUpdate {
            simulated: false,
            document,
        });
        assert!(fields.iter().all(|(name, _)| name.len() < 1000));
    }
    assert_eq!(describe_quote(&[0; 100_000]).last().unwrap().0, "quote.not_shown");
}
