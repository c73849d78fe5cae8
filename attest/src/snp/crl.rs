//! AMD's revocation lists: the root of a generation (ARK) says which of its intermediates no longer count.
//!
//! RFC 5280, section 5, narrowed: version 2, RSA-PSS by the pinned root itself, with an end, complete (no delta,
//! no indirect entries), in its only encoding. A list in force is never older than "now" and never from the
//! future. AMD lists no chips: a single machine is withdrawn by suspending it on the ledger.

use sha2::Sha384;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::Uint;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extensions;
use x509_cert::spki::{DecodePublicKey, ObjectIdentifier};
use x509_cert::{Certificate as X509, Version};

use rsa::RsaPublicKey;
use rsa::pss::{Signature, VerifyingKey};
use rsa::signature::Verifier;

use super::generation::Generation;
use super::leaf::OID_RSA_PSS;
use super::roots::Roots;
use crate::collateral::{Collateral, CollateralKey, CollateralKind, Document};
use crate::limits::COLLATERAL_BYTES_MAX;
use crate::refusal::Refusal;

const OID_CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
/// How refusals name a list.
const WHAT: &str = "AMD CRL";

/// What a verified list says. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrlInfo {
    /// Begin, inclusive.
    pub(crate) this_update_ms: u64,
    /// End, inclusive to the second.
    pub(crate) next_update_ms: u64,
    /// The list's number, 0 where it has none.
    pub(crate) number: u64,
    /// Serial numbers of revoked certificates, big-endian.
    pub(crate) revoked: Vec<Vec<u8>>,
}

impl CrlInfo {
    /// Whether the list names a certificate, by the bytes of its serial number.
    pub(crate) fn revokes(&self, serial: &[u8]) -> bool {
        self.revoked.iter().any(|revoked| revoked == serial)
    }
}

/// Checks everything about a list: encoding, issuer, signature and that it is in force at `now_ms`.
///
/// # Errors
/// [`Refusal::CollateralEncoding`], [`Refusal::CollateralSignature`], [`Refusal::CollateralNotYetValid`] or
/// [`Refusal::CollateralExpired`].
pub(crate) fn check(
    list: &[u8],
    generation: Generation,
    roots: &Roots<'_>,
    now_ms: u64,
) -> Result<CrlInfo, Refusal> {
    let document = key(generation, roots);
    let root = roots.ark(generation)?;
    let (parsed, info) = parse(list)?;
    if parsed.tbs_cert_list.issuer != root.tbs_certificate.subject {
        return Err(loose("is not issued by the root of its generation"));
    }
    check_signature(&parsed, &root)?;
    let (issued_ms, next_update_ms) = (info.this_update_ms, info.next_update_ms);
    if now_ms / 1000 < issued_ms / 1000 {
        return Err(Refusal::CollateralNotYetValid {
            document,
            issued_ms,
            now_ms,
        });
    }
    if now_ms / 1000 > next_update_ms / 1000 {
        return Err(Refusal::CollateralExpired {
            document,
            next_update_ms,
            now_ms,
        });
    }
    Ok(info)
}

/// The list of `generation` that is held, if any.
pub(crate) fn held<'a>(
    collateral: &'a Collateral,
    generation: Generation,
    roots: &Roots<'_>,
) -> Option<&'a [u8]> {
    let wanted = key(generation, roots);
    let (_, update) = collateral.documents().find(|(key, _)| **key == wanted)?;
    match &update.document {
        Document::AmdCrl { list, .. } => Some(list),
        _ => None,
    }
}

/// Where the list of a generation stands.
pub(crate) fn key(generation: Generation, roots: &Roots<'_>) -> CollateralKey {
    CollateralKey {
        simulated: roots.is_simulator(),
        kind: CollateralKind::AmdCrl(generation),
    }
}

fn loose(reason: &'static str) -> Refusal {
    Refusal::CollateralEncoding { what: WHAT, reason }
}

