//! What operators are told about the future, held against what verification says when it comes.

mod simulated;

use simulated::{MEASUREMENT, NOW_MS, authority, dev, lie};
use tacit_attest::{
    Collateral, Evidence, Forecast, Generation, Policy, Quoter, SimulatedList, SimulatedQeIdentity,
    SimulatedTcbInfo, SimulatedTdQuoter, TcbStatus, Tee, forecast, next_level, verify,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// As Intel's documents live.
const MONTH_END_MS: u64 = NOW_MS + 30 * DAY_MS;

fn td() -> Evidence {
    let machine = authority().issue_td([3; 32], NOW_MS).unwrap();
    SimulatedTdQuoter::new(machine, MEASUREMENT)
        .quote([1; 64])
        .unwrap()
}

fn held() -> Collateral {
    let mut held = Collateral::new();
    for update in authority().collateral(NOW_MS).unwrap() {
        held.apply(update, &dev(), NOW_MS).unwrap();
    }
    held
}

fn with(mut held: Collateral, infos: &[SimulatedTcbInfo], identities: &[SimulatedQeIdentity]) -> Collateral {
    for info in infos {
        held.apply(authority().tcb_info(info).unwrap(), &dev(), NOW_MS)
            .unwrap();
    }
    for identity in identities {
        held.apply(authority().qe_identity(identity).unwrap(), &dev(), NOW_MS)
            .unwrap();
    }
    held
}

/// The next TCB info: one more than the present, with higher demands if `change` makes some.
fn next_info(change: impl FnOnce(&mut SimulatedTcbInfo)) -> SimulatedTcbInfo {
    let mut info = SimulatedTcbInfo::new(Tee::Tdx, NOW_MS);
    info.evaluation += 1;
    change(&mut info);
    info
}

fn policy() -> Policy {
    Policy::dev(MEASUREMENT)
}

/// The forecast, checked at its own end against verification itself.
fn foretold(evidence: &Evidence, held: &Collateral, policy: &Policy) -> Forecast {
    let told = forecast(evidence, &dev(), held, policy, NOW_MS);
    let at = |now_ms| verify(evidence, &dev(), held, Some(policy), None, now_ms);
    match told.until_ms {
        Some(end) => {
            assert_eq!(told.verdict, Ok(()));
            assert!(at(end).is_ok() && at(end + 999).is_ok());
            assert_eq!(at(end + 1000).unwrap_err().code(), told.code);
        }
        None => assert_eq!(at(NOW_MS).map(|_| ()), told.verdict),
    }
    assert!(!told.update.is_empty(), "{}", told.cause);
    told
}

#[test]
fn without_collateral_a_chip_lasts_as_long_as_its_certificate() {
    let evidence = lie(|_| {});
    let told = foretold(&evidence, &Collateral::new(), &policy());
    assert_eq!(told.code, "attest.leaf_expired");
    assert!(told.update.starts_with("fetch the certificate"));
    // The ledger adds the age, which comes first.
    let aged = told.with_age(NOW_MS - 1000, &policy());
    assert_eq!(aged.until_ms, Some(NOW_MS - 1000 + DAY_MS));
    assert_eq!(aged.code, "attest.evidence_expired");
}

#[test]
fn a_revocation_list_ends_first() {
    let list = SimulatedList {
        next_update_ms: MONTH_END_MS,
        ..SimulatedList::new(NOW_MS)
    };
    let mut held = Collateral::new();
    held.apply(
        authority().amd_list(Generation::Turin, &list).unwrap(),
        &dev(),
        NOW_MS,
    )
    .unwrap();
    let told = foretold(&lie(|_| {}), &held, &policy());
    assert_eq!(told.until_ms, Some(MONTH_END_MS));
    assert_eq!(told.code, "attest.collateral_expired");
    assert_eq!(
        told.update,
        "bring the vendor's next simulated AMD turin CRL: anyone may"
    );
}

#[test]
fn what_is_refused_now_has_its_cause_and_remedy() {
    let mut raised = policy();
    raised
        .snp
        .min_tcb
        .iter_mut()
        .for_each(|floor| floor.microcode = 82);
    let told = foretold(&lie(|_| {}), &Collateral::new(), &raised);
    assert_eq!((told.until_ms, told.code), (None, "attest.tcb_below_floor"));
    assert_eq!(
        told.update,
        "update: microcode (BIOS) of the host, and fetch the certificate of the new TCB"
    );
    let told = foretold(&td(), &Collateral::new(), &policy());
    assert_eq!((told.until_ms, told.code), (None, "attest.collateral_missing"));
}

#[test]
fn collateral_ends_a_trust_domain_and_a_later_level_carries_on() {
    let now = SimulatedTcbInfo {
        next_update_ms: MONTH_END_MS,
        ..SimulatedTcbInfo::new(Tee::Tdx, NOW_MS)
    };
    let mut lists = Collateral::new();
    for update in [
        authority().intel_root_list(&SimulatedList::new(NOW_MS)).unwrap(),
        authority().pck_list(&SimulatedList::new(NOW_MS)).unwrap(),
    ] {
        lists.apply(update, &dev(), NOW_MS).unwrap();
    }
    let identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
    let held = with(lists, &[now], &[identity]);
    let told = foretold(&td(), &held, &policy());
    assert_eq!(
        (told.until_ms, told.code),
        (Some(MONTH_END_MS), "attest.collateral_expired")
    );
    assert!(
        told.update
            .starts_with("bring the vendor's next simulated tdx TCB info"),
        "{}",
        told.update
    );

    // The next level takes over where the present one ends.
    let later = MONTH_END_MS + 20 * DAY_MS;
    let both = with(held, &[next_info(|info| info.next_update_ms = later)], &[]);
    assert_eq!(foretold(&td(), &both, &policy()).until_ms, Some(later));
}

#[test]
fn the_next_level_names_every_part_that_is_short() {
    assert_eq!(
        next_level(&td(), &dev(), &held(), &policy(), NOW_MS),
        None,
        "none is held"
    );
    assert_eq!(
        next_level(&lie(|_| {}), &dev(), &held(), &policy(), NOW_MS),
        None,
        "AMD has none"
    );

    let met = with(held(), &[next_info(|_| {})], &[]);
    let level = next_level(&td(), &dev(), &met, &policy(), NOW_MS).unwrap();
    assert_eq!(
        level.evaluation,
        SimulatedTcbInfo::new(Tee::Tdx, NOW_MS).evaluation + 1
    );
    assert_eq!((level.forecast.verdict, level.short.len()), (Ok(()), 0));

    let raised = next_info(|info| {
        info.levels[0].cpu_svn[0] += 1;
        info.levels[0].tdx_svn[2] += 2;
    });
    let short = with(held(), &[raised], &[]);
    let told = foretold(&td(), &short, &policy());
    assert_eq!(
        told.verdict,
        Ok(()),
        "today's level counts until the policy asks for more"
    );
    let level = next_level(&td(), &dev(), &short, &policy(), NOW_MS).unwrap();
    let refusal = level.forecast.verdict.unwrap_err();
    assert_eq!(refusal.code(), "attest.tcb_status_not_allowed");
    let needs: Vec<_> = level.short.iter().map(|part| (part.have, part.need)).collect();
    assert_eq!(needs.len(), 2, "{:?}", level.short);
    assert!(needs.iter().all(|(have, need)| have < need));
    assert!(
        level.forecast.update.starts_with("update: "),
        "{}",
        level.forecast.update
    );

    // Once the policy asks for it, that is today's verdict; and a policy that tolerates the status is content.
    let mut asking = policy();
    asking.tdx.machine.evaluation_min = level.evaluation;
    let mut identity = SimulatedQeIdentity::new(Tee::Tdx, NOW_MS);
    identity.evaluation = level.evaluation;
    let complete = with(short, &[], &[identity]);
    let told = foretold(&td(), &complete, &asking);
    assert_eq!(
        (told.code, told.update),
        (level.forecast.code, level.forecast.update)
    );
    asking.tdx.machine.statuses.push(TcbStatus::OutOfDate);
    asking.tdx.machine.advisories.push("INTEL-SA-00000".to_owned());
    assert_eq!(foretold(&td(), &complete, &asking).verdict, Ok(()));
}
