//! The public state as one value on disk. What can be computed again is: digests and leaves are never read, so that a
//! host that changes the file changes the root, and the node notices.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{ChipId, Collateral, Policy, Suspension, TrustRoots, Vendor};
use tacit_consensus::{Digest, Height, Millis, PublicKey};

use crate::{
    codec::{decode, encode},
    epoch::{EpochRecord, collateral_digest, policy_digest},
    error::CodecError,
    genesis::Params,
    governance::{Governance, PolicyProposal},
    registration::Registration,
    state::{
        public::{Parts, PublicState, Seated},
        registry::{
            AdoptedPolicy, Adoption, Convicted, Fixed, Leaving, OpenProposal, RecentBlocks, Registered,
            Registry, Suspended,
        },
        tail::Tail,
        verdicts::Verdicts,
    },
};

/// Largest encoded public state, in bytes: decades of daily epochs of 4 validators, or a year of 128.
pub const MAX_PUBLIC_STATE_BYTES: usize = 256 * 1024 * 1024;

const STORED_VERSION: u8 = 3;

#[derive(BorshSerialize, BorshDeserialize)]
struct Stored {
    version: u8,
    chain: Digest,
    params: Params,
    trust: TrustRoots,
    governance: Governance,
    registrations: Vec<StoredRegistration>,
    policies: Vec<StoredPolicy>,
    in_force: StoredPolicy,
    proposals: Vec<StoredProposal>,
    suspensions: BTreeMap<Suspension, Suspended>,
    votes: BTreeMap<Suspension, BTreeSet<u16>>,
    collateral: Collateral,
    recovery: bool,
    leaving: BTreeMap<String, Leaving>,
    convicted: BTreeMap<PublicKey, Convicted>,
    membership: bool,
    records: Vec<EpochRecord>,
    /// What the current set was judged by, where it is no longer in the registry: by seat.
    seated: Vec<Option<StoredRegistration>>,
    seated_collateral: Option<Collateral>,
    tail: Option<Tail>,
    height: Height,
    recent: RecentBlocks,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct StoredRegistration {
    registration: Registration,
    height: Height,
    time_ms: Millis,
    chip: Option<(Vendor, ChipId)>,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct StoredPolicy {
    policy: Policy,
    adoption: Option<Adoption>,
    active_from_ms: Millis,
    reinstate: Vec<Suspension>,
    allow_below_quorum: bool,
    protocol: u16,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct StoredProposal {
    proposal: PolicyProposal,
    height: Height,
    time_ms: Millis,
    approvals: BTreeSet<u16>,
}

impl From<&Registered> for StoredRegistration {
    fn from(one: &Registered) -> Self {
        Self {
            registration: one.registration.clone(),
            height: one.height,
            time_ms: one.seat.registered_ms,
            chip: one.chip,
        }
    }
}

impl From<StoredRegistration> for Registered {
    fn from(one: StoredRegistration) -> Self {
        Self::new(one.registration, one.height, one.time_ms, one.chip)
    }
}

impl From<&AdoptedPolicy> for StoredPolicy {
    fn from(one: &AdoptedPolicy) -> Self {
        Self {
            policy: one.policy.clone(),
            adoption: one.adoption.clone(),
            active_from_ms: one.active_from_ms,
            reinstate: one.reinstate.clone(),
            allow_below_quorum: one.allow_below_quorum,
            protocol: one.protocol,
        }
    }
}

impl From<StoredPolicy> for AdoptedPolicy {
    fn from(one: StoredPolicy) -> Self {
        Self {
            digest: policy_digest(&one.policy),
            policy: one.policy,
            adoption: one.adoption,
            active_from_ms: one.active_from_ms,
            reinstate: one.reinstate,
            allow_below_quorum: one.allow_below_quorum,
            protocol: one.protocol,
        }
    }
}

impl From<&OpenProposal> for StoredProposal {
    fn from(one: &OpenProposal) -> Self {
        Self {
            proposal: one.proposal.clone(),
            height: one.height,
            time_ms: one.time_ms,
            approvals: one.approvals.clone(),
        }
    }
}

impl From<StoredProposal> for OpenProposal {
    fn from(one: StoredProposal) -> Self {
        Self {
            id: one.proposal.id(),
            proposal: one.proposal,
            height: one.height,
            time_ms: one.time_ms,
            approvals: one.approvals,
        }
    }
}

impl PublicState {
    /// The whole state, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let registry = &self.registry;
        let changed = |one: &Arc<Registered>| {
            let held = registry.registered.get(&one.seat.name);
            (held != Some(one)).then(|| StoredRegistration::from(&**one))
        };
        let collateral = &self.seated.collateral;
        encode(&Stored {
            version: STORED_VERSION,
            chain: self.fixed.chain,
            params: self.fixed.params,
            trust: self.fixed.trust.clone(),
            governance: self.fixed.governance.clone(),
            registrations: registry.registered.values().map(|one| (&**one).into()).collect(),
            policies: registry.policies.values().map(|one| (&**one).into()).collect(),
            in_force: (&*registry.in_force).into(),
            proposals: registry.proposals.values().map(|one| (&**one).into()).collect(),
            suspensions: registry.suspensions.clone(),
            votes: registry.votes.clone(),
            collateral: Collateral::clone(&registry.collateral),
            recovery: registry.recovery,
            leaving: registry.leaving.clone(),
            convicted: registry.convicted.clone(),
            membership: registry.membership,
            records: self.records().cloned().collect(),
            seated: self.seated.registrations.iter().map(changed).collect(),
            seated_collateral: (*collateral != registry.collateral).then(|| Collateral::clone(collateral)),
            tail: self.tail().cloned(),
            height: self.height,
            recent: self.recent.clone(),
        })
    }

    /// Back from stored bytes. Roots of older heights are gone.
    ///
    /// # Errors
    /// Not what [`Self::to_bytes`] writes: another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        // The version first: another one has another shape.
        match bytes.first() {
            Some(&STORED_VERSION) => {}
            _ => return Err(CodecError::Malformed { at: 0 }),
        }
        let stored: Stored = decode(bytes, MAX_PUBLIC_STATE_BYTES)?;
        stored.restore().ok_or(CodecError::Malformed { at: 0 })
    }
}

impl Stored {
    /// `None` where the parts contradict each other.
    fn restore(self) -> Option<PublicState> {
        let current = Arc::new(self.records.last()?.clone());
        let registered: BTreeMap<String, Arc<Registered>> = self
            .registrations
            .into_iter()
            .map(|one| (one.registration.name.clone(), Arc::new(one.into())))
            .collect();
        let collateral = Arc::new(self.collateral);
        if self.seated.len() != current.validators.len() {
            return None;
        }
        let seated = self.seated.into_iter().zip(&current.validators);
        let seated = seated.map(|(stored, seat)| match stored {
            Some(one) => Some(Arc::new(one.into())),
            None => registered.get(&seat.name).cloned(),
        });
        let seated = Seated {
            registrations: seated.collect::<Option<_>>()?,
            collateral: self
                .seated_collateral
                .map_or_else(|| collateral.clone(), Arc::new),
        };
        let seats = seated.registrations.iter().zip(&current.validators);
        let fits = seats.into_iter().all(|(one, seat)| one.seat == *seat)
            && collateral_digest(&seated.collateral) == current.collateral;
        let registry = Registry {
            registered,
            policies: self
                .policies
                .into_iter()
                .map(|one| (one.policy.version, Arc::new(one.into())))
                .collect(),
            in_force: Arc::new(self.in_force.into()),
            proposals: self
                .proposals
                .into_iter()
                .map(|one| (one.proposal.member, Arc::new(one.into())))
                .collect(),
            suspensions: self.suspensions,
            votes: self.votes,
            collateral_digest: collateral_digest(&collateral),
            collateral,
            recovery: self.recovery,
            leaving: self.leaving,
            convicted: self.convicted,
            membership: self.membership,
        };
        let parts = Parts {
            fixed: Fixed::new(self.chain, self.params, self.trust, self.governance),
            registry,
            records: self
                .records
                .into_iter()
                .map(|record| (record.epoch, Arc::new(record)))
                .collect(),
            current,
            seated: Some(seated),
            tail: self.tail,
            height: self.height,
            recent: self.recent,
            verdicts: Verdicts::default(),
        };
        fits.then(|| PublicState::assemble(parts))
    }
}
