//! A second verifier of SNP evidence, for comparison only. It shares no code with the crate: no certificate parser,
//! no report decoder, no `sev`, only P-384, RSA and SHA on byte ranges at fixed offsets, and searches for byte
//! patterns where a parser would look for fields. It says whether evidence is authentic and not why it is not.

use p384::ecdsa::{Signature, VerifyingKey};
use rsa::pss::{Signature as PssSignature, VerifyingKey as PssKey};
use rsa::signature::Verifier;
use rsa::{BigUint, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384};

/// SHA-256 of AMD's roots: Milan, Genoa, Turin.
const ARKS: [(&str, &str); 3] = [
    (
        "Milan",
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    ),
    (
        "Genoa",
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    ),
    (
        "Turin",
        "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
    ),
];
const MARK: &[u8] = b"TACIT-SIMULATOR!";
/// Of extensions under 1.3.6.1.4.1.3704.1, without the last arcs.
const AMD_ARC: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01];
/// The head of a P-384 public key up to its uncompressed point.
const P384_KEY: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03,
    0x62, 0x00,
];
const RSA_PSS: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];

/// A root and the intermediate that signs VCEKs, in DER, with the name of the generation they are for.
pub(crate) struct Chain {
    pub(crate) generation: &'static str,
    pub(crate) ark: Vec<u8>,
    pub(crate) ask: Vec<u8>,
}

/// Whether the evidence is authentic at `now` (Unix seconds). `simulator` is the throw-away root, for evidence that
/// claims to be simulated; `amd` are AMD's chains.
pub(crate) fn authentic(
    report: &[u8],
    leaf: &[u8],
    amd: &[Chain],
    simulator: Option<(&[u8], &[u8])>,
    now: u64,
) -> bool {
    verdict(report, leaf, amd, simulator, now).is_some()
}

fn ensure(holds: bool) -> Option<()> {
    holds.then_some(())
}

fn verdict(
    report: &[u8],
    leaf: &[u8],
    amd: &[Chain],
    simulator: Option<(&[u8], &[u8])>,
    now: u64,
) -> Option<()> {
    ensure(report.len() == 1184)?;
    let version = report[0];
    ensure([2, 3, 5].contains(&version) && report[1..4] == [0; 3])?;
    ensure(report[0x34..0x38] == [1, 0, 0, 0])?;
    // Author key bit free, key not masked, VCEK or VLEK, all else zero.
    ensure(report[0x48] & !0b101 == 0 && report[0x49..0x50].iter().all(|byte| *byte == 0))?;
    let vlek = report[0x48] & 0b100 != 0;
    ensure((report[0x10..0x20] == *MARK) == simulator.is_some() && !(vlek && simulator.is_some()))?;

    let length = |der: &[u8]| 4 + usize::from(der[2]) * 256 + usize::from(der[3]);
    ensure(leaf.len() >= 4 && leaf[..2] == [0x30, 0x82] && length(leaf) <= leaf.len())?;
    let (leaf, rest) = leaf.split_at(length(leaf));
    ensure(vlek || rest.is_empty())?;
    let product = octets(leaf, &[2])?;
    ensure(product.len() > 2 && product[0] == 0x16 && usize::from(product[1]) == product.len() - 2)?;
    let product = core::str::from_utf8(&product[2..]).ok()?;
    let product = match simulator {
        Some(_) => product.strip_prefix("SIM-")?,
        None => product.split('-').next()?,
    };
    let generation = ["Milan", "Genoa", "Turin"]
        .into_iter()
        .find(|name| *name == product)?;
    if version >= 3 {
        ensure(generation == cpu(report[0x188], report[0x189])?)?;
    }
    unused_is_zero(report, version, generation)?;

    let (ark, ask) = match simulator {
        Some(chain) => chain,
        None => {
            let chain = amd.iter().find(|chain| chain.generation == generation)?;
            let pin = ARKS.iter().find(|(name, _)| *name == generation)?.1;
            ensure(hex::encode(Sha256::digest(&chain.ark)) == pin)?;
            (
                chain.ark.as_slice(),
                if vlek { rest } else { chain.ask.as_slice() },
            )
        }
    };
    let kind: &[u8] = if vlek { b"SEV-VLEK" } else { b"SEV-VCEK" };
    ensure(find(leaf, kind).is_some())?;
    for certificate in [leaf, ask, ark] {
        let (from, to) = validity(certificate)?;
        ensure(from <= now && now <= to)?;
    }
    tcb(report, leaf, generation)?;
    if !vlek {
        let id = &report[0x1a0..0x1e0];
        let (used, fill) = id.split_at(if generation == "Turin" { 8 } else { 64 });
        ensure(id.iter().any(|byte| *byte != 0) && fill.iter().all(|byte| *byte == 0))?;
        ensure(octets(leaf, &[4])? == used)?;
    }
    signed_report(report, leaf)?;
    for (signed, signer) in [(leaf, ask), (ask, ark), (ark, ark)] {
        signed_certificate(signed, signer)?;
    }
    Some(())
}

