//! Three verifiers, one verdict: this crate, the crate `dcap-qvl` by itself on the bytes as hardware gives them, and a
//! check of the signatures alone that shares no code with either but the curve.

mod quotes;

use dcap_qvl::QuoteCollateralV3;
use dcap_qvl::configs::RustCryptoConfig;
use dcap_qvl::verify::QuoteVerifier;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use quotes::{Sample, collection, fixtures};
use sha2::{Digest, Sha256};
use tacit_attest::{Collateral, Evidence, Facts, Refusal};
use x509_cert::der::pem;

/// Status, or nothing. Debugging is no matter of authenticity: it refuses by policy here, by default there.
fn plain(sample: &Sample, raw: &[u8], seconds: u64) -> Option<String> {
    let mut collateral: QuoteCollateralV3 = serde_json::from_str(&sample.json).unwrap();
    collateral.pck_certificate_chain = None;
    QuoteVerifier::new_prod()
        .with_config::<RustCryptoConfig>()
        .allow_debug(true)
        .verify(raw, &collateral, seconds)
        .ok()
        .map(|report| report.status)
}

fn ours(raw: &[u8], held: &Collateral, seconds: u64) -> Result<String, Refusal> {
    let evidence = Evidence::from_quote(raw)?;
    let verified = quotes::judge(&evidence, held, seconds)?;
    match verified.facts {
        Facts::Intel(facts) => Ok(facts.tcb_status.to_string()),
        Facts::Snp(_) => panic!("not Intel's facts"),
    }
}

fn le(raw: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = raw.get(at..at.checked_add(len)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)),
    )
}

/// The element at the start of DER: its header's length and its value's.
fn element(der: &[u8]) -> Option<(usize, usize)> {
    match *der.get(1)? {
        short @ 0..=0x7f => Some((2, usize::from(short))),
        0x81 => Some((3, usize::from(*der.get(2)?))),
        0x82 => Some((4, usize::from(*der.get(2)?) << 8 | usize::from(*der.get(3)?))),
        _ => None,
    }
}

/// What a certificate signs, its signature in DER, and the first P-256 point in it.
fn split(der: &[u8]) -> Option<(&[u8], &[u8], VerifyingKey)> {
    let (header, len) = element(der)?;
    let inside = der.get(header..header + len)?;
    let (h, l) = element(inside)?;
    let (signed, rest) = inside.split_at_checked(h + l)?;
    let (h, l) = element(rest)?;
    let signature = rest.get(h + l..)?;
    let (h, _) = element(signature)?;
    // Algorithm: P-256; then a BIT STRING of 66 bytes that begins with 0 unused bits and an uncompressed point.
    let mark = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0];
    let at = signed.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let key = VerifyingKey::from_sec1_bytes(signed.get(at..at + 65)?).ok()?;
    Some((signed, signature.get(h + 1..)?, key))
}

