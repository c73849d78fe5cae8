//! Honest inputs to begin from, made by the code of today, so that a changed format needs no new files.

use tacit_attest::{Evidence, Generation, Policy, SimulatedQuoter};
use tacit_consensus::Ed25519Signer;
use tacit_ledger::{
    AccountKey, EpochReason, GENESIS_VERSION, Genesis, Governance, Params, Registration, RegistrationPlace,
    SealingSecret, SystemTx, UNIT,
};

use super::attest::{MEASUREMENT, NOW_MS, WORLD, World};

/// A genuine Milan machine, version 2, of the crate `sev`.
const MILAN_REPORT: &str = include_str!("../../../attest/tests/fixtures/sev-milan.report.hex");
const MILAN_LEAF: &[u8] = include_bytes!("../../../attest/tests/fixtures/sev-milan.vcek.der");

/// Names and bytes of the seeds of `target`; at least one for each.
pub fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let world = &*WORLD;
    match target {
        "snp_report" => machines(world)
            .into_iter()
            .map(|(name, e)| (name, e.report))
            .collect(),
        "snp_leaf" => machines(world)
            .into_iter()
            .map(|(name, e)| (name, e.leaf))
            .collect(),
        "evidence" => encoded(machines(world)),
        "policy_borsh" => encoded(policies()),
        "policy_json" => {
            let json = |policy| serde_json::to_vec(&policy).expect("a policy has a JSON form");
            policies()
                .into_iter()
                .map(|(name, policy)| (name, json(policy)))
                .collect()
        }
        "registration" => vec![("founder".to_owned(), bytes(&founder(world, 1)))],
        "system_transaction" => {
            let ends = [EpochReason::Genesis, EpochReason::Schedule];
            let end = |(i, reason)| (format!("end-{i}"), SystemTx::EndEpoch { reason }.encode());
            ends.into_iter().enumerate().map(end).collect()
        }
        "genesis" => {
            let genesis = genesis(world);
            vec![
                ("borsh".to_owned(), bytes(&genesis)),
                ("json".to_owned(), genesis.to_json().into_bytes()),
            ]
        }
        _ => vec![("empty".to_owned(), Vec::new())],
    }
}

fn bytes<T: borsh::BorshSerialize>(value: &T) -> Vec<u8> {
    borsh::to_vec(value).expect("a seed encodes")
}

fn encoded<T: borsh::BorshSerialize>(list: Vec<(String, T)>) -> Vec<(String, Vec<u8>)> {
    list.into_iter()
        .map(|(name, value)| (name, bytes(&value)))
        .collect()
}

/// The simulated machines and a genuine one.
fn machines(world: &World) -> Vec<(String, Evidence)> {
    let mut list = world.machines.clone();
    let real = Evidence {
        platform: tacit_attest::Platform::SevSnp,
        report: hex::decode(MILAN_REPORT.trim()).expect("hex"),
        leaf: MILAN_LEAF.to_vec(),
    };
    list.push(("real-milan-v2".to_owned(), real));
    list
}

fn policies() -> Vec<(String, Policy)> {
    vec![
        ("dev".to_owned(), Policy::dev(MEASUREMENT)),
        ("production".to_owned(), Policy::production()),
    ]
}

fn founder(world: &World, n: u8) -> Registration {
    let chip = world
        .authority
        .issue_chip([n; 32], Generation::Genoa, NOW_MS)
        .expect("a chip");
    let signer = |seed| Ed25519Signer::from_seed([seed; 32]);
    Registration::make(
        &format!("node-{n}"),
        &signer(n),
        &signer(100 + n),
        SealingSecret::derive(&[50 + n; 32]).public(),
        &RegistrationPlace::founder([0x77; 32], 1),
        &SimulatedQuoter::new(chip, MEASUREMENT),
    )
    .expect("a registration")
}

fn genesis(world: &World) -> Genesis {
    let account = AccountKey::from_seed([1; 32]).ok().expect("an account");
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-fuzz".to_owned(),
        trust: world.trust.clone(),
        nonce: [0x77; 32],
        time_ms: NOW_MS,
        params: Params::default(),
        policy: Policy::dev(MEASUREMENT),
        governance: Governance::default(),
        collateral: Vec::new(),
        validators: (1..=4).map(|n| founder(world, n)).collect(),
        allocations: vec![(account.id(), 1_000 * UNIT)],
    }
}
