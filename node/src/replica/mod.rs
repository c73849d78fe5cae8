//! The replica: consensus, execution and mempool as one synchronous machine. [`Replica::step`] takes the time
//! and one input and returns what is to be done; it does no I/O but to its [`Store`] and its keyring's vault,
//! reads no clock and draws no randomness but from the seed that it was given. So a simulator runs the replica
//! itself.
//!
//! ```text
//!   inputs ──▶ step ──▶ consensus::Core ──▶ effects of the core, carried out in order:
//!                                             Persist   store, synced, before anything later leaves
//!                                             Build     propose.rs
//!                                             Validate  validate.rs
//!                                             Commit    execute.rs, and epoch.rs where an epoch ends
//! ```
//!
//! An observer runs the same machine without a core and without private state: `sync.rs` feeds `execute.rs`. Who has a
//! seat and no private state takes a snapshot of it (`join.rs`), who is far behind one of the public state (`jump.rs`);
//! both are fetched by `snapshot.rs`. What a validator followed while it lacked the epoch's secret it executes later (`repeat.rs`).
//! What is too old is deleted by `prune.rs`.

mod accuse;
mod epoch;
mod execute;
mod hello;
mod join;
mod jump;
mod keys;
mod message;
mod private_read;
mod propose;
mod protocol;
mod prune;
mod repeat;
mod restore;
mod snapshot;
mod standing;
mod stopped;
mod submit;
mod sync;
mod system;
mod system_pool;
mod validate;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
};

use rand_chacha::ChaCha20Rng;
use tacit_consensus::{
    Anchor, Block, Certificate, CommitProof, Committee, Core, Digest, Executed, Fault, Header, Height,
    Input as CoreInput, Message, Millis, Scheme, Signer, planted,
    trace::{Cause, Tracer, Transition},
};
use tacit_ledger::{
    Batch, ChainLog, Column, Durability, EpochRecord, EvidenceVerdicts, Genesis, OpenedEnvelope,
    PrivateState, PublicState, SealingSecret, Share, StateKeys, Store, WriteBatch, meta,
};

pub use self::join::{LoadJob, Loaded};
pub use self::message::{Effect, GossipVerdict, Input, NodeKey, Offence, Question, Refused, SystemSource};
pub use self::prune::History;
pub use self::snapshot::SnapshotProgress;
pub use self::standing::{ProbationStatus, RolledBack};
pub(crate) use self::system::ordinary;
pub use self::system_pool::{SystemPool, SystemPoolError, Taken};
use crate::{
    NodeError,
    keyring::Keyring,
    mempool::Mempool,
    wire::{Direct, FetchResponse},
};

/// How long envelopes wait for company before they are batched, in milliseconds.
const BATCH_DELAY_MS: Millis = 4;
/// Opened envelopes kept for execution; beyond it they are opened again when they are executed.
const MAX_OPENED: usize = 65_536;
/// Proposals kept while something that their validation needs is missing.
const MAX_WAITING: usize = 16;

/// What only a validator has.
pub struct ValidatorParts {
    /// The secrets.
    pub keyring: Keyring,
    /// Signs for consensus, through its safety rules only.
    pub signer: Arc<dyn Signer>,
    /// Signs batches.
    pub node_signer: Arc<dyn Signer>,
}

/// What a replica is made from.
pub struct ReplicaConfig {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// Where it keeps what must survive.
    pub store: Arc<dyn Store + Send + Sync>,
    /// Checks consensus signatures.
    pub scheme: Arc<dyn Scheme>,
    /// A validator's keys; `None` makes an observer.
    pub validator: Option<ValidatorParts>,
    /// How much of the chain it keeps.
    pub history: History,
    /// The seed of all randomness that the replica uses.
    pub seed: [u8; 32],
    /// The protocol versions that this build speaks.
    pub protocols: RangeInclusive<u16>,
    /// On a chain that goes on from a lost one: its state, which a founder needs until the first epoch has ended.
    pub origin: Option<PrivateState>,
    /// Where verdicts on evidence are remembered: a memory of its own, or one that many replicas of a process share.
    pub verdicts: EvidenceVerdicts,
    /// What takes the core's transitions down, where somebody wants them judged.
    pub tracer: Option<Box<dyn Tracer>>,
}

/// A proposal whose validation waits for batches or for our own execution.
struct Waiting {
    block: Block,
}

/// A final block that waits for its batches before it can be executed.
struct Final {
    block: Block,
    proof: CommitProof,
}

