//! The liar's keys: the simulator's authority opened up, and chips that sign whatever bytes they are given.

use borsh::BorshDeserialize;
use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey};
use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::SeedableRng;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::pss::SigningKey as PssKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use sha2::Sha384;
use tacit_attest::{
    Binding, ChipId, Generation, Measurement, NetworkClass, Policy, SimulatedChip, SimulatorAuthority,
    SimulatorRoot, Tcb, TrustRoots,
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

/// A simulated chip with its key in the open.
pub struct Chip {
    /// The simulator's own view of it.
    pub chip: SimulatedChip,
    key: SigningKey,
}

/// Everything that a liar on a dev network could have.
pub struct Workshop {
    authority: SimulatorAuthority,
    stranger: SimulatorAuthority,
    ark: PssKey<Sha384>,
    ask: PssKey<Sha384>,
    foreign: PssKey<Sha384>,
    policy: Policy,
}

/// The simulator's key file, `attest/src/simulator/authority.rs`.
#[derive(BorshDeserialize)]
struct AuthorityFile {
    ark_key: Vec<u8>,
    ask_key: Vec<u8>,
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

fn authority_file(authority: &SimulatorAuthority) -> AuthorityFile {
    let bytes = authority.to_bytes().expect("a key file");
    borsh::from_slice(&bytes).expect("the key file has the fields written above")
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

/// A certificate that the simulator made.
pub(super) fn parse(der: &[u8]) -> Certificate {
    Certificate::from_der(der).expect("the simulator's own certificate")
}

/// DER of a certificate.
pub(super) fn encode(certificate: &Certificate) -> Vec<u8> {
    certificate.to_der().expect("a certificate encodes")
}
