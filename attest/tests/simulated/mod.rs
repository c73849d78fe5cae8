//! A simulated machine and its network, for the tests that use or misuse them.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::sync::OnceLock;

use tacit_attest::{
    Binding, Collateral, Evidence, Generation, Measurement, NetworkClass, Policy, Refusal, Report,
    SimulatedChip, SimulatorAuthority, TrustRoots, Verified, verify,
};

pub(crate) const NOW_MS: u64 = 1_790_000_000_000;
pub(crate) const MEASUREMENT: Measurement = Measurement([0x11; 48]);

/// One authority for all tests: RSA keys take a second.
pub(crate) fn authority() -> &'static SimulatorAuthority {
    static AUTHORITY: OnceLock<SimulatorAuthority> = OnceLock::new();
    AUTHORITY.get_or_init(|| SimulatorAuthority::generate([1; 32], NOW_MS).unwrap())
}

pub(crate) fn dev() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(authority().root()),
    }
}

pub(crate) fn chip(generation: Generation) -> SimulatedChip {
    authority()
        .issue_chip([generation as u8; 32], generation, NOW_MS)
        .unwrap()
}

pub(crate) fn binding() -> Binding {
    Binding {
        network: [1; 32],
        consensus_key: [2; 32],
        node_key: [3; 32],
        kem_key: vec![4; 1217],
        height: 5,
        block: [6; 32],
        policy_version: 1,
    }
}

pub(crate) fn judge(evidence: &Evidence) -> Result<Verified, Refusal> {
    verify(
        evidence,
        &dev(),
        &Collateral::new(),
        Some(&Policy::dev(MEASUREMENT)),
        Some(&binding()),
        NOW_MS,
    )
}

/// Signs an honest Turin report after `change`.
pub(crate) fn lie(change: impl FnOnce(&mut Report)) -> Evidence {
    let chip = chip(Generation::Turin);
    let mut report = chip.report(5, MEASUREMENT, binding().report_data());
    change(&mut report);
    chip.sign(&report).unwrap()
}
