//! What authentic evidence says besides code, chip and report data: the facts that a policy judges.

use borsh::{BorshDeserialize, BorshSerialize};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::collateral::PckAuthority;
use crate::limits::hex_array;
use crate::snp::generation::{Generation, Tcb};
use crate::snp::roots::LeafKind;

/// Facts by platform.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one in each verdict, never in a list")]
pub enum Facts {
    /// AMD SEV-SNP, or its simulation.
    Snp(SnpFacts),
    /// Intel TDX or SGX, or a simulation.
    Intel(IntelFacts),
}

impl Facts {
    /// The hardware family.
    pub fn family(&self) -> Family {
        match self {
            Self::Snp(facts) => Family::Epyc(facts.generation),
            Self::Intel(facts) => Family::Intel(facts.fmspc),
        }
    }

    /// The facts of an SNP report, `None` for another platform.
    pub fn snp(&self) -> Option<&SnpFacts> {
        match self {
            Self::Snp(facts) => Some(facts),
            Self::Intel(_) => None,
        }
    }

    /// The facts of an Intel quote, `None` for another platform.
    pub fn intel(&self) -> Option<&IntelFacts> {
        match self {
            Self::Snp(_) => None,
            Self::Intel(facts) => Some(facts),
        }
    }
}

/// A group of machines that break together: what a generation cap counts and a suspension drops.
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
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// An EPYC generation.
    Epyc(Generation),
    /// An Intel family-model-stepping-platform.
    Intel(Fmspc),
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epyc(generation) => write!(f, "{generation}"),
            Self::Intel(fmspc) => write!(f, "fmspc {fmspc}"),
        }
    }
}

/// Family-model-stepping-platform and custom SKU: how Intel names a kind of machine (PCK certificate profile,
/// section 1.3.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Fmspc(pub [u8; 6]);

hex_array!(Fmspc, 6);

impl fmt::Display for Fmspc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Further facts of a verified SNP report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnpFacts {
    /// The EPYC generation.
    pub generation: Generation,
    /// Format version of the report.
    pub report_version: u32,
    /// VCEK or VLEK.
    pub leaf_kind: LeafKind,
    /// Guest policy bits, see [`crate::guest_policy`].
    pub guest_policy: u64,
    /// Platform bits, see [`crate::platform_info`].
    pub platform_info: u64,
    /// Privilege level that asked for the report.
    pub vmpl: u32,
    /// Security version of the guest.
    pub guest_svn: u32,
    /// CPUID family, model and stepping; zero in a report of version 2.
    pub cpuid: [u8; 3],
    /// The TCB that the signing key is derived from.
    pub reported_tcb: Tcb,
    /// TCB running now.
    pub current_tcb: Tcb,
    /// TCB below which the machine cannot fall.
    pub committed_tcb: Tcb,
    /// TCB at launch.
    pub launch_tcb: Tcb,
    /// This run of the guest.
    pub report_id: [u8; 32],
    /// Its migration agent, all ones for none.
    pub report_id_ma: [u8; 32],
    /// The host's 32 bytes.
    pub host_data: [u8; 32],
    /// SHA-384 of the key that signed the ID block, or zero.
    pub id_key_digest: [u8; 48],
    /// SHA-384 of the key that certified the ID key, or zero.
    pub author_key_digest: [u8; 48],
}

/// Which of Intel's TEEs a quote is about.
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
pub enum Tee {
    /// An enclave.
    Sgx = 0,
    /// A trust domain.
    Tdx = 1,
}

impl fmt::Display for Tee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
        })
    }
}

/// Intel's verdict on the firmware of a machine, converged over platform, TDX module and quoting enclave. The
/// names are those of Intel's TCB info. The borsh tags are fixed for ever.
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
#[repr(u8)]
pub enum TcbStatus {
    /// Nothing to do.
    UpToDate = 0,
    /// Software in the TEE must defend itself against known side channels.
    SWHardeningNeeded = 1,
    /// The machine's configuration must change.
    ConfigurationNeeded = 2,
    /// Both.
    ConfigurationAndSWHardeningNeeded = 3,
    /// Firmware is below the level that Intel asks for.
    OutOfDate = 4,
    /// And its configuration must change.
    OutOfDateConfigurationNeeded = 5,
    /// The trust domain should be launched again: its module was updated underneath it.
    TDRelaunchAdvised = 6,
    /// And the machine's configuration must change.
    TDRelaunchAdvisedConfigurationNeeded = 7,
    /// Never accepted, whatever a policy lists.
    Revoked = 8,
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A part of a machine's firmware that is older than a level asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Which, in Intel's words.
    pub component: String,
    /// Its security version.
    pub have: u16,
    /// The level's.
    pub need: u16,
    /// Who brings a newer one: "BIOS", "OS/VMM", "TDX module"; empty where Intel does not say.
    pub update: String,
}

