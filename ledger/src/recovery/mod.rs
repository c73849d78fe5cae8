//! Recovery: the way back when every validator's keys are lost, for networks whose genesis names members for it.
//!
//! ```text
//! epoch secret ──KDF(chain, epoch, members, threshold)──► seed ─┬─► polynomials f, g of degree k - 1 over the scalars
//!                                                               └─► randomness of every sealed share
//! commitments   C_j = f_j·G + g_j·H                       Pedersen 1991, on secp256k1
//! share i       (f(i), g(i)), sealed by HPKE to member i  i = 1 to n, in the order of the members
//! check         H("recovery secret", chain, epoch, f(0))
//! wrapped       ChaCha20-Poly1305 under KDF(f(0)) of the state keys of the epoch: data, blinding
//! ```
//! Everything follows from the epoch's secret, so that every validator of the epoch makes the same package again and
//! votes for no other: no dealer is trusted. The commitments let each member see that its share is one of the others'
//! polynomial. They hide f(0) whatever an adversary can compute: a package lies on the ledger for ever, and a commitment
//! f(0)·G alone (Feldman's) would give the state to whoever takes one discrete logarithm some day. Who takes one can
//! make a false share that fits the commitments; the check finds that out when shares are combined.
//!
//! What is shared is the key of the newest *state*. Sealing keys are not in it: envelopes of the past stay closed.
//! Fewer than k members learn nothing; k of them can read the whole state, which the threat model says loudly.

mod error;
mod origin;
mod release;
mod sharing;

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use tacit_consensus::{Digest, Epoch, hash};
use zeroize::Zeroizing;

use self::sharing::{POINT_BYTES, Pair, Polynomial};
pub use self::{
    error::RecoveryError,
    origin::{
        MAX_ORIGIN_PROOF_BYTES, MAX_ORIGINS, MAX_STATE_FILE_BYTES, Origin, OriginProof, ProvenOrigin,
        StateFile,
    },
    release::{MAX_RELEASED_SHARE_BYTES, ReleasedShare},
};
use crate::{
    codec::encode,
    dealing::{EpochSecret, StateKeys},
    limits::{ENCAPSULATION_BYTES, MAX_RECOVERY_MEMBERS, TAG_BYTES},
    registration::is_name,
    sealing::{SealingPublic, SealingSecret, open_from, seal_to},
};

/// Fewest members who must come together: one alone is a holder of the state, not a member of a recovery.
pub const MIN_RECOVERY_THRESHOLD: u16 = 2;
/// Size of a share as a member keeps it: two scalars.
const PAIR_BYTES: usize = 64;
/// Size of a share as it stands on the ledger.
pub const RECOVERY_SHARE_BYTES: usize = ENCAPSULATION_BYTES + PAIR_BYTES + TAG_BYTES;
/// The state keys, `data ‖ blinding`.
const KEYS_BYTES: usize = 64;
/// Size of the wrapped keys.
pub const RECOVERY_WRAPPED_BYTES: usize = KEYS_BYTES + TAG_BYTES;
const WRAP_AAD: &[u8] = b"tacit 2026 recovery state keys";

/// One who holds a share in each epoch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryMember {
    /// For people: 1 to 32 of `a-z 0-9 -`, unique among members.
    pub name: String,
    /// What its shares are sealed to.
    pub key: SealingPublic,
}

/// Who can bring the state back: `threshold` of `members`. Without members nobody can.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryMembers {
    /// At most [`MAX_RECOVERY_MEMBERS`]; the place of each is the number of its share.
    pub members: Vec<RecoveryMember>,
    /// How many of them it takes: [`MIN_RECOVERY_THRESHOLD`] to all; 0 where there are none.
    pub threshold: u16,
}

impl RecoveryMembers {
    /// Nobody: what is lost stays lost.
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether there is no recovery.
    pub fn is_none(&self) -> bool {
        self.members.is_empty()
    }

    /// The place of the member whose key this is.
    pub fn index_of(&self, key: &SealingPublic) -> Option<u16> {
        let index = self.members.iter().position(|member| member.key == *key)?;
        u16::try_from(index).ok()
    }

