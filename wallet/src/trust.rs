//! From a pinned genesis hash to a key that may be sealed to, believing nothing a node says.
//!
//! | # | check | where |
//! |---|---|---|
//! | 1 | the genesis hashes to the pinned value and obeys its own rules | [`Trust::open`] |
//! | 2 | each epoch's end is certified by the set before it; the newest header is recent; the anchor is not too old | `TrustedState::advance`, [`Trust::refresh`] |
//! | 3 | a second node shows the same chain (only if one is named) | [`Trust::compare`] |
//! | 4 | the policy is the one that the certified epoch record names | `TrustedState::advance` |
//! | 5 | evidence of every holder of the epoch's secret | `TrustedState::advance` |
//! | 6 | the sealing key is the certified record's, its suite known, its time not over | [`Trust::sealing_key`] |
//!
//! Fails closed: one refused holder refuses the whole, because every validator of an epoch holds its secret. Verdicts
//! on evidence are kept by the digest of what they depend on, so sending again costs none of it.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use tacit_attest::NetworkClass;
use tacit_consensus::{Committee, Digest, Ed25519, Header};
use tacit_ledger::{
    EpochLink, Genesis, LightBundle, MAX_EPOCH_LINKS, MAX_GENESIS_BYTES, Params, SUITE_XWING, SealingPublic,
    TrustedState, Verdicts, decode, encode,
};

use crate::{
    api::Api,
    client::Transport,
    error::Error,
    home::{Home, private_folder, read_private, write_private},
};

/// How long a verified header may be the anchor of the next step, in milliseconds: 21 days. Later than that, keys of
/// validators long gone may have been sold, and the epoch chain alone proves too little.
pub const TRUST_PERIOD_MS: u64 = 21 * 24 * 3_600_000;
/// The newest header may be at least this old, in milliseconds, however short the heartbeat.
const MIN_HEAD_AGE_MS: u64 = 60_000;
/// So many missed heartbeats make a head stale.
const HEARTBEATS: u64 = 12;
/// An epoch that should have ended this long ago, in milliseconds, is not sealed to.
const EPOCH_GRACE_MS: u64 = 60_000;
/// Committees of past epochs that are kept for receipts and answers from just before an epoch's end.
const KEPT_COMMITTEES: usize = 16;
/// Longest file of verified progress, in bytes: a record, verdicts, committees.
const MAX_PROGRESS_BYTES: u64 = 4 * 1024 * 1024;
/// Most bundles fetched to catch up once; each carries at least one epoch.
const MAX_BUNDLES: usize = 64;

/// Verified progress on one chain, as it is stored.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
struct Progress {
    version: u8,
    state: TrustedState,
    verdicts: Verdicts,
    committees: BTreeMap<u64, Committee>,
}

/// Version byte of the stored progress.
const PROGRESS_VERSION: u8 = 2;

/// What is known of one chain, and how.
#[derive(Clone)]
pub struct Trust {
    home: Option<Home>,
    genesis: Genesis,
    progress: Progress,
    /// When the last refresh succeeded, in milliseconds; 0 before the first.
    checked_ms: u64,
}

/// The line that a wallet shows before it sends anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSummary {
    /// The pinned genesis hash.
    pub genesis: Digest,
    /// The network's name.
    pub name: String,
    /// The kind of network.
    pub class: NetworkClass,
    /// Height of the newest verified header.
    pub height: u64,
    /// Its age by this machine's clock, in milliseconds.
    pub head_age_ms: u64,
    /// Holders whose evidence was accepted; all of them, or there is no summary.
    pub holders: usize,
    /// The epoch whose key was accepted.
    pub epoch: u64,
    /// The short name of that key.
    pub key_id: String,
    /// The lost chain that this one goes on from, and the height whose state it took, if it was recovered.
    pub recovered: Option<(Digest, u64)>,
}

