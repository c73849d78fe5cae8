//! What the tests of real evidence share.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use tacit_attest::{Collateral, Evidence, NetworkClass, Platform, Refusal, TrustRoots, Verified, verify};

pub(crate) fn production() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Production,
        simulator: None,
    }
}

/// The evidence collection: beside the workspace, or where `TACIT_EVIDENCE` says.
pub(crate) fn folder() -> PathBuf {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/evidence");
    std::env::var_os("TACIT_EVIDENCE").map_or(beside, PathBuf::from)
}

pub(crate) fn read(path: &Value) -> Vec<u8> {
    let path = folder().join(path.as_str().unwrap());
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Its manifest; `None`, visibly, where there is no collection.
pub(crate) fn manifest() -> Option<Value> {
    let path = folder().join("manifest.json");
    let Ok(bytes) = std::fs::read(&path) else {
        // Straight to the stream: what tests print by macro is captured when they pass.
        let notice = format!(
            "NOTICE: no evidence at {}: this test checked nothing\n",
            path.display()
        );
        std::io::stderr().write_all(notice.as_bytes()).unwrap();
        return None;
    };
    Some(serde_json::from_slice(&bytes).unwrap())
}

/// One SNP case of the collection.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) generation: String,
    pub(crate) evidence: Evidence,
    pub(crate) measurement: String,
    pub(crate) expect: Vec<(u64, bool)>,
    /// A moment at which it is authentic.
    pub(crate) inside: u64,
    /// Of its leaf, inclusive.
    pub(crate) validity: (u64, u64),
}

/// All of them; none, visibly, where there is no collection.
pub(crate) fn cases() -> Vec<Case> {
    let Some(manifest) = manifest() else {
        return Vec::new();
    };
    let snp = manifest["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["platform"] == "amd-sev-snp");
    let cases: Vec<_> = snp
        .map(|case| {
            let mut leaf = read(&case["files"]["leaf"]["path"]);
            if case["leaf_kind"] == "VLEK" {
                leaf.extend(read(&case["intermediate"]));
            }
            let expect: Vec<(u64, bool)> = case["expect"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| (e["at_unix"].as_u64().unwrap(), e["verdict"] == "authentic"))
                .collect();
            Case {
                id: case["id"].as_str().unwrap().to_owned(),
                generation: case["generation"].as_str().unwrap().to_owned(),
                evidence: Evidence {
                    platform: Platform::SevSnp,
                    report: read(&case["files"]["report"]["path"]),
                    leaf,
                },
                measurement: case["facts"]["measurement"].as_str().unwrap().to_owned(),
                inside: expect.iter().find(|(_, ok)| *ok).unwrap().0,
                expect,
                validity: (
                    case["leaf_validity"]["not_before_unix"].as_u64().unwrap(),
                    case["leaf_validity"]["not_after_unix"].as_u64().unwrap(),
                ),
            }
        })
        .collect();
    assert_eq!(cases.len(), 7, "the collection has seven SNP cases");
    cases
}

/// Authenticity alone, at a Unix time in seconds.
pub(crate) fn authentic(evidence: &Evidence, at: u64) -> Result<Verified, Refusal> {
    verify(evidence, &production(), &Collateral::new(), None, None, at * 1000)
}

/// Flips every bit of `field`, one at a time, and returns the positions (in bits) that were accepted all the same.
pub(crate) fn accepted_flips(
    evidence: &Evidence,
    at: u64,
    field: fn(&mut Evidence) -> &mut Vec<u8>,
) -> Vec<usize> {
    let bits = field(&mut evidence.clone()).len() * 8;
    let half = |parity: usize| {
        let mut mutated = evidence.clone();
        let mut accepted = Vec::new();
        for bit in (0..bits).filter(|bit| bit % 2 == parity) {
            field(&mut mutated)[bit / 8] ^= 1 << (bit % 8);
            if authentic(&mutated, at).is_ok() {
                accepted.push(bit);
            }
            field(&mut mutated)[bit / 8] ^= 1 << (bit % 8);
        }
        accepted
    };
    std::thread::scope(|scope| {
        let even = scope.spawn(|| half(0));
        let mut all = half(1);
        all.extend(even.join().expect("no mutation panics"));
        all
    })
}

/// The same signature with `n - s` for `s`: valid ECDSA, and the reason why bytes are no identity.
pub(crate) fn twin(evidence: &Evidence) -> Evidence {
    const S: std::ops::Range<usize> = 0x2e8..0x2e8 + 48;
    let mut twin = evidence.clone();
    let mut s: [u8; 48] = twin.report[S].try_into().unwrap();
    s.reverse();
    let scalar = p384::NonZeroScalar::try_from(&s[..]).unwrap();
    let mut negated: [u8; 48] = (-*scalar).to_bytes().into();
    negated.reverse();
    twin.report[S].copy_from_slice(&negated);
    twin
}
