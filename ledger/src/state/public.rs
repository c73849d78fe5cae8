//! The public state: who is registered, the epochs and their keys, policies and who changes them, collateral, and the
//! running end of an epoch.
//!
//! Everybody executes it, observers too. It is small and kept whole: it goes to disk as one value. Its root is
//! that of an authenticated map from the entries below to their digests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{Collateral, Policy, Suspension, TrustRoots};
use tacit_consensus::{Block, Committee, Digest, Epoch, Height, Millis, PublicKey, hash};

use crate::{
    codec::encode,
    epoch::{EpochRecord, ValidatorRecord},
    genesis::{Genesis, Params},
    governance::Governance,
    registration::Registration,
    state::{
        history::KEEP_VERSIONS,
        registry::{
            AdoptedPolicy, Convicted, Fixed, Leaving, OpenProposal, RecentBlocks, Registered, Registry,
            Scene, Suspended, difference,
        },
        seats::{Bench, Decision, Terms},
        tail::{Step, SystemError, Tail},
        tree::AuthenticatedMap,
        verdicts::Verdicts,
    },
};

/// The public state after one height. Cloning it shares registrations, records and remembered verdicts.
#[derive(Clone)]
pub struct PublicState {
    pub(crate) fixed: Arc<Fixed>,
    pub(crate) registry: Registry,
    pub(crate) records: BTreeMap<Epoch, Arc<EpochRecord>>,
    pub(crate) current: Arc<EpochRecord>,
    /// What the current set was judged by: later transactions change the registry, the bundle for light clients must
    /// not change with it.
    pub(crate) seated: Arc<Seated>,
    pub(crate) tail: Option<Arc<Tail>>,
    pub(crate) height: Height,
    pub(crate) recent: RecentBlocks,
    map: AuthenticatedMap,
    verdicts: Verdicts,
    decided: Decided,
}

/// What the current set's verdicts rest on: with the policy in force all that is needed to reach them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seated {
    /// The set's registrations, in the order of the seats.
    pub registrations: Vec<Arc<Registered>>,
    /// The collateral; its digest stands in the record.
    pub collateral: Arc<Collateral>,
}

/// The last decision asked for. A copy starts without.
#[derive(Default)]
struct Decided(Mutex<Option<Arc<Decision>>>);

impl Clone for Decided {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// An entry under the public root; its leaf is the digest named here.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum PublicEntry {
    /// A registered validator by name: `H("registered", Registration::digest, borsh(time, height, chip))`.
    Registration(String),
    /// An epoch: [`EpochRecord::digest`].
    Epoch(Epoch),
    /// The policy in force: [`crate::policy_digest`].
    Policy,
    /// The running end of an epoch, absent otherwise: `H("tail", borsh)`.
    Tail,
    /// All collateral held: [`crate::collateral_digest`].
    Collateral,
    /// An adopted policy by version: `H("adopted policy", digest, borsh(adoption, active from, reinstate, licence, protocol))`.
    PolicyVersion(u64),
    /// The open proposal of a member: `H("open proposal", id, borsh(signature, height, time, approvals))`.
    Proposal(u16),
    /// Suspended machines or a suspended validator: `H("suspended", borsh(since))`.
    Suspension(Suspension),
    /// Votes of this epoch to suspend machines: `H("suspend votes", borsh(seats))`.
    SuspendVotes(Suspension),
    /// A kept set can be replaced: `H("recovery")`, absent otherwise.
    Recovery,
    /// What genesis fixes for ever: `H("constants", borsh(chain, parameters, trust roots, governance))`.
    Constants,
    /// A validator that asked to leave, by name: `H("leaving", borsh(Leaving))`.
    Leaving(String),
    /// A consensus key that equivocated: `H("convicted", borsh(Convicted))`.
    Convicted(PublicKey),
    /// Somebody would come in or go if the epoch ended: `H("membership")`, absent otherwise.
    Membership,
}

impl PublicEntry {
    /// Where the entry stands in the tree.
    pub fn tree_key(&self) -> [u8; 32] {
        hash("public key", &[&encode(self)]).0
    }
}

impl PublicState {
    /// The state at height 0. The genesis was checked before: what does not pass is in it and gets no seat later.
    pub fn genesis(genesis: &Genesis) -> Self {
        Self::genesis_with(genesis, Verdicts::default())
    }

