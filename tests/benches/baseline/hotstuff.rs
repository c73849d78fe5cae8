//! `hotstuff_rs` 0.4.0 behind the same network, driven through its own traits and nothing else: `Network`, `KVStore`, `App`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hotstuff_rs::app::{
    App, ProduceBlockRequest, ProduceBlockResponse, ValidateBlockRequest, ValidateBlockResponse,
};
use hotstuff_rs::block_tree::pluggables::{KVGet, KVStore, WriteBatch};
use hotstuff_rs::block_tree::variables::{BLOCK_AT_HEIGHT, BLOCK_DATA, BLOCK_DATA_HASH, BLOCKS};
use hotstuff_rs::networking::messages::{Message, ProgressMessage};
use hotstuff_rs::networking::network::Network;
use hotstuff_rs::replica::{Configuration, Replica, ReplicaSpec};
use hotstuff_rs::types::crypto_primitives::{SigningKey, VerifyingKey};
use hotstuff_rs::types::data_types::{BufferSize, ChainID, CryptoHash, Data, Datum, EpochLength, Power};
use hotstuff_rs::types::update_sets::{AppStateUpdates, ValidatorSetUpdates};
use hotstuff_rs::types::validator_set::{ValidatorSet, ValidatorSetState};

use crate::book::Book;
use crate::case::{Case, Engine, Scene};
use crate::hub::{Frame, Port};

/// Payloads that the store keeps; the engine itself never deletes one.
const PAYLOADS_KEPT: usize = 64;
/// Its views end by whole seconds, and with none of them it commits nothing.
const VIEW_TIME: Duration = Duration::from_secs(1);
/// How long its poller sleeps at most, and its sync server always, where they are made to.
const POLL: Duration = Duration::from_millis(1);
const SERVE: Duration = Duration::from_millis(20);
/// Between advertisements of the sync server that reach the network.
const ADVERTISE: Duration = Duration::from_secs(10);
/// What an application does that limits the rate of empty blocks, as the crate's documents advise.
const IDLE_PAUSE: Duration = Duration::from_millis(250);

fn key(index: u16) -> SigningKey {
    SigningKey::from_bytes(&[index as u8 + 1; 32])
}

/// Starts one replica. Its threads live until the process ends.
pub(crate) fn start(
    case: Case,
    port: Port<Message>,
    inbox: Receiver<Frame<Message>>,
    book: Arc<Book>,
) -> Replica<Store> {
    let me = port.me();
    let sleeping = case.engine == Engine::HotStuffSleeping;
    let mut set = ValidatorSet::new();
    (0..case.n).for_each(|index| set.put(&key(index).verifying_key(), Power::new(1)));
    let store = Store::new(me, book.clone());
    let state = ValidatorSetState::new(set.clone(), set, None, true);
    Replica::initialize(store.clone(), AppStateUpdates::new(), state);
    let configuration = Configuration::builder()
        .me(key(me))
        .chain_id(ChainID::new(0))
        .block_sync_request_limit(10)
        .block_sync_server_advertise_time(if sleeping { Duration::ZERO } else { ADVERTISE })
        .block_sync_response_timeout(Duration::from_secs(3))
        .block_sync_blacklist_expiry_time(Duration::from_secs(10))
        .block_sync_trigger_min_view_difference(2)
        .block_sync_trigger_timeout(Duration::from_secs(60))
        .progress_msg_buffer_capacity(BufferSize::new(64 << 20))
        .epoch_length(EpochLength::new(50))
        .max_view_time(VIEW_TIME)
        .log_events(false)
        .build();
    let keys: Vec<_> = (0..case.n).map(|index| key(index).verifying_key()).collect();
    let network = Wire {
        port,
        inbox: Arc::new(Mutex::new(inbox)),
        keys: Arc::new(keys),
        sleeping,
        advertised: Instant::now(),
    };
    let app = Orders {
        me,
        case,
        book,
        template: vec![0x5a; case.payload],
    };
    ReplicaSpec::builder()
        .app(app)
        .network(network)
        .kv_store(store)
        .configuration(configuration)
        .build()
        .start()
}

/// Its messages as they are, as in its own tests: it is spared what encoding costs.
#[derive(Clone)]
struct Wire {
    port: Port<Message>,
    inbox: Arc<Mutex<Receiver<Frame<Message>>>>,
    keys: Arc<Vec<VerifyingKey>>,
    sleeping: bool,
    /// When an advertisement was last let through, or the start.
    advertised: Instant,
}

impl Network for Wire {
    fn init_validator_set(&mut self, _: ValidatorSet) {}

    fn update_validator_set(&mut self, _: ValidatorSetUpdates) {}

    fn broadcast(&mut self, message: Message) {
        let advertises = matches!(
            message,
            Message::ProgressMessage(ProgressMessage::BlockSyncAdvertiseMessage(_))
        );
        if self.sleeping && advertises {
            // The one place where its sync server's loop can be made to wait.
            std::thread::sleep(SERVE);
            if self.advertised.elapsed() < ADVERTISE {
                return;
            }
            self.advertised = Instant::now();
        }
        let message = Arc::new(message);
        self.port.broadcast(&message);
        self.port.send(self.port.me(), &message);
    }

    fn send(&mut self, peer: VerifyingKey, message: Message) {
        let index = self.keys.iter().position(|known| *known == peer);
        let to = index.expect("a validator") as u16;
        self.port.send(to, &Arc::new(message));
    }

