//! The certificate of the key that signed a report, read strictly.
//!
//! AMD's "VCEK Certificate and KDS Interface Specification" (57230) fixes its extensions: everything under
//! 1.3.6.1.4.1.3704.1, none critical. `sev` looks at none of this, and at only the OID of the outer
//! signature algorithm, so each byte that no signature covers is pinned down here.

use core::fmt::Display;
use std::collections::BTreeMap;

use x509_cert::Certificate as X509;
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::spki::ObjectIdentifier;

use super::generation::{Generation, Tcb};
use super::roots::{Issuer, LeafKind};
use crate::collateral::select::Clock;
use crate::refusal::Refusal;

const OID_COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const OID_ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
pub(crate) const OID_RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const OID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const OID_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// The arc that all extensions of a leaf stand under.
pub(crate) const OID_AMD: &str = "1.3.6.1.4.1.3704.1.";
/// Bytes of an uncompressed P-384 point.
const POINT_LEN: usize = 97;
/// Largest structure version seen: 0 for Milan and Genoa, 1 for Turin.
const STRUCTURE_VERSION_MAX: u8 = 1;

/// The security version extensions a leaf has, by the last arc of 1.3.6.1.4.1.3704.1.3.
pub(crate) fn svn_arcs(generation: Generation) -> &'static [u8] {
    match generation {
        Generation::Milan | Generation::Genoa => &[1, 2, 3, 4, 5, 6, 7, 8],
        Generation::Turin => &[1, 2, 3, 5, 6, 7, 8, 9],
    }
}

/// A parsed leaf whose encoding is canonical. Nothing here is trusted before its signature is.
pub(crate) struct Leaf {
    certificate: X509,
    extensions: BTreeMap<String, Vec<u8>>,
}

