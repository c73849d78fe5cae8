//! Attestation for Tacit: does this evidence prove that this chip runs this code for these keys?
//!
//! [`verify()`] is pure: the verdict depends on its arguments alone, so every validator reaches the same one.
//! [`Quoter`] is the other side: it makes evidence, on hardware ([`TsmDevice`], [`SnpDevice`]) or in simulation
//! ([`SimulatedQuoter`], [`SimulatedTdQuoter`]), which counts only on networks of class `dev`. [`measure`]
//! computes what hardware will measure, from the files of a release.
//!
//! Verification and policy compile for wasm32-unknown-unknown too, where `TsmDevice`, `SnpDevice` and `measure`
//! do not exist.
//!
//! ```text
//! Binding ──report_data──▶ Quoter ──Evidence──▶ verify(trust, policy, binding, now) ──▶ Verified
//!                            ▲                                                     └─▶ Refusal
//!   TsmDevice, SnpDevice ────┴─── SimulatedQuoter
//! ```
//!
//! Limits, on purpose:
//! - Freshness, age and uniqueness of chips are the ledger's: it knows blocks and other validators.
//! - Evidence is malleable (see [`Evidence::digest`]): identity is the chip and the bound keys.
//! - Time bounds are inclusive seconds. Only beginnings may have a tolerance, which is the policy's and zero by
//!   default: a machine with a certificate fresher than a lagging block clock registers some blocks later.

mod binding;
mod collateral;
mod describe;
#[cfg(target_os = "linux")]
mod device;
mod evidence;
mod facts;
mod forecast;
mod intel;
pub mod limits;
#[cfg(not(target_arch = "wasm32"))]
pub mod measure;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
mod no_entropy;
#[doc(hidden)]
pub mod planted;
mod policy;
mod quote_error;
mod quoter;
mod refusal;
mod remedy;
mod simulator;
mod snp;
mod suspension;
mod trust;
#[cfg(target_os = "linux")]
mod tsm;
mod verify;

pub use binding::{Binding, REPORT_DATA_DOMAIN};
pub use collateral::{
    Collateral, CollateralInfo, CollateralKey, CollateralKind, CollateralNeeds, CollateralUpdate, Document,
    PckAuthority, SignedJson,
};
pub use describe::{describe, describe_certificate, describe_quote, describe_update};
#[cfg(target_os = "linux")]
pub use device::{SnpDevice, pick};
pub use evidence::{ChipId, Evidence, Measurement, Platform, Vendor};
pub use facts::{
    EnclaveFacts, Facts, Family, Fmspc, IntelBody, IntelFacts, SIMULATOR_OWNER_CONFIG, Shortfall, Shortfalls,
    SnpFacts, TcbStatus, TdFacts, Tee,
};
pub use forecast::{Forecast, NextLevel, forecast, next_level};
pub use intel::attributes::{enclave as enclave_attributes, td as td_attributes};
pub use intel::quote::{
    ENCLAVE_REPORT_LEN, EnclaveReport, QE_VENDOR_INTEL, QUOTE_HEADER_LEN, Quote, QuoteBody, QuoteHeader,
    TD_REPORT_LENS, Td15, Td15Extended, TdReport,
};
pub use intel::roots::{IntelPins, intel_pins};
pub use policy::{
    AllowedMeasurement, BLOCK_AGE_LIMIT, Change, Difference, EVIDENCE_AGE_LIMIT_MS, IntelPolicy,
    LOOSENING_DELAY_LIMIT_MS, NOT_BEFORE_TOLERANCE_LIMIT_MS, Policy, SgxPolicy, SnpPolicy, TcbFloor,
    TdxPolicy,
};
pub use quote_error::QuoteError;
pub use quoter::Quoter;
pub use refusal::Refusal;
pub use simulator::authority::SimulatorAuthority;
pub use simulator::chip::SimulatedChip;
pub use simulator::documents::{SimulatedLevel, SimulatedList, SimulatedQeIdentity, SimulatedTcbInfo};
pub use simulator::quoter::SimulatedQuoter;
pub use simulator::td::{SIMULATED_FMSPC, SimulatedPck, SimulatedTd, SimulatedTdQuoter};
pub use snp::generation::{Generation, Tcb};
pub use snp::layout::{REPORT_LEN, Report, guest_policy, key_info, platform_info};
pub use snp::roots::{LeafKind, Pins, pins};
pub use snp::{REPORT_VERSIONS, SIMULATOR_FAMILY_ID};
pub use suspension::Suspension;
pub use trust::{NetworkClass, SIMULATOR_ORGANISATION, SimulatorRoot, TrustRoots};
#[cfg(target_os = "linux")]
pub use tsm::{TSM_ROOT, TsmDevice};
pub use verify::{Step, Verdict, Verified, verify, verify_steps};
