//! Which documents judge a machine at a moment.

use super::list::List;
use super::{
    Collateral, CollateralInfo, CollateralKey, CollateralKind, CollateralUpdate, Document, SignedJson,
};
use super::{PckAuthority, read};
use crate::facts::{Fmspc, Tee};
use crate::intel::documents::{QeIdentity, TcbInfo};
use crate::intel::ec::Certificate;
use crate::planted;
use crate::refusal::Refusal;

/// The moment, and how much later than it a document may begin.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// Unix time in milliseconds.
    pub(crate) now_ms: u64,
    /// In milliseconds.
    pub(crate) tolerance_ms: u64,
}

/// What one machine needs.
pub(crate) struct Wanted {
    pub(crate) simulated: bool,
    pub(crate) tee: Tee,
    pub(crate) fmspc: Fmspc,
    pub(crate) authority: PckAuthority,
    /// The lowest evaluation number that the policy takes.
    pub(crate) evaluation_min: u32,
}

/// A document that is in force.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'a> {
    pub(crate) key: CollateralKey,
    pub(crate) info: CollateralInfo,
    pub(crate) update: &'a CollateralUpdate,
}

/// All that one machine needs, in force and read.
pub(crate) struct Selection<'a> {
    pub(crate) root_list: (Chosen<'a>, List),
    pub(crate) pck_list: (Chosen<'a>, List),
    pub(crate) tcb_info: (Chosen<'a>, &'a SignedJson, TcbInfo),
    pub(crate) identity: (Chosen<'a>, &'a SignedJson, QeIdentity),
}

impl Clock {
    /// The second that beginnings are held against.
    fn lenient(self) -> u64 {
        self.now_ms.saturating_add(self.tolerance_ms) / 1000
    }

    pub(crate) fn second(self) -> u64 {
        self.now_ms / 1000
    }

    /// Whether what begins and ends at these seconds is in force.
    pub(crate) fn covers(self, from: u64, to: u64) -> bool {
        self.has_begun(from) && self.second() <= to
    }

    pub(crate) fn has_begun(self, from: u64) -> bool {
        from <= self.lenient()
    }

    fn check(self, chosen: &Chosen<'_>) -> Result<(), Refusal> {
        let CollateralInfo {
            issued_ms,
            next_update_ms,
            ..
        } = chosen.info;
        if !self.has_begun(issued_ms / 1000) {
            return Err(Refusal::CollateralNotYetValid {
                document: chosen.key,
                issued_ms,
                now_ms: self.now_ms,
            });
        }
        if self.second() > next_update_ms / 1000 && !planted::has("stale_collateral_accepted") {
            return Err(Refusal::CollateralExpired {
                document: chosen.key,
                next_update_ms,
                now_ms: self.now_ms,
            });
        }
        Ok(())
    }
}

impl Chosen<'_> {
    pub(crate) fn last_second(&self) -> u64 {
        self.info.next_update_ms / 1000
    }

    pub(crate) fn first_second(&self) -> u64 {
        self.info.issued_ms / 1000
    }
}

