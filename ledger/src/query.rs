//! Private reads: a query sealed to a node's attested KEM key, an answer sealed back, each value proven against
//! a certified `private_root`.
//!
//! Queries are signed by the account, bound to the network and to a time, and name the oldest height that they
//! accept, so that a wallet notices a stale or lying node. Both directions are padded to power-of-two buckets.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use rand_core::CryptoRng;
use tacit_consensus::{
    CommitProof, Committee, Digest, Epoch, Executed, Header, Height, Millis, Scheme, hash,
};

use crate::{
    account::{AccountId, AccountKey, AccountSignature},
    codec::{decode, encode},
    error::{OpenError, ProofError, QueryError, SealError},
    limits::{
        MAX_ANSWER_BUCKET, MAX_QUERY_BUCKET, MAX_QUERY_KEYS, MAX_SEALED_ANSWER_BYTES, MAX_SEALED_QUERY_BYTES,
        MIN_ANSWER_BUCKET, MIN_QUERY_BUCKET,
    },
    padding::{pad, unpad},
    receipt::check_header,
    sealing::{SealingPublic, SealingSecret, open_from, seal_to},
    state::{StateKey, verify_entry},
};

/// What a query asks, before it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Random; the answer repeats it.
    pub fresh: [u8; 32],
    /// The asker's clock.
    pub time_ms: Millis,
    /// The oldest executed height that is accepted.
    pub min_height: Height,
    /// 1 to [`MAX_QUERY_KEYS`].
    pub keys: Vec<StateKey>,
    /// What the answer is sealed to; a fresh key for each query.
    pub answer_to: SealingPublic,
}

/// A signed question to one network's private state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Query {
    /// The network.
    pub chain: Digest,
    /// Who asks; what may be read depends on it.
    pub account: AccountId,
    /// Random; the answer repeats it.
    pub fresh: [u8; 32],
    /// The asker's clock.
    pub time_ms: Millis,
    /// The oldest executed height that is accepted.
    pub min_height: Height,
    /// 1 to [`MAX_QUERY_KEYS`].
    pub keys: Vec<StateKey>,
    /// What the answer is sealed to.
    pub answer_to: SealingPublic,
    /// By the account over everything above.
    pub signature: AccountSignature,
}

impl Query {
    /// Signs a question. `aux` is fresh randomness for BIP-340.
    pub fn sign(chain: &Digest, key: &AccountKey, question: Question, aux: [u8; 32]) -> Self {
        let Question {
            fresh,
            time_ms,
            min_height,
            keys,
            answer_to,
        } = question;
        let signature = AccountSignature {
            scheme: 0,
            bytes: [0; 64],
        };
        let mut query = Self {
            chain: *chain,
            account: key.id(),
            fresh,
            time_ms,
            min_height,
            keys,
            answer_to,
            signature,
        };
        query.signature = key.sign(&query.message().0, aux);
        query
    }

    /// Checks network, bounds, clock and signature. `max_skew_ms` bounds how long an observed query is of any
    /// use to somebody who replays it (the answer would still be sealed to the asker).
    pub fn verify(&self, chain: &Digest, now_ms: Millis, max_skew_ms: Millis) -> Result<(), QueryError> {
        if self.chain != *chain {
            return Err(QueryError::Chain { have: self.chain });
        }
        if self.keys.is_empty() || self.keys.len() > MAX_QUERY_KEYS {
            return Err(QueryError::Keys {
                have: self.keys.len(),
                max: MAX_QUERY_KEYS,
            });
        }
        if self.time_ms.abs_diff(now_ms) > max_skew_ms {
            return Err(QueryError::Time {
                time_ms: self.time_ms,
                now_ms,
                max_skew_ms,
            });
        }
        self.answer_to.check().map_err(QueryError::AnswerKey)?;
        Ok(self.signature.verify(&self.account, &self.message().0)?)
    }

    fn message(&self) -> Digest {
        let who = (
            &self.chain,
            &self.account,
            &self.fresh,
            self.time_ms,
            self.min_height,
        );
        hash("query", &[&encode(&(who, &self.keys, &self.answer_to))])
    }
}

/// Seals a query to a node's KEM key.
pub fn seal_query(
    rng: &mut impl CryptoRng,
    kem_key: &SealingPublic,
    query: &Query,
) -> Result<Vec<u8>, SealError> {
    let encoded = encode(query);
    let too_large = SealError::TooLarge {
        have: encoded.len(),
        max: MAX_QUERY_BUCKET - 4,
    };
    let padded = pad(&encoded, MIN_QUERY_BUCKET, MAX_QUERY_BUCKET).ok_or(too_large)?;
    seal_to(rng, kem_key, &query_info(&query.chain), &[], &padded)
}

