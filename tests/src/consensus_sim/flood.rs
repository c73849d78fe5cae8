//! One core, and everything that one other validator can sign.

use super::{
    options::Options,
    rng::Rng,
    toy,
    world::{CHAIN, START},
};
use tacit_consensus::{
    Anchor, Certificate, Committee, Config, Core, Digest, Executed, Held, Input, Message, Phase, Signature,
    Timeout, Vote,
};

/// Has `liar` send validator 0 so many votes and timeouts of views that chance chooses, near and absurdly far.
/// Answers the most that the core held at any time.
pub fn flood(options: &Options, liar: u16, messages: u64) -> Held {
    let members = (0..options.n)
        .map(|index| toy::signer(false, index).public())
        .collect();
    let anchor = Anchor {
        epoch: 1,
        block: CHAIN,
        height: 0,
        time_ms: START,
        executed: Executed::default(),
    };
    let (mut core, _) = Core::new(
        Config::default(),
        CHAIN,
        Committee { epoch: 1, members },
        Some(toy::signer(false, 0)),
        toy::scheme(false),
        anchor,
        None,
        None,
        Vec::new(),
        START,
    );
    let mut rng = Rng::new(options.seed);
    let key = toy::signer(false, liar);
    let mut most = core.held();
    for sent in 0..messages {
        let view = match rng.between(0, 3) {
            0 => rng.draw(),
            1 => rng.between(1, 1_000_000),
            _ => rng.between(1, 200),
        };
        let message = if rng.chance(500) {
            let mut block = [0; 32];
            block[..8].copy_from_slice(&rng.draw().to_le_bytes());
            let mut vote = Vote {
                epoch: 1,
                view,
                height: rng.draw(),
                block: Digest(block),
                phase: if rng.chance(500) {
                    Phase::Certify
                } else {
                    Phase::Finalize
                },
                voter: liar,
                signature: Signature([0; 64]),
            };
            vote.signature = key.sign(&vote.message(&CHAIN).0);
            Message::Vote(vote)
        } else {
            let mut timeout = Timeout {
                epoch: 1,
                view,
                high: Certificate::genesis(&anchor),
                voter: liar,
                signature: Signature([0; 64]),
            };
            timeout.signature = key.sign(&timeout.signed().message(&CHAIN).0);
            Message::Timeout(Box::new(timeout))
        };
        // What it is answered goes nowhere.
        let from = Some(liar);
        drop(core.step(START + sent / 100, Input::Message { from, message }));
        let held = core.held();
        most = Held {
            votes: most.votes.max(held.votes),
            timeouts: most.timeouts.max(held.timeouts),
            proposals: most.proposals.max(held.proposals),
            blocks: most.blocks.max(held.blocks),
            orphans: most.orphans.max(held.orphans),
            recent: most.recent.max(held.recent),
            fetches: most.fetches.max(held.fetches),
            validators: most.validators.max(held.validators),
        };
    }
    most
}
