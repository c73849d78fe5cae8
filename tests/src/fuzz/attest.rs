//! Targets of `tacit-attest`.

use std::sync::LazyLock;

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{
    Collateral, Evidence, Generation, Measurement, NetworkClass, Platform, Policy, SimulatorAuthority,
    TrustRoots, describe, verify, verify_steps,
};

/// The time of every run.
pub const NOW_MS: u64 = 1_790_000_000_000;
/// What the honest machine runs.
pub const MEASUREMENT: Measurement = Measurement([0x11; 48]);
/// Bytes of an SNP report that its signature covers.
const SIGNED_LEN: usize = 0x2a0;

const MACHINES: [(Generation, u32); 6] = [
    (Generation::Turin, 5),
    (Generation::Turin, 3),
    (Generation::Milan, 2),
    (Generation::Milan, 3),
    (Generation::Genoa, 3),
    (Generation::Genoa, 5),
];

/// A dev network and its honest machine, the same in every run.
pub struct World {
    /// Plays the vendors.
    pub authority: SimulatorAuthority,
    /// What the network believes.
    pub trust: TrustRoots,
    /// One machine of each generation and report version, by name. The first is a Turin, version 5.
    pub machines: Vec<(String, Evidence)>,
    /// That one's evidence.
    pub turin: Evidence,
    /// Trust domains: quotes of version 4 and 5, each with the same leaf.
    pub domains: Vec<(String, Evidence)>,
    /// What the network holds of simulated documents.
    pub collateral: Collateral,
    production: TrustRoots,
    /// Its policy.
    pub policy: Policy,
}

/// Made once: two RSA keys take a second.
pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let authority = SimulatorAuthority::generate([3; 32], NOW_MS).expect("an authority");
    let machines: Vec<_> = MACHINES
        .into_iter()
        .map(|(generation, version)| {
            let chip = authority.issue_chip([4; 32], generation, NOW_MS).expect("a chip");
            let report = chip.report(version, MEASUREMENT, [0; 64]);
            (
                format!("{generation}-v{version}"),
                chip.sign(&report).expect("evidence"),
            )
        })
        .collect();
    let trust = TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(authority.root()),
    };
    let machine = authority.issue_td([4; 32], NOW_MS).expect("a machine");
    let domains = [4, 5].map(|version| {
        let quote = machine.quote(version, MEASUREMENT, [0; 64]);
        (format!("tdx-v{version}"), machine.sign(&quote).expect("evidence"))
    });
    let mut collateral = Collateral::new();
    for update in authority.collateral(NOW_MS).expect("documents") {
        collateral
            .apply(update, &trust, NOW_MS)
            .expect("an honest document");
    }
    World {
        trust,
        authority,
        domains: domains.to_vec(),
        collateral,
        production: TrustRoots {
            class: NetworkClass::Production,
            simulator: None,
        },
        turin: machines[0].1.clone(),
        machines,
        policy: Policy::dev(MEASUREMENT),
    }
});

/// Judges evidence step by step, by a policy besides, and shows it; whether it is authentic.
pub(super) fn judge(evidence: &Evidence) -> bool {
    let world = &*WORLD;
    let trust = if evidence.platform.is_simulated() {
        &world.trust
    } else {
        &world.production
    };
    let policy = Some(&world.policy);
    let (steps, verdict) = verify_steps(evidence, trust, &world.collateral, policy, None, NOW_MS);
    assert_eq!(steps.len(), 13);
    drop(describe(evidence));
    match verdict {
        Ok(_) => true,
        Err(refusal) => {
            assert!(refusal.code().starts_with("attest.") && refusal.number() <= 12);
            assert!(!refusal.to_string().is_empty());
            // The checks of policy come after all that make evidence authentic.
            refusal.number() >= 9
        }
    }
}

