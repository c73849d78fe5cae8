//! Genesis: the file that a network begins with. Its hash is the chain id, and everything in it can be checked
//! again by anybody, offline.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use tacit_attest::limits::COLLATERAL_ITEMS_MAX;
use tacit_attest::{Collateral, CollateralUpdate, NetworkClass, Policy, TrustRoots, Verified};
use tacit_consensus::{Anchor, Committee, Digest, Executed, Millis, hash};

use crate::{
    account::AccountId,
    amount::Amount,
    codec::{decode, encode},
    envelope::SUITE_XWING,
    epoch::{EpochReason, EpochRecord, ValidatorRecord, collateral_digest, policy_digest},
    error::{CodecError, GenesisError},
    governance::Governance,
    json::{allocations, hex32},
    limits::{MAX_ALLOCATIONS, MAX_GENESIS_BYTES, MAX_VALIDATORS},
    recovery::{Origin, RecoveryMembers},
    registration::{Registration, RegistrationPlace, is_name},
    state::seats::first_over_share,
};

/// The only version that this release reads.
pub const GENESIS_VERSION: u16 = 2;

/// A network's constants, in milliseconds unless named otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// An epoch ends at the latest after this long. 1 s to 30 days.
    pub epoch_ms_max: u64,
    /// An epoch that has lasted so long ends when its membership is to change. 0 to 30 days; above `epoch_ms_max` it only
    /// ends on schedule.
    pub epoch_ms_min: u64,
    /// An idle network makes a block this often. 100 ms to 10 minutes.
    pub heartbeat_ms: u64,
    /// A leader's time before it has failed once. 50 ms to 1 minute.
    pub base_timeout_ms: u64,
    /// The charge, in smallest units, for each 512 bytes of an envelope's bucket. 0 to 10^12.
    pub fee_per_512: u64,
    /// How far ahead of a voter's clock a block's time may be. 10 ms to 1 minute.
    pub max_clock_ahead_ms: u64,
}

impl Default for Params {
    /// A day an epoch, a minute at least, 5 s heartbeats, 1 s timeouts, 0.001 token for 512 bytes, 2 s of clock.
    fn default() -> Self {
        Self {
            epoch_ms_max: 86_400_000,
            epoch_ms_min: 60_000,
            heartbeat_ms: 5_000,
            base_timeout_ms: 1_000,
            fee_per_512: 1_000,
            max_clock_ahead_ms: 2_000,
        }
    }
}

impl Params {
    /// Checks each parameter against its range.
    pub fn check(&self) -> Result<(), GenesisError> {
        for (name, have, min, max) in [
            ("epoch_ms_max", self.epoch_ms_max, 1_000, 30 * 86_400_000),
            ("epoch_ms_min", self.epoch_ms_min, 0, 30 * 86_400_000),
            ("heartbeat_ms", self.heartbeat_ms, 100, 600_000),
            ("base_timeout_ms", self.base_timeout_ms, 50, 60_000),
            ("fee_per_512", self.fee_per_512, 0, 1_000_000_000_000),
            ("max_clock_ahead_ms", self.max_clock_ahead_ms, 10, 60_000),
        ] {
            if !(min..=max).contains(&have) {
                return Err(GenesisError::Parameter { name, have, min, max });
            }
        }
        Ok(())
    }
}

/// The first state of a network.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// [`GENESIS_VERSION`].
    pub version: u16,
    /// 3 to 32 of `a-z 0-9 -`; `dev-…` and `test-…` for these classes and for them alone.
    pub name: String,
    /// The class, and the simulator's root if the class is dev.
    pub trust: TrustRoots,
    /// Fresh randomness that the founders' evidence is bound to, before the chain id exists.
    #[serde(with = "hex32")]
    pub nonce: [u8; 32],
    /// When the network begins: `now` of the founders' evidence.
    pub time_ms: Millis,
    /// Constants.
    pub params: Params,
    /// Whose evidence is accepted.
    pub policy: Policy,
    /// Who may change the policy.
    pub governance: Governance,
    /// The version of the protocol that the network begins with.
    pub protocol: u16,
    /// Who can bring the state back if all validators lose their keys.
    pub recovery: RecoveryMembers,
    /// The chain that this one goes on from, if it was recovered.
    pub origin: Option<Origin>,
    /// What the founders' evidence is judged with, in the order in which it is taken in. Intel's evidence needs some.
    pub collateral: Vec<CollateralUpdate>,
    /// The founders, in the order of consensus indices; 1 to [`MAX_VALIDATORS`]. Fewer than 4 tolerate no fault.
    pub validators: Vec<Registration>,
    /// Initial balances; private afterwards, but their sum is for everybody to see.
    #[serde(with = "allocations")]
    pub allocations: Vec<(AccountId, Amount)>,
}

