//! The liar's keys: the simulator's authority opened up, and chips that sign whatever bytes they are given.

use borsh::BorshDeserialize;
use p256::ecdsa::signature::Signer as _;
use p384::ecdsa::signature::Signer as _;
use p384::ecdsa::{Signature, SigningKey};
use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::SeedableRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::pss::SigningKey as PssKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use sha2::Sha384;
use tacit_attest::{
    Binding, ChipId, Collateral, CollateralKey, CollateralUpdate, Evidence, Generation, Measurement,
    NetworkClass, Platform, Policy, Quote, SimulatedChip, SimulatedTd, SimulatorAuthority, SimulatorRoot,
    Tcb, TrustRoots,
};
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Encode};
use x509_cert::{Certificate, TbsCertificate};

/// The time of every base: September 2026.
pub const NOW_MS: u64 = 1_790_000_000_000;
/// The code that every honest machine runs.
pub const MEASUREMENT: Measurement = Measurement([0x11; 48]);
/// Bytes of an SNP report that its signature covers (AMD 56860, "ATTESTATION_REPORT").
const SIGNED_LEN: usize = 0x2a0;
/// Where the signature's `r` and `s` begin.
const R_AT: usize = 0x2a0;
const S_AT: usize = 0x2e8;

/// Who signs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer2048 {
    /// The network's simulated root.
    Ark,
    /// Its intermediate, which signs honest leaves.
    Ask,
    /// The intermediate of another simulator: same names, another key.
    Stranger,
}

/// Who signs what Intel signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignerP256 {
    /// The network's simulated Intel root.
    Root,
    /// Its authority, which signs honest machines.
    Authority,
    /// Its signer of TCB infos and QE identities.
    TcbSigner,
    /// The authority of another simulator: same names, another key.
    Stranger,
}

/// A simulated chip with its key in the open.
pub struct Chip {
    /// The simulator's own view of it.
    pub chip: SimulatedChip,
    key: SigningKey,
}

/// A simulated machine for trust domains, with its keys in the open.
pub struct TdMachine {
    /// The simulator's own view of it.
    pub machine: SimulatedTd,
    pck: p256::ecdsa::SigningKey,
    attestation: p256::ecdsa::SigningKey,
}

/// Everything that a liar on a dev network could have.
pub struct Workshop {
    authority: SimulatorAuthority,
    stranger: SimulatorAuthority,
    ark: PssKey<Sha384>,
    ask: PssKey<Sha384>,
    foreign: PssKey<Sha384>,
    intel: IntelKeys,
    foreign_intel: IntelKeys,
    policy: Policy,
}

/// Scalars of Intel's part: root, authority, signer of documents.
struct IntelKeys([p256::ecdsa::SigningKey; 3]);

/// The simulator's key file, `attest/src/simulator/authority.rs`.
#[derive(BorshDeserialize)]
struct AuthorityFile {
    ark_key: Vec<u8>,
    ask_key: Vec<u8>,
    intel_keys: [[u8; 32]; 3],
    _tcb_signer: Vec<u8>,
    _root: SimulatorRoot,
}

/// The simulator's fuse file, `attest/src/simulator/chip.rs`.
#[derive(BorshDeserialize)]
struct ChipFile {
    _generation: Generation,
    _chip_id: ChipId,
    _tcb: Tcb,
    key: [u8; 48],
    _fuse_secret: [u8; 32],
    _leaf: Vec<u8>,
}

/// The simulator's file of a machine for trust domains, `attest/src/simulator/td.rs`.
#[derive(BorshDeserialize)]
struct TdFile {
    _ppid: [u8; 16],
    _instance: [u8; 16],
    key: [u8; 32],
    attestation_key: [u8; 32],
    _fuse_secret: [u8; 32],
    _leaf: Vec<u8>,
}

fn authority_file(authority: &SimulatorAuthority) -> AuthorityFile {
    let bytes = authority.to_bytes().expect("a key file");
    borsh::from_slice(&bytes).expect("the key file has the fields written above")
}

fn p256_key(scalar: &[u8; 32]) -> p256::ecdsa::SigningKey {
    p256::ecdsa::SigningKey::from_slice(scalar).expect("a P-256 key")
}

fn rsa_key(der: &[u8]) -> PssKey<Sha384> {
    PssKey::new(RsaPrivateKey::from_pkcs8_der(der).expect("an RSA key"))
}

impl Workshop {
    /// Two simulators, of which a network believes one.
    pub fn new() -> Self {
        let make = |seed| SimulatorAuthority::generate([seed; 32], NOW_MS).expect("an authority");
        let (authority, stranger) = (make(1), make(2));
        let (file, foreign) = (authority_file(&authority), authority_file(&stranger));
        Self {
            ark: rsa_key(&file.ark_key),
            ask: rsa_key(&file.ask_key),
            foreign: rsa_key(&foreign.ask_key),
            intel: IntelKeys(file.intel_keys.each_ref().map(p256_key)),
            foreign_intel: IntelKeys(foreign.intel_keys.each_ref().map(p256_key)),
            policy: policy(&authority),
            authority,
            stranger,
        }
    }

