//! TDX and SGX evidence: is it authentic? Checks 1 to 8 of the list; policy and binding come after.
//!
//! Checks 1 to 7 are this crate's own, so that each refusal has a name. Then the crate `dcap-qvl` judges the same and
//! must agree, see [`second`]. Alone it is no verifier for a ledger: it ignores bytes after a quote, takes any PEM and
//! any root inside it, takes revocation lists from the future, and refuses by texts.
//!
//! ```text
//! Intel's root ─▶ PCK authority ─▶ leaf ─▶ QE report ─▶ attestation key ─▶ quote
//!      ├────────▶ TCB signer ─▶ TCB info, QE identity: which level is that?
//!      └────────▶ revocation lists: who does not count any more?
//! ```

pub(crate) mod attributes;
mod bytes;
pub(crate) mod canonical;
pub(crate) mod documents;
pub(crate) mod ec;
pub(crate) mod pck;
pub(crate) mod quote;
pub(crate) mod roots;
pub(crate) mod second;
pub(crate) mod tcb;

use sha2::{Digest, Sha256};

use crate::collateral::apply::check_signature;
use crate::collateral::select::{Clock, Selection, Wanted};
use crate::evidence::{Evidence, Measurement, Platform};
use crate::facts::{EnclaveFacts, Facts, IntelBody, IntelFacts, TdFacts, Tee};
use crate::refusal::Refusal;
use crate::verify::{Authentic, Notes, Rules};
use pck::Pck;
use quote::{KEY_TYPE_P256, QE_VENDOR_INTEL, Quote, QuoteBody};
use roots::{Authority, IntelRoots};

/// Checks 1 to 8.
pub(crate) fn authenticate(
    evidence: &Evidence,
    roots: &IntelRoots,
    rules: &Rules<'_>,
    notes: &mut Notes,
) -> Result<Authentic, Refusal> {
    let clock = Clock {
        now_ms: rules.now_ms,
        tolerance_ms: rules.policy.map_or(0, |policy| policy.not_before_tolerance_ms),
    };

    // 1. Shape: one encoding only.
    let quote = read(&evidence.report)?;
    notes.pass(1, || {
        format!(
            "{} bytes, every length exact, every unused byte zero",
            evidence.report.len()
        )
    });

    // 2. Header, and what no policy may admit of a guest.
    check_header(&quote, evidence.platform)?;
    attributes::check(&quote.body)?;
    notes.pass(2, || {
        format!(
            "version {}, ECDSA P-256, Intel's quoting enclave",
            quote.header.version
        )
    });

    // 3 and 4. Leaf certificate: which machine.
    let pck = Pck::parse(&evidence.leaf)?;
    let (kind, authority) = pck.check_issuer(roots)?;
    notes.pass(3, || format!("fmspc {}, {kind:?} authority", pck.fmspc));
    check_times(&pck, authority, roots, clock)?;
    notes.pass(4, || {
        format!(
            "{} issued by {}, valid {}",
            roots.leaf_name(),
            pck.issuer_name(),
            pck.validity()
        )
    });

    // 6. The identity is the leaf's own: the quote names no chip that could differ.
    let chip = pck.chip_id();
    notes.pass(6, || match pck.instance {
        Some(instance) => format!(
            "PPID {}, platform instance {}",
            hex::encode(pck.ppid),
            hex::encode(instance)
        ),
        None => format!("PPID {}", hex::encode(pck.ppid)),
    });

    // 7. Signatures.
    check_signatures(&quote, &pck, authority)?;
    notes.pass(7, || "quote, attestation key, QE report and leaf".to_owned());

    // 8. Collateral.
    let tee = match quote.body {
        QuoteBody::Enclave(_) => Tee::Sgx,
        QuoteBody::Td(_) => Tee::Tdx,
    };
    let wanted = Wanted {
        simulated: evidence.platform.is_simulated(),
        tee,
        fmspc: pck.fmspc,
        authority: kind,
        evaluation_min: rules.policy.map_or(0, |policy| policy.intel(tee).evaluation_min),
    };
    let selection = rules.collateral.select(&wanted, clock)?;
    let used = Used::check(&selection, &pck, authority, roots, clock)?;
    let evaluation = [selection.tcb_info.0, selection.identity.0];
    let evaluation = evaluation
        .iter()
        .filter_map(|chosen| chosen.info.evaluation)
        .min();
    let evaluation = evaluation.unwrap_or_default();
    notes.pass(8, || {
        let names = selection.documents().map(|chosen| chosen.key.to_string());
        format!("{}; nobody in the chain is revoked", names.join(", "))
    });

    // 5. TCB: after the collateral that says what counts.
    let (info, _, tcb_info) = &selection.tcb_info;
    let (identity, _, qe_identity) = &selection.identity;
    let documents = tcb::Documents {
        info: tcb_info,
        info_key: info.key,
        identity: qe_identity,
        identity_key: identity.key,
    };
    if tcb_info.pce_id().ok() != Some(pck.pce_id) {
        return Err(Refusal::LeafExtensions {
            reason: "its PCE id is not the TCB info's".to_owned(),
        });
    }
    let level = tcb::judge(&pck, &quote.body, &quote.qe_report, &documents)?;
    notes.pass(5, || format!("{}, {}", level.status, level.shortfalls));

    // 8 again: the second opinion on all of the above.
    let first = second::First {
        quote: &quote,
        leaf: &evidence.leaf,
        pck: &pck,
        authority,
        roots,
        selection: &selection,
        level: &level,
        evaluation,
    };
    if let Err(disagreement) = first.must_agree(clock, used.begins) {
        // Collateral that came by [`crate::Collateral::apply`] was verified then. Of other origin, it may be what is
        // wrong: say so by name.
        for chosen in selection.documents() {
            check_signature(chosen.update, rules.trust, rules.now_ms)?;
        }
        return Err(disagreement);
    }

    let mut advisories = level.advisories;
    advisories.extend(level.later_advisories);
    let (measurement, report_data, body) = describe(&quote.body);
    Ok(Authentic {
        measurement,
        chip,
        report_data,
        not_after_ms: used.ends.saturating_mul(1000),
        facts: Facts::Intel(IntelFacts {
            tee,
            quote_version: quote.header.version,
            fmspc: pck.fmspc,
            sgx_type: pck.sgx_type,
            cpu_svn: pck.cpu_svn,
            pce_svn: pck.pce_svn,
            authority: kind,
            tcb_status: level.status,
            shortfalls: level.shortfalls,
            advisories,
            evaluation,
            dynamic_platform: pck.dynamic_platform,
            cached_keys: pck.cached_keys,
            smt: pck.smt,
            body,
        }),
    })
}

