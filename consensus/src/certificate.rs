//! Quorum certificates, timeout certificates, and the proof that a block is final.

use crate::block::{Anchor, Header};
use crate::committee::Committee;
use crate::crypto::Scheme;
use crate::error::{CertificateError, ProofError};
use crate::limits::{MAX_COMMIT_PATH, MAX_VALIDATORS};
use crate::planted;
use crate::types::{Digest, Epoch, Height, Signature, View};
use crate::vote::{Phase, SignedTimeout, Vote, timeout_message, vote_message};
use borsh::{BorshDeserialize, BorshSerialize};

/// A set of validator indices as a bitmap: index i is bit i % 8 of byte i / 8. Exactly ceil(n / 8) bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Signers(Vec<u8>);

impl Signers {
    /// The set of these indices in a committee of `n`; indices outside it are left out.
    pub fn new(n: usize, indices: impl IntoIterator<Item = u16>) -> Self {
        let mut bits = vec![0u8; n.div_ceil(8)];
        for index in indices.into_iter().filter(|index| usize::from(*index) < n) {
            if let Some(byte) = bits.get_mut(usize::from(index) / 8) {
                *byte |= 1 << (index % 8);
            }
        }
        Self(bits)
    }

    /// Number of indices in the set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The indices, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0u16..).zip(&self.0).flat_map(|(at, byte)| {
            (0..8u16)
                .filter(move |bit| byte & (1 << bit) != 0)
                .map(move |bit| at * 8 + bit)
        })
    }

    /// True when the bitmap has the committee's length and no bit beyond it.
    fn fits(&self, n: usize) -> bool {
        self.0.len() == n.div_ceil(8) && self.iter().all(|index| usize::from(index) < n)
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.0.len() <= MAX_VALIDATORS.div_ceil(8)
    }
}

/// A quorum's votes of one phase for one block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The epoch.
    pub epoch: Epoch,
    /// The block's view; 0 for the anchor alone.
    pub view: View,
    /// The block's height.
    pub height: Height,
    /// The block's id.
    pub block: Digest,
    /// Certify or finalize.
    pub phase: Phase,
    /// Who signed.
    pub signers: Signers,
    /// One signature a signer, in the order of their indices.
    pub signatures: Vec<Signature>,
}

impl Certificate {
    /// The certificate of an epoch's anchor: nobody signs it, everybody computes it.
    pub fn genesis(anchor: &Anchor) -> Self {
        Self {
            epoch: anchor.epoch,
            view: 0,
            height: anchor.height,
            block: anchor.block,
            phase: Phase::Certify,
            signers: Signers::default(),
            signatures: Vec::new(),
        }
    }

    /// Checks everything but what the block is. Refuses view 0: the anchor's certificate is compared, never
    /// verified.
    pub fn verify(
        &self,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<(), CertificateError> {
        if self.epoch != committee.epoch {
            return Err(CertificateError::Epoch {
                got: self.epoch,
                expected: committee.epoch,
            });
        }
        if self.view == 0 {
            return Err(CertificateError::NotAnchor);
        }
        let (signers, members) = (self.signers.count(), committee.n());
        if !self.signers.fits(members) || signers != self.signatures.len() {
            return Err(CertificateError::Signers {
                signers,
                signatures: self.signatures.len(),
                members,
            });
        }
        let twice = usize::from(planted::has("vote_counted_twice"));
        if signers + twice < committee.quorum() {
            return Err(CertificateError::NoQuorum {
                got: signers,
                quorum: committee.quorum(),
            });
        }
        let message = vote_message(chain, self.epoch, self.view, self.height, &self.block, self.phase);
        for (voter, signature) in self.signers.iter().zip(&self.signatures) {
            let key = committee
                .key(voter)
                .ok_or(CertificateError::Signature { voter })?;
            if !scheme.verify(key, &message.0, signature) {
                return Err(CertificateError::Signature { voter });
            }
        }
        Ok(())
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.signers.is_bounded() && self.signatures.len() <= MAX_VALIDATORS
    }

    /// The votes that it is made of.
    pub(crate) fn votes(&self) -> impl Iterator<Item = Vote> + '_ {
        self.signers
            .iter()
            .zip(&self.signatures)
            .map(|(voter, signature)| Vote {
                epoch: self.epoch,
                view: self.view,
                height: self.height,
                block: self.block,
                phase: self.phase,
                voter,
                signature: *signature,
            })
    }
}

