//! A private state with accounts that act on it: what the state tests share.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

use std::{collections::BTreeMap, sync::Arc};

use borsh::BorshDeserialize;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use tacit_consensus::Digest;
use tacit_ledger::*;

pub const CHAIN: Digest = Digest([0xc4; 32]);
pub const FEE_PER_512: u64 = 10;
/// What each of the accounts 1 to 5 has at genesis.
pub const START: Amount = 1_000_000;

pub fn key(n: u8) -> AccountKey {
    AccountKey::from_seed([n; 32]).ok().unwrap()
}

pub fn id(n: u8) -> AccountId {
    key(n).id()
}

pub fn state_keys(n: u8) -> StateKeys {
    StateKeys {
        data: [n; 32],
        blinding: [n + 2; 32],
    }
}

pub fn mail_key(n: u8) -> SealingPublic {
    SealingSecret::derive(&[n; 32]).public().clone()
}

pub fn transfer(to: u8, amount: Amount) -> Action {
    Action::Token(TokenAction::Transfer { to: id(to), amount })
}

pub fn claim(name: &str) -> Action {
    Action::Names(NamesAction::Claim { name: name.into() })
}

pub fn release(name: &str) -> Action {
    Action::Names(NamesAction::Release { name: name.into() })
}

pub fn publish(n: u8) -> Action {
    Action::Mail(MailAction::PublishKey { key: mail_key(n) })
}

pub fn post(room: RoomId, generation: u32, text: &[u8]) -> Action {
    Action::Mail(MailAction::Post {
        room,
        generation,
        sealed: text.to_vec(),
    })
}

pub fn wrapped(n: u8) -> (AccountId, Vec<u8>) {
    (id(n), vec![n; 64])
}

/// A state, and the counters with which its accounts act on it.
pub struct World {
    pub state: PrivateState,
    pub frames: Vec<Frame>,
    pub last: Vec<(Digest, SealedReceipt)>,
    sealing: SealingSecret,
    rng: ChaCha20Rng,
    nonces: BTreeMap<AccountId, u64>,
}

impl World {
    pub fn new() -> Self {
        Self::with_keys(&state_keys(7))
    }

    pub fn with_keys(keys: &StateKeys) -> Self {
        let allocations: Vec<_> = (1..=5).map(|n| (id(n), START)).collect();
        Self {
            state: PrivateState::genesis(Some(keys), &allocations),
            frames: Vec::new(),
            last: Vec::new(),
            sealing: SealingSecret::derive(&[9; 32]),
            rng: ChaCha20Rng::seed_from_u64(1),
            nonces: BTreeMap::new(),
        }
    }

    pub fn nonce(&self, who: u8) -> u64 {
        self.nonces.get(&id(who)).copied().unwrap_or(0)
    }

    /// Seals and opens a call, as wallet and TEE do.
    pub fn envelope(&mut self, who: u8, nonce: u64, fee: u64, action: Action) -> (Executable, ReceiptKey) {
        let call = Call::sign(&CHAIN, &key(who), nonce, fee, action, [0; 32]);
        let (envelope, receipt_key) =
            seal_envelope(&mut self.rng, self.sealing.public(), &CHAIN, 1, 100, &call).unwrap();
        let opened = open_envelope(&self.sealing, &envelope).ok().unwrap();
        (Executable::Opened(Arc::new(opened)), receipt_key)
    }

    pub fn context(&self) -> BlockContext {
        let height = self.state.height() + 1;
        BlockContext {
            chain: CHAIN,
            height,
            time_ms: height * 1000,
            fee_per_512: FEE_PER_512,
        }
    }

    /// Executes a block of prepared envelopes.
    pub fn execute(&mut self, items: &[(Executable, ReceiptKey)]) -> Vec<Receipt> {
        let envelopes: Vec<_> = items.iter().map(|(item, _)| item.clone()).collect();
        let outcome = self.state.execute_block(self.context(), &envelopes);
        assert_eq!(outcome.receipts.len(), items.len());
        assert_eq!(outcome.supply, self.state.audit_supply().unwrap());
        self.frames.push(outcome.frame);
        self.last = outcome.receipts;
        let opened = self
            .last
            .iter()
            .zip(items)
            .map(|((_, sealed), (_, key))| sealed.open(key).ok().unwrap());
        opened.collect()
    }

    /// Executes a block of calls with right nonces and enough fee.
    pub fn block(&mut self, calls: &[(u8, Action)]) -> Vec<Receipt> {
        let mut items = Vec::new();
        for (who, action) in calls {
            let nonce = self.nonce(*who);
            self.nonces.insert(id(*who), nonce + 1);
            items.push(self.envelope(*who, nonce, u64::MAX, action.clone()));
        }
        self.execute(&items)
    }

    /// A block of one call.
    pub fn act(&mut self, who: u8, action: Action) -> Receipt {
        self.block(&[(who, action)]).remove(0)
    }

    /// A block of one call that must be applied.
    pub fn applied(&mut self, who: u8, action: Action) -> Vec<u8> {
        let receipt = self.act(who, action);
        assert_eq!(receipt.outcome, Outcome::Applied);
        receipt.detail
    }

    /// A block of one call that must be refused and must change nothing but fee and nonce.
    pub fn refused(&mut self, who: u8, action: Action) -> FailureCode {
        let receipt = self.act(who, action);
        let Outcome::Failed(code) = receipt.outcome else {
            panic!("applied")
        };
        let frame = self.frames.last().unwrap();
        let touched: Vec<StateKey> = frame
            .writes
            .iter()
            .map(|(key, _)| borsh::from_slice(key).unwrap())
            .collect();
        let fee = [
            StateKey::Nonce(id(who)),
            TokenKey::Balance(id(who)).into(),
            TokenKey::Fees.into(),
        ];
        assert_eq!(touched, fee, "a refused action left something behind");
        assert!(code.charged() && receipt.fee > 0 && receipt.detail.is_empty());
        code
    }

    /// What `who` reads at `key` in the newest state.
    pub fn read<T: BorshDeserialize>(
        &self,
        who: u8,
        key: impl Into<StateKey>,
    ) -> Result<Option<T>, ReadError> {
        self.read_at(who, key, self.state.height())
    }

    /// What `who` reads at `key` as of `height`; the proof is checked if that is the newest.
    pub fn read_at<T: BorshDeserialize>(
        &self,
        who: u8,
        key: impl Into<StateKey>,
        height: u64,
    ) -> Result<Option<T>, ReadError> {
        let entry = self.state.read(&id(who), &key.into(), height)?;
        if height == self.state.height() {
            verify_entry(&entry, &self.state.root()).unwrap();
        }
        Ok(entry.value.map(|value| borsh::from_slice(&value).unwrap()))
    }

    pub fn balance(&self, who: u8) -> Amount {
        self.read(who, TokenKey::Balance(id(who))).unwrap().unwrap_or(0)
    }

    pub fn fees(&self) -> Amount {
        self.read(1, TokenKey::Fees).unwrap().unwrap_or(0)
    }

    pub fn room(&self, who: u8, room: RoomId) -> Result<Option<Room>, ReadError> {
        self.read(who, MailKey::Room(room))
    }
}