/// Check 1: a bare quote. Bytes that Intel reserves are zero.
pub(crate) fn read(bytes: &[u8]) -> Result<Quote, Refusal> {
    let quote = Quote::parse(bytes)?;
    if !quote.certificates.is_empty() {
        return Err(Refusal::CertificationChain {
            reason: "must not travel inside the quote",
        });
    }
    if quote.header.version > 3 && quote.header.reserved != [0; 4] {
        return Err(Refusal::QuoteReserved {
            what: "the reserved part of the header",
        });
    }
    attributes::check_unused(&quote.qe_report, "an unused byte of the QE report")?;
    Ok(quote)
}

/// Check 2, without the guest.
fn check_header(quote: &Quote, platform: Platform) -> Result<(), Refusal> {
    let header = &quote.header;
    if header.key_type != KEY_TYPE_P256 {
        return Err(Refusal::QuoteKeyType {
            have: header.key_type,
        });
    }
    if header.qe_vendor != QE_VENDOR_INTEL {
        return Err(Refusal::QeVendor);
    }
    let have = canonical::platform_of(&quote.body);
    if have == platform {
        Ok(())
    } else if have.is_simulated() != platform.is_simulated() && have != Platform::Sgx {
        Err(Refusal::SimulatorMark { platform })
    } else {
        Err(Refusal::QuotePlatform { have, platform })
    }
}

/// Check 4, time: inclusive in whole seconds; only beginnings know a tolerance.
fn check_times(pck: &Pck, authority: &Authority, roots: &IntelRoots, clock: Clock) -> Result<(), Refusal> {
    let (from, to) = pck.certificate.validity();
    let now_ms = clock.now_ms;
    if !clock.has_begun(from) {
        return Err(Refusal::LeafNotYetValid {
            not_before_ms: from.saturating_mul(1000),
            now_ms,
        });
    }
    if clock.second() > to {
        return Err(Refusal::LeafExpired {
            not_after_ms: to.saturating_mul(1000),
            now_ms,
        });
    }
    for (which, issuer) in [("intermediate", authority), ("root", &roots.root)] {
        let (from, to) = issuer.certificate.validity();
        if !clock.covers(from, to) {
            return Err(Refusal::IssuerNotValid { which, now_ms });
        }
    }
    Ok(())
}

