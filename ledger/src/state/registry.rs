//! What ordinary system transactions change: registrations, policies and proposals, suspensions, convictions,
//! collateral.
//!
//! A block's transactions are played one after the other on a copy; the block counts only if all of them do (S3).
//! Proposals, approvals and suspensions are in `ballot.rs`; registering, leaving and convictions in `members.rs`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{
    ChipId, Collateral, CollateralNeeds, CollateralUpdate, Policy, Suspension, TrustRoots, Vendor,
};
use tacit_consensus::{Digest, Epoch, Height, Millis, PublicKey, hash};

use crate::{
    codec::encode,
    epoch::{EpochRecord, ValidatorRecord, collateral_digest, policy_digest},
    genesis::Params,
    governance::{Governance, PolicyProposal},
    limits::{MAX_POLICIES_KEPT, RECENT_BLOCKS},
    refusal::SystemRefusal,
    registration::Registration,
    state::{public::PublicEntry, seats::Bench, tree::LeafWrite, verdicts::Verdicts},
    system::SystemTx,
};

/// What genesis fixes for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) chain: Digest,
    pub(crate) params: Params,
    pub(crate) trust: TrustRoots,
    pub(crate) governance: Governance,
    /// Of `trust`, for the keys of verdicts.
    pub(crate) trust_digest: Digest,
}

impl Fixed {
    pub(crate) fn new(chain: Digest, params: Params, trust: TrustRoots, governance: Governance) -> Self {
        let trust_digest = hash("trust roots", &[&encode(&trust)]);
        Self {
            chain,
            params,
            trust,
            governance,
            trust_digest,
        }
    }

    pub(crate) fn leaf(&self) -> Digest {
        let constants = (&self.params, &self.trust, &self.governance);
        hash("constants", &[&self.chain.0, &encode(&constants)])
    }
}

/// A validator in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// As it was brought.
    pub registration: Registration,
    /// The block that took it in; 0 for a founder.
    pub height: Height,
    /// Its chip as verified then; none for a founder of a genesis that was not verified.
    pub chip: Option<(Vendor, ChipId)>,
    /// The seat that it gives, with the time of that block.
    pub seat: ValidatorRecord,
}

impl Registered {
    pub(crate) fn new(
        registration: Registration,
        height: Height,
        time_ms: Millis,
        chip: Option<(Vendor, ChipId)>,
    ) -> Self {
        let seat = ValidatorRecord::of(&registration, time_ms);
        Self {
            registration,
            height,
            chip,
            seat,
        }
    }

    fn leaf(&self) -> Digest {
        let place = (self.seat.registered_ms, self.height, self.chip);
        hash("registered", &[&self.seat.registration.0, &encode(&place)])
    }
}

/// A policy that members adopted, or that of genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdoptedPolicy {
    /// The policy.
    pub policy: Policy,
    /// [`policy_digest`] of it.
    pub digest: Digest,
    /// How it was adopted; none for that of genesis.
    pub adoption: Option<Adoption>,
    /// From which block time on the epoch ends for it.
    pub active_from_ms: Millis,
    /// Suspensions that end with it.
    pub reinstate: Vec<Suspension>,
    /// Whether it may leave fewer than a quorum of seats, at the turn that brings it.
    pub allow_below_quorum: bool,
    /// The version of the protocol that comes into force with it.
    pub protocol: u16,
}

/// When and by whom a policy was adopted.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Adoption {
    /// [`PolicyProposal::id`].
    pub proposal: Digest,
    /// Places of the members who approved, the proposer among them, in ascending order.
    pub approvals: Vec<u16>,
    /// The block with the last approval.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
}

impl AdoptedPolicy {
    pub(crate) fn genesis(policy: Policy, protocol: u16, time_ms: Millis) -> Self {
        Self {
            digest: policy_digest(&policy),
            policy,
            adoption: None,
            active_from_ms: time_ms,
            reinstate: Vec::new(),
            allow_below_quorum: false,
            protocol,
        }
    }

    fn leaf(&self) -> Digest {
        let terms = (
            &self.adoption,
            self.active_from_ms,
            &self.reinstate,
            self.allow_below_quorum,
            self.protocol,
        );
        hash("adopted policy", &[&self.digest.0, &encode(&terms)])
    }
}

/// A proposal that waits for approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenProposal {
    /// [`PolicyProposal::id`].
    pub id: Digest,
    /// As it was brought.
    pub proposal: PolicyProposal,
    /// The block that took it in.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
    /// Places of the members who approved, the proposer among them.
    pub approvals: BTreeSet<u16>,
}

impl OpenProposal {
    fn leaf(&self) -> Digest {
        let rest = (
            &self.proposal.signature,
            self.height,
            self.time_ms,
            &self.approvals,
        );
        hash("open proposal", &[&self.id.0, &encode(&rest)])
    }
}