fn signs(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Option<()> {
    key.verify(message, &Signature::from_slice(signature).ok()?).ok()
}

fn certifies(key: &VerifyingKey, (signed, signature, _): &(&[u8], &[u8], VerifyingKey)) -> Option<()> {
    key.verify(signed, &Signature::from_der(signature).ok()?).ok()
}

/// Root to quote, by offsets alone. `None` when any signature or commitment fails.
fn signatures_hold(raw: &[u8]) -> Option<()> {
    let body = match (le(raw, 0, 2)?, le(raw, 4, 4)?) {
        (3, 0) => 384,
        (4, 0x81) => 584,
        (5, 0x81) => 6 + le(raw, 50, 4)?,
        _ => return None,
    };
    let signed = raw.get(..48 + body)?;
    let data = raw.get(48 + body + 4..)?;
    let (signature, key) = (data.get(..64)?, data.get(64..128)?);
    let chain = data.get(if raw[0] == 3 { 128 } else { 134 }..)?;
    let (qe, qe_signature) = (chain.get(..384)?, chain.get(384..448)?);
    let qe_data_len = le(chain, 448, 2)?;
    let qe_data = chain.get(450..450 + qe_data_len)?;
    let text = chain.get(450 + qe_data_len + 6..)?;
    let text = text.get(..le(chain, 450 + qe_data_len + 2, 4)?)?;

    let text = String::from_utf8(text.to_vec()).ok()?;
    let certificates: Vec<Vec<u8>> = text
        .split_inclusive("-----END CERTIFICATE-----")
        .filter_map(|part| pem::decode_vec(part.trim_start().as_bytes()).ok())
        .map(|(_, der)| der)
        .collect();
    let [leaf, authority, root] = certificates.get(..3)? else {
        return None;
    };
    let fingerprint = hex::encode(Sha256::digest(root));
    if fingerprint != "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3" {
        return None;
    }
    let (leaf, authority, root) = (split(leaf)?, split(authority)?, split(root)?);
    certifies(&root.2, &root)?;
    certifies(&root.2, &authority)?;
    certifies(&authority.2, &leaf)?;
    signs(&leaf.2, qe, qe_signature)?;
    let commitment = Sha256::new_with_prefix(key).chain_update(qe_data).finalize();
    (qe.get(320..352)? == commitment.as_slice()).then_some(())?;
    let point = [&[4], key].concat();
    signs(&VerifyingKey::from_sec1_bytes(&point).ok()?, signed, signature)
}

fn all() -> Vec<Sample> {
    let mut all = fixtures();
    all.extend(collection().into_iter().map(|(sample, _)| sample));
    all
}

#[test]
fn the_signatures_of_every_real_quote_hold() {
    for sample in all() {
        assert_eq!(signatures_hold(&sample.raw), Some(()), "{}", sample.id);
    }
}

#[test]
fn in_the_middle_of_the_window_all_say_the_same() {
    for sample in all() {
        let ours = ours(&sample.raw, &sample.collateral(), sample.inside);
        assert_eq!(
            ours.as_ref().ok(),
            plain(&sample, &sample.raw, sample.inside).as_ref(),
            "{}: {ours:?}",
            sample.id
        );
    }
}

/// At moments from before the window to after it, another hour from day to day, whatever this crate accepts `dcap-qvl` accepts with
/// the same status; where it accepts more, a revocation list is from the future.
#[test]
fn over_time_this_crate_is_never_the_laxer() {
    const HOUR: u64 = 3600;
    for sample in all() {
        let (evidence, held) = (sample.evidence(), sample.collateral());
        for step in 0..34 {
            let at = sample.inside + 25 * step * HOUR - 17 * 25 * HOUR;
            let theirs = plain(&sample, &sample.raw, at);
            match quotes::judge(&evidence, &held, at) {
                Ok(verified) => {
                    let Facts::Intel(facts) = verified.facts else {
                        panic!("not Intel's facts")
                    };
                    assert_eq!(
                        Some(facts.tcb_status.to_string()),
                        theirs,
                        "{} at {at}",
                        sample.id
                    );
                }
                Err(refusal) => {
                    let future_list = matches!(
                        &refusal,
                        Refusal::CollateralNotYetValid { document, .. } if document.to_string().ends_with("CRL")
                    );
                    assert!(
                        theirs.is_none() || future_list,
                        "{} at {at}: {refusal}",
                        sample.id
                    );
                }
            }
        }
    }
}

/// One bit in each byte, another from byte to byte: whatever the other two refuse, this crate refuses; it refuses all.
#[test]
fn under_damage_this_crate_is_never_the_laxer() {
    let mut laxer = (0, 0);
    for sample in fixtures() {
        let held = sample.collateral();
        let mut raw = sample.raw.clone();
        for offset in (0..raw.len()).step_by(13) {
            let bit = 1 << (offset % 8);
            raw[offset] ^= bit;
            assert!(
                ours(&raw, &held, sample.inside).is_err(),
                "{} {offset}",
                sample.id
            );
            laxer.0 += usize::from(plain(&sample, &raw, sample.inside).is_some());
            laxer.1 += usize::from(signatures_hold(&raw).is_some());
            raw[offset] ^= bit;
        }
    }
    // PEM text, padding, unsigned lengths: what a verifier of signatures alone cannot see.
    assert!(laxer.0 > 0 && laxer.1 > 0, "{laxer:?}");
}
