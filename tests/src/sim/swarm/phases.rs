//! The two phases of a run: safety under faults, then a healthy core that must commit.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use tacit_consensus::{Digest, Millis};
use tacit_ledger::{Params, ReceiptKey, SealingSecret, SystemTx};

use super::{
    adversary::{Adversary, Rogue},
    fault::Fault,
    options::Swarm,
    weather::Weather,
};
use crate::{
    consensus_sim::Rng,
    sim::{
        founders::{alice, bob, consensus_signer},
        leak::Leaks,
        node::Image,
        toy,
        wallet::pay,
        world::{Options, World},
    },
};

/// T: how long a healthy core may take to commit a new transaction once the rest of the world leaves it alone, in
/// milliseconds. A view lasts 30 s at most, so this is a turn of each of four leaders.
pub const LIVE_WITHIN_MS: Millis = 120_000;
/// Between two of an adversary's own deeds, in milliseconds.
const ACTS_EVERY_MS: (Millis, Millis) = (300, 3_000);
/// Images of one disk that are kept.
pub(super) const IMAGES: usize = 4;
/// System transactions' and envelopes' bytes that a node may hold, whatever is sent to it (B1).
const MAX_HELD_BYTES: u64 = 256 << 20;

/// What happens at a moment of its own.
pub(super) enum Event {
    /// A fault strikes.
    Strike(Fault),
    /// These links work again, both nodes notice.
    Heal(Vec<(usize, usize)>),
    /// A moving partition changes, so many times more.
    Move(u64),
    /// A process starts.
    Restart(usize),
    /// There is room on a disk again.
    Freed(usize),
    /// A clock is set right.
    ClockSet(usize),
    /// A client pays.
    Transfer,
    /// A validator attests again with a fresh KEM key.
    Renew,
    /// A machine that nobody has heard of follows the chain.
    Newcomer,
    /// It asks for a seat, again until it has one.
    Join(usize),
    /// An operator takes a validator off the network.
    Leave,
    /// Adversaries do what they do by themselves.
    Act,
}

/// A run under way.
pub(super) struct Run {
    pub(super) options: Swarm,
    pub(super) world: World,
    pub(super) rng: Rng,
    timers: BTreeMap<(Millis, u64), Event>,
    numbered: u64,
    /// Who may be faulty in any way.
    pub(super) suspects: Vec<usize>,
    pub(super) rogues: Vec<Rc<RefCell<Rogue>>>,
    pub(super) images: BTreeMap<usize, Vec<Image>>,
    /// Who cannot be repaired: adversaries, and suspects whose disk has lied.
    pub(super) broken: BTreeSet<usize>,
    /// What will make a node fall.
    pub(super) armed: BTreeMap<usize, Fault>,
    paid: u64,
    newest: Option<Digest>,
    pub(super) transfers: u64,
    batches: u64,
    pub(super) in_rough: bool,
}

impl Run {
    pub(super) fn new(options: Swarm) -> Self {
        let params = Params {
            epoch_ms_max: options.epoch_ms,
            epoch_ms_min: 5_000,
            base_timeout_ms: options.timeout_ms,
            ..Params::default()
        };
        let world = World::at_epoch_1(Options {
            seed: options.seed,
            founders: options.validators,
            real_signatures: options.real_signatures,
            params,
            accounts: 0,
            delay_ms: options.delay_ms,
            loss: 0,
            judged: options.is_judged(),
        });
        let mut run = Self {
            rng: Rng::new(options.seed ^ 0x5a11),
            world,
            timers: BTreeMap::new(),
            numbered: 0,
            suspects: Vec::new(),
            rogues: Vec::new(),
            images: BTreeMap::new(),
            broken: BTreeSet::new(),
            armed: BTreeMap::new(),
            paid: 0,
            newest: None,
            transfers: 0,
            batches: 0,
            in_rough: true,
            options,
        };
        let mut all: Vec<usize> = (0..run.options.validators).collect();
        run.shuffle(&mut all);
        run.suspects = all.into_iter().take(run.options.f()).collect();
        run.broken = run.adversaries().into_iter().map(|(_, who)| who).collect();
        run.world.leaks = Some(Box::new(Leaks::new(run.options.seed)));
        run.make_weather();
        run.make_rogues();
        if run.options.observer {
            run.world.add_observer();
        }
        run
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }

