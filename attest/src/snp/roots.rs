//! Who may sign a leaf: AMD's pinned certificates, or the simulator's root that a dev genesis names.
//! The two never stand in one list: the platform of the evidence picks one before anything is parsed.

use sev::certs::snp::{Certificate, builtin};
use sha2::{Digest, Sha256};
use x509_cert::Certificate as X509;

use super::generation::Generation;
use super::leaf::parse_canonical;
use crate::evidence::Platform;
use crate::refusal::Refusal;
use crate::trust::{NetworkClass, SimulatorRoot, TrustRoots};

/// Which family of signing keys a leaf belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeafKind {
    /// Versioned chip endorsement key: one chip, under the ASK.
    Vcek,
    /// Versioned loaded endorsement key: one cloud provider, under the ASVK. Says nothing of the chip.
    Vlek,
}

/// SHA-256 of the DER of AMD's root (ARK), VCEK intermediate (ASK) and VLEK intermediate (ASVK), as served
/// by AMD's key distribution service. They expire in 2045, 2047 and 2048.
#[derive(Debug)]
pub struct Pins {
    /// The self-signed root.
    pub ark: [u8; 32],
    /// Signs VCEKs.
    pub ask: [u8; 32],
    /// Signs VLEKs.
    pub asvk: [u8; 32],
}

