//! Which authentic machines a network admits: its allow-lists and floors, versioned, on the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

mod compare;
mod defaults;
mod intel;
mod judge;
#[cfg(test)]
mod tests;
mod validate;

pub use compare::{Change, Difference};
pub(crate) use defaults::simulated_td;

use crate::evidence::{Measurement, Platform};
use crate::facts::{Fmspc, TcbStatus};
use crate::limits;
use crate::snp::generation::{Generation, Tcb};

/// Milliseconds in a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// No network may accept evidence older than a week.
pub const EVIDENCE_AGE_LIMIT_MS: u64 = 7 * DAY_MS;
/// The ledger keeps the ids of this many blocks, so no policy may reach back further.
pub const BLOCK_AGE_LIMIT: u64 = 4096;
/// A certificate may begin at most this much later than the block that is judged by it: AMD's service signs on
/// demand, and clocks of consensus lag by seconds, not by hours.
pub const NOT_BEFORE_TOLERANCE_LIMIT_MS: u64 = 10 * 60 * 1000;
/// A loosening must come into force while its approvers still answer for it.
pub const LOOSENING_DELAY_LIMIT_MS: u64 = 90 * DAY_MS;

/// A network's attestation policy. What is not a field is not negotiable: debug, migration and CXL are
/// always refused, the chip id is always shown by a VCEK.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Grows with each change; registrations bind it.
    pub version: u64,
    /// Platforms admitted, at most [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub platforms: Vec<Platform>,
    /// EPYC generations admitted, at most [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub generations: Vec<Generation>,
    /// Code admitted, at most [`limits::POLICY_MEASUREMENTS_MAX`] entries.
    #[borsh(deserialize_with = "limits::read_measurements")]
    pub measurements: Vec<AllowedMeasurement>,
    /// What only SNP (and its simulation) has.
    pub snp: SnpPolicy,
    /// What only TDX (and its simulation) has.
    pub tdx: TdxPolicy,
    /// What only SGX has.
    pub sgx: SgxPolicy,
    /// Age in milliseconds of block time after which a validator must have attested again. The ledger
    /// applies it; verification itself knows no age. At most [`EVIDENCE_AGE_LIMIT_MS`].
    pub evidence_age_max_ms: u64,
    /// How far below the including block the block may be that evidence is bound to, in heights; 1 to
    /// [`BLOCK_AGE_LIMIT`]. The ledger applies it.
    pub block_age_max: u64,
    /// Tolerance for the beginning of certificates and collateral, in milliseconds; 0 is exact, at most
    /// [`NOT_BEFORE_TOLERANCE_LIMIT_MS`]. AMD issues leaf certificates on demand, so one may begin later than a
    /// lagging block clock.
    pub not_before_tolerance_ms: u64,
    /// Largest share of an epoch's seats for machines of one vendor, in percent from 1; 100 is no cap.
    pub vendor_share_max: u8,
    /// Largest share of an epoch's seats for machines of one family, in percent from 1; 100 is no cap.
    pub family_share_max: u8,
    /// Whether one chip may hold only one seat. Not together with [`SnpPolicy::vlek`], which proves no chip.
    pub chip_unique: bool,
    /// How long a change that admits more waits after its approval, in milliseconds of block time; at most
    /// [`LOOSENING_DELAY_LIMIT_MS`]. A change that only admits less takes effect from the next epoch on.
    pub loosening_delay_ms: u64,
}

/// One build that may run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedMeasurement {
    /// Where it may run: a simulated machine proves no measurement, so the lists are apart.
    pub platform: Platform,
    /// The launch measurement.
    pub value: Measurement,
    /// For people: release and machine shape; at most [`limits::POLICY_TEXT_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_text")]
    pub label: String,
    /// For auditors: the source commit; at most [`limits::POLICY_TEXT_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_text")]
    pub source: String,
    /// For auditors: the inputs from which `tacit attest measure` computes the value again; at most
    /// [`limits::POLICY_BUILD_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_build")]
    #[serde(default)]
    pub build: String,
}

