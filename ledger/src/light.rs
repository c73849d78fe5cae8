//! The light client: from a pinned genesis to the current set, policy and sealing key, trusting no node.
//!
//! ```text
//! genesis ──► record 0 ──closing header, certified by set 0──► record 1 ──…──► record k ──► newest header
//!                                                                 │ evidence of EVERY holder, under the policy
//!                                                                 ▼
//!                                                           what may be sealed to
//! ```
//! Checks 1, 2, 4, 5 and 6 of the wallet's list; comparing two nodes (3) and sealing (7, 8) are the wallet's.
//! Fails closed: one refused holder refuses the whole, because every validator of an epoch holds its secret.
//!
//! Evidence is judged as the network judged it when it decided the set: at the time that the record names, by the policy
//! and with the collateral whose digests it carries. A set that was kept although too few of it were acceptable is
//! refused even if all of its evidence verifies: the record says that it should not be.
//!
//! What this cannot give: protection when more than f validators of an old set sold their consensus keys, except that
//! they would still need evidence for a forged next set; and notice of a suspension that comes after the set was decided,
//! until the next epoch begins, which it does at once.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::{ChipId, Collateral, Measurement, Platform, Policy, TrustRoots};
use tacit_consensus::{CommitProof, Committee, Digest, Epoch, Header, Height, Millis, Scheme, hash};

use crate::{
    codec::{decode, encode},
    epoch::{EpochRecord, ValidatorRecord, collateral_digest, policy_digest},
    error::{CodecError, LightError, ProofError, RegistrationError},
    genesis::Genesis,
    limits::{MAX_CLOCK_SKEW_MS, MAX_EPOCH_LINKS, MAX_LIGHT_BUNDLE_BYTES},
    receipt::check_header,
    registration::Registration,
    sealing::SealingPublic,
};

/// How one epoch leads to the next.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct EpochLink {
    /// The closing header; its `next_epoch` is the record's digest.
    pub header: Header,
    /// That it is committed, by its own epoch's set.
    pub proof: CommitProof,
    /// The next epoch.
    pub record: EpochRecord,
}

impl EpochLink {
    /// Checks one step of the chain of epochs: the closing header is committed by the set of `before`, and names the record
    /// that follows it.
    ///
    /// # Errors
    /// [`LightError::Link`], [`LightError::Record`], [`LightError::RecordShape`].
    pub fn check(&self, chain: &Digest, before: &EpochRecord, scheme: &dyn Scheme) -> Result<(), LightError> {
        let (header, record, epoch) = (&self.header, &self.record, before.epoch);
        check_header(header, &self.proof, chain, &before.committee(), scheme)
            .map_err(|source| LightError::Link { epoch, source })?;
        let follows = header.next_epoch == Some(record.digest())
            && epoch.checked_add(1) == Some(record.epoch)
            && header.height.checked_add(1) == Some(record.start_height)
            && header.time_ms == record.start_ms;
        if !follows {
            return Err(LightError::Record { epoch });
        }
        record.check_shape().map_err(|what| LightError::RecordShape {
            epoch: record.epoch,
            what,
        })
    }
}

/// What a node hands to a light client that knows some epoch.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct LightBundle {
    /// From the epoch that was asked for on; empty when it is the current one. At most [`MAX_EPOCH_LINKS`].
    pub links: Vec<EpochLink>,
    /// The newest committed header: of the current epoch, or the closing header before it.
    pub head: Header,
    /// That it is committed.
    pub head_proof: CommitProof,
    /// Of the current set, in the order of the seats.
    pub registrations: Vec<Registration>,
    /// The policy in force.
    pub policy: Policy,
    /// What their evidence was judged with when the set was decided.
    pub collateral: Collateral,
}

impl LightBundle {
    /// Decodes one bundle of at most [`MAX_LIGHT_BUNDLE_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        decode(bytes, MAX_LIGHT_BUNDLE_BYTES)
    }
}

/// What a holder's evidence showed. A verdict depends on nothing but registration, policy, collateral, trust roots and
/// time, all of which its cache key covers, so it never expires.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct HolderVerdict {
    /// The kind of TEE.
    pub platform: Platform,
    /// Which software runs in it.
    pub measurement: Measurement,
    /// Which chip it runs on.
    pub chip: ChipId,
}

/// Remembers good verdicts, so that sending again costs no evidence check. It is the wallet's own memory: whoever
/// can write it can make it believe anything.
pub trait VerdictCache {
    /// The verdict stored under `key`, if any.
    fn get(&self, key: &Digest) -> Option<HolderVerdict>;
    /// Stores a verdict.
    fn put(&mut self, key: Digest, verdict: HolderVerdict);
}

/// A cache in memory that can be saved.
#[derive(Clone, Default, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Verdicts(BTreeMap<Digest, HolderVerdict>);

