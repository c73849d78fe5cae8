//! A run from beginning to end: what it came to, or the name under which it failed.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, Once, PoisonError},
};

use tacit_consensus::{Digest, Millis};

use super::{adversary::Adversary, fault::Counts, options::Swarm, phases::Run};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// A hash of everything that happened.
    pub trace: Digest,
    /// Packets delivered and nodes woken.
    pub events: u64,
    /// Simulated time, in milliseconds.
    pub simulated_ms: Millis,
    /// Faults by kind.
    pub faults: Counts,
    /// What adversaries did, by kind.
    pub adversaries: BTreeMap<Adversary, u64>,
    /// The highest final block.
    pub height: u64,
    /// The newest epoch.
    pub epoch: u64,
    /// Transfers that a node took in.
    pub transfers: u64,
    /// How long the healthy core took to commit a new transaction, in milliseconds.
    pub recovered_ms: Millis,
    /// Statements of validators whose disk was set back that contradict what nobody could show them.
    pub contradicted: u64,
    /// Transitions of cores that the reference model judged.
    pub judged: u64,
    /// Bytes looked through for planted plaintext, beside what was logged: which lines are made depends on what other threads
    /// of the process log.
    pub scanned: u64,
}

/// Why a run is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The invariant, or where it panicked: what a shrunken run must keep.
    pub name: String,
    /// All that is known.
    pub detail: String,
}

thread_local! {
    /// Where this thread's panics are kept, while it runs a world.
    static PANIC: RefCell<Option<Option<Failure>>> = const { RefCell::new(None) };
}

/// Keeps panics of runs to themselves, once for all threads.
fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let kept = PANIC.with_borrow_mut(|place| {
                let Some(place) = place.as_mut() else { return false };
                let text = info.payload();
                let text = text
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| text.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let detail = text.unwrap_or_default();
                let place_of = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
                let name = match detail.split_once(':') {
                    Some((name, _)) if !name.contains(' ') => name.to_owned(),
                    _ => format!("panic at {}", place_of.unwrap_or_default()),
                };
                *place = Some(Failure { name, detail });
                true
            });
            if !kept {
                before(info);
            }
        }));
    });
}

/// Runs one world.
///
/// # Errors
///
/// The first broken invariant, panic or halt.
pub fn run(options: &Swarm) -> Result<Outcome, Failure> {
    keep_panics();
    let before = PANIC.replace(Some(None));
    let result = catch_unwind(AssertUnwindSafe(|| match options.reads_logs {
        true => logged(options),
        false => whole(options),
    }));
    let panic = PANIC.replace(before);
    result.map_err(|_| {
        let unknown = Failure {
            name: "panic".into(),
            detail: String::new(),
        };
        panic.flatten().unwrap_or(unknown)
    })
}

fn whole(options: &Swarm) -> Outcome {
    let mut run = Run::new(options.clone());
    let began = run.world.now;
    run.rough();
    let recovered_ms = run.live();
    run.inspect();
    let mut adversaries: BTreeMap<Adversary, u64> = BTreeMap::new();
    for (kind, rogue) in run.options.adversaries.iter().zip(&run.rogues) {
        *adversaries.entry(*kind).or_default() += rogue.borrow().acts.max(1);
    }
    let leaks = run.world.leaks.as_ref().expect("a run looks for leaks");
    Outcome {
        trace: Digest(*run.world.trace().as_bytes()),
        events: run.world.events,
        simulated_ms: run.world.now - began,
        faults: run.world.weather.as_ref().expect("weather").counts.clone(),
        adversaries,
        height: run.world.top(),
        epoch: run.world.record().epoch,
        transfers: run.transfers,
        recovered_ms,
        contradicted: run.world.checker.contradicted,
        judged: run.world.judge.verdict().0,
        scanned: leaks.scanned(),
    }
}

/// Everything that is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The same, with all that its nodes log looked through.
fn logged(options: &Swarm) -> Outcome {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .without_time()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let outcome = tracing::subscriber::with_default(subscriber, || whole(options));
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut leaks = crate::sim::leak::Leaks::new(options.seed);
    leaks.scan("the log", &bytes);
    assert!(leaks.found().is_empty(), "S8: planted plaintext in the log");
    outcome
}