impl Genesis {
    /// The network's identity: a hash of everything here.
    pub fn chain_id(&self) -> Digest {
        hash("genesis", &[&encode(self)])
    }

    /// Decodes the borsh form, at most [`MAX_GENESIS_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_GENESIS_BYTES)
    }

    /// The file for people: pretty JSON, bytes in hex, amounts in decimals. The hash is over the borsh form, so
    /// white space does not change it.
    ///
    /// # Panics
    /// Never: all keys are strings and writing to memory does not fail.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a genesis can be written");
        text.push('\n');
        text
    }

    /// Reads the file: at most [`MAX_GENESIS_BYTES`], no unknown fields.
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        if text.len() > MAX_GENESIS_BYTES {
            return Err(CodecError::TooLong {
                have: text.len(),
                max: MAX_GENESIS_BYTES,
            }
            .into());
        }
        serde_json::from_str(text).map_err(|error| GenesisError::Json {
            line: error.line(),
            column: error.column(),
        })
    }

    /// Checks everything: name, class, parameters, policy, governance, collateral, every founder's evidence at genesis
    /// time bound to the nonce, uniqueness of names, keys and chips, shares of vendors and families, and the
    /// allocations. Gives the verdicts in the founders' order.
    pub fn verify(&self) -> Result<Vec<Verified>, GenesisError> {
        if self.version != GENESIS_VERSION {
            return Err(GenesisError::Version { have: self.version });
        }
        self.check_name()?;
        self.params.check()?;
        self.trust.validate().map_err(GenesisError::Policy)?;
        self.policy.validate().map_err(GenesisError::Policy)?;
        self.governance.check()?;
        self.recovery.check().map_err(GenesisError::Recovery)?;
        self.check_origin()?;
        self.check_allocations()?;
        let collateral = self.collateral()?;
        self.check_validators(&collateral)
    }

    /// The collateral of the first state.
    ///
    /// # Errors
    /// The first document that is refused.
    pub fn collateral(&self) -> Result<Collateral, GenesisError> {
        if self.collateral.len() > COLLATERAL_ITEMS_MAX {
            return Err(GenesisError::Documents {
                have: self.collateral.len(),
                max: COLLATERAL_ITEMS_MAX,
            });
        }
        let mut collateral = Collateral::new();
        for (index, update) in self.collateral.iter().enumerate() {
            collateral
                .apply(update.clone(), &self.trust, self.time_ms)
                .map_err(|source| GenesisError::Collateral { index, source })?;
        }
        Ok(collateral)
    }

    /// The first set.
    pub fn committee0(&self) -> Committee {
        self.record0().committee()
    }

    /// The first epoch: the founders, no sealing key yet. Collateral that [`Self::verify`] refuses counts as none.
    pub fn record0(&self) -> EpochRecord {
        EpochRecord {
            epoch: 0,
            start_height: 1,
            start_ms: self.time_ms,
            validators: self
                .validators
                .iter()
                .map(|one| ValidatorRecord::of(one, self.time_ms))
                .collect(),
            sealing_key: None,
            suite: SUITE_XWING,
            policy_version: self.policy.version,
            policy: policy_digest(&self.policy),
            reason: EpochReason::Genesis,
            transcript: Digest::ZERO,
            judged_ms: self.time_ms,
            collateral: collateral_digest(&self.collateral().unwrap_or_default()),
            kept: false,
            dropped: Vec::new(),
            protocol: self.protocol,
            state_keys: Vec::new(),
            recovery: None,
        }
    }

    /// What epoch 0 grows from. The roots are those of the genesis state.
    pub fn anchor(&self, public_root: Digest, private_root: Digest) -> Anchor {
        let receipts_root = Digest::ZERO;
        let executed = Executed {
            height: 0,
            public_root,
            private_root,
            receipts_root,
            supply: self.supply(),
        };
        Anchor {
            epoch: 0,
            block: self.chain_id(),
            height: 0,
            time_ms: self.time_ms,
            executed,
        }
    }

    /// The sum of all allocations; [`Self::verify`] refuses a sum that does not fit, which saturates here. On a recovered
    /// chain, what the lost one had.
    pub fn supply(&self) -> Amount {
        let origin = self.origin.as_ref().map_or(0, |origin| origin.supply);
        self.allocations
            .iter()
            .fold(origin, |sum: Amount, (_, amount)| sum.saturating_add(*amount))
    }

    /// How many founders may fail in any way: 0 below 4.
    pub fn faults_tolerated(&self) -> usize {
        self.validators.len().saturating_sub(1) / 3
    }

    fn check_name(&self) -> Result<(), GenesisError> {
        if !is_name(&self.name, 3) {
            return Err(GenesisError::Name);
        }
        let class = self.trust.class;
        let need = match class {
            NetworkClass::Dev => "dev-",
            NetworkClass::Test => "test-",
            NetworkClass::Production => {
                let reserved = self.name.starts_with("dev-") || self.name.starts_with("test-");
                return if reserved {
                    Err(GenesisError::NameOfProduction)
                } else {
                    Ok(())
                };
            }
        };
        if self.name.starts_with(need) {
            Ok(())
        } else {
            Err(GenesisError::NamePrefix { class, need })
        }
    }

    /// A recovered chain begins with the lost one's state and nothing else, under a name and nonce of its own.
    fn check_origin(&self) -> Result<(), GenesisError> {
        let Some(origin) = &self.origin else {
            return Ok(());
        };
        origin.check().map_err(GenesisError::Recovery)?;
        if !self.allocations.is_empty() {
            return Err(GenesisError::OriginAllocations {
                have: self.allocations.len(),
            });
        }
        Ok(())
    }

    fn check_allocations(&self) -> Result<(), GenesisError> {
        if self.allocations.len() > MAX_ALLOCATIONS {
            return Err(GenesisError::Allocations {
                have: self.allocations.len(),
                max: MAX_ALLOCATIONS,
            });
        }
        let mut seen = BTreeSet::new();
        let mut supply: Amount = 0;
        for (account, amount) in &self.allocations {
            let refused = |reason| GenesisError::Allocation {
                account: *account,
                reason,
            };
            if !account.is_valid() {
                return Err(refused("no public key, nobody could spend it"));
            }
            if *amount == 0 {
                return Err(refused("zero"));
            }
            if !seen.insert(account) {
                return Err(refused("listed twice"));
            }
            supply = supply.checked_add(*amount).ok_or(GenesisError::Supply)?;
        }
        Ok(())
    }

    fn check_validators(&self, collateral: &Collateral) -> Result<Vec<Verified>, GenesisError> {
        if self.validators.is_empty() || self.validators.len() > MAX_VALIDATORS {
            return Err(GenesisError::Validators {
                have: self.validators.len(),
                max: MAX_VALIDATORS,
            });
        }
        let place = RegistrationPlace::founder(self.nonce, self.policy.version);
        let (mut names, mut keys, mut kems, mut chips) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut verdicts = Vec::with_capacity(self.validators.len());
        for (index, registration) in self.validators.iter().enumerate() {
            if registration.place() != place {
                return Err(GenesisError::OtherGenesis { index });
            }
            let verdict = registration
                .verify(&self.trust, collateral, &self.policy, self.time_ms)
                .map_err(|source| GenesisError::Registration { index, source })?;
            let (have, need) = (registration.protocol, self.protocol);
            if have < need {
                return Err(GenesisError::Protocol { index, have, need });
            }
            let unique = [
                ("name", names.insert(registration.name.as_str())),
                ("consensus key", keys.insert(registration.consensus_key)),
                ("node key", keys.insert(registration.node_key)),
                ("KEM key", kems.insert(&registration.kem_key)),
                (
                    "chip",
                    chips.insert((verdict.vendor(), verdict.chip)) || !self.policy.chip_unique,
                ),
            ];
            if let Some((what, _)) = unique.into_iter().find(|(_, fresh)| !fresh) {
                return Err(GenesisError::Duplicate { index, what });
            }
            verdicts.push(verdict);
        }
        match first_over_share(
            &self.policy,
            verdicts.iter().map(|one| (one.vendor(), one.family())),
        ) {
            Some(over) => Err(GenesisError::Share {
                index: over.index,
                group: over.group,
                max: over.max,
            }),
            None => Ok(verdicts),
        }
    }
}
