//! What a network trusts: its class, and the simulator's root if the class allows one.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};
use sev::certs::snp::Verifiable;

use crate::evidence::Platform;
use crate::intel::roots::IntelRoots;
use crate::limits::{self, ROOT_BYTES_MAX};
use crate::refusal::Refusal;
use crate::snp::leaf::organisation;
use crate::snp::roots::Issuer;

/// The organisation that every certificate of the simulator names.
pub const SIMULATOR_ORGANISATION: &str = "SIMULATOR - NOT HARDWARE";

/// How serious a network is. Genesis fixes it. The borsh tags are fixed for ever.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[borsh(use_discriminant = true)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum NetworkClass {
    /// Real value, real hardware.
    Production = 0,
    /// Real hardware, no value.
    Test = 1,
    /// The only class in which simulated evidence counts.
    Dev = 2,
}

impl fmt::Display for NetworkClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Test => "test",
            Self::Dev => "dev",
        })
    }
}

/// The public half of a simulator's throw-away authority: four certificates in DER, each at most
/// [`ROOT_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatorRoot {
    /// The self-signed root that plays AMD's.
    #[borsh(deserialize_with = "limits::read_root")]
    #[serde(with = "limits::hexed")]
    pub ark: Vec<u8>,
    /// The intermediate that signs simulated SNP chips.
    #[borsh(deserialize_with = "limits::read_root")]
    #[serde(with = "limits::hexed")]
    pub ask: Vec<u8>,
    /// The self-signed root that plays Intel's.
    #[borsh(deserialize_with = "limits::read_root")]
    #[serde(with = "limits::hexed")]
    pub intel_root: Vec<u8>,
    /// The authority that signs simulated TDX machines.
    #[borsh(deserialize_with = "limits::read_root")]
    #[serde(with = "limits::hexed")]
    pub pck_ca: Vec<u8>,
}

/// Genesis' answer to "whom do we believe". AMD's and Intel's roots are compiled in and not listed here.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRoots {
    /// The network's class.
    pub class: NetworkClass,
    /// The simulator's root; only with class `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulator: Option<SimulatorRoot>,
}

impl TrustRoots {
    /// The first of two gates that keep the simulator out of every class but dev: by the platform that the
    /// evidence claims. The second is the choice of roots, which looks at the class again.
    pub(crate) fn admit(&self, platform: Platform) -> Result<(), Refusal> {
        if !platform.is_simulated() {
            return Ok(());
        }
        if self.class != NetworkClass::Dev {
            return Err(Refusal::SimulatorForbidden { class: self.class });
        }
        match &self.simulator {
            Some(_) => Ok(()),
            None => Err(Refusal::SimulatorRootMissing),
        }
    }

    /// Refuses a simulator root outside class `dev`, and one that is not what [`crate::SimulatorAuthority`]
    /// makes: canonical certificates that name themselves simulated, the root signing itself and the
    /// intermediate.
    pub fn validate(&self) -> Result<(), Refusal> {
        let Some(root) = &self.simulator else {
            return Ok(());
        };
        if self.class != NetworkClass::Dev {
            return Err(Refusal::SimulatorForbidden { class: self.class });
        }
        let invalid = |reason| Refusal::SimulatorRootInvalid { reason };
        let all = [&root.ark, &root.ask, &root.intel_root, &root.pck_ca];
        if all.iter().any(|der| der.len() > ROOT_BYTES_MAX) {
            return Err(invalid("a certificate is too long"));
        }
        let intel = IntelRoots::simulated(root).map_err(invalid)?;
        let issuer = Issuer::from_der(&root.ark, &root.ask).ok_or(invalid("certificates do not parse"))?;
        let amd = [&issuer.root, &issuer.intermediate];
        for certificate in amd
            .into_iter()
            .chain(intel.all().map(|one| &one.certificate.x509))
        {
            let tbs = &certificate.tbs_certificate;
            for name in [&tbs.issuer, &tbs.subject] {
                if organisation(name).as_deref() != Some(SIMULATOR_ORGANISATION) {
                    return Err(invalid("a certificate does not call itself simulated"));
                }
            }
        }
        if issuer.chain.verify().is_err() || !intel.check_chain() {
            return Err(invalid("the signatures do not verify"));
        }
        Ok(())
    }
}
