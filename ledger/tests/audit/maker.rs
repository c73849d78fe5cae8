//! Makes whole chains: blocks with every signature that real validators give, envelopes that are executed, epochs whose
//! secrets are dealt, and all that a node stores of them. One process holds all keys.

use std::{collections::BTreeMap, sync::Arc};

use borsh::BorshDeserialize;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Committee, Digest, Executed, Header, Payload, Phase, PublicKey,
    Signature, SignedTimeout, Signer, Signers, TimeoutCertificate, TimeoutEntry, Vote,
};
use tacit_ledger::*;

use crate::world::{self, Applicant, Kind, Machine, TIME, consensus_key, member_key, node_key};

/// Names are `val-0` to this; keys follow from the number.
const VALIDATORS: u8 = 32;
pub(crate) const SECOND: u64 = 1_000;

/// A chain in the making.
pub(crate) struct Maker {
    pub(crate) genesis: Genesis,
    pub(crate) state: PublicState,
    pub(crate) now: u64,
    pub(crate) folder: Folder,
    private: PrivateState,
    keys: Option<StateKeys>,
    sealing: Option<SealingSecret>,
    anchor: Anchor,
    /// The newest block's header and certificate; none right after the epoch began.
    parent: Option<(Header, Certificate)>,
    executed: Executed,
    /// The newest block, if a certificate of its child is to prove it.
    waiting: Option<Waiting>,
    shares: Vec<(Contribution, Share)>,
    nonces: BTreeMap<AccountId, u64>,
    batches: u64,
    rng: ChaCha20Rng,
    /// Leave out a view in this many blocks; 0 for never.
    pub(crate) gaps: u64,
    /// Prove one of this many blocks by its child; 0 for none.
    pub(crate) late: u64,
}

/// A block whose proof is to come.
struct Waiting {
    block: Block,
    writes: WriteBatch,
}

/// What a node's folder holds, by column and key.
#[derive(Clone, Default)]
pub(crate) struct Folder(pub(crate) BTreeMap<(Column, Vec<u8>), Vec<u8>>);

impl Folder {
    pub(crate) fn write(&mut self, writes: WriteBatch) {
        for op in writes.ops {
            match op.value {
                Some(value) => self.0.insert((op.column, op.key), value),
                None => self.0.remove(&(op.column, op.key)),
            };
        }
    }

    pub(crate) fn put(&mut self, put: impl FnOnce(&mut WriteBatch)) {
        let mut writes = WriteBatch::new();
        put(&mut writes);
        self.write(writes);
    }

    pub(crate) fn store_into(&self, store: &dyn Store) {
        let mut writes = WriteBatch::new();
        for ((column, key), value) in &self.0 {
            writes.put(*column, key.clone(), value.clone());
        }
        store.commit(writes, Durability::Synced).unwrap();
    }

    pub(crate) fn store(&self) -> MemoryStore {
        let store = MemoryStore::new();
        self.store_into(&store);
        store
    }

    pub(crate) fn audit(&self, genesis: &Genesis) -> Result<AuditSummary, AuditError> {
        audit_store(&self.store(), genesis, &first_bad, &mut |_| {})
    }

    /// Drops what a node drops that keeps the blocks from a closing one on.
    pub(crate) fn prune(&mut self, first: u64) {
        self.0.retain(|(column, key), _| {
            let by_height = matches!(column, Column::Blocks | Column::Results);
            !by_height || key_height(key).is_some_and(|height| height >= first)
        });
        self.put(|writes| writes.put_first(first));
    }

    /// A stored value.
    pub(crate) fn get<T: BorshDeserialize>(&self, column: Column, key: &[u8]) -> T {
        let bytes = self.0.get(&(column, key.to_vec())).expect("an entry");
        T::try_from_slice(bytes).expect("as it was written")
    }

    pub(crate) fn block(&self, height: u64) -> CommittedBlock {
        self.get(Column::Blocks, &height_key(height))
    }
}

pub(crate) fn alice() -> AccountKey {
    AccountKey::from_seed([101; 32]).ok().unwrap()
}

pub(crate) fn bob() -> AccountKey {
    AccountKey::from_seed([102; 32]).ok().unwrap()
}

