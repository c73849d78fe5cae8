//! Fetching a snapshot: what it consists of, from several peers; its chunks, from those who said the same; each checked as
//! it arrives and stored, so that a restart goes on where it was.
//!
//! ```text
//! ask for manifests ──enough are equal──► ask their givers for chunks ──all are here──► load, beside the replica
//!        ▲                                      │ wrong, too long, none        │ does not open, other contents
//!        └────────── nobody left, another one ◄─┴──────────────────────────────┘
//! ```
//! Bounded: one fetch at a time, [`PARALLEL`] requests under way, one manifest a peer, one chunk in memory. A peer that is
//! silent is asked again later; one that sends what its own manifest denies is penalised and not asked again.

use std::collections::{BTreeMap, BTreeSet};

use tacit_consensus::{Digest, Epoch, Height, Millis, planted};
use tacit_ledger::{Durability, Manifest, SnapshotError, SnapshotId, SnapshotKind, WriteBatch};

use super::{Effect, LoadJob, NodeKey, Offence, Refused, Replica};
use crate::wire::{FetchRequest, FetchResponse, NoSnapshot};

/// Requests under way at once: with chunks of 1 MiB, what they may bring into memory.
const PARALLEL: usize = 8;
/// Chunks asked of one peer at once.
const PARALLEL_PER_PEER: usize = 2;
/// How long an answer may take before the peer counts as silent.
const ANSWER_MS: Millis = 5_000;
/// How long a peer that had nothing, or was silent, is left alone.
const REST_MS: Millis = 500;
/// The longest pause before a fetch that came to nothing begins anew: the first is [`REST_MS`], and they double.
const MAX_PAUSE_MS: Millis = 60_000;
/// How often in a row a peer may be silent before others' descriptions are preferred to its own.
const MAX_SILENT: u32 = 3;
/// Chunks on the disk that one step checks after a restart.
const CHECKED_PER_STEP: u32 = 8;
/// Chunks that a power cut may cost, one fewer.
const SYNCED_EVERY: usize = 16;
/// Manifests remembered as refused.
const MAX_REFUSED: usize = 16;

/// How far a fetch is: what `tacit node join` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// Which snapshot.
    pub id: SnapshotId,
    /// The height of its closing block.
    pub height: Height,
    /// Chunks that are here and checked.
    pub have: u32,
    /// Chunks in all; 0 while enough peers have not said so.
    pub chunks: u32,
    /// The last thing that was refused on the way.
    pub refused: Option<Refused>,
}

/// See the module.
pub(super) struct Fetching {
    pub(super) id: SnapshotId,
    pub(super) height: Height,
    /// Equal manifests before chunks are asked for.
    need: usize,
    offers: BTreeMap<Digest, Offer>,
    chosen: Option<Chosen>,
    refused: BTreeSet<Digest>,
    asked: BTreeMap<u64, Asked>,
    /// Peers to be left alone until then.
    resting: BTreeMap<NodeKey, Millis>,
    /// Peers that sent what no honest one does.
    barred: BTreeSet<NodeKey>,
    /// Peers that are in a later epoch and hold this snapshot no more.
    gone: BTreeSet<NodeKey>,
    /// How often in a row a peer did not answer.
    silent: BTreeMap<NodeKey, u32>,
    /// When the next chunks on the disk are looked at.
    look_at: Option<Millis>,
    /// Whether the whole is being loaded.
    loading: bool,
    /// Nothing is asked before.
    pause_until: Millis,
    failures: u32,
    last: Option<Refused>,
}

struct Offer {
    manifest: Manifest,
    givers: BTreeSet<NodeKey>,
}

struct Chosen {
    digest: Digest,
    manifest: Manifest,
    missing: BTreeSet<u32>,
    /// The next chunk on the disk to be looked at; all of them once this is the count.
    looked: u32,
}

struct Asked {
    peer: NodeKey,
    /// The chunk; `None` for the manifest.
    chunk: Option<u32>,
    since: Millis,
}

/// What a step of a fetch came to.
pub(super) enum Came {
    /// It goes on.
    On,
    /// Enough peers say that the epoch is over.
    Gone,
}

impl Fetching {
    pub(super) fn new(id: SnapshotId, height: Height, need: usize) -> Self {
        Self {
            id,
            height,
            need,
            offers: BTreeMap::new(),
            chosen: None,
            refused: BTreeSet::new(),
            asked: BTreeMap::new(),
            resting: BTreeMap::new(),
            barred: BTreeSet::new(),
            gone: BTreeSet::new(),
            silent: BTreeMap::new(),
            look_at: None,
            loading: false,
            pause_until: 0,
            failures: 0,
            last: None,
        }
    }

