//! What the wallet keeps of each transaction, so that no outcome is lost: the receipt's key before it is sent, and
//! the verified receipt after.
//!
//! `<id>.pending` holds the receipt's key sealed to the wallet's own mail key: reading the folder does not show
//! outcomes that the wallet has not asked for. `<id>.json` is a [`ReceiptFile`].

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use tacit_consensus::{Digest, Ed25519};
use tacit_ledger::{
    EpochLink, Genesis, MAX_EPOCH_LINKS, MAX_EPOCH_RECORD_BYTES, Outcome, Receipt, ReceiptKey, ReceiptProof,
    SealingSecret, encode, format_amount, open_from, seal_to,
};

use crate::{
    error::Error,
    home::{Home, private_folder, read_private, write_private},
    trust::walk,
};

const PENDING_INFO: &[u8] = b"tacit 2026 pending receipt";
/// An encapsulation, a key and a tag, and room for a later form.
const MAX_PENDING_BYTES: u64 = 4096;
/// Longest receipt file that is read, in bytes: thousands of epochs.
pub const MAX_RECEIPT_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// A closing header with its proof, and a record.
const MAX_LINK_BYTES: usize = MAX_EPOCH_RECORD_BYTES + 1024 * 1024;
/// Name of the file format.
const FORMAT: &str = "tacit-receipt-1";

/// The folder of one wallet's transactions.
#[derive(Clone)]
pub(crate) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(crate) fn at(home: &Home, wallet: &str) -> Self {
        Self {
            folder: home.receipts(wallet),
        }
    }

    fn pending(&self, id: &Digest) -> PathBuf {
        self.folder.join(format!("{id}.pending"))
    }

    /// Keeps a receipt's key; called before the envelope leaves.
    pub(crate) fn keep_key(
        &self,
        rng: &mut ChaCha20Rng,
        mail: &SealingSecret,
        id: &Digest,
        key: &ReceiptKey,
    ) -> Result<(), Error> {
        private_folder(&self.folder)?;
        let sealed = seal_to(rng, mail.public(), PENDING_INFO, &id.0, key.to_bytes().as_slice())
            .map_err(|_| Error::Encrypting)?;
        write_private(&self.pending(id), &sealed)
    }

    /// The receipt's key of a transaction that was sent from here.
    pub(crate) fn key(&self, mail: &SealingSecret, id: &Digest) -> Result<Option<ReceiptKey>, Error> {
        let path = self.pending(id);
        let Some(sealed) = read_private(&path, MAX_PENDING_BYTES)? else {
            return Ok(None);
        };
        let opened = open_from(mail, PENDING_INFO, &id.0, &sealed);
        let bytes = opened
            .ok()
            .and_then(|plain| <[u8; 32]>::try_from(plain.as_slice()).ok());
        bytes
            .map(|bytes| Some(ReceiptKey::from_bytes(bytes)))
            .ok_or(Error::KeyfileDamaged { path })
    }

    /// Keeps a verified receipt. The key stays too: it is what makes the receipt disclosable later.
    pub(crate) fn keep_receipt(
        &self,
        chain: &Digest,
        proof: &ReceiptProof,
        receipt: &Receipt,
    ) -> Result<(), Error> {
        private_folder(&self.folder)?;
        let file = ReceiptFile::new(chain, proof, Some(receipt));
        write_private(
            &self.folder.join(format!("{}.json", proof.envelope)),
            file.to_json().as_bytes(),
        )
    }
}

/// A receipt to keep or to show to others: what `tacit verify` reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceiptFile {
    /// Always `tacit-receipt-1`.
    pub format: String,
    /// The chain: its genesis hash, hex.
    pub chain: String,
    /// The transaction, hex.
    pub tx_id: String,
    /// The outcome as the file's maker read it. Believe only what [`ReceiptFile::verify`] gives back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeText>,
    /// The `ReceiptProof`, base64 of borsh.
    pub proof: String,
    /// The receipt's key, hex: only in a file made to disclose the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<String>,
    /// The chain of epochs from genesis to the certifying header, base64 of borsh each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub epochs: Vec<String>,
}

/// An outcome in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeText {
    /// `applied` or `failed`.
    pub result: String,
    /// Why it failed: the stable name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Height of its block.
    pub height: u64,
    /// Index in the block.
    pub index: u32,
    /// What was charged, as a decimal.
    pub fee: String,
    /// What the module added, hex.
    pub detail: String,
}

impl From<&Receipt> for OutcomeText {
    fn from(receipt: &Receipt) -> Self {
        let (result, reason) = match receipt.outcome {
            Outcome::Applied => ("applied", None),
            Outcome::Failed(code) => ("failed", Some(code.name().to_owned())),
        };
        Self {
            result: result.to_owned(),
            reason,
            height: receipt.height,
            index: receipt.index,
            fee: format_amount(receipt.fee.into()),
            detail: hex::encode(&receipt.detail),
        }
    }
}

/// What a receipt file proves by itself, given a genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The transaction.
    pub tx_id: Digest,
    /// Height of its block.
    pub height: u64,
    /// Index in the block.
    pub index: u32,
    /// Height of the header whose quorum certified the outcome.
    pub certified_at: u64,
    /// How many validators signed, of how many.
    pub signers: (usize, usize),
    /// The outcome; only if the file discloses the receipt's key.
    pub receipt: Option<Receipt>,
}