/// A genesis of these machines in which alice and bob have something.
pub(crate) fn genesis(kinds: &[Kind], epoch_ms_max: u64) -> Genesis {
    let mut genesis = world::genesis(kinds);
    genesis.allocations = vec![(alice().id(), 1_000 * UNIT), (bob().id(), 500 * UNIT)];
    genesis.params.epoch_ms_max = epoch_ms_max;
    let member = |n: u8| RecoveryMember {
        name: format!("keeper-{n}"),
        key: SealingSecret::derive(&[200 + n; 32]).public().clone(),
    };
    genesis.recovery = RecoveryMembers {
        members: (0..3).map(member).collect(),
        threshold: 2,
    };
    genesis.verify().expect("a genesis that holds");
    genesis
}

/// The number of the validator with a consensus key.
pub(crate) fn number(key: &PublicKey) -> u8 {
    let mut numbers = 0..VALIDATORS;
    numbers
        .find(|n| consensus_key(*n).public() == *key)
        .expect("a known validator")
}

/// The secret of a KEM key of [`world::kem`].
fn kem_secret(key: &SealingPublic) -> SealingSecret {
    let mut secrets = (0..VALIDATORS).map(|n| SealingSecret::derive(&[64 + n; 32]));
    secrets
        .find(|secret| secret.public() == key)
        .expect("a known key")
}

/// A certificate by these of the committee.
pub(crate) fn certify(header: &Header, committee: &Committee, phase: Phase, signers: &[u16]) -> Certificate {
    let (epoch, view, height, block) = (header.epoch, header.view, header.height, header.id());
    let vote = Vote {
        epoch,
        view,
        height,
        block,
        phase,
        voter: 0,
        signature: Signature([0; 64]),
    };
    let message = vote.message(&header.chain);
    let sign = |voter: &u16| consensus_key(number(committee.key(*voter).unwrap())).sign(&message.0);
    Certificate {
        epoch,
        view,
        height,
        block,
        phase,
        signers: Signers::new(committee.n(), signers.iter().copied()),
        signatures: signers.iter().map(sign).collect(),
    }
}

/// A quorum, another one for each `turn`.
pub(crate) fn quorum(committee: &Committee, turn: u64) -> Vec<u16> {
    let n = committee.n() as u64;
    let mut some: Vec<u16> = (0..committee.quorum() as u64)
        .map(|k| ((turn + k) % n) as u16)
        .collect();
    some.sort_unstable();
    some
}

/// The certificate that a view was given up, by validators that know of `high_view`.
pub(crate) fn give_up(
    chain: &Digest,
    committee: &Committee,
    view: u64,
    high_view: u64,
) -> TimeoutCertificate {
    let entry = |voter: u16| {
        let signature = Signature([0; 64]);
        let epoch = committee.epoch;
        let timeout = SignedTimeout {
            epoch,
            view,
            high_view,
            voter,
            signature,
        };
        let key = consensus_key(number(committee.key(voter).unwrap()));
        TimeoutEntry {
            voter,
            high_view,
            signature: key.sign(&timeout.message(chain).0),
        }
    };
    TimeoutCertificate {
        epoch: committee.epoch,
        view,
        entries: quorum(committee, view).into_iter().map(entry).collect(),
    }
}

/// The leader's signature over header and parts.
pub(crate) fn sign(block: &mut Block, committee: &Committee) {
    let leader = committee.key(committee.leader(block.header.view)).unwrap();
    let message = block.signed_header().message();
    block.signature = consensus_key(number(leader)).sign(&message.0);
}

impl Maker {
    pub(crate) fn new(genesis: Genesis) -> Self {
        let state = PublicState::genesis(&genesis);
        let anchor = genesis.anchor(state.root(0).unwrap(), Digest::ZERO);
        let mut folder = Folder::default();
        folder.put(|writes| {
            writes.put(Column::Meta, meta::CHAIN, genesis.chain_id().0);
            writes.put(Column::Meta, meta::FORMAT, meta::FORMAT_VERSION.to_le_bytes());
        });
        Self {
            private: PrivateState::genesis(None, &genesis.allocations),
            keys: None,
            sealing: None,
            executed: anchor.executed,
            anchor,
            parent: None,
            waiting: None,
            shares: Vec::new(),
            nonces: BTreeMap::new(),
            batches: 0,
            rng: ChaCha20Rng::from_seed([5; 32]),
            gaps: 0,
            late: 0,
            now: TIME,
            state,
            genesis,
            folder,
        }
    }

