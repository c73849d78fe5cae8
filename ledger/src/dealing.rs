//! How an epoch's secret comes to be: contributions on the ledger, shares in the TEEs.
//!
//! ```text
//! dealer i:   r_i fresh          commitment_i = H("contribution", chain, epoch, i, r_i)
//!             share_ij = HPKE to validator j's KEM key of r_i       info: chain, epoch, i, j; aad: commitment;
//!                        its randomness = KDF(r_i, info), so that who has r_i can make every share again
//! everybody:  secret = KDF(chain, epoch, transcript, r_1, …, r_(f+1))   transcript = H(all contributions)
//! secret ──KDF──► sealing key pair            (announced in the epoch record)
//!        ├─KDF──► data key                    (encrypts the epoch's frames and checkpoints)
//!        └─KDF──► key that wraps the blinding key of the state, which outlives epochs   (in the epoch record)
//! ```
//! f + 1 distinct dealers contribute, so one is honest and the secret is uniform to whoever misses one share. A
//! validator votes for a contribution only after opening its own share and making all others again from it: one
//! honest vote proves that every validator can derive the secret, and no dealer can cut another one off. (Randomness
//! derived from a uniform 32-byte plaintext is that of Fujisaki and Okamoto, 1999.) Not a threshold scheme: every validator of an epoch holds its
//! whole secret.

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use tacit_consensus::{Digest, Epoch, hash};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    codec::{decode, encode},
    error::{CodecError, DealError, SealError},
    limits::{MAX_CONTRIBUTION_BYTES, MAX_VALIDATORS, SHARE_BYTES, TAG_BYTES},
    recovery::RecoveryPackage,
    sealing::{SealingPublic, SealingSecret, open_from, seal_to},
};

/// One dealer's part of the next epoch's secret, as it stands on the ledger.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Contribution {
    /// The next epoch.
    pub epoch: Epoch,
    /// The dealer's index in the next set.
    pub dealer: u16,
    /// Binds the dealer to one value for all.
    pub commitment: Digest,
    /// One a validator of the next set, [`SHARE_BYTES`] each.
    pub shares: Vec<Vec<u8>>,
}

impl Contribution {
    /// Decodes one contribution of at most [`MAX_CONTRIBUTION_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_CONTRIBUTION_BYTES)
    }

    /// Checks what needs no secret: one share of the right size for each of `recipients` validators.
    pub fn check_shape(&self, recipients: usize) -> Result<(), DealError> {
        let (dealer, have) = (self.dealer, self.shares.len());
        if have != recipients || have > MAX_VALIDATORS {
            return Err(DealError::Shares {
                dealer,
                have,
                need: recipients,
            });
        }
        match self
            .shares
            .iter()
            .enumerate()
            .find(|(_, share)| share.len() != SHARE_BYTES)
        {
            Some((index, share)) => Err(DealError::ShareSize {
                dealer,
                index,
                have: share.len(),
                need: SHARE_BYTES,
            }),
            None => Ok(()),
        }
    }
}

/// One dealer's value as a recipient opened it. It zeroizes itself and has no `Debug`.
#[derive(Clone)]
pub struct Share(Zeroizing<[u8; 32]>);

impl Share {
    /// For the sealed keyring, so that a restart in the tail need not open it again.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Back from the sealed keyring.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Makes dealer `dealer`'s contribution to the secret of `epoch`, with a share for each of `recipients` in their
/// order. The randomness is drawn from `rng` and forgotten: the dealer learns it again by opening its own share.
pub fn deal(
    rng: &mut impl CryptoRng,
    chain: &Digest,
    epoch: Epoch,
    dealer: u16,
    recipients: &[SealingPublic],
) -> Result<Contribution, DealError> {
    if recipients.is_empty() || recipients.len() > MAX_VALIDATORS {
        return Err(DealError::Recipients {
            have: recipients.len(),
            max: MAX_VALIDATORS,
        });
    }
    let mut value = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut value[..]);
    contribution_of(chain, epoch, dealer, &value, recipients)
}

