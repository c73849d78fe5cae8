//! Who may change the policy, and the signed statements that do: proposals and approvals by members, suspensions
//! by validators.
//!
//! ```text
//! member ──PolicyProposal──► open ──k approvals──► adopted ──active_from──► due ──the epoch ends──► in force
//! seat   ──SuspendVote─────► n - f votes ────────► suspended ─────────────► the epoch ends at once
//! ```
//! Each statement is signed under a domain of its own over the chain id, so that it counts nowhere else. Ids do not
//! cover signatures: a statement is the same whoever encodes it. The rules by which they count are S1 to S11 of
//! `docs/protocol.md`.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};
use tacit_attest::{Policy, Suspension};
use tacit_consensus::{Digest, Ed25519, Epoch, Scheme, Signature, Signer, hash};

use crate::{
    account::{AccountId, AccountKey, AccountSignature, SCHEME_BIP340},
    codec::encode,
    error::{GovernanceError, SignatureError},
    limits::MAX_MEMBERS,
    registration::is_name,
};

/// One who may propose and approve policies.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GovernanceMember {
    /// For people: 1 to 32 of `a-z 0-9 -`, unique among members.
    pub name: String,
    /// Signs.
    pub account: AccountId,
}

/// Who changes the policy: `threshold` of `members`. Without members the policy of genesis stays for ever.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// At most [`MAX_MEMBERS`], named by their place.
    pub members: Vec<GovernanceMember>,
    /// How many of them adopt a policy: 1 to all; 0 where there are none.
    pub threshold: u16,
}

impl Governance {
    /// Nobody: the policy is frozen.
    pub fn none() -> Self {
        Self::default()
    }

    /// Checks number and threshold, that names and accounts are well formed, and that none is listed twice.
    ///
    /// # Errors
    /// Names what is wrong: the fault of whoever wrote the genesis.
    pub fn check(&self) -> Result<(), GovernanceError> {
        let have = self.members.len();
        if have > MAX_MEMBERS {
            return Err(GovernanceError::Members {
                have,
                max: MAX_MEMBERS,
            });
        }
        let threshold = usize::from(self.threshold);
        if threshold > have || (threshold == 0) != (have == 0) {
            return Err(GovernanceError::Threshold {
                threshold: self.threshold,
                members: have,
            });
        }
        let (mut names, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for (index, GovernanceMember { name, account }) in self.members.iter().enumerate() {
            let refused = |what| GovernanceError::Member { index, what };
            if !is_name(name, 1) {
                return Err(refused(
                    "has a name that is not 1 to 32 characters of a-z, 0-9 and -",
                ));
            }
            if !account.is_valid() {
                return Err(refused("has an account that is no public key"));
            }
            if !names.insert(name) {
                return Err(refused("has the same name as another"));
            }
            if !accounts.insert(account) {
                return Err(refused("has the same account as another"));
            }
        }
        Ok(())
    }

    /// The place of the member whose account this is.
    pub fn index_of(&self, account: &AccountId) -> Option<u16> {
        let place = self.members.iter().position(|one| one.account == *account)?;
        u16::try_from(place).ok()
    }

    /// The member at a place.
    pub fn member(&self, index: u16) -> Option<&GovernanceMember> {
        self.members.get(usize::from(index))
    }
}

/// A member's wish for another policy; it counts as its proposer's approval.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PolicyProposal {
    /// The network.
    pub chain: Digest,
    /// The whole new policy; its version is that of the newest adopted policy plus one.
    pub policy: Policy,
    /// The version of the protocol that comes into force with it: not below that of the newest adopted policy.
    pub protocol: u16,
    /// Suspensions that end when the policy comes into force, in ascending order; at most
    /// [`crate::MAX_REINSTATED`].
    pub reinstate: Vec<Suspension>,
    /// Whether the policy may leave fewer than a quorum of the current seats acceptable, as long as one is.
    pub allow_below_quorum: bool,
    /// Higher than in the proposal by the same member that this one replaces: a clock's milliseconds will do. So an old
    /// proposal that somebody sends again does not push the newer one out.
    pub sequence: u64,
    /// The proposer's place among the members.
    pub member: u16,
    /// By the member's account over [`Self::id`].
    pub signature: AccountSignature,
}

