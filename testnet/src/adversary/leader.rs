//! A leader that proposes twice: it gathers the votes for the block before its view into a certificate, as any leader does,
//! and then makes two empty blocks of it.

use std::collections::BTreeMap;

use tacit_consensus::{
    Block, Certificate, Committee, Digest, Ed25519Signer, Header, Height, Payload, Phase, Signature, Signer,
    Signers, View, Vote,
};

/// Views whose blocks and votes are kept.
const KEPT: usize = 16;

/// What is known of the newest views.
#[derive(Default)]
pub(super) struct TwoBlocks {
    blocks: BTreeMap<View, Header>,
    votes: BTreeMap<View, BTreeMap<u16, Vote>>,
    proposed: View,
    epoch: u64,
}

impl TwoBlocks {
    /// A block was proposed.
    pub(super) fn saw(&mut self, block: &Block) {
        if block.header.epoch != self.epoch {
            *self = Self {
                epoch: block.header.epoch,
                ..Self::default()
            };
        }
        self.blocks.insert(block.header.view, block.header.clone());
        while self.blocks.len() > KEPT {
            self.blocks.pop_first();
        }
    }

    /// The height of the block of a view.
    pub(super) fn height(&self, view: View) -> Option<Height> {
        self.blocks.get(&view).map(|header| header.height)
    }

    /// A vote was heard; gives two blocks of the next view, once, where it completes a certificate and the next view's
    /// leader is this one.
    pub(super) fn heard(
        &mut self,
        committee: &Committee,
        seat: u16,
        vote: Vote,
        chain: &Digest,
        now_ms: u64,
        signer: &Ed25519Signer,
    ) -> Vec<Block> {
        let next = vote.view.saturating_add(1);
        let known = self
            .blocks
            .get(&vote.view)
            .filter(|header| header.id() == vote.block);
        let Some(parent) = known.cloned() else {
            return Vec::new();
        };
        if vote.phase != Phase::Certify || committee.leader(next) != seat || self.proposed >= next {
            return Vec::new();
        }
        let votes = self.votes.entry(vote.view).or_default();
        votes.insert(vote.voter, vote);
        if votes.len() < committee.quorum() {
            return Vec::new();
        }
        let justify = Certificate {
            epoch: vote.epoch,
            view: vote.view,
            height: vote.height,
            block: vote.block,
            phase: Phase::Certify,
            signers: Signers::new(committee.n(), votes.keys().copied()),
            signatures: votes.values().map(|vote| vote.signature).collect(),
        };
        self.proposed = next;
        while self.votes.len() > KEPT {
            self.votes.pop_first();
        }
        let time_ms = now_ms.max(parent.time_ms.saturating_add(1));
        [time_ms, time_ms.saturating_add(1)]
            .into_iter()
            .map(|time_ms| empty(chain, &parent, &justify, next, time_ms, signer))
            .collect()
    }
}

/// A block that orders nothing and certifies what its parent did.
fn empty(
    chain: &Digest,
    parent: &Header,
    justify: &Certificate,
    view: View,
    time_ms: u64,
    signer: &Ed25519Signer,
) -> Block {
    let payload = Payload::default();
    let mut block = Block {
        header: Header {
            chain: *chain,
            epoch: parent.epoch,
            height: parent.height.saturating_add(1),
            view,
            parent: parent.id(),
            time_ms,
            payload_root: payload.root(),
            executed: parent.executed,
            next_epoch: None,
        },
        payload,
        justify: justify.clone(),
        timeout: None,
        commit: None,
        signature: Signature([0; 64]),
    };
    block.signature = signer.sign(&block.signed_header().message().0);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use tacit_consensus::{Ed25519, Executed, PublicKey};

    #[test]
    fn a_quorum_of_votes_makes_two_blocks_that_contradict_each_other_and_are_signed() {
        let signers: Vec<Ed25519Signer> = (1..=4).map(|seed| Ed25519Signer::from_seed([seed; 32])).collect();
        let keys: Vec<PublicKey> = signers.iter().map(Signer::public).collect();
        let committee = Committee {
            epoch: 1,
            members: keys,
        };
        let chain = Digest([7; 32]);
        let anchor = Header {
            chain,
            epoch: 1,
            height: 5,
            view: 9,
            parent: Digest::ZERO,
            time_ms: 100,
            payload_root: Payload::default().root(),
            executed: Executed::default(),
            next_epoch: None,
        };
        let justify = Certificate {
            epoch: 1,
            view: 8,
            height: 4,
            block: Digest::ZERO,
            phase: Phase::Certify,
            signers: Signers::default(),
            signatures: Vec::new(),
        };
        let parent = empty(&chain, &anchor, &justify, 10, 200, &signers[0]);
        let seat = committee.leader(11);
        let own = &signers[usize::from(seat)];
        let mut two = TwoBlocks::default();
        two.saw(&parent);
        let mut made = Vec::new();
        for (voter, signer) in (0_u16..).zip(&signers) {
            let mut vote = Vote {
                epoch: 1,
                view: 10,
                height: 6,
                block: parent.id(),
                phase: Phase::Certify,
                voter,
                signature: Signature([0; 64]),
            };
            vote.signature = signer.sign(&vote.message(&chain).0);
            made.extend(two.heard(&committee, seat, vote, &chain, 150, own));
        }
        let [a, b] = made.as_slice() else {
            panic!("two blocks, once: {}", made.len());
        };
        assert_ne!(a.id(), b.id());
        assert_eq!(a.header.view, b.header.view);
        a.justify
            .verify(&chain, &committee, &Ed25519)
            .expect("a certificate");
        let proof = tacit_consensus::EquivocationProof::Proposals {
            first: Box::new(a.signed_header()),
            second: Box::new(b.signed_header()),
        };
        assert_eq!(proof.verify(&chain, &committee, &Ed25519), Ok(seat));
    }
}