/// Reads a list of which no byte can change without changing what is signed, or the signature. Says nothing
/// about who signed it.
pub(crate) fn parse(list: &[u8]) -> Result<(CertificateList, CrlInfo), Refusal> {
    if list.len() > COLLATERAL_BYTES_MAX {
        return Err(loose("is too long"));
    }
    let parsed = CertificateList::from_der(list).map_err(|_| loose("is not one DER revocation list"))?;
    if parsed.to_der().ok().as_deref() != Some(list) {
        return Err(loose("is not in its canonical encoding"));
    }
    let tbs = &parsed.tbs_cert_list;
    if tbs.version != Version::V2 {
        return Err(loose("is not of version 2"));
    }
    if parsed.signature_algorithm != tbs.signature {
        return Err(loose("outer and signed signature algorithms differ"));
    }
    if parsed.signature_algorithm.oid != OID_RSA_PSS {
        return Err(loose("is not signed by RSA-PSS"));
    }
    if parsed.signature.unused_bits() != 0 {
        return Err(loose("signature has unused bits"));
    }
    let next_update = tbs.next_update.ok_or(loose("has no end"))?;
    let entries = || tbs.revoked_certificates.iter().flatten();
    let number = crl_number(tbs.crl_extensions.as_ref())?;
    // RFC 5280, 5.3: whoever does not understand a critical part must not use the list.
    if entries().any(|entry| has_critical(entry.crl_entry_extensions.as_ref())) {
        return Err(loose("an entry has a critical extension"));
    }
    let ms = |time: x509_cert::time::Time| time.to_unix_duration().as_secs().saturating_mul(1000);
    let info = CrlInfo {
        this_update_ms: ms(tbs.this_update),
        next_update_ms: ms(next_update),
        number,
        revoked: entries()
            .map(|entry| entry.serial_number.as_bytes().to_vec())
            .collect(),
    };
    Ok((parsed, info))
}

fn has_critical(extensions: Option<&Extensions>) -> bool {
    extensions
        .into_iter()
        .flatten()
        .any(|extension| extension.critical)
}

/// The number of a list that has one, below 2^64.
fn crl_number(extensions: Option<&Extensions>) -> Result<u64, Refusal> {
    if has_critical(extensions) {
        return Err(loose("has a critical extension: it is not the complete list"));
    }
    let mut numbers = extensions
        .into_iter()
        .flatten()
        .filter(|extension| extension.extn_id == OID_CRL_NUMBER);
    let Some(first) = numbers.next() else { return Ok(0) };
    if numbers.next().is_some() {
        return Err(loose("has two numbers"));
    }
    let number = Uint::from_der(first.extn_value.as_bytes()).map_err(|_| loose("has no proper number"))?;
    let bytes = number.as_bytes();
    if bytes.len() > 8 {
        return Err(loose("has a number above 64 bits"));
    }
    Ok(bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

fn check_signature(list: &CertificateList, root: &X509) -> Result<(), Refusal> {
    let unsigned = || Refusal::CollateralSignature { what: WHAT };
    let key = root.tbs_certificate.subject_public_key_info.to_der();
    let key = key
        .ok()
        .and_then(|der| RsaPublicKey::from_public_key_der(&der).ok());
    let message = list.tbs_cert_list.to_der().map_err(|_| unsigned())?;
    let signature = Signature::try_from(list.signature.raw_bytes()).map_err(|_| unsigned())?;
    VerifyingKey::<Sha384>::new(key.ok_or_else(unsigned)?)
        .verify(&message, &signature)
        .map_err(|_| unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Platform;
    use crate::simulator::authority::SimulatorAuthority;
    use crate::trust::{NetworkClass, TrustRoots};
    use x509_cert::serial_number::SerialNumber;

    const NOW_MS: u64 = 1_790_000_000_000;

    #[test]
    fn every_bit_of_a_list_counts() {
        let authority = SimulatorAuthority::generate([1; 32], NOW_MS).unwrap();
        let trust = TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(authority.root()),
        };
        let roots = Roots::select(Platform::Simulated, &trust).unwrap();
        let check = |list: &[u8]| check(list, Generation::Turin, &roots, NOW_MS);
        let honest = authority
            .amd_crl(NOW_MS, NOW_MS + 1000, 258, &[3, 0x8000])
            .unwrap();
        let info = check(&honest).unwrap();
        assert_eq!(
            (info.number, info.this_update_ms, info.next_update_ms),
            (258, NOW_MS, NOW_MS + 1000)
        );
        for serial in [3u64, 0x8000] {
            assert!(info.revokes(SerialNumber::from(serial).as_bytes()));
        }
        assert!(!info.revokes(&[]) && !info.revokes(&[0]) && !info.revokes(&[2]));
        for bit in 0..honest.len() * 8 {
            let mut changed = honest.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&changed).is_err(), "bit {bit}");
        }
        for len in 0..honest.len() {
            assert!(check(&honest[..len]).is_err(), "{len} bytes");
        }
    }
}
