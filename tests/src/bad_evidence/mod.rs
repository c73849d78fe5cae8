//! Almost-valid evidence: each [`Defect`] is an honest machine's evidence with one thing wrong, and the refusal that
//! must name it.
//!
//! Whatever a liar could sign is signed: the [`Workshop`] holds the private keys of the simulator's roots, so a
//! defect reaches the one check that is there to find it and is not caught early by a broken signature. What nobody
//! could sign (a vendor's own root) stays unsigned, and is refused for that.
//!
//! ```text
//! Workshop ── honest draft ── one change ──▶ Attempt ── the verifier's own entry point ──▶ code, check number
//! ```

mod amd_crl;
mod bringing;
mod chain;
mod documents;
mod genuine;
mod intel;
mod leaf;
mod machine;
mod network;
mod pck;
mod platform;
mod quote;
mod renewals;
mod report;
mod snp;
mod td;
mod workshop;

use tacit_attest::{Binding, Collateral, CollateralUpdate, Evidence, Policy, Refusal, TrustRoots, verify};
use tacit_ledger::{PublicState, RegistrationError, SystemRefusal, SystemTx};

pub use snp::SnpDraft;
pub use td::TdDraft;
pub use workshop::{MEASUREMENT, NOW_MS, Workshop};

/// What the verifier is handed.
#[derive(Clone, Debug)]
pub struct Case {
    /// The evidence.
    pub evidence: Evidence,
    /// The network's class and roots.
    pub trust: TrustRoots,
    /// What the ledger holds.
    pub collateral: Collateral,
    /// The policy, `None` for authenticity alone.
    pub policy: Option<Policy>,
    /// What the report data must commit to, `None` for anything.
    pub binding: Option<Binding>,
    /// Unix time in milliseconds.
    pub now_ms: u64,
}

/// A way into the verifier.
#[derive(Clone)]
pub enum Attempt {
    /// Evidence is judged.
    Verify(Box<Case>),
    /// A document is brought to a ledger.
    Bring(Box<Brought>),
    /// A quote as hardware gives it, or a tool writes it, is made evidence.
    Quote(Vec<u8>),
    /// Bytes of whatever kind, with or without a leaf, are told apart.
    Detect(Vec<u8>, Option<Vec<u8>>),
    /// A registered validator renews its registration on the ledger.
    Renew(Box<Renewal>),
}

/// A renewal on its way into a block.
#[derive(Clone)]
pub struct Renewal {
    /// The ledger below that block.
    pub state: PublicState,
    /// The renewal.
    pub transaction: SystemTx,
    /// That block's time, Unix milliseconds.
    pub time_ms: u64,
}

/// A document on its way into what a ledger holds.
#[derive(Clone, Debug)]
pub struct Brought {
    /// What is held already.
    pub held: Collateral,
    /// What is brought.
    pub update: CollateralUpdate,
    /// The network's class and roots.
    pub trust: TrustRoots,
    /// Unix time in milliseconds.
    pub now_ms: u64,
}

/// How an attempt was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The stable name.
    pub code: String,
    /// The number of the check; `None` where the refusal is not one of attestation's numbered checks.
    pub number: Option<u8>,
    /// The sentence for people.
    pub text: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.code().to_owned(),
            number: Some(refusal.number()),
            text: refusal.to_string(),
        }
    }
}

impl From<SystemRefusal> for Refused {
    fn from(refusal: SystemRefusal) -> Self {
        let number = match &refusal {
            SystemRefusal::Registration(RegistrationError::Evidence(refusal)) => Some(refusal.number()),
            _ => None,
        };
        Self {
            code: refusal.code().to_owned(),
            number,
            text: refusal.to_string(),
        }
    }
}

impl Attempt {
    /// Makes the attempt.
    ///
    /// # Errors
    /// The refusal, which is what a defect is there for.
    pub fn run(&self) -> Result<(), Refused> {
        match self {
            Self::Verify(case) => verify(
                &case.evidence,
                &case.trust,
                &case.collateral,
                case.policy.as_ref(),
                case.binding.as_ref(),
                case.now_ms,
            )
            .map(|_| ())
            .map_err(Refused::from),
            Self::Bring(brought) => {
                let mut held = brought.held.clone();
                let before = held.digest();
                let taken = held.apply(brought.update.clone(), &brought.trust, brought.now_ms);
                assert!(
                    taken.is_ok() || held.digest() == before,
                    "a refused document leaves no trace"
                );
                taken.map(|_| ()).map_err(Refused::from)
            }
            Self::Quote(raw) => Evidence::from_quote(raw).map(|_| ()).map_err(Refused::from),
            Self::Detect(report, leaf) => Evidence::detect(report, leaf.as_deref())
                .map(|_| ())
                .map_err(Refused::from),
            Self::Renew(renewal) => renewal
                .state
                .check_ordinary(&renewal.transaction, renewal.time_ms)
                .map_err(Refused::from),
        }
    }
}

/// One thing wrong, and the refusal that must say so.
#[derive(Clone)]
pub struct Defect {
    /// What it is about: "leaf", "binding".
    pub topic: &'static str,
    /// The honest base and what is wrong with it; no two defects share one.
    pub name: String,
    /// The refusal's code.
    pub code: &'static str,
    /// The number of the check that refuses, where it is a numbered one.
    pub number: Option<u8>,
    /// The evidence and everything it is held against.
    pub attempt: Attempt,
}

/// An honest attempt, which must be accepted: the control of every defect made from it.
#[derive(Clone)]
pub struct Honest {
    /// The machine and format.
    pub name: String,
    /// Without a defect.
    pub attempt: Attempt,
}

/// The list under construction.
#[derive(Default)]
pub struct Table {
    /// Bases, each once.
    pub honest: Vec<Honest>,
    /// What is wrong.
    pub defects: Vec<Defect>,
}

impl Table {
    /// Every base and every defect.
    pub fn all(shop: &Workshop) -> Self {
        let mut table = Self::default();
        report::add(&mut table, shop);
        leaf::add(&mut table, shop);
        chain::add(&mut table, shop);
        machine::add(&mut table, shop);
        amd_crl::add(&mut table, shop);
        platform::add(&mut table, shop);
        quote::add(&mut table, shop);
        pck::add(&mut table, shop);
        intel::add(&mut table, shop);
        documents::add(&mut table, shop);
        bringing::add(&mut table, shop);
        genuine::add(&mut table, shop);
        renewals::add(&mut table, shop);
        table
    }

    /// Notes an honest base, once.
    fn base(&mut self, name: &str, attempt: impl FnOnce() -> Attempt) {
        if !self.honest.iter().any(|honest| honest.name == name) {
            let (name, attempt) = (name.to_owned(), attempt());
            self.honest.push(Honest { name, attempt });
        }
    }

    fn push(&mut self, topic: &'static str, name: String, expected: (&'static str, u8), attempt: Attempt) {
        let (code, number) = (expected.0, Some(expected.1));
        self.defects.push(Defect {
            topic,
            name,
            code,
            number,
            attempt,
        });
    }
}