    /// The chain as it is stored once nothing waits any more.
    pub(crate) fn done(mut self) -> (Genesis, Folder) {
        self.prove_waiting(None);
        let public = self.state;
        self.folder.put(|writes| writes.put_public(&public));
        (self.genesis, self.folder)
    }

    pub(crate) fn chain(&self) -> Digest {
        *self.state.chain()
    }

    pub(crate) fn height(&self) -> u64 {
        self.state.height()
    }

    /// A sealed payment from alice to bob.
    pub(crate) fn payment(&mut self, amount: Amount) -> Envelope {
        let (chain, from) = (self.chain(), alice());
        let nonce = self.nonces.entry(from.id()).or_default();
        let to = bob().id();
        let action = Action::Token(TokenAction::Transfer { to, amount });
        let call = Call::sign(&chain, &from, *nonce, 1_000_000, action, [0; 32]);
        *nonce += 1;
        let key = self.sealing.as_ref().unwrap().public().clone();
        let (epoch, expiry) = (self.state.current().epoch, self.height() + 100);
        seal_envelope(&mut self.rng, &key, &chain, epoch, expiry, &call)
            .unwrap()
            .0
    }

    /// The newest payment was never executed: its nonce is free.
    pub(crate) fn forget_payment(&mut self) {
        *self.nonces.entry(alice().id()).or_default() -= 1;
    }

    /// A batch by the validator of a seat.
    pub(crate) fn batch(&mut self, author: u16, envelopes: Vec<Envelope>) -> Batch {
        self.batches += 1;
        let seat = &self.state.current().validators[usize::from(author)];
        let signer = node_key(number(&seat.consensus_key));
        let epoch = self.state.current().epoch;
        Batch::sign(self.chain(), epoch, author, self.batches, envelopes, &signer)
    }

    /// The view and the leader of the next block.
    fn view(&self) -> (u64, Option<TimeoutCertificate>) {
        let below = self.parent.as_ref().map_or(0, |(header, _)| header.view);
        let skip = self.gaps > 0 && self.height() % self.gaps == self.gaps - 1;
        let committee = self.state.committee();
        match skip {
            false => (below + 1, None),
            true => (
                below + 2,
                Some(give_up(&self.chain(), &committee, below + 1, below)),
            ),
        }
    }

    pub(crate) fn leader(&self) -> u16 {
        self.state.committee().leader(self.view().0)
    }

    /// A block a second later.
    pub(crate) fn block(&mut self, batches: Vec<Batch>, system: &[SystemTx]) {
        self.block_after(SECOND, batches, system);
    }

    pub(crate) fn block_after(&mut self, after_ms: u64, batches: Vec<Batch>, system: &[SystemTx]) {
        let committee = self.state.committee();
        let (view, timeout) = self.view();
        let payload = Payload {
            batches: batches.iter().map(Batch::digest).collect(),
            system: system.iter().map(SystemTx::encode).collect(),
        };
        let next_epoch = system.iter().find_map(|tx| match tx {
            SystemTx::CloseEpoch(record) => Some(record.digest()),
            _ => None,
        });
        self.now += after_ms;
        let header = Header {
            chain: self.chain(),
            epoch: committee.epoch,
            height: self.height() + 1,
            view,
            parent: *self.state.block_id(self.height()).unwrap(),
            time_ms: self.now,
            payload_root: payload.root(),
            executed: self.executed,
            next_epoch,
        };
        let (justify, commit) = match &self.parent {
            None => (Certificate::genesis(&self.anchor), None),
            Some((parent, certified)) => {
                let carried = certify(parent, &committee, Phase::Finalize, &quorum(&committee, view + 1));
                (certified.clone(), Some(carried))
            }
        };
        let mut block = Block {
            header,
            payload,
            justify,
            timeout,
            commit,
            signature: Signature([0; 64]),
        };
        sign(&mut block, &committee);
        self.take(block, &batches, &committee);
    }

