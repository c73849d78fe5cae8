//! Every single-bit flip of a real quote, in the form that hardware gives and in the form that travels, and of its leaf is
//! refused; so is a flip in each byte of each document of collateral. Accepted flips would be listed here with their reasons: there are none.
//!
//! What makes that possible: PEM must be canonical, padding zero, the authority and the root are pinned, and every byte
//! of a bare quote is under a signature or has only one admissible value.

mod quotes;

use std::ops::Range;
use std::thread;

use quotes::{Sample, fixture, judge, production};
use tacit_attest::{Collateral, CollateralUpdate, Document, Evidence};

/// SGX version 3, TDX version 4, TDX version 5 with its longest body.
const SAMPLES: [&str; 3] = ["sgx_quote", "tdx_quote", "tdx_quote_td15ex"];

/// Positions (byte, bit) that `accepts` takes although one bit is wrong; all bits of all bytes, on two threads.
fn accepted(bytes: &[u8], accepts: impl Fn(&[u8]) -> bool + Sync) -> Vec<(usize, u8)> {
    accepted_of(bytes, |_| 0..8, accepts)
}

fn accepted_of(
    bytes: &[u8],
    bits: impl Fn(usize) -> Range<u8> + Sync,
    accepts: impl Fn(&[u8]) -> bool + Sync,
) -> Vec<(usize, u8)> {
    let half = |parity: usize| {
        let mut mutated = bytes.to_vec();
        let mut accepted = Vec::new();
        for offset in (0..bytes.len()).filter(|offset| offset % 2 == parity) {
            for bit in bits(offset) {
                mutated[offset] ^= 1 << bit;
                if accepts(&mutated) {
                    accepted.push((offset, bit));
                }
                mutated[offset] ^= 1 << bit;
            }
        }
        accepted
    };
    thread::scope(|scope| {
        let odd = scope.spawn(|| half(1));
        let mut all = half(0);
        all.extend(odd.join().expect("no flip panics"));
        all.sort_unstable();
        all
    })
}

fn each(check: impl Fn(&Sample, &Evidence, &Collateral)) {
    for id in SAMPLES {
        let sample = fixture(id);
        let (evidence, held) = (sample.evidence(), sample.collateral());
        assert!(judge(&evidence, &held, sample.inside).is_ok(), "{id} is genuine");
        check(&sample, &evidence, &held);
    }
}

#[test]
fn no_flip_of_a_quote_as_hardware_gives_it_is_accepted() {
    each(|sample, _, held| {
        let accepts = |raw: &[u8]| {
            Evidence::from_quote(raw).is_ok_and(|evidence| judge(&evidence, held, sample.inside).is_ok())
        };
        assert_eq!(accepted(&sample.raw, accepts), [], "{}", sample.id);
    });
}

#[test]
fn no_flip_of_a_bare_quote_is_accepted() {
    each(|sample, evidence, held| {
        let accepts = |report: &[u8]| {
            let evidence = Evidence {
                report: report.to_vec(),
                ..evidence.clone()
            };
            judge(&evidence, held, sample.inside).is_ok()
        };
        assert_eq!(accepted(&evidence.report, accepts), [], "{}", sample.id);
    });
}

#[test]
fn no_flip_of_a_leaf_is_accepted() {
    each(|sample, evidence, held| {
        let accepts = |leaf: &[u8]| {
            let evidence = Evidence {
                leaf: leaf.to_vec(),
                ..evidence.clone()
            };
            judge(&evidence, held, sample.inside).is_ok()
        };
        assert_eq!(accepted(&evidence.leaf, accepts), [], "{}", sample.id);
    });
}

/// The parts of a document that bytes can be flipped in, and how to put one back.
type Part = (Vec<u8>, Box<dyn Fn(Vec<u8>) -> Option<CollateralUpdate> + Sync>);

fn parts(update: &CollateralUpdate) -> Vec<Part> {
    let with = |document: Document| CollateralUpdate {
        simulated: false,
        document,
    };
    let json = |signed: &tacit_attest::SignedJson,
                make: fn(tacit_attest::SignedJson) -> Document|
     -> Vec<Part> {
        let (a, b, c) = (signed.clone(), signed.clone(), signed.clone());
        vec![
            (
                signed.body.clone().into_bytes(),
                Box::new(move |bytes| {
                    // What is no text cannot even be decoded.
                    let body = String::from_utf8(bytes).ok()?;
                    Some(with(make(tacit_attest::SignedJson { body, ..a.clone() })))
                }),
            ),
            (
                signed.signature.clone(),
                Box::new(move |signature| {
                    Some(with(make(tacit_attest::SignedJson {
                        signature,
                        ..b.clone()
                    })))
                }),
            ),
            (
                signed.signer.clone(),
                Box::new(move |signer| Some(with(make(tacit_attest::SignedJson { signer, ..c.clone() })))),
            ),
        ]
    };
    match &update.document {
        Document::TcbInfo(signed) => json(signed, Document::TcbInfo),
        Document::QeIdentity(signed) => json(signed, Document::QeIdentity),
        Document::IntelRootCrl(list) => vec![(
            list.clone(),
            Box::new(move |list| Some(with(Document::IntelRootCrl(list)))),
        )],
        Document::IntelPckCrl { authority, list } => {
            let authority = *authority;
            vec![(
                list.clone(),
                Box::new(move |list| Some(with(Document::IntelPckCrl { authority, list }))),
            )]
        }
        Document::AmdCrl { .. } => panic!("no document of Intel's"),
    }
}

#[test]
fn no_flip_of_a_document_of_collateral_is_taken_in() {
    let sample = fixture("tdx_quote_td15ex");
    let mut flipped = 0;
    for update in Collateral::from_qvl_json(&sample.json).unwrap() {
        for (bytes, rebuild) in parts(&update) {
            let taken = |bytes: &[u8]| {
                rebuild(bytes.to_vec()).is_some_and(|update| {
                    Collateral::new()
                        .apply(update, &production(), sample.inside * 1000)
                        .is_ok()
                })
            };
            assert!(taken(&bytes), "the original is");
            // Each costs two signatures: one bit in each byte, another from byte to byte.
            let one = |offset: usize| {
                let bit = (offset % 8) as u8;
                bit..bit + 1
            };
            assert_eq!(accepted_of(&bytes, one, taken), []);
            flipped += bytes.len();
        }
    }
    assert!(flipped > 10_000, "two bodies, two signers, two lists");
}