    /// What the dev network believes.
    pub fn trust(&self) -> TrustRoots {
        TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(self.authority.root()),
        }
    }

    /// The root that the network does not believe.
    pub fn foreign_root(&self) -> SimulatorRoot {
        self.stranger.root()
    }

    /// A chip under the network's root. The same arguments give the same chip.
    pub fn chip(&self, seed: u8, generation: Generation) -> Chip {
        let chip = self.authority.issue_chip([seed; 32], generation, NOW_MS);
        Chip::new(chip.expect("a chip"))
    }

    /// A chip under the other root.
    pub fn foreign_chip(&self, generation: Generation) -> Chip {
        let chip = self.stranger.issue_chip([9; 32], generation, NOW_MS);
        Chip::new(chip.expect("a chip"))
    }

    /// Plays the vendors honestly.
    pub fn authority(&self) -> &SimulatorAuthority {
        &self.authority
    }

    /// Plays the vendors of another network.
    pub fn foreign(&self) -> &SimulatorAuthority {
        &self.stranger
    }

    /// A machine for trust domains under the network's root. The same seed gives the same machine.
    pub fn td(&self, seed: u8) -> TdMachine {
        TdMachine::new(self.authority.issue_td([seed; 32], NOW_MS).expect("a machine"))
    }

    /// ECDSA by one of the keys at hand, `r` and `s`.
    pub fn sign_p256(&self, message: &[u8], signer: SignerP256) -> p256::ecdsa::Signature {
        let (IntelKeys([root, authority, tcb]), IntelKeys([_, foreign, _])) =
            (&self.intel, &self.foreign_intel);
        let key = match signer {
            SignerP256::Root => root,
            SignerP256::Authority => authority,
            SignerP256::TcbSigner => tcb,
            SignerP256::Stranger => foreign,
        };
        key.sign(message)
    }

    /// The same as X.509 carries it.
    pub fn sign_x509(&self, signed: &impl Encode, signer: SignerP256) -> BitString {
        let message = signed.to_der().expect("what is signed encodes");
        let signature = self.sign_p256(&message, signer).to_der();
        BitString::from_bytes(signature.as_bytes()).expect("a signature")
    }

    /// Signs a certificate of Intel's kind, whatever it says.
    pub fn certify_p256(&self, tbs: &TbsCertificate, signer: SignerP256) -> Certificate {
        Certificate {
            tbs_certificate: tbs.clone(),
            signature_algorithm: tbs.signature.clone(),
            signature: self.sign_x509(tbs, signer),
        }
    }

    /// What an honest ledger holds.
    pub fn collateral(&self) -> Collateral {
        self.collateral_of(NOW_MS)
    }

    /// What an honest ledger held at another time.
    pub fn collateral_of(&self, now_ms: u64) -> Collateral {
        let mut collateral = Collateral::new();
        for update in self.authority.collateral(now_ms).expect("documents") {
            let taken = collateral.apply(update, &self.trust(), now_ms);
            taken.expect("an honest document");
        }
        collateral
    }

    /// Signs a certificate with one of the keys at hand, whatever it says.
    pub fn certify(&self, tbs: &TbsCertificate, signer: Signer2048) -> Certificate {
        let message = tbs.to_der().expect("a certificate's body encodes");
        let signature = self.sign_rsa(&message, signer);
        Certificate {
            tbs_certificate: tbs.clone(),
            signature_algorithm: tbs.signature.clone(),
            signature: BitString::from_bytes(&signature).expect("a signature"),
        }
    }

    /// RSA-PSS by one of the keys at hand.
    pub fn sign_rsa(&self, message: &[u8], signer: Signer2048) -> Box<[u8]> {
        let key = match signer {
            Signer2048::Ark => &self.ark,
            Signer2048::Ask => &self.ask,
            Signer2048::Stranger => &self.foreign,
        };
        // The salt may be anything; a fixed one keeps a table's evidence the same in every run.
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        key.sign_with_rng(&mut rng, message).to_bytes()
    }

    /// The network's trust with its root or intermediate changed and signed anew.
    pub fn trust_with(&self, change: impl FnOnce(&mut TbsCertificate, &mut TbsCertificate)) -> TrustRoots {
        let root = self.authority.root();
        let mut ark = parse(&root.ark).tbs_certificate;
        let mut ask = parse(&root.ask).tbs_certificate;
        change(&mut ark, &mut ask);
        let der = |tbs: &TbsCertificate| encode(&self.certify(tbs, Signer2048::Ark));
        TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(SimulatorRoot {
                ark: der(&ark),
                ask: der(&ask),
                ..root
            }),
        }
    }

    /// The same for Intel's part: root and authority.
    pub fn intel_trust_with(
        &self,
        change: impl FnOnce(&mut TbsCertificate, &mut TbsCertificate),
    ) -> TrustRoots {
        let root = self.authority.root();
        let mut intel_root = parse(&root.intel_root).tbs_certificate;
        let mut pck_ca = parse(&root.pck_ca).tbs_certificate;
        change(&mut intel_root, &mut pck_ca);
        let der = |tbs: &TbsCertificate| encode(&self.certify_p256(tbs, SignerP256::Root));
        TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(SimulatorRoot {
                intel_root: der(&intel_root),
                pck_ca: der(&pck_ca),
                ..root
            }),
        }
    }

    /// The registration that honest evidence vouches for.
    pub fn binding(&self) -> Binding {
        Binding {
            network: [1; 32],
            consensus_key: [2; 32],
            node_key: [3; 32],
            kem_key: vec![4; 1217],
            height: 5,
            block: [6; 32],
            policy_version: 1,
        }
    }

    /// A dev network's policy that admits every version, and floors that its machines just reach.
    pub fn policy(&self) -> Policy {
        self.policy.clone()
    }
}

