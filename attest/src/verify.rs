//! The verdict: numbered checks from raw bytes to "this chip runs this code for these keys".
//!
//! Pure: no clock, no file, no randomness; the verdict is a function of the arguments. The checks:
//!
//! | no. | check | SNP | TDX, SGX |
//! |---|---|---|---|
//! | 0 | this network may judge such evidence | platform, class, roots | the same |
//! | 1 | shape | length, every unused byte zero, one encoding only | the same, of quote and certification data |
//! | 2 | header | version, algorithm, key kind, simulator's mark | version, key type, TEE, QE vendor, mark; a guest that nobody else may enter |
//! | 3 | family | CPUID and leaf agree | FMSPC, PCK authority |
//! | 4 | leaf certificate | encoding, pinned issuer, names, extensions, time | the same |
//! | 5 | TCB | leaf's TCB is the reported TCB | a level of the signed TCB info matches |
//! | 6 | chip | leaf's chip is the reported chip | PPID and platform instance |
//! | 7 | signatures | report, leaf, intermediate, root | quote, quoting enclave, leaf, intermediate, root |
//! | 8 | collateral | revocation, where a list is known | TCB info, QE identity, both revocation lists |
//! | 9 | policy: machine | platform, family, guest's rights | the same |
//! | 10 | policy: TCB | floors | accepted statuses, advisories, evaluation number |
//! | 11 | policy: code | measurement | measurement |
//! | 12 | report data | commits to the registration | the same |
//!
//! The order is by cost and by what later checks rely on; the first failure is the verdict. Where a check relies on one
//! with a higher number, that one runs first: Intel's TCB levels (5) are judged after the collateral (8) that lists them.

use std::collections::BTreeMap;

use crate::binding::Binding;
use crate::collateral::Collateral;
use crate::evidence::{ChipId, Evidence, Measurement, Platform, Vendor};
use crate::facts::{Facts, Family};
use crate::intel::{self, roots::IntelRoots};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::snp::{self, roots::Roots};
use crate::trust::TrustRoots;

/// What verified evidence says. Only [`verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whose hardware, or the simulator.
    pub platform: Platform,
    /// What was launched.
    pub measurement: Measurement,
    /// Which chip. With an AMD VLEK only what the report says, and masked as a rule.
    pub chip: ChipId,
    /// The guest's 64 bytes.
    pub report_data: [u8; 64],
    /// Last moment at which the same evidence under the same collateral and policy still verifies: the end of
    /// the certificate, revocation list or collateral that ends first. Unix time in milliseconds, inclusive to
    /// the second.
    pub not_after_ms: u64,
    /// What policy looks at besides, by platform.
    pub facts: Facts,
    sealed: Sealed,
}

/// Keeps [`Verified`] from being made elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sealed;

/// What a platform's module proves: everything but policy and binding.
pub(crate) struct Authentic {
    pub(crate) measurement: Measurement,
    pub(crate) chip: ChipId,
    pub(crate) report_data: [u8; 64],
    pub(crate) not_after_ms: u64,
    pub(crate) facts: Facts,
}

impl Verified {
    /// Whose hardware, as vendor caps and the uniqueness of chips count it.
    pub fn vendor(&self) -> Vendor {
        self.platform.vendor()
    }

    /// The hardware family, as caps and suspensions name it.
    pub fn family(&self) -> Family {
        self.facts.family()
    }

    pub(crate) fn new(platform: Platform, authentic: Authentic) -> Self {
        let Authentic {
            measurement,
            chip,
            report_data,
            not_after_ms,
            facts,
        } = authentic;
        Self {
            platform,
            measurement,
            chip,
            report_data,
            not_after_ms,
            facts,
            sealed: Sealed,
        }
    }
}

/// Judges `evidence` at `now_ms` (Unix milliseconds; the including block's time, never a wall clock on the
/// ledger) with the `collateral` that the ledger holds then. Without a policy the verdict is about authenticity
/// alone, without a binding about no keys.
///
/// # Errors
/// The first check that fails, as a named [`Refusal`]. Never panics, whatever the bytes.
pub fn verify(
    evidence: &Evidence,
    trust: &TrustRoots,
    collateral: &Collateral,
    policy: Option<&Policy>,
    binding: Option<&Binding>,
    now_ms: u64,
) -> Result<Verified, Refusal> {
    let rules = Rules {
        trust,
        collateral,
        policy,
        now_ms,
    };
    run(evidence, &rules, binding, &mut Notes(None))
}

