//! Load: many wallets that seal, submit, wait and verify for real.
//!
//! Transaction k is due at `start + k / rate`. A wallet takes the next one that is due, sends it, and follows it to a
//! verified receipt before it takes another. When all wallets are busy, transactions that fall due are late, and
//! those still not begun at the end count as `skipped`: a network that is slower than the rate cannot hide it, and a
//! latency is always from a real submit to a verified commit. (The rate that n wallets can carry is n divided by the
//! latency.)

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tacit_consensus::Digest;

use crate::error::Error;
use crate::facts::Facts;
use crate::pause::pause;
use crate::purse;
use crate::stats::Percentiles;

/// Threads on one machine beyond which the machine is measured and not the network.
pub const MAX_WALLETS: u16 = 512;
/// Transactions a second, at most.
pub const MAX_RATE: f64 = 10_000.0;
/// Seconds, at most.
pub const MAX_SECONDS: u64 = 24 * 3_600;

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadKind {
    /// The smallest amount to the next wallet.
    Transfer,
    /// A message to the next wallet.
    Message,
    /// By turns.
    Mixed,
}

/// How much load.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Transactions a second; 0 means as many as the wallets can.
    pub rate: f64,
    /// For how long new ones are begun.
    pub seconds: u64,
    /// How many wallets, at most the network's load accounts.
    pub wallets: u16,
    /// What they do.
    pub kind: LoadKind,
    /// How long one transaction is followed before it counts as lost.
    pub patience: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        let patience = Duration::from_secs(60);
        LoadOptions {
            rate: 20.0,
            seconds: 30,
            wallets: 32,
            kind: LoadKind::Transfer,
            patience,
        }
    }
}

/// What became of the load. `sent = accepted + refused` and `accepted = committed + failed + expired + lost`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// What the transactions did.
    pub kind: LoadKind,
    /// Wallets at work.
    pub wallets: u16,
    /// Transactions that fell due; equal to `sent` when no rate was set.
    pub due: u64,
    /// Of these, not begun in time because every wallet was busy.
    pub skipped: u64,
    /// Begun.
    pub sent: u64,
    /// Taken in by a node.
    pub accepted: u64,
    /// Not taken in.
    pub refused: u64,
    /// Final, with a verified receipt that says applied.
    pub committed: u64,
    /// Final, with a verified receipt that says failed.
    pub failed: u64,
    /// Given up by the wallet, because what it sealed expired, or its epoch closed, each time.
    pub expired: u64,
    /// Taken in, and then nothing verified was learnt of them in time. Must be 0.
    pub lost: u64,
    /// Committed a second, over the time from the first submit to the last commit.
    pub tx_per_s: f64,
    /// From submit to verified commit.
    pub latency_ms: Percentiles,
    /// That time, seconds.
    pub seconds: f64,
    /// How often each code was met.
    pub errors: BTreeMap<String, u64>,
    /// The committed ones, in no order: whoever doubts can ask any node for them.
    #[serde(skip)]
    pub ids: Vec<Digest>,
}

/// What became of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A verified receipt says applied.
    Committed(Digest),
    /// A verified receipt says failed, for this reason.
    Failed(String),
    /// Accepted, but it expired however often it was sealed.
    Expired(String),
    /// No node took it in.
    Refused(String),
    /// Accepted, and nothing verified since.
    Lost(String),
}

/// Somebody who sends one transaction and follows it to its end. May block; ends within the patience that it was made with.
pub(crate) trait Sender: Send {
    /// Sends the `number`-th transaction of this load.
    fn send(&mut self, number: u64, kind: LoadKind) -> Fate;
}

/// Puts load on a running network.
pub fn load(facts: &Facts, options: &LoadOptions) -> Result<LoadReport, Error> {
    load_until(facts, options, &AtomicBool::new(false))
}

/// The same, ending early once it is told to: what was begun is followed to its end.
pub fn load_until(facts: &Facts, options: &LoadOptions, stop: &AtomicBool) -> Result<LoadReport, Error> {
    check(facts, options)?;
    let purses = purse::load_purses(facts, options)?;
    Ok(run(purses, options, stop))
}