/// A report beside the leaf that fits its claims best: only what the chips signed is authentic.
pub fn snp_report(data: &[u8]) {
    let signed = |report: &[u8]| report.get(..SIGNED_LEN).map(<[u8]>::to_vec);
    let cpu = |report: &[u8]| report.get(0x188..0x18b).map(<[u8]>::to_vec);
    let machines = &WORLD.machines;
    let fitting = machines
        .iter()
        .find(|(_, machine)| cpu(&machine.report) == cpu(data));
    let (_, machine) = fitting.unwrap_or(&machines[0]);
    let evidence = Evidence {
        platform: Platform::Simulated,
        report: data.to_vec(),
        leaf: machine.leaf.clone(),
    };
    if judge(&evidence) {
        let known = machines
            .iter()
            .any(|(_, machine)| signed(&machine.report) == signed(data));
        assert!(known, "a forged report is authentic");
    }
    let real = Evidence {
        platform: Platform::SevSnp,
        ..evidence
    };
    assert!(!judge(&real), "AMD signed a report with a simulator's leaf");
}

/// A leaf beside an honest report: no byte of it is free.
pub fn snp_leaf(data: &[u8]) {
    let mut evidence = Evidence {
        leaf: data.to_vec(),
        ..WORLD.turin.clone()
    };
    if judge(&evidence) {
        assert_eq!(data, WORLD.turin.leaf, "a forged leaf is authentic");
    }
    // As AMD's, and as AMD's VLEK with its intermediate behind it: read by other rules, never accepted.
    evidence.platform = Platform::SevSnp;
    evidence.report[0x10..0x20].fill(0);
    assert!(!judge(&evidence));
    evidence.report[0x48] |= 1 << 2;
    assert!(!judge(&evidence));
}

/// Evidence as it travels.
pub fn evidence(data: &[u8]) {
    if let Some(evidence) = exact::<Evidence>(data) {
        judge(&evidence);
        assert_ne!(evidence.digest(), [0; 32]);
    }
}

/// Bytes of whatever kind, told by themselves: the first byte says how long the leaf at the end is, in units of 16.
pub fn detect(data: &[u8]) {
    let Some((units, rest)) = data.split_first() else {
        return;
    };
    let leaf = usize::from(*units) * 16;
    let (report, leaf) = rest.split_at(rest.len().saturating_sub(leaf));
    let leaf = (*units > 0).then_some(leaf);
    if let Ok(evidence) = Evidence::detect(report, leaf) {
        assert!(matches!(
            (evidence.platform, leaf),
            (Platform::SevSnp | Platform::Simulated, Some(_))
                | (Platform::Tdx | Platform::Sgx | Platform::SimulatedTdx, None)
        ));
        judge(&evidence);
    }
}

/// A policy as the ledger holds it.
pub fn policy_borsh(data: &[u8]) {
    if let Some(policy) = exact::<Policy>(data) {
        judged_by(&policy);
    }
}

/// A policy as people write it.
pub fn policy_json(data: &[u8]) {
    if let Ok(policy) = serde_json::from_slice::<Policy>(data) {
        let text = serde_json::to_string(&policy).expect("a policy has a JSON form");
        let again: Policy = serde_json::from_str(&text).expect("its own JSON form is read again");
        assert_eq!(again, policy);
        judged_by(&policy);
    }
}

/// A valid policy fits its encoding, and judges without a panic.
fn judged_by(policy: &Policy) {
    let world = &*WORLD;
    if policy.validate().is_ok() {
        let bytes = borsh::to_vec(policy).expect("a policy encodes");
        assert_eq!(exact::<Policy>(&bytes).as_ref(), Some(policy));
        let same = Policy::compare(policy, policy);
        assert!(
            matches!(same, tacit_attest::Change::Same),
            "a policy is not itself"
        );
        let _ = Policy::compare(&world.policy, policy);
    }
    let (_, domain) = &world.domains[1];
    let _ = verify(
        domain,
        &world.trust,
        &world.collateral,
        Some(policy),
        None,
        NOW_MS,
    );
    let _ = verify(
        &world.turin,
        &world.trust,
        &Collateral::new(),
        Some(policy),
        None,
        NOW_MS,
    );
}

/// Decodes a value that fills `data`, and sees that it has no other encoding.
pub(super) fn exact<T: BorshDeserialize + BorshSerialize>(data: &[u8]) -> Option<T> {
    let value = T::try_from_slice(data).ok()?;
    let again = borsh::to_vec(&value).expect("what was decoded encodes");
    assert!(again == data, "a value has two encodings");
    Some(value)
}
