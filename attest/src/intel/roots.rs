//! Who may sign for Intel's machines: Intel's pinned certificates, or the simulator's that a dev genesis names. The
//! two never stand in one list: the platform of the evidence picks one before anything is trusted.

use x509_cert::name::Name;

use super::ec::Certificate;
use crate::collateral::PckAuthority;
use crate::evidence::Platform;
use crate::refusal::Refusal;
use crate::snp::leaf::common_name;
use crate::snp::roots::{sha256, unhex};
use crate::trust::{NetworkClass, SimulatorRoot, TrustRoots};

/// See the README beside them for where they come from.
const ROOT: &[u8] = include_bytes!("sgx-root-ca.der");
const PLATFORM_CA: &[u8] = include_bytes!("pck-platform-ca.der");
const PROCESSOR_CA: &[u8] = include_bytes!("pck-processor-ca.der");

/// SHA-256 of the DER of Intel's root and of the two authorities that sign machines' certificates. They expire in
/// 2049 and 2033.
#[derive(Debug)]
pub struct IntelPins {
    /// "Intel SGX Root CA".
    pub root: [u8; 32],
    /// "Intel SGX PCK Platform CA".
    pub platform_ca: [u8; 32],
    /// "Intel SGX PCK Processor CA".
    pub processor_ca: [u8; 32],
}

/// The pins.
pub const fn intel_pins() -> IntelPins {
    IntelPins {
        root: unhex(b"44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"),
        platform_ca: unhex(b"22eb770dca215b607b5ccfc21a672b1da5cc660b1ad0365020567979edcaa0e1"),
        processor_ca: unhex(b"13b2dccef8fc4ec977ee5249743b0f758ebd1e28d768b2e1e12bc348adaa09fb"),
    }
}

/// DER of the pinned authority, for those who only need its bytes.
pub(crate) fn authority_der(authority: PckAuthority) -> &'static [u8] {
    match authority {
        PckAuthority::Processor => PROCESSOR_CA,
        PckAuthority::Platform => PLATFORM_CA,
    }
}

/// DER of the pinned root.
pub(crate) fn root_der() -> &'static [u8] {
    ROOT
}

/// A certificate and its bytes.
pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    pub(crate) certificate: Certificate,
}

impl Authority {
    fn parse(der: &[u8]) -> Result<Self, &'static str> {
        Ok(Self {
            der: der.to_vec(),
            certificate: Certificate::parse(der)?,
        })
    }

    /// The subject.
    pub(crate) fn name(&self) -> &Name {
        &self.certificate.x509.tbs_certificate.subject
    }
}

/// The set of certificates that evidence of one platform is held against.
pub(crate) struct IntelRoots {
    pub(crate) root: Authority,
    platform: Authority,
    /// The simulator plays multi-package platforms only.
    processor: Option<Authority>,
    pub(crate) simulated: bool,
}

impl IntelRoots {
    /// Picks the set by platform. Refuses simulated evidence outside class `dev` by itself, whatever
    /// [`TrustRoots::validate`] said.
    pub(crate) fn select(platform: Platform, trust: &TrustRoots) -> Result<Self, Refusal> {
        if platform.is_simulated() {
            Self::of_simulator(trust)
        } else {
            Self::intel()
        }
    }

    /// The same for documents of collateral.
    pub(crate) fn of_collateral(simulated: bool, trust: &TrustRoots) -> Result<Self, Refusal> {
        if simulated {
            Self::of_simulator(trust)
        } else {
            Self::intel()
        }
    }

    fn of_simulator(trust: &TrustRoots) -> Result<Self, Refusal> {
        if trust.class != NetworkClass::Dev {
            return Err(Refusal::SimulatorForbidden { class: trust.class });
        }
        let root = trust.simulator.as_ref().ok_or(Refusal::SimulatorRootMissing)?;
        Self::simulated(root).map_err(|reason| Refusal::SimulatorRootInvalid { reason })
    }

    fn intel() -> Result<Self, Refusal> {
        let pins = intel_pins();
        let pinned = |which, der: &[u8], pin: [u8; 32]| {
            let damaged = Refusal::IntelRootPin { which };
            if sha256(der) != pin {
                return Err(damaged);
            }
            Authority::parse(der).map_err(|_| damaged)
        };
        Ok(Self {
            root: pinned("Intel SGX Root CA", ROOT, pins.root)?,
            platform: pinned("Intel SGX PCK Platform CA", PLATFORM_CA, pins.platform_ca)?,
            processor: Some(pinned(
                "Intel SGX PCK Processor CA",
                PROCESSOR_CA,
                pins.processor_ca,
            )?),
            simulated: false,
        })
    }

    /// The simulator's, unchecked but for their encoding: [`IntelRoots::check_chain`] is the rest.
    pub(crate) fn simulated(root: &SimulatorRoot) -> Result<Self, &'static str> {
        let parse = |der: &[u8]| Authority::parse(der).map_err(|_| "certificates do not parse");
        Ok(Self {
            root: parse(&root.intel_root)?,
            platform: parse(&root.pck_ca)?,
            processor: None,
            simulated: true,
        })
    }

    /// Whether the root signs itself and the authorities.
    pub(crate) fn check_chain(&self) -> bool {
        let key = &self.root.certificate.key;
        self.all().all(|one| {
            one.certificate.is_signed_by(key)
                && one.certificate.x509.tbs_certificate.issuer == *self.root.name()
        })
    }

    /// Root and authorities.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Authority> {
        [&self.root, &self.platform].into_iter().chain(&self.processor)
    }

    /// The authority, if this set has it.
    pub(crate) fn authority(&self, authority: PckAuthority) -> Option<&Authority> {
        match authority {
            PckAuthority::Processor => self.processor.as_ref(),
            PckAuthority::Platform => Some(&self.platform),
        }
    }

    /// The authority with this name.
    pub(crate) fn authority_named(&self, issuer: &Name) -> Option<(PckAuthority, &Authority)> {
        [PckAuthority::Platform, PckAuthority::Processor]
            .into_iter()
            .filter_map(|kind| Some((kind, self.authority(kind)?)))
            .find(|(_, authority)| authority.name() == issuer)
    }

    /// The common name of a machine's certificate.
    pub(crate) fn leaf_name(&self) -> &'static str {
        if self.simulated {
            "SIM-SGX PCK Certificate"
        } else {
            "Intel SGX PCK Certificate"
        }
    }

    /// The common name of who signs TCB infos and QE identities.
    pub(crate) fn signer_name(&self) -> &'static str {
        if self.simulated {
            "SIM-SGX TCB Signing"
        } else {
            "Intel SGX TCB Signing"
        }
    }
}

/// The pinned authority with this name, without any simulator.
pub(crate) fn pinned_authority_named(issuer: &Name) -> Option<PckAuthority> {
    match common_name(issuer)?.as_str() {
        "Intel SGX PCK Platform CA" => Some(PckAuthority::Platform),
        "Intel SGX PCK Processor CA" => Some(PckAuthority::Processor),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_certificates_match_their_pins_and_verify() {
        let roots = IntelRoots::intel().unwrap();
        assert!(roots.check_chain());
        for (kind, name) in [
            (PckAuthority::Platform, "Intel SGX PCK Platform CA"),
            (PckAuthority::Processor, "Intel SGX PCK Processor CA"),
        ] {
            let authority = roots.authority(kind).unwrap();
            assert_eq!(common_name(authority.name()).as_deref(), Some(name));
            assert_eq!(pinned_authority_named(authority.name()), Some(kind));
        }
    }
}