impl TrustSummary {
    /// Whether the chain has no hardware protection; then this must be shown, loudly, each time.
    pub fn simulated(&self) -> bool {
        self.class == NetworkClass::Dev
    }
}

impl fmt::Display for TrustSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let genesis = self.genesis.to_string();
        let short = genesis.get(..8).unwrap_or_default();
        write!(
            out,
            "genesis {short} pinned | headers to {} ({} s old) | {n}/{n} evidence ok | epoch {} key ok",
            self.height,
            self.head_age_ms / 1000,
            self.epoch,
            n = self.holders,
        )?;
        match &self.recovered {
            Some((chain, height)) => {
                let chain = chain.to_string();
                let short = chain.get(..8).unwrap_or_default();
                write!(out, " | RECOVERED from {short} at height {height}")
            }
            None => Ok(()),
        }
    }
}

impl Trust {
    /// Starts from what was verified before under this pin, or else from the node's genesis, which must hash to it.
    ///
    /// # Errors
    /// [`Error::GenesisHash`], [`Error::GenesisInvalid`] and `attest.*` for the founders' evidence.
    pub fn open(api: &Api<'_>, pin: &Digest, home: Option<Home>) -> Result<Self, Error> {
        if let Some(home) = &home
            && let Some((genesis, progress)) = load(home, pin)?
        {
            return Ok(Self {
                home: Some(home.clone()),
                genesis,
                progress,
                checked_ms: 0,
            });
        }
        let bytes = api.genesis()?;
        let genesis = Genesis::decode(&bytes).map_err(|error| Error::GenesisInvalid {
            reason: error.to_string(),
        })?;
        Self::begin(genesis, pin, home)
    }

