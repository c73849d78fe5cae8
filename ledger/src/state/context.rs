//! What a module sees while it executes ([`Context`], with a journal) and while it judges a reader ([`View`]).

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_consensus::{Digest, Height, Millis};

use crate::{
    codec::encode,
    state::{
        history::{History, Values, Writes},
        key::StateKey,
    },
};

/// The block that is being executed.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// The chain.
    pub chain: Digest,
    /// Its height: one above the state's.
    pub height: Height,
    /// Its time.
    pub time_ms: Millis,
    /// Fee for each 512 bytes of an envelope's bucket, in smallest units.
    pub fee_per_512: u64,
}

/// The state with the writes of one block above it, and the journal to take the newest of them back.
pub struct Context<'a> {
    base: &'a Values,
    writes: Writes,
    journal: Vec<Undo>,
    block: BlockContext,
}

/// How to take one write back: the key, and the block's earlier write of it, if there was one.
struct Undo {
    key: Vec<u8>,
    before: Option<Option<Vec<u8>>>,
}

/// A point in a context's journal.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'a> Context<'a> {
    pub(crate) fn new(base: &'a Values, block: BlockContext) -> Self {
        Self {
            base,
            writes: Writes::new(),
            journal: Vec::new(),
            block,
        }
    }

    /// The block that is being executed.
    pub fn block(&self) -> &BlockContext {
        &self.block
    }

    /// What stands at `key`.
    ///
    /// # Panics
    /// When the entry is not a `T`: the state then is not what this program wrote, and the node must halt.
    pub fn get<T: BorshDeserialize>(&self, key: impl Into<StateKey>) -> Option<T> {
        self.raw(&key.into().bytes()).map(read_own)
    }

    /// Writes an entry.
    pub fn put<T: BorshSerialize>(&mut self, key: impl Into<StateKey>, value: &T) {
        self.write(key.into().bytes(), Some(encode(value)));
    }

    /// Removes an entry.
    pub fn remove(&mut self, key: impl Into<StateKey>) {
        self.write(key.into().bytes(), None);
    }

    /// Where the journal stands now.
    pub fn mark(&self) -> Mark {
        Mark(self.journal.len())
    }

    /// Takes back every write since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        for Undo { key, before } in self.journal.drain(mark.0..).rev() {
            match before {
                Some(value) => self.writes.insert(key, value),
                None => self.writes.remove(&key),
            };
        }
    }

    /// The writes that changed something, in order of their keys.
    pub(crate) fn into_writes(self) -> Writes {
        let base = self.base;
        self.writes
            .into_iter()
            .filter(|(key, value)| base.get(key) != value.as_ref())
            .collect()
    }

    fn raw(&self, key: &[u8]) -> Option<&Vec<u8>> {
        match self.writes.get(key) {
            Some(value) => value.as_ref(),
            None => self.base.get(key),
        }
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.writes.insert(key.clone(), value);
        self.journal.push(Undo { key, before });
    }
}

/// The state as of one height, read only.
pub struct View<'a> {
    history: &'a History,
    height: Height,
}

impl<'a> View<'a> {
    pub(crate) fn new(history: &'a History, height: Height) -> Self {
        Self { history, height }
    }

    /// What stands at `key`.
    ///
    /// # Panics
    /// As [`Context::get`].
    pub fn get<T: BorshDeserialize>(&self, key: impl Into<StateKey>) -> Option<T> {
        self.history
            .get_at(self.height, &key.into().bytes())
            .map(read_own)
    }
}

/// Decodes a value that the state machine wrote itself.
pub(crate) fn read_own<T: BorshDeserialize>(bytes: impl AsRef<[u8]>) -> T {
    borsh::from_slice(bytes.as_ref()).expect("the private state holds what this program wrote")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::AccountId, state::key::TokenKey};

    #[test]
    fn a_rollback_restores_every_layer() {
        let key = |byte| TokenKey::Balance(AccountId([byte; 32]));
        let value = |amount: u128| encode(&amount);
        let base: Values = (1..4)
            .map(|byte| (StateKey::from(key(byte)).bytes(), value(u128::from(byte))))
            .collect();
        let block = BlockContext {
            chain: Digest::ZERO,
            height: 1,
            time_ms: 0,
            fee_per_512: 0,
        };
        let mut context = Context::new(&base, block);
        context.put(key(1), &10u128);
        let mark = context.mark();
        context.put(key(1), &11u128);
        context.put(key(1), &12u128);
        context.remove(key(2));
        context.put(key(9), &9u128);
        assert_eq!(context.get::<u128>(key(2)), None);
        context.rollback(mark);
        assert_eq!(context.get::<u128>(key(1)), Some(10));
        assert_eq!(context.get::<u128>(key(2)), Some(2));
        assert_eq!(context.get::<u128>(key(9)), None);
        context.put(key(3), &3u128);
        let writes = context.into_writes();
        assert_eq!(
            writes,
            Writes::from([(StateKey::from(key(1)).bytes(), Some(value(10)))])
        );
    }
}