/// Since when machines or a validator are suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Suspended {
    /// The epoch whose validators decided it; it ended for it.
    pub epoch: Epoch,
    /// The block with the last vote.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
}

/// A validator whose operator asked to leave. It goes when an epoch ends, in the order of asking, as long as a quorum of
/// the seats stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Leaving {
    /// Higher than that of everybody who asked before and has not gone.
    pub number: u64,
    /// The block with the request.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
}

/// A consensus key that signed what no honest one signs: it never gets a seat again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Convicted {
    /// The epoch in which it did.
    pub epoch: Epoch,
    /// The block with the proof.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
}

/// What ordinary transactions change. Cloning shares what is large.
#[derive(Clone)]
pub(crate) struct Registry {
    pub(crate) registered: BTreeMap<String, Arc<Registered>>,
    /// By version: some before the one in force, it, and those to come.
    pub(crate) policies: BTreeMap<u64, Arc<AdoptedPolicy>>,
    pub(crate) in_force: Arc<AdoptedPolicy>,
    /// By member.
    pub(crate) proposals: BTreeMap<u16, Arc<OpenProposal>>,
    pub(crate) suspensions: BTreeMap<Suspension, Suspended>,
    /// Seats of the current epoch that voted, by target.
    pub(crate) votes: BTreeMap<Suspension, BTreeSet<u16>>,
    pub(crate) collateral: Arc<Collateral>,
    pub(crate) collateral_digest: Digest,
    /// A kept set could be replaced as of the newest block that changed something.
    pub(crate) recovery: bool,
    /// By name. Who has gone stays listed as long as the registry has the name.
    pub(crate) leaving: BTreeMap<String, Leaving>,
    /// By consensus key.
    pub(crate) convicted: BTreeMap<PublicKey, Convicted>,
    /// Somebody would come in or go, if the epoch ended, as of the newest block that asked for it or of its beginning.
    pub(crate) membership: bool,
}

/// The block in which transactions are played.
pub(crate) struct Scene<'a> {
    pub(crate) fixed: &'a Fixed,
    pub(crate) current: &'a EpochRecord,
    pub(crate) records: &'a BTreeMap<Epoch, Arc<EpochRecord>>,
    pub(crate) recent: &'a RecentBlocks,
    pub(crate) verdicts: &'a Verdicts,
    pub(crate) height: Height,
    pub(crate) time_ms: Millis,
}

/// Ids of the newest blocks: those of heights `first` upwards, without a gap. Known to everybody who has the chain (each
/// header names its parent), so no entry of the tree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct RecentBlocks {
    first: Height,
    ids: VecDeque<Digest>,
}

impl RecentBlocks {
    /// Height 0 counts as the block whose id is the chain's.
    pub(crate) fn genesis(chain: Digest) -> Self {
        Self {
            first: 0,
            ids: VecDeque::from([chain]),
        }
    }

    pub(crate) fn push(&mut self, id: Digest) {
        self.ids.push_back(id);
        if self.ids.len() as u64 > RECENT_BLOCKS {
            self.ids.pop_front();
            self.first += 1;
        }
    }

    pub(crate) fn first(&self) -> Height {
        self.first
    }

    pub(crate) fn newest(&self) -> Height {
        (self.first + self.ids.len() as u64).saturating_sub(1)
    }

    pub(crate) fn get(&self, height: Height) -> Option<&Digest> {
        let place = height.checked_sub(self.first)?;
        self.ids.get(usize::try_from(place).ok()?)
    }
}

impl Registry {
    /// S3: one transaction on the state that those before it left. On a refusal nothing has changed.
    pub(crate) fn play(&mut self, tx: &SystemTx, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        match tx {
            SystemTx::Collateral(update) => self.take_collateral(update, scene),
            SystemTx::Propose(proposal) => self.propose(proposal, scene),
            SystemTx::Approve(approval) => self.approve(approval, scene),
            SystemTx::Suspend(vote) => self.vote(vote, scene),
            SystemTx::Register(registration) => self.register(registration, scene),
            SystemTx::Leave(request) => self.leave(request, scene),
            SystemTx::Convict(proof) => self.convict(proof, scene),
            SystemTx::EndEpoch { .. } | SystemTx::Contribute(_) | SystemTx::CloseEpoch(_) => {
                Err(SystemRefusal::NotOrdinary { kind: tx.kind() })
            }
        }
    }

    pub(crate) fn bench<'a>(&'a self, scene: &Scene<'a>) -> Bench<'a> {
        Bench {
            fixed: scene.fixed,
            registry: self,
            current: scene.current,
            verdicts: scene.verdicts,
            now_ms: scene.time_ms,
        }
    }

