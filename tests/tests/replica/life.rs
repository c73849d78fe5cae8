//! A network's life over many seeds: validators join, renew, come with other keys, leave, crash and are set back, one
//! after the other and under use; at the end none of the founders may be left, and nothing is lost.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use tacit_ledger::{LeaveRequest, Outcome, RegistrationPlace, SystemTx};

use tacit_tests::sim::{
    founders::{SUPPLY, alice, bob, node_signer, registration},
    has_real_signatures,
    node::Node,
    story_seeds,
    vault::MemoryVault,
    wallet::pay,
    world::{Options, World},
};

/// Events of one life.
const EVENTS: usize = 12;
/// Most seats that a life lets grow.
const MOST: usize = 7;

/// A name of the registry and the node behind it.
#[derive(Clone, Copy)]
struct Resident {
    /// The number in its name; its machine and its operator's key have it too.
    name: usize,
    node: usize,
}

struct Life {
    world: World,
    residents: Vec<Resident>,
    chance: ChaCha20Rng,
    identities: usize,
    paid: u64,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut options = Options {
            seed,
            loss: seed % 8,
            real_signatures: has_real_signatures(seed),
            ..Options::epochs_of(10_000)
        };
        options.params.epoch_ms_min = 500;
        let resident = |name| Resident { name, node: name };
        Self {
            world: World::at_epoch_1(options),
            residents: (0..4).map(resident).collect(),
            chance: ChaCha20Rng::seed_from_u64(seed),
            identities: 4,
            paid: 0,
        }
    }

    fn draw(&mut self, below: usize) -> usize {
        usize::try_from(self.chance.next_u64() % below as u64).expect("small")
    }

    fn someone(&mut self) -> Resident {
        let place = self.draw(self.residents.len());
        self.residents[place]
    }

    /// Somebody else than `whom`, who can take transactions: at a turn that may take a moment.
    fn other(&mut self, whom: Resident) -> usize {
        for _ in 0..100 {
            let epoch = self.world.record().epoch;
            let able = |one: &&Resident| {
                let opener = self.world.nodes[one.node].opener.as_ref();
                one.name != whom.name && opener.is_some_and(|(held, _)| *held == epoch)
            };
            if let Some(one) = self.residents.iter().find(able) {
                return one.node;
            }
            self.world.run_for(100);
        }
        panic!("nobody else is in the newest epoch for ten seconds");
    }

    /// Fresh evidence of a resident's machine for the keys that its node has now, known to everybody.
    fn register(&mut self, one: Resident) {
        loop {
            let by = self.other(one);
            let kem = self.world.next_kem(one.node);
            let replica = self.world.nodes[by].up();
            let (head, policy) = (replica.head(), replica.public().policy());
            let place = RegistrationPlace {
                network: self.world.chain,
                height: head.height,
                block: head.id,
                policy_version: policy.version,
            };
            let identity = self.world.nodes[one.node].identity;
            let tx = SystemTx::Register(registration(one.name, identity, &kem, &place));
            match self.world.hand_in(by, &tx) {
                Ok(_) => {
                    let (name, kem) = (format!("val-{}", one.name), kem.clone());
                    let known = move |world: &World| {
                        let mut up = world.nodes.iter().filter(|node| node.is_up());
                        up.all(|node| {
                            let held = node.up().public().registration(&name);
                            held.is_some_and(|held| held.kem_key == kem)
                        })
                    };
                    // A tail may begin before it is in, and outlive the block that it is bound to: then it is made again.
                    let limit = self.world.now + 8_000;
                    while !known(&self.world) && self.world.advance(limit) {}
                    if known(&self.world) {
                        return;
                    }
                }
                // The epoch ends just now, or the same second brought one already.
                Err(refused) => {
                    let passing = ["system.ending", "register.not_newer", "register.quorum"];
                    assert!(passing.contains(&refused.code), "{refused:?}");
                    self.world.run_for(200);
                }
            }
        }
    }

    /// Everybody who should have a seat has one, holds the state and votes.
    fn healthy(&mut self, what: &str) {
        let residents = self.residents.clone();
        self.world
            .run_until(what, 120_000, |world| all_vote(world, &residents));
    }

    fn is_healthy(&self) -> bool {
        all_vote(&self.world, &self.residents)
    }

    fn pay(&mut self) {
        let payer = self.someone();
        let at = self.other(payer);
        let receipt = self.world.transfer(at, &alice(), self.paid, bob().id());
        assert_eq!(receipt.outcome, Outcome::Applied);
        self.paid += 1;
    }

    fn join(&mut self) {
        let node = self.world.nodes.len();
        let mut newcomer = Node::new(node, Some(MemoryVault::default()));
        newcomer.identity = self.identities;
        self.identities += 1;
        let one = Resident {
            name: newcomer.identity,
            node,
        };
        self.world.nodes.push(newcomer);
        self.world.start(node);
        self.world.settle();
        self.register(one);
        self.residents.push(one);
    }

    /// The machine starts with another build: its keys do not open, its operator brings others.
    fn replace(&mut self, one: Resident) {
        self.world.crash(one.node);
        self.pay();
        self.renew_keys(one);
        self.world.settle();
        self.register(one);
    }

    fn renew_keys(&mut self, one: Resident) {
        let node = &mut self.world.nodes[one.node];
        (node.identity, node.vault) = (self.identities, Some(MemoryVault::default()));
        self.identities += 1;
        self.world.start(one.node);
    }

    /// Keeps every validator busy until something holds, which must be within two minutes.
    fn under_load(&mut self, done: impl Fn(&Self) -> bool) {
        let until = self.world.now + 120_000;
        while !done(self) {
            assert!(self.world.now < until, "not within two minutes under load");
            for one in self.residents.clone() {
                let record = self.world.record();
                let opener = self.world.nodes[one.node].opener.as_ref();
                if opener.is_some_and(|(held, _)| *held == record.epoch) {
                    // One nonce for all: what is refused when executed is ordered all the same.
                    let (envelope, _) = self.world.seal(&alice(), self.paid, pay(bob().id(), 1));
                    // A tail refuses it; the next round brings another.
                    let _ = self.world.submit(one.node, &envelope);
                }
            }
            self.world.run_for(50);
        }
    }

    fn leave(&mut self, one: Resident) {
        let by = self.other(one);
        let held = self.world.nodes[by].up().public();
        let held = held
            .registration(&format!("val-{}", one.name))
            .expect("registered");
        let tx = SystemTx::Leave(LeaveRequest::sign(self.world.chain, held, &node_signer(one.name)));
        while let Err(refused) = self.world.hand_in(by, &tx) {
            assert_eq!(refused.code, "system.ending");
            self.world.run_for(200);
        }
        self.residents.retain(|other| other.name != one.name);
    }

    fn set_back(&mut self, one: Resident) {
        let node = &self.world.nodes[one.node];
        let vault = node.vault.as_ref().map(MemoryVault::image);
        let store = std::sync::Arc::new(node.store.image());
        self.pay();
        self.world.crash(one.node);
        let node = &mut self.world.nodes[one.node];
        (node.vault, node.store) = (vault, store);
        let head = node.log().head().expect("readable");
        let height = head.map_or(0, |head| head.block.header.height);
        self.world.checker.set_back(one.node, height);
        self.world.start(one.node);
    }

    fn event(&mut self) {
        let one = self.someone();
        match self.draw(6) {
            0 if self.residents.len() < MOST => self.join(),
            1 if self.residents.len() > 4 => self.leave(one),
            2 => self.replace(one),
            3 => self.set_back(one),
            4 => {
                self.world.crash(one.node);
                self.pay();
                self.world.start(one.node);
            }
            _ => self.register(one),
        }
        self.pay();
        self.healthy("all who should vote do");
    }
}

