//! What validators send each other, and the bounded decoder for it.

use crate::block::Block;
use crate::certificate::{Certificate, TimeoutCertificate};
use crate::error::DecodeError;
use crate::limits::MAX_MESSAGE_BYTES;
use crate::types::{Digest, encode};
use crate::vote::{Timeout, Vote};
use borsh::{BorshDeserialize, BorshSerialize};

/// A consensus message.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// A leader's block, to all.
    Proposal(Box<Block>),
    /// A vote of either phase, to all.
    Vote(Vote),
    /// A view given up, to all.
    Timeout(Box<Timeout>),
    /// Help for one who is behind: the sender's highest certificate and, if that alone does not explain the
    /// sender's view, the timeout certificate that does. A finalize certificate when the epoch is over.
    Certificate(Box<(Certificate, Option<TimeoutCertificate>)>),
    /// Asks for the block of this id.
    BlockRequest(Digest),
    /// Answers a request.
    BlockResponse(Box<Block>),
}

impl Message {
    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads one message. The length is checked first, so memory stays within a small multiple of
    /// [`MAX_MESSAGE_BYTES`]; trailing bytes and lists over their bounds are refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(DecodeError::TooLong {
                got: bytes.len(),
                max: MAX_MESSAGE_BYTES,
            });
        }
        let message = Self::try_from_slice(bytes).map_err(|_| DecodeError::Malformed)?;
        if message.is_bounded() {
            Ok(message)
        } else {
            Err(DecodeError::OverBound)
        }
    }

    fn is_bounded(&self) -> bool {
        match self {
            Self::Proposal(block) | Self::BlockResponse(block) => block_is_bounded(block),
            Self::Timeout(timeout) => timeout.high.is_bounded(),
            Self::Certificate(help) => {
                help.0.is_bounded() && help.1.as_ref().is_none_or(TimeoutCertificate::is_bounded)
            }
            Self::Vote(_) | Self::BlockRequest(_) => true,
        }
    }
}

fn block_is_bounded(block: &Block) -> bool {
    block.payload.is_bounded()
        && block.justify.is_bounded()
        && block.timeout.as_ref().is_none_or(TimeoutCertificate::is_bounded)
        && block.commit.as_ref().is_none_or(Certificate::is_bounded)
}
