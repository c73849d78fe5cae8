//! A flood: wallets that seal and send without waiting for anything, as many as they are told to, whether nodes take them in
//! or not. What becomes of it is for the chain to tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;
use crate::facts::Facts;
use crate::load::{LoadOptions, check};
use crate::pause::pause;
use crate::purse;

/// What became of a flood at the doors of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FloodReport {
    /// Sealed and sent.
    pub sent: u64,
    /// Taken in.
    pub accepted: u64,
    /// Refused, or not answered.
    pub refused: u64,
    /// Sent a second.
    pub sent_per_s: f64,
    /// How often each code was met.
    pub errors: BTreeMap<String, u64>,
}

/// Floods a running network; `options.rate` must be set, and `options.patience` is not used.
///
/// # Errors
/// As [`crate::load()`].
pub fn flood(facts: &Facts, options: &LoadOptions) -> Result<FloodReport, Error> {
    check(facts, options)?;
    let purses = purse::load_purses(facts, options)?;
    let (next, start) = (AtomicU64::new(0), Instant::now());
    let length = Duration::from_secs(options.seconds);
    let mut report = FloodReport::default();
    thread::scope(|scope| {
        let next = &next;
        let workers: Vec<_> = purses
            .into_iter()
            .map(|mut purse| {
                scope.spawn(move || {
                    let mut own = FloodReport::default();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if options.rate > 0.0 {
                            let due = Duration::from_secs_f64(number as f64 / options.rate);
                            pause(due.saturating_sub(start.elapsed()));
                        }
                        if start.elapsed() >= length {
                            return own;
                        }
                        own.sent += 1;
                        match purse.throw(number, options.kind) {
                            Ok(()) => own.accepted += 1,
                            Err(code) => {
                                own.refused += 1;
                                *own.errors.entry(code.to_owned()).or_default() += 1;
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            // A worker that broke has sent nothing that counts.
            let own = worker.join().unwrap_or_default();
            report.sent += own.sent;
            report.accepted += own.accepted;
            report.refused += own.refused;
            for (code, count) in own.errors {
                *report.errors.entry(code).or_default() += count;
            }
        }
    });
    report.sent_per_s = report.sent as f64 / start.elapsed().as_secs_f64().max(0.001);
    Ok(report)
}