    /// What every node does with a final block.
    fn take(&mut self, block: Block, batches: &[Batch], committee: &Committee) {
        let header = block.header.clone();
        self.prove_waiting(Some(&header));
        let (chain, height) = (self.chain(), header.height);
        let public_root = self.state.apply(&block).expect("a block that keeps to the rules");
        let mut writes = WriteBatch::new();
        let (mut ids, mut executables) = (Vec::new(), Vec::new());
        for batch in batches {
            writes.put_batch(&batch.digest(), batch);
            for envelope in &batch.envelopes {
                let id = envelope.id();
                let known = self.folder.0.contains_key(&(Column::Txs, id.0.to_vec()));
                if known || ids.contains(&id) || envelope.check(&chain, header.epoch, height).is_err() {
                    continue;
                }
                writes.put_tx(&TxRecord {
                    id,
                    height,
                    index: ids.len() as u32,
                    epoch: envelope.epoch,
                    size_class: envelope.size_class(),
                    expiry_height: envelope.expiry_height,
                    bytes: encode(envelope),
                });
                let opened = self
                    .sealing
                    .as_ref()
                    .and_then(|key| open_envelope(key, envelope).ok());
                executables.push(match opened {
                    Some(opened) => Executable::Opened(Arc::new(opened)),
                    None => Executable::Unopened(id),
                });
                ids.push(id);
            }
        }
        let context = BlockContext {
            chain,
            height,
            time_ms: header.time_ms,
            fee_per_512: self.genesis.params.fee_per_512,
        };
        let mut outcome = self.private.execute_block(context, &executables);
        if header.next_epoch.is_some() {
            let first = self.keys.is_none();
            let (keys, secret) = self.next_keys();
            if first {
                self.private.install_keys(&keys, height);
                outcome.private_root = self.private.root();
            }
            self.shares.clear();
            self.keys = Some(keys);
            self.sealing = Some(secret.sealing());
        }
        let mut leaves = Vec::new();
        for (index, (id, sealed)) in (0u32..).zip(&outcome.receipts) {
            leaves.push(sealed.leaf(id));
            let sealed = sealed.clone();
            writes.put_receipt(
                id,
                &StoredReceipt {
                    height,
                    index,
                    sealed,
                },
            );
        }
        let receipts = block_receipts_root(&leaves);
        self.executed = Executed {
            height,
            public_root,
            private_root: outcome.private_root,
            receipts_root: chain_receipts(&self.executed.receipts_root, &receipts),
            supply: outcome.supply,
        };
        writes.put_result(&BlockResult {
            executed: self.executed,
            receipts,
            envelopes: ids,
        });
        let ordinary = block
            .payload
            .system
            .iter()
            .map(|bytes| SystemTx::decode(bytes).unwrap());
        for (index, tx) in (0u32..).zip(ordinary.filter(SystemTx::is_ordinary)) {
            writes.put_system(&tx.id(), &SystemRecord { height, index });
        }
        if header.next_epoch.is_some() {
            self.close(block, writes, committee);
        } else {
            let certificate = certify(
                &header,
                committee,
                Phase::Certify,
                &quorum(committee, header.view),
            );
            self.parent = Some((header.clone(), certificate));
            self.waiting = Some(Waiting { block, writes });
            if self.late == 0 || !height.is_multiple_of(self.late) {
                self.prove_waiting(None);
            }
        }
    }

    /// A closing block is proven by an epilogue: its child, with nothing in it.
    fn close(&mut self, block: Block, mut writes: WriteBatch, committee: &Committee) {
        let closing = block.header.clone();
        let epilogue = Header {
            height: closing.height + 1,
            view: closing.view + 1,
            parent: closing.id(),
            time_ms: closing.time_ms + 1,
            payload_root: Payload::default().root(),
            next_epoch: None,
            ..closing.clone()
        };
        let even = closing.epoch.is_multiple_of(2);
        let certified = if even { &closing } else { &epilogue };
        let proof = CommitProof {
            certificate: certify(
                certified,
                committee,
                Phase::Finalize,
                &quorum(committee, closing.view),
            ),
            path: if even { Vec::new() } else { vec![epilogue.clone()] },
        };
        let record = self.state.current().clone();
        self.anchor = Anchor {
            epoch: record.epoch,
            block: closing.id(),
            height: closing.height,
            time_ms: closing.time_ms,
            executed: closing.executed,
        };
        writes.put_epoch(&EpochLink {
            header: closing,
            proof: proof.clone(),
            record,
        });
        writes.put_block(&CommittedBlock { block, proof });
        self.folder.write(writes);
        self.parent = None;
    }