impl Leaf {
    /// Check 4, the part that needs no issuer: one encoding only, no byte that nothing covers.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::LeafEncoding { reason };
        let certificate = parse_canonical(der).map_err(refuse)?;
        let tbs = &certificate.tbs_certificate;
        if tbs.issuer_unique_id.is_some() || tbs.subject_unique_id.is_some() {
            return Err(refuse("has unique ids"));
        }
        let key = &tbs.subject_public_key_info;
        let curve = key
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        if key.algorithm.oid != OID_EC_PUBLIC_KEY || curve != Some(OID_P384) {
            return Err(refuse("public key is not on P-384"));
        }
        let point = key
            .subject_public_key
            .as_bytes()
            .ok_or(refuse("public key has unused bits"))?;
        if point.len() != POINT_LEN || p384::ecdsa::VerifyingKey::from_sec1_bytes(point).is_err() {
            return Err(refuse("public key is not an uncompressed point of P-384"));
        }
        let extensions = read_extensions(&certificate)?;
        Ok(Self {
            certificate,
            extensions,
        })
    }

    /// The common name of the issuer, empty when it has none.
    pub(crate) fn issuer_name(&self) -> String {
        attribute(&self.certificate.tbs_certificate.issuer, OID_COMMON_NAME).unwrap_or_default()
    }

    /// The common name of the subject, empty when it has none.
    pub(crate) fn subject_name(&self) -> String {
        attribute(&self.certificate.tbs_certificate.subject, OID_COMMON_NAME).unwrap_or_default()
    }

    /// The product name extension: "Milan-B0", "Genoa", "Turin".
    pub(crate) fn product(&self) -> Option<&str> {
        ia5_string(self.extension("2")?)
    }

    /// The cloud provider of a VLEK.
    pub(crate) fn provider(&self) -> Option<&str> {
        ia5_string(self.extension("5")?)
    }

    /// The hardware id of a VCEK: raw bytes, in no DER of their own.
    pub(crate) fn hardware_id(&self) -> Option<&[u8]> {
        self.extension("4")
    }

    pub(crate) fn not_before(&self) -> u64 {
        self.certificate
            .tbs_certificate
            .validity
            .not_before
            .to_unix_duration()
            .as_secs()
    }

    pub(crate) fn not_after(&self) -> u64 {
        self.certificate
            .tbs_certificate
            .validity
            .not_after
            .to_unix_duration()
            .as_secs()
    }

    /// The validity for people, in UTC.
    pub(crate) fn validity(&self) -> impl Display {
        let validity = &self.certificate.tbs_certificate.validity;
        format!("{} to {}", validity.not_before, validity.not_after)
    }

    pub(crate) fn to_sev(&self) -> sev::certs::snp::Certificate {
        self.certificate.clone().into()
    }

    fn extension(&self, arc: &str) -> Option<&[u8]> {
        self.extensions.get(arc).map(Vec::as_slice)
    }

    fn svn(&self, arc: u8) -> Option<u8> {
        small_integer(self.extension(&format!("3.{arc}"))?)
    }

    /// The TCB that the key was derived from, once [`Leaf::check_extensions`] has passed.
    pub(crate) fn tcb(&self, generation: Generation) -> Option<Tcb> {
        let fmc = match generation {
            Generation::Milan | Generation::Genoa => 0,
            Generation::Turin => self.svn(9)?,
        };
        Some(Tcb {
            fmc,
            bootloader: self.svn(1)?,
            tee: self.svn(2)?,
            snp: self.svn(3)?,
            microcode: self.svn(8)?,
        })
    }

    /// Check 4, the part that binds the leaf to its pinned intermediate and to its kind.
    pub(crate) fn check_issuer(&self, issuer: &Issuer, subject: &'static str) -> Result<(), Refusal> {
        let tbs = &self.certificate.tbs_certificate;
        let authority = &issuer.intermediate.tbs_certificate.subject;
        if tbs.issuer != *authority {
            return Err(Refusal::LeafIssuer {
                have: self.issuer_name(),
            });
        }
        if self.subject_name() != subject || !same_but_common_name(&tbs.subject, authority) {
            return Err(Refusal::LeafSubject {
                have: tbs.subject.to_string(),
                need: subject,
            });
        }
        let signature = |certificate: &X509| certificate.signature.raw_bytes().len();
        if signature(&self.certificate) != signature(&issuer.intermediate) {
            return Err(Refusal::LeafEncoding {
                reason: "signature has the wrong length",
            });
        }
        Ok(())
    }

    /// Check 4, extensions: exactly those that AMD issues for the generation and kind, reserved ones zero.
    pub(crate) fn check_extensions(&self, generation: Generation, kind: LeafKind) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::LeafExtensions { reason });
        let identity = match kind {
            LeafKind::Vcek => "4",
            LeafKind::Vlek => "5",
        };
        let mut expected: Vec<String> = ["1", "2", identity].map(String::from).to_vec();
        expected.extend(svn_arcs(generation).iter().map(|arc| format!("3.{arc}")));
        for arc in &expected {
            if !self.extensions.contains_key(arc) {
                return refuse(format!("{OID_AMD}{arc} is missing"));
            }
        }
        if let Some(arc) = self.extensions.keys().find(|arc| !expected.contains(arc)) {
            return refuse(format!("{OID_AMD}{arc} does not belong in a {generation} leaf"));
        }
        for &arc in svn_arcs(generation) {
            match self.svn(arc) {
                None => return refuse(format!("{OID_AMD}3.{arc} is not an integer below 256")),
                // 4 to 7 are reserved: the report has no field to compare them with.
                Some(value) if (4..=7).contains(&arc) && value != 0 => {
                    return refuse(format!("{OID_AMD}3.{arc} is reserved and must be zero"));
                }
                Some(_) => {}
            }
        }
        match self.extension("1").and_then(small_integer) {
            Some(0..=STRUCTURE_VERSION_MAX) => Ok(()),
            _ => refuse(format!("{OID_AMD}1 is an unknown structure version")),
        }
    }

    /// Check 4, time. Bounds are inclusive in whole seconds: real evidence one second outside is refused. Only
    /// beginnings have a tolerance, the policy's: AMD signs leaves on demand, so a chip's may be fresher than a
    /// lagging block clock. Without one the chip registers again some blocks later.
    pub(crate) fn check_time(&self, issuer: &Issuer, clock: Clock) -> Result<(), Refusal> {
        let now_ms = clock.now_ms;
        if !clock.has_begun(self.not_before()) {
            return Err(Refusal::LeafNotYetValid {
                not_before_ms: self.not_before().saturating_mul(1000),
                now_ms,
            });
        }
        if clock.second() > self.not_after() {
            return Err(Refusal::LeafExpired {
                not_after_ms: self.not_after().saturating_mul(1000),
                now_ms,
            });
        }
        for (which, certificate) in [("intermediate", &issuer.intermediate), ("root", &issuer.root)] {
            let validity = &certificate.tbs_certificate.validity;
            let from = validity.not_before.to_unix_duration().as_secs();
            let to = validity.not_after.to_unix_duration().as_secs();
            if !clock.covers(from, to) {
                return Err(Refusal::IssuerNotValid { which, now_ms });
            }
        }
        Ok(())
    }
}

