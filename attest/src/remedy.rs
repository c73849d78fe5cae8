//! What to do about a refusal: one sentence for whoever runs the machine.

use crate::facts::{Shortfall, Shortfalls};
use crate::refusal::Refusal;

impl Refusal {
    /// What makes the refusal go away, and who can do it. For people: texts may change, [`Refusal::code`] does not.
    pub fn remedy(&self) -> String {
        match self {
            Self::LeafExpired { .. } => {
                "fetch the certificate of this chip and TCB again from the vendor, and attest again"
                    .to_owned()
            }
            Self::LeafNotYetValid { .. } | Self::CollateralNotYetValid { .. } => {
                "wait until it begins, or check the clock of the network".to_owned()
            }
            Self::IssuerNotValid { .. } | Self::RootPin { .. } | Self::IntelRootPin { .. } => {
                "use a release whose pinned vendor certificates are in force".to_owned()
            }
            Self::VlekNotSupported { .. } => {
                "add the ASVK certificate from AMD's key distribution service to the leaf".to_owned()
            }
            Self::CollateralExpired { document, .. } => {
                format!("bring the vendor's next {document}: anyone may")
            }
            Self::CollateralMissing { what } => format!("bring the vendor's {what}: anyone may"),
            Self::EvaluationTooLow { need, .. } => format!(
                "bring TCB info and QE identity of evaluation {need} or later: Intel serves them on its early channel"
            ),
            Self::CertificateRevoked { .. } | Self::TcbRevoked { .. } => {
                "take the machine out of service: its vendor no longer vouches for it".to_owned()
            }
            Self::TcbStatusNotAllowed { shortfalls, .. } | Self::TcbNotListed { shortfalls, .. } => {
                updates(shortfalls)
            }
            Self::AdvisoryOpen { id } => {
                format!("update the machine's firmware as {id} says, and attest again")
            }
            Self::TdxModuleUnknown { .. } | Self::TdxModuleMismatch { .. } => {
                "update: TDX module, to one that Intel names".to_owned()
            }
            Self::QeMismatch { .. } => "update: the host's quoting enclave (DCAP packages)".to_owned(),
            Self::TcbBelowFloor { which, component, .. } => amd_update(which, component),
            Self::ReportVersionNotAllowed { .. } | Self::AliasCheckIncomplete => {
                "update: SNP firmware (BIOS) of the host".to_owned()
            }
            Self::MeasurementUnknown { .. } => {
                "run a build that the policy lists, or have members list this one".to_owned()
            }
            Self::PlatformNotAllowed { .. }
            | Self::PlatformNotSupported { .. }
            | Self::GenerationNotAllowed { .. }
            | Self::VlekNotAllowed
            | Self::FmspcDenied { .. }
            | Self::SgxTypeNotAllowed { .. }
            | Self::QuoteVersionNotAllowed { .. }
            | Self::TcbFloorMissing { .. } => "move to a machine of a kind that the policy admits".to_owned(),
            Self::MachineNotAllowed { .. } | Self::PlatformInfoMissing { .. } => {
                "change the host's BIOS settings to what the policy asks for".to_owned()
            }
            Self::DebugAllowed
            | Self::MigrationAllowed
            | Self::MigrationAgent
            | Self::CxlAllowed
            | Self::GuestPolicyBits { .. }
            | Self::GuestPolicyMissing { .. }
            | Self::GuestPolicyForbidden { .. }
            | Self::GuestSvnBelowFloor { .. }
            | Self::GuestKeyUnknown { .. }
            | Self::VmplTooHigh { .. }
            | Self::TdDebug
            | Self::TdProfiled
            | Self::TdMigratable
            | Self::TdServiceTd
            | Self::TdSeptVeDisable
            | Self::TdAttributesNotAllowed { .. }
            | Self::EnclaveDebug
            | Self::EnclaveKeyAccess { .. }
            | Self::IsvSvnTooLow { .. } => "launch the guest with what the policy asks for".to_owned(),
            Self::ReportData => {
                "attest again, for these keys, a recent block and the newest policy".to_owned()
            }
            Self::PolicyInvalid { .. } => "members must repair the policy".to_owned(),
            _ => "attest again with evidence as this machine gives it".to_owned(),
        }
    }
}

/// "update: BIOS, TDX module": who brings what is missing, each once.
fn updates(Shortfalls(short): &Shortfalls) -> String {
    let mut who: Vec<&str> = short.iter().map(source).collect();
    who.sort_unstable();
    who.dedup();
    match who.as_slice() {
        [] => "change the machine's configuration as Intel's advisories for its status say".to_owned(),
        who => format!("update: {}", who.join(", ")),
    }
}

fn source(shortfall: &Shortfall) -> &str {
    match shortfall.update.as_str() {
        "" => "BIOS and microcode",
        named => named,
    }
}

/// AMD ships all parts in the BIOS; when they count differs.
fn amd_update(which: &str, component: &str) -> String {
    let part = match component {
        "microcode" => "microcode",
        _ => "SEV firmware",
    };
    match which {
        "launch" => format!("update: {part} (BIOS) of the host, and launch the guest again"),
        "committed" => format!("update: {part} (BIOS) of the host, and have the host commit it (SNP_COMMIT)"),
        _ => format!("update: {part} (BIOS) of the host, and fetch the certificate of the new TCB"),
    }
}