/// The one contribution that deals `value`.
fn contribution_of(
    chain: &Digest,
    epoch: Epoch,
    dealer: u16,
    value: &[u8; 32],
    recipients: &[SealingPublic],
) -> Result<Contribution, DealError> {
    let commitment = commit(chain, epoch, dealer, value);
    let shares = (0u16..)
        .zip(recipients)
        .map(|(to, key)| {
            let info = share_info(chain, epoch, dealer, to);
            let mut material = Zeroizing::new(Vec::with_capacity(32 + info.len()));
            material.extend_from_slice(value);
            material.extend_from_slice(&info);
            let seed = Zeroizing::new(blake3::derive_key("tacit 2026 share randomness", &material));
            let mut rng = ChaCha20Rng::from_seed(*seed);
            seal_to(&mut rng, key, &info, &commitment.0, &value[..]).map_err(|source| DealError::Recipient {
                index: usize::from(to),
                source,
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Contribution {
        epoch,
        dealer,
        commitment,
        shares,
    })
}

/// Checks that a contribution deals to every recipient what it deals to the holder of `share`. A voter that opened
/// its own share so knows that everybody else can open theirs.
///
/// # Errors
/// [`DealError::Unequal`] names the first share that the dealer did not make from this value.
pub fn check_shares(
    chain: &Digest,
    contribution: &Contribution,
    share: &Share,
    recipients: &[SealingPublic],
) -> Result<(), DealError> {
    let Contribution { epoch, dealer, .. } = *contribution;
    contribution.check_shape(recipients.len())?;
    let honest = contribution_of(chain, epoch, dealer, &share.0, recipients)?;
    let mut pairs = honest.shares.iter().zip(&contribution.shares);
    match pairs.position(|(honest, dealt)| honest != dealt) {
        Some(index) => Err(DealError::Unequal { dealer, index }),
        None => Ok(()), // the commitment is in every share's associated data
    }
}

/// Opens validator `me`'s share and checks it against the commitment.
pub fn open_share(
    kem: &SealingSecret,
    chain: &Digest,
    contribution: &Contribution,
    me: u16,
) -> Result<Share, DealError> {
    let Contribution {
        epoch,
        dealer,
        commitment,
        shares,
    } = contribution;
    let dealer = *dealer;
    let sealed = shares
        .get(usize::from(me))
        .ok_or(DealError::NoShare { dealer, me })?;
    if sealed.len() != SHARE_BYTES {
        let index = usize::from(me);
        return Err(DealError::ShareSize {
            dealer,
            index,
            have: sealed.len(),
            need: SHARE_BYTES,
        });
    }
    let info = share_info(chain, *epoch, dealer, me);
    let opened =
        open_from(kem, &info, &commitment.0, sealed).map_err(|_| DealError::ShareSealed { dealer, me })?;
    let mut value = Zeroizing::new([0; 32]);
    if opened.len() != value.len() {
        return Err(DealError::ShareSealed { dealer, me });
    }
    value.copy_from_slice(&opened);
    if commit(chain, *epoch, dealer, &value) != *commitment {
        return Err(DealError::Commitment { dealer, me });
    }
    Ok(Share(value))
}

/// Digest of the contributions in their order on the ledger.
pub fn transcript(contributions: &[Contribution]) -> Digest {
    transcript_of(contributions.iter())
}

/// How many distinct dealers a next set of `n` needs: f + 1, so that one is honest.
pub fn contributions_needed(n: usize) -> usize {
    n.saturating_sub(1) / 3 + 1
}

/// What every validator of an epoch holds. It zeroizes itself and has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct EpochSecret(Zeroizing<[u8; 32]>);

impl EpochSecret {
    /// Combines the opened shares in the contributions' order on the ledger. The caller has opened each by
    /// [`open_share`].
    pub fn combine(chain: &Digest, epoch: Epoch, parts: &[(Contribution, Share)]) -> Self {
        let transcript = transcript_of(parts.iter().map(|(contribution, _)| contribution));
        let capacity = 32 + 8 + 32 + 32 * parts.len(); // never grows: a moved buffer would leave shares behind
        let mut material = Zeroizing::new(Vec::with_capacity(capacity));
        material.extend_from_slice(&chain.0);
        material.extend_from_slice(&epoch.to_le_bytes());
        material.extend_from_slice(&transcript.0);
        for (_, share) in parts {
            material.extend_from_slice(&share.0[..]);
        }
        Self(Zeroizing::new(blake3::derive_key(
            "tacit 2026 epoch secret",
            &material,
        )))
    }

    /// The epoch's sealing key pair.
    pub fn sealing(&self) -> SealingSecret {
        SealingSecret::derive(&kdf("tacit 2026 epoch sealing", &self.0))
    }

    /// The key under which the epoch's frames and checkpoints are encrypted.
    fn data_key(&self) -> Zeroizing<[u8; 32]> {
        kdf("tacit 2026 state data", &self.0)
    }

    /// The key that wraps the blinding key in the epoch's record.
    fn wrap_key(&self) -> Zeroizing<[u8; 32]> {
        kdf("tacit 2026 state wrap", &self.0)
    }

    /// For the sealed keyring.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }

    /// Back from the sealed keyring.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Seals an epoch's secret for the validator of seat `to`, whose attested KEM key is `key`: for one that lost its own.
/// [`SHARE_BYTES`] long.
pub fn seal_secret(
    rng: &mut impl CryptoRng,
    chain: &Digest,
    epoch: Epoch,
    to: u16,
    key: &SealingPublic,
    secret: &EpochSecret,
) -> Result<Vec<u8>, SealError> {
    seal_to(rng, key, &secret_info(chain, epoch, to), &[], &secret.0[..])
}

/// Opens what [`seal_secret`] made for seat `me`, and checks that it is the secret behind `sealing_key`, which the
/// epoch's record names. The sender needs no trust.
///
/// # Errors
/// [`DealError::SecretSealed`] and [`DealError::OtherSecret`]: the sender's fault.
pub fn open_secret(
    kem: &SealingSecret,
    chain: &Digest,
    epoch: Epoch,
    me: u16,
    sealing_key: &SealingPublic,
    bytes: &[u8],
) -> Result<EpochSecret, DealError> {
    let refused = DealError::SecretSealed { epoch, me };
    if bytes.len() != SHARE_BYTES {
        return Err(refused);
    }
    let opened = open_from(kem, &secret_info(chain, epoch, me), &[], bytes).map_err(|_| refused)?;
    let secret: [u8; 32] = opened.as_slice().try_into().map_err(|_| refused)?;
    let secret = EpochSecret::from_bytes(secret);
    if secret.sealing().public() != sealing_key {
        return Err(DealError::OtherSecret { epoch });
    }
    Ok(secret)
}

/// Size of wrapped state keys, in bytes.
pub const WRAPPED_STATE_KEYS_BYTES: usize = 32 + TAG_BYTES;

/// The keys of the private state during one epoch.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct StateKeys {
    /// Encrypts the epoch's frames and checkpoints. Follows from the epoch's secret, and is forgotten with it.
    pub data: [u8; 32],
    /// Blinds the leaves of the private state's map. Lives as long as the chain: each record wraps it anew.
    pub blinding: [u8; 32],
}

impl StateKeys {
    /// The keys of the first epoch that has a secret: the blinding key is made from it, once.
    pub fn derive(first: &EpochSecret) -> Self {
        Self {
            data: *first.data_key(),
            blinding: *kdf("tacit 2026 state blinding", &first.0),
        }
    }

    /// The same state's keys in the epoch of `secret`.
    pub fn in_epoch(&self, secret: &EpochSecret) -> Self {
        Self {
            data: *secret.data_key(),
            blinding: self.blinding,
        }
    }

    /// `data ‖ blinding`, to be sealed by the caller.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 64]> {
        let mut bytes = Zeroizing::new([0; 64]);
        for (out, key) in bytes.chunks_exact_mut(32).zip([&self.data, &self.blinding]) {
            out.copy_from_slice(key);
        }
        bytes
    }

    /// Back from what was sealed.
    ///
    /// # Errors
    /// [`DealError::StateKeys`]: another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DealError> {
        match bytes.as_chunks::<32>() {
            ([data, blinding], []) => Ok(Self {
                data: *data,
                blinding: *blinding,
            }),
            _ => Err(DealError::StateKeys),
        }
    }

    /// The blinding key, encrypted under an epoch's wrapping key: [`WRAPPED_STATE_KEYS_BYTES`]. Deterministic, so that
    /// every voter makes the same; the zero nonce is safe because an epoch's wrapping key encrypts this key and nothing
    /// else.
    ///
    /// # Panics
    /// Never: 32 bytes can be encrypted.
    pub fn wrap(&self, epoch: &EpochSecret) -> Vec<u8> {
        let payload = Payload {
            msg: &self.blinding[..],
            aad: WRAP_AAD,
        };
        wrapping(epoch)
            .encrypt(&Nonce::default(), payload)
            .expect("32 bytes can be encrypted")
    }

    /// The keys of an epoch from its secret and what its record wraps.
    ///
    /// # Errors
    /// [`DealError::StateKeys`]: the bytes were not wrapped under this secret.
    pub fn unwrap(epoch: &EpochSecret, bytes: &[u8]) -> Result<Self, DealError> {
        if bytes.len() != WRAPPED_STATE_KEYS_BYTES {
            return Err(DealError::StateKeys);
        }
        let payload = Payload {
            msg: bytes,
            aad: WRAP_AAD,
        };
        let opened = wrapping(epoch)
            .decrypt(&Nonce::default(), payload)
            .map(Zeroizing::new)
            .map_err(|_| DealError::StateKeys)?;
        let blinding = opened.as_slice().try_into().map_err(|_| DealError::StateKeys)?;
        Ok(Self {
            data: *epoch.data_key(),
            blinding,
        })
    }
}

/// What an epoch's record says of its secret. All of it follows from the secret and the state's blinding key, so that
/// every holder of both makes the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochKeys {
    /// What users seal to.
    pub sealing_key: SealingPublic,
    /// [`StateKeys::wrap`].
    pub state_keys: Vec<u8>,
    /// For the recovery members, where genesis names some.
    pub recovery: Option<RecoveryPackage>,
}