fn check(facts: &Facts, options: &LoadOptions) -> Result<(), Error> {
    let most = facts.load_accounts.min(MAX_WALLETS);
    if options.wallets < 2 || options.wallets > most {
        let what = format!(
            "2 to {most} wallets can put load on this network, not {}",
            options.wallets
        );
        return Err(Error::Usage(what));
    }
    if !(0.0..=MAX_RATE).contains(&options.rate) {
        return Err(Error::Usage(format!(
            "a rate of 0 to {MAX_RATE} transactions a second, not {}",
            options.rate
        )));
    }
    if !(1..=MAX_SECONDS).contains(&options.seconds) {
        return Err(Error::Usage(format!(
            "1 to {MAX_SECONDS} seconds, not {}",
            options.seconds
        )));
    }
    Ok(())
}

/// One thread a sender.
fn run<S: Sender>(senders: Vec<S>, options: &LoadOptions, stop: &AtomicBool) -> LoadReport {
    let wallets = senders.len() as u16;
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let length = Duration::from_secs(options.seconds);
    let due_in_all = (options.rate * options.seconds as f64).ceil() as u64;
    let mut tallies = Vec::new();
    thread::scope(|scope| {
        let (next, mut workers) = (&next, Vec::new());
        for mut sender in senders {
            workers.push(scope.spawn(move || {
                let mut tally = Tally::default();
                loop {
                    if start.elapsed() >= length || stop.load(Ordering::Relaxed) {
                        tally.over = Some(Instant::now());
                        return tally;
                    }
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if options.rate > 0.0 {
                        if number >= due_in_all {
                            return tally;
                        }
                        let due = Duration::from_secs_f64(number as f64 / options.rate);
                        pause(due.saturating_sub(start.elapsed()));
                    }
                    let begun = Instant::now();
                    let fate = sender.send(number, options.kind);
                    tally.add(fate, begun, Instant::now());
                }
            }));
        }
        // A worker that panicked has lost what it was doing; that must not look like success.
        tallies.extend(
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Tally::broken())),
        );
    });
    let tally = tallies.into_iter().fold(Tally::default(), Tally::merge);
    let due_in_all = match (tally.over, stop.load(Ordering::Relaxed)) {
        (Some(over), true) => (options.rate * (over - start).min(length).as_secs_f64()).ceil() as u64,
        _ => due_in_all,
    };
    tally.report(options, wallets, due_in_all)
}

#[derive(Default)]
struct Tally {
    committed: u64,
    failed: u64,
    expired: u64,
    refused: u64,
    lost: u64,
    latencies: Vec<Duration>,
    first: Option<Instant>,
    last: Option<Instant>,
    /// When a worker ended because the time was up.
    over: Option<Instant>,
    errors: BTreeMap<String, u64>,
    ids: Vec<Digest>,
}

impl Tally {
    fn broken() -> Tally {
        Tally {
            lost: 1,
            errors: BTreeMap::from([("internal".to_string(), 1)]),
            ..Tally::default()
        }
    }

    fn add(&mut self, fate: Fate, begun: Instant, ended: Instant) {
        self.first = Some(self.first.map_or(begun, |first| first.min(begun)));
        let (count, code) = match fate {
            Fate::Committed(id) => {
                self.ids.push(id);
                self.latencies.push(ended - begun);
                self.last = self.last.max(Some(ended));
                (&mut self.committed, None)
            }
            Fate::Failed(code) => (&mut self.failed, Some(code)),
            Fate::Expired(code) => (&mut self.expired, Some(code)),
            Fate::Refused(code) => (&mut self.refused, Some(code)),
            Fate::Lost(code) => (&mut self.lost, Some(code)),
        };
        *count += 1;
        if let Some(code) = code {
            *self.errors.entry(code).or_default() += 1;
        }
    }

    fn merge(mut self, other: Tally) -> Tally {
        self.committed += other.committed;
        self.failed += other.failed;
        self.expired += other.expired;
        self.refused += other.refused;
        self.lost += other.lost;
        self.latencies.extend(other.latencies);
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.over = [self.over, other.over].into_iter().flatten().min();
        self.ids.extend(other.ids);
        for (code, n) in other.errors {
            *self.errors.entry(code).or_default() += n;
        }
        self
    }

