//! Collateral only moves forward, and the level that judges is the lowest that the policy takes.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, binding, dev};
use tacit_attest::limits::COLLATERAL_ITEMS_MAX;
use tacit_attest::{
    Collateral, CollateralKey, CollateralKind, CollateralNeeds, CollateralUpdate, Document, Evidence, Facts,
    Fmspc, NetworkClass, PckAuthority, Policy, Quoter, Refusal, SIMULATED_FMSPC, SimulatedList,
    SimulatedQeIdentity, SimulatedTcbInfo, SimulatedTdQuoter, SimulatorAuthority, TcbStatus, Tee, TrustRoots,
    Verified, verify,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn info(change: impl FnOnce(&mut SimulatedTcbInfo)) -> CollateralUpdate {
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
    change(&mut info);
    authority().tcb_info(&info).unwrap()
}

fn identity(change: impl FnOnce(&mut SimulatedQeIdentity)) -> CollateralUpdate {
    let mut identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
    change(&mut identity);
    authority().qe_identity(&identity).unwrap()
}

fn list(change: impl FnOnce(&mut SimulatedList)) -> SimulatedList {
    let mut list = SimulatedList::new(NOW_MS);
    change(&mut list);
    list
}

fn lists() -> Collateral {
    holding([
        authority().intel_root_list(&list(|_| {})).unwrap(),
        authority().pck_list(&list(|_| {})).unwrap(),
    ])
}

fn holding(updates: impl IntoIterator<Item = CollateralUpdate>) -> Collateral {
    let mut held = Collateral::new();
    for update in updates {
        held.apply(update, &dev(), NOW_MS).unwrap();
    }
    held
}

fn code(held: &mut Collateral, update: CollateralUpdate) -> &'static str {
    let before = held.clone();
    let refusal = held.apply(update, &dev(), NOW_MS).unwrap_err();
    assert_eq!(*held, before, "a refused document changes nothing");
    refusal.code()
}

fn evidence() -> Evidence {
    let machine = authority().issue_td([7; 32], NOW_MS).unwrap();
    SimulatedTdQuoter::new(machine, MEASUREMENT)
        .quote(binding().report_data())
        .unwrap()
}

fn judge(held: &Collateral, minimum: u32) -> Result<Verified, Refusal> {
    let mut policy = Policy::dev(MEASUREMENT);
    policy.tdx.machine.evaluation_min = minimum;
    verify(&evidence(), &dev(), held, Some(&policy), None, NOW_MS)
}

fn level(held: &Collateral, minimum: u32) -> Result<u32, &'static str> {
    match judge(held, minimum) {
        Ok(verified) => match verified.facts {
            Facts::Intel(facts) => Ok(facts.evaluation),
            Facts::Snp(_) => panic!("not Intel's facts"),
        },
        Err(refusal) => Err(refusal.code()),
    }
}

#[test]
fn a_document_replaces_only_an_older_one() {
    let mut held = holding([info(|_| {})]);
    assert_eq!(code(&mut held, info(|_| {})), "attest.collateral_not_newer");
    let older = info(|info| info.issued_ms -= 1000);
    assert_eq!(code(&mut held, older), "attest.collateral_not_newer");
    let key = held
        .apply(info(|info| info.issued_ms += 1000), &dev(), NOW_MS)
        .unwrap();
    assert_eq!(held.info(&key).unwrap().issued_ms, NOW_MS - DAY_MS + 1000);
    assert_eq!(held.documents().count(), 1);
}

#[test]
fn a_document_counts_from_its_first_to_its_last_second() {
    let window = |from: u64, to: u64| {
        info(move |info| {
            info.issued_ms = from;
            info.next_update_ms = to;
        })
    };
    let mut held = Collateral::new();
    let late = window(NOW_MS + 1000, NOW_MS + DAY_MS);
    assert_eq!(code(&mut held, late), "attest.collateral_not_yet_valid");
    let ended = window(NOW_MS - DAY_MS, NOW_MS - 1000);
    assert_eq!(code(&mut held, ended), "attest.collateral_expired");
    assert!(held.apply(window(NOW_MS, NOW_MS), &dev(), NOW_MS + 999).is_ok());
    let backwards = window(NOW_MS, NOW_MS - 1000);
    assert_eq!(code(&mut held, backwards), "attest.collateral_encoding");
}

