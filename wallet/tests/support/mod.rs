//! A whole chain in memory behind the wallet's transport: four simulated founders, one epoch key, real execution,
//! real proofs. What it answers can be bent, to see that a wallet refuses it.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use tacit_attest::{
    Generation, Measurement, NetworkClass, Policy, SimulatedQuoter, SimulatorAuthority, TrustRoots,
};
use tacit_consensus::{
    Certificate, CommitProof, Digest, Ed25519Signer, Executed, Header, Phase, Signature, Signer, Signers,
    Vote,
};
use tacit_ledger::*;
use tacit_wallet::{
    Bounds, Home, Keyfile, Response, Seeds, Transport, Trust, Unreachable, Wallet, WalletOptions, Work,
};
use zeroize::Zeroizing;

/// Genesis time.
pub(crate) const TIME: u64 = 1_790_000_000_000;
/// What the wallet's clock says.
pub(crate) const NOW: u64 = TIME + 60_000;
const MEASUREMENT: Measurement = Measurement([0x11; 48]);
const NONCE: [u8; 32] = [0x77; 32];
/// Height of the closing block of epoch 0.
const CLOSING: u64 = 3;

/// Making RSA keys is the slow part: once is enough.
static AUTHORITY: LazyLock<SimulatorAuthority> =
    LazyLock::new(|| SimulatorAuthority::generate([1; 32], TIME).unwrap());
static GENESIS: LazyLock<Genesis> = LazyLock::new(|| Genesis {
    version: GENESIS_VERSION,
    name: "dev-stories".to_owned(),
    trust: TrustRoots {
        class: NetworkClass::Dev,
        simulator: Some(AUTHORITY.root()),
    },
    nonce: NONCE,
    time_ms: TIME,
    params: Params::default(),
    policy: Policy::dev(MEASUREMENT),
    governance: Governance::none(),
    protocol: tacit_ledger::PROTOCOL_VERSION,
    recovery: tacit_ledger::RecoveryMembers::none(),
    origin: None,
    collateral: Vec::new(),
    validators: (0..4).map(|n| founder(n, MEASUREMENT)).collect(),
    allocations: ["alice", "bob", "carol"]
        .iter()
        .map(|name| (account(name).id(), 1_000 * UNIT))
        .collect(),
});

pub(crate) fn genesis() -> &'static Genesis {
    &GENESIS
}

pub(crate) fn clock() -> u64 {
    NOW
}

fn seed(name: &str) -> [u8; 32] {
    let mut seed = [7; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    seed
}

fn account(name: &str) -> AccountKey {
    AccountKey::from_seed(seed(name)).ok().unwrap()
}

fn consensus_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([n; 32])
}

fn node_key(n: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed([100 + n; 32])
}

fn kem(n: u8) -> SealingSecret {
    SealingSecret::derive(&[50 + n; 32])
}

/// A founder's registration, saying that it runs `measurement`.
pub(crate) fn founder(n: u8, measurement: Measurement) -> Registration {
    let chip = AUTHORITY.issue_chip([n; 32], Generation::Genoa, TIME).unwrap();
    let quoter = SimulatedQuoter::new(chip, measurement);
    let place = RegistrationPlace::founder(NONCE, 1);
    let name = format!("val-{n}");
    Registration::make(
        &name,
        &consensus_key(n),
        &node_key(n),
        kem(n).public(),
        &place,
        &quoter,
    )
    .unwrap()
}

/// A finalize certificate for `header` by these validators.
pub(crate) fn commit(header: &Header, signers: &[u8]) -> CommitProof {
    let (epoch, view, height, block) = (header.epoch, header.view, header.height, header.id());
    let phase = Phase::Finalize;
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
    let signatures = signers
        .iter()
        .map(|n| consensus_key(*n).sign(&message.0))
        .collect();
    let signers = Signers::new(4, signers.iter().map(|n| u16::from(*n)));
    CommitProof {
        certificate: Certificate {
            epoch,
            view,
            height,
            block,
            phase,
            signers,
            signatures,
        },
        path: vec![],
    }
}

type Bend = Box<dyn Fn(&mut Value) + Send>;
type BendBundle = Box<dyn Fn(&mut LightBundle) + Send>;

/// The chain, and what bends its answers.
pub(crate) struct Node {
    name: String,
    inner: Mutex<Inner>,
}