impl ReceiptFile {
    /// A file around a proof.
    pub fn new(chain: &Digest, proof: &ReceiptProof, receipt: Option<&Receipt>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            chain: chain.to_string(),
            tx_id: proof.envelope.to_string(),
            outcome: receipt.map(OutcomeText::from),
            proof: STANDARD.encode(encode(proof)),
            receipt_key: None,
            epochs: Vec::new(),
        }
    }

    /// Adds the chain of epochs, so that the file can be verified with the genesis alone.
    pub fn with_epochs(mut self, links: &[EpochLink]) -> Self {
        self.epochs = links.iter().map(|link| STANDARD.encode(encode(link))).collect();
        self
    }

    /// Adds the receipt's key, so that whoever has the file can read the outcome.
    pub fn disclosing(mut self, key: &ReceiptKey) -> Self {
        self.receipt_key = Some(hex::encode(key.to_bytes().as_slice()));
        self
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        // All fields are strings and numbers: writing them cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// `proof.receipt` when it is no receipt file.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: Self = serde_json::from_str(text).map_err(|error| bad("the file", error))?;
        if file.format != FORMAT {
            return Err(bad(
                "the file",
                format!("format {:?} is not {FORMAT}", file.format),
            ));
        }
        Ok(file)
    }

    /// Verifies everything with nothing but a genesis whose hash the caller trusts.
    ///
    /// # Errors
    /// [`Error::GenesisHash`] when the file is of another chain; `proof.*` and `epoch.*` when something does not
    /// hold; [`Error::EpochKey`] when the file lacks epochs.
    pub fn verify(&self, genesis: &Genesis) -> Result<Proven, Error> {
        let chain = genesis.chain_id();
        let named = Digest::from_hex(&self.chain).map_err(|_| bad("the file", "its chain is no hash"))?;
        if named != chain {
            return Err(Error::GenesisHash {
                have: chain,
                pinned: named,
            });
        }
        if self.epochs.len() > MAX_EPOCH_LINKS {
            return Err(bad("the file", "too many epochs"));
        }
        let links = self
            .epochs
            .iter()
            .map(|text| value(text, MAX_LINK_BYTES))
            .collect::<Result<Vec<_>, _>>()?;
        let committees = walk(genesis, &links)?;

        let bytes = STANDARD
            .decode(&self.proof)
            .map_err(|error| bad("the proof", error))?;
        let proof = ReceiptProof::decode(&bytes).map_err(|error| bad("the proof", error))?;
        let epoch = proof.header.epoch;
        let committee = committees.get(&epoch).ok_or_else(|| Error::EpochKey {
            epoch,
            reason: "the file does not lead there; write it with: tacit wallet receipt ID --out FILE"
                .to_owned(),
        })?;
        proof
            .verify(&chain, committee, &Ed25519)
            .map_err(|error| Error::proof(error.code(), "the receipt", error))?;
        if self.tx_id != proof.envelope.to_string() {
            return Err(bad("the file", "it names another transaction than it proves"));
        }
        let receipt = self
            .receipt_key
            .as_deref()
            .map(|key| disclosed(key, &proof))
            .transpose()?;
        if let (Some(receipt), Some(claimed)) = (&receipt, &self.outcome)
            && OutcomeText::from(receipt) != *claimed
        {
            return Err(bad("the file", "the outcome in words is not the sealed one"));
        }
        Ok(Proven {
            tx_id: proof.envelope,
            height: proof.height,
            index: proof.index,
            certified_at: proof.header.height,
            signers: (proof.proof.certificate.signatures.len(), committee.n()),
            receipt,
        })
    }
}

/// Opens a proven receipt and checks that it speaks of the transaction that the proof is about.
pub(crate) fn open_receipt(key: &ReceiptKey, proof: &ReceiptProof) -> Result<Receipt, Error> {
    if proof.sealed.is_unopened(&proof.envelope) {
        let detail = "the validators could not open the envelope; nothing was executed or charged".to_owned();
        return Err(Error::Refused {
            code: "tx.not_openable",
            detail,
        });
    }
    let receipt = proof
        .sealed
        .open(key)
        .map_err(|error| bad("the receipt", error))?;
    let fits =
        receipt.envelope == proof.envelope && receipt.height == proof.height && receipt.index == proof.index;
    if fits {
        Ok(receipt)
    } else {
        Err(bad("the receipt", "it speaks of another transaction"))
    }
}

fn disclosed(key: &str, proof: &ReceiptProof) -> Result<Receipt, Error> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(key, &mut bytes).map_err(|_| bad("the receipt's key", "not 64 hex digits"))?;
    open_receipt(&ReceiptKey::from_bytes(bytes), proof)
}

fn value(text: &str, max: usize) -> Result<EpochLink, Error> {
    let bytes = STANDARD.decode(text).map_err(|error| bad("an epoch", error))?;
    tacit_ledger::decode(&bytes, max).map_err(|error| bad("an epoch", error))
}

fn bad(what: &str, reason: impl ToString) -> Error {
    Error::proof("proof.receipt", what, reason)
}
