//! How a document comes in: signed by the vendor, in force now, and newer than the one held.

use super::list::List;
use super::needs::CollateralNeeds;
use super::{
    Collateral, CollateralInfo, CollateralKey, CollateralKind, CollateralUpdate, Document, SignedJson, read,
};
use crate::evidence::Platform;
use crate::intel::ec::{Certificate, signs_raw};
use crate::intel::pck::is_signer;
use crate::intel::roots::IntelRoots;
use crate::limits::{COLLATERAL_BYTES_MAX, COLLATERAL_ITEMS_MAX, LEAF_BYTES_MAX};
use crate::planted;
use crate::refusal::Refusal;
use crate::snp::generation::Generation;
use crate::snp::leaf::{common_name, same_but_common_name};
use crate::snp::roots::{LeafKind, Roots};
use crate::trust::TrustRoots;

impl Collateral {
    /// Takes a document in, after checking its signature under the pinned roots, its time and that it is newer
    /// than the one held. Documents that have ended make room where there is none; no other document is dropped.
    ///
    /// # Errors
    /// A named [`Refusal`], mostly of check 8; the collateral is then unchanged.
    pub fn apply(
        &mut self,
        update: CollateralUpdate,
        trust: &TrustRoots,
        now_ms: u64,
    ) -> Result<CollateralKey, Refusal> {
        self.apply_for(update, trust, now_ms, CollateralNeeds::default)
    }

    /// The same for a ledger that anyone may bring documents to. Where there is no room, a document that the ledger's
    /// own machines need takes the place of one that none of them needs: a stranger with all of Intel's documents can
    /// fill the house, but not keep its owners out.
    ///
    /// # Errors
    /// A named [`Refusal`], mostly of check 8; the collateral is then unchanged.
    pub fn apply_for(
        &mut self,
        update: CollateralUpdate,
        trust: &TrustRoots,
        now_ms: u64,
        needs: impl FnOnce() -> CollateralNeeds,
    ) -> Result<CollateralKey, Refusal> {
        trust.admit(if update.simulated {
            Platform::SimulatedTdx
        } else {
            Platform::Tdx
        })?;
        trust.validate()?;
        check_bounds(&update.document)?;
        let (key, info) = read::key(&update)?;
        check_second_reader(&update.document)?;
        check_window(key, &info, now_ms)?;
        self.check_newer(key, &info)?;
        check_signature(&update, trust, now_ms)?;
        if !self.documents.contains_key(&key) && self.documents.len() >= COLLATERAL_ITEMS_MAX {
            self.make_room(key, now_ms, &needs())?;
        }
        self.documents.insert(key, update);
        Ok(key)
    }

    /// Drops what has ended, what nobody needs first; then, for a document that is needed, one that is not.
    fn make_room(&mut self, key: CollateralKey, now_ms: u64, needs: &CollateralNeeds) -> Result<(), Refusal> {
        let full = |held: &Self| held.documents.len() >= COLLATERAL_ITEMS_MAX;
        let ended = self.ended(now_ms);
        for place in ended.iter().filter(|place| !needs.cover(place)) {
            self.documents.remove(place);
        }
        if full(self) && needs.cover(&key) {
            let place = self.documents.keys().find(|place| !needs.cover(place)).copied();
            place.and_then(|place| self.documents.remove(&place));
        }
        // A needed level that has ended still says how far levels may not be rolled back: it goes last.
        if full(self) {
            ended.iter().for_each(|place| drop(self.documents.remove(place)));
        }
        if full(self) {
            return Err(Refusal::CollateralFull {
                max: COLLATERAL_ITEMS_MAX,
            });
        }
        Ok(())
    }

    fn check_newer(&self, document: CollateralKey, info: &CollateralInfo) -> Result<(), Refusal> {
        if let Some(held) = self.info(&document) {
            if info.issued_ms <= held.issued_ms {
                return Err(Refusal::CollateralNotNewer {
                    document,
                    issued_ms: info.issued_ms,
                    held_ms: held.issued_ms,
                });
            }
            if let (Some(have), Some(held)) = (info.number, held.number)
                && have < held
            {
                return Err(Refusal::CollateralNumber { document, have, held });
            }
        }
        let levels = match document.kind {
            CollateralKind::TcbInfo { tee, fmspc, .. } => self.levels(document.simulated, tee, fmspc),
            CollateralKind::QeIdentity { tee, .. } => self.identity_levels(document.simulated, tee),
            _ => Vec::new(),
        };
        match (info.evaluation, levels.first()) {
            (Some(have), Some(&lowest)) if have < lowest => {
                Err(Refusal::CollateralRolledBack { document, lowest })
            }
            _ => Ok(()),
        }
    }
}

/// The bounds again, for an update that was not decoded but built.
fn check_bounds(document: &Document) -> Result<(), Refusal> {
    let bounded = |what, have, max| {
        if have > max {
            Err(Refusal::EvidenceTooLong { what, have, max })
        } else {
            Ok(())
        }
    };
    match document {
        Document::TcbInfo(signed) | Document::QeIdentity(signed) => {
            bounded("the document's body", signed.body.len(), COLLATERAL_BYTES_MAX)?;
            bounded("the document's signature", signed.signature.len(), 64)?;
            bounded("the signer's certificate", signed.signer.len(), LEAF_BYTES_MAX)
        }
        Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } | Document::AmdCrl { list, .. } => {
            bounded("the revocation list", list.len(), COLLATERAL_BYTES_MAX)
        }
    }
}

