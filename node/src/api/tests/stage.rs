//! A stage node: a small chain in memory, built block by block, behind the same seam as the running node. Its
//! certificates have the right shape and no real signatures; its evidence is nothing but bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use tacit_attest::{ChipId, Evidence, Measurement, NetworkClass, Platform, Policy, TrustRoots};
use tacit_consensus::{
    Block, Certificate, CommitProof, Digest, Executed, Header, Payload, Phase, PublicKey, Scheme, Signature,
    Signers,
};
use tacit_ledger::{
    AccountKey, Batch, BlockResult, CommittedBlock, Durability, ENCAPSULATION_BYTES, Envelope, EnvelopeKey,
    EpochLink, EpochReason, EpochRecord, Genesis, Governance, GovernanceMember, HolderVerdict, MemoryStore,
    Params, PublicState, Registration, SealedReceipt, SealingPublic, SealingSecret, Store, StoredReceipt,
    SystemRecord, SystemTx, TxRecord, VerdictCache, WriteBatch, block_receipts_root, chain_receipts,
};
use tokio::sync::watch;

use crate::api::node::Node;
use crate::config::Role;
use crate::forecast::Forecast;
use crate::handle::{Accepted, Problem, SystemAccepted, TxState};
use crate::metrics::Metrics;
use crate::phase::Phase as NodePhase;
use crate::renewal::Attempt;
use crate::status::{Check, Membership, Status};
use crate::system_waiting::SystemState;

/// Believes every signature.
pub(super) struct Credulous;

impl Scheme for Credulous {
    fn verify(&self, _: &PublicKey, _: &[u8], _: &Signature) -> bool {
        true
    }
}

/// Believes every registration.
pub(super) struct Judged;

impl VerdictCache for Judged {
    fn get(&self, key: &Digest) -> Option<HolderVerdict> {
        let chip = ChipId([key.0, key.0].concat().try_into().expect("64 bytes"));
        Some(HolderVerdict {
            platform: Platform::Simulated,
            measurement: Measurement([7; 48]),
            chip,
        })
    }

    fn put(&mut self, _: Digest, _: HolderVerdict) {}
}

/// The node's changing parts.
struct Scene {
    record: Arc<EpochRecord>,
    head: Option<Header>,
    results: Vec<Executed>,
    states: BTreeMap<Digest, TxState>,
    refusal: Option<Problem>,
    public: Arc<PublicState>,
    system: BTreeMap<Digest, SystemState>,
    forecast: Arc<Forecast>,
    checks: Vec<Check>,
    phase: NodePhase,
    membership: Option<Membership>,
    attempt: Option<Attempt>,
    next: u64,
}

/// The stage node.
pub(super) struct Stage {
    store: Arc<dyn Store + Send + Sync>,
    genesis: Arc<Genesis>,
    sealing_key: SealingPublic,
    /// Blocks between a height and the header that certifies its execution.
    lag: u64,
    head: watch::Sender<u64>,
    scene: Mutex<Scene>,
    metrics: Arc<Metrics>,
}

impl Stage {
    /// A chain of four validators at genesis, whose headers certify execution `lag` blocks later.
    pub(super) fn new(lag: u64) -> Arc<Self> {
        let genesis = Arc::new(genesis());
        let scene = Scene {
            record: Arc::new(genesis.record0()),
            head: None,
            results: vec![Executed {
                supply: 4_000_000_000,
                ..Executed::default()
            }],
            states: BTreeMap::new(),
            refusal: None,
            public: Arc::new(PublicState::genesis(&genesis)),
            system: BTreeMap::new(),
            forecast: Arc::default(),
            phase: NodePhase::Voting,
            membership: None,
            attempt: None,
            checks: vec![Check {
                name: "lag",
                ok: true,
                value: "0".into(),
                limit: "5".into(),
                code: None,
            }],
            next: 1,
        };
        Arc::new(Self {
            store: Arc::new(MemoryStore::new()),
            genesis,
            sealing_key: SealingSecret::derive(&[9; 32]).public().clone(),
            lag,
            head: watch::Sender::new(0),
            scene: Mutex::new(scene),
            metrics: Arc::new(Metrics::new("0.0.0", "none")),
        })
    }

