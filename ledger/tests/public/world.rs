//! A network in one public state: blocks are applied as a quorum would have committed them. Every block is also
//! applied to a copy that was stored and read again and remembers no verdict: both must agree to the byte.

use std::sync::{Arc, LazyLock};

use tacit_attest::{
    CollateralUpdate, Generation, Measurement, NetworkClass, Policy, SimulatedQuoter, SimulatedTdQuoter,
    SimulatorAuthority, TrustRoots,
};
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Digest, Ed25519Signer, Executed, Header, Payload, Phase,
    Signature, Signer, Signers, Vote,
};
use tacit_ledger::*;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// Genesis time, a whole second.
pub(crate) const TIME: u64 = 1_790_000_000_000;
pub(crate) const MEASUREMENT: Measurement = Measurement([0x11; 48]);
pub(crate) const OTHER_BUILD: Measurement = Measurement([0x22; 48]);
const NONCE: [u8; 32] = [0x77; 32];

pub(crate) static AUTHORITY: LazyLock<SimulatorAuthority> =
    LazyLock::new(|| SimulatorAuthority::generate([1; 32], TIME).unwrap());
static COLLATERAL: LazyLock<Vec<CollateralUpdate>> = LazyLock::new(|| AUTHORITY.collateral(TIME).unwrap());

/// What a validator runs on, and what.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) kind: Kind,
    pub(crate) chip: u8,
    pub(crate) build: Measurement,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Snp(Generation),
    Td,
}

pub(crate) const GENOA: Kind = Kind::Snp(Generation::Genoa);
pub(crate) const TURIN: Kind = Kind::Snp(Generation::Turin);

impl Machine {
    pub(crate) fn new(kind: Kind, chip: u8) -> Self {
        Self {
            kind,
            chip,
            build: MEASUREMENT,
        }
    }

    fn quote<T>(&self, make: impl FnOnce(&dyn tacit_attest::Quoter) -> T) -> T {
        let seed = [self.chip; 32];
        match self.kind {
            Kind::Snp(generation) => {
                let chip = AUTHORITY.issue_chip(seed, generation, TIME).unwrap();
                make(&SimulatedQuoter::new(chip, self.build))
            }
            Kind::Td => {
                let td = AUTHORITY.issue_td(seed, TIME).unwrap();
                make(&SimulatedTdQuoter::new(td, self.build))
            }
        }
    }
}

pub(crate) fn consensus_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([n; 32])
}

pub(crate) fn node_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([128 + n; 32])
}

pub(crate) fn kem(n: u8) -> SealingPublic {
    SealingSecret::derive(&[64 + n; 32]).public().clone()
}

pub(crate) fn member_key(n: u16) -> AccountKey {
    AccountKey::from_seed([n as u8 + 1; 32]).ok().unwrap()
}

/// Validator `n`'s registration on a machine.
pub(crate) fn register(n: u8, machine: Machine, place: &RegistrationPlace) -> Registration {
    Applicant::founder(n, machine).register(place)
}

/// Answers for validator `n` outside its machine, where its node key does not.
pub(crate) fn operator_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([&[n][..], &[0xee; 31]].concat().try_into().unwrap())
}

/// Who registers: with which keys, on what, and on whose word.
#[derive(Clone)]
pub(crate) struct Applicant {
    pub(crate) name: String,
    pub(crate) consensus: Arc<Ed25519Signer>,
    pub(crate) node: Arc<Ed25519Signer>,
    pub(crate) kem: SealingPublic,
    pub(crate) operator: Arc<Ed25519Signer>,
    /// Whether the operator signs, or is only named.
    pub(crate) signed: bool,
    pub(crate) protocol: u16,
    pub(crate) machine: Machine,
}

impl Applicant {
    /// A newcomer with an operator of its own.
    pub(crate) fn new(n: u8, machine: Machine) -> Self {
        Self {
            name: format!("val-{n}"),
            consensus: consensus_key(n).into(),
            node: node_key(n).into(),
            kem: kem(n),
            operator: operator_key(n).into(),
            signed: true,
            protocol: PROTOCOL_VERSION,
            machine,
        }
    }

    /// Founder `n`, whose node key is its operator's, on its own machine.
    pub(crate) fn founder(n: u8, machine: Machine) -> Self {
        Self {
            operator: node_key(n).into(),
            ..Self::new(n, machine)
        }
    }