/// See the module.
pub struct Replica {
    genesis: Arc<Genesis>,
    chain: Digest,
    store: Arc<dyn Store + Send + Sync>,
    scheme: Arc<dyn Scheme>,
    rng: ChaCha20Rng,
    verdicts: EvidenceVerdicts,
    validator: Option<ValidatorParts>,
    protocols: RangeInclusive<u16>,
    /// A random number of this process, in all that it sends directly.
    incarnation: u64,
    stand: standing::Stand,
    rolled_back: Option<RolledBack>,
    met: hello::Met,
    unopened: accuse::Unopened,

    record: Arc<EpochRecord>,
    committee: Committee,
    index_of: BTreeMap<NodeKey, u16>,
    me: Option<u16>,
    core: Option<Core>,
    tracer: Option<Box<dyn Tracer>>,
    anchor: Anchor,
    opener: Option<Arc<SealingSecret>>,
    /// Of the epoch in force, where this node holds its secret.
    state_keys: Option<StateKeys>,
    /// Of the next epoch, while the block that closes this one is executed.
    next_keys: Option<StateKeys>,
    lost: keys::LostSecret,

    public: PublicState,
    public_changed: Height,
    private: Option<PrivateState>,
    head: Head,
    executed: BTreeMap<Height, Executed>,
    last_full: Height,
    certified: Certified,
    finals: VecDeque<Final>,
    shares: BTreeMap<Digest, Share>,

    mempool: Mempool,
    system: SystemPool,
    opened: BTreeMap<Digest, Arc<OpenedEnvelope>>,
    flush_at: Option<Millis>,
    waiting: BTreeMap<Digest, Waiting>,
    unstored: WriteBatch,
    /// Blocks in the store that are not committed: their heights and ids.
    pending: BTreeSet<(Height, Digest)>,
    work: bool,
    wake: Option<Millis>,
    sync: sync::Sync,
    checkpoint: Height,
    fetching: Option<snapshot::Fetching>,
    jump: Option<jump::Jump>,
    /// Whether it was looked, since the start, how far behind this node is.
    looked_ahead: bool,
    history: History,
    /// The lowest height whose block is kept, and the lowest that is not deleted yet.
    first: Height,
    deleted: Height,
    prune_at: Option<Millis>,
    /// Whether blocks were stored that are not synced yet.
    unsynced: bool,
    /// Until when this validator waits for a secret that it has lost.
    secret_until: Option<Millis>,
    halted: bool,
    out: Vec<Effect>,
}

/// The newest block that is final, executed and durable here.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its header; `None` before the first block.
    pub header: Option<Header>,
    /// Its id; the chain's id before the first block.
    pub id: Digest,
    /// Its height.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
    /// A certificate that makes it final; `None` before the first block.
    pub certificate: Option<Certificate>,
}

/// The newest execution result that a final header names, and that header: what answers are proven against.
#[derive(Debug, Clone, Default)]
struct Certified {
    executed: Height,
    header: Option<(Header, CommitProof)>,
}

impl Replica {
    /// The committed head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The record of the epoch in force.
    pub fn record(&self) -> &Arc<EpochRecord> {
        &self.record
    }

    /// This validator's index in the epoch in force.
    pub fn me(&self) -> Option<u16> {
        self.me
    }

    /// The secret that opens this epoch's envelopes, where this node holds it.
    pub fn opener(&self) -> Option<Arc<SealingSecret>> {
        self.opener.clone()
    }

    /// The newest height whose execution a final header names.
    pub fn certified_executed(&self) -> Height {
        self.certified.executed
    }

    /// Whether the receipts of a stored block may not be those of the chain: an observer took them from a peer before a final
    /// header stated them, or an earlier process did. Wallets find out; this node cannot yet.
    pub fn doubts_receipts(&self, height: Height) -> bool {
        self.private.is_none() && height <= self.sync.doubted
    }

    /// Envelopes and bytes in the mempool.
    pub fn mempool_size(&self) -> (u64, u64) {
        self.mempool.size()
    }

    /// Transactions and bytes of the public lane that wait for a block.
    pub fn system_size(&self) -> (u64, u64) {
        self.system.size()
    }

    /// The public state after the head.
    pub fn public(&self) -> &PublicState {
        &self.public
    }

    /// The height at which a system transaction last changed the public state; 0 for genesis.
    pub fn public_changed(&self) -> Height {
        self.public_changed
    }

