//! Who has a seat and no state takes a snapshot; who is far behind jumps; and what peers send instead.

use tacit_attest::Suspension;
use tacit_ledger::{EpochReason, Outcome, SnapshotKind, SystemTx};

use crate::{
    founders::{alice, bob},
    world::{Options, World},
};

impl World {
    /// The chip of a validator, as everybody's state names it.
    fn chip_of(&self, index: usize) -> Suspension {
        let name = format!("val-{index}");
        let registered = self.public().registered(&name).expect("registered");
        let (vendor, chip) = registered.chip.expect("verified");
        Suspension::Chip { vendor, chip }
    }

    /// The others suspend one, which follows from then on.
    fn suspend(&mut self, index: usize) {
        let (target, epoch) = (self.chip_of(index), self.record().epoch);
        for voter in (0..4).filter(|voter| *voter != index) {
            let vote = self.vote(voter, target);
            self.carry_through(voter, &vote);
        }
        self.run_until("the next epoch begins without it", 20_000, |world| {
            world.all_in(epoch + 1)
        });
        self.settle();
        assert_eq!(self.nodes[index].up().me(), None);
        assert_eq!(self.nodes[index].up().supply(), None, "it let go of its state");
    }

    /// Members take one back: it has a seat as soon as the epoch has turned.
    fn reinstate(&mut self, index: usize) {
        let (target, epoch) = (self.chip_of(index), self.record().epoch);
        let proposal = self.propose(0, |proposal| {
            proposal.reinstate = vec![target];
        });
        let id = proposal.id();
        self.carry_through(0, &SystemTx::Propose(proposal));
        let approval = self.approve(1, id);
        self.carry_through(1, &approval);
        self.run_until("it has a seat again", 200_000, |world| {
            world.record().epoch > epoch && world.record().validators.len() == 4
        });
        assert_eq!(self.record().reason, EpochReason::Policy);
    }

    /// Whether a validator takes part in the epoch in force.
    pub(crate) fn votes(&self, index: usize) -> bool {
        self.checker.voted(index, self.record().epoch, "certify")
    }
}

#[test]
fn who_lost_its_seat_and_has_one_again_takes_the_state_and_votes() {
    let mut world = World::at_epoch_1(Options::default());
    world.suspend(3);
    world.transfer(0, &alice(), 0, bob().id());
    world.reinstate(3);
    world.run_until("it votes", 20_000, |world| world.votes(3));
    let node = &world.nodes[3];
    assert!(
        node.seen
            .chunks
            .iter()
            .all(|(id, _)| id.kind == SnapshotKind::Private)
    );
    assert!(!node.seen.chunks.is_empty());
    assert!(node.up().snapshot_progress().is_none());
    // Its vote is needed now, and its state is everybody's.
    world.crash(0);
    let receipt = world.transfer(3, &alice(), 1, bob().id());
    assert_eq!(receipt.outcome, Outcome::Applied);
    world.start(0);
    world.settle();
    assert_eq!(world.nodes[3].up().supply(), world.nodes[1].up().supply());
    world.assert_calm();
}