/// Parses a certificate of which no byte can change without changing what is signed, or the signature.
/// The error says what is loose.
pub(crate) fn parse_canonical(der: &[u8]) -> Result<X509, &'static str> {
    let certificate = X509::from_der(der).map_err(|_| "is not one DER certificate")?;
    if certificate.to_der().ok().as_deref() != Some(der) {
        return Err("is not in its canonical encoding");
    }
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        return Err("outer and signed signature algorithms differ");
    }
    if certificate.signature_algorithm.oid != OID_RSA_PSS {
        return Err("is not signed by RSA-PSS");
    }
    if certificate.signature.unused_bits() != 0 {
        return Err("signature has unused bits");
    }
    Ok(certificate)
}

fn read_extensions(certificate: &X509) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
    let refuse = |reason: String| Err(Refusal::LeafExtensions { reason });
    let mut found = BTreeMap::new();
    for extension in certificate.tbs_certificate.extensions.iter().flatten() {
        let oid = extension.extn_id.to_string();
        let Some(arc) = oid.strip_prefix(OID_AMD) else {
            return refuse(format!("{oid} is not AMD's"));
        };
        if extension.critical {
            return refuse(format!("{oid} is critical"));
        }
        if found
            .insert(arc.to_owned(), extension.extn_value.as_bytes().to_vec())
            .is_some()
        {
            return refuse(format!("{oid} is there twice"));
        }
    }
    Ok(found)
}

/// A DER INTEGER from 0 to 255, in its only encoding: from 0x80 on it needs a zero byte before it.
fn small_integer(der: &[u8]) -> Option<u8> {
    match *der {
        [0x02, 0x01, value @ 0..=0x7f] | [0x02, 0x02, 0x00, value @ 0x80..=0xff] => Some(value),
        _ => None,
    }
}

/// A DER IA5String of less than 128 bytes.
fn ia5_string(der: &[u8]) -> Option<&str> {
    match der {
        [0x16, len @ 0..=0x7f, text @ ..] if usize::from(*len) == text.len() && text.is_ascii() => {
            core::str::from_utf8(text).ok()
        }
        _ => None,
    }
}

/// The text of a name's only attribute of type `oid`; `None` when there is none or more than one.
fn attribute(name: &Name, oid: ObjectIdentifier) -> Option<String> {
    let mut found = name
        .0
        .iter()
        .flat_map(|rdn| rdn.0.iter())
        .filter(|attribute| attribute.oid == oid);
    let value = &found.next()?.value;
    if found.next().is_some() {
        return None;
    }
    core::str::from_utf8(value.value()).ok().map(str::to_owned)
}

/// The common name of a name.
pub(crate) fn common_name(name: &Name) -> Option<String> {
    attribute(name, OID_COMMON_NAME)
}

/// The organisation of a name.
pub(crate) fn organisation(name: &Name) -> Option<String> {
    attribute(name, OID_ORGANISATION)
}

pub(crate) fn same_but_common_name(a: &Name, b: &Name) -> bool {
    let rest = |name: &Name| {
        let all = name.0.iter().map(|rdn| rdn.0.iter().cloned().collect::<Vec<_>>());
        all.filter(|rdn| !rdn.iter().any(|attribute| attribute.oid == OID_COMMON_NAME))
            .collect::<Vec<_>>()
    };
    a.0.len() == b.0.len() && rest(a) == rest(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svn_integers_have_one_encoding() {
        assert_eq!(small_integer(&[2, 1, 0]), Some(0));
        assert_eq!(small_integer(&[2, 1, 0x7f]), Some(0x7f));
        assert_eq!(small_integer(&[2, 2, 0, 0xdb]), Some(0xdb));
        for other in [
            &[2, 1, 0x80][..],
            &[2, 2, 0, 0x7f],
            &[2, 2, 1, 0],
            &[2, 1],
            &[2, 1, 0, 0],
            &[4, 1, 0],
            &[],
        ] {
            assert_eq!(small_integer(other), None, "{other:02x?}");
        }
    }

    #[test]
    fn ia5_strings_are_bounded_by_their_length() {
        assert_eq!(ia5_string(b"\x16\x05Genoa"), Some("Genoa"));
        for other in [
            &b"\x16\x06Genoa"[..],
            b"\x16\x04Genoa",
            b"\x0c\x05Genoa",
            b"\x16\x01\xff",
            b"\x16",
            b"",
        ] {
            assert_eq!(ia5_string(other), None);
        }
    }
}