struct Inner {
    links: Vec<EpochLink>,
    secret: EpochSecret,
    epoch: u64,
    head: Header,
    executed: Executed,
    private: PrivateState,
    block_roots: BTreeMap<u64, Digest>,
    receipts_roots: BTreeMap<u64, Digest>,
    receipts: BTreeMap<Digest, (u64, SealedReceipt)>,
    headers: BTreeMap<u64, Header>,
    submitted: Vec<Vec<u8>>,
    bend_bundle: Option<BendBundle>,
    bend: BTreeMap<String, Bend>,
    close_at_submit: bool,
    rng: ChaCha20Rng,
}

impl Node {
    /// A chain whose first keyed epoch has just begun.
    pub(crate) fn new() -> Arc<Self> {
        let genesis = genesis();
        let mut inner = Inner {
            links: Vec::new(),
            secret: EpochSecret::from_bytes([1; 32]),
            epoch: 0,
            head: header(0, 0, Executed::default()),
            executed: Executed {
                supply: genesis.supply(),
                ..Executed::default()
            },
            private: PrivateState::genesis(None, &genesis.allocations),
            block_roots: BTreeMap::new(),
            receipts_roots: BTreeMap::from([(0, Digest::ZERO)]),
            receipts: BTreeMap::new(),
            headers: BTreeMap::new(),
            submitted: Vec::new(),
            bend_bundle: None,
            bend: BTreeMap::new(),
            close_at_submit: false,
            rng: ChaCha20Rng::from_seed([2; 32]),
        };
        while inner.head.height + 1 < CLOSING {
            inner.block(&[]);
        }
        inner.close();
        inner
            .private
            .install_keys(&StateKeys::derive(&inner.secret), CLOSING);
        inner.executed.private_root = inner.private.root();
        inner.block(&[]);
        inner.block(&[]);
        Arc::new(Self {
            name: "http://node".to_owned(),
            inner: Mutex::new(inner),
        })
    }

    /// Bends every light bundle from now on.
    pub(crate) fn bend_bundle(&self, bend: impl Fn(&mut LightBundle) + Send + 'static) {
        self.inner.lock().unwrap().bend_bundle = Some(Box::new(bend));
    }

    /// Bends every answer whose path begins so.
    pub(crate) fn bend(&self, path: &str, bend: impl Fn(&mut Value) + Send + 'static) {
        self.inner
            .lock()
            .unwrap()
            .bend
            .insert(path.to_owned(), Box::new(bend));
    }

    /// Ends the epoch at once.
    pub(crate) fn close_epoch(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.close();
        inner.block(&[]);
    }

    /// Ends the epoch just before the next envelope arrives.
    pub(crate) fn close_epoch_at_submit(&self) {
        self.inner.lock().unwrap().close_at_submit = true;
    }

    /// Every envelope that was offered.
    pub(crate) fn submitted(&self) -> Vec<Envelope> {
        self.inner
            .lock()
            .unwrap()
            .submitted
            .iter()
            .map(|bytes| Envelope::decode(bytes).unwrap())
            .collect()
    }

    /// The newest header.
    pub(crate) fn head(&self) -> Header {
        self.inner.lock().unwrap().head.clone()
    }

    fn serve(&self, path: &str, body: Option<&Value>) -> Response {
        let mut inner = self.inner.lock().unwrap();
        let (route, query) = path.split_once('?').unwrap_or((path, ""));
        let (status, mut answer) = inner.route(route, query, body);
        let bends = inner
            .bend
            .iter()
            .filter(|(start, _)| path.starts_with(start.as_str()));
        bends.for_each(|(_, bend)| bend(&mut answer));
        Response {
            status,
            body: answer.to_string().into_bytes(),
        }
    }
}

impl Transport for Node {
    fn endpoint(&self) -> &str {
        &self.name
    }

    fn get(&self, path: &str, bounds: Bounds) -> Result<Response, Unreachable> {
        let response = self.serve(path, None);
        assert!(response.body.len() <= bounds.max_bytes);
        Ok(response)
    }

    fn post(&self, path: &str, json: &[u8], _: Bounds) -> Result<Response, Unreachable> {
        Ok(self.serve(path, Some(&serde_json::from_slice(json).unwrap())))
    }
}

fn header(epoch: u64, height: u64, executed: Executed) -> Header {
    Header {
        chain: genesis().chain_id(),
        epoch,
        height,
        view: height,
        parent: Digest([height as u8; 32]),
        time_ms: TIME + 1_000 * height,
        payload_root: Digest::ZERO,
        executed,
        next_epoch: None,
    }
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    (
        status,
        json!({ "code": code, "title": "scripted", "detail": "scripted", "retryable": false }),
    )
}

