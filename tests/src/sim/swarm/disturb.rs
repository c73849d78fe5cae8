//! Faults that have moments of their own, and what follows from them: who is down comes back, what was cut is mended.

use tacit_consensus::Millis;
use tacit_ledger::{Column, Durability, Store, WriteBatch};

use super::{
    fault::Fault,
    phases::{Event, Run},
};
use crate::sim::wire::{Delivery, Packet};

/// How long links stay cut, in milliseconds.
const CUT_MS: (Millis, Millis) = (200, 30_000);
/// How long one shape of a moving partition lasts.
const MOVE_MS: (Millis, Millis) = (200, 3_000);
/// How long slow links stay slow, and by how much.
const SLOW_MS: (Millis, Millis) = (2_000, 60_000);
const SLOW_BY_MS: (Millis, Millis) = (50, 1_500);
/// How long a process is down, most of the time and at the longest.
const DOWN_MS: (Millis, Millis) = (20, 3_000);
const LONG_DOWN_MS: (Millis, Millis) = (10_000, 60_000);
/// How long a process is stopped.
const PAUSE_MS: (Millis, Millis) = (1_000, 60_000);
/// How far a correct node's clock may be off: well within what leaders and voters bear.
const CLOCK_OFF_MS: i64 = 400;
/// How long a clock is wrong.
const CLOCK_WRONG_MS: (Millis, Millis) = (3_000, 40_000);
/// How wrong a suspect's clock may be.
const CLOCK_FAR_OFF_MS: i64 = 3_600_000;

impl Run {
    fn span(&mut self, (low, high): (Millis, Millis)) -> Millis {
        self.rng.between(low, high)
    }

    fn struck(&mut self, fault: Fault) {
        let weather = self.world.weather.as_mut().expect("weather");
        weather.counts.strike(fault);
        if matches!(
            fault,
            Fault::SubsetLost | Fault::BlockDamaged | Fault::ImageRestored
        ) {
            self.broken.extend(self.suspects.iter().copied());
        }
        self.world.note(&[b"fault", fault.name().as_bytes()]);
    }

    /// Somebody whom this kind of fault may meet.
    fn victim(&mut self, fault: Fault) -> Option<usize> {
        let able = |index: &usize| !fault.is_beyond_a_correct_node() || self.is_suspect(*index);
        let all: Vec<usize> = (0..self.world.nodes.len()).filter(able).collect();
        let place = self.below(all.len());
        all.get(place).copied()
    }

    pub(super) fn strike(&mut self, fault: Fault) {
        let Some(index) = self.victim(fault) else { return };
        match fault {
            Fault::OneWay
            | Fault::Partition
            | Fault::Ring
            | Fault::Bridge
            | Fault::MovingPartition
            | Fault::Clog
            | Fault::SlowLink
            | Fault::SlowNode
            | Fault::Flap => self.strike_network(fault, index),
            Fault::ClockOffset
            | Fault::ClockRate
            | Fault::ClockAhead
            | Fault::ClockBack
            | Fault::ClockStops => self.strike_clock(fault, index),
            Fault::CrashAll => {
                self.struck(fault);
                let power = self.rng.chance(500);
                for index in 0..self.world.nodes.len() {
                    self.fell(index, power.then_some(Fault::UnsyncedLost));
                    let down = self.span(DOWN_MS);
                    self.after(down, Event::Restart(index));
                }
            }
            _ if self.world.nodes[index].is_up() => self.strike_node(fault, index),
            _ => {}
        }
    }

    fn strike_node(&mut self, fault: Fault, index: usize) {
        let k = self.rng.between(0, 12);
        let arms = matches!(
            fault,
            Fault::PowerCut
                | Fault::WriteFails
                | Fault::SyncFails
                | Fault::CrashMidStep
                | Fault::VaultFails
                | Fault::VaultCut
                | Fault::DiskFull
        );
        if arms && self.armed.contains_key(&index) {
            return;
        }
        let node = &mut self.world.nodes[index];
        match fault {
            Fault::UnsyncedLost
            | Fault::SuffixLost
            | Fault::SubsetLost
            | Fault::Crash
            | Fault::SlowRestart => {
                let power = matches!(fault, Fault::UnsyncedLost | Fault::SuffixLost | Fault::SubsetLost);
                self.fell(index, power.then_some(fault));
                self.struck(fault);
                let down = self.span(match fault {
                    Fault::SlowRestart => LONG_DOWN_MS,
                    _ => DOWN_MS,
                });
                self.after(down, Event::Restart(index));
            }
            // These strike when the node falls over them.
            Fault::PowerCut | Fault::WriteFails => {
                node.store.fail_write(k);
                node.cut_at_failure = fault == Fault::PowerCut;
                self.armed.insert(index, fault);
            }
            Fault::SyncFails => {
                node.store.fail_sync(k);
                self.armed.insert(index, fault);
            }
            Fault::CrashMidStep => {
                node.dies_in = Some(u32::try_from(k).unwrap_or(0));
                self.armed.insert(index, fault);
            }
            Fault::VaultFails | Fault::VaultCut => {
                let store = node.store.clone();
                let Some(vault) = &node.vault else { return };
                match fault {
                    Fault::VaultFails => vault.fail_save(k % 2),
                    _ => vault.cut_after_save(k % 2, store),
                }
                self.armed.insert(index, fault);
            }
            Fault::DiskFull => {
                node.store.set_full(true);
                self.armed.insert(index, fault);
                let long = self.span(CUT_MS);
                self.after(long, Event::Freed(index));
            }
            Fault::Pause => {
                let long = self.span(PAUSE_MS);
                self.world.nodes[index].paused_until = self.world.now + long;
                self.struck(fault);
            }
            Fault::BlockDamaged => self.damage(index),
            Fault::ImageRestored => self.set_back(index),
            _ => {}
        }
    }

