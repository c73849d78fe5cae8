//! The private state: what TEEs alone know, as they all know it.
//!
//! ```text
//! leaf  = H("private leaf", blind, value)
//! blind = BLAKE3 keyed by the blinding key over (key length u64 LE ‖ key ‖ value)
//! ```
//! A root so reveals nothing even of guessable contents: the blinding key never leaves TEEs, and an entry's
//! blind, which its reader learns with the proof, says nothing about any other value.
//!
//! Everything stands in memory. The disk sees one sealed frame a block and a sealed checkpoint from time to time
//! (`frame.rs`); a checkpoint and the frames after it give the same state, and the same roots, as execution.

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Height, hash};
use zeroize::Zeroizing;

use crate::{
    account::AccountId,
    amount::Amount,
    codec::{decode, encode},
    dealing::StateKeys,
    error::ProofError,
    query::ProvenEntry,
    receipt::SealedReceipt,
    state::{
        context::{BlockContext, Context, View, read_own},
        error::{FrameError, ReadError},
        execute::{Executable, execute},
        frame::{Frame, MAX_CHECKPOINT_BUCKET},
        history::{History, KEEP_VERSIONS, Values},
        key::{StateKey, TokenKey},
        modules::{Module, mail::Mail, names::Names, token::Token},
        tree::{AuthenticatedMap, LeafWrite, verify_membership},
    },
};

/// Version byte of checkpoints.
const CHECKPOINT_VERSION: u8 = 1;
/// First byte of every key of the token module: all its entries are amounts.
const TOKEN_TAG: u8 = 1;

/// The private state at the newest executed height, and readable at some before.
pub struct PrivateState {
    history: History,
    tree: Option<BlindedTree>,
    supply: Amount,
}

/// The tree and what hides its leaves.
struct BlindedTree {
    map: AuthenticatedMap,
    blinding: Zeroizing<[u8; 32]>,
    since: Height,
}

/// What executing one block gives.
pub struct BlockOutcome {
    /// One receipt an envelope, in order.
    pub receipts: Vec<(Digest, SealedReceipt)>,
    /// What the block wrote.
    pub frame: Frame,
    /// The root after the block; zero before the first keys.
    pub private_root: Digest,
    /// The sum of balances and fees after the block.
    pub supply: Amount,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Checkpoint {
    version: u8,
    height: Height,
    values: Values,
}

impl PrivateState {
    /// The state at height 0. Epoch 0 has no keys: until [`Self::install_keys`] the root is zero.
    ///
    /// # Panics
    /// When the sum of the allocations does not fit: genesis was to be checked first.
    pub fn genesis(keys: Option<&StateKeys>, allocations: &[(AccountId, Amount)]) -> Self {
        let mut values = Values::new();
        let mut supply: Amount = 0;
        for (account, amount) in allocations.iter().filter(|(_, amount)| *amount > 0) {
            supply = supply
                .checked_add(*amount)
                .expect("a checked genesis does not overflow");
            let balance = values
                .entry(StateKey::from(TokenKey::Balance(*account)).bytes())
                .or_default();
            let before: Amount = if balance.is_empty() {
                0
            } else {
                read_own(&*balance)
            };
            *balance = encode(&(before + amount));
        }
        let mut state = Self {
            history: History::new(values, 0),
            tree: None,
            supply,
        };
        if let Some(keys) = keys {
            state.install_keys(keys, 0);
        }
        state
    }

    /// The same contents as the state at height 0 of a chain that goes on with them: nothing of the old one's keys is
    /// left, the tree comes with the new one's.
    pub fn begin_anew(self) -> Self {
        Self {
            history: History::new(self.history.values().clone(), 0),
            tree: None,
            supply: self.supply,
        }
    }

