//! Which authentic machines a network admits: its allow-lists and floors, versioned, on the ledger.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::evidence::{Measurement, Platform};
use crate::limits::{self, POLICY_KINDS_MAX, POLICY_MEASUREMENTS_MAX, POLICY_TEXT_MAX};
use crate::refusal::Refusal;
use crate::snp::REPORT_VERSIONS;
use crate::snp::generation::{Generation, Tcb};
use crate::snp::layout::{guest_policy, platform_info};
use crate::snp::roots::LeafKind;
use crate::verify::Verified;

/// Milliseconds in a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// No network may accept evidence older than a week.
pub const EVIDENCE_AGE_LIMIT_MS: u64 = 7 * DAY_MS;
/// CPUID models of Bergamo and Siena.
const BERGAMO_SIENA: (u8, u8) = (0xa0, 0xaf);
/// The lowest privilege level that exists.
const VMPL_LIMIT: u32 = 3;

/// A network's attestation policy. What is not a field is not negotiable: debug, migration and CXL are
/// always refused, the chip id is always shown by a VCEK.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Grows with each change; registrations bind it.
    pub version: u64,
    /// Platforms admitted, at most [`POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub platforms: Vec<Platform>,
    /// EPYC generations admitted, at most [`POLICY_KINDS_MAX`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub generations: Vec<Generation>,
    /// Code admitted, at most [`POLICY_MEASUREMENTS_MAX`] entries.
    #[borsh(deserialize_with = "limits::read_measurements")]
    pub measurements: Vec<AllowedMeasurement>,
    /// What only SNP (and its simulation) has.
    pub snp: SnpPolicy,
    /// Age in milliseconds of block time after which a validator must have attested again. The ledger
    /// applies it; verification itself knows no age. At most [`EVIDENCE_AGE_LIMIT_MS`].
    pub evidence_age_max_ms: u64,
}

/// One build that may run.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedMeasurement {
    /// Where it may run: a simulated machine proves no measurement, so the lists are apart.
    pub platform: Platform,
    /// The launch measurement.
    pub value: Measurement,
    /// For people: release and machine shape; at most [`POLICY_TEXT_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_text")]
    pub label: String,
    /// For auditors: from what it can be reproduced; at most [`POLICY_TEXT_MAX`] bytes.
    #[borsh(deserialize_with = "limits::read_text")]
    pub source: String,
}

/// The SNP part of a policy.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnpPolicy {
    /// Report versions admitted, out of [`REPORT_VERSIONS`].
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub report_versions: Vec<u32>,
    /// Whether keys that a cloud provider loads (VLEK) count. They name no chip.
    pub vlek: bool,
    /// Highest VMPL number that may ask for a report; 0 is the most privileged.
    pub vmpl_max: u32,
    /// Whether the machine must have looked for aliased memory (BadRAM).
    pub require_alias_check: bool,
    /// One floor for each admitted generation, and more for CPU models that count differently.
    #[borsh(deserialize_with = "limits::read_kinds")]
    pub min_tcb: Vec<TcbFloor>,
}

/// The lowest TCB admitted on a generation, part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcbFloor {
    /// The generation.
    pub generation: Generation,
    /// CPUID models that this floor is for, inclusive; `None` is for all that no other floor names. Bergamo
    /// and Siena (0xa0 to 0xaf) are of generation Genoa and count their microcode from lower numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<(u8, u8)>,
    /// FMC, Turin only; 0 elsewhere.
    #[serde(default)]
    pub fmc: u8,
    /// Boot loader of the security processor.
    pub bootloader: u8,
    /// Its operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl TcbFloor {
    fn tcb(&self) -> Tcb {
        let Self {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
            ..
        } = *self;
        Tcb {
            fmc,
            bootloader,
            tee,
            snp,
            microcode,
        }
    }

    fn names(&self, generation: Generation, model: u8) -> bool {
        let in_range = |(from, to): (u8, u8)| (from..=to).contains(&model);
        self.generation == generation && self.models.is_some_and(in_range)
    }
}

impl Policy {
    /// For a network of simulated machines that all run `measurement`.
    pub fn dev(measurement: Measurement) -> Self {
        let floor = |generation| TcbFloor {
            generation,
            models: None,
            fmc: 0,
            bootloader: 0,
            tee: 0,
            snp: 0,
            microcode: 0,
        };
        Self {
            version: 1,
            platforms: vec![Platform::Simulated],
            generations: Generation::ALL.to_vec(),
            measurements: vec![AllowedMeasurement {
                platform: Platform::Simulated,
                value: measurement,
                label: "development build".to_owned(),
                source: "simulated: nothing measured it".to_owned(),
            }],
            snp: SnpPolicy {
                report_versions: vec![3, 5],
                vlek: false,
                vmpl_max: 0,
                require_alias_check: true,
                min_tcb: Generation::ALL.map(floor).to_vec(),
            },
            evidence_age_max_ms: DAY_MS,
        }
    }