    pub(super) fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.rng.draw() % below.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn is_suspect(&self, index: usize) -> bool {
        self.suspects.contains(&self.world.nodes[index].identity)
    }

    fn make_weather(&mut self) {
        let mut weather = Weather::new(self.options.seed ^ 0xfa11);
        for (fault, rate) in self.options.faults.clone() {
            if fault.strikes_packets() {
                weather.set_rate(fault, rate);
            } else {
                let first = self.rng.between(1, 2 * rate);
                self.after(first, Event::Strike(fault));
            }
        }
        for suspect in &self.suspects {
            weather.set_liar(*suspect);
        }
        self.world.weather = Some(Box::new(weather));
        if self.options.transfer_every_ms > 0 {
            self.after(1, Event::Transfer);
        }
        if self.options.renewals {
            let first = self.rng.between(1, self.options.epoch_ms.min(60_000));
            self.after(first, Event::Renew);
        }
        if self.options.membership {
            let half = self.options.rough_ms / 2;
            let (first, second) = (self.rng.between(1, half), self.rng.between(half, 2 * half));
            self.after(first, Event::Newcomer);
            self.after(second, Event::Leave);
        }
        if !self.options.adversaries.is_empty() {
            self.after(ACTS_EVERY_MS.0, Event::Act);
        }
    }

    fn make_rogues(&mut self) {
        let mut wired = BTreeMap::new();
        for (kind, who) in self.adversaries() {
            match kind {
                Adversary::Twin => {
                    let twin = self.world.add_twin(who);
                    self.broken.insert(twin);
                }
                Adversary::BatchWithholder => {
                    self.world.mute.insert(who);
                }
                _ => {}
            }
            let signer = toy::signer(self.options.real_signatures, consensus_signer(who));
            let rogue = Rogue::new(kind, self.world.chain, signer, self.options.seed ^ who as u64);
            let rogue = Rc::new(RefCell::new(rogue));
            self.rogues.push(rogue.clone());
            wired.insert(who, rogue);
        }
        let withholders: Vec<usize> = self.who_are(Adversary::BatchWithholder);
        if !withholders.is_empty() {
            use tacit_node::wire::FetchResponse;
            self.world.server = Some(Box::new(move |server, response| match response {
                FetchResponse::Batches(_) if withholders.contains(&server) => {
                    FetchResponse::Batches(Vec::new())
                }
                other => other,
            }));
        }
        self.world.crooked = wired.keys().copied().collect();
        if !wired.is_empty() {
            self.world.crook = Some(Box::new(move |from, to, message| match wired.get(&from) {
                Some(rogue) => rogue.borrow_mut().rewrite(to, message),
                None => vec![message],
            }));
        }
    }

    /// The adversaries of this run, and which validators they are.
    pub(super) fn adversaries(&self) -> Vec<(Adversary, usize)> {
        let kinds = self.options.adversaries.iter().copied();
        kinds.zip(self.suspects.iter().copied()).collect()
    }

    fn who_are(&self, kind: Adversary) -> Vec<usize> {
        let all = self.adversaries().into_iter();
        all.filter(|(one, _)| *one == kind).map(|(_, who)| who).collect()
    }

    pub(super) fn after(&mut self, ms: Millis, event: Event) {
        self.numbered += 1;
        self.timers.insert((self.world.now + ms, self.numbered), event);
    }