    fn report(self, options: &LoadOptions, wallets: u16, due_in_all: u64) -> LoadReport {
        let accepted = self.committed + self.failed + self.expired + self.lost;
        let sent = accepted + self.refused;
        let due = if options.rate > 0.0 { due_in_all } else { sent };
        let took = match (self.first, self.last) {
            (Some(first), Some(last)) => last.saturating_duration_since(first).as_secs_f64(),
            _ => 0.0,
        };
        LoadReport {
            kind: options.kind,
            wallets,
            due,
            skipped: due.saturating_sub(sent),
            sent,
            accepted,
            refused: self.refused,
            committed: self.committed,
            failed: self.failed,
            expired: self.expired,
            lost: self.lost,
            tx_per_s: if took > 0.0 {
                self.committed as f64 / took
            } else {
                0.0
            },
            latency_ms: Percentiles::of(&self.latencies),
            seconds: took,
            errors: self.errors,
            ids: self.ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Takes a fixed time and has each tenth transaction end in another way.
    struct Scripted(Duration);

    impl Sender for Scripted {
        fn send(&mut self, number: u64, _: LoadKind) -> Fate {
            pause(self.0);
            match number % 10 {
                1 => Fate::Failed("tx.failed".into()),
                2 => Fate::Expired("tx.expired".into()),
                3 => Fate::Refused("mempool.full".into()),
                4 => Fate::Lost("wait.timeout".into()),
                _ => Fate::Committed(Digest::ZERO),
            }
        }
    }

    /// Never stopped early.
    static GO: AtomicBool = AtomicBool::new(false);

    fn options(rate: f64) -> LoadOptions {
        LoadOptions {
            rate,
            seconds: 1,
            ..LoadOptions::default()
        }
    }

    #[test]
    fn every_transaction_is_counted_once() {
        let senders = (0..8).map(|_| Scripted(Duration::from_millis(1))).collect();
        let report = run(senders, &options(100.0), &GO);
        assert_eq!(report.due, 100);
        assert_eq!(report.sent + report.skipped, 100);
        assert_eq!(report.sent, report.accepted + report.refused);
        assert_eq!(
            report.accepted,
            report.committed + report.failed + report.expired + report.lost
        );
        assert!(report.failed > 0 && report.expired > 0 && report.refused > 0 && report.lost > 0);
        assert_eq!(report.errors["tx.failed"], report.failed);
        assert_eq!(report.errors["wait.timeout"], report.lost);
        assert!(report.latency_ms.p50 >= 1.0);
        assert!(report.tx_per_s > 0.0);
    }

    #[test]
    fn a_network_slower_than_the_rate_shows_as_skipped() {
        let report = run(vec![Scripted(Duration::from_millis(300))], &options(100.0), &GO);
        assert!(report.sent <= 4, "{report:?}");
        assert_eq!(report.skipped, 100 - report.sent);
    }

    #[test]
    fn without_a_rate_the_wallets_set_the_pace() {
        let report = run(vec![Scripted(Duration::from_millis(10))], &options(0.0), &GO);
        assert!(report.sent > 10 && report.skipped == 0, "{report:?}");
    }

    #[test]
    fn a_load_that_is_stopped_owes_what_fell_due_until_then() {
        let stop = AtomicBool::new(true);
        let report = run(vec![Scripted(Duration::ZERO)], &options(100.0), &stop);
        assert!(report.sent <= report.due && report.due < 50, "{report:?}");
    }

    #[test]
    fn a_worker_that_breaks_is_a_lost_transaction() {
        struct Broken;
        impl Sender for Broken {
            fn send(&mut self, _: u64, _: LoadKind) -> Fate {
                panic!("deliberate")
            }
        }
        let report = run(vec![Broken], &options(0.0), &GO);
        assert_eq!((report.lost, report.committed), (1, 0));
    }

    #[test]
    fn impossible_loads_are_refused() {
        let mut facts = crate::facts::tests::sample(Path::new("/x"));
        facts.load_accounts = 32;
        assert!(check(&facts, &LoadOptions::default()).is_ok());
        for bad in [
            LoadOptions {
                wallets: 1,
                ..LoadOptions::default()
            },
            LoadOptions {
                wallets: 33,
                ..LoadOptions::default()
            },
            LoadOptions {
                rate: f64::NAN,
                ..LoadOptions::default()
            },
            LoadOptions {
                rate: -1.0,
                ..LoadOptions::default()
            },
            LoadOptions {
                seconds: 0,
                ..LoadOptions::default()
            },
        ] {
            assert!(matches!(check(&facts, &bad), Err(Error::Usage(_))), "{bad:?}");
        }
    }
}
