//! What [`Policy::compare`] promises, held against what [`Policy::judge`] does.

use rand_chacha_old::ChaCha20Rng;
use rand_chacha_old::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::collateral::PckAuthority;
use crate::evidence::ChipId;
use crate::facts::{EnclaveFacts, Facts, IntelBody, IntelFacts, Shortfalls, SnpFacts, TdFacts, Tee};
use crate::refusal::Refusal;
use crate::snp::layout::{guest_policy, platform_info};
use crate::snp::roots::LeafKind;
use crate::verify::{Authentic, Notes, Verified};

/// Draws from small ranges, so that policies and machines meet at their edges.
struct Draw(ChaCha20Rng);

impl Draw {
    fn below(&mut self, bound: u32) -> u32 {
        self.0.next_u32() % bound
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn rarely(&mut self) -> bool {
        self.below(8) == 0
    }

    fn small(&mut self) -> u8 {
        u8::try_from(self.below(3)).unwrap()
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(u32::try_from(list.len()).unwrap()) as usize].clone()
    }

    fn some<T: Clone>(&mut self, list: &[T]) -> Vec<T> {
        list.iter().filter(|_| self.below(4) != 0).cloned().collect()
    }

    fn bits(&mut self, bits: &[u64]) -> u64 {
        let drawn = bits.iter().filter(|_| self.below(4) == 0);
        drawn.fold(0, |all, bit| all | bit)
    }

    fn tcb(&mut self) -> Tcb {
        Tcb {
            fmc: 2,
            bootloader: self.small(),
            tee: 2,
            snp: self.small(),
            microcode: 2,
        }
    }

    fn floor(&mut self, generation: Generation, models: Option<(u8, u8)>) -> TcbFloor {
        TcbFloor {
            generation,
            models,
            fmc: 0,
            bootloader: u8::try_from(self.below(2)).unwrap(),
            tee: 0,
            snp: u8::try_from(self.below(2)).unwrap(),
            microcode: 0,
        }
    }

    fn machine(&mut self) -> IntelPolicy {
        IntelPolicy {
            statuses: self.some(&STATUSES),
            advisories: self.some(&ADVISORIES.map(String::from)),
            evaluation_min: self.below(3),
            fmspc_denied: if self.rarely() {
                self.some(&FMSPCS)
            } else {
                Vec::new()
            },
            dynamic_platform: self.coin(),
            cached_keys: !self.rarely(),
            smt: !self.rarely(),
        }
    }

    /// Replaces one field, chosen by `at`, by another value.
    fn change(&mut self, policy: &mut Policy, at: u32) {
        match at % 22 {
            0 => policy.platforms = self.some(&PLATFORMS),
            1 => policy.generations = self.some(&Generation::ALL),
            2 => {
                let all = PLATFORMS.map(|platform| (0..3).map(move |i| listed(platform, i)));
                policy.measurements = self.some(&all.into_iter().flatten().collect::<Vec<_>>());
            }
            3 => policy.snp.report_versions = self.some(&[2, 3, 5]),
            4 => policy.snp.vlek = self.coin(),
            5 => policy.snp.vmpl_max = self.below(3),
            6 => policy.snp.require_alias_check = self.coin(),
            7 => policy.snp.guest_policy_required = self.bits(&GUEST_BITS),
            8 => policy.snp.guest_policy_forbidden = self.bits(&GUEST_BITS),
            9 => policy.snp.platform_info_required = self.bits(&PLATFORM_BITS),
            10 => policy.snp.guest_svn_min = self.below(3),
            11 => policy.snp.id_keys = if self.coin() { Vec::new() } else { self.some(&KEYS) },
            12 => policy.snp.author_keys = if self.coin() { Vec::new() } else { self.some(&KEYS) },
            13 | 14 => {
                policy.snp.min_tcb = Generation::ALL.map(|g| self.floor(g, None)).to_vec();
                if self.coin() {
                    let floor = self.floor(Generation::Genoa, Some((0xa0, 0xaf)));
                    policy.snp.min_tcb.push(floor);
                }
            }
            15 => policy.tdx.quote_versions = self.some(&[4, 5]),
            16 => policy.tdx.attributes_allowed = self.bits(&TD_BITS),
            17 => policy.tdx.machine = self.machine(),
            18 => policy.sgx.types = self.some(&[0, 1, 2]),
            19 => policy.sgx.isv_svn_min = u16::from(self.small()),
            20 => policy.sgx.machine = self.machine(),
            _ => policy.version += 1,
        }
    }

