//! Proposals, approvals and suspensions: how signed statements of members and validators come into force.

use std::{collections::BTreeSet, sync::Arc};

use tacit_attest::{Change, Policy, Suspension};
use tacit_consensus::{Digest, Millis};

use crate::{
    epoch::policy_digest,
    governance::{Governance, GovernanceMember, PolicyApproval, PolicyProposal, SuspendVote},
    limits::{MAX_POLICIES_KEPT, MAX_REINSTATED, MAX_SUSPEND_VOTES, MAX_SUSPENSIONS},
    refusal::SystemRefusal,
    state::{
        registry::{AdoptedPolicy, Adoption, OpenProposal, Registry, Scene, Suspended},
        seats::{Terms, quorum},
    },
};

impl Registry {
    /// S5.
    pub(crate) fn propose(
        &mut self,
        proposal: &PolicyProposal,
        scene: &Scene<'_>,
    ) -> Result<(), SystemRefusal> {
        let governance = &scene.fixed.governance;
        let member = authorised(governance, proposal.member, &proposal.chain, &scene.fixed.chain)?;
        let newest = self.newest_version();
        let (have, need) = (proposal.policy.version, newest.saturating_add(1));
        if have != need || have == newest {
            return Err(SystemRefusal::Version { have, need });
        }
        let (have, min) = (proposal.protocol, self.newest_protocol());
        if have < min {
            return Err(SystemRefusal::ProtocolBack { have, min });
        }
        let id = proposal.id();
        if let Some(open) = self.proposals.get(&proposal.member) {
            if open.id == id {
                return Err(SystemRefusal::ProposalKnown { id });
            }
            if proposal.sequence <= open.proposal.sequence {
                return Err(SystemRefusal::Sequence {
                    member: proposal.member,
                    have: proposal.sequence,
                    open: open.proposal.sequence,
                });
            }
        }
        proposal
            .verify(&member.account)
            .map_err(|source| SystemRefusal::MemberSignature {
                member: proposal.member,
                source,
            })?;
        proposal.policy.validate().map_err(SystemRefusal::Policy)?;
        self.check_reinstate(&proposal.reinstate)?;
        self.check_effect(proposal, scene)?;
        let open = OpenProposal {
            id,
            proposal: proposal.clone(),
            height: scene.height,
            time_ms: scene.time_ms,
            approvals: BTreeSet::from([proposal.member]),
        };
        if open.approvals.len() >= usize::from(governance.threshold) {
            return self.adopt(&open, scene);
        }
        self.proposals.insert(proposal.member, Arc::new(open));
        Ok(())
    }

    /// S6.
    pub(crate) fn approve(
        &mut self,
        approval: &PolicyApproval,
        scene: &Scene<'_>,
    ) -> Result<(), SystemRefusal> {
        let governance = &scene.fixed.governance;
        let member = authorised(governance, approval.member, &approval.chain, &scene.fixed.chain)?;
        let id = approval.proposal;
        let open = self.proposals.values().find(|open| open.id == id);
        let open = open.ok_or(SystemRefusal::ProposalUnknown { id })?;
        if open.approvals.contains(&approval.member) {
            let member = approval.member;
            return Err(SystemRefusal::ApprovedAlready { member, id });
        }
        approval
            .verify(&member.account)
            .map_err(|source| SystemRefusal::MemberSignature {
                member: approval.member,
                source,
            })?;
        let mut open = OpenProposal::clone(open);
        open.approvals.insert(approval.member);
        if open.approvals.len() >= usize::from(governance.threshold) {
            self.check_effect(&open.proposal, scene)?;
            return self.adopt(&open, scene);
        }
        self.proposals.insert(open.proposal.member, Arc::new(open));
        Ok(())
    }

    /// S7.
    pub(crate) fn vote(&mut self, vote: &SuspendVote, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let (have, need) = (vote.chain, scene.fixed.chain);
        if have != need {
            return Err(SystemRefusal::OtherChain { have, need });
        }
        let (have, need) = (vote.epoch, scene.current.epoch);
        if have != need {
            return Err(SystemRefusal::VoteEpoch { have, need });
        }
        let (validator, target) = (vote.validator, vote.target);
        let seats = scene.current.validators.len();
        let seat = scene.current.validators.get(usize::from(validator));
        let seat = seat.ok_or(SystemRefusal::VoteSeat {
            have: validator,
            seats,
        })?;
        if self.suspensions.contains_key(&target) {
            return Err(SystemRefusal::Suspended { target });
        }
        let voted = |voters: &BTreeSet<u16>| voters.contains(&validator);
        if self.votes.get(&target).is_some_and(voted) {
            return Err(SystemRefusal::VotedAlready { validator, target });
        }
        let max = MAX_SUSPEND_VOTES;
        if self.votes.values().filter(|voters| voted(voters)).count() >= max {
            return Err(SystemRefusal::TooManyVotes { validator, max });
        }
        if self.suspensions.len() >= MAX_SUSPENSIONS {
            let max = MAX_SUSPENSIONS;
            return Err(SystemRefusal::TooManySuspensions { max });
        }
        if !vote.is_signed_by(&seat.node_key) {
            return Err(SystemRefusal::VoteSignature { validator });
        }
        let voters = self.votes.entry(target).or_default();
        voters.insert(validator);
        if voters.len() >= quorum(seats) {
            self.votes.remove(&target);
            let since = Suspended {
                epoch: scene.current.epoch,
                height: scene.height,
                time_ms: scene.time_ms,
            };
            self.suspensions.insert(target, since);
        }
        Ok(())
    }

