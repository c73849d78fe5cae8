//! Verdicts on evidence, remembered: a block is judged when it is built, before the vote and when it is applied, and
//! an epoch's end looks at every validator again.
//!
//! What is remembered is a pure function of the key, so who remembers and who computes agree. An accepting verdict
//! holds from the time at which it was reached to the end of what it rests on (`Verified::not_after_ms`), as long as
//! policy and collateral are the same, which the key covers. It is not stretched to that end: a minute before it
//! evidence is looked at anew, so that no rounding of that bound can matter. A refusal counts for its own time only.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tacit_attest::Verified;
use tacit_consensus::{Digest, Millis};

use crate::error::RegistrationError;

/// Most accepting verdicts remembered, about 4 MB: several full sets under several policies. A full memory is emptied; it
/// only costs time.
const MAX_ACCEPTED: usize = 4096;
/// Most refusals remembered. They have a memory of their own, so that strangers who bring bad evidence do not empty the
/// other one.
const MAX_REFUSED: usize = 1024;
/// How long before its end an accepting verdict is no longer reused, in milliseconds.
const MARGIN_MS: Millis = 60_000;

/// A verdict as it is handed out.
pub(crate) type Verdict = Result<Arc<Verified>, RegistrationError>;

/// Shared by all clones of a public state, and by all states that are given the same one. What is remembered names the trust
/// roots, so states of different networks may share it.
#[derive(Clone, Default)]
pub struct Verdicts(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// With the time at which it was reached.
    accepted: BTreeMap<Digest, (Millis, Arc<Verified>)>,
    refused: BTreeMap<Digest, (Millis, RegistrationError)>,
}

impl Known {
    fn get(&self, key: &Digest, now_ms: Millis) -> Option<Verdict> {
        if let Some((from_ms, verified)) = self.accepted.get(key)
            && *from_ms <= now_ms
            && now_ms.saturating_add(MARGIN_MS) <= verified.not_after_ms
        {
            return Some(Ok(verified.clone()));
        }
        let refused = self.refused.get(key).filter(|(at_ms, _)| *at_ms == now_ms);
        refused.map(|(_, error)| Err(error.clone()))
    }

    fn put(&mut self, key: Digest, now_ms: Millis, verdict: &Verdict) {
        match verdict {
            Ok(verified) => {
                make_room(&mut self.accepted, &key, MAX_ACCEPTED);
                self.accepted.insert(key, (now_ms, verified.clone()));
            }
            Err(error) => {
                make_room(&mut self.refused, &key, MAX_REFUSED);
                self.refused.insert(key, (now_ms, error.clone()));
            }
        }
    }
}

fn make_room<T>(known: &mut BTreeMap<Digest, T>, key: &Digest, max: usize) {
    if known.len() >= max && !known.contains_key(key) {
        known.clear();
    }
}

impl Verdicts {
    /// The verdict under `key` at `now_ms`: as remembered, or by `judge`, which must depend on nothing but the two.
    pub(crate) fn get(
        &self,
        key: &Digest,
        now_ms: Millis,
        judge: impl FnOnce() -> Result<Verified, RegistrationError>,
    ) -> Verdict {
        if let Some(verdict) = self.with(|known| known.get(key, now_ms)) {
            return verdict;
        }
        let verdict = judge().map(Arc::new);
        self.with(|known| known.put(*key, now_ms, &verdict));
        verdict
    }

    /// A panic elsewhere leaves the memory as it was: every entry is whole.
    fn with<T>(&self, act: impl FnOnce(&mut Known) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