    fn policy(&mut self) -> Policy {
        let mut policy = Policy::dev(Measurement([0; 48]));
        policy.platforms = PLATFORMS.to_vec();
        (0..22).for_each(|at| self.change(&mut policy, at));
        policy
    }

    fn verified(&mut self) -> Verified {
        let platform = self.pick(&PLATFORMS);
        let facts = match platform {
            Platform::SevSnp => Facts::Snp(self.snp()),
            _ => Facts::Intel(self.intel(platform)),
        };
        let authentic = Authentic {
            measurement: listed(platform, self.small()).value,
            chip: ChipId([1; 64]),
            report_data: [0; 64],
            not_after_ms: u64::MAX,
            facts,
        };
        Verified::new(platform, authentic)
    }

    fn snp(&mut self) -> SnpFacts {
        let generation = self.pick(&Generation::ALL);
        let report_version = self.pick(&[2, 3, 5]);
        let model = match generation {
            Generation::Milan | Generation::Turin => 1,
            Generation::Genoa => self.pick(&[0x11, 0xa0]),
        };
        SnpFacts {
            generation,
            report_version,
            leaf_kind: if self.rarely() {
                LeafKind::Vlek
            } else {
                LeafKind::Vcek
            },
            guest_policy: guest_policy::RESERVED_ONE | self.bits(&GUEST_BITS),
            platform_info: self.bits(&PLATFORM_BITS) | self.bits(&[platform_info::ALIAS_CHECK_COMPLETE; 3]),
            vmpl: self.below(2),
            guest_svn: self.below(3),
            cpuid: if report_version == 2 {
                [0; 3]
            } else {
                [0x19, model, 0]
            },
            reported_tcb: self.tcb(),
            current_tcb: self.tcb(),
            committed_tcb: self.tcb(),
            launch_tcb: self.tcb(),
            report_id: [0; 32],
            report_id_ma: [0xff; 32],
            host_data: [0; 32],
            id_key_digest: self.pick(&KEYS).0,
            author_key_digest: self.pick(&KEYS).0,
        }
    }

    fn intel(&mut self, platform: Platform) -> IntelFacts {
        let (tee, body) = match platform {
            Platform::Tdx => (Tee::Tdx, IntelBody::Td(self.td())),
            _ => (Tee::Sgx, IntelBody::Enclave(self.enclave())),
        };
        IntelFacts {
            tee,
            quote_version: if tee == Tee::Tdx { self.pick(&[4, 5]) } else { 3 },
            fmspc: self.pick(&FMSPCS),
            authority: PckAuthority::Platform,
            shortfalls: Shortfalls::default(),
            sgx_type: self.small(),
            cpu_svn: [0; 16],
            pce_svn: 0,
            tcb_status: self.pick(&STATUSES),
            advisories: if self.coin() {
                Vec::new()
            } else {
                self.some(&ADVISORIES.map(String::from))
            },
            evaluation: self.below(3),
            dynamic_platform: Some(self.coin()),
            cached_keys: Some(self.rarely()),
            smt: Some(self.rarely()),
            body,
        }
    }

    fn td(&mut self) -> TdFacts {
        TdFacts {
            tee_tcb_svn: [0; 16],
            tee_tcb_svn2: None,
            attributes: 1 << 28 | self.bits(&TD_BITS),
            xfam: 0,
            mr_seam: [0; 48],
            mr_td: [0; 48],
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmr: [[0; 48]; 4],
        }
    }