/// Check 7, from the quote up: what a forger changes most is found first. The root's signature under the authority is
/// as old as the pins, or was checked with the simulator's root.
fn check_signatures(quote: &Quote, pck: &Pck, authority: &Authority) -> Result<(), Refusal> {
    let key = ec::key_from_coordinates(&quote.attestation_key).ok_or(Refusal::QuoteSignature)?;
    if !ec::signs_raw(&key, &quote.signed_bytes(), &quote.signature) {
        return Err(Refusal::QuoteSignature);
    }
    let mut commitment = [0; 64];
    let (hash, _) = commitment.split_at_mut(32);
    hash.copy_from_slice(
        &Sha256::new_with_prefix(quote.attestation_key)
            .chain_update(quote.qe_data)
            .finalize(),
    );
    if quote.qe_report.report_data != commitment {
        return Err(Refusal::AttestationKey);
    }
    if !ec::signs_raw(
        &pck.certificate.key,
        &quote.qe_report.to_bytes(),
        &quote.qe_signature,
    ) {
        return Err(Refusal::QeReportSignature);
    }
    if !pck.certificate.is_signed_by(&authority.certificate.key) {
        return Err(Refusal::LeafSignature);
    }
    Ok(())
}

/// From when to when everything that counted holds, Unix time in seconds.
struct Used {
    begins: u64,
    ends: u64,
}

impl Used {
    /// Check 8: nobody is revoked, the signers are in force; and the common window.
    fn check(
        selection: &Selection<'_>,
        pck: &Pck,
        authority: &Authority,
        roots: &IntelRoots,
        clock: Clock,
    ) -> Result<Self, Refusal> {
        let (root, root_list) = &selection.root_list;
        let (pck_chosen, pck_list) = &selection.pck_list;
        let revoked = |which, list| Err(Refusal::CertificateRevoked { which, list });
        if root_list.revokes(authority.certificate.serial()) {
            return revoked("intermediate", root.key);
        }
        if root_list.revokes(roots.root.certificate.serial()) {
            return revoked("root", root.key);
        }
        if pck_list.revokes(pck.certificate.serial()) {
            return revoked("leaf", pck_chosen.key);
        }
        let signers = selection.signers()?;
        for (what, signer) in ["TCB info", "QE identity"].into_iter().zip(&signers) {
            if root_list.revokes(signer.serial()) {
                return revoked("signer's", root.key);
            }
            let (from, to) = signer.validity();
            if !clock.covers(from, to) {
                return Err(Refusal::CollateralSigner {
                    what,
                    reason: "is not valid now",
                });
            }
        }
        let certificates = [&pck.certificate, &authority.certificate, &roots.root.certificate];
        let certificates = certificates.into_iter().chain(&signers).map(|one| one.validity());
        let documents = selection.documents();
        let documents = documents
            .iter()
            .map(|one| (one.first_second(), one.last_second()));
        let mut used = Self {
            begins: 0,
            ends: u64::MAX,
        };
        for (begins, ends) in certificates.chain(documents) {
            used.begins = used.begins.max(begins);
            used.ends = used.ends.min(ends);
        }
        Ok(used)
    }
}

/// What was launched, what it says, and the rest of its facts.
pub(crate) fn describe(body: &QuoteBody) -> (Measurement, [u8; 64], IntelBody) {
    match body {
        QuoteBody::Td(report) => {
            let facts = TdFacts {
                tee_tcb_svn: report.tee_tcb_svn,
                tee_tcb_svn2: report.td15.as_ref().map(|td15| td15.tee_tcb_svn2),
                attributes: report.td_attributes,
                xfam: report.xfam,
                mr_seam: report.mr_seam,
                mr_td: report.mr_td,
                mr_config_id: report.mr_config_id,
                mr_owner: report.mr_owner,
                mr_owner_config: report.mr_owner_config,
                rtmr: report.rtmr,
            };
            (
                Measurement::of_td(&facts),
                report.report_data,
                IntelBody::Td(facts),
            )
        }
        QuoteBody::Enclave(report) => (
            Measurement::of_enclave(&report.mr_enclave),
            report.report_data,
            IntelBody::Enclave(EnclaveFacts {
                attributes: report.attributes,
                mr_enclave: report.mr_enclave,
                mr_signer: report.mr_signer,
                isv_prod_id: report.isv_prod_id,
                isv_svn: report.isv_svn,
            }),
        ),
    }
}
