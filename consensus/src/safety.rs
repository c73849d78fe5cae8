//! The safety rules, and the only place that signs.
//!
//! Each method applies its rule to the record, and answers the signed statement as [`Safe`]: the only way to get
//! at it is [`Safe::release`], which first emits the record that allows it. Since a host carries out effects in
//! order, no signature leaves before the record is durable; a restart from the record contradicts nothing.

use crate::block::{Block, Header, proposal_message};
use crate::certificate::{Certificate, TimeoutCertificate};
use crate::crypto::Signer;
use crate::effect::Effect;
use crate::error::DecodeError;
use crate::planted;
use crate::standing::Statements;
use crate::trace::Record;
use crate::types::{Digest, Epoch, Signature, View, encode};
use crate::vote::{Phase, Timeout, Vote, timeout_message, vote_message};
use borsh::{BorshDeserialize, BorshSerialize, io};
use std::sync::Arc;

/// Most bytes of an encoded [`SafetyRecord`]: three certificates of 256 signatures and some room.
pub const MAX_RECORD_BYTES: usize = 128 * 1024;

/// First byte of every record; another value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version;

impl Version {
    const BYTE: u8 = 2;
}

impl BorshSerialize for Version {
    fn serialize<W: io::Write>(&self, writer: &mut W) -> io::Result<()> {
        Self::BYTE.serialize(writer)
    }
}

impl BorshDeserialize for Version {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        match u8::deserialize_reader(reader)? {
            Self::BYTE => Ok(Self),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "unknown safety record version",
            )),
        }
    }
}

/// All that safety needs to survive a restart. Written whole; the newest written one counts.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SafetyRecord {
    version: Version,
    epoch: Epoch,
    /// Views of the last proposal, first vote, finalize vote and timeout; 0 for none.
    proposed_view: View,
    voted_view: View,
    finalize_view: View,
    timeout_view: View,
    /// View of the highest certificate that a finalize vote of ours is known to rest on; 0 for none. No timeout
    /// reports less.
    floor_view: View,
    /// The lock: the highest certificate known when something was last signed.
    high: Certificate,
    /// The highest timeout certificate known.
    tc: Option<TimeoutCertificate>,
    /// What was last signed, to be sent again after a restart and never signed again. The proposal itself is
    /// among the stored blocks.
    proposal: Option<Digest>,
    vote: Option<Vote>,
    finalize: Option<Vote>,
    timeout: Option<Timeout>,
}

impl SafetyRecord {
    /// The record of one who has signed nothing in this epoch.
    pub(crate) fn fresh(genesis: Certificate) -> Self {
        Self {
            version: Version,
            epoch: genesis.epoch,
            proposed_view: 0,
            voted_view: 0,
            finalize_view: 0,
            timeout_view: 0,
            floor_view: 0,
            high: genesis,
            tc: None,
            proposal: None,
            vote: None,
            finalize: None,
            timeout: None,
        }
    }

    /// The epoch that it belongs to.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The highest view in which anything was signed.
    pub fn signed_view(&self) -> View {
        self.proposed_view
            .max(self.voted_view)
            .max(self.finalize_view)
            .max(self.timeout_view)
    }

    /// The highest certificate known.
    pub(crate) fn high(&self) -> &Certificate {
        &self.high
    }

    /// The highest timeout certificate known.
    pub(crate) fn tc(&self) -> Option<&TimeoutCertificate> {
        self.tc.as_ref()
    }

    /// The view that the record leads into: the one after its certificates, or the last one signed in.
    pub(crate) fn resume_view(&self) -> View {
        let tc = self.tc.as_ref().map_or(0, |tc| tc.view);
        let entered = self.high.view.max(tc).saturating_add(1);
        entered
            .max(self.voted_view)
            .max(self.proposed_view)
            .max(self.timeout_view)
    }

    /// R3. Takes in verified certificates; those that it has already, or higher ones, stay.
    pub(crate) fn learn(&mut self, high: &Certificate, tc: Option<&TimeoutCertificate>) {
        if high.view > self.high.view {
            self.high = high.clone();
        }
        if let Some(tc) = tc.filter(|tc| self.tc.as_ref().is_none_or(|known| tc.view > known.view)) {
            self.tc = Some(tc.clone());
        }
    }

    /// A planted bug: the record as if it had kept nothing but the views that it signed in.
    pub(crate) fn without_lock(self, genesis: Certificate) -> Self {
        Self {
            high: genesis,
            tc: None,
            ..self
        }
    }

