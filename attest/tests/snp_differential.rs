//! The verifier against a second one that shares no code with it, over real evidence, simulated evidence and
//! thousands of mutations of both: each must say of each what the other says.

mod common;
mod independent;
mod simulated;

use common::{cases, production, twin};
use independent::{Chain, authentic};
use sev::certs::snp::builtin::{genoa, milan, turin};
use simulated::{MEASUREMENT, NOW_MS, chip, dev};
use tacit_attest::{
    Collateral, Evidence, Generation, Platform, Report, Tcb, TrustRoots, guest_policy, key_info, verify,
};

/// AMD's certificates as data: what is compared is code.
fn amd() -> Vec<Chain> {
    let chain = |generation, ark: std::io::Result<sev::certs::snp::Certificate>, ask: std::io::Result<_>| {
        let der = |certificate: std::io::Result<sev::certs::snp::Certificate>| {
            certificate.unwrap().to_der().unwrap()
        };
        Chain {
            generation,
            ark: der(ark),
            ask: der(ask),
        }
    };
    vec![
        chain("Milan", milan::ark(), milan::ask()),
        chain("Genoa", genoa::ark(), genoa::ask()),
        chain("Turin", turin::ark(), turin::ask()),
    ]
}

type Lie = fn(&mut Report);

/// How often both accepted and both refused.
#[derive(Default, Debug)]
struct Tally {
    accepted: u32,
    refused: u32,
}

struct Lane {
    amd: Vec<Chain>,
    trust: TrustRoots,
    tally: Tally,
}

impl Lane {
    fn new(trust: TrustRoots) -> Self {
        Self {
            amd: amd(),
            trust,
            tally: Tally::default(),
        }
    }

    fn compare(&mut self, evidence: &Evidence, now: u64, what: &str) -> bool {
        let ours = verify(evidence, &self.trust, &Collateral::new(), None, None, now * 1000);
        let root = self.trust.simulator.as_ref();
        let simulator = root.filter(|_| evidence.platform == Platform::Simulated);
        let simulator = simulator.map(|root| (root.ark.as_slice(), root.ask.as_slice()));
        let theirs = authentic(&evidence.report, &evidence.leaf, &self.amd, simulator, now);
        let refusal = ours.as_ref().err().map(ToString::to_string);
        assert_eq!(ours.is_ok(), theirs, "{what} at {now}: ours says {refusal:?}");
        if theirs {
            self.tally.accepted += 1;
        } else {
            self.tally.refused += 1;
        }
        theirs
    }
}

/// A stream of numbers from a seed: the same in every run.
struct Noise(blake3::OutputReader);

impl Noise {
    fn new(seed: &str) -> Self {
        Self(blake3::Hasher::new().update(seed.as_bytes()).finalize_xof())
    }

    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % bound
    }
}

/// One to three changes of a byte, in the report, its unused places or the leaf; sometimes a length.
fn mutate(evidence: &Evidence, noise: &mut Noise) -> Evidence {
    let mut mutated = evidence.clone();
    for _ in 0..=noise.below(3) {
        let field = if noise.below(2) == 0 {
            &mut mutated.report
        } else {
            &mut mutated.leaf
        };
        let value = u8::try_from(noise.below(256)).unwrap();
        match noise.below(12) {
            0 => field.push(value),
            1 => {
                field.pop();
            }
            _ => {
                let at = noise.below(field.len());
                field[at] = value;
            }
        }
    }
    mutated
}

fn milan_fixture() -> Evidence {
    Evidence {
        platform: Platform::SevSnp,
        report: hex::decode(include_str!("fixtures/sev-milan.report.hex").trim()).unwrap(),
        leaf: include_bytes!("fixtures/sev-milan.vcek.der").to_vec(),
    }
}

#[test]
fn real_evidence_gets_the_same_verdict_at_every_time() {
    let mut lane = Lane::new(production());
    for at in [
        0,
        1_680_549_822,
        1_680_549_823,
        1_790_000_000,
        1_901_474_623,
        1_901_474_624,
    ] {
        lane.compare(&milan_fixture(), at, "the sev package's own");
    }
    assert!(
        lane.tally.accepted == 3 && lane.tally.refused == 3,
        "{:?}",
        lane.tally
    );
    let cases = cases();
    for case in &cases {
        for (at, ok) in &case.expect {
            assert_eq!(
                lane.compare(&case.evidence, *at, &case.id),
                *ok,
                "{} at {at}",
                case.id
            );
        }
        assert!(lane.compare(&twin(&case.evidence), case.inside, "a twin"));
        for other in &cases {
            let leaf = other.evidence.leaf.clone();
            let pair = Evidence {
                leaf,
                ..case.evidence.clone()
            };
            assert_eq!(lane.compare(&pair, other.inside, "a pair"), case.id == other.id);
        }
    }
}