/// One validator's part of a timeout certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TimeoutEntry {
    /// Index of the validator.
    pub voter: u16,
    /// View of its highest certificate.
    pub high_view: View,
    /// Its timeout's signature.
    pub signature: Signature,
}

/// A quorum gave a view up.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TimeoutCertificate {
    /// The epoch.
    pub epoch: Epoch,
    /// The view given up.
    pub view: View,
    /// At least a quorum, strictly ascending by voter.
    pub entries: Vec<TimeoutEntry>,
}

impl TimeoutCertificate {
    /// The highest certificate that any of the timeouts reports: what a proposal after it must reach.
    pub fn max_high_view(&self) -> View {
        self.entries
            .iter()
            .map(|entry| entry.high_view)
            .max()
            .unwrap_or(0)
    }

    /// Checks quorum, order, reported views and signatures.
    pub fn verify(
        &self,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<(), CertificateError> {
        if self.epoch != committee.epoch {
            return Err(CertificateError::Epoch {
                got: self.epoch,
                expected: committee.epoch,
            });
        }
        let (got, members) = (self.entries.len(), committee.n());
        let ascending = self
            .entries
            .iter()
            .zip(self.entries.iter().skip(1))
            .all(|(a, b)| a.voter < b.voter);
        if !ascending || got > members {
            return Err(CertificateError::Signers {
                signers: got,
                signatures: got,
                members,
            });
        }
        if got < committee.quorum() {
            return Err(CertificateError::NoQuorum {
                got,
                quorum: committee.quorum(),
            });
        }
        for entry in &self.entries {
            if entry.high_view >= self.view {
                return Err(CertificateError::HighView {
                    view: self.view,
                    high_view: entry.high_view,
                });
            }
            let voter = entry.voter;
            let key = committee
                .key(voter)
                .ok_or(CertificateError::Signature { voter })?;
            let message = timeout_message(chain, self.epoch, self.view, entry.high_view);
            if !scheme.verify(key, &message.0, &entry.signature) {
                return Err(CertificateError::Signature { voter });
            }
        }
        Ok(())
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.entries.len() <= MAX_VALIDATORS
    }

    /// The timeouts that it is made of.
    pub(crate) fn timeouts(&self) -> impl Iterator<Item = SignedTimeout> + '_ {
        self.entries.iter().map(|entry| SignedTimeout {
            epoch: self.epoch,
            view: self.view,
            high_view: entry.high_view,
            voter: entry.voter,
            signature: entry.signature,
        })
    }
}

/// Proof that a block is final: a finalize certificate of it or of a descendant.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CommitProof {
    /// A finalize certificate.
    pub certificate: Certificate,
    /// Headers from the proven block's child down to the certified block; empty when the block itself is
    /// certified. At most [`MAX_COMMIT_PATH`].
    pub path: Vec<Header>,
}

impl CommitProof {
    /// Checks that `block` is final, with nothing but the committee that the verifier already trusts.
    pub fn verify(
        &self,
        block: Digest,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<(), ProofError> {
        if self.path.len() > MAX_COMMIT_PATH {
            return Err(ProofError::TooLong(self.path.len()));
        }
        if self.certificate.phase != Phase::Finalize {
            return Err(CertificateError::Phase.into());
        }
        let mut end = block;
        let mut height = None;
        for (at, header) in self.path.iter().enumerate() {
            let follows = header.parent == end
                && header.chain == *chain
                && header.epoch == committee.epoch
                && height.is_none_or(|height: Height| height.checked_add(1) == Some(header.height));
            if !follows {
                return Err(ProofError::Broken(at));
            }
            end = header.id();
            height = Some(header.height);
        }
        let certified = self.certificate.block;
        if certified != end || height.is_some_and(|height| height != self.certificate.height) {
            return Err(ProofError::OtherBlock { certified, end });
        }
        self.certificate.verify(chain, committee, scheme)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signers_name_exactly_the_given_indices() {
        let signers = Signers::new(10, [9, 0, 3, 10, 300]);
        assert_eq!(signers.iter().collect::<Vec<_>>(), [0, 3, 9]);
        assert_eq!(signers.count(), 3);
        assert!(signers.fits(10) && signers.fits(11) && !signers.fits(9) && !signers.fits(17));
    }
}
