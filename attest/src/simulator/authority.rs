//! The throw-away root: it plays AMD's ARK and ASK, and Intel's root and authorities, and issues simulated machines.
//!
//! RSA signing by the `rsa` crate leaks time (RUSTSEC-2023-0071, unpatched). Here that is the key of a
//! simulator, which protects nothing; the verifier uses public keys only.

use core::str::FromStr;
use core::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::SeedableRng;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::pss::SigningKey as PssKey;
use rsa::signature::{Keypair, RandomizedSigner, SignatureEncoding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha2::Sha384;
use x509_cert::der::asn1::{BitString, GeneralizedTime, OctetString, UtcTime};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{DynSignatureAlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};
use zeroize::{Zeroize, Zeroizing};

use super::chip::SimulatedChip;
use super::intel::IntelAuthority;
use super::{decode_file, subseed};
use crate::limits;
use crate::quote_error::QuoteError;
use crate::snp::generation::Generation;
use crate::snp::leaf::{OID_AMD, svn_arcs};
use crate::trust::{SIMULATOR_ORGANISATION, SimulatorRoot};

/// AMD signs with 4096 bits; a throw-away root is made often and needs less.
const RSA_BITS: usize = 2048;
const DAY_S: u64 = 24 * 60 * 60;
/// Certificates begin a day before they are made: the first blocks of a network whose clocks differ must
/// not be refused.
const BACKDATE_S: u64 = DAY_S;
const ROOT_LIFE_S: u64 = 25 * 365 * DAY_S;
/// As a VCEK.
pub(super) const LEAF_LIFE_S: u64 = 7 * 365 * DAY_S;

/// The private half of a simulator's root. Whoever has it can make any evidence for its network.
pub struct SimulatorAuthority {
    pub(super) ark: PssKey<Sha384>,
    ask: PssKey<Sha384>,
    pub(super) intel: IntelAuthority,
    root: SimulatorRoot,
}

/// The key file: PKCS#8 keys of AMD's part, scalars of Intel's, and the certificates.
#[derive(BorshSerialize, BorshDeserialize)]
struct File {
    #[borsh(deserialize_with = "limits::read_root")]
    ark_key: Vec<u8>,
    #[borsh(deserialize_with = "limits::read_root")]
    ask_key: Vec<u8>,
    intel_keys: [[u8; 32]; 3],
    #[borsh(deserialize_with = "limits::read_root")]
    tcb_signer: Vec<u8>,
    root: SimulatorRoot,
}

impl Drop for File {
    fn drop(&mut self) {
        self.ark_key.zeroize();
        self.ask_key.zeroize();
        self.intel_keys.zeroize();
    }
}

pub(super) fn failed<E>(what: &'static str) -> impl FnOnce(E) -> QuoteError {
    move |_| QuoteError::Simulator { what }
}

pub(super) fn unusable<E>(reason: &'static str) -> impl FnOnce(E) -> QuoteError {
    move |_| QuoteError::KeyFile { reason }
}

impl SimulatorAuthority {
    /// Makes all keys from `seed` and all certificates valid around `now_ms` (Unix milliseconds). The same
    /// arguments make the same authority, so the seed must be random and secret.
    pub fn generate(seed: [u8; 32], now_ms: u64) -> Result<Self, QuoteError> {
        let seed = Zeroizing::new(seed);
        let key = |purpose: &[u8]| {
            let mut rng = ChaCha20Rng::from_seed(*subseed(&seed, purpose));
            RsaPrivateKey::new(&mut rng, RSA_BITS)
                .map(PssKey::<Sha384>::new)
                .map_err(failed("an RSA key"))
        };
        let (ark, ask) = (key(b"ark")?, key(b"ask")?);
        let mut rng = ChaCha20Rng::from_seed(*subseed(&seed, b"certificates"));
        let names = ["SIM-ARK", "SIM-SEV"].map(subject);
        let [ark_name, ask_name] = names;
        let (ark_name, ask_name) = (ark_name?, ask_name?);
        let validity = validity(now_ms, ROOT_LIFE_S)?;
        let mut certify = |subject: &Name, key: &PssKey<Sha384>| {
            let public: RsaPublicKey = key.verifying_key().into();
            let spki = SubjectPublicKeyInfoOwned::from_key(public).map_err(failed("a public key"))?;
            issue(
                &ark,
                &mut rng,
                ark_name.clone(),
                subject.clone(),
                validity,
                spki,
                None,
            )
        };
        let intel = IntelAuthority::generate(&seed, now_ms, ROOT_LIFE_S)?;
        let root = SimulatorRoot {
            ark: certify(&ark_name, &ark)?,
            ask: certify(&ask_name, &ask)?,
            intel_root: intel.root.clone(),
            pck_ca: intel.ca.clone(),
        };
        Ok(Self {
            ark,
            ask,
            intel,
            root,
        })
    }

    /// What the genesis names.
    pub fn root(&self) -> SimulatorRoot {
        self.root.clone()
    }

    pub(super) fn root_ref(&self) -> &SimulatorRoot {
        &self.root
    }

    /// The secret key file.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, QuoteError> {
        let key = |key: &PssKey<Sha384>| {
            let private: &RsaPrivateKey = key.as_ref();
            private
                .to_pkcs8_der()
                .map(|der| der.as_bytes().to_vec())
                .map_err(failed("a key file"))
        };
        let file = File {
            ark_key: key(&self.ark)?,
            ask_key: key(&self.ask)?,
            intel_keys: self.intel.keys().map(|key| *key),
            tcb_signer: self.intel.signer.clone(),
            root: self.root.clone(),
        };
        borsh::to_vec(&file)
            .map(Zeroizing::new)
            .map_err(failed("a key file"))
    }

    /// Reads a key file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QuoteError> {
        let file: File = decode_file(bytes)?;
        let key = |der: &[u8]| {
            RsaPrivateKey::from_pkcs8_der(der)
                .map(PssKey::<Sha384>::new)
                .map_err(unusable("not an RSA key"))
        };
        Ok(Self {
            ark: key(&file.ark_key)?,
            ask: key(&file.ask_key)?,
            intel: IntelAuthority::from_keys(
                &file.intel_keys,
                file.root.intel_root.clone(),
                file.root.pck_ca.clone(),
                file.tcb_signer.clone(),
            )?,
            root: file.root.clone(),
        })
    }

    /// Makes a chip of `generation` from `seed`: identity, fuse secret, VCEK key, and a certificate valid
    /// from a day before `now_ms` (Unix milliseconds) for seven years.
    pub fn issue_chip(
        &self,
        seed: [u8; 32],
        generation: Generation,
        now_ms: u64,
    ) -> Result<SimulatedChip, QuoteError> {
        let mut chip = SimulatedChip::from_seed(seed, generation)?;
        let ask = Certificate::from_der(&self.root.ask).map_err(unusable("certificate does not parse"))?;
        let mut rng = ChaCha20Rng::from_seed(*subseed(&seed, b"certificate"));
        chip.leaf = issue(
            &self.ask,
            &mut rng,
            ask.tbs_certificate.subject,
            subject("SIM-SEV-VCEK")?,
            validity(now_ms, LEAF_LIFE_S)?,
            chip.public_key()?,
            Some(extensions(&chip)?),
        )?;
        Ok(chip)
    }
}