#[test]
fn mutated_real_evidence_is_refused_by_both() {
    let mut lane = Lane::new(production());
    let mut all: Vec<_> = cases()
        .into_iter()
        .map(|case| (case.evidence, case.inside))
        .collect();
    all.push((milan_fixture(), 1_790_000_000));
    for (i, (evidence, inside)) in all.iter().enumerate() {
        let mut noise = Noise::new(&format!("real {i}"));
        for _ in 0..500 {
            let mutated = mutate(evidence, &mut noise);
            let same = mutated == *evidence;
            assert_eq!(lane.compare(&mutated, *inside, "a mutation"), same);
        }
        // Every place that something else could be hidden in.
        for at in (0..0x40)
            .chain(0x48..0x50)
            .chain(0x180..0x1a0)
            .chain(0x1e0..0x208)
            .chain(0x2d0..0x2e8)
        {
            let mut mutated = evidence.clone();
            mutated.report[at] ^= 1 << (at % 8);
            lane.compare(&mutated, *inside, "a hidden bit");
        }
    }
    assert!(
        lane.tally.refused > 600 * u32::try_from(all.len()).unwrap(),
        "{:?}",
        lane.tally
    );
}

#[test]
fn simulated_machines_that_lie_are_judged_alike() {
    let mut lane = Lane::new(dev());
    let now = NOW_MS / 1000;
    for generation in Generation::ALL {
        for version in [2, 3, 5] {
            let chip = chip(generation);
            let sign = |change: &dyn Fn(&mut Report)| {
                let mut report = chip.report(version, MEASUREMENT, [7; 64]);
                change(&mut report);
                chip.sign(&report).unwrap()
            };
            let honest = sign(&|_| {});
            assert!(lane.compare(&honest, now, "an honest report"));
            assert!(lane.compare(&twin(&honest), now, "a twin"));
            for (from, at) in [
                (false, now - 86_401),
                (true, now - 86_400),
                (false, 0),
                (false, 4_000_000_000),
            ] {
                assert_eq!(lane.compare(&honest, at, "another time"), from);
            }
            let lies: [(&str, Lie); 17] = [
                ("version 4", |r| r.version = 4),
                ("version 258", |r| r.version = 258),
                ("algorithm", |r| r.signature_algorithm = 2),
                ("masked key", |r| r.key_info |= key_info::MASK_CHIP_KEY),
                ("author key", |r| r.key_info |= 1),
                ("vlek", |r| r.key_info |= 1 << key_info::SIGNING_KEY_SHIFT),
                ("no key", |r| r.key_info |= 7 << key_info::SIGNING_KEY_SHIFT),
                ("unknown key bit", |r| r.key_info |= 1 << 6),
                ("no mark", |r| r.family_id = [0; 16]),
                ("cpu", |r| r.cpuid = [0x1a, 0x12, 0]),
                ("another cpu", |r| r.cpuid = [0x19, 0xaf, 0]),
                ("masked chip", |r| r.chip_id.0 = [0; 64]),
                ("chip", |r| r.chip_id.0[7] ^= 1),
                ("chip's fill", |r| r.chip_id.0[63] ^= 1),
                ("newer microcode", |r| {
                    r.reported_tcb = Tcb {
                        microcode: 255,
                        ..r.reported_tcb
                    }
                }),
                ("older boot loader", |r| r.reported_tcb.bootloader = 0),
                ("debug", |r| r.guest_policy |= guest_policy::DEBUG),
            ];
            for (what, lie) in lies {
                lane.compare(
                    &sign(&lie),
                    now,
                    &format!("{generation} version {version}: {what}"),
                );
            }
            let mut noise = Noise::new(&format!("simulated {generation} {version}"));
            for _ in 0..150 {
                lane.compare(&mutate(&honest, &mut noise), now, "a mutation");
            }
            let claimed = Evidence {
                platform: Platform::SevSnp,
                ..honest
            };
            assert!(!lane.compare(&claimed, now, "simulated, claimed to be real"));
        }
    }
    assert!(
        lane.tally.accepted > 40 && lane.tally.refused > 1400,
        "{:?}",
        lane.tally
    );
    let real = Evidence {
        platform: Platform::Simulated,
        ..milan_fixture()
    };
    assert!(!lane.compare(&real, now, "real, claimed to be simulated"));
}
