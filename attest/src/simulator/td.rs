//! A machine that runs trust domains, as a file: what real silicon and its quoting enclave keep lies here in the open.

use borsh::{BorshDeserialize, BorshSerialize};
use p256::ecdsa::SigningKey;
use sha2::{Digest, Sha256};
use x509_cert::der::Encode;
use x509_cert::der::asn1::{Any, OctetString};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::ObjectIdentifier;
use zeroize::{Zeroize, Zeroizing};

use super::authority::{LEAF_LIFE_S, SimulatorAuthority, failed, subject, unusable, validity};
use super::intel::{Role, issue, public_key, scalar_key, sign_raw, subject_of};
use super::{decode_file, subseed};
use crate::evidence::{ChipId, Evidence, Measurement, Platform};
use crate::facts::{Fmspc, SIMULATOR_OWNER_CONFIG};
use crate::intel::attributes::td;
use crate::intel::pck::{OID_SGX, chip_id};
use crate::intel::quote::{
    EnclaveReport, KEY_TYPE_P256, QE_DATA_LEN, QE_VENDOR_INTEL, Quote, QuoteBody, QuoteHeader, TEE_TDX, Td15,
    TdReport,
};
use crate::limits;
use crate::quote_error::QuoteError;
use crate::quoter::{Quoter, sealing_key};

/// The kind of machine that the simulator makes; no Intel machine's.
pub const SIMULATED_FMSPC: Fmspc = Fmspc(*b"SIMTDX");
/// Whose key signed the simulated quoting enclave.
pub(crate) const SIMULATED_QE_MR_SIGNER: [u8; 32] = *b"SIMULATOR - NOT HARDWARE, TD QE!";
/// As Intel's TD quoting enclave.
pub(crate) const SIMULATED_QE_PROD_ID: u16 = 2;
/// Of the quoting enclave and the provisioning certification enclave, as real machines have them.
const QE_SVN: u16 = 4;
const PCE_SVN: u16 = 13;

/// A simulated machine for trust domains, the "fuse file". No `Debug`: it is all secrets.
#[derive(BorshSerialize, BorshDeserialize)]
pub struct SimulatedTd {
    ppid: [u8; 16],
    instance: [u8; 16],
    /// Scalar of the machine's key (PCK), big-endian.
    key: [u8; 32],
    /// Scalar of the quoting enclave's attestation key, big-endian.
    attestation_key: [u8; 32],
    fuse_secret: [u8; 32],
    #[borsh(deserialize_with = "limits::read_leaf")]
    leaf: Vec<u8>,
}

impl Drop for SimulatedTd {
    fn drop(&mut self) {
        self.key.zeroize();
        self.attestation_key.zeroize();
        self.fuse_secret.zeroize();
    }
}

/// What the certificate of a simulated machine says. Tests change it before it is signed.
#[derive(Clone, Debug)]
pub struct SimulatedPck {
    /// SVNs of the CPU's components.
    pub cpu_svn: [u8; 16],
    /// SVN of the provisioning certification enclave.
    pub pce_svn: u16,
    /// The kind of machine.
    pub fmspc: Fmspc,
    /// The machine.
    pub ppid: [u8; 16],
    /// The machine among those that share a PPID.
    pub instance: [u8; 16],
    /// 0 standard, 1 scalable, 2 scalable with integrity.
    pub sgx_type: u8,
    /// Whether packages may be added.
    pub dynamic_platform: bool,
    /// Whether Intel keeps the root keys.
    pub cached_keys: bool,
    /// Whether hyperthreading is on.
    pub smt: bool,
    /// The certificate's number.
    pub serial: Vec<u8>,
}

impl SimulatorAuthority {
    /// Makes a machine from `seed`: identity, keys, and a certificate valid from a day before `now_ms` (Unix
    /// milliseconds) for seven years.
    pub fn issue_td(&self, seed: [u8; 32], now_ms: u64) -> Result<SimulatedTd, QuoteError> {
        self.issue_td_with(seed, now_ms, |_| ())
    }

