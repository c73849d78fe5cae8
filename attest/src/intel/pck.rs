//! The certificate of a machine's key (PCK), read strictly.
//!
//! Intel's "SGX PCK Certificate and Certificate Revocation List Profile Specification" fixes its extensions; the one
//! under 1.2.840.113741.1.13.1 says which machine it is and how new its firmware.

use core::fmt::Display;

use x509_cert::der::Decode;
use x509_cert::der::asn1::{Any, OctetString, Uint};
use x509_cert::spki::ObjectIdentifier;

use super::ec::Certificate;
use super::roots::{Authority, IntelRoots};
use crate::collateral::PckAuthority;
use crate::evidence::ChipId;
use crate::facts::Fmspc;
use crate::refusal::Refusal;
use crate::snp::leaf::{common_name, same_but_common_name};

/// The arc of everything that the SGX extension says.
pub(crate) const OID_SGX: &str = "1.2.840.113741.1.13.1";
const SGX_EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap(OID_SGX);
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// What else Intel puts in: key identifiers and where the revocation list is.
const INFORMATIVE: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.5.29.35"),
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
];
/// Digital signature and non-repudiation, as DER BIT STRING.
pub(crate) const USAGE_SIGNER: [u8; 4] = [3, 2, 6, 0xc0];
/// An empty SEQUENCE: no certificate authority.
pub(crate) const NO_AUTHORITY: [u8; 2] = [0x30, 0];
/// SGX types known: standard, scalable, scalable with integrity.
const SGX_TYPE_MAX: u8 = 2;

/// A parsed certificate whose encoding is canonical. Nothing here is trusted before its signature is.
pub(crate) struct Pck {
    pub(crate) certificate: Certificate,
    pub(crate) ppid: [u8; 16],
    pub(crate) instance: Option<[u8; 16]>,
    pub(crate) fmspc: Fmspc,
    pub(crate) cpu_svn: [u8; 16],
    pub(crate) pce_svn: u16,
    pub(crate) pce_id: [u8; 2],
    pub(crate) sgx_type: u8,
    pub(crate) dynamic_platform: Option<bool>,
    pub(crate) cached_keys: Option<bool>,
    pub(crate) smt: Option<bool>,
}

impl Pck {
    /// Checks 3 and 4, the part that needs no issuer.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, Refusal> {
        let certificate = Certificate::parse(der).map_err(|reason| Refusal::LeafEncoding { reason })?;
        check_extensions(&certificate)?;
        let sgx = certificate
            .extension(SGX_EXTENSION)
            .ok_or_else(|| missing("the SGX extension"))?;
        let mut fields = Fields::parse(sgx.extn_value.as_bytes(), "")?;
        let mut tcb = fields.nested("2")?;
        let mut components = [0; 16];
        for (arc, svn) in (1..).zip(components.iter_mut()) {
            *svn = u8::try_from(tcb.number(&arc.to_string())?).map_err(|_| missing("an SVN below 256"))?;
        }
        let pce_svn = tcb.number("17")?;
        let cpu_svn: [u8; 16] = tcb.octets("18")?;
        tcb.nothing_else()?;
        if cpu_svn != components {
            return Err(Refusal::LeafCpuSvn {
                have: hex::encode(cpu_svn),
                need: hex::encode(components),
            });
        }
        let sgx_type = fields.enumerated("5")?;
        let instance = fields.has("6").then(|| fields.octets("6")).transpose()?;
        let (mut dynamic_platform, mut cached_keys, mut smt) = (None, None, None);
        if fields.has("7") {
            let mut configuration = fields.nested("7")?;
            dynamic_platform = configuration.flag("1")?;
            cached_keys = configuration.flag("2")?;
            smt = configuration.flag("3")?;
            configuration.nothing_else()?;
        }
        let pck = Self {
            ppid: fields.octets("1")?,
            instance,
            fmspc: Fmspc(fields.octets("4")?),
            cpu_svn,
            pce_svn,
            pce_id: fields.octets("3")?,
            sgx_type,
            dynamic_platform,
            cached_keys,
            smt,
            certificate,
        };
        fields.nothing_else()?;
        Ok(pck)
    }

    /// Check 4: the pinned authority that issued it, and its names.
    pub(crate) fn check_issuer<'a>(
        &self,
        roots: &'a IntelRoots,
    ) -> Result<(PckAuthority, &'a Authority), Refusal> {
        let tbs = &self.certificate.x509.tbs_certificate;
        let found = roots
            .authority_named(&tbs.issuer)
            .ok_or_else(|| Refusal::LeafIssuer {
                have: self.issuer_name(),
            })?;
        let need = roots.leaf_name();
        if common_name(&tbs.subject).as_deref() != Some(need)
            || !same_but_common_name(&tbs.subject, found.1.name())
        {
            return Err(Refusal::LeafSubject {
                have: tbs.subject.to_string(),
                need,
            });
        }
        // A platform of several packages is told apart by its instance, see [`ChipId`].
        if (found.0 == PckAuthority::Platform) != self.instance.is_some() {
            return Err(missing(
                "a platform instance id exactly under the platform authority",
            ));
        }
        Ok(found)
    }

    pub(crate) fn chip_id(&self) -> ChipId {
        chip_id(&self.ppid, self.instance.as_ref())
    }

    pub(crate) fn issuer_name(&self) -> String {
        common_name(&self.certificate.x509.tbs_certificate.issuer).unwrap_or_default()
    }

    /// The validity for people, in UTC.
    pub(crate) fn validity(&self) -> impl Display {
        let validity = &self.certificate.x509.tbs_certificate.validity;
        format!("{} to {}", validity.not_before, validity.not_after)
    }
}