impl PolicyProposal {
    /// Signs by BIP-340; `signature` as it stands does not matter. `aux` is fresh randomness.
    #[must_use]
    pub fn sign(mut self, key: &AccountKey, aux: [u8; 32]) -> Self {
        self.signature = key.sign(&self.id().0, aux);
        self
    }

    /// What the signature stands in before it is made.
    pub fn unsigned() -> AccountSignature {
        AccountSignature {
            scheme: SCHEME_BIP340,
            bytes: [0; 64],
        }
    }

    /// What the member signs and approvals name: a hash of all but the signature.
    pub fn id(&self) -> Digest {
        let content = (
            &self.policy,
            self.protocol,
            &self.reinstate,
            self.allow_below_quorum,
            self.sequence,
            self.member,
        );
        hash("policy proposal", &[&self.chain.0, &encode(&content)])
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// As [`AccountSignature::verify`].
    pub fn verify(&self, account: &AccountId) -> Result<(), SignatureError> {
        self.signature.verify(account, &self.id().0)
    }
}

/// Another member's approval of an open proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PolicyApproval {
    /// The network.
    pub chain: Digest,
    /// [`PolicyProposal::id`].
    pub proposal: Digest,
    /// The member's place.
    pub member: u16,
    /// By the member's account over [`Self::message`].
    pub signature: AccountSignature,
}

impl PolicyApproval {
    /// Makes and signs one by BIP-340. `aux` is fresh randomness.
    pub fn sign(chain: Digest, proposal: Digest, member: u16, key: &AccountKey, aux: [u8; 32]) -> Self {
        let mut approval = Self {
            chain,
            proposal,
            member,
            signature: PolicyProposal::unsigned(),
        };
        approval.signature = key.sign(&approval.message().0, aux);
        approval
    }

    /// What the member signs.
    pub fn message(&self) -> Digest {
        let parts: [&[u8]; 3] = [&self.chain.0, &self.proposal.0, &self.member.to_le_bytes()];
        hash("policy approval", &parts)
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// As [`AccountSignature::verify`].
    pub fn verify(&self, account: &AccountId) -> Result<(), SignatureError> {
        self.signature.verify(account, &self.message().0)
    }
}

/// A validator's vote to drop a group of machines at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SuspendVote {
    /// The network.
    pub chain: Digest,
    /// The epoch whose seat votes; votes do not outlive it.
    pub epoch: Epoch,
    /// Whom to drop.
    pub target: Suspension,
    /// The seat in the current set.
    pub validator: u16,
    /// By the seat's node key over [`Self::message`].
    pub signature: Signature,
}

impl SuspendVote {
    /// Makes and signs one with the validator's node key.
    pub fn sign(chain: Digest, epoch: Epoch, target: Suspension, validator: u16, node: &dyn Signer) -> Self {
        let mut vote = Self {
            chain,
            epoch,
            target,
            validator,
            signature: Signature([0; 64]),
        };
        vote.signature = node.sign(&vote.message().0);
        vote
    }

    /// What the node key signs.
    pub fn message(&self) -> Digest {
        let parts: [&[u8]; 4] = [
            &self.chain.0,
            &self.epoch.to_le_bytes(),
            &encode(&self.target),
            &self.validator.to_le_bytes(),
        ];
        hash("suspend", &parts)
    }

    /// Whether the seat's node key signed it.
    pub fn is_signed_by(&self, node_key: &tacit_consensus::PublicKey) -> bool {
        Ed25519.verify(node_key, &self.message().0, &self.signature)
    }
}
