//! Check 8 for SNP: AMD's root of a generation lists those of its intermediates that no longer count.
//!
//! A list that is held must be in force and must not name a certificate of the chain; a policy may ask that one is
//! held. AMD lists no chips: a single machine is withdrawn by suspending it on the ledger.

use super::generation::Generation;
use super::roots::Issuer;
use crate::collateral::apply::check_signature;
use crate::collateral::list::List;
use crate::collateral::select::Clock;
use crate::collateral::{CollateralKey, CollateralKind, Document};
use crate::evidence::Platform;
use crate::refusal::Refusal;
use crate::verify::{Notes, Rules};

/// When the list that was held ends, in Unix milliseconds; never where none was.
pub(super) fn check(
    issuer: &Issuer,
    generation: Generation,
    platform: Platform,
    rules: &Rules<'_>,
    clock: Clock,
    notes: &mut Notes,
) -> Result<u64, Refusal> {
    let key = CollateralKey {
        simulated: platform.is_simulated(),
        kind: CollateralKind::AmdCrl(generation),
    };
    let required = rules.policy.is_some_and(|policy| policy.snp.require_crl);
    if rules.collateral.get(&key).is_none() && !required {
        notes.skip(8, || format!("no {key} is held, and none is required"));
        return Ok(u64::MAX);
    }
    let chosen = rules.collateral.in_force(key, clock, || key.to_string())?;
    // Collateral that was decoded and not built by `Collateral::apply` may say anything.
    let unreadable = |reason| Refusal::CollateralEncoding {
        what: "AMD CRL",
        reason,
    };
    let list = match &chosen.update.document {
        Document::AmdCrl { generation: of, list } if *of == generation => {
            List::parse(list).map_err(unreadable)?
        }
        _ => return Err(unreadable("stands in the place of another")),
    };
    if chosen.update.simulated != key.simulated {
        return Err(unreadable("stands in the place of another"));
    }
    check_signature(chosen.update, rules.trust, rules.now_ms)?;
    for (which, certificate) in [("intermediate", &issuer.intermediate), ("root", &issuer.root)] {
        if list.revokes(certificate.tbs_certificate.serial_number.as_bytes()) {
            return Err(Refusal::CertificateRevoked { which, list: key });
        }
    }
    notes.pass(8, || {
        format!("{key} number {} names neither intermediate nor root", list.number)
    });
    Ok(chosen.info.next_update_ms)
}