#[test]
fn a_level_below_the_lowest_held_is_rolled_back() {
    let at = |evaluation| info(move |info| info.evaluation = evaluation);
    let mut held = holding([at(20)]);
    assert_eq!(code(&mut held, at(19)), "attest.collateral_rolled_back");
    held.apply(at(21), &dev(), NOW_MS).unwrap();
    assert_eq!(held.levels(true, Tee::Tdx, SIMULATED_FMSPC), [20, 21]);
    // Each kind of machine and each TEE counts for itself.
    let other = info(|info| {
        info.evaluation = 19;
        info.fmspc = Fmspc([1; 6]);
    });
    held.apply(other, &dev(), NOW_MS).unwrap();
    let at = |evaluation| identity(move |identity| identity.evaluation = evaluation);
    held.apply(at(19), &dev(), NOW_MS).unwrap();
    assert_eq!(code(&mut held, at(18)), "attest.collateral_rolled_back");
    assert_eq!(held.identity_levels(true, Tee::Tdx), [19]);
}

#[test]
fn a_lists_number_never_falls() {
    let root = |number, later| {
        let list = list(|list| {
            list.number = number;
            list.issued_ms += later;
        });
        authority().intel_root_list(&list).unwrap()
    };
    let mut held = holding([root(7, 0)]);
    assert_eq!(code(&mut held, root(6, 1000)), "attest.collateral_number");
    assert_eq!(code(&mut held, root(8, 0)), "attest.collateral_not_newer");
    // Intel keeps the number and moves the date.
    let key = held.apply(root(7, 1000), &dev(), NOW_MS).unwrap();
    assert_eq!(held.info(&key).unwrap().number, Some(7));
}

#[test]
fn only_the_vendor_is_believed() {
    let other = SimulatorAuthority::generate([2; 32], NOW_MS).unwrap();
    let theirs = |update: CollateralUpdate| (update.document, "attest.collateral_signature");
    let mut held = Collateral::new();
    for (document, need) in [
        theirs(other.intel_root_list(&list(|_| {})).unwrap()),
        theirs(other.pck_list(&list(|_| {})).unwrap()),
        (
            other
                .tcb_info(&SimulatedTcbInfo::new(Tee::Tdx, NOW_MS))
                .unwrap()
                .document,
            "attest.collateral_signer",
        ),
    ] {
        let update = CollateralUpdate {
            simulated: true,
            document,
        };
        assert_eq!(code(&mut held, update), need);
    }
    // A signer of the right root whose key did not sign this body.
    let CollateralUpdate {
        document: Document::TcbInfo(mut signed),
        ..
    } = info(|_| {})
    else {
        panic!("a TCB info")
    };
    signed.body = signed.body.replace("\"pcesvn\":13", "\"pcesvn\":12");
    let forged = CollateralUpdate {
        simulated: true,
        document: Document::TcbInfo(signed.clone()),
    };
    assert_eq!(code(&mut held, forged), "attest.collateral_signature");
    // A machine's certificate is no signer's, though the same root stands above it.
    signed.signer = evidence().leaf;
    let promoted = CollateralUpdate {
        simulated: true,
        document: Document::TcbInfo(signed),
    };
    assert_eq!(code(&mut held, promoted), "attest.collateral_signer");
    // A list in the place of the other authority's.
    let CollateralUpdate {
        document: Document::IntelPckCrl { list, .. },
        ..
    } = authority().pck_list(&self::list(|_| {})).unwrap()
    else {
        panic!("a list of machines")
    };
    let misplaced = CollateralUpdate {
        simulated: true,
        document: Document::IntelPckCrl {
            authority: PckAuthority::Processor,
            list: list.clone(),
        },
    };
    assert_eq!(code(&mut held, misplaced), "attest.collateral_signature");
    let as_root = CollateralUpdate {
        simulated: true,
        document: Document::IntelRootCrl(list.clone()),
    };
    assert_eq!(code(&mut held, as_root), "attest.collateral_signature");
    // The simulator is not Intel.
    let as_real = CollateralUpdate {
        simulated: false,
        document: Document::IntelRootCrl(list),
    };
    assert_eq!(code(&mut held, as_real), "attest.collateral_signature");
}

