//! The bytes of a quote: Intel's "Quote Generation Library" formats 3, 4 and 5 (`sgx_quote_3.h` to
//! `sgx_quote_5.h`). All integers are little-endian.
//!
//! ```text
//! header 48 │ [v5: body type 2, length 4] │ body 384/584/648/885 │ length 4 │ signature data
//!
//! signature data: signature 64 │ attestation key 64 │ [v4, v5: type 6 2, length 4] │
//!                 QE report 384 │ its signature 64 │ length 2, QE's data 32 │ type 5 2, length 4, certificates
//! ```
//!
//! The reader is as strict as the writer: [`Quote::parse`] accepts the bytes that [`Quote::to_bytes`] makes and no
//! others, so every length is exact and nothing follows.

use super::bytes::{Cursor, Sink};
use crate::refusal::Refusal;

/// Bytes of a quote's header.
pub const QUOTE_HEADER_LEN: usize = 48;
/// Bytes of an enclave's report.
pub const ENCLAVE_REPORT_LEN: usize = 384;
/// Bytes of a TD report of TDX 1.0, 1.5 and 1.5 with the extended body.
pub const TD_REPORT_LENS: [usize; 3] = [584, 648, 885];
/// Intel's quoting enclaves.
pub const QE_VENDOR_INTEL: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
/// ECDSA P-256 with SHA-256.
pub(crate) const KEY_TYPE_P256: u16 = 2;
pub(crate) const TEE_SGX: u32 = 0;
pub(crate) const TEE_TDX: u32 = 0x81;
const BODY_TD10: u16 = 2;
const BODY_TD15: u16 = 3;
const BODY_TD15_EX: u16 = 4;
/// The certification data is the QE's report and what certifies that.
const CERTIFIED_BY_QE_REPORT: u16 = 6;
/// The certification data is a chain of certificates as PEM.
const CERTIFIED_BY_CHAIN: u16 = 5;
/// Bytes of the QE's authentication data; Intel's library hashes no other length.
pub(crate) const QE_DATA_LEN: usize = 32;

/// The first 48 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteHeader {
    /// 3 for SGX; 4 or 5 for TDX.
    pub version: u16,
    /// 2 is ECDSA P-256, the only kind there is.
    pub key_type: u16,
    /// 0 is SGX, 0x81 is TDX.
    pub tee_type: u32,
    /// Version 3: SVN of the QE and of the PCE. Later versions: reserved.
    pub reserved: [u8; 4],
    /// See [`QE_VENDOR_INTEL`].
    pub qe_vendor: [u8; 16],
    /// The QE's id of the machine, which nothing checks, and four zero bytes.
    pub user_data: [u8; 20],
}

/// What is attested.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one in each quote, never in a list")]
pub enum QuoteBody {
    /// An enclave; version 3.
    Enclave(EnclaveReport),
    /// A trust domain; versions 4 and 5.
    Td(TdReport),
}

/// A report about an enclave: the application's, or that of the quoting enclave itself. `REPORTBODY` of Intel's
/// SDM, volume 3D, 38.15.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnclaveReport {
    /// SVN of the CPU.
    pub cpu_svn: [u8; 16],
    /// What the CPU stores of exceptions.
    pub misc_select: u32,
    /// Twelve reserved bytes and the extended product id of key separation and sharing (KSS).
    pub extended: [u8; 28],
    /// Attributes and XFRM.
    pub attributes: [u8; 16],
    /// Build of the enclave.
    pub mr_enclave: [u8; 32],
    /// Reserved.
    pub reserved2: [u8; 32],
    /// Whose key signed it.
    pub mr_signer: [u8; 32],
    /// 32 reserved bytes and the configuration id of KSS.
    pub config: [u8; 96],
    /// Product number.
    pub isv_prod_id: u16,
    /// Security version.
    pub isv_svn: u16,
    /// Configuration's SVN, 42 reserved bytes and the family id of KSS.
    pub family: [u8; 60],
    /// The enclave's own 64 bytes.
    pub report_data: [u8; 64],
}