    /// What was verified before under this pin, if anything was: without a node.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn stored(home: &Home, pin: &Digest) -> Result<Option<Self>, Error> {
        let known = load(home, pin)?;
        Ok(known.map(|(genesis, progress)| Self {
            home: Some(home.clone()),
            genesis,
            progress,
            checked_ms: 0,
        }))
    }

    /// The chains under which letters and room keys of this one may have been sealed, the newest first.
    pub(crate) fn chains(&self) -> Vec<Digest> {
        let origin = self.genesis.origin.iter().flat_map(tacit_ledger::Origin::chains);
        std::iter::once(self.chain()).chain(origin.copied()).collect()
    }

    /// Starts from a genesis at hand.
    ///
    /// # Errors
    /// As [`Trust::open`].
    pub fn begin(genesis: Genesis, pin: &Digest, home: Option<Home>) -> Result<Self, Error> {
        // 1: hash first, so that nothing of another chain is even looked at.
        let have = genesis.chain_id();
        if have != *pin {
            return Err(Error::GenesisHash { have, pinned: *pin });
        }
        let state = TrustedState::from_pinned_genesis(&genesis, pin)?;
        let committees = BTreeMap::from([(0, state.committee())]);
        let progress = Progress {
            version: PROGRESS_VERSION,
            state,
            verdicts: Verdicts::default(),
            committees,
        };
        let trust = Self {
            home,
            genesis,
            progress,
            checked_ms: 0,
        };
        if let Some(home) = &trust.home {
            private_folder(&home.trust())?;
            write_private(&genesis_file(home, pin), &encode(&trust.genesis))?;
        }
        trust.save()?;
        Ok(trust)
    }

    /// The chain: its genesis hash.
    pub fn chain(&self) -> Digest {
        self.progress.state.chain
    }

    /// The genesis that was pinned.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network's constants.
    pub fn params(&self) -> &Params {
        &self.genesis.params
    }

    /// The kind of network.
    pub fn class(&self) -> NetworkClass {
        self.genesis.trust.class
    }

    /// Everything verified so far.
    pub fn state(&self) -> &TrustedState {
        &self.progress.state
    }

    /// The newest verified header; none before the first refresh.
    pub fn head(&self) -> Option<&Header> {
        self.progress.state.head.as_ref()
    }

    /// When the last refresh succeeded, in milliseconds; 0 when none did since this was opened.
    pub fn checked_ms(&self) -> u64 {
        self.checked_ms
    }

    /// The verified committee of an epoch, if it is among those kept.
    pub fn committee(&self, epoch: u64) -> Option<&Committee> {
        self.progress.committees.get(&epoch)
    }

    /// The verified committee of an epoch, walking from genesis if it is no longer kept.
    ///
    /// # Errors
    /// `proof.*` and `epoch.*` when the node's chain of epochs does not hold; [`Error::EpochKey`] when it does not
    /// reach that epoch.
    pub fn committee_of(&self, api: &Api<'_>, epoch: u64) -> Result<Committee, Error> {
        if let Some(known) = self.committee(epoch) {
            return Ok(known.clone());
        }
        let links = fetch_links(api, 0, epoch)?;
        walk(&self.genesis, &links)?
            .remove(&epoch)
            .ok_or_else(|| Error::EpochKey {
                epoch,
                reason: "the node's chain does not reach it".to_owned(),
            })
    }

    /// Moves trust to now: checks 2, 4, 5 and 6. Nothing changes unless all pass.
    ///
    /// # Errors
    /// The first check that fails, by its code.
    pub fn refresh(&mut self, api: &Api<'_>, now_ms: u64) -> Result<TrustSummary, Error> {
        self.check_anchor(now_ms)?;
        let state = &self.progress.state;
        let bundle = fetch_bundle(api, state.record.epoch)?;
        let max_age = MIN_HEAD_AGE_MS.max(self.params().heartbeat_ms.saturating_mul(HEARTBEATS));
        let mut verdicts = self.progress.verdicts.clone();
        let next = state.advance(&bundle, now_ms, max_age, &Ed25519, &mut verdicts)?;

        let mut committees = self.progress.committees.clone();
        for link in &bundle.links {
            committees.insert(link.record.epoch, link.record.committee());
        }
        while committees.len() > KEPT_COMMITTEES {
            committees.pop_first();
        }
        self.progress = Progress {
            version: PROGRESS_VERSION,
            state: next,
            verdicts,
            committees,
        };
        self.checked_ms = now_ms;
        self.save()?;
        self.summary(now_ms)
    }

    /// 2: an anchor beyond the trust period is not moved forward.
    fn check_anchor(&self, now_ms: u64) -> Result<(), Error> {
        let Some(head) = self.head() else { return Ok(()) };
        let age_ms = now_ms.saturating_sub(head.time_ms);
        if age_ms > TRUST_PERIOD_MS {
            return Err(Error::AnchorExpired {
                age_ms,
                max_ms: TRUST_PERIOD_MS,
            });
        }
        Ok(())
    }

    /// 6: the key to seal to now, and its epoch.
    ///
    /// # Errors
    /// [`Error::EpochKey`] when there is none, its suite is unknown, or its epoch should have ended.
    pub fn sealing_key(&self, now_ms: u64) -> Result<(u64, &SealingPublic), Error> {
        let record = &self.progress.state.record;
        let epoch = record.epoch;
        let refuse = |reason: &str| Error::EpochKey {
            epoch,
            reason: reason.to_owned(),
        };
        let key = record
            .sealing_key
            .as_ref()
            .ok_or_else(|| refuse("the first key is not dealt yet"))?;
        if record.suite != SUITE_XWING {
            return Err(refuse("its cipher suite is newer than this wallet"));
        }
        let ends_ms = record.start_ms.saturating_add(self.params().epoch_ms_max);
        if now_ms > ends_ms.saturating_add(EPOCH_GRACE_MS) {
            return Err(refuse("the epoch should have ended"));
        }
        Ok((epoch, key))
    }

    /// What to show; only after a refresh.
    ///
    /// # Errors
    /// As [`Trust::sealing_key`].
    pub fn summary(&self, now_ms: u64) -> Result<TrustSummary, Error> {
        let (epoch, key) = self.sealing_key(now_ms)?;
        let state = &self.progress.state;
        Ok(TrustSummary {
            genesis: state.chain,
            name: state.name.clone(),
            class: self.class(),
            height: state.height(),
            head_age_ms: now_ms.saturating_sub(state.head.as_ref().map_or(0, |head| head.time_ms)),
            holders: state.holders.len(),
            epoch,
            key_id: key.key_id(),
            recovered: self
                .genesis
                .origin
                .as_ref()
                .map(|origin| (origin.chain, origin.executed)),
        })
    }

    /// 3: a second node must show the newest verified header at its height.
    ///
    /// # Errors
    /// [`Error::Fork`] when it proves another one: both are saved, and more than a third of a set misbehaved;
    /// [`Error::Witness`] when it only claims another one.
    pub fn compare(&self, witness: &dyn Transport) -> Result<(), Error> {
        let Some(ours) = self.head() else { return Ok(()) };
        let api = Api::new(witness);
        let (height, want) = (ours.height, ours.id());
        let (theirs, proof) = match api.commit(height) {
            Ok(shown) => shown,
            // It may be behind by a moment; what it does not have it cannot contradict.
            Err(Error::Refused {
                code: "block.not_found",
                ..
            }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if theirs.id() == want {
            return Ok(());
        }
        let proven = theirs.height == height
            && theirs.chain == ours.chain
            && self.committee(theirs.epoch).is_some_and(|committee| {
                proof
                    .verify(theirs.id(), &self.chain(), committee, &Ed25519)
                    .is_ok()
            });
        let have = theirs.id().to_string();
        if !proven {
            return Err(Error::Witness {
                endpoint: witness.endpoint().to_owned(),
                height,
                have,
                want,
            });
        }
        let saved = self.save_fork(ours, &theirs, &encode(&proof))?;
        Err(Error::Fork { height, saved })
    }

    fn save_fork(&self, ours: &Header, theirs: &Header, proof: &[u8]) -> Result<PathBuf, Error> {
        let Some(home) = &self.home else {
            return Ok(PathBuf::new());
        };
        let path = home
            .trust()
            .join(format!("{}.fork-{}.json", self.chain(), ours.height));
        let evidence = serde_json::json!({
            "chain": self.chain().to_string(),
            "height": ours.height,
            "ours": hex::encode(encode(ours)),
            "theirs": hex::encode(encode(theirs)),
            "theirs_proof": hex::encode(proof),
        });
        write_private(&path, evidence.to_string().as_bytes())?;
        Ok(path)
    }

    fn save(&self) -> Result<(), Error> {
        let Some(home) = &self.home else { return Ok(()) };
        private_folder(&home.trust())?;
        write_private(&progress_file(home, &self.chain()), &encode(&self.progress))
    }
}

fn progress_file(home: &Home, chain: &Digest) -> PathBuf {
    home.trust().join(format!("{chain}.bin"))
}

fn genesis_file(home: &Home, chain: &Digest) -> PathBuf {
    home.trust().join(format!("{chain}.genesis"))
}

/// Stored progress under a pin. What is damaged or of another version is verified anew, from genesis.
fn load(home: &Home, pin: &Digest) -> Result<Option<(Genesis, Progress)>, Error> {
    let max = u64::try_from(MAX_GENESIS_BYTES).unwrap_or(u64::MAX);
    let Some(genesis) = read_private(&genesis_file(home, pin), max)? else {
        return Ok(None);
    };
    let Some(progress) = read_private(&progress_file(home, pin), MAX_PROGRESS_BYTES)? else {
        return Ok(None);
    };
    let (Ok(genesis), Ok(progress)) = (
        Genesis::decode(&genesis),
        decode::<Progress>(&progress, usize::try_from(MAX_PROGRESS_BYTES).unwrap_or(0)),
    ) else {
        return Ok(None);
    };
    let fits =
        genesis.chain_id() == *pin && progress.state.chain == *pin && progress.version == PROGRESS_VERSION;
    Ok(fits.then_some((genesis, progress)))
}

/// Fetches links until the bundle's own head is reached; a node answers with a bounded number at a time.
fn fetch_bundle(api: &Api<'_>, from: u64) -> Result<LightBundle, Error> {
    let mut bundle = api.light_bundle(from)?;
    let mut links = std::mem::take(&mut bundle.links);
    for _ in 0..MAX_BUNDLES {
        let reached = links.last().map_or(from, |link: &EpochLink| link.record.epoch);
        // The holders come with the bundle that reaches to now.
        if !bundle.registrations.is_empty() || links.is_empty() || links.len() >= MAX_EPOCH_LINKS {
            break;
        }
        bundle = api.light_bundle(reached)?;
        let more = std::mem::take(&mut bundle.links);
        if more.is_empty() {
            break;
        }
        links.extend(more);
    }
    bundle.links = links;
    Ok(bundle)
}

/// Fetches links from an epoch on until they reach another.
pub(crate) fn fetch_links(api: &Api<'_>, from: u64, to: u64) -> Result<Vec<EpochLink>, Error> {
    let mut links: Vec<EpochLink> = Vec::new();
    for _ in 0..MAX_BUNDLES {
        let reached = links.last().map_or(from, |link| link.record.epoch);
        if reached >= to {
            break;
        }
        let more = api.light_bundle(reached)?.links;
        if more.is_empty() {
            break;
        }
        links.extend(more);
    }
    links.retain(|link| link.record.epoch <= to);
    Ok(links)
}

/// The committees of a chain of epochs from genesis on, each certified by the one before. Evidence is not judged:
/// this is for reading what old quorums said, never for sealing.
///
/// # Errors
/// `proof.*` when a closing header is not certified, `epoch.record` when a record is not the one it names.
pub fn walk(genesis: &Genesis, links: &[EpochLink]) -> Result<BTreeMap<u64, Committee>, Error> {
    let chain = genesis.chain_id();
    let mut committee = genesis.committee0();
    let mut committees = BTreeMap::from([(0, committee.clone())]);
    for EpochLink {
        header,
        proof,
        record,
    } in links
    {
        let what = || format!("end of epoch {}", committee.epoch);
        if header.chain != chain || header.epoch != committee.epoch {
            return Err(Error::proof(
                "proof.header",
                what(),
                "the header is of another chain or epoch",
            ));
        }
        proof
            .verify(header.id(), &chain, &committee, &Ed25519)
            .map_err(|error| Error::proof("proof.bad_signature", what(), error))?;
        if header.next_epoch != Some(record.digest()) || committee.epoch.checked_add(1) != Some(record.epoch)
        {
            return Err(Error::proof(
                "epoch.record",
                what(),
                "the record is not the one that was certified",
            ));
        }
        record
            .check_shape()
            .map_err(|field| Error::proof("epoch.record", what(), field))?;
        committee = record.committee();
        committees.insert(record.epoch, committee.clone());
    }
    Ok(committees)
}

/// The pinned genesis hash of this folder, if any.
///
/// # Errors
/// When the file is open to others or is no hash.
pub fn pinned(home: &Home) -> Result<Option<Digest>, Error> {
    let path = home.trust().join("pin");
    let Some(bytes) = read_private(&path, 128)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    Digest::from_hex(text.trim())
        .map(Some)
        .map_err(|_| Error::KeyfileDamaged { path })
}

/// Pins a genesis hash, and forgets what was verified under it so far.
///
/// # Errors
/// When the file cannot be written.
pub fn pin(home: &Home, hash: &Digest) -> Result<(), Error> {
    private_folder(&home.trust())?;
    for old in [progress_file(home, hash), genesis_file(home, hash)] {
        match std::fs::remove_file(&old) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file(&old, error)),
        }
    }
    write_private(&home.trust().join("pin"), hash.to_string().as_bytes())
}