fn cpu(family: u8, model: u8) -> Option<&'static str> {
    match (family, model >> 4) {
        (0x19, 0) => Some("Milan"),
        (0x19, 1 | 0xa) => Some("Genoa"),
        (0x1a, 0) => Some("Turin"),
        (0x1a, 1) if model <= 0x11 => Some("Turin"),
        _ => None,
    }
}

fn unused_is_zero(report: &[u8], version: u8, generation: &str) -> Option<()> {
    let zero = |from: usize, to: usize| ensure(report[from..to].iter().all(|byte| *byte == 0));
    zero(if version >= 3 { 0x18b } else { 0x188 }, 0x1a0)?;
    zero(0x1eb, 0x1ec)?;
    zero(0x1ef, 0x1f0)?;
    zero(if version >= 5 { 0x208 } else { 0x1f8 }, 0x2a0)?;
    for (from, to) in [(0x2d0, 0x2e8), (0x318, 0x4a0)] {
        zero(from, to)?;
    }
    let (from, to) = if generation == "Turin" { (4, 7) } else { (2, 6) };
    [0x38, 0x180, 0x1e0, 0x1f0]
        .into_iter()
        .try_for_each(|at| zero(at + from, at + to))
}

/// Each part of the reported TCB is in an extension of its own; arcs 4 to 7 are zero where they exist.
fn tcb(report: &[u8], leaf: &[u8], generation: &str) -> Option<()> {
    let reported = &report[0x180..0x188];
    let parts: &[(u8, usize)] = match generation {
        "Turin" => &[(9, 0), (1, 1), (2, 2), (3, 3), (8, 7)],
        _ => &[(1, 0), (2, 1), (3, 6), (8, 7)],
    };
    for (arc, at) in parts {
        let value = reported[*at];
        let expected: &[u8] = if value < 0x80 {
            &[2, 1, value]
        } else {
            &[2, 2, 0, value]
        };
        ensure(octets(leaf, &[3, *arc])? == expected)?;
    }
    (4..=7).try_for_each(|arc| match octets(leaf, &[3, arc]) {
        Some(value) => ensure(value == [2, 1, 0]),
        None => ensure(generation == "Turin" && arc == 4),
    })
}

/// The content of the OCTET STRING that follows an AMD object identifier.
fn octets<'a>(certificate: &'a [u8], arcs: &[u8]) -> Option<&'a [u8]> {
    let mut pattern = vec![0x06, u8::try_from(AMD_ARC.len() + arcs.len()).ok()?];
    pattern.extend(AMD_ARC);
    pattern.extend(arcs);
    let at = find(certificate, &pattern)? + pattern.len();
    let len = usize::from(*certificate.get(at + 1)?);
    ensure(certificate[at] == 0x04 && len < 0x80)?;
    certificate.get(at + 2..at + 2 + len)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// Two times one after the other, of 13 characters since 1950 or of 15 with a century.
fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    let heads: [&[u8]; 4] = [
        &[0x30, 0x1e, 0x17, 0x0d],
        &[0x30, 0x20, 0x17, 0x0d],
        &[0x30, 0x20, 0x18, 0x0f],
        &[0x30, 0x22, 0x18, 0x0f],
    ];
    let at = heads.iter().find_map(|head| find(certificate, head))? + 2;
    let (from, next) = time(certificate, at)?;
    let (to, _) = time(certificate, next)?;
    Some((from, to))
}

