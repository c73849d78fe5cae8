//! A reference model of the protocol, written from `docs/protocol.md` alone: sets and maps, no predicate of the
//! core. It reads traces (`tacit_consensus::trace`, plain data) and says of each transition whether the rules
//! allow it, and whether the rules demand something that did not happen.
//!
//! ```text
//!  traces of all honest validators --> Oracle --> one Replica a validator and epoch: R2 to R9, R12, R13, R15, R16
//!                                             \-> over all of them: agreement, and that nobody relied on a
//!                                                 statement which an honest validator never made (R1)
//! ```
//! Signatures are not in a trace. Instead, at the end, every vote and timeout that somebody counted or found in
//! a certificate, and that names a traced validator, must stand in that validator's own trace.

mod replica;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::BufRead,
    sync::{Arc, Mutex, PoisonError},
};

use tacit_consensus::{
    Digest,
    trace::{Cause, Tracer, Transition},
};

use self::replica::Replica;

/// Something that one validator signs, as the model names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    /// A first vote: view and block.
    Vote(u64, Digest),
    /// A finalize vote: view and block.
    Finalize(u64, Digest),
    /// A view given up, and the view of the certificate reported.
    Timeout(u64, u64),
}

impl Word {
    fn view(self) -> u64 {
        match self {
            Self::Vote(view, _) | Self::Finalize(view, _) | Self::Timeout(view, _) => view,
        }
    }
}

/// Judges the traces of one network.
#[derive(Debug, Default, Clone)]
pub struct Oracle {
    replicas: BTreeMap<(u64, u16), Replica>,
    chain: BTreeMap<u64, Digest>,
    /// Epoch, signer and statement: what was signed by the traced, and what somebody counted.
    said: BTreeSet<(u64, u16, Word)>,
    relied: BTreeMap<(u64, u16, Word), u16>,
    transitions: u64,
    violations: Vec<String>,
}

impl Oracle {
    /// Takes the next transition of a validator in. Transitions of different validators may come in any order.
    pub fn judge(&mut self, transition: &Transition) {
        self.transitions += 1;
        for (height, id) in &transition.committed {
            let first = *self.chain.entry(*height).or_insert(*id);
            if first != *id {
                let me = transition.me;
                self.violations.push(format!(
                    "S1: {me:?} committed {id} at height {height}, another {first}"
                ));
            }
        }
        // An observer signs nothing, so there is nothing else that it could do wrong.
        let Some(me) = transition.me else { return };
        // Seats have other numbers in other epochs, and one process may be behind another.
        let epoch = transition.epoch;
        if let Cause::Started { terms, .. } = &transition.cause {
            self.replicas
                .entry((epoch, me))
                .or_insert_with(|| Replica::new(me, terms.clone()));
        }
        let Some(replica) = self.replicas.get_mut(&(epoch, me)) else {
            self.violations
                .push(format!("{me} moved before it started: {transition:?}"));
            return;
        };
        let wrong = replica.judge(transition);
        let context = |wrong: String| format!("{wrong}\n  validator {me}, epoch {epoch}: {transition:?}");
        self.violations.extend(wrong.into_iter().map(context));
        self.said
            .extend(replica.said.drain(..).map(|word| (epoch, me, word)));
        for (signer, word) in replica.relied.drain(..) {
            self.relied.entry((epoch, signer, word)).or_insert(me);
        }
        let honest = |guilty: &&u16| self.replicas.contains_key(&(epoch, **guilty));
        for guilty in transition.blamed.iter().filter(honest) {
            self.violations
                .push(format!("S11: {me} blames {guilty}, whose trace is honest"));
        }
    }

    /// The number of transitions judged.
    pub fn transitions(&self) -> u64 {
        self.transitions
    }

    /// What was wrong since the last call; without what [`Oracle::finish`] looks at.
    pub fn wrong(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// What was wrong in all the traces together. The validators whose traces were given are taken to be honest.
    pub fn finish(mut self) -> Vec<String> {
        for ((epoch, signer, word), who) in &self.relied {
            // What it signed before its trace began is not in it.
            let traced = self.replicas.get(&(*epoch, *signer));
            let traced = traced.is_some_and(|replica| word.view() > replica.untraced);
            if traced && !self.said.contains(&(*epoch, *signer, *word)) {
                self.violations.push(format!(
                    "R1: {who} relied on {word:?} of {signer}, who never said it"
                ));
            }
        }
        self.violations
    }
}

/// One oracle for all the replicas of a process.
#[derive(Debug, Default, Clone)]
pub struct Judge(Arc<Mutex<Oracle>>);

impl Judge {
    /// The number of transitions judged, and all that was wrong.
    pub fn verdict(&self) -> (u64, Vec<String>) {
        let oracle = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (oracle.transitions(), oracle.finish())
    }
}

impl Tracer for Judge {
    fn note(&mut self, transition: Transition) {
        let mut oracle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        oracle.judge(&transition);
    }
}

/// Judges the traces that real processes wrote, one file a validator (`[consensus] trace` in its configuration). A
/// last line without an end is what a killed process had begun to write.
///
/// # Errors
/// When a file cannot be read, or a line in it is no transition.
pub fn judge_files(files: &[std::path::PathBuf]) -> Result<(u64, Vec<String>), String> {
    let mut oracle = Oracle::default();
    for path in files {
        let named = |what: String| format!("{}: {what}", path.display());
        let file = std::fs::File::open(path).map_err(|error| named(error.to_string()))?;
        let mut lines = std::io::BufReader::new(file);
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            let length = read.map_err(|error| named(error.to_string()))?;
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let transition = serde_json::from_slice(&line);
            let transition = transition.map_err(|error| named(format!("line {number}: {error}")))?;
            oracle.judge(&transition);
        }
    }
    Ok((oracle.transitions(), oracle.finish()))
}
