//! The verdict: numbered checks from raw bytes to "this chip runs this code for these keys".
//!
//! Pure: no clock, no file, no randomness; the verdict is a function of the arguments. The checks:
//!
//! | no. | check |
//! |---|---|
//! | 0 | this network may judge such evidence: platform, class, roots |
//! | 1 | the report's shape: length, every unused byte zero, one encoding only |
//! | 2 | header: version, algorithm, key kind, simulator's mark |
//! | 3 | generation: CPUID and leaf agree |
//! | 4 | leaf certificate: encoding, pinned issuer, names, extensions, time |
//! | 5 | leaf's TCB is the reported TCB |
//! | 6 | leaf's chip is the reported chip |
//! | 7 | signatures: report, leaf, intermediate, root |
//! | 8 | policy |
//! | 9 | report data commits to the registration |
//!
//! The order is by cost and by what later checks rely on; the first failure is the verdict.

use std::collections::BTreeMap;

use crate::binding::Binding;
use crate::evidence::{ChipId, Evidence, Measurement, Platform};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::snp::generation::{Generation, Tcb};
use crate::snp::roots::{LeafKind, Roots};
use crate::snp::{self, Authentic};
use crate::trust::TrustRoots;

/// What verified evidence says. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose hardware, or the simulator.
    pub platform: Platform,
    /// Its generation.
    pub generation: Generation,
    /// What was launched.
    pub measurement: Measurement,
    /// Which chip. Proven by a VCEK; with a VLEK only what the report says, and masked as a rule.
    pub chip: ChipId,
    /// The guest's 64 bytes.
    pub report_data: [u8; 64],
    /// The TCB that the signing key is derived from.
    pub tcb: Tcb,
    /// End of the leaf certificate's validity, Unix time in milliseconds, inclusive to the second.
    pub leaf_not_after_ms: u64,
    /// Format version of the report.
    pub report_version: u32,
    /// What policy looks at besides.
    pub facts: Facts,
    sealed: Sealed,
}

/// Keeps [`Verified`] from being made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sealed;

/// Further facts of a verified SNP report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
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
}

impl Verified {
    fn new(platform: Platform, authentic: Authentic) -> Self {
        let Authentic {
            report,
            generation,
            kind,
            leaf_not_after_ms,
        } = authentic;
        Self {
            platform,
            generation,
            measurement: report.measurement,
            chip: report.chip_id,
            report_data: report.report_data,
            tcb: report.reported_tcb,
            leaf_not_after_ms,
            report_version: report.version,
            facts: Facts {
                leaf_kind: kind,
                guest_policy: report.guest_policy,
                platform_info: report.platform_info,
                vmpl: report.vmpl,
                guest_svn: report.guest_svn,
                cpuid: report.cpuid,
                current_tcb: report.current_tcb,
                committed_tcb: report.committed_tcb,
                launch_tcb: report.launch_tcb,
                report_id: report.report_id,
                report_id_ma: report.report_id_ma,
                host_data: report.host_data,
            },
            sealed: Sealed,
        }
    }
}

/// Judges `evidence` at `now_ms` (Unix milliseconds; the including block's time, never a wall clock on the
/// ledger). Without a policy the verdict is about authenticity alone, without a binding about no keys.
///
/// # Errors
/// The first check that fails, as a named [`Refusal`]. Never panics, whatever the bytes.
pub fn verify(
    evidence: &Evidence,
    trust: &TrustRoots,
    policy: Option<&Policy>,
    binding: Option<&Binding>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    run(evidence, trust, policy, binding, now_ms, &mut Notes(None))
}

/// The same verdict as [`verify`], check by check, for people.
pub fn verify_steps(
    evidence: &Evidence,
    trust: &TrustRoots,
    policy: Option<&Policy>,
    binding: Option<&Binding>,
    now_ms: u64,
) -> Vec<Step> {
    let mut notes = Notes(Some(BTreeMap::new()));
    let refusal = run(evidence, trust, policy, binding, now_ms, &mut notes).err();
    let mut passed = notes.0.unwrap_or_default();
    let checks = STEPS.iter().zip(0..);
    checks
        .map(|(&name, number)| {
            let failed = refusal.as_ref().filter(|refusal| refusal.number() == number);
            let (verdict, detail) = match (failed, passed.remove(&number)) {
                (Some(refusal), _) => (Verdict::Fail, format!("{refusal} [{}]", refusal.code())),
                (None, Some(detail)) => (Verdict::Pass, detail),
                (None, None) if refusal.is_some() => (Verdict::NotChecked, "not reached".to_owned()),
                (None, None) => (Verdict::NotChecked, "not asked for".to_owned()),
            };
            Step {
                number,
                name,
                verdict,
                detail,
            }
        })
        .collect()
}

/// One line of [`verify_steps`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The check's number, as in [`Refusal::number`].
    pub number: u8,
    /// What it is about.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What it saw, or why it refused.
    pub detail: String,
}

/// The outcome of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not: the evidence is refused.
    Fail,
    /// An earlier check failed, or nobody asked.
    NotChecked,
}

const STEPS: [&str; 10] = [
    "network admits the platform",
    "report shape",
    "report header",
    "generation",
    "leaf certificate",
    "leaf TCB",
    "chip",
    "signatures",
    "policy",
    "binding",
];

/// Details of the checks that passed, kept only when somebody reads them.
pub(crate) struct Notes(Option<BTreeMap<u8, String>>);

impl Notes {
    pub(crate) fn pass(&mut self, number: u8, detail: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.0 {
            notes.insert(number, detail());
        }
    }
}

fn run(
    evidence: &Evidence,
    trust: &TrustRoots,
    policy: Option<&Policy>,
    binding: Option<&Binding>,
    now_ms: u64,
    notes: &mut Notes,
) -> Result<Verified, Refusal> {
    // 0. Two gates that do not know of each other keep the simulator out of every class but dev.
    let roots = Roots::select(evidence.platform, trust)?;
    trust.validate()?;
    notes.pass(0, || {
        format!("{} on a network of class {}", evidence.platform, trust.class)
    });

    // 1 to 7.
    evidence.check_bounds()?;
    let authentic = snp::authenticate(evidence, &roots, policy, now_ms, notes)?;
    let verified = Verified::new(evidence.platform, authentic);

    // 8.
    if let Some(policy) = policy {
        policy.judge(&verified)?;
        notes.pass(8, || {
            format!("version {}, measurement {}", policy.version, verified.measurement)
        });
    }

    // 9. Both sides are public: no need for constant time.
    if let Some(binding) = binding {
        if verified.report_data != binding.report_data() {
            return Err(Refusal::ReportData);
        }
        notes.pass(9, || {
            format!(
                "height {}, policy version {}",
                binding.height, binding.policy_version
            )
        });
    }
    Ok(verified)
}