impl Collateral {
    /// The document of a place, if it is in force.
    pub(crate) fn in_force(
        &self,
        key: CollateralKey,
        clock: Clock,
        what: impl FnOnce() -> String,
    ) -> Result<Chosen<'_>, Refusal> {
        let missing = || Refusal::CollateralMissing { what: what() };
        let update = self.get(&key).ok_or_else(missing)?;
        let chosen = Chosen {
            key,
            info: read::info(&update.document)?,
            update,
        };
        clock.check(&chosen)?;
        Ok(chosen)
    }

    /// Of several levels the lowest that the policy takes and that is in force: a higher one can be held, and forecast,
    /// before it counts. Where only lower ones are held, the highest of them, for the policy to refuse by name.
    fn choose_level(
        &self,
        levels: &[u32],
        place: impl Fn(u32) -> CollateralKey,
        minimum: u32,
        clock: Clock,
        what: impl Fn() -> String,
    ) -> Result<Chosen<'_>, Refusal> {
        let (below, accepted): (Vec<u32>, Vec<u32>) = levels.iter().partition(|level| **level < minimum);
        let candidates: Vec<u32> = if accepted.is_empty() {
            below.into_iter().rev().collect()
        } else {
            accepted
        };
        let mut refusal = Refusal::CollateralMissing { what: what() };
        for level in candidates {
            match self.in_force(place(level), clock, &what) {
                Ok(chosen) => return Ok(chosen),
                Err(other) => refusal = other,
            }
        }
        Err(refusal)
    }

    /// Every document for one machine.
    pub(crate) fn select(&self, wanted: &Wanted, clock: Clock) -> Result<Selection<'_>, Refusal> {
        let Wanted {
            simulated,
            tee,
            fmspc,
            authority,
            evaluation_min,
        } = *wanted;
        let place = |kind| CollateralKey { simulated, kind };
        let by_name = |key: CollateralKey| move || key.to_string();
        let root_key = place(CollateralKind::IntelRootCrl);
        let root_list = self.in_force(root_key, clock, by_name(root_key))?;
        let pck_key = place(CollateralKind::IntelPckCrl(authority));
        let pck_list = self.in_force(pck_key, clock, by_name(pck_key))?;

        let simulator = if simulated { "simulated " } else { "" };
        let tcb_info = self.choose_level(
            &self.levels(simulated, tee, fmspc),
            |evaluation| {
                place(CollateralKind::TcbInfo {
                    tee,
                    fmspc,
                    evaluation,
                })
            },
            evaluation_min,
            clock,
            || format!("{simulator}{tee} TCB info of fmspc {fmspc}"),
        )?;
        let identity_place = |evaluation| place(CollateralKind::QeIdentity { tee, evaluation });
        let what = || format!("{simulator}{tee} QE identity");
        let same = tcb_info.info.evaluation.map(identity_place);
        let same = same.and_then(|key| self.in_force(key, clock, what).ok());
        let identity = match same {
            Some(identity) => identity,
            None => self.choose_level(
                &self.identity_levels(simulated, tee),
                identity_place,
                evaluation_min,
                clock,
                what,
            )?,
        };
        let list = |chosen: Chosen<'_>| {
            let der = match &chosen.update.document {
                Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } => list,
                _ => return Err(misplaced(&chosen)),
            };
            List::parse(der).map_err(|reason| unreadable(&chosen, reason))
        };
        let (tcb_signed, tcb_parsed) = match &tcb_info.update.document {
            Document::TcbInfo(signed) => (signed, TcbInfo::parse(&signed.body)),
            _ => return Err(misplaced(&tcb_info)),
        };
        let (identity_signed, identity_parsed) = match &identity.update.document {
            Document::QeIdentity(signed) => (signed, QeIdentity::parse(&signed.body)),
            _ => return Err(misplaced(&identity)),
        };
        Ok(Selection {
            root_list: (root_list, list(root_list)?),
            pck_list: (pck_list, list(pck_list)?),
            tcb_info: (
                tcb_info,
                tcb_signed,
                tcb_parsed.map_err(|reason| unreadable(&tcb_info, reason))?,
            ),
            identity: (
                identity,
                identity_signed,
                identity_parsed.map_err(|reason| unreadable(&identity, reason))?,
            ),
        })
    }
}

impl Selection<'_> {
    /// All four.
    pub(crate) fn documents(&self) -> [Chosen<'_>; 4] {
        [
            self.root_list.0,
            self.pck_list.0,
            self.tcb_info.0,
            self.identity.0,
        ]
    }

    /// The certificates of those who signed the TCB info and the QE identity.
    pub(crate) fn signers(&self) -> Result<[Certificate; 2], Refusal> {
        let parse = |what, signed: &SignedJson| {
            Certificate::parse(&signed.signer).map_err(|reason| Refusal::CollateralSigner { what, reason })
        };
        Ok([
            parse("TCB info", self.tcb_info.1)?,
            parse("QE identity", self.identity.1)?,
        ])
    }
}

fn unreadable(chosen: &Chosen<'_>, reason: &'static str) -> Refusal {
    Refusal::CollateralEncoding {
        what: read::name(&chosen.update.document),
        reason,
    }
}

/// Collateral that was decoded and not built by [`Collateral::apply`] may say anything.
fn misplaced(chosen: &Chosen<'_>) -> Refusal {
    unreadable(chosen, "stands in the place of another")
}