    /// The default for real value: Genoa and Turin by VCEK, VMPL 0, no Milan (its root seed can be extracted
    /// by software, arXiv 2605.12990). It admits no measurement yet: members add their releases. The floors
    /// are the levels of real machines in early 2026; members raise them by AMD's bulletins.
    pub fn production() -> Self {
        let genoa = TcbFloor {
            generation: Generation::Genoa,
            models: None,
            fmc: 0,
            bootloader: 10,
            tee: 0,
            snp: 23,
            microcode: 84,
        };
        let bergamo = TcbFloor {
            models: Some(BERGAMO_SIENA),
            snp: 27,
            microcode: 27,
            ..genoa
        };
        let turin = TcbFloor {
            generation: Generation::Turin,
            models: None,
            fmc: 1,
            bootloader: 1,
            tee: 1,
            snp: 4,
            microcode: 81,
        };
        Self {
            version: 1,
            platforms: vec![Platform::SevSnp],
            generations: vec![Generation::Genoa, Generation::Turin],
            measurements: Vec::new(),
            snp: SnpPolicy {
                report_versions: vec![3, 5],
                vlek: false,
                vmpl_max: 0,
                require_alias_check: true,
                min_tcb: vec![genoa, bergamo, turin],
            },
            evidence_age_max_ms: DAY_MS,
        }
    }