/// The SNP part of a policy.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpPolicy {
    /// Report versions admitted, out of [`crate::REPORT_VERSIONS`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub report_versions: Vec<u32>,
    /// Whether keys that a cloud provider loads (VLEK) count. They name no chip.
    pub vlek: bool,
    /// Highest VMPL number that may ask for a report; 0 is the most privileged.
    pub vmpl_max: u32,
    /// Whether the machine must have looked for aliased memory (BadRAM).
    pub require_alias_check: bool,
    /// Guest policy bits that must be set, see [`crate::guest_policy`].
    pub guest_policy_required: u64,
    /// Guest policy bits that must be clear, see [`crate::guest_policy`]: SMT, for one.
    pub guest_policy_forbidden: u64,
    /// Platform info bits that must be set, see [`crate::platform_info`].
    pub platform_info_required: u64,
    /// Lowest security version of the guest.
    pub guest_svn_min: u32,
    /// SHA-384 of ID keys of which one must have signed the guest's ID block; empty asks for none. At most
    /// [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub id_keys: Vec<Measurement>,
    /// SHA-384 of author keys of which one must have certified the ID key; empty asks for none. At most
    /// [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub author_keys: Vec<Measurement>,
    /// Whether AMD's revocation list of the generation must be known and in force. Its root revokes only
    /// intermediates, which are pinned here.
    pub require_crl: bool,
    /// One floor for each admitted generation, and more for CPU models that count differently.
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub min_tcb: Vec<TcbFloor>,
}

/// The lowest TCB admitted on a generation, part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcbFloor {
    /// The generation.
    pub generation: Generation,
    /// CPUID models that this floor is for, inclusive; `None` is for all that no other floor names. Bergamo
    /// and Siena (0xa0 to 0xaf) are of generation Genoa and count their microcode from lower numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<(u8, u8)>,
    /// FMC, Turin only; 0 elsewhere.
    #[serde(default)]
    pub fmc: u8,
    /// Boot loader of the security processor.
    pub bootloader: u8,
    /// Its operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

/// What Intel's machines must show, whatever TEE they run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntelPolicy {
    /// Statuses admitted; [`TcbStatus::Revoked`] never is. At most [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub statuses: Vec<TcbStatus>,
    /// Security advisories (INTEL-SA-...) that are tolerated; every other one refuses. INTEL-DOC entries are
    /// informational. At most [`limits::POLICY_KINDS_MAX`] of at most [`limits::POLICY_TEXT_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_texts")]
    pub advisories: Vec<String>,
    /// Lowest evaluation number of TCB info and QE identity that counts. Intel's default endpoint lags a year
    /// behind the newest number.
    pub evaluation_min: u32,
    /// Kinds of machines refused. At most [`limits::POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub fmspc_denied: Vec<Fmspc>,
    /// Whether machines to which packages may be added count.
    pub dynamic_platform: bool,
    /// Whether machines whose root keys Intel keeps count.
    pub cached_keys: bool,
    /// Whether machines with hyperthreading count.
    pub smt: bool,
}

/// The TDX part of a policy.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxPolicy {
    /// Quote versions admitted: 4, 5.
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub quote_versions: Vec<u16>,
    /// TD attribute bits that may be set besides SEPT_VE_DISABLE, which must be.
    pub attributes_allowed: u64,
    /// Common to all of Intel's.
    pub machine: IntelPolicy,
}

/// The SGX part of a policy.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgxPolicy {
    /// SGX types admitted: 0 standard, 1 scalable, 2 scalable with integrity.
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub types: Vec<u8>,
    /// Lowest security version of the enclave.
    pub isv_svn_min: u16,
    /// Common to all of Intel's.
    pub machine: IntelPolicy,
}

impl IntelPolicy {
    /// Up to date, no advisory open. Every real machine seen so far is dynamic and runs SMT, and all but one have
    /// cached keys, so these are admitted.
    pub fn strict(evaluation_min: u32) -> Self {
        Self {
            statuses: vec![TcbStatus::UpToDate],
            advisories: Vec::new(),
            evaluation_min,
            fmspc_denied: Vec::new(),
            dynamic_platform: true,
            cached_keys: true,
            smt: true,
        }
    }
}

impl TcbFloor {
    fn tcb(&self) -> Tcb {
        let Self {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
            ..
        } = *self;
        Tcb {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
        }
    }

    fn names(&self, generation: Generation, model: u8) -> bool {
        let in_range = |(from, to): (u8, u8)| (from..=to).contains(&model);
        self.generation == generation && self.models.is_some_and(in_range)
    }
}