    /// The same name and operator with the keys of number `k`.
    pub(crate) fn with_keys(self, k: u8) -> Self {
        Self {
            consensus: consensus_key(k).into(),
            node: node_key(k).into(),
            kem: kem(k),
            ..self
        }
    }

    pub(crate) fn unsigned(self) -> Self {
        Self {
            signed: false,
            ..self
        }
    }

    pub(crate) fn register(&self, place: &RegistrationPlace) -> Registration {
        let terms = RegistrationTerms {
            name: &self.name,
            operator: match self.signed {
                true => Operator::Signs(&*self.operator),
                false => Operator::Named(self.operator.public()),
            },
            protocol: self.protocol,
        };
        let make = |quoter: &dyn tacit_attest::Quoter| {
            Registration::make_for(&terms, &*self.consensus, &*self.node, &self.kem, place, quoter).unwrap()
        };
        self.machine.quote(make)
    }
}

/// A genesis of validators 0, 1, … on machines of these kinds, governed by two of alice, bob and carol, with the
/// collateral that simulated trust domains need.
pub(crate) fn genesis(kinds: &[Kind]) -> Genesis {
    let place = RegistrationPlace::founder(NONCE, 1);
    let founders = (0u8..).zip(kinds);
    let members = ["alice", "bob", "carol"].iter().zip(0..);
    Genesis {
        version: GENESIS_VERSION,
        name: "dev-public".to_owned(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: Some(AUTHORITY.root()),
        },
        nonce: NONCE,
        time_ms: TIME,
        params: Params {
            epoch_ms_max: 10 * HOUR,
            ..Params::default()
        },
        policy: Policy {
            loosening_delay_ms: HOUR,
            ..Policy::dev(MEASUREMENT)
        },
        governance: Governance {
            members: members
                .map(|(name, n)| GovernanceMember {
                    name: (*name).to_owned(),
                    account: member_key(n).id(),
                })
                .collect(),
            threshold: 2,
        },
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: COLLATERAL.clone(),
        validators: founders
            .map(|(n, kind)| register(n, Machine::new(*kind, n), &place))
            .collect(),
        allocations: Vec::new(),
    }
}

pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) state: PublicState,
    /// Time of the newest block, or later if time has passed without one.
    pub(crate) now: u64,
    /// How each epoch came to be, as a node stores it.
    pub(crate) links: Vec<EpochLink>,
    pub(crate) head: Option<Header>,
    /// Every header, oldest first.
    pub(crate) headers: Vec<Header>,
    /// Whether each block is applied to a copy from the disk as well. A story of hundreds of validators does without.
    pub(crate) compared: bool,
}