#[test]
fn simulated_documents_are_for_development_only() {
    for class in [NetworkClass::Production, NetworkClass::Test] {
        let trust = TrustRoots {
            class,
            simulator: None,
        };
        assert_eq!(
            Collateral::new().apply(info(|_| {}), &trust, NOW_MS),
            Err(Refusal::SimulatorForbidden { class })
        );
    }
}

#[test]
fn a_full_house_takes_newer_documents_of_its_guests_and_the_place_of_the_departed() {
    let of = |n: u8, days: u64, later: u64| {
        info(move |info| {
            info.fmspc = Fmspc([n; 6]);
            info.issued_ms += later;
            info.next_update_ms = NOW_MS + days * DAY_MS;
        })
    };
    let max = u8::try_from(COLLATERAL_ITEMS_MAX).unwrap();
    let mut held = holding((0..max).map(|n| of(n, if n == 3 { 1 } else { 30 }, 0)));
    assert_eq!(code(&mut held, of(max, 30, 0)), "attest.collateral_full");
    assert!(held.apply(of(5, 30, 1000), &dev(), NOW_MS).is_ok());
    let two_days_later = NOW_MS + 2 * DAY_MS;
    assert!(held.apply(of(max, 30, 0), &dev(), two_days_later).is_ok());
    assert_eq!(held.documents().count(), COLLATERAL_ITEMS_MAX);
    assert!(
        held.levels(true, Tee::Tdx, Fmspc([3; 6])).is_empty(),
        "it had ended"
    );
}

#[test]
fn strangers_documents_make_room_for_those_that_the_ledgers_machines_need() {
    let of = |n: u8| info(move |info| info.fmspc = Fmspc([n; 6]));
    let max = u8::try_from(COLLATERAL_ITEMS_MAX).unwrap();
    let ours = || CollateralNeeds::of([&evidence()]);
    let mut held = lists();
    held.apply(info(|_| {}), &dev(), NOW_MS).unwrap();
    for n in 3..max {
        held.apply(of(n), &dev(), NOW_MS).unwrap();
    }
    let next = info(|info| info.evaluation = 21);
    assert_eq!(code(&mut held, next.clone()), "attest.collateral_full");
    let stranger = held.apply_for(of(max), &dev(), NOW_MS, ours);
    assert_eq!(stranger.unwrap_err().code(), "attest.collateral_full");
    held.apply_for(next, &dev(), NOW_MS, ours).unwrap();
    held.apply_for(identity(|_| {}), &dev(), NOW_MS, ours).unwrap();
    assert_eq!(held.documents().count(), COLLATERAL_ITEMS_MAX);
    assert_eq!(held.levels(true, Tee::Tdx, SIMULATED_FMSPC), [20, 21]);
    assert!(judge(&held, 20).is_ok());
}

#[test]
fn what_has_ended_can_be_removed() {
    let mut held = holding([info(|info| info.next_update_ms = NOW_MS), identity(|_| {})]);
    assert_eq!(held.remove_expired(NOW_MS + 999), []);
    let gone = held.remove_expired(NOW_MS + 1000);
    let kind = CollateralKind::TcbInfo {
        tee: Tee::Tdx,
        fmspc: SIMULATED_FMSPC,
        evaluation: 20,
    };
    assert_eq!(
        gone,
        [CollateralKey {
            simulated: true,
            kind
        }]
    );
    assert_eq!(held.documents().count(), 1);
}

