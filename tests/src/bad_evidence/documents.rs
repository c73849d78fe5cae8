//! Defects of Intel's documents as they are held when a trust domain is judged: missing, stale, of the future, of other
//! machines, changed, revoking.

use tacit_attest::{
    CollateralKey, CollateralKind, CollateralUpdate, Document, Fmspc, PckAuthority, SIMULATED_FMSPC,
    SignedJson, SimulatedList, SimulatedQeIdentity, SimulatedTcbInfo, TcbStatus, Tee,
};

use super::td::Layout::{V4, V5};
use super::td::{TdDraft, identity_place, place, tcb_info_place};
use super::workshop::{NOW_MS, SignerP256, encode, parse};
use super::{Attempt, Table, Workshop};

const SECOND_MS: u64 = 1000;
const LATE: (&str, u8) = ("attest.collateral_expired", 8);
const EARLY: (&str, u8) = ("attest.collateral_not_yet_valid", 8);
const MISSING: (&str, u8) = ("attest.collateral_missing", 8);
const SIGNATURE: (&str, u8) = ("attest.collateral_signature", 8);

/// The places of an honest domain's four documents, by name.
fn places() -> [(&'static str, CollateralKey); 4] {
    [
        ("Intel's root list", place(CollateralKind::IntelRootCrl)),
        (
            "the authority's list",
            place(CollateralKind::IntelPckCrl(PckAuthority::Platform)),
        ),
        ("the TCB info", tcb_info_place()),
        ("the QE identity", identity_place()),
    ]
}

/// The honest document of a place with other dates.
fn dated(shop: &Workshop, key: CollateralKey, issued_ms: u64, next_update_ms: u64) -> CollateralUpdate {
    let authority = shop.authority();
    let list = SimulatedList {
        issued_ms,
        next_update_ms,
        ..SimulatedList::new(NOW_MS)
    };
    let made = match key.kind {
        CollateralKind::IntelRootCrl => authority.intel_root_list(&list),
        CollateralKind::TcbInfo { tee, .. } => authority.tcb_info(&SimulatedTcbInfo {
            issued_ms,
            next_update_ms,
            ..SimulatedTcbInfo::new(tee, NOW_MS)
        }),
        CollateralKind::QeIdentity { tee, .. } => authority.qe_identity(&SimulatedQeIdentity {
            issued_ms,
            next_update_ms,
            ..SimulatedQeIdentity::new(tee, NOW_MS)
        }),
        _ => authority.pck_list(&list),
    };
    made.expect("a document")
}

pub(super) fn add(table: &mut Table, shop: &Workshop) {
    presence(table, shop);
    others(table, shop);
    forged(table, shop);
    revoking(table, shop);
}

fn presence(table: &mut Table, shop: &Workshop) {
    table.td(shop, "collateral", V4, "nothing is held", MISSING, |d| {
        d.held.clear()
    });
    for (name, key) in places() {
        let mut held = |what: &str, expected, change: &dyn Fn(&mut TdDraft<'_>)| {
            table.td(shop, "collateral", V5, &format!("{name} {what}"), expected, |d| {
                change(d)
            });
        };
        held("is missing", MISSING, &|d| drop(d.held.remove(&key)));
        held("ended one second ago", LATE, &|d| {
            d.hold(key, dated(shop, key, NOW_MS - 9 * SECOND_MS, NOW_MS - SECOND_MS));
        });
        held("begins one second later", EARLY, &|d| {
            d.hold(key, dated(shop, key, NOW_MS + SECOND_MS, NOW_MS + 9 * SECOND_MS));
        });
    }
    // A policy may bear that a document begins a little ahead of a lagging block clock; no more.
    table.td(
        shop,
        "collateral",
        V5,
        "the TCB info begins one second after what the policy bears",
        EARLY,
        |d| {
            d.policy.not_before_tolerance_ms = 600_000;
            let begin = NOW_MS + 601 * SECOND_MS;
            d.hold(
                tcb_info_place(),
                dated(shop, tcb_info_place(), begin, begin + SECOND_MS),
            );
        },
    );
}

/// Moves the TCB info to another place, as if it were of other machines.
fn moved(draft: &mut TdDraft<'_>, change: fn(&mut SimulatedTcbInfo), kind: CollateralKind) {
    draft.held.remove(&tcb_info_place());
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
    change(&mut info);
    let update = draft.shop.authority().tcb_info(&info).expect("a TCB info");
    draft.hold(place(kind), update);
}

fn others(table: &mut Table, shop: &Workshop) {
    const OTHER: Fmspc = Fmspc([9; 6]);
    let kind = |tee, fmspc, evaluation| CollateralKind::TcbInfo {
        tee,
        fmspc,
        evaluation,
    };
    let mut holds = |layout, what: &str, expected, change: &dyn Fn(&mut TdDraft<'_>)| {
        table.td(shop, "collateral", layout, what, expected, |d| change(d));
    };
    holds(V5, "only the TCB info of another FMSPC is held", MISSING, &|d| {
        moved(d, |info| info.fmspc = OTHER, kind(Tee::Tdx, OTHER, 20));
    });
    holds(V5, "only the TCB info for SGX is held", MISSING, &|d| {
        moved(d, |info| info.tee = Tee::Sgx, kind(Tee::Sgx, SIMULATED_FMSPC, 20));
    });
    holds(V4, "only the QE identity of SGX is held", MISSING, &|d| {
        d.held.remove(&identity_place());
        let identity = SimulatedQeIdentity::new(Tee::Sgx, NOW_MS);
        let update = d.shop.authority().qe_identity(&identity).expect("a QE identity");
        let kind = CollateralKind::QeIdentity {
            tee: Tee::Sgx,
            evaluation: 20,
        };
        d.hold(place(kind), update);
    });
    holds(
        V4,
        "only the list of the other authority is held",
        MISSING,
        &|d| {
            let key = place(CollateralKind::IntelPckCrl(PckAuthority::Platform));
            let mut update = d.held.remove(&key).expect("an honest list");
            if let Document::IntelPckCrl { authority, .. } = &mut update.document {
                *authority = PckAuthority::Processor;
            }
            d.hold(
                place(CollateralKind::IntelPckCrl(PckAuthority::Processor)),
                update,
            );
        },
    );
    holds(V5, "only documents of real machines are held", MISSING, &|d| {
        let held = core::mem::take(&mut d.held);
        for (key, update) in held {
            let key = CollateralKey {
                simulated: false,
                ..key
            };
            d.hold(
                key,
                CollateralUpdate {
                    simulated: false,
                    ..update
                },
            );
        }
    });
    holds(
        V5,
        "the TCB info of another PCE is held",
        ("attest.leaf_extensions", 4),
        &|d| {
            rewrite(d, tcb_info_place(), "\"pceId\":\"0000\"", "\"pceId\":\"0001\"");
        },
    );
    // The lower of both numbers counts.
    holds(
        V5,
        "the QE identity is of an earlier evaluation number",
        ("attest.evaluation_too_low", 10),
        &|d| {
            d.policy.tdx.machine.evaluation_min = 20;
            d.held.remove(&identity_place());
            let mut identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
            identity.evaluation = 19;
            let update = d.shop.authority().qe_identity(&identity).expect("a QE identity");
            let kind = CollateralKind::QeIdentity {
                tee: Tee::Tdx,
                evaluation: 19,
            };
            d.hold(place(kind), update);
        },
    );
    holds(
        V4,
        "the TCB info is of an earlier evaluation number",
        ("attest.evaluation_too_low", 10),
        &|d| {
            d.policy.tdx.machine.evaluation_min = 20;
            moved(
                d,
                |info| info.evaluation = 17,
                kind(Tee::Tdx, SIMULATED_FMSPC, 17),
            );
        },
    );
    // Intel's next level is held; it judges only once the policy asks for it.
    holds(
        V5,
        "the policy asks for the next level, under which it is out of date",
        ("attest.tcb_status_not_allowed", 10),
        &|d| {
            let mut next = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
            (next.evaluation, next.levels[0].status) = (21, TcbStatus::OutOfDate);
            let update = d.shop.authority().tcb_info(&next).expect("a TCB info");
            d.hold(place(kind(Tee::Tdx, SIMULATED_FMSPC, 21)), update);
            let mut identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
            identity.evaluation = 21;
            let update = d.shop.authority().qe_identity(&identity).expect("a QE identity");
            let kind = CollateralKind::QeIdentity {
                tee: Tee::Tdx,
                evaluation: 21,
            };
            d.hold(place(kind), update);
            d.policy.tdx.machine.evaluation_min = 21;
        },
    );
    table.base("tdx v5 beside Intel's next level", || {
        let mut d = TdDraft::honest(shop, V5);
        let mut next = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
        (next.evaluation, next.levels[0].status) = (21, TcbStatus::OutOfDate);
        let update = shop.authority().tcb_info(&next).expect("a TCB info");
        d.hold(place(kind(Tee::Tdx, SIMULATED_FMSPC, 21)), update);
        Attempt::Verify(Box::new(d.finish()))
    });
}

/// The signed text of a held document.
fn text<'a>(draft: &'a mut TdDraft<'_>, key: CollateralKey) -> &'a mut SignedJson {
    match draft.held.get_mut(&key).map(|update| &mut update.document) {
        Some(Document::TcbInfo(signed) | Document::QeIdentity(signed)) => signed,
        _ => unreachable!("an honest ledger holds it"),
    }
}

/// Writes a held document anew and signs it as Intel's signer would.
fn rewrite(draft: &mut TdDraft<'_>, key: CollateralKey, from: &str, to: &str) {
    let shop = draft.shop;
    let signed = text(draft, key);
    assert!(signed.body.contains(from), "{from} is in {}", signed.body);
    *signed = shop
        .authority()
        .sign_body(signed.body.replace(from, to))
        .expect("a signature");
}

/// Documents whose text or signer is not what Intel's signer would let out: as they are held, decoded from a state that
/// somebody else made, and as they are brought.
fn forged(table: &mut Table, shop: &Workshop) {
    const SIGNER: (&str, u8) = ("attest.collateral_signer", 8);
    for (name, key) in [
        ("the TCB info", tcb_info_place()),
        ("the QE identity", identity_place()),
    ] {
        let mut forge = |what: &str, expected, change: &dyn Fn(&mut SignedJson)| {
            let what = format!("{name} {what}");
            table.td(shop, "collateral", V5, &what, expected, |d| change(text(d, key)));
            let mut draft = TdDraft::honest(shop, V5);
            change(text(&mut draft, key));
            let update = draft.held.remove(&key).expect("an honest ledger holds it");
            table.bring(shop, &what, expected, update);
        };
        forge("has a blank more than was signed", SIGNATURE, &|signed| {
            signed.body.push(' ')
        });
        forge("calls everything up to date", SIGNATURE, &|signed| {
            signed.body = signed.body.replace("OutOfDate", "UpToDate");
        });
        forge("has one bit of its signature wrong", SIGNATURE, &|signed| {
            signed.signature[0] ^= 1
        });
        forge("has a signature of zeros", SIGNATURE, &|signed| {
            signed.signature.fill(0)
        });
        forge("has no signature", SIGNATURE, &|signed| signed.signature.clear());
        forge("is signed by the authority of machines", SIGNER, &|signed| {
            let signature = shop.sign_p256(signed.body.as_bytes(), SignerP256::Authority);
            signed.signature = signature.to_bytes().to_vec();
            signed.signer = shop.trust().simulator.expect("a simulator").pck_ca;
        });
        forge("is signed by a machine", SIGNER, &|signed| {
            signed.signer = shop.td(1).machine.leaf().to_vec();
        });
        forge("is signed by another simulator", SIGNER, &|signed| {
            *signed = shop
                .foreign()
                .sign_body(signed.body.clone())
                .expect("a signature");
        });
        forge("has a signer followed by a byte", SIGNER, &|signed| {
            signed.signer.push(0)
        });
        forge("has a signer that ended one second ago", SIGNER, &|signed| {
            let mut tbs = parse(&signed.signer).tbs_certificate;
            tbs.validity = super::pck::span(NOW_MS / 1000 - 9, NOW_MS / 1000 - 1);
            signed.signer = encode(&shop.certify_p256(&tbs, SignerP256::Root));
        });
        forge("has a signer that the authority issued", SIGNER, &|signed| {
            let mut tbs = parse(&signed.signer).tbs_certificate;
            let ca = shop.trust().simulator.expect("a simulator").pck_ca;
            tbs.issuer = parse(&ca).tbs_certificate.subject;
            signed.signer = encode(&shop.certify_p256(&tbs, SignerP256::Authority));
        });
    }
}

fn revoking(table: &mut Table, shop: &Workshop) {
    const REVOKED: (&str, u8) = ("attest.certificate_revoked", 8);
    let root_list = place(CollateralKind::IntelRootCrl);
    let pck_list = place(CollateralKind::IntelPckCrl(PckAuthority::Platform));
    let list = |serials: &[&[u8]]| SimulatedList {
        revoked: serials.iter().map(|serial| serial.to_vec()).collect(),
        ..SimulatedList::new(NOW_MS)
    };
    let serial = |der: &[u8]| parse(der).tbs_certificate.serial_number.as_bytes().to_vec();
    let root = shop.trust().simulator.expect("a simulator");

    let mut lists = |layout, what: &str, expected, key, update: Option<CollateralUpdate>| {
        table.td(shop, "collateral", layout, what, expected, |d| {
            if let Some(update) = update {
                d.hold(key, update);
            }
        });
    };
    let of_root = |serials: &[&[u8]]| shop.authority().intel_root_list(&list(serials)).ok();
    let of_authority = |serials: &[&[u8]]| shop.authority().pck_list(&list(serials)).ok();
    let leaf = serial(shop.td(1).machine.leaf());
    lists(
        V5,
        "the authority's list revokes the machine",
        REVOKED,
        pck_list,
        of_authority(&[&leaf]),
    );
    lists(
        V4,
        "the authority's list revokes the machine among others",
        REVOKED,
        pck_list,
        of_authority(&[&[5], &leaf]),
    );
    lists(
        V5,
        "Intel's root list revokes the authority",
        REVOKED,
        root_list,
        of_root(&[&serial(&root.pck_ca)]),
    );
    lists(
        V5,
        "Intel's root list revokes the root",
        REVOKED,
        root_list,
        of_root(&[&serial(&root.intel_root)]),
    );
    let signer = shop
        .authority()
        .sign_body(String::new())
        .expect("a signature")
        .signer;
    lists(
        V5,
        "Intel's root list revokes the signer of documents",
        REVOKED,
        root_list,
        of_root(&[&serial(&signer)]),
    );

    let foreign = |made: Result<CollateralUpdate, tacit_attest::QuoteError>| made.ok();
    lists(
        V5,
        "the authority's list is another simulator's",
        SIGNATURE,
        pck_list,
        foreign(shop.foreign().pck_list(&list(&[]))),
    );
    lists(
        V4,
        "Intel's root list is another simulator's",
        SIGNATURE,
        root_list,
        foreign(shop.foreign().intel_root_list(&list(&[]))),
    );
    // The one list in the other's place: its issuer is not the one that counts there.
    let root_as_pck = of_root(&[]).map(|update| match update.document {
        Document::IntelRootCrl(list) => CollateralUpdate {
            simulated: true,
            document: Document::IntelPckCrl {
                authority: PckAuthority::Platform,
                list,
            },
        },
        _ => update,
    });
    lists(
        V5,
        "the authority's list is the root's",
        SIGNATURE,
        pck_list,
        root_as_pck,
    );
}