/// What the second implementation cannot read would refuse every machine, so it must not take the place of what it can.
fn check_second_reader(document: &Document) -> Result<(), Refusal> {
    let readable = match document {
        Document::TcbInfo(signed) => serde_json::from_str::<dcap_qvl::TcbInfo>(&signed.body).is_ok(),
        Document::QeIdentity(signed) => serde_json::from_str::<dcap_qvl::QeIdentity>(&signed.body).is_ok(),
        Document::IntelRootCrl(list) | Document::IntelPckCrl { list, .. } => {
            List::parse(list).is_ok_and(|list| u32::try_from(list.number).is_ok())
        }
        Document::AmdCrl { .. } => true,
    };
    if readable {
        Ok(())
    } else {
        Err(Refusal::CollateralEncoding {
            what: read::name(document),
            reason: "cannot be read by the second implementation (dcap-qvl)",
        })
    }
}

/// Inclusive in whole seconds on both sides.
pub(crate) fn check_window(
    document: CollateralKey,
    info: &CollateralInfo,
    now_ms: u64,
) -> Result<(), Refusal> {
    if now_ms / 1000 < info.issued_ms / 1000 {
        return Err(Refusal::CollateralNotYetValid {
            document,
            issued_ms: info.issued_ms,
            now_ms,
        });
    }
    if now_ms / 1000 > info.next_update_ms / 1000 && !planted::has("stale_collateral_accepted") {
        return Err(Refusal::CollateralExpired {
            document,
            next_update_ms: info.next_update_ms,
            now_ms,
        });
    }
    Ok(())
}

/// Whether the vendor said it. Time only matters for the certificates of the signer and its issuers.
pub(crate) fn check_signature(
    update: &CollateralUpdate,
    trust: &TrustRoots,
    now_ms: u64,
) -> Result<(), Refusal> {
    let what = read::name(&update.document);
    let refuse = |reason| Refusal::CollateralEncoding { what, reason };
    let unsigned = Err(Refusal::CollateralSignature { what });
    let roots = || IntelRoots::of_collateral(update.simulated, trust);
    let signed = match &update.document {
        Document::TcbInfo(signed) | Document::QeIdentity(signed) => {
            return check_json(signed, what, &roots()?, now_ms);
        }
        Document::IntelRootCrl(der) => {
            let (list, roots) = (List::parse(der).map_err(refuse)?, roots()?);
            list.issuer() == roots.root.name() && list.is_signed_by_p256(&roots.root.certificate)
        }
        Document::IntelPckCrl { authority, list } => {
            let (list, roots) = (List::parse(list).map_err(refuse)?, roots()?);
            let Some(authority) = roots.authority(*authority) else {
                return unsigned;
            };
            list.issuer() == authority.name() && list.is_signed_by_p256(&authority.certificate)
        }
        Document::AmdCrl { generation, list } => {
            let list = List::parse(list).map_err(refuse)?;
            let root = amd_root(update.simulated, *generation, trust)?;
            *list.issuer() == root.tbs_certificate.subject && list.is_signed_by_rsa(&root)
        }
    };
    if signed { Ok(()) } else { unsigned }
}

fn amd_root(
    simulated: bool,
    generation: Generation,
    trust: &TrustRoots,
) -> Result<x509_cert::Certificate, Refusal> {
    let platform = if simulated {
        Platform::Simulated
    } else {
        Platform::SevSnp
    };
    let issuer = Roots::select(platform, trust)?.issuer(generation, LeafKind::Vcek, &[])?;
    Ok(issuer.root)
}

/// A signer that the root itself issued, for this and nothing else.
fn check_json(
    signed: &SignedJson,
    what: &'static str,
    roots: &IntelRoots,
    now_ms: u64,
) -> Result<(), Refusal> {
    let refuse = |reason| Refusal::CollateralSigner { what, reason };
    let signer = Certificate::parse(&signed.signer).map_err(refuse)?;
    let tbs = &signer.x509.tbs_certificate;
    if tbs.issuer != *roots.root.name() {
        return Err(refuse("is not issued by the pinned root itself"));
    }
    if common_name(&tbs.subject).as_deref() != Some(roots.signer_name())
        || !same_but_common_name(&tbs.subject, roots.root.name())
        || !is_signer(&signer)
    {
        return Err(refuse("is not the one that signs such documents"));
    }
    if !signer.is_signed_by(&roots.root.certificate.key) {
        return Err(refuse("is not signed by the pinned root"));
    }
    let (from, to) = signer.validity();
    if !(from..=to).contains(&(now_ms / 1000)) {
        return Err(refuse("is not valid now"));
    }
    if signs_raw(&signer.key, signed.body.as_bytes(), &signed.signature) {
        Ok(())
    } else {
        Err(Refusal::CollateralSignature { what })
    }
}