    /// R15. The certificates of others show that this view is over. It was not finalized by this record, and is
    /// left to those who did.
    pub(crate) fn leave_to_others(&mut self, view: View) {
        self.finalize_view = self.finalize_view.max(view);
    }

    /// R15. The disk was set back: every view up to `through` counts as signed and given up, and what was said last
    /// is forgotten, as it was not the last. `finalized` is the highest view that we are shown to have finalized.
    pub(crate) fn raise(&mut self, through: View, finalized: View) {
        for view in [
            &mut self.proposed_view,
            &mut self.voted_view,
            &mut self.finalize_view,
            &mut self.timeout_view,
        ] {
            *view = (*view).max(through);
        }
        self.floor_view = self.floor_view.max(finalized);
        (self.proposal, self.vote, self.finalize, self.timeout) = (None, None, None, None);
    }

    /// R15. Whether the record knows that each of these statements of its own was signed. In the view of the last
    /// one it must be the same; a raised record signed nothing there that it remembers.
    pub(crate) fn covers(&self, shown: &Statements) -> bool {
        fn known<T: PartialEq>(view: View, last: View, statement: T, own: Option<T>) -> bool {
            view < last || (view == last && own.is_none_or(|own| own == statement))
        }
        let proposal = shown.proposal.as_ref().is_none_or(|one| {
            let header = &one.header;
            known(header.view, self.proposed_view, header.id(), self.proposal)
        });
        let vote = |shown: Option<&Vote>, last: View, own: Option<Vote>| {
            let own = own.filter(|own| own.view == last).map(|own| own.block);
            shown.is_none_or(|one| known(one.view, last, one.block, own))
        };
        let timeout = shown.timeout.as_ref().is_none_or(|one| {
            let last = self.timeout_view;
            let own = self.timeout.as_ref().filter(|own| own.view == last);
            known(one.view, last, one.high_view, own.map(|own| own.high.view))
        });
        proposal
            && vote(shown.certify.as_ref(), self.voted_view, self.vote)
            && vote(shown.finalize.as_ref(), self.finalize_view, self.finalize)
            && timeout
    }