    pub(super) fn progress(&self) -> SnapshotProgress {
        let (have, chunks) = self.chosen.as_ref().map_or((0, 0), |chosen| {
            let missing = u32::try_from(chosen.missing.len()).unwrap_or(u32::MAX);
            (chosen.looked.saturating_sub(missing), chosen.manifest.count())
        });
        SnapshotProgress {
            id: self.id,
            height: self.height,
            have,
            chunks,
            refused: self.last.clone(),
        }
    }

    pub(super) fn next_wake(&self) -> Option<Millis> {
        let silent = self.asked.values().map(|asked| asked.since + ANSWER_MS).min();
        let rested = self.resting.values().copied().min();
        let pause = Some(self.pause_until).filter(|at| *at > 0);
        [silent, rested, pause, self.look_at].into_iter().flatten().min()
    }

    /// A peer did not answer: one that goes on so does not count as a giver.
    fn was_silent(&mut self, now: Millis, peer: NodeKey) {
        tracing::debug!(code = "snapshot.silent", "a peer does not answer");
        self.last = Some(Refused::new("snapshot.silent", "a peer does not answer"));
        self.resting.insert(peer, now + REST_MS);
        let times = self.silent.entry(peer).or_default();
        *times += 1;
        if *times >= MAX_SILENT {
            self.silent.remove(&peer);
            self.forget_peer(&peer);
        }
    }

    /// A peer has come: it may be the one that was missing.
    pub(super) fn connected(&mut self) {
        (self.pause_until, self.failures) = (0, 0);
    }

    /// A peer is gone.
    pub(super) fn disconnected(&mut self, peer: &NodeKey) {
        self.forget_peer(peer);
        self.asked.retain(|_, asked| asked.peer != *peer);
        self.silent.remove(peer);
        self.gone.remove(peer);
    }

    /// Those who may be asked for the chosen snapshot's chunks.
    fn givers(&self) -> impl Iterator<Item = &NodeKey> {
        let chosen = self.chosen.as_ref();
        let offer = chosen.and_then(|chosen| self.offers.get(&chosen.digest));
        offer.into_iter().flat_map(|offer| &offer.givers)
    }

    fn forget_peer(&mut self, peer: &NodeKey) {
        self.offers.retain(|_, offer| {
            offer.givers.remove(peer);
            !offer.givers.is_empty()
        });
    }

    fn busy_with(&self, peer: &NodeKey) -> usize {
        self.asked.values().filter(|asked| asked.peer == *peer).count()
    }

    /// Begins anew after a pause that grows.
    fn start_over(&mut self, now: Millis) {
        self.offers.clear();
        self.asked.clear();
        self.barred.clear();
        self.resting.clear();
        self.loading = false;
        let pause = REST_MS << self.failures.min(16);
        self.pause_until = now + pause.min(MAX_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
    }
}

impl Chosen {
    fn new(manifest: Manifest) -> Self {
        Self {
            digest: manifest.digest(),
            manifest,
            missing: BTreeSet::new(),
            looked: 0,
        }
    }

    fn looks(&self) -> bool {
        self.looked < self.manifest.count()
    }
}

impl Replica {
    /// Begins to fetch a snapshot, or goes on with what the store has of it.
    pub(super) fn begin_fetching(&mut self, now: Millis, id: SnapshotId, height: Height, need: usize) {
        let mut fetching = Fetching::new(id, height, need);
        let stored = self.log().fetching();
        match stored {
            Ok(Some(manifest)) if manifest.check(id, height).is_ok() => {
                fetching.chosen = Some(Chosen::new(manifest));
            }
            Ok(Some(other)) => self.abandon(&other),
            Ok(None) => {}
            Err(error) => return self.halt(error),
        }
        self.fetching = Some(fetching);
        self.fetch_on(now);
    }

    /// How far a snapshot is, while one is fetched.
    pub fn snapshot_progress(&self) -> Option<SnapshotProgress> {
        self.fetching.as_ref().map(Fetching::progress)
    }

    /// What was stored of a snapshot that is not wanted any more.
    fn abandon(&mut self, manifest: &Manifest) {
        let mut writes = WriteBatch::new();
        writes.abandon_snapshot(manifest);
        self.write(writes, Durability::Lazy);
    }

    pub(super) fn stop_fetching(&mut self) {
        self.fetching = None;
        let stored = self.log().fetching();
        match stored {
            Ok(Some(manifest)) => self.abandon(&manifest),
            Ok(None) => {}
            Err(error) => self.halt(error),
        }
    }

