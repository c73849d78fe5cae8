//! Forged answers: what another validator answers, changed where it hurts. A shape that decodes and a content that is
//! wrong is what checks are for; bytes that do not decode are the fuzzers'.

use borsh::BorshDeserialize;
use tacit_consensus::{Certificate, Digest, Phase, Signers, Statements};
use tacit_node::wire::{FetchRequest, FetchResponse, StandingAnswer};
use tacit_p2p::{Network, PeerId};

use super::peer::Counts;

/// The encoded, forged answer to a question; none where nobody gave anything to forge. `number` says how: each answer is
/// forged in one of several ways.
pub(super) async fn answer(
    network: &Network,
    others: Vec<PeerId>,
    request: &FetchRequest,
    number: u64,
    counts: &Counts,
) -> Option<Vec<u8>> {
    let question = borsh::to_vec(request).ok()?;
    for other in others {
        let Ok(bytes) = network.request(other, question.clone()).await else {
            continue;
        };
        let Ok(genuine) = FetchResponse::try_from_slice(&bytes) else {
            continue;
        };
        let Some((forged, what)) = forge(genuine, number) else {
            continue;
        };
        counts.add(what, 1);
        return borsh::to_vec(&forged).ok();
    }
    // Nobody answers the crook this; it makes something up.
    let (made_up, what) = made_up(request)?;
    counts.add(what, 1);
    borsh::to_vec(&made_up).ok()
}

/// Another answer than the genuine one, with what it is counted as; none where there is nothing to change.
fn forge(genuine: FetchResponse, number: u64) -> Option<(FetchResponse, &'static str)> {
    Some(match genuine {
        FetchResponse::Blocks(mut blocks) => {
            let first = blocks.first_mut()?;
            match number % 3 {
                0 => first.committed.block.header.time_ms ^= 1,
                1 => {
                    let signature = first.committed.proof.certificate.signatures.first_mut()?;
                    signature.0[0] ^= 1;
                }
                _ if !first.receipts.is_empty() => drop(first.receipts.pop()),
                _ => first.committed.block.payload.batches.push(Digest::ZERO),
            }
            (FetchResponse::Blocks(blocks), "blocks")
        }
        FetchResponse::Batches(mut batches) => {
            batches.first_mut()?.sequence ^= 1;
            (FetchResponse::Batches(batches), "batches")
        }
        FetchResponse::Epochs(mut links) => {
            let link = links.first_mut()?;
            match number % 2 {
                0 => link.record.validators.truncate(1),
                _ => link.header.time_ms ^= 1,
            }
            (FetchResponse::Epochs(links), "epochs")
        }
        // What a snapshot consists of is told truly: only who does so is asked for its parts.
        FetchResponse::Manifest(Ok(manifest)) => (FetchResponse::Manifest(Ok(manifest)), "manifests"),
        FetchResponse::Chunk(Ok(mut bytes)) => {
            match number % 2 {
                0 => *bytes.first_mut()? ^= 1,
                _ => drop(bytes.pop()?),
            }
            (FetchResponse::Chunk(Ok(bytes)), "chunks")
        }
        FetchResponse::Share(Ok(mut sealed)) => {
            *sealed.last_mut()? ^= 1;
            (FetchResponse::Share(Ok(sealed)), "shares")
        }
        FetchResponse::Standing(mut answer) => {
            // A view that nothing proves, and that the asker has said nothing in: it would be silent for long.
            if let Some(standing) = &mut answer.standing {
                standing.view = u64::MAX;
                standing.seen = Statements::default();
                standing.high.view = standing.high.view.saturating_add(1_000);
            }
            answer.height = answer.height.saturating_add(1_000);
            (FetchResponse::Standing(answer), "standings")
        }
        FetchResponse::Hello(mut hello) => {
            hello.protocol_min = u16::MAX;
            hello.protocol_max = u16::MAX;
            (FetchResponse::Hello(hello), "hellos")
        }
        FetchResponse::Manifest(Err(_))
        | FetchResponse::Chunk(Err(_))
        | FetchResponse::Share(Err(_))
        | FetchResponse::Submitted(_)
        | FetchResponse::SystemTaken(_)
        | FetchResponse::Pruned { .. } => return None,
    })
}

/// Where nothing genuine is to be had.
fn made_up(request: &FetchRequest) -> Option<(FetchResponse, &'static str)> {
    Some(match request {
        FetchRequest::Share { .. } => (FetchResponse::Share(Ok(vec![0x5a; 1_200])), "shares"),
        FetchRequest::Chunk { .. } => (FetchResponse::Chunk(Ok(vec![0x5a; 1 << 20])), "chunks"),
        FetchRequest::Blocks { from, .. } => (FetchResponse::Pruned { first: from + 1_000 }, "blocks"),
        FetchRequest::Standing => {
            let high = Certificate {
                epoch: 0,
                view: u64::MAX,
                height: u64::MAX,
                block: Digest::ZERO,
                phase: Phase::Certify,
                signers: Signers::default(),
                signatures: Vec::new(),
            };
            let standing = tacit_consensus::Standing {
                epoch: 0,
                view: u64::MAX,
                high,
                tc: None,
                seen: Statements::default(),
            };
            let answer = StandingAnswer {
                epoch: 0,
                height: u64::MAX,
                standing: Some(standing),
            };
            (FetchResponse::Standing(Box::new(answer)), "standings")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forged_differs_and_what_describes_does_not() {
        for number in 0..4 {
            let chunk = FetchResponse::Chunk(Ok(vec![1, 2, 3]));
            let (forged, what) = forge(chunk.clone(), number).expect("forged");
            assert_eq!(what, "chunks");
            assert_ne!(forged, chunk);
        }
        let share = FetchResponse::Share(Ok(vec![1, 2, 3]));
        assert_ne!(forge(share.clone(), 0).expect("forged").0, share);
        assert!(
            forge(FetchResponse::Blocks(Vec::new()), 0).is_none(),
            "nothing to forge"
        );
        let share = FetchRequest::Share { epoch: 1 };
        assert!(matches!(
            made_up(&share),
            Some((FetchResponse::Share(Ok(_)), "shares"))
        ));
    }
}
