//! A wallet's transactions, from the wish to the verified receipt.
//!
//! **At most once.** A transaction that has to be sealed again (its epoch closed, or it expired) keeps its nonce, so
//! of all its envelopes at most one can ever be applied, whatever a node says became of the others. Old bytes are
//! never sent again.

use std::time::{Duration, Instant};

use tacit_consensus::{Digest, Ed25519};
use tacit_ledger::{
    Action, Call, DEFAULT_EXPIRY, EpochLink, FailureCode, MAX_CALL_BYTES, MIN_BUCKET, Outcome, Receipt,
    ReceiptKey, ReceiptProof, StateKey, charge, encode, seal_envelope,
};

use super::Wallet;
use crate::{
    api::{Api, MAX_WAIT_MS, Until},
    entropy,
    error::Error,
    records::{ReceiptFile, open_receipt},
    trust::fetch_links,
};

/// How often a wish is sealed, at most, before the wallet gives up.
const MAX_SEALS: u32 = 4;
/// Pause between two questions to a node that did not wait although asked to.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A transaction on its way. Give it to [`Wallet::wait`].
pub struct Submitted {
    /// Id of the envelope that was sent last.
    pub id: Digest,
    /// The last height that may include it.
    pub expires_at: u64,
    /// The epoch it is sealed to.
    pub epoch: u64,
    /// Size in bytes of its padded content: what outsiders learn about it.
    pub size_class: u32,
    nonce: u64,
    action: Action,
    /// Every envelope of this wish so far, newest last.
    sealed: Vec<(Digest, ReceiptKey)>,
}

/// A final transaction with its verified receipt.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The receipt: it says applied.
    pub receipt: Receipt,
    /// The proof of it.
    pub proof: ReceiptProof,
}

impl Wallet {
    /// The charge for an action, in smallest units, and the size class in bytes by which it goes.
    pub(crate) fn charge(&self, action: &Action) -> Result<(u64, u32), Error> {
        // Nonce and fee are fixed in size, so a draft is as long as the call.
        let draft = Call::sign(&self.chain(), &self.key, 0, 0, action.clone(), [0; 32]);
        let have = encode(&draft).len();
        if have > MAX_CALL_BYTES {
            return Err(Error::TooLong {
                what: "the transaction",
                have,
                max: MAX_CALL_BYTES,
            });
        }
        let bucket = (have + 4).next_power_of_two().max(MIN_BUCKET);
        let class = u32::try_from(bucket).unwrap_or(u32::MAX);
        Ok((charge(class, self.trust.params().fee_per_512), class))
    }

    /// Verifies the chain, seals an action for it and hands it to the node. The node then knows a size class and an
    /// expiry height, nothing else.
    ///
    /// # Errors
    /// What a check or the node refused; [`Error::Resealed`] when epochs kept closing. Nothing was accepted then.
    pub fn submit(&mut self, action: Action) -> Result<Submitted, Error> {
        let nonce = match self.in_flight {
            Some(nonce) => {
                self.check()?;
                nonce
            }
            None => {
                let key = StateKey::Nonce(self.account());
                self.read(std::slice::from_ref(&key))?.get(key)?.unwrap_or(0)
            }
        };
        let mut submitted = Submitted {
            id: Digest::ZERO,
            expires_at: 0,
            epoch: 0,
            size_class: 0,
            nonce,
            action,
            sealed: Vec::new(),
        };
        self.seal_and_send(&mut submitted)?;
        self.in_flight = Some(nonce.saturating_add(1));
        Ok(submitted)
    }