    /// Builds the tree at the present height under the chain's state keys. Older heights lose their proofs.
    ///
    /// # Panics
    /// When `height` is not the state's: the caller has lost its place.
    pub fn install_keys(&mut self, keys: &StateKeys, height: Height) {
        assert_eq!(
            height,
            self.height(),
            "keys are installed at the state's own height"
        );
        let mut tree = BlindedTree {
            map: AuthenticatedMap::new(),
            blinding: Zeroizing::new(keys.blinding),
            since: height,
        };
        let leaves = self
            .history
            .values()
            .iter()
            .map(|(key, value)| tree.write(key, Some(value)));
        let leaves: Vec<LeafWrite> = leaves.collect();
        tree.map.apply(height, &leaves);
        self.tree = Some(tree);
    }

    /// Executes a committed block.
    ///
    /// # Panics
    /// When the block is not the next one: the caller has lost its place.
    pub fn execute_block(&mut self, block: BlockContext, envelopes: &[Executable]) -> BlockOutcome {
        assert_eq!(block.height, self.height() + 1, "blocks are executed in order");
        let mut context = Context::new(self.history.values(), block);
        let receipts = (0u32..)
            .zip(envelopes)
            .map(|(index, item)| execute(&mut context, index, item))
            .collect();
        let writes = context.into_writes().into_iter().collect();
        let frame = Frame {
            height: block.height,
            writes,
        };
        self.write(&frame);
        BlockOutcome {
            receipts,
            frame,
            private_root: self.root(),
            supply: self.supply,
        }
    }

    /// Repeats what an executed block wrote, from its frame, and gives the root.
    pub fn apply_frame(&mut self, frame: &Frame) -> Result<Digest, FrameError> {
        let expected = self.height() + 1;
        if frame.height != expected {
            return Err(FrameError::Height {
                have: frame.height,
                expected,
            });
        }
        self.write(frame);
        Ok(self.root())
    }

    /// What stands at `key` as of `height`, with its proof, if `asker` may read it: by the newest state, so that
    /// a removal holds at once, and by the state that is asked for.
    pub fn read(&self, asker: &AccountId, key: &StateKey, height: Height) -> Result<ProvenEntry, ReadError> {
        let (oldest, newest) = (self.oldest(), self.height());
        let gone = ReadError::HeightGone {
            asked: height,
            oldest,
            newest,
        };
        if height < oldest || height > newest {
            return Err(gone);
        }
        let tree = self.tree.as_ref().ok_or(gone.clone())?;
        if !self.may_read(asker, key, newest) || !self.may_read(asker, key, height) {
            return Err(ReadError::Denied);
        }
        let bytes = key.bytes();
        let value = self.history.get_at(height, &bytes).cloned();
        let blind = value.as_ref().map_or([0; 32], |value| tree.blind(&bytes, value));
        let proof = tree.map.prove(height, key.tree_key()).ok_or(gone)?;
        Ok(ProvenEntry {
            key: key.clone(),
            value,
            blind,
            proof,
        })
    }

    /// The root at the newest height; zero before the first keys.
    pub fn root(&self) -> Digest {
        self.tree
            .as_ref()
            .and_then(|tree| tree.map.root(self.height()))
            .unwrap_or(Digest::ZERO)
    }

    /// The newest executed height.
    pub fn height(&self) -> Height {
        self.history.height()
    }

    /// The oldest height that [`Self::read`] answers for.
    pub fn oldest(&self) -> Height {
        self.tree
            .as_ref()
            .map_or(self.height(), |tree| tree.since.max(self.history.oldest()))
    }

    /// The sum of balances and fees, kept from block to block.
    pub fn supply(&self) -> Amount {
        self.supply
    }

    /// The same sum, computed whole; `None` when it does not fit.
    pub fn audit_supply(&self) -> Option<Amount> {
        let money = self.history.values().iter().filter(|(key, _)| is_money(key));
        money
            .map(|(_, value)| read_own::<Amount>(value))
            .try_fold(0, Amount::checked_add)
    }