    fn strike_network(&mut self, fault: Fault, index: usize) {
        let count = self.world.nodes.len();
        let other = (index + 1 + self.below(count - 1)) % count;
        let weather = self.world.weather.as_mut().expect("weather");
        match fault {
            Fault::Clog => {
                let until = self.world.now + self.rng.between(500, 8_000);
                weather.clog(index, other, until);
            }
            Fault::SlowLink | Fault::SlowNode => {
                let until = self.world.now + self.rng.between(SLOW_MS.0, SLOW_MS.1);
                let by = self.rng.between(SLOW_BY_MS.0, SLOW_BY_MS.1);
                let all = 0..count;
                for peer in all.filter(|peer| *peer == other || fault == Fault::SlowNode) {
                    weather.slow(fault, index, peer, until, by);
                    weather.slow(fault, peer, index, until, by);
                }
            }
            Fault::Flap => {
                self.struck(fault);
                for (from, to) in [(index, other), (other, index)] {
                    let broken = self.world.now + 1;
                    let peer = self.world.key_of(from);
                    let packet = Packet::Disconnected(peer);
                    self.world.queue_at(broken, Delivery { from, to, packet });
                    let packet = Packet::Connected(peer);
                    self.world.queue_at(broken + 100, Delivery { from, to, packet });
                }
            }
            Fault::OneWay => self.cut(fault, vec![(index, other)], CUT_MS),
            Fault::MovingPartition => {
                let moves = self.rng.between(2, 10);
                self.move_partition(moves);
            }
            _ => {
                let links = self.shape(fault);
                self.cut(fault, links, CUT_MS);
            }
        }
    }

    /// The links that are cut in a network of this shape.
    fn shape(&mut self, fault: Fault) -> Vec<(usize, usize)> {
        let count = self.world.nodes.len();
        let mut order: Vec<usize> = (0..count).collect();
        self.shuffle(&mut order);
        let half = 1 + self.below(count - 1);
        let apart = |a: usize, b: usize| match fault {
            Fault::Ring => (a + 1) % count != b && (b + 1) % count != a,
            // The first one is the bridge.
            Fault::Bridge => a != 0 && b != 0 && (a <= half) != (b <= half),
            _ => (a < half) != (b < half),
        };
        let pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
        let cut = pairs.filter(|(a, b)| a != b && apart(*a, *b));
        cut.map(|(a, b)| (order[a], order[b])).collect()
    }

    fn cut(&mut self, fault: Fault, links: Vec<(usize, usize)>, long: (Millis, Millis)) {
        let weather = self.world.weather.as_mut().expect("weather");
        for (from, to) in &links {
            weather.cut(fault, *from, *to);
        }
        let long = self.span(long);
        self.after(long, Event::Heal(links));
    }

    pub(super) fn move_partition(&mut self, left: u64) {
        let links = self.shape(Fault::MovingPartition);
        self.cut(Fault::MovingPartition, links, MOVE_MS);
        if left > 0 {
            self.after(MOVE_MS.1, Event::Move(left - 1));
        }
    }

    /// Links work again: both ends notice.
    pub(super) fn mend(&mut self, links: &[(usize, usize)]) {
        for (from, to) in links {
            let weather = self.world.weather.as_mut().expect("weather");
            if weather.mend(*from, *to) && self.world.nodes[*from].is_up() {
                self.world.connect(*from, *to);
            }
        }
    }

    fn strike_clock(&mut self, fault: Fault, index: usize) {
        let (now, suspect) = (self.world.now, self.is_suspect(index));
        let most = match suspect {
            true => CLOCK_FAR_OFF_MS,
            false => CLOCK_OFF_MS,
        };
        let off = i64::try_from(self.rng.between(1, most.unsigned_abs())).unwrap_or(1);
        let rate = match suspect {
            true => self.rng.between(500, 2_000),
            false => self.rng.between(995, 1_005),
        };
        let clock = &mut self.world.nodes[index].clock;
        if *clock != Default::default() && !suspect {
            return;
        }
        match fault {
            Fault::ClockOffset if rate % 2 == 0 => clock.step(now, off),
            Fault::ClockOffset => clock.step(now, -off),
            Fault::ClockRate => clock.run(now, rate),
            Fault::ClockAhead => clock.step(now, off),
            Fault::ClockBack => clock.step(now, -off),
            _ => clock.run(now, 0),
        }
        self.struck(fault);
        let long = match fault {
            // A correct machine's clock does not stand still for longer than it may be wrong.
            Fault::ClockStops if !suspect => self.rng.between(50, CLOCK_OFF_MS.unsigned_abs()),
            _ => self.span(CLOCK_WRONG_MS),
        };
        self.after(long, Event::ClockSet(index));
    }

