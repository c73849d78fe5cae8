//! What happened when: blocks made, blocks committed, processor time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Names a block by what its leader's application made: the same for both engines.
pub(crate) type Name = [u8; 32];

/// One commit at one replica.
#[derive(Clone, Copy)]
pub(crate) struct Commit {
    pub(crate) at: Instant,
    /// Since the leader's application was asked for the block.
    pub(crate) latency: Duration,
}

/// Written by all replicas of one network.
pub(crate) struct Book {
    made: Mutex<HashMap<Name, Instant>>,
    commits: Vec<Mutex<Vec<Commit>>>,
}

impl Book {
    pub(crate) fn new(replicas: u16) -> Self {
        Self {
            made: Mutex::default(),
            commits: (0..replicas).map(|_| Mutex::default()).collect(),
        }
    }

    /// A leader's application was asked for content at this time and made this.
    pub(crate) fn made(&self, name: Name, asked: Instant) {
        self.made.lock().expect("no writer panics").insert(name, asked);
    }

    /// A replica committed a block.
    pub(crate) fn committed(&self, replica: u16, name: &Name) {
        let at = Instant::now();
        let made = self.made.lock().expect("no writer panics").get(name).copied();
        let made = made.expect("a block was made before it is committed");
        let latency = at - made;
        let mut commits = self.commits[usize::from(replica)]
            .lock()
            .expect("no writer panics");
        commits.push(Commit { at, latency });
    }

    /// What a replica committed in a window.
    pub(crate) fn within(&self, replica: u16, from: Instant, to: Instant) -> Vec<Commit> {
        let commits = self.commits[usize::from(replica)]
            .lock()
            .expect("no writer panics");
        commits
            .iter()
            .filter(|commit| from <= commit.at && commit.at < to)
            .copied()
            .collect()
    }
}

/// Processor time of this process so far, all threads, in the kernel's units of 10 ms (proc_pid_stat(5)).
pub(crate) fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells processor time");
    // The name of the program stands in brackets and may contain anything.
    let after = stat
        .rsplit_once(')')
        .expect("the name is followed by a bracket")
        .1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number of ticks");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

/// Most memory that this process held so far, in MiB.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells memory");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a peak in KiB") / 1024
}

/// The value below which this share of a list is, in milliseconds; none of an empty list.
pub(crate) fn percentile(mut times: Vec<Duration>, share: f64) -> Option<f64> {
    times.sort_unstable();
    let at = ((times.len() as f64 * share).ceil() as usize)
        .saturating_sub(1)
        .min(times.len().checked_sub(1)?);
    Some(times[at].as_secs_f64() * 1000.0)
}