    fn scene(&self) -> std::sync::MutexGuard<'_, Scene> {
        self.scene.lock().expect("no test panics with the scene")
    }

    /// A fresh envelope for the epoch in force.
    pub(super) fn envelope(&self) -> Envelope {
        let mut scene = self.scene();
        scene.next += 1;
        let mark = scene.next.to_le_bytes();
        Envelope {
            chain: self.genesis.chain_id(),
            epoch: scene.record.epoch,
            expiry_height: 10_000,
            suite: 1,
            key: EnvelopeKey::Encapsulated(mark.repeat(ENCAPSULATION_BYTES / 8)),
            body: vec![0; 512 + 16],
        }
    }

    /// Commits a block with these envelopes; `closing` makes it its epoch's last. Gives the height.
    pub(super) fn commit(&self, envelopes: Vec<Envelope>, closing: bool) -> u64 {
        self.commit_with(envelopes, &[], closing)
    }

    /// The same, with transactions of the public lane; the staged public state does not change by them.
    pub(super) fn commit_with(&self, envelopes: Vec<Envelope>, system: &[SystemTx], closing: bool) -> u64 {
        let mut scene = self.scene();
        let chain = self.genesis.chain_id();
        let height = scene.head.as_ref().map_or(1, |head| head.height + 1);
        let time_ms = self.genesis.time_ms + 1_000 * height;
        let record = Arc::clone(&scene.record);
        let following = closing.then(|| EpochRecord {
            epoch: record.epoch + 1,
            start_height: height + 1,
            start_ms: time_ms,
            sealing_key: Some(self.sealing_key.clone()),
            reason: EpochReason::Schedule,
            ..EpochRecord::clone(&record)
        });
        let batch = Batch {
            chain,
            epoch: record.epoch,
            author: 0,
            sequence: height,
            envelopes,
            signature: Signature([0; 64]),
        };
        let payload = Payload {
            batches: vec![batch.digest()],
            system: system.iter().map(SystemTx::encode).collect(),
        };
        let header = Header {
            chain,
            epoch: record.epoch,
            height,
            view: height + 3,
            parent: scene.head.as_ref().map_or(chain, Header::id),
            time_ms,
            payload_root: payload.root(),
            executed: scene.results[usize::try_from(height.saturating_sub(self.lag)).expect("small")],
            next_epoch: following.as_ref().map(EpochRecord::digest),
        };
        let block = Block {
            justify: certificate(&header, header.parent, Phase::Certify),
            header: header.clone(),
            payload,
            timeout: None,
            commit: None,
            signature: Signature([0; 64]),
        };
        let proof = CommitProof {
            certificate: certificate(&header, header.id(), Phase::Finalize),
            path: Vec::new(),
        };
        let mut writes = WriteBatch::new();
        let mut ids = Vec::new();
        let mut leaves = Vec::new();
        for (index, envelope) in (0u32..).zip(&batch.envelopes) {
            let id = envelope.id();
            // The last envelope of a block is one that did not open.
            let sealed = match index as usize + 1 == batch.envelopes.len() {
                true => SealedReceipt::unopened(&id),
                false => SealedReceipt(vec![index as u8; 144]),
            };
            leaves.push(sealed.leaf(&id));
            ids.push(id);
            writes.put_tx(&TxRecord {
                id,
                height,
                index,
                epoch: envelope.epoch,
                size_class: envelope.size_class(),
                expiry_height: envelope.expiry_height,
                bytes: borsh::to_vec(envelope).expect("encoded"),
            });
            writes.put_receipt(
                &id,
                &StoredReceipt {
                    height,
                    index,
                    sealed,
                },
            );
            scene.states.remove(&id);
        }
        let receipts = block_receipts_root(&leaves);
        let before = scene.results.last().copied().unwrap_or_default();
        let executed = Executed {
            height,
            receipts_root: chain_receipts(&before.receipts_root, &receipts),
            ..before
        };
        scene.results.push(executed);
        for (index, tx) in (0u32..).zip(system) {
            writes.put_system(&tx.id(), &SystemRecord { height, index });
            scene.system.remove(&tx.id());
        }
        writes.put_batch(&batch.digest(), &batch);
        writes.put_result(&BlockResult {
            executed,
            receipts,
            envelopes: ids,
        });
        if let Some(record) = following {
            writes.put_epoch(&EpochLink {
                header: header.clone(),
                proof: proof.clone(),
                record: record.clone(),
            });
            scene.record = Arc::new(record);
        }
        writes.put_block(&CommittedBlock { block, proof });
        self.store.commit(writes, Durability::Synced).expect("stored");
        scene.head = Some(header);
        drop(scene);
        self.head.send_replace(height);
        height
    }

    /// What `tx_state` says of an id that is not committed.
    pub(super) fn set_state(&self, id: Digest, state: TxState) {
        self.scene().states.insert(id, state);
    }

    /// What `system_state` says of an id that is not committed.
    pub(super) fn set_system(&self, id: Digest, state: SystemState) {
        self.scene().system.insert(id, state);
    }

    /// What `forecast` says from now on.
    pub(super) fn set_forecast(&self, forecast: Forecast) {
        self.scene().forecast = Arc::new(forecast);
    }

    /// What the node says of its own place from now on.
    pub(super) fn set_place(
        &self,
        phase: NodePhase,
        membership: Option<Membership>,
        attempt: Option<Attempt>,
    ) {
        let mut scene = self.scene();
        (scene.phase, scene.membership, scene.attempt) = (phase, membership, attempt);
    }

    /// What `submit` and `query` refuse with from now on.
    pub(super) fn refuse(&self, code: &'static str) {
        self.scene().refusal = Some(Problem {
            code,
            detail: "as staged".into(),
        });
    }

    /// Makes one check fail.
    pub(super) fn fail_check(&self) {
        for check in &mut self.scene().checks {
            check.ok = false;
            check.code = Some("node.syncing");
        }
    }
}

