//! The two policies that a network may start from, and why each value is what it is.
//!
//! Production, field by field:
//!
//! | field | value | reason |
//! |---|---|---|
//! | platforms | SEV-SNP, TDX | whole guests; SGX on DDR4 is broken by a cheap interposer (WireTap, 2025) |
//! | generations | Genoa, Turin | Milan's root seed can be extracted by software, so no floor helps it (arXiv 2605.12990) |
//! | measurements | none | only members know which builds they reviewed |
//! | report_versions | 3, 5 | version 2 names no CPU: its generation, and so its floor, would be a guess |
//! | vlek | off | a key that a cloud loads names no chip: no uniqueness, and the cloud can move it |
//! | vmpl_max | 0 | below it other code in the same guest may have asked |
//! | require_alias_check | on | BadRAM (CVE-2024-21944); all real machines of version 3 and later have done it |
//! | guest and platform bits | none more | no cloud offers ciphertext hiding, RAPL off or SMT off yet: owners of bare metal should require them |
//! | id_keys, author_keys, guest_svn_min | none | the measurement already names the build |
//! | require_crl | off | AMD's list revokes intermediates, which are pinned; requiring it adds a way to fail |
//! | min_tcb | real machines of early 2026 | above the fixes for CacheWarp, EntrySign, BadRAM; members raise it by AMD's bulletins |
//! | quote_versions | 4, 5 | all that exist for trust domains |
//! | attributes_allowed | none | no real guest seen sets one besides SEPT_VE_DISABLE |
//! | statuses | UpToDate | anything else is a known weakness of this machine |
//! | advisories | none tolerated | the same |
//! | evaluation_min | 20 | Intel's level of August 2025: its default endpoint still serves older ones |
//! | dynamic_platform, cached_keys, smt | admitted | true on every real machine seen |
//! | SGX types | 2 | scalable with integrity, should members ever admit SGX |
//! | evidence_age_max_ms | a day | a machine attests again while its operator is awake; a stolen key is worth little tomorrow |
//! | block_age_max | 600 | minutes of blocks: a registration survives a busy mempool, a hoarded one does not |
//! | not_before_tolerance_ms | 0 | exact; a fresh certificate registers some blocks later |
//! | vendor and family share | no cap | a cap needs a mixed fleet to be met: founders who have one set it to 66 or less, so that suspending a family leaves a quorum |
//! | chip_unique | on | one broken machine is one seat |
//! | loosening_delay_ms | three days | operators and holders see what comes, over a weekend too |

use super::{AllowedMeasurement, DAY_MS, IntelPolicy, Policy, SgxPolicy, SnpPolicy, TcbFloor, TdxPolicy};
use crate::evidence::{Measurement, Platform};
use crate::facts::{SIMULATOR_OWNER_CONFIG, TdFacts};
use crate::snp::generation::Generation;

/// CPUID models of Bergamo and Siena.
const BERGAMO_SIENA: (u8, u8) = (0xa0, 0xaf);
/// Intel's level of August 2025; members raise it with each of Intel's recoveries.
const EVALUATION_MIN: u32 = 20;
/// A registration may be bound to a block at most this much below the one that includes it, in heights.
const BLOCK_AGE_MAX: u64 = 600;

impl Policy {
    /// For a network of simulated machines that all run `measurement`. Simulated firmware has no level worth a
    /// floor; everything else is as in production, without delay.
    pub fn dev(measurement: Measurement) -> Self {
        let measurements = [
            (Platform::Simulated, measurement),
            (Platform::SimulatedTdx, simulated_td(measurement)),
        ]
        .map(|(platform, value)| AllowedMeasurement {
            platform,
            value,
            label: "development build".to_owned(),
            source: "simulated: nothing measured it".to_owned(),
            build: String::new(),
        });
        let floors = Generation::ALL.map(TcbFloor::none);
        Self {
            platforms: vec![Platform::Simulated, Platform::SimulatedTdx],
            generations: Generation::ALL.to_vec(),
            measurements: measurements.to_vec(),
            snp: SnpPolicy {
                min_tcb: floors.to_vec(),
                ..SnpPolicy::strict()
            },
            tdx: TdxPolicy::strict(0),
            sgx: SgxPolicy::strict(0),
            loosening_delay_ms: 0,
            ..Self::production()
        }
    }

    /// The default for real value, see the table above. It admits no measurement yet: members add their releases.
    pub fn production() -> Self {
        let genoa = TcbFloor {
            bootloader: 10,
            snp: 23,
            microcode: 84,
            ..TcbFloor::none(Generation::Genoa)
        };
        let bergamo = TcbFloor {
            models: Some(BERGAMO_SIENA),
            snp: 27,
            microcode: 27,
            ..genoa
        };
        let turin = TcbFloor {
            fmc: 1,
            bootloader: 1,
            tee: 1,
            snp: 4,
            microcode: 81,
            ..TcbFloor::none(Generation::Turin)
        };
        Self {
            version: 1,
            platforms: vec![Platform::SevSnp, Platform::Tdx],
            generations: vec![Generation::Genoa, Generation::Turin],
            measurements: Vec::new(),
            snp: SnpPolicy {
                min_tcb: vec![genoa, bergamo, turin],
                ..SnpPolicy::strict()
            },
            tdx: TdxPolicy::strict(EVALUATION_MIN),
            sgx: SgxPolicy::strict(EVALUATION_MIN),
            evidence_age_max_ms: DAY_MS,
            block_age_max: BLOCK_AGE_MAX,
            not_before_tolerance_ms: 0,
            vendor_share_max: 100,
            family_share_max: 100,
            chip_unique: true,
            loosening_delay_ms: 3 * DAY_MS,
        }
    }
}

impl SnpPolicy {
    /// All but the floors.
    fn strict() -> Self {
        Self {
            report_versions: vec![3, 5],
            vlek: false,
            vmpl_max: 0,
            require_alias_check: true,
            guest_policy_required: 0,
            guest_policy_forbidden: 0,
            platform_info_required: 0,
            guest_svn_min: 0,
            id_keys: Vec::new(),
            author_keys: Vec::new(),
            require_crl: false,
            min_tcb: Vec::new(),
        }
    }
}

impl TdxPolicy {
    fn strict(evaluation_min: u32) -> Self {
        Self {
            quote_versions: vec![4, 5],
            attributes_allowed: 0,
            machine: IntelPolicy::strict(evaluation_min),
        }
    }
}

impl SgxPolicy {
    fn strict(evaluation_min: u32) -> Self {
        Self {
            types: vec![2],
            isv_svn_min: 0,
            machine: IntelPolicy::strict(evaluation_min),
        }
    }
}

impl TcbFloor {
    /// A floor that every machine of a generation meets.
    fn none(generation: Generation) -> Self {
        Self {
            generation,
            models: None,
            fmc: 0,
            bootloader: 0,
            tee: 0,
            snp: 0,
            microcode: 0,
        }
    }
}

/// The measurement of the trust domain that the simulator makes of `build`: MRTD is the build, every other
/// register zero but the simulator's mark.
pub(crate) fn simulated_td(build: Measurement) -> Measurement {
    Measurement::of_td(&TdFacts {
        tee_tcb_svn: [0; 16],
        tee_tcb_svn2: None,
        attributes: 0,
        xfam: 0,
        mr_seam: [0; 48],
        mr_td: build.0,
        mr_config_id: [0; 48],
        mr_owner: [0; 48],
        mr_owner_config: SIMULATOR_OWNER_CONFIG,
        rtmr: [[0; 48]; 4],
    })
}