#[test]
fn the_lowest_level_that_the_policy_takes_judges() {
    let mut held = lists();
    for evaluation in [19, 20, 21] {
        held.apply(info(|info| info.evaluation = evaluation), &dev(), NOW_MS)
            .unwrap();
        let identity = identity(|identity| identity.evaluation = evaluation);
        held.apply(identity, &dev(), NOW_MS).unwrap();
    }
    assert_eq!(level(&held, 0), Ok(19));
    assert_eq!(level(&held, 20), Ok(20));
    assert_eq!(level(&held, 21), Ok(21));
    assert_eq!(level(&held, 22), Err("attest.evaluation_too_low"));
}

#[test]
fn a_level_whose_identity_is_missing_borrows_the_next() {
    let mut held = lists();
    held.apply(info(|info| info.evaluation = 20), &dev(), NOW_MS)
        .unwrap();
    assert_eq!(level(&held, 20), Err("attest.collateral_missing"));
    held.apply(identity(|identity| identity.evaluation = 21), &dev(), NOW_MS)
        .unwrap();
    assert_eq!(level(&held, 20), Ok(20), "the lower of the two numbers");
}

#[test]
fn a_level_that_has_ended_gives_way_to_the_next() {
    let mut held = lists();
    let short = |evaluation, days| {
        info(move |info| {
            info.evaluation = evaluation;
            info.next_update_ms = NOW_MS + days * DAY_MS;
        })
    };
    held.apply(short(20, 1), &dev(), NOW_MS).unwrap();
    held.apply(short(21, 2), &dev(), NOW_MS).unwrap();
    held.apply(identity(|identity| identity.evaluation = 21), &dev(), NOW_MS)
        .unwrap();
    let at = |days: u64| {
        let verdict = verify(
            &evidence(),
            &dev(),
            &held,
            None,
            None,
            NOW_MS + days * DAY_MS + 1000,
        );
        match verdict {
            Ok(verified) => Ok((
                verified.facts.intel().unwrap().evaluation,
                verified.not_after_ms - NOW_MS,
            )),
            Err(refusal) => Err(refusal.code()),
        }
    };
    assert_eq!(at(0), Ok((20, DAY_MS)));
    assert_eq!(at(1), Ok((21, 2 * DAY_MS)));
    assert_eq!(at(2), Err("attest.collateral_expired"));
}

#[test]
fn a_next_level_says_what_a_machine_lacks() {
    let mut held = lists();
    for update in [
        info(|_| {}),
        identity(|_| {}),
        info(|info| {
            info.evaluation = 21;
            // The machine's module and microcode are now one behind.
            info.module_levels[0].0 = 6;
            info.module_levels[1].0 = 5;
            info.levels[0].cpu_svn[0] = 4;
        }),
        identity(|identity| identity.evaluation = 21),
    ] {
        held.apply(update, &dev(), NOW_MS).unwrap();
    }
    assert_eq!(level(&held, 20), Ok(20));
    let refusal = judge(&held, 21).unwrap_err();
    let Refusal::TcbStatusNotAllowed { status, shortfalls } = &refusal else {
        panic!("{refusal}")
    };
    assert_eq!(*status, TcbStatus::OutOfDate);
    assert_eq!(
        shortfalls.to_string(),
        "SGX component 1 (Early Microcode Update) has 3, needs 4 (update: BIOS); \
         TDX module has 5, needs 6 (update: TDX module)"
    );
}

#[test]
fn the_encoding_goes_there_and_back_and_keeps_documents_in_their_places() {
    let held = holding(authority().collateral(NOW_MS).unwrap());
    let bytes = borsh::to_vec(&held).unwrap();
    let again: Collateral = borsh::from_slice(&bytes).unwrap();
    assert_eq!(again, held);
    assert_eq!(again.digest(), held.digest());
    assert_ne!(Collateral::new().digest(), held.digest());

    // The same documents, each in the place of its neighbour.
    let places: Vec<CollateralKey> = held.documents().map(|(key, _)| *key).collect();
    let mut updates: Vec<CollateralUpdate> = held.documents().map(|(_, update)| update.clone()).collect();
    updates.rotate_left(1);
    let moved: Vec<_> = places.into_iter().zip(updates).collect();
    assert!(borsh::from_slice::<Collateral>(&borsh::to_vec(&moved).unwrap()).is_err());
}

