//! A member's share on its way to the nodes that begin a network anew: sealed once more, to each founder's attested key,
//! and bound to that network. Nobody but the founders' TEEs opens it.

use borsh::{BorshDeserialize, BorshSerialize};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use tacit_consensus::{Digest, Epoch};

use super::{RecoveryError, RecoveryPackage, RecoveryScope, RecoveryShare, sharing::Pair};
use crate::{
    codec::encode,
    json::hex_vecs,
    limits::MAX_VALIDATORS,
    sealing::{SealingPublic, SealingSecret, open_from, seal_to},
};

/// Version of the file.
const VERSION: u16 = 1;
/// Longest file of a released share that is read, in bytes: [`MAX_VALIDATORS`] shares in hex.
pub const MAX_RELEASED_SHARE_BYTES: usize = 1024 * 1024;

/// One member's share of one epoch of the old network, for every founder of the new one.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasedShare {
    /// 1, so far.
    pub version: u16,
    /// The network whose state is brought back.
    pub chain: Digest,
    /// The epoch whose state keys are shared.
    pub epoch: Epoch,
    /// The place of the member among the old network's recovery members.
    pub member: u16,
    /// The new network, to which alone it is released.
    pub network: Digest,
    /// One a founder of the new network in the order of seats.
    #[serde(with = "hex_vecs")]
    pub sealed: Vec<Vec<u8>>,
}

impl ReleasedShare {
    /// Reads the file.
    ///
    /// # Errors
    /// [`RecoveryError::Released`] when it is too long, or not one.
    pub fn from_json(text: &str) -> Result<Self, RecoveryError> {
        let damaged = |reason: String| RecoveryError::Released { reason };
        if text.len() > MAX_RELEASED_SHARE_BYTES {
            let have = text.len();
            return Err(damaged(format!(
                "{have} bytes, at most {MAX_RELEASED_SHARE_BYTES} are read"
            )));
        }
        let share: Self = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        match share.version {
            VERSION => Ok(share),
            other => Err(damaged(format!(
                "its version is {other}, this release reads {VERSION}"
            ))),
        }
    }

    /// The file.
    ///
    /// # Panics
    /// Never: all keys are strings and writing to memory does not fail.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a released share can be written");
        text.push('\n');
        text
    }

    /// Opens the part for founder `seat` and checks it: it is released to `network`, it is of the scope's epoch, and it
    /// fits the commitments.
    ///
    /// # Errors
    /// By the member's name: [`RecoveryError::OtherNetwork`], [`RecoveryError::NotReleased`], and those of
    /// [`RecoveryScope::check`].
    pub fn open(
        &self,
        scope: &RecoveryScope<'_>,
        package: &RecoveryPackage,
        network: &Digest,
        seat: u16,
        kem: &SealingSecret,
    ) -> Result<RecoveryShare, RecoveryError> {
        let name = || scope.members.name(self.member);
        if self.network != *network {
            return Err(RecoveryError::OtherNetwork {
                name: name(),
                have: self.network,
                need: *network,
            });
        }
        let mut share = RecoveryShare {
            chain: self.chain,
            epoch: self.epoch,
            member: self.member,
            pair: Pair::ZERO,
        };
        // What it says of itself first: a share of another epoch or network is named as that.
        scope.check_place(&share)?;
        let not_released = || RecoveryError::NotReleased { name: name() };
        let sealed = self.sealed.get(usize::from(seat)).ok_or_else(not_released)?;
        let plain = open_from(kem, &info(network, seat), &self.aad(), sealed).map_err(|_| not_released())?;
        share.pair = Pair::from_bytes(&plain).ok_or_else(|| RecoveryError::Commitment { name: name() })?;
        scope.check(package, &share)?;
        Ok(share)
    }

    /// What it says of itself: authenticated with each part.
    fn aad(&self) -> Vec<u8> {
        encode(&(self.version, &self.chain, self.epoch, self.member))
    }
}

impl RecoveryShare {
    /// Seals this share to the founders of `network`, whose evidence the caller has verified, in the order of seats.
    ///
    /// # Errors
    /// [`RecoveryError::Released`] when there are none or too many, or when one has no key that can be sealed to.
    pub fn release(
        &self,
        rng: &mut impl CryptoRng,
        network: &Digest,
        founders: &[SealingPublic],
    ) -> Result<ReleasedShare, RecoveryError> {
        let refused = |reason: String| RecoveryError::Released { reason };
        if founders.is_empty() || founders.len() > MAX_VALIDATORS {
            return Err(refused(format!(
                "{} founders, must be 1 to {MAX_VALIDATORS}",
                founders.len()
            )));
        }
        let mut released = ReleasedShare {
            version: VERSION,
            chain: self.chain,
            epoch: self.epoch,
            member: self.member,
            network: *network,
            sealed: Vec::with_capacity(founders.len()),
        };
        let (aad, plain) = (released.aad(), self.pair.to_bytes());
        for (seat, key) in (0u16..).zip(founders) {
            let sealed = seal_to(rng, key, &info(network, seat), &aad, &plain[..])
                .map_err(|error| refused(format!("founder {seat}: {error}")))?;
            released.sealed.push(sealed);
        }
        Ok(released)
    }
}

fn info(network: &Digest, seat: u16) -> Vec<u8> {
    [
        &b"tacit 2026 recovery release"[..],
        &network.0,
        &seat.to_le_bytes(),
    ]
    .concat()
}
