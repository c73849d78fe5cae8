//! What members and validators sign for the public lane, and how it is handed in.

use tacit_attest::{Policy, Suspension};
use tacit_consensus::Digest;
use tacit_ledger::{
    LeaveRequest, PROTOCOL_VERSION, PolicyApproval, PolicyProposal, PublicState, RegistrationPlace,
    SealingPublic, SuspendVote, SystemTx,
};
use tacit_node::replica::{Input, Refused, SystemSource};

use super::{
    founders::{member, node_signer, renewal_of},
    world::World,
};

impl World {
    /// The public state of the node that is furthest.
    pub fn public(&self) -> &PublicState {
        let up = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        up.map(|replica| replica.public())
            .max_by_key(|state| state.height())
            .expect("a running node")
    }

    /// A proposal of the next version by a member, changed before it is signed.
    pub fn propose(&self, n: u8, change: impl FnOnce(&mut PolicyProposal)) -> PolicyProposal {
        let state = self.public();
        let mut proposal = PolicyProposal {
            chain: self.chain,
            policy: Policy {
                version: state.next_policy_version(),
                ..state.policy().clone()
            },
            protocol: state.policy_in_force().protocol,
            reinstate: Vec::new(),
            allow_below_quorum: false,
            sequence: self.now,
            member: n.into(),
            signature: PolicyProposal::unsigned(),
        };
        change(&mut proposal);
        proposal.sign(&member(n), [9; 32])
    }

    /// A member's approval of a proposal.
    pub fn approve(&self, n: u8, proposal: Digest) -> SystemTx {
        let seat = n.into();
        SystemTx::Approve(PolicyApproval::sign(
            self.chain,
            proposal,
            seat,
            &member(n),
            [8; 32],
        ))
    }

    /// The vote of a validator, at its seat in the newest epoch.
    pub fn vote(&self, index: usize, target: Suspension) -> SystemTx {
        let record = self.record();
        let name = format!("val-{index}");
        let seat = record.validators.iter().position(|one| one.name == name);
        let seat = u16::try_from(seat.expect("a seat")).expect("few");
        SystemTx::Suspend(SuspendVote::sign(
            self.chain,
            record.epoch,
            target,
            seat,
            &node_signer(index),
        ))
    }

    /// Hands a system transaction to a node as a client does; the replica's word on it.
    pub fn hand_in(&mut self, index: usize, tx: &SystemTx) -> Result<Digest, Refused> {
        let reply = self.reply();
        let (source, tx) = (SystemSource::Client { reply }, Box::new(tx.clone()));
        self.input(index, Input::System { source, tx });
        let answers = &mut self.nodes[index].seen.system_taken;
        answers.remove(&reply).unwrap_or_else(|| Err(went_down()))
    }

    /// The KEM key that a validator's next registration is to name.
    pub fn next_kem(&mut self, index: usize) -> SealingPublic {
        self.try_next_kem(index).expect("a key")
    }

    /// The same, where its vault may fail.
    fn try_next_kem(&mut self, index: usize) -> Result<SealingPublic, Refused> {
        let reply = self.reply();
        self.input(index, Input::WantKem { reply });
        let answer = self.nodes[index].seen.kem_keys.remove(&reply);
        answer.unwrap_or_else(|| Err(went_down()))
    }

    /// A validator's renewal with its next KEM key, bound to its head.
    pub fn renewal(&mut self, index: usize) -> SystemTx {
        self.register(index, PROTOCOL_VERSION)
    }

    /// The same, or none where its vault fails.
    pub fn try_renewal(&mut self, index: usize) -> Option<SystemTx> {
        self.try_register(index, PROTOCOL_VERSION)
    }

    /// A validator's registration with its next KEM key, by a build that speaks the protocol up to this version.
    pub fn register(&mut self, index: usize, protocol: u16) -> SystemTx {
        self.try_register(index, protocol).expect("a key")
    }

    fn try_register(&mut self, index: usize, protocol: u16) -> Option<SystemTx> {
        let kem = self
            .try_next_kem(index)
            .ok()
            .filter(|_| self.nodes[index].is_up())?;
        let head = self.nodes[index].up().head();
        let place = RegistrationPlace {
            network: self.chain,
            height: head.height,
            block: head.id,
            policy_version: self.nodes[index].up().public().policy().version,
        };
        let n = u8::try_from(index).expect("few");
        Some(SystemTx::Register(renewal_of(n, &kem, &place, protocol)))
    }

    /// The request of a validator's operator to leave.
    pub fn leave(&self, index: usize) -> SystemTx {
        let held = self.public().registration(&format!("val-{index}"));
        let held = held.expect("registered");
        SystemTx::Leave(LeaveRequest::sign(self.chain, held, &node_signer(index)))
    }

    /// These validators attest again with fresh KEM keys, and everybody knows it.
    pub fn rotate(&mut self, nodes: impl IntoIterator<Item = usize>) {
        let mut ids = Vec::new();
        for index in nodes {
            let renewal = self.renewal(index);
            ids.push(
                self.hand_in(index, &renewal)
                    .unwrap_or_else(|refused| panic!("{refused:?}")),
            );
        }
        self.run_until("the renewals are in the chain", 30_000, |world| {
            ids.iter().all(|id| world.all_have_system(id))
        });
    }

    /// Hands it in, and waits until it is in everybody's chain.
    pub fn carry_through(&mut self, index: usize, tx: &SystemTx) {
        let id = self
            .hand_in(index, tx)
            .unwrap_or_else(|refused| panic!("{refused:?}"));
        self.run_until("the system transaction is in the chain", 30_000, |world| {
            world.all_have_system(&id)
        });
    }

    /// Hands it in, and waits until it is in that node's chain.
    pub fn carry_through_at(&mut self, index: usize, tx: &SystemTx) {
        let id = self
            .hand_in(index, tx)
            .unwrap_or_else(|refused| panic!("{refused:?}"));
        self.run_until("the system transaction is in the chain", 30_000, |world| {
            world.nodes[index].log().system(&id).expect("readable").is_some()
        });
    }

    /// Whether a system transaction is in the chain of every running node.
    pub fn all_have_system(&self, id: &Digest) -> bool {
        let mut up = self.nodes.iter().filter(|node| node.replica.is_some());
        up.all(|node| node.log().system(id).expect("readable").is_some())
    }

    /// System transactions that wait at a node.
    pub fn waiting(&self, index: usize) -> u64 {
        self.nodes[index].up().system_size().0
    }
}

/// What a client sees of a node that stopped over its question.
pub(super) fn went_down() -> Refused {
    Refused {
        code: "node.halted",
        detail: "it went down over the question".into(),
    }
}