    /// Whom a snapshot can be had from: private ones from seats, public ones from anybody.
    fn candidates(&self, kind: SnapshotKind) -> Vec<NodeKey> {
        let peers = self.sync.peers().iter().copied();
        match kind {
            SnapshotKind::Public => peers.collect(),
            SnapshotKind::Private => peers.filter(|peer| self.index_of.contains_key(peer)).collect(),
        }
    }

    /// Does what can be done now: looks at chunks on the disk, asks for what is missing, loads what is whole.
    pub(super) fn fetch_on(&mut self, now: Millis) {
        let Some(mut fetching) = self.fetching.take() else {
            return;
        };
        let came = self.fetch_step(now, &mut fetching);
        let id = fetching.id;
        // A halt or a turn on the way leaves nothing to go on with.
        if self.halted {
            return;
        }
        self.fetching = Some(fetching);
        if let Came::Gone = came {
            self.stop_fetching();
            self.snapshot_gone(now, id);
        }
    }

    fn fetch_step(&mut self, now: Millis, fetching: &mut Fetching) -> Came {
        let silent: Vec<u64> = fetching
            .asked
            .iter()
            .filter(|(_, asked)| asked.since + ANSWER_MS <= now)
            .map(|(request, _)| *request)
            .collect();
        for request in silent {
            if let Some(asked) = fetching.asked.remove(&request) {
                fetching.was_silent(now, asked.peer);
            }
        }
        fetching.resting.retain(|_, until| *until > now);
        if fetching.loading || fetching.pause_until > now {
            return Came::On;
        }
        fetching.pause_until = 0;
        self.look_at_chunks(fetching);
        let looks = fetching.chosen.as_ref().is_some_and(Chosen::looks);
        fetching.look_at = looks.then_some(now + 1);
        if self.halted || looks {
            return Came::On;
        }
        let candidates = self.candidates(fetching.id.kind);
        fetching.gone.retain(|peer| candidates.contains(peer));
        self.choose(fetching);
        let done = |chosen: &Chosen| chosen.missing.is_empty() && !chosen.looks();
        if fetching.chosen.as_ref().is_some_and(done) {
            self.load(fetching);
            return Came::On;
        }
        self.ask_manifests(now, fetching, &candidates);
        self.ask_chunks(now, fetching);
        let over = match fetching.id.kind {
            SnapshotKind::Private => fetching.gone.len() >= fetching.need,
            SnapshotKind::Public => {
                !fetching.gone.is_empty() && fetching.offers.is_empty() && fetching.asked.is_empty()
            }
        };
        if over {
            return Came::Gone;
        }
        let idle = fetching.asked.is_empty() && fetching.resting.is_empty() && !fetching.loading;
        let served = fetching.givers().next().is_some();
        let answered = !fetching.barred.is_empty() || !fetching.offers.is_empty();
        if idle && !served && answered {
            // What was said does not suffice: who was barred may have had a bad disk, who lied may stop.
            fetching.start_over(now);
        }
        Came::On
    }

    /// After a restart: what the disk has is checked like what comes from a peer, some chunks a step.
    fn look_at_chunks(&mut self, fetching: &mut Fetching) {
        let Some(chosen) = fetching.chosen.as_mut() else {
            return;
        };
        for _ in 0..CHECKED_PER_STEP {
            if !chosen.looks() {
                return;
            }
            let index = chosen.looked;
            let held = match self.log().chunk(&chosen.manifest, index) {
                Ok(held) => held,
                Err(error) => return self.halt(error),
            };
            let good = held.is_some_and(|chunk| chosen.manifest.check_chunk(index, &chunk).is_ok());
            if !good {
                chosen.missing.insert(index);
            }
            chosen.looked += 1;
        }
    }

    /// Chooses the manifest that enough peers gave; changes over when nobody has the chosen one any more.
    fn choose(&mut self, fetching: &mut Fetching) {
        if fetching.givers().next().is_some() {
            return;
        }
        let need = fetching.need;
        let enough = fetching
            .offers
            .iter()
            .filter(|(digest, offer)| offer.givers.len() >= need && !fetching.refused.contains(digest))
            .max_by_key(|(digest, offer)| (offer.givers.len(), **digest))
            .map(|(_, offer)| (offer.givers.len(), offer.manifest.clone()));
        let Some((givers, manifest)) = enough else { return };
        if givers < 2 && fetching.asked.values().any(|asked| asked.chunk.is_none()) {
            // Others are about to say what they have: a single word is taken only when there is no other.
            return;
        }
        let mut writes = WriteBatch::new();
        if let Some(before) = fetching.chosen.take() {
            writes.abandon_snapshot(&before.manifest);
        }
        writes.put_fetching(&manifest);
        self.write(writes, Durability::Lazy);
        tracing::info!(
            kind = manifest.id.kind.name(),
            epoch = manifest.id.epoch,
            height = manifest.height,
            bytes = manifest.bytes,
            chunks = manifest.count(),
            "fetching a snapshot"
        );
        let mut chosen = Chosen::new(manifest);
        chosen.looked = chosen.manifest.count();
        chosen.missing = (0..chosen.manifest.count()).collect();
        fetching.chosen = Some(chosen);
    }