    /// The highest height that at least one honest validator is known to have reached.
    pub fn best_known(&self) -> Height {
        self.sync.best_known(self.committee.f()).max(self.head.height)
    }

    /// The view, its leader and its timeout, where this node runs the core.
    pub fn view(&self) -> Option<(u64, u16, Millis)> {
        self.core
            .as_ref()
            .map(|core| (core.view(), core.leader(), core.status().timeout_ms))
    }

    /// The view of the highest certificate, where this node runs the core.
    pub fn high_view(&self) -> Option<u64> {
        self.core.as_ref().map(|core| core.high().view)
    }

    /// The supply after the head, where this node executes.
    pub fn supply(&self) -> Option<u128> {
        self.private.as_ref().map(PrivateState::supply)
    }

    /// When the next [`Input::Tick`] is wanted.
    pub fn next_wake(&self) -> Option<Millis> {
        [
            self.wake,
            self.flush_at,
            self.sync.next_wake(),
            self.system.next_wake(),
            self.lost.next_wake(),
            self.stand.next_wake(),
            self.epoch_due_at(),
            self.fetching.as_ref().and_then(snapshot::Fetching::next_wake),
            self.jump.as_ref().and_then(jump::Jump::next_wake),
            self.prune_at,
            self.secret_until,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes one input at a time `now` (milliseconds since the Unix epoch, by this node's clock).
    /// Once it has said [`Effect::Halt`], it does and says nothing more.
    pub fn step(&mut self, now: Millis, input: Input) -> Vec<Effect> {
        if self.halted {
            return Vec::new();
        }
        match input {
            Input::Tick => self.tick(now),
            Input::Connected(peer) => {
                self.say_hello(peer);
                self.sync_on_connect(now, peer);
                self.standing_on_connect(now, &peer);
            }
            Input::Disconnected(peer) => {
                self.part(&peer);
                self.sync_on_disconnect(&peer);
            }
            Input::Direct { from, direct } => self.direct(now, from, direct),
            Input::Batch { token, batch } => self.gossiped_batch(now, token, *batch),
            Input::Announced { from, announcement } => self.announced(now, from, &announcement),
            Input::Fetched {
                request,
                from,
                response,
            } => self.fetched(now, request, from, response),
            Input::Asked {
                reply,
                from,
                question,
            } => {
                let response = match question {
                    Question::Standing => FetchResponse::Standing(Box::new(self.tell_standing(&from))),
                    Question::Hello(hello) => {
                        self.meet(now, from, hello);
                        FetchResponse::Hello(self.hello())
                    }
                };
                let response = Box::new(response);
                self.out.push(Effect::Answer { reply, response });
            }
            Input::WantBatches { reply, digests } => {
                let batches = digests.iter().filter_map(|d| self.batch(d)).collect();
                self.out.push(Effect::Serve { reply, batches });
            }
            Input::Submit {
                reply,
                envelope,
                opened,
            } => self.submit(now, reply, *envelope, opened),
            Input::System { source, tx } => self.take_system(now, source, *tx),
            Input::Opened {
                epoch,
                envelopes,
                failed: _,
            } => self.note_opened(epoch, envelopes),
            Input::Query { reply, query } => self.private_read(reply, &query),
            Input::Loaded(loaded) => self.loaded(now, *loaded),
            Input::WantKem { reply } => self.want_kem(reply),
            Input::WantShare { reply, from, epoch } => self.want_share(reply, from, epoch),
        }
        self.settle_standing(now);
        self.update_work(now);
        self.take_out()
    }

    /// What is to be done, up to the end if there is one.
    fn take_out(&mut self) -> Vec<Effect> {
        let unsynced = std::mem::take(&mut self.unsynced);
        if unsynced && self.halted {
            // What was stored may be lost again, so it is not reported.
            self.out.retain(|effect| matches!(effect, Effect::Halt(_)));
        } else if unsynced {
            // What is stored in order is durable in order: any write that is synced will do.
            let mut writes = WriteBatch::new();
            writes.put(Column::Meta, meta::CHAIN, self.chain.0);
            if let Err(error) = self.store.commit(writes, Durability::Synced) {
                // Nothing that those blocks led to may leave.
                self.out.clear();
                self.halt(error);
            }
        }
        let mut out = std::mem::take(&mut self.out);
        if let Some(end) = out.iter().position(|effect| matches!(effect, Effect::Halt(_))) {
            out.truncate(end + 1);
        }
        out
    }

    fn tick(&mut self, now: Millis) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.flush(now);
        }
        self.say_system(now);
        self.sync_tick(now);
        self.join_tick(now);
        self.jump_on(now);
        self.fetch_on(now);
        if self.prune_at.is_some_and(|at| at <= now) {
            self.prune_history(now);
        }
        self.lost_tick(now);
        self.standing_tick(now);
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
            self.core_step(now, CoreInput::Tick);
        }
    }