/// Opens a query that was sealed to this node for this network. [`Query::verify`] comes next.
pub fn open_query(kem: &SealingSecret, chain: &Digest, bytes: &[u8]) -> Result<Query, OpenError> {
    if bytes.len() > MAX_SEALED_QUERY_BYTES {
        return Err(OpenError::TooLong {
            have: bytes.len(),
            max: MAX_SEALED_QUERY_BYTES,
        });
    }
    let padded = open_from(kem, &query_info(chain), &[], bytes)?;
    Ok(decode(
        unpad(&padded).ok_or(OpenError::Padding)?,
        MAX_QUERY_BUCKET,
    )?)
}

/// One key of the private state with its value, or its absence, and the proof.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ProvenEntry {
    /// The key.
    pub key: StateKey,
    /// The encoded value; none when there is none.
    pub value: Option<Vec<u8>>,
    /// What blinds this leaf; tells nothing about others.
    pub blind: [u8; 32],
    /// The tree's proof, for `verify_entry`.
    pub proof: Vec<u8>,
}

/// What a node says about one key.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum AnswerEntry {
    /// The value with its proof.
    Proven(ProvenEntry),
    /// This account may not read the key. A denial cannot be proven.
    Denied {
        /// The key.
        key: StateKey,
    },
}

impl AnswerEntry {
    fn key(&self) -> &StateKey {
        match self {
            Self::Proven(entry) => &entry.key,
            Self::Denied { key } => key,
        }
    }
}

/// A node's answer.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Answer {
    /// The query's.
    pub fresh: [u8; 32],
    /// The state that the entries are proven against.
    pub executed: Executed,
    /// A committed header that certifies it.
    pub header: Header,
    /// That the header is committed.
    pub proof: CommitProof,
    /// The header's epoch.
    pub epoch: Epoch,
    /// One a key of the query, in its order.
    pub entries: Vec<AnswerEntry>,
}

impl Answer {
    /// Checks that this answers `query` from a state that a quorum certified and that is recent enough, and gives
    /// the values. `committee` is the verified one of the header's epoch. Keys that were denied are absent from
    /// the result.
    pub fn verify(
        &self,
        query: &Query,
        chain: &Digest,
        committee: &Committee,
        scheme: &dyn Scheme,
    ) -> Result<BTreeMap<StateKey, Option<Vec<u8>>>, ProofError> {
        if self.fresh != query.fresh {
            return Err(ProofError::Fresh);
        }
        if self.executed != self.header.executed {
            return Err(ProofError::Executed);
        }
        if self.executed.height < query.min_height {
            return Err(ProofError::Stale {
                have: self.executed.height,
                need: query.min_height,
            });
        }
        if self.epoch != self.header.epoch {
            return Err(ProofError::Epoch {
                have: self.epoch,
                need: self.header.epoch,
            });
        }
        check_header(&self.header, &self.proof, chain, committee, scheme)?;
        if self.entries.len() != query.keys.len() {
            return Err(ProofError::Keys {
                index: self.entries.len().min(query.keys.len()),
            });
        }
        let mut values = BTreeMap::new();
        for (index, (entry, key)) in self.entries.iter().zip(&query.keys).enumerate() {
            if entry.key() != key {
                return Err(ProofError::Keys { index });
            }
            if let AnswerEntry::Proven(entry) = entry {
                verify_entry(entry, &self.executed.private_root)?;
                values.insert(entry.key.clone(), entry.value.clone());
            }
        }
        Ok(values)
    }
}

/// Seals an answer to the asker.
pub fn seal_answer(
    rng: &mut impl CryptoRng,
    to: &SealingPublic,
    chain: &Digest,
    answer: &Answer,
) -> Result<Vec<u8>, SealError> {
    let encoded = zeroize::Zeroizing::new(encode(answer));
    let too_large = SealError::TooLarge {
        have: encoded.len(),
        max: MAX_ANSWER_BUCKET - 4,
    };
    let padded = pad(&encoded, MIN_ANSWER_BUCKET, MAX_ANSWER_BUCKET).ok_or(too_large)?;
    seal_to(rng, to, &answer_info(chain), &answer.fresh, &padded)
}

/// Opens an answer to the query with this `fresh`. [`Answer::verify`] comes next.
pub fn open_answer(
    secret: &SealingSecret,
    chain: &Digest,
    fresh: &[u8; 32],
    bytes: &[u8],
) -> Result<Answer, OpenError> {
    if bytes.len() > MAX_SEALED_ANSWER_BYTES {
        return Err(OpenError::TooLong {
            have: bytes.len(),
            max: MAX_SEALED_ANSWER_BYTES,
        });
    }
    let padded = open_from(secret, &answer_info(chain), fresh, bytes)?;
    Ok(decode(
        unpad(&padded).ok_or(OpenError::Padding)?,
        MAX_ANSWER_BUCKET,
    )?)
}

fn query_info(chain: &Digest) -> Vec<u8> {
    [&b"tacit 2026 query"[..], &chain.0].concat()
}

fn answer_info(chain: &Digest) -> Vec<u8> {
    [&b"tacit 2026 answer"[..], &chain.0].concat()
}