fn b64<T: borsh::BorshSerialize>(value: &T) -> String {
    STANDARD.encode(encode(value))
}

impl Inner {
    /// Commits and executes one block.
    fn block(&mut self, envelopes: &[Executable]) {
        let height = self.head.height + 1;
        self.head = header(self.epoch, height, self.executed);
        self.execute(envelopes);
    }

    fn execute(&mut self, envelopes: &[Executable]) {
        let height = self.head.height;
        let fee_per_512 = genesis().params.fee_per_512;
        let context = BlockContext {
            chain: self.head.chain,
            height,
            time_ms: self.head.time_ms,
            fee_per_512,
        };
        let outcome = self.private.execute_block(context, envelopes);
        let leaves: Vec<Digest> = outcome
            .receipts
            .iter()
            .map(|(id, sealed)| sealed.leaf(id))
            .collect();
        let root = block_receipts_root(&leaves);
        let chained = chain_receipts(&self.receipts_roots[&(height - 1)], &root);
        self.block_roots.insert(height, root);
        self.receipts_roots.insert(height, chained);
        self.receipts.extend(
            outcome
                .receipts
                .into_iter()
                .map(|(id, sealed)| (id, (height, sealed))),
        );
        self.headers.insert(height, self.head.clone());
        self.executed = Executed {
            height,
            public_root: Digest::ZERO,
            private_root: outcome.private_root,
            receipts_root: chained,
            supply: outcome.supply,
        };
    }

    /// Commits the closing block of the epoch.
    fn close(&mut self) {
        let height = self.head.height + 1;
        let mut closing = header(self.epoch, height, self.executed);
        self.epoch += 1;
        self.secret = EpochSecret::from_bytes([self.epoch as u8; 32]);
        let record = EpochRecord {
            epoch: self.epoch,
            start_height: height + 1,
            start_ms: closing.time_ms,
            sealing_key: Some(self.secret.sealing().public().clone()),
            reason: EpochReason::Schedule,
            transcript: Digest([self.epoch as u8; 32]),
            ..genesis().record0()
        };
        closing.next_epoch = Some(record.digest());
        self.head = closing.clone();
        self.execute(&[]);
        self.links.push(EpochLink {
            proof: commit(&closing, &[0, 1, 2]),
            header: closing,
            record,
        });
    }

