//! What a document says of itself: where it stands, from when to when it holds, and its numbers.

use super::list::List;
use super::{CollateralInfo, CollateralKey, CollateralKind, CollateralUpdate, Document};
use crate::intel::documents::{QeIdentity, TcbInfo};
use crate::refusal::Refusal;

/// The kind of a document, for messages about one that cannot be read.
pub(crate) fn name(document: &Document) -> &'static str {
    match document {
        Document::TcbInfo(_) => "TCB info",
        Document::QeIdentity(_) => "QE identity",
        Document::IntelRootCrl(_) => "Intel root CRL",
        Document::IntelPckCrl { .. } => "Intel PCK CRL",
        Document::AmdCrl { .. } => "AMD CRL",
    }
}

/// Dates and numbers, unverified.
pub(crate) fn info(document: &Document) -> Result<CollateralInfo, Refusal> {
    read(document).map(|(_, info)| info)
}

/// Where a document belongs, unverified.
pub(crate) fn key(update: &CollateralUpdate) -> Result<(CollateralKey, CollateralInfo), Refusal> {
    let (kind, info) = read(&update.document)?;
    let key = CollateralKey {
        simulated: update.simulated,
        kind,
    };
    Ok((key, info))
}

fn read(document: &Document) -> Result<(CollateralKind, CollateralInfo), Refusal> {
    let refuse = |reason| Refusal::CollateralEncoding {
        what: name(document),
        reason,
    };
    match document {
        Document::TcbInfo(signed) => {
            let info = TcbInfo::parse(&signed.body).map_err(refuse)?;
            let evaluation = info.tcb_evaluation_data_number;
            let kind = CollateralKind::TcbInfo {
                tee: info.tee().map_err(refuse)?,
                fmspc: info.fmspc().map_err(refuse)?,
                evaluation,
            };
            Ok((kind, of_json(info.window().map_err(refuse)?, evaluation)))
        }
        Document::QeIdentity(signed) => {
            let identity = QeIdentity::parse(&signed.body).map_err(refuse)?;
            let evaluation = identity.tcb_evaluation_data_number;
            let kind = CollateralKind::QeIdentity {
                tee: identity.tee().map_err(refuse)?,
                evaluation,
            };
            Ok((kind, of_json(identity.window().map_err(refuse)?, evaluation)))
        }
        Document::IntelRootCrl(der) => Ok((CollateralKind::IntelRootCrl, of_list(der).map_err(refuse)?)),
        Document::IntelPckCrl { authority, list } => Ok((
            CollateralKind::IntelPckCrl(*authority),
            of_list(list).map_err(refuse)?,
        )),
        Document::AmdCrl { generation, list } => Ok((
            CollateralKind::AmdCrl(*generation),
            of_list(list).map_err(refuse)?,
        )),
    }
}

fn of_json((issued, next_update): (u64, u64), evaluation: u32) -> CollateralInfo {
    CollateralInfo {
        issued_ms: issued.saturating_mul(1000),
        next_update_ms: next_update.saturating_mul(1000),
        evaluation: Some(evaluation),
        number: None,
    }
}

fn of_list(der: &[u8]) -> Result<CollateralInfo, &'static str> {
    let list = List::parse(der)?;
    Ok(CollateralInfo {
        issued_ms: list.issued.saturating_mul(1000),
        next_update_ms: list.next_update.saturating_mul(1000),
        evaluation: None,
        number: Some(list.number),
    })
}
