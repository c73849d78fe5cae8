//! The part of the throw-away authority that plays Intel: its root, the authority that signs machines, and the signer
//! of TCB infos and QE identities.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use x509_cert::der::asn1::{Any, BitString, OctetString};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x509_cert::time::Validity;
use x509_cert::{Certificate, TbsCertificate, Version};
use zeroize::Zeroizing;

use super::authority::{failed, subject, unusable, validity};
use super::subseed;
use crate::intel::ec::{OID_EC_PUBLIC_KEY, OID_ECDSA_SHA256, OID_P256};
use crate::quote_error::QuoteError;

pub(crate) const OID_BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
pub(crate) const OID_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
/// Candidate scalars tried for a key; each fails with a chance of 2^-32.
const KEY_TRIES: u8 = 16;

/// Keys and certificates.
pub(super) struct IntelAuthority {
    pub(super) root_key: SigningKey,
    pub(super) ca_key: SigningKey,
    pub(super) signer_key: SigningKey,
    pub(super) root: Vec<u8>,
    pub(super) ca: Vec<u8>,
    pub(super) signer: Vec<u8>,
}

/// What a certificate may do.
pub(super) enum Role {
    Authority { below: u8 },
    Signer,
}

impl IntelAuthority {
    pub(super) fn generate(seed: &[u8; 32], now_ms: u64, life_s: u64) -> Result<Self, QuoteError> {
        let key = |purpose: &[u8]| scalar_key(&subseed(seed, purpose));
        let (root_key, ca_key, signer_key) = (
            key(b"intel root")?,
            key(b"intel pck ca")?,
            key(b"intel tcb signer")?,
        );
        let root_name = subject("SIM-SGX Root CA")?;
        let validity = validity(now_ms, life_s)?;
        let certify = |name: Name, key: &SigningKey, serial: u8, role: Role| {
            issue(
                &root_key,
                root_name.clone(),
                name,
                validity,
                public_key(key)?,
                SerialNumber::from(serial),
                role.extensions()?,
            )
        };
        let root = certify(root_name.clone(), &root_key, 1, Role::Authority { below: 1 })?;
        let ca_name = subject("SIM-SGX PCK Platform CA")?;
        let ca = certify(ca_name, &ca_key, 2, Role::Authority { below: 0 })?;
        let signer = certify(subject("SIM-SGX TCB Signing")?, &signer_key, 3, Role::Signer)?;
        Ok(Self {
            root_key,
            ca_key,
            signer_key,
            root,
            ca,
            signer,
        })
    }

    pub(super) fn keys(&self) -> [Zeroizing<[u8; 32]>; 3] {
        [&self.root_key, &self.ca_key, &self.signer_key].map(|key| Zeroizing::new(key.to_bytes().into()))
    }

    pub(super) fn from_keys(
        keys: &[[u8; 32]; 3],
        root: Vec<u8>,
        ca: Vec<u8>,
        signer: Vec<u8>,
    ) -> Result<Self, QuoteError> {
        let key = |bytes: &[u8; 32]| SigningKey::from_slice(bytes).map_err(unusable("not a P-256 key"));
        let [root_key, ca_key, signer_key] = keys;
        Ok(Self {
            root_key: key(root_key)?,
            ca_key: key(ca_key)?,
            signer_key: key(signer_key)?,
            root,
            ca,
            signer,
        })
    }
}

impl Role {
    pub(super) fn extensions(&self) -> Result<Vec<Extension>, QuoteError> {
        let (usage, constraints) = match *self {
            Self::Authority { below } => (
                KeyUsages::KeyCertSign | KeyUsages::CRLSign,
                BasicConstraints {
                    ca: true,
                    path_len_constraint: Some(below),
                },
            ),
            Self::Signer => (
                KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
                BasicConstraints {
                    ca: false,
                    path_len_constraint: None,
                },
            ),
        };
        let critical = |oid, value: Vec<u8>| -> Result<Extension, QuoteError> {
            Ok(Extension {
                extn_id: oid,
                critical: true,
                extn_value: OctetString::new(value).map_err(failed("an extension"))?,
            })
        };
        Ok(vec![
            critical(
                OID_KEY_USAGE,
                KeyUsage(usage).to_der().map_err(failed("an extension"))?,
            )?,
            critical(
                OID_BASIC_CONSTRAINTS,
                constraints.to_der().map_err(failed("an extension"))?,
            )?,
        ])
    }
}

/// A P-256 key that depends on the seed alone.
pub(super) fn scalar_key(seed: &[u8; 32]) -> Result<SigningKey, QuoteError> {
    for attempt in 0..KEY_TRIES {
        let mut hasher = blake3::Hasher::new_derive_key("tacit 2026 simulated p256 key");
        hasher.update(seed).update(&[attempt]);
        let candidate = Zeroizing::new(<[u8; 32]>::from(hasher.finalize()));
        if let Ok(key) = SigningKey::from_slice(candidate.as_ref()) {
            return Ok(key);
        }
    }
    Err(QuoteError::Simulator { what: "a P-256 key" })
}

pub(super) fn algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: OID_ECDSA_SHA256,
        parameters: None,
    }
}

pub(super) fn public_key(key: &SigningKey) -> Result<SubjectPublicKeyInfoOwned, QuoteError> {
    let point = key.verifying_key().to_sec1_point(false);
    Ok(SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned {
            oid: OID_EC_PUBLIC_KEY,
            parameters: Some(Any::encode_from(&OID_P256).map_err(failed("a public key"))?),
        },
        subject_public_key: BitString::from_bytes(point.as_bytes()).map_err(failed("a public key"))?,
    })
}

/// The signature over what encodes to `message`, as X.509 carries it.
pub(super) fn sign_der(key: &SigningKey, message: &impl Encode) -> Result<BitString, QuoteError> {
    let message = message.to_der().map_err(failed("a signed structure"))?;
    let signature: Signature = key.try_sign(&message).map_err(failed("a signature"))?;
    BitString::from_bytes(signature.to_der().as_bytes()).map_err(failed("a signature"))
}

/// `r` and `s`, 32 bytes each.
pub(super) fn sign_raw(key: &SigningKey, message: &[u8]) -> Result<[u8; 64], QuoteError> {
    let signature: Signature = key.try_sign(message).map_err(failed("a signature"))?;
    Ok(signature.to_bytes().into())
}

/// The subject of a certificate, to be somebody's issuer.
pub(super) fn subject_of(der: &[u8]) -> Result<Name, QuoteError> {
    Certificate::from_der(der)
        .map(|certificate| certificate.tbs_certificate.subject)
        .map_err(unusable("certificate does not parse"))
}

pub(super) fn issue(
    signer: &SigningKey,
    issuer: Name,
    subject: Name,
    validity: Validity,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    serial_number: SerialNumber,
    extensions: Vec<Extension>,
) -> Result<Vec<u8>, QuoteError> {
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number,
        signature: algorithm(),
        issuer,
        validity,
        subject,
        subject_public_key_info,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: Some(extensions),
    };
    let signature = sign_der(signer, &tbs_certificate)?;
    Certificate {
        tbs_certificate,
        signature_algorithm: algorithm(),
        signature,
    }
    .to_der()
    .map_err(failed("a certificate"))
}