impl Verdicts {
    /// Most verdicts kept: several full sets. A full cache is emptied; it only costs time.
    pub const MAX: usize = 1024;
}

impl VerdictCache for Verdicts {
    fn get(&self, key: &Digest) -> Option<HolderVerdict> {
        self.0.get(key).cloned()
    }

    fn put(&mut self, key: Digest, verdict: HolderVerdict) {
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert(key, verdict);
    }
}

/// What a light client has verified so far. Everything in it came through [`Self::advance`].
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TrustedState {
    /// The network.
    pub chain: Digest,
    /// Its name.
    pub name: String,
    /// The current epoch.
    pub record: EpochRecord,
    /// The newest header seen; none right after genesis.
    pub head: Option<Header>,
    /// What the current set's evidence showed, in the order of the seats.
    pub holders: Vec<HolderVerdict>,
    /// The network's class and simulator root.
    pub trust: TrustRoots,
    /// What the founders' evidence is bound to.
    pub nonce: [u8; 32],
}

impl TrustedState {
    /// Starts from a genesis whose origin the caller trusts; verifies all of it.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, LightError> {
        let verified = genesis.verify().map_err(LightError::Genesis)?;
        let verdict = |verified: &tacit_attest::Verified| HolderVerdict {
            platform: verified.platform,
            measurement: verified.measurement,
            chip: verified.chip,
        };
        Ok(Self {
            chain: genesis.chain_id(),
            name: genesis.name.clone(),
            record: genesis.record0(),
            head: None,
            holders: verified.iter().map(verdict).collect(),
            trust: genesis.trust.clone(),
            nonce: genesis.nonce,
        })
    }

    /// Starts from a genesis that must hash to the pinned chain id.
    pub fn from_pinned_genesis(genesis: &Genesis, pinned: &Digest) -> Result<Self, LightError> {
        let have = genesis.chain_id();
        if have != *pinned {
            return Err(LightError::GenesisHash {
                have,
                pinned: *pinned,
            });
        }
        Self::from_genesis(genesis)
    }

    /// The current set, for checking receipts and answers of this epoch.
    pub fn committee(&self) -> Committee {
        self.record.committee()
    }

    /// What to seal to, and for which epoch.
    pub fn sealing_key(&self) -> Result<(Epoch, &SealingPublic), LightError> {
        let epoch = self.record.epoch;
        Ok((
            epoch,
            self.record
                .sealing_key
                .as_ref()
                .ok_or(LightError::NoSealingKey { epoch })?,
        ))
    }

    /// Follows a bundle and gives the new state; on refusal the old one stands. `now_ms` is the wallet's clock,
    /// `max_age_ms` bounds the age of the newest header.
    pub fn advance(
        &self,
        bundle: &LightBundle,
        now_ms: Millis,
        max_age_ms: Millis,
        scheme: &dyn Scheme,
        cache: &mut dyn VerdictCache,
    ) -> Result<Self, LightError> {
        let mut next = self.clone();
        if bundle.links.len() > MAX_EPOCH_LINKS {
            return Err(LightError::TooManyLinks {
                have: bundle.links.len(),
                max: MAX_EPOCH_LINKS,
            });
        }
        for link in &bundle.links {
            next.follow(link, scheme)?;
        }
        next.check_final(&bundle.head, &bundle.head_proof, scheme)?;
        check_age(&bundle.head, now_ms, max_age_ms)?;
        next.head = Some(bundle.head.clone());
        next.check_holders(bundle, cache)?;
        Ok(next)
    }

    /// Follows every epoch's end to a final header, whatever its age: for the history of a chain, not for sealing to it.
    pub(crate) fn walk(
        &mut self,
        links: &[EpochLink],
        header: &Header,
        proof: &CommitProof,
        scheme: &dyn Scheme,
    ) -> Result<(), LightError> {
        for link in links {
            self.follow(link, scheme)?;
        }
        self.check_final(header, proof, scheme)?;
        self.head = Some(header.clone());
        Ok(())
    }

    /// One step: the closing header is committed by the set that is trusted, and names the record.
    fn follow(&mut self, link: &EpochLink, scheme: &dyn Scheme) -> Result<(), LightError> {
        link.check(&self.chain, &self.record, scheme)?;
        self.check_no_fork(&link.header)?;
        self.head = Some(link.header.clone());
        self.record = link.record.clone();
        Ok(())
    }

    /// The head is committed by the current set, or is the closing header that was just followed.
    fn check_final(&self, head: &Header, proof: &CommitProof, scheme: &dyn Scheme) -> Result<(), LightError> {
        if self.head.as_ref() == Some(head) {
            return Ok(());
        }
        check_header(head, proof, &self.chain, &self.committee(), scheme).map_err(LightError::Head)?;
        if head.height < self.record.start_height {
            let need = self.record.start_height;
            return Err(LightError::Head(ProofError::Stale {
                have: head.height,
                need,
            }));
        }
        if let Some(trusted) = &self.head
            && head.height < trusted.height
        {
            return Err(LightError::HeadBackwards {
                have: head.height,
                trusted: trusted.height,
            });
        }
        self.check_no_fork(head)?;
        if head.next_epoch.is_some() {
            return Err(LightError::EpochOver { epoch: head.epoch });
        }
        Ok(())
    }

    /// A committed header at the height of the newest one seen must be that one; a closing header below a header
    /// of its own epoch cannot be committed either. Both mean that more than f validators signed two histories.
    fn check_no_fork(&self, header: &Header) -> Result<(), LightError> {
        let Some(trusted) = &self.head else { return Ok(()) };
        let same_height = header.height == trusted.height && header.id() != trusted.id();
        let closed_below =
            header.next_epoch.is_some() && header.epoch == trusted.epoch && header.height < trusted.height;
        if same_height || closed_below {
            let (ours, theirs) = (trusted.id(), header.id());
            return Err(LightError::Fork {
                height: header.height,
                ours,
                theirs,
            });
        }
        Ok(())
    }

    /// Policy and evidence of every holder of the epoch's secret.
    fn check_holders(
        &mut self,
        bundle: &LightBundle,
        cache: &mut dyn VerdictCache,
    ) -> Result<(), LightError> {
        let record = &self.record;
        let epoch = record.epoch;
        let policy = policy_digest(&bundle.policy);
        if policy != record.policy || bundle.policy.version != record.policy_version {
            return Err(LightError::Policy { epoch });
        }
        if collateral_digest(&bundle.collateral) != record.collateral {
            return Err(LightError::Collateral { epoch });
        }
        let (have, need) = (bundle.registrations.len(), record.validators.len());
        if have != need {
            return Err(LightError::Registrations { have, need });
        }
        let mut chips = BTreeSet::new();
        let mut holders = Vec::with_capacity(need);
        for (index, (registration, seat)) in bundle.registrations.iter().zip(&record.validators).enumerate() {
            if ValidatorRecord::of(registration, seat.registered_ms) != *seat {
                return Err(LightError::OtherRegistration { index });
            }
            let verdict = self.judge(index, registration, bundle, cache)?;
            let (age_ms, max_ms) = (
                record.judged_ms.saturating_sub(seat.registered_ms),
                bundle.policy.evidence_age_max_ms,
            );
            if age_ms > max_ms {
                return Err(LightError::Aged {
                    index,
                    age_ms,
                    max_ms,
                });
            }
            let fresh = chips.insert((verdict.platform.vendor(), verdict.chip));
            if !fresh && bundle.policy.chip_unique {
                return Err(LightError::SameChip { index });
            }
            holders.push(verdict);
        }
        if record.kept {
            let dropped = record.dropped.len();
            return Err(LightError::Kept { epoch, dropped });
        }
        self.holders = holders;
        Ok(())
    }

    fn judge(
        &self,
        index: usize,
        registration: &Registration,
        bundle: &LightBundle,
        cache: &mut dyn VerdictCache,
    ) -> Result<HolderVerdict, LightError> {
        if registration.network != Digest(self.nonce) && registration.network != self.chain {
            return Err(LightError::OtherRegistration { index });
        }
        let (record, registered) = (&self.record, registration.digest());
        let parts: [&[u8]; 5] = [
            &registered.0,
            &record.policy.0,
            &record.collateral.0,
            &record.judged_ms.to_le_bytes(),
            &encode(&self.trust),
        ];
        let key = hash("verdict", &parts);
        if let Some(verdict) = cache.get(&key) {
            return Ok(verdict);
        }
        let refused = |source: RegistrationError| LightError::Holder { index, source };
        let verified = registration
            .verify(&self.trust, &bundle.collateral, &bundle.policy, record.judged_ms)
            .map_err(refused)?;
        let verdict = HolderVerdict {
            platform: verified.platform,
            measurement: verified.measurement,
            chip: verified.chip,
        };
        cache.put(key, verdict.clone());
        Ok(verdict)
    }

    /// The height up to which this state has seen the chain.
    pub fn height(&self) -> Height {
        self.head.as_ref().map_or(0, |head| head.height)
    }
}

fn check_age(head: &Header, now_ms: Millis, max_age_ms: Millis) -> Result<(), LightError> {
    let ahead_ms = head.time_ms.saturating_sub(now_ms);
    if ahead_ms > MAX_CLOCK_SKEW_MS {
        return Err(LightError::HeadFromFuture {
            ahead_ms,
            max_ms: MAX_CLOCK_SKEW_MS,
        });
    }
    let age_ms = now_ms.saturating_sub(head.time_ms);
    if age_ms > max_age_ms {
        return Err(LightError::HeadStale {
            age_ms,
            max_ms: max_age_ms,
        });
    }
    Ok(())
}