/// A report about a trust domain, as the TD quoting enclave puts it into a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdReport {
    /// SVNs of the TDX module (0), its major version (1) and its late microcode (2) at launch.
    pub tee_tcb_svn: [u8; 16],
    /// The TDX module.
    pub mr_seam: [u8; 48],
    /// Whose key signed the module; zero for Intel's.
    pub mr_signer_seam: [u8; 48],
    /// Attributes of the module.
    pub seam_attributes: [u8; 8],
    /// Attributes of the domain.
    pub td_attributes: u64,
    /// Extended features that the domain may use.
    pub xfam: u64,
    /// Build of the domain.
    pub mr_td: [u8; 48],
    /// Set by the owner at launch.
    pub mr_config_id: [u8; 48],
    /// Set by the owner at launch.
    pub mr_owner: [u8; 48],
    /// Set by the owner at launch.
    pub mr_owner_config: [u8; 48],
    /// Extended at run time.
    pub rtmr: [[u8; 48]; 4],
    /// The guest's 64 bytes.
    pub report_data: [u8; 64],
    /// What TDX 1.5 adds; only in version 5.
    pub td15: Option<Td15>,
}

/// What TDX 1.5 adds to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td15 {
    /// The SVNs now.
    pub tee_tcb_svn2: [u8; 16],
    /// Service domains bound to this one.
    pub mr_service_td: [u8; 48],
    /// The extended body.
    pub extended: Option<Td15Extended>,
}

/// What the extended body of TDX 1.5 adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Td15Extended {
    /// Which partition of the domain asked; 0 is the domain itself.
    pub vm_id: u8,
    /// This run of the domain.
    pub td_id: [u8; 32],
    /// Hash of the devices assigned.
    pub device_info: [u8; 48],
    /// Service domains and the machine at creation: filled only where service domains may be bound, which is
    /// refused, so these bytes are zero.
    pub service: [u8; 156],
}

/// A whole quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Format and producer.
    pub header: QuoteHeader,
    /// What is attested.
    pub body: QuoteBody,
    /// `r` and `s` of the attestation key over header and body.
    pub signature: [u8; 64],
    /// `x` and `y` of the attestation key.
    pub attestation_key: [u8; 64],
    /// The quoting enclave's report, which commits to the attestation key.
    pub qe_report: EnclaveReport,
    /// `r` and `s` of the machine's key (PCK) over the report.
    pub qe_signature: [u8; 64],
    /// The quoting enclave's own data.
    pub qe_data: [u8; QE_DATA_LEN],
    /// The chain of certificates as PEM; empty in evidence.
    pub certificates: Vec<u8>,
}

impl QuoteHeader {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            version: cursor.u16("the header")?,
            key_type: cursor.u16("the header")?,
            tee_type: cursor.u32("the header")?,
            reserved: cursor.array("the header")?,
            qe_vendor: cursor.array("the header")?,
            user_data: cursor.array("the header")?,
        })
    }

    fn write(&self, sink: &mut Sink) {
        sink.u16(self.version);
        sink.u16(self.key_type);
        sink.u32(self.tee_type);
        sink.put(&self.reserved);
        sink.put(&self.qe_vendor);
        sink.put(&self.user_data);
    }
}

impl EnclaveReport {
    fn read(cursor: &mut Cursor<'_>, what: &'static str) -> Result<Self, Refusal> {
        Ok(Self {
            cpu_svn: cursor.array(what)?,
            misc_select: cursor.u32(what)?,
            extended: cursor.array(what)?,
            attributes: cursor.array(what)?,
            mr_enclave: cursor.array(what)?,
            reserved2: cursor.array(what)?,
            mr_signer: cursor.array(what)?,
            config: cursor.array(what)?,
            isv_prod_id: cursor.u16(what)?,
            isv_svn: cursor.u16(what)?,
            family: cursor.array(what)?,
            report_data: cursor.array(what)?,
        })
    }

    fn write(&self, sink: &mut Sink) {
        sink.put(&self.cpu_svn);
        sink.u32(self.misc_select);
        sink.put(&self.extended);
        sink.put(&self.attributes);
        sink.put(&self.mr_enclave);
        sink.put(&self.reserved2);
        sink.put(&self.mr_signer);
        sink.put(&self.config);
        sink.u16(self.isv_prod_id);
        sink.u16(self.isv_svn);
        sink.put(&self.family);
        sink.put(&self.report_data);
    }

    /// The 384 bytes that a report's signature covers.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sink = Sink::default();
        self.write(&mut sink);
        sink.0
    }
}

