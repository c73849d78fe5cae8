//! The two signed statements of a validator that is not leading: votes and timeouts.

use crate::certificate::Certificate;
use crate::types::{Digest, Epoch, Height, Signature, View, hash};
use borsh::{BorshDeserialize, BorshSerialize};

/// Which of the two votes on a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Phase {
    /// First vote: this is the one proposal of its view that I support.
    Certify,
    /// Second vote: I hold the block's certificate and will not time out of its view.
    Finalize,
}

/// One validator's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// The epoch voted in.
    pub epoch: Epoch,
    /// The block's view.
    pub view: View,
    /// The block's height.
    pub height: Height,
    /// The block's id.
    pub block: Digest,
    /// First or second vote.
    pub phase: Phase,
    /// Index of the voter.
    pub voter: u16,
    /// By the voter, on [`Vote::message`].
    pub signature: Signature,
}

impl Vote {
    /// The bytes that the voter signs.
    pub fn message(&self, chain: &Digest) -> Digest {
        vote_message(chain, self.epoch, self.view, self.height, &self.block, self.phase)
    }
}

/// The bytes that every signer of one certificate signs; the voter is named by its key alone.
pub(crate) fn vote_message(
    chain: &Digest,
    epoch: Epoch,
    view: View,
    height: Height,
    block: &Digest,
    phase: Phase,
) -> Digest {
    let domain = match phase {
        Phase::Certify => "vote certify",
        Phase::Finalize => "vote finalize",
    };
    hash(
        domain,
        &[
            &chain.0,
            &epoch.to_le_bytes(),
            &view.to_le_bytes(),
            &height.to_le_bytes(),
            &block.0,
        ],
    )
}

/// "I give this view up, and this is the highest certificate that I know."
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Timeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The view given up.
    pub view: View,
    /// The sender's highest certificate; of an earlier view.
    pub high: Certificate,
    /// Index of the sender.
    pub voter: u16,
    /// By the sender, on [`SignedTimeout::message`].
    pub signature: Signature,
}

impl Timeout {
    /// The signed part alone.
    pub fn signed(&self) -> SignedTimeout {
        SignedTimeout {
            epoch: self.epoch,
            view: self.view,
            high_view: self.high.view,
            voter: self.voter,
            signature: self.signature,
        }
    }
}

/// What a timeout's signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedTimeout {
    /// The epoch.
    pub epoch: Epoch,
    /// The view given up.
    pub view: View,
    /// View of the sender's highest certificate.
    pub high_view: View,
    /// Index of the sender.
    pub voter: u16,
    /// By the sender.
    pub signature: Signature,
}

impl SignedTimeout {
    /// The bytes that the sender signs.
    pub fn message(&self, chain: &Digest) -> Digest {
        timeout_message(chain, self.epoch, self.view, self.high_view)
    }
}

/// The bytes of a timeout's signature.
pub(crate) fn timeout_message(chain: &Digest, epoch: Epoch, view: View, high_view: View) -> Digest {
    hash(
        "timeout",
        &[
            &chain.0,
            &epoch.to_le_bytes(),
            &view.to_le_bytes(),
            &high_view.to_le_bytes(),
        ],
    )
}