    fn ask_manifests(&mut self, now: Millis, fetching: &mut Fetching, candidates: &[NodeKey]) {
        for peer in candidates {
            if fetching.asked.len() >= PARALLEL {
                return;
            }
            let known = fetching.offers.values().any(|offer| offer.givers.contains(peer));
            let left_alone = fetching.resting.contains_key(peer) || fetching.barred.contains(peer);
            if known || left_alone || fetching.busy_with(peer) > 0 {
                continue;
            }
            let what = FetchRequest::Manifest(fetching.id);
            self.ask_part(now, fetching, *peer, None, what);
        }
    }

    fn ask_chunks(&mut self, now: Millis, fetching: &mut Fetching) {
        loop {
            let Some(chosen) = &fetching.chosen else { return };
            if fetching.asked.len() >= PARALLEL {
                return;
            }
            let under_way: BTreeSet<u32> = fetching.asked.values().filter_map(|asked| asked.chunk).collect();
            let Some(index) = chosen
                .missing
                .iter()
                .find(|index| !under_way.contains(index))
                .copied()
            else {
                return;
            };
            let free = |peer: &&NodeKey| {
                !fetching.resting.contains_key(*peer) && fetching.busy_with(peer) < PARALLEL_PER_PEER
            };
            let Some(peer) = fetching
                .givers()
                .filter(free)
                .min_by_key(|peer| (fetching.busy_with(peer), **peer))
                .copied()
            else {
                return;
            };
            let snapshot = fetching.id;
            let what = FetchRequest::Chunk { snapshot, index };
            self.ask_part(now, fetching, peer, Some(index), what);
        }
    }

    fn ask_part(
        &mut self,
        now: Millis,
        fetching: &mut Fetching,
        peer: NodeKey,
        chunk: Option<u32>,
        what: FetchRequest,
    ) {
        let request = self.sync.number();
        let asked = Asked {
            peer,
            chunk,
            since: now,
        };
        fetching.asked.insert(request, asked);
        self.out.push(Effect::Request {
            request,
            to: peer,
            what,
        });
    }

    /// Takes the answer to one of the fetch's requests; gives it back when it is none of them.
    pub(super) fn take_part(
        &mut self,
        now: Millis,
        request: u64,
        response: Option<FetchResponse>,
    ) -> Option<Option<FetchResponse>> {
        let Some(asked) = self.fetching.as_mut().and_then(|f| f.asked.remove(&request)) else {
            return Some(response);
        };
        let peer = asked.peer;
        match (asked.chunk, response) {
            (None, Some(FetchResponse::Manifest(Ok(manifest)))) => self.take_manifest(peer, manifest),
            (Some(index), Some(FetchResponse::Chunk(Ok(chunk)))) => self.take_chunk(peer, index, &chunk),
            (_, Some(FetchResponse::Manifest(Err(no)) | FetchResponse::Chunk(Err(no)))) => {
                self.take_none(now, peer, no);
            }
            (_, None) => {
                if let Some(fetching) = self.fetching.as_mut() {
                    fetching.was_silent(now, peer);
                }
            }
            (_, Some(_)) => self.bar(
                peer,
                &Refused::new("snapshot.answer", "a peer answers another question"),
            ),
        }
        self.fetch_on(now);
        None
    }

    fn take_manifest(&mut self, peer: NodeKey, manifest: Manifest) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        if let Err(error) = manifest.check(fetching.id, fetching.height) {
            return self.bar(peer, &refused(&error));
        }
        fetching.gone.remove(&peer);
        fetching.silent.remove(&peer);
        fetching.forget_peer(&peer);
        let offer = fetching.offers.entry(manifest.digest()).or_insert_with(|| Offer {
            manifest,
            givers: BTreeSet::new(),
        });
        offer.givers.insert(peer);
        if fetching.offers.len() > 1 {
            let detail = format!("peers describe it in {} ways", fetching.offers.len());
            fetching.last = Some(Refused::new("snapshot.disagree", detail));
        }
    }