    /// The safety phase: nothing must break, whatever happens.
    pub(super) fn rough(&mut self) {
        let end = self.world.now + self.options.rough_ms;
        self.run_until(end, |_| false);
    }

    /// Runs to a time, or until something holds.
    fn run_until(&mut self, end: Millis, done: impl Fn(&World) -> bool) -> bool {
        loop {
            let next = self.timers.keys().next().map_or(end, |(at, _)| (*at).min(end));
            while self.world.advance(next) {
                if !self.world.fallen.is_empty() {
                    self.attend();
                }
                if done(&self.world) {
                    return true;
                }
            }
            while let Some(entry) = self
                .timers
                .first_entry()
                .filter(|entry| entry.key().0 <= self.world.now)
            {
                let event = entry.remove();
                self.happen(event);
                self.attend();
            }
            if done(&self.world) {
                return true;
            }
            if self.world.now >= end {
                return false;
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Strike(fault) if self.in_rough => {
                self.strike(fault);
                let mean = self.options.faults.get(&fault).copied().unwrap_or(1);
                let next = self.rng.between(1, 2 * mean);
                self.after(next, Event::Strike(fault));
            }
            Event::Strike(_) => {}
            Event::Heal(links) => self.mend(&links),
            Event::Move(left) if self.in_rough => self.move_partition(left),
            Event::Move(_) => {}
            Event::Restart(index) => self.restart(index),
            Event::Freed(index) => {
                self.world.nodes[index].store.set_full(false);
                self.armed.remove(&index);
            }
            Event::ClockSet(index) => self.world.nodes[index].clock = Default::default(),
            Event::Transfer if self.in_rough => {
                let at = self.below(self.world.nodes.len());
                self.transfer(at);
                self.bounds();
                let next = self.rng.between(1, 2 * self.options.transfer_every_ms);
                self.after(next, Event::Transfer);
            }
            Event::Transfer => {}
            Event::Renew if self.in_rough => {
                let index = self.below(self.options.validators);
                self.renew(index);
                let next = self.rng.between(1_000, self.options.epoch_ms.min(60_000));
                self.after(next, Event::Renew);
            }
            Event::Newcomer if self.in_rough => {
                let index = self.world.add_validator();
                self.after(2_000, Event::Join(index));
            }
            Event::Join(index) if self.in_rough => {
                let key = self.world.key_of(index);
                let seated = |world: &World| {
                    world
                        .record()
                        .validators
                        .iter()
                        .any(|seat| seat.node_key.0 == key)
                };
                if !self.anybody_up() || !seated(&self.world) {
                    self.renew(index);
                    self.after(10_000, Event::Join(index));
                }
            }
            Event::Leave if self.in_rough => self.leave(),
            Event::Renew | Event::Newcomer | Event::Join(_) | Event::Leave => {}
            Event::Act => {
                self.act();
                let next = self.rng.between(ACTS_EVERY_MS.0, ACTS_EVERY_MS.1);
                self.after(next, Event::Act);
            }
        }
    }

    /// A client pays at a node; none where the node takes nothing in.
    pub(super) fn transfer(&mut self, at: usize) -> Option<(Digest, ReceiptKey)> {
        let world = &mut self.world;
        if !world.nodes.iter().any(|node| node.is_up()) {
            return None;
        }
        let record = world.record();
        record.sealing_key.as_ref()?;
        let node = &world.nodes[at];
        let (held, secret) = node.opener.clone()?;
        if held != record.epoch || !node.is_up() || node.paused_until > world.now {
            return None;
        }
        let had = self
            .newest
            .filter(|id| world.nodes.iter().any(|node| node.has(id)));
        if had.is_some() {
            (self.paid, self.newest) = (self.paid + 1, None);
        }
        let to = world.leaks.as_mut()?.account();
        let (envelope, key) = world.seal(&alice(), self.paid, pay(to, 1));
        let opened = world.opens(held, &secret, &envelope)?;
        let id = world.submit_as(at, &envelope, opened).ok()?;
        self.transfers += 1;
        self.newest.get_or_insert(id);
        Some((id, key))
    }

    fn anybody_up(&self) -> bool {
        self.world.nodes.iter().any(|node| node.is_up())
    }

    /// A validator's machine attests again, as far as it gets with that just now.
    fn renew(&mut self, index: usize) {
        let node = &self.world.nodes[index];
        if !node.is_up() || node.paused_until > self.world.now || node.height() == 0 {
            return;
        }
        if let Some(tx) = self.world.try_renewal(index)
            && self.world.nodes[index].is_up()
        {
            self.hand_in(index, &tx);
        }
    }

    /// An operator asks that its validator may go, once the newcomer has a seat.
    fn leave(&mut self) {
        let index = self.below(self.options.validators);
        let able = self.anybody_up() && self.world.record().validators.len() > self.options.validators;
        let registered = able
            && self
                .world
                .public()
                .registration(&format!("val-{index}"))
                .is_some();
        match registered && !self.is_suspect(index) {
            true => {
                let tx = self.world.leave(index);
                for at in 0..self.options.validators {
                    self.hand_in(at, &tx);
                }
            }
            false => self.after(20_000, Event::Leave),
        }
    }

    fn hand_in(&mut self, at: usize, tx: &SystemTx) {
        let node = &self.world.nodes[at];
        if node.is_up() && node.paused_until <= self.world.now {
            // It is refused while an epoch ends, or because another one was quicker.
            let _ = self.world.hand_in(at, tx);
        }
    }

    /// What adversaries do by themselves.
    fn act(&mut self) {
        for (kind, who) in self.adversaries() {
            if !self.world.nodes[who].is_up() {
                continue;
            }
            match kind {
                Adversary::GarbageBatches => self.inject_garbage(who),
                Adversary::RolledBackDisk if self.in_rough && self.rng.chance(60) => self.set_back(who),
                Adversary::Spammer => self.send_nonsense(who),
                _ => continue,
            }
            if let Some(rogue) = self.rogues.iter().find(|rogue| rogue.borrow().is(kind)) {
                rogue.borrow_mut().acts += 1;
            }
        }
    }

    fn inject_garbage(&mut self, who: usize) {
        let record = self.world.record();
        if record.sealing_key.is_none() || self.rng.chance(600) {
            return;
        }
        let stranger = SealingSecret::derive(&[5; 32]);
        let (epoch, expiry) = (record.epoch, self.world.top() + 500);
        let bad = (0..self.rng.between(1, 4)).map(|nonce| {
            let action = pay(bob().id(), 1);
            let key = stranger.public();
            self.world.seal_to(key, epoch, expiry, &alice(), nonce, action).0
        });
        let bad = bad.collect();
        self.batches += 1;
        // Above the numbers that the clock gives.
        let batch = self.world.batch(who, u64::MAX / 2 + self.batches, bad);
        self.world.inject(who, &batch);
    }

    fn send_nonsense(&mut self, who: usize) {
        let bytes: Vec<u8> = (0..self.rng.between(1, 200))
            .map(|_| self.rng.draw() as u8)
            .collect();
        for to in (0..self.world.nodes.len()).filter(|to| *to != who) {
            self.world.send_raw(who, to, bytes.clone());
        }
    }

    /// What a node may hold in memory, whoever sends what (B1).
    fn bounds(&mut self) {
        for node in self.world.nodes.iter().filter(|node| node.is_up()) {
            let replica = node.up();
            let held = replica.mempool_size().1 + replica.system_size().1;
            assert!(
                held <= MAX_HELD_BYTES,
                "B1: node {} holds {held} bytes",
                node.index
            );
        }
    }

    /// The liveness phase: a core of n - f, chosen by the seed among those who are not suspect, is repaired and connected; the
    /// rest stay as broken as they are. It must commit a new transaction within [`LIVE_WITHIN_MS`]; how long it took.
    pub(super) fn live(&mut self) -> Millis {
        self.in_rough = false;
        let core = self.choose_core();
        let begun = self.world.now;
        self.repair(&core);
        let mut offered = BTreeMap::new();
        let limit = begun + LIVE_WITHIN_MS;
        loop {
            for at in &core {
                let has = |id: &Digest| core.iter().all(|index| self.world.nodes[*index].has(id));
                // What was taken in while an epoch ended may be left behind: it is brought again.
                let fresh = offered
                    .values()
                    .all(|(id, _, since)| !has(id) && self.world.now > since + 5_000);
                if (offered.is_empty() || fresh)
                    && let Some((id, key)) = self.transfer(*at)
                {
                    offered.insert(offered.len(), (id, key, self.world.now));
                }
            }
            let ids: Vec<Digest> = offered.values().map(|(id, ..)| *id).collect();
            let members = core.clone();
            let final_everywhere = move |world: &World| {
                ids.iter()
                    .any(|id| members.iter().all(|index| world.nodes[*index].has(id)))
            };
            let step = (self.world.now + 500).min(limit);
            if self.run_until(step, final_everywhere) {
                break;
            }
            assert!(
                self.world.now < limit,
                "L1: the core {core:?} commits nothing new within {LIVE_WITHIN_MS} ms\n{}",
                self.world.picture()
            );
        }
        let took = self.world.now - begun;
        // Its receipt is provable when a later block states the root.
        let limit = self.world.now + LIVE_WITHIN_MS;
        let proven = offered
            .into_values()
            .find(|(id, ..)| core.iter().all(|index| self.world.nodes[*index].has(id)));
        if let Some((id, key, _)) = proven {
            let members = core.clone();
            let all = move |world: &World| members.iter().all(|index| world.proof(*index, &id).is_some());
            assert!(
                self.run_until(limit, all),
                "S12: no proof of {id} at all of {core:?}"
            );
            for index in &core {
                let proof = self.world.proof(*index, &id).expect("just seen");
                assert!(
                    proof.sealed.open(&key).is_ok(),
                    "S12: a receipt that does not open at {index}"
                );
            }
        }
        took
    }

    /// n - f of those who have seats in the newest epoch, none of them broken for good.
    fn choose_core(&mut self) -> Vec<usize> {
        let seats: Vec<_> = match self.anybody_up() {
            true => self
                .world
                .record()
                .validators
                .iter()
                .map(|seat| seat.node_key.0)
                .collect(),
            false => (0..self.options.validators)
                .map(|index| self.world.key_of(index))
                .collect(),
        };
        let mut able: Vec<usize> = (0..self.world.nodes.len())
            .filter(|index| seats.contains(&self.world.key_of(*index)) && !self.broken.contains(index))
            .collect();
        self.shuffle(&mut able);
        let needed = seats.len() - (seats.len() - 1) / 3;
        assert!(
            able.len() >= needed,
            "harness: {} of {} seats are broken",
            seats.len() - able.len(),
            seats.len()
        );
        able.truncate(needed);
        able
    }

    fn repair(&mut self, core: &[usize]) {
        let weather = self.world.weather.as_mut().expect("weather");
        weather.calm(core);
        for index in core {
            let node = &mut self.world.nodes[*index];
            node.clock = Default::default();
            node.paused_until = 0;
            node.cut_at_failure = false;
            node.store.set_full(false);
            node.store.killed();
            if let Some(vault) = &node.vault {
                vault.mend();
            }
            node.dies_in = None;
            self.armed.remove(index);
            if !self.world.nodes[*index].is_up() {
                self.start(*index);
            }
        }
        let links: Vec<(usize, usize)> = core
            .iter()
            .flat_map(|from| core.iter().map(move |to| (*from, *to)))
            .filter(|(from, to)| from != to)
            .collect();
        self.mend(&links);
    }
}