pub(super) fn subject(common_name: &str) -> Result<Name, QuoteError> {
    Name::from_str(&format!("CN={common_name},O={SIMULATOR_ORGANISATION}")).map_err(failed("a name"))
}

pub(super) fn validity(now_ms: u64, life_s: u64) -> Result<Validity, QuoteError> {
    let from = (now_ms / 1000).saturating_sub(BACKDATE_S);
    Ok(Validity {
        not_before: time_of(from)?,
        not_after: time_of(from.saturating_add(life_s))?,
    })
}

/// RFC 5280, 4.1.2.5: UTCTime through 2049, GeneralizedTime after.
pub(super) fn time_of(seconds: u64) -> Result<Time, QuoteError> {
    let duration = Duration::from_secs(seconds);
    UtcTime::from_unix_duration(duration)
        .map(Time::UtcTime)
        .or_else(|_| GeneralizedTime::from_unix_duration(duration).map(Time::GeneralTime))
        .map_err(failed("a time"))
}

fn extensions(chip: &SimulatedChip) -> Result<Vec<Extension>, QuoteError> {
    let product = format!("SIM-{}", chip.generation.name());
    let mut ia5 = vec![
        0x16,
        u8::try_from(product.len()).map_err(failed("a product name"))?,
    ];
    ia5.extend(product.as_bytes());
    let mut list = vec![extension("1", integer(0))?, extension("2", ia5)?];
    for &arc in svn_arcs(chip.generation) {
        let svn = match arc {
            1 => chip.tcb.bootloader,
            2 => chip.tcb.tee,
            3 => chip.tcb.snp,
            8 => chip.tcb.microcode,
            9 => chip.tcb.fmc,
            _ => 0,
        };
        list.push(extension(&format!("3.{arc}"), integer(svn))?);
    }
    let (id, _) = chip.chip_id.0.split_at(chip.generation.hardware_id_len());
    list.push(extension("4", id.to_vec())?);
    Ok(list)
}

fn integer(value: u8) -> Vec<u8> {
    if value < 0x80 {
        vec![2, 1, value]
    } else {
        vec![2, 2, 0, value]
    }
}

fn extension(arc: &str, value: Vec<u8>) -> Result<Extension, QuoteError> {
    Ok(Extension {
        extn_id: ObjectIdentifier::new(&format!("{OID_AMD}{arc}")).map_err(failed("an extension"))?,
        critical: false,
        extn_value: OctetString::new(value).map_err(failed("an extension"))?,
    })
}

fn issue(
    signer: &PssKey<Sha384>,
    rng: &mut ChaCha20Rng,
    issuer: Name,
    subject: Name,
    validity: Validity,
    subject_public_key_info: SubjectPublicKeyInfoOwned,
    extensions: Option<Vec<Extension>>,
) -> Result<Vec<u8>, QuoteError> {
    let algorithm = signer
        .signature_algorithm_identifier()
        .map_err(failed("a signature algorithm"))?;
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::from(0u8),
        signature: algorithm.clone(),
        issuer,
        validity,
        subject,
        subject_public_key_info,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions,
    };
    let message = tbs_certificate.to_der().map_err(failed("a certificate"))?;
    let signature = signer
        .try_sign_with_rng(rng, &message)
        .map_err(failed("a signature"))?;
    let signature = BitString::from_bytes(&signature.to_bytes()).map_err(failed("a signature"))?;
    Certificate {
        tbs_certificate,
        signature_algorithm: algorithm,
        signature,
    }
    .to_der()
    .map_err(failed("a certificate"))
}
