//! Until when does evidence count, and what ends it? For operators, who must act before it does.
//!
//! Not an estimate: the end is found by judging the same evidence again one second after each end of what it rests
//! on, until it is refused. A document that ends where another takes over is therefore no end. What cannot be known
//! is what vendors and members will still say: a forecast holds for the collateral and the policy that it was given.

use core::ops::ControlFlow;

use crate::collateral::{Collateral, CollateralKey, CollateralKind};
use crate::evidence::{Evidence, Platform};
use crate::facts::{Facts, Fmspc, Shortfall, Tee};
use crate::intel::pck::Pck;
use crate::limits::COLLATERAL_ITEMS_MAX;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::trust::TrustRoots;
use crate::verify::verify;

/// Ends that a forecast looks beyond at most: each document once, and the certificates.
const ENDS_MAX: usize = COLLATERAL_ITEMS_MAX + 8;
/// How the end of a policy's patience is named.
const TOO_OLD: &str = "attest.evidence_expired";

/// What becomes of evidence under one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Whether it is accepted now.
    pub verdict: Result<(), Refusal>,
    /// The last moment at which it is accepted, Unix milliseconds, inclusive to the second; `None` where it is
    /// refused already.
    pub until_ms: Option<u64>,
    /// The code of what ends it, as of [`Refusal::code`].
    pub code: &'static str,
    /// What ends it, in a sentence.
    pub cause: String,
    /// What to update or do so that it does not end then.
    pub update: String,
}

/// What becomes of an Intel machine when the vendor's next level is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextLevel {
    /// Intel's number of that level, `tcbEvaluationDataNumber`.
    pub evaluation: u32,
    /// Under that level and otherwise the same policy.
    pub forecast: Forecast,
    /// Every part of the machine that is too old for it; what each needs, and who brings it.
    pub short: Vec<Shortfall>,
}

impl Forecast {
    /// With the age that a policy grants since the machine attested at `attested_ms` (Unix milliseconds of block
    /// time), which the ledger and not verification applies. The end may then lie in the past.
    pub fn with_age(self, attested_ms: u64, policy: &Policy) -> Self {
        let end = attested_ms.saturating_add(policy.evidence_age_max_ms);
        match self.until_ms {
            Some(until) if end < until => Self {
                verdict: self.verdict,
                until_ms: Some(end),
                code: TOO_OLD,
                cause: format!(
                    "the evidence is then older than the {} ms that policy version {} accepts",
                    policy.evidence_age_max_ms, policy.version
                ),
                update: "attest again: the node does so by itself while it runs".to_owned(),
            },
            _ => self,
        }
    }

    fn ended(until_ms: Option<u64>, verdict: Result<(), Refusal>, refusal: &Refusal) -> Self {
        Self {
            verdict,
            until_ms,
            code: refusal.code(),
            cause: refusal.to_string(),
            update: refusal.remedy(),
        }
    }
}

/// Judges `evidence` at `now_ms` (Unix milliseconds) as [`verify`] does, and then at each later moment at which
/// something that it rests on has ended, until it is refused.
pub fn forecast(
    evidence: &Evidence,
    trust: &TrustRoots,
    collateral: &Collateral,
    policy: &Policy,
    now_ms: u64,
) -> Forecast {
    let judge = |at_ms| verify(evidence, trust, collateral, Some(policy), None, at_ms);
    let first = match judge(now_ms) {
        Ok(verified) => verified.not_after_ms,
        Err(refusal) => return Forecast::ended(None, Err(refusal.clone()), &refusal),
    };
    // The bound is never met: each round passes the end of another document or certificate.
    let walked = (0..ENDS_MAX).try_fold(first, |end, _| {
        let after = (end / 1000).saturating_add(1).saturating_mul(1000);
        match judge(after) {
            Ok(verified) if verified.not_after_ms > end => ControlFlow::Continue(verified.not_after_ms),
            Ok(_) => ControlFlow::Break((end, None)),
            Err(refusal) => ControlFlow::Break((end, Some(refusal))),
        }
    });
    match walked {
        ControlFlow::Break((end, Some(refusal))) => Forecast::ended(Some(end), Ok(()), &refusal),
        ControlFlow::Break((end, None)) | ControlFlow::Continue(end) => Forecast {
            verdict: Ok(()),
            until_ms: Some(end),
            code: "",
            cause: "nothing that is known ends it".to_owned(),
            update: String::new(),
        },
    }
}

/// The same under the lowest level above the present one that is held and in force: what happens once members raise
/// the policy's evaluation number. `None` where there is no such level: always for AMD, whose levels are the
/// policy's own floors, and for Intel until somebody brings the vendor's next documents.
pub fn next_level(
    evidence: &Evidence,
    trust: &TrustRoots,
    collateral: &Collateral,
    policy: &Policy,
    now_ms: u64,
) -> Option<NextLevel> {
    let (tee, fmspc) = intel_machine(evidence)?;
    let simulated = evidence.platform.is_simulated();
    let place = |evaluation| CollateralKey {
        simulated,
        kind: CollateralKind::TcbInfo {
            tee,
            fmspc,
            evaluation,
        },
    };
    let in_force = |level: &u32| {
        let info = collateral.info(&place(*level));
        info.is_some_and(|info| {
            (info.issued_ms / 1000..=info.next_update_ms / 1000).contains(&(now_ms / 1000))
        })
    };
    let minimum = policy.intel(tee).evaluation_min;
    let mut levels = collateral.levels(simulated, tee, fmspc).into_iter();
    let mut usable = levels
        .by_ref()
        .filter(|level| *level >= minimum && in_force(level));
    let _present = usable.next()?;
    let evaluation = usable.next()?;
    // As if the lower ones were gone. The QE identity of the level counts where it is held.
    let later = collateral.retaining(|key| match key.kind {
        CollateralKind::TcbInfo {
            tee: of,
            fmspc: kind,
            evaluation: held,
        } => key.simulated != simulated || (of, kind) != (tee, fmspc) || held >= evaluation,
        _ => true,
    });
    let short = match verify(evidence, trust, &later, None, None, now_ms) {
        Ok(verified) => match verified.facts {
            Facts::Intel(facts) => facts.shortfalls.0,
            Facts::Snp(_) => Vec::new(),
        },
        Err(Refusal::TcbNotListed { shortfalls, .. }) => shortfalls.0,
        Err(_) => Vec::new(),
    };
    Some(NextLevel {
        evaluation,
        forecast: forecast(evidence, trust, &later, policy, now_ms),
        short,
    })
}

/// Which of Intel's documents a machine needs, by what its evidence says of itself.
fn intel_machine(evidence: &Evidence) -> Option<(Tee, Fmspc)> {
    let tee = match evidence.platform {
        Platform::SevSnp | Platform::Simulated => return None,
        Platform::Tdx | Platform::SimulatedTdx => Tee::Tdx,
        Platform::Sgx => Tee::Sgx,
    };
    evidence.check_bounds().ok()?;
    let leaf = Pck::parse(&evidence.leaf).ok()?;
    Some((tee, leaf.fmspc))
}
