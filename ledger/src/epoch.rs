//! Epoch records: one validator set, one sealing key, one policy. A closing block's header carries the digest
//! of the next record, so that a chain of records is certified set by set.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{Collateral, Policy};
use tacit_consensus::{Committee, Digest, Epoch, Height, Millis, PublicKey, hash};

use crate::{
    codec::{decode, encode},
    envelope::SUITE_XWING,
    error::CodecError,
    limits::{MAX_EPOCH_RECORD_BYTES, MAX_REGISTERED, MAX_VALIDATORS},
    recovery::RecoveryPackage,
    registration::{Registration, is_name},
    sealing::SealingPublic,
};

/// One seat of a set, in the order of consensus indices.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ValidatorRecord {
    /// The registry's name.
    pub name: String,
    /// Signs votes and proposals.
    pub consensus_key: PublicKey,
    /// The libp2p identity; signs batches.
    pub node_key: PublicKey,
    /// Receives shares and queries.
    pub kem_key: SealingPublic,
    /// [`Registration::digest`] of the registration that admitted it.
    pub registration: Digest,
    /// Time of the block that registered it, genesis time for a founder: from when its evidence ages.
    pub registered_ms: Millis,
}

impl ValidatorRecord {
    /// The seat of a validator that was registered at `registered_ms`.
    pub fn of(registration: &Registration, registered_ms: Millis) -> Self {
        Self {
            name: registration.name.clone(),
            consensus_key: registration.consensus_key,
            node_key: registration.node_key,
            kem_key: registration.kem_key.clone(),
            registration: registration.digest(),
            registered_ms,
        }
    }
}

/// Why an epoch began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum EpochReason {
    /// It is the first.
    Genesis,
    /// The one before had lasted `epoch_ms_max`.
    Schedule,
    /// A policy came into force.
    Policy,
    /// Machines were suspended.
    Suspension,
    /// The set before was kept although too few of it were acceptable, and enough are again.
    Recovery,
    /// Somebody joins, leaves, or comes with other keys.
    Membership,
}

impl EpochReason {
    /// The word for it, as interfaces write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Schedule => "schedule",
            Self::Policy => "policy",
            Self::Suspension => "suspension",
            Self::Recovery => "recovery",
            Self::Membership => "membership",
        }
    }
}

/// A registered validator without a seat, or one that waits to leave, and why.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Dropped {
    /// Its name.
    pub name: String,
    /// A row of [`crate::codes`].
    pub code: String,
}

/// Everything public about an epoch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct EpochRecord {
    /// Its number; genesis is 0.
    pub epoch: Epoch,
    /// Height of its first block.
    pub start_height: Height,
    /// Time of the closing block before it; genesis time for epoch 0.
    pub start_ms: Millis,
    /// The set, in the order of consensus indices.
    pub validators: Vec<ValidatorRecord>,
    /// What users seal to; none in epoch 0 alone.
    pub sealing_key: Option<SealingPublic>,
    /// Suite of the sealing key.
    pub suite: u8,
    /// Version of the policy in force.
    pub policy_version: u64,
    /// [`policy_digest`] of it.
    pub policy: Digest,
    /// Why it began.
    pub reason: EpochReason,
    /// [`crate::transcript`] of the contributions to its secret; zero for epoch 0.
    pub transcript: Digest,
    /// `now` of the verdicts that seated the set: time of the block that ended the epoch before; genesis time for
    /// epoch 0.
    pub judged_ms: Millis,
    /// [`collateral_digest`] of what they were judged with.
    pub collateral: Digest,
    /// The set before stayed whole, because too few of it were acceptable for a quorum. Whoever is to seal to it
    /// must know: wallets refuse.
    pub kept: bool,
    /// Who is registered and has no seat, in a kept set should have none, or asked to leave and must wait; by name.
    pub dropped: Vec<Dropped>,
    /// The version of the protocol by which the epoch's blocks are made and judged.
    pub protocol: u16,
    /// The key that blinds the state, wrapped under the epoch's secret; empty in epoch 0.
    pub state_keys: Vec<u8>,
    /// What recovery members need to bring the state back, where genesis names some; none in epoch 0.
    pub recovery: Option<RecoveryPackage>,
}

impl EpochRecord {
    /// Decodes one record of at most [`MAX_EPOCH_RECORD_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_EPOCH_RECORD_BYTES)
    }

    /// What `header.next_epoch` of the closing block before it carries.
    pub fn digest(&self) -> Digest {
        hash("epoch record", &[&encode(self)])
    }

    /// The set as consensus sees it.
    pub fn committee(&self) -> Committee {
        let members = self
            .validators
            .iter()
            .map(|validator| validator.consensus_key)
            .collect();
        Committee {
            epoch: self.epoch,
            members,
        }
    }

    /// A short name of the sealing key for people; none in epoch 0.
    pub fn key_id(&self) -> Option<String> {
        self.sealing_key.as_ref().map(SealingPublic::key_id)
    }

    /// The KEM keys, in the order of the seats: whom contributions are dealt to.
    pub fn kem_keys(&self) -> Vec<SealingPublic> {
        self.validators
            .iter()
            .map(|validator| validator.kem_key.clone())
            .collect()
    }

    /// Checks what every record must satisfy by itself; the refusal names the field.
    pub fn check_shape(&self) -> Result<(), &'static str> {
        if self.validators.is_empty() || self.validators.len() > MAX_VALIDATORS {
            return Err("number of validators");
        }
        if self.suite != SUITE_XWING {
            return Err("suite");
        }
        match (&self.sealing_key, self.epoch) {
            (None, 0) => {}
            (Some(key), 1..) if key.check().is_ok() => {}
            _ => return Err("sealing key"),
        }
        if self
            .validators
            .iter()
            .any(|validator| !is_name(&validator.name, 1))
        {
            return Err("validator name");
        }
        let ill = |one: &Dropped| !is_name(&one.name, 1) || one.code.len() > MAX_CODE;
        if self.dropped.len() > MAX_REGISTERED || self.dropped.iter().any(ill) {
            return Err("dropped validators");
        }
        if self.state_keys.len() > MAX_WRAPPED_KEYS {
            return Err("state keys");
        }
        if self
            .recovery
            .as_ref()
            .is_some_and(|package| !package.is_well_formed())
        {
            return Err("recovery package");
        }
        if !self.committee().is_well_formed() {
            return Err("consensus keys");
        }
        Ok(())
    }
}

/// Longest wrapped state keys, in bytes.
const MAX_WRAPPED_KEYS: usize = 256;
/// Longest error code, in bytes.
const MAX_CODE: usize = 40;

/// The digest by which records name what evidence was judged with.
pub fn collateral_digest(collateral: &Collateral) -> Digest {
    Digest(collateral.digest())
}

/// The digest by which records name a policy.
pub fn policy_digest(policy: &Policy) -> Digest {
    hash("policy", &[&encode(policy)])
}