impl EpochKeys {
    /// The keys of the epoch of `secret`, of a state blinded as `state` says; without a recovery package.
    pub fn of(secret: &EpochSecret, state: &StateKeys) -> Self {
        Self {
            sealing_key: secret.sealing().public().clone(),
            state_keys: state.wrap(secret),
            recovery: None,
        }
    }
}

const WRAP_AAD: &[u8] = b"tacit 2026 state keys";

fn wrapping(epoch: &EpochSecret) -> ChaCha20Poly1305 {
    let key = epoch.wrap_key();
    ChaCha20Poly1305::new((&*key).into())
}

fn kdf(context: &str, secret: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(blake3::derive_key(context, secret))
}

fn commit(chain: &Digest, epoch: Epoch, dealer: u16, value: &[u8; 32]) -> Digest {
    hash(
        "contribution",
        &[&chain.0, &epoch.to_le_bytes(), &dealer.to_le_bytes(), value],
    )
}

fn share_info(chain: &Digest, epoch: Epoch, dealer: u16, recipient: u16) -> Vec<u8> {
    let (dealer, recipient) = (dealer.to_le_bytes(), recipient.to_le_bytes());
    [
        &b"tacit 2026 share"[..],
        &chain.0,
        &epoch.to_le_bytes(),
        &dealer,
        &recipient,
    ]
    .concat()
}

fn secret_info(chain: &Digest, epoch: Epoch, to: u16) -> Vec<u8> {
    let (epoch, to) = (epoch.to_le_bytes(), to.to_le_bytes());
    [&b"tacit 2026 lost secret"[..], &chain.0, &epoch, &to].concat()
}

fn transcript_of<'a>(contributions: impl Iterator<Item = &'a Contribution>) -> Digest {
    let encoded: Vec<Vec<u8>> = contributions.map(encode).collect();
    let parts: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
    hash("transcript", &parts)
}

#[cfg(test)]
#[path = "dealing_tests.rs"]
mod tests;
