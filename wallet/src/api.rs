//! The node's HTTP interface as typed calls. Everything it returns is hearsay until [`crate::trust`] or a proof has
//! judged it; unknown fields are ignored.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use borsh::BorshDeserialize;
use serde::{Deserialize, de::DeserializeOwned};
use tacit_consensus::{CommitProof, Digest, Header};
use tacit_ledger::{
    Envelope, LightBundle, MAX_GENESIS_BYTES, MAX_LIGHT_BUNDLE_BYTES, MAX_RECEIPT_PROOF_BYTES,
    MAX_SEALED_ANSWER_BYTES, ReceiptProof, SystemTx, codes, decode, encode,
};

use crate::{
    client::{Bounds, Response, Transport},
    entropy::pause,
    error::Error,
};

/// Pause between two questions to a node that did not wait although asked to.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest plain JSON answer, in bytes.
const MAX_JSON: usize = 256 * 1024;
/// Longest long poll that a node grants, in milliseconds.
pub const MAX_WAIT_MS: u64 = 30_000;

/// Bytes of JSON around a blob of so many bytes: base64 and a little.
const fn json_for(blob: usize) -> usize {
    blob / 3 * 4 + 4096
}

/// A node, asked in its own words.
pub struct Api<'a> {
    transport: &'a dyn Transport,
}

/// `GET /v1/status`, what a wallet needs of it.
#[derive(Debug, Clone, Deserialize)]
pub struct StatusAnswer {
    /// The chain that the node says it follows, hex.
    pub genesis_hash: String,
    /// Who the node says it is.
    pub node: NodeAnswer,
    /// Where it says it is.
    pub sync: SyncAnswer,
}

/// Who a node says it is.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeAnswer {
    /// Its node key, hex.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `validator` or `observer`.
    pub role: String,
}

/// Where a node says it is.
#[derive(Debug, Clone, Deserialize)]
pub struct SyncAnswer {
    /// Its height.
    pub height: u64,
}

/// `POST /v1/txs`
#[derive(Debug, Clone, Deserialize)]
pub struct Accepted {
    /// The envelope's id, hex.
    pub tx_id: String,
    /// The epoch it is sealed to.
    pub epoch: u64,
    /// The last height that may include it.
    pub expires_at_height: u64,
}

/// `GET /v1/txs/{id}`
#[derive(Debug, Clone, Deserialize)]
pub struct TxAnswer {
    /// `pending`, `committed` or `expired`.
    pub status: String,
    /// Where it was included.
    #[serde(default)]
    pub included: Option<Included>,
    /// Whether the receipt can be proven yet.
    #[serde(default)]
    pub receipt_ready: bool,
}

/// Where a transaction was included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Included {
    /// Height of the block.
    pub height: u64,
    /// Index in it.
    pub index: u32,
}

/// `GET /v1/system/{id}`
#[derive(Debug, Clone, Deserialize)]
pub struct SystemAnswer {
    /// `pending`, `committed` or `dropped`.
    pub status: String,
    /// Where it was included.
    #[serde(default)]
    pub included: Option<Included>,
    /// Why it was dropped.
    #[serde(default)]
    pub refusal: Option<RefusalAnswer>,
}

/// A refusal by name.
#[derive(Debug, Clone, Deserialize)]
pub struct RefusalAnswer {
    /// One of the table of codes, if this release knows it.
    pub code: String,
    /// What is there and what was needed.
    pub detail: String,
}

/// What waiting for a transaction asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The block is committed.
    Committed,
    /// The receipt can be proven.
    Receipt,
}

#[derive(Deserialize)]
struct GenesisAnswer {
    bytes: String,
}

#[derive(Deserialize)]
struct BundleAnswer {
    bundle: String,
}

#[derive(Deserialize)]
struct ProofAnswer {
    proof: String,
}

#[derive(Deserialize)]
struct SealedAnswer {
    sealed: String,
}

#[derive(Deserialize)]
struct CommitAnswer {
    header: String,
    proof: String,
}

#[derive(Deserialize)]
struct HashAnswer {
    hash: String,
}

#[derive(Deserialize)]
struct SystemAccepted {
    id: String,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    code: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

impl<'a> Api<'a> {
    /// Over a transport.
    pub fn new(transport: &'a dyn Transport) -> Self {
        Self { transport }
    }

    /// The node's address.
    pub fn endpoint(&self) -> &str {
        self.transport.endpoint()
    }