    /// Its facts, for a trace.
    pub(crate) fn facts(&self) -> Record {
        let last = |vote: &Option<Vote>| vote.as_ref().map(|vote| (vote.view, vote.block));
        let timeout = self.timeout.as_ref();
        Record {
            proposed: self.proposed_view,
            voted: self.voted_view,
            finalized: self.finalize_view,
            given_up: self.timeout_view,
            floor: self.floor_view,
            high: (&self.high).into(),
            timeout: self.tc.as_ref().map(Into::into),
            proposal: self.proposal,
            vote: last(&self.vote),
            finalize: last(&self.finalize),
            last_timeout: timeout.map(|timeout| (timeout.view, timeout.high.view)),
        }
    }

    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a stored record; refuses another version, trailing bytes and more than [`MAX_RECORD_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(DecodeError::TooLong {
                got: bytes.len(),
                max: MAX_RECORD_BYTES,
            });
        }
        Self::try_from_slice(bytes).map_err(|_| DecodeError::Malformed)
    }
}

/// A signed statement that must not leave before its record is durable.
#[must_use = "a signed statement that is not released was signed for nothing"]
pub(crate) struct Safe<T> {
    statement: T,
    record: SafetyRecord,
}

impl<T> Safe<T> {
    /// Emits the record and hands out the statement, to be sent by a later effect.
    pub(crate) fn release(self, out: &mut Vec<Effect>) -> T {
        out.push(Effect::Persist(self.record));
        self.statement
    }
}

/// The record with the key.
#[derive(Clone)]
pub(crate) struct Safety {
    chain: Digest,
    record: SafetyRecord,
    /// The signer and its index; none in an observer.
    signer: Option<(u16, Arc<dyn Signer>)>,
}

impl Safety {
    pub(crate) fn new(chain: Digest, record: SafetyRecord, signer: Option<(u16, Arc<dyn Signer>)>) -> Self {
        Self {
            chain,
            record,
            signer,
        }
    }

    /// The record as it is now.
    pub(crate) fn record(&self) -> &SafetyRecord {
        &self.record
    }

    /// The highest certificate known.
    pub(crate) fn high(&self) -> &Certificate {
        &self.record.high
    }

    /// The highest timeout certificate known.
    pub(crate) fn tc(&self) -> Option<&TimeoutCertificate> {
        self.record.tc.as_ref()
    }

    pub(crate) fn timeout_view(&self) -> View {
        self.record.timeout_view
    }

    /// The view that the record leads into.
    pub(crate) fn resume_view(&self) -> View {
        self.record.resume_view()
    }

    /// What was last signed, to be sent again: votes, timeout, and the id of the proposal.
    pub(crate) fn last_statements(&self) -> (Option<Digest>, Vec<Vote>, Option<Timeout>) {
        let votes = [self.record.vote, self.record.finalize]
            .into_iter()
            .flatten()
            .collect();
        (self.record.proposal, votes, self.record.timeout.clone())
    }

    /// R3. The lock moves forward only. True when it moved.
    pub(crate) fn raise_high(&mut self, certificate: &Certificate) -> bool {
        let higher = certificate.view > self.record.high.view;
        if higher {
            self.record.high = certificate.clone();
        }
        higher
    }

    /// R3. So does the timeout certificate. True when it moved.
    pub(crate) fn raise_tc(&mut self, tc: &TimeoutCertificate) -> bool {
        let higher = self.record.tc.as_ref().is_none_or(|known| tc.view > known.view);
        if higher {
            self.record.tc = Some(tc.clone());
        }
        higher
    }

    /// Whether R5 would let us propose in this view.
    pub(crate) fn may_propose(&self, view: View) -> bool {
        self.signer.is_some() && view > self.record.proposed_view && view > self.record.timeout_view
    }

    /// Whether R6 would let us vote in this view.
    pub(crate) fn may_vote(&self, view: View) -> bool {
        self.signer.is_some() && view > self.record.voted_view && view > self.record.timeout_view
    }

    /// R5. One proposal a view, ever; none in a view that was given up. The block's signature is filled in.
    pub(crate) fn propose(&mut self, mut block: Block) -> Option<Safe<Block>> {
        if !self.may_propose(block.header.view) {
            return None;
        }
        let id = block.id();
        block.signature = self.sign(&proposal_message(&id, &block.parts()))?;
        self.record.proposed_view = block.header.view;
        self.record.proposal = Some(id);
        Some(self.safe(block))
    }

    /// R6. One first vote a view, in growing views only; none in a view that was given up.
    pub(crate) fn vote(&mut self, id: Digest, header: &Header) -> Option<Safe<Vote>> {
        let view = header.view;
        if !self.may_vote(view) {
            return None;
        }
        let vote = self.sign_vote(view, header.height, id, Phase::Certify)?;
        self.record.voted_view = view;
        self.record.vote = Some(vote);
        Some(self.safe(vote))
    }

    /// R7. One finalize vote a view, on the certificate that is our lock, and none once a timeout of that view
    /// *or any later one* was sent: that timeout denied the certificate.
    pub(crate) fn finalize(&mut self) -> Option<Safe<Vote>> {
        let Certificate {
            view, height, block, ..
        } = self.record.high;
        let given_up = view <= self.record.timeout_view && !planted::has("finalize_after_timeout");
        if view == 0 || view <= self.record.finalize_view || given_up {
            return None;
        }
        let vote = self.sign_vote(view, height, block, Phase::Finalize)?;
        self.record.finalize_view = view;
        self.record.floor_view = view;
        self.record.finalize = Some(vote);
        Some(self.safe(vote))
    }

    /// R9. One timeout a view, in growing views only, none for a view that was finalized; it reports the lock. R15:
    /// none that denies what we are known to have finalized.
    pub(crate) fn timeout(&mut self, view: View) -> Option<Safe<Timeout>> {
        let high = self.record.high.clone();
        let denies = high.view < self.record.floor_view;
        if view <= self.record.timeout_view
            || view <= self.record.finalize_view
            || high.view >= view
            || denies
        {
            return None;
        }
        let signature = self.sign(&timeout_message(&self.chain, self.record.epoch, view, high.view))?;
        let voter = self.signer.as_ref()?.0;
        let timeout = Timeout {
            epoch: self.record.epoch,
            view,
            high,
            voter,
            signature,
        };
        self.record.timeout_view = view;
        self.record.timeout = Some(timeout.clone());
        Some(self.safe(timeout))
    }

    fn sign_vote(&self, view: View, height: u64, block: Digest, phase: Phase) -> Option<Vote> {
        let epoch = self.record.epoch;
        let signature = self.sign(&vote_message(&self.chain, epoch, view, height, &block, phase))?;
        let voter = self.signer.as_ref()?.0;
        Some(Vote {
            epoch,
            view,
            height,
            block,
            phase,
            voter,
            signature,
        })
    }

    fn sign(&self, message: &Digest) -> Option<Signature> {
        self.signer.as_ref().map(|(_, signer)| signer.sign(&message.0))
    }

    fn safe<T>(&self, statement: T) -> Safe<T> {
        Safe {
            statement,
            record: self.record.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Anchor;
    use crate::certificate::Signers;
    use crate::crypto::Ed25519Signer;
    use crate::types::Executed;

    fn safety() -> Safety {
        let anchor = Anchor {
            epoch: 1,
            block: Digest([9; 32]),
            height: 0,
            time_ms: 0,
            executed: Executed::default(),
        };
        let signer: Arc<dyn Signer> = Arc::new(Ed25519Signer::from_seed([1; 32]));
        let record = SafetyRecord::fresh(Certificate::genesis(&anchor));
        Safety::new(Digest([9; 32]), record, Some((0, signer)))
    }

    fn certificate(view: View) -> Certificate {
        Certificate {
            epoch: 1,
            view,
            height: view,
            block: Digest([view as u8; 32]),
            phase: Phase::Certify,
            signers: Signers::default(),
            signatures: Vec::new(),
        }
    }

    fn header(view: View) -> Header {
        Header {
            chain: Digest([9; 32]),
            epoch: 1,
            height: view,
            view,
            parent: Digest::ZERO,
            time_ms: view,
            payload_root: Digest::ZERO,
            executed: Executed::default(),
            next_epoch: None,
        }
    }

    #[test]
    fn one_vote_a_view_and_never_an_earlier_one() {
        let mut safety = safety();
        assert!(safety.vote(Digest([1; 32]), &header(3)).is_some());
        assert!(safety.vote(Digest([2; 32]), &header(3)).is_none());
        assert!(safety.vote(Digest([2; 32]), &header(2)).is_none());
        assert!(safety.vote(Digest([2; 32]), &header(4)).is_some());
    }

    #[test]
    fn finalize_excludes_timeout_of_that_view_and_timeout_excludes_finalize_up_to_it() {
        let mut safety = safety();
        assert!(safety.raise_high(&certificate(3)));
        assert!(safety.finalize().is_some());
        assert!(safety.finalize().is_none());
        assert!(safety.timeout(3).is_none());
        assert!(safety.timeout(6).is_some());
        // A certificate of view 5 comes late: the timeout of view 6 has denied it.
        assert!(safety.raise_high(&certificate(5)));
        assert!(safety.finalize().is_none());
        assert!(safety.vote(Digest([2; 32]), &header(6)).is_none());
        assert!(!safety.may_propose(6));
        assert!(safety.raise_high(&certificate(7)));
        assert!(safety.finalize().is_some());
    }

    #[test]
    fn the_lock_never_moves_back() {
        let mut safety = safety();
        assert!(safety.raise_high(&certificate(4)));
        assert!(!safety.raise_high(&certificate(3)));
        assert!(!safety.raise_high(&certificate(4)));
        assert_eq!(safety.high().view, 4);
    }

    #[test]
    fn a_record_returns_from_its_bytes_and_other_bytes_are_refused() {
        let mut safety = safety();
        let mut out = Vec::new();
        let vote = safety
            .vote(Digest([1; 32]), &header(3))
            .map(|safe| safe.release(&mut out));
        let Some(Effect::Persist(record)) = out.pop() else {
            panic!("no record before the vote")
        };
        let bytes = record.encode();
        let read = SafetyRecord::decode(&bytes).unwrap();
        assert_eq!(read, record);
        let mut again = Safety::new(Digest([9; 32]), read, safety.signer.clone());
        assert!(again.vote(Digest([2; 32]), &header(3)).is_none());
        assert_eq!(again.last_statements().1, vote.into_iter().collect::<Vec<_>>());

        let mut other_version = bytes.clone();
        other_version[0] = 1;
        assert_eq!(SafetyRecord::decode(&other_version), Err(DecodeError::Malformed));
        let mut trailing = bytes;
        trailing.push(0);
        assert_eq!(SafetyRecord::decode(&trailing), Err(DecodeError::Malformed));
    }
}