    /// Checks number and threshold, that names and keys are well formed, and that none is listed twice.
    ///
    /// # Errors
    /// Names what is wrong: the fault of whoever wrote the genesis.
    pub fn check(&self) -> Result<(), RecoveryError> {
        let have = self.members.len();
        if have > MAX_RECOVERY_MEMBERS {
            return Err(RecoveryError::Members {
                have,
                max: MAX_RECOVERY_MEMBERS,
            });
        }
        let enough = (usize::from(MIN_RECOVERY_THRESHOLD)..=have).contains(&usize::from(self.threshold));
        if !enough && (have, self.threshold) != (0, 0) {
            return Err(RecoveryError::Threshold {
                threshold: self.threshold,
                min: MIN_RECOVERY_THRESHOLD,
                members: have,
            });
        }
        let (mut names, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (index, RecoveryMember { name, key }) in self.members.iter().enumerate() {
            let refused = |what| RecoveryError::Member { index, what };
            if !is_name(name, 1) {
                return Err(refused(
                    "has a name that is not 1 to 32 characters of a-z, 0-9 and -",
                ));
            }
            if key.check().is_err() {
                return Err(refused("has a key that cannot be sealed to"));
            }
            if !names.insert(name) {
                return Err(refused("has the name of another"));
            }
            if !keys.insert(key) {
                return Err(refused("has the key of another"));
            }
        }
        Ok(())
    }

    fn name(&self, member: u16) -> String {
        self.members
            .get(usize::from(member))
            .map_or_else(|| format!("number {member}"), |one| one.name.clone())
    }
}

/// What an epoch's record carries for the members.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct RecoveryPackage {
    /// As many as members are needed: compressed points, the constant term's first.
    pub commitments: Vec<[u8; POINT_BYTES]>,
    /// A hash of the shared secret: what came of combining is compared with it before it is used.
    pub check: Digest,
    /// One a member in their order, [`RECOVERY_SHARE_BYTES`] each.
    pub shares: Vec<Vec<u8>>,
    /// The state keys of the epoch, under a key that follows from the shared secret.
    pub wrapped: Vec<u8>,
}

impl RecoveryPackage {
    /// Numbers and sizes, as far as they can be judged without the members.
    pub fn is_well_formed(&self) -> bool {
        let (k, n) = (self.commitments.len(), self.shares.len());
        (usize::from(MIN_RECOVERY_THRESHOLD)..=n).contains(&k)
            && n <= MAX_RECOVERY_MEMBERS
            && self
                .shares
                .iter()
                .all(|share| share.len() == RECOVERY_SHARE_BYTES)
            && self.wrapped.len() == RECOVERY_WRAPPED_BYTES
    }
}

/// One member's opened share of one epoch, known to fit its package. It zeroizes itself and has no `Debug`.
#[derive(Clone)]
pub struct RecoveryShare {
    chain: Digest,
    epoch: Epoch,
    member: u16,
    pair: Pair,
}

impl RecoveryShare {
    /// The place of the member whose share it is.
    pub fn member(&self) -> u16 {
        self.member
    }
}

/// Whose package it is: the network, the epoch, and the members that genesis names.
#[derive(Clone, Copy)]
pub struct RecoveryScope<'a> {
    /// The network.
    pub chain: &'a Digest,
    /// The epoch whose state keys are shared.
    pub epoch: Epoch,
    /// Among whom.
    pub members: &'a RecoveryMembers,
}

