//! The validators of one epoch, in their order.

use crate::limits::MAX_VALIDATORS;
use crate::planted;
use crate::types::{Epoch, PublicKey, View};
use borsh::{BorshDeserialize, BorshSerialize};

/// The validator set of an epoch. A validator's index in `members` is its name in votes and certificates.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Committee {
    /// The epoch that this set serves.
    pub epoch: Epoch,
    /// Consensus keys, distinct, 1 to [`MAX_VALIDATORS`] of them.
    pub members: Vec<PublicKey>,
}

impl Committee {
    /// Number of validators.
    pub fn n(&self) -> usize {
        self.members.len()
    }

    /// Most validators that may be faulty: the largest f with 3f + 1 <= n.
    pub fn f(&self) -> usize {
        self.n().saturating_sub(1) / 3
    }

    /// Votes that make a certificate. Any two quorums share an honest validator: 2(n - f) - n > f.
    pub fn quorum(&self) -> usize {
        if planted::has("quorum_off_by_one") {
            return self.n().saturating_sub(self.f() + 1).max(1);
        }
        // Never 0, so that an empty set certifies nothing.
        (self.n() - self.f()).max(1)
    }

    /// True when the set has members, not too many, and none twice.
    pub fn is_well_formed(&self) -> bool {
        let distinct: std::collections::BTreeSet<_> = self.members.iter().collect();
        (1..=MAX_VALIDATORS).contains(&self.n()) && distinct.len() == self.n()
    }

    /// A validator's key, if the index exists.
    pub fn key(&self, index: u16) -> Option<&PublicKey> {
        self.members.get(usize::from(index))
    }

    /// A key's index, if it is a member.
    pub fn index_of(&self, key: &PublicKey) -> Option<u16> {
        self.members
            .iter()
            .position(|member| member == key)
            .and_then(|index| u16::try_from(index).ok())
    }

    /// The leader of a view: round robin, shifted by the epoch. An empty set answers 0.
    pub fn leader(&self, view: View) -> u16 {
        let n = self.n().max(1) as u64;
        // Reduced before the sum, so that a view from outside cannot overflow.
        ((view % n + self.epoch % n) % n) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_overlap_in_an_honest_validator_at_every_size() {
        for n in 1..=MAX_VALIDATORS {
            let members = (0..n).map(|i| PublicKey([i as u8; 32])).collect();
            let committee = Committee { epoch: 1, members };
            assert!(2 * committee.quorum() - n > committee.f(), "n = {n}");
            assert!(committee.quorum() + committee.f() <= n, "n = {n}");
            assert!(usize::from(committee.leader(u64::MAX)) < n);
        }
    }
}
