//! An opened wallet on a verified chain, and its private reads with their proofs. What it sends is in `transaction`, what
//! a member of the network's governance signs is in `governance`.

mod governance;
mod transaction;

pub use transaction::{Confirmed, Submitted};

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use borsh::BorshDeserialize;
use rand_chacha::ChaCha20Rng;
use tacit_consensus::{Digest, Ed25519, PublicKey};
use tacit_ledger::{
    AccountId, AccountKey, MAX_QUERY_KEYS, Query, Question, SealingPublic, SealingSecret, StateKey, decode,
    open_answer, seal_query,
};

use transaction::PAUSE;

use crate::{
    address::Address,
    api::Api,
    client::Transport,
    entropy::{self, Clock, system_clock, system_rng},
    error::Error,
    home::Home,
    keyfile::Keyfile,
    records::Records,
    trust::{Trust, TrustSummary},
};

/// A check of the chain this recent, in milliseconds, serves the next operation too.
const FRESH_MS: u64 = 2_000;
/// Longest value of the private state that a wallet decodes, in bytes.
const MAX_VALUE_BYTES: usize = 64 * 1024;

/// How an opened wallet behaves.
#[derive(Clone)]
pub struct WalletOptions {
    /// Longest wait for a transaction to be final, and for a node to catch up with what was seen.
    pub patience: Duration,
    /// Where receipts are kept; nowhere when absent.
    pub records: Option<Home>,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for WalletOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(30),
            records: None,
            clock: system_clock,
        }
    }
}

/// An opened wallet. It holds keys; it has no `Debug`.
pub struct Wallet {
    pub(crate) name: String,
    pub(crate) key: AccountKey,
    pub(crate) mail: SealingSecret,
    pub(crate) address: Address,
    pub(crate) rng: ChaCha20Rng,
    transport: Arc<dyn Transport>,
    trust: Trust,
    options: WalletOptions,
    records: Option<Records>,
    /// The oldest state that is accepted: the newest that was proven so far.
    seen: u64,
    /// The node's identity, as it says itself; only its key in the verified set counts.
    node: Option<PublicKey>,
    /// The next nonce, while transactions of this session are in flight.
    in_flight: Option<u64>,
}

/// Proven values, and proven absences.
type Values = BTreeMap<StateKey, Option<Vec<u8>>>;

/// Values proven at one height; keys that the chain does not show to this account are missing.
pub(crate) struct Reading {
    pub(crate) height: u64,
    values: Values,
}

impl Reading {
    /// Whether the chain refused to show it.
    pub(crate) fn denied(&self, key: &StateKey) -> bool {
        !self.values.contains_key(key)
    }

    /// A value; `None` when it is proven to be absent.
    pub(crate) fn get<T: BorshDeserialize>(&self, key: impl Into<StateKey>) -> Result<Option<T>, Error> {
        let key = key.into();
        let value = self.values.get(&key).ok_or_else(|| Error::Denied {
            what: name_of(&key).to_owned(),
        })?;
        let Some(bytes) = value else { return Ok(None) };
        decode(bytes, MAX_VALUE_BYTES)
            .map(Some)
            .map_err(|error| Error::proof("proof.state", name_of(&key), error))
    }
}

/// What a key is, without whose.
fn name_of(key: &StateKey) -> &'static str {
    match key {
        StateKey::Nonce(_) => "nonce",
        StateKey::Token(_) => "balance",
        StateKey::Names(_) => "name",
        StateKey::Mail(_) => "mail",
    }
}

impl Wallet {
    /// Opens a wallet on the chain of `trust`, through a node.
    ///
    /// # Errors
    /// [`Error::OtherChain`] when the key file was made for another chain: keys are not reused across chains.
    pub fn new(
        keyfile: &Keyfile,
        transport: Arc<dyn Transport>,
        trust: Trust,
        options: WalletOptions,
    ) -> Result<Self, Error> {
        let chain = trust.chain();
        if !keyfile.is_for(&chain, trust.genesis()) {
            return Err(Error::OtherChain {
                name: keyfile.name.clone(),
                wallet: keyfile.chain,
                pinned: chain,
            });
        }
        let records = options
            .records
            .as_ref()
            .map(|home| Records::at(home, &keyfile.name));
        Ok(Self {
            name: keyfile.name.clone(),
            key: keyfile.seeds.account_key()?,
            mail: keyfile.seeds.mail_key(),
            address: keyfile.address.on(trust.class())?,
            rng: system_rng()?,
            transport,
            trust,
            options,
            records,
            seen: 0,
            node: None,
            in_flight: None,
        })
    }