impl Node for Stage {
    fn store(&self) -> &Arc<dyn Store + Send + Sync> {
        &self.store
    }

    fn genesis(&self) -> &Arc<Genesis> {
        &self.genesis
    }

    fn chain_id(&self) -> Digest {
        self.genesis.chain_id()
    }

    fn status(&self) -> Arc<Status> {
        let scene = self.scene();
        let head = scene.head.as_ref();
        Arc::new(Status {
            name: "val-0".into(),
            role: Role::Validator,
            node_id: [1; 32],
            version: "0.0.0",
            height: head.map_or(0, |head| head.height),
            head_hash: head.map_or(Digest::ZERO, Header::id),
            head_time_ms: head.map_or(0, |head| head.time_ms),
            best_known: 0,
            view: 5,
            leader: Some(1),
            timeout_ms: 1_000,
            epoch: scene.record.epoch,
            epoch_ends_at_ms: 0,
            validators: 4,
            quorum: 3,
            peers: Vec::new(),
            mempool_txs: 0,
            mempool_bytes: 0,
            platform: Some(Platform::Simulated),
            measurement: Some(Measurement([7; 48])),
            evidence_expires_at_ms: None,
            evidence: None,
            set_kept: scene.record.kept,
            met: Default::default(),
            probation: None,
            rolled_back: None,
            identity_conflicts: Vec::new(),
            system_txs: 0,
            system_bytes: 0,
            policy_version: 1,
            started_ms: 1,
            now_ms: 2,
            certified_executed: head.map_or(0, |head| head.executed.height),
            turned_ms: 2,
            ready: scene.checks.clone(),
            phase: scene.phase,
            seat: Some(0),
            membership: scene.membership.clone(),
            attempt: scene.attempt.clone(),
            fetching: None,
            first_kept: 1,
            draining: false,
            pending: 0,
            advancing: true,
        })
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn current(&self) -> Arc<EpochRecord> {
        Arc::clone(&self.scene().record)
    }

    fn submit(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Accepted, Problem>> {
        Box::pin(async move {
            if let Some(problem) = self.scene().refusal.clone() {
                return Err(problem);
            }
            let envelope = Envelope::decode(&bytes).map_err(|error| Problem {
                code: "tx.malformed",
                detail: error.to_string(),
            })?;
            self.set_state(envelope.id(), TxState::Pending);
            Ok(Accepted {
                tx_id: envelope.id(),
                epoch: envelope.epoch,
                expires_at_height: envelope.expiry_height,
            })
        })
    }

    fn query(&self, sealed: Vec<u8>) -> BoxFuture<'_, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            match self.scene().refusal.clone() {
                Some(problem) => Err(problem),
                None => Ok(sealed.into_iter().rev().collect()),
            }
        })
    }

    fn tx_state(&self, id: &Digest) -> TxState {
        self.scene().states.get(id).copied().unwrap_or(TxState::Unknown)
    }

    fn public(&self) -> Arc<PublicState> {
        Arc::clone(&self.scene().public)
    }

    fn submit_system(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<SystemAccepted, Problem>> {
        Box::pin(async move {
            if let Some(problem) = self.scene().refusal.clone() {
                return Err(problem);
            }
            let tx = SystemTx::decode_ordinary(&bytes)
                .map_err(|error| Problem::new("system.malformed", error.to_string()))?;
            self.set_system(tx.id(), SystemState::Pending { since_ms: 7 });
            Ok(SystemAccepted {
                id: tx.id(),
                kind: tx.kind(),
            })
        })
    }

    fn system_state(&self, id: &Digest) -> SystemState {
        let scene = self.scene();
        scene.system.get(id).cloned().unwrap_or(SystemState::Unknown)
    }

    fn forecast(&self) -> Arc<Forecast> {
        Arc::clone(&self.scene().forecast)
    }

    fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    fn scrape(&self) -> Arc<Metrics> {
        self.metrics.observe(&self.status());
        self.metrics()
    }
}