impl TdReport {
    fn read(cursor: &mut Cursor<'_>, kind: u16) -> Result<Self, Refusal> {
        const WHAT: &str = "the TD report";
        let mut report = Self {
            tee_tcb_svn: cursor.array(WHAT)?,
            mr_seam: cursor.array(WHAT)?,
            mr_signer_seam: cursor.array(WHAT)?,
            seam_attributes: cursor.array(WHAT)?,
            td_attributes: cursor.u64(WHAT)?,
            xfam: cursor.u64(WHAT)?,
            mr_td: cursor.array(WHAT)?,
            mr_config_id: cursor.array(WHAT)?,
            mr_owner: cursor.array(WHAT)?,
            mr_owner_config: cursor.array(WHAT)?,
            rtmr: [
                cursor.array(WHAT)?,
                cursor.array(WHAT)?,
                cursor.array(WHAT)?,
                cursor.array(WHAT)?,
            ],
            report_data: cursor.array(WHAT)?,
            td15: None,
        };
        if kind == BODY_TD15 || kind == BODY_TD15_EX {
            report.td15 = Some(Td15 {
                tee_tcb_svn2: cursor.array(WHAT)?,
                mr_service_td: cursor.array(WHAT)?,
                extended: if kind == BODY_TD15_EX {
                    Some(Td15Extended {
                        vm_id: cursor.array::<1>(WHAT)?[0],
                        td_id: cursor.array(WHAT)?,
                        device_info: cursor.array(WHAT)?,
                        service: cursor.array(WHAT)?,
                    })
                } else {
                    None
                },
            });
        }
        Ok(report)
    }

    fn write(&self, sink: &mut Sink) {
        sink.put(&self.tee_tcb_svn);
        sink.put(&self.mr_seam);
        sink.put(&self.mr_signer_seam);
        sink.put(&self.seam_attributes);
        sink.put(&self.td_attributes.to_le_bytes());
        sink.put(&self.xfam.to_le_bytes());
        for register in [
            &self.mr_td,
            &self.mr_config_id,
            &self.mr_owner,
            &self.mr_owner_config,
        ] {
            sink.put(register);
        }
        self.rtmr.iter().for_each(|register| sink.put(register));
        sink.put(&self.report_data);
        if let Some(td15) = &self.td15 {
            sink.put(&td15.tee_tcb_svn2);
            sink.put(&td15.mr_service_td);
            if let Some(extended) = &td15.extended {
                sink.put(&[extended.vm_id]);
                sink.put(&extended.td_id);
                sink.put(&extended.device_info);
                sink.put(&extended.service);
            }
        }
    }

    /// The number of its layout, which version 5 names.
    fn kind(&self) -> u16 {
        match &self.td15 {
            None => BODY_TD10,
            Some(Td15 { extended: None, .. }) => BODY_TD15,
            Some(_) => BODY_TD15_EX,
        }
    }
}

