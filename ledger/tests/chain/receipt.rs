//! Receipts: one size, for the sender alone, and provable.

use tacit_consensus::{Digest, Ed25519, Executed};
use tacit_ledger::*;

use crate::network::*;

fn receipt(outcome: Outcome, detail: &[u8]) -> Receipt {
    Receipt {
        envelope: Digest([5; 32]),
        height: 6,
        index: 2,
        fee: 1_000,
        outcome,
        detail: detail.to_vec(),
    }
}

#[test]
fn success_and_failure_look_alike_and_open_for_the_sender() {
    let (key, other) = (ReceiptKey::from_bytes([1; 32]), ReceiptKey::from_bytes([2; 32]));
    for receipt in [
        receipt(Outcome::Applied, &[7; MAX_RECEIPT_DETAIL]),
        receipt(Outcome::Failed(FailureCode::InsufficientBalance), b""),
    ] {
        let sealed = SealedReceipt::seal(&key, &receipt);
        assert_eq!(sealed.0.len(), SEALED_RECEIPT_BYTES);
        assert_eq!(sealed, SealedReceipt::seal(&key, &receipt));
        assert_eq!(sealed.open(&key), Ok(receipt));
        assert_eq!(sealed.open(&other), Err(OpenError::Seal));
        for at in 0..SEALED_RECEIPT_BYTES {
            let mut bent = sealed.clone();
            bent.0[at] ^= 1;
            assert_eq!(bent.open(&key), Err(OpenError::Seal), "byte {at}");
        }
        assert_eq!(
            SealedReceipt(sealed.0[1..].to_vec()).open(&key),
            Err(OpenError::Seal)
        );
    }
    let long = SealedReceipt::seal(&key, &receipt(Outcome::Applied, &[7; 99]));
    assert_eq!(long.open(&key).unwrap().detail.len(), MAX_RECEIPT_DETAIL);
}

#[test]
fn what_did_not_open_is_marked_in_public() {
    let (id, other) = (Digest([5; 32]), Digest([6; 32]));
    let unopened = SealedReceipt::unopened(&id);
    assert_eq!(unopened.0.len(), SEALED_RECEIPT_BYTES);
    assert!(unopened.is_unopened(&id) && !unopened.is_unopened(&other));
    assert!(
        !SealedReceipt::seal(&ReceiptKey::from_bytes([1; 32]), &receipt(Outcome::Applied, b""))
            .is_unopened(&id)
    );
}

/// Block 6 with five receipts; the header at height 9 certifies execution up to block 8.
fn proof() -> ReceiptProof {
    let key = ReceiptKey::from_bytes([1; 32]);
    let envelope = Digest([5; 32]);
    let sealed = SealedReceipt::seal(&key, &receipt(Outcome::Applied, b""));
    let leaves: Vec<Digest> = (0..5u8)
        .map(|i| {
            if i == 2 {
                sealed.leaf(&envelope)
            } else {
                SealedReceipt::unopened(&Digest([i; 32])).leaf(&envelope)
            }
        })
        .collect();
    let previous = Digest([4; 32]);
    let later = vec![Digest::ZERO, Digest([8; 32])];
    let mut root = chain_receipts(&previous, &block_receipts_root(&leaves));
    for block in &later {
        root = chain_receipts(&root, block);
    }
    let header = header(
        1,
        9,
        Executed {
            height: 8,
            receipts_root: root,
            ..Executed::default()
        },
    );
    let path = merkle_path(&leaves, 2).unwrap();
    let proof = commit(&header, &[0, 2, 3]);
    ReceiptProof {
        envelope,
        sealed,
        height: 6,
        index: 2,
        path,
        previous,
        later,
        header,
        proof,
    }
}

fn verify(proof: &ReceiptProof) -> Result<Executed, ProofError> {
    proof.verify(&network().chain, &network().link.record.committee(), &Ed25519)
}

#[test]
fn a_certified_receipt_proves_itself() {
    let proof = proof();
    assert_eq!(verify(&proof).map(|executed| executed.height), Ok(8));
    assert_eq!(ReceiptProof::decode(&encode(&proof)), Ok(proof));
}

#[test]
fn every_tampering_with_a_receipt_proof_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut ReceiptProof)| {
        let mut proof = proof();
        change(&mut proof);
        verify(&proof).unwrap_err()
    };
    let root = ProofError::ReceiptsRoot;
    assert_eq!(refused(&|proof| proof.envelope = Digest([6; 32])), root);
    assert_eq!(refused(&|proof| proof.sealed.0[0] ^= 1), root);
    assert_eq!(refused(&|proof| proof.previous = Digest::ZERO), root);
    assert_eq!(refused(&|proof| proof.later.swap(0, 1)), root);
    assert_eq!(refused(&|proof| proof.path.siblings[0] = Digest::ZERO), root);
    assert_eq!(
        refused(&|proof| proof.sealed.0.truncate(143)),
        ProofError::ReceiptSize { have: 143, need: 144 }
    );
    assert_eq!(
        refused(&|proof| proof.index = 3),
        ProofError::Index { have: 2, need: 3 }
    );
    assert_eq!(
        refused(&|proof| proof.path.siblings.truncate(1)),
        ProofError::Path
    );
    assert_eq!(
        refused(&|proof| proof.height = 7),
        ProofError::ExecutedHeight { have: 8 }
    );
    assert_eq!(
        refused(&|proof| proof.height = u64::MAX),
        ProofError::ExecutedHeight { have: 8 }
    );
    assert_eq!(
        refused(&|proof| proof.later.truncate(1)),
        ProofError::ExecutedHeight { have: 8 }
    );
    let long = refused(&|proof| proof.later = vec![Digest::ZERO; MAX_RECEIPT_LATER + 1]);
    assert_eq!(
        long,
        ProofError::TooLong {
            have: MAX_RECEIPT_LATER + 1,
            max: MAX_RECEIPT_LATER
        }
    );
    assert!(matches!(
        refused(&|proof| proof.header.time_ms += 1),
        ProofError::Commit(_)
    ));
    assert!(matches!(
        refused(&|proof| proof.proof = commit(&proof.header, &[0, 1])),
        ProofError::Commit(_)
    ));
    let chain = refused(&|proof| proof.header.chain = Digest([9; 32]));
    assert_eq!(
        chain,
        ProofError::Chain {
            have: Digest([9; 32])
        }
    );
    assert_eq!(
        refused(&|proof| proof.header.epoch = 2),
        ProofError::Epoch { have: 2, need: 1 }
    );
}