fn time(certificate: &[u8], at: usize) -> Option<(u64, usize)> {
    let text = match certificate.get(at..at + 2)? {
        [0x17, 0x0d] => {
            let text = core::str::from_utf8(certificate.get(at + 2..at + 15)?).ok()?;
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        [0x18, 0x0f] => core::str::from_utf8(certificate.get(at + 2..at + 17)?)
            .ok()?
            .to_owned(),
        _ => return None,
    };
    ensure(text.ends_with('Z') && text[..14].bytes().all(|byte| byte.is_ascii_digit()))?;
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    ensure((1..=12).contains(&month) && (1..=31).contains(&day))?;
    // Days from the epoch by counting, year by year and month by month.
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_of = |month: u64| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    ensure(day <= days_of(month))?;
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = (1..month).map(days_of).sum();
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    ensure(hour < 24 && minute < 60 && second < 60)?;
    let seconds = ((years + months + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    Some((
        seconds,
        at + text.len() + if certificate[at] == 0x17 { 0 } else { 2 },
    ))
}

fn signed_report(report: &[u8], leaf: &[u8]) -> Option<()> {
    let at = find(leaf, P384_KEY)? + P384_KEY.len();
    let key = VerifyingKey::from_sec1_bytes(leaf.get(at..at + 97)?).ok()?;
    let big_endian = |at: usize| {
        let mut scalar: [u8; 48] = report[at..at + 48].try_into().unwrap();
        scalar.reverse();
        scalar
    };
    let signature = Signature::from_scalars(big_endian(0x2a0), big_endian(0x2e8)).ok()?;
    key.verify(&report[..0x2a0], &signature).ok()
}

/// Splits a certificate at its three parts by their lengths, and wants nothing but them.
fn signed_certificate(signed: &[u8], signer: &[u8]) -> Option<()> {
    let long = |der: &[u8], tag: u8| {
        ensure(der.len() >= 4 && der[0] == tag && der[1] == 0x82 && der[2] != 0)?;
        Some(4 + usize::from(der[2]) * 256 + usize::from(der[3]))
    };
    ensure(long(signed, 0x30)? == signed.len())?;
    let body = &signed[4..];
    let to_be_signed = body.get(..long(body, 0x30)?)?;
    let after = &body[to_be_signed.len()..];
    ensure(after.len() > 2 && after[0] == 0x30 && after[1] < 0x80)?;
    let algorithm = after.get(..2 + usize::from(after[1]))?;
    ensure(algorithm.get(2..13)? == RSA_PSS)?;
    let bits = &after[algorithm.len()..];
    ensure(long(bits, 0x03)? == bits.len() && bits[4] == 0)?;

    // Version 3, a serial number, and the same algorithm again.
    let inner = &to_be_signed[4..];
    ensure(inner.get(..6)? == [0xa0, 3, 2, 1, 2, 2])?;
    let serial = usize::from(*inner.get(6)?);
    ensure(inner.get(7 + serial..7 + serial + algorithm.len())? == algorithm)?;

    let key = rsa_key(signer)?;
    let signature = PssSignature::try_from(&bits[5..]).ok()?;
    PssKey::<Sha384>::new(key).verify(to_be_signed, &signature).ok()
}

/// A modulus of 4096 or 2048 bits, and the exponent 65537 behind it.
fn rsa_key(certificate: &[u8]) -> Option<RsaPublicKey> {
    let heads: [(&[u8], usize); 2] = [(&[2, 0x82, 2, 1, 0], 512), (&[2, 0x82, 1, 1, 0], 256)];
    let (at, len) = heads
        .iter()
        .find_map(|(head, len)| find(certificate, head).map(|at| (at + head.len(), *len)))?;
    let modulus = certificate.get(at..at + len)?;
    ensure(certificate.get(at + len..at + len + 5)? == [2, 3, 1, 0, 1])?;
    RsaPublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from(65537u32)).ok()
}
