//! Recovery by members, where genesis names them: k of n bring the newest state of a network back whose validators
//! have all lost their keys. What was sealed to its epochs stays closed.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use tacit_consensus::{Digest, Epoch, Height};

use crate::{amount::Amount, sealing::SealingPublic};

/// One who holds a share of the newest state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryMember {
    /// For people: 1 to 32 of `a-z 0-9 -`, unique among members.
    pub name: String,
    /// Shares are sealed to it.
    pub key: SealingPublic,
}

/// Who can bring the state back: `threshold` of `members`. Without members nobody can.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryMembers {
    /// At most [`crate::MAX_MEMBERS`], named by their place.
    pub members: Vec<RecoveryMember>,
    /// How many of them it takes: 1 to all; 0 where there are none.
    pub threshold: u16,
}

impl RecoveryMembers {
    /// Nobody: the state cannot be brought back.
    pub fn none() -> Self {
        Self::default()
    }
}

/// Of which chain a recovered one goes on, and from where.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The chain that was lost.
    pub chain: Digest,
    /// Its newest epoch.
    pub epoch: Epoch,
    /// Its newest block.
    pub height: Height,
    /// That block's id.
    pub block: Digest,
    /// The newest height whose execution a final header of it states.
    pub executed: Height,
    /// The private state's root after that height.
    pub private_root: Digest,
    /// The sum of all balances then.
    pub supply: Amount,
    /// Names the file of sealed state that the new validators start from.
    pub state: Digest,
}

/// An epoch's shares for the recovery members.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct RecoveryPackage {
    /// Commitments to the polynomial, the secret first: compressed points of secp256k1, 33 bytes each.
    pub commitments: Vec<Vec<u8>>,
    /// One sealed share a member, in their order.
    pub shares: Vec<Vec<u8>>,
    /// The keys of the epoch's state, under the key that the shares give.
    pub wrapped: Vec<u8>,
}
