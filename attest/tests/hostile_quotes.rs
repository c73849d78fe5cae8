//! Whatever the bytes of a quote, a leaf or a document: a verdict, never a panic, and no memory beyond the bounds.

mod quotes;

use quotes::{fixture, fixtures, judge, production};
use tacit_attest::limits::{COLLATERAL_BYTES_MAX, LEAF_BYTES_MAX, REPORT_BYTES_MAX};
use tacit_attest::{
    Collateral, CollateralUpdate, Document, Evidence, Generation, PckAuthority, Platform, Quote, SignedJson,
    describe,
};

/// Bytes that depend on `n` alone.
fn noise(n: u64, len: usize) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("tacit tests hostile quotes");
    hasher.update(&n.to_le_bytes());
    let mut bytes = vec![0; len];
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn number(n: u64) -> usize {
    noise(n, 2)
        .iter()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}

/// Everything that reads a quote.
fn swallow(raw: &[u8], held: &Collateral, at: u64) {
    let _ = Quote::parse(raw);
    let _ = Evidence::detect(raw, None);
    let _ = Evidence::detect(raw, Some(raw));
    if let Ok(evidence) = Evidence::from_quote(raw) {
        assert_eq!(Evidence::from_quote(&evidence.to_quote().unwrap()), Ok(evidence));
    }
    for platform in Platform::ALL {
        let evidence = Evidence {
            platform,
            report: raw.to_vec(),
            leaf: raw.to_vec(),
        };
        let _ = describe(&evidence);
        let _ = evidence.to_quote();
        assert!(judge(&evidence, held, at).is_err());
    }
}

#[test]
fn noise_of_any_length_is_refused() {
    let sample = fixture("tdx_quote");
    let held = sample.collateral();
    for n in 0..400 {
        swallow(
            &noise(n, number(n) % (REPORT_BYTES_MAX + 2)),
            &held,
            sample.inside,
        );
    }
}

#[test]
fn quotes_with_pieces_of_noise_are_refused() {
    for sample in fixtures() {
        let held = sample.collateral();
        let bare = sample.evidence();
        for n in 0..300 {
            let mut raw = sample.raw.clone();
            let at = number(n) % raw.len();
            let piece = noise(n, 1 + number(n + 1000) % 8);
            for (slot, byte) in raw[at..].iter_mut().zip(&piece) {
                *slot ^= byte | 1;
            }
            swallow(&raw, &held, sample.inside);
            // The same with the lengths and the leaf that travel.
            let mut mutated = bare.clone();
            let field = if n % 2 == 0 {
                &mut mutated.report
            } else {
                &mut mutated.leaf
            };
            let at = number(n) % field.len();
            for (slot, byte) in field[at..].iter_mut().zip(&piece) {
                *slot ^= byte | 1;
            }
            let _ = describe(&mutated);
            assert!(
                judge(&mutated, &held, sample.inside).is_err(),
                "{} {n}",
                sample.id
            );
        }
    }
}

#[test]
fn quotes_that_lie_about_their_lengths_are_refused() {
    for sample in fixtures() {
        let held = sample.collateral();
        for bytes in [&sample.raw, &sample.evidence().report] {
            for at in 0..bytes.len() - 4 {
                for lie in [0, 1, 0x7fff_ffff, u32::MAX] {
                    let mut raw = bytes.clone();
                    raw[at..at + 4].copy_from_slice(&u32::to_le_bytes(lie));
                    if raw != *bytes {
                        let _ = Quote::parse(&raw);
                        let _ = Evidence::from_quote(&raw);
                    }
                }
            }
            for len in (0..bytes.len()).step_by(29) {
                swallow(&bytes[..len], &held, sample.inside);
            }
        }
    }
}

#[test]
fn leaves_and_lists_cut_anywhere_are_refused() {
    let sample = fixture("tdx_quote");
    let (evidence, held) = (sample.evidence(), sample.collateral());
    for len in 0..evidence.leaf.len() {
        let cut = Evidence {
            leaf: evidence.leaf[..len].to_vec(),
            ..evidence.clone()
        };
        assert!(judge(&cut, &held, sample.inside).is_err());
    }
    for update in Collateral::from_qvl_json(&sample.json).unwrap() {
        let (Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. }) = &update.document else {
            continue;
        };
        for len in 0..list.len() {
            for document in lists(list[..len].to_vec()) {
                refuse(document, sample.inside);
            }
        }
    }
}

fn lists(list: Vec<u8>) -> [Document; 3] {
    [
        Document::IntelRootCrl(list.clone()),
        Document::IntelPckCrl {
            authority: PckAuthority::Platform,
            list: list.clone(),
        },
        Document::AmdCrl {
            generation: Generation::Turin,
            list,
        },
    ]
}

fn refuse(document: Document, at: u64) {
    let update = CollateralUpdate {
        simulated: false,
        document,
    };
    let mut held = Collateral::new();
    assert!(held.apply(update, &production(), at * 1000).is_err());
    assert!(held.is_empty());
}

#[test]
fn documents_of_noise_are_refused() {
    let sample = fixture("tdx_quote");
    for n in 0..200 {
        for document in lists(noise(n, number(n) % 5000)) {
            refuse(document, sample.inside);
        }
        let body = String::from_utf8_lossy(&noise(n, number(n) % 500)).into_owned();
        let signed = SignedJson {
            body,
            signature: noise(n, 64),
            signer: noise(n, 300),
        };
        refuse(Document::TcbInfo(signed.clone()), sample.inside);
        refuse(Document::QeIdentity(signed), sample.inside);
    }
    // Deep, long, and of the right shape with the wrong numbers.
    for body in [
        "[".repeat(COLLATERAL_BYTES_MAX),
        "{\"a\":".repeat(10_000),
        "9".repeat(COLLATERAL_BYTES_MAX + 1),
        "{\"id\":\"TDX\",\"version\":3,\"tcbLevels\":[]}".to_owned(),
    ] {
        let signed = SignedJson {
            body,
            signature: vec![0; 64],
            signer: vec![0; LEAF_BYTES_MAX],
        };
        refuse(Document::TcbInfo(signed.clone()), sample.inside);
        refuse(Document::QeIdentity(signed), sample.inside);
    }
}

#[test]
fn collateral_files_of_others_are_read_or_refused() {
    let sample = fixture("tdx_quote");
    let text = sample.json.as_bytes();
    for n in 0..300 {
        let mut mutated = text.to_vec();
        let at = number(n) % mutated.len();
        mutated[at] = noise(n, 1)[0] & 0x7f;
        if let Ok(text) = String::from_utf8(mutated) {
            let _ = Collateral::from_qvl_json(&text);
        }
    }
    for len in (0..text.len()).step_by(97) {
        assert!(Collateral::from_qvl_json(&sample.json[..len]).is_err());
    }
    assert!(Collateral::from_qvl_json(&" ".repeat(10 << 20)).is_err());
}
