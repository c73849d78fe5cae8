//! Epoch records: one validator set, one sealing key, one policy. A closing block's header carries the digest
//! of the next record, so that a chain of records is certified set by set.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::Policy;
use tacit_consensus::{Committee, Digest, Epoch, Height, Millis, PublicKey, hash};

use crate::{
    codec::{decode, encode},
    envelope::SUITE_XWING,
    error::CodecError,
    limits::{MAX_EPOCH_RECORD_BYTES, MAX_VALIDATORS},
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
}

impl ValidatorRecord {
    /// The seat of a registered validator.
    pub fn of(registration: &Registration) -> Self {
        Self {
            name: registration.name.clone(),
            consensus_key: registration.consensus_key,
            node_key: registration.node_key,
            kem_key: registration.kem_key.clone(),
            registration: registration.digest(),
        }
    }
}

/// Why an epoch began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum EpochReason {
    /// It is the first.
    Genesis,
    /// The one before had lasted `epoch_ms_max` (or was the first, which has no key and ends at once).
    Schedule,
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
        if !self.committee().is_well_formed() {
            return Err("consensus keys");
        }
        Ok(())
    }
}

/// The digest by which records name a policy.
pub fn policy_digest(policy: &Policy) -> Digest {
    hash("policy", &[&encode(policy)])
}