/// A certificate of three of four validators.
fn certificate(header: &Header, block: Digest, phase: Phase) -> Certificate {
    Certificate {
        epoch: header.epoch,
        view: header.view,
        height: header.height,
        block,
        phase,
        signers: Signers::new(4, [0, 1, 3]),
        signatures: vec![Signature([0; 64]); 3],
    }
}

fn genesis() -> Genesis {
    let nonce = [5; 32];
    let registration = |n: u8| Registration {
        name: format!("val-{n}"),
        consensus_key: PublicKey([0x10 + n; 32]),
        node_key: PublicKey([0x20 + n; 32]),
        kem_key: SealingPublic(vec![n; 1216]),
        evidence: Evidence {
            platform: Platform::Simulated,
            report: vec![n; 1184],
            leaf: vec![n; 900],
        },
        network: Digest(nonce),
        height: 0,
        block: Digest::ZERO,
        policy_version: 1,
        protocol: 1,
        operator_key: PublicKey([0x20 + n; 32]),
        consensus_signature: Signature([0; 64]),
        node_signature: Signature([0; 64]),
        operator_signature: None,
    };
    Genesis {
        version: tacit_ledger::GENESIS_VERSION,
        name: "dev-stage".into(),
        trust: TrustRoots {
            class: NetworkClass::Dev,
            simulator: None,
        },
        nonce,
        time_ms: 1_763_820_000_000,
        params: Params::default(),
        policy: Policy::dev(Measurement([7; 48])),
        governance: Governance {
            members: (0..3u8)
                .map(|n| GovernanceMember {
                    name: format!("member-{n}"),
                    account: AccountKey::from_seed([n + 1; 32]).expect("a key").id(),
                })
                .collect(),
            threshold: 2,
        },
        protocol: tacit_ledger::PROTOCOL_VERSION,
        recovery: tacit_ledger::RecoveryMembers::none(),
        origin: None,
        collateral: Vec::new(),
        validators: (0..4).map(registration).collect(),
        allocations: Vec::new(),
    }
}