/// The same verdict as [`verify`], check by check, for people.
pub fn verify_steps(
    evidence: &Evidence,
    trust: &TrustRoots,
    collateral: &Collateral,
    policy: Option<&Policy>,
    binding: Option<&Binding>,
    now_ms: u64,
) -> (Vec<Step>, Result<Verified, Refusal>) {
    let rules = Rules {
        trust,
        collateral,
        policy,
        now_ms,
    };
    let mut notes = Notes(Some(BTreeMap::new()));
    let outcome = run(evidence, &rules, binding, &mut notes);
    let refusal = outcome.as_ref().err();
    let mut passed = notes.0.unwrap_or_default();
    let steps = STEPS.iter().zip(0..).map(|(&name, number)| {
        let failed = refusal.filter(|refusal| refusal.number() == number);
        let (verdict, detail) = match (failed, passed.remove(&number)) {
            (Some(refusal), _) => (Verdict::Fail, format!("{refusal} [{}]", refusal.code())),
            (None, Some(noted)) => noted,
            (None, None) if refusal.is_some() => (Verdict::NotChecked, "not reached".to_owned()),
            (None, None) => (Verdict::NotChecked, "not asked for".to_owned()),
        };
        Step {
            number,
            name,
            verdict,
            detail,
        }
    });
    (steps.collect(), outcome)
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

const STEPS: [&str; 13] = [
    "network admits the platform",
    "shape",
    "header",
    "family",
    "leaf certificate",
    "TCB",
    "chip",
    "signatures",
    "collateral",
    "policy: machine",
    "policy: TCB",
    "policy: code",
    "report data",
];

/// What evidence is held against.
pub(crate) struct Rules<'a> {
    pub(crate) trust: &'a TrustRoots,
    pub(crate) collateral: &'a Collateral,
    pub(crate) policy: Option<&'a Policy>,
    pub(crate) now_ms: u64,
}

/// Details of the checks that passed, kept only when somebody reads them.
pub(crate) struct Notes(pub(crate) Option<BTreeMap<u8, (Verdict, String)>>);

impl Notes {
    pub(crate) fn pass(&mut self, number: u8, detail: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.0 {
            notes.insert(number, (Verdict::Pass, detail()));
        }
    }

    /// A check that has nothing to look at, and why.
    pub(crate) fn skip(&mut self, number: u8, detail: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.0 {
            notes.insert(number, (Verdict::NotChecked, detail()));
        }
    }
}

fn run(
    evidence: &Evidence,
    rules: &Rules<'_>,
    binding: Option<&Binding>,
    notes: &mut Notes,
) -> Result<Verified, Refusal> {
    // 0. Two gates that do not know of each other keep the simulator out of every class but dev.
    let platform = evidence.platform;
    rules.trust.admit(platform)?;
    rules.trust.validate()?;
    notes.pass(0, || {
        format!("{platform} on a network of class {}", rules.trust.class)
    });

    // 1 to 8.
    evidence.check_bounds()?;
    let authentic = match platform {
        Platform::SevSnp | Platform::Simulated => {
            let roots = Roots::select(platform, rules.trust)?;
            snp::authenticate(evidence, &roots, rules, notes)?
        }
        Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx => {
            let roots = IntelRoots::select(platform, rules.trust)?;
            intel::authenticate(evidence, &roots, rules, notes)?
        }
    };
    let verified = Verified::new(platform, authentic);

    // 9 to 11.
    if let Some(policy) = rules.policy {
        policy.judge(&verified, notes)?;
    }

    // 12. Both sides are public: no need for constant time.
    if let Some(binding) = binding {
        if verified.report_data != binding.report_data() {
            return Err(Refusal::ReportData);
        }
        notes.pass(12, || {
            format!(
                "height {}, policy version {}",
                binding.height, binding.policy_version
            )
        });
    }
    Ok(verified)
}