    fn recv(&mut self) -> Option<(VerifyingKey, Message)> {
        let inbox = self.inbox.lock().expect("one poller");
        let frame = if self.sleeping {
            inbox.recv_timeout(POLL).ok()?
        } else {
            inbox.try_recv().ok()?
        };
        Some((self.keys[usize::from(frame.from)], Message::clone(&frame.body)))
    }
}

/// Makes payloads and looks at their hashes.
struct Orders {
    me: u16,
    case: Case,
    book: Arc<Book>,
    template: Vec<u8>,
}

impl Orders {
    fn hash(data: &Data) -> CryptoHash {
        let mut hasher = blake3::Hasher::new();
        for datum in data.vec() {
            hasher.update(datum.bytes());
        }
        CryptoHash::new(*hasher.finalize().as_bytes())
    }
}

impl App<Store> for Orders {
    fn produce_block(&mut self, request: ProduceBlockRequest<Store>) -> ProduceBlockResponse {
        let asked = Instant::now();
        if self.case.scene == Scene::Idle {
            std::thread::sleep(IDLE_PAUSE);
        }
        // Eight bytes and the leader's index make blocks differ where they are empty otherwise.
        let mut mark = request.cur_view().int().to_le_bytes().to_vec();
        mark.extend_from_slice(&self.me.to_le_bytes());
        let mut data = vec![Datum::new(mark)];
        if self.case.payload > 0 {
            data.push(Datum::new(self.template.clone()));
        }
        let data = Data::new(data);
        let data_hash = Self::hash(&data);
        self.book.made(data_hash.bytes(), asked);
        ProduceBlockResponse {
            data_hash,
            data,
            app_state_updates: None,
            validator_set_updates: None,
        }
    }

    fn validate_block(&mut self, request: ValidateBlockRequest<Store>) -> ValidateBlockResponse {
        self.validate_block_for_sync(request)
    }

    fn validate_block_for_sync(&mut self, request: ValidateBlockRequest<Store>) -> ValidateBlockResponse {
        let block = request.proposed_block();
        if Self::hash(&block.data) != block.data_hash {
            return ValidateBlockResponse::Invalid;
        }
        ValidateBlockResponse::Valid {
            app_state_updates: None,
            validator_set_updates: None,
        }
    }
}

/// A map in memory. What it is told to write tells when a block is committed, earlier than the engine's event would.
#[derive(Clone)]
pub(crate) struct Store {
    me: u16,
    book: Arc<Book>,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    values: HashMap<Vec<u8>, Vec<u8>>,
    payloads: VecDeque<Vec<u8>>,
}

impl Store {
    fn new(me: u16, book: Arc<Book>) -> Self {
        Self {
            me,
            book,
            held: Arc::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no holder panics")
    }
}

fn is_committed_at(key: &[u8]) -> bool {
    key.len() == 9 && key.starts_with(&BLOCK_AT_HEIGHT)
}

/// A datum of a block; the first is the mark, which is small.
fn is_payload(key: &[u8], value: &[u8]) -> bool {
    key.starts_with(&BLOCKS) && key.get(33) == Some(&BLOCK_DATA[0]) && value.len() > 64
}

impl KVStore for Store {
    type WriteBatch = Writes;
    type Snapshot<'a> = Snapshot<'a>;

    fn write(&mut self, batch: Writes) {
        let mut held = self.held();
        let mut committed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (key, value) in batch.insertions {
            if is_committed_at(&key) && !held.values.contains_key(&key) {
                committed.push((key.clone(), value.clone()));
            }
            if is_payload(&key, &value) {
                held.payloads.push_back(key.clone());
                if held.payloads.len() > PAYLOADS_KEPT
                    && let Some(oldest) = held.payloads.pop_front()
                {
                    held.values.remove(&oldest);
                }
            }
            held.values.insert(key, value);
        }
        for key in batch.deletions {
            held.values.remove(&key);
        }
        for (_, block) in committed {
            let key = [&BLOCKS[..], &block, &BLOCK_DATA_HASH].concat();
            let name = held
                .values
                .get(&key)
                .and_then(|name| name.as_slice().try_into().ok());
            self.book
                .committed(self.me, &name.expect("a committed block has a data hash"));
        }
    }

    fn clear(&mut self) {
        *self.held() = Held::default();
    }

    fn snapshot<'b>(&'b self) -> Snapshot<'b> {
        Snapshot(self.held())
    }
}

impl KVGet for Store {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.held().values.get(key).cloned()
    }
}

/// Writes that are made at once.
pub(crate) struct Writes {
    insertions: HashMap<Vec<u8>, Vec<u8>>,
    deletions: HashSet<Vec<u8>>,
}

impl WriteBatch for Writes {
    fn new() -> Self {
        Self {
            insertions: HashMap::new(),
            deletions: HashSet::new(),
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.deletions.remove(key);
        self.insertions.insert(key.to_vec(), value.to_vec());
    }

    fn delete(&mut self, key: &[u8]) {
        self.insertions.remove(key);
        self.deletions.insert(key.to_vec());
    }
}

/// The whole map, locked.
pub(crate) struct Snapshot<'a>(MutexGuard<'a, Held>);

impl KVGet for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.values.get(key).cloned()
    }
}
