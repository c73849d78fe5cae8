//! What happens to a network over many stories: epochs turn, machines join, are suspended and come back, disks are set
//! back, blocks are forgotten.

use tacit_attest::Suspension;
use tacit_consensus::{Epoch, Height};
use tacit_ledger::{EpochReason, SystemTx};
use tacit_node::{replica::History, serving::sync_block};

use super::{
    founders::{alice, bob},
    node::Image,
    wallet::{ask, balance, pay},
    world::{Options, World},
};

impl World {
    /// A little work at each of these nodes, as clients of all of them would bring it.
    pub fn load(&mut self, nodes: &[usize], rounds: u64) {
        for round in 0..rounds {
            for node in nodes {
                let open = self.nodes[*node].opener.clone();
                let Some((epoch, _)) = open.filter(|(epoch, _)| *epoch == self.record().epoch) else {
                    continue;
                };
                let (envelope, _) = self.seal(&alice(), epoch * 1_000 + round, pay(bob().id(), 1));
                // While an epoch ends nothing is taken in.
                let _ = self.submit(*node, &envelope);
            }
            self.run_for(40);
        }
    }

    /// The seat of a validator's name in the newest epoch.
    pub fn seat(&self, name: &str) -> u16 {
        let record = self.record();
        let seat = record.validators.iter().position(|seat| seat.name == name);
        u16::try_from(seat.expect("a seat")).expect("few")
    }

    /// Who sits in the newest epoch.
    pub fn names(&self) -> Vec<String> {
        let record = self.record();
        record.validators.iter().map(|one| one.name.clone()).collect()
    }

    /// Who has no seat in it, and the code that says why.
    pub fn dropped(&self) -> Vec<(String, String)> {
        let record = self.record();
        let pair = |one: &tacit_ledger::Dropped| (one.name.clone(), one.code.clone());
        record.dropped.iter().map(pair).collect()
    }

    /// The next epoch begins everywhere where nodes run.
    pub fn turn(&mut self, epoch: Epoch) {
        self.run_until("the next epoch begins", 60_000, |world| {
            let mut up = world.nodes.iter().filter(|node| node.replica.is_some());
            up.all(|node| node.epoch() >= epoch)
        });
        assert_eq!(self.record().epoch, epoch);
    }

    /// A new machine follows until it knows the newest block.
    pub fn follows(&mut self, index: usize) {
        self.run_until("it follows", 30_000, |world| {
            world.nodes[index].height() == world.top()
        });
    }

    /// Runs until an epoch begins, and until nothing is left to do.
    pub fn until_epoch(&mut self, epoch: u64) {
        self.run_until("the epoch begins", 120_000, |world| world.record().epoch >= epoch);
        self.settle();
    }

    /// From here on these keep the blocks of so many closed epochs.
    pub fn forget(&mut self, nodes: impl IntoIterator<Item = usize>, epochs: u64) {
        for index in nodes {
            self.crash(index);
            self.nodes[index].history = History::Epochs(epochs.try_into().expect("an epoch at least"));
            self.start(index);
        }
        self.run_for(2_000);
        self.settle();
    }

    /// The lowest block in a node's store.
    pub fn lowest(&self, index: usize) -> Height {
        let lowest = self.nodes[index].log().blocks_from(0, 1).expect("readable").pop();
        lowest.map_or(0, |one| one.block.header.height)
    }

    /// Runs until a node knows the newest block.
    pub fn caught_up(&mut self, index: usize) {
        self.run_until("it has caught up", 60_000, |world| {
            world.nodes[index].height() == world.top()
        });
    }

    /// A node's blocks are everybody's from its first kept one on, with everything that belongs to them.
    pub fn assert_same_chain(&self, index: usize, other: usize) {
        let (own, other) = (&self.nodes[index], &self.nodes[other]);
        let first = own.up().first_kept();
        assert_eq!(self.lowest(index), first);
        for height in first..=own.height().min(other.height()) {
            let here = sync_block(&*own.store, height).expect("a block");
            let there = sync_block(&*other.store, height).expect("a block");
            assert_eq!(here.committed.block, there.committed.block);
            assert_eq!((here.batches, here.receipts), (there.batches, there.receipts));
        }
        for epoch in 1..=own.epoch() {
            let link = own.log().epoch(epoch).expect("readable").expect("epochs stay");
            let same = other.log().epoch(epoch).expect("readable").expect("epochs stay");
            assert_eq!(link.record, same.record);
        }
    }

    /// Power off, another disk in its place, power on: nothing that was on its way is kept back.
    pub fn set_back(&mut self, index: usize, image: &Image) {
        self.crash(index);
        let node = &mut self.nodes[index];
        node.restore(image);
        let height = node.log().head().expect("readable");
        let height = height.map_or(0, |head| head.block.header.height);
        self.checker.set_back(index, height);
    }

    /// Whether a validator's probation is over and its core runs.
    pub fn votes_again(&self, index: usize) -> bool {
        let replica = self.nodes[index].up();
        replica.probation().is_none() && replica.view().is_some()
    }

    /// A sum that a node would tell, or why it does not.
    pub fn private_word(&mut self, index: usize) -> Result<(), &'static str> {
        let (_, answer) = ask(self, index, &alice(), 0, vec![balance(&alice())]);
        answer.map(drop).map_err(|refused| refused.code)
    }

    /// The chip of a validator, as everybody's state names it.
    pub fn chip_of(&self, index: usize) -> Suspension {
        let name = format!("val-{index}");
        let registered = self.public().registered(&name).expect("registered");
        let (vendor, chip) = registered.chip.expect("verified");
        Suspension::Chip { vendor, chip }
    }

    /// The others suspend one, which follows from then on.
    pub fn suspend(&mut self, index: usize) {
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
    pub fn reinstate(&mut self, index: usize) {
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

    /// A machine that has followed so far registers; from the next epoch on it has a seat.
    pub fn give_seat(&mut self, index: usize) {
        let seats = self.record().validators.len();
        let registration = self.renewal(index);
        self.carry_through(index, &registration);
        self.run_until("it has a seat", 20_000, |world| {
            world.record().validators.len() == seats + 1
        });
    }

    /// Whether a validator takes part in the epoch in force.
    pub fn votes(&self, index: usize) -> bool {
        self.checker.voted(index, self.record().epoch, "certify")
    }

    /// Runs until a validator takes part in the epoch in force.
    pub fn until_it_votes(&mut self, index: usize) {
        self.run_until("it votes", 120_000, |world| world.votes(index));
    }

    /// A fifth validator that is about to take its snapshot.
    pub fn with_newcomer(options: Options) -> (Self, usize) {
        let mut world = Self::at_epoch_1(options);
        let newcomer = world.add_validator();
        world.run_until("it has caught up", 10_000, |world| {
            world.nodes[newcomer].height() == world.top()
        });
        (world, newcomer)
    }

    /// The chunks of snapshots that a node asked for, in order.
    pub fn chunks_asked(&self, index: usize) -> Vec<u32> {
        self.nodes[index]
            .seen
            .chunks
            .iter()
            .map(|(_, chunk)| *chunk)
            .collect()
    }

    /// The code of what was last refused to a node that fetches a snapshot.
    pub fn refused(&self, index: usize) -> Option<&'static str> {
        let progress = self.nodes[index].replica.as_ref()?.snapshot_progress()?;
        Some(progress.refused?.code)
    }
}
