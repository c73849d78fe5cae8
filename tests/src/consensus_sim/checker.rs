//! The invariants S1, S2, S3 and S11, written from the protocol and not from the core.

use std::collections::BTreeMap;
use tacit_consensus::{Block, Digest, EquivocationProof, Message, Phase};

/// Everything one validator ever signed, as far as it was sent.
#[derive(Default)]
struct Statements {
    proposals: BTreeMap<u64, Digest>,
    votes: BTreeMap<u64, Digest>,
    finalizes: BTreeMap<u64, Digest>,
    /// View given up, with the view of the certificate reported.
    timeouts: BTreeMap<u64, u64>,
}

/// Sees every message sent and every block committed.
pub(super) struct Checker {
    honest: Vec<bool>,
    chain: BTreeMap<u64, Digest>,
    statements: BTreeMap<u16, Statements>,
    pub(super) violations: Vec<String>,
}

impl Checker {
    pub(super) fn new(honest: Vec<bool>) -> Self {
        Self {
            honest,
            chain: BTreeMap::new(),
            statements: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    fn is_honest(&self, index: u16) -> bool {
        self.honest.get(usize::from(index)).copied().unwrap_or(false)
    }

    /// S1: one block a height. S2: the next height each time.
    pub(super) fn committed(&mut self, index: u16, height_before: u64, block: &Block) {
        if !self.is_honest(index) {
            return;
        }
        let (height, id) = (block.header.height, block.id());
        if height != height_before + 1 {
            self.violations.push(format!(
                "S2: {index} committed height {height} after {height_before}"
            ));
        }
        let first = *self.chain.entry(height).or_insert(id);
        if first != id {
            self.violations.push(format!(
                "S1: {index} committed {id} at height {height}, another {first}"
            ));
        }
    }

    /// S3: nothing contradicts what the same validator sent before, restarts or not.
    pub(super) fn sent(&mut self, index: u16, message: &Message) {
        if !self.is_honest(index) {
            return;
        }
        let said = self.statements.entry(index).or_default();
        let mut wrong = |what: &str, view: u64| {
            self.violations.push(format!("S3: {index} {what} in view {view}"));
        };
        let mut once = |kind: &mut BTreeMap<u64, Digest>, view: u64, id: Digest, what: &str| {
            if *kind.entry(view).or_insert(id) != id {
                wrong(what, view);
            }
        };
        match message {
            Message::Proposal(block) => {
                once(
                    &mut said.proposals,
                    block.header.view,
                    block.id(),
                    "proposed twice",
                );
            }
            Message::Vote(vote) if vote.phase == Phase::Certify => {
                once(&mut said.votes, vote.view, vote.block, "voted twice");
            }
            Message::Vote(vote) => {
                once(&mut said.finalizes, vote.view, vote.block, "finalized twice");
                let denied = said
                    .timeouts
                    .range(vote.view..)
                    .any(|(_, high)| *high < vote.view);
                if denied || said.timeouts.contains_key(&vote.view) {
                    wrong("finalized after giving up", vote.view);
                }
            }
            Message::Timeout(timeout) => {
                let (view, high) = (timeout.view, timeout.high.view);
                if *said.timeouts.entry(view).or_insert(high) != high {
                    wrong("gave up twice, differently,", view);
                }
                // Whoever finalized a view knows its certificate from then on.
                if said
                    .finalizes
                    .range(..=view)
                    .next_back()
                    .is_some_and(|(final_view, _)| *final_view > high)
                {
                    wrong("denied a certificate that it finalized,", view);
                }
            }
            Message::Certificate(_) | Message::BlockRequest(_) | Message::BlockResponse(_) => {}
        }
    }

    /// S11: only a validator that runs twice may be blamed.
    pub(super) fn blamed(&mut self, proof: &EquivocationProof, guilty: Option<u16>) {
        if guilty.is_none_or(|guilty| self.is_honest(guilty)) {
            self.violations
                .push(format!("S11: evidence against {guilty:?}: {proof:?}"));
        }
    }
}
