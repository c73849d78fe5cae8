//! One chain with everything in it, made once.

use std::sync::LazyLock;

use tacit_consensus::{Digest, EquivocationProof, Phase, Signature, Signer, Vote};
use tacit_ledger::*;

use crate::{
    maker::{Folder, Maker, genesis},
    world::{Applicant, GENOA, HOUR, Kind, MINUTE, Machine, TURIN, consensus_key, node_key},
};

/// What the validators run on.
pub(crate) const KINDS: [Kind; 4] = [GENOA, TURIN, GENOA, Kind::Td];

/// A chain, and at which heights its events stand.
pub(crate) struct Story {
    pub(crate) genesis: Genesis,
    pub(crate) folder: Folder,
    /// The closing block of epoch 0.
    pub(crate) first_closing: u64,
    /// A batch of two payments.
    pub(crate) payments: u64,
    /// An envelope, and the block that brings it again.
    pub(crate) repeated: u64,
    /// Of validator 0, and of validator 1 in the block above.
    pub(crate) renewal: u64,
    /// The proposal; its approval stands in the block above.
    pub(crate) proposal: u64,
    /// The block that ends epoch 1, and the one that closes it.
    pub(crate) ending: u64,
    pub(crate) closing: u64,
    /// An envelope that does not open; three blocks with nothing follow.
    pub(crate) unopened: u64,
    /// The block that closes epoch 2.
    pub(crate) second_closing: u64,
    /// Validator 4 comes, in epoch 3.
    pub(crate) joining: u64,
    /// Validator 1 asks to leave, in epoch 4.
    pub(crate) leaving: u64,
    /// Validator 2 is convicted, in epoch 5.
    pub(crate) convicting: u64,
    pub(crate) head: u64,
}

static STORY: LazyLock<Story> = LazyLock::new(make);

/// Seven epochs: keys; payments, renewals and an adopted policy; time; payments, and one comes; one goes; one is convicted;
/// three are left.
pub(crate) fn story() -> &'static Story {
    &STORY
}

/// Votes of the seat of validator `n` for two blocks of one view.
pub(crate) fn equivocation(chain: &Digest, epoch: u64, voter: u16, n: u8) -> EquivocationProof {
    let vote = |block: u8| {
        let mut vote = Vote {
            epoch,
            view: 7,
            height: 5,
            block: Digest([block; 32]),
            phase: Phase::Certify,
            voter,
            signature: Signature([0; 64]),
        };
        vote.signature = consensus_key(n).sign(&vote.message(chain).0);
        vote
    };
    EquivocationProof::Votes {
        first: vote(1),
        second: vote(2),
    }
}

fn make() -> Story {
    let mut maker = Maker::new(genesis(&KINDS, HOUR));
    (maker.gaps, maker.late) = (7, 5);
    maker.turn();
    let first_closing = maker.height();
    for round in 0..3u16 {
        let payments = vec![maker.payment(5), maker.payment(7)];
        let batch = maker.batch(round, payments);
        maker.block(vec![batch], &[]);
    }
    let payments = first_closing + 1;
    let envelope = maker.payment(9);
    let (one, two) = (
        maker.batch(0, vec![envelope.clone()]),
        maker.batch(1, vec![envelope]),
    );
    maker.block(vec![one], &[]);
    maker.block(vec![two], &[]);
    let repeated = maker.height();
    for (n, kind) in (0u8..).zip(KINDS) {
        let renewal = maker.renewal(n, Machine::new(kind, n));
        maker.block(Vec::new(), &[renewal]);
    }
    // A stricter policy, which is due at once.
    let (proposal, [bob, _]) = maker.policy(|policy| policy.evidence_age_max_ms -= MINUTE);
    maker.block(Vec::new(), &[SystemTx::Propose(proposal)]);
    maker.block(Vec::new(), &[bob]);
    let ending = maker.height() + 1;
    assert_eq!(maker.turn().reason, EpochReason::Policy);
    let closing = maker.height();
    let mut broken = maker.payment(1);
    broken.body[40] ^= 1;
    let batch = maker.batch(2, vec![broken]);
    maker.block(vec![batch], &[]);
    let unopened = maker.height();
    for _ in 0..3 {
        maker.block(Vec::new(), &[]);
    }
    maker.now += HOUR;
    assert_eq!(maker.turn().reason, EpochReason::Schedule);
    let second_closing = maker.height();
    // The broken one used no nonce.
    maker.forget_payment();
    let payment = maker.payment(3);
    let batch = maker.batch(3, vec![payment]);
    maker.block(vec![batch], &[]);
    let joins = maker.apply(&Applicant::new(4, Machine::new(GENOA, 4)));
    maker.block(Vec::new(), &[joins]);
    let joining = maker.height();
    maker.now += MINUTE;
    let record = maker.turn();
    assert_eq!(
        (record.reason, record.validators.len()),
        (EpochReason::Membership, 5)
    );
    maker.block(Vec::new(), &[]);
    let held = maker.state.registration("val-1").unwrap();
    let leaves = SystemTx::Leave(LeaveRequest::sign(maker.chain(), held, &node_key(1)));
    maker.block(Vec::new(), &[leaves]);
    let leaving = maker.height();
    maker.now += MINUTE;
    assert_eq!(maker.turn().validators.len(), 4);
    let convicts = SystemTx::Convict(equivocation(&maker.chain(), 5, 1, 2));
    maker.block(Vec::new(), &[convicts]);
    let convicting = maker.height();
    maker.now += MINUTE;
    assert_eq!(maker.turn().validators.len(), 3);
    for _ in 0..3 {
        maker.block(Vec::new(), &[]);
    }
    let head = maker.height();
    let (genesis, folder) = maker.done();
    Story {
        genesis,
        folder,
        first_closing,
        payments,
        repeated,
        renewal: repeated + 1,
        proposal: repeated + 5,
        ending,
        closing,
        unopened,
        second_closing,
        joining,
        leaving,
        convicting,
        head,
    }
}
