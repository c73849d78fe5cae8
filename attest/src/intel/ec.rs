//! X.509 under ECDSA P-256 with SHA-256, the only signatures of Intel's PKI, read strictly: no byte of a certificate
//! or list can change without changing what is signed, or the signature.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use x509_cert::Certificate as X509;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::spki::{AlgorithmIdentifierOwned, ObjectIdentifier};
use x509_cert::time::Time;

pub(crate) const OID_ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
pub(crate) const OID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(crate) const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// Bytes of an uncompressed P-256 point.
const POINT_LEN: usize = 65;

/// A certificate whose encoding is canonical, and its key. Nothing here is trusted before its signature is.
pub(crate) struct Certificate {
    pub(crate) x509: X509,
    pub(crate) key: VerifyingKey,
}

impl Certificate {
    /// The error says what is loose.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, &'static str> {
        let x509 = X509::from_der(der).map_err(|_| "is not one DER certificate")?;
        if x509.to_der().ok().as_deref() != Some(der) {
            return Err("is not in its canonical encoding");
        }
        let tbs = &x509.tbs_certificate;
        check_signature_shape(&x509.signature_algorithm, &tbs.signature, &x509.signature)?;
        if tbs.issuer_unique_id.is_some() || tbs.subject_unique_id.is_some() {
            return Err("has unique ids");
        }
        let spki = &tbs.subject_public_key_info;
        let curve = spki.algorithm.parameters.as_ref();
        let curve = curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
        if spki.algorithm.oid != OID_EC_PUBLIC_KEY || curve != Some(OID_P256) {
            return Err("public key is not on P-256");
        }
        let point = spki.subject_public_key.as_bytes();
        let point = point.filter(|point| point.len() == POINT_LEN);
        let key = point
            .and_then(|point| VerifyingKey::from_sec1_bytes(point).ok())
            .ok_or("public key is not an uncompressed point of P-256")?;
        Ok(Self { x509, key })
    }

    /// Whether `issuer` signed it.
    pub(crate) fn is_signed_by(&self, issuer: &VerifyingKey) -> bool {
        signs(issuer, &self.x509.tbs_certificate, &self.x509.signature)
    }

    /// First and last second of validity, Unix time.
    pub(crate) fn validity(&self) -> (u64, u64) {
        let validity = &self.x509.tbs_certificate.validity;
        (seconds(&validity.not_before), seconds(&validity.not_after))
    }

    pub(crate) fn serial(&self) -> &[u8] {
        self.x509.tbs_certificate.serial_number.as_bytes()
    }

    /// The only extension of a kind; `None` when there is none or more than one.
    pub(crate) fn extension(&self, oid: ObjectIdentifier) -> Option<&Extension> {
        let all = self.x509.tbs_certificate.extensions.iter().flatten();
        let mut found = all.filter(|extension| extension.extn_id == oid);
        found.next().filter(|_| found.next().is_none())
    }
}

/// A revocation list in its canonical encoding.
pub(crate) fn parse_list(der: &[u8]) -> Result<CertificateList, &'static str> {
    let list = CertificateList::from_der(der).map_err(|_| "is not one DER revocation list")?;
    if list.to_der().ok().as_deref() != Some(der) {
        return Err("is not in its canonical encoding");
    }
    Ok(list)
}

/// Outer and signed algorithm agree, and the signature has one encoding.
pub(crate) fn check_signature_shape(
    outer: &AlgorithmIdentifierOwned,
    signed: &AlgorithmIdentifierOwned,
    signature: &BitString,
) -> Result<(), &'static str> {
    if outer != signed {
        return Err("outer and signed signature algorithms differ");
    }
    if outer.oid != OID_ECDSA_SHA256 || outer.parameters.is_some() {
        return Err("is not signed by ECDSA with SHA-256");
    }
    let der = signature.as_bytes().ok_or("signature has unused bits")?;
    let canonical = Signature::from_der(der).is_ok_and(|value| value.to_der().as_bytes() == der);
    if canonical {
        Ok(())
    } else {
        Err("signature is not in its canonical encoding")
    }
}

/// Whether `key` signed what `signed` encodes to.
pub(crate) fn signs(key: &VerifyingKey, signed: &impl Encode, signature: &BitString) -> bool {
    let (Ok(message), Some(der)) = (signed.to_der(), signature.as_bytes()) else {
        return false;
    };
    Signature::from_der(der).is_ok_and(|signature| key.verify(&message, &signature).is_ok())
}

/// Whether `key` signed `message`, by `r` and `s` of 32 bytes each, big-endian.
pub(crate) fn signs_raw(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

/// A key from its coordinates, big-endian.
pub(crate) fn key_from_coordinates(coordinates: &[u8; 64]) -> Option<VerifyingKey> {
    let mut point = [4; POINT_LEN];
    let (_, tail) = point.split_at_mut(1);
    tail.copy_from_slice(coordinates);
    VerifyingKey::from_sec1_bytes(&point).ok()
}

pub(crate) fn seconds(time: &Time) -> u64 {
    time.to_unix_duration().as_secs()
}