/// The pins of one generation.
pub const fn pins(generation: Generation) -> Pins {
    match generation {
        Generation::Milan => Pins {
            ark: unhex(b"69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
            ask: unhex(b"67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b"),
            asvk: unhex(b"c5e081f59b7efab1fe2f8b505e159704e72f29cab7ef7cf628a05a42439082f5"),
        },
        Generation::Genoa => Pins {
            ark: unhex(b"4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
            ask: unhex(b"5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521"),
            asvk: unhex(b"197e610743a917d6b9bb982a5a9226ccc0a15b611be0619e626aca9151457372"),
        },
        Generation::Turin => Pins {
            ark: unhex(b"1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),
            ask: unhex(b"5b77ef5fe7a7a004fd9032668fba9d0fda22f88c4442069a479636a6ae3b3185"),
            asvk: unhex(b"104e10a8bd060a3c20a434261a57d0588fd65a88915b4f65b08bdecaf8df1a3c"),
        },
    }
}

pub(crate) const fn unhex(text: &[u8; 64]) -> [u8; 32] {
    const fn digit(c: u8) -> u8 {
        match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => panic!("a pin is lower-case hex"),
        }
    }
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    out
}

/// The set of roots that evidence of one platform is held against.
#[derive(Clone, Copy)]
pub(crate) enum Roots<'a> {
    Amd,
    Simulator(&'a SimulatorRoot),
}

impl<'a> Roots<'a> {
    /// Picks the set by platform. Refuses simulated evidence outside class `dev` by itself, whatever
    /// [`TrustRoots::validate`] said.
    pub(crate) fn select(platform: Platform, trust: &'a TrustRoots) -> Result<Self, Refusal> {
        match platform {
            Platform::SevSnp => Ok(Self::Amd),
            Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx => {
                Err(Refusal::PlatformNotSupported { platform })
            }
            Platform::Simulated if trust.class != NetworkClass::Dev => {
                Err(Refusal::SimulatorForbidden { class: trust.class })
            }
            Platform::Simulated => trust
                .simulator
                .as_ref()
                .map(Self::Simulator)
                .ok_or(Refusal::SimulatorRootMissing),
        }
    }

    pub(crate) fn is_simulator(&self) -> bool {
        matches!(self, Self::Simulator(_))
    }

    /// The common name that a leaf of `kind` must have.
    pub(crate) fn leaf_name(&self, kind: LeafKind) -> &'static str {
        match (self, kind) {
            (Self::Amd, LeafKind::Vcek) => "SEV-VCEK",
            (Self::Amd, LeafKind::Vlek) => "SEV-VLEK",
            (Self::Simulator(_), _) => "SIM-SEV-VCEK",
        }
    }

    /// The generation that a product name extension stands for: "Milan-B0", "Genoa", "SIM-Turin".
    pub(crate) fn generation_of_product(&self, product: &str) -> Option<Generation> {
        let name = match self {
            Self::Amd => product.split('-').next()?,
            Self::Simulator(_) => product.strip_prefix("SIM-")?,
        };
        Generation::ALL
            .into_iter()
            .find(|generation| generation.name() == name)
    }

    /// The root and intermediate for `generation` and `kind`. `asvk` is the certificate that came with a
    /// VLEK; it counts only when it hashes to the pin.
    pub(crate) fn issuer(
        &self,
        generation: Generation,
        kind: LeafKind,
        asvk: &[u8],
    ) -> Result<Issuer, Refusal> {
        let Self::Simulator(root) = self else {
            return amd_issuer(generation, kind, asvk);
        };
        Issuer::from_der(&root.ark, &root.ask).ok_or(Refusal::SimulatorRootInvalid {
            reason: "certificates do not parse",
        })
    }
}

fn amd_issuer(generation: Generation, kind: LeafKind, asvk: &[u8]) -> Result<Issuer, Refusal> {
    let pins = pins(generation);
    let (ark, ask) = match generation {
        Generation::Milan => (builtin::milan::ark(), builtin::milan::ask()),
        Generation::Genoa => (builtin::genoa::ark(), builtin::genoa::ask()),
        Generation::Turin => (builtin::turin::ark(), builtin::turin::ask()),
    };
    let ark = pinned(ark, pins.ark).ok_or(Refusal::RootPin { generation })?;
    let intermediate = match kind {
        LeafKind::Vcek => pinned(ask, pins.ask).ok_or(Refusal::RootPin { generation })?,
        LeafKind::Vlek => {
            if sha256(asvk) != pins.asvk {
                return Err(Refusal::VlekNotSupported { generation });
            }
            Certificate::from_der(asvk).map_err(|_| Refusal::VlekNotSupported { generation })?
        }
    };
    Ok(Issuer::new(ark, intermediate))
}

fn pinned(certificate: std::io::Result<Certificate>, pin: [u8; 32]) -> Option<Certificate> {
    certificate
        .ok()
        .filter(|certificate| certificate.to_der().is_ok_and(|der| sha256(&der) == pin))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A root and the intermediate under it, in the shapes that checks and `sev` need.
pub(crate) struct Issuer {
    pub(crate) chain: sev::certs::snp::ca::Chain,
    pub(crate) root: X509,
    pub(crate) intermediate: X509,
}

impl Issuer {
    /// When the first of the two certificates ends, in Unix milliseconds.
    pub(crate) fn not_after_ms(&self) -> u64 {
        let end = |certificate: &X509| {
            let end = certificate.tbs_certificate.validity.not_after;
            end.to_unix_duration().as_secs().saturating_mul(1000)
        };
        end(&self.root).min(end(&self.intermediate))
    }

    fn new(ark: Certificate, ask: Certificate) -> Self {
        let (root, intermediate) = (ark.clone().into(), ask.clone().into());
        Self {
            chain: sev::certs::snp::ca::Chain { ark, ask },
            root,
            intermediate,
        }
    }

    /// Parses canonical DER, `None` for anything else.
    pub(crate) fn from_der(ark: &[u8], ask: &[u8]) -> Option<Self> {
        let parse = |der: &[u8]| parse_canonical(der).ok().map(Certificate::from);
        Some(Self::new(parse(ark)?, parse(ask)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sev::certs::snp::Verifiable;

    #[test]
    fn the_compiled_in_amd_roots_match_their_pins_and_verify() {
        for generation in Generation::ALL {
            let issuer = Roots::Amd.issuer(generation, LeafKind::Vcek, &[]).unwrap();
            assert!(issuer.chain.verify().is_ok());
        }
    }

    #[test]
    fn a_vlek_intermediate_must_hash_to_its_pin() {
        let refused = Roots::Amd
            .issuer(Generation::Milan, LeafKind::Vlek, b"not the ASVK")
            .err();
        let generation = Generation::Milan;
        assert_eq!(refused, Some(Refusal::VlekNotSupported { generation }));
    }
}