/// What a machine lacks, in the order of Intel's components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfalls(pub Vec<Shortfall>);

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            component,
            have,
            need,
            update,
        } = self;
        write!(f, "{component} has {have}, needs {need}")?;
        if update.is_empty() {
            Ok(())
        } else {
            write!(f, " (update: {update})")
        }
    }
}

impl fmt::Display for Shortfalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, shortfall) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{shortfall}")?;
        }
        if self.0.is_empty() {
            f.write_str("no component is short")?;
        }
        Ok(())
    }
}

/// Further facts of a verified Intel quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelFacts {
    /// Trust domain or enclave.
    pub tee: Tee,
    /// Format version of the quote.
    pub quote_version: u16,
    /// The kind of machine.
    pub fmspc: Fmspc,
    /// 0 standard, 1 scalable, 2 scalable with integrity.
    pub sgx_type: u8,
    /// SVN of the CPU's sixteen components, from the leaf.
    pub cpu_svn: [u8; 16],
    /// SVN of the provisioning certification enclave, from the leaf.
    pub pce_svn: u16,
    /// Which of Intel's authorities issued the leaf.
    pub authority: PckAuthority,
    /// Intel's verdict under the TCB info that was used.
    pub tcb_status: TcbStatus,
    /// What keeps the machine below the nearest level that Intel does not call out of date; empty when nothing does.
    pub shortfalls: Shortfalls,
    /// Advisories of the matched levels, in Intel's order, each once.
    pub advisories: Vec<String>,
    /// The lower of the evaluation numbers of TCB info and QE identity.
    pub evaluation: u32,
    /// Whether packages may be added to the machine; `None` where the leaf does not say.
    pub dynamic_platform: Option<bool>,
    /// Whether Intel keeps the machine's root keys; `None` where the leaf does not say.
    pub cached_keys: Option<bool>,
    /// Whether hyperthreading is on; `None` where the leaf does not say.
    pub smt: Option<bool>,
    /// What is particular to the TEE.
    pub body: IntelBody,
}

/// The part of a quote that describes the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one in each verdict, never in a list")]
pub enum IntelBody {
    /// A trust domain.
    Td(TdFacts),
    /// An enclave.
    Enclave(EnclaveFacts),
}

/// MROWNERCONFIG of every simulated trust domain, so that nobody takes one for real by its look either.
pub const SIMULATOR_OWNER_CONFIG: [u8; 48] = *b"TACIT SIMULATOR - NOT HARDWARE! TACIT SIMULATOR!";

/// A trust domain's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdFacts {
    /// SVNs of the TDX module and its loader at launch.
    pub tee_tcb_svn: [u8; 16],
    /// The same now; from TD 1.5 on.
    pub tee_tcb_svn2: Option<[u8; 16]>,
    /// TD attributes.
    pub attributes: u64,
    /// Extended features that the domain may use.
    pub xfam: u64,
    /// The TDX module.
    pub mr_seam: [u8; 48],
    /// Build of the domain.
    pub mr_td: [u8; 48],
    /// Set by the owner at launch.
    pub mr_config_id: [u8; 48],
    /// Set by the owner at launch.
    pub mr_owner: [u8; 48],
    /// Set by the owner at launch; the simulator marks its quotes here.
    pub mr_owner_config: [u8; 48],
    /// Extended at run time.
    pub rtmr: [[u8; 48]; 4],
}

/// An enclave's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnclaveFacts {
    /// Attributes and XFRM.
    pub attributes: [u8; 16],
    /// Build of the enclave.
    pub mr_enclave: [u8; 32],
    /// Whose key signed it.
    pub mr_signer: [u8; 32],
    /// Product number.
    pub isv_prod_id: u16,
    /// Security version.
    pub isv_svn: u16,
}