    fn enclave(&mut self) -> EnclaveFacts {
        EnclaveFacts {
            attributes: [0; 16],
            mr_enclave: [0; 32],
            mr_signer: [0; 32],
            isv_prod_id: 0,
            isv_svn: u16::from(self.small()),
        }
    }
}

const PLATFORMS: [Platform; 3] = [Platform::SevSnp, Platform::Tdx, Platform::Sgx];
const STATUSES: [TcbStatus; 3] = [
    TcbStatus::UpToDate,
    TcbStatus::SWHardeningNeeded,
    TcbStatus::OutOfDate,
];
const ADVISORIES: [&str; 2] = ["INTEL-SA-00001", "INTEL-SA-00002"];
const FMSPCS: [Fmspc; 2] = [Fmspc([1; 6]), Fmspc([2; 6])];
const KEYS: [Measurement; 2] = [Measurement([1; 48]), Measurement([2; 48])];
const GUEST_BITS: [u64; 2] = [guest_policy::SMT, guest_policy::CIPHERTEXT_HIDING];
const PLATFORM_BITS: [u64; 2] = [platform_info::ECC, platform_info::ALIAS_CHECK_COMPLETE];
const TD_BITS: [u64; 2] = [1 << 30, 1 << 63];

fn listed(platform: Platform, value: u8) -> AllowedMeasurement {
    AllowedMeasurement {
        platform,
        value: Measurement([value; 48]),
        label: "label".to_owned(),
        source: "source".to_owned(),
        build: String::new(),
    }
}

fn admits(policy: &Policy, verified: &Verified) -> Result<(), Refusal> {
    policy.judge(verified, &mut Notes(None))
}

#[test]
fn what_tightens_admits_nothing_new() {
    let mut draw = Draw(ChaCha20Rng::from_seed([5; 32]));
    let mut seen = [0u32; 3];
    let mut admitted = 0u32;
    let mut lost = 0u32;
    let mut gained = 0u32;
    for _ in 0..4_000 {
        let old = draw.policy();
        let mut new = old.clone();
        for _ in 0..=draw.below(2) {
            let at = draw.below(22);
            draw.change(&mut new, at);
        }
        let change = Policy::compare(&old, &new);
        seen[change as usize] += 1;
        for _ in 0..40 {
            let verified = draw.verified();
            let (before, after) = (admits(&old, &verified).is_ok(), admits(&new, &verified).is_ok());
            admitted += u32::from(before);
            lost += u32::from(before && !after && change == Change::Tightens);
            gained += u32::from(after && !before && change == Change::Loosens);
            match change {
                Change::Same => assert_eq!(before, after, "{:?}", Policy::diff(&old, &new)),
                Change::Tightens => assert!(before || !after, "{:?}", Policy::diff(&old, &new)),
                Change::Loosens => {}
            }
        }
    }
    // The draw reaches what the property speaks of.
    assert!(seen.iter().all(|count| *count > 300), "{seen:?}");
    assert!(
        admitted > 300 && lost > 10 && gained > 10,
        "{admitted} {lost} {gained}"
    );
}