impl RecoveryScope<'_> {
    /// The one package of the epoch, by its secret: what the last contributor puts into the record, and what every voter
    /// compares with. `None` where genesis names no members.
    ///
    /// # Errors
    /// [`RecoveryError::Member`] when a member's key cannot be sealed to; a genesis that was checked has none.
    pub fn package(
        &self,
        secret: &EpochSecret,
        keys: &StateKeys,
    ) -> Result<Option<RecoveryPackage>, RecoveryError> {
        if self.members.is_none() {
            return Ok(None);
        }
        let seed = self.seed(secret);
        let polynomial = Polynomial::derive(&seed, usize::from(self.members.threshold));
        let commitments = polynomial.commitments();
        let mut shares = Vec::with_capacity(self.members.members.len());
        for (member, one) in (0u16..).zip(&self.members.members) {
            let pair = polynomial.at(number(member));
            let mut rng = ChaCha20Rng::from_seed(*share_randomness(&seed, member));
            let (info, plain) = (self.info(member), pair.to_bytes());
            let sealed = seal_to(
                &mut rng,
                &one.key,
                &info,
                &commitments_digest(&commitments).0,
                &plain[..],
            );
            shares.push(sealed.map_err(|_| RecoveryError::Member {
                index: usize::from(member),
                what: "has a key that cannot be sealed to",
            })?);
        }
        let shared = polynomial.secret();
        Ok(Some(RecoveryPackage {
            check: self.check_of(&shared),
            wrapped: self.wrap(&shared, keys),
            commitments,
            shares,
        }))
    }

    /// Checks what needs no secret: numbers and sizes by the members, and that the commitments are points.
    ///
    /// # Errors
    /// [`RecoveryError::Package`] names the part.
    pub fn check_shape(&self, package: &RecoveryPackage) -> Result<(), RecoveryError> {
        let wrong = |part| RecoveryError::Package { part };
        if package.commitments.len() != usize::from(self.members.threshold) || self.members.is_none() {
            return Err(wrong("number of commitments"));
        }
        if sharing::points(&package.commitments).is_none() {
            return Err(wrong("commitments"));
        }
        if package.shares.len() != self.members.members.len() {
            return Err(wrong("number of shares"));
        }
        if package
            .shares
            .iter()
            .any(|share| share.len() != RECOVERY_SHARE_BYTES)
        {
            return Err(wrong("size of a share"));
        }
        if package.wrapped.len() != RECOVERY_WRAPPED_BYTES {
            return Err(wrong("size of the wrapped keys"));
        }
        Ok(())
    }

    /// Opens the share of the member whose key this is, and checks it against the commitments.
    ///
    /// # Errors
    /// [`RecoveryError::NotMember`], [`RecoveryError::Sealed`] or [`RecoveryError::Commitment`].
    pub fn open(
        &self,
        package: &RecoveryPackage,
        key: &SealingSecret,
    ) -> Result<RecoveryShare, RecoveryError> {
        self.check_shape(package)?;
        let member = self
            .members
            .index_of(key.public())
            .ok_or(RecoveryError::NotMember)?;
        let name = || self.members.name(member);
        let sealed = package
            .shares
            .get(usize::from(member))
            .ok_or(RecoveryError::NotMember)?;
        let aad = commitments_digest(&package.commitments);
        let plain = open_from(key, &self.info(member), &aad.0, sealed)
            .map_err(|_| RecoveryError::Sealed { name: name() })?;
        let pair = Pair::from_bytes(&plain).ok_or_else(|| RecoveryError::Commitment { name: name() })?;
        let share = RecoveryShare {
            chain: *self.chain,
            epoch: self.epoch,
            member,
            pair,
        };
        self.check(package, &share)?;
        Ok(share)
    }

    /// Checks a share against the commitments: it belongs to this epoch of this network, to a member, and lies on the
    /// polynomial that all others' shares lie on.
    ///
    /// # Errors
    /// [`RecoveryError::Foreign`], [`RecoveryError::NotMember`] or [`RecoveryError::Commitment`].
    pub fn check(&self, package: &RecoveryPackage, share: &RecoveryShare) -> Result<(), RecoveryError> {
        self.check_place(share)?;
        let damaged = RecoveryError::Package { part: "commitments" };
        let points = sharing::points(&package.commitments).ok_or(damaged)?;
        match share.pair.fits(&points, number(share.member)) {
            true => Ok(()),
            false => Err(RecoveryError::Commitment {
                name: self.members.name(share.member),
            }),
        }
    }

    /// That a share says that it is of this epoch of this network, and a member's.
    fn check_place(&self, share: &RecoveryShare) -> Result<(), RecoveryError> {
        if share.chain != *self.chain || share.epoch != self.epoch {
            return Err(RecoveryError::Foreign {
                name: self.members.name(share.member),
                chain: share.chain,
                epoch: share.epoch,
                need_chain: *self.chain,
                need_epoch: self.epoch,
            });
        }
        match usize::from(share.member) < self.members.members.len() {
            true => Ok(()),
            false => Err(RecoveryError::NotMember),
        }
    }

    /// The state keys from the shares of as many members as it takes. Each share is checked by itself, and what comes of
    /// them is compared with the package before it opens anything: it gives the right keys, or none.
    ///
    /// # Errors
    /// The first share that is foreign, wrong or repeated, by its member's name; [`RecoveryError::TooFew`];
    /// [`RecoveryError::Secret`] when good-looking shares give another secret than the one that was shared.
    pub fn combine(
        &self,
        package: &RecoveryPackage,
        shares: &[RecoveryShare],
    ) -> Result<StateKeys, RecoveryError> {
        self.check_shape(package)?;
        let mut seen = BTreeSet::new();
        for share in shares {
            self.check(package, share)?;
            if !seen.insert(share.member) {
                let name = self.members.name(share.member);
                return Err(RecoveryError::Repeated { name });
            }
        }
        let need = usize::from(self.members.threshold);
        let used = shares.get(..need).ok_or_else(|| RecoveryError::TooFew {
            have: shares.len(),
            need,
            names: shares
                .iter()
                .map(|share| self.members.name(share.member))
                .collect(),
        })?;
        let points: Vec<(u64, &Pair)> = used
            .iter()
            .map(|share| (number(share.member), &share.pair))
            .collect();
        let shared = sharing::interpolate(&points).ok_or(RecoveryError::Secret)?;
        if self.check_of(&shared) != package.check {
            return Err(RecoveryError::Secret);
        }
        self.unwrap(&shared, &package.wrapped)
    }

    /// What stands for this scope wherever something is derived or sealed: network, epoch, members, threshold.
    fn digest(&self) -> Digest {
        let members = encode(self.members);
        hash(
            "recovery scope",
            &[&self.chain.0, &self.epoch.to_le_bytes(), &members],
        )
    }

    fn seed(&self, secret: &EpochSecret) -> Zeroizing<[u8; 32]> {
        derive("tacit 2026 recovery seed", &secret.to_bytes(), &self.digest().0)
    }

    fn info(&self, member: u16) -> Vec<u8> {
        [
            &b"tacit 2026 recovery share"[..],
            &self.digest().0,
            &member.to_le_bytes(),
        ]
        .concat()
    }

    fn check_of(&self, shared: &[u8; 32]) -> Digest {
        hash("recovery secret", &[&self.digest().0, shared])
    }

    fn cipher(&self, shared: &[u8; 32]) -> ChaCha20Poly1305 {
        let key = derive("tacit 2026 recovery wrap", shared, &self.digest().0);
        ChaCha20Poly1305::new((&*key).into())
    }

    /// The zero nonce is safe: this key encrypts these state keys and nothing else.
    fn wrap(&self, shared: &[u8; 32], keys: &StateKeys) -> Vec<u8> {
        let mut plain = Zeroizing::new(Vec::with_capacity(KEYS_BYTES));
        plain.extend_from_slice(&keys.data);
        plain.extend_from_slice(&keys.blinding);
        let payload = Payload {
            msg: &plain[..],
            aad: WRAP_AAD,
        };
        let sealed = self.cipher(shared).encrypt(&Nonce::default(), payload);
        sealed.expect("a hundred bytes can be encrypted")
    }

    fn unwrap(&self, shared: &[u8; 32], wrapped: &[u8]) -> Result<StateKeys, RecoveryError> {
        let payload = Payload {
            msg: wrapped,
            aad: WRAP_AAD,
        };
        let damaged = RecoveryError::Package { part: "wrapped keys" };
        let opened = self.cipher(shared).decrypt(&Nonce::default(), payload);
        let plain = opened.map(Zeroizing::new).map_err(|_| damaged.clone())?;
        match plain.as_chunks::<32>() {
            ([data, blinding], []) => Ok(StateKeys {
                data: *data,
                blinding: *blinding,
            }),
            _ => Err(damaged),
        }
    }
}

/// The abscissa of a member's share: never 0, where the secret is.
fn number(member: u16) -> u64 {
    u64::from(member) + 1
}

fn commitments_digest(commitments: &[[u8; POINT_BYTES]]) -> Digest {
    hash("recovery commitments", &[&commitments.concat()])
}

fn share_randomness(seed: &[u8; 32], member: u16) -> Zeroizing<[u8; 32]> {
    derive(
        "tacit 2026 recovery share randomness",
        seed,
        &member.to_le_bytes(),
    )
}

fn derive(context: &str, secret: &[u8; 32], rest: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(secret).update(rest);
    Zeroizing::new(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests;