    /// Stores the newest block with its proof: its own certificate, or that of the child.
    fn prove_waiting(&mut self, child: Option<&Header>) {
        let Some(Waiting { block, mut writes }) = self.waiting.take() else {
            return;
        };
        let committee = self.state.committee();
        // A closing child's own proof leads elsewhere, and it may certify its parent all the same.
        let path: Vec<Header> = child.into_iter().cloned().collect();
        let certified = child.unwrap_or(&block.header);
        let signers = quorum(&committee, certified.view + 2);
        let certificate = certify(certified, &committee, Phase::Finalize, &signers);
        let proof = CommitProof { certificate, path };
        writes.put_block(&CommittedBlock { block, proof });
        self.folder.write(writes);
    }

    /// What the seats of the epoch to come derive from their shares.
    fn next_keys(&self) -> (StateKeys, EpochSecret) {
        let current = self.state.current().epoch;
        let epoch = self.shares.first().map_or(current, |(dealt, _)| dealt.epoch);
        let secret = EpochSecret::combine(&self.chain(), epoch, &self.shares);
        let keys = match &self.keys {
            None => StateKeys::derive(&secret),
            Some(keys) => keys.in_epoch(&secret),
        };
        (keys, secret)
    }

    /// Ends the epoch, which must be due.
    pub(crate) fn turn(&mut self) -> EpochRecord {
        let mut begin = Vec::new();
        if let Some(reason) = self.state.end_due(self.now + SECOND) {
            begin.push(SystemTx::EndEpoch { reason });
        }
        let epoch = self.state.current().epoch + 1;
        for _ in 0..64 {
            let time_ms = self.now + SECOND;
            let mut system = std::mem::take(&mut begin);
            if let Some(dealer) = self.state.dealer(self.leader(), time_ms) {
                let seats = self.state.next_validators(time_ms);
                let keys: Vec<SealingPublic> = seats.iter().map(|seat| seat.kem_key.clone()).collect();
                let chain = self.chain();
                let own = deal(&mut self.rng, &chain, epoch, dealer, &keys).unwrap();
                let share = open_share(&kem_secret(&keys[0]), &chain, &own, 0).ok().unwrap();
                self.shares.push((own.clone(), share));
                let (keys, secret) = self.next_keys();
                let scope = RecoveryScope {
                    chain: &chain,
                    epoch,
                    members: &self.genesis.recovery,
                };
                let keys = EpochKeys {
                    recovery: scope.package(&secret, &keys).unwrap(),
                    ..EpochKeys::of(&secret, &keys)
                };
                let record = self.state.next_record(time_ms, &own, &keys);
                system.push(SystemTx::Contribute(own));
                system.extend(record.map(SystemTx::CloseEpoch));
            }
            self.block(Vec::new(), &system);
            if self.state.current().epoch == epoch {
                return self.state.current().clone();
            }
        }
        panic!("the epoch does not end");
    }

    /// Fresh evidence of validator `n`'s machine.
    pub(crate) fn renewal(&self, n: u8, machine: Machine) -> SystemTx {
        SystemTx::Register(world::register(n, machine, &self.place()))
    }

    /// A registration bound to the newest block.
    pub(crate) fn apply(&self, applicant: &Applicant) -> SystemTx {
        SystemTx::Register(applicant.register(&self.place()))
    }

    fn place(&self) -> RegistrationPlace {
        let height = self.height();
        RegistrationPlace {
            network: self.chain(),
            height,
            block: *self.state.block_id(height).unwrap(),
            policy_version: self.state.next_policy_version() - 1,
        }
    }

    /// Alice proposes a policy; the approvals of bob and carol.
    pub(crate) fn policy(
        &self,
        change: impl FnOnce(&mut tacit_attest::Policy),
    ) -> (PolicyProposal, [SystemTx; 2]) {
        let mut policy = self.state.policy().clone();
        change(&mut policy);
        policy.version = self.state.next_policy_version();
        let chain = self.chain();
        let proposal = PolicyProposal {
            chain,
            policy,
            protocol: self.state.policy_in_force().protocol,
            reinstate: Vec::new(),
            allow_below_quorum: false,
            sequence: self.now,
            member: 0,
            signature: PolicyProposal::unsigned(),
        }
        .sign(&member_key(0), [9; 32]);
        let approve = |member| {
            let key = member_key(member);
            SystemTx::Approve(PolicyApproval::sign(chain, proposal.id(), member, &key, [9; 32]))
        };
        let approvals = [approve(1), approve(2)];
        (proposal, approvals)
    }
}