    fn take_chunk(&mut self, peer: NodeKey, index: u32, chunk: &[u8]) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        let stands = fetching.givers().any(|giver| *giver == peer);
        let Some(chosen) = fetching.chosen.as_mut() else {
            return;
        };
        if !stands || !chosen.missing.contains(&index) {
            // Asked for before another manifest was chosen, or here by now.
            return;
        }
        if let Err(error) = chosen.manifest.check_chunk(index, chunk)
            && !planted::has("chunk_unchecked")
        {
            return self.bar(peer, &refused(&error));
        }
        chosen.missing.remove(&index);
        fetching.silent.remove(&peer);
        let mut writes = WriteBatch::new();
        writes.put_chunk(&chosen.manifest, index, chunk);
        let durability = match chosen.missing.len().is_multiple_of(SYNCED_EVERY) {
            true => Durability::Synced,
            false => Durability::Lazy,
        };
        self.write(writes, durability);
    }

    fn take_none(&mut self, now: Millis, peer: NodeKey, no: NoSnapshot) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        let epoch = fetching.id.epoch;
        match no {
            NoSnapshot::NotHeld { newest } if newest.is_some_and(|newest: Epoch| newest > epoch) => {
                fetching.gone.insert(peer);
                self.rest(now, peer, "snapshot.gone", "a peer is in a later epoch");
            }
            NoSnapshot::NotHeld { .. } => {
                self.rest(now, peer, "snapshot.not_held", "a peer does not have it yet")
            }
            NoSnapshot::NoSeat => {
                self.rest(
                    now,
                    peer,
                    "snapshot.no_seat",
                    "a peer does not know of a seat of this node yet",
                );
            }
        }
    }

    /// A peer that has nothing now is asked again in a while.
    fn rest(&mut self, now: Millis, peer: NodeKey, code: &'static str, detail: &str) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        tracing::debug!(code, detail, "snapshot");
        fetching.forget_peer(&peer);
        fetching.resting.insert(peer, now + REST_MS);
        fetching.last = Some(Refused::new(code, detail));
    }

    /// A peer that sends what no honest one does is not asked again.
    fn bar(&mut self, peer: NodeKey, why: &Refused) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        tracing::warn!(
            code = why.code,
            detail = why.detail,
            "a part of a snapshot was refused"
        );
        fetching.forget_peer(&peer);
        fetching.barred.insert(peer);
        fetching.last = Some(why.clone());
        self.out.push(Effect::Penalise {
            peer,
            offence: Offence::Invalid,
        });
    }

    fn load(&mut self, fetching: &mut Fetching) {
        let Some(chosen) = &fetching.chosen else { return };
        let Some(job) = self.load_job(&chosen.manifest) else {
            return;
        };
        fetching.loading = true;
        self.out.push(Effect::Load(Box::new(job)));
    }

    fn load_job(&self, manifest: &Manifest) -> Option<LoadJob> {
        match manifest.id.kind {
            SnapshotKind::Private => self.private_job(manifest),
            SnapshotKind::Public => self.public_job(manifest),
        }
    }

    /// What was fetched is not what a quorum certified, or cannot be read: those who described it so are to blame, but for
    /// what this node's own disk lost.
    pub(super) fn refuse_snapshot(&mut self, now: Millis, error: &SnapshotError) {
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        let why = refused(error);
        tracing::error!(code = why.code, detail = why.detail, "a snapshot was refused");
        fetching.last = Some(why);
        let own = matches!(error, SnapshotError::Lost { .. } | SnapshotError::Store(_));
        let givers: Vec<NodeKey> = fetching.givers().copied().collect();
        if let Some(chosen) = fetching.chosen.take() {
            match own {
                // The disk is looked at again.
                true => fetching.chosen = Some(Chosen::new(chosen.manifest)),
                false => {
                    if fetching.refused.len() == MAX_REFUSED {
                        fetching.refused.clear();
                    }
                    fetching.refused.insert(chosen.digest);
                    let manifest = chosen.manifest;
                    self.abandon(&manifest);
                }
            }
        }
        let Some(fetching) = self.fetching.as_mut() else {
            return;
        };
        fetching.start_over(now);
        if !own {
            for peer in givers {
                fetching.barred.insert(peer);
                self.out.push(Effect::Penalise {
                    peer,
                    offence: Offence::Invalid,
                });
            }
        }
    }
}

pub(super) fn refused(error: &SnapshotError) -> Refused {
    Refused::new(error.code(), error.to_string())
}
