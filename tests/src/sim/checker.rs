//! What must hold at every step of every story, whoever is crooked:
//!
//! | | |
//! |---|---|
//! | S1 | one block a height, over all nodes and all time |
//! | S2 | a node's chain only grows, by one, across restarts |
//! | S3 | nobody signs two blocks for one view and phase, nor both finalizes and gives up a view |
//! | S4 | what is reported or signed is in the store first |
//! | S5 | one state a height; the supply is what genesis gave out |
//! | S6 | a final block carries the signatures of a quorum of its epoch's set |
//! | S10 | an envelope stands in the chain once |

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{Committee, Digest, Epoch, Executed, Height, Message, Phase, Signature, View, Vote};

use super::{toy, world::World};

/// Who, in which view, what.
type Said = (usize, Epoch, View, &'static str);

/// What was seen so far.
#[derive(Default)]
pub struct Checker {
    /// The block at each height.
    pub chain: BTreeMap<Height, Digest>,
    states: BTreeMap<Height, Executed>,
    included: BTreeMap<Digest, Height>,
    committees: BTreeMap<Epoch, Committee>,
    heights: BTreeMap<usize, Height>,
    said: BTreeMap<Said, Digest>,
    /// What validators signed before their disk was set back.
    unremembered: BTreeMap<Said, Digest>,
    /// How much of that they contradicted.
    pub contradicted: u64,
    /// Who waits for which batches: server and its number, asker, its life and its number.
    pub(super) questions: BTreeMap<(usize, u64), (usize, u64, u64)>,
}

impl Checker {
    /// A node came back: with all that it ever reported.
    pub fn restarted(&mut self, index: usize, height: Height) {
        let before = self.heights.insert(index, height).unwrap_or(0);
        assert!(
            height >= before,
            "node {index} reported {before} and came back with {height}"
        );
    }

    /// Somebody put an older disk in place: what was reported since is reported again.
    pub fn set_back(&mut self, index: usize, height: Height) {
        self.heights.insert(index, height);
    }

    /// Somebody put an older disk in place while statements were on their way, or with others who answer nothing: what nobody
    /// can show to this validator it may contradict, as one of the f (docs/protocol.md, "A disk that was set back").
    pub fn may_contradict(&mut self, index: usize) {
        let of_index = self
            .said
            .extract_if((index, 0, 0, "")..(index + 1, 0, 0, ""), |_, _| true);
        self.unremembered.extend(of_index);
    }

    /// What a node was asked and has not answered: asker, its life and its number.
    pub(super) fn unanswered(&mut self, server: usize) -> Vec<(usize, u64, u64)> {
        let of_server = self
            .questions
            .extract_if((server, 0)..(server + 1, 0), |_, _| true);
        of_server.map(|(_, asker)| asker).collect()
    }

    /// How many different statements a validator signed so far.
    pub fn statements(&self, index: usize) -> usize {
        self.said.keys().filter(|(by, ..)| *by == index).count()
    }

    /// A node took a public snapshot: its chain goes on from there.
    pub fn jumped(&mut self, index: usize, height: Height) {
        let before = self.heights.insert(index, height).unwrap_or(0);
        assert!(
            height > before,
            "S2: node {index} jumped from {before} back to {height}"
        );
    }

    /// Whether a validator said anything in an epoch.
    pub fn voted(&self, index: usize, epoch: Epoch, what: &'static str) -> bool {
        let all = (index, epoch, 0, "")..(index, epoch + 1, 0, "");
        self.said.range(all).any(|((.., said), _)| *said == what)
    }

    fn say(&mut self, index: usize, place: (Epoch, View), what: &'static str, block: Digest) {
        let said = (index, place.0, place.1, what);
        let earlier = self.unremembered.remove(&said);
        self.contradicted += u64::from(earlier.is_some_and(|earlier| earlier != block));
        let first = *self.said.entry(said).or_insert(block);
        assert_eq!(first, block, "S3: node {index} signs two {what} in {place:?}");
        let both =
            ["finalize", "timeout"].map(|what| self.said.contains_key(&(index, place.0, place.1, what)));
        assert_ne!(
            both, [true; 2],
            "S3: node {index} finalizes and gives up {place:?}"
        );
    }
}

impl World {
    /// An honest replica hands out a message.
    pub(super) fn check_said(&mut self, index: usize, message: &Message) {
        let (place, what, block) = match message {
            Message::Proposal(block) => ((block.header.epoch, block.header.view), "proposal", block.id()),
            Message::Vote(vote) => {
                let what = match vote.phase {
                    Phase::Certify => "certify",
                    Phase::Finalize => "finalize",
                };
                ((vote.epoch, vote.view), what, vote.block)
            }
            Message::Timeout(timeout) => ((timeout.epoch, timeout.view), "timeout", timeout.high.block),
            Message::Certificate(_) | Message::BlockRequest(_) | Message::BlockResponse(_) => return,
        };
        let ms = self.now.saturating_sub(self.genesis.time_ms);
        tracing::debug!(node = index, ms, what, epoch = place.0, view = place.1, %block, "says");
        self.checker.say(index, place, what, block);
        let record = self.nodes[index].log().safety().expect("readable");
        // In the same step it may have gone on, into the next epoch even.
        let durable = record.is_some_and(|record| (record.epoch(), record.signed_view()) >= place);
        assert!(
            durable,
            "S4: node {index} says {what} in {place:?} before that is stored"
        );
    }

    /// A node comes back: what it stored last is everybody's, also where it went down before it could report it.
    pub(super) fn check_kept(&self, index: usize, height: Height, executes: bool) {
        let own = self.nodes[index].log().result(height).expect("readable");
        if let (Some(own), Some(known), true) = (own, self.checker.states.get(&height), executes) {
            assert_eq!(
                *known, own.executed,
                "S5: node {index} kept another state at {height}"
            );
        }
    }

    /// The block's proof ends in the votes of a quorum of those who sit in its epoch: counted and checked one by one.
    fn check_certified(&mut self, index: usize, height: Height) {
        let committed = self.nodes[index].block(height);
        let epoch = committed.block.header.epoch;
        if !self.checker.committees.contains_key(&epoch) {
            let committee = self.committee(epoch);
            self.checker.committees.insert(epoch, committee);
        }
        let members = &self.checker.committees[&epoch].members;
        let scheme = toy::scheme(self.options.real_signatures);
        let certificate = &committed.proof.certificate;
        let signs = |(voter, signature): &(u16, &Signature)| {
            let vote = Vote {
                epoch,
                view: certificate.view,
                height: certificate.height,
                block: certificate.block,
                phase: Phase::Finalize,
                voter: *voter,
                signature: **signature,
            };
            let key = members.get(usize::from(*voter));
            key.is_some_and(|key| scheme.verify(key, &vote.message(&self.chain).0, signature))
        };
        let voters = certificate.signers.iter().zip(&certificate.signatures);
        let good: BTreeSet<u16> = voters.filter(signs).map(|(voter, _)| voter).collect();
        let needed = members.len() - (members.len() - 1) / 3;
        assert!(
            good.len() >= needed,
            "S6: {} of {} signed the block at {height}",
            good.len(),
            members.len()
        );
    }

    /// A replica reports a block.
    pub(super) fn check_committed(&mut self, index: usize, height: Height, envelopes: &[Digest]) {
        let node = &self.nodes[index];
        let id = node.block(height).block.id();
        let result = node
            .log()
            .result(height)
            .expect("readable")
            .expect("S4: a result");
        assert_eq!(result.envelopes, envelopes, "S4: node {index} at {height}");
        // One without a seat follows like an observer.
        let executes = node
            .replica
            .as_ref()
            .is_some_and(|replica| replica.supply().is_some());
        let replica = node.replica.as_ref();
        let doubts = replica.is_some_and(|replica| replica.doubts_receipts(height));
        let supply = self.genesis.supply();
        if !self.checker.chain.contains_key(&height) {
            self.check_certified(index, height);
        }
        let checker = &mut self.checker;
        let before = checker.heights.insert(index, height).unwrap_or(0);
        assert_eq!(before + 1, height, "S2: node {index}");
        let known = *checker.chain.entry(height).or_insert(id);
        assert_eq!(known, id, "S1: node {index} has another block at {height}");
        for envelope in envelopes {
            let first = *checker.included.entry(*envelope).or_insert(height);
            assert_eq!(first, height, "S10: {envelope} is in two blocks");
        }
        let own = result.executed;
        if executes {
            let state = *checker.states.entry(height).or_insert(own);
            assert_eq!(state, own, "S5: node {index} has another state at {height}");
            assert_eq!(own.supply, supply, "S5: the supply at {height}");
        } else if let Some(state) = checker.states.get(&height) {
            // It has receipts from others, and says so where it cannot tell whether they are those of the chain.
            let receipts = |executed: &Executed| (!doubts).then_some(executed.receipts_root);
            let seen = |executed: &Executed| (executed.public_root, receipts(executed));
            assert_eq!(seen(state), seen(&own), "S5: observer {index} at {height}");
        }
    }
}