    /// The same, with a certificate that says something else.
    pub fn issue_td_with(
        &self,
        seed: [u8; 32],
        now_ms: u64,
        change: impl FnOnce(&mut SimulatedPck),
    ) -> Result<SimulatedTd, QuoteError> {
        let seed = Zeroizing::new(seed);
        let mut id = blake3::Hasher::new_derive_key("tacit 2026 simulated machine id");
        id.update(&*seed);
        let mut bytes = [0; 48];
        id.finalize_xof().fill(&mut bytes);
        let [ppid, instance, mut serial] = [0, 16, 32].map(|at| part(&bytes, at));
        // Positive, and no leading zero byte.
        serial[0] = serial[0] & 0x7f | 0x40;
        let mut pck = SimulatedPck {
            cpu_svn: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
            pce_svn: PCE_SVN,
            fmspc: SIMULATED_FMSPC,
            ppid,
            instance,
            sgx_type: 1,
            dynamic_platform: true,
            cached_keys: true,
            smt: true,
            serial: serial.to_vec(),
        };
        change(&mut pck);
        let key = scalar_key(&subseed(&seed, b"pck"))?;
        let attestation_key = scalar_key(&subseed(&seed, b"attestation key"))?;
        let mut extensions = Role::Signer.extensions()?;
        extensions.push(pck.extension()?);
        let leaf = issue(
            &self.intel.ca_key,
            subject_of(&self.intel.ca)?,
            subject("SIM-SGX PCK Certificate")?,
            validity(now_ms, LEAF_LIFE_S)?,
            public_key(&key)?,
            SerialNumber::new(&pck.serial).map_err(failed("a serial number"))?,
            extensions,
        )?;
        Ok(SimulatedTd {
            ppid: pck.ppid,
            instance: pck.instance,
            key: key.to_bytes().into(),
            attestation_key: attestation_key.to_bytes().into(),
            fuse_secret: *subseed(&seed, b"fuse"),
            leaf,
        })
    }
}

fn part(bytes: &[u8; 48], at: usize) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, byte) in out.iter_mut().zip(bytes.iter().skip(at)) {
        *slot = *byte;
    }
    out
}

impl SimulatedPck {
    /// The SGX extension, as section 1.3.5 of Intel's PCK certificate profile lays it out.
    fn extension(&self) -> Result<Extension, QuoteError> {
        let number = |value: u16| der(&value);
        let octets = |bytes: &[u8]| der(&OctetString::new(bytes).map_err(failed("an extension"))?);
        let mut tcb = Vec::new();
        for (arc, svn) in (1..).zip(self.cpu_svn) {
            tcb.push(entry(&[2, arc], number(u16::from(svn))?)?);
        }
        tcb.push(entry(&[2, 17], number(self.pce_svn)?)?);
        tcb.push(entry(&[2, 18], octets(&self.cpu_svn)?)?);
        let configuration = [self.dynamic_platform, self.cached_keys, self.smt];
        let configuration = (1..).zip(configuration);
        let configuration = configuration
            .map(|(arc, flag)| entry(&[7, arc], der(&flag)?))
            .collect::<Result<Vec<_>, _>>()?;
        let all = vec![
            entry(&[1], octets(&self.ppid)?)?,
            entry(&[2], der(&tcb)?)?,
            entry(&[3], octets(&[0, 0])?)?,
            entry(&[4], octets(&self.fmspc.0)?)?,
            // An ENUMERATED of one byte.
            entry(&[5], vec![0x0a, 1, self.sgx_type])?,
            entry(&[6], octets(&self.instance)?)?,
            entry(&[7], der(&configuration)?)?,
        ];
        Ok(Extension {
            extn_id: ObjectIdentifier::new(OID_SGX).map_err(failed("an extension"))?,
            critical: false,
            extn_value: OctetString::new(der(&all)?).map_err(failed("an extension"))?,
        })
    }
}

/// `SEQUENCE { OID, value }`, the value in DER.
fn entry(arcs: &[u32], value: Vec<u8>) -> Result<Any, QuoteError> {
    let mut oid = OID_SGX.to_owned();
    arcs.iter().for_each(|arc| oid.push_str(&format!(".{arc}")));
    let oid = ObjectIdentifier::new(&oid).map_err(failed("an extension"))?;
    let any = |der: &[u8]| <Any as x509_cert::der::Decode>::from_der(der).map_err(failed("an extension"));
    let pair = vec![any(&der(&oid)?)?, any(&value)?];
    any(&der(&pair)?)
}

fn der(value: &impl Encode) -> Result<Vec<u8>, QuoteError> {
    value.to_der().map_err(failed("an extension"))
}

impl SimulatedTd {
    /// The machine's identity.
    pub fn chip_id(&self) -> ChipId {
        chip_id(&self.ppid, Some(&self.instance))
    }

    /// DER of its certificate.
    pub fn leaf(&self) -> &[u8] {
        &self.leaf
    }