    /// A process ends, by itself or with the power.
    fn fell(&mut self, index: usize, power: Option<Fault>) {
        let node = &mut self.world.nodes[index];
        node.cut_at_failure = false;
        let keep = self.rng.draw();
        match power {
            None => node.store.killed(),
            Some(Fault::SuffixLost) => {
                let some = usize::try_from(keep).unwrap_or(0) % (node.store.unsynced() + 1);
                node.store.crash_keeping(some);
            }
            Some(Fault::SubsetLost) => node.store.crash_keeping_where(|at| keep >> (at % 64) & 1 == 1),
            Some(_) => node.store.crash(),
        }
        if let Some(vault) = &node.vault {
            vault.mend();
        }
        // A disk that is full stays so: the next start may fail as well.
        if self.armed.get(&index) != Some(&Fault::DiskFull) {
            self.armed.remove(&index);
        }
        self.world.go_down(index);
    }

    /// Looks at who fell by itself.
    pub(super) fn attend(&mut self) {
        for index in std::mem::take(&mut self.world.fallen) {
            let by = self.armed.get(&index).copied();
            if let Some(fault) = by {
                self.struck(fault);
            }
            let node = &self.world.nodes[index];
            let power = node.cut_at_failure || by == Some(Fault::VaultCut);
            let lost = [Fault::UnsyncedLost, Fault::SuffixLost][self.below(2)];
            if by.is_none() && !self.is_suspect(index) {
                let why = self.world.nodes[index].halted.clone();
                panic!("halt: node {index} stopped by itself: {why:?}");
            }
            self.fell(index, power.then_some(lost));
            let down = self.span(DOWN_MS);
            self.after(down, Event::Restart(index));
        }
    }

    pub(super) fn restart(&mut self, index: usize) {
        if self.world.nodes[index].is_up() {
            return;
        }
        match self.world.try_start(index) {
            Ok(()) => {
                // What was armed before is over; a full disk is not.
                if self
                    .armed
                    .get(&index)
                    .is_some_and(|fault| *fault != Fault::DiskFull)
                {
                    self.armed.remove(&index);
                }
            }
            Err(error) => {
                let full = self.armed.get(&index) == Some(&Fault::DiskFull);
                assert!(
                    full || self.is_suspect(index),
                    "start: node {index} does not start: {error}"
                );
                let later = self.span(DOWN_MS);
                self.after(later, Event::Restart(index));
            }
        }
    }

    /// Starts one that must start.
    pub(super) fn start(&mut self, index: usize) {
        if let Err(error) = self.world.try_start(index) {
            let log = self.world.nodes[index].log();
            panic!(
                "start: node {index} does not start: {error}; it keeps blocks from {:?}, and reported up to {:?}",
                log.first(),
                self.world.nodes[index].seen.committed.last_key_value()
            );
        }
    }

    /// A byte of a stored block changes.
    fn damage(&mut self, index: usize) {
        let store = self.world.nodes[index].store.clone();
        let blocks = store
            .scan(Column::Blocks, &[], usize::MAX, false)
            .expect("readable");
        let place = self.below(blocks.len());
        let Some((key, mut value)) = blocks.into_iter().nth(place) else {
            return;
        };
        let at = self.below(value.len());
        if let Some(byte) = value.get_mut(at) {
            *byte ^= 1 << self.below(8);
        }
        let mut writes = WriteBatch::new();
        writes.put(Column::Blocks, key, value);
        // One that was told to fail has its fault already.
        if store.commit(writes, Durability::Synced).is_ok() {
            self.struck(Fault::BlockDamaged);
        }
    }

    /// An earlier image of disk and keyring is put in place; an image is made of what is there.
    pub(super) fn set_back(&mut self, index: usize) {
        if self.world.nodes[index].vault.is_none() {
            return;
        }
        let now = self.world.nodes[index].image();
        let images = self.images.entry(index).or_default();
        let place = self.rng.draw() % images.len().max(1) as u64;
        let old = images.get(usize::try_from(place).unwrap_or(0)).cloned();
        images.push(now);
        if images.len() > super::phases::IMAGES {
            images.remove(0);
        }
        let Some(old) = old else { return };
        self.fell(index, None);
        let node = &mut self.world.nodes[index];
        node.restore(&old);
        let head = node.log().head().ok().flatten();
        let height = head.map_or(0, |head| head.block.header.height);
        self.world.checker.set_back(index, height);
        self.world.checker.may_contradict(index);
        self.struck(Fault::ImageRestored);
        let down = self.span(DOWN_MS);
        self.after(down, Event::Restart(index));
    }
}