    /// The wallet's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The wallet's address.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The wallet's account.
    pub fn account(&self) -> AccountId {
        self.address.account
    }

    /// What is verified of the chain.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The chain.
    pub fn chain(&self) -> Digest {
        self.trust.chain()
    }

    /// Verifies the chain up to now, unless that was done a moment ago, and says what was found.
    ///
    /// # Errors
    /// The first check that fails: then nothing is sealed.
    pub fn check(&mut self) -> Result<TrustSummary, Error> {
        let now = (self.options.clock)();
        let checked = self.trust.checked_ms();
        if checked != 0 && now.saturating_sub(checked) <= FRESH_MS {
            return self.trust.summary(now);
        }
        self.refresh()
    }

    /// Verifies the chain up to now.
    fn refresh(&mut self) -> Result<TrustSummary, Error> {
        let now = (self.options.clock)();
        self.trust.refresh(&Api::new(self.transport.as_ref()), now)
    }

    /// Reads entries of the private state from the node, sealed both ways, each proven under a certified root that
    /// is no older than anything proven before.
    pub(crate) fn read(&mut self, keys: &[StateKey]) -> Result<Reading, Error> {
        self.check()?;
        let started = Instant::now();
        let mut reading = Reading {
            height: u64::MAX,
            values: BTreeMap::new(),
        };
        for keys in keys.chunks(MAX_QUERY_KEYS) {
            let (height, values) = loop {
                match self.ask(keys) {
                    // The node has not executed yet what another one proved to us, or an epoch began between our
                    // check and its answer.
                    Err(Error::Refused {
                        code: "query.ahead" | "query.stale",
                        ..
                    }) if started.elapsed() < self.options.patience => {
                        entropy::pause(PAUSE);
                    }
                    // Its key changed with an epoch that began since our check.
                    Err(Error::Refused {
                        code: "query.key_changed",
                        ..
                    }) if started.elapsed() < self.options.patience => {
                        entropy::pause(PAUSE);
                        self.refresh()?;
                    }
                    other => break other?,
                }
            };
            reading.height = reading.height.min(height);
            reading.values.extend(values);
        }
        self.seen = self.seen.max(reading.height);
        Ok(reading)
    }

    /// One query, at most [`MAX_QUERY_KEYS`] keys.
    fn ask(&mut self, keys: &[StateKey]) -> Result<(u64, Values), Error> {
        let kem_key = self.kem_key()?;
        let chain = self.chain();
        let answer_key = SealingSecret::derive(&entropy::bytes(&mut self.rng));
        let question = Question {
            fresh: entropy::bytes(&mut self.rng),
            time_ms: (self.options.clock)(),
            min_height: self.seen,
            keys: keys.to_vec(),
            answer_to: answer_key.public().clone(),
        };
        let query = Query::sign(&chain, &self.key, question, entropy::bytes(&mut self.rng));
        let sealed = seal_query(&mut self.rng, &kem_key, &query)
            .map_err(|error| Error::proof("epoch.holder", "the validator's key", error))?;
        let answer = Api::new(self.transport.as_ref()).query(&sealed)?;
        let what = "the node's answer";
        let answer = open_answer(&answer_key, &chain, &query.fresh, &answer)
            .map_err(|error| Error::proof("proof.state", what, error))?;
        if answer.header.epoch > self.trust.state().record.epoch {
            self.refresh()?;
        }
        let committee = self
            .trust
            .committee_of(&Api::new(self.transport.as_ref()), answer.header.epoch)?;
        let values = answer
            .verify(&query, &chain, &committee, &Ed25519)
            .map_err(|error| Error::proof(error.code(), what, error))?;
        Ok((answer.executed.height, values))
    }

    /// The attested key of the node at the other end, from the verified set.
    fn kem_key(&mut self) -> Result<SealingPublic, Error> {
        let node = match self.node {
            Some(node) => node,
            None => {
                let status = Api::new(self.transport.as_ref()).status()?;
                let mut key = [0; 32];
                hex::decode_to_slice(&status.node.id, &mut key).map_err(|_| self.not_a_validator())?;
                *self.node.insert(PublicKey(key))
            }
        };
        let seats = &self.trust.state().record.validators;
        let seat = seats
            .iter()
            .find(|seat| seat.node_key == node)
            .ok_or_else(|| self.not_a_validator())?;
        Ok(seat.kem_key.clone())
    }

    fn not_a_validator(&self) -> Error {
        let epoch = self.trust.state().record.epoch;
        Error::NotAValidator {
            endpoint: self.transport.endpoint().to_owned(),
            epoch,
        }
    }
}
