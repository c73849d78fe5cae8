//! At least ninety named defects, one at a time, each refused by the check that is there for it and by its name.

use std::collections::{BTreeMap, BTreeSet};

use tacit_tests::bad_evidence::{Defect, Table, Workshop};

/// Every code of `attest`, and of registrations on the ledger, as their sources list them: a new one cannot be forgotten.
const REFUSALS: [(&str, &str); 2] = [
    ("attest.", include_str!("../../attest/src/refusal.rs")),
    ("register.", include_str!("../../ledger/src/refusal.rs")),
];

/// Codes that no defect shows, and why none can.
const EXCEPTIONS: [(&str, &str); 9] = [
    (
        "register.full",
        "needs as many names as the registry has room for: ledger/tests/public/join.rs registers them",
    ),
    (
        "attest.root_pin",
        "a build whose compiled-in root differs from its pin: no evidence can cause it",
    ),
    (
        "attest.intel_root_pin",
        "a build whose compiled-in root differs from its pin: no evidence can cause it",
    ),
    (
        "attest.root_signature",
        "roots are pinned, or checked with the network's trust before any evidence is",
    ),
    (
        "attest.platform_not_supported",
        "every platform that evidence can name is supported",
    ),
    (
        "attest.policy_invalid",
        "about policies, refused before any evidence is judged by one",
    ),
    (
        "attest.second_opinion",
        "two implementations would have to disagree: a defect that shows it is a bug in one of them",
    ),
    (
        "attest.vlek_not_allowed",
        "needs a genuine VLEK and AMD's ASVK, which no package ships: tested with real evidence",
    ),
    (
        "attest.enclave_key_access",
        "needs a genuine enclave that may derive the platform's keys; the simulator makes no enclaves",
    ),
];

fn codes() -> BTreeSet<&'static str> {
    let of = |(prefix, source): (&'static str, &'static str)| {
        let quoted = source.split('"').skip(1).step_by(2);
        quoted.filter(move |text| text.starts_with(prefix) && !text.contains(' '))
    };
    REFUSALS.into_iter().flat_map(of).collect()
}

fn print(defects: &[Defect]) {
    let width = defects.iter().map(|defect| defect.code.len()).max().unwrap_or(0);
    for (i, defect) in defects.iter().enumerate() {
        let number = defect.number.map_or("-".to_owned(), |number| number.to_string());
        println!(
            "{:>4}  {:width$}  {number:>2}  {}",
            i + 1,
            defect.code,
            defect.name
        );
    }
}

#[test]
fn every_defect_is_refused_by_its_name() {
    let table = Table::all(&Workshop::new());
    print(&table.defects);
    let mut by_topic: BTreeMap<&str, usize> = BTreeMap::new();
    let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
    for defect in &table.defects {
        *by_topic.entry(defect.topic).or_default() += 1;
        *by_code.entry(defect.code).or_default() += 1;
    }
    println!("\nby topic: {by_topic:?}\nby code: {by_code:?}");
    println!(
        "{} defects, {} codes, {} honest bases",
        table.defects.len(),
        by_code.len(),
        table.honest.len()
    );

    let mut wrong = Vec::new();
    for honest in &table.honest {
        if let Err(refused) = honest.attempt.run() {
            wrong.push(format!(
                "{} must be accepted: {} [{}]",
                honest.name, refused.text, refused.code
            ));
        }
    }
    for defect in &table.defects {
        let expected = Some((defect.code, defect.number));
        let refused = defect.attempt.run().err();
        let had = refused
            .as_ref()
            .map(|refused| (refused.code.as_str(), refused.number));
        if had != expected {
            let text = refused.map_or("accepted".to_owned(), |r| {
                format!("{:?} {} {}", r.number, r.code, r.text)
            });
            wrong.push(format!("{}: expected {expected:?}, was {text}", defect.name));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_table_is_complete_and_without_repetition() {
    let table = Table::all(&Workshop::new());
    assert!(table.defects.len() >= 90, "{} defects", table.defects.len());
    let mut names = BTreeSet::new();
    for defect in &table.defects {
        assert!(names.insert(&defect.name), "{} is there twice", defect.name);
    }
    let shown: BTreeSet<&str> = table.defects.iter().map(|defect| defect.code).collect();
    let excepted: BTreeSet<&str> = EXCEPTIONS.iter().map(|(code, _)| *code).collect();
    let known = codes();
    assert!(known.len() > 40, "the list of codes is read wrongly: {known:?}");
    for (code, reason) in EXCEPTIONS {
        assert!(known.contains(code), "{code} is excepted and does not exist");
        assert!(
            !shown.contains(code),
            "{code} is excepted ({reason}) and shown all the same"
        );
        println!("not shown: {code}: {reason}");
    }
    let missing: Vec<_> = known
        .iter()
        .filter(|code| !shown.contains(*code) && !excepted.contains(*code))
        .collect();
    assert!(missing.is_empty(), "no defect shows {missing:?}");
}