fn policy(authority: &SimulatorAuthority) -> Policy {
    let mut policy = Policy::dev(MEASUREMENT);
    policy.snp.report_versions = vec![2, 3, 5];
    for floor in &mut policy.snp.min_tcb {
        let chip = authority.issue_chip([1; 32], floor.generation, NOW_MS);
        let tcb = chip.expect("a chip").report(3, MEASUREMENT, [0; 64]).reported_tcb;
        (floor.fmc, floor.bootloader, floor.tee) = (tcb.fmc, tcb.bootloader, tcb.tee);
        (floor.snp, floor.microcode) = (tcb.snp, tcb.microcode);
    }
    policy
}

impl Default for Workshop {
    fn default() -> Self {
        Self::new()
    }
}

impl Chip {
    fn new(chip: SimulatedChip) -> Self {
        let bytes = chip.to_bytes().expect("a fuse file");
        let file: ChipFile = borsh::from_slice(&bytes).expect("the fuse file has the fields written above");
        let key = SigningKey::from_slice(&file.key).expect("a P-384 key");
        Self { chip, key }
    }

    /// Signs the bytes of a report as they stand and writes the signature where it belongs.
    pub fn sign(&self, report: &mut [u8]) {
        let signature: Signature = self.key.sign(&report[..SIGNED_LEN]);
        let (r, s) = signature.split_bytes();
        for (at, half) in [(R_AT, r), (S_AT, s)] {
            for (to, from) in report[at..at + 48].iter_mut().zip(half.iter().rev()) {
                *to = *from;
            }
        }
    }
}

impl TdMachine {
    /// Opens a machine of the simulator's.
    pub fn new(machine: SimulatedTd) -> Self {
        let bytes = machine.to_bytes().expect("a fuse file");
        let file: TdFile = borsh::from_slice(&bytes).expect("the fuse file has the fields written above");
        Self {
            machine,
            pck: p256_key(&file.key),
            attestation: p256_key(&file.attestation_key),
        }
    }

    /// Coordinates of the key that signs quotes.
    pub fn attestation_key(&self) -> [u8; 64] {
        let point = self.attestation.verifying_key().to_sec1_point(false);
        point.as_bytes()[1..].try_into().expect("two coordinates")
    }

    /// Signs the quoting enclave's report as it stands.
    pub fn sign_enclave(&self, quote: &mut Quote) {
        let signature: p256::ecdsa::Signature = self.pck.sign(&quote.qe_report.to_bytes());
        quote.qe_signature = signature.to_bytes().into();
    }

    /// Signs header and body as they stand.
    pub fn sign_quote(&self, quote: &mut Quote) {
        let signature: p256::ecdsa::Signature = self.attestation.sign(&quote.signed_bytes());
        quote.signature = signature.to_bytes().into();
    }

    /// A quote and a leaf as evidence.
    pub fn evidence(quote: &Quote, leaf: Vec<u8>) -> Evidence {
        Evidence {
            platform: Platform::SimulatedTdx,
            report: quote.to_bytes(),
            leaf,
        }
    }
}

/// Documents in their places as a ledger would hold them, verified or not.
pub(super) fn held<'a>(
    documents: impl IntoIterator<Item = (&'a CollateralKey, &'a CollateralUpdate)>,
) -> Collateral {
    let documents: Vec<_> = documents.into_iter().collect();
    let bytes = borsh::to_vec(&documents).expect("collateral encodes");
    borsh::from_slice(&bytes).expect("collateral is a list of places and documents, in order")
}

/// A certificate that the simulator made.
pub(super) fn parse(der: &[u8]) -> Certificate {
    Certificate::from_der(der).expect("the simulator's own certificate")
}

/// DER of a certificate.
pub(super) fn encode(certificate: &Certificate) -> Vec<u8> {
    certificate.to_der().expect("a certificate encodes")
}