/// PPID, then the platform instance, then zeros.
pub(crate) fn chip_id(ppid: &[u8; 16], instance: Option<&[u8; 16]>) -> ChipId {
    let mut id = [0; 64];
    let bytes = ppid.iter().chain(instance.into_iter().flatten());
    for (slot, byte) in id.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    ChipId(id)
}

fn missing(what: &str) -> Refusal {
    Refusal::LeafExtensions {
        reason: format!("{what} is missing"),
    }
}

/// Exactly what Intel issues: no machine's key certifies others, and no critical extension is unknown.
fn check_extensions(certificate: &Certificate) -> Result<(), Refusal> {
    let refuse = |reason: String| Err(Refusal::LeafExtensions { reason });
    let mut seen = Vec::new();
    for extension in certificate.x509.tbs_certificate.extensions.iter().flatten() {
        let oid = extension.extn_id;
        if seen.contains(&oid) {
            return refuse(format!("{oid} is there twice"));
        }
        seen.push(oid);
        let strict = oid == KEY_USAGE || oid == BASIC_CONSTRAINTS;
        if !strict && oid != SGX_EXTENSION && !INFORMATIVE.contains(&oid) {
            return refuse(format!("{oid} does not belong in a PCK certificate"));
        }
        if extension.critical != strict {
            return refuse(format!("{oid} is wrong about being critical"));
        }
    }
    if !is_signer(certificate) {
        return refuse("it may do more than sign".to_owned());
    }
    Ok(())
}

/// Whether a certificate may sign statements and nothing else.
pub(crate) fn is_signer(certificate: &Certificate) -> bool {
    let value = |oid| {
        certificate
            .extension(oid)
            .map(|extension| extension.extn_value.as_bytes())
    };
    value(KEY_USAGE) == Some(&USAGE_SIGNER[..]) && value(BASIC_CONSTRAINTS) == Some(&NO_AUTHORITY[..])
}

/// `SEQUENCE OF SEQUENCE { OID, value }`: what is asked for is taken out, so that what is left over shows.
struct Fields {
    prefix: String,
    entries: Vec<(String, Any)>,
}

impl Fields {
    fn parse(der: &[u8], arc: &str) -> Result<Self, Refusal> {
        let refuse = || missing("a readable SGX extension");
        let list = Vec::<Any>::from_der(der).map_err(|_| refuse())?;
        let mut entries: Vec<(String, Any)> = Vec::new();
        for entry in list {
            let pair: Vec<Any> = entry.decode_as().map_err(|_| refuse())?;
            let [oid, value] = <[Any; 2]>::try_from(pair).map_err(|_| refuse())?;
            let oid: ObjectIdentifier = oid.decode_as().map_err(|_| refuse())?;
            let oid = oid.to_string();
            if entries.iter().any(|(seen, _)| *seen == oid) {
                return Err(Refusal::LeafExtensions {
                    reason: format!("{oid} is there twice"),
                });
            }
            entries.push((oid, value));
        }
        let dot = if arc.is_empty() { "" } else { "." };
        Ok(Self {
            prefix: format!("{OID_SGX}{dot}{arc}."),
            entries,
        })
    }

    fn position(&self, arc: &str) -> Option<usize> {
        let oid = format!("{}{arc}", self.prefix);
        self.entries.iter().position(|(have, _)| *have == oid)
    }

    fn has(&self, arc: &str) -> bool {
        self.position(arc).is_some()
    }

    fn take(&mut self, arc: &str) -> Result<Any, Refusal> {
        let at = self.position(arc);
        let at = at.ok_or_else(|| missing(&format!("{}{arc}", self.prefix)))?;
        Ok(self.entries.swap_remove(at).1)
    }

    fn unreadable(&self, arc: &str) -> Refusal {
        Refusal::LeafExtensions {
            reason: format!("{}{arc} has another type or length than Intel's", self.prefix),
        }
    }

    fn nested(&mut self, arc: &str) -> Result<Self, Refusal> {
        use x509_cert::der::Encode;
        let value = self.take(arc)?;
        let der = value.to_der().map_err(|_| self.unreadable(arc))?;
        Self::parse(&der, arc)
    }

    fn octets<const N: usize>(&mut self, arc: &str) -> Result<[u8; N], Refusal> {
        let value = self.take(arc)?;
        let octets = value.decode_as::<OctetString>().ok();
        octets
            .and_then(|octets| <[u8; N]>::try_from(octets.as_bytes()).ok())
            .ok_or_else(|| self.unreadable(arc))
    }

    fn number(&mut self, arc: &str) -> Result<u16, Refusal> {
        let value = self.take(arc)?;
        let number = value.decode_as::<Uint>().ok();
        match number.as_ref().map(Uint::as_bytes) {
            Some([low]) => Ok(u16::from(*low)),
            Some([high, low]) => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(self.unreadable(arc)),
        }
    }

    fn enumerated(&mut self, arc: &str) -> Result<u8, Refusal> {
        use x509_cert::der::{Tag, Tagged};
        let value = self.take(arc)?;
        match value.value() {
            [kind @ 0..=SGX_TYPE_MAX] if value.tag() == Tag::Enumerated => Ok(*kind),
            _ => Err(self.unreadable(arc)),
        }
    }

    fn flag(&mut self, arc: &str) -> Result<Option<bool>, Refusal> {
        if !self.has(arc) {
            return Ok(None);
        }
        let value = self.take(arc)?;
        value.decode_as().map(Some).map_err(|_| self.unreadable(arc))
    }

    fn nothing_else(&self) -> Result<(), Refusal> {
        match self.entries.first() {
            None => Ok(()),
            Some((oid, _)) => Err(Refusal::LeafExtensions {
                reason: format!("{oid} is unknown"),
            }),
        }
    }
}
