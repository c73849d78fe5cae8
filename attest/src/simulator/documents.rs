//! What Intel would publish about simulated machines: TCB infos, QE identities and revocation lists, with any dates,
//! numbers and levels, signed under the throw-away root. AMD's list of revoked intermediates likewise.

use core::time::Duration;

use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::SeedableRng;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use serde_json::{Value, json};
use x509_cert::Version;
use x509_cert::crl::{CertificateList, RevokedCert, TbsCertList};
use x509_cert::der::asn1::{BitString, OctetString};
use x509_cert::der::{DateTime, Encode};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, ObjectIdentifier};

use super::authority::{SimulatorAuthority, failed, time_of};
use super::intel::{algorithm, sign_der, sign_raw, subject_of};
use super::td::{SIMULATED_FMSPC, SIMULATED_QE_MR_SIGNER, SIMULATED_QE_PROD_ID};
use crate::collateral::{CollateralUpdate, Document, PckAuthority, SignedJson};
use crate::facts::{Fmspc, TcbStatus, Tee};
use crate::quote_error::QuoteError;
use crate::snp::generation::Generation;

pub(crate) const OID_CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
/// How long the honest documents of a simulator hold: a development network is not asked to renew them. Intel's hold
/// for 30 days.
const LIFE_MS: u64 = 10 * 365 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The number of the level of August 2025, so that an honest simulated machine meets a strict policy.
const EVALUATION: u32 = 20;

/// A TCB info before it is signed.
#[derive(Clone, Debug)]
pub struct SimulatedTcbInfo {
    /// Of which TEE.
    pub tee: Tee,
    /// Of which machines.
    pub fmspc: Fmspc,
    /// `tcbEvaluationDataNumber`.
    pub evaluation: u32,
    /// `issueDate`, Unix milliseconds; written to the second.
    pub issued_ms: u64,
    /// `nextUpdate`, Unix milliseconds; written to the second.
    pub next_update_ms: u64,
    /// `tcbLevels`.
    pub levels: Vec<SimulatedLevel>,
    /// Levels of the TDX module of major version 1: lowest security version, status, advisories.
    pub module_levels: Vec<(u8, TcbStatus, Vec<String>)>,
}

/// A level of a TCB info.
#[derive(Clone, Debug)]
pub struct SimulatedLevel {
    /// Lowest SVNs of the CPU's components.
    pub cpu_svn: [u8; 16],
    /// Lowest SVN of the provisioning certification enclave.
    pub pce_svn: u16,
    /// Lowest SVNs of the TDX module's components.
    pub tdx_svn: [u8; 16],
    /// What Intel calls it.
    pub status: TcbStatus,
    /// What is open on it.
    pub advisories: Vec<String>,
}

/// A QE identity before it is signed.
#[derive(Clone, Debug)]
pub struct SimulatedQeIdentity {
    /// Of which TEE.
    pub tee: Tee,
    /// `tcbEvaluationDataNumber`.
    pub evaluation: u32,
    /// `issueDate`, Unix milliseconds; written to the second.
    pub issued_ms: u64,
    /// `nextUpdate`, Unix milliseconds; written to the second.
    pub next_update_ms: u64,
    /// Lowest security version and status.
    pub levels: Vec<(u16, TcbStatus)>,
}

/// A revocation list before it is signed.
#[derive(Clone, Debug)]
pub struct SimulatedList {
    /// `thisUpdate`, Unix milliseconds; written to the second.
    pub issued_ms: u64,
    /// `nextUpdate`, Unix milliseconds; written to the second.
    pub next_update_ms: u64,
    /// The list's number.
    pub number: u64,
    /// Serial numbers, big-endian.
    pub revoked: Vec<Vec<u8>>,
}

impl SimulatedTcbInfo {
    /// What an honest authority says of honest machines: two levels, which the machine as it is made meets.
    pub fn new(tee: Tee, now_ms: u64) -> Self {
        let level = |cpu, tdx, status, advisories: &[&str]| SimulatedLevel {
            cpu_svn: first(cpu),
            pce_svn: 13,
            tdx_svn: first(tdx),
            status,
            advisories: advisories.iter().map(|id| (*id).to_owned()).collect(),
        };
        let open = ["INTEL-SA-00000"];
        Self {
            tee,
            fmspc: SIMULATED_FMSPC,
            evaluation: EVALUATION,
            issued_ms: now_ms.saturating_sub(DAY_MS),
            next_update_ms: now_ms.saturating_add(LIFE_MS),
            levels: vec![
                level([3, 3, 2, 2], [5, 0, 3, 0], TcbStatus::UpToDate, &[]),
                level([2, 2, 2, 2], [3, 0, 2, 0], TcbStatus::OutOfDate, &open),
            ],
            module_levels: vec![
                (5, TcbStatus::UpToDate, Vec::new()),
                (3, TcbStatus::OutOfDate, open.map(str::to_owned).to_vec()),
            ],
        }
    }