impl Quote {
    /// Reads the bytes of exactly one quote.
    ///
    /// # Errors
    /// Refusals of checks 1 and 2: what is cut off, too long, of another type or unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut cursor = Cursor::new(bytes);
        let header = QuoteHeader::read(&mut cursor)?;
        let body = match (header.version, header.tee_type) {
            (3, TEE_SGX) => QuoteBody::Enclave(EnclaveReport::read(&mut cursor, "the enclave report")?),
            (4, TEE_TDX) => QuoteBody::Td(TdReport::read(&mut cursor, BODY_TD10)?),
            (5, TEE_TDX) => read_td_body(&mut cursor)?,
            (version @ 3..=5, tee_type) => return Err(Refusal::QuoteTee { version, tee_type }),
            (have, _) => return Err(Refusal::QuoteVersion { have }),
        };
        let len = cursor.u32("the length of the signature data")?;
        cursor.exactly(len, "the signature data")?;
        let signature = cursor.array("the signature")?;
        let attestation_key = cursor.array("the attestation key")?;
        if header.version > 3 {
            let kind = cursor.u16("the certification data")?;
            if kind != CERTIFIED_BY_QE_REPORT {
                return Err(Refusal::CertificationType {
                    have: kind,
                    need: CERTIFIED_BY_QE_REPORT,
                });
            }
            let len = cursor.u32("the certification data")?;
            cursor.exactly(len, "the certification data")?;
        }
        let qe_report = EnclaveReport::read(&mut cursor, "the QE report")?;
        let qe_signature = cursor.array("the QE report's signature")?;
        let len = cursor.u16("the QE's data")?;
        if usize::from(len) != QE_DATA_LEN {
            return Err(Refusal::QuoteLength {
                what: "the QE's data",
                have: usize::from(len),
                need: QE_DATA_LEN,
            });
        }
        let qe_data = cursor.array("the QE's data")?;
        let kind = cursor.u16("the certificates")?;
        if kind != CERTIFIED_BY_CHAIN {
            return Err(Refusal::CertificationType {
                have: kind,
                need: CERTIFIED_BY_CHAIN,
            });
        }
        let len = cursor.u32("the certificates")?;
        cursor.exactly(len, "the certificates")?;
        Ok(Self {
            header,
            body,
            signature,
            attestation_key,
            qe_report,
            qe_signature,
            qe_data,
            certificates: cursor.rest().to_vec(),
        })
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut chain = Sink::default();
        self.qe_report.write(&mut chain);
        chain.put(&self.qe_signature);
        chain.u16(QE_DATA_LEN as u16);
        chain.put(&self.qe_data);
        chain.u16(CERTIFIED_BY_CHAIN);
        chain.sized(&self.certificates);

        let mut data = Sink::default();
        data.put(&self.signature);
        data.put(&self.attestation_key);
        if self.header.version > 3 {
            data.u16(CERTIFIED_BY_QE_REPORT);
            data.sized(&chain.0);
        } else {
            data.put(&chain.0);
        }

        let mut sink = Sink(self.signed_bytes());
        sink.sized(&data.0);
        sink.0
    }

    /// Header and body: what the attestation key signs.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut sink = Sink::default();
        self.header.write(&mut sink);
        match &self.body {
            QuoteBody::Enclave(report) => report.write(&mut sink),
            QuoteBody::Td(report) => {
                let mut body = Sink::default();
                report.write(&mut body);
                if self.header.version > 4 {
                    sink.u16(report.kind());
                    sink.sized(&body.0);
                } else {
                    sink.put(&body.0);
                }
            }
        }
        sink.0
    }

    /// How many of the bytes belong to a quote that starts here: what follows is padding, or nothing.
    pub(crate) fn len_of(bytes: &[u8]) -> Result<usize, Refusal> {
        let mut cursor = Cursor::new(bytes);
        let header = QuoteHeader::read(&mut cursor)?;
        let body = match (header.version, header.tee_type) {
            (3, TEE_SGX) => ENCLAVE_REPORT_LEN,
            (4, TEE_TDX) => TD_REPORT_LENS[0],
            (5, TEE_TDX) => body_len(&mut cursor)?.1,
            (version @ 3..=5, tee_type) => return Err(Refusal::QuoteTee { version, tee_type }),
            (have, _) => return Err(Refusal::QuoteVersion { have }),
        };
        cursor.skip(body, "the report")?;
        let len = cursor.u32("the length of the signature data")?;
        cursor.skip(usize::try_from(len).unwrap_or(usize::MAX), "the signature data")?;
        Ok(cursor.offset())
    }
}

/// Type and length of the body that version 5 names.
fn body_len(cursor: &mut Cursor<'_>) -> Result<(u16, usize), Refusal> {
    let kind = cursor.u16("the body's type")?;
    let len = usize::try_from(cursor.u32("the body's length")?).unwrap_or(usize::MAX);
    let need = match kind {
        BODY_TD10 => TD_REPORT_LENS[0],
        BODY_TD15 => TD_REPORT_LENS[1],
        BODY_TD15_EX => TD_REPORT_LENS[2],
        have => return Err(Refusal::QuoteBodyType { have }),
    };
    if len != need {
        return Err(Refusal::QuoteLength {
            what: "the TD report",
            have: len,
            need,
        });
    }
    Ok((kind, need))
}

fn read_td_body(cursor: &mut Cursor<'_>) -> Result<QuoteBody, Refusal> {
    let (kind, _) = body_len(cursor)?;
    TdReport::read(cursor, kind).map(QuoteBody::Td)
}