    /// The same, remembering verdicts where others do too: that verifies each founder's evidence but once.
    pub fn genesis_with(genesis: &Genesis, verdicts: Verdicts) -> Self {
        let chain = genesis.chain_id();
        let fixed = Fixed::new(
            chain,
            genesis.params,
            genesis.trust.clone(),
            genesis.governance.clone(),
        );
        let record = Arc::new(genesis.record0());
        let policy = Arc::new(AdoptedPolicy::genesis(
            genesis.policy.clone(),
            genesis.protocol,
            genesis.time_ms,
        ));
        let mut registry = Registry {
            registered: BTreeMap::new(),
            policies: BTreeMap::from([(policy.policy.version, policy.clone())]),
            in_force: policy.clone(),
            proposals: BTreeMap::new(),
            suspensions: BTreeMap::new(),
            votes: BTreeMap::new(),
            collateral: Arc::new(genesis.collateral().unwrap_or_default()),
            collateral_digest: record.collateral,
            recovery: false,
            leaving: BTreeMap::new(),
            convicted: BTreeMap::new(),
            membership: false,
        };
        let founders = genesis.validators.iter().map(|registration| {
            let bench = Bench {
                fixed: &fixed,
                registry: &registry,
                current: &record,
                verdicts: &verdicts,
                now_ms: genesis.time_ms,
            };
            let mut founder = Registered::new(registration.clone(), 0, genesis.time_ms, None);
            let verified = bench.verdict(&founder, &Terms::of(&policy)).ok();
            founder.chip = verified.map(|verified| (verified.vendor(), verified.chip));
            (registration.name.clone(), Arc::new(founder))
        });
        let founders = founders.collect();
        registry.registered = founders;
        Self::assemble(Parts {
            fixed,
            registry,
            records: BTreeMap::from([(0, record.clone())]),
            current: record,
            seated: None,
            tail: None,
            height: 0,
            recent: RecentBlocks::genesis(chain),
            verdicts,
        })
    }

    /// From now on it remembers verdicts where others do too.
    pub fn remember_with(&mut self, verdicts: Verdicts) {
        self.verdicts = verdicts;
    }

    /// Applies a committed block's system transactions, after checking them, and gives the root. On an error the
    /// state is as before: a quorum certified what the rules forbid, or this is another network's block; halt.
    pub fn apply(&mut self, block: &Block) -> Result<Digest, SystemError> {
        let (header, leader) = (&block.header, self.committee().leader(block.header.view));
        let Step {
            begin,
            contribution,
            close,
            registry,
        } = self.judge(header, &block.payload, leader)?;
        let before = (!block.payload.system.is_empty()).then(|| self.leaves());
        self.height = header.height;
        self.recent.push(header.id());
        self.decided = Decided::default();
        if let Some(registry) = registry {
            self.registry = registry;
        }
        if let Some((reason, decision)) = begin {
            self.tail = Some(Arc::new(Tail {
                since: header.height,
                reason,
                decision: Arc::unwrap_or_clone(decision),
                contributions: Vec::new(),
            }));
        }
        if let (Some(tail), Some(contribution)) = (&mut self.tail, contribution) {
            Arc::make_mut(tail).contributions.push(contribution);
        }
        let mut writes = Vec::new();
        if let Some(record) = close {
            writes.push((PublicEntry::Epoch(record.epoch).tree_key(), Some(record.digest())));
            self.registry.turn(record.policy_version);
            self.current = Arc::new(record);
            self.records.insert(self.current.epoch, self.current.clone());
            self.seated = Arc::new(Seated::of(&self.current, &self.registry, Some(&self.seated)));
            self.tail = None;
            self.registry.purge(&self.current, header.height, header.time_ms);
            let scene = self.scene(header.time_ms);
            self.registry.membership = self.registry.bench(&scene).membership_changes();
        }
        if let Some(before) = before {
            writes.extend(difference(&before, &self.leaves()));
        }
        let root = self.map.apply(header.height, &writes);
        self.map.prune((header.height + 1).saturating_sub(KEEP_VERSIONS));
        Ok(root)
    }