    fn check_reinstate(&self, targets: &[Suspension]) -> Result<(), SystemRefusal> {
        let (have, max) = (targets.len(), MAX_REINSTATED);
        if have > max || !targets.is_sorted_by(|a, b| a < b) {
            return Err(SystemRefusal::Reinstate { have, max });
        }
        match targets
            .iter()
            .find(|target| !self.suspensions.contains_key(*target))
        {
            Some(target) => Err(SystemRefusal::NotSuspended { target: *target }),
            None => Ok(()),
        }
    }

    /// S9: how many of the current seats the policy would accept now.
    fn check_effect(&self, proposal: &PolicyProposal, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let terms = Terms {
            policy: &proposal.policy,
            digest: policy_digest(&proposal.policy),
            reinstate: &proposal.reinstate,
            protocol: proposal.protocol,
        };
        let acceptable = self.bench(scene).acceptable(&terms).staying();
        let seats = scene.current.validators.len();
        let quorum = quorum(seats);
        if acceptable == 0 {
            return Err(SystemRefusal::NobodyLeft { seats });
        }
        if acceptable < quorum && !proposal.allow_below_quorum {
            return Err(SystemRefusal::BelowQuorum {
                acceptable,
                seats,
                quorum,
            });
        }
        Ok(())
    }

    /// S9: from when on the policy is due, and what it makes void.
    fn adopt(&mut self, open: &OpenProposal, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let PolicyProposal {
            policy,
            protocol,
            reinstate,
            allow_below_quorum,
            ..
        } = &open.proposal;
        let active_from_ms = active_from(&self.in_force, &open.proposal, scene.time_ms);
        // A newer policy that comes earlier takes the place of those that would come later.
        let in_force = self.in_force.policy.version;
        let mut policies = self.policies.clone();
        policies.retain(|version, one| *version <= in_force || one.active_from_ms < active_from_ms);
        let pending = policies.keys().filter(|version| **version > in_force).count();
        if pending + 1 >= MAX_POLICIES_KEPT {
            let max = pending;
            return Err(SystemRefusal::PoliciesPending { max });
        }
        let adopted = AdoptedPolicy {
            digest: policy_digest(policy),
            policy: policy.clone(),
            adoption: Some(Adoption {
                proposal: open.id,
                approvals: open.approvals.iter().copied().collect(),
                height: scene.height,
                time_ms: scene.time_ms,
            }),
            active_from_ms,
            reinstate: reinstate.clone(),
            allow_below_quorum: *allow_below_quorum,
            protocol: *protocol,
        };
        policies.insert(policy.version, Arc::new(adopted));
        self.policies = policies;
        self.proposals.clear();
        Ok(())
    }
}

/// S5, S6: the member, if the statement is of this network and there is such a member.
fn authorised<'a>(
    governance: &'a Governance,
    member: u16,
    chain: &Digest,
    need: &Digest,
) -> Result<&'a GovernanceMember, SystemRefusal> {
    if governance.members.is_empty() {
        return Err(SystemRefusal::Frozen);
    }
    if chain != need {
        return Err(SystemRefusal::OtherChain {
            have: *chain,
            need: *need,
        });
    }
    governance.member(member).ok_or(SystemRefusal::NotAMember {
        have: member,
        members: governance.members.len(),
    })
}

/// S9: a change that only admits less is due at once, every other one after the delay of the policy in force. So is
/// another protocol: who runs an older build is to hear of it in time.
fn active_from(old: &AdoptedPolicy, new: &PolicyProposal, now_ms: Millis) -> Millis {
    let loosens = !new.reinstate.is_empty()
        || new.protocol != old.protocol
        || Policy::compare(&old.policy, &new.policy) == Change::Loosens;
    if loosens {
        now_ms.saturating_add(old.policy.loosening_delay_ms)
    } else {
        now_ms
    }
}