    /// Seals under the present key and sends; an epoch that closes in between means sealing again.
    fn seal_and_send(&mut self, wish: &mut Submitted) -> Result<(), Error> {
        loop {
            let tries = u32::try_from(wish.sealed.len()).unwrap_or(u32::MAX);
            if tries >= MAX_SEALS {
                return Err(Error::Resealed { tries });
            }
            let now = (self.options.clock)();
            let chain = self.chain();
            let (fee, size_class) = self.charge(&wish.action)?;
            let aux = entropy::bytes(&mut self.rng);
            let call = Call::sign(&chain, &self.key, wish.nonce, fee, wish.action.clone(), aux);
            let (epoch, key) = self.trust.sealing_key(now)?;
            let expires_at = self.trust.state().height().saturating_add(DEFAULT_EXPIRY);
            let (envelope, receipt_key) = seal_envelope(&mut self.rng, key, &chain, epoch, expires_at, &call)
                .map_err(|error| Error::EpochKey {
                    epoch,
                    reason: error.to_string(),
                })?;
            let id = envelope.id();
            if let Some(records) = &self.records {
                records.keep_key(&mut self.rng, &self.mail, &id, &receipt_key)?;
            }
            wish.sealed.push((id, receipt_key));
            (wish.id, wish.expires_at, wish.epoch, wish.size_class) = (id, expires_at, epoch, size_class);
            let api = Api::new(self.transport.as_ref());
            match api.submit(&envelope) {
                Ok(accepted) if accepted.tx_id == id.to_string() => return Ok(()),
                Ok(_) => {
                    return Err(Error::BadAnswer {
                        endpoint: api.endpoint().to_owned(),
                        path: "/v1/txs".to_owned(),
                        reason: "it names another transaction".to_owned(),
                    });
                }
                Err(Error::Refused {
                    code: "tx.duplicate", ..
                }) => return Ok(()),
                Err(Error::Refused {
                    code: "tx.epoch_closed" | "tx.epoch_unknown" | "tx.expired",
                    ..
                }) => {
                    self.refresh_past(epoch)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Refreshes until another epoch than this one is verified, or patience ends. The node that says an epoch closed
    /// may be a block ahead of its own newest certified header.
    fn refresh_past(&mut self, epoch: u64) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            match self.refresh() {
                Ok(summary) if summary.epoch != epoch => return Ok(()),
                Ok(_) if started.elapsed() >= self.options.patience => return Ok(()),
                Err(error) if !error.retryable() || started.elapsed() >= self.options.patience => {
                    return Err(error);
                }
                _ => entropy::pause(PAUSE),
            }
        }
    }

    /// Follows a transaction to its verified receipt, sealing it again if its epoch closes or it expires first.
    ///
    /// # Errors
    /// [`Error::Failed`] with the verified receipt when the chain refused it; [`Error::WaitTimeout`] when patience
    /// ended first (it may still become final); `proof.*` when the node's proof does not hold.
    pub fn wait(&mut self, wish: &mut Submitted) -> Result<Confirmed, Error> {
        let result = self.follow(wish);
        // Whatever became of it, the next nonce is read anew.
        self.in_flight = None;
        result
    }

    fn follow(&mut self, wish: &mut Submitted) -> Result<Confirmed, Error> {
        let started = Instant::now();
        loop {
            let waited = started.elapsed();
            let left = self.options.patience.saturating_sub(waited);
            if left.is_zero() {
                let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                return Err(Error::WaitTimeout {
                    id: wish.id,
                    waited_ms,
                    expires_at: wish.expires_at,
                });
            }
            let wait_ms = u64::try_from(left.as_millis()).unwrap_or(MAX_WAIT_MS);
            let asked = Instant::now();
            let api = Api::new(self.transport.as_ref());
            match api.transaction(&wish.id, wait_ms, Until::Receipt) {
                Ok(answer) if answer.status == "committed" => {
                    if let Some(proof) = api.receipt(&wish.id)? {
                        return self.conclude(wish, proof);
                    }
                }
                Ok(answer) if answer.status == "expired" => self.seal_again(wish)?,
                // A node that restarted has forgotten what was not committed.
                Err(Error::Refused {
                    code: "tx.not_found" | "tx.expired" | "tx.epoch_closed",
                    ..
                }) => {
                    self.seal_again(wish)?;
                }
                Ok(_) => {}
                Err(error) if error.retryable() => {}
                Err(error) => return Err(error),
            }
            if asked.elapsed() < PAUSE {
                entropy::pause(PAUSE);
            }
        }
    }

    fn seal_again(&mut self, wish: &mut Submitted) -> Result<(), Error> {
        self.refresh()?;
        self.seal_and_send(wish)
    }

    /// Verifies a receipt, keeps it, and judges the outcome.
    fn conclude(&mut self, wish: &Submitted, proof: ReceiptProof) -> Result<Confirmed, Error> {
        let key = wish
            .sealed
            .iter()
            .rfind(|(id, _)| *id == wish.id)
            .map(|(_, key)| key.clone());
        let confirmed = self.confirm(&wish.id, key, proof)?;
        match confirmed.receipt.outcome {
            Outcome::Applied => Ok(confirmed),
            // An earlier envelope of the same wish may have used the nonce after all.
            Outcome::Failed(FailureCode::BadNonce) if wish.sealed.len() > 1 => {
                for (id, key) in wish.sealed.iter().filter(|(id, _)| *id != wish.id) {
                    if let Ok(Some(proof)) = Api::new(self.transport.as_ref()).receipt(id)
                        && let Ok(earlier) = self.confirm(id, Some(key.clone()), proof)
                        && earlier.receipt.outcome == Outcome::Applied
                    {
                        return Ok(earlier);
                    }
                }
                Err(failed(FailureCode::BadNonce, confirmed))
            }
            Outcome::Failed(reason) => Err(failed(reason, confirmed)),
        }
    }

    /// Verifies and opens a receipt.
    fn confirm(
        &mut self,
        id: &Digest,
        key: Option<ReceiptKey>,
        proof: ReceiptProof,
    ) -> Result<Confirmed, Error> {
        let what = || format!("receipt of {id}");
        let bad = |reason: &str| Error::proof("proof.receipt", what(), reason);
        if proof.envelope != *id {
            return Err(bad("it is of another transaction"));
        }
        if proof.header.epoch > self.trust.state().record.epoch {
            self.refresh()?;
        }
        let committee = self
            .trust
            .committee_of(&Api::new(self.transport.as_ref()), proof.header.epoch)?;
        proof
            .verify(&self.chain(), &committee, &Ed25519)
            .map_err(|error| Error::proof(error.code(), what(), error))?;
        let key = key.ok_or_else(|| Error::Denied {
            what: format!("{}, which this wallet did not send", what()),
        })?;
        let receipt = open_receipt(&key, &proof)?;
        // From now on the wallet accepts no state from before its own transaction.
        self.seen = self.seen.max(proof.height);
        if let Some(records) = &self.records {
            records.keep_receipt(&self.chain(), &proof, &receipt)?;
        }
        Ok(Confirmed { receipt, proof })
    }

    /// Submits an action and follows it to its verified receipt.
    ///
    /// # Errors
    /// As [`Wallet::submit`] and [`Wallet::wait`].
    pub fn run(&mut self, action: Action) -> Result<Confirmed, Error> {
        let mut wish = self.submit(action)?;
        self.wait(&mut wish)
    }

    /// The verified receipt of a transaction that was sent from this folder at any time.
    ///
    /// # Errors
    /// [`Error::Denied`] when this wallet has no key to it, `receipt.pending` while it cannot be proven yet.
    pub fn receipt(&mut self, id: &Digest) -> Result<Confirmed, Error> {
        self.check()?;
        let key = match &self.records {
            Some(records) => records.key(&self.mail, id)?,
            None => None,
        };
        let proof = Api::new(self.transport.as_ref())
            .receipt(id)?
            .ok_or_else(|| Error::Refused {
                code: "receipt.pending",
                detail: format!("no certified header covers transaction {id} yet"),
            })?;
        self.confirm(id, key, proof)
    }

    /// A file that proves a receipt to others with the genesis alone; with `disclose` it shows the outcome too.
    ///
    /// # Errors
    /// As [`Wallet::receipt`].
    pub fn receipt_file(&mut self, id: &Digest, disclose: bool) -> Result<ReceiptFile, Error> {
        let confirmed = self.receipt(id)?;
        let links: Vec<EpochLink> = fetch_links(
            &Api::new(self.transport.as_ref()),
            0,
            confirmed.proof.header.epoch,
        )?;
        let shown = disclose.then_some(&confirmed.receipt);
        let file = ReceiptFile::new(&self.chain(), &confirmed.proof, shown).with_epochs(&links);
        let file = match (&self.records, disclose) {
            (Some(records), true) => match records.key(&self.mail, id)? {
                Some(key) => file.disclosing(&key),
                None => file,
            },
            _ => file,
        };
        // What is handed out must convince its reader.
        file.verify(self.trust.genesis())?;
        Ok(file)
    }
}

fn failed(reason: FailureCode, confirmed: Confirmed) -> Error {
    Error::Failed {
        reason,
        receipt: Box::new(confirmed.receipt),
    }
}