    /// The newest policy whose time has come by `now_ms`.
    pub(crate) fn due(&self, now_ms: Millis) -> &AdoptedPolicy {
        let mut newest_first = self.pending().rev();
        newest_first
            .find(|policy| policy.active_from_ms <= now_ms)
            .unwrap_or(&self.in_force)
    }

    /// Adopted policies that are not in force yet, by version.
    pub(crate) fn pending(&self) -> impl DoubleEndedIterator<Item = &AdoptedPolicy> {
        let after = self.in_force.policy.version.saturating_add(1);
        self.policies.range(after..).map(|(_, policy)| &**policy)
    }

    /// Version of the newest adopted policy.
    pub(crate) fn newest_version(&self) -> u64 {
        let newest = self.policies.keys().next_back();
        newest.copied().unwrap_or(self.in_force.policy.version)
    }

    /// The protocol of the newest adopted policy.
    pub(crate) fn newest_protocol(&self) -> u16 {
        let newest = self.policies.values().next_back();
        newest.map_or(self.in_force.protocol, |policy| policy.protocol)
    }

    /// S4.
    fn take_collateral(&mut self, update: &CollateralUpdate, scene: &Scene<'_>) -> Result<(), SystemRefusal> {
        let mut collateral = Collateral::clone(&self.collateral);
        // Strangers may fill the house, but not keep out what this network's machines need.
        let evidence = self.registered.values().map(|one| &one.registration.evidence);
        collateral
            .apply_for(update.clone(), &scene.fixed.trust, scene.time_ms, || {
                CollateralNeeds::of(evidence)
            })
            .map_err(SystemRefusal::Collateral)?;
        self.collateral_digest = collateral_digest(&collateral);
        self.collateral = Arc::new(collateral);
        Ok(())
    }

    /// The turn of an epoch: the policy comes into force, with it its reinstatements; votes do not outlive an epoch.
    pub(crate) fn turn(&mut self, version: u64) {
        if version != self.in_force.policy.version
            && let Some(policy) = self.policies.get(&version)
        {
            self.in_force = policy.clone();
            self.suspensions
                .retain(|target, _| !policy.reinstate.contains(target));
        }
        while self.policies.len() > MAX_POLICIES_KEPT
            && let Some(oldest) = self.policies.first_entry()
            && *oldest.key() < version
        {
            oldest.remove();
        }
        self.votes.clear();
        self.recovery = false;
    }

    /// Every entry with its leaf.
    pub(crate) fn leaves(&self) -> BTreeMap<[u8; 32], Digest> {
        let registered = self
            .registered
            .values()
            .map(|one| (PublicEntry::Registration(one.seat.name.clone()), one.leaf()));
        let policies = self
            .policies
            .values()
            .map(|one| (PublicEntry::PolicyVersion(one.policy.version), one.leaf()));
        let proposals = self
            .proposals
            .iter()
            .map(|(member, one)| (PublicEntry::Proposal(*member), one.leaf()));
        let suspensions = self.suspensions.iter().map(|(target, since)| {
            let leaf = hash("suspended", &[&encode(since)]);
            (PublicEntry::Suspension(*target), leaf)
        });
        let votes = self.votes.iter().map(|(target, seats)| {
            let leaf = hash("suspend votes", &[&encode(seats)]);
            (PublicEntry::SuspendVotes(*target), leaf)
        });
        let single = [
            (PublicEntry::Policy, self.in_force.digest),
            (PublicEntry::Collateral, self.collateral_digest),
        ];
        let leaving = self.leaving.iter().map(|(name, one)| {
            let leaf = hash("leaving", &[&encode(one)]);
            (PublicEntry::Leaving(name.clone()), leaf)
        });
        let convicted = self.convicted.iter().map(|(key, one)| {
            let leaf = hash("convicted", &[&encode(one)]);
            (PublicEntry::Convicted(*key), leaf)
        });
        let recovery = self
            .recovery
            .then(|| (PublicEntry::Recovery, hash("recovery", &[])));
        let membership = self
            .membership
            .then(|| (PublicEntry::Membership, hash("membership", &[])));
        registered
            .chain(policies)
            .chain(proposals)
            .chain(suspensions)
            .chain(votes)
            .chain(single)
            .chain(recovery)
            .chain(leaving)
            .chain(convicted)
            .chain(membership)
            .map(|(entry, leaf)| (entry.tree_key(), leaf))
            .collect()
    }
}

/// What leads from one set of leaves to another.
pub(crate) fn difference(
    before: &BTreeMap<[u8; 32], Digest>,
    after: &BTreeMap<[u8; 32], Digest>,
) -> Vec<LeafWrite> {
    let gone = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (*key, None));
    let new = after.iter().filter(|(key, leaf)| before.get(*key) != Some(leaf));
    gone.chain(new.map(|(key, leaf)| (*key, Some(*leaf)))).collect()
}
