//! Everything that the core refuses, with the facts and whose fault it is.

use crate::types::{Digest, Epoch, Height, View};

/// Whose fault a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The peer that handed it over: it should have checked. Score it.
    Sender,
    /// Nobody: two honest nodes that are at different points. Drop the message.
    Nobody,
    /// Our own application. Log loudly.
    Us,
}

/// A certificate does not prove what it claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Of another epoch than the committee's.
    #[error("certificate of epoch {got}, expected {expected}")]
    Epoch {
        /// The certificate's.
        got: Epoch,
        /// The committee's.
        expected: Epoch,
    },
    /// View 0 is the anchor's, and this is not the anchor.
    #[error("certificate of view 0 that is not the anchor's")]
    NotAnchor,
    /// The bitmap does not fit the committee, or its population is not the number of signatures.
    #[error("signers do not fit: {signers} named, {signatures} signatures, {members} members")]
    Signers {
        /// Bits set.
        signers: usize,
        /// Signatures carried.
        signatures: usize,
        /// Size of the committee.
        members: usize,
    },
    /// Fewer signers than a quorum.
    #[error("{got} signers, a quorum is {quorum}")]
    NoQuorum {
        /// Distinct signers.
        got: usize,
        /// Needed.
        quorum: usize,
    },
    /// A signature is wrong.
    #[error("signature of validator {voter} is not valid")]
    Signature {
        /// The named signer.
        voter: u16,
    },
    /// A timeout entry claims a certificate of the view that it gives up, or a later one.
    #[error("timeout of view {view} reports a certificate of view {high_view}")]
    HighView {
        /// The view given up.
        view: View,
        /// The reported view.
        high_view: View,
    },
    /// The other phase was needed here.
    #[error("certificate of the wrong phase")]
    Phase,
}

/// A commit proof does not prove that the block is final.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The certificate itself.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// More headers than [`crate::limits::MAX_COMMIT_PATH`].
    #[error("path of {0} headers is too long")]
    TooLong(usize),
    /// The headers do not lead from the block to the certified one.
    #[error("path breaks at header {0}")]
    Broken(usize),
    /// The certificate names another block than the end of the path.
    #[error("certificate is for block {certified}, path ends at {end}")]
    OtherBlock {
        /// What was certified.
        certified: Digest,
        /// Where the path ends.
        end: Digest,
    },
}

/// Evidence does not show a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Of another chain or epoch.
    #[error("evidence is of another chain or epoch")]
    OtherChain,
    /// The two statements do not contradict each other.
    #[error("the statements do not conflict")]
    NoConflict,
    /// The statements are of different validators, or of none.
    #[error("the statements are not of one validator")]
    OtherValidator,
    /// A signature is wrong.
    #[error("a signature is not valid")]
    Signature,
}

/// What another validator says of us cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StandingError {
    /// By nobody of the committee, or by ourselves.
    #[error("validator {0} cannot say how we stand")]
    Stranger(u16),
    /// Of another epoch than ours.
    #[error("standing of epoch {got}, ours is {expected}")]
    Epoch {
        /// The answer's.
        got: Epoch,
        /// Ours.
        expected: Epoch,
    },
    /// A certificate in it is not valid.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Its timeout certificate reports a certificate above the highest that it brings.
    #[error(
        "timeout certificate of view {view} reports view {reported}, the highest brought is of view {high}"
    )]
    Unjustified {
        /// The view given up.
        view: View,
        /// The highest report in it.
        reported: View,
        /// View of the highest certificate that came with it.
        high: View,
    },
    /// A statement that it says we signed, and we did not.
    #[error("it shows a statement of view {0} that we never signed")]
    NotOurs(View),
}

/// Bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than allowed; nothing was read.
    #[error("{got} bytes, at most {max} allowed")]
    TooLong {
        /// Length offered.
        got: usize,
        /// Bound.
        max: usize,
    },
    /// Not the canonical encoding of anything.
    #[error("malformed encoding")]
    Malformed,
    /// Decodes, but a list in it is over its bound.
    #[error("a list is over its bound")]
    OverBound,
}

/// Why the core did not act on an input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of another chain.
    #[error("message of another chain")]
    OtherChain,
    /// Of an epoch that is over.
    #[error("message of the earlier epoch {0}")]
    EarlierEpoch(Epoch),
    /// Of an epoch that we have not reached: the application should sync.
    #[error("message of the later epoch {0}")]
    LaterEpoch(Epoch),
    /// View 0 or an index outside the committee.
    #[error("validator {0} does not exist")]
    UnknownValidator(u16),
    /// A vote or timeout of view 0.
    #[error("statement about view 0")]
    ViewZero,
    /// Farther ahead than [`crate::limits::MAX_VIEW_AHEAD`].
    #[error("view {view} is too far ahead of {current}")]
    TooFarAhead {
        /// The message's.
        view: View,
        /// Ours.
        current: View,
    },
    /// Not signed by whom it claims.
    #[error("signature of validator {0} is not valid")]
    Signature(u16),
    /// A certificate in it is not valid.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Parent, height or view do not follow from the certificate that should justify it, or the timeout
    /// certificate does not excuse the gap.
    #[error("proposal of view {0} is not justified")]
    Unjustified(View),
    /// Payload over a bound, or not the one that the header names.
    #[error("payload does not fit the header or a bound")]
    Payload,
    /// Time does not grow.
    #[error("block time does not grow")]
    Time,
    /// `executed` goes backwards, ahead of the parent, or differs from the parent's at the same height.
    #[error("executed height {0} does not follow from the parent")]
    Executed(Height),
    /// Something other than an empty block after a closing block.
    #[error("block after a closing block is not an epilogue")]
    NotEpilogue,
    /// A certificate does not fit the block that it names.
    #[error("certificate does not fit block {0}")]
    Misfit(Digest),
    /// The leader already proposed another block in this view.
    #[error("second proposal in view {0}")]
    SecondProposal(View),
    /// A proof handed to us by the application is not valid.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The application built something that no validator would accept.
    #[error("own content refused: {0}")]
    OwnContent(Box<Refusal>),
}

impl Refusal {
    /// Who is to blame.
    pub fn fault(&self) -> Fault {
        match self {
            Self::EarlierEpoch(_)
            | Self::LaterEpoch(_)
            | Self::TooFarAhead { .. }
            | Self::SecondProposal(_) => Fault::Nobody,
            Self::OwnContent(_) | Self::Proof(_) => Fault::Us,
            _ => Fault::Sender,
        }
    }
}
