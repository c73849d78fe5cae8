//! A member's part in changing the policy: proposals and approvals, signed with the account's key. They are public
//! transactions: nothing is sealed, and everybody sees who proposed and approved what.

use tacit_attest::{Policy, Suspension};
use tacit_ledger::{PolicyApproval, PolicyProposal};

use super::Wallet;
use crate::{entropy, error::Error};

impl Wallet {
    /// Signs a proposal of a whole policy, whose version must be that of the newest adopted one plus one, and of the
    /// version of the protocol that comes with it, not below the newest adopted one. It counts as this member's approval, and takes the place of a proposal that this member has open.
    ///
    /// # Errors
    /// [`Error::NotAMember`]: the genesis lists who may propose.
    pub fn propose(
        &mut self,
        policy: Policy,
        protocol: u16,
        reinstate: Vec<Suspension>,
        allow_below_quorum: bool,
    ) -> Result<PolicyProposal, Error> {
        let member = self.member()?;
        let proposal = PolicyProposal {
            chain: self.chain(),
            policy,
            protocol,
            reinstate,
            allow_below_quorum,
            sequence: (self.options.clock)(),
            member,
            signature: PolicyProposal::unsigned(),
        };
        let aux = entropy::bytes(&mut self.rng);
        Ok(proposal.sign(&self.key, aux))
    }

    /// Signs the approval of a proposal that the caller has read: its id covers all that it would change.
    ///
    /// # Errors
    /// [`Error::NotAMember`].
    pub fn approve(&mut self, proposal: &PolicyProposal) -> Result<PolicyApproval, Error> {
        let member = self.member()?;
        let aux = entropy::bytes(&mut self.rng);
        Ok(PolicyApproval::sign(
            self.chain(),
            proposal.id(),
            member,
            &self.key,
            aux,
        ))
    }

    /// This account's place among the members.
    fn member(&self) -> Result<u16, Error> {
        let governance = &self.trust.genesis().governance;
        governance
            .index_of(&self.account())
            .ok_or_else(|| Error::NotAMember {
                wallet: self.name.clone(),
                members: governance.members.iter().map(|one| one.name.clone()).collect(),
            })
    }
}
