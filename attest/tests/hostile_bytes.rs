//! Bytes that nobody honest sends: no input makes verification panic, and none is accepted.

use std::sync::OnceLock;

use tacit_attest::{
    Binding, Collateral, Evidence, Generation, Measurement, NetworkClass, Platform, Policy, SimulatedChip,
    SimulatorAuthority, TrustRoots, describe, verify,
};

const NOW_MS: u64 = 1_790_000_000_000;
const MEASUREMENT: Measurement = Measurement([0x11; 48]);

fn authority() -> &'static SimulatorAuthority {
    static AUTHORITY: OnceLock<SimulatorAuthority> = OnceLock::new();
    AUTHORITY.get_or_init(|| SimulatorAuthority::generate([3; 32], NOW_MS).unwrap())
}

fn dev() -> TrustRoots {
    TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(authority().root()),
    }
}

fn chip() -> SimulatedChip {
    authority()
        .issue_chip([4; 32], Generation::Milan, NOW_MS)
        .unwrap()
}

fn honest(version: u32) -> Evidence {
    let chip = chip();
    chip.sign(&chip.report(version, MEASUREMENT, [0; 64])).unwrap()
}

fn milan() -> Evidence {
    Evidence {
        platform: Platform::SevSnp,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    }
}

/// A stream of bytes from a seed: the same in every run.
fn stream(seed: u64) -> impl Iterator<Item = u8> {
    let mut reader = blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof();
    std::iter::repeat_with(move || {
        let mut byte = [0];
        reader.fill(&mut byte);
        byte[0]
    })
}

fn refused(evidence: &Evidence, why: &str) {
    for policy in [None, Some(&Policy::dev(MEASUREMENT))] {
        assert!(
            verify(evidence, &dev(), &Collateral::new(), policy, None, NOW_MS).is_err(),
            "{why}"
        );
    }
    // Shown or not, but never a panic.
    let _ = describe(evidence);
}

#[test]
fn every_prefix_of_a_leaf_is_refused() {
    for base in [honest(3), milan()] {
        for len in 0..base.leaf.len() {
            refused(
                &Evidence {
                    leaf: base.leaf[..len].to_vec(),
                    ..base.clone()
                },
                "prefix",
            );
        }
    }
}

#[test]
fn noise_is_refused() {
    for seed in 0..200 {
        let mut noise = stream(seed);
        let mut evidence = honest(3);
        evidence.platform = [Platform::SevSnp, Platform::Simulated][usize::from(seed % 2 == 0)];
        evidence.report = noise.by_ref().take(1184).collect();
        refused(&evidence, "a report of noise");
        // Past the version, the CPU and the header, so that deeper layers see noise.
        let model = honest([2, 3, 5][(seed % 3) as usize]);
        for range in [0..4, 0x10..0x20, 0x34..0x38, 0x48..0x4c, 0x188..0x18b] {
            evidence.report[range.clone()].copy_from_slice(&model.report[range]);
        }
        refused(&evidence, "a body of noise");
        evidence.leaf = noise.by_ref().take(1360).collect();
        refused(&evidence, "a leaf of noise");
    }
}

#[test]
fn scattered_damage_is_refused() {
    for seed in 0..400 {
        for base in [honest(5), milan()] {
            let mut noise = stream(seed);
            let mut evidence = base.clone();
            for _ in 0..=seed % 4 {
                let at: Vec<usize> = noise.by_ref().take(2).map(usize::from).collect();
                let at = (at[0] << 8 | at[1]) % evidence.leaf.len();
                evidence.leaf[at] = noise.next().unwrap();
            }
            if evidence != base {
                refused(&evidence, "a damaged leaf");
            }
        }
    }
}

#[test]
fn a_vlek_claim_over_any_leaf_does_not_panic() {
    let mut evidence = milan();
    evidence.report[0x48] = 1 << 2;
    for leaf in [
        &[][..],
        &[0x30],
        &[0x30, 0x82, 0xff, 0xff],
        &[0x30, 0x82, 0, 0],
        &evidence.leaf.clone(),
    ] {
        refused(
            &Evidence {
                leaf: leaf.to_vec(),
                ..evidence.clone()
            },
            "a VLEK that is none",
        );
    }
}

#[test]
fn a_damaged_simulator_root_is_refused() {
    let root = authority().root();
    for at in 0..root.ark.len() {
        let mut trust = dev();
        trust.simulator.as_mut().unwrap().ark[at] ^= 1 << (at % 8);
        assert!(trust.validate().is_err(), "ark byte {at}");
    }
}

#[test]
fn hostile_lengths_and_tags_do_not_decode() {
    let bytes = borsh::to_vec(&honest(3)).unwrap();
    for len in 0..bytes.len() {
        assert!(borsh::from_slice::<Evidence>(&bytes[..len]).is_err());
    }
    for seed in 0..200 {
        let noise: Vec<u8> = stream(seed).take(300).collect();
        let _ = borsh::from_slice::<Evidence>(&noise);
        let _ = borsh::from_slice::<Policy>(&noise);
        let _ = borsh::from_slice::<TrustRoots>(&noise);
        let _ = borsh::from_slice::<Binding>(&noise);
        assert!(SimulatedChip::from_bytes(&noise).is_err());
        assert!(SimulatorAuthority::from_bytes(&noise).is_err());
    }
}