    /// What the node says about itself.
    ///
    /// # Errors
    /// As every call here: [`Error::Unreachable`], [`Error::Refused`] with the node's code, [`Error::BadAnswer`].
    pub fn status(&self) -> Result<StatusAnswer, Error> {
        self.get("/v1/status", MAX_JSON, 0)
    }

    /// The bytes of the genesis that the node follows.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn genesis(&self) -> Result<Vec<u8>, Error> {
        let path = "/v1/genesis";
        let answer: GenesisAnswer = self.get(path, json_for(MAX_GENESIS_BYTES), 0)?;
        self.blob(path, &answer.bytes)
    }

    /// What moves trust from an epoch to now.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn light_bundle(&self, from_epoch: u64) -> Result<LightBundle, Error> {
        let path = format!("/v1/light/bundle?from={from_epoch}");
        let answer: BundleAnswer = self.get(&path, json_for(MAX_LIGHT_BUNDLE_BYTES), 0)?;
        self.value(&path, &answer.bundle, MAX_LIGHT_BUNDLE_BYTES)
    }

    /// The hash that the node names for a height.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn block_hash(&self, height: u64) -> Result<String, Error> {
        let answer: HashAnswer = self.get(&format!("/v1/blocks/{height}"), MAX_JSON, 0)?;
        Ok(answer.hash)
    }

    /// A header with the proof that it is final.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn commit(&self, height: u64) -> Result<(Header, CommitProof), Error> {
        let path = format!("/v1/blocks/{height}/commit");
        let answer: CommitAnswer = self.get(&path, json_for(MAX_RECEIPT_PROOF_BYTES), 0)?;
        let header = self.value(&path, &answer.header, MAX_RECEIPT_PROOF_BYTES)?;
        Ok((header, self.value(&path, &answer.proof, MAX_RECEIPT_PROOF_BYTES)?))
    }

    /// Submits an envelope.
    ///
    /// # Errors
    /// As [`Api::status`]; `tx.epoch_closed` means: refresh trust and seal again.
    pub fn submit(&self, envelope: &Envelope) -> Result<Accepted, Error> {
        self.post(
            "/v1/txs",
            &serde_json::json!({ "envelope": STANDARD.encode(encode(envelope)) }),
            MAX_JSON,
        )
    }

    /// Submits a transaction of the public lane; gives its id.
    ///
    /// # Errors
    /// As [`Api::status`]; the code says which rule of the ledger it breaks.
    pub fn submit_system(&self, tx: &SystemTx) -> Result<Digest, Error> {
        let path = "/v1/system";
        let body = serde_json::json!({ "tx": STANDARD.encode(tx.encode()) });
        let answer: SystemAccepted = self.post(path, &body, MAX_JSON)?;
        Digest::from_hex(&answer.id).map_err(|_| self.bad(path, "the id is no hash"))
    }

    /// What the node says became of a transaction of the public lane, waiting up to `wait_ms` (at most
    /// [`MAX_WAIT_MS`]) for it.
    ///
    /// # Errors
    /// As [`Api::status`]; `system.not_found` when it is neither committed nor waiting there.
    pub fn system(&self, id: &Digest, wait_ms: u64) -> Result<SystemAnswer, Error> {
        let wait_ms = wait_ms.min(MAX_WAIT_MS);
        self.get(&format!("/v1/system/{id}?wait_ms={wait_ms}"), MAX_JSON, wait_ms)
    }

    /// Submits a transaction of the public lane and waits up to `patience` until a final block has it; gives its id
    /// and where it stands. What it says is then in force as far as the ledger says: the node is believed about that.
    ///
    /// # Errors
    /// As [`Api::submit_system`]; the refusal's code when the ledger has moved on before it was included;
    /// [`Error::SystemTimeout`].
    pub fn settle(&self, tx: &SystemTx, patience: Duration) -> Result<(Digest, Included), Error> {
        let id = self.submit_system(tx)?;
        let started = Instant::now();
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let wait_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            let answer = match self.system(&id, wait_ms) {
                // Taken in a moment ago, and not there yet.
                Err(Error::Refused {
                    code: "system.not_found",
                    ..
                }) => None,
                other => Some(other?),
            };
            if let Some(SystemAnswer {
                refusal: Some(refusal),
                ..
            }) = &answer
            {
                return Err(self.refused(&format!("/v1/system/{id}"), &refusal.code, &refusal.detail));
            }
            if let Some(SystemAnswer {
                included: Some(included),
                ..
            }) = answer
            {
                return Ok((id, included));
            }
            if left.is_zero() {
                let waited_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
                return Err(Error::SystemTimeout { id, waited_ms });
            }
            pause(PAUSE.min(left));
        }
    }

    /// What the node says became of a transaction, waiting up to `wait_ms` (at most [`MAX_WAIT_MS`]) for it.
    ///
    /// # Errors
    /// As [`Api::status`]; `tx.not_found` when it never saw it.
    pub fn transaction(&self, id: &Digest, wait_ms: u64, until: Until) -> Result<TxAnswer, Error> {
        let wait_ms = wait_ms.min(MAX_WAIT_MS);
        let until = match until {
            Until::Committed => "",
            Until::Receipt => "&until=receipt",
        };
        self.get(
            &format!("/v1/txs/{id}?wait_ms={wait_ms}{until}"),
            MAX_JSON,
            wait_ms,
        )
    }

    /// The proof of a transaction's receipt; `None` while no certified header covers it.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn receipt(&self, id: &Digest) -> Result<Option<ReceiptProof>, Error> {
        let path = format!("/v1/txs/{id}/receipt");
        let response = self
            .transport
            .get(&path, bounds(json_for(MAX_RECEIPT_PROOF_BYTES), 0))?;
        if response.status == 202 {
            return Ok(None);
        }
        let answer: ProofAnswer = self.read(&path, response)?;
        self.value(&path, &answer.proof, MAX_RECEIPT_PROOF_BYTES)
            .map(Some)
    }

    /// A private read: sealed bytes in, sealed bytes out.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn query(&self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let path = "/v1/query";
        let body = serde_json::json!({ "sealed": STANDARD.encode(sealed) });
        let answer: SealedAnswer = self.post(path, &body, json_for(MAX_SEALED_ANSWER_BYTES))?;
        self.blob(path, &answer.sealed)
    }

    /// A public page as plain JSON, for showing only.
    ///
    /// # Errors
    /// As [`Api::status`].
    pub fn page(&self, path: &str, wait_ms: u64) -> Result<serde_json::Value, Error> {
        self.get(path, json_for(MAX_LIGHT_BUNDLE_BYTES), wait_ms)
    }

    fn get<T: DeserializeOwned>(&self, path: &str, max_bytes: usize, wait_ms: u64) -> Result<T, Error> {
        let response = self.transport.get(path, bounds(max_bytes, wait_ms))?;
        self.read(path, response)
    }

    fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
        max: usize,
    ) -> Result<T, Error> {
        let response = self
            .transport
            .post(path, body.to_string().as_bytes(), bounds(max, 0))?;
        self.read(path, response)
    }

    fn bad(&self, path: &str, reason: impl ToString) -> Error {
        Error::BadAnswer {
            endpoint: self.endpoint().to_owned(),
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    fn read<T: DeserializeOwned>(&self, path: &str, response: Response) -> Result<T, Error> {
        if (200..300).contains(&response.status) {
            return serde_json::from_slice(&response.body).map_err(|error| self.bad(path, error));
        }
        let problem: ProblemAnswer = serde_json::from_slice(&response.body)
            .map_err(|_| self.bad(path, format!("status {}", response.status)))?;
        let detail = if problem.detail.is_empty() {
            problem.title
        } else {
            problem.detail
        };
        Err(self.refused(path, &problem.code, &detail))
    }

    /// Codes that we do not know are not passed on: scripts may rely on the table.
    fn refused(&self, path: &str, code: &str, detail: &str) -> Error {
        match codes::lookup(code) {
            Some(row) => Error::Refused {
                code: row.code,
                detail: printable(detail),
            },
            None => self.bad(
                path,
                format!("a refusal that this release does not know: {}", printable(code)),
            ),
        }
    }

    fn blob(&self, path: &str, text: &str) -> Result<Vec<u8>, Error> {
        STANDARD.decode(text).map_err(|error| self.bad(path, error))
    }

    fn value<T: BorshDeserialize>(&self, path: &str, text: &str, max: usize) -> Result<T, Error> {
        decode(&self.blob(path, text)?, max).map_err(|error| self.bad(path, error))
    }
}

fn bounds(max_bytes: usize, wait_ms: u64) -> Bounds {
    Bounds {
        max_bytes,
        patience: Duration::from_millis(wait_ms),
    }
}

/// A stranger's sentence, fit for a terminal: no control characters, not endless.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(400)
        .collect()
}