    fn direct(&mut self, now: Millis, from: NodeKey, direct: Direct) {
        let Some(sender) = self.index_of.get(&from).copied() else {
            // It may have had a seat in the epoch that it speaks of, or have one in it; and who has just lost one tells those
            // who are behind of the new epoch.
            if direct.epoch == self.record.epoch && !direct.message.is_empty() {
                self.out.push(Effect::Penalise {
                    peer: from,
                    offence: Offence::Invalid,
                });
            }
            return;
        };
        self.hear(now, &from, direct.incarnation);
        if direct.epoch > self.record.epoch {
            self.sync_hint(now, from, self.head.height + 1);
            return;
        }
        if direct.epoch < self.record.epoch {
            // The sender is behind by an epoch: an empty message of ours tells it so.
            if !direct.message.is_empty() {
                let direct = self.say(Vec::new());
                self.out.push(Effect::Send { to: from, direct });
            }
            return;
        }
        if direct.message.is_empty() {
            return;
        }
        match Message::decode(&direct.message) {
            Ok(message) => self.core_step(
                now,
                CoreInput::Message {
                    from: Some(sender),
                    message,
                },
            ),
            Err(_) => self.out.push(Effect::Penalise {
                peer: from,
                offence: Offence::Malformed,
            }),
        }
    }

    /// One step of the core, with all that follows from it.
    fn core_step(&mut self, now: Millis, input: CoreInput) {
        let effects = self.moved(now, input);
        self.carry(now, effects);
    }

    /// Steps the core, and has the transition taken down before anything of it is carried out.
    fn moved(&mut self, now: Millis, input: CoreInput) -> Vec<tacit_consensus::Effect> {
        let Some(core) = self.core.as_mut() else {
            return Vec::new();
        };
        let cause = self.tracer.as_ref().map(|_| Cause::of(&input));
        let effects = core.step(now, input);
        if let (Some(tracer), Some(cause)) = (&mut self.tracer, cause) {
            tracer.note(Transition::new(core, now, cause, &effects, false));
        }
        effects
    }

    /// Carries out the core's effects in their order. Effects of an epoch that has ended in the meantime are
    /// dropped: its last block is final, so nothing that they would say is needed.
    fn carry(&mut self, now: Millis, effects: Vec<tacit_consensus::Effect>) {
        use tacit_consensus::Effect as E;
        let epoch = self.record.epoch;
        let mut queue: VecDeque<E> = effects.into();
        while let Some(effect) = queue.pop_front() {
            if self.record.epoch != epoch || self.halted {
                return;
            }
            let answer = match effect {
                E::StoreBlock(block) => {
                    self.unstored.put_pending(&block);
                    self.pending.insert((block.header.height, block.id()));
                    None
                }
                E::Persist(record) => {
                    self.unstored.put_safety(&record);
                    if !planted::has("vote_before_sync") && !self.make_durable(now) {
                        return;
                    }
                    None
                }
                E::Broadcast(message) => {
                    self.broadcast(&message);
                    None
                }
                E::Send { to, message } => {
                    self.send(to, &message);
                    None
                }
                E::WakeAt(at) => {
                    self.wake = Some(
                        self.wake
                            .map_or(at, |before| if before <= now { at } else { before.min(at) }),
                    );
                    None
                }
                E::Build { view, parent } => {
                    let content = self.build(now, view, &parent);
                    Some(CoreInput::Built {
                        view,
                        parent,
                        content,
                    })
                }
                E::Validate(block) => self.validate(now, block),
                E::Commit { block, proof } => {
                    self.finalised(now, block, proof);
                    // At once: a set of one would otherwise go on building within this step.
                    match self.record.epoch == epoch {
                        true => self.work_changed(now).map(CoreInput::Work),
                        false => None,
                    }
                }
                E::Behind { height } => {
                    self.sync.heard_of(height);
                    self.sync_now(now);
                    None
                }
                E::Equivocation(proof) => {
                    self.convict(now, proof);
                    None
                }
                E::Refused { from, reason } => {
                    tracing::debug!(?from, %reason, "consensus message refused");
                    self.penalise(from, reason.fault() == Fault::Sender);
                    None
                }
            };
            if let Some(input) = answer {
                queue.extend(self.moved(now, input));
            }
        }
    }