    /// The body as Intel writes it.
    pub fn to_json(&self) -> Result<String, QuoteError> {
        let names = ["Early Microcode Update", "SGX Late Microcode Update", "TXT SINIT"];
        let sgx = |svn: &[u8; 16]| components(svn, "BIOS", &names);
        let tdx = |svn: &[u8; 16]| components(svn, "OS/VMM", &["TDX Module", "TDX Module"]);
        let date = date(self.issued_ms)?;
        let level = |level: &SimulatedLevel| {
            let mut tcb = json!({ "sgxtcbcomponents": sgx(&level.cpu_svn), "pcesvn": level.pce_svn });
            if self.tee == Tee::Tdx {
                insert(&mut tcb, "tdxtcbcomponents", tdx(&level.tdx_svn));
            }
            with_advisories(
                json!({ "tcb": tcb, "tcbDate": date, "tcbStatus": level.status.to_string() }),
                &level.advisories,
            )
        };
        let mut body = json!({
            "id": match self.tee { Tee::Sgx => "SGX", Tee::Tdx => "TDX" },
            "version": 3,
            "issueDate": date,
            "nextUpdate": self::date(self.next_update_ms)?,
            "fmspc": self.fmspc.to_string(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": self.evaluation,
            "tcbLevels": self.levels.iter().map(level).collect::<Vec<_>>(),
        });
        if self.tee == Tee::Tdx {
            let module_level = |(svn, status, advisories): &(u8, TcbStatus, Vec<String>)| {
                with_advisories(
                    json!({ "tcb": { "isvsvn": svn }, "tcbDate": date, "tcbStatus": status.to_string() }),
                    advisories,
                )
            };
            let module = json!({
                "mrsigner": "00".repeat(48), "attributes": "00".repeat(8), "attributesMask": "FF".repeat(8)
            });
            let mut identity = module.clone();
            insert(&mut identity, "id", json!("TDX_01"));
            let levels = self.module_levels.iter().map(module_level).collect::<Vec<_>>();
            insert(&mut identity, "tcbLevels", json!(levels));
            insert(&mut body, "tdxModule", module);
            insert(&mut body, "tdxModuleIdentities", json!([identity]));
        }
        Ok(body.to_string())
    }
}

impl SimulatedQeIdentity {
    /// What an honest authority says of honest machines.
    pub fn new(tee: Tee, now_ms: u64) -> Self {
        Self {
            tee,
            evaluation: EVALUATION,
            issued_ms: now_ms.saturating_sub(DAY_MS),
            next_update_ms: now_ms.saturating_add(LIFE_MS),
            levels: vec![(4, TcbStatus::UpToDate), (2, TcbStatus::OutOfDate)],
        }
    }

    /// The body as Intel writes it.
    pub fn to_json(&self) -> Result<String, QuoteError> {
        let date = date(self.issued_ms)?;
        let level = |(svn, status): &(u16, TcbStatus)| json!({ "tcb": { "isvsvn": svn }, "tcbDate": date, "tcbStatus": status.to_string() });
        let body = json!({
            "id": match self.tee { Tee::Sgx => "QE", Tee::Tdx => "TD_QE" },
            "version": 2,
            "issueDate": date,
            "nextUpdate": self::date(self.next_update_ms)?,
            "tcbEvaluationDataNumber": self.evaluation,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": hex::encode_upper(SIMULATED_QE_MR_SIGNER),
            "isvprodid": SIMULATED_QE_PROD_ID,
            "tcbLevels": self.levels.iter().map(level).collect::<Vec<_>>(),
        });
        Ok(body.to_string())
    }
}

impl SimulatedList {
    /// A list that revokes nobody.
    pub fn new(now_ms: u64) -> Self {
        Self {
            issued_ms: now_ms.saturating_sub(DAY_MS),
            next_update_ms: now_ms.saturating_add(LIFE_MS),
            number: 1,
            revoked: Vec::new(),
        }
    }

    fn to_tbs(&self, issuer: &[u8], signature: AlgorithmIdentifierOwned) -> Result<TbsCertList, QuoteError> {
        let bytes = self.number.to_be_bytes();
        let number = x509_cert::der::asn1::Uint::new(&bytes).map_err(failed("a list's number"))?;
        let number = OctetString::new(number.to_der().map_err(failed("a list's number"))?);
        let this_update = time_of(self.issued_ms / 1000)?;
        let revoked = self.revoked.iter().map(|serial| {
            Ok(RevokedCert {
                serial_number: SerialNumber::new(serial).map_err(failed("a serial number"))?,
                revocation_date: this_update,
                crl_entry_extensions: None,
            })
        });
        let revoked = revoked.collect::<Result<Vec<_>, QuoteError>>()?;
        Ok(TbsCertList {
            version: Version::V2,
            signature,
            issuer: subject_of(issuer)?,
            this_update,
            next_update: Some(time_of(self.next_update_ms / 1000)?),
            revoked_certificates: if revoked.is_empty() { None } else { Some(revoked) },
            crl_extensions: Some(vec![Extension {
                extn_id: OID_CRL_NUMBER,
                critical: false,
                extn_value: number.map_err(failed("a list's number"))?,
            }]),
        })
    }
}

impl SimulatorAuthority {
    /// Everything that simulated TDX machines need, in the order in which a ledger takes it.
    pub fn collateral(&self, now_ms: u64) -> Result<Vec<CollateralUpdate>, QuoteError> {
        Ok(vec![
            self.intel_root_list(&SimulatedList::new(now_ms))?,
            self.pck_list(&SimulatedList::new(now_ms))?,
            self.tcb_info(&SimulatedTcbInfo::new(Tee::Tdx, now_ms))?,
            self.qe_identity(&SimulatedQeIdentity::new(Tee::Tdx, now_ms))?,
        ])
    }

