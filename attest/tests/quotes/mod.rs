//! Real quotes: the samples that ship with `dcap-qvl`, and the evidence collection where it is present.

#![allow(dead_code, reason = "each test file uses a part")]

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use tacit_attest::{Collateral, Evidence, NetworkClass, Refusal, TrustRoots, Verified, verify};

/// A quote, its collateral, and a moment inside every window.
pub(crate) struct Sample {
    pub(crate) id: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) json: String,
    /// Unix time in seconds.
    pub(crate) inside: u64,
}

impl Sample {
    pub(crate) fn evidence(&self) -> Evidence {
        Evidence::from_quote(&self.raw).unwrap_or_else(|refusal| panic!("{}: {refusal}", self.id))
    }

    /// Every document, taken in at the moment inside.
    pub(crate) fn collateral(&self) -> Collateral {
        let mut held = Collateral::new();
        for update in Collateral::from_qvl_json(&self.json).unwrap() {
            held.apply(update, &production(), self.inside * 1000)
                .unwrap_or_else(|refusal| panic!("{}: {refusal}", self.id));
        }
        held
    }

    /// The verdict about authenticity at a moment, Unix time in seconds.
    pub(crate) fn at(&self, seconds: u64) -> Result<Verified, Refusal> {
        judge(&self.evidence(), &self.collateral(), seconds)
    }
}

pub(crate) fn judge(evidence: &Evidence, held: &Collateral, seconds: u64) -> Result<Verified, Refusal> {
    verify(evidence, &production(), held, None, None, seconds * 1000)
}

pub(crate) fn production() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Production,
        simulator: None,
    }
}

/// The samples of `dcap-qvl`, each with a moment in the middle of its common window.
pub(crate) fn fixtures() -> Vec<Sample> {
    macro_rules! sample {
        ($name:literal, $inside:literal) => {
            Sample {
                id: $name.to_owned(),
                raw: include_bytes!(concat!("../fixtures/dcap-qvl/", $name)).to_vec(),
                json: include_str!(concat!("../fixtures/dcap-qvl/", $name, "_collateral.json")).to_owned(),
                inside: $inside,
            }
        };
    }
    vec![
        // 2025-07-04
        sample!("sgx_quote", 1_751_624_924),
        sample!("tdx_quote", 1_751_624_191),
        // 2026-03-05
        sample!("tdx_quote_outdated", 1_772_707_803),
        // 2026-10-20
        sample!("tdx_quote_td15ex", 1_792_454_400),
    ]
}

pub(crate) fn fixture(id: &str) -> Sample {
    fixtures()
        .into_iter()
        .find(|sample| sample.id == id)
        .unwrap_or_else(|| panic!("no sample {id}"))
}

fn folder() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/evidence");
    std::env::var_os("TACIT_EVIDENCE").map_or(beside, PathBuf::from)
}

pub(crate) fn read(path: &Value) -> Vec<u8> {
    let path = folder().join(path.as_str().unwrap());
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Intel's cases of the manifest with their descriptions; none where the collection is absent, which is said aloud.
pub(crate) fn collection() -> Vec<(Sample, Value)> {
    let path = folder().join("manifest.json");
    let Ok(bytes) = std::fs::read(&path) else {
        // Straight to the stream: what tests print by macro is captured when they pass.
        let notice = format!(
            "NOTICE: no evidence at {}: this test checked nothing\n",
            path.display()
        );
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
        return Vec::new();
    };
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let cases = manifest["cases"].as_array().unwrap().iter();
    let cases: Vec<_> = cases
        .filter(|case| case["platform"].as_str().unwrap().starts_with("intel-"))
        .map(|case| {
            let json = String::from_utf8(read(&case["files"]["collateral"]["path"])).unwrap();
            let sample = Sample {
                id: case["id"].as_str().unwrap().to_owned(),
                raw: read(&case["files"]["quote"]["path"]),
                json,
                inside: case["expect"][1]["at_unix"].as_u64().unwrap(),
            };
            (sample, case.clone())
        })
        .collect();
    assert_eq!(cases.len(), 10, "the collection has ten cases of Intel's");
    cases
}
