//! Signatures to be checked: gathered while blocks are followed, checked many at once.
//!
//! The rules of `consensus` ask a [`Scheme`] whether a signature is good. The one here says yes and writes the question
//! down, so that the same rules serve a checker that works on all cores. What was said yes to is worth nothing before
//! the questions are answered, and they are answered in their order: the first bad one is the first defect.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tacit_consensus::{Digest, Ed25519, Height, PublicKey, Scheme, Signature, hash};

/// Signatures gathered before they are checked: some blocks' worth, half a megabyte.
const GATHERED: usize = 4096;
/// Signatures remembered as asked about, because a certificate returns in the blocks after it.
const REMEMBERED: usize = 4096;

/// What a signature stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// A block's proposal, by its leader.
    Proposal,
    /// The certificate of a block's parent.
    Justify,
    /// The certificate that a view was given up.
    Timeout,
    /// The certificate of an ancestor that a block carries.
    Carried,
    /// The certificate that makes a block final.
    Commit,
    /// A batch, by its author.
    Batch,
}

impl Signed {
    /// In a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposal => "the leader's signature",
            Self::Justify => "the certificate of the parent",
            Self::Timeout => "the timeout certificate",
            Self::Carried => "the finalize certificate that it carries",
            Self::Commit => "the commit certificate",
            Self::Batch => "a batch",
        }
    }
}

/// One question: did `key` sign `message`?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureClaim {
    /// Who.
    pub key: PublicKey,
    /// What; every message of the chain is a digest.
    pub message: Vec<u8>,
    /// The answer hangs on it.
    pub signature: Signature,
    /// Of which block.
    pub height: Height,
    /// Where in it.
    pub signed: Signed,
}

impl SignatureClaim {
    /// Whether it is true.
    pub fn holds(&self) -> bool {
        Ed25519.verify(&self.key, &self.message, &self.signature)
    }
}

/// Gives the place of the first claim that does not hold, if one does not. It must agree with [`first_bad`], on however
/// many threads.
pub type SignatureCheck = dyn Fn(&[SignatureClaim]) -> Option<usize> + Send + Sync;

/// The plain [`SignatureCheck`]: one after the other.
pub fn first_bad(claims: &[SignatureClaim]) -> Option<usize> {
    claims.iter().position(|claim| !claim.holds())
}

/// See the module.
pub(super) struct Claims(Mutex<Gathered>);

struct Gathered {
    height: Height,
    signed: Signed,
    waiting: Vec<SignatureClaim>,
    asked: BTreeSet<Digest>,
    order: VecDeque<Digest>,
    checked: u64,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Gathered {
            height: 0,
            signed: Signed::Proposal,
            waiting: Vec::new(),
            asked: BTreeSet::new(),
            order: VecDeque::new(),
            checked: 0,
        }))
    }

    /// Says where the signatures stand that come next.
    pub(super) fn at(&self, height: Height, signed: Signed) -> &Self {
        let mut gathered = self.lock();
        (gathered.height, gathered.signed) = (height, signed);
        drop(gathered);
        self
    }

    /// Whether it is time to [`Self::settle`].
    pub(super) fn is_full(&self) -> bool {
        self.lock().waiting.len() >= GATHERED
    }

    /// Answers all that was gathered; gives the first claim that does not hold.
    pub(super) fn settle(&self, check: &SignatureCheck) -> Result<(), Box<SignatureClaim>> {
        let mut gathered = self.lock();
        let mut waiting = std::mem::take(&mut gathered.waiting);
        gathered.checked += waiting.len() as u64;
        // A checker that points behind the end has still said no.
        let last = waiting.len().checked_sub(1);
        match last.and_then(|last| Some(check(&waiting)?.min(last))) {
            None => Ok(()),
            Some(place) => Err(Box::new(waiting.swap_remove(place))),
        }
    }

    /// Signatures checked so far.
    pub(super) fn checked(&self) -> u64 {
        self.lock().checked
    }

    /// One thread gathers; the lock is there because a [`Scheme`] is shared.
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheme for Claims {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let mut gathered = self.lock();
        let name = hash("claimed", &[&key.0, message, &signature.0]);
        if !gathered.asked.insert(name) {
            return true; // the first one who asked answers for both
        }
        gathered.order.push_back(name);
        if gathered.order.len() > REMEMBERED
            && let Some(oldest) = gathered.order.pop_front()
        {
            gathered.asked.remove(&oldest);
        }
        let (height, signed) = (gathered.height, gathered.signed);
        gathered.waiting.push(SignatureClaim {
            key: *key,
            message: message.to_vec(),
            signature: *signature,
            height,
            signed,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use tacit_consensus::{Ed25519Signer, Signer};

    use super::*;

    #[test]
    fn the_first_bad_signature_is_found_and_each_is_checked_once() {
        let claims = Claims::new();
        let signer = Ed25519Signer::from_seed([3; 32]);
        let sign = |text: &[u8]| (text.to_vec(), signer.sign(text));
        let scheme: &dyn Scheme = claims.at(7, Signed::Justify);
        let (one, good) = sign(b"one");
        for _ in 0..3 {
            assert!(scheme.verify(&signer.public(), &one, &good));
        }
        assert_eq!(claims.settle(&first_bad), Ok(()));
        assert_eq!(claims.checked(), 1, "asked three times, checked once");
        claims.at(8, Signed::Commit);
        let (two, of_two) = sign(b"two");
        assert!(claims.verify(&signer.public(), &two, &of_two));
        assert!(claims.verify(&signer.public(), b"three", &good));
        assert!(claims.verify(&signer.public(), b"four", &good));
        let bad = claims.settle(&first_bad).unwrap_err();
        assert_eq!(
            (bad.message.as_slice(), bad.height, bad.signed),
            (&b"three"[..], 8, Signed::Commit)
        );
    }
}