    /// The state that uncommitted blocks above this one lead to, oldest first.
    pub fn after<'a>(&self, blocks: impl IntoIterator<Item = &'a Block>) -> Result<Self, SystemError> {
        let mut state = self.clone();
        blocks
            .into_iter()
            .try_for_each(|block| state.apply(block).map(drop))?;
        Ok(state)
    }

    /// The root after `height`, one of the newest [`KEEP_VERSIONS`].
    pub fn root(&self, height: Height) -> Option<Digest> {
        if height > self.height {
            None
        } else {
            self.map.root(height)
        }
    }

    /// Proves an entry, or its absence, under [`Self::root`] of `height`; check it with
    /// [`verify_membership`](crate::verify_membership).
    pub fn prove(&self, height: Height, entry: &PublicEntry) -> Option<Vec<u8>> {
        if height > self.height {
            None
        } else {
            self.map.prove(height, entry.tree_key())
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Digest {
        &self.fixed.chain
    }

    /// The chain's constants.
    pub fn params(&self) -> &Params {
        &self.fixed.params
    }

    /// The network's class and simulator root.
    pub fn trust(&self) -> &TrustRoots {
        &self.fixed.trust
    }

    /// Who may change the policy.
    pub fn governance(&self) -> &Governance {
        &self.fixed.governance
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.registry.in_force.policy
    }

    /// The policy in force with its adoption.
    pub fn policy_in_force(&self) -> &AdoptedPolicy {
        &self.registry.in_force
    }

    /// Adopted policies that are kept, by version: some before the one in force, it, and those to come.
    pub fn policies(&self) -> impl DoubleEndedIterator<Item = &AdoptedPolicy> {
        self.registry.policies.values().map(AsRef::as_ref)
    }

    /// Adopted policies whose time has not come, or whose epoch has not begun yet; by version.
    pub fn policies_pending(&self) -> impl DoubleEndedIterator<Item = &AdoptedPolicy> {
        self.registry.pending()
    }

    /// The protocol version that an adopted policy brings beyond the one of this epoch, and from which block time on.
    pub fn next_protocol(&self) -> Option<(u16, Millis)> {
        let adopted = self.policies_pending().chain([self.policy_in_force()]);
        let mut newer = adopted.filter(|one| one.protocol != self.current().protocol);
        newer.next().map(|one| (one.protocol, one.active_from_ms))
    }

    /// The version that the next proposal must have.
    pub fn next_policy_version(&self) -> u64 {
        self.registry.newest_version().saturating_add(1)
    }

    /// Proposals that wait for approvals, by member.
    pub fn proposals(&self) -> impl Iterator<Item = &OpenProposal> {
        self.registry.proposals.values().map(AsRef::as_ref)
    }

    /// Suspended machines, and since when.
    pub fn suspensions(&self) -> impl Iterator<Item = (&Suspension, &Suspended)> {
        self.registry.suspensions.iter()
    }

    /// Seats of the current epoch that voted for suspensions which are not in force yet.
    pub fn suspend_votes(&self) -> impl Iterator<Item = (&Suspension, &BTreeSet<u16>)> {
        self.registry.votes.iter()
    }

    /// Who asked to leave, by name. Some have a seat still, some have gone.
    pub fn leaving(&self) -> impl Iterator<Item = (&str, &Leaving)> {
        self.registry
            .leaving
            .iter()
            .map(|(name, one)| (name.as_str(), one))
    }

    /// Consensus keys that equivocated.
    pub fn convicted(&self) -> impl Iterator<Item = (&PublicKey, &Convicted)> {
        self.registry.convicted.iter()
    }

    /// Whether the epoch is to end for somebody who comes or goes, as soon as it has lasted `epoch_ms_min`.
    pub fn membership_due(&self) -> bool {
        self.registry.membership
    }

    /// The collateral held.
    pub fn collateral(&self) -> &Collateral {
        &self.registry.collateral
    }

    /// What the current set was judged by, for light bundles.
    pub fn seated(&self) -> &Seated {
        &self.seated
    }

    /// The newest applied height.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The current epoch.
    pub fn current(&self) -> &EpochRecord {
        &self.current
    }

    /// The current set as consensus sees it.
    pub fn committee(&self) -> Committee {
        self.current.committee()
    }

    /// An epoch by its number.
    pub fn record(&self, epoch: Epoch) -> Option<&EpochRecord> {
        self.records.get(&epoch).map(AsRef::as_ref)
    }

    /// All epochs, the first one first.
    pub fn records(&self) -> impl Iterator<Item = &EpochRecord> {
        self.records.values().map(AsRef::as_ref)
    }

    /// A registered validator by name, with when it was registered.
    pub fn registered(&self, name: &str) -> Option<&Registered> {
        self.registry.registered.get(name).map(AsRef::as_ref)
    }

    /// A validator's newest registration by name.
    pub fn registration(&self, name: &str) -> Option<&Registration> {
        self.registered(name).map(|one| &one.registration)
    }

    /// All registered validators by name.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registry.registered.values().map(|one| &one.registration)
    }

    /// The id of a recent block: what evidence of a renewal may be bound to.
    pub fn block_id(&self, height: Height) -> Option<&Digest> {
        self.recent.get(height)
    }

    /// The running end of the epoch: since when, why, and the contributions so far.
    pub fn tail(&self) -> Option<&Tail> {
        self.tail.as_deref()
    }

    /// Whether the epoch is ending.
    pub fn is_ending(&self) -> bool {
        self.tail.is_some()
    }

    /// What the running tail decided about the next epoch; before it, what the block that follows this state at
    /// `time_ms` would decide if it ended the epoch.
    pub fn decision(&self, time_ms: Millis) -> Arc<Decision> {
        if let Some(tail) = self.tail() {
            return Arc::new(tail.decision.clone());
        }
        let mut decided = self.decided.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(decision) = decided.as_ref().filter(|one| one.judged_ms == time_ms) {
            return decision.clone();
        }
        let scene = self.scene(time_ms);
        let decision = Arc::new(self.registry.bench(&scene).decide());
        *decided = Some(decision.clone());
        decision
    }

    /// The block that follows this state at `time_ms`, as ordinary transactions see it.
    pub(crate) fn scene(&self, time_ms: Millis) -> Scene<'_> {
        Scene {
            fixed: &self.fixed,
            current: &self.current,
            records: &self.records,
            recent: &self.recent,
            verdicts: &self.verdicts,
            height: self.height.saturating_add(1),
            time_ms,
        }
    }

    pub(crate) fn assemble(parts: Parts) -> Self {
        let seated = parts
            .seated
            .unwrap_or_else(|| Seated::of(&parts.current, &parts.registry, None));
        let mut state = Self {
            fixed: Arc::new(parts.fixed),
            registry: parts.registry,
            records: parts.records,
            current: parts.current,
            seated: Arc::new(seated),
            tail: parts.tail.map(Arc::new),
            height: parts.height,
            recent: parts.recent,
            map: AuthenticatedMap::new(),
            verdicts: parts.verdicts,
            decided: Decided::default(),
        };
        let records = state
            .records()
            .map(|record| (PublicEntry::Epoch(record.epoch).tree_key(), Some(record.digest())));
        let rest = state.leaves().into_iter().map(|(key, leaf)| (key, Some(leaf)));
        let leaves: Vec<_> = records.chain(rest).collect();
        state.map.apply(state.height, &leaves);
        state
    }

    /// Every entry but the epochs, with its leaf.
    fn leaves(&self) -> BTreeMap<[u8; 32], Digest> {
        let mut leaves = self.registry.leaves();
        leaves.insert(PublicEntry::Constants.tree_key(), self.fixed.leaf());
        if let Some(tail) = self.tail() {
            leaves.insert(PublicEntry::Tail.tree_key(), hash("tail", &[&encode(tail)]));
        }
        leaves
    }
}

impl Seated {
    /// As of the block that closes the epoch before: no ordinary transaction stands between it and the decision. A seat of
    /// a kept set that the registry has with other keys is as it was before.
    fn of(record: &EpochRecord, registry: &Registry, before: Option<&Self>) -> Self {
        let seat = |seat: &ValidatorRecord| {
            let held = registry.registered.get(&seat.name);
            let before = before.into_iter().flat_map(|before| &before.registrations);
            held.into_iter()
                .chain(before)
                .find(|one| one.seat == *seat)
                .cloned()
        };
        Self {
            registrations: record.validators.iter().filter_map(seat).collect(),
            collateral: registry.collateral.clone(),
        }
    }
}

/// What a state is put together from.
pub(crate) struct Parts {
    pub(crate) fixed: Fixed,
    pub(crate) registry: Registry,
    pub(crate) records: BTreeMap<Epoch, Arc<EpochRecord>>,
    pub(crate) current: Arc<EpochRecord>,
    /// None where nothing changed since the set was seated.
    pub(crate) seated: Option<Seated>,
    pub(crate) tail: Option<Tail>,
    pub(crate) height: Height,
    pub(crate) recent: RecentBlocks,
    pub(crate) verdicts: Verdicts,
}