    fn route(&mut self, route: &str, query: &str, body: Option<&Value>) -> (u16, Value) {
        let segments: Vec<&str> = route.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            ["v1", "status"] => {
                let id = node_key(0).public().to_string();
                let node = json!({ "id": id, "name": "val-0", "role": "validator" });
                let sync = json!({ "height": self.head.height });
                (
                    200,
                    json!({ "genesis_hash": self.head.chain.to_string(), "node": node, "sync": sync }),
                )
            }
            ["v1", "genesis"] => (200, json!({ "bytes": b64(genesis()) })),
            ["v1", "light", "bundle"] => {
                let from: u64 = query.strip_prefix("from=").unwrap().parse().unwrap();
                (200, json!({ "bundle": b64(&self.bundle(from)) }))
            }
            ["v1", "blocks", height, "commit"] => match self.headers.get(&height.parse().unwrap()) {
                Some(header) => (
                    200,
                    json!({ "header": b64(header), "proof": b64(&commit(header, &[1, 2, 3])) }),
                ),
                None => problem(404, "block.not_found"),
            },
            ["v1", "txs"] => self.submit(body.unwrap()["envelope"].as_str().unwrap()),
            ["v1", "txs", id] => match self.receipts.get(&Digest::from_hex(id).unwrap()) {
                Some((height, _)) => {
                    let included = json!({ "height": height, "index": 0 });
                    (
                        200,
                        json!({ "status": "committed", "included": included, "receipt_ready": true }),
                    )
                }
                None => problem(404, "tx.not_found"),
            },
            ["v1", "txs", id, "receipt"] => match self.receipt(&Digest::from_hex(id).unwrap()) {
                Some(proof) => (200, json!({ "proof": b64(&proof) })),
                None => problem(404, "tx.not_found"),
            },
            ["v1", "query"] => self.answer(body.unwrap()["sealed"].as_str().unwrap()),
            _ => problem(404, "request.not_found"),
        }
    }

    fn bundle(&self, from: u64) -> LightBundle {
        let mut bundle = LightBundle {
            links: self
                .links
                .iter()
                .filter(|link| link.record.epoch > from)
                .cloned()
                .collect(),
            head: self.head.clone(),
            head_proof: commit(&self.head, &[0, 2, 3]),
            registrations: genesis().validators.clone(),
            policy: genesis().policy.clone(),
            collateral: tacit_attest::Collateral::new(),
        };
        if let Some(bend) = &self.bend_bundle {
            bend(&mut bundle);
        }
        bundle
    }

    fn submit(&mut self, envelope: &str) -> (u16, Value) {
        let bytes = STANDARD.decode(envelope).unwrap();
        self.submitted.push(bytes.clone());
        if std::mem::take(&mut self.close_at_submit) {
            self.close();
            self.block(&[]);
        }
        let envelope = Envelope::decode(&bytes).unwrap();
        if let Err(error) = envelope.check(&self.head.chain, self.epoch, self.head.height + 1) {
            return problem(409, error.code());
        }
        let opened = open_envelope(&self.secret.sealing(), &envelope).ok().unwrap();
        self.block(&[Executable::Opened(Arc::new(opened))]);
        // The next header certifies what this block did.
        self.block(&[]);
        let id = envelope.id().to_string();
        (
            202,
            json!({ "tx_id": id, "epoch": envelope.epoch, "expires_at_height": envelope.expiry_height }),
        )
    }

    fn receipt(&self, id: &Digest) -> Option<ReceiptProof> {
        let (height, sealed) = self.receipts.get(id)?.clone();
        // The first header that covers it, which may be of a later epoch.
        let header = self
            .headers
            .values()
            .find(|header| header.executed.height >= height)?;
        let later = (height + 1..=header.executed.height)
            .map(|height| self.block_roots[&height])
            .collect();
        let path = merkle_path(&[sealed.leaf(id)], 0)?;
        let previous = self.receipts_roots[&(height - 1)];
        let proof = commit(header, &[0, 1, 3]);
        let (envelope, header) = (*id, header.clone());
        Some(ReceiptProof {
            envelope,
            sealed,
            height,
            index: 0,
            path,
            previous,
            later,
            header,
            proof,
        })
    }

    fn answer(&mut self, sealed: &str) -> (u16, Value) {
        let chain = self.head.chain;
        let query = open_query(&kem(0), &chain, &STANDARD.decode(sealed).unwrap())
            .ok()
            .unwrap();
        query.verify(&chain, NOW, 1).unwrap();
        let executed = self.head.executed;
        if executed.height < query.min_height {
            return problem(409, "query.ahead");
        }
        let entry = |key: &StateKey| match self.private.read(&query.account, key, executed.height) {
            Ok(entry) => AnswerEntry::Proven(entry),
            Err(ReadError::Denied) => AnswerEntry::Denied { key: key.clone() },
            Err(error) => panic!("{error:?}"),
        };
        let entries = query.keys.iter().map(entry).collect();
        let (header, epoch) = (self.head.clone(), self.head.epoch);
        let proof = commit(&header, &[1, 2, 3]);
        let answer = Answer {
            fresh: query.fresh,
            executed,
            header,
            proof,
            epoch,
            entries,
        };
        let sealed = seal_answer(&mut self.rng, &query.answer_to, &chain, &answer).unwrap();
        (200, json!({ "sealed": STANDARD.encode(sealed) }))
    }
}

/// Trust that begins at the genesis.
pub(crate) fn trust() -> Trust {
    Trust::begin(genesis().clone(), &genesis().chain_id(), None).unwrap()
}

/// A named wallet at a node; its records go to `home`, if there is one.
pub(crate) fn wallet(node: &Arc<Node>, name: &str, home: Option<&Home>) -> Wallet {
    let seeds = Seeds {
        account: Zeroizing::new(seed(name)),
        mail: Zeroizing::new(seed(&format!("{name} mail"))),
    };
    let folder = tempfile::tempdir().unwrap();
    let pass = tacit_wallet::Passphrase::new("x".to_owned());
    let made = Home::at(folder.path());
    let chain = genesis().chain_id();
    let keyfile = Keyfile::create(&made, name, seeds, NetworkClass::Dev, chain, &pass, Work::Test).unwrap();
    let options = WalletOptions {
        patience: std::time::Duration::from_secs(5),
        records: home.cloned(),
        clock,
    };
    Wallet::new(&keyfile, node.clone(), trust(), options)
        .ok()
        .unwrap()
}