    /// Signs a TCB info.
    pub fn tcb_info(&self, info: &SimulatedTcbInfo) -> Result<CollateralUpdate, QuoteError> {
        Ok(simulated(Document::TcbInfo(self.sign_body(info.to_json()?)?)))
    }

    /// Signs a QE identity.
    pub fn qe_identity(&self, identity: &SimulatedQeIdentity) -> Result<CollateralUpdate, QuoteError> {
        Ok(simulated(Document::QeIdentity(
            self.sign_body(identity.to_json()?)?,
        )))
    }

    /// Signs any text as the signer of TCB infos and QE identities.
    pub fn sign_body(&self, body: String) -> Result<SignedJson, QuoteError> {
        Ok(SignedJson {
            signature: sign_raw(&self.intel.signer_key, body.as_bytes())?.to_vec(),
            signer: self.intel.signer.clone(),
            body,
        })
    }

    /// Signs the list of Intel's root: it revokes the authority and the signer.
    pub fn intel_root_list(&self, list: &SimulatedList) -> Result<CollateralUpdate, QuoteError> {
        let tbs = list.to_tbs(&self.intel.root, algorithm())?;
        let signature = sign_der(&self.intel.root_key, &tbs)?;
        encode(tbs, algorithm(), signature).map(|list| simulated(Document::IntelRootCrl(list)))
    }

    /// Signs the list of the authority of machines: it revokes their certificates.
    pub fn pck_list(&self, list: &SimulatedList) -> Result<CollateralUpdate, QuoteError> {
        let tbs = list.to_tbs(&self.intel.ca, algorithm())?;
        let signature = sign_der(&self.intel.ca_key, &tbs)?;
        let list = encode(tbs, algorithm(), signature)?;
        Ok(simulated(Document::IntelPckCrl {
            authority: PckAuthority::Platform,
            list,
        }))
    }

    /// Signs the list of AMD's root for one generation: it revokes the intermediate.
    pub fn amd_list(
        &self,
        generation: Generation,
        list: &SimulatedList,
    ) -> Result<CollateralUpdate, QuoteError> {
        let algorithm = self
            .ark
            .signature_algorithm_identifier()
            .map_err(failed("a signature algorithm"))?;
        let tbs = list.to_tbs(&self.root_ref().ark, algorithm.clone())?;
        let message = tbs.to_der().map_err(failed("a list"))?;
        let mut seed = blake3::Hasher::new_derive_key("tacit 2026 simulated list salt");
        seed.update(&message);
        let mut rng = ChaCha20Rng::from_seed(seed.finalize().into());
        let signature = self.ark.try_sign_with_rng(&mut rng, &message);
        let signature = signature.map_err(failed("a signature"))?.to_bytes();
        let signature = BitString::from_bytes(&signature).map_err(failed("a signature"))?;
        let list = encode(tbs, algorithm, signature)?;
        Ok(simulated(Document::AmdCrl { generation, list }))
    }
}

fn simulated(document: Document) -> CollateralUpdate {
    CollateralUpdate {
        simulated: true,
        document,
    }
}

fn encode(
    tbs_cert_list: TbsCertList,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
) -> Result<Vec<u8>, QuoteError> {
    CertificateList {
        tbs_cert_list,
        signature_algorithm,
        signature,
    }
    .to_der()
    .map_err(failed("a list"))
}

/// RFC 3339 in whole seconds, as Intel writes dates.
fn date(ms: u64) -> Result<String, QuoteError> {
    DateTime::from_unix_duration(Duration::from_secs(ms / 1000))
        .map(|date| date.to_string())
        .map_err(failed("a date"))
}

fn first<const N: usize>(values: [u8; N]) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = value;
    }
    out
}

fn components(svn: &[u8; 16], category: &str, names: &[&str]) -> Value {
    let one = |(i, svn): (usize, &u8)| match names.get(i) {
        Some(name) => json!({ "svn": svn, "category": category, "type": name }),
        None => json!({ "svn": svn }),
    };
    svn.iter().enumerate().map(one).collect()
}

fn with_advisories(mut level: Value, advisories: &[String]) -> Value {
    if !advisories.is_empty() {
        insert(&mut level, "advisoryIDs", json!(advisories));
    }
    level
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