impl World {
    /// In the first epoch with a key.
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        Self::with(kinds, |_| ())
    }

    pub(crate) fn with(kinds: &[Kind], change: impl FnOnce(&mut Genesis)) -> Self {
        let mut genesis = genesis(kinds);
        change(&mut genesis);
        genesis.verify().expect("a genesis that holds");
        let state = PublicState::genesis(&genesis);
        let mut world = Self {
            genesis,
            state,
            now: TIME,
            links: Vec::new(),
            head: None,
            headers: Vec::new(),
            compared: true,
        };
        let record = world.turn();
        assert_eq!((record.epoch, record.reason), (1, EpochReason::Genesis));
        world
    }

    pub(crate) fn chain(&self) -> Digest {
        *self.state.chain()
    }

    /// The next block, later by `after_ms`, by the leader of seat `leader`.
    pub(crate) fn draft(&self, after_ms: u64, leader: u16, system: &[SystemTx]) -> Block {
        let (state, epoch) = (&self.state, self.state.current().epoch);
        let n = state.committee().n() as u64;
        let payload = Payload {
            batches: Vec::new(),
            system: system.iter().map(SystemTx::encode).collect(),
        };
        let next_epoch = system.iter().find_map(|tx| match tx {
            SystemTx::CloseEpoch(record) => Some(record.digest()),
            _ => None,
        });
        let view = u64::from(leader) + n - epoch % n + n * state.height();
        assert_eq!(state.committee().leader(view), leader);
        let header = Header {
            chain: *state.chain(),
            epoch,
            height: state.height() + 1,
            view,
            parent: *state.block_id(state.height()).unwrap(),
            time_ms: self.now + after_ms,
            payload_root: payload.root(),
            executed: Executed {
                height: state.height(),
                ..Executed::default()
            },
            next_epoch,
        };
        let anchor = Anchor {
            epoch,
            block: *state.chain(),
            height: 0,
            time_ms: 0,
            executed: Executed::default(),
        };
        Block {
            header,
            payload,
            justify: Certificate::genesis(&anchor),
            timeout: None,
            commit: None,
            signature: Signature([0; 64]),
        }
    }

    /// Applies a block. The copy that comes from the disk does the same.
    pub(crate) fn try_block(
        &mut self,
        after_ms: u64,
        leader: u16,
        system: &[SystemTx],
    ) -> Result<(), SystemError> {
        let block = self.draft(after_ms, leader, system);
        if !self.compared {
            self.state.apply(&block)?;
            self.now = block.header.time_ms;
            self.headers.push(block.header.clone());
            self.head = Some(block.header);
            return Ok(());
        }
        let bytes = self.state.to_bytes();
        let mut cold = PublicState::from_bytes(&bytes).unwrap();
        assert_eq!(cold.root(cold.height()), self.state.root(self.state.height()));
        let checked = self.state.check_system(&block.header, &block.payload, leader);
        let before = self.state.root(self.state.height());
        let applied = self.state.apply(&block);
        assert_eq!(applied.clone().map(drop), checked, "checking and applying agree");
        assert_eq!(
            cold.apply(&block),
            applied,
            "who remembers verdicts and who does not agree"
        );
        assert_eq!(cold.to_bytes(), self.state.to_bytes());
        match &applied {
            Err(_) => assert_eq!(self.state.to_bytes(), bytes, "a refusal leaves the state alone"),
            Ok(root) => assert_eq!(
                Some(*root) == before,
                system.is_empty(),
                "the root covers every change"
            ),
        }
        applied?;
        self.now = block.header.time_ms;
        self.headers.push(block.header.clone());
        self.head = Some(block.header);
        Ok(())
    }

    /// A block a second later with these transactions.
    pub(crate) fn block(&mut self, system: &[SystemTx]) {
        self.try_block(1_000, 0, system).unwrap();
    }

    /// Time passes without a block.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now += ms;
    }

    /// Why a transaction is refused, by a pool and in a block a second later alike.
    pub(crate) fn refused(&mut self, tx: SystemTx) -> SystemRefusal {
        let pooled = self.state.check_ordinary(&tx, self.now + 1_000).unwrap_err();
        let Err(SystemError::Refused { index: 0, source }) = self.try_block(1_000, 0, &[tx]) else {
            panic!("a pool refuses it for {pooled}, a block does not");
        };
        assert_eq!(*source, pooled);
        assert!(
            codes::lookup(pooled.code()).is_some(),
            "{} has no row",
            pooled.code()
        );
        pooled
    }

    /// Ends the epoch, which must be due a second from now, and gives the next one's record.
    pub(crate) fn turn(&mut self) -> EpochRecord {
        let mut time_ms = self.now + 1_000;
        let reason = self.state.end_due(time_ms).expect("an end that is due");
        let mut begin = vec![SystemTx::EndEpoch { reason }];
        let epoch = self.state.current().epoch + 1;
        let leaders = 0..self.state.committee().n() as u16;
        for leader in leaders {
            time_ms = self.now + 1_000;
            let Some(dealer) = self.state.dealer(leader, time_ms) else {
                continue;
            };
            let seats = self.state.next_validators(time_ms).len();
            let own = Contribution {
                epoch,
                dealer,
                commitment: Digest([dealer as u8; 32]),
                shares: vec![vec![0; SHARE_BYTES]; seats],
            };
            let keys = EpochKeys {
                sealing_key: SealingSecret::derive(&[epoch as u8; 32]).public().clone(),
                state_keys: vec![epoch as u8; WRAPPED_STATE_KEYS_BYTES],
                recovery: None,
            };
            let record = self.state.next_record(time_ms, &own, &keys);
            let mut system = std::mem::take(&mut begin);
            system.push(SystemTx::Contribute(own));
            system.extend(record.clone().map(SystemTx::CloseEpoch));
            let committee = self.state.current().validators.clone();
            self.try_block(1_000, leader, &system).unwrap();
            if let Some(record) = record {
                let header = self.head.clone().unwrap();
                assert_eq!(self.state.current(), &record);
                let proof = commit(&header, &committee);
                self.links.push(EpochLink {
                    header,
                    proof,
                    record: record.clone(),
                });
                return record;
            }
        }
        panic!("too few dealers for the next epoch");
    }

    /// A place for a renewal now: bound to the newest block and policy.
    pub(crate) fn place(&self) -> RegistrationPlace {
        let height = self.state.height();
        RegistrationPlace {
            network: self.chain(),
            height,
            block: *self.state.block_id(height).unwrap(),
            policy_version: self.state.next_policy_version() - 1,
        }
    }

    pub(crate) fn renewal(&self, n: u8, machine: Machine) -> SystemTx {
        SystemTx::Register(register(n, machine, &self.place()))
    }

    /// An applicant's registration, bound to the newest block.
    pub(crate) fn apply(&self, applicant: &Applicant) -> SystemTx {
        SystemTx::Register(applicant.register(&self.place()))
    }

    /// A request to leave for what the registry holds under a name.
    pub(crate) fn leave(&self, name: &str, operator: &Ed25519Signer) -> SystemTx {
        let held = self.state.registration(name).unwrap();
        SystemTx::Leave(LeaveRequest::sign(self.chain(), held, operator))
    }

    /// Waits until somebody may come or go, and turns.
    pub(crate) fn change_members(&mut self) -> EpochRecord {
        assert!(self.state.membership_due());
        let due_ms = self.state.current().start_ms + self.genesis.params.epoch_ms_min;
        assert_eq!(self.state.end_due_ms(), due_ms);
        self.now = self.now.max(due_ms - 1_000);
        let record = self.turn();
        assert_eq!(record.reason, EpochReason::Membership);
        record
    }

    /// A policy for the next version.
    pub(crate) fn policy(&self, change: impl FnOnce(&mut Policy)) -> Policy {
        let mut policy = self.state.policy().clone();
        change(&mut policy);
        policy.version = self.state.next_policy_version();
        policy
    }

    /// A proposal by a member, signed.
    pub(crate) fn proposal(&self, member: u16, policy: Policy) -> PolicyProposal {
        let proposal = PolicyProposal {
            chain: self.chain(),
            policy,
            protocol: 1,
            reinstate: Vec::new(),
            allow_below_quorum: false,
            sequence: self.now,
            member,
            signature: PolicyProposal::unsigned(),
        };
        proposal.sign(&member_key(member), [9; 32])
    }

    pub(crate) fn approval(&self, member: u16, proposal: Digest) -> SystemTx {
        let key = member_key(member);
        SystemTx::Approve(PolicyApproval::sign(
            self.chain(),
            proposal,
            member,
            &key,
            [9; 32],
        ))
    }

    /// Alice proposes, bob approves.
    pub(crate) fn adopt(&mut self, proposal: PolicyProposal) {
        let approval = self.approval(1, proposal.id());
        self.block(&[SystemTx::Propose(proposal), approval]);
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        let seats = self.state.current().validators.iter();
        seats.map(|seat| seat.name.as_str()).collect()
    }
}

/// Who has no seat, and why.
pub(crate) fn dropped(record: &EpochRecord) -> Vec<(&str, &str)> {
    let dropped = record.dropped.iter();
    dropped
        .map(|one| (one.name.as_str(), one.code.as_str()))
        .collect()
}

/// A finalize certificate by a whole set.
pub(crate) fn commit(header: &Header, set: &[ValidatorRecord]) -> CommitProof {
    let (epoch, view, height, block) = (header.epoch, header.view, header.height, header.id());
    let phase = Phase::Finalize;
    let vote = Vote {
        epoch,
        view,
        height,
        block,
        phase,
        voter: 0,
        signature: Signature([0; 64]),
    };
    let message = vote.message(&header.chain);
    let number = |seat: &ValidatorRecord| seat.name.trim_start_matches("val-").parse().unwrap();
    let signatures = set
        .iter()
        .map(|seat| consensus_key(number(seat)).sign(&message.0))
        .collect();
    CommitProof {
        certificate: Certificate {
            epoch,
            view,
            height,
            block,
            phase,
            signers: Signers::new(set.len(), 0..set.len() as u16),
            signatures,
        },
        path: Vec::new(),
    }
}