#[test]
fn each_field_is_judged_by_itself() {
    type Alter = fn(&mut Policy);
    let tightening: [(&str, Alter); 26] = [
        ("platforms", |p| p.platforms.truncate(1)),
        ("generations", |p| p.generations.truncate(1)),
        ("measurements[sev-snp", |p| p.measurements.truncate(1)),
        ("snp.report_versions", |p| p.snp.report_versions.truncate(1)),
        ("snp.vlek", |p| p.snp.vlek = false),
        ("snp.vmpl_max", |p| p.snp.vmpl_max = 0),
        ("snp.require_alias_check", |p| p.snp.require_alias_check = true),
        ("snp.guest_policy_required", |p| {
            p.snp.guest_policy_required = guest_policy::PAGE_SWAP_DISABLED;
        }),
        ("snp.guest_policy_forbidden", |p| {
            p.snp.guest_policy_forbidden = guest_policy::SMT
        }),
        ("snp.platform_info_required", |p| {
            p.snp.platform_info_required = platform_info::ECC
        }),
        ("snp.guest_svn_min", |p| p.snp.guest_svn_min = 1),
        ("snp.id_keys", |p| p.snp.id_keys = KEYS[..1].to_vec()),
        ("snp.author_keys", |p| p.snp.author_keys = KEYS.to_vec()),
        ("snp.require_crl", |p| p.snp.require_crl = true),
        ("snp.min_tcb", |p| p.snp.min_tcb[1].snp += 1),
        ("tdx.quote_versions", |p| p.tdx.quote_versions.truncate(1)),
        ("tdx.attributes_allowed", |p| p.tdx.attributes_allowed = 0),
        ("tdx.machine.statuses", |p| p.tdx.machine.statuses.truncate(1)),
        ("tdx.machine.evaluation_min", |p| {
            p.tdx.machine.evaluation_min += 1
        }),
        ("tdx.machine.fmspc_denied", |p| {
            p.tdx.machine.fmspc_denied = FMSPCS.to_vec()
        }),
        ("evidence_age_max_ms", |p| p.evidence_age_max_ms -= 1),
        ("block_age_max", |p| p.block_age_max -= 1),
        ("not_before_tolerance_ms", |p| p.not_before_tolerance_ms = 0),
        ("vendor_share_max", |p| p.vendor_share_max = 50),
        ("chip_unique", |p| p.chip_unique = true),
        ("loosening_delay_ms", |p| p.loosening_delay_ms += 1),
    ];
    let mut old = Policy::production();
    old.generations = Generation::ALL.to_vec();
    old.snp.min_tcb.push(TcbFloor {
        generation: Generation::Milan,
        fmc: 0,
        ..old.snp.min_tcb[0]
    });
    old.measurements = vec![listed(Platform::Tdx, 1), listed(Platform::SevSnp, 1)];
    (old.snp.vlek, old.snp.vmpl_max, old.snp.require_alias_check) = (true, 1, false);
    old.tdx.attributes_allowed = TD_BITS[0];
    old.tdx.machine.statuses.push(TcbStatus::SWHardeningNeeded);
    (old.not_before_tolerance_ms, old.chip_unique) = (1, false);
    for (field, alter) in tightening {
        let mut new = old.clone();
        alter(&mut new);
        let there = Policy::diff(&old, &new);
        assert_eq!(there.len(), 1, "{field}: {there:?}");
        assert!(there[0].field.starts_with(field), "{}", there[0].field);
        assert_eq!(there[0].change, Change::Tightens, "{field}");
        assert_ne!(there[0].old, there[0].new);
        assert_eq!(Policy::compare(&old, &new), Change::Tightens, "{field}");
        assert_eq!(Policy::compare(&new, &old), Change::Loosens, "{field} back");
    }
    assert_eq!(Policy::diff(&old, &old), []);
    let mut renamed = old.clone();
    renamed.version += 1;
    renamed.measurements[0].label = "another".to_owned();
    renamed.platforms.reverse();
    assert_eq!(Policy::compare(&old, &renamed), Change::Same);
    assert_eq!(Policy::diff(&old, &renamed).len(), 3);
}

#[test]
fn a_mixed_change_loosens() {
    let old = Policy::production();
    let mut new = old.clone();
    new.evidence_age_max_ms /= 2;
    new.measurements.push(listed(Platform::SevSnp, 1));
    assert_eq!(Policy::compare(&old, &new), Change::Loosens);
}

#[test]
fn a_floor_for_some_models_cannot_hide_a_lower_one() {
    let old = Policy::production();
    let mut new = old.clone();
    // Bergamo and Siena fall to Genoa's floor, whose SNP firmware is older.
    new.snp.min_tcb.remove(1);
    assert_eq!(Policy::compare(&old, &new), Change::Loosens);
    // A generation leaves together with its floor.
    let mut fewer = old.clone();
    fewer.generations = vec![Generation::Turin];
    fewer
        .snp
        .min_tcb
        .retain(|floor| floor.generation == Generation::Turin);
    assert_eq!(Policy::compare(&old, &fewer), Change::Tightens);
}
