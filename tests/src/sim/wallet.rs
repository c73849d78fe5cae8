//! Clients: they seal, hand in, prove and open.

use std::sync::Arc;

use tacit_consensus::{Digest, Height};
use tacit_ledger::{
    AccountId, AccountKey, Action, Amount, Answer, Batch, Call, Envelope, OpenedEnvelope, Query, Question,
    Receipt, ReceiptKey, ReceiptProof, SealingPublic, SealingSecret, StateKey, TokenAction, TokenKey,
    open_envelope, seal_envelope,
};
use tacit_node::{
    proofs::receipt_proof,
    replica::{Input, Refused},
};

use super::{founders::node_signer, members::went_down, toy, world::World};

/// What transfers in these stories offer: twice the charge.
const FEE: u64 = 2_000;

/// A transfer of `amount`.
pub fn pay(to: AccountId, amount: Amount) -> Action {
    Action::Token(TokenAction::Transfer { to, amount })
}

/// The place of an account's balance.
pub fn balance(key: &AccountKey) -> StateKey {
    StateKey::from(TokenKey::Balance(key.id()))
}

/// A private read by an account, and the node's word on it.
///
/// # Panics
///
/// When the node is down.
pub fn ask(
    world: &mut World,
    node: usize,
    who: &AccountKey,
    min_height: u64,
    keys: Vec<StateKey>,
) -> (Query, Result<Box<Answer>, Refused>) {
    let question = Question {
        fresh: [9; 32],
        time_ms: world.now,
        min_height,
        keys,
        answer_to: SealingSecret::derive(&[8; 32]).public().clone(),
    };
    let query = Query::sign(&world.chain, who, question, [4; 32]);
    let reply = world.reply();
    let boxed = Box::new(query.clone());
    world.input(node, Input::Query { reply, query: boxed });
    let answers = &mut world.nodes[node].seen.answered;
    (query, answers.remove(&reply).expect("an answer in the same step"))
}

impl World {
    /// An envelope to the newest epoch, good for 1000 blocks.
    pub fn seal(&mut self, from: &AccountKey, nonce: u64, action: Action) -> (Envelope, ReceiptKey) {
        let record = self.record();
        let key = record.sealing_key.clone().expect("an epoch with a key");
        self.seal_to(&key, record.epoch, self.top() + 1_000, from, nonce, action)
    }

    /// The same to a key and epoch of the caller's choice, up to a height.
    pub fn seal_to(
        &mut self,
        key: &SealingPublic,
        epoch: u64,
        expiry: Height,
        from: &AccountKey,
        nonce: u64,
        action: Action,
    ) -> (Envelope, ReceiptKey) {
        let call = Call::sign(&self.chain, from, nonce, FEE, action, [3; 32]);
        seal_envelope(&mut self.sealing, key, &self.chain, epoch, expiry, &call).expect("sealed")
    }

    /// Hands an envelope to a validator, whose edge opens it; the replica's word on it.
    pub fn submit(&mut self, index: usize, envelope: &Envelope) -> Result<Digest, Refused> {
        let (_, secret) = self.nodes[index].opener.clone().expect("a validator with a key");
        self.submit_opened_with(index, envelope, &secret)
    }

    /// The same, when the edge had the key of another moment.
    pub fn submit_opened_with(
        &mut self,
        index: usize,
        envelope: &Envelope,
        secret: &SealingSecret,
    ) -> Result<Digest, Refused> {
        let opened = Arc::new(open_envelope(secret, envelope).expect("an envelope that opens"));
        self.submit_as(index, envelope, opened)
    }

    /// The same, when it is opened already.
    pub fn submit_as(
        &mut self,
        index: usize,
        envelope: &Envelope,
        opened: Arc<OpenedEnvelope>,
    ) -> Result<Digest, Refused> {
        let reply = self.reply();
        let envelope = Box::new(envelope.clone());
        self.input(
            index,
            Input::Submit {
                reply,
                envelope,
                opened,
            },
        );
        let answers = &mut self.nodes[index].seen.submitted;
        answers.remove(&reply).unwrap_or_else(|| Err(went_down()))
    }

    /// A batch that validator `author` signs.
    pub fn batch(&self, author: usize, sequence: u64, envelopes: Vec<Envelope>) -> Batch {
        let seat = u16::try_from(author).expect("few");
        let epoch = self.record().epoch;
        Batch::sign(self.chain, epoch, seat, sequence, envelopes, &node_signer(author))
    }

    /// Gossips a batch as `author` would, to everybody including the author.
    pub fn inject(&mut self, author: usize, batch: &Batch) {
        let bytes = borsh::to_vec(batch).expect("encoded");
        self.gossip_batch(author, &bytes);
        self.take_batch(author, &bytes);
    }

    /// A receipt's proof from a node's own store, verified against the epoch's set; `None` while there is none.
    pub fn proof(&self, index: usize, id: &Digest) -> Option<ReceiptProof> {
        let node = &self.nodes[index];
        let proof = receipt_proof(&*node.store, node.height(), id).expect("a store that is whole")?;
        let committee = self.committee(proof.header.epoch);
        proof
            .verify(
                &self.chain,
                &committee,
                &*toy::scheme(self.options.real_signatures),
            )
            .unwrap_or_else(|error| panic!("node {index}'s receipt proof: {error}"));
        Some(proof)
    }

    /// The receipt, proven by every running node's store and opened.
    pub fn receipt(&self, id: &Digest, key: &ReceiptKey) -> Receipt {
        let up = self.nodes.iter().filter(|node| node.replica.is_some());
        let proofs: Vec<_> = up
            .map(|node| self.proof(node.index, id).expect("a proof"))
            .collect();
        let first = proofs.first().expect("a running node");
        assert!(proofs.iter().all(|proof| proof.sealed == first.sealed));
        first.sealed.open(key).expect("a receipt that opens")
    }

    /// Hands in a transfer, again if its epoch ends before it is ordered, waits until it is proven everywhere,
    /// gives its receipt.
    pub fn transfer(&mut self, at: usize, from: &AccountKey, nonce: u64, to: AccountId) -> Receipt {
        loop {
            let epoch = self.record().epoch;
            self.run_until("the node is in the epoch", 10_000, |world| {
                world.nodes[at].epoch() >= epoch
            });
            let (envelope, key) = self.seal(from, nonce, pay(to, 1));
            let id = match self.submit(at, &envelope) {
                Ok(id) => id,
                Err(refused) if refused.code == "tx.epoch_closed" => {
                    self.run_for(100);
                    continue;
                }
                Err(refused) => panic!("{refused:?}"),
            };
            let ended = |world: &Self| world.nodes[at].seen.expired.contains(&id);
            self.run_until("the transfer is in the chain", 30_000, |world| {
                world.all_have(&id) || ended(world)
            });
            if !ended(self) {
                self.settle();
                return self.receipt(&id, &key);
            }
        }
    }

    /// A transfer that only these nodes can hear of.
    pub fn transfer_among(
        &mut self,
        nodes: std::ops::Range<usize>,
        from: &AccountKey,
        nonce: u64,
        to: AccountId,
    ) {
        let epoch = self.record().epoch;
        self.run_until("they are in the epoch", 10_000, |world| {
            world.nodes[nodes.clone()]
                .iter()
                .all(|node| node.epoch() == epoch)
        });
        let (envelope, _) = self.seal(from, nonce, pay(to, 1));
        let id = self.submit(nodes.start, &envelope).expect("accepted");
        self.run_until("the transfer is in the chain", 30_000, |world| {
            world.nodes[nodes.clone()].iter().all(|node| node.has(&id))
        });
    }
}
