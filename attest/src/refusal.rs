//! Why evidence is refused: one named reason, the facts, and the number of the check that found it.

use thiserror::Error;

use crate::collateral::CollateralKey;
use crate::evidence::{Measurement, Platform};
use crate::facts::{Fmspc, Shortfalls, TcbStatus};
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
    #[error("the compiled-in {which} differs from its pin: this build is damaged")]
    IntelRootPin { which: &'static str },

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
    #[error("quote is cut off: {what} needs {need} bytes, {have} are left")]
    QuoteTruncated {
        what: &'static str,
        have: usize,
        need: usize,
    },
    #[error("quote says that {what} has {have} bytes, it has {need}")]
    QuoteLength {
        what: &'static str,
        have: usize,
        need: usize,
    },
    #[error("{have} bytes that are not zero follow the quote: nothing signs them")]
    QuoteTrailing { have: usize },
    #[error("certification data is of type {have}, must be {need}")]
    CertificationType { have: u16, need: u16 },
    #[error("certificates in the quote: {reason}")]
    CertificationChain { reason: &'static str },
    #[error("{what} must be zero")]
    QuoteReserved { what: &'static str },
    #[error("an SEV-SNP report needs the certificate of its signing key: add the leaf")]
    LeafMissing,
    #[error("a quote carries its certificates itself: leave the leaf out")]
    LeafUnwanted,

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
    #[error("quote version {have} is unknown, must be 3 (SGX), 4 or 5 (TDX)")]
    QuoteVersion { have: u16 },
    #[error(
        "quote version {version} cannot be about TEE {tee_type:#x}: 3 is for SGX (0), 4 and 5 are for TDX (0x81)"
    )]
    QuoteTee { version: u16, tee_type: u32 },
    #[error("the quote is about {have}, the evidence claims {platform}")]
    QuotePlatform { have: Platform, platform: Platform },
    #[error("quote body of type {have} is unknown")]
    QuoteBodyType { have: u16 },
    #[error("attestation key of type {have} is unknown, must be 2 (ECDSA P-256)")]
    QuoteKeyType { have: u16 },
    #[error("the quoting enclave is not Intel's")]
    QeVendor,
    #[error("the trust domain may be profiled by its host")]
    TdProfiled,
    #[error("the trust domain may be migrated")]
    TdMigratable,
    #[error("a service domain is bound to the trust domain, or may be")]
    TdServiceTd,
    #[error("the trust domain lets its host inject faults: SEPT_VE_DISABLE must be set")]
    TdSeptVeDisable,
    #[error("attributes {have:#018x} of the trust domain have reserved bits set")]
    TdAttributesReserved { have: u64 },
    #[error("the report was asked for by partition {have} of the trust domain, must be 0")]
    TdPartition { have: u8 },
    #[error("the enclave may be debugged by its host")]
    EnclaveDebug,
    #[error("attributes {have:#018x} of the enclave have reserved bits set, or lack the one that must be")]
    EnclaveAttributes { have: u64 },
    #[error("platform {platform} does not fit the simulator's mark in the report")]
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
    #[error("leaf certificate has {have} as CPU SVN and {need} as its components")]
    LeafCpuSvn { have: String, need: String },

    // Check 5: the leaf's TCB is the reported TCB.
    #[error("leaf certificate is for {component} {need}, the report claims {have}")]
    LeafTcb {
        component: &'static str,
        have: u8,
        need: u8,
    },
    #[error("no level of the {document} fits the machine; the lowest asks for more: {shortfalls}")]
    TcbNotListed {
        document: CollateralKey,
        shortfalls: Shortfalls,
    },
    #[error("the {document} calls the machine's level revoked: others may know its keys")]
    TcbRevoked { document: CollateralKey },
    #[error("the {document} knows no TDX module of version {version}")]
    TdxModuleUnknown { document: CollateralKey, version: u8 },
    #[error("the TDX module has another {field} than the {document} names")]
    TdxModuleMismatch {
        document: CollateralKey,
        field: &'static str,
    },
    #[error("the quoting enclave has another {field} than the {document} names")]
    QeMismatch {
        document: CollateralKey,
        field: &'static str,
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
    #[error("the attestation key does not sign the quote")]
    QuoteSignature,
    #[error("the quoting enclave's report does not commit to the attestation key")]
    AttestationKey,
    #[error("the leaf's key does not sign the quoting enclave's report")]
    QeReportSignature,

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
    #[error("the signer of the {what}: {reason}")]
    CollateralSigner {
        what: &'static str,
        reason: &'static str,
    },
    #[error("the signer does not sign the {what}")]
    CollateralSignature { what: &'static str },
    #[error("the {document} is of {issued_ms} ms, one of {held_ms} ms is held")]
    CollateralNotNewer {
        document: CollateralKey,
        issued_ms: u64,
        held_ms: u64,
    },
    #[error("the {document} has number {have}, {held} is held")]
    CollateralNumber {
        document: CollateralKey,
        have: u64,
        held: u64,
    },
    #[error("the {document} is below evaluation {lowest}, the lowest that is held")]
    CollateralRolledBack { document: CollateralKey, lowest: u32 },
    #[error("{max} documents of collateral are held and none of them has ended")]
    CollateralFull { max: usize },
    #[error("the second implementation (dcap-qvl) comes to another verdict: {detail}")]
    SecondOpinion { detail: &'static str },

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
    #[error("the trust domain may be debugged by its host")]
    TdDebug,
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
    #[error("quote version {have} is not in the policy")]
    QuoteVersionNotAllowed { have: u16 },
    #[error("the trust domain has attribute bits {have:#018x}, which the policy does not admit")]
    TdAttributesNotAllowed { have: u64 },
    #[error(
        "the enclave may derive keys of the platform (attributes {have:#018x}), which a ledger's never needs"
    )]
    EnclaveKeyAccess { have: u64 },
    #[error("machines with {fmspc} are denied by the policy")]
    FmspcDenied { fmspc: Fmspc },
    #[error("SGX type {have} is not in the policy")]
    SgxTypeNotAllowed { have: u8 },
    #[error("the machine {what}, or does not say that it does not; the policy does not admit it")]
    MachineNotAllowed { what: &'static str },
    #[error("the policy has no TCB floor for generation {generation}")]
    TcbFloorMissing { generation: Generation },
    #[error("{which} TCB has {component} {have}, the policy needs {need}")]
    TcbBelowFloor {
        which: &'static str,
        component: &'static str,
        have: u8,
        need: u8,
    },
    #[error("Intel calls the machine's firmware {status}, the policy does not admit that; {shortfalls}")]
    TcbStatusNotAllowed {
        status: TcbStatus,
        shortfalls: Shortfalls,
    },
    #[error("advisory {id} is open on the machine, the policy does not tolerate it")]
    AdvisoryOpen { id: String },
    #[error("collateral of evaluation {have} is held, the policy needs {need}: bring the vendor's")]
    EvaluationTooLow { have: u32, need: u32 },
    #[error("the enclave has security version {have}, the policy needs {need}")]
    IsvSvnTooLow { have: u16, need: u16 },
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
            Self::IntelRootPin { .. } => "attest.intel_root_pin",
            Self::QuoteTruncated { .. } => "attest.quote_truncated",
            Self::QuoteLength { .. } => "attest.quote_length",
            Self::QuoteTrailing { .. } => "attest.quote_trailing",
            Self::CertificationType { .. } => "attest.certification_type",
            Self::CertificationChain { .. } => "attest.certification_chain",
            Self::QuoteReserved { .. } => "attest.quote_reserved",
            Self::LeafMissing => "attest.leaf_missing",
            Self::LeafUnwanted => "attest.leaf_unwanted",
            Self::QuoteVersion { .. } => "attest.quote_version",
            Self::QuoteTee { .. } => "attest.quote_tee",
            Self::QuotePlatform { .. } => "attest.quote_platform",
            Self::QuoteBodyType { .. } => "attest.quote_body_type",
            Self::QuoteKeyType { .. } => "attest.quote_key_type",
            Self::QeVendor => "attest.qe_vendor",
            Self::TdDebug => "attest.td_debug",
            Self::TdProfiled => "attest.td_profiled",
            Self::TdMigratable => "attest.td_migratable",
            Self::TdServiceTd => "attest.td_service_td",
            Self::TdSeptVeDisable => "attest.td_sept_ve_disable",
            Self::TdAttributesReserved { .. } => "attest.td_attributes_reserved",
            Self::TdPartition { .. } => "attest.td_partition",
            Self::EnclaveDebug => "attest.enclave_debug",
            Self::EnclaveAttributes { .. } => "attest.enclave_attributes",
            Self::LeafCpuSvn { .. } => "attest.leaf_cpu_svn",
            Self::TcbNotListed { .. } => "attest.tcb_not_listed",
            Self::TcbRevoked { .. } => "attest.tcb_revoked",
            Self::TdxModuleUnknown { .. } => "attest.tdx_module_unknown",
            Self::TdxModuleMismatch { .. } => "attest.tdx_module_mismatch",
            Self::QeMismatch { .. } => "attest.qe_mismatch",
            Self::QuoteSignature => "attest.quote_signature",
            Self::AttestationKey => "attest.attestation_key",
            Self::QeReportSignature => "attest.qe_report_signature",
            Self::CollateralMissing { .. } => "attest.collateral_missing",
            Self::CollateralNotYetValid { .. } => "attest.collateral_not_yet_valid",
            Self::CollateralExpired { .. } => "attest.collateral_expired",
            Self::CertificateRevoked { .. } => "attest.certificate_revoked",
            Self::CollateralEncoding { .. } => "attest.collateral_encoding",
            Self::CollateralSigner { .. } => "attest.collateral_signer",
            Self::CollateralSignature { .. } => "attest.collateral_signature",
            Self::CollateralNotNewer { .. } => "attest.collateral_not_newer",
            Self::CollateralNumber { .. } => "attest.collateral_number",
            Self::CollateralRolledBack { .. } => "attest.collateral_rolled_back",
            Self::CollateralFull { .. } => "attest.collateral_full",
            Self::SecondOpinion { .. } => "attest.second_opinion",
            Self::QuoteVersionNotAllowed { .. } => "attest.quote_version_not_allowed",
            Self::TdAttributesNotAllowed { .. } => "attest.td_attributes_not_allowed",
            Self::EnclaveKeyAccess { .. } => "attest.enclave_key_access",
            Self::FmspcDenied { .. } => "attest.fmspc_denied",
            Self::SgxTypeNotAllowed { .. } => "attest.sgx_type_not_allowed",
            Self::MachineNotAllowed { .. } => "attest.machine_not_allowed",
            Self::TcbStatusNotAllowed { .. } => "attest.tcb_status_not_allowed",
            Self::AdvisoryOpen { .. } => "attest.advisory_open",
            Self::EvaluationTooLow { .. } => "attest.evaluation_too_low",
            Self::IsvSvnTooLow { .. } => "attest.isv_svn_too_low",
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
            | Self::RootPin { .. }
            | Self::IntelRootPin { .. } => 0,
            Self::EvidenceTooLong { .. }
            | Self::ReportLength { .. }
            | Self::ReservedNotZero { .. }
            | Self::NotCanonical
            | Self::QuoteTruncated { .. }
            | Self::QuoteLength { .. }
            | Self::QuoteTrailing { .. }
            | Self::CertificationType { .. }
            | Self::CertificationChain { .. }
            | Self::QuoteReserved { .. }
            | Self::LeafMissing
            | Self::LeafUnwanted => 1,
            Self::ReportVersion { .. }
            | Self::SignatureAlgorithm { .. }
            | Self::ChipKeyMasked
            | Self::SigningKeyKind { .. }
            | Self::SimulatorMark { .. }
            | Self::QuoteVersion { .. }
            | Self::QuoteTee { .. }
            | Self::QuotePlatform { .. }
            | Self::QuoteBodyType { .. }
            | Self::QuoteKeyType { .. }
            | Self::QeVendor
            | Self::TdProfiled
            | Self::TdMigratable
            | Self::TdServiceTd
            | Self::TdSeptVeDisable
            | Self::TdAttributesReserved { .. }
            | Self::TdPartition { .. }
            | Self::EnclaveDebug
            | Self::EnclaveAttributes { .. } => 2,
            Self::CpuUnknown { .. } | Self::GenerationMismatch { .. } => 3,
            Self::LeafEncoding { .. }
            | Self::LeafIssuer { .. }
            | Self::LeafSubject { .. }
            | Self::LeafExtensions { .. }
            | Self::VlekNotSupported { .. }
            | Self::LeafNotYetValid { .. }
            | Self::LeafExpired { .. }
            | Self::IssuerNotValid { .. }
            | Self::LeafCpuSvn { .. } => 4,
            Self::LeafTcb { .. }
            | Self::TcbNotListed { .. }
            | Self::TcbRevoked { .. }
            | Self::TdxModuleUnknown { .. }
            | Self::TdxModuleMismatch { .. }
            | Self::QeMismatch { .. } => 5,
            Self::ChipIdMasked | Self::ChipIdMismatch => 6,
            Self::RootSignature
            | Self::LeafSignature
            | Self::ReportSignature
            | Self::QuoteSignature
            | Self::AttestationKey
            | Self::QeReportSignature => 7,
            Self::CollateralMissing { .. }
            | Self::CollateralNotYetValid { .. }
            | Self::CollateralExpired { .. }
            | Self::CertificateRevoked { .. }
            | Self::CollateralEncoding { .. }
            | Self::CollateralSigner { .. }
            | Self::CollateralSignature { .. }
            | Self::CollateralNotNewer { .. }
            | Self::CollateralNumber { .. }
            | Self::CollateralRolledBack { .. }
            | Self::CollateralFull { .. }
            | Self::SecondOpinion { .. } => 8,
            Self::PolicyInvalid { .. }
            | Self::TdDebug
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
            | Self::AliasCheckIncomplete
            | Self::QuoteVersionNotAllowed { .. }
            | Self::TdAttributesNotAllowed { .. }
            | Self::EnclaveKeyAccess { .. }
            | Self::FmspcDenied { .. }
            | Self::SgxTypeNotAllowed { .. }
            | Self::MachineNotAllowed { .. } => 9,
            Self::TcbFloorMissing { .. }
            | Self::TcbBelowFloor { .. }
            | Self::TcbStatusNotAllowed { .. }
            | Self::AdvisoryOpen { .. }
            | Self::EvaluationTooLow { .. }
            | Self::IsvSvnTooLow { .. } => 10,
            Self::MeasurementUnknown { .. } => 11,
            Self::ReportData => 12,
        }
    }
}