/// Whether these, and nobody else, have the seats, by the keys that they have now, hold the state and vote.
fn all_vote(world: &World, residents: &[Resident]) -> bool {
    let record = world.record();
    record.validators.len() == residents.len()
        && residents.iter().all(|one| {
            let (name, key) = (format!("val-{}", one.name), world.key_of(one.node));
            let seat = record.validators.iter().find(|seat| seat.name == name);
            let up = &world.nodes[one.node];
            seat.is_some_and(|seat| seat.node_key.0 == key)
                && up.is_up()
                && up.epoch() == record.epoch
                && up.up().supply() == Some(SUPPLY)
                && world.checker.voted(one.node, record.epoch, "certify")
        })
}

#[test]
fn seats_change_hands_for_ever_and_nothing_is_lost() {
    for seed in story_seeds() {
        let mut life = Life::new(seed);
        for _ in 0..EVENTS {
            life.event();
        }
        life.world.settle();
        let supplies = life
            .residents
            .iter()
            .map(|one| life.world.nodes[one.node].up().supply());
        assert!(
            supplies.into_iter().all(|supply| supply == Some(SUPPLY)),
            "seed {seed}"
        );
    }
}

#[test]
fn a_network_of_founders_becomes_one_of_others() {
    let mut life = Life::new(1_000);
    for _ in 0..4 {
        life.join();
        life.pay();
        life.healthy("the newcomer votes");
    }
    for founder in 0..4 {
        let one = life.residents[0];
        assert_eq!(one.name, founder);
        life.leave(one);
        life.pay();
        life.healthy("the others go on");
    }
    assert!(life.residents.iter().all(|one| one.name >= 4));
    life.world.settle();
    life.world.assert_calm();
}

/// Under load, what a machine that restarts with other keys costs the others is its turns as a leader.
#[test]
fn an_upgrade_of_one_after_the_other_pauses_the_rest_for_a_view_timeout_at_most() {
    let mut life = Life::new(2_000);
    life.world.options.loss = 0;
    let timeout_ms = life.world.options.params.base_timeout_ms;
    // A timeout, and what it takes to tell the others and to make and finish a block.
    let most = timeout_ms + 10 * life.world.options.delay_ms.1;
    for place in 0..4 {
        let one = life.residents[place];
        let (by, from) = (life.other(one), life.world.now);
        life.world.crash(one.node);
        life.under_load(|life| life.world.now > from + 5_000);
        life.renew_keys(one);
        life.under_load(|life| life.world.top() <= life.world.nodes[one.node].height() + 1);
        life.register(one);
        life.under_load(|life| life.is_healthy());
        let times: Vec<u64> = life.world.nodes[by]
            .seen
            .committed
            .values()
            .map(|(at, ..)| *at)
            .filter(|at| *at > from)
            .collect();
        let longest = times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .expect("blocks");
        assert!(longest <= most, "{longest} ms without a block, at most {most}");
    }
}

#[test]
fn the_same_seed_is_the_same_life() {
    let run = || {
        let mut life = Life::new(7);
        (0..4).for_each(|_| life.event());
        life.world.trace()
    };
    assert_eq!(run(), run());
}
