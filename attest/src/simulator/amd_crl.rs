//! The simulator's ARK also revokes: lists for every test of check 8.

use core::time::Duration;

use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::SeedableRng;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, GeneralizedTime, OctetString, UtcTime};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{DynSignatureAlgorithmIdentifier, ObjectIdentifier};
use x509_cert::time::Time;
use x509_cert::{Certificate, Version};

use super::authority::{SimulatorAuthority, failed};
use super::subseed;
use crate::quote_error::QuoteError;

/// cRLNumber, RFC 5280, 5.2.3.
const OID_CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
const WHAT: &str = "a revocation list";

impl SimulatorAuthority {
    /// A list as AMD's root would sign it: in force from `this_update_ms` to `next_update_ms` (Unix
    /// milliseconds, cut to seconds), with a number, naming the serial numbers in `revoked`. The simulator's
    /// own certificates all have serial number 0. The same arguments make the same list.
    pub fn amd_crl(
        &self,
        this_update_ms: u64,
        next_update_ms: u64,
        number: u64,
        revoked: &[u64],
    ) -> Result<Vec<u8>, QuoteError> {
        let root = Certificate::from_der(&self.root().ark).map_err(failed(WHAT))?;
        let algorithm = self.ark.signature_algorithm_identifier().map_err(failed(WHAT))?;
        let this_update = time(this_update_ms)?;
        let entries = revoked.iter().map(|serial| RevokedCert {
            serial_number: SerialNumber::from(*serial),
            revocation_date: this_update,
            crl_entry_extensions: None,
        });
        let entries: Vec<_> = entries.collect();
        let number_extension = Extension {
            extn_id: OID_CRL_NUMBER,
            critical: false,
            extn_value: number.to_der().and_then(OctetString::new).map_err(failed(WHAT))?,
        };
        let tbs_cert_list = TbsCertList {
            version: Version::V2,
            signature: algorithm.clone(),
            issuer: root.tbs_certificate.subject,
            this_update,
            next_update: Some(time(next_update_ms)?),
            // RFC 5280, 5.1.2.6: absent, not empty.
            revoked_certificates: (!entries.is_empty()).then_some(entries),
            crl_extensions: Some(vec![number_extension]),
        };
        let message = tbs_cert_list.to_der().map_err(failed(WHAT))?;
        // Salt from what is signed: no randomness is at hand, and none is needed.
        let mut rng = ChaCha20Rng::from_seed(*subseed(blake3::hash(&message).as_bytes(), b"crl"));
        let signature = self
            .ark
            .try_sign_with_rng(&mut rng, &message)
            .map_err(failed(WHAT))?;
        CertificateList {
            tbs_cert_list,
            signature_algorithm: algorithm,
            signature: BitString::from_bytes(&signature.to_bytes()).map_err(failed(WHAT))?,
        }
        .to_der()
        .map_err(failed(WHAT))
    }
}

/// RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime after.
fn time(ms: u64) -> Result<Time, QuoteError> {
    let duration = Duration::from_secs(ms / 1000);
    UtcTime::from_unix_duration(duration)
        .map(Time::UtcTime)
        .or_else(|_| GeneralizedTime::from_unix_duration(duration).map(Time::GeneralTime))
        .map_err(failed(WHAT))
}