    /// The whole state at the newest height, to be sealed.
    pub fn to_checkpoint(&self) -> Zeroizing<Vec<u8>> {
        let values = self.history.values();
        Zeroizing::new(encode(&(CHECKPOINT_VERSION, self.height(), values)))
    }

    /// Back from opened bytes. The caller compares [`Self::root`] with a certified one.
    pub fn from_checkpoint(bytes: &[u8], keys: &StateKeys) -> Result<Self, FrameError> {
        let checkpoint: Checkpoint = decode(bytes, MAX_CHECKPOINT_BUCKET)?;
        if checkpoint.version != CHECKPOINT_VERSION {
            return Err(FrameError::Version {
                have: checkpoint.version,
            });
        }
        // Keys and amounts are read below, before the caller can compare the root. A holder of the key may have sealed
        // anything.
        let is_entry = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            let money = is_money(key);
            borsh::from_slice::<StateKey>(key).is_ok()
                && (!money || borsh::from_slice::<Amount>(value).is_ok())
        };
        if let Some(index) = checkpoint.values.iter().position(|entry| !is_entry(entry)) {
            return Err(FrameError::Entry { index });
        }
        let history = History::new(checkpoint.values, checkpoint.height);
        let mut state = Self {
            history,
            tree: None,
            supply: 0,
        };
        state.supply = state.audit_supply().ok_or(FrameError::Supply)?;
        state.install_keys(keys, checkpoint.height);
        Ok(state)
    }

    fn write(&mut self, frame: &Frame) {
        for (key, value) in frame.writes.iter().filter(|(key, _)| is_money(key)) {
            let before = self.history.values().get(key).map_or(0, read_own::<Amount>);
            let after = value.as_ref().map_or(0, read_own::<Amount>);
            let rest = self
                .supply
                .checked_sub(before)
                .expect("the supply is the sum of every amount");
            self.supply = rest.saturating_add(after); // certified by a quorum, so that everybody sees a change
        }
        self.history
            .apply(frame.writes.iter().map(|(key, value)| (key, value)));
        if let Some(tree) = &mut self.tree {
            let leaves: Vec<LeafWrite> = frame
                .writes
                .iter()
                .map(|(key, value)| tree.write(key, value.as_ref()))
                .collect();
            tree.map.apply(frame.height, &leaves);
            tree.map.prune((frame.height + 1).saturating_sub(KEEP_VERSIONS));
        }
    }

    fn may_read(&self, asker: &AccountId, key: &StateKey, height: Height) -> bool {
        let view = View::new(&self.history, height);
        match key {
            StateKey::Nonce(account) => account == asker,
            StateKey::Token(key) => Token.may_read(&view, asker, key),
            StateKey::Names(key) => Names.may_read(&view, asker, key),
            StateKey::Mail(key) => Mail.may_read(&view, asker, key),
        }
    }
}

impl BlindedTree {
    fn blind(&self, key: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.blinding);
        hasher
            .update(&(key.len() as u64).to_le_bytes())
            .update(key)
            .update(value);
        *hasher.finalize().as_bytes()
    }

    fn write(&self, key: &[u8], value: Option<&Vec<u8>>) -> LeafWrite {
        let place = read_own::<StateKey>(key).tree_key();
        (place, value.map(|value| leaf(&self.blind(key, value), value)))
    }
}

/// Checks an entry, present or absent, against a certified private root.
pub fn verify_entry(entry: &ProvenEntry, root: &Digest) -> Result<(), ProofError> {
    let expected = match &entry.value {
        Some(value) => Some(leaf(&entry.blind, value)),
        None if entry.blind == [0; 32] => None,
        None => return Err(ProofError::Leaf),
    };
    verify_membership(root, &entry.key.tree_key(), expected.as_ref(), &entry.proof)
}

fn leaf(blind: &[u8; 32], value: &[u8]) -> Digest {
    hash("private leaf", &[blind, value])
}

fn is_money(key: &[u8]) -> bool {
    key.first() == Some(&TOKEN_TAG)
}
