//! Why evidence is refused: one named reason, the facts, and the number of the check that found it.

use thiserror::Error;

use crate::collateral::CollateralKey;
use crate::evidence::{Measurement, Platform};
use crate::snp::generation::Generation;
use crate::snp::roots::pins;
use crate::trust::NetworkClass;

/// A refusal. The prover is at fault in all but the reasons of check 0 and [`Refusal::PolicyInvalid`], which
/// say that this network cannot judge such evidence. Neither retrying nor another verifier helps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(
    missing_docs,
    reason = "each variant's message says what it means, each field is named there"
)]
pub enum Refusal {
    // Check 0: may this network judge such evidence?
    #[error("evidence of platform {platform} is not supported yet")]
    PlatformNotSupported { platform: Platform },
    #[error("simulated hardware is refused on a network of class {class}")]
    SimulatorForbidden { class: NetworkClass },
    #[error("this network names no simulator root")]
    SimulatorRootMissing,
    #[error("the network's simulator root is unusable: {reason}")]
    SimulatorRootInvalid { reason: &'static str },
    #[error("the compiled-in {generation} root differs from its pin: this build is damaged")]
    RootPin { generation: Generation },

    // Check 1: the report's shape.
    #[error("{what} has {have} bytes, at most {max} are allowed")]
    EvidenceTooLong {
        what: &'static str,
        have: usize,
        max: usize,
    },
    #[error("report has {have} bytes, must have {need}")]
    ReportLength { have: usize, need: usize },
    #[error("report byte {offset:#x} is unused and must be zero")]
    ReservedNotZero { offset: usize },
    #[error("report does not survive decoding and encoding again")]
    NotCanonical,

    // Check 2: the report's header.
    #[error("report version {have} is unknown")]
    ReportVersion { have: u32 },
    #[error("report version {have} is not in the policy")]
    ReportVersionNotAllowed { have: u32 },
    #[error("signature algorithm {have} is unknown, must be 1 (ECDSA P-384 with SHA-384)")]
    SignatureAlgorithm { have: u32 },
    #[error("the host masks the chip key, so nothing signs the report")]
    ChipKeyMasked,
    #[error("signing key kind {have} is unknown, must be 0 (VCEK) or 1 (VLEK)")]
    SigningKeyKind { have: u32 },
    #[error("platform {platform} does not fit the simulator's mark in the report's family id")]
    SimulatorMark { platform: Platform },

    // Check 3: the generation.
    #[error("no known EPYC generation has CPUID family {family:#x} model {model:#x}")]
    CpuUnknown { family: u8, model: u8 },
    #[error("report is of generation {report}, its leaf certificate of {leaf}")]
    GenerationMismatch { report: Generation, leaf: Generation },

    // Check 4: the leaf certificate.
    #[error("leaf certificate: {reason}")]
    LeafEncoding { reason: &'static str },
    #[error("leaf certificate is issued by {have:?}, which is none of the pinned intermediates")]
    LeafIssuer { have: String },
    #[error("leaf certificate names {have:?}, must be {need:?}")]
    LeafSubject { have: String, need: &'static str },
    #[error("leaf certificate extensions: {reason}")]
    LeafExtensions { reason: String },
    #[error(
        "leaf certificate is a VLEK without the intermediate that signed it: add AMD's ASVK certificate for \
         {generation} in DER after it (SHA-256 {})",
        hex::encode(pins(*generation).asvk)
    )]
    VlekNotSupported { generation: Generation },
    #[error("leaf certificate is valid from {not_before_ms} ms, the time is {now_ms} ms")]
    LeafNotYetValid { not_before_ms: u64, now_ms: u64 },
    #[error("leaf certificate is valid to {not_after_ms} ms, the time is {now_ms} ms")]
    LeafExpired { not_after_ms: u64, now_ms: u64 },
    #[error("the {which} certificate is not valid at {now_ms} ms")]
    IssuerNotValid { which: &'static str, now_ms: u64 },

    // Check 5: the leaf's TCB is the reported TCB.
    #[error("leaf certificate is for {component} {need}, the report claims {have}")]
    LeafTcb {
        component: &'static str,
        have: u8,
        need: u8,
    },

    // Check 6: the leaf's chip is the reported chip.
    #[error("the host masks the chip id, which a VCEK cannot have")]
    ChipIdMasked,
    #[error("leaf certificate belongs to another chip")]
    ChipIdMismatch,

    // Check 7: signatures.
    #[error("the root does not sign the intermediate")]
    RootSignature,
    #[error("the intermediate does not sign the leaf certificate")]
    LeafSignature,
    #[error("the leaf's key does not sign the report")]
    ReportSignature,

    // Check 8: collateral, also where an update brings it.
    #[error("no {what} is held: bring the vendor's")]
    CollateralMissing { what: String },
    #[error("the {document} begins at {issued_ms} ms, the time is {now_ms} ms")]
    CollateralNotYetValid {
        document: CollateralKey,
        issued_ms: u64,
        now_ms: u64,
    },
    #[error("the {document} ended at {next_update_ms} ms, the time is {now_ms} ms: bring the vendor's next")]
    CollateralExpired {
        document: CollateralKey,
        next_update_ms: u64,
        now_ms: u64,
    },
    #[error("the {which} certificate is revoked by the {list}")]
    CertificateRevoked {
        which: &'static str,
        list: CollateralKey,
    },
    #[error("{what}: {reason}")]
    CollateralEncoding {
        what: &'static str,
        reason: &'static str,
    },
    #[error("the signer does not sign the {what}")]
    CollateralSignature { what: &'static str },

    // Checks 9 to 11: policy.
    #[error("policy is unusable: {reason}")]
    PolicyInvalid { reason: String },
    #[error("platform {platform} is not in the policy")]
    PlatformNotAllowed { platform: Platform },
    #[error("generation {generation} is not in the policy")]
    GenerationNotAllowed { generation: Generation },
    #[error("the policy does not admit VLEKs")]
    VlekNotAllowed,
    #[error("the guest may be debugged by its host")]
    DebugAllowed,
    #[error("the guest may be migrated")]
    MigrationAllowed,
    #[error("the guest has a migration agent")]
    MigrationAgent,
    #[error("the guest may have CXL memory")]
    CxlAllowed,
    #[error("guest policy {have:#x} has bits of unknown meaning, or lacks the one that must be set")]
    GuestPolicyBits { have: u64 },
    #[error("guest policy {have:#x} lacks bits {missing:#x}, which the policy requires")]
    GuestPolicyMissing { have: u64, missing: u64 },
    #[error("guest policy {have:#x} has bits {forbidden:#x}, which the policy forbids")]
    GuestPolicyForbidden { have: u64, forbidden: u64 },
    #[error("platform info {have:#x} lacks bits {missing:#x}, which the policy requires of the machine")]
    PlatformInfoMissing { have: u64, missing: u64 },
    #[error("the guest's security version is {have}, the policy needs {min}")]
    GuestSvnBelowFloor { have: u32, min: u32 },
    #[error("the guest's {which} key {have} is not in the policy")]
    GuestKeyUnknown { which: &'static str, have: Measurement },
    #[error("report was asked for at VMPL {have}, at most {max} is allowed")]
    VmplTooHigh { have: u32, max: u32 },
    #[error("the machine has not checked its memory for aliases")]
    AliasCheckIncomplete,
    #[error("the policy has no TCB floor for generation {generation}")]
    TcbFloorMissing { generation: Generation },
    #[error("{which} TCB has {component} {have}, the policy needs {need}")]
    TcbBelowFloor {
        which: &'static str,
        component: &'static str,
        have: u8,
        need: u8,
    },
    #[error("measurement {measurement} is not in the policy for platform {platform}")]
    MeasurementUnknown {
        platform: Platform,
        measurement: Measurement,
    },

    // Check 12: report data.
    #[error("report data does not commit to this registration's keys, block and policy")]
    ReportData,
}

impl Refusal {
    /// A stable name for operators, metrics and the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PlatformNotSupported { .. } => "attest.platform_not_supported",
            Self::SimulatorForbidden { .. } => "attest.simulator_forbidden",
            Self::SimulatorRootMissing => "attest.simulator_root_missing",
            Self::SimulatorRootInvalid { .. } => "attest.simulator_root_invalid",
            Self::RootPin { .. } => "attest.root_pin",
            Self::EvidenceTooLong { .. } => "attest.evidence_too_long",
            Self::ReportLength { .. } => "attest.report_length",
            Self::ReservedNotZero { .. } => "attest.reserved_not_zero",
            Self::NotCanonical => "attest.not_canonical",
            Self::ReportVersion { .. } => "attest.report_version",
            Self::ReportVersionNotAllowed { .. } => "attest.report_version_not_allowed",
            Self::SignatureAlgorithm { .. } => "attest.signature_algorithm",
            Self::ChipKeyMasked => "attest.chip_key_masked",
            Self::SigningKeyKind { .. } => "attest.signing_key_kind",
            Self::SimulatorMark { .. } => "attest.simulator_mark",
            Self::CpuUnknown { .. } => "attest.cpu_unknown",
            Self::GenerationMismatch { .. } => "attest.generation_mismatch",
            Self::LeafEncoding { .. } => "attest.leaf_encoding",
            Self::LeafIssuer { .. } => "attest.leaf_issuer",
            Self::LeafSubject { .. } => "attest.leaf_subject",
            Self::LeafExtensions { .. } => "attest.leaf_extensions",
            Self::VlekNotSupported { .. } => "attest.vlek_not_supported",
            Self::LeafNotYetValid { .. } => "attest.leaf_not_yet_valid",
            Self::LeafExpired { .. } => "attest.leaf_expired",
            Self::IssuerNotValid { .. } => "attest.issuer_not_valid",
            Self::LeafTcb { .. } => "attest.leaf_tcb",
            Self::ChipIdMasked => "attest.chip_id_masked",
            Self::ChipIdMismatch => "attest.chip_id_mismatch",
            Self::RootSignature => "attest.root_signature",
            Self::LeafSignature => "attest.leaf_signature",
            Self::ReportSignature => "attest.report_signature",
            Self::CollateralMissing { .. } => "attest.collateral_missing",
            Self::CollateralNotYetValid { .. } => "attest.collateral_not_yet_valid",
            Self::CollateralExpired { .. } => "attest.collateral_expired",
            Self::CertificateRevoked { .. } => "attest.certificate_revoked",
            Self::CollateralEncoding { .. } => "attest.collateral_encoding",
            Self::CollateralSignature { .. } => "attest.collateral_signature",
            Self::PolicyInvalid { .. } => "attest.policy_invalid",
            Self::PlatformNotAllowed { .. } => "attest.platform_not_allowed",
            Self::GenerationNotAllowed { .. } => "attest.generation_not_allowed",
            Self::VlekNotAllowed => "attest.vlek_not_allowed",
            Self::DebugAllowed => "attest.debug_allowed",
            Self::MigrationAllowed => "attest.migration_allowed",
            Self::MigrationAgent => "attest.migration_agent",
            Self::CxlAllowed => "attest.cxl_allowed",
            Self::GuestPolicyBits { .. } => "attest.guest_policy_bits",
            Self::GuestPolicyMissing { .. } => "attest.guest_policy_missing",
            Self::GuestPolicyForbidden { .. } => "attest.guest_policy_forbidden",
            Self::PlatformInfoMissing { .. } => "attest.platform_info_missing",
            Self::GuestSvnBelowFloor { .. } => "attest.guest_svn_below_floor",
            Self::GuestKeyUnknown { .. } => "attest.guest_key_unknown",
            Self::VmplTooHigh { .. } => "attest.vmpl_too_high",
            Self::AliasCheckIncomplete => "attest.alias_check_incomplete",
            Self::TcbFloorMissing { .. } => "attest.tcb_floor_missing",
            Self::TcbBelowFloor { .. } => "attest.tcb_below_floor",
            Self::MeasurementUnknown { .. } => "attest.measurement_unknown",
            Self::ReportData => "attest.report_data",
        }
    }

    /// The number of the check that refused, as in [`crate::verify_steps`].
    pub fn number(&self) -> u8 {
        match self {
            Self::PlatformNotSupported { .. }
            | Self::SimulatorForbidden { .. }
            | Self::SimulatorRootMissing
            | Self::SimulatorRootInvalid { .. }
            | Self::RootPin { .. } => 0,
            Self::EvidenceTooLong { .. }
            | Self::ReportLength { .. }
            | Self::ReservedNotZero { .. }
            | Self::NotCanonical => 1,
            Self::ReportVersion { .. }
            | Self::SignatureAlgorithm { .. }
            | Self::ChipKeyMasked
            | Self::SigningKeyKind { .. }
            | Self::SimulatorMark { .. } => 2,
            Self::CpuUnknown { .. } | Self::GenerationMismatch { .. } => 3,
            Self::LeafEncoding { .. }
            | Self::LeafIssuer { .. }
            | Self::LeafSubject { .. }
            | Self::LeafExtensions { .. }
            | Self::VlekNotSupported { .. }
            | Self::LeafNotYetValid { .. }
            | Self::LeafExpired { .. }
            | Self::IssuerNotValid { .. } => 4,
            Self::LeafTcb { .. } => 5,
            Self::ChipIdMasked | Self::ChipIdMismatch => 6,
            Self::RootSignature | Self::LeafSignature | Self::ReportSignature => 7,
            Self::CollateralMissing { .. }
            | Self::CollateralNotYetValid { .. }
            | Self::CollateralExpired { .. }
            | Self::CertificateRevoked { .. }
            | Self::CollateralEncoding { .. }
            | Self::CollateralSignature { .. } => 8,
            Self::PolicyInvalid { .. }
            | Self::PlatformNotAllowed { .. }
            | Self::ReportVersionNotAllowed { .. }
            | Self::GenerationNotAllowed { .. }
            | Self::VlekNotAllowed
            | Self::DebugAllowed
            | Self::MigrationAllowed
            | Self::MigrationAgent
            | Self::CxlAllowed
            | Self::GuestPolicyBits { .. }
            | Self::GuestPolicyMissing { .. }
            | Self::GuestPolicyForbidden { .. }
            | Self::PlatformInfoMissing { .. }
            | Self::GuestSvnBelowFloor { .. }
            | Self::GuestKeyUnknown { .. }
            | Self::VmplTooHigh { .. }
            | Self::AliasCheckIncomplete => 9,
            Self::TcbFloorMissing { .. } | Self::TcbBelowFloor { .. } => 10,
            Self::MeasurementUnknown { .. } => 11,
            Self::ReportData => 12,
        }
    }
}