    /// Refuses a policy that is above a bound, contradicts itself or could admit nothing by mistake. For
    /// every policy that enters by JSON, which has no bounds of its own, and before the ledger adopts one.
    pub fn validate(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::PolicyInvalid { reason });
        let lists = [
            ("platforms", self.platforms.len(), POLICY_KINDS_MAX),
            ("generations", self.generations.len(), POLICY_KINDS_MAX),
            (
                "report_versions",
                self.snp.report_versions.len(),
                POLICY_KINDS_MAX,
            ),
            ("min_tcb", self.snp.min_tcb.len(), POLICY_KINDS_MAX),
            ("measurements", self.measurements.len(), POLICY_MEASUREMENTS_MAX),
        ];
        for (name, have, max) in lists {
            if have > max {
                return refuse(format!("{name} has {have} entries, at most {max} are allowed"));
            }
        }
        if self.platforms.is_empty() || self.snp.report_versions.is_empty() || self.generations.is_empty() {
            return refuse("platforms, generations and report_versions must not be empty".to_owned());
        }
        if let Some(platform) = self
            .platforms
            .iter()
            .find(|p| matches!(p, Platform::Tdx | Platform::Sgx))
        {
            return refuse(format!("platform {platform} is not supported yet"));
        }
        if let Some(version) = self
            .snp
            .report_versions
            .iter()
            .find(|v| !REPORT_VERSIONS.contains(v))
        {
            return refuse(format!("report version {version} is unknown"));
        }
        if has_twice(&self.platforms) || has_twice(&self.generations) || has_twice(&self.snp.report_versions)
        {
            return refuse("a list has an entry twice".to_owned());
        }
        self.validate_floors()?;
        let keys: Vec<_> = self.measurements.iter().map(|m| (m.platform, m.value)).collect();
        if has_twice(&keys) {
            return refuse("a measurement is listed twice".to_owned());
        }
        for allowed in &self.measurements {
            if allowed.label.len() > POLICY_TEXT_MAX || allowed.source.len() > POLICY_TEXT_MAX {
                return refuse(format!(
                    "a measurement's text is longer than {POLICY_TEXT_MAX} bytes"
                ));
            }
        }
        if self.snp.vmpl_max > VMPL_LIMIT {
            return refuse(format!(
                "vmpl_max is {}, at most {VMPL_LIMIT} exists",
                self.snp.vmpl_max
            ));
        }
        if self.evidence_age_max_ms == 0 || self.evidence_age_max_ms > EVIDENCE_AGE_LIMIT_MS {
            return refuse(format!(
                "evidence_age_max_ms must be from 1 to {EVIDENCE_AGE_LIMIT_MS}"
            ));
        }
        Ok(())
    }

    /// Each admitted generation has one floor for all models; floors for some models do not overlap.
    fn validate_floors(&self) -> Result<(), Refusal> {
        let refuse = |reason: String| Err(Refusal::PolicyInvalid { reason });
        for generation in &self.generations {
            let general = |floor: &&TcbFloor| floor.generation == *generation && floor.models.is_none();
            let floors = self.snp.min_tcb.iter().filter(general).count();
            if floors != 1 {
                return refuse(format!(
                    "generation {generation} has {floors} general TCB floors, must have one"
                ));
            }
        }
        for floor in &self.snp.min_tcb {
            let generation = floor.generation;
            if floor.fmc != 0 && generation != Generation::Turin {
                return refuse(format!("generation {generation} has no fmc"));
            }
            let Some((from, to)) = floor.models else { continue };
            let named = |model| {
                self.snp
                    .min_tcb
                    .iter()
                    .filter(|f| f.names(generation, model))
                    .count()
            };
            if from > to || (from..=to).any(|model| named(model) != 1) {
                return refuse(format!(
                    "models {from} to {to} of {generation} are no range or overlap"
                ));
            }
        }
        Ok(())
    }

    /// The floor for a CPU: the one that names its model, or the generation's.
    fn floor(&self, generation: Generation, model: u8) -> Option<&TcbFloor> {
        let floors = &self.snp.min_tcb;
        let general = |floor: &&TcbFloor| floor.generation == generation && floor.models.is_none();
        floors
            .iter()
            .find(|floor| floor.names(generation, model))
            .or_else(|| floors.iter().find(general))
    }

    /// Check 8: does this policy admit an authentic machine? Fails closed on a policy that was not
    /// validated: what it does not list is refused.
    pub(crate) fn judge(&self, verified: &Verified) -> Result<(), Refusal> {
        let facts = &verified.facts;
        let generation = verified.generation;
        if !self.platforms.contains(&verified.platform) {
            return Err(Refusal::PlatformNotAllowed {
                platform: verified.platform,
            });
        }
        if !self.generations.contains(&generation) {
            return Err(Refusal::GenerationNotAllowed { generation });
        }
        if facts.leaf_kind == LeafKind::Vlek && !self.snp.vlek {
            return Err(Refusal::VlekNotAllowed);
        }
        self.judge_guest(verified)?;
        if self.snp.require_alias_check && facts.platform_info & platform_info::ALIAS_CHECK_COMPLETE == 0 {
            return Err(Refusal::AliasCheckIncomplete);
        }
        let [_, model, _] = facts.cpuid;
        let floor = self
            .floor(generation, model)
            .ok_or(Refusal::TcbFloorMissing { generation })?;
        // Committed too: above it the host could roll back; launch too: the guest started there.
        let levels = [
            ("reported", verified.tcb),
            ("launch", facts.launch_tcb),
            ("committed", facts.committed_tcb),
        ];
        for (which, tcb) in levels {
            for ((component, have), (_, need)) in tcb.parts().into_iter().zip(floor.tcb().parts()) {
                if have < need {
                    return Err(Refusal::TcbBelowFloor {
                        which,
                        component,
                        have,
                        need,
                    });
                }
            }
        }
        let (platform, measurement) = (verified.platform, verified.measurement);
        if !self
            .measurements
            .iter()
            .any(|m| m.platform == platform && m.value == measurement)
        {
            return Err(Refusal::MeasurementUnknown {
                platform,
                measurement,
            });
        }
        Ok(())
    }

    /// The part of check 8 about what the guest's owner allowed the host.
    fn judge_guest(&self, verified: &Verified) -> Result<(), Refusal> {
        let facts = &verified.facts;
        let have = facts.guest_policy;
        if have & guest_policy::DEBUG != 0 {
            return Err(Refusal::DebugAllowed);
        }
        if have & guest_policy::MIGRATE_MA != 0 {
            return Err(Refusal::MigrationAllowed);
        }
        if facts.report_id_ma != [0xff; 32] {
            return Err(Refusal::MigrationAgent);
        }
        if have & guest_policy::CXL != 0 {
            return Err(Refusal::CxlAllowed);
        }
        if have & !guest_policy::KNOWN != 0 || have & guest_policy::RESERVED_ONE == 0 {
            return Err(Refusal::GuestPolicyBits { have });
        }
        // The host itself asks with 0xffffffff, which is above every maximum.
        if facts.vmpl > self.snp.vmpl_max {
            return Err(Refusal::VmplTooHigh {
                have: facts.vmpl,
                max: self.snp.vmpl_max,
            });
        }
        Ok(())
    }
}

fn has_twice<T: PartialEq>(list: &[T]) -> bool {
    list.iter()
        .enumerate()
        .any(|(i, entry)| list.iter().skip(i + 1).any(|other| other == entry))
}
