//! Revocation lists (RFC 5280, section 5), read strictly: of Intel's root and authorities, and of AMD's roots.

use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::Verifier;
use sha2::Sha384;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::{ObjectIdentifier, Uint};
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::{Certificate as X509, Version};

use crate::intel::ec::{self, seconds};

const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
/// Longest number read, in bytes: Intel counts from 1.
const NUMBER_BYTES_MAX: usize = 8;

/// A parsed list in its canonical encoding. Nothing here is trusted before its signature is.
pub(crate) struct List {
    list: CertificateList,
    /// First second, Unix time.
    pub(crate) issued: u64,
    /// Last second, Unix time, inclusive.
    pub(crate) next_update: u64,
    /// 0 where the list has none.
    pub(crate) number: u64,
}

impl List {
    /// The error says what is wrong with the bytes.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, &'static str> {
        let list = ec::parse_list(der)?;
        let tbs = &list.tbs_cert_list;
        if tbs.version != Version::V2 {
            return Err("is not of version 2");
        }
        if list.signature_algorithm != tbs.signature {
            return Err("outer and signed signature algorithms differ");
        }
        if list.signature.as_bytes().is_none() {
            return Err("signature has unused bits");
        }
        let issued = seconds(&tbs.this_update);
        let next_update = tbs.next_update.as_ref().map(seconds).ok_or("has no end")?;
        if next_update < issued {
            return Err("ends before it begins");
        }
        let mut number = None;
        for extension in tbs.crl_extensions.iter().flatten() {
            if extension.extn_id == CRL_NUMBER {
                let read = read_number(extension.extn_value.as_bytes())?;
                if number.replace(read).is_some() {
                    return Err("has two numbers");
                }
            } else if extension.extn_id != AUTHORITY_KEY {
                // A delta, or a list of some reasons only, would be read as complete.
                return Err("has an extension that this code does not know");
            }
        }
        // RFC 5280, 5.3: whoever does not understand a critical part of an entry must not use the list.
        let entries = tbs.revoked_certificates.iter().flatten();
        let mut extensions = entries.flat_map(|entry| entry.crl_entry_extensions.iter().flatten());
        if extensions.any(|extension| extension.critical) {
            return Err("has an entry with a critical extension");
        }
        Ok(Self {
            issued,
            next_update,
            number: number.unwrap_or_default(),
            list,
        })
    }

    pub(crate) fn issuer(&self) -> &Name {
        &self.list.tbs_cert_list.issuer
    }

    /// Whether a certificate of the issuer's is on the list.
    pub(crate) fn revokes(&self, serial: &[u8]) -> bool {
        let revoked = self.list.tbs_cert_list.revoked_certificates.iter().flatten();
        revoked
            .into_iter()
            .any(|entry| entry.serial_number.as_bytes() == serial)
    }

    /// Whether the holder of a P-256 key signed it.
    pub(crate) fn is_signed_by_p256(&self, issuer: &ec::Certificate) -> bool {
        let list = &self.list;
        let shape = ec::check_signature_shape(
            &list.signature_algorithm,
            &list.tbs_cert_list.signature,
            &list.signature,
        );
        shape.is_ok() && ec::signs(&issuer.key, &list.tbs_cert_list, &list.signature)
    }

    /// Whether the holder of an RSA key signed it by PSS with SHA-384, as AMD does, with the parameters of the
    /// issuer's own signature.
    pub(crate) fn is_signed_by_rsa(&self, issuer: &X509) -> bool {
        let list = &self.list;
        if list.signature_algorithm != issuer.signature_algorithm {
            return false;
        }
        let spki = issuer.tbs_certificate.subject_public_key_info.to_der();
        let key = spki
            .ok()
            .and_then(|der| RsaPublicKey::from_public_key_der(&der).ok());
        let signature = list.signature.as_bytes();
        let signature = signature.and_then(|bytes| Signature::try_from(bytes).ok());
        match (key, signature, list.tbs_cert_list.to_der()) {
            (Some(key), Some(signature), Ok(message)) => VerifyingKey::<Sha384>::new(key)
                .verify(&message, &signature)
                .is_ok(),
            _ => false,
        }
    }
}

fn read_number(der: &[u8]) -> Result<u64, &'static str> {
    let number = Uint::from_der(der).map_err(|_| "has an unreadable number")?;
    let bytes = number.as_bytes();
    if bytes.len() > NUMBER_BYTES_MAX {
        return Err("has a number above 2^64");
    }
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