#[test]
fn decoded_collateral_is_verified_again_by_name() {
    // A forger's documents in the right places, as a light client may be given them.
    let mut held: Vec<(CollateralKey, CollateralUpdate)> = holding(authority().collateral(NOW_MS).unwrap())
        .documents()
        .map(|(key, update)| (*key, update.clone()))
        .collect();
    for at in 0..held.len() {
        let honest = held[at].1.clone();
        let forged = match &honest.document {
            Document::TcbInfo(signed) => {
                let mut signed = signed.clone();
                signed.body = signed.body.replace("\"pcesvn\":13", "\"pcesvn\":12");
                Document::TcbInfo(signed)
            }
            Document::QeIdentity(signed) => {
                let mut signed = signed.clone();
                signed.body = signed.body.replace("{\"isvsvn\":2}", "{\"isvsvn\":1}");
                Document::QeIdentity(signed)
            }
            Document::IntelRootCrl(_) => {
                let other = SimulatorAuthority::generate([2; 32], NOW_MS).unwrap();
                other.intel_root_list(&list(|_| {})).unwrap().document
            }
            Document::IntelPckCrl { .. } => {
                let other = SimulatorAuthority::generate([2; 32], NOW_MS).unwrap();
                other.pck_list(&list(|_| {})).unwrap().document
            }
            Document::AmdCrl { .. } => panic!("no document of Intel's"),
        };
        assert_ne!(forged, honest.document);
        held[at].1.document = forged;
        let decoded: Collateral = borsh::from_slice(&borsh::to_vec(&held).unwrap()).unwrap();
        let verdict = verify(&evidence(), &dev(), &decoded, None, None, NOW_MS);
        assert_eq!(verdict.unwrap_err().code(), "attest.collateral_signature", "{at}");
        held[at].1 = honest;
    }
}

fn signed(change: impl FnOnce(String) -> String) -> CollateralUpdate {
    let body = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS).to_json().unwrap();
    CollateralUpdate {
        simulated: true,
        document: Document::TcbInfo(authority().sign_body(change(body)).unwrap()),
    }
}

#[test]
fn a_document_that_only_one_implementation_reads_is_not_taken_in() {
    let mut held = Collateral::new();
    for (from, to) in [
        ("\"tcbDate\"", "\"date\""),
        ("\"version\":3", "\"version\":2"),
        ("\"id\":\"TDX\"", "\"id\":\"TDY\""),
        ("\"tcbType\":0", "\"tcbType\":1"),
        ("\"UpToDate\"", "\"Fine\""),
        ("\"fmspc\":\"53", "\"fmspc\":\"5"),
        ("T", " "),
    ] {
        let update = signed(|body| body.replace(from, to));
        assert_eq!(code(&mut held, update), "attest.collateral_encoding", "{from}");
    }
    let number = list(|list| list.number = 1 << 32);
    let update = authority().pck_list(&number).unwrap();
    assert_eq!(code(&mut held, update), "attest.collateral_encoding");
}

/// The signer's date of a level is of no use here, but `dcap-qvl` reads it when it judges.
#[test]
fn where_the_second_implementation_disagrees_nothing_is_accepted() {
    let mut held = lists();
    held.apply(identity(|_| {}), &dev(), NOW_MS).unwrap();
    let undated = signed(|body| {
        let date = body
            .split("\"tcbDate\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        body.replace(&format!("\"tcbDate\":\"{date}\""), "\"tcbDate\":\"long ago\"")
    });
    held.apply(undated, &dev(), NOW_MS).unwrap();
    assert_eq!(level(&held, 20), Err("attest.second_opinion"));
}