    fn penalise(&mut self, from: Option<u16>, fault: bool) {
        let Some(peer) = from.and_then(|i| self.record.validators.get(usize::from(i))) else {
            return;
        };
        if fault {
            self.out.push(Effect::Penalise {
                peer: peer.node_key.0,
                offence: Offence::Invalid,
            });
        }
    }

    /// A direct message of this process, in the epoch in force.
    fn say(&self, message: Vec<u8>) -> Direct {
        Direct {
            epoch: self.record.epoch,
            incarnation: self.incarnation,
            message,
        }
    }

    fn broadcast(&mut self, message: &Message) {
        let direct = self.say(message.encode());
        for (index, validator) in self.record.validators.iter().enumerate() {
            if Some(index) != self.me.map(usize::from) {
                self.out.push(Effect::Send {
                    to: validator.node_key.0,
                    direct: direct.clone(),
                });
            }
        }
    }

    fn send(&mut self, to: u16, message: &Message) {
        if let Some(validator) = self.record.validators.get(usize::from(to)) {
            let (to, direct) = (validator.node_key.0, self.say(message.encode()));
            self.out.push(Effect::Send { to, direct });
        }
    }

    /// Writes what waits to be written and syncs it. A node whose disk refuses must not go on signing.
    fn make_durable(&mut self, now: Millis) -> bool {
        let batch = std::mem::take(&mut self.unstored);
        match self.store.commit(batch, Durability::Synced) {
            Ok(()) => true,
            Err(error) => {
                if let (Some(tracer), Some(core)) = (&mut self.tracer, &self.core) {
                    tracer.note(Transition::lost(core, now));
                }
                self.halt(error);
                false
            }
        }
    }

    /// Writes; a node whose disk refuses stops.
    fn write(&mut self, writes: WriteBatch, durability: Durability) {
        if writes.is_empty() {
            return;
        }
        if let Err(error) = self.store.commit(writes, durability) {
            self.halt(error);
        }
    }

    /// Stops for good: nothing more is signed, answered or stored.
    fn halt(&mut self, reason: impl Into<Refused>) {
        self.core = None;
        if !std::mem::replace(&mut self.halted, true) {
            self.store = Arc::new(stopped::Stopped(self.store.clone()));
        }
        self.out.push(Effect::Halt(reason.into()));
    }

    /// A batch from memory or from the store.
    fn batch(&self, digest: &Digest) -> Option<Batch> {
        if let Some(batch) = self.mempool.get(digest) {
            return Some(batch.clone());
        }
        self.log().batch(digest).ok().flatten()
    }

    fn log(&self) -> ChainLog<'_> {
        ChainLog::new(&*self.store)
    }

    fn has_batch(&self, digest: &Digest) -> bool {
        self.mempool.get(digest).is_some() || self.log().batch(digest).ok().flatten().is_some()
    }

    /// Tells the core whether something wants a block.
    fn update_work(&mut self, now: Millis) {
        if let Some(work) = self.work_changed(now) {
            self.core_step(now, CoreInput::Work(work));
        }
    }

    /// Whether something wants a block, if that is news to the core: batches, system transactions, receipts that no final header
    /// proves yet, or an epoch to end.
    fn work_changed(&mut self, now: Millis) -> Option<bool> {
        let work = self.mempool.has_batches()
            || !self.system.is_empty()
            || self.last_full > self.certified.executed
            || self.public.is_ending()
            || self.epoch_due(now);
        let news = work != self.work && self.core.is_some();
        if news {
            self.work = work;
        }
        news.then_some(work)
    }
}

impl From<tacit_ledger::StoreError> for Refused {
    fn from(error: tacit_ledger::StoreError) -> Self {
        Refused::new(error.code(), error.to_string())
    }
}

/// What a replica cannot go on after, in words: its disk or its state is at fault.
impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Refused::new("db.corrupt", reason)
    }
}

impl From<NodeError> for Refused {
    fn from(error: NodeError) -> Self {
        Refused::new(error.code(), error.to_string())
    }
}

/// A stored record that must be there is not, or does not decode.
fn damaged(what: &str) -> NodeError {
    NodeError::Corrupt(what.into())
}