    /// The secret fuse file.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, QuoteError> {
        borsh::to_vec(self)
            .map(Zeroizing::new)
            .map_err(failed("a key file"))
    }

    /// Reads a fuse file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QuoteError> {
        let machine: Self = decode_file(bytes)?;
        scalar(&machine.key)?;
        scalar(&machine.attestation_key)?;
        Ok(machine)
    }

    /// The quote that an honest machine would make over a domain whose MRTD is `measurement`, unsigned: version 4 with
    /// a report of TDX 1.0, version 5 with one of 1.5. Tests change it before [`Self::sign`].
    pub fn quote(&self, version: u16, measurement: Measurement, report_data: [u8; 64]) -> Quote {
        let tee_tcb_svn = [5, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let report = TdReport {
            tee_tcb_svn,
            mr_seam: [0x5e; 48],
            mr_signer_seam: [0; 48],
            seam_attributes: [0; 8],
            td_attributes: td::SEPT_VE_DISABLE,
            xfam: 0x0006_00e7,
            mr_td: measurement.0,
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: SIMULATOR_OWNER_CONFIG,
            rtmr: [[0; 48]; 4],
            report_data,
            td15: (version > 4).then_some(Td15 {
                tee_tcb_svn2: tee_tcb_svn,
                mr_service_td: [0; 48],
                extended: None,
            }),
        };
        let mut attributes = [0; 16];
        // Initialised, may use the provisioning key.
        attributes[0] = 0x11;
        Quote {
            header: QuoteHeader {
                version,
                key_type: KEY_TYPE_P256,
                tee_type: TEE_TDX,
                reserved: [0; 4],
                qe_vendor: QE_VENDOR_INTEL,
                user_data: [0; 20],
            },
            body: QuoteBody::Td(report),
            signature: [0; 64],
            attestation_key: [0; 64],
            qe_report: EnclaveReport {
                cpu_svn: [0; 16],
                misc_select: 0,
                extended: [0; 28],
                attributes,
                mr_enclave: [0x0e; 32],
                reserved2: [0; 32],
                mr_signer: SIMULATED_QE_MR_SIGNER,
                config: [0; 96],
                isv_prod_id: SIMULATED_QE_PROD_ID,
                isv_svn: QE_SVN,
                family: [0; 60],
                report_data: [0; 64],
            },
            qe_signature: [0; 64],
            qe_data: [0; QE_DATA_LEN],
            certificates: Vec::new(),
        }
    }

    /// Signs whatever it is given, by deterministic ECDSA (RFC 6979), as evidence. The report data of the quoting
    /// enclave is filled in where it is zero.
    pub fn sign(&self, quote: &Quote) -> Result<Evidence, QuoteError> {
        let mut quote = quote.clone();
        let attestation_key = scalar(&self.attestation_key)?;
        let point = attestation_key.verifying_key().to_sec1_point(false);
        let coordinates = point.as_bytes().split_at_checked(1).map(|(_, xy)| xy);
        let coordinates = coordinates.and_then(|xy| <[u8; 64]>::try_from(xy).ok());
        quote.attestation_key = coordinates.ok_or(QuoteError::Simulator { what: "a public key" })?;
        if quote.qe_report.report_data == [0; 64] {
            let mut hasher = Sha256::new_with_prefix(quote.attestation_key);
            hasher.update(quote.qe_data);
            let (hash, _) = quote.qe_report.report_data.split_at_mut(32);
            hash.copy_from_slice(&hasher.finalize());
        }
        quote.qe_signature = sign_raw(&scalar(&self.key)?, &quote.qe_report.to_bytes())?;
        quote.signature = sign_raw(&attestation_key, &quote.signed_bytes())?;
        Ok(Evidence {
            platform: Platform::SimulatedTdx,
            report: quote.to_bytes(),
            leaf: self.leaf.clone(),
        })
    }
}

fn scalar(bytes: &[u8; 32]) -> Result<SigningKey, QuoteError> {
    SigningKey::from_slice(bytes).map_err(unusable("not a P-256 key"))
}

/// A [`Quoter`] that claims `measurement` because it was told to.
pub struct SimulatedTdQuoter {
    machine: SimulatedTd,
    measurement: Measurement,
    quote_version: u16,
}

impl SimulatedTdQuoter {
    /// Makes quotes of version 5 over a domain whose MRTD is `build`.
    pub fn new(machine: SimulatedTd, build: Measurement) -> Self {
        Self {
            machine,
            measurement: build,
            quote_version: 5,
        }
    }

    /// Makes quotes of another version: 4 or 5.
    pub fn with_quote_version(self, quote_version: u16) -> Self {
        Self {
            quote_version,
            ..self
        }
    }
}

impl Quoter for SimulatedTdQuoter {
    fn platform(&self) -> Platform {
        Platform::SimulatedTdx
    }

    fn quote(&self, report_data: [u8; 64]) -> Result<Evidence, QuoteError> {
        let quote = self
            .machine
            .quote(self.quote_version, self.measurement, report_data);
        self.machine.sign(&quote)
    }

    fn sealing_key(&self, context: &[u8]) -> Result<Zeroizing<[u8; 32]>, QuoteError> {
        let root = subseed(&self.machine.fuse_secret, &self.measurement.0);
        Ok(sealing_key(&root, context))
    }

    /// The measurement as policies list it, which is not the build's: see [`Measurement::of_td`].
    fn measurement(&self) -> Option<Measurement> {
        Some(crate::policy::simulated_td(self.measurement))
    }
}
